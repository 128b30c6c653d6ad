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

__device__ __forceinline__ long long modulo(long long i, long long n) {
  const long long rest = i % n;
  return rest < 0 ? rest + n : rest;
}

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

template <bool COMPENSATED> struct Moments {
  Total<COMPENSATED> total[3];

  // A whole cell whose middle lies t from the reference; its own second moment comes with whole_cells().
  __device__ __forceinline__ void add(double value, double t) {
    const double first = value * t;
    total[0].add(value);
    total[1].add(first);
    total[2].add(first * t);
  }
  __device__ __forceinline__ void whole_cells() { total[2].add(total[0].sum / 12.0); }

  // The part of a cell between `from` and `to`, counted from the reference.
  __device__ __forceinline__ void add_part(double value, double from, double to) {
    const double length = to - from, middle = 0.5 * (from + to);
    total[0].add(value * length);
    total[1].add(value * (length * middle));
    total[2].add(value * (length * (middle * middle + length * length / 12.0)));
  }
};

// Cells of an interval: those cut by its edges, and the whole ones first ... last - 1 between.
struct Cells {
  double low, high, reference;
  long long first, last;
  __device__ __forceinline__ Cells(const double *edges, const double *references, long long interval)
      : low(edges[interval]), high(edges[interval + 1]), reference(references[interval]),
        first(static_cast<long long>(ceil(low))), last(static_cast<long long>(floor(high))) {}

  // Cut cells, from values `stride` apart that repeat after `planes`.
  template <bool COMPENSATED, typename T> __device__ __forceinline__ void
  add_cut(Moments<COMPENSATED> &moments, const T *at, long long planes, long long stride) const {
    const bool one_cell = first > last;
    const double head = one_cell ? high : static_cast<double>(first), tail = static_cast<double>(last);
    if (head > low) moments.add_part(at[modulo(first - 1, planes) * stride], low - reference, head - reference);
    if (!one_cell && high > tail)
      moments.add_part(at[modulo(last, planes) * stride], tail - reference, high - reference);
  }
};

template <typename T> __global__ void __launch_bounds__(LARGEST_BLOCK)
    interval_moments(const T *__restrict__ values, const double *__restrict__ edges,
                     const double *__restrict__ references, double *__restrict__ out, long long outer, long long planes,
                     long long inner, long long n_intervals) {
  const long long line = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x, interval = blockIdx.y;
  if (line >= outer * inner) return;
  const long long o = line / inner, i = line - o * inner;
  const Cells cells(edges, references, interval);
  const T *at = values + o * planes * inner + i;
  Moments<sizeof(T) == 8> moments;
  long long plane = cells.first < cells.last ? modulo(cells.first, planes) : 0;
  for (long long x = cells.first; x < cells.last; plane = 0) {
    const long long end = min(cells.last, x + planes - plane); // of the interval, or where the values repeat
    const T *v = at + plane * inner;
    double t = static_cast<double>(x) + 0.5 - cells.reference;
    for (; x + BATCH <= end; x += BATCH, v += BATCH * inner, t += BATCH) {
      T batch[BATCH];
#pragma unroll
      for (int b = 0; b < BATCH; ++b) batch[b] = v[b * inner];
#pragma unroll
      for (int b = 0; b < BATCH; ++b) moments.add(batch[b], t + b);
    }
    for (; x < end; ++x, v += inner, t += 1.0) moments.add(*v, t);
  }
  moments.whole_cells();
  cells.add_cut(moments, at, planes, inner);
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
  const Cells cells(edges, references, interval);
  const T *at = values + o * planes;
  Moments<sizeof(T) == 8> moments;
  long long plane = cells.first < cells.last ? modulo(cells.first, planes) : 0;
  for (long long start = cells.first; start < cells.last; plane = 0) {
    const long long end = min(cells.last, start + planes - plane);
    long long x = start + lane;
    const T *v = at + plane + lane;
    double t = static_cast<double>(x) + 0.5 - cells.reference;
    for (; x + (BATCH - 1) * WARP < end; x += BATCH * WARP, v += BATCH * WARP, t += BATCH * WARP) {
      T batch[BATCH];
#pragma unroll
      for (int b = 0; b < BATCH; ++b) batch[b] = v[b * WARP];
#pragma unroll
      for (int b = 0; b < BATCH; ++b) moments.add(batch[b], t + b * WARP);
    }
    for (; x < end; x += WARP, v += WARP, t += WARP) moments.add(*v, t);
    start = end;
  }
  moments.whole_cells();
  if (lane == 0) cells.add_cut(moments, at, planes, 1);
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
