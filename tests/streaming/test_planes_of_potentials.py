"""What is asked of the planes of potentials and charges on disk, and needs no spectrum: ramps, waves of planes."""

import numpy as np
import pytest
from gaussian_charges import density
from ranks import together

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.streaming import Unread

SHAPE, CELL = (16, 15, 60), np.diag([4.0, 4.0, 20.0])
BLOBS = [(0.2, 0.7, (2.0, 2.0, 9.0)), (-0.2, 0.8, (2.0, 2.0, 7.5))]


@pytest.fixture
def polar(stored, small_chunks):
    """The charge of a polar slab along c and its periodic potential: arrays, and files of one order."""

    def make(order):
        charge = density(SHAPE, CELL, BLOBS, "periodic", (2, 2, 1), order=order)
        potential = gh.electrostatic_potential(charge)
        small_chunks(3 * 240 * 8 if order == "F" else 3 * 900 * 8)
        known = {"charge": (charge, "e/Å^3"), "potential": (potential, "V")}
        paths = {
            name: stored(np.asarray(one.values, order=order), CELL, f"{name}.npy", quantity=one.quantity, unit=unit)
            for name, (one, unit) in known.items()
        }
        return charge, potential, paths

    return make


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_dipole_correction(polar, order, tmp_path):
    """With the charge or by the slopes, along the axis that is read and across it; then written."""
    charge, potential, paths = polar(order)
    field, beside = (gh.read(paths[name], max_memory="4GB") for name in ("potential", "charge"))
    for one, other in (({}, {}), ({"density": charge}, {"density": beside})):
        expected, found = gh.dipole_correction(potential, "c", **one), gh.dipole_correction(field, "c", **other)
        assert isinstance(found.potential.values, Unread)
        assert found.removed.value == pytest.approx(expected.removed.value, rel=1e-9)
        assert found.levels.step.value == pytest.approx(expected.levels.step.value, abs=1e-12)
        written = gh.read(gh.write(found.potential, tmp_path / "corrected.npz"))
        np.testing.assert_allclose(written.values, expected.potential.values, rtol=0, atol=1e-12)
    for part in together(
        3, lambda comm: gh.dipole_correction(gh.read(paths["potential"], comm=comm, max_memory="4GB"), "c")
    ):
        assert part.levels.step.value == pytest.approx(
            gh.dipole_correction(potential, "c").levels.step.value, abs=1e-12
        )


@pytest.mark.parametrize("average", ["point", "disc", "fixed-disc"])
def test_decay_along_the_axis_that_is_read(polar, average):
    charge, _, paths = polar("F")
    how = {"x_b": 8.0, "radii": np.geomspace(8.0, 90.0, 12), "average": average}
    expected = gh.deviation_decay(charge, "c", **how)
    found = gh.deviation_decay(gh.read(paths["charge"], max_memory="4GB"), "c", **how)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-13)
    for part in together(
        3, lambda comm: gh.deviation_decay(gh.read(paths["charge"], comm=comm, max_memory="4GB"), "c", **how)
    ):
        np.testing.assert_allclose(part.values, expected.values, rtol=0, atol=1e-13)
    with pytest.raises(InputError, match="decay along a, whose planes are not those that are read, needs all values"):
        gh.deviation_decay(gh.read(paths["charge"], max_memory="4GB"), "a", **(how | {"x_b": 2.0}))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", ["a", "b", "c"])
def test_a_slab_cut_in_its_vacuum(stored, small_chunks, order, axis):
    """A slab across the boundary of its cell, along the axis that is read or another; then its potential."""
    turn = {"a": (2, 0, 1), "b": (1, 2, 0), "c": (0, 1, 2)}[axis]
    values = np.roll(density(SHAPE, CELL, BLOBS, "periodic", (2, 2, 1)).values, 32, axis=2).transpose(turn)
    values, cell = np.asarray(values, order=order), np.diag(np.diag(CELL)[list(turn)])
    small_chunks(1 << 15)
    path = stored(values, cell, quantity="charge_density", unit="e/Å^3")
    whole, field = gh.cut_in_vacuum(gh.read(path), axis), gh.cut_in_vacuum(gh.read(path, max_memory="4GB"), axis)
    assert field.grid == whole.grid and isinstance(field.values, Unread)
    np.testing.assert_array_equal(field.values[:, :, :], whole.values)
    expected = gh.electrostatic_potential(whole).values
    np.testing.assert_allclose(gh.electrostatic_potential(field).values[:, :, :], expected, rtol=0, atol=1e-12)

    def on_ranks(comm):
        part = gh.cut_in_vacuum(gh.read(path, comm=comm, max_memory="4GB"), axis)
        return part.values[:, :, :], gh.electrostatic_potential(part).values[:, :, :]

    parts = together(3, on_ranks)
    split = 0 if order == "C" else 2
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts], axis=split), whole.values)
    joined = np.concatenate([part[1] for part in parts], axis=split)
    np.testing.assert_allclose(joined, expected, rtol=0, atol=1e-12)


def test_what_is_on_the_disks_of_other_ranks(polar):
    """A potential on the disk, cut along the axis that ranks share."""
    _, _, paths = polar("F")

    def cut(comm):
        potential = gh.electrostatic_potential(gh.read(paths["charge"], comm=comm, max_memory="4GB"))
        return gh.cut_in_vacuum(potential, "c", position=4.0).extrema()

    assert cut(None) == pytest.approx(together(1, cut)[0], rel=1e-12)
    with pytest.raises(
        InputError, match=r"of a result on the disk are with other ranks, .* write it to a file and read"
    ):
        together(2, cut)
