// cylinder_march: potential of the charge on one side of every plane, by recursions from plane to plane.
//
//   out[x, k] (+)= Σ over planes x' at distance d = 0, 1, ... on the side:  K[d, k] source[x'] spectrum[x', k]   eq. 69
//   K[d, k] = own_weight own_factor^d + Σ_s weights[2s : 2s + 2] · propagators[s]^d (1, 1) + (near[d] for d < NEAR)
//
// spectrum     (planes, modes) complex T: each plane's two-dimensional spectrum
// out          (planes, modes) complex T; may be spectrum itself unless accumulate
// propagators  (SECTIONS, 4) T: 2 x 2, the same for all modes
// mode_table   (1 + 1 + 2 SECTIONS + NEAR, classes) T: own_factor, own_weight, weights, near
// classes      (modes,) int: the class of each mode
// source       (planes,) T: weight of each plane
// direction    1: the side of smaller x, planes in rising order; -1: of larger x, in falling order
// accumulate   0: out is written; 1: added to
// launch       <<<ceil(modes / BLOCK), BLOCK>>>, BLOCK a multiple of 32 up to 256
// order        each mode by one thread, plane after plane: the same launch gives the same bits
// oracle       device/cpu/cylinder.py cylinder_march; test tests/kernels/test_cylinder.py
// ladder       v1 one section a sweep, its state alone in registers; v2 this: all sections in one sweep
//
// instances
//   cylinder_march<float, 4>
//   cylinder_march<float, 6>
//   cylinder_march<double, 6>
//   cylinder_march<double, 8>
//   cylinder_march<double, 10>
#include "common.cuh"

constexpr int LARGEST_BLOCK = 256;
constexpr int NEAR = 4;
constexpr int HISTORY = NEAR - 1; // planes before the present one that near weights reach
constexpr int BATCH = 4;          // planes in flight

// What lies in shared memory is read again behind this point.
__device__ __forceinline__ void reload_shared() { asm volatile("" ::: "memory"); }

template <typename T> struct Complex;
template <> struct Complex<float> {
  using type = float2;
};
template <> struct Complex<double> {
  using type = double2;
};

template <typename T, int SECTIONS> __global__ void __launch_bounds__(LARGEST_BLOCK)
    cylinder_march(const typename Complex<T>::type *spectrum, typename Complex<T>::type *out,
                   const T *__restrict__ propagators, const T *__restrict__ mode_table, const int *__restrict__ classes,
                   const T *__restrict__ source, long long planes, long long modes, long long n_classes, int direction,
                   int accumulate) {
  using C = typename Complex<T>::type;
  static_assert(BATCH >= HISTORY, "one batch is kept as history");
  __shared__ T propagator[SECTIONS * 4];
  for (int i = threadIdx.x; i < SECTIONS * 4; i += blockDim.x) propagator[i] = propagators[i];
  __syncthreads();
  const long long mode = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (mode >= modes) return;
  const T *of_mode = mode_table + classes[mode];
  const T own_factor = of_mode[0], own_weight = of_mode[n_classes];
  T weight[2 * SECTIONS], near[NEAR];
#pragma unroll
  for (int s = 0; s < 2 * SECTIONS; ++s) weight[s] = of_mode[(2 + s) * n_classes];
#pragma unroll
  for (int d = 0; d < NEAR; ++d) near[d] = of_mode[(2 + 2 * SECTIONS + d) * n_classes];

  C own = {T(0), T(0)}, state[SECTIONS][2], arrived[HISTORY + BATCH];
#pragma unroll
  for (int s = 0; s < SECTIONS; ++s) state[s][0] = state[s][1] = own;
#pragma unroll
  for (int d = 0; d < HISTORY; ++d) arrived[BATCH + d] = own;

  const long long stride = direction * modes;
  long long plane = direction > 0 ? 0 : planes - 1, at = mode + plane * modes;
  for (long long done = 0; done < planes; done += BATCH) {
    C sum[BATCH];
#pragma unroll
    for (int d = 0; d < HISTORY; ++d) arrived[d] = arrived[BATCH + d];
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      C &v = arrived[HISTORY + b];
      v = sum[b] = {T(0), T(0)};
      if (done + b < planes) {
        v = spectrum[at + b * stride];
        const T scale = source[plane + b * direction];
        v.x *= scale;
        v.y *= scale;
        if (accumulate) sum[b] = out[at + b * stride];
      }
    }
    reload_shared(); // propagators in registers for the whole sweep would spill
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      const C v = arrived[HISTORY + b];
      own.x = own_factor * own.x + v.x;
      own.y = own_factor * own.y + v.y;
      sum[b].x += own_weight * own.x;
      sum[b].y += own_weight * own.y;
#pragma unroll
      for (int d = 0; d < NEAR; ++d) {
        sum[b].x += near[d] * arrived[HISTORY + b - d].x;
        sum[b].y += near[d] * arrived[HISTORY + b - d].y;
      }
    }
#pragma unroll
    for (int s = 0; s < SECTIONS; ++s) {
      const T m00 = propagator[4 * s], m01 = propagator[4 * s + 1], m10 = propagator[4 * s + 2],
              m11 = propagator[4 * s + 3], first = weight[2 * s], second = weight[2 * s + 1];
      C one = state[s][0], two = state[s][1];
#pragma unroll
      for (int b = 0; b < BATCH; ++b) {
        const C v = arrived[HISTORY + b], was = one;
        one.x = m00 * was.x + (m01 * two.x + v.x);
        one.y = m00 * was.y + (m01 * two.y + v.y);
        two.x = m10 * was.x + (m11 * two.x + v.x);
        two.y = m10 * was.y + (m11 * two.y + v.y);
        sum[b].x += first * one.x + second * two.x;
        sum[b].y += first * one.y + second * two.y;
      }
      state[s][0] = one;
      state[s][1] = two;
    }
#pragma unroll
    for (int b = 0; b < BATCH; ++b)
      if (done + b < planes) out[at + b * stride] = sum[b];
    at += BATCH * stride;
    plane += BATCH * direction;
  }
}
