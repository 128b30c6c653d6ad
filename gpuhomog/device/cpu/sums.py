"""Sums over planes, and extrema. Sums accumulate in float64, plane by plane.

    planar_sum         1 read
    sums_and_extrema   1 read, and the rest from the cache
    planar_moments     1 read and float64 copies of some rows at a time
    plane_family_sum   1 read
    inner_products     1 read of both, by BLAS

>>> Sums().planar_sum(np.ones((2, 3, 4), order="F"), axis=1)
array([8., 8., 8.])
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered

BLOCK_BYTES = 2**19
"""Rows that are looked at several times: half of a second-level cache."""


class Sums:
    """Reductions; see device.Device for what each method promises."""

    def planar_sum(self, values: NDArray[Any], axis: int) -> NDArray[np.float64]:
        """Sum of each plane: along the memory, one plane in cache at a time."""
        if is_fortran_ordered(values):
            return self.planar_sum(values.T, 2 - axis)
        if axis == 0:
            return np.array([plane.sum(dtype=np.float64) for plane in values], dtype=np.float64)
        sums = np.zeros(values.shape[axis])
        for plane in values:
            sums += plane.sum(axis=2 - axis, dtype=np.float64)
        return sums

    def plane_family_sum(self, values: NDArray[Any], strides: tuple[int, int, int], n_bins: int) -> NDArray[np.float64]:
        """Bins of the first plane are counted once; every further plane only rolls them."""
        if is_fortran_ordered(values):
            return self.plane_family_sum(values.T, (strides[2], strides[1], strides[0]), n_bins)
        _, n1, n2 = values.shape
        bins = (strides[1] * np.arange(n1)[:, None] + strides[2] * np.arange(n2)) % n_bins
        sums = np.zeros(n_bins)
        for i, plane in enumerate(values):
            counted = np.bincount(bins.ravel(), weights=plane.ravel(), minlength=n_bins)
            sums += np.roll(counted, strides[0] * i % n_bins)
        return sums

    def extrema(self, values: NDArray[Any]) -> tuple[float, float]:
        """Two reads, NumPy's own, which pass NaN on."""
        return float(np.min(values)), float(np.max(values))

    def sums_and_extrema(
        self, values: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, float]:
        """Some rows at a time, by products with ones."""
        if is_fortran_ordered(values):
            a, b, c, low, high = self.sums_and_extrema(values.T)
            return c, b, a, low, high
        n0, n1, n2 = values.shape
        rows = np.ascontiguousarray(values).reshape(n0 * n1, n2)
        row_sums, column_sums = np.zeros(n0 * n1), np.zeros(n2)
        lows, highs = [np.inf], [-np.inf]
        count = max(1, BLOCK_BYTES // (8 * max(1, n2)))
        ones = np.ones(max(count, n2))
        with np.errstate(invalid="ignore"):  # of infinite values, which the extrema tell of
            for start in range(0, n0 * n1 if n2 else 0, count):
                block = np.asarray(rows[start : start + count], np.float64)
                lows.append(block.min())  # what streams best reads the memory
                highs.append(block.max())
                row_sums[start : start + count] = block @ ones[:n2]
                column_sums += ones[: len(block)] @ block
            first, second = (row_sums.reshape(n0, n1).sum(axis=axis) for axis in (1, 0))
        return first, second, column_sums, float(np.min(lows)), float(np.max(highs))

    def planar_moments(
        self, values: NDArray[Any], n_moments: int, centre: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Some rows of a plane of the slowest axis at a time, in float64."""
        if is_fortran_ordered(values):
            a, b, c = self.planar_moments(values.T, n_moments, centre)
            return c, b, a
        out = []
        for n in values.shape:
            stats = np.zeros((n_moments + 2, n))
            stats[n_moments], stats[n_moments + 1] = np.inf, -np.inf
            out.append(stats)
        if values.size == 0:
            return out[0], out[1], out[2]
        middle = values.dtype.type(centre)
        _, n1, n2 = values.shape
        together = max(1, 2 * BLOCK_BYTES // (8 * n2))
        for i, plane in enumerate(values):
            for first in range(0, n1, together):
                rows = slice(first, first + together)
                part = plane[rows]
                deviation = (part - middle).astype(np.float64)
                power = deviation.copy() if n_moments > 1 else deviation
                for p in range(n_moments):
                    if p:
                        power *= deviation
                    sums = power.sum(axis=1)
                    out[0][p, i] += sums.sum()
                    out[1][p, rows] += sums
                    out[2][p] += power.sum(axis=0)
                for row, smaller in ((n_moments, np.minimum), (n_moments + 1, np.maximum)):
                    extreme = smaller.reduce(part, axis=1)
                    smaller(out[1][row, rows], extreme, out=out[1][row, rows])
                    smaller(out[2][row], smaller.reduce(part, axis=0), out=out[2][row])
                    out[0][row, i] = smaller(out[0][row, i], smaller.reduce(extreme))
        return out[0], out[1], out[2]

    def inner_products(self, values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
        """One matrix product."""
        return np.asarray(values @ others.T, dtype=np.float64)
