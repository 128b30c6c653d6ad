"""Zarr output: a Field in schema version 1 (readers/zarr_store.py), one file for a few planes of a.

Chunks are not compressed, for the reason given in README.md of the package. Zarr writes everything but them; a chunk
is a file of its values, which several ranks may write together.

In   temporary folder, Field.
Out  the store (Zarr format 3) without values; where its planes of a lie in it (places.py).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import SCHEMA_FORMAT, SCHEMA_VERSION
from ..errors import InputError, import_optional
from ..field import Field
from .described import STRUCTURE, UNITS, facts_of
from .hdf5 import chunk_parts
from .places import Piece, Places

CHUNK_BYTES = 8 * 2**20


def planes_per_chunk(field: Field) -> int:
    """Planes of a in one chunk."""
    return min(
        field.grid.shape[0], max(1, CHUNK_BYTES // (field.grid.points_per_plane(0) * field.values.dtype.itemsize))
    )


def begin(path: Path, field: Field) -> None:
    """Write everything but the values. Raises OSError if the system refuses."""
    zarr = import_optional("zarr", "formats", "Zarr stores")
    root = zarr.open_group(str(path), mode="w", zarr_format=3)
    grid = field.grid
    root.attrs.update({"format": SCHEMA_FORMAT, "version": SCHEMA_VERSION})
    group = root.create_group("field")
    values = group.create_array(
        "values",
        shape=grid.shape,
        dtype=np.dtype(field.values.dtype).newbyteorder("<"),
        chunks=(planes_per_chunk(field), grid.shape[1], grid.shape[2]),
        chunk_key_encoding={"name": "default", "separator": "/"},
        compressors=None,
        fill_value=np.nan,
    )
    attributes = {"quantity": values, "unit": values, "boundary": group, "provenance": root}
    for name, fact in facts_of(field).items():
        if name in attributes:
            attributes[name].attrs[name] = fact
        else:
            _small(root.require_group("structure") if name in STRUCTURE else group, name, fact, UNITS.get(name))


def places(field: Field) -> Places:
    """A file for each chunk; the last one is filled up with what its metadata call the fill value."""
    planes, n = planes_per_chunk(field), field.grid.shape[0]
    plane_bytes = field.grid.points_per_plane(0) * field.values.dtype.itemsize

    def pieces(start: int, block: NDArray[Any]) -> Iterator[Piece]:
        for chunk, inside, part in chunk_parts(start, block, planes):
            yield f"field/values/c/{chunk}/0/0", inside * plane_bytes, part
            if chunk * planes + inside + len(part) == n and n % planes:
                rest = np.full((planes - n % planes, *part.shape[1:]), np.nan, part.dtype)
                yield f"field/values/c/{chunk}/0/0", n % planes * plane_bytes, rest

    return Places(pieces)


def check_replaceable(path: str | os.PathLike[str], target: Path) -> None:
    """InputError if the target is a folder with something else in it than a store that gpuhomog wrote."""
    if not target.is_dir() or not any(target.iterdir()):
        return
    for name in ("zarr.json", ".zattrs"):
        try:
            content = json.loads((target / name).read_text(encoding="utf-8"))
            if content.get("attributes", content).get("format") == SCHEMA_FORMAT:
                return
        except (OSError, ValueError, AttributeError):
            continue
    raise InputError(f"{path}: is a folder, and not a store that gpuhomog wrote. Choose another name, or remove it.")


def _small(group: Any, name: str, array: NDArray[Any], unit: str | None) -> None:
    stored = group.create_array(
        name, shape=array.shape, dtype=array.dtype, chunks=array.shape or (1,), compressors=None
    )
    if array.size:
        stored[...] = array
    if unit is not None:
        stored.attrs["unit"] = unit
