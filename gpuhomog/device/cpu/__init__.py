"""CPU: every primitive in NumPy, SciPy's FFT, or FFTW where stored wisdom makes it pay. The oracle.

Arrays may be C-ordered or Fortran-ordered (VASP files are): each primitive works along the memory, so that
no copy is made to please it. One file a family of primitives; `gpu/` has the same families under the same names.

>>> CPU().planar_sum(np.ones((2, 3, 4), order="F"), axis=1)
array([8., 8., 8.])
"""

from __future__ import annotations

import os

import numpy as np  # noqa: F401  (the example)

from .cylinder import Cylinder
from .intervals import Intervals
from .memory import Memory, is_fortran_ordered
from .running import Running
from .spectral import Spectral
from .sums import Sums
from .taps import Taps
from .text import Text
from .windows import Windows


def usable_cores() -> int:
    """Cores this process may run on, shared among the ranks that a launcher put on this node."""
    ranks = 1
    for variable in ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"):
        value = os.environ.get(variable, "")
        if value.isdigit() and int(value) > 0:
            ranks = int(value)
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // ranks)


class CPU(Memory, Intervals, Sums, Windows, Spectral, Text, Taps, Cylinder, Running):
    """Host memory and NumPy; see device.Device for what each method promises."""

    name = "cpu"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or usable_cores()


__all__ = ["CPU", "is_fortran_ordered", "usable_cores"]
