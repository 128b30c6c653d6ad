// running_extrema, v1: every window anew.
//
//   low[.., j, ..] = min, high[.., j, ..] = max over i < width of v[.., (j + start + i) mod n, ..];  NaN passes on
//
// values, low, high  (outer, n, inner) T, C order; start in 0 .. n - 1
// launch  <<<ceil(outer n inner / threads), threads>>>
// order   exact
// oracle  device/cpu/running.py running_extrema; test tests/kernels/test_running_extrema.py
// ladder  v1 (this) of running_extrema.cu: width comparisons a value
//
// instances
//   running_extrema_v1<float>
//   running_extrema_v1<double>
#include "common.cuh"

template <typename T> __global__ void running_extrema_v1(const T *__restrict__ values, T *__restrict__ low,
                                                         T *__restrict__ high, long long outer, long long n,
                                                         long long inner, long long start, long long width) {
  const long long at = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (at >= outer * n * inner) return;
  const long long o = at / (n * inner), j = at / inner % n;
  const T *const line = values + o * n * inner + at % inner;
  T least = line[(j + start) % n * inner], most = least;
  for (long long i = 1; i < width; ++i) {
    const T value = line[(j + start + i) % n * inner];
    least = value < least || value != value ? value : least;
    most = value > most || value != value ? value : most;
  }
  low[at] = least;
  high[at] = most;
}
