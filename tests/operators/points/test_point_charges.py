"""Point charges without a grid: what must hold for any charges, analytic values, grids as an oracle, refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.errors import InputError, KernelError

CELLS = 60


def crystal(cell, n=CELLS, start=0.0):
    """Cells of charges ((q, x), …) of period 1, from start on."""
    return gh.PointCharges([start + j + x for j in range(n) for _, x in cell], [q for _ in range(n) for q, _ in cell])


def neutral_cells():
    """Cells of two to five charges that add up to nothing, in [0, 1)."""
    charge = st.integers(-20, 20).map(lambda n: n / 10)
    place = st.integers(0, 99).map(lambda n: n / 100)
    pairs = st.lists(st.tuples(charge, place), min_size=1, max_size=4, unique_by=lambda pair: pair[1])

    def closed(cell):
        rest = -sum(q for q, _ in cell)
        return [*cell, (rest, 0.995)]

    return pairs.map(closed).filter(lambda cell: sum(abs(q) for q, _ in cell) > 0.5)


@settings(max_examples=40, deadline=None)
@given(cell=neutral_cells(), x_b=st.floats(28, 32))
def test_the_surface_charge_is_that_of_a_cell_wherever_the_bulk_is_cut(cell, x_b):
    """Eq. 58: -(1/a) Σ q x over one cell from the surface on; eq. 39 and 36 find it at any x_b."""
    expected = -sum(q * x for q, x in cell)
    points = crystal(cell)
    found = gh.point_surface_charge(points, x_b=x_b, period=1.0, origin=0.0)
    assert float(found.low) == pytest.approx(expected, abs=1e-10)
    assert float(found.low_kernel) == pytest.approx(expected, abs=1e-10)
    assert float(found.low) + float(found.high) == pytest.approx(points.total, abs=1e-10)
    assert abs(found.closure) < 1e-10
    assert found.low.uncertainty < 1e-10
    one = gh.PointCharges([x for _, x in cell], [q for q, _ in cell])
    assert float(gh.crystal_surface_charge(one, 1.0, 0.0)) == pytest.approx(expected, abs=1e-12)
    # moments: window and kernel agree, and low and high make the dipole of the slab
    by_kernel = gh.point_surface_charge(points, x_b=x_b, eps=8.0, origin=0.0)
    assert by_kernel.estimator == "kernel"
    assert float(found.low_dipole) == pytest.approx(float(by_kernel.low_dipole), abs=1e-8)
    assert float(found.high_dipole) == pytest.approx(float(by_kernel.high_dipole), abs=1e-8)
    both = float(found.low_dipole) + float(found.high_dipole)
    assert both == pytest.approx(float(found.dipole) + points.total * float(points.positions[0]), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(0.05, 2)), min_size=1, max_size=4),
    sign=st.sampled_from([1.0, -1.0]),
)
def test_packets_are_points_at_their_centres(parts, sign):
    """Eq. 57: the surface charge does not know that a packet has an extent."""
    total = sum(q for _, q in parts)
    packets, spread, charges = [], [], []
    for j in range(CELLS):
        packet = [(j + 0.35 + dx, sign * q) for dx, q in parts]
        packets += [packet, [(j + 0.8, -sign * total)]]
        for x, q in packet:
            spread.append(x)
            charges.append(q)
        spread.append(j + 0.8)
        charges.append(-sign * total)
    whole = gh.point_surface_charge(gh.PointCharges(spread, charges), x_b=30.4, period=1.0)
    points = gh.point_surface_charge(gh.PointCharges.of_packets(packets), x_b=30.4, period=1.0)
    assert float(points.low) == pytest.approx(float(whole.low), abs=1e-10)
    assert float(points.low_kernel) == pytest.approx(float(whole.low_kernel), abs=1e-10)


def test_each_moment_is_about_its_own_origin():
    """Moved origins change S1 by -σ times the way."""
    points = crystal(((1.0, 0.0), (-1.0, 0.3)), 40, start=5.0)
    about_zero = gh.point_surface_charge(points, period=1.0, origin=0.0)
    about_own = gh.point_surface_charge(points, period=1.0)
    assert (about_own.origin_low, about_own.origin_high) == (5.0, 44.3)
    low, high = float(about_zero.low_dipole) - 5.0 * 0.3, float(about_zero.high_dipole) + 44.3 * 0.3
    assert float(about_own.low_dipole) == pytest.approx(low, abs=1e-10)
    assert float(about_own.high_dipole) == pytest.approx(high, abs=1e-10)


def test_first_moment_of_rows_of_ions():
    """Fig. 11: +1 at 2 + j, -1 at 2.3 + j: S1 = .495 about 0, by zeta regularisation."""
    points = crystal(((1.0, 0.0), (-1.0, 0.3)), 80, start=2.0)
    for x_b in (40.0, 40.4):
        found = gh.point_surface_charge(points, x_b=x_b, period=1.0, origin=0.0)
        assert float(found.low_dipole) == pytest.approx(0.495, abs=1e-10)
    assert float(gh.point_surface_charge(points, x_b=40.15, period=1.0).m1) == pytest.approx(-0.3, abs=1e-12)
    assert float(gh.point_surface_charge(points, x_b=40.65, period=1.0).m1) == pytest.approx(0.7, abs=1e-12)


def test_a_window_of_any_width_is_the_mean_of_the_cumulative_charge():
    """Of charges without a period, against a fine staircase."""
    rng = np.random.default_rng(3)
    x, q = np.sort(rng.uniform(0, 50, 80)), rng.normal(size=80)
    points = gh.PointCharges(x, q)
    low, high = 18.3, 27.71
    edges = np.linspace(low, high, 400_001)
    middle = (edges[1:] + edges[:-1]) / 2
    staircase = np.concatenate([[0], np.cumsum(q)])[np.searchsorted(x, middle)]
    found = gh.point_surface_charge(points, bulk=(low, high), origin=0.0)
    assert float(found.low) == pytest.approx(staircase.mean(), abs=1e-4)
    above = np.maximum(middle[:, None] - x, 0) @ q
    assert float(found.low_dipole) == pytest.approx(middle.mean() * staircase.mean() - above.mean(), abs=1e-2)
    assert found.window == (low, high) and found.estimator == "window"
    assert not gh.point_surface_charge(points, x_b=25.0, eps=2.0).low_window.defined


def test_a_charge_at_x_counts_half():
    points = gh.PointCharges([1.0, 2.0, 3.0], [1.0, 4.0, -2.0])
    assert points.cumulative([0.5, 1.0, 2.0, 2.5, 3.0, 9.0]).tolist() == [0.0, 0.5, 3.0, 5.0, 4.0, 3.0]
    assert points.window_mean(2.0, 2.0) == 3.0
    assert points.dipole_density(2.0, 2.0) == pytest.approx((-1 * 0.5 + 1 * -2.0 * 0.5) / 2)


def test_charge_between_cells_is_the_difference_of_their_dipoles():
    """(d_k - d_{k+1})/a at each border: a telescoping sum, minus the slope of the mean dipole density."""
    rng = np.random.default_rng(8)
    dipoles = rng.normal(size=12)
    x, q = [], []
    for k, d in enumerate(dipoles):
        x += [k + 0.3, k + 0.7]
        q += [-d / 0.4, d / 0.4]
    points = gh.PointCharges(x, q)
    np.testing.assert_allclose(points.cell_charge(np.arange(1, 12), 1.0), dipoles[:-1] - dipoles[1:], atol=1e-12)
    np.testing.assert_allclose(points.dipole_density(np.arange(12) + 0.5, 1.0), dipoles, atol=1e-12)
    stretched = gh.PointCharges(2.5 * points.positions, points.charges)
    found = stretched.cell_charge(2.5 * np.arange(1, 12), 2.5)
    np.testing.assert_allclose(found, dipoles[:-1] - dipoles[1:], atol=1e-12)


def test_ions_of_a_structure_against_gaussians_on_a_grid():
    """A tilted cell with ions along c: the same surface charges as of a density of Gaussian ions."""
    cell = np.array([[4.0, 0, 0], [1.0, 3.5, 0], [0.6, -0.4, 40.0]])
    grid = gh.Grid((12, 12, 240), cell)
    heights = [8 + 2 * j + dx for j in range(12) for dx in (0.0, 0.7)]
    numbers = [11, 17] * 12
    positions = np.array([[0.2, 0.1, 0.0]]) + np.outer(heights, [0.0, 0.0, 1.0])
    atoms = gh.Structure(np.array(numbers), positions)
    charges = {"Na": 2.0, "Cl": -2.0}
    points = gh.PointCharges.of_structure(atoms, grid, "c", charges)
    found = gh.point_surface_charge(points, period=2.0)
    assert found.low.unit == "e/Å^2"
    assert found.quantum == pytest.approx(1 / 14.0)
    nothing = gh.Field.from_array(np.zeros(grid.shape), cell, quantity="electron_density", structure=atoms)
    density = gh.charge_density(nothing, charges, width=0.4, net_charge=None)
    on_grid = gh.surface_charge(density, "c", period=2.0)
    assert float(found.low) == pytest.approx(float(on_grid.low), abs=1e-8)
    assert float(found.low) == pytest.approx(2 * 0.7 / 2.0 / 14.0, abs=1e-12)
    assert "σ low" in str(found)


def test_dipoles_of_neutral_molecules_need_no_origin():
    parts = ((-0.2, 1.0), (0.25, -1.0))
    at = np.linspace(-3, 5, 9)
    anywhere = gh.molecular_charge([(None, [(1.3 + dx, q) for dx, q in parts])], at, 2.0)
    assert np.abs(anywhere.free).max() == 0
    about = gh.molecular_charge([(1.325, [(dx - 0.025, q) for dx, q in parts])], at, 2.0)
    np.testing.assert_allclose(anywhere.bound, about.bound, atol=1e-14)
    step = 1e-5
    slope = [
        gh.molecular_charge([(None, [(1.3 + dx, q) for dx, q in parts])], at + s, 2.0).dipoles for s in (step, -step)
    ]
    np.testing.assert_allclose(anywhere.bound, -(slope[0] - slope[1]) / (2 * step), atol=1e-9)
    np.testing.assert_allclose(anywhere.exact, anywhere.free + anywhere.bound + anywhere.residual, atol=1e-15)


PAIRS = crystal(((1.0, 0.0), (-1.0, 0.3)), 20)
REFUSED = {
    "a packet without charge": (lambda: gh.PointCharges.of_packets([[(0, 1)], [(1, 1), (2, -1)]]), "Packet 2.*centre"),
    "a charged cell": (lambda: gh.crystal_surface_charge(gh.PointCharges([0, 0.5], [1, -2]), 1, 0), "carries -1 e"),
    "charges outside the cell": (lambda: gh.crystal_surface_charge(gh.PointCharges([0, 1.5], [1, -1]), 1, 0), "leave"),
    "no length": (lambda: gh.crystal_surface_charge(gh.PointCharges([0, 0.5], [1, -1]), 0, 0), "positive length"),
    "a charged bulk": (lambda: gh.point_surface_charge(crystal(((1.0, 0.0), (-2.0, 0.3))), period=1.0), "not neutral"),
    "a wrong period": (lambda: gh.point_surface_charge(PAIRS, x_b=9.6, period=0.7), "not neutral"),
    "both": (lambda: gh.point_surface_charge(PAIRS, period=1.0, bulk=(5, 6)), "one of them"),
    "window turned round": (lambda: gh.point_surface_charge(PAIRS, bulk=(6, 5)), "lower first"),
    "window outside": (lambda: gh.point_surface_charge(PAIRS, bulk=(6, 50)), "leaves the charges"),
    "period outside": (lambda: gh.point_surface_charge(PAIRS, x_b=0.2, period=1.0), "leaves the charges"),
    "negative period": (lambda: gh.point_surface_charge(PAIRS, period=-1.0), "positive length"),
    "x_b outside": (lambda: gh.point_surface_charge(PAIRS, x_b=50.0), "outside the charges"),
    "x_b not finite": (lambda: gh.point_surface_charge(PAIRS, x_b=float("nan")), "finite"),
    "kernel to the surface": (lambda: gh.point_surface_charge(PAIRS, eps=6.0), "2.5 eps"),
    "negative eps": (lambda: gh.point_surface_charge(PAIRS, eps=-1.0), "positive"),
    "one charge short": (lambda: gh.PointCharges([0, 1], [1]), "one charge for each"),
    "none": (lambda: gh.PointCharges([], []), "0 charges"),
    "not finite": (lambda: gh.PointCharges([0, np.inf], [1, 1]), "finite"),
    "a charged molecule without origin": (lambda: gh.molecular_charge([(None, [(0, 1)])], 0.0, 1.0), "no origin"),
    "an area that is none": (lambda: gh.PointCharges([0, 1], [1, -1], area=np.nan), "area = nan"),
    "a molecule seen from nowhere": (lambda: gh.molecular_charge([(0.0, [(0, 1)])], np.nan, 1.0), "x is not finite"),
    "no kernel": (lambda: gh.molecular_charge([(0.0, [(0, 1)])], 0.0, 0.0), "positive"),
    "no window": (lambda: PAIRS.dipole_density(1.0, 0.0), "positive"),
    "no cell": (lambda: PAIRS.cell_charge(1.0, -1.0), "positive"),
    "an element without a charge": (
        lambda: gh.PointCharges.of_structure(
            gh.Structure(np.array([11, 17]), np.zeros((2, 3))), gh.Grid((2, 2, 2), np.eye(3)), "c", {"Na": 1}
        ),
        "No charge for Cl",
    ),
    "no charges at all": (
        lambda: gh.PointCharges.of_structure(
            gh.Structure(np.array([11]), np.zeros((1, 3))), gh.Grid((2, 2, 2), np.eye(3))
        ),
        "states no charges",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, words = REFUSED[case]
    with pytest.raises((InputError, KernelError), match=words) as refused:
        make()
    assert str(refused.value).endswith(".")


def test_a_slab_of_one_sign_is_remarked_on():
    """Anions typed as cations gave a surface charge of 0.4 e/Å^2 without a word."""
    x = np.arange(20.0)
    for charges, said in ((np.ones(20), True), (np.tile([1.0, -1.0], 10), False)):
        points = gh.PointCharges(x, charges)
        remarks = gh.point_surface_charge(points).remarks
        assert any("all charges add up to 20 e" in remark and "give the period" in remark for remark in remarks) is said
    with pytest.raises(InputError, match="neutral"):
        gh.point_surface_charge(gh.PointCharges(x, np.ones(20)), period=2.0)


def test_a_kernel_near_a_surface_is_remarked_on():
    found = gh.point_surface_charge(PAIRS, x_b=9.65, eps=3.2)
    assert "less than 3.5" in found.remarks[0]
    near = gh.point_surface_charge(PAIRS, x_b=1.15, period=1.0)
    assert near.low.defined and not near.low_kernel.defined and "2.5 eps" in near.low_kernel.reason
