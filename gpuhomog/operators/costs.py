"""Costs: what an operator will need on the busiest of several ranks, from shapes alone.

    peak   bytes at once beside the input: what is between, and the results
    kept   bytes of the results
    moved  bytes read and written in the memory of the device
    busy   the same, where arithmetic takes longer than the memory: bytes that could be moved in its time
    sent   by kind, bytes that each rank sends (parallel/model.py)

Arithmetic is counted as in ways.py, in columns of a matrix product, of which a device says how many take as long as
one pass over the field. The last rank has the most planes (Slab.of), so it is the busiest.

In   Field or Plan whose values need have no more than a shape and a type.
Out  Cost.

>>> read_once(1000, 8).then(filled(100)).moved
1108
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from ..device.padded import CONVOLVED_BYTES
from ..fft import SLOWEST_FIRST, slab_order
from ..field import Field
from ..parallel import Slab, model
from ..streaming import least_bytes
from .averages.line_weights import Line
from .averages.streamed import ALWAYS_JOINED, SUMS_ARE_SMALLER
from .averages.ways import WAYS, ByAllModes, ByLines, ByLowModes, BySums, ByTaps, Derivatives, Plan, Way
from .potentials.truncated import padded_grid
from .profiles.planar import family_bins, parse_planes

FILTER_PASSES = 10
"""Reads and writes of the field in a filter in Fourier space (device/gpu/spectral.py)."""
REPORT_READS = 3
"""Reads of a field for its mean, its integral, its smallest and largest value."""


@dataclass(frozen=True)
class Cost:
    """What one rank needs; see the module."""

    peak: int = 0
    kept: int = 0
    moved: int = 0
    busy: float = 0.0
    sent: Mapping[str, model.Bytes] = field(default_factory=dict)

    def then(self, other: Cost) -> Cost:
        """The other after this one, on its result, which is dropped."""
        return self._with(other, other.kept)

    def beside(self, other: Cost) -> Cost:
        """The other after this one, whose result stays."""
        return self._with(other, self.kept + other.kept)

    def _with(self, other: Cost, kept: int) -> Cost:
        sent = dict(self.sent)
        for kind, n_bytes in other.sent.items():
            sent[kind] = sent[kind] + n_bytes if kind in sent else n_bytes
        peak = max(self.peak, self.kept + other.peak)
        return Cost(peak, kept, self.moved + other.moved, self.busy + other.busy, sent)

    @property
    def n_sent(self) -> int:
        """Bytes that the busiest rank sends."""
        return int(sum(self.sent.values(), start=np.zeros(1, dtype=np.int64)).max())


def read_once(n_bytes: int, out: int = 0, work: float = 0.0) -> Cost:
    """A pass that reads, leaves `out` bytes, and whose arithmetic takes as long as moving `work` bytes."""
    return Cost(out, out, n_bytes + out, max(float(n_bytes + out), work))


def filled(n_bytes: int) -> Cost:
    """A pass that writes what it has not read."""
    return Cost(n_bytes, n_bytes, n_bytes, float(n_bytes))


def held(shape: Sequence[int], axis: int, size: int) -> int:
    """Points of the busiest rank of a grid split along an axis."""
    return prod(shape) // shape[axis] * -(-shape[axis] // size) if shape[axis] else 0


def busiest_bytes(part: Field) -> int:
    """Bytes of the values on the busiest rank."""
    return held(part.grid.shape, part.slab.axis, part.comm.size) * part.values.dtype.itemsize


def planar_cost(part: Field, planes: int | str | Sequence[int]) -> Cost:
    """Sums over the planes of an axis, or of a family (h k l): one read, vectors exchanged."""
    size, known = part.comm.size, parse_planes(planes)
    if not isinstance(known, int):
        cut = [i for i in range(3) if known[i]]
        known = cut[0] if len(cut) == 1 else known
    if not isinstance(known, int):
        bins = family_bins(part.grid, known)[1]
        return read_once(busiest_bytes(part)).then(Cost(sent={"sum": model.sum_bytes(8 * bins, size)}))
    n, split = part.grid.shape[known], known == part.slab.axis
    sent = model.join_bytes(n, size, 8) if split else model.sum_bytes(8 * n, size)
    return read_once(busiest_bytes(part)).then(Cost(sent={"sum": sent}))


def times(n: int, cost: Cost) -> Cost:
    """So many such results, one after another."""
    total = Cost()
    for _ in range(n):
        total = total.beside(cost)
    return total


def shifted_cost(part: Field, cost: Cost) -> Cost:
    """The same done to the values less a number, a second array of them."""
    n_bytes = busiest_bytes(part)
    moved, busy = cost.moved + 2 * n_bytes, cost.busy + 2 * n_bytes
    return Cost(cost.peak + n_bytes, cost.kept, moved, busy, cost.sent)


def report_cost(n_bytes: int) -> Cost:
    """What is told about a field: mean, integral, smallest and largest value; a few numbers are sent, not counted."""
    return Cost(moved=REPORT_READS * n_bytes, busy=float(REPORT_READS * n_bytes))


def filter_cost(part: Field, shape: Sequence[int], n_results: int = 1, order: Sequence[int] | None = None) -> Cost:
    """Filters in Fourier space on a grid of that shape, split as the field is: the spectrum, then each result.

    order  of the axes as they are stored, where ranks share halved modes of the second (fft.slab_order)
    """
    size, axis, itemsize = part.comm.size, part.slab.axis, part.values.dtype.itemsize
    n_bytes = held(shape, axis, size) * itemsize
    passes = FILTER_PASSES * (1 + n_results) / 2
    columns = part.device.filter_in_columns[part.values.dtype.name] * (1 + n_results) / 2
    busy = max(passes, columns / part.device.pass_in_columns[part.values.dtype.name]) * n_bytes
    halved = 1 if part.device.pads_one_axis or order else 2
    stored = [shape[i] for i in order or slab_order(part.device, shape, shape, axis, size)]
    sent = {} if size == 1 else {"transpose": model.filter_bytes(stored, itemsize, size, n_results, halved)}
    spectra = (1 if n_results == 1 else 2) + (size > 1)  # before a transpose and after it
    peak = (spectra + n_results) * n_bytes + part.device.scratch_bytes
    return Cost(peak, n_results * n_bytes, round(passes * n_bytes), busy, sent)


def poisson_cost(part: Field, n_results: int = 1) -> Cost:
    """Poisson's equation (fft.convolved): spectra padded along two axes or one; the others some rows at a time."""
    padded = padded_grid(part.grid).shape
    opened = [axis for axis in range(3) if padded[axis] > part.grid.shape[axis]]
    if not opened:
        return filter_cost(part, part.grid.shape, n_results)
    chunks = 0 if part.device.pads_one_axis else 2 * CONVOLVED_BYTES
    order = None
    if part.comm.size > 1 and (part.device.pads_one_axis or opened != [part.slab.axis]):
        order = slab_order(part.device, part.grid.shape, padded, part.slab.axis, part.comm.size)
        in_parts = [order[0], order[2]]
    elif part.device.pads_one_axis:
        in_parts = [part.slab.axis, SLOWEST_FIRST[part.slab.axis][2]]
    else:
        in_parts = [part.slab.axis if part.slab.axis in opened else opened[0]]
    shape = [part.grid.shape[axis] if axis in in_parts else padded[axis] for axis in range(3)]
    filtered = filter_cost(part, shape, n_results, order)
    spectra = filtered.peak - n_results * held(shape, part.slab.axis, part.comm.size) * part.values.dtype.itemsize
    results = n_results * busiest_bytes(part)
    return replace(filtered, peak=spectra + results + chunks, kept=results)


def ions_cost(part: Field) -> Cost:
    """Gaussian ions, whose modes each rank makes on its host, less the values."""
    size, itemsize, n_bytes = part.comm.size, part.values.dtype.itemsize, busiest_bytes(part)
    n_0, n_1, n_2 = (part.grid.shape[i] for i in SLOWEST_FIRST[part.slab.axis])
    sent = model.transpose_bytes((n_0, n_1, n_2 // 2 + 1), 2 * itemsize, size, 1, 0)
    spectra = 1 + (size > 1)  # before a transpose and after it
    moved = FILTER_PASSES // 2 * n_bytes
    ions = Cost((spectra + 1) * n_bytes, n_bytes, moved, float(moved), {"transpose": sent} if size > 1 else {})
    return ions.then(Cost(n_bytes, n_bytes, 3 * n_bytes, 3.0 * n_bytes))


AS_COUNTED = (1.0, 0.0)
"""Of matrix products: a column takes one column, and no passes are on top (Device.odd_product)."""


def contraction_cost(
    part: Field, shape: Sequence[int], n_out: int, axis: int, takes: tuple[float, float] = AS_COUNTED
) -> Cost:
    """Matrix product along one axis of an array of that shape, split as the field is."""
    itemsize, size = part.values.dtype.itemsize, part.comm.size
    after = [n_out if i == axis else n for i, n in enumerate(shape)]
    before, out = (held(s, part.slab.axis, size) * itemsize for s in (shape, after))
    column, passes = takes
    work = column * before * n_out / part.device.pass_in_columns[part.values.dtype.name] + passes * max(before, out)
    matrix = n_out * shape[axis] * itemsize
    if axis != part.slab.axis or size == 1:
        return Cost(out + matrix, out, before + out, max(float(before + out), work))
    by_sums, by_transposes = model.contraction_choices(shape, n_out, itemsize, size, axis)
    if by_sums.sum() <= by_transposes.sum():
        partial = prod(after) * itemsize
        product = Cost(partial + matrix, partial, before + partial, max(float(before + partial), work))
        return product.then(Cost(partial, out, partial + 2 * out, partial + 2.0 * out, {"sum": by_sums}))
    other = 1 if axis == 0 else 0
    turned, across = held(shape, other, size) * itemsize, held(after, other, size) * itemsize
    moved = before + 2 * turned + 2 * across + out  # there, the product, and back; all of it is held to the end
    busy = before + turned + max(float(turned + across), work) + across + out
    return Cost(turned + across + max(out, matrix), out, moved, busy, {"transpose": by_transposes})


def fetch_cost(part: Field, shape: Sequence[int], wanted: Callable[[Slab], range], n_out: int) -> Cost:
    """Planes of the split axis of an array of that shape, which each rank wants for its slab of n_out."""
    size, axis, itemsize = part.comm.size, part.slab.axis, part.values.dtype.itemsize
    if size == 1:
        return Cost()
    planes = [wanted(Slab.of(n_out, rank, size, axis)) for rank in range(size)]
    plane = prod(shape) // shape[axis] * itemsize
    most = plane * max(map(len, planes))
    return Cost(most, most, 2 * most, 2.0 * most, {"planes": model.fetch_bytes(shape[axis], planes, plane)})


def contractions_cost(
    plan: Plan,
    shape: Sequence[int],
    n_out: Sequence[int],
    skip: Sequence[int] = (),
    takes: tuple[float, float] = AS_COUNTED,
) -> Cost:
    """Matrix products along the axes that are not skipped, in the order of the plan."""
    total, sizes = Cost(), list(shape)
    for axis in plan.order(shape, n_out):
        if axis not in skip:
            total = total.then(contraction_cost(plan.field, sizes, n_out[axis], axis, takes))
        sizes[axis] = n_out[axis]
    return total


def average_cost(plan: Plan, way: Way, derivatives: Derivatives = (None,)) -> Cost:
    """The average by the way that was chosen, or its derivatives."""
    if isinstance(way, ByLowModes):
        return _low_modes_cost(plan, len(derivatives))
    if isinstance(way, ByTaps):
        return _taps_cost(plan, len(derivatives))
    if isinstance(way, ByAllModes):
        return _all_modes_cost(plan, len(derivatives))
    assert isinstance(way, ByLines)
    if isinstance(way, BySums) and derivatives == (None,) and way.passes(plan) < float("inf"):
        n_bytes = busiest_bytes(plan.field)
        out = held(plan.n_out, plan.field.slab.axis, plan.field.comm.size) * plan.field.values.dtype.itemsize
        return read_once(n_bytes, out, way.passes(plan) * n_bytes)
    total, sizes, order = Cost(), list(plan.n_in), plan.order(plan.n_in, plan.n_out)
    for position, axis in enumerate(order):
        products = {tuple(d == a for a in order[: position + 1]) for d in derivatives}  # each is made once
        total = total.then(times(len(products), contraction_cost(plan.field, sizes, plan.n_out[axis], axis)))
        sizes[axis] = plan.n_out[axis]
    return total


def streamed(plan: Plan) -> tuple[int, int, Way] | None:
    """What an average of values that are read some planes at a time keeps, what its spectrum takes, and its way.

    Planes contracted along their own axes, or three times the sum of what each gives of the result (streamed.py); then
    the result itself, but for low modes, from which it is made as it is written. None where it takes all values.
    """
    part, itemsize = plan.field, plan.field.values.dtype.itemsize
    axis, here = part.slab.axis, -(-part.slab.n // part.comm.size)
    known = []
    for way, counts in ((WAYS["lines"], plan.n_out), (WAYS["low modes"], plan.low_mode_counts)):
        cost = way.cost(plan)
        if counts is not None and cost is not None:
            in_plane = prod(counts) // counts[axis] * itemsize
            joined = in_plane * here <= ALWAYS_JOINED
            between = in_plane * (here if joined else min(here, SUMS_ARE_SMALLER * counts[axis]))
            result = held(plan.n_out, axis, part.comm.size) * itemsize if way.name == "lines" else 0
            known.append((cost, between + result, way))
    if not known:
        modes = WAYS["all modes"]
        return (0, kept_on_disk(part, part.grid.shape), modes) if modes.streams(plan) else None
    _, n_bytes, way = min(known, key=lambda one: one[0])
    return n_bytes, 0, way


def kept_on_disk(part: Field, padded: Sequence[int]) -> int:
    """Memory that a spectrum on the disk (streaming/spectrum.py) takes beside planes, on the padded grid."""
    axis, threads = part.slab.axis, getattr(part.device, "threads", 1)
    stored = [padded[i] for i in SLOWEST_FIRST[axis]]
    return least_bytes(stored, part.grid.shape[axis], part.comm.size, part.values.dtype.itemsize, threads)


def gradient_cost(plan: Plan, way: Way) -> Cost:
    """Derivatives along the lattice vectors, then x, y and z of them, each three products and their sum."""
    out = held(plan.n_out, plan.field.slab.axis, plan.field.comm.size) * plan.field.values.dtype.itemsize
    along = average_cost(plan, way, (0, 1, 2))
    return along.then(Cost(4 * out, 3 * out, 42 * out, 42.0 * out))


def _low_modes_cost(plan: Plan, n: int) -> Cost:
    """Projection, a small filter, expansion of each result."""
    counts = plan.low_mode_counts
    assert counts is not None
    kept = [axis for axis, line in enumerate(plan.lines) if counts[axis] == line.n == line.period]
    takes = plan.field.device.odd_product
    total = contractions_cost(plan, plan.n_in, counts, kept, takes).then(filter_cost(plan.field, counts, n))
    sampled = [axis for axis in kept if len(plan.lines[axis].points) == counts[axis] and plan.lines[axis].stride == 1]
    return total.then(times(n, contractions_cost(plan, counts, plan.n_out, sampled, takes)))


def _taps_cost(plan: Plan, n: int) -> Cost:
    """Contraction, a small filter, expansion of each result."""
    part, taps = plan.field, plan.taps
    assert taps is not None
    dtype, itemsize, size, axis = part.values.dtype.name, part.values.dtype.itemsize, part.comm.size, part.slab.axis
    periods = [line.period for line in plan.lines]
    coarse = [period // along.decimation for period, along in zip(periods, taps, strict=True)]
    slow = axis if size > 1 else 0  # contracted last, expanded first: what is between is small
    between = [period if i == slow else m for i, (period, m) in enumerate(zip(periods, coarse, strict=True))]
    fine, planes, points = (held(shape, axis, size) * itemsize for shape in (periods, between, coarse))
    taps_of_point = taps[1].n_cells * (1 + 1 / taps[1].decimation)
    work = fine * taps_of_point * part.device.tap_in_columns[dtype] / part.device.pass_in_columns[dtype]
    along = taps[axis]
    step, first, length = along.decimation, along.first, len(along.weights)

    def samples(slab: Slab) -> range:  # under the windows of coarse points, in whole steps
        steps = -(-((slab.n_local - 1) * step + length) // step) if slab.n_local else 0
        return range(slab.start * step + first, (slab.start + steps) * step + first)

    def reaching(slab: Slab) -> range:  # coarse points whose windows hold a sample
        low, high = -((first + length - 1 - slab.start) // step), (slab.stop - 1 - first) // step + 1
        return range(low, high if slab.n_local else low)

    there = _worked(read_once(fine, planes), work).then(fetch_cost(part, between, samples, coarse[axis]))
    there = there.then(read_once(planes, points))
    total = _padded(plan, there).then(filter_cost(part, coarse, n))
    if not all(line.stride == 1 and len(line.points) >= line.n for line in plan.lines):
        return total.then(times(n, contractions_cost(plan, coarse, plan.n_out)))
    back = fetch_cost(part, coarse, reaching, periods[axis])
    back = back.then(read_once(points, planes)).then(_worked(read_once(planes, fine), work))
    return total.then(times(n, back.then(_sampled(plan, fine))))


def _worked(cost: Cost, work: float) -> Cost:
    """The same with arithmetic that comes on top of its passes."""
    return Cost(cost.peak, cost.kept, cost.moved, cost.busy + work, cost.sent)


def _all_modes_cost(plan: Plan, n: int) -> Cost:
    """The filter of the whole field, padded on open axes; then the output points."""
    periods = [line.period for line in plan.lines]
    n_bytes = held(periods, plan.field.slab.axis, plan.field.comm.size) * plan.field.values.dtype.itemsize
    filtered = _padded(plan, filter_cost(plan.field, periods, n))
    return filtered.then(times(n, _sampled(plan, n_bytes)))


def _padded(plan: Plan, cost: Cost) -> Cost:
    """The same, done to the values with zeros around them on open axes: a second array."""
    part, axis = plan.field, plan.field.slab.axis
    if not any(line.is_open for line in plan.lines):
        return cost
    line, periods = plan.lines[axis], [line.period for line in plan.lines]
    pad = read_once(busiest_bytes(part), held(periods, axis, part.comm.size) * part.values.dtype.itemsize)
    if line.is_open:

        def inside(slab: Slab) -> range:
            return range(*(min(max(x - line.offset, 0), line.n) for x in (slab.start, slab.stop)))

        shape = [period if i < axis else n for i, (n, period) in enumerate(zip(plan.n_in, periods, strict=True))]
        pad = fetch_cost(part, shape, inside, line.period).then(pad)
    return pad.beside(cost)


def _sampled(plan: Plan, n_bytes: int) -> Cost:
    """The output points of values on the whole padded grid, so many bytes of it here."""
    part, axis = plan.field, plan.field.slab.axis
    total, sizes = Cost(peak=n_bytes, kept=n_bytes), [line.period for line in plan.lines]
    for along, line in enumerate(plan.lines):
        n_out, stride = len(line.points), line.stride
        if stride is None:
            total = total.then(contraction_cost(part, sizes, n_out, along))
        elif along == axis and part.comm.size > 1 and (stride != 1 or n_out != line.period):
            total = total.then(fetch_cost(part, sizes, _every(line, stride), n_out))
        sizes[along] = n_out
    out = held(plan.n_out, axis, part.comm.size) * part.values.dtype.itemsize
    return total if out == n_bytes else total.then(read_once(out, out))


def _every(line: Line, stride: int) -> Callable[[Slab], range]:
    """The planes of a padded axis that are output points of a slab."""
    start = int(line.points[0]) + line.offset
    return lambda slab: range(start + stride * slab.start, start + stride * slab.stop, stride)
