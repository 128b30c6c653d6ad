"""Arrays that are made once and kept for the next call that wants the same: the last used ones, up to KEPT_BYTES.

In   the identity of what an array was made from.
Out  the array, or None.

>>> kept = Kept(n_bytes=100)
>>> kept.put("a", np.zeros(10)), kept.put("b", np.ones(10))
(None, None)
>>> kept.get("a") is None, float(kept.get("b").sum())
(True, 10.0)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import RLock
from typing import Any

import numpy as np  # noqa: F401  (the example)
from numpy.typing import NDArray

KEPT_BYTES = 256 << 20
"""Of all arrays that a process keeps: that of 512^3 points in an orthogonal cell takes 137 MB in float64."""


class Kept:
    """Arrays by what they were made from; threads may share it. An array in it must not be written to."""

    def __init__(self, n_bytes: int = KEPT_BYTES) -> None:
        self.n_bytes = n_bytes
        self._arrays: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._lock = RLock()  # what is collected while it is held may drop another

    def __len__(self) -> int:
        return len(self._arrays)

    def get(self, key: Hashable) -> NDArray[Any] | None:
        """The array made from this, if it is still here."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
            return self._arrays.get(key)

    def put(self, key: Hashable, array: NDArray[Any]) -> None:
        """Keep an array that fits, and let those go that were not used for longest."""
        with self._lock:
            self._arrays[key] = array
            self._arrays.move_to_end(key)
            while sum(kept.nbytes for kept in self._arrays.values()) > self.n_bytes:
                self._arrays.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        """Let one go, if it is still here."""
        with self._lock:
            self._arrays.pop(key, None)

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._arrays.clear()


TABLES = Kept()
"""Values of multipliers on the modes of a grid, and spectra of cylinders' kernels."""
