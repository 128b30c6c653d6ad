// spectral_multiply, first rung: a thread takes a mode.
//
// contract       that of ../spectral_multiply.cu
// launch         <<<ceil(modes / 256), 256>>>
//
// instances
//   spectral_multiply<float>
//   spectral_multiply<double>
#include "multiplier.cuh"

template <typename T> __global__ void spectral_multiply(Complex<T> *modes, long long batch, int n0, int n1, int n2,
                                                        int first, int n_rows, int parts, const T *__restrict__ numbers,
                                                        const Complex<T> *__restrict__ tables,
                                                        const T *__restrict__ radial) {
  const Multiplier<T> multiplier{parts, n0, n1, n2, numbers, tables, radial};
  const int width = n2 / 2 + 1;
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= batch * n0 * n_rows * width) return;
  const long long row = i / width;
  const int k2 = static_cast<int>(i % width), k1 = first + static_cast<int>(row % n_rows),
            k0 = static_cast<int>(row / n_rows % n0);
  modes[i] = times<T>(modes[i], multiplier.mean(k0, k1, k2));
}
