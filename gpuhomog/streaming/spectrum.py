"""Filters of fields larger than memory: their spectrum is on the disk, and each of its modes is multiplied there.

    planes in    read in their order, zeros behind them on axes that are padded, transformed within themselves, put down
    rows         of all planes, some at a time: padded across the planes, transformed, multiplied, transformed back
    planes out   taken, transformed back and cut when somebody asks for them: written, or passed over, as planes are

What is exact in memory is exact here: the same transforms, multipliers and padding (fft.convolved). Ranks put down
their own planes, and transpose some rows at a time. The spectrum is written twice and read twice; on the disk it takes
the size of the field, for each open axis but the file's slowest twice that; each of several results (the components of
E) as much.

In   Unread values, multipliers on their grid or on one with more points behind them.
Out  Unread values, planes of which are made when asked for; or the rows of the spectrum themselves.

>>> from .passes import a_stream_of
>>> wave = np.cos(2 * np.pi * np.arange(8) / 8)[:, None, None] * np.ones((1, 2, 3))
>>> halved = Multiplier((8, 2, 3), [lambda a, b, c: 0.5 * np.ones(np.broadcast(a, b, c).shape)])
>>> (found,) = filtered_on_disk(Unread(a_stream_of(wave)), [halved], ["halved"])
>>> bool(np.allclose(found[2:4], 0.5 * wave[2:4]))
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from ..errors import InputError
from ..fft import SLOWEST_FIRST, Multiplier, check_range, magnitude, modes_of_rows, scale_of
from ..parallel import Slab, agreed, transpose
from ..progress import task
from ..reduction import extrema, plane_sums
from .memory import Limit
from .passes import Stream, chunks_in_order
from .scratch import Scratch, check_room
from .stops import check_stop
from .unread import Unread

PIECE_BYTES = 4 * 2**20
"""Planes of a chunk that are padded and transformed at once, if they are more than one."""
PIECES_HELD = 5
"""A piece as it is padded along one axis, along both, its spectrum and what transforms take."""
LINES_BYTES = 256 * 2**20
"""Rows of all planes that are multiplied at once, at most."""
LINES_HELD = 4
"""Padded lines, their transform and what that takes."""
KERNEL_ROWS = 12
"""Numbers of 8 bytes that a multiplier takes for each mode of a row, on each thread."""


def filtered_on_disk(values: Unread, multipliers: Sequence[Multiplier], names: Sequence[str]) -> list[Unread]:
    """The values with every mode multiplied, one result for each multiplier; collective.

    multipliers  of one shape, that of the whole field or larger: then zeros follow the values
    names        what is done to the values; the same results of the same values are found once in a run

    Raises InputError if the disk has no room, or the memory not for one row; Stopped between chunks.
    """
    stream = values.stream
    run, comm, slab = stream.run, stream.comm, stream.slab
    known = [run.known(f"{values.name}, {name}") for name in names]
    if all(stream_of is not None for stream_of in known):
        return [Unread(stream_of) for stream_of in known if stream_of is not None]
    order = SLOWEST_FIRST[slab.axis]
    stored = [replace(multiplier, order=order) for multiplier in multipliers]
    _, n_1, n_2 = (stream.shape[axis] for axis in order)
    _, m_1, m_2 = stored[0].stored_shape
    dtype = np.dtype(np.complex64 if values.dtype == np.float32 else np.complex128)
    shape = (slab.n_local, m_1, m_2 // 2 + 1)
    n_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    check_room(run.folder, comm, len(names) * n_bytes, len(names) * values.nbytes, f"{names[0]} of {stream.title}")
    with agreed(comm):
        files = [Scratch(run.folder, shape, dtype) for _ in names]
    power = _fill(values, files[-1], order, stored[0].stored_shape)
    for target, multiplier in zip(files, stored, strict=True):
        _multiplied(stream, files[-1], target, multiplier)
    made = []
    for file, name in zip(files, names, strict=True):
        planes = _planes_of(stream.device, file, slab, order, (n_1, n_2), (m_1, m_2), values.dtype, power)
        one = Stream(
            name=f"{values.name}, {name}",
            title=f"{name} of {stream.title}",
            read=planes,
            shape=stream.shape,
            dtype=values.dtype,
            slab=slab,
            comm=comm,
            device=stream.device,
            run=run,
            first=(extrema(), plane_sums(slab.axis, slab.axis)),
            ahead=False,
            held_bytes=PIECES_HELD * _piece_bytes(m_1, m_2, values.dtype.itemsize),
        )
        made.append(Unread(run.shared(one)))
    return made


class RowsOnDisk:
    """What fft.RowsOfModes is of values in memory: the spectrum row by row, ranks have their own rows; from the disk.

    order, shape, modes  as there
    held                 numbers of 8 bytes that whoever looks at a row takes for each of its modes

    Iterating, on all ranks together, gives (i, f~): the number of a row, and its (n_0, n_2//2 + 1) coefficients.
    """

    def __init__(self, values: Unread, held: int) -> None:
        stream = values.stream
        self.order = SLOWEST_FIRST[stream.slab.axis]
        n_1, n_2 = (stream.shape[axis] for axis in self.order[1:])
        self.shape = stream.slab.n, n_1, n_2
        self.modes = modes_of_rows(self.shape)
        self._stream, self._held = stream, held
        dtype = np.dtype(np.complex64 if values.dtype == np.float32 else np.complex128)
        shape = (stream.slab.n_local, n_1, n_2 // 2 + 1)
        n_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
        check_room(stream.run.folder, stream.comm, n_bytes, 0, f"spectrum of {stream.title}")
        with agreed(stream.comm):
            self._file = Scratch(stream.run.folder, shape, dtype)
        self._power = _fill(values, self._file, self.order, self.shape)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.complex128]]]:
        device = self._stream.device
        norm = float(self.shape[1] * self.shape[2]) / self._power
        for first, _, modes, own in _lines(self._stream, self._file, self.shape, self._held):
            lines = device.ifft_lines(modes)  # the forward transform over n_0, its modes 0, -1, -2, …
            for row in range(own.n_local):
                values = device.to_host(device.compact(lines[:, row : row + 1, :]))
                yield first + own.start + row, values[:, 0].astype(np.complex128) / norm


def _lines(stream: Stream, source: Scratch, stored: Sequence[int], held: int) -> Iterator[tuple[int, int, Any, Slab]]:
    """Rows first:last of all planes, those of this rank with all planes, and which they are; collective.

    held  as in line_bytes
    """
    comm, slab, (n_local, n_rows, _) = stream.comm, stream.slab, source.shape
    with agreed(comm):
        count = _rows_at_once(stream, stored, source.dtype.itemsize // 2, held)
    count = min(comm.gather(count))
    across = Slab(0, slab.n, slab.start, slab.stop)
    with task(f"reading the spectrum of {stream.title}", n_rows) as advance:
        for first in range(0, n_rows, count):
            last = min(first + count, n_rows)
            with agreed(comm):
                check_stop(f"between rows {first} and {last} of {n_rows} of a spectrum")
                rows = source.get(slice(0, n_local), slice(first, last))
            modes, own = transpose(comm, stream.device, across, stream.device.asarray(rows), 1, last - first)
            yield first, last, modes, own
            advance(last - first)


def _piece_bytes(m_1: int, m_2: int, itemsize: int) -> int:
    """Of the planes that are transformed at once, padded."""
    return max(PIECE_BYTES, m_1 * (m_2 + 2) * itemsize)


def _pieces(start: int, stop: int, m_1: int, m_2: int, dtype: np.dtype[Any]) -> list[slice]:
    """Planes start:stop in stretches that are transformed at once."""
    count = max(1, PIECE_BYTES // (m_1 * (m_2 + 2) * dtype.itemsize))
    return [slice(first, min(first + count, stop)) for first in range(start, stop, count)]


def _fill(values: Unread, target: Scratch, order: tuple[int, int, int], stored: Sequence[int]) -> float:
    """The spectrum of each plane into the target, and the power of two that it was divided by (fft.in_range).

    How large the values are is seen on the way, so that they are read once; again where they were too large for their
    precision. Collective.
    """
    comm = values.stream.comm
    with agreed(comm):
        largest = _transformed(values, target, order, (stored[1], stored[2]), 1.0)
    power = scale_of(max(comm.gather(largest)), int(np.prod(stored, dtype=object)))
    if power != 1.0:
        with agreed(comm):
            _transformed(values, target, order, (stored[1], stored[2]), power)
    return power


def _transformed(
    values: Unread, target: Scratch, order: tuple[int, int, int], padded: tuple[int, int], power: float
) -> float:
    """Put the spectrum of each of this rank's planes, divided by the power; the largest |value|, of float32 alone."""
    stream, (m_1, m_2), largest = values.stream, padded, 0.0
    device, slab = stream.device, stream.slab
    with task(f"transforming {stream.title}", slab.n_local) as advance:
        for planes, chunk in chunks_in_order(values, PIECES_HELD * _piece_bytes(m_1, m_2, values.dtype.itemsize)):
            stacked = chunk.transpose(order)
            if values.dtype == np.float32:
                largest = max(largest, magnitude(device, chunk))
            for some in _pieces(0, planes.n_local, m_1, m_2, values.dtype):
                piece = device.pad(device.pad(stacked[some], 1, 0, m_1), 2, 0, m_2)
                if power != 1.0:
                    piece *= piece.dtype.type(1 / power)
                spectrum = device.to_host(device.rfft_planes(piece))
                first = planes.start - slab.start + some.start
                target.put(slice(first, first + len(spectrum)), slice(0, m_1), spectrum)
            advance(planes.n_local)
    return largest


def _multiplied(stream: Stream, source: Scratch, target: Scratch, multiplier: Multiplier) -> None:
    """Every row of all planes: transformed across them, multiplied and transformed back; collective."""
    device, comm, slab, n_local = stream.device, stream.comm, stream.slab, source.shape[0]
    m_0 = multiplier.stored_shape[0]
    held = KERNEL_ROWS * min(getattr(device, "threads", 1), source.shape[1])
    for first, last, modes, own in _lines(stream, source, multiplier.stored_shape, held):
        with agreed(comm):
            here = first + own.start
            for low, high, chosen in multiplier.stretches(here, first + own.stop):
                lines = device.filter_lines(device.pad(modes[:, low:high], 0, 0, m_0), chosen, here + low)
                modes[:, low:high] = lines[: slab.n]
        back, _ = transpose(comm, device, own, modes, 0, slab.n)
        with agreed(comm):
            target.put(slice(0, n_local), slice(first, last), device.to_host(back))


def line_bytes(stored: Sequence[int], n: int, ranks: int, itemsize: int, held: int) -> tuple[int, int]:
    """Memory of one row of all planes for each rank, and what whoever looks at a row takes beside them.

    stored  sizes of the padded grid, the slab's axis first, the fastest last
    n       planes of the field, shared by the ranks
    held    numbers of 8 bytes for each mode of a row
    """
    columns = stored[2] // 2 + 1
    rows = 2 * itemsize * columns * (2 * -(-n // ranks) * ranks + n + LINES_HELD * stored[0])
    return rows, 8 * held * stored[0] * columns


def least_bytes(stored: Sequence[int], n: int, ranks: int, itemsize: int, threads: int) -> int:
    """The least memory of a rank beside chunks of its planes."""
    pieces = PIECES_HELD * _piece_bytes(stored[1], stored[2], itemsize)
    return max(pieces, sum(line_bytes(stored, n, ranks, itemsize, KERNEL_ROWS * min(threads, stored[1]))))


def _rows_at_once(stream: Stream, stored: Sequence[int], itemsize: int, held: int) -> int:
    """Rows of all planes that may be in memory, some for each rank; InputError if not one for each may."""
    limit, ranks = stream.run.limit or Limit(2**62), stream.comm.size
    rows, beside = line_bytes(stored, stream.slab.n, ranks, itemsize, held)
    room = limit.free() - beside
    if room < rows:
        raise limit.refusal(
            f"{stream.title}: {limit.n_bytes / 1e6:.0f} MB of memory are not enough for one row of all planes of its "
            f"spectrum, {(rows + beside) / 1e6:.0f} MB",
            limit.n_bytes - room + rows,
        )
    return int(ranks * max(1, min(room, LINES_BYTES) // rows))


def _planes_of(
    device: Device,
    source: Scratch,
    slab: Slab,
    order: tuple[int, int, int],
    shape: tuple[int, int],
    padded: tuple[int, int],
    dtype: np.dtype[Any],
    power: float,
) -> Callable[[int, int], Any]:
    """What makes planes start:stop of the slab's axis from a spectrum, times the power."""
    (n_1, n_2), (m_1, m_2) = shape, padded

    def planes(start: int, stop: int) -> Any:
        if start < stop and not slab.start <= start < stop <= slab.stop:
            raise InputError(
                f"Planes {start} to {stop} of a result on the disk are with other ranks, and this one has {slab.start} "
                f"to {slab.stop}: write it to a file and read that, or run on one rank."
            )
        result = device.empty((stop - start, n_1, n_2), dtype)
        for some in _pieces(0, stop - start, m_1, m_2, dtype):
            here = slice(start - slab.start + some.start, start - slab.start + some.stop)
            spectrum = device.asarray(source.get(here, slice(0, m_1)))
            result[some] = device.irfft_planes(spectrum, (some.stop - some.start, m_1, m_2))[:, :n_1, :n_2]
        if power != 1.0 and result.size:
            check_range(magnitude(device, result), power)
            result *= result.dtype.type(power)
        return result.transpose(order)

    return planes
