"""Fields written by several ranks: the same bytes as from one, each rank its own planes, whole or not at all."""

import os
import subprocess
import sys
import textwrap
import threading
import zipfile
import zlib
from collections import Counter
from importlib.util import find_spec
from shutil import which

import h5py
import numpy as np
import pytest
from ranks import on_ranks
from requirements import needed

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.writers import places, planes
from gpuhomog.writers.npz import crc32_combine

CELL = np.array([[3.0, 0.0, 0.0], [0.5, 4.0, 0.0], [0.0, 0.3, 5.0]])
PLAIN = ["x.h5", "x.zarr", "x.npz", "x.cube", "x.xsf", "CHGCAR", "x.LOCPOT"]
COMPRESSED = ["x.cube.gz", "x.xsf.bz2", "CHGCAR.xz"]


def field_of(shape=(6, 3, 7), order="C", quantity="electron_density"):
    values = np.random.default_rng(5).random(shape)
    atoms = gh.Structure([11, 17, 11], [[0, 0, 0], [1.5, 2, 2.5], [1, 1, 1]])
    return gh.Field.from_array(np.asarray(values, order=order), CELL, quantity=quantity, structure=atoms)


def field_for(name, **options):
    return field_of(quantity="electron_potential_energy" if "LOCPOT" in name else "electron_density", **options)


def content(path):
    """The bytes of a file, or of every file in a folder."""
    if path.is_file():
        return path.read_bytes()
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def write_by_ranks(size, axis, field, path):
    """What each rank is told: a sentence, or None."""

    def attempt(part):
        try:
            gh.write(part, path if not callable(path) else path(part.comm.rank))
        except InputError as error:
            return str(error)
        return None

    return on_ranks(field, size, attempt, axis)


@pytest.fixture
def small(monkeypatch):
    """Blocks and chunks of a few planes."""

    def plane_blocks(field, axis, label, owned):
        return planes.plane_blocks(field, axis, label, owned, n_bytes=500)

    monkeypatch.setattr("gpuhomog.writers.plane_blocks", plane_blocks)
    monkeypatch.setattr("gpuhomog.writers.hdf5.CHUNK_BYTES", 500)
    monkeypatch.setattr("gpuhomog.writers.zarr_store.CHUNK_BYTES", 700)


@pytest.fixture
def written(monkeypatch):
    """Bytes that each thread (rank) has put into files."""
    count = Counter()

    def pwrite(descriptor, view, offset):
        n = os_pwrite(descriptor, view, offset)
        count[threading.get_ident()] += n
        return n

    os_pwrite = os.pwrite
    monkeypatch.setattr(places.os, "pwrite", pwrite)
    return count


@pytest.mark.parametrize("name", [*PLAIN, *COMPRESSED])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_bytes_do_not_depend_on_the_number_of_ranks(tmp_path, small, name, order):
    """Slabs of any axis, in either memory order; 8 and more ranks are more than there are planes."""
    field = field_for(name, order=order)
    (tmp_path / "one").mkdir()
    gh.write(field, tmp_path / "one" / name)
    expected = content(tmp_path / "one" / name)
    for axis in (0, 1, 2):
        for size in (2, 3, 5, 8, 11):
            assert write_by_ranks(size, axis, field, tmp_path / name) == [None] * size
            assert content(tmp_path / name) == expected, (axis, size)
    assert names(tmp_path) == sorted([name, "one"])


@pytest.mark.parametrize("order", ["C", "F"])
def test_other_libraries_read_what_ranks_wrote(tmp_path, small, order):
    import zarr

    field = field_of(order=order)
    for name in ("x.h5", "x.npz", "x.zarr"):
        assert write_by_ranks(3, 2, field, tmp_path / name) == [None] * 3
    with h5py.File(tmp_path / "x.h5") as file:
        assert np.array_equal(file["field/values"][...], field.values)
    assert np.array_equal(zarr.open_array(str(tmp_path / "x.zarr"), path="field/values", mode="r")[...], field.values)
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        assert archive.testzip() is None
    with np.load(tmp_path / "x.npz") as archive:
        assert np.array_equal(archive["values"], field.values)


def test_checksums_of_parts_are_put_together(rng):
    content = rng.bytes(3000)
    for cut in (0, 1, 2, 255, 256, 1000, 2999, 3000):
        first, second = content[:cut], content[cut:]
        assert crc32_combine(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(content)


@pytest.mark.parametrize(("name", "axis"), [("x.h5", 0), ("x.zarr", 0), ("x.cube", 0), ("x.xsf", 2), ("CHGCAR", 2)])
def test_each_rank_writes_its_own_planes(tmp_path, written, name, axis):
    """Nobody writes more than its share, and a header; together they write every byte of the values once."""
    field = field_for(name, shape=(24, 10, 24), order="F" if axis else "C")
    assert write_by_ranks(4, axis, field, tmp_path / name) == [None] * 4
    values = field.values.size * (8 if name in ("x.h5", "x.zarr") else 18)
    assert len(written) == 4
    assert max(written.values()) < values / 4 * 1.6 < values
    assert values <= sum(written.values()) < 1.6 * values


def test_one_rank_writes_where_the_others_do_not_see_the_folder(tmp_path, monkeypatch, small, written):
    field = field_of()
    gh.write(field, tmp_path / "one.cube")
    monkeypatch.setattr("gpuhomog.writers.is_visible", lambda path: False)
    for axis in (0, 2):
        written.clear()
        assert write_by_ranks(3, axis, field, tmp_path / "x.cube") == [None] * 3
        assert (tmp_path / "x.cube").read_bytes() == (tmp_path / "one.cube").read_bytes()
        assert list(written.values()) == [(tmp_path / "x.cube").stat().st_size]


@pytest.mark.parametrize(("order", "size"), [("F", 3), ("F", 7), ("C", 3)])
def test_ranks_agree_on_the_memory_order(tmp_path, order, size):
    """A slab of one plane of one line is in both orders at once, an empty one in none; the others tell."""
    field = field_of(shape=(4, 1, 4), order=order)
    gh.write(field, tmp_path / "one.npz")
    assert write_by_ranks(size, 2, field, tmp_path / "x.npz") == [None] * size
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()


# errors


@pytest.mark.parametrize("name", [*PLAIN, *COMPRESSED])
@pytest.mark.parametrize("axis", [0, 2])
def test_an_error_of_one_rank_is_everyones_and_changes_nothing(tmp_path, monkeypatch, small, name, axis):
    field = field_for(name)
    gh.write(field, tmp_path / name)
    before = content(tmp_path / name)
    failing = "at_offsets" if name in PLAIN else "in_order"
    original, lock = getattr(gh.writers, failing), threading.Lock()

    class Once:
        def __init__(self, *arguments):
            self.inner = original(*arguments)

        def __enter__(self):
            put = self.inner.__enter__()

            def fails(name, offset, piece):
                put(name, offset, piece)
                if lock.acquire(blocking=False):
                    raise OSError(28, "No space left on device")

            return fails

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

    monkeypatch.setattr(gh.writers, failing, Once)
    errors = write_by_ranks(4, axis, field, tmp_path / name)
    assert len(set(errors)) == 1
    assert f"{name}: could not be written (No space left on device); what stood under this name" in errors[0]
    assert content(tmp_path / name) == before
    assert names(tmp_path) == [name]


def test_errors_before_writing_reach_all_ranks(tmp_path, monkeypatch):
    errors = write_by_ranks(3, 0, field_of(), tmp_path / "missing" / "x.h5")
    assert all("does not exist" in str(error) for error in errors)
    errors = write_by_ranks(3, 0, field_of(), tmp_path / "x.LOCPOT")
    assert all("A LOCPOT holds an electron_potential_energy" in str(error) for error in errors)
    monkeypatch.setattr("gpuhomog.writers.hdf5.facts_of", lambda field: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        on_ranks(field_of(), 3, lambda part: gh.write(part, tmp_path / "x.h5"))
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["x.cube", "CHGCAR"])
def test_a_value_that_text_cannot_hold_stops_all_ranks(tmp_path, name):
    values = np.ones((6, 3, 7))
    values[5, 2, 6] = 1e120
    errors = write_by_ranks(3, 0, field_of().derive(values, "planted"), tmp_path / name)
    assert len(set(errors)) == 1 and "above 1e99, which the text format cannot hold" in errors[0]
    assert names(tmp_path) == []


def test_ranks_with_other_names_are_refused(tmp_path):
    errors = write_by_ranks(3, 0, field_of(), lambda rank: tmp_path / ("y.h5" if rank == 2 else "x.h5"))
    assert set(errors) == {
        "The ranks do not write the same: name of the output is x.h5 on rank 0 and y.h5 on rank 2 (1 of 3 differ from "
        "rank 0). Start all ranks with the same files and options."
    }
    assert names(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mount.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mount.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("reserves", [True, False])
def test_a_full_disk_stops_all_ranks_and_changes_nothing(small_disk, monkeypatch, name, reserves):
    """Where room can be reserved it is noticed before any value is written; where it cannot, in the middle."""
    gh.write(field_for(name), small_disk / name)
    before = content(small_disk / name)
    monkeypatch.setattr("gpuhomog.writers._check_room", lambda *arguments: None)
    if not reserves:
        monkeypatch.setattr("gpuhomog.writers.reserve", os.truncate)
    errors = write_by_ranks(3, 0, field_for(name, shape=(40, 40, 40)), small_disk / name)
    assert len(set(errors)) == 1
    assert f"{name}: could not be written (No space left on device)" in errors[0]
    assert content(small_disk / name) == before
    assert names(small_disk) == [name]


def test_room_is_reserved_before_values_are_written(small_disk, monkeypatch, written):
    monkeypatch.setattr("gpuhomog.writers._check_room", lambda *arguments: None)
    errors = write_by_ranks(2, 0, field_of(shape=(40, 40, 40)), small_disk / "x.cube")
    assert all("No space left on device" in error for error in errors)
    assert not written


def test_rank_0_writes_what_all_ranks_hold(tmp_path, monkeypatch):
    """A result is the same on every rank; its file is written once, and an error is everyone's."""
    profile = gh.planar_average(field_of(), 2)
    gh.write(profile, tmp_path / "one.csv")
    opened = []

    def replacing(path):
        opened.append(path)
        return original(path)

    original = gh.writers.replacing
    monkeypatch.setattr("gpuhomog.writers.replacing", replacing)
    on_ranks(field_of(), 3, lambda part: gh.write(profile, tmp_path / "x.csv", comm=part.comm))
    assert opened == [tmp_path / "x.csv"]
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()

    def attempt(part):
        with pytest.raises(InputError, match="does not exist"):
            gh.write(profile, tmp_path / "missing" / "x.csv", comm=part.comm)

    on_ranks(field_of(), 3, attempt)


# processes

MPI = None if find_spec("mpi4py") and which("mpiexec") else "mpi4py or mpiexec is missing: install gpuhomog[mpi]"


def on_processes(n, code, *arguments):
    command = ["mpiexec", "-n", str(n), sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


READS_AND_WRITES = """
    import sys
    from pathlib import Path
    import gpuhomog as gh
    from gpuhomog.parallel import world

    comm, (source, *targets) = world(), sys.argv[1:]
    assert comm.size == 3
    field = gh.read(source, comm=comm)
    for target in targets:
        gh.write(field, target)
    try:
        gh.read(source if comm.rank else source + "_missing", comm=comm)
    except gh.errors.InputError as error:
        Path(f"{source}_told_{comm.rank}").write_text(str(error))
"""


@pytest.mark.parametrize("source", ["CHGCAR", "x.h5"])
def test_processes_write_the_same_bytes(tmp_path, source):
    """Read by planes of c and in Fortran order, or of a and in C order; written in every format."""
    needed("mpi", MPI)
    (tmp_path / "one").mkdir()
    gh.write(field_of(), tmp_path / source)
    written = ["y.h5", "y.zarr", "y.npz", "y.cube", "y.xsf", "CHGCAR_y", "y.xsf.gz"]
    field = gh.read(tmp_path / source)
    answer = on_processes(3, READS_AND_WRITES, tmp_path / source, *(tmp_path / name for name in written))
    assert answer.returncode == 0, answer.stderr
    for name in written:
        gh.write(field, tmp_path / "one" / name)
        assert content(tmp_path / name) == content(tmp_path / "one" / name), name
    told = {(tmp_path / f"{source}_told_{rank}").read_text() for rank in range(3)}
    assert told == {f"rank 0 of 3: {tmp_path / source}_missing: no such file."}


KILLED = """
    import os, signal, sys
    from contextlib import contextmanager
    import numpy as np
    import gpuhomog as gh
    import gpuhomog.writers as writers
    from dataclasses import replace
    from gpuhomog.parallel import Slab, world

    comm = world()
    assert comm.size == 2
    values = np.full((8, 4, 5), 2.0)
    slab = Slab.of(8, comm.rank, 2)
    atoms = gh.Structure([92], [[0.0, 0.0, 0.0]])
    whole = gh.Field.from_array(values, np.eye(3) * 2, quantity="electron_density", structure=atoms)
    field = replace(whole, values=values[slab.planes], slab=slab, comm=comm)
    if sys.argv[2] == "killed":
        original = writers.at_offsets

        @contextmanager
        def dies(path):
            with original(path) as put:
                def once(*piece):
                    put(*piece)
                    if comm.rank == 1:
                        os.kill(os.getpid(), signal.SIGKILL)
                yield once

        writers.at_offsets = dies
    gh.write(field, sys.argv[1])
"""


@pytest.mark.parametrize("name", ["x.h5", "x.zarr", "CHGCAR"])
def test_a_rank_that_is_killed_leaves_the_previous_output(tmp_path, name):
    needed("mpi", MPI)
    atoms = gh.Structure([92], [[0.0, 0.0, 0.0]])
    old = gh.Field.from_array(np.ones((8, 4, 5)), np.eye(3) * 2, quantity="electron_density", structure=atoms)
    gh.write(old, tmp_path / name)
    before = content(tmp_path / name)
    assert on_processes(2, KILLED, tmp_path / name, "killed").returncode != 0
    assert content(tmp_path / name) == before
    left = [n for n in names(tmp_path) if n != name]
    assert len(left) == 1 and left[0].endswith(".part")
    answer = on_processes(2, KILLED, tmp_path / name, "alive")
    assert answer.returncode == 0, answer.stderr
    assert names(tmp_path) == [name]
    assert gh.read(tmp_path / name).mean() == pytest.approx(2.0)
