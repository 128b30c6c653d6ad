"""Coulomb kernel of a cylinder: what a plane of charge within the radius R adds to the potential on its axis.

    Khat(g, d, R) = 1/2 ∫_0^R J0(g u) u/√(u² + d²) du                  eq. 69, mode g of a plane at distance d, ε0 = 1
    W(R, d)       = √(d² + R²) - |d| = 2 Khat(0, d, R)                 eq. 70
    Φ_L(x_b)      = (h/ε0) Σ_{x ≤ x_b} w_x FFT2⁻¹[FFT2(ρ(x)) Khat(|g|, x_b - x, R)]

The substitution w = √(u² + d²) removes the singularity; Gauss-Legendre does the rest. The end weights w_x close the
sum at x_b and at its far end: the trapezoid's 1/2, or Gregory's (3/8, 7/6, 23/24, ...) where a step is at most a third
of the narrowest standard deviation.

March. Φ_L at all x_b is a causal sum over planes. Without its disc, Khat would be e^{-gd}/(2g): one exponential for
each g. What the disc's edge takes from it is smooth on the scale R, for every g alike, and a few exponentials with
exponents shared by all g hold it:

    Khat(g, d, R) ≈ e^{-κd}/(2κ) + Σ_j c_j(g) Re or Im z_j^d,   κ = max(g, 3/R),   d ≥ NEAR planes

z_j come from the shift invariance of the sampled remainder (ESPRIT, many g at once), c_j by least squares; |c_j| are
of the size of the largest Khat, so that little cancels. Planes nearer than NEAR have weights of their own, exact ones.

    radius/planes    8 terms    12 terms    16 terms    20 terms       largest error over the largest Khat
    64/512           3e-6       7e-9        3e-10       6e-12
    16/512           8e-6       8e-8        7e-10       2e-11
    4/512            1e-5       2e-7        2e-9        5e-11
    64/1024          7e-6       5e-8        3e-10       6e-12

In   lengths in units of one kind; wavevectors in the inverse. ε0 = 1: potentials in volts need units.FOUR_PI_KAPPA.
Out  arrays of the host; MarchFit and CylinderTable are what the device primitives take.

>>> round(float(khat(0.3, 0.0, 11.3)), 12), round(float(disc_weight(2.0, 1.5)), 12)
(2.106992847841, 1.0)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, erfc, exp, pi, sqrt
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

Array = NDArray[np.float64]

NEAR = 4
"""Planes next to x_b, its own included, whose weights are exact."""
SECTIONS = (4, 6, 8, 10)
"""Pairs of exponentials that the CUDA kernels are compiled for."""
EDGE_SCALE = 3.0
"""No exponential of a mode is slower than e^{-3d/R}: beyond, the shared ones are better."""
PANEL_ORDER = 24
"""Points of a panel in which the integrand turns at most twice, and of a panel of wavevectors; 1e-15."""
FASTEST_TURN = 30.0
"""Shared exponents turn by less than this angle over a distance R."""
FIT_SAMPLES = 400
"""Distances at which the shared exponents are sought."""


def disc_weight(radius: ArrayLike, distance: ArrayLike) -> Array:
    """W(R, d) = √(d² + R²) - |d|, without cancellation at large d."""
    R, d = np.asarray(radius, dtype=float), np.abs(distance)
    return R * R / (np.hypot(R, d) + d)


def disc_weight_beyond_radius(radius: ArrayLike, distance: ArrayLike) -> Array:
    """W(R, d) - R = d²/(√(d² + R²) + R) - |d|: what is left once R σ/(2ε0) is kept apart; good at any R."""
    R, d = np.asarray(radius, dtype=float), np.abs(distance)
    return d * d / (np.hypot(R, d) + R) - d


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
    points, weights = np.polynomial.legendre.leggauss(PANEL_ORDER)
    result = np.zeros(len(g))
    for low, high in zip(edges.T[:-1], edges.T[1:], strict=True):
        half = (high - low)[:, None] / 2
        beyond = (low - d)[:, None] + half * (1 + points)  # w - d
        u = np.sqrt(beyond * (beyond + 2 * d[:, None]))
        result += half[:, 0] / 2 * (scipy.special.j0(g[:, None] * u) @ weights)
    return result


def khat_table(g: Array, distance: Array, radius: float) -> Array:
    """(len(g), len(d)) values of Khat: as khat, for many g at once.

    One mesh in u for all, graded towards 0 down to the smallest distance, so that Bessel functions are evaluated once
    for all distances; many wavevectors are interpolated, in panels in which Khat turns once.
    """
    g, d = np.asarray(g, dtype=float), np.asarray(distance, dtype=float)
    if g.size == 0 or d.size == 0:
        return np.zeros((g.size, d.size))
    top = float(g.max())
    n_panels = ceil(top * radius / (2 * pi))
    if len(g) <= n_panels * PANEL_ORDER + PANEL_ORDER:
        return _khat_matrix(g, d, radius)
    width = 2 * pi / radius
    which = np.minimum((g / width).astype(int), max(n_panels - 1, 0))
    points = width / 2 * (1 - np.cos(pi * (np.arange(PANEL_ORDER) + 0.5) / PANEL_ORDER))
    result = np.empty((len(g), len(d)))
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(n_panels + 1))
    for panel in range(max(n_panels, 1)):
        rows = order[bounds[panel] : bounds[panel + 1]] if n_panels else order
        if rows.size:
            at = panel * width + points
            values = _khat_matrix(at, d, radius)
            result[rows] = _interpolated(points, values, g[rows] - panel * width)
    return result


def _interpolated(points: Array, values: Array, at: Array) -> Array:
    """Barycentric interpolation between Chebyshev points."""
    k = np.arange(PANEL_ORDER)
    difference = at[:, None] - points
    difference[difference == 0.0] = np.finfo(float).tiny
    terms = (-1.0) ** k * np.sin(pi * (k + 0.5) / PANEL_ORDER) / difference
    return (terms / terms.sum(axis=1, keepdims=True)) @ values


def _khat_matrix(g: Array, d: Array, radius: float) -> Array:
    off = d[d > 0]
    finest = min(float(off.min()) if off.size else radius, radius) / 4
    widest = min(radius, 4 * pi / g.max()) if g.max() > 0 else radius
    edges = [0.0, min(finest, widest)]
    while edges[-1] < radius:
        edges.append(min(radius, edges[-1] + min(widest, edges[-1])))
    low, high = np.array(edges[:-1]), np.array(edges[1:])
    points, weights = np.polynomial.legendre.leggauss(PANEL_ORDER)
    u = ((high - low)[:, None] / 2 * (1 + points) + low[:, None]).ravel()
    weight = ((high - low)[:, None] / 2 * weights).ravel()
    return 0.5 * scipy.special.j0(np.outer(g, u)) @ ((weight * u)[:, None] / np.hypot(u[:, None], d))


def gregory_weights(order: int) -> Array:
    """End weights of a sum over samples, exact for polynomials below `order`: 1 trapezoid, 3 (3/8, 7/6, 23/24).

    Beyond the `order` first samples all weights are one.
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


def _source_weights(ends: Array, n: int) -> Array:
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


def box_mean_of_inverse_distance(a: float, b: float, c: float) -> float:
    """(1/abc) ∫ 1/r over a box of edges a, b, c about its middle: the own cell of `cell` samples. Cube: 2.380077/a."""
    half = [a / 2, b / 2, c / 2]
    r = sqrt(sum(x * x for x in half))
    total = 0.0
    for i in range(3):
        x, y, z = half[i], half[(i + 1) % 3], half[(i + 2) % 3]
        total += y * z * np.log((r + x) / (r - x)) - x * x * np.arctan(y * z / (x * r))
    return float(4 * total / (a * b * c))


@dataclass(frozen=True, eq=False)
class CylinderTable:
    """Kernel of a cylinder at every distance: potentials are exact sums over planes.

    table    (n, classes): plane distance 0 ... n - 1 by class of in-plane modes, end weights and scale included
    classes  (n1, n2//2 + 1) int32: class of each mode of rfft2
    source   (2, n): weight of each plane in the sums from below and from above
    shape    (n1, n2) points of a plane
    """

    table: Array
    classes: NDArray[np.int32]
    shape: tuple[int, int]
    source: Array


@dataclass(frozen=True, eq=False)
class MarchFit:
    """Kernel of a cylinder as recursions from plane to plane, at plane distance d:

        own_weight own_factor^d + Σ_s weights[2s : 2s + 2] · propagators[s]^d (1, 1),  plus near[d] for d < NEAR

    propagators  (sections, 2, 2), shared by all modes
    weights      (2 sections, classes)
    own_factor, own_weight  (classes,)
    near         (NEAR, classes)
    classes      (n1, n2//2 + 1) int32: class of each mode of rfft2
    source       (2, n): weight of each plane in the sums from below and from above
    shape        (n1, n2) points of a plane
    error        largest error of the kernel found, over its largest value
    """

    propagators: Array
    weights: Array
    own_factor: Array
    own_weight: Array
    near: Array
    classes: NDArray[np.int32]
    shape: tuple[int, int]
    source: Array
    error: float


def _classes(lengths: Array) -> tuple[Array, NDArray[np.int32]]:
    """(2, classes) wavevectors that differ, and the class of each mode."""
    largest = max(float(lengths.max()), np.finfo(float).tiny)
    rounded = np.round(lengths.reshape(2, -1) / largest * 2**40)
    key = rounded[0] * 2.0**41 + rounded[1]  # ordered by the shorter one; equal keys differ by less than 1e-12
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return lengths.reshape(2, -1)[:, first], inverse.reshape(lengths.shape[1:]).astype(np.int32)


def cylinder_table(
    vectors: ArrayLike,
    shape: tuple[int, int],
    step: float,
    n: int,
    radius: float,
    *,
    order: int = 1,
    inverse_eps0: float = 1.0,
) -> CylinderTable:
    """Table of the analytic kernel for n planes a step apart, on in-plane vectors (2, 2 or 3) with shape points.

    order  of Gregory's end weights. 8 n bytes a class: on large grids, MarchFit.
    """
    _check(radius, step, n)
    lengths, classes = _classes(in_plane_wavevectors(vectors, shape))
    distance = step * np.arange(float(n))
    table = khat_table(lengths[0], distance, radius)
    mixed = lengths[0] != lengths[1]
    table[mixed] = (table[mixed] + khat_table(lengths[1][mixed], distance, radius)) / 2
    ends = gregory_weights(order)
    table = table.T * (step * inverse_eps0)
    table[: len(ends)] *= ends[: len(table), None]
    return CylinderTable(table, classes, shape, _source_weights(ends, n))


def march_fit(
    vectors: ArrayLike,
    shape: tuple[int, int],
    step: float,
    n: int,
    radius: float,
    *,
    order: int = 1,
    inverse_eps0: float = 1.0,
    tolerance: float = 5e-7,
    sections: Sequence[int] = SECTIONS,
    dtype: Any = np.float64,
) -> MarchFit:
    """Fit of the analytic kernel: the fewest sections that reach the tolerance, else the best; see MarchFit.error.

    dtype  in which the march will run: slow exponentials rounded to float32 would decay otherwise over many planes, so
           they are rounded first and the weights fitted to them.
    """
    _check(radius, step, n)
    if order > NEAR:
        raise InputError(f"End weights of order {order}: a march holds {NEAR} planes. Use cylinder_table.")
    lengths, classes = _classes(in_plane_wavevectors(vectors, shape))
    g, R = lengths * step, radius / step  # in plane distances from here on
    mixed = g[0] != g[1]
    slow, fast = _own(g, R)
    share = (1 + slow / fast * np.exp((slow - fast) * NEAR)) / 2  # the faster of two readings, met where it is largest
    nodes = _nodes(n)
    remainder = khat_table(g[0], nodes, R)
    remainder[mixed] = (remainder[mixed] + khat_table(g[1][mixed], nodes, R)) / 2
    fit = _fitted(g[0], share, remainder, nodes, R, n, tolerance, sections, dtype)
    ends = gregory_weights(order)
    return _finished(fit, g[0], share, remainder, R, ends, classes, shape, n, step**2 * inverse_eps0, dtype)


def sampled_planes(
    vectors: ArrayLike,
    shape: tuple[int, int],
    distances: ArrayLike,
    radius: float,
    own: float,
) -> Array:
    """(len(d), n1, n2//2 + 1) spectra of 1/r sampled within the radius, area/(4π) included: direct sums, as modes.

    own  value at r = 0: node_weight of the in-plane steps, or the mean over a cell of cell samples. The images of a
    disc wider than the cell are added.
    """
    rows = np.asarray(vectors, dtype=float)
    steps = rows / np.array(shape)[:, None]
    area = sqrt(np.linalg.det(steps @ steps.T))
    offsets, squared = disc_points(steps, radius)
    place = offsets[:, 0] % shape[0] * shape[1] + offsets[:, 1] % shape[1]
    result = np.empty((np.size(distances), shape[0], shape[1] // 2 + 1))
    for k, d in enumerate(np.ravel(distances)):
        r = np.sqrt(squared + d * d)
        with np.errstate(divide="ignore"):
            values = np.where(r > 0, 1 / r, own)
        plane = np.bincount(place, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
        result[k] = np.fft.rfft2(plane).real * (area / (4 * pi))
    return result


def sampled_table(
    vectors: ArrayLike,
    shape: tuple[int, int],
    step: float,
    n: int,
    radius: float,
    own: float,
    inverse_eps0: float = 1.0,
) -> CylinderTable:
    """Table of the sampled kernel (`cell` samples): the same as direct summation, half weight for the plane at x_b."""
    _check(radius, step, n)
    planes = sampled_planes(vectors, shape, step * np.arange(n), radius, own)
    planes[0] *= 0.5
    classes = np.arange(planes[0].size, dtype=np.int32).reshape(planes[0].shape)
    return CylinderTable(planes.reshape(n, -1) * (step * inverse_eps0), classes, shape, np.ones((2, n)))


def sampled_march_fit(
    vectors: ArrayLike,
    shape: tuple[int, int],
    step: float,
    n: int,
    radius: float,
    own: float,
    *,
    inverse_eps0: float = 1.0,
    tolerance: float = 5e-7,
    sections: Sequence[int] = SECTIONS,
    dtype: Any = np.float64,
) -> MarchFit:
    """Fit of the sampled kernel: exponents of the analytic one, weights for every mode; dtype as in march_fit."""
    _check(radius, step, n)
    g = in_plane_wavevectors(vectors, shape)[0].ravel() * step
    nodes = _nodes(n)
    remainder = sampled_planes(vectors, shape, step * nodes, radius, own).reshape(len(nodes), -1).T / step
    R, share = radius / step, np.ones(len(g))
    fit = _fitted(g, share, remainder, nodes, R, n, tolerance, sections, dtype)
    classes = np.arange(len(g), dtype=np.int32).reshape(shape[0], -1)
    ends = np.array([0.5])
    finished = _finished(fit, g, share, remainder, R, ends, classes, shape, n, step**2 * inverse_eps0, dtype)
    return MarchFit(**{**vars(finished), "source": np.ones((2, n))})


def _check(radius: float, step: float, n: int) -> None:
    if not radius > 0 or np.isinf(radius):
        raise InputError(f"Cylinder of radius {radius}: give a positive, finite radius.")
    if not step > 0 or n < 1:
        raise InputError(f"{n} planes {step} apart: at least one plane and a positive step are needed.")


def _nodes(n: int) -> Array:
    """Plane distances at which weights are fitted: the nearest ones all, then ever wider apart."""
    last = max(n - 1, 4 * max(SECTIONS))
    far = np.geomspace(NEAR + 32, last, 72) if last > NEAR + 32 else np.zeros(0)
    return np.unique(np.round(np.concatenate([np.arange(min(NEAR + 32, last + 1)), far])))


def _own(g: Array, R: float) -> Array:
    """Decay of each mode's own exponential, per plane."""
    return np.maximum(g, EDGE_SCALE / R)


def _own_factor(g: Array, R: float, dtype: Any) -> Array:
    """Of one plane, as the recursion has it."""
    return np.exp(-_own(g, R)).astype(dtype).astype(float)


def _own_part(g: Array, share: Array, d: Array, R: float, dtype: Any = np.float64) -> Array:
    return _own_factor(g, R, dtype)[:, None] ** d * (share / (2 * _own(g, R)))[:, None]


def _shift_basis(R: float, n: int, terms: int) -> tuple[Array, int]:
    """Subspace of the remainder's samples at many g, strongest first, and their stride in planes."""
    count = max(n - NEAR, 4 * terms)
    stride = ceil(count / FIT_SAMPLES)
    d = NEAR + stride * np.arange(float(ceil(count / stride)))
    g = np.concatenate([np.linspace(0.0, 4 / R, 32), np.linspace(4 / R, 60 / R, 96)[1:]])
    samples = khat_table(g, d, R) - _own_part(g, np.ones(len(g)), d, R)
    _, strength, shapes = np.linalg.svd(samples, full_matrices=False)
    channels = (strength[:, None] * shapes)[:30]
    window = max(len(d) // 2, terms + 1)
    hankel = np.concatenate([np.lib.stride_tricks.sliding_window_view(c, window).T for c in channels], axis=1)
    return np.linalg.svd(hankel, full_matrices=False)[0][:, :terms], stride


def _shared_exponents(basis: Array, stride: int, R: float, n: int) -> NDArray[Any]:
    """z_j by shift invariance (ESPRIT): of a pair of conjugates one, real ones singly.

    What turns faster than the disc's edge allows is rounding, and left out.
    """
    step = np.linalg.lstsq(basis[:-1], basis[1:], rcond=None)[0]
    z = np.linalg.eigvals(step).astype(complex)
    z = np.where(np.abs(z) < 1, z, z / np.abs(z) * (1 - 1e-3 * stride / n))
    z = z[(z.imag >= 0) & (z.real > 0)] ** (1 / stride)
    return z[np.angle(z) < FASTEST_TURN / R]


def _propagators(z: NDArray[Any], sections: int) -> Array:
    """(sections, 2, 2): rotations for pairs, two real decays to a section; zeros for sections not needed."""
    pairs, single = z[z.imag > 0], np.sort(z[z.imag == 0].real)
    propagators = np.zeros((sections, 2, 2))
    for s, p in enumerate(pairs):
        propagators[s] = [[p.real, -p.imag], [p.imag, p.real]]
    for k, decay in enumerate(single):
        propagators[len(pairs) + k // 2, k % 2, k % 2] = decay
    return propagators


def _responses(propagators: Array, d: Array) -> Array:
    """(2 sections, len(d)): both states of each section d planes after a unit source."""
    responses = []
    for m in propagators:
        if m[0, 1]:
            state = (m[0, 0] + 1j * m[1, 0]) ** d * (1 + 1j)
            responses += [state.real, state.imag]
        else:
            responses += [m[0, 0] ** d, m[1, 1] ** d]
    return np.array(responses)


def _fitted(
    g: Array,
    share: Array,
    kernel: Array,
    nodes: Array,
    R: float,
    n: int,
    tolerance: float,
    sections: Sequence[int],
    dtype: Any,
) -> tuple[Array, Array, float]:
    """Propagators, weights (2 sections, classes) and the error at nodes left out of the fit."""
    far = nodes >= NEAR
    remainder = kernel[:, far] - _own_part(g, share, nodes[far], R, dtype)
    kept = np.ones(far.sum(), dtype=bool)
    kept[1:-1:3] = False  # these tell the error
    kept[:6] = True
    best: tuple[Array, Array, float] | None = None
    basis, stride = _shift_basis(R, n, 2 * max(sections))
    for count in sorted(sections):
        exact = _propagators(_shared_exponents(basis[:, : 2 * count], stride, R, n), count)
        propagators = exact.astype(dtype).astype(float)
        responses = _responses(propagators, nodes[far])
        solved = np.linalg.lstsq(responses[:, kept].T, remainder[:, kept].T, rcond=1e-14)[0]
        weights = np.asarray(solved.T, dtype=float)
        missed = np.abs(weights @ responses - remainder)[:, nodes[far] < n]
        error = float(missed.max(initial=0.0) / np.abs(kernel).max())
        if best is None or error < best[2]:
            best = propagators, weights.T, error
        if error <= tolerance:
            break
    assert best is not None
    return best


def _finished(
    fit: tuple[Array, Array, float],
    g: Array,
    share: Array,
    kernel: Array,
    R: float,
    ends: Array,
    classes: NDArray[np.int32],
    shape: tuple[int, int],
    n: int,
    scale: float,
    dtype: Any,
) -> MarchFit:
    """The near planes get what the recursions lack, end weights included."""
    propagators, weights, error = fit
    near = np.arange(float(NEAR))
    by_recursion = weights.T @ _responses(propagators, near) + _own_part(g, share, near, R, dtype)
    factor = np.ones(NEAR)
    factor[: len(ends)] = ends
    lacking = (kernel[:, :NEAR] * factor - by_recursion).T
    return MarchFit(
        propagators=propagators,
        weights=weights * scale,
        own_factor=_own_factor(g, R, dtype),
        own_weight=share / (2 * _own(g, R)) * scale,
        near=lacking * scale,
        classes=classes,
        shape=shape,
        source=_source_weights(ends, n),
        error=error,
    )
