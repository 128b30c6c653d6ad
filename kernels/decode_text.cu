// decode_text: text of fixed width to numbers, bit for bit what float(text) of each field gives, then divided.
//
//   out[i] = ± m 10^q / divisor,   m: the digits as one integer, q: exponent - digits after the point
//
// One thread a value: 32 bytes from the field's head on as four aligned words, shifted into place; eight digits at a
// time become their number by three multiplications. The product m 10^q is rounded once:
//
//   m < 2^53, |q| <= 22   both are doubles: one multiplication or division
//   otherwise             10^q as the sum of two doubles; taken if every number within 2^-99 rounds to the same double
//   anything else         NaN, for the host to decide: stars, NaN, blanks, more digits than fit, |q| > 250, halfway
//
// The quotient is a double's, rounded once more to T (subnormal floats are kept).
//
// text           bytes, as 8-byte words; from the row that holds value `start` on; 32 readable bytes after the last row
// powers         (501, 2) double: 10^q, q = -250 .. 250, as the sum of two
// out            (n,) T, written
// counts         (2,) int, added to: values left undecided; line ends that are not where the layout says
// n, place       values, and the place of the first in its run; skipped: bytes of its run before its row
// run .. gap     the layout: see device/decode.py FixedWidth
// head_scale     10^fraction; rest_scale: 10^(fraction - 8), 1 if fraction <= 8
// launch         <<<ceil(n / 256), 256>>>
// order          no sums; counts are integers
// oracle         device/cpu/text.py decode_text; test tests/kernels/test_decode_text.py
// ladder         v1 byte by byte; v2 this
//
// instances
//   decode_text<float>
//   decode_text<double>
#include "common.cuh"

constexpr int BLOCK = 256;
constexpr int LARGEST_POWER = 250;
using Word = unsigned long long;

// 32 bytes of text from any byte on; the last up to 7 are zero.
struct Window {
  Word word[4];

  __device__ __forceinline__ Window(const Word *text, long long at) {
    const Word *from = text + at / 8;
    const int shift = static_cast<int>(at % 8) * 8;
#pragma unroll
    for (int w = 0; w < 4; ++w) word[w] = from[w];
    if (shift == 0) return;
#pragma unroll
    for (int w = 0; w < 4; ++w) word[w] = word[w] >> shift | (w < 3 ? word[w + 1] << (64 - shift) : 0);
  }

  // The eight bytes from byte `at` on, which is the same for all threads.
  __device__ __forceinline__ Word eight(int at) const {
    const int w = at / 8, shift = at % 8 * 8;
    const Word low = w == 0 ? word[0] : w == 1 ? word[1] : w == 2 ? word[2] : word[3];
    const Word high = w == 0 ? word[1] : w == 1 ? word[2] : w == 2 ? word[3] : 0;
    return shift == 0 ? low : low >> shift | high << (64 - shift);
  }
};

__device__ __forceinline__ int byte_of(Word word, int place) { return static_cast<int>(word >> 8 * place & 255); }

__device__ __forceinline__ bool is_digit(int byte) { return byte >= '0' && byte <= '9'; }

__device__ __forceinline__ bool is_sign(int byte) { return byte == '+' || byte == '-'; }

// The number that the first `count` (1 to 8) of eight bytes spell; false where one of them is no digit.
__device__ __forceinline__ bool eight_digits(Word word, int count, Word &number) {
  word = (word ^ 0x3030303030303030ULL) << 8 * (8 - count);
  const bool good = (((word + 0x0606060606060606ULL) | word) & 0xF0F0F0F0F0F0F0F0ULL) == 0;
  word = word * 10 + (word >> 8);
  const Word pairs = 0x000000FF000000FFULL;
  number = ((word & pairs) * 0x000F424000000064ULL + (word >> 16 & pairs) * 0x0000271000000001ULL) >> 32;
  return good;
}

// Sign and digits, "+00", from byte `at` of the word on; false where they are not.
__device__ __forceinline__ bool signed_digits(Word word, int at, int count, int &number) {
  bool good = is_sign(byte_of(word, at));
  int size = 0;
  for (int i = 1; i <= count; ++i) {
    good &= is_digit(byte_of(word, at + i));
    size = size * 10 + byte_of(word, at + i) - '0';
  }
  number = byte_of(word, at) == '-' ? -size : size;
  return good;
}

// m 10^q rounded once; NaN where that is not decided here.
__device__ __forceinline__ double scaled(Word m, int q, const double *__restrict__ powers) {
  const double undecided = __longlong_as_double(0x7FF8000000000000LL);
  if (m == 0) return 0.0;
  const double leading = static_cast<double>(m);
  if (m < 1ULL << 53 && q >= -22 && q <= 22) {
    const double power = powers[2 * (LARGEST_POWER + abs(q))];
    return q < 0 ? __ddiv_rn(leading, power) : __dmul_rn(leading, power);
  }
  if (q < -LARGEST_POWER || q > LARGEST_POWER) return undecided;
  const double power = powers[2 * (LARGEST_POWER + q)], power_rest = powers[2 * (LARGEST_POWER + q) + 1];
  const double rest = static_cast<double>(static_cast<long long>(m - static_cast<Word>(leading)));
  const double product = __dmul_rn(leading, power);
  double error = __fma_rn(leading, power, -product); // exact
  error = __fma_rn(leading, power_rest, __fma_rn(rest, power, error));
  const double value = __dadd_rn(product, error);
  error = __dsub_rn(error, __dsub_rn(value, product));
  const double margin = value * 0x1p-99;
  const bool decided =
      __dadd_rn(value, __dadd_rn(error, margin)) == value && __dadd_rn(value, __dsub_rn(error, margin)) == value;
  return decided ? value : undecided;
}

// Rounded to T; compiled with -ftz=true, the plain conversion would lose subnormal floats.
template <typename T> __device__ __forceinline__ T rounded(double value) { return value; }
template <> __device__ __forceinline__ float rounded<float>(double value) {
#ifdef CUDA_ON_CPU
  return cuda_on_cpu::unflushed(value);
#else
  float result;
  asm("cvt.rn.f32.f64 %0, %1;" : "=f"(result) : "d"(value));
  return result;
#endif
}

template <typename T> __global__ void __launch_bounds__(BLOCK)
    decode_text(const Word *__restrict__ text, const double *__restrict__ powers, T *__restrict__ out,
                int *__restrict__ counts, long long n, long long place, long long skipped, long long run,
                long long run_bytes, int per_row, int pitch, int row_bytes, int slack, int point, int head,
                int fraction, int marker, int exponent, int gap, long long head_scale, long long rest_scale,
                double divisor) {
  const long long i = blockIdx.x * static_cast<long long>(BLOCK) + threadIdx.x;
  bool undecided = false, misplaced = false;
  if (i < n) {
    const char *bytes = reinterpret_cast<const char *>(text);
    const long long runs = (place + i) / run, in_run = (place + i) % run, rows = in_run / per_row;
    const int column = static_cast<int>(in_run % per_row);
    const long long row = runs * run_bytes + rows * row_bytes - skipped;
    const long long at = row + point + static_cast<long long>(column) * pitch - head;
    if (column == per_row - 1 || in_run == run - 1)
      misplaced = bytes[row + static_cast<long long>(column + 1) * pitch + slack - 1] != '\n';

    const Window field(text, at);
    const Word front = field.eight(0);
    const int tens = head == 2 ? byte_of(front, 0) : ' ', ones = byte_of(front, head - 1);
    bool good =
        is_digit(ones) ? is_digit(tens) || is_sign(tens) || tens == ' ' : tens == ' ' && (is_sign(ones) || ones == ' ');
    good &= byte_of(front, head) == '.';
    Word m, rest;
    good &= eight_digits(field.eight(head + 1), min(fraction, 8), m);
    if (fraction > 8) {
      good &= eight_digits(field.eight(head + 9), fraction - 8, rest);
      m = m * rest_scale + rest;
    }
    m += head_scale * ((is_digit(ones) ? ones - '0' : 0) + (is_digit(tens) ? 10 * (tens - '0') : 0));
    const int before = column ? gap : point - head;
    for (int b = 1; b <= before; ++b) good &= bytes[at - b] == ' ';

    int power = 0;
    if (marker) {
      const Word end = field.eight(head + 1 + fraction);
      if (byte_of(end, 0) == marker) {
        good &= signed_digits(end, 1, exponent, power);
      } else { // Fortran drops the letter for three digits: "0.5-100"
        good &= signed_digits(end, 0, 3, power) && exponent == 2;
      }
    }
    double value = __longlong_as_double(0x7FF8000000000000LL);
    if (good) value = scaled(m, power - fraction, powers);
    undecided = value != value;
    if (tens == '-' || ones == '-') value = -value;
    out[i] = rounded<T>(divisor == 1.0 ? value : __ddiv_rn(value, divisor));
  }
  const int left = __syncthreads_count(undecided), broken = __syncthreads_count(misplaced);
  if (threadIdx.x == 0 && left) atomicAdd(counts, left);
  if (threadIdx.x == 0 && broken) atomicAdd(counts + 1, broken);
}
