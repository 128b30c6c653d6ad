"""Average about points: the mean of a field in the window around some points, and how much it varies there.

    m(x) = <nu; mu>(x),   s(x) = √(<nu²; mu>(x) - m(x)²)                                paper eq. 18, at x alone

The same numbers as `average` has at x, between grid points too, for one read of the field. A weight is a sum of
products w_a[i] w_b[j] w_c[k], each found once:

    separable kernel  one product a point (line_weights.py)
    ball              chords along one lattice vector, whose means are exact (sin(ks)/ks); the chords lie at Gauss
                      points of discs (second kind of Chebyshev) and these at Gauss points of the diameter (Legendre),
                      so many that the shortest wave of the grid is integrated to rounding; any cell, but even counts
                      along oblique axes, whose modes N/2 stand for two wavevectors, are averaged as any other
    any other         the average on as few points as hold its modes (ways.py), between which it is interpolated exactly

In   Field, any quantity; kernel; points in Å.
Out  AverageAt: arrays over points in the field's unit, host, equal on every rank.

>>> import gpuhomog as gh
>>> wave = np.cos(2 * np.pi * np.arange(64) / 64) * np.ones((2, 2, 1))
>>> field = gh.Field.from_array(wave, np.diag([9.0, 9.0, 8.0]))
>>> found = average_at(field, gh.Gaussian(2.0), [0, 0, 0.2])
>>> print(f"{found.values[0]:.9f} {np.exp(-((2 * np.pi / 8) ** 2) * 2.0**2 / 8) * np.cos(2 * np.pi * 0.2 / 8):.9f}")
0.725558763 0.725558763
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import ceil, pi
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...averaging_kernels import AveragingKernel, Ball
from ...device import Device
from ...errors import InputError, KernelError
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, Grid
from ...parallel import Slab
from ...reduction import SUM, Arrays, Reduction
from ...results import Result, Tables, unit_after
from ...streaming import Unread, in_chunks, together
from ...structure import IONS
from ..profiles.unrolled import BANDLIMITED
from .average import agreed_way, mean_of_some, plan_of_grid
from .line_weights import Line, interpolation_weights
from .streamed import digest_of
from .ways import WAYS, ByAllModes, ByLowModes, Plan

Array = NDArray[np.float64]

EXTRA_NODES, EXTRA_BY_ROOT = 8, 4
"""Gauss points beside kR/2, and those by its cube root: from there on Bessel functions of kR fall to rounding. With
half of both the error of white noise is 1e-12 of it at most, for kR from 4 to 140."""
UNREAD_FILTERS = 5
"""A filter by way of the disk takes as long as so many in memory."""
TOLD = 24
"""Points that are printed one by one."""


@dataclass(frozen=True, eq=False)
class AverageAt(Result):
    """Means about n points.

    points      (n, 3) Cartesian [Å]
    values      (n,) means of the field in the window about each [unit]
    spread      (n,) standard deviation of the field in the window, √(<ν²> - <ν>²) [unit]; 0 where band-limited squares
                have a variance below 0
    atoms       what is at each point, as "Mg 3" for the third atom; () for points that were given by their places
    quantity, unit  of the field; None: not known
    window      the kernel, with its size in Å
    sampling    "bandlimited" or "cell": what the samples were taken for
    provenance  what was read and done, step by step
    """

    points: Array
    values: Array
    spread: Array
    atoms: tuple[str, ...]
    quantity: str
    unit: str | None
    window: Mapping[str, Any]
    sampling: str
    provenance: tuple[Mapping[str, Any], ...] = ()

    columns: ClassVar[tuple[str, ...]] = ("points", "values", "spread")

    def tables(self) -> Tables:
        """As the terminal shows it: mean and spread about each point; of many atoms those of their values."""
        unit = unit_after(self.unit)
        rows = []
        for place, value, spread, name in zip(
            self.points, self.values, self.spread, self.atoms or ("",) * len(self.points), strict=True
        ):
            at = f"({', '.join(f'{x:.4f}' for x in np.round(place, 4) + 0.0)}) Å"
            rows.append((f"{name} {at}".strip(), f"{value:.8g}{unit}, spread {spread:.4g}{unit}"))
        if len(rows) > TOLD:
            least, greatest = int(self.values.argmin()), int(self.values.argmax())
            rows = [
                ("points", str(len(rows))),
                ("mean of all", f"{self.values.mean():.8g}{unit}, from point to point {self.values.std():.4g}{unit}"),
                ("smallest", f"{rows[least][1]}, {rows[least][0]}"),
                ("largest", f"{rows[greatest][1]}, {rows[greatest][0]}"),
            ]
        size = ", ".join(f"{name} {value}" for name, value in self.window.items() if name != "kernel")
        return (
            (f"{self.quantity.replace('_', ' ').capitalize()} in a {self.window['kernel']}, {size} Å", tuple(rows)),
        )


def average_at(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    points: ArrayLike | str,
    *,
    sampling: str | None = None,
    outside: float = 0.0,
) -> AverageAt:
    """Mean of a field, and its spread, in the window of a kernel about points: eq. 18 there.

    field     Field, also of values that were not read
    kernel    averaging kernel; a sequence is applied one after another
    points    (n, 3) or (3,) Cartesian [Å], anywhere in a periodic cell or beyond it; or the atoms of the field: an
              element such as "Mg", "ions" for all of them
    sampling  "bandlimited" (default) or "cell"
    outside   value of the field beyond open boundaries, in its unit

    What samples are between and beyond the points of the grid is said at `average`; in double precision whatever that
    of the field is. Raises InputError for points that are not finite, or outside an open axis, for a field without
    atoms, or without those; KernelError as `average`, and for sampling="cell" where the kernel is no product over the
    axes.
    """
    places, atoms = _places(field, points)
    plan = plan_of_grid(field, kernel, sampling)
    grid = field.grid
    samples = grid.fractional(places) * grid.shape
    for axis in range(3):
        if (
            grid.boundary[axis] == OPEN
            and not ((samples[:, axis] > -0.5) & (samples[:, axis] < grid.shape[axis])).all()
        ):
            raise InputError(
                f"A point lies outside the cell along the open axis {AXIS_NAMES[axis]}, where there is no field: give "
                "points within the cell."
            )
    centre = outside if OPEN in grid.boundary else mean_of_some(field)
    weights = _weights(plan, samples)
    deviation, square = _powers(field, centre, stays=weights is None)
    way = "products"
    if weights is not None:
        of_grid = [partial(_summed, replace(field, values=power), weights) for power in (deviation, square)]
        mean, mean_square = together(deviation, *of_grid)
        way = "chords" if len(weights.owners) > len(places) else way
    else:
        whole, way_there = _whole(plan)
        if isinstance(field.values, Unread) and not way_there.streams(whole):
            field.values.refuse(f"The average with a {plan.kernel.name} about points", "take a Gaussian or a box")
        between = _between(whole, samples)
        of_modes = [partial(_interpolated, whole, way_there, power, between) for power in (deviation, square)]
        mean, mean_square = together(deviation, *of_modes)
        way = way_there.name
    variance = np.maximum(mean_square - mean**2, 0.0)
    described = plan.kernel.describe()
    step = {"step": "average about points", "points": len(places), **described, "sampling": plan.sampling, "way": way}
    return AverageAt(
        points=places,
        values=mean + centre,
        spread=np.sqrt(variance),
        atoms=atoms,
        quantity=field.quantity,
        unit=field.unit,
        window=described,
        sampling=plan.sampling,
        provenance=(*field.provenance, step),
    )


def _places(field: Field, points: ArrayLike | str) -> tuple[Array, tuple[str, ...]]:
    """The points, and the names of the atoms that they are."""
    if isinstance(points, str):
        structure = field.structure
        if structure is None or not len(structure):
            raise InputError(f'Points at "{points}": the field came without atoms; give places in Å.')
        chosen = [i for i, symbol in enumerate(structure.symbols) if points in (symbol, IONS)]
        if not chosen:
            raise InputError(f'Points at "{points}": the atoms are {structure.formula}; name one of their elements.')
        return structure.positions[chosen], tuple(f"{structure.symbols[i]} {i + 1}" for i in chosen)
    places = np.array(points, dtype=np.float64)
    if places.size == 0 or places.shape[-1:] != (3,) or places.ndim > 2 or not np.isfinite(places).all():
        raise InputError(f"Points of shape {places.shape}: give three finite numbers in Å for each, or an element.")
    return places.reshape(-1, 3), ()


def _powers(field: Field, centre: float, stays: bool) -> tuple[Any, Any]:
    """Values less the centre and their squares, float64; of planes as they come, unless all are needed and there."""
    device = field.device
    if stays and not isinstance(field.values, Unread):
        return device.asarray(field.values, np.float64) - centre, device.squared_deviation(field.values, centre)
    known = isinstance(field.values, Unread)
    values = field.values if known else in_chunks(field.values, field.slab, field.comm, device)
    deviation = values.mapped(f"less {centre!r}", lambda v: device.asarray(v, np.float64) - centre, np.float64)
    squared = values.mapped(f"squared less {centre!r}", lambda v: device.squared_deviation(v, centre), np.float64)
    return deviation, squared


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of a grid for several points: of each Σ over its rows of first ⊗ Σ_q second[q] ⊗ along[q].

    axes    the axis of `first`, that of `second`, and that along which ranks and chunks have planes
    first   (rows, n)
    second  of each row (q, n)
    along   of each row (q, n)
    owners  of each row the point
    """

    axes: tuple[int, int, int]
    first: Array
    second: Sequence[Array]
    along: Sequence[Array]
    owners: Sequence[int]

    def sums(self, device: Device, values: Any, slab: Slab) -> Arrays:
        """(points,) sums over some planes."""
        found = np.zeros(max(self.owners) + 1)
        if slab.n_local:
            across, beside, split = self.axes
            rows = device.to_host(device.contract(values, self.first, across))
            rows = np.moveaxis(rows, (across, split, beside), (0, 1, 2))
            for row, second, along, owner in zip(rows, self.second, self.along, self.owners, strict=True):
                found[owner] += float(((row @ second.T) * along[:, slab.planes].T).sum())
        return (found,)


def _summed(field: Field, weights: Weights) -> Array:
    """The weighted sums of all values, for each point."""
    name = f"weighted sums {digest_of(weights.first, *weights.second, *weights.along)}"
    (found,) = field.reduce(Reduction(name, weights.sums, (SUM,)))
    return np.asarray(found, dtype=np.float64)


def _weights(plan: Plan, samples: Array) -> Weights | None:
    """Weights for points, in samples along each axis; None where the kernel has none, or a filter takes less."""
    if plan.factors is not None:
        lines = [replace(line, points=samples[:, axis]) for axis, line in enumerate(plan.lines)]
        there = replace(plan, lines=(lines[0], lines[1], lines[2]))
        rows = [WAYS["lines"].matrix_along(there, axis, False) for axis in range(3)]  # type: ignore[attr-defined]
        return _of_rows(rows, plan.field.slab.axis)
    if plan.sampling != BANDLIMITED:
        raise KernelError(
            f"A {plan.kernel.name} has no exact form for cell averages about points of this cell: use sampling="
            '"bandlimited", or Box.'
        )
    if not isinstance(plan.kernel, Ball) or _has_two_signs(plan):
        return None
    axes = _axes(plan.field.slab.axis)
    device, count = plan.field.device, _enough(_shortest_wave(plan.field.grid) * plan.kernel.radius)
    takes = len(samples) * count * (1 + count / plan.lines[axes[0]].n)
    filters = UNREAD_FILTERS if isinstance(plan.field.values, Unread) else 1
    if takes > filters * device.filter_in_columns[plan.field.values.dtype.name]:
        return None
    return _of_balls(plan, samples, axes)


def _axes(split: int) -> tuple[int, int, int]:
    """The axes in the order of Weights: across, beside, and that of the slab."""
    beside, across = (axis for axis in range(3) if axis != split)
    return across, beside, split


def _of_rows(rows: Sequence[Array], split: int) -> Weights:
    """One product a point, of a row for each axis."""
    across, beside, _ = axes = _axes(split)
    second, along = ([row[None] for row in rows[axis]] for axis in (beside, split))
    return Weights(axes, rows[across], second, along, range(len(rows[across])))


def _has_two_signs(plan: Plan) -> bool:
    """True if a mode N/2 stands for wavevectors of two lengths, whose mean `average` takes between grid points."""
    reciprocal = plan.field.grid.reciprocal
    metric = reciprocal @ reciprocal.T
    oblique = np.abs(metric) > 1e-10 * np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    periods = np.array([line.period for line in plan.lines])
    apart = oblique & ~np.eye(3, dtype=bool) & (periods > 1)
    return bool(apart[(periods > 1) & (periods % 2 == 0)].any())


def _shortest_wave(grid: Grid) -> float:
    """The largest wavevector of a grid [1/Å]."""
    corners = [np.array(signs) * grid.shape / 2 @ grid.reciprocal for signs in product((-1, 1), repeat=3)]
    return max(float(np.linalg.norm(corner)) for corner in corners)


def _enough(phase: float) -> int:
    """Gauss points that integrate e^{ikx} from -R to R to rounding, kR being the phase."""
    return ceil(phase / 2 + EXTRA_BY_ROOT * (phase / 2) ** (1 / 3)) + EXTRA_NODES


def _of_balls(plan: Plan, samples: Array, axes: tuple[int, int, int]) -> Weights:
    """Chords of balls: a row for each disc."""
    assert isinstance(plan.kernel, Ball)
    grid, radius = plan.field.grid, plan.kernel.radius
    across, beside, split = axes
    to_samples = np.linalg.inv(grid.cell) * grid.shape
    normal, direction = grid.normal(across), grid.cell[split] / grid.lengths[split]
    sideways = np.cross(normal, direction)
    shortest = _shortest_wave(grid)
    heights, of_heights = np.polynomial.legendre.leggauss(_enough(shortest * radius))
    first, second, along, owners = [], [], [], []
    for owner, place in enumerate(samples):
        for height, of_height in zip(heights * radius, of_heights * radius, strict=True):
            disc = float(np.sqrt(radius**2 - height**2))
            count = _enough(shortest * disc)
            turn = np.arange(1, count + 1) * pi / (count + 1)
            half = disc * np.sin(turn)
            moved = place + np.outer(disc * np.cos(turn), sideways @ to_samples) + height * normal @ to_samples
            weight = of_height * 2 * disc**2 * pi / (count + 1) * np.sin(turn) ** 2 / (4 / 3 * pi * radius**3)
            first.append(_interpolation(plan.lines[across], moved[:1, across])[0])
            second.append(_interpolation(plan.lines[beside], moved[:, beside]))
            along.append(weight[:, None] * _chords(plan.lines[split], moved[:, split], half))
            owners.append(owner)
    return Weights(axes, np.array(first), second, along, owners)


def _turns(line: Line, points: Array) -> Array:
    """Points, in samples from the first one, as parts of the period."""
    return np.mod((points + line.offset) / line.period, 1.0)


def _interpolation(line: Line, points: Array) -> Array:
    """(points, n) weights of the value at points, in samples from the first one."""
    weights = interpolation_weights(_turns(line, points), line.period)
    return weights[:, line.offset : line.offset + line.n]


def _chords(line: Line, points: Array, half: Array) -> Array:
    """(points, n) weights of the means over chords about points, each of its own half length [Å]."""
    wavevectors = line.mode_wavevectors()
    turns = np.outer((points + line.offset) / line.period, np.arange(len(wavevectors)))
    modes = np.sinc(np.outer(half, wavevectors) / pi) * np.exp(-2j * pi * np.mod(turns, 1.0))
    return np.fft.irfft(modes, line.period, axis=1)[:, line.offset : line.offset + line.n]


def _whole(plan: Plan) -> tuple[Plan, ByLowModes | ByAllModes]:
    """A plan for as few points of the whole period as hold every mode that is left, and the way to them."""
    way: ByLowModes | ByAllModes = ByAllModes() if plan.low_mode_counts is None else ByLowModes()
    counts = plan.low_mode_counts or [line.period for line in plan.lines]
    a, b, c = (
        replace(line, points=np.asarray(np.arange(count) * (line.period / count) - line.offset, dtype=np.float64))
        for line, count in zip(plan.lines, counts, strict=True)
    )
    whole = replace(plan, lines=(a, b, c))
    agreed_way(whole, way)
    return whole, way


def _between(whole: Plan, samples: Array) -> Weights:
    """Weights of the points of a whole plan for points, in samples of the field."""
    rows = [
        interpolation_weights(_turns(line, samples[:, axis]), len(line.points)) for axis, line in enumerate(whole.lines)
    ]
    return _of_rows(rows, whole.field.slab.axis)


def _interpolated(whole: Plan, way: ByLowModes | ByAllModes, values: Any, weights: Weights) -> Array:
    """The average of values on the points of a whole plan, then at the points of the weights."""
    (averaged,) = way.run(whole, values, (None,))
    grid = Grid(whole.n_out, whole.field.grid.cell)
    return _summed(replace(whole.field, values=averaged, grid=grid, slab=whole.slab), weights)
