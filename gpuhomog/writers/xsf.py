"""XSF output (XCrySDen, VESTA): a general grid, whose first planes are repeated at the end.

    CRYSTAL, PRIMVEC, PRIMCOORD                    cell and atoms, Å
    BEGIN_BLOCK_DATAGRID_3D, BEGIN_DATAGRID_3D     n + 1 points per axis, origin, spanning vectors, a fastest

The repeated planes are what "general grid" means in the format: they hold nothing new, and readers drop them.
The format knows neither units nor quantities; values are in the field's own unit, which a comment names;
another states the boundary, which readers/xsf.py reads.

In   stream, Field, its blocks of planes of c.
Out  nothing but the text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from .numerals import WIDTH, lines, numerals

PER_LINE = 6


def write_field(stream: IO[bytes], field: Field, blocks: Iterable[tuple[int, NDArray[Any]]]) -> None:
    """Write the field."""
    grid, structure = field.grid, field.structure
    header = [f"# {field.quantity} [{field.unit or 'unit not known'}], written by gpuhomog"]
    header += [f"# boundary {','.join(grid.boundary)}", "CRYSTAL", "PRIMVEC", *map(_row, grid.cell)]
    if structure is not None:
        header += ["PRIMCOORD", f"{len(structure)} 1"]
        header += [f"{n:4d} {_row(r)}" for n, r in zip(structure.numbers, structure.positions, strict=True)]
    header += ["BEGIN_BLOCK_DATAGRID_3D", field.quantity, f"BEGIN_DATAGRID_3D_{field.quantity}"]
    header += [" ".join(str(n + 1) for n in grid.shape), _row(grid.origin), *map(_row, grid.cell)]
    stream.write(("\n".join(header) + "\n").encode())
    first = b""
    for start, block in blocks:
        for index in range(block.shape[2]):
            plane = np.pad(block[:, :, index].T.astype(np.float64), ((0, 1), (0, 1)), mode="wrap")
            text = lines(numerals(plane).reshape(*plane.shape, WIDTH), PER_LINE)
            stream.write(text)
            if start + index == 0:
                first = text
    stream.write(first)
    stream.write(b"END_DATAGRID_3D\nEND_BLOCK_DATAGRID_3D\n")


def _row(numbers: NDArray[np.float64]) -> str:
    return " ".join(f"{value:19.12f}" for value in numbers)
