"""Terminations: the charge per area of a crystal cut along lattice planes (h k l), at one position or at every one.

    σ(x_t) = Σ_{n≠0} i ρ_n e^{inGx_t}/(nG),   M2(x_t) = Σ_{n≠0} 2 ρ_n e^{inGx_t}/(nG)²,   G = |h b1 + k b2 + l b3|
    S1 = -M2/2 about x_t;   dσ/dx_t = -ρ̄(x_t), so where the planes leave a gap σ stays as it is
    quantum of P·n: e/A_Ω, A_Ω = Ω/d, d = 2π/G; of P: e a_i/Ω                      eqs. 39, 42, 51, 56

ρ_n = ρ̃[nh, nk, nl] are the coefficients of the field: nothing is interpolated, in a cell of any shape. Matter is above
x_t; the other half of the crystal has the face -σ. Frozen: nothing moves when the crystal is cut. Charges that move by
whole electrons per cell change σ by multiples of the quantum, so σ modulo the quantum belongs to the bulk. (The paper's
Ω = |a1| A_Ω holds for upright cells only; it is (a1·n) A_Ω.)

In   Field and planes, or the Profile of one period that planar_average gives.
Out  PlaneExcess, Terminations, PolarizationQuantum: host, equal on every rank.

>>> import gpuhomog as gh
>>> x = np.arange(64) / 16
>>> sheets = (np.exp(-50 * (x - 1) ** 2) - np.exp(-50 * (x - 3) ** 2)) * np.sqrt(50 / np.pi)   # ±1 e/Å^2, 2 Å apart
>>> layers = gh.Profile(x, sheets, "e/Å^3", "charge_density", 4.0, area=10.0)
>>> print(f"{gh.plane_excess(layers, position=0.0).charge.value:.6f}")
0.500000
>>> [round(cut, 9) for cut in gh.terminations(layers).neutral]
[1.0, 3.0]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import hypot, isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, warn
from ...field import Field
from ...grid import OPEN, Grid
from ...results import Measurement, Profile, Result, Tables
from ...units import times_length
from ..profiles.between_points import harmonics, waves_at
from ..profiles.planar import Planes, parse_planes, reduced_indices
from ..profiles.unrolled import ROUNDINGS, quiet_runs
from .bulk_charge import NEUTRAL_PERIOD
from .charge_profile import charge_profile, profile_of

Array = NDArray[np.float64]

GAP_LEVEL = 0.05
"""A stretch where |ρ̄| is below this fraction of its maximum is a gap between planes."""
LEAST_GAP = 0.05
"""A shorter stretch, in spacings, is where ρ̄ changes sign."""
SLICED_LEVEL = 1e-5
"""A cut where |ρ̄| exceeds this fraction of its maximum slices packets: 4.8 standard deviations of a Gaussian."""
BESIDE = np.array([0.0, -0.01, 0.01])
"""Where that is looked at, in spacings from the cut: halfway between packets of opposite charge ρ̄ is 0."""
POSITIONS_PER_SAMPLE, FEWEST_POSITIONS = 4, 256
"""How finely cut positions are scanned."""
LEAST_DENSITY, NO_DENSITY = 1e-7, 1e-13
"""|ρ̄| below this fraction of the largest value of the field, or this much, is rounding: each plane is neutral."""
NEUTRAL_QUANTUM = 1e-3
"""A gap whose |σ| is below this fraction of the quantum (or of its uncertainty) is neutral."""


@dataclass(frozen=True, eq=False)
class PolarizationQuantum(Result):
    """By how much polarization, and the charge of a surface, are not defined.

    volume, area, spacing  of the cell, of its face in the plane, of the planes: Ω [Å^3], A_Ω [Å^2], d = Ω/A_Ω [Å]
    along_normal           quantum of P·n, and of σ: e/A_Ω [e/Å^2]
    vectors                (3, 3) quanta of P: e a_i/Ω, rows [e/Å^2]
    electrons              1, or 2 where electrons come in pairs
    planes                 what the planes are
    """

    volume: float
    area: float
    spacing: float
    along_normal: float
    vectors: Array
    electrons: int
    planes: str


@dataclass(frozen=True, eq=False)
class PlaneExcess(Result):
    """A crystal cut along lattice planes at one position, matter above it.

    charge     σ(x_t) [e/Å^2]; [ν Å] of another quantity
    m2         second moment density M2(x_t) = 2 W(x_t) [e/Å]
    dipole     first moment S1 about x_t, -M2/2 [e/Å]
    position   x_t along the normal, from the plane through point [0, 0, 0] [Å]
    density    |ρ̄(x_t)| over its maximum: what of the packets is sliced
    sliced     True if that, or what it is a hundredth of the spacing to either side, is more than 1e-5
    planes     name of the planes
    spacing    d [Å]
    area       of the cell's face in the plane [Å^2], None if not known: charge per cell = charge x area
    harmonics  how many the grid resolves
    reference  the mean of the field, which is subtracted [ν]
    remarks, provenance   what a reader should know, one sentence each; what was read and done, step by step
    """

    charge: Measurement
    m2: Measurement
    dipole: Measurement
    position: float
    density: float
    sliced: bool
    planes: str
    spacing: float
    area: float | None
    harmonics: int
    reference: float
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        found = [
            ("σ", str(self.charge)),
            ("M2", str(self.m2)),
            ("dipole", f"{self.dipole}, about the cut"),
        ]
        if self.area is not None and self.charge.unit == "e/Å^2":
            found.insert(1, ("  per cell", f"{float(self.charge) * self.area:.8g} e"))
        how = [
            ("cut", f"{self.position:.6f} Å, matter above, planes of {self.planes}"),
            ("spacing", f"{self.spacing:.6f} Å, {self.harmonics} harmonics"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Cut crystal", tuple(found)), ("How it was found", tuple(how))


@dataclass(frozen=True)
class Termination:
    """A gap between atomic planes, in which a crystal can be cut without slicing them.

    start, stop  where it begins and ends [Å]; stop may exceed the spacing
    position     where |ρ̄| is least [Å]
    charge       σ there; its uncertainty includes the change over the inner half of the gap
    modulo       σ modulo the quantum, from -1/2 to 1/2 of it; None without one
    neutral      True if σ is zero within its uncertainty or a thousandth of the quantum
    sliced       True if packets reach into the gap
    """

    start: float
    stop: float
    position: float
    charge: Measurement
    modulo: float | None
    neutral: bool
    sliced: bool


@dataclass(frozen=True, eq=False)
class Terminations(Result):
    """Every termination of a family of planes: σ against the position of the cut.

    charge     σ(x_t) over one spacing, a Profile [e/Å^2]
    density    ρ̄ at the same positions, a Profile; less the reference if one was given
    cuts       the gaps between atomic planes, in order
    neutral    positions where σ = 0 [Å]: always at least two, but a cut there may slice atoms
    polar      False if a gap between planes is neutral or every plane is, True if no gap is, None if there is none
    quantum    e/A_Ω (2e/A_Ω for paired electrons) [e/Å^2]; None if the area is not known or this is no charge
    planes, spacing, area       name of the planes, d [Å], face of the cell in them [Å^2]; None if not known
    harmonics, reference        how many the grid resolves; the mean of the field, which is subtracted [ν]
    remarks, provenance         what a reader should know, one sentence each; what was read and done
    """

    charge: Profile
    density: Profile
    cuts: tuple[Termination, ...]
    neutral: tuple[float, ...]
    polar: bool | None
    quantum: float | None
    planes: str
    spacing: float
    area: float | None
    harmonics: int
    reference: float
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        polar = {True: "yes: no gap between planes is neutral", False: "no", None: "not known: there is no gap"}[
            self.polar
        ]
        cuts = []
        for cut in self.cuts:
            notes = ["neutral"] * cut.neutral + ["slices packets"] * cut.sliced
            text = f"{cut.charge}" + (f" ({', '.join(notes)})" if notes else "")
            cuts.append((f"cut at {cut.position:.4f} Å", text))
        how = [
            ("polar", polar),
            ("σ = 0 at", ", ".join(f"{x:.4f}" for x in self.neutral) + " Å" if self.neutral else "every position"),
            ("quantum", "not known" if self.quantum is None else f"{self.quantum:.8g} {self.charge.unit}"),
            ("planes", f"{self.planes}, {self.spacing:.6f} Å apart, {self.harmonics} harmonics"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Terminations", tuple(cuts) or (("cuts", "no gap between charged planes"),)), ("The planes", tuple(how))


def polarization_quantum(cell: Grid | ArrayLike, planes: Planes, *, paired: bool = False) -> PolarizationQuantum:
    """Quantum of polarization of a crystal, as a vector for each lattice vector, and along the normal of planes.

    cell    Grid, or (3, 3) lattice vectors of the primitive cell as rows [Å]
    planes  axis or (h, k, l): the face that one of its lattice vectors crosses
    paired  electrons come in pairs of opposite spin: twice as much

    Source: eq. 56 of the paper. Raises InputError for a singular cell and for planes that are none.
    """
    grid = cell if isinstance(cell, Grid) else Grid((1, 1, 1), np.asarray(cell, dtype=np.float64))
    parsed = parse_planes(planes)
    indices = tuple(int(i == parsed) for i in range(3)) if isinstance(parsed, int) else reduced_indices(parsed)
    spacing = float(2 * np.pi / np.linalg.norm(np.array(indices) @ grid.reciprocal))
    electrons = 2 if paired else 1
    return PolarizationQuantum(
        volume=grid.volume,
        area=grid.volume / spacing,
        spacing=spacing,
        along_normal=electrons * spacing / grid.volume,
        vectors=electrons * np.asarray(grid.cell) / grid.volume,
        electrons=electrons,
        planes=f"({' '.join(map(str, indices))})",
    )


@dataclass(frozen=True, eq=False)
class _Family:
    """Harmonics of one period of a crystal along the normal of its planes; `least`: |ρ̄| that is more than rounding."""

    profile: Profile
    wavevectors: Array
    coefficients: NDArray[np.complex128]
    least: float

    def sums(self, x: Array) -> tuple[Array, Array, Array]:
        """σ, M2 and ρ̄ - mean at positions."""
        k, c = self.wavevectors, self.coefficients
        charge, second, density = waves_at(k, np.stack([1j * c / k, 2 * c / k**2, c]), x - self.profile.position[0])
        return charge, second, density

    @property
    def error(self) -> float:
        """Uncertainty of σ: the share of the last harmonic, and rounding."""
        return hypot(float(abs(self.coefficients[-1] / self.wavevectors[-1])), self.rounding)

    @property
    def rounding(self) -> float:
        """Of σ, by that of all values; it may be the same in all planes, so nothing cancels."""
        profile = self.profile
        return ROUNDINGS * profile.precision * float(np.abs(profile.values).mean()) * profile.length


def _family(field: Field | Profile, planes: Planes | None, reference: float | None) -> _Family:
    """The planes' harmonics; InputError for an open profile, a charged crystal, another quantity without reference."""
    if reference is None:
        profile = charge_profile(field, planes, "The charge of a cut")
    else:
        if isinstance(reference, str) or not isfinite(reference):
            raise InputError(f"reference = {reference}: give the finite mean of the bulk, in the unit of the field.")
        profile = profile_of(field, planes)
    if profile.boundary == OPEN:
        raise InputError(
            f"Axis {profile.planes} has an open boundary: the charge of a cut is that of a periodic bulk. Read the "
            "field as periodic, or find the surfaces of a slab with gh.surface_charge."
        )
    gross = float(np.abs(profile.values - profile.mean()).mean()) * profile.length
    values = field.internal().extrema() if isinstance(field, Field) else (profile.values.min(), profile.values.max())
    least = max(LEAST_DENSITY * max(map(abs, values)), NO_DENSITY)
    apart = abs(profile.mean() - (reference or 0.0)) * profile.length
    if apart > max(NEUTRAL_PERIOD * gross, least * profile.length):
        unit = times_length(profile.unit, 1)
        raise InputError(
            f"The crystal is not neutral: one spacing of the planes {profile.planes} carries {apart:.3g} {unit} "
            f"beyond the reference of {reference or 0.0:.6g}, so a cut has no charge of its own. Add what is missing, "
            f"or subtract its mean: reference={profile.mean():.8g}."
        )
    wavevectors, coefficients = harmonics(profile.values, profile.length)
    return _Family(profile, wavevectors, coefficients, least)


def plane_excess(
    field: Field | Profile,
    planes: Planes | None = None,
    position: float = 0.0,
    *,
    reference: float | None = None,
) -> PlaneExcess:
    """Charge per area of a crystal cut along lattice planes at a position: matter above it, nothing moved.

    field      periodic Field of the bulk, or the Profile of one period, as planar_average(field, (h, k, l)) gives it
    planes     axis or (h, k, l) of a Field: any lattice planes of a cell of any shape
    position   x_t along the normal h b1 + k b2 + l b3, from the plane through point [0, 0, 0] [Å]
    reference  mean value V of the bulk, for a field that is not a neutral charge density; the cut is then the dividing
               surface

    σ = Σ_{n≠0} i ρ_n e^{inGx_t}/(nG), M2 likewise, by all harmonics below the first index that reaches Nyquist; the
    last harmonic's share is the uncertainty. The upper face of the same cut has -σ. Source: eqs. 39, 42, 51 of the
    paper, for planes of any orientation. Warns (AccuracyWarning) where the cut slices packets. Raises InputError for
    (0 0 0), for a grid with fewer than three harmonics of the spacing, for open axes, for a crystal that is not
    neutral and for a position that is not finite; indices with a common divisor are reduced, with a warning.
    """
    if not isfinite(position):
        raise InputError(f"position = {position}: give a finite position of the cut in Å.")
    family = _family(field, planes, reference)
    profile = family.profile
    charge, second, density = family.sums(float(position) + BESIDE * profile.length)
    peak = max(float(np.abs(profile.values - (reference or 0.0)).max()), family.least / SLICED_LEVEL)
    levels = np.abs(density + profile.mean() - (reference or 0.0)) / peak
    sliced = bool(levels.max() > SLICED_LEVEL)
    remarks: tuple[str, ...] = ()
    if sliced:
        remarks = (
            f"the cut at {position:.6g} Å slices packets: |ρ̄| around it is {levels.max():.2g} of its maximum, and what "
            "lies beyond the cut is missing from its plane",
        )
        warn(f"Planes {profile.planes}: {remarks[0]}.")
    unit, moment_unit = times_length(profile.unit, 1), times_length(profile.unit, 2)
    error = family.error
    moment_error = error * 2 / float(family.wavevectors[-1]) + family.rounding * profile.length
    return PlaneExcess(
        charge=Measurement(float(charge[0]), unit, error),
        m2=Measurement(float(second[0]), moment_unit, moment_error),
        dipole=Measurement(-float(second[0]) / 2, moment_unit, moment_error / 2),
        position=float(position),
        density=float(levels[0]),
        sliced=sliced,
        planes=profile.planes,
        spacing=profile.length,
        area=profile.area,
        harmonics=len(family.wavevectors),
        reference=profile.mean(),
        remarks=remarks,
        provenance=(*profile.provenance, {"step": "plane excess", "position": float(position)}),
    )


def terminations(
    field: Field | Profile,
    planes: Planes | None = None,
    *,
    reference: float | None = None,
    paired: bool = False,
) -> Terminations:
    """Every termination of a crystal along lattice planes: σ against the cut position, gaps, neutral cuts, quantum.

    field, planes, reference  as in plane_excess
    paired                    electrons come in pairs: the quantum is 2e/A_Ω

    The cell is taken to be primitive in the plane; a larger one has a smaller e/A_Ω. Gaps are stretches of a twentieth
    of the spacing or more where |ρ̄| stays below 5 % of its maximum. Source: eqs. 39, 51, 56 of the paper. Raises
    InputError as plane_excess; gaps into which packets reach are said in the remarks.
    """
    family = _family(field, planes, reference)
    profile = family.profile
    base = profile.mean() - (reference or 0.0)
    n = max(FEWEST_POSITIONS, POSITIONS_PER_SAMPLE * len(profile.values))
    x = profile.position[0] + np.arange(n) * (profile.length / n)
    charge, _, density = family.sums(x)
    signed = density + base
    density = np.abs(signed)
    unit = times_length(profile.unit, 1)
    is_charge = unit == "e/Å^2"
    quantum = (2 if paired else 1) / profile.area if profile.area and is_charge else None
    planes_neutral = bool(density.max() <= family.least)
    cuts = () if planes_neutral else _gaps(family, x, charge, density, quantum, unit)
    neutral = () if planes_neutral else _zeros(family, x, charge)
    polar = None if not cuts else not any(cut.neutral for cut in cuts)
    remarks = []
    if planes_neutral:
        polar, charge, signed = False, np.zeros(n), np.zeros(n)
        remarks.append("each plane is neutral by itself: σ = 0 wherever the crystal is cut")
    elif not cuts:
        remarks.append(
            f"no gap: |ρ̄| nowhere stays below {GAP_LEVEL:.0%} of its maximum between the planes, so every frozen cut "
            "slices packets and σ depends on where"
        )
    elif any(cut.sliced for cut in cuts):
        where = ", ".join(f"{cut.position:.4f}" for cut in cuts if cut.sliced)
        remarks.append(f"frozen cuts slice packets at {where} Å: |ρ̄| there exceeds {SLICED_LEVEL:g} of its maximum")
    curve = Profile(
        x, charge, unit, "scalar", profile.length, planes=profile.planes, normal=profile.normal, area=profile.area,
        uncertainty=np.full(n, family.error), structure=profile.structure, provenance=profile.provenance,
    )  # fmt: skip
    return Terminations(
        charge=curve,
        density=replace(curve, values=signed, unit=profile.unit, quantity=profile.quantity, uncertainty=None),
        cuts=cuts,
        neutral=neutral,
        polar=polar,
        quantum=quantum,
        planes=profile.planes,
        spacing=profile.length,
        area=profile.area,
        harmonics=len(family.wavevectors),
        reference=profile.mean(),
        remarks=tuple(remarks),
        provenance=(*profile.provenance, {"step": "terminations", "positions": n}),
    )


def _gaps(
    family: _Family, x: Array, charge: Array, density: Array, quantum: float | None, unit: str | None
) -> tuple[Termination, ...]:
    """The stretches of low density, in order of their beginning."""
    n, step = len(x), float(x[1] - x[0])
    peak = float(density.max())
    if peak == 0:
        return ()
    found = []
    for first, count in sorted(quiet_runs(density <= GAP_LEVEL * peak, periodic=True)):
        if count < LEAST_GAP * n or count == n:
            continue
        places = (first + np.arange(count)) % n
        level = density[places]
        calm = np.flatnonzero(level <= max(float(level.min()) * 1.5, 1e-9 * peak))
        middle = int(calm[np.argmin(np.abs(calm - (count - 1) / 2))])  # the calm place nearest to the middle
        here = float(charge[places[middle]])
        inner = charge[places[count // 4 : count - count // 4]]
        error = hypot(family.error, float(np.ptp(inner)) / 2 if len(inner) else 0.0)
        folded = None
        if quantum is not None:
            folded = here - quantum * round(here / quantum)
        neutral = abs(here) <= max(2 * error, NEUTRAL_QUANTUM * quantum if quantum else 0.0)
        found.append(
            Termination(
                start=float(x[first]),
                stop=float(x[first] + (count - 1) * step),
                position=float(x[places[middle]]),
                charge=Measurement(here, unit, error),
                modulo=folded,
                neutral=neutral,
                sliced=bool(level[middle] > SLICED_LEVEL * peak),
            )
        )
    return tuple(found)


def _zeros(family: _Family, x: Array, charge: Array) -> tuple[float, ...]:
    """Positions where σ = 0, in order: refined between samples; the middle of a stretch where it stays there."""
    from scipy.optimize import brentq

    step, length, origin = float(x[1] - x[0]), family.profile.length, float(x[0])
    small = np.abs(charge) <= 1e-9 * float(np.abs(charge).max())
    if small.all():
        return ()
    found = [float(x[first] + (count - 1) * step / 2) for first, count in quiet_runs(small, periodic=True) if count]
    following = np.roll(charge, -1)
    for i in np.flatnonzero((charge * following < 0) & ~small & ~np.roll(small, -1)):
        found.append(float(brentq(lambda s: float(family.sums(np.array([s]))[0][0]), x[i], x[i] + step, xtol=1e-12)))
    return tuple(sorted(origin + (place - origin) % length for place in found))
