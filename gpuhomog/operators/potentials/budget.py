"""Budget of the macroscopic potential: every term of eqs. (72) to (80), corrected, against the sum that has them all.

    Φ(x_b; R) = (1/2ε0) ∫ ρ W(R, |x - x_b|) dx                               exact_direct, eq. 70 for Φ_L and Φ_r
              = (1/2ε0) [R σ_s - R M1 - (x_b - x_0) σ_L + D_L + M2/2 + M2/2] + O(1/R)              sample, eqs. 78, 79
              + (1/2ε0) [R σ_R + (x_b - x_0) σ_R + D_R]                       film: what its upper surface adds, eq. 74
    mean over x_b: M1 = M2 = 0, σ_s = σ_L   (1/2ε0) [σ_L (R - (x_b - x_0)) + D_L + <∫ (x - x_b)² ρ>/2R]    not eq. 80

σ_s = ∫^{x_b} ρ; S1 = ∫^{x_b} (x - x_0) ρ; M1, M2 moment densities of one period an interval; σ_L = σ_s - M1 and
D_L = S1 - (x_b - x_0) M1 - M2/2 do not depend on x_b. Of the two M2/2 one comes with S1, the other is what Φ_r adds to
-R M1; the paper prints M2 there, with which the result depends on x_b and Poisson's equation does not hold. D_L is the
mean of ∫ x ρ, which the paper writes as X_σ σ_L and drops where σ_L = 0: of a neutral, non-polar slab it is all that is
left, and with the mirror surface's D_R the step from the vacuum is (D_L + D_R)/2ε0. D_L and D_R are about x_0; moving
it by δ changes them by -σ_L δ and +σ_R δ.

"film" counts all charge. "sample" counts what is below x_b, and above it a bulk that goes on: up to x_r, of which the
mean is taken over a top-hat of one period times one of the length l (its edge has neither charge nor dipole). A layer's
potential acts through its solid angle, so at finite R

    (1/2ε0) Σ over surfaces [σ W(R, d) + D (1 - d/√(d² + R²))],   d = |x_b - X|, D about X                    sheets

is the mean whatever R is: D_L/2ε0 if depth << R << thickness, (D_L + D_R)/2ε0 if R >> thickness, 0 if R << depth.
With R infinite R σ is left out, and where σ_L + σ_R (or σ_L, of a sample) is not zero, the potential diverges as R.

In   Profile, or Field with an axis, of quantity charge_density; R in Å or inf.
Out  PotentialBudget: V, host, equal on every rank.

>>> import gpuhomog as gh
>>> x, slab = np.arange(-10.0, 170.0, 0.1), 0.0
>>> for plane in range(40):                                               # ions +1/16, 0.3 Å wide, electrons 0.8 Å wide
...     d = (x - 4 * plane) ** 2
...     slab = slab + np.exp(-d / 0.18) / 12.03 - np.exp(-d / 1.28) / 32.08
>>> profile = gh.Profile(x, slab, "e/Å^3", "charge_density", 180.0, boundary="open")
>>> found = potential_budget(profile, x_b=78.75, period=4.0)
>>> print(f"D_L {found.D_L.value:.4f} e/Å; {found.mean.value:.3f} V, by eq. 80 {abs(found.printed.value):.3f} V")
D_L 0.0043 e/Å; 0.778 V, by eq. 80 0.000 V
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot, inf, isfinite, isinf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import gaussian_tail
from ...errors import InputError, check_word
from ...field import Field
from ...results import Measurement, Profile, Result, Tables, between_positions
from ...units import CHARGE, FOUR_PI_KAPPA, MOMENT, VOLT
from ..excess.bulk_charge import NEUTRAL_PERIOD, why_too_few_layers
from ..excess.charge_profile import charge_profile
from ..excess.line_moments import first_moment, first_moment_error
from ..profiles.bulk import FACE_LEVEL, Body, GivenPeriod, Period, find_body, resolve_period
from ..profiles.planar import Planes
from ..profiles.unrolled import SUMS, Unrolled, check_sampling
from .cylinder_kernel import disc_weight
from .planar_terms import beyond_second_order, charge_nodes, check_radius
from .potential_step import NEUTRAL_SLAB

Array = NDArray[np.float64]

CASES = ("film", "sample")
HALF = FOUR_PI_KAPPA / 2
"""1/(2ε0) [V Å/e]."""
PERIODS_TO_FACE = 2.0
"""Nearer than this many periods to a face the bulk is not what it is in the middle."""
REPEATS = 0.02
"""Largest difference between neighbouring periods of a bulk, over the largest |ρ| in them."""
GAP = 2.0
"""Length on either side of x_b without charge that is a vacuum, not a bulk [Å]."""
PANEL_POINTS = 20
"""Gauss points of half a period, or of a sixth of a kernel."""
N_RADII = 41
"""Radii of the order of limits."""


@dataclass(frozen=True, eq=False)
class PotentialBudget(Result):
    """The potential at x_b from the charge within a cylinder, term by term, and the mesoscale mean.

    case       "film": all charge; "sample": the surface below x_b, and a bulk that goes on above it
    x_b        [Å]
    radius     R [Å]; None: infinite, R σ/(2ε0) is then left out of all sums
    origin     x_0, about which D_L, D_R and S1 are taken [Å]
    faces      where matter begins and ends [Å]
    period     of the bulk [Å]; None: none (moments by a Gaussian kernel, or zero in a gap)
    length     l of the kernel tophat(a) * tophat(l) of means [Å]; the width of the Gaussian without a period
    sigma_s    ∫^{x_b} ρ [e/Å^2]
    S1         ∫^{x_b} (x - x_0) ρ [e/Å]
    M1, M2     moment densities at x_b, one period an interval [e/Å^2], [e/Å]
    sigma_L, sigma_R  charge of either surface [e/Å^2]
    D_L, D_R   mean of ∫ (x - x_0) ρ from the surface on, of the upper one with the other sign [e/Å]
    D_L_printed    with M2 instead of M2/2, as eqs. 42 and A3 are printed; depends on x_b [e/Å]
    R_sigma            R σ_s/(2ε0), of a film R (σ_s + σ_R)/(2ε0) [V]; not defined where it diverges
    minus_R_M1         -R M1/(2ε0) [V]
    minus_sigma_depth  -σ_L (x_b - x_0)/(2ε0), of a film -(σ_L - σ_R) (x_b - x_0)/(2ε0) [V]
    D_L_over_2eps0, D_R_over_2eps0   [V]; the latter in the sum of a film only
    M2_over_4eps0      [V]; in the sum twice: with ∫xρ in Φ_L, and in Φ_r
    M2_printed         M2/(2ε0), what eqs. 78 and 79 have for the second of them [V]
    order_1_over_R     (1/4ε0R) ∫ (x - x_b)² ρ [V]
    sum                of these, M2_printed left out [V]
    exact_direct       Φ(x_b; R), by eq. 70 [V]
    residual           exact_direct - sum [V]: of a film arithmetic alone at R infinite, as all are of one line
    mean_order_1_over_R  the mean of that term over x_b, with the kernel [V]
    mean               mesoscale mean of the potential, from σ, D and the term in 1/R [V]
    mean_direct        mean of exact_direct over x_b, with the kernel [V]
    mean_residual      mean_direct - mean [V]
    across             potential of the vacuum below less that above, -∫xρ/ε0 [V]; R infinite; not defined if charged
    across_printed     eq. 77: σ_L (x_R - x_L)/ε0 between the faces [V]
    sheets             mean by the solid angles of both surfaces, good at any R [V]
    printed            eq. 80: the charge's term alone, about the face [V]
    resolved           D_L/(ε_ρ l²), the paper's measure of what an average over l resolves; None without eps_rho
    regime             of R against depth and thickness, in words
    radii, mean_of_radius, sheets_of_radius   the order of limits: exact mean and sheets [Å], [V]; None if not asked
    planes       what the planes are: "a", "b", "c", or "(h k l)"
    sampling     "bandlimited" or "cell": what the samples were taken for
    remarks      what a reader should know, one sentence each
    provenance   what was read and done, step by step
    """

    case: str
    x_b: float
    radius: float | None
    origin: float
    faces: tuple[float, float]
    period: float | None
    length: float
    sigma_s: Measurement
    S1: Measurement
    M1: Measurement
    M2: Measurement
    sigma_L: Measurement
    sigma_R: Measurement
    D_L: Measurement
    D_R: Measurement
    D_L_printed: Measurement
    R_sigma: Measurement
    minus_R_M1: Measurement
    minus_sigma_depth: Measurement
    D_L_over_2eps0: Measurement
    D_R_over_2eps0: Measurement
    M2_over_4eps0: Measurement
    M2_printed: Measurement
    order_1_over_R: Measurement
    sum: Measurement
    exact_direct: Measurement
    residual: Measurement
    mean_order_1_over_R: Measurement
    mean: Measurement
    mean_direct: Measurement
    mean_residual: Measurement
    across: Measurement
    across_printed: Measurement
    sheets: Measurement
    printed: Measurement
    resolved: Measurement | None
    regime: str
    radii: Array | None
    mean_of_radius: Array | None
    sheets_of_radius: Array | None
    planes: str
    sampling: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: the terms, what they are made of, and how."""
        terms = [
            ("R σ_s/(2ε0)" if self.case == "sample" else "R (σ_s + σ_R)/(2ε0)", self.R_sigma),
            ("-R M1/(2ε0)", self.minus_R_M1),
            ("-σ depth/(2ε0)", self.minus_sigma_depth),
            ("D_L/(2ε0)", self.D_L_over_2eps0),
            ("D_R/(2ε0)" if self.case == "film" else "(D_R/(2ε0), not in it)", self.D_R_over_2eps0),
            ("M2/(4ε0), twice", self.M2_over_4eps0),
            ("order 1/R", self.order_1_over_R),
            ("sum", self.sum),
            ("exact", self.exact_direct),
            ("residual", self.residual),
            ("(M2 as printed)", self.M2_printed),
        ]
        means = [
            ("by σ and D", self.mean),
            ("  of it order 1/R", self.mean_order_1_over_R),
            ("by solid angles", self.sheets),
            ("exact", self.mean_direct),
            ("residual", self.mean_residual),
            ("eq. 80", self.printed),
            ("vacuum below - above", self.across),
            ("  by eq. 77", self.across_printed),
        ]
        parts = [
            ("σ_L", self.sigma_L), ("σ_R", self.sigma_R), ("D_L", self.D_L), ("D_R", self.D_R),
            ("σ_s", self.sigma_s), ("S1", self.S1), ("M1", self.M1), ("M2", self.M2),
        ]  # fmt: skip
        radius = "infinite: R σ is left out" if self.radius is None else f"{self.radius:g} Å"
        how = [
            ("case", self.case),
            ("R", f"{radius} ({self.regime})"),
            ("x_b", f"{self.x_b:.4f} Å, moments about {self.origin:.4f} Å"),
            ("slab", f"{between_positions(self.faces)}, planes of {self.planes}"),
            ("period", "none" if self.period is None else f"{self.period:.6f} Å, kernel with l = {self.length:.4g} Å"),
            *(("note", remark) for remark in self.remarks),
        ]
        return tuple(
            (title, tuple((name, str(value)) for name, value in rows))
            for title, rows in (
                ("Potential at x_b, by terms", terms),
                ("Mesoscale mean", means),
                ("What they are made of", parts),
                ("How it was found", how),
            )
        )


def potential_budget(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    radius: float = inf,
    x_b: float | None = None,
    case: str = "film",
    period: GivenPeriod = "auto",
    length: float | None = None,
    origin: float | None = None,
    eps_rho: float | None = None,
    radii: Sequence[float] | str | None = None,
    sampling: str | None = None,
) -> PotentialBudget:
    """Every term of the potential at x_b from the charge of a slab within a cylinder, corrected, against the exact sum.

    field     charge density, Field or Profile; the axis open, or periodic with vacuum
    axis      of a Field: "a", "b", "c" or lattice planes
    radius    R [Å]; inf by default
    x_b       [Å]; the middle of the slab by default. In its bulk, in a gap between charges, or outside of it
    case      "film": all charge; "sample": from the surface below x_b into a bulk that does not end
    period    of the bulk along the normal [Å]; "auto" finds it; None: there is none
    length    l of the kernel tophat(a) * tophat(l) of means [Å], by default two periods; without a period the width eps
              of a Gaussian kernel, a fifth of the thickness
    origin    x_0 of the moments [Å]; the face below x_b by default
    eps_rho   precision of a macroscopic charge density [e/Å^3], for `resolved`
    radii     radii [Å] of the order of limits; "auto": from a period to a hundred times the thickness
    sampling  as in surface_charge

    Source: eqs. 69-80 and A1-A4 of the paper with M2/2 for M2, D_L kept, and both surfaces of a film.
    Raises InputError as surface_charge for the field; for a cell that is not neutral; for x_b within two periods of a
    face where the bulk does not repeat there; for a sample whose x_b is in a vacuum; for R <= 0.
    """
    R = check_radius(radius)
    check_word("case", case, CASES, "of a potential budget")
    for name, number in (("x_b", x_b), ("origin", origin), ("length", length)):
        if number is not None and not isfinite(number):
            raise InputError(f"{name} = {number}: give a finite number in Å.")
    if length is not None and length <= 0:
        raise InputError(f"length = {length}: give the width l of the kernel in Å, positive.")
    profile = charge_profile(field, axis, "A potential budget")
    body = find_body(profile, check_sampling(sampling))
    line = body.line
    position = (body.low + body.high) / 2 if x_b is None else line.place(x_b)
    if not line.start <= position <= line.end:
        raise InputError(f"x_b = {position:.6g} Å lies outside the profile ({line.start:.6g} to {line.end:.6g} Å).")
    surfaces = _surfaces(body, position, period, length, body.low if origin is None else float(origin), case)
    return _budget(profile, surfaces, R, case, eps_rho, radii)


@dataclass(frozen=True, eq=False)
class _Surfaces:
    """What lies on both sides of x_b: the charge and first moment of either surface, and what the bulk has there."""

    body: Body
    x_b: float
    origin: float
    period: Period | None
    length: float
    quiet: bool
    sigma_s: float
    s1: float
    m1: float
    m2: float
    spread: tuple[float, float]

    @property
    def line(self) -> Unrolled:
        """From vacuum to vacuum."""
        return self.body.line

    @property
    def sigma_low(self) -> float:
        """σ_L."""
        return self.sigma_s - self.m1

    @property
    def sigma_high(self) -> float:
        """σ_R, eq. A2 with its sign corrected."""
        return self.line.total - self.sigma_s + self.m1

    @property
    def lever(self) -> float:
        """x_b - x_0."""
        return self.x_b - self.origin

    @property
    def d_low(self) -> float:
        """D_L about the origin."""
        return self.s1 - self.lever * self.m1 - self.m2 / 2

    @property
    def d_high(self) -> float:
        """D_R about the origin: minus the first moment of the upper surface."""
        return -(first_moment(self.line, self.origin) - self.s1 + self.lever * self.m1 + self.m2 / 2)

    def mean_over(self, centre: float) -> tuple[Array, Array]:
        """Positions and weights of the mean over tophat(a) * tophat(l), or a Gaussian, around a centre."""
        if self.quiet:
            return np.array([centre]), np.array([1.0])
        points, weights = np.polynomial.legendre.leggauss(PANEL_POINTS)
        if self.period is None:
            edges = centre + self.length * np.linspace(-3, 3, 25)
            x, w = _panels(edges, points, weights)
            w = w * np.exp(-2 * ((x - centre) / self.length) ** 2)
            return x, w / w.sum()
        narrow, wide = sorted((self.period.length, self.length))
        corners = np.array([-(wide + narrow), -(wide - narrow), wide - narrow, wide + narrow]) / 2
        edges = np.concatenate(
            [
                np.linspace(low, high, max(1, int(np.ceil(2 * (high - low) / self.period.length))) + 1)[:-1]
                for low, high in pairwise(corners)
                if high > low
            ]
            + [corners[-1:]]
        )
        x, w = _panels(edges, points, weights)
        w = w * np.clip(((wide + narrow) / 2 - np.abs(x)) / narrow, 0.0, 1.0) / wide
        return centre + x, w

    def sheets(self, radius: float, case: str) -> float:
        """Mean by the solid angles of both surfaces [V]; of infinite R without R σ."""
        total = 0.0
        sides = [(self.body.low, self.sigma_low, self.d_low - self.sigma_low * (self.body.low - self.origin))]
        if case == "film":
            sides.append(
                (self.body.high, self.sigma_high, self.d_high + self.sigma_high * (self.body.high - self.origin))
            )
        for number, (face, sigma, dipole) in enumerate(sides):
            d = (self.x_b - face) if number == 0 else (face - self.x_b)
            if isinf(radius):
                total += sigma * -abs(d) + dipole * np.sign(d)
            else:
                total += sigma * float(disc_weight(d, radius)) + dipole * (np.sign(d) - d / hypot(d, radius))
        return HALF * float(total)


def _panels(edges: Array, points: Array, weights: Array) -> tuple[Array, Array]:
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + points)).ravel(), (half * weights).ravel()


def _surfaces(body: Body, x_b: float, period: GivenPeriod, length: float | None, origin: float, case: str) -> _Surfaces:
    """Moments at x_b: of one period, of a Gaussian kernel, or zero in a vacuum."""
    line = body.line
    found = resolve_period(period, line, body.low, body.high) if body.low < x_b < body.high else None
    quiet = _is_quiet(body, x_b) or not body.low < x_b < body.high
    if quiet and found is not None and isinstance(period, str) and _why_no_bulk(body, x_b, found.length, 0.0):
        found = None  # a gap between charges, not one between the layers of a crystal
    quiet = quiet and found is None
    if quiet and case == "sample":
        raise InputError(
            f'x_b = {x_b:.6g} Å lies in a vacuum: a sample needs x_b in its bulk. Choose it there, or case="film".'
        )
    here = np.array([x_b])
    sigma_s = float(line.cumulative(here)[0])
    s1 = (x_b - origin) * sigma_s - float(line.double_cumulative(here)[0])
    if quiet:
        return _Surfaces(body, x_b, origin, None, 0.0, True, sigma_s, s1, 0.0, 0.0, (0.0, 0.0))
    if found is not None:
        if reason := _why_no_bulk(body, x_b, found.length, min(x_b - body.low, body.high - x_b)):
            raise InputError(reason)
        sigma, w = _period_moments(line, x_b, found.length)
        kernel = 2 * found.length if length is None else float(length)
        tried = [(x_b, found.length), (x_b - found.length / 2, found.length), (x_b + found.length / 2, found.length)]
        tried += [(x_b, found.length + found.uncertainty)] if found.uncertainty else []
        others = np.array([_surface_moments(line, *one, x_b) for one in tried])
        spread = np.hypot(others[:3].std(axis=0), np.abs(others[-1] - others[0]) if found.uncertainty else 0.0)
        uncertainty = (float(spread[0]), float(spread[1]))
        return _Surfaces(body, x_b, origin, found, kernel, False, sigma_s, s1, sigma_s - sigma, 2 * w, uncertainty)
    eps = body.thickness / 5 if length is None else float(length)
    weights = line.values * line.spacing * gaussian_tail(line.position - x_b, eps)
    m1 = sigma_s - float(weights.sum())
    m2 = 2 * (s1 - (x_b - origin) * m1 - float(weights @ (line.position - origin)))
    narrow = line.values * line.spacing * gaussian_tail(line.position - x_b, eps / 2)
    uncertainty = (abs(float((narrow - weights).sum())), abs(float((narrow - weights) @ (line.position - x_b))))
    return _Surfaces(body, x_b, origin, None, eps, False, sigma_s, s1, m1, m2, uncertainty)


def _is_quiet(body: Body, x_b: float) -> bool:
    """True where nothing of the line lies within GAP of x_b."""
    line = body.line
    near = np.abs(line.position - x_b) <= GAP
    return not near.any() or bool(np.abs(line.values[near]).max() <= FACE_LEVEL * np.abs(line.values).max())


def _surface_moments(line: Unrolled, x: float, period: float, origin: float) -> tuple[float, float]:
    """σ_L, and D_L about an origin, from the bulk around x."""
    sigma, w = _period_moments(line, x, period)
    return sigma, (x - origin) * sigma - float(line.double_cumulative(np.array([x]))[0]) - w


def _period_moments(line: Unrolled, x: float, period: float) -> tuple[float, float]:
    """Mean of C over a period around x, and W = M2/2 with one period on either side."""
    low, high = x - period, x + period
    double = line.double_cumulative(np.array([low, high]))
    triple = line.triple_cumulative(np.array([low, high]))
    mean = float(double[1] - double[0]) / (2 * period)
    return mean, -float((double[1] + double[0]) * period - (triple[1] - triple[0])) / (2 * period)


def _why_no_bulk(body: Body, x_b: float, period: float, depth: float) -> str | None:
    """Why x_b is in no bulk of this period: a charged cell, or neighbours that differ where a face is near."""
    line = body.line
    charge = float(np.diff(line.cumulative(np.array([x_b, x_b + period])))[0])
    inside = np.abs(line.position - x_b) <= period
    gross = float(np.abs(line.values[inside]).sum()) * line.spacing / 2
    if abs(charge) > NEUTRAL_PERIOD * gross:
        return (
            f"cell not neutral: integral over [x_b, x_b + a] = {charge:.4g} {CHARGE}, x_b = {x_b:.6g} Å, a = "
            f"{period:.6g} Å. Check the period (a bulk without one takes a smooth kernel), and the ions' charges."
        )
    x = x_b + period * np.linspace(-1, 0, 33)
    violated = float(np.abs(line.density(x) - line.density(x + period)).max())
    largest = float(np.abs(line.values[inside]).max())
    if depth < PERIODS_TO_FACE * period and violated > REPEATS * largest:
        return (
            f"x_b = {x_b:.6g} Å within 2a of a surface: bulk periodicity violated by {violated / largest:.1%} of the "
            f"largest |ρ|, a = {period:.6g} Å. Choose x_b deeper, or a thicker slab."
        )
    return None


@dataclass(frozen=True, eq=False)
class _Direct:
    """The exact sum at several x_b, eq. 70, for any R: what of it does not depend on R is found once.

    charge, depth, second  (m,) ∫ρ, -∫|x - x_b| ρ and half of ∫ (x - x_b)² ρ
    places                 (m,) x_b
    nodes, charges         (n,) where charge lies, and how much of it counts
    """

    charge: Array
    depth: Array
    second: Array
    places: Array
    nodes: Array
    charges: Array

    @classmethod
    def at(cls, surfaces: _Surfaces, x_b: Array, case: str) -> _Direct:
        """Of all charge, or of a sample: up to x_r, of which the mean is taken."""
        line = surfaces.line
        nodes, charges = charge_nodes(line)
        below = [line.cumulative(x_b), line.double_cumulative(x_b), line.triple_cumulative(x_b)]
        if case == "film":
            seen = line.mirrored()
            above = [seen.cumulative(-x_b), seen.double_cumulative(-x_b), seen.triple_cumulative(-x_b)]
        else:
            x_r, weights = surfaces.mean_over(_end_of_sample(surfaces))
            first, double, triple = line.cumulative(x_r), line.double_cumulative(x_r), line.triple_cumulative(x_r)
            beyond = x_r - x_b[:, None]
            above = [
                (first - below[0][:, None]) @ weights,
                (beyond * first - (double - below[1][:, None])) @ weights,
                (beyond**2 * first / 2 - beyond * double + triple - below[2][:, None]) @ weights,
            ]
            charges = charges * _fraction_beyond(surfaces, nodes)
        return cls(below[0] + above[0], -(below[1] + above[1]), below[2] + above[2], x_b, nodes, charges)

    def potential(self, radius: float) -> Array:
        """Φ at each x_b [V]; of infinite R without R σ."""
        if isinf(radius):
            return HALF * self.depth
        rest = np.array([beyond_second_order(self.nodes - x, radius) @ self.charges for x in self.places])
        return HALF * (radius * self.charge + self.depth + self.second / radius + rest)

    def order_beyond(self, radius: float) -> Array:
        """(m,) size of the first term in 1/R that the sums leave out, ∫ (x - x_b)⁴ ρ / 8R³ [e/Å]."""
        if isinf(radius):
            return np.zeros(len(self.places))
        fourth = np.array([(self.nodes - x) ** 4 @ self.charges for x in self.places])
        return np.abs(fourth) / (8 * radius**3)


def _end_of_sample(surfaces: _Surfaces) -> float:
    """The middle of x_r: as far above x_b as the slab allows with the kernel, two periods from its face."""
    reach = surfaces.length * 3 if surfaces.period is None else (surfaces.period.length + surfaces.length) / 2
    margin = PERIODS_TO_FACE * surfaces.period.length if surfaces.period else 0.0
    last = surfaces.body.high - margin - reach
    if last - reach < surfaces.x_b:
        raise InputError(
            f"No bulk above x_b = {surfaces.x_b:.6g} Å to average over: the kernel reaches {reach:.4g} Å to either "
            f'side, and the slab ends at {surfaces.body.high:.6g} Å. Choose a smaller length, or case="film".'
        )
    return last


def _fraction_beyond(surfaces: _Surfaces, x: Array) -> Array:
    """Which part of the kernel around the end of a sample lies above x."""
    t = _end_of_sample(surfaces) - x
    if surfaces.period is None:
        return gaussian_tail(-t, surfaces.length)
    narrow, wide = sorted((surfaces.period.length, surfaces.length))

    def ramp(u: Array) -> Array:
        return np.where(u > 0, u * u / 2, 0.0)

    outer, inner = (wide + narrow) / 2, (wide - narrow) / 2
    return np.asarray(
        np.clip((ramp(t + outer) - ramp(t + inner) - ramp(t - inner) + ramp(t - outer)) / (narrow * wide), 0, 1)
    )


@dataclass(frozen=True)
class _Errors:
    """What is not sure of the charges [e/Å^2] and moments [e/Å] of the surfaces.

    charge, moment  of sums over the line
    sigma, d        of σ_L and σ_R, of D_L and D_R: these, and how they change over x_b
    here, s1        of σ_s and S1: sums, and what the grid does not resolve at x_b
    m1, m2          of M1 and M2; of whole periods, what all of C is off by cancels in them
    """

    charge: float
    moment: float
    sigma: float
    d: float
    here: float
    s1: float
    m1: float
    m2: float

    @classmethod
    def of(cls, surfaces: _Surfaces) -> _Errors:
        """From the line's own uncertainty and the spreads over x_b."""
        line, lever = surfaces.line, abs(surfaces.lever)
        charge, unresolved = line.uncertainty, line.unresolved_at(surfaces.x_b)
        moment = hypot(first_moment_error(line), charge * lever)
        sigma, d = surfaces.spread
        of_d = hypot(d, sigma * lever, moment)
        m1, m2 = hypot(sigma, charge, unresolved), 2 * of_d
        if surfaces.period is not None:
            m1 = hypot(sigma, line.rounding, unresolved)
            m2 = 2 * hypot(d, line.rounding * surfaces.period.length, unresolved * line.spacing)
        here, s1 = hypot(charge, unresolved), hypot(moment, unresolved * lever)
        return cls(charge, moment, hypot(sigma, charge), of_d, here, s1, m1, m2)


@dataclass(frozen=True)
class _Sums:
    """Terms of the potential at x_b, or of its mean around it, and the direct result; all times 2 ε0 [e/Å].

    R_sigma, minus_R_M1, depth, next  the terms with R, with the depth of x_b, and of order 1/R
    total   of all terms; exact: the direct result; beyond: size of the order that follows, an error of total
    """

    R_sigma: float
    minus_R_M1: float
    depth: float
    next: float
    total: float
    exact: float
    beyond: float


def _sums(surfaces: _Surfaces, R: float, case: str, mean: bool) -> _Sums:
    """At x_b, or averaged over the positions around it, where M1 and M2 are 0."""
    film, with_r = case == "film", 0.0 if isinf(R) else R
    places, weights = surfaces.mean_over(surfaces.x_b) if mean else (np.array([surfaces.x_b]), np.ones(1))
    direct = _Direct.at(surfaces, places, case)
    sigma_high, d_high = (surfaces.sigma_high, surfaces.d_high) if film else (0.0, 0.0)
    near = surfaces.sigma_low if mean else surfaces.sigma_s
    r_sigma, minus_r_m1 = with_r * (near + sigma_high), 0.0 if mean else -with_r * surfaces.m1
    depth = -(surfaces.sigma_low - sigma_high) * surfaces.lever
    following = 0.0 if isinf(R) else float(direct.second @ weights) / R
    total = r_sigma + minus_r_m1 + depth + surfaces.d_low + d_high + (0.0 if mean else surfaces.m2) + following
    exact = float(direct.potential(R) @ weights) / HALF
    beyond = float(direct.order_beyond(R) @ weights)
    return _Sums(r_sigma, minus_r_m1, depth, following, total, exact, beyond)


def _step_across(surfaces: _Surfaces, error: float) -> Measurement:
    """Vacuum below less vacuum above."""
    line = surfaces.line
    if abs(line.total) > NEUTRAL_SLAB * line.gross:
        return Measurement.not_defined(VOLT, f"the slab carries {line.total:.6g} {CHARGE}: a field on both sides")
    return _volts(-2 * first_moment(line, surfaces.origin), 2 * error)


def _volts(moment: float, error: float = 0.0) -> Measurement:
    """A moment [e/Å] over 2 ε0."""
    return Measurement(HALF * moment + 0.0, VOLT, HALF * error)  # no -0.0


def _budget(
    profile: Profile,
    surfaces: _Surfaces,
    R: float,
    case: str,
    eps_rho: float | None,
    radii: Sequence[float] | str | None,
) -> PotentialBudget:
    """All terms."""
    line, film, with_r = surfaces.line, case == "film", 0.0 if isinf(R) else R
    error, here, mean = _Errors.of(surfaces), *(_sums(surfaces, R, case, averaged) for averaged in (False, True))
    net = surfaces.sigma_low + (surfaces.sigma_high if film else 0.0)
    charged = abs(net) > max(NEUTRAL_SLAB * line.gross, 3 * (surfaces.spread[0] if not film else 0.0))
    diverges = charged and isinf(R)
    name = "σ_L + σ_R" if film else "σ_L"

    def finite(moment: float, spread: float) -> Measurement:
        if diverges:
            return Measurement.not_defined(VOLT, f"diverges as R: {name} = {net:.6g} {CHARGE} is not zero")
        return _volts(moment, spread)

    face, length = abs(surfaces.x_b - surfaces.body.low), line.end - line.start
    of_next = 0.0 if isinf(R) else error.moment * length / (2 * R)
    of_direct = hypot(error.moment, with_r * error.charge)
    arithmetic = SUMS * line.gross * sqrt(len(line.values)) * max(with_r, length, abs(surfaces.lever))
    of_mean = hypot(error.d * (2 if film else 1), with_r * (error.charge if film else error.sigma), of_next)
    of_means, few = hypot(of_mean, mean.beyond), None
    if surfaces.period is None and not surfaces.quiet and abs(mean.exact - mean.total) > 3 * of_means:
        few = why_too_few_layers(surfaces.body, surfaces.x_b)

    def of_bulk_mean(moment: float, spread: float) -> Measurement:
        return finite(moment, spread) if few is None else Measurement.not_defined(VOLT, few)

    of_bulk = 0.0 if film else of_mean  # a film's terms have what M1 and M2 are not sure of once with each sign
    asked, thickness = _radii(radii, surfaces), surfaces.body.thickness
    return PotentialBudget(
        case=case,
        x_b=surfaces.x_b,
        radius=None if isinf(R) else R,
        origin=surfaces.origin,
        faces=(surfaces.body.low, surfaces.body.high),
        period=surfaces.period.length if surfaces.period else None,
        length=surfaces.length,
        **_charges_and_moments(surfaces, error),
        R_sigma=finite(here.R_sigma, with_r * error.sigma),
        minus_R_M1=_volts(here.minus_R_M1, with_r * error.m1),
        minus_sigma_depth=_volts(here.depth, abs(surfaces.lever) * error.sigma),
        D_L_over_2eps0=_volts(surfaces.d_low, error.d),
        D_R_over_2eps0=_volts(surfaces.d_high, error.d),
        M2_over_4eps0=_volts(surfaces.m2 / 2, error.m2 / 2),
        M2_printed=_volts(surfaces.m2, error.m2),
        order_1_over_R=_volts(here.next, of_next),
        mean_order_1_over_R=_volts(mean.next, of_next),
        sum=finite(here.total, hypot(of_direct, of_bulk, here.beyond)),
        exact_direct=finite(here.exact, of_direct),
        residual=finite(here.exact - here.total, hypot(arithmetic, of_bulk, here.beyond)),
        mean=of_bulk_mean(mean.total, of_means),
        mean_direct=finite(mean.exact, of_direct),
        mean_residual=of_bulk_mean(mean.exact - mean.total, of_means),
        across=_step_across(surfaces, error.moment),
        across_printed=_volts(2 * surfaces.sigma_low * thickness, 2 * error.sigma * thickness),
        sheets=of_bulk_mean(surfaces.sheets(R, case) / HALF, of_mean),
        printed=finite(surfaces.sigma_low * (with_r - face), error.sigma * (with_r + face)),
        resolved=None if eps_rho is None else _in_resolved_steps(surfaces, eps_rho),
        regime=_regime(surfaces, R),
        radii=asked,
        mean_of_radius=None if asked is None else _mean_of_radius(surfaces, asked, case),
        sheets_of_radius=None if asked is None else np.array([surfaces.sheets(float(r), case) for r in asked]),
        planes=profile.planes,
        sampling=line.sampling,
        remarks=_remarks(surfaces, net, name, charged, diverges, here.exact - here.total, few),
        provenance=(
            *profile.provenance,
            {
                "step": "potential budget", "case": case, "x_b": surfaces.x_b, "radius": None if isinf(R) else R,
                "origin": surfaces.origin, "length": surfaces.length, "sampling": line.sampling,
            },
        ),
    )  # fmt: skip


def _charges_and_moments(surfaces: _Surfaces, error: _Errors) -> dict[str, Any]:
    """Of both surfaces and of the bulk between them."""
    return {
        "sigma_s": Measurement(surfaces.sigma_s, CHARGE, error.here),
        "S1": Measurement(surfaces.s1, MOMENT, error.s1),
        "M1": Measurement(surfaces.m1, CHARGE, error.m1),
        "M2": Measurement(surfaces.m2, MOMENT, error.m2),
        "sigma_L": Measurement(surfaces.sigma_low, CHARGE, error.sigma),
        "sigma_R": Measurement(surfaces.sigma_high, CHARGE, error.sigma),
        "D_L": Measurement(surfaces.d_low, MOMENT, error.d),
        "D_R": Measurement(surfaces.d_high, MOMENT, error.d),
        "D_L_printed": Measurement(surfaces.d_low - surfaces.m2 / 2, MOMENT, error.d),
    }


def _mean_of_radius(surfaces: _Surfaces, radii: Array, case: str) -> Array:
    """The mean potential at each radius [V], directly."""
    places, weights = surfaces.mean_over(surfaces.x_b)
    around = _Direct.at(surfaces, places, case)
    return np.array([around.potential(float(r)) @ weights for r in radii])


def _in_resolved_steps(surfaces: _Surfaces, eps_rho: float) -> Measurement:
    """D_L/(ε_ρ l²)."""
    if not (isfinite(eps_rho) and eps_rho > 0):
        raise InputError(f"eps_rho = {eps_rho}: give the precision of a charge density in e/Å^3, positive.")
    length = surfaces.length or surfaces.body.thickness
    return Measurement(surfaces.d_low / (eps_rho * length**2), "1")


def _radii(radii: Sequence[float] | str | None, surfaces: _Surfaces) -> Array | None:
    """The radii of the order of limits [Å]."""
    if radii is None:
        return None
    if isinstance(radii, str):
        if radii != "auto":
            raise InputError(f'radii = "{radii}": give radii in Å, or "auto".')
        least = surfaces.period.length if surfaces.period else surfaces.body.thickness / 100
        return np.geomspace(least, 100 * surfaces.body.thickness, N_RADII)
    given = np.asarray(radii, dtype=np.float64)
    if given.ndim != 1 or given.size == 0 or not (np.isfinite(given) & (given > 0)).all():
        raise InputError("radii: give positive, finite radii in Å.")
    return given


def _regime(surfaces: _Surfaces, R: float) -> str:
    """R against the depth of x_b and the thickness, a factor of three apart counting as much."""
    depth = min(abs(surfaces.x_b - surfaces.body.low), abs(surfaces.body.high - surfaces.x_b))
    thickness = surfaces.body.thickness
    if 3 * thickness <= R:
        return "R >> thickness"
    if depth / 3 >= R:
        return "R << depth"
    if 3 * depth <= R <= thickness / 3:
        return "depth << R << thickness"
    return "R between depth and thickness, or near one of them"


def _remarks(
    surfaces: _Surfaces, net: float, name: str, charged: bool, diverges: bool, residual: float, few: str | None
) -> tuple[str, ...]:
    remarks = []
    if charged and not diverges:
        remarks.append(f"{name} = {net:.4g} {CHARGE} is not zero: the potential diverges as R")
    if abs(surfaces.sigma_low) > NEUTRAL_SLAB * surfaces.line.gross:
        remarks.append(f"σ_L is not zero, so D_L and D_R depend on their origin, {surfaces.origin:.6g} Å")
    size = max(abs(surfaces.d_low), abs(surfaces.m2), 1e-300)
    if abs(residual) > 0.05 * size and abs(residual) > 1e-9:
        remarks.append(
            "R is not much larger than the slab: the terms of a wide cylinder do not add up to the exact sum"
        )
    if few is not None:
        remarks.append(f"{few}: σ_L, D_L and D_R are those of a cut at x_b, not of surfaces")
    elif surfaces.period is None and not surfaces.quiet:
        remarks.append(
            "the bulk has no period: moments by a Gaussian kernel, D_L is defined if its fluctuations are weak"
        )
    return tuple(remarks)
