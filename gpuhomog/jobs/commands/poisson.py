"""Commands that solve Poisson's equation: potential, energy.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...errors import InputError
from ...field import Field
from ...grid import AXIS_NAMES, OPEN
from ...operators.charge import charge_density
from ...operators.potentials.cut import cut_in_vacuum
from ...operators.potentials.interaction_energy import interaction_energy
from ...operators.potentials.poisson import electric_field, electrostatic_potential
from ...operators.potentials.vacuum import DipoleCorrection, VacuumLevels, dipole_correction, vacuum_levels
from ...operators.profiles.planar import planar_average
from ...streaming import Unread
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome, Rows
from .averages import along_xyz, spread_rows
from .common import check_making, density_beside, drawing, grid_report, made, result_out, value_report, value_rows
from .cylinder import CYLINDER_OPTIONS, check_cylinder, given, run_cylinder
from .potentials import SHOWS_VACUUM

POTENTIAL, FIELD, CHARGE = "electrostatic_potential", "electric_field", "charge_density"


def check_potential(values: dict[str, Any]) -> None:
    """What belongs to a potential is asked of one."""
    check_making({**values, "to_quantity": None})
    check_cylinder(values)
    if values["to_quantity"] != POTENTIAL:
        for name in given(values, "axis", "radius", "dipole_correction", "density", "fermi_energy", "x_b"):
            what = "a potential" if name == "radius" else "the vacuum levels of a potential"
            raise InputError(
                f"{o.as_option(name)} is about {what}: leave --to-quantity {values['to_quantity']} or it out."
            )


def run_potential(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Potential, electric field or charge density of a field."""
    field = made(inputs, {**values, "to_quantity": None})
    if values["recut"]:
        axis = axis_of(field, values)
        if axis is None:
            raise InputError("--recut needs one open axis, as --boundary p,p,o, or --axis.")
        field = cut_in_vacuum(field, axis)
    if values["radius"] is not None:
        return run_cylinder(field, values)
    if values["to_quantity"] == FIELD:
        return field_outcome(electric_field(field), values)
    if values["to_quantity"] == CHARGE:
        return one_outcome("Charge density", charge_density(field), {}, (), None, values)
    potential = electrostatic_potential(field)
    axis = axis_of(potential, values)
    if axis is None:
        for name in given(values, "dipole_correction", "density", "fermi_energy", "x_b"):
            raise InputError(f"{o.as_option(name)} needs --axis, the axis along the normal of the slab.")
    density = density_of(inputs, field, values)
    more: dict[str, Any] = {"vacuum_levels": None, "dipole_correction": None}
    tables: list[tuple[str, Rows]] = []
    levels: VacuumLevels | None = None
    how = {name: values[name] for name in ("x_b", "fermi_energy")}
    if values["dipole_correction"] and axis is not None:
        corrected: DipoleCorrection = dipole_correction(potential, axis, density=density, **how)
        potential, levels = corrected.potential, corrected.levels
        more["dipole_correction"] = corrected.to_dict()
        tables += as_rows(corrected)
    elif axis is not None:
        try:
            levels = vacuum_levels(potential, axis, density=density, **how)
            tables += as_rows(levels)
        except InputError as error:
            if values["axis"] is not None:
                raise
            tables.append(("Vacuum levels", [("note", f"none along {axis}: {error}")]))
    if levels is not None:
        more["vacuum_levels"] = levels.to_dict()
    return one_outcome("Electrostatic potential", potential, more, tables, levels, values)


def as_rows(result: VacuumLevels | DipoleCorrection) -> list[tuple[str, Rows]]:
    """Tables of a result with rows that others are added to."""
    return [(title, list(rows)) for title, rows in result.tables()]


def axis_of(field: Field, values: dict[str, Any]) -> str | None:
    """The axis along which vacuum levels are wanted: the one that was named, or the open one of a slab."""
    if values["axis"] is not None:
        return str(values["axis"])
    opened = [AXIS_NAMES[axis] for axis in range(3) if field.grid.boundary[axis] == OPEN]
    return opened[0] if len(opened) == 1 else None


def density_of(inputs: Inputs, field: Field, values: dict[str, Any]) -> Field | None:
    """The density that shows where the vacuum is: of the input itself, if it is one."""
    if values["density"] is not None:
        return density_beside(inputs, values)
    return field if field.quantity == "charge_density" else None


def one_outcome(
    title: str,
    field: Field,
    more: dict[str, Any],
    tables: list[tuple[str, Rows]] | tuple[()],
    levels: VacuumLevels | None,
    values: dict[str, Any],
) -> Outcome:
    """A field that is written, with the tables and the figure of its vacuum levels if it has any."""
    profile = None if levels is None or values["plot"] is None else planar_average(field, levels.planes)
    if profile is None and values["plot"] is not None:
        field.check_in_memory("A figure of slices", "name the --axis of vacuum levels")
    draw = drawing("plot_vacuum_levels", values, profile, levels, origin=field.grid.origin)
    if profile is None:
        pictured = None if values["plot"] is None else field.on_first_rank()  # which draws
        draw = drawing("plot_slices", values, pictured, width="page")

    def told() -> Outcome:
        numbers = value_report(field)
        rows: Rows = [*value_rows(numbers), ("boundary", ", ".join(field.grid.boundary))]
        report = {**grid_report(field), **numbers, **more, "provenance": field.provenance}
        return Outcome(report, ((title, rows), *tables), {values["output"]: field}, draw)

    unread = isinstance(field.values, Unread) and values["output"] is not None
    return Outcome({}, (), {values["output"]: field}, later=told) if unread else told()


def field_outcome(components: tuple[Field, Field, Field], values: dict[str, Any]) -> Outcome:
    """The three components of an electric field."""
    unread = isinstance(components[2].values, Unread)
    if values["plot"] is not None:
        components[2].check_in_memory("A figure of slices")
    targets = () if values["output"] is None else along_xyz(values["output"])
    pictured = None if values["plot"] is None else components[2].on_first_rank()  # which draws
    draw = drawing("plot_slices", values, pictured, width="page", name="E$_z$")

    def told() -> Outcome:
        reports = {name: value_report(part) for name, part in zip("xyz", components, strict=True)}
        tables: list[tuple[str, Rows]] = [
            (f"Electric field along {name}", spread_rows(report, "V/Å")) for name, report in reports.items()
        ]
        report = {**grid_report(components[0]), "electric_field": reports, "provenance": components[0].provenance}
        return Outcome(report, tables, dict(zip(targets, components, strict=False)), draw)

    return Outcome({}, (), dict(zip(targets, components, strict=False)), later=told) if unread and targets else told()


def run_energy(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Electrostatic energy of two charge densities."""
    first, second = (made(inputs, {**values, "to_quantity": None, "file": values[name]}) for name in ("file", "other"))
    result = interaction_energy(first, second)
    return Outcome(result.to_dict(), result.tables(), {values["output"]: result})


TO_QUANTITY = replace(
    o.TO_QUANTITY,
    parse=p.word(POTENTIAL, FIELD, CHARGE),
    here="electrostatic_potential (V), electric_field (V/Å, as OUT_x, OUT_y and OUT_z) or charge_density (e/Å^3).",
    default=POTENTIAL,
    panel=o.METHOD,
)
LEVELS_AXIS = replace(
    o.CELL_AXIS,
    default=None,
    here="Gives the vacuum levels on both sides of a slab. Default: the open axis, if one is.",
)
DIPOLE = o.Option(
    "dipole-correction",
    p.flag,
    "",
    "Remove the field that a periodic cell puts into the vacuum of a polar slab; with --density (a charge density) by "
    "its dipole, else by the slope in the vacuum.",
    default=False,
    panel=o.METHOD,
    python={"gh.dipole_correction": ""},
)
RECUT = o.Option(
    "recut",
    p.flag,
    "",
    "Begin the cell in the middle of its vacuum along the open axis: for a slab that lies across the cell's boundary.",
    default=False,
    panel=o.METHOD,
    python={"gh.cut_in_vacuum(field": ""},
)
FERMI = o.Option(
    "fermi-energy",
    p.number,
    "E",
    "Fermi energy in eV on the scale of the potential's file: gives the work functions.",
    panel=o.METHOD,
    python={"fermi_energy": ""},
)
SOLVED_BOUNDARY = replace(o.BOUNDARY, here="One open axis is a slab, two a wire, three a cluster or molecule.")
READING = tuple(SOLVED_BOUNDARY if option is o.BOUNDARY else option for option in o.READING)
IONS = (o.ION_CHARGES, o.ION_WIDTH, o.NET_CHARGE)

COMMANDS = (
    Command(
        "potential",
        "Electrostatic potential of a charge density, the field or the charge of a potential, vacuum levels of a slab.",
        "Solves Poisson's equation with periodic or open boundaries. Open axes hold no images and need vacuum at both "
        "ends: with p,p,o the potential of a slab is flat on each side, and both levels are told, with their slopes "
        "and the step between them. A potential file (LOCPOT) is turned into volts of a positive charge. With "
        "--radius charge is summed within a cylinder around each point instead.",
        (
            "gpuhomog potential charge.h5 --boundary p,p,o -o potential.h5 --plot levels.pdf",
            "gpuhomog potential CHGCAR --ion-charges Na=1,Cl=7 --to-quantity electric_field -o field.h5",
            "gpuhomog potential LOCPOT --axis c --dipole-correction --fermi-energy -3.2 --json",
            "gpuhomog potential charge.h5 --axis c --radius 20 --at 12.0 --plot planes.pdf",
        ),
        (
            *READING,
            *IONS,
            TO_QUANTITY,
            RECUT,
            LEVELS_AXIS,
            DIPOLE,
            SHOWS_VACUUM,
            FERMI,
            replace(o.X_B, here="Where a gap in the slab could be taken for the vacuum."),
            *CYLINDER_OPTIONS,
            o.OUT,
            *o.DRAWN,
        ),
        run_potential,
        check_potential,
        python=("gh.electrostatic_potential(field", "gh.cylinder_potential"),
    ),
    Command(
        "energy",
        "Electrostatic energy between two charge densities, and of each on its own.",
        "Both are on one grid; open axes hold no images. The overlap of the two stands beside the energy: between "
        "bodies that share charge it is not the whole energy. Self-energies are those of the densities as they are, "
        "smeared ions with their smearing.",
        (
            "gpuhomog energy left.h5 --other right.h5 --boundary open",
            "gpuhomog energy left.h5 --other right.h5 --boundary p,p,o --json",
        ),
        (
            *READING,
            *IONS,
            o.Option(
                "other", p.path, "FILE", "The other charge density, on the same grid.", required=True, panel=o.INPUT,
                names=o.INPUT_FILE,
            ),
            result_out(),
            *o.READING_COMMON,
        ),
        run_energy,
        lambda values: check_making({**values, "to_quantity": None}),
    ),
)  # fmt: skip
