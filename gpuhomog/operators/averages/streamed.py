"""Streamed averages: matrix products along the axes of values that are read, or written, some planes at a time.

    contracted    reads: the axes in the planes first, chunk by chunk, then the slab's axis
    expanded      writes: from few points to all, planes as they are asked for
    running       reads and writes: sums over a window of planes

The planes of a chunk are contracted along their own axes as they come. What is left of them is small: it is joined, and
contracted along the slab's axis at the end, as if it had been in memory from the start; or, where that is smaller,
each chunk's part of that sum is added up.

In   Unread values; a matrix for each axis, None where an axis stays as it is.
Out  arrays on the device, the rank's own planes; or Unread values to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...field import Field
from ...parallel import Slab
from ...parallel.exchange import at, empty_like
from ...reduction import OWN, PLANES, Arrays, Reduction, extrema, plane_sums
from ...streaming import RESULTS_HELD, Stream, Unread
from .line_weights import Window

Matrix = NDArray[np.float64]
Triple = tuple[Matrix | None, Matrix | None, Matrix | None]
AlongSlabs = Callable[[Any, Matrix], Any]
"""(values of the rank's planes, matrix) → the rank's planes of the matrix product along the slab's axis."""

EXTRA_PLANES = 4
"""Beside those of a window: its sum, and what enters and leaves."""

CHUNKS_IN_TURN = 3
"""Running sums hold more chunks than a pass: those that are read, summed, left behind and written."""

STACKED_ROWS = 96
"""Matrices together of so many rows at most: with more, products take longer than reading."""

SUMS_ARE_SMALLER = 3
"""Added parts exist three times for a moment, joined planes once."""

ALWAYS_JOINED = 8 * 2**20
"""Bytes of planes that are joined though their sums are smaller: adding takes time for every share. No limit of memory
enters here, as a run may go on with another one."""


def fits(field: Field, n_bytes: float) -> bool:
    """True if a result of an unread field may be in memory whole, so many bytes here; the same on every rank.

    Ranks have different memory left, and different bytes, but must go the same way: collective.
    """
    return all(field.comm.gather(n_bytes <= field.values.stream.run.room()))


def holds_planes(field: Field, count: int) -> bool:
    """True if so many planes of an unread field may be in memory, and some to work with; collective, as `fits`."""
    stream = field.values.stream
    held = (count + EXTRA_PLANES + stream.chunks_held) * stream.plane_bytes
    return all(field.comm.gather(held <= stream.run.free()))


def digest_of(*arrays: Matrix | None) -> str:
    """What tells matrices from others."""
    digest = blake2b(digest_size=12)
    for array in arrays:
        digest.update(b"none" if array is None else repr(array.shape).encode() + np.ascontiguousarray(array).data)
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class InPlanes:
    """The products along the two axes in the planes that one reduction wants.

    order     the axes, the more reducing first
    pairs     a matrix for each of them; None: the axis stays as it is
    in_order  True: summed in the order of the samples
    """

    order: tuple[int, int]
    pairs: tuple[tuple[Matrix | None, Matrix | None], ...]
    in_order: bool = False


@lru_cache(maxsize=4)
def _stacks(wanted: tuple[InPlanes, ...]) -> list[tuple[int, Matrix, list[tuple[slice, list[tuple[int, int]]]]]]:
    """Matrices along the first axes below one another: (axis, stack, [(rows, [(of whom, which pair)])])."""
    users: dict[tuple[int, int], tuple[Matrix, list[tuple[int, int]]]] = {}
    for number, one in enumerate(wanted):
        for which, (first, _) in enumerate(one.pairs):
            if first is not None:
                users.setdefault((one.order[0], id(first)), (first, []))[1].append((number, which))
    stacks: list[tuple[int, list[Matrix], list[tuple[slice, list[tuple[int, int]]]]]] = []
    for (axis, _), (matrix, those) in users.items():
        for along, stack, parts in stacks:
            height = parts[-1][0].stop
            if along == axis and height + len(matrix) <= STACKED_ROWS:
                stack.append(matrix)
                parts.append((slice(height, height + len(matrix)), those))
                break
        else:
            stacks.append((axis, [matrix], [(slice(0, len(matrix)), those)]))
    return [(axis, np.concatenate(stack), parts) for axis, stack, parts in stacks]


def in_planes(device: Any, values: Any, slab: Slab, wanted: Sequence[InPlanes]) -> list[Arrays]:
    """All products, the planes read once for as many matrices as a stack holds; none is a view of the values."""
    in_order = wanted[0].in_order  # all of them, or each would look for itself
    contract = device.contract_in_order if in_order else device.contract
    found: list[dict[int, Any]] = [{} for _ in wanted]

    def finish(number: int, which: int, part: Any) -> None:
        second, axis = wanted[number].pairs[which][1], wanted[number].order[1]
        found[number][which] = device.copy(part) if second is None else contract(part, second, axis)

    for axis, stack, parts in _stacks(tuple(wanted)):
        product = contract(values, stack, axis)
        for rows, those in parts:
            part = device.compact(product[at(axis, rows)]) if len(parts) > 1 else product
            for number, which in those:
                finish(number, which, part)
    for number, one in enumerate(wanted):
        for which, (first, _) in enumerate(one.pairs):
            if first is None:
                finish(number, which, values)
    return [tuple(those[which] for which in range(len(those))) for those in found]


def in_planes_first(shape: Sequence[int], triple: Triple, split: int, in_order: bool) -> tuple[int, int]:
    """The two axes in the planes, the more reducing first; of two alike the slower in memory, unless in their order."""
    others = [axis for axis in range(3) if axis != split]
    if split == 2 and not in_order:
        others.reverse()
    others.sort(key=lambda axis: 1.0 if (matrix := triple[axis]) is None else len(matrix) / shape[axis])
    return others[0], others[1]


def _in_plane(triples: Sequence[Triple], split: int) -> tuple[list[Triple], list[int]]:
    """One triple for each pair of matrices in the planes, and which of the pairs each triple has."""
    keys = [tuple(id(matrix) for axis, matrix in enumerate(triple) if axis != split) for triple in triples]
    pairs = list(dict.fromkeys(keys))
    which = [pairs.index(key) for key in keys]
    return [triples[which.index(n)] for n in range(len(pairs))], which


def product_reduction(field: Field, triples: Sequence[Triple]) -> tuple[Reduction, bool]:
    """The products as a Reduction, and whether they still lack the slab's axis."""
    split, shape, itemsize = field.slab.axis, field.grid.shape, field.values.dtype.itemsize
    matrices = [triple[split] for triple in triples]
    each, which = _in_plane(triples, split)
    order = in_planes_first(shape, triples[0], split, field.reproducible)

    def points_in_plane(triple: Triple) -> int:
        counts = [shape[axis] if (matrix := triple[axis]) is None else len(matrix) for axis in order]
        return counts[0] * counts[1]

    most_planes = -(-field.slab.n // field.comm.size)  # of any rank: all have to choose the same
    joined_bytes = sum(points_in_plane(triple) * most_planes for triple in each) * itemsize
    planes = [field.slab.n if matrix is None else len(matrix) for matrix in matrices]
    added_bytes = sum(points_in_plane(triple) * n for triple, n in zip(triples, planes, strict=True)) * itemsize
    joins = field.reproducible or any(matrix is None for matrix in matrices)
    joins = joins or joined_bytes <= max(ALWAYS_JOINED, SUMS_ARE_SMALLER * added_bytes)
    wanted = InPlanes(order, tuple((triple[order[0]], triple[order[1]]) for triple in each), field.reproducible)

    def along_planes(device: Any, parts: Arrays, slab: Slab) -> Arrays:
        return tuple(
            device.contract(parts[n], matrix[:, slab.planes], split)  # type: ignore[index]
            for n, matrix in zip(which, matrices, strict=True)
        )

    return (
        Reduction(
            f"products {digest_of(*(matrix for triple in triples for matrix in triple))}",
            lambda device, values, slab: in_planes(device, values, slab, (wanted,))[0],
            (OWN,) * len(each) if joins else (PLANES,) * len(triples),
            0 if joins or matrices[0] is None else len(matrices[0]),
            joined_bytes if joins else added_bytes,
            visit=in_planes,
            wanted=wanted,
            after=None if joins else along_planes,
        ),
        joins,
    )


def contracted(field: Field, triples: Sequence[Triple], along_slabs: AlongSlabs) -> list[Any]:
    """The matrix products of an unread field, one for each triple, each rank with its planes of them."""
    reduction, lacks_slabs = product_reduction(field, triples)
    parts = field.reduce(reduction)
    if not lacks_slabs:
        return list(parts)
    matrices = [triple[field.slab.axis] for triple in triples]
    own = [parts[n] for n in _in_plane(triples, field.slab.axis)[1]]
    return [part if matrix is None else along_slabs(part, matrix) for part, matrix in zip(own, matrices, strict=True)]


def expanded(field: Field, low: Any, triple: Triple, slab: Slab, shape: tuple[int, int, int], name: str) -> Unread:
    """The matrix products of a whole small array, as planes of `shape` (local) that are made when asked for."""
    split = slab.axis
    contract = field.device.contract_in_order if field.reproducible else field.device.contract
    others = sorted((axis for axis in range(3) if axis != split), key=lambda axis: shape[axis])

    def planes(start: int, stop: int) -> Any:
        matrix = triple[split]
        part = low[at(split, slice(start, stop))] if matrix is None else contract(low, matrix[start:stop], split)
        for axis in others:
            along = triple[axis]
            part = part if along is None else contract(part, along, axis)
        return part

    return Unread(_made(field, planes, slab, shape, name))


class RunningPlanes:
    """Planes of a running sum along the slab's axis, each from the one before it: one entered the window, one left.

    values     what is summed
    window     line_weights.Window of step 1, output 0 being plane 0 of the result
    in_planes  what is done to some planes within themselves first
    is_open    True: there is nothing beyond the planes; False: they repeat

    Planes that the window covers are kept, so that, asked for in order, each plane is read once and the halo of a slab
    besides. Sums are kept in double precision; a reproducible field adds up every window anew.
    """

    def __init__(self, field: Field, window: Window, in_planes: Callable[[Any], Any], is_open: bool, stop: int) -> None:
        self._field, self._window, self._in_planes, self._is_open = field, window, in_planes, is_open
        self._last = stop - 1 + window.start + self.reach - 1  # the last plane that will be needed
        self._kept: dict[int, Any] = {}
        self._count = 0  # planes read at once
        self._sum: Any = None
        self._position: int | None = None
        self._reader: ThreadPoolExecutor | None = None
        self._ahead: tuple[int, int, Future[Any]] | None = None

    @property
    def reach(self) -> int:
        """Planes that a window covers."""
        return len(self._window.head) + self._window.inside + len(self._window.tail)

    def planes(self, start: int, stop: int) -> Any:
        """Planes start:stop of the result."""
        axis, device, out = self._field.slab.axis, self._field.device, None
        for number in range(start, stop):
            one = self._plane(number)
            if out is None:
                out = empty_like(device, one, axis, stop - start)
            out[at(axis, slice(number - start, number - start + 1))] = one
        return out

    def _plane(self, number: int) -> Any:
        window, device = self._window, self._field.device
        first = number + window.start
        inner = first + len(window.head)
        outer = inner + window.inside
        for old in [plane for plane in self._kept if plane < first - 1]:
            del self._kept[old]
        for plane in range(first, outer + len(window.tail)):  # planes are read in their order
            if plane not in self._kept:
                self._load(plane)
        if self._position == number - 1 and window.inside and not self._field.reproducible:
            self._sum = self._sum + self._get(outer - 1) - self._get(inner - 1)
        else:
            self._sum = 0.0
            for plane in range(inner, outer):
                self._sum = self._sum + self._get(plane)
        self._position = number
        total = self._sum
        for weights, place in ((window.head, first), (window.tail, outer)):
            for offset, weight in enumerate(weights):
                if weight != 0.0:
                    total = total + self._get(place + offset) * weight
        return device.asarray(total * window.scale, self._field.values.dtype)

    def _get(self, plane: int) -> Any:
        """A plane, in double precision."""
        return self._field.device.asarray(self._kept[plane], np.float64)

    def _load(self, plane: int) -> None:
        """A plane, and those after it that fit into a chunk; the next chunk is read meanwhile."""
        if self._count == 0:
            stream = self._field.values.stream
            held = (self.reach + EXTRA_PLANES) * stream.plane_bytes // RESULTS_HELD
            self._count = max(1, stream.planes_at_once(held) // CHUNKS_IN_TURN)
        count = self._count
        stop = min(plane + count, max(self._last, plane) + 1)
        if self._ahead is not None and self._ahead[0] == plane:
            stop, parts = self._ahead[1], self._ahead[2].result()
        else:
            parts = self._read(plane, stop)
        self._ahead = None
        if stop <= self._last:
            self._reader = self._reader or ThreadPoolExecutor(1)
            after = stop, min(stop + count, self._last + 1)
            self._ahead = (*after, self._reader.submit(self._read, *after))
        device, values = self._field.device, self._field.values
        up = [values.applied(device.asarray(part)) for part, _ in parts]
        up = [one * 0 if is_nothing else one for one, (_, is_nothing) in zip(up, parts, strict=True)]
        planes = up[0] if len(up) == 1 else joined(device, up, self._field.slab.axis)
        axis, done = self._field.slab.axis, self._in_planes(planes)
        for number in range(plane, stop):
            self._kept[number] = done[at(axis, slice(number - plane, number - plane + 1))]

    def _read(self, start: int, stop: int) -> list[tuple[Any, bool]]:
        """Planes start:stop of a line that repeats, or ends: pieces as they are read, and which are nothing."""
        slab, stream, parts = self._field.slab, self._field.values.stream, []
        while start < stop:
            turn, plane = divmod(start, slab.n)
            count = min(stop - start, slab.n - plane)
            parts.append((stream.read(plane, plane + count), self._is_open and turn != 0))
            start += count
        return parts


def joined(device: Any, parts: Sequence[Any], axis: int) -> Any:
    """Some planes and those after them as one array."""
    out = empty_like(device, parts[0], axis, sum(part.shape[axis] for part in parts))
    start = 0
    for part in parts:
        out[at(axis, slice(start, start + part.shape[axis]))] = part
        start += part.shape[axis]
    return out


def running(
    field: Field,
    window: Window,
    in_planes: Callable[[Any], Any],
    is_open: bool,
    slab: Slab,
    shape: tuple[int, int, int],
    name: str,
) -> Unread:
    """Running sums as planes of `shape` (local) that are made when asked for, best in order."""
    values = field.values
    sums = RunningPlanes(field, window, in_planes, is_open, slab.stop)
    made = _made(field, sums.planes, slab, shape, name)
    made.held_bytes = (sums.reach + EXTRA_PLANES) * values.stream.plane_bytes
    return Unread(made)


def _made(
    field: Field, planes: Callable[[int, int], Any], slab: Slab, shape: tuple[int, int, int], name: str
) -> Stream:
    """The stream of a result."""
    stream, split = field.values.stream, slab.axis
    return Stream(
        f"{field.values.name}, {name}",
        f"the average of {stream.title}",
        planes,
        shape,
        field.values.dtype,
        slab,
        field.comm,
        field.device,
        stream.run,
        first=(extrema(), plane_sums(split, split)),
        ahead=False,
    )
