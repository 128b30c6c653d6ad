// cylinder_march, v1: one section a sweep over the planes, out read and written each time.
// Contract: ../cylinder_march.cu; out may not be spectrum.
//
// launch   as ../cylinder_march.cu
// order    as ../cylinder_march.cu, sections one after another
// oracle   device/cpu/cylinder.py cylinder_march; test tests/kernels/test_cylinder.py
// ladder   v1, this
//
// instances
//   cylinder_march<float, 4>
//   cylinder_march<float, 6>
//   cylinder_march<double, 6>
//   cylinder_march<double, 8>
//   cylinder_march<double, 10>
#include "common.cuh"

constexpr int NEAR = 4;

template <typename T, int SECTIONS> __global__ void cylinder_march(const T *spectrum, T *out, const T *propagators,
                                                                   const T *mode_table, const int *classes,
                                                                   const T *source, long long planes, long long modes,
                                                                   long long n_classes, int direction, int accumulate) {
  const long long mode = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (mode >= modes) return;
  const T *of_mode = mode_table + classes[mode];
  const T *near = of_mode + (2 + 2 * SECTIONS) * n_classes;
  const long long first = direction > 0 ? 0 : planes - 1;
  for (int part = 0; part < 2; ++part) {
    for (long long step = 0; step < planes; ++step) {
      T sum = T(0);
      for (int d = 0; d < NEAR && d <= step; ++d) {
        const long long from = first + direction * (step - d);
        sum += near[d * n_classes] * source[from] * spectrum[2 * (from * modes + mode) + part];
      }
      T *to = out + 2 * ((first + direction * step) * modes + mode) + part;
      *to = accumulate ? *to + sum : sum;
    }
    for (int s = -1; s < SECTIONS; ++s) {
      T one = T(0), two = T(0);
      for (long long step = 0; step < planes; ++step) {
        const long long at = first + direction * step, place = 2 * (at * modes + mode) + part;
        const T v = source[at] * spectrum[place];
        if (s < 0) {
          one = of_mode[0] * one + v;
          out[place] += of_mode[n_classes] * one;
        } else {
          const T *m = propagators + 4 * s, *weight = of_mode + (2 + 2 * s) * n_classes;
          const T next = m[0] * one + m[1] * two + v;
          two = m[2] * one + m[3] * two + v;
          one = next;
          out[place] += weight[0] * one + weight[n_classes] * two;
        }
      }
    }
  }
}
