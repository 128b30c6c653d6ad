"""Job files: several commands on one input, written down once in TOML.

    [input]                      file and how to read it (the options of a command's "Input" heading)
    [[task]]                     command, then that command's option names; a task may name its own file
    [run]                        device, dtype: for every task that does not say otherwise; max_memory
    [batch]                      options of `gpuhomog submit`; checked here, used when a job is submitted
    [plan]                       options of `gpuhomog plan`; checked here, used when a job is planned

Names in a job file start at its own folder. Everything is checked before anything is read or computed, and a file
that several tasks need is read once.

In   path of a TOML file.
Out  Job: the tasks, in order. InputError names the table, the key and the nearest known one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, met_in, nearest_known
from . import options as o
from . import parsing as p
from .commands import COMMANDS
from .machines import PLAN_OPTIONS
from .options import Option, read_values
from .slurm import BATCH_OPTIONS
from .task import Task, check_distinct, in_order, prepare

IN_JOBS = tuple(name for name, command in COMMANDS.items() if command.reads and name != "tune")
"""Commands that a task may name."""


device_name = p.fitting(r"auto|cpu|gpu(:[0-9]{1,4})?", 'choose "auto", "cpu" or "gpu:N"')
"""A device of another machine: only its name can be checked."""

RUN_OPTIONS = (o.DEVICE, o.DTYPE, o.MAX_MEMORY)
DEVICE_ELSEWHERE = replace(o.DEVICE, parse=device_name)
INPUT_OPTIONS = (Option("file", p.paths, "", "File to read."), *o.FROM_FILE)
TABLES = ("input", "task", "run", "batch", "plan")


@dataclass(frozen=True)
class Job:
    """A checked job file; batch and plan hold the values that these tables state, by Python name."""

    path: Path
    tasks: tuple[Task, ...]
    batch: dict[str, Any]
    plan: dict[str, Any]


def table(document: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    """One [table] of the document; empty if absent."""
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise InputError(f"{where}{name} must be a table: write [{name}] on a line of its own, then its keys.")
    return found


def for_machine(options: Sequence[Option], elsewhere: bool) -> tuple[Option, ...]:
    """Options as they are read for this machine, or for another, whose devices are not here to be checked."""
    return tuple(DEVICE_ELSEWHERE if elsewhere and option is o.DEVICE else option for option in options)


def read_job(path: Path, *, elsewhere: bool = False, planning: bool = False) -> Job:
    """The tasks of a job file, all checked.

    elsewhere  True: they will run on another machine, with other devices
    planning   True: they will not run, and their inputs need not exist yet
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Check the name and the folder.") from None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Check its permissions, and that it is a file."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is not a TOML file ({error}). Correct that line; a task begins with [[task]], and texts stand in "
            "quotes."
        ) from None
    where, folder = f"{path}: ", path.resolve().parent
    for name in document:
        if name not in TABLES:
            raise InputError(f'{where}unknown table "{name}": {nearest_known(name, TABLES)}')
    common = table(document, "input", where)
    read_values(INPUT_OPTIONS, common, f"{path}, [input]: ")
    run = table(document, "run", where)
    read_values(for_machine(RUN_OPTIONS, elsewhere), run, f"{path}, [run]: ")
    stated = table(document, "batch", where)
    batch = read_values(BATCH_OPTIONS, stated, f"{path}, [batch]: ")
    batch = {key: batch[key] for key in (name.replace("-", "_") for name in stated)}
    batch = {key: folder / value if isinstance(value, Path) else value for key, value in batch.items()}
    stated = table(document, "plan", where)
    plan = read_values(PLAN_OPTIONS, stated, f"{path}, [plan]: ")
    written = document.get("task", [])
    if not isinstance(written, list) or not all(isinstance(entry, dict) for entry in written):
        raise InputError(f"{where}task must be a list of tables: write [[task]] before each.")
    if not written:
        raise InputError(f"{where}holds no [[task]]: write one for each command to run.")
    tasks = tuple(
        read_task(entry, {**run, **common}, folder, f"{path}, task {n}", elsewhere, planning)
        for n, entry in enumerate(written, 1)
    )
    with met_in(where):
        check_distinct(target for task in tasks for target in task.targets)
        sources = {source.resolve() for task in tasks for source in task.sources}
        for target in (target for task in tasks for target in task.targets):
            if target.resolve() in sources:
                raise InputError(f"{target}: is the input of a task; it would be overwritten. Choose another name.")
    return Job(path, tasks, batch, plan)


def matching(path: Path) -> list[Path]:
    """The files that a name stands for: with * or ? in it those that there are, in the order of their numbers."""
    if not any(sign in path.name for sign in "*?"):
        return [path]
    return sorted(path.parent.glob(path.name), key=in_order) or [path]


def read_task(
    entry: Mapping[str, Any],
    common: Mapping[str, Any],
    folder: Path,
    where: str,
    elsewhere: bool,
    planning: bool,
) -> Task:
    """One [[task]], completed by the common reading options that its command has."""
    if "command" not in entry:
        raise InputError(f'{where}: names no command. Write command = "profile", for example.')
    name = entry["command"]
    if name not in IN_JOBS:
        raise InputError(f'{where}: unknown command "{name}": {nearest_known(str(name), IN_JOBS)}')
    command = COMMANDS[name]
    if elsewhere:
        command = replace(command, options=for_machine(command.options, elsewhere))
    where = f"{where} ({name}): "
    shared, own = (
        {key.replace("-", "_"): value for key, value in stated.items() if key not in ("command", "file")}
        for stated in (common, entry)
    )
    for key in ("json", "quiet", "fresh"):
        if key in own:
            raise InputError(f'{where}"{key}" is not a key of tasks: give --{key} to gpuhomog run.')
    if "max_memory" in own:
        raise InputError(f'{where}"max-memory" is the limit of the whole run: write it under [run].')
    known = {option.key for option in command.options}
    raw = {key: value for key, value in shared.items() if key in known} | own
    file = entry.get("file", common.get("file"))
    if file is None:
        raise InputError(f'{where}no input: write file = "CHGCAR" under [input], or in the task.')
    source = tuple(found for name in INPUT_OPTIONS[0].read(file, where) for found in matching(folder / name))
    return prepare(command, raw, file=source, folder=folder, where=where, planning=planning)
