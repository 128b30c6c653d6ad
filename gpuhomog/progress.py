"""Progress: a hook that long work reports to, silent unless somebody listens.

The library never prints. The command line installs a listener (a Rich bar); a script may install its own.

>>> def show(label, done, total): print(label, done, "of", total)
>>> with listen(show):
...     with task("planes", 4) as advance:
...         advance(2)
...         advance(2)
planes 0 of 4
planes 2 of 4
planes 4 of 4
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("gpuhomog_progress", default=None)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send every progress report inside the block to `listener(label, done, total)`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def task(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Open one task of `total` steps; the block calls what it gets with the number of steps just done."""
    listener = _listener.get()
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        if listener is not None:
            listener(label, done, total)

    advance(0)
    yield advance
