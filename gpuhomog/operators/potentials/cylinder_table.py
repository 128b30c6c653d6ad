"""Tables of the cylinder's kernel on a grid: by plane distance, for every class of in-plane modes.

    Φ_L(x_b) = (h/ε0) Σ_{x ≤ x_b} w_x FFT2⁻¹[FFT2(ρ(x)) Khat(|g|, x_b - x, R)]                                eq. 69

The end weights w_x close the sum at x_b and at its far end: the trapezoid's 1/2, or Gregory's (3/8, 7/6, 23/24, ...)
where a step is at most a third of the narrowest standard deviation. Modes with one wavevector share a class.

In   lengths in units of one kind; ε0 = 1: potentials in volts need units.FOUR_PI_KAPPA.
Out  CylinderTable for the device primitives, and what direct sums need.

>>> table = cylinder_table(np.eye(2), (4, 4), 0.5, 3, 2.0)
>>> table.table.shape, table.classes.shape
((3, 6), (4, 3))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from math import erfc, exp, pi, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .cylinder_kernel import Array, khat_table


def gregory_weights(order: int) -> Array:
    """End weights of a sum over samples, exact for polynomials below `order`: 1 trapezoid, 3 (3/8, 7/6, 23/24).

    Beyond the `order` first samples all weights are one. Raises InputError for an order below 1.
    """
    if order < 1:
        raise InputError(f"End weights of order {order}: the trapezoid, order 1, is the lowest.")
    gregory = [Fraction(1)]  # (x/log(1+x)) = Σ gregory_k x^k
    for k in range(1, order + 1):
        gregory.append(-sum((gregory[j] * Fraction((-1) ** (k - j), k - j + 1) for j in range(k)), Fraction(0)))
    weights = [Fraction(1)] * order
    for k in range(1, order + 1):  # Δ^{k-1} of the first sample
        binomial = Fraction(1)
        for j in range(k):
            weights[j] -= abs(gregory[k]) * binomial * (-1) ** j
            binomial = binomial * (k - 1 - j) / (j + 1)
    return np.array([float(w) for w in weights])


def source_weights(ends: Array, n: int) -> Array:
    """(2, n) weights of the planes: the sum from below ends at the first plane, that from above at the last."""
    weights = np.ones((2, n))
    reach = min(len(ends), n)
    weights[0, :reach] = ends[:reach]
    weights[1, n - reach :] = ends[:reach][::-1]
    return weights


def in_plane_wavevectors(vectors: ArrayLike, shape: tuple[int, int]) -> Array:
    """(2, n1, n2//2 + 1) lengths of the wavevectors of rfft2, the shorter first.

    On an even axis the mode N/2 stands for ±N/2: both readings differ on oblique cells.
    """
    rows = np.asarray(vectors, dtype=float)
    inverse = np.linalg.inv(rows @ rows.T) * (2 * pi) ** 2  # metric of the reciprocal lattice
    n1, n2 = shape
    first = np.fft.fftfreq(n1, 1 / n1)[:, None]
    second = np.fft.rfftfreq(n2, 1 / n2)[None, :]
    nyquist = 2 * np.abs(first) == n1
    mirrored = np.where(~nyquist & (2 * second == n2), -second, second)
    turned = np.where(nyquist, -first, first)

    def length(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        return np.sqrt(np.maximum(a * a * inverse[0, 0] + b * b * inverse[1, 1] + 2 * a * b * inverse[0, 1], 0.0))

    one, other = length(first, second), length(turned, mirrored)
    return np.stack([np.minimum(one, other), np.maximum(one, other)])


def disc_points(steps: ArrayLike, radius: float) -> tuple[NDArray[np.int32], Array]:
    """(m, 2) offsets of the grid points within the radius, and their squared distances; steps are the in-plane rows.

    A point on the edge, to 1e-12, is inside.
    """
    rows = np.asarray(steps, dtype=float)
    metric = rows @ rows.T
    reach = [int(radius * sqrt(m) * (1 + 1e-9)) + 1 for m in np.diag(np.linalg.inv(metric))]
    i, j = np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")
    squared = i * i * metric[0, 0] + 2 * i * j * metric[0, 1] + j * j * metric[1, 1]
    inside = squared <= radius**2 * (1 + 1e-12)
    offsets = np.stack([i[inside], j[inside]], axis=1).astype(np.int32)
    return offsets, np.maximum(squared[inside], 0.0)


def node_weight(steps: ArrayLike) -> float:
    """Weight of the grid point at which 1/r is singular, so that a sum over a grid integrates 1/r times smooth: [1/Å].

    steps: 2 or 3 rows, the steps of a grid in the plane or in space. The lattice sum of 1/r without its origin against
    the integral, by Ewald's splitting. A square grid: 3.9002649200/h; a cubic one: 2.8372974795/h.
    """
    rows = np.asarray(steps, dtype=float)
    dimensions = len(rows)
    volume = sqrt(np.linalg.det(rows @ rows.T))
    alpha = sqrt(pi) / volume ** (1 / dimensions)
    reciprocal = 2 * pi * np.linalg.inv(rows @ rows.T) @ rows

    def lengths(lattice: Array, cut: float) -> Array:
        gram = np.linalg.inv(lattice @ lattice.T)
        axes = [np.arange(-int(cut * sqrt(m)) - 1, int(cut * sqrt(m)) + 2) for m in np.diag(gram)]
        index = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")], axis=1)
        length = np.sqrt(((index @ lattice) ** 2).sum(axis=1))
        return length[(length > 0) & (length < cut)]

    near = sum(erfc(alpha * r) / r for r in lengths(rows, 6.5 / alpha))
    if dimensions == 2:
        far = 2 * pi / volume * sum(erfc(k / (2 * alpha)) / k for k in lengths(reciprocal, 13 * alpha))
        own = 2 * alpha / sqrt(pi) + 2 * sqrt(pi) / (volume * alpha)
    else:
        far = 4 * pi / volume * sum(exp(-((k / (2 * alpha)) ** 2)) / k**2 for k in lengths(reciprocal, 13 * alpha))
        own = 2 * alpha / sqrt(pi) + pi / (volume * alpha**2)
    return float(own - near - far)


@dataclass(frozen=True, eq=False)
class KernelOfModes:
    """What a cylinder's kernel is given on, as a table or as recursions.

    classes  (n1, n2//2 + 1) int32: class of each mode of rfft2
    shape    (n1, n2) points of a plane
    source   (2, n): weight of each plane in the sums from below and from above
    """

    classes: NDArray[np.int32]
    shape: tuple[int, int]
    source: Array

    @cached_property
    def exchanged(self) -> Self:
        """The same for planes whose axes are exchanged: the first one is halved then. Opposite modes are alike."""
        n1, n2 = self.shape
        i, j = np.arange(n1 // 2 + 1)[None, :], np.arange(n2)[:, None]
        stored = j <= n2 // 2
        classes = self.classes[np.where(stored, i, -i % n1), np.where(stored, j, n2 - j)]
        return replace(self, classes=np.ascontiguousarray(classes), shape=(n2, n1))


@dataclass(frozen=True, eq=False)
class CylinderTable(KernelOfModes):
    """Kernel of a cylinder at every distance: potentials are exact sums over planes.

    table  (n, classes): plane distance 0 ... n - 1 by class of in-plane modes, end weights and scale included
    """

    table: Array

    def by_distance(self, n: int, classes: NDArray[Any]) -> Array:
        """(n, classes) kernel of some classes at plane distances 0 … n - 1."""
        return self.table[:n, classes]


def classes_of(lengths: Array) -> tuple[Array, NDArray[np.int32]]:
    """(2, classes) wavevectors that differ, and the class of each mode."""
    largest = max(float(lengths.max()), np.finfo(float).tiny)
    rounded = np.round(lengths.reshape(2, -1) / largest * 2**40)
    key = rounded[0] * 2.0**41 + rounded[1]  # ordered by the shorter one; equal keys differ by less than 1e-12
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return lengths.reshape(2, -1)[:, first], inverse.reshape(lengths.shape[1:]).astype(np.int32)


def khat_of_classes(lengths: Array, distance: Array, radius: float, edge: float = 0.0) -> Array:
    """(classes, len(d)) Khat, the mean over both readings where a class has two wavevectors."""
    table = khat_table(lengths[0], distance, radius, edge)
    mixed = lengths[0] != lengths[1]
    table[mixed] = (table[mixed] + khat_table(lengths[1][mixed], distance, radius, edge)) / 2
    return table


def cylinder_table(
    vectors: ArrayLike,
    shape: tuple[int, int],
    step: float,
    n: int,
    radius: float,
    *,
    order: int = 1,
    inverse_eps0: float = 1.0,
    edge: float = 0.0,
) -> CylinderTable:
    """Table of the analytic kernel for n planes a step apart, on in-plane vectors (2, 2 or 3) with shape points.

    radius        R [Å], as vectors and step
    order         of Gregory's end weights. 8 n bytes a class: on large grids, MarchFit.
    inverse_eps0  factor of the sums: FOUR_PI_KAPPA makes V of e/Å^3
    edge          half width of a soft edge (cylinder_kernel)
    """
    check_cylinder(radius, step, n)
    lengths, classes = classes_of(in_plane_wavevectors(vectors, shape))
    ends = gregory_weights(order)
    table = khat_of_classes(lengths, step * np.arange(float(n)), radius, edge).T * (step * inverse_eps0)
    table[: len(ends)] *= ends[: len(table), None]
    return CylinderTable(classes, shape, source_weights(ends, n), table)


def check_cylinder(radius: float, step: float, n: int) -> None:
    """InputError for what is no cylinder of planes."""
    if not radius > 0 or np.isinf(radius):
        raise InputError(f"Cylinder of radius {radius}: give a positive, finite radius.")
    if not step > 0 or n < 1:
        raise InputError(f"{n} planes {step} apart: at least one plane and a positive step are needed.")
