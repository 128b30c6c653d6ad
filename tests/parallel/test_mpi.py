"""Ranks over MPI, for real: exchanges, operators, the command line, and ranks that fail or vanish."""

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
from matplotlib.image import imread
from requirements import needed

import gpuhomog as gh

HERE = Path(__file__).parent
MPIEXEC = shutil.which("mpiexec")
CLI = (sys.executable, "-m", "gpuhomog")


@pytest.fixture(autouse=True)
def mpi():
    missing = [name for name, there in (("mpi4py", find_spec("mpi4py")), ("mpiexec", MPIEXEC)) if not there]
    needed("mpi", f"{' and '.join(missing)} missing: pip install 'gpuhomog[mpi]'" if missing else None)


def on_ranks(size, *command, **options):
    return subprocess.run(
        [MPIEXEC, "-n", str(size), *map(str, command)], capture_output=True, text=True, timeout=180, **options
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_exchanges_and_operators(size):
    done = on_ranks(size, sys.executable, HERE / "program_on_ranks.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"rank {rank} of {size}: all right" in done.stdout for rank in range(size))


THREAD_LEVEL = """
from gpuhomog.parallel import mpi
world, MPI = mpi.World(), mpi.MPI
assert MPI.Query_thread() == MPI.THREAD_SERIALIZED and world.why_no_turns() is None
MPI.Query_thread = lambda: MPI.THREAD_FUNNELED
assert world.why_no_turns() == f"{world.implementation} serves no other thread than the first"
"""


def test_mpi_is_asked_for_threads_that_take_turns():
    done = on_ranks(2, sys.executable, "-c", THREAD_LEVEL)
    assert done.returncode == 0, done.stderr


ODD_PLANES = """
import warnings
from gpuhomog import Field, cli
from gpuhomog.errors import AccuracyWarning
plain = Field.plane_sums
def plane_sums(field, axis):
    for rank in {0: (0,), 1: (0, 1), 2: (0, 1, 2)}[field.comm.rank]:
        warnings.warn(f"planes of rank {rank} look odd", AccuracyWarning)
    return plain(field, axis)
Field.plane_sums = plane_sums
cli.main()
"""


@pytest.mark.parametrize("more", [(), ("--max-memory", "4GB")])
def test_warnings_of_every_rank_are_shown_once_by_the_first(folder, more):
    words = ("profile", folder / "phi.npz", "--axis", "c", "--device", "cpu", "--json", *more)
    done = on_ranks(3, sys.executable, "-c", ODD_PLANES, *words)
    assert done.returncode == 0, done.stderr
    told = ["planes of rank 0 look odd"] + [f"rank {r} of 3: planes of rank {r} look odd" for r in (1, 2)]
    assert [one for one in json.loads(done.stdout)["warnings"] if "look odd" in one] == told
    shown = [line for line in done.stderr.splitlines() if "look odd" in line]
    assert shown == [f"gpuhomog: warning: {one}" for one in told]


@pytest.mark.parametrize("size", [1, 3])
def test_slab_transforms_agree_with_mpi4py_fft(size):
    missing = None if find_spec("mpi4py_fft") else "mpi4py-fft is missing: a source package, it needs FFTW and mpicc"
    needed("mpi4py-fft", missing)
    done = on_ranks(size, sys.executable, HERE / "program_mpi4py_fft.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"rank {rank} of {size}: all right" in done.stdout for rank in range(size))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A slab of layers with vacuum around it, as potential and as density, in two formats."""
    folder = tmp_path_factory.mktemp("mpi")
    a, b, c = np.meshgrid(*[np.arange(n) / n for n in (12, 10, 64)], indexing="ij")
    inside = 1 / (1 + np.exp((np.abs(c - 0.5) - 0.25) * 200))
    layers = inside * np.cos(2 * np.pi * 16 * c) * (1 + 0.3 * np.cos(2 * np.pi * a) * np.sin(2 * np.pi * b))
    layers -= layers.mean()
    cell = np.diag([4.0, 3.6, 32.0])
    gh.write(gh.Field.from_array(layers, cell, quantity="charge_density"), folder / "rho.h5")
    gh.write(gh.Field.from_array(layers, cell, quantity="charge_density"), folder / "rho.cube")
    gh.write(gh.Field.from_array(layers, cell, quantity="electrostatic_potential"), folder / "phi.npz")
    (folder / "ions.csv").write_text("".join(f"{n},1\n{n}.3,-1\n" for n in range(20)))  # one rank does it for all
    frames = "".join(f"2\nframe\nNa 0 0 0\nCl 0 0 {1 + 0.1 * n}\n" for n in range(3))
    (folder / "run.xyz").write_text(frames)  # ASE would have all ranks read it together
    return folder


COMMANDS = (
    "average rho.h5 --kernel gaussian --eps 0.8 -o out.h5",
    "average rho.cube --quantity charge_density --kernel box --width 1.1 --spacing 0.7 -o out.npz --variance var.h5",
    "average rho.h5 --kernel ball --eps 0.8 --boundary p,p,o -o out.cube --gradient g.h5",
    "profile rho.h5 --axis c --output out.csv",
    "profile rho.h5 --axis 1,1,0 --period none --output out.json",
    "surface rho.h5 --axis c --boundary p,p,o",
    "step phi.npz --axis c",
    "convert phi.npz --output out.h5 --to-quantity charge_density",
    "convert rho.cube --output out.xsf",
    "info rho.cube --quantity charge_density",
    "moments rho.h5 --axis c --boundary p,p,o --width 2 -o out.json",
    "surface-map rho.h5 --axis c --boundary p,p,o --eps 1 -o out.json",
    "charges ions.csv -o out.json",
    "current run.xyz --charges Na=1,Cl=-1 --cell 2,2,6 --time-step 1 -o out.csv",
    "current rho.h5 rho.h5 rho.h5 --time-step 1 --axis c -o out.csv",
)


def close(found, expected, path=""):
    """Plain values equal but for rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), path
        for key in expected:
            close(found[key], expected[key], f"{path}/{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            close(one, other, f"{path}/{i}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-10), path
    else:
        assert found == expected, path


@pytest.mark.parametrize("words", COMMANDS)
def test_commands_on_ranks_say_and_write_what_one_does(folder, words, tmp_path):
    found = []
    for size in (1, 3):
        here = tmp_path / str(size)
        here.mkdir()
        for file in folder.iterdir():
            (here / file.name).symlink_to(file)
        command = [*CLI, *words.split(), "--json"]
        run = (
            subprocess.run(command, cwd=here, capture_output=True, text=True)
            if size == 1
            else on_ranks(size, *command, cwd=here)
        )
        assert run.returncode == 0, run.stderr
        report = json.loads(run.stdout)  # one object: one rank talks
        assert len(run.stderr.splitlines()) == len(set(run.stderr.splitlines()))
        found.append((report, here))
    (one, alone), (several, together) = found
    close(several, one)
    written = sorted(p.name for p in alone.iterdir() if not p.is_symlink())
    assert sorted(p.name for p in together.iterdir() if not p.is_symlink()) == written
    for name in written:
        if not name.endswith((".csv", ".json")):
            assert gh.read(together / name).values == pytest.approx(gh.read(alone / name).values, abs=1e-10)


def test_the_first_rank_draws_the_whole_field(folder, tmp_path):
    pictures = []
    for size in (1, 3):
        picture = tmp_path / f"{size}.png"
        words = ("average", folder / "rho.h5", "--kernel", "gaussian", "--eps", "0.8", "-o", tmp_path / "out.h5")
        done = on_ranks(size, *CLI, *words, "--plot", picture)
        assert done.returncode == 0, done.stderr
        pictures.append(imread(picture))
    assert pictures[0].shape == pictures[1].shape and np.abs(pictures[0] - pictures[1]).mean() < 1e-3


def test_reproducible_outputs_have_the_same_bits(folder, tmp_path):
    contents = set()
    for size in (1, 2, 5):
        out = tmp_path / f"{size}.npz"
        table = tmp_path / f"{size}.csv"
        average = ("average", folder / "rho.h5", "--kernel", "box", "--width", "1.1", "--spacing", "0.7")
        done = on_ranks(size, *CLI, *average, "--reproducible", "-o", out)
        assert done.returncode == 0, done.stderr
        profile = ("profile", folder / "rho.h5", "--axis", "b", "--period", "none", "--reproducible")
        assert on_ranks(size, *CLI, *profile, "--output", table).returncode == 0
        numbers = [line for line in table.read_text().splitlines() if not line.startswith("#")]
        with np.load(out) as arrays:
            contents.add((arrays["values"].tobytes(), "\n".join(numbers)))
    assert len(contents) == 1


def test_one_sentence_for_all_ranks(folder):
    done = on_ranks(4, *CLI, "average", folder / "rho.h5", "--kernel", "gaussian", "--eps", "-1", "-o", "x.h5")
    assert done.returncode == 2
    assert done.stderr.count("give a positive number") == 1
    done = on_ranks(4, *CLI, "average", folder / "none.h5", "--kernel", "gaussian", "--eps", "1", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2
    assert done.stderr.count("no such file") == 1


def test_ranks_with_other_options_are_refused(folder, tmp_path):
    by_rank = 'exec "$0" -m gpuhomog average "$1" --kernel gaussian --eps 1.$PMI_RANK -o x.h5'
    done = on_ranks(3, "sh", "-c", by_rank, sys.executable, folder / "rho.h5", cwd=tmp_path)
    assert done.returncode == 2
    assert "run average the same: --eps is 1.0 on rank 0 and 1.1 on rank 1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ranks_with_other_tasks_are_refused(folder, tmp_path):
    job = f'[input]\nfile = "{folder / "rho.h5"}"\n' + '[[task]]\ncommand = "info"\n'
    (tmp_path / "0.toml").write_text(job)
    (tmp_path / "1.toml").write_text(job + '[[task]]\ncommand = "profile"\noutput = "x.csv"\n')
    by_rank = 'exec "$0" -m gpuhomog run "$1/$PMI_RANK.toml"'
    done = on_ranks(2, "sh", "-c", by_rank, sys.executable, tmp_path)
    assert done.returncode == 2
    assert "run the same: the list of commands is info on rank 0 and info, profile on rank 1" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "x.csv").exists()


def test_ranks_with_other_files_are_refused(folder, tmp_path):
    for rank, value in enumerate((1.0, 2.0)):
        (tmp_path / str(rank)).mkdir()
        gh.write(gh.Field.from_array(np.full((4, 4, 4), value), np.eye(3)), tmp_path / str(rank) / "f.h5")
    by_rank = 'cd "$1/$PMI_RANK" && exec "$0" -m gpuhomog profile f.h5 --axis a --period none'
    done = on_ranks(2, "sh", "-c", by_rank, sys.executable, tmp_path)
    assert done.returncode == 2
    assert "The ranks do not read f.h5 the same" in done.stderr and len(done.stderr.splitlines()) == 1


FAILING = """
import sys, gpuhomog.cli, gpuhomog.operators.profiles.planar, gpuhomog.parallel as parallel
import gpuhomog.parallel.mpi as mpi
mpi.PATIENCE = 1.0
if parallel.launched_rank() == 1:
    def planar_sum(self, values, axis):
        raise {error}
    gpuhomog.device.CPU.planar_sum = planar_sum
sys.argv = ["gpuhomog", "profile", sys.argv[1], "--axis", "c", "--period", "none"]
gpuhomog.cli.main()
"""


@pytest.mark.parametrize(
    ("error", "words"), [("MemoryError()", "not enough memory"), ('InputError("bad plane")', "bad plane")]
)
def test_a_rank_that_fails_alone_ends_all(folder, error, words):
    """The others wait for it in an exchange: they are ended, and its sentence is said once."""
    program = FAILING.format(error=error.replace("InputError", "gpuhomog.errors.InputError"))
    done = on_ranks(3, sys.executable, "-c", program, folder / "rho.h5")
    assert done.returncode != 0
    assert done.stderr.count(words) == 1 and "rank 1 of 3: " in done.stderr


def test_a_rank_that_vanishes_ends_all(folder, tmp_path):
    """kill -9 of one rank in the middle: the launcher ends the others, and nothing is left under the name."""
    waiting = FAILING.format(error="SystemExit(0)").replace("raise SystemExit(0)", "import time; time.sleep(60)")
    mark = f"GPUHOMOG_TEST={tmp_path}"
    job = subprocess.Popen(
        ["env", mark, MPIEXEC, "-n", "3", sys.executable, "-c", waiting, str(folder / "rho.h5")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        victims = []
        while not victims and job.poll() is None:
            time.sleep(0.1)
            victims = processes_with(mark, "PMI_RANK=2")
        time.sleep(1.0)
        os.kill(victims[0], signal.SIGKILL)
        assert job.wait(60) != 0
    finally:
        for process in processes_with(mark):
            os.kill(process, signal.SIGKILL)
        job.wait()
    assert not processes_with(mark)


def processes_with(*variables):
    """Numbers of the processes whose environment has all of these."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if entry.name.isdigit() and all(variable.encode() in environment for variable in variables):
            found.append(int(entry.name))
    return found


def test_ranks_without_an_mpi_library(folder):
    environment = {**os.environ, "PMI_SIZE": "2", "PMI_RANK": "0", "MPI4PY_LIBMPI": "/nowhere/libmpi.so.12"}
    command = [*CLI, "profile", folder / "rho.h5", "--axis", "c", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "PMI_SIZE says that 2 ranks were launched, but mpi4py cannot be used" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_help_is_shown_once():
    done = on_ranks(3, *CLI, "average", "--help")
    assert done.returncode == 0 and done.stdout.count("Usage:") == 1


def test_a_launcher_that_mpi_does_not_know(folder):
    """Two processes, each told by its launcher that there are four of them, each alone to MPI."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI", "MPI"))}
    done = subprocess.run(
        [*CLI, "profile", folder / "rho.h5", "--axis", "c", "--json"],
        env={**environment, "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "OMPI_COMM_WORLD_SIZE says that 4 ranks were launched" in done.stderr and "sees 1" in done.stderr
