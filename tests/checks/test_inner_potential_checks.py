"""Independently computed values of inner potentials and of Bethe's, each through the public operator."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.units import COULOMB_CONSTANT

REDUCED = 1 / (4 * np.pi * COULOMB_CONSTANT)
"""Volts to the units in which e = ε0 = 1."""
BOHR = 0.529177210903  # as the check states it
ATOM = [gh.GaussianCharge(1.0, 0.3), gh.GaussianCharge(-1.0, 0.8)]
NEIGHBOURS = 4.0 * np.vstack([np.eye(3), -np.eye(3)])


def atom():
    return gh.BuildingBlock.of_parts("atom", ATOM, 64.0)


def slab(parts, n=40, h=0.125, vacuum=20.0):
    """Planes at 4m, of (offset, charge, sd) each, in a cell of 16 Å^2."""
    x = np.arange(round((4.0 * (n - 1) + 2 * vacuum) / h)) * h - vacuum
    values = np.zeros(len(x))
    for offset, charge, std in parts:
        for m in range(n):
            values += charge / 16 * np.exp(-0.5 * ((x - 4.0 * m - offset) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    return gh.Profile(x, values, "e/Å^3", "charge_density", len(x) * h, area=16.0)


CRYSTAL_1 = ((0.0, 1.0, 0.3), (0.0, -1.0, 0.8))
CRYSTAL_2 = ((0.0, 4 / 6, 0.3), (4.0, 1 / 6, 0.3), (-4.0, 1 / 6, 0.3), (0.0, -1.0, 0.8))


def agrees(check, *found):
    expected = check["expected"] if isinstance(check["expected"], list) else [check["expected"]] * len(found)
    assert list(found) == pytest.approx(expected, abs=check["tolerance"])


def test_hydrogen(potential_checks):
    electrons = gh.RadialCharge.of_function(lambda r: -np.exp(-2 * r / BOHR) / (np.pi * BOHR**3))
    block = gh.BuildingBlock.of_parts("H", [gh.GaussianCharge(1.0), electrons], 27.0)
    agrees(potential_checks["bethe_hydrogen_1s_V"], gh.bethe_potential(block).spherical.value)


def test_gaussian_atom_three_ways(potential_checks):
    """As parts, as a table, and as a grid."""
    r = np.linspace(0.0, 9.0, 1201)
    density = sum(q * np.exp(-0.5 * (r / s) ** 2) / (2 * np.pi * s * s) ** 1.5 for q, s in ((1.0, 0.3), (-1.0, 0.8)))
    table = gh.BuildingBlock.of_parts("table", [gh.RadialCharge.of_samples(r, density)], 64.0)
    line = (np.arange(96) - 48) / 96 * 14.4
    one = [q ** (1 / 3) * np.exp(-0.5 * (line / s) ** 2) / (np.sqrt(2 * np.pi) * s) for q, s in ((1, 0.3), (1, 0.8))]
    values = np.einsum("i,j,k", one[0], one[0], one[0]) - np.einsum("i,j,k", one[1], one[1], one[1])
    field = gh.Field.from_array(values, 14.4 * np.eye(3), quantity="charge_density")
    check = potential_checks["bethe_gaussian_atom"]
    found = gh.bethe_potential(atom()), gh.bethe_potential(gh.BuildingBlock.of_field(field), 64.0)
    agrees(check, *(f.spherical.value * REDUCED for f in found))
    by_table = gh.bethe_potential(table).spherical
    assert by_table.value * REDUCED == pytest.approx(check["expected"], abs=by_table.uncertainty * REDUCED + 1e-12)
    assert by_table.uncertainty * REDUCED < 1e-8


def test_uniform_spheres(potential_checks):
    block = gh.BuildingBlock.of_parts("balls", [gh.BallCharge(3.0, radius=0.2), gh.BallCharge(-3.0, radius=1.1)], 50.0)
    agrees(potential_checks["bethe_uniform_spheres"], gh.bethe_potential(block).spherical.value * REDUCED)


def test_either_order_of_integration(potential_checks):
    """The paper's perspective 2 within 50 Å: not 0."""
    found = gh.bethe_potential(atom(), radius=50.0).within.value * REDUCED
    agrees(potential_checks["perspective2_limit"], found)


def test_within_a_small_sphere():
    """All three lines of eq. 86 at R = 1 Å, where charge lies within and beyond; the theory's value."""
    assert gh.bethe_potential(atom(), radius=1.0).within.value * REDUCED == pytest.approx(0.002609170141, abs=1e-12)


def test_discrete_electrons(potential_checks):
    parts = [gh.GaussianCharge(-1 / 6, centre=tuple(0.2 * place)) for place in NEIGHBOURS]
    block = gh.BuildingBlock.of_parts("octahedron", [gh.GaussianCharge(1.0), *parts], 64.0)
    agrees(potential_checks["octahedron_point_electrons"], gh.bethe_potential(block).spherical.value * REDUCED)


def test_slab_of_atoms(potential_checks):
    found = gh.inner_potential(slab(CRYSTAL_1), period=4.0, x_b=78.0, blocks=[atom()])
    check = potential_checks["slab_average_crystal1"]
    values = (
        found.phi_mean_vs_vacuum_L,
        found.phi_mean_vs_vacuum_R,
        found.D_L_over_eps0,
        found.bethe_block_normal["atom"],
    )
    agrees(check, *(value.value * REDUCED for value in (*values, found.bethe_block_normal["atom"])))
    assert found.phi_paper_eq80.value == 0.0


def test_two_crystals_of_one_bulk(potential_checks):
    found = [gh.inner_potential(slab(parts), period=4.0, x_b=78.0) for parts in (CRYSTAL_1, CRYSTAL_2)]
    difference = found[0].phi_mean_vs_vacuum_L.value - found[1].phi_mean_vs_vacuum_L.value
    agrees(potential_checks["crystal1_minus_crystal2"], difference * REDUCED)


def test_cluster_of_shared_nuclei(potential_checks):
    block = gh.BuildingBlock.with_shared_nucleus(atom(), NEIGHBOURS)
    agrees(potential_checks["cluster_crystal2_extrapolated"], gh.bethe_potential(block).spherical.value * REDUCED)


@pytest.mark.parametrize("index", [0, 1])
def test_whole_cells_and_the_term_of_lorentz(potential_checks, index):
    """Two cells of one crystal, whose near fields and dipoles differ."""
    ions = [gh.GaussianCharge(1.0, 0.5), gh.GaussianCharge(-1.0, 0.6, centre=((2.5, -1.5)[index], 2.0, 2.0))]
    found = gh.lorentz_cavity(gh.BuildingBlock.of_parts("pair", ions), (0, 0, 0), [30.0], cell=4.0 * np.eye(3))
    check = potential_checks["lorentz_identity"]
    for value in (found.E_intact + found.P_over_3eps0, found.E_periodic):
        assert value[0] * REDUCED == pytest.approx(check["expected"][index], abs=check["tolerance"])
