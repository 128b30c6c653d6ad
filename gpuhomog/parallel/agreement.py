"""Agreement: where one rank has other files or options than the rest, or fails, all refuse.

In   plain values by name, which must be the same on every rank; or what a rank does alone.
Out  nothing, or the same error on every rank: what differs, and where.

>>> from .comm import Serial
>>> agree_on(Serial(), {"shape": (2, 3, 4)}, "read")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import InputError
from .comm import Comm


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
