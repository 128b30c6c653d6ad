"""Interface charge and excess: what lies between two bulks, per area, of order 0 and 1.

    σ = mean of C around x_2 - mean of C around x_1                   each side with its own period, eq. A5
    σ = Σ h ρ F(x - x_2) F(x_1 - x),   S1 = Σ h (x - x_0) ρ F F        kernel
    S1 = [(x_b - x_0) σ - mean of D] at x_2 less the same at x_1,   D = ∫^x C

Estimators, uncertainties and reasons are those of surface.py. Bulk values V_1, V_2 other than zero are subtracted up to
a stated dividing surface: S0 changes by V_2 - V_1 for each Å that it is moved up.

In   Field or Profile of quantity charge_density; of any quantity for an excess.
Out  InterfaceCharge, InterfaceExcess: e/Å^2 and e/Å, or the field's own unit; host, equal on every rank.

>>> import gpuhomog as gh
>>> pairs = np.zeros(1000)
>>> pairs[100:900:10], pairs[103:503:10], pairs[507:903:10] = 10.0, -10.0, -10.0     # -1 at 0.3 Å, then at 0.7 Å
>>> profile = gh.Profile(np.arange(1000) * 0.1, pairs, "e/Å^3", "charge_density", 100.0, boundary="open")
>>> print(gh.interface_charge(profile, between=(30.0, 70.0), period=1.0, sampling="cell").charge)
0.4 ± 2.0e-12 e/Å^2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot, isfinite, nan
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import gaussian_tail
from ...errors import AdvisedError, InputError
from ...field import Field
from ...results import Measurement, Profile, Result, Tables, between_positions
from ...units import times_length
from ..profiles.bulk import (
    Period,
    between_two,
    kernel_over_window,
    resolve_periods,
    scatter_around,
    spread_positions,
    windows_around,
)
from ..profiles.planar import Planes
from ..profiles.unrolled import Unrolled, check_sampling
from .bulk_charge import LEAST_ALPHA, SCALES_APART, is_gap, low_k_exponent, not_converged, why_no_bulk
from .charge_profile import charge_profile, profile_of
from .level_sets import Window, edges_around, local_mean_crossing, usable, without_ends
from .line_moments import first_moment_by_partition, first_moment_by_window, mean_of_running
from .surface import check_eps, predicted_residual, without_reference

Array = NDArray[np.float64]
Between = TypeVar("Between", bound="InterfaceExcess")

GAP_STRETCH = 0.5
"""A gap could be cut so far to either side [Å]: tails of electrons fall by e over 0.2 to 0.5 Å."""


@dataclass(frozen=True, eq=False)
class InterfaceExcess(Result):
    """Excess per area of the interface between two bulks; [ν] is the unit of the field, e/Å^3 in the units given.

    charge         the estimate that leads [e/Å^2]
    period_window  mean of C over one period around x_2 minus that around x_1
    kernel         Σ h ρ F(x - x_2) F(x_1 - x)
    partition      mean of C over a zero-average partition around x_2 minus that around x_1
    dipole         first moment S1 about `origin`, of the estimate that leads [e/Å]
    dipole_period, dipole_kernel, dipole_partition   by each of the three
    origin         [Å]
    between        x_1, x_2: a position in the bulk below and above the interface [Å]
    periods        of the bulk below and above [Å]; None where there is none
    estimator      "period window" or "kernel": which one leads
    scale_ratio    (x_2 - x_1)/(the longer period), L/a; None without a period
    residual       predicted ripple left by the kernel [e/Å^2]
    eps            kernel width [Å]
    alpha          the smaller exponent of the power at small k of bulks without a period; None if not known
    reference      bulk values below and above that were subtracted [ν]
    x_surface      the dividing surface [Å]; None where both are 0
    planes         what the planes are: "a", "b", "c", or "(h k l)"
    area           of the cell's face [Å^2], None if unknown: charge per cell = value x area
    sampling       "bandlimited" or "cell": what the samples were taken for
    remarks        what a reader should know, one sentence each
    provenance     what was read and done, step by step
    """

    charge: Measurement
    period_window: Measurement
    kernel: Measurement
    partition: Measurement
    dipole: Measurement
    dipole_period: Measurement
    dipole_kernel: Measurement
    dipole_partition: Measurement
    origin: float
    estimator: str
    between: tuple[float, float]
    periods: tuple[float | None, float | None]
    scale_ratio: float | None
    eps: float
    residual: float
    alpha: float | None
    reference: tuple[float, float]
    x_surface: float | None
    planes: str
    area: float | None
    sampling: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    title: ClassVar[str] = "Interface excess"

    def tables(self) -> Tables:
        """As the terminal shows it: what was found, then how; rows of name and text under a title."""
        estimates = (
            ("  by period window", self.period_window),
            ("  by kernel", self.kernel),
            ("  by partition", self.partition),
            ("  dipole", self.dipole),
        )
        found = [("σ", str(self.charge))]
        found += [  # a reason is given once
            (name, f"{value}, about {self.origin:.4f} Å" if name.endswith("dipole") and value.defined else str(value))
            for name, value in estimates
            if value.defined or value.reason != self.charge.reason
        ]
        how = [
            ("between", f"{between_positions(self.between)}, planes of {self.planes}"),
            ("periods", ", ".join("none" if a is None else f"{a:.6f} Å" for a in self.periods)),
            ("leading estimate", self.estimator),
            ("kernel", f"eps {self.eps:.4f} Å, predicted residual {self.residual:.2g} {self.charge.unit or ''}"),
        ]
        if self.x_surface is not None:
            below, above = self.reference
            how.append(("reference", f"{below:.8g} below and {above:.8g} above {self.x_surface:.4f} Å"))
        how += [("note", remark) for remark in self.remarks]
        return (self.title, tuple(found)), ("How it was found", tuple(how))


class InterfaceCharge(InterfaceExcess):
    """The excess of a charge density."""

    title: ClassVar[str] = "Interface charge"


def interface_charge(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    between: Sequence[float],
    period: Sequence[float | None] | float | str | None = "auto",
    eps: float | None = None,
    origin: float | None = None,
    sampling: str | None = None,
) -> InterfaceCharge:
    """Charge per area of the interface between two bulks, in a superlattice or in a slab.

    field     charge density, Field or Profile
    axis      of a Field
    between   x_1, x_2 [Å]: a position deep in the bulk below, and one deep in the bulk above, or in a gap between
              layers, eps wide. On a periodic axis x_2 may be the smaller number: the interface is what lies going up
              from x_1
    period    of the two bulks [Å], or one for both; "auto" finds each; None: there is none
    eps       width of the kernel [Å]; a fifth of x_2 - x_1 by default
    origin    of the first moment [Å]; the middle between x_1 and x_2 by default
    sampling  "bandlimited" (default) or "cell"

    Source: eqs. A5 and 52 of the paper. Raises InputError for a field that is not a charge density, for positions
    that coincide or lie outside an open axis; KernelError if eps is below two samples.
    """
    profile = charge_profile(field, axis, "An interface charge")
    return _interface(InterfaceCharge, profile, between, (0.0, 0.0), None, period, eps, origin, sampling)


def interface_excess(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    between: Sequence[float],
    reference: Sequence[float] = (0.0, 0.0),
    x_surface: float | None = None,
    period: Sequence[float | None] | float | str | None = "auto",
    eps: float | None = None,
    origin: float | None = None,
    sampling: str | None = None,
) -> InterfaceExcess:
    """Excess of any field at the interface between two bulks, of order 0 and 1, over the bulk values on either side.

    reference  bulk values (V_1, V_2) below and above, in the field's own unit
    x_surface  where the one ends and the other begins [Å]; needed unless both are 0
    others     as in interface_charge

    S0 changes by V_2 - V_1 for each Å by which the dividing surface is moved up. Source: eqs. A5 and 52 of the paper.
    Raises InputError as interface_charge, and where a bulk value is not 0 and no dividing surface is stated.
    """
    profile = profile_of(field, axis)
    return _interface(InterfaceExcess, profile, between, reference, x_surface, period, eps, origin, sampling)


def _interface(
    kind: type[Between],
    profile: Profile,
    between: Sequence[float],
    reference: Sequence[float],
    x_surface: float | None,
    period: Sequence[float | None] | float | str | None,
    eps: float | None,
    origin: float | None,
    sampling: str | None,
) -> Between:
    """What interface_charge and interface_excess return."""
    sampling = check_sampling(sampling)
    line, x = between_two(profile, between, sampling)
    values = _two_references(reference)
    dividing = None
    found = resolve_periods(period, line, x)
    if any(values) or x_surface is not None:
        dividing = _one_dividing(x_surface, line, x)
        line = without_reference(line, [(line.start, dividing, values[0]), (dividing, line.end, values[1])])
    if origin is not None and not isfinite(origin):
        raise InputError(f"origin = {origin}: give a finite position in Å.")
    centre = (x[0] + x[1]) / 2 if origin is None else float(origin)
    width = check_eps(eps, (x[1] - x[0]) / 5, profile.spacing)
    bulks = _TwoBulks(line, x, found, width, centre, (times_length(profile.unit, 1), times_length(profile.unit, 2)))
    by_kernel, by_period, by_partition = bulks.by_kernel(), bulks.by_period(), bulks.by_partition()
    low, high = found
    leading, estimator = (by_period, "period window") if low and high else (by_kernel, "kernel")
    longest = max((p.length for p in found if p), default=None)
    ratio = bulks.apart / longest if longest else None
    remarks: tuple[str, ...] = ()
    if ratio is not None and ratio < SCALES_APART:
        remarks = (f"no macroscale in this box, L/a = {ratio:.1f}: the value is that of these layers",)
    return kind(
        charge=leading[0],
        period_window=by_period[0],
        kernel=by_kernel[0],
        partition=by_partition[0],
        dipole=leading[1],
        dipole_period=by_period[1],
        dipole_kernel=by_kernel[1],
        dipole_partition=by_partition[1],
        origin=centre,
        estimator=estimator,
        between=x,
        periods=(low.length if low else None, high.length if high else None),
        scale_ratio=ratio,
        eps=width,
        residual=bulks.residual,
        alpha=bulks.alpha,
        reference=values,
        x_surface=dividing,
        planes=profile.planes,
        area=profile.area,
        sampling=sampling,
        remarks=remarks,
        provenance=(
            *profile.provenance,
            {
                "step": kind.title.lower(),
                "between": list(x),
                "eps": width,
                "sampling": sampling,
                **({} if dividing is None else {"reference": list(values), "x_surface": dividing}),
            },
        ),
    )


@dataclass(frozen=True, eq=False)
class _TwoBulks:
    """An interface between two bulks: σ and its first moment by every estimate."""

    line: Unrolled
    x: tuple[float, float]
    periods: tuple[Period | None, Period | None]
    eps: float
    origin: float
    units: tuple[str | None, str | None]

    @property
    def apart(self) -> float:
        """Between the positions in the bulks [Å]."""
        return self.x[1] - self.x[0]

    @property
    def levers(self) -> Array:
        """What an error of charge, a position away, is in σ and in its first moment."""
        return np.array([1.0, self.apart])

    @cached_property
    def gaps(self) -> list[bool]:
        """Whether x_1 and x_2 lie in gaps between layers rather than in bulks."""
        windows = [(x - self.eps / 2, x + self.eps / 2) for x in self.x]
        sides = zip(self.periods, windows, strict=True)
        return [period is None and is_gap(self.line, window) for period, window in sides]

    @cached_property
    def around(self) -> list[Array]:
        """Other positions that x_1 and x_2 could have."""
        narrow = [max(self.eps / 2, GAP_STRETCH) if gap else self.eps / 2 for gap in self.gaps]
        reaches = [period.length if period else reach for period, reach in zip(self.periods, narrow, strict=True)]
        ends = self.line.start, self.line.end
        return [spread_positions(x, reach, ends) for x, reach in zip(self.x, reaches, strict=True)]

    @cached_property
    def scatters(self) -> list[Array]:
        """(2,) uncertainties of σ and S1 by each period window, as layers of the bulks differ; 0 without a period."""
        found = []
        for x, period, (low, high) in zip(self.x, self.periods, windows_around(self.line, self.x), strict=True):
            if period is None:
                found.append(np.zeros(2))
                continue
            a = period.length
            bulk = min(low + a / 2, x), max(high - a / 2, x)
            scatters = scatter_around(lambda at, a=a: self.window(at, a).T, x, a, bulk)  # type: ignore[misc]
            found.append(np.array([scatter.uncertainty for scatter in scatters]))
        return found

    @cached_property
    def reason(self) -> str | None:
        """Why one of the bulks is none."""
        for side, x, period, gap in zip(("below", "above"), self.x, self.periods, self.gaps, strict=True):
            if gap:
                continue
            window = (x - self.eps / 2, x + self.eps / 2)
            reason = why_no_bulk(self.line, x, period, window, None, self.units[0])
            if reason:
                return f"{side}: {reason}"
        return None

    @cached_property
    def alpha(self) -> float | None:
        """Exponent of the power at small k, the smaller one of bulks without a period."""
        if self.reason is not None:
            return None
        stretches = windows_around(self.line, self.x)
        without = [stretch for stretch, period in zip(stretches, self.periods, strict=True) if period is None]
        exponents = [low_k_exponent(self.line, *stretch, self.eps / 2) for stretch in without]
        return min((alpha for alpha in exponents if alpha is not None), default=None)

    @cached_property
    def residual(self) -> float:
        """Ripple that the kernel leaves."""
        pairs = zip(self.x, self.periods, strict=True)
        return hypot(*(predicted_residual(self.line, x, period, self.eps) if period else 0.0 for x, period in pairs))

    def not_defined(self, reason: str) -> list[Measurement]:
        """Neither σ nor its first moment."""
        return [Measurement.not_defined(unit, reason) for unit in self.units]

    def measured(self, values: Array, uncertainty: Array) -> list[Measurement]:
        """σ and its first moment, which has to have settled; rounding is added."""
        known = np.sqrt(uncertainty**2 + (self.line.rounding * self.levers) ** 2 + self.noise**2)
        found = [Measurement(float(v), unit, float(u)) for v, unit, u in zip(values, self.units, known, strict=True)]
        if self.alpha is not None and self.alpha <= LEAST_ALPHA:
            found[1] = Measurement.not_defined(self.units[1], not_converged(self.alpha))
        return found

    @cached_property
    def noise(self) -> Array:
        """(2,) uncertainties of σ and S1 by white noise of the samples between the bulks."""
        shape = self.shape(*self.x)
        return np.array([self.line.noise_of(w) for w in (shape, shape * (self.line.position - self.origin))])

    def shape(self, low: float, high: float) -> Array:
        """F F: 1 between two positions."""
        x = self.line.position
        return np.asarray(gaussian_tail(x - high, self.eps) * gaussian_tail(low - x, self.eps))

    def kernel(self, low: float, high: float) -> Array:
        """Σ h ρ F F and Σ h (x - x_0) ρ F F."""
        line = self.line
        charges = line.values * self.shape(low, high) * line.spacing
        return np.array([charges.sum(), (charges * (line.position - self.origin)).sum()])

    def by_kernel(self) -> list[Measurement]:
        """Uncertain by the spread over either position, by the ripple, and by the tail of the kernel."""
        if self.reason is not None:
            return self.not_defined(self.reason)
        below = np.std([self.kernel(u, self.x[1]) for u in self.around[0]], axis=0)
        above = np.std([self.kernel(self.x[0], u) for u in self.around[1]], axis=0)
        if all(self.periods):  # as of a surface: see fluctuations there
            below, above = (
                np.maximum(spread, scatter * kernel_over_window(self.eps, period.length))
                for spread, scatter, period in zip((below, above), self.scatters, self.periods, strict=True)
                if period
            )
        tail = float(gaussian_tail(self.apart / 2, self.eps)) * self.line.gross
        extra = hypot(self.residual, tail) * self.levers
        return self.measured(self.kernel(*self.x), np.sqrt(below**2 + above**2 + extra**2))

    def window(self, x: Array, period: float) -> Array:
        """(2, n) σ and S1 of what lies below each x, by one period around it."""
        line = self.line
        return np.stack([line.window_mean(x, period), first_moment_by_window(line, x, period, self.origin)])

    def by_period(self) -> list[Measurement]:
        """Uncertain by the spread over either position, and by the periods' own."""
        low, high = self.periods
        if self.reason is not None or low is None or high is None:
            return self.not_defined(self.reason or "one of the bulks has no period")
        means, changes = [], []
        for x, scatter, period in zip(self.x, self.scatters, (low, high), strict=True):
            means.append(self.window(np.array(x), period.length))
            changes += [scatter, self.window(np.array(x), period.length + period.uncertainty) - means[-1]]
        return self.measured(means[1] - means[0], np.sqrt(np.sum(np.square(changes), axis=0)))

    def by_partition(self) -> list[Measurement]:
        """Uncertain by the spread over either position; the reason where a side has no partition."""
        if self.reason is not None:
            return self.not_defined(self.reason)
        try:
            (below, left), (above, right) = (self.side_by_partition(side) for side in (0, 1))
        except AdvisedError as refused:
            return self.not_defined(refused.reason)
        return self.measured(above - below, np.hypot(left, right))

    def side_by_partition(self, side: int) -> tuple[Array, Array]:
        """(2,) σ and S1 of what lies below a position; largest change with an interval less, or around others."""
        cells, x_b, period = self.line.in_cells(), self.x[side], self.periods[side]
        low, high = windows_around(self.line, self.x)[side]
        length = period.length if period else None
        window = Window(low, high, (high - low) / 2, period=length, unit=self.units[0])
        if usable(cells, x_b, window) is None:
            x_b = local_mean_crossing(cells, window, x_b, (high - low) / 2)

        def estimate(centre: float, edges: Array) -> Array:
            ends = (float(edges[0]), float(edges[-1]))
            moment = first_moment_by_partition(self.line, centre, ends, self.origin)
            return np.array([mean_of_running(self.line, *ends), moment])

        edges = edges_around(cells, x_b, window)
        here, others = estimate(x_b, edges), [estimate(x_b, part) for part in without_ends(edges, x_b, length)]
        for centre in map(float, self.around[side]):
            found = usable(cells, centre, window) if window.low < centre < window.high else None
            if found is not None:
                others.append(estimate(centre, found))
        return here, np.abs(np.array(others).reshape(-1, 2) - here).max(axis=0, initial=0.0)


def _two_references(reference: Sequence[float]) -> tuple[float, float]:
    """Bulk values below and above."""
    if isinstance(reference, str) or len(reference) != 2 or not all(isfinite(v) for v in reference):
        raise InputError(f"reference = {reference}: give two bulk values, below and above, in the unit of the field.")
    return float(reference[0]), float(reference[1])


def _one_dividing(x_surface: float | None, line: Unrolled, x: tuple[float, float]) -> float:
    """The dividing surface on the line; InputError unless it is stated and lies between the bulks."""
    if x_surface is None:
        raise InputError(
            "A bulk value that is subtracted is not 0: the excess depends on where the one bulk ends and the other "
            "begins. State the dividing surface: x_surface in Å."
        )
    place = line.place(float(x_surface)) if isfinite(x_surface) else nan
    if not x[0] < place < x[1]:
        raise InputError(
            f"x_surface = {x_surface} Å: the dividing surface must lie between x_1 and x_2, {x[0]:.6g} and "
            f"{x[1]:.6g} Å."
        )
    return place
