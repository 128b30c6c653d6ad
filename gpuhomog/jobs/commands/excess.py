"""Commands on excesses: surface, interface, corners.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...errors import InputError
from ...field import Field
from ...operators.excess.interface import interface_charge
from ...operators.excess.lines_and_points import lines_and_points
from ...operators.excess.regions import Region, box_region
from ...operators.excess.surface import SurfaceExcess, surface_charge, surface_excess
from ...operators.excess.terminations import PlaneExcess, Terminations, plane_excess, terminations
from ...operators.excess.window_sums import plane_across
from ...operators.profiles.planar import planar_average
from ...readers.regions_file import read_regions
from .. import options as o
from ..task import Command, Inputs, Outcome
from .common import check_making, drawing, made, outcome_of, result_out

SIGNED = "charge density, electrons negative, ions included"


def run_surface(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Surface charges of a slab."""
    field = made(inputs, values)
    if cuts_a_crystal(values):
        return run_cut(field, values)
    profile = planar_average(field, values["axis"] or "c")
    how = {name: values[name] for name in OF_A_SLAB}
    if values["reference"] is None:
        result: SurfaceExcess = surface_charge(profile, **how)
    else:
        result = surface_excess(profile, reference=values["reference"], x_surface=values["x_surface"], **how)
    return outcome_of("plot_surface", result, values, profile, origin=field.grid.origin)


OF_A_SLAB = ("side", "x_b", "eps", "period", "bulk", "origin", "sampling")
"""Options of a surface that a crystal without one does not have."""


def cuts_a_crystal(values: dict[str, Any]) -> bool:
    """True if a bulk is to be cut, rather than the surfaces of a slab found."""
    return values["hkl"] is not None or values["scan"] or values["cut"] is not None


def run_cut(field: Field, values: dict[str, Any]) -> Outcome:
    """Charge of a bulk crystal's cut, at one position or at every one."""
    planes = (values["axis"] or "c") if values["hkl"] is None else values["hkl"]
    reference = field.mean() if values["reference"] == "bulk" else values["reference"]
    scan = cut = None
    if values["cut"] is not None:
        cut = plane_excess(field, planes, values["cut"], reference=reference)
    if cut is None or values["plot"] is not None:
        scan = terminations(field, planes, reference=reference, paired=values["paired"])

    result: Terminations | PlaneExcess = cut or scan  # type: ignore[assignment]
    target = values["output"]
    as_table = cut is None and target is not None and target.suffix == ".csv"  # the curve; other formats hold it all
    written = result.charge if as_table and isinstance(result, Terminations) else result
    draw = drawing("plot_terminations", values, scan, cut, origin=field.grid.origin)
    return Outcome(result.to_dict(), result.tables(), {target: written}, draw)


def check_surface(values: dict[str, Any]) -> None:
    """Options of a slab and of a crystal are not mixed."""
    check_making(values)
    if cuts_a_crystal(values):
        defaults = {option.key: option.default for option in COMMANDS[0].options}
        given = [name for name in (*OF_A_SLAB, "x_surface") if values[name] != defaults[name]]
        if values["hkl"] is not None and values["axis"] is not None:
            raise InputError("--hkl names the planes of the cut, and --axis others: leave one of them out.")
        if given:
            raise InputError(
                f"{o.as_option(given[0])} belongs to the surfaces of a slab, and --hkl, --scan and --cut cut a "
                "bulk crystal: leave one of them out."
            )
        if values["scan"] and values["cut"] is not None:
            raise InputError("--scan finds the charge at every position of the cut: leave --cut out.")
    elif values["paired"]:
        raise InputError("--paired belongs to --scan: it says what the quantum is.")
    if not cuts_a_crystal(values) and values["x_surface"] is not None and values["reference"] is None:
        raise InputError("--x-surface belongs to --reference: give the bulk value that is subtracted between them.")


def run_interface(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Charge of an interface."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    result = interface_charge(
        profile,
        between=values["between"],
        period=values["period"],
        eps=values["eps"],
        origin=values["origin"],
        sampling=values["sampling"],
    )
    return outcome_of("plot_interface", result, values, profile, origin=field.grid.origin)


def regions_of(values: dict[str, Any]) -> list[Region]:
    """The regions that the options name."""
    if (values["regions"] is None) == (values["box"] is None):
        raise InputError(
            "Positions of edges and corners have no default: give --box X0,X1,Y0,Y1 (,Z0,Z1) in Å, or --regions FILE."
        )
    if values["box"] is None:
        return read_regions(values["regions"])
    return [box_region(values["box"][::2], values["box"][1::2], values["reference"])]


def check_corners(values: dict[str, Any]) -> None:
    """The regions are given, once."""
    check_making(values)
    if values["regions"] is None or values["box"] is not None or values["regions"].exists():
        regions_of(values)


def run_corners(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Excesses of edges and corners."""
    field = made(inputs, values)
    result = lines_and_points(
        field,
        regions_of(values),
        eps=values["eps"],
        window_radius=values["window_radius"],
        uniform_axis=values["uniform_axis"],
        sampling=values["sampling"],
    )
    plane = None if result.uniform_axis is None or values["plot"] is None else plane_across(field, result.uniform_axis)
    width = "page" if result.uniform_axis is None else "column"
    return outcome_of("plot_corners", result, values, plane=plane, width=width)


COMMANDS = (
    Command(
        "surface",
        "Charge per area of the surfaces of a slab, with its uncertainty.",
        f"Needs a {SIGNED}: for an electron density (CHGCAR) give --ion-charges. Three estimates are made: the mean "
        "of the cumulative charge over one period of the bulk, a smooth kernel, and a partition into neutral "
        "intervals; each with the spread over where the bulk is cut. Where a surface charge does not exist, the reason "
        "is given. With --hkl or --scan a bulk crystal is cut along lattice planes instead, and nothing moves: the "
        "charge of every termination, and which are neutral.",
        (
            "gpuhomog surface charge.cube --quantity charge_density --axis c --plot surface.pdf",
            "gpuhomog surface CHGCAR --ion-charges Na=1,Cl=7 --axis c --side low --json",
            "gpuhomog surface crystal.h5 --hkl 1,1,0 --scan --plot terminations.pdf",
            "gpuhomog surface CHGCAR --axis c --reference bulk --x-surface 5.2,22.8",
        ),
        (
            *o.FROM_FILE,
            replace(o.AXIS, default=None, here="Lattice planes h,k,l, such as 1,1,0, as well. Default: c."),
            o.SIDE,
            o.X_B,
            o.PERIOD,
            o.SURFACE_EPS,
            o.BULK,
            o.ORIGIN,
            o.BULK_VALUE,
            o.X_SURFACE,
            o.SAMPLING,
            o.HKL,
            o.SCAN,
            o.CUT,
            o.PAIRED,
            result_out(),
            *o.DRAWN,
        ),
        run_surface,
        check_surface,
        python=("gh.surface_charge",),
    ),
    Command(
        "interface",
        "Charge per area of the interface between two materials, with its uncertainty.",
        f"Needs a {SIGNED}: for an electron density (CHGCAR) give --ion-charges. On a periodic axis the interface is "
        "what lies going up from X1 to X2, through the end of the cell if need be. Between two gaps, of --eps each and "
        "with --period none, it is the charge of the layer that they divide from others.",
        (
            "gpuhomog interface charge.h5 --axis c --between 6,18 --plot interface.pdf",
            "gpuhomog interface CHGCAR --ion-charges Na=1,Cl=7 --between 6,18 --period 2.82,3.1",
            "gpuhomog interface difference.cube --quantity charge_density --between 6,9.3 --period none --eps 1",
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            o.BETWEEN,
            replace(o.TWO_PERIODS, here="Of both bulks, or one for both; auto finds each, none uses the kernel alone."),
            o.SURFACE_EPS,
            replace(o.ORIGIN, here="Default: the middle between the two positions."),
            o.SAMPLING,
            result_out(),
            *o.DRAWN,
        ),
        run_interface,
        check_making,
        python=("gh.interface_charge", "interface_charge"),
    ),
    Command(
        "corners",
        "Charge (or any excess) of the edges and corners of a structure, with closure residual and uncertainty.",
        "Where regions end they carry an excess: faces per area, edges per length, corners each their own. The "
        "positions have no default, since the values depend on them unless the field is zero inside on average. "
        "Corners (x, y) are those of a structure that is uniform along one axis, such as a wire; (x, y, z) of any.",
        (
            "gpuhomog corners wire.h5 --box 8,32,8,30 --plot corners.pdf",
            "gpuhomog corners CHGCAR --ion-charges Na=1,Cl=7 --box 5,25,5,25,5,25 --json",
            "gpuhomog corners charge.cube --quantity charge_density --regions regions.toml --eps 2 -o corners.json",
        ),
        (
            *o.FROM_FILE,
            o.REGIONS,
            o.BOX,
            o.REFERENCE,
            o.WINDOW_EPS,
            o.WINDOW_RADIUS,
            o.UNIFORM_AXIS,
            o.SAMPLING,
            result_out(),
            *o.DRAWN,
        ),
        run_corners,
        check_corners,
    ),
)
