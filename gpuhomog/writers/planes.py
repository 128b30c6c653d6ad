"""Planes of a field, block by block, on the host: what every file of a field is written from.

A block holds whole planes of the axis that is slowest in the file, 32 MiB or one plane. It is copied from the
device, and joined from the slabs of all ranks, when its turn comes: no second copy of the field exists.
Every rank walks through the blocks; rank 0 alone writes them. Before each block the ranks agree that nobody has
failed, so an error on rank 0 ends the others too.

In   Field, any device, whole or slab.
Out  (start, values) pairs; values (a, b, c) with the planes start: of one axis, in the memory order of the field.

>>> from gpuhomog import Field
>>> field = Field.from_array(np.arange(24.0).reshape(2, 3, 4), np.eye(3))
>>> [(start, block.shape) for start, block in plane_blocks(field, 2, "writing", n_bytes=100)]
[(0, (2, 3, 2)), (2, (2, 3, 2))]
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from ..progress import task

BLOCK_BYTES = 32 * 2**20


def plane_blocks(
    field: Field, axis: int, label: str, *, n_bytes: int = BLOCK_BYTES, multiple: int = 1
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Blocks of at most `n_bytes`, each a multiple of `multiple` planes (but the last), reported to progress."""
    n_planes = field.grid.shape[axis]
    plane_bytes = field.grid.points_per_plane(axis) * field.values.dtype.itemsize
    step = max(1, n_bytes // (plane_bytes * multiple)) * multiple
    with task(label, n_planes) as advance:
        for start in range(0, n_planes, step):
            stop = min(start + step, n_planes)
            field.comm.agree(None)
            yield start, gather_planes(field, axis, start, stop)
            advance(stop - start)


def gather_planes(field: Field, axis: int, start: int, stop: int) -> NDArray[Any]:
    """The planes start:stop of an axis on the host, joined from all slabs, on every rank."""
    slab = field.slab
    here = [slice(None)] * 3
    here[axis] = slice(start, stop)
    if axis == slab.axis:
        first, last = (min(max(plane - slab.start, 0), slab.n_local) for plane in (start, stop))
        here[axis] = slice(first, last)
    local = field.device.to_host(field.values[tuple(here)])
    if field.comm.size == 1:
        return local
    joined = field.comm.concatenate(np.ascontiguousarray(np.moveaxis(local, slab.axis, 0)))
    return np.moveaxis(joined, 0, slab.axis)
