"""Command line: arguments → tasks of `jobs`; numbers, warnings and errors → the terminal.

    stdout   tables for people, or with --json one JSON object, for errors too: {"error": …}
    stderr   everything else: warnings, errors, progress bars (on a terminal only)
    exit     0 done, 1 internal error, 2 input that cannot be right (one sentence, nothing written), 130 Ctrl-C,
             75 stopped by a signal where the same command goes on (--max-memory)

Under mpiexec or srun every rank runs the same command on its own part of the field; the first one talks, and all end
with one exit code.

The commands and their options are made from the table `jobs.COMMANDS`; there is no other list of them. The options of
one are put together when it is used.
"""

from __future__ import annotations

import codecs
import inspect
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from threading import Lock, Timer
from time import monotonic
from typing import Annotated, Any, TypeVar
from unicodedata import combining, name, normalize

import numpy as np
import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from . import __version__, _starting, progress
from .errors import AccuracyWarning, GpuhomogError, InputError, Stopped
from .jobs import (
    BATCH_OPTIONS,
    COMMANDS,
    FAMILIES,
    PLAN_OPTIONS,
    Command,
    Inputs,
    Outcome,
    Task,
    plan,
    prepare,
    read_job,
    submit,
)
from .jobs.options import COMMANDS_OF_OTHERS, DRY_RUN, FRESH, GENERAL, JSON, QUIET, Option, renamed
from .jobs.streamed import is_streamed, run_streamed
from .jobs.wording import as_typed
from .parallel import Comm, agree_on, agreed, launched_rank, world

UsageError: Any = typer.BadParameter.__mro__[1]  # Click's, wherever this version of Typer keeps it
SLOW = 1.0  # seconds before a progress bar appears

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended
GOES_ON = 75  # that of a temporary failure (sysexits.h): run it again

PROGRAM = "gpuhomog"
INDENT = 4 * " "  # of what a name goes on with
GAP = 2  # characters between the columns of a table
SHORT = 10  # characters of cells that are kept on one line: a number is not read across two
WORD = re.compile(r"\S+(?: ± \S+)?")  # and is not parted from its uncertainty
NUMBER = re.compile(r"\S*\d\S*")  # and is kept whole on terminals that are narrower than it

T = TypeVar("T")


SIGNS = {"±": "+-", "×": "x", "−": "-", "→": "->", "∞": "infinite"}
"""What stands for signs that a terminal's encoding lacks and that are no letters."""


def spelled_out(error: UnicodeError) -> tuple[str, int]:
    """Handler of characters that the encoding of a stream lacks: what they are called, or look like.

    >>> "σ = 0 ± 2 e/Å²".encode("ascii", PROGRAM).decode()
    'sigma = 0 +- 2 e/A2'
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = ""
    for sign in error.object[error.start : error.end]:
        plain = SIGNS.get(sign) or normalize("NFKD", sign).encode("ascii", "ignore").decode()
        called = name(sign, "").lower().split()
        text += plain or (called[-1] if called[:1] == ["greek"] else "" if combining(sign) else "?")
    return text, error.end


codecs.register_error(PROGRAM, spelled_out)


def open_streams() -> None:
    """Both streams can be written to, whatever their encoding, and where they are closed."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started the program
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(getattr(sys, stream), "reconfigure"):
            getattr(sys, stream).reconfigure(errors=PROGRAM)


def say(sentence: str) -> None:
    """One line on standard error, by the first rank."""
    line = " ".join(str(sentence).split())
    if launched_rank() == 0:
        print(f"{PROGRAM}: {line}", file=sys.stderr, flush=True)


def give_json(report: Mapping[str, Any]) -> None:
    """The one JSON object, by the first rank."""
    if launched_rank() == 0:
        has_all = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
        print(json.dumps(report, ensure_ascii=not has_all, allow_nan=False))


PAGES = Path(__file__).parent / "pages"


def pages_of(command: str) -> list[Path]:
    """The worked pages on which a command is used, most often first; what others call it last.

    >>> [page.name for page in pages_of("surface")][0], pages_of("devices")
    ('surfaces.md', [])
    """
    used = re.compile(rf"gpuhomog {re.escape(command)}(?![\w-])")
    times = {page: len(used.findall(page.read_text(encoding="utf-8"))) for page in sorted(PAGES.glob("[a-z]*.md"))}
    return sorted((page for page in times if times[page]), key=lambda page: ("other-tools" in page.stem, -times[page]))


class PlainHelp:
    """Help without the types of flags, with the epilogue (examples) line by line as written, and the worked pages."""

    epilog: str | None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        examples, self.epilog = self.epilog, None
        super().format_help(ctx, formatter)  # type: ignore[misc]
        self.epilog = examples
        print(examples or "")
        if pages := pages_of(ctx.info_name or ""):
            print("\n".join([" How to read what comes out", "", *(f"   {page}" for page in pages), ""]))

    def get_help_option(self, ctx: Any) -> Any:
        """Option --help."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.metavar = " "
            if isinstance(self, TyperCommand):
                option.rich_help_panel = GENERAL
        return option


class PlainCommand(PlainHelp, TyperCommand):
    """A command with plain help, whose options are given once: of two values none is silently left aside."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, following in pairwise(sorted(given, key=lambda parameter: parameter.name or "")):
            if option is following and not getattr(option, "is_flag", False):
                raise UsageError(f"{max(option.opts, key=len)} is given twice: give it once", ctx)
        return super().parse_args(ctx, args)


class OneSentence(PlainHelp, TyperGroup):
    """A group whose every failure is one sentence, an exit code and, with --json, one object."""

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run and exit."""
        given = list(sys.argv[1:] if args is None else args) or ["--help"]
        open_streams()
        if launched_rank() > 0:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  the first rank talks
        extra["standalone_mode"] = False
        extra["prog_name"] = PROGRAM
        try:
            _starting.begin()
            code = super().main(args=given, **extra)
        except Exception as error:
            code = fail(error, "--json" in given)
        except KeyboardInterrupt:
            code = INTERRUPTED
        _starting.end()
        if code == INTERRUPTED:
            say("interrupted; no half-written file is left.")
        sys.exit(end_together(code or 0))


def fail(error: Exception, as_json: bool) -> int:
    """Say what is wrong; the exit code."""
    code = 2
    if isinstance(error, UsageError):
        sentence = usage(error)
    elif isinstance(error, GpuhomogError):
        sentence = as_typed(str(error))
        code = 2 if isinstance(error, InputError) else GOES_ON if isinstance(error, Stopped) else 1
    elif isinstance(error, typer.Abort):
        return INTERRUPTED
    elif isinstance(error, BrokenPipeError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  nobody listens any more
        return 1
    elif isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        sentence = f"{name}{error.strerror or error}. Check the name, the folder and its permissions."
    elif isinstance(error, MemoryError):
        told = f" ({str(error).rstrip('.')})" if str(error) else ""  # how many bytes
        if type(error).__name__ == "OutOfMemoryError":  # CuPy's
            where, larger = " on the GPU", "use --device cpu, a GPU with more memory, or more ranks"
        else:
            where, larger = "", "use a larger machine, or more ranks"
        sentence, code = f"not enough memory{where} for this grid{told}: read it with --dtype float32, or {larger}.", 1
    elif os.environ.get("GPUHOMOG_DEBUG"):
        raise error
    else:
        kind = type(error).__name__
        sentence = f"internal error, {kind}: {error}. Please report it, with what GPUHOMOG_DEBUG=1 prints in addition."
        code = 1
    sentence = " ".join(sentence.split())
    sentence += "" if sentence[-1] in ".?" else "."
    say(sentence)
    _last_words.append(sentence)
    if as_json:
        with suppress(OSError):  # standard output may be what failed
            give_json({"error": sentence, "exit_code": code})
    return code


def end_together(code: int) -> int:
    """The exit code of all ranks, once all have ended; ranks that wait for one that failed are ended.

    What went wrong on another rank than the first is said there.
    """
    try:
        ranks = world()
    except GpuhomogError:
        return code  # which is what has been said
    codes = ranks.finish(code)
    if ranks.rank == next((rank for rank, other in enumerate(codes) if other > 0), None) and ranks.rank > 0:
        print(f"{PROGRAM}: rank {ranks.rank} of {ranks.size}: {_last_words[-1]}", file=sys.stderr, flush=True)
    if -1 in codes:
        ranks.abort(code)
    return max(codes)


_last_words: list[str] = [""]
"""What this rank had to say when it failed."""


def usage(error: Any) -> str:
    """What is wrong with what was typed: where, what, and what was meant or where to look."""
    kind, context = type(error).__name__, getattr(error, "ctx", None)
    command = getattr(context, "info_name", None) or PROGRAM
    command = command if command == PROGRAM else f"{PROGRAM} {command}"
    see = f'"{command} --help" lists what there is'
    if kind == "NoSuchOption" and context is not None:
        name = error.option_name
        known = [option for parameter in context.command.params for option in parameter.opts if option[:2] == "--"]
        now = renamed(name.lstrip("-"), [option[2:] for option in known])
        close = get_close_matches(name.lstrip("-"), [option[2:] for option in known], n=1)
        hint = f"it is called --{now}." if now else f"did you mean --{close[0]}?" if close else f"{see}."
        return f"{name}: {command} has no such option; {hint}"
    if kind == "BadOptionUsage":
        return f"{error.option_name}: its value is missing; write it after the option."
    if kind == "MissingParameter" and error.param is not None:
        return f"{command}: name the {error.param.metavar or error.param.name} to read; {see}."
    sentence = " ".join(error.format_message().split())
    if more := re.match(r"Got unexpected extra argument\S* \((.+)\)", sentence):
        return f"{more[1]}: not expected here; several values of one option are joined by commas, and {see}."
    if unknown := re.match(r"No such command ['\"](.+?)['\"]\.", sentence):
        if now := COMMANDS_OF_OTHERS.get(unknown[1].lower().replace("_", "-")):
            return f'"{unknown[1]}": no such command; it is called "{now}".'
        close = get_close_matches(unknown[1], ENTRIES, n=1)
        return f'"{unknown[1]}": no such command; ' + (f'did you mean "{close[0]}"?' if close else f"{see}.")
    return f"{sentence.rstrip('.')}; {see}."


_found: ContextVar[list[str]] = ContextVar("gpuhomog_warnings")


@contextmanager
def collected(found: list[str]) -> Iterator[None]:
    """Gather warnings as sentences, each once, and show each as one line on standard error.

    Tasks that take turns inside the block gather their own: each has a context of its own, in which it sets _found.
    """

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        sentence = as_typed(" ".join(str(message).split()))
        if issubclass(category, DeprecationWarning | PendingDeprecationWarning | ResourceWarning):
            return
        if not issubclass(category, AccuracyWarning | UserWarning):
            sentence = f"{category.__name__}: {sentence}"
        if sentence not in _found.get():
            _found.get().append(sentence)
            say(f"warning: {sentence}")

    token = _found.set(found)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = show
            yield
    finally:
        _found.reset(token)


def everyones(ranks: Comm, found: list[str]) -> list[str]:
    """The warnings of all ranks, each once; those that other ranks than the first found are shown there. Collective."""
    first, *others = ranks.gather(found)
    told, known = list(first), set(first)
    for rank, theirs in enumerate(others, 1):
        for sentence in theirs:
            if sentence not in known:
                known.add(sentence)
                told.append(f"rank {rank} of {ranks.size}: {sentence}")
                say(f"warning: {told[-1]}")
    return told


class Bars:
    """Progress on standard error from the second second on: one line for the command, one for each task of it."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started: dict[str, float] = {}
        self._bars: dict[str, Any] = {}
        self._progress: Any = None
        self._lock = Lock()
        self._timer = Timer(SLOW, self.begin)
        self._timer.daemon = True

    def begin(self) -> None:
        """Show that the command is at work, however much there is of it."""
        self.screen().add_task(self._label, total=None)

    def __call__(self, label: str, done: int, total: int) -> None:
        """Listen to one report."""
        if done == 0 or label not in self._started:
            self._started[label] = monotonic()
        if done >= total:
            self._started.pop(label, None)
            bar = self._bars.pop(label, None)
            if bar is not None:
                self.screen().remove_task(bar)
            return
        if label not in self._bars and monotonic() - self._started[label] > SLOW:
            self._bars[label] = self.screen().add_task(label, total=total)
        if label in self._bars:
            self.screen().update(self._bars[label], completed=done)

    def screen(self) -> Any:
        """Rich's display, made when first needed."""
        with self._lock:
            if self._progress is None:
                from rich.console import Console
                from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

                columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
                self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
                self._progress.start()
            return self._progress

    def __enter__(self) -> Bars:
        self._timer.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def bars(label: str, wanted: bool) -> Iterator[None]:
    """Show progress inside the block, if wanted and somebody can see it."""
    if not wanted or launched_rank() != 0 or not sys.stderr.isatty():
        yield
        return
    with Bars(label) as listener, progress.listen(listener):
        yield


def column_widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Widths of the columns of a table: the widest are narrowed first, until it fits.

    Short columns are left as they are, and the first one if possible. The others keep their longest word whole; where
    there is no room for that their longest number, whatever the room.

    >>> column_widths([["a"], ["an arbitrary word"], ["0.25 ± 0.01"]], 26)
    [1, 10, 11]
    """
    from rich.cells import cell_len

    widths = [max(map(cell_len, cells)) for cells in columns]
    room -= GAP * (len(columns) - 1)
    for whole, n_whole in ((WORD, 1), (WORD, 0), (NUMBER, 1)):
        longest = [max(cell_len(part) for cell in cells for part in ("", *whole.findall(cell))) for cells in columns]
        longest[:1] = [max(0, *longest[:1]) + len(INDENT)]
        least = [
            width if number < n_whole or width <= SHORT else min(width, part)
            for number, (width, part) in enumerate(zip(widths, longest, strict=True))
        ]
        if sum(least) <= room:
            break
    while sum(widths) > room and widths != least:
        widest = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def told_once(text: str, reasons: list[str]) -> str:
    """What a table says; the reason why something is not defined is not told twice running.

    >>> reasons: list[str] = []
    >>> [told_once(text, reasons) for text in ("not defined (no vacuum)", "3 V", "not defined (no vacuum)")]
    ['not defined (no vacuum)', '3 V', 'not defined (as above)']
    """
    if [text] == reasons[-1:]:
        return "not defined (as above)"
    if text.startswith("not defined ("):
        reasons.append(text)
    return text


def show(outcome: Outcome, report: Mapping[str, Any]) -> None:
    """Tables for people, then the files written, by the first rank."""
    if launched_rank() != 0:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    reasons: list[str] = []
    for title, rows in outcome.tables:
        if title:
            console.print(Text(title, style="bold"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
        lines = [(f"  {row[0]}", *(told_once(text, reasons) for text in row[1:])) for row in rows]
        columns = [[line[i] for line in lines if i < len(line)] for i in range(len(lines[0]) if lines else 0)]
        widths = column_widths(columns, console.width)
        for number, width in enumerate(widths):
            table.add_column(width=width, overflow="fold", style="" if number else "cyan")
        for label, *cells in lines:
            table.add_row(Text(fill(label, widths[0], subsequent_indent=INDENT)), *map(Text, cells))
        least = sum(widths) + GAP * len(widths)
        (console if console.width >= least else Console(highlight=False, width=least)).print(table)
    for path in report["outputs"]:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)


Told = tuple[Outcome, dict[str, Any]]
"""Outcome and report of a task."""


def run_tasks(tasks: Sequence[Task], as_json: bool, quiet: bool, fresh: bool) -> list[dict[str, Any]]:
    """Run tasks on shared inputs, showing each when it is done; their reports, warnings included.

    Tasks that keep within a limit of memory share the passes over their inputs.
    """
    ranks = world()
    several = len(tasks) > 1
    agree_on(ranks, {"the list of commands": ", ".join(task.command.name for task in tasks)}, "run")
    for number, task in enumerate(tasks, 1):
        agree_on(
            ranks, task.words, f"run task {number} ({task.command.name})" if several else f"run {task.command.name}"
        )
    inputs = Inputs(ranks)

    def run(task: Task) -> Told | None:
        found: list[str] = []
        _found.set(found)  # in this task's own context, if it takes turns
        told = run_task(task, inputs)
        if told is not None:
            told[1]["warnings"] = found if task.command.alone else everyones(ranks, found)
        return told

    def done(told: Told | None) -> None:
        if told is not None and not (as_json or quiet):
            show(*told)

    everything = []
    with collected([]):
        if is_streamed(tasks):
            with bars("run" if several else tasks[0].command.name, not quiet):
                everything = run_streamed(tasks, run, done, ranks, fresh)
        else:
            for task in tasks:
                with bars(task.command.name, not quiet):
                    everything.append(run(task))
                done(everything[-1])
    return [told[1] for told in everything if told is not None]


def run_task(task: Task, inputs: Inputs) -> Told | None:
    """Run one task; None where the first of several ranks runs it for all, and this is another."""
    return inputs.first(lambda: task.run(Inputs())) if task.command.alone else task.run(inputs)


def run_command(command: Command, given: dict[str, Any]) -> None:
    """One command, as typed."""
    file = given.pop("file", None)
    as_json, quiet = bool(given.get("json")), bool(given.get("quiet"))
    found: list[str] = []
    with collected(found):
        task = on_every_rank(lambda: prepare(command, given, file=file))
    found = everyones(world(), found)
    for report in run_tasks([task], as_json, quiet, bool(given.get("fresh"))):
        report["warnings"] = [*found, *report["warnings"]]
        if as_json:
            give_json({**report, "version": __version__})


def on_every_rank(prepared: Callable[[], T]) -> T:
    """What a check that every rank makes gives; if one rank refuses, all do."""
    with agreed(world()):
        result = prepared()
    return result


def run_job(given: dict[str, Any]) -> None:
    """A job file: check all of it, then run its tasks in order."""
    job = on_every_rank(lambda: read_job(given["file"]))
    as_json, quiet = bool(given["json"]), bool(given["quiet"])
    if job.batch and not quiet and "SLURM_JOB_ID" not in os.environ:
        say(f"[batch] of {job.path} is for submitted jobs; running here.")
    reports = run_tasks(job.tasks, as_json, quiet, bool(given["fresh"]))
    if as_json:
        give_json({"command": "run", "job": str(job.path), "tasks": reports, "version": __version__})


def submit_job(given: dict[str, Any]) -> None:
    """A job file: check all of it, then let the batch system run it."""
    file, as_json, dry_run = given["file"], bool(given["json"]), bool(given["dry_run"])
    submission = submit(file, given, dry_run=dry_run)
    if as_json:
        report = {"command": "submit", "job": str(file), "job_ids": submission.jobs, "chain": submission.chain}
        give_json({**report, "dry_run": dry_run, "script": submission.script, "version": __version__})
    elif dry_run:
        print(submission.script, end="")
    else:
        first, *rest = submission.jobs
        print(f"submitted job {first}; what it prints goes to slurm-{first}.out")
        if rest:
            print(f"then, if it does not finish, one after another: {', '.join(rest)}")
        print(f"to cancel: scancel {' '.join(submission.jobs)}")


def plan_job(given: dict[str, Any]) -> None:
    """A job file: what it will need, from headers alone."""
    options = {
        option.key: None if given[option.key] is None else option.read(given[option.key]) for option in PLAN_OPTIONS
    }
    found: list[str] = []
    with collected(found):
        outcome = plan(read_job(given["file"], elsewhere=True, planning=True), options)
    if given["json"]:
        give_json({"command": "plan", **outcome.report, "warnings": found, "version": __version__})
    else:
        show(outcome, {"outputs": ()})


def words_of(option: Option) -> str:
    """What the help of a command says of an option, for Rich: with its default, and whether it must be given."""
    text, default = option.told, option.default
    if default is not None and default is not False and "efault" not in text:
        shown = default if isinstance(default, str) else ",".join(f"{x:g}" for x in np.atleast_1d(default))
        text = f"{text} Default: {shown}."
    text = text.replace("[", r"\[")  # or Rich takes it for a style
    return f"{text} Required." if option.required and not option.is_flag else text


def completion(words: Sequence[str]) -> Callable[[str], list[str]]:
    """What begins so, among some words, for the shell to complete."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


@dataclass(frozen=True)
class Entry:
    """What can be typed after the program's name.

    panel     heading under which the list of commands has it
    run       takes what was typed, by Python name
    argument  what stands for its input in the help; None: it has none
    several   True if the input may be several files
    """

    name: str
    panel: str
    summary: str
    text: str
    examples: Sequence[str]
    options: Sequence[Option]
    run: Callable[[dict[str, Any]], None]
    argument: str | None = None
    several: bool = False

    def add_to(self, app: typer.Typer, cls: type[TyperCommand], function: Callable[..., None]) -> None:
        """Make it a command of that kind, which calls the function."""
        told = help_of(self.summary, self.text, self.examples)
        app.command(self.name, cls=cls, rich_help_panel=self.panel, **told)(function)

    def function(self) -> Callable[..., None]:
        """A function whose signature is the options, for Typer to read."""
        parameters: list[tuple[str, Any, Any]] = []
        if self.argument is not None:
            told = "Files to read, in order." if self.several else "File to read."
            argument = typer.Argument(..., metavar=self.argument, help=told, show_default=False, readable=False)
            parameters.append(("file", list[Path] if self.several else Path, argument))  # readers say why not readable
        for option in self.options:
            names = [f"--{option.name}", *([f"-{option.short}"] if option.short else [])]
            more: dict[str, Any] = {"help": words_of(option), "rich_help_panel": option.panel, "show_default": False}
            if option.is_flag:
                parameters.append((option.key, bool, typer.Option(False, *names, metavar=" ", **more)))
            else:
                more |= {"metavar": option.metavar, "autocompletion": completion(option.words)}
                parameters.append((option.key, str | None, typer.Option(None, *names, **more)))

        def typed(**given: Any) -> None:
            self.run(given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        typed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(name, keyword, default=told, annotation=kind) for name, kind, told in parameters]
        )
        return typed


class Listed(TyperCommand):
    """A command as the list of commands has it; its options are put together when it is used."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the whole command."""
        app, entry = typer.Typer(add_completion=False, rich_markup_mode="rich"), ENTRIES[self.name or ""]
        entry.add_to(app, PlainCommand, entry.function())
        return typer.main.get_command(app).make_context(info_name, args, parent, **extra)


def help_of(summary: str, text: str, examples: Sequence[str]) -> dict[str, Any]:
    """Help and epilogue of a command."""
    return {
        "help": f"{summary}\n\n{text}".strip(),
        "short_help": summary,
        "epilog": "\n".join([" Examples", "", *(f"   {example}" for example in examples), ""]),
    }


def version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit()


def root(
    version: Annotated[
        bool, typer.Option("--version", metavar=" ", help="Print the version and end.", callback=version, is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself."""


JOB_EXAMPLE = """\
[input]
file = "LOCPOT"
[[task]]
command = "profile"
axis = "c"
output = "profile.csv"
[[task]]
command = "average"
kernel = "gaussian"
eps = 6
output = "smooth.h5"
"""

OF_JOBS = (
    Entry(
        "run",
        "Jobs",
        "Run the tasks of a job file: several commands on one input, written down once.",
        "A job file has the tables \\[input] (file, quantity, boundary, …), one \\[\\[task]] for each command "
        '(command = "profile", then its options by the names they have here), \\[run] (device, dtype) and \\[batch]. '
        "Everything is checked before anything is computed; names start at the job file's folder.",
        (f"{PROGRAM} run job.toml", "", "where job.toml holds", *JOB_EXAMPLE.splitlines()),
        (FRESH, JSON, QUIET),
        run_job,
        "JOB",
    ),
    Entry(
        "submit",
        "Jobs",
        "Submit a job file to Slurm: the same tasks, on many ranks, nodes or GPUs.",
        "The job file is checked now as run checks it, so that a job which cannot run is refused before it waits. What "
        "is not typed here comes from \\[batch] of the job file, whose keys are these options. Each rank takes one GPU "
        "where there are any. Two minutes before its time is over a job stops where the next one of its chain goes on. "
        "What has no option here goes by Slurm's variables (SBATCH_CONSTRAINT, …), or into the script of --dry-run.",
        (
            f"{PROGRAM} submit job.toml --nodes 4 --gpus-per-node 4 --time 02:00:00 --account physics",
            f"{PROGRAM} submit job.toml --ranks-per-node 64 --time 24:00:00 --chain 5",
            f"{PROGRAM} submit job.toml --gpus-per-node 1 --container gpuhomog.sif --dry-run",
        ),
        (*BATCH_OPTIONS, DRY_RUN, JSON),
        submit_job,
        "JOB",
    ),
    Entry(
        "plan",
        "Jobs",
        "Plan a job file: memory, bytes moved and sent, expected time on N GPUs, and what limits it.",
        "Only headers are read. A file that does not exist yet is planned from --shape and --cell, or from \\[plan] of "
        "the job file, whose keys are these options. If a GPU has too little memory the fewest that have enough are "
        "named, and whether --max-memory would do. All times are expected ones, of the assumptions printed below them, "
        "not measured.",
        (
            f"{PROGRAM} plan job.toml --gpus 8",
            f"{PROGRAM} plan job.toml --gpus 4096 --machine h200 --shape 16384 --storage 500 --json",
            f"{PROGRAM} plan job.toml --gpus 64 --machine cpu --bandwidth 10 --memory 4 --network 1",
        ),
        (*PLAN_OPTIONS, JSON),
        plan_job,
        "JOB",
    ),
)


def entry_of(command: Command, panel: str) -> Entry:
    """A command of the table."""
    return Entry(
        command.name,
        panel,
        command.summary,
        command.text,
        command.examples,
        command.options,
        partial(run_command, command),
        command.argument if command.reads else None,
        command.series,
    )


ENTRIES = {name: entry_of(COMMANDS[name], panel) for panel, names in FAMILIES.items() for name in names}
ENTRIES |= {entry.name: entry for entry in OF_JOBS}


def build() -> typer.Typer:
    """The application: options of the program, and the list of commands."""
    app = typer.Typer(
        cls=OneSentence,
        name=PROGRAM,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    summary = "From the microscopic fields of a DFT calculation to macroscopic fields, profiles and surface charges."
    text = (
        "Lengths are in Å, charges in e, potentials in V. Every command prints a short table, or with --json one JSON "
        f'object; "{PROGRAM} COMMAND --help" explains it with examples. '
        f"Worked pages, with the equations and how to read what comes out: {PAGES}"
    )
    app.callback(**help_of(summary, text, ("gpuhomog demo",)))(root)
    for entry in ENTRIES.values():
        entry.add_to(app, Listed, lambda: None)
    return app


app = build()


def main() -> None:
    """Entry point of the `gpuhomog` program."""
    app()
