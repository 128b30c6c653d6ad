"""Transports: how arrays on GPUs get from rank to rank.

    ipc       every rank writes into memory of its GPU that the others have mapped (CUDA IPC): ranks of one node
    nccl      NCCL, between GPUs of one or of many nodes; one rank on each GPU
    mpi       an MPI that takes addresses of GPU memory
    staged    through pinned memory of the host, always possible: while one part travels, the next comes down

The first that works is taken, after it has carried a few numbers; GPUHOMOG_TRANSPORT chooses one of them. All ranks
choose together, so everything here is collective.

Messages are cut into parts of at most a few megabytes, alike at both ends, so that what lies between is small and kept;
parts with gaps are packed on the GPU. Order: whoever reads waits for whoever writes, and the other way round.

In   arrays for each rank and arrays to fill, on this GPU; a communicator (parallel.Comm).
Out  nothing but the filled arrays.
"""

from __future__ import annotations

import atexit
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError

ENVIRONMENT = "GPUHOMOG_TRANSPORT"
"""Environment variable that chooses a transport."""
BOOT = Path("/proc/sys/kernel/random/boot_id")
ALIGNMENT = 512

Piece = tuple[Any, ...]


class Unavailable(Exception):
    """Why a transport cannot be had, as part of a sentence; the same on all ranks."""


class Transport(ABC):
    """Arrays of one GPU to and from those of other ranks."""

    name: ClassVar[str]
    words: ClassVar[str]
    """What it is, for people."""
    most_bytes: ClassVar[int] = 128 << 20
    """Of all parts that are sent at a time."""

    def __init__(self, device: Any, comm: Any, forced: bool = False) -> None:
        """Raises Unavailable, on all ranks; forced: somebody asked for this one."""
        self.device, self.comm, self.xp = device, comm, device.runtime.xp
        self.why_not: dict[str, str] = {}
        self.open(forced)

    def open(self, forced: bool) -> None:  # noqa: B027  many need nothing
        """What is needed before the first exchange."""

    def close(self) -> None:  # noqa: B027  many need nothing
        """Give back what this rank holds of others."""

    def discard(self) -> None:
        """Give back everything: nobody will use it. Collective."""
        self.close()

    def exchange(self, sent: Sequence[Any], received: Sequence[Any]) -> None:
        """All to all, as parallel.Comm.exchange promises it; what is received can be used in the current stream."""
        here = self.comm.rank
        received[here][...] = sent[here]
        outgoing, incoming = self._cut(sent), self._cut(received)
        n_rounds = max(self.comm.gather(max(map(len, (*outgoing, *incoming)))))
        self.carry(
            [
                (
                    {r: sent[r][cut[number]] for r, cut in enumerate(outgoing) if number < len(cut)},
                    {r: received[r][cut[number]] for r, cut in enumerate(incoming) if number < len(cut)},
                )
                for number in range(n_rounds)
            ]
        )

    @abstractmethod
    def carry(self, rounds: Sequence[tuple[Mapping[int, Any], Mapping[int, Any]]]) -> None:
        """Rounds of parts, as many on all ranks: by rank what is sent there, and what is filled from there."""

    def _cut(self, parts: Sequence[Any]) -> list[list[Piece]]:
        share = self.most_bytes // max(1, self.comm.size - 1)
        return [
            [] if rank == self.comm.rank else pieces(part.shape, max(1, share // part.dtype.itemsize))
            for rank, part in enumerate(parts)
        ]

    def _packed(self, part: Any) -> Any:
        """Without gaps."""
        return self.xp.ascontiguousarray(part)

    def _landing(self, part: Any) -> Any:
        """Where the values of a part can arrive without gaps: itself, if it has none."""
        return part if part.flags.c_contiguous else self.device.empty(part.shape, part.dtype)

    def check(self) -> None:
        """Raise Unavailable, on all ranks, unless a few numbers arrive as they were sent."""
        size, here = self.comm.size, self.comm.rank
        numbers = self.xp.asarray(np.arange(size, dtype=np.int64) + here * size)
        arrived = self.xp.asarray(np.full(size, -1, np.int64))
        reason = None
        try:
            self.exchange([numbers[r : r + 1] for r in range(size)], [arrived[r : r + 1] for r in range(size)])
            wrong = self.device.to_host(arrived) != np.arange(size) * size + here
            if wrong.any():
                reason = f"what rank {np.flatnonzero(wrong)[0]} sent did not arrive"
        except Exception as error:
            reason = f"a first exchange failed ({first_line(error)})"
        agree(self.comm, reason)


class RoundByRound(Transport):
    """A transport that ends each round before it begins the next."""

    def carry(self, rounds: Sequence[tuple[Mapping[int, Any], Mapping[int, Any]]]) -> None:
        """One after another."""
        for outgoing, incoming in rounds:
            self.move(outgoing, incoming)

    @abstractmethod
    def move(self, outgoing: Mapping[int, Any], incoming: Mapping[int, Any]) -> None:
        """One round."""


class MappedMemory(RoundByRound):
    """CUDA IPC: a buffer of each rank, mapped by all others, with a segment for each of them."""

    name, words = "ipc", "CUDA IPC, directly between the ranks of this node"

    def open(self, forced: bool) -> None:
        """Allocate, swap the handles, map. A buffer is freed when all have unmapped it, or with its process."""
        comm, runtime = self.comm, self.xp.cuda.runtime
        nodes = len(set(comm.gather(node())))
        if nodes > 1:
            raise Unavailable(f"the ranks are on {nodes} nodes")
        self._segment = -(-self.most_bytes // max(1, comm.size - 1) // ALIGNMENT) * ALIGNMENT
        self._own, self._peers = 0, dict[int, int]()
        handle = error = None
        try:
            self._own = self._allocated(self._segment * comm.size)
            handle = runtime.ipcGetMemHandle(self._own)
        except Exception as reason:
            error = f"CUDA IPC gives no handle of memory ({first_line(reason)})"
        handles = comm.gather(handle)
        try:
            agree(comm, error)
            for rank, theirs in enumerate(handles):
                try:
                    if rank != comm.rank:
                        self._peers[rank] = runtime.ipcOpenMemHandle(theirs)
                except Exception as reason:
                    error = f"memory of rank {rank} cannot be mapped ({first_line(reason)})"
                    break
            agree(comm, error)
        except Unavailable:
            self.discard()
            raise
        atexit.register(self.close)

    def discard(self) -> None:
        """Unmap, and free the own buffer once all have."""
        self.close()
        atexit.unregister(self.close)
        self.comm.gather(None)
        with suppress(Exception):  # or it is freed with this process
            if self._own:
                self.xp.cuda.runtime.free(self._own)
            self._own = 0

    def _allocated(self, n_bytes: int) -> int:
        """Memory of the driver's, not of CuPy's pool: it is mapped by others as a whole."""
        runtime = self.xp.cuda.runtime
        try:
            return int(runtime.malloc(n_bytes))
        except Exception:
            self.xp.get_default_memory_pool().free_all_blocks()
            return int(runtime.malloc(n_bytes))

    def close(self) -> None:
        """Unmap what is mapped of others."""
        with suppress(Exception):  # at exit CUDA may be gone
            while self._peers:
                self.xp.cuda.runtime.ipcCloseMemHandle(self._peers.popitem()[1])

    def move(self, outgoing: Mapping[int, Any], incoming: Mapping[int, Any]) -> None:
        """Write own segments, wait for all, read those of the others, wait for all."""
        self._all_copy((self._segment_of(self._own, rank, part), part) for rank, part in outgoing.items())
        self._all_copy(
            (part, self._segment_of(self._peers[rank], self.comm.rank, part)) for rank, part in incoming.items()
        )

    def _all_copy(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        """Copy (target, source) pairs, and wait until all ranks have; all fail together."""
        reason = None
        try:
            for target, source in pairs:
                target[...] = source
            self.device.runtime.synchronize()
        except Exception as error:
            reason = first_line(error)
        try:
            agree(self.comm, reason)
        except Unavailable as failed:
            raise DeviceError(
                f"An exchange between GPUs through CUDA IPC failed ({failed}): set {ENVIRONMENT}=staged to do without."
            ) from None

    def _segment_of(self, buffer: int, rank: int, part: Any) -> Any:
        """The segment for a rank, as an array of the shape of a part."""
        cuda = self.xp.cuda
        n_bytes = prod(part.shape) * part.dtype.itemsize
        memory = cuda.UnownedMemory(buffer + rank * self._segment, n_bytes, self, self.device.runtime.number)
        return self.xp.ndarray(part.shape, part.dtype, cuda.MemoryPointer(memory, 0))


class NCCL(RoundByRound):
    """NCCL's sends and receives of bytes, all of a round in one group."""

    name, words = "nccl", "NCCL"

    def open(self, forced: bool) -> None:
        """A communicator of NCCL, whose name rank 0 makes."""
        comm = self.comm
        error, version = None, None
        try:
            self._nccl = self.device.runtime.nccl()
            version = self._nccl.get_version()
        except Exception as reason:
            error = f"NCCL cannot be used ({first_line(reason)})"
        agree(comm, error)
        versions = comm.gather(version)
        if len(set(versions)) > 1:
            raise Unavailable(f"the ranks have different versions of NCCL ({min(versions)} and {max(versions)})")
        places = comm.gather((node(), self.device.runtime.pci_address()))
        for rank, place in enumerate(places):
            if place in places[:rank]:
                raise Unavailable(f"ranks {places.index(place)} and {rank} share one GPU, which NCCL refuses")
        identity: Any = None
        try:
            identity = self._nccl.get_unique_id() if comm.rank == 0 else None
        except Exception as reason:
            error = f"NCCL does not start ({first_line(reason)})"
        identity = comm.broadcast(identity)
        agree(comm, error)
        try:
            self._peers = self._nccl.NcclCommunicator(comm.size, identity, comm.rank)
        except Exception as reason:
            error = f"NCCL does not connect the ranks ({first_line(reason)})"
        agree(comm, error)

    def move(self, outgoing: Mapping[int, Any], incoming: Mapping[int, Any]) -> None:
        """In the order of the current stream, without waiting."""
        nccl, stream = self._nccl, self.xp.cuda.get_current_stream().ptr
        packed = {rank: self._packed(part) for rank, part in outgoing.items()}
        landed = {rank: self._landing(part) for rank, part in incoming.items()}
        nccl.groupStart()
        for rank, part in packed.items():
            self._peers.send(part.data.ptr, part.nbytes, nccl.NCCL_UINT8, rank, stream)
        for rank, part in landed.items():
            self._peers.recv(part.data.ptr, part.nbytes, nccl.NCCL_UINT8, rank, stream)
        nccl.groupEnd()
        for rank, part in incoming.items():
            if landed[rank] is not part:
                part[...] = landed[rank]


class ThroughMPI(RoundByRound):
    """An MPI that takes addresses of GPU memory."""

    name, words = "mpi", "CUDA-aware MPI"

    def open(self, forced: bool) -> None:
        """Ask the communicator; who forces it answers for an MPI that does not tell."""
        asked = getattr(self.comm, "cuda_support", None)
        if asked is None:
            raise Unavailable("the ranks do not talk through MPI")
        supported, told = asked()
        agree(self.comm, None if supported or (supported is None and forced) else told)

    def move(self, outgoing: Mapping[int, Any], incoming: Mapping[int, Any]) -> None:
        """MPI knows no streams: wait for what is sent, and for whoever still uses the memory to be filled."""
        packed = {rank: self._packed(part) for rank, part in outgoing.items()}
        landed = {rank: self._landing(part) for rank, part in incoming.items()}
        self.device.runtime.synchronize()
        self.comm.exchange_on_device(packed, landed)
        for rank, part in incoming.items():
            if landed[rank] is not part:
                part[...] = landed[rank]


class Staged(Transport):
    """Down to pinned memory of the host, across by the communicator, and up.

    Two buffers for each direction: while a round travels, the next comes down and the last goes up, all in the order
    of the current stream. A round waits for its own way down, and with it for everything that was started before.
    """

    name, words = "staged", "pinned memory of the host"
    most_bytes = 32 << 20

    def open(self, forced: bool) -> None:
        """Buffers grow when they are needed, and are kept."""
        self._pinned = [np.empty(0, np.uint8)] * 4

    def check(self) -> None:
        """The communicator has been used before."""

    def carry(self, rounds: Sequence[tuple[Mapping[int, Any], Mapping[int, Any]]]) -> None:
        """As many exchanges on all ranks as there are rounds."""
        n_bytes = [
            max((sum(part.nbytes for part in one[side].values()) for one in rounds), default=0) for side in (0, 1)
        ]
        for number, buffer in enumerate(self._pinned):
            if buffer.nbytes < n_bytes[number // 2]:
                self._pinned[number] = self.device.staging(n_bytes[number // 2])
        ready = self._down(rounds, 0)
        for number, (_, incoming) in enumerate(rounds):
            host, arrived = ready
            ready = self._down(rounds, number + 1)
            arrived.synchronize()
            landed = self._on_host(self._pinned[2 + number % 2], incoming)
            everyone = range(self.comm.size)
            nothing = np.empty(0, np.uint8)
            self.comm.exchange(
                [flat_bytes(host.get(rank, nothing)) for rank in everyone],
                [flat_bytes(landed.get(rank, nothing)) for rank in everyone],
            )
            for rank, part in incoming.items():
                target = self._landing(part)
                target.data.copy_from_host_async(landed[rank].ctypes.data, landed[rank].nbytes)
                if target is not part:
                    part[...] = target
        self.device.runtime.synchronize()  # the next exchange may need larger buffers

    def _down(self, rounds: Sequence[Any], number: int) -> tuple[dict[int, NDArray[Any]], Any]:
        """Start the way down of a round: where it arrives, and what is to be waited for."""
        outgoing = rounds[number][0] if number < len(rounds) else {}
        host = self._on_host(self._pinned[number % 2], outgoing)
        for rank, part in outgoing.items():
            self._packed(part).get(out=host[rank], blocking=False)
        arrived = self.xp.cuda.Event(disable_timing=True)
        arrived.record()
        return host, arrived

    @staticmethod
    def _on_host(buffer: NDArray[np.uint8], parts: Mapping[int, Any]) -> dict[int, NDArray[Any]]:
        """A place in a buffer for each part."""
        places, start = {}, 0
        for rank, part in parts.items():
            stop = start + part.nbytes
            places[rank] = buffer[start:stop].view(part.dtype).reshape(part.shape)
            start = stop
        return places


ORDER: tuple[type[Transport], ...] = (MappedMemory, NCCL, ThroughMPI, Staged)
"""The fastest first."""


def named_transport() -> str:
    """The transport that the environment chooses, "" if none; DeviceError if there is none of that name."""
    wanted = os.environ.get(ENVIRONMENT, "").strip()
    names = [kind.name for kind in ORDER]
    if wanted and wanted not in names:
        raise DeviceError(
            f'The environment variable {ENVIRONMENT} is "{wanted}", which is no transport: choose '
            f"{', '.join(names[:-1])} or {names[-1]}, or unset it."
        )
    return wanted


def choose_transport(device: Any, comm: Any) -> Transport:
    """The transport of a GPU and a communicator; the same on all ranks, with the reasons against faster ones.

    Raises DeviceError, on all ranks, where the environment chooses one that cannot be had.
    """
    everyone = comm.gather(os.environ.get(ENVIRONMENT, "").strip())
    wanted = everyone[0]
    other = next((rank for rank, named in enumerate(everyone) if named != wanted), None)
    if other is not None:
        raise DeviceError(
            f'The environment variable {ENVIRONMENT} is "{wanted}" on rank 0 and "{everyone[other]}" on rank {other}, '
            "but both ends of a message must use the same transport: set it alike on all ranks, or nowhere."
        )
    named_transport()
    why_not: dict[str, str] = {}
    for kind in ORDER:
        if wanted in ("", kind.name):
            try:
                found = checked(kind, device, comm, bool(wanted))
            except Unavailable as reason:
                why_not[kind.name] = str(reason)
            else:
                found.why_not = why_not
                return found
    raise DeviceError(
        f"The environment variable {ENVIRONMENT} asks for {wanted}, but {why_not[wanted]}: unset it to let gpuhomog "
        "choose, or choose staged, which is always possible."
    )


def checked(kind: type[Transport], device: Any, comm: Any, forced: bool) -> Transport:
    """A transport that has carried a few numbers. Raises Unavailable, on all ranks."""
    found = kind(device, comm, forced)
    try:
        found.check()
    except Unavailable:
        found.discard()
        raise
    return found


def agree(comm: Any, reason: str | None) -> None:
    """Raise Unavailable on all ranks if one of them has a reason, the first one's."""
    for rank, told in enumerate(reasons := comm.gather(reason)):
        if told is not None:
            alike = all(other == told for other in reasons)
            raise Unavailable(told if alike else f"on rank {rank} {told}")


def pieces(shape: Sequence[int], most: int) -> list[Piece]:
    """Indices that cut an array into parts of at most `most` values, along the slowest axes first.

    >>> pieces((3, 4), 8)
    [(slice(0, 2, None),), (slice(2, 3, None),)]
    >>> pieces((2, 3), 100), pieces((0, 3), 100)
    ([(slice(None, None, None),)], [])
    """
    n_values = prod(shape)
    if n_values == 0:
        return []
    if n_values <= most:
        return [(slice(None),)]
    row = n_values // shape[0]
    if row <= most:
        count = most // row
        return [(slice(start, min(start + count, shape[0])),) for start in range(0, shape[0], count)]
    return [(slice(i, i + 1), *rest) for i in range(shape[0]) for rest in pieces(shape[1:], most)]


def node() -> str:
    """What is the same for all processes of a node: the name of its last start, else its own."""
    with suppress(OSError):
        return BOOT.read_text().strip()
    return socket.gethostname()


def flat_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The same memory as bytes in a line."""
    return values.reshape(-1).view(np.uint8)


def first_line(error: Exception) -> str:
    """What an error says, without the rest."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
