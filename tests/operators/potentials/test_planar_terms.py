"""Planar cylinder potentials: against quadrature of the definition, closed forms, and fields."""

from functools import partial
from math import erf, inf, sqrt

import numpy as np
import pytest
from disc_weights import disc_weight, disc_weight_beyond_radius
from scipy.integrate import quad

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError
from gpuhomog.units import FOUR_PI_KAPPA

LAYERS = ((0.3, 2.0, 0.7), (-0.5, 6.5, 0.9), (0.25, 9.0, 0.8))
"""Charge per area, centre, standard deviation."""


def profile(h=0.2, layers=LAYERS, start=-6.0, stop=18.0):
    x = np.arange(start, stop, h)
    values = sum(q * np.exp(-((x - c) ** 2) / (2 * s * s)) / (s * sqrt(2 * np.pi)) for q, c, s in layers)
    return gh.Profile(x, values, "e/Å^3", "charge_density", len(x) * h, boundary="open")


def by_quadrature(low, high, x_b, weight):
    def integrand(x):
        density = sum(q * np.exp(-((x - c) ** 2) / (2 * s * s)) / (s * sqrt(2 * np.pi)) for q, c, s in LAYERS)
        return density * float(weight(abs(x - x_b)))

    return quad(integrand, low, high, limit=400, epsabs=1e-13, points=[c for _, c, _ in LAYERS if low < c < high])[0]


@pytest.mark.filterwarnings("ignore:.71. used:gpuhomog.errors.AccuracyWarning")
@pytest.mark.parametrize("radius", [1.5, 11.0, 400.0])
def test_the_definition(radius):
    """Exact at any x_b, between samples too, on either side of it."""
    found = gh.cylinder_terms(profile(), radius=radius, x_b=[1.93, 6.0, 12.41])
    for i, x_b in enumerate(found.x_b):
        for part, low, high in ((found.low, -6.0, x_b), (found.high, x_b, 18.0)):
            expected = by_quadrature(low, high, x_b, partial(disc_weight, radius)) * FOUR_PI_KAPPA / 2
            assert part[i] == pytest.approx(expected, abs=max(2e-9, 1e-12 * radius))


@pytest.mark.filterwarnings("ignore:.71. used:gpuhomog.errors.AccuracyWarning")
def test_infinite_and_very_wide_cylinders():
    """R σ apart, the others keep their digits at any R: W - R tends to -d."""
    limit = gh.cylinder_terms(profile(), radius=inf, x_b=[4.1])
    assert limit.radius is None and limit.low_R[0] == 0
    for radius in (1e6, 1e12):
        wide = gh.cylinder_terms(profile(), radius=radius, x_b=[4.1])
        without = wide.low_depth + wide.low_next + wide.low_rest
        expected = by_quadrature(-6.0, 4.1, 4.1, partial(disc_weight_beyond_radius, radius)) * FOUR_PI_KAPPA / 2
        assert without[0] == pytest.approx(expected, abs=1e-9)
        assert without[0] == pytest.approx(limit.low[0], abs=100 / radius + 1e-12)
        assert wide.low_R[0] == pytest.approx(radius * wide.low_charge[0] * FOUR_PI_KAPPA / 2, rel=1e-14)


def test_closed_forms_and_the_next_term():
    """What (71) leaves out falls as 1/R, with the next term as 1/R³."""
    missed, left = [], []
    for radius in (100.0, 200.0, 400.0):
        found = gh.cylinder_terms(profile(), radius=radius, x_b=[5.0])
        missed.append(float((found.low - found.low_closed + found.high - found.high_closed)[0]))
        left.append(float((found.low_rest + found.high_rest)[0]))
        charge = found.low_charge[0] * radius - sum(
            q * (5.0 - c) * (1 + erf((5.0 - c) / (s * sqrt(2)))) / 2
            + q * s * np.exp(-((5.0 - c) ** 2) / (2 * s * s)) / sqrt(2 * np.pi)
            for q, c, s in LAYERS
        )
        assert found.low_closed[0] == pytest.approx(charge * FOUR_PI_KAPPA / 2, rel=1e-10)
    assert np.diff(np.log2(np.abs(missed))) == pytest.approx([-1, -1], abs=0.01)
    assert np.diff(np.log2(np.abs(left))) == pytest.approx([-3, -3], abs=0.01)


@pytest.mark.filterwarnings("ignore:.71. used:gpuhomog.errors.AccuracyWarning")
def test_cells_that_end_sharply():
    """Uniform cells from 0 to 3: exact at x_b within a cell."""
    slab = gh.Profile(0.15 + 0.3 * np.arange(10), np.ones(10), "e/Å^3", "charge_density", 3.0, boundary="open")
    found = gh.cylinder_terms(slab, radius=2.0, x_b=[3.0, 1.0], sampling="cell")

    def column(length, R=2.0):
        return 0.25 * (length * np.hypot(length, R) + R * R * np.arcsinh(length / R) - length**2) * FOUR_PI_KAPPA

    np.testing.assert_allclose(found.low, [column(3.0), column(1.0)], rtol=1e-10)
    np.testing.assert_allclose(found.high, [0.0, column(2.0)], rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.71. used:gpuhomog.errors.AccuracyWarning")
def test_a_field_of_planes_has_the_same():
    """The mean over a plane of the potential of a field is that of its planar average."""
    line = profile(0.125)
    wave = 1 + 0.4 * np.cos(2 * np.pi * np.arange(8) / 8)
    values = line.values[:, None, None] * wave[:, None] * np.ones(6)
    field = gh.Field.from_array(values, np.diag([line.length, 4.0, 3.0]), quantity="charge_density", boundary="o,p,p")
    x = 0.125 * np.array([40, 88])
    planes = gh.cylinder_potential(field, "a", 7.0, at=x, end_weights=12)
    found = gh.cylinder_terms(field, "a", radius=7.0, x_b=x)
    np.testing.assert_allclose(planes.low_average.mean(axis=(1, 2)), found.low, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(planes.high.mean(axis=(1, 2)), found.high, rtol=1e-9, atol=1e-8)


@pytest.mark.filterwarnings("ignore:.71. used:gpuhomog.errors.AccuracyWarning")
def test_a_slab_across_the_boundary_of_its_cell():
    """A periodic profile is laid out from vacuum to vacuum; x_b repeats."""
    line = profile()
    rolled = gh.Profile(np.arange(120) * 0.2, np.roll(line.values, 70), "e/Å^3", "charge_density", 24.0)
    expected = gh.cylinder_terms(line, radius=9.0, x_b=[3.0])
    for x_b in (3.0 + 20.0, 3.0 + 20.0 - 24.0):
        found = gh.cylinder_terms(rolled, radius=9.0, x_b=[x_b])
        assert found.low[0] == pytest.approx(expected.low[0], abs=1e-11)


def test_refused_and_warned():
    with pytest.warns(AccuracyWarning, match=r"\(71\) used with .* > R/3"):
        found = gh.cylinder_terms(profile(), radius=5.0, x_b=4.0)
    assert "exact, eq. 70" in str(found) and "take the exact sums" in str(found)
    for radius in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="give a positive radius"):
            gh.cylinder_terms(profile(), radius=radius, x_b=4.0)
    for x_b, message in (([np.nan], "all finite"), ([40.0], "outside the profile"), ([[1.0]], "one position")):
        with pytest.raises(InputError, match=message):
            gh.cylinder_terms(profile(), radius=400.0, x_b=x_b)
