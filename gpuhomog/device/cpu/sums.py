"""Sums over planes, and extrema. Sums accumulate in float64, plane by plane.

    planar_sum         1 read
    magnitude_sums     1 read, and the rest from the cache
    planar_moments     1 read and float64 copies of some rows at a time, which stay in the cache
    plane_family_sum   1 read
    inner_products     1 read of both, by BLAS

>>> Sums().planar_sum(np.ones((2, 3, 4), order="F"), axis=1)
array([8., 8., 8.])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered
from .team import SMALL, share

BLOCK_BYTES = 2**19
"""Rows that are looked at several times: half of a second-level cache."""

SHARED_BYTES = 2**22
"""Values and magnitudes that a thread takes at once: of an eighth of it threads wait for each other at every call."""


class Sums:
    """Reductions; see device.Device for what each method promises."""

    threads: int = 1

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

    def magnitude_sums(self, values: NDArray[Any], axis: int, axes: Sequence[int]) -> tuple[NDArray[np.float64], ...]:
        """Some planes at a time, on all threads."""
        if is_fortran_ordered(values):
            return self.magnitude_sums(values.T, 2 - axis, [2 - other for other in axes])
        n_0, n_1, n_2 = values.shape
        at_once = max(1, SHARED_BYTES // max(1, 2 * n_1 * n_2 * values.itemsize))
        chunks = range(0, n_0, at_once)
        rows, columns = np.zeros((2, n_0, n_1)), np.zeros((2, len(chunks), n_2))

        def add(magnitudes: NDArray[Any], first: int) -> None:
            some, chunk = slice(first, min(first + at_once, n_0)), first // at_once
            here = values[some]
            there = np.abs(here, out=magnitudes[: len(here)])
            for kind, these in enumerate((here, there)):
                rows[kind, some] = np.einsum("ijk->ij", these)  # sum takes three times as long for short rows
            if axis == 2:
                columns[0, chunk] = here.sum(axis=(0, 1), dtype=np.float64)
            if 2 in axes:
                columns[1, chunk] = there.sum(axis=(0, 1), dtype=np.float64)

        threads = self.threads if values.size > SMALL else 1
        share(add, chunks, lambda: np.empty((at_once, n_1, n_2), values.dtype), threads)
        sums = [[rows[kind].sum(axis=1), rows[kind].sum(axis=0), columns[kind].sum(axis=0)] for kind in range(2)]
        return sums[0][axis], *(sums[1][other] for other in axes)

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

    def planar_moments(
        self, values: NDArray[Any], n_moments: int, centre: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, float]:
        """Some rows at a time, whose powers stay in the cache, by products with ones."""
        if is_fortran_ordered(values):
            a, b, c, low, high = self.planar_moments(values.T, n_moments, centre)
            return c, b, a, low, high
        n0, n1, n2 = values.shape
        rows = np.ascontiguousarray(values).reshape(n0 * n1, n2)
        row_sums, column_sums = np.zeros((n_moments, n0 * n1)), np.zeros((n_moments, n2))
        lows, highs = [np.inf], [-np.inf]
        count = min(max(1, BLOCK_BYTES // (8 * max(1, n2))), max(1, n0 * n1))
        ones, middle = np.ones(max(count, n2)), values.dtype.type(centre)
        exact = values.dtype == np.float64 and not centre
        powers = np.empty((2, count, n2))
        with np.errstate(invalid="ignore", over="ignore"):  # of infinite values, which the extrema tell of
            for start in range(0, n0 * n1 if n2 else 0, count):
                part = rows[start : start + count]
                lows.append(part.min())
                highs.append(part.max())
                deviation, power = powers[:, : len(part)]
                if exact:
                    deviation = part
                else:
                    deviation[...] = part - middle if centre else part
                summed = deviation
                for p in range(n_moments):
                    summed = np.multiply(summed, deviation, out=power) if p else deviation
                    row_sums[p, start : start + count] = summed @ ones[:n2]
                    column_sums[p] += ones[: len(part)] @ summed
            first, second = (row_sums.reshape(n_moments, n0, n1).sum(axis=axis) for axis in (2, 1))
        return first, second, column_sums, float(np.min(lows)), float(np.max(highs))

    def inner_products(self, values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
        """One matrix product."""
        return np.asarray(values @ others.T, dtype=np.float64)
