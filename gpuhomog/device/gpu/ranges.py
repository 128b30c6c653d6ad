"""Ranges: smallest, largest and mean value in windows of any shape: window_ranges.cu.

window_ranges   1 read of the lines that a few rows of outputs share, from the cache where they meet again; 3 writes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from .memory import Memory, c_name
from .runtime import MOST_DECLARED

FILE = "window_ranges.cu"
BLOCK = 128
TILE = 4
"""window_ranges.cu: rows of outputs of a block."""


class Ranges(Memory):
    """Windows of any shape; see device.Device for what each method promises."""

    def window_ranges(
        self,
        values: Any,
        rows: NDArray[np.int64],
        ends: NDArray[np.float64],
        is_open: Sequence[bool],
        every: int = 1,
    ) -> tuple[Any, Any, Any]:
        """A block takes a few rows of outputs, whose windows share most lines of values."""
        values = self.contiguous(values)
        dtype, shape = values.dtype, values.shape
        n_out = [-(-n // every) for n in shape]
        low, high, mean = (self.empty(n_out, dtype) for _ in range(3))
        if values.size == 0:
            return low, high, mean
        first = rows[:, :3].min(axis=0)
        n_a, n_b = (rows[:, :2].max(axis=0) - first[:2] + 1).tolist()
        table = np.zeros((n_a, n_b, 2), dtype=np.int32)
        table[rows[:, 0] - first[0], rows[:, 1] - first[1]] = np.stack([rows[:, 2] - first[2], rows[:, 3]], axis=1)
        reach = int((table[..., 0] + table[..., 1]).max())
        threads = min(BLOCK, 32 * -(-n_out[2] // 32))
        length = (threads - 1) * every + reach
        while length * dtype.itemsize + MOST_DECLARED > self.runtime.shared_bytes and threads > 32:
            threads -= 32
            length = (threads - 1) * every + reach
        if length * dtype.itemsize + MOST_DECLARED > self.runtime.shared_bytes:
            room = self.runtime.shared_bytes - MOST_DECLARED
            raise DeviceError(
                f"A window of {reach} points in a row at every {every} points needs {length * dtype.itemsize} bytes of "
                f'shared memory, and a block of {self.runtime.name} has {room}: take a smaller one, or device="cpu".'
            )
        n_points = int(rows[:, 3].sum()) + len(ends)
        sizes = [np.int32(n) for n in (*shape, *n_out[1:])]
        window = [np.int32(n) for n in (*first.tolist(), n_a, n_b, length, len(ends), every)]
        flags = np.int32(sum(1 << axis for axis in range(3) if is_open[axis]))
        places = self.table(ends[:, :6] if len(ends) else np.zeros((1, 6)), np.int32)
        shares = self.table(ends[:, 6] if len(ends) else np.zeros(1), dtype)
        arguments = (values, low, high, mean, self.table(table, np.int32), places, shares, *sizes, *window, flags)
        grid = (n_out[0] * -(-n_out[1] // TILE), -(-n_out[2] // threads))
        instance = f"window_ranges<{c_name(dtype)}>"
        self.runtime.launch(
            FILE, instance, grid, (threads,), (*arguments, np.float64(1 / n_points)), length * dtype.itemsize
        )
        return low, high, mean
