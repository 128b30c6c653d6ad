"""Streamed runs: tasks that share the passes over inputs larger than memory, and what is kept of them.

The tasks of a run take turns: each asks for what it needs, then the planes are read once for all of them, then each
goes on. What was found is kept in a folder beside the first output (OUT.part), and goes when the run is done; a run
that writes nothing keeps nothing. The same tasks on the same inputs go on from there by themselves.

In   tasks with the option max_memory; what to do with each.
Out  what that gave, task by task. Stopped after a signal; InputError where a kept state belongs to another run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..parallel import Comm
from ..streaming import Checkpoint, Limit, Run, identity_of, in_turns, parse_bytes, running, stopping
from .options import FRESH, JSON, MAX_MEMORY, QUIET
from .plan import least_of_run
from .task import Task, import_libraries, plain_option

T = TypeVar("T")

NO_MATTER = (FRESH.key, JSON.key, MAX_MEMORY.key, QUIET.key, "file", "files")
"""Options that may differ when a run goes on: what is computed does not depend on them."""


def is_streamed(tasks: Sequence[Task]) -> bool:
    """True if the tasks are to keep within a limit of memory."""
    return any(task.values.get(MAX_MEMORY.key) is not None for task in tasks)


def state_folder(tasks: Sequence[Task]) -> Path | None:
    """Where the state of the tasks is kept: beside their first output."""
    first = next((target for task in tasks for target in task.targets), None)
    return None if first is None else first.with_name(f"{first.name}.part")


def facts_of(tasks: Sequence[Task]) -> dict[str, Any]:
    """What must be the same for the tasks to go on."""
    sources = dict.fromkeys(source.resolve() for task in tasks for source in task.sources)
    stated = []
    for task in tasks:
        options = {key: plain_option(value) for key, value in task.values.items() if key not in NO_MATTER}
        stated.append({"command": task.command.name, "options": options})
    return {"inputs": [identity_of(source) for source in sources], "tasks": stated}


def run_streamed(
    tasks: Sequence[Task], each: Callable[[Task], T], done: Callable[[T], None], comm: Comm, fresh: bool
) -> list[T]:
    """What `each` gives for each task; `done` hears of it as soon as the task has ended."""
    import_libraries(tasks)
    given = next(task.values[MAX_MEMORY.key] for task in tasks if task.values.get(MAX_MEMORY.key) is not None)
    folder = state_folder(tasks)
    with ExitStack() as stack:
        keeper = None
        if folder is not None:
            keeper = stack.enter_context(Checkpoint(folder, facts_of(tasks), comm, fresh))
            stack.enter_context(stopping())
        limit = Limit(parse_bytes(given), whole=lambda own: least_of_run(tasks, comm.size, own))
        run = stack.enter_context(running(Run(limit, keeper, folder and folder.parent)))
        results = in_turns([partial(each, task) for task in tasks], run.answer, done)
        if keeper is not None:
            keeper.remove()
    return results
