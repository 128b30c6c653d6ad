r"""Regions from a TOML file: the bodies whose edges and corners are looked at.

    [[region]]
    name = "crystal"                                    # as results and messages name it; its number by default
    corners = [[4, 4], [26, 4], [26, 22], [4, 22]]      # Å, in order around a polygon; (x, y, z) of a convex polyhedron
    reference = 0.0                                     # V_ref; [V at the origin, its gradient]; "constant", "linear"

    [[region]]
    box = [[30, 4], [40, 22]]                           # two opposite corners, instead of corners

In   path.
Out  list of Region.

>>> import tempfile
>>> with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
...     _ = file.write('[[region]]\nbox = [[0, 0], [3, 2]]\nreference = "constant"\n')
...     file.flush()
...     (region,) = read_regions(file.name)
>>> region.corners.shape, region.reference
((4, 2), 'constant')
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest_known
from ..operators.excess.regions import Region, box_region
from .toml_tables import read_toml_tables

KEYS = ("name", "corners", "box", "reference")


def read_regions(path: str | os.PathLike[str]) -> list[Region]:
    """The regions of a TOML file.

    Raises FileFormatError for a file that is not TOML; InputError for keys that are not known, for a region without
    corners, and as Region does.
    """
    place = Path(path)
    tables = read_toml_tables(place, "region", "regions", "corners")
    return [_region(table, f"{place}, region {number}: ") for number, table in enumerate(tables, 1)]


def _region(table: dict[str, Any], where: str) -> Region:
    for key in table:
        if key not in KEYS:
            raise InputError(f'{where}unknown key "{key}": {nearest_known(key, KEYS)}')
    if ("corners" in table) == ("box" in table):
        raise InputError(f"{where}give either corners, or box = two opposite corners, in Å.")
    try:
        more = {key: table[key] for key in ("reference", "name") if key in table}
        if "corners" in table:
            return Region(table["corners"], **more)
        low, high = table["box"]
        return box_region(low, high, **more)
    except InputError as error:
        raise InputError(f"{where}{error}") from None
    except (TypeError, ValueError):
        raise InputError(f"{where}corners, box and reference are lists of numbers, such as [[0, 0], [9, 7]].") from None
