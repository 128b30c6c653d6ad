"""Windows that slide along axes, an output at every point: sums, smallest and largest values.

box_filter        1 read, 1 write, planes in cache; whatever the widths; compiled where there is Numba
running_extrema   prefixes and suffixes of blocks as long as the window (van Herk, Gil and Werman)

>>> from gpuhomog.operators.averages.line_weights import Window
>>> line = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 1, 4)
>>> Running().box_filter(line, (None, None, Window(-1, 1, (0.5,), 1, (0.5,), 0.5)))[0, 0]
array([3.  , 2.25, 4.5 , 5.25])
>>> Running().running_extrema(line, axis=2, start=0, width=2)[1][0, 0]
array([2., 4., 8., 8.])
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered
from .team import SMALL, share
from .windows import Windows

Array = NDArray[np.float64]

COMPILED_FROM = 1 << 22
"""Values from which on compiled loops are taken. Loading them takes half a second, what NumPy needs more for 2^24
values (measured); windows seldom come alone."""
COMPILED_PASSES, UNCOMPILED_PASSES = {"float32": 6.0, "float64": 7.0}, {"float32": 114.0, "float64": 72.0}
BARE_PASSES, SAMPLES_A_PASS = 8, 25
"""Work on a plane beside the weights of the ends, in passes through it; a matrix product along so many float64 samples
takes as long as one pass (measured at 256^3 and 384^3)."""


@cache
def loops() -> Any:
    """The module compiled; None where Numba is not installed, or not for this NumPy."""
    try:
        from . import compiled
    except ImportError:
        return None
    return compiled


class Running:
    """Sliding windows; see device.Device for what each method promises."""

    threads: int = 1

    def box_filter_in_passes(self, n_values: int, dtype: str) -> float:
        """Measured at 256^3; without compiled loops on one core."""
        compiled = n_values >= COMPILED_FROM and loops() is not None
        return (COMPILED_PASSES if compiled else UNCOMPILED_PASSES)[dtype]

    def box_filter(self, values: NDArray[Any], windows: Sequence[Any]) -> NDArray[Any]:
        """Plane by plane of the slowest axis: a running sum of planes, then cumulative sums in the plane.

        Without compiled loops: matrix products where axes are so short that those are faster.
        """
        if is_fortran_ordered(values):
            return self.box_filter(values.T, windows[::-1]).T
        out = np.empty(values.shape, values.dtype)
        if values.size == 0:
            return out
        compiled = loops() if values.size >= COMPILED_FROM else None
        if compiled is not None:
            values = np.ascontiguousarray(values).view()
            values.flags.writeable = False  # as fields are: what may be written to is compiled apart
            numbers = [compiled.numbers_of(window) for window in windows]
            self._in_stretches(values, 1, lambda first, last: compiled.box_planes(values, out, first, last, *numbers))
            return out
        in_use = [axis for axis in range(3) if windows[axis] is not None]
        passes = sum(len(windows[axis].head) + len(windows[axis].tail) + BARE_PASSES for axis in in_use)
        if sum(values.shape[axis] for axis in in_use) < SAMPLES_A_PASS * 8 / values.itemsize * passes:
            for axis in in_use:
                values = Windows().contract(values, _matrix(windows[axis], values.shape[axis]), axis)
            return values if in_use else values.copy()

        def fill(first: int, last: int) -> None:
            scratch = np.empty(values.shape[1:])
            for k, plane in enumerate(_summed_planes(values, windows[0], range(first, last), scratch), first):
                for axis in (0, 1):
                    if windows[axis + 1] is not None:
                        plane = _summed_lines(plane, axis, windows[axis + 1], scratch)
                out[k] = plane

        length = 1 if windows[0] is None else windows[0].inside % len(values) + 1
        self._in_stretches(values, 2 * length, fill)
        return out

    def _in_stretches(self, values: NDArray[Any], shortest: int, fill: Callable[[int, int], None]) -> None:
        """Call fill for all planes, on threads: each begins its stretch with the sum of a whole window."""
        n = len(values)
        stretches = max(1, min(self.threads, n // shortest)) if values.size > SMALL else 1
        bounds = [n * i // stretches for i in range(stretches + 1)]
        share(lambda _, i: fill(bounds[i], bounds[i + 1]), range(stretches), lambda: None, stretches)

    def running_extrema(
        self, values: NDArray[Any], axis: int, start: int, width: int
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Each window is the suffix of one block and the prefix of the next."""
        if is_fortran_ordered(values):
            low, high = self.running_extrema(values.T, 2 - axis, start, width)
            return low.T, high.T
        n = values.shape[axis]
        if values.size == 0:
            return values.copy(), values.copy()
        width = min(width, n)
        blocks = -(-(n + width - 1) // width)
        unrolled = np.take(values, (start + np.arange(blocks * width)) % n, axis=axis)
        before, after = values.shape[:axis], values.shape[axis + 1 :]
        unrolled = unrolled.reshape(*before, blocks, width, *after)
        results = []
        for smaller in (np.minimum, np.maximum):
            prefix = smaller.accumulate(unrolled, axis=axis + 1)
            suffix = np.flip(smaller.accumulate(np.flip(unrolled, axis + 1), axis=axis + 1), axis + 1)
            suffix, prefix = (a.reshape(*before, blocks * width, *after) for a in (suffix, prefix))
            first, last = (tuple([slice(None)] * axis + [slice(i, i + n)]) for i in (0, width - 1))
            results.append(smaller(suffix[first], prefix[last]))
        return results[0], results[1]


def _summed_planes(values: NDArray[Any], window: Any, planes: range, scratch: Array) -> Iterator[Array]:
    """The window sum at some planes, float64; the rounding errors of the running sum are added up beside it."""
    n = len(values)
    if window is None:
        yield from (values[k].astype(np.float64) for k in planes)
        return
    laps, rest = divmod(window.inside, n)
    first = window.start + len(window.head)
    after = first + window.inside
    high, low = np.zeros(values.shape[1:]), np.zeros(values.shape[1:])
    for plane in values if laps else ():
        _add(high, low, plane)
    high *= laps
    low *= laps
    for i in range(rest):
        _add(high, low, values[(planes.start + first + i) % n])
    for k in planes:
        out = high + low
        for begin, weights in ((window.start, window.head), (after, window.tail)):
            for s, weight in enumerate(weights):
                out += np.multiply(values[(k + begin + s) % n], weight, out=scratch, dtype=np.float64)
        out *= window.scale
        yield out
        _add(high, low, values[(k + after) % n])
        _add(high, low, -values[(k + first) % n])


def _add(high: Array, low: Array, plane: NDArray[Any]) -> None:
    """Add a plane to high + low without loss (Knuth's sum)."""
    total = high + plane
    part = total - high
    low += (high - (total - part)) + (plane - part)
    high[:] = total


def _summed_lines(plane: Array, axis: int, window: Any, scratch: Array) -> Array:
    """The window sum along the lines of a plane, from cumulative sums of what deviates from each line's mean."""
    n, rest = plane.shape[axis], window.inside % plane.shape[axis]  # whole lines deviate from their mean by nothing
    head, start = (window.head, window.start) if window.head else ((0.0,), window.start - 1)
    n_head, n_tail = len(head), len(window.tail)
    mean = plane.mean(axis=axis, keepdims=True)
    unrolled = np.take(plane - mean, (start + np.arange(n + n_head + rest + n_tail - 1)) % n, axis=axis)

    def neighbours(values: Array, first: int) -> Array:
        return values[first : first + n] if axis == 0 else values[:, first : first + n]

    cumulative = np.cumsum(unrolled, axis=axis)  # through sample i
    out = neighbours(cumulative, n_head + rest - 1) - neighbours(cumulative, n_head - 1)
    for begin, weights in ((0, head), (n_head + rest, window.tail)):
        for s, weight in enumerate(weights):
            out += np.multiply(neighbours(unrolled, begin + s), weight, out=scratch)
    out += mean * (sum(head) + window.inside + sum(window.tail))
    out *= window.scale
    return out


def _matrix(window: Any, n: int) -> Array:
    """(n, n) weights of a window on a periodic axis."""
    row = np.full(n, window.inside // n, dtype=np.float64)
    first = window.start + len(window.head)
    np.add.at(row, (first + np.arange(window.inside % n)) % n, 1.0)
    np.add.at(row, (window.start + np.arange(len(window.head))) % n, window.head)
    np.add.at(row, (first + window.inside + np.arange(len(window.tail))) % n, window.tail)
    return row[(np.arange(n) - np.arange(n)[:, None]) % n] * window.scale
