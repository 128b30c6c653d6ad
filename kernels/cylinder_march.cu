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

template <typename T, int SECTIONS> struct March {
  using C = typename Complex<T>::type;
  T own_factor, own_weight, weight[2 * SECTIONS], near[NEAR];
  C own, state[SECTIONS][2], arrived[HISTORY + BATCH];

  __device__ __forceinline__ March(const T *of_mode, long long n_classes) {
    own_factor = of_mode[0];
    own_weight = of_mode[n_classes];
#pragma unroll
    for (int s = 0; s < 2 * SECTIONS; ++s) weight[s] = of_mode[(2 + s) * n_classes];
#pragma unroll
    for (int d = 0; d < NEAR; ++d) near[d] = of_mode[(2 + 2 * SECTIONS + d) * n_classes];
    own = {T(0), T(0)};
#pragma unroll
    for (int s = 0; s < SECTIONS; ++s) state[s][0] = state[s][1] = own;
#pragma unroll
    for (int d = 0; d < HISTORY; ++d) arrived[BATCH + d] = own;
  }

  // `count` planes, all of a batch where WHOLE.
  template <bool WHOLE> __device__ __forceinline__ void advance(const C *in, C *out, const T *source,
                                                                const T *propagator, long long stride, int direction,
                                                                int accumulate, int count) {
    C sum[BATCH];
#pragma unroll
    for (int d = 0; d < HISTORY; ++d) arrived[d] = arrived[BATCH + d];
#pragma unroll
    for (int b = 0; b < BATCH; ++b) arrived[HISTORY + b] = WHOLE || b < count ? in[b * stride] : C{T(0), T(0)};
#pragma unroll
    for (int b = 0; b < BATCH; ++b) sum[b] = accumulate && (WHOLE || b < count) ? out[b * stride] : C{T(0), T(0)};
    reload_shared(); // propagators in registers for the whole sweep would spill
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      const T scale = WHOLE || b < count ? source[b * direction] : T(0);
      C &v = arrived[HISTORY + b];
      v.x *= scale;
      v.y *= scale;
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
              m11 = propagator[4 * s + 3];
      C one = state[s][0], two = state[s][1];
#pragma unroll
      for (int b = 0; b < BATCH; ++b) {
        const C v = arrived[HISTORY + b], was = one;
        one.x = m00 * was.x + (m01 * two.x + v.x);
        one.y = m00 * was.y + (m01 * two.y + v.y);
        two.x = m10 * was.x + (m11 * two.x + v.x);
        two.y = m10 * was.y + (m11 * two.y + v.y);
        sum[b].x = weight[2 * s] * one.x + sum[b].x;
        sum[b].y = weight[2 * s] * one.y + sum[b].y;
        sum[b].x = weight[2 * s + 1] * two.x + sum[b].x;
        sum[b].y = weight[2 * s + 1] * two.y + sum[b].y;
      }
      state[s][0] = one;
      state[s][1] = two;
    }
#pragma unroll
    for (int b = 0; b < BATCH; ++b)
      if (WHOLE || b < count) out[b * stride] = sum[b];
  }
};

template <typename T, int SECTIONS> __global__ void __launch_bounds__(LARGEST_BLOCK)
    cylinder_march(const typename Complex<T>::type *spectrum, typename Complex<T>::type *out,
                   const T *__restrict__ propagators, const T *__restrict__ mode_table, const int *__restrict__ classes,
                   const T *__restrict__ source, long long planes, long long modes, long long n_classes, int direction,
                   int accumulate) {
  static_assert(BATCH >= HISTORY, "one batch is kept as history");
  __shared__ T propagator[SECTIONS * 4];
  for (int i = threadIdx.x; i < SECTIONS * 4; i += blockDim.x) propagator[i] = propagators[i];
  __syncthreads();
  const long long mode = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (mode >= modes) return;
  March<T, SECTIONS> march(mode_table + classes[mode], n_classes);

  const long long stride = direction * modes, first = direction > 0 ? 0 : planes - 1;
  const typename Complex<T>::type *in = spectrum + first * modes + mode;
  typename Complex<T>::type *to = out + first * modes + mode;
  source += first;
  long long left = planes;
  for (; left >= BATCH; left -= BATCH) {
    march.template advance<true>(in, to, source, propagator, stride, direction, accumulate, BATCH);
    in += BATCH * stride;
    to += BATCH * stride;
    source += BATCH * direction;
  }
  if (left > 0)
    march.template advance<false>(in, to, source, propagator, stride, direction, accumulate, static_cast<int>(left));
}
