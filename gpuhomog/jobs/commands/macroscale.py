"""Commands on scales: scales, and macro, the field as an interval.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...averaging_kernels import AveragingKernel
from ...errors import InputError
from ...field import Field
from ...operators.macroscale.assumption_8 import physical_assumption_8
from ...operators.macroscale.field_assumption_8 import FieldAssumption8, field_assumption_8
from ...operators.macroscale.field_intervals import field_intervals
from ...operators.macroscale.interval_field import interval_field
from ...operators.macroscale.scale_report import scale_report
from ...operators.macroscale.scales import scales
from ...operators.macroscale.uncertainty import uncertainty
from ...operators.profiles.planar import planar_average
from ...results import Result
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome
from .common import FIELD_OUTSIDE, check_making, drawing, kernel_of, made, outcome_of, result_out, with_ends


def run_macro(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """The macroscopic field as an interval."""
    field = made(inputs, values)
    kernel = kernel_of(values)
    how = {name: values[name] for name in ("eps_x", "spacing", "outside", "sampling")}
    if values["ball"]:
        return run_in_space(field, kernel, how, values)
    profile = planar_average(field, values["axis"])
    result = interval_field(profile, kernel, **how)
    report: dict[str, Any] = result.to_dict()
    tables: list[tuple[str, Any]] = list(result.tables())
    more = {name: values[name] for name in ("outside", "sampling")}
    try:
        relation = uncertainty(profile, kernel, **more)
        report["uncertainty_relation"] = relation.to_dict()
        tables += relation.tables()
    except InputError as error:  # a short or open profile has intervals all the same
        report["uncertainty_relation"] = None
        tables.append(("Uncertainty relation", [("not known", str(error))]))
    if values["at"] is not None:
        how.pop("spacing")
        decided = physical_assumption_8(profile, values["at"], values["up_to"], kernel, **how)
        report["assumption_8"] = decided.to_dict()
        tables.extend(decided.tables())

    draw = drawing("plot_interval_field", values, profile, result, origin=field.grid.origin)
    return Outcome(report, tables, {values["output"]: result}, draw)


def run_in_space(field: Field, kernel: AveragingKernel, how: dict[str, Any], values: dict[str, Any]) -> Outcome:
    """Intervals of the whole field, and Physical Assumption 8 along its lines and in balls."""
    found = field_intervals(field, kernel, **how)
    report: dict[str, Any] = found.to_dict()
    tables: list[tuple[str, Any]] = list(found.tables())
    decided: FieldAssumption8 | None = None
    if values["up_to"] is not None:
        how = {name: value for name, value in how.items() if name != "spacing"}
        decided = field_assumption_8(field, values["up_to"], kernel, **how)
        report["assumption_8"] = decided.to_dict()
        tables += decided.tables()

    writes: dict[Path | None, Field | Result] = {values["output"]: found}
    if values["fields"] is not None:
        writes |= dict(zip(low_and_high(values["fields"]), (found.low, found.high), strict=True))
    if decided is not None:
        return Outcome(report, tables, writes, drawing("plot_assumption_8", values, decided))
    return Outcome(report, tables, writes, drawing("plot_field_intervals", values, found, width="page"))


def low_and_high(path: Path) -> tuple[Path, ...]:
    """Names for the two ends of intervals."""
    return with_ends(path, ("low", "high"))


def check_macro(values: dict[str, Any]) -> None:
    """Kernel and size fit together, and so do the options of what is checked."""
    check_making(values)
    kernel_of(values)
    if values["ball"] and values["at"] is not None:
        raise InputError("--at is a position of a profile, and --ball decides everywhere: leave one of them out.")
    if not values["ball"] and (values["at"] is None) != (values["up_to"] is None):
        raise InputError(
            "--at X and --up-to A belong together: Physical Assumption 8 at X, for averages narrower than A."
        )
    if values["fields"] is not None and not values["ball"]:
        raise InputError("--fields are those of --ball: for a profile take -o.")


def run_scales(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Microscale, macroscale and exponent of a field."""
    field = made(inputs, values)
    if values["eps"] is not None:
        kernels = [o.KERNELS[values["kernel"] or "gaussian"](eps) for eps in np.atleast_1d(values["eps"])]
        return outcome_of("plot_scale_report", scale_report(field, kernels, outside=values["outside"]), values)
    how = {name: values[name] for name in ("gap", "bulk", "tau")}
    return outcome_of("plot_scales", scales(field, values["axis"], **how), values)


def check_scales(values: dict[str, Any]) -> None:
    """A bulk is a part of a profile; averages are those of the whole field."""
    check_making(values)
    if values["eps"] is not None:
        mixed = [name for name in ("axis", "gap", "bulk") if values[name] is not None]
        mixed += ["tau"] * (values["tau"] != TAU.default)
        if mixed:
            raise InputError(
                f"--eps asks for averages of the whole field, in the one read that its spectrum takes: leave "
                f"--{mixed[0]} out, or look at the scales by themselves first."
            )
    elif values["kernel"] is not None or values["outside"] != FIELD_OUTSIDE.default:
        name = "--kernel" if values["kernel"] is not None else "--outside"
        raise InputError(f"{name} belongs to averages: give their sizes, --eps X,Y,… in Å.")
    if values["bulk"] is not None and values["axis"] is None:
        raise InputError("--bulk belongs to a profile: give --axis a, b, c or h,k,l with it.")


SCALES_AXIS = replace(
    o.AXIS,
    here="Lattice planes h,k,l as well. Default: the whole field, by shells of |k|.",
    default=None,
)


MACRO_AT = replace(
    o.AT, here="Decides Physical Assumption 8 there: have all positions that coincide with it these averages?"
)


UP_TO = o.Option(
    "up-to",
    p.length,
    "A",
    "Widest average considered by --at, in Å. With --ball: decide it everywhere, along all lines of the grid and in "
    "balls.",
    panel=o.METHOD,
)


FIELDS = o.Option(
    "fields",
    p.path,
    "OUT",
    "With --ball: write both ends of the intervals in the ball here, OUT with _low and _high before the suffix.",
    panel=o.OUTPUT,
    names=o.FIELD_FILE,
    files=low_and_high,
)


EPS_X = o.Option(
    "eps-x",
    p.length,
    "X",
    "Distance in Å below which positions coincide. Default: the width of a box, the eps of other kernels.",
    panel=o.METHOD,
)


BALL = o.Option(
    "ball",
    p.flag,
    "",
    "The whole field instead of a profile: ranges along a, b and c, and within a ball.",
    default=False,
    panel=o.METHOD,
)


EPS_OF_SCALES = replace(
    o.EPS,
    here="Averages of these sizes, each by itself, are given as well: intervals, local fluctuation, uncertainty "
    "numbers. All of them, and the spectrum of the longest waves, take one read.",
)


TAU = o.Option(
    "tau", p.number, "T", "Largest power in the gap, over that above and below it.", default=0.01, panel=o.METHOD
)

COMMANDS = (
    Command(
        "macro",
        "Give the macroscopic field as an interval: the averages of all positions that coincide.",
        "A macroscopic position is one to within eps_x, so that the field there is a range of averages, of a width "
        "eps_V. It is given with and without the slope of the field, and eps_p for its derivative. With --at the "
        "assumption that all coincident positions have these averages is decided: yes, no, or undecided. --ball takes "
        "the whole field instead of its profile: segments along a, b and c, and balls.",
        (
            "gpuhomog macro LOCPOT --width 5.64 --axis c --plot interval.pdf",
            "gpuhomog macro CHGCAR --width 5.64 --at 12 --up-to 6 --json",
            "gpuhomog macro LOCPOT --kernel ball --eps 4 --ball --plot width.png --fields V.h5",
            "gpuhomog macro LOCPOT --kernel ball --eps 2 --ball --up-to 4 --json",
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            replace(o.KERNEL, required=False, default="box"),
            o.EPS,
            o.WIDTH,
            EPS_X,
            replace(
                o.SPACING,
                parse=p.length,
                metavar="D",
                here="Default: an eighth of eps_x.",
            ),
            BALL,
            MACRO_AT,
            UP_TO,
            o.SAMPLING,
            FIELD_OUTSIDE,
            result_out(),
            FIELDS,
            *o.DRAWN,
        ),
        run_macro,
        check_macro,
    ),
    Command(
        "scales",
        "Find at which scales a field is microscopic and macroscopic, and what that permits.",
        "The power of the field's waves is looked through for the widest gap: below it lies what is macroscopic, above "
        "it the microscopic structure. Recommended is the eps of an averaging kernel in between. How the power grows "
        "in the gap (alpha) says whether surface charges and potential steps exist for such a field. With --eps the "
        "averages at these scales come with it, from the same read of the field.",
        (
            "gpuhomog scales CHGCAR --plot scales.pdf",
            "gpuhomog scales LOCPOT --axis c --bulk 10,30 --json",
            "gpuhomog scales LOCPOT --eps 2,3,4,6,8 -o widths.csv",
        ),
        (
            *o.FROM_FILE,
            SCALES_AXIS,
            EPS_OF_SCALES,
            replace(
                o.KERNEL,
                parse=p.word("gaussian", "powerlaw"),
                here="gaussian or powerlaw. Default: gaussian.",
                required=False,
            ),
            FIELD_OUTSIDE,
            replace(o.BULK, here="Of a slab, whose surfaces would count. Default: the whole profile."),
            o.GAP,
            TAU,
            result_out("With the spectrum"),
            *o.DRAWN,
        ),
        run_scales,
        check_scales,
    ),
)
