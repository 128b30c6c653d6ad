"""Exchanges between slabs: what of a field goes from rank to rank.

    fetch_planes     the planes a rank asks for, from whoever holds them
    transpose        from slabs of one axis to slabs of another; the inverse is the way back
    Lines            the same for lines across the planes, there and back
    sum_to_slab      the sum of partial arrays, of which each rank keeps the planes of its slab
    contract_planes  a matrix along the split axis: partial sums or two transposes, whichever sends less

Windows wider than a slab, uneven and empty slabs need no case of their own: every rank knows from the partition rule
what each of the others holds and wants. Bytes sent to other ranks are counted in comm.sent, by kind.

In   local arrays (a, b, c) with their Slab and Comm, on a device, in either memory order.
Out  new arrays on the device. With one rank nothing is sent, and what can be is returned as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..memory_order import is_fortran_ordered
from .comm import Comm
from .model import contraction_choices
from .slab import Slab


def at(axis: int, planes: Any) -> tuple[Any, ...]:
    """The index of some planes of an axis."""
    return tuple(planes if i == axis else slice(None) for i in range(3))


def empty_like(device: Any, values: Any, axis: int, n: int) -> Any:
    """Memory for n planes of an axis, otherwise as the values are, in their memory order."""
    shape = list(values.shape)
    shape[axis] = n
    if is_fortran_ordered(values):
        return device.empty(shape[::-1], values.dtype).T
    return device.empty(shape, values.dtype)


def slabs(slab: Slab, size: int) -> list[Slab]:
    """The slabs of all ranks."""
    return [Slab.of(slab.n, rank, size, slab.axis) for rank in range(size)]


def _exchange(comm: Comm, device: Any, kind: str, axis: int, sent: Sequence[Any], received: Sequence[Any]) -> None:
    """Values travel in C order, of slabs of the last axis in Fortran order: as files that are cut there have them."""
    comm.sent[kind] += sum(int(part.nbytes) for rank, part in enumerate(sent) if rank != comm.rank)
    if axis == 2:
        sent, received = [part.T for part in sent], [part.T for part in received]
    comm.exchange(sent, received, device)


def _runs(indices: NDArray[np.int64]) -> slice | NDArray[np.int64]:
    """Indices as a slice where they follow each other."""
    if not len(indices):
        return slice(0, 0)
    first, last = int(indices[0]), int(indices[-1])
    if last - first == len(indices) - 1 and (np.diff(indices) == 1).all():
        return slice(first, last + 1)
    return indices


def fetch_planes(
    comm: Comm, device: Any, slab: Slab, values: Any, wanted: Sequence[NDArray[np.int64]], kind: str = "planes"
) -> Any:
    """The planes of the whole field that this rank wants, in that order.

    wanted  for every rank the planes it wants, 0 … n - 1, in any order; the same on all ranks. A plane that is wanted
            several times is sent once
    """
    axis, repeated = slab.axis, wanted[comm.rank]
    if comm.size == 1:
        return values[at(axis, _runs(repeated))]
    wanted = [_once(asked) for asked in wanted]
    mine = wanted[comm.rank]
    out = empty_like(device, values, axis, len(mine))
    sent, received, scattered = [], [], []
    for rank, other in enumerate(slabs(slab, comm.size)):
        asked = wanted[rank]
        here = asked[(asked >= slab.start) & (asked < slab.stop)] - slab.start
        sent.append(values[at(axis, _runs(here))])
        places = _runs(np.flatnonzero((mine >= other.start) & (mine < other.stop)))
        if isinstance(places, slice):
            received.append(out[at(axis, places)])
        else:
            received.append(empty_like(device, values, axis, len(places)))
            scattered.append((places, received[-1]))
    _exchange(comm, device, kind, axis, sent, received)
    for places, part in scattered:
        out[at(axis, places)] = part
    if len(mine) == len(repeated):
        return out
    order = np.argsort(mine)
    return out[at(axis, order[np.searchsorted(mine, repeated, sorter=order)])]


def _once(planes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The planes without repetitions, in the order in which they come first."""
    first = np.unique(planes, return_index=True)[1]
    return planes if len(first) == len(planes) else planes[np.sort(first)]


def transpose(
    comm: Comm, device: Any, slab: Slab, values: Any, axis: int, n: int, kind: str = "transpose"
) -> tuple[Any, Slab]:
    """Slabs of another axis of n planes: that one is split, the former one whole on every rank. Its own inverse."""
    target = Slab.of(n, comm.rank, comm.size, axis)
    if comm.size == 1 or axis == slab.axis:
        return values, target
    out = empty_like(device, values[at(axis, target.planes)], slab.axis, slab.n)
    sent = [values[at(axis, other.planes)] for other in slabs(target, comm.size)]
    received = [out[at(slab.axis, other.planes)] for other in slabs(slab, comm.size)]
    _exchange(comm, device, kind, slab.axis, sent, received)
    return out, target


class Lines:
    """Lines across planes that ranks share: each gets whole ones, of its rows.

    n  planes of all ranks

    Parts are sent without gaps where what is sent is split along axis 0: rows first on the way there, planes on the way
    back.

    >>> from .comm import Serial
    >>> lines, first = Lines(Serial(), None, Slab.of(4)).there(np.zeros((4, 3, 2)))
    >>> lines.shape, first
    ((4, 3, 2), 0)
    """

    def __init__(self, comm: Comm, device: Any, slab: Slab) -> None:
        self._comm, self._device, self._slab = comm, device, slab
        self._rows, self.n = slab, slab.n

    def there(self, planes: Any, axis: int = 1) -> tuple[Any, int]:
        """Own rows of all planes, and the first one's number; rows lie along `axis`, planes along the other of 0, 1."""
        slab = replace(self._slab, axis=1 - axis)
        lines, self._rows = transpose(self._comm, self._device, slab, planes, axis, planes.shape[axis])
        return lines, self._rows.start

    def back(self, lines: Any) -> Any:
        """Own planes of all rows, of lines (n, own rows, .)."""
        return transpose(self._comm, self._device, replace(self._rows, axis=1), lines, 0, self.n)[0]


def sum_to_slab(comm: Comm, device: Any, partial: Any, slab: Slab) -> Any:
    """Sum over ranks of partial arrays (all planes of the slab's axis), of which each rank keeps its own planes.

    Ranks are added in their order.
    """
    if comm.size == 1:
        return partial
    sent = [partial[at(slab.axis, other.planes)] for other in slabs(slab, comm.size)]
    received = [empty_like(device, partial, slab.axis, slab.n_local) for _ in sent]
    _exchange(comm, device, "sum", slab.axis, sent, received)
    total = received[0]
    for part in received[1:]:
        total += part
    return total


def contract_planes(
    comm: Comm, device: Any, slab: Slab, values: Any, matrix: NDArray[np.float64], in_order: bool = False
) -> tuple[Any, Slab]:
    """Σ_i matrix[o, i] values[.., i, ..] along the split axis; each rank keeps its planes of the result.

    Few outputs: every rank contracts its own planes and the partial results are summed. Many, or sums in the order of
    the planes (in_order: the same bits for any number of ranks): the values are transposed, contracted where the axis
    is whole, and transposed back. The same numbers to rounding.
    """
    axis = slab.axis
    target = Slab.of(len(matrix), comm.rank, comm.size, axis)
    contract = device.contract_in_order if in_order else device.contract
    if comm.size == 1:
        return contract(values, matrix, axis), target
    other = 1 if axis == 0 else 0
    whole = [slab.n if i == axis else n for i, n in enumerate(values.shape)]
    by_sums, by_transposes = contraction_choices(whole, len(matrix), values.dtype.itemsize, comm.size, axis)
    if by_sums.sum() <= by_transposes.sum() and not in_order:
        partial = device.contract(values, matrix[:, slab.planes], axis)
        return device.compact(sum_to_slab(comm, device, partial, target)), target
    turned, across = transpose(comm, device, slab, values, other, values.shape[other])
    contracted = contract(turned, matrix, axis)
    return transpose(comm, device, across, contracted, axis, len(matrix))
