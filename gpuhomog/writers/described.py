"""Described arrays: what a file says about a field besides its values; the inverse of readers/described.py.

    cell, origin, boundary, quantity, provenance       always; unit, numbers, positions, charges if known

The NumPy, HDF5 and Zarr writers share these names and put each where its format has a place for it.

In   Field.
Out  facts by name: arrays, texts, a tuple of texts (boundary); provenance is one JSON text.

>>> import numpy as np
>>> sorted(facts_of(Field.from_array(np.ones((2, 2, 2)), np.eye(3), unit="V")))
['boundary', 'cell', 'origin', 'provenance', 'quantity', 'unit']
"""

from __future__ import annotations

import json
from typing import Any

from ..field import Field
from ..results import plain

UNITS = {"cell": "Å", "origin": "Å", "positions": "Å", "charges": "e"}
"""Units of the facts that have one."""

STRUCTURE = ("numbers", "positions", "charges")
"""The facts about atoms."""


def facts_of(field: Field) -> dict[str, Any]:
    """Everything that a file says about the field's values."""
    grid, atoms = field.grid, field.structure
    facts = {
        "cell": grid.cell,
        "origin": grid.origin,
        "boundary": grid.boundary,
        "quantity": field.quantity,
        "unit": field.unit,
        "provenance": json.dumps(plain(list(field.provenance)), ensure_ascii=False),
    }
    if atoms is not None and len(atoms):
        facts |= {name: getattr(atoms, name) for name in STRUCTURE}
    return {name: fact for name, fact in facts.items() if fact is not None}
