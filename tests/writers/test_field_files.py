"""What is in the files: each format against a reader that is not ours (h5py, zarr, NumPy, ASE, pymatgen, text)."""

import gzip
import json

import h5py
import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError, UnitsError
from gpuhomog.progress import listen
from gpuhomog.writers.planes import use_blocks

BOHR, HARTREE = 0.529177210544, 27.211386245981
CELL = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.0, 0.3, 5.0]])
BINARY = ["x.h5", "x.hdf5", "x.zarr", "x.npz"]


def field_of(shape=(5, 4, 7), order="C", dtype=np.float64, quantity="electron_density", **options):
    values = np.random.default_rng(5).random(shape).astype(dtype)
    atoms = gh.Structure([11, 17, 11], [[0, 0, 0], [1.5, 2, 2.5], [1, 1, 1]], options.pop("charges", None))
    return gh.Field.from_array(np.asarray(values, order=order), CELL, quantity=quantity, structure=atoms, **options)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_files_bring_everything_back(tmp_path, name, order, dtype):
    field = field_of(order=order, dtype=dtype, boundary="p,p,o", origin=[0.1, -0.2, 0.3], charges=[1, 7, 1])
    gh.write(field, tmp_path / name)
    back = gh.read(tmp_path / name, dtype=dtype)
    assert np.array_equal(back.to_host(), field.to_host())
    assert back.grid == field.grid
    assert (back.quantity, back.unit) == (field.quantity, field.unit)
    for attribute in ("numbers", "positions", "charges"):
        assert np.array_equal(getattr(back.structure, attribute), getattr(field.structure, attribute))
    assert back.provenance[:-1] == field.provenance


@pytest.mark.parametrize("name", BINARY)
def test_a_field_without_atoms_or_unit(tmp_path, name):
    field = gh.Field.from_array(np.random.default_rng(0).random((1, 1, 3)), np.eye(3))
    gh.write(field, tmp_path / name)
    back = gh.read(tmp_path / name)
    assert np.array_equal(back.to_host(), field.to_host())
    assert (back.quantity, back.unit, back.structure) == ("scalar", None, None)


@pytest.mark.parametrize("name", BINARY)
def test_coarse_averages_are_written_the_same_way(tmp_path, name):
    coarse = gh.average(field_of(shape=(12, 12, 20)), gh.Gaussian(0.7), spacing=1.0)
    gh.write(coarse, tmp_path / name)
    back = gh.read(tmp_path / name)
    assert np.array_equal(back.to_host(), coarse.to_host())
    assert back.grid == coarse.grid
    assert [s["step"] for s in back.provenance] == [*(s["step"] for s in coarse.provenance), "read"]


def test_the_hdf5_schema_as_h5py_sees_it(tmp_path):
    field = field_of(shape=(300, 40, 70), boundary="p,p,o")
    gh.write(field, tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file:
        assert (file.attrs["format"], file.attrs["version"]) == ("gpuhomog", 1)
        values = file["field/values"]
        assert np.array_equal(values[...], field.to_host())
        assert dict(values.attrs) == {"unit": "1/Å^3", "quantity": "electron_density"}
        assert values.chunks[1:] == (40, 70)
        assert 1 < values.chunks[0] < 300
        assert np.array_equal(file["field/cell"][...], CELL)
        assert list(file["field/boundary"].asstr()) == ["periodic", "periodic", "open"]
        assert list(file["structure/numbers"]) == [11, 17, 11]
        assert "charges" not in file["structure"]
        assert json.loads(file["provenance"].asstr()[()])[0]["step"] == "array"


def test_the_zarr_schema_as_zarr_sees_it(tmp_path):
    import zarr

    field = field_of(shape=(300, 100, 70))
    gh.write(field, tmp_path / "x.zarr")
    root = zarr.open_group(str(tmp_path / "x.zarr"), mode="r")
    assert (root.attrs["format"], root.attrs["version"]) == ("gpuhomog", 1)
    values = root["field/values"]
    assert np.array_equal(values[...], field.to_host())
    assert dict(values.attrs) == {"unit": "1/Å^3", "quantity": "electron_density"}
    assert values.chunks[1:] == (100, 70)
    assert 1 < values.chunks[0] < 300
    assert np.array_equal(root["field/cell"][...], CELL)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_as_numpy_sees_it(tmp_path, order):
    field = field_of(order=order)
    gh.write(field, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
        assert np.array_equal(archive["values"], field.to_host())
        assert archive["values"].flags.f_contiguous == (order == "F")
        assert np.array_equal(archive["cell"], CELL)
        assert str(archive["unit"]) == "1/Å^3"


def test_cube_as_ase_sees_it(tmp_path):
    import ase.io.cube as cube

    field = field_of(quantity="electron_potential_energy", origin=[0.5, 0.0, -1.0], charges=[1, 7, 1])
    gh.write(field, tmp_path / "x.cube")
    with open(tmp_path / "x.cube") as file:
        content = cube.read_cube(file)
    assert np.allclose(content["data"], field.to_host() / HARTREE, rtol=1e-10)
    assert np.allclose(content["atoms"].cell, CELL, atol=1e-7)
    assert np.allclose(content["atoms"].positions, field.structure.positions, atol=1e-7)
    assert np.allclose(content["origin"], [0.5, 0, -1], atol=1e-7)
    assert [float(line.split()[1]) for line in (tmp_path / "x.cube").read_text().splitlines()[6:9]] == [1, 7, 1]


@pytest.mark.parametrize(
    ("quantity", "factor"),
    [
        ("charge_density", BOHR**3),
        ("electron_density", BOHR**3),
        ("electrostatic_potential", 1 / HARTREE),
        ("electron_potential_energy", 1 / HARTREE),
        ("scalar", 1.0),
    ],
)
def test_cubes_hold_atomic_units(tmp_path, quantity, factor):
    field = field_of(quantity=quantity)
    gh.write(field, tmp_path / "x.cube")
    lines = (tmp_path / "x.cube").read_text().splitlines()
    values = np.array(" ".join(lines[2 + 4 + 3 :]).split(), dtype=float).reshape(5, 4, 7)
    assert np.allclose(values, field.to_host() * factor, rtol=1e-10)
    back = gh.read(tmp_path / "x.cube", quantity=quantity)
    assert np.allclose(back.to_host(), field.to_host(), rtol=1e-10)


@pytest.mark.parametrize("n_c", [5, 6, 7, 12])
def test_cube_rows_begin_on_new_lines(tmp_path, n_c):
    gh.write(field_of(shape=(2, 3, n_c)), tmp_path / "x.cube")
    body = (tmp_path / "x.cube").read_text().splitlines()[9:]
    counts = [len(line.split()) for line in body]
    assert counts == ([6] * (n_c // 6) + ([n_c % 6] if n_c % 6 else [])) * 6


@pytest.mark.parametrize("shape", [(5, 4, 7), (3, 3, 3), (1, 1, 2), (10, 1, 1)])
def test_chgcar_as_pymatgen_sees_it(tmp_path, shape):
    import pymatgen.io.vasp.outputs as outputs

    field = field_of(shape=shape, order="F", origin=[0.5, 0.0, 0.0])
    gh.write(field, tmp_path / "CHGCAR")
    content = outputs.Chgcar.from_file(str(tmp_path / "CHGCAR"))
    assert np.allclose(content.data["total"], field.to_host() * 60.0, rtol=1e-10)
    assert np.allclose(content.structure.lattice.matrix, CELL, atol=1e-12)
    assert [site.specie.symbol for site in content.structure] == ["Na", "Cl", "Na"]
    assert np.allclose(content.structure.cart_coords, field.structure.positions - [0.5, 0, 0], atol=1e-12)


def test_chgcar_numbers_are_those_of_vasp(tmp_path):
    """E17.11 after a blank, the leading zero left out of negative numbers, five to a line."""
    field = gh.Field.from_array(
        np.array([1.0, -0.25, 0.0, 12345.678, 1e-30, -1e5]).reshape(6, 1, 1) / 60,
        CELL,
        quantity="electron_density",
        structure=gh.Structure([1], [[0, 0, 0]]),
    )
    gh.write(field, tmp_path / "CHGCAR")
    assert (tmp_path / "CHGCAR").read_text().splitlines()[-2:] == [
        " 0.10000000000E+01 -.25000000000E+00 0.00000000000E+00 0.12345678000E+05 0.10000000000E-29",
        " -.10000000000E+06",
    ]


def test_a_difference_of_densities_is_read_again_by_its_name_and_comment(tmp_path):
    field = field_of(quantity="electron_density")
    difference = field.derive(field.values - field.mean(), "difference")
    gh.write(difference, tmp_path / "CHGCAR_difference")
    back = gh.read(tmp_path / "CHGCAR_difference")
    assert back.quantity == "electron_density" and np.allclose(back.to_host(), difference.to_host(), atol=1e-10)
    # VASP copies the comment of its POSCAR, which may be another file's that was written here
    copied = (tmp_path / "CHGCAR_difference").read_text()
    (tmp_path / "CHGCAR_x").write_text(
        copied.replace("electron_density, written", "electron_potential_energy, written")
    )
    with pytest.raises(FileFormatError, match="looks like a LOCPOT"):
        gh.read(tmp_path / "CHGCAR_x")
    (tmp_path / "LOCPOT_x").write_text(copied)
    assert gh.read(tmp_path / "LOCPOT_x").quantity == "electron_potential_energy"


def test_locpot_holds_ev_and_chgcar_no_potential(tmp_path):
    field = field_of(quantity="electron_potential_energy")
    shifted = field.derive(field.values - 0.75, "shift")
    gh.write(shifted, tmp_path / "LOCPOT_shifted.gz")
    back = gh.read(tmp_path / "LOCPOT_shifted.gz")
    assert back.quantity == "electron_potential_energy"
    assert np.allclose(back.to_host(), shifted.to_host(), atol=1e-10)
    potential = field_of(quantity="electrostatic_potential", unit="V")
    gh.write(potential, tmp_path / "LOCPOT")
    back = gh.read(tmp_path / "LOCPOT")
    assert (back.quantity, back.unit) == ("electron_potential_energy", "eV")
    assert np.allclose(back.to_host(), -potential.to_host(), atol=1e-10)
    with pytest.raises(InputError, match=r'A CHGCAR holds an electron_density, and this field is "electron_pot'):
        gh.write(field, tmp_path / "CHGCAR")
    with pytest.raises(InputError, match="A LOCPOT needs the atoms"):
        gh.write(gh.Field.from_array(field.values, CELL, quantity="electron_potential_energy"), tmp_path / "x.locpot")


@pytest.mark.parametrize("name", ["x.cube", "x.cube.gz", "x.xsf", "x.xsf.gz"])
def test_text_files_bring_the_boundary_back(tmp_path, name):
    for quantity, boundary in (("scalar", "p,p,o"), ("electron_density", "o,p,p"), ("scalar", "periodic")):
        field = field_of(quantity=quantity, boundary=boundary)
        gh.write(field, tmp_path / name)
        back = gh.read(tmp_path / name)
        assert back.grid.boundary == field.grid.boundary
        assert back.grid.shape == field.grid.shape and np.allclose(back.grid.cell, CELL, atol=1e-9)
        assert gh.read(tmp_path / name, boundary="p,o,o").grid.boundary == ("periodic", "open", "open")


@pytest.mark.parametrize("name", ["x.cube", "x.xsf"])
def test_the_boundary_of_other_writers_is_not_taken(tmp_path, name):
    gh.write(field_of(boundary="p,p,o"), tmp_path / name)
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text.replace("written by gpuhomog", "written by hand"))
    assert gh.read(tmp_path / name).grid.boundary == ("periodic",) * 3


def test_a_unit_of_length_in_our_own_title_says_nothing_of_the_cell(tmp_path):
    field = gh.Field.from_array(np.ones((2, 2, 2)), CELL, unit="Å")
    gh.write(field, tmp_path / "x.cube")
    assert "[Å]" in (tmp_path / "x.cube").read_text()
    assert np.allclose(gh.read(tmp_path / "x.cube").grid.cell, CELL)


def test_xsf_repeats_the_end_planes(tmp_path):
    import ase.io.xsf as xsf

    field = field_of(origin=[0.5, 0.0, 0.0])
    gh.write(field, tmp_path / "x.xsf")
    with open(tmp_path / "x.xsf") as file:
        data, origin, span, atoms = xsf.read_xsf(file, read_data=True)
    assert np.allclose(data, np.pad(field.to_host(), ((0, 1),) * 3, mode="wrap"), rtol=1e-10)
    assert np.allclose(span, CELL)
    assert np.allclose(origin, [0.5, 0, 0])
    assert np.allclose(atoms.positions, field.structure.positions)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_compressed_text_is_the_same_text(tmp_path, suffix):
    import bz2
    import lzma

    gh.write(field_of(), tmp_path / "x.cube")
    gh.write(field_of(), tmp_path / f"x.cube{suffix}")
    unpack = {".gz": gzip, ".bz2": bz2, ".xz": lzma}[suffix].decompress
    assert unpack((tmp_path / f"x.cube{suffix}").read_bytes()) == (tmp_path / "x.cube").read_bytes()


def test_values_that_text_cannot_hold_are_refused(tmp_path):
    field = gh.Field.from_array(np.full((2, 2, 2), 1e120), np.eye(3))
    with pytest.raises(InputError, match="above 1e99, which the text format cannot hold"):
        gh.write(field, tmp_path / "x.cube")
    assert list(tmp_path.iterdir()) == []


def in_blocks(monkeypatch, n_bytes):
    """Let the writers take blocks of so many bytes."""

    def small(*arguments):
        use_blocks(*arguments, n_bytes=n_bytes)

    monkeypatch.setattr("gpuhomog.writers.use_blocks", small)


@pytest.mark.parametrize("name", [*BINARY, "x.cube", "x.xsf", "CHGCAR"])
def test_small_blocks_give_the_same_file(tmp_path, monkeypatch, name):
    """Blocks of a few planes, in either memory order, give what one block gives; progress counts the planes."""
    gh.write(field_of(shape=(7, 6, 5)), tmp_path / f"one_{name}" if name != "CHGCAR" else tmp_path / "CHGCAR_one")
    in_blocks(monkeypatch, 500)
    monkeypatch.setattr("gpuhomog.writers.hdf5.CHUNK_BYTES", 700)
    monkeypatch.setattr("gpuhomog.writers.zarr_store.CHUNK_BYTES", 700)
    reports = []
    with listen(lambda *report: reports.append(report)):
        gh.write(field_of(shape=(7, 6, 5), order="F"), tmp_path / name)
    assert len(reports) > 3
    assert reports[-1][1] == reports[-1][2] in (5, 7)
    if name in BINARY:
        assert np.array_equal(gh.read(tmp_path / name).to_host(), field_of(shape=(7, 6, 5)).to_host())
    else:
        one = tmp_path / f"one_{name}" if name != "CHGCAR" else tmp_path / "CHGCAR_one"
        assert (tmp_path / name).read_bytes() == one.read_bytes()


@pytest.mark.parametrize("name", ["x.h5", "x.npz", "x.cube"])
def test_fields_on_any_device_are_written(tmp_path, device, name):
    values = np.random.default_rng(6).random((5, 4, 6))
    gh.write(gh.Field.from_array(values, CELL, device=device), tmp_path / name)
    assert np.allclose(gh.read(tmp_path / name).to_host(), values, rtol=1e-10)


@pytest.mark.parametrize("name", ["x.cube", "x.cube.gz", "x.xsf"])
def test_text_that_says_what_it_holds_is_nothing_else(tmp_path, name):
    """An electron's potential energy was read as a potential, of the other sign."""
    energy = gh.Field.from_array(np.ones((2, 3, 4)), 3 * np.eye(3), quantity="electron_potential_energy")
    path = gh.write(energy, tmp_path / name)
    with pytest.raises(
        UnitsError, match=r"gpuhomog wrote it as electron_potential_energy \[\w+\], not as electrostatic"
    ):
        gh.read(path, quantity="electrostatic_potential", unit="V")
    unit = "eV" if "xsf" in name else None
    assert gh.read(path, quantity="electron_potential_energy", unit=unit).values == pytest.approx(1.0, abs=1e-9)
    assert gh.read(path).quantity == gh.read(path, quantity="scalar").quantity == "scalar"
    believed = gh.read(path, quantity="electrostatic_potential", unit="V", kind=name.split(".")[1])
    assert believed.quantity == "electrostatic_potential"


@pytest.mark.parametrize("name", ["x.cube", "x.xsf"])
def test_a_scalar_is_given_its_quantity_in_the_unit_that_it_was_written_in(tmp_path, name):
    """Written in V, it was read as if in Ha."""
    volts = gh.Field.from_array(np.ones((2, 3, 4)), 3 * np.eye(3), unit="V")
    path = gh.write(volts, tmp_path / name)
    with pytest.raises(UnitsError, match=r'wrote it with values in V\. Say unit="V"'):
        gh.read(path, quantity="electrostatic_potential")
    assert gh.read(path, quantity="electrostatic_potential", unit="V").values == pytest.approx(1.0)
