"""Short windows along all three axes: contraction onto coarse points, and its transpose.

contract_taps    1 read; matrix products of a band, 2 (outputs together + cells) flops a point and axis, by BLAS
expand_taps      a read and a sum for each tap of each axis, in float64
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered

IN_CACHE = 1 << 21
"""Bytes of the planes that are worked on together."""
OUTPUTS_TOGETHER = 16
"""Neighbouring outputs of one matrix product: with fewer, products are small; with more, most of the band is zeros."""


class Taps:
    """Windows of few samples; see device.Device for what each method promises."""

    pass_in_columns: ClassVar[dict[str, float]] = {"float32": 7.5, "float64": 7.5}
    """Columns of a matrix product that take as long as one read or write of the field (measured, one core)."""
    tap_in_columns: ClassVar[dict[str, float]] = {"float32": 40.0, "float64": 40.0}
    """Columns of a matrix product that take as long as one tap of every point: a tap is an operation of NumPy here."""
    filter_in_columns: ClassVar[dict[str, float]] = {"float32": 200.0, "float64": 200.0}
    """Columns of a matrix product that take as long as a filter in Fourier space (measured at 256^3 on two cores)."""
    odd_product: ClassVar[tuple[float, float]] = (1.0, 0.0)

    def contract_taps(
        self, values: NDArray[Any], taps: Sequence[Any], power: int = 1, centre: float = 0.0
    ) -> NDArray[Any]:
        """Some planes at a time, axis 1 first and axis 0 last; some neighbouring outputs in one matrix product."""
        if is_fortran_ordered(values):
            return self.contract_taps(values.T, taps[::-1], power, centre).T
        values = np.ascontiguousarray(values)
        (n0, n1, n2), dtype = values.shape, values.dtype
        m1, m2 = n1 // taps[1].decimation, n2 // taps[2].decimation
        out = np.empty((n0, m1, m2), dtype)
        together = min(n0, max(1, IN_CACHE // max(1, n1 * n2 * values.itemsize)))
        scratch = np.empty((together, n1, n2), dtype)
        for start in range(0, n0, together) if out.size else ():
            part = values[start : start + together]
            if (power, centre) != (1, 0.0):
                part = np.subtract(part, dtype.type(centre), out=scratch[: len(part)])
            if power == 2:
                np.multiply(part, part, out=part)
            for axis in (1, 2):
                part = _contracted(part, taps[axis], axis)
            out[start : start + together] = part
        return _contracted(out, taps[0], 0) if out.size else np.empty((n0 // taps[0].decimation, m1, m2), dtype)

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


def _contracted(values: NDArray[Any], along: Any, axis: int) -> NDArray[Any]:
    """Windows along one axis of C-ordered values: bands of the matrix of weights, each times the samples it reaches."""
    n, d, n_taps = values.shape[axis], along.decimation, len(along.weights)
    m = n // d
    if n_taps == d == 1 and along.first % n == 0 and along.weights[0] == 1.0:
        return values
    before, after = values.shape[:axis], values.shape[axis + 1 :]
    inner = int(np.prod(after))
    lines = values.reshape(-1, n, inner) if inner > 1 else values.reshape(-1, n)
    out = np.empty((len(lines), m, inner) if inner > 1 else (len(lines), m), values.dtype)
    together = m if n_taps >= n else min(m, OUTPUTS_TOGETHER)
    band = np.zeros((together, (together - 1) * d + n_taps))
    for j in range(together):
        band[j, j * d : j * d + n_taps] = along.weights
    if band.shape[1] >= n:  # reaches all samples, some of them more than once
        folded = np.zeros((together, n))
        np.add.at(folded.T, np.arange(band.shape[1]) % n, band.T)
        band = folded
    weights = band.astype(values.dtype)
    for first in range(0, m, together):
        count = min(together, m - first)
        reach = n if band.shape[1] == n else (count - 1) * d + n_taps
        start = (first * d + along.first) % n
        rows = weights[:count, :reach]
        if start + reach <= n:
            samples = lines[:, start : start + reach]
        else:
            samples = np.concatenate([lines[:, start:], lines[:, : start + reach - n]], axis=1)
        if inner > 1:
            np.matmul(rows, samples, out=out[:, first : first + count])
        else:
            np.matmul(samples, rows.T, out=out[:, first : first + count])
    return out.reshape(*before, m, *after)
