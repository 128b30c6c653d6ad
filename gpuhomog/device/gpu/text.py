"""Numbers written as text of fixed width: the bytes are uploaded, and decoded where the values stay.

decode_text        12 to 18 bytes a value over the bus, read once; one write
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..decode import FixedWidth, Misaligned, powers_of_ten
from .memory import Memory, c_name

FILE = "decode_text.cu"
BLOCK = 256
READABLE = 32
"""Bytes after the text that the kernel may read."""


class Text(Memory):
    """Decoding; see device.Device for what each method promises."""

    decodes_text = True

    def decode_text(
        self, text: NDArray[np.uint8], layout: FixedWidth, start: int, out: Any, divisor: float = 1.0
    ) -> NDArray[np.int64]:
        """One upload, one launch; returns when the text may be overwritten."""
        xp, n = self.runtime.xp, len(out)
        if n == 0:
            return np.empty(0, np.int64)
        words = self.empty(-(-(text.size + READABLE) // 8), np.uint64)
        self.upload(text, words.view(np.uint8)[: text.size])
        counts = xp.zeros(2, np.int32)
        run, place = divmod(start, layout.run)
        skipped = layout.row_start(start) - run * layout.run_bytes
        long = (n, place, skipped, layout.run, layout.run_bytes)
        short = (layout.per_row, layout.pitch, layout.row_bytes, layout.slack, layout.point, layout.head)
        form = (layout.fraction, layout.marker, layout.exponent, layout.gap)
        arguments = (
            words,
            self.table(np.stack(powers_of_ten(), axis=1), np.float64),
            out,
            counts,
            *map(np.int64, long),
            *map(np.int32, (*short, *form)),
            np.int64(10**layout.fraction),
            np.int64(10 ** max(layout.fraction - 8, 0)),
            np.float64(divisor),
        )
        self.runtime.launch(FILE, f"decode_text<{c_name(out.dtype)}>", (-(-n // BLOCK),), (BLOCK,), arguments)
        undecided, misplaced = self.to_host(counts).tolist()
        if misplaced:
            raise Misaligned
        if not undecided:
            return np.empty(0, np.int64)
        return self.to_host(xp.flatnonzero(xp.isnan(out))).astype(np.int64)
