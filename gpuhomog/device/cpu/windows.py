"""Weighted sums along an axis: matrix products, and running sums over windows.

contract     1 read, n_out/n_in writes, 2 n_out flops a point, by BLAS
window_sum   1 read, whatever the width

Both take arrays in either memory order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered


class Windows:
    """Linear maps along one axis; see device.Device for what each method promises."""

    sums_in_passes: ClassVar[float] = float("inf")
    """Matrix products by BLAS are no slower, and share their work between averages and derivatives."""

    def contract(self, values: NDArray[Any], matrix: NDArray[np.float64], axis: int) -> NDArray[Any]:
        """One matrix product along the axis; the matrix takes the precision of the values."""
        if is_fortran_ordered(values):
            return self.contract(values.T, matrix, 2 - axis).T
        n_out = matrix.shape[0]
        weights = np.ascontiguousarray(matrix, dtype=values.dtype)
        n0, n1, n2 = values.shape
        values = np.ascontiguousarray(values)
        if axis == 0:
            return (weights @ values.reshape(n0, n1 * n2)).reshape(n_out, n1, n2)
        if axis == 1:
            return np.matmul(weights, values)
        return (values.reshape(n0 * n1, n2) @ weights.T).reshape(n0, n1, n_out)

    def contract_in_order(self, values: NDArray[Any], matrix: NDArray[np.float64], axis: int) -> NDArray[Any]:
        """Sample by sample in float64: no library that orders sums by shape or by threads."""
        return contracted_in_order(np, values, matrix, axis)

    def window_sum(self, values: NDArray[Any], axis: int, window: Any, n_out: int) -> NDArray[Any]:
        """Partial sums of each stretch of `step` samples, by weight class, finished on the coarse line.

        Every output covers whole stretches, where all weights are one, and a few stretches with weights of
        their own, the same for all outputs: stretch s then gives K numbers whatever the width of the window.
        """
        if is_fortran_ordered(values):
            return self.window_sum(values.T, 2 - axis, window, n_out).T
        step = window.step
        weights = np.concatenate([window.head, np.ones(window.inside), window.tail])
        lead = window.start % step  # output 0 starts `lead` samples into its first stretch
        stretches = -(-(lead + len(weights)) // step)
        laid = np.zeros(stretches * step)
        laid[lead : lead + len(weights)] = weights
        laid = laid.reshape(stretches, step)
        whole = (laid == 1.0).all(axis=1)
        classes = np.vstack([np.ones(step), laid[~whole]])
        values = np.ascontiguousarray(values)
        outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
        table = classes.astype(values.dtype)
        if inner == 1:
            sums = np.moveaxis((values.reshape(-1, step) @ table.T).reshape(outer, n_out, len(table), 1), 2, 0)
        else:
            sums = np.moveaxis(np.matmul(table, values.reshape(outer, n_out, step, inner)), 2, 0)
        partial = sums.reshape(len(table), *values.shape[:axis], n_out, *values.shape[axis + 1 :])
        first = (window.start - lead) // step
        out = np.zeros(partial.shape[1:], dtype=np.float64)
        runs = np.flatnonzero(whole)
        if runs.size:
            out += _running_sum(partial[0], axis, first + int(runs[0]), runs.size)
        for number, stretch in enumerate(np.flatnonzero(~whole)):
            out += np.roll(partial[1 + number], -(first + int(stretch)), axis=axis)
        return (out * window.scale).astype(values.dtype)

    def box_sums(
        self, values: NDArray[Any], windows: Sequence[Sequence[Any]], n_powers: int = 1, centre: float = 0.0
    ) -> NDArray[Any]:
        """Axis after axis, the most reducing first."""
        if is_fortran_ordered(values):
            turned = self.box_sums(values.T, [triple[::-1] for triple in windows], n_powers, centre)
            return turned.transpose(0, 1, 4, 3, 2)
        steps = [1 if window is None else window.step for window in windows[0]]
        n_out = [n // step for n, step in zip(values.shape, steps, strict=True)]
        deviation = values - values.dtype.type(centre)
        out = np.empty((len(windows), n_powers, *n_out), values.dtype)
        power = deviation
        for p in range(n_powers):
            for w, triple in enumerate(windows):
                sums = power
                for axis in sorted(range(3), key=lambda axis: -steps[axis]):
                    if triple[axis] is not None:
                        sums = self.window_sum(sums, axis, triple[axis], n_out[axis])
                out[w, p] = sums
            power = power * deviation
        return out


def contracted_in_order(xp: Any, values: Any, matrix: NDArray[np.float64], axis: int) -> Any:
    """The sum over samples one after another, zeros of the matrix left out; xp is where the values live."""
    lines = xp.moveaxis(values, axis, 0)
    out = xp.zeros((len(matrix), *lines.shape[1:]))
    for sample in range(matrix.shape[1]):
        reached = np.flatnonzero(matrix[:, sample])
        if not reached.size:
            continue
        low, high = int(reached[0]), int(reached[-1]) + 1
        rows = slice(low, high) if high - low == reached.size else xp.asarray(reached)
        weights = xp.asarray(matrix[reached, sample][:, None, None])
        out[rows] += weights * lines[sample]
    order = "F" if is_fortran_ordered(values) else "C"
    return xp.asarray(xp.moveaxis(out, 0, axis), dtype=values.dtype, order=order)


def _running_sum(values: NDArray[Any], axis: int, first: int, count: int) -> NDArray[np.float64]:
    """Σ of `count` neighbours from j + first on, periodic along an axis, for every j; float64."""
    n = values.shape[axis]
    laps, rest = divmod(count, n)
    total = values.sum(axis=axis, keepdims=True, dtype=np.float64) * laps
    if rest == 0:
        return np.broadcast_to(total, values.shape).copy()
    cumulative = np.cumsum(np.concatenate([values, values], axis=axis), axis=axis, dtype=np.float64)
    upper = np.take(cumulative, range(rest - 1, rest - 1 + n), axis=axis)
    lower = np.insert(np.take(cumulative, range(n - 1), axis=axis), 0, 0.0, axis=axis)
    return np.roll(upper - lower + total, -first, axis=axis)
