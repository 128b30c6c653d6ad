"""Planes of a field, block by block, on the host: what every file of a field is written from.

A block holds whole planes of the axis that is slowest in the file, 32 MiB or one plane, copied from the device when
its turn comes (or only then read or made, where the values are Unread): no second copy of the field exists. Each rank
gets the blocks of the planes it writes. Where it holds them already nothing is sent; else (slabs of another axis, or
one rank writes all) every step is one exchange, before which the ranks agree that nobody has failed.

In   Field, any device, whole or slab; which planes each rank writes.
Out  (start, values) for each block; values (a, b, c) with the planes start: of one axis. The same error on every rank
     if anything fails on one.

>>> from gpuhomog import Field
>>> field = Field.from_array(np.arange(24.0).reshape(2, 3, 4), np.eye(3))
>>> use_blocks(field, 2, "", owners(field, 2), lambda start, block: print(start, block.shape), n_bytes=100)
0 (2, 3, 2)
2 (2, 3, 2)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from ..parallel import Slab, agreed
from ..parallel.exchange import at
from ..progress import task
from ..streaming import Unread

BLOCK_BYTES = 32 * 2**20

Planes = tuple[int, int]
"""The planes first:last of an axis."""


def owners(field: Field, axis: int, *, shared: bool = True) -> list[Planes]:
    """The planes of an axis that each rank writes: those it holds, an equal share, or (not shared) all on rank 0."""
    n, size = field.grid.shape[axis], field.comm.size
    if not shared:
        return [(0, n)] + [(n, n)] * (size - 1)
    if axis == field.slab.axis:
        return field.comm.gather((field.slab.start, field.slab.stop))
    slabs = [Slab.of(n, rank, size, axis) for rank in range(size)]
    return [(slab.start, slab.stop) for slab in slabs]


def use_blocks(
    field: Field,
    axis: int,
    label: str,
    owned: Sequence[Planes],
    use: Callable[[int, NDArray[Any]], None],
    *,
    n_bytes: int = BLOCK_BYTES,
) -> None:
    """Call use(start, block) for this rank's planes in blocks of at most `n_bytes`, reported to progress.

    owned  the planes that each rank writes
    """
    comm, slab = field.comm, field.slab
    start, stop = owned[comm.rank]
    step = max(1, n_bytes // (field.grid.points_per_plane(axis) * field.values.dtype.itemsize))
    watched = None
    if isinstance(field.values, Unread):
        watched = field.values.watched(field.reproducible)
        with agreed(comm):  # a rank may not have the memory
            step = min(step, field.values.planes_at_once())
        step = min(comm.gather(step))
    held = comm.gather((slab.axis, slab.start, slab.stop))
    at_home = all((axis, *planes) == rank for planes, rank in zip(owned, held, strict=True))
    with task(label, stop - start) as advance:
        if at_home:
            with agreed(comm):
                for first in range(start, stop, step):
                    last = min(first + step, stop)
                    planes = field.values[at(axis, slice(first - slab.start, last - slab.start))]
                    if watched is not None:
                        watched.see(planes, first, last)
                    use(first, field.device.to_host(planes))
                    advance(last - first)
        else:
            for offset in range(0, max(b - a for a, b in owned), step):
                wanted = [(min(a + offset, b), min(a + offset + step, b)) for a, b in owned]
                first, last = wanted[comm.rank]
                with agreed(comm):
                    sent = [_part(field, axis, planes) for planes in wanted]
                block = _exchanged(field, axis, sent, (first, last), [planes for _, *planes in held])
                with agreed(comm):
                    if last > first:
                        use(first, block)
                advance(last - first)
    if watched is not None:
        watched.end()


def _part(field: Field, axis: int, planes: Planes) -> NDArray[Any]:
    """What this rank holds of some planes of an axis, on the host, without gaps in the memory order of the file."""
    slab = field.slab
    if axis == slab.axis:
        planes = _within(planes[0], slab.start, slab.stop), _within(planes[1], slab.start, slab.stop)
    return np.ascontiguousarray(_turned(field.device.to_host(field.values[at(axis, slice(*planes))]), axis))


def _exchanged(
    field: Field, axis: int, sent: Sequence[NDArray[Any]], wanted: Planes, held: Sequence[Sequence[int]]
) -> NDArray[Any]:
    """The planes of an axis that this rank wants, joined from what every rank holds of them."""
    comm, slab = field.comm, field.slab
    shape = list(field.grid.shape)
    shape[axis] = wanted[1] - wanted[0]
    block = _turned(np.empty(shape[::-1] if axis == 2 else shape, field.values.dtype), axis)
    received = []
    for start, stop in held:
        if axis == slab.axis:
            start, stop = _within(start, *wanted), _within(stop, *wanted)
        received.append(_turned(block[at(slab.axis, slice(start, stop))], axis))
    comm.sent["planes"] += sum(part.nbytes for rank, part in enumerate(sent) if rank != comm.rank)
    comm.exchange(sent, received)
    return block


def _turned(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """The values with their slowest axis in the file first, and back."""
    return values.T if axis == 2 else values


def _within(plane: int, start: int, stop: int) -> int:
    """The place of a plane among start:stop, cut off at its ends."""
    return min(max(plane, start), stop) - start
