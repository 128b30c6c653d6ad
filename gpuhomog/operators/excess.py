"""Surface and interface charge: what a surface carries beyond its bulk, per area, whatever the bulk is cut at.

    C(x) = ∫_vac^x ρ                                              charge per area below x
    σ = mean of C over one bulk period around x_b                 period window, eqs. 39, 50, 51 (Finnis)
    σ = Σ h ρ_i F(x_i - x_b),   S1 = Σ h (x_i - x_0) ρ_i F(x_i - x_b)   kernel, eq. 36 before its Taylor expansion
    S1 = (x_b - x_0) σ - mean of ∫_vac^x C over the same period      eq. 42, its second moment corrected to M2/2
    σ, S1 of the upper surface: the same from above, ∫_x^vac ρ on the mirrored line       corrected A2, A4
    σ = mean of C around x_2 - mean of C around x_1               interface, each side with its own period, eq. A5

F(t) = erfc(√2 t/eps)/2 falls from 1 to 0 over the kernel's width eps; the other surface gets 1 - F, so that low plus
high is the total charge. The period window leads where the bulk has a period, else the kernel. Neither should depend on
x_b: the standard deviation over x_b within one period on either side (without a period, that of narrower kernels all
over the bulk, carried on to eps) is the uncertainty, with the ripple that the kernel is predicted to leave,
(2|ρ_1|/G) exp(-G² eps²/8), G = 2π/a, and what its tail takes from the faces. A value is "not defined", with the reason,
where no bulk lies between the surfaces, where the bulk is not neutral, and where its charge fluctuates so that C has no
mean.

The bulk window holds the positions that x_b may have: 1.5 periods from the faces, or 2 eps if there is no period. The
faces are where |ρ| passes 1 % of its maximum. They place windows and origins; no charge is cut off there.

In   Field or Profile of quantity charge_density: electrons negative, ions included.
Out  SurfaceCharge, InterfaceCharge: e/Å^2 and e/Å, host, equal on every rank.

>>> import gpuhomog as gh
>>> pairs = np.zeros(1000)
>>> pairs[100:900:10], pairs[103:903:10] = 10.0, -10.0        # +1 at each Å, -1 at 0.3 Å above it, in cells of 0.1 Å
>>> profile = gh.Profile(np.arange(1000) * 0.1, pairs, "e/Å^3", "charge_density", 100.0, boundary="open")
>>> result = gh.surface_charge(profile, period=1.0, sampling="cell")
>>> print(f"{result.low.value:.9f} {result.high.value:.9f} {result.total.value:.3f}")
0.300000000 -0.300000000 0.000
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..averaging_kernels import gaussian_tail
from ..errors import InputError, KernelError, nearest_known
from ..field import Field
from ..grid import OPEN
from ..results import Measurement, Profile, Result, Tables, between_positions, text_of
from .bulk import (
    N_SPREAD,
    PERIODS_TO_FACE,
    Body,
    Period,
    between_two,
    find_body,
    resolve_period,
    resolve_periods,
    spread_positions,
)
from .planar import Planes, planar_average, plane_name
from .unrolled import Unrolled, check_sampling

Array = NDArray[np.float64]

SIDES = ("low", "high", "both")
CHARGE, MOMENT = "e/Å^2", "e/Å"
SCALES_APART = 30.0
"""A macroscale exists in a box if thickness/period is at least this."""
KERNELS_TO_FACE = 2.0
"""Kernel widths eps between a face and the nearest x_b where the kernel leads; its tail there is 3e-5."""
NEUTRAL_PERIOD, NEUTRAL_WINDOW = 0.01, 0.2
"""Largest |∫ρ| / ∫|ρ| of a neutral bulk: over one period; over the bulk window where there is no period."""
FEWEST_LAYERS = 3
"""Layers of a slab that has a bulk, where no period is known: as with a period, one for each surface, one between."""
LEAST_SWING = 0.1
"""Smallest deviation of the cumulative charge that counts as a layer, over the largest."""
CALM_LENGTH, CALM_LEVEL = 10.0, 0.05
"""A bulk without layers (jellium): its cumulative charge varies by less than this fraction of its largest value over
this length [Å], longer than the spacing of layers in any common crystal."""
FLUCTUATION_GROWTH = 0.5
"""Exponent of the variance of the charge of a length, above which a bulk fluctuates: 0 hyperuniform, 1 random."""
CHARGED_GROWTH = 1.6
"""Exponent above which it is not fluctuation but charge of one sign: 2."""


@dataclass(frozen=True, eq=False)
class SurfaceCharge(Result):
    """Charge per area of the surfaces of a slab; None for a side that was not asked for.

    low, high                the estimate that leads, of the surface at the lower and upper face [e/Å^2]
    low_period, high_period  period-window estimate
    low_kernel, high_kernel  kernel estimate
    low_dipole, high_dipole  first moment S1 about origin_low, origin_high [e/Å]
    total                    charge of the whole slab per area [e/Å^2]
    dipole                   dipole of the whole slab per area, about origin_low; not moved by it if total is 0 [e/Å]
    cut, bulk_part           low side: charge below x_b, and what the bulk adds to it, cut + bulk_part = low [e/Å^2]
    estimator                "period window" or "kernel": which one leads
    x_b                      where the bulk is cut [Å]
    bulk                     positions that x_b may have [Å]; None if there is no bulk
    faces                    where matter begins and ends [Å]; above the period if the slab crosses the cell's boundary
    thickness                distance of the faces [Å]
    period, period_uncertainty  of the bulk [Å], None without one
    scale_ratio              thickness/period, L/a; None without a period
    eps                      kernel width [Å]
    residual                 ripple left by the kernel [e/Å^2]: predicted from the period; without one, half the peak to
                             peak of the kernel estimate over the bulk window
    tail                     kernel weight that crosses the nearer face
    closure                  low + high - total of the leading estimates, low integrated from below and high from
                             above: rounding alone [e/Å^2]; None for one side
    origin_low, origin_high  about which the first moments are taken [Å]
    planes                   what the planes are: "a", "b", "c", or "(h k l)"
    area                     of the cell's face [Å^2], None if unknown: charge per cell = value x area
    sampling                 "bandlimited" or "cell": what the samples were taken for
    remarks                  what a reader should know, one sentence each
    provenance               what was read and done, step by step
    """

    low: Measurement | None
    high: Measurement | None
    low_period: Measurement | None
    high_period: Measurement | None
    low_kernel: Measurement | None
    high_kernel: Measurement | None
    low_dipole: Measurement | None
    high_dipole: Measurement | None
    total: Measurement
    dipole: Measurement
    cut: Measurement
    bulk_part: Measurement
    estimator: str
    x_b: float
    bulk: tuple[float, float] | None
    faces: tuple[float, float]
    thickness: float
    origin_low: float
    origin_high: float
    period: float | None
    period_uncertainty: float | None
    scale_ratio: float | None
    eps: float
    residual: float
    tail: float
    closure: float | None
    planes: str
    area: float | None
    sampling: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """For people: what was found, then how; rows of name and text under a title."""
        found: list[tuple[str, str]] = []
        for side in ("low", "high"):
            leading = getattr(self, side)
            if leading is None:
                continue
            found.append((f"σ {side}", str(leading)))
            if leading.defined:
                dipole, origin = getattr(self, f"{side}_dipole"), getattr(self, f"origin_{side}")
                found += [
                    ("  by period window", str(getattr(self, f"{side}_period"))),
                    ("  by kernel", str(getattr(self, f"{side}_kernel"))),
                    ("  dipole", f"{dipole}, about {origin:.4f} Å"),
                ]
        found += [("total", str(self.total)), ("dipole", str(self.dipole))]
        period = "none" if self.period is None else f"{self.period:.6f} ± {self.period_uncertainty or 0:.1g} Å"
        how = [
            ("slab", f"{between_positions(self.faces)}, {self.thickness:.4f} Å thick, planes of {self.planes}"),
            ("bulk window", between_positions(self.bulk)),
            ("cut at", f"{self.x_b:.4f} Å"),
            ("period", period),
            ("leading estimate", self.estimator),
            ("kernel", f"eps {self.eps:.4f} Å, predicted residual {self.residual:.2g} {CHARGE}"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Surface charge", tuple(found)), ("How it was found", tuple(how))

    def __str__(self) -> str:
        return text_of(self.tables())


@dataclass(frozen=True, eq=False)
class InterfaceCharge(Result):
    """Charge per area of the interface between two bulks.

    charge         the estimate that leads [e/Å^2]
    period_window  mean of C over one period around x_2 minus that around x_1
    kernel         Σ h ρ F(x - x_2) F(x_1 - x)
    between        x_1, x_2: a position in the bulk below and above the interface [Å]
    periods        of the bulk below and above [Å]; None where there is none
    estimator      "period window" or "kernel": which one leads
    scale_ratio    (x_2 - x_1)/(the longer period), L/a; None without a period
    residual       predicted ripple left by the kernel [e/Å^2]
    eps            kernel width [Å]
    planes         what the planes are: "a", "b", "c", or "(h k l)"
    area           of the cell's face [Å^2], None if unknown: charge per cell = value x area
    sampling       "bandlimited" or "cell": what the samples were taken for
    remarks        what a reader should know, one sentence each
    provenance     what was read and done, step by step
    """

    charge: Measurement
    period_window: Measurement
    kernel: Measurement
    estimator: str
    between: tuple[float, float]
    periods: tuple[float | None, float | None]
    scale_ratio: float | None
    eps: float
    residual: float
    planes: str
    area: float | None
    sampling: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """For people: what was found, then how; rows of name and text under a title."""
        found = (
            ("σ", str(self.charge)),
            ("  by period window", str(self.period_window)),
            ("  by kernel", str(self.kernel)),
        )
        how = [
            ("between", f"{between_positions(self.between)}, planes of {self.planes}"),
            ("periods", ", ".join("none" if a is None else f"{a:.6f} Å" for a in self.periods)),
            ("leading estimate", self.estimator),
            ("kernel", f"eps {self.eps:.4f} Å, predicted residual {self.residual:.2g} {CHARGE}"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Interface charge", found), ("How it was found", tuple(how))

    def __str__(self) -> str:
        return text_of(self.tables())


def charge_profile(field: Field | Profile, axis: Planes | None, wanted: str) -> Profile:
    """Planar average of a charge density in e/Å^3, from a Field and an axis or a Profile.

    Raises InputError for every other quantity, with the step that makes a charge density of it.
    """
    advice = {
        "electron_density": "it counts electrons only. Add the ions first: "
        'gh.charge_density(field, ion_charges={"Na": 1, ...})',
        "electrostatic_potential": "gh.charge_density(potential) is its spectral Laplacian",
        "electron_potential_energy": "gh.charge_density(potential) is its spectral Laplacian",
        "scalar": 'it is not known to be a charge. Name it when reading: quantity="charge_density"',
    }
    if field.quantity in advice:
        raise InputError(
            f"{wanted} needs a charge_density, and this is of quantity {field.quantity}: {advice[field.quantity]}."
        )
    return profile_of(field, axis)


def profile_of(field: Field | Profile, axis: Planes | None) -> Profile:
    """Profile of a Field along an axis, or the Profile itself, in the package's own unit of its quantity."""
    if isinstance(field, Profile):
        if axis is not None and plane_name(axis) != plane_name(field.planes):
            raise InputError(f"This profile runs across the planes of {field.planes}, not of {axis}: leave axis out.")
        if len(field.values) < 8:
            raise InputError(f"Profile of {len(field.values)} samples: at least 8 are needed to find a bulk.")
        return field.internal()
    if axis is None:
        raise InputError('axis is missing: give "a", "b" or "c", the axis along which to look.')
    return profile_of(planar_average(field, axis), None)


def surface_charge(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    side: str = "both",
    x_b: float | None = None,
    eps: float | None = None,
    period: float | str | None = "auto",
    bulk: Sequence[float] | None = None,
    origin: float | None = None,
    sampling: str | None = None,
) -> SurfaceCharge:
    """Charge per area of the surfaces of a slab, with its uncertainty, or the reason why there is none.

    field     charge density, Field or Profile; the axis open, or periodic with vacuum
    axis      of a Field: "a", "b", "c" or lattice planes
    side      "low", "high" or "both": the surface at the lower or upper face
    x_b       where the bulk is cut [Å]; the middle of the slab by default
    eps       width of the kernel [Å], twice its standard deviation; a fifth of the thickness by default
    period    of the bulk along the normal [Å]; "auto" finds it; None: there is none
    bulk      window of positions x_b may have (low, high) [Å]; found by default
    origin    of both first moments [Å]; by default each side's own face
    sampling  "bandlimited" (default) or "cell", what the samples are

    Source: eqs. 31-51 and A1-A4 of the paper, A2 with the sign of eq. 43 and the second moment of eq. 42 halved.
    Raises InputError if x_b lies outside the bulk window, for a field that is not a charge density, for a bulk
    without vacuum, for charge that crosses an open boundary, and for numbers that cannot be; KernelError if eps is
    below two samples.
    """
    if side not in SIDES:
        raise InputError(f'Unknown side "{side}": {nearest_known(str(side), SIDES)}')
    sampling = check_sampling(sampling)
    profile = charge_profile(field, axis, "A surface charge")
    for name, number in (("x_b", x_b), ("origin", origin)):
        if number is not None and not isfinite(number):
            raise InputError(f"{name} = {number}: give a finite position in Å.")
    window = _check_window(bulk)
    hint = x_b if x_b is not None else sum(window) / 2 if window else None
    body = find_body(profile, sampling, hint)
    wrap = None if profile.boundary == OPEN else profile.length
    found = resolve_period(period, body.line, body.low, body.high)
    width = check_eps(eps, body.thickness / 5, profile.spacing)
    if window:
        low_edge = body.line.place(window[0], wrap)
        window = (low_edge, low_edge + window[1] - window[0])
        if window[0] < body.low or window[1] > body.high:
            raise InputError(
                f"The bulk window {window[0]:.4g} to {window[1]:.4g} Å leaves the slab, which reaches from "
                f"{body.low:.4g} to {body.high:.4g} Å."
            )
    else:
        margin = PERIODS_TO_FACE * found.length if found else KERNELS_TO_FACE * width
        window = (body.low + margin, body.high - margin)
    position = (window[0] + window[1]) / 2 if x_b is None else body.line.place(x_b, wrap)
    has_bulk = window[1] >= window[0]
    if has_bulk and not window[0] - 1e-9 <= position <= window[1] + 1e-9:
        raise InputError(
            f"x_b = {position:.6g} Å lies outside the bulk window {window[0]:.4g} to {window[1]:.4g} Å of the slab "
            f"({body.low:.4g} to {body.high:.4g} Å): choose it inside, or give bulk=(low, high)."
        )
    origins = (body.low, body.high) if origin is None else (origin, origin)
    reason = None
    if not has_bulk:
        unit = f"3 periods of {found.length:.4g} Å" if found else f"4 kernel widths of {width:.4g} Å"
        reason = f"no bulk between the surfaces: the slab of {body.thickness:.4g} Å is thinner than {unit}"
    reason = reason or why_no_bulk(body.line, position, found, window, body)
    if reason is None and found is None:
        reason = _why_too_few_layers(body, position)
    sides = _Sides(body, position, found, width, window, origins, reason)
    return sides.result(side, profile, window if has_bulk else None)


def cut_charge(profile: Profile, position: float) -> Measurement:
    """Charge per area of the ideal lower surface of a bulk: cut at a position, matter above it, nothing moved [e/Å^2].

    profile   charge density of the bulk over one period, as planar_average(field, (h, k, l)) gives it
    position  of the cut, along the profile's normal [Å]

        σ = Σ_n i ρ_n exp(i n G x)/(n G),   G = 2π/period

    This is minus the mean of ∫_x ρ over one period, with every harmonic of the samples below the Nyquist index; the
    upper surface of the same cut carries -σ. The last harmonic's share is the uncertainty. A charged bulk has none.
    Source: eqs. 39, 51 of the paper. Raises InputError unless this is a periodic profile of a charge density, and for
    a position that is not finite.
    """
    profile = charge_profile(profile, None, "The charge of a cut")
    if profile.boundary == OPEN:
        raise InputError("This profile is open: the charge of a cut is that of a periodic bulk. Use surface_charge.")
    if not isfinite(position):
        raise InputError(f"position = {position}: give a finite position of the cut in Å.")
    n = len(profile.values)
    gross = float(np.abs(profile.values).mean()) * profile.length
    net = profile.mean() * profile.length
    if abs(net) > NEUTRAL_PERIOD * gross:
        return Measurement.not_defined(CHARGE, f"no neutral bulk: one period carries {net:.3g} {CHARGE}")
    harmonics = np.arange(1, (n - 1) // 2 + 1)
    wavevectors = 2 * np.pi * harmonics / profile.length
    coefficients = 2 * np.fft.rfft(profile.values)[1 : len(harmonics) + 1] / n
    shares = 1j * coefficients * np.exp(1j * wavevectors * (position - profile.position[0])) / wavevectors
    return Measurement(float(shares.sum().real), CHARGE, hypot(abs(shares[-1]), 4e-16 * gross))


@dataclass(frozen=True, eq=False)
class _Sides:
    """Both surfaces of one body: every estimate, once."""

    body: Body
    x_b: float
    period: Period | None
    eps: float
    bulk: tuple[float, float]
    origins: tuple[float, float]
    reason: str | None

    def period_estimates(self, x: Array) -> Array:
        """(n, 4): σ_low, σ_high and their first moments by the period window at each x; the high ones from above."""
        if self.period is None:
            return np.full((len(x), 4), nan)
        line, a = self.body.line, self.period.length
        above = line.mirrored()
        return np.stack(
            [
                line.window_mean(x, a),
                above.window_mean(-x, a),
                first_moment_by_window(line, x, a, self.origins[0]),
                -first_moment_by_window(above, -x, a, -self.origins[1]),
            ],
            axis=1,
        )

    def kernel_estimates(self, x: Array) -> Array:
        """(n, 4): the same by the kernel."""
        line = self.body.line
        weights = line.values * line.spacing
        rows = []
        for centre in x:
            low = weights * gaussian_tail(line.position - centre, self.eps)
            high = weights * gaussian_tail(centre - line.position, self.eps)
            rows.append(
                [
                    low.sum(),
                    high.sum(),
                    (low * (line.position - self.origins[0])).sum(),
                    (high * (line.position - self.origins[1])).sum(),
                ]
            )
        return np.array(rows)

    def fluctuations(self) -> Array:
        """(4,) standard deviations of the kernel estimates in a bulk without period, beyond reach of the spread.

        Positions within eps see the same charge, so their spread says little. Kernels of eps/16 and eps/4 fit in many
        places; the power law through their standard deviations is carried on to eps.
        """
        wide, narrow = self.eps / 4, max(self.eps / 16, 2 * self.body.line.spacing)
        if wide < 2 * narrow:
            return np.zeros(4)
        spreads = []
        for eps in (narrow, wide):
            margin = KERNELS_TO_FACE * eps
            places = np.linspace(self.body.low + margin, self.body.high - margin, 2 * N_SPREAD)
            spreads.append(replace(self, eps=eps).kernel_estimates(places).std(axis=0))
        fall = np.minimum(1.0, spreads[1] / np.maximum(spreads[0], 1e-300))
        return np.asarray(spreads[1] * fall ** (np.log(self.eps / wide) / np.log(wide / narrow)))

    def result(self, side: str, profile: Profile, window: tuple[float, float] | None) -> SurfaceCharge:
        line, body = self.body.line, self.body
        around = spread_positions(self.x_b, self.period.length if self.period else self.eps / 2, self.bulk)
        here = np.array([self.x_b])
        total = line.total
        gross = line.gross
        rounding = 4e-16 * gross * np.sqrt(len(line.values))
        distance = min(self.x_b - body.low, body.high - self.x_b)
        tail = float(gaussian_tail(distance, self.eps))
        period_here, period_around = self.period_estimates(here)[0], self.period_estimates(around)
        kernel_here = self.kernel_estimates(here)[0]
        if self.period:
            kernel_around = self.kernel_estimates(around)
            residual = ripple = predicted_residual(line, self.x_b, self.period, self.eps)
        else:  # how far the ripple reaches is not known: all positions that x_b could have
            low_end, high_end = min(self.bulk[0], self.x_b), max(self.bulk[1], self.x_b)
            kernel_around = self.kernel_estimates(np.linspace(low_end, high_end, 2 * N_SPREAD))
            residual, ripple = float(np.ptp(kernel_around[:, 0]) / 2), 0.0
        kernel_extra = hypot(ripple, tail * line.highest, rounding)
        fluctuation = np.zeros(4) if self.period or self.reason else self.fluctuations()
        drift = np.zeros(4)
        if self.period and self.period.uncertainty > 0:
            changed = _Sides(
                body,
                self.x_b,
                Period(self.period.length + self.period.uncertainty),
                self.eps,
                self.bulk,
                self.origins,
                None,
            )
            drift = np.abs(changed.period_estimates(here)[0] - period_here)

        def measure(value: float, column: Array, unit: str, *others: float, least: float = 0.0) -> Measurement:
            if self.reason is not None:
                return Measurement.not_defined(unit, self.reason)
            return Measurement(float(value), unit, hypot(max(float(column.std()), least), *others))

        near = KERNELS_TO_FACE * self.eps * (1 - 1e-9)
        kernels = [
            measure(kernel_here[i], kernel_around[:, i], CHARGE, kernel_extra, least=fluctuation[i]) for i in (0, 1)
        ]
        if self.reason is None and distance < near:
            too_wide = f"x_b is {distance:.4g} Å from a face, less than 2 eps: choose eps below {distance / 2:.4g} Å"
            kernels = [Measurement.not_defined(CHARGE, too_wide)] * 2
        no_period = "the bulk has no period"
        if self.period:
            windows = [measure(period_here[i], period_around[:, i], CHARGE, drift[i], rounding) for i in (0, 1)]
            dipoles = [
                measure(period_here[i], period_around[:, i], MOMENT, drift[i], rounding * body.thickness)
                for i in (2, 3)
            ]
        else:
            windows = [Measurement.not_defined(CHARGE, self.reason or no_period)] * 2
            dipoles = [
                measure(
                    kernel_here[i], kernel_around[:, i], MOMENT, kernel_extra * body.thickness, least=fluctuation[i]
                )
                for i in (2, 3)
            ]
        leading = windows if self.period else kernels
        cut = float(line.cumulative(self.x_b))
        undefined = Measurement.not_defined(CHARGE, self.reason or "")
        low, high = (side in ("low", "both")), (side in ("high", "both"))
        remarks = self._remarks(windows, kernels, total, gross)
        return SurfaceCharge(
            low=leading[0] if low else None,
            high=leading[1] if high else None,
            low_period=windows[0] if low else None,
            high_period=windows[1] if high else None,
            low_kernel=kernels[0] if low else None,
            high_kernel=kernels[1] if high else None,
            low_dipole=dipoles[0] if low else None,
            high_dipole=dipoles[1] if high else None,
            total=Measurement(total, CHARGE, rounding),
            dipole=Measurement(first_moment(line, self.origins[0]), MOMENT, rounding * body.thickness),
            cut=Measurement(cut, CHARGE, rounding),
            bulk_part=undefined if not leading[0].defined else Measurement(float(leading[0]) - cut, CHARGE, rounding),
            estimator="period window" if self.period else "kernel",
            x_b=self.x_b,
            bulk=window,
            faces=(body.low, body.high),
            thickness=body.thickness,
            origin_low=self.origins[0],
            origin_high=self.origins[1],
            period=self.period.length if self.period else None,
            period_uncertainty=self.period.uncertainty if self.period else None,
            scale_ratio=body.thickness / self.period.length if self.period else None,
            eps=self.eps,
            residual=residual,
            tail=tail,
            closure=float(leading[0]) + float(leading[1]) - total if side == "both" and leading[0].defined else None,
            planes=profile.planes,
            area=profile.area,
            sampling=line.sampling,
            remarks=remarks,
            provenance=(
                *profile.provenance,
                {"step": "surface charge", "x_b": self.x_b, "eps": self.eps, "sampling": line.sampling, "side": side},
            ),
        )

    def _remarks(
        self, windows: list[Measurement], kernels: list[Measurement], total: float, gross: float
    ) -> tuple[str, ...]:
        remarks = []
        if self.period and self.body.thickness / self.period.length < SCALES_APART:
            ratio = self.body.thickness / self.period.length
            remarks.append(f"no macroscale in this box, L/a = {ratio:.1f}: the value is that of this slab")
        if abs(total) > 1e-5 * gross:
            remarks.append(f"the slab carries a net charge of {total:.4g} {CHARGE}")
        if windows[0].defined and kernels[0].defined:
            difference = abs(float(windows[0]) - float(kernels[0]))
            if difference > 3 * hypot(windows[0].uncertainty or 0, kernels[0].uncertainty or 0):
                remarks.append(
                    f"period window and kernel differ by {difference:.2g} {CHARGE}, beyond their uncertainty"
                )
        return tuple(remarks)


def first_moment(line: Unrolled, origin: float) -> float:
    """∫ (x - origin) f over the line: Σ h (x_i - origin) f_i."""
    return float((line.values * (line.position - origin)).sum() * line.spacing)


def first_moment_by_window(line: Unrolled, x: Array, period: float, origin: float) -> Array:
    """S1 of the low side by one period around each x: (x - origin) σ - mean of D."""
    return np.asarray((x - origin) * line.window_mean(x, period) - line.window_mean_of_double(x, period))


def predicted_residual(line: Unrolled, x_b: float, period: Period, eps: float) -> float:
    """Ripple that the kernel leaves: Σ_n (2|ρ_n|/nG) exp(-n² G² eps²/8) over the harmonics of one bulk period."""
    n_samples = 128
    x = x_b + (np.arange(n_samples) / n_samples - 0.5) * period.length
    harmonics = np.abs(np.fft.rfft(line.density(x)) / n_samples)[1:17]
    wavevectors = 2 * np.pi / period.length * np.arange(1, 17)
    return float((2 * harmonics / wavevectors * np.exp(-((wavevectors * eps) ** 2) / 8)).sum())


def check_eps(eps: float | None, automatic: float, spacing: float) -> float:
    """The kernel width, or the automatic one; KernelError below two samples."""
    if eps is None:
        return max(automatic, 2 * spacing)
    width = float(eps)
    if not (isfinite(width) and width > 0):
        raise KernelError(f"eps = {eps}: give a positive kernel width in Å.")
    if width < 2 * spacing:
        raise KernelError(
            f"eps = {width:.4g} Å is narrower than two samples of {spacing:.4g} Å: choose a wider kernel or finer grid."
        )
    return width


def _check_window(bulk: Sequence[float] | None) -> tuple[float, float] | None:
    if bulk is None:
        return None
    if len(bulk) != 2 or not all(isfinite(x) for x in bulk) or not bulk[1] >= bulk[0]:
        raise InputError(f"bulk = {tuple(bulk)}: give two positions in Å, the lower first.")
    return float(bulk[0]), float(bulk[1])


def why_no_bulk(
    line: Unrolled, x_b: float, period: Period | None, window: tuple[float, float], body: Body | None
) -> str | None:
    """Reason why the charge of a surface is not defined for this bulk, or None if it is."""
    reach = period.length / 2 if period else (window[1] - window[0]) / 2
    centre = x_b if period else (window[0] + window[1]) / 2
    inside = (line.position >= centre - reach) & (line.position <= centre + reach)
    gross = float(np.abs(line.values[inside]).sum() * line.spacing)
    net = float(line.cumulative(centre + reach) - line.cumulative(centre - reach))
    growth = None
    if period is None and body is not None:
        growth = fluctuation_growth(line, body.low + body.thickness / 10, body.high - body.thickness / 10)
    if growth is not None and CHARGED_GROWTH > growth > FLUCTUATION_GROWTH:
        return (
            f"bulk charge fluctuates: the variance of the charge of a length l grows as l^{growth:.1f}, so the "
            "cumulative charge has no mean"
        )
    if gross > 1e-9 * line.gross and abs(net) > (NEUTRAL_PERIOD if period else NEUTRAL_WINDOW) * gross:
        place = f"one period of {period.length:.4g} Å around x_b" if period else "the bulk window"
        return f"no neutral bulk: {place} carries {net:.3g} {CHARGE}, so the value would change with x_b"
    return None


def _why_too_few_layers(body: Body, x_b: float) -> str | None:
    """Reason why a slab without a period has no bulk, or None: at least three layers, or a long stretch of no charge.

    A layer takes the cumulative charge across its mean and back. Deviations below LEAST_SWING of the largest do not
    count as crossings.
    """
    line = body.line
    calm = line.cumulative(np.linspace(x_b - CALM_LENGTH / 2, x_b + CALM_LENGTH / 2, N_SPREAD))
    if np.ptp(calm) <= CALM_LEVEL * line.highest:
        return None
    inside = np.linspace(body.low, body.high, 2 * int(body.thickness / line.spacing) + 2)
    running = line.cumulative(inside)
    deviation = running - running[len(inside) // 4 : -(len(inside) // 4)].mean()
    signs = np.sign(deviation[np.abs(deviation) > LEAST_SWING * np.abs(deviation).max()])
    crossings = int(np.count_nonzero(np.diff(signs)))
    if crossings >= 2 * FEWEST_LAYERS:
        return None
    return (
        f"no bulk between the surfaces: no period is known, and over {body.thickness:.4g} Å the cumulative charge "
        f"crosses its mean {crossings} times, as {crossings / 2:g} layers do; at least {FEWEST_LAYERS} are needed"
    )


def fluctuation_growth(line: Unrolled, low: float, high: float) -> float | None:
    """Exponent g of ⟨[C(x + l) - C(x)]²⟩ ~ l^g between l = T/64 and T/8 of a stretch of length T; None if C is calm.

    g is 0 where charge is arranged so evenly that only the ends of a length matter, 1 where it is random.
    """
    running = np.cumsum(line.values[(line.position >= low) & (line.position <= high)]) * line.spacing
    n = len(running)
    if n < 128:
        return None

    def variance(first: float, last: float) -> float:
        lags = np.unique(np.linspace(n / first, n / last, 8).astype(int))
        return float(np.mean([np.mean((running[lag:] - running[:-lag]) ** 2) for lag in lags if lag > 0]))

    short, long = variance(80, 50), variance(10, 6.25)
    if long <= 1e-6 * line.highest**2:
        return None
    return float(np.log(long / short) / np.log(8.0)) if short > 0 else None


def interface_charge(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    between: Sequence[float],
    periods: Sequence[float | None] | float | str | None = "auto",
    eps: float | None = None,
    sampling: str | None = None,
) -> InterfaceCharge:
    """Charge per area of the interface between two bulks, in a superlattice or in a slab.

    field     charge density, Field or Profile
    axis      of a Field
    between   x_1, x_2 [Å]: a position deep in the bulk below, and one deep in the bulk above. On a periodic axis x_2
              may be the smaller number: the interface is what lies going up from x_1
    periods   of the two bulks [Å], or one for both; "auto" finds each; None: there is none
    eps       width of the kernel [Å]; a fifth of x_2 - x_1 by default
    sampling  "bandlimited" (default) or "cell"

    Source: eqs. A5 and 52 of the paper. Raises InputError for a field that is not a charge density, for positions
    that coincide or lie outside an open axis; KernelError if eps is below two samples.
    """
    sampling = check_sampling(sampling)
    profile = charge_profile(field, axis, "An interface charge")
    line, x = between_two(profile, between, sampling)
    width = check_eps(eps, (x[1] - x[0]) / 5, profile.spacing)
    found = resolve_periods(periods, line, x)
    weights = line.values * line.spacing
    reaches = [p.length if p else width / 2 for p in found]
    around = [spread_positions(c, r, (line.start, line.end)) for c, r in zip(x, reaches, strict=True)]

    def kernel(low: float, high: float) -> float:
        shape = gaussian_tail(line.position - high, width) * gaussian_tail(low - line.position, width)
        return float((weights * shape).sum())

    value = kernel(x[0], x[1])
    spread = [np.std([kernel(u, x[1]) for u in around[0]]), np.std([kernel(x[0], u) for u in around[1]])]
    residual = hypot(*(predicted_residual(line, c, p, width) if p else 0.0 for c, p in zip(x, found, strict=True)))
    tail = float(gaussian_tail((x[1] - x[0]) / 2, width)) * line.gross
    reasons = [why_no_bulk(line, c, p, (c - width / 2, c + width / 2), None) for c, p in zip(x, found, strict=True)]
    reason = next((f"{side}: {r}" for side, r in zip(("below", "above"), reasons, strict=True) if r), None)
    rounding = 4e-16 * line.gross * np.sqrt(len(line.values))
    if reason is not None:
        by_kernel = Measurement.not_defined(CHARGE, reason)
    else:
        by_kernel = Measurement(value, CHARGE, hypot(*map(float, spread), residual, tail, rounding))
    low, high = found
    if reason is not None or low is None or high is None:
        by_period = Measurement.not_defined(CHARGE, reason or "one of the bulks has no period")
    else:
        means = [line.window_mean(c, p.length) for c, p in zip(x, (low, high), strict=True)]
        spreads = [line.window_mean(u, p.length).std() for u, p in zip(around, (low, high), strict=True)]
        drifts = [
            abs(float(line.window_mean(c, p.length + p.uncertainty) - line.window_mean(c, p.length)))
            for c, p in zip(x, (low, high), strict=True)
        ]
        by_period = Measurement(
            float(means[1] - means[0]), CHARGE, hypot(*map(float, spreads), *drifts, float(rounding))
        )
    leads = low is not None and high is not None
    longest = max((p.length for p in found if p), default=None)
    ratio = (x[1] - x[0]) / longest if longest else None
    remarks: tuple[str, ...] = ()
    if ratio is not None and ratio < SCALES_APART:
        remarks = (f"no macroscale in this box, L/a = {ratio:.1f}: the value is that of these layers",)
    return InterfaceCharge(
        charge=by_period if leads else by_kernel,
        period_window=by_period,
        kernel=by_kernel,
        estimator="period window" if leads else "kernel",
        between=x,
        periods=(low.length if low else None, high.length if high else None),
        scale_ratio=ratio,
        eps=width,
        residual=residual,
        planes=profile.planes,
        area=profile.area,
        sampling=sampling,
        remarks=remarks,
        provenance=(
            *profile.provenance,
            {"step": "interface charge", "between": list(x), "eps": width, "sampling": sampling},
        ),
    )
