// cylinder_march, v1: one section a sweep over the planes, out read and written each time.
// cylinder_end_states, v1: one section a sweep, plane by plane.
// Contract: ../cylinder_march.cu; out may not be spectrum.
//
// launch   as ../cylinder_march.cu
// order    as ../cylinder_march.cu, sections one after another
// oracle   device/cpu/cylinder.py march_modes, march_end_states; test tests/kernels/test_cylinder.py
// ladder   v1, this
//
// instances
//   cylinder_march<float, 4>
//   cylinder_march<float, 6>
//   cylinder_march<double, 6>
//   cylinder_march<double, 8>
//   cylinder_march<double, 10>
//   cylinder_end_states<float, 4>
//   cylinder_end_states<float, 6>
//   cylinder_end_states<double, 6>
//   cylinder_end_states<double, 8>
//   cylinder_end_states<double, 10>
#include "common.cuh"

constexpr int NEAR = 4;
constexpr int HISTORY = NEAR - 1;

template <typename T, int SECTIONS>
__global__ void cylinder_march(const T *spectrum, T *out, const T *propagators, const T *mode_table, const int *classes,
                               const T *source, const T *incoming, long long planes, long long modes,
                               long long n_classes, int direction, int accumulate) {
  const long long mode = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (mode >= modes) return;
  const T *of_mode = mode_table + classes[mode];
  const T *near = of_mode + (2 + 2 * SECTIONS) * n_classes;
  const long long first = direction > 0 ? 0 : planes - 1;
  for (int part = 0; part < 2; ++part) {
    for (long long step = 0; step < planes; ++step) {
      T sum = T(0);
      for (int d = 0; d < NEAR; ++d) {
        const long long from = first + direction * (step - d), before = d - step - 1;
        if (before < 0)
          sum += near[d * n_classes] * source[from] * spectrum[2 * (from * modes + mode) + part];
        else if (incoming)
          sum += near[d * n_classes] * incoming[2 * ((1 + 2 * SECTIONS + before) * modes + mode) + part];
      }
      T *to = out + 2 * ((first + direction * step) * modes + mode) + part;
      *to = accumulate ? *to + sum : sum;
    }
    for (int s = -1; s < SECTIONS; ++s) {
      T one = incoming ? incoming[2 * ((s < 0 ? 0 : 1 + 2 * s) * modes + mode) + part] : T(0);
      T two = incoming && s >= 0 ? incoming[2 * ((2 + 2 * s) * modes + mode) + part] : T(0);
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

template <typename T, int SECTIONS>
__global__ void cylinder_end_states(const T *spectrum, T *states, const T *propagators, const T *mode_table,
                                    const int *classes, const T *source, long long planes, long long modes,
                                    int direction) {
  const long long mode = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (mode >= modes) return;
  const T own_factor = mode_table[classes[mode]];
  const long long first = direction > 0 ? 0 : planes - 1;
  for (int part = 0; part < 2; ++part) {
    for (int s = -1; s < SECTIONS; ++s) {
      T one = T(0), two = T(0);
      for (long long step = 0; step < planes; ++step) {
        const long long at = first + direction * step;
        const T v = source[at] * spectrum[2 * (at * modes + mode) + part];
        if (s < 0) {
          one = own_factor * one + v;
        } else {
          const T *m = propagators + 4 * s;
          const T next = m[0] * one + m[1] * two + v;
          two = m[2] * one + m[3] * two + v;
          one = next;
        }
      }
      states[2 * ((s < 0 ? 0 : 1 + 2 * s) * modes + mode) + part] = one;
      if (s >= 0) states[2 * ((2 + 2 * s) * modes + mode) + part] = two;
    }
    for (long long d = 0; d < HISTORY; ++d) {
      const long long at = first + direction * (planes - 1 - d);
      states[2 * ((1 + 2 * SECTIONS + d) * modes + mode) + part] =
          d < planes ? source[at] * spectrum[2 * (at * modes + mode) + part] : T(0);
    }
  }
}
