"""Sums over smooth windows along lines and faces and about points.

smooth_sums   the points that each window reaches, some planes at a time, and erfc of each

>>> point = np.array([[0.0, 0.0, 0.1, 1.0, *[0.0] * 9]])
>>> ones, reached = np.ones((1, 1, 9)), np.array([[[0, 0], [0, 0], [-4, 4]]])
>>> Features().smooth_sums(ones, point, reached, np.zeros(3), np.diag([1.0, 1.0, 0.5]), (1, 1, 9))[0, :2].round(5)
array([4. , 1.5])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINT, LINE, FACE, FIT = range(4)

PLANES_AT_ONCE = 16


class Features:
    """Windows of lines, faces and points; see device.Device for what each method promises."""

    def smooth_sums(
        self,
        values: NDArray[Any],
        windows: Array,
        reached: NDArray[np.int64],
        origin: Array,
        steps: Array,
        shape: tuple[int, int, int],
        first: Sequence[int] = (0, 0, 0),
    ) -> Array:
        """Window by window, some planes of its slowest axis at a time."""
        sums = np.zeros((len(windows), 4))
        for row, window, ends in zip(sums, windows, reached, strict=True):
            kept, picked = [], []
            for axis, (low, high) in enumerate(ends.tolist()):
                indices = np.arange(low, high + 1)
                local = indices % shape[axis] - first[axis]
                inside = (local >= 0) & (local < values.shape[axis])
                kept.append(indices[inside])
                picked.append(local[inside])
            for start in range(0, len(kept[0]), PLANES_AT_ONCE):
                some = slice(start, start + PLANES_AT_ONCE)
                here = values[np.ix_(picked[0][some], picked[1], picked[2])].astype(np.float64)
                apart: list[Any] = [origin[x] - window[4 + x] for x in range(3)]
                for axis, indices in enumerate((kept[0][some], kept[1], kept[2])):
                    along = indices.reshape(np.roll((-1, 1, 1), axis))
                    apart = [at + along * steps[axis, x] for x, at in enumerate(apart)]
                weights, square = _weights(window, apart)
                weighted = weights * here
                row[0] += weighted.sum()
                if window[0] == FIT:
                    row[1:] += [(weighted * at).sum() for at in apart]
                    continue
                for power in (1, 2):
                    weighted *= square
                    row[power] += weighted.sum()
        return sums


def _weights(window: Array, apart: Sequence[Array]) -> tuple[Array, Array]:
    """The weight, and d², at positions given by their components from the centre, arrays that broadcast."""
    from scipy.special import erfc

    kind = int(window[0])
    half, s, rho = (float(number) for number in window[1:4])
    square = sum(at * at for at in apart)
    if kind == FIT:
        return np.asarray(np.exp(-0.5 * square / half**2)), np.asarray(square)
    rows = window[7:].reshape(2, 3)[: {POINT: 0, LINE: 1, FACE: 2}[kind]]
    along = [sum(at * c for at, c in zip(apart, row, strict=True)) for row in rows]
    across = np.maximum(square - sum(t * t for t in along), 0.0)
    scale = np.sqrt(2) * s
    weight = 0.5 * erfc((np.sqrt(across) - rho) / scale)
    if kind == LINE:
        weight = weight * 0.5 * (erfc((along[0] - half) / scale) - erfc((along[0] + half) / scale))
    elif kind == FACE:
        weight = weight * np.exp(-0.5 * sum(t * t for t in along) / half**2)
    return np.asarray(weight), np.asarray(across)
