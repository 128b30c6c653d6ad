"""Independently computed values of the theory, through the public operators: potentials of cylinders and their budget.

Values and tolerances are those of tests/data/checks/potentials-currents.json, in units with e = ε0 = 1; "expected"
there comes from quadrature in real space or closed forms.
"""

from math import inf, pi, sqrt

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.units import FOUR_PI_KAPPA


def gaussian(x, centre, deviation):
    return np.exp(-((x - centre) ** 2) / (2 * deviation**2)) / (sqrt(2 * pi) * deviation)


def periodic_gaussian(x, centre, deviation, period):
    return sum(gaussian(x, centre + m * period, deviation) for m in range(-3, 4))


def charge(values, cell, **options):
    return gh.Field.from_array(values, cell, quantity="charge_density", **options)


def slab(n, sheets=((1 / 16, 0.0, 0.3), (-1 / 16, 0.0, 0.8)), h=0.1):
    """S1(n) of the checks, or other sheets (charge, place, standard deviation) every 4 Å."""
    x = np.arange(-12.0, 4 * n + 8, h)
    values = sum(q * gaussian(x, 4 * m + place, sd) for m in range(n) for q, place, sd in sheets)
    return gh.Profile(x, values, "e/Å^3", "charge_density", len(x) * h, boundary="open")


@pytest.fixture(scope="module")
def thin():
    return slab(40)


def test_uniform_cylinder(potential_checks):
    check = potential_checks["uniform_cylinder_axis"]
    column = charge(np.ones((121, 1, 1)), np.diag([121 / 40, 1.0, 1.0]))
    ends = {"x_low": 0.0, "x_high": 3.0, "end_weights": 10}
    low = gh.cylinder_potential(column, "a", 2.0, at=3.0, side="low", **ends).low
    high = gh.cylinder_potential(column, "a", 2.0, at=0.0, side="high", **ends).high
    for found in (low, high):
        assert found[0, 0, 0] / FOUR_PI_KAPPA == pytest.approx(check["expected"], abs=check["tolerance"])


def test_one_sheet_of_one_mode(potential_checks):
    """A plane of cos gy alone adds h Khat(g, d, R), half of it to its own plane."""
    check, h, n = potential_checks["kernel_hankel"], 0.5, 32
    for g, distance, expected in zip((0.3, 1.57, 1.57), (0.0, 0.0, 2.0), check["expected"], strict=True):
        values = np.zeros((9, n, 1))
        values[2] = np.cos(2 * pi * np.arange(n) / n)[:, None]
        field = charge(values, np.diag([9 * h, 2 * pi / g, 1.0]))
        found = gh.cylinder_potential(field, "a", 11.3, at=2 * h + distance, side="low", end_weights=1).low[0, 0, 0]
        share = 0.5 if distance == 0 else 1.0
        assert found / (share * h * FOUR_PI_KAPPA) == pytest.approx(expected, abs=check["tolerance"])


def test_disc_average(potential_checks):
    check, period = potential_checks["disc_average_cosine"], 2 * pi / 1.57
    values = np.cos(1.57 * (0.4 + np.arange(16) * period / 16))[:, None] * np.ones((2, 1, 3))
    averaged = gh.disc_average(charge(values, np.diag([5.0, period, 4.0])), "a", 11.3)
    assert averaged.values[1, 0, 2] == pytest.approx(check["expected"], abs=check["tolerance"])


def test_polar_slab_split(potential_checks):
    """Twelve end weights close the sums; the point lies between grid points of its plane."""
    check, h, n = potential_checks["cylinder_split_a"], 1 / 16, 24
    x, y = -8 + h * np.arange(513), np.arange(n) * 4 / n
    values = np.zeros((len(x), n, n))
    for m in range(5):
        for q, centre, sd in ((1, (4 * m, 0.0, 0.0), 0.5), (-1, (4 * m + 0.15, 0.4, -0.3), 0.8)):
            in_plane = periodic_gaussian(y, centre[1], sd, 4)[:, None] * periodic_gaussian(y, centre[2], sd, 4)
            values += q * gaussian(x, centre[0], sd)[:, None, None] * in_plane
    field = charge(values, np.diag([h * len(x), 4.0, 4.0]), origin=[-8, 0, 0], boundary="o,p,p")
    found = gh.cylinder_potential(field, "a", 11.3, at=[[8.0, 1.0, -0.5]], end_weights=12)
    for side, name in (("low", "L"), ("high", "r")):
        for part, suffix in (("", ""), ("_average", "_rhobar"), ("_deviation", "_Drho")):
            value = getattr(found, side + part)[0] / FOUR_PI_KAPPA
            assert value == pytest.approx(check["expected"][f"Phi{name}{suffix}"], abs=check["tolerance"])


def test_open_blob(potential_checks):
    """Zeros are added for the radius; the value's own quadrature is good to 3e-6."""
    check = potential_checks["cylinder_open_blob"]
    x, y, z = -8 + 0.125 * np.arange(73), -4 + 0.25 * np.arange(44), -5 + 0.25 * np.arange(44)
    values = gaussian(x, -2, 0.6)[:, None, None] * gaussian(y, 1.5, 0.6)[:, None] * gaussian(z, 0.5, 0.6)
    field = charge(values, np.diag([73 / 8, 11.0, 11.0]), origin=[-8, -4, -5], boundary="open")
    found = gh.cylinder_potential(field, "a", 2.0, at=[[0.0, 0.0, 0.0]], side="low")
    values = [found.low[0] / FOUR_PI_KAPPA, found.low_average[0] / FOUR_PI_KAPPA]
    np.testing.assert_allclose(values, check["expected"], rtol=0, atol=check["tolerance"])


def test_singular_point_of_a_direct_sum(potential_checks):
    """The one plane of exp(-r²): what its own point adds to a direct sum, solved for, is the weight over h."""
    check, h = potential_checks["singular_weight_2d"], 1 / 8
    y = -6 + h * np.arange(97)
    values = np.zeros((3, 97, 97))
    values[1] = np.exp(-(y[:, None] ** 2) - y**2)
    field = charge(values, np.diag([3.0, 97 * h, 97 * h]), origin=[0, -6, -6], boundary="open")
    direct = gh.cylinder_potential(
        field, "a", 5.9, at=[[1.0, 0.0, 0.0]], side="low", end_weights=1, method="direct"
    ).low[0]
    r = np.hypot(*np.meshgrid(y, y))
    near = (r < 5.9) & (r > 0)
    others = (values[1][near] / r[near]).sum()
    own = direct * 4 * pi / (FOUR_PI_KAPPA * 0.5 * h * h) - others
    assert own * h == pytest.approx(check["expected"], abs=check["tolerance"])


@pytest.mark.filterwarnings("ignore:.71. used:gpuhomog.errors.AccuracyWarning")
def test_order_of_limits(potential_checks):
    """Mean over a period of all charge within R, at three depths of a slab of 400 planes."""
    check, profile = potential_checks["cylinder_order_of_limits"], slab(400)
    for (centre, radius), expected in zip(((802, 1600), (42, 200), (802, 2)), check["expected"], strict=True):
        found = gh.cylinder_terms(profile, radius=radius, x_b=centre - 2 + (np.arange(16) + 0.5) / 4)
        assert found.total.mean() / FOUR_PI_KAPPA == pytest.approx(expected, abs=check["tolerance"])


def test_terms_of_eq_79(thin, potential_checks):
    check = potential_checks["terms_eq79"]
    found = gh.potential_budget(thin, x_b=78.75, origin=0.0, period=4.0)
    values = [found.sigma_s.value, found.S1.value, found.M1.value, found.M2.value]
    np.testing.assert_allclose(values, check["expected"], rtol=0, atol=check["tolerance"])


def test_first_moment_of_the_surface(thin, potential_checks):
    """With M2/2 the same at every x_b; with M2 as printed it is not."""
    corrected, printed = potential_checks["A3_corrected"], potential_checks["A3_as_printed"]
    for number, x_b in enumerate((78.0, 78.25, 78.5, 78.75)):
        found = gh.potential_budget(thin, x_b=x_b, origin=0.0, period=4.0)
        assert found.D_L.value == pytest.approx(corrected["expected"][number], abs=corrected["tolerance"])
        assert found.D_L_printed.value == pytest.approx(printed["expected"][number], abs=printed["tolerance"])
    assert np.ptp(printed["expected"]) > 1e-3


def test_film(potential_checks):
    check = potential_checks["film_eq76_77"]
    x = np.arange(-30.0, 30.0, 0.1)
    values = 0.02 * (gaussian(x, -10, 0.7) - gaussian(x, 10, 0.7))
    plates = gh.Profile(x, values, "e/Å^3", "charge_density", 60.0, boundary="open")
    for name in ("exact_direct", "sum", "mean"):
        inside, below, above = (getattr(gh.potential_budget(plates, x_b=x), name).value for x in (3.0, -25.0, 25.0))
        found = np.array([inside, below - above]) / FOUR_PI_KAPPA
        np.testing.assert_allclose(found, check["expected"], rtol=0, atol=check["tolerance"])


def test_polar_film(potential_checks):
    """D of both surfaces belongs to eq. 76: exactly so."""
    check = potential_checks["polar_film_with_D"]
    found = gh.potential_budget(slab(40, ((1 / 16, 0.0, 0.35), (-1 / 16, 1.5, 0.35))), x_b=78.0, period=4.0, radius=inf)
    for value in (found.mean.value, found.mean_direct.value):
        assert value / FOUR_PI_KAPPA == pytest.approx(check["expected"][0], abs=check["tolerance"])


def test_decay_of_the_deviation(potential_checks):
    """One wave, 1 Å above its plane: at a point, and averaged over discs that move with their points."""
    check = potential_checks["F_decay_exponents"]
    sheet = np.zeros((8, 1, 3))
    sheet[:, 0, 0] = np.cos(2 * pi * np.arange(8) / 8)
    field = charge(sheet, np.diag([4.0, 4.0, 3.0]))
    for average, expected in zip(("point", "disc"), check["expected"], strict=True):
        found = gh.deviation_decay(
            field, "c", x_b=1.0, x_low=0.0, x_high=2.0, average=average, radii=np.geomspace(20, 1000, 400)
        )
        assert found.exponent.value == pytest.approx(expected, abs=check["tolerance"])
