"""SIESTA grids: the real SrTiO3.RHO against sisl and against records walked one by one; spins; damage."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError
from gpuhomog.readers import siesta

SRTIO3 = Path(__file__).parents[1] / "data" / "SrTiO3.RHO"
BOHR, RYDBERG = 0.529177210544, 13.605693122990
VALUES = np.random.default_rng(3).normal(size=(2, 5, 4, 3))  # spin, a, b, c
CELL = np.array([[6.0, 0.0, 0.0], [1.0, 7.0, 0.0], [0.0, 0.5, 8.0]])


def records(path):
    """Fortran records one after the other, each with its own length at both ends."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        (size,) = struct.unpack_from("<i", content, at)
        found.append(content[at + 4 : at + 4 + size])
        assert struct.unpack_from("<i", content, at + 4 + size) == (size,)
        at += size + 8
    return found


def write_grid(path, values, order="<", size=4, cell=CELL):
    """What SIESTA's iorho writes: cell, mesh and spins, then rows along a."""
    n_spin, n_a, n_b, n_c = values.shape

    def record(data):
        mark = struct.pack(f"{order}i", len(data))
        return mark + data + mark

    parts = [record(cell.astype(f"{order}f8").tobytes())]
    parts.append(record(struct.pack(f"{order}4i", n_a, n_b, n_c, n_spin)))
    for spin in values:
        parts += [record(spin[:, j, k].astype(f"{order}f{size}").tobytes()) for k in range(n_c) for j in range(n_b)]
    path.write_bytes(b"".join(parts))
    return path


def test_the_real_density_agrees_with_its_records():
    cell, mesh, *rows = records(SRTIO3)
    shape = np.frombuffer(mesh, "<i4")[:3]
    by_hand = np.array([np.frombuffer(r, "<f4") for r in rows]).reshape(shape[::-1]).transpose(2, 1, 0)
    field = gh.read(SRTIO3)
    assert (field.quantity, field.unit) == ("electron_density", "1/Å^3")
    assert np.allclose(field.grid.cell, np.frombuffer(cell, "<f8").reshape(3, 3) * BOHR, rtol=1e-15)
    assert np.allclose(field.to_host(), by_hand.astype(float) / BOHR**3, rtol=1e-14)


def test_the_real_density_has_the_electrons_of_srtio3():
    """Sr 10 (semicore), Ti 12 (semicore), three O 6 each: 40, by an integral without our units or cell."""
    cell, mesh, *rows = records(SRTIO3)
    volume = abs(np.linalg.det(np.frombuffer(cell, "<f8").reshape(3, 3)))
    total = sum(np.frombuffer(row, "<f4").astype(float).sum() for row in rows)
    electrons = total * volume / np.prod(np.frombuffer(mesh, "<i4")[:3].astype(float))
    assert electrons == pytest.approx(40, abs=1e-4)
    assert gh.read(SRTIO3).integral() == pytest.approx(electrons, rel=1e-12)


def test_sisl_agrees_on_the_real_density():
    """sisl multiplies in single precision and has an older bohr: 1e-6 is what the two can agree to."""
    import sisl

    grid = sisl.get_sile(str(SRTIO3)).read_grid()
    field = gh.read(SRTIO3)
    assert np.allclose(field.grid.cell, grid.lattice.cell, rtol=1e-8)
    assert np.abs(field.to_host() - grid.grid).max() < 1e-6 * np.abs(grid.grid).max()


def test_sisl_agrees_on_a_potential(tmp_path):
    import sisl

    path = write_grid(tmp_path / "slab.VH", VALUES[:1])
    field = gh.read(path)
    assert (field.quantity, field.unit) == ("electron_potential_energy", "eV")
    theirs = sisl.get_sile(str(path)).read_grid().grid
    assert np.abs(field.to_host() - theirs).max() < 1e-6 * np.abs(theirs).max()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("size", [4, 8])
def test_either_byte_order_and_precision(tmp_path, order, size):
    path = write_grid(tmp_path / "slab.VT", VALUES[:1], order, size)
    field = gh.read(path)
    stored = VALUES[0].astype(f"f{size}").astype(float)
    assert np.allclose(field.to_host(), stored * RYDBERG, rtol=1e-14)
    assert np.allclose(field.grid.cell, CELL * BOHR, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_planes_are_read_alone(tmp_path, dtype):
    source = siesta.open_source(write_grid(tmp_path / "slab.RHO", VALUES, size=8))
    assert source.slowest_axis == 2
    for start, stop in ((0, 3), (1, 2), (2, 3), (1, 1)):
        planes = source.read_planes(start, stop, "down", np.dtype(dtype))
        assert planes.dtype == dtype
        assert np.array_equal(planes, VALUES[1][:, :, start:stop].astype(dtype))


def test_spin_blocks(tmp_path):
    up, down = VALUES
    density = write_grid(tmp_path / "slab.RHO", VALUES, size=8)
    assert siesta.open_source(density).blocks == ("total", "magnetization", "up", "down")
    for block, expected in (("total", up + down), ("up", up), ("down", down)):
        assert np.allclose(gh.read(density, block=block).to_host(), expected / BOHR**3, rtol=1e-12, atol=1e-13)
    difference = gh.read(density, block="magnetization")
    assert np.allclose(difference.to_host(), (up - down) / BOHR**3, rtol=1e-12, atol=1e-13)
    assert (difference.quantity, difference.unit) == ("scalar", "1/Å^3")  # as of a CHGCAR: its integral is a number
    assert gh.read(density).quantity == "electron_density"
    potential = write_grid(tmp_path / "slab.VT", VALUES, size=8)
    assert siesta.open_source(potential).blocks == ("up", "down")
    assert np.allclose(gh.read(potential, block="down").to_host(), down * RYDBERG, rtol=1e-12)


def test_compressed_files_are_read(tmp_path):
    path = tmp_path / "slab.RHO.gz"
    path.write_bytes(gzip.compress(SRTIO3.read_bytes()))
    assert np.array_equal(gh.read(path).to_host(), gh.read(SRTIO3).to_host())


def test_the_name_alone_says_what_it_holds(tmp_path):
    with pytest.raises(FileFormatError, match=r'"\.DAT" is not known'):
        gh.read(write_grid(tmp_path / "slab.dat", VALUES))
    with pytest.raises(FileFormatError, match="whose sign SIESTA does not state"):
        gh.read(write_grid(tmp_path / "slab.TOCH", VALUES))
    with pytest.raises(gh.errors.UnitsError, match="not a charge density"):
        gh.read(write_grid(tmp_path / "slab.RHO", VALUES), quantity="charge_density")


def test_damaged_files_are_refused(tmp_path):
    path = write_grid(tmp_path / "slab.RHO", VALUES)
    honest = path.read_bytes()
    for content, sentence in (
        (honest[:-1], "more than this file"),
        (honest[:104], "ends after its header"),
        (honest[:84] + struct.pack("<4i", 5, -4, 3, 2) + honest[100:], "counts must be at least 1"),
        (honest[:84] + struct.pack("<4i", 5, 4, 3, 3) + honest[100:], "3 spin components"),
        (honest[:84] + struct.pack("<4i", 6, 4, 3, 2) + honest[100:], "rows of 20 bytes for 6 points"),
        (honest[:84] + struct.pack("<4i", 5, 40000, 30000, 2) + honest[100:], "more than this file"),
        (honest[:4] + bytes(72) + honest[76:], "Singular cell"),
        (honest[:132] + struct.pack("<i", 24) + honest[136:], "a record in planes 0:3 is damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=sentence):
            gh.read(path)
    path.write_bytes(b"x" * 400)
    with pytest.raises(FileFormatError, match="not a SIESTA grid"):
        gh.read(path, kind="siesta")
