// multiplier: the factor of every mode, from tables along the axes, functions of |k|, and a derivative.
//
//   m(n) = scale t0[n0] t1[n1] t2[n2] r(|k|) i(g.n),   n = k, or k - N beyond N/2; the last axis is halved
//   |k|^2 = n.G.n,   r = a polynomial of |k| on each of equal intervals, factor/k^2, or both
//
// At a Nyquist mode, 2 k = N, the factor is the mean over n = N/2 and -N/2, of all such axes together: what
// fft.Multiplier does.
//
// numbers   (13,) T: scale; g0 g1 g2; G00 G11 G22 2G01 2G02 2G12; intervals per unit of |k|, the last interval, factor
// tables    complex, the three axes one after another: factors by index k, then that of -N/2 (of anything, N odd)
// radial    (intervals, Coefficients<T>) T: coefficients of u^0, u^1, .. with u from -1/2 to 1/2 in an interval
// parts     bits below: which of these there are
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

  __device__ __forceinline__ static int mode(int k, int n) { return 2 * k > n ? k - n : k; }

  // Bits 1, 2, 4 of the axes on which a mode is the Nyquist mode.
  __device__ __forceinline__ int nyquist(int k0, int k1, int k2) const {
    return (2 * k0 == n0) | (2 * k1 == n1) << 1 | (2 * k2 == n2) << 2;
  }

  // `negative` has the bits of the axes on which N/2 counts as -N/2.
  __device__ __forceinline__ Column column(int k1, int k2, int negative) const {
    Column c;
    const T m1 = T(negative & 2 ? -k1 : mode(k1, n1)), m2 = T(negative & 4 ? -k2 : k2);
    c.table = {numbers[0], T(0)};
    if (parts & TABLES) {
      const Complex<T> *t1 = tables + n0 + 1, *t2 = t1 + n1 + 1;
      c.table = times<T>(t1[negative & 2 ? n1 : k1], t2[negative & 4 ? n2 / 2 + 1 : k2]);
      c.table = {c.table.x * numbers[0], c.table.y * numbers[0]};
    }
    c.gradient = numbers[2] * m1 + numbers[3] * m2;
    c.square = numbers[5] * m1 * m1 + (numbers[6] * m2 + numbers[9] * m1) * m2;
    c.slope = numbers[7] * m1 + numbers[8] * m2;
    return c;
  }

  // One sign of every axis.
  __device__ __forceinline__ Complex<T> at(const Column &c, int k0, int negative) const {
    const T m0 = T(negative & 1 ? -k0 : mode(k0, n0));
    Complex<T> f = c.table;
    if (parts & TABLES) f = times<T>(f, tables[negative & 1 ? n0 : k0]);
    T real = T(1);
    if (parts & (POLYNOMIAL | INVERSE_SQUARE)) {
      const T square = max(c.square + m0 * (numbers[4] * m0 + c.slope), T(0));
      if (parts & POLYNOMIAL) {
        const T x = sqrt(square) * numbers[10];
        const int interval = min(static_cast<int>(x), static_cast<int>(numbers[11]));
        real = polynomial(radial + interval * Coefficients<T>::count, x - T(interval) - T(0.5));
      }
      if (parts & INVERSE_SQUARE) real *= square > T(0) ? numbers[12] / square : T(0);
    }
    if (parts & GRADIENT) {
      real *= numbers[1] * m0 + c.gradient;
      return {-f.y * real, f.x * real};
    }
    return {f.x * real, f.y * real};
  }

  // At a mode of any kind: the mean over both signs of the axes on which it is the Nyquist mode.
  __device__ __forceinline__ Complex<T> mean(int k0, int k1, int k2) const {
    const int bits = nyquist(k0, k1, k2);
    Complex<T> sum = {T(0), T(0)};
    T count = T(0);
#pragma unroll 1
    for (int negative = 0; negative < 8; ++negative) {
      if ((negative & bits) != negative) continue;
      const Complex<T> f = at(column(k1, k2, negative), k0, negative);
      sum.x += f.x;
      sum.y += f.y;
      count += T(1);
    }
    return {sum.x / count, sum.y / count};
  }
};
