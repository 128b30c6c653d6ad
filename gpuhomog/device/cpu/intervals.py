"""Moments of intervals of an axis: cells are cut where the edges are.

interval_moments   1 read, in float64, sums by math.fsum
"""

from __future__ import annotations

from math import ceil, floor, fsum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .sums import Sums


class Intervals(Sums):
    """Reductions over parts of an axis; see device.Device for what each method promises."""

    def interval_moments(
        self, values: NDArray[Any], edges: ArrayLike, references: ArrayLike, *, axis: int = 2
    ) -> NDArray[np.float64]:
        """Line by line, correctly rounded sums."""
        lines = np.moveaxis(values, axis, -1)
        n = lines.shape[-1]
        bounds, centres = np.asarray(edges, dtype=float), np.asarray(references, dtype=float)
        out = np.zeros((3, *lines.shape[:-1], len(centres)))
        if lines.size == 0:
            return np.moveaxis(out, -1, axis + 1)
        for m, (low, high, reference) in enumerate(zip(bounds[:-1], bounds[1:], centres, strict=True)):
            cells, weights = cells_of_interval(low, high, reference)
            parts = lines[..., cells % n].astype(np.float64)
            for p, weight in enumerate(weights):
                terms = (parts * weight).reshape(lines.size // n, len(cells))
                out[p, ..., m] = np.array([fsum(line) for line in terms]).reshape(lines.shape[:-1])
        return np.moveaxis(out, -1, axis + 1)


def cells_of_interval(
    low: float, high: float, reference: float
) -> tuple[NDArray[np.int64], tuple[NDArray[np.float64], ...]]:
    """The cells [i, i + 1) that an interval meets, and ∫ (x - reference)^p, p = 0, 1, 2, over what it has of each."""
    cells = np.arange(floor(low), ceil(high))
    start, stop = np.maximum(cells, low) - reference, np.minimum(cells + 1, high) - reference
    whole, middle = stop - start, (start + stop) / 2
    return cells, (whole, whole * middle, whole * (middle**2 + whole**2 / 12))
