"""Taps: short windows that take a smooth kernel to coarse points along one axis and back, exactly to rounding.

    coarse  y[j] = Σ_t w[t] v[(j d + first + t) mod n]         n = m d samples, m coarse points
    back    the transpose, x[i] = Σ_j w[i - j d - first] y[j]
    mode q, |q| <= m/2, is thereby multiplied by c(q)²/d, c(k) = Σ_t w[t] e^{2πi k (first + t)/n}, a real number

The coarse modes are multiplied by d mu^(-q)/c(q)² in between, so that these modes come out exactly. What is left
are images: mode q + g m reaches mode q, and back, by c(q + g m)/c(q). With e(q) the largest |mu^| of a mode that
has q along this axis, and u(q) = (1 + Σ_g≠0 (c(q + g m)/c(q))²)² - 1, the error of the whole map has the norm

    max_modes |mu^| sqrt( Π_axes (1 + u) - 1 )  +  max_axes e(m/2)
      <=  sqrt( Σ_axes max e² u + Σ_pairs max e u max e u + Π_axes max e^(2/3) u )  +  max_axes e(m/2)

relative to the field, as |mu^| <= min e: a bound of the rms error over the rms of the field, whatever the field.

The window is Kaiser's, I0(β sqrt(1 - (t/L)²)), |t| < L = W d/2, its β chosen for the smallest error, its sums over
every d-th tap made equal so that a constant has no images. It takes half the taps of a Gaussian: of a Gaussian
kernel of standard deviation σ, W = 10 cells of d = σ/2 samples leave 6e-9, and W = 14 of σ/4 9e-16.

In   n, largest |mu^| by mode, tolerance.   Out  AxisTaps, or None where nothing can be saved.

>>> modes = 2 * np.pi * np.arange(129) / 256
>>> taps = taps_of(256, np.exp(-((8 * modes) ** 2) / 2), 1e-8, "float32")
>>> taps.decimation, taps.n_cells
(4, 10)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CELLS = (8, 10, 12, 14, 16)
"""Cells of a window, W; below 8 no window is exact to rounding."""
SHARPNESS = np.arange(2.0, 2.95, 0.1)
"""β/W of the windows that are tried."""
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
    errors      max_q e² u, max_q e u, max_q e^(2/3) u
    left_out    e(m/2): the largest |mu^| of a mode that has no place on the coarse grid
    """

    weights: Array
    first: int
    decimation: int
    transform: Array
    errors: tuple[float, float, float]
    left_out: float

    @property
    def n_cells(self) -> int:
        """W, decimations that a window reaches over."""
        return -(-len(self.weights) // self.decimation)

    def undo(self, power: int) -> Callable[[NDArray[Any]], Array] | None:
        """The function of the modes 1/c(q)^power times d^(power - 1), None where it is 1."""
        if self.decimation == 1:
            return None
        table = self.decimation ** (power - 1) / self.transform**power
        return lambda modes: np.asarray(table[np.abs(modes).astype(np.int64)])


def untouched(n: int) -> AxisTaps:
    """An axis whose coarse points are its samples."""
    return AxisTaps(np.ones(1), 0, 1, np.ones(n // 2 + 1), (0.0, 0.0, 0.0), 0.0)


def error_bound(taps: tuple[AxisTaps, ...]) -> float:
    """Bound of the rms error over the rms of the field."""
    single, double, triple = zip(*[along.errors for along in taps], strict=True)
    pairs = sum(a * b for a, b in combinations(double, 2))
    return float(np.sqrt(sum(single) + pairs + np.prod(triple)) + max(along.left_out for along in taps))


def taps_of(n: int, largest: Array, tolerance: float, dtype: str) -> AxisTaps:
    """The cheapest taps whose error on this axis, sqrt(max e² u) and e(m/2), stays below the tolerance.

    largest    (>= n//2 + 1,) largest |mu^| of the modes 0, 1, … along the axis
    """
    return _taps_of(n, np.ascontiguousarray(largest[: n // 2 + 1]).tobytes(), tolerance, dtype)


@lru_cache(maxsize=64)
def _taps_of(n: int, largest_bytes: bytes, tolerance: float, dtype: str) -> AxisTaps:
    largest = np.frombuffer(largest_bytes)
    best, least = untouched(n), np.inf
    for d in range(min(n // 2, LARGEST_DECIMATION), 1, -1):
        if n % d or largest[n // d // 2] > tolerance:
            continue
        for n_cells in CELLS:
            cost = PASS_IN_TAPS[dtype] * 2 / d + n_cells * (1 + 1 / d)
            if n_cells * d > n or cost >= least:
                break
            found = min((_windowed(n, d, n_cells, b, largest) for b in SHARPNESS), key=_error)
            if _error(found) <= tolerance:
                best, least = found, cost
                break
    weights = best.weights.astype(dtype).astype(np.float64)
    return replace(best, weights=weights, transform=_transform(weights, n)[: n // best.decimation // 2 + 1])


def _error(taps: AxisTaps) -> float:
    return float(np.sqrt(taps.errors[0]))


def _windowed(n: int, d: int, n_cells: int, sharpness: float, largest: Array) -> AxisTaps:
    """Kaiser's window of β = sharpness · W, and what it does beside rounding."""
    half = n_cells * d // 2
    distance = np.arange(-half, half) / half
    laid = np.i0(sharpness * n_cells * np.sqrt(1 - distance**2)).reshape(n_cells, d)
    laid[0, 0] = 0.0  # stands where the window ends, so that cells begin at multiples of d and the window is even
    weights = (laid / (laid.sum(axis=0) * d)).reshape(-1)
    transform = _transform(weights, n)
    m = n // d
    modes = np.arange(m // 2 + 1)
    squares = np.where(np.abs(transform) < np.finfo(float).eps, 0.0, transform**2).reshape(d, m)[:, modes]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        image = squares[1:].sum(axis=0) / squares[0]
        u, e = image * (2 + image), largest[modes]
        errors = [float(np.nan_to_num(e**power * u, nan=np.inf).max()) for power in (2, 1, 2 / 3)]
    left_out = float(largest[m // 2])
    return AxisTaps(weights, -half, d, transform[modes], (errors[0], errors[1], errors[2]), left_out)


def _transform(weights: Array, n: int) -> Array:
    """(n,) c(k) of weights that are even about the middle one, or one past it."""
    line = np.zeros(n)
    np.add.at(line, (np.arange(len(weights)) - len(weights) // 2) % n, weights)
    return np.asarray(np.fft.fft(line).real)
