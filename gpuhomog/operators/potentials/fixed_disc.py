"""One fixed disc of charge, seen from all points near its middle: the mode that eq. (F1) of the paper averages.

    K(g, d) = 1/2 ∫_0^R [J0(gv) - 2 J1(gR)/(gR)] A(v, d) v dv            mode g of a plane at distance d, ε0 = 1
    A(v, d)  mean of 1/√(d² + |v - u|²) over |u| < R1: by F1, all these points see the same disc of radius R

What lies on the disc is what lies on the plane less what lies beyond R, which is nowhere near the points:

    ∫_0^∞ J0(gv) A v dv = 2 J1(gR1)/(gR1) e^{-gd}/g
    A(v, d)   = Σ_j a_j ∂_d^{2j} (v² + d²)^{-1/2},   a_j = (-1)^j (R1/2)^{2j}/(j! (j + 1)!)                   v > R1
    ∫_R^∞ J0(gv) A v dv = -Σ_k (2k - 1)!! (R/g)^{k+1} J_{k+1}(gR) Σ_j a_j ∂_d^{2j} (R² + d²)^{-k-1/2}
    ∫_0^R A v dv        = Σ_j a_j ∂_d^{2j} √(R² + d²) - d

The derivatives are Gegenbauer polynomials. The series in k is good where g(R - R1²/R) > 80; from R to the radius where
it is, Gauss-Legendre. The first term falls as R1^-3/2; what is cut off at R leaves R^-1/2, whatever R1.

In   lengths in units of one kind; wavevectors in the inverse.
Out  float64 arrays of the host. ε0 = 1, as in cylinder_kernel.

>>> from .cylinder_kernel import khat
>>> narrow = fixed_disc_table(np.array([0.3]), np.array([1.5]), 40.0, 0.01)[0, 0]  # the point in the middle
>>> point = khat(0.3, 1.5, 40.0) - disc_average_factor(0.3, 40.0) * disc_weight(1.5, 40.0) / 2
>>> bool(abs(narrow - point) < 1e-5)
True
"""

from __future__ import annotations

from math import ceil, pi

import numpy as np
import scipy  # its parts are imported when first used

from .cylinder_kernel import PANEL_ORDER, WIDE, WIDE_TERMS, Array, disc_average_factor, disc_weight

MOST_OF_DISC = 0.5
"""Largest R1/R: the series are in its square."""
ROUNDING = 1e-17
"""Terms below this fraction of the sum are left out."""


def fixed_disc_table(g: Array, distance: Array, radius: float, inner: float) -> Array:
    """(len(g), len(d)) K of wavevectors above 0, to 1e-13 of R.

    radius, inner  R of the disc of charge and R1 of the disc of points, at most half of it
    """
    g, d = np.asarray(g, dtype=float), np.abs(np.asarray(distance, dtype=float))
    plane = disc_average_factor(g, inner)[:, None] * np.exp(-np.outer(g, d)) / g[:, None]
    whole = disc_weight(d, radius) + radius * _near(-0.5, radius, inner, d) - np.hypot(radius, d)
    return np.asarray((plane - _beyond(g, d, radius, inner) - np.outer(disc_average_factor(g, radius), whole)) / 2)


def _near(power: Array | float, radius: Array | float, inner: float, d: Array) -> Array:
    """Σ_j a_j ∂_d^{2j} (R² + d²)^{-power} times R^{2 power}, broadcast over powers, radii and distances."""
    r = np.hypot(radius, d)
    x, ratio = d / r, inner / (2 * r)
    total, weight = np.ones(np.broadcast(power, r).shape), np.ones(r.shape)
    older, newer = total, 2 * power * x  # Gegenbauer's polynomials of degree 0 and 1
    small, j = 0, 0
    while small < 2:
        j += 1
        for n in (2 * j, 2 * j + 1):
            older, newer = newer, (2 * (n + power - 1) * x * newer - (n + 2 * power - 2) * older) / n
        weight = weight * (-ratio * ratio * (2 * j) * (2 * j - 1) / (j * (j + 1)))
        term = weight * older
        total = total + term
        small = small + 1 if (np.abs(term) <= ROUNDING * np.abs(total).max()).all() else 0
    return np.asarray(total * (radius / r) ** (2 * power))


def _beyond(g: Array, d: Array, radius: float, inner: float) -> Array:
    """(len(g), len(d)) ∫_R^∞ J0(gv) A v dv."""
    start = (WIDE / g + np.sqrt((WIDE / g) ** 2 + 4 * inner**2)) / 2  # where g(v - R1²/v) is WIDE
    far = start <= radius
    result = np.empty((len(g), len(d)))
    result[far] = _by_parts(g[far], d, radius, inner)
    points, weights = np.polynomial.legendre.leggauss(PANEL_ORDER)
    for i in np.flatnonzero(~far):
        n_panels = ceil(max(g[i] * (start[i] - radius) / (4 * pi), (start[i] - radius) / (radius - inner)))
        edges = np.linspace(radius, start[i], n_panels + 1)
        half = np.diff(edges)[:, None] / 2
        v = (edges[:-1, None] + half * (1 + points)).ravel()
        weight = (half * weights).ravel() * scipy.special.j0(g[i] * v)
        result[i] = weight @ _near(0.5, v[:, None], inner, d)
        result[i] += _by_parts(g[i : i + 1], d, float(start[i]), inner)[0]
    return result


def _by_parts(g: Array, d: Array, radius: float, inner: float) -> Array:
    """The series in k."""
    k = np.arange(WIDE_TERMS)
    odd = np.cumprod(np.concatenate([[1.0], 2.0 * k[1:] - 1]))
    z = g[:, None] * radius
    of_g = scipy.special.jv(k + 1, z) * odd / (g[:, None] * z**k)
    return np.asarray(-of_g @ _near(k[:, None].astype(np.float64) + 0.5, radius, inner, d))
