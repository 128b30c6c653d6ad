// running_extrema: smallest and largest value of every window along one periodic axis.
//
//   low[.., j, ..] = min, high[.., j, ..] = max over i < width of v[.., (j + start + i) mod n, ..];  NaN passes on
//
// The windows of UNIT neighbouring outputs share all but UNIT - 1 values at either end. Each is
//
//   a suffix of the unit it starts in | whole units | values that fill no unit | a prefix of the UNIT values it ends in
//
// so that a value costs a few comparisons whatever the width.
//
// running_extrema       a thread marches along a line, lanes along inner: it loads UNIT values where windows end and,
//                       behind, UNIT where they start (in the second-level cache, if the window fits there). Windows of
//                       whole units are the suffix of one block of units, in shared memory, and the prefix of the next
//                       (van Herk, Gil and Werman)
// running_extrema_rows  inner = 1: a row in shared memory, a thread a unit; windows of whole units are doubled until two
//                       of them cover what is wanted. UNIT is odd: lanes UNIT apart meet in no bank
//
// values, low, high  (outer, n, inner) T, C order; start in 0 .. n - 1, width in UNIT .. n, stretch a multiple of UNIT;
//                    low and high of rows start at 16-byte addresses
// launch             whole = max(0, width - 1 - UNIT) / UNIT
//                    running_extrema       <<<(ceil(outer inner / threads), ceil(n / stretch)), threads>>>, threads up
//                                          to 128, dynamic shared memory: 2 whole threads T
//                    running_extrema_rows  <<<outer, threads>>>, dynamic shared memory, in T:
//                                          2 (n rounded up to 4) + n + width + UNIT - 1 + 4 ((n + width - 1) / UNIT)
// order              exact
// oracle             device/cpu/running.py running_extrema; test tests/kernels/test_running_extrema.py
// ladder             v1 every window anew; v2 this, instead of two marches through each block of `width` outputs, the
//                    second on top of the first one's results (3 times the traffic)
//
// instances
//   running_extrema<float, 1>
//   running_extrema<float, 4>
//   running_extrema<float, 16>
//   running_extrema<double, 1>
//   running_extrema<double, 4>
//   running_extrema<double, 8>
//   running_extrema_rows<float, 1>
//   running_extrema_rows<float, 5>
//   running_extrema_rows<float, 17>
//   running_extrema_rows<double, 1>
//   running_extrema_rows<double, 3>
//   running_extrema_rows<double, 9>
#include "common.cuh"

constexpr int LINES = 128;       // threads of a marching block at most
constexpr int ROW_THREADS = 512; // of a block of rows

// The smaller (or larger) of two; NaN if one is, which min and max are not.
template <typename T> __device__ __forceinline__ T smaller(T a, T b) { return b < a || b != b ? b : a; }
template <typename T> __device__ __forceinline__ T larger(T a, T b) { return b > a || b != b ? b : a; }
#if !defined(CUDA_ON_CPU) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
__device__ __forceinline__ float smaller(float a, float b) {
  float result;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
__device__ __forceinline__ float larger(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
#endif

// Smallest and largest of some values; of none at first.
template <typename T> struct Extremes {
  T low = T(1) / T(0), high = T(-1) / T(0);
  __device__ __forceinline__ void add(T value) { add({value, value}); }
  __device__ __forceinline__ void add(const Extremes &other) {
    low = smaller(low, other.low);
    high = larger(high, other.high);
  }
  Extremes() = default;
  __device__ __forceinline__ Extremes(T low, T high) : low(low), high(high) {}
};

template <typename T, int UNIT> __global__ void __launch_bounds__(LINES, UNIT > 4 ? 4 : 6)
    running_extrema(const T *__restrict__ values, T *__restrict__ low, T *__restrict__ high, long long outer,
                    long long n, long long inner, long long start, long long width, long long stretch) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  const int threads = blockDim.x;
  const long long line = blockIdx.x * static_cast<long long>(threads) + threadIdx.x;
  if (line >= outer * inner) return;
  const long long o = line / inner, first = blockIdx.y * stretch, last = min(first + stretch, n);
  const long long offset = o * n * inner + (line - o * inner);
  const T *const along = values + offset;
  low += offset;
  high += offset;
  const int between = static_cast<int>(max(width - 1 - UNIT, 0LL)), whole = between / UNIT, rest = between % UNIT;
  T *const stack = reinterpret_cast<T *>(shared_bytes) + threadIdx.x; // whole units: low and high of each

  // UNIT values from `position` on, which moves beyond them.
  const auto load = [&](T(&v)[UNIT], long long &position) {
    const T *const at = along + position * inner;
    if (position + UNIT <= n) {
#pragma unroll
      for (int i = 0; i < UNIT; ++i) v[i] = at[i * inner];
    } else { // another kind of load: the compiler would merge equal ones, and keep UNIT addresses for them
#pragma unroll
      for (int i = 0; i < UNIT; ++i) v[i] = __ldcg(at + (position + i < n ? i : i - n) * inner);
    }
    position += UNIT;
    if (position >= n) position -= n;
  };
  const auto kept = [&](int unit) { return Extremes<T>(stack[2 * unit * threads], stack[(2 * unit + 1) * threads]); };
  const auto keep = [&](int unit, const Extremes<T> &one) {
    stack[2 * unit * threads] = one.low;
    stack[(2 * unit + 1) * threads] = one.high;
  };
  const auto make_suffixes = [&]() {
    Extremes<T> suffix;
    for (int unit = whole - 1; unit >= 0; --unit) {
      suffix.add(kept(unit));
      keep(unit, suffix);
    }
  };

  long long begins = (first + start) % n, ends = (begins + width - 1) % n, middle = (begins + UNIT) % n;
  T begin[UNIT], end[UNIT]; // where the next UNIT windows begin and end
  load(begin, begins);
  load(end, ends);
  for (int unit = 0; unit < whole; ++unit) {
    T v[UNIT];
    load(v, middle);
    Extremes<T> one;
#pragma unroll
    for (int i = 0; i < UNIT; ++i) one.add(v[i]);
    keep(unit, one);
  }
  make_suffixes();
  Extremes<T> open; // of the values before `end` that fill no unit yet
  for (int i = 0; i < rest; ++i) {
    open.add(along[middle * inner]);
    middle = middle + 1 == n ? 0 : middle + 1;
  }

  Extremes<T> prefix; // of the units pushed since the last suffixes
  int unit = 0;       // the window's first, among those with suffixes
  for (long long j = first; j < last; j += UNIT) {
    Extremes<T> out[UNIT], suffix;
#pragma unroll
    for (int i = UNIT - 1; i >= 0; --i) {
      suffix.add(begin[i]);
      out[i] = suffix;
    }
    Extremes<T> inside = open, closed = open;
    inside.add(prefix);
    if (whole > 0) inside.add(kept(unit));
    open = {};
#pragma unroll
    for (int i = 0; i < UNIT; ++i) {
      inside.add(end[i]);
      out[i].add(inside);
      if (i < UNIT - rest)
        closed.add(end[i]);
      else
        open.add(end[i]);
    }
    load(begin, begins);
    load(end, ends);
    T *const to_low = low + j * inner, *const to_high = high + j * inner;
    if (j + UNIT <= last) {
#pragma unroll
      for (int i = 0; i < UNIT; ++i) {
        __stcs(to_low + i * inner, out[i].low);
        __stcs(to_high + i * inner, out[i].high);
      }
    } else {
#pragma unroll
      for (int i = 0; i < UNIT; ++i) {
        if (j + i >= last) break;
        __stcs(to_low + i * inner, out[i].low);
        __stcs(to_high + i * inner, out[i].high);
      }
    }
    if (whole > 0) {
      keep(unit, closed);
      prefix.add(closed);
      if (++unit == whole) {
        make_suffixes();
        prefix = {};
        unit = 0;
      }
    }
  }
}

template <typename T, int UNIT> __global__ void __launch_bounds__(ROW_THREADS, 1)
    running_extrema_rows(const T *__restrict__ values, T *__restrict__ low, T *__restrict__ high, int n, int start,
                         int width) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  const int thread = threadIdx.x, threads = blockDim.x;
  const int between = max(width - 1 - UNIT, 0), whole = between / UNIT;
  const int units = (n + width - 1) / UNIT, length = n + width - 1 + UNIT, pitch = (n + 3) / 4 * 4;
  T *const staged_low = reinterpret_cast<T *>(shared_bytes), *const staged_high = staged_low + pitch;
  T *const line = staged_high + pitch; // the row, and on to where the last window ends
  T *least = line + length, *most = least + units, *next_least = most + units, *next_most = next_least + units;
  const long long row = blockIdx.x * static_cast<long long>(n);
  values += row;
  using Several = typename Vector<T>::type;
  const int vectors = n % Vector<T>::size == 0 ? n / Vector<T>::size : 0; // of a row that can be moved so
  if (vectors > 0 && reinterpret_cast<unsigned long long>(values) % 16 == 0) {
#pragma unroll 4
    for (int i = thread; i < vectors; i += threads)
      reinterpret_cast<Several *>(line)[i] = reinterpret_cast<const Several *>(values)[i];
  } else {
#pragma unroll 4
    for (int i = thread; i < n; i += threads) line[i] = values[i];
  }
  for (int i = n + thread; i < length; i += threads) {
    int source = i - n;
    while (source >= n) source -= n;
    line[i] = values[source];
  }
  __syncthreads();

  int covered = 1; // least[u], most[u] are of the units u .. u + covered - 1
  if (whole > 0) {
    for (int u = thread; u < units; u += threads) {
      Extremes<T> one;
#pragma unroll
      for (int i = 0; i < UNIT; ++i) one.add(line[u * UNIT + i]);
      least[u] = one.low;
      most[u] = one.high;
    }
    __syncthreads();
    while (2 * covered <= whole) {
      for (int u = thread; u < units; u += threads) {
        const int other = min(u + covered, units - 1); // windows beyond the last unit are of nobody
        next_least[u] = smaller(least[u], least[other]);
        next_most[u] = larger(most[u], most[other]);
      }
      T *const swapped_least = least, *const swapped_most = most;
      least = next_least;
      most = next_most;
      next_least = swapped_least;
      next_most = swapped_most;
      covered *= 2;
      __syncthreads();
    }
  }

  for (int unit = thread; unit * UNIT < n; unit += threads) {
    const int first = unit * UNIT; // value where the first window begins
    const T *const at = line + first;
    Extremes<T> out[UNIT], suffix, inside;
    T end[UNIT];
#pragma unroll
    for (int i = 0; i < UNIT; ++i) end[i] = at[width - 1 + i];
#pragma unroll
    for (int i = UNIT - 1; i >= 0; --i) {
      suffix.add(at[i]);
      out[i] = suffix;
    }
    if (whole > 0) {
      const int one = unit + 1, other = unit + 1 + whole - covered;
      inside.add({least[one], most[one]});
      inside.add({least[other], most[other]});
#pragma unroll
      for (int i = 1; i < UNIT; ++i) inside.add(at[width - 1 - i]); // what fills no unit, and some of the units again
    } else {
#pragma unroll
      for (int i = 0; i < UNIT - 1; ++i)
        if (i < between) inside.add(at[UNIT + i]);
    }
#pragma unroll
    for (int i = 0; i < UNIT; ++i) {
      inside.add(end[i]);
      out[i].add(inside);
    }
    const int j = first < start ? first - start + n : first - start; // output of the first window
    if (max(first, j) + UNIT <= n) {
#pragma unroll
      for (int i = 0; i < UNIT; ++i) {
        staged_low[j + i] = out[i].low;
        staged_high[j + i] = out[i].high;
      }
    } else {
#pragma unroll
      for (int i = 0; i < UNIT; ++i) {
        const int to = j + i < n ? j + i : j + i - n;
        if (first + i < n) {
          staged_low[to] = out[i].low;
          staged_high[to] = out[i].high;
        }
      }
    }
  }
  __syncthreads();
  low += row;
  high += row;
  if (vectors > 0) {
    for (int i = thread; i < vectors; i += threads) {
      __stcs(reinterpret_cast<Several *>(low) + i, reinterpret_cast<const Several *>(staged_low)[i]);
      __stcs(reinterpret_cast<Several *>(high) + i, reinterpret_cast<const Several *>(staged_high)[i]);
    }
  } else {
    for (int i = thread; i < n; i += threads) {
      __stcs(low + i, staged_low[i]);
      __stcs(high + i, staged_high[i]);
    }
  }
}
