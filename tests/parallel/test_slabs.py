"""Slabs: the partition rule, and operators that give on N ranks what they give on one.

The ranks are threads of one process that exchange through memory: the protocol that MPI will fill.
"""

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


@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("spacing", [None, 1.5])
@pytest.mark.parametrize(
    ("kernel", "way"), [(gh.Box(1.4), "lines"), (gh.Box(1.4), "sums"), (gh.Gaussian(2.5), "low modes")]
)
def test_averages_on_ranks_equal_one(triclinic, rng, size, axis, kernel, spacing, way):
    field = gh.Field.from_array(rng.standard_normal((7, 12, 10)), triclinic)
    whole = gh.average(field, kernel, spacing=spacing, method=way)
    parts = on_ranks(field, size, lambda f: (a := gh.average(f, kernel, spacing=spacing, method=way), a.mean()), axis)
    held = np.zeros(whole.grid.shape)
    for rank, (part, mean) in enumerate(parts):
        planes = [slice(None)] * 3
        planes[axis] = part.slab.planes
        assert part.slab == Slab.of(whole.grid.shape[axis], rank, size, axis)
        assert part.values.shape == part.slab.local_shape(part.grid.shape)
        assert mean == pytest.approx(whole.mean(), abs=1e-14)
        held[tuple(planes)] = part.values
    assert np.abs(held - whole.values).max() < 1e-13


@pytest.mark.parametrize("size", [2, 5])
def test_gradient_and_variance_on_ranks_equal_one(triclinic, rng, size):
    field = gh.Field.from_array(rng.standard_normal((7, 12, 10)), triclinic)
    for kernel in (gh.Box(1.4), gh.Gaussian(2.5)):
        for operator in (gh.average_gradient, gh.average_and_variance):
            whole = operator(field, kernel, spacing=1.5)
            for parts in on_ranks(field, size, lambda f, o=operator, k=kernel: o(f, k, spacing=1.5)):
                for part, expected in zip(parts, whole, strict=True):
                    assert np.abs(part.values - expected.values[part.slab.planes]).max(initial=0.0) < 1e-13


def test_modes_of_a_part_are_refused_not_wrong(triclinic, rng):
    field = gh.Field.from_array(rng.standard_normal((6, 6, 6)), triclinic)
    with pytest.raises(InputError, match="all its planes"):
        on_ranks(field, 2, lambda f: gh.average(f, gh.Ball(1.5)))
