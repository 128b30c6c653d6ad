"""Slabs: the partition rule, and operators that give on N ranks what they give on one.

The ranks are threads of one process that exchange through memory: the protocol that MPI will fill.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.parallel import Comm, Serial, Slab

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")


@given(st.integers(0, 40), st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_slabs_partition_the_planes(n, size):
    slabs = [Slab.of(n, rank, size) for rank in range(size)]
    assert [p for s in slabs for p in range(s.start, s.stop)] == list(range(n))
    counts = [s.n_local for s in slabs]
    assert max(counts) - min(counts) <= 1


def test_serial_is_a_comm():
    assert isinstance(Serial(), Comm)
    with pytest.raises(ValueError, match="mine"):
        Serial().agree(ValueError("mine"))
    with pytest.raises(InputError, match="does not exist"):
        Slab(0, 4, 3, 5)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_plane_sums_on_ranks_equal_one(triclinic, rng, size, axis):
    values = rng.standard_normal((7, 4, 5))
    field = gh.Field.from_array(values, triclinic)
    for normal in range(3):
        expected = values.sum(axis=tuple(i for i in range(3) if i != normal))
        for sums in on_ranks(field, size, lambda f, n=normal: f.plane_sums(n), axis):
            assert sums == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_first_rank_or_every_rank_has_the_whole_field_if_asked(triclinic, rng, axis):
    values = rng.standard_normal((3, 4, 5))
    field = gh.Field.from_array(values, triclinic)
    first, *others = on_ranks(field, 5, lambda f: f.on_first_rank(), axis)
    assert np.array_equal(first.values, values) and first.comm.size == 1 and first.slab.is_whole
    assert others == [None] * 4
    for whole in on_ranks(field, 5, lambda f: f.on_every_rank(), axis):
        assert np.array_equal(whole.values, values) and whole.comm.size == 1 and whole.slab.is_whole


def assert_parts(parts, whole, size, axis, tolerance):
    """Every rank has its slab of the whole, by the partition rule, and the whole's mean."""
    held = np.zeros(whole.grid.shape)
    for rank, (part, mean) in enumerate(parts):
        planes = [slice(None)] * 3
        planes[axis] = part.slab.planes
        assert part.slab == Slab.of(whole.grid.shape[axis], rank, size, axis)
        assert part.values.shape == part.slab.local_shape(part.grid.shape)
        assert mean == pytest.approx(whole.mean(), abs=tolerance)
        held[tuple(planes)] = part.values
    assert np.abs(held - whole.values).max() < tolerance * np.abs(whole.values).max()


WAYS = [
    (gh.Box(1.4), "lines", "ppp", None),
    (gh.Box((1.1, 1.4, 2.2)), "lines", "opo", None),
    (gh.Box(1.4), "sums", "ppp", None),
    (gh.Box(3.3), "sums", "ppp", None),  # wider than the slabs, and than half the field
    (gh.Box(1.4), "sums", "ppp", "cell"),
    (gh.Gaussian(2.5), "low modes", "ppp", None),
    (gh.Gaussian(1.5), "low modes", "pop", None),
    (gh.Gaussian(1.9), "taps", "ppp", None),
    (gh.Gaussian(1.5), "taps", "oop", None),
    (gh.Ball(1.5), "all modes", "ppp", None),
    (gh.PowerLaw(1.0), "all modes", "ooo", None),
    (gh.Disc(1.5, axis=0), "all modes", "ppp", None),
    (gh.Disc(1.5, axis=2), "all modes", "ppp", None),
]


@pytest.mark.parametrize("size", [2, 3, 8, 17])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [None, 1.5, 0.9])
@pytest.mark.parametrize(("kernel", "way", "boundary", "sampling"), WAYS)
def test_averages_on_ranks_equal_one(triclinic, rng, size, axis, kernel, spacing, way, boundary, sampling):
    """All ways, more ranks than planes, windows wider than slabs; the ranks get what one process gets."""
    shape = (32, 30, 30) if way == "taps" else (7, 12, 10)
    open_or_not = ["open" if letter == "o" else "periodic" for letter in boundary]
    field = gh.Field.from_array(rng.standard_normal(shape), triclinic, boundary=open_or_not)

    def averaged(f):
        average = gh.average(f, kernel, spacing=spacing, method=way, sampling=sampling, padded=True)
        assert average.provenance[-1]["way"] == way
        return average, average.mean()

    assert_parts(on_ranks(field, size, averaged, axis), averaged(field)[0], size, axis, 2e-13)


def test_ranks_that_would_go_different_ways_are_refused(rng):
    """As processors of two kinds might, whose costs differ in the last digit: they would wait for each other."""
    field = gh.Field.from_array(rng.standard_normal((8, 8, 8)), np.diag([4.0, 5.0, 6.0]))
    ways = ("lines", "all modes", "lines")
    with pytest.raises(InputError, match="average the same: the way is lines on rank 0 and all modes on rank 1"):
        on_ranks(field, 3, lambda f: gh.average(f, gh.Box(1.2), method=ways[f.comm.rank]))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", ["C", "F"])
def test_both_memory_orders(triclinic, rng, axis, order):
    values = np.asarray(rng.standard_normal((9, 8, 10)), order=order)
    field = gh.Field.from_array(values, triclinic)
    for kernel in (gh.Box(1.2), gh.Ball(1.5), gh.Gaussian(1.9)):
        whole = gh.average(field, kernel)
        assert_parts(
            on_ranks(field, 3, lambda f, k=kernel: (a := gh.average(f, k), a.mean()), axis), whole, 3, axis, 2e-13
        )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 17])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_bits_do_not_depend_on_the_ranks(rng, size, axis):
    """Reproducible fields: planar sums, extrema, averages by weights and running sums, bit for bit."""
    cell = np.diag([4.0, 5.0, 6.0])
    field = replace(gh.Field.from_array(rng.standard_normal((7, 12, 10)) + 1e3, cell), reproducible=True)

    def everything(f):
        averages = [
            gh.average(f, gh.Box(1.4), spacing=spacing, sampling=sampling, method=method)
            for spacing in (None, 1.5)
            for sampling in ("bandlimited", "cell")
            for method in ("lines", "sums")
        ]
        sums = [f.plane_sums(normal) for normal in range(3)]
        return [a.values for a in averages], [a.slab for a in averages], [*sums, f.extrema(), f.mean()]

    expected = on_ranks(field, 1, everything, axis)[0]
    for values, slabs, sums in on_ranks(field, size, everything, axis):
        for value, slab, whole in zip(values, slabs, expected[0], strict=True):
            here = tuple(slab.planes if i == axis else slice(None) for i in range(3))
            assert (value == whole[here]).all()
        for mine, theirs in zip(sums, expected[2], strict=True):
            assert np.array_equal(mine, theirs)


def test_reproducible_sums_are_right(rng):
    """The tree adds up what NumPy adds up."""
    values = rng.standard_normal((7, 12, 10))
    field = replace(gh.Field.from_array(values, np.diag([4.0, 5.0, 6.0])), reproducible=True)
    plain = replace(field, reproducible=False)
    for normal in range(3):
        others = tuple(i for i in range(3) if i != normal)
        assert field.plane_sums(normal) == pytest.approx(values.sum(axis=others), abs=1e-12)
    for kernel in (gh.Box(1.4), gh.Gaussian(1.5)):
        average = gh.average(field, kernel, spacing=1.0)
        assert average.values == pytest.approx(gh.average(plain, kernel, spacing=1.0, method="lines").values, abs=1e-13)
        assert average.reproducible


@pytest.mark.parametrize("size", [2, 3, 17])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
def test_coarse_sums_of_all_axes_at_once(rng, size, axis, sampling):
    """Means, variances and several windows by running sums within the planes, then across the slabs."""
    field = gh.Field.from_array(rng.standard_normal((12, 16, 20)) + 3.0, np.diag([4.0, 5.0, 6.0]))
    how = {"spacing": (4.0 / 3, 5.0 / 4, 6.0 / 4), "sampling": sampling, "method": "sums"}

    def several(f):
        pairs = gh.averages_and_variances(f, [gh.Box(1.7), gh.Box(3.6)], **how)
        return [part for pair in pairs for part in pair] + [gh.average(f, gh.Box(1.7), **how)]

    whole = several(field)
    for parts in on_ranks(field, size, several, axis):
        for part, expected in zip(parts, whole, strict=True):
            here = tuple(part.slab.planes if i == axis else slice(None) for i in range(3))
            assert part.values == pytest.approx(expected.values[here], abs=2e-13)


@pytest.mark.parametrize("size", [2, 5])
def test_gradient_and_variance_on_ranks_equal_one(triclinic, rng, size):
    field = gh.Field.from_array(rng.standard_normal((7, 12, 10)), triclinic)
    for kernel in (gh.Box(1.4), gh.Gaussian(2.5)):
        for operator in (gh.average_gradient, gh.average_and_variance):
            whole = operator(field, kernel, spacing=1.5)
            for parts in on_ranks(field, size, lambda f, o=operator, k=kernel: o(f, k, spacing=1.5)):
                for part, expected in zip(parts, whole, strict=True):
                    assert np.abs(part.values - expected.values[part.slab.planes]).max(initial=0.0) < 1e-13
