"""HDF5 schema version 1: files made by h5py alone are read; what is wrong with a file is said in one sentence."""

import json
import struct

import h5py
import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError, UnitsError
from gpuhomog.readers import hdf5

CELL = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.0, 0.3, 5.0]])


def values_of(shape=(5, 4, 6), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def stored(tmp_path):
    """A file of the schema, written with h5py alone; changes are made before it closes."""

    def make(name="field.h5", change=lambda file: None, values=None, **options):
        array = values_of() if values is None else values
        with h5py.File(tmp_path / name, "w") as file:
            file.attrs["format"], file.attrs["version"] = "gpuhomog", 1
            data = file.create_dataset("field/values", data=array, **{"chunks": (2, 4, 6), **options})
            data.attrs["unit"], data.attrs["quantity"] = "1/Å^3", "electron_density"
            file["field/cell"], file["field/origin"] = CELL, [0.1, 0.2, 0.3]
            file["field/boundary"] = ["periodic", "periodic", "open"]
            file["structure/numbers"], file["structure/positions"] = [11, 17], [[0, 0, 0], [1, 1, 1.5]]
            file["structure/charges"] = [1.0, 7.0]
            file["provenance"] = json.dumps([{"step": "made by hand"}])
            change(file)
        return tmp_path / name

    return make


def test_a_file_made_by_h5py_is_read_whole(stored):
    field = gh.read(stored())
    assert np.array_equal(field.to_host(), values_of())
    assert np.array_equal(field.grid.cell, CELL)
    assert field.grid.boundary == ("periodic", "periodic", "open")
    assert np.array_equal(field.grid.origin, [0.1, 0.2, 0.3])
    assert (field.quantity, field.unit) == ("electron_density", "1/Å^3")
    assert field.structure.symbols == ("Na", "Cl")
    assert np.array_equal(field.structure.charges, [1.0, 7.0])
    assert [step["step"] for step in field.provenance] == ["made by hand", "read"]


def test_a_boundary_in_the_call_wins_over_the_stored_one(stored):
    assert gh.read(stored(), boundary="o,p,p").grid.boundary == ("open", "periodic", "periodic")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"chunks": None}, {"compression": "gzip"}, {"dtype": ">f4"}])
def test_planes_are_read_without_the_others(stored, dtype, options):
    source = hdf5.open_source(stored(**options))
    planes = source.read_planes(1, 4, "values", np.dtype(dtype))
    kept = values_of().astype(options.get("dtype", "f8"))[1:4].astype(dtype)
    assert planes.dtype == dtype
    assert np.array_equal(planes, kept)


def test_reading_a_slab_leaves_other_chunks_alone(stored):
    """Chunks outside the slab may be unreadable: the slab still is."""
    path = stored(fletcher32=True)
    with h5py.File(path) as file:
        place = file["field/values"].id.get_chunk_info_by_coord((4, 0, 0)).byte_offset
    with open(path, "r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 16)
    source = hdf5.open_source(path)
    assert np.array_equal(source.read_planes(0, 4, "values", np.dtype("f8")), values_of()[:4])
    with pytest.raises(FileFormatError, match=r"field\.h5: planes 0:5 cannot be read"):
        source.read_planes(0, 5, "values", np.dtype("f8"))


def test_values_in_another_unit_are_converted(stored):
    def in_bohr(file):
        file["field/values"].attrs["unit"] = "1/bohr^3"

    bohr = 0.529177210544
    assert np.allclose(gh.read(stored(change=in_bohr)).to_host(), values_of() / bohr**3, rtol=1e-14)


def set_attribute(where, name, value):
    def change(file):
        file[where].attrs[name] = value

    return change


def remove(name):
    def change(file):
        del file[name]

    return change


REFUSED = {
    "newer version": (set_attribute("/", "version", 2), FileFormatError, "schema version 2; this gpuhomog reads"),
    "no version": (lambda f: f.attrs.pop("version"), FileFormatError, "schema version None"),
    "foreign": (lambda f: f.attrs.pop("format"), FileFormatError, r'format = "gpuhomog" is missing \(found field'),
    "unknown quantity": (
        set_attribute("field/values", "quantity", "electron_densty"),
        UnitsError,
        'Unknown quantity "electron_densty": did you mean "electron_density"',
    ),
    "unknown unit": (set_attribute("field/values", "unit", "1/furlong^3"), UnitsError, 'Unknown unit "furlong"'),
    "unit that does not fit": (set_attribute("field/values", "unit", "eV"), UnitsError, '"eV"'),
    "no quantity": (lambda f: f["field/values"].attrs.pop("quantity"), FileFormatError, "no attribute quantity"),
    "no values": (remove("field/values"), FileFormatError, "field/values is missing"),
    "no cell": (remove("field/cell"), FileFormatError, 'no "cell"'),
    "half of the atoms": (remove("structure/positions"), FileFormatError, '"numbers" and "positions"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said(stored, case):
    change, error, sentence = REFUSED[case]
    with pytest.raises(error, match=sentence) as caught:
        gh.read(stored(change=change))
    assert str(caught.value).count("field.h5") >= 1


def test_other_shapes_types_and_cells_are_refused(stored, tmp_path):
    with pytest.raises(FileFormatError, match="three axes"):
        gh.read(stored(values=np.ones((4, 6)), chunks=(2, 6)))
    with pytest.raises(FileFormatError, match="complex"):
        gh.read(stored(values=np.ones((5, 4, 6), dtype=complex)))

    def singular(file):
        file["field/cell"][...] = np.ones((3, 3))

    with pytest.raises(FileFormatError, match=r"field\.h5: Singular cell"):
        gh.read(stored(change=singular))


def test_missing_chunks_are_noticed_before_reading(tmp_path):
    """HDF5 fills in chunks that were never written: a file cut short would read as NaN or zero."""
    with h5py.File(tmp_path / "cut.h5", "w") as file:
        file.attrs["format"], file.attrs["version"] = "gpuhomog", 1
        data = file.create_dataset("field/values", (6, 4, 4), "f8", chunks=(2, 4, 4))
        data.attrs["quantity"] = "scalar"
        data[:4] = 1.0
        file["field/cell"] = np.eye(3)
    with pytest.raises(FileFormatError, match="1 of 3 chunks are missing"):
        gh.read(tmp_path / "cut.h5")


def test_a_claim_of_petabytes_is_refused_before_allocation(tmp_path):
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.attrs["format"], file.attrs["version"] = "gpuhomog", 1
        data = file.create_dataset("field/values", (10**5, 10**5, 10**5), "f8", chunks=(1, 100, 100))
        data.attrs["quantity"] = "scalar"
        file["field/cell"] = np.eye(3)
    with pytest.raises(FileFormatError, match="chunks are missing"):
        gh.read(tmp_path / "huge.h5")


@pytest.mark.parametrize(("counts", "claim"), [((5, 4, 6), (10**6,) * 3), ((5, 4, 6), (50, 40, 60)), ((2, 3), (9, 3))])
def test_a_header_that_lies_is_refused_before_allocation(stored, counts, claim):
    """Values and positions of atoms, in one piece."""
    path = stored(chunks=None)
    pack = struct.Struct(f"<{len(counts)}Q").pack
    path.write_bytes(path.read_bytes().replace(pack(*counts), pack(*claim)))
    with pytest.raises(FileFormatError, match=r"field\.h5: (cannot be read as HDF5|\S+ announces \d+ bytes)"):
        gh.read(path)


def test_a_chunk_that_announces_gigabytes_is_refused_before_allocation(tmp_path):
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.attrs["format"], file.attrs["version"] = "gpuhomog", 1
        data = file.create_dataset("field/values", (800, 800, 800), "f8", chunks=(800, 800, 800), compression="gzip")
        data.attrs["quantity"] = "scalar"
        data.id.write_direct_chunk((0, 0, 0), bytes(100))
        file["field/cell"] = np.eye(3)
    with pytest.raises(FileFormatError, match="field/values announces 4096000000 bytes, and 100 are stored"):
        gh.read(tmp_path / "huge.h5")


def test_a_description_that_was_never_written_is_refused(stored):
    """HDF5 would give zeros: an origin that nobody chose."""

    def unwritten(file):
        del file["field/origin"]
        file.create_dataset("field/origin", (3,), "f8")

    with pytest.raises(FileFormatError, match="field/origin announces 24 bytes, and 0 are stored"):
        gh.read(stored(change=unwritten))


def test_a_truncated_file_is_refused(stored):
    path = stored()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match="cannot be read as HDF5"):
        gh.read(path)


def test_a_profile_is_not_a_field(tmp_path):
    profile = gh.Profile(np.arange(4.0), np.ones(4), "V", "electrostatic_potential", 4.0)
    gh.write(profile, tmp_path / "profile.h5")
    with pytest.raises(FileFormatError, match=r"holds a result \(Profile\), not a field.*read_profile"):
        gh.read(tmp_path / "profile.h5")


def test_an_undeclared_scalar_may_be_named(stored):
    change = set_attribute("field/values", "quantity", "scalar")
    assert gh.read(stored(change=change)).quantity == "scalar"
    assert gh.read(stored(change=change), quantity="electron_density").quantity == "electron_density"
    with pytest.raises(InputError):
        gh.read(stored(change=change), quantity="electrostatic_potential")
