"""Several GPUs in one process: CuPy's words for streams, pinned and mapped memory, and NCCL's; ranks are threads.

Copies between host and device come as early or as late as CUDA allows: what comes down arrives at once or when somebody
waits for it, and what goes up must still be there unchanged then. Addresses are checked: each rank sees its own memory
and what it has mapped.
"""

from __future__ import annotations

import ctypes
import os
import queue
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from cupy_like import CuPyLike, CuPyLikeRuntime, DeviceArray

from gpuhomog.device.gpu import runtime

PATIENCE = 20.0


class CUDAError(RuntimeError):
    """An error of the stand-in's CUDA."""


class CurrentGPU(threading.local):
    """CUDA has one for each thread, the first until another is chosen."""

    number = 0
    stream: Any = None
    """Where somebody has chosen one."""

    def check(self, number: int) -> None:
        """Memory and kernels of another one are out of reach."""
        if self.number != number:
            raise CUDAError(f"cudaErrorIllegalAddress: of GPU {number}, while GPU {self.number} is the current one")


CURRENT = CurrentGPU()


class Machine:
    """What all ranks share: allocated memory by address, exported memory by handle, NCCL's connections."""

    def __init__(self) -> None:
        self.allocated: dict[int, np.ndarray] = {}
        self.exported: dict[bytes, int] = {}
        self.mapped: Counter[int] = Counter()
        self.lock = threading.Lock()
        self.lines: dict[Any, queue.Queue] = {}

    def allocate(self, n_bytes: int) -> np.ndarray:
        """Memory of a GPU."""
        return np.full(n_bytes, 255, np.uint8)

    def export(self, address: int) -> bytes:
        """A handle, by which another rank finds the memory."""
        handle = f"memory {address}".encode()
        self.exported[handle] = address
        return handle

    def find(self, handle: bytes) -> tuple[int, int]:
        """Address and bytes of exported memory."""
        address = self.exported[handle]
        return address, self.allocated[address].nbytes

    def line(self, *key: Any) -> queue.Queue:
        """What one rank has sent another."""
        with self.lock:
            return self.lines.setdefault(key, queue.Queue())


class SharedMachine(Machine):
    """The same for ranks that are processes: memory is files of a folder, which all of them can map."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.files = folder, {}

    def allocate(self, n_bytes: int) -> np.ndarray:
        path = self.folder / f"{os.getpid()}-{len(self.files)}"
        memory = np.memmap(path, np.uint8, "w+", shape=n_bytes)
        self.files[address_of(memory)] = path
        return memory

    def export(self, address: int) -> bytes:
        return str(self.files[address]).encode()

    def find(self, handle: bytes) -> tuple[int, int]:
        memory = np.memmap(handle.decode(), np.uint8, "r+")
        self.allocated[address_of(memory)] = memory
        return address_of(memory), memory.nbytes


def address_of(values: np.ndarray) -> int:
    return values.__array_interface__["data"][0]


def bytes_at(address: int, n_bytes: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(address), np.uint8)


class Stream:
    """The current stream of one rank: copies not yet waited for. Kernels have run when they were launched.

    A test that adds all its work to the stream instead may say that the work is late.
    """

    ptr = 77
    is_late = False

    def __init__(self, lock: Any = None) -> None:
        self.pending: list[Any] = []
        self.turns = np.random.default_rng(1)
        self.lock = lock or threading.RLock()

    def run(self, count: int) -> None:
        for _ in range(count):
            self.pending.pop(0)()

    def add(self, copy: Any) -> None:
        """Sooner or later, after all before it."""
        with self.lock:
            self.pending.append(copy)
            if self.turns.random() < 0.5:
                self.synchronize()

    def synchronize(self) -> None:
        with self.lock:
            self.run(len(self.pending))

    def use(self) -> None:
        """The current one of this thread."""
        CURRENT.stream = self

    def wait_event(self, event: Any) -> None:
        """For what was recorded until now: before the next kernel, which runs when it is launched."""
        if self.is_late:
            self.add(event.recorded())
        else:
            event.synchronize()


class OtherStream(Stream):
    """A stream beside it, whose copies run at any time that its events allow; so does what the current one has."""

    is_late = True


class OnGPU(DeviceArray):
    """An array whose copies are asynchronous."""

    stream: Stream
    number: int

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        return lambda *arguments, **options: self._alike(found(*arguments, **options))

    def __array_ufunc__(self, *given: Any, **options: Any) -> Any:
        CURRENT.check(self.number)
        return self._alike(super().__array_ufunc__(*given, **options))

    def _alike(self, found: Any) -> Any:
        return type(self)(found.values) if isinstance(found, DeviceArray) else found

    @property
    def data(self) -> Any:
        return SimpleNamespace(ptr=address_of(self.values), copy_from_host_async=self._copy_from_host)

    def get(self, out: np.ndarray | None = None, blocking: bool = True) -> np.ndarray:
        if out is None:
            return super().get()
        assert out.shape == self.shape and out.dtype == self.dtype and out.flags.c_contiguous
        source = np.array(self.values, order="C")
        self.stream.add(lambda: out.__setitem__(..., source))
        if blocking:
            self.stream.synchronize()
        return out

    def _copy_from_host(self, address: int, n_bytes: int, stream: Stream | None = None) -> None:
        assert self.values.flags.c_contiguous and n_bytes == self.nbytes
        host, values = bytes_at(address, n_bytes), self.values
        before = host.copy()

        def copy() -> None:
            bytes_at(address_of(values), n_bytes)[...] = before

        def check() -> None:
            if (host != before).any():
                raise CUDAError("memory of the host was overwritten before it had gone up")
            if stream is not None:
                copy()

        if stream is None:
            copy()
        (stream or self.stream).add(check)


def _where_it_lives(name: str) -> Any:
    def apply(self: OnGPU, *others: Any) -> Any:
        CURRENT.check(self.number)
        return self._alike(getattr(DeviceArray, name)(self, *others))

    return apply


for _name in ("add", "sub", "mul", "truediv", "iadd", "isub", "imul", "radd", "rsub", "rmul", "neg", "matmul"):
    setattr(OnGPU, f"__{_name}__", _where_it_lives(f"__{_name}__"))


class CudaLike(CuPyLike):
    """What the module cupy is to one rank."""

    def __init__(self, machine: Machine, number: int) -> None:
        super().__init__()
        self.machine, self.number, self.stream = machine, number, Stream()
        self.others: list[OtherStream] = []
        self.seen: dict[int, int] = {}  # address to bytes
        self.log: list[str] = []
        self.ndarray = type("Array", (OnGPU,), {"stream": self.stream, "number": number})
        self.cuda = SimpleNamespace(
            alloc_pinned_memory=lambda n_bytes: bytearray(n_bytes),
            Event=self._event,
            Stream=self._other_stream,
            get_current_stream=lambda: self.stream,
            UnownedMemory=self._unowned,
            MemoryPointer=lambda memory, offset: memory + offset,
            runtime=SimpleNamespace(
                malloc=self._malloc,
                free=self._free,
                ipcGetMemHandle=self._export,
                ipcOpenMemHandle=self._map,
                ipcCloseMemHandle=self._unmap,
            ),
        )

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if isinstance(found, type) or not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            CURRENT.check(self.number)
            return self._own(found(*arguments, **options))

        return call

    def _own(self, value: Any) -> Any:
        if isinstance(value, self.ndarray):
            return value
        return self.ndarray(value.values) if isinstance(value, DeviceArray) else value

    def _event(self, disable_timing: bool) -> Any:
        before: list[Any] = []
        where = [self.stream]

        def record(stream: Stream | None = None) -> None:
            with self.stream.lock:
                where[0] = stream or self.stream
                before[:] = where[0].pending

        def recorded() -> Any:
            """What waits for what was recorded last until now."""
            with self.stream.lock:
                stream, those = where[0], list(before)

            def wait() -> None:
                with stream.lock:
                    while any(one in stream.pending for one in those):
                        stream.run(1)

            return wait

        return SimpleNamespace(record=record, recorded=recorded, synchronize=lambda: recorded()())

    def _other_stream(self, non_blocking: bool) -> OtherStream:
        assert non_blocking, "the null stream would wait for it"
        self.others.append(OtherStream(self.stream.lock))
        return self.others[-1]

    def _malloc(self, n_bytes: int) -> int:
        memory = self.machine.allocate(n_bytes)
        self.machine.allocated[address_of(memory)] = memory
        self.seen[address_of(memory)] = n_bytes
        return address_of(memory)

    def _free(self, address: int) -> None:
        if self.machine.mapped[address]:
            raise CUDAError("memory was freed that others have mapped")
        del self.machine.allocated[address], self.seen[address]

    def _export(self, address: int) -> bytes:
        handle = self.machine.export(address)
        return handle

    def _map(self, handle: bytes) -> int:
        address, n_bytes = self.machine.find(handle)
        if address in self.seen:
            raise CUDAError("cudaErrorInvalidContext: memory of this very process")
        self.seen[address] = n_bytes
        self.machine.mapped[address] += 1
        return address

    def _unmap(self, address: int) -> None:
        del self.seen[address]
        self.machine.mapped[address] -= 1

    def _unowned(self, address: int, n_bytes: int, owner: Any, number: int) -> int:
        assert number == self.number
        if not any(start <= address and address + n_bytes <= start + size for start, size in self.seen.items()):
            raise CUDAError("cudaErrorIllegalAddress")
        self.log.append("map")
        return address


class NCCLLike:
    """cupy.cuda.nccl for one rank."""

    NCCL_UINT8 = 1

    def __init__(self, machine: Machine, version: int = 22907) -> None:
        self.machine, self.version, self.group = machine, version, None

    def get_version(self) -> int:
        return self.version

    def get_unique_id(self) -> tuple[int, ...]:
        return tuple(range(128))

    def NcclCommunicator(self, size: int, identity: tuple[int, ...], rank: int) -> Any:
        assert len(identity) == 128
        self.rank = rank

        def send(address: int, n_bytes: int, kind: int, peer: int, stream: int) -> None:
            assert stream == Stream.ptr and kind == self.NCCL_UINT8
            self.group.append(lambda: self.machine.line(rank, peer).put(bytes_at(address, n_bytes).copy()))

        def recv(address: int, n_bytes: int, kind: int, peer: int, stream: int) -> None:
            self.group.append(lambda: self._take(address, n_bytes, peer))

        return SimpleNamespace(send=send, recv=recv)

    def _take(self, address: int, n_bytes: int, peer: int) -> None:
        bytes_at(address, n_bytes)[...] = self.machine.line(peer, self.rank).get(timeout=PATIENCE)

    def groupStart(self) -> None:
        self.group = []

    def groupEnd(self) -> None:
        for one in self.group:
            one()
        self.group = None


class CudaLikeRuntime(CuPyLikeRuntime):
    """One GPU of such a machine, for one rank."""

    def __init__(self, machine: Machine, number: int, nccl: Any = None) -> None:
        super().__init__()
        self.number, self.name, self.xp = number, f"gpu:{number}", CudaLike(machine, number)
        self._nccl = nccl or NCCLLike(machine)

    def use(self) -> None:
        CURRENT.number = self.number
        runtime._thread.runtime = self

    def launch(self, file: str, instance: str, *arguments: Any, **options: Any) -> None:
        CURRENT.check(self.number)
        super().launch(file, instance, *arguments, **options)

    def synchronize(self) -> None:
        self.xp.stream.synchronize()
        self.xp.log.append("wait")

    def pci_address(self) -> tuple[int, ...]:
        return (0, self.number, 0)

    def nccl(self) -> Any:
        if isinstance(self._nccl, Exception):
            raise self._nccl
        return self._nccl
