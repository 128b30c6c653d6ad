"""Ways: how an average is computed. Each way knows what it costs for a kernel on a grid, and does it.

    ByLines     separable kernel: one matrix product along each axis
    BySums      box or top-hat: running sums with end stencils along each axis, to a stated error
    ByLowModes  smooth kernel: project onto the modes that matter, multiply there, expand
    ByTaps      smooth kernel: short windows onto coarse points, multiply there, the same windows back
    ByAllModes  any kernel: FFT of the whole field, padded on open axes

Each computes the average (derivative None) or its derivative along a lattice vector (0, 1, 2; per Å along it),
several at once where they share work.

In   Plan: field, kernel, sampling, lines (line_weights.Line), the slab of the output.
Out  arrays on the field's device, one for each derivative asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import (
    ISOTROPIC,
    PLANE,
    AveragingKernel,
    Box,
    Gaussian,
    Sampled,
    Stages,
    TopHat,
)
from ...device import Device
from ...device.cpu.spectral import sampled_lines
from ...fft import AlongAxes, Derivative, Multiplier, OfWavevector, Part, filtered
from ...field import Field
from ...parallel import Slab, contract_planes, fetch_planes
from ...parallel.exchange import at
from ...reduction import JOIN, Reduction
from ...streaming import Unread
from . import streamed
from .line_taps import AxisTaps, error_bound, taps_of, untouched
from .line_weights import (
    END_STENCIL,
    Line,
    Window,
    cell_derivative_weights,
    cell_weights,
    interpolation_weights,
    spectral_weights,
    sum_weights,
    window_of,
)

Array = NDArray[np.float64]
Derivatives = Sequence[int | None]

AXES = range(3)

CELL = "cell"
SHORTEST_STRETCH = 4
"""Below this many samples between outputs a running sum costs more than a matrix product."""
LINES_SAMPLED = 4096
"""Lines along each axis from whose power spectrum the error of running sums is bounded, about as many."""

TAPS_ERROR = {"float32": 6e-8, "float64": 4e-15}
"""Largest error of ByTaps beside rounding, relative to the rms of the field."""


def on_axis(kernel: AveragingKernel, axis: int) -> AveragingKernel:
    """The line kernel that a kernel is along an axis: a box has a width for each."""
    if isinstance(kernel, Box):
        return kernel.along(axis)
    if isinstance(kernel, Stages):
        return Stages(*[on_axis(stage, axis) for stage in kernel.kernels])
    return kernel


@dataclass(frozen=True, eq=False)
class Plan:
    """One kernel on one grid.

    field     what is averaged
    kernel    one kernel, or Stages
    sampling  "bandlimited" or "cell"
    lines     the three axes: samples, padding, output points
    """

    field: Field
    kernel: AveragingKernel
    sampling: str
    lines: tuple[Line, Line, Line]

    @property
    def stages(self) -> tuple[AveragingKernel, ...]:
        """The kernels one after another."""
        return self.kernel.kernels if isinstance(self.kernel, Stages) else (self.kernel,)

    @property
    def n_in(self) -> tuple[int, int, int]:
        """Samples along each axis."""
        return self.lines[0].n, self.lines[1].n, self.lines[2].n

    @property
    def n_out(self) -> tuple[int, int, int]:
        """Output points along each axis."""
        return len(self.lines[0].points), len(self.lines[1].points), len(self.lines[2].points)

    @property
    def tolerance(self) -> float:
        """What of a multiplier is lost in the rounding of the values."""
        return float(np.finfo(self.field.values.dtype).eps) / 8

    @property
    def slab(self) -> Slab:
        """The slab of the output on this rank."""
        axis = self.field.slab.axis
        return Slab.of(self.n_out[axis], self.field.comm.rank, self.field.comm.size, axis)

    @property
    def result_bytes(self) -> int:
        """Of one result on this rank."""
        return prod(self.slab.local_shape(self.n_out)) * self.field.values.dtype.itemsize

    def is_split(self, axis: int) -> bool:
        """True if ranks share the planes of the axis, also where one of them has all."""
        return axis == self.field.slab.axis and self.field.comm.size > 1

    def order(self, n_in: Sequence[int], n_out: Sequence[int]) -> list[int]:
        """The axes in the order in which matrix products along them cost least.

        The split axis comes last where the others become shorter, first where they become longer: little is sent.
        Reproducible sums keep that order on one rank.
        """
        axes = most_reducing_first(n_in, n_out)
        split = self.field.slab.axis
        if not (self.is_split(split) or self.field.reproducible):
            return axes
        others = [axis for axis in axes if axis != split]
        shorter = prod(n_out[axis] for axis in others) <= prod(n_in[axis] for axis in others)
        return [*others, split] if shorter else [split, *others]

    def slab_of(self, n: int) -> Slab:
        """The slab of this rank where the split axis has n planes."""
        comm = self.field.comm
        return Slab.of(n, comm.rank, comm.size, self.field.slab.axis)

    def contracted(self, values: Any, matrix: Array, axis: int, n: int | None = None) -> Any:
        """Matrix product along an axis; of the split one, which has n planes (the field's), ranks keep their slab."""
        device, in_order = self.field.device, self.field.reproducible
        if not self.is_split(axis):
            return device.contract_in_order(values, matrix, axis) if in_order else device.contract(values, matrix, axis)
        slab = self.field.slab if n is None else self.slab_of(n)
        return contract_planes(self.field.comm, device, slab, values, matrix, in_order)[0]

    def along_slabs(self, values: Any, matrix: Array) -> Any:
        """Matrix product along the slab's axis of the field."""
        return self.contracted(values, matrix, self.field.slab.axis)

    def fetched(self, values: Any, n: int, wanted: Callable[[Slab], NDArray[np.int64]], n_out: int) -> Any:
        """The planes, of n of the split axis, that each rank wants for its slab of n_out."""
        comm, axis = self.field.comm, self.field.slab.axis
        each = [wanted(Slab.of(n_out, rank, comm.size, axis)) for rank in range(comm.size)]
        return fetch_planes(comm, self.field.device, self.slab_of(n), values, each)

    def padded(self, values: Any) -> Any:
        """Zeros around the values on open axes; of the split one each rank has its slab of the padded axis then."""
        device = self.field.device
        for axis, line in enumerate(self.lines):
            if not line.is_open:
                continue
            if not self.is_split(axis):
                values = device.pad(values, axis, line.offset, line.period)
                continue

            def inside(slab: Slab, line: Line = line) -> NDArray[np.int64]:
                low, high = (min(max(x - line.offset, 0), line.n) for x in (slab.start, slab.stop))
                return np.arange(low, high)

            own = self.slab_of(line.period)
            values = self.fetched(values, line.n, inside, line.period)
            before = min(max(line.offset - own.start, 0), own.n_local)
            values = device.pad(values, axis, before, own.n_local)
        return values

    def filtered(self, values: Any, *kernels: Multiplier, largest: Callable[[], float] | None = None) -> list[Any]:
        """Every mode multiplied; values are on the grid of the multipliers, which may be another than the field's."""
        axis = self.field.slab.axis
        slab = self.slab_of(kernels[0].shape[axis])
        return filtered(self.field.device, values, *kernels, slab=slab, comm=self.field.comm, largest=largest)

    @cached_property
    def factors(self) -> tuple[tuple[AveragingKernel, ...], ...] | None:
        """For each axis the line kernels of all stages, or None if some stage is not a product over axes."""
        grid = self.field.grid
        is_line = grid.is_orthogonal and sum(n > 1 for n in grid.shape) <= 1
        for kernel in self.stages:
            separable = isinstance(kernel, Box | TopHat | Sampled) or (
                isinstance(kernel, Gaussian) and grid.is_orthogonal
            )
            if not separable and not (is_line and kernel.geometry == ISOTROPIC):  # a line: its projection is the kernel
                return None
        return tuple(tuple(on_axis(kernel, axis) for kernel in self.stages) for axis in range(3))

    @cached_property
    def low_mode_counts(self) -> tuple[int, int, int] | None:
        """Points 2m + 1 of the coarse grid that holds every mode that matters; None if no mode can be left out."""
        cutoff = self.kernel.cutoff(self.tolerance)
        if self.sampling == CELL or not np.isfinite(cutoff):
            return None
        counts = []
        for line in self.lines:
            m = int(cutoff * line.step * line.period / (2 * np.pi)) + 1  # k · a_i = 2π n_i: |n_i| <= |k| |a_i|/2π
            counts.append(min(line.period, 2 * m + 1))
        return counts[0], counts[1], counts[2]

    @cached_property
    def taps(self) -> tuple[AxisTaps, AxisTaps, AxisTaps] | None:
        """Windows along each axis for a kernel whose transform falls to nothing; None where none saves anything."""
        if self.sampling == CELL or not np.isfinite(self.kernel.cutoff(self.tolerance)):
            return None
        periods = [line.period for line in self.lines]
        taps = taps_along(periods, [self.largest(axis) for axis in range(3)], self.field.values.dtype.name)
        return None if all(along.decimation == 1 for along in taps) else taps

    def largest(self, axis: int) -> Array:
        """By mode along an axis, |mu^| of any mode with that component, or more."""
        line = self.lines[axis]
        wavevectors = 2 * np.pi / (line.period * line.step) * np.arange(2 * line.period)
        largest = np.ones(len(wavevectors))
        for kernel in self.stages:
            size = np.abs(on_axis(kernel, axis).transform(wavevectors))
            falls = np.isfinite(kernel.cutoff(self.tolerance))
            largest *= np.maximum.accumulate(size[::-1])[::-1] if falls else max(1.0, size.max())
        return largest


def taps_along(periods: Sequence[int], largest: Sequence[Array], dtype: str) -> tuple[AxisTaps, AxisTaps, AxisTaps]:
    """The cheapest windows along each axis that are exact to TAPS_ERROR together, for the largest |mu^| by mode."""
    for share in (2, 4, 8):  # of the error, for an axis: more where the corners of the coarse modes matter
        a, b, c = (taps_of(n, e, TAPS_ERROR[dtype] / share, dtype) for n, e in zip(periods, largest, strict=True))
        if error_bound((a, b, c)) <= TAPS_ERROR[dtype]:
            break
    return a, b, c


class Way(Protocol):
    """One way to compute an average."""

    name: str

    def streams(self, plan: Plan) -> bool:
        """True if it can average unread values within the memory that every rank has; collective."""
        ...

    def cost(self, plan: Plan) -> float | None:
        """Multiply-adds, or what counts as many; None if this way does not exist for the plan."""
        ...

    def run(self, plan: Plan, values: Any, derivatives: Derivatives) -> list[Any]:
        """The average, or its derivative along a lattice vector [per Å], for each entry of `derivatives`."""
        ...


def product_cost(n_in: Sequence[int], n_out: Sequence[int]) -> float:
    """Multiply-adds of three matrix products, one an axis, the most reducing first."""
    sizes, cost = list(n_in), 0
    for axis in most_reducing_first(n_in, n_out):
        cost += prod(sizes) * n_out[axis]
        sizes[axis] = n_out[axis]
    return float(cost)


def most_reducing_first(n_in: Sequence[int], n_out: Sequence[int]) -> list[int]:
    """The axes in the order in which matrix products along them cost least."""
    return sorted(range(len(n_in)), key=lambda axis: n_out[axis] / n_in[axis])


def line_transform(kernels: Sequence[AveragingKernel], k: Array, differentiate: bool) -> NDArray[Any]:
    """Product of the kernels' transforms, times -ik for a derivative: users conjugate it, eq. 18 correlates."""
    product: NDArray[Any] = np.ones(np.shape(k))
    for kernel in kernels:
        product = product * kernel.transform(k)
    return product * (-1j * k) if differentiate else product


class ByLines:
    """One matrix product along each axis: one read of the field, whatever the width of the kernel."""

    name = "lines"

    def streams(self, plan: Plan) -> bool:
        """Results have to fit into memory."""
        return streamed.fits(plan.field, plan.result_bytes)

    def cost(self, plan: Plan) -> float | None:
        """For separable kernels."""
        return None if plan.factors is None else product_cost(plan.n_in, plan.n_out)

    def run(self, plan: Plan, values: Any, derivatives: Derivatives) -> list[Any]:
        """Products that several derivatives share are made once."""
        if isinstance(values, Unread):
            return self._streamed(plan, values, derivatives)
        order = plan.order(plan.n_in, plan.n_out)
        if plan.field.reproducible:  # the slab's axis last, as planes that are read in turn leave it
            order.sort(key=lambda axis: axis == plan.field.slab.axis)
        partial: dict[tuple[bool, ...], Any] = {(): values}
        for position, axis in enumerate(order):
            wanted = {tuple(d == a for a in order[: position + 1]) for d in derivatives}
            partial = {key: self._along(plan, partial[key[:-1]], axis, key[-1]) for key in sorted(wanted)}
        return [partial[tuple(d == a for a in order)] for d in derivatives]

    def _streamed(self, plan: Plan, values: Unread, derivatives: Derivatives) -> list[Any]:
        """The same products, chunk by chunk."""
        known = {
            (axis, differentiate): self.matrix_along(plan, axis, differentiate)
            for axis in range(3)
            for differentiate in {d == axis for d in derivatives}
        }
        triples = [(known[0, d == 0], known[1, d == 1], known[2, d == 2]) for d in derivatives]
        return streamed.contracted(replace(plan.field, values=values), triples, plan.along_slabs)

    def _along(self, plan: Plan, values: Any, axis: int, differentiate: bool) -> Any:
        return plan.contracted(values, self.matrix_along(plan, axis, differentiate), axis)

    def matrix_along(self, plan: Plan, axis: int, differentiate: bool) -> Array:
        """The weights along an axis, of one sample too."""
        line = plan.lines[axis]
        if line.n == 1 and not line.is_open:
            return np.full((len(line.points), 1), 0.0 if differentiate else 1.0)
        return self.matrix(plan, axis, differentiate)

    def matrix(self, plan: Plan, axis: int, differentiate: bool) -> Array:
        """(n_out, n) weights along one axis."""
        assert plan.factors is not None
        line, kernels = plan.lines[axis], plan.factors[axis]
        if plan.sampling == CELL:
            return (cell_derivative_weights if differentiate else cell_weights)(line, kernels[0])
        return spectral_weights(line, lambda k: line_transform(kernels, k, differentiate))


class BySums(ByLines):
    """Running sums: whole stretches of samples, and end stencils exact for polynomials of degree 2q."""

    name = "sums"

    def cost(self, plan: Plan) -> float | None:
        """For one box or top-hat. Chosen by itself only where it is exact and takes all axes at once."""
        if len(plan.stages) > 1 or plan.factors is None or not isinstance(plan.stages[0], Box | TopHat):
            return None
        passes = float("inf") if plan.sampling != CELL else self.passes(plan)
        columns = plan.field.device.pass_in_columns[plan.field.values.dtype.name]
        return passes * columns * prod(plan.n_in)

    def passes(self, plan: Plan) -> float:
        """Reads of the field that all axes at once take as long as; inf where each needs its own."""
        device = plan.field.device
        if self.coarse_windows(plan) is not None:
            return device.sums_in_passes
        everywhere = all(self._full_window(plan, axis) for axis in AXES if plan.n_in[axis] > 1)
        dtype = plan.field.values.dtype.name
        return device.box_filter_in_passes(prod(plan.n_in), dtype) if everywhere else float("inf")

    def run(self, plan: Plan, values: Any, derivatives: Derivatives) -> list[Any]:
        """All axes at once where outputs lie some samples apart along each.

        Else axes with an output at every sample together, after the ones that reduce.
        """
        if isinstance(values, Unread):
            fits = super().streams(plan)
            return (self._streamed if fits else self._streamed_planes)(plan, values, derivatives)
        if plan.field.reproducible:
            return super().run(plan, values, derivatives)
        coarse = self.coarse_windows(plan)
        if coarse is not None and all(d is None for d in derivatives):
            sums = plan.field.device.box_sums(values, [coarse])[0, 0]
            return [self.finished(plan, sums)] * len(derivatives)
        windows = [self._full_window(plan, axis) for axis in range(3)]
        if any(d is not None for d in derivatives) or not any(windows):
            return super().run(plan, values, derivatives)
        for axis in plan.order(plan.n_in, plan.n_out):
            if windows[axis] is None and (plan.lines[axis].n > 1 or plan.lines[axis].is_open):
                values = self._along(plan, values, axis, False)
        return [self._box_filter(plan, values, windows)] * len(derivatives)

    def streams(self, plan: Plan) -> bool:
        """Results that do not fit are made plane by plane, if the planes of a window do."""
        if super().streams(plan):
            return True
        window = self._plane_window(plan)
        if window is None:
            return False
        return streamed.holds_planes(plan.field, len(window.head) + window.inside + len(window.tail))

    def _plane_window(self, plan: Plan) -> Window | None:
        """The window along the slab's axis where it has an output at every sample; an open line ends in zeros."""
        axis = plan.field.slab.axis
        line = plan.lines[axis]
        assert plan.factors is not None
        kernel = plan.factors[axis][0]
        if line.n == 1 or line.stride != 1 or not isinstance(kernel, TopHat):
            return None
        return window_of(kernel.full_width / line.step, float(line.points[0]), 1, self._stencil(plan))

    def _streamed_planes(self, plan: Plan, values: Unread, derivatives: Derivatives) -> list[Any]:
        """Running sums along the slab's axis over planes that were summed within themselves."""
        window, split, device = self._plane_window(plan), plan.field.slab.axis, plan.field.device
        assert window is not None
        if any(d is not None for d in derivatives):
            values.refuse("The gradient at every point", "give a larger spacing")
        windows = [None if axis == split or plan.field.reproducible else self._full_window(plan, axis) for axis in AXES]
        others = [axis for axis in AXES if axis != split and windows[axis] is None]
        matrices = {axis: self.matrix_along(plan, axis, False) for axis in others}
        contract = device.contract_in_order if plan.field.reproducible else device.contract

        def in_planes(planes: Any) -> Any:
            for axis, matrix in matrices.items():
                planes = contract(planes, matrix, axis)
            return device.box_filter(planes, tuple(windows)) if any(windows) else planes

        name = (
            f"{plan.kernel.describe()} at {streamed.digest_of(*(line.points for line in plan.lines))} {plan.sampling}"
        )
        shape = plan.slab.local_shape(plan.n_out)
        field, is_open = replace(plan.field, values=values), plan.lines[split].is_open
        return [streamed.running(field, window, in_planes, is_open, plan.slab, shape, name)]

    def _box_filter(self, plan: Plan, values: Any, windows: list[Window | None]) -> Any:
        """All windows at once; of the split axis with the planes that the windows of a rank's own points reach."""
        axis = plan.field.slab.axis
        window = windows[axis]
        if not plan.is_split(axis) or window is None:
            return plan.field.device.box_filter(values, tuple(windows)) if values.size else values
        length = len(window.head) + window.inside + len(window.tail)

        def reached(slab: Slab) -> NDArray[np.int64]:
            first, count = slab.start + window.start, slab.n_local + length - 1
            return np.arange(first, first + count * (slab.n_local > 0)) % slab.n

        n = plan.n_in[axis]
        values = plan.fetched(values, n, reached, n)
        if values.size == 0:
            return values
        windows[axis] = replace(window, start=0)
        everywhere = plan.field.device.box_filter(values, tuple(windows))
        return plan.field.device.compact(everywhere[at(axis, slice(0, plan.slab.n_local))])

    def coarse_windows(self, plan: Plan) -> tuple[Window | None, Window | None, Window | None] | None:
        """The three windows of outputs some samples apart along every axis, as device.box_sums takes them.

        None for the split axis: `finished` does it.
        """
        found: list[Window | None] = [self._window(plan, axis) for axis in range(3)]
        if None in found:
            return None
        split = plan.field.slab.axis
        if plan.is_split(split):
            if split == 1:
                return None
            found[split] = None
        return found[0], found[1], found[2]

    def finished(self, plan: Plan, sums: Any) -> Any:
        """Sums within planes made whole along the split axis."""
        axis = plan.field.slab.axis
        return plan.contracted(sums, self.matrix(plan, axis, False), axis) if plan.is_split(axis) else sums

    def _full_window(self, plan: Plan, axis: int) -> Window | None:
        """The window, where a periodic axis has an output at every sample."""
        line = plan.lines[axis]
        assert plan.factors is not None
        kernel = plan.factors[axis][0]
        everywhere = line.n > 1 and len(line.points) == line.n and line.stride == 1
        if line.is_open or not everywhere or not isinstance(kernel, TopHat):
            return None
        return window_of(kernel.full_width / line.step, float(line.points[0]), 1, self._stencil(plan))

    def _along(self, plan: Plan, values: Any, axis: int, differentiate: bool) -> Any:
        plain = differentiate or plan.is_split(axis) or plan.field.reproducible
        window = None if plain else self._window(plan, axis)
        if window is None:
            return super()._along(plan, values, axis, differentiate)
        return plan.field.device.window_sum(values, axis, window, len(plan.lines[axis].points))

    def _stencil(self, plan: Plan) -> int:
        return 0 if plan.sampling == CELL else END_STENCIL

    def _window(self, plan: Plan, axis: int) -> Window | None:
        """The window, where all outputs of a periodic axis share one phase and lie some samples apart."""
        line, stride = plan.lines[axis], plan.lines[axis].stride
        if line.is_open or stride is None or stride < SHORTEST_STRETCH or stride * len(line.points) != line.n:
            return None
        assert plan.factors is not None
        width = plan.factors[axis][0].full_width / line.step
        return window_of(width, float(line.points[0]), stride, self._stencil(plan))

    def matrix(self, plan: Plan, axis: int, differentiate: bool) -> Array:
        """(n_out, n) weights of the running sum along one axis."""
        assert plan.factors is not None
        kernel = plan.factors[axis][0]
        if differentiate or not isinstance(kernel, TopHat):
            return super().matrix(plan, axis, differentiate)
        return sum_weights(plan.lines[axis], kernel, self._stencil(plan))

    def error_bound(self, plan: Plan) -> float | None:
        """Bound of the rms error, from the power spectrum of a sample of the lines along each axis.

        A bound, since the averages along the other axes damp it further. 0 for cell averages, which running sums
        average exactly; None where the values are read some planes at a time, and lines across them never are.
        """
        if plan.sampling == CELL:
            return 0.0
        if isinstance(plan.field.values, Unread):
            return None
        assert plan.factors is not None
        total = 0.0
        for axis, line in enumerate(plan.lines):
            kernel = plan.factors[axis][0]
            if line.n == 1 or not isinstance(kernel, TopHat):
                continue
            one = replace(line, points=np.zeros(1))
            wrong = sum_weights(one, kernel, END_STENCIL) - spectral_weights(one, kernel.transform)
            power = line_power(plan.field, axis)
            total += float((power / line.n**2 * np.abs(np.fft.rfft(wrong[0])) ** 2).sum())
        return float(np.sqrt(total))


def line_power(field: Field, axis: int) -> Array:
    """device.line_power of the whole field; lines that ranks or chunks have parts of are put together first."""
    if field.comm.size == 1 and not isinstance(field.values, Unread):
        return field.device.line_power(field.values, axis, LINES_SAMPLED)
    chosen, split = sampled_lines(field.grid.shape, axis, LINES_SAMPLED), field.slab.axis
    step = chosen[split].step or 1

    def local(device: Device, values: Any, slab: Slab) -> tuple[Array]:
        own = list(chosen)
        own[split] = slice(-slab.start % step, None, step)
        lines = device.to_host(device.compact(values[tuple(own)]))
        return (np.array(np.moveaxis(lines, split, 0)),)

    n_bytes = 8 * prod(len(range(n)[part]) for n, part in zip(field.grid.shape, chosen, strict=True))
    (joined,) = field.reduce(Reduction(f"lines along axis {axis}", local, (JOIN,), n_bytes=n_bytes))
    lines = np.ascontiguousarray(np.moveaxis(joined, 0, split))
    return field.device.line_power(field.device.asarray(lines), axis, lines.size)


class ByLowModes:
    """Only modes with |mu^| above rounding: projected, multiplied on a small grid, expanded. Exact to rounding."""

    name = "low modes"

    def streams(self, plan: Plan) -> bool:
        """The modes that matter have to fit into memory; results need not."""
        counts = plan.low_mode_counts
        return counts is not None and streamed.fits(plan.field, 8 * prod(counts))

    def cost(self, plan: Plan) -> float | None:
        """For kernels whose transform falls to nothing."""
        counts = plan.low_mode_counts
        if counts is None:
            return None
        device = plan.field.device
        column, passes = device.odd_product
        columns = column * (product_cost(plan.n_in, counts) + product_cost(counts, plan.n_out))
        return columns + passes * device.pass_in_columns[plan.field.values.dtype.name] * (
            prod(plan.n_in) + prod(plan.n_out)
        )

    def run(self, plan: Plan, values: Any, derivatives: Derivatives) -> list[Any]:
        """The projection, which reads the field, is made once."""
        counts = plan.low_mode_counts
        assert counts is not None
        if isinstance(values, Unread):
            return self._streamed(plan, values, derivatives, counts)
        for axis in plan.order(plan.n_in, counts):
            line, count = plan.lines[axis], counts[axis]
            if count == line.n == line.period:
                continue
            samples = (np.arange(line.n) + line.offset) / line.period
            projection = interpolation_weights(samples, count).T * (count / line.period)
            values = plan.contracted(values, projection, axis)
        low = plan.filtered(values, *multipliers(plan, counts, derivatives))
        return [self._expanded(plan, one, counts) for one in low]

    def _streamed(
        self, plan: Plan, values: Unread, derivatives: Derivatives, counts: tuple[int, int, int]
    ) -> list[Any]:
        """The projection chunk by chunk; the expansion as well, where the result is larger than memory."""
        onto: list[Array | None] = []
        back: list[Array | None] = []
        for line, count in zip(plan.lines, counts, strict=True):
            samples, points = ((at + line.offset) / line.period for at in (np.arange(line.n), line.points))
            all_modes = count == line.n == line.period
            onto.append(None if all_modes else interpolation_weights(samples, count).T * (count / line.period))
            as_they_are = all_modes and count == len(line.points) and line.stride == 1
            back.append(None if as_they_are else interpolation_weights(points, count))
        field, axis = replace(plan.field, values=values), plan.field.slab.axis
        (low,) = streamed.contracted(field, [(onto[0], onto[1], onto[2])], plan.along_slabs)
        results = plan.filtered(low, *multipliers(plan, counts, derivatives))
        if streamed.fits(field, plan.result_bytes * len(derivatives)):
            return [self._expanded(plan, one, counts) for one in results]
        made, n_out = [], plan.n_out[axis]
        for one, derivative in zip(results, derivatives, strict=True):
            whole = plan.fetched(one, counts[axis], lambda slab: np.arange(counts[axis]), n_out)
            modes = streamed.digest_of(plan.field.device.to_host(whole), *back)
            name = f"{plan.kernel.describe()}, derivative {derivative}, from modes {modes}"
            shape = plan.slab.local_shape(plan.n_out)
            made.append(streamed.expanded(field, whole, (back[0], back[1], back[2]), plan.slab, shape, name))
        return made

    def _expanded(self, plan: Plan, values: Any, counts: tuple[int, int, int]) -> Any:
        for axis in plan.order(counts, plan.n_out):
            line, count = plan.lines[axis], counts[axis]
            if count == line.n == len(line.points) and line.stride == 1:
                continue
            points = (line.points + line.offset) / line.period
            values = plan.contracted(values, interpolation_weights(points, count), axis, count)
        return values


class ByTaps:
    """Short windows onto coarse points, the kernel over the windows' transforms there, the same windows back.

    Reads and writes the field once, whatever the width of the kernel; exact to rounding (line_taps.py).
    """

    name = "taps"

    def streams(self, plan: Plan) -> bool:
        """It takes all values at once."""
        return False

    def cost(self, plan: Plan) -> float | None:
        """For kernels whose transform falls to nothing, on sizes with divisors."""
        taps = plan.taps
        if taps is None:
            return None
        device, dtype = plan.field.device, plan.field.values.dtype.name
        periods, coarse = [line.period for line in plan.lines], self._coarse(plan)
        size, points, planes = prod(periods), prod(coarse), periods[0] * coarse[1] * coarse[2]
        cells, d = taps[1].n_cells, taps[1].decimation
        directions = 2 if self._expands(plan) else 1
        passes = directions * (size + 2 * planes + points) / size
        columns = passes * device.pass_in_columns[dtype]
        columns += directions * cells * (1 + 1 / d) * device.tap_in_columns[dtype]
        cost = size * columns + device.filter_in_columns[dtype] * points
        return float(cost if self._expands(plan) else cost + product_cost(coarse, plan.n_out))

    @staticmethod
    def _coarse(plan: Plan) -> tuple[int, int, int]:
        """Coarse points along each axis."""
        assert plan.taps is not None
        a, b, c = (line.period // along.decimation for line, along in zip(plan.lines, plan.taps, strict=True))
        return a, b, c

    def run(self, plan: Plan, values: Any, derivatives: Derivatives) -> list[Any]:
        """The contraction, which reads the field, is made once."""
        taps = plan.taps
        assert taps is not None
        coarse_shape = self._coarse(plan)
        coarse = self._contracted(plan, plan.padded(values), taps)
        expands = self._expands(plan)
        undo = AlongAxes([along.undo(2 if expands else 1) for along in taps])
        kernels = multipliers(plan, coarse_shape, derivatives)
        results = plan.filtered(coarse, *[replace(one, parts=[*one.parts, undo]) for one in kernels])
        if expands:
            return [sampled(plan, self._expanded(plan, one, taps)) for one in results]
        return [self._interpolated(plan, one, coarse_shape) for one in results]

    def _contracted(self, plan: Plan, values: Any, taps: tuple[AxisTaps, ...]) -> Any:
        """Onto the coarse points; a rank fetches the samples that the windows of its own coarse points reach."""
        device, axis = plan.field.device, plan.field.slab.axis
        if not plan.is_split(axis):
            return device.contract_taps(values, taps)
        along, n = taps[axis], plan.lines[axis].period
        step, length = along.decimation, len(along.weights)

        def reached(slab: Slab) -> NDArray[np.int64]:
            whole_steps = -(-((slab.n_local - 1) * step + length) // step) * step * (slab.n_local > 0)
            return (slab.start * step + along.first + np.arange(whole_steps)) % n

        own = plan.slab_of(n // step)
        in_planes = [untouched(line.period) if i == axis else taps[i] for i, line in enumerate(plan.lines)]
        across = [replace(along, first=0) if i == axis else untouched(line.period) for i, line in enumerate(plan.lines)]
        values = plan.fetched(device.contract_taps(values, in_planes), n, reached, own.n)  # planes of coarse points
        return device.compact(device.contract_taps(values, across)[at(axis, slice(0, own.n_local))])

    def _expanded(self, plan: Plan, values: Any, taps: tuple[AxisTaps, ...]) -> Any:
        """Back to every sample; a rank fetches the coarse points whose windows reach its own samples."""
        device, axis = plan.field.device, plan.field.slab.axis
        if not plan.is_split(axis):
            return device.expand_taps(values, taps)
        along, n = taps[axis], plan.lines[axis].period
        step, last = along.decimation, along.first + len(along.weights) - 1

        def lowest(slab: Slab) -> int:
            return -((last - slab.start) // step)

        def reaching(slab: Slab) -> NDArray[np.int64]:
            highest = (slab.stop - 1 - along.first) // step
            return np.arange(lowest(slab), highest + 1 if slab.n_local else lowest(slab)) % (n // step)

        own = plan.slab_of(n)
        values = plan.fetched(values, n // step, reaching, n)
        first = own.start - lowest(own) * step
        return device.compact(device.expand_taps(values, taps)[at(axis, slice(first, first + own.n_local))])

    def error_bound(self, plan: Plan) -> float:
        """Bound of the rms error over the rms of the field, beside rounding."""
        assert plan.taps is not None
        return error_bound(plan.taps)

    def _expands(self, plan: Plan) -> bool:
        """True if the output has every grid point."""
        return all(line.stride == 1 and len(line.points) >= line.n for line in plan.lines)

    def _interpolated(self, plan: Plan, values: Any, coarse: Sequence[int]) -> Any:
        """From the coarse points, which hold every mode that is left, to the output points."""
        for axis in plan.order(coarse, plan.n_out):
            line, count = plan.lines[axis], coarse[axis]
            points = (line.points + line.offset) / line.period
            values = plan.contracted(values, interpolation_weights(points, count), axis, count)
        return values


class ByAllModes:
    """FFT of the whole field, zeros around it on open axes; then the output points."""

    name = "all modes"

    def streams(self, plan: Plan) -> bool:
        """Its spectrum is then on the disk: at every point of periodic axes, where nothing is done before and after."""
        return all(line.stride == 1 and len(line.points) == line.n == line.period for line in plan.lines)

    def cost(self, plan: Plan) -> float | None:
        """For every kernel on smooth samples; for cell averages where the images in k can be summed and told apart."""
        if plan.sampling == CELL and not self._has_cells(plan):
            return None
        columns = plan.field.device.filter_in_columns[plan.field.values.dtype.name]
        return columns * prod(line.period for line in plan.lines)

    @staticmethod
    def _has_cells(plan: Plan) -> bool:
        """True if cell averages come out exactly: between samples, an image in k is not the wave that it is on them."""
        if plan.factors is None and not plan.kernel.cutoff(1e-3) < np.inf:
            return False
        between = [line for line in plan.lines if line.stride is None]
        images_from = min((np.pi / line.step for line in between), default=np.inf)
        return plan.kernel.cutoff(_images_above(plan)) <= images_from or not between

    def run(self, plan: Plan, values: Any, derivatives: Derivatives) -> list[Any]:
        """The spectrum is made once."""
        periods = (plan.lines[0].period, plan.lines[1].period, plan.lines[2].period)
        kernels = multipliers(plan, periods, derivatives)
        if isinstance(values, Unread):
            if len(kernels) > 1:  # whose components would be sums of what is on the disk
                values.refuse("The gradient at every point", "give a larger spacing")
            modes = streamed.digest_of(*(np.abs(kernels[0].plane(i)) for i in (0, kernels[0].stored_shape[0] // 3)))
            return replace(plan.field, values=values).filtered(kernels, [f"{plan.kernel.name} average, modes {modes},"])
        largest = plan.field.largest_of(values)  # zeros do not change it
        return [sampled(plan, one) for one in plan.filtered(plan.padded(values), *kernels, largest=largest)]


def sampled(plan: Plan, values: Any) -> Any:
    """Values on the whole padded grid, at the output points."""
    for axis, line in enumerate(plan.lines):
        stride = line.stride
        if stride is None:
            points = (line.points + line.offset) / line.period
            values = plan.contracted(values, interpolation_weights(points, line.period), axis, line.period)
        elif stride != 1 or len(line.points) != line.period:
            chosen = int(line.points[0]) + line.offset + stride * np.arange(len(line.points))
            if plan.is_split(axis):

                def own(slab: Slab, chosen: NDArray[np.int64] = chosen) -> NDArray[np.int64]:
                    return chosen[slab.planes]

                values = plan.fetched(values, line.period, own, len(chosen))
            else:
                values = values[at(axis, slice(chosen[0], chosen[-1] + 1, stride))]
    return plan.field.device.compact(values)


def multipliers(plan: Plan, shape: tuple[int, int, int], derivatives: Derivatives) -> list[Multiplier]:
    """The kernel's multiplier, and its derivative's, on a grid of that shape over the padded cell."""
    complex_kernel = any(kernel.is_complex for kernel in plan.stages)
    return [Multiplier(shape, _parts(plan, d), complex_kernel or d is not None) for d in derivatives]


def _parts(plan: Plan, along: int | None) -> list[Part]:
    """The multiplier as a product of functions of the modes."""
    grid = plan.field.grid
    stretch = np.array([line.period / line.n for line in plan.lines])
    reciprocal = grid.reciprocal / stretch[:, None]
    if plan.factors is not None and plan.sampling == CELL:
        return [AlongAxes([_cell_function(plan, axis, axis == along) for axis in range(3)])]
    derivative = None if along is None else Derivative(reciprocal, grid.cell[along] / grid.lengths[along])
    parts: list[Part] = []
    for kernel in plan.stages:
        if kernel.geometry == ISOTROPIC:
            cells = plan.sampling == CELL
            if cells:
                return [_of_cells(kernel, reciprocal, plan, derivative)]
            parts.append(OfWavevector(reciprocal, kernel.transform))
        elif kernel.geometry == PLANE:
            normal = grid.normal(kernel.axis)  # type: ignore[attr-defined]
            parts.append(OfWavevector(reciprocal - np.outer(reciprocal @ normal, normal), kernel.transform))
        else:
            parts.append(AlongAxes([_line_function(plan.lines[axis], on_axis(kernel, axis)) for axis in range(3)]))
    return parts if derivative is None else [*parts, derivative]


def _line_function(line: Line, kernel: AveragingKernel) -> Any:
    """mu^(-k) of the modes along an axis."""
    return lambda modes: np.conj(kernel.transform(2 * np.pi * modes / (line.period * line.step)))


def _cell_function(plan: Plan, axis: int, differentiate: bool) -> Any:
    """Transform of the weights of cell averages along an axis, by mode."""
    assert plan.factors is not None
    line, kernel = plan.lines[axis], plan.factors[axis][0]
    if line.n == 1 and not line.is_open:
        return lambda modes: np.full(modes.shape, 0.0 if differentiate else 1.0)
    at_origin = replace(line, n=line.period, offset=0, points=np.zeros(1))
    row = (cell_derivative_weights if differentiate else cell_weights)(at_origin, kernel)[0]
    table = np.conj(np.fft.fft(row))
    if not differentiate and np.abs(table.imag).max() < 1e-15:
        table = table.real
    return lambda modes: table[modes.astype(np.int64) % line.period]


def _images_above(plan: Plan) -> float:
    """|mu^| below which an image in k of a piecewise constant field does not count."""
    return max(plan.tolerance, 1e-13)


def _of_cells(kernel: AveragingKernel, reciprocal: Array, plan: Plan, derivative: Part | None) -> Part:
    """An isotropic kernel on cell averages: the piecewise constant field's images in k, folded back.

    m(n) = Σ_g mu^(|k(n + g P)|) Π_i sinc((n_i + g_i P_i)/P_i), cut where mu^ falls below 1e-13; of a derivative each
    image has its own k.
    """
    periods = [line.period for line in plan.lines]
    cutoff = kernel.cutoff(_images_above(plan))
    reach = [ceil(cutoff * line.step / (2 * np.pi) + 0.5) if line.n > 1 else 0 for line in plan.lines]
    radial = OfWavevector(reciprocal, kernel.transform)

    def part(*modes: Any) -> NDArray[Any]:
        total: Any = 0.0
        for image in np.ndindex(*[2 * r + 1 for r in reach]):
            moved = [m + (g - r) * p for m, g, r, p in zip(modes, image, reach, periods, strict=True)]
            term = radial(*moved) * _sinc_product(moved, periods)
            total = total + (term if derivative is None else term * derivative(*moved))
        return np.asarray(total)

    return part


def _sinc_product(modes: Sequence[Any], periods: Sequence[int]) -> Any:
    """Transform of one cell at each mode."""
    a, b, c = (np.sinc(m / p) for m, p in zip(modes, periods, strict=True))
    return a * b * c


WAYS: dict[str, Way] = {way.name: way for way in (ByLines(), ByLowModes(), ByAllModes(), BySums(), ByTaps())}
