"""Described arrays: what a file says about an array besides its values, checked and made into geometry.

    cell       3 x 3, rows are the lattice vectors [Å]            needed
    origin     position of point [0, 0, 0] [Å]                    0 if not given
    boundary   "periodic", "open", one for each axis, or "p,p,o"  periodic if not given
    quantity   one of units.QUANTITIES                            "scalar", or none: up to the user
    unit       unit of the values                                 atomic units of the quantity if not given
    numbers    atomic numbers                                     with positions [Å]; charges [e] if known

The NumPy, HDF5 and Zarr readers share these names.

In   path, shape, the facts by name.
Out  Description: Grid, Structure, quantity, unit. FileFormatError or UnitsError that begins with the path.

>>> described = describe(Path("x.npz"), (2, 2, 2), {"cell": np.eye(3), "boundary": "p,p,o"})
>>> described.grid.boundary, described.quantity, described.unit
(('periodic', 'periodic', 'open'), None, None)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileFormatError, InputError, UnitsError
from ..grid import Grid, parse_boundary
from ..structure import Structure
from ..units import ATOMIC_UNITS, QUANTITIES, check_quantity, conversion_factor

FACTS = ("cell", "origin", "boundary", "quantity", "unit", "numbers", "positions", "charges", "provenance")


@dataclass(frozen=True, eq=False)
class Description:
    """What a file says about its array; see the module."""

    grid: Grid
    structure: Structure | None
    quantity: str | None
    unit: str | None
    provenance: tuple[Mapping[str, Any], ...]


def describe(path: Path, shape: tuple[int, ...], facts: Mapping[str, Any]) -> Description:
    """Check the facts of an array of `shape`; missing ones may be absent or None."""
    known = {name: facts[name] for name in FACTS if facts.get(name) is not None}
    if len(shape) != 3:
        raise FileFormatError(f"{path}: the array has shape {tuple(shape)}; a field needs three axes (a, b, c).")
    if "cell" not in known:
        raise FileFormatError(f'{path}: no "cell" beside the array: give the lattice vectors as 3 x 3 rows in Å.')
    if ("numbers" in known) != ("positions" in known):
        raise FileFormatError(f'{path}: atoms need both "numbers" and "positions"; one of them is missing.')
    quantity, unit = _text(known.get("quantity")), _text(known.get("unit"))
    try:
        boundary = known.get("boundary", "periodic")
        if not isinstance(boundary, str):
            words = np.asarray(boundary)
            boundary = _text(words) if words.ndim == 0 else [_text(w) for w in words]
        grid = Grid(
            (int(shape[0]), int(shape[1]), int(shape[2])),
            _floats(known["cell"]),
            _floats(known.get("origin", np.zeros(3))),
            parse_boundary(boundary),
        )
        structure = None
        if "numbers" in known:
            charges = known.get("charges")
            structure = Structure(
                np.asarray(known["numbers"]),
                _floats(known["positions"]),
                None if charges is None else _floats(charges),
            )
        if quantity is not None:
            check_quantity(quantity)
        if unit is None and quantity is not None:
            unit = ATOMIC_UNITS.get(quantity)
        elif unit is not None:
            conversion_factor(unit, QUANTITIES[quantity or "scalar"] or unit)
        if quantity == "scalar":  # says nothing: the user may still name the quantity
            quantity = None
        provenance = json.loads(_text(known.get("provenance")) or "[]")
    except UnitsError as error:
        raise UnitsError(f"{path}: {error}") from None
    except InputError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except (ValueError, TypeError) as error:
        raise FileFormatError(f"{path}: a description of the array cannot be read ({error}).") from None
    steps = tuple(s for s in provenance if isinstance(s, dict)) if isinstance(provenance, list) else ()
    return Description(grid, structure, quantity, unit, steps)


def _floats(value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.asarray(value, dtype=np.float64)


def _text(value: Any) -> str | None:
    """A string from a string, bytes or an array holding one."""
    if value is None:
        return None
    item = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(item, bytes):
        return item.decode("utf-8")
    if not isinstance(item, str):
        raise InputError(f"found {type(item).__name__} where a text is needed.")
    return item


def check_real(path: Path, dtype: np.dtype[Any]) -> None:
    """FileFormatError unless the values are real numbers."""
    if dtype.kind == "c":
        raise FileFormatError(f"{path}: complex values; a field is real. Write the real and imaginary parts apart.")
    if dtype.kind not in "fiub":
        raise FileFormatError(f"{path}: values of type {dtype}; a field holds real numbers.")
