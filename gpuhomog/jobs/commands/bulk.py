"""Commands on bulks and scales beyond two: moments, homogenize.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import InputError, counted
from ...operators.excess.dipole_density import dipole_density
from ...operators.excess.moments import PARTITIONS, moment_densities, partition
from ...operators.excess.multistage import Stage, homogenize, stages_of
from ...operators.profiles.planar import planar_average
from ...results import Profile
from ...writers.tables import SideBySide
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome, Rows
from .common import check_making, drawing, made, result_out, shown


def run_moments(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Partition and moment densities of a bulk, and its dipole density."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    how = {name: values[name] for name in ("x_b", "largest", "period", "bulk", "reference", "sampling")}
    result = moment_densities(profile, partition=values["partition"], **how)
    report: dict[str, Any] = result.to_dict()
    tables: list[tuple[str, Any]] = list(result.tables())
    try:
        edges = partition(profile, **how)
        report["zero_average_partition"] = edges.to_dict()
        tables += edges.tables()
    except InputError as error:  # M1 and W of whole periods exist all the same
        if values["partition"] == "crossings":
            raise
        report["zero_average_partition"] = None
        tables.append(("Zero-average partition", [("none", str(error))]))
    dipole = None
    if values["width"] is not None:
        dipole = dipole_density(profile, width=values["width"])
        report["dipole_density"] = dipole
        spread = f"{shown(dipole.values.min())}, {shown(dipole.values.max(), dipole.unit)}"
        rows: Rows = [("window", f"{values['width']:g} Å"), ("smallest, largest", spread)]
        tables.append(("Dipole density", rows))

    target = values["output"]
    written: Any = result
    fields = {"m1": result.m1_field, "m2": result.m2_field, "w": result.w_field, "m1_slope": result.m1_slope}
    known = {name: part for name, part in fields.items() if part is not None}
    if target is not None and target.suffix == ".csv" and known:
        written = SideBySide(known)
    draw = drawing("plot_moments", values, profile, result, dipole, origin=field.grid.origin)
    return Outcome(report, tables, {target: written, values["dipole"]: dipole or profile}, draw)


def check_moments(values: dict[str, Any]) -> None:
    """A file for the dipole density needs its window."""
    check_making(values)
    if values["dipole"] is not None and values["width"] is None:
        raise InputError("--dipole writes the dipole density: give --width, the full width of its window in Å.")


def places(raw: Any) -> tuple[tuple[float, ...], ...]:
    """Positions that stay sharp: of all stages "5,20", or stage by stage "5,12,20;5,20"."""
    parts: list[Any]
    if isinstance(raw, str):
        parts = raw.split(";")
    else:
        parts = list(raw) if isinstance(raw, list | tuple) and raw and isinstance(raw[0], list | tuple) else [raw]
    try:
        return tuple(tuple(p.number(word) for word in p.split(part)) for part in parts)
    except p.Unusable:
        raise p.Unusable("give positions in Å, such as 5,20, or stage by stage as 5,12,20;5,20") from None


def run_homogenize(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """A profile homogenized from scale to scale."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    kept = values["interfaces"] or ((),)
    if values["eps"] is None:
        chosen = stages_of(profile)
        if len(kept) not in (1, len(chosen)):
            raise InputError(
                f"--interfaces has {counted(len(kept), 'stage')}, and the spectrum {len(chosen)}: give --eps."
            )
    else:
        chosen = tuple(Stage(float(eps)) for eps in np.atleast_1d(values["eps"]))
    kept = kept * len(chosen) if len(kept) == 1 else kept
    result = homogenize(profile, [replace(stage, interfaces=at) for stage, at in zip(chosen, kept, strict=True)])

    target = values["output"]
    written: Any = result
    if target is not None and target.suffix == ".csv":
        columns: dict[str, Profile] = {"profile": profile}
        for number, stage in enumerate(result.stages, 1):
            columns |= {f"average_{number}": stage.average, f"macroscopic_{number}": stage.macroscopic}
        written = SideBySide(columns)
    draw = drawing("plot_homogenized", values, profile, result, origin=field.grid.origin)
    return Outcome(result.to_dict(), result.tables(), {target: written}, draw)


def check_homogenize(values: dict[str, Any]) -> None:
    """As many stages of interfaces as stages."""
    check_making(values)
    if values["eps"] is None:
        return
    kept, chosen = values["interfaces"], np.atleast_1d(values["eps"])
    if kept is not None and len(kept) not in (1, len(chosen)):
        raise InputError(
            f"--interfaces has {counted(len(kept), 'stage')} and --eps {len(chosen)}: write as many, with a "
            "semicolon between."
        )
    if not np.all(np.diff(chosen) > 0):
        raise InputError("--eps goes from the smallest scale up: write each above the one before.")


PARTITION = o.Option(
    "partition",
    p.word(*PARTITIONS),
    "P",
    "Intervals whose moments are taken: period (one period each) or crossings (zero-average intervals, for a bulk "
    "without a period).",
    default="period",
    panel=o.METHOD,
)

DIPOLE_WIDTH = replace(
    o.WIDTH,
    parse=p.length,
    metavar="X",
    here="With it the dipole density is found too: the dipole per volume of the window around each position.",
)

DIPOLE_OUT = o.Option(
    "dipole",
    p.path,
    "OUT",
    "Write the dipole density here: .csv, .json or .h5.",
    panel=o.OUTPUT,
    names=o.RESULT_FILE,
)

LARGEST = o.Option(
    "largest",
    p.length,
    "L",
    "Widest interval of the zero-average partition in Å. Default: half of the bulk, or a period.",
    panel=o.METHOD,
)


place_of_cut = p.word_or(p.number, 'give a position in Å, or "auto"', auto="auto")
STAGES = replace(o.EPS, here="One for each stage, from the smallest up. Default: one for each gap of the spectrum.")

INTERFACES = o.Option(
    "interfaces",
    places,
    "X,Y[;…]",
    "Positions in Å that stay sharp in all stages, or stage by stage with semicolons; of a slab its surfaces.",
    panel=o.METHOD,
)

COMMANDS = (
    Command(
        "moments",
        "Partition a bulk into neutral intervals; give its moment densities M1, M2, W and its dipole density.",
        "A bulk is cut at x_b into intervals that are neutral. M1 and W, per volume, do not depend on how; M2 alone "
        "does. M1 is what a cut at x_b adds to the surface charge, and vanishes at the automatic x_b. A file that is "
        "periodic along the axis is bulk all over; in a slab read with --boundary the bulk lies between its faces.",
        (
            "gpuhomog moments crystal.h5 --axis c --plot moments.pdf",
            "gpuhomog moments CHGCAR --ion-charges Na=1,Cl=7 --axis c --x-b 3.1 --width 5.64 --dipole dipole.csv",
            "gpuhomog moments glass.h5 --boundary p,p,o --partition crossings --largest 12 --json",
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            replace(
                o.X_B, parse=place_of_cut, here="auto is where M1 vanishes: the cut without a dipole.", default="auto"
            ),
            PARTITION,
            replace(o.PERIOD, here="Of an open axis; auto finds it, none says there is none."),
            LARGEST,
            replace(o.BULK, here="Default: from face to face."),
            replace(o.BULK_VALUE, parse=p.number, here="Default: the mean of a periodic profile, 0 on an open axis."),
            DIPOLE_WIDTH,
            o.SAMPLING,
            result_out("In .csv the moments as functions of x_b"),
            DIPOLE_OUT,
            *o.DRAWN,
        ),
        run_moments,
        check_moments,
    ),
    Command(
        "homogenize",
        "Homogenize a profile in stages, scale after scale, with what interfaces carry.",
        "For matter with more than two scales, such as a superlattice: each stage averages what the one before left. "
        "Interfaces that stay sharp keep an excess of their own, which the next stage adds to or averages over. Stages "
        "are found in the spectrum of a bulk, or given by the eps of each; a slab with vacuum needs them given.",
        (
            "gpuhomog homogenize superlattice.h5 --axis c --plot stages.pdf",
            "gpuhomog homogenize LOCPOT --eps 4,60 --interfaces 12.5,87.5 -o stages.csv",
            'gpuhomog homogenize stack.h5 --eps 3,30 --interfaces "10,40,90;10,90" --json',
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            STAGES,
            INTERFACES,
            result_out("In .csv the profiles of all stages, side by side"),
            *o.DRAWN,
        ),
        run_homogenize,
        check_homogenize,
    ),
)
