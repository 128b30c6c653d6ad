"""Independently computed values of lines of charges that stand among those of potentials."""

import numpy as np
import pytest

import gpuhomog as gh


def packets(centres, h=0.05, n=24, a=4.0, std=0.35, vacuum=10.0):
    """n cells of packets (place in the cell, charge)."""
    x = np.arange(round((n * a + 2 * vacuum) / h)) * h - vacuum
    values = np.zeros(len(x))
    for place, charge in centres:
        for m in range(n):
            values += charge * np.exp(-0.5 * ((x - a * m - place) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    return gh.Profile(x, values, "e/Å^3", "charge_density", len(x) * h)


def test_sign_of_the_upper_surface(potential_checks):
    """A2 as printed has the other sign of the integral."""
    t, check = 0.7, potential_checks["sigma_R_sign"]
    profile = packets(((0.0, 1.0), (0.5 + 0.3 * np.sin(t), -0.6), (-0.4 + 0.2 * t * t, -0.4)))
    found = gh.surface_charge(profile, x_b=41.3, period=4.0)
    assert found.high_period.value == pytest.approx(check["expected"], abs=check["tolerance"])


def test_quantum_between_two_terminations(potential_checks):
    """The lowest plane of cations goes to the other end."""
    check = potential_checks["polarization_quantum"]
    x = np.arange(3840) * 0.05 - 14.0
    below, moved = (np.zeros(len(x)), np.zeros(len(x)))
    for m in range(40):
        for target, place, charge in (
            (below, 4.0 * m, 1.0), (below, 4.0 * m + 1.5, -1.0),
            (moved, 4.0 * m if m else 160.0, 1.0), (moved, 4.0 * m + 1.5, -1.0),
        ):  # fmt: skip
            target += charge / 16 * np.exp(-0.5 * ((x - place) / 0.35) ** 2) / (0.35 * np.sqrt(2 * np.pi))
    first, second = (
        float(gh.surface_charge(gh.Profile(x, v, "e/Å^3", "charge_density", 192.0), x_b=78.0, period=4.0).low_period)
        for v in (below, moved)
    )
    assert [first, first - second] == pytest.approx(check["expected"], abs=check["tolerance"])


def test_charge_of_the_cells_around_a_point(potential_checks):
    check = potential_checks["interval_charge_sign"]
    points = gh.PointCharges([-3.0, -1.2, 1.0, 3.4], [-1.0, 1.0, -1.0, 1.0])
    assert float(points.cell_charge(0.0, 4.0)) == pytest.approx(check["expected"], abs=check["tolerance"])
