"""Which process of its node this one is, and its part of the cores."""

import os

import pytest

from gpuhomog.device import node
from gpuhomog.device.node import RANKS, SIZES, local_rank, local_size, usable_cores


@pytest.mark.parametrize(
    ("environment", "rank", "size"),
    [
        ({}, 0, 1),
        ({"MPI_LOCALRANKID": "2", "MPI_LOCALNRANKS": "4"}, 2, 4),
        ({"OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "8"}, 1, 8),
        ({"MV2_COMM_WORLD_LOCAL_RANK": "1", "MV2_COMM_WORLD_LOCAL_SIZE": "2"}, 1, 2),
        ({"SLURM_LOCALID": "3", "SLURM_STEP_TASKS_PER_NODE": "4(x3),2", "SLURM_NODEID": "0"}, 3, 4),
        ({"SLURM_LOCALID": "1", "SLURM_STEP_TASKS_PER_NODE": "4(x3),2", "SLURM_NODEID": "3"}, 1, 2),
        ({"SLURM_LOCALID": "0", "SLURM_TASKS_PER_NODE": "4", "SLURM_NODEID": "0"}, 0, 1),  # a batch script, no step
        ({"SLURM_LOCALID": "0", "MPI_LOCALRANKID": "5", "MPI_LOCALNRANKS": "6"}, 5, 6),  # mpiexec within a batch script
        ({"MPI_LOCALRANKID": "", "MPI_LOCALNRANKS": "0"}, 0, 1),
    ],
)
def test_what_launchers_say(environment, rank, size):
    assert (local_rank(environment), local_size(environment)) == (rank, size)


@pytest.mark.parametrize(
    ("own", "launcher", "ranks", "cores"),
    [
        (64, 64, 1, 64),  # started alone
        (64, 64, 4, 16),  # not bound: all ranks run on all cores
        (16, 64, 4, 16),  # bound to their part: it is not divided again
        (16, 64, 8, 8),  # two ranks bound to the same part
        (1, 64, 4, 1),  # bound to a core each
        (2, 2, 5, 1),  # more ranks than cores
        (4, None, 2, 2),  # nothing is known of the launcher
    ],
)
def test_cores_of_a_rank(monkeypatch, own, launcher, ranks, cores):
    def affinity(process):
        if process == 0:
            return set(range(own))
        assert process == os.getppid()
        if launcher is None:
            raise ProcessLookupError
        return set(range(launcher))

    monkeypatch.setattr(node.os, "sched_getaffinity", affinity, raising=False)
    monkeypatch.setattr(node, "local_size", lambda: ranks)
    assert usable_cores() == cores


def test_cores_where_nobody_is_bound(monkeypatch):
    """Systems that know no affinity."""
    monkeypatch.delattr(node.os, "sched_getaffinity", raising=False)
    for variable in (*RANKS, *SIZES, "SLURM_STEP_TASKS_PER_NODE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(node.os, "cpu_count", lambda: 6)
    assert usable_cores() == 6
    monkeypatch.setenv("MPI_LOCALNRANKS", "4")
    assert usable_cores() == 1
