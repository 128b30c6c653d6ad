"""Lorentz's cavity: quadrature over spheres in real space, two routes to every field, whole cells of any cut."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ranks import on_ranks
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.operators.potentials import cavity
from gpuhomog.units import COULOMB_CONSTANT

REDUCED = 1 / (4 * np.pi * COULOMB_CONSTANT)
"""Volts to the units in which e = ε0 = 1."""
CUBE = 4.0 * np.eye(3)
OBLIQUE = np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]])
PAIR = ((1.0, 0.5, (0.0, 0.0, 0.0)), (-1.0, 0.6, (2.5, 2.0, 2.0)))
"""(charge, sd, place) of the ions of the check: like CsCl, the anion off its site along x."""


def block(ions, name="pair"):
    return gh.BuildingBlock.of_parts(name, [gh.GaussianCharge(q, s, centre=c) for q, s, c in ions])


def images(cell, reach):
    n = np.arange(-reach, reach + 1)
    return np.stack(np.meshgrid(n, n, n, indexing="ij"), axis=-1).reshape(-1, 3) @ cell


def density(points, ions, cell, reach=4):
    """Of the crystal at points, ion by ion."""
    total = np.zeros(points.shape[:-1])
    for q, s, place in ions:
        for shift in images(cell, reach):
            square = ((points - np.asarray(place) - shift) ** 2).sum(axis=-1)
            total += q * np.exp(-0.5 * square / s**2) / (2 * np.pi * s * s) ** 1.5
    return total


@cache
def on_grid(oblique, n, origin):
    """Values of the pair on a grid."""
    at = np.stack(np.meshgrid(*(np.arange(m) / m for m in n), indexing="ij"), axis=-1)
    cell = OBLIQUE if oblique else CUBE
    return density(at @ cell + np.asarray(origin), PAIR, cell, 3)


def field(cell, n, dtype=np.float64, device="cpu", origin=(0.0, 0.0, 0.0)):
    values = on_grid(cell is OBLIQUE, n, origin).astype(dtype)
    return gh.Field.from_array(values, cell, quantity="charge_density", device=device, origin=origin)


@pytest.mark.parametrize(("cell", "centre"), [(CUBE, (0.0, 0.0, 0.0)), (OBLIQUE, (0.7, -0.2, 1.1))])
def test_sphere_by_quadrature(cell, centre):
    """Charge, dipole and near field of the density within R, by Gauss's nodes along r and cos θ, equal steps in φ."""
    radius = 2.6
    r, w_r = np.polynomial.legendre.leggauss(24)
    r, w_r = (r + 1) * radius / 2, w_r * radius / 2
    z, w_z = np.polynomial.legendre.leggauss(24)
    phi = 2 * np.pi * np.arange(40) / 40
    s = np.sqrt(1 - z * z)
    ways = np.stack([np.outer(s, np.cos(phi)), np.outer(s, np.sin(phi)), np.outer(z, np.ones(40))], axis=-1)
    weights = w_z[:, None] * np.full(40, 2 * np.pi / 40)
    points = np.asarray(centre) + r[:, None, None, None] * ways
    rho = density(points, PAIR, cell, 2) * weights
    charge = (rho.sum(axis=(1, 2)) * r**2 * w_r).sum()
    dipole = np.einsum("ijk,jkd,i->d", rho, ways, r**3 * w_r) / (4 / 3 * np.pi * radius**3)
    near = -COULOMB_CONSTANT * np.einsum("ijk,jkd,i->d", rho, ways, w_r)
    found = gh.lorentz_cavity(block(PAIR), centre, [radius], cell=cell)
    assert found.q[0] == pytest.approx(charge, abs=1e-9)
    assert found.p_over_V[0] == pytest.approx(dipole, abs=1e-10)
    assert found.E_near[0] == pytest.approx(near, abs=1e-8)
    assert found.E_near[0] + found.E_out[0] == pytest.approx(found.E_periodic, abs=1e-12)


def test_means_over_windows_of_radii():
    """By quadrature of what single radii give."""
    a, middle = 3.0, 11.0
    nodes, weights = np.polynomial.legendre.leggauss(60)
    found = gh.lorentz_cavity(block(PAIR), (0.3, 0.1, 0), [middle], cell=CUBE, width=a)
    flat = gh.lorentz_cavity(block(PAIR), (0.3, 0.1, 0), middle + nodes * a / 2, cell=CUBE)
    for name in ("q", "p_over_V", "E_out"):
        mean = np.tensordot(weights / 2, getattr(flat, name), axes=1)
        assert getattr(found, f"{name}_tophat")[0] == pytest.approx(mean, abs=1e-11)
    sides = middle + np.concatenate([(nodes - 1) * a, (nodes + 1) * a])
    spread = gh.lorentz_cavity(block(PAIR), (0.3, 0.1, 0), sides, cell=CUBE)
    triangle = np.concatenate([weights, weights]) * (2 * a - np.abs(sides - middle)) / (4 * a)
    for name in ("q", "p_over_V", "E_out"):
        mean = np.tensordot(triangle, getattr(spread, name), axes=1)
        assert getattr(found, f"{name}_triangle")[0] == pytest.approx(mean, abs=1e-11)


def test_sharp_sphere_of_the_theory():
    found = gh.lorentz_cavity(block(PAIR), (0, 0, 0), [9.7], cell=CUBE)
    assert found.q[0] == pytest.approx(6.519760435887, abs=1e-11)
    assert found.p_over_V[0, 0] == pytest.approx(-0.001004309908, abs=1e-12)
    assert found.E_near[0, 0] * REDUCED == pytest.approx(-0.001978844225, abs=1e-12)


def test_what_is_cut_sharply_averages_out():
    """Root mean squares of p/V at R = 30 to 60: 4.2e-4, 6.0e-5 over one period, 1.4e-6 by a triangle."""
    found = gh.lorentz_cavity(block(PAIR), (0, 0, 0), np.linspace(30, 60, 121), cell=CUBE)
    raw, tophat, triangle = found.rms["p_over_V"]
    assert raw == pytest.approx(4.2e-4, rel=0.02)
    assert tophat == pytest.approx(6.0e-5, rel=0.02)
    assert triangle == pytest.approx(1.4e-6, rel=0.1)
    assert np.abs(found.E_sharp - found.E_periodic).max() <= found.E_sharp_uncertainty < 1e-4


@pytest.mark.parametrize(
    ("cell", "moves"),
    [(CUBE, ((0, 0, 0), (-1, 0, 0), (0, 1, -1))), (OBLIQUE, ((0, 0, 0), (-1, 0, 0), (1, 0, 1)))],
)
def test_whole_cells_of_any_cut(cell, moves):
    """Moving the anion by a lattice vector changes P and the near field of whole cells, and not their sum."""
    sums, dipoles = [], []
    for move in moves:
        q, s, place = PAIR[1]
        ions = (PAIR[0], (q, s, tuple(np.asarray(place) + np.asarray(move) @ cell)))
        found = gh.lorentz_cavity(block(ions), (0.2, 0.0, -0.1), [5.0], cell=cell)
        sums.append(found.invariant)
        dipoles.append(found.P_cell[0])
        assert found.invariant == pytest.approx(found.E_periodic, abs=1e-10)
        assert found.intact_by == "whole cells"
    assert np.ptp(dipoles) > 0.01
    assert np.ptp(sums, axis=0) == pytest.approx(np.zeros(3), abs=1e-10)


def test_near_field_of_one_cell_by_hand():
    """The soft sphere's sum: its difference to a direct sum over a cube of cells is the cube's, P/(3ε0) of no cubic
    crystal, and zero here for the quadrupole that is left."""
    ions = ((1.0, 0.5, (0.0, 0.0, 0.0)), (-0.5, 0.5, (1.3, 0.0, 0.0)), (-0.5, 0.5, (-1.3, 0.0, 0.0)))
    centre = np.array([0.4, 0.2, 0.1])
    total = np.zeros(3)
    for q, s, place in ions:
        for shift in images(CUBE, 14):
            d = centre - np.asarray(place) - shift
            r = np.linalg.norm(d)
            t = r / s / np.sqrt(2)
            total += COULOMB_CONSTANT * q * d / r**3 * (erf(t) - 2 / np.sqrt(np.pi) * t * np.exp(-t * t))
    found = gh.lorentz_cavity(block(ions), centre, [5.0], cell=CUBE)
    assert found.P_cell == pytest.approx(np.zeros(3), abs=1e-15)
    assert found.E_intact == pytest.approx(total, abs=2e-3)
    assert found.E_periodic == pytest.approx(found.E_intact, abs=1e-10)


class TestField:
    """A grid of the same crystal: every number by the spectrum of the grid."""

    @pytest.mark.parametrize(("cell", "n"), [(CUBE, (27, 28, 30)), (OBLIQUE, (30, 27, 36))])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_is_that_of_the_ions(self, device, cell, n, dtype):
        centre = (0.3, -0.4, 1.7)
        radii = [0.7, 6.3, 14.0]
        origin = (0.4, -0.3, 0.2)
        found = gh.lorentz_cavity(field(cell, n, dtype, device, origin), centre, radii)
        ions = gh.lorentz_cavity(block(PAIR), centre, radii, cell=cell)
        accuracy = 1e-9 if dtype == np.float64 else 1e-4
        for name in ("q", "p_over_V", "E_near", "E_out", "q_tophat", "E_out_triangle", "E_periodic", "invariant"):
            np.testing.assert_allclose(getattr(found, name), getattr(ions, name), rtol=0, atol=accuracy, err_msg=name)
        assert found.intact_by == "identity"

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_on_ranks(self, axis):
        whole = field(OBLIQUE, (16, 18, 20))
        alone = gh.lorentz_cavity(whole, (0.3, 0.2, 0.1), [5.0, 9.0])
        for found in on_ranks(whole, 3, lambda part: gh.lorentz_cavity(part, (0.3, 0.2, 0.1), [5.0, 9.0]), axis):
            for name in ("q", "E_near", "P_cell", "E_intact"):
                np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=0, atol=1e-12)

    def test_memory_order_does_not_matter(self):
        values = on_grid(True, (16, 18, 20), (0.0, 0.0, 0.0))
        one, other = (
            gh.lorentz_cavity(
                gh.Field.from_array(laid_out(values), OBLIQUE, quantity="charge_density"), (0.3, 0.2, 0.1), [5.0]
            )
            for laid_out in (np.ascontiguousarray, np.asfortranarray)
        )
        assert other.E_near == pytest.approx(one.E_near, abs=1e-12)
        assert other.q == pytest.approx(one.q, abs=1e-12)

    def test_dipole_of_the_cell(self):
        """∫ρ r over the cell from the first point on, by quadrature; another first point has another."""
        cell = OBLIQUE
        nodes, weights = np.polynomial.legendre.leggauss(20)
        nodes, weights = (nodes + 1) / 2, weights / 2
        u = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1)
        rho = density(u @ cell, PAIR, cell, 2) * np.einsum("i,j,k->ijk", weights, weights, weights)
        dipole = np.einsum("ijk,ijkd->d", rho, u) @ cell
        whole = field(cell, (30, 27, 36), origin=(0.0, 0.0, 0.0))
        found = gh.lorentz_cavity(whole, (0, 0, 0), [5.0])
        assert found.P_cell == pytest.approx(dipole, abs=1e-9)
        rolled = gh.Field.from_array(
            np.roll(whole.to_host(), -10, axis=0), cell, quantity="charge_density", origin=10 / 30 * cell[0]
        )
        moved = gh.lorentz_cavity(rolled, (0, 0, 0), [5.0])
        assert np.abs(moved.P_cell - found.P_cell).max() > 1e-3
        assert moved.invariant == pytest.approx(found.invariant, abs=1e-11)


def test_windows_that_reach_below_nothing_are_null():
    found = gh.lorentz_cavity(block(PAIR), (0, 0, 0), [1.0, 3.0, 9.0], cell=CUBE)
    assert np.isnan(found.q_tophat).tolist() == [True, False, False]
    assert np.isnan(found.E_out_triangle[:, 0]).tolist() == [True, True, False]
    record = found.to_dict()
    assert record["q_tophat"][0] is None and record["q_tophat"][1] is not None
    alone = gh.lorentz_cavity(block(PAIR), (0, 0, 0), [1.0], cell=CUBE)
    assert alone.rms["q"][1] is None and np.isfinite(alone.E_sharp).all()
    assert "tin-foil" in alone.boundary and "tin-foil" in str(found)


def test_refusals():
    pair = block(PAIR)
    charged = block(PAIR[:1])
    with pytest.raises(InputError, match="net cell charge q=1 e"):
        gh.lorentz_cavity(charged, (0, 0, 0), [5.0], cell=CUBE)
    whole = field(CUBE, (16, 16, 16))
    with pytest.raises(InputError, match="net cell charge"):
        gh.lorentz_cavity(replace(whole, values=whole.values + 0.01), (0, 0, 0), [5.0])
    points = gh.BuildingBlock.of_parts("points", [gh.GaussianCharge(1.0), gh.GaussianCharge(-1.0, 0.5)])
    with pytest.raises(InputError, match="A inside a point charge: self-field undefined"):
        gh.lorentz_cavity(points, (4.0, -8.0, 0.0), [5.0], cell=CUBE)
    with pytest.raises(InputError, match="holds a point charge"):
        gh.lorentz_cavity(points, (1.0, 0.0, 0.0), [5.0], cell=CUBE)
    balls = gh.BuildingBlock.of_parts("b", [gh.GaussianCharge(1.0, 0.5), gh.BallCharge(-1.0, radius=0.5)])
    with pytest.raises(InputError, match="does not consist of Gaussians"):
        gh.lorentz_cavity(balls, (0, 0, 0), [5.0], cell=CUBE)
    with pytest.raises(InputError, match="lattice of block"):
        gh.lorentz_cavity(pair, (0, 0, 0), [5.0])
    with pytest.raises(InputError, match="own cell"):
        gh.lorentz_cavity(whole, (0, 0, 0), [5.0], cell=CUBE)
    with pytest.raises(InputError, match="Axis c is open"):
        opened = gh.Field.from_array(whole.to_host(), CUBE, quantity="charge_density", boundary="p,p,o")
        gh.lorentz_cavity(opened, (0, 0, 0), [5.0])
    with pytest.raises(InputError, match="needs a charge_density"):
        gh.lorentz_cavity(gh.Field.from_array(np.ones((4, 4, 4)), CUBE), (0, 0, 0), [5.0])
    for radii in ([], [0.0], [-1.0], [np.nan]):
        with pytest.raises(InputError, match="radii"):
            gh.lorentz_cavity(pair, (0, 0, 0), radii, cell=CUBE)
    with pytest.raises(InputError, match="centre"):
        gh.lorentz_cavity(pair, (0, 0), [5.0], cell=CUBE)
    with pytest.raises(InputError, match="width"):
        gh.lorentz_cavity(pair, (0, 0, 0), [5.0], cell=CUBE, width=0.0)


def test_fewer_wavevectors_for_all_of_an_oblique_cell(monkeypatch):
    """A rough density has as many |G| as modes: those of a bin become few, and no number changes."""
    values = np.random.default_rng(3).standard_normal((30, 27, 32))
    rough = gh.Field.from_array(values - values.mean(), 1.5 * OBLIQUE, quantity="charge_density")
    radii = [0.8, 7.3, 40.0]
    found = gh.lorentz_cavity(rough, (0.3, 0.1, -0.2), radii)
    seen = []
    monkeypatch.setattr(cavity, "_fewer", lambda shells, reach: seen.append(len(shells.k)) or shells)
    every = gh.lorentz_cavity(rough, (0.3, 0.1, -0.2), radii)
    assert seen[0] > 10_000
    for name in (
        "q",
        "p_over_V",
        "E_near",
        "q_tophat",
        "p_over_V_tophat",
        "E_out_tophat",
        "q_triangle",
        "E_out_triangle",
    ):
        one, other = getattr(found, name), getattr(every, name)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * np.nanmax(np.abs(every.q)), err_msg=name)


def test_wavevectors_near_zero_stay():
    """Where 1/k is no polynomial; and shells that are few already are left alone."""
    rough = np.random.default_rng(3).standard_normal(40_000)
    k = np.linspace(0.03, 40.0, 40_000)
    shells = cavity._Shells(k, rough, np.stack([rough] * 3, axis=1))
    fewer = cavity._fewer(shells, 60.0)
    assert len(fewer.k) < 15_000
    assert len(cavity._fewer(shells, 1e4).k) == 40_000
    radii = np.array([2.0, 59.0])
    one, other = (cavity._in_spheres(each, radii, 4.0, 0).outside for each in (fewer, shells))
    assert np.abs(one - other).max() < 1e-11 * np.abs(other).max()
