"""Short windows along all three axes: taps.cu takes the two fast axes in one launch, the slow one in another.

    contract_taps    1 read of the field; 1/(d_b d_c) written and read, 1/(d_a d_b d_c) written
    expand_taps      the same the other way: 1 write of the field

The slow axis is contracted last and expanded first, when the field is d_b d_c times smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered
from .memory import Memory, c_name

FILE = "taps.cu"
VECTORS = {"float32": 4, "float64": 2}
"""Neighbours of a row that a thread owns where rows are whole multiples of so many."""
WINDOWS = {1: (16,), 2: (8, 10, 12, 14, 16), 4: (8, 10, 12, 16)}
"""Cells of a window there are instances for, by the columns a thread owns."""
MOST_THREADS = {1: 768, 2: 480, 4: 480}
"""Of a block, by the columns a thread owns."""
PART_THREADS = 256
"""Threads of a block that has a part of a row, where that is enough."""
THREADS_EACH = 512
"""Threads of each multiprocessor, as many as it holds; with fewer, columns are cut into segments."""

SINGLE = SimpleNamespace(weights=np.ones(1), first=0, decimation=1)
"""An axis left as it is."""


class Taps(Memory):
    """Windows of few samples; see device.Device for what each method promises."""

    # In units of one column of a product onto fewer points, 0.049 ms at 1024^3 in float32 and 0.046 ms in float64 on an
    # H200 (scaling/README.md, "gaussian, std 16, step 8"), where a pass takes 1.0 and 2.0 ms, a filter 14.5 and 32.
    pass_in_columns: ClassVar[dict[str, float]] = {"float32": 20.0, "float64": 43.0}
    """Columns of a matrix product that take as long as one read or write of the field."""
    tap_in_columns: ClassVar[dict[str, float]] = {"float32": 0.9, "float64": 4.7}
    """Columns of a matrix product that take as long as one tap of every point."""
    filter_in_columns: ClassVar[dict[str, float]] = {"float32": 295.0, "float64": 690.0}
    """Columns of a matrix product that take as long as a filter in Fourier space."""
    odd_product: ClassVar[tuple[float, float]] = (1.6, 2.0)
    """Columns and passes of a product onto an odd number of points, which the library's tiles do not fit."""

    def contract_taps(self, values: Any, taps: Sequence[Any], power: int = 1, centre: float = 0.0) -> Any:
        """Planes first: one read of the field."""
        if is_fortran_ordered(values):
            return self.contract_taps(values.T, taps[::-1], power, centre).T
        slow, middle, fast = taps
        if not (_is_single(middle) and _is_single(fast)):
            values = self._contract(self.contiguous(values), middle, fast, power, centre)
            power, centre = 1, 0.0
        if not _is_single(slow) or (power, centre) != (1, 0.0):
            n0, n1, n2 = values.shape
            rows = self.contiguous(values).reshape(1, n0, n1 * n2)
            values = self._contract(rows, slow, SINGLE, power, centre).reshape(n0 // slow.decimation, n1, n2)
        return values

    def expand_taps(self, values: Any, taps: Sequence[Any]) -> Any:
        """Planes last: one write of the field."""
        if is_fortran_ordered(values):
            return self.expand_taps(values.T, taps[::-1]).T
        slow, middle, fast = taps
        if not _is_single(slow):
            m0, n1, n2 = values.shape
            rows = self.contiguous(values).reshape(1, m0, n1 * n2)
            values = self._expand(rows, slow, SINGLE).reshape(m0 * slow.decimation, n1, n2)
        if not (_is_single(middle) and _is_single(fast)):
            values = self._expand(self.contiguous(values), middle, fast)
        return values

    def _contract(self, values: Any, columns: Any, row: Any, power: int, centre: float) -> Any:
        """Along the two fast axes of C-ordered values, of their powers."""
        planes, n1, n2 = values.shape
        m1, m2 = n1 // columns.decimation, n2 // row.decimation
        out = self.empty((planes, m1, m2), values.dtype)
        if out.size == 0:
            return out
        width, cells, weights = self._weights(columns, row, n2, values.dtype)
        d2, reach = row.decimation, -(-len(row.weights) // row.decimation) - 1
        threads, outputs = -(-n2 // width), m2
        if threads > MOST_THREADS[width]:
            threads = PART_THREADS if PART_THREADS * width >= 2 * (reach + 1) * d2 else MOST_THREADS[width]
            unaligned = 0 if row.first % width == 0 else width - 1
            outputs = (threads * width - unaligned) // d2 - reach
            outputs -= outputs % width if outputs > width else 0  # parts begin as the row does
        threads = -(-threads // 32) * 32
        parts = -(-m2 // outputs)
        line_cells = m2 if parts == 1 else outputs + reach
        paired = -(-d2 // 2) * 2
        shared = values.dtype.itemsize * (weights[0].size + (reach + 1) * paired + 2 * line_cells * (paired + 1))
        rows, segments = self._segments(planes * parts * threads, m1, cells)
        sizes = [np.int64(n) for n in (n1, n2, m1, m2, columns.first % n1, row.first % n2)]
        shape = [np.int32(n) for n in (columns.decimation, d2, reach + 1, outputs, rows, power)]
        shape.append(values.dtype.type(centre))
        instance = f"contract_taps<{c_name(values.dtype)}, {cells}, {width}>"
        grid = (planes, segments, parts)
        self.runtime.launch(FILE, instance, grid, (threads,), (values, out, *weights, *sizes, *shape), shared)
        return out

    def _expand(self, values: Any, columns: Any, row: Any) -> Any:
        """Along the two fast axes of C-ordered values."""
        planes, m1, m2 = values.shape
        n1, n2 = m1 * columns.decimation, m2 * row.decimation
        out = self.empty((planes, n1, n2), values.dtype)
        if out.size == 0:
            return out
        width, cells, weights = self._weights(columns, row, n2, values.dtype)
        d2, n_cells = row.decimation, -(-len(row.weights) // row.decimation)
        threads = -(-n2 // width)
        if threads > MOST_THREADS[width]:
            threads = PART_THREADS
        threads = -(-threads // 32) * 32
        parts = -(-n2 // (threads * width))
        line = threads * width // d2 + 1 + n_cells
        shared = values.dtype.itemsize * (weights[0].size + weights[1].size + 2 * line)
        rows, segments = self._segments(planes * parts * threads, m1, cells)
        sizes = [np.int64(n) for n in (n1, n2, m1, m2, columns.first % n1, row.first % n2)]
        shape = [np.int32(n) for n in (columns.decimation, d2, n_cells, rows)]
        instance = f"expand_taps<{c_name(values.dtype)}, {cells}, {width}>"
        grid = (planes, segments, parts)
        self.runtime.launch(FILE, instance, grid, (threads,), (values, out, *weights, *sizes, *shape), shared)
        return out

    def _weights(self, columns: Any, row: Any, n2: int, dtype: Any) -> tuple[int, int, tuple[Any, Any]]:
        """Columns a thread owns, cells of a window that has an instance, and both tables as the kernels take them."""
        vector = VECTORS[np.dtype(dtype).name]
        width = vector if n2 % vector == 0 else 1
        needed = -(-len(columns.weights) // columns.decimation)
        cells = next(w for w in WINDOWS[width] if w >= needed)
        by_phase = np.zeros((columns.decimation, -(-cells // vector) * vector))
        by_phase[:, :cells] = _padded(columns.weights, cells * columns.decimation).reshape(cells, -1).T
        along_row = _padded(row.weights, -(-len(row.weights) // row.decimation) * row.decimation)
        return width, cells, (self.table(by_phase, dtype), self.table(along_row, dtype))

    def _segments(self, threads: int, m1: int, cells: int) -> tuple[int, int]:
        """Coarse rows of a block, and blocks that share a column: few enough that windows overlap little."""
        wanted = round(THREADS_EACH * self.runtime.n_multiprocessors / threads)
        rows = -(-m1 // max(1, min(wanted, m1 // cells)))
        return rows, -(-m1 // rows)


def _is_single(taps: Any) -> bool:
    """True if an axis stays as it is."""
    return bool(taps.decimation == 1 and taps.first == 0 and len(taps.weights) == 1 and taps.weights[0] == 1.0)


def _padded(weights: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Zeros after the weights."""
    return np.concatenate([weights, np.zeros(n - len(weights))])
