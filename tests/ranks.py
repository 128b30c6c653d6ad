"""Ranks as threads of one process: what operators see of several ranks, without a launcher.

on_ranks(field, 3, lambda part: gh.average(part, kernel))     what each rank gets
together(3, lambda comm: gh.read(path, comm=comm))            the same for what has no field yet
"""

import threading
from collections import Counter
from dataclasses import replace

import numpy as np

from gpuhomog.parallel import Slab
from gpuhomog.parallel.comm import common_error

PATIENCE = 100.0
"""Seconds that a rank waits for the others: where they part ways a test fails rather than waits."""


class Team:
    """Ranks as threads: every exchange is a barrier around a shared list."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=PATIENCE)
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
        self.sent = Counter()

    def exchange(self, sent, received, device=None):
        offered = self.team.exchange(self.rank, sent)
        for rank, target in enumerate(received):
            assert target.shape == offered[rank][self.rank].shape and target.dtype == offered[rank][self.rank].dtype
            target[...] = offered[rank][self.rank]
        self.team.barrier.wait()  # nobody goes on to change what others still read

    def sum(self, values):
        self.sent["sum"] += values.nbytes
        total, *others = self.team.exchange(self.rank, values)
        for other in others:
            total = total + other
        return total

    def concatenate(self, planes):
        self.sent["sum"] += planes.nbytes
        return np.concatenate(self.team.exchange(self.rank, planes))

    def gather(self, value):
        return self.team.exchange(self.rank, value)

    def broadcast(self, value):
        return self.team.exchange(self.rank, value)[0]

    def why_no_turns(self):
        return None

    def agree(self, error):
        shared = common_error(self.team.exchange(self.rank, error))
        if shared is not None:
            raise shared


def together(size, work):
    """What each rank gets from work(comm), all at once; the first error is raised once all have ended."""
    team, results = Team(size), [None] * size

    def run(rank):
        try:
            results[rank] = work(Rank(team, rank))
        except Exception as error:
            results[rank] = error
            team.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    errors = [result for result in results if isinstance(result, Exception)]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error  # what broke the barrier rather than what it broke
    return results


def on_ranks(field, size, operator, axis=0):
    """What each rank gets from an operator applied to its slab of the field."""

    def work(comm):
        slab = Slab.of(field.grid.shape[axis], comm.rank, size, axis)
        planes = [slice(None)] * 3
        planes[axis] = slab.planes
        return operator(replace(field, values=field.values[tuple(planes)], slab=slab, comm=comm))

    return together(size, work)


def assert_slabs_agree(field, operator, tolerance):
    """Slabs of every axis, some empty, give the planes that one rank gets, to a fraction of the largest value."""
    expected = operator(field).values
    for axis, size in ((0, 3), (1, 2), (2, 17)):
        found = np.concatenate([part.values for part in on_ranks(field, size, operator, axis)], axis=axis)
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()
