"""Source: an opened file whose header is read and whose values are not; the contract of every reader.

A reader module has

    KINDS: tuple[str, ...]                               the words by which a user asks for it
    recognises(head: bytes, path: Path) -> bool          from content first; `head` is the decompressed beginning
    open_source(path: Path, choices: Choices) -> Source  header only: counts, cell, atoms, what the values are

and is named in `readers.MODULES`. A choice that a format has no use for is ignored by its reader; that the frame
exists is checked for all of them. `readers.read` turns a Source into a Field: it settles the quantity, asks for the
planes of its own slab, converts the unit and checks the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from ..grid import Grid
from ..structure import Structure

ReadPlanes = Callable[[int, int, str, np.dtype], NDArray[np.floating]]
"""(start, stop, block, dtype) → local values (a, b, c), the planes start:stop of the slowest axis only."""

DecodePlanes = Callable[[int, int, str, np.dtype, Device], Any]
"""The same on a device that decodes text; None where this file's text has to be read on the host."""


@dataclass(frozen=True)
class Choices:
    """What a user said about a file before it is opened.

    kind      one of the reader's KINDS, where the content is not to decide; None: from the content
    quantity  what the values are; settles what neither content nor name does (VASP)
    frame     which of several cells in the file, the first is 0
    survey    False: do not look for all blocks where that means reading the whole file
    """

    kind: str | None = None
    quantity: str | None = None
    frame: int = 0
    survey: bool = True


NOTHING_CHOSEN = Choices()


@dataclass(frozen=True, eq=False)
class Source:
    """A file that can be read.

    path          the file
    format        "CHGCAR", "LOCPOT", "cube", "xsf", "npz", "hdf5", "zarr", "siesta", "pp.x", "etsf", "ase", …
    grid          the whole grid; periodic unless the file states its boundary
    quantity      what the file declares its values to be; None if it does not
    unit          unit of what read_planes returns; None if not declared
    blocks        names of the fields in the file, the default first: ("total", "magnetization"), ("up", "down")
    slowest_axis  the axis whose planes lie one after the other in the file
    read_planes   reads planes start:stop of that axis, of one block
    decode_planes reads them on a device, with the same bits; None if the format is no text
    structure     atoms, if the file has them
    provenance    steps that the file says its values went through; reading adds its own after them
    remarks       what a user should know about this file, one sentence each; `info` shows them
    atomic_units  with a quantity, values of undeclared unit are in Hartree atomic units; False: the unit must be given
    doubts        quantity → why its unit is not known without the user after all, and what to say; a sentence
    of_block      block → (quantity, unit) where it differs from the file's: a magnetization is no electron density
    n_frames      how many cells follow each other in the file; this is one of them
    finite        True if read_planes itself refuses what is not a finite number
    review        (mean, negative share) of the first block as read → nothing; warns, or raises if the content cannot
                  be what the file declares. Negative share: Σ|negative values| / Σ|values|
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
    provenance: tuple[Mapping[str, Any], ...] = ()
    atomic_units: bool = True
    doubts: Mapping[str, str] = field(default_factory=dict)
    of_block: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    n_frames: int = 1
    finite: bool = False
    review: Callable[[float, float], None] | None = None
    decode_planes: DecodePlanes | None = None
