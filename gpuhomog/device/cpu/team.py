"""Team: threads that take items one after the other, each with memory of its own.

The threads stay for the next call: starting them takes as long as transforming a plane.

>>> taken = []
>>> share(lambda memory, item: taken.append(item), range(3), lambda: None, threads=2)
>>> sorted(taken)
[0, 1, 2]
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any

SMALL = 1 << 15
"""Points with which one thread is done before others have begun."""

MOST = 512
"""Threads that are kept, of all that ask at once; whoever finds none left does the work alone."""


@cache
def _waiting() -> ThreadPoolExecutor:
    """The threads; there are no more than were ever needed at once."""
    return ThreadPoolExecutor(MOST)


if hasattr(os, "register_at_fork"):  # threads are not forked
    os.register_at_fork(after_in_child=_waiting.cache_clear)


def share(
    work: Callable[[Any, int], None],
    items: Iterable[int],
    memory: Callable[[], Any],
    threads: int,
    by_products: bool = False,
) -> None:
    """Call work(memory, item) for each item, among the thread that asks and others, each of which makes one memory.

    After an error, which is raised, no item is begun.

    by_products  the work takes matrix products, which have threads of their own: one for each of these, then
    """
    if by_products:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):
            share(work, items, memory, threads)
        return
    waiting = iter(list(items))

    def some() -> None:
        try:
            own = memory()
            for item in waiting:  # the next one of a list is taken by one thread alone
                work(own, item)
        except BaseException:
            deque(waiting, 0)  # nobody takes another
            raise

    others = [_waiting().submit(some) for _ in range(threads - 1)]
    try:
        some()
    finally:
        others = [other for other in others if not other.cancel()]  # nobody waits for those that have not begun
        wait(others)
    for other in others:
        other.result()
