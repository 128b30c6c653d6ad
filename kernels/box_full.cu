// box_full: window sums along all three periodic axes at once, an output at every point.
//
//   out[k, j, i] = scale * sum over a window of the three axes of v; each axis: E weights, ones, E weights   eq. 18
//
// The field passes the memory three times (twice read, once written), whatever the width. Blocks draw two kinds of
// item from one queue, so that reading, adding and writing overlap:
//
//   row     one row of a chunk of planes: the sum along axis 0 walks on plane by plane (the plane that comes in and
//           the one that goes out are read), and the row is summed along axis 2 in shared memory -> middle
//   strip   some columns of one plane of the chunk before: summed along axis 1 in shared memory -> out
//
// middle holds two chunks and stays in the second-level cache where chunks are small. An item waits only for items
// that were drawn before it: rows of the chunk for a strip; strips of the chunk before last, whose place in middle is
// taken, and the same row of the last chunk for a row. So the queue cannot lock up, however many blocks run.
//
// values, out    (n0, n1, n2) T, C order
// middle         (2, chunk, n1, pitch) T, scratch; pitch >= n2, a multiple of 16 bytes and of a strip
// state          (n1, blockDim, WORD) Total<T>, scratch: the running sums along axis 0 between chunks
// queue          (1 + n1 + 2 chunks) int, zeroed by the caller: items drawn; chunks done of each row; rows
//                done, strips done of each chunk
// places         (3, 5) int: at_head, at_tail, at_ones, rest, laps of each axis (line_sums.cuh)
// weights        (3, 2, E) T
// launch         box_full<T, E, MOST, BATCH, ALIGNED> <<<blocks, threads>>>, any number of blocks, whole warps,
//                threads <= MOST, threads * WORD >= n2, threads a multiple of a strip's columns,
//                chunk a multiple of BATCH, n2 of WORD if ALIGNED; dynamic shared memory: the larger of
//                row: BATCH (line + pitch) T + as many (ceil(n2 / UNIT) + 1) Total<T>,
//                line = n2 + HALO<E> rounded up to 16 bytes
//                strip: STRIP ((n1 + HALO<E>) T + (ceil(n1 / UNIT) + 1) Total<T>)
// order          fixed, whatever the number of blocks; no float atomics. Sums carry their rounding errors along
// range          |v| times the three widths must be below the largest number of T; what is not finite spreads along
//                its lines
// oracle         device/cpu/running.py box_filter; test tests/kernels/test_box_full.py
// ladder         v1 three passes, seven times through the memory; v2 this
//
// instances
//   box_full<float, 1, 256, 2, true>
//   box_full<float, 1, 256, 2, false>
//   box_full<float, 1, 256, 4, true>
//   box_full<float, 1, 256, 4, false>
//   box_full<float, 1, 512, 2, true>
//   box_full<float, 1, 512, 2, false>
//   box_full<float, 9, 256, 1, true>
//   box_full<float, 9, 256, 1, false>
//   box_full<float, 9, 512, 1, true>
//   box_full<float, 9, 512, 1, false>
//   box_full<double, 1, 256, 2, true>
//   box_full<double, 1, 256, 2, false>
//   box_full<double, 1, 512, 2, true>
//   box_full<double, 1, 512, 2, false>
//   box_full<double, 9, 256, 1, true>
//   box_full<double, 9, 256, 1, false>
#include "common.cuh"
#include "line_sums.cuh"

constexpr int STRIP_BYTES = 32; // of each row of a plane: more needs more shared memory, less breaks sectors

// Waits until a count has been reached: what was written before it was raised is seen after the block's next barrier.
__device__ __forceinline__ void wait_for(const int *count, int wanted) {
#ifdef CUDA_ON_CPU
  while (*static_cast<const volatile int *>(count) < wanted) {
  }
#else
  int reached;
  do asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(reached) : "l"(count) : "memory");
  while (reached < wanted);
#endif
}

// Raises a count by one after what the block wrote before its last barrier.
__device__ __forceinline__ void raise(int *count) {
#ifdef CUDA_ON_CPU
  atomicAdd(count, 1);
#else
  asm volatile("red.release.gpu.global.add.s32 [%0], 1;" ::"l"(count) : "memory");
#endif
}

// What a block draws: a row (place < n1) or a strip (place - n1) of a chunk, which is negative when nothing is left;
// the planes that a row's first step is the first to need.
struct Item {
  int chunk, place, head, tail;
};

// Blocks that a multiprocessor's registers are to hold.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
constexpr int MOST_EACH = 2;
#else
constexpr int MOST_EACH = 3;
#endif
constexpr int blocks_each(int e, int most, int batch, int size, bool aligned) {
  return e == 1 && batch == 2 && most == 256 && size == 4 && aligned ? MOST_EACH : e == 9 && size == 8 ? 1 : 512 / most;
}

// BATCH: planes of a row in flight, and rows summed along axis 2 at once. ALIGNED: rows start at whole loads.
template <typename T, int E, int MOST, int BATCH, bool ALIGNED>
__global__ void __launch_bounds__(MOST, blocks_each(E, MOST, BATCH, sizeof(T), ALIGNED))
    box_full(const T *__restrict__ values, T *__restrict__ out, T *middle, T *state, int *queue,
             const int *__restrict__ places, const T *__restrict__ weights, T scale, int n0, int n1, int n2, int pitch,
             int chunk) {
  constexpr int STRIP = STRIP_BYTES / sizeof(T);
  using Word = typename Vector<T>::type;
  constexpr int WORD = Vector<T>::size; // values of a load, and columns that a thread walks along axis 0 with
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  __shared__ Item drawn[2]; // this one and the next
  __shared__ Ends<T, E> ends[3];

  const int thread = threadIdx.x, chunks = (n0 + chunk - 1) / chunk, strips = (n2 + STRIP - 1) / STRIP;
  const long long plane_size = static_cast<long long>(n1) * n2;
  int *const chunks_of_row = queue + 1, *const rows_done = chunks_of_row + n1, *const strips_done = rows_done + chunks;
  load_ends(ends, places, weights);
  // rows of chunk 0; then rows of chunk c, strips of chunk c - 1, for c = 1 .. chunks
  const auto item_of = [&](int place) -> Item {
    const int step = n1 + chunk * strips;
    int c = 0;
    if (place >= n1) {
      c = 1 + (place - n1) / step;
      place -= n1 + (c - 1) * step;
    }
    if (c < chunks && place < n1)
      return {c, place, (c * chunk + ends[0].at_head + E - 1) % n0, (c * chunk + ends[0].at_tail + E - 1) % n0};
    if (c == chunks) place += n1;
    c -= 1;
    return {c < chunks && (place - n1) / strips < n0 - c * chunk ? c : -1, place, 0, 0};
  };

  T h[BATCH][WORD], t[BATCH][WORD]; // of the next steps of a row: what comes in and what goes out
  int head = 0, tail = 0;           // planes to read next
  bool loaded = false;
  if (thread == 0) drawn[0] = item_of(atomicAdd(queue, 1));
  for (int slot = 0;; slot ^= 1) {
    __syncthreads();
    const int c = drawn[slot].chunk, place = drawn[slot].place;
    if (c < 0) return;
    int next = 0;
    if (thread == 0) next = atomicAdd(queue, 1);
    if (place < n1) {
      const int row = place, first = c * chunk, planes = min(chunk, n0 - first);
      const Ends<T, E> &along = ends[0];
      const int line = (n2 + HALO<E> + WORD - 1) / WORD * WORD;
      T *const lines = reinterpret_cast<T *>(shared_bytes), *const staged = lines + BATCH * line;
      // a thread's columns: neighbours, or a block apart
      const int column = ALIGNED ? thread * WORD : thread, apart = ALIGNED ? 1 : blockDim.x;
      const T *here = values + static_cast<long long>(row) * n2 + column;
      const auto load = [&](int plane, T(&v)[WORD]) {
        const T *at = here + plane * plane_size;
        if (ALIGNED) {
          Word word{};
          if (column < n2) word = __ldcs(reinterpret_cast<const Word *>(at));
          const T *each = reinterpret_cast<const T *>(&word);
#pragma unroll
          for (int i = 0; i < WORD; ++i) v[i] = each[i];
        } else {
#pragma unroll
          for (int i = 0; i < WORD; ++i) v[i] = column + i * apart < n2 ? __ldcs(at + i * apart) : T(0);
        }
      };

      const auto load_steps = [&]() {
#pragma unroll
        for (int b = 0; b < BATCH; ++b) {
          load(head, h[b]);
          load(tail, t[b]);
          head = head + 1 == n0 ? 0 : head + 1;
          tail = tail + 1 == n0 ? 0 : tail + 1;
        }
      };
      if (!loaded) {
        head = drawn[slot].head;
        tail = drawn[slot].tail;
        load_steps();
      }
      if (thread == 0 && c > 0) wait_for(chunks_of_row + row, c);
      if (thread == blockDim.x - 1 && c > 1) wait_for(strips_done + c - 2, chunk * strips); // whose place is taken

      Column<T, E> walk[WORD];
      constexpr int SAVED = WORD * sizeof(Total<T>) / sizeof(Word);
      Word *const saved = reinterpret_cast<Word *>(state) + (row * blockDim.x + thread) * SAVED;
      if (c > 0) {
        __syncthreads();
        Word read[SAVED];
#pragma unroll
        for (int i = 0; i < SAVED; ++i) read[i] = __ldcg(saved + i);
#pragma unroll
        for (int i = 0; i < WORD; ++i) walk[i].ones = reinterpret_cast<const Total<T> *>(read)[i];
      } else {
        // the ones of output -1: `rest` values, and the whole line where the window holds it
        const int start = along.at_ones == 0 ? n0 - 1 : along.at_ones - 1;
#pragma unroll 1
        for (int part = 0; part < 2; ++part) {
          const int count = part == 1 ? along.rest : along.laps > 0 ? n0 : 0;
#pragma unroll 2
          for (int p = 0; p < count; ++p) {
            T v[WORD];
            load(start + p < n0 ? start + p : start + p - n0, v);
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
      for (int i = 0; i < WORD; ++i)
#pragma unroll
        for (int s = 0; s < E; ++s) walk[i].begun[s] = T(0);
      if (E > 1) {
        int leaving = (first + along.at_head) % n0, entering = (first + along.at_tail) % n0;
#pragma unroll 1
        for (int s = 0; s < E - 1; ++s) {
          T out_of[WORD], into[WORD];
          load(leaving, out_of);
          load(entering, into);
#pragma unroll
          for (int i = 0; i < WORD; ++i) walk[i].prepare(out_of[i], into[i], along);
          leaving = leaving + 1 == n0 ? 0 : leaving + 1;
          entering = entering + 1 == n0 ? 0 : entering + 1;
        }
      }

#pragma unroll 1
      for (int begun = 0; begun < planes; begun += BATCH) {
        const int steps = min(planes - begun, BATCH); // the others wrap, and are not stored
#pragma unroll
        for (int b = 0; b < BATCH; ++b) {
          T *const to = lines + b * line + column;
          Word sums;
#pragma unroll
          for (int i = 0; i < WORD; ++i) {
            const T sum = walk[i].next(h[b][i], t[b][i], along);
            reinterpret_cast<T *>(&sums)[i] = sum;
            if (!ALIGNED && column + i * apart < n2) to[i * apart] = sum;
          }
          if (ALIGNED && column < n2) *reinterpret_cast<Word *>(to) = sums;
        }
        const bool is_last = begun + BATCH >= planes;
        if (is_last) {
          Word written[SAVED];
#pragma unroll
          for (int i = 0; i < WORD; ++i) reinterpret_cast<Total<T> *>(written)[i] = walk[i].ones;
#pragma unroll
          for (int i = 0; i < SAVED; ++i) saved[i] = written[i];
          if (thread == 0) drawn[slot ^ 1] = item_of(next);
        }
        __syncthreads();
        // the next steps are on their way while this row is summed
        loaded = !is_last;
        if (is_last && drawn[slot ^ 1].chunk >= 0 && drawn[slot ^ 1].place < n1) {
          head = drawn[slot ^ 1].head;
          tail = drawn[slot ^ 1].tail;
          here = values + static_cast<long long>(drawn[slot ^ 1].place) * n2 + column;
          loaded = true;
        }
        if (loaded) load_steps();
#pragma unroll 1
        for (int i = thread; i < steps * HALO<E>; i += blockDim.x) {
          T *const to = lines + i / HALO<E> * line;
          to[n2 + i % HALO<E>] = to[i % HALO<E> % n2];
        }
        Total<T> *const prefix = reinterpret_cast<Total<T> *>(staged + BATCH * pitch);
        line_sums<T, E, 1>(lines, line, steps, n2, prefix, ends[2], share_of_rows(steps),
                           [=](int l, int p, const T(&sums)[UNIT], int count) {
#pragma unroll
                             for (int i = 0; i < UNIT; ++i)
                               if (i < count) staged[l * pitch + p + i] = sums[i];
                           });
        __syncthreads();
        T *const target = middle + ((c % 2 * chunk + begun) * static_cast<long long>(n1) + row) * pitch;
#pragma unroll 1
        for (int b = 0; b < steps; ++b)
#pragma unroll 1
          for (int p = thread * WORD; p < pitch; p += blockDim.x * WORD)
            *reinterpret_cast<Word *>(target + static_cast<long long>(b) * n1 * pitch + p) =
                *reinterpret_cast<const Word *>(staged + b * pitch + p);
      }
      __syncthreads();
      if (thread == 0) {
        raise(chunks_of_row + row);
        raise(rows_done + c);
      }
    } else {
      const int plane = (place - n1) / strips, strip = (place - n1) % strips;
      if (thread == 0) wait_for(rows_done + c, n1);
      T *const tile = reinterpret_cast<T *>(shared_bytes);
      __syncthreads();
      constexpr int PARTS = STRIP / WORD;
      const T *const from = middle + (c % 2 * chunk + plane) * (static_cast<long long>(n1) * pitch) + strip * STRIP;
      const int part = thread % PARTS * WORD, rows = blockDim.x / PARTS;
      const auto copy = [&](int row, int source) {
        *reinterpret_cast<Word *>(tile + row * STRIP + part) =
            __ldcg(reinterpret_cast<const Word *>(from + static_cast<long long>(source) * pitch + part));
      };
#pragma unroll 4
      for (int row = thread / PARTS; row < n1; row += rows) copy(row, row);
#pragma unroll 1
      for (int row = thread / PARTS; row < HALO<E>; row += rows) copy(n1 + row, row % n1);
      Total<T> *const prefix = reinterpret_cast<Total<T> *>(tile + (n1 + HALO<E>)*STRIP);
      T *const to = out + (static_cast<long long>(c) * chunk + plane) * plane_size + strip * STRIP;
      const int columns = min(STRIP, n2 - strip * STRIP);
      line_sums<T, E, STRIP>(tile, 1, STRIP, n1, prefix, ends[1], share_of_columns(STRIP),
                             [=](int l, int p, const T(&sums)[UNIT], int count) {
                               if (l >= columns) return;
                               int at = p * n2 + l; // within a plane, which fits an int
                               if (count >= UNIT) {
#pragma unroll
                                 for (int i = 0; i < UNIT; ++i, at += n2) __stcs(to + at, scale * sums[i]);
                               } else {
#pragma unroll
                                 for (int i = 0; i < UNIT - 1; ++i, at += n2)
                                   if (i < count) __stcs(to + at, scale * sums[i]);
                               }
                             });
      if (thread == 0) drawn[slot ^ 1] = item_of(next);
      __syncthreads();
      if (thread == 0) raise(strips_done + c);
    }
  }
}
