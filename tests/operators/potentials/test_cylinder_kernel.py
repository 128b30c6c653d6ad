"""Coulomb kernel of a cylinder: against SciPy's adaptive quadrature and values computed elsewhere."""

from math import asinh

import numpy as np
import pytest
from disc_weights import disc_weight, disc_weight_beyond_radius
from scipy.integrate import quad
from scipy.special import j0

from gpuhomog.operators.potentials import cylinder_kernel
from gpuhomog.operators.potentials.cylinder_kernel import disc_average_factor, khat, khat_table

SQUARE = np.eye(2) * 12.0
OBLIQUE = np.array([[7.0, 0.0], [2.5, 6.0]])


def by_quadrature(g, d, radius):
    """The definition; u = d sinh t takes the peak at u = 0 away."""
    if d == 0:
        return quad(lambda u: j0(g * u) / 2, 0, radius, limit=500, epsabs=1e-13, epsrel=1e-13)[0]
    top = asinh(radius / d)
    return quad(lambda t: j0(g * d * np.sinh(t)) * d * np.sinh(t) / 2, 0, top, limit=500, epsabs=1e-13, epsrel=1e-13)[0]


def test_hankel_values(potential_checks):
    check = potential_checks["kernel_hankel"]
    found = khat([0.3, 1.57, 1.57], [0.0, 0.0, 2.0], 11.3)
    np.testing.assert_allclose(found, check["expected"], rtol=0, atol=check["tolerance"])


@pytest.mark.parametrize("d", [0.0, 0.01, 0.7, 5.0, 300.0])
@pytest.mark.parametrize("g", [0.0, 0.05, 1.3, 9.0])
def test_kernel_against_adaptive_quadrature(g, d):
    radius = 6.5
    expected = by_quadrature(g, d, radius)
    assert khat(g, d, radius) == pytest.approx(expected, abs=1e-13 * radius)
    assert khat_table(np.array([g]), np.array([0.0, d, 2.0]), radius)[0, 1] == pytest.approx(expected, abs=1e-12)


def test_many_wavevectors_are_interpolated_to_rounding():
    g = np.random.default_rng(3).uniform(0, 4.4, 3000)
    distances = np.array([0.0, 1.0, 2.0, 17.0, 400.0])
    for radius in (2.0, 30.0):
        table = khat_table(g, distances, radius)
        np.testing.assert_allclose(table, khat(g[:, None], distances, radius), rtol=0, atol=3e-13 * radius)


def test_without_the_disc_one_exponential():
    assert khat(0.5, 2.0, np.inf) == pytest.approx(np.exp(-1.0), rel=1e-15)
    assert khat(0.5, 2.0, 4000.0) == pytest.approx(np.exp(-1.0), abs=0.018)  # √(1/(2π g³ R))


@pytest.mark.parametrize("radius", [1.0, 30.0, 1e9, 1e12])
def test_weight_of_a_plane_keeps_its_digits(radius):
    for d in (0.0, 0.3, 5.0, 1e6):
        exact = by_long_numbers(radius, d)
        assert disc_weight(radius, d) == pytest.approx(exact[0], rel=1e-15)
        assert disc_weight_beyond_radius(radius, -d) == pytest.approx(exact[1], rel=1e-15, abs=2e-16 * d)


def by_long_numbers(radius, d):
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 60
        R, x = Decimal(radius), Decimal(d)
        root = (R * R + x * x).sqrt()
        return float(root - x), float(root - x - R)


def test_uniform_cylinder(potential_checks):
    check = potential_checks["uniform_cylinder_axis"]
    found = quad(lambda x: disc_weight(2.0, x) / 2, 0, 3, epsabs=1e-14)[0]
    assert found == pytest.approx(check["expected"], abs=check["tolerance"])


def test_the_series_of_a_wide_disc():
    """Where g R > 80: what lies beyond R by parts, against the integral; and the table takes it."""
    d = np.array([0.0, 0.3, 7.0, 200.0])
    for radius in (3.0, 40.0):
        g = np.array([80.1, 93.0, 190.0]) / radius
        expected = khat(g[:, None], d, radius)
        np.testing.assert_allclose(khat_table(g, d, radius), expected, rtol=0, atol=3e-15 * radius)
        np.testing.assert_array_equal(cylinder_kernel._khat_wide(g, d, radius), khat_table(g, d, radius))


def test_soft_edge_is_the_mean_over_radii():
    points, weights = np.polynomial.legendre.leggauss(120)
    shares, radii = weights * (1 + np.cos(np.pi * points)) / 2, 11.3 + 3.0 * points
    g, d = np.array([0.0, 0.3, 1.57, 5.0]), np.array([0.0, 0.5, 20.0])
    mean = sum(share * khat(g[:, None], d, R) for share, R in zip(shares, radii, strict=True))
    np.testing.assert_allclose(khat_table(g, d, 11.3, 3.0), mean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(cylinder_kernel.disc_weight(d, 11.3, 3.0), 2 * mean[0], rtol=0, atol=1e-12)
    areas = shares * radii**2
    factors = sum(a * disc_average_factor(g, R) for a, R in zip(areas, radii, strict=True)) / areas.sum()
    np.testing.assert_allclose(disc_average_factor(g, 11.3, 3.0), factors, rtol=0, atol=1e-13)
