"""Commands that average: average, profile, trajectory.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError, counted
from ...field import Field
from ...grid import OPEN, axis_index, parse_boundary
from ...operators.averages.at_points import average_at
from ...operators.averages.average import average, average_and_variance, average_gradient
from ...operators.points.trajectory_average import trajectory_profile
from ...operators.potentials.trajectory_potential import trajectory_potential, trajectory_step
from ...operators.profiles.macroscopic import macroscopic_average
from ...operators.profiles.planar import planar_average
from ...readers.frames import read_frames
from ...results import Measurement, Result, unit_after
from ...streaming import Unread, together
from ...writers.tables import Compared
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome, Rows
from .common import (
    FIELD_OUTSIDE,
    check_making,
    drawing,
    grid_report,
    kernel_of,
    made,
    result_out,
    shown,
    times,
    value_report,
    value_rows,
    with_ends,
    words,
)

OF_ALL_POINTS = ("output", "variance", "gradient", "plot", "slices_through", "spacing", "padded")
"""Options of an average that is a field."""
CELL_STAYS = 1e-6  # relative change of its length below which a cell is one


def check_average(values: dict[str, Any]) -> None:
    """Kernel and size fit together; something is asked for."""
    check_making(values)
    kernel_of(values)
    if values["point"] is not None:
        for name in OF_ALL_POINTS:
            if values[name] not in (None, False):
                raise InputError(
                    f"--point gives numbers about points, and {o.as_option(name)} is about the whole field: "
                    "leave one of them out (--table OUT writes the numbers)."
                )
        return
    if values["table"] is not None:
        raise InputError("--table has a row for each point: give --point, or -o OUT for the whole field.")
    if all(values[name] is None for name in ("output", "variance", "gradient", "plot")):
        raise InputError("Nothing to write: name the result with -o OUT, or a figure with --plot FILE.")
    if values["variance"] is not None and values["padded"]:
        raise InputError("--variance is known inside the cell only: leave --padded out, or ask for it in a second run.")


def run_average(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Mesoscale average."""
    kernel = kernel_of(values)
    field = made(inputs, values)
    if values["point"] is not None:
        about = {name: values[name] for name in ("sampling", "outside")}
        found = average_at(field, kernel, values["point"], **about)
        return Outcome(found.to_dict(), found.tables(), {values["table"]: found})
    how = {name: values[name] for name in ("spacing", "sampling", "outside")}

    def means() -> tuple[Field, ...]:
        if values["variance"] is None:
            return (average(field, kernel, **how, padded=values["padded"]),)
        return average_and_variance(field, kernel, **how)

    def slopes() -> tuple[Field, ...]:
        return () if values["gradient"] is None else average_gradient(field, kernel, **how, padded=values["padded"])

    (result, *spread), gradient = together(field.values, means, slopes)
    slopes_to = along_xyz(values["gradient"]) if gradient else ()
    writes: dict[Path | None, Field | Result] = {values["output"]: result}
    writes |= dict(zip([values["variance"]] * len(spread), spread, strict=True))
    writes |= dict(zip(slopes_to, gradient, strict=True))
    unread = [field.values for field in (result, *gradient) if isinstance(field.values, Unread)]
    if unread and values["plot"] is not None:
        unread[0].refuse("A figure", "give a larger spacing")
    pictured = None if values["plot"] is None else result.on_first_rank()  # which draws

    draw = drawing("plot_slices", values, pictured, width="page", through=values["slices_through"])

    def told() -> Outcome:
        more: dict[str, Any] = {}
        tables: list[tuple[str, Rows]] = []
        for variance in spread:
            more["variance"] = value_report(variance)
            unit = None if field.unit is None else f"({field.unit})^2"
            tables.append(("Local variance", spread_rows(more["variance"], unit)))
        if gradient:
            more["gradient"] = {name: value_report(part) for name, part in zip("xyz", gradient, strict=True)}
            for name, part in zip("xyz", gradient, strict=True):
                tables.append((f"Gradient along {name}", spread_rows(more["gradient"][name], part.unit)))
        numbers = value_report(result)
        report = {**grid_report(result), **numbers, "kernel": kernel.describe(), "provenance": result.provenance}
        rows: Rows = [("points", " × ".join(map(str, result.grid.shape))), *value_rows(numbers)]
        option = "eps" if values["width"] is None else "width"
        given = np.atleast_1d(values[option])
        size = (", then " if option == "eps" else " × ").join(f"{length:g}" for length in given)
        title = f"Average, {values['kernel']}, {option} {size} Å"
        return Outcome(report | more, ((title, rows), *tables), writes, draw)

    return Outcome({}, (), writes, later=told) if unread else told()


def spread_rows(report: dict[str, Any], unit: str | None) -> Rows:
    """Mean, smallest and largest of one of several fields."""
    return [
        ("mean", shown(report["mean"], unit)),
        ("smallest, largest", f"{shown(report['minimum'])}, {shown(report['maximum'], unit)}"),
    ]


def along_xyz(path: Path) -> tuple[Path, ...]:
    """Names for the three components of a field."""
    return with_ends(path, "xyz")


def run_profile(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Planar average and its macroscopic average."""
    field = made(inputs, values)
    planar = planar_average(field, values["axis"])
    macroscopic = None
    if values["period"] is not None:
        more = {name: values[name] for name in ("passes", "outside", "padded")}
        try:
            macroscopic = macroscopic_average(planar, values["period"], **more)
        except InputError as error:
            if values["period"] == "auto":
                raise InputError(f"{error} For the planar average alone give --period none.") from None
            raise
    rows: Rows = [
        (
            "direction",
            f"normal to planes {planar.planes}, {planar.length:.6f} Å, {counted(len(planar.values), 'plane')}",
        ),
        ("quantity", words(planar.quantity)),
        ("mean", shown(planar.mean(), planar.unit)),
        ("smallest, largest", f"{shown(planar.values.min())}, {shown(planar.values.max(), planar.unit)}"),
    ]
    tables: list[tuple[str, Rows]] = [("Planar average", rows)]
    if macroscopic is not None:
        step = macroscopic.provenance[-1]
        windows = ", ".join(f"{period:.6g} Å" for period in macroscopic.periods)
        tables.append(
            (
                "Macroscopic average",
                [
                    ("windows", f"{windows} ({step['chosen']}), applied {times(step['passes'])}"),
                    *[("diagnosis", text) for text in step["diagnosis"]],
                    (
                        "smallest, largest",
                        f"{shown(macroscopic.values.min())}, {shown(macroscopic.values.max(), macroscopic.unit)}",
                    ),
                    (
                        "residual ripple",
                        f"{macroscopic.ripple:.2g}{unit_after(macroscopic.unit)} {step['ripple_measured']}",
                    ),
                ],
            )
        )

    report = {"planar": planar, "macroscopic": macroscopic, "provenance": (macroscopic or planar).provenance}
    both = planar if macroscopic is None else Compared(macroscopic, planar)
    draw = drawing("plot_profile", values, planar, macroscopic, origin=field.grid.origin)
    return Outcome(report, tables, {values["output"]: both, values["planar"]: planar}, draw)


def check_trajectory(values: dict[str, Any]) -> None:
    """A boundary is that of a potential, along the one axis; so is a step."""
    for name in ("between", "width"):
        if values[name] is not None and (values["to_quantity"] is None or values["between"] is None):
            need = "--to-quantity electrostatic_potential" if values["to_quantity"] is None else "--between"
            raise InputError(f"--{name} is about a step of the potential: give {need} too.")
    if values["boundary"] is None:
        return
    if values["to_quantity"] is None:
        raise InputError("--boundary is about a potential: give --to-quantity electrostatic_potential too.")
    along = axis_index(values["axis"])
    if any(word == OPEN for axis, word in enumerate(parse_boundary(values["boundary"])) if axis != along):
        raise InputError(
            f"--boundary {values['boundary']}: a potential along {values['axis']} is a mean over planes that go on; "
            f"only {values['axis']} may be open."
        )


def run_trajectory(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Mean charge profile or potential of a trajectory."""
    frames = read_frames(
        values["file"],
        values["topology"],
        charges=values["charges"],
        cell=values["cell"],
        start=values["start"],
        stop=values["stop"],
        every=values["every"],
        kind=values["kind"],
        atom_style=values["atom_style"],
    )
    axis = values["axis"]
    is_potential, is_open, between = values["to_quantity"] is not None, False, None
    if is_potential:
        boundary = parse_boundary(values["boundary"] or "periodic")[axis_index(axis)]
        is_open = boundary == OPEN
        how = {"axis": axis, "boundary": boundary}
        if values["between"] is None:
            result = trajectory_potential(frames, values["spacing"], **how)
        else:
            between = trajectory_step(frames, values["between"], values["spacing"], width=values["width"], **how)
            result = between.profile
    else:
        result = trajectory_profile(frames, values["spacing"], axis=axis)
    step = result.provenance[-1]
    time, spread = step["correlation_time"]
    errors = result.uncertainty if result.uncertainty is not None else np.zeros(1)
    rows: Rows = [
        ("frames", f"{step['frames']}, blocks of {step['block']}"),
        ("correlation time", str(Measurement(time, "frames", spread))),
        ("direction", f"along {result.planes}, {result.length:.6f} Å, {counted(len(result.values), 'cell')}"),
        ("smallest, largest", f"{shown(result.values.min())}, {shown(result.values.max(), result.unit)}"),
        ("standard error", f"{np.sqrt(np.mean(errors**2)):.2g} {result.unit}, root mean square"),
    ]
    shortest, longest = step["lengths"]
    if longest - shortest > CELL_STAYS * longest:
        varied = f"{shortest:.6g} to {longest:.6g} Å long"
        rows.append(("cell", f"{varied}: charges are counted at fractions of it, and positions are those of its mean"))
    across = Measurement(float(result.values[-1]), result.unit, float(errors[-1])) if is_open else None
    if is_potential:
        level = f"0 below the slab, {across} above it" if is_open else "mean 0 over the periodic cell"
        rows.append(("level", level))
    if not step["converged"]:
        rows.append(("note", "too few frames for their memory: the errors are lower bounds"))

    report = {"profile": result, "step": across, "between": between, "provenance": result.provenance}
    tables = (("Mean over frames", rows), *(() if between is None else between.tables()))
    draw = drawing("plot_profile", values, result)
    return Outcome(report, tables, {values["output"]: result}, draw)


SLICES = o.Option(
    "slices-through",
    p.point,
    "U,V,W",
    "Point that the slices of the figure go through, as fractions of the lattice vectors. Default: where the result "
    "differs most from its mean.",
    panel=o.OUTPUT,
)


PLANAR = o.Option(
    "planar",
    p.path,
    "OUT",
    "Write the planar average alone here: .csv, .json or .h5.",
    panel=o.OUTPUT,
    names=o.RESULT_FILE,
)


VARIANCE = o.Option(
    "variance",
    p.path,
    "OUT",
    "Write the local variance here: the mean of the square less the square of the mean, under the same kernel.",
    panel=o.OUTPUT,
    names=o.FIELD_FILE,
)


POINT = replace(
    o.POINT,
    parse=p.points,
    metavar="X,Y,Z[,…]",
    here="Several one after another; or the ions of an element, such as Mg, or all ions, by that word. Only the mean "
    "about each is found then, and how much the field varies there.",
)


TABLE = o.Option(
    "table", p.path, "OUT", "Write the numbers about points here: .csv, .json or .h5.", panel=o.OUTPUT,
    names=o.RESULT_FILE,
)  # fmt: skip


GRADIENT = o.Option(
    "gradient",
    p.path,
    "OUT",
    "Write the gradient of the average here, per Å, as three files: OUT with _x, _y and _z before the suffix.",
    panel=o.OUTPUT,
    names=o.FIELD_FILE,
    files=along_xyz,
)

CHARGES_OR_POTENTIAL = replace(
    o.TO_QUANTITY,
    parse=p.word("electrostatic_potential"),
    here="electrostatic_potential, in V. Default: the charge density is given, in e/Å^3.",
    panel=o.METHOD,
)
SLAB_OR_CELL = replace(
    o.BOUNDARY,
    here="Of a potential: an open --axis is that of a slab, with level 0 and no field below it; a periodic one has "
    "mean 0.",
    panel=o.METHOD,
)

COMMANDS = (
    Command(
        "average",
        "Average a field with a smooth kernel: the mesoscale field.",
        "Each point of the result is the mean of the input around it, weighted by the kernel. With --spacing the "
        "result has only as many points as a smooth field needs, and is the same there, point for point. With --point "
        "only the mean about some points is found, such as the potential at ion sites or in a pore, and its spread.",
        (
            "gpuhomog average CHGCAR --kernel gaussian --eps 6 --spacing 1 -o smooth.h5",
            "gpuhomog average LOCPOT --kernel gaussian --eps 6 --plot smooth.pdf",
            "gpuhomog average LOCPOT --kernel box --width 4,4,5.6 -o box.h5",
            "gpuhomog average LOCPOT --kernel ball --eps 1 --point 0,0,0,2.1,2.1,4.2",
            "gpuhomog average LOCPOT --kernel ball --eps 0.9 --point Mg --table sites.csv",
            "gpuhomog average CHGCAR --kernel gaussian --eps 2,5 --variance spread.h5 --gradient slope.h5",
        ),
        (
            *o.FROM_FILE,
            o.KERNEL,
            o.EPS,
            o.WIDTH,
            POINT,
            o.SPACING,
            o.SAMPLING,
            FIELD_OUTSIDE,
            o.PADDED,
            o.OUT,
            TABLE,
            VARIANCE,
            GRADIENT,
            o.PLOT,
            SLICES,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_average,
        check_average,
    ),
    Command(
        "profile",
        "Average over planes, and over the period of the layers: the macroscopic profile.",
        "The planar average is the mean over each plane normal to the chosen direction. Its running mean over exactly "
        "one layer spacing, or over one of each of two materials, removes the microscopic oscillation; what is left of "
        "it is reported as ripple, with an uncertainty for each value.",
        (
            "gpuhomog profile LOCPOT --axis c -o profile.csv --plot profile.pdf",
            "gpuhomog profile LOCPOT --period 2.82,3.10 -o macro.csv --planar planar.csv",
            "gpuhomog profile LOCPOT --axis 1,1,0 --period none --json",
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            o.WINDOWS,
            o.PASSES,
            o.OUTSIDE,
            o.PADDED,
            result_out("The planar average and the macroscopic one, side by side"),
            PLANAR,
            *o.DRAWN,
        ),
        run_profile,
        check_making,
    ),
    Command(
        "trajectory",
        "Mean charge profile or potential of a molecular dynamics trajectory, with standard errors.",
        "Reads XYZ, and what MDAnalysis reads (LAMMPS, GROMACS and others), one frame at a time. The "
        "errors take into account how long frames remember each other, and say so where the run is too short to know; "
        "those of a potential come from the potentials of frames, not from the errors of the charge.",
        (
            "gpuhomog trajectory run.xtc --topology run.tpr --spacing 0.2 -o profile.csv --plot profile.pdf",
            "gpuhomog trajectory run.xtc --topology run.tpr --spacing 0.2 --to-quantity electrostatic_potential",
            "gpuhomog trajectory slab.extxyz --spacing 0.5 --to-quantity electrostatic_potential --boundary p,p,o",
            "gpuhomog trajectory run.xtc --topology run.tpr --spacing 0.2 --to-quantity electrostatic_potential "
            "--between 5,30 --width 4",
            "gpuhomog trajectory run.extxyz --spacing 0.5 --start 100 --stop 600",
            "gpuhomog trajectory run.xyz --charges Na=1,Cl=-1 --cell 20,20,60 --spacing 0.5",
        ),
        (
            o.TOPOLOGY,
            o.CHARGES,
            o.CELL,
            o.TRAJECTORY_KIND,
            o.ATOM_STYLE,
            o.START,
            o.STOP,
            o.EVERY,
            o.CELL_AXIS,
            o.BIN,
            CHARGES_OR_POTENTIAL,
            SLAB_OR_CELL,
            replace(o.BETWEEN, required=False, here="The step of the mean potential, with an error of its own."),
            replace(
                o.WIDTH,
                parse=p.length,
                metavar="X",
                here="Around each position of --between. Default: one cell of --spacing.",
            ),
            result_out(),
            o.PLOT,
            o.FIGURE_WIDTH,
            o.JSON,
            o.QUIET,
        ),
        run_trajectory,
        check_trajectory,
        alone=True,
    ),
)
