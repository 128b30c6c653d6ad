"""The spectral filter against NumPy's full complex FFT."""

import numpy as np
import pytest

from gpuhomog.errors import InputError
from gpuhomog.fft import AlongAxes, Derivative, Multiplier, OfWavevector, filtered


def both_signs(function, shape):
    """Multiplier on the full spectrum, the Nyquist modes averaged over both signs, by brute force."""
    total = np.zeros(shape, dtype=complex)
    for signs in np.ndindex(2, 2, 2):
        modes = []
        for n, sign in zip(shape, signs, strict=True):
            m = np.fft.fftfreq(n, 1 / n)
            if n % 2 == 0 and sign:
                m[n // 2] = n / 2
            modes.append(m)
        total += function(*np.meshgrid(*modes, indexing="ij"))
    return total / 8


@pytest.mark.parametrize("shape", [(4, 6, 8), (5, 7, 9), (4, 7, 6), (1, 2, 3), (2, 1, 4)])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("oblique", [True, False])
def test_filter_equals_full_complex_fft(device, triclinic, rng, shape, order, oblique):
    rows = 2 * np.pi * np.linalg.inv(triclinic if oblique else np.diag([4.0, 5.0, 6.0])).T
    values = np.array(rng.standard_normal(shape), order=order)
    waves = [
        [OfWavevector(rows, lambda k: np.exp(-k * k / 9))],
        [Derivative(rows, np.array([0.3, -0.5, 0.8])), OfWavevector(rows, lambda k: 1 / (1 + k))],
        [AlongAxes([lambda n: np.exp(0.3j * n), None, lambda n: np.sinc(n / 5)])],
    ]
    for parts in waves:
        multiplier = Multiplier(shape, parts, is_complex=parts is not waves[0])
        result = device.to_host(filtered(device, device.asarray(values), multiplier)[0])

        def whole(a, b, c, parts=parts):
            factor = 1.0
            for part in parts:
                factor = factor * part(a, b, c)
            return factor

        expected = np.fft.ifftn(np.fft.fftn(values) * both_signs(whole, shape))
        assert np.abs(expected.imag).max() < 1e-13
        assert np.abs(result - expected.real).max() < 1e-13


def test_a_part_of_the_grid_is_refused(device):
    with pytest.raises(InputError, match="all its planes"):
        filtered(device, device.asarray(np.zeros((2, 4, 4))), Multiplier((4, 4, 4), []))


def test_planes_beyond_the_middle_are_those_before_it():
    multiplier = Multiplier((8, 6, 4), [OfWavevector(np.eye(3), lambda k: np.exp(-k))])
    assert multiplier.is_even
    assert multiplier.plane(7) == pytest.approx(multiplier.plane(1), abs=0)
