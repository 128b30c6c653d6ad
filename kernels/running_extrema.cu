// running_extrema: smallest and largest value of every window along one periodic axis.
//
//   low[.., j, ..] = min, high[.., j, ..] = max over i < width of v[.., (j + start + i) mod n, ..];  NaN passes on
//
// running_extrema       blocks of `width` outputs: a window is the suffix of one block and the prefix of the next (van
//                       Herk, Gil and Werman), three comparisons a value whatever the width; lanes along inner
// running_extrema_rows  inner = 1: rows in shared memory, windows of doubled width until two of them cover the window
//
// values, low, high  (outer, n, inner) T, C order; start in 0 .. n - 1, width in 1 .. n
// launch             running_extrema       <<<(ceil(outer inner / threads), ceil(n / width)), threads>>>
//                    running_extrema_rows  <<<outer, threads>>>, dynamic shared memory: 4 n T
// order              exact
// oracle             device/cpu/running.py running_extrema; test tests/kernels/test_running_extrema.py
// ladder             v1 every window anew; v2 this
//
// instances
//   running_extrema<float>
//   running_extrema<double>
//   running_extrema_rows<float>
//   running_extrema_rows<double>
#include "common.cuh"

// The smaller (or larger) of two; NaN if one is, which min and max are not.
template <typename T> __device__ __forceinline__ T smaller(T a, T b) { return b < a || b != b ? b : a; }
template <typename T> __device__ __forceinline__ T larger(T a, T b) { return b > a || b != b ? b : a; }

template <typename T> __global__ void __launch_bounds__(1024)
    running_extrema(const T *__restrict__ values, T *__restrict__ low, T *__restrict__ high, long long outer,
                    long long n, long long inner, long long start, long long width) {
  const long long line = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (line >= outer * inner) return;
  const long long o = line / inner, first = blockIdx.y * width, last = min(first + width, n);
  const long long offset = o * n * inner + (line - o * inner);
  const T *const v = values + offset;
  low += offset;
  high += offset;

  // suffixes of the block, from its end (which may lie past the end of the axis) to its beginning
  long long at = (first + width - 1 + start) % n;
  T least = v[at * inner], most = least;
#pragma unroll 4
  for (long long j = first + width - 1; j >= first; --j) {
    const T value = v[at * inner];
    least = smaller(least, value);
    most = larger(most, value);
    if (j < last) {
      low[j * inner] = least;
      high[j * inner] = most;
    }
    at = at == 0 ? n - 1 : at - 1;
  }
  // prefixes of the next
  at = (first + width + start) % n;
  if (first + 1 < last) least = most = v[at * inner];
#pragma unroll 4
  for (long long j = first + 1; j < last; ++j) {
    const T value = v[at * inner];
    least = smaller(least, value);
    most = larger(most, value);
    low[j * inner] = smaller(low[j * inner], least);
    high[j * inner] = larger(high[j * inner], most);
    at = at + 1 == n ? 0 : at + 1;
  }
}

template <typename T> __global__ void __launch_bounds__(256)
    running_extrema_rows(const T *__restrict__ values, T *__restrict__ low, T *__restrict__ high, int n, int start,
                         int width) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  T *least = reinterpret_cast<T *>(shared_bytes), *most = least + n, *next_least = most + n,
    *next_most = next_least + n;
  const long long row = blockIdx.x * static_cast<long long>(n);
  for (int i = threadIdx.x; i < n; i += blockDim.x) least[i] = most[i] = values[row + i];
  __syncthreads();
  int covered = 1; // least[i], most[i] are of the values i .. i + covered - 1
  while (2 * covered <= width) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
      const int other = i + covered < n ? i + covered : i + covered - n;
      next_least[i] = smaller(least[i], least[other]);
      next_most[i] = larger(most[i], most[other]);
    }
    T *const swapped_least = least, *const swapped_most = most;
    least = next_least;
    most = next_most;
    next_least = swapped_least;
    next_most = swapped_most;
    covered *= 2;
    __syncthreads();
  }
  for (int j = threadIdx.x; j < n; j += blockDim.x) {
    const int one = j + start < n ? j + start : j + start - n;
    const int shifted = one + width - covered, other = shifted < n ? shifted : shifted - n;
    low[row + j] = smaller(least[one], least[other]);
    high[row + j] = larger(most[one], most[other]);
  }
}
