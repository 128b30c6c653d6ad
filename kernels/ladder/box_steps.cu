// box_steps, v1: one axis a launch, three launches; also for rows too long for box_steps.cu.
//
//   out[.., p, ..] = scale * sum over a window along one periodic axis of v[.., p + .., ..]       line_sums.cuh
//
// box_rows    inner = 1: ROWS rows in shared memory                              1 read, 1 write
// box_strips  LANES columns of a plane in shared memory                          1 read, 1 write
// box_walk    a thread walks along the axis, or a stretch of it: the value that comes in and the one that goes out are
//             read                                                               2 reads, 1 write
//
// values, out  (outer, n, inner) T, C order
// places, weights  tables of all three axes, of which `axis` is used
// launch  box_rows    <<<ceil(outer / ROWS), 256>>>, dynamic shared memory: ROWS (2 line T + units Total<T>)
//         box_strips  <<<outer ceil(inner / LANES), 256>>>, dynamic shared memory: LANES (line T + units Total<T>)
//                     line = n + HALO<E> rounded up to 4, units = ceil(n / UNIT) + 1
//         box_walk    <<<(ceil(outer inner / threads), stretches), threads>>>, threads >= 32
// order   fixed; sums carry their rounding errors along
// oracle  device/cpu/running.py box_filter; test tests/kernels/test_box_steps.py
// ladder  v1 (this) of box_steps.cu: reads four times, writes three times
//
// instances
//   box_rows<float, 1>
//   box_rows<float, 9>
//   box_rows<double, 1>
//   box_rows<double, 9>
//   box_strips<float, 1>
//   box_strips<float, 9>
//   box_strips<double, 1>
//   box_strips<double, 9>
//   box_walk<float, 1>
//   box_walk<float, 9>
//   box_walk<double, 1>
//   box_walk<double, 9>
#include "common.cuh"
#include "line_sums.cuh"

constexpr int ROWS = 4;
constexpr int LANE_BYTES = 64; // of each row of a plane
constexpr int STEPS = 8;       // of a walk, whose values are in flight at once

template <typename T, int E> __global__ void __launch_bounds__(256, sizeof(T) == 8 ? 2 : 3)
    box_rows(const T *__restrict__ values, T *__restrict__ out, const int *__restrict__ places,
             const T *__restrict__ weights, int axis, T scale, long long outer, long long n_long, long long) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  __shared__ Ends<T, E> ends[3];
  load_ends(ends, places, weights);
  const int n = static_cast<int>(n_long), line = (n + HALO<E> + 3) / 4 * 4;
  const long long first = blockIdx.x * static_cast<long long>(ROWS);
  const int rows = static_cast<int>(min(static_cast<long long>(ROWS), outer - first));
  T *const lines = reinterpret_cast<T *>(shared_bytes), *const staged = lines + ROWS * line;
  for (int r = 0; r < rows; ++r) {
    const T *const row = values + (first + r) * n;
    for (int i = threadIdx.x; i < n + HALO<E>; i += blockDim.x) lines[r * line + i] = row[i < n ? i : i % n];
  }
  line_sums<T, E, 1>(lines, line, rows, n, reinterpret_cast<Total<T> *>(staged + ROWS * line), ends[axis],
                     share_of_rows(rows), [=](int l, int p, const T(&sums)[UNIT], int count) {
#pragma unroll
                       for (int i = 0; i < UNIT; ++i)
                         if (i < count) staged[l * line + p + i] = scale * sums[i];
                     });
  __syncthreads();
  for (int r = 0; r < rows; ++r) {
    T *const row = out + (first + r) * n;
    for (int i = threadIdx.x; i < n; i += blockDim.x) row[i] = staged[r * line + i];
  }
}

template <typename T, int E> __global__ void __launch_bounds__(256, sizeof(T) == 8 ? 2 : 3)
    box_strips(const T *__restrict__ values, T *__restrict__ out, const int *__restrict__ places,
               const T *__restrict__ weights, int axis, T scale, long long, long long n_long, long long inner) {
  constexpr int LANES = LANE_BYTES / sizeof(T);
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  __shared__ Ends<T, E> ends[3];
  load_ends(ends, places, weights);
  const int n = static_cast<int>(n_long), line = (n + HALO<E> + 3) / 4 * 4;
  const long long strips = (inner + LANES - 1) / LANES, column = blockIdx.x % strips * LANES;
  const long long corner = blockIdx.x / strips * n * inner + column;
  const int columns = static_cast<int>(min(static_cast<long long>(LANES), inner - column));
  T *const tile = reinterpret_cast<T *>(shared_bytes);
  const int lane = threadIdx.x % LANES;
#pragma unroll 8
  for (int i = threadIdx.x / LANES; i < n + HALO<E>; i += blockDim.x / LANES)
    tile[i * LANES + lane] = lane < columns ? values[corner + (i < n ? i : i % n) * inner + lane] : T(0);
  T *const to = out + corner;
  line_sums<T, E, LANES>(tile, 1, LANES, n, reinterpret_cast<Total<T> *>(tile + LANES * line), ends[axis],
                         share_of_columns(LANES), [=](int l, int p, const T(&sums)[UNIT], int count) {
                           if (l >= columns) return;
                           T *const first = to + p * inner + l;
#pragma unroll
                           for (int i = 0; i < UNIT; ++i)
                             if (i < count) first[inner * i] = scale * sums[i];
                         });
}

// Blocks of a walk that a multiprocessor's registers are to hold.
__host__ __device__ constexpr int walks_each(int e, int size) { return (size == 8 ? 1 : 3) + (e == 1 ? 1 : 0); }

template <typename T, int E> __global__ void __launch_bounds__(256, walks_each(E, sizeof(T)))
    box_walk(const T *__restrict__ values, T *__restrict__ out, const int *__restrict__ places,
             const T *__restrict__ weights, int axis, T scale, long long outer, long long n, long long inner) {
  __shared__ Ends<T, E> ends[3];
  load_ends(ends, places, weights);
  const Ends<T, E> &along = ends[axis];
  const long long line = blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x;
  if (line >= outer * inner) return;
  const long long o = line / inner, corner = o * n * inner + (line - o * inner);
  const long long first = n * blockIdx.y / gridDim.y, last = n * (blockIdx.y + 1LL) / gridDim.y;
  const T *const v = values + corner;
  T *const to = out + corner;
  Column<T, E> walk;
  long long at = (first + along.at_ones + n - 1) % n; // of the ones of output first - 1
  if (along.laps > 0) {
    for (long long i = 0; i < n; ++i) walk.ones.add(v[i * inner]);
    walk.ones.repeat(along.laps);
  }
#pragma unroll 8
  for (int i = 0; i < along.rest; ++i) {
    walk.ones.add(v[at * inner]);
    at = at + 1 == n ? 0 : at + 1;
  }
  long long head = (first + along.at_head) % n, tail = (first + along.at_tail) % n;
#pragma unroll
  for (int s = 0; s < E; ++s) walk.begun[s] = T(0);
#pragma unroll 1
  for (int s = 0; s < E - 1; ++s) {
    walk.prepare(v[head * inner], v[tail * inner], along);
    head = head + 1 == n ? 0 : head + 1;
    tail = tail + 1 == n ? 0 : tail + 1;
  }
#pragma unroll 1
  for (long long p = first; p < last; p += STEPS) {
    T leaves[STEPS], enters[STEPS];
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
      leaves[i] = v[head * inner];
      enters[i] = v[tail * inner];
      head = head + 1 == n ? 0 : head + 1;
      tail = tail + 1 == n ? 0 : tail + 1;
    }
#pragma unroll
    for (int i = 0; i < STEPS; ++i) {
      const T sum = walk.next(leaves[i], enters[i], along);
      if (p + i < last) to[(p + i) * inner] = scale * sum;
    }
  }
}
