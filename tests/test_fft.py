"""The spectral filter against NumPy's full complex FFT."""

import json
from pathlib import Path

import numpy as np
import pytest

from gpuhomog.averaging_kernels import Disc
from gpuhomog.errors import InputError
from gpuhomog.fft import AlongAxes, Derivative, InverseSquare, Multiplier, OfWavevector, filtered

CHECKS = Path(__file__).parent / "data" / "checks"
CHECKED = "disc_average_cosine"


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


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("flat", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("shape", [(4, 6, 5), (5, 4, 8)])
def test_axes_that_do_not_matter_are_not_transformed(device, rng, shape, flat, order):
    functions = [None if axis in flat else lambda n, axis=axis: np.exp(0.2j * n - axis) for axis in range(3)]
    multiplier = Multiplier(shape, [AlongAxes(functions)], is_complex=True)
    assert multiplier.flat_axes == flat
    values = np.array(rng.standard_normal(shape), order=order)
    values[tuple(1 if axis in flat else slice(None) for axis in range(3))] = 0.0
    result = device.to_host(filtered(device, device.asarray(values), multiplier)[0])
    expected = np.fft.ifftn(np.fft.fftn(values) * both_signs(AlongAxes(functions), shape))
    assert np.abs(result - expected.real).max() < 1e-13
    if not device.name.startswith("gpu") and len(flat) < 3:  # a GPU may find one transform more cheaper than a copy
        assert not result[tuple(1 if axis in flat else slice(None) for axis in range(3))].any()  # exactly


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_discs_are_flat_across_their_planes_in_any_cell(triclinic, axis):
    rows = 2 * np.pi * np.linalg.inv(triclinic).T
    normal = rows[axis] / np.linalg.norm(rows[axis])
    part = OfWavevector(rows - np.outer(rows @ normal, normal), Disc(1.0, axis=axis).transform)
    assert Multiplier((4, 5, 6), [part]).flat_axes == (axis,)
    assert Multiplier((4, 5, 6), [part], order=(2, 1, 0)).flat_axes == (2 - axis,)
    assert Multiplier((4, 5, 6), [part, Derivative(rows, normal)]).flat_axes == ()


def test_the_average_of_a_wave_over_discs(device):
    """Equation 69's average of rho over discs, from a quadrature in polar coordinates."""
    check = next(c for c in json.loads((CHECKS / "potentials-currents.json").read_text()) if c["name"] == CHECKED)
    g, centre, radius = 1.57, 0.4, 11.3
    length = 2 * np.pi * 32 / g
    y = centre + length * np.arange(128) / 128
    values = np.cos(g * y)[None, :, None] * np.array([1.0, 2.0])[:, None, None] * np.ones((1, 1, 90))
    rows = 2 * np.pi * np.diag([0.0, 1 / length, 1 / 100.0])
    multiplier = Multiplier(values.shape, [OfWavevector(rows, Disc(radius, axis=0).transform)])
    result = device.to_host(filtered(device, device.asarray(values), multiplier)[0])
    assert result[:, 0, 7] == pytest.approx(np.array([1.0, 2.0]) * check["expected"], abs=check["tolerance"])


def test_the_potential_of_a_gaussian_charge_by_its_modes(device, triclinic):
    """Laplacian of the potential gives the charge back, without its mean."""
    shape = (8, 9, 10)
    rows = 2 * np.pi * np.linalg.inv(triclinic).T
    charge = np.random.default_rng(1).standard_normal(shape)
    potential = filtered(device, device.asarray(charge), Multiplier(shape, [InverseSquare(rows, 1 / 0.3)]))[0]
    laplacian = Multiplier(shape, [OfWavevector(rows, lambda k: k * k)])
    one_way = InverseSquare(rows, 1 / 0.3)
    back = device.to_host(filtered(device, potential, laplacian)[0])
    expected = np.fft.ifftn(
        np.fft.fftn(charge) * both_signs(one_way, shape) * both_signs(laplacian.parts[0], shape)
    ).real
    assert np.abs(0.3 * back - 0.3 * expected).max() < 1e-13
    assert abs(device.to_host(potential).mean()) < 1e-15
    odd = charge[1:, :, 1:]  # no Nyquist modes: exactly the charge
    potential = filtered(device, device.asarray(odd), Multiplier(odd.shape, [InverseSquare(rows, 1 / 0.3)]))[0]
    back = device.to_host(filtered(device, potential, Multiplier(odd.shape, [OfWavevector(rows, lambda k: k * k)]))[0])
    assert np.abs(0.3 * back - (odd - odd.mean())).max() < 1e-13
    assert one_way(*np.zeros((3, 1))).tolist() == [0.0]


def test_parts_a_device_can_evaluate(triclinic):
    rows = 2 * np.pi * np.linalg.inv(triclinic).T
    one, other = OfWavevector(rows, np.cos), OfWavevector(2 * rows, np.cos)
    assert len(Multiplier((4, 5, 6), [one, one]).factors.transforms) == 2
    assert Multiplier((4, 5, 6), [one, other]).factors is None
    assert Multiplier((4, 5, 6), [Derivative(rows, rows[0]), Derivative(rows, rows[0])]).factors is None
    assert Multiplier((4, 5, 6), [InverseSquare(rows), InverseSquare(rows)]).factors is None
    assert Multiplier((4, 5, 6), [lambda a, b, c: a]).factors is None
