"""The harness itself: what breaks a rule of CUDA is reported, and what follows the rules gives CUDA's results."""

import itertools

import numpy as np
import pytest
from harness import build
from host_runtime import HostRuntime, KernelError, LaunchError
from requirements import needed

from gpuhomog.device.gpu.sources import kernel_folder

ALL = 0xFFFFFFFF

FAULTS = r"""
__global__ void read_at(const double* in, double* out, long long i) { out[0] = in[i]; }
__global__ void write_at(double* out, long long i) { out[i] = 1.0; }
__global__ void load4(const float* in, float* out) {
  *reinterpret_cast<float4*>(out) = __ldcs(reinterpret_cast<const float4*>(in));
}
__global__ void static_at(double* out, int i) {
  __shared__ double a[5];
  __shared__ double b[5];
  double* p = a;
  p[i] = 1.0;
  out[0] = p[i];
  b[0] = out[0];
}
template <typename T> __global__ void dynamic_at(T* out, int i) {
  extern __shared__ T all[];
  all[i] = T(2);
  out[0] = all[i];
}
__global__ void dynamic4(float* out, int aligned) {
  if (aligned) {
    extern __shared__ __align__(16) float all[];
    *reinterpret_cast<float4*>(all) = make_float4(1, 2, 3, 4);
    out[0] = all[3];
  } else {
    extern __shared__ float others[];
    *reinterpret_cast<float4*>(others) = make_float4(1, 2, 3, 4);
  }
}
__global__ void unwritten(double* out) {
  __shared__ double never[2];
  extern __shared__ float neither[];
  out[0] = never[1];
  out[1] = neither[1];
}
__global__ void local_at(double* out, int i) {
  double values[4] = {1, 2, 3, 4};
  double* p = values;
  out[0] = p[i];
}
__constant__ double table[3] = {1, 2, 3};
__global__ void constant_at(double* out, int i) {
  const double* p = table;
  out[0] = p[i];
}
__global__ void overflow(int* out, int a) { out[0] = a + 1; }
__global__ void part_at_barrier(int n) {
  if (threadIdx.x < n) __syncthreads();
}
__global__ void two_barriers(int n) {
  if (threadIdx.x < n)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void one_barrier_more(int n) {
  for (int i = 0; i < (threadIdx.x < n ? 2 : 1); ++i) __syncthreads();
}
__global__ void part_at_shuffle(int* out, unsigned mask, int n) {
  if (threadIdx.x < n) out[threadIdx.x] = __shfl_xor_sync(mask, threadIdx.x, 1);
  __syncthreads();
}
__global__ void masks_differ(int* out) {
  out[threadIdx.x] = __shfl_xor_sync(threadIdx.x < 16 ? 0xffffffffu : 0xfffffffeu, threadIdx.x, 1);
}
__global__ void shuffle_from(int* out, int lane, int width) {
  out[threadIdx.x] = __shfl_sync(0xffffffffu, threadIdx.x, lane, width);
}
__global__ void no_barrier(double* out) {
  __shared__ double one;
  if (threadIdx.x == 0) one = 7.0;
  out[threadIdx.x] = one;
}
__global__ void no_barrier_between_warps(double* out) {
  __shared__ double one;
  if (threadIdx.x == 0) one = 7.0;
  __syncwarp();
  out[threadIdx.x] = one;
}
__global__ void no_syncwarp(int* out) {
  __shared__ int each[32];
  each[threadIdx.x] = threadIdx.x;
  out[threadIdx.x] = each[31 - threadIdx.x];
}
__global__ void blocks_in_turn(int* out) { out[0] = blockIdx.x; }
__global__ void float_sum(float* out) { atomicAdd(out, 1.0f / (1 + blockIdx.x)); }
__global__ void __launch_bounds__(64, 2) bounded(int* out) { out[0] = 1; }
__global__ void forever(volatile int* out) {
  while (out[0] == 0) {}
}
__global__ void deep(double* out, int n) {
  volatile double values[40000];
  values[n] = 1.0;
  out[0] = values[n];
}
__global__ void double_in(const double* in, float* out, double a) { out[0] = float(in[0] + a); }
"""
FAULT_INSTANCES = [
    *["read_at", "write_at", "load4", "static_at", "dynamic_at<float>", "dynamic_at<double>", "dynamic4", "unwritten"],
    *[
        "local_at",
        "constant_at",
        "overflow",
        "part_at_barrier",
        "two_barriers",
        "one_barrier_more",
        "part_at_shuffle",
        "shuffle_from",
    ],
    *[
        "no_barrier",
        "no_barrier_between_warps",
        "masks_differ",
        "no_syncwarp",
        "blocks_in_turn",
        "float_sum",
        "bounded",
        "forever",
        "deep",
        "double_in",
    ],
]

RIGHT = r"""
#include <math.h>
/* A comment of
   two lines: __shared__ int nothing; */
template <typename T> __global__ void shuffles(const T* in, const int* by, T* out, int width) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, n = blockDim.x * gridDim.x;
  out[i] = __shfl_sync(0xffffffffu, in[i], by[i], width);
  out[n + i] = __shfl_up_sync(0xffffffffu, in[i], by[0], width);
  out[2 * n + i] = __shfl_down_sync(0xffffffffu, in[i], by[0], width);
  out[3 * n + i] = __shfl_xor_sync(0xffffffffu, in[i], by[0], width);
}
__global__ void votes(const int* in, unsigned* out) {
  const int i = threadIdx.x, n = blockDim.x;
  out[i] = __ballot_sync(0xffffffffu, in[i]);
  out[n + i] = __any_sync(0xffffffffu, in[i]);
  out[2 * n + i] = __all_sync(0xffffffffu, in[i]);
  out[3 * n + i] = __syncthreads_count(in[i]);
  out[4 * n + i] = __syncthreads_or(in[i]);
  out[5 * n + i] = __syncthreads_and(in[i]);
}
__global__ void halves(unsigned* out) {
  const unsigned half = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
  unsigned sum = threadIdx.x;
  for (int step = 8; step > 0; step /= 2) sum += __shfl_xor_sync(half, sum, step);
  if (threadIdx.x < 16) sum += __shfl_sync(half, sum, 0);
  __syncwarp();
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, sum, 16) + 1000 * __any_sync(0xffffffffu, threadIdx.x == 31);
}
template <typename T, int BLOCK> __global__ void __launch_bounds__(BLOCK)
    block_sum(const T* __restrict__ in, double* __restrict__ out, long long n) {
  extern __shared__ __align__(16) double all[];
  __shared__ T warps[BLOCK / 32][2];
  T sum = 0;
#pragma unroll 4
  for (long long i = blockIdx.x * 1LL * BLOCK + threadIdx.x; i < n; i += 1LL * BLOCK * gridDim.x) sum += in[i];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32][1] = sum;
  __syncthreads();
  if (threadIdx.x < BLOCK / 32) all[threadIdx.x] = warps[threadIdx.x][1];
  __syncthreads();
  for (int half = BLOCK / 64; half > 0; half /= 2) {
    if (threadIdx.x < half) all[threadIdx.x] += all[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) out[blockIdx.x] = all[0];
}
__global__ void where(int* out) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * blockDim.x * blockDim.y * blockDim.z + thread] = block * 1000 + thread;
}
__global__ void functions(const double* x, double* out, int n) {
  const int i = threadIdx.x;
  if (i >= n) return;
  double s, c;
  sincospi(x[i], &s, &c);
  out[i] = s;
  out[n + i] = c;
  out[2 * n + i] = sinpi(x[i]);
  out[3 * n + i] = cospi(x[i]);
  out[4 * n + i] = rsqrt(1.0 + x[i] * x[i]);
  out[5 * n + i] = j0(x[i]) + j1(x[i]);
  out[6 * n + i] = fma(x[i], x[i], -__dmul_rn(x[i], x[i]));
  float sf, cf;
  sincosf((float)x[i], &sf, &cf);
  out[7 * n + i] = __fmul_rn(sf, cf);
  out[8 * n + i] = __longlong_as_double(__double_as_longlong(x[i])) + __int_as_float(__float_as_int(1.5f));
  out[9 * n + i] = min(x[i], 0.5) + max(3, i) + min(2LL, 7LL);
}
__global__ void integers(const unsigned long long* a, unsigned long long* high, int* out) {
  high[0] = __umul64hi(a[0], a[1]);
  high[1] = (unsigned long long)__mul64hi((long long)a[0], (long long)a[1]);
  out[0] = __clz(1);
  out[1] = __clz(0);
  out[2] = __clzll(1LL << 40);
  out[3] = __popc(0xf0f0u);
  out[4] = __popcll(a[0]);
  out[5] = __ffs(8);
  out[6] = warpSize;
  atomicAdd(&out[7], 3);
  atomicMin(&out[8], -5);
  atomicMax(&out[9], 5);
  atomicOr(&out[10], 6);
}
__global__ void complex_scale(const float2* in, float2* out, float2 by, bool twice) {
  const float2 v = in[threadIdx.x];
  const float f = twice ? 2.0f : 1.0f;
  out[threadIdx.x] = make_float2(f * (v.x * by.x - v.y * by.y), f * (v.x * by.y + v.y * by.x));
}
__global__ void copy4(const float* in, float* out) {
  reinterpret_cast<float4*>(out)[threadIdx.x] = __ldg(reinterpret_cast<const float4*>(in) + threadIdx.x);
}
__global__ void shift(const double* in, double* out, int n) {
  for (int i = 0; i < n; ++i) out[i] = in[i] + 1.0;
}
__global__ void address(const double* in, long long* out) { out[0] = (long long)in % 256; }
template <typename T> __global__ void half_of(const T* in, T* out) { out[threadIdx.x] = in[threadIdx.x] / 2; }
__global__ void optional(const double* in, int* out) { out[0] = in == nullptr; }
"""
RIGHT_INSTANCES = [
    *[f"shuffles<{name}>" for name in ("float", "double", "int", "unsigned", "long long")],
    *["votes", "halves", "block_sum<float, 64>", "block_sum<double, 256>", "where", "functions", "integers"],
    *["complex_scale", "copy4", "shift", "address", "optional", "half_of<float>", "half_of<double>"],
]
COPIES = r"""
template <typename T, int OPEN> __global__ void ring(const T* in, T* out, int n) {
  constexpr int SLOTS = 3;
  __shared__ T slots[SLOTS][32];
  const int lane = threadIdx.x;
  for (int i = 0; i < SLOTS; ++i) {
    if (i < n) begin_copy<sizeof(T)>(&slots[i][lane], in + 32 * i + lane);
    close_copies();
  }
  for (int i = 0; i < n; ++i) {
    wait_copies<OPEN>();
    out[32 * i + lane] = slots[i % SLOTS][lane];
    if (i + SLOTS < n) begin_copy<sizeof(T)>(&slots[i % SLOTS][lane], in + 32 * (i + SLOTS) + lane);
    close_copies();
  }
  wait_copies<0>();
}
__global__ void copy_of_another(const double* in, double* out, int who_waits) {
  __shared__ double value;
  if (threadIdx.x == 0) {
    begin_copy<8>(&value, in);
    close_copies();
  }
  if (threadIdx.x == who_waits) wait_copies<0>();
  __syncwarp();
  out[threadIdx.x] = value;
  if (threadIdx.x == 0) wait_copies<0>();
}
__global__ void copy_not_closed(const double* in, double* out) {
  __shared__ double value;
  begin_copy<8>(&value, in);
  wait_copies<0>();
  out[0] = value;
}
__global__ void copy_not_waited_for(const double* in) {
  __shared__ double value;
  begin_copy<8>(&value, in);
  close_copies();
}
__global__ void copy_from(const float* in, float* out, int i) {
  __shared__ __align__(8) float values[4];
  begin_copy<8>(values, in + i);
  close_copies();
  wait_copies<0>();
  out[0] = values[1];
}
"""
COPY_INSTANCES = [
    *[f"ring<{name}, {open}>" for name in ("float", "double", "float4") for open in (0, 2, 3)],
    *["copy_of_another", "copy_not_closed", "copy_not_waited_for", "copy_from"],
]
PROGRAMS = {
    "faults.cu": (FAULTS, FAULT_INSTANCES),
    "right.cu": (RIGHT, RIGHT_INSTANCES),
    "copies.cu": ((kernel_folder() / "common.cuh").read_text() + COPIES, COPY_INSTANCES),
}


@pytest.fixture(scope="module")
def runtime(sanitizers):
    runtime = HostRuntime(PROGRAMS)
    yield runtime
    runtime.close()


def run(runtime, instance, arguments, grid=(1,), block=(1,), shared=0):
    file = next(name for name, (_, instances) in PROGRAMS.items() if instance in instances)
    runtime.launch(file, instance, grid, block, arguments, shared)
    return arguments


def refuses(runtime, message, *launch, **shape):
    with pytest.raises(KernelError, match=message) as refused:
        run(runtime, *launch, **shape)
    return str(refused.value)


@pytest.mark.parametrize("i", [-1, 5])
def test_an_access_outside_an_array_is_reported_with_its_place(runtime, i):
    inside, out = np.arange(7.0)[1:6], np.zeros(1)
    run(runtime, "read_at", [inside, out, np.int64(4)])
    assert out[0] == 5.0
    text = refuses(runtime, "heap-buffer-overflow|use-after-poison", "read_at", [inside, out, np.int64(i)])
    assert "READ of size 8" in text and "faults.cu:2" in text and "kernel error in read_at, block (0, 0, 0)" in text
    assert "Shadow bytes" not in text
    text = refuses(runtime, "heap-buffer-overflow|use-after-poison", "write_at", [np.zeros(5), np.int64(i)])
    assert "WRITE of size 8" in text and "faults.cu:3" in text


def test_a_misaligned_vector_is_reported(runtime):
    values, out = np.arange(8, dtype=np.float32), np.zeros(4, np.float32)
    run(runtime, "load4", [values[4:], out])
    assert out.tolist() == [4, 5, 6, 7]
    assert "faults.cu:5" in refuses(runtime, "misaligned address", "load4", [values[1:5], out])
    assert "float4" in refuses(runtime, "misaligned address", "load4", [values[:4], np.zeros(6, np.float32)[2:]])


def test_an_access_outside_shared_memory_is_reported(runtime):
    run(runtime, "static_at", [np.zeros(1), np.int32(4)])
    for i in (5, -1):
        refuses(runtime, "heap-buffer-overflow|use-after-poison", "static_at", [np.zeros(1), np.int32(i)])
    for name, dtype in (("dynamic_at<float>", np.float32), ("dynamic_at<double>", np.float64)):
        size = 3 * np.dtype(dtype).itemsize
        out = np.zeros(1, dtype)
        run(runtime, name, [out, np.int32(2)], shared=size)
        assert out[0] == 2
        refuses(runtime, "heap-buffer-overflow", name, [out, np.int32(3)], shared=size)
        refuses(runtime, "use-after-poison", name, [out, np.int32(-1)], shared=size)
        refuses(runtime, "poison|overflow", name, [out, np.int32(0)], shared=0)


def test_shared_memory_is_aligned_as_declared_and_no_better(runtime):
    out = np.zeros(1, np.float32)
    run(runtime, "dynamic4", [out, np.int32(1)], shared=16)
    assert out[0] == 4
    refuses(runtime, "misaligned address", "dynamic4", [out, np.int32(0)], shared=16)


def test_memory_nobody_wrote_is_not_a_number(runtime):
    out = np.zeros(2)
    run(runtime, "unwritten", [out], shared=8)
    assert np.isnan(out).all()
    for values in (runtime.xp.empty((2, 3)), runtime.xp.empty_like(np.zeros((3, 2), order="F")[:, :1])):
        assert np.isnan(values).all()
    assert runtime.xp.empty(3, np.int32).tolist() == [-1] * 3


def test_an_access_outside_local_or_constant_arrays_is_reported(runtime):
    for name, size in (("local_at", 4), ("constant_at", 3)):
        out = np.zeros(1)
        run(runtime, name, [out, np.int32(size - 1)])
        assert out[0] == size
        refuses(runtime, "stack-buffer-overflow|global-buffer-overflow", name, [out, np.int32(size)])
    refuses(runtime, "stack-overflow|SEGV", "deep", [np.zeros(1), np.int32(0)])


def test_a_signed_overflow_is_reported(runtime):
    refuses(runtime, "signed integer overflow", "overflow", [np.zeros(1, np.int32), np.int32(2**31 - 1)])


def test_threads_that_part_at_a_barrier_are_reported(runtime):
    run(runtime, "part_at_barrier", [np.int32(64)], block=(64,))
    text = refuses(runtime, "part at __syncthreads", "part_at_barrier", [np.int32(40)], block=(64,))
    assert "threads 0 to 39 wait at the barrier" in text and "threads 40 to 63 have left the kernel" in text
    text = refuses(runtime, "part at __syncthreads", "two_barriers", [np.int32(40)], block=(64,))
    assert text.count("wait at the barrier") == 2
    refuses(runtime, "part at __syncthreads", "one_barrier_more", [np.int32(40)], block=(64,))


def test_lanes_that_wait_for_each_other_are_reported(runtime):
    out = np.zeros(64, np.int32)
    run(runtime, "part_at_shuffle", [out, np.uint32(0xFFFF), np.int32(16)], block=(32,))
    assert out[:16].tolist() == [i ^ 1 for i in range(16)]
    text = refuses(runtime, "part at __sync", "part_at_shuffle", [out, np.uint32(ALL), np.int32(16)], block=(32,))
    assert "threads 0 to 15 wait for lanes 0xffffffff of their warp" in text
    text = refuses(runtime, "lanes wait for each other", "masks_differ", [out], block=(32,))
    assert "threads 0 to 15 wait for lanes 0xffffffff" in text and "16 to 31 wait for lanes 0xfffffffe" in text
    refuses(runtime, "not in its own mask", "part_at_shuffle", [out, np.uint32(0xFFFF), np.int32(17)], block=(32,))


def test_a_shuffle_from_a_lane_that_is_not_there_is_reported(runtime):
    out = np.zeros(32, np.int32)
    run(runtime, "shuffle_from", [out, np.int32(20), np.int32(32)], block=(32,))
    assert set(out) == {20}
    refuses(runtime, "reads lane 20", "shuffle_from", [out, np.int32(20), np.int32(32)], block=(20,))
    refuses(runtime, "power of two", "shuffle_from", [out, np.int32(0), np.int32(12)], block=(32,))


def test_results_that_depend_on_the_order_of_threads_are_reported(runtime):
    for name, out, grid, block in (
        ("no_barrier", np.zeros(64), (1,), (64,)),
        ("no_barrier_between_warps", np.zeros(64), (1,), (64,)),
        ("no_syncwarp", np.zeros(32, np.int32), (1,), (32,)),
        ("blocks_in_turn", np.zeros(1, np.int32), (2,), (1,)),
        ("float_sum", np.zeros(1, np.float32), (1000,), (1,)),
    ):
        refuses(runtime, "depend on the order", name, [out], grid=grid, block=block)
        assert not out.any()


@pytest.mark.parametrize("open_", [0, 2])
@pytest.mark.parametrize("c_name, words", [("float", 1), ("double", 2), ("float4", 4)])
def test_a_copy_comes_when_it_is_waited_for(runtime, rng, c_name, words, open_):
    for n in (1, 2, 7):
        dtype = np.float64 if c_name == "double" else np.float32
        values = rng.standard_normal(n * 32 * (4 if words == 4 else 1)).astype(dtype)
        out = runtime.xp.empty_like(values)
        run(runtime, f"ring<{c_name}, {open_}>", [values, out, np.int32(n)], block=(32,))
        np.testing.assert_array_equal(out, values)


def test_a_copy_that_is_read_too_early_is_reported_or_not_a_number(runtime):
    for c_name, values in (("double", np.ones(160)), ("float4", np.ones(640, np.float32))):
        arguments = [values, values * 0, np.int32(5)]
        text = refuses(runtime, "use-after-poison", f"ring<{c_name}, 3>", arguments, block=(32,))
        assert "copies.cu" in text and "READ" in text
    out = np.zeros(160, np.float32)
    runtime.launch("copies.cu", "ring<float, 3>", (1,), (32,), [np.ones(160, np.float32), out, np.int32(5)])
    assert np.isnan(out[:96]).all()  # those that the slots held first


def test_copies_keep_to_their_rules(runtime):
    inside, out = np.arange(6.0), np.zeros(32)
    run(runtime, "copy_of_another", [inside[1:], out, np.int32(0)], block=(32,))
    assert (out == 1.0).all()
    refuses(runtime, "use-after-poison", "copy_of_another", [inside, out, np.int32(1)], block=(32,))
    refuses(runtime, "use-after-poison", "copy_not_closed", [inside, out])
    refuses(runtime, "leaves the kernel without waiting for a copy", "copy_not_waited_for", [inside])
    floats, result = np.arange(6, dtype=np.float32), np.zeros(1, np.float32)
    run(runtime, "copy_from", [floats, result, np.int32(4)])
    assert result[0] == 5.0
    refuses(runtime, "misaligned", "copy_from", [floats, result, np.int32(1)])
    refuses(runtime, "overflow|poison", "copy_from", [floats, result, np.int32(6)])


def test_launches_that_cuda_refuses_are_refused(runtime):
    out = np.zeros(1, np.int32)
    run(runtime, "bounded", [out], block=(64,))
    refuses(runtime, r"breaks __launch_bounds__\(64\)", "bounded", [out], block=(65,))
    for message, shape in (
        ("1 to 1024 threads", {"block": (1025,)}),
        ("1 to 1024 threads", {"block": (32, 33)}),
        ("at most 64 along z", {"block": (1, 1, 65)}),
        ("1 to 1024 threads", {"block": (0,)}),
        ("a grid has at most", {"grid": (1, 65536)}),
        ("a grid has at most", {"grid": (1, 1, 65536)}),
        ("a grid has at most", {"grid": (2**31,)}),
        ("a grid has at most", {"grid": (-1,)}),
        ("whole numbers", {"grid": (1.5,)}),
        ("232448 at most", {"shared": 232449}),
    ):
        refuses(runtime, message, "bounded", [out], **shape)
    with pytest.raises(KernelError, match="more than 232448"):
        run(runtime, "static_at", [np.zeros(1), np.int32(0)], shared=232448)
    with pytest.raises(LaunchError, match="no such instance is declared"):
        runtime.launch("right.cu", "block_sum<float, 63>", (1,), (1,), [])


def test_arguments_that_do_not_fit_the_parameters_are_refused(runtime):
    inside, out, by = np.zeros(4), np.zeros(1, np.float32), np.float64(1)
    run(runtime, "double_in", [inside, out, by])
    read_only = out.copy()
    read_only.flags.writeable = False
    for message, arguments in (
        ("2 arguments for 3", [inside, out]),
        ("4 arguments for 3", [inside, out, by, by]),
        ("argument 0 is an array of float32; the parameter is const f8", [out, out, by]),
        ("argument 1 is an array of float64; the parameter is f4", [inside, inside, by]),
        ("argument 1 is a read-only array", [inside, read_only, by]),
        ("argument 2 is a scalar float32; the parameter is f8", [inside, out, np.float32(1)]),
        ("argument 2 is a scalar int64; the parameter is f8", [inside, out, np.int64(1)]),
        ("argument 2 is float, neither", [inside, out, 1.0]),
        ("argument 2 is an array of float64", [inside, out, inside]),
        ("argument 0 is a scalar float64", [by, out, by]),
        ("argument 0 is list, neither", [[1.0], out, by]),
        ("not contiguous", [np.zeros(8)[::2], out, by]),
    ):
        with pytest.raises(LaunchError, match=message):
            run(runtime, "double_in", arguments)


def test_a_kernel_without_end_is_ended(sanitizers):
    runtime = HostRuntime(PROGRAMS, timeout=1.0)
    refuses(runtime, "No answer within 1 seconds", "forever", [np.zeros(1, np.int32)])
    run(runtime, "bounded", [np.zeros(1, np.int32)])
    runtime.close()


def test_nothing_is_launched_on_an_empty_grid(runtime):
    before = len(runtime.launches)
    run(runtime, "forever", [np.zeros(1, np.int32)], grid=(0, 3))
    assert len(runtime.launches) == before
    run(runtime, "bounded", [np.zeros(1, np.int32)], grid=(2, 1), block=(3, 4), shared=8)
    assert runtime.launches[-1] == ("faults.cu", "bounded", (2, 1, 1), (3, 4, 1), 8)


@pytest.mark.parametrize("width", [1, 2, 8, 32])
@pytest.mark.parametrize("c_name, dtype", [
    ("float", np.float32), ("double", np.float64), ("int", np.int32), ("unsigned", np.uint32), ("long long", np.int64),
])  # fmt: skip
def test_shuffles_are_cudas(runtime, rng, c_name, dtype, width):
    n, block = 128, 64
    values = rng.integers(0, 2**31 - 1, n).astype(dtype)
    by = rng.integers(0, 32, n).astype(np.int32)
    out = runtime.xp.empty((4, n), dtype)
    run(runtime, f"shuffles<{c_name}>", [values, by, out, np.int32(width)], grid=(2,), block=(block,))
    delta = int(by[0])
    for i in range(n):
        warp, lane = i // 32 * 32, i % 32
        first = lane // width * width
        group = range(first, first + width)
        up, down, other = lane - delta, lane + delta, lane ^ delta
        sources = (
            first + by[i] % width,
            up if up in group else lane,
            down if down in group else lane,
            other if other < first + width else lane,
        )
        assert out[:, i].tolist() == [values[warp + source] for source in sources]


def test_votes_are_cudas(runtime, rng):
    n = 96
    for votes in (rng.integers(0, 3, n), np.ones(n), np.zeros(n), np.arange(n) // 32 == 1):
        votes = votes.astype(np.int32)
        out = runtime.xp.empty((6, n), np.uint32)
        run(runtime, "votes", [votes, out], block=(n,))
        warps = votes.reshape(-1, 32) != 0
        ballot = [sum(1 << lane for lane in range(32) if warp[lane]) for warp in warps]
        assert out[0].tolist() == np.repeat(ballot, 32).tolist()
        assert out[1].tolist() == np.repeat(warps.any(1), 32).tolist()
        assert out[2].tolist() == np.repeat(warps.all(1), 32).tolist()
        assert set(out[3]) == {np.count_nonzero(votes)}
        assert set(out[4]) == {votes.any()} and set(out[5]) == {votes.all()}


def test_halves_of_a_warp_go_different_ways(runtime):
    out = runtime.xp.empty(32, np.uint32)
    run(runtime, "halves", [out], block=(32,))
    low, high = 2 * sum(range(16)), sum(range(16, 32))
    assert out.tolist() == [1000 + high] * 16 + [1000 + low] * 16


@pytest.mark.parametrize("flags", [(), ("-DUCONTEXT_FIBRES",)])
def test_a_block_reduction_is_numpys_sum(sanitizers, rng, flags):
    runtime = HostRuntime(PROGRAMS, flags=flags)
    for (c_name, dtype, block), n in itertools.product(
        (("float", np.float32, 64), ("double", np.float64, 256)), (0, 1, 63, 1000)
    ):
        values = rng.integers(-1000, 1000, n).astype(dtype)  # sums of whole numbers are exact
        out = runtime.xp.empty(3)
        arguments = [values, out, np.int64(n)]
        run(runtime, f"block_sum<{c_name}, {block}>", arguments, grid=(3,), block=(block,), shared=block // 32 * 8)
        assert out.sum() == values.sum()
    runtime.close()


def test_indices_of_threads_and_blocks(runtime):
    out = runtime.xp.empty((24, 30), np.int32)
    run(runtime, "where", [out], grid=(2, 3, 4), block=(5, 3, 2))
    assert (out == 1000 * np.arange(24)[:, None] + np.arange(30)).all()


def test_functions_are_cudas(runtime):
    x = np.array([0.0, 0.5, 1.0, -1.5, 2.0, 0.3, -7.25, 1e6 + 0.5])
    out = runtime.xp.empty((10, x.size))
    run(runtime, "functions", [x, out, np.int32(x.size)], block=(32,))
    sine = np.sin(np.pi * np.fmod(x, 2))
    np.testing.assert_allclose(out[[0, 2]], [sine, sine], atol=1e-15)
    assert (out[0, [0, 2, 4]] == 0).all() and (out[1, [1, 3, 7]] == 0).all()  # exact zeros of sinpi and cospi
    np.testing.assert_allclose(out[[1, 3]], [np.cos(np.pi * np.fmod(x, 2))] * 2, atol=1e-15)
    np.testing.assert_allclose(out[4], 1 / np.sqrt(1 + x**2), rtol=4e-16)
    assert np.isfinite(out[5]).all() and out[5, 0] == 1.0
    assert out[6, 5] != 0.0 and out[6, 0] == 0.0  # the rounding error of a product, which only a fused sum sees
    np.testing.assert_allclose(out[7, :7], (np.sin(x) * np.cos(x))[:7], atol=1e-6)
    np.testing.assert_allclose(out[8], x + 1.5)
    np.testing.assert_allclose(out[9], np.minimum(x, 0.5) + np.maximum(3, np.arange(8)) + 2)


def test_floats_are_flushed_to_zero_and_doubles_are_not(runtime):
    floats, halves = np.array([3e-38, 2e-38, 1e-40], np.float32), np.ones(3, np.float32)
    run(runtime, "half_of<float>", [floats, halves], block=(3,))
    assert halves.tolist() == [floats[0] / 2, 0.0, 0.0]
    doubles, halves = np.array([3e-308, 1e-310]), np.ones(2)
    run(runtime, "half_of<double>", [doubles, halves], block=(2,))
    assert (halves == doubles / 2).all() and (halves > 0).all()


def test_integer_functions_are_cudas(runtime):
    a = np.array([2**63 + 12345, 2**62 + 1], np.uint64)
    high, out = runtime.xp.empty(2, np.uint64), np.zeros(11, np.int32)
    runtime.check_order = False  # atomics of one thread: once is enough
    run(runtime, "integers", [a, high, out])
    runtime.check_order = True
    signed = [int(v) for v in a.astype(np.int64)]
    assert high.tolist() == [int(a[0]) * int(a[1]) >> 64, (signed[0] * signed[1] >> 64) % 2**64]
    assert out.tolist() == [31, 32, 23, 8, int(a[0]).bit_count(), 4, 32, 3, -5, 5, 6]


def test_complex_numbers_booleans_and_no_array(runtime):
    values = np.array([1 + 2j, -3j], np.complex64)
    out = runtime.xp.empty(2, np.complex64)
    run(runtime, "complex_scale", [values, out, np.complex64(1 - 1j), np.bool_(True)], block=(2,))
    assert out.tolist() == (values * (2 - 2j)).tolist()
    absent = np.zeros(1, np.int32)
    run(runtime, "optional", [np.uintp(0), absent])
    assert absent[0] == 1


def test_arrays_that_share_memory_share_it_on_the_device(runtime):
    values = np.zeros(10)
    run(runtime, "shift", [values[:9], values[1:], np.int32(9)])
    assert values.tolist() == list(range(10))  # each reads what the one before wrote: 0 + 1 + 1 ...
    values = np.arange(12.0)
    run(runtime, "shift", [values, values, np.int32(12)])
    assert values.tolist() == list(range(1, 13))
    fields = np.zeros((2, 3, 4))
    run(runtime, "shift", [fields[0], fields[1].T, np.int32(12)])
    assert (fields[0] == 0).all() and (fields[1] == 1).all()
    # Neighbours in one allocation are apart: whoever leaves one for the other is reported.
    refuses(runtime, "overflow|poison", "shift", [values[:4], values[4:], np.int32(5)])


@pytest.mark.parametrize("offset", [0, 1, 2, 31, 32, 33])
def test_arrays_lie_where_cudas_allocations_would_put_them(runtime, offset):
    out = runtime.xp.empty(1, np.int64)
    run(runtime, "address", [np.zeros(40)[offset:], out])
    assert out[0] == 8 * offset % 256


def test_sources_that_cannot_be_read_are_refused():
    with pytest.raises(build.BuildError, match="one __shared__ variable at a time"):
        build.translated("a.cu", "__global__ void f() { __shared__ int a[2], b; }", [])
    text = "extern __shared__ float all[];\n__global__ void f(float* out) { out[0] = all[0]; }\n"
    runtime = HostRuntime({"outside.cu": (text, ["f"])})
    with pytest.raises(KernelError, match="inside a function"):
        runtime.launch("outside.cu", "f", (1,), (1,), [np.zeros(1, np.float32)], 4)


def test_a_source_that_does_not_compile_is_refused_in_the_compilers_words(sanitizers):
    runtime = HostRuntime({"wrong.cu": ("__global__ void f(int* out) { out[0] = nothing; }", ["f"])})
    with pytest.raises(build.BuildError, match=r"wrong\.cu:1:\d+: error: .nothing. was not declared"):
        runtime.launch("wrong.cu", "f", (1,), (1,), [np.zeros(1, np.int32)])


def test_programs_are_built_once_and_again_when_anything_changes(sanitizers, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = "__global__ void f(int* out) { out[0] = 1; }"
    first = build.program("f.cu", text, ["f"])
    built = first.stat().st_mtime_ns
    assert build.program("f.cu", text, ["f"]) == first and first.stat().st_mtime_ns == built
    others = {build.program("f.cu", text + "\n#define A 1", ["f"]), build.program("f.cu", text, ["f"], ["-DOTHER"])}
    assert len(others | {first}) == 3


def test_missing_tools_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.why_not.__wrapped__() == "g++ is not on PATH"
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\necho libasan.so\n")
    compiler.chmod(0o755)
    assert "libasan.so" in build.why_not.__wrapped__()
    compiler.write_text("#!/bin/sh\necho /usr/lib/libasan.so\n")
    assert build.why_not.__wrapped__() is None


def test_a_missing_tool_skips_unless_it_is_required(monkeypatch):
    monkeypatch.setenv("GPUHOMOG_REQUIRE", "compiler, sanitizers")
    needed("sanitizers", None)
    with pytest.raises(pytest.fail.Exception, match="names sanitizers, but none"):
        needed("sanitizers", "none")
    monkeypatch.setenv("GPUHOMOG_REQUIRE", "compiler")
    with pytest.raises(pytest.skip.Exception, match="none"):
        needed("sanitizers", "none")
