"""Moments of intervals: the CPU's against fractions and values computed elsewhere, the kernels' against the CPU's."""

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest

from gpuhomog.device import CPU
from gpuhomog.device.gpu import intervals
from gpuhomog.operators.excess.partition import midpoints, partition_moments

EDGES = [-2.75, 0.5, 0.75, 3.0, 3.0, 6.625, 21.25]
"""Cut cells, two cuts in one cell, an edge of a cell, an empty interval, more than a whole period; exact in binary."""
TRIG = ((0.7, 1, 0.3), (-1.1, 2, 1.9), (0.45, 3, -0.8))


def field(shape, dtype=np.float64, order="C"):
    values = 2.0 + np.random.default_rng(sum(shape)).standard_normal(shape)
    return np.array(values, dtype=dtype, order=order)


def exact_moments(line, edges, references):
    """(3, intervals) as fractions."""
    out = []
    for p in range(3):
        row = []
        for low, high, reference in zip(edges[:-1], edges[1:], references, strict=True):
            low, high, reference = Fraction(low), Fraction(high), Fraction(reference)
            total = Fraction(0)
            for x in range(floor(low), ceil(high)):
                start, stop = max(Fraction(x), low) - reference, min(Fraction(x + 1), high) - reference
                total += Fraction(float(line[x % len(line)])) * (stop ** (p + 1) - start ** (p + 1)) / (p + 1)
            row.append(total)
        out.append(row)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_cpu_against_fractions(axis, dtype):
    values = field((5, 7, 4), dtype)
    references = [*midpoints(EDGES)[:-1], 1e6]  # the last: about a point far away
    found = CPU().interval_moments(values, EDGES, references, axis=axis)
    shape = list(values.shape)
    shape[axis] = len(references)
    assert found.shape == (3, *shape)
    lines, results = np.moveaxis(values, axis, 2), np.moveaxis(found, axis + 1, 3)
    for at in np.ndindex(lines.shape[:2]):
        for p, exact in enumerate(exact_moments(lines[at], EDGES, references)):
            np.testing.assert_allclose(results[p][at], [float(e) for e in exact], rtol=4e-15, atol=1e-14)


def test_merged_and_fine_partition(checks):
    """Charges of a cell in cells of a twentieth, as rational numbers, about the middle of one period on each side."""
    check = checks["partition_noninvariance_AB"]
    step, first = 1 / 20, -1 - 1 / 40  # charges lie in the middle of cells
    line = np.zeros(40)
    for cell in (-1.0, 0.0):
        for position, charge in check["inputs"]["unit_cell"]:
            line[round((cell + position - first) / step - 0.5)] += charge / step
    partitions = [-1, 0.35 - 1, 0, 0.35, 1], [-1, 0, 1]
    found = []
    for partition in partitions:
        edges = (np.array(partition) - first) / step
        moments = CPU().interval_moments(line[None, None], edges, midpoints(edges))[:, 0, 0]
        assert moments[0].sum() == pytest.approx(0, abs=1e-12)
        found.append(partition_moments(moments, edges, step))
    fine, merged = found
    numbers = [fine.m1, merged.m1, fine.m2, merged.m2, (fine.w - fine.m2 / 2) / fine.m1, fine.w]
    assert numbers == pytest.approx(check["expected"], abs=check["tolerance"])
    assert merged.w == pytest.approx(fine.w, abs=1e-14)


def test_moments_of_a_trigonometric_crystal(checks):
    """One period per interval; cell averages of 40000 cells a period carry the moments to h²."""
    check = checks["moments_trig_xb0.1"]
    n, x_b = 40000, 0.1
    edges = np.arange(2 * n + 1) / n - 1 + x_b

    def primitive(x):
        return sum(a * np.sin(2 * np.pi * k * x + phase) / (2 * np.pi * k) for a, k, phase in TRIG)

    def moments(shift):
        values = np.diff(primitive(edges + shift)) * n
        bounds = np.array([0.0, n, 2 * n])
        return partition_moments(
            CPU().interval_moments(values[None, None], bounds, midpoints(bounds))[:, 0, 0], bounds, 1 / n
        )

    here = moments(0.0)
    d = 1e-3
    far, near = ((moments(k * d), moments(-k * d)) for k in (2, 1))
    slopes = [
        (8 * (getattr(near[0], name) - getattr(near[1], name)) - getattr(far[0], name) + getattr(far[1], name))
        / (12 * d)
        for name in ("m1", "m2")
    ]
    assert [here.m1, here.m2, *slopes] == pytest.approx(check["expected"][:4], abs=check["tolerance"])
    assert here.w == pytest.approx(here.m2 / 2, abs=1e-13)


def tolerance(values, edges):
    """float32: plain float64 sums; float64: compensated. Cells' own products are rounded, 8 times."""
    terms = np.diff(edges).max() if values.dtype == np.float32 else 1
    return (8 + terms) * np.finfo(np.float64).eps


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 7, 4), (1, 1, 67), (3, 2, 33), (1, 131, 1), (2, 3, 1)])
def test_the_kernel_equals_the_cpu(gpu, shape, dtype, axis, order):
    values = field(shape, dtype, order)
    references = [*midpoints(EDGES)[:-1], -3.5]
    expected = CPU().interval_moments(values, EDGES, references, axis=axis)
    found = gpu.to_host(gpu.interval_moments(gpu.asarray(values), EDGES, references, axis=axis))
    assert found.shape == expected.shape
    assert found.dtype == np.float64
    reach = np.array([30.0**p for p in range(3)])[:, None, None, None]
    size = np.abs(values).max() * 20 * reach
    assert (np.abs(found - expected) <= tolerance(values, EDGES) * size).all()


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_several_columns_of_a_thread(gpu, monkeypatch, dtype, axis):
    """Where there are many lines whose length allows loads of 16 bytes; values that begin between two are copied."""
    monkeypatch.setattr(intervals, "LEAST_THREADS", 0)
    several = 16 // np.dtype(dtype).itemsize
    for n, shift, columns in ((12, 0, several), (12, 1, several), (13, 0, 1)):
        values = field((5, 7, n), dtype)
        shifted = np.concatenate([np.zeros(shift, dtype), values.ravel()])
        expected = CPU().interval_moments(values, EDGES, midpoints(EDGES), axis=axis)
        given = gpu.asarray(shifted)[shift:].reshape(values.shape)
        found = gpu.to_host(gpu.interval_moments(given, EDGES, midpoints(EDGES), axis=axis))
        if hasattr(gpu.runtime, "launches"):
            assert gpu.runtime.launches[-1].instance.endswith(f", {columns}>")
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_intervals(gpu, dtype, axis):
    """Many batches of a warp, across the end of the period."""
    values = np.moveaxis(field((2, 3, 301), dtype), 2, axis).copy()
    edges, references = [-150.25, 0.5, 270.0, 1000.125], [0.0, 300.0, 150.0]
    expected = CPU().interval_moments(values, edges, references, axis=axis)
    found = gpu.to_host(gpu.interval_moments(gpu.asarray(values), edges, references, axis=axis))
    for p in range(3):
        size = np.abs(values).max() * 1000.0 ** (p + 1)
        assert (np.abs(found[p] - expected[p]) <= tolerance(values, edges) * size).all()
        exact = np.array([float(e) for e in exact_moments(np.moveaxis(values, axis, 2)[1, 2], edges, references)[p]])
        assert (np.abs(np.moveaxis(expected[p], axis, 2)[1, 2] - exact) <= 1e-15 * size).all()


@pytest.mark.parametrize("axis", [1, 2])
def test_float64_sums_keep_what_cancels(gpu, axis):
    """A large charge, small ones, and its opposite: plain sums would lose the small ones."""
    n = 67
    line = np.full(n, 1e-3)
    line[0], line[64] = 2.0**60, -(2.0**60)  # the same lane of a row
    values = np.array(line[None, None] if axis == 2 else line[None, :, None])
    expected = exact_moments(line, [0, n], [0])[0][0]
    found = gpu.to_host(gpu.interval_moments(gpu.asarray(values), [0, n], [0.0], axis=axis))
    assert found.ravel()[0] == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_nothing_to_add(gpu, shape, axis):
    values = np.zeros(shape, np.float32)
    expected = CPU().interval_moments(values, [0, 1, 2], [0, 0], axis=axis)
    found = gpu.to_host(gpu.interval_moments(gpu.asarray(values), [0, 1, 2], [0, 0], axis=axis))
    assert found.shape == expected.shape
    assert not found.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_first_rung(gpu, dtype, axis):
    values = field((4, 5, 3), dtype)
    n, references = values.shape[axis], midpoints(EDGES)
    outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
    out = gpu.asarray(np.zeros((3, *values.shape[:axis], len(references), *values.shape[axis + 1 :])))
    arguments = (
        gpu.asarray(values),
        gpu.asarray(np.array(EDGES)),
        gpu.asarray(references),
        out,
        *(np.int64(size) for size in (outer, n, inner, len(references))),
    )
    name = {np.float32: "float", np.float64: "double"}[dtype]
    grid = (-(-outer * inner // 32), len(references))
    gpu.runtime.launch("ladder/interval_moments.cu", f"interval_moments<{name}>", grid, (32,), arguments)
    expected = CPU().interval_moments(values, EDGES, references, axis=axis)
    np.testing.assert_allclose(gpu.to_host(out), expected, rtol=1e-12, atol=1e-11)
