"""Surface excess: what a surface carries beyond its bulk, per area, whatever the bulk is cut at.

    C(x) = ∫_vac^x ρ                                              charge per area below x
    σ = mean of C over one bulk period around x_b                 period window, eqs. 39, 50, 51 (Finnis)
    σ = Σ h ρ_i F(x_i - x_b),   S1 = Σ h (x_i - x_0) ρ_i F(x_i - x_b)   kernel, eq. 36 before its Taylor expansion
    S1 = (x_b - x_0) σ - mean of ∫_vac^x C over the same period      eq. 42, its second moment corrected to M2/2
    σ, S1 of the upper surface: the same from above, ∫_x^vac ρ on the mirrored line       corrected A2, A4
    σ = mean of C, S1 = ∫^x_b (x - x_0) ρ - (x_b - x_0) M1 - W      partition into neutral intervals, eqs. 39, 42

F(t) = erfc(√2 t/eps)/2 falls from 1 to 0 over the kernel's width eps; the other surface gets 1 - F, so that low plus
high is the total charge. The period window leads where the bulk has a period, else the kernel. Neither should depend on
x_b: what it scatters over x_b within three periods on either side, times what so few periods call for (bulk.py; without
a period, that of narrower kernels all over the bulk, carried on to eps) is the uncertainty, with the ripple that the
kernel is predicted to leave, (2|ρ_1|/G) exp(-G² eps²/8), G = 2π/a, what its tail takes from the faces, and what white
noise of the samples adds up to (unrolled.py). A value is "not defined", with the reason, where no bulk lies between the
surfaces, where the bulk is not neutral, and where its charge fluctuates so that C has no mean. A first moment needs
more: in a bulk whose power goes as k^alpha at small k it converges for alpha > 3 only.

A bulk value V other than zero is subtracted up to a dividing surface x_L, which must then be stated: S0 changes by V
for each Å that it is moved outward, ΔS0 = V Δx_L (Gibbs).

The bulk window holds the positions that x_b may have: 1.5 periods from the faces, or 2 eps if there is no period. The
faces are where |ρ| passes 1 % of its maximum. They place windows and origins; no charge is cut off there.

In   Field or Profile of quantity charge_density, electrons negative, ions included; of any quantity for an excess.
Out  SurfaceCharge: e/Å^2 and e/Å, host, equal on every rank; SurfaceExcess in the field's own unit.

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
from functools import cached_property
from math import hypot, isfinite, nan
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import gaussian_tail
from ...errors import AdvisedError, InputError, KernelError, check_word
from ...field import Field
from ...results import Measurement, Profile, Result, Tables, between_positions, difference
from ...units import CHARGE, times_length
from ..profiles.bulk import (
    N_SPREAD,
    PERIODS_TO_FACE,
    Body,
    Period,
    find_body,
    kernel_over_window,
    resolve_period,
    scatter_around,
    spread_positions,
)
from ..profiles.planar import Planes
from ..profiles.unrolled import Unrolled, check_sampling
from .bulk_charge import (
    KERNELS_TO_FACE,
    LEAST_ALPHA,
    SCALES_APART,
    low_k_exponent,
    not_converged,
    why_no_bulk,
    why_too_few_layers,
)
from .charge_profile import charge_profile, profile_of
from .level_sets import Window, edges_around, local_mean_crossing, usable, without_ends
from .line_moments import (
    first_moment,
    first_moment_by_partition,
    first_moment_by_window,
    first_moment_error,
    mean_of_running,
)

Array = NDArray[np.float64]
Excess = TypeVar("Excess", bound="SurfaceExcess")

SIDES = ("low", "high", "both")


@dataclass(frozen=True, eq=False)
class SurfaceExcess(Result):
    """Excess per area of the surfaces of a slab; None for a side that was not asked for.

    Units are those of a charge density; of another quantity ν they are [ν] Å and [ν] Å^2.

    low, high                the estimate that leads, of the surface at the lower and upper face [e/Å^2]
    low_period, high_period  period-window estimate
    low_kernel, high_kernel  kernel estimate
    low_partition, high_partition  mean of C over a zero-average partition
    low_dipole, high_dipole  first moment S1 about origin_low, origin_high [e/Å], of the estimate that leads
    low_dipole_period, low_dipole_kernel, low_dipole_partition, and of the high side: by each of the three
    total                    excess of the whole slab per area: its charge [e/Å^2]
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
    dipole_closure           the same of the first moments, about origin_low [e/Å]
    alpha                    exponent of the bulk's power at small k where it has no period, from the fall of the kernel
                             estimate's scatter; None if not known
    widest                   widest interval of the partition [Å]; None without one
    reference                bulk value V that was subtracted between the dividing surfaces [ν]
    x_surface                the dividing surfaces [Å]; None where V is 0
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
    low_partition: Measurement | None
    high_partition: Measurement | None
    low_dipole: Measurement | None
    high_dipole: Measurement | None
    low_dipole_period: Measurement | None
    high_dipole_period: Measurement | None
    low_dipole_kernel: Measurement | None
    high_dipole_kernel: Measurement | None
    low_dipole_partition: Measurement | None
    high_dipole_partition: Measurement | None
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
    dipole_closure: float | None
    alpha: float | None
    widest: float | None
    reference: float
    x_surface: tuple[float, float] | None
    planes: str
    area: float | None
    sampling: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    title: ClassVar[str] = "Surface excess"

    def tables(self) -> Tables:
        """As the terminal shows it: what was found, then how; rows of name and text under a title."""
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
                    ("  by partition", str(getattr(self, f"{side}_partition"))),
                    ("  dipole", f"{dipole}, about {origin:.4f} Å"),
                ]
        found += [("total", str(self.total)), ("dipole", str(self.dipole))]
        period = "none" if self.period is None else str(Measurement(self.period, "Å", self.period_uncertainty))
        how = [
            ("slab", f"{between_positions(self.faces)}, {self.thickness:.4f} Å thick, planes of {self.planes}"),
            ("bulk window", between_positions(self.bulk)),
            ("cut at", f"{self.x_b:.4f} Å"),
            ("period", period),
            ("leading estimate", self.estimator),
            ("kernel", f"eps {self.eps:.4f} Å, predicted residual {self.residual:.2g} {self.total.unit or ''}"),
        ]
        if self.x_surface is not None:
            how.append(("reference", f"{self.reference:.8g}, {between_positions(self.x_surface)}"))
        how += [("note", remark) for remark in self.remarks]
        return (self.title, tuple(found)), ("How it was found", tuple(how))


class SurfaceCharge(SurfaceExcess):
    """The excess of a charge density."""

    title: ClassVar[str] = "Surface charge"


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
    profile = charge_profile(field, axis, "A surface charge")
    return _surface(SurfaceCharge, profile, 0.0, None, side, x_b, eps, period, bulk, origin, sampling)


def surface_excess(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    reference: float | str = 0.0,
    x_surface: Sequence[float] | None = None,
    side: str = "both",
    x_b: float | None = None,
    eps: float | None = None,
    period: float | str | None = "auto",
    bulk: Sequence[float] | None = None,
    origin: float | None = None,
    sampling: str | None = None,
) -> SurfaceExcess:
    """Excess of any field at the surfaces of a slab, of order 0 and 1, over a bulk value V between dividing surfaces.

    field      any quantity, zero outside the slab; Field or Profile
    reference  V, in the field's own unit (e/Å^3, 1/Å^3, V, eV); "bulk": the mean over one period around x_b
    x_surface  dividing surfaces (low, high) [Å]; needed where V is not 0
    others     as in surface_charge

    S0 of a side changes by V for each Å by which its dividing surface is moved inward; low + high = total = ∫ ν less
    V times the distance of the surfaces. Source: eqs. 31-51 of the paper. Raises InputError as surface_charge, and
    where V is not 0 and no dividing surface is stated.
    """
    profile = profile_of(field, axis)
    return _surface(SurfaceExcess, profile, reference, x_surface, side, x_b, eps, period, bulk, origin, sampling)


def _surface(
    kind: type[Excess],
    profile: Profile,
    reference: float | str,
    x_surface: Sequence[float] | None,
    side: str,
    x_b: float | None,
    eps: float | None,
    period: float | str | None,
    bulk: Sequence[float] | None,
    origin: float | None,
    sampling: str | None,
) -> Excess:
    """What surface_charge and surface_excess return."""
    check_word("side", side, SIDES)
    sampling = check_sampling(sampling)
    for name, number in (("x_b", x_b), ("origin", origin)):
        if number is not None and not isfinite(number):
            raise InputError(f"{name} = {number}: give a finite position in Å.")
    window = _check_window(bulk)
    hint = x_b if x_b is not None else sum(window) / 2 if window else None
    body = find_body(profile, sampling, hint)
    found = resolve_period(period, body.line, body.low, body.high)
    width = check_eps(eps, body.thickness / 5, profile.spacing)
    if window:
        low_edge = body.line.place(window[0])
        window = (low_edge, low_edge + window[1] - window[0])
        if window[0] < body.low or window[1] > body.high:
            raise InputError(
                f"The bulk window {window[0]:.4g} to {window[1]:.4g} Å leaves the slab, which reaches from "
                f"{body.low:.4g} to {body.high:.4g} Å."
            )
    else:
        margin = PERIODS_TO_FACE * found.length if found else KERNELS_TO_FACE * width
        window = (body.low + margin, body.high - margin)
    position = (window[0] + window[1]) / 2 if x_b is None else body.line.place(x_b)
    has_bulk = window[1] >= window[0]
    if has_bulk and not window[0] - 1e-9 <= position <= window[1] + 1e-9:
        raise InputError(
            f"x_b = {position:.6g} Å lies outside the bulk window {window[0]:.4g} to {window[1]:.4g} Å of the slab "
            f"({body.low:.4g} to {body.high:.4g} Å): choose it inside, or give bulk=(low, high)."
        )
    origins = (body.low, body.high) if origin is None else (origin, origin)
    unit = times_length(profile.unit, 1)
    value, dividing = 0.0, None
    if reference != 0.0 or x_surface is not None:
        value = _reference(reference, body.line, position, found, window)
        dividing = _dividing(x_surface, body.line, value)
        body = replace(body, line=without_reference(body.line, [(*dividing, value)]))
    reason = None
    if not has_bulk:
        least = f"3 periods of {found.length:.4g} Å" if found else f"4 kernel widths of {width:.4g} Å"
        reason = f"no bulk between the surfaces: the slab of {body.thickness:.4g} Å is thinner than {least}"
    reason = reason or why_no_bulk(body.line, position, found, window, body, unit)
    if reason is None and found is None:
        reason = why_too_few_layers(body, position)
    sides = _Sides(body, position, found, width, window, origins, reason, unit, times_length(profile.unit, 2))
    return sides.result(kind, side, profile, window if has_bulk else None, value, dividing)


def _reference(
    reference: float | str, line: Unrolled, x_b: float, period: Period | None, window: tuple[float, float]
) -> float:
    """The bulk value that is to be subtracted."""
    if isinstance(reference, str):
        if reference != "bulk":
            raise InputError(f'reference = "{reference}": give the bulk value, or "bulk" for the mean around x_b.')
        low, high = (x_b - period.length / 2, x_b + period.length / 2) if period else window
        if not high > low:
            raise InputError('reference = "bulk": the slab is too thin to have a bulk. Give the bulk value.')
        return float(line.cumulative(high) - line.cumulative(low)) / (high - low)
    if not isfinite(reference):
        raise InputError(f"reference = {reference}: give a finite bulk value, in the unit of the field.")
    return float(reference)


def _dividing(x_surface: Sequence[float] | None, line: Unrolled, value: float) -> tuple[float, float]:
    """The dividing surfaces on the line; InputError unless they are stated and lie on it in order."""
    if x_surface is None:
        raise InputError(
            f"The bulk value that is subtracted is {value:.6g}, not 0: the excess changes by as much for each Å by "
            "which the dividing surface is moved. State where it lies: x_surface=(low, high) in Å."
        )
    if len(x_surface) != 2 or not all(isfinite(x) for x in x_surface) or not x_surface[1] > x_surface[0]:
        raise InputError(f"x_surface = {tuple(x_surface)}: give two positions in Å, the lower first.")
    low = line.place(float(x_surface[0]))
    high = low + float(x_surface[1]) - float(x_surface[0])
    if low < line.start or high > line.end:
        raise InputError(
            f"x_surface = ({low:.6g}, {high:.6g}) Å leaves the profile, which reaches from {line.start:.6g} to "
            f"{line.end:.6g} Å."
        )
    return low, high


def without_reference(line: Unrolled, stretches: Sequence[tuple[float, float, float]]) -> Unrolled:
    """A line of cells less a constant value on each stretch (low, high, value): cells are cut where it ends."""
    cells = line.in_cells()
    edges, _ = cells.running_at_edges
    values = cells.values.copy()
    for low, high, value in stretches:
        values -= value * np.diff(np.clip(edges, low, high)) / cells.spacing
    return replace(cells, values=values)


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
    unit: str | None
    moment_unit: str | None

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

    def partition_window(self) -> Window:
        """Where its edges may lie: a period, or a kernel width, from the faces."""
        margin = self.period.length if self.period else self.eps
        low, high = self.body.low + margin, self.body.high - margin
        return Window(
            low, high, max((high - low) / 2, 0.0), period=self.period.length if self.period else None, unit=self.unit
        )

    def partition_estimate(self, x: float, edges: Array) -> Array:
        """(4,) the same by the zero-average partition with these edges around x."""
        line, above, low, high = self.body.line, self.body.line.mirrored(), float(edges[0]), float(edges[-1])
        return np.array(
            [
                mean_of_running(line, low, high),
                mean_of_running(above, -high, -low),
                first_moment_by_partition(line, x, (low, high), self.origins[0]),
                -first_moment_by_partition(above, -x, (-high, -low), -self.origins[1]),
            ]
        )

    def partition_estimates(self, x: Array) -> tuple[Array, Array, float]:
        """(4,) at the first x; (m, 4) with an interval less, and around others that have one; the widest of the first.

        AdvisedError if the first x has none.
        """
        cells, window = self.body.line.in_cells(), self.partition_window()
        edges = edges_around(cells, float(x[0]), window)
        others = [
            self.partition_estimate(float(x[0]), part) for part in without_ends(edges, float(x[0]), window.period)
        ]
        for centre in map(float, x[1:]):
            found = usable(cells, centre, window) if window.low < centre < window.high else None
            if found is not None:
                others.append(self.partition_estimate(centre, found))
        here = self.partition_estimate(float(x[0]), edges)
        return here, np.array(others).reshape(-1, 4), float(np.diff(edges).max())

    def by_partition(self, around: Array) -> tuple[list[Measurement], float | None]:
        """σ_low, σ_high and the first moments; where x_b has no partition, that around the nearest dipole-free cut."""
        if self.reason is not None:
            return self.not_defined(self.reason), None
        window = self.partition_window()
        if not window.low < self.x_b < window.high:
            reason = f"no zero-average partition fits between {window.low:.4g} and {window.high:.4g} Å"
            return self.not_defined(reason), None
        try:
            start = self.x_b
            if usable(self.body.line.in_cells(), start, window) is None:
                width = (window.high - window.low) / 2
                start = local_mean_crossing(self.body.line.in_cells(), window, start, width)
            here, others, widest = self.partition_estimates(np.concatenate([[start], around]))
        except AdvisedError as refused:
            return self.not_defined(refused.reason), None
        spread = np.abs(others - here).max(axis=0, initial=0.0)
        return self.measured(here, spread, self.of_line, self.noise_of_window), widest

    def fluctuations(self) -> Array:
        """(4,) standard deviations of the kernel estimates, beyond reach of the spread.

        Positions within eps see the same charge, so their spread says little. Where there is a period, that of means
        over one tells it, as the kernel averages over more layers, or fewer. Without one, kernels of eps/16 and eps/4
        fit in many places; the power law through their standard deviations is carried on to eps.
        """
        if self.period:
            return self.scatter_of_periods * kernel_over_window(self.eps, self.period.length)
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

    @property
    def units(self) -> tuple[str | None, ...]:
        """Of σ_low, σ_high and the two first moments."""
        return self.unit, self.unit, self.moment_unit, self.moment_unit

    @property
    def levers(self) -> Array:
        """What an error of charge at a face is in each of the four."""
        return np.array([1.0, 1.0, self.body.thickness, self.body.thickness])

    @property
    def of_line(self) -> Array:
        """Uncertainties of the four by that of C, which is the same from one end of the line to the other."""
        line = self.body.line
        length = line.end - line.start
        return line.uncertainty * np.array([1.0, 1.0, length, length])

    @property
    def noise_of_window(self) -> Array:
        """Uncertainties of the four by white noise, each side by a period (without one, by eps) around x_b."""
        reach = (self.period.length if self.period else self.eps) / 2
        sides = (
            (self.body.line, self.x_b, self.origins[0]),
            (self.body.line.mirrored(), -self.x_b, -self.origins[1]),
        )
        (low, low_moment), (high, high_moment) = (
            map(line.noise_of, line.weights_of_window(x - reach, x + reach, origin)) for line, x, origin in sides
        )
        return np.array([low, high, low_moment, high_moment])

    @property
    def noise_of_kernel(self) -> Array:
        """The same by the kernel."""
        line = self.body.line
        low = gaussian_tail(line.position - self.x_b, self.eps)
        moments = [(line.position - origin) * w for origin, w in zip(self.origins, (low, 1 - low), strict=True)]
        return np.array([line.noise_of(weights) for weights in (low, 1 - low, *moments)])

    @property
    def around(self) -> Array:
        """Other positions that x_b could have."""
        return spread_positions(self.x_b, self.period.length if self.period else self.eps / 2, self.bulk)

    @property
    def to_face(self) -> float:
        """From x_b to the nearer face [Å]."""
        return min(self.x_b - self.body.low, self.body.high - self.x_b)

    @property
    def tail(self) -> float:
        """Share of the kernel beyond the nearer face."""
        return float(gaussian_tail(self.to_face, self.eps))

    def not_defined(self, reason: str) -> list[Measurement]:
        """All four."""
        return [Measurement.not_defined(unit, reason) for unit in self.units]

    def measured(self, values: Array, *uncertainties: Array) -> list[Measurement]:
        """All four, each with uncertainties that are independent."""
        if self.reason is not None:
            return self.not_defined(self.reason)
        return [
            Measurement(float(value), unit, hypot(*map(float, parts)))
            for value, unit, *parts in zip(values, self.units, *uncertainties, strict=True)
        ]

    def by_period(self) -> list[Measurement]:
        """σ_low, σ_high and the first moments: uncertain by the spread over x_b, by the period, and by the line."""
        if self.period is None:
            return self.not_defined(self.reason or "the bulk has no period")
        here = self.period_estimates(np.array([self.x_b]))[0]
        return self.measured(here, self.scatter_of_periods, self.drift, self.of_line, self.noise_of_window)

    @cached_property
    def drift(self) -> Array:
        """(4,) changes of the estimates by period windows with the period's own uncertainty."""
        if self.period is None or self.period.uncertainty == 0:
            return np.zeros(4)
        at, longer = np.array([self.x_b]), replace(self, period=Period(self.period.length + self.period.uncertainty))
        return np.abs(longer.period_estimates(at)[0] - self.period_estimates(at)[0])

    def at_the_cut(self, leading: list[Measurement]) -> tuple[Measurement, Measurement]:
        """C(x_b), and what the bulk adds to it; what all of C is off by is in the mean of C over a period, too."""
        line = self.body.line
        unresolved = line.unresolved_at(self.x_b)
        below: Array = np.where(line.position < self.x_b, 1.0, 0.0)
        error = hypot(line.uncertainty, line.noise_of(below), unresolved)
        cut = Measurement(float(line.cumulative(self.x_b)), self.unit, error)
        if not leading[0].defined:
            return cut, Measurement.not_defined(self.unit, leading[0].reason or "")
        if self.period is None:
            return cut, difference(leading[0], cut)
        reach = self.period.length / 2
        weights, _ = line.weights_of_window(self.x_b - reach, self.x_b + reach, self.x_b)
        of_means = float(self.scatter_of_periods[0]), float(self.drift[0]), line.rounding
        error = hypot(*of_means, line.noise_of(weights - below), unresolved)
        return cut, Measurement(float(leading[0]) - float(cut), self.unit, error)

    @cached_property
    def scatter_of_periods(self) -> Array:
        """(4,) uncertainties of the estimates by period windows, as layers of the bulk differ."""
        assert self.period is not None
        scatters = scatter_around(self.period_estimates, self.x_b, self.period.length, self.bulk)
        return np.array([scatter.uncertainty for scatter in scatters])

    def by_kernel(self) -> tuple[list[Measurement], float]:
        """The same by the kernel, and the ripple that it leaves; uncertain by that, its tail and the bulk, too."""
        line = self.body.line
        if self.period:
            around = self.kernel_estimates(self.around)
            residual = ripple = predicted_residual(line, self.x_b, self.period, self.eps)
        else:  # how far the ripple reaches is not known: all positions that x_b could have
            ends = min(self.bulk[0], self.x_b), max(self.bulk[1], self.x_b)
            around = self.kernel_estimates(np.linspace(*ends, 2 * N_SPREAD))
            residual, ripple = float(np.ptp(around[:, 0]) / 2), 0.0
        fluctuation = np.zeros(4) if self.reason else self.fluctuations()
        extra = hypot(ripple, self.tail * line.highest, line.rounding) * self.levers
        here = self.kernel_estimates(np.array([self.x_b]))[0]
        found = self.measured(here, np.maximum(around.std(axis=0), fluctuation), extra, self.noise_of_kernel)
        if self.reason is None and self.to_face < KERNELS_TO_FACE * self.eps * (1 - 1e-9):
            refused = self.not_defined(
                f"x_b is {self.to_face:.4g} Å from a face, less than 2 eps: choose eps below {self.to_face / 2:.4g} Å"
            )
            found[: 4 if self.period else 2] = refused[: 4 if self.period else 2]
        return found, residual

    def result(
        self,
        kind: type[Excess],
        side: str,
        profile: Profile,
        window: tuple[float, float] | None,
        reference: float,
        x_surface: tuple[float, float] | None,
    ) -> Excess:
        """The estimates side by side; sums of both sides against the whole."""
        line, body, unit = self.body.line, self.body, self.unit
        by_period, (by_kernel, residual) = self.by_period(), self.by_kernel()
        by_partition, widest = self.by_partition(self.around)
        alpha = None
        if self.period is None and self.reason is None:
            alpha = low_k_exponent(line, body.low, body.high, self.eps)
            if alpha is not None and alpha <= LEAST_ALPHA:
                by_kernel[2:] = [Measurement.not_defined(self.moment_unit, not_converged(alpha))] * 2
                if by_partition[2].defined:
                    by_partition[2:] = by_kernel[2:]
        leading = by_period if self.period else by_kernel
        total, dipole = line.total, first_moment(line, self.origins[0])
        closure, dipole_closure = self._closures(leading, total, dipole) if side == "both" else (None, None)
        cut, bulk_part = self.at_the_cut(leading)
        charged = profile.quantity == "charge_density" and x_surface is None
        step = {
            "step": kind.title.lower(),
            "x_b": self.x_b,
            "eps": self.eps,
            "sampling": line.sampling,
            "side": side,
            **({} if x_surface is None else {"reference": reference, "x_surface": list(x_surface)}),
        }
        return kind(
            **_of_sides(side, "", leading),
            **_of_sides(side, "_period", by_period),
            **_of_sides(side, "_kernel", by_kernel),
            **_of_sides(side, "_partition", by_partition),
            total=Measurement(total, unit, hypot(line.rounding, line.noise_of(np.ones(len(line.values))))),
            dipole=Measurement(dipole, self.moment_unit, first_moment_error(line, self.origins[0])),
            cut=cut,
            bulk_part=bulk_part,
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
            tail=self.tail,
            closure=closure,
            dipole_closure=dipole_closure,
            alpha=alpha,
            widest=widest,
            reference=reference,
            x_surface=x_surface,
            planes=profile.planes,
            area=profile.area,
            sampling=line.sampling,
            remarks=self._remarks(by_period, by_kernel, total if charged else 0.0, line.gross),
            provenance=(*profile.provenance, step),
        )

    def _closures(self, of: list[Measurement], total: float, dipole: float) -> tuple[float | None, float | None]:
        """What both sides add up to less the whole: charge, and first moment from the low side's origin."""
        if not of[0].defined:
            return None, None
        closure = float(of[0]) + float(of[1]) - total
        if not of[2].defined:
            return closure, None
        moved = (self.origins[1] - self.origins[0]) * float(of[1])
        return closure, float(of[2]) + float(of[3]) + moved - dipole

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
                    f"period window and kernel differ by {difference:.2g} {self.unit}, beyond their uncertainty"
                )
        return tuple(remarks)


def _of_sides(side: str, by: str, four: list[Measurement]) -> dict[str, Measurement | None]:
    """σ and first moments of both sides under the names that a result has for them; None for a side not asked for."""
    names = (("low", ""), ("high", ""), ("low", "_dipole"), ("high", "_dipole"))
    return {
        f"{end}{what}{by}": value if side in (end, "both") else None
        for (end, what), value in zip(names, four, strict=True)
    }


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
