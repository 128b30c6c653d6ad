// cylinder_march: potential of the charge on one side of every plane, by recursions from plane to plane.
// cylinder_end_states: the states of the recursions behind the last plane, for whoever marches on from there.
//
//   out[x, k] (+)= Σ over planes x' at distance d = 0, 1, ... on the side:  K[d, k] source[x'] spectrum[x', k]   eq. 69
//   K[d, k] = own_weight own_factor^d + Σ_s weights[2s : 2s + 2] · propagators[s]^d (1, 1) + (near[d] for d < NEAR)
//   state   = Σ own_factor^d a,  Σ_x' propagators[s]^d (1, 1) a  with a = source[x'] spectrum[x'], d from the last plane,
//             and a of the last HISTORY planes, the last one first (zero where there is none)
//
// spectrum     (planes, modes) complex T: each plane's two-dimensional spectrum
// out          (planes, modes) complex T; may be spectrum itself unless accumulate
// propagators  (SECTIONS, 4) T: 2 x 2, the same for all modes
// mode_table   (1 + 1 + 2 SECTIONS + NEAR, classes) T: own_factor, own_weight, weights, near
// classes      (modes,) int: the class of each mode
// source       (planes,) T: weight of each plane
// incoming     (1 + 2 SECTIONS + HISTORY, modes) complex T: state behind the plane before the first; null: nothing there
// states       as incoming, written: behind the last plane, from zero before the first
// direction    1: the side of smaller x, planes in rising order; -1: of larger x, in falling order
// accumulate   0: out is written; 1: added to
// launch       <<<ceil(modes / BLOCK), BLOCK>>>, BLOCK a multiple of 32 up to 256
// order        each mode by one thread, plane after plane: the same launch gives the same bits
// oracle       device/cpu/cylinder.py march_modes, march_end_states; test tests/kernels/test_cylinder.py
// ladder       v1 one section a sweep, its state alone in registers; v2 this: all sections in one sweep
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

  __device__ __forceinline__ void resume(const C *incoming, long long modes) {
    own = incoming[0];
#pragma unroll
    for (int s = 0; s < SECTIONS; ++s) {
      state[s][0] = incoming[(1 + 2 * s) * modes];
      state[s][1] = incoming[(2 + 2 * s) * modes];
    }
#pragma unroll
    for (int d = 0; d < HISTORY; ++d) arrived[BATCH + HISTORY - 1 - d] = incoming[(1 + 2 * SECTIONS + d) * modes];
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
                   const T *__restrict__ source, const typename Complex<T>::type *__restrict__ incoming,
                   long long planes, long long modes, long long n_classes, int direction, int accumulate) {
  static_assert(BATCH >= HISTORY, "one batch is kept as history");
  __shared__ T propagator[SECTIONS * 4];
  for (int i = threadIdx.x; i < SECTIONS * 4; i += blockDim.x) propagator[i] = propagators[i];
  __syncthreads();
  const long long mode = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (mode >= modes) return;
  March<T, SECTIONS> march(mode_table + classes[mode], n_classes);
  if (incoming) march.resume(incoming + mode, modes);

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

template <typename T, int SECTIONS> struct States {
  using C = typename Complex<T>::type;
  T own_factor;
  C own, state[SECTIONS][2];

  template <int COUNT> __device__ __forceinline__ void advance(const C *in, const T *source, const T *propagator,
                                                               long long stride, int direction) {
    C arrived[COUNT];
#pragma unroll
    for (int b = 0; b < COUNT; ++b) arrived[b] = in[b * stride];
    reload_shared();
#pragma unroll
    for (int b = 0; b < COUNT; ++b) {
      const T scale = source[b * direction];
      arrived[b].x *= scale;
      arrived[b].y *= scale;
      own.x = own_factor * own.x + arrived[b].x;
      own.y = own_factor * own.y + arrived[b].y;
    }
#pragma unroll
    for (int s = 0; s < SECTIONS; ++s) {
      const T m00 = propagator[4 * s], m01 = propagator[4 * s + 1], m10 = propagator[4 * s + 2],
              m11 = propagator[4 * s + 3];
      C one = state[s][0], two = state[s][1];
#pragma unroll
      for (int b = 0; b < COUNT; ++b) {
        const C v = arrived[b], was = one;
        one.x = m00 * was.x + (m01 * two.x + v.x);
        one.y = m00 * was.y + (m01 * two.y + v.y);
        two.x = m10 * was.x + (m11 * two.x + v.x);
        two.y = m10 * was.y + (m11 * two.y + v.y);
      }
      state[s][0] = one;
      state[s][1] = two;
    }
  }
};

// Of one block at least: for two, registers would spill.
template <typename T, int SECTIONS> __global__ void __launch_bounds__(LARGEST_BLOCK, 1)
    cylinder_end_states(const typename Complex<T>::type *__restrict__ spectrum,
                        typename Complex<T>::type *__restrict__ states, const T *__restrict__ propagators,
                        const T *__restrict__ mode_table, const int *__restrict__ classes, const T *__restrict__ source,
                        long long planes, long long modes, int direction) {
  using C = typename Complex<T>::type;
  __shared__ T propagator[SECTIONS * 4];
  for (int i = threadIdx.x; i < SECTIONS * 4; i += blockDim.x) propagator[i] = propagators[i];
  __syncthreads();
  const long long mode = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (mode >= modes) return;
  States<T, SECTIONS> sum = {};
  sum.own_factor = mode_table[classes[mode]];

  const long long stride = direction * modes;
  const C *in = spectrum + (direction > 0 ? 0 : planes - 1) * modes + mode;
  source += direction > 0 ? 0 : planes - 1;
  long long left = planes;
  for (; left % BATCH; --left) { // first, so that all that follow are whole batches
    sum.template advance<1>(in, source, propagator, stride, direction);
    in += stride;
    source += direction;
  }
  for (; left > 0; left -= BATCH) {
    sum.template advance<BATCH>(in, source, propagator, stride, direction);
    in += BATCH * stride;
    source += BATCH * direction;
  }

  C *to = states + mode;
  to[0] = sum.own;
#pragma unroll
  for (int s = 0; s < SECTIONS; ++s) {
    to[(1 + 2 * s) * modes] = sum.state[s][0];
    to[(2 + 2 * s) * modes] = sum.state[s][1];
  }
  for (int d = 0; d < HISTORY; ++d) { // in and source stand behind the last plane
    C last = {T(0), T(0)};
    if (d < planes) {
      const T scale = source[-(d + 1) * direction];
      last = in[-(d + 1) * stride];
      last.x *= scale;
      last.y *= scale;
    }
    to[(1 + 2 * SECTIONS + d) * modes] = last;
  }
}
