"""Planes of a field, block by block, on the host: what every file of a field is written from.

A block holds whole planes of the axis that is slowest in the file, 32 MiB or one plane, copied from the device when
its turn comes: no second copy of the field exists. Each rank gets the blocks of the planes it writes. Where it holds
them already nothing is sent; else (slabs of another axis, or one rank writes all) every step is one exchange, before
which the ranks agree that nobody has failed, so that an error on one ends the others too.

In   Field, any device, whole or slab; which planes each rank writes.
Out  (start, values) pairs; values (a, b, c) with the planes start: of one axis.

>>> from gpuhomog import Field
>>> field = Field.from_array(np.arange(24.0).reshape(2, 3, 4), np.eye(3))
>>> [(start, block.shape) for start, block in plane_blocks(field, 2, "writing", owners(field, 2), n_bytes=100)]
[(0, (2, 3, 2)), (2, (2, 3, 2))]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from ..parallel import Slab
from ..progress import task

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


def plane_blocks(
    field: Field, axis: int, label: str, owned: Sequence[Planes], *, n_bytes: int = BLOCK_BYTES
) -> Iterator[tuple[int, NDArray[Any]]]:
    """This rank's planes in blocks of at most `n_bytes`, reported to progress; owned[r] are the planes of rank r.

    Every rank goes through its blocks to the end, or brings its error to comm.agree.
    """
    slab = field.slab
    start, stop = owned[field.comm.rank]
    step = max(1, n_bytes // (field.grid.points_per_plane(axis) * field.values.dtype.itemsize))
    held = field.comm.gather((slab.axis, slab.start, slab.stop))
    at_home = all((axis, *planes) == rank for planes, rank in zip(owned, held, strict=True))
    with task(label, stop - start) as advance:
        for offset in range(0, stop - start if at_home else max(b - a for a, b in owned), step):
            first, last = min(start + offset, stop), min(start + offset + step, stop)
            if at_home:
                here = _index(axis, first - slab.start, last - slab.start)
                block = field.device.to_host(field.values[here])
            else:
                field.comm.agree(None)
                wanted = [(min(a + offset, b), min(a + offset + step, b)) for a, b in owned]
                block = _exchanged(field, axis, wanted, [(a, b) for _, a, b in held])
            if last > first:
                yield first, block
            advance(last - first)


def _exchanged(field: Field, axis: int, wanted: Sequence[Planes], held: Sequence[Planes]) -> NDArray[Any]:
    """The planes of an axis that this rank wants, joined from the slabs of all ranks, in the file's memory order."""
    comm, slab = field.comm, field.slab
    first, last = wanted[comm.rank]
    shape = list(field.grid.shape)
    shape[axis] = last - first
    block = _turned(np.empty(shape[::-1] if axis == 2 else shape, field.values.dtype), axis)
    sent, received = [], []
    for planes, holds in zip(wanted, held, strict=True):
        if axis == slab.axis:
            theirs = _index(axis, *(_within(plane, slab.start, slab.stop) for plane in planes))
            mine = _index(axis, *(_within(plane, first, last) for plane in holds))
        else:
            theirs, mine = _index(axis, *planes), _index(slab.axis, *holds)
        # Turned so that what is sent has no gaps, and what comes as few as can be.
        sent.append(np.ascontiguousarray(_turned(field.device.to_host(field.values[theirs]), axis)))
        received.append(_turned(block[mine], axis))
    comm.sent["planes"] += sum(part.nbytes for rank, part in enumerate(sent) if rank != comm.rank)
    comm.exchange(sent, received)
    return block


def _turned(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """The values with their slowest axis in the file first, and back."""
    return values.T if axis == 2 else values


def _within(plane: int, start: int, stop: int) -> int:
    """The place of a plane among start:stop, cut off at its ends."""
    return min(max(plane, start), stop) - start


def _index(axis: int, first: int, last: int) -> tuple[slice, ...]:
    return tuple(slice(first, last) if i == axis else slice(None) for i in range(3))
