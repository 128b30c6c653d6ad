// walk: a window that slides along a periodic line, output by output, without drift.
//
//   out[p] = sum over s < E of head[s] v[p + at_head + s] + tail[s] v[p + at_tail + s]
//            + the sum of `rest` values from p + at_ones on + laps * the sum of all n values
//
// Positions are modulo n. The ones reach to the end of the tail, whose weights are less one for that: what enters the
// ones and what leaves them for the head are then the newest values of either end.
#include "neighbours.cuh"

// A window along one axis; positions in 0 .. n - 1. Weights are read from the launch's constants.
template <typename T, int E> struct Line {
  T head[E], tail[E];
  int at_head, at_tail, at_ones, rest, laps;
};

// A sum and what its additions rounded off, exact where the sum is not smaller than what is added (Dekker); where it
// is, the error is one rounding of what is added, as in a difference.
template <typename T> struct Sum {
  T sum = T(0), error = T(0);

  __device__ __forceinline__ void add(T value) {
    const T before = sum;
    sum = before + value;
    error += value - (sum - before);
  }
  __device__ __forceinline__ void repeat(int times) {
    const T product = sum * times;
    error = error * times + fma(sum, T(times), -product);
    sum = product;
  }
};

// Walk along a line, output by output. OPPOSITE: head and tail are each other's negative, so that one product serves.
template <typename T, int E, bool OPPOSITE = false> struct Walk {
  Sum<T> ones; // of the last output
  T begun[E];  // of the ends' sums: of the last output, and of those of which some values are known

  __device__ __forceinline__ void start() {
#pragma unroll
    for (int s = 0; s < E; ++s) begun[s] = T(0);
  }
  // Values of the ends that come before the first output's newest.
  __device__ __forceinline__ void prepare(T leaves, T enters, const Line<T, E> &along) {
#pragma unroll
    for (int s = 0; s < E; ++s) {
      const T later = s + 1 < E ? begun[s + 1 < E ? s + 1 : 0] : T(0);
      if (OPPOSITE)
        begun[s] = along.tail[E - 1 - s] * (enters - leaves) + later;
      else
        begun[s] = along.head[E - 1 - s] * leaves + (along.tail[E - 1 - s] * enters + later);
    }
  }
  // The next output, whose newest values of head and tail are these. Times scale, if the weights are.
  __device__ __forceinline__ T next(T leaves, T enters, const Line<T, E> &along, T scale = T(1)) {
    ones.add(enters - leaves);
    if (E == 1) return scale * ones.sum + (along.head[0] * leaves + (along.tail[0] * enters + scale * ones.error));
    prepare(leaves, enters, along);
    return scale * ones.sum + (scale * ones.error + begun[0]);
  }
};

// Position modulo n of one in 0 .. 2n - 1.
__device__ __forceinline__ int wrapped(int x, int n) {
  return static_cast<int>(min(static_cast<unsigned>(x), static_cast<unsigned>(x - n)));
}

// Adds to each lane's value that of the lane `step` below, where there is one.
__device__ __forceinline__ void add_from_below(float &value, int step) {
#ifdef CUDA_ON_CPU
  const float below = __shfl_up_sync(ALL_LANES, value, step);
  if (static_cast<int>(threadIdx.x % WARP) >= step) value += below;
#else
  asm volatile("{ .reg .pred is_there; .reg .f32 below; shfl.sync.up.b32 below|is_there, %0, %1, 0, 0xffffffff;"
               " @is_there add.f32 %0, %0, below; }"
               : "+f"(value)
               : "r"(step));
#endif
}
__device__ __forceinline__ void add_from_below(double &value, int step) {
  const double below = __shfl_up_sync(ALL_LANES, value, step);
  if (static_cast<int>(threadIdx.x % WARP) >= step) value += below;
}

// A lane's part of a sum: of `count` values it has every WARP-th in its order, the first at `own`, the next `apart`.
template <int AT_ONCE, typename T>
__device__ __forceinline__ T sum_apart(const T *own, int apart, int count, int lane) {
  T sum = T(0);
#pragma unroll 1
  for (int i = lane; i < count; i += AT_ONCE * WARP, own += AT_ONCE * apart) {
#pragma unroll
    for (int a = 0; a < AT_ONCE; ++a)
      if (i + a * WARP < count) sum += own[a * apart];
  }
  return sum;
}
