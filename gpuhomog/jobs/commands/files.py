"""Commands on files: info, convert.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

from ...errors import InputError, met_in
from ...field import Field
from ...operators.charge import ChargeBalance, charge_balance
from ...readers import inspect_file
from ...streaming import Unread
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome, Rows
from .common import check_making, grid_report, grid_rows, made_of, shown, value_report, value_rows, words


def structure_report(field: Field) -> dict[str, Any] | None:
    """Atoms for JSON."""
    structure = field.structure
    if structure is None:
        return None
    return {
        "formula": structure.formula,
        "symbols": structure.symbols,
        "positions": structure.positions,
        "charges": structure.charges,
    }


def run_info(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """What a file holds."""
    choices = {name: values[name] for name in ("kind", "quantity", "frame")}
    header = inspect_file(values["file"], **choices)
    if values["header"]:
        return header_only(values, header)
    field = inputs.field(values)
    numbers = value_report(field)
    about = {name: header[name] for name in ("format", "blocks", "frames", "remarks")}
    report = {**about, **grid_report(field), **numbers}
    report |= {"structure": structure_report(field), "provenance": field.provenance}
    balance: list[tuple[str, Rows]] = []
    if values["ion_charges"] is not None:
        result = charge_balance(field, ion_charges=values["ion_charges"], net_charge=values["net_charge"])
        report["charge_balance"] = result.to_dict()
        balance.append(("Charge balance", balance_rows(result)))
    rows: Rows = [("format", header["format"])]
    if len(header["blocks"]) > 1:
        rows.append(("blocks", ", ".join(header["blocks"])))
    if (header["frames"] or 1) > 1:
        rows.append(("frames", str(header["frames"])))
    if field.structure is not None:
        rows.append(("atoms", f"{len(field.structure)} ({field.structure.formula})"))
    remarks: Rows = [("note", remark) for remark in header["remarks"]]
    tables = ((str(values["file"]), [*rows, *grid_rows(field)]), ("", [*value_rows(numbers), *remarks]), *balance)
    return Outcome(report, tables)


def balance_rows(balance: ChargeBalance) -> Rows:
    """Electrons against ions, for people."""
    rows: Rows = [(name, str(getattr(balance, name))) for name in ("electrons", "ions", "net")]
    if balance.expected is not None:
        rows.append(("expected", f"{balance.expected:.8g}"))
    rows += [("tolerance", f"{balance.tolerance:.8g}"), ("verdict", balance.verdict)]
    return [*rows, *(("note", remark) for remark in balance.remarks)]


def header_only(values: dict[str, Any], header: dict[str, Any]) -> Outcome:
    """What the header of a file says; no value is read."""
    rows: Rows = [("format", header["format"]), ("blocks", ", ".join(header["blocks"]))]
    if header["n_atoms"]:
        rows.append(("atoms", f"{header['n_atoms']} ({header['formula']})"))
    rows += [
        ("points", " × ".join(map(str, header["shape"]))),
        ("lengths", ", ".join(f"{length:.6f}" for length in header["lengths"]) + " Å"),
        ("volume", shown(header["volume"], "Å^3")),
        ("quantity", words(header["quantity"] or "not stated by the file")),
        ("unit", header["unit"] or "not stated by the file"),
        *[("note", remark) for remark in header["remarks"]],
    ]
    return Outcome(header, ((str(values["file"]), rows),))


def run_convert(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """The same field in another file, with others added and subtracted."""
    field = inputs.field(values)
    for joined, files in ((operator.add, values["plus"]), (operator.sub, values["less"])):
        for file in files or ():
            part = inputs.passing({**values, "file": file})
            with met_in(f"{file}: "):
                field = joined(field, part)
    field = made_of(field, values)
    if values["to_unit"] is not None:
        field = field.to(values["to_unit"])

    def told() -> Outcome:
        numbers = value_report(field)
        rows = (("Written", value_rows(numbers)),)
        report = {**grid_report(field), **numbers, "provenance": field.provenance}
        return Outcome(report, rows, {values["output"]: field})

    return Outcome({}, (), {values["output"]: field}, later=told) if isinstance(field.values, Unread) else told()


def check_convert(values: dict[str, Any]) -> None:
    """A difference holds no ions."""
    check_making(values)
    if values["less"] is not None and values["ion_charges"] is not None:
        raise InputError("--less leaves a difference, which holds no ions: leave --ion-charges out.")


PLUS = o.Option(
    "plus",
    p.listed_paths,
    "FILE,…",
    "Add the fields of these files, of the same quantity on the same grid, as valence to core (AECCAR0 and AECCAR2).",
    panel=o.METHOD,
    names=o.INPUT_FILE,
    files=tuple,
)
LESS = replace(
    PLUS,
    name="less",
    help="Subtract the fields of these files, of the same quantity on the same grid, as densities of the parts from "
    "that of the whole.",
)
TO_UNIT = o.Option("to-unit", p.unit, "U", "Convert the values to this unit, such as e/bohr^3 or meV.", panel=o.OUTPUT)


HEADER = o.Option(
    "header", p.flag, "", "Only what the header says; the values are not read.", default=False, panel=o.METHOD
)

COMMANDS = (
    Command(
        "info",
        "Show what a file holds: grid, cell, atoms, quantity, unit, mean and integral.",
        "Use it first on a new file: the integral of an electron density must be the number of electrons, that of a "
        "charge density the net charge. With --ion-charges it is checked against the ions.",
        (
            "gpuhomog info CHGCAR",
            "gpuhomog info density.cube --quantity electron_density --json",
            "gpuhomog info CHGCAR --ion-charges Na=1,Cl=7",
        ),
        (
            HEADER,
            *o.READING,
            o.ION_CHARGES,
            replace(o.NET_CHARGE, here=""),
            *o.READING_COMMON,
        ),
        run_info,
        python=("gh.charge_balance",),
    ),
    Command(
        "convert",
        "Write a field to another file format.",
        "Reads any supported file and writes HDF5, Zarr, NumPy, cube, XSF, CHGCAR or LOCPOT. With --ion-charges an "
        "electron density becomes a charge density: electrons negative, each ion a Gaussian of its charge. With --plus "
        "and --less a sum, or a difference, of densities is written.",
        (
            "gpuhomog convert CHGCAR -o density.h5",
            "gpuhomog convert CHGCAR --less slab/CHGCAR,molecule/CHGCAR -o difference.cube",
            "gpuhomog convert AECCAR0 --plus AECCAR2 -o all_electrons.h5",
            "gpuhomog convert CHGCAR --ion-charges Na=1,Cl=7 -o charge.h5",
            "gpuhomog convert LOCPOT --to-unit Ha -o potential.cube",
        ),
        (*o.READING, PLUS, LESS, *o.MAKING, replace(o.OUT, required=True), TO_UNIT, *o.READING_COMMON),
        run_convert,
        check_convert,
    ),
)
