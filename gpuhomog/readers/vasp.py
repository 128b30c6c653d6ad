"""VASP's grid files: CHGCAR, CHG, AECCAR0/1/2, PARCHG, LOCPOT, ELFCAR.

    CHGCAR, CHG, AECCAR, PARCHG   electron number density × cell volume; the mean over the grid is the electron
                                  count. Divided by the volume here: electron_density, 1/Å^3, electrons positive.
    LOCPOT                        potential energy of an electron, eV; not divided by anything.
    ELFCAR                        electron localization function, a number between 0 and 1.

All have one layout (POSCAR header, counts, values with a fastest), so the layout does not tell which it is.
Augmentation blocks do (densities only), else the file's name; `kind` overrides. Where neither does, or the values
contradict the name, reading is refused: negative values alone make no potential, for differences of densities and
magnetizations have them too.

    second block   density: magnetization (up - down); LOCPOT and ELFCAR: up and down; four blocks: noncollinear
    frames         whole files that follow each other, as CHG has them after molecular dynamics

In   path, plain or compressed.
Out  Source; values (a, b, c) in Fortran order, cut along c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from ..errors import FileFormatError, InputError, met_in, warn
from ..grid import Grid
from ..structure import Structure, atomic_number
from .compressed import ByteFile, Cursor, open_bytes
from .source import NOTHING_CHOSEN, Choices, Source
from .text_values import TextValues, first_numbers, regular_or_not

DENSITIES = ("CHGCAR", "CHG", "AECCAR0", "AECCAR1", "AECCAR2", "PARCHG")
KINDS = (*DENSITIES, "LOCPOT", "ELFCAR")
"""What these files can be."""

_PARTS = {"magnetization": "1/Å^3", "field": "eV"}  # units of blocks beside the first, whatever follows "_"
_NAME = re.compile(r"AECCAR[012]|CHGCAR|CHGDIFF|CHG|PARCHG|LOCPOT|ELFCAR", re.IGNORECASE)
_SAME = {"CHGDIFF": "CHGCAR"}  # differences, written with the digits of a CHGCAR
_COUNTS = re.compile(rb"[ \t]*(\d+)[ \t]+(\d+)[ \t]+(\d+)[ \t\r\n]*")
_CORES = (2, 10, 18, 36, 54, 86)
_CLOSED_SHELLS = {31: 10, 49: 10, 81: 24, 113: 24}  # first atomic number of the p rows: d (and f) electrons below


@dataclass(frozen=True)
class _Header:
    cell: NDArray[np.float64]
    structure: Structure
    counts: tuple[int, int, int]
    counts_words: tuple[bytes, ...]
    remarks: tuple[str, ...]
    n_atoms: int
    comment: bytes


@dataclass(frozen=True)
class _Frame:
    header: _Header
    blocks: tuple[TextValues, ...]
    augmented: bool


def recognises(head: bytes, path: Path) -> bool:
    """True if the beginning is a POSCAR header followed, perhaps beyond it, by three counts."""
    lines = head.split(b"\n")[:8]
    return len(lines) >= 7 and _looks_like_poscar(lines)


def _looks_like_poscar(lines: list[bytes]) -> bool:
    scale = first_numbers(lines[1])
    if scale is None or len(scale) not in (1, 3):
        return False
    if any(first_numbers(line, 3) is None for line in lines[2:5]):
        return False
    words, following = lines[5].split(), lines[6].split()
    if not words:
        return False
    if all(w.isdigit() for w in words):
        return True
    return len(words) == len(following) and all(w.isdigit() for w in following)


def _name_kind(path: Path) -> str | None:
    """The kind that a file's name claims: CHGCAR, graphene_LOCPOT.gz, AECCAR0.bz2 …"""
    names = {_SAME.get(match.upper(), match.upper()) for match in _NAME.findall(path.name)}
    return names.pop() if len(names) == 1 else None


def _read_header(path: Path, cursor: Cursor, first: bytes | None = None) -> _Header:
    """POSCAR header and counts; `first` is the comment line if it has been read already."""

    def broken(what: str) -> FileFormatError:
        return FileFormatError(f"{path}: {what}; this is not the header of a VASP grid file, or it is damaged.")

    def line() -> bytes:
        text = cursor.line()
        if not text:
            raise broken("the file ends within its header")
        return text

    remarks: list[str] = []
    comment = line() if first is None else first
    scale = first_numbers(line())
    if scale is None or len(scale) not in (1, 3):
        raise broken("line 2 is no scale factor (one number, or three)")
    rows = [first_numbers(line(), 3) for _ in range(3)]
    if any(row is None for row in rows):
        raise broken("lines 3 to 5 are not three lattice vectors")
    cell = np.array(rows, dtype=np.float64)
    factors = _scale_factors(scale, cell, broken)
    if factors is None:
        raise FileFormatError(f"{path}: singular cell, its lattice vectors span no volume. Check lines 3 to 5.")
    if scale[0] < 0:
        remarks.append(f"The scale factor {scale[0]:g} is negative: it is the cell's volume in Å^3.")
    cell = cell * factors
    symbols, amounts = _species(line, broken)
    n_atoms = sum(amounts)
    if symbols is None:
        symbols, remark = _symbols_of_vasp_4(comment, len(amounts))
        remarks.append(remark)
    numbers = [atomic_number(s) for s in symbols] if symbols else [0] * len(amounts)
    structure = Structure(np.repeat(np.array(numbers), amounts), _positions(line, n_atoms, factors, cell, broken))
    text = cursor.line()
    while text and not text.strip():
        text = cursor.line()
    if not text:
        raise FileFormatError(
            f"{path}: ends after its atoms, as structures (POSCAR, CONTCAR) do, which hold no field. Give the CHGCAR "
            "or LOCPOT of the calculation."
        )
    counts = _COUNTS.fullmatch(text)
    if counts is None:
        raise broken(f'after the atoms stand no three counts but "{text[:40].decode("ascii", "replace").strip()}"')
    shape = (int(counts[1]), int(counts[2]), int(counts[3]))
    if min(shape) < 1:
        raise FileFormatError(f"{path}: a grid of {shape[0]} x {shape[1]} x {shape[2]} points: counts are at least 1.")
    if np.linalg.det(cell) < 0:
        remarks.append("The lattice vectors are left-handed.")
    return _Header(cell, structure, shape, counts.groups(), tuple(remarks), n_atoms, comment)


def _species(line: Callable[[], bytes], broken: Callable[[str], FileFormatError]) -> tuple[list[str] | None, list[int]]:
    """Elements, which VASP 4 does not write, and how many atoms there are of each."""
    text = line()
    symbols: list[str] | None = None
    if not all(w.isdigit() for w in text.split()):
        symbols = [w.decode("ascii", "replace") for w in text.split()]
        text = line()
    words = text.split()
    if not words or not all(w.isdigit() for w in words):
        raise broken("the numbers of atoms are missing")
    amounts = [int(w) for w in words]
    if not 1 <= sum(amounts) <= 10_000_000:
        raise broken(f"it announces {sum(amounts)} atoms")
    if symbols is not None and len(symbols) != len(amounts):
        raise broken(f"it names {len(symbols)} elements but {len(amounts)} numbers of atoms")
    return symbols, amounts


def _positions(
    line: Callable[[], bytes],
    n_atoms: int,
    factors: NDArray[np.float64],
    cell: NDArray[np.float64],
    broken: Callable[[str], FileFormatError],
) -> NDArray[np.float64]:
    """(n_atoms, 3) [Å], from the line that says what they are in, or may move, on."""
    mode = line()
    if mode.strip()[:1].lower() == b"s":  # selective dynamics
        mode = line()
    found = []
    for i in range(n_atoms):
        at = first_numbers(line(), 3)
        if at is None:
            raise broken(f"the position of atom {i + 1} of {n_atoms} is not three numbers")
        found.append(at)
    cartesian = mode.strip()[:1].lower() in (b"c", b"k")
    return np.array(found) * factors if cartesian else np.array(found) @ cell


def _scale_factors(
    scale: list[float], cell: NDArray[np.float64], broken: Callable[[str], FileFormatError]
) -> NDArray[np.float64] | None:
    """What multiplies x, y and z: three numbers, one, or minus the volume of a cell; None if that cell has none."""
    if len(scale) == 3:
        if min(scale) <= 0:
            raise broken("three scale factors must all be positive")
        return np.array(scale)
    if scale[0] == 0:
        raise broken("the scale factor is zero")
    if scale[0] > 0:
        return np.full(3, scale[0])
    volume = abs(float(np.linalg.det(cell)))
    return np.full(3, (-scale[0] / volume) ** (1 / 3)) if volume else None


def _symbols_of_vasp_4(comment: bytes, n: int) -> tuple[list[str], str]:
    """Elements that the comment line names where the header has none, if it does; and the remark about it."""
    named = [w.decode("ascii", "replace") for w in comment.split()]
    if len(named) == n and all(atomic_number(w) for w in named):
        return named, f"The header is VASP 4's, without elements; the comment line names {' '.join(named)}."
    return [], "The header is VASP 4's, without elements, so the atoms' elements are unknown."


def _block(file: ByteFile, cursor: Cursor, counts: tuple[int, int, int], regular: bool) -> TextValues:
    def where(index: int) -> str:
        plane, k = index % (counts[0] * counts[1]), index // (counts[0] * counts[1])
        return f"at grid point [{plane % counts[0]}, {plane // counts[0]}, {k}]"

    return TextValues.find(file, cursor, counts[0] * counts[1] * counts[2], where, regular=regular)


def _survey(file: ByteFile, wanted: int, whole: bool, regular: bool) -> tuple[list[_Frame], bool]:
    """Frames of a file, and if all were looked at. Not whole: stop after the first block, if in the wanted frame.

    regular   False: rows that begin with a fixed width do not keep it, so where blocks end is known from words alone
    """
    frames: list[_Frame] = []
    with file.cursor() as cursor:
        header = _read_header(file.path, cursor)
        while True:
            blocks: list[TextValues] = []
            augmented = False
            following: bytes | None = None
            while True:
                block = _block(file, cursor, header.counts, regular)
                blocks.append(block)
                if not whole and wanted == 0:
                    return [_Frame(header, tuple(blocks), augmented)], False
                cursor.move_to(block.end())
                following, has_augmentation = _after_block(file, cursor, header)
                augmented |= has_augmentation
                if following is not None and tuple(following.split()) == header.counts_words:
                    continue
                break
            frames.append(_Frame(header, tuple(blocks), augmented))
            if following is None:
                return frames, True
            try:
                header = _read_header(file.path, cursor, following)
            except FileFormatError:
                raise FileFormatError(
                    f"{file.path}: after the {header.counts[0]} x {header.counts[1]} x {header.counts[2]} values that "
                    f'the counts announce stands "{following[:40].decode("ascii", "replace").strip()}". The counts '
                    "are wrong, or the file is damaged."
                ) from None


def _after_block(file: ByteFile, cursor: Cursor, header: _Header) -> tuple[bytes | None, bool]:
    """Skip augmentation occupancies and moments; the line that follows them (None: nothing), and if there were any."""
    augmented = False
    moments = 0
    blank: bytes | None = None
    while text := cursor.line():
        words = text.split()
        if not words:
            blank = text
            continue
        if words[0].lower() == b"augmentation":
            augmented = True
            if not words[-1].isdigit():
                raise FileFormatError(f"{file.path}: an augmentation block without its size; the file is damaged.")
            left = int(words[-1])
            while left > 0:
                text = cursor.line()
                if not text:
                    raise FileFormatError(f"{file.path}: the file ends in an augmentation block; it is truncated.")
                left -= len(text.split())
            continue
        if tuple(words) == header.counts_words:
            return text, augmented
        numbers = first_numbers(text)
        if numbers is not None and moments + len(numbers) <= header.n_atoms and b"." in text:
            moments += len(numbers)
            continue
        if moments and moments < header.n_atoms:
            break
        if blank is not None and numbers is not None and len(numbers) in (1, 3):
            raise FileFormatError(f"{file.path}: after the values stands a number; the counts are wrong.")
        return text, augmented
    return None, augmented


def _blocks(kind: str, n: int) -> tuple[str, ...]:
    density = kind in DENSITIES
    names: dict[int, tuple[str, ...]] = {
        1: ("total",) if density else (("potential",) if kind == "LOCPOT" else ("localization",)),
        2: ("total", "magnetization") if density else ("up", "down"),
        4: ("total", "magnetization_x", "magnetization_y", "magnetization_z")
        if density
        else ("total", "field_x", "field_y", "field_z"),
    }
    return names.get(n) or tuple(f"block {i + 1}" for i in range(n))


def _declared(kind: str) -> tuple[str, str]:
    """Quantity and unit of the first block."""
    if kind in DENSITIES:
        return "electron_density", "1/Å^3"
    return ("electron_potential_energy", "eV") if kind == "LOCPOT" else ("scalar", "1")


def _remarks(kind: str, known_from: str, n_blocks: int) -> list[str]:
    """What a user should know of the values of such a file."""
    remarks = []
    if known_from == "content":
        remarks.append(f"The name does not say what this is; the content is that of a {kind}.")
    if kind in DENSITIES and kind != "PARCHG":
        remarks.append("Values are numbers of electrons, positive, without the ions.")
    if kind == "CHG":
        remarks.append("CHG holds 5 digits a value; CHGCAR holds 11.")
    if n_blocks == 2 and kind not in DENSITIES:
        remarks.append("Spin-polarized: the blocks are up and down.")
    return remarks


def _settle_kind(path: Path, frame: _Frame, kind: str | None, quantity: str | None) -> tuple[str, str]:
    """What the file is, and where that is known from: "kind", "quantity", "content", "name", "name and comment".

    The comment of gpuhomog confirms a name, no more: VASP copies the comment of its POSCAR into all that it writes.
    """
    if kind is not None:
        if frame.augmented and kind not in DENSITIES:
            raise FileFormatError(
                f"{path}: read as {kind}, but it holds augmentation occupancies, which only densities have. "
                "Leave kind out."
            )
        return kind, "kind"
    named = _name_kind(path)
    if frame.augmented:
        if named is not None and named not in DENSITIES:
            raise FileFormatError(
                f"{path}: named like a {named}, but it holds augmentation occupancies, which only densities have. "
                'Rename it, or say kind="CHGCAR".'
            )
        return named or "CHGCAR", "name" if named else "content"
    if quantity == "electron_density":
        return (named if named in DENSITIES else "CHGCAR"), "quantity"
    if quantity == "electron_potential_energy":
        return "LOCPOT", "quantity"
    if named is not None:
        written = f"{_declared(named)[0]}, written by gpuhomog".encode()
        return named, "name and comment" if written in frame.header.comment else "name"
    raise FileFormatError(
        f"{path}: VASP's densities and potentials share one layout, and neither the name nor the content of this file "
        'tells which it is. Say kind="CHGCAR" for a density, a difference of densities or a magnetization (they are '
        'divided by the volume), or kind="LOCPOT" for a potential energy.'
    )


def _largest_core(number: int) -> int:
    """Electrons below the valence shell at most: the noble gas before, and closed d and f shells of the p rows."""
    core = max((c for c in _CORES if c < number), default=0)
    closed = next((n for first, n in reversed(_CLOSED_SHELLS.items()) if first <= number <= first + 5), 0)
    return core + closed


def _review(
    path: Path, kind: str, known_from: str, structure: Structure, grid: Grid, mean: float, negative: float
) -> None:
    """Compare the values of the first block with what the file says it is."""
    settle = (
        'Say kind="CHGCAR" (or quantity="electron_density"), or kind="LOCPOT" (or '
        'quantity="electron_potential_energy").'
    )
    if kind == "ELFCAR":
        return
    if kind == "LOCPOT":
        if negative == 0 and mean > 0 and known_from == "name":
            raise FileFormatError(
                f"{path}: named like a LOCPOT, but no value is negative and their mean is {mean:.6g}: a density looks "
                f"so, a potential energy of electrons in a solid does not. {settle}"
            )
        return
    electrons = mean * grid.volume
    n_all = int(structure.numbers.sum()) if len(structure) and structure.numbers.min() > 0 else None
    if known_from == "name" and (electrons <= 0 or negative > 0.2):
        raise FileFormatError(
            f"{path}: named like a {kind}, but its mean over the grid, the number of electrons, is {electrons:.6g} and "
            f"{100 * negative:.0f} % of its weight is negative: this looks like a LOCPOT. {settle}"
        )
    if n_all is None or kind == "PARCHG":
        return
    if kind == "AECCAR0":
        core = int(sum(_largest_core(int(z)) for z in structure.numbers))
        if electrons > core * 1.001:
            warn(
                f"{path}: integrates to {electrons:.6g} electrons, but the cores of {structure.formula} hold no more "
                f"than {core}: the grid is too coarse for core densities. Nothing is renormalized."
            )
    elif electrons > n_all * 1.001:
        warn(
            f"{path}: integrates to {electrons:.6g} electrons, but {structure.formula} has {n_all} if neutral. "
            "Nothing is renormalized."
        )


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Open a VASP grid file.

    A kind overrides the file's own evidence; the quantities "electron_density" and "electron_potential_energy" settle
    what neither name nor content does. Without survey, only the first block of a compressed density is looked at
    (finding all means decompressing all).

    Raises InputError, FileFormatError.
    """
    file = open_bytes(path)
    kind, frame = choices.kind, choices.frame
    quick = not choices.survey and bool(file.compression) and (kind or _name_kind(path)) in DENSITIES
    frames, complete = regular_or_not(partial(_survey, file, frame, not quick))
    if not 0 <= frame < len(frames):
        raise InputError(f"{path} has no frame {frame}: it holds frames 0 to {len(frames) - 1}.")
    chosen = frames[frame]
    header = chosen.header
    what, known_from = _settle_kind(path, chosen, kind, choices.quantity)
    with met_in(f"{path}: ", FileFormatError):
        grid = Grid(header.counts, header.cell)
    names = _blocks(what, len(chosen.blocks))
    divisor = grid.volume if what in DENSITIES else 1.0
    remarks = [*header.remarks, *_remarks(what, known_from, len(chosen.blocks))]
    if len(frames) > 1:
        remarks.append(f"The file holds {len(frames)} cells that follow each other; this is number {frame}.")
    if not complete and len(names) == 1:
        remarks.append("Only the first block of the compressed file has been looked at.")

    def read_planes(start: int, stop: int, block: str, dtype: Any) -> NDArray[np.floating]:
        n_a, n_b, _ = header.counts
        line = chosen.blocks[names.index(block)].read_line(start * n_a * n_b, stop * n_a * n_b, dtype, divisor)
        return line.reshape(stop - start, n_b, n_a).T

    def decode_planes(start: int, stop: int, block: str, dtype: Any, device: Device) -> Any:
        n_a, n_b, _ = header.counts
        text = chosen.blocks[names.index(block)]
        values = text.read_on(device, start * n_a * n_b, stop * n_a * n_b, dtype, divisor)
        return None if values is None else values.reshape(stop - start, n_b, n_a).T

    quantity, unit = _declared(what)
    return Source(
        path=path,
        format=what,
        grid=grid,
        quantity=quantity,
        unit=unit,
        blocks=names,
        slowest_axis=2,
        read_planes=read_planes,
        structure=header.structure,
        remarks=tuple(remarks),
        finite=True,
        of_block={name: ("scalar", _PARTS[part]) for name in names[1:] if (part := name.split("_")[0]) in _PARTS},
        n_frames=len(frames),
        review=partial(_review, path, what, known_from, header.structure, grid),
        decode_planes=decode_planes,
    )
