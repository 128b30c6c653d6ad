"""Coulomb kernel of a cylinder: what a plane of charge within the radius R adds to the potential on its axis.

    Khat(g, d, R) = 1/2 ∫_0^R J0(g u) u/√(u² + d²) du                  eq. 69, mode g of a plane at distance d, ε0 = 1
    2 Khat(0, d, R) = √(d² + R²) - |d|                                 eq. 70
    2 Khat = e^{-gd}/g + Σ_k (2k - 1)!! (R/g)^{k+1} J_{k+1}(gR) (R² + d²)^{-k-1/2}        what lies beyond R, by parts

The series, of twenty terms, is good to 1e-14 where gR > 80, so wide cylinders cost no more. Else the substitution
w = √(u² + d²) removes the singularity; Gauss-Legendre does the rest. What the edge of the disc leaves
falls as R^-1/2 only. The mean over radii R ± `edge`, with the weight (1 + cos πt)/2 of t = (R' - R)/edge, is the same
integral with a soft edge, F(u) = (1 - t - sin(πt)/π)/2 across it, and falls at once where g edge > 2π.

In   lengths in units of one kind; wavevectors in the inverse.
Out  float64 arrays of the host. ε0 = 1: potentials in volts need units.FOUR_PI_KAPPA.

>>> round(float(khat(0.3, 0.0, 11.3)), 12), round(2 * float(khat(0.0, 1.5, 2.0)), 12)
(2.106992847841, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import ceil, pi

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

WIDE, WIDE_TERMS = 80.0, 20
"""Beyond this g R the edge of the disc is a series of so many terms."""
PANEL_ORDER = 24
"""Points of a panel in which the integrand turns at most twice, and of a panel of wavevectors; 1e-15."""


def khat(g: ArrayLike, distance: ArrayLike, radius: float) -> Array:
    """Khat(g, d, R) with ε0 = 1, broadcast over g and d, to 1e-14 of R/2; R = inf gives e^{-gd}/(2g).

    Struve functions at d = 0; otherwise panels uniform in u, Gauss-Legendre in w = √(u² + d²).
    """
    g, d = np.broadcast_arrays(np.asarray(g, dtype=float), np.abs(np.asarray(distance, dtype=float)))
    if np.isinf(radius):
        with np.errstate(divide="ignore"):
            return np.where(g > 0, np.exp(-g * d) / (2 * g), np.inf)
    special = scipy.special
    z = g * radius
    in_plane = special.j0(z) + pi / 2 * (special.j1(z) * special.struve(0, z) - special.j0(z) * special.struve(1, z))
    result = np.array(radius / 2 * in_plane)
    off = d > 0
    if off.any():
        result[off] = _khat_off_plane(g[off], d[off], radius)
    return result


def _khat_off_plane(g: Array, d: Array, radius: float) -> Array:
    n_panels = ceil(g.max() * radius / (4 * pi)) + 1
    edges = np.hypot(radius * np.arange(n_panels + 1) / n_panels, d[:, None])
    points, weights = _gauss()
    result = np.zeros(len(g))
    for low, high in zip(edges.T[:-1], edges.T[1:], strict=True):
        half = (high - low)[:, None] / 2
        beyond = (low - d)[:, None] + half * (1 + points)  # w - d
        u = np.sqrt(beyond * (beyond + 2 * d[:, None]))
        result += half[:, 0] / 2 * (scipy.special.j0(g[:, None] * u) @ weights)
    return result


def khat_table(g: Array, distance: Array, radius: float, edge: float = 0.0) -> Array:
    """(len(g), len(d)) values of Khat: as khat, for many g at once; edge: half width of a soft edge.

    One mesh in u for all, graded towards 0 down to the smallest distance, so that Bessel functions are evaluated once
    for all distances; many wavevectors are interpolated, in panels in which Khat turns once; the series where it is
    good.
    """
    g, d = np.asarray(g, dtype=float), np.asarray(distance, dtype=float)
    if g.size == 0 or d.size == 0:
        return np.zeros((g.size, d.size))
    wide = g * radius > WIDE
    if edge == 0.0 and wide.any():
        table = np.empty((g.size, d.size))
        table[wide], table[~wide] = _khat_wide(g[wide], d, radius), khat_table(g[~wide], d, radius)
        return table
    return _by_panels(g, radius + edge, lambda at: _khat_matrix(at, d, radius, edge))


def disc_average_factor(g: ArrayLike, radius: float, edge: float = 0.0) -> Array:
    """What the average over a disc multiplies mode g by: 2 J1(gR)/(gR), or ∫ F J0(gu) u du / ∫ F u du."""
    g = np.asarray(g, dtype=float)
    if edge == 0.0:
        z = g * radius
        safe = np.where(z == 0.0, 1.0, z)
        return np.asarray(np.where(z == 0.0, 1.0, 2 * scipy.special.j1(safe) / safe))
    if g.size == 0:
        return np.zeros(g.shape)

    def matrix(at: Array) -> Array:
        u, weight = _mesh(float(at.max()), radius, radius, edge)
        return np.asarray((scipy.special.j0(np.outer(at, u)) @ (weight * u) / (weight @ u))[:, None])

    return _by_panels(g.ravel(), radius + edge, matrix)[:, 0].reshape(g.shape)


def disc_weight(distance: ArrayLike, radius: float, edge: float = 0.0) -> Array:
    """W(R, d) = √(d² + R²) - |d| = 2 Khat(0, d, R) [Å], without cancellation at large d; its mean over a soft edge."""
    d = np.abs(np.asarray(distance, dtype=float))
    if edge == 0.0:
        return np.asarray(radius * radius / (np.hypot(radius, d) + d))
    points, weights = _gauss()
    radii, shares = radius + edge * points, weights * (1 + np.cos(pi * points)) / 2
    return np.asarray(radii**2 / (np.hypot(radii, d[..., None]) + d[..., None]) @ shares)


def _by_panels(g: Array, reach: float, matrix: Callable[[Array], Array]) -> Array:
    """Rows matrix(g), interpolated where there are more of them than nodes of panels in which they turn once."""
    n_panels = ceil(float(g.max()) * reach / (2 * pi))
    if len(g) <= n_panels * PANEL_ORDER + PANEL_ORDER:
        return matrix(g)
    width = 2 * pi / reach
    which = np.minimum((g / width).astype(int), max(n_panels - 1, 0))
    points = width / 2 * (1 - np.cos(pi * (np.arange(PANEL_ORDER) + 0.5) / PANEL_ORDER))
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(n_panels + 1))
    result: Array | None = None
    for panel in range(max(n_panels, 1)):
        rows = order[bounds[panel] : bounds[panel + 1]] if n_panels else order
        if rows.size:
            values = matrix(panel * width + points)
            if result is None:
                result = np.empty((len(g), values.shape[1]))
            result[rows] = _interpolated(points, values, g[rows] - panel * width)
    assert result is not None
    return result


def _interpolated(points: Array, values: Array, at: Array) -> Array:
    """Barycentric interpolation between Chebyshev points."""
    k = np.arange(PANEL_ORDER)
    difference = at[:, None] - points
    difference[difference == 0.0] = np.finfo(float).tiny
    terms = (-1.0) ** k * np.sin(pi * (k + 0.5) / PANEL_ORDER) / difference
    return (terms / terms.sum(axis=1, keepdims=True)) @ values


def _khat_wide(g: Array, d: Array, radius: float) -> Array:
    """The series in what lies beyond R: a product of factors of g and of d, term by term."""
    z = g * radius
    bessel = [scipy.special.j0(z), scipy.special.j1(z)]  # upwards, stable for orders below z
    of_g = np.empty((WIDE_TERMS, g.size))
    factor = 1 / (2 * g)
    for k, term in enumerate(of_g):
        np.multiply(bessel[-1], factor, out=term)
        bessel = [bessel[-1], 2 * (k + 1) / z * bessel[-1] - bessel[-2]]
        factor = factor * ((2 * k + 1) / z)
    ratio = radius / np.hypot(radius, d)
    table = np.exp(-np.outer(g, d))
    table /= 2 * g[:, None]
    table += of_g.T @ ratio ** (2 * np.arange(WIDE_TERMS)[:, None] + 1)
    return table


def _khat_matrix(g: Array, d: Array, radius: float, edge: float) -> Array:
    off = d[d > 0]
    finest = min(float(off.min()) if off.size else radius, radius)
    u, weight = _mesh(float(g.max()), finest, radius, edge)
    return np.asarray(0.5 * scipy.special.j0(np.outer(g, u)) @ ((weight * u)[:, None] / np.hypot(u[:, None], d)))


@cache
def _gauss() -> tuple[Array, Array]:
    """Nodes and weights of a panel."""
    return np.polynomial.legendre.leggauss(PANEL_ORDER)


def _mesh(top: float, finest: float, radius: float, edge: float) -> tuple[Array, Array]:
    """Nodes u and weights, F(u) included, of ∫_0^{R + edge} F(u) … du for wavevectors up to top."""
    widest = min(radius, 4 * pi / top) if top > 0 else radius
    edges = [0.0, min(finest / 4, widest)]
    for stop in (radius - edge, radius + edge) if edge else (radius,):
        edges[-1] = min(edges[-1], stop)
        while edges[-1] < stop:
            edges.append(min(stop, edges[-1] + min(widest, edges[-1])))
    low, high = np.array(edges[:-1]), np.array(edges[1:])
    points, weights = _gauss()
    u = ((high - low)[:, None] / 2 * (1 + points) + low[:, None]).ravel()
    weight = ((high - low)[:, None] / 2 * weights).ravel()
    if edge:
        t = np.clip((u - radius) / edge, -1.0, 1.0)
        weight = weight * (1 - t - np.sin(pi * t) / pi) / 2
    return u, weight
