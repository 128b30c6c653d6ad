"""Weighted sums along an axis: matrix products by cuBLAS.

contract     1 read, n_out/n_in writes, 2 n_out flops a point

The matrices come from the host and are uploaded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cpu.memory import is_fortran_ordered
from .memory import Memory


class Windows(Memory):
    """Linear maps along one axis; see device.Device for what each method promises."""

    def contract(self, values: Any, matrix: NDArray[np.float64], axis: int) -> Any:
        """One matrix product along the axis; the matrix takes the precision of the values."""
        if is_fortran_ordered(values):
            return self.contract(values.T, matrix, 2 - axis).T
        xp = self.runtime.xp
        n_out = matrix.shape[0]
        weights = self.table(matrix, values.dtype)
        values = self.contiguous(values)
        n0, n1, n2 = values.shape
        if values.size == 0:
            shape = [n0, n1, n2]
            shape[axis] = n_out
            return xp.zeros(shape, values.dtype)
        if axis == 0:
            return (weights @ values.reshape(n0, n1 * n2)).reshape(n_out, n1, n2)
        if axis == 1:
            return xp.matmul(weights, values)
        return (values.reshape(n0 * n1, n2) @ weights.T).reshape(n0, n1, n_out)
