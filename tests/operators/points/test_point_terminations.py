"""Terminations of crystals of ions: planes of rock salt and zincblende by hand, any plane by adding ions up."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError

OBLIQUE = np.array([[5.0, 0.3, 0.0], [1.1, 6.0, -0.4], [0.2, 0.9, 7.0]])


def ions(positions, charges):
    return gh.Structure(np.zeros(len(charges), dtype=int), positions, charges)


def fcc(a, offset):
    """Primitive cell of two lattices that are fcc, +1 and -1 at an offset in units of a."""
    cell = a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    return ions([[0, 0, 0], np.array(offset) * a], [1.0, -1.0]), cell


def test_zincblende_111_by_hand():
    """Planes a quarter of the spacing apart: +3/4 and -1/4 of a charge per area (the theory's check)."""
    structure, cell = fcc(4.0, (0.25, 0.25, 0.25))
    found = gh.point_terminations(structure, cell, (1, 1, 1))
    assert found.area == pytest.approx(np.sqrt(3) / 4 * 16) and found.spacing == pytest.approx(4 / np.sqrt(3))
    charges = sorted(float(cut.charge) * found.area for cut in found.cuts)
    assert charges == pytest.approx([-0.25, 0.75]) or charges == pytest.approx([-0.75, 0.25])
    assert found.polar and found.quantum == pytest.approx(1 / found.area)
    twice = gh.point_terminations(structure, cell, (1, 1, 1), paired=True)
    assert twice.quantum == pytest.approx(2 / found.area)


def test_each_cut_names_the_plane_that_it_leaves_outermost():
    """Zinc oxide along c: matter lies above a cut, so the cut below zinc has zinc outermost; planes of two elements."""
    cell = np.array([[3.25, 0, 0], [-1.625, 2.8146, 0], [0, 0, 5.2]])
    heights, numbers = [1.0, 1.6, 3.6, 4.2], np.array([30, 8, 30, 8])
    structure = gh.Structure(numbers, np.outer(heights, [0, 0, 1.0]), np.array([2.0, -2, 2, -2]))
    found = gh.point_terminations(structure, cell, "c")
    for cut in found.cuts:
        above = min(heights, key=lambda x: (x - cut.position) % 5.2)
        element = "Zn" if above in (1.0, 3.6) else "O"
        assert f"cut at {cut.position:.4f} Å, {element} outermost" in str(found)
    assert found.plane_elements == ("Zn", "O", "Zn", "O")
    mixed = gh.point_terminations(structure, cell, "a")
    assert mixed.plane_elements == ("O, Zn",) and "O, Zn outermost" in str(mixed)


def test_rock_salt():
    structure, cell = fcc(5.64, (0.5, 0.5, 0.5))
    neutral = gh.point_terminations(structure, cell, (0, 1, 1))  # of the primitive cell: a plane with both ions
    polar = gh.point_terminations(structure, cell, (1, 1, 1))
    assert [float(cut.charge) * polar.area for cut in polar.cuts] == pytest.approx([-0.5, 0.5])
    assert polar.polar and len(polar.levels) == 2
    assert not neutral.polar and len(neutral.levels) == 1
    assert neutral.cuts[0].neutral and "neutral" in str(neutral)


@pytest.mark.parametrize("planes", ["c", (1, 0, 0), (1, -1, 2), (2, 1, -1)])
def test_any_planes_by_a_finite_crystal(rng, planes):
    """σ is the charge up to deep inside, averaged over a spacing, of many cells stacked above the cut."""
    charges = np.array([2.0, -1.0, 1.5, -2.5])
    structure = ions(rng.uniform(0, 1, (4, 3)) @ OBLIQUE, charges)
    found = gh.point_terminations(structure, OBLIQUE, planes)
    points, spacing, _ = gh.ions_on_planes(structure, OBLIQUE, planes)
    assert found.area * spacing == pytest.approx(np.linalg.det(OBLIQUE))
    for cut in found.cuts:
        stacked = [x + n * spacing for x in points.positions for n in range(-1, 40)]
        carried = np.repeat(points.charges, 41)
        above = np.array(stacked) >= cut.position
        x, q = np.array(stacked)[above], carried[above]
        edges = 20.3 * spacing + np.linspace(0, spacing, 4001)
        below = np.array([q[x < edge].sum() for edge in edges])
        assert float(cut.charge) == pytest.approx((below[1:] + below[:-1]).mean() / 2, abs=2e-5)


def test_by_the_grid(rng):
    """The same crystal with Gaussian ions on a grid, cut by its reciprocal coefficients."""
    structure = ions(np.array([[0.1, 0.2, 0.1], [0.6, 0.5, 0.6]]) @ OBLIQUE, [1.0, -1.0])
    places = np.stack(np.meshgrid(*[np.arange(n) / n for n in (24, 28, 32)], indexing="ij"), -1)
    density = np.zeros(places.shape[:3])
    for place, charge in zip(structure.positions, structure.charges, strict=True):
        for shift in np.ndindex(3, 3, 3):
            away = (places - (np.array(shift) - 1)) @ OBLIQUE - place
            density += charge * np.exp(-(away**2).sum(-1) / (2 * 0.35**2)) / (2 * np.pi * 0.35**2) ** 1.5
    field = gh.Field.from_array(density, OBLIQUE, quantity="charge_density")
    found = gh.point_terminations(structure, OBLIQUE, "c")
    for cut in found.cuts:
        assert gh.plane_excess(field, "c", cut.position).charge.value == pytest.approx(float(cut.charge), abs=1e-6)


def test_a_slab_across_the_end_of_its_cell():
    grid = gh.Grid((1, 1, 1), np.diag([2.0, 2.0, 20.0]))
    heights = np.array([18.0, 18.4, 19.0, 19.4, 0.0, 0.4, 1.0, 1.4])
    structure = ions(np.stack([0 * heights, 0 * heights, heights], 1), [1.0, -1.0] * 4)
    points = gh.PointCharges.of_structure(structure, grid, "c", fold=True)
    assert np.asarray(points.positions).tolist() == pytest.approx([18.0, 18.4, 19.0, 19.4, 20.0, 20.4, 21.0, 21.4])
    found = gh.point_surface_charge(points, period=1.0)
    assert float(found.low) == pytest.approx(0.4 / 4)


def test_refusals():
    with pytest.raises(InputError, match="carries 1 e"):
        gh.point_terminations(ions([[0, 0, 0]], [1.0]), np.eye(3), "c")
    with pytest.raises(InputError, match="states no charges"):
        gh.point_terminations(gh.Structure([11], [[0, 0, 0]]), np.eye(3), "c")
