"""Ranges: smallest, largest and mean value in windows of any shape, a ball for one, about some of the points.

window_ranges   3 operations a row of the window and an output, and those of the longest row for every point

>>> line = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 1, 4)
>>> low, high, mean = Ranges().window_ranges(line, np.array([[0, 0, -1, 3]]), np.zeros((0, 7)), [True] * 3)
>>> low[0, 0], high[0, 0]
(array([1., 1., 2., 4.]), array([2., 4., 8., 8.]))
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHARED_FROM = 1 << 16
"""Values from which on threads share the work."""


class Ranges:
    """Windows of any shape; see device.Device for what each method promises."""

    threads: int = 1

    def window_ranges(
        self,
        values: NDArray[Any],
        rows: NDArray[np.int64],
        ends: NDArray[np.float64],
        is_open: Sequence[bool],
        every: int = 1,
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Plane by plane of outputs; rows of a plane of samples are made once, the longer ones from the shorter."""
        shape = tuple(-(-n // every) for n in values.shape)
        low, high, mean = (np.empty(shape, values.dtype) for _ in range(3))
        if values.size == 0:
            return low, high, mean
        offsets = np.concatenate([rows[:, :3], rows[:, :3] + np.array([0, 0, 1]) * (rows[:, 3:] - 1), *_places(ends)])
        before, after = np.maximum(-offsets.min(axis=0), 0), np.maximum(offsets.max(axis=0), 0)
        padded = values
        for axis in range(3):
            padded = _continued(padded, axis, int(before[axis]), int(after[axis]), is_open[axis])
        lengths = sorted({(int(first), int(count)) for first, count in rows[:, 2:]}, key=lambda row: row[1])
        n_points = int(rows[:, 3].sum()) + len(ends)

        def every_one(axis: int, offset: int) -> slice:
            start = offset + int(before[axis])
            return slice(start, start + (shape[axis] - 1) * every + 1, every)

        def fill(start: int, stop: int) -> None:
            of_planes: dict[int, dict[tuple[int, int], tuple[NDArray[Any], ...]]] = {}
            for a_out in range(start, stop):
                middle = a_out * every + int(before[0])
                for plane in [plane for plane in of_planes if plane < middle - before[0]]:
                    del of_planes[plane]
                least, most, total = low[a_out], high[a_out], np.zeros(shape[1:])
                least[...], most[...] = np.inf, -np.inf
                for a, b, first, count in rows.tolist():
                    if middle + a not in of_planes:
                        of_planes[middle + a] = _lines_of(padded[middle + a], lengths, int(before[2]), shape[2], every)
                    smallest, largest, added = of_planes[middle + a][first, count]
                    across = every_one(1, b)
                    np.minimum(least, smallest[across], out=least)
                    np.maximum(most, largest[across], out=most)
                    total += added[across]
                for end in ends:
                    places = end[:6].reshape(2, 3).astype(int).tolist()
                    one, other = (padded[middle + a, every_one(1, b), every_one(2, c)] for a, b, c in places)
                    share = values.dtype.type(end[6])
                    between = (1 - share) * one + share * other
                    np.minimum(least, between, out=least)
                    np.maximum(most, between, out=most)
                    total += between
                mean[a_out] = total / n_points

        stretches = max(1, min(self.threads, shape[0] // 4)) if values.size > SHARED_FROM else 1
        bounds = [shape[0] * i // stretches for i in range(stretches + 1)]
        if stretches == 1:
            fill(0, shape[0])
        else:
            with ThreadPoolExecutor(stretches) as pool:
                list(pool.map(fill, bounds[:-1], bounds[1:]))
        return low, high, mean


def _continued(values: NDArray[Any], axis: int, before: int, after: int, is_open: bool) -> NDArray[Any]:
    """More values on either side of an axis: those of its other end, or, if it is open, its last one repeated."""
    n = values.shape[axis]
    outside = np.concatenate([np.arange(-before, 0), np.arange(n, n + after)])
    more = np.take(values, np.clip(outside, 0, n - 1) if is_open else outside % n, axis=axis)
    first, last = np.split(more, [before], axis=axis)
    return np.concatenate([first, values, last], axis=axis)


def _places(ends: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The two points that each end lies between."""
    return ends[:, :3].astype(np.int64), ends[:, 3:6].astype(np.int64)


def _lines_of(
    plane: NDArray[Any], lengths: Sequence[tuple[int, int]], before: int, n_out: int, every: int
) -> dict[tuple[int, int], tuple[NDArray[Any], ...]]:
    """Smallest, largest and sum (float64) of every row (first, count), at every `every`-th point of the lines."""
    phases = [np.ascontiguousarray(plane[:, phase::every]) for phase in range(every)]
    found: dict[tuple[int, int], tuple[NDArray[Any], ...]] = {}
    known: tuple[int, int] | None = None
    for first, count in lengths:
        missing = range(first, first + count)
        state: tuple[NDArray[Any], ...] | None = None
        if known is not None and first <= known[0] and known[0] + known[1] <= first + count:
            missing_before, missing_after = range(first, known[0]), range(known[0] + known[1], first + count)
            state, places = found[known], [*missing_before, *missing_after]
        else:
            places = list(missing)
        for place in places:
            step, phase = divmod(place + before, every)
            part = phases[phase][:, step : step + n_out]
            if state is None:
                state = part, part, part.astype(np.float64)
            else:
                state = np.minimum(state[0], part), np.maximum(state[1], part), state[2] + part
        assert state is not None
        found[first, count] = state
        known = first, count
    return found
