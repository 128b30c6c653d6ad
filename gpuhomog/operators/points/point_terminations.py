"""Point charges on lattice planes: the charge of every termination of a crystal of ions, without any grid.

    x_i = r_i·n mod d,   n along h b1 + k b2 + l b3,   d = 2π/|h b1 + k b2 + l b3|
    σ(x_L) = -(1/d) Σ q_i (x_i - x_L)/A,   A = Ω/d,   ions from x_L to x_L + d                            eq. 58

Between two planes of ions σ does not change, for the cell is neutral; at each plane it steps by the charge of that
plane per area. Cuts differ by whole ions; the quantum of what they may differ by is e/A (eq. 56).

In   Structure with charges, its cell, lattice planes.
Out  PointCharges of one spacing; PointTerminations: host.

>>> ions = Structure([11, 17], [[0, 0, 0], [0, 0, 2.0]], charges=[1.0, -1.0])
>>> found = point_terminations(ions, np.diag([3.0, 3.0, 4.0]), "c")
>>> [(cut.start, cut.stop, round(float(cut.charge), 6)) for cut in found.cuts], found.polar
([(0.0, 2.0, -0.055556), (2.0, 4.0, 0.055556)], True)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, counted
from ...grid import Grid
from ...results import Result, Tables
from ...structure import Structure
from ..excess.terminations import NEUTRAL_QUANTUM, PolarizationQuantum, Termination, polarization_quantum
from ..profiles.planar import Planes
from .point_charges import NEUTRAL, PointCharges, crystal_surface_charge

SAME_PLANE = 1e-4
"""Ions nearer than this along the normal are of one plane [Å]."""


@dataclass(frozen=True, eq=False)
class PointTerminations(Result):
    """Every termination of a family of planes of a crystal of ions.

    cuts      gaps between planes of ions, in order, with the charge of a cut there, matter above it [e/Å^2]
    levels    (n,) positions of the planes [Å];  plane_charges  (n,) charge of each [e/Å^2]
    plane_elements  elements in each plane, such as "Zn" or "Ca, O"; "" where they are not known
    polar     True if no gap is neutral
    quantum   e/A (2e/A for paired electrons) [e/Å^2]
    planes, spacing, area   name; d [Å]; A [Å^2]
    """

    cuts: tuple[Termination, ...]
    levels: NDArray[np.float64]
    plane_charges: NDArray[np.float64]
    polar: bool
    quantum: float
    planes: str
    spacing: float
    area: float
    plane_elements: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        n = len(self.cuts)
        ends = [self.plane_elements[(i + 1) % n] if self.plane_elements else "" for i in range(n)]
        cuts = [
            (
                f"cut at {cut.position:.4f} Å{f', {end} outermost' if end else ''}",
                f"{cut.charge}{' (neutral)' if cut.neutral else ''}",
            )
            for cut, end in zip(self.cuts, ends, strict=True)
        ]
        how = (
            ("polar", "yes: no gap between planes is neutral" if self.polar else "no"),
            ("quantum", f"{self.quantum:.8g} e/Å^2"),
            ("planes", f"{self.planes}, {self.spacing:.6f} Å apart, {counted(len(self.levels), 'plane')} of ions"),
        )
        return ("Terminations of point charges", tuple(cuts)), ("The planes", how)


def ions_on_planes(structure: Structure, cell: ArrayLike, planes: Planes) -> tuple[PointCharges, float, str]:
    """Ions of a cell along the normal of lattice planes, from 0 to their spacing; the spacing; the planes' name.

    structure  with charges
    cell       (3, 3) lattice vectors as rows [Å]
    planes     axis, or (h, k, l)

    Charges are per area A = Ω/d. Ions within 1e-4 Å of the end of the spacing stand at its beginning. Raises InputError
    for a structure without charges and for planes that are none.
    """
    if structure.charges is None:
        raise InputError('The structure states no charges: give them, as Structure(…, charges=[…]) or {"Na": 1, ...}.')
    quantum = polarization_quantum(cell, planes)
    x = _along(structure, cell, quantum)
    step = {"step": "ions on planes", "planes": quantum.planes, "ions": len(structure)}
    return PointCharges(x, structure.charges / quantum.area, quantum.area, (step,)), quantum.spacing, quantum.planes


def _along(structure: Structure, cell: ArrayLike, quantum: PolarizationQuantum) -> NDArray[np.float64]:
    """Positions of the ions along the normal, from 0 to the spacing of the planes [Å]."""
    indices = np.array([int(word) for word in quantum.planes.strip("()").split()])
    reciprocal = Grid((1, 1, 1), np.asarray(cell, dtype=np.float64)).reciprocal
    x = (structure.positions @ (indices @ reciprocal) / (2 * np.pi)) % 1.0 * quantum.spacing
    x[quantum.spacing - x < SAME_PLANE] = 0.0
    return np.asarray(x)


def point_terminations(
    structure: Structure, cell: ArrayLike, planes: Planes, *, paired: bool = False
) -> PointTerminations:
    """Charge of a crystal of ions cut along lattice planes, in every gap between planes of ions.

    structure, cell, planes  as in ions_on_planes
    paired                   electrons come in pairs: the quantum is 2e/A

    Source: eqs. 56, 58 of the paper. Raises InputError as ions_on_planes, and for a cell with net charge.
    """
    points, spacing, name = ions_on_planes(structure, cell, planes)
    x, q = np.asarray(points.positions), np.asarray(points.charges)
    if abs(points.total) > NEUTRAL * max(points.gross, 1e-300):
        raise InputError(
            f"The cell carries {points.total * float(points.area or 1.0):.6g} e: the charge of a cut exists for "
            "neutral cells alone. Correct the charges."
        )
    first = np.concatenate([[True], np.diff(x) > SAME_PLANE])
    levels, charges = x[first], np.add.reduceat(q, np.flatnonzero(first))
    family = polarization_quantum(cell, planes, paired=paired)
    quantum, along = family.along_normal, _along(structure, cell, family)
    plane = np.searchsorted(levels, along, side="right") - 1
    known = np.asarray(structure.symbols)
    elements = [sorted(set(known[(plane == i) & (structure.numbers > 0)])) for i in range(len(levels))]
    cuts = []
    for number, start in enumerate(levels):
        stop = levels[number + 1] if number + 1 < len(levels) else levels[0] + spacing
        middle = (start + stop) / 2
        above = np.where(x < middle, x + spacing, x)
        charge = crystal_surface_charge(PointCharges(above, q, points.area), spacing, float(middle))
        value = float(charge)
        cuts.append(
            Termination(
                start=float(start),
                stop=float(stop),
                position=float(middle % spacing),
                charge=charge,
                modulo=value - quantum * round(value / quantum),
                neutral=abs(value) <= NEUTRAL_QUANTUM * quantum,
                sliced=False,
            )
        )
    done = {"step": "terminations", "planes": name}
    return PointTerminations(
        tuple(cuts),
        levels,
        charges,
        not any(cut.neutral for cut in cuts),
        quantum,
        name,
        spacing,
        float(points.area or 0.0),
        tuple(", ".join(names) for names in elements),
        (*points.provenance, done),
    )
