"""A function of |k| as polynomials on equal intervals, which kernels/multiplier.cuh evaluates.

    f(k) ≈ Σ_p c[i, p] u^p,   i = floor(k intervals/reach),   u = k intervals/reach - i - 1/2

The intervals are halved until the polynomials agree with the function between their nodes: a ball's transform
oscillates, a Gaussian's does not. A function that no number of intervals describes gives None.

>>> coefficients, per_unit = tabulated((np.cos,), 3.0, 10)
>>> value = np.polynomial.polynomial.polyval(0.3 * per_unit % 1 - 0.5, coefficients[int(0.3 * per_unit)])
>>> bool(abs(value - np.cos(0.3)) < 5e-15)
True
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, polynomial
from numpy.typing import NDArray

Array = NDArray[np.float64]

COEFFICIENTS = {"float32": 8, "float64": 10}
"""Of one interval, as the kernels read them."""
AGREEMENT = {8: 1e-8, 10: 1e-15}
"""Between polynomials and function, relative to the function's maximum."""
ROUNDING = 3e-14
"""Noise of a function's own arithmetic that is accepted where more intervals no longer help."""
MOST_INTERVALS = 1 << 15


@dataclass(frozen=True)
class _Functions:
    """Functions, and what they are known by."""

    known_as: Hashable
    transforms: tuple[Callable[[Array], NDArray[Any]], ...] = field(compare=False)


def tabulated(
    transforms: tuple[Callable[[Array], NDArray[Any]], ...],
    reach: float,
    n_coefficients: int,
    known_as: Hashable | None = None,
) -> tuple[Array, float] | None:
    """(intervals, n_coefficients) of the product of functions on [0, reach], and intervals per unit; None if none.

    Kept for later calls with what is equal to known_as; if None, with the functions themselves.
    """
    return _tabulated(_Functions(transforms if known_as is None else known_as, transforms), reach, n_coefficients)


@lru_cache(maxsize=16)
def _tabulated(functions: _Functions, reach: float, n_coefficients: int) -> tuple[Array, float] | None:
    transforms = functions.transforms
    before: tuple[float, Array, float] | None = None
    intervals = 1
    while intervals <= MOST_INTERVALS:
        found = _on_intervals(transforms, reach, intervals, n_coefficients)
        if found is None:
            return None
        error = found[0]
        if error <= AGREEMENT[n_coefficients]:
            return found[1:]
        if before is not None and error > before[0] / 2 and before[0] < ROUNDING:
            return before[1:]
        before = found
        intervals *= 2
    return None


def _on_intervals(
    transforms: tuple[Callable[[Array], NDArray[Any]], ...], reach: float, intervals: int, n: int
) -> tuple[float, Array, float] | None:
    """Largest error over the maximum, coefficients, intervals per unit."""
    nodes, to_chebyshev, to_powers, checked = _nodes(n)
    per_unit = intervals / reach
    centres = (np.arange(intervals) + 0.5)[:, None]
    values = _product(transforms, (centres + nodes) / per_unit)
    exact = _product(transforms, (centres + checked) / per_unit)
    if values is None or exact is None:
        return None
    coefficients = (values @ to_chebyshev) @ to_powers  # one product of both would lose three digits
    found = polynomial.polyval(checked, coefficients.T)
    largest = max(float(np.abs(exact).max()), float(np.finfo(np.float64).tiny))
    return float(np.abs(found - exact).max()) / largest, coefficients, per_unit


def _product(transforms: tuple[Callable[[Array], NDArray[Any]], ...], k: Array) -> Array | None:
    product: Any = 1.0
    for transform in transforms:
        product = product * transform(k)
    product = np.asarray(product)
    if product.dtype.kind == "c" or not np.isfinite(product).all():
        return None
    return np.broadcast_to(product, k.shape).astype(np.float64)


@cache
def _nodes(n: int) -> tuple[Array, Array, Array, Array]:
    """Chebyshev nodes in (-1/2, 1/2), matrices from values there to Chebyshev's and to powers, points between."""
    nodes = chebyshev.chebpts1(n)
    to_chebyshev: Array = np.linalg.inv(chebyshev.chebvander(nodes, n - 1).T).astype(np.float64)
    to_powers = np.zeros((n, n))
    for degree in range(n):
        to_powers[degree, : degree + 1] = chebyshev.cheb2poly(np.eye(n)[degree, : degree + 1])
    return nodes / 2, to_chebyshev, to_powers * 2.0 ** np.arange(n), np.linspace(-0.5, 0.5, 2 * n + 1)
