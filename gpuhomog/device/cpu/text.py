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
        self, text: NDArray[np.uint8], layout: FixedWidth, start: int, out: NDArray[Any], divisor: float = 1.0
    ) -> NDArray[np.int64]:
        """By `decode_fixed_width`, chunks in cache."""
        values = np.empty(len(out))
        undecided = decode_fixed_width(text, layout, start, values)
        values[undecided] = np.nan
        with np.errstate(over="ignore"):  # infinite where it does not fit float32, for the caller to refuse
            out[...] = values if divisor == 1.0 else values / divisor
        return undecided
