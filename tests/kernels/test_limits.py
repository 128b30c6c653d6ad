"""What the GPU device launches fits every architecture of CUDA 13, and parts of one: shapes alone, no kernel runs."""

from types import SimpleNamespace

import numpy as np
import pytest

from gpuhomog.device.gpu import GPU
from gpuhomog.device.gpu.runtime import ALLOWED_SHARED, MOST_DECLARED, CuPyRuntime
from gpuhomog.device.gpu.sources import instances, source
from gpuhomog.device.gpu.spectral import Evaluated
from gpuhomog.operators.averages.line_weights import Window, window_of

# Capability: shared memory that a block may ask for, multiprocessors, second-level cache in MiB.
ARCHITECTURES = {
    "7.5": (64, 46, 4),
    "8.0": (163, 108, 40),
    "8.6": (99, 84, 6),
    "9.0": (227, 132, 50),
    "a seventh of 9.0": (227, 16, 7),
    "12.0": (99, 170, 96),
}
DECLARED_SHARED = {"planar_moments.cu": 64}
"""Bytes beside the dynamic ones, of the sources below."""
FILES = ("planar_moments.cu", "taps.cu", "fft_lines.cu", "box_rings.cu", "box_together.cu", "ladder/box_steps.cu")
MOST_BLOCKS = (2**31 - 1, 65535, 65535)


class Launches:
    """A runtime that keeps what would be launched; its memory is not touched."""

    name, xp = "gpu:shapes", np

    def __init__(self, shared_kib, n_multiprocessors, cache_mib):
        self.shared_bytes, self.n_multiprocessors = shared_kib << 10, n_multiprocessors
        self.cache_bytes = cache_mib << 20
        self.files = set()

    def use(self):
        pass

    def launch(self, file, instance, grid, block, arguments, shared=0):
        self.files.add(file)
        where = f"{file} {instance} <<<{grid}, {block}, {shared}>>>"
        assert instance in instances(file), where
        assert all(0 <= n <= most for n, most in zip(grid, MOST_BLOCKS, strict=False)), where
        assert 1 <= np.prod(block) <= 1024, where
        assert shared + DECLARED_SHARED.get(file, 0) <= self.shared_bytes, where


def taps(rng, n, decimation):
    weights = np.full(int(rng.integers(1, min(n, 8 * decimation) + 1)), 0.1)
    return SimpleNamespace(weights=weights, first=int(rng.integers(-40, 40)), decimation=decimation)


def launch_everything(gpu, rng, dtype):
    shape = tuple(int(np.exp(rng.uniform(0, np.log(most)))) for most in (300, 300, 20000))
    values = np.empty(shape, dtype)
    gpu.planar_sum(values, 0)
    gpu._planar(values, 4, True, 0.5)

    steps = [int(rng.integers(1, 33)) for _ in range(3)]
    coarse = np.empty([max(1, n // step) for n, step in zip(shape, steps, strict=True)], dtype)
    fine = np.empty([n * step for n, step in zip(coarse.shape, steps, strict=True)], dtype)
    windows = [taps(rng, n, step) for n, step in zip(fine.shape, steps, strict=True)]
    gpu.contract_taps(fine, windows, int(rng.integers(1, 3)), 0.5)
    gpu.expand_taps(coarse, windows)

    ends = tuple(rng.random(int(rng.choice([1, 9]))))
    inside = np.exp(rng.uniform(0, 5.3, 3)).astype(int).tolist()
    box = [Window(int(rng.integers(-50, 50)), 1, ends, width, ends[::-1], 0.1) for width in inside]
    gpu.box_filter(values, box)
    if (rings := gpu._rings(values, box, len(ends))) is not None:
        gpu._box_by_rings(values, rings, box, len(ends))

    step = int(rng.choice([8, 16]))
    coarse_boxes = [[window_of(float(rng.uniform(step, 300)), 0.0, step, 0)] * 3 for _ in range(rng.integers(1, 9))]
    values = np.empty([max(1, n // step) * step for n in (*shape[:2], min(shape[2], 1100))], dtype)
    if all(window is not None for window, _, _ in coarse_boxes):
        gpu._box_sums_together(values, coarse_boxes, int(rng.integers(1, 3)), 0.5, *outputs(values, step, 16))

    n = int(rng.integers(4, 3700))
    if gpu._has_lines(n):
        spectrum = np.empty((n, 5, 4), np.result_type(dtype, np.complex64))
        gpu._filter_lines(Evaluated((n, 5, 7), ()), spectrum.dtype)(spectrum, spectrum, 1)


def outputs(values, step, most):
    n_out = tuple(n // step for n in values.shape)
    return n_out, np.empty((8, most, *n_out), values.dtype)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_launches_fit(architecture, rng):
    runtime = Launches(*ARCHITECTURES[architecture])
    gpu = GPU(runtime)
    with np.errstate(all="ignore"):  # of what nobody wrote
        for _ in range(40):
            for dtype in (np.float32, np.float64):
                launch_everything(gpu, rng, np.dtype(dtype))
    assert runtime.files >= {"planar_moments.cu", "taps.cu", "fft_lines.cu", "box_rings.cu", "box_together.cu"}


def test_shapes_that_need_many_blocks():
    runtime = Launches(*ARCHITECTURES["9.0"])
    gpu = GPU(runtime)
    for shape in ((1, 1, 70_000_000), (70_000_000, 1, 1), (1, 70_000_000, 1)):
        gpu.planar_sum(np.empty(shape, np.float32), 0)
    box = Window(-1, 1, (0.5,), 1, (0.5,), 0.5)
    values = np.empty((70_000, 16, 32), np.float32)
    gpu._box_in_passes(values, [box] * 3, 1, gpu._tables_of(values, [box] * 3, 1))
    assert "ladder/box_steps.cu" in runtime.files


def test_declared_shared_memory_is_known():
    for file in FILES[:-1]:
        declared = [line for line in source(file).splitlines() if "__shared__" in line and "extern" not in line]
        assert bool(declared) == (file in DECLARED_SHARED), declared


class Kernel:
    """CuPy's kernel as CUDA launches it; `told` is what it says that a block may have before anybody asks for more."""

    def __init__(self, declared, told):
        self.shared_size_bytes, self.asked, self.told, self.launched = declared, None, told, []

    @property
    def max_dynamic_shared_size_bytes(self):
        return self.told if self.asked is None else self.asked

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, n_bytes):
        assert n_bytes + self.shared_size_bytes <= 227 << 10
        self.asked = n_bytes

    def __call__(self, grid, block, arguments, shared_mem):
        most = ALLOWED_SHARED - self.shared_size_bytes if self.asked is None else self.asked
        assert shared_mem <= most, "CUDA_ERROR_INVALID_VALUE"
        self.launched.append(shared_mem)


@pytest.mark.parametrize("declared", [0, 16, 504, MOST_DECLARED])
@pytest.mark.parametrize("told_beside", [False, True])
def test_shared_memory_is_asked_for_beside_what_a_kernel_declares(declared, told_beside):
    kernel = Kernel(declared, ALLOWED_SHARED - declared * told_beside)
    runtime = object.__new__(CuPyRuntime)
    runtime._kernels = {("a.cu", "a"): kernel}
    sizes = [0, 100, *range(ALLOWED_SHARED - 6000, ALLOWED_SHARED + 600, 8), (227 << 10) - declared, ALLOWED_SHARED - 8]
    for shared in sizes:
        runtime.launch("a.cu", "a", (1,), (32,), (), shared)
    assert kernel.launched == sizes
