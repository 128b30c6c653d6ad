"""XCrySDen's XSF and AXSF files: three-dimensional data grids, with atoms.

    DATAGRID_3D   counts, origin, three spanning vectors, values with a fastest

A data grid holds both ends of each spanning vector: step = vector / (n - 1), and in a crystal the last plane repeats
the first. Repeated planes are dropped here, or every average would count them twice. An axis whose ends differ is
kept whole. If its vector is a lattice vector short of one step, the axis is periodic (ASE writes one step too much,
and is understood too); such a vector decides as well where both ends lie in a vacuum, and values do not tell. If it is
a lattice vector itself, the file breaks its own format, and is refused until kind="xsf-unrepeated" says that its writer
leaves repeated planes out: then step = vector / n. Any other vector makes an open axis.

The comments of a file that gpuhomog wrote state its boundary, which holds unless another is asked for; and quantity and
unit, as those of cubes do.

Lengths are Å. Neither quantity nor unit is declared, and writers differ (Quantum ESPRESSO: Ry), so a quantity needs
its unit with it.

    blocks   data grids of the same geometry that follow each other
    frames   groups of blocks of different geometry

In   path, plain or compressed.
Out  Source; values (a, b, c) in Fortran order, cut along c.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError, met_in
from ..grid import OPEN, PERIODIC, Grid, parse_boundary
from ..structure import SYMBOLS, Structure
from ..units import ATOMIC_UNITS
from .compressed import ByteFile, Cursor, open_bytes
from .cube import doubts_of_unit, written_as, written_boundary
from .source import NOTHING_CHOSEN, Choices, Source
from .text_values import TextValues, first_numbers, regular_or_not

KINDS = ("xsf", "xsf-unrepeated")
"""What `kind` can be; the second: the data grids lack the repeated end planes."""

_KEYWORDS = (
    b"ANIMSTEPS",
    b"CRYSTAL",
    b"SLAB",
    b"POLYMER",
    b"MOLECULE",
    b"DIM-GROUP",
    b"PRIMVEC",
    b"CONVVEC",
    b"PRIMCOORD",
    b"ATOMS",
    b"BEGIN_INFO",
    b"BEGIN_BLOCK_",
)
T = TypeVar("T")
_BEGIN = re.compile(rb"(?:BEGIN_)?DATAGRID_?3D_?(.*)", re.IGNORECASE)


@dataclass(frozen=True)
class _DataGrid:
    name: str
    counts: tuple[int, int, int]
    origin: NDArray[np.float64]
    vectors: NDArray[np.float64]
    values: TextValues

    def same_geometry(self, other: _DataGrid) -> bool:
        return (
            self.counts == other.counts
            and np.array_equal(self.origin, other.origin)
            and np.array_equal(self.vectors, other.vectors)
        )


@dataclass
class _Content:
    """What the lines of a file have said so far."""

    steps: int = 1
    lattices: list[NDArray[np.float64]] = field(default_factory=list)
    structures: list[Structure] = field(default_factory=list)
    frames: list[list[_DataGrid]] = field(default_factory=list)


def _significant(text: bytes) -> bytes:
    return text.split(b"#")[0].strip()


def recognises(head: bytes, path: Path) -> bool:
    """True if the first line that is no comment begins with one of the format's keywords."""
    first = next((line for text in head.split(b"\n") if (line := _significant(text))), b"")
    return first.upper().startswith(_KEYWORDS)


class _Parser:
    """Goes through a file once; values are passed over."""

    def __init__(self, file: ByteFile, cursor: Cursor, regular: bool) -> None:
        self.file, self.cursor, self.regular, self.found = file, cursor, regular, _Content()
        self.waiting: bytes | None = None

    def broken(self, what: str) -> FileFormatError:
        return FileFormatError(f"{self.file.path}: {what}; the file is damaged, or no XSF file.")

    def line(self) -> bytes | None:
        """The next line that says something; None at the end."""
        if self.waiting is not None:
            text, self.waiting = self.waiting, None
            return text
        while text := self.cursor.line():
            if line := _significant(text):
                return line
        return None

    def vectors(self, what: str) -> NDArray[np.float64]:
        rows = [first_numbers(self.line() or b"", 3) for _ in range(3)]
        if any(row is None for row in rows):
            raise self.broken(f"{what} is not followed by three vectors")
        return np.array(rows, dtype=np.float64)

    def atom(self, line: bytes) -> tuple[int, list[float]] | None:
        word = line.split()[0].decode("ascii", "replace")
        at = first_numbers(line[len(line.split()[0]) :], 3)
        name = re.match(r"[A-Za-z]+", word)
        z = int(word) if word.isdigit() else SYMBOLS.index(name[0]) if name and name[0] in SYMBOLS else None
        return None if at is None or z is None or z >= len(SYMBOLS) else (z, at)

    def parse(self) -> _Content:
        while (line := self.line()) is not None:
            words = line.split()
            keyword = words[0].upper()
            if keyword == b"ANIMSTEPS" and len(words) > 1 and words[1].isdigit():
                self.found.steps = int(words[1])
            elif keyword == b"PRIMVEC":
                self.found.lattices.append(self.vectors("PRIMVEC"))
            elif keyword == b"CONVVEC":
                self.vectors("CONVVEC")
            elif keyword == b"PRIMCOORD":
                first = (self.line() or b"").split()
                if not first or not first[0].isdigit():
                    raise self.broken("PRIMCOORD is not followed by the number of atoms")
                self.atoms(int(first[0]))
            elif keyword == b"ATOMS":
                self.atoms(None)
            elif keyword == b"BEGIN_INFO":
                self.skip_to(b"END_INFO")
            elif keyword.startswith((b"BEGIN_BLOCK_DATAGRID_3D", b"BEGIN_BLOCK_DATAGRID3D")):
                self.block()
            elif keyword.startswith(b"BEGIN_BLOCK_"):
                self.skip_to(keyword.replace(b"BEGIN_", b"END_", 1))
        return self.found

    def skip_to(self, end: bytes) -> None:
        while (line := self.line()) is not None:
            if line.upper().startswith(end):
                return
        raise self.broken(f"{end.decode('ascii', 'replace')} is missing")

    def atoms(self, n: int | None) -> None:
        found: list[tuple[int, list[float]]] = []
        while n is None or len(found) < n:
            line = self.line()
            atom = self.atom(line) if line is not None else None
            if atom is None:
                if n is not None:
                    raise self.broken(f"atom {len(found) + 1} of {n} is not an element and a position")
                self.waiting = line
                break
            found.append(atom)
        self.found.structures.append(
            Structure(np.array([z for z, _ in found], dtype=np.int64), np.array([at for _, at in found]).reshape(-1, 3))
        )

    def block(self) -> None:
        name = ""
        while (line := self.line()) is not None:
            if line.upper().startswith(b"END_BLOCK_DATAGRID"):
                return
            match = _BEGIN.fullmatch(line)
            if match is None:
                name = line.decode("utf-8", "replace")
                continue
            self.data_grid(match[1].decode("utf-8", "replace").strip("_ ") or name or "values")
        raise self.broken("END_BLOCK_DATAGRID_3D is missing")

    def data_grid(self, name: str) -> None:
        path = self.file.path
        words = (self.line() or b"").split()
        if len(words) < 3 or not all(w.isdigit() for w in words[:3]):
            raise self.broken(f"data grid {name} has no three counts")
        counts = (int(words[0]), int(words[1]), int(words[2]))
        if min(counts) < 1:
            raise FileFormatError(
                f"{path}: a grid of {counts[0]} x {counts[1]} x {counts[2]} points: counts are at least 1."
            )
        origin = first_numbers(self.line() or b"", 3)
        if origin is None:
            raise self.broken(f"data grid {name} has no origin")
        vectors = self.vectors(f"data grid {name}")

        def where(index: int) -> str:
            j = index // counts[0]
            return f"at grid point [{index % counts[0]}, {j % counts[1]}, {j // counts[1]}]"

        n = counts[0] * counts[1] * counts[2]
        values = TextValues.find(
            self.file, self.cursor, n, where, (counts[0], counts[0] * counts[1]), regular=self.regular
        )
        self.cursor.move_to(values.end())
        following = self.line()
        if following is None or not following.upper().startswith((b"END_DATAGRID", b"END_BLOCK")):
            said = "the end of the file" if following is None else f'"{following[:40].decode("ascii", "replace")}"'
            raise FileFormatError(
                f"{path}: after the {counts[0]} x {counts[1]} x {counts[2]} values that the counts of data grid {name} "
                f"announce stands {said} instead of END_DATAGRID_3D. The counts are wrong, or the file is damaged."
            )
        if following.upper().startswith(b"END_BLOCK"):
            self.waiting = following
        found = _DataGrid(name, counts, np.array(origin), vectors, values)
        if self.found.frames and found.same_geometry(self.found.frames[-1][0]):
            self.found.frames[-1].append(found)
        else:
            self.found.frames.append([found])


def _parse(file: ByteFile, regular: bool) -> _Content:
    with file.cursor() as cursor:
        return _Parser(file, cursor, regular).parse()


def _of_frame(found: Sequence[T], frame: int) -> T | None:
    """What belongs to a frame: of fewer than there are frames the last goes on; None if there is none."""
    return found[min(frame, len(found) - 1)] if found else None


def _plane(grid: _DataGrid, k: int) -> NDArray[np.float64]:
    """(n_b, n_a) plane k of c."""
    n_a, n_b, _ = grid.counts
    plane = np.empty(n_b * n_a)

    def keep(first: int, values: NDArray[np.float64]) -> None:
        begin = first - k * n_a * n_b
        plane[begin : begin + values.size] = values

    grid.values.read(k * n_a * n_b, (k + 1) * n_a * n_b, keep, "looking at")
    return plane.reshape(n_b, n_a)


def _repeats(grid: _DataGrid) -> list[bool | None]:
    """Whether the last plane of each axis repeats the first; None where nothing varies there, as in a vacuum.

    Seen in the two outer planes of c; where these do not tell of a and b, in planes between them.
    """
    n_c = grid.counts[2]
    planes = [_plane(grid, 0), _plane(grid, n_c - 1)]
    between = [k for k in (n_c // 2, n_c // 4, 3 * n_c // 4, n_c // 8, 7 * n_c // 8) if 0 < k < n_c - 1]
    while True:
        seen = np.array(planes)
        close = 1e-6 * float(np.abs(seen).max())
        ends = ((seen[:, :, 0], seen[:, :, -1]), (seen[:, 0], seen[:, -1]), (seen[0], seen[1]))
        varying = (np.ptp(seen, axis=2).max(), np.ptp(seen, axis=1).max(), np.ptp(seen[:2], axis=(1, 2)).max())
        found = [
            False if np.abs(first - last).max() > close else True if varies > close else None
            for (first, last), varies in zip(ends, varying, strict=True)
        ]
        if None not in found[:2] or not between:
            return found
        planes.append(_plane(grid, between.pop(0)))


@dataclass(frozen=True)
class _Spans:
    """What a data grid covers: the planes along each axis that are kept, its boundary and cell; and remarks."""

    kept: list[int]
    boundary: list[str]
    cell: NDArray[np.float64]
    remarks: list[str]


def _spans(path: Path, grid: _DataGrid, lattice: NDArray[np.float64] | None) -> _Spans:
    """Axis by axis: one that repeats its first plane, one of a lattice vector short of a step, or an open one."""
    found = _Spans(list(grid.counts), [PERIODIC] * 3, grid.vectors.copy(), [])
    repeats = _repeats(grid)
    for axis, name in enumerate("abc"):
        n = grid.counts[axis]
        if n == 1:
            continue
        spans_period = _lattice_vector(grid.vectors[axis], lattice) is not None
        periods = [_lattice_vector(grid.vectors[axis] * factor, lattice) for factor in (n / (n - 1), n / (n + 1))]
        period = next((one for one in periods if one is not None), None)
        if repeats[axis] or (repeats[axis] is None and (spans_period or period is None)):
            found.kept[axis] = n - 1
            if not spans_period and period is not None:
                found.cell[axis] = period
            continue
        if spans_period:
            raise FileFormatError(
                f"{path}: the last plane along {name} does not repeat the first, as the format asks of a grid that "
                'spans a lattice vector. If its writer leaves repeated planes out, say kind="xsf-unrepeated".'
            )
        if period is not None:
            found.cell[axis] = period
            found.remarks.append(f"The grid along {name} is that of a lattice vector without the repeated plane.")
            continue
        found.boundary[axis] = OPEN
        found.cell[axis] *= n / (n - 1)
        found.remarks.append(f"The grid ends along {name} without repeating itself: this axis is read as open.")
    if found.kept != list(grid.counts):
        found.remarks.append("Planes at the end of the grid that repeat the first have been dropped.")
    return found


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Open an XSF or AXSF file.

    The kind "xsf-unrepeated" says that the data grids lack the repeated end planes; a frame is a group of data grids
    of equal geometry.

    Raises InputError, FileFormatError.
    """
    file, frame = open_bytes(path), choices.frame
    content = regular_or_not(partial(_parse, file))
    if not content.frames:
        raise FileFormatError(f"{path}: holds no three-dimensional data grid, so there is nothing to average.")
    if not 0 <= frame < len(content.frames):
        raise InputError(f"{path} holds {len(content.frames)} grids: frame {frame} does not exist (the first is 0).")
    grids = content.frames[frame]
    first = grids[0]
    lattice = _of_frame(content.lattices, frame)
    spans = _Spans(list(first.counts), [PERIODIC] * 3, first.vectors.copy(), [])
    if choices.kind != "xsf-unrepeated":
        spans = _spans(path, first, lattice)
    remarks, shape = spans.remarks, (spans.kept[0], spans.kept[1], spans.kept[2])
    comments = file.head(4096).split(b"\n")[:2]
    noted, written = written_boundary(comments), written_as(path, comments[0], choices)
    if noted is not None:
        remarks.append("The boundary is the one that gpuhomog noted in the comments when it wrote the file.")
    with met_in(f"{path}: ", FileFormatError):
        grid = Grid(shape, spans.cell, first.origin, noted or parse_boundary(spans.boundary))
    if content.steps > 1:
        remarks.append(f"The file is an animation of {content.steps} steps.")
    if len(content.frames) > 1:
        remarks.append(f"The file holds {len(content.frames)} grids of different geometry; this is number {frame}.")
    if choices.quantity is None:
        remarks.append("An XSF file does not say what its values are nor their unit.")
    names = [g.name for g in grids]
    if len(set(names)) < len(names):
        names = [f"{name} {i + 1}" for i, name in enumerate(names)]

    def read_planes(start: int, stop: int, block: str, dtype: Any) -> NDArray[np.floating]:
        return _read_planes(grids[names.index(block)], shape, start, stop, dtype)

    return Source(
        path=path,
        format="xsf",
        grid=grid,
        quantity=None,
        unit=None,
        blocks=tuple(names),
        slowest_axis=2,
        read_planes=read_planes,
        structure=_of_frame(content.structures, frame),
        remarks=tuple(remarks),
        finite=True,
        atomic_units=False,
        doubts=doubts_of_unit(written[1], ATOMIC_UNITS) if written is not None and written[1] is not None else {},
        n_frames=len(content.frames),
    )


def _lattice_vector(vector: NDArray[np.float64], lattice: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """The lattice vector that a vector is, to a thousandth of the shortest; None if it is none."""
    if lattice is None or abs(np.linalg.det(lattice)) < 1e-9:
        return None
    steps = vector @ np.linalg.inv(lattice)
    near = np.round(steps)
    return None if np.abs(steps - near).max() > 1e-3 or not near.any() else np.asarray(near @ lattice)


def _read_planes(
    grid: _DataGrid, shape: tuple[int, int, int], start: int, stop: int, dtype: Any
) -> NDArray[np.floating]:
    n_a, n_b, _ = grid.counts
    out = np.empty((stop - start, shape[1], shape[0]), dtype=dtype)
    rows = out.reshape(-1, shape[0])

    def put(line: int, column: int, values: NDArray[np.float64]) -> None:
        k, j = divmod(line, n_b)
        if j < shape[1]:
            kept = values[: max(shape[0] - column, 0)]
            rows[(k - start) * shape[1] + j, column : column + kept.size] = kept

    def consume(first: int, values: NDArray[np.float64]) -> None:
        line, column = divmod(first, n_a)
        lead = min((n_a - column) % n_a, values.size)
        if lead:
            put(line, column, values[:lead])
            line += 1
        whole = (values.size - lead) // n_a
        lines = np.arange(line, line + whole)
        k, j = lines // n_b, lines % n_b
        inside = j < shape[1]
        body = values[lead : lead + whole * n_a].reshape(whole, n_a)
        rows[((k - start) * shape[1] + j)[inside]] = body[inside, : shape[0]]
        rest = values[lead + whole * n_a :]
        if rest.size:
            put(line + whole, 0, rest)

    grid.values.read(start * n_a * n_b, stop * n_a * n_b, consume)
    return out.transpose(2, 1, 0)
