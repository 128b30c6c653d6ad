"""Commands on currents: current.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import InputError, warn
from ...operators.currents.density_series import density_current
from ...operators.currents.packets import packet_current
from ...operators.points.trajectory_average import Frame
from ...readers import open_source
from ...readers.frames import frames_of_files, is_by_ase, read_frames
from ...readers.point_charges import TABLES
from .. import options as o
from ..task import Command, Inputs, Outcome, in_order
from .common import check_making, made_of, outcome_of, result_out

OF_CHARGES = ("charges", "cell")
OF_TRAJECTORIES = ("topology", "atom_style")
"""Options of charges, and of those of one file."""
OF_FILES = ("quantity", "unit", "boundary", "block", "dtype", "ion_charges", "to_quantity")
OF_DENSITIES = (*OF_FILES, "eps", "bulk", "sampling")
"""Options of files with fields."""


def is_of_charges(values: dict[str, Any]) -> bool:
    """True for one file, a trajectory, and for files of structures or tables, which are frames of charges."""
    tables = all(file.suffix.lower() in TABLES for file in values["files"])
    return len(values["files"]) == 1 or tables or values["charges"] is not None


def check_is_trajectory(values: dict[str, Any]) -> None:
    """InputError for one file that holds a field, and is no trajectory that happens to."""
    file: Path = values["file"]
    if len(values["files"]) > 1 or values["topology"] is not None or is_by_ase(file):
        return
    try:
        open_source(file, kind=values["kind"], survey=False)
    except InputError:  # reading the trajectory will say what it is
        return
    raise InputError(
        f"{file} holds one density, which has no rate of change: a series of densities needs three files or more, in "
        "the order of time."
    )


def frames_of(values: dict[str, Any]) -> Iterable[Frame]:
    """The frames of charges that are asked for."""
    check_is_trajectory(values)
    charges_and_cell = {name: values[name] for name in OF_CHARGES}
    if len(values["files"]) > 1:
        return frames_of_files(files_of(values), **charges_and_cell)
    how = {name: values[name] for name in ("topology", "start", "stop", "every", "kind", "atom_style")}
    return read_frames(values["file"], **charges_and_cell, **how)


def files_of(values: dict[str, Any]) -> Sequence[Path]:
    """The files of a series that are asked for; a warning if their names say that they are out of order."""
    files: Sequence[Path] = values["files"][values["start"] : values["stop"] : values["every"]]
    if list(files) != sorted(files, key=in_order):
        warn(
            f"The files are not in the order of the numbers in their names ({files[0].name}, {files[1].name}, …): they "
            "are taken for a series in time as they stand."
        )
    return files


def run_current(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Current of charges that move, or of a series of densities."""
    step, unit = values["time_step"]
    time = {"time_step": step * values["every"], "time_unit": unit}
    if is_of_charges(values):
        how = {"x_b": values["x_b"], "period": values["period"] if isinstance(values["period"], float) else None}
        found = inputs.first(lambda: packet_current(frames_of(values), values["axis"], **how, **time))
        return outcome_of("plot_current", inputs.comm.broadcast(found), values)
    files = files_of(values)
    densities = (made_of(inputs.passing({**values, "file": file}), values) for file in files)
    how = {name: values[name] for name in ("x_b", "eps", "period", "bulk", "sampling")}
    return outcome_of("plot_current", density_current(densities, values["axis"], **how, **time), values)


def check_current(values: dict[str, Any]) -> None:
    """Options of charges and of densities are not mixed."""
    check_making(values)
    of_charges, one = is_of_charges(values), len(values["files"]) == 1
    series = "a series of densities" + ", of three files or more" * one
    for names, fits, what in (
        (OF_DENSITIES, not of_charges, series),
        (OF_CHARGES, of_charges, "charges that move"),
        (OF_TRAJECTORIES, one, "a trajectory of charges in one file"),
    ):
        for name in names:
            if values[name] is not None and not fits:
                raise InputError(
                    f"{o.as_option(name)} belongs to {what}, which {'this file is' if one else 'these are'} "
                    "not: leave it out, or name the files that it is for."
                )
    if of_charges and "," in str(values["axis"]):
        raise InputError(
            f'--axis "{values["axis"]}": lattice planes are for a series of densities, and the current of charges is '
            "along a lattice vector of their cell: give a, b or c."
        )


COMMANDS = (
    Command(
        "current",
        "Current density in time: of charges that move, or of a series of densities.",
        "One file is a trajectory of charges (XYZ, ASE, LAMMPS, GROMACS, …), several with --charges are structures, a "
        "frame each: J is the rate of Σ q x of their cell, with charges followed across its ends; with --period in Å, "
        "that of a body with surfaces. Other files are the charge density of a slab at equal steps of time, in order: "
        "J is the rate at which its surfaces charge. J is the flow of positive charge along the normal, with the error "
        "of its differences.",
        (
            "gpuhomog current run.xyz --charges Na=1,Cl=-1 --cell 12,12,12 --time-step 2fs --axis c --plot current.pdf",
            "gpuhomog current rho_*.cube --quantity charge_density --time-step 0.05fs -o current.csv",
            "gpuhomog current CHGCAR_?? --ion-charges Na=1,Cl=7 --time-step 1fs --period 2.82 --json",
        ),
        (
            o.TIME_STEP,
            *o.FROM_FILE,
            o.TOPOLOGY,
            o.CHARGES,
            o.CELL,
            o.ATOM_STYLE,
            o.START,
            o.STOP,
            o.EVERY,
            replace(o.AXIS, here="Of densities lattice planes h,k,l, such as 1,1,0, as well."),
            replace(o.X_B, here="Default: the middle of the slab; of a bulk cell of charges 0."),
            replace(
                o.PERIOD, here="Of densities auto finds it, none uses the kernel alone; of a body of charges give it."
            ),
            o.SURFACE_EPS,
            o.BULK,
            o.SAMPLING,
            result_out(),
            *o.DRAWN,
        ),
        run_current,
        check_current,
        series=True,
        python=("gh.density_current", "gh.packet_current"),
    ),
)
