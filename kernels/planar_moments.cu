// planar_moments: sums of powers, smallest and largest value of every plane, along all three axes, in one read.
//
//   out[axis][p - 1][k] = sum of (v - centre)^p over plane k of the axis, p = 1 .. MOMENTS       planar average, eq. 48
//   out[axis][MOMENTS], out[axis][MOMENTS + 1] = min v, min -v over the plane                     (EXTREMA only)
//
// planar_moments reads rows (a row: n2 neighbours in memory) and leaves two small partial results; combine_partials
// finishes each axis from them.
//
// values         (rows, n2) T, C order; rows = n0 n1
// row_stats      (STATS, chunks, rows) double, written: each row's part in each chunk of columns
// column_stats   (STATS, blocks, n2) double, written: each column's part in each block of rows
// launch         planar_moments    <<<(blocks, chunks), 128>>>, chunks = ceil(n2 / COLUMNS<T>), blocks <= rows
//                combine_partials  <<<(ceil(planes / (inner == 1 ? 32 : 8)), STATS), (32, 8)>>>
// order          fixed trees, no atomics: the same launch gives the same bits. A thread adds up to 64 rows of a column
//                in T, everything beyond in double; a warp's share of a row in T, by a tree
// oracle         device/cpu/sums.py planar_moments; test tests/kernels/test_planar_moments.py
// ladder         v1 one block a plane, one axis a read; v2 3 axes a read, transposed reduction of rows; v3 this: the next
//                rows are loaded while these are added, double sums in shared memory
//
// instances
//   planar_moments<float, 1, false, false>
//   planar_moments<float, 1, false, true>
//   planar_moments<float, 4, true, false>
//   planar_moments<float, 4, true, true>
//   planar_moments<double, 1, false, false>
//   planar_moments<double, 1, false, true>
//   planar_moments<double, 4, true, false>
//   planar_moments<double, 4, true, true>
//   combine_partials
#include "common.cuh"

constexpr int BLOCK = 128;
constexpr int WARPS = BLOCK / WARP;
constexpr int TILE = 16;       // rows whose parts wait in shared memory before the warps' parts are added
constexpr int BATCH = 2;       // rows in flight, while the batch before is added
constexpr int FLUSH = 64;      // rows that a column adds in T
constexpr int BLOCKS_EACH = 4; // blocks of a multiprocessor, so many that registers suffice
constexpr int UNROLL = 1;      // batches written out

// Reduce N values over the warp at once: each step halves the values a lane still carries, so that N values cost
// about N shuffles instead of 5 N. Lane l ends with the reduction of value (l / (32 / N)) for N <= 32.
template <int N, typename T, typename Combine>
__device__ __forceinline__ T warp_reduce_many(T (&value)[N], Combine combine) {
  const int lane = threadIdx.x % WARP;
#pragma unroll
  for (int width = WARP / 2, n = N / 2; n > 0; width /= 2, n /= 2) {
    const bool upper = lane & width;
#pragma unroll
    for (int i = 0; i < N / 2; ++i) {
      if (i < n) {
        const T kept = upper ? value[i + n] : value[i];
        const T sent = upper ? value[i] : value[i + n];
        value[i] = combine(kept, __shfl_xor_sync(ALL_LANES, sent, width));
      }
    }
  }
  T result = value[0];
#pragma unroll
  for (int width = WARP / 2 / N; width > 0; width /= 2)
    result = combine(result, __shfl_xor_sync(ALL_LANES, result, width));
  return result;
}

// Columns of a thread: two groups of neighbours, or a block apart where rows do not start at 16-byte addresses. The more
// columns, the fewer rows there are to reduce over the warp for each value.
template <typename T> struct Columns {
  static constexpr int count = 2 * Vector<T>::size;
};

// One row's values of a thread, added to its columns and to the row. CHECKED: some may be absent.
template <bool CHECKED, typename T, int MOMENTS, bool EXTREMA, int C>
__device__ __forceinline__ void add_row(const T (&v)[C], unsigned present, T centre, T (&sum)[MOMENTS][C], T (&low)[C],
                                        T (&high)[C], T *of_row, T *extremes) {
  const T largest = T(1) / T(0);
#pragma unroll
  for (int p = 0; p < MOMENTS; ++p) of_row[p] = T(0);
  if (EXTREMA) extremes[0] = extremes[1] = largest;
#pragma unroll
  for (int c = 0; c < C; ++c) {
    const bool counts = !CHECKED || present >> c & 1;
    const T d = counts ? v[c] - centre : T(0), square = d * d;
    sum[0][c] += d;
    of_row[0] += d;
    if (MOMENTS > 1) {
      sum[1 % MOMENTS][c] += square;
      of_row[1 % MOMENTS] += square;
      sum[2 % MOMENTS][c] += square * d;
      of_row[2 % MOMENTS] += square * d;
      sum[3 % MOMENTS][c] += square * square;
      of_row[3 % MOMENTS] += square * square;
    }
    if (EXTREMA) {
      const T below = counts ? v[c] : largest, above = counts ? -v[c] : largest;
      low[c] = min(low[c], below);
      high[c] = min(high[c], above);
      extremes[0] = min(extremes[0], below);
      extremes[1] = min(extremes[1], above);
    }
  }
}

template <typename T, int MOMENTS, bool EXTREMA, bool ALIGNED>
__global__ void __launch_bounds__(BLOCK, sizeof(T) == 4 ? BLOCKS_EACH : BLOCKS_EACH - 1)
    planar_moments(const T *__restrict__ values, double *__restrict__ row_stats, double *__restrict__ column_stats,
                   long long rows, long long n2, T centre) {
  static_assert(MOMENTS == 1 || MOMENTS == 4, "powers are written out");
  constexpr int C = Columns<T>::count;
  constexpr int STATS = MOMENTS + (EXTREMA ? 2 : 0);
  __shared__ T parts[2][WARPS][TILE][STATS];
  __shared__ double totals[MOMENTS][C][BLOCK];
  const T largest = T(1) / T(0);
  const int thread = threadIdx.x, warp = thread / WARP, lane = thread % WARP;
  const long long first = rows * blockIdx.x / gridDim.x, last = rows * (blockIdx.x + 1LL) / gridDim.x;
  const long long chunk = static_cast<long long>(blockIdx.y) * BLOCK * C;
  const auto offset = [&](int c) {
    constexpr int W = Vector<T>::size;
    return ALIGNED ? (c / W * BLOCK + thread) * W + c % W : c * BLOCK + thread;
  };
  unsigned present = 0; // bit c: column c of this thread exists
#pragma unroll
  for (int c = 0; c < C; ++c) present |= static_cast<unsigned>(chunk + offset(c) < n2) << c;

  T sum[MOMENTS][C], low[C], high[C];
#pragma unroll
  for (int c = 0; c < C; ++c) {
    low[c] = high[c] = largest;
#pragma unroll
    for (int p = 0; p < MOMENTS; ++p) {
      sum[p][c] = T(0);
      totals[p][c][thread] = 0.0;
    }
  }

  const auto load = [&](T(&v)[BATCH][C], const T *at, long long row) {
#pragma unroll
    for (int r = 0; r < BATCH; ++r) {
      const unsigned there = row + r < last ? present : 0;
      if (ALIGNED) {
        constexpr int W = Vector<T>::size;
#pragma unroll
        for (int c = 0; c < C; c += W) {
          typename Vector<T>::type loaded{};
          if (there >> c & 1) loaded = *reinterpret_cast<const typename Vector<T>::type *>(at + r * n2 + offset(c));
          const T *each = reinterpret_cast<const T *>(&loaded);
#pragma unroll
          for (int e = 0; e < W; ++e) v[r][c + e] = each[e];
        }
      } else {
#pragma unroll
        for (int c = 0; c < C; ++c) v[r][c] = there >> c & 1 ? at[r * n2 + offset(c)] : T(0);
      }
    }
  };

  T v[BATCH][C];
  const T *at = values + first * n2 + chunk;
  load(v, at, first);
  int buffer = 0, unflushed = 0;
  for (long long tile = first; tile < last; tile += TILE, buffer ^= 1) {
#pragma unroll UNROLL
    for (int batch = 0; batch < TILE; batch += BATCH) {
      const long long row = tile + batch;
      T next[BATCH][C];
      at += BATCH * n2;
      load(next, at, row + BATCH);
      T powers[BATCH * MOMENTS], extremes[2 * BATCH];
      const bool whole = present == (1u << C) - 1 && row + BATCH <= last;
#pragma unroll
      for (int r = 0; r < BATCH; ++r) {
        T *of_row = powers + r * MOMENTS, *extreme = extremes + 2 * r;
        if (whole)
          add_row<false, T, MOMENTS, EXTREMA>(v[r], present, centre, sum, low, high, of_row, extreme);
        else
          add_row<true, T, MOMENTS, EXTREMA>(v[r], row + r < last ? present : 0, centre, sum, low, high, of_row,
                                             extreme);
      }
      const T added = warp_reduce_many(powers, [](T a, T b) { return a + b; });
      constexpr int SHARE = WARP / (BATCH * MOMENTS); // lanes that end with the same value
      if (lane % SHARE == 0) {
        const int which = lane / SHARE;
        parts[buffer][warp][batch + which / MOMENTS][which % MOMENTS] = added;
      }
      if (EXTREMA) {
        const T extreme = warp_reduce_many(extremes, [](T a, T b) { return min(a, b); });
        constexpr int ALIKE = WARP / (2 * BATCH);
        if (lane % ALIKE == 0) {
          const int which = lane / ALIKE;
          parts[buffer][warp][batch + which / 2][MOMENTS + which % 2] = extreme;
        }
      }
#pragma unroll
      for (int r = 0; r < BATCH; ++r)
#pragma unroll
        for (int c = 0; c < C; ++c) v[r][c] = next[r][c];
    }
    unflushed += TILE;
    if (unflushed == FLUSH || tile + TILE >= last) {
      unflushed = 0;
#pragma unroll
      for (int p = 0; p < MOMENTS; ++p) {
#pragma unroll
        for (int c = 0; c < C; ++c) {
          totals[p][c][thread] += sum[p][c];
          sum[p][c] = T(0);
        }
      }
    }
    __syncthreads(); // once a tile: the other buffer is free again when all have come here a second time
    for (int i = thread; i < TILE * STATS; i += BLOCK) {
      const int stat = i / TILE, r = i % TILE;
      if (tile + r < last) {
        double combined = parts[buffer][0][r][stat];
#pragma unroll
        for (int w = 1; w < WARPS; ++w) {
          const double other = parts[buffer][w][r][stat];
          combined = stat < MOMENTS ? combined + other : min(combined, other);
        }
        row_stats[(stat * static_cast<long long>(gridDim.y) + blockIdx.y) * rows + tile + r] = combined;
      }
    }
  }

  const long long stride = static_cast<long long>(gridDim.x) * n2;
#pragma unroll
  for (int c = 0; c < C; ++c) {
    if (!(present >> c & 1)) continue;
    double *out = column_stats + blockIdx.x * n2 + chunk + offset(c);
#pragma unroll
    for (int p = 0; p < MOMENTS; ++p) out[p * stride] = totals[p][c][thread];
    if (EXTREMA) {
      out[MOMENTS * stride] = low[c];
      out[(MOMENTS + 1) * stride] = high[c];
    }
  }
}

// Reduce parts (stats, outer, planes, inner) over outer and inner: added for stat < moments, smallest beyond.
// Lanes follow the memory: planes where inner is 1, inner otherwise.
__global__ void combine_partials(const double *__restrict__ parts, double *__restrict__ out, long long outer,
                                 long long planes, long long inner, long long out_stride, int moments) {
  __shared__ double columns[8][WARP + 1];
  const int stat = blockIdx.y, x = threadIdx.x, y = threadIdx.y;
  const bool adds = stat < moments;
  const double neutral = adds ? 0.0 : 1.0 / 0.0;
  parts += stat * outer * planes * inner;
  out += stat * out_stride;
  double value = neutral;
  if (inner == 1) {
    const long long plane = blockIdx.x * 32LL + x;
    if (plane < planes)
      for (long long o = y; o < outer; o += 8) {
        const double part = parts[o * planes + plane];
        value = adds ? value + part : min(value, part);
      }
    columns[y][x] = value;
    __syncthreads();
    if (y == 0 && plane < planes) {
      for (int i = 1; i < 8; ++i) value = adds ? value + columns[i][x] : min(value, columns[i][x]);
      out[plane] = value;
    }
  } else {
    const long long plane = blockIdx.x * 8LL + y;
    if (plane < planes)
      for (long long o = 0; o < outer; ++o)
        for (long long i = x; i < inner; i += WARP) {
          const double part = parts[(o * planes + plane) * inner + i];
          value = adds ? value + part : min(value, part);
        }
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) {
      const double other = __shfl_xor_sync(ALL_LANES, value, step);
      value = adds ? value + other : min(value, other);
    }
    if (x == 0 && plane < planes) out[plane] = value;
  }
}
