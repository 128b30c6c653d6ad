"""Vacuum levels on both sides of a slab, and the field that a periodic cell puts between them.

    ΔV = φ_high - φ_low = 4πκ p              p the slab's dipole per area [e/Å]
    φ_cell = φ_slab - (4πκ p/L) z            of a cell of height L, whose two ends have the same potential
    φ_corrected = φ_cell - s (z - z_0)       s = dφ/dz in the vacuum = -4πκ p/L, jump in the middle of the vacuum

A level is the line fitted to the straight part of a vacuum (potential_step.py), never a largest value, and two sides
are two numbers. The dipole is known from the field in the vacuum, or from the charge if that is given, without a fit.
What the correction leaves in are the images' waves within the planes, which fall as e^{-gL} across the vacuum; the
potential of the charge with an open axis (poisson.py) has neither, and is the independent route.

In   Field or Profile of a potential or a charge density.
Out  VacuumLevels: V, V/Å, eV; DipoleCorrection with the corrected Field.

>>> import gpuhomog as gh
>>> x = np.arange(400) * 0.1
>>> charge = np.exp(-((x - 18) ** 2)) - np.exp(-((x - 20) ** 2))
>>> density = gh.Field.from_array(0.01 * charge[None, None], np.diag([3.0, 3.0, 40.0]), quantity="charge_density")
>>> corrected = gh.dipole_correction(gh.electrostatic_potential(density), "c")
>>> print(f"{corrected.levels.step.value:.4f} {FOUR_PI_KAPPA * -0.02 * np.pi**0.5:.4f}")
-6.4146 -6.4146
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import hypot, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, axis_index
from ...parallel.exchange import at
from ...results import Measurement, Profile, Result, Tables, between_positions, weighted_sum
from ...streaming import Unread
from ...units import ENERGY, FIELD, FOUR_PI_KAPPA, MOMENT, POTENTIALS
from ..averages.streamed import digest_of
from ..excess.charge_profile import profile_of
from ..excess.line_moments import first_moment, first_moment_error
from ..profiles.bulk import find_body
from ..profiles.planar import Planes, planar_average
from .poisson import electrostatic_potential
from .potential_step import FLAT_FIELD, NEUTRAL_SLAB, SIDES, potential_step

FELT = 1e-3  # V from face to face: a field that the Fermi energy of a calculation knows of


@dataclass(frozen=True, eq=False)
class VacuumLevels(Result):
    """Levels of the two vacua beside a slab.

    low, high       potential of a positive charge below and above, at the faces [V]; from a charge density low is 0
    step            high - low [V]
    dipole          per area: step/(4πκ), from a charge density its own moment [e/Å]
    field_low, field_high  dφ/dx there [V/Å]; the electric field is minus that
    work_function_low, work_function_high  -e φ - E_F [eV]; None without the Fermi energy
    plateaus        where the lines were fitted [Å]
    faces           ends of the vacua [Å]
    source          quantity they were found from
    planes          "a", "b", "c", or "(h k l)"
    remarks         what a reader should know, one sentence each
    provenance      what was read and done, step by step
    """

    low: Measurement
    high: Measurement
    step: Measurement
    dipole: Measurement
    field_low: Measurement
    field_high: Measurement
    work_function_low: Measurement | None
    work_function_high: Measurement | None
    plateaus: tuple[tuple[float, float] | None, tuple[float, float] | None]
    faces: tuple[float, float]
    source: str
    planes: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: the levels, then where they were found; rows of name and text under a title."""
        levels = [
            ("low", f"{self.low}, slope {self.field_low}"),
            ("high", f"{self.high}, slope {self.field_high}"),
            ("step, high - low", str(self.step)),
            ("dipole", str(self.dipole)),
        ]
        for side, work in zip(SIDES, (self.work_function_low, self.work_function_high), strict=True):
            if work is not None:
                levels.append((f"work function, {side}", str(work)))
        how = [
            ("from", f"{self.source.replace('_', ' ')}, planes of {self.planes}"),
            ("slab", between_positions(self.faces)),
            *((f"level {side} from", between_positions(p)) for side, p in zip(SIDES, self.plateaus, strict=True)),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Vacuum levels, potential of a positive charge", tuple(levels)), ("How they were found", tuple(how))


@dataclass(frozen=True, eq=False)
class DipoleCorrection(Result):
    """A slab's potential without the field of its periodic cell.

    levels      of the corrected potential
    dipole      of the slab, per area, from the field that was removed [e/Å]
    removed     dφ/dx that the cell had put in [V/Å]
    from_charge True if the dipole is that of a charge density, False if that of the field in the vacuum
    jump        where the corrected potential jumps, the middle of the vacuum [Å]
    potential   the corrected Field [V]
    remarks     what a reader should know, one sentence each
    provenance  what was read and done, step by step
    """

    levels: VacuumLevels
    dipole: Measurement
    removed: Measurement
    from_charge: bool
    jump: float
    potential: Field = field(repr=False)
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: what was removed, then the levels; rows of name and text under a title."""
        rows = [
            ("dipole", f"{self.dipole}, from the {'charge' if self.from_charge else 'field in the vacuum'}"),
            ("field removed", str(self.removed)),
            ("jump at", f"{self.jump:.4f} Å"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Dipole correction", tuple(rows)), *self.levels.tables()


def vacuum_levels(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    density: Field | Profile | None = None,
    x_b: float | None = None,
    fermi_energy: float | None = None,
) -> VacuumLevels:
    """Potential of the vacuum below and above a slab, each with its slope and uncertainty.

    field         electrostatic_potential, electron_potential_energy or charge_density; Field or Profile
    axis          of a Field: "a", "b", "c" or lattice planes
    density       electron or charge density on the same planes: the vacuum is then where it is empty too
    x_b           a position in the slab that is meant [Å], where a gap could be taken for the vacuum
    fermi_energy  of the electrons, on the scale of the potential's file [eV]: gives the work functions

    Source: section XIII of the paper; plateaus as potential_step finds them.
    Raises InputError as potential_step does, and where a vacuum has no plateau: "no vacuum plateau (slope ...)".
    """
    if fermi_energy is not None and not isfinite(fermi_energy):
        raise InputError(f"fermi_energy = {fermi_energy}: give a finite energy in eV.")
    found = potential_step(field, axis, density=density, x_b=x_b, period=None)
    slopes = (found.field_low, found.field_high)
    for side, slope in zip(SIDES, slopes, strict=True):
        if slope.value is not None and abs(slope.value) > FLAT_FIELD:
            raise InputError(
                f"No vacuum plateau on the {side} side (slope {slope.value:.3g} V/Å > {FLAT_FIELD:g} V/Å): the level "
                "depends on where it is taken. The field that a periodic cell puts into the vacuum of a polar slab is "
                "removed by gh.dipole_correction; that of a charged slab is its own."
            )
    works: list[Measurement | None] = [None, None]
    if fermi_energy is not None:
        works = [weighted_sum(ENERGY, (-1.0, level), shift=-fermi_energy) for level in (found.low, found.high)]
    return VacuumLevels(
        low=found.low,
        high=found.high,
        step=found.step,
        dipole=found.dipole or weighted_sum(MOMENT, (1 / FOUR_PI_KAPPA, found.step)),
        field_low=found.field_low,
        field_high=found.field_high,
        work_function_low=works[0],
        work_function_high=works[1],
        plateaus=found.plateaus,
        faces=found.faces,
        source=found.source,
        planes=found.planes,
        remarks=found.remarks,
        provenance=(*found.provenance[:-1], {"step": "vacuum levels", "fermi_energy": fermi_energy}),
    )


def dipole_correction(
    field: Field,
    axis: int | str,
    *,
    density: Field | Profile | None = None,
    x_b: float | None = None,
    fermi_energy: float | None = None,
) -> DipoleCorrection:
    """Remove the field of a periodic cell from the potential of a slab; the step is then in the vacuum, at a jump.

    field    electrostatic_potential or electron_potential_energy, periodic along the axis
    axis     "a", "b" or "c", along the normal
    density  charge_density on the same planes: its moment gives the dipole exactly. Without it, or from an
             electron_density, which only shows where the vacuum is, the fields on both sides give it
    x_b, fermi_energy  as for vacuum_levels

    Raises InputError as vacuum_levels does; for an open axis, where there is no such field; for a charged slab; and
    where neither vacuum has a straight part.
    """
    across = axis_index(axis)
    name = AXIS_NAMES[across]
    if field.quantity not in POTENTIALS:
        raise InputError(
            f"A dipole correction is for an electrostatic_potential or an electron_potential_energy, and this is a "
            f'{field.quantity}: of a charge density gh.electrostatic_potential(field, "p,p,o") has no such field.'
        )
    if field.grid.boundary[across] == OPEN:
        raise InputError(f"Axis {name} is open, so there is no field of a periodic cell to remove: leave it as it is.")
    potential = electrostatic_potential(field)
    profile, height = planar_average(potential, across), field.grid.height(across)
    charge = None if density is None else profile_of(density, name)
    found = potential_step(profile, density=charge, x_b=x_b, period=None)
    remarks: list[str] = []
    if charge is not None and charge.quantity == "charge_density":
        line = find_body(charge, "bandlimited", x_b).line
        if abs(line.total) > NEUTRAL_SLAB * line.gross:
            raise InputError(
                f"The slab charge is {line.total:.4g} e/Å^2 != 0: its dipole depends on the origin. Add the missing "
                "ions or electrons (gh.charge_balance tells)."
            )
        dipole = Measurement(first_moment(line, sum(found.faces) / 2), MOMENT, first_moment_error(line))
        removed = weighted_sum(FIELD, (-FOUR_PI_KAPPA / height, dipole))
        exact = True
    else:
        slopes = [s for s in (found.field_low, found.field_high) if s.value is not None]
        if not slopes:
            raise InputError(f"No vacuum plateau along {name}: {found.field_low.reason}.")
        numbers, errors = [float(s) for s in slopes], [s.uncertainty or 0.0 for s in slopes]
        apart = abs(numbers[0] - numbers[-1])
        removed = Measurement(float(np.mean(numbers)), FIELD, hypot(apart, *errors) / len(slopes))
        dipole = weighted_sum(MOMENT, (-height / FOUR_PI_KAPPA, removed))
        exact = False
        if apart > max(0.05 * abs(float(removed)), 4 * hypot(*errors), 2e-3):
            remarks.append(
                f"the fields of the two vacua differ by {apart:.2g} V/Å, as those of a charged slab or of a bent "
                "vacuum do: one dipole does not remove both"
            )
    middle = sum(found.faces) / 2
    across_slab = abs(float(removed)) * (found.faces[1] - found.faces[0])
    if fermi_energy is not None and across_slab > FELT:
        remarks.append(
            f"the Fermi energy is that of the slab in this field, {across_slab:.2g} V from face to face, which is "
            f"taken to be zero at {middle:.2f} Å: both work functions go up or down with that. Correct the calculation "
            "itself"
        )
    jump = float((middle + height / 2) % height)
    along = (field.grid.plane_positions(across) - jump) % height - height / 2
    step = {"step": "dipole correction", "axis": name, "field": float(removed), "jump": jump}
    corrected = potential.derive(_less_by_planes(potential, across, float(removed) * along), step)
    levels = vacuum_levels(corrected, name, density=charge, x_b=x_b, fermi_energy=fermi_energy)
    levels = _of_removed(levels, removed)
    return DipoleCorrection(
        levels, dipole, removed, exact, jump, corrected, tuple(remarks), provenance=corrected.provenance
    )


def _less_by_planes(field: Field, axis: int, numbers: NDArray[np.float64]) -> Any:
    """Values of a field less one number for each plane of an axis; Unread where they are."""
    device, values, split = field.device, field.values, field.slab.axis
    ramp = numbers.reshape([-1 if i == axis else 1 for i in range(3)]).astype(values.dtype)
    if not isinstance(values, Unread):
        return values - device.asarray(ramp[at(axis, field.slab.planes)] if axis == split else ramp)

    def planes(start: int, stop: int) -> Any:
        here = ramp[at(axis, slice(start, stop))] if axis == split else ramp
        return values.planes(start, stop) - device.asarray(here)

    return values.remade(f"less {digest_of(numbers)}", planes)


def _of_removed(levels: VacuumLevels, removed: Measurement) -> VacuumLevels:
    """Levels with what the removed field is not sure of; it was zero in the middle of the slab."""
    error = removed.uncertainty or 0.0
    across = error * (levels.faces[1] - levels.faces[0])

    def less_sure(number: Measurement | None, more: float) -> Measurement | None:
        return None if number is None else weighted_sum(number.unit, (1.0, number), error=more)

    wider = {name: across / 2 for name in ("low", "high", "work_function_low", "work_function_high")}
    wider |= {"step": across, "dipole": across / FOUR_PI_KAPPA, "field_low": error, "field_high": error}
    changed: dict[str, Any] = {name: less_sure(getattr(levels, name), more) for name, more in wider.items()}
    return replace(levels, **changed)
