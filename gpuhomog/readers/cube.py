"""Gaussian cube files: one or several scalars on a grid, with atoms.

    two comments;  n_atoms, origin, [values per point];  three lines of count and step vector;  atoms;
    values, c fastest, a new row after each run along c (rows of any length are read)

Lengths are bohr. The file does not say what its values are: without `quantity` they are a scalar of unknown unit,
with it Hartree atomic units (units.ATOMIC_UNITS). Potentials are refused without a unit where the comments name a
program that writes them in another one, or with the sign of an electron's energy (_WRITERS). The second column of
the atoms is kept as Structure.charges.

Negative counts: some documents say the lengths are then Å, others bohr, and writers of both kinds exist. Here the
atoms decide: the smallest distance between atoms over the sum of their covalent radii is 0.75 to 1.4 in any bonded
matter, so it can lie there for one of the two units only. Without two atoms, or with neither unit fitting, reading
is refused and asks for kind="cube-bohr" or kind="cube-angstrom".

Positive counts mean bohr. If the comments speak of Å nevertheless, the atoms decide in the same way, but for Å
reading is refused, and where they do not tell it is bohr, with a warning.

The comments of a cube that gpuhomog wrote state its boundary, which holds unless another is asked for; and quantity and
unit, which no other quantity may contradict (unless a kind says that the comments are not to be believed).

A negative n_atoms announces orbitals, listed after the atoms; a fifth number in line 3 several values per point.
Either way each is a block of its own. Orbitals are amplitudes, so they are a density or potential only with a unit.

In   path, plain or compressed.
Out  Source; values (a, b, c) in C order, cut along a.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from ..errors import FileFormatError, UnitsError, met_in, warn
from ..grid import PERIODIC, Grid, parse_boundary
from ..structure import SYMBOLS, Structure
from ..units import ATOMIC_UNITS, BOHR
from .compressed import Cursor, open_bytes
from .source import NOTHING_CHOSEN, Choices, Source
from .text_values import TextValues, number

KINDS = ("cube", "cube-bohr", "cube-angstrom")
"""What `kind` can be; the last two settle the unit of lengths where the file does not."""

# Covalent radii in Å by atomic number 1 … 96: B. Cordero et al., Dalton Trans. 2008, 2832 (low-spin, sp3 values)
_RADII = (
    "0.31 0.28 1.28 0.96 0.84 0.76 0.71 0.66 0.57 0.58 1.66 1.41 1.21 1.11 1.07 1.05 1.02 1.06 2.03 1.76 1.70 1.60 "
    "1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.20 1.19 1.20 1.20 1.16 2.20 1.95 1.90 1.75 1.64 1.54 1.47 1.46 "
    "1.42 1.39 1.45 1.44 1.42 1.39 1.39 1.38 1.39 1.40 2.44 2.15 2.07 2.04 2.03 2.01 1.99 1.98 1.98 1.96 1.94 1.92 "
    "1.92 1.89 1.90 1.87 1.87 1.75 1.70 1.62 1.51 1.44 1.41 1.36 1.36 1.32 1.45 1.46 1.48 1.40 1.50 1.50 2.60 2.21 "
    "2.15 2.06 2.00 1.96 1.90 1.87 1.80 1.69"
).split()
_ANGSTROM = re.compile(
    r"(?<![/*^\w])(?<!per )(?<!cubic )(?:angstr(?:o|ö)ms?|ångstr(?:o|ö)ms?|å)(?!\w|\s*[-^*])", re.IGNORECASE
)
_BOUNDARY = re.compile(rb"(?:# )?boundary ((?:periodic|open)(?:,(?:periodic|open)){2})\b")
_WRITERS = {
    "PWScf": (re.compile(r"\bpwscf\b", re.IGNORECASE), "Ry"),
    "ABACUS": (re.compile(r"\babacus\b", re.IGNORECASE), "Ry"),
    "ASE": (re.compile(r"\bcube file from ase\b", re.IGNORECASE), "eV"),
    "CP2K": (re.compile(r"-quickstep-\s*hartree potential\b", re.IGNORECASE), "Ha"),
}
"""Programs that write potentials as the energy of an electron: how comments name them, and the unit.

Quantum ESPRESSO's pp.x (INPUT_PP, plot_num 1 and 11), ABACUS (out_pot), ASE (as the calculator has the array), CP2K
(V_HARTREE_CUBE, whose manual says that the sign is the opposite of a potential's)."""
_TITLE = re.compile(rb"(?:# )?(\w+) \[([^\]]+)\], written by gpuhomog\b")
_INTEGER = re.compile(rb"[+-]?\d+")


def _numbers(line: bytes, least: int) -> list[float] | None:
    """An integer and at least `least` - 1 numbers."""
    words = line.split()
    if len(words) < least or not _INTEGER.fullmatch(words[0]):
        return None
    try:
        return [number(w) for w in words]
    except ValueError:
        return None


def recognises(head: bytes, path: Path) -> bool:
    """True if lines 3 to 6 are counts with vectors."""
    lines = head.split(b"\n")
    if len(lines) < 7:
        return False
    rows = [_numbers(line, 4) for line in lines[2:6]]
    return all(row is not None and len(row) == 4 for row in rows[1:]) and rows[0] is not None and len(rows[0]) <= 5


def written_boundary(comments: list[bytes]) -> tuple[str, str, str] | None:
    r"""The boundary that the first two lines state if gpuhomog wrote them; None for those of other writers.

    >>> written_boundary([b"scalar [V], written by gpuhomog\n", b"boundary periodic,periodic,open; loops: a outer\n"])
    ('periodic', 'periodic', 'open')
    """
    noted = _BOUNDARY.match(comments[1]) if len(comments) > 1 else None
    ours = any(b"written by gpuhomog" in line for line in comments[:2])
    return parse_boundary(noted[1].decode()) if noted and ours else None


def written_as(path: Path, title: bytes, choices: Choices) -> tuple[str, str | None] | None:
    r"""The quantity and the unit that a first line states if gpuhomog wrote it; None for those of other writers.

    Raises UnitsError for another quantity, unless a kind is given.

    >>> written_as(Path("x.cube"), b"electron_density [1/bohr^3], written by gpuhomog\n", NOTHING_CHOSEN)
    ('electron_density', '1/bohr^3')
    """
    noted = _TITLE.match(title)
    if noted is None or choices.kind is not None:
        return None
    quantity, unit = noted[1].decode(), noted[2].decode("utf-8", "replace")
    if choices.quantity not in (None, "scalar", quantity) and quantity != "scalar":
        raise UnitsError(
            f"{path}: gpuhomog wrote it as {quantity} [{unit}], not as {choices.quantity}: say "
            f'quantity="{quantity}". Making one quantity of another, a change of sign too, is a step of its own.'
        )
    return quantity, None if unit == "unit not known" else unit


def doubts_of_unit(unit: str, quantities: Iterable[str]) -> dict[str, str]:
    """Why values of these quantities are in the unit that gpuhomog noted."""
    said = f'gpuhomog wrote it with values in {unit}. Say unit="{unit}", or the unit that they are in.'
    return dict.fromkeys(quantities, said)


def doubts_of_writer(comments: list[bytes]) -> dict[str, str]:
    r"""Why potentials of this file may not be in atomic units.

    >>> sorted(doubts_of_writer([b" Cubfile created from PWScf calculation\n", b" Contains the selected quantity\n"]))
    ['electron_potential_energy', 'electrostatic_potential']
    """
    said = b" ".join(comments[:2]).decode("utf-8", "replace")
    energy, potential = "electron_potential_energy", "electrostatic_potential"
    for name, (words, unit) in _WRITERS.items():
        if words.search(said):
            what = f"its comments name {name}, which writes the potential energy of an electron in {unit}"
            if unit == ATOMIC_UNITS[energy]:
                say = f'{what}, of the opposite sign. Say quantity="{energy}", or the unit of these values'
                return {potential: f"{say} if they are a potential."}
            say = f'{what}, not in Ha. Say quantity="{energy}" and unit="{unit}", or the unit that the values are in.'
            return {energy: say, potential: say}
    return {}


def doubts_of_orbitals() -> dict[str, str]:
    """Why the values of orbitals are no densities or potentials."""
    said = (
        "its negative number of atoms announces orbitals, whose values are amplitudes; a density is their square. Say "
        "the unit of the values if they are what you say nevertheless."
    )
    return dict.fromkeys(ATOMIC_UNITS, said)


def _fitting_unit(cell: NDArray[np.float64], structure: Structure) -> tuple[float, str] | None:
    """Å per length, and the unit's name, with which the nearest atoms are a bond apart; None if neither."""
    ratio = _nearest_ratio(cell, structure)
    for factor, name in ((1.0, "Å"), (BOHR, "bohr")):
        if ratio is not None and 0.75 <= ratio * factor < 1.41:
            return factor, name
    return None


def _length_unit(path: Path, cell: NDArray[np.float64], structure: Structure) -> tuple[float, str]:
    """Å per length of a file with negative counts, and the remark that says why."""
    if found := _fitting_unit(cell, structure):
        factor, name = found
        return factor, f"Counts are negative; the distances between atoms show that lengths are in {name}."
    raise FileFormatError(
        f"{path}: its counts are negative, which some writers mean as lengths in Å and others as bohr, and its atoms "
        'do not tell. Say kind="cube-bohr" or kind="cube-angstrom".'
    )


def _check_titles(path: Path, comments: list[bytes], cell: NDArray[np.float64], structure: Structure) -> None:
    """Compare the unit of length that the comments of a file with positive counts name with bohr."""
    said = next((m[0] for line in comments if (m := _ANGSTROM.search(line.decode("utf-8", "replace")))), None)
    if said is None:
        return
    what = f'{path}: its counts are positive, which means lengths in bohr, but its comments say "{said}"'
    found = _fitting_unit(cell, structure)
    if found is not None and found[1] == "Å":
        raise FileFormatError(
            f'{what}, and so do the distances between its atoms. Say kind="cube-angstrom", or kind="cube-bohr".'
        )
    if found is None:
        warn(
            f'{what}, and its atoms do not tell. Read as bohr: say kind="cube-angstrom" if it is Å, or '
            'kind="cube-bohr" if it is not.'
        )


def _nearest_ratio(cell: NDArray[np.float64], structure: Structure) -> float | None:
    """Smallest distance between atoms, images included, over the sum of covalent radii; None without radii."""
    known = (structure.numbers >= 1) & (structure.numbers <= len(_RADII))
    noble = np.isin(structure.numbers, (2, 10, 18, 36, 54, 86))
    if not known.all() or noble.all() or not 1 <= len(structure) <= 2000:
        return None
    radii = np.array([float(_RADII[z - 1]) for z in structure.numbers])
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    smallest = np.inf
    for i, at in enumerate(structure.positions):
        away = structure.positions[i:, None, :] + shifts[None] - at
        distance = np.linalg.norm(away, axis=2)
        distance[distance < 1e-6] = np.inf
        smallest = min(smallest, float((distance / (radii[i:] + radii[i])[:, None]).min()))
    return smallest if np.isfinite(smallest) else None


@dataclass(frozen=True)
class _Header:
    """What stands before the values, as it stands there.

    counts     along each axis; their sign may say the unit of lengths
    steps      (3, 3), the vectors between points
    atoms      (n, 5): atomic number, charge, position
    names      of the blocks: values of a point, one after another
    """

    comments: list[bytes]
    counts: tuple[int, int, int]
    origin: NDArray[np.float64]
    steps: NDArray[np.float64]
    atoms: NDArray[np.float64]
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Points along each axis."""
        return abs(self.counts[0]), abs(self.counts[1]), abs(self.counts[2])

    @property
    def extent(self) -> NDArray[np.float64]:
        """The lattice vectors, in the file's unit."""
        return self.steps * np.abs(self.counts)[:, None]

    @property
    def bare(self) -> Structure:
        """The atoms, in the file's unit."""
        return Structure(self.atoms[:, 0].astype(np.int64), self.atoms[:, 2:5])

    def structure(self, factor: float) -> Structure | None:
        """The atoms with positions in Å, if there are any."""
        bare = self.bare
        return Structure(bare.numbers, bare.positions * factor, self.atoms[:, 1]) if len(bare) else None


def _broken(path: Path, what: str) -> FileFormatError:
    return FileFormatError(f"{path}: {what}; this is no cube file, or it is damaged.")


def _read_header(path: Path, cursor: Cursor) -> _Header:
    """Everything before the values, where the cursor then stands."""
    comments = [cursor.line(), cursor.line()]
    if not all(comments):
        raise _broken(path, "the file ends within its header")
    first = _numbers(cursor.line(), 4)
    if first is None or len(first) > 5 or (len(first) == 5 and first[4] != int(first[4])):
        raise _broken(path, "line 3 is not a number of atoms and an origin")
    axes = [_numbers(cursor.line(), 4) for _ in range(3)]
    if any(axis is None for axis in axes):
        raise _broken(path, "lines 4 to 6 are not counts and step vectors")
    n_atoms, per_point = abs(int(first[0])), int(first[4]) if len(first) == 5 else 1
    counts = [int(axis[0]) for axis in axes if axis]
    steps = np.array([axis[1:4] for axis in axes if axis], dtype=np.float64)
    if 0 in counts or per_point < 1:
        raise FileFormatError(
            f"{path}: a grid of {' x '.join(map(str, counts))} points with {per_point} values each: counts are at "
            "least 1."
        )
    rows = []
    for i in range(n_atoms):
        row = _numbers(cursor.line(), 5)
        if row is None or len(row) != 5:
            raise _broken(path, f"atom {i + 1} of {n_atoms} is not an atomic number, a charge and a position")
        rows.append(row)
    names = tuple(f"value {i + 1}" for i in range(per_point)) if per_point > 1 else ("values",)
    if first[0] < 0:
        names = _orbitals(path, cursor, len(names))
    atoms = np.array(rows).reshape(-1, 5)
    numbers = atoms[:, 0].astype(np.int64)
    if not ((atoms[:, 0] == numbers) & (numbers >= 0) & (numbers < len(SYMBOLS))).all():
        raise _broken(path, "an atomic number is impossible")
    return _Header(comments, (counts[0], counts[1], counts[2]), np.array(first[1:4]), steps, atoms, names)


def _orbitals(path: Path, cursor: Cursor, per_point: int) -> tuple[str, ...]:
    """Names of the orbitals that are listed after the atoms: how many, then their numbers."""
    listed: list[int] = []
    wanted = 1
    while len(listed) < wanted:
        words = cursor.line().split()
        if not words or not all(_INTEGER.fullmatch(w) for w in words):
            raise _broken(path, "the number of atoms is negative, but no list of orbitals follows the atoms")
        listed += [int(w) for w in words]
        wanted = listed[0] + 1
    if len(listed) != wanted or wanted < 2:
        raise _broken(path, f"its list of orbitals announces {wanted - 1} and holds {len(listed) - 1}")
    if per_point not in (1, wanted - 1):
        raise _broken(path, f"line 3 announces {per_point} values per point, the list of orbitals {wanted - 1}")
    names = tuple(f"orbital {i}" for i in listed[1:])
    return names if len(set(names)) == len(names) else tuple(f"value {i + 1}" for i in range(len(names)))


def _settle_lengths(path: Path, header: _Header, kind: str | None, noted: bool) -> tuple[float, list[str]]:
    """Å per length, and the remark that says why; noted: gpuhomog wrote the file, in bohr."""
    if kind == "cube-angstrom":
        return 1.0, []
    if kind == "cube-bohr":
        return BOHR, []
    if min(header.counts) > 0:
        if not noted:
            _check_titles(path, header.comments, header.extent, header.bare)
        return BOHR, []
    if max(header.counts) > 0:
        raise FileFormatError(
            f"{path}: some counts are negative and some positive, so its unit of length is not known. Say "
            'kind="cube-bohr" or kind="cube-angstrom".'
        )
    factor, remark = _length_unit(path, header.extent, header.bare)
    return factor, [remark]


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Open a cube file; the kinds "cube-bohr" or "cube-angstrom" settle the unit of lengths.

    Raises InputError, FileFormatError. Warns AccuracyWarning where the comments contradict the format and the atoms do
    not tell.
    """
    file = open_bytes(path)
    with file.cursor() as cursor:
        header = _read_header(path, cursor)
        shape, names, per_point = header.shape, header.names, len(header.names)

        def where(index: int) -> str:
            point = index // per_point
            k, row_of = point % shape[2], point // shape[2]
            return f"at grid point [{row_of // shape[1]}, {row_of % shape[1]}, {k}]"

        n = shape[0] * shape[1] * shape[2] * per_point
        block = TextValues.find(file, cursor, n, where, (shape[2] * per_point,), last=True)

    boundary = written_boundary(header.comments)
    written = written_as(path, header.comments[0], choices)
    doubts = doubts_of_orbitals() if names[0].startswith("orbital") else doubts_of_writer(header.comments)
    if written is not None and written[0] == "scalar" and written[1] is not None:
        doubts = doubts_of_unit(written[1], (name for name, own in ATOMIC_UNITS.items() if own != written[1]))
    factor, remarks = _settle_lengths(path, header, choices.kind, boundary is not None)
    if boundary is not None:
        remarks.append("The boundary is the one that gpuhomog noted in the comments when it wrote the file.")
    if choices.quantity is None:
        remarks.append("A cube does not say what its values are; name the quantity to have them converted.")
        said = doubts.get("electrostatic_potential")
        if said is not None and written is None and not names[0].startswith("orbital"):
            remarks.append(f"If they are a potential: {said.partition('. Say ')[0]}.")
    with met_in(f"{path}: ", FileFormatError):
        grid = Grid(shape, header.extent * factor, header.origin * factor, boundary or (PERIODIC,) * 3)

    def read_planes(start: int, stop: int, name: str, dtype: Any) -> NDArray[np.floating]:
        return _read_planes(block, shape, per_point, names.index(name), start, stop, dtype)

    def decode_planes(start: int, stop: int, name: str, dtype: Any, device: Device) -> Any:
        plane = shape[1] * shape[2] * per_point
        values = block.read_on(device, start * plane, stop * plane, dtype)
        if values is None:
            return None
        if per_point > 1:
            values = device.compact(values[names.index(name) :: per_point])
        return values.reshape(stop - start, shape[1], shape[2])

    return Source(
        path=path,
        format="cube",
        grid=grid,
        quantity=None,
        unit=None,
        blocks=names,
        slowest_axis=0,
        read_planes=read_planes,
        structure=header.structure(factor),
        remarks=tuple(remarks),
        finite=True,
        doubts=doubts,
        decode_planes=decode_planes,
    )


def _read_planes(
    block: TextValues, shape: tuple[int, int, int], per_point: int, which: int, start: int, stop: int, dtype: Any
) -> NDArray[np.floating]:
    plane = shape[1] * shape[2]
    out = np.empty((stop - start) * plane, dtype=dtype)

    def consume(first: int, values: NDArray[np.float64]) -> None:
        begin = first - start * plane * per_point
        if per_point > 1:
            skip = (which - begin) % per_point
            values = values[skip::per_point]
            begin = (begin + skip) // per_point
        out[begin : begin + values.size] = values

    block.read(start * plane * per_point, stop * plane * per_point, consume)
    return out.reshape(stop - start, shape[1], shape[2])
