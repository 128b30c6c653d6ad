"""HDF5 output: a Field in schema version 1 (readers/hdf5.py has the layout).

HDF5 makes the file, with a place for every chunk; the values are then written there past it, by every rank its own.

The library HDF5 dies at exit when a write fails under it (disk full). Its bytes therefore go through a file
object that swallows everything after the first failure, which is raised once HDF5 has let go.

In   open temporary path, Field.
Out  the file without values; where its planes of a lie in it (places.py).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import SCHEMA_FORMAT, SCHEMA_VERSION
from ..field import Field
from .described import STRUCTURE, UNITS, facts_of
from .places import Piece, Places

CHUNK_BYTES = 2**20


class _Sink(io.RawIOBase):
    """A binary file for reading and writing that keeps its first error instead of raising it."""

    def __init__(self, path: Path) -> None:
        self.file = open(path, "r+b", buffering=0)  # noqa: SIM115
        self.error: OSError | None = None

    def _try(self, action: Any, *arguments: Any) -> Any:
        if self.error is None:
            try:
                return action(*arguments)
            except OSError as error:
                self.error = error
        return None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            written = self._try(self.file.write, view[done:])
            if not written:
                if self.error is not None:
                    self.file.seek(len(view) - done, os.SEEK_CUR)
                break
            done += written
        return len(view)

    def readinto(self, buffer: Any) -> int:
        count = self._try(self.file.readinto, buffer)
        return len(memoryview(buffer)) if count is None else count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def truncate(self, size: int | None = None) -> int:
        self._try(self.file.truncate, size)
        return size or 0

    def flush(self) -> None:
        if not self.closed:
            self._try(self.file.flush)

    def close(self) -> None:
        super().close()
        self.file.close()


@contextmanager
def hdf5_file(path: Path) -> Iterator[Any]:
    """A new HDF5 file with the root attributes; at the end the first write error is raised, if there was one."""
    import h5py

    sink = _Sink(path)
    try:
        with h5py.File(sink, "w") as file:
            file.attrs["format"] = SCHEMA_FORMAT
            file.attrs["version"] = SCHEMA_VERSION
            yield file
        if sink.error is not None:
            raise sink.error
    finally:
        sink.close()


def planes_per_chunk(field: Field) -> int:
    """Planes of a in one chunk."""
    plane_bytes = field.grid.points_per_plane(0) * field.values.dtype.itemsize
    return min(field.grid.shape[0], max(1, CHUNK_BYTES // plane_bytes))


def begin(path: Path, field: Field) -> list[int]:
    """Write everything but the values; returns the offset of every chunk. Raises OSError if the system refuses."""
    import h5py

    with hdf5_file(path) as file:
        grid, planes = field.grid, planes_per_chunk(field)
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        values = file.create_dataset(
            "field/values",
            shape=grid.shape,
            dtype=np.dtype(field.values.dtype).newbyteorder("<"),
            chunks=(planes, grid.shape[1], grid.shape[2]),
            dcpl=creation,
        )
        for name, fact in facts_of(field).items():
            if name in ("quantity", "unit"):
                values.attrs[name] = fact
                continue
            folder = "" if name == "provenance" else "structure/" if name in STRUCTURE else "field/"
            file[folder + name] = np.array(fact, dtype=object) if name == "boundary" else fact
            if name in UNITS:
                file[folder + name].attrs["unit"] = UNITS[name]
        first_planes = range(0, grid.shape[0], planes)
        return [values.id.get_chunk_info_by_coord((first, 0, 0)).byte_offset for first in first_planes]


def places(field: Field, offsets: list[int]) -> Places:
    """Chunk after chunk, wherever HDF5 has put it."""
    planes, plane_bytes = planes_per_chunk(field), field.grid.points_per_plane(0) * field.values.dtype.itemsize

    def pieces(start: int, block: NDArray[Any]) -> Iterator[Piece]:
        for chunk, inside, part in chunk_parts(start, block, planes):
            yield "", offsets[chunk] + inside * plane_bytes, part

    return Places(pieces)


def chunk_parts(start: int, block: NDArray[Any], planes: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """A block cut where chunks of some planes end: (chunk, first plane in it, the planes as they lie in a file)."""
    first, stop = start, start + len(block)
    while first < stop:
        chunk, inside = divmod(first, planes)
        last = min((chunk + 1) * planes, stop)
        part = block[first - start : last - start]
        yield chunk, inside, np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("<"))
        first = last
