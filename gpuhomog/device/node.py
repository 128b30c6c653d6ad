"""Node: which of the processes of this node this one is, from what its launcher put into the environment.

    mpiexec of MPICH and Intel MPI    MPI_LOCALRANKID, MPI_LOCALNRANKS
    mpiexec of Open MPI               OMPI_COMM_WORLD_LOCAL_RANK, OMPI_COMM_WORLD_LOCAL_SIZE
    mpiexec of MVAPICH                MV2_COMM_WORLD_LOCAL_RANK, MV2_COMM_WORLD_LOCAL_SIZE
    srun                              SLURM_LOCALID, and SLURM_STEP_TASKS_PER_NODE with SLURM_NODEID

A node's GPUs and cores are shared among its processes: each takes the GPU of its number, and its part of the cores.

In   os.environ.
Out  numbers.

>>> local_rank({"OMPI_COMM_WORLD_LOCAL_RANK": "3"}), local_rank({})
(3, 0)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

RANKS = ("MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID")
"""Variables that hold the number of this process on its node, the launcher nearest to it first."""
SIZES = ("MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE")
"""Variables that hold how many there are."""


def local_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Number of this process among those that were launched together on this node; 0 without a launcher."""
    return next((int(environment[name]) for name in RANKS if environment.get(name, "").isdigit()), 0)


def local_size(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes were launched together on this node; 1 without a launcher.

    >>> local_size({"SLURM_STEP_TASKS_PER_NODE": "4(x2),3", "SLURM_NODEID": "2"})
    3
    """
    for name in SIZES:
        if environment.get(name, "").isdigit():
            return max(1, int(environment[name]))
    counts: list[int] = []
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", environment.get("SLURM_STEP_TASKS_PER_NODE", "")):
        counts += [int(count)] * int(times or 1)
    number = environment.get("SLURM_NODEID", "")
    return max(1, counts[int(number)]) if number.isdigit() and int(number) < len(counts) else 1


def usable_cores() -> int:
    """Cores for this process: those it may run on, and not more than its part of those of its launcher.

    A launcher that binds its processes has shared out the cores already; else they all may run on all of them.
    """
    if not hasattr(os, "sched_getaffinity"):
        return max(1, (os.cpu_count() or 1) // local_size())
    own = len(os.sched_getaffinity(0))
    try:
        whole = max(own, len(os.sched_getaffinity(os.getppid())))
    except OSError:
        whole = own
    return max(1, min(own, whole // local_size()))
