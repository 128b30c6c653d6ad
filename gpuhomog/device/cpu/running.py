"""Windows that slide along axes, an output at every point: sums, smallest and largest values.

box_filter        1 read, 1 write, float64 planes in cache; whatever the widths
running_extrema   prefixes and suffixes of blocks as long as the window (van Herk, Gil and Werman)

>>> from gpuhomog.operators.line_weights import Window
>>> line = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 1, 4)
>>> Running().box_filter(line, (None, None, Window(-1, 1, (0.5,), 1, (0.5,), 0.5)))[0, 0]
array([3.  , 2.25, 4.5 , 5.25])
>>> Running().running_extrema(line, axis=2, start=0, width=2)[1][0, 0]
array([2., 4., 8., 8.])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import is_fortran_ordered

Array = NDArray[np.float64]


class Running:
    """Sliding windows; see device.Device for what each method promises."""

    def box_filter(self, values: NDArray[Any], windows: Sequence[Any]) -> NDArray[Any]:
        """Plane by plane of the slowest axis: a running sum of planes, then cumulative sums in the plane."""
        if is_fortran_ordered(values):
            return self.box_filter(values.T, windows[::-1]).T
        out = np.empty(values.shape, values.dtype)
        if values.size == 0:
            return out
        for target, plane in zip(out, _summed_planes(values, windows[0]), strict=True):
            for axis in (0, 1):
                if windows[axis + 1] is not None:
                    plane = _summed_lines(plane, axis, windows[axis + 1])
            target[:] = plane
        return out

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


def _summed_planes(values: NDArray[Any], window: Any) -> Iterator[Array]:
    """The window sum at each plane, float64; the rounding errors of the running sum are added up beside it."""
    n = len(values)
    if window is None:
        yield from (plane.astype(np.float64) for plane in values)
        return
    laps, rest = divmod(window.inside, n)
    first = window.start + len(window.head)
    high, low = np.zeros(values.shape[1:]), np.zeros(values.shape[1:])
    for plane in values if laps else ():
        _add(high, low, plane)
    high, low = laps * high, laps * low
    for i in range(rest):
        _add(high, low, values[(first + i) % n])
    after = first + window.inside
    for k in range(n):
        out = high + low
        for s, weight in enumerate(window.head):
            out += weight * values[(k + window.start + s) % n].astype(np.float64)
        for s, weight in enumerate(window.tail):
            out += weight * values[(k + after + s) % n].astype(np.float64)
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


def _summed_lines(plane: Array, axis: int, window: Any) -> Array:
    """The window sum along the lines of a plane, from cumulative sums of what deviates from each line's mean."""
    n = plane.shape[axis]
    mean = plane.mean(axis=axis, keepdims=True)
    rest = window.inside % n  # a whole line deviates from its mean by nothing: laps add only means
    n_head, n_tail = len(window.head), len(window.tail)
    unrolled = np.take(plane - mean, (window.start + np.arange(n + n_head + rest + n_tail - 1)) % n, axis=axis)
    if axis == 0:
        unrolled = unrolled.T
    cumulative = np.zeros((unrolled.shape[0], unrolled.shape[1] + 1))
    np.cumsum(unrolled, axis=1, out=cumulative[:, 1:])
    out = cumulative[:, n_head + rest : n_head + rest + n] - cumulative[:, n_head : n_head + n]
    for s, weight in enumerate(window.head):
        out += weight * unrolled[:, s : s + n]
    for s, weight in enumerate(window.tail):
        out += weight * unrolled[:, n_head + rest + s : n_head + rest + s + n]
    if axis == 0:
        out = out.T
    out += mean * (sum(window.head) + window.inside + sum(window.tail))
    out *= window.scale
    return out
