"""Streamed averages: matrix products along the axes of values that are read, or written, some planes at a time.

    contracted    reads: the axes in the planes first, chunk by chunk, then the slab's axis
    expanded      writes: from few points to all, planes as they are asked for

The planes of a chunk are contracted along their own axes as they come. What is left of them is small: it is joined, and
contracted along the slab's axis at the end, as if it had been in memory from the start; or, where that is smaller,
each chunk's part of that sum is added up.

In   Unread values; a matrix for each axis, None where an axis stays as it is.
Out  arrays on the device, the rank's own planes; or Unread values to be written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from ..parallel import Slab
from ..parallel.exchange import at
from ..reduction import OWN, PLANES, Arrays, Reduction, extrema, plane_sums
from ..streaming import Stream, Unread

Matrix = NDArray[np.float64]
Triple = tuple[Matrix | None, Matrix | None, Matrix | None]
AlongSlabs = Callable[[Any, Matrix], Any]
"""(values of the rank's planes, matrix) → the rank's planes of the matrix product along the slab's axis."""

SUMS_ARE_SMALLER = 3
"""Added parts exist three times for a moment, joined planes once."""


def room(field: Field) -> int:
    """Bytes that a result may have to be in memory whole."""
    return field.values.stream.run.room() if isinstance(field.values, Unread) else 2**62


def digest_of(*arrays: Matrix | None) -> str:
    """What tells matrices from others."""
    digest = blake2b(digest_size=12)
    for array in arrays:
        digest.update(b"none" if array is None else repr(array.shape).encode() + np.ascontiguousarray(array).data)
    return digest.hexdigest()


def in_planes_first(shape: Sequence[int], triple: Triple, split: int) -> list[int]:
    """The two axes in the planes, the more reducing first."""
    others = [axis for axis in range(3) if axis != split]
    return sorted(others, key=lambda axis: 1.0 if triple[axis] is None else len(triple[axis]) / shape[axis])  # type: ignore[arg-type]


def product_reduction(field: Field, triples: Sequence[Triple]) -> tuple[Reduction, bool]:
    """The products as a Reduction, and whether they still lack the slab's axis."""
    split, shape, itemsize = field.slab.axis, field.grid.shape, field.values.dtype.itemsize
    matrices = [triple[split] for triple in triples]
    pairs: list[tuple[int, ...]] = []
    for triple in triples:
        key = tuple(id(matrix) for axis, matrix in enumerate(triple) if axis != split)
        if key not in pairs:
            pairs.append(key)
    which = [pairs.index(tuple(id(m) for axis, m in enumerate(triple) if axis != split)) for triple in triples]
    order = in_planes_first(shape, triples[0], split)

    def in_plane(triple: Triple) -> int:
        counts = [shape[axis] if (matrix := triple[axis]) is None else len(matrix) for axis in order]
        return counts[0] * counts[1]

    joined_bytes = sum(in_plane(triples[which.index(n)]) * field.slab.n_local for n in range(len(pairs))) * itemsize
    added_bytes = (
        sum(
            in_plane(triple) * (field.slab.n if matrix is None else len(matrix))
            for triple, matrix in zip(triples, matrices, strict=True)
        )
        * itemsize
    )
    joins = field.reproducible or any(matrix is None for matrix in matrices)
    joins = joins or joined_bytes <= SUMS_ARE_SMALLER * added_bytes
    contract = field.device.contract_in_order if field.reproducible else field.device.contract

    def local(device: Any, values: Any, slab: Slab) -> Arrays:
        known: dict[tuple[int, ...], Any] = {}
        in_planes = []
        for n in range(len(pairs)):
            triple, part = triples[which.index(n)], values
            key: tuple[int, ...] = ()
            for axis in order:
                matrix = triple[axis]
                key = (*key, id(matrix))
                if key not in known:
                    known[key] = part if matrix is None else contract(part, matrix, axis)
                part = known[key]
            in_planes.append(device.copy(part) if joins and part is values else part)
        if joins:
            return tuple(in_planes)
        return tuple(
            contract(in_planes[n], matrix[:, slab.planes], split)  # type: ignore[index]
            for n, matrix in zip(which, matrices, strict=True)
        )

    n_out = 0 if joins or matrices[0] is None else len(matrices[0])
    rules = (OWN,) * len(pairs) if joins else (PLANES,) * len(triples)
    name = f"products {digest_of(*(matrix for triple in triples for matrix in triple))}"
    n_bytes = joined_bytes if joins else added_bytes
    return Reduction(name, local, rules, n_out, n_bytes), joins


def contracted(field: Field, triples: Sequence[Triple], along_slabs: AlongSlabs) -> list[Any]:
    """The matrix products of an unread field, one for each triple, each rank with its planes of them."""
    return finished(field, triples, field.reduce(product_reduction(field, triples)[0]), along_slabs)


def finished(field: Field, triples: Sequence[Triple], parts: Arrays, along_slabs: AlongSlabs) -> list[Any]:
    """What is left to do once the planes were read: the slab's axis, where they were joined."""
    split = field.slab.axis
    if not product_reduction(field, triples)[1]:
        return list(parts)
    keys = list(dict.fromkeys(tuple(id(m) for axis, m in enumerate(t) if axis != split) for t in triples))
    out = []
    for triple in triples:
        part = parts[keys.index(tuple(id(m) for axis, m in enumerate(triple) if axis != split))]
        matrix = triple[split]
        out.append(part if matrix is None else along_slabs(part, matrix))
    return out


def expanded(field: Field, low: Any, triple: Triple, slab: Slab, shape: tuple[int, int, int], name: str) -> Unread:
    """The matrix products of a whole small array, as planes of `shape` (local) that are made when asked for."""
    split, values = slab.axis, field.values
    contract = field.device.contract_in_order if field.reproducible else field.device.contract
    others = sorted((axis for axis in range(3) if axis != split), key=lambda axis: shape[axis])

    def planes(start: int, stop: int) -> Any:
        matrix = triple[split]
        part = low[at(split, slice(start, stop))] if matrix is None else contract(low, matrix[start:stop], split)
        for axis in others:
            along = triple[axis]
            part = part if along is None else contract(part, along, axis)
        return part

    stream = values.stream
    made = Stream(
        f"{values.name}, {name}",
        f"the average of {stream.title}",
        planes,
        shape,
        values.dtype,
        slab,
        field.comm,
        field.device,
        stream.run,
        first=(extrema(), plane_sums(split, split)),
        ahead=False,
    )
    return Unread(made)
