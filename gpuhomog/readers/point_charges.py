r"""Point charges from files: tables of positions and charges, XYZ, and every structure that ASE reads.

    ions.csv    columns position, charge                    a line of charges: along the normal [Å]; [e] or [e/Å^2]
    ions.txt    columns x, y, z, charge                     [Å], [e]
    run.xyz     lines of symbol, x, y, z (, charge)         plain or extended (charges, initial_charges)
    POSCAR, .cif, .pdb, CHGCAR, …                           by ASE; the charge of each element is given

A first line of a table that holds words is its heading; # begins a comment; columns are apart by commas, blanks or
semicolons; with the last two, commas may be decimal.

In   path; charges of elements and the cell where the file does not state them.
Out  PointCharges of two columns, Ions of everything else.

>>> import tempfile
>>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
...     _ = file.write("position,charge\n0.0,1\n0.3,-1\n")
...     file.flush()
...     points = read_point_charges(file.name)
>>> points.total, points.positions.tolist()
(0.0, [0.0, 0.3])
"""

from __future__ import annotations

import operator
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FileFormatError, GpuhomogError, InputError, warn
from ..operators.points.point_charges import PointCharges
from ..structure import SYMBOLS, Structure
from .compressed import check_is_file
from .text_values import cell_number, cells_of, is_cell_number
from .xyz import SUFFIXES, check_frames, frame_lines

Array = NDArray[np.float64]

TABLES = (".csv", ".tsv", ".txt", ".dat")
MOST_FRAMES = 10**12
CHARGE_ARRAYS = ("charges", "charge", "initial_charges", "q")
"""Names under which ASE keeps what an extended XYZ file calls so."""


@dataclass(frozen=True, eq=False)
class Ions:
    """Charged atoms.

    structure  with the charge of each [e]
    cell       (3, 3) rows [Å]; None if neither the file nor the caller states it
    """

    structure: Structure
    cell: Array | None


MOST_ATOMS = 2.0
"""Atoms per Å^3 above which a given cell cannot be in Å: diamond has 0.18; a cell in nm makes a thousand times more."""
MOST_CELLS_APART = 5.0
"""Cells over which positions may reach along each axis, as those of atoms that wandered, before that is told."""


def check_cell(positions: Array, cell: Array, where: object) -> None:
    """InputError for a given cell too small for its atoms, as one in nm is; a warning where they reach far beyond it.

    positions  (n, 3) of atoms, not of other points of charge [Å]
    cell       (3, 3) rows [Å]
    """
    volume = abs(float(np.linalg.det(cell)))
    if len(positions) > MOST_ATOMS * volume:
        lengths = " × ".join(f"{x:.4g}" for x in np.linalg.norm(cell, axis=1))
        raise InputError(
            f"{where}: {len(positions)} atoms in a cell of {lengths} Å are {len(positions) / volume:.3g} per Å^3, and "
            "the densest of solids have 0.18. Give the cell in Å: 1 nm is 10 Å."
        )
    if not len(positions):
        return
    reach = np.ptp(positions @ np.linalg.inv(cell), axis=0)
    if reach.min() > MOST_CELLS_APART:
        warn(
            f"{where}: atoms reach over {', '.join(f'{x:.3g}' for x in reach)} cells along a, b and c, and are put "
            "back into one. Is the cell in Å? 1 nm is 10 Å."
        )


def read_point_charges(
    path: str | os.PathLike[str],
    *,
    charges: Mapping[str, float] | None = None,
    cell: ArrayLike | None = None,
    frame: int = 0,
) -> PointCharges | Ions:
    """Point charges of a file.

    charges  of each element [e]; None: those that the file states
    cell     (3, 3) rows [Å]; None: that of the file
    frame    which of several structures, from 0 on

    Raises InputError for a file that is not there, for elements without a charge, charges for a table, which has its
    own, a frame that does not exist, and a cell that is none or too small for its atoms; FileFormatError for what
    cannot be read.
    """
    place = Path(path)
    check_is_file(place)
    if not isinstance(frame, SupportsIndex) or operator.index(frame) < 0:
        raise InputError(f"{place}: frame {frame}: give the number of a structure in it, from 0 on.")
    rows = rows_of_cell(cell)
    if place.suffix.lower() in TABLES:
        if charges is not None:
            raise InputError(f"{place}: a table states its charges in the last column: leave the others out.")
        if frame:
            raise InputError(f"{place}: a table holds one structure: frame {frame} does not exist (the first is 0).")
        numbers = _table(place)
        if numbers.shape[1] == 2:
            if rows is not None:
                raise InputError(f"{place}: two columns are a line of charges, which has no cell: leave it out.")
            return PointCharges(numbers[:, 0], numbers[:, 1], provenance=({"step": "read", "file": str(place)},))
        numbers_of = np.zeros(len(numbers), dtype=np.int64)
        return Ions(Structure(numbers_of, numbers[:, :3], numbers[:, 3]), rows)
    if place.suffix.lower() in SUFFIXES:
        check_frames(place, min(frame, MOST_FRAMES) + 1)
    numbers_of, positions, stated, found = _plain_xyz(place, frame) or _by_ase(place, frame)
    try:
        atoms = Structure(numbers_of, positions, stated)
    except InputError as error:
        raise FileFormatError(f"{place}: {error}") from None
    symbols = atoms.symbols
    if charges is not None:
        stated = charges_of(symbols, charges, str(place))
    if stated is None:
        raise InputError(f"{place}: states no charges: give that of each element, such as Na=1,Cl=-1.")
    if rows is not None:
        check_cell(positions, rows, place)
    return Ions(Structure(numbers_of, positions, stated), found if rows is None else rows)


def rows_of_cell(cell: ArrayLike | None) -> Array | None:
    """(3, 3) rows of a cell that is given [Å]; InputError for what is none."""
    if cell is None:
        return None
    rows = np.asarray(cell, dtype=np.float64)
    if rows.shape != (3, 3) or not np.isfinite(rows).all() or abs(np.linalg.det(rows)) < 1e-12:
        raise InputError(
            "The cell is not three vectors that span a volume: give three rows of three finite numbers in Å."
        )
    return rows


def charges_of(symbols: Sequence[str], charges: Mapping[str, float], where: str) -> Array:
    """(n,) the charge of each atom's element [e]; InputError, which begins with `where`, for one without."""
    missing = sorted(set(symbols) - charges.keys())
    if missing:
        raise InputError(f"{where}: no charge for {', '.join(missing)}: give one for every element, in e.")
    return np.array([float(charges[symbol]) for symbol in symbols])


def _table(place: Path) -> Array:
    """(n, 2) or (n, 4) numbers."""
    numbers: list[list[float]] = []
    for number, line in enumerate(_lines(place), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        words = cells_of(text)
        try:
            row = [cell_number(word) for word in words]
        except ValueError:
            if not numbers and not any(is_cell_number(word) for word in words):
                continue  # the heading
            raise FileFormatError(f"{place}: line {number} holds more than numbers: {line.strip()[:60]!r}.") from None
        if len(row) not in (2, 4) or (numbers and len(row) != len(numbers[0])):
            raise FileFormatError(
                f"{place}: line {number} has {len(row)} columns: write position and charge, or x, y, z and charge."
            )
        numbers.append(row)
    if not numbers:
        raise FileFormatError(f"{place}: holds no charges.")
    return np.array(numbers)


def _lines(place: Path) -> list[str]:
    try:
        return place.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{place}: cannot be read as text ({error}).") from None


_Read = tuple[NDArray[np.int64], Array, Array | None, Array | None]


def _plain_xyz(place: Path, frame: int) -> _Read | None:
    """Lines of symbol, x, y, z and charge, which ASE would read without the charges; None for other files."""
    if place.suffix.lower() != ".xyz":
        return None
    comment, *lines = frame_lines(place, frame)
    atoms = [line.split() for line in lines]
    if "Properties=" in comment or not all(len(words) == 5 and all(map(is_cell_number, words[1:])) for words in atoms):
        return None
    unknown = sorted({words[0] for words in atoms} - set(SYMBOLS))
    if unknown:
        raise FileFormatError(f"{place}: {unknown[0]} is no element's symbol.")
    numbers = np.array([[float(word) for word in words[1:]] for words in atoms])
    return np.array([SYMBOLS.index(words[0]) for words in atoms]), numbers[:, :3], numbers[:, 3], None


def _by_ase(place: Path, frame: int) -> _Read:
    """By ASE; what it does not know, such as a compressed CHGCAR, by the package's own readers."""
    from ase.io import read

    from . import open_source

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms: Any = read(place, index=frame, parallel=False)  # the first rank reads, ASE would wait for all
    except Exception as error:  # ASE's readers raise whatever parsing raises
        try:
            source = open_source(place, frame=frame, survey=frame > 0)
            if source.structure is not None:
                known = source.structure
                return known.numbers, known.positions - source.grid.origin, known.charges, source.grid.cell
        except GpuhomogError:
            pass
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        what = f"frame {frame} of it, if there are so many" if frame else "a structure from it"
        raise FileFormatError(f"{place}: ASE cannot read {what} ({reason}).") from None
    stated = next((np.asarray(atoms.arrays[name]) for name in CHARGE_ARRAYS if name in atoms.arrays), None)
    cell = np.asarray(atoms.cell, dtype=np.float64)
    return (
        np.asarray(atoms.numbers, dtype=np.int64),
        np.asarray(atoms.positions, dtype=np.float64),
        None if stated is None or not np.any(stated) else np.asarray(stated, dtype=np.float64).reshape(-1),
        cell if abs(np.linalg.det(cell)) > 1e-12 else None,
    )
