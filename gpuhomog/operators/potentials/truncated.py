"""Truncated Coulomb kernels: modes of the potential of a unit charge where some axes are open.

Values on an open axis of length L are followed by zeros up to P >= 2L, and the kernel G = 1/(4π r), periodic along the
other axes, is cut off at |x| = X = P/2 along the open ones. Within the values nothing of the cut is seen, and what a
transform of the padded grid gives is the potential of the charge alone, to the accuracy of the charge's own modes.

    periodic    v = 1/k², 0 at k = 0                                             three periodic axes (fft.InverseSquare)
    slab        v = [1 + e^{-gX} ((q/g) sin qX - cos qX)]/(g² + q²)               q along the normal, g in the plane
                v = (1 - cos qX)/q² - X sin(qX)/q, -X²/2 at q = 0                 g = 0: the kernel -|x|/2
    wire, open  v = (1 - e^{-k²/4U²})/k² + Σ_j w_j Π_i f_i(k_i, u_j)              the rest of r in Gaussians e^{-r²u²}
                open axis: f = ∫_{-X}^{X} e^{-x²u²} cos kx dx;  periodic axis: f = e^{-k²/4u²}
                wire, g = 0: the kernel -ln(r/1 Å)/(2π)

Of a wire or an isolated charge the kernel is a product over axes within each Gaussian, so that it is cut off by a box
of any proportions, for twice the points along an axis; and of 1/r = (2/√π) ∫ e^{-r²u²} du the part u > U is so short
that nothing need be cut off: erfc(UX) = 2e-17. Gauss' rule on panels of doubling u takes 12 nodes a panel for full
float64, whatever the box: 60 for a cube, 12 more for each doubling of its longest side. The alternative, a kernel cut
off at the box's diagonal (Vico, Greengard and Ferrando), needs 1 + √3 times the points of a cube along each axis, and
as many in all directions as the longest one; oblique cells have it (round_kernels.py), and the tests as the oracle.

In   grid of the values, axes that are open.
Out  Part: modes n_a, n_b, n_c → v [Å²], [Å² for all], to be multiplied by 4πκ and the charge density.

Source: slab and wire, Rozzi et al., Phys. Rev. B 73, 205119 (2006); boxes, Greengard, Jiang and Zhang,
SIAM J. Sci. Comput. 40, A3733 (2018).

>>> kernel = SlabKernel(Grid((4, 4, 16), np.diag([2.0, 2.0, 8.0])), 2)
>>> mode = np.zeros((1, 1))
>>> kernel(mode, mode, mode).item()
-8.0
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from ...fft import InverseSquare, Modes, Part
from ...grid import Grid
from .round_kernels import counts, open_axes, round_kernel

Array = NDArray[np.float64]

NODES = 12
"""Of Gauss' rule on a panel of u."""
SHORT_RANGE = 6.0
"""U X: beyond X the short-ranged part of the kernel, erfc(U r)/r, is below 1e-17."""
LEAST_REACH = 0.5
"""The lowest panel begins at 0 and ends where u r is at most twice this in the box."""
NOTHING = 40.0
"""gX beyond which e^{-gX}, times the largest of the other factors, is below the rounding of 1."""
NEGLIGIBLE = 6.2
"""k/(2u) at which e^{-k²/4u²} is below 1e-16."""


@dataclass(frozen=True)
class SlabKernel:
    """One open axis; the planes may have any lattice, and the open axis need not be along their normal."""

    grid: Grid
    axis: int
    factor: float = 1.0

    @cached_property
    def _across(self) -> Array:
        """Of a unit mode along each axis, the wavevector along the normal."""
        across = self.grid.reciprocal @ self.grid.normal(self.axis)
        across[np.abs(across) < 1e-14 * abs(across[self.axis])] = 0.0
        return np.asarray(across, dtype=np.float64)

    @cached_property
    def _within(self) -> Array:
        """Of a unit mode along each axis, the wavevector in the plane."""
        rows = self.grid.reciprocal - np.outer(self._across, self.grid.normal(self.axis))
        rows[self.axis] = 0.0
        return np.asarray(rows, dtype=np.float64)

    @property
    def far(self) -> InverseSquare:
        """What the kernel is where e^{-gX} is nothing: 1/k², which devices evaluate themselves."""
        return InverseSquare(self.grid.reciprocal, self.factor)

    def is_far(self, axis: int, modes: Array) -> NDArray[np.bool_]:
        """True for modes along an axis at which e^{-gX} is nothing, whatever the modes along the others."""
        if axis == self.axis:
            return np.zeros(len(modes), dtype=bool)
        (other,) = (i for i in range(3) if i not in (axis, self.axis))
        row, along = self._within[axis], self._within[other]
        least = row - along * (row @ along) / (along @ along)
        g = np.abs(modes) * np.linalg.norm(least)
        return np.asarray(g * self.grid.height(self.axis) / 2 > NOTHING)

    @cached_property
    def _metric(self) -> Array:
        """g² as a form in the modes; what is only rounding is 0."""
        metric = self._within @ self._within.T
        metric[np.abs(metric) < 1e-14 * metric.max()] = 0.0
        return np.asarray(metric, dtype=np.float64)

    @cached_property
    def is_even(self) -> bool:
        """True if only the magnitudes of the modes matter."""
        upright = np.count_nonzero(self._across) == 1
        return upright and bool((self._metric == np.diag(np.diag(self._metric))).all())

    def __call__(self, a: Modes, b: Modes, c: Modes) -> Array:
        """v at modes; what depends on the modes in the plane alone is found once for all others."""
        modes = (a, b, c)
        first, second = (i for i in range(3) if i != self.axis)
        metric = self._metric
        square = metric[first, first] * modes[first] ** 2 + metric[second, second] * modes[second] ** 2
        if metric[first, second]:
            square = square + 2 * metric[first, second] * modes[first] * modes[second]
        g = np.sqrt(np.maximum(square, 0.0))
        reach = self.grid.height(self.axis) / 2
        if np.count_nonzero(self._across) == 1:  # upright: qX is a multiple of π
            q = self._across[self.axis] * modes[self.axis]
            even, odd = -np.expm1(-g * reach) * self.factor, (1 + np.exp(-g * reach)) * self.factor
            value, total = np.where(modes[self.axis] % 2 == 0, even, odd), g * g + q * q
            if (g == 0).any() and (q == 0).any():
                zero = total == 0
                total[zero] = 1.0
                value[zero] = -self.factor * reach**2 / 2
            return np.asarray(value / total)
        fall = np.exp(-g * reach)
        q = sum(self._across[i] * modes[i] for i in range(3))
        g, q, fall = np.broadcast_arrays(g, q, fall)
        total, in_plane = g * g + q * q, g > 0
        ratio = np.divide(q, g, out=np.zeros(q.shape), where=in_plane)
        top = 1 + fall * (ratio * np.sin(q * reach) - np.cos(q * reach))
        value = np.divide(top, total, out=np.zeros(total.shape), where=in_plane)
        rest = ~in_plane & (q != 0)
        k = q[rest]
        value[rest] = (1 - np.cos(k * reach)) / k**2 - reach * np.sin(k * reach) / k
        value[~in_plane & (q == 0)] = -(reach**2) / 2
        return value * self.factor


@dataclass(frozen=True)
class BoxKernel:
    """Two or three open axes; all axes at right angles."""

    grid: Grid
    factor: float = 1.0

    is_even = True
    by_products = True

    @cached_property
    def _open(self) -> list[int]:
        return open_axes(self.grid)

    @cached_property
    def _cut(self) -> float:
        """U [1/Å]."""
        return float(SHORT_RANGE / (self.grid.lengths[self._open].min() / 2))

    @cached_property
    def _rule(self) -> tuple[Array, Array]:
        """Nodes u_j and weights of the integral over 0 < u < U."""
        lowest = 2 * LEAST_REACH / float(np.linalg.norm(self.grid.lengths[self._open] / 2))
        if len(self._open) == 2:
            (along,) = (i for i in range(3) if i not in self._open)
            lowest = min(lowest, 2 * pi / float(self.grid.lengths[along]) / (2 * NEGLIGIBLE))
        at, weights = np.polynomial.legendre.leggauss(NODES)
        edges = [self._cut]
        while edges[-1] > lowest:
            edges.append(edges[-1] / 2)
        edges.append(0.0)
        panels = [(low + (high - low) * (at + 1) / 2, weights * (high - low) / 2) for high, low in pairwise(edges)]
        return np.concatenate([u for u, _ in panels]), np.concatenate([w for _, w in panels])

    @cached_property
    def _tables(self) -> list[Array]:
        """For each axis (n//2 + 1, nodes) the factors of the modes 0, 1, …"""
        nodes, _ = self._rule
        tables = []
        for axis, length in enumerate(self.grid.lengths):
            modes = np.arange(self.grid.shape[axis] // 2 + 1.0)
            if axis in self._open:
                tables.append(box_gaussian(modes, nodes, float(length) / 2))
            else:
                tables.append(np.exp(-((pi * modes[:, None] / length / nodes) ** 2)))
        return tables

    @cached_property
    def _factor(self) -> Array:
        """(nodes,) what each product is multiplied by."""
        nodes, weights = self._rule
        weights = weights / (2 * pi**1.5) if len(self._open) == 3 else weights / nodes / (2 * pi)
        return weights * self.factor

    @cached_property
    def _zero(self) -> float:
        """What v(0) has besides its Gaussians: the short-ranged part and, of a wire, the level of the logarithm."""
        near = self.factor / (4 * self._cut**2)
        if len(self._open) == 3:
            return near
        level = self.factor * (log(self._cut) + np.euler_gamma / 2) / (2 * pi)
        return float(near + (level - self._factor.sum()) * np.prod(self.grid.lengths[self._open]))

    def __call__(self, a: Modes, b: Modes, c: Modes) -> Array:
        """v at modes, one of them a single number: a product of two matrices over the nodes."""
        left, right = self._factor[None, :], np.ones((1, len(self._factor)))
        square, near = 0.0, self.factor
        for axis, modes in enumerate((a, b, c)):
            table = self._tables[axis][np.abs(modes).astype(np.intp).ravel()]
            k2 = (2 * pi * modes / self.grid.lengths[axis]) ** 2
            square, near = square + k2, near * np.exp(-k2 / (4 * self._cut**2))
            if modes.shape[1] > 1:
                right = right * table
            else:
                left = left * table
        value, total = self.factor - np.asarray(near), np.array(square)
        if total.flat[0] == 0:  # modes begin with 0
            total.flat[0], value.flat[0] = 1.0, self._zero
        return np.asarray(value / total + left @ right.T, dtype=np.float64)


def box_gaussian(modes: Array, nodes: Array, reach: float) -> Array:
    """(modes, nodes) ∫_{-X}^{X} e^{-x²u²} cos(kx) dx at k = πm/X, by the error function of complex argument.

    >>> box_gaussian(np.array([0.0]), np.array([1e-9]), 1.5).round(12).item()
    3.0
    """
    from scipy.special import erf, wofz

    a, b = nodes[None, :] * reach, pi * modes[:, None] / (2 * reach * nodes[None, :])
    signs = np.where(modes % 2 == 0, 1.0, -1.0)[:, None]
    value = np.exp(-b * b) - signs * np.exp(-a * a) * wofz(b + 1j * a).real
    value[modes == 0] = erf(a)
    return np.asarray(value * (sqrt(pi) / nodes), dtype=np.float64)


def padded_grid(grid: Grid) -> Grid:
    """The grid with at least as many points of zeros behind each open axis as its kernel takes; the same steps."""
    from scipy.fft import next_fast_len

    axes = open_axes(grid)
    if len(axes) > 1 and not grid.is_orthogonal:
        padded = counts(grid)
    else:
        padded = [2 * int(next_fast_len(n, real=True)) if i in axes else n for i, n in enumerate(grid.shape)]
    cell = grid.cell * (np.array(padded) / np.array(grid.shape))[:, None]
    return Grid((padded[0], padded[1], padded[2]), cell, grid.origin, grid.boundary)


def coulomb_kernel(grid: Grid, factor: float) -> Part:
    """The modes v of the Green function of -∇² on the padded grid of a grid, by its boundary, times a factor."""
    axes, padded = open_axes(grid), padded_grid(grid)
    if not axes:
        return InverseSquare(padded.reciprocal, factor)
    if len(axes) == 1:
        return SlabKernel(padded, axes[0], factor)
    return BoxKernel(padded, factor) if grid.is_orthogonal else round_kernel(grid, padded, factor)
