"""What commands share: fields made of what was read, kernels of options, numbers and grids as rows for people.

In   Inputs, checked option values, results.
Out  fields, kernels, rows of tables, options made of others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...averaging_kernels import AveragingKernel, Box, Stages
from ...errors import InputError
from ...field import Field
from ...operators.charge import charge_density
from ...operators.potentials.poisson import electrostatic_potential
from ...results import unit_after
from ...units import conversion_factor, internal_unit, is_rounding, times_length
from ...writers.text import strip_compression
from .. import options as o
from .. import parsing as p
from ..task import Inputs, Outcome, Rows


def shown(value: float, unit: str | None = None) -> str:
    """A number for people, with its unit; the rounding of a zero is zero."""
    return f"{0.0 if is_rounding(value, unit) else value:.8g}{unit_after(unit)}"


def with_ends(path: Path, ends: Iterable[str]) -> tuple[Path, ...]:
    """A path once for each end, which stands before its suffix.

    >>> [str(path) for path in with_ends(Path("slope.cube.gz"), "xyz")]
    ['slope_x.cube.gz', 'slope_y.cube.gz', 'slope_z.cube.gz']
    """
    name, compression = strip_compression(path.name)
    stem, suffix = Path(name).stem, Path(name).suffix
    return tuple(path.with_name(f"{stem}_{end}{suffix}{compression}") for end in ends)


def words(name: str) -> str:
    """A name of the package, such as a quantity's, as people read it."""
    return name.replace("_", " ")


def grid_rows(field: Field) -> Rows:
    """Points, cell and boundary of a field."""
    grid = field.grid
    rows: Rows = [("points", " × ".join(map(str, grid.shape)))]
    for name, vector, n in zip("abc", grid.cell, grid.shape, strict=True):
        length = float(np.linalg.norm(vector))
        rows.append((name, f"({', '.join(f'{x:.6f}' for x in vector)}) Å, step {length / n:.4f} Å"))
    rows.append(("volume", shown(grid.volume, "Å^3")))
    rows.append(("boundary", ", ".join(grid.boundary)))
    return rows


def grid_report(field: Field) -> dict[str, Any]:
    """The same for JSON."""
    grid = field.grid
    return {
        "shape": grid.shape,
        "cell": grid.cell,
        "origin": grid.origin,
        "boundary": grid.boundary,
        "volume": grid.volume,
        "steps": grid.lengths / np.array(grid.shape),
        "plane_spacing": [grid.plane_spacing(axis) for axis in range(3)],
    }


def value_report(field: Field) -> dict[str, Any]:
    """What the values are, and their size."""
    low, high = field.extrema()
    unit = field.unit and internal_unit(field.quantity, field.unit)  # that of an integral has no bohr
    return {
        "quantity": field.quantity,
        "unit": field.unit,
        "dtype": str(field.values.dtype),
        "mean": field.mean(),
        "minimum": low,
        "maximum": high,
        "integral": field.integral() * (conversion_factor(field.unit, unit) if field.unit and unit else 1.0),
        "integral_unit": times_length(unit, 3),
    }


def value_rows(report: dict[str, Any]) -> Rows:
    """The same for people."""
    unit, counted = report["unit"], report["integral_unit"]
    if report["quantity"] == "electron_density" and counted == "1":
        counted = "electrons"
    return [
        ("quantity", words(report["quantity"])),
        ("unit", unit or "not stated by the file"),
        ("mean", shown(report["mean"], unit)),
        ("smallest, largest", f"{shown(report['minimum'])}, {shown(report['maximum'], unit)}"),
        ("integral over the cell", shown(report["integral"], counted)),
    ]


def made(inputs: Inputs, values: dict[str, Any]) -> Field:
    """The input, with ions added or turned into another quantity where the options say so."""
    return made_of(inputs.field(values), values)


def made_of(field: Field, values: dict[str, Any]) -> Field:
    """The same of any field."""
    if values["ion_charges"] is not None:
        return charge_density(
            field, ion_charges=values["ion_charges"], width=values["ion_width"], net_charge=values["net_charge"]
        )
    if values["to_quantity"] == "charge_density":
        return charge_density(field)
    return electrostatic_potential(field) if values["to_quantity"] else field


def density_beside(inputs: Inputs, values: dict[str, Any]) -> Field:
    """The density of the file that --density names; InputError if that does not say that it is one."""
    density = inputs.beside(values, values["density"])
    check_says_density(values["density"], density.quantity)
    return density


def check_says_density(file: Path, quantity: str) -> None:
    """InputError for a file beside the input, for which no option says what it holds, that does not say it either."""
    if quantity == "scalar":
        raise InputError(
            f"--density {file}: the file does not say that it holds a density. gpuhomog convert {file} --quantity "
            "electron_density -o density.h5 makes one that does."
        )


def check_making(values: dict[str, Any]) -> None:
    """Options that make a charge density fit together."""
    if values["ion_charges"] is None and values["ion_width"] is not None:
        raise InputError("--ion-width belongs to --ion-charges: give the charge of each element's ion too.")
    if values["ion_charges"] is not None and values["to_quantity"] is not None:
        raise InputError("--ion-charges makes a charge density already: leave --to-quantity out.")


def kernel_of(values: dict[str, Any]) -> AveragingKernel:
    """The averaging kernel that the options name; several sizes are stages, applied one after another."""
    name, eps, width = values["kernel"], values["eps"], values["width"]
    if name == "box":
        if width is None or eps is not None:
            raise InputError("A box is given by its full width: --width X or X,Y,Z in Å (a tophat by --eps).")
        return Box(width)
    if eps is None or width is not None:
        raise InputError(f"A {name} kernel is given by --eps in Å, twice its standard deviation (--width is for box).")
    stages = [o.KERNELS[name](size) for size in (eps if isinstance(eps, tuple) else (eps,))]
    return stages[0] if len(stages) == 1 else Stages(*stages)


def times(n: int) -> str:
    """Once, twice, or n times."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


FIELD_OUTSIDE = replace(o.OUTSIDE, parse=p.number, metavar="V", here="")


def result_out(what: str = "") -> o.Option:
    """The option -o of a command that writes a result, and what of it."""
    told = "The suffix chooses the format: .csv, .json or .h5."
    return replace(o.OUT, here=f"{told} {what}." if what else told, names=o.RESULT_FILE)


def drawing(plot: str, values: dict[str, Any], *shown: Any, width: str = "column", **how: Any) -> Callable[[], Any]:
    """What has `plot` of plots draw a figure of what is shown, as wide as the options say, or else as `width` does."""

    def draw() -> Any:
        from ... import plots

        return getattr(plots, plot)(*shown, width=values["figure_width"] or width, **how)

    return draw


def outcome_of(
    plot: str, result: Any, values: dict[str, Any], *beside: Any, width: str = "column", **how: Any
) -> Outcome:
    """Numbers, tables and file of a result, and the figure that `plot` of plots draws of what lies beside it and it."""
    draw = drawing(plot, values, *beside, result, width=width, **how)
    return Outcome(result.to_dict(), result.tables(), {values["output"]: result}, draw)
