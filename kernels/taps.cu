// taps: smooth a field onto coarse points by short windows along two axes, and the transpose.
//
//   contract_taps   out[j1, j2] = sum over t1, t2 of w1[t1] w2[t2] (in[x1, x2] - centre)^power,  x = (j d + first + t) mod n
//   expand_taps     out[x1, x2] = sum of the same weights times in[j1, j2] over all j, t that meet in x
//
// Along the third axis it is a second launch: the planes of a field as rows of n1 n2 neighbours, one tap along them.
//
// values         (planes, n1, n2) T, C order; coarse (planes, m1, m2) T, n = m d; power 1 or 2
// weights_1      (d1, PITCH) T: tap a d1 + p at [p][a], a < W, then zeros up to a multiple of 16 bytes
// weights_2      (w2 d2) T: taps in their order
// first          0 .. n - 1, sample of the first tap for output 0
// C              neighbours of a row that a thread owns: 16 bytes where n2 is a multiple of so many, else 1
// launch         contract_taps  <<<(planes, ceil(m1 / rows), ceil(m2 / outputs)), threads>>>, threads C >= n2 with
//                one block along z, else threads C >= (outputs + w2 - 1) d2 + C - 1
//                expand_taps    <<<(planes, ceil(m1 / rows), ceil(n2 / (threads C))), threads>>>
// shared         both weights and two lines. contract_taps: with d2 rounded up to an even number, w2 d2 row weights and
//                lines of d2 + 1 values for each of m2 cells (one block along z) or outputs + w2 - 1 cells;
//                expand_taps: lines of threads C / d2 + 1 + w2 values
// order          a column adds its taps in the order of the samples (a block that owns whole columns: the first samples
//                of a window that reaches over the end last), then a row in the order of its taps; no atomics
// oracle         device/cpu/taps.py; test tests/kernels/test_taps.py
// ladder         v1 one axis a launch, a thread a point; v2 this: a thread marches down its columns with W sums in
//                registers, rows meet in shared memory: one read or one write of the fine field
//
// instances
//   contract_taps<float, 8, 4>
//   contract_taps<float, 10, 4>
//   contract_taps<float, 12, 4>
//   contract_taps<float, 16, 4>
//   contract_taps<float, 16, 1>
//   contract_taps<double, 8, 2>
//   contract_taps<double, 10, 2>
//   contract_taps<double, 12, 2>
//   contract_taps<double, 14, 2>
//   contract_taps<double, 16, 2>
//   contract_taps<double, 16, 1>
//   expand_taps<float, 8, 4>
//   expand_taps<float, 10, 4>
//   expand_taps<float, 12, 4>
//   expand_taps<float, 16, 4>
//   expand_taps<float, 16, 1>
//   expand_taps<double, 8, 2>
//   expand_taps<double, 10, 2>
//   expand_taps<double, 12, 2>
//   expand_taps<double, 14, 2>
//   expand_taps<double, 16, 2>
//   expand_taps<double, 16, 1>
#include "common.cuh"

constexpr int THREADS = 480;        // most threads of a block of vectors, so that registers suffice
constexpr int SINGLE_THREADS = 768; // and of a block whose threads own one column
constexpr int BATCH = 4;            // rows in flight while BATCH others are added

template <int C> constexpr int MOST_THREADS = C == 1 ? SINGLE_THREADS : THREADS;
template <typename T, int W> constexpr int PITCH = (W + Vector<T>::size - 1) / Vector<T>::size * Vector<T>::size;

// C neighbours from memory, 16 bytes at once unless C is 1; and back.
template <typename T, int C> __device__ __forceinline__ void load_columns(const T *at, T (&v)[C]) {
  if constexpr (C == 1) {
    v[0] = *at;
  } else {
    const auto loaded = *reinterpret_cast<const typename Vector<T>::type *>(at);
    const T *each = reinterpret_cast<const T *>(&loaded);
#pragma unroll
    for (int k = 0; k < C; ++k) v[k] = each[k];
  }
}

template <typename T, int C> __device__ __forceinline__ void store_columns(T *at, const T (&v)[C]) {
  if constexpr (C == 1) {
    *at = v[0];
  } else {
    typename Vector<T>::type stored;
    T *each = reinterpret_cast<T *>(&stored);
#pragma unroll
    for (int k = 0; k < C; ++k) each[k] = v[k];
    *reinterpret_cast<typename Vector<T>::type *>(at) = stored;
  }
}

// Two weights of a row, one load from shared memory.
template <typename T> struct __align__(2 * sizeof(T)) Pair {
  T first, second;
};

// The W weights of one phase, from shared memory 16 bytes at once.
template <typename T, int W> __device__ __forceinline__ void load_weights(const T *row, T (&w)[PITCH<T, W>]) {
  constexpr int V = Vector<T>::size;
#pragma unroll
  for (int a = 0; a < PITCH<T, W>; a += V) {
    T some[V];
    load_columns<T, V>(row + a, some);
#pragma unroll
    for (int k = 0; k < V; ++k) w[a + k] = some[k];
  }
}

template <typename T, int W, int C> __global__ void __launch_bounds__(MOST_THREADS<C>)
    contract_taps(const T *__restrict__ values, T *__restrict__ out, const T *__restrict__ weights_1,
                  const T *__restrict__ weights_2, long long n1, long long n2, long long m1, long long m2,
                  long long first1, long long first2, int d1, int d2, int w2, int outputs, int rows, int power,
                  T centre) {
  extern __shared__ __align__(16) unsigned char shared_taps[];
  const int thread = threadIdx.x;
  const int paired = (d2 + 1) / 2 * 2, pitch = paired + 1; // odd: neighbouring outputs read from different banks
  const bool whole_row = gridDim.z == 1, whole_column = gridDim.y == 1;
  const long long output = static_cast<long long>(blockIdx.z) * outputs;
  const int count = static_cast<int>(min(static_cast<long long>(outputs), m2 - output));
  const int cells = whole_row ? static_cast<int>(m2) : count + w2 - 1;
  T *const columns_weights = reinterpret_cast<T *>(shared_taps);
  Pair<T> *const row_weights = reinterpret_cast<Pair<T> *>(columns_weights + d1 * PITCH<T, W>);
  T *const lines = columns_weights + d1 * PITCH<T, W> + w2 * paired;
  for (int i = thread; i < d1 * PITCH<T, W>; i += blockDim.x) columns_weights[i] = weights_1[i];
  for (int i = thread; i < w2 * (paired / 2); i += blockDim.x) {
    const int t = i / (paired / 2) * d2 + i % (paired / 2) * 2;
    row_weights[i].first = weights_2[t];
    row_weights[i].second = i % (paired / 2) * 2 + 1 < d2 ? weights_2[t + 1] : T(0);
  }
  for (int i = thread; i < 2 * cells * pitch; i += blockDim.x) lines[i] = T(0); // what pairs hold beyond a cell
  __syncthreads();

  // Columns: the whole row, or what the outputs need with up to C - 1 columns before, so that vectors stay aligned.
  long long start = 0;
  int before = 0;
  if (!whole_row) {
    start = (output * d2 + first2) % n2;
    before = static_cast<int>(start % C);
    start -= before;
  }
  const long long mine = static_cast<long long>(thread) * C;
  const bool present = mine < (whole_row ? n2 : static_cast<long long>(cells) * d2 + before);
  const long long column = wrapped_once(start + mine, n2);
  int place[C]; // in a line; -1: not needed
#pragma unroll
  for (int k = 0; k < C; ++k) {
    const long long sample = whole_row ? wrapped_once(mine + k - first2, n2) : mine + k - before;
    const bool needed = present && sample >= 0 && sample < static_cast<long long>(cells) * d2;
    place[k] = needed ? static_cast<int>(sample / d2) * pitch + static_cast<int>(sample % d2) : -1;
  }

  // Steps of d1 rows. A block that owns whole columns reads each row once: the outputs whose windows reach over the
  // end are written when only their first rows are missing, and completed after the last step.
  const long long j_first = static_cast<long long>(blockIdx.y) * rows, j_last = min(j_first + rows, m1);
  const long long steps = j_last - j_first + W - 1, read_steps = whole_column ? m1 : steps;
  const long long row = (j_first * d1 + first1) % n1;
  long long j = whole_column ? (m1 - (W - 1) % m1) % m1 : j_first;
  out += blockIdx.x * m1 * m2 + output;

  T next[BATCH][C] = {};
  const T *const plane = values + blockIdx.x * n1 * n2 + column, *const end = plane + n1 * n2;
  const T *at = plane + row * n2;
  long long next_step = 0;
  int next_phase = 0;
  const auto load = [&]() {
    const int left = present && next_step < read_steps ? d1 - next_phase : 0;
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      if (b < left) {
        load_columns<T, C>(at, next[b]);
        at += n2;
        if (at == end) at = plane;
      }
    }
    next_phase += BATCH;
    if (next_phase >= d1) {
      next_phase = 0;
      ++next_step;
    }
  };
  load();

  T sums[W][C]; // of outputs j + W - 1 .. j
#pragma unroll
  for (int a = 0; a < W; ++a) {
#pragma unroll
    for (int k = 0; k < C; ++k) sums[a][k] = T(0);
  }
  for (long long step = 0; step < steps; ++step) {
#pragma unroll 1
    for (int phase = 0; phase < d1 && step < read_steps; phase += BATCH) {
      T v[BATCH][C];
#pragma unroll
      for (int b = 0; b < BATCH; ++b) {
#pragma unroll
        for (int k = 0; k < C; ++k) {
          const T deviation = next[b][k] - centre;
          v[b][k] = power == 2 ? deviation * deviation : deviation;
        }
      }
      load();
#pragma unroll
      for (int b = 0; b < BATCH; ++b) {
        if (phase + b >= d1) break;
        T w[PITCH<T, W>];
        load_weights<T, W>(columns_weights + (phase + b) * PITCH<T, W>, w);
#pragma unroll
        for (int a = 0; a < W; ++a) {
#pragma unroll
          for (int k = 0; k < C; ++k) sums[a][k] += w[a] * v[b][k];
        }
      }
    }
    if (whole_column || step >= W - 1) {
      T *const line = lines + (step % 2) * cells * pitch;
#pragma unroll
      for (int k = 0; k < C; ++k)
        if (place[k] >= 0) line[place[k]] = sums[W - 1][k];
      __syncthreads(); // lines alternate: who writes this one again has passed the next barrier
      for (int i = thread; i < count; i += blockDim.x) {
        T sum = T(0);
        int cell = i;
        for (int a = 0; a < w2; ++a) {
          const Pair<T> *const w = row_weights + a * (paired / 2);
          const T *const samples = line + cell * pitch;
#pragma unroll 4
          for (int p = 0; p < paired / 2; ++p) {
            sum += w[p].first * samples[2 * p];
            sum += w[p].second * samples[2 * p + 1];
          }
          if (++cell == cells) cell = 0;
        }
        T *const at = out + j * m2 + i;
        *at = step < m1 || !whole_column ? sum : *at + sum;
      }
      if (++j == m1) j = 0;
    }
#pragma unroll
    for (int a = W - 1; a > 0; --a) {
#pragma unroll
      for (int k = 0; k < C; ++k) sums[a][k] = sums[a - 1][k];
    }
#pragma unroll
    for (int k = 0; k < C; ++k) sums[0][k] = T(0);
  }
}

template <typename T, int W, int C> __global__ void __launch_bounds__(MOST_THREADS<C>)
    expand_taps(const T *__restrict__ coarse, T *__restrict__ out, const T *__restrict__ weights_1,
                const T *__restrict__ weights_2, long long n1, long long n2, long long m1, long long m2,
                long long first1, long long first2, int d1, int d2, int w2, int rows) {
  extern __shared__ __align__(16) unsigned char shared_taps[];
  constexpr int SLOTS = C + 1; // of a line that a thread fetches
  const int thread = threadIdx.x;
  T *const columns_weights = reinterpret_cast<T *>(shared_taps);
  T *const row_weights = columns_weights + d1 * PITCH<T, W>;
  T *const lines = row_weights + w2 * d2;
  for (int i = thread; i < d1 * PITCH<T, W>; i += blockDim.x) columns_weights[i] = weights_1[i];
  for (int i = thread; i < w2 * d2; i += blockDim.x) row_weights[i] = weights_2[i];

  // A line: the coarse values that the block's columns need, the earliest first.
  const long long x = static_cast<long long>(blockIdx.z) * blockDim.x * C;
  const int columns = static_cast<int>(min(static_cast<long long>(blockDim.x) * C, n2 - x));
  const long long origin = wrapped_once(x - first2, n2), cell = origin / d2;
  const int inside = static_cast<int>(origin % d2), length = (inside + columns - 1) / d2 + w2;
  int source[SLOTS];
#pragma unroll
  for (int s = 0; s < SLOTS; ++s) {
    const int i = thread + s * blockDim.x;
    source[s] = i < length ? static_cast<int>(((cell + i - (w2 - 1)) % m2 + m2) % m2) : -1;
  }
  const bool present = thread * C < columns;
  int newest[C], phase[C]; // of a line, the last value that a column needs; the column's sample within its cell
#pragma unroll
  for (int k = 0; k < C; ++k) {
    const int sample = inside + thread * C + k;
    newest[k] = sample / d2 + w2 - 1;
    phase[k] = sample % d2;
  }

  const bool together = d2 % C == 0 && inside % C == 0; // a thread's columns lie in one cell, for all threads

  const long long c_first = static_cast<long long>(blockIdx.y) * rows, c_last = min(c_first + rows, m1);
  const long long steps = c_last - c_first + W - 1;
  int coarse_row = static_cast<int>(((c_first - (W - 1)) % m1 + m1) % m1);
  int row = static_cast<int>((c_first * d1 + first1) % n1);
  coarse += blockIdx.x * m1 * m2;
  out += blockIdx.x * n1 * n2 + x + thread * C;

  T fetched[SLOTS];
  const auto fetch = [&]() {
#pragma unroll
    for (int s = 0; s < SLOTS; ++s) {
      if (s * static_cast<int>(blockDim.x) >= length) break;
      if (source[s] >= 0) fetched[s] = coarse[coarse_row * m2 + source[s]];
    }
    if (++coarse_row == m1) coarse_row = 0;
  };
  const auto put = [&](T *line) {
#pragma unroll
    for (int s = 0; s < SLOTS; ++s) {
      if (s * static_cast<int>(blockDim.x) >= length) break;
      if (source[s] >= 0) line[thread + s * blockDim.x] = fetched[s];
    }
    __syncthreads(); // lines alternate: who writes this one again has passed the next barrier
  };
  fetch();
  put(lines);

  T ring[W][C]; // coarse values of this cell and of the W - 1 before, at the thread's columns
#pragma unroll
  for (int a = 0; a < W; ++a) {
#pragma unroll
    for (int k = 0; k < C; ++k) ring[a][k] = T(0);
  }
  for (long long step = 0; step < steps; ++step) {
    if (step + 1 < steps) fetch();
#pragma unroll
    for (int a = W - 1; a > 0; --a) {
#pragma unroll
      for (int k = 0; k < C; ++k) ring[a][k] = ring[a - 1][k];
    }
#pragma unroll
    for (int k = 0; k < C; ++k) ring[0][k] = T(0);
    if (present) {
      const T *const line = lines + (step % 2) * length;
      if (together) {
        const T *w = row_weights + phase[0], *value = line + newest[0];
#pragma unroll 2
        for (int a = 0; a < w2; ++a) {
          T each[C];
          load_columns<T, C>(w, each);
          const T one = *value;
#pragma unroll
          for (int k = 0; k < C; ++k) ring[0][k] += each[k] * one;
          w += d2;
          --value;
        }
      } else {
        for (int a = 0; a < w2; ++a) {
#pragma unroll
          for (int k = 0; k < C; ++k) ring[0][k] += row_weights[a * d2 + phase[k]] * line[newest[k] - a];
        }
      }
      if (step >= W - 1) {
#pragma unroll 2
        for (int p = 0; p < d1; ++p) {
          T w[PITCH<T, W>], v[C];
          load_weights<T, W>(columns_weights + p * PITCH<T, W>, w);
#pragma unroll
          for (int k = 0; k < C; ++k) v[k] = T(0);
#pragma unroll
          for (int a = 0; a < W; ++a) {
#pragma unroll
            for (int k = 0; k < C; ++k) v[k] += w[a] * ring[a][k];
          }
          store_columns<T, C>(out + row * n2, v);
          row = row + 1 == n1 ? 0 : row + 1;
        }
      }
    }
    if (step + 1 < steps) put(lines + ((step + 1) % 2) * length);
  }
}
