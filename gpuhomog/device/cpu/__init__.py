"""CPU: every primitive in NumPy, and Fourier transforms of the fastest library that is installed. The oracle.

Arrays may be C-ordered or Fortran-ordered (VASP files are): each primitive works along the memory, so that
no copy is made to please it. One file a family of primitives; `gpu/` has the same families under the same names.

>>> CPU().planar_sum(np.ones((2, 3, 4), order="F"), axis=1)
array([8., 8., 8.])
"""

from __future__ import annotations

import numpy as np  # noqa: F401  (the example)

from ..node import usable_cores
from .cylinder import Cylinder
from .features import Features
from .intervals import Intervals
from .memory import Memory
from .ranges import Ranges
from .running import Running
from .spectral import Spectral
from .sums import Sums
from .taps import Taps
from .text import Text
from .windows import Windows


class CPU(Memory, Intervals, Sums, Windows, Spectral, Text, Taps, Cylinder, Running, Ranges, Features):
    """Host memory and NumPy; see device.Device for what each method promises."""

    name = "cpu"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or usable_cores()


__all__ = ["CPU", "usable_cores"]
