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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ..field import Field
from ..parallel import model
from .planar import family_bins, parse_planes
from .ways import ByAllModes, ByLines, ByLowModes, BySums, ByTaps, Derivatives, Plan, Way, most_reducing_first

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
    """What is told about a field: mean, integral, smallest and largest value."""
    return Cost(moved=REPORT_READS * n_bytes, busy=float(REPORT_READS * n_bytes))


def filter_cost(part: Field, shape: Sequence[int], n_results: int = 1) -> Cost:
    """Filters in Fourier space on a grid of that shape, split as the field is: the spectrum, then each result."""
    size, axis, itemsize = part.comm.size, part.slab.axis, part.values.dtype.itemsize
    n_bytes = held(shape, axis, size) * itemsize
    columns = (
        part.device.filter_in_columns[part.values.dtype.name] / part.device.pass_in_columns[part.values.dtype.name]
    )
    passes = FILTER_PASSES * (1 + n_results) / 2
    stored = list(shape) if axis == 0 else list(reversed(shape))
    sent = {} if size == 1 else {"transpose": model.filter_bytes(stored, itemsize, size, n_results)}
    spectra = 1 if n_results == 1 else 2
    spectra += size > 1  # before a transpose and after it
    busy = max(passes, columns * (1 + n_results) / 2) * n_bytes
    return Cost((spectra + n_results) * n_bytes, n_results * n_bytes, round(passes * n_bytes), busy, sent)


def contraction_cost(part: Field, shape: Sequence[int], n_out: int, axis: int) -> Cost:
    """Matrix product along one axis of an array of that shape, split as the field is."""
    itemsize, size = part.values.dtype.itemsize, part.comm.size
    after = [n_out if i == axis else n for i, n in enumerate(shape)]
    before, out = (held(s, part.slab.axis, size) * itemsize for s in (shape, after))
    work = before * n_out / part.device.pass_in_columns[part.values.dtype.name]
    if axis != part.slab.axis or size == 1:
        return read_once(before, out, work)
    by_sums, by_transposes = model.contraction_choices(shape, n_out, itemsize, size, axis)
    if by_sums.sum() <= by_transposes.sum():
        partial = prod(after) * itemsize
        product = read_once(before, partial, work)
        return product.then(Cost(partial + out, out, partial + 2 * out, partial + 2.0 * out, {"sum": by_sums}))
    other = 1 if axis == 0 else 0
    turned, across = held(shape, other, size) * itemsize, held(after, other, size) * itemsize
    there = Cost(turned, turned, before + turned, float(before + turned), {"transpose": by_transposes})
    back = read_once(across, out)
    return there.then(read_once(turned, across, work)).then(back)


def contractions_cost(part: Field, shape: Sequence[int], n_out: Sequence[int], skip_equal: bool = False) -> Cost:
    """Matrix products along all three axes, the most reducing first."""
    total, sizes = Cost(), list(shape)
    for axis in most_reducing_first(shape, n_out):
        if skip_equal and sizes[axis] == n_out[axis] and (axis != part.slab.axis or part.comm.size == 1):
            continue
        total = total.then(contraction_cost(part, sizes, n_out[axis], axis))
        sizes[axis] = n_out[axis]
    return total


def average_cost(plan: Plan, way: Way, derivatives: Derivatives = (None,)) -> Cost:
    """The average by the way that was chosen, or its derivatives."""
    n = len(derivatives)
    if isinstance(way, ByLowModes):
        return _low_modes_cost(plan, n)
    if isinstance(way, ByTaps):
        return _taps_cost(plan, n)
    if isinstance(way, ByAllModes):
        return _all_modes_cost(plan, n)
    assert isinstance(way, ByLines)
    if isinstance(way, BySums) and n == 1 and way.coarse_windows(plan) is not None:
        n_bytes = busiest_bytes(plan.field)
        out = held(plan.n_out, plan.field.slab.axis, plan.field.comm.size) * plan.field.values.dtype.itemsize
        return read_once(n_bytes, out, plan.field.device.sums_in_passes * n_bytes)
    return times(n, contractions_cost(plan.field, plan.n_in, plan.n_out))  # what derivatives share is not deducted


def _low_modes_cost(plan: Plan, n: int) -> Cost:
    """Projection, whose sums every rank gets whole; a small filter; expansion."""
    part, counts = plan.field, plan.low_mode_counts
    assert counts is not None
    itemsize, size, axis = part.values.dtype.itemsize, part.comm.size, part.slab.axis
    total, sizes, small = Cost(), list(plan.n_in), prod(counts) * itemsize
    for along in most_reducing_first(plan.n_in, counts):
        before = held(sizes, axis, size) if size > 1 and sizes[axis] == plan.n_in[axis] else prod(sizes)
        work = before * itemsize * counts[along] / part.device.pass_in_columns[part.values.dtype.name]
        sizes[along] = counts[along]
        local = (
            held(sizes, axis, size) if size > 1 and along != axis and sizes[axis] == plan.n_in[axis] else prod(sizes)
        )
        total = total.then(read_once(before * itemsize, local * itemsize, work))
        if along == axis and size > 1:
            sent = model.sum_bytes(prod(sizes) * itemsize, size)
            total = total.then(Cost(2 * local * itemsize, local * itemsize, sent={"sum": sent}))
    filtered = FILTER_PASSES * small * (1 + n) / 2
    total = total.then(Cost((2 + n) * small, n * small, round(filtered), filtered))
    out = [-(-count // size) if i == axis else count for i, count in enumerate(plan.n_out)]
    expanded, sizes = Cost(), list(counts)
    for along in most_reducing_first(counts, plan.n_out):
        before = prod(sizes) * itemsize
        sizes[along] = out[along]
        work = before * out[along] / part.device.pass_in_columns[part.values.dtype.name]
        expanded = expanded.then(read_once(before, prod(sizes) * itemsize, work))
    return total.then(times(n, expanded))


def _taps_cost(plan: Plan, n: int) -> Cost:
    """Contraction, a small filter, expansion of each result."""
    part, taps = plan.field, plan.taps
    assert taps is not None
    dtype, itemsize = part.values.dtype.name, part.values.dtype.itemsize
    column = itemsize / part.device.pass_in_columns[dtype]
    periods = [line.period for line in plan.lines]
    coarse = [period // along.decimation for period, along in zip(periods, taps, strict=True)]
    fine, points = prod(periods), prod(coarse) * itemsize
    planes = periods[0] * coarse[1] * coarse[2] * itemsize
    work = fine * taps[1].n_cells * (1 + 1 / taps[1].decimation) * part.device.tap_in_columns[dtype] * column
    there = fine * itemsize
    padded = filled(there) if fine > prod(plan.n_in) else Cost()
    total = padded.then(_worked(read_once(there, planes), work)).then(read_once(planes, points))
    total = total.then(filter_cost(part, coarse, n))
    one = contractions_cost(part, coarse, plan.n_out)
    if all(line.stride == 1 and len(line.points) >= line.n for line in plan.lines):
        one = read_once(points, planes).then(_worked(read_once(planes, there), work))
    return total.then(times(n, one))


def _worked(cost: Cost, work: float) -> Cost:
    """The same with arithmetic that comes on top of its passes."""
    return Cost(cost.peak, cost.kept, cost.moved, cost.busy + work, cost.sent)


def _all_modes_cost(plan: Plan, n: int) -> Cost:
    """The filter of the whole field, padded on open axes; then the output points."""
    part = plan.field
    periods = [line.period for line in plan.lines]
    n_bytes, itemsize = busiest_bytes(part), part.values.dtype.itemsize
    padded = held(periods, part.slab.axis, part.comm.size) * itemsize
    filtered = filter_cost(part, periods, n)
    total = filtered if padded == n_bytes else read_once(n_bytes, padded).beside(filtered)
    if all(line.stride == 1 and len(line.points) == line.period for line in plan.lines):
        return total
    if any(line.stride is None for line in plan.lines):
        return total.then(times(n, contractions_cost(part, periods, plan.n_out, skip_equal=True)))
    out = held(plan.n_out, part.slab.axis, part.comm.size) * itemsize
    return total.then(times(n, read_once(out, out)))
