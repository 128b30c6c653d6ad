"""Structure: the atoms that come with a field, frozen, without needing any library for atoms.

In   atomic numbers, Cartesian positions in Å, the charges of the ions if the file states them.
Out  Structure; `to_ase()` gives ASE Atoms.

>>> Structure(np.array([11, 17]), np.zeros((2, 3))).formula
'ClNa'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, counted

if TYPE_CHECKING:
    from .grid import Grid

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu "
    "Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr "
    "Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split()
"""Element symbols by atomic number; "X" (0) is an atom whose element the file does not say."""


IONS = "ions"
"""The word for all atoms, where an element stands for its own."""


def atomic_number(label: str) -> int:
    """Of what programs call atoms of an element; 0 if it is none.

    >>> [atomic_number(label) for label in ("Na", "Na_pv", "O1", "FE", "Xx")]
    [11, 11, 8, 26, 0]
    """
    letters = re.match(r"[A-Za-z]+", label)
    word = letters[0].capitalize() if letters else "X"
    return SYMBOLS.index(word) if word in SYMBOLS else 0


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms of a field.

    numbers    (n,) atomic numbers; 0 where the file does not name the element
    positions  (n, 3) Cartesian [Å]
    charges    (n,) charge of each ion as the file states it [e] (cube files: the second column), or None
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    charges: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        numbers = np.array(self.numbers, dtype=np.int64).reshape(-1)
        positions = np.array(self.positions, dtype=np.float64).reshape(-1, 3)
        if len(numbers) != len(positions):
            raise InputError(
                f"{counted(len(numbers), 'atomic number')} for {counted(len(positions), 'position')}: give one for "
                "each atom."
            )
        if numbers.size and (numbers.min() < 0 or numbers.max() >= len(SYMBOLS)):
            wrong = int(np.flatnonzero((numbers < 0) | (numbers >= len(SYMBOLS)))[0])
            raise InputError(
                f"Atom {wrong} of {len(numbers)} has the atomic number {numbers[wrong]}: give 0 (not known) to "
                f"{len(SYMBOLS) - 1}."
            )
        if not np.isfinite(positions).all():
            wrong = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
            raise InputError(
                f"The position of atom {wrong} of {len(numbers)} holds NaN or infinity: give finite positions in Å."
            )
        charges = None
        if self.charges is not None:
            charges = np.array(self.charges, dtype=np.float64).reshape(-1)
            if len(charges) != len(numbers):
                raise InputError(
                    f"{counted(len(charges), 'ion charge')} for {counted(len(numbers), 'atom')}: give one for "
                    "each atom."
                )
            charges.flags.writeable = False
        numbers.flags.writeable = positions.flags.writeable = False
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "charges", charges)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Element symbol of each atom."""
        return tuple(SYMBOLS[n] for n in self.numbers)

    @property
    def formula(self) -> str:
        """Counts by symbol in alphabetical order, "Cl6Na6"."""
        symbols = self.symbols
        return "".join(f"{s}{symbols.count(s) if symbols.count(s) > 1 else ''}" for s in sorted(set(symbols)))

    def to_ase(self, grid: Grid | None = None) -> Any:
        """ASE Atoms, in the grid's cell if one is given."""
        from ase import Atoms

        if grid is None:
            return Atoms(numbers=self.numbers, positions=self.positions)
        pbc = [b == "periodic" for b in grid.boundary]
        return Atoms(numbers=self.numbers, positions=self.positions - grid.origin, cell=grid.cell, pbc=pbc)
