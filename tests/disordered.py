"""Seeded disordered fields: real white noise whose modes are multiplied so that S(k) ~ |k lc|^alpha exp(-(k lc)²)."""

import numpy as np


def disordered(alpha, shape, spacing, correlation=0.25, seed=0):
    """Values of mean 0 on a periodic grid of equal spacings along one, two or three axes."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    axes = [2 * np.pi * np.fft.fftfreq(n, spacing) for n in shape]
    k = np.sqrt(sum(x**2 for x in np.meshgrid(*axes, indexing="ij"))) * correlation
    with np.errstate(divide="ignore"):
        amplitude = np.where(k > 0, k ** (alpha / 2) * np.exp(-(k**2) / 2), 0.0)
    return np.fft.ifftn(np.fft.fftn(noise) * amplitude).real
