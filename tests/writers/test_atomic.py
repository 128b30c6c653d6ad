"""Atomic output: whatever stops a write, the name keeps what it had and no temporary stays."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.writers import atomic, check_output, cube, hdf5, npz, tables, zarr_store
from gpuhomog.writers.atomic import replacing

FILES = ["x.h5", "x.npz", "x.cube", "x.xsf", "x.cube.gz", "CHGCAR", "x.zarr"]


def field_of(value=1.0, shape=(6, 4, 5)):
    atoms = gh.Structure([92], [[0.0, 0.0, 0.0]])
    return gh.Field.from_array(np.full(shape, value), np.eye(3) * 2, quantity="electron_density", structure=atoms)


def mean_of(path):
    quantity = {} if path.suffix not in (".cube", ".gz", ".xsf") else {"quantity": "electron_density"}
    if path.suffix == ".xsf":
        quantity["unit"] = "1/Å^3"
    return gh.read(path, **quantity).mean()


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_writing_again_replaces_whole(tmp_path, name):
    for value in (1.0, 2.0, 3.0):
        assert gh.write(field_of(value), tmp_path / name) == tmp_path / name
        assert mean_of(tmp_path / name) == pytest.approx(value, rel=1e-10)
        assert names(tmp_path) == [name]


class Planted(Exception):
    pass


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("error", [Planted, KeyboardInterrupt, OSError])
def test_an_exception_in_the_middle_changes_nothing(tmp_path, monkeypatch, name, error):
    gh.write(field_of(1.0), tmp_path / name)

    def use_blocks(field, axis, label, owned, use):
        use(0, field.values[tuple(slice(0, 1) if a == axis else slice(None) for a in range(3))])
        raise error("planted")

    monkeypatch.setattr("gpuhomog.writers.use_blocks", use_blocks)
    with pytest.raises(InputError if error is OSError else error):
        gh.write(field_of(2.0), tmp_path / name)
    assert names(tmp_path) == [name]
    assert mean_of(tmp_path / name) == pytest.approx(1.0, rel=1e-10)


@pytest.mark.parametrize("name", FILES)
def test_a_new_name_does_not_appear_after_an_exception(tmp_path, monkeypatch, name):
    for module in (hdf5, npz, cube, zarr_store):
        monkeypatch.setattr(module, "np", None)
    monkeypatch.setattr("gpuhomog.writers.xsf.numerals", None)
    monkeypatch.setattr("gpuhomog.writers.vasp.numerals", None)
    with pytest.raises((AttributeError, TypeError)):
        gh.write(field_of(), tmp_path / name)
    assert names(tmp_path) == []


def run(code, *arguments, **options):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


KILLED = """
    import os, signal, sys
    import numpy as np
    import gpuhomog as gh
    import gpuhomog.writers as writers
    def use_blocks(field, axis, label, owned, use):
        use(0, field.values[tuple(slice(0, 1) if a == axis else slice(None) for a in range(3))])
        os.kill(os.getpid(), signal.SIGKILL)
    writers.use_blocks = use_blocks
    atoms = gh.Structure([92], [[0.0, 0.0, 0.0]])
    field = gh.Field.from_array(np.full((6, 4, 5), 2.0), np.eye(3) * 2, quantity="electron_density", structure=atoms)
    gh.write(field, sys.argv[1])
"""


@pytest.mark.parametrize("name", ["x.h5", "x.cube", "x.zarr"])
def test_a_killed_write_leaves_the_previous_output_and_its_temporary_goes_with_the_next(tmp_path, name):
    gh.write(field_of(1.0), tmp_path / name)
    assert run(KILLED, tmp_path / name).returncode == -signal.SIGKILL
    assert mean_of(tmp_path / name) == pytest.approx(1.0, rel=1e-10)
    assert len(names(tmp_path)) == 2
    gh.write(field_of(3.0), tmp_path / name)
    assert names(tmp_path) == [name]
    assert mean_of(tmp_path / name) == pytest.approx(3.0, rel=1e-10)


def test_the_temporary_of_a_living_writer_is_left_alone(tmp_path):
    with replacing(tmp_path / "x.txt") as first:
        first.write_text("first")
        with replacing(tmp_path / "x.txt") as second:
            second.write_text("second")
        assert (tmp_path / "x.txt").read_text() == "second"
        assert first.exists()
    assert (tmp_path / "x.txt").read_text() == "first"
    assert names(tmp_path) == ["x.txt"]


LIMITED = """
    import resource, sys
    import numpy as np
    import gpuhomog as gh
    atoms = gh.Structure([92], [[0.0, 0.0, 0.0]])
    rng = np.random.default_rng(0)
    field = gh.Field.from_array(rng.random((64, 50, 50)), np.eye(3) * 2, quantity="electron_density", structure=atoms)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    try:
        gh.write(field, sys.argv[1])
    except gh.errors.InputError as error:
        print(error)
        sys.exit(2)
"""


@pytest.mark.parametrize("folder", [False, True])
def test_another_writer_may_clean_up_a_temporary_that_is_not_locked_yet(tmp_path, monkeypatch, folder):
    """Between its making and its lock; a new one is made then."""
    made, open_file, lock = [], os.open, atomic._lock

    def cleaned_before_it_is_opened(path, *how):
        if folder and not made and Path(path).name.startswith(".x."):
            made.append(path)
            Path(path).rmdir()
        return open_file(path, *how)

    def cleaned_before_it_is_locked(descriptor):
        if not folder and not made:
            (temporary,) = tmp_path.glob(".x.*")
            made.append(temporary)
            temporary.unlink()
        return lock(descriptor)

    monkeypatch.setattr(atomic.os, "open", cleaned_before_it_is_opened)
    monkeypatch.setattr(atomic, "_lock", cleaned_before_it_is_locked)
    with replacing(tmp_path / "x", folder=folder) as temporary:
        assert temporary.exists() and temporary not in made
    assert len(made) == 1 and names(tmp_path) == ["x"]


@pytest.mark.parametrize("name", FILES)
def test_a_full_disk_is_one_sentence_and_changes_nothing(tmp_path, name):
    """The limit on file size stands in for a full disk: the system refuses in the middle of the file."""
    gh.write(field_of(1.0), tmp_path / name)
    answer = run(LIMITED, tmp_path / name)
    assert answer.returncode == 2, answer.stderr
    assert answer.stderr == ""
    assert f"{name}: could not be written (File too large)" in answer.stdout
    assert names(tmp_path) == [name]
    assert mean_of(tmp_path / name) == pytest.approx(1.0, rel=1e-10)


def test_a_disk_without_room_is_refused_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: os.terminal_size((0, 0)) and type("U", (), {"free": 100})())
    with pytest.raises(InputError, match=r"needs 0\.00096 MB, and 0\.0001 MB are free"):
        gh.write(field_of(), tmp_path / "x.h5")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", FILES)
def test_the_input_is_never_the_output(tmp_path, name):
    gh.write(field_of(), tmp_path / name)
    quantity = (
        {} if name in ("x.h5", "x.npz", "x.zarr", "CHGCAR") else {"quantity": "electron_density", "unit": "1/Å^3"}
    )
    field = gh.read(tmp_path / name, **quantity)
    content = sorted(p.stat().st_mtime_ns for p in (tmp_path / name, *(tmp_path / name).rglob("*")))
    (tmp_path / "folder").mkdir()
    for other in (tmp_path / name, tmp_path / "folder" / ".." / name):
        with pytest.raises(InputError, match=r"is the input .*Choose another name"):
            gh.write(field, other)
    suffix = "" if name == "CHGCAR" else "".join(Path(name).suffixes)
    link = tmp_path / f"CHGCAR_link{suffix}"
    link.symlink_to(tmp_path / name)
    with pytest.raises(InputError, match="is the input"):
        gh.write(field, link)
    if name != "x.zarr":
        hard = tmp_path / f"CHGCAR_hard{suffix}"
        os.link(tmp_path / name, hard)
        with pytest.raises(InputError, match="is the input"):
            gh.write(field, hard)
    assert content == sorted(p.stat().st_mtime_ns for p in (tmp_path / name, *(tmp_path / name).rglob("*")))


def test_a_profile_does_not_overwrite_the_file_it_came_from(tmp_path):
    gh.write(field_of(), tmp_path / "x.h5")
    profile = gh.planar_average(gh.read(tmp_path / "x.h5"), 2)
    with pytest.raises(InputError, match="is the input"):
        gh.write(profile, tmp_path / "x.h5")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "x.h5").symlink_to(tmp_path / "store" / "y.h5")
    gh.write(field_of(), tmp_path / "x.h5")
    assert (tmp_path / "x.h5").is_symlink()
    assert names(tmp_path / "store") == ["y.h5"]


def test_permissions_follow_the_umask_and_the_file_replaced(tmp_path):
    before = os.umask(0o027)
    try:
        gh.write(field_of(), tmp_path / "x.h5")
        assert stat.S_IMODE((tmp_path / "x.h5").stat().st_mode) == 0o640
        os.chmod(tmp_path / "x.h5", 0o604)
        gh.write(field_of(), tmp_path / "x.h5")
        assert stat.S_IMODE((tmp_path / "x.h5").stat().st_mode) == 0o604
    finally:
        os.umask(before)


def test_places_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="does not exist"):
        gh.write(field_of(), tmp_path / "missing" / "x.h5")
    (tmp_path / "pipe.h5").touch()
    os.unlink(tmp_path / "pipe.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(InputError, match="device or pipe"):
        gh.write(field_of(), tmp_path / "pipe.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(InputError, match="is a folder, and the output is a file"):
        gh.write(field_of(), tmp_path / "folder.h5")
    (tmp_path / "file.zarr").touch()
    with pytest.raises(InputError, match="is a file, and the output is a folder"):
        gh.write(field_of(), tmp_path / "file.zarr")
    monkeypatch.setattr("os.access", lambda *arguments: False)  # root may write anywhere
    with pytest.raises(InputError, match="cannot be written"):
        gh.write(field_of(), tmp_path / "x.h5")
    with pytest.raises(InputError, match="cannot be written"):
        check_output(tmp_path / "x.h5")


def test_a_file_that_is_protected_against_writing_is_kept(tmp_path, monkeypatch):
    (tmp_path / "kept.h5").write_text("kept")
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).endswith("kept.h5"))  # root may write anywhere
    with pytest.raises(InputError, match="is not to be written to"):
        gh.write(field_of(), tmp_path / "kept.h5")
    assert (tmp_path / "kept.h5").read_text() == "kept"
    gh.write(field_of(), tmp_path / "other.h5")


def test_a_folder_that_is_no_zarr_store_is_not_replaced(tmp_path):
    (tmp_path / "thesis.zarr").mkdir()
    (tmp_path / "thesis.zarr" / "chapter1.tex").write_text("years of work")
    with pytest.raises(InputError, match="not a store that gpuhomog wrote"):
        gh.write(field_of(), tmp_path / "thesis.zarr")
    assert names(tmp_path / "thesis.zarr") == ["chapter1.tex"]


def test_names_without_a_format_are_refused(tmp_path):
    for name, sentence in (
        ("x", "has no suffix"),
        ("x.hd5", r'suffix "\.hd5" does not say how to write it: did you mean "\.h'),
        ("x.npy", r"a \.npy array has no cell"),
        ("x.h5.gz", r"\.h5 files are not written compressed"),
        ("x.csv", "does not say"),
    ):
        with pytest.raises(InputError, match=sentence):
            gh.write(field_of(), tmp_path / name)
        with pytest.raises(InputError, match=sentence):
            check_output(tmp_path / name)
    profile = gh.planar_average(field_of(), 0)
    with pytest.raises(InputError, match=r'"\.cube" does not say how to write it: .* for a result'):
        gh.write(profile, tmp_path / "x.cube")
    with pytest.raises(InputError, match="Cannot write a dict"):
        gh.write({}, tmp_path / "x.json")
    assert names(tmp_path) == []


def test_results_are_whole_too(tmp_path, monkeypatch):
    profile = gh.planar_average(field_of(), 0)
    for suffix in (".csv", ".json", ".h5"):
        path = tmp_path / f"p{suffix}"
        gh.write(profile, path)
        content = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(tables, "_described", lambda result: {"kind": Planted, "x": Planted})
            with pytest.raises((TypeError, KeyError)):
                gh.write(profile, path)
        assert path.read_bytes() == content
    assert names(tmp_path) == ["p.csv", "p.h5", "p.json"]
