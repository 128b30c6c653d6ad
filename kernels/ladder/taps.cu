// taps, first rung: one axis a launch, a thread for each point of the result.
//
//   contract_taps   out[o, j, i] = sum over t of weights[t] in[o, (j d + first + t) mod n, i],   j < m = n/d
//   expand_taps     out[o, x, i] = sum of weights[t] in[o, j, i] over all j, t with (j d + first + t) mod n = x
//
// values         (outer, n, inner) T, C order; coarse (outer, m, inner) T
// weights        (cells d) T; first 0 .. n - 1
// launch         <<<(ceil(inner / 128), n or m of the result, outer), 128>>>
// order          the taps in their order (expand_taps: by cells from the last), no atomics
// oracle         device/cpu/taps.py; test tests/kernels/test_taps.py
// ladder         this is v1 of kernels/taps.cu: a pass over every axis, each point read once for every tap
//
// instances
//   contract_taps<float>
//   contract_taps<double>
//   expand_taps<float>
//   expand_taps<double>
#include "common.cuh"

template <typename T> __global__ void contract_taps(const T *__restrict__ values, T *__restrict__ out,
                                                    const T *__restrict__ weights, long long n, long long inner,
                                                    long long first, int d, int cells) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= inner) return;
  const T *const column = values + blockIdx.z * n * inner + i;
  T sum = T(0);
  for (int t = 0; t < cells * d; ++t) sum += weights[t] * column[(blockIdx.y * d + first + t) % n * inner];
  out[(static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * inner + i] = sum;
}

template <typename T> __global__ void expand_taps(const T *__restrict__ coarse, T *__restrict__ out,
                                                  const T *__restrict__ weights, long long n, long long inner,
                                                  long long first, int d, int cells) {
  const long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= inner) return;
  const long long m = n / d, sample = wrapped_once(blockIdx.y - first, n), cell = sample / d, phase = sample % d;
  const T *const column = coarse + blockIdx.z * m * inner + i;
  T sum = T(0);
  for (int a = 0; a < cells; ++a) sum += weights[a * d + phase] * column[((cell - a) % m + m) % m * inner];
  out[(static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * inner + i] = sum;
}
