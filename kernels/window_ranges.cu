// window_ranges: smallest, largest and mean value in a window of any shape about some of the points.
//
//   low[j] = min, high[j] = max, mean[j] = mean over the window's points p of v[j every + p]
//
// The window is rows, neighbours along the last axis, and ends, values between two points. Outputs of a block share most
// of the lines that their windows reach: each line is put into shared memory once for TILE rows of outputs.
//
// values          (n0, n1, n2) T, C order, finite, fewer than 2^31 along an axis; periodic, or with bit `axis` of open set
//                 going on with the last value
// low, high, mean (m0, m1, m2) T, m = ceil(n/every)
// table           (n_a, n_b, 2) int: of the line at offset (first_a + a, first_b + b) the row's first point, counted from
//                 first_c, and its number of points, 0 for none
// ends            (n_ends, 6) int: the two offsets; shares (n_ends,) T: v (1 - share) + v' share
// length          (threads - 1) every + the largest first + count of the table
// launch          <<<(m0 ceil(m1/TILE), ceil(m2/threads)), threads>>>, threads a multiple of 32 up to 128; dynamic shared
//                 memory: length T
// order           rows by lines, a then b, each in the precision of the values, then in float64; then the ends
// oracle          device/cpu/ranges.py window_ranges; test tests/kernels/test_window_ranges.py
// ladder          v1 a thread an output, every point of its window from memory; v2 this: lines in shared memory, for
//                 several rows of outputs
//
// instances
//   window_ranges<float>
//   window_ranges<double>
#include "common.cuh"

constexpr int TILE = 4;      // rows of outputs of a block
constexpr int THREADS = 128; // of a block at most

// Index of a line that goes around, or on with its last value.
__device__ __forceinline__ int continued(int i, int n, bool open) {
  if (open) return i < 0 ? 0 : i >= n ? n - 1 : i;
  i %= n;
  return i < 0 ? i + n : i;
}

template <typename T> __global__ void __launch_bounds__(THREADS, 8)
    window_ranges(const T *__restrict__ values, T *__restrict__ low, T *__restrict__ high, T *__restrict__ mean,
                  const int *__restrict__ table, const int *__restrict__ ends, const T *__restrict__ shares, int n0,
                  int n1, int n2, int m1, int m2, int first_a, int first_b, int first_c, int n_a, int n_b, int length,
                  int n_ends, int every, int open, double scale) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  T *const line = reinterpret_cast<T *>(shared_bytes);
  const int thread = threadIdx.x, threads = blockDim.x;
  const int tiles = (m1 + TILE - 1) / TILE, a_out = blockIdx.x / tiles, b_out = blockIdx.x % tiles * TILE;
  const int c_first = blockIdx.y * threads, c_out = c_first + thread;
  const long long line_size = n2, plane_size = line_size * n1;
  const bool open_a = open & 1, open_b = open & 2, open_c = open & 4;

  T least[TILE], most[TILE];
  double sum[TILE];
#pragma unroll
  for (int t = 0; t < TILE; ++t) {
    least[t] = static_cast<T>(__longlong_as_double(0x7ff0000000000000LL)); // a division would be a call
    most[t] = -least[t];
    sum[t] = 0.0;
  }
  for (int a = 0; a < n_a; ++a) {
    const T *const plane = values + continued(a_out * every + first_a + a, n0, open_a) * plane_size;
    const int *const rows = table + a * n_b * 2;
    for (int b = 0; b < n_b + (TILE - 1) * every; ++b) {
      bool wanted = false; // the same for the whole block
#pragma unroll
      for (int t = 0; t < TILE; ++t) {
        const int row = b - t * every;
        wanted = wanted || (row >= 0 && row < n_b && rows[2 * row + 1] > 0);
      }
      if (!wanted) continue;
      const T *const from = plane + continued(b_out * every + first_b + b, n1, open_b) * line_size;
      __syncthreads();
      for (int i = thread; i < length; i += threads)
        line[i] = from[continued(c_first * every + first_c + i, n2, open_c)];
      __syncthreads();
#pragma unroll
      for (int t = 0; t < TILE; ++t) {
        const int row = b - t * every;
        if (row < 0 || row >= n_b) continue;
        const int count = rows[2 * row + 1];
        const T *const at = line + thread * every + rows[2 * row];
        T part = T(0);
        for (int i = 0; i < count; ++i) {
          const T value = at[i];
          least[t] = value < least[t] ? value : least[t];
          most[t] = value > most[t] ? value : most[t];
          part += value;
        }
        sum[t] += part;
      }
    }
  }
  if (c_out >= m2) return;
  for (int e = 0; e < n_ends; ++e) {
    const int *const end = ends + 6 * e;
    const T share = shares[e];
    const T *const one = values + continued(a_out * every + end[0], n0, open_a) * plane_size +
                         continued(c_out * every + end[2], n2, open_c);
    const T *const other = values + continued(a_out * every + end[3], n0, open_a) * plane_size +
                           continued(c_out * every + end[5], n2, open_c);
#pragma unroll
    for (int t = 0; t < TILE; ++t) {
      const T value = (T(1) - share) * one[continued((b_out + t) * every + end[1], n1, open_b) * line_size] +
                      share * other[continued((b_out + t) * every + end[4], n1, open_b) * line_size];
      least[t] = value < least[t] ? value : least[t];
      most[t] = value > most[t] ? value : most[t];
      sum[t] += value;
    }
  }
#pragma unroll
  for (int t = 0; t < TILE; ++t) {
    if (b_out + t >= m1) break;
    const long long to = (static_cast<long long>(a_out) * m1 + b_out + t) * m2 + c_out;
    low[to] = least[t];
    high[to] = most[t];
    mean[to] = static_cast<T>(sum[t] * scale);
  }
}
