// smooth_sums, v1: a thread a window, of points only.
//
//   out[w] = sum of erfc((|r - c| - rho)/(sqrt2 s))/2 v over the points that window w reaches
//
// values, windows, reached, lattice  as in smooth_sums.cu, all of a lattice here
// launch     <<<ceil(windows / threads), threads>>>
// order      the points in the order of memory
// oracle     device/cpu/features.py smooth_sums; test tests/kernels/test_smooth_sums.py
// ladder     v1 (this) of smooth_sums.cu: one thread reads all that a window reaches
//
// instances
//   smooth_sums_v1<float>
//   smooth_sums_v1<double>
#include "common.cuh"

template <typename T>
__global__ void smooth_sums_v1(const T *__restrict__ values, double *__restrict__ out,
                               const double *__restrict__ windows, const int *__restrict__ reached,
                               const double *__restrict__ lattice, int n_windows, int n0, int n1, int n2) {
  const int w = blockIdx.x * blockDim.x + threadIdx.x;
  if (w >= n_windows) return;
  const double *const window = windows + 13 * w;
  const int *const ends = reached + 6 * w;
  double sum = 0.0;
  for (int a = ends[0]; a <= ends[1]; ++a)
    for (int b = ends[2]; b <= ends[3]; ++b)
      for (int c = ends[4]; c <= ends[5]; ++c) {
        double square = 0.0;
        for (int x = 0; x < 3; ++x) {
          const double apart =
              lattice[x] - window[4 + x] + a * lattice[3 + x] + b * lattice[6 + x] + c * lattice[9 + x];
          square += apart * apart;
        }
        const long long i = (a % n0 + n0) % n0, j = (b % n1 + n1) % n1, k = (c % n2 + n2) % n2;
        sum += 0.5 * erfc((sqrt(square) - window[3]) / (sqrt(2.0) * window[2])) * values[(i * n1 + j) * n2 + k];
      }
  out[w] = sum;
}
