// taps: smooth a field onto coarse points by short windows along two axes, and the transpose.
//
//   contract_taps   out[j1, j2] = sum over t1, t2 of w1[t1] w2[t2] (in[x1, x2] - centre)^power,  x = (j d + first + t) mod n
//   expand_taps     out[x1, x2] = sum of the same weights times in[j1, j2] over all j, t that meet in x
//
// Along the third axis it is a second launch: the planes of a field as rows of n1 n2 neighbours, one tap along them.
//
// values         (planes, n1, n2) T, C order; coarse (planes, m1, m2) T, n = m d; power 1 or 2
// weights_1      in the launch's constants: tap a d1 + p at [p W + a], a < W, zeros after the taps; d1 <= MOST_PHASES.
//                With 16 cells of double they exceed the 4 KB that CUDA before 12.1 and drivers before 530 pass
// weights_2      (d2, W) T: tap a d2 + p at [p][a], zeros after the taps; for expand_taps the last a first
// first          0 .. n - 1, sample of the first tap for output 0
// C              neighbours of a row that a thread owns: 16 bytes where n2 is a multiple of so many, else 1
// PLAIN          power 1, centre 0, d1 even and first1 a multiple of d1: rows end with a step
// launch         contract_taps  <<<(planes * parts, ceil(m1 / rows)), threads>>>, threads C >= n2 with one part of
//                outputs = m2, else parts = ceil(m2 / outputs), threads C >= (outputs + w2 - 1) d2 + C - 1
//                expand_taps    <<<(planes * ceil(n2 / (threads C)), ceil(m1 / rows)), threads>>>
// shared         row weights d2 PITCH. contract_taps: two lines and as many sums by phases, each of d2 pitch values;
//                expand_taps: two lines of pitch values and two rows of `room` columns
// pitch          a multiple of 16 bytes with place for the cells of `tiles` tiles and what the last one reaches over;
//                from one phase to the next an odd number of 16 bytes, twice or four times one where d2 is 4 or 2
// order          a column adds its taps in the order of the samples (a block that owns whole columns: the first samples
//                of a window that reaches over the end last). A row: for each phase the cells in their order, then the
//                phases in theirs (contract_taps); the cells from the last tap to the first (expand_taps). No atomics
// range          what is not finite spreads over W cells, though the window have fewer
// oracle         device/cpu/taps.py; test tests/kernels/test_taps.py
// ladder         v1 one axis a launch, a thread a point; v2 a thread marches down its columns with W sums in registers,
//                a thread for each output of a row: one read or one write of the fine field (H200, 1024^3 float32 /
//                float64, std 16: both ways 3.06 / 12.9 ms; std 4: 15.0 ms; 31 instructions a point profiled); v3 this:
//                a thread makes TILE outputs of a row at one phase, so that a load serves TILE products and no chain is
//                longer than W; two rows meet at once; columns' weights are constants; stores of 16 bytes; rows of
//                doubles whole. [P] 22 + 22 instructions a point in float32, d 8; 57 + 53 in float64, d 4 (v2: 31 + 27,
//                136 + 72), where 28 and 55 would take as long as the memory: 2.4 to 2.7 and 5.4 to 6.6 ms
//
// instances
//   contract_taps<float, 8, 4, true>
//   contract_taps<float, 8, 4, false>
//   contract_taps<float, 10, 4, true>
//   contract_taps<float, 10, 4, false>
//   contract_taps<float, 12, 4, true>
//   contract_taps<float, 12, 4, false>
//   contract_taps<float, 16, 4, true>
//   contract_taps<float, 16, 4, false>
//   contract_taps<float, 16, 1, false>
//   contract_taps<double, 8, 2, true>
//   contract_taps<double, 8, 2, false>
//   contract_taps<double, 10, 2, true>
//   contract_taps<double, 10, 2, false>
//   contract_taps<double, 12, 2, true>
//   contract_taps<double, 12, 2, false>
//   contract_taps<double, 14, 2, true>
//   contract_taps<double, 14, 2, false>
//   contract_taps<double, 16, 2, true>
//   contract_taps<double, 16, 2, false>
//   contract_taps<double, 16, 1, false>
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

constexpr int THREADS = 512;        // most threads of a block of vectors, so that registers suffice
constexpr int SINGLE_THREADS = 640; // and of a block whose threads own one column
constexpr int EXPAND_THREADS = 256; // most threads of a block that expands: two blocks on a multiprocessor
constexpr int BATCH = 4;            // rows in flight: as soon as one is added, that BATCH rows on is asked for
constexpr int AHEAD = 4;            // rows between those and the ones that the second-level cache is asked to bring,
constexpr int NEAR = 16;            // at most so many for two steps
constexpr int TILE = 4;             // neighbours along a row that a thread computes, so that each load serves so many
constexpr int MOST_PHASES = 32;     // largest d1, whose weights are constants of the launch

template <int C> constexpr int MOST_THREADS = C == 1 ? SINGLE_THREADS : THREADS;

template <typename T, int W> struct ColumnWeights {
  T at[MOST_PHASES * W];
};

// The weights of a row for one phase take an odd number of 16 bytes: other banks for each phase.
template <typename T, int W> constexpr int PITCH = ((W + Vector<T>::size - 1) / Vector<T>::size | 1) * Vector<T>::size;

// From a tile of a line to the next one: an odd number of 16 bytes, too.
template <typename T> constexpr int TILE_PITCH = (TILE / Vector<T>::size | 1) * Vector<T>::size;

// Where a cell lies in its line.
template <typename T> __device__ __forceinline__ constexpr int place_of(int cell) {
  static_assert(TILE % Vector<T>::size == 0, "a tile is loaded 16 bytes at once");
  return cell / TILE * TILE_PITCH<T> + cell % TILE;
}

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
    auto &to = *reinterpret_cast<typename Vector<T>::type *>(at);
    if constexpr (C == 4)
      to = {v[0], v[1], v[2], v[3]};
    else
      to = {v[0], v[1]};
  }
}

// Asks the second-level cache for neighbours, a multiple of 16 bytes: their way takes no registers.
__device__ __forceinline__ void bring_near(const void *from, unsigned bytes) {
#if defined(CUDA_ON_CPU)
  const volatile char *const each = static_cast<const volatile char *>(from);
  (void)(each[0] + each[bytes - 1]); // so that the sanitizer knows
#elif __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(from), "r"(bytes));
#else
  (void)from, (void)bytes;
#endif
}

// N values in whole loads of 16 bytes, and a tile in whole stores.
template <typename T, int N> __device__ __forceinline__ void load_vectors(const T *at, T (&v)[N]) {
  constexpr int V = Vector<T>::size;
#pragma unroll
  for (int i = 0; i < N; i += V) {
    T some[V];
    load_columns<T, V>(at + i, some);
#pragma unroll
    for (int k = 0; k < V; ++k) v[i + k] = some[k];
  }
}

template <typename T> __device__ __forceinline__ void store_tile(T *at, const T (&v)[TILE]) {
  constexpr int V = Vector<T>::size;
#pragma unroll
  for (int i = 0; i < TILE; i += V) {
    T some[V];
#pragma unroll
    for (int k = 0; k < V; ++k) some[k] = v[i + k];
    store_columns<T, V>(at + i, some);
  }
}

// sums[r] = sum over a of weights[a] samples[r + a], in the order of a; samples from the place of a tile on.
template <typename T, int W>
__device__ __forceinline__ void slide(const T *weights, const T *samples, T (&sums)[TILE]) {
  constexpr int V = Vector<T>::size;
  T w[(W + V - 1) / V * V];
#pragma unroll
  for (int r = 0; r < TILE; ++r) sums[r] = T(0);
#pragma unroll
  for (int c = 0; c < TILE + W - 1; c += V) {
    T some[V];
    if (c < W) {
      load_columns<T, V>(weights + c, some);
#pragma unroll
      for (int k = 0; k < V; ++k) w[c + k] = some[k];
    }
    load_columns<T, V>(samples + place_of<T>(c), some);
#pragma unroll
    for (int k = 0; k < V; ++k) {
#pragma unroll
      for (int r = 0; r < TILE; ++r) {
        const int a = c + k - r;
        if (a >= 0 && a < W) sums[r] += w[a] * some[k];
      }
    }
  }
}

// The tiles and phases of a line, blockDim.x apart, phases first.
struct TileOfPhase {
  int tile, phase, tiles_apart, phases_apart;

  __device__ __forceinline__ explicit TileOfPhase(int phases)
      : tile(threadIdx.x / phases), phase(threadIdx.x % phases), tiles_apart(blockDim.x / phases),
        phases_apart(blockDim.x % phases) {}

  __device__ __forceinline__ void advance(int phases) {
    tile += tiles_apart;
    phase += phases_apart;
    if (phase >= phases) {
      phase -= phases;
      ++tile;
    }
  }
};

// A row of weights from global memory to shared memory, at their pitch, zeros after them.
template <typename T, int W> __device__ __forceinline__ void copy_row_weights(const T *weights, int phases, T *to) {
  for (int i = threadIdx.x; i < phases * PITCH<T, W>; i += blockDim.x) {
    const int phase = i / PITCH<T, W>, a = i % PITCH<T, W>;
    to[i] = a < W ? weights[phase * W + a] : T(0);
  }
}

// What is the same for all blocks of contract_taps, as constants of the launch.
struct Contraction {
  int d1, d2, first1; // decimations, sample of the first tap for output 0
  int parts, outputs; // blocks that share a row, outputs of each
  int rows;           // outputs of a column for each of the blocks that share it
  int cells, again;   // of a line, and of its beginning that follow its end
  int tiles, pitch;   // of a line, and values from a phase to the next
  int steps, reads;   // steps of d1 rows, and those that read
  int begun;          // step that has the first outputs
  int stays;          // not 0: a row stays as it is
  int power;
};

template <typename T, int W, int C, bool PLAIN> __global__ void __launch_bounds__(MOST_THREADS<C>)
    contract_taps(const T *__restrict__ values, T *__restrict__ out, const ColumnWeights<T, W> weights_1,
                  const T *__restrict__ weights_2, int n1, int m1, long long n2, long long m2, long long first2,
                  const Contraction all, T centre) {
  extern __shared__ __align__(16) unsigned char shared_taps[];
  constexpr int V = Vector<T>::size;
  constexpr int GROUP = PLAIN && sizeof(T) == 4 ? 2 : 1; // rows added, then asked for, together; of double they spill
  const int thread = threadIdx.x, d1 = all.d1, d2 = all.d2;
  const int line_size = d2 * all.pitch;
  T *const row_weights = reinterpret_cast<T *>(shared_taps), *const lines = row_weights + d2 * PITCH<T, W>;
  T *const partial = lines + 2 * line_size; // what each phase adds to the outputs, laid out as lines are
  copy_row_weights<T, W>(weights_2, d2, row_weights);
  for (int i = thread; i < 4 * line_size; i += blockDim.x) lines[i] = T(0); // what tiles read beyond the cells
  __syncthreads();

  // Columns: the whole row, or what the outputs need with up to C - 1 columns before, so that vectors stay aligned.
  const int plane = blockIdx.x / all.parts, mine = thread * C;
  const long long output = static_cast<long long>(blockIdx.x % all.parts) * all.outputs;
  const bool whole_row = all.parts == 1, whole_column = gridDim.y == 1;
  long long start = 0;
  int before = 0;
  if (!whole_row) {
    start = (output * d2 + first2) % n2;
    before = static_cast<int>(start % C);
    start -= before;
  }
  long long columns = whole_row ? n2 : static_cast<long long>(all.cells) * d2 + before;
  if (all.stays) columns = min(columns, m2 - output); // the last part of a row may be shorter
  const bool present = mine < columns;
  const auto sample_of = [&](int k) { return whole_row ? wrapped_once(mine + k - first2, n2) : mine + k - before; };
  int place[C]; // of a column in its line; -1: not needed
#pragma unroll
  for (int k = 0; k < C; ++k) {
    const long long sample = sample_of(k);
    const int cell = static_cast<int>(sample / d2), phase = static_cast<int>(sample % d2);
    const bool needed = present && sample >= 0 && cell < all.cells;
    place[k] = needed ? phase * all.pitch + place_of<T>(cell) : -1;
  }
  const bool mine_again = present && (sample_of(0) < all.again * d2 || sample_of(0) + C > n2);

  // Steps of d1 rows; lines of two meet at once. A block that owns whole columns reads each row once: the outputs whose
  // windows reach over the end are written when only their first rows are missing, and completed after the last step.
  const int j_first = blockIdx.y * all.rows;
  const int row = static_cast<int>((static_cast<long long>(j_first) * d1 + all.first1) % n1);
  int j = ((j_first - (W - 1)) % m1 + m1) % m1; // of the oldest sums of a step
  const int steps = min(all.steps, m1 - j_first + W - 1);
  out += static_cast<long long>(plane) * m1 * m2 + output;

  const T *at = values + (static_cast<long long>(plane) * n1 + row) * n2;
  at += present ? wrapped_once(start + mine, n2) : 0;
  int to_end = n1 - row;
  T rows_ahead[BATCH][C] = {};
  const auto begin_again = [&]() {
    if (to_end == 0) {
      to_end = n1;
      at -= n1 * n2;
    }
  };
  const auto fetch = [&](T(&into)[C]) { // goes on beyond the last row that is needed
    load_columns<T, C>(at, into);
    at += n2;
    --to_end;
    if constexpr (!PLAIN) begin_again();
  };
#pragma unroll
  for (int b = 0; b < BATCH; ++b)
    if (b < d1) fetch(rows_ahead[b]);

  T sums[W][C]; // of outputs j + W - 1 .. j
#pragma unroll
  for (int a = 0; a < W; ++a) {
#pragma unroll
    for (int k = 0; k < C; ++k) sums[a][k] = T(0);
  }
  const auto add_row = [&](int phase, const T(&v)[C]) {
#pragma unroll
    for (int k = 0; k < C; ++k) {
#pragma unroll
      for (int a = 0; a < W; ++a) sums[a][k] += weights_1.at[phase * W + a] * v[k];
    }
  };
  const auto add_step = [&]() {
#pragma unroll 1
    for (int phase = 0; phase < d1; phase += BATCH) {
      // Rows left for this batch, and for the next. The tests keep each load behind the rows before it: without them
      // the compiler puts all loads last, where they are needed at once.
      const int left = d1 - phase, left_in_next = left > BATCH ? left - BATCH : d1;
      if constexpr (PLAIN) begin_again(); // the last row is the last of a step
#pragma unroll
      for (int b = 0; b < BATCH; b += GROUP) {
        if (b < left) {
#pragma unroll
          for (int g = 0; g < GROUP; ++g) {
            T v[C];
#pragma unroll
            for (int k = 0; k < C; ++k) {
              v[k] = rows_ahead[b + g][k];
              if constexpr (!PLAIN) {
                v[k] -= centre;
                v[k] *= all.power == 2 ? v[k] : T(1);
              }
            }
            add_row(phase + b + g, v);
          }
        }
        if (b < left_in_next) {
#pragma unroll
          for (int g = 0; g < GROUP; ++g) fetch(rows_ahead[b + g]);
        }
      }
    }
  };

  const auto put = [&](T *line, const T(&v)[C]) {
#pragma unroll
    for (int k = 0; k < C; ++k)
      if (place[k] >= 0) line[place[k]] = v[k];
    if (!mine_again) return;
#pragma unroll
    for (int k = 0; k < C; ++k) {
      const int sample = static_cast<int>(sample_of(k)), phase = sample % d2;
      for (int cell = sample / d2 + all.cells; cell < all.cells + all.again; cell += all.cells)
        line[phase * all.pitch + place_of<T>(cell)] = v[k];
    }
  };
  const int count = static_cast<int>(min(static_cast<long long>(all.outputs), m2 - output));
  const bool aligned = m2 % V == 0 && output % V == 0;
  const auto needed = [&](int step) { return step >= all.begun && step < steps; };
  const auto completes = [&](int step) { return whole_column && step >= m1; };
  const auto store_row = [&](int step, T *to, const T(&v)[C]) { // of a row that stays as it is
    if (!present || !needed(step)) return;
    T sum[C] = {};
    if (completes(step)) load_columns<T, C>(to + mine, sum);
#pragma unroll
    for (int k = 0; k < C; ++k) sum[k] += row_weights[0] * v[k];
    store_columns<T, C>(to + mine, sum);
  };

  for (int step = 0; step < steps; ++step) {
    if (step < all.reads) add_step();
    if (all.stays)
      store_row(step, out + j * m2, sums[W - 1]);
    else
      put(lines + step % 2 * line_size, sums[W - 1]);
#pragma unroll
    for (int a = W - 1; a > 0; --a) {
#pragma unroll
      for (int k = 0; k < C; ++k) sums[a][k] = sums[a - 1][k];
    }
#pragma unroll
    for (int k = 0; k < C; ++k) sums[0][k] = T(0);

    if (!all.stays && step >= all.begun && (step % 2 == 1 || step + 1 == steps)) {
      __syncthreads();
      for (TileOfPhase item(d2); item.tile < 2 * all.tiles; item.advance(d2)) {
        const int second = item.tile >= all.tiles, tile = item.tile - second * all.tiles;
        const int place = second * line_size + item.phase * all.pitch + tile * TILE_PITCH<T>;
        T some[TILE];
        T *const samples = lines + place;
        slide<T, W>(row_weights + item.phase * PITCH<T, W>, samples, some);
        store_tile(samples + 2 * line_size, some);
      }
      __syncthreads(); // who writes the partial sums again has passed the next barrier
      if (PLAIN && whole_row && thread == 0) {
        // Addresses are made anew: a second pointer would cost every row two additions.
        const int rows_near = min(min(2 * d1, NEAR), to_end - AHEAD), row_near = n1 - to_end + AHEAD;
        if (rows_near > 0)
          bring_near(values + (static_cast<long long>(plane) * n1 + row_near) * n2,
                     rows_near * static_cast<int>(n2) * static_cast<int>(sizeof(T)));
      }
      for (int tile = thread; tile < all.tiles; tile += blockDim.x) {
#pragma unroll 1
        for (int second = 0; second < 2; ++second) { // in turn: with one output along the column they are the same
          const int of_step = step / 2 * 2 + second;
          if (!needed(of_step)) continue;
          T sum[TILE] = {};
#pragma unroll 4
          for (int p = 0; p < d2; ++p) {
            T some[TILE];
            load_vectors(partial + second * line_size + p * all.pitch + tile * TILE_PITCH<T>, some);
#pragma unroll
            for (int r = 0; r < TILE; ++r) sum[r] += some[r];
          }
          T *const to = out + (of_step == step ? j : j == 0 ? m1 - 1 : j - 1) * m2 + tile * TILE;
          const int left = count - tile * TILE;
          if (completes(of_step)) {
#pragma unroll
            for (int r = 0; r < TILE; ++r)
              if (r < left) to[r] += sum[r];
          } else if (aligned && left >= TILE) {
            store_tile(to, sum);
          } else {
#pragma unroll
            for (int r = 0; r < TILE; ++r)
              if (r < left) to[r] = sum[r];
          }
        }
      }
    }
    j = j + 1 == m1 ? 0 : j + 1;
  }
}

template <typename T, int W, int C>
__global__ void __launch_bounds__(EXPAND_THREADS, W * C * sizeof(T) < 256 || sizeof(T) == 4 ? 2 : 1)
    expand_taps(const T *__restrict__ coarse, T *__restrict__ out, const ColumnWeights<T, W> weights_1,
                const T *__restrict__ weights_2, int n1, int m1, long long n2, long long m2, int first1,
                long long first2, int d1, int d2, int w2, int rows, int pitch, int room) {
  extern __shared__ __align__(16) unsigned char shared_taps[];
  constexpr int SLOTS = C + 1, V = Vector<T>::size; // SLOTS: of a line that a thread fetches
  const int thread = threadIdx.x, part_columns = blockDim.x * C, mine = thread * C;
  T *const row_weights = reinterpret_cast<T *>(shared_taps), *const lines = row_weights + d2 * PITCH<T, W>;
  T *const expanded = lines + 2 * pitch; // two rows of columns, the cells of the tiles whole
  copy_row_weights<T, W>(weights_2, d2, row_weights);
  for (int i = thread; i < 2 * (pitch + room); i += blockDim.x) lines[i] = T(0); // what lies beyond the cells

  // A line: the coarse values that the block's columns need, the earliest first.
  const long long parts = (n2 + part_columns - 1) / part_columns, plane = blockIdx.x / parts;
  const long long x = blockIdx.x % parts * part_columns;
  const int columns = static_cast<int>(min(static_cast<long long>(part_columns), n2 - x));
  const bool present = mine < columns, row_stays = d2 == 1 && w2 == 1 && first2 == 0;
  const long long origin = wrapped_once(x - first2, n2), cell = origin / d2;
  const int inside = static_cast<int>(origin % d2), cells = (inside + columns - 1) / d2 + 1;
  const int tiles = (cells + TILE - 1) / TILE, length = cells + W - 1;
  const int first_place = (V - inside % V) % V; // of a row of columns, so that those of a thread are aligned
  int source[SLOTS];
#pragma unroll
  for (int s = 0; s < SLOTS; ++s) {
    const int i = thread + s * blockDim.x;
    source[s] = i < length ? static_cast<int>(((cell + i - (W - 1)) % m2 + m2) % m2) : -1;
  }

  const int c_first = blockIdx.y * rows, steps = min(rows, m1 - c_first) + W - 1;
  int coarse_row = ((c_first - (W - 1)) % m1 + m1) % m1;
  const int row = static_cast<int>((static_cast<long long>(c_first) * d1 + first1) % n1);
  int to_end = n1 - row;
  coarse += plane * m1 * m2;
  out += (plane * n1 + row) * n2 + x + mine;

  T fetched[2][SLOTS] = {};
  const auto fetch = [&](T(&into)[SLOTS]) {
    const T *const from = coarse + coarse_row * m2;
    if (row_stays) {
      T some[C] = {};
      if (present) load_columns<T, C>(from + x + mine, some);
#pragma unroll
      for (int k = 0; k < C; ++k) into[k] = some[k];
    } else {
#pragma unroll
      for (int s = 0; s < SLOTS; ++s) {
        if (s * static_cast<int>(blockDim.x) >= length) break;
        if (source[s] >= 0) into[s] = from[source[s]];
      }
    }
    coarse_row = coarse_row + 1 == m1 ? 0 : coarse_row + 1;
  };
  const auto put = [&](T *line, const T(&v)[SLOTS]) {
#pragma unroll
    for (int s = 0; s < SLOTS; ++s) {
      if (s * static_cast<int>(blockDim.x) >= length) break;
      if (source[s] >= 0) line[place_of<T>(thread + s * blockDim.x)] = v[s];
    }
  };
  T ring[W][C]; // rows of this cell and of the W - 1 before, at the thread's columns
#pragma unroll
  for (int a = 0; a < W; ++a) {
#pragma unroll
    for (int k = 0; k < C; ++k) ring[a][k] = T(0);
  }
  fetch(fetched[0]);
  if (!row_stays) fetch(fetched[1]);
  __syncthreads();
  for (int step = 0; step < steps; ++step) {
    if (!row_stays && step % 2 == 0) {
      put(lines, fetched[0]);
      put(lines + pitch, fetched[1]);
      __syncthreads(); // who writes the rows of columns has passed this after they were read
      for (TileOfPhase item(d2); item.tile < 2 * tiles; item.advance(d2)) {
        const int second = item.tile >= tiles, tile = item.tile - second * tiles;
        T sums[TILE];
        slide<T, W>(row_weights + item.phase * PITCH<T, W>, lines + second * pitch + tile * TILE_PITCH<T>, sums);
        T *const to = expanded + second * room + first_place + tile * TILE * d2 + item.phase;
#pragma unroll
        for (int r = 0; r < TILE; ++r) to[r * d2] = sums[r];
      }
      __syncthreads();
      fetch(fetched[0]); // beyond the last rows that are needed, too
      fetch(fetched[1]);
    }
#pragma unroll
    for (int a = W - 1; a > 0; --a) {
#pragma unroll
      for (int k = 0; k < C; ++k) ring[a][k] = ring[a - 1][k];
    }
    if (row_stays) {
#pragma unroll
      for (int k = 0; k < C; ++k) ring[0][k] = row_weights[W - 1] * fetched[0][k];
      fetch(fetched[0]);
    } else {
      load_columns<T, C>(expanded + step % 2 * room + first_place + inside + mine, ring[0]);
    }
    if (step >= W - 1) {
#pragma unroll 2
      for (int phase = 0; phase < d1; ++phase) {
        T v[C] = {};
#pragma unroll
        for (int a = 0; a < W; ++a) {
#pragma unroll
          for (int k = 0; k < C; ++k) v[k] += weights_1.at[phase * W + a] * ring[a][k];
        }
        if (present) store_columns<T, C>(out, v);
        out += n2;
        if (phase + 1 == to_end) out -= n1 * n2;
      }
      to_end -= d1;
      if (to_end <= 0) to_end += n1;
    }
  }
}
