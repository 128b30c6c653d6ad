"""Jobs on a real Slurm, which these tests start on this machine and stop again."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from cluster import Cluster, why_no_slurm
from job_to_submit import TASKS, write_field
from requirements import needed

import gpuhomog as gh


@pytest.fixture(scope="session")
def cluster():
    """A Slurm of two nodes with eight CPUs and two GPUs each, which are no GPUs."""
    needed("slurm", why_no_slurm())
    folder = tempfile.mkdtemp(prefix="slurm", dir="/tmp")  # short: the sockets' names are limited
    os.chmod(folder, 0o755)
    try:
        running = Cluster(folder)
        yield running
        running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def mpi():
    """Ranks can be started here."""
    needed("mpi", None if find_spec("mpi4py") else "mpi4py is not installed")


def submitted(cluster, *arguments, folder=None, check=True):
    """The report of a submission; the program is started as users start it, in the folder or the current one."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "gpuhomog", "submit", *map(str, arguments), "--json"],
        env=cluster.environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert not check or ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def stand_in(folder, program):
    """Options of submit that let every rank run this Python text in place of a container; makes the folder."""
    folder.mkdir()
    apptainer = folder / "apptainer"
    apptainer.write_text(f"#!{sys.executable}\n{program}")
    apptainer.chmod(0o755)
    setup = folder / "setup.sh"
    setup.write_text(f"export PATH='{folder}:{Path(sys.executable).parent}':$PATH\n")
    return ["--container", "docker://stand/in", "--setup", setup]


# Stops when told to, the first time; goes on and finishes the second time.
UNFINISHED = """
import os, signal, sys, time
from pathlib import Path
started = Path(f"{os.environ['SLURM_PROCID']}.{os.environ['SLURM_JOB_ID']}")
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(1))
started.touch()
if len(list(Path().glob(f"{os.environ['SLURM_PROCID']}.*"))) == 2:
    sys.exit(0)
for _ in range(1200):
    time.sleep(0.1)
    if told:
        sys.exit(75)
"""


@pytest.fixture(scope="module", autouse=True)
def chain(cluster, tmp_path_factory):
    """Folder and numbers of a chain of four whose first waits for the end of its time, while the tests go on."""
    folder = tmp_path_factory.mktemp("chain")
    write_field(folder)
    (folder / "job.toml").write_text(TASKS)
    given = (
        *stand_in(folder / "stand-in", UNFINISHED),
        "--nodes",
        2,
        "--launcher",
        "srun",
        "--time",
        "00:01:00",
        "--chain",
        4,
    )
    return folder, submitted(cluster, folder / "job.toml", *given, folder=folder)["job_ids"]


def log_of(number, folder=Path()):
    """What a job printed."""
    return (folder / f"slurm-{number}.out").read_text(encoding="utf-8")


def completed(cluster, number, code="0:0", folder=Path()):
    """Wait for a job; it must have ended so."""
    facts = cluster.wait(number, ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL"))
    state = "COMPLETED" if code == "0:0" else "FAILED"
    assert (facts["JobState"], facts["ExitCode"]) == (state, code), log_of(number, folder)


def here(file):
    """The job's tasks by their functions, in this process."""
    field = gh.read(file)
    return gh.average(field, gh.Gaussian(1.0), spacing=1.0), gh.planar_average(field, "c")


@pytest.mark.parametrize("name", ["work", "it's\n#SBATCH --comment=evil\n$(touch x)"])
def test_a_job_gives_what_it_gives_here(job, cluster, mpi, name):
    """Two ranks on two nodes; also in a folder whose name would be a directive of Slurm and a command of bash."""
    path = job()
    folder = path.parent.rename(path.parent.with_name(name))
    path = folder / path.name
    (number,) = submitted(cluster, path, "--nodes", 2, "--name", "two", "--time", "00:05:00")["job_ids"]
    completed(cluster, number)
    facts = cluster.facts(number)
    assert (facts["JobName"], facts["NumTasks"], facts["TimeLimit"]) == ("two", "2", "00:05:00")
    assert "Comment" not in facts and sorted(os.listdir()) == [f"slurm-{number}.out"]
    average, profile = here(folder / "field.h5")
    assert np.abs(gh.read(folder / "smooth.h5").values - average.values).max() < 1e-12
    assert np.abs(gh.read_profile(folder / "profile.csv").values - profile.values).max() < 1e-12
    assert log_of(number).count("wrote ") == 2  # one rank speaks


RANK = """
import json, os, sys
from gpuhomog.device.node import local_rank
rank = int(os.environ.get("PMI_RANK", os.environ["SLURM_PROCID"]))
report = {name: os.environ.get(name) for name in ("GPUHOMOG_DEVICE", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
report["number"] = local_rank()
if "PMI_RANK" in os.environ:
    import numpy
    from gpuhomog.parallel import world
    report["ranks"] = world().concatenate(numpy.array([world().rank])).tolist()
with open(f"rank{rank}.json", "w") as file:
    json.dump({**report, "command": sys.argv[1:]}, file)
"""


@pytest.mark.parametrize("launcher", ["srun", "mpiexec"])
def test_each_rank_has_a_gpu_of_its_own(job, cluster, tmp_path, mpi, launcher):
    """Two on each of two nodes, which mpiexec makes four ranks of MPI."""
    path = job()
    given = (*stand_in(tmp_path / "stand-in", RANK), "--nodes", 2, "--gpus-per-node", 2, "--cpus-per-rank", 2)
    given += ("--launcher", launcher, *(("--mpi", "none") if launcher == "srun" else ()))
    (number,) = submitted(cluster, path, *given)["job_ids"]
    completed(cluster, number)
    for rank in range(4):  # two on each node
        report = json.loads(Path(f"rank{rank}.json").read_text())
        inside = ["gpuhomog", "run", str(path)]
        assert report.pop("command") == ["exec", "--nv", f"--bind={path.parent}", "docker://stand/in", *inside]
        seen = {"GPUHOMOG_DEVICE": "gpu", "number": rank % 2, "CUDA_VISIBLE_DEVICES": "0,1", "OMP_NUM_THREADS": "2"}
        assert report == seen | ({"ranks": [0, 1, 2, 3]} if launcher == "mpiexec" else {})
    assert sorted(path.name for path in Path().glob("rank*")) == [f"rank{n}.json" for n in range(4)]


# Bash, before a job: the first of a chain shall take long, and waits for whoever listens to its progress.
SLOW_AT_FIRST = """\
if mkdir '{folder}/started' 2> /dev/null; then
    export PYTHONPATH="{folder}/slow${{PYTHONPATH:+:$PYTHONPATH}}"
fi
"""
WAITS = """
import time
from gpuhomog import progress
listening = progress.listen(lambda *report: time.sleep(0.5))
listening.__enter__()
"""
PROFILE = """
[input]
file = "large.npy"
[run]
max-memory = "250MB"
[[task]]
command = "profile"
axis = "a"
period = "none"
output = "profile.csv"
"""


def test_a_job_that_is_stopped_goes_on_in_the_next_of_its_chain(job, cluster, mpi):
    """A field of 1 GB, of which the file holds four planes: what is not written is zero and takes no space."""
    path = job(tasks=PROFILE)
    folder = path.parent
    values = np.lib.format.open_memmap(folder / "large.npy", mode="w+", dtype=np.float64, shape=(2000, 256, 256))
    expected = np.zeros(2000)
    for plane in (3, 999, 1000, 1998):
        values[plane] = expected[plane] = plane + 0.5
    values.flush()
    del values
    (folder / "large.json").write_text('{"cell": [[200, 0, 0], [0, 26, 0], [0, 0, 26]], "quantity": "scalar"}')
    (folder / "setup.sh").write_text(SLOW_AT_FIRST.format(folder=folder))
    (folder / "slow").mkdir()
    (folder / "slow" / "sitecustomize.py").write_text(WAITS)
    given = ("--nodes", 2, "--setup", folder / "setup.sh", "--chain", 3)
    first, second, third = submitted(cluster, path, *given)["job_ids"]
    cluster.wait_until((folder / "profile.csv.part" / "pass-1-rank-0").exists, "a part of the result is kept")
    cluster.ask("scancel", "--batch", "--signal=USR1", first)  # what Slurm does near the end of the time
    completed(cluster, first, "75:0")
    assert "stopped by SIGUSR1 after chunk" in log_of(first) and "wrote" not in log_of(first)
    completed(cluster, second)
    cluster.wait(third, ("CANCELLED",))
    assert log_of(second).count("wrote ") == 1 and not (folder / "profile.csv.part").exists()
    assert np.array_equal(gh.read_profile(folder / "profile.csv").values, expected)


def test_ranks_that_do_not_find_each_other_are_refused(job, cluster, mpi):
    path = job()
    (number,) = submitted(cluster, path, "--nodes", 2, "--launcher", "srun", "--mpi", "none")["job_ids"]
    completed(cluster, number, "2:0")
    assert "2 ranks were launched" in log_of(number) and not path.with_name("smooth.h5").exists()


def test_a_refusal_is_one_sentence(job, cluster):
    report = submitted(cluster, job(), "--queue", "nowhere", check=False)
    assert report["exit_code"] == 2 and "(" in report["error"] and "artition" in report["error"]
    assert report["error"].endswith("Nothing was submitted. Change what it names, and submit again.")


def test_a_chain_goes_on_until_one_finishes(cluster, chain):
    """The first is told to stop before its time is over, the second finishes, the others never run."""
    folder, (first, second, *others) = chain
    completed(cluster, first, "75:0", folder)
    completed(cluster, second, folder=folder)
    for number in others:
        cluster.wait(number, ("CANCELLED",))
    ran = {path.name for path in folder.glob("[01].*")}
    assert ran == {f"{rank}.{number}" for rank in (0, 1) for number in (first, second)}
