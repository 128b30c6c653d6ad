"""Excess of edges and corners of lattices of point charges, against Abel sums; and a dividing line that is moved.

A charge at a grid point is a sample of charge/volume of its cell: the sums over samples are those over the charges.
"""

import numpy as np
import pytest

import gpuhomog as gh


def alternating(shape, where=lambda *index: True):
    """(-1)^(i + j + …) at the points of a lattice of 1 Å, where a condition holds; open."""
    index = np.indices((*shape, 1)[:3])
    values = (-1.0) ** index.sum(axis=0) * where(*index)
    return gh.Field.from_array(values, np.diag([*shape, 1.0][:3]), boundary="open", quantity="charge_density")


def test_edge_and_corner_of_a_checkerboard(checks):
    check = checks["corner_checkerboard"]
    edge, corner = check["expected"]
    found = gh.lines_and_points(alternating((61, 60)), [gh.box_region((-0.5, -0.5), (60.5, 59.5))])
    assert [float(line.value) for line in found.lines] == pytest.approx([edge] * 4, abs=check["tolerance"])
    (at_origin,) = (point.value for point in found.points if point.corners == ((-0.5, -0.5),))
    assert float(at_origin) == pytest.approx(corner, abs=check["tolerance"])
    assert abs(float(found.closure)) < 1e-12


def test_edge_along_the_diagonal(checks):
    check = checks["edge_11_checkerboard"]
    n = 64
    field = alternating((n, n), lambda i, j, k: i + j >= n)
    triangle = [(n - 0.5, 0.5), (n - 0.5, n - 0.5), (0.5, n - 0.5)]
    found = gh.lines_and_points(field, [gh.Region(triangle)], eps=4.4)
    (diagonal,) = (line for line in found.lines if set(line.corners) == {(n - 0.5, 0.5), (0.5, n - 0.5)})
    assert float(diagonal.value) == pytest.approx(check["expected"], abs=check["tolerance"])


def test_corner_of_rock_salt(checks):
    check = checks["nacl_corner"]
    n = 44
    found = gh.lines_and_points(alternating((n, n, n)), [gh.box_region((-0.5,) * 3, (n - 0.5,) * 3)])
    (corner,) = (point.value for point in found.points if point.corners == ((-0.5, -0.5, -0.5),))
    assert float(corner) == pytest.approx(check["expected"], abs=check["tolerance"])
    assert corner.unit == "e"
