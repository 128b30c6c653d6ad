"""Kernels whose blocks share rows, on shapes nobody chose: on GPUs of any size, against the CPU."""

from types import SimpleNamespace

import numpy as np
import pytest
from host_runtime import HostRuntime

from gpuhomog.device import CPU
from gpuhomog.device.gpu import GPU
from gpuhomog.operators.averages.line_weights import Window, window_of

SINGLE = SimpleNamespace(weights=np.ones(1), first=0, decimation=1)
POINTS = 30000


@pytest.fixture(scope="module")
def gpu(sanitizers):
    runtime = HostRuntime(check_order=False)
    yield GPU(runtime)
    runtime.close()


def some_shape(rng):
    """Three axes of any order, from one point to many."""
    while True:
        shape = np.exp(rng.uniform(0, np.log([40, 1200, 1200]))).astype(int)
        if shape.prod() < POINTS:
            return tuple(rng.permutation(shape).tolist())


def planar(gpu, rng, dtype):
    values = rng.standard_normal(some_shape(rng)).astype(dtype)
    found, exact = gpu.planar_moments(values, 4, 0.3), CPU().planar_moments(values, 4, 0.3)
    assert found[3:] == exact[3:]
    return tuple(np.concatenate(both[:3], axis=1).astype(dtype) for both in (found, exact))


def taps(gpu, rng, dtype):
    coarse = some_shape(rng)
    windows = [SINGLE] * 3
    for axis in [int(rng.integers(3))] if rng.random() < 0.6 else range(3):
        d = int(rng.integers(1, 5))
        weights = rng.random(int(rng.integers(1, 8 * d + 1)))
        weights /= weights.sum()
        windows[axis] = SimpleNamespace(weights=weights, first=int(rng.integers(-30, 30)), decimation=d)
    fine = [n * window.decimation for n, window in zip(coarse, windows, strict=True)]
    values, small = (rng.standard_normal(shape).astype(dtype) for shape in (fine, coarse))
    found = [gpu.contract_taps(values, windows, 2, 0.4), gpu.expand_taps(small, windows)]
    exact = [CPU().contract_taps(values, windows, 2, 0.4), CPU().expand_taps(small, windows)]
    return tuple(np.concatenate([one.ravel() for one in both]) for both in (found, exact))


def rings(gpu, rng, dtype):
    head = tuple(rng.random(int(rng.choice([1, 9]))))
    tail = tuple(1 - weight for weight in head) if rng.random() < 0.5 else head[::-1]
    inside = np.exp(rng.uniform(0, 4, 3)).astype(int).tolist()
    windows = [Window(int(rng.integers(-50, 50)), 1, head, width, tail, 1 / (width + 9)) for width in inside]
    values = rng.standard_normal(some_shape(rng)).astype(dtype)
    found = gpu._box_by_rings(values, gpu._rings(values, windows, len(head)), windows, len(head))
    return found, CPU().box_filter(values, windows)


def together(gpu, rng, dtype):
    step = int(rng.choice([8, 16]))
    shape = [max(1, n // step) * step for n in (20, *some_shape(rng)[:2])]
    width = float(rng.uniform(step, 100))
    windows = [[window_of(width + more * step, 0.0, step, 0)] * 3 for more in range(int(rng.integers(2, 6)))]
    values = rng.standard_normal(shape).astype(np.float32)
    return gpu.box_sums(values, windows, 2, 0.2), CPU().box_sums(values, windows, 2, 0.2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("primitive", [planar, taps, rings, together])
def test_any_shape(gpu, primitive, dtype, rng):
    runtime = gpu.runtime
    for _ in range(8 if primitive is rings else 24):
        runtime.n_multiprocessors = int(rng.choice([1, 2, 8]))
        runtime.shared_bytes = int(rng.choice([64, 99, 227])) << 10 if primitive is not rings else 227 << 10
        found, exact = primitive(gpu, rng, dtype)
        assert found.shape == exact.shape
        scale = 1 + np.abs(exact).max() if exact.size else 1.0
        np.testing.assert_allclose(found, exact, rtol=0, atol=2e3 * np.finfo(exact.dtype).eps * scale)
