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

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...grid import OPEN
from ...results import Profile

SPLINE_DEGREE = 7


def values_at(profile: Profile, positions: ArrayLike) -> NDArray[np.float64]:
    """Values at any positions [Å]. Raises InputError outside the sampled positions of an open profile."""
    return _evaluate(profile, positions, 0)


def cumulative_at(profile: Profile, positions: ArrayLike, degree: int = SPLINE_DEGREE) -> NDArray[np.float64]:
    """∫ p dx from the first position of the profile to any others [unit·Å]; InputError as `values_at`.

    degree  of the spline of an open profile: odd
    """
    return _evaluate(profile, positions, -1, degree)


def integral(profile: Profile, start: float, stop: float) -> float:
    """∫ p dx from start to stop [unit·Å]; may run over the end of a periodic profile; InputError as `values_at`."""
    first, last = cumulative_at(profile, [start, stop])
    return float(last - first)


def window_mean(profile: Profile, start: float, stop: float) -> float:
    """Mean value between two positions, fractional ends included, in the profile's unit; InputError unless in order."""
    if not stop > start:
        raise InputError(f"Window from {start} to {stop} Å: its end must lie beyond its start.")
    return integral(profile, start, stop) / (stop - start)


def resampled(profile: Profile, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) equally spaced positions over the profile, and its values there (band-limited, or by the spline)."""
    origin = float(profile.position[0])
    if profile.boundary == OPEN:
        positions: NDArray[np.float64] = np.linspace(origin, float(profile.position[-1]), n)
        return positions, values_at(profile, positions)
    positions = np.asarray(origin + np.arange(n) * (profile.length / n), dtype=np.float64)
    return positions, resample_periodic(profile.values, n)


def harmonics(values: NDArray[np.float64], length: float) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Wavevectors G n below Nyquist, n > 0, and coefficients: values - mean = Re Σ c_n e^{iGnx} from the first on."""
    count = (len(values) - 1) // 2
    wavevectors = np.asarray(2 * np.pi * np.arange(1, count + 1) / length, dtype=np.float64)
    return wavevectors, np.asarray(2 * np.fft.rfft(values)[1 : count + 1] / len(values))


def resample_periodic(values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Band-limited interpolation of one period to n points, n at least the number of samples."""
    m = len(values)
    spectrum = np.fft.rfft(values)
    if m % 2 == 0 and n > m:
        spectrum[-1] *= 0.5  # half of the Nyquist mode belongs to its mirror image
    return np.asarray(np.fft.irfft(spectrum, n) * (n / m), dtype=np.float64)


def _evaluate(profile: Profile, positions: ArrayLike, order: int, degree: int = SPLINE_DEGREE) -> NDArray[np.float64]:
    x = np.asarray(positions, dtype=np.float64) - profile.position[0]
    if not np.isfinite(x).all():
        raise InputError("Positions hold NaN or infinity: give finite distances in Å.")
    return _open(profile, x, order, degree) if profile.boundary == OPEN else _periodic(profile, x, order)


def _periodic(profile: Profile, x: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    n = len(profile.values)
    coefficients = np.fft.rfft(profile.values) / n
    coefficients[1:] *= 2.0
    if n % 2 == 0:
        coefficients[-1] *= 0.5
    mean = coefficients[0].real
    k = 2 * np.pi / profile.length * np.arange(1, len(coefficients))
    multiplier = coefficients[1:] * (1j * k) ** order
    out = np.full(x.shape, mean if order == 0 else 0.0)
    if order == -1:
        out += mean * x - multiplier.sum().real
    flat = out.reshape(-1)
    for start in range(0, x.size, 4096):  # positions in pieces: n/2 phases each
        piece = slice(start, start + 4096)
        flat[piece] += (np.exp(1j * np.multiply.outer(x.reshape(-1)[piece], k)) @ multiplier).real
    return out


def _open(profile: Profile, x: NDArray[np.float64], order: int, degree: int) -> NDArray[np.float64]:
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
    spline = make_interp_spline(samples, profile.values, k=degree)
    x = np.clip(x, 0.0, samples[-1])
    if order == 1:
        return np.asarray(spline.derivative()(x), dtype=np.float64)
    if order == -1:
        primitive = spline.antiderivative()
        return np.asarray(primitive(x) - primitive(0.0), dtype=np.float64)
    return np.asarray(spline(x), dtype=np.float64)
