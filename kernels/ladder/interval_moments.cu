// interval_moments, v1: one thread a line and interval, plain sums. Contract: ../interval_moments.cu
//
// launch   <<<(ceil(outer inner / BLOCK), n_intervals), BLOCK>>>, whatever inner
// order    a line's cells in rising order, in double
// oracle   device/cpu/intervals.py interval_moments; test tests/kernels/test_interval_moments.py
// ladder   v1, this
//
// instances
//   interval_moments<float>
//   interval_moments<double>
#include "common.cuh"

template <typename T> __global__ void interval_moments(const T *values, const double *edges, const double *references,
                                                       double *out, long long outer, long long planes, long long inner,
                                                       long long n_intervals) {
  const long long line = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x, interval = blockIdx.y;
  if (line >= outer * inner) return;
  const long long o = line / inner, i = line % inner;
  double sums[3] = {0.0, 0.0, 0.0};
  for (double x = floor(edges[interval]); x < edges[interval + 1]; x += 1.0) {
    const double from = fmax(x, edges[interval]) - references[interval];
    const double to = fmin(x + 1.0, edges[interval + 1]) - references[interval];
    const double length = static_cast<double>(planes), cell = x - floor(x / length) * length;
    const double value = values[(o * planes + static_cast<long long>(cell)) * inner + i];
    sums[0] += value * (to - from);
    sums[1] += value * (to * to - from * from) / 2.0;
    sums[2] += value * (to * to * to - from * from * from) / 3.0;
  }
  for (int p = 0; p < 3; ++p) out[((p * outer + o) * n_intervals + interval) * inner + i] = sums[p];
}
