"""Oracles: slower or more special than what the package does, and kept for what tests compare with.

box_mean_of_inverse_distance   own cell of direct sums of cell averages
sampled_table, sampled_march_fit   kernels of a cylinder that equal direct sums over the points of its discs
whole_filter                   a filter in Fourier space by NumPy, all modes complex
halo_bytes                     what a halo brings to each rank, from the planes that each wants
"""

from dataclasses import replace
from math import pi, sqrt

import numpy as np

from gpuhomog.operators.potentials.cylinder_fit import SECTIONS, _finished, _fitted, _Modes, _nodes
from gpuhomog.operators.potentials.cylinder_table import CylinderTable, disc_points, in_plane_wavevectors
from gpuhomog.parallel import Slab, model


def box_mean_of_inverse_distance(a, b, c):
    """(1/abc) ∫ 1/r over a box of edges a, b, c about its middle: the own cell of `cell` samples. Cube: 2.380077/a."""
    half = [a / 2, b / 2, c / 2]
    r = sqrt(sum(x * x for x in half))
    total = 0.0
    for i in range(3):
        x, y, z = half[i], half[(i + 1) % 3], half[(i + 2) % 3]
        total += y * z * np.log((r + x) / (r - x)) - x * x * np.arctan(y * z / (x * r))
    return float(4 * total / (a * b * c))


def sampled_planes(vectors, shape, distances, radius, own):
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


def sampled_table(vectors, shape, step, n, radius, own, inverse_eps0=1.0):
    """Table of the sampled kernel (`cell` samples): the same as direct summation, half weight for the plane at x_b."""
    planes = sampled_planes(vectors, shape, step * np.arange(n), radius, own)
    planes[0] *= 0.5
    classes = np.arange(planes[0].size, dtype=np.int32).reshape(planes[0].shape)
    return CylinderTable(classes, shape, np.ones((2, n)), planes.reshape(n, -1) * (step * inverse_eps0))


def sampled_march_fit(
    vectors, shape, step, n, radius, own, *, inverse_eps0=1.0, tolerance=5e-7, sections=SECTIONS, dtype=np.float64
):
    """Fit of the sampled kernel: exponents of the analytic one, weights for every mode; dtype as in march_fit."""
    g = in_plane_wavevectors(vectors, shape)[0].ravel() * step
    nodes = _nodes(n)
    remainder = sampled_planes(vectors, shape, step * nodes, radius, own).reshape(len(nodes), -1).T / step
    modes = _Modes(g, np.ones(len(g)), radius / step, dtype)
    fit = _fitted(modes, remainder, nodes, n, tolerance, sections, 0.0)
    classes = np.arange(len(g), dtype=np.int32).reshape(shape[0], -1)
    ends = np.array([0.5])
    finished = _finished(modes, fit, remainder, ends, classes, shape, n, step**2 * inverse_eps0)
    return replace(finished, source=np.ones((2, n)))


def halo_bytes(n, size, before, after, plane_bytes, periodic=True):
    """Each rank that has planes fetches `before` planes below its slab and `after` above; windows may exceed slabs."""
    wanted = []
    for rank in range(size):
        own = Slab.of(n, rank, size)
        start, stop = own.start - before, own.stop + after
        if not periodic:
            start, stop = max(0, start), min(n, stop)
        wanted.append(range(start, stop if own.n_local else start))
    return model.fetch_bytes(n, wanted, plane_bytes)


def whole_filter(values, shape, parts):
    """By NumPy, all modes complex; Nyquist modes of even axes the mean over both signs."""
    total = np.zeros(shape, complex)
    for signs in np.ndindex(2, 2, 2):
        modes = [np.fft.fftfreq(n, 1 / n) for n in shape]
        for mode, n, sign in zip(modes, shape, signs, strict=True):
            if n % 2 == 0 and sign:
                mode[n // 2] = n / 2
        factor = np.ones(shape, complex) / 8
        for part in parts:
            factor = factor * part(*np.meshgrid(*modes, indexing="ij"))
        total += factor
    return np.fft.ifftn(np.fft.fftn(values, shape, axes=(0, 1, 2)) * total).real[tuple(slice(n) for n in values.shape)]
