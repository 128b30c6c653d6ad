"""ASE: arrays with Atoms become Fields as ASE's own geometry has them; files that ASE reads with values."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError, UnitsError

pytest.importorskip("ase", reason="ASE is not installed")
import ase
import ase.io.cube
import ase.io.xsf

CELL = [[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.0, 0.3, 5.0]]
VALUES = np.random.default_rng(4).normal(size=(5, 4, 6))


@pytest.fixture
def atoms():
    return ase.Atoms("NaCl", positions=[[0, 0, 0], [1.5, 2, 2.5]], cell=CELL, pbc=[True, True, False])


def test_an_array_and_atoms_become_a_field(atoms):
    field = gh.from_ase(VALUES, atoms, quantity="electron_density")
    assert field.unit == "1/Å^3"
    assert field.integral() == pytest.approx(VALUES.mean() * atoms.get_volume(), rel=1e-13)
    assert field.structure.formula == "ClNa"
    assert np.array_equal(field.structure.positions, atoms.positions)
    assert field.grid.boundary == ("periodic",) * 3
    assert field.provenance[-1]["step"] == "from ASE"
    back = field.structure.to_ase(field.grid)
    assert np.allclose(back.get_scaled_positions(wrap=False), atoms.get_scaled_positions(wrap=False))


def test_units_boundary_and_origin_are_taken(atoms):
    field = gh.from_ase(
        VALUES, atoms, quantity="electron_potential_energy", unit="Ha", boundary="p,p,o", origin=[0, 0, 1]
    )
    assert np.allclose(field.to_host(), VALUES * ase.units.Hartree, rtol=1e-7)  # ASE's CODATA 2014
    assert field.grid.boundary == ("periodic", "periodic", "open")
    assert np.array_equal(field.grid.origin, [0, 0, 1])


def test_points_left_out_at_an_open_face_are_put_back(atoms):
    """A function that vanishes on the face, sampled without it as GPAW does, keeps its place."""
    z = np.arange(1, 8) / 8
    values = np.broadcast_to(np.sin(np.pi * z), (2, 2, 7))
    field = gh.from_ase(values, atoms, pad=(0, 0, 1))
    assert field.grid.shape == (2, 2, 8)
    assert np.allclose(field.to_host()[0, 0], np.sin(np.pi * np.arange(8) / 8), atol=1e-15)


def test_what_is_not_atoms_or_has_no_cell_is_refused(atoms):
    with pytest.raises(InputError, match=r"give ase\.Atoms"):
        gh.from_ase(VALUES, "NaCl")
    with pytest.raises(InputError, match="Singular cell"):
        gh.from_ase(VALUES, ase.Atoms("Na"))
    with pytest.raises(InputError, match="pad"):
        gh.from_ase(VALUES, atoms, pad=-1)
    with pytest.raises(InputError, match="three axes"):
        gh.from_ase(VALUES[0], atoms)


def test_cubes_through_ase_are_those_of_the_own_reader(atoms, tmp_path):
    with open(tmp_path / "x.cube", "w") as file:
        ase.io.cube.write_cube(file, atoms, VALUES, origin=[0.1, 0.2, 0.3])
    field = gh.read(tmp_path / "x.cube", kind="ase", quantity="electron_density")
    own = gh.read(tmp_path / "x.cube", quantity="electron_density")
    assert np.allclose(field.to_host(), own.to_host(), rtol=1e-12)
    assert np.allclose(field.grid.cell, own.grid.cell, rtol=1e-7)
    assert np.allclose(field.grid.origin, own.grid.origin, rtol=1e-7)
    assert np.allclose(field.structure.positions, own.structure.positions, atol=1e-6)


def test_xsf_through_ase_drops_the_repeated_planes(atoms, tmp_path):
    atoms.pbc = True
    general = np.pad(VALUES, ((0, 1),) * 3, mode="wrap")
    with open(tmp_path / "x.xsf", "w") as file:
        ase.io.xsf.write_xsf(file, [atoms], general, span_vectors=CELL)
    field = gh.read(tmp_path / "x.xsf", kind="ase")
    assert field.grid.shape == VALUES.shape
    assert np.allclose(field.to_host(), VALUES, atol=1e-6)  # ASE writes six decimals
    with pytest.raises(UnitsError, match="do not declare a unit"):
        gh.read(tmp_path / "x.xsf", kind="ase", quantity="electron_potential_energy")
    with open(tmp_path / "x.xsf", "w") as file:
        ase.io.xsf.write_xsf(file, [atoms], VALUES, span_vectors=CELL)
    with pytest.raises(FileFormatError, match="last planes do not repeat the first"):  # they were dropped
        gh.read(tmp_path / "x.xsf", kind="ase")


def test_potentials_of_cubes_through_ase_need_their_unit(atoms, tmp_path):
    with open(tmp_path / "x.cube", "w") as file:
        ase.io.cube.write_cube(file, atoms, VALUES, comment="Cubfile created from PWScf calculation")
    with pytest.raises(UnitsError, match="in Ry, not in Ha"):
        gh.read(tmp_path / "x.cube", kind="ase", quantity="electron_potential_energy")


def test_files_without_values_are_refused(atoms, tmp_path):
    atoms.write(tmp_path / "x.xyz")
    with pytest.raises(FileFormatError, match=r"without values on a grid.*gpuhomog\.from_ase"):
        gh.read(tmp_path / "x.xyz", kind="ase")
    (tmp_path / "x.cube").write_text("nothing\n")
    with pytest.raises(FileFormatError, match="ASE cannot read it"):
        gh.read(tmp_path / "x.cube", kind="ase")
