"""Frames of charges from trajectories: by ASE where it is at home, by MDAnalysis everything else.

    .xyz, .extxyz, .traj, XDATCAR     ASE; charges of the file (initial_charges, charges) may change from frame to frame
    .xtc, .trr, .dcd, .lammpstrj, …   MDAnalysis (module trajectories), with the charges of a topology; and plain .xyz
                                      whose atoms have other names than elements
    one file for each frame           structures and tables of x, y, z and charge (module point_charges)

One frame is in memory at a time.

In   path or paths; charges and cell where the files do not state them.
Out  an iterable of Frame, that can be gone through once.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FileFormatError, InputError
from ..operators.points.trajectory_average import Frame
from ..structure import SYMBOLS, Structure
from .compressed import check_is_file
from .point_charges import CHARGE_ARRAYS, Ions, charges_of, check_cell, read_point_charges, rows_of_cell
from .trajectories import check_frame, read_trajectory
from .xyz import SUFFIXES, check_frames

BY_ASE = (".xyz", ".extxyz", ".traj")


def is_by_ase(path: Path) -> bool:
    """True for files that ASE is at home with, by their name."""
    return path.suffix.lower() in BY_ASE or path.name.startswith("XDATCAR")


def _is_of_elements(path: Path) -> bool:
    """False for plain XYZ whose atoms have names that are no elements (OW, Na+): ASE has no room for them."""
    if path.suffix.lower() != ".xyz":
        return True
    with path.open(encoding="utf-8", errors="replace") as file:
        first, comment = file.readline(), file.readline()
        if not first.strip().isdecimal() or "Lattice=" in comment:
            return True
        return all(line.split(maxsplit=1)[0] in SYMBOLS for line in islice(file, int(first)) if line.strip())


def read_frames(
    path: str | os.PathLike[str],
    topology: str | os.PathLike[str] | None = None,
    *,
    charges: Mapping[str, float] | None = None,
    cell: ArrayLike | None = None,
    start: int = 0,
    stop: int | None = None,
    every: int = 1,
    kind: str | None = None,
    atom_style: str | None = None,
) -> Iterable[Frame]:
    """Frames of a trajectory, of which one is in memory at a time.

    charges  of each element [e] (by MDAnalysis: atom name, element or type); None: those that the files state
    start    the first frame, from 0 on
    stop     the frame before which to end; None: the end
    others   as in read_trajectory; kind is its format

    Raises InputError for missing files, atoms without a charge, frames without a cell, a cell that is none or too small
    for the atoms of the first frame, start below 0, stop not above it and every below 1; FileFormatError for what
    cannot be read; GpuhomogError where MDAnalysis is needed and not there.
    """
    if start < 0 or every < 1:
        raise InputError(f"start = {start}, every = {every}: give a start from 0 on, and every of 1 or more.")
    if stop is not None and stop <= start:
        raise InputError(f"start = {start}, stop = {stop}: no frame lies between them; give a stop above the start.")
    place = Path(path)
    if is_by_ase(place):
        check_is_file(place)
    if place.suffix.lower() in SUFFIXES:
        check_is_file(place)
        check_frames(place, stop)
    if topology is not None or kind is not None or not (is_by_ase(place) and _is_of_elements(place)):
        return read_trajectory(
            place,
            topology,
            charges=charges,
            cell=cell,
            start=start,
            stop=stop,
            every=every,
            kind=kind,
            atom_style=atom_style,
        )
    return _by_ase(place, charges, rows_of_cell(cell), slice(start, stop, every))


def frames_of_files(
    paths: Sequence[str | os.PathLike[str]],
    *,
    charges: Mapping[str, float] | None = None,
    cell: ArrayLike | None = None,
) -> Iterator[Frame]:
    """A frame of each file: structures, and tables of x, y, z and charge.

    Raises InputError as read_point_charges, for files without a cell, and for tables of two columns, whose charges are
    not followed from one to the next.
    """
    for path in paths:
        found = read_point_charges(path, charges=charges, cell=cell)
        if not isinstance(found, Ions):
            raise InputError(f"{path}: a line of charges has no cell across whose ends it moves: give x, y, z, charge.")
        if found.cell is None or found.structure.charges is None:
            raise InputError(f"{path} states no cell: give cell=…, three rows in Å.")
        yield Frame(found.structure.positions, found.structure.charges, found.cell)


def _by_ase(
    place: Path, charges: Mapping[str, float] | None, cell: NDArray[np.float64] | None, wanted: slice
) -> Iterator[Frame]:
    with closing(_atoms(place)) as frames:
        for number, atoms in islice(enumerate(frames), wanted.start, wanted.stop, wanted.step):
            where = f"{place}, frame {number}"
            rows = np.asarray(atoms.cell, dtype=np.float64) if cell is None else cell
            if abs(np.linalg.det(rows)) < 1e-12:
                raise InputError(f"{where} states no cell: give cell=…, three rows in Å.")
            if cell is not None and number == wanted.start:
                check_cell(np.asarray(atoms.positions), cell, place)
            found = _charges(atoms, charges, where)
            yield check_frame(Frame(np.asarray(atoms.positions, dtype=np.float64), found, rows), where)


def _atoms(place: Path) -> Generator[Any]:
    from ase.io import iread

    try:
        # ranks do not read together here; whoever stops early leaves no file open
        with closing(iread(place, index=":", parallel=False)) as frames:
            while True:
                with warnings.catch_warnings():  # not while the caller has the frame
                    warnings.simplefilter("ignore")
                    atoms = next(frames, None)
                if atoms is None:
                    return
                yield atoms
    except GeneratorExit:
        raise
    except Exception as error:  # ASE's readers raise whatever parsing raises
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise FileFormatError(
            f"{place}: ASE cannot read all frames of it ({reason}). The last one of a run that was ended while it "
            "wrote is cut short: take it off the file."
        ) from None


def _charges(atoms: Any, charges: Mapping[str, float] | None, where: str) -> NDArray[np.float64]:
    try:
        symbols = Structure(atoms.numbers, atoms.positions).symbols
    except InputError as error:
        raise FileFormatError(f"{where}: {error}") from None
    if charges is not None:
        return charges_of(symbols, charges, where)
    stated = [atoms.arrays[name] for name in CHARGE_ARRAYS if name in atoms.arrays]
    computed = getattr(atoms.calc, "results", {}).get("charges")
    found = next((np.asarray(q, dtype=np.float64) for q in (*stated, computed) if q is not None and np.any(q)), None)
    if found is None:
        raise InputError(f"{where} states no charges: give charges=… of each element in e.")
    return found.reshape(-1)
