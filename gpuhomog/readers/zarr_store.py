"""Zarr stores of gpuhomog: schema version 1, read plane by plane.

The arrays have the names of the HDF5 files (readers/hdf5.py). Text is in attributes, since Zarr has no text
arrays that every library reads: format, version and provenance on the root, boundary on `field`, unit and
quantity on `field/values`. A rank reads the chunks that its planes are in, whole.

In   path of the folder; needs zarr (extra `formats`).
Out  Source with the stored boundary. Refused as for HDF5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, import_optional
from .described import check_real, describe
from .hdf5 import check_version
from .source import NOTHING_CHOSEN, Choices, Source

KINDS = ("zarr",)
_MARKS = ("zarr.json", ".zgroup", ".zarray")


def recognises(head: bytes, path: Path) -> bool:
    """True for a folder with Zarr metadata."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Read everything but the values."""
    zarr = import_optional("zarr", "formats", "Zarr stores")
    if not recognises(b"", path):
        raise FileFormatError(f"{path}: not a Zarr store: no folder with {' or '.join(_MARKS)} in it.")
    try:
        root = zarr.open_group(str(path), mode="r")
    except Exception as error:  # zarr raises many types for damaged metadata
        raise FileFormatError(f"{path}: cannot be opened as a Zarr group ({error}).") from None
    check_version(path, root.attrs, ", ".join(sorted(root.keys())) or "nothing")
    values = root.get("field/values")
    if values is None or not hasattr(values, "shape"):
        raise FileFormatError(f"{path}: the array field/values is missing; the store is incomplete.")
    check_real(path, values.dtype)
    facts: dict[str, Any] = {name: _stored(path, root, f"field/{name}") for name in ("cell", "origin")}
    facts |= {name: _stored(path, root, f"structure/{name}") for name in ("numbers", "positions", "charges")}
    facts |= {name: values.attrs.get(name) for name in ("quantity", "unit")}
    facts["boundary"] = root["field"].attrs.get("boundary")
    facts["provenance"] = root.attrs.get("provenance")
    if facts["quantity"] is None:
        raise FileFormatError(f"{path}: field/values has no attribute quantity; the store is incomplete.")
    described = describe(path, values.shape, facts)
    if values.nchunks_initialized != values.nchunks:
        raise FileFormatError(
            f"{path}: {values.nchunks - values.nchunks_initialized} of {values.nchunks} chunks are missing; "
            "the store is incomplete."
        )
    shape = values.shape
    step = values.chunks[0]

    def read_planes(start: int, stop: int, block: str, dtype: np.dtype) -> NDArray[np.floating]:
        stored = zarr.open_array(str(path), path="field/values", mode="r")
        local: NDArray[np.floating] = np.empty((stop - start, *shape[1:]), dtype=dtype)
        first = start
        while first < stop:
            last = min((first // step + 1) * step, stop)  # one row of chunks at a time
            try:
                local[first - start : last - start] = stored[first:last]
            except Exception as error:  # codecs raise many types for damaged chunks
                raise FileFormatError(f"{path}: planes {first}:{last} cannot be read ({error}).") from None
            first = last
        return local

    return Source(
        path,
        "zarr",
        described.grid,
        described.quantity,
        described.unit,
        ("values",),
        0,
        read_planes,
        described.structure,
        provenance=described.provenance,
    )


def _stored(path: Path, root: Any, name: str) -> Any:
    stored = root.get(name)
    try:
        return None if stored is None else np.asarray(stored[...])
    except Exception as error:  # as above
        raise FileFormatError(f"{path}: {name} cannot be read ({error}).") from None
