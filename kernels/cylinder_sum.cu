// cylinder_sum: direct sums of charge over distance within a cylinder, from below and from above, at given grid points.
//
//   parts[slice, p, side] = Σ over planes x, disc points j of the slice:  weight[side, x, p] v[x, s_p + j] / r     eq. 69
//   r = √(squared[j] + step² (x - x_p)²), and `own` for 1/r at r = 0
//   weight[0, x, p] = source[0, x] ends[x_p - x] for x <= x_p (ends of one beyond its length), else 0; [1, x, p] mirrored
//
// values    T, planes along the normal `normal` apart, in-plane neighbours `first` and `second` apart (elements)
// points    (n_points, 3) long long: plane, in-plane indices
// offsets   (n_disc, 2) int: in-plane offsets of the points within the radius
// squared   (n_disc,) T: their squared distances
// ends      (n_ends,) T; source (2, planes) T
// parts     (slices, n_points, 2) double, written; slices = plane slices x disc slices
// launch    <<<(n_points, plane slices, disc slices), BLOCK>>>, BLOCK a multiple of 32 up to 256;
//           plane slices = ceil(planes / PLANES)
// order     a thread adds up to PLANES planes of a disc point in T, disc points in double; fixed trees
// oracle    device/cpu/cylinder.py cylinder_sum; test tests/kernels/test_cylinder.py
// ladder    v1 one thread a point; v2 this
//
// instances
//   cylinder_sum<float>
//   cylinder_sum<double>
#include "common.cuh"

constexpr int LARGEST_BLOCK = 256;
constexpr int PLANES = 64;

// 1/√x to the last bit or two. In double: a float's, and one step of third order; x within the range of a float.
__device__ __forceinline__ float inverse_root(float x) { return rsqrt(x); }
__device__ __forceinline__ double inverse_root(double x) {
  const double y = rsqrt(static_cast<float>(x)), rest = 1.0 - x * y * y;
  return y + y * rest * (0.5 + 0.375 * rest);
}

template <typename T> struct PlaneTerms {
  T squared, below, above;
};

template <typename T> __global__ void __launch_bounds__(LARGEST_BLOCK)
    cylinder_sum(const T *__restrict__ values, const long long *__restrict__ points, const int *__restrict__ offsets,
                 const T *__restrict__ squared, const T *__restrict__ ends, const T *__restrict__ source,
                 double *__restrict__ parts, long long planes, int n_first, int n_second, long long normal,
                 long long first, long long second, long long n_disc, int n_ends, int periodic, T step, T own) {
  __shared__ PlaneTerms<T> terms[PLANES];
  __shared__ double scratch[LARGEST_BLOCK / WARP];
  const long long *point = points + 3LL * blockIdx.x;
  const long long plane = point[0], start = static_cast<long long>(blockIdx.y) * PLANES;
  const int count = static_cast<int>(min(static_cast<long long>(PLANES), planes - start));
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const long long x = start + i, away = x < plane ? plane - x : x - plane;
    const T end = away < n_ends ? ends[away] : T(1), distance = step * static_cast<T>(away);
    terms[i] = {distance * distance, x <= plane ? end * source[x] : T(0), x >= plane ? end * source[planes + x] : T(0)};
  }
  __syncthreads();

  const int in_first = static_cast<int>(point[1]), in_second = static_cast<int>(point[2]);
  double below = 0.0, above = 0.0;
  const long long from = n_disc * blockIdx.z / gridDim.z, to = n_disc * (blockIdx.z + 1LL) / gridDim.z;
  for (long long j = from + threadIdx.x; j < to; j += blockDim.x) {
    int a = in_first + offsets[2 * j], b = in_second + offsets[2 * j + 1];
    if (periodic) {
      a %= n_first;
      b %= n_second;
      a = a < 0 ? a + n_first : a;
      b = b < 0 ? b + n_second : b;
    } else if (a < 0 || b < 0 || a >= n_first || b >= n_second) {
      continue;
    }
    const T *v = values + start * normal + a * first + b * second;
    const T in_plane = squared[j];
    T low = T(0), high = T(0);
#pragma unroll 4
    for (int i = 0; i < count; ++i) {
      const PlaneTerms<T> term = terms[i];
      const T r2 = in_plane + term.squared;
      const T over_distance = v[i * normal] * (r2 > T(0) ? inverse_root(r2) : own);
      low += over_distance * term.below;
      high += over_distance * term.above;
    }
    below += low;
    above += high;
  }
  below = block_sum(below, scratch);
  above = block_sum(above, scratch);
  if (threadIdx.x == 0) {
    const long long slice = blockIdx.y + static_cast<long long>(gridDim.y) * blockIdx.z;
    double *out = parts + 2 * (slice * gridDim.x + blockIdx.x);
    out[0] = below;
    out[1] = above;
  }
}
