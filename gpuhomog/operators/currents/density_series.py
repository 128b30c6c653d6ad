"""Current from a series of densities: the rate at which charge gathers at the surface of a body.

    σ_L(t) = mean of ∫_vac^x ρ(t) over one period around x_b = ∫_vac^{x_b} ρ - M1        period window, eqs. 50, 51
    J_x    = -dσ_L/dt                                                                    eq. 59, which calls dσ_L/dt J

Derivatives are central differences of second and fourth order (module rates). Where the bulk is cut, its period and
what lies beyond are those of the first frame, for all frames. What should hold is measured beside J: it does not depend
on x_b (its standard deviation over a period is part of the uncertainty), σ_L + σ_R is the charge of the body, which is
constant, and the rate of the dipole of a body on its own, over its length, is J up to a period over the length. A cell
without vacuum has no surface: the current of a bulk is not known from its density alone.

In   Fields or Profiles of quantity charge_density, one grid, uniform in time, one in memory at a time.
Out  DensityCurrent: e/Å^2 per unit of time; host, equal on every rank.

>>> import gpuhomog as gh
>>> x = np.arange(400) * 0.25
>>> packets = lambda places, s: np.exp(-0.5 * ((x[:, None] - places) / s) ** 2).sum(1) / (s * np.sqrt(2 * np.pi))
>>> ions = 10.0 + 4.0 * np.arange(20)
>>> frames = (
...     gh.Profile(x, packets(ions, 0.5) - packets(ions + 0.3 * t, 0.8), "e/Å^3", "charge_density", 100.0)
...     for t in (0.0, 0.5, 1.0, 1.5, 2.0))
>>> found = density_current(frames, time_step=0.5, period=4.0)
>>> print(f"{found.J[2]:.6f} {-0.3 / 4:.6f} {found.unit}")
-0.075000 -0.075000 e/Å^2/fs
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import gaussian_tail
from ...errors import AdvisedError, InputError, counted
from ...field import Field
from ...results import Profile, Tables, between_positions
from ...units import CHARGE
from ..excess.bulk_charge import why_no_bulk
from ..excess.charge_profile import charge_profile
from ..excess.surface import SurfaceCharge, surface_charge
from ..profiles.bulk import FACE_LEVEL, Body, Period, find_body, spread_positions
from ..profiles.planar import Planes
from ..profiles.unrolled import Unrolled
from .rates import TIME_UNIT, CurrentInTime, check_step, current_unit, elapsed, rates_of, step_of

Array = NDArray[np.float64]

CONSTANT = 1e-5
"""Largest change of the charge of the body, over ∫|ρ|, that counts as rounding."""
SAME = 1e-6
"""Largest difference between the lengths of the frames, over the length."""


@dataclass(frozen=True, eq=False)
class DensityCurrent(CurrentInTime):
    """Current density along a normal in time; all arrays (n,) of the frames, NaN for rates at the first and the last.

    time          from the first frame on [time_unit]
    J             J_x = -dσ_L/dt, the flow of positive charge along the normal [unit]
    uncertainty   |fourth order - second order|, with the spread over x_b and rounding [unit]
    J_second, J_fourth  by each order
    spread        standard deviation of J over x_b within one period [unit]
    sigma_L_rate  dσ_L/dt = -J_x, which eq. 59 of the paper calls J
    sigma_L       charge of the lower surface, outward normal -x, of the estimate that leads [e/Å^2]
    sigma_R       of the upper surface, integrated from above
    sigma_L_period, sigma_L_kernel  by the period window, NaN without a period, and by the kernel
    dipole        ∫ (x - x_b) ρ dx of the body [e/Å]
    J_dipole      its rate over the body's length [unit]; J up to what the surfaces add, of order period/length
    total         charge of the body [e/Å^2]
    closure       largest |σ_L + σ_R - total| of all frames [e/Å^2]
    transferred   charge per area that has passed since the first frame, σ_L(0) - σ_L [e/Å^2]
    estimator     "period window" or "kernel": which one leads
    x_b, bulk     where the bulk is cut, and where it may be [Å]
    period        of the bulk [Å]; None without one
    eps           kernel width [Å]
    length        of the body, in whole periods where it has one [Å]
    unit, time_unit  such as e/Å^2/fs, and fs
    planes        normal to which J is
    remarks, provenance  what a reader should know; what was done
    """

    J_second: Array
    J_fourth: Array
    spread: Array
    sigma_L_rate: Array
    sigma_L: Array
    sigma_R: Array
    sigma_L_period: Array
    sigma_L_kernel: Array
    dipole: Array
    J_dipole: Array
    transferred: Array
    total: float
    closure: float
    estimator: str
    x_b: float
    bulk: tuple[float, float]
    period: float | None
    eps: float
    length: float
    planes: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        found = self.rows(self.sigma_L, self.transferred)
        period = "none" if self.period is None else f"{self.period:.6f} Å"
        how = [
            ("body", f"{self.length:.4f} Å, planes of {self.planes}, charge {self.total:.3g} {CHARGE}"),
            ("bulk window", between_positions(self.bulk)),
            ("cut at", f"{self.x_b:.4f} Å"),
            ("period", period),
            ("leading estimate", self.estimator),
            ("spread over x_b", f"{np.nanmax(self.spread):.2g} {self.unit}"),
            ("rate of the dipole", f"differs from J by {np.nanmax(np.abs(self.J_dipole - self.J)):.2g} {self.unit}"),
            ("σ low + σ high", f"the charge of the body to {self.closure:.2g} {CHARGE}"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Current of a series of densities", tuple(found)), ("How it was found", tuple(how))


def density_current(
    frames: Iterable[Field | Profile],
    axis: Planes | None = None,
    *,
    time_step: float | None = None,
    times: Sequence[float] | None = None,
    time_unit: str = TIME_UNIT,
    x_b: float | None = None,
    eps: float | None = None,
    period: float | str | None = "auto",
    bulk: Sequence[float] | None = None,
    sampling: str | None = None,
) -> DensityCurrent:
    """Current density in the bulk of a body from its charge density in time.

    frames     charge densities of a body with vacuum on one grid, in order of time; a generator keeps one in memory:
               density_current((gh.read(path) for path in paths), "c", time_step=1.0)
    axis       of Fields: "a", "b", "c" or lattice planes
    time_step  between frames; or times, of each frame, which must be uniform
    time_unit  of both; it becomes part of the unit of J
    x_b, eps, period, bulk, sampling  as in surface_charge, settled in the first frame

    Source: eqs. 50, 51, 59 of the paper. Raises InputError for fewer than three frames, times that are not uniform,
    grids that differ, a body whose charge changes or that crosses the vacuum, a bulk that is not neutral over a period
    around x_b in any frame, and a cell without vacuum; and as surface_charge does.
    """
    check_step(time_step, time_unit)
    if (time_step is None) == (times is None):
        raise InputError("Give time_step, the time between frames, or times, that of each frame: one of the two.")
    series: _Series | None = None
    for number, frame in enumerate(frames):
        profile = charge_profile(frame, axis, "A current")
        if series is None:
            series = _Series(profile, _settled(profile, x_b, eps, period, bulk, sampling))
        series.add(profile, number)
    n = 0 if series is None else len(series.total)
    if times is not None:
        if len(times) != n:
            raise InputError(f"{counted(len(times), 'time')} for {counted(n, 'frame')}: give one for each.")
        time_step = step_of(list(times))
    if series is None:
        raise InputError("0 frames: a current is a rate of change, for which at least 3 are needed.")
    assert time_step is not None
    return series.result(time_step, time_unit)


def _settled(
    profile: Profile,
    x_b: float | None,
    eps: float | None,
    period: float | str | None,
    bulk: Sequence[float] | None,
    sampling: str | None,
) -> SurfaceCharge:
    """The first frame's surface charge, which says where all frames are cut; InputError if it has none."""
    try:
        found = surface_charge(profile, x_b=x_b, eps=eps, period=period, bulk=bulk, sampling=sampling)
    except AdvisedError as bulk_alone:
        raise InputError(
            f"Frame 0: {bulk_alone.reason}. The current of a bulk is not known from its density alone: give packets "
            "(packet_current) or occupied states (berry_phase), or a slab with vacuum."
        ) from None
    except InputError as error:
        raise InputError(f"Frame 0: {error}") from None
    if found.low is None or not found.low.defined:
        raise InputError(f"Frame 0 has no surface charge: {found.low.reason if found.low else ''}.")
    return found


class _Series:
    """What each frame gives, all cut as the first one is."""

    def __init__(self, profile: Profile, settled: SurfaceCharge) -> None:
        self.settled, self.first = settled, profile
        self.body: Body = find_body(profile, settled.sampling, settled.x_b)
        start = self.body.line.start
        self.roll = round((start + profile.spacing / 2 - float(profile.position[0])) / profile.spacing)
        self.period = None if settled.period is None else Period(settled.period)
        assert settled.bulk is not None
        self.bulk = settled.bulk
        if self.period is not None:
            self.places = spread_positions(settled.x_b, self.period.length, self.bulk)
        else:
            self.places = np.linspace(*self.bulk, 33)
        self.sigma: list[Array] = []  # of the leading estimate at x_b, then at each of the places
        self.high: list[float] = []
        self.kernel: list[float] = []
        self.total: list[float] = []
        self.dipole: list[float] = []
        self.gross = self.body.line.gross

    def add(self, profile: Profile, number: int) -> None:
        """One more frame."""
        same = len(profile.values) == len(self.first.values) and profile.planes == self.first.planes
        if not same or abs(profile.length - self.first.length) > SAME * self.first.length:
            raise InputError(
                f"Frame {number} has {len(profile.values)} planes over {profile.length:.8g} Å, frame 0 "
                f"{len(self.first.values)} over {self.first.length:.8g} Å: a series is on one grid."
            )
        values = np.roll(profile.values, -self.roll)
        highest = float(np.abs(values).max())
        if max(abs(values[0]), abs(values[-1])) > FACE_LEVEL * highest and self.settled.sampling != "cell":
            raise InputError(
                f"Frame {number}: the body has come to where the vacuum of frame 0 was cut, at "
                f"{self.body.line.start:.4g} Å. Enlarge the vacuum."
            )
        line = Unrolled(self.body.line.start, profile.spacing, values, self.settled.sampling)
        if self.total and abs(line.total - self.total[0]) > CONSTANT * self.gross:
            raise InputError(
                f"The charge of the body changes from {self.total[0]:.6g} {CHARGE} in frame 0 to {line.total:.6g} in "
                f"frame {number}: then charge comes from elsewhere, and -dσ_L/dt is not the current through the bulk."
            )
        reason = why_no_bulk(line, self.settled.x_b, self.period, self.bulk, None)
        if reason is not None:
            raise InputError(f"Frame {number}: {reason}. Give x_b, period or bulk.")
        at = np.concatenate([[self.settled.x_b], self.places])
        weights = line.values * line.spacing
        if self.period is not None:
            self.sigma.append(line.window_mean(at, self.period.length))
            self.high.append(float(line.mirrored().window_mean(-self.settled.x_b, self.period.length)))
        else:
            self.sigma.append(np.array([self.by_kernel(line, x, weights) for x in at]))
            upper = gaussian_tail(self.settled.x_b - line.position, self.settled.eps)
            self.high.append(float((weights * upper).sum()))
        self.kernel.append(self.by_kernel(line, self.settled.x_b, weights))
        self.total.append(line.total)
        self.dipole.append(float((weights * (line.position - self.settled.x_b)).sum()))

    def by_kernel(self, line: Unrolled, x: float, weights: Array) -> float:
        """σ_L by the kernel."""
        return float((weights * gaussian_tail(line.position - x, self.settled.eps)).sum())

    def result(self, time_step: float, time_unit: str) -> DensityCurrent:
        """What density_current returns."""
        sigma = np.array(self.sigma)
        rates = rates_of(sigma, time_step)
        n, x_b = len(sigma), self.settled.x_b
        rounding = self.body.line.rounding / time_step
        spread = rates.value[:, 1:].std(axis=1)
        uncertainty = np.sqrt(rates.uncertainty[:, 0] ** 2 + spread**2 + rounding**2)
        low, high = sigma[:, 0], np.array(self.high)
        length = self.body.thickness
        if self.period is not None:
            length = max(1, round(length / self.period.length)) * self.period.length
        dipole = np.array(self.dipole)
        kernel = np.array(self.kernel)
        total = float(np.mean(self.total))
        remarks = []
        if abs(total) > CONSTANT * self.gross:
            remarks.append(f"the body carries {total:.4g} {CHARGE}: its dipole is about x_b")
        scale = self.settled.scale_ratio
        return DensityCurrent(
            time=elapsed(n, time_step),
            J=-rates.value[:, 0],
            uncertainty=uncertainty,
            J_second=-rates.second[:, 0],
            J_fourth=-rates.fourth[:, 0],
            spread=spread,
            sigma_L_rate=rates.value[:, 0],
            sigma_L=low,
            sigma_R=high,
            sigma_L_period=low if self.period is not None else np.full(n, np.nan),
            sigma_L_kernel=kernel if _defined(self.settled) else np.full(n, np.nan),
            dipole=dipole,
            J_dipole=rates_of(dipole, time_step).value / length,
            transferred=low[0] - low,
            total=total,
            closure=float(np.abs(low + high - np.array(self.total)).max()),
            estimator=self.settled.estimator,
            x_b=x_b,
            bulk=self.bulk,
            period=self.settled.period,
            eps=self.settled.eps,
            length=length,
            unit=current_unit(time_unit),
            time_unit=time_unit,
            planes=self.first.planes,
            remarks=tuple(remarks),
            provenance=(
                *self.first.provenance,
                {
                    "step": "density current",
                    "frames": n,
                    "time_step": time_step,
                    "time_unit": time_unit,
                    "x_b": x_b,
                    "period": self.settled.period,
                    "scale_ratio": scale,
                    "sampling": self.settled.sampling,
                },
            ),
        )


def _defined(settled: SurfaceCharge) -> bool:
    """True if the kernel fits between the surfaces."""
    return settled.low_kernel is not None and settled.low_kernel.defined
