"""Moments of intervals of an axis: interval_moments.cu.

interval_moments   1 read
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...memory_order import is_fortran_ordered
from .memory import c_name
from .sums import Sums

FILE = "interval_moments.cu"
BLOCK = 128
ROW_LANES = 4
"""interval_moments.cu: LANES."""
LEAST_THREADS = 256
"""Of a multiprocessor: with fewer, each takes one column."""


class Intervals(Sums):
    """Reductions over parts of an axis; see device.Device for what each method promises."""

    def interval_moments(self, values: Any, edges: ArrayLike, references: ArrayLike, *, axis: int = 2) -> Any:
        """Threads across lines, of 16 bytes where there are many; a few lanes along lines that lie contiguous."""
        fortran = is_fortran_ordered(values)
        values = self.contiguous(values.T if fortran else values)
        along = 2 - axis if fortran else axis
        shape = values.shape
        outer, planes, inner = int(np.prod(shape[:along])), shape[along], int(np.prod(shape[along + 1 :]))
        n_intervals = len(np.asarray(references))
        out_shape = [*shape]
        out_shape[along] = n_intervals
        if not values.size:
            out = self.runtime.xp.zeros((3, *out_shape), np.float64)
        else:
            out = self.empty((3, *out_shape), np.float64)
            bounds = self.table(edges, np.float64), self.table(references, np.float64)
            name = c_name(values.dtype)
            if inner == 1:
                sizes: tuple[Any, ...] = (np.int64(outer), np.int32(planes), np.int64(n_intervals))
                grid: tuple[int, ...] = (-(-outer * n_intervals * ROW_LANES // BLOCK),)
                instance = f"interval_moments_row<{name}>"
            else:
                sizes = (np.int64(outer), np.int32(planes), np.int64(inner), np.int64(n_intervals))
                columns = 16 // values.dtype.itemsize
                many = outer * inner * n_intervals // columns >= LEAST_THREADS * self.runtime.n_multiprocessors
                if inner % columns or not many:
                    columns = 1
                grid = (-(-outer * inner // (columns * BLOCK)), n_intervals)
                instance = f"interval_moments<{name}, {columns}>"
            self.runtime.launch(FILE, instance, grid, (BLOCK,), (values, *bounds, out, *sizes))
        return self.runtime.xp.moveaxis(out, (1, 2, 3), (3, 2, 1)) if fortran else out
