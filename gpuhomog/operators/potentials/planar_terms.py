"""Cylinder potentials of a planar average: exact, and in the closed forms of a wide cylinder.

    Φ_L(x_b; R) = (1/2ε0) ∫^{x_b} ρ W(R, x_b - x) dx,   W = √(d² + R²) - d                              eq. 70
                = (1/2ε0) [R ∫^{x_b} ρ - ∫^{x_b} (x_b - x) ρ]                                            eq. 71
                + (1/4ε0R) ∫^{x_b} (x_b - x)² ρ + (1/2ε0) ∫^{x_b} ρ E(x_b - x)                     what (71) leaves out
    Φ_r         the same from the other side, eq. 73;   E = √(d² + R²) - R - d²/(2R) = -d⁴/(2R (√(d² + R²) + R)²)

The first three are the charge below x_b and its running integrals, C, D and T of `unrolled`, exact at any x_b. E and
three of its derivatives vanish at x_b, so what is left is summed over samples through x_b, without end weights. R
σ/(2ε0) is a term of its own, so that any R, also infinite, leaves the others their digits.

In   Profile, or Field with an axis, of quantity charge_density; R in Å or inf.
Out  CylinderTerms: arrays over x_b, V, host, equal on every rank.

>>> import gpuhomog as gh
>>> x = np.arange(-30, 30, 0.1)
>>> plates = 0.02 * np.exp(-((abs(x) - 10) ** 2) / 0.98) * -np.sign(x) / (0.7 * (2 * np.pi) ** 0.5)
>>> film = gh.Profile(x, plates, "e/Å^3", "charge_density", 60.0, boundary="open")
>>> terms = cylinder_terms(film, radius=np.inf, x_b=[3.0, -25.0, 25.0])
>>> (terms.total / gh.units.FOUR_PI_KAPPA).round(9).tolist()                               # ε0 = 1
[-0.06, 0.2, -0.2]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, warn
from ...field import Field
from ...results import Profile, Result, Tables
from ...units import FOUR_PI_KAPPA
from ..excess.charge_profile import charge_profile
from ..profiles.bulk import find_body
from ..profiles.planar import Planes
from ..profiles.unrolled import BANDLIMITED, Unrolled, check_sampling

Array = NDArray[np.float64]

CLOSED_FORM_REACH = 1 / 3
"""The closed forms are good while the charge lies within this fraction of R of x_b."""
NARROW, FINER = 32, 8
"""A cylinder of a radius below so many samples sees them so many times finer."""
CELL_NODES = 4
"""Gauss points of a cell."""


@dataclass(frozen=True, eq=False)
class CylinderTerms(Result):
    """Φ_L and Φ_r of a planar average at n positions x_b, term by term [V]; each array is (n,).

    x_b                      [Å]
    radius                   R [Å]; None: infinite
    low_charge, high_charge  ∫ρ below and above x_b [e/Å^2]
    low_R, high_R            R/(2ε0) times these; zero where R is infinite, and then left out of the sums
    low_depth, high_depth    -(1/2ε0) ∫ |x - x_b| ρ: with the former, eqs. 71 and 73
    low_next, high_next      (1/4ε0R) ∫ (x - x_b)² ρ, the next term
    low_rest, high_rest      (1/2ε0) ∫ ρ E: all others
    faces                    where matter begins and ends [Å]
    planes       what the planes are: "a", "b", "c", or "(h k l)"
    sampling     "bandlimited" or "cell": what the samples were taken for
    remarks      what a reader should know, one sentence each
    provenance   what was read and done, step by step
    """

    x_b: Array
    radius: float | None
    low_charge: Array
    high_charge: Array
    low_R: Array
    high_R: Array
    low_depth: Array
    high_depth: Array
    low_next: Array
    high_next: Array
    low_rest: Array
    high_rest: Array
    faces: tuple[float, float]
    planes: str
    sampling: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    @property
    def low(self) -> Array:
        """Φ_L, eq. 70 [V]."""
        return self.low_R + self.low_depth + self.low_next + self.low_rest

    @property
    def high(self) -> Array:
        """Φ_r [V]."""
        return self.high_R + self.high_depth + self.high_next + self.high_rest

    @property
    def total(self) -> Array:
        """Φ_L + Φ_r [V]."""
        return self.low + self.high

    @property
    def low_closed(self) -> Array:
        """Eq. 71 [V]."""
        return self.low_R + self.low_depth

    @property
    def high_closed(self) -> Array:
        """Eq. 73 [V]."""
        return self.high_R + self.high_depth

    def tables(self) -> Tables:
        """As the terminal shows it: every term at each position, of up to eight of them."""
        shown = range(len(self.x_b)) if len(self.x_b) <= 8 else [0, len(self.x_b) // 2, len(self.x_b) - 1]
        out = []
        for i in shown:
            rows = [
                (name, f"{low[i]:.10g} V   {high[i]:.10g} V")
                for name, low, high in (
                    ("R σ/(2ε0)", self.low_R, self.high_R),
                    ("-∫|x - x_b| ρ/(2ε0)", self.low_depth, self.high_depth),
                    ("∫(x - x_b)² ρ/(4ε0R)", self.low_next, self.high_next),
                    ("all others", self.low_rest, self.high_rest),
                    ("exact, eq. 70", self.low, self.high),
                    ("eqs. 71, 73", self.low_closed, self.high_closed),
                )
            ]
            out.append((f"Φ_L and Φ_r at x_b = {self.x_b[i]:.4f} Å", tuple(rows)))
        radius = "infinite: R σ is left out" if self.radius is None else f"{self.radius:g} Å"
        how = [("R", radius), *(("note", remark) for remark in self.remarks)]
        return (*out, ("How it was found", tuple(how)))


def cylinder_terms(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    radius: float,
    x_b: ArrayLike,
    sampling: str | None = None,
) -> CylinderTerms:
    """Φ_L and Φ_r of the planar average of a slab at positions x_b: eq. 70 exactly, and the terms of (71) and (73).

    field     charge density, Field or Profile; the axis open, or periodic with vacuum
    axis      of a Field: "a", "b", "c" or lattice planes
    radius    R of the cylinder [Å], or inf: the charge's R σ/(2ε0), which then diverges, is left out
    x_b       one position or several [Å]
    sampling  "bandlimited" (default) or "cell", what the samples are

    Warns where charge is further than R/3 from an x_b (use the exact sums there, not the closed forms). Raises
    InputError for R <= 0 or not a number, positions that are not finite or not on the line, for a field that is no
    charge density and for matter without vacuum.
    """
    R = check_radius(radius)
    profile = charge_profile(field, axis, "A cylinder potential")
    positions = np.atleast_1d(np.asarray(x_b, dtype=np.float64))
    if positions.ndim != 1 or positions.size == 0 or not np.isfinite(positions).all():
        raise InputError("x_b: give one position or several in Å, all finite.")
    body = find_body(profile, check_sampling(sampling))
    places = np.array([body.line.place(float(x)) for x in positions])
    if ((places < body.line.start) | (places > body.line.end)).any():
        raise InputError(
            f"x_b lies outside the profile, which reaches from {body.line.start:.6g} to {body.line.end:.6g} Å."
        )
    furthest = max(float(places.max()) - body.low, body.high - float(places.min()))
    remarks: tuple[str, ...] = ()
    if furthest > CLOSED_FORM_REACH * R:
        remark = f"(71) used with |x_b - x_L| = {furthest:.4g} Å > R/3 = {R / 3:.4g} Å: take the exact sums instead"
        warn(remark)
        remarks = (remark,)
    low, high = sides_at(body.line, places, R)
    step = {"step": "cylinder terms", "radius": None if isinf(R) else R, "sampling": body.line.sampling}
    return CylinderTerms(
        x_b=positions,
        radius=None if isinf(R) else R,
        low_charge=low[0],
        high_charge=high[0],
        low_R=low[1],
        high_R=high[1],
        low_depth=low[2],
        high_depth=high[2],
        low_next=low[3],
        high_next=high[3],
        low_rest=low[4],
        high_rest=high[4],
        faces=(body.low, body.high),
        planes=profile.planes,
        sampling=body.line.sampling,
        remarks=remarks,
        provenance=(*profile.provenance, step),
    )


def check_radius(radius: float) -> float:
    """R [Å]; InputError unless positive, inf included."""
    R = float(radius)
    if not R > 0:
        raise InputError(f"Cylinder of radius {R:g} Å: give a positive radius in Å, or inf.")
    return R


def sides_at(line: Unrolled, x: Array, radius: float) -> tuple[Array, Array]:
    """(5, n) for the charge below and above each x: charge, R term, depth, next, rest; see CylinderTerms."""
    sides = []
    for seen, places in ((line, x), (line.mirrored(), -x)):
        charge = seen.cumulative(places)
        terms = [charge, np.zeros_like(x), -seen.double_cumulative(places), np.zeros_like(x), np.zeros_like(x)]
        if not isinf(radius):
            terms[1] = radius * charge
            terms[3] = seen.triple_cumulative(places) / radius
            terms[4] = np.array([_rest_below(seen, float(place), radius) for place in places])
        terms[1:] = [term * (FOUR_PI_KAPPA / 2) for term in terms[1:]]
        sides.append(np.array(terms))
    return sides[0], sides[1]


def beyond_second_order(distance: Array, radius: float) -> Array:
    """E(d) = √(d² + R²) - R - d²/(2R) [Å], without cancellation."""
    d = np.asarray(distance, dtype=np.float64)
    return np.asarray(-(d**4) / (2 * radius * (np.hypot(d, radius) + radius) ** 2))


def _rest_below(line: Unrolled, x: float, radius: float) -> float:
    """∫^x ρ E(x - x')."""
    h = line.spacing
    if line.sampling == BANDLIMITED:
        finer = FINER if radius < NARROW * h else 1
        offset = (x - line.position[0]) % h
        values = _shifted(line.values, offset / h, finer)
        h /= finer
        position = line.position[0] + offset + h * np.arange(len(values))
        below = position < x + h / 4  # that at x has E = 0
        return float(values[below] @ beyond_second_order(x - position[below], radius)) * h
    nodes, weights = np.polynomial.legendre.leggauss(CELL_NODES)
    low = np.minimum(line.position - h / 2, x)
    half = (np.minimum(line.position + h / 2, x) - low) / 2
    at = low[:, None] + half[:, None] * (1 + nodes)
    return float(line.values @ (half * (beyond_second_order(x - at, radius) @ weights)))


def _shifted(values: Array, samples: float, finer: int) -> Array:
    """The bandlimited values a fraction of a sample further on, several to each sample."""
    n = len(values)
    modes = np.fft.rfft(values) * np.exp(2j * np.pi * samples * np.fft.rfftfreq(n))
    if n % 2 == 0:
        modes[-1] = modes[-1].real / (1 if finer == 1 else 2)
    return np.asarray(np.fft.irfft(modes, n * finer) * finer)


def charge_nodes(line: Unrolled) -> tuple[Array, Array]:
    """Positions and charges that stand for the line where what they are multiplied with is smooth over a sample."""
    if line.sampling == BANDLIMITED:
        return line.position, line.values * line.spacing
    nodes, weights = np.polynomial.legendre.leggauss(CELL_NODES)
    at = line.position[:, None] + line.spacing / 2 * nodes
    return at.ravel(), (line.values[:, None] * (line.spacing / 2 * weights)).ravel()
