"""HDF5 files of gpuhomog: schema version 1, read plane by plane.

    /                    attributes format = "gpuhomog", version = 1
    field/values         (a, b, c) float32 or float64, chunks of whole planes of a; attributes unit, quantity
    field/cell           (3, 3) rows are the lattice vectors [Å]
    field/origin         (3,) [Å]
    field/boundary       (3,) "periodic" or "open"
    structure/numbers    (n,) atomic numbers                   the group is absent without atoms
    structure/positions  (n, 3) [Å]
    structure/charges    (n,) [e]                              absent if not known
    provenance           one JSON list of steps

A coarse field is written the same way: its grid is simply smaller. Chunks are not compressed (the package's README.md
says why); compressed files are read as well. A result (Profile or other) has a group `result` instead of `field`
(writers/tables.py).

Values that lie in the file as they do in memory are read past HDF5, at the offsets it states: a rank then reads its
own planes and no byte more, a third faster (320^3 float64 in memory: 69 ms, by h5py 91). All others go through h5py,
whole chunks at a time.

In   path.
Out  Source with the stored boundary. Refused: other versions, other HDF5 files, unknown quantities and units,
     missing chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import SCHEMA_FORMAT, SCHEMA_VERSION
from ..errors import FileFormatError, GpuhomogError
from .binary import fill
from .described import check_real, describe
from .source import NOTHING_CHOSEN, Choices, Source

KINDS = ("hdf5",)
SIGNATURE = b"\x89HDF\r\n\x1a\n"
COPY_BYTES = 32 * 2**20
_LARGEST_RATIO = 50_000
"""Of a dataset to what compression leaves of it."""


def recognises(head: bytes, path: Path) -> bool:
    """True for the HDF5 signature."""
    return head.startswith(SIGNATURE)


def check_version(path: Path, attributes: Mapping[str, Any], found: str) -> None:
    """FileFormatError unless the root attributes say gpuhomog, version 1; `found` names what else is there."""
    name = attributes.get("format")
    if name != SCHEMA_FORMAT:
        raise FileFormatError(
            f'{path}: not a file of gpuhomog: the root attribute format = "{SCHEMA_FORMAT}" is missing '
            f"(found {found}). Read the array with its own library and use gpuhomog.Field.from_array."
        )
    version = attributes.get("version")
    if not isinstance(version, int | np.integer) or version != SCHEMA_VERSION:
        raise FileFormatError(
            f"{path}: schema version {version}; this gpuhomog reads version {SCHEMA_VERSION}. "
            "Update gpuhomog, or write the file again."
        )


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file, open for reading; FileFormatError for whatever its library finds wrong with it."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except GpuhomogError:
        raise
    except Exception as error:  # h5py raises many types for damaged metadata
        raise FileFormatError(
            f"{path}: cannot be read as HDF5 ({error}); where it was truncated, copy or write it again."
        ) from None


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Read everything but the values."""
    with opened(path) as file:
        return _open(path, file)


def _open(path: Path, file: Any) -> Source:
    import h5py

    check_version(path, file.attrs, ", ".join(sorted(file)) or "nothing")
    if "result" in file and "field" not in file:
        raise FileFormatError(
            f"{path}: holds a result ({file['result'].attrs.get('kind')}), not a field. "
            "Read a profile with gpuhomog.read_profile."
        )
    values = _object(file, "field/values")
    if not isinstance(values, h5py.Dataset):
        raise FileFormatError(f"{path}: the dataset field/values is missing; the file is incomplete.")
    check_real(path, values.dtype)
    facts = {name: _stored(path, file, f"field/{name}") for name in ("cell", "origin", "boundary")}
    facts |= {name: _stored(path, file, f"structure/{name}") for name in ("numbers", "positions", "charges")}
    facts |= {name: values.attrs.get(name) for name in ("quantity", "unit")}
    facts["provenance"] = _stored(path, file, "provenance")
    if facts["quantity"] is None:
        raise FileFormatError(f"{path}: field/values has no attribute quantity; the file is incomplete.")
    described = describe(path, values.shape, facts)
    _check_complete(path, values)

    def read_planes(start: int, stop: int, block: str, dtype: np.dtype) -> NDArray[np.floating]:
        local: NDArray[np.floating] = np.empty((stop - start, *values_shape[1:]), dtype=dtype)
        step = max(1, COPY_BYTES // max(1, plane_bytes))
        try:
            with h5py.File(path, "r") as again:
                stored = again["field/values"]
                raw = list(_raw_planes(again, stored, start, stop, step))
                if not raw:
                    _read_by_library(stored, local, start, step)
            if raw:
                _read_raw(path, raw, local, start, stored_as)
        except Exception as error:  # as in opened
            raise FileFormatError(f"{path}: planes {start}:{stop} cannot be read ({error}).") from None
        return local

    stored_as = values.dtype
    values_shape = tuple(values.shape)
    plane_bytes = values_shape[1] * values_shape[2] * values.dtype.itemsize
    return Source(
        path,
        "hdf5",
        described.grid,
        described.quantity,
        described.unit,
        ("values",),
        0,
        read_planes,
        described.structure,
        provenance=described.provenance,
    )


def _read_by_library(stored: Any, local: NDArray[np.floating], start: int, step: int) -> None:
    """Planes of a dataset from `start` on into an array, some at a time: the library may copy them."""
    for first in range(0, len(local), step):
        here = slice(first, min(first + step, len(local)))
        there = slice(start + here.start, start + here.stop)
        if stored.dtype == local.dtype:
            stored.read_direct(local, there, here)
        else:
            local[here] = stored[there]


def _read_raw(
    path: Path, raw: Sequence[tuple[int, int, int]], local: NDArray[np.floating], start: int, stored_as: np.dtype[Any]
) -> None:
    """The same from where they lie in the file, as _raw_planes has it."""
    with path.open("rb", buffering=0) as file:
        for first, last, offset in raw:
            target = local[first - start : last - start]
            part = target if stored_as == local.dtype else np.empty(target.shape, stored_as)
            file.seek(offset)
            if not fill(file, part.reshape(-1).view(np.uint8).data):
                raise OSError("the file ends before them")
            if part is not target:
                target[...] = part


def _raw_planes(file: Any, values: Any, start: int, stop: int, step: int) -> Iterator[tuple[int, int, int]]:
    """(first, last, offset in the file) of planes start:stop; nothing if they lie there otherwise than in memory."""
    filters = values.id.get_create_plist().get_nfilters()
    if values.is_virtual or values.dtype.kind not in "fiu" or filters or file.userblock_size:
        return
    if values.chunks is None:
        chunk, offsets = len(values), {0: values.id.get_offset()}
    elif values.chunks[1:] == values.shape[1:]:
        chunk = values.chunks[0]
        needed = range(start // chunk, -(-stop // chunk))
        offsets = {i: values.id.get_chunk_info_by_coord((i * chunk, 0, 0)).byte_offset for i in needed}
    else:
        return
    if None in offsets.values():
        return
    plane_bytes = values.shape[1] * values.shape[2] * values.dtype.itemsize
    first = start
    while first < stop:
        index, inside = divmod(first, chunk)
        last = min(first + step, (index + 1) * chunk, stop)
        yield first, last, offsets[index] + inside * plane_bytes
        first = last


def _object(file: Any, name: str) -> Any:
    """What has this name; None if nothing has. One that is there and cannot be opened is an error."""
    return file[name] if name in file else None  # noqa: SIM401  which would take it for absent


def _stored(path: Path, file: Any, name: str) -> Any:
    """The content of a dataset, text as str; None if absent."""
    import h5py

    stored = _object(file, name)
    if not isinstance(stored, h5py.Dataset):
        return None
    check_room(path, stored)
    return stored.asstr()[()] if h5py.check_string_dtype(stored.dtype) is not None else stored[()]


def check_room(path: Path, dataset: Any) -> None:
    """FileFormatError if a dataset announces more than is stored of it, before anything is allocated for it."""
    if dataset.is_virtual or dataset.external is not None or dataset.nbytes == 0:
        return
    stored, filters = dataset.id.get_storage_size(), dataset.id.get_create_plist().get_nfilters()
    if dataset.nbytes > stored * (_LARGEST_RATIO if filters else 1):
        raise FileFormatError(
            f"{path}: {dataset.name.strip('/')} announces {dataset.nbytes} bytes, and {stored} are stored; the file is "
            "truncated or damaged."
        )


def _check_complete(path: Path, values: Any) -> None:
    """FileFormatError if chunks were never written; HDF5 would return its fill value for them."""
    if values.is_virtual or values.size == 0:
        return
    if values.chunks is None:
        missing = values.id.get_storage_size() == 0 and values.external is None
        present, expected = (0, 1) if missing else (1, 1)
    else:
        expected = int(np.prod([-(-n // k) for n, k in zip(values.shape, values.chunks, strict=True)]))
        present = values.id.get_num_chunks()
    if present != expected:
        raise FileFormatError(f"{path}: {expected - present} of {expected} chunks are missing; writing was cut short.")
    check_room(path, values)
