"""NumPy archive output: a Field as .npz, in the memory order of the field (readers/numpy_files.py has the names).

The archive is not compressed, so that planes can be read from, and written to, the middle of it. The checksum of the
values, which a zip archive stores, is put together from those of the ranks' parts.

In   Field.
Out  where its planes of the slowest axis in memory lie in the file (places.py); the rest of the archive once they are
     written.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from .described import facts_of
from .places import Piece, Places

Checked = tuple[int, int]
"""CRC-32 of some bytes, and how many they are."""


def slowest_axis(field: Field) -> int:
    """0 for C order, 2 for Fortran order; the same on every rank, which all call this.

    Where the planes of no rank tell, because they are lines, it is the axis that is split, if that can be.
    """
    strides = getattr(field.values, "strides", ())
    long = [abs(stride) for stride, n in zip(strides, field.values.shape, strict=False) if n > 1]
    known = [] if 0 in field.values.shape or len(long) < 2 else [2 if long == sorted(long) else 0]
    return next((axis for found in field.comm.gather(known) for axis in found), 2 if field.slab.axis == 2 else 0)


def places(field: Field, axis: int) -> Places:
    """The values, after the headers of the archive and of the array."""
    start_of_archive = io.BytesIO()
    with zipfile.ZipFile(start_of_archive, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        begin = _begin_values(archive, start_of_archive, field, axis)
    dtype = np.dtype(field.values.dtype).newbyteorder("<")
    plane_bytes = field.grid.points_per_plane(axis) * dtype.itemsize

    def pieces(start: int, block: NDArray[Any]) -> Iterator[Piece]:
        yield "", begin + start * plane_bytes, np.ascontiguousarray(block.T if axis == 2 else block, dtype=dtype)

    return Places(pieces, begin + field.grid.shape[axis] * plane_bytes)


def finish(path: Path, field: Field, axis: int, parts: Sequence[Checked]) -> None:
    """Write everything but the values, of which `parts` are checksums in their order. OSError if the system refuses."""
    with open(path, "r+b") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        begin = _begin_values(archive, file, field, axis)
        values = archive.getinfo("values.npy")
        for crc, n_bytes in parts:
            values.CRC = crc32_combine(values.CRC, crc, n_bytes)
            values.file_size += n_bytes
        values.compress_size = values.file_size
        file.seek(0)
        file.write(values.FileHeader(zip64=True))
        archive.start_dir = begin + sum(n_bytes for _, n_bytes in parts)
        for name, value in facts_of(field).items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)


def _begin_values(archive: zipfile.ZipFile, file: IO[bytes], field: Field, axis: int) -> int:
    """Write the headers of the archive and of the array; returns where the values begin."""
    dtype = np.dtype(field.values.dtype).newbyteorder("<")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": axis == 2, "shape": field.grid.shape}
    with archive.open("values.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_2_0(member, header)
    return file.tell()


def crc32_combine(first: int, second: int, n_bytes: int) -> int:
    """CRC-32 of two texts joined, from that of each and the length of the second.

    A CRC is a polynomial over GF(2) modulo that of CRC-32; to append n bytes multiplies the first by x^(8n).

    >>> import zlib
    >>> crc32_combine(zlib.crc32(b"one "), zlib.crc32(b"two"), 3) == zlib.crc32(b"one two")
    True
    """
    shift, power = 1 << 31, 1 << 23  # bits are reversed: x^0 and x^8
    while n_bytes:
        if n_bytes & 1:
            shift = _multiply(shift, power)
        power = _multiply(power, power)
        n_bytes >>= 1
    return _multiply(first, shift) ^ second


def _multiply(a: int, b: int) -> int:
    """The product of two polynomials modulo that of CRC-32, bits reversed."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (0xEDB88320 if b & 1 else 0)
    return product
