"""Independently computed values of the theory, through the public operators: scales and intervals.

Values and tolerances are those of tests/data/checks/homogenization.json.
"""

import numpy as np
import pytest

import gpuhomog as gh


def test_power_below_in_and_above_a_gap(checks):
    check = checks["scale_separation_power"]
    n, length = 16_000, check["inputs"]["Lx"]
    x = np.arange(n) * (length / n)
    wave = 2 * np.pi * x / length
    values = 0.5 * np.sin(4 * wave) + 0.02 * np.sin(200 * wave + 0.3) + np.cos(5000 * wave)
    profile = gh.Profile(x, values, None, "scalar", length)
    found = gh.scales(profile, gap=(2 * np.pi * 10 / length, 2 * np.pi * 1000 / length))
    assert [found.low, found.mid, found.high] == pytest.approx(check["expected"], abs=check["grid_tolerance"])
    assert found.separated and (found.a, found.L) == pytest.approx((1.0, 100.0))


def test_averages_about_the_top_of_a_cosine(checks):
    check = checks["A_a_cosine"]
    x = np.arange(640) / 64
    profile = gh.Profile(x, np.cos(2 * np.pi * x), None, "scalar", 10.0)
    low, high = gh.attainable(profile, check["inputs"]["x"], check["inputs"]["a"])
    assert [low, high] == pytest.approx(check["expected"][:2], abs=check["tolerance"])


def test_averages_about_an_odd_centre(checks):
    check = checks["A_a_odd_centre_empty"]
    assert check["expected"].startswith("empty set")
    x = np.arange(640) / 64
    profile = gh.Profile(x, np.cos(2 * np.pi * x), None, "scalar", 10.0)
    assert gh.attainable(profile, check["inputs"]["x"], check["inputs"]["a"]) is None
    decided = gh.physical_assumption_8(profile, check["inputs"]["x"], check["inputs"]["a"], 2.5)
    assert decided.verdict == "no" and decided.throughout is None


def test_averages_that_all_coincident_positions_have(checks):
    check = checks["B_interval"]
    n, length = 8_000, 1000.0  # holds all three waves whole
    x = np.arange(n) * (length / n)
    wave = 2 * np.pi * x
    values = 0.2 * np.sin(wave / 200) + np.cos(wave) + 0.5 * np.cos(1.618 * wave + 0.7)
    profile = gh.Profile(x, values, None, "scalar", length)
    given = check["inputs"]
    found = gh.attainable_throughout(profile, given["xbar"], given["a"], given["eps_x"])
    assert found == pytest.approx(check["expected"], abs=check["tolerance"])


@pytest.mark.parametrize(
    ("name", "kernel", "sense"),
    [
        ("uncertainty_gauss_alpha0", gh.Gaussian, "average"),
        ("uncertainty_tophat_raw", gh.TopHat, "raw"),
        ("uncertainty_tophat_avg", gh.TopHat, "average"),
    ],
)
def test_the_uncertainty_relation_of_a_spectrum(checks, name, kernel, sense):
    """sigma_x sigma_p/sigma_V is half of eps_x eps_p/eps_V."""
    check = checks[name]
    given = check["inputs"]
    k = np.linspace(0.0, 40.0, 80_001)
    found = gh.spectral_uncertainty(k, np.exp(-((k * given["lc"]) ** 2)), kernel(given["eps_x"]))
    product = getattr(found, f"ratio_{sense}") * found.r_mu / 2
    assert product == pytest.approx(check["expected"], abs=check["tolerance"])
    assert found.label == "order of magnitude"
