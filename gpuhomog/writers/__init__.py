"""Writers: a Field or a result becomes a file, whole or not at all.

    field    .h5 .hdf5  .zarr  .npz          every bit, with unit, quantity, boundary, atoms and provenance
             .cube .cub  .xsf                text, 11 digits; .gz, .bz2, .xz after the suffix compresses
             CHGCAR…  LOCPOT…                by name; also NAME.CHGCAR, NAME.LOCPOT
    result   .csv  .json  .h5                tables.py

The suffix chooses the format. Planes are written block by block from where they live (planes.py) into a
temporary beside the target, which is renamed when it is complete and on the disk (atomic.py).

>>> import tempfile
>>> from gpuhomog import Field
>>> import numpy as np
>>> field = Field.from_array(np.ones((2, 2, 4)), np.eye(3), quantity="charge_density")
>>> write(field, Path(tempfile.mkdtemp()) / "ones.h5").name
'ones.h5'
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from ..errors import InputError, nearest_known
from ..field import Field
from ..results import Result
from . import cube, hdf5, npz, tables, vasp, xsf, zarr_store
from .atomic import check_target, inputs_of, replacing
from .planes import plane_blocks
from .text import strip_compression, text_stream

Blocks = Iterable[tuple[int, NDArray[Any]]]


@dataclass(frozen=True)
class FieldFormat:
    """How a field is written: what encodes it, which axis is slowest in the file, and what it cannot hold."""

    name: str
    encode: Callable[[Path, Field, Blocks], None]
    slowest_axis: Callable[[Field], int]
    bytes_per_value: Callable[[Field], float]
    folder: bool = False
    multiple: Callable[[Field], int] = lambda field: 1
    check: Callable[[Field], None] = lambda field: None
    check_target: Callable[[str | os.PathLike[str], Path], None] = lambda path, target: None


def _raw_bytes(field: Field) -> float:
    return float(field.values.dtype.itemsize)


def _text(
    encode: Callable[[IO[bytes], Field, Blocks], None],
    name: str,
    axis: int,
    compression: str,
    check: Callable[[Field], None] = lambda field: None,
) -> FieldFormat:
    def through_stream(path: Path, field: Field, blocks: Blocks) -> None:
        with text_stream(path, compression) as stream:
            encode(stream, field, blocks)

    size = 4.0 if compression else 18.2  # compressed: how far depends on the digits; only a lower bound helps
    return FieldFormat(name, through_stream, lambda field: axis, lambda field: size, check=check)


_BINARY = {
    ".h5": FieldFormat("hdf5", hdf5.write_field, lambda field: 0, _raw_bytes),
    ".npz": FieldFormat("npz", npz.write_field, npz.slowest_axis, _raw_bytes),
    ".zarr": FieldFormat(
        "zarr",
        zarr_store.write_field,
        lambda field: 0,
        _raw_bytes,
        folder=True,
        multiple=zarr_store.planes_per_chunk,
        check_target=zarr_store.check_replaceable,
    ),
}
_BINARY[".hdf5"] = _BINARY[".h5"]
_TEXT = {
    ".cube": (cube.write_field, "cube", 0),
    ".cub": (cube.write_field, "cube", 0),
    ".xsf": (xsf.write_field, "xsf", 2),
}

FIELD_SUFFIXES = (*_BINARY, *_TEXT)
RESULT_SUFFIXES = tuple(tables.WRITERS)


def field_format(path: str | os.PathLike[str]) -> FieldFormat:
    """The format that a name asks for; InputError with the known ones otherwise."""
    name, compression = strip_compression(Path(path).name)
    suffix = Path(name).suffix.lower()
    if suffix in _TEXT:
        encode, known_as, axis = _TEXT[suffix]
        return _text(encode, known_as, axis, compression)
    for kind in vasp.QUANTITY:
        if suffix == f".{kind.lower()}" or (suffix not in FIELD_SUFFIXES and name.upper().startswith(kind)):
            return _text(partial(vasp.write_field, kind), kind, 2, compression, partial(vasp.check_field, kind))
    if compression and suffix in _BINARY:
        raise InputError(f"{path}: {suffix} files are not written compressed. Leave out {compression}.")
    if suffix == ".npy":
        raise InputError(f"{path}: a .npy array has no cell. Write .npz, which holds values and cell.")
    if suffix not in _BINARY:
        raise InputError(f"{path}: {_unknown(suffix, FIELD_SUFFIXES)}, or a name that begins with CHGCAR or LOCPOT.")
    return _BINARY[suffix]


def result_writer(path: str | os.PathLike[str]) -> Callable[[Path, Result], None]:
    """What writes a result under this name; InputError with the known suffixes otherwise."""
    suffix = Path(path).suffix.lower()
    if suffix not in tables.WRITERS:
        raise InputError(f"{path}: {_unknown(suffix, RESULT_SUFFIXES)} for a result.")
    return tables.WRITERS[suffix]


def _unknown(suffix: str, known: Iterable[str]) -> str:
    if not suffix:
        return f"the name has no suffix that says how to write it: give {', '.join(known)}"
    return (
        f'the suffix "{suffix}" does not say how to write it: {nearest_known(suffix, known)}; give {", ".join(known)}'
    )


def check_output(
    path: str | os.PathLike[str], *, result: bool = False, inputs: Iterable[str | os.PathLike[str]] = ()
) -> None:
    """Raise InputError now if `write` to this name would be refused later; writes nothing.

    For a command to call before its work: unknown suffix, folder missing or not writable, output equal to an input.
    """
    target = check_target(path, inputs)
    if result:
        result_writer(path)
    else:
        field_format(path).check_target(path, target)


def write(field_or_result: Field | Result, path: str | os.PathLike[str]) -> Path:
    """Write a Field, Profile or other result; the suffix chooses the format (see the module). Returns the path.

    The file appears complete or not at all; what stood under the name stays if anything fails. Every rank of
    the field's communicator calls this; rank 0 writes.

    Raises InputError for an unknown suffix, a folder that is missing or cannot be written, an output that is an
    input of the field (its provenance names them), a quantity the format cannot hold, a full disk.
    """
    if isinstance(field_or_result, Field):
        _write_field(field_or_result, path)
    elif isinstance(field_or_result, Result):
        _write_result(field_or_result, path)
    else:
        raise InputError(f"Cannot write a {type(field_or_result).__name__}: give a Field, Profile or other result.")
    return Path(path)


def _write_field(field: Field, path: str | os.PathLike[str]) -> None:
    comm = field.comm
    error: Exception | None = None
    try:
        kind = field_format(path)
        kind.check(field)
        if comm.rank == 0:
            target = check_target(path, inputs_of(field.provenance))
            kind.check_target(path, target)
            _check_room(path, target, kind.bytes_per_value(field) * field.grid.n_points)
    except (InputError, OSError) as caught:
        error = caught
    comm.agree(error)
    axis = comm.broadcast(kind.slowest_axis(field))
    blocks = plane_blocks(field, axis, f"writing {Path(path).name}", multiple=kind.multiple(field))
    if comm.rank != 0:
        for _ in blocks:
            pass
        comm.agree(None)
        return
    try:
        with replacing(path, folder=kind.folder) as temporary:
            kind.encode(temporary, field, blocks)
    except Exception as caught:
        if comm.size > 1:
            comm.agree(caught)
        raise
    comm.agree(None)


def _write_result(result: Result, path: str | os.PathLike[str]) -> None:
    save = result_writer(path)
    check_target(path, inputs_of(getattr(result, "provenance", ())))
    with replacing(path) as temporary:
        save(temporary, result)


def _check_room(path: str | os.PathLike[str], target: Path, n_bytes: float) -> None:
    """InputError if the disk has not room for so many bytes; quotas show only when writing."""
    free = shutil.disk_usage(target.parent).free
    if n_bytes > free:
        raise InputError(
            f"{path}: needs {n_bytes / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free there. "
            "Make room or choose another folder."
        )


__all__ = ["FIELD_SUFFIXES", "RESULT_SUFFIXES", "check_output", "write"]
