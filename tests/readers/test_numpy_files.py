"""NumPy files against NumPy's own writers: both orders, every real dtype, plane by plane, compressed, damaged."""

import gzip
import json
import zipfile

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, UnitsError
from gpuhomog.readers import numpy_files

CELL = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.0, 0.3, 5.0]])
VALUES = np.random.default_rng(2).normal(size=(5, 4, 6))
HARTREE, BOHR = 27.211386245981, 0.529177210544


def save_npy(folder, array, name="rho.npy", **facts):
    np.save(folder / name, array, allow_pickle=True)
    (folder / name).with_suffix(".json").write_text(json.dumps({"cell": CELL.tolist(), **facts}))
    return folder / name


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("stored", ["<f8", "<f4", ">f8", "<f2", "<i4", "u1", "?"])
def test_any_slab_of_an_archive_is_what_numpy_stored(tmp_path, save, order, stored):
    array = np.asarray(VALUES * 50, dtype=stored, order=order)
    save(tmp_path / "rho.npz", values=array, cell=CELL)
    source = numpy_files.open_source(tmp_path / "rho.npz")
    assert source.slowest_axis == (2 if order == "F" else 0)
    n = array.shape[source.slowest_axis]
    for start, stop in ((0, n), (1, 3), (n - 1, n), (2, 2)):
        for dtype in (np.float32, np.float64):
            planes = source.read_planes(start, stop, "values", np.dtype(dtype))
            expected = np.take(array, range(start, stop), axis=source.slowest_axis).astype(dtype)
            assert planes.dtype == dtype
            assert np.array_equal(planes, expected)


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_takes_its_cell_from_the_json_beside(tmp_path, order):
    path = save_npy(
        tmp_path,
        np.asarray(VALUES, order=order),
        quantity="electron_density",
        unit="1/nm^3",
        boundary="p,p,o",
        origin=[0, 0, 1],
        numbers=[14],
        positions=[[0, 0, 2]],
    )
    field = gh.read(path)
    assert np.allclose(field.to_host(), VALUES * 1e-3, rtol=1e-14)
    assert field.grid.boundary == ("periodic", "periodic", "open")
    assert field.structure.formula == "Si"
    assert np.array_equal(field.grid.origin, [0, 0, 1])


def test_without_quantity_an_array_is_a_scalar_as_it_is(tmp_path):
    np.savez(tmp_path / "rho.npz", values=VALUES, cell=CELL)
    field = gh.read(tmp_path / "rho.npz")
    assert (field.quantity, field.unit) == ("scalar", None)
    assert np.array_equal(field.to_host(), VALUES)


@pytest.mark.parametrize("in_file", [True, False])
def test_a_quantity_without_unit_means_atomic_units(tmp_path, in_file):
    facts = {"quantity": "electron_potential_energy"}
    np.savez(tmp_path / "v.npz", values=VALUES, cell=CELL, **(facts if in_file else {}))
    field = gh.read(tmp_path / "v.npz", **({} if in_file else facts))
    assert np.allclose(field.to_host(), VALUES * HARTREE, rtol=1e-14)
    assert field.unit == "eV"


def test_a_stated_unit_wins(tmp_path):
    np.savez(tmp_path / "v.npz", values=VALUES, cell=CELL, quantity="electron_potential_energy", unit="Ry")
    assert np.allclose(gh.read(tmp_path / "v.npz").to_host(), VALUES * HARTREE / 2, rtol=1e-12)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_gzipped_files_are_read(tmp_path, suffix):
    path = save_npy(tmp_path, VALUES)
    if suffix == ".npz":
        path = tmp_path / "rho.npz"
        np.savez(path, values=VALUES, cell=CELL)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    source = gh.readers.open_source(packed)
    assert np.array_equal(source.read_planes(2, 4, "values", np.dtype("f8")), VALUES[2:4])


def test_an_array_without_cell_says_how(tmp_path):
    np.save(tmp_path / "bare.npy", VALUES)
    with pytest.raises(FileFormatError, match=r"bare\.npy: a \.npy array has no cell\. Put bare\.json beside it"):
        gh.read(tmp_path / "bare.npy")
    np.savez(tmp_path / "bare.npz", density=VALUES)
    with pytest.raises(FileFormatError, match=r"has the arrays density; a field needs values \(a, b, c\) and cell"):
        gh.read(tmp_path / "bare.npz")


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    trap = np.array([[[Trap()]]], dtype=object)
    path = save_npy(tmp_path, trap)
    with pytest.raises(FileFormatError, match="never unpickled"):
        gh.read(path)
    for name in ("values", "cell", "quantity"):
        np.savez(tmp_path / "trap.npz", **{"values": VALUES, "cell": CELL, name: trap})
        with pytest.raises(FileFormatError):
            gh.read(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_field_is_refused(tmp_path):
    for array, sentence in (
        (VALUES + 1j, "complex"),
        (VALUES[0], "three axes"),
        (VALUES[:0], "at least 1"),
        (np.full((2, 2, 2), "x"), "real numbers"),
    ):
        with pytest.raises(FileFormatError, match=sentence):
            gh.read(save_npy(tmp_path, array))


def test_facts_that_cannot_be_right_are_refused(tmp_path):
    for facts, error, sentence in (
        ({"quanttiy": "scalar"}, FileFormatError, r'rho\.json: unknown key "quanttiy": did you mean "quantity"'),
        ({"cell": np.ones((3, 3)).tolist()}, FileFormatError, r"rho\.npy: Singular cell"),
        ({"cell": [1, 2, 3]}, FileFormatError, "Cell of shape"),
        ({"cell": [["a"]]}, FileFormatError, "cannot be read"),
        ({"boundary": "closed"}, FileFormatError, "Boundary 'closed'"),
        ({"quantity": "rho"}, UnitsError, 'Unknown quantity "rho"'),
        ({"unit": "parsec"}, UnitsError, 'Unknown unit "parsec"'),
        ({"quantity": "charge_density", "unit": "V"}, UnitsError, '"V"'),
        ({"numbers": [1]}, FileFormatError, '"numbers" and "positions"'),
    ):
        with pytest.raises(error, match=sentence):
            gh.read(save_npy(tmp_path, VALUES, **facts))
    (tmp_path / "rho.json").write_text("{")
    with pytest.raises(FileFormatError, match=r"rho\.json: is not JSON"):
        gh.read(tmp_path / "rho.npy")


def test_headers_that_announce_more_than_there_is_are_refused(tmp_path):
    path = save_npy(tmp_path, VALUES)
    honest = path.read_bytes()
    huge = np.lib.format.magic(1, 0)
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000, 100000, 100000), }".ljust(117) + b"\n"
    path.write_bytes(huge + len(header).to_bytes(2, "little") + header + bytes(100))
    with pytest.raises(FileFormatError, match="announces 8000000000000128 bytes"):
        gh.read(path)
    path.write_bytes(honest[:-8])
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        gh.read(path)
    packed = tmp_path / "rho.npy.gz"
    packed.write_bytes(gzip.compress(honest[:-8]))
    with pytest.raises(FileFormatError, match="ends before plane 5 of 5"):
        gh.read(packed)


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "rho.npz"
    np.savez(path, values=VALUES, cell=CELL)
    honest = path.read_bytes()
    path.write_bytes(honest[:-30])
    with pytest.raises(FileFormatError, match="archive is damaged"):
        gh.read(path)
    place = honest.index(VALUES[2, 2].tobytes())
    path.write_bytes(honest[:place] + b"\x00" * 8 + honest[place + 8 :])
    with pytest.raises(FileFormatError, match="CRC"):
        gh.read(path)
    np.savez_compressed(path, values=VALUES, cell=CELL)
    with zipfile.ZipFile(path) as archive:
        crc = archive.getinfo("values.npy").CRC.to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(crc, bytes(4)))
    with pytest.raises(FileFormatError, match="CRC"):
        gh.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("cell.npy", b"nonsense")
        archive.writestr("values.npy", b"nonsense")
    with pytest.raises(FileFormatError, match="header of its array"):
        gh.read(path)


@pytest.mark.parametrize(("at", "flag"), [(6, 1), (8, 99)])
def test_archives_of_a_kind_that_is_not_read_are_refused(tmp_path, at, flag):
    """Encrypted, or compressed in another way, by the header of the last member, in the directory too."""
    path = tmp_path / "rho.npz"
    np.savez(path, values=VALUES, cell=CELL)
    content = bytearray(path.read_bytes())
    for begin, shift in ((content.rindex(b"PK\x03\x04"), 0), (content.rindex(b"PK\x01\x02"), 2)):
        content[begin + at + shift] = flag
    path.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match=r"rho\.npz: (the archive is damaged|cell\.npy)"):
        gh.read(path)


def test_a_header_that_python_cannot_read_is_refused(tmp_path):
    path = save_npy(tmp_path, VALUES)
    content = path.read_bytes()
    for old, new in ((b"}", b" "), (b"(", b" "), (b"'shape': (", b"'shape': -"), (b"{", b"[" * 1)):
        path.write_bytes(content.replace(old, new, 1))
        with pytest.raises(FileFormatError, match=r"\.npy: the header of its array cannot be read"):
            gh.read(path)


def test_nan_is_refused(tmp_path):
    array = VALUES.copy()
    array[1, 2, 3] = np.nan
    with pytest.raises(gh.errors.InputError, match=r"1 of 120 values are NaN or infinite \(first at \[1, 2, 3\]\)"):
        gh.read(save_npy(tmp_path, array))


def test_arrays_that_are_not_used_are_named(tmp_path):
    np.savez(tmp_path / "rho.npz", values=VALUES, cell=CELL, weights=np.ones(3))
    assert numpy_files.open_source(tmp_path / "rho.npz").remarks == ("Arrays not used: weights.",)
