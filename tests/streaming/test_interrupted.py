"""Runs that are killed, stopped, or refused by the disk: nothing half under a name, and the same command goes on.

The field is 330 MB of which only some planes are on the disk; every interruption is a real one of a real process.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from requirements import needed

import gpuhomog as gh

SHAPE = (400, 320, 320)
LIMIT = "300MB"
JOB = """
[input]
file = "field.npy"
[run]
max_memory = "300MB"
device = "cpu"
[[task]]
command = "profile"
axis = "a"
period = "none"
output = "a.csv"
[[task]]
command = "profile"
axis = "b"
period = "none"
output = "b.csv"
[[task]]
command = "average"
kernel = "gaussian"
eps = 40
spacing = 20
output = "smooth.h5"
variance = "variance.npz"
"""
OUTPUTS = ("a.csv", "b.csv", "smooth.h5", "variance.npz")
STATE = "a.csv.part"


def values_of_some_planes():
    rng = np.random.default_rng(5)
    some = {plane: rng.normal(size=SHAPE[1:]) for plane in range(7, SHAPE[0], 40)}
    return some


@pytest.fixture(scope="module")
def field_file(tmp_path_factory):
    """The field, most of it a hole in the file."""
    path = tmp_path_factory.mktemp("field") / "field.npy"
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=SHAPE)
    for plane, content in values_of_some_planes().items():
        values[plane] = content
    del values
    path.with_suffix(".json").write_text(json.dumps({"cell": np.diag([400.0, 320.0, 320.0]).tolist()}))
    return path


PROGRAM = """
import atexit, pathlib, sys
place = pathlib.Path(sys.argv.pop(1))
def note():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    place.write_text(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
atexit.register(note)
from gpuhomog.cli import main
main()
"""
"""The command, and at its end the peak of its memory: that which wait4 tells is the parent's, if that was larger."""


def started(folder, *words, **environment):
    """The program at work in a folder, keeping what it has found after every chunk; its peak memory beside it."""
    known = {**os.environ, "GPUHOMOG_CHECKPOINT_SECONDS": "0", **environment}
    place = folder.parent / f"{folder.name}.peak"
    place.unlink(missing_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(place), *words],
        cwd=folder,
        env=known,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    """Exit code, and what it said."""
    with process.stderr:
        said = process.stderr.read()
    return process.wait(), said


def ran(folder, *words, **environment):
    """Exit code, what it said, peak memory in bytes."""
    code, said = ended(started(folder, *words, **environment))
    return code, said, int((folder.parent / f"{folder.name}.peak").read_text()) * 1024


def killed(folder, planes):
    """A run that was killed when so many planes were kept; again, where it was faster than whoever watched it."""
    for _ in range(5):
        process = started(folder, "run", "job.toml", "-q")
        if until_kept(process, folder, planes):
            process.send_signal(signal.SIGSTOP)
            process.kill()
            if ended(process)[0] == -signal.SIGKILL:
                return
        ended(process)
        emptied(folder)
    pytest.fail("every run ended before it could be killed")


def planes_done(folder, number=1):
    """Planes of a pass that are kept; the file is whole whenever it is looked at."""
    try:
        with open(folder / STATE / f"pass-{number}-rank-0", "rb") as kept:
            return json.loads(kept.readline())["planes"]
    except FileNotFoundError:
        return 0


def until_kept(process, folder, planes, number=1):
    """Wait until so many planes are kept; False if the run ended first."""
    end = time.monotonic() + 60
    while planes_done(folder, number) < planes:
        if process.poll() is not None or time.monotonic() > end:
            return False
        time.sleep(0.001)
    return True


def emptied(folder):
    """Nothing but the field and the job file: always in the same place, which stands in every provenance."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.stem != "field":
            path.unlink()
    (folder / "job.toml").write_text(JOB)
    return folder


@pytest.fixture
def folder(field_file, undisturbed):
    return emptied(field_file.parent)


@pytest.fixture(scope="module")
def undisturbed(field_file):
    """The outputs of a run that nothing happened to, which keeps within its limit; checked against NumPy."""
    folder = emptied(field_file.parent)
    code, said, peak = ran(folder, "run", "job.toml", "-q")
    assert code == 0, said
    assert peak <= 300e6 < np.prod(SHAPE) * 8
    mean = np.zeros(SHAPE[0])
    for plane, content in values_of_some_planes().items():
        mean[plane] = content.mean()
    written = np.genfromtxt(folder / "a.csv", delimiter=",", skip_header=1, comments="#", usecols=1)
    np.testing.assert_allclose(written[~np.isnan(written)], mean, atol=1e-12)
    assert not (folder / STATE).exists()
    return {name: (folder / name).read_bytes() for name in OUTPUTS}


def goes_on(folder, undisturbed, *words):
    """The same command again ends well, with the same bits, and leaves nothing else."""
    code, said, peak = ran(folder, "run", "job.toml", "-q", *words)
    assert code == 0, said
    assert peak <= 300e6
    assert {name: (folder / name).read_bytes() for name in OUTPUTS} == undisturbed
    assert sorted(p.name for p in folder.iterdir()) == sorted([*OUTPUTS, "field.npy", "field.json", "job.toml"])


@pytest.mark.parametrize("planes", [1, 100, 250, 400])
def test_killed_at_a_chunk(folder, undisturbed, planes):
    killed(folder, planes)
    done = planes_done(folder)
    assert done >= planes
    assert not any((folder / name).exists() for name in OUTPUTS) or done == SHAPE[0]
    goes_on(folder, undisturbed)


def test_killed_again_and_again_it_comes_to_its_end(folder, undisturbed):
    """Each time a little later, whatever it is doing then; no output is ever less than whole."""
    delays, kills = iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5]), 0
    for delay in delays:
        process = started(folder, "run", "job.toml", "-q")
        time.sleep(delay)
        process.kill()
        if ended(process)[0] == 0:
            break
        kills += 1
        for name in OUTPUTS:
            assert not (folder / name).exists() or (folder / name).read_bytes() == undisturbed[name]
    assert kills > 3
    goes_on(folder, undisturbed)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_stops_at_the_next_chunk_with_code_75(folder, undisturbed, name):
    process = started(folder, "run", "job.toml", "-q")
    assert until_kept(process, folder, 50)
    process.send_signal(getattr(signal, name))
    code, said = ended(process)
    assert code == 75, said
    assert said.count("\n") == 1
    done, of = (int(word) for word in said.split("after chunk ")[1].split(";")[0].split(" of "))
    assert said.startswith(f"gpuhomog: stopped by {name} after chunk ")
    assert said.endswith("run the same command again to go on.\n")
    assert 0 < done < of and planes_done(folder) % done == 0 and planes_done(folder) // done == -(-SHAPE[0] // of)
    goes_on(folder, undisturbed)


def test_what_was_found_is_not_sought_again(folder, undisturbed):
    """After the pass the values are gone, which nobody notices: only what is kept can give the results."""
    killed(folder, SHAPE[0])
    name, plane = folder / "field.npy", next(iter(values_of_some_planes()))
    times = os.stat(name)
    values = np.lib.format.open_memmap(name, mode="r+")
    inside, kept = (plane, slice(100, 110)), values[plane, 100:110].copy()
    values[inside] = 7e7  # no sample of the file's digest lies here
    os.utime(name, ns=(times.st_atime_ns, times.st_mtime_ns))
    try:
        goes_on(folder, undisturbed)
    finally:
        values[inside] = kept
        values.flush()
        os.utime(name, ns=(times.st_atime_ns, times.st_mtime_ns))


def table_of(content):
    """The lines of a table that hold numbers."""
    return [line for line in content.splitlines() if not line.startswith(b"#")]


@pytest.fixture
def stopped(folder):
    """A folder with the state of a run that was stopped."""
    process = started(folder, "run", "job.toml", "-q")
    assert until_kept(process, folder, 50)
    process.terminate()
    assert ended(process)[0] == 75
    return folder


def refused(folder, *words, **environment):
    code, said, _ = ran(folder, "run", "job.toml", "-q", *words, **environment)
    assert code == 2 and said.count("\n") == 1, said
    return said


def test_another_input_other_options_or_an_altered_state_are_refused_with_what_differs(stopped, undisturbed):
    job = (stopped / "job.toml").read_text()
    (stopped / "job.toml").write_text(job.replace("eps = 40", "eps = 30"))
    assert "tasks 3 options eps was 40.0 and is 30.0" in refused(stopped)
    (stopped / "job.toml").write_text(job.replace('axis = "b"', 'axis = "c"'))
    assert "tasks 2 options axis was b and is c" in refused(stopped)
    (stopped / "job.toml").write_text(job)

    name = stopped / "field.npy"
    before = os.stat(name)
    os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
    assert "inputs 1 mtime_ns was" in refused(stopped)
    os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns))

    for kept in ("manifest.json", "pass-1-rank-0"):
        content = (stopped / STATE / kept).read_bytes()
        place = content.index(b"eps") if kept.endswith("json") else len(content) // 2
        (stopped / STATE / kept).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert "was altered or damaged. Discard what was kept with --fresh" in refused(stopped)
        (stopped / STATE / kept).write_bytes(content[:-7])
        assert "was altered or damaged" in refused(stopped)
        (stopped / STATE / kept).write_bytes(content)
    (stopped / STATE / "letter").write_text("from somebody else")
    assert "letter, which no run of this program has put there" in refused(stopped)
    (stopped / STATE / "letter").unlink()
    goes_on(stopped, undisturbed)


def test_fresh_discards_what_was_kept(stopped, undisturbed):
    """The state is one of other options, so that going on from it would be refused."""
    (stopped / "job.toml").write_text(JOB.replace("eps = 40", "eps = 30"))
    refused(stopped)
    code, said, _ = ran(stopped, "run", "job.toml", "-q", "--fresh")
    assert code == 0, said
    assert (stopped / "a.csv").read_bytes() == undisturbed["a.csv"] and not (stopped / STATE).exists()


def test_two_runs_of_one_output_at_once_are_refused(folder, undisturbed):
    process = started(folder, "run", "job.toml", "-q")
    assert until_kept(process, folder, 20)
    process.send_signal(signal.SIGSTOP)
    assert "another run is at work on this output" in refused(folder)
    process.send_signal(signal.SIGCONT)
    assert ended(process)[0] == 0
    assert {name: (folder / name).read_bytes() for name in OUTPUTS} == undisturbed


def test_a_full_disk_while_state_is_kept(tmp_path, field_file, undisturbed):
    """The folder of the output is a file system of its own, too small for what is to be kept."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True).returncode:
        needed("mount", "no small file system can be mounted here: run as root")
    try:
        os.symlink(field_file, small / "field.npy")
        os.symlink(field_file.with_suffix(".json"), small / "field.json")
        (small / "job.toml").write_text(JOB)
        (small / "a.csv").write_text("the previous result\n")
        said = refused(small)
        assert "what was found so far could not be kept (No space left on device)" in said
        assert (small / "a.csv").read_text() == "the previous result\n"
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        code, said, _ = ran(small, "run", "job.toml", "-q")
        assert code == 0, said
        for name in ("a.csv", "b.csv"):  # but for the place of the input, which their provenance states
            assert table_of((small / name).read_bytes()) == table_of(undisturbed[name])
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_disk_that_fills_while_the_output_is_written(tmp_path, field_file):
    """Room for the state, none for the result: the state stays, and with room the run ends without reading again."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "none", small], capture_output=True).returncode:
        needed("mount", "no small file system can be mounted here: run as root")
    try:
        os.symlink(field_file, small / "field.npy")
        os.symlink(field_file.with_suffix(".json"), small / "field.json")
        words = ("average", "field.npy", "--kernel", "gaussian", "--eps", "40", "--spacing", "8", "--max-memory", LIMIT)
        (small / "smooth.h5").write_text("the previous result\n")
        code, said, _ = ran(small, *words, "-o", "smooth.h5", "-q")
        assert code == 2 and said.count("\n") == 1, said
        assert (small / "smooth.h5").read_text() == "the previous result\n"
        kept = small / "smooth.h5.part"
        assert kept.is_dir(), said
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        code, said, _ = ran(small, *words, "-o", "smooth.h5", "-q")
        assert code == 0 and not kept.exists(), said
    finally:
        subprocess.run(["umount", small], check=True)


def test_the_least_memory_named_is_enough_and_holds(folder, undisturbed):
    job = (folder / "job.toml").read_text()
    (folder / "job.toml").write_text(job.replace("300MB", "2MB"))
    said = refused(folder)
    assert "2 MB of memory are not enough" in said
    least = int(said.split("at least ")[1].split("MB")[0]) + 20  # and what results need
    (folder / "job.toml").write_text(job.replace("300MB", f"{least}MB"))
    code, said, peak = ran(folder, "run", "job.toml", "-q")
    assert code == 0, said
    assert peak <= least * 10**6 < 200e6


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_interrupted_while_an_output_larger_than_memory_is_written(tmp_path, rng, blow):
    """What stood under the name stays until all is written; the pass is not made again, only the writing."""
    folder = tmp_path / "run"
    folder.mkdir()
    values = rng.normal(size=(240, 160, 160))
    np.save(folder / "field.npy", values)
    (folder / "field.json").write_text(json.dumps({"cell": np.diag([240.0, 160.0, 160.0]).tolist()}))
    words = "average field.npy --kernel gaussian --eps 40 --max-memory 140MB --device cpu -o smooth.npz -q".split()
    (folder / "smooth.npz").write_text("the previous result\n")
    process = started(folder, *words)
    end = time.monotonic() + 60
    while not any(folder.glob(".smooth.npz.*.part")) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.0005)
    process.send_signal(blow)
    code, said = ended(process)
    assert code in (75, -signal.SIGKILL) and (folder / "smooth.npz").read_text() == "the previous result\n"
    assert blow == signal.SIGKILL or "stopped by SIGTERM between planes" in said
    kept = (folder / "smooth.npz.part" / "pass-1-rank-0").read_bytes()
    assert json.loads(kept.split(b"\n")[0])["planes"] == 240

    code, said, peak = ran(folder, *words)
    assert code == 0, said
    assert sorted(p.name for p in folder.iterdir()) == ["field.json", "field.npy", "smooth.npz"]
    assert peak <= 140e6
    expected = gh.average(gh.Field.from_array(values, np.diag([240.0, 160.0, 160.0])), gh.Gaussian(40.0))
    np.testing.assert_allclose(gh.read(folder / "smooth.npz").values, expected.values, atol=1e-14)
