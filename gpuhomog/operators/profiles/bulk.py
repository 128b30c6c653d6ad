"""Bulk: the matter between two vacua, or on both sides of an interface, and the period it has there.

    faces     where |f| first and last exceeds 1 % of its maximum
    window    positions that x_b may have: 1.5 periods from the faces, half to average, one for the surface to end

A periodic profile is unrolled at the middle of its vacuum, so a body that lies across the boundary of the cell is
whole again; between two positions, it is cut opposite their middle.

In   Profile, host; a period as the user gives it: a length in Å, "auto", or None.
Out  Body, Period, Unrolled: host arrays and numbers, equal on every rank.

>>> import gpuhomog as gh
>>> block = np.zeros(100)
>>> block[:10] = block[90:] = 1.0                                   # from 90 to 10, through the boundary of the cell
>>> body = find_body(gh.Profile(np.arange(100.0), block, "e/Å^3", "charge_density", 100.0), "cell")
>>> round(body.low, 2), round(body.high, 2), body.line.place(5.0)
(89.01, 109.99, 105.0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, isfinite, nan, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import AdvisedError, InputError
from ...grid import OPEN
from ...results import Profile
from .periods import find_periods, over_normal
from .unrolled import BANDLIMITED, Unrolled, quiet_runs, unroll

Array = NDArray[np.float64]

FACE_LEVEL = 0.01
"""The body ends where |f| falls below this fraction of its maximum."""
LEAST_VACUUM = 0.08
"""A gap, or a stretch where a potential is straight, shorter than this fraction of the period is no vacuum."""
VACUUM_LEAD = 1.5
"""The vacuum must be this many times longer than any gap inside the body."""
LONGEST_STRETCH = 2048
"""Samples in the middle of a bulk among which its period is looked for."""
PERIODS_TO_FACE = 1.5
"""Periods between a face and the nearest x_b: half for the averaging window, one for the surface to end."""
N_SPREAD = 65
"""Positions of x_b over which the spread is taken."""
PERIODS_AROUND = 3.0
"""Periods on either side over which the scatter of means over one period is taken, where the bulk has as many."""
BY_CHANCE = 0.002
"""How often layers farther than a period may be taken for those of a surface."""
LARGEST_OF_RIPPLE = sqrt(2.0)
"""Largest value of a ripple over its standard deviation."""


@dataclass(frozen=True, eq=False)
class Body:
    """Matter between two vacua, on its line.

    line  the field from vacuum to vacuum
    low   where matter begins [Å]
    high  where it ends [Å], above `low` (beyond the period if the body crosses the boundary of the cell)
    """

    line: Unrolled
    low: float
    high: float

    @property
    def thickness(self) -> float:
        """High - low [Å]."""
        return self.high - self.low


@dataclass(frozen=True)
class Period:
    """Period of a bulk and its standard uncertainty [Å]."""

    length: float
    uncertainty: float = 0.0


def find_body(profile: Profile, sampling: str, inside: float | None = None) -> Body:
    """Lay a profile out from vacuum to vacuum and find where its matter begins and ends.

    inside  a position known to lie in the matter: the gap that holds it is not the vacuum

    Raises InputError if the profile is zero, if a periodic profile has no vacuum or two gaps that could be it, if the
    only vacuum holds `inside`, and if a bandlimited profile is not small at the ends of an open axis.
    """
    magnitude = np.abs(profile.values)
    level = FACE_LEVEL * magnitude.max()
    if level == 0:
        raise InputError("The profile is zero everywhere: there is no matter in it, hence no surface.")
    n, h, first = len(magnitude), profile.spacing, 0
    if profile.boundary == OPEN:
        if sampling == BANDLIMITED and max(magnitude[0], magnitude[-1]) > level:
            where = "lower" if magnitude[0] > level else "upper"
            raise InputError(
                f"Charge crosses the {where} open boundary of axis {profile.planes}: |ρ| there is "
                f"{max(magnitude[0], magnitude[-1]) / magnitude.max():.1%} of its maximum. Add vacuum to the box, read "
                'the field as periodic, or say sampling="cell" if it ends sharply on the box.'
            )
    else:
        gaps = runs = quiet_runs(magnitude <= level, periodic=True)
        if inside is not None:
            here = int(np.floor((inside - profile.position[0]) / h + 0.5)) % n
            runs = [run for run in gaps if (here - run[0]) % n >= run[1]]
        lengths = sorted((run[1] for run in runs), reverse=True)
        least = max(5, LEAST_VACUUM * n)
        if not lengths or lengths[0] < least:
            widest = max((run[1] for run in gaps), default=0)
            if widest >= least:
                raise InputError(
                    f"x_b = {inside:.6g} Å lies in the vacuum along {profile.planes}, {widest * h:.4g} Å without "
                    "charge: choose it inside the slab."
                )
            raise AdvisedError(
                f"No vacuum along {profile.planes}: the charge exceeds 1 % of its maximum all over the period of "
                f"{profile.length:.6g} Å, so this is a bulk and has no surface",
                "Use interface_charge between two positions, or a cell with vacuum.",
            )
        if len(lengths) > 1 and lengths[0] < VACUUM_LEAD * lengths[1]:
            raise InputError(
                f"The vacuum along {profile.planes} cannot be told from the gaps inside the matter: the longest empty "
                f"gaps are {lengths[0] * h:.4g} and {lengths[1] * h:.4g} Å. Enlarge the vacuum, or give x_b, a "
                "position inside the matter."
            )
        longest, length = max(runs, key=lambda run: run[1])
        first = (longest + length // 2) % n
    line = unroll(profile, first, sampling)
    low, high = _faces(line, level)
    if profile.boundary != OPEN:
        turns = np.floor((low - (profile.position[0] - h / 2)) / profile.length)
        shift = float(profile.length * turns)
        line = replace(line, start=line.start - shift)
        low, high = low - shift, high - shift
    return Body(line, low, high)


def _faces(line: Unrolled, level: float) -> tuple[float, float]:
    """Where |f| first and last passes the level: linear between samples, the end of the line if it begins above."""
    magnitude = np.abs(line.values)
    above = np.flatnonzero(magnitude > level)
    ends = []
    for index, outward, limit in ((above[0], -1, line.start), (above[-1], 1, line.end)):
        beyond = index + outward
        if not 0 <= beyond < len(magnitude):
            ends.append(limit)
            continue
        fraction = (magnitude[index] - level) / (magnitude[index] - magnitude[beyond])
        ends.append(float(line.position[index] + outward * fraction * line.spacing))
    return ends[0], ends[1]


def period_between(line: Unrolled, low: float, high: float) -> Period | None:
    """Period of the stretch of a line between two positions, or None if it has none; its middle is looked at."""
    inside = np.flatnonzero((line.position >= low) & (line.position <= high))
    if len(inside) < 16:
        return None
    spare = max(0, len(inside) - LONGEST_STRETCH) // 2
    inside = inside[spare : len(inside) - spare]
    length = float(len(inside) * line.spacing)
    stretch = Profile(line.position[inside], line.values[inside], None, "scalar", length, boundary=OPEN)
    found = find_periods(stretch, most=1)[0]
    if found.value is None:
        return None
    return Period(found.value, found.uncertainty or 0.0)


def check_period(period: Any) -> Period:
    """A period that the user gave, taken as exact; InputError unless it is a positive length."""
    try:
        length = float(period)
    except (TypeError, ValueError):
        length = nan
    if not (isfinite(length) and length > 0):
        raise InputError(f"period = {period!r}: give a positive length in Å.")
    return Period(length)


GivenPeriod = float | Sequence[float] | str | None


def resolve_period(period: GivenPeriod, line: Unrolled, low: float, high: float) -> Period | None:
    """The period as given, or found on the line between two positions, or None; InputError for what is none."""
    if period is None:
        return None
    if isinstance(period, str):
        if period != "auto":
            raise InputError(f'period = "{period}": give a length in Å, "auto", or None for a bulk without a period.')
        return period_between(line, low, high)
    if isinstance(period, Sequence | np.ndarray):
        if len(period) != 1:
            raise InputError(f"period = {tuple(period)}: a slab has one bulk, give one length in Å.")
        return check_period(period[0])
    return check_period(period)


def windows_around(line: Unrolled, x: tuple[float, float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The stretches taken for the bulks around x_1 and x_2: 80 % of the way to the middle between them."""
    reach = 0.4 * (x[1] - x[0])
    low, high = ((max(c - reach, line.start), min(c + reach, line.end)) for c in x)
    return low, high


def resolve_periods(
    periods: Sequence[float | None] | float | str | None, line: Unrolled, x: tuple[float, float]
) -> tuple[Period | None, Period | None]:
    """Periods of the bulks around x_1 and x_2: as given, one for both or two, or each found around its position.

    Raises InputError for more than two, and as resolve_period.
    """
    several = isinstance(periods, Sequence | np.ndarray) and not isinstance(periods, str)
    pair = list(periods) if several else [periods, periods]  # type: ignore[arg-type]
    if len(pair) != 2:
        raise InputError(f"period = {tuple(pair)}: give one length in Å, or two, for the bulk below and above.")
    low, high = (
        resolve_period(p, line, *window)  # type: ignore[arg-type]
        for p, window in zip(pair, windows_around(line, x), strict=True)
    )
    return low, high


def spread_positions(x: float, reach: float, window: tuple[float, float]) -> Array:
    """Positions within `reach` of x that lie in the window; x alone if the window has no width."""
    low, high = max(x - reach, window[0]), min(x + reach, window[1])
    return np.linspace(low, high, N_SPREAD) if high > low else np.array([x])


@dataclass(frozen=True)
class Scatter:
    """How means over one period differ from position to position.

    spread   their standard deviation, about their mean or a line
    shown    part of the variance of such means that this shows, at so few positions
    freedom  its degrees of freedom
    slope, slope_error  of the line; 0 about the mean
    """

    spread: float
    shown: float = 1.0
    freedom: float = 1.0
    slope: float = 0.0
    slope_error: float = 0.0

    @property
    def uncertainty(self) -> float:
        """Standard uncertainty of one of the means: 95 % lie within two, by Student's t."""
        return self.spread * max(over_normal(self.freedom) / sqrt(self.shown), LARGEST_OF_RIPPLE)

    def is_more_than(self, other: Scatter) -> bool:
        """True if the variance is larger than the other one by more than chance, Fisher's F."""
        from scipy.special import fdtri

        limit = float(fdtri(self.freedom, other.freedom, 1 - BY_CHANCE))
        return self.spread**2 / self.shown > limit * other.spread**2 / other.shown


def scatter_around(
    means: Callable[[Array], Array], x: float, period: float, window: tuple[float, float], degree: int = 0
) -> list[Scatter]:
    """Scatter of each kind of means over one period, at positions of a window within three periods of x.

    Those farther than a period from x keep another period from the ends of the window.

        f = tr(PK)/n,   ν = tr(PK)²/tr(PKPK),   K_ij = max(0, 1 - |x_i - x_j|/period)

    Means differ as layers do, and those a period apart are independent: K are their correlations, P takes off mean or
    line, f of their variance is left, of ν degrees of freedom (Satterthwaite). Where those farther than a period differ
    by more than chance from those nearer, they are of a surface, and do not count.

    means   of positions (n,): (n, k)
    degree  0: scatter about the mean; 1: about a straight line

    >>> layers = lambda x: np.cos(7 * x)[:, None]
    >>> [round(scatter_around(layers, 0.0, 1.0, (-n, n))[0].uncertainty, 2) for n in (0.5, 2, 4)]
    [2.3, 1.48, 0.99]
    """
    near = max(x - period, window[0]), min(x + period, window[1])
    far = max(x - PERIODS_AROUND * period, window[0] + period), min(x + PERIODS_AROUND * period, window[1] - period)
    nearer, farther = (
        _scatters(means, spread_positions(x, PERIODS_AROUND * period, ends), period, degree)
        for ends in (near, (min(near[0], far[0]), max(near[1], far[1])))
    )
    return [near if far.is_more_than(near) else far for near, far in zip(nearer, farther, strict=True)]


def kernel_over_window(eps: float, period: float) -> float:
    """Standard deviation of means by a Gaussian kernel over that of means over one period, as layers differ.

        sqrt((3/2) ∫ (1 - |t|) N(t; τ) dt),   t from -1 to 1,   τ = eps/(√2 period)

    Layers that are each off by a number of their own are correlated as 1 - |t|, t their distance in periods. Means over
    a period have 2/3 of their variance, as windows lie across two; of two kernels the correlation is N, a Gaussian.

    >>> [round(kernel_over_window(eps, 2.0), 3) for eps in (0.01, 2.0, 20.0)]
    [1.223, 0.854, 0.291]
    """
    from scipy.special import erf  # slow to import

    tau = eps / (sqrt(2) * period)
    at_ends = exp(-1 / (2 * tau**2))
    return sqrt(1.5 * (float(erf(1 / (sqrt(2) * tau))) - tau * sqrt(2 / pi) * (1 - at_ends)))


def _scatters(means: Callable[[Array], Array], x: Array, period: float, degree: int) -> list[Scatter]:
    """Scatter of each kind at positions x."""
    values = means(x)
    if len(x) == 1:
        return [Scatter(0.0)] * values.shape[1]
    correlation = np.maximum(0.0, 1 - np.abs(x[:, None] - x) / period)
    basis, _ = np.linalg.qr(np.vander((x - x.mean()) / float(np.ptp(x)), degree + 1))
    left = correlation - basis @ (basis.T @ correlation)
    trace = float(np.trace(left))
    shown, freedom = trace / len(x), trace**2 / float((left * left.T).sum())
    if degree == 0:
        return [Scatter(float(spread), shown, freedom) for spread in values.std(axis=0)]
    lines = [fitted_line(x, column) for column in values.T]
    return [Scatter(spread, shown, freedom, slope, error) for slope, error, spread in lines]


def fitted_line(x: Array, y: Array) -> tuple[float, float, float]:
    """Slope of the least squares line, its error, and the scatter about it; near points are not independent: no √n."""
    if len(x) == 1:
        return 0.0, 0.0, 0.0
    t = x - x.mean()
    slope = float((t * y).mean() / (t**2).mean())
    scatter = float(np.std(y - slope * t))
    return slope, scatter / float(np.sqrt((t**2).mean())), scatter


def between_two(profile: Profile, between: Sequence[float], sampling: str) -> tuple[Unrolled, tuple[float, float]]:
    """A line with x_1 and x_2 on it, x_1 below x_2; a periodic one is cut opposite the middle between them.

    Raises InputError unless `between` holds two different finite positions on the axis.
    """
    h, length = profile.spacing, profile.length
    start = float(profile.position[0] - h / 2)
    if len(between) != 2 or not all(isfinite(x) for x in between):
        raise InputError(f"between = {tuple(between)}: give two positions in Å, one in each bulk.")
    low, high = (float(x) for x in between)
    if profile.boundary == OPEN:
        if not start <= low < high <= start + length:
            raise InputError(
                f"between = ({low:.6g}, {high:.6g}) Å: on the open axis from {start:.4g} to {start + length:.4g} Å "
                "give x_1 below x_2."
            )
        return unroll(profile, 0, sampling), (low, high)
    for x in (low, high):
        if not start - length <= x < start + 2 * length:
            raise InputError(
                f"between = ({low:.6g}, {high:.6g}) Å: {x:.6g} Å is further than a period from the cell, which goes "
                f"from {start:.4g} to {start + length:.4g} Å; correct it."
            )
    low = start + (low - start) % length
    high = low + (high - low) % length
    if min(high - low, length - (high - low)) < 4 * h:
        raise InputError(
            f"between = {tuple(between)} Å: the two positions coincide within the period of {length:.6g} Å; give one "
            "in each bulk."
        )
    first = round(((low + high) / 2 - length / 2 - start) / h)
    return unroll(profile, first, sampling), (low, high)
