// line_sums: window sums along a periodic line, exact ends, no drift. Two ways:
//
//   line_sums   lines that lie in shared memory: prefix sums of short units in twice the precision
//   Column      a line that a thread walks along: a running sum whose rounding errors are added up beside it
//
//   out[p] = sum over s < E of head[s] v[p + at_head + s] + tail[s] v[p + at_tail + s]
//            + the sum of `rest` values from p + at_head + E on + laps * the sum of all n values
//
// Positions are modulo n. The ones reach to the end of the tail, whose weights are less one for that: what enters
// the ones and what leaves them for the head are then the newest values of either end.
#include "common.cuh"

constexpr int UNIT = 11; // outputs that share one prefix sum: odd, so that the units of a warp lie in different banks

// Ends of a window along one axis, in shared memory; positions in 0 .. n - 1.
template <typename T, int E> struct Ends {
  int at_head, at_tail, at_ones, rest, laps;
  T head[E], tail[E];
};

// Ends of all axes from their tables: places (3, 5) as above, weights (3, 2, E). Ends with a barrier.
template <typename T, int E> __device__ __forceinline__ void load_ends(Ends<T, E> *ends, const int *__restrict__ places,
                                                                       const T *__restrict__ weights) {
  if (threadIdx.x < 3) {
    const int axis = threadIdx.x, *place = places + 5 * axis;
    ends[axis].at_head = place[0];
    ends[axis].at_tail = place[1];
    ends[axis].at_ones = place[2];
    ends[axis].rest = place[3];
    ends[axis].laps = place[4];
    for (int s = 0; s < E; ++s) {
      ends[axis].head[s] = weights[(2 * axis) * E + s];
      ends[axis].tail[s] = weights[(2 * axis + 1) * E + s];
    }
  }
  __syncthreads();
}

// Values past the end of a line that repeat its beginning, so that a unit's reads do not wrap.
template <int E> constexpr int HALO = UNIT + E - 2;

// A sum in twice the precision of T.
template <typename T> struct Total;
template <> struct Total<float> {
  double sum = 0.0;

  __device__ __forceinline__ void add(float value) { sum += value; }
  __device__ __forceinline__ void add(const Total &other) { sum += other.sum; }
  __device__ __forceinline__ void subtract(const Total &other) { sum -= other.sum; }
  __device__ __forceinline__ void repeat(int times) { sum *= times; }
  __device__ __forceinline__ void split(float &high, float &low) const {
    high = static_cast<float>(sum);
    low = static_cast<float>(sum - high);
  }
  __device__ __forceinline__ float rounded() const { return static_cast<float>(sum); }
  __device__ __forceinline__ Total from_below(int step) const {
    Total other;
    other.sum = __shfl_up_sync(ALL_LANES, sum, step);
    return other;
  }
};
template <> struct Total<double> {
  double high = 0.0, low = 0.0;

  __device__ __forceinline__ void add(double value) {
    double error;
    two_sum(high, value, high, error);
    low += error;
  }
  __device__ __forceinline__ void add(const Total &other) {
    add(other.high);
    low += other.low;
  }
  __device__ __forceinline__ void subtract(const Total &other) {
    add(-other.high);
    low -= other.low;
  }
  __device__ __forceinline__ void repeat(int times) {
    const double product = high * times;
    low = low * times + fma(high, static_cast<double>(times), -product);
    high = product;
  }
  __device__ __forceinline__ void split(double &whole, double &rest) const {
    whole = high;
    rest = low;
  }
  __device__ __forceinline__ double rounded() const { return high + low; }
  __device__ __forceinline__ Total from_below(int step) const {
    Total other;
    other.high = __shfl_up_sync(ALL_LANES, high, step);
    other.low = __shfl_up_sync(ALL_LANES, low, step);
    return other;
  }
};

// Lines and units of a thread: from one on, so many apart.
struct Share {
  int line, line_step, unit, unit_step;
};

// Warps take lines one by one, or several warps a line: neighbouring threads take neighbouring units.
__device__ __forceinline__ Share share_of_rows(int n_lines) {
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
  const int team = max(1, warps / n_lines);
  return {warp / team, max(1, warps / team), warp % team * WARP + lane, team * WARP};
}

// Neighbouring threads take neighbouring lines.
__device__ __forceinline__ Share share_of_columns(int n_lines) {
  const int thread = threadIdx.x;
  return {thread % n_lines, n_lines, thread / n_lines, static_cast<int>(blockDim.x) / n_lines};
}

// Window sums of lines in shared memory; store(line, p, sums, count) gets those of p .. p + count - 1.
//
// lines    line l's value p at l * distance + p * PITCH, p < n + HALO<E>; complete before the call
// prefix   (n_lines, ceil(n / UNIT) + 1), scratch
//
// All threads of the block call it; it begins and ends within barriers of its own, so lines may be overwritten only
// after another barrier.
template <typename T, int E, int PITCH, typename Store>
__device__ __forceinline__ void line_sums(const T *lines, int distance, int n_lines, int n, Total<T> *prefix,
                                          const Ends<T, E> &ends, const Share &share, Store store) {
  const int units = (n + UNIT - 1) / UNIT, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  __syncthreads();
#pragma unroll 1
  for (int l = share.line; l < n_lines; l += share.line_step)
#pragma unroll 1
    for (int u = share.unit; u < units; u += share.unit_step) {
      const T *unit = lines + l * distance + u * UNIT * PITCH;
      const int count = n - u * UNIT;
      Total<T> total;
#pragma unroll
      for (int i = 0; i < UNIT; ++i)
        if (i < count) total.add(unit[i * PITCH]);
      prefix[l * (units + 1) + u] = total;
    }
  __syncthreads();
  const int warps = blockDim.x / WARP, each = (units + WARP - 1) / WARP;
#pragma unroll 1
  for (int l = warp; l < n_lines; l += warps) {
    Total<T> *own = prefix + l * (units + 1);
    const int first = min(units, lane * each), last = min(units, first + each);
    Total<T> sum;
    for (int u = first; u < last; ++u) sum.add(own[u]);
#pragma unroll
    for (int step = 1; step < WARP; step *= 2) {
      const Total<T> below = sum.from_below(step);
      if (lane >= step) sum.add(below);
    }
    Total<T> before = sum.from_below(1);
    if (lane == 0) before = Total<T>();
    for (int u = first; u < last; ++u) {
      const Total<T> here = own[u];
      own[u] = before;
      before.add(here);
    }
    if (lane == WARP - 1) own[units] = sum;
  }
  __syncthreads();
#pragma unroll 1
  for (int l = share.line; l < n_lines; l += share.line_step) {
    const T *line = lines + l * distance;
    const Total<T> *own = prefix + l * (units + 1);
#pragma unroll 1
    for (int u = share.unit; u < units; u += share.unit_step) {
      const int p = u * UNIT;
      int head = p + ends.at_head, tail = p + ends.at_tail; // of the first values of both ends, and of what follows
      head -= head < n ? 0 : n;
      tail -= tail < n ? 0 : n;
      int ones = p + ends.at_ones, after = ones + ends.rest; // rest < n, so that both wrap once at most
      after -= after < n ? 0 : n;
      ones -= ones < n ? 0 : n;
      after -= after < n ? 0 : n;
      // sums before the next units' beginnings, less the values between, which are read for the ends anyway
      const int unit_of_ones = (ones + UNIT - 1) / UNIT, unit_after = (after + UNIT - 1) / UNIT;
      const int between_ones = min(unit_of_ones * UNIT, n) - ones, between_after = min(unit_after * UNIT, n) - after;
      Total<T> sum = own[unit_after];
      sum.subtract(own[unit_of_ones]);
      const int laps = ends.laps + (after < ones ? 1 : 0);
      if (laps > 0) {
        Total<T> whole = own[units];
        whole.repeat(laps);
        sum.add(whole);
      }
      const T *at_head = line + head * PITCH, *at_tail = line + tail * PITCH;
      T ends_sum[UNIT], change = T(0), left = T(0),
                        entered = T(0); // small beside the sum: only the last addition rounds at its size
#pragma unroll
      for (int i = 0; i < UNIT; ++i) ends_sum[i] = T(0);
#pragma unroll
      for (int i = 0; i < UNIT + E - 1; ++i) {
        const T leaves = at_head[i * PITCH], enters = at_tail[i * PITCH];
#pragma unroll
        for (int s = 0; s < E; ++s)
          if (0 <= i - s && i - s < UNIT)
            ends_sum[i - s] = ends.head[s] * leaves + (ends.tail[s] * enters + ends_sum[i - s]);
        if (i >= E) {
          change += enters - leaves;
          ends_sum[i - E + 1] += change;
          if (i - E < between_ones) left += leaves;
          if (i - E < between_after) entered += enters;
        }
      }
      sum.add(left);
      sum.add(-entered);
      T high, low;
      sum.split(high, low);
#pragma unroll
      for (int i = 0; i < UNIT; ++i) ends_sum[i] = high + (low + ends_sum[i]);
      store(l, p, ends_sum, n - p);
    }
  }
}

// Walk along a line, output by output.
template <typename T, int E> struct Column {
  Total<T> ones; // of the last output
  T begun[E];    // of the ends' sums of the next outputs; the last is zero

  // Values of the ends that come before the first output's newest.
  __device__ __forceinline__ void prepare(T leaves, T enters, const Ends<T, E> &ends) {
#pragma unroll
    for (int s = 0; s < E; ++s)
      begun[s] = (s + 1 < E ? begun[s + 1 < E ? s + 1 : 0] : T(0)) + ends.head[E - 1 - s] * leaves +
                 ends.tail[E - 1 - s] * enters;
  }
  // The next output, whose newest values of head and tail are these.
  __device__ __forceinline__ T next(T leaves, T enters, const Ends<T, E> &ends) {
    prepare(leaves, enters, ends);
    ones.add(enters);
    ones.add(-leaves);
    Total<T> out = ones;
    out.add(begun[0]);
    return out.rounded();
  }
};
