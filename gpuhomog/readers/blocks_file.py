r"""Building blocks from a TOML file: what a crystal is thought to be put together from.

    [[block]]
    name = "atom"                                       # as results name it
    volume = 64.0                                       # Å^3 that it fills; default: face of the cell times period
    charge = [
        { e = 1.0, gaussian = 0.3 },                    # standard deviation in Å
        { e = -1.0, ball = 1.1, centre = [0, 0, 0] },   # radius in Å of a uniform ball; centre in Å
        { e = 2.0 },                                    # a point
        { radial = "cloud.csv" },                       # columns r in Å and ρ in e/Å^3, electrons negative
    ]

    [[block]]
    name = "shared"
    of = "atom"                                         # a block above, whose first charge lies in equal shares
    neighbours = [[4, 0, 0], [-4, 0, 0]]                # on these places, Å

    [[block]]
    name = "ion pair"
    field = "pair.cube"                                 # a charge density that holds one whole block
    centre = [5, 5, 5]                                  # Å; the middle of the box by default

In   path.
Out  list of BuildingBlock.

>>> import tempfile
>>> with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
...     _ = file.write('[[block]]\nname = "atom"\ncharge = [{ e = 1.0 }, { e = -1.0, gaussian = 0.8 }]\n')
...     file.flush()
...     (block,) = read_blocks(file.name)
>>> block.name, len(block.parts), block.charge
('atom', 2, 0.0)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, nearest_known
from ..operators.potentials.bethe import BallCharge, BuildingBlock, GaussianCharge, RadialCharge, SphericalCharge
from .toml_tables import read_toml_tables

KINDS = {
    "charge": ("name", "volume", "charge"),
    "of": ("name", "volume", "of", "neighbours"),
    "field": ("name", "volume", "field", "centre"),
}
"""What a block is given by → the keys that it may have."""
CHARGE_KEYS = ("e", "gaussian", "ball", "radial", "centre")


def read_blocks(path: str | os.PathLike[str]) -> list[BuildingBlock]:
    """The building blocks of a TOML file; names of files in it are relative to it.

    Raises FileFormatError for a file that is not TOML; InputError for keys that are not known, for a block that is not
    given in one of the three ways, and as BuildingBlock does.
    """
    place = Path(path)
    tables = read_toml_tables(place, "block", "building blocks", "charges")
    found: dict[str, BuildingBlock] = {}
    for number, table in enumerate(tables, 1):
        where = f"{place}, block {number}: "
        try:
            block = _block(table, place.parent, found)
        except InputError as error:
            raise InputError(f"{where}{error}") from None
        except (TypeError, ValueError):
            raise InputError(
                f"{where}charges, widths and places are numbers in e and Å, such as [0, 0, 1.5]."
            ) from None
        found[block.name] = block
    return list(found.values())


def _block(table: Mapping[str, Any], folder: Path, known: Mapping[str, BuildingBlock]) -> BuildingBlock:
    given = [kind for kind in KINDS if kind in table]
    if len(given) != 1:
        raise InputError("give it by one of charge = [...], of = another block, and field = a file.")
    for key in table:
        if key not in KINDS[given[0]]:
            raise InputError(f'unknown key "{key}": {nearest_known(key, KINDS[given[0]])}')
    name = table.get("name")
    if not isinstance(name, str) or not name or name in known:
        raise InputError("give each block a name of its own.")
    volume = None if "volume" not in table else float(table["volume"])
    if given[0] == "charge":
        return BuildingBlock.of_parts(name, [_charge(part, folder) for part in table["charge"]], volume)
    if given[0] == "of":
        if table["of"] not in known:
            raise InputError(f'of = "{table["of"]}": no block of that name stands above it.')
        shared = BuildingBlock.with_shared_nucleus(known[table["of"]], table.get("neighbours", []), name)
        return shared if volume is None else BuildingBlock.of_parts(name, shared.parts, volume)
    from . import read

    density = read(folder / table["field"], quantity="charge_density")
    return BuildingBlock.of_field(density, table.get("centre"), name=name, volume=volume)


def _charge(table: Mapping[str, Any], folder: Path) -> SphericalCharge:
    for key in table:
        if key not in CHARGE_KEYS:
            raise InputError(f'unknown key "{key}" of a charge: {nearest_known(key, CHARGE_KEYS)}')
    shapes = [key for key in ("gaussian", "ball", "radial") if key in table]
    x, y, z = (float(number) for number in table.get("centre", (0.0, 0.0, 0.0)))
    if len(shapes) > 1 or ("e" in table) == ("radial" in table):
        raise InputError("give a charge its e, and gaussian, ball or neither; or radial = a table alone.")
    if "radial" in table:
        source = folder / str(table["radial"])
        try:
            r, density = np.loadtxt(source, delimiter="," if source.suffix == ".csv" else None, unpack=True)
        except OSError:
            raise InputError(f"{source}: cannot be read.") from None
        except ValueError:
            raise InputError(f"{source}: is no table of two columns, r in Å and ρ in e/Å^3.") from None
        return RadialCharge.of_samples(r, density, (x, y, z))
    charge = float(table["e"])
    if "ball" in table:
        return BallCharge(charge, float(table["ball"]), centre=(x, y, z))
    return GaussianCharge(charge, float(table.get("gaussian", 0.0)), centre=(x, y, z))
