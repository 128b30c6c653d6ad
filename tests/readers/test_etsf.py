"""ETSF files: written by SciPy, h5py and, of 64-bit data, by the specification; units, components, damage."""

import gzip
import struct

import h5py
import numpy as np
import pytest
from ranks import together
from scipy.io import netcdf_file

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, FileFormatError

BOHR, HARTREE = 0.529177210544, 27.211386245981
CELL = np.array([[9.0, 0, 0], [-4.0, 8.0, 0], [1.0, 0.5, 12.0]])
VALUES = np.random.default_rng(4).random((4, 3, 5, 6))  # component, a, b, c
ATOMS = {
    "atom_species": np.array([2, 1, 2], np.int32),
    "atomic_numbers": np.array([14.0, 8.0]),
    "valence_charges": np.array([4.0, 6.0]),
    "reduced_atom_positions": np.array([[0.5, 0.25, -0.125], [0, 0, 0], [0, 0.5, 0.75]]),
}


def contents(name, values, parts=1):
    """Variables as ABINIT has them: components, c, b, a, and one more for complex ones."""
    grid = np.repeat(values.transpose(0, 3, 2, 1)[..., None], parts, axis=-1)
    return {"etot": np.float64(-1.5), "primitive_vectors": CELL} | ATOMS | {name: grid}


def by_scipy(path, variables, version=1):
    with netcdf_file(path, "w", version=version) as file:
        file.file_format = "ETSF Nanoquanta"
        file.createDimension("records", None)
        times = file.createVariable("times", "f8", ("records",))
        times[:2] = [1.0, 2.0]
        for name, values in variables.items():
            axes = tuple(f"{name}_{i}" for i in range(np.ndim(values)))
            for axis, n in zip(axes, np.shape(values), strict=True):
                file.createDimension(axis, n)
            stored = file.createVariable(name, np.asarray(values).dtype.char, axes)
            stored.units = "atomic units"
            stored[...] = values
    return path


def by_h5py(path, variables):
    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = np.bytes_("ETSF Nanoquanta")
        for name, values in variables.items():
            file[name] = values
    return path


def by_specification(path, variables):
    """CDF-5: counts and offsets of 8 bytes."""
    axes = [(f"{name}_{i}", n) for name, values in variables.items() for i, n in enumerate(np.shape(values))]

    def text(name):
        return struct.pack(">q", len(name)) + name.encode().ljust(-(-len(name) // 4) * 4, b"\0")

    def header(offsets):
        out = b"CDF\x05" + struct.pack(">q", 0)
        out += struct.pack(">iq", 10, len(axes)) + b"".join(text(name) + struct.pack(">q", n) for name, n in axes)
        out += struct.pack(">iq", 12, 1) + text("code") + struct.pack(">iq", 2, 6) + b"Abinit\0\0"
        out += struct.pack(">iq", 11, len(variables))
        names = [name for name, _ in axes]
        for (name, values), offset in zip(variables.items(), offsets, strict=True):
            own = [names.index(f"{name}_{i}") for i in range(np.ndim(values))]
            number = {"i": 4, "d": 6}[np.asarray(values).dtype.char]
            out += text(name) + struct.pack(f">q{len(own)}q", len(own), *own) + struct.pack(">iq", 0, 0)
            out += struct.pack(">iqq", number, np.asarray(values).nbytes, offset)
        return out

    stored = [np.ascontiguousarray(values, np.asarray(values).dtype.newbyteorder(">")) for values in variables.values()]
    ends = len(header([0] * len(stored))) + np.cumsum([values.nbytes for values in stored])
    starts = [int(end) - values.nbytes for end, values in zip(ends, stored, strict=True)]
    path.write_bytes(header(starts) + b"".join(values.tobytes() for values in stored))
    return path


WRITERS = {
    "CDF-1": by_scipy,
    "CDF-2": lambda path, variables: by_scipy(path, variables, version=2),
    "CDF-5": by_specification,
    "NetCDF-4": by_h5py,
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    return lambda name, values, **more: WRITERS[request.param](tmp_path / "x.nc", contents(name, values, **more))


def test_a_density(write):
    """Places, units, cell and atoms; the electrons are those of the atoms."""
    values = VALUES[:1] * 14 / VALUES[0].mean() / abs(np.linalg.det(CELL))  # 4 + 2 · 6 less 2: warned about
    with pytest.warns(AccuracyWarning, match="integrates to 14 electrons, but the pseudopotentials of O2Si have 16"):
        field = gh.read(write("density", values))
    assert (field.quantity, field.unit) == ("electron_density", "1/Å^3")
    assert np.allclose(field.to_host(), values[0] / BOHR**3, rtol=1e-14)
    assert np.allclose(field.grid.cell, CELL * BOHR, rtol=1e-14)
    assert field.structure.numbers.tolist() == [8, 14, 8]
    assert field.structure.charges.tolist() == [6.0, 4.0, 6.0]
    assert np.allclose(field.structure.positions[0], (CELL[0] / 2 + CELL[1] / 4 - CELL[2] / 8) * BOHR, rtol=1e-14)


@pytest.mark.parametrize("name", ["vtrial", "vhartree", "vhartree_vloc", "vpsp", "vhxc"])
def test_a_potential(write, name):
    field = gh.read(write(name, VALUES[:1]), dtype="float32")
    assert (field.quantity, field.unit) == ("electron_potential_energy", "eV")
    assert np.allclose(field.to_host(), VALUES[0] * HARTREE, rtol=1e-6)


@pytest.mark.parametrize(
    ("block", "quantity", "expected"),
    [
        ("total", "electron_density", VALUES[0]),
        ("up", "electron_density", VALUES[1]),
        ("down", "electron_density", VALUES[0] - VALUES[1]),
        ("magnetization", "scalar", 2 * VALUES[1] - VALUES[0]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*integrates to")
def test_two_components_of_a_density_are_the_total_and_up(write, block, quantity, expected):
    field = gh.read(write("density", VALUES[:2]), block=block)
    assert (field.quantity, field.unit) == (quantity, "1/Å^3")
    assert np.allclose(field.to_host(), expected / BOHR**3, rtol=1e-13)


def test_two_components_of_a_potential_are_up_and_down(write):
    path = write("vtrial", VALUES[:2])
    for block, values in zip(("up", "down"), VALUES, strict=False):
        assert np.allclose(gh.read(path, block=block).to_host(), values * HARTREE, rtol=1e-14)
    assert np.array_equal(gh.read(path).to_host(), gh.read(path, block="up").to_host())


@pytest.mark.filterwarnings("ignore:.*integrates to")
def test_four_components(write):
    path = write("density", VALUES)
    for block, values in zip(("total", "magnetization_x", "magnetization_y", "magnetization_z"), VALUES, strict=True):
        field = gh.read(path, block=block)
        assert np.allclose(field.to_host(), values / BOHR**3, rtol=1e-14)
        assert (field.quantity, field.unit) == ("electron_density" if block == "total" else "scalar", "1/Å^3")


def test_what_is_not_known_is_a_scalar(write):
    field = gh.read(write("elfr", VALUES[:1]))
    assert (field.quantity, field.unit) == ("scalar", None)
    assert np.allclose(field.to_host(), VALUES[0], rtol=1e-14)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_on_ranks_and_by_planes(write, size):
    path = write("vtrial", VALUES[:2])
    parts = together(size, lambda comm: gh.read(path, comm=comm, block="down").to_host())
    assert np.allclose(np.concatenate(parts, axis=2), VALUES[1] * HARTREE, rtol=1e-14)
    profile = gh.planar_average(gh.read(path, max_memory="8GB"), "c")
    assert np.allclose(profile.values, VALUES[0].mean(axis=(0, 1)) * HARTREE, rtol=1e-13)


def test_compressed(tmp_path):
    path = by_scipy(tmp_path / "x.nc", contents("vtrial", VALUES[:1]))
    packed = tmp_path / "x.nc.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(gh.read(packed).to_host(), gh.read(path).to_host())


def test_responses_are_refused(write):
    with pytest.raises(FileFormatError, match="complex"):
        gh.read(write("density", VALUES[:1], parts=2))


@pytest.mark.parametrize("writer", WRITERS)
def test_other_netcdf_is_refused(writer, tmp_path):
    with pytest.raises(FileFormatError, match="without a field on a grid"):
        gh.read(WRITERS[writer](tmp_path / "x.nc", {"eigenvalues": VALUES[0], "primitive_vectors": CELL}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"atom_species": np.array([2, 1, 3], np.int32)},
        {"reduced_atom_positions": np.full((3, 3), np.nan)},
        {"reduced_atom_positions": np.zeros((2, 3))},
        {"atomic_numbers": np.array([14.0, 800.0])},
        {"primitive_vectors": np.zeros((3, 3))},
        {"primitive_vectors": np.zeros((3, 2))},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}{next(iter(wrong.values())).shape}",
)
def test_atoms_and_cells_that_cannot_be(tmp_path, wrong):
    with pytest.raises(FileFormatError):
        gh.read(by_scipy(tmp_path / "x.nc", contents("vtrial", VALUES[:1]) | wrong))


@pytest.mark.parametrize("version", [b"8.10.3", b"9.10.4  "])
def test_binary_files_of_abinit_are_named(tmp_path, version):
    first = version + struct.pack("<2i", 80, 52)
    (tmp_path / "o_DEN").write_bytes(struct.pack("<i", len(first)) + first + struct.pack("<i", len(first)) + bytes(900))
    with pytest.raises(FileFormatError, match=r"binary file of ABINIT.*iomode 3"):
        gh.read(tmp_path / "o_DEN")


@pytest.mark.parametrize("kept", [3, 20, 150, 0.5, -1])
def test_files_cut_short(write, kept):
    path = write("vtrial", VALUES[:1])
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(FileFormatError, match=r"truncated|damaged|no known kind"):
        gh.read(path)


@pytest.mark.parametrize("at", range(4, 60, 4))
def test_headers_that_cannot_be(tmp_path, at):
    """Any word of the header replaced: one sentence or the right values, and no memory for what is not there."""
    path = by_scipy(tmp_path / "x.nc", contents("vtrial", VALUES[:1]))
    content = bytearray(path.read_bytes())
    content[at : at + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(content)
    try:
        field = gh.read(path)
    except FileFormatError:
        return
    assert np.allclose(field.to_host(), VALUES[0] * HARTREE, rtol=1e-14)
