"""Uploads: values go up while others are computed with.

    begun     packed into pinned memory of the host, from where they go up on a stream of their own
    entered   what is started on the current stream from then on waits until they are there
    left      memory of the device is filled again only after what was started on that stream before

A place is memory for one chunk on both sides. There are as many as were ever held at once, two in a pass; they are
used again and again, so that repeated chunks allocate nothing. Memory of the host is filled again only after its copy.

In   values of the host; a GPU whose runtime has CUDA's streams and events.
Out  the same values on the device, in the same memory order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered


class _Place:
    """Memory for one chunk here and there, and the events that say when it may be used."""

    def __init__(self, xp: Any) -> None:
        self.host: NDArray[np.uint8] = np.empty(0, np.uint8)
        self.there: Any = None
        self.arrived = xp.cuda.Event(disable_timing=True)
        self.left = xp.cuda.Event(disable_timing=True)


class Uploads:
    """The places of one pass; see the module. `begin` is called by one thread at a time, whichever it is."""

    def __init__(self, device: Any) -> None:
        self._device, self._xp = device, device.runtime.xp
        # else the null stream would wait for it, and it for that
        self._stream = self._xp.cuda.Stream(non_blocking=True)
        self._places: list[_Place] = []
        self._idle: list[_Place] = []

    def begin(self, values: NDArray[Any]) -> AbstractContextManager[Any]:
        """Start the way up; the host's values may be overwritten at once. DeviceError where they do not fit."""
        self._device.runtime.use()
        along_memory = values.T if (is_fortran := is_fortran_ordered(values)) else values
        place = self._place(values.nbytes)
        host = place.host[: values.nbytes].view(values.dtype).reshape(along_memory.shape)
        there = place.there[: values.nbytes].view(values.dtype).reshape(along_memory.shape)
        host[...] = along_memory
        self._stream.wait_event(place.left)
        there.data.copy_from_host_async(host.ctypes.data, host.nbytes, self._stream)
        place.arrived.record(self._stream)
        return self._lent(place, there.T if is_fortran else there)

    def _place(self, n_bytes: int) -> _Place:
        """One that nobody uses, of so many bytes at least; its memory of the host may be filled."""
        if not self._idle:
            self._places.append(_Place(self._xp))
            self._idle.append(self._places[-1])
        place = self._idle.pop(0)
        place.arrived.synchronize()
        if place.host.nbytes < n_bytes:
            place.host, place.there = self._device.staging(n_bytes), self._device.empty(n_bytes, np.uint8)
            self._now(place.left)  # whoever gave this memory back to the pool may not have come to its end
        return place

    @contextmanager
    def _lent(self, place: _Place, values: Any) -> Iterator[Any]:
        self._xp.cuda.get_current_stream().wait_event(place.arrived)
        try:
            yield values
        finally:
            self._now(place.left)
            self._idle.append(place)

    def _now(self, event: Any) -> None:
        """The event is that everything on the current stream has been done."""
        event.record(self._xp.cuda.get_current_stream())

    def close(self) -> None:
        """Wait until nothing is on its way and nobody reads what came: the memory may go."""
        self._stream.synchronize()
        for place in self._places:
            place.left.synchronize()
