"""Slabs: the partition rule, and operators that give on N ranks what they give on one.

The ranks are threads of one process that exchange through memory: the protocol that MPI will fill.
"""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.parallel import Comm, Serial, Slab

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")


class Team:
    """Ranks as threads: every exchange is a barrier around a shared list."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size)
        self.shared = [None] * size

    def exchange(self, rank, value):
        self.shared[rank] = value
        self.barrier.wait()
        everything = list(self.shared)
        self.barrier.wait()
        return everything


class Rank:
    def __init__(self, team, rank):
        self.team, self.rank, self.size = team, rank, team.size

    def sum(self, values):
        return sum(self.team.exchange(self.rank, values)[1:], self.team.exchange(self.rank, values)[0])

    def concatenate(self, planes):
        return np.concatenate(self.team.exchange(self.rank, planes))

    def broadcast(self, value):
        return self.team.exchange(self.rank, value)[0]

    def agree(self, error):
        errors = [e for e in self.team.exchange(self.rank, error) if e is not None]
        if errors:
            raise errors[0]


def on_ranks(field, size, operator, axis=0):
    """What each rank gets from an operator applied to its slab of the field."""
    team, results = Team(size), [None] * size

    def work(rank):
        slab = Slab.of(field.grid.shape[axis], rank, size, axis)
        planes = [slice(None)] * 3
        planes[axis] = slab.planes
        try:
            results[rank] = operator(
                replace(field, values=field.values[tuple(planes)], slab=slab, comm=Rank(team, rank))
            )
        except Exception as error:
            results[rank] = error
            team.barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


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
@pytest.mark.parametrize(
    ("kernel", "spacing", "way"),
    [
        (gh.Box(1.4), 1.5, "lines"),
        (gh.Gaussian(2.5), 1.5, "low modes"),
        (gh.Gaussian(2.5), None, "low modes"),
    ],
)
def test_averages_on_ranks_equal_one(triclinic, rng, size, axis, kernel, spacing, way):
    field = gh.Field.from_array(rng.standard_normal((7, 12, 10)), triclinic)
    whole = gh.average(field, kernel, spacing=spacing, method=way)
    parts = on_ranks(field, size, lambda f: gh.average(f, kernel, spacing=spacing, method=way), axis)
    for part in parts:
        planes = [slice(None)] * 3
        planes[part.slab.axis] = part.slab.planes
        assert part.values.shape == part.slab.local_shape(part.grid.shape)
        assert np.abs(part.values - whole.values[tuple(planes)]).max(initial=0.0) < 1e-13


def test_modes_of_a_part_are_refused_not_wrong(triclinic, rng):
    field = gh.Field.from_array(rng.standard_normal((6, 6, 6)), triclinic)
    with pytest.raises(InputError, match="all its planes"):
        on_ranks(field, 2, lambda f: gh.average(f, gh.Ball(1.5)))
