// common: what kernels share. Types, sums without drift, reductions of warps and blocks.
//
// Indices into arrays are long long: a field may hold more than 2^31 points. No kernel relies on sizes that
// divide evenly. No atomics on floating-point numbers: the same launch gives the same bits.
//
// The tests run these sources on the host, too (CUDA_ON_CPU is defined there): whatever is written in PTX has a
// plain form beside it.

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// Four (float) or two (double) neighbours of a row: 16 bytes, one load.
template <typename T> struct Vector;
template <> struct Vector<float> {
  using type = float4;
  static constexpr int size = 4;
};
template <> struct Vector<double> {
  using type = double2;
  static constexpr int size = 2;
};

// Sum of a + b as s + e exactly (Knuth): the error term of running sums that must not drift.
template <typename T> __device__ __forceinline__ void two_sum(T a, T b, T &s, T &e) {
  s = a + b;
  const T t = s - a;
  e = (a - (s - t)) + (b - t);
}

// Index modulo n of an index in -n .. 2n - 1: what a window's reach is reduced to before.
__device__ __forceinline__ long long wrapped_once(long long i, long long n) {
  return i < 0 ? i + n : i >= n ? i - n : i;
}

// Sum over the lanes of a warp, in every lane; fixed tree.
template <typename T> __device__ __forceinline__ T warp_sum(T value) {
#pragma unroll
  for (int step = WARP / 2; step > 0; step /= 2) value += __shfl_xor_sync(ALL_LANES, value, step);
  return value;
}

// Sum over a block of whole warps, in every thread; `scratch` holds a value for each warp. Ends with all threads past
// their reads, so that scratch may be reused.
template <typename T> __device__ __forceinline__ T block_sum(T value, T *scratch) {
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = (blockDim.x + WARP - 1) / WARP;
  value = warp_sum(value);
  if (lane == 0) scratch[warp] = value;
  __syncthreads();
  T total = T(0);
  for (int w = 0; w < warps; ++w) total += scratch[w];
  __syncthreads();
  return total;
}
