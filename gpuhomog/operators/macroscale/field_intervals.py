"""Interval-valued field in three dimensions: ranges of averages over segments along a, b and c, and over a ball.

    V(x) = { <ν>(x') : |x' - x| ≤ eps_x/2 } = [lo, hi]              eq. 21, on a coarse grid of averages

As interval_field.py has it on a line. Extrema are those of grid points; what a ball has between them is estimated by
cubics (`missed`).

In   Field, any unit, any device, whole or slab.
Out  FieldIntervals, Fields on the host and numbers equal on every rank.

>>> import gpuhomog as gh
>>> a, b, c = np.indices((16, 16, 16))
>>> wave = gh.Field.from_array(np.cos(2 * np.pi * a / 16), 16 * np.eye(3), device="cpu")
>>> found = field_intervals(wave, gh.Gaussian(2.0), eps_x=4.0, spacing=1.0)        # nothing varies along b and c
>>> [round(width, 3) for width in found.eps_V]
[0.926, 0.0, 0.0, 0.926]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import AveragingKernel
from ...device import choose_device
from ...errors import InputError
from ...field import Field
from ...grid import OPEN, Grid
from ...parallel import Slab
from ...results import Result, Tables, unit_after
from ..averages.average import average
from .interval_field import kernel_and_width

Array = NDArray[np.float64]

BALL_PER_EPS = 10
"""Points of the coarse grid for each eps_x, of which a ball then holds 500."""
SAMPLED_POINTS = 2048
"""Points of a grid, at most, over which the median of detrended widths is taken."""
SPHERE_POINTS = 256
"""Places on the sphere of a ball at which cubics are looked at."""


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
    fine = coarse_spacings(whole, width / BALL_PER_EPS) if spacing is None else spacing
    smooth = average(whole, averaging, spacing=fine, outside=outside, sampling=sampling)
    steps = np.linalg.norm(smooth.grid.steps, axis=1)
    apart = max(float(step) for step, n in zip(steps, whole.grid.shape, strict=True) if n > 1)
    if width / 2 < apart * (1 - 1e-9):
        raise InputError(
            f"eps_x = {width:g} Å: a ball holds no second point along an axis where those of the macroscopic grid are "
            f"{apart:.4g} Å apart: give a larger eps_x, or a smaller spacing."
        )
    return intervals_of(smooth.on_every_rank(), averaging, width)


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


def coarse_spacings(field: Field, wanted: float) -> list[float]:
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
