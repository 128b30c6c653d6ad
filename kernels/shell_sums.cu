// shell_sums: sums over the modes of a spectrum by shells of |k|.
//
//   out[s] = sum of w, w |k| or w |f|^2 over the modes with round(|k|/width) = s
//   |k|^2  = sum of g_ii m_i^2 + 2 (g_01 t_0 t_1 + g_02 t_0 t_2 + g_12 t_1 t_2),  m, t of each axis; w of the last one
//
// spectrum   (n0, n1, n2) complex, C order
// tables     (2 (n0 + n1 + n2) + n2,) double: m of the three axes, t of the three axes, w
// metric     (6,) double: g_00 g_11 g_22 g_01 g_02 g_12
// what       0, 1, 2: w, w |k|, w |f|^2
// first, count  the shells that are added up in this launch
// partial    (blocks, n_shells) double, [first, first + count) of it overwritten; the caller adds the blocks
// launch     <<<blocks, 32>>>, any number of blocks; dynamic shared memory: count doubles
// order      a block takes lines of the last axis, one a grid farther on, 32 modes at a time. Each lane owns the shells
//            of its number modulo 32 and adds to them what the 32 hold, in their order: no atomics
// oracle     device/cpu/spectral.py shell_sums; test tests/kernels/test_shell_sums.py
// ladder     v1 a thread a shell, which looks at every mode; v2 this
//
// instances
//   shell_sums<float>
//   shell_sums<double>
#include "multiplier.cuh"

template <typename T> __global__ void __launch_bounds__(WARP)
    shell_sums(const Complex<T> *__restrict__ spectrum, double *__restrict__ partial, const double *__restrict__ tables,
               const double *__restrict__ metric, int n0, int n1, int n2, int what, int first, int count, int n_shells,
               double inverse_width) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  __shared__ double amounts[WARP];
  __shared__ int shells[WARP];
  double *const sums = reinterpret_cast<double *>(shared_bytes);
  const int lane = threadIdx.x;
  const double *const signs = tables + n0 + n1 + n2, *const weights = signs + n0 + n1 + n2;
  for (int s = lane; s < count; s += WARP) sums[s] = 0.0;
  const int lines = n0 * n1;
  for (int line = blockIdx.x; line < lines; line += gridDim.x) {
    const int i = line / n1, j = line - i * n1;
    const double a = tables[i], b = tables[n0 + j], t_a = signs[i], t_b = signs[n0 + j];
    const double square = metric[0] * a * a + metric[1] * b * b + 2.0 * metric[3] * t_a * t_b;
    const double cross = 2.0 * (metric[4] * t_a + metric[5] * t_b);
    const Complex<T> *const row = spectrum + static_cast<long long>(line) * n2;
    for (int start = 0; start < n2; start += WARP) {
      const int k2 = start + lane;
      int shell = -1;
      double amount = 0.0;
      if (k2 < n2) {
        const double c = tables[n0 + n1 + k2];
        const double k = sqrt(fmax(square + metric[2] * c * c + cross * signs[n0 + n1 + k2], 0.0));
        shell = static_cast<int>(rint(k * inverse_width)) - first;
        amount = weights[k2];
        if (what == 1) amount *= k;
        if (what == 2) {
          const Complex<T> f = row[k2];
          amount *= static_cast<double>(f.x) * f.x + static_cast<double>(f.y) * f.y;
        }
      }
      shells[lane] = shell < count ? shell : -1;
      amounts[lane] = amount;
      __syncthreads();
      for (int e = 0; e < WARP; ++e) {
        const int s = shells[e];
        if (s >= 0 && s % WARP == lane) sums[s] += amounts[e];
      }
      __syncthreads();
    }
  }
  for (int s = lane; s < count; s += WARP) partial[static_cast<long long>(blockIdx.x) * n_shells + first + s] = sums[s];
}
