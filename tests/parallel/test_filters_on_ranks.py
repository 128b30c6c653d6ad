"""Filters of slabs against NumPy's full complex FFT: by blocks as a CPU does them, and by planes as a GPU does."""

from itertools import product

import numpy as np
import pytest
from by_planes import ByPlanes
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import whole_filter
from ranks import together

from gpuhomog.device import padded
from gpuhomog.device.cpu import CPU, blocks
from gpuhomog.fft import AlongAxes, Derivative, InverseSquare, Multiplier, OfWavevector, convolved
from gpuhomog.parallel import Slab

ROWS = 2 * np.pi * np.linalg.inv([[4.0, 0, 0], [1, 5, 0], [0.5, -1, 6]]).T


def decay(k):
    return np.exp(-0.05 * k * k)


PARTS = {
    "even": [OfWavevector(np.diag([1.0, 0.8, 0.6]), decay)],
    "oblique": [OfWavevector(ROWS, decay), InverseSquare(ROWS)],
    "odd": [Derivative(ROWS, np.array([0.3, -0.5, 0.8])), OfWavevector(ROWS, decay)],
    "separable": [AlongAxes([lambda n: np.exp(0.3j * n), None, lambda n: np.sinc(n / 5)])],
    "along a": [AlongAxes([lambda n: np.exp(-0.2 * abs(n)), None, None])],
    "along b": [AlongAxes([None, lambda n: np.exp(-0.2 * abs(n)), None])],
    "disc": [OfWavevector(np.diag([0.7, 0.0, 0.9]), decay)],
}


@settings(max_examples=120, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    more=st.just((0, 0, 0)) | st.tuples(*[st.integers(0, 4)] * 3),
    names=st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3),
    axis=st.integers(0, 2),
    size=st.integers(2, 5),
    order=st.sampled_from("CF"),
    device=st.sampled_from([CPU(1), CPU(2), ByPlanes(1)]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_numbers_of_ranks(shape, more, names, axis, size, order, device, dtype, seed):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    grid = tuple(n + m for n, m in zip(shape, more, strict=True))
    multipliers = [Multiplier(grid, PARTS[name], is_complex=name in ("odd", "separable")) for name in names]

    def work(comm):
        slab = Slab.of(shape[axis], comm.rank, size, axis)
        planes = tuple(slab.planes if i == axis else slice(None) for i in range(3))
        return convolved(device, np.array(values[planes], order=order), *multipliers, slab=slab, comm=comm)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", 500)  # several blocks
        patch.setattr(blocks, "SMALL", 0)
        patch.setattr(padded, "CONVOLVED_BYTES", 300)
        found = together(size, work)
    for number, name in enumerate(names):
        expected = whole_filter(values.astype(np.float64), grid, PARTS[name])
        result = np.concatenate([results[number] for results in found], axis=axis)
        assert result.dtype == dtype
        tolerance = 2e-6 if dtype == np.float32 else 1e-14
        assert np.abs(result - expected).max() < tolerance * max(1.0, np.abs(expected).max()), name


def test_tables_are_kept_of_the_modes_that_are_here(monkeypatch):
    """Ranks of one process would find each other's; those of one mode and of another are not the same."""
    multiplier = Multiplier((4, 6, 5), [InverseSquare(np.diag([1.0, 0.8, 0.6]))])
    values, made = np.random.default_rng(5).standard_normal((4, 6, 5)), []
    real = Multiplier.quarter
    monkeypatch.setattr(Multiplier, "quarter", lambda self, i: made.append(i) or real(self, i))
    blocks.TABLES.clear()

    def work(comm):
        slab = Slab.of(4, comm.rank, 2)
        return convolved(CPU(1), values[slab.planes], multiplier, slab=slab, comm=comm)[0]

    first = np.concatenate(together(2, work))
    assert sorted(made) == [0, 1, 2, 3]  # each of a quarter once: 6//2 + 1 modes
    again = np.concatenate(together(2, work))
    assert len(made) == 4 and np.array_equal(first, again)


def sent_by_all(device, shape, grid, axis, size):
    """Bytes that ranks send for one filter, which is right."""
    values = np.random.default_rng(3).standard_normal(shape)
    multiplier = Multiplier(grid, PARTS["oblique"])

    def work(comm):
        slab = Slab.of(shape[axis], comm.rank, size, axis)
        planes = tuple(slab.planes if i == axis else slice(None) for i in range(3))
        return convolved(device, values[planes], multiplier, slab=slab, comm=comm)[0], comm.sent["transpose"]

    found = together(size, work)
    joined = np.concatenate([part for part, _ in found], axis=axis)
    np.testing.assert_allclose(joined, whole_filter(values, grid, PARTS["oblique"]), atol=1e-13)
    return sum(sent for _, sent in found)


DEVICES = pytest.mark.parametrize("device", [CPU(1), ByPlanes(1)], ids=["blocks", "planes"])


@DEVICES
@pytest.mark.parametrize("more", list(product((1, 2), repeat=3)))
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_zeros_behind_open_axes_are_not_sent(device, more, axis):
    """Of 8³ values on 2 ranks half of a spectrum goes there and back, twice 4 planes of 8 rows of modes.

    5 modes of a periodic axis, and 9 of an open one where both axes across the slabs' own are open.
    """
    grid = tuple(8 * k for k in more)
    n_modes = 5 if 1 in [more[i] for i in range(3) if i != axis] else 9
    halves = 2 * 8 * n_modes * 8 * 16 // 2
    assert sent_by_all(device, (8, 8, 8), grid, axis, 2) == halves


@pytest.mark.parametrize("shape", [(8, 4, 12), (8, 12, 4)])
def test_ranks_beyond_the_modes_of_one_axis_have_those_of_the_other(shape):
    """An axis of 4 points has 3 modes for 4 ranks, one of 12 has 7: all planes less those that stay, there and back."""
    modes, planes = np.diff([7 * r // 4 for r in range(5)]), 2
    assert sent_by_all(CPU(1), shape, shape, 0, 4) == 2 * 4 * 16 * sum(planes * (7 - held) for held in modes)
