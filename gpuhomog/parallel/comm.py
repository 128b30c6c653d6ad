"""Comm: what operators ask of a communicator, and the serial one that answers for a single process.

Another communicator (MPI) implements the same methods; no operator knows which one it talks to.

>>> Serial().sum(np.arange(3.0))
array([0., 1., 2.])
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@runtime_checkable
class Comm(Protocol):
    """The ranks that share a field."""

    rank: int
    size: int

    def sum(self, values: Any) -> Any:
        """Sum of the arrays of all ranks, on every rank, each on its device."""
        ...

    def concatenate(self, planes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Host arrays of all ranks joined in rank order along the first axis, on every rank."""
        ...

    def broadcast(self, value: T) -> T:
        """The value that rank 0 holds, on every rank."""
        ...

    def agree(self, error: Exception | None) -> None:
        """If any rank brings an error, raise the same error on every rank; otherwise return."""
        ...


class Serial:
    """One process: every exchange is the identity."""

    rank = 0
    size = 1

    def sum(self, values: Any) -> Any:
        """The array itself."""
        return values

    def concatenate(self, planes: NDArray[np.float64]) -> NDArray[np.float64]:
        """The planes themselves."""
        return planes

    def broadcast(self, value: T) -> T:
        """The value itself."""
        return value

    def agree(self, error: Exception | None) -> None:
        """Raise the error if there is one."""
        if error is not None:
            raise error
