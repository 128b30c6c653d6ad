"""Interval-valued macroscopic field: the range of averages that positions eps_x apart cannot tell from one another.

    V(x) = { <ν>(x') : |x' - x| ≤ eps_x/2 } = [lo, hi]              eq. 21; V' likewise, eq. 25
    eps_V = hi - lo,  eps_p the width for V';  midpoint (lo + hi)/2;  mean over the coincidence set |x' - x| < eps_x/2
    eps_V(eps_x) = |V'| eps_x                                       self-consistent eps_x, Physical Assumption 7
    A_a(x) = inf, sup of (1/η) ∫_{-η/2}^{η/2} ν(x + u) du over 0 < η < a           eq. 24; η → 0 gives ν(x)
    B(x) = (max of inf A_a, min of sup A_a) over the coincidence set: what every x' of it can have as an average
    V(x) inside B(x)                                                Physical Assumption 8: yes, no, or undecided

Without the slope removed eps_V ≥ |V'| eps_x always, and no eps_x is consistent: so eps_V is given twice, raw, and about
the line fitted to <ν> in each window. A perfect crystal with an odd centre fails Assumption 8 there, for all averages
about it are equal: an interval counts as empty unless it is wider than rounding.

Assumption 8 is decided on nodes h apart, with bounds for what lies between them, m = max|ν|, s = max|ν'|:
    yes   max_x' min_η (v + t) < lo - dV,  mirrored for hi,      t = min(s h/2, m h/η),  dV = m h/eps_x
    no    max_x' min_η (v - t) > lo,  or mirrored,               t = min(s h, 2 m h/η), with ν(x') - s h for η < 2h
h is halved until it is decided, at most four times. Windows end at the ends of an open profile.

In   Profile, any unit; or a Field, whose averages are taken on a coarse grid (ranges along a, b, c and in the ball).
Out  IntervalField, FieldIntervals, Assumption8; intervals as (low, high), None where empty.

>>> import gpuhomog as gh
>>> x = np.arange(1600) * 0.0625
>>> wave = gh.Profile(x, np.sin(2 * np.pi * x / 100) + np.cos(2 * np.pi * x), "V", "electrostatic_potential", 100.0)
>>> found = interval_field(wave, 2.0)                     # simple averages over two periods: the slow wave alone
>>> bool(np.allclose(found.eps_V[0], 2 * np.sin(2 * np.pi / 100), rtol=1e-3)), bool(found.detrended.max() < 2e-3)
(True, True)
>>> tuple(round(v, 6) for v in attainable(wave, 0.0, 2.0))
(-0.217234, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, exp, isfinite, log, sqrt
from typing import Any, ClassVar

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from ...averaging_kernels import AveragingKernel, Ball, Box
from ...device import choose_device
from ...errors import InputError, check_word
from ...field import Field
from ...grid import OPEN, Grid
from ...parallel import Serial, Slab, fetch_planes
from ...results import Measurement, Profile, Result, Tables, unit_after
from ..averages.average import average
from ..profiles.between_points import resampled

Array = NDArray[np.float64]

LEAST_WIDTH = 0.1
"""Smallest distance or width that is looked at, over that of the samples."""
POINTS_PER_WAVE = 48
"""Positions in a window for the shortest wavelength of what is looked at; extrema are then refined by parabolas."""
FEWEST_POINTS = 65
WIDTHS_PER_WAVE = 128
"""Widths η of averages for the shortest wavelength."""
NEGLIGIBLE = 1e-7
"""Amplitude of modes, over the largest, that need not be resolved."""
GRID_PER_EPS = 8
"""Points of the macroscopic grid for each eps_x."""
EMPTY = 1e-9
"""Width over max|ν| up to which an interval is a point."""
BALL_PER_EPS = 10
"""The same in three dimensions, where a window holds 500 points then; and 260 where eps_x is sought."""
SOUGHT_PER_EPS = 8
SAMPLED_POINTS = 2048
"""Points of a grid, at most, over which the median of detrended widths is taken."""
SPHERE_POINTS = 256
"""Places on the sphere of a ball at which cubics are looked at."""
CHUNK = 1 << 21
"""Values at once."""
HALVINGS = 4
ZOOMS = 5
"""Each to an eighth of the step."""
SAMPLE = 128
"""Positions whose median is eps_V where eps_x is sought."""
ROOT = 1e-3
"""Relative precision of a self-consistent eps_x, of a profile; of a field, whose averages lie on grids:"""
FIELD_ROOT = 2e-2
WINDOWS = ("a", "b", "c", "ball")

YES, NO, UNDECIDED = "yes", "no", "undecided"


class Line:
    """A profile as a function: values, slopes and integral at any position, by a spline of degree 7.

    A periodic profile is interpolated as band limited first, to 16 points for its shortest wave, and then repeats.
    """

    def __init__(self, profile: Profile) -> None:
        self.periodic = profile.boundary != OPEN
        n = len(profile.values)
        spectrum = np.abs(np.fft.rfft(profile.values * (1.0 if self.periodic else np.hanning(n + 2)[1:-1])))
        spectrum[0] = 0.0
        kept = np.flatnonzero(spectrum > NEGLIGIBLE * max(float(spectrum.max()), 1e-300))
        self.shortest = profile.length / max(1, int(kept[-1]) if len(kept) else 1)
        finer = max(1, ceil(16 * profile.spacing / self.shortest))
        x, values = resampled(profile, finer * n) if self.periodic else (profile.position, profile.values)
        self.start, self.length = float(x[0]), profile.length
        self.end = self.start + profile.length if self.periodic else float(x[-1])
        if self.periodic:
            margin, step = 16, profile.length / len(x)
            values = np.concatenate([values[-margin:], values, values[: margin + 1]])
            x = np.asarray(self.start + step * np.arange(-margin, len(values) - margin), dtype=np.float64)
        degree = min(7, len(x) - 1)
        self._spline = scipy.interpolate.make_interp_spline(x, values, k=degree - (degree + 1) % 2)
        self._slope = self._spline.derivative()
        self._integral = self._spline.antiderivative()
        self._whole = float(self._integral(self.end) - self._integral(self.start)) if self.periodic else 0.0
        self.largest = float(np.abs(values).max())
        self.steepest = float(np.abs(self._slope(x)).max())

    def _folded(self, x: Array) -> tuple[Array, Array]:
        turns = np.floor((x - self.start) / self.length) if self.periodic else np.zeros_like(x)
        return x - turns * self.length, turns

    def values(self, x: Array) -> Array:
        return np.asarray(self._spline(self._folded(x)[0]), dtype=np.float64)

    def slopes(self, x: Array) -> Array:
        return np.asarray(self._slope(self._folded(x)[0]), dtype=np.float64)

    def integral(self, x: Array) -> Array:
        folded, turns = self._folded(x)
        return np.asarray(self._integral(folded) + turns * self._whole, dtype=np.float64)

    def window(self, x: Array, width: float, least: int = FEWEST_POINTS, per_wave: int = POINTS_PER_WAVE) -> Array:
        """(len(x), m) equally spaced positions within a width about each x, ended by an open profile's ends."""
        m = 2 * (max(least, ceil(per_wave * width / self.shortest)) // 2) + 1
        low, high = x - width / 2, x + width / 2
        if not self.periodic:
            low, high = np.maximum(low, self.start), np.minimum(high, self.end)
        return np.asarray(low[:, None] + (high - low)[:, None] * np.linspace(0, 1, m), dtype=np.float64)


def range_of(values: Array) -> tuple[Array, Array]:
    """Smallest and largest of each row of equally spaced values, by parabolas between them.

    >>> x = np.linspace(0.05, 2.0, 40)[None, :]
    >>> low, high = range_of(np.sin(np.pi * x))
    >>> bool(abs(low[0] + 1) < 1e-4 and abs(high[0] - 1) < 1e-4)
    True
    """
    before, at, after = values[:, :-2], values[:, 1:-1], values[:, 2:]
    bend = after - 2 * at + before
    turning = (at - before) * (after - at) < 0
    for end in (0, -1):  # an extremum may lie between an end and the next value
        turning[:, end] = np.abs(after[:, end] - before[:, end]) < 2 * np.abs(bend[:, end])
    vertex = at - np.where(turning, (after - before) ** 2 / (8 * np.where(turning, bend, 1.0)), 0.0)
    low, high = values.min(axis=1), values.max(axis=1)
    if vertex.shape[1]:
        low, high = np.minimum(low, vertex.min(axis=1)), np.maximum(high, vertex.max(axis=1))
    return low, high


@dataclass(frozen=True, eq=False)
class IntervalField(Result):
    """The interval-valued average of a profile on a macroscopic grid.

    position    (n,) of the macroscopic grid [Å]
    low, high   (n,) ends of V(x) [unit]
    midpoint    (n,) (low + high)/2
    mean        (n,) of the average over the coincidence set
    eps_V       (n,) high - low
    detrended   (n,) eps_V about the line fitted to the average in the window
    slope       (n,) of that line [unit/Å]
    eps_p       (n,) width of the interval of V' [unit/Å]
    eps_x       distance below which positions coincide, and width of the window [Å]
    kernel      what was averaged with
    consistent  eps_x that is consistent with the slope, by self_consistent_eps; or why there is none
    unit, quantity, planes, length, boundary  of the profile
    """

    position: Array
    low: Array
    high: Array
    midpoint: Array
    mean: Array
    eps_V: Array
    detrended: Array
    slope: Array
    eps_p: Array
    eps_x: float
    kernel: Mapping[str, Any]
    consistent: Measurement
    unit: str | None
    quantity: str
    planes: str
    length: float
    boundary: str
    provenance: tuple[Mapping[str, Any], ...] = ()
    columns: ClassVar[tuple[str, ...]] = (
        "position",
        "low",
        "high",
        "midpoint",
        "mean",
        "eps_V",
        "detrended",
        "slope",
        "eps_p",
    )

    def coincident(self, x: float) -> NDArray[np.intp]:
        """Indices of all grid positions x' with |x' - x| < eps_x/2. Not transitive: no partition into classes."""
        distance = np.abs(self.position - x)
        if self.boundary != OPEN:
            distance = np.minimum(distance % self.length, -distance % self.length)
        return np.flatnonzero(distance < self.eps_x / 2)

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        unit = unit_after(self.unit)

        def spread(values: Array, more: str = "") -> str:
            return f"{np.median(values):.4g} ({values.min():.4g} to {values.max():.4g}){unit}{more}"

        name = self.kernel["kernel"]
        found = (
            ("eps_x", f"{self.eps_x:.6g} Å, averages with a {name}"),
            ("macroscopic grid", f"{len(self.position)} points normal to planes {self.planes}"),
            ("V, median (range)", spread(self.midpoint)),
            ("eps_V", spread(self.eps_V)),
            ("eps_V less the slope", spread(self.detrended)),
            ("slope V'", spread(self.slope, "/Å")),
            ("eps_p", spread(self.eps_p, "/Å")),
            ("self-consistent eps_x", str(self.consistent)),
        )
        return (("Macroscopic field as an interval", found),)


def kernel_and_width(kernel: AveragingKernel | float, eps_x: float | None) -> tuple[AveragingKernel, float]:
    """A number is the full width of a simple average (eq. 20). InputError for an eps_x that is not positive."""
    averaging = kernel if isinstance(kernel, AveragingKernel) else Box(kernel)
    width = eps_x if eps_x is not None else averaging.full_width if isinstance(averaging, Box) else averaging.eps
    if isinstance(width, bool) or not isfinite(width) or width <= 0:
        raise InputError(f"eps_x = {eps_x}: give a positive distance in Å.")
    return averaging, float(width)


def _check_long(profile: Profile, width: float, what: str = "eps_x") -> None:
    if 0 < width < profile.spacing * LEAST_WIDTH:
        raise InputError(
            f"{what} = {width:g} Å is below a tenth of the distance of the samples, {profile.spacing:.4g} Å, where "
            "nothing is known: give a larger one."
        )
    if not 0 < width <= profile.length:
        raise InputError(
            f"{what} = {width:g} Å: give a positive one (of eps_x: the width of the average unless it is given), not "
            f"longer than the profile of {profile.length:g} Å, beyond which nothing macroscopic is left."
        )


def interval_field(
    profile: Profile,
    kernel: AveragingKernel | float,
    *,
    eps_x: float | None = None,
    spacing: float | None = None,
    outside: float = 0.0,
    sampling: str | None = None,
) -> IntervalField:
    """V(x) and V'(x) as intervals on a macroscopic grid, eqs. 21 and 25.

    profile   Profile
    kernel    averaging kernel; a number is the full width of a simple average, eq. 20 [Å]
    eps_x     distance below which positions coincide [Å]; by default the width of a box, the eps of other kernels
    spacing   of the macroscopic grid, at most [Å]; eps_x/8 by default
    outside, sampling  as in average

    Intervals are found to about 1e-6 of the variation of the average. Raises InputError for an eps_x or spacing that is
    not positive or longer than the profile, and what average raises.
    """
    averaging, width = kernel_and_width(kernel, eps_x)
    _check_long(profile, width)
    step = width / GRID_PER_EPS if spacing is None else float(spacing)
    if spacing is not None:
        _check_long(profile, step, "spacing")
    smooth = average(profile, averaging, outside=outside, sampling=sampling)
    line = Line(smooth)
    n = max(2, ceil((line.end - line.start) / step * (1 - 1e-12)))
    count = n if line.periodic else n + 1
    position = np.asarray(line.start + (line.end - line.start) / n * np.arange(count), dtype=np.float64)
    columns = _intervals(line, position, width)
    slopes = columns["slope"]
    typical = float(np.median(np.abs(slopes)))
    step_done = {
        "step": "interval field",
        "eps_x": width,
        "kernel": averaging.describe(),
        "positions": len(position),
    }
    return IntervalField(
        position=position,
        **columns,
        eps_x=width,
        kernel=averaging.describe(),
        consistent=_consistent(profile, typical, outside, sampling),
        unit=profile.unit,
        quantity=profile.quantity,
        planes=profile.planes,
        length=profile.length,
        boundary=profile.boundary,
        provenance=(*profile.provenance, step_done),
    )


def _intervals(line: Line, position: Array, width: float) -> dict[str, Array]:
    """The columns of an IntervalField, some positions at a time."""
    parts: list[tuple[Array, ...]] = []
    m = line.window(position[:1], width).shape[1]
    for start in range(0, len(position), max(1, CHUNK // m)):
        places = line.window(position[start : start + max(1, CHUNK // m)], width)
        values = line.values(places)
        low, high = range_of(values)
        mean = scipy.integrate.simpson(values, dx=1 / (m - 1), axis=1)
        extent = places[:, -1] - places[:, 0]
        flat, rise = _less_line(values)
        flat_low, flat_high = range_of(flat)
        p_low, p_high = range_of(line.slopes(places))
        parts.append(
            (low, high, (low + high) / 2, mean, high - low, flat_high - flat_low, rise / extent, p_high - p_low)
        )
    names = ("low", "high", "midpoint", "mean", "eps_V", "detrended", "slope", "eps_p")
    return {name: np.concatenate(column) for name, column in zip(names, zip(*parts, strict=True), strict=True)}


def median_widths(line: Line, position: Array, width: float, slope: float = 0.0) -> tuple[float, float]:
    """Median over some positions of the widths of V, less a slope that is the same everywhere, and of V'."""
    places = line.window(position[:: max(1, len(position) // SAMPLE)], width, per_wave=8)
    low, high = range_of(line.values(places) - slope * (places - places[:, :1]))
    p_low, p_high = range_of(line.slopes(places))
    return float(np.median(high - low)), float(np.median(p_high - p_low))


def _less_line(values: Array) -> tuple[Array, Array]:
    """Each row less the line fitted to it, in between too, and by how much that line rises over the row."""
    offset = np.linspace(-0.5, 0.5, values.shape[1])
    rise = 12 * scipy.integrate.simpson(values * offset, dx=1 / (len(offset) - 1), axis=1)  # ∫ offset² is 1/12
    return values - rise[:, None] * offset, rise


def self_consistent_eps(
    profile: Profile | Field,
    slope: float | None = None,
    *,
    window: str = "ball",
    outside: float = 0.0,
    sampling: str | None = None,
) -> float:
    """The eps_x at which eps_V, less the slope, is |V'| eps_x [Å]: Physical Assumption 7.

    profile  Profile, or Field
    slope    V' [unit/Å]; by default that of the line fitted to an open profile
    window   of a Field: "ball", or segments along "a", "b" or "c"
    others   as in interval_field

    eps_V(eps_x) is the median over the profile for simple averages of full width eps_x; of a Field for averages over
    balls of that diameter, as field_intervals has it. Found as a root: the larger eps_x is, the smaller is eps_V and
    the larger |V'| eps_x. Raises InputError without a slope, and where eps_x would be below two samples or longer than
    a quarter of the profile, or of the cell's shortest side.
    """
    check_word("window", window, WINDOWS)
    if isinstance(profile, Field):
        if slope is None or not (isfinite(slope) and slope != 0):
            raise InputError("No slope: eps_x undetermined. A field has none of its own, give slope=….")
        found = _consistent_in_field(profile, abs(slope), WINDOWS.index(window), outside, sampling)
        if found.value is None:
            raise InputError(f"No self-consistent eps_x: {found.reason}.")
        return found.value
    if slope is None:
        if profile.boundary != OPEN:
            raise InputError("No slope: eps_x undetermined. A periodic profile has none of its own, give slope=….")
        slope = float(np.polynomial.Polynomial.fit(profile.position, profile.values, 1).convert().coef[1])
    if not isfinite(slope) or abs(slope) * profile.length <= 1e-9 * float(np.abs(profile.values).max()):
        raise InputError(f"No slope: eps_x undetermined (V' = {slope:.3g} per Å).")
    found = _consistent(profile, abs(slope), outside, sampling)
    if found.value is None:
        raise InputError(f"No self-consistent eps_x: {found.reason}.")
    return found.value


def _consistent(profile: Profile, slope: float, outside: float, sampling: str | None) -> Measurement:
    """Root of eps_V(eps_x) = slope eps_x, or why there is none."""
    if slope * profile.length <= 1e-9 * float(np.abs(profile.values).max()):
        return Measurement.not_defined("Å", "no slope: eps_x undetermined")

    def excess(width: float) -> float:
        """Of eps_V over the slope's share."""
        line = Line(average(profile, Box(width), outside=outside, sampling=sampling))
        inside = (line.start, line.end) if line.periodic else (line.start + width, line.end - width)
        position = np.linspace(*inside, SAMPLE + 1)[:-1]
        low, high = range_of(_less_line(line.values(line.window(position, width, per_wave=8)))[0])
        return float(np.median(high - low)) - slope * width

    return _root(excess, 2 * profile.spacing, profile.length / 4, ROOT, "the profile")


def _root(excess: Callable[[float], float], low: float, high: float, precision: float, what: str) -> Measurement:
    """Where the fluctuation no longer exceeds the slope, between two widths, or why nowhere."""
    if low >= high:
        return Measurement.not_defined("Å", f"{what} is too short")
    if excess(low) <= 0:
        return Measurement.not_defined("Å", "two samples apart the slope exceeds all fluctuation already")
    if excess(high) >= 0:
        return Measurement.not_defined("Å", f"fluctuation exceeds the slope over a quarter of {what} still")
    root = scipy.optimize.brentq(lambda power: excess(exp(power)), log(low), log(high), xtol=precision, rtol=precision)
    return Measurement(exp(root), "Å", 2 * precision * exp(root))


def _consistent_in_field(field: Field, slope: float, window: int, outside: float, sampling: str | None) -> Measurement:
    """The same for averages over balls, ranges over one kind of window."""

    def excess(width: float) -> float:
        kernel, spacing = Ball(width / sqrt(5)), _coarse(field, width / SOUGHT_PER_EPS)
        found = field_intervals(field, kernel, eps_x=width, spacing=spacing, outside=outside, sampling=sampling)
        return found.detrended[window] - slope * width

    sides = [(float(v), float(v) / n) for v, n in zip(field.grid.lengths, field.grid.shape, strict=True) if n > 1]
    if not sides:
        return Measurement.not_defined("Å", "the field is one point")
    low, high = 2 * max(step for _, step in sides), min(length for length, _ in sides) / 4
    return _root(excess, low, high, FIELD_ROOT, "the cell's shortest side")


def attainable(profile: Profile, x: float, a: float) -> tuple[float, float] | None:
    """A_a(x): infimum and supremum of the simple averages about x of widths up to a, eq. 24; None if it is empty.

    profile  Profile; an open one must reach a/2 beyond x on both sides
    x, a     position and largest width [Å]

    Empty is what is no wider than rounding, as at an odd centre. Raises InputError for an a that is not positive or
    longer than the profile, or reaches beyond an open one.
    """
    line = _line(profile, x, 0.0, a)
    low, high = _averages(line, np.array([float(x)]), a)
    return _open_interval(line, float(low[0]), float(high[0]))


def attainable_throughout(profile: Profile, x: float, a: float, eps_x: float) -> tuple[float, float] | None:
    """B(x): the averages of widths up to a that every position of the coincidence set of x has; None if it is empty.

    eps_x  distance below which positions coincide [Å]; others and errors as in `attainable`
    """
    _check_long(profile, eps_x)
    line = _line(profile, x, eps_x, a)
    n = max(16, ceil(8 * eps_x / line.shortest))
    step = eps_x / 2 / n
    node, cumulative, most = _nodes(line, float(x), step, n, a)
    low = high = line.values(node)
    for j in range(1, most + 1):
        mean = _centred(cumulative, most, j, len(node)) / (2 * j * step)
        low, high = np.minimum(low, mean), np.maximum(high, mean)
    ends = [float(low.max()), float(high.min())]
    for which, at in enumerate((node[low.argmax()], node[high.argmin()])):  # these may be kinks: closer and closer
        closer = step
        for _ in range(ZOOMS):
            nearby = np.clip(at + closer * np.linspace(-1, 1, 17), node[0], node[-1])
            low, high = _averages(line, nearby, a)
            best = low.argmax() if which == 0 else high.argmin()
            ends[which] = float(low[best] if which == 0 else high[best])
            at, closer = nearby[best], closer / 8
    return _open_interval(line, *ends)


def _nodes(line: Line, x: float, h: float, n: int, a: float) -> tuple[Array, Array, int]:
    """Nodes x + i h, |i| ≤ n; the integral up to them and to those beyond that widths 2 j h < a need; the largest j."""
    most = max(1, ceil(a / (2 * h) * (1 - 1e-12)) - 1)
    places = np.asarray(x + h * np.arange(-n - most, n + most + 1), dtype=np.float64)
    return places[most : most + 2 * n + 1], line.integral(places), most


def _centred(cumulative: Array, most: int, j: int, size: int) -> Array:
    """Integral over the width 2 j h about each node."""
    return cumulative[most + j : most + j + size] - cumulative[most - j : most - j + size]


def _line(profile: Profile, x: float, eps_x: float, a: float) -> Line:
    if not isfinite(x):
        raise InputError(f"x = {x}: give a position in Å.")
    _check_long(profile, a, "a")
    line = Line(profile)
    reach = (eps_x + a) / 2
    if not line.periodic and not line.start - 1e-9 <= x - reach <= x + reach <= line.end + 1e-9:
        raise InputError(
            f"Averages of widths up to {a:g} Å about {x:g} Å reach beyond the open profile, {line.start:g} to "
            f"{line.end:g} Å: choose x further inside, or a smaller a."
        )
    return line


def _averages(line: Line, x: Array, a: float) -> tuple[Array, Array]:
    """Infimum and supremum over 0 < η < a at each x."""
    m = max(FEWEST_POINTS, ceil(WIDTHS_PER_WAVE * a / line.shortest))
    eta = a * np.arange(1, m + 1) / m
    low, high = np.empty(len(x)), np.empty(len(x))
    for start in range(0, len(x), max(1, CHUNK // m)):
        part = slice(start, start + max(1, CHUNK // m))
        at = x[part, None]
        mean = (line.integral(at + eta / 2) - line.integral(at - eta / 2)) / eta
        low[part], high[part] = range_of(np.concatenate([line.values(at), mean], axis=1))
    return low, high


def _open_interval(line: Line, low: float, high: float) -> tuple[float, float] | None:
    return (low, high) if high - low > EMPTY * line.largest else None


@dataclass(frozen=True)
class Assumption8(Result):
    """Physical Assumption 8 at one position: is every value of V(x) an average that all coincident positions have?

    verdict     "yes", "no" or "undecided", for widths below a
    margin      by how much the certificate holds, or fails to [unit]; positive for "yes" and "no"
    smallest_a  smallest width that passes, to a node [Å]; None if none up to a does
    interval    V(x)
    throughout  B(x) of the widths and positions looked at; None if it is empty
    x, a, eps_x as given [Å]
    h           distance of the nodes that decided [Å]
    unit        of the field
    provenance  what was read and done, step by step
    """

    verdict: str
    margin: float
    smallest_a: float | None
    interval: tuple[float, float]
    throughout: tuple[float, float] | None
    x: float
    a: float
    eps_x: float
    h: float
    unit: str | None
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        unit = f" {self.unit}" if self.unit and self.unit != "1" else ""

        def ends(pair: tuple[float, float] | None) -> str:
            return "empty" if pair is None else f"{pair[0]:.6g} to {pair[1]:.6g}{unit}"

        smallest = "" if self.smallest_a is None else f", from a = {self.smallest_a:.4g} Å on"
        rows = (
            ("verdict", f"{self.verdict}{smallest}"),
            ("margin", f"{self.margin:.3g}{unit}, nodes {self.h:.3g} Å apart"),
            ("V at x", ends(self.interval)),
            ("B, averages up to a", ends(self.throughout)),
            ("x, a, eps_x", f"{self.x:.6g} Å, {self.a:.6g} Å, {self.eps_x:.6g} Å"),
        )
        return (("Physical Assumption 8", rows),)


def physical_assumption_8(
    profile: Profile,
    x: float,
    a: float,
    kernel: AveragingKernel | float,
    *,
    eps_x: float | None = None,
    outside: float = 0.0,
    sampling: str | None = None,
) -> Assumption8:
    """Whether V(x) lies inside B(x), certified between the samples too.

    x, a     position and largest width of the averages in A and B [Å]
    kernel   of V, as in interval_field, which see for the other options

    The profile counts as the band-limited function through its samples. Raises InputError as interval_field and
    attainable.
    """
    averaging, width = kernel_and_width(kernel, eps_x)
    _check_long(profile, width)
    line = _line(profile, x, width, a)
    smooth = Line(average(profile, averaging, outside=outside, sampling=sampling))
    (low,), (high,) = range_of(smooth.values(smooth.window(np.array([float(x)]), width, 257)))
    bounds = (1.02 * line.largest, 1.02 * line.steepest)  # of the function, from 16 points for its shortest wave
    h = min(line.shortest / 8, a / 16, width / 16)
    for _ in range(HALVINGS + 1):
        n = max(8, ceil(width / 2 / h))
        node = width / 2 / n
        verdict, margin, smallest, throughout = _decide(
            line, float(x), node, n, a, width, (float(low), float(high)), bounds
        )
        if verdict != UNDECIDED:
            break
        h /= 2
    inside = _open_interval(line, *throughout)
    if verdict == UNDECIDED and inside is None:
        verdict, margin = NO, 0.0
    return Assumption8(
        verdict,
        margin,
        smallest,
        (float(low), float(high)),
        inside,
        float(x),
        float(a),
        width,
        node,
        profile.unit,
        (*profile.provenance, {"step": "Physical Assumption 8", "kernel": averaging.describe()}),
    )


def _decide(
    line: Line,
    x: float,
    h: float,
    n: int,
    a: float,
    eps_x: float,
    interval: tuple[float, float],
    bounds: tuple[float, float],
) -> tuple[str, float, float | None, tuple[float, float]]:
    """Verdict, margin, smallest passing width and B at nodes x + i h, |i| ≤ n, for widths 2 j h < a."""
    largest, steepest = bounds
    node, cumulative, most = _nodes(
        line, x, h, n, a + 2 * h
    )  # the last width is not below a, and bounds those that are
    value = line.values(node)
    low, high = interval
    shift = largest * h / eps_x
    inf, sup = value, value
    near, far = steepest * h / 2, steepest * h
    upper_of_inf, lower_of_sup = value + near, value - near  # certainly attained, up to these bounds
    lower_of_inf, upper_of_sup = value - far, value + far  # certainly not passed
    smallest = None

    def holds() -> float:
        return min(low - shift - float(upper_of_inf.max()), float(lower_of_sup.min()) - high - shift)

    for j in range(1, most + 1):
        eta = 2 * j * h
        mean = _centred(cumulative, most, j, len(node)) / eta
        attained, bound = min(near, largest * h / eta), min(far, 2 * largest * h / eta)
        lower_of_inf = np.minimum(lower_of_inf, mean - bound)
        upper_of_sup = np.maximum(upper_of_sup, mean + bound)
        if eta >= a * (1 - 1e-12):
            continue
        inf, sup = np.minimum(inf, mean), np.maximum(sup, mean)
        upper_of_inf = np.minimum(upper_of_inf, mean + attained)
        lower_of_sup = np.maximum(lower_of_sup, mean - attained)
        if smallest is None and holds() > 0:
            smallest = eta
    throughout = float(inf.max()), float(sup.min())
    if holds() > 0:
        return YES, holds(), smallest, throughout
    fails = max(float(lower_of_inf.max()) - low, high - float(upper_of_sup.min()))
    return (NO if fails > 0 else UNDECIDED), (fails if fails > 0 else max(holds(), fails)), None, throughout


@dataclass(frozen=True, eq=False)
class FieldIntervals(Result):
    """The interval-valued average of a field in three dimensions, on a coarse grid; medians and largest values.

    low, high, midpoint, mean  of V(x) over the ball of diameter eps_x about each point, Fields on the host
    eps_V, largest_eps_V  median and largest width [unit], along a, b, c, then in the ball
    detrended   median width about the linear function fitted in the window, along a, b, c, and in the ball
    missed      what places between grid points add to the width in the ball, at most, at 95 % of the points [unit]
    eps_x       length of the segments, diameter of the ball [Å]
    shape, spacings  of the coarse grid [Å]
    kernel      what was averaged with
    unit, quantity  of the field
    """

    low: Field = field(repr=False)
    high: Field = field(repr=False)
    midpoint: Field = field(repr=False)
    mean: Field = field(repr=False)
    eps_V: tuple[float, ...]
    largest_eps_V: tuple[float, ...]
    detrended: tuple[float, ...]
    missed: float
    eps_x: float
    shape: tuple[int, ...]
    spacings: tuple[float, ...]
    kernel: Mapping[str, Any]
    unit: str | None
    quantity: str
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        unit = unit_after(self.unit)
        spacings = " × ".join(f"{length:.4g}" for length in self.spacings)
        rows = [
            ("eps_x", f"{self.eps_x:.6g} Å, averages with a {self.kernel['kernel']}"),
            ("macroscopic grid", f"{' × '.join(map(str, self.shape))} points, {spacings} Å apart"),
        ]
        for number, name in enumerate(("along a", "along b", "along c", "in the ball")):
            widths = (self.eps_V[number], self.largest_eps_V[number], self.detrended[number])
            text = f"{widths[0]:.4g}, largest {widths[1]:.4g}, less the slope {widths[2]:.4g}{unit}"
            rows.append((f"eps_V {name}", text))
        rows.append(("  between points", f"up to {self.missed:.2g}{unit} more"))
        return (("Macroscopic field as an interval", tuple(rows)),)


def field_intervals(
    whole: Field,
    kernel: AveragingKernel | float,
    *,
    eps_x: float | None = None,
    spacing: float | Sequence[float] | None = None,
    outside: float = 0.0,
    sampling: str | None = None,
) -> FieldIntervals:
    """V(x) of a field in three dimensions: over segments along a, b and c, and over the ball, |x' - x| ≤ eps_x/2.

    spacing  of the coarse grid, at most, one or three [Å]; by default eps_x/10, or half the field's own where larger
    others   as in interval_field

    Extrema are those of the points of the coarse grid, in a segment also of its two ends, between points. What the
    ball has between them, on its sphere above all, is found from polynomials at some points: `missed`. The coarse
    grid is gathered on every rank. Raises as interval_field.
    """
    averaging, width = kernel_and_width(kernel, eps_x)
    lengths = [float(length) for length, n in zip(whole.grid.lengths, whole.grid.shape, strict=True) if n > 1]
    if width > max(lengths, default=0.0):
        raise InputError(f"eps_x = {width:g} Å is longer than the cell: nothing macroscopic is left.")
    fine = _coarse(whole, width / BALL_PER_EPS) if spacing is None else spacing
    smooth = average(whole, averaging, spacing=fine, outside=outside, sampling=sampling)
    steps = np.linalg.norm(smooth.grid.steps, axis=1)
    apart = max(float(step) for step, n in zip(steps, whole.grid.shape, strict=True) if n > 1)
    if width / 2 < apart * (1 - 1e-9):
        raise InputError(
            f"eps_x = {width:g} Å: a ball holds no second point along an axis where those of the macroscopic grid are "
            f"{apart:.4g} Å apart: give a larger eps_x, or a smaller spacing."
        )
    planes = [np.arange(smooth.slab.n)] * smooth.comm.size
    gathered = fetch_planes(smooth.comm, smooth.device, smooth.slab, smooth.values, planes)
    return intervals_of(
        replace(smooth, values=gathered, slab=Slab.of(smooth.grid.shape[0]), comm=Serial()), averaging, width
    )


def intervals_of(smooth: Field, averaging: AveragingKernel, width: float, every: int = 1) -> FieldIntervals:
    """The intervals of an average that is whole on this rank, about every `every`-th of its points.

    The median of detrended widths is that of some thousand points.
    """
    grid, device = smooth.grid, smooth.device
    steps = grid.steps
    windows = [_segment(axis, width / 2 / float(np.linalg.norm(steps[axis]))) for axis in range(3)]
    windows.append((ball_rows(steps, grid.shape, width / 2), np.zeros((0, 7))))
    is_open = [boundary == OPEN for boundary in grid.boundary]
    on_host = device.to_host(smooth.values)
    found, flat = [], []
    for rows, ends in windows:
        parts = device.window_ranges(smooth.values, rows, ends, is_open, every)
        found.append([device.to_host(part) for part in parts])
        flat.append(_median_detrended(on_host, rows, ends, steps, is_open, every))
    step = {"step": "interval field", "eps_x": width, "kernel": averaging.describe(), "window": "ball"}
    low, high, mean = found[-1]
    coarse = Grid(low.shape, grid.cell, grid.origin, grid.boundary)
    host = choose_device("cpu")

    def made(part: NDArray[Any]) -> Field:
        return smooth.derive(part, step, grid=coarse, device=host, slab=Slab.of(low.shape[0]))

    widths = [part[1] - part[0] for part in found]
    return FieldIntervals(
        low=made(low),
        high=made(high),
        midpoint=made((low + high) / 2),
        mean=made(mean),
        eps_V=tuple(float(np.median(part)) for part in widths),
        largest_eps_V=tuple(float(part.max()) for part in widths),
        detrended=tuple(flat),
        missed=_missed_in_ball(on_host, steps, width / 2, is_open, every),
        eps_x=width,
        shape=low.shape,
        spacings=tuple(float(np.linalg.norm(vector)) for vector in coarse.steps),
        kernel=averaging.describe(),
        unit=smooth.unit,
        quantity=smooth.quantity,
        provenance=(*smooth.provenance, step),
    )


def _coarse(field: Field, wanted: float) -> list[float]:
    """Spacings of a grid, which averages do not give more than twice as finely as the field's."""
    return [max(wanted, float(step) / 2) for step in np.linalg.norm(field.grid.steps, axis=1)]


Window = tuple[NDArray[np.int64], Array]
"""Rows (a, b, c, count) and ends (a, b, c, a', b', c', share) of grid offsets, as device.window_ranges takes them."""


def _segment(axis: int, half: float) -> Window:
    """Grid offsets along an axis up to half steps either side, and the two ends, which lie between points."""
    whole = int(half * (1 + 1e-12))
    rest = half - whole
    along = np.arange(-whole, whole + 1)
    rows = np.zeros((1 if axis == 2 else len(along), 4), dtype=np.int64)
    rows[:, axis] = along[: len(rows)]
    rows[:, 3] = len(along) if axis == 2 else 1
    ends = np.zeros((2 if rest > 1e-9 else 0, 7))
    for end, sign in zip(ends, (-1, 1), strict=False):
        end[axis], end[3 + axis], end[6] = sign * whole, sign * (whole + 1), rest
    return rows, ends


def ball_rows(steps: Array, shape: Sequence[int], radius: float, middle: Array | None = None) -> NDArray[np.int64]:
    """(n, 4) rows (a, b, c, count) of the grid offsets within a radius of 0; none along axes of one point.

    middle  what is added to an offset before its distance is taken, at most a step along each axis
    """
    moved = np.zeros(3) if middle is None else middle
    inverse = np.linalg.norm(np.linalg.inv(steps), axis=0)  # reach of the ball along each axis
    reach = np.ceil(radius * inverse * (1 + 1e-9) + np.abs(moved)).astype(int)
    most = [int(m) if n > 1 else 0 for m, n in zip(reach, shape, strict=True)]
    offsets = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), -1)
    inside = np.linalg.norm((offsets + moved) @ steps, axis=-1) <= radius * (1 + 1e-9)
    filled = inside.any(axis=2)  # a line through a ball is a row
    rows = np.concatenate([offsets[:, :, 0, :2], inside.argmax(axis=2)[..., None], inside.sum(axis=2)[..., None]], -1)
    rows[..., 2] -= most[2]
    return np.ascontiguousarray(rows[filled])


def _median_detrended(
    values: NDArray[Any], rows: NDArray[np.int64], ends: Array, steps: Array, is_open: list[bool], every: int
) -> float:
    """Median, over some of the points, of the range about the linear function fitted in the window."""
    offsets = np.array([(a, b, c + i) for a, b, c, count in rows.tolist() for i in range(count)]).reshape(-1, 3)
    places = np.concatenate([offsets, (1 - ends[:, 6:]) * ends[:, :3] + ends[:, 6:] * ends[:, 3:6]]) @ steps
    points = _some_points(values.shape, every, SAMPLED_POINTS)

    def at(moved: NDArray[np.int64]) -> Array:
        return _gathered(values, points, moved, is_open)

    seen = at(offsets)
    if len(ends):
        one, other = (at(ends[:, part].astype(np.int64)) for part in (slice(0, 3), slice(3, 6)))
        seen = np.concatenate([seen, (1 - ends[:, 6]) * one + ends[:, 6] * other], axis=1)
    from_centre = places - places.mean(axis=0)
    gradient = seen @ np.linalg.pinv(from_centre).T
    flat = seen - gradient @ from_centre.T
    return float(np.median(flat.max(axis=1) - flat.min(axis=1)))


def _missed_in_ball(values: NDArray[Any], steps: Array, radius: float, is_open: list[bool], every: int) -> float:
    """What a ball has beyond its grid points: 95 % quantile over some points, by cubics, with how far off they are.

    The cubics are fitted to what lies within a grid step of the ball, where an average is smooth.
    """
    flat = [n == 1 for n in values.shape]
    longest = max((float(np.linalg.norm(step)) for step, one in zip(steps, flat, strict=True) if not one), default=0.0)
    rows = ball_rows(steps, values.shape, radius + longest)
    offsets = np.array([(a, b, c + i) for a, b, c, count in rows.tolist() for i in range(count)]).reshape(-1, 3)
    places = offsets @ steps / radius
    across = np.linalg.qr(steps[~np.array(flat)].T)[0]  # of what varies
    turns, heights = np.arange(SPHERE_POINTS) * np.pi * (3 - 5**0.5), np.linspace(-1, 1, SPHERE_POINTS)
    about = np.stack([np.cos(turns), np.sin(turns), heights], axis=1)
    about[:, :2] *= np.sqrt(1 - heights**2)[:, None]
    about = about @ across @ across.T
    about /= np.maximum(np.linalg.norm(about, axis=1, keepdims=True), 1e-12)
    points = _some_points(values.shape, every, SAMPLED_POINTS // 4)
    seen = _gathered(values, points, offsets, is_open)
    fitted = seen @ np.linalg.pinv(_cubics(places), rcond=1e-10).T
    inside = np.linalg.norm(places, axis=1) <= 1 + 1e-9
    at_points, on_sphere = fitted @ _cubics(places).T, fitted @ _cubics(about).T
    on_grid = at_points[:, inside]
    above = np.maximum(on_sphere.max(axis=1) - on_grid.max(axis=1), 0)
    below = np.maximum(on_grid.min(axis=1) - on_sphere.min(axis=1), 0)
    off = np.sqrt(np.mean((at_points - seen) ** 2, axis=1))  # either end, from its cubic
    return float(np.quantile(above + below + 3 * off, 0.95))


def _cubics(places: Array) -> Array:
    """(n, 20) products of up to three coordinates."""
    powers = [(i, j, k) for i in range(4) for j in range(4 - i) for k in range(4 - i - j)]
    return np.stack([places[:, 0] ** i * places[:, 1] ** j * places[:, 2] ** k for i, j, k in powers], axis=1)


def _some_points(shape: Sequence[int], every: int, most: int) -> list[NDArray[np.int64]]:
    """Along each axis every so many-th point, so that there are not many more than `most` at last."""
    fewer = every
    while np.prod([-(-n // fewer) for n in shape]) > most:
        fewer += every
    return [np.arange(0, n, fewer) for n in shape]


def _gathered(
    values: NDArray[Any], points: Sequence[NDArray[np.int64]], offsets: NDArray[np.int64], is_open: Sequence[bool]
) -> Array:
    """(points, offsets) values at offsets from points of a grid."""
    index: Any = 0
    for axis, n in enumerate(values.shape):
        along = points[axis][:, None] + offsets[:, axis]
        along = np.clip(along, 0, n - 1) if is_open[axis] else along % n
        index = index * n + along.reshape(*(-1 if i == axis else 1 for i in range(3)), len(offsets))
    return values.ravel().take(index).reshape(-1, len(offsets)).astype(np.float64)
