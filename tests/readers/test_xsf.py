"""XSF and AXSF data grids: repeated planes are dropped, and only where they repeat."""

import gzip

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError, UnitsError
from gpuhomog.readers import open_source

CELL = np.array([[3.0, 0.1, 0.0], [0.4, 2.5, 0.2], [-0.3, 0.6, 4.0]])
CRYSTAL = "# made for a test\nCRYSTAL\nPRIMVEC\n" + "".join("{} {} {}\n".format(*v) for v in CELL)
CRYSTAL += "PRIMCOORD\n2 1\n11 0.0 0.0 0.0\nCl 1.5 1.6 2.1 0.0 0.0 0.1\n"


def vectors(cell):
    return "".join("{!r} {!r} {!r}\n".format(*map(float, v)) for v in cell)


def grid(values, cell=CELL, origin="0.0 0.0 0.0", name="density", per_row=6):
    words = [f"{v:14.6E}" for v in values.ravel(order="F")]
    rows = "".join("".join(words[i : i + per_row]) + "\n" for i in range(0, len(words), per_row))
    counts = "{} {} {}\n".format(*values.shape)
    return f"BEGIN_DATAGRID_3D_{name}\n{counts}{origin}\n{vectors(cell)}{rows}END_DATAGRID_3D\n"


def block(*grids):
    return "BEGIN_BLOCK_DATAGRID_3D\nby_a_test\n" + "".join(grids) + "END_BLOCK_DATAGRID_3D\n"


def values_of(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def repeated(values):
    return np.pad(values, ((0, 1),) * 3, mode="wrap")


def rounded(values):
    return np.array([float(f"{v:14.6E}") for v in values.ravel()]).reshape(values.shape)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("per_row", [6, 5, 1, 1000])
def test_repeated_planes_are_dropped(tmp_path, compress, per_row):
    values = values_of((4, 5, 6))
    text = CRYSTAL + block(grid(repeated(values), per_row=per_row))
    path = write(tmp_path / "x.xsf", compress(text.encode()))
    field = gh.read(path)
    assert field.grid.shape == (4, 5, 6) and np.allclose(field.grid.cell, CELL)
    assert np.array_equal(field.values, rounded(values))
    assert field.mean() == pytest.approx(rounded(values).mean(), rel=1e-12)
    assert field.structure.symbols == ("Na", "Cl") and field.structure.positions[1].tolist() == [1.5, 1.6, 2.1]
    assert np.array_equal(open_source(path).read_planes(2, 5, "density", np.dtype(float)), rounded(values)[:, :, 2:5])


def test_pieces_do_not_show(tmp_path, monkeypatch):
    from gpuhomog.readers import text_values

    values = values_of((5, 3, 4))
    path = write(tmp_path / "x.xsf", CRYSTAL + block(grid(repeated(values))))
    for piece in (1, 7, 20, 60):
        monkeypatch.setattr(text_values, "PIECE", piece)
        assert np.array_equal(gh.read(path).values, rounded(values))


def test_a_grid_that_lacks_the_repeated_planes(tmp_path):
    values = values_of((4, 5, 6))
    path = write(tmp_path / "x.xsf", CRYSTAL + block(grid(values)))
    with pytest.raises(FileFormatError, match=r"last plane along a does not repeat the first.*xsf-unrepeated"):
        gh.read(path)
    field = gh.read(path, kind="xsf-unrepeated")
    assert field.grid.shape == (4, 5, 6) and np.allclose(field.grid.cell, CELL)
    short = CELL * np.array([[3 / 4], [4 / 5], [5 / 6]])
    field = gh.read(write(path, CRYSTAL + block(grid(values, cell=short))))
    assert np.allclose(field.grid.cell, CELL) and field.grid.boundary == ("periodic",) * 3
    assert np.array_equal(field.values, rounded(values))


def by_ase(path, values):
    """The file that ASE writes."""
    from ase import Atoms
    from ase.io.xsf import write_xsf

    with path.open("w") as file:
        write_xsf(file, [Atoms("NaCl", positions=[[0, 0, 1], [1, 1, 2]], cell=CELL, pbc=True)], data=values)
    return path


def test_what_ase_writes(tmp_path):
    values = values_of((4, 5, 6))
    field = gh.read(by_ase(tmp_path / "x.xsf", values))
    assert np.allclose(field.grid.cell, CELL) and field.grid.boundary == ("periodic",) * 3
    assert np.allclose(field.values, values, atol=1e-6)


def in_vacuum(shape):
    """Nothing in the two outer planes of c and beside them."""
    values = values_of(shape)
    values[:, :, [0, 1, -2, -1]] = 0
    return values


def test_a_vacuum_at_both_ends_repeats_nothing(tmp_path):
    """Its planes are equal: each axis lost one, and the cell of what ASE writes was too long by a step."""
    values = in_vacuum((4, 5, 9))
    path = by_ase(tmp_path / "x.xsf", values)
    field = gh.read(path)
    assert np.allclose(field.grid.cell, CELL) and np.allclose(field.values, values, atol=1e-6)
    short = CELL * np.array([[3 / 4], [4 / 5], [8 / 9]])
    field = gh.read(write(path, CRYSTAL + block(grid(values, cell=short))))
    assert np.allclose(field.grid.cell, CELL) and np.array_equal(field.values, rounded(values))
    with pytest.raises(FileFormatError, match=r"last plane along a does not repeat the first.*xsf-unrepeated"):
        gh.read(write(path, CRYSTAL + block(grid(values))))
    field = gh.read(write(path, CRYSTAL + block(grid(repeated(values)))))
    assert np.allclose(field.grid.cell, CELL) and np.array_equal(field.values, rounded(values))


def test_repeated_planes_over_the_vectors_that_ase_writes(tmp_path):
    values = values_of((4, 5, 6))
    long = CELL * np.array([[6 / 5], [7 / 6], [8 / 7]])
    field = gh.read(write(tmp_path / "x.xsf", CRYSTAL + block(grid(repeated(values), cell=long))))
    assert np.allclose(field.grid.cell, CELL) and np.array_equal(field.values, rounded(values))


def test_a_molecule_in_a_box_is_open(tmp_path):
    values = values_of((4, 5, 6))
    values[:, -1] = values[:, 0]
    text = "ATOMS\n8 0.0 0.0 0.0\nH 0.9 0.1 0.0\n" + block(grid(values, origin="-1.0 -2.0 0.5"))
    field = gh.read(write(tmp_path / "x.xsf", text))
    assert field.grid.boundary == ("open", "periodic", "open") and field.grid.shape == (4, 4, 6)
    assert np.allclose(field.grid.steps, CELL / np.array([[3], [4], [5]]))
    assert field.grid.origin.tolist() == [-1.0, -2.0, 0.5]
    assert field.structure.formula == "HO"
    assert np.array_equal(field.values, rounded(values)[:, :-1])
    assert gh.read(tmp_path / "x.xsf", boundary="periodic").grid.boundary == ("periodic",) * 3


def test_several_grids_and_animations(tmp_path):
    first, second, third = values_of((4, 5, 6)), values_of((4, 5, 6), 1), values_of((3, 4, 2), 2)
    text = "ANIMSTEPS 2\n" + CRYSTAL.replace("PRIMVEC", "PRIMVEC 1").replace("PRIMCOORD", "PRIMCOORD 1")
    text += block(grid(repeated(first), name="up"), grid(repeated(second), name="down"))
    text += "BEGIN_BLOCK_DATAGRID_2D\nskipped\n1 2 3\nEND_BLOCK_DATAGRID_2D\n"
    text += "PRIMVEC 2\n" + vectors(2 * CELL) + "PRIMCOORD 2\n1 1\nMg 0 0 0\n"
    text += block(grid(repeated(third), cell=2 * CELL, name="up"))
    path = write(tmp_path / "x.axsf", text)
    source = open_source(path)
    assert source.blocks == ("up", "down") and source.n_frames == 2
    assert any("animation of 2 steps" in r for r in source.remarks)
    assert np.array_equal(gh.read(path, block="down").values, rounded(second))
    field = gh.read(path, frame=1)
    assert np.allclose(field.grid.cell, 2 * CELL) and field.structure.formula == "Mg"
    assert np.array_equal(field.values, rounded(third))
    with pytest.raises(InputError, match="frame 2 does not exist"):
        gh.read(path, frame=2)


def test_a_quantity_needs_its_unit(tmp_path):
    path = write(tmp_path / "x.xsf", CRYSTAL + block(grid(repeated(values_of((4, 5, 6))))))
    with pytest.raises(UnitsError, match=r'do not declare a unit.*unit="Ha"'):
        gh.read(path, quantity="electron_potential_energy")
    field = gh.read(path, quantity="electron_potential_energy", unit="Ry")
    assert np.allclose(field.values, rounded(values_of((4, 5, 6))) * 13.605693122990, rtol=1e-14)


GOOD = CRYSTAL + block(grid(repeated(values_of((4, 5, 6)))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[: len(t) // 2], r"ends after \d+ of 210 values"),
        (lambda t: t[: t.index("END_DATAGRID")], "stands the end of the file instead of END_DATAGRID"),
        (lambda t: t.replace("5 6 7\n", "5 6 8\n"), "ends after 210 of 240 values"),
        (lambda t: t.replace("5 6 7\n", "5 6 6\n"), "instead of END_DATAGRID"),
        (lambda t: t.replace("5 6 7\n", "5 0 7\n"), "counts are at least 1"),
        (lambda t: t.replace("5 6 7\n", "50000 60000 70000\n"), "announces 210000000000000 values"),
        (lambda t: t.replace("5 6 7\n", "5 6\n"), "has no three counts"),
        (lambda t: t[: t.index("BEGIN_BLOCK")], "no three-dimensional data grid"),
        (lambda t: t.replace("2 1\n11", "3 1\n11"), "atom 3 of 3"),
        (lambda t: t.replace("END_BLOCK_DATAGRID_3D\n", ""), "END_BLOCK_DATAGRID_3D is missing"),
        (lambda t: t.replace(f"{values_of((4, 5, 6))[1, 1, 1]:14.6E}", "***********".rjust(14)), r"\[1, 1, 1\].*stars"),
        (lambda t: t.replace("0.4 2.5 0.2\n", "3.0 0.1 0.0\n"), "Singular cell"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_bad_files_are_refused(tmp_path, change, message, compress):
    changed = change(GOOD)
    assert changed != GOOD
    path = write(tmp_path / "x.xsf", compress(changed.encode()))
    with pytest.raises(FileFormatError, match=message) as caught:
        gh.read(path)
    said = str(caught.value)
    assert said.startswith(str(path)) and "\n" not in said and len(said) < 400


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_last_number_that_lost_its_end_is_refused(tmp_path, compress):
    path = tmp_path / "x.xsf"
    end = GOOD.index("END_DATAGRID")
    for cut in range(1, 14):
        write(path, compress(GOOD[: end - cut].encode()))
        with pytest.raises(FileFormatError, match=r"It is truncated|the end of the file instead of END_DATAGRID"):
            gh.read(path)
