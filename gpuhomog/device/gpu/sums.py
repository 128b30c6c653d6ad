"""Sums over planes, and extrema: planar_moments.cu reads the field once for all three axes.

planar_moments     1 read
plane_family_sum   1 read
inner_products     1 read of both, by cuBLAS

Kernels compute in the precision of the values and end in float64; results are on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered
from .memory import Memory, c_name

FILE = "planar_moments.cu"
BLOCK = 128
BLOCKS_EACH = 4
"""Blocks of planar_moments that one multiprocessor holds."""
MAGNITUDE_PLANES = 16
"""Whose magnitudes are in memory at once."""
FEWEST_ROWS = 32
"""A block with fewer rows than a tile leaves its threads idle."""


class Sums(Memory):
    """Reductions; see device.Device for what each method promises."""

    def planar_sum(self, values: Any, axis: int) -> NDArray[np.float64]:
        """All three axes cost one read; the one asked for is returned."""
        return self._planar(values, 1, False, 0.0)[axis][0]

    def magnitude_sums(self, values: Any, axis: int, axes: Sequence[int]) -> tuple[NDArray[np.float64], ...]:
        """Magnitudes of some planes at a time, which the device sums as values."""
        sums = [self.planar_sum(values, axis), *(np.zeros(values.shape[other]) for other in axes)]
        for start in range(0, values.shape[axis], MAGNITUDE_PLANES):
            some = slice(start, start + MAGNITUDE_PLANES)
            here = abs(values[tuple(some if i == axis else slice(None) for i in range(3))])
            for other, total in zip(axes, sums[1:], strict=True):
                total[some if other == axis else slice(None)] += self.planar_sum(here, other)
        return tuple(sums)

    def planar_moments(
        self, values: Any, n_moments: int, centre: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, float]:
        """One read for all three axes, all moments and the extrema."""
        a, b, c = stats = self._planar(values, 4, True, centre)
        low, high = self._extrema(values, stats) if values.size else (np.inf, -np.inf)
        return a[:n_moments], b[:n_moments], c[:n_moments], low, high

    def extrema(self, values: Any) -> tuple[float, float]:
        """From the planes; the sums tell whether a NaN was among the values."""
        return self._extrema(values, self._planar(values, 4, True, 0.0))

    def _extrema(self, values: Any, stats: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
        """From what the kernel has, which leaves NaN out of the extrema and not out of the sums."""
        along = stats[0]
        if np.isnan(along[0]).any():
            xp = self.runtime.xp
            return float(xp.min(values)), float(xp.max(values))
        return float(along[4].min()), float(-along[5].min())

    def _planar(self, values: Any, moments: int, extrema: bool, centre: float) -> list[NDArray[np.float64]]:
        """(stats, n) of each axis, as the kernel has them."""
        if is_fortran_ordered(values):
            return self._planar(values.T, moments, extrema, centre)[::-1]
        n_stats = moments + 2 * extrema
        shape = values.shape
        if values.size == 0:
            empty = np.zeros(n_stats)
            empty[moments:] = np.inf
            return [np.repeat(empty[:, None], n, axis=1) for n in shape]
        values = self.contiguous(values)
        n0, n1, n2 = shape
        rows, dtype = n0 * n1, values.dtype
        chunks = -(-n2 // (BLOCK * 32 // dtype.itemsize))
        blocks = max(1, min(-(-rows // FEWEST_ROWS), BLOCKS_EACH * self.runtime.n_multiprocessors // chunks))
        row_stats = self.empty((n_stats, chunks, rows), np.float64)
        column_stats = self.empty((n_stats, blocks, n2), np.float64)
        aligned = n2 * dtype.itemsize % 16 == 0
        instance = f"planar_moments<{c_name(dtype)}, {moments}, {str(extrema).lower()}, {str(aligned).lower()}>"
        arguments = (values, row_stats, column_stats, np.int64(rows), np.int64(n2), dtype.type(centre))
        self.runtime.launch(FILE, instance, (blocks, chunks), (BLOCK,), arguments)
        out = self.empty(n_stats * sum(shape), np.float64)
        total = np.int64(sum(shape))
        for parts, outer, planes, inner, start in (
            (row_stats, chunks, n0, n1, 0),
            (row_stats, chunks * n0, n1, 1, n0),
            (column_stats, blocks, n2, 1, n0 + n1),
        ):
            per_block = 32 if inner == 1 else 8
            sizes = (np.int64(outer), np.int64(planes), np.int64(inner))
            grid = (-(-planes // per_block), n_stats)
            combined = (parts, out[start:], *sizes, total, np.int32(moments))
            self.runtime.launch(FILE, "combine_partials", grid, (32, 8), combined)
        stats = self.to_host(out).reshape(n_stats, sum(shape))
        return np.split(stats, [n0, n0 + n1], axis=1)

    def plane_family_sum(self, values: Any, strides: tuple[int, int, int], n_bins: int) -> NDArray[np.float64]:
        """Bins counted by CuPy, a plane at a time, and rolled; see the CPU's."""
        if is_fortran_ordered(values):
            return self.plane_family_sum(values.T, (strides[2], strides[1], strides[0]), n_bins)
        xp = self.runtime.xp
        _, n1, n2 = values.shape
        bins = ((strides[1] * xp.arange(n1)[:, None] + strides[2] * xp.arange(n2)) % n_bins).ravel()
        sums = xp.zeros(n_bins)
        for i, plane in enumerate(values):
            counted = xp.bincount(bins, weights=plane.ravel().astype(np.float64), minlength=n_bins)
            sums += xp.roll(counted, strides[0] * i % n_bins)
        return self.to_host(sums)

    def inner_products(self, values: Any, others: Any) -> NDArray[np.float64]:
        """One matrix product."""
        return self.to_host(values @ others.T).astype(np.float64)
