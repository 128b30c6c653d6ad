// interval_moments: charge, first and second moment of every interval of an axis, for all lines along it.
//
//   out[p, o, m, i] = ∫_{edges[m]}^{edges[m+1]} (x - references[m])^p v(x) dx,   p = 0, 1, 2                  eqs. 37, E1
//
// v is constant in each cell [x, x + 1) and repeats with the number of planes; x counts cells. Cut cells count by the
// part inside.
//
// values      (outer, planes, inner) T, C order: a field about any axis, or lines with inner = 1
// edges       (n_intervals + 1,) double, rising; references (n_intervals,) double
// out         (3, outer, n_intervals, inner) double, written
// launch      interval_moments       <<<(ceil(outer inner / BLOCK), n_intervals), BLOCK>>>, BLOCK up to 256
//             interval_moments_row   inner = 1: <<<(ceil(outer / (BLOCK / 32)), n_intervals), BLOCK>>>, a warp a line
// order       a line's cells in rising order (row: each lane every 32nd, then a fixed tree); double sums, with their
//             rounding errors carried where T is double
// oracle      device/cpu/intervals.py interval_moments; test tests/kernels/test_interval_moments.py
// ladder      v1 one thread a line and interval, plain sums; v2 this: a warp along contiguous lines, compensated
//
// instances
//   interval_moments<float>
//   interval_moments<double>
//   interval_moments_row<float>
//   interval_moments_row<double>
#include "common.cuh"

constexpr int LARGEST_BLOCK = 256;
constexpr int BATCH = 4; // cells in flight

// Sum with the rounding errors of its additions beside it; plain where COMPENSATED is false.
template <bool COMPENSATED> struct Total {
  double sum = 0.0, lost = 0.0;
  __device__ __forceinline__ void add(double term) {
    if (COMPENSATED) {
      double rounded, error;
      two_sum(sum, term, rounded, error);
      sum = rounded;
      lost += error;
    } else {
      sum += term;
    }
  }
};

// The part of cell x within [low, high): moments about the reference of a cell of value one.
struct CellMoments {
  double whole, first, second;
  __device__ __forceinline__ CellMoments(long long x, double low, double high, double reference) {
    const double from = fmax(static_cast<double>(x), low) - reference;
    const double to = fmin(static_cast<double>(x + 1), high) - reference;
    const double middle = 0.5 * (from + to);
    whole = to - from;
    first = whole * middle;
    second = whole * (middle * middle + whole * whole / 12.0);
  }
};

template <bool COMPENSATED> struct Moments {
  Total<COMPENSATED> total[3];
  __device__ __forceinline__ void add(const CellMoments &cell, double value) {
    total[0].add(value * cell.whole);
    total[1].add(value * cell.first);
    total[2].add(value * cell.second);
  }
};

__device__ __forceinline__ long long modulo(long long i, long long n) {
  const long long rest = i % n;
  return rest < 0 ? rest + n : rest;
}

template <typename T> __global__ void __launch_bounds__(LARGEST_BLOCK)
    interval_moments(const T *__restrict__ values, const double *__restrict__ edges,
                     const double *__restrict__ references, double *__restrict__ out, long long outer, long long planes,
                     long long inner, long long n_intervals) {
  const long long line = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x, interval = blockIdx.y;
  if (line >= outer * inner) return;
  const long long o = line / inner, i = line - o * inner;
  const double low = edges[interval], high = edges[interval + 1], reference = references[interval];
  const long long first = static_cast<long long>(floor(low)), last = static_cast<long long>(ceil(high));
  const T *at = values + o * planes * inner + i;
  Moments<sizeof(T) == 8> moments;
  long long plane = modulo(first, planes);
  for (long long x = first; x < last; x += BATCH) {
    T v[BATCH];
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      v[b] = x + b < last ? at[plane * inner] : T(0);
      plane = plane + 1 == planes ? 0 : plane + 1;
    }
#pragma unroll
    for (int b = 0; b < BATCH; ++b)
      if (x + b < last) moments.add(CellMoments(x + b, low, high, reference), v[b]);
  }
  const long long stride = outer * n_intervals * inner;
  double *to = out + (o * n_intervals + interval) * inner + i;
#pragma unroll
  for (int p = 0; p < 3; ++p) to[p * stride] = moments.total[p].sum + moments.total[p].lost;
}

template <typename T> __global__ void __launch_bounds__(LARGEST_BLOCK)
    interval_moments_row(const T *__restrict__ values, const double *__restrict__ edges,
                         const double *__restrict__ references, double *__restrict__ out, long long outer,
                         long long planes, long long n_intervals) {
  const long long o = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / WARP, interval = blockIdx.y;
  if (o >= outer) return;
  const int lane = threadIdx.x % WARP;
  const double low = edges[interval], high = edges[interval + 1], reference = references[interval];
  const long long first = static_cast<long long>(floor(low)), last = static_cast<long long>(ceil(high));
  const T *at = values + o * planes;
  Moments<sizeof(T) == 8> moments;
  long long plane = modulo(first + lane, planes);
  for (long long x = first + lane; x < last; x += BATCH * WARP) {
    T v[BATCH];
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      v[b] = x + b * WARP < last ? at[plane] : T(0);
      plane += WARP;
      if (plane >= planes) plane = planes < WARP ? plane % planes : plane - planes;
    }
#pragma unroll
    for (int b = 0; b < BATCH; ++b)
      if (x + b * WARP < last) moments.add(CellMoments(x + b * WARP, low, high, reference), v[b]);
  }
  const long long stride = outer * n_intervals;
#pragma unroll
  for (int p = 0; p < 3; ++p) {
    Total<sizeof(T) == 8> &total = moments.total[p];
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) {
      const double other = __shfl_xor_sync(ALL_LANES, total.sum, step);
      const double lost = __shfl_xor_sync(ALL_LANES, total.lost, step);
      total.lost += lost;
      total.add(other);
    }
    if (lane == 0) out[p * stride + o * n_intervals + interval] = total.sum + total.lost;
  }
}
