"""Ranges: smallest, largest and mean value in windows of any shape, a ball for one, about some of the points.

window_ranges   3 operations a row of the window and an output; those of the longest row for every line

>>> line = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 1, 4)
>>> low, high, mean = Ranges().window_ranges(line, np.array([[0, 0, -1, 3]]), np.zeros((0, 7)), [True] * 3)
>>> low[0, 0], high[0, 0]
(array([1., 1., 2., 4.]), array([2., 4., 8., 8.]))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .team import SMALL, share

BLOCK_BYTES = 1 << 20
"""Of the outputs that are worked on together: they, and what is known of the lines about them, stay in the cache."""


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
        """Some planes of outputs at a time; of them rows that meet the same lines, longer ones from shorter ones."""
        shape = tuple(-(-n // every) for n in values.shape)
        low, high, mean = (np.empty(shape, values.dtype) for _ in range(3))
        if values.size == 0:
            return low, high, mean
        window = _Window(values, rows, ends, is_open, every)
        low[...], high[...] = np.inf, -np.inf

        def fill(_: None, start: int) -> None:
            out = low[start : start + together], high[start : start + together], mean[start : start + together]
            window.about(start, *out)

        threads = self.threads if values.size > SMALL else 1
        fits = max(1, BLOCK_BYTES // (shape[1] * shape[2] * values.dtype.itemsize))
        together = min(fits, -(-shape[0] // threads))
        share(fill, range(0, shape[0], together), lambda: None, threads)
        return low, high, mean


class _Window:
    """A window about every so many-th point of some values, which go on beyond their ends as far as it reaches."""

    def __init__(
        self,
        values: NDArray[Any],
        rows: NDArray[np.int64],
        ends: NDArray[np.float64],
        is_open: Sequence[bool],
        every: int,
    ) -> None:
        self.values, self.ends, self.is_open, self.every = values, ends, is_open, every
        self.shape = tuple(-(-n // every) for n in values.shape)
        self.n_points = int(rows[:, 3].sum()) + len(ends)
        last = rows[:, :3] + np.array([0, 0, 1]) * (rows[:, 3:] - 1)
        offsets = np.concatenate([rows[:, :3], last, *(ends[:, i : i + 3].astype(np.int64) for i in (0, 3))])
        self.before = np.maximum(-offsets.min(axis=0), 0).tolist()
        self.after = np.maximum(offsets.max(axis=0), 0).tolist()
        self.by_phase: dict[tuple[int, int], list[tuple[range, list[tuple[int, int]]]]] = {}
        for a, b, first, count in sorted(rows.tolist(), key=lambda row: (row[3], row[2])):
            (i, phase), (j, other) = divmod(a + self.before[0], every), divmod(b + self.before[1], every)
            alike = self.by_phase.setdefault((phase, other), [])
            if not alike or alike[-1][0] != range(first, first + count):
                alike.append((range(first, first + count), []))
            alike[-1][1].append((i, j))

    def about(self, start: int, low: NDArray[Any], high: NDArray[Any], mean: NDArray[Any]) -> None:
        """Smallest, largest and mean value about some planes of outputs, of which the first two hold infinities."""
        block, every = self._block(start, len(low)), self.every
        total, added = np.zeros(low.shape), np.empty_like(low)
        for (a, b), by_extent in self.by_phase.items():
            lines = [np.ascontiguousarray(block[a::every, b::every, c::every]) for c in range(every)]
            added[...] = 0
            for together, out in ((np.minimum, low), (np.maximum, high), (np.add, added)):
                self._gather(together, out, lines, by_extent)
            total += added
        for end in self.ends:
            one, other = (
                block[
                    tuple(
                        slice(o + before, o + before + (n - 1) * every + 1, every)
                        for o, before, n in zip(offset.astype(int), self.before, low.shape, strict=True)
                    )
                ]
                for offset in (end[:3], end[3:6])
            )
            share = low.dtype.type(end[6])
            between = (1 - share) * one + share * other
            np.minimum(low, between, out=low)
            np.maximum(high, between, out=high)
            total += between
        mean[...] = total / self.n_points

    def _gather(
        self,
        together: np.ufunc,
        out: NDArray[Any],
        lines: list[NDArray[Any]],
        by_extent: list[tuple[range, list[tuple[int, int]]]],
    ) -> None:
        """Rows into the outputs: what a row has of a line is found once for all outputs, that of a longer from it."""
        n, n1, n2 = out.shape
        state, covered = np.empty((*lines[0].shape[:2], n2), out.dtype), range(0)
        for wanted, offsets in by_extent:
            if not (covered and wanted.start <= covered.start and covered.stop <= wanted.stop):
                covered = range(0)
            for place in wanted:
                if place in covered:
                    continue
                step, phase = divmod(place + self.before[2], self.every)
                part = lines[phase][..., step : step + n2]
                if covered or place > wanted.start:
                    together(state, part, out=state)
                else:
                    state[...] = part
            covered = wanted
            for i, j in offsets:
                together(out, state[i : i + n, j : j + n1], out=out)

    def _block(self, start: int, n_planes: int) -> NDArray[Any]:
        """The values that windows about some planes of outputs reach."""
        first = start * self.every
        planes = self._places(0, first - self.before[0], first + (n_planes - 1) * self.every + 1 + self.after[0])
        (n1, n2), (_, b, c) = self.values.shape[1:], self.before
        part = self.values[planes]
        out = np.empty((len(planes), b + n1 + self.after[1], c + n2 + self.after[2]), part.dtype)
        out[:, b : b + n1, c : c + n2] = part
        for place, index in ((slice(0, c), (-c, 0)), (slice(c + n2, None), (n2, n2 + self.after[2]))):
            out[:, b : b + n1, place] = part[:, :, self._places(2, *index)]
        for place, index in ((slice(0, b), (-b, 0)), (slice(b + n1, None), (n1, n1 + self.after[1]))):
            out[:, place] = out[:, b + self._places(1, *index)]
        return out

    def _places(self, axis: int, start: int, stop: int) -> NDArray[np.int64]:
        """The values that stand at some places along an axis."""
        n = self.values.shape[axis]
        return np.clip(np.arange(start, stop), 0, n - 1) if self.is_open[axis] else np.arange(start, stop) % n
