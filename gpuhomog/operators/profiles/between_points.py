"""Profiles between their points: value and integral at any position, from the samples alone.

    p(x) = Σ_n p̃_n e^{i n G x},   G = 2π/L        periodic: exact for a band-limited profile
    ∫_0^x p = p̃_0 x + Σ_{n≠0} p̃_n (e^{i n G x} - 1)/(i n G)

An open profile has no Fourier series: a spline of degree 7 through its samples serves between them, error O(h^8).

In   Profile, positions in Å (any, a periodic profile repeats).
Out  arrays of the positions' shape.

>>> x = np.linspace(0, 2.0, 8, endpoint=False)
>>> profile = Profile(x, np.sin(np.pi * x), "V", "scalar", 2.0)
>>> [round(float(v), 12) for v in (values_at(profile, 0.3), integral(profile, 0.0, 1.0))]
[0.809016994375, 0.636619772368]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...grid import OPEN
from ...results import Profile

Array = NDArray[np.float64]

SPLINE_DEGREE = 7
BLOCK = 2_000_000
"""Most positions times waves that are summed at once."""


def values_at(profile: Profile, positions: ArrayLike) -> Array:
    """Values at any positions [Å]. Raises InputError outside the sampled positions of an open profile."""
    x = _finite(profile, positions)
    if profile.boundary == OPEN:
        spline, x = _spline(profile, x, SPLINE_DEGREE)
        return np.asarray(spline(x), dtype=np.float64)
    wavevectors, coefficients = harmonics(profile.values, profile.length, nyquist=True)
    return profile.mean() + waves_at(wavevectors, coefficients, np.mod(x, profile.length))[0]


def cumulative_at(profile: Profile, positions: ArrayLike, degree: int = SPLINE_DEGREE) -> Array:
    """∫ p dx from the first position of the profile to any others [unit·Å]; InputError as `values_at`.

    degree  of the spline of an open profile: odd
    """
    x = _finite(profile, positions)
    if profile.boundary == OPEN:
        spline, x = _spline(profile, x, degree)
        primitive = spline.antiderivative()
        return np.asarray(primitive(x) - primitive(0.0), dtype=np.float64)
    wavevectors, coefficients = harmonics(profile.values, profile.length, nyquist=True)
    integrals = coefficients / (1j * wavevectors)
    waves = waves_at(wavevectors, integrals, np.mod(x, profile.length))[0]
    return profile.mean() * x - float(integrals.sum().real) + waves


def integral(profile: Profile, start: float, stop: float) -> float:
    """∫ p dx from start to stop [unit·Å]; may run over the end of a periodic profile; InputError as `values_at`."""
    first, last = cumulative_at(profile, [start, stop])
    return float(last - first)


def window_mean(profile: Profile, start: float, stop: float) -> float:
    """Mean value between two positions, fractional ends included, in the profile's unit; InputError unless in order."""
    if not stop > start:
        raise InputError(f"Window from {start} to {stop} Å: its end must lie beyond its start.")
    return integral(profile, start, stop) / (stop - start)


def resampled(profile: Profile, n: int) -> tuple[Array, Array]:
    """(n,) equally spaced positions over the profile, and its values there (band-limited, or by the spline)."""
    origin = float(profile.position[0])
    if profile.boundary == OPEN:
        positions: Array = np.linspace(origin, float(profile.position[-1]), n)
        return positions, values_at(profile, positions)
    positions = np.asarray(origin + np.arange(n) * (profile.length / n), dtype=np.float64)
    return positions, resample_periodic(profile.values, n)


def harmonics(values: Array, length: float, *, nyquist: bool = False) -> tuple[Array, NDArray[np.complex128]]:
    """Wavevectors G n, n > 0, and coefficients: values - mean = Re Σ c_n e^{iGnx} from the first position on.

    nyquist  with N/2 of an even number of values, as a cosine; else below Nyquist only
    """
    n = len(values)
    count = n // 2 if nyquist else (n - 1) // 2
    coefficients = np.asarray(2 * np.fft.rfft(values)[1 : count + 1] / n)
    if nyquist and n % 2 == 0:
        coefficients[-1] *= 0.5
    return np.asarray(2 * np.pi * np.arange(1, count + 1) / length, dtype=np.float64), coefficients


def resample_periodic(values: Array, n: int) -> Array:
    """Band-limited interpolation of one period to n points, n at least the number of samples."""
    m = len(values)
    spectrum = np.fft.rfft(values)
    if m % 2 == 0 and n > m:
        spectrum[-1] *= 0.5  # half of the Nyquist mode belongs to its mirror image
    return np.asarray(np.fft.irfft(spectrum, n) * (n / m), dtype=np.float64)


def waves_at(wavevectors: Array, coefficients: NDArray[np.complex128], x: ArrayLike) -> Array:
    """(rows, *x.shape) Re Σ_n c_n exp(i k_n x), of (rows, n) coefficients or of one row; a BLOCK of phases at once."""
    x = np.asarray(x, dtype=np.float64)
    flat, rows = x.reshape(-1), np.atleast_2d(coefficients)
    out = np.empty((len(rows), len(flat)))
    step = max(1, BLOCK // max(1, len(wavevectors)))
    for start in range(0, len(flat), step):
        piece = slice(start, start + step)
        phases = np.exp(1j * np.outer(flat[piece], wavevectors))
        for sums, row in zip(out, rows, strict=True):
            sums[piece] = (phases @ row).real
    return out.reshape(len(rows), *x.shape)


def _finite(profile: Profile, positions: ArrayLike) -> Array:
    """Positions from the profile's first one on; InputError unless they are finite."""
    x = np.asarray(positions, dtype=np.float64) - profile.position[0]
    if not np.isfinite(x).all():
        raise InputError("Positions hold NaN or infinity: give finite distances in Å.")
    return np.asarray(x)


def _spline(profile: Profile, x: Array, degree: int) -> tuple[Any, Array]:
    """The spline through the samples, and positions moved onto them; InputError where they lie outside."""
    from scipy.interpolate import make_interp_spline

    samples = profile.position - profile.position[0]
    slack = 1e-9 * profile.length
    if x.size and (x.min() < -slack or x.max() > samples[-1] + slack):
        raise InputError(
            f"Position {x.min() if x.min() < -slack else x.max():.6g} Å lies outside the open profile, "
            f"whose samples end at {samples[-1]:.6g} Å."
        )
    degree = min(degree, len(samples) - 1)
    degree -= 1 - degree % 2 if degree > 1 else 0
    return make_interp_spline(samples, profile.values, k=degree), np.clip(x, 0.0, samples[-1])
