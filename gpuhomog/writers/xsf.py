"""XSF output (XCrySDen, VESTA): a general grid, whose first planes are repeated at the end.

    CRYSTAL, PRIMVEC, PRIMCOORD                    cell and atoms, Å
    BEGIN_BLOCK_DATAGRID_3D, BEGIN_DATAGRID_3D     n + 1 points per axis, origin, spanning vectors, a fastest

The repeated planes are what "general grid" means in the format: they hold nothing new, and readers drop them.
The format knows neither units nor quantities; values are in the field's own unit, which a comment names;
another states the boundary, which readers/xsf.py reads.

In   Field.
Out  where its planes of c lie in the file, and as which text (places.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from .numerals import WIDTH, lines, numerals
from .places import Piece, Places

PER_LINE = 6
_FOOT = b"END_DATAGRID_3D\nEND_BLOCK_DATAGRID_3D\n"


def places(field: Field) -> Places:
    """Header, plane after plane, the first one again, and two lines that end the grid."""
    grid, structure = field.grid, field.structure
    header = [f"# {field.quantity} [{field.unit or 'unit not known'}], written by gpuhomog"]
    header += [f"# boundary {','.join(grid.boundary)}", "CRYSTAL", "PRIMVEC", *map(_row, grid.cell)]
    if structure is not None:
        header += ["PRIMCOORD", f"{len(structure)} 1"]
        header += [f"{n:4d} {_row(r)}" for n, r in zip(structure.numbers, structure.positions, strict=True)]
    header += ["BEGIN_BLOCK_DATAGRID_3D", field.quantity, f"BEGIN_DATAGRID_3D_{field.quantity}"]
    header += [" ".join(str(n + 1) for n in grid.shape), _row(grid.origin), *map(_row, grid.cell)]
    head = ("\n".join(header) + "\n").encode()
    n_a, n_b, n_c = grid.shape
    plane_bytes = (n_b + 1) * ((n_a + 1) * WIDTH + -(-(n_a + 1) // PER_LINE))
    end = len(head) + (n_c + 1) * plane_bytes

    def pieces(start: int, block: NDArray[Any]) -> Iterator[Piece]:
        if start == 0:
            yield "", 0, head
        for index in range(block.shape[2]):
            plane = np.pad(block[:, :, index].T.astype(np.float64), ((0, 1), (0, 1)), mode="wrap")
            text = lines(numerals(plane).reshape(*plane.shape, WIDTH), PER_LINE)
            yield "", len(head) + (start + index) * plane_bytes, text
            if start + index == 0:
                yield "", len(head) + n_c * plane_bytes, text
            if start + index == n_c - 1:
                yield "", end, _FOOT

    return Places(pieces, end + len(_FOOT))


def _row(numbers: NDArray[np.float64]) -> str:
    return " ".join(f"{value:19.12f}" for value in numbers)
