"""Partition of a window into microintervals: first and second moments about their midpoints, and W.

    M1 = (1/l) Σ_m d_m,   d_m = ∫_m (x - x_m) ν                                        eqs. 37, 38, E1
    M2 = (1/l) Σ_m ∫_m (x - x_m)² ν,   X_d M1 = (1/l) Σ_m x_m d_m                      eqs. 42, E8
    W  = M2/2 + (X_d - x_b) M1

x_m are the midpoints, x_b the middle of the window, l its length. Where each interval is neutral, M1 and W are the same
for every partition; M2 is not. The window must hold equally many periods on either side of x_b.

In   (3, intervals) moments about the midpoints, as device.interval_moments gives them with midpoints(edges), in steps
     of the grid; edges in the same steps; the step in Å.
Out  PartitionMoments: [ν] Å, [ν] Å^2, [ν] Å^2; host.

>>> from gpuhomog.device import choose_device
>>> pair = np.array([0.0, 1.0, 0.0, -1.0])[None, None]
>>> edges = np.array([0.0, 4.0])
>>> moments = choose_device("cpu").interval_moments(pair, edges, midpoints(edges))[:, 0, 0]
>>> partition_moments(moments, edges, step=0.5).m1
-0.25
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class PartitionMoments:
    """Means over a window.

    m1, m2  first and second moment about the midpoints
    w       M2/2 + (X_d - x_b) M1
    """

    m1: float
    m2: float
    w: float


def midpoints(edges: ArrayLike) -> NDArray[np.float64]:
    """The intervals' own references."""
    bounds = np.asarray(edges, dtype=float)
    return (bounds[:-1] + bounds[1:]) / 2


def partition_moments(
    moments: NDArray[np.float64], edges: ArrayLike, step: float = 1.0, x_b: float | None = None
) -> PartitionMoments:
    """Means over the window from edges[0] to edges[-1]; x_b is its middle unless it is given, in steps as the edges."""
    bounds = np.asarray(edges, dtype=float)
    length = float(bounds[-1] - bounds[0])
    x_b = float(bounds[0] + bounds[-1]) / 2 if x_b is None else x_b
    m1, m2 = (fsum(moments[p]) / length * step**p for p in (1, 2))
    lever = fsum((midpoints(bounds) - x_b) * moments[1]) / length * step**2
    return PartitionMoments(m1, m2, m2 / 2 + lever)
