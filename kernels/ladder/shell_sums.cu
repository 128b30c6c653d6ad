// shell_sums, v1: a thread a shell, which looks at every mode.
//
//   out[s] = sum of w |f|^2 over the modes with round(|k|/width) = s,  w = 2 but for the first of a line
//
// spectrum   (n_modes,) complex, C order, lines of n2
// k          (n_modes,) double
// launch     <<<ceil(n_shells / threads), threads>>>
// order      the modes in their order
// oracle     device/cpu/spectral.py shell_sums; test tests/kernels/test_shell_sums.py
// ladder     v1 (this) of shell_sums.cu: the whole spectrum read for each shell
//
// instances
//   shell_sums_v1<float>
//   shell_sums_v1<double>
#include "multiplier.cuh"

template <typename T> __global__ void shell_sums_v1(const Complex<T> *__restrict__ spectrum, double *__restrict__ out,
                                                    const double *__restrict__ k, long long n_modes, int n2,
                                                    int n_shells, double width) {
  const int shell = blockIdx.x * blockDim.x + threadIdx.x;
  if (shell >= n_shells) return;
  double sum = 0.0;
  for (long long i = 0; i < n_modes; ++i) {
    if (static_cast<int>(rint(k[i] / width)) != shell) continue;
    const double x = spectrum[i].x, y = spectrum[i].y;
    sum += (i % n2 == 0 ? 1.0 : 2.0) * (x * x + y * y);
  }
  out[shell] = sum;
}
