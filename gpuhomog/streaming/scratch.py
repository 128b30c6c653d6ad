"""Scratch: a rank's planes of a spectrum in a file without a name, put and taken by planes or by rows.

The file has no name from its first moment on (O_TMPFILE, or removed while it is open), so that however a run ends, by
an error, a signal or a lost machine, the system takes it back. It is written and read at offsets, not mapped: mapped
pages count as memory of the process, what the system caches of a file does not.

In   a folder, (planes, rows, columns) of one precision.
Out  arrays of the host. InputError, one sentence, where the disk has no room.

>>> import tempfile
>>> scratch = Scratch(Path(tempfile.gettempdir()), (2, 4, 3), np.dtype(np.complex64))
>>> scratch.put(slice(0, 2), slice(1, 3), np.arange(12).reshape(2, 2, 3))
>>> scratch.get(slice(1, 2), slice(2, 3)).real.tolist()
[[[9.0, 10.0, 11.0]]]
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..parallel import Comm, agreed


class Scratch:
    """Complex numbers (planes, rows, columns) on the disk.

    folder  where the file is, as long as it is open
    """

    def __init__(self, folder: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.folder, self.shape, self.dtype = folder, shape, dtype
        try:
            with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            raise self._refused(error) from None
        finalize(self, os.close, self._descriptor)  # with the last who knows of it

    def put(self, planes: slice, rows: slice, values: NDArray[Any]) -> None:
        """Write some rows of some planes; InputError where the disk is full."""
        content = np.ascontiguousarray(values, self.dtype)
        try:
            for offset, part in self._stretches(planes, rows, content):
                view = part.data.cast("B")
                while len(view):
                    written = os.pwrite(self._descriptor, view, offset)
                    view, offset = view[written:], offset + written
        except OSError as error:
            raise self._refused(error) from None

    def get(self, planes: slice, rows: slice) -> NDArray[Any]:
        """Read some rows of some planes."""
        shape = (planes.stop - planes.start, rows.stop - rows.start, self.shape[2])
        values = np.empty(shape, self.dtype)
        for offset, part in self._stretches(planes, rows, values):
            view = part.data.cast("B")
            while len(view):
                read = os.preadv(self._descriptor, [view], offset)
                if read == 0:  # never written: cannot be
                    raise OSError(f"{self.folder}: the scratch file ends at {offset} bytes")
                view, offset = view[read:], offset + read
        return values

    def _stretches(self, planes: slice, rows: slice, values: NDArray[Any]) -> list[tuple[int, NDArray[Any]]]:
        """(offset, values) of what lies together: all planes, or the rows of each."""
        _, n_rows, n_columns = self.shape
        row = n_columns * self.dtype.itemsize
        if values.size == 0:
            return []
        if rows.start == 0 and rows.stop == n_rows:
            return [(planes.start * n_rows * row, values.reshape(-1))]
        first = [((planes.start + i) * n_rows + rows.start) * row for i in range(len(values))]
        return [(offset, plane.reshape(-1)) for offset, plane in zip(first, values, strict=True)]

    def _refused(self, error: OSError) -> InputError:
        return InputError(
            f"{self.folder}: the scratch file of a spectrum could not be written there ({error.strerror or error}); "
            "no output was touched. Make room, or choose another folder for the output (TMPDIR where none is written)."
        )


def check_room(folder: Path, comm: Comm, n_bytes: int, result_bytes: int, what: str) -> None:
    """InputError on every rank if the disk has no room for the scratch and the results of all of them; collective.

    n_bytes, result_bytes  of this rank; all ranks are taken to write to one disk, as they do beside an output
    """
    scratch, results = sum(comm.gather(n_bytes)), sum(comm.gather(result_bytes))
    with agreed(comm):
        free = shutil.disk_usage(folder).free
        if scratch + results > free:
            raise InputError(
                f"{folder}: the {what} takes {scratch / 1e9:.3g} GB of scratch and {results / 1e9:.3g} GB as a result, "
                f"and {free / 1e9:.3g} GB are free there. Make room, or choose another folder for the output (TMPDIR "
                "where none is written)."
            )
