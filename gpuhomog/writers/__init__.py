"""Writers: a Field or a result becomes a file, whole or not at all.

    field    .h5 .hdf5  .zarr  .npz          every bit, with unit, quantity, boundary, atoms and provenance
             .cube .cub  .xsf                text, 11 digits; .gz, .bz2, .xz after the suffix compresses
             CHGCAR…  LOCPOT…                by name; also NAME.CHGCAR, NAME.LOCPOT
    result   .csv  .json  .h5                tables.py

The suffix chooses the format. Planes are written block by block from where they live (planes.py), by every rank its
own, to where they belong (places.py) in a temporary beside the target, which is renamed when it is complete and on the
disk (atomic.py). The file has the same bytes however many ranks write it. Compressed text is written by rank 0 alone,
and so is everything where the ranks do not see the same folder.

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
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import InputError, nearest_known
from ..field import Field
from ..parallel import agree_on, agreed
from ..results import Result
from . import cube, hdf5, npz, tables, vasp, xsf, zarr_store
from .atomic import check_target, inputs_of, refused, replacing, reserve
from .places import Places, Put, at_offsets, in_order
from .planes import Planes, owners, use_blocks
from .text import strip_compression


@dataclass(frozen=True)
class FieldFormat:
    """How a field is written.

    slowest_axis  the axis whose planes lie one after the other in the file
    places        (field, slowest axis, what `begin` returned) → where they lie; on every rank
    begin         writes what is there before the values; rank 0
    finish        (…, slowest axis, checksums of all ranks' parts) writes what is there after the values; rank 0
    compression   suffix of a text that one rank writes in order; "" if each writes its own planes
    check         raises where the format cannot hold the field
    """

    name: str
    slowest_axis: Callable[[Field], int]
    bytes_per_value: Callable[[Field], float]
    places: Callable[[Field, int, Any], Places]
    begin: Callable[[Path, Field], Any] = lambda path, field: None
    finish: Callable[[Path, Field, int, Sequence[npz.Checked]], None] | None = None
    folder: bool = False
    compression: str = ""
    check: Callable[[Field], None] = lambda field: None
    check_target: Callable[[str | os.PathLike[str], Path], None] = lambda path, target: None


def _raw_bytes(field: Field) -> float:
    return float(field.values.dtype.itemsize)


def _text(
    places: Callable[[Field], Places],
    name: str,
    axis: int,
    compression: str,
    check: Callable[[Field], None] = lambda field: None,
) -> FieldFormat:
    size = 4.0 if compression else 18.2  # compressed: how far depends on the digits; only a lower bound helps
    return FieldFormat(
        name,
        lambda field: axis,
        lambda field: size,
        lambda field, axis, begun: places(field),
        compression=compression,
        check=check,
    )


_BINARY = {
    ".h5": FieldFormat(
        "hdf5",
        lambda field: 0,
        _raw_bytes,
        lambda field, axis, offsets: hdf5.places(field, offsets),
        hdf5.begin,
    ),
    ".npz": FieldFormat(
        "npz",
        npz.slowest_axis,
        _raw_bytes,
        lambda field, axis, begun: npz.places(field, axis),
        finish=npz.finish,
    ),
    ".zarr": FieldFormat(
        "zarr",
        lambda field: 0,
        _raw_bytes,
        lambda field, axis, begun: zarr_store.places(field),
        zarr_store.begin,
        folder=True,
        check_target=zarr_store.check_replaceable,
    ),
}
_BINARY[".hdf5"] = _BINARY[".h5"]
_TEXT = {
    ".cube": (cube.places, "cube", 0),
    ".cub": (cube.places, "cube", 0),
    ".xsf": (xsf.places, "xsf", 2),
}

FIELD_SUFFIXES = (*_BINARY, *_TEXT)


def field_format(path: str | os.PathLike[str]) -> FieldFormat:
    """The format that a name asks for; InputError with the known ones otherwise."""
    name, compression = strip_compression(Path(path).name)
    suffix = Path(name).suffix.lower()
    if suffix in _TEXT:
        places, known_as, axis = _TEXT[suffix]
        return _text(places, known_as, axis, compression)
    for kind in vasp.QUANTITY:
        if suffix == f".{kind.lower()}" or (suffix not in FIELD_SUFFIXES and name.upper().startswith(kind)):
            return _text(partial(vasp.places, kind), kind, 2, compression, partial(vasp.check_field, kind))
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
        raise InputError(f"{path}: {_unknown(suffix, tables.WRITERS)} for a result.")
    return tables.WRITERS[suffix]


def _unknown(suffix: str, known: Iterable[str]) -> str:
    if not suffix:
        return f"the name has no suffix that says how to write it: give {', '.join(known)}"
    close = nearest_known(suffix, known)
    known_ones = ("give " if close.startswith("known") else f"{close} Known are ") + ", ".join(known)
    return f'the suffix "{suffix}" does not say how to write it: {known_ones}'


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

    The file appears complete or not at all; what stood under the name stays if anything fails, on whichever rank. Every
    rank of a field calls this, and writes its own planes; a result, which all ranks hold, is for one of them to write.

    Raises InputError for an unknown suffix, a folder that is missing or cannot be written, an output that is an
    input of the field (its provenance names them), a quantity the format cannot hold, a full disk, or values that are
    read some planes at a time where the format's planes are those of another axis.
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
    with agreed(comm):
        kind = field_format(path)
        kind.check(field)
        if comm.rank == 0:
            target = check_target(path, inputs_of(field.provenance))
            kind.check_target(path, target)
            _check_room(path, target, kind.bytes_per_value(field) * field.grid.n_points)
    agree_on(comm, {"name of the output": Path(path).name, "quantity": field.quantity, "unit": field.unit}, "write")
    axis = kind.slowest_axis(field)
    if axis != field.slab.axis:
        what = f"Writing {Path(path).name}, which is made of planes of {'abc'[axis]},"
        field.check_in_memory(what, f"write .npz, which takes the planes of {'abc'[field.slab.axis]} as they are read")
    with ExitStack() as stack:
        known: tuple[Path, Any] | None = None
        with agreed(comm), told_of(path):
            if comm.rank == 0:
                temporary = stack.enter_context(replacing(path, folder=kind.folder))
                known = temporary, kind.begin(temporary, field)
                _reserve(kind, temporary, kind.places(field, axis, known[1]))
        temporary, begun = comm.broadcast(known)  # type: ignore[misc]
        shared = not kind.compression and all(comm.gather(is_visible(temporary)))
        places = kind.places(field, axis, begun)
        parts = _write_planes(kind, field, path, temporary, places, axis, owners(field, axis, shared=shared))
        with agreed(comm), told_of(path):
            if comm.rank == 0:
                if kind.finish is not None:
                    kind.finish(temporary, field, axis, parts)
                stack.close()


def is_visible(path: Path) -> bool:
    """True if this rank sees the file that rank 0 has made: it may run on another computer."""
    return path.exists()


def _reserve(kind: FieldFormat, temporary: Path, places: Places) -> None:
    if not kind.folder and not kind.compression:
        reserve(temporary, places.n_bytes or temporary.stat().st_size)


def _write_planes(
    kind: FieldFormat,
    field: Field,
    path: str | os.PathLike[str],
    temporary: Path,
    places: Places,
    axis: int,
    owned: Sequence[Planes],
) -> list[npz.Checked]:
    """Write the planes of this rank; returns the checksums of all ranks' parts. The ranks agree on errors."""
    checked: npz.Checked = (0, 0)
    with ExitStack() as stack:
        put: Put | None = None

        def write_block(start: int, block: NDArray[Any]) -> None:
            nonlocal put, checked
            with told_of(path):
                if put is None:
                    ordered = in_order(temporary, kind.compression) if kind.compression else at_offsets(temporary)
                    put = stack.enter_context(ordered)
                for name, offset, content in places.pieces(start, block):
                    put(name, offset, content)
                    if kind.finish is not None:
                        checked = zlib.crc32(content, checked[0]), checked[1] + memoryview(content).nbytes

        use_blocks(field, axis, f"writing {Path(path).name}", owned, write_block)
        with agreed(field.comm), told_of(path):
            stack.close()
    return field.comm.gather(checked)


@contextmanager
def told_of(path: str | os.PathLike[str]) -> Iterator[None]:
    """What the system refuses while a file is written, as one sentence of it."""
    try:
        yield
    except OSError as error:
        raise refused(path, error) from error


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
            f"{path}: needs {n_bytes / 1e6:.6g} MB, and {free / 1e6:.6g} MB are free there. "
            "Make room or choose another folder."
        )


__all__ = ["check_output", "write"]
