// box_together: the two fast axes of box_coarse.cu for several windows with short ends, from one read of the field.
//
//   planes[w][p - 1][a, B, C] = sum over b, c of W_b[b - B D] W_c[c - C D] (v[a, b, c] - centre)^p
//
// Stretches of D samples, F, C and out as there. Rows are on their way to shared memory while others are added, so that
// registers hold sums only, one for each end. An end has at most D + 1 weights that are neither 0 nor 1: they begin in
// row `first` of a stretch and reach to that row of the next, and
//
//   L(i) = C(i - 1) + E(i),   E(i) = sum of weights 0 .. D times rows `first` of i - 1 .. `first` of i;   U(i) alike
//
// Windows of one kind have the same ends, and share their sums.
//
// values    (n_planes, n_b, n_c) T, C order, from a 16-byte address on; n_b = Y D, n_c = X D
// planes    (n_windows POWERS, n_planes, Y, X) T, written, without scale: for box_columns of box_coarse.cu
// weights   along b (D + 1, KINDS, 2) T, by row, in the last row weight 0; along c (KINDS, 2, D + 1) T
// firsts    (2, KINDS, 2) int: rows in which lower and upper ends begin, along b and c
// spans     (n_windows, 8) int: along b lag = shift + r, r, laps, first row of the ring; along c shift, r, laps; kind
// rings     (blocks, ring_rows - shared_rows, X) double, scratch: all rows but the first shared_rows, between which no
//           window's lie on both sides
// launch    <<<blocks <= n_planes, 32 ceil(n_c / (32 V)) <= 256, shared>>>, V of 16 bytes; n_windows <= 8
// order     fixed, no atomics. Stretches add up in T, along c by a tree in double, across stretches in double
// oracle    device/cpu/windows.py box_sums; test tests/kernels/test_box_coarse.py
// ladder    v1 ladder/box_coarse.cu; v2 box_coarse.cu; v3 this, unmeasured: D rows on their way (32 KB for 8, 16 KB in
//           v2), one sum for each end and not P, ends of 9 weights and not 16, sums along c of several rows at once.
//           Four windows with squares in one read take 65 instructions a point, 55 where two of them have the same
//           ends; [P] 2.0 to 3.0 ms, 9.2 by v2
//
// instances
//   box_planes_together<float, 8, 1, 1>
//   box_planes_together<float, 8, 2, 1>
//   box_planes_together<float, 8, 3, 1>
//   box_planes_together<float, 8, 4, 1>
//   box_planes_together<float, 8, 1, 2>
//   box_planes_together<float, 8, 2, 2>
//   box_planes_together<float, 8, 3, 2>
//   box_planes_together<float, 8, 4, 2>
//   box_planes_together<float, 16, 1, 2>
//   box_planes_together<float, 16, 2, 2>
//   box_planes_together<float, 16, 3, 2>
//   box_planes_together<float, 16, 4, 2>
#include "neighbours.cuh"

constexpr int SPANS = 8;
constexpr int MOST_THREADS = 256; // registers for eight sums and their ends
constexpr int MOST_WINDOWS = 8;

// What a block has in shared memory; first what has the same place in every launch.
//
// A lane has CELLS neighbouring cells, and so have the columns: blocks of all rows of a lane's cells, V apart, so that
// lanes meet no bank twice. The last block holds zeros, for lanes beyond the row.
template <typename T, int D, int KINDS, int POWERS> struct BlockMemory {
  static constexpr int V = Vector<T>::size, CELLS = 8 * V / D, MOST_CELLS = CELLS * WARP;
  static constexpr int ENDS = 2 * KINDS, ROWS = POWERS * (1 + ENDS), ROW = CELLS * D, BLOCK = ROWS * ROW + V;
  static constexpr int PADDED = (ENDS + V - 1) / V * V, ROW_B = PADDED + V; // of a row along b: weights; finished ends
  static constexpr int TAPS = (D + 1 + V) / V * V; // of an end along c, and the row in which they begin, padded
  static constexpr int BELOW = MOST_CELLS + 2;     // of a row: of each cell; of all
  static constexpr int TASK = 4; // of a row: places of its columns, cells and ends; first end, one past the last << 16
  static constexpr int TABLES = ROWS * TASK + MOST_WINDOWS * (SPANS + 1);

  double *below, *cumulative, *waiting;
  T *around, *columns, *coming, *weights_b, *weights_c;
  int *tasks, *spans, *slots;
  int n_blocks;

  __device__ BlockMemory(double *start, int n_x, int n_windows, int threads) {
    n_blocks = (n_x + CELLS - 1) / CELLS;
    below = start;
    around = reinterpret_cast<T *>(below + ROWS * BELOW);
    weights_b = around + POWERS * 3 * ENDS * MOST_CELLS;
    weights_c = weights_b + (D + 1) * ROW_B;
    tasks = reinterpret_cast<int *>(weights_c + ENDS * TAPS);
    spans = tasks + ROWS * TASK;
    slots = spans + MOST_WINDOWS * SPANS;
    columns = reinterpret_cast<T *>(tasks + TABLES);
    coming = columns + (n_blocks + 1) * BLOCK;
    cumulative = reinterpret_cast<double *>(coming + D * threads * V);
    waiting = cumulative + n_windows * POWERS * n_x;
  }
  // Where a cell's columns of row 0 are.
  static __device__ int cell(int x) { return static_cast<unsigned>(x) / CELLS * BLOCK + x % CELLS * D; }
};

template <int N> struct Number {
  static constexpr int value = N;
};

// f(Number<n>()) for an n of FIRST .. LAST that is known only now, the same in the whole warp.
template <int FIRST, int LAST, typename F> __device__ __forceinline__ void with_number(int n, F f) {
  if constexpr (FIRST == LAST) {
    f(Number<FIRST>());
  } else {
    constexpr int MIDDLE = (FIRST + LAST) / 2;
    if (n <= MIDDLE)
      with_number<FIRST, MIDDLE>(n, f);
    else
      with_number<MIDDLE + 1, LAST>(n, f);
  }
}

// What the launch has of weights and ends goes to shared memory; sums begin at zero, and so do columns beyond the row.
template <typename T, int D, int KINDS, int POWERS>
__device__ __forceinline__ void set_up(const BlockMemory<T, D, KINDS, POWERS> &memory, const T *__restrict__ weights_b,
                                       const T *__restrict__ weights_c, const int *__restrict__ firsts,
                                       const int *__restrict__ spans, int n_windows, int n_x) {
  using Memory = BlockMemory<T, D, KINDS, POWERS>;
  constexpr int ENDS = Memory::ENDS, ROW = Memory::ROW, ROWS = Memory::ROWS, TAPS = Memory::TAPS;
  const int thread = threadIdx.x, threads = blockDim.x, warps = threads / WARP;
  for (int i = thread; i < (D + 1) * ENDS; i += threads)
    memory.weights_b[i / ENDS * Memory::ROW_B + i % ENDS] = weights_b[i];
  for (int r = thread; r < D; r += threads) {
    int finished = 0;
    for (int e = 0; e < ENDS; ++e) finished |= (firsts[e] == r) << e;
    *reinterpret_cast<int *>(memory.weights_b + r * Memory::ROW_B + Memory::PADDED) = finished;
  }
  for (int i = thread; i < ENDS * (D + 1); i += threads)
    memory.weights_c[i / (D + 1) * TAPS + i % (D + 1)] = weights_c[i];
  for (int e = thread; e < ENDS; e += threads)
    *reinterpret_cast<int *>(memory.weights_c + e * TAPS + D + 1) = firsts[ENDS + e];
  // Rows of whole stretches take all ends, others those of their kind; the former come last in the first round.
  const int first_of_whole = max(0, min(warps, ROWS) - POWERS);
  for (int i = thread; i < ROWS; i += threads) {
    const bool of_whole = i >= first_of_whole && i < first_of_whole + POWERS;
    const int other = i < first_of_whole ? i : i - POWERS, e = other % ENDS;
    const int p = of_whole ? i - first_of_whole : other / ENDS, number = p * (1 + ENDS) + (of_whole ? 0 : 1 + e);
    int *const task = memory.tasks + i * Memory::TASK;
    task[0] = number * ROW;
    task[1] = number * Memory::BELOW;
    task[2] = (3 * p * ENDS + (of_whole ? 0 : ENDS + 2 * e)) * Memory::MOST_CELLS;
    task[3] = of_whole ? ENDS << 16 : (e / 2 * 2 + 2) << 16 | e / 2 * 2;
  }
  for (int i = thread; i < n_windows * SPANS; i += threads) memory.spans[i] = spans[i];
  for (int i = thread; i < n_windows * POWERS * n_x; i += threads) memory.cumulative[i] = 0.0;
  for (int i = thread; i < (memory.n_blocks + 1) * Memory::BLOCK; i += threads) memory.columns[i] = T(0);
  __syncthreads();
}

constexpr int AT_ONCE = 2; // rows of the field that are fetched, and added, together

// Rows of the field on their way to shared memory, as one copy; nothing where there are none.
template <typename T> __device__ __forceinline__ void fetch(T *to, const T *from, int n_c, bool there) {
  constexpr int V = Vector<T>::size;
  const int threads = blockDim.x;
#pragma unroll
  for (int k = 0; k < AT_ONCE; ++k)
    if (there) begin_copy<V * sizeof(T)>(to + k * threads * V, from + static_cast<long long>(k) * n_c);
  close_copies();
}

// The rows of a stretch that have come are added up, whole and by the weights of ends, and the next ones fetched. An end
// that is finished in a row goes to the columns `own`, and begins again with that row.
template <typename T, int D, int KINDS, int POWERS>
__device__ __forceinline__ void add_stretch(const BlockMemory<T, D, KINDS, POWERS> &memory,
                                            T (&ends)[POWERS][2 * KINDS][Vector<T>::size], T *own, const T *next,
                                            int n_c, bool more, bool written, T centre) {
  using Memory = BlockMemory<T, D, KINDS, POWERS>;
  constexpr int V = Memory::V, ENDS = Memory::ENDS, ROW = Memory::ROW;
  const int threads = blockDim.x;
  T *coming = memory.coming + threadIdx.x * V;
  const T *weights = memory.weights_b;
  T full[POWERS][V];
#pragma unroll
  for (int i = 0; i < POWERS * V; ++i) full[i / V][i % V] = T(0);
#pragma unroll 1
  for (int r = 0; r < D; r += AT_ONCE) {
    T row[AT_ONCE][V], weight[AT_ONCE][Memory::PADDED];
    int finished[AT_ONCE];
    wait_copies<D / AT_ONCE - 1>();
#pragma unroll
    for (int k = 0; k < AT_ONCE; ++k) {
      read_vectors<V>(coming + k * threads * V, row[k]);
      read_vectors<Memory::PADDED>(weights + k * Memory::ROW_B, weight[k]);
      finished[k] = *reinterpret_cast<const int *>(weights + k * Memory::ROW_B + Memory::PADDED);
    }
    fetch(coming, next, n_c, more);
    coming += AT_ONCE * threads * V;
    next += AT_ONCE * static_cast<long long>(n_c);
    weights += AT_ONCE * Memory::ROW_B;
#pragma unroll
    for (int k = 0; k < AT_ONCE; ++k) {
      T power[POWERS][V];
#pragma unroll
      for (int c = 0; c < V; ++c) {
        power[0][c] = row[k][c] - centre;
        if constexpr (POWERS > 1) power[1][c] = power[0][c] * power[0][c];
      }
#pragma unroll
      for (int p = 0; p < POWERS; ++p)
#pragma unroll
        for (int c = 0; c < V; ++c) {
          full[p][c] += power[p][c];
#pragma unroll
          for (int e = 0; e < ENDS; ++e) ends[p][e][c] += weight[k][e] * power[p][c];
        }
      if (finished[k]) {
#pragma unroll
        for (int e = 0; e < ENDS; ++e) {
          if (!(finished[k] >> e & 1)) continue;
          const T first = memory.weights_b[D * Memory::ROW_B + e];
#pragma unroll
          for (int p = 0; p < POWERS; ++p) {
            if (written) write_neighbours(own + (p * (1 + ENDS) + 1 + e) * ROW, ends[p][e]);
#pragma unroll
            for (int c = 0; c < V; ++c) ends[p][e][c] = first * power[p][c];
          }
        }
      }
    }
  }
#pragma unroll
  for (int p = 0; p < POWERS; ++p)
    if (written) write_neighbours(own + p * (1 + ENDS) * ROW, full[p]);
}

// Along c, a warp has some rows of columns: what the windows' ends add, and what cells hold, summed up to each of them.
template <typename T, int D, int KINDS, int POWERS>
__device__ __forceinline__ void sum_along_c(const BlockMemory<T, D, KINDS, POWERS> &memory, int n_x) {
  using Memory = BlockMemory<T, D, KINDS, POWERS>;
  constexpr int NB = Memory::CELLS, TAPS = Memory::TAPS, ROWS = Memory::ROWS;
  constexpr int OF_WARP = KINDS * POWERS > 4 ? 3 : 2; // rows at once
  const int thread = threadIdx.x, threads = blockDim.x, warp = thread / WARP, lane = thread % WARP,
            warps = threads / WARP;
  const int block = min(lane, memory.n_blocks), before_block = lane ? block * NB - 1 : n_x - 1;
#pragma unroll 1
  for (int begin = warp; begin < ROWS; begin += OF_WARP * warps) {
    double upto[OF_WARP][NB], up_to_lane[OF_WARP];
#pragma unroll
    for (int k = 0; k < OF_WARP; ++k) {
      up_to_lane[k] = 0.0;
      if (begin + k * warps >= ROWS) continue;
      const int4 task = *reinterpret_cast<const int4 *>(memory.tasks + (begin + k * warps) * Memory::TASK);
      const T *const row = memory.columns + task.x;
      T at[NB + 1][D];
      read_vectors<D>(row + Memory::cell(before_block), at[0]);
#pragma unroll
      for (int b = 0; b < NB; ++b) read_vectors<D>(row + block * Memory::BLOCK + b * D, at[1 + b]);
#pragma unroll
      for (int b = 0; b < NB; ++b) {
        T whole = at[1 + b][0];
#pragma unroll
        for (int i = 1; i < D; ++i) whole += at[1 + b][i];
        upto[k][b] = b ? upto[k][b - 1] + whole : whole;
      }
      up_to_lane[k] = upto[k][NB - 1];
      T *around = memory.around + task.z + lane * NB;
      const T *weights = memory.weights_c + (task.w & 0xffff) * TAPS;
      const T *const beyond = memory.weights_c + (task.w >> 16) * TAPS;
#pragma unroll 1
      for (; weights < beyond; weights += TAPS, around += Memory::MOST_CELLS) {
        T weight[TAPS], sums[NB];
        read_vectors<TAPS>(weights, weight);
        with_number<0, D - 1>(*reinterpret_cast<const int *>(weights + D + 1), [&](auto found) {
          constexpr int FIRST = decltype(found)::value;
#pragma unroll
          for (int b = 0; b < NB; ++b) {
            sums[b] = weight[0] * at[b][FIRST];
#pragma unroll
            for (int t = 1; t <= D; ++t) sums[b] += weight[t] * at[b + (FIRST + t) / D][(FIRST + t) % D];
          }
        });
        write_neighbours(around, sums);
      }
    }
    // Inclusive sums over the lanes, of all rows at once: a step waits for the one before.
#pragma unroll
    for (int step = 1; step < WARP; step *= 2) {
      double before[OF_WARP];
#pragma unroll
      for (int k = 0; k < OF_WARP; ++k) before[k] = __shfl_up_sync(ALL_LANES, up_to_lane[k], step);
#pragma unroll
      for (int k = 0; k < OF_WARP; ++k)
        if (lane >= step) up_to_lane[k] += before[k];
    }
#pragma unroll
    for (int k = 0; k < OF_WARP; ++k) {
      if (begin + k * warps >= ROWS) continue;
      const double before = up_to_lane[k] - upto[k][NB - 1];
      double *const below = memory.below + memory.tasks[(begin + k * warps) * Memory::TASK + 1];
#pragma unroll
      for (int b = 0; b < NB; b += 2)
        *reinterpret_cast<double2 *>(below + lane * NB + b) =
            double2{b ? before + upto[k][b - 1] : before, before + upto[k][b]};
      if (lane == WARP - 1) below[Memory::MOST_CELLS] = up_to_lane[k];
    }
  }
}

// The last outputs of a column, whose upper ends lie in the stretches at its beginning: whole windows go around it.
template <int NB, int LATE, typename T>
__device__ __forceinline__ void finish_column(T *out, double *cumulative, const double *waiting, int slot, int reach,
                                              int lag, int laps, int n_y, int n_x) {
  const int thread = threadIdx.x, lane = thread % WARP;
  double all[NB];
#pragma unroll
  for (int i = 0; i < NB; ++i) {
    const bool there = lane + i * WARP < n_x;
    all[i] = there ? cumulative[i * WARP] : 0.0;
    if (there) cumulative[i * WARP] = 0.0;
  }
  for (int begun = 0; begun < reach; begun += LATE) { // all loads before the stores, which wait for them
    T value[LATE][NB];
#pragma unroll
    for (int k = 0; k < LATE; ++k) {
      const int row = begun + k, from = slot + 1 + row < reach ? slot + 1 + row : slot + 1 + row - reach;
      const int at = row < lag ? row - lag + n_y : row - lag;
#pragma unroll
      for (int i = 0; i < NB; ++i)
        if (row < reach && lane + i * WARP < n_x)
          value[k][i] = T(out[at * n_x + i * WARP] + (all[i] - waiting[from * n_x + i * WARP]));
    }
#pragma unroll
    for (int k = 0; k < LATE; ++k) {
      const int row = begun + k, at = row < lag ? row - lag + n_y : row - lag;
#pragma unroll
      for (int i = 0; i < NB; ++i)
        if (row < reach && lane + i * WARP < n_x) out[at * n_x + i * WARP] = value[k][i];
    }
  }
  for (int at = 0; laps > 0 && at < n_y; ++at) {
#pragma unroll
    for (int i = 0; i < NB; ++i)
      if (lane + i * WARP < n_x) out[at * n_x + i * WARP] = T(out[at * n_x + i * WARP] + laps * all[i]);
  }
}

// A warp has a window and a power: what its window along c holds; then along b, where what lies below the lower end waits
// in a ring for the upper end. Outputs whose lower end comes at the end of the plane are finished then.
template <typename T, int D, int KINDS, int POWERS>
__device__ __forceinline__ void sum_along_b(const BlockMemory<T, D, KINDS, POWERS> &memory, T *planes, double *outside,
                                            int n_windows, int n_planes, int plane, int n_y, int n_x, int s,
                                            int shared_rows) {
  using Memory = BlockMemory<T, D, KINDS, POWERS>;
  constexpr int ENDS = Memory::ENDS, NB = Memory::CELLS;
  constexpr int LATE = KINDS * POWERS > 4 ? 2 : 1; // outputs of a column finished at once at the end of a plane
  const int thread = threadIdx.x, threads = blockDim.x, warp = thread / WARP, lane = thread % WARP,
            warps = threads / WARP;
  for (int sum = warp; sum < n_windows * POWERS; sum += warps) {
    const int w = sum / POWERS, p = sum % POWERS;
    const int *const span = memory.spans + w * SPANS;
    const int lag = span[0], reach = span[1], laps = span[2], ring_first = span[3] + p * reach;
    const int shift = span[4], reach_c = span[5], laps_c = span[6], kind = span[7], slot = memory.slots[w];
    double *const waiting =
        (ring_first < shared_rows ? memory.waiting + ring_first * n_x
                                  : outside + static_cast<long long>(ring_first - shared_rows) * n_x) +
        lane;
    double *const at_slot = waiting + slot * n_x, *const cumulative = memory.cumulative + sum * n_x + lane;
    T *const out = planes + (static_cast<long long>(sum) * n_planes + plane) * (n_y * n_x) + lane;
    T *const finished = out + (s - lag < 0 ? s - lag + n_y : s - lag) * n_x;
    double lower_end[NB];
#pragma unroll
    for (int i = 0; i < NB; ++i) lower_end[i] = reach && s >= reach && lane + i * WARP < n_x ? at_slot[i * WARP] : 0.0;
    // Of whole stretches, lower ends, upper ends.
    const double *below[3];
    const T *around[3];
    double total[3];
#pragma unroll
    for (int role = 0; role < 3; ++role) {
      below[role] = memory.below + (p * (1 + ENDS) + (role ? 2 * kind + role : 0)) * Memory::BELOW;
      const int first = role ? ENDS + 4 * kind + 2 * (role - 1) : 2 * kind; // of its ends
      around[role] = memory.around + (3 * p * ENDS + first) * Memory::MOST_CELLS;
      total[role] = below[role][Memory::MOST_CELLS];
    }
    const double none = laps_c, once = laps_c + 1;
#pragma unroll
    for (int i = 0; i < NB; ++i) {
      const int x = lane + i * WARP;
      if (x >= n_x) break;
      const int low = x + shift < n_x ? x + shift : x + shift - n_x;
      const bool wraps = low + reach_c >= n_x;
      const int high = wraps ? low + reach_c - n_x : low + reach_c;
      const double all = wraps ? once : none;
      double found[3];
#pragma unroll
      for (int role = 0; role < 3; ++role)
        found[role] = below[role][high] - below[role][low] + all * total[role] +
                      (around[role][Memory::MOST_CELLS + high] - around[role][low]);
      const double so_far = cumulative[i * WARP], lower = so_far + found[1];
      cumulative[i * WARP] = so_far + found[0];
      if (reach) at_slot[i * WARP] = lower;
      finished[i * WARP] = T(so_far + found[2] - (reach ? lower_end[i] : lower));
    }
    if (s + 1 == n_y) finish_column<NB, LATE>(out, cumulative, waiting, slot, reach, lag, laps, n_y, n_x);
  }
}

template <typename T, int D, int KINDS, int POWERS>
__global__ void __launch_bounds__(MOST_THREADS, KINDS *POWERS > 4 || D > 8 ? 1 : 2)
    box_planes_together(const T *__restrict__ values, T *__restrict__ planes, double *rings,
                        const T *__restrict__ weights_b, const T *__restrict__ weights_c,
                        const int *__restrict__ firsts, const int *__restrict__ spans, int n_windows, int n_planes,
                        int n_y, int n_x, T centre, int ring_rows, int shared_rows) {
  using Memory = BlockMemory<T, D, KINDS, POWERS>;
  constexpr int V = Memory::V, ENDS = Memory::ENDS, ROW = Memory::ROW;
  extern __shared__ __align__(16) double shared_memory[];
  const int thread = threadIdx.x, threads = blockDim.x, n_c = n_x * D;
  const Memory memory(shared_memory, n_x, n_windows, threads);
  double *const outside = rings + static_cast<long long>(blockIdx.x) * (ring_rows - shared_rows) * n_x;
  set_up(memory, weights_b, weights_c, firsts, spans, n_windows, n_x);

  const int column = min(thread * V, n_c - V); // threads beyond the row repeat its last columns
  const bool present = thread * V < n_c;
  T *const own = memory.columns + thread * V / ROW * Memory::BLOCK + thread * V % ROW;
  const auto stretch = [&](int plane, int s) {
    return values + (static_cast<long long>(plane) * n_y + (s < 0 ? s + n_y : s)) * D * n_c + column;
  };
  T ends[POWERS][ENDS][V];
#pragma unroll
  for (int i = 0; i < POWERS * ENDS * V; ++i) ends[i / V / ENDS][i / V % ENDS][i % V] = T(0);
  int plane = blockIdx.x;
  int s = -1; // the stretch before the first is read for the ends that begin there
  if (plane < n_planes) {
    const T *row = stretch(plane, s);
#pragma unroll
    for (int r = 0; r < D; r += AT_ONCE, row += AT_ONCE * static_cast<long long>(n_c))
      fetch(memory.coming + (r * threads + thread) * V, row, n_c, true);
  }
  while (plane < n_planes) {
    const bool last = s + 1 == n_y;
    const int next_plane = last ? plane + static_cast<int>(gridDim.x) : plane;
    const int next_s = last ? -1 : s + 1;
    const bool more = next_plane < n_planes, written = present && s >= 0;
    add_stretch(memory, ends, own, stretch(more ? next_plane : plane, next_s), n_c, more, written, centre);
    if (s >= 0) {
      __syncthreads();
      if (thread < n_windows) {
        const int slot = s ? memory.slots[thread] + 1 : 0; // of the window's ring
        memory.slots[thread] = slot < memory.spans[thread * SPANS + 1] ? slot : 0;
      }

      sum_along_c(memory, n_x);
      __syncthreads(); // from here on the next stretch may be added

      sum_along_b(memory, planes, outside, n_windows, n_planes, plane, n_y, n_x, s, shared_rows);
    }
    plane = next_plane;
    s = next_s;
  }
}
