"""VASP output: CHGCAR from an electron density, LOCPOT from an electron potential energy or a potential.

    CHGCAR   electron number density × cell volume         LOCPOT   eV, as it is; -e φ of a potential
    comment, scale 1.0, lattice vectors, elements, counts, "Direct", fractional positions, blank line,
    n_a n_b n_c, values with a fastest, five to a line, 11 digits

Atoms keep their order: an element that comes back later is listed again. Positions are taken from the grid's
first point, since the format has no origin. Augmentation charges and spin are not written, so VASP can restart
from such a file only without them.

In   Field with atoms.
Out  where its planes of c lie in the file, and as which text (places.py). InputError for another quantity, or without
     atoms.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..field import Field
from ..units import QUANTITIES, conversion_factor
from .numerals import WIDTH, lines, numerals
from .places import Piece, Places

PER_LINE = 5
POTENTIAL = "electrostatic_potential"
QUANTITY = {"CHGCAR": "electron_density", "LOCPOT": "electron_potential_energy"}


def check_field(kind: str, field: Field) -> None:
    """InputError unless the field is what a file of this kind holds."""
    needed = QUANTITY[kind]
    if field.quantity != needed and not (kind == "LOCPOT" and field.quantity == POTENTIAL):
        raise InputError(
            f'A {kind} holds an {needed}, and this field is "{field.quantity}": write .h5 or .cube, which hold any '
            "quantity."
        )
    if field.structure is None or not len(field.structure):
        raise InputError(f"A {kind} needs the atoms, and this field has none. Write .h5 or .cube instead.")


def places(kind: str, field: Field) -> Places:
    """Header and values of a "CHGCAR" or "LOCPOT": a plane may begin and end within a line."""
    check_field(kind, field)
    grid, structure = field.grid, field.structure
    assert structure is not None and field.unit is not None  # check_field has seen to it
    internal = QUANTITIES[field.quantity]
    factor = conversion_factor(field.unit, internal or field.unit) * (grid.volume if kind == "CHGCAR" else 1.0)
    factor = -factor if field.quantity == POTENTIAL else factor  # V into eV of an electron
    groups = [(symbol, len(list(atoms))) for symbol, atoms in groupby(structure.symbols)]
    fractional = (structure.positions - grid.origin) @ np.linalg.inv(grid.cell)
    header = [f"{structure.formula}: {QUANTITY[kind]}, written by gpuhomog", "1.0"]
    header += [" ".join(f"{x:21.15f}" for x in row) for row in grid.cell]
    header += [" ".join(f"{symbol:>5}" for symbol, _ in groups), " ".join(f"{count:5d}" for _, count in groups)]
    header += ["Direct", *(" ".join(f"{x:19.15f}" for x in row) for row in fractional), ""]
    header.append(" ".join(f"{n:5d}" for n in grid.shape))
    head = ("\n".join(header) + "\n").encode()
    n, per_plane = grid.n_points, grid.points_per_plane(2)

    def pieces(start: int, block: NDArray[Any]) -> Iterator[Piece]:
        if start == 0:
            yield "", 0, head
        for index in range(block.shape[2]):
            first, last = (start + index) * per_plane, (start + index + 1) * per_plane
            values = block[:, :, index].T.astype(np.float64, order="C") * factor
            before = first % PER_LINE  # values of other planes in the first line
            text = np.empty((before + per_plane, WIDTH), dtype=np.uint8)
            text[before:] = numerals(values, style="vasp")
            page = memoryview(lines(text[None], PER_LINE))[before * WIDTH :]
            if last % PER_LINE and last < n:
                page = page[:-1]  # the last line goes on in the next plane
            yield "", len(head) + first * WIDTH + first // PER_LINE, page

    return Places(pieces, len(head) + n * WIDTH + -(-n // PER_LINE))
