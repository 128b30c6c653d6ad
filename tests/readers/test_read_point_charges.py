"""Point charges of tables, XYZ and structures, written by other programs or by hand."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError

CELL = np.diag([4.0, 4.0, 9.0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "position,charge\n1.5, -1\n0.5, 1\n"),
        ("a.dat", "# a comment\n1.5 -1 # another\n\n0.5 1\n"),
        ("a.tsv", "0.5\t1\n1.5\t-1\n"),
        ("a.csv", "\ufeff0,5;1,0\r\n1,5;-1,0\r\n"),  # were four columns: a charge of 0 at (0, 5, 1)
        ("a.dat", "1.5D+00 -1.0D0\n5.0D-01 1.0D0\n"),
    ],
)
def test_a_line_of_charges(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8")
    points = gh.read_point_charges(tmp_path / name)
    assert np.asarray(points.positions).tolist() == [0.5, 1.5] and np.asarray(points.charges).tolist() == [1.0, -1.0]


def test_four_columns_are_places(tmp_path):
    (tmp_path / "a.txt").write_text("x y z q\n1 2 3 0.5\n4 5 6 -0.5\n")
    found = gh.read_point_charges(tmp_path / "a.txt", cell=CELL)
    assert found.structure.positions.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found.structure.charges.tolist() == [0.5, -0.5] and found.cell.tolist() == CELL.tolist()


def test_xyz_with_charges_plain_and_extended(tmp_path):
    (tmp_path / "plain.xyz").write_text("2\nfirst\nNa 0 0 0 0.9\nCl 0 0 2 -0.9\n")
    found = gh.read_point_charges(tmp_path / "plain.xyz")
    assert found.structure.symbols == ("Na", "Cl") and found.structure.charges.tolist() == [0.9, -0.9]
    assert found.cell is None
    from ase import Atoms
    from ase.io import write

    atoms = Atoms("NaCl", [[0, 0, 0], [0, 0, 2]], cell=CELL, pbc=True)
    atoms.set_initial_charges([0.8, -0.8])
    write(tmp_path / "extended.xyz", [atoms, atoms], columns=["symbols", "positions", "initial_charges"])
    again = gh.read_point_charges(tmp_path / "extended.xyz", frame=1)
    assert again.structure.charges.tolist() == [0.8, -0.8] and again.cell.tolist() == CELL.tolist()


def test_structures_get_their_charges_by_element(tmp_path):
    from ase import Atoms
    from ase.io import write

    write(tmp_path / "POSCAR", Atoms("NaCl", [[0, 0, 0], [0, 0, 2]], cell=CELL, pbc=True), format="vasp")
    found = gh.read_point_charges(tmp_path / "POSCAR", charges={"Na": 1, "Cl": -1})
    assert found.structure.charges.tolist() == [1.0, -1.0] and found.cell.tolist() == CELL.tolist()


def test_files_of_fields_have_structures_too():
    """Silicon, two atoms a quarter of the diagonal apart: planes (1 1 1) of one atom each, 1:3 apart."""
    found = gh.read_point_charges(Path(__file__).parents[1] / "data" / "Si_CHGCAR.gz", charges={"Si": 4})
    assert found.structure.formula == "Si2" and found.structure.charges.tolist() == [4.0, 4.0]
    points, spacing, _ = gh.ions_on_planes(found.structure, found.cell, (1, 1, 1))
    apart = float(np.diff(np.asarray(points.positions))[0]) / spacing
    assert min(apart, 1 - apart) == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "text", "options", "error", "words"),
    [
        ("a.csv", "1,2\n3\n", {}, FileFormatError, "line 2 has 1 columns"),
        ("a.csv", "1,2\n3,nickel\n", {}, FileFormatError, "line 2 holds more than numbers"),
        ("a.csv", "x,q\n", {}, FileFormatError, "holds no charges"),
        ("a.csv", "0,1\n", {"charges": {"Na": 1}}, InputError, "states its charges"),
        ("a.csv", "0,1\n", {"cell": CELL}, InputError, "has no cell"),
        ("a.txt", "0 0 0 1\n", {"cell": np.zeros((3, 3))}, InputError, "span a volume"),
        ("a.xyz", "1\n\nNa 0 0 0\n", {}, InputError, "states no charges"),
        ("a.xyz", "1\n\nNa 0 0 0\n", {"charges": {"Cl": 1}}, InputError, "a.xyz: no charge for Na"),
        ("a.xyz", "1\n\nQq 0 0 0 1\n", {}, FileFormatError, "Qq"),
        ("a.cif", "nothing\n", {}, FileFormatError, "ASE cannot read"),
        ("", "", {}, InputError, "no such file"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, text, options, error, words):
    if name:
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=words):
        gh.read_point_charges(tmp_path / (name or "gone.csv"), **options)
