"""Source: an opened file whose header is read and whose values are not; the contract of every reader.

A reader module has

    recognises(head: bytes, path: Path) -> bool    from content first; `head` is the decompressed beginning
    open_source(path: Path) -> Source              header only: counts, cell, atoms, what the values are

and `readers.read` turns a Source into a Field: it settles the quantity, asks for the planes of its own slab,
converts the unit and checks the values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..grid import Grid
from ..structure import Structure

ReadPlanes = Callable[[int, int, str, np.dtype], NDArray[np.floating]]
"""(start, stop, block, dtype) → local values (a, b, c), the planes start:stop of the slowest axis only."""


@dataclass(frozen=True, eq=False)
class Source:
    """A file that can be read.

    path          the file
    format        "CHGCAR", "LOCPOT", "cube", "xsf", "npz", "hdf5", "zarr", "siesta", "ase", …
    grid          the whole grid, periodic
    quantity      what the file declares its values to be; None if it does not
    unit          unit of what read_planes returns; None if not declared
    blocks        names of the fields in the file, the default first: ("total", "magnetization"), ("up", "down")
    slowest_axis  the axis whose planes lie one after the other in the file
    read_planes   reads planes start:stop of that axis, of one block
    structure     atoms, if the file has them
    remarks       what a user should know about this file, one sentence each; `info` shows them
    """

    path: Path
    format: str
    grid: Grid
    quantity: str | None
    unit: str | None
    blocks: tuple[str, ...]
    slowest_axis: int
    read_planes: ReadPlanes
    structure: Structure | None = None
    remarks: tuple[str, ...] = ()
