"""Exchanges between slabs: how partial results of ranks become whole ones.

In   local arrays with their Slab and Comm.
Out  global arrays. In a single process both functions return what they were given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .comm import Comm
from .slab import Slab


def combine_planes(comm: Comm, slab: Slab, local: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Plane-wise sums (n_local or n_axis, ...) of one axis, combined over ranks, on the host of every rank.

    Normal to the slabs every rank holds other planes, which are joined; along them every rank holds a part
    of each plane, which are summed.
    """
    return comm.concatenate(local) if axis == slab.axis else comm.sum(local)


def sum_over_slabs(comm: Comm, partial: Any) -> Any:
    """Sum of partial arrays (a contraction along the slab axis done on the local planes), on every rank."""
    return comm.sum(partial)


def sum_to_slab(comm: Comm, partial: Any, slab: Slab) -> Any:
    """The same sum, of which each rank keeps the planes of its own slab."""
    planes = [slice(None)] * 3
    planes[slab.axis] = slab.planes
    return sum_over_slabs(comm, partial)[tuple(planes)]
