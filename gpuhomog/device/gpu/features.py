"""Sums over smooth windows along lines and faces and about points: smooth_sums.cu.

smooth_sums   1 read of the points that each window reaches
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered
from .memory import Memory, c_name

FILE = "smooth_sums.cu"
BLOCK = 128
BLOCKS_EACH = 4
"""Blocks that share a window, for each multiprocessor."""


class Features(Memory):
    """Windows of lines, faces and points; see device.Device for what each method promises."""

    def smooth_sums(
        self,
        values: Any,
        windows: NDArray[np.float64],
        reached: NDArray[np.int64],
        origin: NDArray[np.float64],
        steps: NDArray[np.float64],
        shape: tuple[int, int, int],
        first: Sequence[int] = (0, 0, 0),
    ) -> NDArray[np.float64]:
        """Warps take lines of each window; the blocks' sums are added on the host."""
        if is_fortran_ordered(values):
            turned = shape[2], shape[1], shape[0]
            return self.smooth_sums(values.T, windows, reached[:, ::-1], origin, steps[::-1], turned, first[::-1])
        if values.size == 0 or not len(windows):
            return np.zeros((len(windows), 4))
        values = self.contiguous(values)
        lines = int((reached[:, :2, 1] - reached[:, :2, 0] + 1).prod(axis=1).max())
        warps = BLOCK // 32
        blocks = max(1, min(-(-lines // warps), BLOCKS_EACH * self.runtime.n_multiprocessors))
        partial = self.empty((len(windows), blocks, 4), np.float64)
        lattice = np.concatenate([origin, steps.ravel()])
        places = [np.int32(n) for n in (*values.shape, *shape, *first)]
        tables = self.table(windows, np.float64), self.table(reached, np.int32), self.table(lattice, np.float64)
        grid = (blocks, len(windows))
        self.runtime.launch(
            FILE, f"smooth_sums<{c_name(values.dtype)}>", grid, (BLOCK,), (values, partial, *tables, *places)
        )
        return self.to_host(partial).sum(axis=1)
