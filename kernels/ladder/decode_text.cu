// decode_text, first rung: byte by byte, as one reads. Contract: ../decode_text.cu
//
// instances
//   decode_text<float>
//   decode_text<double>
#include "common.cuh"

constexpr int LARGEST_POWER = 250;

__device__ bool is_digit(char c) { return c >= '0' && c <= '9'; }
__device__ bool is_sign(char c) { return c == '+' || c == '-'; }

// m 10^q rounded once; NaN where that is not decided here.
__device__ double scaled(unsigned long long m, int q, const double *powers) {
  const double nan = __longlong_as_double(0x7FF8000000000000LL), leading = static_cast<double>(m);
  if (m == 0) return 0.0;
  if (q < -LARGEST_POWER || q > LARGEST_POWER) return nan;
  const double high = powers[2 * (LARGEST_POWER + q)], low = powers[2 * (LARGEST_POWER + q) + 1];
  if (m < 1ULL << 53 && q >= 0 && q <= 22) return leading * high;
  if (m < 1ULL << 53 && q < 0 && q >= -22) return leading / powers[2 * (LARGEST_POWER - q)];
  const double rest = static_cast<double>(static_cast<long long>(m - static_cast<unsigned long long>(leading)));
  const double product = __dmul_rn(leading, high);
  double error = __fma_rn(leading, low, __fma_rn(rest, high, __fma_rn(leading, high, -product)));
  const double value = __dadd_rn(product, error), margin = value * 0x1p-99;
  error = __dsub_rn(error, __dsub_rn(value, product));
  const bool decided =
      __dadd_rn(value, __dadd_rn(error, margin)) == value && __dadd_rn(value, __dsub_rn(error, margin)) == value;
  return decided ? value : nan;
}

__device__ void store(double *out, double value) { *out = value; }
__device__ void store(float *out, double value) {
#ifdef CUDA_ON_CPU
  *out = cuda_on_cpu::unflushed(value);
#else
  asm("cvt.rn.f32.f64 %0, %1;" : "=f"(*out) : "d"(value)); // keeps subnormal floats under -ftz=true
#endif
}

template <typename T>
__global__ void decode_text(const unsigned long long *text, const double *powers, T *out, int *counts, long long n,
                            long long place, long long skipped, long long run, long long run_bytes, int per_row,
                            int pitch, int row_bytes, int slack, int point, int head, int fraction, int marker,
                            int exponent, int gap, long long, long long, double divisor) {
  const long long i = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (i >= n) return;
  const long long in_run = (place + i) % run, column = in_run % per_row;
  const char *row =
      reinterpret_cast<const char *>(text) + (place + i) / run * run_bytes + in_run / per_row * row_bytes - skipped;
  const bool last = column == per_row - 1 || in_run == run - 1;
  if (last && row[(column + 1) * pitch + slack - 1] != '\n') atomicAdd(counts + 1, 1);
  const char *dot = row + point + column * pitch, *c = dot - head;
  bool good = *dot == '.', negative = false;
  for (long long b = 1; b <= (column ? gap : point - head); ++b) good &= dot[-head - b] == ' ';
  while (c < dot && *c == ' ') ++c;
  if (c < dot && is_sign(*c)) negative = *c++ == '-';
  unsigned long long m = 0;
  for (; c <= dot + fraction; ++c) {
    if (c == dot) continue;
    good &= is_digit(*c);
    m = 10 * m + (*c - '0');
  }
  int power = 0;
  if (marker) {
    const bool letter = *c == marker;
    const int digits = letter ? exponent : 3;
    good &= letter || exponent == 2; // Fortran drops the letter for three digits: "0.5-100"
    c += letter;
    good &= is_sign(*c);
    const bool minus = *c == '-';
    for (int d = 1; d <= digits; ++d) {
      good &= is_digit(c[d]);
      power = 10 * power + (c[d] - '0');
    }
    power = minus ? -power : power;
  }
  const double value = good ? scaled(m, power - fraction, powers) : __longlong_as_double(0x7FF8000000000000LL);
  if (value != value) atomicAdd(counts, 1);
  store(out + i, (negative ? -value : value) / divisor);
}
