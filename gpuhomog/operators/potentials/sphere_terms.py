"""What a sphere of radius R sees of charges anywhere: the three integrals of eq. (86) for any block.

    ∫_{|u|<R} d³u/|u - r| = 2πR² - (2π/3) r²  (r < R),   (4πR³/3)/r  (r > R)
    Φ̄(R) Ω/κ = 2πR² Q(R) - (2π/3) ∫_{r<R} ρ r² + (4πR³/3) ∫_{r>R} ρ/r                       the mean of φ over |u| < R

Of a charge of spherical symmetry at the distance c these are means over its spheres of radius s, which the sphere R
cuts where |c - s| < R < c + s: polynomials of s over s, integrated by the moments 4π ∫ρ sⁿ ds between two radii. On a
grid they are sums over its points: what is added up for Φ̄ has neither step nor kink at R, its parts alone have.

In   moments (low, high, n) → 4π ∫ρ sⁿ ds [e Å^(n-2)], c and R in Å; or a charge density and a centre.
Out  Q(R) [e], ∫_{r<R} ρ r² [e Å²], ∫_{r>R} ρ/r [e/Å].

>>> point = lambda low, high, n: float(n == 2 and low <= 0 < high)
>>> [sphere_terms(point, away, 2.0) for away in (0.0, 1.0, 4.0)]
[(1.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 0.25)]
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...device import Device
from ...field import Field
from ...grid import OPEN
from ...parallel import Slab
from ...parallel.exchange import at
from ...reduction import PLANES_AT_ONCE, SUM, Arrays, Reduction

Array = NDArray[np.float64]

CONCENTRIC = 1e-5
"""c/R below which the spheres have one centre: what that leaves out is its square."""


def sphere_terms(
    moment: Callable[[float, float, int], float], away: float, radius: float
) -> tuple[float, float, float]:
    """The three integrals of a charge of spherical symmetry.

    moment  (low, high, n) → 4π ∫ρ sⁿ ds between two distances from its own centre, n from 1 to 5
    away    c [Å], of its centre from that of the sphere
    """
    c, r = float(away), float(radius)
    if c <= CONCENTRIC * r:
        return moment(0.0, r, 2), moment(0.0, r, 4), moment(r, inf, 1)
    low, high = abs(c - r), c + r
    charge = square = beyond = 0.0
    if c < r:  # spheres of s < R - c lie inside
        charge, square = moment(0.0, low, 2), moment(0.0, low, 4) + c * c * moment(0.0, low, 2)
    else:  # those of s < c - R outside
        beyond = moment(0.0, low, 2) / c
    beyond += moment(high, inf, 1)  # and those of s > R + c around it
    first, second, third, fourth, fifth = (moment(low, high, n) for n in range(1, 6))
    charge += ((r * r - c * c) * first + 2 * c * second - third) / (4 * c)
    square += (
        (r**4 - c**4) * first + 4 * c**3 * second - 6 * c * c * third + 4 * c * fourth - fifth
    ) / (8 * c)  # fmt: skip
    beyond += ((c - r) * first + second) / (2 * c)
    return charge, square, beyond


def sphere_terms_of_field(density: Field, centre: Array, radius: float) -> tuple[Array, float]:
    """The three integrals of a charge density [e/Å^3], and how much their sum of eq. 86 changes on every second point.

    centre  of the sphere, as fractions of the lattice vectors; periodic axes are cut opposite to it

    The change is that of Q(R) 2πR² - (2π/3) ∫ρ r² + (4πR³/3) ∫ρ/r [e Å²].
    """
    grid = density.grid
    steps = [np.arange(n) / n - centre[axis] for axis, n in enumerate(grid.shape)]
    steps = [u if grid.boundary[i] == OPEN else (u + 0.5) % 1.0 - 0.5 for i, u in enumerate(steps)]
    sparse = [np.where(np.arange(n) % 2 == 0, 2.0, 0.0) if n > 1 else np.ones(1) for n in grid.shape]
    factors = np.array([2 * np.pi * radius**2, -2 * np.pi / 3, 4 * np.pi * radius**3 / 3])

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        sums = np.zeros(4)
        for start in range(0, slab.n_local, PLANES_AT_ONCE):
            some = slice(start, min(start + PLANES_AT_ONCE, slab.n_local))
            own = slice(slab.start + some.start, slab.start + some.stop)
            u, half = (
                [x[own] if axis == slab.axis else x for axis, x in enumerate(those)] for those in (steps, sparse)
            )
            a, b, c = (np.multiply.outer(x, row) for x, row in zip(u, grid.cell, strict=True))
            away = np.linalg.norm(a[:, None, None] + b[:, None] + c, axis=-1)
            inside = away < radius
            weights = [inside * 1.0, inside * away**2, np.where(inside, 0.0, 1 / np.where(inside, 1.0, away))]
            total = sum(factor * weight for factor, weight in zip(factors, weights, strict=True))
            weights.append(total * half[0][:, None, None] * half[1][:, None] * half[2])
            here = values[at(slab.axis, some)]
            for i, weight in enumerate(weights):
                sums[i] += device.planar_sum(here * device.asarray(weight, values.dtype), slab.axis).sum()
        return (sums,)

    name = f"integrals of a sphere of {radius!r} at {np.asarray(centre).tolist()}"
    (sums,) = density.reduce(Reduction(name, local, (SUM,)))
    sums = sums * (grid.volume / grid.n_points)
    return sums[:3], abs(float(factors @ sums[:3] - sums[3]))
