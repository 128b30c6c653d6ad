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
// launch         planar_moments    <<<(blocks, chunks), 256>>>, chunks = ceil(n2 / COLUMNS<T>), blocks <= rows
//                combine_partials  <<<(ceil(planes / (inner == 1 ? 32 : 8)), STATS), (32, 8)>>>
// order          fixed trees, no atomics: the same launch gives the same bits. A thread adds up to 64 rows of a column
//                in T, everything beyond in double; a row's 128 neighbours in T, by a tree
// oracle         device/cpu/sums.py planar_moments; test tests/kernels/test_planar_moments.py
// ladder         v1 one block a plane, one axis a read; v2 this: 3 axes a read, transposed reduction of rows
//
// instances
//   planar_moments<float, 1, false>
//   planar_moments<float, 4, true>
//   planar_moments<double, 1, false>
//   planar_moments<double, 4, true>
//   combine_partials
#include "common.cuh"

constexpr int BLOCK = 256;
constexpr int WARPS = BLOCK / WARP;
constexpr int TILE = 32;  // rows whose parts wait in shared memory before the warps' parts are added
constexpr int BATCH = 4;  // rows in flight
constexpr int FLUSH = 64; // rows that a column adds in T

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

// Four neighbours, or four columns a block apart where rows do not start at 16-byte addresses.
template <typename T> struct Columns {
  static constexpr int count = 16 / sizeof(T);
};

template <typename T, int MOMENTS, bool EXTREMA> __global__ void __launch_bounds__(BLOCK, 2)
    planar_moments(const T *__restrict__ values, double *__restrict__ row_stats, double *__restrict__ column_stats,
                   long long rows, long long n2, T centre) {
  constexpr int C = Columns<T>::count;
  constexpr int STATS = MOMENTS + (EXTREMA ? 2 : 0);
  __shared__ T parts[WARPS][TILE][STATS];
  const T largest = T(1) / T(0);
  const int thread = threadIdx.x, warp = thread / WARP, lane = thread % WARP;
  const long long chunk = static_cast<long long>(blockIdx.y) * BLOCK * C;
  const long long first = rows * blockIdx.x / gridDim.x, last = rows * (blockIdx.x + 1LL) / gridDim.x;
  const bool aligned = n2 % C == 0;
  const long long column = chunk + (aligned ? static_cast<long long>(thread) * C : thread);
  const long long step = aligned ? 1 : BLOCK;
  bool present[C];
#pragma unroll
  for (int c = 0; c < C; ++c) present[c] = column + c * step < n2;

  T sum[MOMENTS][C];
  double total[MOMENTS][C];
  T low[C], high[C];
#pragma unroll
  for (int c = 0; c < C; ++c) {
    low[c] = high[c] = largest;
#pragma unroll
    for (int p = 0; p < MOMENTS; ++p) {
      sum[p][c] = T(0);
      total[p][c] = 0.0;
    }
  }

  for (long long tile = first; tile < last; tile += TILE) {
#pragma unroll 1
    for (int batch = 0; batch < TILE; batch += BATCH) {
      T v[BATCH][C];
#pragma unroll
      for (int r = 0; r < BATCH; ++r) {
        const long long row = tile + batch + r;
        const T *at = values + row * n2 + column;
        if (aligned) {
          typename Vector<T>::type loaded{};
          if (present[0] && row < last) loaded = *reinterpret_cast<const typename Vector<T>::type *>(at);
          const T *each = reinterpret_cast<const T *>(&loaded);
#pragma unroll
          for (int c = 0; c < C; ++c) v[r][c] = each[c];
        } else {
#pragma unroll
          for (int c = 0; c < C; ++c) v[r][c] = present[c] && row < last ? at[c * step] : T(0);
        }
      }
      T powers[BATCH * MOMENTS], extremes[2 * BATCH];
#pragma unroll
      for (int r = 0; r < BATCH; ++r) {
        const bool there = tile + batch + r < last;
        T of_row[MOMENTS];
        T row_low = largest, row_high = largest;
#pragma unroll
        for (int p = 0; p < MOMENTS; ++p) of_row[p] = T(0);
#pragma unroll
        for (int c = 0; c < C; ++c) {
          const bool counts = there && present[c];
          const T d = counts ? v[r][c] - centre : T(0);
          T power = d;
#pragma unroll
          for (int p = 0; p < MOMENTS; ++p) {
            sum[p][c] += power;
            of_row[p] += power;
            power *= d;
          }
          if (EXTREMA) {
            const T below = counts ? v[r][c] : largest, above = counts ? -v[r][c] : largest;
            low[c] = min(low[c], below);
            high[c] = min(high[c], above);
            row_low = min(row_low, below);
            row_high = min(row_high, above);
          }
        }
#pragma unroll
        for (int p = 0; p < MOMENTS; ++p) powers[r * MOMENTS + p] = of_row[p];
        extremes[2 * r] = row_low;
        extremes[2 * r + 1] = row_high;
      }
      const T added = warp_reduce_many(powers, [](T a, T b) { return a + b; });
      constexpr int SHARE = WARP / (BATCH * MOMENTS); // lanes that end with the same value
      if (lane % SHARE == 0) {
        const int which = lane / SHARE;
        parts[warp][batch + which / MOMENTS][which % MOMENTS] = added;
      }
      if (EXTREMA) {
        const T extreme = warp_reduce_many(extremes, [](T a, T b) { return min(a, b); });
        constexpr int ALIKE = WARP / (2 * BATCH);
        if (lane % ALIKE == 0) {
          const int which = lane / ALIKE;
          parts[warp][batch + which / 2][MOMENTS + which % 2] = extreme;
        }
      }
    }
    if ((tile - first) % FLUSH == FLUSH - TILE || tile + TILE >= last) {
#pragma unroll
      for (int p = 0; p < MOMENTS; ++p) {
#pragma unroll
        for (int c = 0; c < C; ++c) {
          total[p][c] += sum[p][c];
          sum[p][c] = T(0);
        }
      }
    }
    __syncthreads();
    for (int i = thread; i < TILE * STATS; i += BLOCK) {
      const int stat = i / TILE, r = i % TILE;
      if (tile + r < last) {
        double combined = parts[0][r][stat];
#pragma unroll
        for (int w = 1; w < WARPS; ++w) {
          const double other = parts[w][r][stat];
          combined = stat < MOMENTS ? combined + other : min(combined, other);
        }
        row_stats[(stat * static_cast<long long>(gridDim.y) + blockIdx.y) * rows + tile + r] = combined;
      }
    }
    __syncthreads();
  }

#pragma unroll
  for (int c = 0; c < C; ++c) {
    if (!present[c]) continue;
    double *out = column_stats + blockIdx.x * n2 + column + c * step;
    const long long stride = static_cast<long long>(gridDim.x) * n2;
#pragma unroll
    for (int p = 0; p < MOMENTS; ++p) out[p * stride] = total[p][c];
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
