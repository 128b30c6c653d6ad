"""Stops: a signal asks a long run to stop where it can go on later.

Inside `stopping`, SIGTERM, SIGUSR1 and SIGINT only leave a note, which whoever works through chunks looks at between
them (`check_stop`). A second SIGINT interrupts at once. Batch systems send such a signal before the time is up.

In   signals.
Out  Stopped, at the next chunk.

>>> check_stop("between two chunks")
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ..errors import Stopped

SIGNALS = ("SIGTERM", "SIGUSR1", "SIGINT")

_asked: list[str] = []


def asked() -> str | None:
    """Name of the signal that asked to stop; None if none did."""
    return _asked[0] if _asked else None


def check_stop(where: str) -> None:
    """Raise Stopped, with `where` in its sentence, if a signal has asked for it."""
    name = asked()
    if name is not None:
        raise Stopped(f"stopped by {name} {where}; run the same command again to go on.")


@contextmanager
def stopping() -> Iterator[None]:
    """Signals leave a note inside the block; only the main thread can arrange that."""

    def note(number: int, frame: FrameType | None) -> None:
        if _asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        _asked.append(signal.Signals(number).name)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in SIGNALS:
            if hasattr(signal, name):
                number = getattr(signal, name)
                before[number] = signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()
