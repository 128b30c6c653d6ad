"""Shares: chunks cut into some planes each, which cores look at one after the other; what they find comes in order.

A core that is done with its share goes on with the next, of the next chunk too, so that none waits for the others. On
a GPU a share is a chunk, and one is looked at after the other: there each uses all of it.

In   chunks, as contexts that give their values; what is to be found of a share.
Out  what was found of each share, in the order of the planes.

>>> from contextlib import nullcontext
>>> import numpy as np
>>> from gpuhomog.device import CPU
>>> slabs, planes = [Slab(0, 4, 0, 3), Slab(0, 4, 3, 4)], np.arange(4).reshape(4, 1, 1)
>>> chunks = [(slab, nullcontext(planes[slab.planes])) for slab in slabs]
>>> with workers(CPU(threads=2)) as (begin, most):
...     for share, found, ends in in_shares(chunks, 2, lambda values, slab: [values.sum], begin, most):
...         print(share.start, share.stop, int(found[0]), ends)
0 2 1 False
2 3 2 True
3 4 3 True
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

from ..device import Device
from ..parallel import Slab
from ..parallel.exchange import at

T = TypeVar("T")

MOST_WORKERS = 4
"""Cores at work at most: each needs memory between a share and what is found of it."""

SHARE_BYTES = 2 * 2**20
"""Of a share of several planes; a quarter of a chunk at most."""

CHUNKS_AT_WORK = 2
"""Chunks that are looked at at once at most, while another is read."""

Begin = Callable[[Callable[[], T]], Callable[[], T]]
"""Has a function called; what it returns waits for the result."""


@contextmanager
def workers(device: Device) -> Iterator[tuple[Begin[Any], int]]:
    """What has functions called, and how many shares may be begun beside the one that is waited for.

    On a CPU by some cores, each product of BLAS by one.
    """
    threads = min(getattr(device, "threads", 1), MOST_WORKERS)
    if threads < 2:
        yield _at_once, 0
        return
    from threadpoolctl import threadpool_limits

    with ThreadPoolExecutor(threads) as pool, threadpool_limits(1, user_api="blas"):
        try:
            yield lambda function: pool.submit(function).result, threads
        finally:
            pool.shutdown(cancel_futures=True)


def _at_once(function: Callable[[], T]) -> Callable[[], T]:
    result = function()
    return lambda: result


def planes_a_share(device: Device, plane_bytes: int, n_planes: int) -> int:
    """Of chunks of so many planes."""
    if getattr(device, "threads", 1) < 2:
        return max(1, n_planes)
    return max(1, min(SHARE_BYTES // plane_bytes, n_planes // 4))


def in_shares(
    chunks: Iterable[tuple[Slab, AbstractContextManager[Any]]],
    n_planes: int,
    looks: Callable[[Any, Slab], list[Callable[[], T]]],
    begin: Begin[T],
    most: int,
) -> Generator[tuple[Slab, list[T], bool], None, None]:
    """(planes, what the functions that `looks` gives for them return, whether a chunk ends there) of each share.

    n_planes  of a share at most
    most      shares begun beside the one that is waited for
    """
    waiting: deque[tuple[Slab, list[Callable[[], T]], ExitStack | None]] = deque()

    def first() -> tuple[Slab, list[T], bool]:
        planes, results, chunk = waiting.popleft()
        found = [result() for result in results]
        if chunk is not None:
            chunk.close()
        return planes, found, chunk is not None

    with ExitStack() as held:
        for slab, arriving in chunks:
            chunk = held.enter_context(ExitStack())
            values = chunk.enter_context(arriving)
            for start in range(slab.start, max(slab.stop, slab.start + 1), n_planes):
                share = Slab(slab.axis, slab.n, start, min(start + n_planes, slab.stop))
                part = values[at(slab.axis, slice(share.start - slab.start, share.stop - slab.start))]
                results = [begin(look) for look in looks(part, share)]
                waiting.append((share, results, chunk if share.stop == slab.stop else None))
                while len(waiting) > most:
                    yield first()
            del values, part, arriving
            while sum(chunk is not None for _, _, chunk in waiting) >= CHUNKS_AT_WORK:
                yield first()
        while waiting:
            yield first()
