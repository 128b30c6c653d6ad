"""Fields written by several ranks: the same bytes as from one, each rank its own planes, whole or not at all."""

import os
import subprocess
import sys
import textwrap
import threading
import zipfile
import zlib
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec
from shutil import which

import h5py
import numpy as np
import pytest
from ranks import on_ranks, together
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

    def use_blocks(*arguments):
        planes.use_blocks(*arguments, n_bytes=500)

    monkeypatch.setattr("gpuhomog.writers.use_blocks", use_blocks)
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


@pytest.mark.parametrize(("source", "name"), [("CHGCAR", "x.npz"), ("CHGCAR", "x.xsf.gz"), ("x.h5", "y.h5")])
def test_values_that_are_read_as_they_are_written(tmp_path, small, source, name):
    """A field larger than memory passes through in blocks, on one rank and on several."""
    gh.write(field_of(), tmp_path / source)
    gh.write(gh.read(tmp_path / source), tmp_path / f"one_{name}")
    expected = content(tmp_path / f"one_{name}")
    gh.write(gh.read(tmp_path / source, max_memory="2GB"), tmp_path / name)
    assert content(tmp_path / name) == expected
    together(3, lambda comm: gh.write(gh.read(tmp_path / source, max_memory="2GB", comm=comm), tmp_path / name))
    assert content(tmp_path / name) == expected


def test_values_that_are_read_by_planes_of_another_axis(tmp_path):
    gh.write(field_of(), tmp_path / "CHGCAR")
    with pytest.raises(InputError, match=r"^Writing x\.h5, which is made of planes of a, needs all values .* \.npz"):
        together(2, lambda comm: gh.write(gh.read(tmp_path / "CHGCAR", max_memory="2GB", comm=comm), tmp_path / "x.h5"))
    assert names(tmp_path) == ["CHGCAR"]


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


@pytest.mark.parametrize("axis", [0, 2])
def test_planes_that_one_rank_cannot_bring_stop_all(tmp_path, small, axis):
    """What is read or copied from a device only when it is written may fail then."""
    gh.write(field_of(), tmp_path / "x.h5")
    before = content(tmp_path / "x.h5")

    class Failing:
        def __init__(self, device):
            self.device = device

        def __getattr__(self, name):
            return getattr(self.device, name)

        def to_host(self, values):
            raise InputError("planted: the device is gone")

    def attempt(part):
        device = Failing(part.device) if part.comm.rank == 1 else part.device
        with pytest.raises(InputError, match=r"^rank 1 of 3: planted: the device is gone$"):
            gh.write(replace(part, device=device), tmp_path / "x.h5")

    on_ranks(field_of(), 3, attempt, axis)
    assert content(tmp_path / "x.h5") == before
    assert names(tmp_path) == ["x.h5"]


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
    needed("mount", f"no small file system can be mounted: {mount.stderr.strip()}" if mount.returncode else None)
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
    assert told == {f"rank 0 of 3: {tmp_path / source}_missing: no such file. Check the name and the folder."}


def command_line(n, *arguments):
    command = [sys.executable, "-m", "gpuhomog", *map(str, arguments)]
    launched = ["mpiexec", "-n", str(n), *command] if n > 1 else command
    return subprocess.run(launched, capture_output=True, text=True, timeout=120)


def test_the_command_on_ranks(tmp_path, small_disk):
    """The same bytes as without ranks; a full disk is one sentence, said once, and exit code 2."""
    needed("mpi", MPI)
    (tmp_path / "one").mkdir()
    gh.write(field_of(shape=(20, 20, 20)), tmp_path / "CHGCAR")
    for name in ("x.h5", "x.cube"):
        assert command_line(1, "convert", tmp_path / "CHGCAR", "-o", tmp_path / "one" / name).returncode == 0
        answer = command_line(2, "convert", tmp_path / "CHGCAR", "-o", tmp_path / name)
        assert answer.returncode == 0, answer.stderr
        assert content(tmp_path / name) == content(tmp_path / "one" / name)
    (small_disk / "filler").write_bytes(bytes(200_000))
    answer = command_line(2, "convert", tmp_path / "CHGCAR", "-o", small_disk / "x.cube")
    assert answer.returncode == 2
    told = [line for line in answer.stderr.splitlines() if "warning" not in line]
    assert len(told) == 1 and "x.cube: needs 0.1456 MB, and 0.06144 MB are free there" in told[0]
    assert names(small_disk) == ["filler"]


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
    if len(sys.argv) > 2:
        original = writers.at_offsets

        @contextmanager
        def dies(path):
            with original(path) as put:
                def once(*piece):
                    put(*piece)
                    if comm.rank == int(sys.argv[2]):
                        os.kill(os.getpid(), signal.SIGKILL)
                yield once

        writers.at_offsets = dies
    gh.write(field, sys.argv[1])
"""


@pytest.mark.parametrize(("name", "rank"), [("x.h5", 0), ("x.h5", 1), ("x.zarr", 1), ("CHGCAR", 0)])
def test_a_rank_that_is_killed_leaves_the_previous_output(tmp_path, name, rank):
    needed("mpi", MPI)
    atoms = gh.Structure([92], [[0.0, 0.0, 0.0]])
    old = gh.Field.from_array(np.ones((8, 4, 5)), np.eye(3) * 2, quantity="electron_density", structure=atoms)
    gh.write(old, tmp_path / name)
    before = content(tmp_path / name)
    assert on_processes(2, KILLED, tmp_path / name, rank).returncode != 0
    assert content(tmp_path / name) == before
    left = [n for n in names(tmp_path) if n != name]
    assert len(left) == 1 and left[0].endswith(".part")
    answer = on_processes(2, KILLED, tmp_path / name)
    assert answer.returncode == 0, answer.stderr
    assert names(tmp_path) == [name]
    assert gh.read(tmp_path / name).mean() == pytest.approx(2.0)
