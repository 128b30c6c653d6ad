// spectral_multiply: every mode of a half spectrum times its factor, in place.
//
//   modes[k0, i, k2] *= m(k0, first + i, k2)                                 multiplier.cuh; eqs. 16-20 in Fourier space
//
// modes          (batch, n0, n_rows, n2/2 + 1) complex, C order; all of the batch have the same factors: the rows
//                first .. first + n_rows - 1 of the n1 of the second axis, all of them or those of a slab
// parts .. radial  the multiplier, see multiplier.cuh
// launch         <<<blocks, 256>>>, any number of blocks; a warp takes a row of modes, then one a grid farther on
// order          each mode by itself
// oracle         fft.Multiplier.plane; test tests/kernels/test_spectral.py
// ladder         v1 a thread a mode; v2 this: a warp a row, four modes of a lane in flight
//
// instances
//   spectral_multiply<float>
//   spectral_multiply<double>
#include "multiplier.cuh"

constexpr int BLOCK = 256;
constexpr int IN_FLIGHT = 4;

// Blocks on a multiprocessor that leave a thread 64 registers for float, 80 for double: with more blocks some spill.
template <typename T> constexpr int RESIDENT = sizeof(T) == 4 ? 4 : 3;

template <typename T> __global__ void __launch_bounds__(BLOCK, RESIDENT<T>)
    spectral_multiply(Complex<T> *modes, long long batch, int n0, int n1, int n2, int first, int n_rows, int parts,
                      const T *__restrict__ numbers, const Complex<T> *__restrict__ tables,
                      const T *__restrict__ radial) {
  const Multiplier<T> multiplier{parts, n0, n1, n2, numbers, tables, radial};
  const int lane = threadIdx.x % WARP, width = n2 / 2 + 1;
  const long long warps = static_cast<long long>(gridDim.x) * (BLOCK / WARP), rows = batch * n0 * n_rows;
  for (long long row = blockIdx.x * (BLOCK / WARP) + threadIdx.x / WARP; row < rows; row += warps) {
    const int k1 = first + static_cast<int>(row % n_rows), k0 = static_cast<int>(row / n_rows % n0);
    Complex<T> *at = modes + row * width;
    for (int start = lane; start < width; start += WARP * IN_FLIGHT) {
      Complex<T> v[IN_FLIGHT];
#pragma unroll
      for (int i = 0; i < IN_FLIGHT; ++i)
        if (start + i * WARP < width) v[i] = at[start + i * WARP];
#pragma unroll
      for (int i = 0; i < IN_FLIGHT; ++i) {
        const int k2 = start + i * WARP;
        if (k2 >= width) continue;
        if (multiplier.nyquist(k0, k1, k2))
          at[k2] = times<T>(v[i], multiplier.mean(k0, k1, k2));
        else
          at[k2] = multiplier.product(v[i], multiplier.column(k1, k2, 0), T(multiplier.mode(k0, n0)), k0);
      }
    }
  }
}
