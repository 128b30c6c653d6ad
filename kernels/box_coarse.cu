// box_coarse: averages over boxes at every step-th point, from one read of the field.
//
//   out[w][p - 1][A, B, C] = scale_w sum over a, b, c of W_a[a - A step_a] W_b[..] W_c[..] (v[a, b, c] - centre)^p
//
// for several windows w and the powers p = 1 .. POWERS; periodic along each axis. A window (line_weights.Window) has
// its own weights at both ends and ones between: running sums with end stencils (q = 0: fractional ends).
//
// Every axis is cut into stretches of `step` samples. With groups of P stretches that hold the weights of an end,
//
//   F(s) = sum of stretch s,   C(i) = F(0) + .. + F(i),
//   L(i) = C(i) - H(i),   H(i) = sum of head weights times stretches i - P + 1 .. i,     what lies below the lower end
//   U(i) = C(i) - T(i),   T(i) = the same with one minus the tail weights,               what lies below the upper end
//   out[j] = U(i + r) - L(i) + laps C(all),   i = j + shift modulo n_out
//
// so the width costs nothing. box_planes finishes the two fast axes of each plane, and so does box_together.cu for
// several windows with short ends; box_columns the slow one, on 1/(step_b step_c) of the field. window_sum is one axis
// alone, for what these do not cover.
//
// values    (n_planes, n_b, n_c) T, C order; n_b = Y step_b, n_c = X step_c
// planes    (W POWERS, n_planes, Y, X) T, written: a sum over both axes for each plane, without scale
// out       (fields, Z, Y X) T, written; fields = W POWERS, or fewer
// weights   along b: (step_b, W, 2, P) T, rows padded to 16 bytes; along c: (W, P step_c, 2) T; along a:
//           (W, step_a, 2, P) T. Heads, and one minus tails, of stretch k of a group.
// spans     int: along b and c (W, 7): lag = shift + r, r, laps, first row of the ring; shift, r, laps;
//           along a (W, 3): shift, r, laps
// rings     (blocks, ring_rows, X) double, scratch, where the rings do not fit shared memory
// launch    box_planes   <<<blocks <= n_planes, THREADS multiple of 32, shared>>>, THREADS COLUMNS >= n_c
//           box_columns  <<<(ceil(Y X / columns), fields), (columns, segments), shared>>>, at most 512 threads
//           window_sum   <<<(ceil(outer chunks inner / 128)), 128>>>, chunks = ceil(n_out / CHUNK)
//           Y, X, Z >= P, Z also after box_together.cu
// order     fixed, no atomics. Stretches add up in T, along c in order, across stretches in double
// oracle    device/cpu/windows.py box_sums, window_sum; test tests/kernels/test_box_coarse.py
// ladder    v1 a thread an output, tap by tap; v2 box_planes: classes in registers, window along c on chip. On an H200
//           0.91 of one read's rate for one window, 4.6 ms for two with squares, whose sums left 16 KB on their way;
//           v3 box_together.cu, where several windows share a read
//
// instances
//   box_planes<float, 4, 1, 1, 1>
//   box_planes<float, 4, 1, 4, 1>
//   box_planes<float, 4, 1, 1, 2>
//   box_planes<float, 4, 3, 1, 1>
//   box_planes<float, 4, 3, 1, 2>
//   box_planes<float, 8, 1, 1, 1>
//   box_planes<float, 8, 1, 4, 1>
//   box_planes<float, 8, 1, 1, 2>
//   box_planes<float, 8, 1, 2, 2>
//   box_planes<float, 8, 2, 1, 1>
//   box_planes<float, 8, 2, 4, 1>
//   box_planes<float, 8, 2, 1, 2>
//   box_planes<float, 8, 2, 2, 2>
//   box_planes<float, 16, 1, 1, 1>
//   box_planes<float, 16, 2, 1, 1>
//   box_planes<float, 16, 2, 4, 1>
//   box_planes<float, 16, 2, 1, 2>
//   box_planes<float, 0, 1, 1, 1>
//   box_planes<float, 0, 3, 1, 1>
//   box_planes<float, 0, 3, 1, 2>
//   box_planes<double, 4, 3, 1, 1>
//   box_planes<double, 8, 1, 1, 1>
//   box_planes<double, 8, 2, 1, 1>
//   box_planes<double, 8, 2, 1, 2>
//   box_planes<double, 16, 2, 1, 1>
//   box_planes<double, 0, 1, 1, 1>
//   box_planes<double, 0, 3, 1, 1>
//   box_planes<double, 0, 3, 1, 2>
//   box_columns<float, 4, 1>
//   box_columns<float, 4, 3>
//   box_columns<float, 8, 1>
//   box_columns<float, 8, 2>
//   box_columns<float, 16, 1>
//   box_columns<float, 16, 2>
//   box_columns<float, 0, 1>
//   box_columns<float, 0, 2>
//   box_columns<float, 0, 3>
//   box_columns<double, 4, 1>
//   box_columns<double, 4, 3>
//   box_columns<double, 8, 1>
//   box_columns<double, 8, 2>
//   box_columns<double, 16, 1>
//   box_columns<double, 16, 2>
//   box_columns<double, 0, 1>
//   box_columns<double, 0, 2>
//   box_columns<double, 0, 3>
//   window_sum<float>
//   window_sum<double>
#include "neighbours.cuh"

constexpr int MOST_THREADS = 512;
constexpr int AHEAD = 8;  // rows in flight for each thread
constexpr int CHUNK = 16; // outputs of a thread of window_sum
constexpr int SPANS = 7;

// C neighbours of a row, as loads have them.
template <typename T, int C> struct Neighbours {
  using type = typename Vector<T>::type;
};
template <> struct Neighbours<float, 2> {
  using type = float2;
};

// Where the arrays of box_planes lie in shared memory: doubles, then T.
//
// Lanes have neighbouring cells: columns, and edges of the window by cell, lie apart so that lanes meet no bank twice.
template <typename T, int D, int P, int W, int POWERS> struct PlaneMemory {
  static constexpr int V = Vector<T>::size;
  static constexpr int CELLS = D == 0 ? 1 : D * POWERS <= 8 ? V : V / 2; // of a lane, at once
  static constexpr int SUMS = 3 * W * POWERS;                 // rows whose window along c is finished: F, H, T each
  static constexpr int ROWS = POWERS * (1 + 2 * W);           // rows of columns: F is shared by all windows
  static constexpr int WEIGHTS = (2 * P * W + V - 1) / V * V; // weights of a row along b, padded

  double *lower, *upper, *total, *cumulative, *ring;
  T *columns, *weights_b, *weights_c;
  int stride, edges;

  __device__ PlaneMemory(double *start, int n_c, int n_x, int ring_rows, int step_b) {
    const int whole = (n_x + CELLS - 1) / CELLS * CELLS;
    stride = D ? column(whole * D) : (n_c + V - 1) / V * V;
    edges = edge(whole);
    lower = start;
    upper = lower + SUMS * edges;
    total = upper + SUMS * edges;
    cumulative = total + SUMS;
    ring = cumulative + W * POWERS * n_x;
    const long long doubles = ring + static_cast<long long>(ring_rows) * n_x - start;
    columns = reinterpret_cast<T *>(start + (doubles + 1) / 2 * 2);
    weights_b = columns + ROWS * stride;
    weights_c = weights_b + step_b * WEIGHTS;
  }
  static __device__ int column(int c) { return D ? c + static_cast<unsigned>(c) / (CELLS * (D ? D : 1)) * V : c; }
  static __device__ int edge(int x) { return CELLS > 1 ? x + static_cast<unsigned>(x) / CELLS : x; }
};

// Inclusive sums over the lanes of a warp.
__device__ __forceinline__ double warp_prefix(double value, int lane) {
#pragma unroll
  for (int step = 1; step < WARP; step *= 2) {
    const double below = __shfl_up_sync(ALL_LANES, value, step);
    if (lane >= step) value += below;
  }
  return value;
}

template <typename T, int D, int P, int W, int POWERS> __global__ void __launch_bounds__(MOST_THREADS, 1)
    box_planes(const T *__restrict__ values, T *__restrict__ planes, double *rings, const T *__restrict__ weights_b,
               const T *__restrict__ weights_c, const int *__restrict__ spans, int n_planes, int n_y, int n_x,
               int step_b, int step_c, T centre, int ring_rows, int ring_is_shared) {
  using Memory = PlaneMemory<T, D, P, W, POWERS>;
  constexpr int V = Vector<T>::size;
  constexpr int C = W * POWERS >= 4 ? V / 2 : V; // columns of a thread: neighbours, or a block apart where D = 0
  using Columns = typename Neighbours<T, C>::type;
  // Rows in flight: fewer where much else is in registers.
  constexpr int MOST = V == 2 && POWERS == 2 ? 2 : D == 16 || POWERS == 2 ? 4 : AHEAD;
  constexpr int B = D == 0 ? 3 - POWERS : D < MOST ? D : MOST;
  constexpr int NB = Memory::CELLS;
  extern __shared__ __align__(16) double shared_memory[];
  const int thread = threadIdx.x, warp = thread / WARP, lane = thread % WARP;
  const int threads = blockDim.x, warps = threads / WARP;
  const int d_b = D ? D : step_b, d_c = D ? D : step_c;
  const int n_c = n_x * d_c;
  const Memory memory(shared_memory, n_c, n_x, ring_is_shared ? ring_rows : 0, d_b);
  double *const ring = ring_is_shared ? memory.ring : rings + static_cast<long long>(blockIdx.x) * ring_rows * n_x;
  for (int i = thread; i < d_b * Memory::WEIGHTS; i += threads) memory.weights_b[i] = weights_b[i];
  for (int i = thread; i < W * P * d_c * 2; i += threads) memory.weights_c[i] = weights_c[i];
  __syncthreads();

  const int cells = (n_x + NB * WARP - 1) / (NB * WARP);       // of all lanes, at once
  const int wanted = max(1, min(warps / Memory::SUMS, cells)); // parts of a row that have warps of their own
  const int part = (cells + wanted - 1) / wanted * NB * WARP, parts = (n_x + part - 1) / part;

  int column[C];
#pragma unroll
  for (int c = 0; c < C; ++c) column[c] = D ? min(thread * C, n_c - C) + c : min(thread + c * threads, n_c - 1);
  const auto stretch = [&](int plane, int s) {
    return values + (static_cast<long long>(plane) * n_y + (s < 0 ? s + n_y : s)) * d_b * n_c + (D ? column[0] : 0);
  };
  const auto read_row = [&](const T *row, T(&v)[C]) {
    if constexpr (D) {
      const auto vector = __ldcs(reinterpret_cast<const Columns *>(row));
      const T *each = reinterpret_cast<const T *>(&vector);
#pragma unroll
      for (int c = 0; c < C; ++c) v[c] = each[c];
    } else {
#pragma unroll
      for (int c = 0; c < C; ++c) v[c] = row[column[c]];
    }
  };

  T v[B][C];
  T full[POWERS][C],
      ends[POWERS][W][2][P][C]; // ends[..][k]: what the groups that end k stretches on have so far
  const auto add_row = [&](const T(&row)[C], int r, bool counts) {
    T weight[Memory::WEIGHTS];
    read_vectors<Memory::WEIGHTS>(memory.weights_b + r * Memory::WEIGHTS, weight);
#pragma unroll
    for (int c = 0; c < C; ++c) {
      const T deviation = counts ? row[c] - centre : T(0);
      T power = deviation;
#pragma unroll
      for (int p = 0; p < POWERS; ++p) {
        full[p][c] += power;
#pragma unroll
        for (int w = 0; w < W; ++w)
#pragma unroll
          for (int end = 0; end < 2; ++end)
#pragma unroll
            for (int k = 0; k < P; ++k) ends[p][w][end][k][c] += weight[(w * 2 + end) * P + k] * power;
        power *= deviation;
      }
    }
  };

  int plane = blockIdx.x;
  int s = 1 - P; // the first P - 1 stretches are read for the groups that begin before the first
  const T *here = stretch(plane, s);
  if constexpr (D) {
#pragma unroll
    for (int r = 0; r < B; ++r) read_row(here + static_cast<long long>(r) * n_c, v[r]);
  }
  int slot[W];
  while (plane < n_planes) {
    if (s == 1 - P) {
#pragma unroll
      for (int p = 0; p < POWERS; ++p)
#pragma unroll
        for (int c = 0; c < C; ++c)
#pragma unroll
          for (int i = 0; i < W * 2 * P; ++i) ends[p][i / (2 * P)][i / P % 2][i % P][c] = T(0);
#pragma unroll
      for (int w = 0; w < W; ++w) slot[w] = 0;
      for (int i = 0; i < W * POWERS; ++i)
        for (int x = thread; x < n_x; x += threads) memory.cumulative[i * n_x + x] = 0.0;
    }
#pragma unroll
    for (int p = 0; p < POWERS; ++p)
#pragma unroll
      for (int c = 0; c < C; ++c) full[p][c] = T(0);

    const bool last = s + 1 == n_y;
    const int next_plane = last ? plane + static_cast<int>(gridDim.x) : plane;
    const int next_s = last ? 1 - P : s + 1;
    const T *next = next_plane < n_planes ? stretch(next_plane, next_s) : here;
    if constexpr (D) {
#pragma unroll 1
      for (int first = 0; first < D; first += B) {
        const T *const following = first + B < D ? here + static_cast<long long>(first + B) * n_c : next;
#pragma unroll
        for (int r = 0; r < B; ++r) {
          add_row(v[r], first + r, true);
          read_row(following + static_cast<long long>(r) * n_c, v[r]);
        }
      }
    } else {
      for (int first = 0; first < d_b; first += B) {
#pragma unroll
        for (int r = 0; r < B; ++r) read_row(here + static_cast<long long>(min(first + r, d_b - 1)) * n_c, v[r]);
#pragma unroll
        for (int r = 0; r < B; ++r) add_row(v[r], min(first + r, d_b - 1), first + r < d_b);
      }
    }

    // The groups that end here are complete: their rows go where all threads see them; the others move on.
#pragma unroll
    for (int p = 0; p < POWERS; ++p) {
      T *const rows = memory.columns + p * (1 + 2 * W) * memory.stride;
      const auto write_row = [&](int number, const T(&row)[C]) {
        T *const at = rows + number * memory.stride;
        if constexpr (D) {
          if (thread * C < n_c) {
            Columns vector;
            T *const each = reinterpret_cast<T *>(&vector);
#pragma unroll
            for (int c = 0; c < C; ++c) each[c] = row[c];
            *reinterpret_cast<Columns *>(at + Memory::column(thread * C)) = vector;
          }
        } else {
#pragma unroll
          for (int c = 0; c < C; ++c)
            if (thread + c * threads < n_c) at[thread + c * threads] = row[c];
        }
      };
      if (s >= 0) write_row(0, full[p]);
#pragma unroll
      for (int w = 0; w < W; ++w)
#pragma unroll
        for (int end = 0; end < 2; ++end) {
          if (s >= 0) write_row(1 + 2 * w + end, ends[p][w][end][P - 1]);
#pragma unroll
          for (int k = P - 1; k > 0; --k)
#pragma unroll
            for (int c = 0; c < C; ++c) ends[p][w][end][k][c] = ends[p][w][end][k - 1][c];
#pragma unroll
          for (int c = 0; c < C; ++c) ends[p][w][end][0][c] = T(0);
        }
    }
    if (s >= 0) {
      __syncthreads();

      // Along c: what lies below each end of the window, for every group of cells. A warp has a part of a row, a lane
      // NB neighbouring cells at once.
      for (int task = warp; task < Memory::SUMS * parts; task += warps) {
        const int sum = task % Memory::SUMS, begin = task / Memory::SUMS * part, end = min(begin + part, n_x);
        const int role = sum % 3, p = sum / 3 % POWERS, w = sum / (3 * POWERS);
        const T *const row = memory.columns + (p * (1 + 2 * W) + (role ? 2 * w + role : 0)) * memory.stride;
        const T *const weights = memory.weights_c + w * P * d_c * 2;
        double carry = 0.0; // what all cells of the row hold that come before
#pragma unroll 1
        for (int x = lane; x < begin; x += WARP) {
          T whole = T(0);
          if constexpr (D) {
            T at[D];
            read_vectors<D>(row + Memory::column(x * D), at);
#pragma unroll
            for (int i = 0; i < D; ++i) whole += at[i];
          } else {
            for (int i = 0; i < d_c; ++i) whole += row[x * d_c + i];
          }
          carry += whole;
        }
        if (begin > 0) carry = warp_sum(carry);
        for (int base = begin; base < end; base += NB * WARP) {
          T whole[NB], head[NB], tail[NB];
#pragma unroll
          for (int b = 0; b < NB; ++b) whole[b] = head[b] = tail[b] = T(0);
          const T *cell[NB + P - 1];
          const int first = min(base + lane * NB, (n_x - 1) / NB * NB); // lanes beyond the row repeat its last cells
          const bool present = base + lane * NB < n_x;
#pragma unroll
          for (int c = 0; c < P - 1; ++c) {
            const int x = first - (P - 1) + c;
            cell[c] = row + Memory::column((x < 0 ? x + n_x : x) * d_c);
          }
#pragma unroll
          for (int b = 0; b < NB; ++b) cell[P - 1 + b] = row + Memory::column(first * d_c) + b * d_c;
          if constexpr (D) {
#pragma unroll(D == 16 ? 2 : D)
            for (int i = 0; i < D; i += V) {
              T at[NB + P - 1][V];
#pragma unroll
              for (int c = 0; c < NB + P - 1; ++c) read_vectors<V>(cell[c] + i, at[c]);
#pragma unroll
              for (int k = 0; k < P; ++k) {
                T weight[2 * V];
                read_vectors<2 * V>(weights + (k * D + i) * 2, weight);
#pragma unroll
                for (int b = 0; b < NB; ++b)
#pragma unroll
                  for (int j = 0; j < V; ++j) {
                    if (k == P - 1) whole[b] += at[b + k][j];
                    head[b] += weight[2 * j] * at[b + k][j];
                    tail[b] += weight[2 * j + 1] * at[b + k][j];
                  }
              }
            }
          } else {
#pragma unroll
            for (int k = 0; k < P; ++k)
              for (int i = 0; i < d_c; ++i) {
                const T at = cell[k][i];
                if (k == P - 1) whole[0] += at;
                head[0] += weights[(k * d_c + i) * 2] * at;
                tail[0] += weights[(k * d_c + i) * 2 + 1] * at;
              }
          }
          double below[NB];
#pragma unroll
          for (int b = 0; b < NB; ++b)
            below[b] = (b ? below[b - 1] : 0.0) + (present && first + b < n_x ? whole[b] : T(0));
          const double up_to_lane = warp_prefix(below[NB - 1], lane), before = carry + (up_to_lane - below[NB - 1]);
          carry += __shfl_sync(ALL_LANES, up_to_lane, WARP - 1);
          if (present) {
            const int at = sum * memory.edges + Memory::edge(first);
#pragma unroll
            for (int b = 0; b < NB; ++b) {
              memory.lower[at + b] = before + below[b] - head[b];
              memory.upper[at + b] = before + below[b] - tail[b];
            }
          }
        }
        if (lane == 0 && end == n_x) memory.total[sum] = carry;
      }
      __syncthreads();

      // Along b: a thread has the same outputs at every stretch. What lies below the lower end waits in a ring for the
      // upper end; outputs whose lower end comes at the end of the plane are finished there.
#pragma unroll
      for (int w = 0; w < W; ++w) {
        const int *const span = spans + w * SPANS;
        const int lag = span[0], reach = span[1], laps = span[2], ring_first = span[3];
        const int shift = span[4], reach_c = span[5], laps_c = span[6];
        const int j = s - lag < 0 ? s - lag + n_y : s - lag;
#pragma unroll
        for (int p = 0; p < POWERS; ++p) {
          const int number = w * POWERS + p;
          T *const out = planes + (static_cast<long long>(number) * n_planes + plane) * n_y * n_x;
          double *const waiting = ring + (ring_first + p * reach) * static_cast<long long>(n_x);
          for (int x = thread; x < n_x; x += threads) {
            int low = x + shift;
            if (low >= n_x) low -= n_x;
            int high = low + reach_c, wraps = laps_c;
            if (high >= n_x) high -= n_x, ++wraps;
            double sums[3];
#pragma unroll
            for (int role = 0; role < 3; ++role) {
              const int sum = number * 3 + role;
              sums[role] = memory.upper[sum * memory.edges + Memory::edge(high)] -
                           memory.lower[sum * memory.edges + Memory::edge(low)] + wraps * memory.total[sum];
            }
            const double below = memory.cumulative[number * n_x + x] + sums[0];
            memory.cumulative[number * n_x + x] = below;
            const double lower = below - sums[1], upper = below - sums[2];
            double finished = upper;
            if (reach == 0) {
              finished -= lower;
            } else {
              double *const at = waiting + static_cast<long long>(slot[w]) * n_x + x;
              if (s >= reach) finished -= *at;
              *at = lower;
            }
            out[static_cast<long long>(j) * n_x + x] = T(finished);
            if (last) {
              int from = slot[w];
#pragma unroll 1
              for (int begun = 0; begun < reach; ++begun) {
                from = from + 1 == reach ? 0 : from + 1;
                const int at = begun - lag < 0 ? begun - lag + n_y : begun - lag;
                T &value = out[static_cast<long long>(at) * n_x + x];
                value = T(value + (below - waiting[static_cast<long long>(from) * n_x + x]));
              }
#pragma unroll 1
              for (int at = 0; laps > 0 && at < n_y; ++at) {
                T &value = out[static_cast<long long>(at) * n_x + x];
                value = T(value + laps * below);
              }
            }
          }
        }
        slot[w] = slot[w] + 1 >= reach ? 0 : slot[w] + 1;
      }
    }
    plane = next_plane;
    s = next_s;
    here = next;
  }
}

// The slow axis: (n_z step, columns) of one field to (n_z, columns). Each thread row has a segment of the stretches.
template <typename T, int D, int P> __global__ void __launch_bounds__(MOST_THREADS, 1)
    box_columns(const T *__restrict__ planes, T *__restrict__ out, const T *__restrict__ weights,
                const int *__restrict__ spans, const double *__restrict__ scales, int n_z, int any_step,
                long long n_columns, int powers) {
  extern __shared__ __align__(16) double shared_memory[];
  const int lane = threadIdx.x, lanes = blockDim.x, segment = threadIdx.y, segments = blockDim.y;
  const int field = blockIdx.y, w = field / powers, step = D ? D : any_step;
  double *const lower = shared_memory + lane, *const upper = lower + n_z * lanes;
  double *const totals = upper + n_z * lanes;
  T *const weight = reinterpret_cast<T *>(shared_memory + (2 * n_z + segments) * lanes);
  for (int i = segment * lanes + lane; i < 2 * P * step; i += lanes * segments)
    weight[i] = weights[w * 2 * P * step + i];
  __syncthreads();
  const long long column = static_cast<long long>(blockIdx.x) * lanes + lane;
  const bool present = column < n_columns;
  const T *const from = planes + static_cast<long long>(field) * n_z * step * n_columns + (present ? column : 0);
  const int first = n_z * segment / segments, end = n_z * (segment + 1) / segments;

  constexpr int B = D ? D : 4, AT_ONCE = D == 4 ? 2 : 1; // rows in flight, of that many stretches
  T ends[2][P], v[AT_ONCE][B];
#pragma unroll
  for (int k = 0; k < P; ++k) ends[0][k] = ends[1][k] = T(0);
  const auto stretch = [&](int s) { return from + static_cast<long long>(s < 0 ? s + n_z : s) * step * n_columns; };
  const auto read_rows = [&](T(&rows)[B], const T *row, int count) {
#pragma unroll
    for (int i = 0; i < B; ++i) rows[i] = D || i < count ? row[i * n_columns] : T(0);
  };
  double below = 0.0;
  int s = first < end ? first - (P - 1) : end;
  if (D && s < end) {
#pragma unroll
    for (int i = 0; i < AT_ONCE; ++i) read_rows(v[i], stretch(min(s + i, end - 1)), B);
  }
  while (s < end) {
#pragma unroll
    for (int number = 0; number < AT_ONCE; ++number) {
      if (s >= end) break;
      T whole = T(0);
      const T *const here = stretch(s), *const next = stretch(min(s + AT_ONCE, end - 1));
      for (int r = 0; r < step; r += B) {
        if (!D) read_rows(v[number], here + r * n_columns, step - r);
#pragma unroll
        for (int i = 0; i < B; ++i) {
          const T *const of_row = weight + (D ? i : min(r + i, step - 1)) * 2 * P;
          const T value = v[number][i];
          if (D) v[number][i] = next[i * n_columns];
          whole += value;
#pragma unroll
          for (int k = 0; k < P; ++k) {
            ends[0][k] += of_row[k] * value;
            ends[1][k] += of_row[P + k] * value;
          }
        }
      }
      if (s >= first) {
        below += whole;
        lower[s * lanes] = below - ends[0][P - 1];
        upper[s * lanes] = below - ends[1][P - 1];
      }
#pragma unroll
      for (int k = P - 1; k > 0; --k) ends[0][k] = ends[0][k - 1], ends[1][k] = ends[1][k - 1];
      ends[0][0] = ends[1][0] = T(0);
      ++s;
    }
  }
  totals[segment * lanes] = below;
  __syncthreads();
  double before = 0.0, total = 0.0;
  for (int other = 0; other < segments; ++other) {
    if (other == segment) before = total;
    total += totals[other * lanes];
  }
  for (int s = first; s < end; ++s) lower[s * lanes] += before, upper[s * lanes] += before;
  __syncthreads();
  if (!present) return;
  const int shift = spans[3 * w], reach = spans[3 * w + 1], laps = spans[3 * w + 2];
  const double scale = scales[w];
  for (int j = segment; j < n_z; j += segments) {
    const int low = j + shift >= n_z ? j + shift - n_z : j + shift;
    const bool wraps = low + reach >= n_z;
    const int high = wraps ? low + reach - n_z : low + reach;
    const double sum = upper[high * lanes] - lower[low * lanes] + (laps + wraps) * total;
    out[(static_cast<long long>(field) * n_z + j) * n_columns + column] = T(sum * scale);
  }
}

// One axis of (outer, n, inner), any window and step: a thread has CHUNK neighbouring outputs and moves the sum along.
template <typename T> __global__ void __launch_bounds__(128)
    window_sum(const T *__restrict__ values, T *__restrict__ out, const double *__restrict__ ends, long long outer,
               long long n, long long inner, long long n_out, long long step, long long start, int n_head,
               long long inside, int n_tail, double scale) {
  const long long chunks = (n_out + CHUNK - 1) / CHUNK;
  const long long number = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (number >= outer * chunks * inner) return;
  const long long i = number % inner, chunk = number / inner % chunks, o = number / inner / chunks;
  const T *const line = values + o * n * inner + i;
  const long long begin = chunk * CHUNK, end = begin + CHUNK < n_out ? begin + CHUNK : n_out;
  const auto add_up = [&](long long from, long long count, const double *weights) {
    double sum = 0.0;
    from %= n;
    if (from < 0) from += n;
    for (long long k = 0; k < count; ++k) {
      const double value = line[from * inner];
      sum += weights == nullptr ? value : weights[k] * value;
      if (++from == n) from = 0;
    }
    return sum;
  };
  double middle = 0.0;
  for (long long j = begin; j < end; ++j) {
    const long long first = start + j * step + n_head;
    if (j == begin || inside <= 2 * step)
      middle = add_up(first, inside, nullptr);
    else
      middle += add_up(first + inside - step, step, nullptr) - add_up(first - step, step, nullptr);
    const double sum = middle + add_up(first - n_head, n_head, ends) + add_up(first + inside, n_tail, ends + n_head);
    out[(o * n_out + j) * inner + i] = T(sum * scale);
  }
}
