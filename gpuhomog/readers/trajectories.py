"""Trajectories: frames of molecular dynamics one after another, of any format that MDAnalysis reads.

    LAMMPS    read_trajectory("dump.lammpstrj", topology="system.data")
    GROMACS   read_trajectory("run.xtc", topology="run.tpr"); run.gro has no charges: charges={"OW": -0.8, ...}
    XYZ       read_trajectory("run.xyz", charges={"Na": 1, "Cl": -1}, cell=np.diag([20, 20, 60]))

One frame is in memory at a time, so a trajectory may be of any length; it can be gone through several times. Lengths
are Å (as MDAnalysis gives them), charges e, times ps where the file states them: XYZ and dumps of LAMMPS do not. Needs
the extra `formats`.

In   paths; charges and cell where the files do not state them.
Out  Trajectory: an iterable of Frame.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import FileFormatError, GpuhomogError, InputError, import_optional
from ..operators.points.trajectory_average import Frame
from .compressed import check_is_file
from .point_charges import check_cell, rows_of_cell

LAMMPS_DUMPS = (".lammpstrj", ".lammpsdump", ".dump")
"""Suffixes of LAMMPS dumps, of which MDAnalysis knows one."""


_MADE_UP = "Reader has no dt information"
"""What MDAnalysis warns of where it takes 1 ps a frame, or a step of LAMMPS, for a file without times."""


class Trajectory:
    """Frames of a trajectory; len() is their number.

    charges  (n,) of the atoms [e]
    names    what the charges were looked up by, one for each atom
    """

    def __init__(
        self,
        universe: Any,
        path: Path,
        charges: NDArray[np.float64],
        names: tuple[str, ...],
        cell: NDArray[np.float64] | None,
        frames: slice,
        timed: bool,
    ) -> None:
        self._universe, self._path, self._cell, self._frames, self._timed = universe, path, cell, frames, timed
        self.charges, self.names = charges, names

    def __len__(self) -> int:
        return len(range(*self._frames.indices(len(self._universe.trajectory))))

    def __iter__(self) -> Iterator[Frame]:
        checked = False
        for number in range(*self._frames.indices(len(self._universe.trajectory))):
            with _quiet(self._path, f"frame {number}"):
                step = self._universe.trajectory[number]
                cell = self._cell if self._cell is not None else step.triclinic_dimensions
                positions = np.array(step.positions, dtype=np.float64)
                time = float(step.time) if self._timed else None
            if cell is None or not np.asarray(cell).any():
                raise InputError(f"{self._path}: frame {number} states no cell: give cell = three rows in Å.")
            if self._cell is not None and not checked:
                check_cell(positions, self._cell, self._path)
                checked = True
            frame = Frame(positions, self.charges, np.asarray(cell, dtype=np.float64), time)
            yield check_frame(frame, f"{self._path}, frame {number}")


def check_frame(frame: Frame, where: str) -> Frame:
    """The frame; FileFormatError if a position, a charge or the cell is not finite."""
    for what, values in (("position", frame.positions), ("charge", frame.charges)):
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        if bad.size:
            raise FileFormatError(
                f"{where}: the {what} of atom {bad[0]} of {len(values)} is NaN or infinite, and would spread to all "
                "results: repair the file, or leave that frame out."
            )
    if not np.isfinite(frame.cell).all():
        raise FileFormatError(f"{where}: its cell holds NaN or infinity: give cell=…, three rows in Å.")
    return frame


@contextmanager
def _quiet(path: Path, what: str) -> Iterator[None]:
    """MDAnalysis without its warnings; its errors as one sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (GpuhomogError, GeneratorExit):
        raise
    except Exception as error:  # its readers raise whatever parsing raises
        reason = " ".join(str(error).split())[:200]
        if "isn't a valid topology format" in reason:
            raise FileFormatError(
                f"{path}: MDAnalysis cannot read {what}, of no suffix that it knows: give kind=…, or topology=…, "
                "the file with the atoms."
            ) from None
        raise FileFormatError(f"{path}: MDAnalysis cannot read {what} ({type(error).__name__}: {reason}).") from None


def read_trajectory(
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
) -> Trajectory:
    """A trajectory, of which nothing but the first frame has been read.

    path        trajectory: .lammpstrj, .xtc, .trr, .dcd, .xyz and what else MDAnalysis reads
    topology    file with the atoms and, if it states them, their charges; the trajectory itself by default
    charges     of each atom name, element or type [e]; None: those of the topology
    cell        (3, 3) rows [Å], for files that state none
    start, stop, every  frames
    kind        format of the trajectory, as MDAnalysis names it, where the suffix does not say
    atom_style  of a LAMMPS data file, such as "id type charge x y z"

    Raises GpuhomogError without MDAnalysis; InputError for missing files, for atoms without a charge, for a cell that
    is none, and for every below 1; FileFormatError for what cannot be read; its first frame InputError for a cell too
    small for its atoms.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        MDAnalysis = import_optional("MDAnalysis", "formats", "Trajectories")
    place = Path(path)
    for file in (place, *(() if topology is None else (Path(topology),))):
        check_is_file(file)
    if every < 1:
        raise InputError(f"every = {every}: give 1 or more.")
    rows = rows_of_cell(cell)
    more: dict[str, Any] = {}
    if kind is None and place.suffix.lower() in LAMMPS_DUMPS:
        kind = "LAMMPSDUMP"
    if kind is not None:
        more |= {"format": kind} if topology is not None else {"format": kind, "topology_format": kind}
    if atom_style is not None:
        more |= {"atom_style": atom_style, "topology_format": "DATA"}
    with _quiet(place, "it"), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        files = (str(place),) if topology is None else (str(topology), str(place))
        universe = MDAnalysis.Universe(*files, **more)
        _ = universe.trajectory.ts.time
    timed = not any(_MADE_UP in str(warning.message) for warning in said)
    found, names = _charges(universe, charges, place)
    return Trajectory(universe, place, found, names, rows, slice(start, stop, every), timed)


def _charges(
    universe: Any, charges: Mapping[str, float] | None, path: Path
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Charge of each atom, and the name by which it was found."""
    atoms = universe.atoms
    known = {}
    for attribute in ("names", "elements", "types"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                known[attribute] = [str(word) for word in getattr(atoms, attribute)]
            except Exception:  # MDAnalysis: the topology has no such attribute
                continue
    if charges is None:
        try:
            values = np.asarray(atoms.charges, dtype=np.float64)
        except Exception:  # the same
            raise InputError(
                f'{path}: the files state no charges: give charges={{"Na": 1, ...}}, or a topology with charges.'
            ) from None
        return values, tuple(next(iter(known.values()), [""] * len(atoms)))
    out, used = np.empty(len(atoms)), []
    for i in range(len(atoms)):
        word = next((words[i] for words in known.values() if words[i] in charges), None)
        if word is None:
            called = ", ".join(sorted({words[i] for words in known.values()}))
            raise InputError(
                f"{path}: no charge for atom {i + 1} ({called}): give one for every name, element or type."
            )
        out[i] = float(charges[word])
        used.append(word)
    return out, tuple(used)
