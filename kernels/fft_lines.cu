// fft_lines: transform along the slowest axis, multiply, transform back, in one read and one write.
//
//   target[b, :, c] = F^-1 (m(:, c) F source[b, :, c]),   F over the slowest axis, F^-1 without 1/n
//
// The other axes have been transformed before and are transformed back after: this is the middle of a filter.
// A block holds `width` neighbouring columns in shared memory. Forward it decimates in frequency, back in time: every
// step works in place, and the modes, which come in reversed digits, are multiplied where they are.
//
// source, target (batch, n0, columns) complex, C order, columns = n_rows (n2/2 + 1); may be the same: the rows
//                first .. first + n_rows - 1 of the n1 of the second axis, all of them or those of a slab
// roots          (n0,) complex: exp(-2 pi i j / n0); where R0 = 32, n0 more: that of j p at 32 p + j
// parts .. radial  the multiplier of modes (k0, k1, k2), see multiplier.cuh
// fft_lines<T, R0, R1, R2>   n0 = R0 R1 R2, R1 may be 1
//   launch       <<<(ceil(columns / width), batch), (width, n0 / R0)>>>, width = 64 / sizeof(complex), 64 n0 bytes shared
// fft_lines_any<T>           n0 = the product of `radices`, four bits each from the first on, 0 for 16, two or more;
//                            the last is odd, 2, 4 or 8
//   order        (n0 / last radix,) int: the first mode of each of the last butterflies
//   launch       <<<(ceil(columns / width), batch), (width, groups)>>>, width groups <= 256; 64 n0 bytes shared
// order          fixed: the same bits whatever the launch
// oracle         numpy.fft, fft.Multiplier.plane; test tests/kernels/test_fft_lines.py
// ladder         v1 direct sums; v2 radix 16, 16, 4 in registers and shared memory, in place; v3 this: 1024 as 32 x 32 in
//                float, which crosses shared memory once each way, parts of the multiplier one after another. An H200
//                took about 4.5 ms of v2's 14.3 at 1024^3 (what two other filters leave of theirs): 125 instructions a
//                mode are 2.3 ms of issue beside 2 ms of memory. v3 has 85 (1/k^2), 100 (polynomials): 2.8 to 3.3 ms [P]
//
// instances
//   fft_lines<float, 8, 8, 4>
//   fft_lines<float, 8, 6, 8>
//   fft_lines<float, 16, 8, 4>
//   fft_lines<float, 16, 10, 4>
//   fft_lines<float, 16, 6, 8>
//   fft_lines<float, 32, 1, 32>
//   fft_lines<float, 16, 10, 8>
//   fft_lines<float, 16, 12, 8>
//   fft_lines<float, 32, 8, 8>
//   fft_lines_any<float>
//   fft_lines<double, 8, 8, 4>
//   fft_lines<double, 8, 6, 8>
//   fft_lines<double, 16, 8, 4>
//   fft_lines<double, 16, 10, 4>
//   fft_lines<double, 16, 6, 8>
//   fft_lines<double, 16, 16, 4>
//   fft_lines<double, 16, 10, 8>
//   fft_lines<double, 16, 12, 8>
//   fft_lines<double, 16, 16, 8>
//   fft_lines_any<double>
#include "butterfly.cuh"

constexpr int ROW_BYTES = 64; // of each line that a block holds

template <typename T> constexpr int WIDTH = ROW_BYTES / static_cast<int>(sizeof(Complex<T>));

// Rows of a tile in shared memory: of an even and the odd one after it, half a bank's worth each, the order changes
// from one last butterfly to the next, so that neighbouring threads never meet in a bank.
template <typename T> struct Tile {
  int column, shift; // last radix = 1 << shift; 31 where it is odd

  __device__ __forceinline__ Complex<T> &at(int row) const {
    extern __shared__ double2 shared_rows[]; // named here, so that the compiler knows what memory this is
    return reinterpret_cast<Complex<T> *>(shared_rows)[row * WIDTH<T> + column];
  }
  __device__ __forceinline__ Complex<T> &operator[](int row) const { return at(row ^ ((row >> shift) & 1)); }

  // Rows first, first + step, ..: where the order changes with j or not at all, all addresses are one of two and a
  // constant.
  struct Rows {
    int column, shift; // of the tile: its type is not complete here
    int first, step, even, odd;
    bool regular;
    __device__ __forceinline__ Complex<T> &operator[](int j) const {
      const Tile tile{column, shift};
      return regular ? tile.at((j % 2 == 0 ? even : odd) + j * step) : tile[first + j * step];
    }
  };
  __device__ __forceinline__ Rows rows(int first, int step) const {
    const int flip = (first >> shift) & 1, row = first ^ flip;
    if (shift == 31) return {column, shift, first, step, first, first, true};
    if (step == 1) return {column, shift, first, step, first + flip, first - flip, true}; // a last butterfly
    if (step == 1 << shift) return {column, shift, first, step, row, row ^ 1, true};
    return {column, shift, first, step, row, row, step % (2 << shift) == 0};
  }
};

template <typename T> struct Lines {
  Tile<T> tile;
  const Complex<T> *__restrict__ roots;
  int n, groups;
  unsigned columns;

  // The thread's column, computed where it is needed, not kept; beyond the last it is the last once more.
  __device__ __forceinline__ unsigned place() const { return plain_number(blockIdx.x) * WIDTH<T> + tile.column; }
  __device__ __forceinline__ unsigned column() const { return min(place(), columns - 1); }

  using Rows = typename Tile<T>::Rows;
  template <int R> __device__ __forceinline__ static void load(Complex<T> (&v)[R], const Rows &rows) {
#pragma unroll
    for (int j = 0; j < R; ++j) v[j] = rows[j];
  }
  template <int R> __device__ __forceinline__ static void store(const Complex<T> (&v)[R], const Rows &rows) {
#pragma unroll
    for (int j = 0; j < R; ++j) rows[j] = v[j];
  }

  // Butterflies over rows a span apart, one after another within blocks of R spans.
  template <int R, bool FORWARD> __device__ __forceinline__ void middle(int span) const {
    __syncthreads();
    const int turn = n / (R * span);
#pragma unroll 1
    for (int i = plain_number(threadIdx.y); i < n / R; i += groups) {
      const int b = plain_number(i);
      const int block = b / span, p = b - block * span;
      const Rows rows = tile.rows(block * R * span + p, span);
      Complex<T> v[R];
      load(v, rows);
      twiddled_dft<R, FORWARD>(v, p * turn);
      store(v, rows);
    }
  }

  // From memory into the tile.
  template <int R> __device__ __forceinline__ void first(const Complex<T> *__restrict__ source) const {
    const int span = n / R;
#pragma unroll 1
    for (int i = plain_number(threadIdx.y); i < span; i += groups) {
      const int b = plain_number(i);
      const long long stride = columns;
      const Complex<T> *at = source + (b * stride + column());
      Complex<T> v[R];
#pragma unroll
      for (int j = 0; j < R; ++j) v[j] = at[j * (span * stride)];
      twiddled_dft<R, true>(v, b);
      store(v, tile.rows(b, span));
    }
  }

  // Back.
  template <int R> __device__ __forceinline__ void last(Complex<T> *target) const {
    __syncthreads();
    const int span = n / R;
#pragma unroll 1
    for (int i = plain_number(threadIdx.y); i < span; i += groups) {
      const int b = plain_number(i);
      Complex<T> v[R];
      load(v, tile.rows(b, span));
      twiddled_dft<R, false>(v, b);
      const long long stride = columns;
      if (place() >= stride) continue;
      Complex<T> *at = target + (b * stride + place());
#pragma unroll
      for (int j = 0; j < R; ++j) at[j * (span * stride)] = v[j];
    }
  }

  // Modes k, k + step, .. times one part of their factors: no branches, so that their loads overlap.
  template <int R, int PART> __device__ __forceinline__ void
  multiply(Complex<T> (&v)[R], const Multiplier<T> &multiplier, int k1, int k2, int k, int step) const {
    const typename Multiplier<T>::Column column =
        multiplier.column(R > 4 ? plain_number(k1) : k1, R > 4 ? plain_number(k2) : k2, 0);
#pragma unroll
    for (int j = 0; j < R; ++j) {
      const bool negative = R % 2 == 0 ? j >= R / 2 : 2 * (k + j * step) > n;
      const T mode = T(k) + (T(j) * T(step) - T(negative ? n : 0));
      v[j] = multiplier.template product<PART>(v[j], column, mode, k + j * step);
    }
  }

  // The last step forward, the product, and the first step back: the same rows. first_mode(b) is that of row 0.
  template <int R, typename FirstMode> __device__ __forceinline__ void
  multiplied(const Multiplier<T> &multiplier, int first_row, FirstMode first_mode) const {
    __syncthreads();
    const unsigned width = plain_number(multiplier.n2) / 2 + 1, at = column();
    const int row = at / width, k2 = at - row * width, k1 = first_row + row;
    const int step = n / R;
#pragma unroll 1
    for (int i = plain_number(threadIdx.y); i < step; i += groups) {
      const int b = plain_number(i);
      const Rows rows = tile.rows(b * R, 1);
      Complex<T> v[R];
      load(v, rows);
      dft<R, true, T>(v);
      const int k = first_mode(b), parts = multiplier.parts;
      const bool plain = !multiplier.nyquist(0, plain_number(k1), plain_number(k2)) && k > 0 &&
                         2 * k != step; // none of the R is a Nyquist mode
      if (plain) {
        if (parts & TABLES) multiply<R, TABLES>(v, multiplier, k1, k2, k, step);
        if (parts & POLYNOMIAL) multiply<R, POLYNOMIAL>(v, multiplier, k1, k2, k, step);
        if (parts & INVERSE_SQUARE) multiply<R, INVERSE_SQUARE>(v, multiplier, k1, k2, k, step);
        if (parts & GRADIENT) multiply<R, GRADIENT>(v, multiplier, k1, k2, k, step);
      } else { // through the tile: a loop of one body, with no value in a register meanwhile
        store(v, rows);
#pragma unroll 1
        for (int j = 0; j < R; ++j) rows[j] = times<T>(rows[j], multiplier.mean(k + j * step, k1, k2));
        load(v, rows);
      }
      dft<R, false, T>(v);
      store(v, rows);
    }
  }

  // Forward: transform, then turn value j by j p; back: the other way round. Fifteen roots would fill the
  // registers that the values need: six are read, and most values turned twice. Thirty-one are read in pairs, from a
  // table in which those of p follow one another.
  template <int R, bool FORWARD> __device__ __forceinline__ void twiddled_dft(Complex<T> (&v)[R], int p) const {
    if (FORWARD) dft<R, true, T>(v);
    if constexpr (R == 32) {
      using Pair = typename Vector<T>::type;
      static_assert(sizeof(Pair) == 2 * sizeof(Complex<T>), "two roots a load");
      const Pair *pairs = reinterpret_cast<const Pair *>(roots + n + p * R);
#pragma unroll
      for (int j = 0; j < R; j += 2) {
        const Pair pair = __ldg(pairs + j / 2);
        if (j > 0) v[j] = times<T>(v[j], {pair.x, FORWARD ? pair.y : -pair.y});
        v[j + 1] = times<T>(v[j + 1], {pair.z, FORWARD ? pair.w : -pair.w});
      }
    } else if constexpr (R == 16) {
#pragma unroll
      for (int low = 1; low < 4; ++low) {
        const Complex<T> root = turn<FORWARD>(low * p);
#pragma unroll
        for (int high = 0; high < 16; high += 4) v[high + low] = times<T>(v[high + low], root);
      }
#pragma unroll
      for (int high = 4; high < 16; high += 4) {
        const Complex<T> root = turn<FORWARD>(high * p);
#pragma unroll
        for (int low = 0; low < 4; ++low) v[high + low] = times<T>(v[high + low], root);
      }
    } else {
#pragma unroll
      for (int j = 1; j < R; ++j) v[j] = times<T>(v[j], turn<FORWARD>(j * p));
    }
    if (!FORWARD) dft<R, false, T>(v);
  }
  template <bool FORWARD> __device__ __forceinline__ Complex<T> turn(int j) const {
    const Complex<T> root = roots[j];
    return {root.x, FORWARD ? root.y : -root.y};
  }
};

template <int N> __host__ __device__ constexpr int shift_of() {
  return N % 2 ? 31 : N == 2 ? 1 : 1 + shift_of<N % 2 ? 1 : N / 2>();
}
template <> __host__ __device__ constexpr int shift_of<1>() { return 0; }

// Blocks on a multiprocessor that leave a thread 64 registers for float, 128 for double; twice that for radix 32.
template <typename T> __host__ __device__ constexpr int resident(int radix, int threads) {
  const int most = 4096 / static_cast<int>(sizeof(T)) / (radix == 32 ? 2 : 1) / threads;
  return most > 1 ? most : 1;
}

template <typename T, int R0, int R1, int R2>
__global__ void __launch_bounds__(WIDTH<T> * R1 * R2, resident<T>(R0, WIDTH<T> * R1 * R2))
    fft_lines(const Complex<T> *source, Complex<T> *target, int n1, int n2, int first, int n_rows,
              const Complex<T> *__restrict__ roots, int parts, const T *__restrict__ numbers,
              const Complex<T> *__restrict__ tables, const T *__restrict__ radial) {
  constexpr int n = R0 * R1 * R2;
  const unsigned columns = static_cast<unsigned>(n_rows) * (n2 / 2 + 1);
  const auto start = [=] { return static_cast<long long>(plain_number(blockIdx.y)) * n * columns; };
  const Lines<T> lines{{static_cast<int>(threadIdx.x), shift_of<R2>()}, roots, n, R1 * R2, columns};
  const Multiplier<T> multiplier{parts, n, n1, n2, numbers, tables, radial};
  lines.template first<R0>(source + start());
  if constexpr (R1 > 1) lines.template middle<R1, true>(R2);
  lines.template multiplied<R2>(multiplier, first, [](int b) { return b / R1 + R0 * (b % R1); });
  if constexpr (R1 > 1) lines.template middle<R1, false>(R2);
  lines.template last<R0>(target + start());
}

// A block of any length, so that its threads find the registers that radix 16 needs.
constexpr int ANY_THREADS = 256;

template <int R> struct Radix {
  static constexpr int value = R;
};

// Calls with the radix as a constant.
template <typename Call> __device__ __forceinline__ void with_radix(int radix, Call call) {
  switch (radix) {
  case 2:
    return call(Radix<2>());
  case 3:
    return call(Radix<3>());
  case 4:
    return call(Radix<4>());
  case 5:
    return call(Radix<5>());
  case 7:
    return call(Radix<7>());
  case 8:
    return call(Radix<8>());
  default:
    return call(Radix<16>());
  }
}

template <typename T> __global__ void __launch_bounds__(ANY_THREADS, 1)
    fft_lines_any(const Complex<T> *source, Complex<T> *target, int n, int n1, int n2, int first, int n_rows,
                  unsigned long long radices, const int *__restrict__ order, const Complex<T> *__restrict__ roots,
                  int parts, const T *__restrict__ numbers, const Complex<T> *__restrict__ tables,
                  const T *__restrict__ radial) {
  const auto radix = [radices](int step) {
    const int r = static_cast<int>(radices >> plain_number(4 * step) & 15);
    return r ? r : 16;
  };
  int steps = 1; // products of the radices: those of all steps are n
  for (int product = radix(0); product < n; ++steps) product *= radix(steps);
  const int last = radix(steps - 1), shift = last % 2 ? 31 : 31 - __clz(last);
  const unsigned columns = static_cast<unsigned>(n_rows) * (n2 / 2 + 1);
  const long long start = static_cast<long long>(blockIdx.y) * n * columns;
  const Lines<T> lines{{static_cast<int>(threadIdx.x), shift}, roots, n, static_cast<int>(blockDim.y), columns};
  const Multiplier<T> multiplier{parts, n, n1, n2, numbers, tables, radial};
  with_radix(radix(0), [&](auto r) { lines.template first<decltype(r)::value>(source + start); });
  int span = n / radix(0);
  for (int step = 1; step < steps - 1; ++step) {
    span /= radix(step);
    with_radix(radix(step), [&](auto r) { lines.template middle<decltype(r)::value, true>(span); });
  }
  with_radix(radix(steps - 1), [&](auto r) {
    if constexpr (constexpr int last_radix = decltype(r)::value; last_radix < 16)
      lines.template multiplied<decltype(r)::value>(multiplier, first, [order](int b) { return order[b]; });
  });
  for (int step = steps - 2; step > 0; --step) {
    with_radix(radix(step), [&](auto r) { lines.template middle<decltype(r)::value, false>(span); });
    span *= radix(step);
  }
  with_radix(radix(0), [&](auto r) { lines.template last<decltype(r)::value>(target + start); });
}
