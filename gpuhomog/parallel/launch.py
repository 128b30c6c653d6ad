"""Launch: whether this process is one of several ranks, from what its launcher put into the environment.

    mpiexec of MPICH and Intel MPI, srun with PMI-2    PMI_SIZE
    mpiexec of Open MPI                                OMPI_COMM_WORLD_SIZE
    srun with PMIx                                     PMIX_RANK, and SLURM_STEP_NUM_TASKS

MPI starts only where one of them speaks of several ranks: a program that was not launched must not wait for others.

In   os.environ.
Out  a Comm. InputError where the launcher and MPI do not agree on how many ranks there are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from ..errors import InputError
from .comm import Comm, Serial

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables that hold the number of ranks, the launcher nearest to this process first."""


def launched_size(environment: Mapping[str, str] = os.environ) -> tuple[int, str] | None:
    """Number of ranks that a launcher announced, and the variable that says so; None without a launcher.

    >>> launched_size({"PMI_SIZE": "4", "PMI_RANK": "1"})
    (4, 'PMI_SIZE')
    """
    for name in SIZES:
        text = environment.get(name, "")
        if text.isdigit() and (name != "SLURM_STEP_NUM_TASKS" or "SLURM_PROCID" in environment):
            return int(text), name
    return None


RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")
"""Variables that hold the number of this rank."""


def launched_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Number that the launcher gave this process; 0 without one. Known before MPI starts, and if it cannot.

    >>> launched_rank({"PMI_SIZE": "4", "PMI_RANK": "1"}), launched_rank({"SLURM_PROCID": "3"})
    (1, 0)
    """
    if launched_size(environment) is None:
        return 0
    return next((int(environment[name]) for name in RANKS if environment.get(name, "").isdigit()), 0)


@cache
def world() -> Comm:
    """All ranks of this launch; Serial for a process that was started alone.

    Raises InputError where a launcher started several processes that MPI does not know of.
    """
    launched = launched_size()
    if launched is None or launched[0] == 1:
        return Serial()
    size, variable = launched
    try:
        from .mpi import World
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI library
        raise InputError(
            f"{variable} says that {size} ranks were launched, but mpi4py cannot be used ({error}): every one would "
            "do all the work and write the same files. Install it (pip install 'gpuhomog[mpi]'), or start one process."
        ) from None
    ranks = World()
    if ranks.size != size:
        raise InputError(
            f"{variable} says that {size} ranks were launched, but MPI ({ranks.implementation}) sees {ranks.size}: "
            "they do not know of each other, and each would write the same files. Start them with the mpiexec of that "
            "MPI, or under Slurm with the matching srun --mpi=…."
        )
    return ranks
