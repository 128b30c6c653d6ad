"""Review: can the values of a file be what it says that they are? Asked of all of them, by what they add up to.

In   values as they are read, on the host or a device; the Source, whose `review` judges.
Out  (2,) Σ of the values and -Σ of the negative ones; a warning, or an error, of the file's own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..device import Device
from ..reduction import PLANES_AT_ONCE
from .source import Source


def sums_of(device: Device, values: Any) -> NDArray[np.float64]:
    """The two sums of some values."""
    return _on_host(values) if isinstance(values, np.ndarray) else _on_device(device, values)


def review(source: Source, sums: ArrayLike, factor: float = 1.0) -> None:
    """Have the file judge the sums of its first block, which was multiplied by a factor after it was read."""
    total, negative = np.asarray(sums).tolist()
    weight = total + 2 * negative
    if source.review is not None:
        source.review(total / factor / source.grid.n_points, negative / weight if weight > 0 else 0.0)


def _on_host(values: NDArray[Any]) -> NDArray[np.float64]:
    """Plane by plane in memory order."""
    total, negative = 0.0, 0.0
    for plane in values if values.flags.c_contiguous else values.T:
        total += float(plane.sum(dtype=np.float64))
        if plane.size and plane.min() < 0:
            negative -= float(plane.sum(dtype=np.float64, where=plane < 0))
    return np.array([total, negative])


def _on_device(device: Device, values: Any) -> NDArray[np.float64]:
    """The negative ones are half of what Σ|values| exceeds Σ values by.

    Where rounding hides them, the most negative one stands for all.
    """
    total, negative = 0.0, 0.0
    axis = 0 if values.flags.c_contiguous else 2
    for start in range(0, values.shape[axis], PLANES_AT_ONCE):
        here = slice(start, start + PLANES_AT_ONCE)
        planes = values[here] if axis == 0 else values[:, :, here]
        signed, low = float(device.planar_sum(planes, axis).sum()), device.extrema(planes)[0]
        total += signed
        if low < 0:
            negative += max((float(device.planar_sum(abs(planes), axis).sum()) - signed) / 2, -low)
    return np.array([total, negative])
