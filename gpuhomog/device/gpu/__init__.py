"""GPU: every primitive as CUDA kernels, cuBLAS or cuFFT, on arrays of CuPy. Same files and names as `cpu/`.

A primitive validates nothing: it gets what operators give the CPU, and returns the same numbers in the memory of
the device (or on the host where the protocol says so). Kernels take C order; Fortran-ordered arrays (VASP files)
are taken with their axes reversed, without a copy. CUDA has a current GPU for each thread: a primitive makes its own
GPU the current one of the thread that it is called in.

The runtime below (`runtime.py`) is CuPy; tests put another below the same code.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from .cylinder import Cylinder
from .features import Features
from .intervals import Intervals
from .ranges import Ranges
from .running import Running
from .runtime import Runtime, cupy_runtime, n_gpus
from .spectral import Spectral
from .sums import Sums
from .taps import Taps
from .text import Text
from .transports import Transport, choose_transport
from .windows import Windows


class GPU(Cylinder, Intervals, Sums, Windows, Spectral, Text, Taps, Running, Ranges, Features):
    """One GPU; see device.Device for what each method promises."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = runtime.name
        self._tables: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._fits: WeakKeyDictionary[Any, dict[Any, Any]] = WeakKeyDictionary()
        self._transports: WeakKeyDictionary[Any, Transport] = WeakKeyDictionary()

    def transport(self, comm: Any) -> Transport:
        """Chosen by the first exchange of a communicator, for all of them."""
        found = self._transports.get(comm)
        if found is None:
            found = self._transports[comm] = choose_transport(self, comm)
        return found


def _on_its_gpu(primitive: Callable[..., Any]) -> Callable[..., Any]:
    """The same primitive, whichever GPU was the current one."""

    @wraps(primitive)
    def called(self: GPU, *given: Any, **options: Any) -> Any:
        self.runtime.use()
        return primitive(self, *given, **options)

    return called


for _name in dir(GPU):
    _found = inspect.getattr_static(GPU, _name)
    if isinstance(_found, FunctionType) and not _name.startswith("_"):
        setattr(GPU, _name, _on_its_gpu(_found))


__all__ = ["GPU", "cupy_runtime", "n_gpus"]
