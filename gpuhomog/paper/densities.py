"""Densities that the paper's figures are recomputed from, each made by a formula or from a seed.

    disorder  real white noise, its modes multiplied by |k c|^(α/2) exp(-k² c²/2):  S(k) ~ |k c|^α exp(-k² c²)
    pairs     +1 and -1 a distance b apart, one pair each period a, from a surface on
    crystals  normalized Gaussian ions on a grid of the primitive cell

α says how the charge of a length fluctuates: 0 without order, 2 where each charge has its opposite beside it, 4 where
dipoles are compensated as well.

In   seed, lengths [Å], charges [e].
Out  Profile, PointCharges, Field.

>>> float(disorder(2.0, n=1024).values.std().round(12))
1.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .. import Field, PointCharges, Profile, Structure, charge_density
from ..structure import SYMBOLS

SEED = 2403
CORRELATION = 0.25
"""c of the disordered densities [Å]: half the distance over which they are correlated."""


def disorder(alpha: float, n: int = 2**15, spacing: float = 0.125, seed: int = SEED) -> Profile:
    """A periodic charge density of mean 0 and standard deviation 1 e/Å^3, with S(k) ~ k^alpha at small k.

    n, spacing  samples and their distance [Å]
    """
    k = 2 * np.pi * np.fft.rfftfreq(n, spacing) * CORRELATION
    amplitude = np.where(k > 0, np.maximum(k, k[1]) ** (alpha / 2) * np.exp(-(k**2) / 2), 0.0)
    values = np.fft.irfft(np.fft.rfft(np.random.default_rng(seed).standard_normal(n)) * amplitude, n)
    return line_of_charge(values / values.std(), spacing)


def line_of_charge(values: ArrayLike, spacing: float, boundary: str = "periodic") -> Profile:
    """Values one spacing apart as a charge density [e/Å^3]."""
    array = np.asarray(values, dtype=np.float64)
    position = np.arange(len(array), dtype=np.float64) * spacing
    return Profile(position, array, "e/Å^3", "charge_density", len(array) * spacing, boundary=boundary)


def pairs(n: int, a: float, b: float, x_surface: float) -> PointCharges:
    """n pairs of +1 and -1 e/Å^2, b apart, one each period a; the first positive charge lies at x_surface."""
    low = x_surface + a * np.arange(n)
    return PointCharges(np.concatenate([low, low + b]), np.repeat([1.0, -1.0], n), area=1.0)


def packets(points: PointCharges, std: float, n: int, spacing: float) -> Profile:
    """The same charges as normalized Gaussian packets on an open line [e/Å^3]."""
    x = np.arange(n)[:, None] * spacing
    shape = np.exp(-0.5 * ((x - np.asarray(points.positions)) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    return line_of_charge(shape @ np.asarray(points.charges), spacing, boundary="open")


def crystal(
    cell: ArrayLike,
    ions: Mapping[str, Sequence[Sequence[float]]],
    charges: Mapping[str, float],
    std: float,
    shape: tuple[int, int, int],
    device: str = "auto",
) -> Field:
    """A crystal of Gaussian ions [e/Å^3].

    cell     (3, 3) lattice vectors as rows [Å]
    ions     of each element: places, fractions of the vectors
    charges  of each element [e]
    std      standard deviation of the ions [Å]
    """
    numbers = [SYMBOLS.index(symbol) for symbol, places in ions.items() for _ in places]
    positions = np.array([place for places in ions.values() for place in places]) @ np.array(cell)
    structure = Structure(np.array(numbers), positions)
    empty = np.zeros(shape)
    field = Field.from_array(empty, cell, quantity="electron_density", structure=structure, device=device)
    return charge_density(field, ion_charges=dict(charges), width=std)


def face_centred(a: float) -> list[list[float]]:
    """Primitive vectors of a face-centred cubic crystal of cubic lattice constant a [Å]."""
    return [[0.0, a / 2, a / 2], [a / 2, 0.0, a / 2], [a / 2, a / 2, 0.0]]


def planes_of_gaussians(
    parts: Sequence[Sequence[float]], n: int, a: float, area: float, spacing: float, vacuum: float
) -> Profile:
    """A slab of n layers from 0 on, a apart, with vacuum on both sides [e/Å^3].

    parts  of each layer: (offset from it [Å], charge in a cell of its plane [e], standard deviation [Å])
    """
    position = np.asarray(np.arange(round((a * (n - 1) + 2 * vacuum) / spacing)) * spacing - vacuum, dtype=np.float64)
    values = np.zeros(len(position))
    for offset, charge, std in parts:
        away = (position[:, None] - offset - a * np.arange(n)) / std
        values += charge / area * np.exp(-0.5 * away**2).sum(axis=1) / (std * np.sqrt(2 * np.pi))
    length = len(position) * spacing
    return Profile(position, values, "e/Å^3", "charge_density", length, area=area)
