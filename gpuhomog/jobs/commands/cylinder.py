"""Commands on cylinders of charge: potential --radius, budget, decay.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

from ...errors import InputError
from ...field import Field
from ...operators.potentials.budget import CASES, potential_budget
from ...operators.potentials.cylinder_potential import cylinder_potential, cylinder_potential_field
from ...operators.potentials.deviation_decay import AVERAGES, DISC, FIXED_DISC, deviation_decay
from ...operators.profiles.planar import planar_average
from ...units import POTENTIALS
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome, Rows
from .common import check_making, drawing, grid_report, made, outcome_of, result_out, value_report, value_rows

POINTS = ("at", "point")


def check_cylinder(values: dict[str, Any]) -> None:
    """What belongs to a cylinder is asked of one, and places are places or all points."""
    if values["radius"] is None:
        for option in CYLINDER_OPTIONS[1:]:
            if values[option.key] != option.default:
                raise InputError(f"--{option.name} is about a cylinder of charge: give its --radius too.")
        return
    for name in given(values, "dipole_correction", "density", "fermi_energy", "x_b"):
        raise InputError(f"{o.as_option(name)} does not go with --radius: leave one of them out.")
    places = [name for name in POINTS if values[name] is not None]
    if len(places) > 1:
        raise InputError("--at and --point: give positions of planes, or one point.")
    if places and values["output"] is not None:
        raise InputError(
            f"-o writes the potential at all points: leave --{places[0]} or -o out. --json has the numbers."
        )
    if values["point"] is not None and values["plot"] is not None:
        raise InputError("One point has no figure: leave --plot or --point out.")


def given(values: dict[str, Any], *names: str) -> list[str]:
    """Which of some options were given; 0 is a value."""
    return [name for name in names if values[name] is not None and values[name] is not False]


def check_sums(quantity: str) -> None:
    """InputError for a potential, of which no charge is summed."""
    if quantity in POTENTIALS:
        raise InputError(
            f"--radius sums charge, and the file holds an {quantity}: gpuhomog potential FILE --to-quantity "
            "charge_density -o charge.h5 makes a charge density of it."
        )


def run_cylinder(field: Field, values: dict[str, Any]) -> Outcome:
    """Potential of the charge within a cylinder: at planes, at a point, or at all points."""
    check_sums(field.quantity)
    axis, radius = values["axis"] or "c", values["radius"]
    how = {name: values[name] for name in ("side", "edge", "end_weights", "x_low", "x_high")}
    if values["at"] is not None or values["point"] is not None:
        places = values["at"] if values["point"] is None else [values["point"]]
        result = cylinder_potential(field, axis, radius, at=places, **how)
        return outcome_of("plot_cylinder", result, values, width="page")
    found = cylinder_potential_field(field, axis, radius, **how)
    reports = {
        "potential": value_report(found.potential),
        "of_average": value_report(found.of_average),
        "of_deviation": value_report(found.of_deviation),
    }
    titles = ("Potential of a cylinder", "Part of the disc average", "Part of the rest")
    tables: list[tuple[str, Rows]] = [
        (title, value_rows(report)[2:]) for title, report in zip(titles, reports.values(), strict=True)
    ]
    pictured = None if values["plot"] is None else found.potential.on_first_rank()  # which draws
    report = {**grid_report(found.potential), "cylinder": reports, "provenance": found.potential.provenance}
    return Outcome(
        report, tables, {values["output"]: found.potential}, drawing("plot_slices", values, pictured, width="page")
    )


def run_budget(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """The macroscopic potential of a slab, term by term."""
    field = made(inputs, values)
    radii = values["radii"] or ("auto" if values["plot"] is not None else None)
    result = potential_budget(
        planar_average(field, values["axis"]),
        radius=inf if values["radius"] is None else values["radius"],
        x_b=values["x_b"],
        case=values["case"],
        period=values["period"],
        length=values["length"],
        origin=values["origin"],
        eps_rho=values["eps_rho"],
        radii=radii,
        sampling=values["sampling"],
    )
    return outcome_of("plot_budget", result, values)


def check_decay(values: dict[str, Any]) -> None:
    """A fraction of the radius belongs to a disc that stays."""
    check_making(values)
    if values["fraction"] is not None and values["average"] != FIXED_DISC:
        raise InputError(f"--fraction is R1/R of a fixed disc: leave it out, or give --average {FIXED_DISC}.")


def run_decay(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """How what lies beyond the disc average dies away."""
    field = made(inputs, values)
    result = deviation_decay(
        field,
        values["axis"],
        x_b=values["x_b"],
        radii=values["radii"],
        average=values["average"],
        **({} if values["fraction"] is None else {"fraction": values["fraction"]}),
        in_plane=values["in_plane"],
        side=values["side"],
        x_low=values["x_low"],
        x_high=values["x_high"],
    )
    return outcome_of("plot_decay", result, values)


positions = p.numbers("give positions in Å, such as 12.0 or 8,12")
two_fractions = p.numbers("give two fractions of the plane's lattice vectors, such as 0.5,0.25", 2)

CYLINDER_RADIUS = replace(
    o.RADIUS,
    here="With it charge is summed below and above each point, and split into what the average over discs gives and "
    "the rest. Default: Poisson's equation is solved.",
)
AT = replace(o.AT, parse=positions, metavar="X[,X2,…]", here="Cylinder: on these planes.")
POINT = replace(o.POINT, here="Cylinder: on a plane.")
CYLINDER_SIDE = replace(o.SIDE, here="Cylinder: charge on this side of each point.")
X_LOW = o.Option(
    "x-low", p.number, "X", "The plane where charge is counted from, in Å. Default: the first one.", panel=o.METHOD
)
X_HIGH = o.Option(
    "x-high", p.number, "X", "The plane up to which charge is counted, in Å. Default: the last one.", panel=o.METHOD
)
EDGE = o.Option(
    "edge",
    p.number,
    "W",
    "Cylinder: mean over radii R - W to R + W in Å, against the ringing that a sharp edge leaves; two in-plane periods "
    "are enough.",
    default=0.0,
    panel=o.METHOD,
)
END_WEIGHTS = o.Option(
    "end-weights",
    p.count(1, 12),
    "N",
    "Cylinder: order of the end weights of sums over planes, 1 (trapezoid) to 12. Default: 3 (Gregory's) where layers "
    "are wider than three planes, else 1.",
    panel=o.METHOD,
)
CYLINDER_OPTIONS = (CYLINDER_RADIUS, AT, POINT, CYLINDER_SIDE, X_LOW, X_HIGH, EDGE, END_WEIGHTS)

CASE = o.Option(
    "case",
    p.word(*CASES),
    "C",
    "What counts: all charge (film), or one surface and a bulk that goes on behind it (sample).",
    default=CASES[0],
    panel=o.METHOD,
)
LENGTH = replace(
    o.LENGTH,
    here="With a top-hat of one period. Default: two periods; without a period a Gaussian's eps, a fifth of the "
    "thickness.",
)
RADII = replace(o.RADII, here="For the order of limits. Default: for a figure only.")
DECAY_RADII = replace(
    RADII, here="Eight or more over a decade or more. Default: 400 from 5 to 250 of the plane's periods."
)
AVERAGE = o.Option(
    "average",
    p.word(*AVERAGES),
    "A",
    "point: at one point of the plane, less its limit; disc: the mean over the disc of the same R about it, whose "
    "points have each their own disc; fixed-disc: over the points within --fraction of R, which all see the one disc "
    "about it.",
    default=DISC,
    panel=o.METHOD,
)
FRACTION = o.Option(
    "fraction", p.positive, "F", "R1/R of a fixed-disc, at most 1/2. Default: 1/8.", panel=o.METHOD,
)  # fmt: skip
IN_PLANE = o.Option(
    "in-plane", two_fractions, "U,V", "Point of the plane, as fractions of its lattice vectors.", default=(0.0, 0.0),
    panel=o.METHOD,
)  # fmt: skip

COMMANDS = (
    Command(
        "budget",
        "The macroscopic potential of a slab, term by term, against the exact sum.",
        "Every term of eqs. 72 to 80 of the paper, corrected: the charge of the surfaces times the radius and the "
        "depth, their first moments D_L and D_R, the bulk's M2, the next order in 1/R; their sum, the exact sum and "
        "what is left, at x_b and in the mesoscale mean. Of a neutral slab D is what remains, which eq. 80 leaves "
        "out. With a figure also the order of limits: the mean against the radius.",
        (
            "gpuhomog budget charge.h5 --axis c --plot budget.pdf",
            "gpuhomog budget CHGCAR --ion-charges Na=1,Cl=7 --case sample --radius 500 --json",
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            o.RADIUS,
            o.X_B,
            CASE,
            o.PERIOD,
            LENGTH,
            replace(o.ORIGIN, here="Default: the lower face."),
            o.EPS_RHO,
            RADII,
            o.SAMPLING,
            result_out(),
            *o.DRAWN,
        ),
        run_budget,
        check_making,
        python=("gh.potential_budget",),
    ),
    Command(
        "decay",
        "How fast the potential of what lies beyond the disc average dies away as the cylinder widens.",
        "App. F of the paper, with a fitted exponent: -1/2 at a point of a crystal, -3/2 of the mean over discs that "
        "move with their points, -1/2 of that over one fixed disc, which eq. F1 has. In the plane the field must be "
        "periodic.",
        ("gpuhomog decay charge.h5 --axis c --x-b 12.0 --plot decay.pdf --json",),
        (
            *o.FROM_FILE,
            o.CELL_AXIS,
            replace(o.X_B, required=True, here="On a plane of the grid."),
            AVERAGE,
            FRACTION,
            IN_PLANE,
            replace(o.SIDE, here="Charge on this side of the plane."),
            X_LOW,
            X_HIGH,
            DECAY_RADII,
            result_out(),
            *o.DRAWN,
        ),
        run_decay,
        check_decay,
        python=("gh.deviation_decay",),
    ),
)
