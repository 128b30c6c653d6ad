"""Slurm: from checked batch options to the script of a batch job, and to the jobs that sbatch makes of it.

    BATCH_OPTIONS    options of `gpuhomog submit` and keys of [batch] in a job file: one list
    directives       what is asked of Slurm: nodes, ranks, GPUs, time, …
    script           those as #SBATCH lines, then the command that every rank runs
    send             sbatch, once for each job of a chain

Ranks. One per GPU, or as many as asked for. The job is given GPUs node by node (--gres=gpu:N, which every configuration
of Slurm understands) and its ranks are not bound by Slurm: --gpus-per-task hides the GPUs of the other ranks, and with
them CUDA's copies between the ranks of a node. GPUHOMOG_DEVICE=gpu lets each rank take the one of its number on the
node, among those it sees (device/node.py), so that a site which does bind them is right as well; without a GPU the job
fails instead of computing on CPUs.

Launcher. srun starts the ranks where Slurm put them and needs the process manager interface (--mpi) that the MPI
library speaks: right for the MPI of a site. MPICH from PyPI, which gpuhomog[mpi] brings, has its own mpiexec, which
starts one process on each node by srun, and is taken where it is installed: under srun --mpi=pmi2 it works as a rule,
but Slurm's plugin (22.05) reads long messages in pieces and then misunderstands them on a busy node, and ranks hang.
Both pass signals on. Ranks that do not find each other are refused when they start.

End of time. Slurm signals the script's process (B:USR1), which is the launcher by then (exec): it hands USR1 to all
ranks, they stop at the next chunk with exit code 75, and the job counts as failed. Each job of a chain waits for all
before it to fail (afternotok), so that the first that finishes cancels the rest; after a failure that no repetition
mends the others fail in the same way. A job that lost its node or was preempted is not started again under its number
(--no-requeue), the next of its chain goes on: MPICH names its shared memory after the job, and a second start on the
same node, where ranks that were killed left theirs, failed or hung when it was tried.

In   option values; the command; nothing here has passed through a shell, and all of it is quoted where one reads it.
Out  text; job numbers. InputError where a value cannot be, Slurm is not there, or refuses.

>>> from gpuhomog.jobs.options import read_values
>>> values = read_values(BATCH_OPTIONS, {"nodes": 2, "time": "01:00:00", "launcher": "srun", "mpi": "pmix"})
>>> print(script(values, ["gpuhomog", "run", "a b.toml"]), end="")
#!/bin/bash
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --time=01:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --no-requeue
export OMP_NUM_THREADS=1
exec srun --cpus-per-task=1 --wait=60 --mpi=pmix gpuhomog run 'a b.toml'
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import GpuhomogError, InputError
from .options import Option
from .parsing import Unusable, count, fitting, path, text, word

BEFORE_THE_END = 120
"""Seconds before the end of its time at which a job is told to stop; a quarter of the time if that is less."""
STRAGGLERS = 60
"""Seconds after which ranks that outlive the first to end are ended: one that was killed leaves the others waiting."""


label = fitting(
    r"[A-Za-z0-9_][A-Za-z0-9_.,+@-]{0,99}",
    "give up to 100 letters, digits and _ . , + @ -, of which the first is a letter, a digit or _",
)
"""A name that means nothing to Slurm's parser or to a shell."""
interface = fitting(r"[a-z0-9][a-z0-9_]{0,31}", 'give one that "srun --mpi=list" names, such as pmi2 or pmix')
"""Name of one of Slurm's plugins for MPI."""


def duration(raw: Any) -> str:
    """A time as hours:minutes:seconds, days before it where needed."""
    if not isinstance(raw, str) or not re.fullmatch(r"([0-9]{1,3}-)?[0-9]{1,3}:[0-5][0-9]:[0-5][0-9]", raw):
        raise Unusable('give a time as "hours:minutes:seconds", such as "02:00:00"')
    if not seconds(raw):
        raise Unusable('give a time longer than none, such as "02:00:00"')
    return raw


def seconds(time: str) -> int:
    """Length of a duration.

    >>> seconds("1-00:01:00")
    86460
    """
    days, _, rest = time.rpartition("-")
    hours, minutes, rest = rest.split(":")
    return ((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(rest)


def memory(raw: Any) -> str:
    """Bytes with a suffix; 0 is all."""
    if raw == 0 and not isinstance(raw, bool):
        return "0"
    if not isinstance(raw, str) or not re.fullmatch(r"0|[1-9][0-9]{0,8}[KMGT]", raw):
        raise Unusable("give a whole number with K, M, G or T, such as 64G, or 0 for all that a node has")
    return raw


def image(raw: Any) -> Path | str:
    """A file or folder, or where Apptainer gets an image from: docker://, oras://, library://."""
    name = text(raw)
    if "://" not in name:
        return path(raw)
    if not re.fullmatch(r"(docker|oras|library)://[A-Za-z0-9][A-Za-z0-9_./:@-]*", name):
        raise Unusable("give a file, or an address such as docker://ghcr.io/owner/image:tag")
    return name


WHAT, HOW = "What is asked for", "How ranks start"
BATCH_OPTIONS = (
    Option("nodes", count(1, 100_000), "N", "Nodes. Default: 1.", default=1, panel=WHAT),
    Option("gpus-per-node", count(0, 1000), "N", "GPUs of each node. Default: 0.", default=0, panel=WHAT),
    Option(
        "ranks-per-node",
        count(1, 10_000),
        "N",
        "Processes on each node. Default: one for each GPU, or one.",
        panel=WHAT,
    ),
    Option(
        "cpus-per-rank", count(1, 10_000), "N", "Cores, and threads, of each rank. Default: 1.", default=1, panel=WHAT
    ),
    Option(
        "memory-per-node", memory, "M", "Memory of each node, such as 64G; 0 is all. Default: the site's.", panel=WHAT
    ),
    Option(
        "time",
        duration,
        "H:MM:SS",
        "Longest run of one job, such as 02:00:00 or 1-12:00:00. Default: the site's.",
        panel=WHAT,
    ),
    Option("queue", label, "P", "Queue (Slurm: partition). Default: the site's.", panel=WHAT),
    Option("account", label, "A", "Account to charge. Default: yours.", panel=WHAT),
    Option("qos", label, "Q", "Quality of service. Default: the account's.", panel=WHAT),
    Option("name", label, "J", "Name of the job in the queue. Default: that of the job file.", panel=WHAT),
    Option(
        "chain",
        count(1, 1000),
        "N",
        "Submit N jobs, each of which goes on where the one before it ran out of time; the rest are cancelled when one "
        "finishes. Default: 1.",
        default=1,
        panel=WHAT,
    ),
    Option(
        "container",
        image,
        "IMAGE",
        "Run the gpuhomog of this Apptainer image: a file, or docker://…",
        panel=HOW,
    ),
    Option(
        "setup",
        path,
        "FILE",
        "Lines of bash to run before, such as module loads; a line that fails ends the job.",
        panel=HOW,
    ),
    Option(
        "launcher",
        word("srun", "mpiexec"),
        "L",
        "What starts the ranks: srun, or mpiexec. Default: mpiexec with MPICH from PyPI, else srun.",
        panel=HOW,
    ),
    Option(
        "mpi",
        interface,
        "TYPE",
        'How srun speaks to MPI: one of "srun --mpi=list". Default: pmi2 with MPICH from PyPI and in containers, else '
        "what the site has set.",
        panel=HOW,
    ),
    Option("system", word("slurm"), "S", "Batch system: slurm, so far.", default="slurm", panel=HOW),
)


def ranks_per_node(values: Mapping[str, Any]) -> int:
    """Processes on each node; InputError if GPUs would be shared unevenly."""
    gpus, ranks = values["gpus_per_node"], values["ranks_per_node"]
    if ranks is None:
        return gpus or 1
    if gpus and ranks % gpus:
        raise InputError(
            f"--ranks-per-node {ranks}: with {gpus} GPUs on each node some would have more ranks than others. Give a "
            "multiple of it, or leave it out for one rank on each GPU."
        )
    return ranks


def directives(values: Mapping[str, Any]) -> list[str]:
    """What is asked of Slurm, as options of sbatch."""
    time = values["time"]
    before = min(BEFORE_THE_END, seconds(time) // 4) if time else BEFORE_THE_END
    asked = {
        "job-name": values["name"],
        "nodes": values["nodes"],
        "ntasks-per-node": ranks_per_node(values),
        "cpus-per-task": values["cpus_per_rank"],
        "gres": f"gpu:{values['gpus_per_node']}" if values["gpus_per_node"] else None,
        "mem": values["memory_per_node"],
        "time": time,
        "partition": values["queue"],
        "account": values["account"],
        "qos": values["qos"],
        "signal": f"B:USR1@{max(before, 1)}",
    }
    given = [f"--{name}={value}" for name, value in asked.items() if value is not None]
    return [*given, "--no-requeue"]


def script(values: Mapping[str, Any], command: Sequence[str], mpiexec: str = "mpiexec") -> str:
    """The batch script in which every rank runs a command.

    values   of BATCH_OPTIONS; `setup`, if any, is an absolute path
    command  program and arguments; quoted here
    mpiexec  the launcher of this name
    """
    ranks, cpus = values["nodes"] * ranks_per_node(values), values["cpus_per_rank"]
    if values["launcher"] == "srun":
        launch = ["srun", f"--cpus-per-task={cpus}", f"--wait={STRAGGLERS}"]
        launch += [f"--mpi={values['mpi']}"] if values["mpi"] else []
    else:
        launch = [mpiexec, "-n", str(ranks)]
    lines = ["#!/bin/bash", *(f"#SBATCH {directive}" for directive in directives(values))]
    if values["setup"] is not None:
        lines += ["set -e", shlex.join(["source", str(values["setup"])])]
    if values["launcher"] == "mpiexec":  # its processes on the nodes are not bound to the cores of one rank
        lines += ["unset SLURM_CPUS_PER_TASK SRUN_CPUS_PER_TASK", "export SLURM_CPU_BIND=none"]
    if values["gpus_per_node"]:
        lines.append("export GPUHOMOG_DEVICE=gpu")
    lines += [f"export OMP_NUM_THREADS={cpus}", f"exec {shlex.join([*launch, *command])}"]
    return "\n".join(lines) + "\n"


def send(text: str, values: Mapping[str, Any]) -> list[str]:
    """Submit a script as a chain of jobs; their numbers, first to last.

    Raises InputError if sbatch is not there or refuses; the sentence names the jobs that were already submitted.
    """
    program = shutil.which("sbatch")
    if program is None:
        raise InputError(
            "sbatch was not found: jobs are submitted on a machine that has Slurm, such as the cluster's login node. "
            "Go there, or print the script with --dry-run."
        )
    jobs: list[str] = []
    for _ in range(values["chain"]):
        # On the command line as well: there they go before variables such as SBATCH_PARTITION.
        asked = [program, "--parsable", *directives(values)]
        if jobs:
            # After all before it: the one just before counts as failed, too, once it has been cancelled.
            asked += [f"--dependency=afternotok:{':'.join(jobs)}", "--kill-on-invalid-dep=yes"]
        answer = subprocess.run(asked, input=text.encode(), capture_output=True, check=False)
        said = " ".join(answer.stderr.decode(errors="replace").replace("sbatch: error: ", "").split())
        sent = f" Jobs already submitted: {', '.join(jobs)}." if jobs else " Nothing was submitted."
        if answer.returncode:
            raise InputError(
                f"Slurm refused the job ({said.rstrip('.')}).{sent} Change what it names, and submit again."
            )
        number = answer.stdout.decode(errors="replace").strip().partition(";")[0]
        if not number.isdigit():
            raise GpuhomogError(f'sbatch answered "{number}" where the number of the job was expected.{sent}')
        jobs.append(number)
    return jobs
