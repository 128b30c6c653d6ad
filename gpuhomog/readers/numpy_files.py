"""NumPy files: arrays in .npz with their cell, or in .npy beside a .json file that has it.

    NAME.npz    values (a, b, c); cell (3, 3) rows in Å; and, if wanted, origin, boundary, quantity, unit,
                numbers, positions, charges: readers/described.py says what each means
    NAME.npy    values (a, b, c); the same other names as one JSON object in NAME.json

Without a quantity the array is a "scalar" in its own unit; a quantity without a unit means atomic units. Both
memory orders are read plane by plane. Pickles are never loaded.

    np.savez("rho.npz", values=rho, cell=cell, quantity="electron_density", unit="1/Å^3")

In   path; .npy and .npz may be compressed (.gz, .bz2, .xz).
Out  Source. Refused: an array without a cell, arrays of objects or complex numbers, headers that announce more
     than the file holds.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, GpuhomogError, nearest_known
from .binary import DAMAGED, Layout, check_size, open_binary, read_layout
from .compressed import without_compression
from .described import FACTS, check_real, describe
from .source import NOTHING_CHOSEN, Choices, Source

KINDS = ("npy", "npz")
NPY_SIGNATURE = b"\x93NUMPY"
ZIP_SIGNATURE = b"PK\x03\x04"


def recognises(head: bytes, path: Path) -> bool:
    """True for a .npy array, and for a zip archive whose first member is one."""
    if head.startswith(NPY_SIGNATURE):
        return True
    if not head.startswith(ZIP_SIGNATURE) or len(head) < 30:
        return False
    (length,) = struct.unpack_from("<H", head, 26)
    return head[30 : 30 + length].endswith(b".npy")


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Read the header of the array and what is said about it."""
    try:
        with open_binary(path) as stream:
            head = stream.read(len(NPY_SIGNATURE))
            stream.seek(0)
            if head == NPY_SIGNATURE:
                return _open_npy(path, stream)
            if head.startswith(ZIP_SIGNATURE):
                return _open_npz(path, stream)
    except DAMAGED as error:
        raise FileFormatError(f"{path}: cannot be read ({error}); it is damaged.") from None
    raise FileFormatError(f"{path}: neither a .npy array nor a .npz archive (it begins with {head!r}).")


def _layout(path: Path, stream: IO[bytes]) -> Layout:
    """The layout of the .npy array that begins here; its offset is relative to this place."""
    begin = stream.tell()
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except Exception as error:  # NumPy evaluates the header, and raises what that raises
        raise FileFormatError(f"{path}: the header of its array cannot be read ({error}).") from None
    if dtype.hasobject:
        raise FileFormatError(f"{path}: holds Python objects, which are never unpickled. Save an array of numbers.")
    check_real(path, dtype)
    if len(shape) != 3:
        raise FileFormatError(f"{path}: the array has shape {tuple(shape)}; a field needs three axes (a, b, c).")
    if min(shape) < 1:
        raise FileFormatError(f"{path}: the array has shape {tuple(shape)}; counts must be at least 1.")
    return Layout(dtype, (shape[0], shape[1], shape[2]), bool(fortran_order), stream.tell() - begin)


def _open_npy(path: Path, stream: IO[bytes]) -> Source:
    layout = _layout(path, stream)
    check_size(path, layout.offset + layout.n_bytes)
    beside = without_compression(path).with_suffix(".json")
    if not beside.is_file():
        raise FileFormatError(
            f'{path}: a .npy array has no cell. Put {beside.name} beside it, {{"cell": [[..], [..], [..]]}} with rows '
            "in Å (and quantity, unit), or save a .npz with values and cell, or use gpuhomog.Field.from_array."
        )
    try:
        facts = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileFormatError(f"{beside}: is not JSON ({error}).") from None
    if not isinstance(facts, dict):
        raise FileFormatError(f'{beside}: must hold one JSON object, {{"cell": …}}.')
    for key in facts:
        if key not in FACTS:
            raise FileFormatError(f'{beside}: unknown key "{key}": {nearest_known(key, FACTS)}')
    if isinstance(facts.get("provenance"), list):
        facts["provenance"] = json.dumps(facts["provenance"])

    def planes(start: int, stop: int, block: str, dtype: np.dtype) -> NDArray[np.floating]:
        with open_binary(path) as again:
            return read_layout(path, again, layout, start, stop, dtype)

    return _source(path, "npy", layout, facts, planes, remarks=(f"Cell and unit come from {beside.name}.",))


def _open_npz(path: Path, stream: IO[bytes]) -> Source:
    try:
        with zipfile.ZipFile(stream) as archive:
            members = {name.removesuffix(".npy"): name for name in archive.namelist()}
            if "values" not in members or "cell" not in members:
                raise FileFormatError(
                    f"{path}: has the arrays {', '.join(sorted(members)) or 'none'}; a field needs values (a, b, c) "
                    "and cell (3 x 3 rows in Å)."
                )
            with archive.open(members["values"]) as member:
                layout = _layout(path, member)
            entry = archive.getinfo(members["values"])
            if entry.file_size != layout.offset + layout.n_bytes:
                raise FileFormatError(
                    f"{path}: values announces {layout.n_bytes} bytes, but {entry.file_size - layout.offset} are there."
                )
            check_size(path, entry.compress_size)
            facts = {name: _small(path, archive, members[name]) for name in FACTS if name in members}
    except GpuhomogError:
        raise
    except Exception as error:  # zipfile raises many types for damaged entries
        raise FileFormatError(f"{path}: the archive is damaged ({error}).") from None
    stored = entry.compress_type == zipfile.ZIP_STORED

    def planes(start: int, stop: int, block: str, dtype: np.dtype) -> NDArray[np.floating]:
        try:
            with open_binary(path) as again:
                if stored and stop - start < layout.shape[layout.slowest_axis]:
                    inside = Layout(
                        layout.dtype, layout.shape, layout.fortran_order, layout.offset + _data_begin(again, entry)
                    )
                    return read_layout(path, again, inside, start, stop, dtype)
                # The whole array, or a compressed one: through zipfile, which checks the CRC once all is read.
                with zipfile.ZipFile(again) as archive, archive.open(entry) as member:
                    return read_layout(path, member, layout, start, stop, dtype)
        except (GpuhomogError, MemoryError):
            raise
        except Exception as error:  # as above
            raise FileFormatError(f"{path}: the archive is damaged ({error}).") from None

    others = sorted(set(members) - {"values", *FACTS})
    remarks = (f"Arrays not used: {', '.join(others)}.",) if others else ()
    return _source(path, "npz", layout, facts, planes, remarks)


def _source(
    path: Path,
    kind: str,
    layout: Layout,
    facts: dict[str, Any],
    planes: Callable[[int, int, str, np.dtype], NDArray[np.floating]],
    remarks: tuple[str, ...],
) -> Source:
    described = describe(path, layout.shape, facts)
    return Source(
        path,
        kind,
        described.grid,
        described.quantity,
        described.unit,
        ("values",),
        layout.slowest_axis,
        planes,
        described.structure,
        remarks,
        described.provenance,
    )


def _small(path: Path, archive: zipfile.ZipFile, name: str) -> Any:
    """A small array of the archive; one that announces more than it stores is refused."""
    entry = archive.getinfo(name)
    with archive.open(name) as member:
        try:
            value = np.lib.format.read_array(member, allow_pickle=False)
        except Exception as error:  # as of the header above
            raise FileFormatError(f"{path}: {name} ({entry.file_size} bytes) cannot be read ({error}).") from None
    return value


def _data_begin(stream: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: after its local header, whose name and extra field have their own lengths."""
    stream.seek(entry.header_offset, os.SEEK_SET)
    name_length, extra_length = struct.unpack("<HH", stream.read(30)[26:30])
    return entry.header_offset + 30 + int(name_length) + int(extra_length)
