"""Commands on potentials: step.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...operators.planar import planar_average
from ...operators.potential_step import potential_step
from .. import options as o
from ..task import RUN_WIDE, Command, Inputs, Outcome
from .common import check_making, made, outcome_along, result_out


def run_step(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Potential step across a slab or an interface."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    density = None
    if values["density"] is not None:
        same = {name: values[name] for name in ("boundary", "dtype", "device", *RUN_WIDE)}
        density = planar_average(inputs.field({"file": values["density"], **same}), values["axis"])
    result = potential_step(
        profile,
        density=density,
        between=values["between"],
        period=values["period"],
        x_b=values["x_b"],
        sampling=values["sampling"],
    )
    return outcome_along("plot_step", field, profile, result, values)


DENSITY = o.Option(
    "density",
    o.path,
    "FILE",
    "Electron or charge density on the same planes, such as the CHGCAR: the vacuum is then where it is empty too.",
    panel=o.INPUT,
    names=o.INPUT_FILE,
)


STEP_BETWEEN = "two positions in Å, one deep in the bulk on each side."


STEP_PERIOD = o.Option(
    "period",
    o.two_periods,
    "P[,P2]",
    "Period of the bulk in Å, or two for two bulks; auto finds it, none leaves the level of the bulk undefined.",
    default="auto",
    panel=o.METHOD,
)

COMMANDS = (
    Command(
        "step",
        "Step of the potential across a slab or an interface, with the vacuum levels and the bulk's.",
        "Takes a potential (LOCPOT), or a charge density, from which the potential follows. The vacuum is where the "
        "potential is straight, on each side; the bulk's level is the mean over exactly one period. All levels are "
        "those of a positive charge, in V: for an electron's energy in eV change the sign.",
        (
            "gpuhomog step LOCPOT --axis c --plot step.pdf",
            "gpuhomog step LOCPOT --axis c --between 6,18 --period 2.82,3.10 --json",
        ),
        (
            *o.READING,
            *o.MAKING,
            o.AXIS,
            replace(o.BETWEEN, required=False, help="Across an interface instead of a slab: " + STEP_BETWEEN),
            STEP_PERIOD,
            DENSITY,
            replace(o.X_B, help="Where the level of the bulk is taken, in Å. Default: the middle of the slab."),
            o.SAMPLING,
            result_out("the result"),
            o.PLOT,
            o.FIGURE_WIDTH,
            *o.READING_COMMON,
        ),
        run_step,
        check_making,
    ),
)
