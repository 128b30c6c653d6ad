"""Commands on potentials: step.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...errors import InputError
from ...operators.potentials.band_alignment import band_alignment
from ...operators.potentials.potential_step import potential_step
from ...operators.profiles.planar import planar_average
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome
from .common import check_making, density_beside, made, outcome_of, result_out


def check_step(values: dict[str, Any]) -> None:
    """Band edges belong to an interface."""
    check_making(values)
    if values["band_edge"] is not None and values["between"] is None:
        raise InputError("--band-edge is for an interface: give --between too, a position in each bulk.")


def run_step(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Potential step across a slab or an interface."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    density = None
    if values["density"] is not None:
        density = planar_average(density_beside(inputs, values), values["axis"])
    result = potential_step(
        profile,
        density=density,
        between=values["between"],
        period=values["period"],
        x_b=values["x_b"],
        sampling=values["sampling"],
    )
    if values["band_edge"] is None:
        return outcome_of("plot_step", result, values, profile, origin=field.grid.origin)
    valence, conduction = values["band_edge"][:2], values["band_edge"][2:] or None
    aligned = band_alignment(result, valence=valence, conduction=conduction)
    outcome = outcome_of("plot_step", result, values, profile, origin=field.grid.origin, alignment=aligned)
    report = {**outcome.report, "band_alignment": aligned.to_dict()}
    tables = (*aligned.tables()[:1], *outcome.tables)
    return replace(outcome, report=report, tables=tables, writes={values["output"]: aligned})


SHOWS_VACUUM = replace(o.DENSITY, here="Of electrons or charge, such as the CHGCAR: the vacuum is where it is empty.")

STEP_PERIOD = replace(
    o.TWO_PERIODS, here="Or those of two bulks; auto finds them, none leaves the level of the bulk undefined."
)

BAND_EDGE = o.Option(
    "band-edge",
    p.band_edges,
    "V1,V2[,C1,C2]",
    "Band offsets across an interface: the top of the valence bands in the bulk at X1 and at X2 in eV, each counted "
    "from the mean electron potential energy of that bulk's own calculation; then the bottom of the conduction bands.",
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
            "gpuhomog step LOCPOT --between 6,18 --band-edge 5.1,6.3,6.6,9.9",
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            replace(o.BETWEEN, required=False, here="Instead of a slab."),
            STEP_PERIOD,
            BAND_EDGE,
            SHOWS_VACUUM,
            o.X_B,
            o.SAMPLING,
            result_out(),
            *o.DRAWN,
        ),
        run_step,
        check_step,
        python=("gh.potential_step takes",),
    ),
)
