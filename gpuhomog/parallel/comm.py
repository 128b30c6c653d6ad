"""Comm: what the package asks of a communicator, and the serial one that answers for a single process.

MPI (mpi.py) implements the same methods, and so do the threads of the tests; nobody else knows which one it talks to.
Every method is collective: all ranks call it, in the same order.

>>> Serial().gather("mine")
['mine']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

T = TypeVar("T")


@runtime_checkable
class Comm(Protocol):
    """The ranks that share a field."""

    rank: int
    size: int
    sent: Counter[str]
    """Bytes that this rank has sent to others, by kind: "transpose", "state", "planes", "sum" (exchange.py)."""

    def exchange(self, sent: Sequence[Any], received: Sequence[Any], device: Any = None) -> None:
        """All to all: sent[r] goes to rank r, and what rank r sent here fills received[r], in place.

        Arrays of one precision, with gaps or without, on `device` (on the host if it is None); the shapes of
        sent[r] here and of received[this rank] there agree, and empty arrays cost nothing. Fastest where the last
        axis has no gaps.
        """
        ...

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum of the host arrays of all ranks, with the same bits on every rank."""
        ...

    def concatenate(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Host arrays of all ranks joined in rank order along the first axis, on every rank."""
        ...

    def gather(self, value: T) -> list[T]:
        """The (small, picklable) values of all ranks in rank order, on every rank."""
        ...

    def broadcast(self, value: T) -> T:
        """The (small, picklable) value that rank 0 holds, on every rank."""
        ...

    def agree(self, error: Exception | None) -> None:
        """If any rank brings an error, raise the same error on every rank; otherwise return."""
        ...

    def why_no_turns(self) -> str | None:
        """Why threads that take turns may not call these methods, as part of a sentence; None if they may."""
        ...

    def finish(self, code: int) -> list[int]:
        """The exit codes of all ranks once all have ended; -1 for those that a rank which failed waited for in vain."""
        ...

    def abort(self, code: int) -> None:
        """End all ranks now."""
        ...


class Serial:
    """One process: every exchange is the identity."""

    rank = 0
    size = 1

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()

    def exchange(self, sent: Sequence[Any], received: Sequence[Any], device: Any = None) -> None:
        """A copy."""
        received[0][...] = sent[0]

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return values

    def concatenate(self, planes: NDArray[Any]) -> NDArray[Any]:
        """The planes themselves."""
        return planes

    def gather(self, value: T) -> list[T]:
        """The value alone."""
        return [value]

    def broadcast(self, value: T) -> T:
        """The value itself."""
        return value

    def agree(self, error: Exception | None) -> None:
        """Raise the error if there is one."""
        if error is not None:
            raise error

    def why_no_turns(self) -> None:
        """They may."""

    def finish(self, code: int) -> list[int]:
        """The code alone."""
        return [code]

    def abort(self, code: int) -> None:
        """End this process."""
        raise SystemExit(code)


def common_error(errors: Sequence[Exception | None]) -> Exception | None:
    """The one error that all ranks raise: the first, naming its rank where others do not have the same.

    >>> print(common_error([None, ValueError("no such plane"), None]))
    rank 1 of 3: no such plane
    """
    rank = next((r for r, error in enumerate(errors) if error is not None), None)
    if rank is None:
        return None
    error = errors[rank]
    assert error is not None
    if all(type(other) is type(error) and str(other) == str(error) for other in errors):
        return error
    sentence = f"rank {rank} of {len(errors)}: {error}"
    try:
        return type(error)(sentence)
    except Exception:  # a type that is not made from one sentence
        return error
