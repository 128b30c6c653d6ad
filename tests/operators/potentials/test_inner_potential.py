"""Mean inner potential: slabs of known blocks, by independent integration, a real slab by three routes; refusals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
from ranks import on_ranks
from scipy.interpolate import CubicSpline

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.units import COULOMB_CONSTANT

DATA = Path(__file__).parents[2] / "data"
POISSON = 4 * np.pi * COULOMB_CONSTANT
AREA, A = 16.0, 4.0
ATOM = ((0.0, 1.0, 0.3), (0.0, -1.0, 0.8))
SHARED = ((0.0, 4 / 6, 0.3), (A, 1 / 6, 0.3), (-A, 1 / 6, 0.3), (0.0, -1.0, 0.8))
"""(offset, charge, sd) of the planes of one layer: whole atoms, and nuclei shared with all six neighbours."""
BETHE, SHIFT = POISSON * (0.64 - 0.09) / 128, POISSON * 16 / (6 * 64)
"""Of whole atoms; what sharing the nuclei takes from it [V]."""


@pytest.fixture(scope="module")
def blocks():
    atom = gh.BuildingBlock.of_parts("atom", [gh.GaussianCharge(1.0, 0.3), gh.GaussianCharge(-1.0, 0.8)])
    return [atom, gh.BuildingBlock.with_shared_nucleus(atom, A * np.vstack([np.eye(3), -np.eye(3)]), "shared")]


def slab(layers, n=12, h=0.125, vacuum=16.0, places=None):
    """Planes of charge normal to the line, n layers from 0 on; `layers` one for all, or a list."""
    each = [layers] * n if isinstance(layers[0][0], float) else layers
    places = A * np.arange(len(each)) if places is None else places
    x = np.arange(round((places[-1] + 2 * vacuum) / h)) * h - vacuum
    values = np.zeros(len(x))
    for place, layer in zip(places, each, strict=True):
        for offset, charge, std in layer:
            z = (x - place - offset) / std
            values += charge / AREA * np.exp(-0.5 * z * z) / (std * np.sqrt(2 * np.pi))
    return gh.Profile(x, values, "e/Å^3", "charge_density", len(x) * h, area=AREA)


def potential_of(charge, finer=8):
    """Poisson's equation by a spline, integrated twice from the vacuum below."""
    spline = CubicSpline(charge.position, charge.values)
    return -POISSON * spline.antiderivative(2)(charge.position)


def as_potential(charge, sign=1.0, quantity="electrostatic_potential", unit="V"):
    return replace(charge, values=sign * potential_of(charge), unit=unit, quantity=quantity)


@pytest.mark.parametrize(("layers", "expected", "name"), [(ATOM, BETHE, "atom"), (SHARED, BETHE - SHIFT, "shared")])
def test_whole_blocks_give_their_own_value(blocks, layers, expected, name):
    """Same bulk, no surface charge, different potential: D_L/ε0 is that of the blocks the crystal ends in."""
    found = gh.inner_potential(slab(layers), blocks=blocks)
    for number in (found.phi_mean_vs_vacuum_L, found.phi_mean_vs_vacuum_R, found.D_L_over_eps0, found.D_R_over_eps0):
        assert number.value == pytest.approx(expected, abs=1e-6)
        assert number.uncertainty < 1e-4
    assert found.phi_paper_eq80.value == 0.0 and found.phi_paper_eq80.uncertainty < 1e-5
    assert found.bethe_spherical["atom"].value == pytest.approx(BETHE, rel=1e-6)
    assert found.bethe_block_normal["shared"].value == pytest.approx(BETHE - SHIFT, rel=1e-6)
    assert [r for r in found.remarks if "whole blocks" in r] == [
        f"the lower surface ends in whole blocks {name}: D_L/ε0 is their value on this facet"
    ]
    assert abs(found.sigma_L.value) < 1e-9 and abs(found.residual_L.value) < 1e-6


def test_precision_of_the_average_hides_it():
    """Theory: for l = 4a a potential of 0.0043 lies below 0.22, in units in which e = ε0 = 1."""
    found = gh.inner_potential(slab(ATOM, n=40), period=A, length=16.0)
    assert found.unresolved_below.value / POISSON == pytest.approx(0.22, abs=0.005)
    assert found.resolvability.value == pytest.approx(0.004296875 / 0.22, rel=0.02)
    given = gh.inner_potential(slab(ATOM), period=A, length=16.0, eps_rho=1e-6)
    assert given.resolvability.value == pytest.approx(0.004296875 / (1e-6 * 256), rel=2e-10)
    assert given.unresolved_below.value == pytest.approx(POISSON * 2.56e-4)


@pytest.mark.parametrize("x_b", [17.3, 20.0, 21.9, 26.0])
def test_it_does_not_depend_on_where_the_bulk_is(x_b):
    found = gh.inner_potential(slab(SHARED), period=A, x_b=x_b)
    assert found.phi_mean_vs_vacuum_R.value == pytest.approx(BETHE - SHIFT, abs=1e-6)
    assert found.D_L_over_eps0.value == pytest.approx(BETHE - SHIFT, abs=1e-9)


def test_two_different_surfaces_have_two_values():
    """The upper nucleus plane keeps what its missing neighbour should have: atoms below, shared nuclei above."""
    layers = [ATOM] * 12
    dipole = 1 / 6  # moved from the last plane of nuclei one period outwards
    layers[-1] = ((0.0, 1.0 - dipole, 0.3), (A, dipole, 0.3), (0.0, -1.0, 0.8))
    found = gh.inner_potential(slab(layers), period=A)
    assert found.phi_mean_vs_vacuum_L.value == pytest.approx(BETHE, abs=5e-8)
    assert found.phi_mean_vs_vacuum_R.value == pytest.approx(BETHE - SHIFT, abs=1e-6)
    assert found.D_R_over_eps0.value == pytest.approx(BETHE - SHIFT, abs=1e-9)
    assert (found.residual_L.value, found.residual_R.value) == pytest.approx((0.0, 0.0), abs=5e-8)


PAIR = ((0.0, 1.0, 0.35), (1.5, -1.0, 0.35))


def test_polar_slab():
    """Charged surfaces: the mean has a slope, the paper's term needs a radius, and the budget has all of it."""
    charge = slab(PAIR, h=0.1)
    found = gh.inner_potential(charge, period=A, x_b=22.0)
    inside = np.linspace(20.0, 24.0, 4001)
    line = CubicSpline(charge.position, potential_of(charge))
    mean = line.antiderivative()(24.0) / 4 - line.antiderivative()(20.0) / 4
    assert len(inside) and found.phi_mean_vs_vacuum_L.value == pytest.approx(mean, abs=1e-8)
    assert found.sigma_L.value == pytest.approx(1.5 / 64, abs=1e-9)
    assert found.sigma_R.value == pytest.approx(-1.5 / 64, abs=1e-9)
    assert not found.phi_paper_eq80.defined and "grows with R" in found.phi_paper_eq80.reason
    depth = found.x_b - found.faces[0]
    assert found.budget_L.value == pytest.approx(found.D_L_over_eps0.value - POISSON * 1.5 / 64 * depth, abs=1e-9)
    assert abs(found.residual_L.value) < 1e-5 and abs(found.residual_R.value) < 1e-5
    given = gh.inner_potential(charge, period=A, x_b=22.0, radius=100.0)
    assert given.phi_paper_eq80.value == pytest.approx(POISSON * 1.5 / 64 * (100.0 - depth) / 2, rel=1e-10)


@pytest.mark.parametrize(("sign", "quantity", "unit"), [
    (1.0, "electrostatic_potential", "V"),
    (-1.0, "electron_potential_energy", "eV"),
])  # fmt: skip
def test_from_a_potential(blocks, sign, quantity, unit):
    charge = slab(SHARED)
    potential = as_potential(charge, sign, quantity, unit)
    found = gh.inner_potential(potential, blocks=blocks)
    assert found.phi_mean_vs_vacuum_L.value == pytest.approx(BETHE - SHIFT, abs=2e-4)
    assert found.D_R_over_eps0.value == pytest.approx(BETHE - SHIFT, abs=2e-4)
    assert found.phi_paper_eq80.value == 0.0
    assert "no second route" in found.residual_L.reason and "give the density" in found.resolvability.reason
    both = gh.inner_potential(potential, density=charge)
    assert abs(both.residual_L.value) < 2e-3 and both.resolvability.defined
    assert both.source == quantity


def test_of_the_potential_that_poisson_solves():
    """A slab in three dimensions, its potential by the truncated kernel, its mean by both routes."""
    n, places = 120, 12.0 + A * np.arange(4)
    x = np.arange(n) * 0.3
    line = [np.exp(-0.5 * ((np.arange(12) / 3 - 2.0) / s) ** 2) for s in (0.5, 0.9)]  # in-plane, cut off at the cell
    along = [np.exp(-0.5 * ((x[:, None] - places) / s) ** 2).sum(axis=1) for s in (0.5, 0.9)]
    values = (
        sum(
            q * np.einsum("i,j,k", p / p.sum(), p / p.sum(), z / z.sum())
            for q, p, z in zip((1, -1), line, along, strict=True)
        )
        * 4
        / (AREA / 144 * 0.3)
    )
    charge = gh.Field.from_array(values, np.diag([4.0, 4.0, 36.0]), quantity="charge_density", boundary="p,p,o")
    potential = gh.electrostatic_potential(charge)
    found = gh.inner_potential(potential, "c", density=charge, period=A)
    expected = POISSON * (0.81 - 0.25) / 128
    assert found.phi_mean_vs_vacuum_L.value == pytest.approx(expected, abs=1e-5)
    assert found.D_R_over_eps0.value == pytest.approx(expected, abs=1e-5)
    assert abs(found.residual_L.value) < 1e-5 and abs(found.residual_R.value) < 1e-5


def test_charged_surfaces_from_a_potential():
    """By Gauss's law from the slopes in the bulk and in the vacuum."""
    charge = slab(PAIR, h=0.1)
    found = gh.inner_potential(as_potential(charge), period=A, x_b=22.0)
    other = gh.inner_potential(charge, period=A, x_b=22.0)
    assert found.sigma_L.value == pytest.approx(1.5 / 64, rel=1e-10)
    assert found.sigma_R.value == pytest.approx(-1.5 / 64, rel=1e-10)
    moved = POISSON * 1.5 / 64 * (found.faces[0] - other.faces[0])
    assert found.D_L_over_eps0.value + moved == pytest.approx(other.D_L_over_eps0.value, abs=2e-8)


def test_without_a_period(rng):
    """Atoms at random distances: the mean over a kernel, within its scatter of that of as many atoms."""
    n = 80
    places = np.cumsum(rng.uniform(3.4, 4.6, n))
    charge = slab(ATOM, n=n, places=places)
    found = gh.inner_potential(charge, period=None)
    expected = BETHE * 4.0 * (n - 1) / (places[-1] - places[0])
    assert found.period is None and found.eps > 50
    for number in (found.phi_mean_vs_vacuum_L, found.phi_mean_vs_vacuum_R):
        assert number.value == pytest.approx(expected, abs=0.05 * BETHE)
        assert 0 < number.uncertainty < 0.05 * BETHE
    edge = gh.inner_potential(slab(ATOM, n=12), period=None, x_b=12.0 + 11.0)
    assert edge.phi_mean_vs_vacuum_L.defined
    outside = replace(charge, values=-potential_of(charge), unit="V", quantity="electrostatic_potential")
    assert "two kernel widths" in gh.inner_potential(outside, period=None, x_b=20.0).phi_mean_vs_vacuum_L.reason


@pytest.mark.parametrize("n", [1, 2])
def test_of_one_layer_or_two_there_is_no_inside(n):
    """Whichever route: three layers are needed for a bulk."""
    charge = slab(ATOM, n=n)
    for found in (gh.inner_potential(charge, period=None), gh.inner_potential(as_potential(charge), period=None)):
        for value in (found.phi_mean_vs_vacuum_L, found.D_L_over_eps0, found.grid_error, found.phi_paper_eq80):
            assert not value.defined and "no bulk" in value.reason.replace("no neutral bulk", "no bulk")


@pytest.mark.parametrize("h", [0.2, 0.3])
def test_grid_error_covers_what_a_coarse_grid_does(h):
    """The true value is known: it lies within the stated grid error, which is not much too large."""
    found = gh.inner_potential(slab(ATOM, h=h), period=A, x_b=21.0)
    off = abs(found.phi_mean_vs_vacuum_L.value - BETHE)
    assert off <= found.phi_mean_vs_vacuum_L.uncertainty
    assert found.grid_error.value <= found.phi_mean_vs_vacuum_L.uncertainty
    assert found.grid_error.value > 1e-3 * off


@pytest.fixture(scope="module")
def three():
    """By charge, by potential, the charge itself, and the potential."""
    charge = gh.read(DATA / "NaCl_slab_charge_density.cube.gz", quantity="charge_density", boundary="p,p,o")
    name = DATA / "NaCl_slab_electron_potential_energy.cube.gz"
    energy = gh.read(name, quantity="electron_potential_energy", boundary="p,p,o")
    return gh.inner_potential(charge, "c"), gh.inner_potential(energy, "c"), charge, energy


class TestSalt:
    """NaCl(001): 5.832 ± 0.002 V above the vacuum on both sides, by its potential, its charge, and its surface's D."""

    def test_three_routes_agree_to_the_errors_they_state(self, three):
        by_charge, by_potential = three[:2]
        values = [
            getattr(found, name)
            for found in (by_charge, by_potential)
            for name in ("phi_mean_vs_vacuum_L", "phi_mean_vs_vacuum_R", "D_L_over_eps0", "D_R_over_eps0")
        ]
        for value in values:
            assert value.value == pytest.approx(5.832, abs=0.002)
            assert abs(value.value - values[0].value) <= np.hypot(value.uncertainty, values[0].uncertainty)
        assert values[0].uncertainty < 5e-4 and values[4].uncertainty < 2e-3
        assert abs(by_charge.residual_L.value) < 1e-6  # the same density by two integrals: rounding alone
        assert by_charge.phi_paper_eq80.value == 0.0

    def test_what_lies_between_the_files(self, three):
        """3.3e-4 V between the files' numbers is of the level at the face, and of the period found, and of no file."""
        by_charge, by_potential, charge, energy = three
        beside = gh.inner_potential(energy, "c", density=charge)
        whole = by_potential.phi_mean_vs_vacuum_L.value - by_charge.phi_mean_vs_vacuum_L.value
        assert whole == pytest.approx(-3.3e-4, abs=1e-5)
        assert beside.files_apart.value + beside.of_levels.value == pytest.approx(whole, abs=1e-9)
        # not the 3e-7 V of grids: the file holds 0 at both ends of its box, whose charge leaves more than that open
        assert abs(beside.files_apart.value) < gh.potential_budget(charge, "c").across.uncertainty < 2e-5
        same = gh.inner_potential(energy, "c", density=charge, period=2.82)
        assert same.files_apart.value == pytest.approx(beside.files_apart.value, abs=1e-7)
        level = gh.potential_step(energy, "c").low.value  # of a line through the tails, at the face; 0 at the end
        assert same.of_levels.value == pytest.approx(-level, abs=1e-5)
        assert not by_potential.files_apart.defined and "one file" in by_charge.of_levels.reason

    def test_the_potential_is_that_of_differences(self, three):
        """Mode by mode the file has a 7-point Laplacian, to its seven figures: not smoothed, and of the same ions."""
        charge, energy = (scipy.fft.fft2(three[i].to_host()[:, :, 1:], axes=(0, 1)).real for i in (2, 3))
        grid = three[2].grid
        n, h = np.array(grid.shape), np.diag(grid.cell) / grid.shape
        normal = np.pi * np.arange(1, n[2]) / (n[2] * h[2])  # 0 on both faces: sine waves

        def differences(k, step):
            weights = (3 / 2, -3 / 20, 1 / 90)
            return sum(2 * w * (1 - np.cos((m + 1) * k * step)) for m, w in enumerate(weights)) / step**2

        for i, j in ((0, 0), (1, 0), (1, 1), (2, 2), (5, 3), (10, 4)):
            waves = 2 * np.pi * i / grid.cell[0, 0], 2 * np.pi * j / grid.cell[1, 1], normal
            rho, phi = (scipy.fft.dst(field[i, j], type=1) for field in (charge, -energy))
            exact = sum(k**2 for k in waves)
            solved = sum(differences(k, step) for k, step in zip(waves, h, strict=True))
            largest = np.abs(rho).max()
            assert np.abs(phi * solved / POISSON - rho).max() < 5e-5 * largest
            if i + j > 8:
                assert np.abs(phi * exact / POISSON - rho).max() > 3e-3 * largest

    def test_the_budget_of_cylinders_has_the_same(self, three):
        """Half of both surfaces' dipole layers, and the direct sum over discs that grow without end."""
        found = gh.potential_budget(three[2], "c", x_b=three[0].x_b, period=three[0].period)
        inside = three[0].phi_mean_vs_vacuum_L
        assert found.mean_direct.value == pytest.approx(inside.value, abs=2e-4)
        for value in (found.mean, *(replace(d, value=POISSON * d.value) for d in (found.D_L, found.D_R))):
            assert value.value == pytest.approx(inside.value, abs=1e-3)
            assert abs(value.value - inside.value) < found.mean.uncertainty

    def test_half_the_planes(self, three):
        """What leaving out every second plane does is larger than the stated grid error, and of the same kind."""
        whole = gh.planar_average(three[2], "c")
        half = replace(
            whole, position=whole.position[::2], values=whole.values[::2], length=whole.spacing * len(whole.values)
        )
        found = gh.inner_potential(half, period=three[0].period, x_b=three[0].x_b)
        off = abs(found.phi_mean_vs_vacuum_L.value - three[0].phi_mean_vs_vacuum_L.value)
        assert three[0].grid_error.value < off < 1e-3
        assert off < found.grid_error.value

    def test_as_the_file_is_streamed_and_split(self, three):
        found = on_ranks(three[2], 3, lambda part: gh.inner_potential(part, "c"))
        for one in found:
            assert one.phi_mean_vs_vacuum_L.value == pytest.approx(three[0].phi_mean_vs_vacuum_L.value, abs=1e-9)
        single = replace(three[2], values=three[2].to_host().astype(np.float32))
        value = gh.inner_potential(single, "c").phi_mean_vs_vacuum_L.value
        assert value == pytest.approx(three[0].phi_mean_vs_vacuum_L.value, abs=1e-4)


@pytest.mark.parametrize("boundary", ["periodic", "p,p,o"])
def test_gaussian_ions_and_points(boundary):
    """The same electrons with wider ions: lower by what the correction gives back."""
    charge = slab(ATOM, n=9, h=0.2)
    n = len(charge.values)
    x = charge.position - charge.position[0]
    places = A * np.arange(9) - charge.position[0]
    structure = gh.Structure(np.ones(9, dtype=int), np.stack([np.full(9, 1.0), np.full(9, 2.0), places], axis=1))
    clouds = np.exp(-0.5 * ((x[:, None] - places) / 0.8) ** 2).sum(axis=1) / (0.8 * np.sqrt(2 * np.pi) * AREA)
    electrons = gh.Field.from_array(
        np.broadcast_to(clouds, (4, 4, n)).copy(), np.diag([4.0, 4.0, n * 0.2]), quantity="electron_density",
        structure=structure, boundary=boundary,
    )  # fmt: skip
    found = []
    for width in (2.0, 2.5):
        density = gh.charge_density(electrons, ion_charges={"H": 1}, width=width)
        found.append(gh.inner_potential(density, "c", period=A))
    for one, width in zip(found, (2.0, 2.5), strict=True):
        sharp = one.phi_mean_vs_vacuum_L.value + one.ion_width_correction.value
        assert sharp == pytest.approx(POISSON * 0.64 / 128, abs=5e-6)
        assert one.phi_mean_vs_vacuum_L.value == pytest.approx(POISSON * (0.64 - width**2) / 128, abs=5e-6)


def test_a_block_that_has_no_value_says_why(blocks):
    pair = gh.BuildingBlock.of_parts("pair", [gh.GaussianCharge(1.0), gh.GaussianCharge(-1.0, centre=(0, 0, 1))])
    found = gh.inner_potential(slab(ATOM), period=A, blocks=[blocks[0], pair])
    assert "origin dependent" in found.bethe_spherical["pair"].reason
    assert found.bethe_spherical["atom"].defined and len(found.blocks) == 1
    alone = gh.inner_potential(slab(ATOM), period=A)
    assert "no building block was declared" in alone.bethe_spherical["none declared"].reason


def test_names_and_their_order():
    """Scripts rely on them."""
    record = gh.inner_potential(slab(ATOM), period=A).to_dict()
    assert list(record)[:8] == [
        "phi_mean_vs_vacuum_L",
        "phi_mean_vs_vacuum_R",
        "phi_paper_eq80",
        "D_L_over_eps0",
        "D_R_over_eps0",
        "bethe_spherical",
        "bethe_block_normal",
        "resolvability",
    ]
    assert record["phi_mean_vs_vacuum_L"]["unit"] == "V"


def test_refusals(blocks):
    charge = slab(ATOM)
    with pytest.raises(InputError, match="needs no other"):
        gh.inner_potential(charge, density=charge)
    with pytest.raises(InputError, match="give the charge_density"):
        gh.inner_potential(as_potential(charge), density=as_potential(charge))
    with pytest.raises(InputError, match="net charge"):
        gh.inner_potential(replace(charge, values=charge.values + 0.01 * (np.abs(charge.position) < 1)))
    with pytest.raises(InputError, match="outside the bulk window"):
        gh.inner_potential(charge, period=A, x_b=0.0)
    with pytest.raises(InputError, match="another name"):
        gh.inner_potential(charge, period=A, blocks=[blocks[0], blocks[0]])
    for name in ("radius", "length", "eps_rho"):
        with pytest.raises(InputError, match=name):
            gh.inner_potential(charge, **{name: -1.0})


def test_text_names_every_term(blocks):
    text = str(gh.inner_potential(slab(ATOM), period=A, blocks=blocks))
    for words in ("mean - vacuum below", "eq. 80", "D_L/ε0", "Bethe, shared", "on facet", "D_L/(ε_ρ l²)", "grid error"):
        assert words in text


@pytest.mark.parametrize("made", [slab, lambda layers: as_potential(slab(layers))])
def test_a_position_in_the_vacuum_is_called_that(made):
    profile = replace(made(ATOM), boundary="periodic")
    with pytest.raises(InputError, match=r"x_b = -10 Å lies in the vacuum along .*: choose it inside the slab"):
        gh.inner_potential(profile, period=A, x_b=-10.0)


@pytest.mark.parametrize(("slope", "is_charged"), [(3e-7, False), (3e-5, True)])
def test_rounding_of_float32_is_no_surface_charge(slope, is_charged):
    """Rounding leaves a field in the bulk, of some 1e-7 V/Å, with vacua that are flat."""
    potential = as_potential(slab(ATOM))
    leaning = slope * np.clip(potential.position - 22.0, -24.0, 24.0)
    found = gh.inner_potential(replace(potential, values=potential.values + leaning), period=A)
    assert found.sigma_L.value == pytest.approx(-slope / POISSON, rel=1e-3)
    assert found.phi_paper_eq80.defined is not is_charged


@pytest.mark.parametrize("period", [0.5, 3.0])
def test_a_wrong_period_has_no_mean(period):
    """The bulk over it is charged, so the mean would be another one at each x_b."""
    found = gh.inner_potential(slab(ATOM), period=period)
    assert not found.phi_mean_vs_vacuum_L.defined
    assert "no neutral bulk" in found.phi_mean_vs_vacuum_L.reason


def test_a_density_of_another_cell_is_refused():
    charge = slab(ATOM)
    potential = as_potential(charge)
    longer = slab(ATOM, vacuum=17.0)
    moved = replace(charge, position=charge.position + 1.0)
    for other in (longer, replace(charge, planes="a"), replace(charge, area=2 * AREA), moved):
        with pytest.raises(InputError, match="give both of one slab in one cell"):
            gh.inner_potential(potential, density=other, period=A)
    assert gh.inner_potential(potential, density=charge, period=A).D_L_over_eps0.value == pytest.approx(BETHE, abs=1e-9)
