"""SIESTA grid files (.RHO, .VH, .VT, …): Fortran records of single-precision rows along a.

    record 1   cell, 9 float64, rows are the lattice vectors          bohr
    record 2   n_a, n_b, n_c, n_spin, 4 int32
    then       for each spin, each c, each b: one record of n_a float32 (or float64)

What the values are is in the name alone: densities are numbers of electrons per bohr^3, potentials the energy of
an electron in Ry (positive where electrons are repelled). With two spin components the file holds up and down;
`total` and `magnetization` (a scalar, 1/Å^3) are their sum and difference. The records are read here rather than by
sisl, which reads every plane of every spin; the test compares the two.

In   path; may be compressed (.gz, .bz2, .xz); either byte order.
Out  Source without atoms (the file has none; they are in the .XV or .fdf beside it).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, met_in, nearest_known
from ..grid import Grid
from ..units import BOHR, QUANTITIES, conversion_factor
from .binary import COPY_BYTES, DAMAGED, Layout, check_size, open_binary, read_layout
from .compressed import without_compression
from .source import NOTHING_CHOSEN, Choices, Source

KINDS = ("siesta",)
_ELECTRONS = ("electron_density", "1/bohr^3")
_ENERGY = ("electron_potential_energy", "Ry")
CONTENT = {
    "RHO": _ELECTRONS,
    "DRHO": _ELECTRONS,
    "RHOINIT": _ELECTRONS,
    "RHOXC": _ELECTRONS,
    "BADER": _ELECTRONS,
    "LDOS": _ELECTRONS,
    "VH": _ENERGY,
    "VT": _ENERGY,
    "VNA": _ENERGY,
}
"""Suffix → quantity and unit of the values (SIESTA manual, section "Output of charge densities and potentials")."""

_REMARKS = {
    "DRHO": ("A density difference: its integral is not a number of electrons.",),
    "RHOXC": ("Includes the partial core of the pseudopotentials.",),
    "LDOS": ("A local density of states, integrated over its energy window.",),
}
_UNDECIDED = {"IOCH", "TOCH"}
_HEADER_BYTES = 72 + 8 + 16 + 8


def _suffix(path: Path) -> str:
    return without_compression(path).suffix.removeprefix(".").upper()


@dataclass(frozen=True)
class _Header:
    """The two header records, and how long a row is.

    order      of bytes, "<" or ">"
    cell       [bohr]
    counts     n_a, n_b, n_c
    row_bytes  of the values in a record
    """

    order: str
    cell: NDArray[np.float64]
    counts: tuple[int, int, int]
    n_spin: int
    row_bytes: int

    def records(self, spin: int) -> Layout:
        """The records of one spin: each is read as (marker, row, marker), a layout of rows with two markers around."""
        _, n_b, n_c = self.counts
        shape = (self.row_bytes + 8, n_b, n_c)
        return Layout(np.dtype("u1"), shape, True, _HEADER_BYTES + spin * shape[0] * shape[1] * shape[2])


def _begin(head: bytes) -> tuple[str, NDArray[np.float64], tuple[int, ...]] | None:
    """Byte order, cell in bohr, counts and spins, if the bytes begin as a SIESTA grid does."""
    if len(head) < _HEADER_BYTES:
        return None
    for order in "<>":
        markers = struct.unpack_from(f"{order}i", head, 0) + struct.unpack_from(f"{order}2i", head, 76)
        if markers == (72, 72, 16) and struct.unpack_from(f"{order}i", head, 100) == (16,):
            cell = np.frombuffer(head, f"{order}f8", 9, 4).reshape(3, 3).astype(np.float64)
            return order, cell, struct.unpack_from(f"{order}4i", head, 84)
    return None


def recognises(head: bytes, path: Path) -> bool:
    """True for the two header records of a SIESTA grid, whatever the name."""
    return _begin(head) is not None


def _read_header(path: Path) -> _Header:
    """The header of a file that is long enough for the values that it announces."""
    try:
        with open_binary(path) as stream:
            head = stream.read(_HEADER_BYTES + 4)
    except DAMAGED as error:
        raise FileFormatError(f"{path}: cannot be read ({error}); it is damaged.") from None
    found = _begin(head)
    if found is None:
        raise FileFormatError(f"{path}: not a SIESTA grid: it does not begin with a record of 9 and one of 4 numbers.")
    order, cell, (n_a, n_b, n_c, n_spin) = found
    if min(n_a, n_b, n_c) < 1 or n_spin not in (1, 2, 4, 8):
        raise FileFormatError(
            f"{path}: its header announces {n_a} x {n_b} x {n_c} points and {n_spin} spin components; counts must be "
            "at least 1, components 1, 2, 4 or 8."
        )
    if len(head) < _HEADER_BYTES + 4:
        raise FileFormatError(f"{path}: ends after its header; it is truncated.")
    (row_bytes,) = struct.unpack_from(f"{order}i", head, _HEADER_BYTES)
    if row_bytes not in (4 * n_a, 8 * n_a):
        raise FileFormatError(f"{path}: rows of {row_bytes} bytes for {n_a} points; it is damaged.")
    header = _Header(order, cell, (n_a, n_b, n_c), n_spin, row_bytes)
    last = header.records(n_spin - 1)
    check_size(path, last.offset + last.n_bytes)
    return header


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Read the two header records."""
    header = _read_header(path)
    quantity, unit = _content(path)
    with met_in(f"{path}: ", FileFormatError):
        grid = Grid(header.counts, header.cell * BOHR)

    def component(spin: int, start: int, stop: int, dtype: np.dtype) -> NDArray[np.floating]:
        kind = f"{header.order}f{header.row_bytes // header.counts[0]}"
        return _planes_of_records(path, header.records(spin), kind, start, stop, dtype)

    def read_planes(start: int, stop: int, block: str, dtype: np.dtype) -> NDArray[np.floating]:
        if block in ("total", "magnetization") and header.n_spin > 1:
            values, down = (component(spin, start, stop, dtype) for spin in (0, 1))
            (np.add if block == "total" else np.subtract)(values, down, out=values)
        else:
            values = component(spins[block], start, stop, dtype)
        if block in scalars:
            values *= values.dtype.type(conversion_factor(unit, own))
        return values

    spins = {"total": 0} if header.n_spin == 1 else {"up": 0, "down": 1}
    spins |= {f"component {spin + 1}": spin for spin in range(2, header.n_spin)}
    blocks = tuple(spins)
    if header.n_spin > 1 and quantity == "electron_density":
        blocks = ("total", "magnetization", *spins)
    scalars = [name for name in blocks if name.startswith(("magnet", "component"))]
    own = QUANTITIES[quantity] or unit
    return Source(
        path,
        "siesta",
        grid,
        quantity,
        unit,
        blocks,
        2,
        read_planes,
        remarks=_REMARKS.get(_suffix(path), ()),
        of_block={name: ("scalar", own) for name in scalars},
    )


def _planes_of_records(
    path: Path, words: Layout, kind: str, start: int, stop: int, dtype: np.dtype
) -> NDArray[np.floating]:
    """Planes of one spin; `kind` is the byte order and type of what stands between the markers of a record."""
    record_bytes, n_b, _ = words.shape
    row_bytes = record_bytes - 8
    local: NDArray[np.floating] = np.empty((stop - start, n_b, row_bytes // np.dtype(kind).itemsize), dtype=dtype)
    step = max(1, COPY_BYTES // (record_bytes * n_b))
    with open_binary(path) as stream:
        for first in range(start, stop, step):
            last = min(first + step, stop)
            raw = read_layout(path, stream, words, first, last, np.dtype("u1")).transpose(2, 1, 0)
            markers = np.ascontiguousarray(raw[:, :, [*range(4), *range(-4, 0)]]).view(f"{kind[0]}i4")
            if (markers != row_bytes).any():
                raise FileFormatError(f"{path}: a record in planes {first}:{last} is damaged (its length is wrong).")
            local[first - start : last - start] = np.ascontiguousarray(raw[:, :, 4:-4]).view(kind)
    return local.transpose(2, 1, 0)


def _content(path: Path) -> tuple[str, str]:
    suffix = _suffix(path)
    if suffix in CONTENT:
        return CONTENT[suffix]
    if suffix in _UNDECIDED:
        raise FileFormatError(
            f"{path}: a .{suffix} holds ionic charge, whose sign SIESTA does not state in the file. Read it with sisl "
            "and use gpuhomog.Field.from_array with the quantity."
        )
    raise FileFormatError(
        f'{path}: a SIESTA grid says in its name alone what it holds, and ".{suffix}" is not known '
        f"({nearest_known(suffix, CONTENT)}). Rename or link it with the right suffix."
    )
