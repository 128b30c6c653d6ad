"""Gaussian cube output: lengths in bohr, values in atomic units where the quantity is known.

    2 comment lines      what the values are, their unit, the boundary (readers/cube.py reads the boundary)
    n_atoms, origin      then n_a, a/n_a; n_b, b/n_b; n_c, c/n_c      counts positive: bohr
    number, charge, position of each atom
    values, c fastest, six to a line, every row of c begins a new line

A "scalar" is written as it is. Values have 11 significant digits and lengths 12, twice what the format's
originator writes; every known reader takes them. HDF5 keeps every bit.

In   Field.
Out  where its planes of a lie in the file, and as which text (places.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from ..units import ATOMIC_UNITS, BOHR, conversion_factor
from .numerals import WIDTH, lines, numerals
from .places import Piece, Places

PER_LINE = 6


def places(field: Field) -> Places:
    """Header, then plane after plane."""
    grid, structure = field.grid, field.structure
    unit = ATOMIC_UNITS.get(field.quantity, field.unit)
    factor = 1.0 if unit is None or field.unit is None else conversion_factor(field.unit, unit)
    header = [f"{field.quantity} [{unit or 'unit not known'}], written by gpuhomog"]
    header.append(f"boundary {','.join(grid.boundary)}; loops: a outer, b middle, c inner")
    header.append(_row(0 if structure is None else len(structure), grid.origin / BOHR))
    header += [_row(n, step / BOHR) for n, step in zip(grid.shape, grid.steps, strict=True)]
    if structure is not None:
        charges = structure.charges if structure.charges is not None else structure.numbers.astype(np.float64)
        header += [
            _row(int(number), np.array([charge, *(position / BOHR)]))
            for number, charge, position in zip(structure.numbers, charges, structure.positions, strict=True)
        ]
    head = ("\n".join(header) + "\n").encode()
    n_a, n_b, n_c = grid.shape
    plane_bytes = n_b * (n_c * WIDTH + -(-n_c // PER_LINE))

    def pieces(start: int, block: NDArray[Any]) -> Iterator[Piece]:
        if start == 0:
            yield "", 0, head
        for index, plane in enumerate(block, start):
            values = plane.astype(np.float64, order="C") * factor
            text = lines(numerals(values).reshape(-1, n_c, WIDTH), PER_LINE)
            yield "", len(head) + index * plane_bytes, text

    return Places(pieces, len(head) + n_a * plane_bytes)


def _row(count: int, numbers: NDArray[np.float64]) -> str:
    return f"{count:5d}" + "".join(f" {value:19.12f}" for value in numbers)
