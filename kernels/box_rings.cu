// box_rings: window sums along all three periodic axes in two passes, each of which reads a value once.
//
//   out[k, j, i] = scale * sum over a window of the three axes of v; each axis: E weights, ones, E weights   eq. 18
//
// One axis as in walk.cuh. A sum that walks needs each value twice: when it enters and when it leaves. In between the
// values wait in shared memory, in a ring of lines as long as the window; lines on their way there are copied meanwhile.
//
//   box_planes   axes 2 and 1: a block owns a strip of a plane. A row arrives with what the window reaches beyond the
//                strip, is summed along axis 2 into the ring, and from there the sums walk along axis 1
//   box_lines    axis 0: a thread owns COLUMNS neighbours and walks; nothing but its own waits for it, and no barrier
//
// values, out    (n0, n1, n2) T, C order, not the same memory; of box_lines (n0, plane)
// along_*        one Line<T, E> for each axis; the weights of the axis that is walked along are times scale
// OPPOSITE       tail = -head along all axes of the launch, as for windows of a whole width: half the products
// ALIGNED        box_planes: n2 a multiple of a word of 16 bytes; box_lines: plane a multiple of COLUMNS
// launch         box_planes   <<<n0 ceil(n2 / width), THREADS, 32 (slots RING_HALF + STAGES BATCH stage_half)>>>
//                             width: a multiple of two words, STRIP at most
//                             slots: rows of the ring, a multiple of BATCH from window_1 + 2 BATCH on
//                             stage_half: words, 4 modulo 8, of half a row of width + window_2 + E + 2 columns
//                box_lines    <<<ceil(plane / (COLUMNS threads)), threads, 8 slots threads>>>, threads <= LINES
//                             slots: lines of the ring, a multiple of STEPS from window_0 + (GROUPS + 1) STEPS on
//                             window of an axis: its ones, laps n + rest
// order          fixed. A sum along axis 0 or 1 takes one difference a step and carries what that addition rounds off;
//                along axis 2 a sum of one window for each warp's outputs, then differences, which do not drift
// range          |v| times the widths of axes 1 and 2, and their average times that of axis 0, below the largest T; what
//                is not finite spreads along lines
// oracle         device/cpu/running.py box_filter; test tests/kernels/test_box_rings.py
// ladder         v1 ladder/box_steps.cu; v2 box_steps.cu, which is used where a ring does not fit; v3 this, unmeasured.
//                1024^3, w 65: 4.14 passes for 5.25 (four, and the lines before the first output); 87 instructions a
//                point for 115 (9 weights; widths that are not whole 115, one weight 64). Of these box_planes has 56 (75,
//                40), which by 8 warps a multiprocessor is as long as its memory: issue limits it. On their way 19 to 28
//                KB a multiprocessor there, 21 to 32 in box_lines, of the 16 to 20 that reading at half of 4.3 TB/s
//                keeps. [P] 0.39 to 0.43 of the floor (not whole 0.34 to 0.38, one weight 0.42 to 0.44); 4.14 passes at
//                the rate of a copy reach 0.48
//
// instances
//   box_planes<float, 1, false, true>
//   box_planes<float, 1, false, false>
//   box_planes<float, 9, false, true>
//   box_planes<float, 9, false, false>
//   box_planes<float, 9, true, true>
//   box_planes<float, 9, true, false>
//   box_planes<double, 1, false, true>
//   box_planes<double, 1, false, false>
//   box_planes<double, 9, false, true>
//   box_planes<double, 9, false, false>
//   box_planes<double, 9, true, true>
//   box_planes<double, 9, true, false>
//   box_lines<float, 1, false, true>
//   box_lines<float, 1, false, false>
//   box_lines<float, 9, false, true>
//   box_lines<float, 9, false, false>
//   box_lines<float, 9, true, true>
//   box_lines<float, 9, true, false>
//   box_lines<double, 1, false, true>
//   box_lines<double, 9, false, true>
//   box_lines<double, 9, true, true>
#include "walk.cuh"

constexpr int THREADS = 256;    // of box_planes
constexpr int BATCH = 4;        // rows between barriers, a team of warps each
constexpr int STAGES = 4;       // batches of rows: one is summed, the others are on their way
constexpr int PIECES = 3;       // of a row that a thread copies without asking for more
constexpr int LINES = 384;      // threads of box_lines, at most
constexpr int STEPS = 4;        // of a walk along axis 0 between waits
constexpr int GROUPS = 3;       // of so many lines are on their way
constexpr int COLUMN_BYTES = 8; // of a line, what a thread walks along
constexpr int TEAM = THREADS / BATCH;

template <typename T> constexpr int COLUMNS = COLUMN_BYTES / sizeof(T); // that a thread walks along
template <typename T> constexpr int STRIP = THREADS * COLUMNS<T>;

// Where a value of a row lies. Words of even number come first: lanes that read two neighbouring words each, one after
// the other, then meet in no bank; nor do the halves of a row that is read in order, if they are 4 modulo 8 words.
template <typename T> __device__ __forceinline__ int place(int x, int half) {
  constexpr unsigned WORD = Vector<T>::size;
  const unsigned at = x, word = at / WORD;
  return static_cast<int>(((word & 1) * half + word / 2) * WORD + at % WORD);
}
constexpr int RING_HALF = THREADS * COLUMN_BYTES / 32 + 4;

// N values of a row from SHIFT on in the word `own`; `next` is the word after it.
template <int SHIFT, int N, typename T> __device__ __forceinline__ void read(const T *own, const T *next, T (&v)[N]) {
  constexpr int WORD = Vector<T>::size, LOADS = (SHIFT + N + WORD - 1) / WORD;
  T whole[LOADS * WORD];
#pragma unroll
  for (int l = 0; l < LOADS; ++l) {
    const Pack<T, WORD> one = *reinterpret_cast<const Pack<T, WORD> *>((l % 2 ? next : own) + l / 2 * WORD);
#pragma unroll
    for (int i = 0; i < WORD; ++i) whole[l * WORD + i] = one.of[i];
  }
#pragma unroll
  for (int i = 0; i < N; ++i) v[i] = whole[SHIFT + i];
}

// Where a lane's heads and tails begin: a word of each, and the next.
template <typename T> struct Ends {
  const T *head, *after_head, *tail, *after_tail;
};

// Window sums of N neighbours a lane. ones: a lane's part of the ones of the output before the warp's first.
template <int HEAD, int TAIL, bool OPPOSITE, typename T, int E, int N>
__device__ __forceinline__ void sum_windows(const Ends<T> &at, T ones, const Line<T, E> &along, T (&sums)[N]) {
  constexpr int LENGTH = N + E - 1;
  T leaves[LENGTH], enters[LENGTH], gained = T(0); // gained: by the ones since the output before the lane's first
  read<HEAD>(at.head, at.after_head, leaves);
  read<TAIL>(at.tail, at.after_tail, enters);
  ones = warp_sum(ones);
  if (OPPOSITE) {
#pragma unroll
    for (int i = 0; i < LENGTH; ++i) enters[i] -= leaves[i];
  }
#pragma unroll
  for (int i = 0; i < N; ++i) {
    gained += OPPOSITE ? enters[i + E - 1] : enters[i + E - 1] - leaves[i + E - 1];
    sums[i] = gained;
  }
  T before = gained; // by the lanes below
#pragma unroll
  for (int step = 1; step < WARP; step *= 2) add_from_below(before, step);
  before -= gained;
#pragma unroll
  for (int i = 0; i < N; ++i) {
#pragma unroll
    for (int s = 0; s < E; ++s) {
      if (!OPPOSITE) sums[i] += along.head[s] * leaves[i + s];
      sums[i] += along.tail[s] * enters[i + s];
    }
    sums[i] = ones + (before + sums[i]);
  }
}

// The same where all of a block know where in a word both begin: `shifts`, SHIFTS or more.
template <int SHIFTS, bool OPPOSITE, typename T, int E, int N> __device__ __forceinline__ void
sum_windows_at(int shifts, const Ends<T> &at, T ones, const Line<T, E> &along, T (&sums)[N]) {
  constexpr int WORD = Vector<T>::size, LAST = WORD * WORD - 1;
  if (SHIFTS == LAST || shifts == SHIFTS)
    sum_windows<SHIFTS % WORD, SHIFTS / WORD, OPPOSITE>(at, ones, along, sums);
  else
    sum_windows_at<SHIFTS == LAST ? LAST : SHIFTS + 1, OPPOSITE>(shifts, at, ones, along, sums);
}

// A line as it comes, from the first value of the first output's head on, and before that what completes a batch.
template <typename T, int E> struct Course {
  int window, warm, before; // values of the ones; those that come before the first output's last; those skipped

  __device__ __forceinline__ Course(const Line<T, E> &along, int n, int batch)
      : window(along.rest + along.laps * n), warm(window + E - 1), before((batch - warm % batch) % batch) {}
  // Value `number` of it, which is not yet an output's last, and what then leaves the ones.
  template <bool OPPOSITE> __device__ __forceinline__ void warm_up(Walk<T, E, OPPOSITE> &walk, int number, T leaves,
                                                                   T enters, const Line<T, E> &along) const {
    if (number >= E - 1) walk.ones.add(enters);
    if (number >= window) walk.prepare(leaves, enters, along);
  }
};

template <typename T, int E, bool OPPOSITE, bool ALIGNED> __global__ void __launch_bounds__(THREADS, 2)
    box_planes(const T *__restrict__ values, T *__restrict__ out, const Line<T, E> along_1, const Line<T, E> along_2,
               T scale, int n1, int n2, int width, int slots, int stage_half) {
  constexpr int WORD = Vector<T>::size, LANE = 2 * WORD, W = ALIGNED ? WORD : 1; // LANE: outputs of a lane in a row
  constexpr int N = COLUMNS<T>, RING_ROW = 2 * RING_HALF * WORD;
  static_assert(TEAM * LANE == STRIP<T>, "a strip is as wide for rows as for walks");
  using Columns = Pack<T, N>;
  using Word = Pack<T, WORD>;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  const int stage_row = stage_half * LANE, ring_size = slots * RING_ROW;
  T *const ring = reinterpret_cast<T *>(shared_bytes), *const stage = ring + ring_size;
  const int of_batch = threadIdx.x / TEAM, in_team = threadIdx.x % TEAM, lane = threadIdx.x % WARP;
  const int strips = (n2 + width - 1) / width, first = blockIdx.x % strips * width;
  const long long plane = static_cast<long long>(blockIdx.x / strips) * n1;
  const Course<T, E> course(along_1, n1, BATCH);
  const int batches = (course.before + course.warm + n1 + BATCH - 1) / BATCH;

  // rows on their way
  const int shift = ALIGNED ? along_2.at_head % WORD : 0, window_2 = along_2.rest + along_2.laps * n2;
  const int pieces = (shift + width + window_2 + E - 1 + W - 1) / W, stride = TEAM * W % n2, further = BATCH % n1;
  const int row_bytes = n2 * sizeof(T);
  T *const arriving = stage + of_batch * stage_row + place<T>(in_team * W, stage_half);
  int columns[PIECES]; // of the row's first piece, and how far from there the next ones are
  columns[0] = (first + along_2.at_head - shift + in_team * W) % n2;
#pragma unroll
  for (int p = 1; p < PIECES; ++p) columns[p] = wrapped(columns[p - 1] + stride, n2);
  const char *const column_0 = reinterpret_cast<const char *>(values + plane * n2 + columns[0]);
#pragma unroll
  for (int p = 1; p < PIECES; ++p) columns[p] -= columns[0];
  int coming = (along_1.at_head + BATCH * n1 - course.before + of_batch) % n1;
  const auto fetch = [&](int batch) {
    const T *const from = reinterpret_cast<const T *>(column_0 + static_cast<long long>(coming) * row_bytes);
    T *const to = arriving + batch % STAGES * (BATCH * stage_row);
    const int wanted = batch < batches ? pieces - in_team : 0;
#pragma unroll
    for (int p = 0; p < PIECES; ++p)
      if (p * TEAM < wanted) begin_copy<W * sizeof(T)>(to + p * (TEAM * W / 2), p ? from + columns[p] : from);
    if (PIECES * TEAM < wanted) {
      int column = columns[0] + columns[PIECES - 1];
#pragma unroll 1
      for (int piece = PIECES * TEAM; piece < wanted; piece += TEAM) {
        column = wrapped(column + stride, n2);
        begin_copy<W * sizeof(T)>(to + piece * W / 2, from - columns[0] + column);
      }
    }
    coming = wrapped(coming + further, n1);
    close_copies();
  };

  // along axis 2
  const int warps_first = in_team / WARP * (WARP * LANE), own = warps_first + lane * LANE;
  const int begin = min(own, width - LANE), tail = begin + (shift + window_2) / WORD * WORD; // may be read
  const int at_tail = place<T>(tail, stage_half), after_tail = place<T>(tail + WORD, stage_half);
  const int at_ones = place<T>(shift + min(warps_first, width) + E - 1 + lane, stage_half); // before the first output
  const int shifts = (shift + window_2) % WORD * WORD + shift;
  const auto sum_row = [&](int batch, T *to) {
    const T *const row = stage + (batch % STAGES * BATCH + of_batch) * stage_row, *const head = row + begin / 2;
    const Ends<T> at = {head, head + stage_half * WORD, row + at_tail, row + after_tail};
    Pack<T, LANE> sums;
    sum_windows_at<0, OPPOSITE>(shifts, at, sum_apart<2>(row + at_ones, WARP / 2, window_2, lane), along_2, sums.of);
#pragma unroll
    for (int w = 0; w < 2; ++w)
      *reinterpret_cast<Word *>(to + own / 2 + w * RING_HALF * WORD) = reinterpret_cast<const Word *>(sums.of)[w];
  };

  // along axis 1
  const int column = threadIdx.x * N, in_row = place<T>(column, RING_HALF);
  const int n_columns = min(width, n2 - first) - column;
  out += plane * n2 + first + column;
  Walk<T, E, OPPOSITE> walk[N];
#pragma unroll
  for (int c = 0; c < N; ++c) walk[c].start();
  int entering = ring_size - BATCH * RING_ROW, leaving = entering - course.window * RING_ROW + in_row; // in the ring
  const auto walk_on = [&](int number) {
    Columns enters[BATCH], leaves[BATCH];
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      enters[b] = *reinterpret_cast<const Columns *>(ring + entering + in_row + b * RING_ROW);
      leaves[b] = *reinterpret_cast<const Columns *>(ring + leaving);
      leaving = wrapped(leaving + RING_ROW, ring_size);
    }
    if (number < course.warm) {
#pragma unroll
      for (int b = 0; b < BATCH; ++b) {
#pragma unroll
        for (int c = 0; c < N; ++c) course.warm_up(walk[c], number + b, leaves[b].of[c], enters[b].of[c], along_1);
      }
      return;
    }
    const int rows = n_columns > 0 ? n1 - (number - course.warm) : 0;
#pragma unroll
    for (int b = 0; b < BATCH; ++b) {
      Columns sums;
#pragma unroll
      for (int c = 0; c < N; ++c) sums.of[c] = walk[c].next(leaves[b].of[c], enters[b].of[c], along_1, scale);
      if (b < rows) {
        if (ALIGNED) {
          *reinterpret_cast<Columns *>(out) = sums;
        } else {
#pragma unroll
          for (int c = 0; c < N; ++c)
            if (c < n_columns) out[c] = sums.of[c];
        }
      }
      out += n2;
    }
  };

#pragma unroll 1
  for (int batch = 0; batch < STAGES - 1; ++batch) fetch(batch);
#pragma unroll 1
  for (int batch = 0; batch <= batches; ++batch) {
    wait_copies<STAGES - 2>();
    __syncthreads(); // this batch has come, the one before is in the ring, and what is overwritten now has been read
    fetch(batch + STAGES - 1);
    const int next = wrapped(entering + BATCH * RING_ROW, ring_size);
    sum_row(batch, ring + next + of_batch * RING_ROW); // past the last one into what nobody reads
    walk_on((batch - 1) * BATCH - course.before);      // before the first one along nothing
    entering = next;
  }
}

template <typename T, int E, bool OPPOSITE, bool ALIGNED> __global__ void __launch_bounds__(LINES)
    box_lines(const T *__restrict__ values, T *__restrict__ out, const Line<T, E> along, T scale, int n0,
              long long plane, int slots) {
  constexpr int N = COLUMNS<T>, W = ALIGNED ? N : 1;
  using Columns = Pack<T, N>;
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  const int apart = blockDim.x, line = apart * COLUMN_BYTES, ring_size = slots * line; // apart: a thread's columns
  const long long first = static_cast<long long>(blockIdx.x) * (apart * N) + threadIdx.x * W;
  if (first >= plane) return;
  const bool both = ALIGNED || first + apart < plane;
  const Course<T, E> course(along, n0, STEPS);
  const auto at = [&](int place) { return reinterpret_cast<Columns *>(shared_bytes + place); };

  values += first;
  const int begin = (along.at_head + STEPS * n0 - course.before) % n0, own = threadIdx.x * COLUMN_BYTES;
  const T *from = values + begin * plane;
  int coming = n0 - begin, arriving = own; // coming: lines to the end
  const auto fetch = [&]() {               // past the last line, too
#pragma unroll
    for (int s = 0; s < STEPS; ++s) {
      T *const to = at(arriving + s * line)->of;
      begin_copy<W * sizeof(T)>(to, from);
      if (W < N) begin_copy<W * sizeof(T)>(to + N - W, both ? from + apart : from);
      from += plane;
      if (--coming == 0) {
        coming = n0;
        from = values;
      }
    }
    arriving = wrapped(arriving + STEPS * line, ring_size);
    close_copies();
  };
#pragma unroll 1
  for (int group = 0; group < GROUPS; ++group) fetch();

  Walk<T, E, OPPOSITE> walk[N];
#pragma unroll
  for (int c = 0; c < N; ++c) walk[c].start();
  out += first;
  int entering = own, leaving = ring_size - course.window * line + own;
  const int numbers = course.warm + n0;
#pragma unroll 1
  for (int number = -course.before; number < numbers; number += STEPS) {
    wait_copies<GROUPS - 1>();
    fetch();
    Columns enters[STEPS], leaves[STEPS];
#pragma unroll
    for (int s = 0; s < STEPS; ++s) {
      enters[s] = *at(entering + s * line);
      leaves[s] = *at(leaving);
      leaving = wrapped(leaving + line, ring_size);
    }
    entering = wrapped(entering + STEPS * line, ring_size);
    if (number < course.warm) {
#pragma unroll
      for (int s = 0; s < STEPS; ++s) {
#pragma unroll
        for (int c = 0; c < N; ++c) course.warm_up(walk[c], number + s, leaves[s].of[c], enters[s].of[c], along);
      }
      continue;
    }
#pragma unroll
    for (int s = 0; s < STEPS; ++s) {
      Columns sums;
#pragma unroll
      for (int c = 0; c < N; ++c) sums.of[c] = walk[c].next(leaves[s].of[c], enters[s].of[c], along, scale);
      if (s == 0 || number + s < numbers) {
        if (ALIGNED) {
          *reinterpret_cast<Columns *>(out) = sums;
        } else {
          out[0] = sums.of[0];
          if (both) out[apart] = sums.of[N - 1];
        }
      }
      out += plane;
    }
  }
  wait_copies<0>(); // nothing comes after the end
}
