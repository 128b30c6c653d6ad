"""Fits of the cylinder's kernel by a few exponentials, so that potentials march from plane to plane.

Φ_L (cylinder_table.py) at all x_b is a causal sum over planes. Without its disc, Khat would be e^{-gd}/(2g): one
exponential for each g. What the disc's edge takes from it is smooth on the scale R, for every g alike, and a few
exponentials with exponents shared by all g hold it:

    Khat(g, d, R) ≈ e^{-κd}/(2κ) + Σ_j c_j(g) Re or Im z_j^d,   κ = max(g, 3/R),   d ≥ NEAR planes

z_j come from the shift invariance of the sampled remainder (ESPRIT, many g at once), c_j by least squares; |c_j| are
of the size of the largest Khat, so that little cancels. Planes nearer than NEAR have weights of their own, exact ones.

    radius/planes    8 terms    12 terms    16 terms    20 terms       largest error over the largest Khat
    64/512           3e-6       7e-9        3e-10       6e-12
    16/512           8e-6       8e-8        7e-10       2e-11
    4/512            1e-5       2e-7        2e-9        5e-11
    64/1024          7e-6       5e-8        3e-10       6e-12

A march may be interrupted: the states of the recursions and the last planes, n_states of them, are all that a slab
needs to know of those behind it.

In   as cylinder_table.
Out  MarchFit for the device primitives.

>>> fit = march_fit(np.eye(2), (4, 4), 0.5, 3, 2.0, sections=[4])
>>> fit.n_states, fit.error < 1e-5
(12, True)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from .cylinder_kernel import Array, khat_table
from .cylinder_table import (
    KernelOfModes,
    check_cylinder,
    classes_of,
    gregory_weights,
    in_plane_wavevectors,
    source_weights,
)

NEAR = 4
"""Planes next to x_b, its own included, whose weights are exact."""
SECTIONS = (4, 6, 8, 10)
"""Pairs of exponentials that the CUDA kernels are compiled for."""
EDGE_SCALE = 3.0
"""No exponential of a mode is slower than e^{-3d/R}: beyond, the shared ones are better."""
FASTEST_TURN = 30.0
"""Shared exponents turn by less than this angle over a distance R."""
FIT_SAMPLES = 400
"""Distances at which the shared exponents are sought."""


@dataclass(frozen=True, eq=False)
class MarchFit(KernelOfModes):
    """Kernel of a cylinder as recursions from plane to plane, at plane distance d:

        own_weight own_factor^d + Σ_s weights[2s : 2s + 2] · propagators[s]^d (1, 1),  plus near[d] for d < NEAR

    propagators  (sections, 2, 2), shared by all modes
    weights      (2 sections, classes)
    own_factor, own_weight  (classes,)
    near         (NEAR, classes)
    error        largest error of the kernel found, over its largest value
    """

    propagators: Array
    weights: Array
    own_factor: Array
    own_weight: Array
    near: Array
    error: float

    @property
    def n_states(self) -> int:
        """Spectra of planes that tell all about the planes behind: the recursions' states and the last planes."""
        return 1 + 2 * len(self.propagators) + len(self.near) - 1

    def by_distance(self, n: int, classes: NDArray[Any]) -> Array:
        """(n, classes) kernel of some classes at plane distances 0 … n - 1."""
        d = np.arange(float(n))
        own = self.own_weight[classes] * self.own_factor[classes] ** d[:, None]
        kernel = own + _responses(self.propagators, d).T @ self.weights[:, classes]
        kernel[: len(self.near)] += self.near[:n, classes]
        return np.asarray(kernel)


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
    edge: float = 0.0,
) -> MarchFit:
    """Fit of the analytic kernel: the fewest sections that reach the tolerance, else the best; see MarchFit.error.

    dtype  in which the march will run: slow exponentials rounded to float32 would decay otherwise over many planes, so
           they are rounded first and the weights fitted to them.
    others  as in cylinder_table

    Raises InputError for what is no cylinder, and for end weights beyond the planes that a march holds.
    """
    check_cylinder(radius, step, n)
    if order > NEAR:
        raise InputError(f"End weights of order {order}: a march holds {NEAR} planes. Use cylinder_table.")
    lengths, classes = classes_of(in_plane_wavevectors(vectors, shape))
    g, R, soft = lengths * step, radius / step, edge / step  # in plane distances from here on
    mixed = g[0] != g[1]
    slow, fast = _own(g, R)
    share = (1 + slow / fast * np.exp((slow - fast) * NEAR)) / 2  # the faster of two readings, met where it is largest
    nodes = _nodes(n)
    kernel = khat_table(g[0], nodes, R, soft)
    kernel[mixed] = (kernel[mixed] + khat_table(g[1][mixed], nodes, R, soft)) / 2
    modes = _Modes(g[0], share, R, dtype)
    fit = _fitted(modes, kernel, nodes, n, tolerance, sections, soft)
    return _finished(modes, fit, kernel, gregory_weights(order), classes, shape, n, step**2 * inverse_eps0)


def _nodes(n: int) -> Array:
    """Plane distances at which weights are fitted: the nearest ones all, then ever wider apart."""
    last = max(n - 1, 4 * max(SECTIONS))
    far = np.geomspace(NEAR + 32, last, 72) if last > NEAR + 32 else np.zeros(0)
    return np.unique(np.round(np.concatenate([np.arange(min(NEAR + 32, last + 1)), far])))


def _own(g: Array, R: float) -> Array:
    """Decay of each mode's own exponential, per plane."""
    return np.maximum(g, EDGE_SCALE / R)


@dataclass(frozen=True)
class _Modes:
    """Each mode's own exponential: |g|, its share, the disc's radius in plane distances, the precision of the march."""

    g: Array
    share: Array
    R: float
    dtype: Any = np.float64

    @property
    def own_factor(self) -> Array:
        """Of one plane, as the recursion has it."""
        return np.exp(-_own(self.g, self.R)).astype(self.dtype).astype(float)

    @property
    def own_weight(self) -> Array:
        """On the plane itself."""
        return np.asarray(self.share / (2 * _own(self.g, self.R)))

    def own_part(self, d: Array) -> Array:
        """(modes, len(d)) d planes away."""
        return np.asarray(self.own_factor[:, None] ** d * self.own_weight[:, None])


def _shift_basis(R: float, n: int, terms: int, edge: float) -> tuple[Array, int]:
    """Subspace of the remainder's samples at many g, strongest first, and their stride in planes."""
    count = max(n - NEAR, 4 * terms)
    stride = ceil(count / FIT_SAMPLES)
    d = NEAR + stride * np.arange(float(ceil(count / stride)))
    g = np.concatenate([np.linspace(0.0, 4 / R, 32), np.linspace(4 / R, 60 / R, 96)[1:]])
    samples = khat_table(g, d, R, edge) - _Modes(g, np.ones(len(g)), R).own_part(d)
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
    modes: _Modes, kernel: Array, nodes: Array, n: int, tolerance: float, sections: Sequence[int], edge: float
) -> tuple[Array, Array, float]:
    """Propagators, weights (2 sections, classes) and the error at nodes left out of the fit."""
    far = nodes >= NEAR
    remainder = kernel[:, far] - modes.own_part(nodes[far])
    kept = np.ones(far.sum(), dtype=bool)
    kept[1:-1:3] = False  # these tell the error
    kept[:6] = True
    best: tuple[Array, Array, float] | None = None
    basis, stride = _shift_basis(modes.R, n, 2 * max(sections), edge)
    for count in sorted(sections):
        exact = _propagators(_shared_exponents(basis[:, : 2 * count], stride, modes.R, n), count)
        propagators = exact.astype(modes.dtype).astype(float)
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
    modes: _Modes,
    fit: tuple[Array, Array, float],
    kernel: Array,
    ends: Array,
    classes: NDArray[np.int32],
    shape: tuple[int, int],
    n: int,
    scale: float,
) -> MarchFit:
    """The near planes get what the recursions lack, end weights included."""
    propagators, weights, error = fit
    near = np.arange(float(NEAR))
    by_recursion = weights.T @ _responses(propagators, near) + modes.own_part(near)
    factor = np.ones(NEAR)
    factor[: len(ends)] = ends
    return MarchFit(
        propagators=propagators,
        weights=weights * scale,
        own_factor=modes.own_factor,
        own_weight=modes.own_weight * scale,
        near=(kernel[:, :NEAR] * factor - by_recursion).T * scale,
        classes=classes,
        shape=shape,
        source=source_weights(ends, n),
        error=error,
    )
