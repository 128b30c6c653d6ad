"""HDF5 output: a Field in schema version 1 (readers/hdf5.py has the layout).

The library HDF5 dies at exit when a write fails under it (disk full). Its bytes therefore go through a file
object that swallows everything after the first failure, which is raised once HDF5 has let go.

In   open temporary path, Field, its blocks of planes of a.
Out  nothing but the file.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import SCHEMA_FORMAT, SCHEMA_VERSION
from ..field import Field
from .described import STRUCTURE, UNITS, facts_of

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
def hdf5_file(path: Path) -> Iterator[tuple[Any, Any]]:
    """A new HDF5 file with the root attributes, and a function that raises the first write error, if there was one."""
    import h5py

    sink = _Sink(path)

    def check() -> None:
        if sink.error is not None:
            raise sink.error

    try:
        with h5py.File(sink, "w") as file:
            file.attrs["format"] = SCHEMA_FORMAT
            file.attrs["version"] = SCHEMA_VERSION
            yield file, check
        check()
    finally:
        sink.close()


def write_field(path: Path, field: Field, blocks: Iterable[tuple[int, NDArray[Any]]]) -> None:
    """Write the field; raises OSError if the system refuses."""
    with hdf5_file(path) as (file, check):
        grid = field.grid
        plane_bytes = grid.points_per_plane(0) * field.values.dtype.itemsize
        planes = min(grid.shape[0], max(1, CHUNK_BYTES // plane_bytes))
        values = file.create_dataset(
            "field/values",
            shape=grid.shape,
            dtype=field.values.dtype,
            chunks=(planes, grid.shape[1], grid.shape[2]),
            fillvalue=np.nan,
        )
        for name, fact in facts_of(field).items():
            if name in ("quantity", "unit"):
                values.attrs[name] = fact
                continue
            folder = "" if name == "provenance" else "structure/" if name in STRUCTURE else "field/"
            file[folder + name] = np.array(fact, dtype=object) if name == "boundary" else fact
            if name in UNITS:
                file[folder + name].attrs["unit"] = UNITS[name]
        for start, block in blocks:
            for first in range(0, len(block), planes):
                part = block[first : first + planes]
                values[start + first : start + first + len(part)] = np.ascontiguousarray(part)
                check()
