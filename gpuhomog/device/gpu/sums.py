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
from .memory import RESERVED_BYTES, Memory, c_bool, c_name

FILE = "planar_moments.cu"
BLOCK = 128
BLOCKS_EACH = 4
"""Blocks of so many threads that the registers of one multiprocessor suffice for; one less in double precision."""
COLUMNS, ROWS, TILE = 8, 4, 16
"""planar_moments.cu: columns of a thread, rows on their way, rows of a tile."""
FEWEST_ROWS = 64
"""With fewer, what a block leaves of its columns is no longer little beside what it reads."""
MAGNITUDE_PLANES = 16
"""Whose magnitudes are in memory at once."""


class Sums(Memory):
    """Reductions; see device.Device for what each method promises."""

    def planar_sum(self, values: Any, axis: int) -> NDArray[np.float64]:
        """All three axes cost one read; the one asked for is returned."""
        return self._planar(values, 1, False, 0.0)[0][axis][0]

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
        (a, b, c), extremes = self._planar(values, 4, True, centre)
        low, high = self._extrema(values, a, extremes) if values.size else (np.inf, -np.inf)
        return a[:n_moments], b[:n_moments], c[:n_moments], low, high

    def extrema(self, values: Any) -> tuple[float, float]:
        """From the planes; the sums tell whether a NaN was among the values."""
        (along, _, _), extremes = self._planar(values, 4, True, 0.0)
        return self._extrema(values, along, extremes)

    def _extrema(self, values: Any, along: NDArray[np.float64], extremes: NDArray[np.float64]) -> tuple[float, float]:
        """From what the kernel has, which leaves NaN out of the extrema and not out of the sums."""
        if np.isnan(along[0]).any():
            xp = self.runtime.xp
            return float(xp.min(values)), float(xp.max(values))
        return float(extremes[0].min()), float(extremes[1].max())

    def _planar(
        self, values: Any, moments: int, extrema: bool, centre: float
    ) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
        """(moments, n) of each axis, and (2, parts) smallest and largest values, as the kernel has them."""
        if is_fortran_ordered(values):
            stats, extremes = self._planar(values.T, moments, extrema, centre)
            return stats[::-1], extremes
        shape = values.shape
        if values.size == 0:
            return [np.zeros((moments, n)) for n in shape], np.empty((2, 0))
        values = self.contiguous(values)
        n0, n1, n2 = shape
        rows, dtype = n0 * n1, values.dtype
        chunks, width, warps, shared = self._chunks(n2, moments, dtype.itemsize)
        most_shared = self.runtime.shared_bytes + RESERVED_BYTES
        threads = (BLOCKS_EACH - (dtype.itemsize == 8)) * BLOCK
        each = max(1, min(threads // (32 * warps), most_shared // (shared + RESERVED_BYTES)))
        blocks = max(1, min(rows // FEWEST_ROWS, each * self.runtime.n_multiprocessors // chunks))
        row_stats = self.empty((moments, chunks, rows), np.float64)
        column_stats = self.empty((moments, blocks, n2), np.float64)
        n_sums, n_extremes = moments * sum(shape), 2 * chunks * blocks * extrema
        out = self.empty(n_sums + n_extremes, np.float64)
        aligned = n2 * dtype.itemsize % 16 == 0
        instance = f"planar_moments<{c_name(dtype)}, {moments}, {c_bool(extrema)}, {c_bool(aligned)}>"
        written = (row_stats, column_stats, out[n_sums:] if extrema else np.uintp(0))
        sizes = (np.int64(rows), np.int64(n2), np.int32(width))
        arguments = (values, *written, *sizes, dtype.type(centre))
        self.runtime.launch(FILE, instance, (chunks, blocks), (32 * warps,), arguments, shared)
        combined = (row_stats, column_stats, out, *map(np.int64, shape), np.int32(chunks), np.int32(blocks))
        self.runtime.launch(FILE, "combine_partials", (-(-max(shape) // 8), moments, 3), (256,), combined)
        found = self.to_host(out)
        sums = found[:n_sums].reshape(moments, sum(shape))
        return np.split(sums, [n0, n0 + n1], axis=1), found[n_sums:].reshape(2, -1)

    def _chunks(self, n2: int, moments: int, item: int) -> tuple[int, int, int, int]:
        """Chunks of a row, columns of one, its warps, and bytes of shared memory."""
        of_warp = 32 * COLUMNS
        share = (8 * moments + ROWS * item) * of_warp + 2 * TILE * moments * item
        most_warps = max(1, min(BLOCK // 32, self.runtime.shared_bytes // share))
        chunks = -(-n2 // (most_warps * of_warp))
        width = -(-n2 // (chunks * COLUMNS)) * COLUMNS
        warps = -(-width // of_warp)
        return chunks, width, warps, warps * share

    def plane_family_sum(self, values: Any, strides: tuple[int, int, int], n_bins: int) -> NDArray[np.float64]:
        """A plane at a time, gathered bin by bin: CuPy counts bins by atomics, whose order is any. See the CPU's."""
        if is_fortran_ordered(values):
            return self.plane_family_sum(values.T, (strides[2], strides[1], strides[0]), n_bins)
        xp = self.runtime.xp
        _, n1, n2 = values.shape
        bins = ((strides[1] * np.arange(n1)[:, None] + strides[2] * np.arange(n2)) % n_bins).ravel()
        order = np.argsort(bins, kind="stable")
        used, first, counts = np.unique(bins[order], return_index=True, return_counts=True)
        members = np.full((len(used), counts.max(initial=0)), n1 * n2)  # beyond the plane: a zero
        members[np.arange(len(used)).repeat(counts), np.arange(n1 * n2) - first.repeat(counts)] = order
        places, of_bin = xp.asarray(used), xp.asarray(members)
        plane_and_zero, sums = xp.zeros(n1 * n2 + 1), xp.zeros(n_bins)
        for i, plane in enumerate(values):
            plane_and_zero[:-1] = plane.ravel()
            counted = xp.zeros(n_bins)
            counted[places] = plane_and_zero[of_bin].sum(axis=1)
            sums += xp.roll(counted, strides[0] * i % n_bins)
        return self.to_host(sums)

    def inner_products(self, values: Any, others: Any) -> NDArray[np.float64]:
        """One matrix product."""
        return self.to_host(values @ others.T).astype(np.float64)
