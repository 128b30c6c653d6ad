"""Reduction: what of a field can be found some planes at a time, and put together from the parts.

    local   (device, values, slab) → partial arrays of the planes of that slab
    rules   how the partial arrays of other planes join them, one word for each array
              "join"      an entry for each plane of the slab's axis, along the array's first axis
              "own"       planes along the slab's axis, of which each rank keeps those it found (of unread fields only)
              "sum"       added
              "planes"    added; holds planes of the result, of which in the end each rank keeps its own
              "least", "greatest"

Planar sums, extrema and averages at coarse points are reductions. Those of one kind may look at planes together
(`visit`), which are then read from memory once for all. `reduced` puts together what ranks hold, and for a
`reproducible` field what single planes give, in one fixed tree: the same bits however the planes were split.
Field.reduce calls it, or reads the planes first where they are larger than memory.

In   a Reduction, the planes of one rank.
Out  its arrays, whole on every rank; of rules "own" and "planes" the rank's own planes, on the device.

>>> from .device import choose_device
>>> from .parallel import Serial
>>> planes = np.arange(24.0).reshape(4, 3, 2)
>>> reduced(plane_sums(1, 0), Serial(), choose_device("cpu"), planes, Slab.of(4))
(array([ 76.,  92., 108.]),)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .device import Device
from .parallel import Comm, Slab, sum_to_slab
from .parallel.exchange import at
from .parallel.tree import PlaneTree

Arrays = tuple[Any, ...]

JOIN, OWN, SUM, PLANES, LEAST, GREATEST = "join", "own", "sum", "planes", "least", "greatest"
JOINED: dict[str, Callable[[Any, Any], Any]] = {
    JOIN: lambda a, b: np.concatenate([a, b]),
    SUM: lambda a, b: a + b,
    PLANES: lambda a, b: a + b,
    LEAST: np.minimum,
    GREATEST: np.maximum,
}
PLANES_AT_ONCE = 16
"""Planes of which magnitudes, products or spectra, made on the way to a sum, are in memory at once."""


Visit = Callable[[Device, Any, Slab, Sequence[Any]], Sequence[Arrays]]
"""(device, values, slab, what each reduction of this kind wants) → what local would give of each."""


@dataclass(frozen=True, eq=False)
class Reduction:
    """One reduction.

    name    what it is, with every parameter: what was computed before is recognised by it
    local   (device, values, slab) → partial arrays; "own" and "planes" on the device, all others on the host; none of
            them is a view of the values, whose memory is filled again
    rules   how they join
    n_out   planes along the slab's axis of an array of rule "planes"
    n_bytes of its arrays, where they are not small
    visit   what local does, for several reductions of one kind at once; None: each looks for itself
    wanted  what visit is told of this one
    after   (device, arrays of local or visit, slab) → those that join, where they are much larger: made one after the
            other as they join; None: as they are
    """

    name: str
    local: Callable[[Device, Any, Slab], Arrays]
    rules: tuple[str, ...]
    n_out: int = 0
    n_bytes: int = 0
    visit: Visit | None = None
    wanted: Any = None
    after: Callable[[Device, Arrays, Slab], Arrays] | None = None

    def finished(self, device: Device, arrays: Arrays, slab: Slab) -> Arrays:
        """The arrays that join, from what local or visit gave of the planes of a slab."""
        return arrays if self.after is None else self.after(device, arrays, slab)

    def partial(self, device: Device, values: Any, slab: Slab) -> Arrays:
        """The arrays that join, of the planes of a slab."""
        return self.finished(device, self.local(device, values, slab), slab)

    def joined(self, first: Arrays, second: Arrays) -> Arrays:
        """The arrays of some planes and those of the planes right after them, as one."""
        return tuple(JOINED[rule](a, b) for rule, a, b in zip(self.rules, first, second, strict=True))


Check = Callable[[Device, Any, Slab, float, float], None]
"""(device, values, slab, least, greatest) → nothing, or an error."""


def sums_and_extrema(device: Device, values: Any, slab: Slab, wanted: Sequence[int | Check | None]) -> list[Arrays]:
    """One look for the sums over planes of an axis (wanted: the axis) and for extrema (wanted: their check)."""
    *sums, low, high = device.planar_moments(values, 1, 0.0)
    found: list[Arrays] = []
    for one in wanted:
        if isinstance(one, int):
            found.append((sums[one][0],))
            continue
        if one is not None:
            one(device, values, slab, low, high)
        found.append((np.array([low]), np.array([high])))
    return found


def plane_sums(axis: int, split: int) -> Reduction:
    """(n_axis,) sums over the planes of an axis, float64, of a field that is split along another or the same."""
    return Reduction(
        f"plane sums of axis {axis}",
        lambda device, values, slab: (device.planar_sum(values, axis),),
        (JOIN if axis == split else SUM,),
        visit=sums_and_extrema,
        wanted=axis,
    )


def planar_moments(n_moments: int, centre: float, split: int) -> Reduction:
    """For each axis (n_axis, n_moments) sums of powers of value - centre over its planes; smallest, largest value."""

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        *sums, low, high = device.planar_moments(values, n_moments, centre)
        return *(np.ascontiguousarray(part.T) for part in sums), np.array([low]), np.array([high])

    rules = tuple(JOIN if axis == split else SUM for axis in range(3))
    return Reduction(f"{n_moments} planar moments about {centre!r}", local, (*rules, LEAST, GREATEST))


def extrema(check: Check | None = None) -> Reduction:
    """Smallest and largest value, NaN if there is one, unless the check raises."""

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        low, high = device.extrema(values) if values.size else (np.inf, -np.inf)
        if check is not None:
            check(device, values, slab, low, high)
        return np.array([low]), np.array([high])

    return Reduction("extrema", local, (LEAST, GREATEST), visit=sums_and_extrema, wanted=check)


def reduced(
    reduction: Reduction, comm: Comm, device: Device, values: Any, slab: Slab, reproducible: bool = False
) -> Arrays:
    """The reduction of a field of which this rank holds the planes of `slab`."""
    if not reproducible:
        return combined(reduction, comm, device, reduction.partial(device, values, slab), slab)
    tree: PlaneTree[Arrays] = PlaneTree(reduction.joined)
    for plane in range(slab.start, slab.stop):
        one = values[at(slab.axis, slice(plane - slab.start, plane - slab.start + 1))]
        tree.add(0, plane, reduction.partial(device, one, Slab(slab.axis, slab.n, plane, plane + 1)))
    return combined_trees(reduction, comm, device, tree, slab)


def combined(reduction: Reduction, comm: Comm, device: Device, partial: Arrays, slab: Slab) -> Arrays:
    """Partial arrays of all planes of each rank, over ranks."""
    if comm.size == 1:
        return partial
    out = []
    for rule, array in zip(reduction.rules, partial, strict=True):
        if rule == JOIN:
            out.append(comm.concatenate(array))
        elif rule == SUM:
            out.append(comm.sum(array))
        elif rule == PLANES:
            out.append(sum_to_slab(comm, device, array, Slab.of(reduction.n_out, comm.rank, comm.size, slab.axis)))
        elif rule == OWN:
            out.append(array)
        else:
            each = comm.gather(array)
            out.append(np.min(each, axis=0) if rule == LEAST else np.max(each, axis=0))
    return tuple(out)


def combined_trees(reduction: Reduction, comm: Comm, device: Device, tree: PlaneTree[Arrays], slab: Slab) -> Arrays:
    """The one tree of the nodes of all ranks."""
    if comm.size == 1:
        return tree.total()
    on_host = []
    for level, k, part in tree.nodes:
        rules = zip(reduction.rules, part, strict=True)
        on_host.append((level, k, tuple(device.to_host(a) if rule == PLANES else a for rule, a in rules)))
    whole: PlaneTree[Arrays] = PlaneTree(reduction.joined)
    for nodes in comm.gather(on_host):
        for node in nodes:
            whole.add(*node)
    own = Slab.of(reduction.n_out, comm.rank, comm.size, slab.axis)
    return tuple(
        device.asarray(np.ascontiguousarray(array[at(slab.axis, own.planes)])) if rule == PLANES else array
        for rule, array in zip(reduction.rules, whole.total(), strict=True)
    )
