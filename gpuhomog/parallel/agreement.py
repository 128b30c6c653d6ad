"""Agreement: where one rank has other files or options than the rest, or fails, all refuse.

In   plain values by name, which must be the same on every rank; or what a rank does alone.
Out  nothing, or the same error on every rank: what differs, and where.

>>> from .comm import Serial
>>> agree_on(Serial(), {"shape": (2, 3, 4)}, "read")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from ..errors import InputError
from .comm import Comm

T = TypeVar("T")


def agree_on(comm: Comm, facts: Mapping[str, Any], what: str) -> None:
    """Raise the same InputError on every rank if a fact differs between ranks.

    what  what they are about to do, a verb and perhaps a name; that of rank 0 is in the sentence
    """
    gathered = comm.gather((what, dict(facts)))
    what, everyone = gathered[0][0], [brought for _, brought in gathered]
    for name, first in everyone[0].items():
        for rank, found in enumerate(everyone):
            if found.get(name) != first:
                others = sum(other.get(name) != first for other in everyone)
                raise InputError(
                    f"The ranks do not {what} the same: {name} is {first} on rank 0 and {found.get(name)} on rank "
                    f"{rank} ({others} of {comm.size} differ from rank 0). Start all ranks with the same files and "
                    "options."
                )


@contextmanager
def agreed(comm: Comm) -> Iterator[None]:
    """What a rank does alone and may fail at: its error is raised on every rank at the end; collective."""
    error: Exception | None = None
    try:
        yield
    except Exception as caught:  # whatever it is: other ranks wait for this one
        error = caught
    comm.agree(error)


def in_step(comm: Comm, items: Iterable[T], what: str) -> Iterator[T]:
    """Items that ranks go through together; if one rank fails to give its next, or has fewer, all refuse. Collective.

    what  they are, in the plural
    """
    remaining, count = iter(items), 0
    while True:
        with agreed(comm):
            found = next(((item,) for item in remaining), None)
        ended = [rank for rank, has_ended in enumerate(comm.gather(found is None)) if has_ended]
        if found is None and len(ended) == comm.size:
            return
        if ended:
            others = next(rank for rank in range(comm.size) if rank not in ended)
            raise InputError(
                f"Rank {ended[0]} has {count} {what}, and rank {others} more: give all ranks as many, each its part."
            )
        assert found is not None
        count += 1
        yield found[0]
