"""Lines: what an average does along one axis, as a matrix from grid samples to output points.

    Line            samples 0 … n-1 of an axis, the period P they live on, the output points p_j (in samples)
    band-limited    W[j, i] = (1/P) Σ_k mu^(-k) e^{2πi m_k (p_j - i)/P}        exact for a band-limited field
    cell            W[j, i] = ∫_{cell i - p_j} mu(u) du                        exact for cell averages
    sums            1/w inside the window, an end stencil of 2q + 1 weights at each edge

The end stencil makes a running sum exact for polynomials of degree 2q: with an edge at i0 + t, |t| <= 1/2,
the samples below i0 - q count fully and sample i0 + s counts c_s, where for r = 0 … 2q

    Σ_s c_s s^r = t^{r+1}/(r + 1) - B_{r+1}(-q)/(r + 1)        (B: Bernoulli polynomials; Euler-Maclaurin)

On a periodic axis P = n. On an open axis the samples are continued by zeros for the kernel's reach on both
sides, so nothing wraps and nothing is renormalized by position.

In   kernels, positions in Å.   Out  float64 matrices (n_out, n), and what they are: small, on the host.

>>> line = Line(n=8, step=0.5, period=8, offset=0, points=np.arange(8.0))
>>> cell_weights(line, TopHat(1.0 / 3**0.5))[0]
array([0.5 , 0.25, 0.  , 0.  , 0.  , 0.  , 0.  , 0.25])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from math import ceil, comb, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import AveragingKernel, TopHat

Array = NDArray[np.float64]

END_STENCIL = 4
"""q of the default end stencil: 2q + 1 = 9 weights, error 8e-9 for power below a quarter of Nyquist."""


@dataclass(frozen=True, eq=False)
class Line:
    """One axis of an average.

    n       samples
    step    distance of neighbouring samples along the axis [Å]
    period  number of samples P of the periodic line they live on (n, or n + 2 offset on an open axis)
    offset  zeros before the first sample on that line
    points  (n_out,) output points, in samples from the first sample
    """

    n: int
    step: float
    period: int
    offset: int
    points: Array

    @property
    def is_open(self) -> bool:
        """True if the line is continued by zeros."""
        return self.period != self.n

    @cached_property
    def stride(self) -> int | None:
        """Whole number of samples between output points that all fall on samples, or None."""
        gaps = np.diff(self.points)
        first = self.points[0]
        if first != floor(first):
            return None
        if not gaps.size:
            return 1
        return int(gaps[0]) if gaps[0] == floor(gaps[0]) and (gaps == gaps[0]).all() else None

    def mode_wavevectors(self) -> Array:
        """Wavevectors of the modes 0 … P//2 along the axis [1/Å]."""
        return np.asarray(2 * np.pi * np.arange(self.period // 2 + 1) / (self.period * self.step))


def spectral_weights(line: Line, transform: Callable[[Array], NDArray[Any]]) -> Array:
    """(n_out, n) matrix that multiplies each mode k by transform(-k) and evaluates at the output points.

    Output points on samples share one row of weights, shifted: one short transform makes it; else one each.
    """
    if line.stride is not None:
        response = np.fft.irfft(np.conj(np.asarray(transform(line.mode_wavevectors()))), line.period)
        between = line.points.astype(np.int64)[:, None] - np.arange(line.n)
        return np.asarray(response[between % line.period])
    factor = np.asarray(transform(line.mode_wavevectors()))
    if line.period % 2 == 0:
        factor[-1] = factor[-1].real  # stands for both signs of the Nyquist mode
    turns = np.mod(np.outer(line.points, np.arange(line.period // 2 + 1)) / line.period, 1.0)
    return np.asarray(np.fft.irfft(factor * np.exp(-2j * np.pi * turns), line.period, axis=1)[:, : line.n])


def _wrapped(line: Line, edge_mass: Callable[[Array], Array], reach: float) -> Array:
    """(n_out, n) differences of a function of (cell edge - output point) [Å], summed over periodic images."""
    images = 0 if line.is_open else ceil(reach / (line.n * line.step)) + 1
    edges = np.arange(line.n + 1) - 0.5
    weights = np.zeros((len(line.points), line.n))
    for image in range(-images, images + 1):
        mass = edge_mass((edges + image * line.n - line.points[:, None]) * line.step)
        weights += np.diff(mass, axis=1)
    return weights


def cell_weights(line: Line, kernel: AveragingKernel) -> Array:
    """(n_out, n) mass of the kernel, centred at each output point, in each sample's cell; eq. 18."""
    return _wrapped(line, kernel.cumulative, kernel.reach(1e-17))


def cell_derivative_weights(line: Line, kernel: AveragingKernel) -> Array:
    """(n_out, n) derivative of cell_weights with respect to the output point [1/Å]."""
    return _wrapped(line, lambda u: -kernel.density(u), kernel.reach(1e-17))


@cache
def _bernoulli(order: int) -> tuple[Fraction, ...]:
    """Bernoulli numbers B_0 … B_order (B_1 = -1/2)."""
    numbers = [Fraction(1)]
    for m in range(1, order + 1):
        numbers.append(-sum((comb(m + 1, k) * numbers[k] for k in range(m)), Fraction(0)) / (m + 1))
    return tuple(numbers)


def _bernoulli_polynomial(order: int, x: Fraction) -> Fraction:
    return sum((comb(order, k) * b * x ** (order - k) for k, b in enumerate(_bernoulli(order))), Fraction(0))


@cache
def _lagrange_coefficients(q: int) -> tuple[tuple[Fraction, ...], ...]:
    """Row s: coefficients of the polynomial that is 1 at node s - q and 0 at the other nodes of -q … q."""
    rows = []
    for node in range(-q, q + 1):
        polynomial = [Fraction(1)]
        for other in range(-q, q + 1):
            if other != node:
                shifted = [Fraction(0), *polynomial]
                scaled = [Fraction(-other) * c for c in polynomial] + [Fraction(0)]
                polynomial = [(a + b) / (node - other) for a, b in zip(shifted, scaled, strict=True)]
        rows.append(tuple(polynomial))
    return tuple(rows)


@cache
def end_stencil(t: float, q: int) -> tuple[float, ...]:
    """The 2q + 1 weights about an edge at distance t from its nearest sample, exact for degree 2q.

    >>> end_stencil(0.25, 0)
    (0.75,)
    """
    exact = Fraction(t)
    right = [(exact ** (r + 1) - _bernoulli_polynomial(r + 1, Fraction(-q))) / (r + 1) for r in range(2 * q + 1)]
    return tuple(float(sum(c * b for c, b in zip(row, right, strict=True))) for row in _lagrange_coefficients(q))


@dataclass(frozen=True)
class Window:
    """A running-sum window: output j adds up head, then `inside` samples of weight one, then tail.

    start   sample of the first head weight for output 0
    step    samples between outputs
    head, tail  weights at the ends
    inside  samples between them
    scale   factor of the whole sum
    """

    start: int
    step: int
    head: tuple[float, ...]
    inside: int
    tail: tuple[float, ...]
    scale: float


def window_of(width: float, point: float, step: int, q: int) -> Window | None:
    """Window of a box `width` samples wide centred at `point`; None where the two end stencils would overlap."""
    low, high = point - width / 2, point + width / 2
    first, last = floor(low + 0.5), floor(high + 0.5)
    inside = last - q - (first + q + 1)
    if inside < 0:
        return None
    head = tuple(1.0 - c for c in end_stencil(low - first, q))
    return Window(first - q, step, head, inside, end_stencil(high - last, q), 1.0 / width)


def sum_weights(line: Line, kernel: TopHat, q: int) -> Array:
    """(n_out, n) weights of the running sum with end stencils of 2q + 1 samples, q = 0 … 8."""
    width = kernel.full_width / line.step
    weights = np.zeros((len(line.points), line.period))
    for row, point in zip(weights, line.points, strict=True):
        for edge, sign in ((point - width / 2, -1.0), (point + width / 2, 1.0)):
            nearest = floor(edge + 0.5)
            stencil = np.array(end_stencil(edge - nearest, q)) * sign
            at = np.arange(nearest - q, nearest + q + 1) + line.offset
            np.add.at(row, at % line.period, stencil)
        low, high = floor(point - width / 2 + 0.5) - q, floor(point + width / 2 + 0.5) - q
        np.add.at(row, (np.arange(low, high) + line.offset) % line.period, 1.0)
    return np.asarray(weights[:, line.offset : line.offset + line.n] / width)


def interpolation_weights(points: Array, count: int) -> Array:
    """(n_out, count) trigonometric interpolation from `count` equal steps of one period to points in [0, 1).

    The low-pass projection onto 2m + 1 modes is its transpose times a factor: exact for band-limited fields.
    """
    x = points[:, None] - np.arange(count) / count
    x = x - np.round(x)
    near = np.abs(x) < 1e-9 / count
    safe = np.where(near, 0.25, x)
    ratio = np.sin(np.pi * count * safe) / (np.sin(np.pi * safe) if count % 2 else np.tan(np.pi * safe))
    return np.asarray(np.where(near, 1.0, ratio / count))
