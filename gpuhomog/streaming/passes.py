"""Passes: fields larger than memory are read in chunks of planes, once for all that is asked of them.

    Stream.planes            (start, stop) → planes, from a file or made from other planes
    Run.reduce               asks for a reduction; tasks that take turns (turns.py) all ask before planes are read
    Run.make_passes          one pass for each stream that something is asked of

While a chunk is computed with (shares.py), a thread reads the next one and starts its way to the device. Reductions of
one kind look at planes together (Reduction.visit). The first reductions of a stream (its extrema and sums, which
commands report and checks need) come with whatever is asked first. Partial results are kept by a Checkpoint between
chunks, and a pass that was interrupted goes on after the last chunk that was kept.

What is found is joined in the order of the planes, so a pass gives the same bits again where the chunks are the same,
whether it was interrupted or not. A reproducible field adds its planes in one fixed tree, whatever the chunks and
ranks.

In   streams, reductions.
Out  their arrays, as Field.reduce gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from tempfile import gettempdir
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..device import Device, choose_device
from ..parallel import Comm, Serial, Slab, agreed
from ..parallel.exchange import at, empty_like
from ..parallel.tree import PlaneTree
from ..progress import task
from ..reduction import JOIN, JOINED, OWN, PLANES, SUM, Arrays, Reduction, Visit, combined, combined_trees
from .checkpoint import Checkpoint, Nodes
from .memory import CHUNKS_HELD, RESULTS_HELD, Limit
from .shares import in_shares, planes_a_share, workers
from .stops import asked, check_stop
from .turns import in_turns, pause
from .unread import Unread

T = TypeVar("T")

SMALL = 2**20
"""Results of at most so many bytes on every rank are remembered for whoever asks again."""


@dataclass(eq=False)
class Stream:
    """Planes that come one after the other.

    name    what they are, with every parameter
    title   what messages call it
    read    (start, stop) → values (a, b, c) of those planes of the slab's axis, on the host or the device
    shape   local, as of the whole slab
    run     whose memory and passes it shares
    first   reductions that every pass over values nobody has seen finds, too
    review  reductions of the planes as they are read, and who hears of them before anybody hears of anything; raises
            where the values cannot be
    ahead   True: a thread reads the next chunk meanwhile
    held_bytes  that whoever makes the planes keeps between them
    chunk_bytes of a chunk at most; None: what is usual
    """

    name: str
    title: str
    read: Callable[[int, int], Any]
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    slab: Slab
    comm: Comm
    device: Device
    run: Run
    first: tuple[Reduction, ...] = ()
    review: tuple[Reduction, Callable[[Arrays], None]] | None = None
    ahead: bool = True
    held_bytes: int = 0
    chunk_bytes: int | None = None

    def planes(self, start: int, stop: int) -> Any:
        """The planes start:stop on the device."""
        return self.device.asarray(self.read(start, stop))

    @property
    def plane_bytes(self) -> int:
        """Of one plane, in double precision: steps may make that of it."""
        n_points = int(np.prod([n for axis, n in enumerate(self.shape) if axis != self.slab.axis], dtype=object))
        return max(1, n_points * 8)

    @property
    def chunks_held(self) -> int:
        """Chunks in memory of the host at once, those on their way to the device included."""
        return CHUNKS_HELD + self.device.chunks_pinned

    def planes_at_once(self, result_bytes: int) -> int:
        """Planes a chunk, beside results of so many bytes."""
        limit = self.run.limit or Limit(2**62)
        held = result_bytes + self.held_bytes // RESULTS_HELD
        n_planes = max(1, self.slab.n_local)
        return limit.planes_at_once(self.plane_bytes, n_planes, held, self.title, self.chunk_bytes, self.chunks_held)


@dataclass(eq=False)
class _Request:
    """A reduction of some values, and what of it is known: tree nodes, or one for all planes so far."""

    values: Unread
    reduction: Reduction
    reproducible: bool

    def __post_init__(self) -> None:
        self.in_tree = self.reproducible and OWN not in self.reduction.rules
        self.tree: PlaneTree[Arrays] = PlaneTree(self.reduction.joined)
        self.joined: list[list[Any]] = [[] for _ in self.reduction.rules]
        self.n_own = 0

    @property
    def name(self) -> str:
        return f"{self.values.name}: {self.reduction.name}{', plane by plane' if self.reproducible else ''}"

    @property
    def visit(self) -> Visit | None:
        """What looks at planes for all requests of this kind together; None: this one looks for itself."""
        return None if self.reproducible else self.reduction.visit

    @property
    def held_bytes(self) -> int:
        """Of a result that is counted three times: planes that join are there once, and in part again at the end."""
        return self.reduction.n_bytes // (2 if OWN in self.reduction.rules else 1)

    @property
    def added_bytes(self) -> int:
        """Of what each share gives, where it is as large as the result."""
        return 0 if OWN in self.reduction.rules or self.reduction.after else self.reduction.n_bytes

    def look(self, values: Any, slab: Slab) -> list[Arrays]:
        """What some planes give, to be joined in their order: together, or each plane by itself."""
        device, local = self.values.stream.device, self.reduction.local
        if not self.reproducible:
            return [local(device, values, slab)]
        return [
            local(device, values[at(slab.axis, slice(plane.start - slab.start, plane.stop - slab.start))], plane)
            for plane in _single(slab)
        ]

    def join(self, found: Sequence[Arrays], slab: Slab) -> None:
        """What look gave of the next planes."""
        for arrays, planes in zip(found, _single(slab) if self.reproducible else [slab], strict=True):
            partial = self.reduction.finished(self.values.stream.device, arrays, planes)
            if self.in_tree:
                self.tree.add(0, planes.start, partial)
            else:
                self._join(partial, planes.n_local)

    def _join(self, partial: Arrays, n_planes: int) -> None:
        """Planes to join are kept apart until the end; what is added is, from the second time on, added in place."""
        slab = self.values.stream.slab
        for known, rule, array in zip(self.joined, self.reduction.rules, partial, strict=True):
            if rule == OWN:
                if not known:
                    known.append(empty_like(self.values.stream.device, array, slab.axis, slab.n_local))
                known[0][at(slab.axis, slice(self.n_own, self.n_own + n_planes))] = array
            elif rule == JOIN or not known:
                known.append(array)
            elif rule in (SUM, PLANES) and len(known) == 2:
                known[0] += array
            else:
                known[:] = [JOINED[rule](known[0], array), None]
        self.n_own += n_planes

    def _partial(self) -> Arrays:
        return tuple(
            (known[0] if len(known) == 1 else np.concatenate(known)) if rule == JOIN else known[0]
            for known, rule in zip(self.joined, self.reduction.rules, strict=True)
        )

    def nodes(self) -> Nodes:
        """What is known, on the host."""
        device, axis = self.values.stream.device, self.values.stream.slab.axis
        known = self.tree.nodes if self.in_tree else [(0, self.n_own, self._partial())] * bool(self.joined[0])
        out: Nodes = []
        for level, k, part in known:
            arrays = []
            for rule, array in zip(self.reduction.rules, part, strict=True):
                if rule == OWN:  # in the order in which it lies in memory
                    array = array[at(axis, slice(0, self.n_own))]
                    array = array.T if axis == 2 else array
                arrays.append(np.asarray(device.to_host(array) if rule in (PLANES, OWN) else array))
            out.append((level, k, arrays))
        return out

    def restore(self, nodes: Nodes) -> None:
        """What was known when it was kept."""
        device, axis = self.values.stream.device, self.values.stream.slab.axis
        for level, k, part in nodes:
            arrays = tuple(
                device.asarray(array.T if rule == OWN and axis == 2 else array) if rule in (PLANES, OWN) else array
                for rule, array in zip(self.reduction.rules, part, strict=True)
            )
            if self.in_tree:
                self.tree.nodes.append((level, k, arrays))
            else:
                self._join(arrays, k)

    def result(self, comm: Comm, slab: Slab) -> Arrays:
        """All ranks together."""
        device = self.values.stream.device
        if self.in_tree:
            return combined_trees(self.reduction, comm, device, self.tree, slab)
        return combined(self.reduction, comm, device, self._partial(), slab)


class Run:
    """Passes that share one limit of memory and one checkpoint.

    limit       bytes that this process may take; None: as it likes
    checkpoint  where partial results are kept; None: nowhere
    scratch     folder of files that are needed on the way; None: where the system has its own (TMPDIR)
    """

    def __init__(
        self, limit: Limit | None = None, checkpoint: Checkpoint | None = None, scratch: Path | None = None
    ) -> None:
        self.limit, self.checkpoint = limit, checkpoint
        self.folder = scratch or Path(gettempdir())
        self._pending: dict[Stream, dict[str, _Request]] = {}
        self._seen: set[str] = set()
        self._remembered: dict[str, Arrays] = {}
        self._found: dict[str, Arrays] = {}
        self._streams: dict[str, Stream] = {}
        self._number = 0

    def reduce(self, values: Unread, reduction: Reduction, reproducible: bool) -> Arrays:
        """The arrays of a reduction: remembered, or found by a pass that everybody who waits shares."""
        request = _Request(values, reduction, reproducible)
        name, stream = request.name, values.stream
        if name in self._remembered:
            return self._remembered[name]
        waiting = self._pending.setdefault(stream, {})
        if values.name not in self._seen:
            for more in stream.first:
                always = _Request(values, more, reproducible)
                waiting.setdefault(always.name, always)
        if stream.review is not None and stream.name not in self._seen:
            always = _Request(Unread(stream), stream.review[0], reproducible)
            waiting.setdefault(always.name, always)
        waiting.setdefault(name, request)
        self.answer()
        return self._found[name]

    def watch(self, values: Unread, reproducible: bool) -> Watched:
        """What finds the first reductions of values while somebody else goes through their planes."""
        if values.stream.review is not None and values.stream.name not in self._seen and values.steps:
            self.reduce(Unread(values.stream), values.stream.first[0], reproducible)  # or nobody would review them
        return Watched(self, values, reproducible)

    def remember(self, stream: Stream, found: dict[str, Arrays], seen: set[str]) -> None:
        """Results of values of these names, reviewed before they count."""
        if stream.review is not None and stream.name not in self._seen:
            wanted = f"{stream.name}: {stream.review[0].name}"
            stream.review[1](next(arrays for name, arrays in found.items() if name.startswith(wanted)))
            seen = seen | {stream.name}
        self._seen |= seen
        self._found |= found
        small = [sum(array.nbytes for array in arrays) <= SMALL for arrays in found.values()]
        everywhere = [all(those) for those in zip(*stream.comm.gather(small), strict=True)]  # ranks hold other planes
        self._remembered |= {
            name: arrays for (name, arrays), on_all in zip(found.items(), everywhere, strict=True) if on_all
        }

    def shared(self, stream: Stream) -> Stream:
        """The stream of this name: tasks that make the same planes from others share the passes over them."""
        return self._streams.setdefault(stream.name, stream)

    def known(self, name: str) -> Stream | None:
        """The stream of this name, if somebody has made it."""
        return self._streams.get(name)

    def answer(self) -> None:
        """Wait until everybody who takes turns has asked, then make the passes."""
        if not pause():
            self.make_passes()

    def free(self) -> int:
        """Bytes that may still be taken."""
        return 2**62 if self.limit is None else max(0, self.limit.free())

    def room(self) -> int:
        """Bytes of a result that may be in memory whole, beside the chunks that it is made from."""
        return self.free() // (2 * RESULTS_HELD)

    def make_passes(self) -> None:
        """One pass for each stream that something is asked of."""
        pending, self._pending, self._found = self._pending, {}, {}
        for stream, waiting in pending.items():
            requests = sorted(waiting.values(), key=lambda request: request.values.name)
            self.remember(stream, self._pass(stream, requests), {request.values.name for request in requests})

    def _pass(self, stream: Stream, requests: Sequence[_Request]) -> dict[str, Arrays]:
        """The results of one pass, by name."""
        comm, slab, keeper = stream.comm, stream.slab, self.checkpoint
        self._number += 1
        with agreed(comm):
            choose_device(stream.device)
            start = slab.start
            if keeper is not None:
                kept = keeper.load(self._number, [request.name for request in requests])
                if kept is not None:
                    start = kept[0]
                    for request, nodes in zip(requests, kept[1], strict=True):
                        request.restore(nodes)
            planes = stream.planes_at_once(sum(request.held_bytes for request in requests))
            chunks = [(first, min(first + planes, slab.stop)) for first in range(slab.start, slab.stop, planes)]
            if start == slab.start and not slab.n_local:
                chunks = [(start, start)]
            left = [(max(first, start), last) for first, last in chunks if last > start or first == last]
            done = len(chunks) - len(left)
            added = sum(request.added_bytes for request in requests)
            in_share = planes_a_share(stream.device, stream.plane_bytes, planes)
            if added > SMALL and any(request.reproducible for request in requests):
                in_share = 1  # each plane gives as much
            with (
                task(f"reading {stream.title}", slab.n_local) as advance,
                workers(stream.device) as (begin, most),
                closing(_chunks(stream, left)) as coming,
                closing(
                    in_shares(
                        coming,
                        in_share,
                        lambda values, share: _looks(requests, values, share),
                        begin,
                        most if added <= SMALL else min(most, RESULTS_HELD - 2),
                    )
                ) as shares,
            ):
                advance(start - slab.start)
                for share, looks, ends in shares:
                    for request, found in chain(*looks):
                        request.join(found, share)
                    del looks
                    advance(share.n_local)
                    if not ends:
                        continue
                    done, last = done + 1, share.stop
                    stop = asked() is not None and last < slab.stop
                    if keeper is not None and (stop or last == slab.stop or keeper.is_due()):
                        keeper.save(self._number, [r.name for r in requests], last, [r.nodes() for r in requests])
                    if stop:
                        check_stop(f"after chunk {done} of {len(chunks)}")
        return {request.name: request.result(comm, slab) for request in requests}


Looked = list[tuple[_Request, list[Arrays]]]
"""What requests found of some planes."""


def _single(slab: Slab) -> list[Slab]:
    """Each plane of a slab."""
    return [Slab(slab.axis, slab.n, plane, plane + 1) for plane in range(slab.start, slab.stop)]


def _looks(requests: Sequence[_Request], values: Any, slab: Slab) -> list[Callable[[], Looked]]:
    """What finds all that is asked of some planes; whatever takes steps first in one go, as they take memory."""
    groups = [list(those) for _, those in groupby(requests, key=lambda request: request.values.name)]
    looks: list[Callable[[], Looked]] = []
    stepped = [alike for alike in groups if alike[0].values.steps]
    for alike in groups:
        if not alike[0].values.steps:
            looks += [partial(_look, kin, values, slab) for kin in _kinds(alike)]
    return [*looks, partial(_after_steps, stepped, values, slab)] if stepped else looks


def _kinds(alike: Sequence[_Request]) -> list[list[_Request]]:
    """Requests of the same values that look together, or alone."""
    kinds: dict[Visit | _Request, list[_Request]] = {}
    for request in alike:
        kinds.setdefault(request.visit or request, []).append(request)
    return list(kinds.values())


def _look(kin: Sequence[_Request], values: Any, slab: Slab) -> Looked:
    """What is found by one visit for all of its kind, or by a request for itself."""
    visit = kin[0].visit
    if visit is None:
        return [(request, request.look(values, slab)) for request in kin]
    device = kin[0].values.stream.device
    each = visit(device, values, slab, [request.reduction.wanted for request in kin])
    return [(request, [arrays]) for request, arrays in zip(kin, each, strict=True)]


def _after_steps(groups: Sequence[Sequence[_Request]], values: Any, slab: Slab) -> Looked:
    """What is found after steps, those of one group at a time; steps that several share are done once."""
    found: Looked = []
    for alike in groups:
        after = alike[0].values.applied(values)
        for kin in _kinds(alike):
            found += _look(kin, after, slab)
        del after
    return found


class Watched:
    """The first reductions of values whose planes somebody writes, in their order, each rank its own."""

    def __init__(self, run: Run, values: Unread, reproducible: bool) -> None:
        self._run, self._values, self._next = run, values, values.stream.slab.start
        wanted = list(values.stream.first)
        if values.stream.review is not None and not values.steps:
            wanted.append(values.stream.review[0])
        self._requests = [_Request(values, one, reproducible) for one in wanted]

    def see(self, planes: Any, start: int, stop: int) -> None:
        """The planes start:stop on the device."""
        slab = self._values.stream.slab
        if start == self._next:
            self._next = stop
            seen = Slab(slab.axis, slab.n, start, stop)
            for kin in _kinds(self._requests):
                for request, found in _look(kin, planes, seen):
                    request.join(found, seen)

    def end(self) -> None:
        """On every rank: if all planes were seen everywhere, the results are remembered."""
        stream = self._values.stream
        slab = stream.slab
        if slab.n_local == 0:
            self.see(stream.planes(slab.start, slab.start), slab.start, slab.start)
        if all(stream.comm.gather(self._next == slab.stop)):
            found = {request.name: request.result(stream.comm, slab) for request in self._requests}
            self._run.remember(stream, found, {self._values.name})


def _chunks(
    stream: Stream, chunks: Sequence[tuple[int, int]]
) -> Generator[tuple[Slab, AbstractContextManager[Any]], None, None]:
    """Each chunk, and a context that gives its planes, read and sent to the device one chunk ahead."""
    slabs = [Slab(stream.slab.axis, stream.slab.n, first, last) for first, last in chunks]
    if not stream.ahead:
        for slab in slabs:
            yield slab, nullcontext(stream.planes(slab.start, slab.stop))
        return
    with stream.device.uploads() as begin, ThreadPoolExecutor(1) as reader:

        def begun(slab: Slab) -> AbstractContextManager[Any]:
            return begin(stream.read(slab.start, slab.stop))

        waiting = [reader.submit(begun, slab) for slab in slabs[:1]]
        for number, slab in enumerate(slabs):
            arriving = waiting.pop().result()
            if number + 1 < len(slabs):
                waiting.append(reader.submit(begun, slabs[number + 1]))
            yield slab, arriving
            del arriving


def chunks_in_order(values: Unread, held_bytes: int) -> Iterator[tuple[Slab, Any]]:
    """This rank's planes on the device, chunk by chunk, for whoever keeps something of each, so many bytes at a time.

    Raises Stopped between chunks.
    """
    stream = values.stream
    slab, count = stream.slab, stream.planes_at_once(-(-held_bytes // RESULTS_HELD))
    chunks = [(first, min(first + count, slab.stop)) for first in range(slab.start, slab.stop, count)]
    with closing(_chunks(stream, chunks)) as coming:
        for number, (planes, arriving) in enumerate(coming):
            check_stop(f"before chunk {number + 1} of {len(chunks)}")
            with arriving as chunk:
                yield planes, values.applied(chunk)


def together(values: Any, *works: Callable[[], T]) -> list[T]:
    """What the functions return; if the values are unread, their first reductions share a pass, and so the next ones.

    >>> from .unread import Unread
    >>> values = Unread(a_stream_of(np.ones((4, 3, 2))))
    >>> len(together(values, lambda: 1, lambda: 2))
    2
    """
    return in_turns(works, values.stream.run.answer) if isinstance(values, Unread) else [work() for work in works]


_current: ContextVar[Run | None] = ContextVar("gpuhomog_run", default=None)


def current_run() -> Run | None:
    """The run inside which this is called."""
    return _current.get()


@contextmanager
def running(run: Run) -> Iterator[Run]:
    """Streams opened inside the block belong to this run."""
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)


def in_chunks(values: Any, slab: Slab, comm: Comm, device: Device) -> Unread:
    """An array in memory as planes that come one after the other: all that is asked of a chunk finds it in the cache.

    Where a device rather has all planes at once (cache_chunk), there is one chunk.
    """

    def planes(start: int, stop: int) -> Any:
        return values[at(slab.axis, slice(start - slab.start, stop - slab.start))]

    stream = Stream(
        "values in memory",
        "the values",
        planes,
        values.shape,
        values.dtype,
        slab,
        comm,
        device,
        Run(),
        ahead=False,
        chunk_bytes=device.cache_chunk,
    )
    return Unread(stream)


def a_stream_of(values: NDArray[Any]) -> Stream:
    """The planes of an array, for examples."""
    return in_chunks(values, Slab.of(len(values)), Serial(), choose_device("cpu")).stream
