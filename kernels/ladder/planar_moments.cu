// planar_moments, v1: one block a plane, one axis a read.
//
//   out[p - 1][k] = sum of (v - centre)^p over plane k, p = 1 .. 4;   out[4][k] = min v, out[5][k] = min -v
//
// values  (outer, planes, inner) T, C order: a field seen about one axis
// out     (6, planes) double, overwritten
// launch  <<<planes, 256>>>
// order   fixed tree, no atomics
// oracle  device/cpu/sums.py planar_moments; test tests/kernels/test_planar_moments.py
// ladder  v1 (this) of planar_moments.cu: poor where inner is small, and three reads for three axes
//
// instances
//   planar_moments_v1<float>
//   planar_moments_v1<double>
#include "common.cuh"

template <typename T> __global__ void planar_moments_v1(const T *__restrict__ values, double *__restrict__ out,
                                                        long long outer, long long planes, long long inner, T centre) {
  __shared__ double scratch[WARP];
  const long long plane = blockIdx.x;
  double sum[4] = {0.0, 0.0, 0.0, 0.0}, low = 1.0 / 0.0, high = 1.0 / 0.0;
  for (long long n = threadIdx.x; n < outer * inner; n += blockDim.x) {
    const long long o = n / inner, i = n - o * inner;
    const T value = values[(o * planes + plane) * inner + i];
    const double d = value - centre;
    double power = d;
    for (int p = 0; p < 4; ++p) {
      sum[p] += power;
      power *= d;
    }
    low = min(low, static_cast<double>(value));
    high = min(high, -static_cast<double>(value));
  }
  for (int p = 0; p < 4; ++p) {
    const double total = block_sum(sum[p], scratch);
    if (threadIdx.x == 0) out[p * planes + plane] = total;
  }
  for (int which = 0; which < 2; ++which) {
    double extreme = which ? high : low;
    for (int step = WARP / 2; step > 0; step /= 2) extreme = min(extreme, __shfl_xor_sync(ALL_LANES, extreme, step));
    if (threadIdx.x % WARP == 0) scratch[threadIdx.x / WARP] = extreme;
    __syncthreads();
    for (int w = 0; w < static_cast<int>(blockDim.x) / WARP; ++w) extreme = min(extreme, scratch[w]);
    __syncthreads();
    if (threadIdx.x == 0) out[(4 + which) * planes + plane] = extreme;
  }
}
