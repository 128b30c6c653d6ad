// box_coarse, v1: a thread has one output and adds up its whole window, tap by tap along all three axes.
//
//   out[A, B, C] = sum over a, b, c of W_a[a] W_b[b] W_c[c] (v[A step_a + start_a + a, ..] - centre)^power
//
// values  (n_a, n_b, n_c) T, C order, periodic
// out     (n_out_a, n_out_b, n_out_c) T, written; one window, one power
// taps    (counts[0] + counts[1] + counts[2]) double: weights along a, b, c, scale included
// shape   int: for each axis n, n_out, step, start in 0 .. n - 1, taps
// launch  <<<ceil(outputs / 128), 128>>>, 8 blocks at a time: left alone, sm_103 makes room for more, and spills
// order   fixed: c innermost, in double
// oracle  device/cpu/windows.py box_sums; test tests/kernels/test_box_coarse.py
// ladder  v1 (this) of box_coarse.cu: (width/step)^3 reads of every value
//
// instances
//   box_coarse_v1<float>
//   box_coarse_v1<double>
#include "common.cuh"

template <typename T> __global__ void __launch_bounds__(128, 8)
    box_coarse_v1(const T *__restrict__ values, T *__restrict__ out, const double *__restrict__ taps,
                  const int *__restrict__ shape, double centre, int power) {
  const int *const a = shape, *const b = shape + 5, *const c = shape + 10;
  const long long number = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (number >= static_cast<long long>(a[1]) * b[1] * c[1]) return;
  // Numbers along one axis are int, as its sizes are.
  const int at_c = static_cast<int>(number % c[1]), at_b = static_cast<int>(number / c[1] % b[1]);
  const int at_a = static_cast<int>(number / c[1] / b[1]);
  double sum = 0.0;
  for (int i = 0; i < a[4]; ++i) {
    const long long plane = (at_a * a[2] + a[3] + i) % a[0];
    for (int j = 0; j < b[4]; ++j) {
      const long long row = plane * b[0] + (at_b * b[2] + b[3] + j) % b[0];
      double line = 0.0;
      for (int k = 0; k < c[4]; ++k) {
        const double deviation = values[row * c[0] + (at_c * c[2] + c[3] + k) % c[0]] - centre;
        line += taps[a[4] + b[4] + k] * (power == 1 ? deviation : deviation * deviation);
      }
      sum += taps[i] * taps[a[4] + j] * line;
    }
  }
  out[number] = T(sum);
}
