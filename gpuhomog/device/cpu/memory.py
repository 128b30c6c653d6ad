"""Memory of the host: arrays of NumPy, and which way they lie."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered


class Memory:
    """Host memory; see device.Device for what each method promises."""

    chunks_pinned: ClassVar[int] = 0
    cache_chunk: ClassVar[int] = 1 << 23

    def asarray(self, values: Any, dtype: Any = None) -> NDArray[Any]:
        """NumPy array of the values."""
        return np.asarray(values, dtype=dtype)

    def to_host(self, values: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return values

    def transport(self, comm: Any) -> None:
        """The communicator's own."""

    def empty(self, shape: Any, dtype: Any) -> NDArray[Any]:
        """Memory of NumPy."""
        return np.empty(shape, dtype)

    def uploads(self) -> AbstractContextManager[Callable[[Any], AbstractContextManager[Any]]]:
        """The arrays themselves."""
        return nullcontext(lambda values: nullcontext(self.asarray(values)))

    def pad(self, values: NDArray[Any], axis: int, before: int, n: int) -> NDArray[Any]:
        """Zeros before and after along an axis, in the memory order of the values."""
        shape = list(values.shape)
        shape[axis] = n
        out = np.zeros(shape, dtype=values.dtype, order="F" if is_fortran_ordered(values) else "C")
        place = [slice(None)] * 3
        place[axis] = slice(before, before + values.shape[axis])
        out[tuple(place)] = values
        return out

    def copy(self, values: NDArray[Any]) -> NDArray[Any]:
        """A copy in the same memory order."""
        return values.copy(order="K")

    def compact(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values in memory of their own, without gaps."""
        if values.flags.c_contiguous or values.flags.f_contiguous:
            return values
        return values.copy(order="K")

    def squared_deviation(self, values: NDArray[Any], centre: float) -> NDArray[np.float64]:
        """One new float64 array."""
        deviation = np.subtract(values, centre, dtype=np.float64)
        return np.multiply(deviation, deviation, out=deviation)
