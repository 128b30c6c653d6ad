"""Streamed reading: a Source whose planes are read when they are asked for, some at a time.

What reading checks of an array in memory, the first pass checks of the planes as they come, before any result is
given to anybody: that all values are finite, and that they can be what the file says they are (Source.review).

In   Source, what was settled about its values, the run whose memory and passes they share.
Out  Unread values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..device import Device
from ..errors import InputError
from ..parallel import Comm, Slab
from ..parallel.exchange import at
from ..reduction import SUM, Reduction, extrema, plane_sums
from ..streaming import Run, Stream, Unread
from .compressed import open_bytes
from .review import review, sums_of
from .source import Source

IN_ONE_GO = 2**50
"""A compressed file is read from its beginning for each chunk: few chunks, as large as memory allows."""


def unread(
    source: Source,
    block: str,
    dtype: np.dtype[Any],
    factor: float,
    frame: int,
    device: Device,
    slab: Slab,
    comm: Comm,
    run: Run,
    is_reviewed: bool,
) -> Unread:
    """The values of a block, times factor, as planes that are read when asked for."""

    def read(start: int, stop: int) -> Any:
        with np.errstate(over="ignore"):  # infinite values are refused below
            values: Any = source.read_planes(start, stop, block, dtype)
            if factor != 1.0:
                values *= values.dtype.type(factor)
        return values

    sums = Reduction("sums as read", lambda device, values, slab: (sums_of(device, values),), (SUM,))
    return Unread(
        Stream(
            name=f"{source.path.resolve()} {block} {frame} {dtype} times {factor!r}",
            title=source.path.name,
            read=read,
            shape=slab.local_shape(source.grid.shape),
            dtype=dtype,
            slab=slab,
            comm=comm,
            device=device,
            run=run,
            first=(_finite_extrema(str(source.path)), plane_sums(slab.axis, slab.axis)),
            review=(sums, lambda found: review(source, found[0], factor)) if is_reviewed else None,
            chunk_bytes=IN_ONE_GO if not source.path.is_dir() and open_bytes(source.path).compression else None,
        )
    )


def _finite_extrema(name: str) -> Reduction:
    """Smallest and largest value; what is not finite is refused where it is met."""

    def check(device: Device, values: Any, slab: Slab, low: float, high: float) -> None:
        if values.size and not np.isfinite(low + high):
            bad = ~np.isfinite(device.to_host(values))
            planes = bad.any(axis=tuple(axis for axis in range(3) if axis != slab.axis))
            plane = int(np.argmax(planes))
            first = np.argwhere(bad[at(slab.axis, slice(plane, plane + 1))])[0]
            first[slab.axis] += slab.start + plane
            raise InputError(
                f"{name}: values are NaN or infinite (first at {[int(i) for i in first]}); they would spread to whole "
                "planes. Repair the data or leave it out."
            )

    return extrema(check)
