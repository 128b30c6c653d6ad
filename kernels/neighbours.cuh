// neighbours: some neighbours of a row, loaded and stored at once.
#include "common.cuh"

// N neighbours, of an address that their size divides.
template <typename T, int N> struct __align__(N * sizeof(T)) Pack {
  T of[N];
};

// COUNT numbers from a 16-byte aligned address.
template <int COUNT, typename T> __device__ __forceinline__ void read_vectors(const T *at, T (&values)[COUNT]) {
  constexpr int V = Vector<T>::size;
#pragma unroll
  for (int i = 0; i < COUNT; i += V) {
    const auto vector = *reinterpret_cast<const typename Vector<T>::type *>(at + i);
    const T *each = reinterpret_cast<const T *>(&vector);
#pragma unroll
    for (int v = 0; v < V; ++v) values[i + v] = each[v];
  }
}

// COUNT numbers to an address that their size divides.
template <int COUNT, typename T> __device__ __forceinline__ void write_neighbours(T *to, const T (&values)[COUNT]) {
  Pack<T, COUNT> pack;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) pack.of[i] = values[i];
  *reinterpret_cast<Pack<T, COUNT> *>(to) = pack;
}
