// box_steps: window sums along all three periodic axes, chunk of planes by chunk of planes.
//
//   out[k, j, i] = scale * sum over a window of the three axes of v; each axis: E weights, ones, E weights   eq. 18
//
//   one axis: out[p] = sum over s < E of head[s] v[p + at_head + s] + tail[s] v[p + at_tail + s]
//                    + the sum of `rest` values from p + at_ones on + laps * the sum of all n values
//
// Positions are modulo n. The ones reach to the end of the tail, whose weights are less one for that: what enters the
// ones and what leaves them for the head are then the newest values of either end.
//
// A launch does two things that do not wait for each other, so that reading, adding and writing overlap: some blocks
// take the rows of one chunk, the others the columns of the chunk before it.
//
//   rows      a block owns a row and walks through the planes of the chunk: the plane that comes in and the one that
//             goes out are read, the difference is added to the sum along axis 0, and the row of sums is summed along
//             axis 2 in shared memory -> middle
//   columns   a thread owns COLUMNS neighbours of a plane of middle and walks along a segment of axis 1 -> out
//
// A chunk of middle that stays in the second-level cache leaves two reads and one write of the field.
//
// values, out    (n0, n1, n2) T, C order
// to_middle      (chunk, n1, pitch) T: rows of planes begin .. begin + planes - 1; pitch a multiple of 16 bytes, >= n2
// from_middle    (chunk, n1, pitch) T: what the columns of planes done .. done + ready - 1 are summed from
// state          (n1, 2, blockDim, WORD) T: sums along axis 0 and their errors, between launches; begin = 0 writes only
// along          one Line<T, E> for each axis
// launch         box_steps<T, E, MOST, BATCH, COLUMNS, ALIGNED> <<<rows + columns, threads>>>, threads <= MOST, a
//                multiple of BATCH warps, threads * WORD >= n2; dynamic shared memory: 2 BATCH (n2 + HALO<T, E>) T
//                rows      blocks that take rows: n1, or 0 where planes = 0
//                columns   blocks that take columns: ready segments ceil(n2 / COLUMNS) threads
//                planes    a multiple of BATCH but in the last chunk; head, tail: where their first output's ends begin
//                n2 a multiple of WORD if ALIGNED
// order          fixed. A sum along axis 0 or 1 takes one difference a step and carries what that addition rounds off;
//                along axis 2 a sum of one window for each warp's outputs, then differences, which do not drift
// range          |v| times the three widths must be below the largest T; what is not finite spreads along lines
// oracle         device/cpu/running.py box_filter; test tests/kernels/test_box_steps.py
// ladder         v1 three passes, seven times through the memory; v2 this
//
// instances
//   box_steps<float, 1, 256, 2, 2, true>
//   box_steps<float, 1, 256, 2, 1, false>
//   box_steps<float, 1, 512, 2, 2, true>
//   box_steps<float, 1, 512, 2, 1, false>
//   box_steps<float, 9, 256, 2, 2, true>
//   box_steps<float, 9, 256, 2, 1, false>
//   box_steps<float, 9, 512, 1, 2, true>
//   box_steps<float, 9, 512, 1, 1, false>
//   box_steps<double, 1, 256, 2, 1, true>
//   box_steps<double, 1, 256, 2, 1, false>
//   box_steps<double, 1, 512, 2, 1, true>
//   box_steps<double, 1, 512, 2, 1, false>
//   box_steps<double, 9, 256, 1, 1, true>
//   box_steps<double, 9, 256, 1, 1, false>
//   box_steps<double, 9, 512, 1, 1, true>
//   box_steps<double, 9, 512, 1, 1, false>
#include "walk.cuh"

constexpr int EVERY = 4; // one block of so many takes columns, until there are no more, or no more rows
constexpr int GROUP = 8; // rows of a walk along axis 1 whose values are in flight at once

// Room past the end of a row: its beginning again, so that what a thread reads does not wrap, to the end of a load.
template <typename T, int E> constexpr int HALO =
    (2 * Vector<T>::size + E - 2 + Vector<T>::size - 1) / Vector<T>::size * Vector<T>::size;

// LENGTH values of a row from x on; x = SHIFT modulo a load, or anything if SHIFT < 0.
template <int SHIFT, int LENGTH, typename T> __device__ __forceinline__ void read(const T *row, int x, T (&v)[LENGTH]) {
  constexpr int WORD = Vector<T>::size;
  if (SHIFT < 0) {
#pragma unroll
    for (int i = 0; i < LENGTH; ++i) v[i] = row[x + i];
  } else {
    constexpr int FIRST = SHIFT < 0 ? 0 : SHIFT, LOADS = (FIRST + LENGTH + WORD - 1) / WORD;
    T whole[LOADS * WORD];
#pragma unroll
    for (int l = 0; l < LOADS; ++l) {
      const Pack<T, WORD> one = *reinterpret_cast<const Pack<T, WORD> *>(row + x - FIRST + l * WORD);
#pragma unroll
      for (int i = 0; i < WORD; ++i) whole[l * WORD + i] = one.of[i];
    }
#pragma unroll
    for (int i = 0; i < LENGTH; ++i) v[i] = whole[FIRST + i];
  }
}

// Both ends of a thread's outputs: the sums of weights times values, and the newest value of the tail less the head's.
template <int HEAD, int TAIL, typename T, int E>
__device__ __forceinline__ void add_ends(const T *row, int head, int tail, const Line<T, E> &along,
                                         T (&sums)[Vector<T>::size], T (&changes)[Vector<T>::size]) {
  constexpr int WORD = Vector<T>::size, LENGTH = WORD + E - 1;
  T leaves[LENGTH], enters[LENGTH];
  read<HEAD>(row, head, leaves);
#pragma unroll
  for (int i = 0; i < WORD; ++i) {
    sums[i] = along.head[0] * leaves[i];
#pragma unroll
    for (int s = 1; s < E; ++s) sums[i] += along.head[s] * leaves[i + s];
  }
  read<TAIL>(row, tail, enters);
#pragma unroll
  for (int i = 0; i < WORD; ++i) {
#pragma unroll
    for (int s = 0; s < E; ++s) sums[i] += along.tail[s] * enters[i + s];
    changes[i] = enters[i + E - 1] - leaves[i + E - 1];
  }
}

// The same where all of a block know where in a load both begin: `shifts`, SHIFTS or more.
template <int SHIFTS, typename T, int E>
__device__ __forceinline__ void add_ends(const T *row, int head, int tail, int shifts, const Line<T, E> &along,
                                         T (&sums)[Vector<T>::size], T (&changes)[Vector<T>::size]) {
  constexpr int WORD = Vector<T>::size, LAST = WORD * WORD - 1;
  if (SHIFTS == LAST || shifts == SHIFTS)
    add_ends<SHIFTS / WORD, SHIFTS % WORD>(row, head, tail, along, sums, changes);
  else
    add_ends<SHIFTS == LAST ? LAST : SHIFTS + 1>(row, head, tail, shifts, along, sums, changes);
}

// Sum of count values from x on that do not wrap, over the lanes of a warp.
template <typename T> __device__ __forceinline__ T sum_between(const T *row, int x, int count, int lane) {
  return sum_apart<4>(row + x + lane, WARP, count, lane);
}

// What a warp sums of each row: PARTS words of each lane, WARP words apart.
template <typename T, int PARTS> struct Share {
  int begin, head[PARTS], tail[PARTS]; // of a lane's outputs, and where their ends begin
  int ones, before_end, from_begin; // of the output before the warp's first: where, how many to the row's end, others
  int laps, shifts;                 // shifts: where in a load heads and tails begin

  template <bool ALIGNED, int E> __device__ __forceinline__ void find(int first, int n, const Line<T, E> &along) {
    constexpr int WORD = Vector<T>::size;
    begin = first + static_cast<int>(threadIdx.x % WARP) * WORD;
#pragma unroll
    for (int part = 0; part < PARTS; ++part) {
      const int from = min(begin + part * WARP * WORD, n - (ALIGNED ? WORD : 1)); // what is there may be read
      head[part] = wrapped(from + along.at_head, n);
      tail[part] = wrapped(from + along.at_tail, n);
    }
    ones = wrapped(wrapped(first + along.at_ones, n) + n - 1, n);
    before_end = min(along.rest, n - ones);
    from_begin = along.rest - before_end;
    laps = along.laps;
    shifts = along.at_head % WORD * WORD + along.at_tail % WORD;
  }
};

// A warp's share of a row's window sums -> to.
template <int PARTS, bool ALIGNED, typename T, int E> __device__ __forceinline__ void
sum_row(const T *row, T *to, const Share<T, PARTS> &share, int n, const Line<T, E> &along) {
  constexpr int WORD = Vector<T>::size;
  const int lane = threadIdx.x % WARP;
  T base = sum_between(row, share.ones, share.before_end, lane);
  if (share.from_begin > 0) base += sum_between(row, 0, share.from_begin, lane);
  if (share.laps > 0) base += share.laps * sum_between(row, 0, n, lane);
  base = warp_sum(base);
  T change = T(0); // of the ones since then
#pragma unroll
  for (int part = 0; part < PARTS; ++part) {
    T sums[WORD], changes[WORD];
    if (ALIGNED)
      add_ends<0>(row, share.head[part], share.tail[part], share.shifts, along, sums, changes);
    else
      add_ends<-1, -1>(row, share.head[part], share.tail[part], along, sums, changes);
#pragma unroll
    for (int i = 1; i < WORD; ++i) changes[i] += changes[i - 1];
    T through = changes[WORD - 1];
#pragma unroll
    for (int step = 1; step < WARP; step *= 2) add_from_below(through, step);
    T before = through - changes[WORD - 1];
    if (part > 0) before += change;
    if (part + 1 < PARTS) {
      const T whole = __shfl_sync(ALL_LANES, through, WARP - 1);
      change = part == 0 ? whole : change + whole;
    }
    Pack<T, WORD> out;
#pragma unroll
    for (int i = 0; i < WORD; ++i) out.of[i] = base + (sums[i] + (before + changes[i]));
    const int p = share.begin + part * WARP * WORD;
    if (ALIGNED) {
      if (p < n) *reinterpret_cast<Pack<T, WORD> *>(to + part * WARP * WORD) = out;
    } else {
#pragma unroll
      for (int i = 0; i < WORD; ++i)
        if (p + i < n) to[part * WARP * WORD + i] = out.of[i];
    }
  }
}

// One row of a chunk.
template <typename T, int E, int BATCH, bool ALIGNED>
__device__ __forceinline__ void walk_row(const T *__restrict__ values, T *middle, T *state, const Line<T, E> &along,
                                         const Line<T, E> &in_row, int n0, int n1, int n2, int pitch, int begin,
                                         int planes, int head, int tail, int row) {
  constexpr int WORD = Vector<T>::size;
  using Word = typename Vector<T>::type;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  T *const lines = reinterpret_cast<T *>(shared_bytes);
  const int line = (n2 + HALO<T, E> + WORD - 1) / WORD * WORD, thread = threadIdx.x;
  const long long plane_size = static_cast<long long>(n1) * n2;
  const int column = ALIGNED ? thread * WORD : thread, apart = ALIGNED ? 1 : blockDim.x;
  const int place = ALIGNED ? min(column, n2 - WORD) : column; // so that all threads may load
  const T *const here = values + static_cast<long long>(row) * n2 + place;
  const auto load = [&](const T *at, T(&v)[WORD]) {
    if (ALIGNED) {
      const Word word = __ldcs(reinterpret_cast<const Word *>(at));
      const T *each = reinterpret_cast<const T *>(&word);
#pragma unroll
      for (int i = 0; i < WORD; ++i) v[i] = each[i];
    } else {
#pragma unroll
      for (int i = 0; i < WORD; ++i) v[i] = column + i * apart < n2 ? __ldcs(at + i * apart) : T(0);
    }
  };
  // planes to read next, and where
  const T *from_head = here + head * plane_size, *from_tail = here + tail * plane_size;
  const auto load_ends = [&](T(&leaves)[WORD], T(&enters)[WORD]) {
    load(from_head, leaves);
    load(from_tail, enters);
    from_head += plane_size;
    from_tail += plane_size;
    if (++head == n0) {
      head = 0;
      from_head = here;
    }
    if (++tail == n0) {
      tail = 0;
      from_tail = here;
    }
  };

  Walk<T, E> walk[WORD];
  Pack<T, WORD> *const saved = reinterpret_cast<Pack<T, WORD> *>(state) + 2 * row * blockDim.x + thread;
  if (begin > 0) {
    const Pack<T, WORD> sums = saved[0], errors = saved[blockDim.x];
#pragma unroll
    for (int i = 0; i < WORD; ++i) {
      walk[i].ones.sum = sums.of[i];
      walk[i].ones.error = errors.of[i];
    }
  } else {
    // the ones of output -1: the whole line where the window holds it, and `rest` values
    const int start = along.at_ones == 0 ? n0 - 1 : along.at_ones - 1;
#pragma unroll 1
    for (int part = 0; part < 2; ++part) {
      const int count = part == 1 ? along.rest : along.laps > 0 ? n0 : 0;
#pragma unroll 2
      for (int p = 0; p < count; ++p) {
        T v[WORD];
        load(here + (start + p < n0 ? start + p : start + p - n0) * plane_size, v);
#pragma unroll
        for (int i = 0; i < WORD; ++i) walk[i].ones.add(v[i]);
      }
      if (part == 0) {
#pragma unroll
        for (int i = 0; i < WORD; ++i) walk[i].ones.repeat(along.laps);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < WORD; ++i) walk[i].start();
  if (E > 1) {
#pragma unroll 1
    for (int s = 0; s < E - 1; ++s) {
      T leaves[WORD], enters[WORD];
      load_ends(leaves, enters);
#pragma unroll
      for (int i = 0; i < WORD; ++i) walk[i].prepare(leaves[i], enters[i], along);
    }
  }

  T leaves[BATCH][WORD], enters[BATCH][WORD]; // of the next steps
  const auto load_steps = [&]() {
#pragma unroll
    for (int b = 0; b < BATCH; ++b) load_ends(leaves[b], enters[b]);
  };
  load_steps();
  const int teams = blockDim.x / (WARP * BATCH), warp = thread / WARP; // a team a plane
  int plane = 0;
#pragma unroll
  for (int b = 1; b < BATCH; ++b) plane += warp >= b * teams ? 1 : 0;
  Share<T, BATCH> share;
  share.template find<ALIGNED>((warp - plane * teams) * (BATCH * WARP * WORD), n2, in_row);
  const long long step = static_cast<long long>(n1) * pitch;
  T *to = middle + plane * step + static_cast<long long>(row) * pitch + share.begin;
  int buffer = 0;
#pragma unroll 1
  for (int begun = 0; begun < planes; begun += BATCH) {
    const int steps = min(planes - begun, BATCH); // the others wrap, and are not stored
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      T *const at = lines + (buffer + b) * line + column;
      Pack<T, WORD> sums;
#pragma unroll
      for (int i = 0; i < WORD; ++i) {
        sums.of[i] = walk[i].next(leaves[b][i], enters[b][i], along);
        if (!ALIGNED && column + i * apart < n2) at[i * apart] = sums.of[i];
      }
      if (ALIGNED && column < n2) *reinterpret_cast<Pack<T, WORD> *>(at) = sums;
      if (column < HALO<T, E>) {
#pragma unroll
        for (int i = 0; i < WORD; ++i)
          if (column + i * apart < n2)
            for (int x = column + i * apart + n2; x < n2 + HALO<T, E>; x += n2)
              lines[(buffer + b) * line + x] = sums.of[i];
      }
    }
    __syncthreads(); // the other buffer has been read by all, too
    if (begun + BATCH < planes) load_steps();
    if (plane < steps) sum_row<BATCH, ALIGNED>(lines + (buffer + plane) * line, to, share, n2, in_row);
    to += BATCH * step;
    buffer ^= BATCH;
  }
  Pack<T, WORD> sums, errors;
#pragma unroll
  for (int i = 0; i < WORD; ++i) {
    sums.of[i] = walk[i].ones.sum;
    errors.of[i] = walk[i].ones.error;
  }
  saved[0] = sums;
  saved[blockDim.x] = errors;
}

// COLUMNS neighbours of a plane, rows first .. last - 1 of them.
template <int COLUMNS, bool ALIGNED, typename T, int E>
__device__ __forceinline__ void walk_columns(const T *from, T *to, const Line<T, E> &along, T scale, int n1, int n2,
                                             int pitch, int column, int first, int last) {
  using Columns = Pack<T, COLUMNS>;
  from += column;
  to += column + static_cast<long long>(first) * n2;
  const auto load = [=](int row) {
    return *reinterpret_cast<const Columns *>(from + static_cast<long long>(row) * pitch);
  };
  Walk<T, E> walk[COLUMNS];
  const auto add_rows = [&](int row, int count) {
#pragma unroll GROUP
    for (int i = 0; i < count; ++i) {
      const Columns v = load(row + i);
#pragma unroll
      for (int c = 0; c < COLUMNS; ++c) walk[c].ones.add(v.of[c]);
    }
  };
  if (along.laps > 0) {
    add_rows(0, n1);
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) walk[c].ones.repeat(along.laps);
  }
  int ones = first + along.at_ones - 1; // of output first - 1
  ones += ones < 0 ? n1 : ones >= n1 ? -n1 : 0;
  const int before_end = min(along.rest, n1 - ones);
  add_rows(ones, before_end);
  add_rows(0, along.rest - before_end);

  int head = first + along.at_head, tail = first + along.at_tail;
  head -= head < n1 ? 0 : n1;
  tail -= tail < n1 ? 0 : n1;
#pragma unroll
  for (int c = 0; c < COLUMNS; ++c) walk[c].start();
#pragma unroll 1
  for (int s = 0; s < E - 1; ++s) {
    const Columns leaves = load(head), enters = load(tail);
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) walk[c].prepare(leaves.of[c], enters.of[c], along);
    head = head + 1 == n1 ? 0 : head + 1;
    tail = tail + 1 == n1 ? 0 : tail + 1;
  }

  const auto store = [&](const Columns &leaves, const Columns &enters) {
    Columns out;
#pragma unroll
    for (int c = 0; c < COLUMNS; ++c) out.of[c] = scale * walk[c].next(leaves.of[c], enters.of[c], along);
    if (COLUMNS == 4)
      __stcs(reinterpret_cast<float4 *>(to), *reinterpret_cast<const float4 *>(&out));
    else if (COLUMNS == 2)
      __stcs(reinterpret_cast<float2 *>(to), *reinterpret_cast<const float2 *>(&out));
    else
      __stcs(to, out.of[0]);
    to += n2;
  };
#pragma unroll 1
  for (int p = first; p < last;) {
    const int count = min(last - p, n1 - max(head, tail)); // up to where one of them wraps
    int i = 0;
#pragma unroll 1
    for (; i + GROUP <= count; i += GROUP) {
      Columns leaves[GROUP], enters[GROUP];
#pragma unroll
      for (int g = 0; g < GROUP; ++g) {
        leaves[g] = load(head + i + g);
        enters[g] = load(tail + i + g);
      }
#pragma unroll
      for (int g = 0; g < GROUP; ++g) store(leaves[g], enters[g]);
    }
#pragma unroll 1
    for (; i < count; ++i) store(load(head + i), load(tail + i));
    p += count;
    head = head + count == n1 ? 0 : head + count;
    tail = tail + count == n1 ? 0 : tail + count;
  }
}

// Blocks that a multiprocessor's registers are to hold.
constexpr int blocks_each(int e, int most, bool aligned) { return (e == 1 && aligned ? 768 : 512) / most; }

// BATCH: planes of a row in flight, and between barriers. ALIGNED: rows start at whole loads.
template <typename T, int E, int MOST, int BATCH, int COLUMNS, bool ALIGNED>
__global__ void __launch_bounds__(MOST, blocks_each(E, MOST, ALIGNED))
    box_steps(const T *__restrict__ values, T *out, T *to_middle, const T *from_middle, T *state,
              const Line<T, E> along_0, const Line<T, E> along_1, const Line<T, E> along_2, T scale, int n0, int n1,
              int n2, int pitch, int begin, int planes, int head, int tail, int done, int ready, int segment, int rows,
              int columns) {
  const int block = blockIdx.x, before = min(block / EVERY, columns);
  int column_block = block - rows;
  if (block - before < rows) {
    if (before == columns || block % EVERY != EVERY - 1) {
      walk_row<T, E, BATCH, ALIGNED>(values, to_middle, state, along_0, along_2, n0, n1, n2, pitch, begin, planes, head,
                                     tail, block - before);
      return;
    }
    column_block = before;
  }
  const int groups = (n2 + COLUMNS - 1) / COLUMNS, segments = (n1 + segment - 1) / segment;
  const int item = column_block * blockDim.x + threadIdx.x;
  const int line = item / groups, plane = line / segments, first = (line - plane * segments) * segment;
  if (plane < ready)
    walk_columns<COLUMNS, ALIGNED>(from_middle + static_cast<long long>(plane) * n1 * pitch,
                                   out + (static_cast<long long>(done) + plane) * n1 * n2, along_1, scale, n1, n2,
                                   pitch, (item - line * groups) * COLUMNS, first, min(first + segment, n1));
}
