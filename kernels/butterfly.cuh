// butterfly: discrete Fourier transforms of a few values in registers.
//
//   v[j] <- sum over m of v[m] exp(-2 pi i j m / R),   R in 2 .. 8, 10, 12, 16, 32
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

// cos of 2 pi e / 32, e in 0 .. 31.
__device__ __forceinline__ constexpr double cosine_of_32(int e) {
  constexpr double quarter[9] = {1.0,
                                 0.98078528040323044913,
                                 0.92387953251128675613,
                                 0.83146961230254523708,
                                 0.70710678118654752440,
                                 0.55557023301960222474,
                                 0.38268343236508977173,
                                 0.19509032201612826785,
                                 0.0};
  return e <= 8 ? quarter[e] : e <= 16 ? -quarter[16 - e] : e <= 24 ? -quarter[e - 16] : quarter[32 - e];
}

// a exp(-2 pi i e / 32)
template <typename T> __device__ __forceinline__ Complex<T> turned(Complex<T> a, int e) {
  constexpr T half = T(0.70710678118654752440);
  if (e == 0) return a;
  if (e == 4) return {(a.x + a.y) * half, (a.y - a.x) * half};
  if (e == 8) return {a.y, -a.x};
  if (e == 12) return {(a.y - a.x) * half, (a.x + a.y) * -half};
  return times<T>(a, {T(cosine_of_32(e)), -T(cosine_of_32((e + 24) % 32))});
}

// A B values, A B a divisor of 32: transforms of B values A apart, turned, and of A values across them.
template <int A, int B, typename T> __device__ __forceinline__ void composed(Complex<T> (&v)[A * B]) {
  Complex<T> part[A][B];
#pragma unroll
  for (int a = 0; a < A; ++a) {
#pragma unroll
    for (int b = 0; b < B; ++b) part[a][b] = v[A * b + a];
    Forward<B, T>::apply(part[a]);
#pragma unroll
    for (int b = 0; b < B; ++b) part[a][b] = turned<T>(part[a][b], a * b * (32 / (A * B)));
  }
#pragma unroll
  for (int b = 0; b < B; ++b) {
    Complex<T> across[A];
#pragma unroll
    for (int a = 0; a < A; ++a) across[a] = part[a][b];
    Forward<A, T>::apply(across);
#pragma unroll
    for (int a = 0; a < A; ++a) v[b + B * a] = across[a];
  }
}
template <typename T> struct Forward<8, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[8]) { composed<2, 4, T>(v); }
};
template <typename T> struct Forward<16, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[16]) { composed<4, 4, T>(v); }
};
template <typename T> struct Forward<32, T> {
  __device__ __forceinline__ static void apply(Complex<T> (&v)[32]) { composed<4, 8, T>(v); }
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
