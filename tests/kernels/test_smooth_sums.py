"""Sums over smooth windows: the CPU's against points one by one, the kernels' against the CPU's."""

from math import erfc, exp, sqrt

import numpy as np
import pytest

from gpuhomog.device import CPU
from gpuhomog.device.gpu import features as launches

SHAPES = [(5, 7, 11), (1, 9, 40), (6, 1, 3), (4, 5, 33)]
ORIGIN = np.array([0.3, -0.2, 0.1])
STEPS = np.array([[0.5, 0.05, 0.0], [-0.1, 0.4, 0.02], [0.03, 0.0, 0.45]])
ALONG, ASIDE = np.array([0.6, 0.0, 0.8]), np.array([0.0, 1.0, 0.0])


def windows_of():
    """One of each kind, none with special numbers."""
    none = [0.0] * 3
    rows = [
        [0.0, 0.0, 0.3, 0.8, 0.7, 1.0, 1.6, *none, *none],
        [1.0, 0.9, 0.25, 0.7, 1.1, 0.6, 0.4, *ALONG, *none],
        [2.0, 0.6, 0.2, 0.5, 0.2, 0.9, 2.0, *ALONG, *ASIDE],
        [3.0, 0.8, 0.2, 0.5, 0.9, 0.5, 1.1, *none, *none],
    ]
    return np.array(rows)


def reached_of(shape):
    """Ranges inside, beyond both ends, whole, and of nothing."""
    n = np.array(shape)
    return np.stack([
        np.stack([n // 3, n - 1], 1),
        np.stack([-n // 2, n - n // 2 - 2 + (n < 3)], 1),
        np.stack([n * 0, n - 1], 1),
        np.stack([n * 2 + 1, n * 3 - 1 + (n == 1)], 1),
    ])  # fmt: skip


def weight(window, apart):
    kind, half, s, rho = window[:4]
    square = float(apart @ apart)
    if kind == 3:
        return exp(-square / (2 * half**2))
    along = [float(apart @ row) for row in window[7:].reshape(2, 3)[: int(kind)]]
    across = sqrt(max(square - sum(t * t for t in along), 0.0))
    out = erfc((across - rho) / (sqrt(2) * s)) / 2
    if kind == 1:
        out *= (erfc((along[0] - half) / (sqrt(2) * s)) - erfc((along[0] + half) / (sqrt(2) * s))) / 2
    if kind == 2:
        out *= exp(-sum(t * t for t in along) / (2 * half**2))
    return out


def one_by_one(values, windows, reached, shape, first):
    sums = np.zeros((len(windows), 4))
    for row, window, ends in zip(sums, windows, reached, strict=True):
        for index in np.ndindex(*(ends[:, 1] - ends[:, 0] + 1)):
            at = np.array(index) + ends[:, 0]
            here = at % shape - first
            if (here < 0).any() or (here >= values.shape).any():
                continue
            apart = ORIGIN + at @ STEPS - window[4:7]
            square = float(apart @ apart) - sum(float(apart @ b) ** 2 for b in window[7:].reshape(2, 3))
            besides = apart if window[0] == 3 else (square, square**2, 0.0)
            row += weight(window, apart) * float(values[tuple(here)]) * np.array([1.0, *besides])
    return sums


def noise(shape, dtype, order="C"):
    return np.array(1.0 + np.random.default_rng(shape).standard_normal(shape), dtype=dtype, order=order)


@pytest.fixture(params=["cpu", "host", pytest.param("real", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cpu":
        return CPU()
    return request.getfixturevalue("host_gpu" if request.param == "host" else "real_gpu")


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_windows_of_every_kind(device, shape, dtype, order):
    values, windows, reached = noise(shape, dtype, order), windows_of(), reached_of(shape)
    found = device.smooth_sums(device.asarray(values), windows, reached, ORIGIN, STEPS, shape)
    assert isinstance(found, np.ndarray) and found.shape == (4, 4)
    expected = one_by_one(values, windows, reached, np.array(shape), np.zeros(3, int))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axis", range(3))
def test_slabs_add_up(device, axis):
    """Planes of any axis, here, there and nowhere."""
    shape, windows, reached = (5, 7, 11), windows_of(), reached_of((5, 7, 11))
    values, total = noise(shape, np.float64), np.zeros((4, 4))
    for start, stop in ((0, 2), (2, 2), (2, shape[axis])):
        part = np.moveaxis(np.moveaxis(values, axis, 0)[start:stop], 0, axis)
        first = [start if i == axis else 0 for i in range(3)]
        total += device.smooth_sums(device.asarray(part), windows, reached, ORIGIN, STEPS, shape, first)
    expected = one_by_one(values, windows, reached, np.array(shape), np.zeros(3, int))
    np.testing.assert_allclose(total, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block, each", [(32, 1), (64, 2), (128, 100)])
def test_blocks_of_any_size_and_number(gpu, monkeypatch, block, each):
    monkeypatch.setattr(launches, "BLOCK", block)
    monkeypatch.setattr(launches, "BLOCKS_EACH", each)
    shape = (4, 5, 33)
    values, windows, reached = noise(shape, np.float32), windows_of(), reached_of(shape)
    found = gpu.smooth_sums(gpu.asarray(values), windows, reached, ORIGIN, STEPS, shape)
    np.testing.assert_allclose(
        found, CPU().smooth_sums(values, windows, reached, ORIGIN, STEPS, shape), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_array_equal(found, gpu.smooth_sums(gpu.asarray(values), windows, reached, ORIGIN, STEPS, shape))


def test_nothing_in_nothing_out(device):
    windows, reached = windows_of(), reached_of((5, 7, 11))
    empty = device.asarray(np.zeros((0, 7, 11)))
    assert not device.smooth_sums(empty, windows, reached, ORIGIN, STEPS, (5, 7, 11)).any()
    values = device.asarray(noise((5, 7, 11), np.float64))
    assert device.smooth_sums(values, windows[:0], reached[:0], ORIGIN, STEPS, (5, 7, 11)).shape == (0, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_rung(gpu, dtype):
    shape, windows = (5, 7, 11), np.repeat(windows_of()[:1], 3, axis=0)
    windows[:, 4] = 0.1, 0.7, 2.0
    values, reached = noise(shape, dtype), reached_of(shape)[:3]
    out = gpu.empty((3,), np.float64)
    tables = gpu.asarray(windows), gpu.asarray(reached.astype(np.int32)), gpu.asarray(np.append(ORIGIN, STEPS))
    name = "float" if dtype == np.float32 else "double"
    sizes = [np.int32(n) for n in (3, *shape)]
    arguments = (gpu.asarray(values), out, *tables, *sizes)
    gpu.runtime.launch("ladder/smooth_sums.cu", f"smooth_sums_v1<{name}>", (1,), (32,), arguments)
    expected = one_by_one(values, windows, reached, np.array(shape), np.zeros(3, int))[:, 0]
    np.testing.assert_allclose(gpu.to_host(out), expected, rtol=1e-12)
