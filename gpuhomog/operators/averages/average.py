"""Mesoscale average: a field smoothed by an averaging kernel, on its own grid or exactly on a coarser one.

    <nu; mu>(x) = ∫ nu(x + u) mu(u; eps) du,    <nu; mu>~(k) = nu~(k) mu^(-k)             paper eqs. 6, 18
    coarse grid: M = ceil(length/spacing) points per axis (one of one point keeps it), at j length/M from the first

Four ways to the same numbers (ways.py); the cheapest is taken:

    lines      separable kernel, few output points: one matrix product along each axis (line_weights.py). One read of
               the field, whatever the width; exact for any M, whether it divides N or not.
    low modes  smooth kernel, any cell: only modes with |mu^| above rounding matter. They are projected onto a
               coarse grid of 2m + 1 points per axis by matrix products, multiplied there by a small FFT
               (triclinic cross terms included), and expanded to the output points. Exact to rounding.
    taps       smooth kernel, any cell: short windows onto coarse points, the kernel over the windows' transforms by a
               small FFT, the same windows back. One read and one write of the field; the way of GPUs.
    all modes  everything else: FFT of the field, padded on open axes; sampled at the output points.

`sampling` says what samples are: "bandlimited" (points of a smooth field) or "cell" (cell averages).

In   Field (n_a, n_b, n_c) or Profile (n,), any quantity; kernel in Å.
Out  Field or Profile of the same quantity and unit. How it was computed stands in its provenance.

>>> import gpuhomog as gh
>>> wave = Field.from_array(np.cos(2 * np.pi * np.arange(64) / 64) * np.ones((2, 2, 1)), np.diag([9.0, 9.0, 8.0]))
>>> smooth = average(wave, gh.Gaussian(2.0))
>>> print(f"{smooth.values[0, 0, 0]:.12f} {np.exp(-((2 * np.pi / 8) ** 2) * 2.0**2 / 8):.12f}")
0.734602944329 0.734602944329
>>> average(wave, gh.Box(3.0), spacing=4.0).grid.shape
(3, 3, 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, isfinite
from typing import Any, overload

import numpy as np
import scipy  # its parts are imported when first used

from ...averaging_kernels import ORTHOGONAL_AXES, PLANE, AveragingKernel, Stages, TopHat
from ...errors import InputError, KernelError, check_word, warn
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, Grid
from ...parallel import agree_on, agreed
from ...results import Profile
from ...streaming import Unread, together
from ...units import times_length
from ..profiles.unrolled import BANDLIMITED, check_sampling
from .line_weights import Line
from .ways import CELL, WAYS, ByAllModes, BySums, ByTaps, Plan, Way, on_axis

METHODS = ("auto", *WAYS)

PLANES_FOR_CENTRE = 4
"""Planes of an unread field that are read beforehand, for a number near its mean."""


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
    method    "auto", or one of "lines", "low modes", "taps", "all modes" (the same numbers at another cost), or
              "sums": running sums with end stencils instead of exact multipliers, for Box and TopHat; the
              provenance then carries a bound of the rms error
    outside   value of the field beyond open boundaries, in its unit
    padded    True: on open axes the output extends beyond the cell by at least the kernel's reach, so that the
              integral is conserved (on the full grid, and on coarse ones that still resolve the average)

    On open axes the samples are continued by the outside value, as band-limited samples or as cells; nothing is
    renormalized by position. Band-limited samples are those of a trigonometric polynomial on the axis padded by the
    kernel's reach on both sides: where the field ends abruptly, kernels with edges (box, ball, disc) see its ringing,
    1e-3 of the jump and more; let the field end in vacuum, use sampling="cell", or a smooth kernel.
    (macroscopic_average instead takes the jump at an open end in closed form.)
    The Nyquist mode of an even axis stands for both signs: between grid points it is damped as their mean.
    The provenance of the result records the way taken, and on open axes the truncated mass of the kernel.

    Raises KernelError where the kernel does not fit (under cell sampling: a box narrower than one sample, another
    kernel with eps below two, points between the samples for PowerLaw or oblique cells, unless eps is many samples;
    wider than an open axis; TopHat or Sampled on a cell that is not orthogonal), InputError for a spacing, sampling or
    method that does not exist, and for an outside value that is not finite.
    Warns (AccuracyWarning) where eps exceeds a quarter of a periodic axis: the box holds no macroscale; and where the
    spacing exceeds eps, or the width of a box: the mean of such points is not that of the field.
    """
    if isinstance(field, Profile):
        return _average_profile(field, kernel, spacing, sampling, method, outside, padded)
    plan, way = agreed_way(*plan_average(field, kernel, spacing, sampling, method, padded))
    (averaged,) = way.run(plan, _less(field, outside), (None,))
    if outside != 0:
        averaged = averaged + averaged.dtype.type(outside)
    return _result(plan, way, averaged, {"step": "average"})


def average_gradient(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = None,
    sampling: str | None = None,
    outside: float = 0.0,
    padded: bool = False,
) -> tuple[Field, Field, Field]:
    """Gradient of the average, d<nu>/dx, d<nu>/dy, d<nu>/dz: equal to the average of the gradient, IV.B.

    Parameters and errors as `average`; the unit is the field's per Å, the quantity "scalar". For a box it is the
    difference of the averages over opposite faces over the width, exactly.
    """
    plan, way = agreed_way(*plan_average(field, kernel, spacing, sampling, "auto", padded))
    along = way.run(plan, _less(field, outside), (0, 1, 2))  # per Å along each lattice vector
    # ∇ = Σ_i b_i/(2π) ∂/∂s_i and ∂/∂(|a_i| s_i) is what `along` holds
    to_cartesian = field.grid.reciprocal.T * field.grid.lengths / (2 * np.pi)
    components = []
    for x in range(3):
        values = sum(along[axis] * along[axis].dtype.type(to_cartesian[x, axis]) for axis in range(3))
        step = {"step": "average gradient", "component": "xyz"[x]}
        components.append(_result(plan, way, values, step, quantity="scalar", unit=times_length(field.unit, -1)))
    return components[0], components[1], components[2]


def average_and_variance(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = None,
    sampling: str | None = None,
    method: str = "auto",
    outside: float = 0.0,
) -> tuple[Field, Field]:
    """Local mean <nu> and local variance <nu²> - <nu>², float64, under one kernel.

    The squares are taken about the field's mean (about the outside value where an axis is open), so that a large
    constant costs no digits. The variance is that of the samples, and 0 where band-limited squares have one below 0;
    its quantity is "scalar" and its unit, the square of the field's, is left None. Running sums of both, where method
    is or becomes "sums" on a coarse grid, are made in one read and in the field's precision. Parameters and errors as
    `average`.
    """
    plan, way = agreed_way(*plan_average(field, kernel, spacing, sampling, method, False))
    return _means_and_variances(field, [(plan, way)], outside)[0]


def averages_and_variances(
    field: Field,
    kernels: Sequence[AveragingKernel],
    *,
    spacing: float | Sequence[float] | None = None,
    sampling: str | None = None,
    method: str = "auto",
    outside: float = 0.0,
) -> list[tuple[Field, Field]]:
    """Mean and variance under each of several kernels, as average_and_variance gives them one by one.

    All running sums (method "sums") on a coarse grid share their reads of the field. Parameters and errors as
    `average`.
    """
    plans = []
    for kernel in kernels:
        plans.append(agreed_way(*plan_average(field, kernel, spacing, sampling, method, False)))
    return _means_and_variances(field, plans, outside)


def _means_and_variances(field: Field, plans: Sequence[tuple[Plan, Way]], outside: float) -> list[tuple[Field, Field]]:
    check_outside(outside)
    if isinstance(field.values, Unread):
        return _streamed_variances(field, field.values, plans, outside)
    device = field.device
    in_one_read = not field.reproducible
    windows = [way.coarse_windows(plan) if in_one_read and isinstance(way, BySums) else None for plan, way in plans]
    summed = [triple for triple in windows if triple is not None]
    if OPEN in field.grid.boundary:
        centre = outside
    else:
        centre = field.mean() if len(summed) < len(plans) else mean_of_some(field)
    sums = device.box_sums(field.values, summed, 2, centre) if summed else None
    results, done = [], 0
    for (plan, way), triple in zip(plans, windows, strict=True):
        if triple is not None and sums is not None:
            assert isinstance(way, BySums)
            powers = [device.asarray(sums[done, power], np.float64) for power in range(2)]
            mean, square = (way.finished(plan, device.compact(power)) for power in powers)
            done += 1
        else:
            (mean,) = way.run(plan, device.asarray(field.values, np.float64) - centre, (None,))
            (square,) = way.run(plan, device.squared_deviation(field.values, centre), (None,))
        results.append(_mean_and_variance(plan, way, mean, square, centre))
    return results


def _mean_and_variance(plan: Plan, way: Way, mean: Any, square: Any, centre: float) -> tuple[Field, Field]:
    """From the averages of the values and of their squares, both about the centre."""
    variance = square - mean * mean
    variance = variance * (variance > 0)  # rounding may leave -1e-17 where the field is constant
    return (
        _result(plan, way, mean + centre, {"step": "average"}),
        _result(plan, way, variance, {"step": "variance"}, quantity="scalar", unit=None),
    )


def _streamed_variances(
    field: Field, values: Unread, plans: Sequence[tuple[Plan, Way]], outside: float
) -> list[tuple[Field, Field]]:
    """The same of values that are read some planes at a time: all powers under all kernels in one pass."""
    device = field.device
    centre = outside if OPEN in field.grid.boundary else mean_of_some(field)
    deviation = values.mapped(f"less {centre!r}", lambda v: device.asarray(v, np.float64) - centre, np.float64)
    squared = values.mapped(f"squared less {centre!r}", lambda v: device.squared_deviation(v, centre), np.float64)

    def averaged(plan: Plan, way: Way, powers: Unread) -> Any:
        result = None if isinstance(way, ByAllModes) else way.run(plan, powers, (None,))[0]
        if result is None or isinstance(result, Unread):
            values.refuse(f"The variance on {' x '.join(map(str, plan.n_out))} points", "give a larger spacing")
        return result

    works = [
        lambda plan=plan, way=way, powers=powers: averaged(plan, way, powers)
        for plan, way in plans
        for powers in (deviation, squared)
    ]
    found = together(values, *works)
    return [
        _mean_and_variance(plan, way, found[2 * number], found[2 * number + 1], centre)
        for number, (plan, way) in enumerate(plans)
    ]


def mean_of_some(field: Field) -> float:
    """Mean of some thousand points, or of a few planes of an unread field, the same on all ranks.

    Squares may be taken about any number near the mean.
    """
    if isinstance(field.values, Unread):
        return _mean_of_planes(field, field.values)
    skip = [max(1, n // 16) for n in field.values.shape]
    some = field.device.to_host(field.values[:: skip[0], :: skip[1], :: skip[2]])
    total, count = field.comm.sum(np.array([some.sum(dtype=np.float64), some.size]))
    return float(total / count)


def _mean_of_planes(field: Field, values: Unread) -> float:
    """Mean of a few planes, the same however they are shared: squares may be taken about any number near the mean."""
    slab, sums = field.slab, []
    step = max(1, slab.n // PLANES_FOR_CENTRE)
    with agreed(field.comm):
        for plane in range(-(-slab.start // step) * step, slab.stop, step):
            sums.append(float(field.device.planar_sum(values.planes(plane, plane + 1), slab.axis)[0]))
    each = field.comm.concatenate(np.array(sums))
    return float(each.sum() / (len(each) * field.grid.points_per_plane(slab.axis)))


def check_outside(outside: float) -> None:
    """InputError unless the value beyond open boundaries is a finite number."""
    try:
        finite = isfinite(outside)
    except TypeError:
        finite = False
    if not finite:
        raise InputError(f"outside = {outside!r}: give the finite value of the field beyond its open boundaries.")


def _less(field: Field, outside: float) -> Any:
    """The field's values measured from the outside value."""
    check_outside(outside)
    return field.values if outside == 0 else field.values - field.values.dtype.type(outside)


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


def agreed_way(plan: Plan, way: Way) -> tuple[Plan, Way]:
    """The plan and the way, once all ranks have the same: processors of two kinds may round costs differently."""
    facts = {"the way": way.name, "the number of low modes": plan.low_mode_counts if way.name == "low modes" else None}
    if isinstance(way, ByTaps) and plan.taps is not None:
        facts["the windows"] = str([(along.decimation, len(along.weights)) for along in plan.taps])
    agree_on(plan.field.comm, facts, "average")
    return plan, way


def plan_average(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    spacing: float | Sequence[float] | None,
    sampling: str | None,
    method: str,
    padded: bool,
) -> tuple[Plan, Way]:
    """What will be computed, checked, and the way to do it."""
    check_word("method", method, METHODS)
    plan = _plan(field, kernel, spacing, sampling, padded)
    way = _choose_way(plan, method)
    _warn_of_no_macroscale(plan)
    _warn_of_points_too_far_apart(plan)
    return plan, way


def plan_of_grid(
    field: Field, kernel: AveragingKernel | Sequence[AveragingKernel], sampling: str | None = None
) -> Plan:
    """A plan for the field's own points, checked as `average` does; no way is chosen and nothing warned of."""
    return _plan(field, kernel, None, sampling, False)


def _plan(
    field: Field,
    kernel: AveragingKernel | Sequence[AveragingKernel],
    spacing: float | Sequence[float] | None,
    sampling: str | None,
    padded: bool,
) -> Plan:
    if not isinstance(kernel, AveragingKernel):
        if isinstance(kernel, str) or not isinstance(kernel, Sequence):
            raise KernelError(
                f"Kernel {kernel!r}: give an averaging kernel such as gh.Gaussian(4.0), or a list of them."
            )
        kernel = Stages(*kernel)
    sampling = check_sampling(sampling)
    _check_kernel(field.grid, kernel, sampling)
    counts = _output_counts(field.grid, spacing)
    lines = [_line(field.grid, axis, counts[axis], on_axis(kernel, axis).reach(1e-16), padded) for axis in range(3)]
    return Plan(field, kernel, sampling, (lines[0], lines[1], lines[2]))


def smooth_plans(field: Field, kernels: Sequence[AveragingKernel]) -> list[Plan]:
    """A plan for each kernel, from samples of a smooth field to its own points; open axes as long as the widest needs.

    Raises KernelError as `average`, and for a kernel of which no mode can be left out.
    """
    for kernel in kernels:
        _check_kernel(field.grid, kernel, BANDLIMITED)
    lines = []
    for axis in range(3):
        reach = max(on_axis(kernel, axis).reach(1e-16) for kernel in kernels)
        lines.append(_line(field.grid, axis, field.grid.shape[axis], reach, False))
    plans = [Plan(field, kernel, BANDLIMITED, (lines[0], lines[1], lines[2])) for kernel in kernels]
    for plan in plans:
        if not np.isfinite(plan.kernel.cutoff(plan.tolerance)):
            raise KernelError(
                f"A {plan.kernel.name} keeps something of waves of every length, so that it has to see every sample: "
                "use kernels without edges (Gaussian, PowerLaw), or average with each by itself."
            )
    if short := [plan for plan in plans if _short_axes(plan)]:
        _warn_of_no_macroscale(min(short, key=lambda plan: plan.kernel.eps))  # the wider ones are not named
    return plans


def _choose_way(plan: Plan, method: str) -> Way:
    """The cheapest of the ways that exist for this kernel; the one asked for if it exists."""
    costs = {name: cost for name, way in WAYS.items() if (cost := way.cost(plan)) is not None}
    values = plan.field.values
    if isinstance(values, Unread) and costs:
        there = list(costs)
        costs = {name: cost for name, cost in costs.items() if WAYS[name].streams(plan)}
        if len(costs) > 1 and method != ByAllModes.name:  # a spectrum on the disk is for what no other way does
            costs.pop(ByAllModes.name, None)
        if method not in costs and (not costs or method in there):
            points = " x ".join(map(str, plan.n_out))
            smoother = "" if plan.kernel.name == "gaussian" else ", or a Gaussian kernel"
            works = f"give a larger spacing{smoother}" if "lines" in there else "take a Gaussian or a box"
            values.refuse(f"The average with a {plan.kernel.name} on {points} points", works)
    if not costs:
        between = any(line.stride is None for line in plan.lines) and np.isfinite(plan.kernel.cutoff(1e-3))
        divides = " between the samples: give a spacing that divides the grid," if between else ":"
        raise KernelError(
            f"{plan.kernel.name} has no exact form for cell averages in space{divides} "
            'use sampling="bandlimited", or Box.'
        )
    if method == "sums" and method not in costs:
        raise KernelError('method="sums" adds up samples, which only Box and TopHat do: use method="auto".')
    if method != "auto":
        if method not in costs:
            raise KernelError(
                f'method="{method}" does not exist for {plan.kernel.name} with {plan.sampling} sampling on this cell: '
                f"use one of {', '.join(costs)}, or auto."
            )
        return WAYS[method]
    return WAYS[min(costs, key=lambda name: costs[name])]


def _check_kernel(grid: Grid, kernel: AveragingKernel, sampling: str) -> None:
    """KernelError where the kernel does not fit the grid."""
    stages = kernel.kernels if isinstance(kernel, Stages) else (kernel,)
    if sampling == CELL and len(stages) > 1:
        raise KernelError(
            'Several kernels at once need sampling="bandlimited": the average of cell averages is no longer a '
            "cell average. Call average twice, or use bandlimited sampling."
        )
    for stage in stages:
        if stage.geometry == ORTHOGONAL_AXES and not grid.is_orthogonal:
            raise KernelError(
                f"{stage.name} is a one-dimensional kernel along each axis of an orthogonal cell, but this cell is "
                "oblique. Use Gaussian or Ball (right on any cell), or Box(width) along the cell's axes."
            )
        for axis in range(3):
            across_disc = stage.geometry == PLANE and axis == getattr(stage, "axis", None)
            if grid.shape[axis] > 1 and not across_disc:
                _check_width(grid, on_axis(stage, axis), axis, sampling, stage.name)


def _check_width(grid: Grid, kernel: AveragingKernel, axis: int, sampling: str, name: str) -> None:
    """KernelError where the line kernel does not fit one axis."""
    length, along = float(grid.lengths[axis]), AXIS_NAMES[axis]
    step = length / grid.shape[axis]
    if sampling == CELL:
        if isinstance(kernel, TopHat):
            if kernel.full_width < step * (1 - 1e-12):
                raise KernelError(
                    f"{name} of width {kernel.full_width:.6g} Å is narrower than one sample along {along} "
                    f"({step:.6g} Å): cell averages do not resolve it. Use a width of at least {step:.6g} Å."
                )
        elif kernel.eps < 2 * step * (1 - 1e-12):
            raise KernelError(
                f"{name} with eps = {kernel.eps:.6g} Å is narrower than two samples along {along} "
                f"({step:.6g} Å each): cell averages do not resolve it. Use eps of at least {2 * step:.6g} Å."
            )
    if grid.boundary[axis] == OPEN and kernel.full_width > length * (1 + 1e-12):
        raise KernelError(
            f"{name} is {kernel.full_width:.6g} Å wide, but the open axis {along} is only {length:.6g} Å long: "
            "no point would have the field all around it. Use a narrower kernel, or a periodic axis."
        )


def _short_axes(plan: Plan) -> list[tuple[float, str]]:
    """Each width that the kernels have on periodic axes shorter than four of it, and these axes."""
    grid = plan.field.grid
    found: list[tuple[float, str]] = []
    for stage in plan.stages:
        short: dict[float, list[str]] = {}
        for axis in range(3):
            kernel, length = on_axis(stage, axis), float(grid.lengths[axis])
            across_disc = stage.geometry == PLANE and axis == getattr(stage, "axis", None)
            if grid.shape[axis] == 1 or across_disc or grid.boundary[axis] == OPEN:
                continue
            if kernel.eps > length / 4 * (1 + 1e-12):
                short.setdefault(kernel.eps, []).append(f"{AXIS_NAMES[axis]} ({length:.4g} Å)")
        found += [(eps, ", ".join(axes)) for eps, axes in short.items()]
    return found


def _warn_of_no_macroscale(plan: Plan) -> None:
    """AccuracyWarning for each of them."""
    for eps, axes in _short_axes(plan):
        warn(
            f"eps = {eps:.4g} Å exceeds a quarter of the period along {axes}: the average is exact, but this box holds "
            "no macroscale to see with it."
        )


def _warn_of_points_too_far_apart(plan: Plan) -> None:
    """AccuracyWarning where a coarse grid has its points further apart than the average varies over."""
    far = []
    for axis, line in enumerate(plan.lines):
        kernel, distance = on_axis(plan.kernel, axis), _point_distance(line)
        reach = kernel.full_width if isinstance(kernel, TopHat) else kernel.eps
        if distance > max(reach, line.step) * (1 + 1e-9):
            far.append(f"{AXIS_NAMES[axis]} ({distance:.4g} Å apart)")
    if far:
        warn(
            f"The points of the result are further from each other along {', '.join(far)} than the width of the "
            f"{plan.kernel.name}: each is exact, but what lies between is lost, and their mean is not the field's. "
            "Give a smaller spacing, or a wider kernel."
        )


def _result(plan: Plan, way: Way, values: Any, step: dict[str, Any], **attributes: Any) -> Field:
    """The Field of averaged values, on the output grid, with what was done."""
    grid, counts = plan.field.grid, plan.n_out
    cell, origin = grid.cell.copy(), grid.origin.copy()
    for axis, line in enumerate(plan.lines):
        origin += line.points[0] * line.step * grid.cell[axis] / grid.lengths[axis]
        if line.points[0] < 0:  # padded
            cell[axis] *= counts[axis] * _point_distance(line) / grid.lengths[axis]
    step |= {**plan.kernel.describe(), "sampling": plan.sampling, "way": way.name}
    if isinstance(way, BySums):
        step["rms_error_at_most"] = way.error_bound(plan)
    elif isinstance(way, ByTaps):
        step["relative_error_at_most"] = way.error_bound(plan)
    margins = {axis: line.offset * line.step for axis, line in enumerate(plan.lines) if line.is_open}
    if margins:
        step["truncated_mass"] = max(on_axis(plan.kernel, axis).truncated_mass(m) for axis, m in margins.items())
    return plan.field.derive(values, step, grid=Grid(counts, cell, origin, grid.boundary), slab=plan.slab, **attributes)


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
