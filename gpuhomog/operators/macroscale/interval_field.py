"""Interval-valued macroscopic field: the range of averages that positions eps_x apart cannot tell from one another.

    V(x) = { <ν>(x') : |x' - x| ≤ eps_x/2 } = [lo, hi]              eq. 21; V' likewise, eq. 25
    eps_V = hi - lo,  eps_p the width for V';  midpoint (lo + hi)/2;  mean over the coincidence set |x' - x| < eps_x/2

eps_V is given twice, raw, and about the line fitted to <ν> in each window: only the second can equal |V'| eps_x
(consistent_eps.py). Windows end at the ends of an open profile.

In   Profile, any unit; field_intervals.py takes a Field.
Out  IntervalField.

>>> import gpuhomog as gh
>>> x = np.arange(1600) * 0.0625
>>> wave = gh.Profile(x, np.sin(2 * np.pi * x / 100) + np.cos(2 * np.pi * x), "V", "electrostatic_potential", 100.0)
>>> found = interval_field(wave, 2.0)                     # simple averages over two periods: the slow wave alone
>>> bool(np.allclose(found.eps_V[0], 2 * np.sin(2 * np.pi / 100), rtol=1e-3)), bool(found.detrended.max() < 2e-3)
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, exp, isfinite, log
from typing import Any, ClassVar

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from ...averaging_kernels import AveragingKernel, Box
from ...errors import InputError
from ...grid import OPEN
from ...results import Measurement, Profile, Result, Tables, unit_after
from ..averages.average import average
from ..profiles.between_points import resampled

Array = NDArray[np.float64]

LEAST_WIDTH = 0.1
"""Smallest distance or width that is looked at, over that of the samples."""
POINTS_PER_WAVE = 48
"""Positions in a window for the shortest wavelength of what is looked at; extrema are then refined by parabolas."""
FEWEST_POINTS = 65
NEGLIGIBLE = 1e-7
"""Amplitude of modes, over the largest, that need not be resolved."""
GRID_PER_EPS = 8
"""Points of the macroscopic grid for each eps_x."""
CHUNK = 1 << 21
"""Values at once."""
SAMPLE = 128
"""Positions whose median is eps_V where eps_x is sought."""
ROOT = 1e-3
"""Relative precision of a self-consistent eps_x."""


class Line:
    """A profile as a function: values, slopes and integral at any position, by a spline of degree 7.

    A periodic profile is interpolated as band limited first, to 16 points for its shortest wave, and then repeats.
    """

    def __init__(self, profile: Profile) -> None:
        self.periodic = profile.boundary != OPEN
        n = len(profile.values)
        if n < 2 and not self.periodic:
            raise InputError(
                "Profile of 1 plane between open ends has no intervals: take a finer grid, or another axis."
            )
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


def check_long(profile: Profile, width: float, what: str = "eps_x") -> None:
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
    check_long(profile, width)
    step = width / GRID_PER_EPS if spacing is None else float(spacing)
    if spacing is not None:
        check_long(profile, step, "spacing")
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
        consistent=consistent_width(profile, typical, outside, sampling),
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


def consistent_width(profile: Profile, slope: float, outside: float, sampling: str | None) -> Measurement:
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

    return crossing(excess, 2 * profile.spacing, profile.length / 4, ROOT, "the profile")


def crossing(excess: Callable[[float], float], low: float, high: float, precision: float, what: str) -> Measurement:
    """Where the fluctuation, where it exceeds the slope, no longer does, between two widths; or why nowhere."""
    if low >= high:
        return Measurement.not_defined("Å", f"{what} is too short")
    while excess(low) <= 0:  # samples far finer than the waves: two apart, each wave is a straight line
        low *= 2
        if low >= high:
            return Measurement.not_defined("Å", f"the slope exceeds all fluctuation, up to a quarter of {what}")
    if excess(high) >= 0:
        return Measurement.not_defined("Å", f"fluctuation exceeds the slope over a quarter of {what} still")
    root = scipy.optimize.brentq(lambda power: excess(exp(power)), log(low), log(high), xtol=precision, rtol=precision)
    return Measurement(exp(root), "Å", 2 * precision * exp(root))
