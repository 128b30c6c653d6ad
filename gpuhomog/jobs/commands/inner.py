"""Commands on the inside of a material: inner-potential, cavity.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...field import Field
from ...operators.potentials.cavity import lorentz_cavity
from ...operators.potentials.inner_potential import inner_potential
from ...operators.profiles.planar import planar_average
from ...readers.blocks_file import read_blocks
from .. import options as o
from .. import parsing as p
from ..task import Command, Inputs, Outcome
from .common import check_making, made, outcome_of, result_out


def run_inner_potential(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Mean inner potential of a slab, every number that goes by that name."""
    field = made(inputs, values)
    profile = planar_average(field, values["axis"])
    density = None
    if values["density"] is not None:
        beside = inputs.beside(values, values["density"], quantity="charge_density")
        density = planar_average(beside, values["axis"])
    result = inner_potential(
        profile,
        density=density,
        blocks=() if values["blocks"] is None else read_blocks(values["blocks"]),
        period=values["period"],
        x_b=values["x_b"],
        radius=values["radius"],
        length=values["length"],
        eps_rho=values["eps_rho"],
        sampling=values["sampling"],
    )
    return outcome_of("plot_inner_potential", result, values, structure=field.structure, origin=field.grid.origin)


def run_cavity(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Spheres around a point of a crystal."""
    field: Field = made(inputs, values)
    result = lorentz_cavity(field, values["centre"], values["radii"], width=values["width"])
    return outcome_of("plot_cavity", result, values)


BLOCKS = o.Option(
    "blocks",
    p.path,
    "FILE",
    "TOML file of building blocks, each under [[block]]: name, volume in Å^3, and its charges (e, and a gaussian's "
    "standard deviation or a ball's radius in Å, and centre), or the field of one block. Bethe's potential of each is "
    "given beside the slab's.",
    panel=o.METHOD,
    names=o.INPUT_FILE,
)
CENTRE = o.Option(
    "centre", p.place, "X,Y,Z", "Where the spheres have their centre, Cartesian, in Å.", required=True, panel=o.METHOD
)

COMMANDS = (
    Command(
        "inner-potential",
        "Mean inner potential of a slab against both vacua, term by term.",
        "Takes a potential (LOCPOT) or a charge density. The true mean over one period of the bulk stands beside what "
        "the surface charge alone gives (eq. 80 of the paper), the dipole terms of both surfaces, which make up the "
        "difference, and Bethe's potential of every building block that --blocks declares: the value belongs to the "
        "bulk and its surfaces together. Potentials are those of a positive charge, in V.",
        (
            "gpuhomog inner-potential LOCPOT --axis c --json",
            "gpuhomog inner-potential charge.cube --quantity charge_density --blocks atoms.toml --plot mip.pdf",
        ),
        (
            *o.FROM_FILE,
            o.AXIS,
            o.PERIOD,
            o.X_B,
            replace(o.DENSITY, here="A charge density, ions included: its surface terms are then found as well."),
            BLOCKS,
            replace(o.RADIUS, here="Needed for charged surfaces alone, whose term grows with it (eq. 80)."),
            replace(o.LENGTH, here="For what is resolved. Default: four periods."),
            replace(o.EPS_RHO, here="Default: the largest averaged charge density in this slab."),
            o.SAMPLING,
            result_out(),
            *o.DRAWN,
        ),
        run_inner_potential,
        check_making,
        python=("gh.inner_potential",),
    ),
    Command(
        "cavity",
        "Lorentz's cavity: charge, dipole and field of spheres around a point of a crystal.",
        "Needs the charge density of a periodic cell. The field at the centre is split into that of the charge within "
        "a sphere, cut sharply, and beyond it; and into that of whole neutral cells and Lorentz's P/(3ε0). Both splits "
        "add up to the same field, that of tin-foil boundaries.",
        (
            "gpuhomog cavity crystal.h5 --centre 0,0,0 --radii 30:60:0.5 --plot cavity.pdf",
            "gpuhomog cavity CHGCAR --ion-charges Sr=10,Ti=12,O=6 --centre 1.95,1.95,1.95 --radii 5,10,20 --json",
        ),
        (
            *o.FROM_FILE,
            CENTRE,
            replace(o.RADII, here="Of the spheres.", required=True),
            replace(
                o.WIDTH,
                parse=p.length,
                metavar="X",
                here="Over radii; triangles reach twice as far. Default: the shortest lattice vector.",
            ),
            result_out(),
            *o.DRAWN,
        ),
        run_cavity,
        check_making,
        python=("gh.lorentz_cavity",),
    ),
)
