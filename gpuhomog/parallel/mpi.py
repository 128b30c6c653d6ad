"""MPI: ranks that a launcher started as processes. The only import of mpi4py.

    exchange    messages from rank to rank between host arrays, in parts; arrays on a device go by its transport
    the rest    collectives of small arrays and of pickled values

MPI is initialized for threads of which one at a time calls it, as those of a pass do (streaming/turns.py).

Whoever fails outside of `agree` would leave the others waiting: `finish` lets all ranks end together, and ends
those that wait for one that cannot come.

In   arrays and values of each rank.
Out  as Comm promises. InputError where the ranks do not know of each other.
"""

from __future__ import annotations

import ctypes
import pickle
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic, sleep
from typing import Any, TypeVar

import mpi4py
import numpy as np
from numpy.typing import NDArray

from .comm import common_error
from .transport import staged

mpi4py.rc.thread_level = "serialized"  # read when MPI is imported
from mpi4py import MPI  # noqa: E402

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds that a rank which failed waits for the others to end as well, before it ends all."""
LARGEST_MESSAGE = 2**30
"""Bytes without gaps that a message counts; MPI counts them in 32 bits before version 4."""
PART_BYTES = 1 << 24
"""Of an exchange that go in one message."""
PACKED_BYTES = 1 << 25
"""Of parts that wait to be taken, beyond which no further one is packed."""


class World:
    """All ranks of the launch."""

    def __init__(self) -> None:
        self._comm = MPI.COMM_WORLD
        self._ends = MPI.COMM_WORLD.Dup()  # apart from everything that may still be under way
        self.rank = self._comm.rank
        self.size = self._comm.size
        self.sent: Counter[str] = Counter()

    @property
    def implementation(self) -> str:
        """Name and version of the MPI library."""
        name, (major, minor, micro) = MPI.get_vendor()
        return f"{name} {major}.{minor}.{micro}"

    def exchange(self, sent: Sequence[Any], received: Sequence[Any], device: Any = None) -> None:
        """Parts go from where they lie; those with gaps are packed, a few at a time, and arrive with their gaps.

        Within a node MPICH copies what is sent without gaps straight into its place: two ranks exchange 14 MB in 3 ms.
        They take 11 where what is sent has a type with gaps, and by Alltoallw always.
        """
        if device is not None and not all(isinstance(a, np.ndarray) for a in (*sent, *received)):
            transport = device.transport(self)
            if transport is None:
                staged(self, sent, received, device)
            else:
                transport.exchange(sent, received)
            return
        others = [(self.rank + shift) % self.size for shift in range(1, self.size)]
        kinds: list[Any] = []
        requests = []
        for rank in reversed(others):
            for part in _parts(received[rank]):
                requests.append(self._comm.Irecv(_message(part, kinds), rank))
        packed: deque[tuple[Any, NDArray[Any]]] = deque()
        for rank in others:
            for part in _parts(sent[rank]):
                while sum(array.nbytes for _, array in packed) > PACKED_BYTES:
                    packed.popleft()[0].Wait()
                whole = np.ascontiguousarray(part)
                request = self._comm.Isend(_message(whole, kinds), rank)
                if whole is part:
                    requests.append(request)
                else:
                    packed.append((request, whole))
        received[self.rank][...] = sent[self.rank]
        MPI.Request.Waitall([*requests, *(request for request, _ in packed)])
        for kind in kinds:
            kind.Free()

    def cuda_support(self) -> tuple[bool | None, str]:
        """Whether this MPI takes addresses of GPU memory, None if it does not tell; and what it says, in words."""
        symbols = ctypes.CDLL(MPI.__file__)  # with it come the symbols of the MPI library
        answer = ctypes.c_int(0)
        supported = None
        if hasattr(symbols, "MPIX_Query_cuda_support"):  # Open MPI, MPICH
            supported = bool(symbols.MPIX_Query_cuda_support())
        elif hasattr(symbols, "MPIX_GPU_query_support"):  # HPE Cray MPI; 0 is CUDA
            supported = symbols.MPIX_GPU_query_support(0, ctypes.byref(answer)) == 0 and bool(answer.value)
        elif hasattr(symbols, "opal_built_with_cuda_support"):  # Open MPI without its extensions
            supported = bool(ctypes.c_bool.in_dll(symbols, "opal_built_with_cuda_support"))
        if supported is None:
            return None, f"{self.implementation} does not tell whether it takes addresses of GPU memory"
        return supported, f"{self.implementation} {'takes' if supported else 'does not take'} addresses of GPU memory"

    def exchange_on_device(self, sent: Mapping[int, Any], received: Mapping[int, Any]) -> None:
        """Arrays of a GPU, without gaps, to and from ranks, by an MPI that takes their addresses."""
        requests = [self._comm.Irecv(part, rank) for rank, part in received.items()]
        requests += [self._comm.Isend(part, rank) for rank, part in sent.items()]
        MPI.Request.Waitall(requests)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Allreduce, from rank 0, so that all have the same bits."""
        values = np.ascontiguousarray(values)
        total = np.empty_like(values)
        self._comm.Reduce(values, total if self.rank == 0 else None, MPI.SUM, root=0)
        self._comm.Bcast(total, root=0)
        self.sent["sum"] += values.nbytes * (self.size > 1)
        return total

    def concatenate(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Allgatherv."""
        planes = np.ascontiguousarray(planes)
        counts = self._comm.allgather(len(planes))
        joined = np.empty((sum(counts), *planes.shape[1:]), planes.dtype)
        per_plane = int(np.prod(planes.shape[1:], dtype=np.int64))
        self._comm.Allgatherv(planes, [joined, [n * per_plane for n in counts]])
        self.sent["sum"] += planes.nbytes * (self.size > 1)
        return joined

    def gather(self, value: T) -> list[T]:
        """Allgather of pickled values."""
        return list(self._comm.allgather(value))

    def broadcast(self, value: T) -> T:
        """Broadcast of a pickled value."""
        return self._comm.bcast(value, root=0)

    def agree(self, error: Exception | None) -> None:
        """Allgather of the errors; the first one is everyone's."""
        shared = common_error(self._comm.allgather(_picklable(error)))
        if shared is not None:
            raise shared

    def why_no_turns(self) -> str | None:
        """What the library provides is less than what was asked for."""
        if MPI.Query_thread() >= MPI.THREAD_SERIALIZED:
            return None
        return f"{self.implementation} serves no other thread than the first"

    def finish(self, code: int) -> list[int]:
        """The exit codes of all ranks, once all have ended; a rank that failed waits PATIENCE seconds for the others.

        After that it ends all ranks: those that still wait for it would wait for ever.
        """
        codes = np.zeros(self.size, dtype=np.int32)
        request = self._ends.Iallgather(np.array([code], dtype=np.int32), codes)
        end = monotonic() + PATIENCE
        while not request.Test():
            if code and monotonic() > end:
                return [code if r == self.rank else -1 for r in range(self.size)]
            sleep(0.01 if code else 0.001)
        return [int(c) for c in codes]

    def abort(self, code: int) -> None:
        """End all ranks now."""
        self._comm.Abort(code)


def _parts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The array in parts of a message, which sender and receiver find from its shape alone; none of an empty one."""
    if array.size == 0:
        return
    count = max(1, PART_BYTES * len(array) // array.nbytes)
    for start in range(0, len(array), count):
        yield array[start : start + count]


def _message(array: NDArray[Any], kinds: list[Any]) -> Any:
    """The bytes of an array, or the type that says where they lie, which is to be freed: one more of the kinds."""
    if array.flags.c_contiguous and array.nbytes <= LARGEST_MESSAGE:
        return [array, array.nbytes, MPI.BYTE]
    outer: list[int] = []
    n_bytes = array.itemsize
    for axis in reversed(range(array.ndim)):  # values travel in C order; what lies without gaps is one block
        if array.shape[axis] == 1:
            continue
        if outer or array.strides[axis] != n_bytes or n_bytes * array.shape[axis] > LARGEST_MESSAGE:
            outer.append(axis)
        else:
            n_bytes *= array.shape[axis]
    steps = [MPI.BYTE.Create_contiguous(n_bytes)]
    for axis in outer:
        steps.append(steps[-1].Create_hvector(array.shape[axis], 1, array.strides[axis]))
    address = array.__array_interface__["data"][0]
    kinds.append(MPI.Datatype.Create_hindexed(steps[-1], [1], [address]).Commit())
    for step in steps:
        step.Free()
    return [MPI.BOTTOM, 1, kinds[-1]]


def _picklable(error: Exception | None) -> Exception | None:
    """The error, or its sentence where it cannot travel."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
