"""Grid: geometry against vector algebra done by hand, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhomog.errors import InputError
from gpuhomog.grid import Grid, axis_index, parse_boundary

pytestmark = pytest.mark.smoke

NUMBERS = st.floats(-4, 4)


@given(st.lists(NUMBERS, min_size=9, max_size=9), st.tuples(*[st.integers(1, 9)] * 3))
def test_geometry_of_any_cell(numbers, shape):
    cell = np.array(numbers).reshape(3, 3)
    volume = abs(np.linalg.det(cell))
    if volume < 0.05:
        return
    grid = Grid(shape, cell)
    assert grid.volume == pytest.approx(volume)
    assert grid.n_points == shape[0] * shape[1] * shape[2]
    assert grid.reciprocal @ cell.T == pytest.approx(2 * np.pi * np.eye(3), abs=1e-9)
    for axis in range(3):
        normal = grid.normal(axis)
        assert np.linalg.norm(normal) == pytest.approx(1)
        assert normal @ cell[(axis + 1) % 3] == pytest.approx(0, abs=1e-9)
        assert normal @ cell[(axis + 2) % 3] == pytest.approx(0, abs=1e-9)
        assert grid.height(axis) == pytest.approx(normal @ cell[axis])  # positive: along its lattice vector
        positions = grid.plane_positions(axis)
        assert positions == pytest.approx(np.arange(shape[axis]) * (normal @ cell[axis]) / shape[axis])
        assert grid.points_per_plane(axis) * shape[axis] == grid.n_points


def test_a_billion_points_do_not_overflow():
    assert Grid((4096, 4096, 4096), np.eye(3)).n_points == 68719476736


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (((0, 2, 2), np.eye(3)), "at least 1"),
        (((2, 2), np.eye(3)), "three counts"),
        (((2, 2.5, 2), np.eye(3)), "three counts"),
        (((2, 2, 2), np.zeros((3, 3))), "Singular cell"),
        (((2, 2, 2), [[1, 0, 0], [2, 0, 0], [0, 0, 1]]), "Singular cell"),
        (((2, 2, 2), [[1, 0, 0], [0, np.nan, 0], [0, 0, 1]]), "NaN or infinity"),
        (((2, 2, 2), np.eye(2)), "3 x 3"),
        (((2, 2, 2), np.eye(3), [0, 0]), "three coordinates"),
        (((2, 2, 2), np.eye(3), [0, 0, 0], "sticky"), "not understood"),
    ],
)
def test_grids_that_cannot_be(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Grid(*arguments)


def test_frozen():
    grid = Grid((2, 2, 2), np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        grid.cell[0, 0] = 2.0
    with pytest.raises(AttributeError):
        grid.shape = (3, 3, 3)
    assert grid == Grid((2, 2, 2), np.eye(3)) and grid != Grid((2, 2, 3), np.eye(3))


def test_boundary_and_axis_names():
    assert parse_boundary("open") == ("open",) * 3
    assert parse_boundary(["p", "o", "periodic"]) == ("periodic", "open", "periodic")
    assert [axis_index(a) for a in ("a", 1, "2", np.int64(0))] == [0, 1, 2, 0]
    for wrong in (3, -1, "x", "", None, True, 1.0):
        with pytest.raises(InputError, match="does not exist"):
            axis_index(wrong)


def test_the_same_points_as_files_state_them():
    """A cube rounds steps to 1e-6 bohr; another cell or origin differs by more."""
    shape, bohr = (300, 240, 96), 0.529177210903
    grid = Grid(shape, np.array([[15.1, 0.3, 0], [-0.7, 13.2, 0.1], [0, 0, 5.7]]), np.array([0.1, 0.2, 0.3]))
    counts = np.array(shape)[:, None]
    stated = np.round(grid.cell / counts / bohr, 6) * counts * bohr
    assert not np.array_equal(stated, grid.cell)
    assert grid.has_points_of(Grid(shape, stated, np.round(grid.origin / bohr, 6) * bohr))
    assert not grid.has_points_of(Grid(shape, grid.cell * 1.0001, grid.origin))
    assert not grid.has_points_of(Grid(shape, grid.cell, grid.origin + np.array([0, 0, 0.001])))
    assert not grid.has_points_of(Grid((300, 240, 97), grid.cell, grid.origin))
