"""Measurements in a process of their own: a fault of a kernel ends CUDA there, and some faults never end.

In   measure(options, progress, began, first step), which tells `progress` what it begins and what has come;
     options.patience [s]
Out  whether everything was measured: where the process ends early, or nothing comes for so long, another one goes on
     with the next step
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from typing import Any

START = 120.0
"""Seconds that a process may take until it begins with a step."""


class Progress:
    """How far the measurements are, for the process that waits for them.

    step    number of the one begun last: a case, with --tune one of its settings
    came    when it began, or its last row came [s]
    done    True after the last one
    failed  True if something could not be measured
    """

    def __init__(self, context: Any) -> None:
        self.step, self.came = context.Value("i", -1), context.Value("d", time.monotonic())
        self.done, self.failed = context.Value("b", False), context.Value("b", False)

    def row(self) -> None:
        """A sign of life."""
        self.came.value = time.monotonic()

    def begin(self, step: int) -> None:
        """Another one."""
        self.step.value = step
        self.row()


def watch(measure: Callable[..., Any], options: Any, began: float) -> bool:
    """Run measure(options, progress, began, first step) in a process; in others where one ends early or no row comes.

    True if everything was measured.
    """
    context = multiprocessing.get_context("spawn")
    progress = Progress(context)
    while not progress.done.value:
        first = progress.step.value + 1
        progress.row()
        process = context.Process(target=measure, args=(options, progress, began, first))
        process.start()
        patience = START
        while process.is_alive() and time.monotonic() - progress.came.value < patience:
            process.join(0.2)
            patience = options.patience if progress.step.value >= first else START
        late = process.is_alive()
        process.kill()
        process.join()
        if not progress.done.value:
            progress.failed.value = True
            reason = f"no row within {patience:g} s" if late else f"the process ended, status {process.exitcode}"
            print(f"    {reason}", flush=True)
            if progress.step.value < first:  # not even the floor
                break
    return not progress.failed.value
