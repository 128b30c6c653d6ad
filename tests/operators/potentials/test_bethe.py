"""Bethe's potential: quadratures of potentials, finite clusters in vacuum, blocks on grids, and what is refused."""

import numpy as np
import pytest
from gaussian_charges import density
from ranks import on_ranks
from scipy.integrate import quad
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.operators.potentials.sphere_terms import sphere_terms
from gpuhomog.units import COULOMB_CONSTANT

REDUCED = 1 / (4 * np.pi * COULOMB_CONSTANT)
"""Volts to the units in which e = ε0 = 1."""
NEIGHBOURS = 4.0 * np.vstack([np.eye(3), -np.eye(3)])


@pytest.fixture(scope="module")
def atom():
    parts = [gh.GaussianCharge(1.0, 0.3), gh.GaussianCharge(-1.0, 0.8)]
    return gh.BuildingBlock.of_parts("atom", parts, volume=64.0)


def potential(r, parts):
    """Of Gaussians around one centre, in volts; the limit 2/√π at r = 0 is not needed."""
    return sum(COULOMB_CONSTANT * q * erf(r / s / np.sqrt(2)) / r for q, s in parts)


@pytest.mark.parametrize("radius", [0.5, 1.0, 2.0, 6.0])
def test_within_a_sphere_against_quadrature_of_the_potential(atom, radius):
    """Eq. 84 by quadrature; eq. 86 is its closed form with all three lines."""
    expected = quad(lambda r: 4 * np.pi * r * r * potential(r, ((1.0, 0.3), (-1.0, 0.8))), 0, radius)[0] / 64.0
    found = gh.bethe_potential(atom, radius=radius)
    assert found.within.value == pytest.approx(expected, abs=1e-12)
    assert sum(found.within_terms) == found.within.value


@pytest.mark.parametrize("radius", [0.1, 0.7, 2.0])
def test_balls_and_tables_against_quadrature(radius):
    """A ball of the closed form, the same as a function that ends, and a smooth cloud as a table."""
    ball = gh.BallCharge(-2.0, radius=1.1)
    density = -2.0 / (4 / 3 * np.pi * 1.1**3)
    ended = gh.RadialCharge.of_function(lambda r: density, 1.1)
    assert ended.within(radius) == pytest.approx(ball.within(radius), abs=1e-13)
    r = np.linspace(0.0, 6.0, 301)
    cloud = gh.RadialCharge.of_samples(r, -np.exp(-0.5 * (r / 0.8) ** 2) / (2 * np.pi * 0.64) ** 1.5)
    assert cloud.within(radius) == pytest.approx(gh.GaussianCharge(-1.0, 0.8).within(radius), abs=1e-9)
    assert 0 < cloud.error < 1e-6


def test_a_table_that_begins_off_the_centre():
    """As tables of atoms do; what lies within the first radius is not left out."""
    r = np.geomspace(0.05, 8.0, 400)
    cloud = gh.RadialCharge.of_samples(r, -np.exp(-0.5 * (r / 0.8) ** 2) / (2 * np.pi * 0.64) ** 1.5)
    assert cloud.charge == pytest.approx(-1.0, abs=2e-6)
    without_core = -1.0 - gh.GaussianCharge(-1.0, 0.8).within(0.05)[0]
    assert abs(cloud.charge - without_core) > 5e-5


def mean_in_sphere(parts, radius, volume, about=(0.0, 0.0, 0.0)):
    """(1/Ω) ∫φ d³u over |u - about| < R by the direct sum over points, φ of Gaussians in closed form."""
    x, weights = np.polynomial.legendre.leggauss(60)
    r, z = radius * (x + 1) / 2, x
    turn = 2 * np.pi * np.arange(80) / 80
    flat = np.sqrt(1 - z**2)
    unit = np.stack([np.outer(flat, np.cos(turn)), np.outer(flat, np.sin(turn)), np.outer(z, np.ones(80))], -1)
    u = r[:, None, None, None] * unit + np.array(about)
    share = np.einsum("i,j->ij", weights * radius / 2 * r**2, weights * 2 * np.pi / 80)[..., None]
    total = np.zeros(u.shape[:-1])
    for q, s, centre in parts:
        away = np.linalg.norm(u - np.array(centre), axis=-1)
        total += COULOMB_CONSTANT * q * erf(away / s / np.sqrt(2)) / away
    return float((total * share).sum()) / volume


SCATTERED = [
    (1.0, 0.8, (0.9, 0.2, -0.3)),
    (1.0, 0.7, (-0.9, -0.2, 0.3)),
    (-1.2, 0.9, (0.0, 0.0, 0.0)),
    (-0.4, 1.1, (0.4, -1.6, 0.8)),
    (-0.4, 1.1, (-0.4, 1.6, -0.8)),
]


@pytest.mark.parametrize("radius", [0.4, 1.3, 2.1, 5.0])
def test_parts_at_different_places(radius):
    """What a sphere cuts, what it holds and what lies beyond it: all three lines of eq. 86."""
    parts = [gh.GaussianCharge(q, s, centre=centre) for q, s, centre in SCATTERED]
    found = gh.bethe_potential(gh.BuildingBlock.of_parts("molecule", parts, 64.0), radius=radius)
    assert found.within.value == pytest.approx(mean_in_sphere(SCATTERED, radius, 64.0), abs=1e-9)
    assert sum(found.within_terms) == pytest.approx(found.within.value, abs=1e-14)


def test_a_wide_sphere_has_the_value_of_the_whole_block(atom):
    """Of shared nuclei, points or not: beyond the block eq. 86 is eq. 82, and nearer it is not."""
    for std in (0.3, 0.0):
        whole = gh.BuildingBlock.of_parts("atom", [gh.GaussianCharge(1.0, std), atom.parts[1]], 64.0)
        found = gh.bethe_potential(gh.BuildingBlock.with_shared_nucleus(whole, NEIGHBOURS), radius=12.0)
        assert found.within.value == pytest.approx(found.spherical.value, rel=1e-12)
        near = gh.bethe_potential(gh.BuildingBlock.with_shared_nucleus(whole, NEIGHBOURS), radius=3.0)
        assert abs(near.within.value - found.spherical.value) > 0.1


@pytest.mark.parametrize("radius", [0.9, 1.7, 3.4])
@pytest.mark.parametrize("kind", ["ball", "function", "table"])
def test_other_densities_off_the_middle(kind, radius):
    """As many small charges: each point of the density is where it is, seen by the sphere as a point is."""
    grain = 250
    r = (np.arange(grain) + 0.5) * 1.5 / grain
    of_r = lambda x: np.cos(np.pi * x / 3.0) ** 4 * (x < 1.5)  # noqa: E731
    shells = 4 * np.pi * r**2 * (np.ones(grain) if kind == "ball" else of_r(r)) * 1.5 / grain
    scale = 1 / shells.sum()
    table = np.linspace(0, 1.5, 301)
    part = {
        "ball": lambda: gh.BallCharge(1.0, radius=1.5, centre=(0.0, 1.6, 0.5)),
        "function": lambda: gh.RadialCharge.of_function(lambda x: scale * of_r(x), 1.5, centre=(0.0, 1.6, 0.5)),
        "table": lambda: gh.RadialCharge.of_samples(table, scale * of_r(table), centre=(0.0, 1.6, 0.5)),
    }[kind]()
    z, weights = np.polynomial.legendre.leggauss(300)  # places on a shell, by their angle to the middle's direction
    c = np.hypot(1.6, 0.5)
    away = np.sqrt(c * c + r[:, None] ** 2 + 2 * c * r[:, None] * z)
    seen = np.where(away < radius, 2 * np.pi * (radius**2 - away**2 / 3), 4 * np.pi * radius**3 / (3 * away))
    expected = float((shells * scale) @ seen @ weights / 2)
    inside, square, outside = sphere_terms(part.moment, c, radius)
    found = 2 * np.pi * radius**2 * inside - 2 * np.pi / 3 * square + 4 * np.pi * radius**3 / 3 * outside
    assert found == pytest.approx(expected, rel=2e-4 if kind == "ball" else 5e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sphere_in_a_block_on_a_grid(device, axis):
    """The same molecule as a field; three ranks say the same."""
    field = density(
        (60, 64, 62), 15.0 * np.eye(3), [(q, s, np.array(c) + 7.5) for q, s, c in SCATTERED], "periodic", device=device
    )
    parts = [gh.GaussianCharge(q, s, centre=centre) for q, s, centre in SCATTERED]
    block, exact = gh.BuildingBlock.of_field(field), gh.BuildingBlock.of_parts("molecule", parts)
    for radius in (1.3, 2.1, 5.0):
        found, expected = (
            gh.bethe_potential(one, 64.0, radius=radius, tolerance=1e-5).within for one in (block, exact)
        )
        assert found.value == pytest.approx(expected.value, abs=2e-4 * abs(expected.value))
        assert abs(found.value - expected.value) < found.uncertainty < 0.05
    if device == "cpu":
        alone = gh.bethe_potential(block, 64.0, radius=2.1, tolerance=1e-5).within_terms
        for ranks in on_ranks(
            field,
            3,
            lambda part: gh.bethe_potential(gh.BuildingBlock.of_field(part), 64.0, radius=2.1, tolerance=1e-5),
            axis,
        ):
            assert ranks.within_terms == pytest.approx(alone, rel=1e-12)


def cluster(charges, n, points=8):
    """Mean potential [V] over the midpoints of the central cell of n³ blocks in vacuum, simple cubic, a = 4."""
    at = np.arange(n) - (n - 1) // 2
    sites = 4.0 * np.stack(np.meshgrid(at, at, at, indexing="ij"), -1).reshape(-1, 3)
    line = (np.arange(points) + 0.5) / points * 4.0 - 2.0
    inside = np.stack(np.meshgrid(line, line, line, indexing="ij"), -1).reshape(-1, 3)
    total = 0.0
    for q, std, offset in charges:
        for site in sites:
            r = np.linalg.norm(inside - site - offset, axis=1)
            total += q * COULOMB_CONSTANT * (erf(r / std / np.sqrt(2)) / r).mean()
    return total


def test_cluster_of_atoms_in_vacuum(atom):
    charges = [(1.0, 0.3, np.zeros(3)), (-1.0, 0.8, np.zeros(3))]
    assert cluster(charges, 3, 16) == pytest.approx(gh.bethe_potential(atom).spherical.value, abs=1e-9)


def test_cluster_of_atoms_with_shared_nuclei(atom):
    """The corrections of a finite cluster fall as n^-2; Φ_2 = Φ_1 - Q A²/(6ε0Ω) is negative."""
    charges = [(-1.0, 0.8, np.zeros(3)), *((1 / 6, 0.3, away) for away in NEIGHBOURS)]
    small, large = cluster(charges, 3), cluster(charges, 5)
    shared = gh.bethe_potential(gh.BuildingBlock.with_shared_nucleus(atom, NEIGHBOURS)).spherical.value
    assert (25 * large - 9 * small) / 16 == pytest.approx(shared, rel=2e-3)
    assert gh.bethe_potential(atom).spherical.value - shared == pytest.approx(16 / (6 * 64) / REDUCED, rel=1e-12)


def test_what_the_widths_of_nuclei_make(atom):
    """Points instead of Gaussians: more by Q s+²/(6ε0Ω)."""
    points = gh.BuildingBlock.of_parts("point", [gh.GaussianCharge(1.0), gh.GaussianCharge(-1.0, 0.8)], 64.0)
    found, sharp = gh.bethe_potential(atom), gh.bethe_potential(points)
    assert found.spherical.value - found.nuclear_width.value == pytest.approx(sharp.spherical.value, rel=1e-14)
    assert sharp.nuclear_width.value == 0.0
    assert (found.s_plus.value, found.s_minus.value) == pytest.approx((0.3 * 3**0.5, 0.8 * 3**0.5))
    by_87 = found.charge.value * (found.s_minus.value**2 - found.s_plus.value**2) / (6 * 64) / REDUCED
    assert by_87 == pytest.approx(found.spherical.value, rel=1e-14)


def anisotropic(shape, cell, centre, dtype=np.float64, boundary="periodic", device="cpu"):
    """A nucleus of sd 0.3 in electrons of sd 0.6, 0.9, 0.9 along x, y, z."""
    fractional = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
    away = (fractional - np.linalg.solve(cell.T, centre) + 0.5) % 1.0 - 0.5
    r = away @ cell
    values = sum(
        q * np.exp(-0.5 * ((r / s) ** 2).sum(axis=-1)) / np.prod(np.asarray(s) * np.sqrt(2 * np.pi))
        for q, s in ((1.0, (0.3, 0.3, 0.3)), (-1.0, (0.6, 0.9, 0.9)))
    )
    return gh.Field.from_array(values.astype(dtype), cell, quantity="charge_density", boundary=boundary, device=device)


FACETS = {(1, 0, 0): 0.002109375, (0, 1, 0): 0.005625, (1, 1, 0): (0.002109375 + 0.005625) / 2}
"""Of the block above in 64 Å^3, e = ε0 = 1: (s_n² - 0.3²)/(2Ω)."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_block_on_a_grid_differs_from_facet_to_facet(device, dtype):
    field = anisotropic((60, 66, 72), 14.0 * np.eye(3), np.array([1.0, 12.5, 7.0]), dtype, device=device)
    block = gh.BuildingBlock.of_field(field, (1.0, 12.5, 7.0))
    accuracy = 1e-10 if dtype == np.float64 else 1e-7
    for normal, expected in FACETS.items():
        found = gh.bethe_potential(block, 64.0, normal=normal)
        assert found.block_normal.value * REDUCED == pytest.approx(expected, abs=accuracy)
        assert found.spherical.value * REDUCED == pytest.approx(0.004453125, abs=accuracy)
    assert any("anisotropic" in remark for remark in found.remarks)


def test_block_on_an_oblique_grid():
    cell = np.array([[14.0, 0.0, 0.0], [2.0, 13.0, 0.0], [-1.5, 2.5, 14.0]])
    centre = np.array([0.5, 0.5, 0.5]) @ cell
    field = anisotropic((60, 60, 60), cell, centre, boundary="open")
    found = gh.bethe_potential(gh.BuildingBlock.of_field(field), 64.0, normal=(1, 0, 0))
    assert found.block_normal.value * REDUCED == pytest.approx(FACETS[1, 0, 0], abs=1e-9)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_block_on_ranks(axis):
    field = anisotropic((40, 42, 44), 12.0 * np.eye(3), np.array([0.5, 6.0, 7.0]))
    alone = gh.BuildingBlock.of_field(field, (0.5, 6.0, 7.0))
    for block in on_ranks(field, 3, lambda part: gh.BuildingBlock.of_field(part, (0.5, 6.0, 7.0)), axis):
        np.testing.assert_allclose(block.second, alone.second, rtol=0, atol=1e-14)
        assert block.gross == pytest.approx(alone.gross, rel=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_a_block_without_charge_and_dipole_has_one_value_wherever_it_stands(seed):
    """Six Gaussians of any size, two more that take away charge and dipole; all moved by one vector."""
    rng = np.random.default_rng(seed)
    q, c, s = rng.normal(size=6), rng.normal(size=(6, 3)), rng.uniform(0.2, 1.0, 6)
    dipole, at = q @ c, rng.normal(size=3)
    parts = [*zip(q, c, s, strict=True), (1.0, -dipole, 0.3), (-1.0 - q.sum(), np.zeros(3), 0.4)]
    values = []
    for move in (np.zeros(3), rng.normal(size=3)):
        block = gh.BuildingBlock.of_parts(
            "any", [gh.GaussianCharge(charge, std, centre=tuple(place + move)) for charge, place, std in parts], 50.0
        )
        found = gh.bethe_potential(block, normal=at)
        values.append((found.spherical.value, found.block_normal.value))
    assert values[1] == pytest.approx(values[0], rel=1e-10)


def test_error_of_a_coarse_grid_is_seen():
    """The nucleus of sd 0.3 is sampled every 0.6 Å: its second moment is off, and by no more than stated."""
    field = anisotropic((20, 20, 20), 12.0 * np.eye(3), np.array([6.0, 6.0, 6.0]))
    block = gh.BuildingBlock.of_field(field)
    found = gh.bethe_potential(block, 64.0, normal=(0, 1, 0), tolerance=0.1)
    off = abs(found.block_normal.value * REDUCED - FACETS[0, 1, 0])
    assert 1e-6 < off <= found.block_normal.uncertainty * REDUCED


def test_refusals(atom):
    dipole = gh.BuildingBlock.of_parts(
        "pair", [gh.GaussianCharge(1.0, centre=(0, 0, 0.5)), gh.GaussianCharge(-1.0, 0.8)], 64.0
    )
    with pytest.raises(InputError, match=r'"pair": block dipole p=\(0, 0, 0.5\) e Å: Bethe value undefined'):
        gh.bethe_potential(dipole)
    charged = gh.BuildingBlock.of_parts("ion", [gh.GaussianCharge(1.0, 0.3)], 64.0)
    with pytest.raises(InputError, match="charge q=1 e: Bethe value undefined"):
        gh.bethe_potential(charged)
    with pytest.raises(InputError, match="volume of building block"):
        gh.bethe_potential(gh.BuildingBlock.of_parts("atom", atom.parts))
    with pytest.raises(InputError, match="no parts"):
        gh.BuildingBlock.of_parts("nothing", [])
    for numbers in ({"volume": -1.0}, {"radius": 0.0}, {"normal": (0, 0, 0)}):
        with pytest.raises(InputError, match=next(iter(numbers))):
            gh.bethe_potential(atom, **numbers)
    with pytest.raises(InputError, match="must ascend"):
        gh.RadialCharge.of_samples(np.zeros(10), np.zeros(10))
    with pytest.raises(InputError, match="standard deviation"):
        gh.GaussianCharge(1.0, -0.1)
    electrons = gh.Field.from_array(np.ones((4, 4, 4)), np.eye(3), quantity="electron_density")
    with pytest.raises(InputError, match="needs a charge_density"):
        gh.BuildingBlock.of_field(electrons)
    with pytest.raises(InputError, match="reaches the faces"):
        gh.BuildingBlock.of_field(anisotropic((16, 16, 16), 12.0 * np.eye(3), np.array([6.0, 6.0, 6.0])), (0, 0, 0))


def test_as_json_and_text(atom):
    found = gh.bethe_potential(atom, normal=(0, 0, 2), radius=3.0)
    record = found.to_dict()
    assert record["spherical"]["unit"] == "V"
    assert record["normal"] == [0.0, 0.0, 1.0]
    assert "facet (0, 0, 1)" in str(found) and "within 3 Å" in str(found)
    assert gh.bethe_potential(atom).to_dict()["within"]["reason"] == "no radius was given"
