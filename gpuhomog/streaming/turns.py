"""Turns: several pieces of work that wait for one another's needs, of which exactly one runs at any time.

Each runs in a thread and context of its own, on the GPU of whoever asks for all, until it ends or pauses (`pause`,
called from deep inside it). When all have paused or ended, `between` does what they wait for, once for all, and they go
on in their order. Nothing runs at the same time as anything else, so the work need not know of threads.

In   functions without arguments.
Out  what each returns. The first error, of a function or of `between`, ends all the others.

>>> order = []
>>> def work(name):
...     order.append(name + " asks")
...     pause()
...     order.append(name + " goes on")
>>> in_turns([lambda: work("a"), lambda: work("b")], lambda: order.append("answer"))
[None, None]
>>> order
['a asks', 'b asks', 'answer', 'a goes on', 'b goes on']
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from ..device import same_gpu

T = TypeVar("T")


class _Abandoned(BaseException):
    """Ends a function whose fellow has failed."""


class _Worker:
    def __init__(self, work: Callable[[], Any]) -> None:
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._abandoned = self.ended = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._use_gpu = same_gpu()
        self._thread = threading.Thread(target=copy_context().run, args=(self._run, work), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        _here.set(self)
        self._turn.acquire()
        try:
            self._use_gpu()
            if not self._abandoned:
                self.result = work()
        except BaseException as error:
            self.error = error
        self.ended = True
        self._back.release()

    def give_turn(self) -> None:
        """Let it run until it pauses or ends."""
        self._turn.release()
        self._back.acquire()
        if self.ended:
            self._thread.join()

    def pause(self) -> None:
        """Called by the work itself."""
        self._back.release()
        self._turn.acquire()
        if self._abandoned:
            raise _Abandoned

    def abandon(self) -> None:
        """Unwind it."""
        self._abandoned = True
        while not self.ended:
            self.give_turn()


_here: ContextVar[_Worker | None] = ContextVar("gpuhomog_turn", default=None)


def pause() -> bool:
    """Let the others go on until all wait; False, at once, for whom nobody takes turns with."""
    worker = _here.get()
    if worker is None:
        return False
    worker.pause()
    return True


def in_turns(
    works: Sequence[Callable[[], T]],
    between: Callable[[], None],
    done: Callable[[T], None] = lambda result: None,
) -> list[T]:
    """What the functions return, in their order; `done` hears of each as it ends."""
    workers = [_Worker(work) for work in works]
    try:
        while left := [worker for worker in workers if not worker.ended]:
            for worker in left:
                worker.give_turn()
                if worker.error is not None:
                    raise worker.error
                if worker.ended:
                    done(worker.result)
            if not all(worker.ended for worker in left):
                between()
    finally:
        for worker in workers:
            worker.abandon()
    return [worker.result for worker in workers]
