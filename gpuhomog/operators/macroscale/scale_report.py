"""Scale report: everything that a field's averages at several scales say, from one read of the field.

    read once    moments of every plane along a, b and c, extrema; the field, and its square, on few coarse points
    coarse work  spectrum of the longest waves and what it permits (scales); for every kernel the average, the local
                 variance <ν²> - <ν>², the interval-valued field (eqs. 21, 25) and the uncertainty relation (eq. 26)

A kernel whose transform ends, mu^(k) = 0 to rounding beyond k_c, sees nothing of shorter waves. So short windows
(line_taps.py), or along axes without divisors a projection onto the modes, take the field to coarse points that hold
all modes up to the largest k_c; every kernel is a multiplier there, exact to the rounding of the values. All reductions
share one pass: what is asked of some planes finds them in the cache, in one read of a file, on ranks of their own
planes.

Along k the relation is that of the modes themselves: σ_V² = Σ P |mu^|² over the modes, and a component of the gradient
has the mean square Σ k² P |mu^|²/d in d dimensions, so that S ~ k^α gives a Gaussian σ_x σ_p = √((α + d)/(2 d)) σ_V.

In   Field, whole or slab, read or not; averaging kernels without edges, a number being the eps of a Gaussian [Å].
Out  ScaleReport, on the host, equal on every rank.

>>> import gpuhomog as gh
>>> import warnings; warnings.simplefilter("ignore")
>>> x = np.arange(64) / 64
>>> wave = 3.0 + np.cos(2 * np.pi * x)[:, None, None] + np.cos(2 * np.pi * 16 * x)
>>> found = scale_report(gh.Field.from_array(wave + np.zeros((64, 64, 64)), 32.0 * np.eye(3)), [4.0, 8.0])
>>> [f"{v:.6f}" for v in found.eps_V_average / np.sqrt(2) * np.exp((2 * np.pi / 32) ** 2 * found.eps**2 / 8)]
['1.000000', '1.000000']
>>> f"{found.local_std[0]:.4f} {found.scales.a:.4f}"
'0.7559 1.9949'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import AveragingKernel, Gaussian
from ...device import Device
from ...errors import InputError, KernelError
from ...fft import AlongAxes, filtered
from ...field import Field
from ...grid import OPEN, Grid
from ...parallel import Serial, Slab, agree_on, fetch_planes
from ...reduction import OWN, Arrays, Reduction, planar_moments
from ...results import Profile, Result, Tables, unit_after
from ...streaming import Run, Unread, in_chunks, in_turns, together, workers
from ..averages.average import check_outside, mean_of_some, smooth_plans
from ..averages.line_taps import AxisTaps, untouched
from ..averages.line_weights import Line, interpolation_weights, spectral_weights
from ..averages.streamed import fits
from ..averages.ways import Plan, line_transform, multipliers, taps_along
from ..profiles.planar import profile_of_planes
from .field_intervals import BALL_PER_EPS, FieldIntervals, intervals_of
from .scales import Scales, Spectrum, low_mode_counts, low_modes_spectrum, scales_of, spectrum_below
from .uncertainty import Uncertainty, relation_of

Array = NDArray[np.float64]

SPECTRUM_MODES = 45
"""Waves along the longest axis, on either side of 0, of the spectrum: a macroscale needs 30, and 512 points, which hold
them in 128, are read no slower for them."""
LARGEST_SQUARE, SMALLEST_SQUARE = 1e38, 1e-32
"""Of a deviation, and on average, that float32 holds to all its digits."""
COPIES = 6
"""Of the points that intervals are found on: ranges and averages of one scale or two at a time, and what is kept."""
EVERY = 2
"""Points that are looked at along each axis for one of the macroscopic grid."""


@dataclass(frozen=True, eq=False)
class AtScale:
    """The fields of one kernel, on its macroscopic grid, five points an eps at most; on the host, whole on every rank.

    average    <ν>
    variance   <ν²> - <ν>²; scalar, in the square of the unit
    intervals  the average as an interval
    relation   both sides of eq. 26; None for a field with open axes
    """

    average: Field
    variance: Field
    intervals: FieldIntervals
    relation: Uncertainty | None


@dataclass(frozen=True, eq=False)
class ScaleReport(Result):
    """A field at several scales, (n,) numbers for n kernels.

    eps            of each kernel, and the eps_x of its intervals [Å]
    low, high      smallest and largest average [unit]
    eps_V, largest_eps_V, detrended  widths of the intervals in the ball: median, largest, median less the slope [unit]
    eps_V_average, eps_V_difference, eps_p  twice the standard deviations of <ν>, of ν - <ν> [unit], and of a component
                   of the gradient of <ν> [unit/Å]; NaN for a field with open axes
    local_std      root mean square of the local standard deviation under the kernel [unit]
    scales         of the spectrum of the longest waves
    mean, std, smallest, largest  of the field [unit]
    profiles       planar averages along a, b, c
    in_plane_std   (n_axis,) standard deviation within each plane, along a, b, c [unit]
    at             the fields of each kernel
    kernels        what was averaged with
    """

    eps: Array
    low: Array
    high: Array
    eps_V: Array
    largest_eps_V: Array
    detrended: Array
    eps_V_average: Array
    eps_V_difference: Array
    eps_p: Array
    local_std: Array
    scales: Scales
    mean: float
    std: float
    smallest: float
    largest: float
    profiles: tuple[Profile, Profile, Profile]
    in_plane_std: tuple[Array, Array, Array]
    at: tuple[AtScale, ...] = field(repr=False)
    kernels: tuple[Mapping[str, Any], ...]
    unit: str | None
    quantity: str
    provenance: tuple[Mapping[str, Any], ...] = ()
    columns: ClassVar[tuple[str, ...]] = (
        "eps",
        "low",
        "high",
        "eps_V",
        "largest_eps_V",
        "detrended",
        "eps_V_average",
        "eps_V_difference",
        "eps_p",
        "local_std",
    )

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        unit = unit_after(self.unit)
        whole = (
            ("mean, standard deviation", f"{self.mean:.6g}, {self.std:.4g}{unit}"),
            ("smallest, largest", f"{self.smallest:.6g}, {self.largest:.6g}{unit}"),
        )
        rows = []
        for i, eps in enumerate(self.eps):
            relation = self.at[i].relation
            text = f"eps_V {self.eps_V[i]:.3g}{unit} (largest {self.largest_eps_V[i]:.3g}, less the slope "
            text += f"{self.detrended[i]:.3g}), local std {self.local_std[i]:.3g}{unit}"
            if relation is not None:
                text += f", 2 std <ν> {self.eps_V_average[i]:.3g}{unit}, eps_p {self.eps_p[i]:.3g}{unit}/Å"
            rows.append((f"eps {eps:.4g} Å", text))
        return ("Field", whole), *self.scales.tables(), ("Averages at each scale", tuple(rows))


def scale_report(
    whole: Field, kernels: Sequence[AveragingKernel | float] | AveragingKernel | float, *, outside: float = 0.0
) -> ScaleReport:
    """Spectrum, averages, local variances, intervals and uncertainty numbers at several scales, from one read.

    kernels  kernels without edges (Gaussian, PowerLaw, …); a number is the eps of a Gaussian [Å]
    outside  value of the field beyond open boundaries, in its unit

    Samples are those of a smooth field, and open axes end, as in `average`; averages are exact to the rounding of the
    field's precision. The spectrum holds the longest waves one by one and all others as one, as for fields that are
    not in memory (`scales`). Intervals are those of `field_intervals` on points eps/10 apart, or the field's own where
    those lie farther apart, about every second of them along each axis.

    Raises KernelError where a kernel does not fit the grid, has edges, or is narrower than two samples; InputError for
    no kernel, a grid of one point, values whose squares float32 cannot hold, or a field that is not read whose coarse
    points do not fit into memory.
    Warns (AccuracyWarning) where eps exceeds a quarter of a periodic axis, of the smallest such eps, and as `scales`.
    """
    check_outside(outside)
    if whole.grid.n_points == 1:
        raise InputError("Grid of one point: it has no scales. Read more of the field.")
    averaging = _coarse_kernels(whole, kernels)
    plans = smooth_plans(whole, averaging)
    onto = _Onto.of(plans)
    facts = {"the coarse points": str([(along.count, along.taps is not None) for along in onto.axes])}
    agree_on(whole.comm, facts, "scale report")
    read_once = whole
    if not isinstance(whole.values, Unread):
        read_once = replace(whole, values=in_chunks(whole.values, whole.slab, whole.comm, whole.device))
    else:
        points = max(float(np.prod(_points(plan), dtype=float)) for plan in plans)
        if not fits(whole, 4 * onto.n_bytes + COPIES * points * whole.values.dtype.itemsize):
            whole.values.refuse("The scale report", "give larger eps")
    is_open = OPEN in whole.grid.boundary
    centre = float(whole.values.dtype.type(outside if is_open else mean_of_some(whole)))
    works: list[Callable[[], Any]] = [
        lambda: read_once.reduce(planar_moments(2, centre, whole.slab.axis)),
        lambda: onto.reduced(read_once, 1, centre),
        lambda: onto.reduced(read_once, 2, centre),
    ]
    if is_open:
        works.append(lambda: low_modes_spectrum(read_once, SPECTRUM_MODES))
    moments, deviations, squares, *spectra = in_one_read(whole, read_once.values.stream.run, works)
    sums, low, high = moments[:3], float(moments[3][0]), float(moments[4][0])
    means = [sums[axis][:, 0] / whole.grid.points_per_plane(axis) for axis in range(3)]
    squared = [sums[axis][:, 1] / whole.grid.points_per_plane(axis) for axis in range(3)]
    spreads = [np.sqrt(np.maximum(squared[axis] - means[axis] ** 2, 0.0)) for axis in range(3)]
    mean, square = (float(part.sum()) / whole.grid.n_points for part in sums[whole.slab.axis].T)
    variance = max(square - mean**2, 0.0)
    _check_squares(whole, max(high - centre, centre - low) ** 2, variance)
    modes = None if is_open else onto.modes(deviations)
    spectrum = spectra[0] if modes is None else _spectrum(whole, modes, variance, square + centre**2)
    found = scales_of(spectrum, whole)
    relations = [None if modes is None else _relation(plan, modes, variance, found) for plan in plans]
    averages, powers = onto.averages(plans, deviations), onto.averages(plans, squares)
    with workers(whole.device) as (begin, _):
        parts = zip(plans, averages, powers, relations, strict=True)
        begun = [begin(partial(_at_scale, *part, centre)) for part in parts]
        at = tuple(result() for result in begun)
    profiles = [profile_of_planes(whole, axis, means[axis] + centre) for axis in range(3)]
    return ScaleReport(
        **_numbers(at),
        scales=found,
        mean=mean + centre,
        std=float(np.sqrt(variance)),
        smallest=low,
        largest=high,
        profiles=(profiles[0], profiles[1], profiles[2]),
        in_plane_std=(spreads[0], spreads[1], spreads[2]),
        at=at,
        kernels=tuple(kernel.describe() for kernel in averaging),
        unit=whole.unit,
        quantity=whole.quantity,
        provenance=(*whole.provenance, {"step": "scale report", "coarse": [along.count for along in onto.axes]}),
    )


def _coarse_kernels(
    whole: Field, kernels: Sequence[AveragingKernel | float] | AveragingKernel | float
) -> list[AveragingKernel]:
    """The kernels that were given; InputError for none, KernelError for one that is narrower than two samples."""
    given = [kernels] if isinstance(kernels, AveragingKernel | int | float | np.number) else list(kernels)
    if not given:
        raise InputError("No kernels: give at least one eps in Å, or a kernel.")
    averaging = [one if isinstance(one, AveragingKernel) else Gaussian(one) for one in given]
    coarsest = float(np.linalg.norm(whole.grid.steps, axis=1)[[n > 1 for n in whole.grid.shape]].max(initial=0.0))
    for kernel in averaging:
        if kernel.eps < 2 * coarsest * (1 - 1e-12):
            raise KernelError(
                f"eps = {kernel.eps:.4g} Å is below two samples ({coarsest:.4g} Å each): averages at that scale "
                "are not coarse. Use a larger eps, or a finer grid."
            )
    return averaging


def _check_squares(whole: Field, largest: float, variance: float) -> None:
    """InputError where squares of float32 values are infinite, or 0."""
    if whole.values.dtype == np.float32 and (largest > LARGEST_SQUARE or 0 < variance < SMALLEST_SQUARE):
        raise InputError(
            f"The values differ by {np.sqrt(variance):.3g}, and float32 cannot hold their squares, so there are no "
            "variances: take them as float64, or in other units."
        )


def in_one_read(whole: Field, run: Run, works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the functions return, once all that they ask of the planes is known; a field in memory waits for nobody."""
    return together(whole.values, *works) if isinstance(whole.values, Unread) else in_turns(works, run.make_passes)


def _relation(plan: Plan, modes: _Modes, variance: float, found: Scales) -> Uncertainty:
    """Both sides of eq. 26 from the modes."""
    provenance = (*plan.field.provenance, {"step": "uncertainty relation", "kernel": plan.kernel.describe()})
    deviations = modes.deviations(plan, variance)
    return relation_of(plan.kernel, deviations, None, found.alpha, plan.field.unit, provenance)


@dataclass(frozen=True, eq=False)
class _Along:
    """One axis onto `count` coarse points of its period: by windows, by projection onto the modes, or as it is."""

    count: int
    matrix: Array | None
    taps: AxisTaps | None


@dataclass(frozen=True, eq=False)
class _Onto:
    """The three axes onto coarse points that hold every mode that a kernel, or the spectrum, wants."""

    axes: tuple[_Along, _Along, _Along]
    split: int
    reproducible: bool
    n_bytes: int
    plan: Plan

    @classmethod
    def of(cls, plans: Sequence[Plan]) -> _Onto:
        plan = plans[0]
        lines, grid = plan.lines, plan.field.grid
        low, _ = low_mode_counts(grid, SPECTRUM_MODES)
        largest = []
        for axis in range(3):
            wanted = np.max([one.largest(axis) for one in plans], axis=0)
            wanted[: low[axis] + 1] = 1.0
            largest.append(wanted)
        periods = [line.period for line in lines]
        axes = []
        for axis, taps in enumerate(taps_along(periods, largest, plan.field.values.dtype.name)):
            line = lines[axis]
            most = int(np.flatnonzero(largest[axis] > plan.tolerance)[-1])
            if taps.decimation > 1:
                axes.append(_Along(line.period // taps.decimation, _matrix(plan, axis, taps), taps))
            elif 2 * most + 1 < line.period or line.is_open:
                count = min(2 * most + 1, line.period)
                samples = (np.arange(line.n) + line.offset) / line.period
                matrix = interpolation_weights(samples, count).T * (count / line.period)
                axes.append(_Along(count, matrix, None))
            else:
                axes.append(_Along(line.n, None, None))
        split, itemsize = plan.field.slab.axis, plan.field.values.dtype.itemsize
        in_plane = int(np.prod([along.count for axis, along in enumerate(axes) if axis != split]))
        planes = max(axes[split].count, -(-plan.field.slab.n // plan.field.comm.size))
        return cls((axes[0], axes[1], axes[2]), split, plan.field.reproducible, in_plane * planes * itemsize, plan)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Coarse points along each axis."""
        return self.axes[0].count, self.axes[1].count, self.axes[2].count

    def reduced(self, read_once: Field, power: int, centre: float) -> Any:
        """(value - centre)^power on the coarse points, whole on every rank, on the device: one read."""
        name = f"power {power} about {centre!r} on coarse points {self.counts}, taps of {read_once.values.dtype}"
        (in_planes,) = read_once.reduce(Reduction(name, self._local(power, centre), (OWN,), n_bytes=self.n_bytes))
        across = self.axes[self.split].matrix
        plan, comm = self.plan, read_once.comm
        coarse = in_planes if across is None else plan.along_slabs(in_planes, across)
        slab = Slab.of(self.axes[self.split].count, comm.rank, comm.size, self.split)
        return fetch_planes(comm, read_once.device, slab, coarse, [np.arange(slab.n)] * comm.size)

    def _local(self, power: int, centre: float) -> Callable[[Device, Any, Slab], Arrays]:
        split, others = self.split, [axis for axis in range(3) if axis != self.split]
        taps = [
            untouched(along.count) if along.taps is None or axis == split else along.taps
            for axis, along in enumerate(self.axes)
        ]
        by_taps = not self.reproducible and not any(self.plan.lines[axis].is_open for axis in others)

        def local(device: Device, values: Any, slab: Slab) -> Arrays:
            contract = device.contract_in_order if self.reproducible else device.contract
            if by_taps:
                part = device.contract_taps(values, taps, power, centre)
                left = [axis for axis in others if self.axes[axis].taps is None]
            else:
                part = values - values.dtype.type(centre)
                part = part * part if power == 2 else part
                left = others
            for axis in left:
                matrix = self.axes[axis].matrix
                part = part if matrix is None else contract(part, matrix, axis)
            return (part,)

        return local

    def averages(self, plans: Sequence[Plan], coarse: Any) -> list[Callable[[Sequence[int]], Any]]:
        """Under each kernel a function of the points wanted along each axis: the average there.

        Products over axes are one matrix an axis; all other kernels are multipliers first.
        """
        device = self.plan.field.device
        together = [plan for plan in plans if plan.factors is None]
        undo = AlongAxes([None if along.taps is None else along.taps.undo(1) for along in self.axes])
        kernels = [multipliers(plan, self.counts, (None,))[0] for plan in together]
        made = filtered(device, coarse, *[replace(one, parts=[*one.parts, undo]) for one in kernels]) if kernels else []

        def sampled(plan: Plan, counts: Sequence[int]) -> Any:
            values = made[together.index(plan)] if plan in together else coarse
            steps = [self._weights(plan, axis, counts[axis]) for axis in range(3)]
            for turn in (0, 1):  # to the points that hold what the kernel leaves, then to those that are wanted
                matrices = [(axis, steps[axis][turn]) for axis in range(3) if len(steps[axis]) > turn]
                for axis, matrix in sorted(matrices, key=lambda one: one[1].shape[0] / one[1].shape[1]):
                    values = device.contract(values, matrix, axis)
            return values

        return [partial(sampled, plan) for plan in plans]

    def _weights(self, plan: Plan, axis: int, count: int) -> list[Array]:
        """From the coarse points of an axis to `count` others, by way of fewer where the kernel leaves fewer modes."""
        line, along = plan.lines[axis], self.axes[axis]
        points = (np.arange(count) * (line.n / count) + line.offset) / line.period
        enough = along.count if plan.low_mode_counts is None else plan.low_mode_counts[axis]
        if enough < min(along.count, count):
            return [self._onto(plan, axis, np.arange(enough) / enough), interpolation_weights(points, enough)]
        return [self._onto(plan, axis, points)]

    def _onto(self, plan: Plan, axis: int, points: Array) -> Array:
        """(n, coarse points) to points of the period, in [0, 1), under the kernel if it is a product over axes."""
        line, along = plan.lines[axis], self.axes[axis]
        if plan.factors is None:
            return interpolation_weights(points, along.count)
        kernels, step = plan.factors[axis], line.step * line.period / along.count
        undone = 1.0 if along.taps is None else along.taps.transform
        here = Line(along.count, step, along.count, 0, points * along.count)
        return spectral_weights(here, lambda k: line_transform(kernels, k, False) / undone)

    def modes(self, deviations: Any) -> _Modes:
        """Power of the modes of a periodic field, on the host."""
        device, counts = self.plan.field.device, self.counts
        spectrum = np.asarray(device.to_host(device.rfftn(deviations)))
        power = np.abs(spectrum.astype(np.complex128)) ** 2 / float(np.prod(counts)) ** 2
        last = counts[2] // 2 + 1
        power[:, :, 1 : last - (counts[2] % 2 == 0)] *= 2.0
        numbers = [np.asarray(np.fft.fftfreq(n, 1 / n), dtype=np.float64) for n in counts]
        numbers[2] = np.arange(last, dtype=np.float64)
        for axis, along in enumerate(self.axes):
            undone = None if along.taps is None else along.taps.undo(2)
            if undone is not None:
                shape = [-1 if i == axis else 1 for i in range(3)]
                power *= (undone(numbers[axis]) / along.taps.decimation).reshape(shape)  # type: ignore[union-attr]
        return _Modes(power, numbers)


@dataclass(frozen=True, eq=False)
class _Modes:
    """Power of the coarse modes, k and -k together, and their numbers along each axis."""

    power: Array
    numbers: list[Array]

    def wavevectors(self, grid: Grid) -> Array:
        """|k| of every mode."""
        rows = grid.reciprocal
        a, b, c = (number.reshape(np.roll((-1, 1, 1), axis)) for axis, number in enumerate(self.numbers))
        square = sum((a * rows[0, x] + b * rows[1, x] + c * rows[2, x]) ** 2 for x in range(3))
        return np.asarray(np.sqrt(square))

    def deviations(self, plan: Plan, variance: float) -> list[float]:
        """Standard deviations of ν, of <ν>, of ν - <ν>, and of a component of the gradient of <ν>."""
        grid, most = plan.field.grid, plan.low_mode_counts
        assert most is not None
        kept = [np.flatnonzero(2 * np.abs(modes) < n) for modes, n in zip(self.numbers, most, strict=True)]
        a, b, c = np.ix_(*(modes[places] for modes, places in zip(self.numbers, kept, strict=True)))
        factor: Any = 1.0
        for part in multipliers(plan, plan.n_in, (None,))[0].parts:
            factor = factor * part(a, b, c)
        power = self.power[np.ix_(*kept)]
        power[0, 0, 0] = 0.0
        size = np.abs(factor) ** 2 * power
        square, cross = float(size.sum()), float((np.real(factor) * power).sum())
        rows = grid.reciprocal
        slope = sum(float((size * (a * rows[0, x] + b * rows[1, x] + c * rows[2, x]) ** 2).sum()) for x in range(3))
        n_axes = max(1, sum(n > 1 for n in grid.shape))
        parts = (variance, square, variance - 2 * cross + square, slope / n_axes)
        return [float(np.sqrt(max(part, 0.0))) for part in parts]


def _matrix(plan: Plan, axis: int, taps: AxisTaps) -> Array:
    """(m, n) weights of the windows on the samples of a line, zeros beyond an open one's ends."""
    line = plan.lines[axis]
    m = line.period // taps.decimation
    laid = np.zeros((m, line.period))
    reached = np.arange(m)[:, None] * taps.decimation + taps.first + np.arange(len(taps.weights))
    np.add.at(laid, (np.arange(m)[:, None], reached % line.period), np.broadcast_to(taps.weights, reached.shape))
    return np.ascontiguousarray(laid[:, line.offset : line.offset + line.n])


def _spectrum(whole: Field, modes: _Modes, variance: float, square: float) -> Spectrum:
    """Shells of the longest waves; of half the modes that are two, each is one of two."""
    grid = whole.grid
    _, cut = low_mode_counts(grid, SPECTRUM_MODES)
    k = modes.wavevectors(grid)
    weight = np.full(len(modes.numbers[2]), 2.0)
    weight[0] = 1.0
    weight = np.broadcast_to(weight, k.shape)
    return spectrum_below(whole, cut, k, modes.power / weight, weight, variance, square, False)


def _points(plan: Plan) -> list[int]:
    """Points along each axis that intervals are found on."""
    grid = plan.field.grid
    finest = np.maximum(grid.lengths / grid.shape, plan.kernel.eps / BALL_PER_EPS)
    return [
        1 if n == 1 else EVERY * max(1, ceil(length / (EVERY * step) * (1 - 1e-12)))
        for n, length, step in zip(grid.shape, grid.lengths, finest, strict=True)
    ]


def _at_scale(
    plan: Plan,
    average: Callable[[Sequence[int]], Any],
    power: Callable[[Sequence[int]], Any],
    relation: Uncertainty | None,
    centre: float,
) -> AtScale:
    """The fields of one kernel on its macroscopic grid, from the averages of both powers; eps_x is eps."""
    whole, eps = plan.field, plan.kernel.eps
    grid, device = whole.grid, whole.device
    counts = _points(plan)
    fine = average(counts)
    step = {"step": "average", **plan.kernel.describe(), "sampling": plan.sampling, "way": "scale report"}
    shape = (counts[0], counts[1], counts[2])
    here = Grid(shape, grid.cell, grid.origin, grid.boundary)
    smooth = whole.derive(fine + fine.dtype.type(centre), step, grid=here, slab=Slab.of(shape[0]), comm=Serial())
    intervals = intervals_of(smooth, plan.kernel, eps, EVERY)
    coarse = [-(-n // EVERY) for n in counts]
    mean = np.asarray(device.to_host(fine)[::EVERY, ::EVERY, ::EVERY], dtype=np.float64)
    square = np.asarray(device.to_host(power(coarse)), dtype=np.float64)
    variance = np.maximum(square - mean**2, 0.0)

    def made(values: Array, name: str, unit: str | None, quantity: str) -> Field:
        lies = {part: getattr(intervals.mean, part) for part in ("grid", "device", "slab", "comm")}
        return whole.derive(values, {**step, "step": name}, **lies, unit=unit, quantity=quantity)

    return AtScale(
        made(mean + centre, "average", whole.unit, whole.quantity),
        made(variance, "variance", None, "scalar"),
        intervals,
        relation,
    )


def _numbers(at: Sequence[AtScale]) -> dict[str, Array]:
    """The columns of a report."""

    def column(number: Callable[[AtScale], float]) -> Array:
        return np.array([number(one) for one in at], dtype=np.float64)

    def of_relation(name: str) -> Array:
        return column(lambda one: np.nan if one.relation is None else getattr(one.relation, name))

    return {
        "eps": column(lambda one: one.intervals.eps_x),
        "low": column(lambda one: float(one.intervals.low.values.min())),
        "high": column(lambda one: float(one.intervals.high.values.max())),
        "eps_V": column(lambda one: one.intervals.eps_V[3]),
        "largest_eps_V": column(lambda one: one.intervals.largest_eps_V[3]),
        "detrended": column(lambda one: one.intervals.detrended[3]),
        "eps_V_average": of_relation("eps_V_average"),
        "eps_V_difference": of_relation("eps_V_difference"),
        "eps_p": of_relation("eps_p"),
        "local_std": column(lambda one: float(np.sqrt(one.variance.values.mean()))),
    }
