"""ASE: a Field from an array and ASE Atoms, and files whose values ASE itself reads.

    values (a, b, c)  on the grid  r = (i/n_a) a + (j/n_b) b + (k/n_c) c  of  atoms.cell

    density = gh.from_ase(calc.get_all_electron_density(), atoms, quantity="electron_density")
    potential = gh.from_ase(calc.get_electrostatic_potential(), atoms, quantity="electron_potential_energy")

GPAW, and ASE in general, use Å and eV, which are the package's own units; where an array is in others, `unit`
says so. A calculator that leaves out the grid points of an open face (GPAW: pbc False along an axis, n - 1
points) needs pad=1 there. Files are read here only when asked for (kind "ase"): cube and XSF have readers of
their own, which read by planes, keep the ion charges, and take headers that ASE does not.

In   values and Atoms; or a path that ASE reads with data.
Out  Field; or Source.

>>> from ase import Atoms
>>> from_ase(np.ones((4, 4, 8)), Atoms("Na", cell=[2, 2, 4], pbc=True), quantity="electron_density").integral()
16.0
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..device import Device
from ..errors import FileFormatError, InputError, met_in
from ..field import Field
from ..grid import Grid
from ..structure import Structure
from .compressed import open_bytes
from .cube import doubts_of_writer
from .source import NOTHING_CHOSEN, Choices, Source

KINDS = ("ase",)
_WITH_DATA = ("cube", "xsf")


def from_ase(
    values: ArrayLike,
    atoms: Any,
    *,
    quantity: str = "scalar",
    unit: str | None = None,
    boundary: str | Sequence[str] = "periodic",
    pad: int | Sequence[int] = 0,
    origin: ArrayLike | None = None,
    device: str | Device = "auto",
) -> Field:
    """Field from an array on the cell of ASE Atoms.

    values    (n_a, n_b, n_c) real, finite
    atoms     ase.Atoms with a three-dimensional cell [Å]; its pbc is not taken as the boundary, since most codes
              that ASE runs are periodic whatever pbc says
    quantity  one of units.QUANTITIES
    unit      unit of the values; None means the package's own unit of the quantity (1/Å^3, eV, …)
    boundary  "periodic", "open", or one per axis
    pad       planes of zeros put before the first plane of each axis: one, or one number for each axis; 1 where
              the calculator leaves out the points of an open face at which the field is zero
    origin    position of point [0, 0, 0], in the coordinates of the atoms [Å]; None means 0
    device    as in Field.from_array

    Raises InputError for Atoms without a cell, and as Field.from_array.
    """
    if not (hasattr(atoms, "cell") and hasattr(atoms, "numbers") and hasattr(atoms, "positions")):
        raise InputError(f"Atoms of type {type(atoms).__name__}: give ase.Atoms.")
    array = np.asarray(values)
    widths = np.broadcast_to(np.asarray(pad, dtype=np.int64), (3,))
    if widths.min() < 0:
        raise InputError(f"pad = {pad}: give the number of planes to add, 0 or more.")
    if array.ndim == 3 and widths.any():
        array = np.pad(array, [(int(n), 0) for n in widths])
    field = Field.from_array(
        array,
        np.asarray(atoms.cell),
        quantity=quantity,
        unit=unit,
        boundary=boundary,
        device=device,
        origin=origin,
        structure=Structure(atoms.numbers, atoms.positions),
    )
    return field.derive(field.values, {"step": "from ASE", "formula": atoms.get_chemical_formula()})


def recognises(head: bytes, path: Path) -> bool:
    """False: every format whose values ASE reads has a reader of its own; this one is chosen by name."""
    return False


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Read the file with ASE. It reads everything at once; read_planes cuts."""
    from ase.io import cube, xsf
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        kind = filetype(str(path))
        if kind not in _WITH_DATA:
            raise FileFormatError(
                f"{path}: ASE reads it as {kind}, without values on a grid ({', '.join(_WITH_DATA)} have them). "
                "Get the array from the calculator and use gpuhomog.from_ase."
            )
        with open(path, encoding="utf-8") as file:
            if kind == "cube":
                content = cube.read_cube(file)
                found, atoms, origin = content["data"], content["atoms"], content["origin"]
            else:
                found, origin, span, atoms = xsf.read_xsf(file, read_data=True)
                if not np.allclose(span, atoms.cell):
                    raise FileFormatError(f"{path}: its grid does not span the cell; read it as kind xsf.")
                ends = [(np.take(found, 0, axis), np.take(found, -1, axis)) for axis in range(3)]
                if any(np.abs(last - first).max() > 1e-6 * np.abs(found).max() for first, last in ends):
                    raise FileFormatError(f"{path}: its last planes do not repeat the first; read it as kind xsf.")
                found = np.asarray(found)[:-1, :-1, :-1]  # the planes that a general grid repeats
    except FileFormatError:
        raise
    except UnknownFileTypeError:
        raise FileFormatError(f"{path}: ASE does not know this kind of file.") from None
    except Exception as error:  # ASE's readers raise whatever parsing raises
        raise FileFormatError(f"{path}: ASE cannot read it ({type(error).__name__}: {error}).") from None
    array = np.asarray(found)
    if array.ndim != 3 or array.dtype.kind not in "fiu":
        raise FileFormatError(f"{path}: ASE returns an array of shape {array.shape}, type {array.dtype}; use cube.")

    def read_planes(start: int, stop: int, block: str, dtype: np.dtype) -> NDArray[np.floating]:
        return np.array(array[start:stop], dtype=dtype)

    with met_in(f"{path}: ", FileFormatError):
        grid = Grid((array.shape[0], array.shape[1], array.shape[2]), np.asarray(atoms.cell), np.asarray(origin))
        structure = Structure(atoms.numbers, atoms.positions)
    remarks = (f"Read by ASE as {kind}, whole.",)
    return Source(
        path,
        "ase",
        grid,
        None,
        None,
        ("values",),
        0,
        read_planes,
        structure,
        remarks,
        atomic_units=kind == "cube",
        doubts=doubts_of_writer(open_bytes(path).head(4096).split(b"\n")),
    )
