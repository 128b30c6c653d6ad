"""Gaussian charges as fields, for tests of potentials."""

import numpy as np
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.units import COULOMB_CONSTANT


def points(shape, cell):
    """(*shape, 3) positions of the grid points."""
    fractions = [np.arange(n) / n for n in shape]
    return np.stack(np.meshgrid(*fractions, indexing="ij"), axis=-1) @ np.asarray(cell, dtype=float)


def density(shape, cell, blobs, boundary, images=(0, 0, 0), **options):
    """Gaussian charges (q, standard deviation, centre), with so many images on either side along each axis."""
    r, total = points(shape, cell), np.zeros(shape)
    for number in np.ndindex(*(2 * n + 1 for n in images)):
        shift = (np.array(number) - images) @ np.asarray(cell, dtype=float)
        for q, width, centre in blobs:
            square = ((r - np.array(centre) - shift) ** 2).sum(axis=-1)
            total += q * np.exp(-square / (2 * width**2)) / (2 * np.pi * width**2) ** 1.5
    values = np.asarray(total, dtype=options.pop("dtype", np.float64), order=options.pop("order", "C"))
    return gh.Field.from_array(values, cell, quantity="charge_density", boundary=boundary, **options)


def alone(r, blobs):
    """Potential of Gaussian charges in empty space."""
    total = np.zeros(r.shape[:-1])
    for q, width, centre in blobs:
        distance = np.maximum(np.linalg.norm(r - np.array(centre), axis=-1), 1e-9)
        total += COULOMB_CONSTANT * q * erf(distance / (np.sqrt(2) * width)) / distance
    return total
