// common: what kernels share. Types, sums without drift, copies to shared memory, reductions of warps and blocks.
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

// Copies from global to shared memory that go on while the thread does, without registers: of BYTES (4, 8 or 16, at
// multiples of it). Those begun before a close_copies() are one group; wait_copies<OPEN>() returns when all groups of
// this thread but the last OPEN have come, and only then may it read them; other threads after a barrier. Before sm_80
// they are plain copies. The tests' host delivers them when they are waited for.
template <int BYTES> __device__ __forceinline__ void begin_copy(void *shared, const void *global) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "what the hardware copies");
#if defined(CUDA_ON_CPU)
  cuda_on_cpu::begin_copy(shared, global, BYTES);
#elif __CUDA_ARCH__ >= 800
  const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  if constexpr (BYTES == 16) // past the first cache
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(global) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(global), "n"(BYTES) : "memory");
#else
  memcpy(__builtin_assume_aligned(shared, BYTES), __builtin_assume_aligned(global, BYTES), BYTES);
#endif
}
__device__ __forceinline__ void close_copies() {
#if defined(CUDA_ON_CPU)
  cuda_on_cpu::close_copies();
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int OPEN> __device__ __forceinline__ void wait_copies() {
#if defined(CUDA_ON_CPU)
  cuda_on_cpu::wait_copies(OPEN);
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(OPEN) : "memory");
#endif
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
