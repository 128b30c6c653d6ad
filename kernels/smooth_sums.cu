// smooth_sums: sums over smooth windows along lines and faces and about points.
//
//   out[w] = sum of W v, W v d^2, W v d^4, 0 over the points that window w reaches, d from the point, line or face;
//            of a fit of W v, W v (x - c_x), W v (y - c_y), W v (z - c_z)
//   W      = erfc((d - rho)/(sqrt2 s))/2 times, along a line, the smoothed box of half width h, along a face a Gaussian of
//            standard deviation h; of a fit a Gaussian in all directions
//
// values     (n0, n1, n2) T, C order: the points from (f0, f1, f2) on of a periodic lattice of (p0, p1, p2)
// windows    (windows, 13) double: kind 0 point, 1 line, 2 face, 3 fit; h, s, rho; centre; two unit vectors along it
// reached    (windows, 3, 2) int: first and last point along each axis, before folding into the lattice
// lattice    (12,) double: origin, steps as rows
// partial    (windows, blocks, 4) double, overwritten; the caller adds the blocks
// launch     <<<(blocks, windows), threads>>>, threads a multiple of 32 up to 128
// order      a warp takes lines along the last axis, one a grid farther on; lanes by a fixed tree, no atomics
// oracle     device/cpu/features.py smooth_sums; test tests/kernels/test_smooth_sums.py
// ladder     v1 a thread a window; v2 this: a warp a line of points
//
// instances
//   smooth_sums<float>
//   smooth_sums<double>
#include "common.cuh"

constexpr int BLOCK = 128;

template <typename T> __global__ void __launch_bounds__(BLOCK, 4)
    smooth_sums(const T *__restrict__ values, double *__restrict__ partial, const double *__restrict__ windows,
                const int *__restrict__ reached, const double *__restrict__ lattice, int n0, int n1, int n2, int p0,
                int p1, int p2, int f0, int f1, int f2) {
  __shared__ double scratch[BLOCK / WARP];
  const double *const window = windows + 13 * blockIdx.y;
  const int *const ends = reached + 6 * blockIdx.y;
  const int kind = static_cast<int>(window[0]);
  const double half = window[1], rho = window[3], scale = 1.0 / (sqrt(2.0) * window[2]);
  const double narrow = -0.5 / (half * half);
  const int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
  const int low_b = ends[2], count_b = ends[3] - low_b + 1, lines = (ends[1] - ends[0] + 1) * count_b;
  double sums[4] = {0.0, 0.0, 0.0, 0.0};
  for (int line = blockIdx.x * warps + threadIdx.x / WARP; line < lines; line += gridDim.x * warps) {
    const int a = ends[0] + line / count_b, b = low_b + line % count_b;
    const int i = (a % p0 + p0) % p0 - f0, j = (b % p1 + p1) % p1 - f1;
    if (i < 0 || i >= n0 || j < 0 || j >= n1) continue;
    const T *const row = values + (static_cast<long long>(i) * n1 + j) * n2;
    for (int c = ends[4] + lane; c <= ends[5]; c += WARP) {
      const int k = (c % p2 + p2) % p2 - f2;
      if (k < 0 || k >= n2) continue;
      double apart[3], square = 0.0;
#pragma unroll
      for (int x = 0; x < 3; ++x) {
        apart[x] = lattice[x] - window[4 + x] + a * lattice[3 + x] + b * lattice[6 + x] + c * lattice[9 + x];
        square += apart[x] * apart[x];
      }
      double weight, across = 0.0;
      if (kind == 3) {
        weight = exp(narrow * square);
      } else {
        double first = 0.0, second = 0.0;
        if (kind >= 1) first = apart[0] * window[7] + apart[1] * window[8] + apart[2] * window[9];
        if (kind == 2) second = apart[0] * window[10] + apart[1] * window[11] + apart[2] * window[12];
        const double along = first * first + second * second;
        across = fmax(square - along, 0.0);
        weight = 0.5 * erfc((sqrt(across) - rho) * scale);
        if (kind == 1) weight *= 0.5 * (erfc((first - half) * scale) - erfc((first + half) * scale));
        if (kind == 2) weight *= exp(narrow * along);
      }
      weight *= row[k];
      sums[0] += weight;
      if (kind == 3) {
#pragma unroll
        for (int x = 0; x < 3; ++x) sums[1 + x] += weight * apart[x];
      } else {
        sums[1] += weight * across;
        sums[2] += weight * across * across;
      }
    }
  }
  partial += (static_cast<long long>(blockIdx.y) * gridDim.x + blockIdx.x) * 4;
#pragma unroll
  for (int which = 0; which < 4; ++which) {
    const double total = block_sum(sums[which], scratch);
    if (threadIdx.x == 0) partial[which] = total;
  }
}
