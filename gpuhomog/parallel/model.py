"""Model: how many bytes each rank sends, exactly, from shapes and the partition rule alone.

    fetch        planes that a rank wants and has not, a halo for one; each comes once, from the rank that holds it
    transpose    local bytes less the block that stays where it is; about bytes/P (1 - 1/P) a rank
    sum to slab  partial sums of n_out planes, less the rank's own: (n_out - own planes) bytes of a plane
    contraction  n_in → n_out planes along the split axis: sum to slab, or transpose, product and transpose back,
                 whichever sends less in all
    filter       slab FFT: a half spectrum transposed, and back
    march        along the split axis: states behind each slab, which do not grow with it, there and back, or the half
                 spectrum there and back, whichever sends less in all
    sum, join    what a rank hands to the communicator, once: how MPI spreads it is MPI's

A rank sends nothing to itself. Uneven and empty slabs count as Slab.of makes them; the tests of the exchanges hold
the bytes they count against these numbers, and `gpuhomog plan` prints them.

In   counts of planes and ranks, bytes.
Out  (size,) int64, bytes sent by each rank: .sum() is what travels, .max() the busiest rank.

>>> transpose_bytes((4, 4, 2), 8, 2)
array([64, 64])
>>> fetch_bytes(5, [range(-1, 2), range(0, 4), range(2, 6)], plane_bytes=10)     # one plane on either side
array([20, 20, 20])
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .slab import Slab

Bytes = NDArray[np.int64]


@lru_cache(maxsize=64)
def planes_held(n: int, size: int) -> Bytes:
    """(size,) planes of each rank; read-only."""
    held = np.array([Slab.of(n, rank, size).n_local for rank in range(size)], dtype=np.int64)
    held.flags.writeable = False
    return held


def fetch_bytes(n: int, wanted: Sequence[range], plane_bytes: int) -> Bytes:
    """Ranks fetch planes from those that hold them.

    n       planes in all
    wanted  for each rank the planes it wants, modulo n; each comes once, however often it is asked for
    """
    size = len(wanted)
    wants = np.zeros(n + 1, dtype=np.int64)  # differences, from plane to plane, of how many ranks want it
    sent = np.zeros(size, dtype=np.int64)
    for rank, planes in enumerate(wanted):
        own = Slab.of(n, rank, size)
        for low, high in _pieces(n, planes):
            wants[low] += 1
            wants[high] -= 1
            sent[rank] -= max(0, min(high, own.stop) - max(low, own.start))  # a rank sends nothing to itself
    total = np.concatenate([[0], np.cumsum(np.cumsum(wants[:-1]))])
    for rank in range(size):
        own = Slab.of(n, rank, size)
        sent[rank] += total[own.stop] - total[own.start]
    return sent * plane_bytes


def _pieces(n: int, planes: range) -> list[tuple[int, int]]:
    """Planes modulo n, each once, as stretches start … stop."""
    if planes.step != 1:
        return [(plane, plane + 1) for plane in {plane % n for plane in planes}]
    count = min(len(planes), n)
    low = planes.start % n
    if count == 0:
        return []
    return [(low, low + count)] if low + count <= n else [(low, n), (0, low + count - n)]


def transpose_bytes(shape: Sequence[int], itemsize: int, size: int, axis: int = 0, other: int = 1) -> Bytes:
    """An array of that shape, split along `axis`, becomes split along `other`."""
    rest = int(np.prod([n for i, n in enumerate(shape) if i not in (axis, other)], dtype=np.int64))
    before, after = planes_held(shape[axis], size), planes_held(shape[other], size)
    return before * (shape[other] - after) * (rest * itemsize)


def sum_to_slab_bytes(n_out: int, size: int, plane_bytes: int) -> Bytes:
    """Every rank has partial sums of all n_out planes; each keeps the sum of its own."""
    return (n_out - planes_held(n_out, size)) * plane_bytes


def contraction_choices(
    shape: Sequence[int], n_out: int, itemsize: int, size: int, axis: int = 0
) -> tuple[Bytes, Bytes]:
    """Two ways of a matrix product along the split axis, `shape` before, n_out planes after.

    Sum to slab of partial products; transpose, to the first of the other axes, product, transpose back.
    """
    other = 1 if axis == 0 else 0
    after = list(shape)
    after[axis] = n_out
    plane = int(np.prod(shape, dtype=np.int64)) // shape[axis] * itemsize
    transposes = transpose_bytes(shape, itemsize, size, axis, other)
    transposes = transposes + transpose_bytes(after, itemsize, size, other, axis)
    return sum_to_slab_bytes(n_out, size, plane), transposes


def filter_bytes(shape: Sequence[int], itemsize: int, size: int, n_multipliers: int = 1, halved: int = 2) -> Bytes:
    """Filter in Fourier space of real values, split along the first axis; axes in the order in which they are stored.

    shape  of the values, padded where zeros are transformed before they are sent: along axis 1 if that is halved

    The spectrum, halved along axis 1 or 2, becomes split along axis 1, once, and back once for each multiplier.
    """
    spectrum = [n // 2 + 1 if axis == halved else n for axis, n in enumerate(shape)]
    there = transpose_bytes(spectrum, 2 * itemsize, size, 0, 1)
    back = transpose_bytes(spectrum, 2 * itemsize, size, 1, 0)
    return there + n_multipliers * back


def end_state_bytes(plane: Sequence[int], n_states: int, itemsize: int, size: int, sides: int = 1) -> Bytes:
    """States of recursions across slabs: modes shared among the ranks, which hand the states on, and give them back.

    plane     points of a plane of real values, of which a state is a half spectrum
    n_states  of one side

    2 (1 - 1/size) states sent by each rank in two messages to each other one, however many there are. Every state to
    every rank behind it would be up to size - 1 of them, and from rank to rank size - 1 messages one after the other.
    """
    return _there_and_back((size * sides * n_states, plane[0], plane[1] // 2 + 1), 2 * itemsize, size)


def march_choices(shape: Sequence[int], n_states: int, itemsize: int, size: int, sides: int = 1) -> tuple[Bytes, Bytes]:
    """Its two ways for real values split along their first axis: end states, and the half spectrum there and back."""
    spectrum = (shape[0], shape[1], shape[2] // 2 + 1)
    by_transposes = _there_and_back(spectrum, 2 * itemsize, size)
    return end_state_bytes(shape[1:], n_states, itemsize, size, sides), by_transposes


def _there_and_back(shape: tuple[int, int, int], itemsize: int, size: int) -> Bytes:
    """Split along the first axis, then along the last, and again along the first."""
    return transpose_bytes(shape, itemsize, size, 0, 2) + transpose_bytes(shape, itemsize, size, 2, 0)


def join_bytes(n: int, size: int, plane_bytes: int) -> Bytes:
    """Planes of all ranks joined on every rank: each hands over its own."""
    return planes_held(n, size) * (plane_bytes if size > 1 else 0)


def sum_bytes(n_bytes: int, size: int) -> Bytes:
    """An array of all ranks summed on every rank: each hands over its own."""
    return np.full(size, n_bytes if size > 1 else 0, dtype=np.int64)
