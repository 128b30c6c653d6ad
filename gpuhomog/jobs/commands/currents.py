"""Commands on currents: current.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from ...errors import AccuracyWarning, InputError
from ...operators.currents.density_series import density_current
from ...operators.currents.packets import packet_current
from ...readers.frames import read_frames
from .. import options as o
from ..task import Command, Inputs, Outcome, in_order
from .common import check_making, made_of, outcome_of, result_out

OF_PACKETS = ("topology", "charges", "cell", "atom_style")
"""Options of trajectories."""
OF_FILES = ("quantity", "unit", "boundary", "block", "dtype", "ion_charges", "to_quantity")
OF_DENSITIES = (*OF_FILES, "eps", "bulk", "sampling")
"""Options of files with fields."""


def run_current(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Current of a trajectory of charges, or of a series of densities."""
    step, unit = values["time_step"]
    time = {"time_step": step * values["every"], "time_unit": unit}
    if len(values["files"]) == 1:
        frames = read_frames(
            values["file"],
            values["topology"],
            charges=values["charges"],
            cell=values["cell"],
            start=values["start"],
            every=values["every"],
            kind=values["kind"],
            atom_style=values["atom_style"],
        )
        period = values["period"] if isinstance(values["period"], float) else None
        packets = packet_current(frames, values["axis"], x_b=values["x_b"] or 0.0, period=period, **time)
        return outcome_of("plot_current", packets, values)
    files = values["files"][values["start"] :: values["every"]]
    if list(files) != sorted(files, key=in_order):
        warnings.warn(
            f"The files are not in the order of the numbers in their names ({files[0].name}, {files[1].name}, …): they "
            "are taken for a series in time as they stand.",
            AccuracyWarning,
            stacklevel=2,
        )
    densities = (made_of(inputs.passing({**values, "file": file}), values) for file in files)
    how = {name: values[name] for name in ("x_b", "eps", "period", "bulk", "sampling")}
    return outcome_of("plot_current", density_current(densities, values["axis"], **how, **time), values)


def check_current(values: dict[str, Any]) -> None:
    """Options of trajectories and of densities are not mixed."""
    check_making(values)
    if len(values["files"]) == 1:
        for name in OF_DENSITIES:
            if values[name] is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} belongs to a series of densities, and one file is a trajectory of "
                    "charges: name all files of the series, or leave it out."
                )
        return
    for name in OF_PACKETS:
        if values[name] is not None:
            raise InputError(
                f"--{name.replace('_', '-')} belongs to a trajectory of charges, which is one file, and here are "
                f"{len(values['files'])} of densities: leave it out."
            )


COMMANDS = (
    Command(
        "current",
        "Current density in time: of charges that move, or of a series of densities.",
        "One file is a trajectory of charges (XYZ, ASE, LAMMPS, GROMACS, …): J is the rate of Σ q x of its cell, with "
        "charges followed across the ends; with --period in Å, that of a body with surfaces. Several files are the "
        "charge density of a slab at equal steps of time, in order: J is the rate at which its surfaces charge. J is "
        "the flow of positive charge along the normal, with the error of its differences.",
        (
            "gpuhomog current run.xyz --charges Na=1,Cl=-1 --cell 12,12,12 --time-step 2fs --axis c --plot current.pdf",
            "gpuhomog current rho_*.cube --quantity charge_density --time-step 0.05fs -o current.csv",
            "gpuhomog current CHGCAR_?? --ion-charges Na=1,Cl=7 --time-step 1fs --period 2.82 --json",
        ),
        (
            o.TIME_STEP,
            *o.READING,
            *o.MAKING,
            o.TOPOLOGY,
            o.CHARGES,
            o.CELL,
            o.ATOM_STYLE,
            o.START,
            o.EVERY,
            o.CELL_AXIS,
            replace(o.X_B, here="Default: the middle of the slab; of a trajectory where its cell begins."),
            replace(
                o.PERIOD, here="Of densities auto finds it, none uses the kernel alone; of a body of charges give it."
            ),
            o.SURFACE_EPS,
            o.BULK,
            o.SAMPLING,
            result_out(),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_current,
        check_current,
        argument="FILE...",
        series=True,
        python=("gh.density_current", "gh.packet_current"),
    ),
)
