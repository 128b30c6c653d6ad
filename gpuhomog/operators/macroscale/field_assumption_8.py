"""Physical Assumption 8 of a field in three dimensions: along the lines of its grid, and for balls.

    A_a(x) = inf, sup of the averages of ν over windows about x of widths 0 < η < a                        eq. 24
    B(x)   = (max of inf A_a, min of sup A_a) over the coincidence set of x;  V(x) = { <ν; μ>(x') } over it, eq. 21
    V(x) inside B(x) at every x                                     Physical Assumption 8: yes, no, or undecided

    along a, b, c   windows are segments of a line of grid points; so is the coincidence set, of length eps_x
    in the ball     windows are balls of diameter η, of which the coincidence set is one, of diameter eps_x

The paper has one dimension; these are its definitions with the interval replaced by a segment, or by a ball. <ν; μ> is
the average in three dimensions in all of them. Along lines every grid point is decided, in the ball points at most
eps_x/2 apart. The field is the trigonometric polynomial through its samples, continued by its mirror image beyond open
ends, where no window may reach. Averages v over segments and balls are exact at nodes; what lies between is bounded:

    yes   max_x' min_η u < lo, mirrored for hi;   u  of an average, the largest that it may be near x'
    no    max_x' min_η (v - t) > lo, or mirrored;  x'  at nodes;  t  what v changes by towards the next width

    lines  u = v + min(s d, 2 m d/η, |g| d + min(c, 2 s/η) d²/2),  d half the distance of nodes, g the slope of v
    balls  u = largest v at the corners of the cell + Σ h² min(|∂²ν|, 3 s/η)/8,  h its edges, ∂ along them
           t = min(3 s δ/8, 3 c δ²/40, 2 m (1 - (1 - δ/η)³)),  δ between radii; the second as v is linear up to it

by m = max|ν|, s = max|∂ν|, c = max|∂∂ν|, largest at nodes over Π cos(π n_i/N_i), n_i highest mode of an axis with N_i
nodes (Ehlich and Zeller, Math. Z. 86, 41, 1964), for ν about its midrange. Nodes and radii are made denser until the
verdict is known or there are too many. Once one position fails it is "no", and others are left undecided.

All ranks gather the field and decide alike: a position needs nodes as far away as a + eps_x, which in a cell worth
deciding is most of it, and the nodes of one width are one transform of 2^24 values at most.

In   Field, any unit, device or slab; widths in Å.
Out  FieldAssumption8; ranges as (low, high), None where empty.

>>> import gpuhomog as gh
>>> x, y, z = np.meshgrid(*[np.arange(8) / 8] * 3, indexing="ij")
>>> field = gh.Field.from_array(sum(np.cos(2 * np.pi * t) for t in (x, y, z)), np.eye(3))
>>> tuple(round(v, 6) for v in gh.attainable_in_ball(field, (0.0, 0.0, 0.0), 0.9))    # 9 (sin t - t cos t)/t³, 0.9 π
(1.193731, 3.0)
>>> gh.field_assumption_8(field, 0.9, gh.Ball(0.25)).verdict[-1]                       # odd about (1/4, 1/4, 1/4)
'no'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, prod
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

from ...averaging_kernels import AveragingKernel, Ball
from ...errors import InputError
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, axis_index
from ...results import Profile, Result, Tables, unit_after
from ..averages.average import average
from .assumption_8 import EMPTY, HALVINGS, NO, UNDECIDED, WIDTHS_PER_WAVE, YES
from .field_intervals import ball_rows
from .interval_field import CHUNK, LEAST_WIDTH, NEGLIGIBLE, kernel_and_width, range_of

Array = NDArray[np.float64]

NODES_PER_WAVE = 8
"""Nodes for the shortest wavelength, at first."""
NODES_PER_WIDTH = 16
"""For a, and for eps_x."""
MOST_AVERAGES = 1 << 29
"""Nodes times radii that balls are decided on: about a minute of one core."""
CORNERS = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
WIDTHS_SHOWN = 24


@dataclass(frozen=True, eq=False)
class FieldAssumption8(Result):
    """Physical Assumption 8 of a field, for each kind of window.

    windows     "along a", …, "in the ball": axes of one point have none
    verdict     "yes" at every position, "no" at one at least, or "undecided"
    positions   how many were decided upon; of each kind of window, as all that follows
    passed, failed, undecided   how many of them
    margin      by how much V lies inside B where it does least; of "no", by how much it does not where it fails most
    position    where that is [Å]
    smallest_a  smallest of the widths that passes at every position [Å]; None if none up to a does
    widths      (k,) up to a [Å]
    share       (windows, k) share of the positions that pass with averages below that width
    h           distance of the nodes that decided [Å]
    a, eps_x    as given [Å]
    kernel      of V
    unit        of the field
    provenance  what was read and done, step by step
    """

    windows: tuple[str, ...]
    verdict: tuple[str, ...]
    positions: tuple[int, ...]
    passed: tuple[int, ...]
    failed: tuple[int, ...]
    undecided: tuple[int, ...]
    margin: tuple[float, ...]
    position: tuple[tuple[float, ...], ...]
    smallest_a: tuple[float | None, ...]
    widths: Array
    share: Array
    h: tuple[float, ...]
    a: float
    eps_x: float
    kernel: Mapping[str, Any]
    unit: str | None
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        unit = unit_after(self.unit)
        rows = []
        for i, window in enumerate(self.windows):
            least = self.smallest_a[i]
            smallest = "" if least is None else f", from a = {least:.4g} Å on"
            rows.append(
                (window, f"{self.verdict[i]}; holds at {self.passed[i]} of {self.positions[i]} places{smallest}")
            )
            where = ", ".join(f"{x:.4g}" for x in self.position[i])
            rows.append(("", f"margin {self.margin[i]:.3g}{unit} at ({where}) Å, nodes {self.h[i]:.3g} Å apart"))
        rows.append(("a, eps_x", f"{self.a:.6g} Å, {self.eps_x:.6g} Å, averages with a {self.kernel['kernel']}"))
        return (("Physical Assumption 8", tuple(rows)),)


@dataclass(frozen=True, eq=False)
class _Waves:
    """A field as a trigonometric polynomial: samples about their midrange, mirrored beyond open ends."""

    values: Array
    steps: Array  # (3, 3) rows
    is_open: tuple[bool, ...]
    shape: tuple[int, ...]  # without the mirror images
    middle: float

    @classmethod
    def of(cls, field: Field, what: str, middle: float | None = None) -> _Waves:
        field.check_in_memory(what, "decide on its planar average")
        values = np.asarray(field.on_every_rank().to_host(), dtype=np.float64)
        if middle is None:
            middle = (float(values.min()) + float(values.max())) / 2
        is_open = tuple(
            boundary == OPEN and n > 1 for boundary, n in zip(field.grid.boundary, values.shape, strict=True)
        )
        mirrored = values - middle
        for axis in range(3):
            if is_open[axis]:
                inner = np.take(mirrored, np.arange(values.shape[axis] - 2, 0, -1), axis=axis)
                mirrored = np.concatenate([mirrored, inner], axis=axis)
        return cls(mirrored, field.grid.steps, is_open, values.shape, middle)

    @property
    def largest(self) -> float:
        return float(np.abs(self.values).max())

    def highest(self) -> tuple[int, ...]:
        """The highest mode along each axis."""
        size = np.abs(scipy.fft.rfftn(self.values))
        kept = size > NEGLIGIBLE * max(float(size.max()), 1e-300)
        found = []
        for axis in range(3):
            places = np.flatnonzero(kept.any(axis=tuple(i for i in range(3) if i != axis)))
            n = self.values.shape[axis]
            found.append(int(np.minimum(places, n - places).max()) if len(places) else 0)
        return tuple(found)

    def length(self, axis: int) -> float:
        """Of the period, mirror image included."""
        return float(np.linalg.norm(self.steps[axis])) * self.values.shape[axis]


def _padded(values: Array, axis: int, n_out: int) -> NDArray[np.complex128]:
    """Coefficients along an axis of n_out points, for irfft; the mode n/2 stands for both signs."""
    n = values.shape[axis]
    modes = np.moveaxis(scipy.fft.rfft(values, axis=axis), axis, -1) * (n_out / n)
    out = np.zeros((*modes.shape[:-1], n_out // 2 + 1), dtype=np.complex128)
    out[..., : modes.shape[-1]] = modes
    if n % 2 == 0 and n_out > n:
        out[..., n // 2] /= 2
    return out


def _refined(values: Array, axis: int, n_out: int) -> Array:
    """Band-limited values at n_out points along an axis."""
    if n_out == values.shape[axis]:
        return values
    return np.asarray(np.moveaxis(scipy.fft.irfft(_padded(values, axis, n_out), n_out), -1, axis))


def _between(n_highest: int, n_nodes: int) -> float:
    """Largest value over largest at nodes, of a trigonometric polynomial."""
    return 1 / float(np.cos(np.pi * n_highest / n_nodes)) if n_nodes > 2 * n_highest else np.inf


@dataclass(frozen=True, eq=False)
class _Decided:
    """What was found at some positions; position and margin of each, NaN where no width passes."""

    verdict: NDArray[np.str_]
    margin: Array
    smallest: Array
    place: Array  # (n, 3) in steps of the grid
    h: float


def field_assumption_8(
    field: Field,
    a: float,
    kernel: AveragingKernel | float,
    *,
    eps_x: float | None = None,
    outside: float = 0.0,
    sampling: str | None = None,
) -> FieldAssumption8:
    """Whether V(x) lies inside B(x) everywhere in a field: along its lines, and for balls.

    field    Field
    a        widths of the averages in A and B are below it [Å]
    kernel   of V; a number is the full width of a simple average [Å]
    eps_x    diameter of the coincidence set [Å]; by default the width of a box, the eps of other kernels
    others   as in average

    On open axes positions are those whose windows stay inside. Along a line the averages of disorder fluctuate as those
    of one dimension with alpha = 0, whatever alpha the field has; in a ball more positions coincide than on a line. So
    "yes" is rare where eps_x holds many waves, and "no" the rule of disorder with alpha = 0 and of crystals. The work
    of lines is that of the grid times a/h, of balls that of an FFT of all nodes for each of a/2h widths. Raises
    InputError for a or eps_x that are not positive, longer than the cell, or leave no position on an open axis, and for
    fields that were not read (max_memory).
    """
    averaging, width = kernel_and_width(kernel, eps_x)
    present = [axis for axis in range(3) if field.grid.shape[axis] > 1]
    shortest = min((float(field.grid.lengths[axis]) for axis in present), default=0.0)
    for name, length in (("a", a), ("eps_x", width)):
        if not (isfinite(length) and 0 < length <= shortest):
            raise InputError(
                f"{name} = {length:g} Å: give a positive one, not longer than the shortest side of the cell, "
                f"{shortest:g} Å: nothing macroscopic is left beyond."
            )
    finest = min(float(np.linalg.norm(field.grid.steps[axis])) for axis in present)
    for name, length in (("a", a), ("eps_x", width)):
        if length < finest * LEAST_WIDTH:
            raise InputError(
                f"{name} = {length:g} Å is below a tenth of the distance of the samples, {finest:.4g} Å, where "
                "nothing is known: give a larger one."
            )
    waves = _Waves.of(field, "Physical Assumption 8 in three dimensions")
    smooth = _Waves.of(average(field, averaging, outside=outside, sampling=sampling), "", waves.middle)
    highest, smooth_highest = waves.highest(), smooth.highest()
    found = [_along(waves, smooth, axis, a, width, highest[axis], smooth_highest[axis]) for axis in present]
    found.append(_in_balls(waves, smooth, a, width, highest, smooth_highest))
    widths = a * np.arange(1, WIDTHS_SHOWN + 1) / WIDTHS_SHOWN
    worst = [_worst(part) for part in found]
    counts = [{word: int((part.verdict == word).sum()) for word in (YES, NO, UNDECIDED)} for part in found]
    return FieldAssumption8(
        windows=(*(f"along {AXIS_NAMES[axis]}" for axis in present), "in the ball"),
        verdict=tuple(NO if count[NO] else UNDECIDED if count[UNDECIDED] else YES for count in counts),
        positions=tuple(len(part.verdict) for part in found),
        passed=tuple(count[YES] for count in counts),
        failed=tuple(count[NO] for count in counts),
        undecided=tuple(count[UNDECIDED] for count in counts),
        margin=tuple(float(part.margin[i]) for part, i in zip(found, worst, strict=True)),
        position=tuple(
            tuple(float(x) for x in part.place[i] @ waves.steps + field.grid.origin)
            for part, i in zip(found, worst, strict=True)
        ),
        smallest_a=tuple(None if np.isnan(part.smallest).any() else float(part.smallest.max()) for part in found),
        widths=widths,
        share=np.array([[float((part.smallest < w).mean()) for w in widths] for part in found]),
        h=tuple(part.h for part in found),
        a=float(a),
        eps_x=width,
        kernel=averaging.describe(),
        unit=field.unit,
        provenance=(
            *field.provenance,
            {"step": "Physical Assumption 8", "a": float(a), "eps_x": width, "kernel": averaging.describe()},
        ),
    )


def _worst(part: _Decided) -> int:
    """The position that decides: the most certain failure, the least certain success."""
    failed = part.verdict == NO
    if failed.any():
        return int(np.argmax(np.where(failed, part.margin, -np.inf)))
    undecided = part.verdict == UNDECIDED
    return int(np.argmin(np.where(undecided, part.margin, np.inf) if undecided.any() else part.margin))


class _Ranges:
    """Smallest and largest averages at nodes while widths grow, with bounds for what lies between nodes and widths."""

    def __init__(self, values: Array, above: Array, below: Array, far: Array | float) -> None:
        """Of the smallest width, which is the value itself; the rest as in add."""
        self.inf, self.sup = values.copy(), values.copy()
        self.upper_of_inf, self.lower_of_sup = above.copy(), below.copy()  # certainly attained
        self.lower_of_inf, self.upper_of_sup = values - far, values + far  # certainly not passed

    def add(self, mean: Array, above: Array, below: Array, far: Array | float, below_a: bool) -> None:
        """One more width; one that is not below a is no average of A, but bounds those that are.

        above, below  bounds of the averages next to the node;  far  by how much those of widths next to this may differ
        """
        np.minimum(self.lower_of_inf, mean - far, out=self.lower_of_inf)
        np.maximum(self.upper_of_sup, mean + far, out=self.upper_of_sup)
        if below_a:
            np.minimum(self.inf, mean, out=self.inf)
            np.maximum(self.sup, mean, out=self.sup)
            np.minimum(self.upper_of_inf, above, out=self.upper_of_inf)
            np.maximum(self.lower_of_sup, below, out=self.lower_of_sup)


def _shown(widths: ArrayLike, a: float) -> set[int]:
    """Of rising widths the last ones below each of the widths that are shown."""
    ends = a * np.arange(1, WIDTHS_SHOWN + 1) / WIDTHS_SHOWN * (1 - 1e-12)
    return {int(i) for i in np.searchsorted(widths, ends) - 1 if i >= 0}


def _verdicts(holds: Array, fails: Array, width: Array, empty: float, last: bool) -> tuple[NDArray[np.str_], Array]:
    """Verdict and margin of each position; at the end one fails where some A is no wider than rounding."""
    verdict = np.where(holds > 0, YES, np.where(fails > 0, NO, UNDECIDED))
    margin = np.where(holds > 0, holds, np.where(fails > 0, fails, np.maximum(holds, fails)))
    if last:
        nothing = (verdict == UNDECIDED) & (width <= empty)
        verdict, margin = np.where(nothing, NO, verdict), np.where(nothing, 0.0, margin)
    return verdict, margin


def _along(
    waves: _Waves, smooth: _Waves, axis: int, a: float, eps_x: float, highest: int, smooth_highest: int
) -> _Decided:
    """Every grid point of every line along an axis."""
    n, step = waves.values.shape[axis], float(np.linalg.norm(waves.steps[axis]))
    lines, smooths = (np.moveaxis(w.values, axis, -1).reshape(-1, n) for w in (waves, smooth))
    points = np.arange(waves.shape[axis])
    if waves.is_open[axis]:
        reach = (a + eps_x) / 2 / step
        points = points[(points >= reach - 1e-9) & (points <= waves.shape[axis] - 1 - reach + 1e-9)]
        if not len(points):
            raise InputError(_no_room(axis, a, eps_x))
    others = [i for i in range(3) if i != axis]
    index = np.stack(np.unravel_index(np.arange(len(lines)), [waves.values.shape[i] for i in others]), axis=1)
    seen = (index < [waves.shape[i] for i in others]).all(axis=1)  # not the mirror images
    lines, smooths, index = lines[seen], smooths[seen], index[seen]
    size = (len(lines), len(points))
    verdict, margin, smallest = np.full(size, UNDECIDED), np.zeros(size), np.full(size, np.nan)
    wave = waves.length(axis) / max(highest, 1)
    finer = max(1, ceil(step / min(wave / NODES_PER_WAVE, a / NODES_PER_WIDTH, eps_x / NODES_PER_WIDTH)))
    left = np.arange(len(lines))
    for halving in range(HALVINGS + 1):
        n_nodes = n * finer
        bounds, smooth_bounds = (
            _between(h, n_nodes) * _largest_derivatives(values, n_nodes, step * n)
            for values, h in ((lines, highest), (smooths, smooth_highest))
        )
        at_once = max(1, CHUNK // n_nodes)
        for start in range(0, len(left), at_once):
            part = left[start : start + at_once]
            found = _decide_lines(
                _refined(lines[part], 1, n_nodes),
                _refined(smooths[part], 1, n_nodes),
                points * finer,
                step / finer,
                (a, eps_x),
                (bounds, smooth_bounds),
                halving == HALVINGS,
            )
            verdict[part], margin[part], smallest[part] = found
        left = np.flatnonzero((verdict == UNDECIDED).any(axis=1))
        if not len(left) or (verdict == NO).any():
            break
        finer *= 2
    place = np.zeros((*size, 3))
    place[..., axis] = points
    place[..., others] = index[:, None, :]
    h = step * n / n_nodes
    return _Decided(verdict.ravel(), margin.ravel(), smallest.ravel(), place.reshape(-1, 3), h)


def _no_room(axis: int, a: float, eps_x: float) -> str:
    return (
        f"Averages of widths up to {a:g} Å about positions {eps_x:g} Å apart reach beyond the ends of the open axis "
        f"{AXIS_NAMES[axis]} from everywhere: choose a smaller a or eps_x."
    )


def _wavevectors(n: int, period: float) -> Array:
    return np.asarray(2 * np.pi / period * np.arange(n // 2 + 1))


def _largest_derivatives(lines: Array, n_nodes: int, period: float) -> Array:
    """Largest |value|, |slope| and |curvature| at the nodes of all lines."""
    most = max(1, CHUNK // n_nodes)
    largest = np.zeros(3)
    for start in range(0, len(lines), most):
        modes = _padded(lines[start : start + most], 1, n_nodes)
        for order in range(3):
            size = float(np.abs(scipy.fft.irfft(modes, n_nodes)).max())
            largest[order] = max(largest[order], size)
            modes = modes * (1j * _wavevectors(n_nodes, period))
    return largest


def _decide_lines(
    values: Array,
    smooth: Array,
    points: NDArray[np.int64],
    h: float,
    widths: tuple[float, float],
    bounds: tuple[Array, Array],
    last: bool,
) -> tuple[NDArray[np.str_], Array, Array]:
    """Verdict, margin and smallest passing width at some nodes of periodic lines of nodes, h apart."""
    (a, eps_x), (largest, steepest, sharpest) = widths, bounds[0]
    n = values.shape[1]
    modes = scipy.fft.rfft(values)
    wavevectors = _wavevectors(n, n * h)
    slope, smooth_slope = (scipy.fft.irfft(1j * wavevectors * m, n) for m in (modes, scipy.fft.rfft(smooth)))
    modes[:, 1:] /= 1j * wavevectors[1:]
    mean = modes[:, :1].real / n
    modes[:, 0] = 0.0
    integral = scipy.fft.irfft(modes, n)
    steps = ceil(a / (2 * h) * (1 - 1e-12))  # the last width is the first that is not below a
    around = np.arange(-steps, n + steps) % n
    integral, beside = integral[:, around], values[:, around]
    inner, outer = (2 * count(eps_x / 2 / h * (1 + sign * 1e-12)) + 1 for count, sign in ((floor, 1), (ceil, -1)))

    def most(part: Array, size: int) -> Array:
        return np.asarray(scipy.ndimage.maximum_filter1d(part, size, axis=1, mode="wrap")[:, points])

    def least(part: Array, size: int) -> Array:
        return np.asarray(scipy.ndimage.minimum_filter1d(part, size, axis=1, mode="wrap")[:, points])

    shift = np.abs(smooth_slope) * h / 2 + bounds[1][2] * h**2 / 8
    low, high = least(smooth - shift, outer), most(smooth + shift, outer)
    next_to = np.abs(slope) * h / 2 + sharpest * h**2 / 8
    ranges = _Ranges(values, values + next_to, values - next_to, steepest * h / 4)
    smallest, holds = np.full(low.shape, np.nan), np.full(low.shape, -np.inf)
    shown = _shown([2 * j * h for j in range(1, steps + 1)], a)
    for j in range(1, steps + 1):
        eta = 2 * j * h
        ahead, behind = slice(steps + j, steps + j + n), slice(steps - j, steps - j + n)
        of_width = mean + (integral[:, ahead] - integral[:, behind]) / eta
        moved = np.abs(beside[:, ahead] - beside[:, behind]) / eta  # its slope
        near = moved * (h / 2) + min(sharpest, 2 * steepest / eta) * h**2 / 8
        near = np.minimum(near, min(steepest * h / 2, largest * h / eta))
        widened = np.abs((beside[:, ahead] + beside[:, behind]) / 2 - of_width) / eta
        far = np.minimum(widened * h + sharpest * h**2 / 24, min(steepest * h / 4, 2 * largest * h / eta))
        ranges.add(of_width, of_width + near, of_width - near, far, eta < a * (1 - 1e-12))
        if j - 1 in shown:
            holds = np.minimum(low - most(ranges.upper_of_inf, outer), least(ranges.lower_of_sup, outer) - high)
            smallest = np.where(np.isnan(smallest) & (holds > 0), eta, smallest)
    fails = np.maximum(
        most(ranges.lower_of_inf, inner) - least(smooth, inner), most(smooth, inner) - least(ranges.upper_of_sup, inner)
    )
    width = least(ranges.sup - ranges.inf, inner)
    return *_verdicts(holds, fails, width, EMPTY * largest, last), smallest


def _ball_transform(z: Array) -> Array:
    """3 (sin z - z cos z)/z³."""
    return Ball(2 / 5**0.5).transform(z)  # of radius 1


def _in_balls(
    waves: _Waves,
    smooth: _Waves,
    a: float,
    eps_x: float,
    highest: Sequence[int],
    smooth_highest: Sequence[int],
) -> _Decided:
    """Positions at most eps_x/2 apart, nodes refined until they are decided; along axes where nothing varies, one."""
    varying = [axis for axis in range(3) if highest[axis] > 0 or smooth_highest[axis] > 0]
    shape = np.array(waves.values.shape)
    finer = np.ones(3, dtype=int)
    for axis in varying:
        wave = waves.length(axis) / max(highest[axis], 1)
        finer[axis] = ceil(float(np.linalg.norm(waves.steps[axis])) / min(wave / NODES_PER_WAVE, eps_x / 2))
    shortest = min((waves.length(axis) / max(highest[axis], 1) for axis in varying), default=a)
    gap = min(shortest / NODES_PER_WAVE, a / 2 / WIDTHS_SHOWN)
    while prod(shape * finer) * a / (2 * gap) > MOST_AVERAGES and finer.max() > 1:
        finer[np.argmax(finer)] -= 1
    points = _macroscopic_points(waves, varying, a, eps_x)
    for halving in range(HALVINGS + 1):
        doubled = shape * np.where(np.isin(range(3), varying), 2 * finer, 1)
        last = halving == HALVINGS or prod(doubled) * a / gap > MOST_AVERAGES
        nodes, averaged = (
            _Nodes(part, finer, varying, most) for part, most in ((waves, highest), (smooth, smooth_highest))
        )
        decided = _decide_balls(nodes, averaged, gap, points, (a, eps_x), last)
        if last or not (decided.verdict == UNDECIDED).any() or (decided.verdict == NO).any():
            break
        finer[varying] *= 2
        gap /= 2
    return decided


def _macroscopic_points(waves: _Waves, varying: Sequence[int], a: float, eps_x: float) -> list[NDArray[np.int64]]:
    """Grid points at most eps_x/2 apart along each axis where anything varies; on open ones windows stay inside."""
    normals = np.linalg.inv(waves.steps)  # columns: fractional steps for each Å
    axes = []
    for axis in range(3):
        n, step = waves.shape[axis], float(np.linalg.norm(waves.steps[axis]))
        first, end = 0, n
        if waves.is_open[axis]:
            reach = (a + eps_x) / 2 * float(np.linalg.norm(normals[:, axis]))
            first, end = ceil(reach - 1e-9), floor(n - 1 - reach + 1e-9) + 1
            if end <= first:
                raise InputError(_no_room(axis, a, eps_x))
        count = min(end - first, ceil((end - first) * step / (eps_x / 2))) if axis in varying else 1
        axes.append(first + np.unique(np.arange(count) * (end - first) // count))
    return axes


class _Nodes:
    """Nodes at which averages over balls are exact, and the cells between them, in which they are bounded.

    In a cell a function lies between its values at the corners up to Σ |∂²f|/8, second derivatives along its edges in
    edges: the error of linear interpolation along one edge after the other.
    """

    def __init__(self, waves: _Waves, finer: NDArray[np.int64], varying: Sequence[int], highest: Sequence[int]) -> None:
        self.varying = list(varying)
        self.finer = finer.copy()
        self.shape = tuple(int(n) for n in np.array(waves.values.shape) * finer)
        self.steps = waves.steps / finer[:, None]
        self.values = waves.values
        for axis in range(3):
            self.values = _refined(self.values, axis, self.shape[axis])
        self.spectrum = scipy.fft.rfftn(self.values)
        numbers = [*(np.fft.fftfreq(n, 1 / n) for n in self.shape[:2]), np.arange(self.shape[2] // 2 + 1.0)]
        self._modes = [m.reshape([-1 if i == j else 1 for j in range(3)]) for i, m in enumerate(numbers)]
        self._reciprocal = 2 * np.pi * np.linalg.inv(self.steps * np.array(self.shape)[:, None])  # columns: of a, b, c
        self._rise = prod(_between(highest[axis], self.shape[axis]) for axis in varying)

    def wavevector(self, x: int) -> Array:
        """A Cartesian component of every mode's."""
        return np.asarray(sum(m * self._reciprocal[x, i] for i, m in enumerate(self._modes)))

    def largest(self, *factors: ArrayLike) -> float:
        """Largest length anywhere of the vector whose components have the spectrum times these factors."""
        squares = (scipy.fft.irfftn(self.spectrum * factor, self.shape) ** 2 for factor in factors)
        return self._rise * float(np.sqrt(sum(squares).max()))

    def bends(self) -> float:
        """Σ over edges of the largest |∂²ν|/8, in edges."""
        angles = (2 * np.pi / self.shape[axis] * self._modes[axis] for axis in self.varying)
        return sum(self.largest(angle**2) for angle in angles) / 8

    def corners(self, values: Array, together: np.ufunc) -> Array:
        """Largest, or smallest, value at the corners of each cell, which begins at its node."""
        for axis in self.varying:
            along = np.moveaxis(values, axis, 0)
            found = np.empty_like(values)
            out = np.moveaxis(found, axis, 0)
            together(along[:-1], along[1:], out=out[:-1])
            together(along[-1], along[0], out=out[-1])
            values = found
        return values

    def within(self, radius: float, of_cells: bool) -> NDArray[np.int64]:
        """(n, 4) rows (c, b, a, count) of the nodes in a ball about one, or of the cells that it may reach into."""
        middle = np.array([0.5 if of_cells and axis in self.varying else 0.0 for axis in range(3)])
        if of_cells:
            radius += max(float(np.linalg.norm(((corner - 0.5) * (middle > 0)) @ self.steps)) for corner in CORNERS)
        shape = [self.shape[axis] if axis in self.varying else 1 for axis in (2, 1, 0)]
        return ball_rows(self.steps[::-1], shape, radius, middle[::-1])

    def over(self, values: Array, places: Sequence[NDArray[np.int64]], rows: NDArray[np.int64], together: Any) -> Array:
        """(n,) Largest, or smallest, value in a window about each of the nodes that lie on some planes of each axis."""
        n0, n1, n2 = self.shape
        found, state, covered = None, None, range(0)
        for c, b, first, count in sorted(rows.tolist(), key=lambda row: row[3]):
            wanted = range(first, first + count)
            if wanted != covered:
                if not (covered and wanted.start <= covered.start and covered.stop <= wanted.stop):
                    state, covered = None, range(0)
                for offset in wanted:
                    if offset not in covered:
                        planes = values[(places[0] + offset) % n0]
                        state = planes if state is None else together(state, planes, out=state)
                covered = wanted
            assert state is not None
            part = state[:, ((places[1] + b) % n1)[:, None], (places[2] + c) % n2]
            found = part if found is None else together(found, part, out=found)
        assert found is not None
        return np.asarray(found.ravel())


def _decide_balls(
    nodes: _Nodes, smooth: _Nodes, gap: float, points: list[NDArray[np.int64]], widths: tuple[float, float], last: bool
) -> _Decided:
    """Verdict, margin and smallest passing width at some points of the field's grid.

    nodes, smooth  the field and its average;  gap  between radii [Å];  widths  a and eps_x
    """
    a, eps_x = widths
    k = [nodes.wavevector(x) for x in range(3)]
    size = np.sqrt(k[0] ** 2 + k[1] ** 2 + k[2] ** 2)
    largest, steepest = nodes.largest(1.0), nodes.largest(*(1j * one for one in k))
    sharpest = nodes.largest(*(one * other for one in k for other in k))
    inner, outer = nodes.within(eps_x / 2, False), nodes.within(eps_x / 2, True)
    places = [along * n for along, n in zip(points, nodes.finer, strict=True)]

    def over(part: Array, rows: NDArray[np.int64], together: np.ufunc) -> Array:
        return nodes.over(part, places, rows, together)

    smooth_bends = smooth.bends()
    low = over(smooth.corners(smooth.values, np.minimum), outer, np.minimum) - smooth_bends
    high = over(smooth.corners(smooth.values, np.maximum), outer, np.maximum) + smooth_bends
    bends, edges = nodes.bends(), sum(float(np.linalg.norm(nodes.steps[axis])) ** 2 for axis in nodes.varying)
    far = min(0.375 * steepest, 0.075 * sharpest * gap) * gap

    def about(mean: Array, bend: float) -> tuple[Array, Array]:
        return nodes.corners(mean, np.maximum) + bend, nodes.corners(mean, np.minimum) - bend

    ranges = _Ranges(nodes.values, *about(nodes.values, bends), far)
    smallest, holds = np.full(len(low), np.nan), np.full(len(low), -np.inf)
    radii = gap * np.arange(1, ceil(a / 2 / gap * (1 - 1e-12)) + 1)
    shown = _shown(2 * radii, a)
    for number, radius in enumerate(radii):
        mean = scipy.fft.irfftn(nodes.spectrum * _ball_transform(size * radius), nodes.shape)
        bend = min(bends, 1.5 * steepest / radius * edges / 8)
        swept = 2 * largest * (1 - (1 - gap / 2 / max(radius - gap, gap / 2)) ** 3)  # the narrower neighbour's counts
        ranges.add(mean, *about(mean, bend), min(far, swept), 2 * radius < a * (1 - 1e-12))
        if number in shown and np.isnan(smallest).any():
            holds = np.minimum(
                low - over(ranges.upper_of_inf, outer, np.maximum), over(ranges.lower_of_sup, outer, np.minimum) - high
            )
            smallest = np.where(np.isnan(smallest) & (holds > 0), 2 * radius, smallest)
    fails = np.maximum(
        over(ranges.lower_of_inf, inner, np.maximum) - over(smooth.values, inner, np.minimum),
        over(smooth.values, inner, np.maximum) - over(ranges.upper_of_sup, inner, np.minimum),
    )
    width = over(ranges.sup - ranges.inf, inner, np.minimum)
    verdict, margin = _verdicts(holds, fails, width, EMPTY * largest, last)
    place = np.stack(np.meshgrid(*points, indexing="ij"), axis=-1).reshape(-1, 3)
    h = float(np.linalg.norm(nodes.steps[nodes.varying].sum(axis=0)))
    return _Decided(verdict, margin, smallest, place.astype(np.float64), h)


def attainable_in_ball(field: Field, x: ArrayLike, a: float) -> tuple[float, float] | None:
    """Infimum and supremum of the averages over balls about x of diameters up to a, eq. 24; None if it is empty.

    field  Field; on an open axis it must reach a/2 beyond x on both sides
    x      (3,) position [Å]
    a      largest diameter [Å]

    The averages are exact at x, wherever it lies. Empty is what is no wider than rounding. Raises InputError for an a
    that is not positive or longer than the cell, or reaches beyond an open end; for fields that were not read.
    """
    waves, place = _at(field, x, a, "Averages over balls")
    shape = waves.values.shape
    spectrum = scipy.fft.fftn(waves.values) / waves.values.size
    modes = np.stack(np.meshgrid(*(np.fft.fftfreq(n, 1 / n) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    phases = [np.exp(2j * np.pi * modes[:, axis] * place[axis] / n) for axis, n in enumerate(shape)]
    for axis, n in enumerate(shape):
        if n % 2 == 0:  # the mode n/2 stands for both signs
            half = modes[:, axis] == -n // 2
            phases[axis] = np.where(half, phases[axis].real, phases[axis])
    power = (spectrum.ravel() * prod(phases)).real
    lattice = waves.steps * np.array(shape)[:, None]
    k = np.linalg.norm(modes @ (2 * np.pi * np.linalg.inv(lattice).T), axis=1)
    kept = np.abs(power) > 1e-15 * max(float(np.abs(power).sum()), 1e-300)
    k, power = k[kept], power[kept]
    if not len(k):
        return None
    widest = 2 * np.pi / max(float(k.max()), 2 * np.pi / a)
    m = max(65, ceil(WIDTHS_PER_WAVE * a / widest))
    eta = a * np.arange(m + 1) / m
    means = np.array([float(power @ _ball_transform(k * width / 2)) for width in eta])
    (low,), (high,) = range_of(means[None])
    empty = high - low <= EMPTY * waves.largest
    return None if empty else (float(low) + waves.middle, float(high) + waves.middle)


def line_through(field: Field, x: ArrayLike, axis: int | str) -> Profile:
    """The values of a field along a line through x, for what is defined on profiles: attainable, Assumption 8.

    field  Field
    x      (3,) position [Å]
    axis   lattice vector along which the line runs; positions are lengths along it, from the plane of the first points

    Between grid points the field is band-limited. Raises InputError for fields that were not read.
    """
    index = axis_index(axis)
    waves, place = _at(field, x, 0.0, "A line through a field", other_than=index)
    values = waves.values
    for other in sorted((i for i in range(3) if i != index), reverse=True):
        n = values.shape[other]
        apart = np.pi * (place[other] - np.arange(n))
        near = np.abs(np.sin(apart / n)) < 1e-12
        safe = np.where(near, 1.0, apart / n)
        weights = np.sin(apart) / (n * (np.sin(safe) if n % 2 else np.tan(safe)))
        values = np.tensordot(np.where(near, 1.0, weights), values, (0, other))
    step, n = float(np.linalg.norm(field.grid.steps[index])), field.grid.shape[index]
    done = {"step": "line", "axis": AXIS_NAMES[index], "through": [float(v) for v in np.ravel(x)]}
    line: Array = np.array(values[:n] + waves.middle, dtype=np.float64)
    return Profile(
        np.arange(0.0, n) * step, line, field.unit, field.quantity, step * n, boundary=field.grid.boundary[index],
        planes=f"along {AXIS_NAMES[index]}", provenance=(*field.provenance, done),
    )  # fmt: skip


def _at(field: Field, x: ArrayLike, a: float, what: str, other_than: int | None = None) -> tuple[_Waves, Array]:
    """The field as waves, and x in steps of its grid."""
    position = np.asarray(x, dtype=np.float64).reshape(-1)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise InputError(f"x = {x!r}: give a position of three numbers in Å.")
    place = np.linalg.solve(field.grid.steps.T, position - field.grid.origin)
    shortest = min((float(v) for v, n in zip(field.grid.lengths, field.grid.shape, strict=True) if n > 1), default=0.0)
    if other_than is None and not (isfinite(a) and 0 < a <= shortest):
        raise InputError(
            f"a = {a:g} Å: give a positive one, not longer than the shortest side of the cell, {shortest:g} Å."
        )
    reach = a / 2 * np.linalg.norm(np.linalg.inv(field.grid.steps), axis=0)
    for axis in range(3):
        n = field.grid.shape[axis]
        inside = reach[axis] - 1e-9 <= place[axis] <= n - 1 - reach[axis] + 1e-9
        if field.grid.boundary[axis] == OPEN and axis != other_than and not inside and n > 1:
            raise InputError(
                f"{what} about x reach beyond the open axis {AXIS_NAMES[axis]}: choose x further inside"
                f"{', or a smaller a' if a else ''}."
            )
    return _Waves.of(field, what), np.asarray(place)
