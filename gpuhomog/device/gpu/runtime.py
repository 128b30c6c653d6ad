"""Runtime: what the GPU device asks of the machine below it: arrays, launches, free memory.

CuPyRuntime is the real one. The tests have another, which runs the same kernel sources on the host, so that
everything above this file (launch shapes, arguments, order of kernels) runs and is checked without a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ...errors import DeviceError, GpuhomogError
from .sources import instances, source

OPTIONS = ("-std=c++17", "--fmad=true", "--extra-device-vectorization")


class Runtime(Protocol):
    """Arrays and launches on one GPU."""

    name: str
    xp: Any
    """NumPy's interface to arrays there: cupy, or numpy in tests."""
    n_multiprocessors: int
    shared_bytes: int
    """Most dynamic shared memory of one block."""
    cache_bytes: int
    """Second-level cache."""

    def launch(
        self,
        file: str,
        instance: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[Any],
        shared: int = 0,
    ) -> None:
        """Start instance `instance` of kernels/`file`; nothing where the grid is empty.

        arguments are arrays of the device (their first element's address is passed; they must be contiguous, in
        either order) and NumPy scalars of the exact C type: np.int64, np.int32, np.float32, np.float64.
        """
        ...

    def free_bytes(self) -> tuple[int, int]:
        """Bytes that can still be allocated, and all bytes of the device."""
        ...

    def synchronize(self) -> None:
        """Wait until everything started so far has been done."""
        ...


class CuPyRuntime:
    """One GPU through CuPy; kernels compiled when first used, and kept in CuPy's cache on disk."""

    def __init__(self, number: int) -> None:
        import cupy

        self.xp = cupy
        self.number = number
        self.name = f"gpu:{number}"
        with cupy.cuda.Device(number):
            attributes = cupy.cuda.Device(number).attributes
        self.n_multiprocessors = int(attributes["MultiProcessorCount"])
        self.shared_bytes = int(attributes["MaxSharedMemoryPerBlockOptin"])
        self.cache_bytes = int(attributes["L2CacheSize"])
        self._kernels: dict[tuple[str, str], Any] = {}

    @cached_property
    def product_name(self) -> str:
        """Name of the product, as "NVIDIA H100 80GB HBM3"."""
        return str(self.xp.cuda.runtime.getDeviceProperties(self.number)["name"].decode())

    def _kernel(self, file: str, instance: str) -> Any:
        known = self._kernels.get((file, instance))
        if known is None:
            if instance not in instances(file):
                raise GpuhomogError(f"kernels/{file} declares no instance {instance}.")
            module = self.xp.RawModule(code=source(file), options=OPTIONS, name_expressions=[instance])
            known = self._kernels[file, instance] = module.get_function(instance)
        return known

    def launch(
        self,
        file: str,
        instance: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[Any],
        shared: int = 0,
    ) -> None:
        """Start one kernel on the current stream."""
        if 0 in grid:
            return
        kernel = self._kernel(file, instance)
        if shared > 48 * 1024 and kernel.max_dynamic_shared_size_bytes < shared:
            kernel.max_dynamic_shared_size_bytes = shared
        kernel(tuple(grid), tuple(block), tuple(arguments), shared_mem=shared)

    def free_bytes(self) -> tuple[int, int]:
        """What the driver has free and what the memory pool holds unused, of all bytes."""
        free, total = self.xp.cuda.Device(self.number).mem_info
        return int(free + self.xp.get_default_memory_pool().free_bytes()), int(total)

    def synchronize(self) -> None:
        """Wait for the current stream."""
        self.xp.cuda.get_current_stream().synchronize()


def cupy_runtime(number: int) -> CuPyRuntime:
    """The runtime of GPU `number`; DeviceError with the reason where there is none."""
    try:
        import cupy
    except ImportError:
        raise DeviceError(
            f"gpu:{number} requested, but CuPy is not installed: pip install 'gpuhomog[cuda13]' (or cuda12, as the "
            'driver has it). Or choose device="cpu".'
        ) from None
    visible = n_gpus()
    if visible == 0:
        raise DeviceError(f'gpu:{number} requested, but no GPU is visible to CuPy. Choose device="cpu" or "auto".')
    if number >= visible:
        names = ", ".join(f"gpu:{i}" for i in range(visible))
        raise DeviceError(
            f"gpu:{number} requested, but {visible} GPU{'s are' if visible > 1 else ' is'} visible ({names}). "
            f'Choose one of them, or "cpu".'
        )
    del cupy
    return CuPyRuntime(number)


def n_gpus() -> int:
    """GPUs that CuPy sees; 0 without CuPy or without a driver."""
    try:
        import cupy

        return int(cupy.cuda.runtime.getDeviceCount())
    except ImportError:
        return 0
    except Exception as error:  # CuPy's own type, of a driver that is absent or too old
        if type(error).__name__ != "CUDARuntimeError":
            raise
        return 0


def scalar(value: float, dtype: Any) -> Any:
    """A NumPy scalar of the exact type that a kernel declares."""
    return np.dtype(dtype).type(value)
