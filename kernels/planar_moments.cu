// planar_moments: sums of powers of every plane along all three axes, and the field's extremes, in one read.
//
//   out[axis][p - 1][k] = sum of (v - centre)^p over plane k of the axis, p = 1 .. MOMENTS       planar average, eq. 48
//   extremes            = min v and max v of what each block reads                               (EXTREMA only)
//
// planar_moments reads rows (a row: n2 neighbours in memory) and leaves two small partial results; combine_partials
// finishes all axes from them.
//
// values         (rows, n2) T, C order; rows = n0 n1
// row_stats      (MOMENTS, chunks, rows) double, written: each row's part in each chunk of columns
// column_stats   (MOMENTS, blocks, n2) double, written: each column's part in each block of rows
// extremes       (2, chunks, blocks) double, written; inf, -inf where a block has only NaN
// out            (MOMENTS, n0 + n1 + n2) double, written
// launch         planar_moments    <<<(chunks, blocks), 32 ceil(width / 256), shared>>>: chunks of width columns (the
//                                  last of what is left), a multiple of 8 up to 1024; less than 2^31 rows a block,
//                                  blocks <= rows; shared holds a Share for each warp. ALIGNED: rows start at
//                                  16-byte addresses
//                combine_partials  <<<(ceil(max(n0, n1, n2) / 8), MOMENTS, 3), 256>>>
// order          fixed trees, no atomics: the same launch gives the same bits. A thread adds up to 64 rows of a column
//                in T, everything beyond in double; a warp's share of a row in T, by a tree
// oracle         device/cpu/sums.py planar_moments; test tests/kernels/test_planar_moments.py
// ladder         v1 one block a plane, one axis a read; v2 3 axes a read, transposed reduction of rows; v3 the next
//                rows are loaded while these are added, double sums in shared memory: 0.72 of a copy's rate on an H200
//                (double 0.52, as 3 of the 4 blocks launched fitted); v4 this: rows on their way to shared memory,
//                extremes of the field only, all blocks at once, one launch combines. 17.5 instructions a point for
//                24.6 (double 23 for 68), 64 to 96 KB on their way for 32; [P] 0.88 to 0.94 (double 0.90 to 0.96)
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

constexpr int BLOCK = 128;     // threads, at most
constexpr int BLOCKS_EACH = 4; // such blocks of a multiprocessor, so many that registers suffice
constexpr int COLUMNS = 8;     // of a thread: the more, the fewer rows there are to reduce over the warp for each value
constexpr int ROWS = 4;        // on their way: 64 KB a multiprocessor (double 96), for 32 KB limited v3 to 3.5 TB/s
constexpr int TILE = 16;       // rows whose parts wait in shared memory before the warps' parts are added
constexpr int FLUSH = 64;      // rows that a column adds in T

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

// What a warp has of shared memory: its columns' sums, its rows on their way, and its parts of the rows of two tiles.
template <typename T, int MOMENTS> struct Share {
  double totals[MOMENTS][COLUMNS][WARP];
  __align__(16) T ring[ROWS][COLUMNS * WARP];
  T parts[2][TILE][MOMENTS];
};

// W neighbours.
template <int W, typename T> __device__ __forceinline__ void load(T *to, const T *from) {
  if constexpr (W > 1)
    *reinterpret_cast<typename Vector<T>::type *>(to) = *reinterpret_cast<const typename Vector<T>::type *>(from);
  else
    *to = *from;
}

// Smaller and larger of two; a NaN b is passed over. In double precision min and max take twice the instructions.
template <typename T> __device__ __forceinline__ T smaller(T a, T b) {
  return sizeof(T) == 4 ? min(a, b) : b < a ? b : a;
}
template <typename T> __device__ __forceinline__ T larger(T a, T b) {
  return sizeof(T) == 4 ? max(a, b) : b > a ? b : a;
}

template <typename T, int MOMENTS, bool EXTREMA, bool ALIGNED>
__global__ void __launch_bounds__(BLOCK, sizeof(T) == 4 ? BLOCKS_EACH : BLOCKS_EACH - 1)
    planar_moments(const T *__restrict__ values, double *__restrict__ row_stats, double *__restrict__ column_stats,
                   double *__restrict__ extremes, long long rows, long long n2, int width, T centre) {
  static_assert(MOMENTS == 1 || MOMENTS == 4, "powers are written out");
  using Shared = Share<T, MOMENTS>;
  constexpr int W = ALIGNED ? Vector<T>::size : 1, GROUPS = COLUMNS / W;
  static_assert(TILE % ROWS == 0 && FLUSH % TILE == 0, "rounds of the ring fill a tile");
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  Shared *const shares = reinterpret_cast<Shared *>(shared_bytes);
  const int thread = threadIdx.x, warp = thread / WARP, lane = thread % WARP, warps = blockDim.x / WARP;
  Shared &own = shares[warp];
  const long long first = rows * blockIdx.y / gridDim.y;
  const int n_rows = static_cast<int>(rows * (blockIdx.y + 1LL) / gridDim.y - first);
  const long long chunk = static_cast<long long>(blockIdx.x) * width;
  const int n_columns = static_cast<int>(min(n2 - chunk, static_cast<long long>(width))) - warp * COLUMNS * WARP;
  // Columns of the warp: groups of W neighbours, those of its threads side by side.
  const auto place = [&](int group) { return (group * WARP + lane) * W; };
  unsigned present = 0; // bit g: group g of this thread exists
#pragma unroll
  for (int g = 0; g < GROUPS; ++g) present |= static_cast<unsigned>(place(g) < n_columns) << g;

  T sum[MOMENTS][COLUMNS], low = T(1) / T(0), high = -low;
#pragma unroll
  for (int c = 0; c < COLUMNS; ++c) {
#pragma unroll
    for (int p = 0; p < MOMENTS; ++p) {
      sum[p][c] = T(0);
      own.totals[p][c][lane] = 0.0;
    }
  }

  const T *coming = values + first * n2 + chunk + warp * COLUMNS * WARP + place(0);
  const auto fetch = [&](int slot, int row) {
    const unsigned there = row < n_rows ? present : 0;
#pragma unroll
    for (int g = 0; g < GROUPS; ++g)
      if (there >> g & 1) begin_copy<W * sizeof(T)>(own.ring[slot] + place(g), coming + g * WARP * W);
    coming += n2;
    close_copies();
  };
#pragma unroll
  for (int r = 0; r < ROWS; ++r) {
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c)
      if (!(present >> (c / W) & 1)) own.ring[r][place(c / W) + c % W] = centre; // absent: deviates by nothing
    fetch(r, r);
  }

  int buffer = 0, unflushed = 0;
  for (int tile = 0; tile < n_rows; tile += TILE, buffer ^= 1) {
#pragma unroll 1
    for (int round = 0; round < TILE; round += ROWS) {
#pragma unroll
      for (int slot = 0; slot < ROWS; ++slot) {
        const int row = tile + round + slot;
        if (row >= n_rows) continue;
        wait_copies<ROWS - 1>();
        __align__(16) T v[COLUMNS];
        T of_row[MOMENTS];
#pragma unroll
        for (int g = 0; g < GROUPS; ++g) load<W>(v + g * W, own.ring[slot] + place(g));
        fetch(slot, row + ROWS);
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
          const T d = v[c] - centre, square = d * d;
          sum[0][c] += d;
          of_row[0] = c ? of_row[0] + d : d;
          if constexpr (MOMENTS > 1) {
            sum[1][c] += square;
            of_row[1] = c ? of_row[1] + square : square;
            sum[2][c] = fma(square, d, sum[2][c]);
            of_row[2] = c ? fma(square, d, of_row[2]) : square * d;
            sum[3][c] = fma(square, square, sum[3][c]);
            of_row[3] = c ? fma(square, square, of_row[3]) : square * square;
          }
          if (EXTREMA && present >> (c / W) & 1) {
            low = smaller(low, v[c]);
            high = larger(high, v[c]);
          }
        }
        const T added = warp_reduce_many(of_row, [](T a, T b) { return a + b; });
        constexpr int ALIKE = WARP / MOMENTS; // lanes that end with the same value
        if (lane % ALIKE == 0) own.parts[buffer][round + slot][lane / ALIKE] = added;
      }
    }
    unflushed += TILE;
    if (unflushed == FLUSH || tile + TILE >= n_rows) {
      unflushed = 0;
#pragma unroll
      for (int p = 0; p < MOMENTS; ++p) {
#pragma unroll
        for (int c = 0; c < COLUMNS; ++c) {
          own.totals[p][c][lane] += sum[p][c];
          sum[p][c] = T(0);
        }
      }
    }
    __syncthreads(); // once a tile: the other buffer is free again when all have come here a second time
    for (int i = thread; i < TILE * MOMENTS; i += blockDim.x) {
      const int p = i / TILE, r = i % TILE;
      if (tile + r < n_rows) {
        double combined = shares[0].parts[buffer][r][p];
        for (int w = 1; w < warps; ++w) combined += shares[w].parts[buffer][r][p];
        row_stats[(p * static_cast<long long>(gridDim.x) + blockIdx.x) * rows + first + tile + r] = combined;
      }
    }
  }

  const long long stride = static_cast<long long>(gridDim.y) * n2;
#pragma unroll
  for (int c = 0; c < COLUMNS; ++c) {
    if (!(present >> (c / W) & 1)) continue;
    double *to = column_stats + blockIdx.y * n2 + chunk + warp * COLUMNS * WARP + place(c / W) + c % W;
#pragma unroll
    for (int p = 0; p < MOMENTS; ++p) to[p * stride] = own.totals[p][c][lane];
  }
  if (EXTREMA) {
    __shared__ T found[BLOCK / WARP][2];
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) {
      low = smaller(low, __shfl_xor_sync(ALL_LANES, low, step));
      high = larger(high, __shfl_xor_sync(ALL_LANES, high, step));
    }
    if (lane == 0) {
      found[warp][0] = low;
      found[warp][1] = high;
    }
    __syncthreads();
    if (thread == 0) {
      for (int w = 1; w < warps; ++w) {
        low = smaller(low, found[w][0]);
        high = larger(high, found[w][1]);
      }
      double *to = extremes + blockIdx.x * gridDim.y + blockIdx.y;
      to[0] = low;
      to[gridDim.x * gridDim.y] = high;
    }
  }
}

// All axes at once (blockIdx.z): of row_stats (chunks, n0, n1) the sums over chunks and n1, and over chunks and n0; of
// column_stats (blocks, n2) the sums over blocks. 8 planes a block; lanes follow the memory.
__global__ void __launch_bounds__(256, 4)
    combine_partials(const double *__restrict__ row_stats, const double *__restrict__ column_stats,
                     double *__restrict__ out, long long n0, long long n1, long long n2, int chunks, int blocks) {
  constexpr int PLANES = 8, WARPS = 256 / WARP;
  __shared__ double parts[WARPS][PLANES];
  const int stat = blockIdx.y, axis = blockIdx.z, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  const long long planes = axis == 0 ? n0 : axis == 1 ? n1 : n2, start = blockIdx.x * static_cast<long long>(PLANES);
  if (start >= planes) return;
  out += stat * (n0 + n1 + n2) + (axis == 0 ? 0 : axis == 1 ? n0 : n0 + n1);
  double value = 0.0;
  if (axis == 0) { // a warp a plane
    const long long plane = start + warp;
    if (plane < n0)
      for (int c = 0; c < chunks; ++c) {
        const double *row = row_stats + ((stat * static_cast<long long>(chunks) + c) * n0 + plane) * n1;
#pragma unroll 4
        for (long long i = lane; i < n1; i += WARP) value += row[i];
      }
    value = warp_sum(value);
    if (lane == 0 && plane < n0) out[plane] = value;
  } else { // 8 planes side by side, 32 rows at a time
    const long long outer = axis == 1 ? chunks * n0 : blocks, plane = start + lane % PLANES;
    const double *column = (axis == 1 ? row_stats : column_stats) + stat * outer * planes + plane;
    if (plane < planes) {
#pragma unroll 4
      for (long long o = threadIdx.x / PLANES; o < outer; o += 256 / PLANES) value += column[o * planes];
    }
#pragma unroll
    for (int step = WARP / 2; step >= PLANES; step /= 2) value += __shfl_xor_sync(ALL_LANES, value, step);
    if (lane < PLANES) parts[warp][lane] = value;
    __syncthreads();
    if (threadIdx.x < PLANES && plane < planes) {
      for (int w = 1; w < WARPS; ++w) value += parts[w][lane];
      out[plane] = value;
    }
  }
}
