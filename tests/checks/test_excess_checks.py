"""Independently computed values of the theory, through the public operators: surface charges, dipoles, steps.

Values and tolerances are those of tests/data/checks/homogenization.json; "expected" there comes from Abel sums,
quadrature or by hand. `grid_tolerance` is what its grid allows, `tolerance` what the theory's value is good for.
"""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.units import COULOMB_CONSTANT

TRIG = ((0.7, 1, 0.3), (-1.1, 2, 1.9), (0.45, 3, -0.8))
REDUCED = 4 * np.pi * COULOMB_CONSTANT  # volts per unit of potential where e = eps0 = 1


def primitive(x):
    """Antiderivative of the trigonometric crystal."""
    return sum(a * np.sin(2 * np.pi * n * x + phase) / (2 * np.pi * n) for a, n, phase in TRIG)


def cell_averages(start, stop, n, pad):
    """Trig crystal cut off sharply at start and stop, as exact cell averages, with `pad` empty cells either side."""
    h = (stop - start) / n
    edges = start + h * np.arange(-pad, n + pad + 1)
    values = np.diff(primitive(np.clip(edges, start, stop))) / h
    length = h * len(values)
    return gh.Profile((edges[1:] + edges[:-1]) / 2, values, "e/Å^3", "charge_density", length, boundary="open")


def point_charges(charges, start, stop, h):
    """Point charges, each spread over the cell whose middle it is in."""
    n = round((stop - start) / h)
    values = np.zeros(n)
    for q, x in charges:
        index = round((x - start) / h)
        assert abs(start + index * h - x) < 1e-9
        values[index] += q / h
    position = start + h * np.arange(n)
    return gh.Profile(position, values, "e/Å^3", "charge_density", n * h, boundary="open")


@pytest.mark.parametrize(("x_b", "period"), [(None, 1.0), (40.1, 1.0), (40.37, 1.0), (40.5, 1.0)])
def test_surface_excess_s0(checks, x_b, period):
    check = checks["surface_excess_S0_trig"]
    profile = cell_averages(0.0, 80.0, 32_000, 400)
    result = gh.surface_charge(profile, side="low", eps=7.5, x_b=x_b, period=period, sampling="cell")
    assert result.estimator == "period window"
    assert result.low.value == pytest.approx(check["expected"], abs=check["tolerance"])
    assert result.low_kernel.value == pytest.approx(check["expected"], abs=check["grid_tolerance"])
    assert result.high is None
    assert result.closure is None


@pytest.mark.parametrize("x_b", [40.0, 40.1, 40.37, 40.5])
def test_surface_excess_s1_does_not_depend_on_x_b(checks, x_b):
    check = checks["surface_excess_S1_trig"]
    profile = cell_averages(0.0, 80.0, 32_000, 400)
    for period in (1.0, None):  # period window, kernel
        result = gh.surface_charge(profile, eps=7.5, x_b=x_b, origin=0.0, period=period, sampling="cell")
        assert result.low_dipole.value == pytest.approx(check["expected"], abs=check["grid_tolerance"])


@pytest.mark.parametrize("period", ["auto", 1.0, None])
def test_both_surfaces_of_a_slab(checks, period):
    charge, moment = checks["slab_sigmaL_sigmaR"], checks["slab_first_moments"]
    profile = cell_averages(0.0, 20.37, 8148, 800)
    result = gh.surface_charge(profile, eps=2.0, origin=0.0, period=period, sampling="cell")
    found = [result.low.value, result.high.value, result.total.value]
    assert found == pytest.approx(charge["expected"], abs=charge["grid_tolerance"])
    if period is not None:
        assert found == pytest.approx(charge["expected"], abs=charge["tolerance"])
    assert result.low_kernel.value == pytest.approx(charge["expected"][0], abs=charge["grid_tolerance"])
    moments = [result.low_dipole.value, result.high_dipole.value, result.dipole.value]
    assert moments == pytest.approx(moment["expected"], abs=moment["grid_tolerance"])
    assert abs(result.closure) < 1e-13  # low from below, high from above


def test_surface_charge_of_rows_of_ions(checks):
    check = checks["fig11_b_over_a"]
    sigma, surface_1, bulk_1, surface_2, bulk_2 = check["expected"]
    charges = [(q, j + dx) for j in range(80) for q, dx in ((1.0, 0.0), (-1.0, 0.3))]
    profile = point_charges(charges, -10.0, 95.0, 0.05)
    for x_b, surface, bulk in ((40.65, surface_1, bulk_1), (40.15, surface_2, bulk_2)):
        result = gh.surface_charge(profile, x_b=x_b, period=1.0, sampling="cell")
        found = [result.low.value, result.cut.value, result.bulk_part.value]
        assert found == pytest.approx([sigma, surface, bulk], abs=check["tolerance"])
        assert result.high.value == pytest.approx(-sigma, abs=check["tolerance"])


def test_first_moment_of_rows_of_ions(checks):
    check = checks["fig11_S1"]
    charges = [(q, j + dx) for j in range(2, 82) for q, dx in ((1.0, 0.0), (-1.0, 0.3))]
    profile = point_charges(charges, -10.0, 95.0, 0.05)
    for x_b in (40.0, 40.4):
        result = gh.surface_charge(profile, x_b=x_b, period=None, eps=8.0, origin=0.0, sampling="cell")
        assert result.low_dipole.value == pytest.approx(check["expected"][0], abs=check["tolerance"])


def test_surface_charge_of_point_charges(checks):
    check = checks["point_charges_eq58"]
    charges = [(q, j + dx) for j in range(100) for q, dx in ((1.0, 0.1), (-3.0, 0.35), (2.0, 0.8))]
    profile = point_charges(charges, -10.0, 115.0, 0.05)
    found = [gh.surface_charge(profile, x_b=x, period=1.0, sampling="cell").low.value for x in (50.0, 50.2, 50.5)]
    assert found == pytest.approx(check["expected"], abs=check["tolerance"])


def test_step_from_the_moment_of_the_charge(checks):
    check = checks["eq29_tanh"]
    potential, from_charge, from_field = check["expected"]
    x = np.linspace(-30.0, 30.0, 3001)
    length = 60.0 + x[1] - x[0]
    psi = -2 * np.tanh(x) / np.cosh(x) ** 2  # V'' of tanh
    charge = gh.Profile(x, -psi / REDUCED, "e/Å^3", "charge_density", length, boundary="open")
    result = gh.potential_step(charge)
    assert result.step.value == pytest.approx(from_charge, abs=check["tolerance"])
    assert result.dipole.value * REDUCED == pytest.approx(from_charge, abs=check["tolerance"])
    volts = gh.Profile(x, np.tanh(x), "V", "electrostatic_potential", length, boundary="open")
    result = gh.potential_step(volts)
    assert result.step.value == pytest.approx(potential, abs=check["tolerance"])
    assert result.step.value == pytest.approx(from_field, abs=check["tolerance"])


def packets(cell, fractional, q, std, shape):
    """Gaussian packets of charge in a periodic cell, each of an element of its own."""
    atoms = gh.Structure(np.arange(3, 3 + len(q)), np.array(fractional) @ np.array(cell))
    nothing = gh.Field.from_array(np.zeros(shape), cell, quantity="electron_density", structure=atoms)
    charges = dict(zip(atoms.symbols, q, strict=True))
    return gh.charge_density(nothing, charges, width=std, net_charge=None)


@pytest.mark.filterwarnings("ignore:.*slices packets")
@pytest.mark.parametrize("name", ["plane_excess_hkl_100", "plane_excess_hkl_110"])
def test_bulk_cut_along_lattice_planes(checks, name):
    """Spacing of the planes, charge of the cut and second moment, in a triclinic cell."""
    check = checks[name]
    given = check["inputs"]
    field = packets(given["lattice_rows"], given["gaussians_frac"], given["q"], given["std"], (48, 48, 60))
    found = gh.plane_excess(field, given["hkl"], given["x_t"])
    numbers = [found.spacing, found.charge.value, found.m2.value]
    assert numbers == pytest.approx(check["expected"], abs=check["tolerance"])
    assert (found.charge.unit, found.m2.unit) == ("e/Å^2", "e/Å")


def test_zincblende_cut_between_its_planes(checks):
    check = checks["zincblende_111"]
    cell = [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    field = packets(cell, [[0, 0, 0], [0.25, 0.25, 0.25]], [1.0, -1.0], 0.012, (128, 128, 128))
    profile = gh.planar_average(field, check["inputs"]["hkl"])
    found = [gh.plane_excess(profile, position=x) for x in check["inputs"]["x_t"]]
    assert profile.area == pytest.approx(3**0.5 / 4)
    assert [f.charge.value * profile.area for f in found] == pytest.approx(check["expected"], abs=check["tolerance"])
    assert not any(f.sliced for f in found)
