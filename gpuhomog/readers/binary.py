"""Binary streams: raw planes from a file, plain or compressed, straight into the array that is returned.

In   path or seekable stream, where the array begins, its dtype, shape and order.
Out  local values (a, b, c). FileFormatError where the bytes end too early, before allocation if the file is plain.

>>> import io
>>> stored = np.arange(24, dtype=">f4").reshape(2, 3, 4)
>>> layout = Layout(stored.dtype, stored.shape, fortran_order=False, offset=0)
>>> read_layout(Path("x"), io.BytesIO(stored.tobytes()), layout, 1, 2, np.dtype(np.float64))[0, 0]
array([12., 13., 14., 15.])
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError
from .compressed import open_bytes

COPY_BYTES = 8 * 2**20
_OPENERS: dict[str, Any] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged compressed file raises."""


def open_binary(path: Path) -> IO[bytes]:
    """The decompressed, seekable content of a file. Raises as compressed.open_bytes."""
    opener = _OPENERS.get(open_bytes(path).compression, open)
    stream: IO[bytes] = opener(path, "rb")
    return stream


def check_size(path: Path, n_bytes: int) -> None:
    """FileFormatError if the file cannot hold that many bytes; allocates nothing."""
    file = open_bytes(path)
    if n_bytes > file.most_bytes:
        raise FileFormatError(
            f"{path}: its header announces {n_bytes} bytes, more than this {file.compression} file of {file.stored} "
            "bytes can hold; it is truncated or damaged.".replace("  ", " ")
        )


@dataclass(frozen=True)
class Layout:
    """How an array lies in a stream: offset [bytes], dtype as stored, shape (a, b, c), memory order."""

    dtype: np.dtype[Any]
    shape: tuple[int, int, int]
    fortran_order: bool
    offset: int

    @property
    def slowest_axis(self) -> int:
        """The axis whose planes lie one after the other."""
        return 2 if self.fortran_order else 0

    @property
    def n_bytes(self) -> int:
        """Size of the whole array (a Python int: no overflow, whatever a header says)."""
        return self.shape[0] * self.shape[1] * self.shape[2] * self.dtype.itemsize


def read_layout(
    path: Path, stream: IO[bytes], layout: Layout, start: int, stop: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The planes start:stop of the slowest axis; Fortran-ordered arrays stay so in memory."""
    axis = layout.slowest_axis
    planar = layout.shape[::-1][1:] if layout.fortran_order else layout.shape[1:]
    plane_bytes = planar[0] * planar[1] * layout.dtype.itemsize
    try:
        local = np.empty((stop - start, *planar), dtype=dtype)
    except MemoryError:
        raise FileFormatError(f"{path}: {stop - start} planes of {plane_bytes} bytes do not fit in memory.") from None
    try:
        stream.seek(layout.offset + start * plane_bytes)
        if local.dtype == layout.dtype:
            complete = fill(stream, local.reshape(-1).view(np.uint8).data) if local.size else True
        else:
            step = max(1, COPY_BYTES // plane_bytes)
            part = np.empty((min(step, stop - start), *planar), dtype=layout.dtype)
            complete = True
            for first in range(0, stop - start, step):
                count = min(step, stop - start - first)
                complete = complete and fill(stream, part[:count].reshape(-1).view(np.uint8).data)
                local[first : first + count] = part[:count]
    except DAMAGED as error:
        raise FileFormatError(f"{path}: planes {start}:{stop} cannot be read ({error}); it is damaged.") from None
    if not complete:
        raise FileFormatError(f"{path}: ends before plane {stop} of {layout.shape[axis]}; it is truncated.")
    return local.transpose(2, 1, 0) if layout.fortran_order else local


def fill(stream: IO[bytes], view: memoryview) -> bool:
    """Fill the view from the stream; False if the stream ends first."""
    done = 0
    while done < len(view):
        count = stream.readinto(view[done : done + 2**30])  # type: ignore[attr-defined]
        if not count:
            return False
        done += count
    return True
