"""Short windows along all three axes: contraction onto coarse points, and its transpose.

contract_taps    a read and a sum for each tap of each axis, in float64
expand_taps      the same
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered


class Taps:
    """Windows of few samples; see device.Device for what each method promises."""

    pass_in_columns: ClassVar[dict[str, float]] = {"float32": 7.5, "float64": 7.5}
    """Columns of a matrix product that take as long as one read or write of the field (measured, one core)."""
    tap_in_columns: ClassVar[dict[str, float]] = {"float32": 40.0, "float64": 40.0}
    """Columns of a matrix product that take as long as one tap of every point: a tap is an operation of NumPy here."""
    filter_in_columns: ClassVar[dict[str, float]] = {"float32": 500.0, "float64": 500.0}
    """Columns of a matrix product that take as long as a filter in Fourier space (measured at 256^3 on two cores)."""

    def contract_taps(self, values: NDArray[Any], taps: Sequence[Any]) -> NDArray[Any]:
        """Tap by tap, the slowest axis first, in float64."""
        if is_fortran_ordered(values):
            return self.contract_taps(values.T, taps[::-1]).T
        out: NDArray[Any] = values
        for axis, along in enumerate(taps):
            out = np.moveaxis(out, axis, 0)
            starts = np.arange(len(out) // along.decimation) * along.decimation + along.first
            total = np.zeros((len(starts), *out.shape[1:]))
            for t, weight in enumerate(along.weights):
                total += weight * out[(starts + t) % len(out)]
            out = np.moveaxis(total, 0, axis)
        return np.ascontiguousarray(out, dtype=values.dtype)

    def expand_taps(self, values: NDArray[Any], taps: Sequence[Any]) -> NDArray[Any]:
        """Tap by tap, the slowest axis first, in float64."""
        if is_fortran_ordered(values):
            return self.expand_taps(values.T, taps[::-1]).T
        out: NDArray[Any] = values
        for axis, along in enumerate(taps):
            out = np.moveaxis(out, axis, 0)
            n = len(out) * along.decimation
            starts = np.arange(len(out)) * along.decimation + along.first
            total = np.zeros((n, *out.shape[1:]))
            for t, weight in enumerate(along.weights):
                total[(starts + t) % n] += weight * out
            out = np.moveaxis(total, 0, axis)
        return np.ascontiguousarray(out, dtype=values.dtype)
