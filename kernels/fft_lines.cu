// fft_lines: transform along the slowest axis, multiply, transform back, in one read and one write.
//
//   target[b, :, c] = F^-1 (m(:, c) F source[b, :, c]),   F over the slowest axis, F^-1 without 1/n
//
// The other axes have been transformed before and are transformed back after: this is the middle of a filter.
// A block holds `width` neighbouring columns in shared memory. Forward it decimates in frequency, back in time: every
// step works in place, and the modes, which come in reversed digits, are multiplied where they are.
//
// source, target (batch, n0, columns) complex, C order, columns = n1 (n2/2 + 1); may be the same
// roots          (n0,) complex: exp(-2 pi i j / n0)
// parts .. radial  the multiplier of modes (k0, k1, k2), see multiplier.cuh
// edges          complex: the factors of the Nyquist modes, in planes (n1, n2/2 + 1) of k0 = n0/2, (n0, n2/2 + 1) of
//                k1 = n1/2, (n0, n1) of k2 = n2/2, one after another; written by multiplier_edges, a thread a mode
// fft_lines<T, R0, R1, R2>   n0 = R0 R1 R2, R1 may be 1
//   launch       <<<(ceil(columns / width), batch), (width, n0 / R0)>>>, width = 64 / sizeof(complex), 64 n0 bytes shared
// fft_lines_any<T>           n0 = the product of `radices`, four bits each from the first on, 0 for 16, two or more;
//                            the last is odd or a power of two
//   order        (n0 / last radix,) int: the first mode of each of the last butterflies
//   launch       <<<(ceil(columns / width), batch), (width, groups)>>>, width groups <= 512, 256 for double; 64 n0 bytes shared
// order          fixed: the same bits whatever the launch
// oracle         numpy.fft, fft.Multiplier.plane; test tests/kernels/test_fft_lines.py
// ladder         v1 direct sums; v2 this: radix 16, 8, 8 in registers and shared memory, in place
//
// instances
//   fft_lines<float, 8, 4, 8>
//   fft_lines<float, 8, 6, 8>
//   fft_lines<float, 8, 8, 8>
//   fft_lines<float, 16, 5, 8>
//   fft_lines<float, 16, 6, 8>
//   fft_lines<float, 16, 8, 8>
//   fft_lines<float, 16, 10, 8>
//   fft_lines<float, 16, 12, 8>
//   fft_lines<float, 16, 16, 8>
//   fft_lines_any<float>
//   multiplier_edges<float>
//   fft_lines<double, 8, 4, 8>
//   fft_lines<double, 8, 6, 8>
//   fft_lines<double, 8, 8, 8>
//   fft_lines<double, 16, 5, 8>
//   fft_lines<double, 16, 6, 8>
//   fft_lines<double, 16, 8, 8>
//   fft_lines<double, 16, 10, 8>
//   fft_lines<double, 16, 12, 8>
//   fft_lines<double, 16, 16, 8>
//   fft_lines_any<double>
//   multiplier_edges<double>
#include "butterfly.cuh"

constexpr int ROW_BYTES = 64; // of each line that a block holds

template <typename T> constexpr int WIDTH = ROW_BYTES / static_cast<int>(sizeof(Complex<T>));

// Rows of a tile in shared memory: of an even and the odd one after it, half a bank's worth each, the order changes
// from one last butterfly to the next, so that neighbouring threads never meet in a bank.
template <typename T> struct Tile {
  Complex<T> *column;
  int shift; // last radix = 1 << shift; 31 where it is odd

  __device__ __forceinline__ Complex<T> &operator[](int row) const {
    return column[(row ^ ((row >> shift) & 1)) * WIDTH<T>];
  }

  // Rows first, first + step, ...: their address in parts that do not depend on the row where the step allows it.
  struct Rows {
    Tile tile;
    int first, step, kind, even, odd;
    __device__ __forceinline__ Complex<T> &operator[](int j) const {
      if (kind == 0) return tile[first + j * step];
      return tile.column[((j % 2 == 0 || kind == 1 ? even : odd) + j * step) * WIDTH<T>];
    }
  };
  __device__ __forceinline__ Rows rows(int first, int step) const {
    const int flip = (first >> shift) & 1;
    if (shift < 31 && step % (2 << shift) == 0) return {*this, first, step, 1, first ^ flip, 0};
    if (shift < 31 && step == 1) return {*this, first, step, 2, first + flip, first - flip};
    return {*this, first, step, 0, 0, 0};
  }
};

// Where `edges` has a mode whose Nyquist bits are these.
template <typename T>
__device__ __forceinline__ long long edge(int bits, const Multiplier<T> &m, int k0, int k1, int k2) {
  const int width = m.n2 / 2 + 1;
  if (bits & 1) return static_cast<long long>(k1) * width + k2;
  if (bits & 2) return (static_cast<long long>(m.n1) + k0) * width + k2;
  return (static_cast<long long>(m.n1) + m.n0) * width + static_cast<long long>(k0) * m.n1 + k1;
}

template <typename T> __global__ void multiplier_edges(int n0, int n1, int n2, int parts, const T *__restrict__ numbers,
                                                       const Complex<T> *__restrict__ tables,
                                                       const T *__restrict__ radial, Complex<T> *__restrict__ edges) {
  const Multiplier<T> multiplier{parts, n0, n1, n2, numbers, tables, radial};
  const long long width = n2 / 2 + 1, i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  const long long first = n1 * width, second = n0 * width;
  if (i < first) {
    edges[i] = multiplier.mean(n0 / 2, static_cast<int>(i / width), static_cast<int>(i % width));
  } else if (i < first + second) {
    const long long at = i - first;
    edges[i] = multiplier.mean(static_cast<int>(at / width), n1 / 2, static_cast<int>(at % width));
  } else if (i < first + second + static_cast<long long>(n0) * n1) {
    const long long at = i - first - second;
    edges[i] = multiplier.mean(static_cast<int>(at / n1), static_cast<int>(at % n1), n2 / 2);
  }
}

template <typename T> struct Lines {
  Tile<T> tile;
  const Complex<T> *__restrict__ roots;
  int n, group, groups;

  // Butterflies over rows a span apart, one after another within blocks of R spans.
  template <int R, bool FORWARD> __device__ __forceinline__ void middle(int span) const {
    __syncthreads();
    const int turn = n / (R * span);
#pragma unroll 1
    for (int b = group; b < n / R; b += groups) {
      const int block = b / span, p = b - block * span;
      const typename Tile<T>::Rows rows = tile.rows(block * R * span + p, span);
      Complex<T> v[R];
#pragma unroll
      for (int j = 0; j < R; ++j) v[j] = rows[j];
      twiddled_dft<R, FORWARD>(v, p * turn);
#pragma unroll
      for (int j = 0; j < R; ++j) rows[j] = v[j];
    }
  }

  // From memory into the tile.
  template <int R>
  __device__ __forceinline__ void first(const Complex<T> *__restrict__ source, long long stride, bool present) const {
    const int span = n / R;
#pragma unroll 1
    for (int b = group; b < span; b += groups) {
      const typename Tile<T>::Rows rows = tile.rows(b, span);
      Complex<T> v[R];
#pragma unroll
      for (int j = 0; j < R; ++j) {
        v[j] = {T(0), T(0)};
        if (present) v[j] = source[(b + j * span) * stride];
      }
      twiddled_dft<R, true>(v, b);
#pragma unroll
      for (int j = 0; j < R; ++j) rows[j] = v[j];
    }
  }

  // Back.
  template <int R> __device__ __forceinline__ void last(Complex<T> *target, long long stride, bool present) const {
    __syncthreads();
    const int span = n / R;
#pragma unroll 1
    for (int b = group; b < span; b += groups) {
      const typename Tile<T>::Rows rows = tile.rows(b, span);
      Complex<T> v[R];
#pragma unroll
      for (int j = 0; j < R; ++j) v[j] = rows[j];
      twiddled_dft<R, false>(v, b);
#pragma unroll
      for (int j = 0; j < R; ++j)
        if (present) target[(b + j * span) * stride] = v[j];
    }
  }

  // The last step forward, the product, and the first step back: the same rows. first_mode(b) is that of row 0.
  template <int R, typename FirstMode>
  __device__ __forceinline__ void turn(const Multiplier<T> &multiplier, int k1, int k2,
                                       const Complex<T> *__restrict__ edges, FirstMode first_mode) const {
    __syncthreads();
    const typename Multiplier<T>::Column column = multiplier.column(k1, k2, 0);
    const int step = n / R;
#pragma unroll 1
    for (int b = group; b < step; b += groups) {
      const typename Tile<T>::Rows rows = tile.rows(b * R, 1);
      Complex<T> v[R];
#pragma unroll
      for (int j = 0; j < R; ++j) v[j] = rows[j];
      dft<R, true, T>(v);
      const int k = first_mode(b);
#pragma unroll
      for (int j = 0; j < R; ++j) {
        const int k0 = k + j * step, bits = multiplier.nyquist(k0, k1, k2);
        v[j] = times<T>(v[j], bits ? edges[edge(bits, multiplier, k0, k1, k2)] : multiplier.at(column, k0, 0));
      }
      dft<R, false, T>(v);
#pragma unroll
      for (int j = 0; j < R; ++j) rows[j] = v[j];
    }
  }

  // Forward: transform, then turn value j by j p; back: the other way round.
  template <int R, bool FORWARD> __device__ __forceinline__ void twiddled_dft(Complex<T> (&v)[R], int p) const {
    if (FORWARD) dft<R, true, T>(v);
#pragma unroll
    for (int j = 1; j < R; ++j) {
      const Complex<T> root = roots[j * p];
      v[j] = times<T>(v[j], {root.x, FORWARD ? root.y : -root.y});
    }
    if (!FORWARD) dft<R, false, T>(v);
  }
};

template <int N> __host__ __device__ constexpr int shift_of() {
  return N % 2 ? 31 : N == 2 ? 1 : 1 + shift_of<N % 2 ? 1 : N / 2>();
}
template <> __host__ __device__ constexpr int shift_of<1>() { return 0; }

// Blocks on a multiprocessor that leave a thread 64 registers for float, 128 for double.
template <typename T> constexpr int resident(int threads) {
  return threads * static_cast<int>(sizeof(T)) > 2048 ? 1 : 4096 / static_cast<int>(sizeof(T)) / threads;
}

template <typename T, int R0, int R1, int R2>
__global__ void __launch_bounds__(WIDTH<T> * R1 * R2, resident<T>(WIDTH<T> * R1 * R2))
    fft_lines(const Complex<T> *source, Complex<T> *target, int n1, int n2, const Complex<T> *__restrict__ roots,
              int parts, const T *__restrict__ numbers, const Complex<T> *__restrict__ tables,
              const T *__restrict__ radial, const Complex<T> *__restrict__ edges) {
  extern __shared__ double2 shared_rows[];
  constexpr int n = R0 * R1 * R2;
  const unsigned width = n2 / 2 + 1, columns = n1 * width, column = blockIdx.x * WIDTH<T> + threadIdx.x;
  const bool present = column < columns;
  const long long start = static_cast<long long>(blockIdx.y) * n * columns + column;
  const Lines<T> lines{{reinterpret_cast<Complex<T> *>(shared_rows) + threadIdx.x, shift_of<R2>()},
                       roots,
                       n,
                       static_cast<int>(threadIdx.y),
                       R1 * R2};
  const Multiplier<T> multiplier{parts, n, n1, n2, numbers, tables, radial};
  const int k1 = present ? column / width : 0, k2 = present ? column % width : 0;
  lines.template first<R0>(source + start, columns, present);
  if constexpr (R1 > 1) lines.template middle<R1, true>(R2);
  lines.template turn<R2>(multiplier, k1, k2, edges, [](int b) { return b / R1 + R0 * (b % R1); });
  if constexpr (R1 > 1) lines.template middle<R1, false>(R2);
  lines.template last<R0>(target + start, columns, present);
}

// A block of any length, so that its threads find the registers that radix 16 needs.
template <typename T> constexpr int ANY_THREADS = sizeof(T) == 4 ? 512 : 256;

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

template <typename T> __global__ void __launch_bounds__(ANY_THREADS<T>)
    fft_lines_any(const Complex<T> *source, Complex<T> *target, int n, int n1, int n2, unsigned long long radices,
                  const int *__restrict__ order, const Complex<T> *__restrict__ roots, int parts,
                  const T *__restrict__ numbers, const Complex<T> *__restrict__ tables, const T *__restrict__ radial,
                  const Complex<T> *__restrict__ edges) {
  extern __shared__ double2 shared_rows[];
  const auto radix = [radices](int step) {
    const int r = static_cast<int>(radices >> 4 * step & 15);
    return r ? r : 16;
  };
  int steps = 1; // products of the radices: those of all steps are n
  for (int product = radix(0); product < n; ++steps) product *= radix(steps);
  const int last = radix(steps - 1), shift = last % 2 ? 31 : 31 - __clz(last);
  const unsigned width = n2 / 2 + 1, columns = n1 * width, column = blockIdx.x * WIDTH<T> + threadIdx.x;
  const bool present = column < columns;
  const long long start = static_cast<long long>(blockIdx.y) * n * columns + column;
  const Lines<T> lines{{reinterpret_cast<Complex<T> *>(shared_rows) + threadIdx.x, shift},
                       roots,
                       n,
                       static_cast<int>(threadIdx.y),
                       static_cast<int>(blockDim.y)};
  const Multiplier<T> multiplier{parts, n, n1, n2, numbers, tables, radial};
  const int k1 = present ? column / width : 0, k2 = present ? column % width : 0;
  const int before = radix(0);
  with_radix(before, [&](auto r) { lines.template first<decltype(r)::value>(source + start, columns, present); });
  int span = n / before;
  for (int step = 1; step < steps - 1; ++step) {
    span /= radix(step);
    with_radix(radix(step), [&](auto r) { lines.template middle<decltype(r)::value, true>(span); });
  }
  with_radix(last, [&](auto r) {
    lines.template turn<decltype(r)::value>(multiplier, k1, k2, edges, [order](int b) { return order[b]; });
  });
  for (int step = steps - 2; step > 0; --step) {
    with_radix(radix(step), [&](auto r) { lines.template middle<decltype(r)::value, false>(span); });
    span *= radix(step);
  }
  with_radix(before, [&](auto r) { lines.template last<decltype(r)::value>(target + start, columns, present); });
}
