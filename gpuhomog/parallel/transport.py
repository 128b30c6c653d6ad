"""Transport: how arrays that live on a device get from rank to rank.

    staged    through memory of the host, always possible

In   arrays for each rank and arrays to fill, on a device.
Out  nothing but the filled arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .comm import Comm


def staged(comm: Comm, sent: Sequence[Any], received: Sequence[Any], device: Any) -> None:
    """Down to the host, across, and up; what stays on this rank stays on its device."""
    here = comm.rank
    received[here][...] = sent[here]
    down = [np.empty(0) if r == here else device.to_host(device.compact(part)) for r, part in enumerate(sent)]
    up = [np.empty(0 if r == here else part.shape, part.dtype) for r, part in enumerate(received)]
    comm.exchange(down, up)
    for r, part in enumerate(received):
        if r != here and part.size:
            part[...] = device.asarray(up[r])
