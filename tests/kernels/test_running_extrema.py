"""Running extrema: the CPU's against SciPy and against windows taken one by one, the kernels' against both."""

import numpy as np
import pytest
import scipy.ndimage

from gpuhomog.device import CPU

SHAPES = [(5, 7, 11), (13, 1, 32), (1, 1, 1), (2, 19, 3), (37, 3, 4), (3, 2, 301)]


def field(shape, dtype, order="C"):
    return np.array(np.random.default_rng(sum(shape)).standard_normal(shape), dtype=dtype, order=order)


def one_by_one(values, axis, start, width):
    """Windows gathered by index, one after another."""
    n = values.shape[axis]
    windows = [np.take(values, (j + start + np.arange(width)) % n, axis=axis) for j in range(n)]
    return tuple(np.stack([f(w, axis=axis) for w in windows], axis=axis) for f in (np.min, np.max))


@pytest.fixture(params=["cpu", "host", pytest.param("real", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cpu":
        return CPU()
    return request.getfixturevalue("host_gpu" if request.param == "host" else "real_gpu")


def extrema(device, values, axis, start, width):
    found = tuple(device.to_host(a) for a in device.running_extrema(device.asarray(values), axis, start, width))
    assert all(a.dtype == values.dtype and a.shape == values.shape for a in found)
    return found


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("size", [1, 3, 7])
def test_centred_windows_against_scipy(device, axis, size):
    values = field((9, 10, 8), np.float64)
    low, high = extrema(device, values, axis, -(size // 2), size)
    np.testing.assert_array_equal(low, scipy.ndimage.minimum_filter1d(values, size, axis, mode="wrap"))
    np.testing.assert_array_equal(high, scipy.ndimage.maximum_filter1d(values, size, axis, mode="wrap"))


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("shape", SHAPES)
def test_any_window(device, shape, axis, dtype, order):
    values = field(shape, dtype, order)
    n = shape[axis]
    for start, width in ((0, 2), (-3, 5), (n // 2, max(1, n - 1)), (-17, n), (4, 2 * n + 1), (1, 8)):
        found = extrema(device, values, axis, start, width)
        for one, expected in zip(found, one_by_one(values, axis, start, width), strict=True):
            np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windows_of_several_units(device, axis, dtype):
    """Several blocks of units, with and without values that fill no unit, in one stretch and in several."""
    values = field(np.roll((131, 2, 3), axis), dtype)
    for start, width in ((5, 9), (0, 16), (130, 17), (-8, 26), (-16, 33), (3, 35), (-32, 65), (77, 100), (1, 131)):
        found = extrema(device, values, axis, start, width)
        for one, expected in zip(found, one_by_one(values, axis, start, width), strict=True):
            np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("place", [0, 3, 8])
def test_nan_passes_on_to_its_windows_only(device, axis, place):
    values = field((9, 9, 9), np.float32)
    at = [4, 4, 4]
    at[axis] = place
    values[tuple(at)] = np.nan
    values[0, 0, 0] = np.inf
    for width in (1, 2, 3, 5):
        for one, expected in zip(
            extrema(device, values, axis, -1, width), one_by_one(values, axis, -1, width), strict=True
        ):
            np.testing.assert_array_equal(one, expected)
            assert np.isnan(one).sum() == width


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_empty_slabs(device, shape):
    for axis in range(3):
        low, high = extrema(device, np.zeros(shape, np.float32), axis, 0, 3)
        assert low.shape == high.shape == shape


def test_rows_that_fit_no_shared_memory(host_gpu, monkeypatch):
    monkeypatch.setattr(host_gpu.runtime, "shared_bytes", 4096)
    values = field((3, 2, 301), np.float64)
    for start, width in ((-20, 41), (7, 150)):  # the second: units that fit no shared memory, either
        found = extrema(host_gpu, values, 2, start, width)
        assert host_gpu.runtime.launches[-1].instance == "running_extrema<double, 8>"
        for one, expected in zip(found, one_by_one(values, 2, start, width), strict=True):
            np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_rung(gpu, axis, dtype):
    values = field((4, 5, 9), dtype)
    outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
    low, high = gpu.empty(values.shape, dtype), gpu.empty(values.shape, dtype)
    sizes = [np.int64(i) for i in (outer, values.shape[axis], inner, 1, 3)]
    name = "float" if dtype == np.float32 else "double"
    arguments = (gpu.asarray(values), low, high, *sizes)
    gpu.runtime.launch("ladder/running_extrema.cu", f"running_extrema_v1<{name}>", (3,), (64,), arguments)
    for one, expected in zip((low, high), one_by_one(values, axis, 1, 3), strict=True):
        np.testing.assert_array_equal(gpu.to_host(one), expected)
