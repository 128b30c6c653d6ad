"""Streamed runs on MPI ranks: each streams its own planes; one that vanishes ends the others, and the run goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from requirements import needed

import gpuhomog as gh

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
SHAPE = (600, 160, 160)
JOB = """
[input]
file = "field.npy"
reproducible = REPRODUCIBLE
[run]
max_memory = "300MB"
device = "cpu"
[[task]]
command = "profile"
axis = "b"
period = "none"
output = "b.csv"
[[task]]
command = "average"
kernel = "box"
width = 20
spacing = 10
output = "box.h5"
"""
STATE = "b.csv.part"


@pytest.fixture(autouse=True)
def mpi():
    missing = [name for name, there in (("mpi4py", find_spec("mpi4py")), ("mpiexec", MPIEXEC)) if not there]
    needed("mpi", f"{' and '.join(missing)} missing: pip install 'gpuhomog[mpi]'" if missing else None)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(3).normal(size=SHAPE)


@pytest.fixture
def folder(tmp_path, values):
    np.save(tmp_path / "field.npy", values)
    (tmp_path / "field.json").write_text(json.dumps({"cell": np.diag(np.array(SHAPE, float)).tolist()}))
    (tmp_path / "job.toml").write_text(JOB.replace("REPRODUCIBLE", "false"))
    return tmp_path


def started(folder, size, *words):
    known = {**os.environ, "GPUHOMOG_CHECKPOINT_SECONDS": "0"}
    command = [MPIEXEC, "-n", str(size), sys.executable, "-m", "gpuhomog", *words]
    return subprocess.Popen(
        command, cwd=folder, env=known, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def ran(folder, size, *words):
    process = started(folder, size, *words)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def check(folder, values):
    written = np.genfromtxt(folder / "b.csv", delimiter=",", skip_header=1, comments="#", usecols=1)
    np.testing.assert_allclose(written[~np.isnan(written)], values.mean(axis=(0, 2)), atol=1e-13)
    field = gh.Field.from_array(values, np.diag(np.array(SHAPE, float)))
    expected = gh.average(field, gh.Box(20.0), spacing=10.0)
    np.testing.assert_allclose(gh.read(folder / "box.h5").values, expected.values, atol=1e-13)
    assert not (folder / STATE).exists()


def test_three_ranks_give_what_one_gives_and_reproducible_runs_the_same_bits(folder, values):
    (folder / "job.toml").write_text(JOB.replace("REPRODUCIBLE", "true"))
    given = []
    for size in (1, 3):
        code, said = ran(folder, size, "run", "job.toml", "-q")
        assert code == 0, said
        check(folder, values)
        given.append(gh.read(folder / "box.h5").values)
        given.append((folder / "b.csv").read_bytes())
    assert (given[0] == given[2]).all() and given[1] == given[3]


def ranks_of(process):
    """Process ids of the ranks that a launcher has started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            here = f"GPUHOMOG_TEST_RUN={process.args[-1]}".encode()
            if b"gpuhomog" in words and b"PMI_RANK=" in environment and here in environment:
                found.append(int(entry.name))
    return found


def test_a_vanished_rank_ends_all_and_the_same_command_goes_on(folder, values, monkeypatch):
    mark = str(folder)
    monkeypatch.setenv("GPUHOMOG_TEST_RUN", mark)
    process = started(folder, 3, "run", "job.toml", "-q")
    process.args = [*process.args, mark]
    end = time.monotonic() + 60
    kept = folder / STATE / "pass-1-rank-1"
    while not kept.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    ranks = ranks_of(process)
    assert len(ranks) == 3
    os.kill(ranks[1], signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (folder / "b.csv").exists() and not (folder / "box.h5").exists()
    assert (folder / STATE / "manifest.json").exists()

    code, said = ran(folder, 2, "run", "job.toml", "-q")
    assert code == 2 and "ranks was 3 and is 2" in said
    code, said = ran(folder, 3, "run", "job.toml", "-q")
    assert code == 0, said
    check(folder, values)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_to_all_ranks_stops_all_with_code_75(folder, values, name):
    process = started(folder, 3, "run", "job.toml", "-q")
    kept = folder / STATE / "pass-1-rank-1"
    end = time.monotonic() + 60
    while not kept.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75 and f"stopped by {name} after chunk" in said
    code, again = ran(folder, 3, "run", "job.toml", "-q")
    assert code == 0, (said, again)
    check(folder, values)
