r"""Tables: a written result back from CSV, JSON or HDF5, and profiles from the text tables of other programs.

    read_profile   Profile from what gpuhomog wrote, or from two columns of numbers (position, value), as
                   VASPKIT's PLANAR_AVERAGE.dat, macroave or a spreadsheet leave them
    read_result    the dict of any result that gpuhomog wrote as .json or .h5

The positions of a foreign table must be equally spaced, and stay what they are; its length is taken as n spacings.
Comments (#, @, !, %) and one line of headings, which begins with no number, are passed over. Commas may be decimal
where columns are apart by semicolons or blanks.

In   path; for foreign tables quantity, unit of the values, unit of the position.
Out  Profile, or dict of plain Python values. FileFormatError for what is neither.

>>> import tempfile
>>> path = Path(tempfile.mkdtemp()) / "PLANAR_AVERAGE.dat"
>>> _ = path.write_text("#Distance (Å)  Potential (eV)\n 0.0  -1.5\n 0.5  -2.5\n")
>>> read_profile(path, quantity="electron_potential_energy").values
array([-1.5, -2.5])
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import SCHEMA_FORMAT, SCHEMA_VERSION
from ..errors import FileFormatError, InputError
from ..grid import parse_boundary
from ..results import Profile
from ..structure import Structure
from ..units import DOUBLE, QUANTITIES, check_quantity, conversion_factor
from .compressed import check_is_file
from .hdf5 import SIGNATURE, check_room, check_version, opened
from .text_values import cell_number, cells_of, is_cell_number

SPACING_TOLERANCE = 2e-3  # of a spacing: positions printed with three decimals and 0.5 Å still pass
_ATTRIBUTES = ("unit", "quantity", "length", "boundary", "planes", "area", "ripple")


def read_profile(
    path: str | os.PathLike[str],
    *,
    quantity: str | None = None,
    unit: str | None = None,
    position_unit: str = "Å",
    boundary: str = "periodic",
) -> Profile:
    """Profile from a file that gpuhomog wrote, or from a text table of two columns.

    quantity       of a foreign table; "scalar" if not given
    unit           of its values; the package's own unit of the quantity if not given
    position_unit  of its first column
    boundary       of a foreign table

    A file of gpuhomog knows all this: another quantity than it states is refused. Raises InputError, FileFormatError.
    """
    place = _existing(path)
    step = {"step": "read profile", "path": str(place)}
    content = _own_content(place)
    if content is None:
        return _foreign(place, quantity or "scalar", unit, position_unit, boundary, step)
    if content.get("kind") != "Profile":
        raise FileFormatError(f"{place}: holds a {content.get('kind')}, not a profile. Use read_result.")
    if quantity is not None and quantity != content.get("quantity"):
        raise InputError(f'{place}: is a profile of "{content.get("quantity")}", not of "{quantity}".')
    try:
        structure = content.get("structure")
        charges = structure.get("charges") if structure else None
        return Profile(
            np.array(content["position"], dtype=np.float64),
            np.array(content["values"], dtype=np.float64),
            normal=np.array(content["normal"], dtype=np.float64),
            uncertainty=None if content.get("uncertainty") is None else _floats(content["uncertainty"]),
            periods=tuple(content["periods"]),
            precision=content.get("precision", DOUBLE),
            structure=None if not structure else Structure(structure["numbers"], structure["positions"], charges),
            provenance=(*content["provenance"], step),
            **{name: content[name] for name in _ATTRIBUTES},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{place}: the profile is incomplete or damaged ({error}).") from None


def read_result(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The content of a result written as .json or .h5 (or a profile as .csv): kind, and every attribute."""
    place = _existing(path)
    content = _own_content(place)
    if content is None:
        raise FileFormatError(f"{place}: not a result that gpuhomog wrote as .json or .h5.")
    return content


def _existing(path: str | os.PathLike[str]) -> Path:
    place = Path(path)
    check_is_file(place)
    return place


def _own_content(path: Path) -> dict[str, Any] | None:
    """What gpuhomog wrote, as a dict; None for another file."""
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(SIGNATURE):
        return _from_hdf5(path)
    if head.lstrip().startswith(b"{"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FileFormatError(f"{path}: is not complete JSON ({error}).") from None
        check_version(path, content, "another JSON object")
        return {k: v for k, v in content.items() if k not in ("format", "version")}
    if head.startswith(f"# format: {json.dumps(SCHEMA_FORMAT)}".encode()):
        return _from_csv(path)
    return None


def _from_csv(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = {}
    rows: list[str] = []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"{path}: is not the text that gpuhomog wrote ({error}); it is damaged.") from None
    for line in text.splitlines():
        if line.startswith("# "):
            name, _, value = line[2:].partition(": ")
            try:
                content[name] = json.loads(value)
            except ValueError:
                raise FileFormatError(f"{path}: the comment on {name} is damaged.") from None
            if name == "kind" and content[name] != "Profile":
                break
        elif line:
            rows.append(line)
    if content.get("version") != SCHEMA_VERSION:
        check_version(path, content, "another table")
    if content.get("kind") != "Profile":
        raise FileFormatError(
            f"{path}: a table of a {content.get('kind')}, and a result's .csv is for reading by people: it holds less "
            "than the result. Read its .json or .h5."
        )
    names = rows[0].split(",") if rows else []
    if len(rows) - 1 != content.get("rows") or not text.endswith("\n"):
        raise FileFormatError(
            f"{path}: announces {content.get('rows')} rows and has {max(0, len(rows) - 1)}; it is truncated."
        )
    try:
        table = np.array([[float(cell) for cell in row.split(",")] for row in rows[1:]]).reshape(-1, len(names))
    except ValueError:
        raise FileFormatError(f"{path}: its columns cannot be read as {len(names)} numbers in every row.") from None
    values = content.pop("values column", "values")
    return content | {"values" if name == values else name: table[:, i].tolist() for i, name in enumerate(names)}


def _from_hdf5(path: Path) -> dict[str, Any]:
    with opened(path) as file:
        check_version(path, file.attrs, ", ".join(sorted(file)) or "nothing")
        if "result" not in file:
            raise FileFormatError(f"{path}: holds a field, not a result. Use gpuhomog.read.")
        return {"kind": str(file["result"].attrs["kind"]), **_load(path, file["result"])}


def _load(path: Path, group: Any) -> dict[str, Any]:
    import h5py

    content: dict[str, Any] = {}
    for name, stored in group.items():
        if isinstance(stored, h5py.Group):
            content[name] = _load(path, stored)
            continue
        check_room(path, stored)
        if stored.attrs.get("json", False):
            content[name] = json.loads(stored.asstr()[()])
        else:
            value = stored[()]
            content[name] = value.tolist() if isinstance(value, np.ndarray) else value.item()
    return content


def _floats(values: list[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _foreign(
    path: Path, quantity: str, unit: str | None, position_unit: str, boundary: str, step: dict[str, Any]
) -> Profile:
    check_quantity(quantity)
    internal = QUANTITIES[quantity]
    factor = conversion_factor(unit, internal or unit) if unit is not None else 1.0
    rows: list[list[float]] = []
    skipped = 0
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            text = line.strip()
            if not text or text[0] in "#@!%&":
                continue
            words = cells_of(re.split("[#!]", text)[0])
            try:
                cells = [cell_number(word) for word in words]
            except ValueError:
                if rows or skipped or is_cell_number(words[0]):
                    raise FileFormatError(f"{path}: line {number} is not a row of numbers.") from None
                skipped += 1
                continue
            if len(cells) < 2:
                raise FileFormatError(f"{path}: line {number} has one number; a profile needs position and value.")
            rows.append(cells[:2])
    if len(rows) < 2:
        raise FileFormatError(f"{path}: no table of two columns (position, value) was found in it.")
    table = np.array(rows)
    if not np.isfinite(table).all():
        raise FileFormatError(f"{path}: holds NaN or infinite values; repair the data.")
    start, *_ = places = table[:, 0] * conversion_factor(position_unit, "Å")
    position = places - start
    spacing = position[-1] / (len(position) - 1)
    uneven = np.abs(position - spacing * np.arange(len(position)))
    if spacing <= 0 or uneven.max() > SPACING_TOLERANCE * spacing:
        raise FileFormatError(
            f"{path}: the positions are not equally spaced and increasing (row {int(uneven.argmax()) + 1}); "
            "interpolate the table first."
        )
    return Profile(
        start + spacing * np.arange(len(position)),
        table[:, 1] * factor,
        internal or unit,
        quantity,
        float(spacing * len(position)),
        boundary=parse_boundary(boundary)[2],
        provenance=(step,),
    )
