"""Figure 12: a crystal cut along lattice planes; which of them are polar, and by how much σ depends on where they lie.

    σ(x_t) = Σ_{n≠0} i ρ_n e^{inGx_t}/(nG)                         matter above x_t, eqs. 39, 51
    σ = -(1/a) Σ_cell q_i (x_i - x_t)                              of point charges, eq. 58
    σ at two cuts of one orientation differs by the charge between them; whole ions: by the quantum e/A_Ω, eq. 56

The model lattice is of the figure's kind: +1 and -1 at the corners and in the middles of squares, so that rows along
the squares hold one sort each (Planes 2, 3, 4), and rows along their diagonals both (Plane 1). Rock salt and fluorite
are crystals in which people meet this.

The caption says that the orientation determines whether a surface is polar. It does where the planes alternate in sign.
In fluorite, (111) planes come as F, Ca, F: cut between two of F there is no charge, between F and Ca a whole quantum.

>>> FIGURE.number
12
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import (
    Measurement,
    PointCharges,
    Profile,
    crystal_surface_charge,
    planar_average,
    plane_excess,
    polarization_quantum,
    terminations,
)
from ..operators.profiles.between_points import integral
from .densities import crystal, face_centred
from .numbers import Curve, FigureNumbers, Finding, PaperFigure, curve

A = 4.0  # Å: side of the squares, and period across them
STD = 0.18  # Å
ROWS, DIAGONALS, POLAR = (1, 0, 0), (1, 1, 0), (1, 1, 1)
ROCK_SALT, FLUORITE = 5.64, 5.463  # Å, cubic lattice constants
SIGMA = "e/Å^2"


def of_one_spacing(charge: Profile, unit: str, factor: float = 1.0) -> Curve:
    """σ at every cut, positions in spacings, both ends included."""
    position = np.append(charge.position, charge.position[0] + charge.length) / charge.length
    return curve(position, factor * np.append(charge.values, charge.values[0]), unit, "1")


def compute(device: str) -> FigureNumbers:
    """σ at every cut of the model lattice along two orientations, and of rock salt and fluorite along (111)."""
    of_model, curves, parameters = _model(device)
    of_salt, salt = _rock_salt(device)
    of_fluorite, fluorite = _fluorite(device)
    curves |= {"NaCl(111)": salt, "CaF2(111)": fluorite}
    return FigureNumbers(12, (*of_model, *of_salt, *of_fluorite), curves, parameters)


def _model(device: str) -> tuple[list[Finding], dict[str, Curve], dict[str, Any]]:
    """The lattice that the figure shows, its four planes, and what it is drawn from."""
    square = np.diag([A, A, A]).tolist()
    model = crystal(
        square, {"Na": [[0, 0, 0]], "Cl": [[0.5, 0.5, 0]]}, {"Na": 1.0, "Cl": -1.0}, STD, (48, 48, 24), device
    )
    across, along = terminations(model, ROWS), terminations(model, DIAGONALS)
    face = A * A
    cuts = {"2": A / 4, "3": 3 * A / 4}
    charges = {name: plane_excess(model, ROWS, x).charge for name, x in cuts.items()}
    first = plane_excess(model, DIAGONALS, along.spacing / 2).charge
    step = Measurement(float(charges["3"]) - float(charges["2"]), SIGMA)
    profile = planar_average(model, ROWS)
    on_plane = Measurement(float(profile.values[0]), "e/Å^3")
    up_to_cell = Measurement(integral(profile, cuts["2"], A / 2), SIGMA)
    quantum = polarization_quantum(model.grid, ROWS).along_normal
    ions = PointCharges([A / 2 - A / 4, A - A / 4], [-1.0 / face, 1.0 / face], area=face)
    of_points = crystal_surface_charge(ions, A, 0.0)
    dense = 1 / (face * STD * np.sqrt(2 * np.pi))
    findings = [
        Finding("σ, Plane 1", first, "51", 0.0, 1e-9, "non-polar"),
        Finding("σ, Plane 2", charges["2"], "51", -0.5 / face, 1e-6, "negative"),
        Finding("σ, Plane 3", charges["3"], "51", 0.5 / face, 1e-6, "positive"),
        Finding("σ, Plane 2, point charges", of_points, "58", -0.5 / face, 1e-12, "negative"),
        Finding("σ(Plane 3) - σ(Plane 2)", step, "56", quantum, 1e-6, "quantum"),
        Finding("mean density on Plane 4", on_plane, "51", dense, 1e-6, "not 0"),
        Finding("charge up to dipole-free cell", up_to_cell, "50, 51", -0.5 / face, 1e-6, "σ"),
    ]
    curves = {
        "rows": of_one_spacing(across.charge, SIGMA),
        "diagonals": of_one_spacing(along.charge, SIGMA),
        "planes of rows": curve([x / A for x in cuts.values()], [float(c) for c in charges.values()], SIGMA, "1"),
    }
    return findings, curves, {"a": A, "std": STD, "quantum": quantum, "cuts": cuts}


def _rock_salt(device: str) -> tuple[list[Finding], Curve]:
    sites = {"Na": [[0.0, 0.0, 0.0]], "Cl": [[0.5, 0.5, 0.5]]}
    salt = crystal(face_centred(ROCK_SALT), sites, {"Na": 1.0, "Cl": -1.0}, 0.15, (48, 48, 48), device)
    cuts = terminations(salt, POLAR)
    face = np.sqrt(3) / 4 * ROCK_SALT**2
    on_chlorine = plane_excess(salt, POLAR, cuts.spacing / 4).charge
    vectors = polarization_quantum(salt.grid, POLAR)
    leaning = Measurement(float(np.linalg.norm(salt.grid.cell[0])) * vectors.area / vectors.volume, "1")
    printed = "printed in X.E.1; it is Ω = (a1·n) A, without which the quantum is wrong"
    findings = [
        Finding("σ, NaCl(111) ending on Cl", on_chlorine, "51", -0.5 / face, 1e-6, "polar"),
        Finding("|a1| A/Ω of the primitive cell", leaning, "56", np.sqrt(1.5), 1e-9, "Ω = |a1| A", printed),
    ]
    return findings, of_one_spacing(cuts.charge, "e", face)


def _fluorite(device: str) -> tuple[list[Finding], Curve]:
    sites = {"Ca": [[0.0, 0.0, 0.0]], "F": [[0.25, 0.25, 0.25], [0.75, 0.75, 0.75]]}
    fluorite = crystal(face_centred(FLUORITE), sites, {"Ca": 2.0, "F": -1.0}, 0.075, (96, 96, 96), device)
    cuts = terminations(fluorite, POLAR)
    face = np.sqrt(3) / 4 * FLUORITE**2
    on_fluorine = plane_excess(fluorite, POLAR, cuts.spacing / 2).charge
    on_calcium = plane_excess(fluorite, POLAR, -cuts.spacing / 8).charge
    printed = (
        "the caption says that the orientation determines whether a surface is polar; so it is where planes alternate "
        "in sign, but here cuts of both kinds have one orientation"
    )
    findings = [
        Finding("σ, CaF2(111) ending on F", on_fluorine, "51", 0.0, 1e-6, "non-polar"),
        Finding("σ, CaF2(111) ending on Ca", on_calcium, "51", 1 / face, 1e-6, "non-polar", printed),
    ]
    return findings, of_one_spacing(cuts.charge, "e", face)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """The lattice with four planes; σ at every cut of two orientations; σ per ion of two crystals' (111)."""
    from ..plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, axis_label, leave_room
    from .drawing import panels

    figure, (left, middle, right) = panels(width, (1.0, 1.1, 1.1), 2.5)
    curves, a = numbers.curves, numbers.parameters["a"]
    places = np.arange(5) * a
    for shift, colour, sign in ((0.0, VERMILION, "+"), (a / 2, BLUE, "−")):
        x, y = np.meshgrid(places[: 5 if shift == 0 else 4] + shift, places[: 5 if shift == 0 else 4] + shift)
        left.plot(x.ravel(), y.ravel(), "o", ms=8, mfc=colour, mec=BLACK, mew=0.4, zorder=3)
        for at in zip(x.ravel(), y.ravel(), strict=True):
            left.annotate(sign, at, ha="center", va="center", color="white", fontsize=7, zorder=4)
    end = 4 * a
    for name, colour, line in (
        ("4", GREY, [[-1, 0], [end + 1, 0]]),
        ("2", BLUE, [[-1, 5 * a / 4], [end + 1, 5 * a / 4]]),
        ("3", VERMILION, [[-1, 11 * a / 4], [end + 1, 11 * a / 4]]),
        ("1", GREEN, [[-1, end - a / 2 + 1], [end - a / 2 + 1, -1]]),
    ):
        (x_0, y_0), (x_1, y_1) = line
        left.plot([x_0, x_1], [y_0, y_1], "--", color=colour, lw=1.2, zorder=2)
        left.annotate(f"{name} ", (x_0, y_0), ha="right", va="center", fontsize=7, color=colour)
    left.set_aspect("equal")
    left.set_xlabel("position (Å)")
    left.set_ylabel("height (Å)")
    left.set_xlim(-3.2, end + 1.5)
    left.set_ylim(-1.5, end + 1.5)

    rows, diagonals = curves["rows"], curves["diagonals"]
    middle.plot(rows.x, rows.y, color=BLACK, lw=1.2, label="parallel to 2, 3, 4")
    middle.plot(diagonals.x, diagonals.y, color=GREEN, lw=1.2, label="parallel to 1")
    marked = curves["planes of rows"]
    for x, y, name, colour in zip(marked.x, marked.y, "23", (BLUE, VERMILION), strict=True):
        middle.plot([x], [y], "o", ms=5, color=colour, zorder=4)
        above = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 7}
        middle.annotate(name, (x, y), color=colour, **above)
    middle.axhline(0, color=GREY, lw=0.5, zorder=0)
    middle.set_xlim(0, 1)
    leave_room(middle, 0.45)
    middle.set_xlabel("position of the cut (spacings)")
    middle.set_ylabel(axis_label("σ", rows.y_unit))
    middle.legend(loc="upper left")

    for name, colour, label in (("NaCl(111)", PURPLE, "NaCl(111)"), ("CaF2(111)", ORANGE, "CaF$_2$(111)")):
        drawn = curves[name]
        right.plot(drawn.x, drawn.y, color=colour, lw=1.2, label=label)
    right.axhline(0, color=GREY, lw=0.5, zorder=0)
    right.set_xlim(0, 1)
    right.set_ylim(-1.2, 2.0)
    right.set_xlabel("position of the cut (spacings)")
    right.set_ylabel("σ per ion of the plane (e)")
    right.legend(loc="upper left", ncols=2)
    return figure


FIGURE = PaperFigure(
    12, "A crystal cut along lattice planes: polar or not, and the quantum between two cuts.", compute, draw
)
