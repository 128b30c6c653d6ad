"""Charge densities made from electrons that are read some planes at a time."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.streaming import Limit, Run, in_turns, running

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")

CELLS = {
    "orthogonal": np.diag([6.0, 5.0, 7.0]),
    "hexagonal": np.array([[6.0, 0, 0], [-3.0, 3 * 3**0.5, 0], [0, 0, 8.0]]),
    "hexagonal, upright": np.array([[8.0, 0, 0], [0, 6.0, 0], [0, -3.0, 3 * 3**0.5]]),
}


def electrons(stored, rng, cell, shape, order):
    """Atoms anywhere, and as many electrons as their ions have charge."""
    positions = rng.uniform(size=(3, 3)) @ cell
    values = np.asarray(rng.uniform(0.5, 1.5, size=shape), order=order)
    values *= 9.0 / (values.mean() * abs(np.linalg.det(cell)))
    atoms = {"numbers": [11, 17, 11], "positions": positions.tolist()}
    return stored(values, cell, quantity="electron_density", unit="1/Å^3", **atoms)


@pytest.mark.parametrize("shape", [(24, 21, 28), (25, 20, 27)])
@pytest.mark.parametrize(
    ("name", "order"),
    [("orthogonal", "C"), ("orthogonal", "F"), ("hexagonal", "F"), ("hexagonal, upright", "C")],
)
def test_ions_are_added_plane_by_plane(stored, small_chunks, rng, name, order, shape):
    path = electrons(stored, rng, CELLS[name], shape, order)
    small_chunks(5 * shape[1] * shape[2] * 8)
    how = {"ion_charges": {"Na": 1, "Cl": 7}, "width": 0.6}
    array = gh.charge_density(gh.read(path), **how)
    field = gh.charge_density(gh.read(path, max_memory="4GB"), **how)
    scale = np.abs(array.values).max()
    np.testing.assert_allclose(field.values[:, :, :], array.values, rtol=0, atol=1e-14 * scale)
    for axis in "abc":
        np.testing.assert_allclose(
            gh.planar_average(field, axis).values, gh.planar_average(array, axis).values, rtol=0, atol=1e-13 * scale
        )
    assert abs(field.integral()) < 1e-12
    kernel = gh.Gaussian(3.0)
    np.testing.assert_allclose(
        gh.average(field, kernel, spacing=2.0).values, gh.average(array, kernel, spacing=2.0).values, atol=1e-13 * scale
    )


def test_tasks_that_add_the_same_ions_share_the_passes(stored, small_chunks, rng):
    path = electrons(stored, rng, CELLS["orthogonal"], (24, 21, 28), "C")
    small_chunks(5 * 21 * 28 * 8)
    run = Run(Limit(4 * 10**9))
    with running(run):
        field = gh.read(path, max_memory="4GB")
    stream, seen = field.values.stream, []
    read = stream.read

    def noting(start, stop):
        seen.extend(range(start, stop))
        return read(start, stop)

    stream.read = noting

    def work(axis):
        return gh.planar_average(gh.charge_density(field, ion_charges={"Na": 1, "Cl": 7}, width=0.6), axis)

    in_turns([lambda axis=axis: work(axis) for axis in "abc"], run.answer)
    assert sorted(seen) == sorted(2 * list(range(24)))  # for the number of electrons, then for all profiles


def test_an_axis_that_is_not_normal_to_the_others_is_refused(stored, rng):
    cell = np.array([[6.0, 0, 0], [1.0, 5.0, 0], [0, 0, 7.0]])
    path = electrons(stored, rng, cell, (24, 21, 28), "C")
    with pytest.raises(InputError, match="Adding ions where axis a is not normal to the other two needs all values"):
        gh.charge_density(gh.read(path, max_memory="4GB"), ion_charges={"Na": 1, "Cl": 7}, width=0.6)
