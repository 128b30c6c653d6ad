"""Averages of real DFT files against a direct Fourier sum, at points on and off the output grid's corners.

The route: NumPy's complex FFT of the file's values, then Σ_k f~(k) mu^(k) e^{ikr} added up mode by mode with
the transforms written out here. It shares nothing with the package but the reader (tested against pymatgen).
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import spherical_jn

import gpuhomog as gh

DATA = Path(__file__).parents[2] / "data"
FILES = [
    "Si_CHGCAR.gz",
    "graphene_LOCPOT.gz",
    "graphene_CHGCAR.gz",
    "NaMgF3_LOCPOT.gz",
    "NaMgF3_AECCAR2.gz",
    "SrTiO3.RHO",
]
pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter", "ignore:.*core electrons.*")


def fourier_sum(field, transform, points):
    """At grid points (n, 3), by index; both signs of every Nyquist mode, half each."""
    values, shape = field.to_host(), field.grid.shape
    coefficients = np.fft.fftn(values) / values.size
    out = np.zeros(len(points))
    signs = [(1, -1) if n % 2 == 0 else (1,) for n in shape]
    weight = 1.0 / np.prod([len(s) for s in signs])
    for a in signs[0]:
        for b in signs[1]:
            for c in signs[2]:
                modes = [np.fft.fftfreq(n, 1 / n) for n in shape]
                for m, n, sign in zip(modes, shape, (a, b, c), strict=True):
                    if n % 2 == 0:
                        m[n // 2] = sign * n / 2
                grid = np.stack(np.meshgrid(*modes, indexing="ij"), -1)
                k = grid @ (2 * np.pi * np.linalg.inv(field.grid.cell).T)
                damped = coefficients * transform(k, grid)
                for i, point in enumerate(points):
                    phases = [np.exp(2j * np.pi * m * p / n) for m, p, n in zip(modes, point, shape, strict=True)]
                    out[i] += weight * np.einsum("abc,a,b,c->", damped, *phases, optimize=True).real
    return out


@pytest.mark.parametrize("name", FILES)
def test_real_fields_equal_the_direct_fourier_sum(name):
    field = gh.read(DATA / name)
    lengths, shape = field.grid.lengths, np.array(field.grid.shape)
    scale = np.abs(field.to_host()).max()
    divisors = np.array([4 if n % 4 == 0 else 3 if n % 3 == 0 else 2 for n in shape])
    points = np.array([[0, 0, 0], [1, 1, 2], [3, 2, 1], [2, 0, 1]]) % divisors * (shape // divisors)

    def gaussian(eps):
        return lambda k, n: np.exp(-(eps**2) * (k**2).sum(axis=-1) / 8)

    def ball(eps):
        def transform(k, n):
            z = np.linalg.norm(k, axis=-1) * np.sqrt(5) * eps / 2
            return np.where(z == 0, 1.0, 3 * spherical_jn(1, z) / np.where(z == 0, 1.0, z))

        return transform

    def box(width):
        return lambda k, n: np.prod(np.sinc(n * width / lengths), axis=-1)

    for kernel, transform in (
        (gh.Gaussian(1.9), gaussian(1.9)),
        (gh.Ball(1.3), ball(1.3)),
        (gh.Box(1.7), box(1.7)),
    ):
        expected = fourier_sum(field, transform, points)
        full = gh.average(field, kernel).to_host()
        coarse = gh.average(field, kernel, spacing=lengths / divisors).to_host()
        at, sparse = tuple(points.T), tuple((points // (shape // divisors)).T)
        assert np.abs(full[at] - expected).max() < 1e-9 * scale
        assert np.abs(coarse[sparse] - expected).max() < 1e-9 * scale
