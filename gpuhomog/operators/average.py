"""Mesoscale average: a field smoothed by an averaging kernel, on its own grid or exactly on a coarser one.

    <nu; mu>(x) = ∫ nu(x + u) mu(u; eps) du,    <nu; mu>~(k) = nu~(k) mu^(-k)             paper eqs. 6, 18
    coarse grid: M = ceil(length/spacing) points per axis, at j length/M from the first grid point

Three ways to the same numbers; the cheapest is taken:

    lines      separable kernel, few output points: one matrix product along each axis (line_weights.py). One read of
               the field, whatever the width; exact for any M, whether it divides N or not.
    low modes  smooth kernel, any cell: only modes with |mu^| above rounding matter. They are projected onto a
               coarse grid of 2m + 1 points per axis by matrix products, multiplied there by a small FFT
               (triclinic cross terms included), and expanded to the output points. Exact to rounding.
    all modes  everything else: FFT of the field, padded on open axes; sampled at the output points.

`sampling` says what samples are: "bandlimited" (points of a smooth field) or "cell" (cell averages).

In   Field (n_a, n_b, n_c) or Profile (n,), any quantity; kernel in Å.
Out  Field or Profile of the same quantity and unit. How it was computed stands in its provenance.

>>> wave = Field.from_array(np.cos(2 * np.pi * np.arange(64) / 64) * np.ones((2, 2, 1)), np.diag([9.0, 9.0, 8.0]))
>>> smooth = average(wave, Gaussian(2.0))
>>> print(f"{smooth.values[0, 0, 0]:.12f} {np.exp(-((2 * np.pi / 8) ** 2) * 2.0**2 / 8):.12f}")
0.734602944329 0.734602944329
>>> average(wave, Box(3.0), spacing=4.0).grid.shape
(3, 3, 2)
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any, overload

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

from ..averaging_kernels import (
    CELL_AXES,
    ISOTROPIC,
    ORTHOGONAL_AXES,
    PLANE,
    AveragingKernel,
    Box,
    Gaussian,
    Sampled,
    Stages,
    TopHat,
)
from ..errors import AccuracyWarning, InputError, KernelError, nearest_known
from ..fft import AlongAxes, Multiplier, OfWavevector, Part, derivative, filtered
from ..field import Field
from ..grid import OPEN, Grid
from ..parallel import Slab, sum_over_slabs
from ..results import Profile
from ..units import times_length
from .line_weights import (
    END_STENCIL,
    Line,
    cell_derivative_weights,
    cell_weights,
    interpolation_weights,
    spectral_weights,
    sum_weights,
    window_of,
)

Array = NDArray[np.float64]

SAMPLINGS = ("bandlimited", "cell")
METHODS = ("auto", "lines", "low modes", "all modes", "sums")

FFT_COST_IN_COLUMNS = 500.0
"""One forward and inverse FFT with its multiplication costs about as much as a matrix product that gives each
point this many output columns (measured at 256^3 on two cores; only the choice of the way depends on it)."""


@overload
def average(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = ...,
    sampling: str | None = ...,
    method: str = ...,
    outside: float = ...,
    padded: bool = ...,
) -> Field: ...
@overload
def average(
    field: Profile,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = ...,
    sampling: str | None = ...,
    method: str = ...,
    outside: float = ...,
    padded: bool = ...,
) -> Profile: ...
def average(
    field: Field | Profile,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = None,
    sampling: str | None = None,
    method: str = "auto",
    outside: float = 0.0,
    padded: bool = False,
) -> Field | Profile:
    """Average a field with a kernel, eq. 18.

    field     Field or Profile
    kernel    averaging kernel; a sequence is applied one after another (the average of the average)
    spacing   upper bound of the output's spacing along each lattice vector, one number or three [Å];
              None keeps the grid
    sampling  "bandlimited" (default) or "cell"
    method    "auto", or one of "lines", "low modes", "all modes" (the same numbers at another cost), or
              "sums": running sums with end stencils instead of exact multipliers, for Box and TopHat; the
              provenance then carries the estimated error
    outside   value of the field beyond open boundaries, in its unit
    padded    True: on open axes the output extends beyond the cell by the kernel's reach, so that the
              integral is conserved

    The provenance of the result records the way taken, and on open axes the truncated mass of the kernel.

    Raises KernelError where the kernel does not fit (under cell sampling: a box narrower than one sample, another
    kernel with eps below two; wider than an open axis; TopHat or Sampled on a cell that is not orthogonal),
    InputError for a spacing, sampling or method that does not exist.
    Warns (AccuracyWarning) where eps exceeds a quarter of a periodic axis: the box holds no macroscale.
    """
    if isinstance(field, Profile):
        return _average_profile(field, kernel, spacing, sampling, method, outside, padded)
    plan = _Plan(field, kernel, spacing, sampling, method, padded)
    values = field.values if outside == 0 else field.values - field.values.dtype.type(outside)
    averaged = plan.run(values, {})
    if outside != 0:
        averaged += averaged.dtype.type(outside)
    return plan.result(averaged, "average")


def average_gradient(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = None,
    sampling: str | None = None,
    padded: bool = False,
) -> tuple[Field, Field, Field]:
    """Gradient of the average, d<nu>/dx, d<nu>/dy, d<nu>/dz: equal to the average of the gradient, IV.B.

    Parameters and errors as `average`; the unit is the field's per Å. For a box it is the difference of the
    averages over opposite faces over the width, exactly.
    """
    plan = _Plan(field, kernel, spacing, sampling, "auto", padded)
    along = [plan.run(field.values, {axis: 1}) for axis in range(3)]  # per Å along each lattice vector
    # ∇ = Σ_i b_i/(2π) ∂/∂s_i and ∂/∂(|a_i| s_i) is what `along` holds
    to_cartesian = field.grid.reciprocal.T * field.grid.lengths / (2 * np.pi)
    components = []
    for x in range(3):
        values = sum(along[axis] * along[axis].dtype.type(to_cartesian[x, axis]) for axis in range(3))
        unit = times_length(field.unit, -1)
        components.append(plan.result(values, "average gradient", component="xyz"[x], quantity="scalar", unit=unit))
    return components[0], components[1], components[2]


def average_and_variance(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = None,
    sampling: str | None = None,
) -> tuple[Field, Field]:
    """Local mean <nu> and local variance <nu²> - <nu>², float64, under one kernel.

    The squares are taken about the field's mean, so that a large constant costs no digits. The variance is
    that of the samples; its unit is the square of the field's, given as None (quantity "scalar").
    Parameters and errors as `average`.
    """
    plan = _Plan(field, kernel, spacing, sampling, "auto", False)
    centre = field.mean()
    device = field.device
    shifted = device.asarray(field.values, np.float64) - centre
    mean = plan.run(shifted, {})
    variance = plan.run(device.squared_deviation(field.values, centre), {})
    variance -= mean * mean
    variance *= variance > 0  # rounding may leave -1e-17 where the field is constant
    mean += centre
    return (
        plan.result(mean, "average"),
        plan.result(variance, "variance", quantity="scalar", unit=None),
    )


def _average_profile(
    profile: Profile,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    spacing: float | Sequence[float] | None,
    sampling: str | None,
    method: str,
    outside: float,
    padded: bool,
) -> Profile:
    """The same average along a line: the profile as a grid of one point in the plane."""
    cell = np.diag([1.0, 1.0, profile.length])
    boundary = ("periodic", "periodic", profile.boundary)
    line = Field.from_array(profile.values[None, None, :], cell, boundary=boundary, device="cpu")
    averaged = average(line, kernel, spacing=spacing, sampling=sampling, method=method, outside=outside, padded=padded)
    step = {**averaged.provenance[-1], "shape": [averaged.grid.shape[2]]}
    return replace(
        profile,
        position=profile.position[0] + averaged.grid.origin[2] + averaged.grid.plane_positions(2),
        values=averaged.to_host()[0, 0],
        length=float(averaged.grid.cell[2, 2]),
        uncertainty=None,
        ripple=None,
        provenance=(*profile.provenance, step),
    )


class _Plan:
    """One kernel on one grid: the lines, the way, and how the result is described."""

    def __init__(
        self,
        field: Field,
        kernel: AveragingKernel | Sequence[AveragingKernel],
        spacing: float | Sequence[float] | None,
        sampling: str | None,
        method: str,
        padded: bool,
    ) -> None:
        self.field = field
        self.kernel = kernel if isinstance(kernel, AveragingKernel) else Stages(*kernel)
        self.sampling = sampling or "bandlimited"
        self.method = method
        if self.sampling not in SAMPLINGS:
            raise InputError(f'Unknown sampling "{sampling}": {nearest_known(str(sampling), SAMPLINGS)}')
        if method not in METHODS:
            raise InputError(f'Unknown method "{method}": {nearest_known(str(method), METHODS)}')
        self.stages = self.kernel.kernels if isinstance(self.kernel, Stages) else (self.kernel,)
        self._check_kernel()
        self.counts = _output_counts(field.grid, spacing)
        reach = self.kernel.reach(1e-16 if self.kernel.cutoff(1e-3) < np.inf else 0.5)
        self.lines = tuple(
            _line(field.grid, axis, self.counts[axis], self._reach(axis, reach), padded) for axis in range(3)
        )
        self.tolerance = float(np.finfo(field.values.dtype).eps) / 8
        self.factors = self._separable_factors()
        self.way = self._choose_way()
        self.notes: dict[str, Any] = {}

    # -- what the user asked for ------------------------------------------------------------------------------

    def _check_kernel(self) -> None:
        grid = self.field.grid
        if self.sampling == "cell" and len(self.stages) > 1:
            raise KernelError(
                'Several kernels at once need sampling="bandlimited": the average of cell averages is no longer a '
                "cell average. Call average twice, or use bandlimited sampling."
            )
        for kernel in self.stages:
            if kernel.geometry == ORTHOGONAL_AXES and not self.field.grid.is_orthogonal:
                raise KernelError(
                    f"{kernel.name} is a one-dimensional kernel along each axis of an orthogonal cell, but this cell "
                    "is oblique. Use Gaussian or Ball (right on any cell), or Box(width) along the cell's axes."
                )
            for axis in range(3):
                if grid.shape[axis] == 1 or (kernel.geometry == PLANE and axis == getattr(kernel, "axis", None)):
                    continue
                self._check_width(kernel, axis)

    def _check_width(self, kernel: AveragingKernel, axis: int) -> None:
        grid = self.field.grid
        one = kernel.along(axis) if isinstance(kernel, Box) else kernel
        step, length, name = grid.lengths[axis] / grid.shape[axis], grid.lengths[axis], "abc"[axis]
        if self.sampling == "cell":
            if isinstance(kernel, Box | TopHat):
                if one.full_width < step * (1 - 1e-12):
                    raise KernelError(
                        f"{kernel.name} of width {one.full_width:.6g} Å is narrower than one sample along {name} "
                        f"({step:.6g} Å): cell averages do not resolve it. Use a width of at least {step:.6g} Å."
                    )
            elif kernel.eps < 2 * step * (1 - 1e-12):
                raise KernelError(
                    f"{kernel.name} with eps = {kernel.eps:.6g} Å is narrower than two samples along {name} "
                    f"({step:.6g} Å each): cell averages do not resolve it. Use eps of at least {2 * step:.6g} Å."
                )
        if grid.boundary[axis] == OPEN and one.full_width > length * (1 + 1e-12):
            raise KernelError(
                f"{kernel.name} is {one.full_width:.6g} Å wide, but the open axis {name} is only {length:.6g} Å long: "
                "no point would have the field all around it. Use a narrower kernel, or a periodic axis."
            )
        if grid.boundary[axis] != OPEN and one.eps > length / 4 * (1 + 1e-12):
            warnings.warn(
                f"eps = {one.eps:.4g} Å exceeds a quarter of the period along {name} ({length:.4g} Å): the average is "
                "exact, but this box holds no macroscale to see with it.",
                AccuracyWarning,
                stacklevel=5,
            )

    def _reach(self, axis: int, largest: float) -> float:
        if isinstance(self.kernel, Box):
            return self.kernel.along(axis).full_width / 2
        return largest

    # -- how it will be computed ------------------------------------------------------------------------------

    def _separable_factors(self) -> tuple[tuple[AveragingKernel, ...], ...] | None:
        """For each axis the line kernels of all stages, or None if some stage is not a product over axes."""
        grid = self.field.grid
        per_axis: list[list[AveragingKernel]] = [[], [], []]
        alone = [axis for axis in range(3) if grid.shape[axis] > 1]
        for kernel in self.stages:
            for axis in range(3):
                if isinstance(kernel, Box):
                    per_axis[axis].append(kernel.along(axis))
                elif isinstance(kernel, TopHat | Sampled) or (isinstance(kernel, Gaussian) and grid.is_orthogonal):
                    per_axis[axis].append(kernel)
                elif kernel.geometry == ISOTROPIC and len(alone) <= 1 and grid.is_orthogonal:
                    per_axis[axis].append(kernel)  # a line: its projection is the kernel
                else:
                    return None
        return tuple(tuple(kernels) for kernels in per_axis)

    def _low_mode_counts(self) -> tuple[int, int, int] | None:
        """Points 2m + 1 of the coarse grid that holds every mode that matters, or None if all do."""
        if self.sampling == "cell":
            return None
        cutoff = self.kernel.cutoff(self.tolerance)
        if not np.isfinite(cutoff):
            return None
        counts = []
        for line in self.lines:
            # k · a_i = 2π n_i, so |n_i| <= |k| |a_i|/2π on any cell
            m = int(cutoff * line.step * line.period / (2 * np.pi)) + 1
            counts.append(line.period if 2 * m + 1 >= line.period else 2 * m + 1)
        return counts[0], counts[1], counts[2]

    def _choose_way(self) -> str:
        """The cheapest of the ways that exist for this kernel; the one asked for if it exists."""
        coarse = self._low_mode_counts()
        n_in = [line.n for line in self.lines]
        n_out = [len(line.points) for line in self.lines]
        padding = np.prod([line.period / line.n for line in self.lines])
        costs = {}
        if self.factors is not None:
            costs["lines"] = _product_cost(n_in, n_out)
        if coarse is not None:
            costs["low modes"] = _product_cost(n_in, coarse) + _product_cost(coarse, n_out)
        if self.sampling == "bandlimited" or self.factors is not None or self.kernel.cutoff(1e-3) < np.inf:
            costs["all modes"] = FFT_COST_IN_COLUMNS * float(padding) * np.prod(n_in)
        if self.method == "sums":
            if (
                self.factors is None
                or not all(isinstance(k, Box | TopHat) for k in self.stages)
                or len(self.stages) > 1
            ):
                raise KernelError('method="sums" adds up samples, which only Box and TopHat do: use method="auto".')
            return "sums"
        if not costs:
            raise KernelError(
                f'{self.kernel.name} has no exact form for cell averages in space: use sampling="bandlimited", or Box.'
            )
        if self.method != "auto":
            if self.method not in costs:
                raise KernelError(
                    f'method="{self.method}" does not exist for {self.kernel.name} with {self.sampling} sampling '
                    f"on this cell: use one of {', '.join(costs)}, or auto."
                )
            return self.method
        return min(costs, key=lambda way: costs[way])

    # -- doing it ---------------------------------------------------------------------------------------------

    def run(self, values: Any, orders: dict[int, int]) -> Any:
        """Averaged values; `orders` names the axis along which the derivative is taken [per Å along it]."""
        if self.way in ("lines", "sums"):
            return self._by_lines(values, orders)
        if self.way == "low modes":
            return self._by_low_modes(values, orders)
        return self._by_all_modes(values, orders)

    def _contract(self, values: Any, matrix: Array, axis: int) -> Any:
        """Along the slab's axis each rank contracts its own planes, and the ranks add up."""
        slab = self.field.slab
        if self._holds_all_planes(axis):
            return self.field.device.contract(values, matrix, axis)
        return sum_over_slabs(self.field.comm, self.field.device.contract(values, matrix[:, slab.planes], axis))

    def _holds_all_planes(self, axis: int) -> bool:
        return axis != self.field.slab.axis or self.field.slab.is_whole

    def _by_lines(self, values: Any, orders: dict[int, int]) -> Any:
        assert self.factors is not None
        for axis in _most_reducing_first(self.lines):
            line = self.lines[axis]
            if line.n == 1 and not line.is_open:
                matrix = np.full((len(line.points), 1), 0.0 if axis in orders else 1.0)
            else:
                matrix = self._line_matrix(axis, orders.get(axis, 0))
            window = self._window(axis) if self.way == "sums" and axis not in orders else None
            if window is not None and self.field.slab.is_whole:
                values = self.field.device.window_sum(values, axis, window, len(line.points))
            else:
                values = self._contract(values, matrix, axis)
        return values

    def _window(self, axis: int) -> Any:
        """The running-sum window, where all output points share one phase of a periodic axis."""
        line = self.lines[axis]
        stride = line.stride
        if line.is_open or stride is None or stride < 4 or stride * len(line.points) != line.n:
            return None  # short stretches: the matrix is cheaper
        assert self.factors is not None
        width = self.factors[axis][0].full_width / line.step
        return window_of(width, float(line.points[0]), stride, self._end_stencil())

    def _end_stencil(self) -> int:
        return 0 if self.sampling == "cell" else END_STENCIL

    def _line_matrix(self, axis: int, order: int) -> Array:
        assert self.factors is not None
        line, kernels = self.lines[axis], self.factors[axis]
        if self.way == "sums" and order == 0 and isinstance(kernels[0], TopHat):
            self._note_error(axis)
            return sum_weights(line, kernels[0], self._end_stencil())
        if self.sampling == "cell":
            return cell_derivative_weights(line, kernels[0]) if order else cell_weights(line, kernels[0])
        return spectral_weights(line, lambda k: _line_transform(kernels, k, order))

    def _note_error(self, axis: int) -> None:
        """Bound what running sums get wrong along an axis, from the power spectrum of a sample of its lines.

        A bound, since the averages along the other axes damp it further.
        """
        if self.sampling == "cell":
            return
        line, field = self.lines[axis], self.field
        assert self.factors is not None
        at_samples = replace(line, points=np.zeros(1))
        kernel = self.factors[axis][0]
        assert isinstance(kernel, TopHat)
        wrong = sum_weights(at_samples, kernel, END_STENCIL) - spectral_weights(at_samples, kernel.transform)
        if not self._holds_all_planes(axis):
            return
        others = [n for i, n in enumerate(field.values.shape) if i != axis]
        stride = max(1, int(np.sqrt(others[0] * others[1] / 4096)))
        chosen = tuple(slice(None) if i == axis else slice(None, None, stride) for i in range(3))
        lines = np.moveaxis(field.to_host()[chosen], axis, -1).reshape(-1, line.n)
        deviation = lines - lines.mean(axis=1, keepdims=True)
        power = np.mean(np.abs(np.fft.rfft(deviation, axis=1)) ** 2, axis=0) / line.n**2
        power[1 : (line.n + 1) // 2] *= 2
        response = np.abs(np.fft.rfft(np.broadcast_to(wrong, (1, line.n))[0])) ** 2
        error = float(np.sqrt((power * response).sum()))
        known = self.notes.get("rms_error_at_most", 0.0)
        self.notes["rms_error_at_most"] = float(np.hypot(known, error))

    def _by_low_modes(self, values: Any, orders: dict[int, int]) -> Any:
        counts = self._low_mode_counts()
        assert counts is not None
        for axis in _most_reducing_first(self.lines, counts):
            line, count = self.lines[axis], counts[axis]
            if count != line.n or not self._holds_all_planes(axis):
                samples = (np.arange(line.n) + line.offset) / line.period
                projection = interpolation_weights(samples, count).T * (count / line.period)
                values = self._contract(values, projection, axis)
        parts = self._parts(orders)
        values = filtered(self.field.device, values, Multiplier(counts, parts, self._has_phases(orders)))
        for axis in _most_reducing_first(self.lines, counts)[::-1]:
            line, count = self.lines[axis], counts[axis]
            kept = count == line.n and line.stride == 1 and len(line.points) == line.n
            if not kept or not self._holds_all_planes(axis):
                points = (line.points + line.offset) / line.period
                if not self._holds_all_planes(axis) and len(points) == line.n:
                    points = points[self.field.slab.planes]
                values = self.field.device.contract(values, interpolation_weights(points, count), axis)
        return values

    def _by_all_modes(self, values: Any, orders: dict[int, int]) -> Any:
        device = self.field.device
        shape = tuple(line.period for line in self.lines)
        for axis, line in enumerate(self.lines):
            if line.is_open:
                values = device.pad(values, axis, line.offset, line.period)
        multiplier = Multiplier((shape[0], shape[1], shape[2]), self._parts(orders), self._has_phases(orders))
        values = filtered(device, values, multiplier)
        for axis, line in enumerate(self.lines):
            stride = line.stride
            if stride is None:
                points = (line.points + line.offset) / line.period
                values = device.contract(values, interpolation_weights(points, line.period), axis)
            elif stride != 1 or len(line.points) != line.period:
                start = int(line.points[0]) + line.offset
                chosen = [slice(None)] * 3
                chosen[axis] = slice(start, start + stride * len(line.points), stride)
                values = values[tuple(chosen)]
        return device.compact(values)

    def _has_phases(self, orders: dict[int, int]) -> bool:
        return bool(orders) or any(kernel.is_complex for kernel in self.stages)

    def _parts(self, orders: dict[int, int]) -> list[Part]:
        """The multiplier of the kernel on the padded cell, as a product of functions of the modes."""
        grid = self.field.grid
        stretch = np.array([line.period / line.n for line in self.lines])
        reciprocal = grid.reciprocal / stretch[:, None]
        parts: list[Part] = []
        if self.factors is not None and (self.sampling == "cell" or self.kernel.geometry != ISOTROPIC):
            parts.append(AlongAxes([self._line_function(axis, orders.get(axis, 0)) for axis in range(3)]))
            return parts
        for kernel in self.stages:
            if kernel.geometry == CELL_AXES or kernel.geometry == ORTHOGONAL_AXES:
                parts.append(
                    AlongAxes([_mode_function(line, _axis_kernel(kernel, i)) for i, line in enumerate(self.lines)])
                )
            elif kernel.geometry == PLANE:
                normal = grid.normal(kernel.axis)  # type: ignore[attr-defined]
                parts.append(OfWavevector(reciprocal - np.outer(reciprocal @ normal, normal), kernel.transform))
            elif self.sampling == "cell":
                parts.append(_of_cells(kernel, reciprocal, self.lines, self.tolerance))
            else:
                parts.append(OfWavevector(reciprocal, kernel.transform))
        for axis in orders:
            along = grid.cell[axis] / grid.lengths[axis]
            parts.append(derivative(reciprocal, along))
        return parts

    def _line_function(self, axis: int, order: int) -> Any:
        line = self.lines[axis]
        assert self.factors is not None
        kernels = self.factors[axis]
        if line.n == 1 and not line.is_open:
            return lambda modes: np.full(modes.shape, 0.0 if order else 1.0)
        if self.sampling == "bandlimited":
            return lambda modes: np.conj(_line_transform(kernels, 2 * np.pi * modes / (line.period * line.step), order))
        at_origin = replace(line, n=line.period, offset=0, points=np.zeros(1))
        row = (cell_derivative_weights if order else cell_weights)(at_origin, kernels[0])[0]
        table = np.conj(np.fft.fft(row))
        if not order and np.abs(table.imag).max() < 1e-15:
            table = table.real
        return lambda modes: table[modes.astype(np.int64) % line.period]

    def result(self, values: Any, step: str, **changes: Any) -> Field:
        """The Field of averaged values, on the output grid."""
        field, grid = self.field, self.field.grid
        counts = tuple(len(line.points) for line in self.lines)
        along = grid.cell / grid.lengths[:, None]
        cell = grid.cell.copy()
        for axis, line in enumerate(self.lines):
            if line.points[0] < 0:  # padded
                cell[axis] *= counts[axis] * _point_distance(line) / grid.lengths[axis]
        origin = grid.origin + sum(line.points[0] * line.step * along[axis] for axis, line in enumerate(self.lines))
        coarse = Grid((counts[0], counts[1], counts[2]), cell, origin, grid.boundary)
        notes: dict[str, Any] = dict(self.notes)
        if any(line.is_open for line in self.lines):
            shortest = min(line.offset * line.step for line in self.lines if line.is_open)
            notes["truncated_mass"] = self.kernel.truncated_mass(shortest)
        slab = field.slab if counts[field.slab.axis] == field.slab.n else Slab.of(counts[0])
        return field.derive(
            values,
            step,
            grid=coarse,
            slab=slab,
            **self.kernel.describe(),
            sampling=self.sampling,
            way=self.way,
            **notes,
            **changes,
        )


def _output_counts(grid: Grid, spacing: float | Sequence[float] | None) -> tuple[int, int, int]:
    """Points of the output along each axis."""
    if spacing is None:
        return grid.shape
    given = np.atleast_1d(np.asarray(spacing, dtype=np.float64))
    if given.size not in (1, 3) or not np.isfinite(given).all() or given.min() <= 0:
        raise InputError(f"spacing = {spacing!r}: give one positive number in Å, or three (along a, b, c).")
    bounds = np.broadcast_to(given, 3)
    counts = []
    for axis in range(3):
        wanted = ceil(grid.lengths[axis] / bounds[axis] * (1 - 1e-12))
        counts.append(1 if grid.shape[axis] == 1 else max(1, wanted))
    if counts[0] * counts[1] * counts[2] > 8 * grid.n_points:
        raise InputError(
            f"spacing = {spacing} Å asks for {counts} points, more than eight times the field's {list(grid.shape)}: an "
            "average has nothing finer to show. Use a larger spacing, or leave it out to keep the grid."
        )
    return counts[0], counts[1], counts[2]


def _line(grid: Grid, axis: int, count: int, reach: float, padded: bool) -> Line:
    n = grid.shape[axis]
    step = float(grid.lengths[axis] / n)
    distance = n / count
    if grid.boundary[axis] != OPEN:
        return Line(n, step, n, 0, np.asarray(np.arange(count) * distance, dtype=np.float64))
    # Beyond n samples nothing reaches from one end to the other; tails cut off are reported as truncated mass.
    margin = max(1, min(ceil(reach / step), n))
    while scipy.fft.next_fast_len(n + 2 * margin, real=True) != n + 2 * margin:
        margin += 1
    period = n + 2 * margin
    extra = int(margin / distance) if padded else 0
    points = np.asarray(np.arange(-extra, count + extra) * distance, dtype=np.float64)
    return Line(n, step, period, margin, points)


def _point_distance(line: Line) -> float:
    """Distance of neighbouring output points [Å]."""
    if len(line.points) > 1:
        return float((line.points[1] - line.points[0]) * line.step)
    return line.n * line.step


def _product_cost(n_in: ArrayLike, n_out: ArrayLike) -> float:
    """Multiply-adds of three matrix products, one an axis, the most reducing first."""
    sizes, targets = np.array(n_in, dtype=float), np.array(n_out, dtype=float)
    cost = 0.0
    for axis in np.argsort(targets / sizes, kind="stable"):
        cost += sizes.prod() * targets[axis]
        sizes[axis] = targets[axis]
    return float(cost)


def _most_reducing_first(lines: Sequence[Line], counts: Sequence[int] | None = None) -> list[int]:
    targets = counts or [len(line.points) for line in lines]
    return [int(a) for a in np.argsort([t / line.n for t, line in zip(targets, lines, strict=True)], kind="stable")]


def _line_transform(kernels: Sequence[AveragingKernel], k: Array, order: int) -> NDArray[Any]:
    product: NDArray[Any] = np.ones(np.shape(k))
    for kernel in kernels:
        product = product * kernel.transform(k)
    return product * (-1j * k) if order else product  # conjugated by the caller: eq. 18 is a correlation


def _axis_kernel(kernel: AveragingKernel, axis: int) -> AveragingKernel:
    return kernel.along(axis) if isinstance(kernel, Box) else kernel


def _mode_function(line: Line, kernel: AveragingKernel) -> Any:
    return lambda modes: np.conj(kernel.transform(2 * np.pi * modes / (line.period * line.step)))


def _of_cells(kernel: AveragingKernel, reciprocal: Array, lines: Sequence[Line], tolerance: float) -> Part:
    """An isotropic kernel on cell averages: the piecewise constant field's images in k, folded back.

    m(n) = Σ_g mu^(|k(n + g P)|) Π_i sinc(π (n_i + g_i P_i)/P_i) (-1)^…, cut where mu^ falls below 1e-13.
    """
    periods = [line.period for line in lines]
    cutoff = kernel.cutoff(max(tolerance, 1e-13))
    images = [ceil(cutoff * line.step / (2 * np.pi) + 0.5) if line.n > 1 else 0 for line in lines]
    radial = OfWavevector(reciprocal, kernel.transform)

    def part(a: Any, b: Any, c: Any) -> NDArray[Any]:
        total: Any = 0.0
        for i in range(-images[0], images[0] + 1):
            for j in range(-images[1], images[1] + 1):
                for k in range(-images[2], images[2] + 1):
                    x, y, z = a + i * periods[0], b + j * periods[1], c + k * periods[2]
                    cell = np.sinc(x / periods[0]) * np.sinc(y / periods[1]) * np.sinc(z / periods[2])
                    total = total + radial(x, y, z) * cell
        return np.asarray(total)

    return part
