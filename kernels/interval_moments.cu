// interval_moments: charge, first and second moment of every interval of an axis, for all lines along it.
//
//   out[p, o, m, i] = ∫_{edges[m]}^{edges[m+1]} (x - references[m])^p v(x) dx,   p = 0, 1, 2                  eqs. 37, E1
//
// v is constant in each cell [x, x + 1) and repeats with the number of planes; x counts cells. Cut cells count by the
// part inside.
//
// values      (outer, planes, inner) T, C order: a field about any axis, or lines with inner = 1; less than 2^31 planes,
//             and cells of an interval
// edges       (n_intervals + 1,) double, rising; references (n_intervals,) double
// out         (3, outer, n_intervals, inner) double, written; 16-byte addresses where COLUMNS > 1
// launch      interval_moments       <<<(ceil(outer inner / (COLUMNS BLOCK)), n_intervals), BLOCK>>>, BLOCK up to 128;
//                                    COLUMNS neighbours (16 bytes) a thread: inner divides by them, values start at
//                                    a 16-byte address
//             interval_moments_row   inner = 1: <<<ceil(outer n_intervals LANES / BLOCK), BLOCK>>>, BLOCK up to 128:
//                                    LANES lanes an interval of a line
// order       a line's cells in rising order (row: each lane every LANES-th, then a fixed tree); double sums, with
//             their rounding errors carried where T is double
// oracle      device/cpu/intervals.py interval_moments; test tests/kernels/test_interval_moments.py
// ladder      v1 one thread a line and interval, plain sums; v2 a warp along contiguous lines, compensated; v3 this: 16
//             bytes a load, the next planes on their way while these are added; 4 lanes along contiguous lines
//
// instances
//   interval_moments<float, 1>
//   interval_moments<float, 4>
//   interval_moments<double, 1>
//   interval_moments<double, 2>
//   interval_moments_row<float>
//   interval_moments_row<double>
#include "common.cuh"

constexpr int LARGEST_BLOCK = 128;
constexpr int BLOCKS_EACH = 5; // blocks of a multiprocessor, so many that registers suffice
constexpr int BATCH = 4;       // planes in flight, while the batch before is added
constexpr int LANES = 4;       // of an interval of a row
constexpr int ROW_BATCH = 4;   // cells in flight of each, while the batch before is added
constexpr double TWELFTH = 1.0 / 12.0;

__device__ __forceinline__ int modulo(long long i, int n) {
  if (i >= 0 && i < n) return static_cast<int>(i);
  const int rest = static_cast<int>(i % n);
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
  __device__ __forceinline__ void add(double value, double t, double square) {
    total[0].add(value);
    total[1].add(value * t);
    total[2].add(value * square);
  }
  __device__ __forceinline__ void whole_cells() { total[2].add(total[0].sum * TWELFTH); }

  // The part of a cell between `from` and `to`, counted from the reference.
  __device__ __forceinline__ void add_part(double value, double from, double to) {
    const double length = to - from, middle = 0.5 * (from + to);
    total[0].add(value * length);
    total[1].add(value * (length * middle));
    total[2].add(value * (length * (middle * middle + length * length * TWELFTH)));
  }
};

// Cells of an interval: those cut by its edges, and the whole ones first ... last - 1 between.
struct Cells {
  double low, high, reference;
  long long first, last;
  __device__ __forceinline__ Cells(const double *edges, const double *references, long long interval)
      : low(edges[interval]), high(edges[interval + 1]), reference(references[interval]),
        first(static_cast<long long>(ceil(low))), last(static_cast<long long>(floor(high))) {}

  // Is a part of cell first - 1 inside, and where does it end? Of cell last (never both of one cell)?
  __device__ __forceinline__ double head() const { return first > last ? high : static_cast<double>(first); }
  __device__ __forceinline__ bool has_head() const { return head() > low; }
  __device__ __forceinline__ bool has_tail() const { return first <= last && high > static_cast<double>(last); }

  template <bool COMPENSATED>
  __device__ __forceinline__ void add_cut(Moments<COMPENSATED> &moments, double head_value, double tail_value) const {
    if (has_head()) moments.add_part(head_value, low - reference, head() - reference);
    if (has_tail()) moments.add_part(tail_value, static_cast<double>(last) - reference, high - reference);
  }
};

// COLUMNS neighbours at an address.
template <int COLUMNS, typename T> __device__ __forceinline__ void load(T (&v)[COLUMNS], const T *at) {
  if constexpr (COLUMNS > 1) {
    const typename Vector<T>::type loaded = *reinterpret_cast<const typename Vector<T>::type *>(at);
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) v[c] = reinterpret_cast<const T *>(&loaded)[c];
  } else {
    v[0] = *at;
  }
}

template <typename T, int COLUMNS> __global__ void __launch_bounds__(LARGEST_BLOCK, BLOCKS_EACH)
    interval_moments(const T *__restrict__ values, const double *__restrict__ edges,
                     const double *__restrict__ references, double *__restrict__ out, long long outer, int planes,
                     long long inner, long long n_intervals) {
  const long long line = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) * COLUMNS;
  const long long interval = blockIdx.y;
  if (line >= outer * inner) return;
  const long long o = line / inner, i = line - o * inner;
  const Cells cells(edges, references, interval);
  const T *const column = values + o * planes * inner + i;
  int plane = modulo(cells.first, planes), left = static_cast<int>(cells.last - cells.first); // of the cells to load
  const T *at = column + plane * inner;
  const auto load_batch = [&](T(&v)[BATCH][COLUMNS]) {
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
#pragma unroll
      for (int c = 0; c < COLUMNS; ++c) v[b][c] = T(0);
      if (b < left) load<COLUMNS>(v[b], at);
      at += inner;
      if (++plane == planes) {
        plane = 0;
        at = column;
      }
    }
    left -= BATCH;
  };
  T batch[BATCH][COLUMNS];
  load_batch(batch);
  Moments<sizeof(T) == 8> moments[COLUMNS];
  double t = static_cast<double>(cells.first) + 0.5 - cells.reference;
  for (; left > -BATCH; t += BATCH) { // those of the batch are no longer counted
    T next[BATCH][COLUMNS];
    load_batch(next);
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      const double middle = t + b, square = middle * middle;
#pragma unroll
      for (int c = 0; c < COLUMNS; ++c) {
        moments[c].add(batch[b][c], middle, square);
        batch[b][c] = next[b][c];
      }
    }
  }
  T head[COLUMNS] = {}, tail[COLUMNS] = {};
  if (cells.has_head()) load<COLUMNS>(head, column + inner * modulo(cells.first - 1, planes));
  if (cells.has_tail()) load<COLUMNS>(tail, column + inner * modulo(cells.last, planes));
#pragma unroll
  for (int c = 0; c < COLUMNS; ++c) {
    moments[c].whole_cells();
    cells.add_cut(moments[c], head[c], tail[c]);
  }
  const long long stride = outer * n_intervals * inner;
  double *to = out + (o * n_intervals + interval) * inner + i;
#pragma unroll
  for (int p = 0; p < 3; ++p, to += stride) {
    double sum[COLUMNS];
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) sum[c] = moments[c].total[p].sum + moments[c].total[p].lost;
    if constexpr (COLUMNS > 1) {
#pragma unroll
      for (int c = 0; c < COLUMNS; c += 2) *reinterpret_cast<double2 *>(to + c) = make_double2(sum[c], sum[c + 1]);
    } else {
      *to = sum[0];
    }
  }
}

template <typename T> __global__ void __launch_bounds__(LARGEST_BLOCK, BLOCKS_EACH)
    interval_moments_row(const T *__restrict__ values, const double *__restrict__ edges,
                         const double *__restrict__ references, double *__restrict__ out, long long outer, int planes,
                         long long n_intervals) {
  constexpr bool COMPENSATED = sizeof(T) == 8;
  const long long which = (blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x) / LANES;
  const bool present = which < outer * n_intervals; // all lanes stay for the shuffles
  const long long o = present ? which / n_intervals : 0, interval = present ? which - o * n_intervals : 0;
  const int lane = threadIdx.x % LANES;
  const Cells cells(edges, references, interval);
  const T *const row = values + o * planes;
  const int step = LANES < planes ? LANES : LANES % planes;
  int plane = modulo(cells.first + lane, planes);
  T head = 0, tail = 0;
  if (lane == 0 && cells.has_head()) head = row[modulo(cells.first - 1, planes)];
  if (lane == 0 && cells.has_tail()) tail = row[modulo(cells.last, planes)];
  Moments<COMPENSATED> moments;
  double t = static_cast<double>(cells.first + lane) + 0.5 - cells.reference;
  const auto load_batch = [&](T(&v)[ROW_BATCH]) { // cells beyond the last, too: without conditions all are in flight
#pragma unroll
    for (int b = 0; b < ROW_BATCH; ++b) {
      v[b] = row[plane];
      plane += step;
      if (plane >= planes) plane -= planes;
    }
  };
  T batch[ROW_BATCH];
  load_batch(batch);
#pragma unroll 1
  for (int left = static_cast<int>(cells.last - cells.first) - lane; left > 0; left -= ROW_BATCH * LANES) {
    T next[ROW_BATCH] = {};
    if (left > ROW_BATCH * LANES) load_batch(next);
#pragma unroll
    for (int b = 0; b < ROW_BATCH; ++b, t += LANES) {
      moments.add(b * LANES < left ? batch[b] : T(0), t, t * t);
      batch[b] = next[b];
    }
  }
  moments.whole_cells();
  if (lane == 0) cells.add_cut(moments, head, tail);
  const long long stride = outer * n_intervals;
#pragma unroll
  for (int p = 0; p < 3; ++p) {
    Total<COMPENSATED> &total = moments.total[p];
#pragma unroll
    for (int distance = LANES / 2; distance > 0; distance /= 2) {
      const double other = __shfl_xor_sync(ALL_LANES, total.sum, distance);
      if (COMPENSATED) total.lost += __shfl_xor_sync(ALL_LANES, total.lost, distance);
      total.add(other);
    }
    if (lane == 0 && present) out[p * stride + which] = total.sum + total.lost;
  }
}
