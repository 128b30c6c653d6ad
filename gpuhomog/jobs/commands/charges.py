"""Commands on charges in the plane and without a grid: surface-map, charges.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np

from ...errors import InputError, counted
from ...grid import Grid, axis_index
from ...operators.excess.surface_map import surface_map
from ...operators.points.point_charges import MolecularCharge, PointCharges, molecular_charge, point_surface_charge
from ...operators.points.point_terminations import point_terminations
from ...readers.point_charges import Ions, read_point_charges
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome
from .common import check_making, made, outcome_of, result_out
from .excess import SIGNED


def run_surface_map(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Surface charge as a function of the place in the plane."""
    field = made(inputs, values)
    how = {name: values[name] for name in ("eps", "x_b", "period", "bulk", "origin")}
    result = surface_map(field, values["axis"], **how)
    return outcome_of("plot_surface_map", result, values, width="page")


OF_A_SLAB = ("x_b", "period", "bulk", "origin")
"""Options that cut crystals and molecules do not have."""


def run_charges(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Surface charges, terminations or the macroscopic charge of point charges."""
    how = {name: values[name] for name in ("charges", "cell", "frame")}
    found = read_point_charges(values["file"], **how)
    if values["hkl"] is not None:
        return run_terminations(found, values)
    if values["molecules"] is not None:
        return run_molecules(found, values)
    points = along(found, values["axis"] or "c")
    how = {name: values[name] for name in ("x_b", "period", "bulk", "eps", "origin")}
    result = point_surface_charge(points, **how)
    return outcome_of("plot_point_charges", result, values, points)


def along(found: PointCharges | Ions, axis: str) -> PointCharges:
    """The charges along a lattice vector's normal, per area; without a cell along x, y or z, as charges."""
    if isinstance(found, PointCharges):
        return found
    if found.cell is not None:
        return PointCharges.of_structure(found.structure, Grid((1, 1, 1), found.cell), axis, fold=True)
    assert found.structure.charges is not None
    step = {"step": "point charges", "axis": "xyz"[axis_index(axis)], "ions": len(found.structure)}
    return PointCharges(found.structure.positions[:, axis_index(axis)], found.structure.charges, provenance=(step,))


def with_cell(found: PointCharges | Ions, option: str) -> tuple[Any, Any]:
    """Structure and cell; InputError without them."""
    if isinstance(found, PointCharges) or found.cell is None:
        raise InputError(f"--{option} needs the cell of the ions, which the file does not state: give --cell.")
    return found.structure, found.cell


def run_terminations(found: PointCharges | Ions, values: dict[str, Any]) -> Outcome:
    """Every termination of a crystal of ions."""
    structure, cell = with_cell(found, "hkl")
    result = point_terminations(structure, cell, values["hkl"], paired=values["paired"])
    return outcome_of("plot_point_terminations", result, values)


POINTS_PER_EPS = 8


def run_molecules(found: PointCharges | Ions, values: dict[str, Any]) -> Outcome:
    """Free and bound charge of molecules along the normal of an axis of a periodic cell."""
    structure, cell = with_cell(found, "molecules")
    size, eps = values["molecules"], values["eps"]
    if len(structure) % size:
        raise InputError(
            f"--molecules {size}: the file has {counted(len(structure), 'atom')}, no whole number of molecules "
            f"of {size}."
        )
    grid = Grid((1, 1, 1), cell)
    axis = axis_index(values["axis"] or "c")
    height, area = grid.height(axis), grid.area(axis)
    groups = structure.positions.reshape(-1, size, 3)
    apart = (groups - groups[:, :1]) @ np.linalg.inv(cell)
    together = groups[:, :1] + (apart - np.round(apart)) @ cell  # whole molecules, across the ends of the cell too
    offset = (together - together[:, :1]) @ grid.normal(axis)
    start = (together[:, 0] @ grid.normal(axis)) % height
    charges = structure.charges.reshape(-1, size) / area
    images = range(-ceil(4 * eps / height) - 1, ceil(4 * eps / height) + 2)
    molecules = [
        (float(x + shift * height), list(zip(d, q, strict=True)))
        for x, d, q in zip(start, offset, charges, strict=True)
        for shift in images
    ]
    position = height / ceil(height / eps * POINTS_PER_EPS) * np.arange(ceil(height / eps * POINTS_PER_EPS))
    result: MolecularCharge = molecular_charge(molecules, position, eps, unit="e/Å^3")
    return outcome_of("plot_molecules", result, values)


def check_charges(values: dict[str, Any]) -> None:
    """Options of a slab, a crystal and molecules are not mixed."""
    for other, name in (("hkl", "--hkl cuts a crystal"), ("molecules", "--molecules averages what is there")):
        if values[other] is None:
            continue
        given = [option for option in OF_A_SLAB if values[option] is not None]
        if given:
            raise InputError(
                f"{o.as_option(given[0])} belongs to the surfaces of a slab, and {name}: leave one of them out."
            )
    if values["hkl"] is not None and values["axis"] is not None:
        raise InputError("--hkl names the planes of the cut, and --axis others: leave one of them out.")
    if values["hkl"] is not None and values["molecules"] is not None:
        raise InputError("--hkl cuts a crystal and --molecules averages one: leave one of them out.")
    if values["molecules"] is not None and values["eps"] is None:
        raise InputError("--molecules needs --eps: the width of the average in Å, twice its standard deviation.")
    if values["paired"] and values["hkl"] is None:
        raise InputError("--paired belongs to --hkl: it says what the quantum is.")


COMMANDS = (
    Command(
        "surface-map",
        "Map the charge per area of a slab's two faces over the plane.",
        f"Needs a {SIGNED}: for an electron density (CHGCAR) give --ion-charges. Each line along the axis has a "
        "surface charge of its own, the mean of its cumulative charge over one period of the bulk; --eps averages "
        "them in the plane. The mean of the map is the charge that surface finds.",
        (
            "gpuhomog surface-map CHGCAR --ion-charges Na=1,Cl=7 --axis c --eps 3 --plot map.pdf",
            "gpuhomog surface-map charge.h5 --axis c --period 2.82 -o map.h5 --json",
        ),
        (
            *o.FROM_FILE,
            o.CELL_AXIS,
            replace(o.ONE_EPS, here="In the plane. Default: none, line by line."),
            o.X_B,
            replace(o.PERIOD, here="auto finds it."),
            o.BULK,
            o.ORIGIN,
            result_out(),
            *o.DRAWN,
        ),
        run_surface_map,
        check_making,
    ),
    Command(
        "charges",
        "Surface charge of point charges: ions of a structure or a table, exactly and without a grid.",
        "Reads structures (POSCAR, CIF, XYZ, PDB and what else ASE reads) with --charges, and tables of position and "
        "charge, or x, y, z and charge. A slab has a charge of both surfaces; with --hkl a crystal is cut along "
        "lattice planes, in every gap between them; with --molecules the mean charge of molecules is taken apart "
        "into free and bound charge.",
        (
            "gpuhomog charges POSCAR --charges Na=1,Cl=-1 --axis c --period 2.82 --plot charges.pdf",
            "gpuhomog charges NaCl.cif --charges Na=1,Cl=-1 --hkl 1,1,1 --json",
            "gpuhomog charges ions.csv --bulk 10,30",
            "gpuhomog charges water.pdb --charges O=-0.8,H=0.4 --molecules 3 --eps 4 -o charge.csv",
        ),
        (
            o.CHARGES,
            o.CELL,
            o.FRAME,
            replace(o.CELL_AXIS, default=None, here="Of ions without a cell x, y or z. Default: c."),
            o.X_B,
            replace(o.PERIOD, parse=p.length, here="Default: none, the kernel alone.", default=None),
            replace(o.BULK, here="Instead of a period: averages run over all of it."),
            replace(o.ONE_EPS, here="Default: an eighth of the thickness."),
            replace(o.ORIGIN, here="Default: the outermost charge of each side."),
            replace(o.HKL, here="In every gap between planes of ions."),
            replace(o.PAIRED, here="With --hkl."),
            o.Option(
                "molecules",
                p.count(1, 10**6),
                "N",
                "Free and bound charge of molecules of N atoms each, one after another in the file; needs --eps.",
                panel=o.METHOD,
            ),
            result_out(),
            o.PLOT,
            o.FIGURE_WIDTH,
            o.JSON,
            o.QUIET,
        ),
        run_charges,
        check_charges,
        alone=True,
    ),
)
