// butterfly: discrete Fourier transforms of a few values in registers.
//
//   v[j] <- sum over m of v[m] exp(-2 pi i j m / R),   R in 2 .. 8, 10, 12, 16
//
// dft<R, false> is the inverse, without 1/R. All indices are known to the compiler: the values stay in registers.
#include "multiplier.cuh"

template <typename T> __device__ __forceinline__ Complex<T> plus(Complex<T> a, Complex<T> b) {
  return {a.x + b.x, a.y + b.y};
}
template <typename T> __device__ __forceinline__ Complex<T> minus(Complex<T> a, Complex<T> b) {
  return {a.x - b.x, a.y - b.y};
}

// cos and sin of 2 pi j / R, j = 1 .. R / 2, for odd R.
template <int R> __device__ __forceinline__ constexpr double cosine(int j) {
  return R == 3   ? -0.5
         : R == 5 ? (j == 1 ? 0.30901699437494742410 : -0.80901699437494742410)
                  : (j == 1   ? 0.62348980185873353053
                     : j == 2 ? -0.22252093395631440429
                              : -0.90096886790241912624);
}
template <int R> __device__ __forceinline__ constexpr double sine(int j) {
  return R == 3   ? 0.86602540378443864676
         : R == 5 ? (j == 1 ? 0.95105651629515357212 : 0.58778525229247312917)
                  : (j == 1   ? 0.78183148246802980871
                     : j == 2 ? 0.97492791218182360702
                              : 0.43388373911755812048);
}

// The forward transforms in place.
template <int R, typename T> struct Forward {
  static_assert(R == 3 || R == 5 || R == 7, "odd primes in pairs m, R - m");
  __device__ __forceinline__ static void apply(Complex<T> (&v)[R]) {
    constexpr int H = R / 2;
    Complex<T> even[H], odd[H];
    const Complex<T> zero = v[0];
#pragma unroll
    for (int m = 1; m <= H; ++m) {
      even[m - 1] = plus<T>(v[m], v[R - m]);
      odd[m - 1] = minus<T>(v[m], v[R - m]);
      v[0] = plus<T>(v[0], even[m - 1]);
    }
#pragma unroll
    for (int j = 1; j <= H; ++j) {
      Complex<T> c = zero, s = {T(0), T(0)};
#pragma unroll
      for (int m = 1; m <= H; ++m) {
        const int turn = j * m % R, at = turn <= H ? turn : R - turn;
        const T along = T(cosine<R>(at)), across = T(turn <= H ? sine<R>(at) : -sine<R>(at));
        c.x += along * even[m - 1].x;
        c.y += along * even[m - 1].y;
        s.x += across * odd[m - 1].x;
        s.y += across * odd[m - 1].y;
      }
      v[j] = {c.x + s.y, c.y - s.x};
      v[R - j] = {c.x - s.y, c.y + s.x};
    }
  }
};

template <typename T> struct Forward<2, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[2]) {
    const Complex<T> a = v[0];
    v[0] = plus<T>(a, v[1]);
    v[1] = minus<T>(a, v[1]);
  }
};

template <typename T> struct Forward<4, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[4]) {
    const Complex<T> a = plus<T>(v[0], v[2]), b = minus<T>(v[0], v[2]), c = plus<T>(v[1], v[3]),
                     d = minus<T>(v[1], v[3]);
    v[0] = plus<T>(a, c);
    v[2] = minus<T>(a, c);
    v[1] = {b.x + d.y, b.y - d.x};
    v[3] = {b.x - d.y, b.y + d.x};
  }
};

// a exp(-2 pi i E / 16)
template <int E, typename T> __device__ __forceinline__ Complex<T> turned(Complex<T> a) {
  constexpr T half = T(0.70710678118654752440), c = T(0.92387953251128675613), s = T(0.38268343236508977173);
  if constexpr (E == 0) return a;
  if constexpr (E == 1) return times<T>(a, {c, -s});
  if constexpr (E == 2) return {(a.x + a.y) * half, (a.y - a.x) * half};
  if constexpr (E == 3) return times<T>(a, {s, -c});
  if constexpr (E == 4) return {a.y, -a.x};
  if constexpr (E == 6) return {(a.y - a.x) * half, (a.x + a.y) * -half};
  if constexpr (E == 9) return times<T>(a, {-c, s});
  static_assert(E <= 4 || E == 6 || E == 9, "turns that 8 and 16 values need");
}

template <typename T> struct Forward<8, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[8]) {
    Complex<T> even[4] = {v[0], v[2], v[4], v[6]}, odd[4] = {v[1], v[3], v[5], v[7]};
    Forward<4, T>::apply(even);
    Forward<4, T>::apply(odd);
    odd[1] = turned<2, T>(odd[1]);
    odd[2] = turned<4, T>(odd[2]);
    odd[3] = turned<6, T>(odd[3]);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      v[j] = plus<T>(even[j], odd[j]);
      v[j + 4] = minus<T>(even[j], odd[j]);
    }
  }
};

template <typename T> struct Forward<16, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[16]) {
    Complex<T> part[4][4];
#pragma unroll
    for (int r = 0; r < 4; ++r) {
#pragma unroll
      for (int m = 0; m < 4; ++m) part[r][m] = v[4 * m + r];
      Forward<4, T>::apply(part[r]);
    }
    part[1][1] = turned<1, T>(part[1][1]);
    part[1][2] = turned<2, T>(part[1][2]);
    part[1][3] = turned<3, T>(part[1][3]);
    part[2][1] = turned<2, T>(part[2][1]);
    part[2][2] = turned<4, T>(part[2][2]);
    part[2][3] = turned<6, T>(part[2][3]);
    part[3][1] = turned<3, T>(part[3][1]);
    part[3][2] = turned<6, T>(part[3][2]);
    part[3][3] = turned<9, T>(part[3][3]);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      Complex<T> across[4] = {part[0][j], part[1][j], part[2][j], part[3][j]};
      Forward<4, T>::apply(across);
#pragma unroll
      for (int q = 0; q < 4; ++q) v[j + 4 * q] = across[q];
    }
  }
};

// A B values, A and B without common divisor: Good's numbering needs no factors between.
template <int A, int B, typename T> __device__ __forceinline__ void coprime(Complex<T> (&v)[A * B]) {
  Complex<T> part[B][A];
#pragma unroll
  for (int b = 0; b < B; ++b) {
#pragma unroll
    for (int a = 0; a < A; ++a) part[b][a] = v[(B * a + A * b) % (A * B)];
    Forward<A, T>::apply(part[b]);
  }
#pragma unroll
  for (int a = 0; a < A; ++a) {
    Complex<T> across[B];
#pragma unroll
    for (int b = 0; b < B; ++b) across[b] = part[b][a];
    Forward<B, T>::apply(across);
#pragma unroll
    for (int b = 0; b < B; ++b) {
      // the k below A B with k % A == a and k % B == b
      int k = a;
#pragma unroll
      for (int step = 0; step < B; ++step) k = k % B == b ? k : k + A;
      v[k] = across[b];
    }
  }
}
template <typename T> struct Forward<6, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[6]) { coprime<2, 3, T>(v); }
};
template <typename T> struct Forward<10, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[10]) { coprime<2, 5, T>(v); }
};
template <typename T> struct Forward<12, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[12]) { coprime<4, 3, T>(v); }
};

template <int R, bool FORWARD, typename T> __device__ __forceinline__ void dft(Complex<T> (&v)[R]) {
  if constexpr (FORWARD) {
    Forward<R, T>::apply(v);
  } else { // with real and imaginary parts exchanged it is the forward transform
#pragma unroll
    for (int j = 0; j < R; ++j) v[j] = {v[j].y, v[j].x};
    Forward<R, T>::apply(v);
#pragma unroll
    for (int j = 0; j < R; ++j) v[j] = {v[j].y, v[j].x};
  }
}
