"""Ranges in windows: the CPU's against windows gathered point by point, the kernels' against the same."""

import numpy as np
import pytest

from gpuhomog.device import CPU
from gpuhomog.device.gpu import ranges as launches
from gpuhomog.device.gpu.runtime import MOST_DECLARED
from gpuhomog.errors import DeviceError

NO_ENDS = np.zeros((0, 7))
BALL = np.array([(a, b, -w, 2 * w + 1) for a, b, w in ((0, 0, 2), (1, 0, 1), (-1, 0, 1), (0, 1, 2), (0, -1, 1))])
LOPSIDED = np.array([(-2, 3, 1, 4), (0, -1, -3, 1), (4, 0, 0, 2), (4, 2, -2, 7)])
ENDS = np.array([(-1, 0, 0, -2, 0, 0, 0.25), (0, 0, 3, 0, 0, 4, 0.6), (0, 2, 0, 0, 3, 0, 0.0)])
WINDOWS = {
    "ball": (BALL, NO_ENDS),
    "lopsided, with ends": (LOPSIDED, ENDS),
    "one row": (np.array([(0, 0, -20, 41)]), NO_ENDS),
    "one point": (np.array([(0, 0, 0, 1)]), NO_ENDS),
    "a segment across": (np.array([(0, b, 0, 1) for b in range(-3, 4)]), ENDS[2:]),
}
SHAPES = [(5, 7, 11), (1, 9, 40), (6, 1, 1), (3, 13, 131), (4, 6, 300)]


def points_of(rows):
    return np.array([(a, b, c + i) for a, b, c, count in rows.tolist() for i in range(count)])


def one_by_one(values, rows, ends, is_open, every):
    """Every output's window gathered by index."""
    values = values.astype(np.float64)

    def at(offset):
        index = []
        for axis, n in enumerate(values.shape):
            places = np.arange(0, n, every) + int(offset[axis])
            index.append(np.clip(places, 0, n - 1) if is_open[axis] else places % n)
        return values[np.ix_(*index)]

    seen = [at(point) for point in points_of(rows)]
    seen += [(1 - end[6]) * at(end[:3]) + end[6] * at(end[3:6]) for end in ends]
    return np.min(seen, axis=0), np.max(seen, axis=0), np.mean(seen, axis=0)


def noise(shape, dtype, order="C"):
    return np.array(1.0 + np.random.default_rng(shape).standard_normal(shape), dtype=dtype, order=order)


@pytest.fixture(params=["cpu", "threads", "host", pytest.param("real", marks=pytest.mark.gpu)])
def device(request, monkeypatch):
    if request.param == "threads":
        monkeypatch.setattr("gpuhomog.device.cpu.ranges.SMALL", 0)
        return CPU(3)
    if request.param == "cpu":
        return CPU(1)
    return request.getfixturevalue("host_gpu" if request.param == "host" else "real_gpu")


def ranges(device, values, *window):
    found = tuple(device.to_host(a) for a in device.window_ranges(device.asarray(values), *window))
    assert all(a.dtype == values.dtype for a in found)
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("window", WINDOWS)
def test_any_window_on_any_shape(device, window, every, dtype):
    rows, ends = WINDOWS[window]
    for number, shape in enumerate(SHAPES):
        values = noise(shape, dtype, "CF"[number % 2])
        is_open = [bool((number + axis) % 3 == 0) for axis in range(3)]
        for one, expected in zip(
            ranges(device, values, rows, ends, is_open, every),
            one_by_one(values, rows, ends, is_open, every),
            strict=True,
        ):
            # ends are products, and rows are summed in the precision of the values
            np.testing.assert_allclose(one, expected, rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_nothing_in_nothing_out(device, shape):
    assert all(a.shape == shape for a in ranges(device, np.zeros(shape), BALL, NO_ENDS, [False] * 3))


@pytest.mark.parametrize("block", [32, 64, 128])
def test_blocks_of_any_size_give_the_same(gpu, monkeypatch, block):
    values = noise((3, 9, 200), np.float64)
    whole = ranges(gpu, values, *WINDOWS["lopsided, with ends"], [False, True, False], 1)
    monkeypatch.setattr(launches, "BLOCK", block)
    for one, expected in zip(
        ranges(gpu, values, *WINDOWS["lopsided, with ends"], [False, True, False], 1), whole, strict=True
    ):
        np.testing.assert_array_equal(one, expected)


def test_rows_that_fit_little_shared_memory(host_gpu, monkeypatch):
    monkeypatch.setattr(host_gpu.runtime, "shared_bytes", 2048 + 8 * 130)
    values = noise((2, 3, 150), np.float64)
    found = ranges(host_gpu, values, np.array([(0, 0, -20, 41)]), NO_ENDS, [False] * 3, 2)
    assert host_gpu.runtime.launches[-1].block == (32, 1, 1)
    for one, expected in zip(
        found, one_by_one(values, np.array([(0, 0, -20, 41)]), NO_ENDS, [False] * 3, 2), strict=True
    ):
        np.testing.assert_allclose(one, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_rung(gpu, dtype):
    values, every, is_open = noise((4, 5, 9), dtype), 2, [True, False, True]
    shape = tuple(-(-n // every) for n in values.shape)
    found = [gpu.empty(shape, dtype) for _ in range(3)]
    points = points_of(LOPSIDED)
    sizes = [np.int64(n) for n in (*values.shape, *shape)]
    more = [np.int32(n) for n in (len(points), every, 0b101)]
    name = "float" if dtype == np.float32 else "double"
    arguments = (gpu.asarray(values), *found, gpu.asarray(points.astype(np.int32)), *sizes, *more)
    gpu.runtime.launch("ladder/window_ranges.cu", f"window_ranges_v1<{name}>", (1,), (64,), arguments)
    for one, expected in zip(found, one_by_one(values, LOPSIDED, NO_ENDS, is_open, every), strict=True):
        np.testing.assert_allclose(gpu.to_host(one), expected, rtol=0, atol=4 * np.finfo(dtype).eps)


def test_a_row_that_no_block_holds_is_refused(host_gpu, monkeypatch):
    values = host_gpu.asarray(noise((1, 1, 900), np.float64))
    monkeypatch.setattr(host_gpu.runtime, "shared_bytes", 8 * (400 + 31 * 2) + MOST_DECLARED)
    ranges(host_gpu, values, np.array([(0, 0, 0, 400)]), NO_ENDS, (False,) * 3, 2)
    with pytest.raises(DeviceError, match=r"401 points in a row at every 2 points needs 3704 bytes .* has 3696: take"):
        host_gpu.window_ranges(values, np.array([(0, 0, 0, 401)]), NO_ENDS, (False,) * 3, 2)
