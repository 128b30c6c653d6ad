"""Team: threads that take items one after the other, each with memory of its own.

>>> taken = []
>>> with team(2) as each:
...     each(lambda memory, item: taken.append(item), range(3), lambda: None)
>>> sorted(taken)
[0, 1, 2]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

SMALL = 1 << 15
"""Points with which one thread is done before others have begun."""

Each = Callable[[Callable[[Any, int], None], Iterable[int], Callable[[], Any]], None]
"""(work, items, memory) → work(memory of the thread, item) done for each item."""


@contextmanager
def team(threads: int) -> Iterator[Each]:
    """What shares items among threads, the one that asks and others, each of which makes one memory."""
    with ThreadPoolExecutor(max(1, threads - 1)) as pool:

        def each(work: Callable[[Any, int], None], items: Iterable[int], memory: Callable[[], Any]) -> None:
            waiting = iter(list(items))

            def some() -> None:
                own = memory()
                for item in waiting:  # the next one of a list is taken by one thread alone
                    work(own, item)

            others = [pool.submit(some) for _ in range(threads - 1)]
            some()
            for other in others:
                other.result()

        yield each
