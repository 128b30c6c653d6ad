r"""Quantum ESPRESSO's plot files: what pp.x writes as `filplot` and average.x reads.

    title;  counts in memory, counts, n_atoms, n_types;  ibrav, celldm(1:6);  [three vectors, if ibrav is 0];
    gcutm, dual, ecut, plot_num;  the types: label and valence charge;  the atoms: position and type;
    values, a fastest; rows may be longer in memory than the grid, and what is beyond it is left out

What the values are is said by plot_num: Rydberg atomic units, numbers of electrons (positive), potential energies of
an electron. The lattice is named by ibrav and its parameters (`lattice`). Valence charges are kept as
Structure.charges.

In   path, plain or compressed.
Out  Source; values (a, b, c) in Fortran order, cut along c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from ..errors import FileFormatError, met_in, warn
from ..grid import Grid
from ..structure import Structure, atomic_number
from ..units import BOHR
from .compressed import Cursor, open_bytes
from .source import NOTHING_CHOSEN, Choices, Source
from .text_values import TextValues, first_numbers, number

KINDS = ("pp.x",)

_ELECTRONS = ("electron_density", "1/bohr^3")
_ENERGY = ("electron_potential_energy", "Ry")
CONTENT: dict[int, tuple[tuple[str, str | None], str]] = {
    0: (_ELECTRONS, "pseudo-charge density of the valence electrons"),
    1: (_ENERGY, "total potential: bare, Hartree and exchange-correlation"),
    2: (_ENERGY, "local ionic potential"),
    6: (("scalar", "1/Å^3"), "spin polarization"),  # converted, as those of other formats are
    9: (_ELECTRONS, "density less that of the atoms: its integral is not the number of electrons"),
    11: (_ENERGY, "electrostatic potential: bare and Hartree"),
    12: (_ENERGY, "potential of the electric field that was applied"),
    17: (_ELECTRONS, "all-electron density of the valence electrons"),
    21: (_ELECTRONS, "all-electron density, core electrons included"),
    23: (_ELECTRONS, "density of the states in a range of energies"),
}
"""plot_num → quantity and unit, and what pp.x calls it (INPUT_PP); all others are scalars of no known unit."""

_HALF = np.array(1 / 2)
_BODY = _HALF * [[1, 1, 1], [-1, 1, 1], [-1, -1, 1]]
_UPRIGHT = np.eye(3)
_LATTICES: dict[int, tuple[str, Any]] = {
    1: ("a a a", _UPRIGHT),
    2: ("a a a", _HALF * [[-1, 0, 1], [0, 1, 1], [-1, 1, 0]]),
    3: ("a a a", _BODY),
    -3: ("a a a", _HALF * [[-1, 1, 1], [1, -1, 1], [1, 1, -1]]),
    4: ("a a c hexagonal", _UPRIGHT),
    6: ("a a c", _UPRIGHT),
    7: ("a a c", _HALF * [[1, -1, 1], [1, 1, 1], [-1, -1, 1]]),
    8: ("a b c", _UPRIGHT),
    9: ("a b c", [[1 / 2, 1 / 2, 0], [-1 / 2, 1 / 2, 0], [0, 0, 1]]),
    -9: ("a b c", [[1 / 2, -1 / 2, 0], [1 / 2, 1 / 2, 0], [0, 0, 1]]),
    91: ("a b c", [[1, 0, 0], [0, 1 / 2, -1 / 2], [0, 1 / 2, 1 / 2]]),
    10: ("a b c", _HALF * [[1, 0, 1], [1, 1, 0], [0, 1, 1]]),
    11: ("a b c", _BODY),
    12: ("a b c gamma", _UPRIGHT),
    -12: ("a b c beta", _UPRIGHT),
    13: ("a b c gamma", [[1 / 2, 0, -1 / 2], [0, 1, 0], [1 / 2, 0, 1 / 2]]),
    -13: ("a b c beta", [[1 / 2, 1 / 2, 0], [-1 / 2, 1 / 2, 0], [0, 0, 1]]),
    14: ("a b c alpha beta gamma", _UPRIGHT),
}
"""ibrav → what fixes the conventional cell, and the primitive vectors in its vectors (INPUT_PW); 5 and -5 apart."""


def lattice(ibrav: int, celldm: list[float]) -> NDArray[np.float64]:
    """(3, 3) rows the lattice vectors, in the unit of celldm[0].

    celldm  a, b/a, c/a, and cosines of angles: of alpha, beta, gamma for triclinic cells, [3] of gamma or [4] of beta
            for monoclinic ones, [3] of the angle between all vectors for rhombohedral ones

    Raises ValueError for an ibrav that does not exist, and where no such cell does.

    >>> lattice(2, [2.0, 0, 0, 0, 0, 0])
    array([[-1.,  0.,  1.],
           [ 0.,  1.,  1.],
           [-1.,  1.,  0.]])
    """
    a, b, c = celldm[0], celldm[0] * celldm[1], celldm[0] * celldm[2]
    if abs(ibrav) == 5:
        return _rhombohedral(a, celldm[3], along_z=ibrav > 0)
    if ibrav not in _LATTICES:
        raise ValueError
    fixed, primitive = _LATTICES[ibrav]
    words = fixed.split()
    lengths = [{"a": a, "b": b, "c": c}[word] for word in words[:3]]
    cosines = {"alpha": 0.0, "beta": 0.0, "gamma": 0.0}
    if "hexagonal" in words:
        cosines["gamma"] = -1 / 2
    elif "alpha" in words:
        cosines = dict(zip(cosines, celldm[3:6], strict=True))
    elif "beta" in words:
        cosines["beta"] = celldm[4]
    elif "gamma" in words:
        cosines["gamma"] = celldm[3]
    return np.asarray(primitive @ _conventional(lengths, *cosines.values()))


def _conventional(lengths: list[float], alpha: float, beta: float, gamma: float) -> NDArray[np.float64]:
    """Vectors of these lengths and cosines: the first along x, the second in the plane of x and y."""
    if min(lengths) <= 0 or abs(gamma) >= 1:
        raise ValueError
    sine = np.sqrt(1 - gamma**2)
    across = (alpha - beta * gamma) / sine
    square = 1 - beta**2 - across**2
    if square <= 0:
        raise ValueError
    directions = [[1, 0, 0], [gamma, sine, 0], [beta, across, np.sqrt(square)]]
    return np.array(directions) * np.array(lengths)[:, None]


def _rhombohedral(a: float, cosine: float, along_z: bool) -> NDArray[np.float64]:
    """Three vectors of one length with one angle between them, about z or about (111)."""
    if a <= 0 or not -1 / 2 < cosine < 1:
        raise ValueError
    along, across = a * np.sqrt((1 + 2 * cosine) / 3), a * np.sqrt(2 * (1 - cosine))
    if along_z:
        hexagonal = _conventional([across, across, 3 * along], 0, 0, -1 / 2)
        return np.asarray(np.array([[1, -1, 1], [1, 2, 1], [-2, -1, 1]]) / 3 @ hexagonal)
    return np.asarray(along / np.sqrt(3) + across / np.sqrt(18) * (1 - 3 * np.eye(3)))


@dataclass(frozen=True)
class _Header:
    """What stands before the values.

    in_memory  points along a row and rows in a plane as they were stored; the grid's may be fewer
    cell       [Å]
    """

    in_memory: tuple[int, int]
    counts: tuple[int, int, int]
    cell: NDArray[np.float64]
    structure: Structure
    plot_num: int
    ibrav: int


def _numbers(line: bytes, n: int) -> list[float] | None:
    """Exactly n numbers."""
    found = first_numbers(line)
    return found if found is not None and len(found) == n else None


def _integers(line: bytes, n: int) -> list[int] | None:
    """Exactly n integers."""
    words = line.split()
    return [int(word) for word in words] if len(words) == n and all(map(bytes.isdigit, words)) else None


def _named_lattice(line: bytes) -> tuple[int, list[float]] | None:
    """ibrav and celldm."""
    words = line.split()
    if len(words) != 7 or not re.fullmatch(rb"-?\d+", words[0]):
        return None
    celldm = _numbers(b" ".join(words[1:]), 6)
    return None if celldm is None else (int(words[0]), celldm)


def recognises(head: bytes, path: Path) -> bool:
    """True if eight counts follow the title, and ibrav with celldm those."""
    lines = head.split(b"\n")
    return len(lines) > 4 and _integers(lines[1], 8) is not None and _named_lattice(lines[2]) is not None


def _read_header(path: Path, cursor: Cursor) -> _Header:
    def broken(what: str) -> FileFormatError:
        return FileFormatError(f"{path}: {what}; this is no plot file of pp.x, or it is damaged.")

    cursor.line()
    counts = _integers(cursor.line(), 8)
    if counts is None:
        raise broken("line 2 is not the counts of the grid, of atoms and of their types")
    in_memory, grid, (n_atoms, n_types) = counts[:3], (counts[3], counts[4], counts[5]), counts[6:]
    if min(grid) < 1 or any(stored < n for stored, n in zip(in_memory, grid, strict=True)):
        raise broken(
            f"it announces {' x '.join(map(str, grid))} points, and {' x '.join(map(str, in_memory))} in memory"
        )
    named = _named_lattice(cursor.line())
    if named is None:
        raise broken("line 3 is not ibrav with six celldm")
    ibrav, celldm = named
    if ibrav == 0:
        rows = [_numbers(cursor.line(), 3) for _ in range(3)]
        if any(row is None for row in rows):
            raise broken("lines 4 to 6 are not the three lattice vectors of ibrav = 0")
        vectors = np.array(rows, dtype=np.float64) * celldm[0]
    else:
        try:
            vectors = lattice(ibrav, celldm)
        except ValueError:
            raise broken(f"there is no lattice of ibrav = {ibrav} with celldm = {celldm}") from None
    kind = _numbers(cursor.line(), 4)
    if kind is None or kind[3] != int(kind[3]):
        raise broken("the line before the atoms is not gcutm, dual, ecut and plot_num")
    structure = _read_atoms(cursor, n_atoms, n_types, celldm[0] * BOHR)
    if isinstance(structure, str):
        raise broken(structure)
    return _Header((in_memory[0], in_memory[1]), grid, vectors * BOHR, structure, int(kind[3]), ibrav)


def _read_atoms(cursor: Cursor, n_atoms: int, n_types: int, alat: float) -> Structure | str:
    """The atoms with their valence charges, or what is wrong with their lines."""
    labels, valences = [], []
    for i in range(n_types):
        words = cursor.line().decode("ascii", "replace").split()
        try:  # a label may be blank, or have a blank in it
            valences.append(number(words[-1].encode()))
        except (ValueError, IndexError):
            return f"type {i + 1} of {n_types} is not a label with a valence charge"
        labels.append(words[1] if len(words) > 2 else "")
    positions, types = [], []
    for i in range(n_atoms):
        row = _numbers(cursor.line(), 5)
        if row is None or row[4] not in range(1, n_types + 1):
            return f"atom {i + 1} of {n_atoms} is not a number, a position and one of {n_types} types"
        positions.append(row[1:4])
        types.append(int(row[4]) - 1)
    numbers = np.array([atomic_number(label) for label in labels], dtype=np.int64)
    at = np.array(positions).reshape(-1, 3) * alat
    return Structure(numbers[types], at, np.array(valences)[types] if types else np.zeros(0))


def review_valence_electrons(
    path: Path, structure: Structure | None, volume: float, mean: float, negative: float
) -> None:
    """Compare the electrons of a density [1/bohr^3] with the valence charges of its atoms; warns where they differ."""
    if structure is None or structure.charges is None:
        return
    electrons, valence = mean * volume / BOHR**3, float(structure.charges.sum())
    if valence and abs(electrons - valence) > 1e-3 * valence:
        warn(
            f"{path}: integrates to {electrons:.6g} electrons, but the pseudopotentials of {structure.formula} have "
            f"{valence:g}: a charged cell, one component of the spin, or a grid too coarse. Nothing is renormalized."
        )


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Open a plot file of pp.x.

    Raises InputError, FileFormatError. Warns AccuracyWarning where ibrav is -13, whose vectors were changed.
    """
    file = open_bytes(path)
    with file.cursor() as cursor:
        header = _read_header(path, cursor)
        (row, rows), (n_a, n_b, n_c) = header.in_memory, header.counts

        def where(index: int) -> str:
            return f"at grid point [{index % row}, {index // row % rows}, {index // (row * rows)}]"

        text = TextValues.find(file, cursor, row * rows * n_c, where)
    with met_in(f"{path}: ", FileFormatError):
        grid = Grid(header.counts, header.cell)
    if header.ibrav == -13:
        warn(
            f"{path}: ibrav is -13, for which Quantum ESPRESSO before 6.4.1 had other vectors in the plane of a and b. "
            "Read as later versions write it: check the cell, or write the file with ibrav 0."
        )
    (quantity, unit), called = CONTENT.get(header.plot_num, (("scalar", None), ""))
    divisor = BOHR**3 if unit == "1/Å^3" else 1.0
    remark = f"plot_num is {header.plot_num}" + (
        f": {called}." if called else ", which says of no quantity and unit here."
    )
    if header.plot_num in (0, 17, 21):
        remark += " The file does not say whether it holds both spins."

    def read_planes(start: int, stop: int, block: str, dtype: Any) -> NDArray[np.floating]:
        line = text.read_line(start * row * rows, stop * row * rows, dtype, divisor)
        return np.ascontiguousarray(line.reshape(stop - start, rows, row)[:, :n_b, :n_a]).T

    def decode_planes(start: int, stop: int, block: str, dtype: Any, device: Device) -> Any:
        values = text.read_on(device, start * row * rows, stop * row * rows, dtype, divisor)
        if values is None:
            return None
        planes = values.reshape(stop - start, rows, row)
        return (planes if (rows, row) == (n_b, n_a) else device.compact(planes[:, :n_b, :n_a])).T

    return Source(
        path=path,
        format="pp.x",
        grid=grid,
        quantity=quantity,
        unit=unit,
        blocks=("values",),
        slowest_axis=2,
        read_planes=read_planes,
        structure=header.structure if len(header.structure) else None,
        remarks=(remark,),
        atomic_units=False,
        finite=True,
        review=partial(review_valence_electrons, path, header.structure, grid.volume) if header.plot_num == 0 else None,
        decode_planes=decode_planes,
    )
