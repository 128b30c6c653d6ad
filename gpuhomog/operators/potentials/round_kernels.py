"""Coulomb kernels of oblique cells, cut off at a cylinder's or a sphere's radius in closed form.

    isolated   v = 2 sin²(kX/2)/k², X²/2 at k = 0                                      1/(4πr) cut off at r = X
    wire       v = [1 + kX J1(kX) K0(gX) - gX J0(kX) K1(gX)]/(k² + g²)                 K0(gρ)/(2π) cut off at ρ = X
               v = [1 - J0(kX)]/k² - X ln(X/1 Å) J1(kX)/k, X² (1 - 2 ln(X/1 Å))/4 at k = 0      g = 0: -ln(ρ/1 Å)/(2π)
               g along the periodic axis, k across it

A box that cuts off by products over axes (truncated.py) has to be upright; these look alike in all directions, so that
any cell will do, and the axis of a wire need not be at right angles to the others. X is the largest distance between
two points of the cell, across the wire or in space, and along each open axis the padded cell is higher than the cell
by X at least (`counts`): then no image is within X of any point. Hexagonal axes of equal length take 3 x 3 times
the points for a wire, and 3.3 x 3.3 x 3 for isolated charge in a prism as high as they are long. The slowest of them
costs no memory (fft.convolved), so the spectrum takes 3 fields, and 10.

In   grid of the values, that of the padded cell.
Out  Part: modes n_a, n_b, n_c → v [Å²] times a factor.

Source: wire, Rozzi et al., Phys. Rev. B 73, 205119 (2006); sphere, Vico, Greengard and Ferrando, J. Comput. Phys. 323,
191 (2016).

>>> cell = np.array([[8.0, 0, 0], [-4.0, 48**0.5, 0], [0, 0, 3.0]])
>>> tube = Grid((24, 24, 9), cell, boundary=("open", "open", "periodic"))
>>> counts(tube), round(farthest(tube) / 8.0, 6)
([72, 72, 9], 1.732051)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil, log

import numpy as np
from numpy.typing import NDArray

from ...fft import InverseSquare, Modes, Part
from ...grid import OPEN, Grid

Array = NDArray[np.float64]

NOTHING = 45.0
"""gX beyond which K0 and K1, times the largest of their factors, are below the rounding of 1."""


def open_axes(grid: Grid) -> list[int]:
    """The axes that are open."""
    return [axis for axis in range(3) if grid.boundary[axis] == OPEN]


def wire_axis(grid: Grid) -> int | None:
    """The periodic axis of a wire; None for isolated charge."""
    return next((axis for axis in range(3) if grid.boundary[axis] != OPEN), None)


def farthest(grid: Grid) -> float:
    """The largest distance between two points of the cell, across the wire where one axis is periodic [Å]."""
    vectors, along = grid.cell[open_axes(grid)], wire_axis(grid)
    if along is not None:
        unit = grid.cell[along] / grid.lengths[along]
        vectors = vectors - np.outer(vectors @ unit, unit)
    return max(float(np.linalg.norm(np.array(signs) @ vectors)) for signs in product((1, -1), repeat=len(vectors)))


def counts(grid: Grid) -> list[int]:
    """Points of the padded cell along each axis: along open ones enough that no image is within the cut-off."""
    from scipy.fft import next_fast_len

    padded, reach = list(grid.shape), farthest(grid)
    for axis in open_axes(grid):
        least = ceil(grid.shape[axis] * (1 + reach / grid.height(axis)) - 1e-9)
        padded[axis] = int(next_fast_len(least, real=True))
    return padded


@dataclass(frozen=True)
class SphereKernel:
    """Three open axes; padded: the cell with its zeros, reach: X [Å]."""

    padded: Grid
    reach: float
    factor: float = 1.0

    @cached_property
    def _inverse(self) -> InverseSquare:
        return InverseSquare(self.padded.reciprocal, self.factor)

    def __call__(self, a: Modes, b: Modes, c: Modes) -> Array:
        """v at modes."""
        over_square = self._inverse(a, b, c)
        at_zero = over_square == 0
        half = np.sqrt(self.factor / np.where(at_zero, 1.0, over_square)) * (self.reach / 2)
        value = 2 * np.sin(half) ** 2 * over_square
        value[at_zero] = self.factor * self.reach**2 / 2
        return np.asarray(value)


@dataclass(frozen=True)
class CylinderKernel:
    """Two open axes; padded: the cell with its zeros, reach: X [Å]."""

    padded: Grid
    reach: float
    factor: float = 1.0

    @cached_property
    def _along(self) -> int:
        axis = wire_axis(self.padded)
        assert axis is not None
        return axis

    @cached_property
    def _unit(self) -> float:
        """g of a unit mode along the wire [1/Å]; modes along the other axes have none."""
        return float(2 * np.pi / self.padded.lengths[self._along])

    @property
    def far(self) -> InverseSquare:
        """What the kernel is where K0 and K1 are nothing: 1/k², which devices evaluate themselves."""
        return InverseSquare(self.padded.reciprocal, self.factor)

    def is_far(self, axis: int, modes: Array) -> NDArray[np.bool_]:
        """True for modes along an axis at which K0 and K1 are nothing, whatever the modes along the others."""
        if axis != self._along:
            return np.zeros(len(modes), dtype=bool)
        return np.asarray(np.abs(modes) * self._unit * self.reach > NOTHING)

    def __call__(self, a: Modes, b: Modes, c: Modes) -> Array:
        """v at modes; Bessel functions only where they are something."""
        from scipy.special import j0, j1, k0, k1

        value = self.far(a, b, c)
        gx = np.abs((a, b, c)[self._along]) * (self._unit * self.reach)
        near = np.broadcast_to(gx <= NOTHING, value.shape)
        if not near.any():
            return value
        gx = np.broadcast_to(gx, value.shape)[near]
        total = np.divide(self.factor * self.reach**2, value[near], out=np.zeros(gx.shape), where=value[near] > 0)
        kx = np.sqrt(np.maximum(total - gx**2, 0.0))
        wave = gx > 0
        bent, slope = kx * j1(kx), j0(kx)
        top = np.ones(gx.shape)
        top[wave] += bent[wave] * k0(gx[wave]) - gx[wave] * slope[wave] * k1(gx[wave])
        level = log(self.reach)
        top[~wave] -= slope[~wave] + level * bent[~wave]
        inside = self.factor * self.reach**2 * np.divide(top, total, out=np.zeros(gx.shape), where=total > 0)
        inside[total == 0] = self.factor * self.reach**2 * (1 - 2 * level) / 4
        value[near] = inside
        return np.asarray(value)


def round_kernel(grid: Grid, padded: Grid, factor: float) -> Part:
    """The kernel of two or three open axes of a grid, on its padded grid."""
    kind = SphereKernel if wire_axis(grid) is None else CylinderKernel
    return kind(padded, farthest(grid), factor)
