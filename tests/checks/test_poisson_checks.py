"""Independently computed values of the theory of potentials, through Poisson's equation of whole fields.

Reduced units (e = eps0 = 1): volts divided by 4πκ.
"""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.operators.profiles.between_points import window_mean
from gpuhomog.units import COULOMB_CONSTANT

REDUCED = 4 * np.pi * COULOMB_CONSTANT


def gaussian(x, centre, width):
    return np.exp(-(((x - centre) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))


def crystal_1(n_planes, length, n, first):
    """Slab S1: planes 4 Å apart, each 1/16 of standard deviation 0.3 and -1/16 of 0.8, as a field of one line."""
    x = np.arange(n) * (length / n) - first
    values = sum((gaussian(x, 4.0 * m, 0.3) - gaussian(x, 4.0 * m, 0.8)) / 16 for m in range(n_planes))
    return gh.Field.from_array(values[None, None, :], np.diag([4.0, 4.0, length]), quantity="charge_density")


def test_mean_of_a_slab_against_its_vacuum(potential_checks):
    check = potential_checks["slab_average_crystal1"]
    potential = gh.electrostatic_potential(crystal_1(40, 180.0, 1800, 10.0), "p,p,o")
    profile = gh.planar_average(potential, "c")
    found = window_mean(profile, 86.0, 90.0) - profile.values[0]
    assert found / REDUCED == pytest.approx(check["expected"], abs=check["tolerance"])
    step = gh.potential_step(potential, "c", x_b=88.0, period=4.0)
    for difference in (step.bulk_minus_low, step.bulk_minus_high):
        assert float(difference) / REDUCED == pytest.approx(check["expected"], abs=check["tolerance"])


def test_vacuum_of_a_periodic_cell(potential_checks):
    """Its level is not zero; with an open axis it is."""
    check = potential_checks["fft_vacuum_level"]
    density = crystal_1(8, 96.0, 960, 34.0)
    periodic = gh.planar_average(gh.electrostatic_potential(density), "c")
    assert periodic.values[0] / REDUCED == pytest.approx(check["expected"][0], abs=check["tolerance"])
    assert periodic.mean() == pytest.approx(0.0, abs=1e-12)
    alone = gh.planar_average(gh.electrostatic_potential(density, "p,p,o"), "c")
    assert alone.values[[0, -1]] == pytest.approx([0.0, 0.0], abs=check["tolerance"])
    assert window_mean(alone, 46.0, 50.0) / REDUCED == pytest.approx(check["expected"][1], abs=check["tolerance"])


def test_energy_of_two_charges(potential_checks):
    check = potential_checks["emf_two_charges"]
    n, length = 48, 12.0
    x = np.arange(n) * (length / n) - length / 2
    cells = [
        q * gaussian(x, 0, s)[:, None, None] * gaussian(x, 0, s)[:, None] * gaussian(x, z, s)
        for q, s, z in ((1.0, 0.5, -1.5), (2.0, 0.7, 1.5))
    ]
    fields = [
        gh.Field.from_array(values, length * np.eye(3), quantity="charge_density", boundary="open") for values in cells
    ]
    found = gh.interaction_energy(*fields)
    assert float(found.energy) / COULOMB_CONSTANT == pytest.approx(check["expected"], abs=check["tolerance"])


def lattice(n_cells, displacement, length, n, first=0.0, images=0):
    """Positive planes at 4 j + u_j, negative ones 2 Å on, of standard deviation 0.5 and unit charge per area."""
    x = np.arange(n) * (length / n) - first
    values = np.zeros(n)
    for j in range(n_cells):
        for shift in range(-images, images + 1):
            values += gaussian(x + shift * length, 4.0 * j + displacement(4.0 * j), 0.5)
            values -= gaussian(x + shift * length, 4.0 * j + 2, 0.5)
    return gh.Field.from_array(values[None, None, :], np.diag([1.0, 1.0, length]), quantity="charge_density")


def test_longitudinal_wave(potential_checks):
    """The amplitude of the field at the wavelength of a wave of displacements; and a uniform displacement, two ways."""
    check = potential_checks["lo_modulation"]
    wave = lattice(8, lambda x: 0.05 * np.cos(2 * np.pi * x / 32), 32.0, 320, images=1)
    field = gh.electric_field(wave)[2].values[0, 0] / REDUCED
    x = np.arange(320) * 0.1
    amplitude = 2 * np.mean(field * np.cos(2 * np.pi * x / 32))
    assert amplitude == pytest.approx(check["expected"][0], abs=check["tolerance"])
    moved, still = (lattice(40, lambda x, u=u: u, 184.0, 1840, first=12.0) for u in (0.05, 0.0))
    inside = slice(12 * 10 + 20 * 40, 12 * 10 + 21 * 40)
    for boundary, expected in (("p,p,o", check["expected"][1]), ("periodic", None)):
        fields = [gh.electric_field(density, boundary)[2].values[0, 0, inside] for density in (moved, still)]
        change = (fields[0] - fields[1]).mean() / REDUCED
        if expected is None:  # a cell of 184 Å, of which 160 are matter: the mean of its field is zero
            expected = check["expected"][1] * (1 - 160 / 184)
        assert change == pytest.approx(expected, abs=check["tolerance"])
