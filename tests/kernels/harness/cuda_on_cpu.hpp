// cuda_on_cpu: what a kernel source finds when g++ compiles it for the host: CUDA's words, checked.
//
// Threads of a block are fibres (engine.cpp); whoever waits hands over to the next. Vector types carry CUDA's
// alignment, so that UBSan's alignment check stands for the GPU's misaligned-address fault. Shared memory is
// declared in words g++ does not know: build.py rewrites each declaration into a call of shared_array or
// dynamic_shared below.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <math.h>
#include <tuple>
#include <type_traits>
#include <utility>

#define CUDA_ON_CPU 1
#define __CUDACC__ 1
#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__

struct dim3 {
  unsigned x, y, z;
};
struct uint3 {
  unsigned x, y, z;
};

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// ---- vector types, aligned as CUDA aligns them ----

#define CUDA_ON_CPU_VECTOR(scalar, name, alignment1, alignment2, alignment3, alignment4)                               \
  struct alignas(alignment1) name##1 { scalar x; };                                                                    \
  struct alignas(alignment2) name##2 { scalar x, y; };                                                                 \
  struct alignas(alignment3) name##3 { scalar x, y, z; };                                                              \
  struct alignas(alignment4) name##4 { scalar x, y, z, w; };                                                           \
  inline name##1 make_##name##1(scalar x) { return {x}; }                                                              \
  inline name##2 make_##name##2(scalar x, scalar y) { return {x, y}; }                                                 \
  inline name##3 make_##name##3(scalar x, scalar y, scalar z) { return {x, y, z}; }                                    \
  inline name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) { return {x, y, z, w}; }

using uchar = unsigned char;
using ushort = unsigned short;
using uint = unsigned int;
using longlong = long long;
using ulonglong = unsigned long long;
CUDA_ON_CPU_VECTOR(signed char, char, 1, 2, 1, 4)
CUDA_ON_CPU_VECTOR(unsigned char, uchar, 1, 2, 1, 4)
CUDA_ON_CPU_VECTOR(short, short, 2, 4, 2, 8)
CUDA_ON_CPU_VECTOR(unsigned short, ushort, 2, 4, 2, 8)
CUDA_ON_CPU_VECTOR(int, int, 4, 8, 4, 16)
CUDA_ON_CPU_VECTOR(long long, longlong, 8, 16, 8, 16)
CUDA_ON_CPU_VECTOR(unsigned long long, ulonglong, 8, 16, 8, 16)
CUDA_ON_CPU_VECTOR(float, float, 4, 8, 4, 16)
CUDA_ON_CPU_VECTOR(double, double, 8, 16, 8, 16)
struct alignas(4) uint1 {
  unsigned x;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline uint1 make_uint1(unsigned x) { return {x}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// ---- the engine ----

namespace cuda_on_cpu {

// What lanes of a warp do together.
enum class Collective { none, shuffle, ballot, syncwarp };

[[noreturn]] void fail(const char *what);
void check_bounds(long long most_threads, long long = 0, long long = 0);
void block_barrier(int line, const char *file);
void warp_collective(Collective kind, unsigned mask, int line, const char *file);
int lane();
unsigned votes();
void set_vote(bool vote);
void *own_value();
int &source_lane();
const void *received_value();
int block_vote(int kind, int predicate, int line, const char *file);
float unflushed(double value);
void open_copy(void *to, const void *content, int bytes);
void close_copies();
void wait_copies(int open);
void *dynamic_shared_bytes(std::size_t alignment);
void *shared_bytes(const char *function, int declaration, std::size_t size, std::size_t alignment);

template <typename T, std::size_t alignment = alignof(T)> T *dynamic_shared() {
  return static_cast<T *>(dynamic_shared_bytes(alignment > alignof(T) ? alignment : alignof(T)));
}

template <typename T, std::size_t alignment = alignof(T)> T &shared_array(const char *function, int declaration) {
  return *static_cast<T *>(
      shared_bytes(function, declaration, sizeof(T), alignment > alignof(T) ? alignment : alignof(T)));
}

// A copy that is on its way until its thread waits for it: what it reads, it reads now; where it goes holds NaNs and may
// not be touched before.
inline void begin_copy(void *to, const void *from, int bytes) {
  if (std::uintptr_t(to) % bytes || std::uintptr_t(from) % bytes) fail("a copy to or from a misaligned address");
  unsigned char content[16];
  std::memcpy(content, from, bytes);
  std::memset(to, 0xff, bytes); // sanitized here, as the engine is not
  open_copy(to, content, bytes);
}

template <typename T> T shuffle(unsigned mask, T value, int source, int line, const char *file) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles take values of 4 or 8 bytes");
  std::memcpy(own_value(), &value, sizeof(T));
  source_lane() = source;
  warp_collective(Collective::shuffle, mask, line, file);
  T result;
  std::memcpy(&result, received_value(), sizeof(T));
  return result;
}

inline void check_width(int width) {
  if (width < 1 || width > 32 || (width & (width - 1))) fail("width of a shuffle is no power of two up to 32");
}

inline unsigned ballot(unsigned mask, bool vote, int line, const char *file) {
  set_vote(vote);
  warp_collective(Collective::ballot, mask, line, file);
  return votes();
}

// ---- entries: a kernel called from an array of pointers to its arguments, as cuLaunchKernel does ----

struct Parameter {
  bool pointer, constant;
  char kind; // NumPy's letter of the kind: f, i, u, b, V
  int item;  // bytes of one scalar
  int size;  // bytes of the argument, of what it points to for pointers
};

template <typename T, typename = void> struct Scalar {
  using type = T;
};
template <typename T> struct Scalar<T, std::void_t<decltype(std::declval<T>().x)>> {
  using type = decltype(std::declval<T>().x);
};

template <typename T> constexpr Parameter parameter_of_value(bool pointer, bool constant) {
  if constexpr (std::is_void_v<T>) {
    return {pointer, constant, 'V', 1, 1};
  } else {
    using S = typename Scalar<T>::type;
    const char kind = std::is_same_v<S, bool>       ? 'b'
                      : std::is_floating_point_v<S> ? 'f'
                      : std::is_integral_v<S>       ? (std::is_signed_v<S> ? 'i' : 'u')
                                                    : 'V';
    return {pointer, constant, kind, int(kind == 'V' ? 1 : sizeof(S)), int(sizeof(T))};
  }
}

template <typename A> constexpr Parameter parameter() {
  if constexpr (std::is_pointer_v<A>) {
    using T = std::remove_pointer_t<A>;
    return parameter_of_value<std::remove_cv_t<T>>(true, std::is_const_v<T>);
  } else {
    return parameter_of_value<A>(false, false);
  }
}

struct Instance {
  const char *name;
  void (*call)(const Instance &, void **arguments);
  void (*kernel)();
  const Parameter *parameters;
  int n_parameters;
};

template <typename... A> struct Entry {
  static constexpr Parameter parameters[sizeof...(A) + 1] = {parameter<A>()..., Parameter{}};
  template <std::size_t... I>
  static void unpack(void (*kernel)(A...), [[maybe_unused]] void **arguments, std::index_sequence<I...>) {
    kernel(*static_cast<A *>(arguments[I])...);
  }
  static void call(const Instance &instance, void **arguments) {
    unpack(reinterpret_cast<void (*)(A...)>(instance.kernel), arguments, std::index_sequence_for<A...>());
  }
};

template <typename... A> Instance instance(const char *name, void (*kernel)(A...)) {
  return {name, &Entry<A...>::call, reinterpret_cast<void (*)()>(kernel), Entry<A...>::parameters, int(sizeof...(A))};
}

extern const Instance instances[];
extern const int n_instances;

} // namespace cuda_on_cpu

// ---- barriers, shuffles, votes; the caller's line tells one barrier from another ----

#define CUDA_ON_CPU_HERE int line = __builtin_LINE(), const char *file = __builtin_FILE()

inline void __syncthreads(CUDA_ON_CPU_HERE) { cuda_on_cpu::block_barrier(line, file); }
inline int __syncthreads_count(int p, CUDA_ON_CPU_HERE) { return cuda_on_cpu::block_vote(0, p, line, file); }
inline int __syncthreads_and(int p, CUDA_ON_CPU_HERE) { return cuda_on_cpu::block_vote(1, p, line, file); }
inline int __syncthreads_or(int p, CUDA_ON_CPU_HERE) { return cuda_on_cpu::block_vote(2, p, line, file); }
inline void __syncwarp(unsigned mask = 0xffffffffu, CUDA_ON_CPU_HERE) {
  cuda_on_cpu::warp_collective(cuda_on_cpu::Collective::syncwarp, mask, line, file);
}

template <typename T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUDA_ON_CPU_HERE) {
  cuda_on_cpu::check_width(width);
  const int first = cuda_on_cpu::lane() & ~(width - 1);
  return cuda_on_cpu::shuffle(mask, value, first | (source & (width - 1)), line, file);
}
template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDA_ON_CPU_HERE) {
  cuda_on_cpu::check_width(width);
  const int lane = cuda_on_cpu::lane(), first = lane & ~(width - 1), source = lane - int(delta & 31);
  return cuda_on_cpu::shuffle(mask, value, source < first ? lane : source, line, file);
}
template <typename T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, CUDA_ON_CPU_HERE) {
  cuda_on_cpu::check_width(width);
  const int lane = cuda_on_cpu::lane(), last = lane | (width - 1), source = lane + int(delta & 31);
  return cuda_on_cpu::shuffle(mask, value, source > last ? lane : source, line, file);
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, CUDA_ON_CPU_HERE) {
  cuda_on_cpu::check_width(width);
  const int lane = cuda_on_cpu::lane(), last = lane | (width - 1), source = lane ^ (lanes & 31);
  return cuda_on_cpu::shuffle(mask, value, source > last ? lane : source, line, file);
}

inline unsigned __ballot_sync(unsigned mask, int vote, CUDA_ON_CPU_HERE) {
  return cuda_on_cpu::ballot(mask, vote != 0, line, file);
}
inline int __any_sync(unsigned mask, int vote, CUDA_ON_CPU_HERE) {
  return cuda_on_cpu::ballot(mask, vote != 0, line, file) != 0;
}
inline int __all_sync(unsigned mask, int vote, CUDA_ON_CPU_HERE) {
  return cuda_on_cpu::ballot(mask, vote == 0, line, file) == 0;
}

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// ---- memory ----

template <typename T> T __ldg(const T *p) { return *p; }
template <typename T> T __ldcs(const T *p) { return *p; }
template <typename T> T __ldcg(const T *p) { return *p; }
template <typename T> T __ldca(const T *p) { return *p; }
template <typename T> T __ldlu(const T *p) { return *p; }
template <typename T> void __stcs(T *p, T value) { *p = value; }
template <typename T> void __stcg(T *p, T value) { *p = value; }
template <typename T> void __stwb(T *p, T value) { *p = value; }
template <typename T> void __stwt(T *p, T value) { *p = value; }

// Fibres are one thread of the host and change only where they wait: plain read and write are atomic. Sums of
// integers wrap around, as on the GPU.
#define CUDA_ON_CPU_ATOMIC(name, T, expression)                                                                        \
  inline T name(T *p, T value) {                                                                                       \
    const T old = *p;                                                                                                  \
    *p = expression;                                                                                                   \
    return old;                                                                                                        \
  }
#define CUDA_ON_CPU_ATOMICS(T)                                                                                         \
  CUDA_ON_CPU_ATOMIC(atomicMin, T, old < value ? old : value)                                                          \
  CUDA_ON_CPU_ATOMIC(atomicMax, T, old > value ? old : value)                                                          \
  CUDA_ON_CPU_ATOMIC(atomicOr, T, old | value)                                                                         \
  CUDA_ON_CPU_ATOMIC(atomicAnd, T, old &value)                                                                         \
  CUDA_ON_CPU_ATOMIC(atomicXor, T, old ^ value)                                                                        \
  CUDA_ON_CPU_ATOMIC(atomicExch, T, value)                                                                             \
  inline T atomicCAS(T *p, T compare, T value) {                                                                       \
    const T old = *p;                                                                                                  \
    if (old == compare) *p = value;                                                                                    \
    return old;                                                                                                        \
  }
CUDA_ON_CPU_ATOMICS(int)
CUDA_ON_CPU_ATOMICS(unsigned)
CUDA_ON_CPU_ATOMICS(unsigned long long)
CUDA_ON_CPU_ATOMIC(atomicMin, long long, old < value ? old : value)
CUDA_ON_CPU_ATOMIC(atomicMax, long long, old > value ? old : value)
CUDA_ON_CPU_ATOMIC(atomicExch, float, value)
CUDA_ON_CPU_ATOMIC(atomicAdd, int, int(unsigned(old) + unsigned(value)))
CUDA_ON_CPU_ATOMIC(atomicAdd, unsigned, old + value)
CUDA_ON_CPU_ATOMIC(atomicAdd, unsigned long long, old + value)
CUDA_ON_CPU_ATOMIC(atomicAdd, float, old + value)
CUDA_ON_CPU_ATOMIC(atomicAdd, double, old + value)
CUDA_ON_CPU_ATOMIC(atomicSub, int, int(unsigned(old) - unsigned(value)))
CUDA_ON_CPU_ATOMIC(atomicSub, unsigned, old - value)

// ---- arithmetic ----

#define CUDA_ON_CPU_MIN_MAX(A, B, R)                                                                                   \
  inline R min(A a, B b) { return static_cast<R>(a) < static_cast<R>(b) ? static_cast<R>(a) : static_cast<R>(b); }     \
  inline R max(A a, B b) { return static_cast<R>(a) > static_cast<R>(b) ? static_cast<R>(a) : static_cast<R>(b); }
CUDA_ON_CPU_MIN_MAX(int, int, int)
CUDA_ON_CPU_MIN_MAX(unsigned, unsigned, unsigned)
CUDA_ON_CPU_MIN_MAX(int, unsigned, unsigned)
CUDA_ON_CPU_MIN_MAX(unsigned, int, unsigned)
CUDA_ON_CPU_MIN_MAX(long, long, long)
CUDA_ON_CPU_MIN_MAX(unsigned long, unsigned long, unsigned long)
CUDA_ON_CPU_MIN_MAX(long, unsigned long, unsigned long)
CUDA_ON_CPU_MIN_MAX(unsigned long, long, unsigned long)
CUDA_ON_CPU_MIN_MAX(long long, long long, long long)
CUDA_ON_CPU_MIN_MAX(unsigned long long, unsigned long long, unsigned long long)
CUDA_ON_CPU_MIN_MAX(long long, unsigned long long, unsigned long long)
CUDA_ON_CPU_MIN_MAX(unsigned long long, long long, unsigned long long)
// Of a number and a NaN, CUDA's minimum and maximum are the number.
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline double min(float a, double b) { return fmin(double(a), b); }
inline double max(float a, double b) { return fmax(double(a), b); }
inline double min(double a, float b) { return fmin(a, double(b)); }
inline double max(double a, float b) { return fmax(a, double(b)); }

inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float rsqrt(float x) { return float(1.0 / sqrt(double(x))); }
inline float rsqrtf(float x) { return rsqrt(x); }
inline double rcbrt(double x) { return 1.0 / cbrt(x); }
inline float rcbrtf(float x) { return float(1.0 / cbrt(double(x))); }

namespace cuda_on_cpu {
// sin and cos of pi x, exact at multiples of 1/2: x is first reduced, without rounding, to |r| <= 1/4.
inline void sine_cosine_pi(double x, double *sine, double *cosine) {
  const double pi = 3.14159265358979323846;
  if (!std::isfinite(x)) {
    *sine = *cosine = std::numeric_limits<double>::quiet_NaN();
    return;
  }
  const double quarter_turns = std::nearbyint(2.0 * std::fmod(x, 2.0));
  const double r = std::fmod(x, 2.0) - 0.5 * quarter_turns, s = std::sin(pi * r), c = std::cos(pi * r);
  switch (((int)quarter_turns % 4 + 4) % 4) {
  case 0:
    *sine = s, *cosine = c;
    break;
  case 1:
    *sine = c, *cosine = -s;
    break;
  case 2:
    *sine = -s, *cosine = -c;
    break;
  default:
    *sine = -c, *cosine = s;
  }
}
} // namespace cuda_on_cpu

inline void sincospi(double x, double *sine, double *cosine) { cuda_on_cpu::sine_cosine_pi(x, sine, cosine); }
inline void sincospif(float x, float *sine, float *cosine) {
  double s, c;
  cuda_on_cpu::sine_cosine_pi(double(x), &s, &c);
  *sine = float(s), *cosine = float(c);
}
inline void sincospi(float x, float *sine, float *cosine) { sincospif(x, sine, cosine); }
inline void sincos(float x, float *sine, float *cosine) { sincosf(x, sine, cosine); }
inline double sinpi(double x) {
  double s, c;
  sincospi(x, &s, &c);
  return s;
}
inline double cospi(double x) {
  double s, c;
  sincospi(x, &s, &c);
  return c;
}
inline float sinpif(float x) { return float(sinpi(double(x))); }
inline float cospif(float x) { return float(cospi(double(x))); }
inline float sinpi(float x) { return sinpif(x); }
inline float cospi(float x) { return cospif(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline void __sincosf(float x, float *sine, float *cosine) { sincosf(x, sine, cosine); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __saturatef(float x) { return fminf(fmaxf(x, 0.0f), 1.0f); }

inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __frsqrt_rn(float a) { return rsqrtf(a); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __drcp_rn(double a) { return 1.0 / a; }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }

inline float __double2float_rn(double a) { return float(a); }
inline float __int2float_rn(int a) { return float(a); }
inline float __uint2float_rn(unsigned a) { return float(a); }
inline float __ll2float_rn(long long a) { return float(a); }
inline double __int2double_rn(int a) { return double(a); }
inline double __ll2double_rn(long long a) { return double(a); }
inline int __float2int_rn(float a) { return int(nearbyintf(a)); }
inline int __float2int_rd(float a) { return int(floorf(a)); }
inline int __float2int_rz(float a) { return int(a); }
inline int __double2int_rn(double a) { return int(nearbyint(a)); }
inline int __double2int_rd(double a) { return int(floor(a)); }
inline int __double2int_rz(double a) { return int(a); }
inline long long __double2ll_rn(double a) { return (long long)(nearbyint(a)); }
inline long long __double2ll_rd(double a) { return (long long)(floor(a)); }
inline long long __double2ll_rz(double a) { return (long long)(a); }

namespace cuda_on_cpu {
template <typename To, typename From> To bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}
// As the hardware estimates roots and quotients, and no better than it must: floats to 2^-23; of doubles it reads the
// upper half alone, and gives that, here both off to the same side, by 2^-19 together.
inline double seen(double x) { return bits<double>(bits<unsigned long long>(x) & 0xffffffff00000000ull); }
inline float inverse_root(float x) { return float((1 + 0x1p-24) / sqrt(double(x))); }
inline double inverse_root(double x) { return seen((1 + 0x1p-20) / sqrt(seen(x))); }
inline float inverse(float x) { return float((1 + 0x1p-24) / double(x)); }
inline double inverse(double x) { return seen((1 + 0x1p-20) / seen(x)); }
} // namespace cuda_on_cpu
inline int __float_as_int(float a) { return cuda_on_cpu::bits<int>(a); }
inline unsigned __float_as_uint(float a) { return cuda_on_cpu::bits<unsigned>(a); }
inline float __int_as_float(int a) { return cuda_on_cpu::bits<float>(a); }
inline float __uint_as_float(unsigned a) { return cuda_on_cpu::bits<float>(a); }
inline long long __double_as_longlong(double a) { return cuda_on_cpu::bits<long long>(a); }
inline double __longlong_as_double(long long a) { return cuda_on_cpu::bits<double>(a); }
inline int __double2hiint(double a) { return int(__double_as_longlong(a) >> 32); }
inline int __double2loint(double a) { return int(__double_as_longlong(a)); }
inline double __hiloint2double(int high, int low) {
  return __longlong_as_double((long long)(((unsigned long long)(unsigned)high << 32) | (unsigned)low));
}

inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)(((unsigned __int128)a * b) >> 64);
}
inline long long __mul64hi(long long a, long long b) { return (long long)(((__int128)a * b) >> 64); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(((unsigned long long)a * b) >> 32); }
inline int __mulhi(int a, int b) { return int(((long long)a * b) >> 32); }
inline int __clz(int a) { return a == 0 ? 32 : __builtin_clz(unsigned(a)); }
inline int __clzll(long long a) { return a == 0 ? 64 : __builtin_clzll((unsigned long long)a); }
inline int __popc(unsigned a) { return __builtin_popcount(a); }
inline int __popcll(unsigned long long a) { return __builtin_popcountll(a); }
inline int __ffs(int a) { return __builtin_ffs(a); }
inline int __ffsll(long long a) { return __builtin_ffsll(a); }
inline unsigned __brev(unsigned a) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= ((a >> bit) & 1u) << (31 - bit);
  return reversed;
}
