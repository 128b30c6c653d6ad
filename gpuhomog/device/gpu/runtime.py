"""Runtime: what the GPU device asks of the machine below it: arrays, launches, free memory.

CuPyRuntime is the real one. The tests have another, which runs the same kernel sources on the host, so that
everything above this file (launch shapes, arguments, order of kernels) runs and is checked without a GPU.
"""

from __future__ import annotations

import atexit
import ctypes
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ...errors import DeviceError, GpuhomogError
from .sources import instances, source

OPTIONS = ("-std=c++17", "-default-device", "--fmad=true", "--extra-device-vectorization")
ALLOWED_SHARED = 48 << 10
"""Bytes of shared memory, declared and dynamic together, that a block has without asking."""
MOST_DECLARED = 2 << 10
"""Of them, what no kernel here declares: left beside dynamic memory that fills the rest of a block's."""
INSUFFICIENT_DRIVER, NO_DEVICE = 35, 100
"""CUDA's errors of a driver that is too old, and of a machine without a GPU."""


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

    def use(self) -> None:
        """Make this GPU the current one in this thread."""
        ...


class _Thread(threading.local):
    runtime: Runtime | None = None
    """Whose GPU was used last."""


_thread = _Thread()


def last_used() -> Callable[[], object]:
    """What makes the GPU that this thread used last, and its stream, the current ones of the thread that calls it."""
    runtime = _thread.runtime
    if runtime is None:
        return lambda: None
    runtime.use()  # each GPU has a current stream of its own
    stream = runtime.xp.cuda.get_current_stream()

    def use() -> None:
        runtime.use()
        stream.use()

    return use


class CuPyRuntime:
    """One GPU through CuPy; kernels compiled when first used, and kept in CuPy's cache on disk."""

    def __init__(self, number: int) -> None:
        import cupy

        self.xp = cupy
        self.number = number
        self.name = f"gpu:{number}"
        self._device = cupy.cuda.Device(number)
        self.use()
        attributes = self._device.attributes
        self.n_multiprocessors = int(attributes["MultiProcessorCount"])
        self.shared_bytes = int(attributes["MaxSharedMemoryPerBlockOptin"])
        self.cache_bytes = int(attributes["L2CacheSize"])
        self._kernels: dict[tuple[str, str], Any] = {}

    def use(self) -> None:
        """Make this GPU the current one of CuPy, in this thread."""
        self._device.use()
        _thread.runtime = self

    def describe(self) -> dict[str, Any]:
        """What `gpuhomog devices` says of it."""
        runtime = self.xp.cuda.runtime
        free, total = self._device.mem_info
        capability = str(self._device.compute_capability)
        return {
            "name": self.name,
            "product": self.product_name,
            "memory_bytes": int(total),
            "free_bytes": int(free),
            "compute_capability": f"{capability[:-1]}.{capability[-1]}",
            "multiprocessors": self.n_multiprocessors,
            "driver": _driver_version(),
            "driver_cuda": cuda_version(runtime.driverGetVersion()),
            "runtime_cuda": cuda_version(runtime.runtimeGetVersion()),
            "cupy": str(self.xp.__version__),
        }

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
        if (
            shared > ALLOWED_SHARED - MOST_DECLARED
            and kernel.max_dynamic_shared_size_bytes < shared + kernel.shared_size_bytes
        ):
            kernel.max_dynamic_shared_size_bytes = shared
        kernel(tuple(grid), tuple(block), tuple(arguments), shared_mem=shared)

    def free_bytes(self) -> tuple[int, int]:
        """What the driver has free and what the memory pool holds unused, of all bytes."""
        free, total = self._device.mem_info
        return int(free + self.xp.get_default_memory_pool().free_bytes()), int(total)

    def synchronize(self) -> None:
        """Wait for the current stream."""
        self.xp.cuda.get_current_stream().synchronize()

    def pci_address(self) -> tuple[int, ...]:
        """Where the GPU is in its node; two processes that use the same one find the same."""
        found = self.xp.cuda.runtime.getDeviceProperties(self.number)
        return tuple(int(found[name]) for name in ("pciDomainID", "pciBusID", "pciDeviceID"))

    def nccl(self) -> Any:
        """CuPy's NCCL; ImportError where its library is missing."""
        with warnings.catch_warnings():  # CuPy warns of what is an answer here
            warnings.simplefilter("ignore")
            from cupy.cuda import nccl
        if not nccl.available:
            raise ImportError("its library is missing: pip install nvidia-nccl-cu13, or for CUDA 12 nvidia-nccl-cu12")
        return nccl


def cupy_runtime(number: int) -> CuPyRuntime:
    """The runtime of GPU `number`, which becomes the current one; DeviceError with the reason where there is none."""
    reason = why_no_gpu()
    if reason is not None:
        raise DeviceError(f'gpu:{number} requested, but {reason}. Or choose device="cpu".')
    visible = n_gpus()
    if number >= visible:
        names = ", ".join(f"gpu:{i}" for i in range(visible))
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = "" if hidden is None else f', as CUDA_VISIBLE_DEVICES is "{hidden}"'
        raise DeviceError(
            f"gpu:{number} requested, but {visible} GPU{'s are' if visible > 1 else ' is'} visible ({names}){why}. "
            f'Choose one of them, or "cpu".'
        )
    return CuPyRuntime(number)


def why_no_gpu() -> str | None:
    """The one reason why no GPU can be used here, with what to do, as part of a sentence; None if one can."""
    if importlib.util.find_spec("cupy") is None:
        return (
            "CuPy, through which GPUs are used, is not installed: pip install 'gpuhomog[cuda13]', or for a driver "
            "older than 580 'gpuhomog[cuda12]'"
        )
    if not _has_driver_library():
        return (
            "there is no NVIDIA driver (CuPy is installed): install the driver, in a container start it with GPUs "
            "(docker --gpus all, apptainer --nv), on a cluster ask for a GPU node"
        )
    try:
        if "cupy" not in sys.modules:
            _place_for_kernels()
        import cupy
    except (ImportError, OSError) as error:
        told = str(error).strip() or type(error).__name__
        return f"CuPy is installed but cannot be imported ({told.splitlines()[0]}): install it again"
    runtime = cupy.cuda.runtime
    try:
        count = int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        if error.status == NO_DEVICE:
            count = 0
        elif error.status == INSUFFICIENT_DRIVER:
            return (
                f"the NVIDIA driver is too old: it supports CUDA {cuda_version(runtime.driverGetVersion())}, CuPy "
                f"needs CUDA {cuda_version(runtime.runtimeGetVersion())}. Update the driver, or install the CuPy of "
                "its CUDA (pip install 'gpuhomog[cuda12]')"
            )
        else:
            return f"CUDA does not start ({error}): ask nvidia-smi what is wrong with the driver"
    if count:
        return None
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return f'no GPU is visible: CUDA_VISIBLE_DEVICES is "{hidden}", which hides those there are: change or unset it'
    return "no GPU is visible to CuPy, though the driver is there: ask nvidia-smi, or the batch system for a GPU"


def cuda_version(number: int) -> str:
    """CUDA's number of a version as people write it.

    >>> cuda_version(13020)
    '13.2'
    """
    return f"{number // 1000}.{number % 1000 // 10}"


def _has_driver_library() -> bool:
    """True if the driver's library can be loaded; asked first, because importing CuPy takes half a second."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _driver_version() -> str | None:
    """Number of the driver itself, as "580.95.05", where the system tells."""
    try:
        told = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    number = re.search(r"\s(\d+\.\d[\d.]*)\s", told)
    return number[1] if number else None


def n_gpus() -> int:
    """GPUs that CuPy sees; 0 where none can be used."""
    if why_no_gpu() is not None:
        return 0
    import cupy

    return int(cupy.cuda.runtime.getDeviceCount())


def describe_gpus() -> list[dict[str, Any]]:
    """What is known of each GPU that can be used here; see CuPyRuntime.describe. The first becomes the current one."""
    return [CuPyRuntime(number).describe() for number in reversed(range(n_gpus()))][::-1]


def compiled_kernels() -> tuple[Path, int]:
    """CuPy's cache of compiled kernels, and how many files it holds: this package's, and CuPy's own."""
    folder = Path(os.environ.get("CUPY_CACHE_DIR") or os.path.expanduser("~/.cupy/kernel_cache"))
    return folder, sum(1 for _ in folder.glob("*.cubin"))


def _place_for_kernels() -> None:
    """CuPy ends where it cannot write to its cache (a home that is read-only, or none): then one of this process."""
    folder, _ = compiled_kernels()
    try:
        if not folder.is_absolute() and "CUPY_CACHE_DIR" not in os.environ:
            raise FileNotFoundError
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        os.environ["CUPY_CACHE_DIR"] = made = tempfile.mkdtemp(prefix="cupy-")
        atexit.register(shutil.rmtree, made, ignore_errors=True)
