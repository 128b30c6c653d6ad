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
    found = gh.scales(profile, between=(2 * np.pi * 10 / length, 2 * np.pi * 1000 / length))
    assert [found.low, found.mid, found.high] == pytest.approx(check["expected"], abs=check["grid_tolerance"])
    assert found.separated and (found.a, found.L) == pytest.approx((1.0, 100.0))
