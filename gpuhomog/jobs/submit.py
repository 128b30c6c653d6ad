"""Submit: a job file, run by a batch system instead of here.

    the job file is checked as `gpuhomog run` would → options typed, else those of [batch] → script → sbatch

In the job every rank runs `gpuhomog run JOB`: with the very Python that runs now, or in a container.

In   path of a job file; raw option values by name.
Out  Submission: the script, and the numbers of the jobs. InputError for what could not run.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InputError, met_in
from .job_file import Job, read_job
from .options import read_values
from .plan import Layout, plan_tasks
from .slurm import BATCH_OPTIONS, ranks_per_node, script, send


@dataclass(frozen=True)
class Submission:
    """A batch script and what became of it: the numbers of the jobs, none if it was only written."""

    script: str
    jobs: tuple[str, ...]
    chain: int


def submit(file: Path, given: Mapping[str, Any], *, dry_run: bool = False) -> Submission:
    """Submit a job file, or only make its script.

    file   path of the job file
    given  raw values of BATCH_OPTIONS, as typed; None if not given
    """
    job = read_job(file, elsewhere=True)
    typed = {
        option.key: option.read(given[option.key]) for option in BATCH_OPTIONS if given.get(option.key) is not None
    }
    values = {**read_values(BATCH_OPTIONS, {}), **job.batch, **typed}
    if values["name"] is None:
        values["name"] = re.sub(r"[^A-Za-z0-9_.-]", "_", job.path.stem)[:60].lstrip(".-") or "gpuhomog"
    if values["launcher"] is None:
        values["launcher"] = "mpiexec" if has_mpich() and values["mpi"] is None else "srun"
    if values["mpi"] is None and (values["container"] is not None or has_mpich()):
        values["mpi"] = "pmi2"
    check(job, values)
    beside = Path(sys.executable).with_name("mpiexec")  # of the MPI that was installed with this Python
    text = script(values, command(job, values), str(beside) if beside.exists() else "mpiexec")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{str(file)!a}: a name that the job needs is not UTF-8 text; rename that file or folder."
        ) from None
    return Submission(text, () if dry_run else tuple(send(text, values)), values["chain"])


def has_mpich() -> bool:
    """True if this Python's MPI is MPICH from PyPI."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("mpich")
    except PackageNotFoundError:
        return False
    return True


def check(job: Job, values: dict[str, Any]) -> None:
    """Refuse what would fail only in the job; makes the paths absolute."""
    for key, what in (("setup", "file"), ("container", "image")):
        name = values[key]
        if isinstance(name, Path):
            values[key] = name.resolve()
            if not (name.is_file() or (key == "container" and name.is_dir())):
                raise InputError(f"--{key} {name}: no such {what}. Check the name and the folder.")
    ranks = values["nodes"] * ranks_per_node(values)
    if ranks > 1 and values["container"] is None and find_spec("mpi4py") is None:
        raise InputError(
            f"{ranks} ranks need mpi4py, which is not installed: each would do all the work. Install it "
            "(pip install 'gpuhomog[mpi]'), or ask for one rank."
        )
    with met_in(f"{job.path}, "), warnings.catch_warnings(action="ignore"):  # the run gives them
        plan_tasks(job.tasks, Layout(ranks, on_gpu=False))
    if values["gpus_per_node"] > 1:
        for number, task in enumerate(job.tasks, 1):
            device = str(task.values.get("device"))
            if device.startswith("gpu:"):
                raise InputError(
                    f'{job.path}, task {number}: device = "{device}" would put all ranks of a node on one of its '
                    f"{values['gpus_per_node']} GPUs. Leave it out: each rank then takes its own."
                )


def command(job: Job, values: Mapping[str, Any]) -> list[str]:
    """What every rank runs."""
    file = str(job.path.resolve())
    if values["container"] is None:
        return [sys.executable, "-P", "-m", "gpuhomog", "run", file]
    nvidia = ["--nv"] if values["gpus_per_node"] else []
    image = str(values["container"])
    return ["apptainer", "exec", *nvidia, *bindings(job), image, "gpuhomog", "run", file]


def bindings(job: Job) -> list[str]:
    """Apptainer's options that show the container every folder the job reads or writes."""
    files = [job.path.resolve(), *(file for task in job.tasks for file in (*task.sources, *task.targets))]
    folders = {str(folder) for file in files for folder in (file.absolute().parent, file.resolve().parent)}
    for folder in sorted(folders):
        if re.search("[:,]|^/$", folder):
            raise InputError(
                f"{folder}: Apptainer cannot show a container the root folder, or one with a colon or comma in its "
                "name. Move the file, or rename the folder."
            )
    return [f"--bind={folder}" for folder in sorted(folders)]
