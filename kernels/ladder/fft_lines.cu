// fft_lines, first rung: direct sums.
//
//   target[b, :, c] = F^-1 (m(:, c) F source[b, :, c])
//
// contract       that of ../fft_lines.cu; source and target apart
// launch         <<<(columns, batch), threads>>>, 2 n0 complex values of shared memory
//
// instances
//   fft_lines<float>
//   fft_lines<double>
#include "multiplier.cuh"

template <typename T> __global__ void fft_lines(const Complex<T> *__restrict__ source, Complex<T> *__restrict__ target,
                                                int n, int n1, int n2, int first, int n_rows, int parts,
                                                const T *__restrict__ numbers, const Complex<T> *__restrict__ tables,
                                                const T *__restrict__ radial) {
  extern __shared__ double2 shared_line[];
  const Multiplier<T> multiplier{parts, n, n1, n2, numbers, tables, radial};
  Complex<T> *line = reinterpret_cast<Complex<T> *>(shared_line), *modes = line + n;
  const int width = n2 / 2 + 1, column = blockIdx.x;
  const long long columns = static_cast<long long>(n_rows) * width, start = blockIdx.y * n * columns + column;
  for (int i = threadIdx.x; i < n; i += blockDim.x) line[i] = source[start + i * columns];
  __syncthreads();
  for (int back = 0; back < 2; ++back) {
    const Complex<T> *from = back ? modes : line;
    for (int k = threadIdx.x; k < n; k += blockDim.x) {
      Complex<T> sum = {T(0), T(0)};
      for (int i = 0; i < n; ++i) {
        T sine, cosine;
        const int turn = static_cast<int>(static_cast<long long>(i) * k % n);
        sincospi(T(2) * T(turn) / T(n), &sine, &cosine);
        const Complex<T> term = times<T>(from[i], {cosine, back ? sine : -sine});
        sum.x += term.x;
        sum.y += term.y;
      }
      if (back)
        target[start + k * columns] = sum;
      else
        modes[k] = times<T>(sum, multiplier.mean(k, first + column / width, column % width));
    }
    __syncthreads();
  }
}
