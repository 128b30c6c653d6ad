"""Dipole density of a window: against quadrature, its relation to the mean charge, what is refused."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.operators.profiles.between_points import values_at


def crystal(n, length=3.0):
    x = np.arange(n) * (length / n)
    k = 2 * np.pi / length
    return gh.Profile(x, 0.3 * np.cos(k * x) - 0.5 * np.sin(2 * k * x), "e/Å^3", "charge_density", length), k


@pytest.mark.parametrize("n", [31, 32])
@pytest.mark.parametrize("width", [0.7, 3.0, 7.4])
def test_against_quadrature(n, width):
    profile, k = crystal(n)
    found = gh.dipole_density(profile, width=width)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    for at in (0, 7, 20):
        u = nodes * width / 2
        x = profile.position[at] + u
        density = 0.3 * np.cos(k * x) - 0.5 * np.sin(2 * k * x)
        assert found.values[at] == pytest.approx((weights * u * density).sum() / 2, abs=1e-12)
    assert (found.unit, found.boundary) == ("e/Å^2", "periodic")


def test_open_and_periodic_are_the_same_inside():
    periodic, k = crystal(64)
    x = np.arange(400) * 0.03
    opened = gh.Profile(
        x, 0.3 * np.cos(k * x) - 0.5 * np.sin(2 * k * x), "e/Å^3", "charge_density", 12.0, boundary="open"
    )
    found = gh.dipole_density(opened, width=0.7)
    assert found.position[0] >= 0.35 and found.position[-1] <= x[-1] - 0.35
    away = (found.position > 1) & (found.position < 11)
    expected = values_at(gh.dipole_density(periodic, width=0.7), found.position % 3.0)
    assert found.values[away] == pytest.approx(expected[away], abs=1e-9)


def test_mean_charge_of_the_window():
    """⟨ρ⟩_w = [ρ(x + w/2) + ρ(x - w/2)]/2 - dP/dx, and not -dP/dx."""
    profile, _ = crystal(64)
    width = 0.7
    p = gh.dipole_density(profile, width=width)
    mean = gh.average(
        gh.Field.from_array(profile.values[None, None], np.diag([1.0, 1.0, 3.0]), quantity="charge_density"),
        gh.Box((1.0, 1.0, width)),
    ).to_host()[0, 0]
    ends = (values_at(profile, profile.position + width / 2) + values_at(profile, profile.position - width / 2)) / 2
    k = 2 * np.pi / 3.0 * np.arange(33)
    slope = np.fft.irfft(np.where(np.arange(33) < 32, 1j * k, 0) * np.fft.rfft(p.values), 64)
    assert ends - slope == pytest.approx(mean, abs=1e-10)
    assert np.abs(-slope - mean).max() > 0.1


def test_refusals():
    profile, _ = crystal(32)
    for width in (0.0, -1.0, np.nan):
        with pytest.raises(gh.InputError, match="a positive length"):
            gh.dipole_density(profile, width=width)
    opened = gh.Profile(profile.position, profile.values, "e/Å^3", "charge_density", 3.0, boundary="open")
    with pytest.raises(gh.InputError, match="smaller width"):
        gh.dipole_density(opened, width=2.9)
