"""Ranges: smallest, largest and mean value in windows of any shape, a ball for one, about some of the points.

window_ranges   3 operations a row of the window and an output, half as many where the window is its own mirror image;
                those of the longest row for every point

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
        """Plane by plane of outputs: what the window has of a plane of samples is found once for all that share it."""
        shape = tuple(-(-n // every) for n in values.shape)
        low, high, mean = (np.empty(shape, values.dtype) for _ in range(3))
        if values.size == 0:
            return low, high, mean
        lines = _Lines(values, rows, ends, is_open, every)
        by_plane: dict[int, list[tuple[int, int, int]]] = {}
        for a, b, first, count in rows.tolist():
            by_plane.setdefault(a, []).append((b, first, count))
        parts = [(a, tuple(part)) for a, part in by_plane.items()]
        n_points = int(rows[:, 3].sum()) + len(ends)

        def fill(start: int, stop: int) -> None:
            planes = _Planes(lines)
            for a_out in range(start, stop):
                least, most, total = low[a_out], high[a_out], np.zeros(shape[1:])
                least[...], most[...] = np.inf, -np.inf
                found = [planes.part(a_out * every + a, part) for a, part in parts]
                found += [(between,) * 3 for between in planes.ends(a_out * every, ends)]
                for smallest, largest, added in found:
                    np.minimum(least, smallest, out=least)
                    np.maximum(most, largest, out=most)
                    total += added
                mean[a_out] = total / n_points
                planes.forget((a_out + 1) * every - int(lines.before[0]))

        stretches = max(1, min(self.threads, shape[0] // 4)) if values.size > SHARED_FROM else 1
        bounds = [shape[0] * i // stretches for i in range(stretches + 1)]
        if stretches == 1:
            fill(0, shape[0])
        else:
            with ThreadPoolExecutor(stretches) as pool:
                list(pool.map(fill, bounds[:-1], bounds[1:]))
        return low, high, mean


class _Lines:
    """Planes of values, continued beyond their ends as far as a window reaches."""

    def __init__(
        self,
        values: NDArray[Any],
        rows: NDArray[np.int64],
        ends: NDArray[np.float64],
        is_open: Sequence[bool],
        every: int,
    ) -> None:
        self.values, self.is_open, self.every = values, is_open, every
        last = rows[:, :3] + np.array([0, 0, 1]) * (rows[:, 3:] - 1)
        offsets = np.concatenate([rows[:, :3], last, *(ends[:, i : i + 3].astype(np.int64) for i in (0, 3))])
        self.before = np.maximum(-offsets.min(axis=0), 0)
        self.after = np.maximum(offsets.max(axis=0), 0)
        self.lengths = sorted({(int(first), int(count)) for first, count in rows[:, 2:]}, key=lambda row: row[1])
        self.shape = tuple(-(-n // every) for n in values.shape[1:])
        self._outside = self.outside(1), self.outside(2)

    def outside(self, axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The values that stand before the first and after the last along an axis."""
        n = self.values.shape[axis]
        before, after = np.arange(-self.before[axis], 0), np.arange(n, n + self.after[axis])
        return (before * 0, after * 0 + n - 1) if self.is_open[axis] else (before % n, after % n)

    def plane(self, number: int) -> NDArray[Any]:
        """A plane of the first axis, continued along the other two."""
        n = len(self.values)
        plane = self.values[min(max(number, 0), n - 1) if self.is_open[0] else number % n]
        (n1, n2), (_, b, c), (_, b_after, c_after) = plane.shape, self.before.tolist(), self.after.tolist()
        out = np.empty((b + n1 + b_after, c + n2 + c_after), plane.dtype)
        inner = slice(b, b + n1)
        out[inner, c : c + n2] = plane
        (above, below), (left, right) = self._outside
        for place, index in ((slice(0, c), left), (slice(c + n2, None), right)):
            if len(index):
                out[inner, place] = plane[:, index]
        for place, index in ((slice(0, b), above), (slice(b + n1, None), below)):
            if len(index):
                out[place] = out[b + index]
        return out

    def at(self, axis: int, offset: int) -> slice:
        """Every so many-th value along an axis of such a plane, from an offset on."""
        start = offset + int(self.before[axis])
        return slice(start, start + (self.shape[axis - 1] - 1) * self.every + 1, self.every)


class _Planes:
    """What windows have of planes, kept while neighbouring outputs want it again."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._planes: dict[int, NDArray[Any]] = {}
        self._rows: dict[int, dict[tuple[int, int], tuple[NDArray[Any], ...]]] = {}
        self._parts: dict[tuple[int, Any], tuple[NDArray[Any], ...]] = {}

    def part(self, plane: int, rows: tuple[tuple[int, int, int], ...]) -> tuple[NDArray[Any], ...]:
        """Smallest, largest and sum of the rows (b, first, count) of a plane."""
        found = self._parts.get((plane, rows))
        if found is None:
            lines = self._lines
            if plane not in self._rows:
                self._rows[plane] = _rows_of(
                    self._plane(plane), lines.lengths, int(lines.before[2]), lines.shape[1], lines.every
                )
            known = self._rows[plane]
            b, first, count = rows[0]
            smallest, largest, added = (one[lines.at(1, b)] for one in known[first, count])
            if len(rows) > 1:
                smallest, largest, added = smallest.copy(), largest.copy(), added.astype(np.float64)
            for b, first, count in rows[1:]:
                across, row = lines.at(1, b), known[first, count]
                np.minimum(smallest, row[0][across], out=smallest)
                np.maximum(largest, row[1][across], out=largest)
                added += row[2][across]
            found = self._parts[plane, rows] = smallest, largest, added
        return found

    def _plane(self, number: int) -> NDArray[Any]:
        if number not in self._planes:
            self._planes[number] = self._lines.plane(number)
        return self._planes[number]

    def ends(self, plane: int, ends: NDArray[np.float64]) -> list[NDArray[Any]]:
        """The values between two points, about the outputs of a plane."""
        lines, found = self._lines, []
        for end in ends:
            one, other = (
                self._plane(plane + a)[lines.at(1, b), lines.at(2, c)]
                for a, b, c in end[:6].reshape(2, 3).astype(int).tolist()
            )
            share = lines.values.dtype.type(end[6])
            found.append((1 - share) * one + share * other)
        return found

    def forget(self, first: int) -> None:
        """Planes before this one are not wanted again."""
        for known in (self._planes, self._rows):
            for plane in [plane for plane in known if plane < first]:
                del known[plane]
        for key in [key for key in self._parts if key[0] < first]:
            del self._parts[key]


def _rows_of(
    plane: NDArray[Any], lengths: Sequence[tuple[int, int]], before: int, n_out: int, every: int
) -> dict[tuple[int, int], tuple[NDArray[Any], ...]]:
    """Smallest, largest and sum of every row (first, count), at some points of the lines; longer from shorter."""
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
                state = part, part, part
            else:
                state = np.minimum(state[0], part), np.maximum(state[1], part), state[2] + part
        assert state is not None
        found[first, count] = state
        known = first, count
    return found
