// multiplier: the factor of every mode, from tables along the axes, functions of |k|, and a derivative.
//
//   m(n) = t0[n0] t1[n1] t2[n2] r(|k|) i(g.n),   n = k, or k - N beyond N/2; the last axis is halved
//   |k|^2 = n.G.n,   r = a polynomial of |k| on each of equal intervals, factor/k^2, or both
//
// At a Nyquist mode, 2 k = N, the factor is the mean over n = N/2 and -N/2, of all such axes together: what
// fft.Multiplier does.
//
// numbers   (12,) T: g0 g1 g2; G00 G11 G22 2G01 2G02 2G12; intervals per unit of |k|, the last interval, factor
// tables    complex, the three axes one after another: factors by index k, then that of -N/2 (of anything, N odd)
// radial    (intervals, Coefficients<T>) T: coefficients of u^0, u^1, .. with u from -1/2 to 1/2 in an interval
// parts     bits below: which of these there are; one at least
#include "common.cuh"

template <typename T> struct ComplexOf;
template <> struct ComplexOf<float> {
  using type = float2;
};
template <> struct ComplexOf<double> {
  using type = double2;
};
template <typename T> using Complex = typename ComplexOf<T>::type;

constexpr int TABLES = 1, GRADIENT = 2, POLYNOMIAL = 4, INVERSE_SQUARE = 8; // parts

template <typename T> __device__ __forceinline__ Complex<T> times(Complex<T> a, Complex<T> b) {
  return {a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x};
}

__device__ __forceinline__ float polynomial(const float *__restrict__ c, float u) {
  const float4 low = __ldg(reinterpret_cast<const float4 *>(c)), high = __ldg(reinterpret_cast<const float4 *>(c) + 1);
  float p = high.w;
  p = p * u + high.z;
  p = p * u + high.y;
  p = p * u + high.x;
  p = p * u + low.w;
  p = p * u + low.z;
  p = p * u + low.y;
  return p * u + low.x;
}

__device__ __forceinline__ double polynomial(const double *__restrict__ c, double u) {
  const double2 *pairs = reinterpret_cast<const double2 *>(c);
  double p = 0.0;
#pragma unroll
  for (int i = 4; i >= 0; --i) {
    const double2 pair = __ldg(pairs + i);
    p = (p * u + pair.y) * u + pair.x;
  }
  return p;
}

// The number, of whose origin the compiler knows nothing: else it computes what follows from it long before, and keeps
// it in registers that are needed meanwhile.
__device__ __forceinline__ int plain_number(int value) {
#ifndef CUDA_ON_CPU
  asm volatile("" : "+r"(value));
#endif
  return value;
}

// The hardware's own estimates: of floats to 2^-22.9, of doubles, whose lower half they neither read nor give, to 2^-19.
// What is too small or too large for them is not looked for, so that nothing branches and several overlap.
#ifdef CUDA_ON_CPU
template <typename T> __device__ __forceinline__ T inverse_root_estimate(T x) { return cuda_on_cpu::inverse_root(x); }
template <typename T> __device__ __forceinline__ T inverse_estimate(T x) { return cuda_on_cpu::inverse(x); }
#else
__device__ __forceinline__ float inverse_root_estimate(float x) {
  asm("rsqrt.approx.ftz.f32 %0, %0;" : "+f"(x));
  return x;
}
__device__ __forceinline__ double inverse_root_estimate(double x) {
  asm("rsqrt.approx.ftz.f64 %0, %0;" : "+d"(x));
  return x;
}
__device__ __forceinline__ float inverse_estimate(float x) {
  asm("rcp.approx.ftz.f32 %0, %0;" : "+f"(x));
  return x;
}
__device__ __forceinline__ double inverse_estimate(double x) {
  asm("rcp.approx.ftz.f64 %0, %0;" : "+d"(x));
  return x;
}
#endif

// Square root and quotient of positive numbers, to two roundings: for doubles by one step of Newton's, and one for what
// that leaves.
__device__ __forceinline__ float root(float x) { return x * inverse_root_estimate(x); }
__device__ __forceinline__ double root(double x) {
  const double estimate = inverse_root_estimate(x), half = 0.5 * estimate;
  const double y = fma(half, fma(-x * estimate, estimate, 1.0), estimate), r = x * y;
  return fma(half, fma(-r, r, x), r);
}
__device__ __forceinline__ float over(float a, float b) { return a * inverse_estimate(b); }
__device__ __forceinline__ double over(double a, double b) {
  const double estimate = inverse_estimate(b);
  const double y = fma(estimate, fma(-b, estimate, 1.0), estimate), q = a * y;
  return fma(estimate, fma(-b, q, a), q);
}

// A number that is added to another to round it to an integer, which then stands in its last bits.
template <typename T> constexpr T INTEGERS =
    sizeof(T) == 4 ? T(12582912.0) : T(6755399441055744.0); // 1.5 2^23, 1.5 2^52
__device__ __forceinline__ int integer_of(float x) { return __float_as_int(x) - 0x4b400000; }
__device__ __forceinline__ int integer_of(double x) { return __double2loint(x); }

// |k|^2 of what counts as k = 0.
template <typename T> constexpr T NOTHING = T(1e-30);

template <typename T> struct Coefficients {
  static constexpr int count = sizeof(T) == 4 ? 8 : 10;
};

template <typename T> struct Multiplier {
  int parts, n0, n1, n2;
  const T *numbers;
  const Complex<T> *tables;
  const T *radial;

  // What the modes of one column (k1, k2) share.
  struct Column {
    Complex<T> table;
    T square, slope, gradient;
  };

  __device__ __forceinline__ static int mode(int k, int n) { return k > n / 2 ? k - n : k; }

  // Bits 1, 2, 4 of the axes on which a mode is the Nyquist mode.
  __device__ __forceinline__ int nyquist(int k0, int k1, int k2) const {
    return (2 * k0 == n0) | (2 * k1 == n1) << 1 | (2 * k2 == n2) << 2;
  }

  // `negative` has the bits of the axes on which N/2 counts as -N/2.
  __device__ __forceinline__ Column column(int k1, int k2, int negative) const {
    Column c;
    const T m1 = T(negative & 2 ? -k1 : mode(k1, n1)), m2 = T(negative & 4 ? -k2 : k2);
    c.table = {T(1), T(0)};
    if (parts & TABLES) {
      const Complex<T> *t1 = tables + n0 + 1, *t2 = t1 + n1 + 1;
      c.table = times<T>(t1[negative & 2 ? n1 : k1], t2[negative & 4 ? n2 / 2 + 1 : k2]);
    }
    c.gradient = numbers[1] * m1 + numbers[2] * m2;
    c.square = numbers[4] * m1 * m1 + (numbers[5] * m2 + numbers[8] * m1) * m2;
    c.slope = numbers[6] * m1 + numbers[7] * m2;
    return c;
  }

  // One part of a function of |k|^2.
  template <int PART> __device__ __forceinline__ T of_square(T square) const {
    if constexpr (PART == INVERSE_SQUARE) return square > NOTHING<T> ? over(numbers[11], square) : T(0);
    const T x = root(square) * numbers[9] - T(0.5);
    const T interval = min(x + INTEGERS<T>, numbers[10] + INTEGERS<T>);
    return polynomial(radial + integer_of(interval) * Coefficients<T>::count, x - (interval - INTEGERS<T>));
  }

  __device__ __forceinline__ T square(const Column &c, T m0) const {
    return max(c.square + m0 * (numbers[3] * m0 + c.slope), NOTHING<T>);
  }

  // A value of mode m0 of a column times one part of its factor, one sign of every axis; `index` is where tables have
  // m0.
  template <int PART>
  __device__ __forceinline__ Complex<T> product(Complex<T> v, const Column &c, T m0, int index) const {
    if constexpr (PART == TABLES) {
      return times<T>(v, times<T>(c.table, tables[index]));
    } else if constexpr (PART == GRADIENT) {
      const T slope = numbers[0] * m0 + c.gradient;
      return {-v.y * slope, v.x * slope};
    } else {
      const T real = of_square<PART>(square(c, m0));
      return {v.x * real, v.y * real};
    }
  }

  // The same with all parts.
  __device__ __forceinline__ Complex<T> product(Complex<T> v, const Column &c, T m0, int index) const {
    if (parts & TABLES) v = product<TABLES>(v, c, m0, index);
    if (parts & GRADIENT) v = product<GRADIENT>(v, c, m0, index);
    T real = T(1);
    if (parts & POLYNOMIAL) real = of_square<POLYNOMIAL>(square(c, m0));
    if (parts & INVERSE_SQUARE) real *= of_square<INVERSE_SQUARE>(square(c, m0));
    return {v.x * real, v.y * real};
  }

  // At a mode of any kind: the mean over both signs of the axes on which it is the Nyquist mode.
  __device__ __forceinline__ Complex<T> mean(int k0, int k1, int k2) const {
    k1 = plain_number(k1);
    k2 = plain_number(k2);
    const int bits = nyquist(k0, k1, k2);
    Complex<T> sum = {T(0), T(0)};
#pragma unroll 1
    for (int negative = 0; negative < 8; ++negative) {
      if ((negative & bits) != negative) continue;
      const Complex<T> one = {T(1), T(0)};
      const Complex<T> f =
          product(one, column(k1, k2, negative), T(negative & 1 ? -k0 : mode(k0, n0)), negative & 1 ? n0 : k0);
      sum.x += f.x;
      sum.y += f.y;
    }
    const T share = (bits & 1 ? T(0.5) : T(1)) * (bits & 2 ? T(0.5) : T(1)) * (bits & 4 ? T(0.5) : T(1));
    return {sum.x * share, sum.y * share};
  }
};
