"""Task: one command with checked options, ready to run; the one path from options to files and numbers.

    prepare(command, raw options)  → Task      everything that can be refused without computing is refused here
    Task.run(Inputs)               → dict      reads, computes, writes; ready for JSON

The command line prepares and runs one task, a job file several that share Inputs, so that a file is read once.

In   raw option values by name.
Out  a dict: command, input, options, result, outputs. Nothing is printed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from ..device import choose_device
from ..errors import InputError, met_in, nearest_known
from ..field import Field
from ..parallel import Comm, Serial, agreed
from ..readers import read
from ..results import Result, plain
from ..writers import check_output, write
from ..writers.atomic import check_target
from .options import FIELD_FILE, FIGURE_FILE, INPUT_FILE, JSON, QUIET, RESULT_FILE, Option, as_option, read_values

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")

Rows = list[tuple[str, ...]]

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What a command found.

    report    the numbers, for JSON
    tables    (title, rows of name, value, …) for people
    writes    what goes into which file
    draw      makes the figure that --plot saves
    outputs   files already written
    later     what is known only when the files are written, as they are larger than memory: the Outcome then
    """

    report: Mapping[str, Any]
    tables: Sequence[tuple[str, Sequence[tuple[str, ...]]]] = ()
    writes: Mapping[Path | None, Field | Result] = dataclass_field(default_factory=dict)
    draw: Callable[[], Any] | None = None
    outputs: tuple[Path, ...] = ()
    later: Callable[[], Outcome] | None = None


@dataclass(frozen=True)
class Command:
    """One command: its words for people, its options, what it does.

    name     as typed
    summary  one sentence
    text     what it does and when to use it, paragraphs
    examples lines that work
    options  in the order of the help
    run      (Inputs, values) → Outcome
    check    refuses option values that cannot go together; nothing is read yet
    reads    True if it takes an input file
    argument what stands for the input in the help
    alone    True if the first of several ranks runs it for all
    series   True if the input may be several files, one after another in time
    python   calls that do the same in a script, as messages name them (wording.py)
    """

    name: str
    summary: str
    text: str
    examples: tuple[str, ...]
    options: tuple[Option, ...]
    run: Callable[[Inputs, dict[str, Any]], Outcome]
    check: Callable[[dict[str, Any]], None] = lambda values: None
    reads: bool = True
    argument: str = "FILE"
    alone: bool = False
    python: tuple[str, ...] = ()
    series: bool = False

    def files(self, values: Mapping[str, Any], *kinds: str) -> list[tuple[Option, Path]]:
        """The files of these kinds that its options name, option by option."""
        named = [(option, values.get(option.key)) for option in self.options if option.names in kinds]
        return [(option, file) for option, name in named if name is not None for file in option.files(name)]


RUN_WIDE = ("max_memory", "reproducible")
"""Options of reading that hold for all tasks of a run."""


class Inputs:
    """Fields by file and reading options: each is read once, however many tasks use it.

    comm  ranks that share every field
    """

    def __init__(self, comm: Comm | None = None) -> None:
        self.comm: Comm = comm or Serial()
        self._fields: dict[tuple[Any, ...], Field] = {}

    def first(self, work: Callable[[], T]) -> T | None:
        """What the first rank finds for all, None on the others; if it fails, it fails for all."""
        with agreed(self.comm):
            found = work() if self.comm.rank == 0 else None
        return found

    def field(self, values: Mapping[str, Any]) -> Field:
        """The field of a task's input file, read as its options say."""
        names = ("quantity", "unit", "boundary", "kind", "block", "frame", "dtype", "device", *RUN_WIDE)
        options: dict[str, Any] = {name: values[name] for name in names if values.get(name) is not None}
        key = (str(values["file"].resolve()), *(f"{name}={value}" for name, value in options.items()))
        choose_device(options.get("device", "auto"))  # tasks may run in threads, and each has to be told its GPU
        if key not in self._fields:
            self._fields[key] = read(values["file"], comm=self.comm, **options)
        return self._fields[key]

    def beside(self, values: Mapping[str, Any], file: Path, **more: Any) -> Field:
        """The field of another file that a task needs, read by the options that hold for all of its files."""
        same = {name: values[name] for name in ("boundary", "dtype", "device", *RUN_WIDE)}
        return self.field({"file": file, **same, **more})

    def passing(self, values: Mapping[str, Any]) -> Field:
        """The same, of a file that is looked at once: it is not kept."""
        return Inputs(self.comm).field(values)


@dataclass(frozen=True)
class Task:
    """A command and its checked option values."""

    command: Command
    values: dict[str, Any]

    @property
    def words(self) -> dict[str, str]:
        """Its options as they were understood, except what says how to print."""
        silent = (JSON.key, QUIET.key)
        return {
            key if key in ("file", "files") else as_option(key): str(plain_option(value))
            for key, value in self.values.items()
            if key not in silent
        }

    @property
    def targets(self) -> list[Path]:
        """Files it will write."""
        return [file for _, file in self.command.files(self.values, FIELD_FILE, RESULT_FILE, FIGURE_FILE)]

    @property
    def sources(self) -> list[Path]:
        """Files it will read: the input, and those that options name."""
        own = [self.values["file"]] if self.values.get("file") is not None else []
        return list(self.values.get("files", own)) + [file for _, file in self.command.files(self.values, INPUT_FILE)]

    def run(self, inputs: Inputs) -> tuple[Outcome, dict[str, Any]]:
        """Compute, write, and tell: the Outcome, and its dict for JSON."""
        outcome = self.command.run(inputs, self.values)
        outputs = list(outcome.outputs)
        for path, writable in outcome.writes.items():
            if path is None:
                continue
            if isinstance(writable, Field):
                outputs.append(write(writable, path))
            else:
                inputs.first(partial(write, writable, path))
                outputs.append(path)
        if outcome.later is not None:
            outcome = outcome.later()
        figure: Path | None = self.values.get("plot")
        if figure is not None and outcome.draw is not None:
            inputs.first(partial(save, outcome.draw, figure))
            outputs.append(figure)
        given = {
            option.name: plain_option(self.values[option.key])
            for option in self.command.options
            if self.values.get(option.key) is not None
            and option.names in ("", INPUT_FILE)
            and option not in (JSON, QUIET)
        }
        report: dict[str, Any] = {"command": self.command.name}
        if self.command.reads:
            files = [str(file) for file in self.values.get("files", (self.values["file"],))]
            report["input"] = files if self.command.series else files[0]
        report |= {"options": given, "result": plain(outcome.report), "outputs": [str(path) for path in outputs]}
        return outcome, report


def save(draw: Callable[[], Any], path: Path) -> None:
    """A figure as a file."""
    from ..plots import save_figure

    save_figure(draw(), path)


def in_order(path: Path) -> list[tuple[int, str]]:
    """What names are sorted by, numbers in them as numbers.

    >>> [path.name for path in sorted(map(Path, ("rho_10.h5", "rho_9.h5")), key=in_order)]
    ['rho_9.h5', 'rho_10.h5']
    """
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.name)]


def plain_option(value: Any) -> Any:
    """An option's value for JSON."""
    if isinstance(value, tuple) and value and all(isinstance(one, Path) for one in value):
        return [str(one) for one in value]
    return str(value) if isinstance(value, Path) else plain(value)


def prepare(
    command: Command,
    raw: Mapping[str, Any],
    *,
    file: Path | Sequence[Path] | None = None,
    folder: Path | None = None,
    where: str = "",
    planning: bool = False,
) -> Task:
    """A Task of raw option values, refused now if anything about it can be known to be wrong.

    file      the input file, for a command that reads one; several for a command of a series
    folder    where relative output names start (a job file's folder); default: the current one
    where     beginning of error messages ("job.toml, task 2 (average): "), empty on the command line
    planning  True: nothing will be read, and the input need not exist yet
    """
    values = read_values(command.options, raw, where)
    for option in command.options:
        if option.names and values[option.key] is not None and folder is not None:
            named = values[option.key]
            values[option.key] = tuple(folder / name for name in named) if isinstance(named, tuple) else folder / named
    if command.reads:
        if file is None:
            raise InputError(f"{where}no input: name the file to read.")
        files = (file,) if isinstance(file, Path) else tuple(file)
        values["file"] = files[0]
        if command.series:
            values["files"] = files
        elif len(files) > 1:
            raise InputError(f"{where}{len(files)} input files: {command.name} reads one. Name a task for each.")
    task = Task(command, values)
    inputs = task.sources
    for source in inputs:
        if not source.exists() and not planning:
            raise InputError(f"{where}{source}: no such file. Check the name and the folder.")
    with met_in(where):
        command.check(values)
        for option, target in command.files(values, FIELD_FILE, RESULT_FILE):
            check_output(target, result=option.names == RESULT_FILE, inputs=inputs)
        for _, target in command.files(values, FIGURE_FILE):
            check_figure(target)
            check_target(target, inputs)
        check_distinct(task.targets)
    return task


def import_libraries(tasks: Sequence[Task]) -> None:
    """Import now what writing will need: its memory is then there when what is left is shared out."""
    suffixes = {suffix for task in tasks for path in (*task.targets, *task.sources) for suffix in path.suffixes}
    modules = {"scipy.fft": True, "h5py": bool(suffixes & {".h5", ".hdf5"}), "zarr": ".zarr" in suffixes}
    modules["gpuhomog.plots"] = bool(suffixes & set(FIGURE_SUFFIXES))
    for module, is_needed in modules.items():
        if is_needed:
            import_module(module)


def check_distinct(targets: Iterable[Path]) -> None:
    """Raise InputError if two outputs have one name."""
    seen: set[Path] = set()
    for target in targets:
        if target.resolve() in seen:
            raise InputError(f"{target}: two outputs have this name. Give each its own.")
        seen.add(target.resolve())


def check_figure(target: Path) -> None:
    """Raise InputError if a figure's suffix is not among the known ones."""
    if target.suffix.lower() not in FIGURE_SUFFIXES:
        hint = nearest_known(target.suffix.lower(), FIGURE_SUFFIXES)
        found = f'figures are not written as "{target.suffix}"' if target.suffix else "the name has no suffix"
        raise InputError(f"{target}: {found}; {hint}")
