// window_ranges, v1: every point of the window from memory.
//
//   low[j] = min, high[j] = max, mean[j] = mean over the window's points p of v[j every + p]
//
// values          (n0, n1, n2) T, C order; periodic, or with bit `axis` of open set going on with the last value
// low, high, mean (m0, m1, m2) T, m = ceil(n/every)
// points          (n_points, 3) int offsets
// launch  <<<ceil(m0 m1 m2 / threads), threads>>>
// order   the points in their order, in float64
// oracle  device/cpu/ranges.py window_ranges; test tests/kernels/test_window_ranges.py
// ladder  v1 (this) of window_ranges.cu: a load and three operations a point of the window
//
// instances
//   window_ranges_v1<float>
//   window_ranges_v1<double>
#include "common.cuh"

template <typename T> __global__ void window_ranges_v1(const T *__restrict__ values, T *__restrict__ low,
                                                       T *__restrict__ high, T *__restrict__ mean,
                                                       const int *__restrict__ points, long long n0, long long n1,
                                                       long long n2, long long m0, long long m1, long long m2,
                                                       int n_points, int every, int open) {
  const long long to = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (to >= m0 * m1 * m2) return;
  const long long n[3] = {n0, n1, n2}, at[3] = {to / (m1 * m2) * every, to / m2 % m1 * every, to % m2 * every};
  T least = T(1) / T(0), most = T(-1) / T(0);
  double sum = 0.0;
  for (int p = 0; p < n_points; ++p) {
    long long place = 0;
    for (int axis = 0; axis < 3; ++axis) {
      long long i = at[axis] + points[3 * p + axis];
      if (open >> axis & 1)
        i = i < 0 ? 0 : i >= n[axis] ? n[axis] - 1 : i;
      else
        i = (i % n[axis] + n[axis]) % n[axis];
      place = place * n[axis] + i;
    }
    const T value = values[place];
    least = value < least ? value : least;
    most = value > most ? value : most;
    sum += value;
  }
  low[to] = least;
  high[to] = most;
  mean[to] = static_cast<T>(sum / n_points);
}
