"""Taps: short windows that take a smooth kernel to coarse points along one axis and back, exactly to rounding.

    coarse  y[j] = Σ_t w[t] v[(j d + first + t) mod n]         n = m d samples, m coarse points
    back    the transpose, x[i] = Σ_j w[i - j d - first] y[j]
    mode q, |q| <= m/2, is thereby multiplied by c(q)²/d, c(k) = Σ_t w[t] e^{2πi k (first + t)/n}, a real number

The coarse modes are multiplied by d mu^(-q)/c(q)² in between, so that these modes come out exactly. What is left
are images: mode q + g m reaches mode q, and back, by c(q + g m)/c(q). With e(q) the largest |mu^| of a mode that
has q along this axis, and s(q) = Σ_g≠0 (c(q + g m)/c(q))², the error of the whole map has the norm

    sqrt( Σ_axes max_q e² ((1 + s)² - 1) Π_other (1 + max s)² )  +  max_axes e(m/2)

relative to the field: an upper bound of the rms error over the rms of the field, whatever the field.

The window is Kaiser's, I0(β sqrt(1 - (t/L)²)), |t| < L = W d/2, its β chosen for the smallest error, its sums over
every d-th tap made equal so that a constant has no images. For the same error it takes about half the taps of a
Gaussian: W = 10 cells of d = σ/2 samples leave 5e-9 of a Gaussian of standard deviation σ, W = 8 of σ/4 4e-11.

In   n, largest |mu^| by mode, tolerance.   Out  AxisTaps, or None where nothing can be saved.

>>> modes = 2 * np.pi * np.arange(257) / 256
>>> taps = taps_of(256, np.exp(-((8 * modes) ** 2) / 2), 5e-9, "float32")
>>> taps.decimation, taps.n_cells
(4, 10)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CELLS = (8, 10, 12, 14, 16)
"""Cells of a window, W; below 8 no window is exact to rounding."""
LARGEST_DECIMATION = 32
"""Beyond, coarse data cost nothing any more."""
PASS_IN_TAPS = {"float32": 30.0, "float64": 40.0}
"""Taps of a point that take as long as a read or write of it; only the choice among good windows depends on it."""


@dataclass(frozen=True, eq=False)
class AxisTaps:
    """Windows along one axis of n samples.

    weights     (taps,) in the precision they are used in
    first       sample of the first tap for coarse point 0
    decimation  d, samples between coarse points
    transform   (m//2 + 1,) c(q) of the coarse modes
    error       max_q e sqrt((1 + s)² - 1)
    images      max_q (1 + s)²
    left_out    e(m/2): the largest |mu^| of a mode that has no place on the coarse grid
    """

    weights: Array
    first: int
    decimation: int
    transform: Array
    error: float
    images: float
    left_out: float

    @property
    def n_cells(self) -> int:
        """W, decimations that a window reaches over."""
        return -(-len(self.weights) // self.decimation)

    def undo(self, power: int) -> Callable[[NDArray[Any]], Array]:
        """The function of the modes 1/c(q)^power times d^(power - 1)."""
        table = self.decimation ** (power - 1) / self.transform**power
        return lambda modes: np.asarray(table[np.abs(modes).astype(np.int64)])


def untouched(n: int) -> AxisTaps:
    """An axis whose coarse points are its samples."""
    return AxisTaps(np.ones(1), 0, 1, np.ones(n // 2 + 1), 0.0, 1.0, 0.0)


def error_bound(taps: tuple[AxisTaps, ...]) -> float:
    """Bound of the rms error over the rms of the field."""
    images = np.prod([along.images for along in taps])
    square = sum(along.error**2 * images / along.images for along in taps)
    return float(np.sqrt(square) + max(along.left_out for along in taps))


def taps_of(n: int, largest: Array, tolerance: float, dtype: str) -> AxisTaps:
    """The cheapest taps whose error on this axis stays below the tolerance.

    largest    (>= n//2 + 1,) largest |mu^| of the modes 0, 1, … along the axis
    """
    return _taps_of(n, np.ascontiguousarray(largest[: n // 2 + 1]).tobytes(), tolerance, dtype)


@lru_cache(maxsize=64)
def _taps_of(n: int, largest_bytes: bytes, tolerance: float, dtype: str) -> AxisTaps:
    largest = np.frombuffer(largest_bytes)
    best, least = untouched(n), np.inf
    for d in range(2, min(n // 2, LARGEST_DECIMATION) + 1):
        if n % d or largest[n // d // 2] > tolerance:
            continue
        for n_cells in CELLS:
            cost = PASS_IN_TAPS[dtype] * 2 / d + n_cells * (1 + 1 / d)
            if n_cells * d > n or cost >= least:
                break
            found = min((_windowed(n, d, n_cells, b, largest, dtype) for b in np.arange(1.6, 2.85, 0.1)), key=_error)
            if found.error <= tolerance:
                best, least = found, cost
                break
    return best


def _error(taps: AxisTaps) -> float:
    return taps.error


def _windowed(n: int, d: int, n_cells: int, sharpness: float, largest: Array, dtype: str) -> AxisTaps:
    """Kaiser's window of β = sharpness · W, and what it does."""
    half = (n_cells * d - 1) // 2
    distance = np.arange(-half, half + 1) / (n_cells * d / 2)
    window = np.i0(sharpness * n_cells * np.sqrt(1 - distance**2))
    laid = np.concatenate([window, np.zeros(n_cells * d - len(window))]).reshape(n_cells, d)
    weights = (laid / (laid.sum(axis=0) * d)).reshape(-1)[: len(window)].astype(dtype).astype(np.float64)
    line = np.zeros(n)
    np.add.at(line, np.arange(-half, half + 1) % n, weights)
    transform = np.fft.fft(line).real
    m = n // d
    modes = np.arange(m // 2 + 1)
    squares = (transform**2).reshape(d, m)[:, modes]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        image = np.nan_to_num(squares[1:].sum(axis=0) / squares[0], nan=np.inf)
        errors = np.nan_to_num(largest[modes] * np.sqrt(image * (2 + image)), nan=np.inf)
    left_out = float(largest[m // 2])
    return AxisTaps(weights, -half, d, transform[modes], float(errors.max()), float((1 + image).max() ** 2), left_out)
