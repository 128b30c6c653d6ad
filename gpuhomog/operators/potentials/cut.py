"""Cut a periodic cell in the vacuum beside a slab: the same points, in the order in which an open axis needs them.

A slab that lies across the end of its cell, as many do whose atoms are centred on the origin, has its two halves at the
two ends. The planes are taken round until the vacuum is at both; the origin moves with them, and atoms are folded into
the cell that begins there, so positions in space stay as they were.

In   Field, any device, whole or slab, in memory.
Out  Field with that axis open.

>>> import gpuhomog as gh
>>> values = np.zeros((1, 1, 10))
>>> values[..., [0, 1, 9]] = 2.0, -1.0, -1.0
>>> field = gh.Field.from_array(values, np.diag([1.0, 1.0, 5.0]), quantity="charge_density")
>>> cut = gh.cut_in_vacuum(field, "c")
>>> cut.values.ravel().tolist(), cut.grid.origin.tolist()
([0.0, 0.0, 0.0, 0.0, -1.0, 2.0, -1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.5])
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from ...errors import InputError
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, axis_index
from ...parallel.exchange import at, empty_like, fetch_planes, slabs
from ...streaming import Unread
from ..averages.streamed import joined
from .poisson import AT_FACES, longest_vacuum, plane_magnitudes


def cut_in_vacuum(field: Field, axis: int | str, *, position: float | None = None) -> Field:
    """The field with its first plane in the vacuum, and that axis open.

    field     of any quantity if the position is given; charge_density or electron_density otherwise
    axis      "a", "b" or "c", along the normal of the slab
    position  where to cut, distance from the plane through point [0, 0, 0] along the normal [Å]; the middle of the
              longest stretch without charge by default

    Raises InputError where there is no vacuum, or a potential comes without a position.
    """
    across = axis_index(axis)
    name, n = AXIS_NAMES[across], field.grid.shape[across]
    if position is not None:
        if not isfinite(position):
            raise InputError(f"position = {position}: give a finite distance in Å.")
        first = round(position / field.grid.plane_spacing(across)) % n
    else:
        if field.quantity not in ("charge_density", "electron_density"):
            raise InputError(
                f"A {field.quantity} does not show where there is no matter: give position, a distance in Å."
            )
        start, length = longest_vacuum(plane_magnitudes(field, across))
        if not length:
            raise InputError(
                f"No vacuum along {name}: no plane holds less than {AT_FACES:g} of the densest plane's charge. Choose "
                "the axis along the normal of the slab."
            )
        first = (start + length // 2) % n
    moved = first / n * field.grid.cell[across]
    boundary = list(field.grid.boundary)
    boundary[across] = OPEN
    a, b, c = boundary
    grid = replace(field.grid, origin=field.grid.origin + moved, boundary=(a, b, c))
    structure = field.structure
    if structure is not None:
        turns = np.zeros((len(structure), 3))
        turns[:, across] = np.floor(grid.fractional(structure.positions)[:, across])
        structure = replace(structure, positions=structure.positions - turns @ grid.cell)
    step = {"step": "cut in vacuum", "axis": name, "first plane": int(first)}
    return field.derive(_rolled(field, across, int(first)), step, grid=grid, structure=structure)


def _rolled(field: Field, axis: int, first: int) -> Any:
    """The values with plane `first` before all others."""
    slab, comm, n = field.slab, field.comm, field.grid.shape[axis]
    if first == 0:
        return field.values
    if isinstance(field.values, Unread):
        return _rolled_as_read(field, field.values, axis, first)
    if axis == slab.axis and comm.size > 1:
        wanted = [(np.arange(other.start, other.stop) + first) % n for other in slabs(slab, comm.size)]
        return fetch_planes(comm, field.device, slab, field.values, wanted)
    out = empty_like(field.device, field.values, axis, n)
    out[at(axis, slice(0, n - first))] = field.values[at(axis, slice(first, n))]
    out[at(axis, slice(n - first, n))] = field.values[at(axis, slice(0, first))]
    return out


def _rolled_as_read(field: Field, values: Unread, axis: int, first: int) -> Unread:
    """The same of planes as they are read: in another order, or each rolled within itself."""
    device, split, n = field.device, field.slab.axis, field.grid.shape[axis]

    def pieces(start: int, stop: int) -> list[Any]:
        if axis != split:
            planes = values.planes(start, stop)
            return [planes[at(axis, slice(first, n))], planes[at(axis, slice(0, first))]]
        low, high = start + first, stop + first
        parts = [(low, min(high, n)), (max(low, n) - n, high - n)]
        return [values.planes(*part) for part in parts if part[0] < part[1]] or [values.planes(start, start)]

    def read(start: int, stop: int) -> Any:
        return joined(device, pieces(start, stop), axis)

    return values.remade(f"from plane {first} of axis {axis} on", read)
