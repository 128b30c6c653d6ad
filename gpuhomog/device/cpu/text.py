"""Numbers written as text of fixed width."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decode import FixedWidth, decode_fixed_width


class Text:
    """Decoding; see device.Device for what each method promises."""

    decodes_text = False

    def staging(self, n_bytes: int) -> NDArray[np.uint8]:
        """Memory like any other."""
        return np.empty(n_bytes, np.uint8)

    def decode_text(
        self,
        text: NDArray[np.uint8],
        layout: FixedWidth,
        start: int,
        n: int,
        dtype: Any = np.float64,
        divisor: float = 1.0,
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """By `decode_fixed_width`, chunks in cache."""
        values = np.empty(n)
        undecided = decode_fixed_width(text, layout, start, values)
        values[undecided] = np.nan
        if divisor != 1.0:
            values /= divisor
        with np.errstate(over="ignore"):  # infinite where it does not fit float32, for the caller to refuse
            return values.astype(dtype, copy=False), undecided
