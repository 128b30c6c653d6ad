"""Planar moments: the CPU's against math.fsum, the kernels' against the CPU's."""

from math import fsum

import numpy as np
import pytest

from gpuhomog.device import CPU
from gpuhomog.device.cpu import sums

SHAPES = [(1, 1, 1), (5, 7, 3), (2, 3, 261), (37, 1, 8), (3, 70, 12), (1, 2, 2100), (3, 43, 516)]


def field(shape, dtype, order="C"):
    values = 3.0 + np.random.default_rng(sum(shape)).standard_normal(shape)
    return np.array(values, dtype=dtype, order=order)


def tolerance(values):
    """A thread adds 64 rows in the precision of the values and 128 neighbours by a tree; then float64."""
    return 64 * np.finfo(values.dtype).eps


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_cpu_adds_what_fsum_adds(order, dtype):
    values = field((4, 5, 6), dtype, order)
    *moments, low, high = CPU().planar_moments(values, 4, 2.5)
    assert (low, high) == (values.min(), values.max())
    for axis in range(3):
        for k in range(values.shape[axis]):
            plane = [float(v) for v in np.take(values, k, axis).ravel()]
            for p in range(1, 5):
                exact = fsum((v - 2.5) ** p for v in plane)
                assert moments[axis][p - 1, k] == pytest.approx(exact, rel=1e-5 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_the_cpu_finds_sums_and_extrema_in_one_look(order, dtype, block, monkeypatch):
    monkeypatch.setattr(sums, "BLOCK_BYTES", block)
    values = field((4, 5, 6), dtype, order)
    *found, low, high = CPU().planar_moments(values, 1, 0.0)
    for axis in range(3):
        exact = [fsum(float(v) for v in np.take(values, k, axis).ravel()) for k in range(values.shape[axis])]
        assert found[axis][0] == pytest.approx(exact, rel=1e-14)
    assert (low, high) == (values.min(), values.max())
    values[3, 2, 1], values[3, 2, 2] = np.inf, -np.inf
    assert CPU().planar_moments(values, 2, 0.5)[3:] == (-np.inf, np.inf)
    values[0, 4, 5] = np.nan
    assert np.isnan(CPU().planar_moments(values, 1, 0.0)[3:]).all()


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_equals_the_cpu(gpu, shape, dtype, order):
    values = field(shape, dtype, order)
    *found, low, high = gpu.planar_moments(gpu.asarray(values), 4, 2.75)
    size = CPU().planar_moments(np.abs(values - values.dtype.type(2.75)), 4, 0.0)
    *expected, least, greatest = CPU().planar_moments(values, 4, 2.75)
    assert (low, high) == (least, greatest)
    for axis in range(3):
        assert found[axis].shape == expected[axis].shape
        assert (np.abs(found[axis] - expected[axis]) <= tolerance(values) * size[axis]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_fewer_moments_and_plain_sums(gpu, shape, dtype):
    values = field(shape, dtype)
    four, two = (gpu.planar_moments(gpu.asarray(values), n, 0.5) for n in (4, 2))
    for axis in range(3):
        np.testing.assert_array_equal(two[axis], four[axis][:2])
        expected = CPU().planar_sum(values, axis)
        found = gpu.planar_sum(gpu.asarray(values), axis)
        np.testing.assert_allclose(found, expected, rtol=tolerance(values))


def test_more_rows_than_a_flush_and_more_blocks_than_one(gpu):
    """Every row and column once: integers in float32 add up exactly."""
    values = np.arange(300 * 3 * 7, dtype=np.float32).reshape(300, 3, 7) % 97
    for axis in range(3):
        np.testing.assert_array_equal(gpu.planar_sum(gpu.asarray(values), axis), CPU().planar_sum(values, axis))


def test_long_columns_do_not_drift(gpu):
    """2^24 + 1 is 2^24 in float32: all but the first 64 rows of a column must be added elsewhere."""
    values = np.ones((800, 1, 4), np.float32)
    values[0] = 2.0**24
    lost = 2.0**24 + 799 - gpu.planar_sum(gpu.asarray(values), 2)
    assert (lost >= 0).all() and (lost < 64).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extrema(gpu, dtype):
    values = field((5, 7, 9), dtype)
    assert gpu.extrema(gpu.asarray(values)) == CPU().extrema(values)
    values[3, 2, 8] = -np.inf
    assert gpu.extrema(gpu.asarray(values))[0] == -np.inf
    values[4, 6, 1] = np.nan
    assert np.isnan(gpu.extrema(gpu.asarray(values))).all()


@pytest.mark.parametrize("offset", [-50, 50])
@pytest.mark.parametrize("shape", [(3, 1, 12), (1, 5, 300), (1, 2, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extrema_are_of_what_is_there(gpu, dtype, shape, offset):
    """Columns that a thread lacks deviate by nothing from the centre: that is none of the values."""
    values = field(shape, dtype) + dtype(offset)
    assert gpu.planar_moments(gpu.asarray(values), 1, 0.0)[3:] == (values.min(), values.max())


@pytest.mark.parametrize("dtype, warps", [(np.float32, 16), (np.float64, 12)])
def test_all_blocks_are_there_at_once(host_gpu, monkeypatch, dtype, warps):
    runtime = host_gpu.runtime
    for n2, of_block in ((8, 1), (520, 3)):
        values = field((50, 50, n2), dtype)
        host_gpu.planar_sum(values, 0)
        launch = runtime.launches[-2]
        assert (launch.grid[1], launch.block[0]) == (warps // of_block * runtime.n_multiprocessors, 32 * of_block)
    with monkeypatch.context() as patch:
        patch.setattr(runtime, "shared_bytes", 2 * launch.shared + 1024)  # the room of two, of which one is reserved
        found = host_gpu.planar_sum(values, 2)
        assert runtime.launches[-2].grid[1] == 2 * runtime.n_multiprocessors
        patch.setattr(runtime, "shared_bytes", launch.shared - 1)  # the room of two warps
        again = host_gpu.planar_sum(values, 2)
    assert runtime.launches[-2].grid[::2] == (2, 1) and runtime.launches[-2].block[0] == 64
    np.testing.assert_allclose(again, found, rtol=tolerance(values))
    np.testing.assert_allclose(found, CPU().planar_sum(values, 2), rtol=tolerance(values))


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_empty_slabs(gpu, shape):
    values = gpu.asarray(np.zeros(shape, np.float32))
    *found, low, high = gpu.planar_moments(values, 4, 1.0)
    assert (low, high) == (np.inf, -np.inf)
    for axis in range(3):
        np.testing.assert_array_equal(found[axis], np.zeros((4, shape[axis])))
        np.testing.assert_array_equal(gpu.planar_sum(values, axis), np.zeros(shape[axis]))
        np.testing.assert_array_equal(CPU().planar_moments(np.zeros(shape), 4, 1.0)[axis], found[axis])


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", [(5, 6, 7), (1, 1, 1), (3, 0, 4), (0, 3, 2)])
@pytest.mark.parametrize("strides", [(1, 2, 3), (0, 5, 1), (4, 0, 0)])
def test_plane_families(gpu, strides, shape, order):
    values = np.asarray(field(shape, np.float64), order=order)
    expected = CPU().plane_family_sum(values, strides, 11)
    np.testing.assert_allclose(gpu.plane_family_sum(gpu.asarray(values), strides, 11), expected, rtol=1e-13)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_rung(gpu, axis, dtype):
    values = field((4, 5, 9), dtype)
    outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
    n = values.shape[axis]
    out = gpu.empty((6, n), np.float64)
    name = "float" if dtype == np.float32 else "double"
    sizes = [np.int64(i) for i in (outer, n, inner)]
    arguments = (gpu.asarray(values), out, *sizes, values.dtype.type(2.5))
    gpu.runtime.launch("ladder/planar_moments.cu", f"planar_moments_v1<{name}>", (n,), (256,), arguments)
    expected = CPU().planar_moments(values, 4, 2.5)[axis]
    found, others = gpu.to_host(out), tuple(i for i in range(3) if i != axis)
    np.testing.assert_allclose(found[:4], expected, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-4)
    np.testing.assert_array_equal(found[4], values.min(axis=others))
    np.testing.assert_array_equal(-found[5], values.max(axis=others))
