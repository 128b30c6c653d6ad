"""Tables: a result as CSV, JSON or HDF5, every number with all its digits.

    Profile   .csv   "# key: JSON" lines (format, version, unit, quantity, length, rows, …), then the
                     columns position, values and, if known, uncertainty; of two profiles (Compared)
                     position, planar, macroscopic, uncertainty
              .json  one object: format, version, kind, then the attributes
              .h5    attributes format, version; group `result` (attribute kind) with a dataset for each
                     attribute, and `planar`; what is neither number nor array of numbers is a JSON text
    columns   .csv   a result that names arrays of one length as `columns`: these, below the same comments; an array of
                     vectors as NAME_x, NAME_y, NAME_z, and nan where there is no number
    other     .csv   rows name, value, uncertainty, unit, reason; parts have dotted names; arrays and profiles
                     are left to the other two formats, and a comment says which
              .json, .h5 as above

readers/tables.py reads all of them, two profiles as the macroscopic one. The columns of a profile load with
numpy.loadtxt(path, delimiter=",", skiprows=…) or pandas.read_csv(path, comment="#").

In   temporary path, result.
Out  nothing but the file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._version import SCHEMA_FORMAT, SCHEMA_VERSION
from ..results import Profile, Result, plain
from .hdf5 import hdf5_file

_COLUMNS = ("position", "planar", "values", "uncertainty")
_MEASUREMENT = {"value", "unit", "uncertainty", "reason"}


@dataclass(frozen=True, eq=False)
class Compared(Result):
    """A macroscopic average and the planar average that it is of, for one table."""

    macroscopic: Profile
    planar: Profile

    @property
    def provenance(self) -> tuple[Mapping[str, Any], ...]:
        """The macroscopic average's."""
        return self.macroscopic.provenance

    def planar_values(self) -> NDArray[np.float64]:
        """The planar average at the positions of the macroscopic one; NaN beyond the cell (padded averages)."""
        places = np.rint((self.macroscopic.position - self.planar.position[0]) / self.planar.spacing).astype(int)
        inside = (places >= 0) & (places < len(self.planar.values))
        return np.where(inside, self.planar.values[np.where(inside, places, 0)], np.nan)


@dataclass(frozen=True, eq=False)
class SideBySide(Result):
    """Profiles at the same positions, for one table: a column each, by name."""

    profiles: Mapping[str, Profile]

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table."""
        return ("position", *self.profiles)

    def to_dict(self) -> dict[str, Any]:
        """Positions, each profile's values by its name, their units, and where they come from."""
        first = next(iter(self.profiles.values()))
        values = {name: plain(profile.values) for name, profile in self.profiles.items()}
        units = {name: profile.unit for name, profile in self.profiles.items()}
        return {"position": plain(first.position), **values, "units": units, "provenance": plain(first.provenance)}


def _described(result: Result) -> dict[str, Any]:
    """The result as a dict that says what it is; a profile brings its atoms."""
    if isinstance(result, Compared):
        return {**_described(result.macroscopic), "planar": plain(result.planar_values())}
    content = {"format": SCHEMA_FORMAT, "version": SCHEMA_VERSION, "kind": type(result).__name__, **result.to_dict()}
    if isinstance(result, Profile) and result.structure is not None:
        content["structure"] = plain(result.structure)
    return content


def write_json(path: Path, result: Result) -> None:
    """One JSON object; floats as the shortest text that reads back to the same bits."""
    path.write_text(json.dumps(_described(result), ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, result: Result) -> None:
    """A profile, or a result that names its columns, as columns; any other as rows."""
    content, text = _described(result), io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    is_profile = isinstance(result, Profile | Compared)
    names: Sequence[str] = _COLUMNS if is_profile else getattr(result, "columns", ())
    if names:
        _comment(text, {name: value for name, value in content.items() if name not in names})
        columns = _columns(content, names)
        if isinstance(result, Compared):
            _comment(text, {"values column": "macroscopic"})
            columns = {"macroscopic" if name == "values" else name: column for name, column in columns.items()}
        if is_profile:
            _comment(text, {"position unit": "Å", "rows": len(content["position"])})
        table.writerow(columns)
        table.writerows(
            ["nan" if number is None else repr(number) for number in row] for row in zip(*columns.values(), strict=True)
        )
    else:
        head = ("format", "version", "kind", "provenance")
        _comment(text, {name: content.pop(name) for name in head if name in content})
        left_out: list[str] = []
        rows = list(_rows(content, "", left_out))
        if left_out:
            text.write(f"# not in this table, but in .json and .h5: {', '.join(left_out)}\n")
        table.writerow(["name", "value", "uncertainty", "unit", "reason"])
        table.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def _comment(text: io.StringIO, content: Mapping[str, Any]) -> None:
    """A line of each."""
    for name, value in content.items():
        text.write(f"# {name}: {json.dumps(value, ensure_ascii=False)}\n")


def _columns(content: Mapping[str, Any], names: Sequence[str]) -> dict[str, list[Any]]:
    """The columns of these names that are known; of vectors one for each component."""
    columns: dict[str, list[Any]] = {}
    for name in names:
        values = content.get(name)
        if values and isinstance(values[0], list):
            for axis, part in zip("xyz", zip(*values, strict=True), strict=True):
                columns[f"{name}_{axis}"] = list(part)
        elif values is not None:
            columns[name] = values
    return columns


def _rows(content: Mapping[str, Any], prefix: str, left_out: list[str]) -> Iterator[list[str]]:
    for name, value in content.items():
        full = f"{prefix}{name}"
        if isinstance(value, Mapping) and value.keys() == _MEASUREMENT:
            numbers = [_cell(value["value"]), _cell(value["uncertainty"])]
            yield [full, *numbers, value["unit"] or "", value["reason"] or ""]
        elif isinstance(value, Mapping) and "position" not in value:
            yield from _rows(value, f"{full}.", left_out)
        elif isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value):
            yield from _rows({str(number): part for number, part in enumerate(value, 1)}, f"{full}.", left_out)
        elif isinstance(value, Mapping | list):
            left_out.append(full)
        elif value is not None:
            yield [full, _cell(value), "", "", ""]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def write_hdf5(path: Path, result: Result) -> None:
    """A group `result`; each attribute that holds numbers is a dataset."""
    content = _described(result)
    with hdf5_file(path) as file:
        group = file.create_group("result")
        group.attrs["kind"] = content["kind"]
        for name in ("format", "version", "kind"):
            del content[name]
        profile = isinstance(result, Profile | Compared)
        unit = content.get("unit") if profile else None
        _store(group, content)
        if profile:
            group["position"].attrs["unit"] = "Å"
            for name in ("values", "uncertainty", "planar"):
                if unit is not None and name in group:
                    group[name].attrs["unit"] = unit


def _store(group: Any, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping) and value and not any("/" in key for key in value):
            _store(group.create_group(name), value)
        elif isinstance(value, bool | int | float):
            group[name] = value
        elif isinstance(value, list) and value and _is_numeric(value):
            group[name] = np.array([np.nan if v is None else v for v in value]) if None in value else np.array(value)
        else:
            group[name] = json.dumps(value, ensure_ascii=False)
            group[name].attrs["json"] = True


def _is_numeric(value: list[Any]) -> bool:
    """True for a list of floats or nested lists of equal lengths of floats; integers stay JSON, and exact."""
    if all(isinstance(v, list) for v in value):
        return len({len(v) for v in value}) == 1 and all(v and _is_numeric(v) and None not in v for v in value)
    return any(isinstance(v, float) for v in value) and all(v is None or isinstance(v, float) for v in value)


WRITERS: dict[str, Callable[[Path, Result], None]] = {".csv": write_csv, ".json": write_json, ".h5": write_hdf5}
WRITERS[".hdf5"] = write_hdf5
"""Suffix → what writes a result."""
