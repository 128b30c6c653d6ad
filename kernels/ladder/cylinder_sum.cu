// cylinder_sum, v1: one thread a point, everything in double. Contract: ../cylinder_sum.cu
//
// launch   <<<(ceil(n_points / BLOCK), 1, 1), BLOCK>>>; one slice; n_points in place of the grid's size
// order    plane after plane, disc point after disc point, in double
// oracle   device/cpu/cylinder.py cylinder_sum; test tests/kernels/test_cylinder.py
// ladder   v1, this
//
// instances
//   cylinder_sum<float>
//   cylinder_sum<double>
#include "common.cuh"

template <typename T> __global__ void cylinder_sum(const T *values, const long long *points, const int *offsets,
                                                   const T *squared, const T *ends, const T *source, double *parts,
                                                   long long planes, int n_first, int n_second, long long normal,
                                                   long long first, long long second, long long n_disc, int n_ends,
                                                   int periodic, T step, T own, long long n_points) {
  const long long p = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (p >= n_points) return;
  const long long *point = points + 3 * p;
  double sums[2] = {0.0, 0.0};
  for (long long x = 0; x < planes; ++x) {
    const long long away = x < point[0] ? point[0] - x : x - point[0];
    const double end = away < n_ends ? ends[away] : 1.0, distance = static_cast<double>(step) * away;
    for (long long j = 0; j < n_disc; ++j) {
      long long a = point[1] + offsets[2 * j], b = point[2] + offsets[2 * j + 1];
      if (periodic) {
        a = (a % n_first + n_first) % n_first;
        b = (b % n_second + n_second) % n_second;
      } else if (a < 0 || b < 0 || a >= n_first || b >= n_second) {
        continue;
      }
      const double r2 = squared[j] + distance * distance;
      const double term = end * values[x * normal + a * first + b * second] * (r2 > 0.0 ? 1.0 / sqrt(r2) : own);
      if (x <= point[0]) sums[0] += source[x] * term;
      if (x >= point[0]) sums[1] += source[planes + x] * term;
    }
  }
  parts[2 * p] = sums[0];
  parts[2 * p + 1] = sums[1];
}
