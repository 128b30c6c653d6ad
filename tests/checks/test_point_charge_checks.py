"""Point charges without a grid, against values by hand and by numerical derivatives."""

import pytest

import gpuhomog as gh


def test_surface_charge_of_point_charges_where_they_are(checks):
    check = checks["point_charges_eq58"]
    cell = ((1.0, 0.1), (-3.0, 0.35), (2.0, 0.8))
    points = gh.PointCharges([j + x for j in range(100) for _, x in cell], [q for _ in range(100) for q, _ in cell])
    found = [float(gh.point_surface_charge(points, x_b=x, period=1.0).low) for x in (50.0, 50.2, 50.5)]
    assert found == pytest.approx(check["expected"], abs=check["tolerance"])
    one_cell = gh.PointCharges([x for _, x in cell], [q for q, _ in cell])
    assert float(gh.crystal_surface_charge(one_cell, 1.0, 0.0)) == pytest.approx(-0.65, abs=check["tolerance"])


def test_charge_between_two_cells_of_dipoles(checks):
    check = checks["lo_triangle_charge"]
    points = gh.PointCharges([-0.7, -0.3, 0.3, 0.75], [1, -1, 1, -1])
    assert float(points.cell_charge(0.0, 1.0)) == pytest.approx(check["expected"], abs=check["tolerance"])


def test_free_and_bound_charge_of_molecules(checks):
    check = checks["attempt4_russakoff"]
    given = check["inputs"]
    found = gh.molecular_charge(given["molecules"], given["x"], given["eps"])
    assert [found.exact[0], found.free[0], found.bound[0]] == pytest.approx(check["expected"], abs=check["tolerance"])
    assert found.residual[0] == pytest.approx(check["expected"][0] - sum(check["expected"][1:]), abs=1e-9)
