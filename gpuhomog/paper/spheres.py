"""Figure 14: the Lorentz cavity in a crystal of ions, cut sharply and along whole cells.

    E_near(R) = field at A of the charge within R;  mean over R = the whole field E             cut sharply
    E_near    = E - P/(3ε0)                                                 whole cells of dipole density P

Ions of +1 and -1, Gaussians, as in CsCl with the anion off its site, so that A, a cation, has a field. Two cells: with
the anion on either side of the cation. The whole field is that of tin-foil boundaries, found in real space too, from
whole cells in a soft sphere.

Of what is cut sharply the paper is right: its charge and dipole vary with R and average to nothing, and no P/3ε0 is
left. It is not right that the term is a fallacy: those who keep whole molecules or cells in the cavity need it.

>>> FIGURE.number
14
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import BuildingBlock, GaussianCharge, Measurement, lorentz_cavity
from ..units import FOUR_PI_KAPPA
from .numbers import FigureNumbers, Finding, PaperFigure, curve

A = 4.0  # Å
STD_PLUS, STD_MINUS = 0.5, 0.6  # Å
ANIONS = {"cell 1": 2.5, "cell 2": -1.5}  # Å along x from the cation; 2 Å along y and z
DRAWN = 9.7  # Å: radius of the sphere in the first panel
RADII = np.linspace(12.0, 40.0, 561)  # Å
FIELD, POLARIZATION = "V/Å", "e/Å^2"
WHOLE = -0.002367163196415537 * FOUR_PI_KAPPA
"""The field at A [V/Å], by sums over whole cells in real space."""


def cell_of(x: float) -> BuildingBlock:
    """A cation at A and an anion x along the first axis."""
    ions = [GaussianCharge(1.0, STD_PLUS), GaussianCharge(-1.0, STD_MINUS, centre=(x, 2.0, 2.0))]
    return BuildingBlock.of_parts("pair", ions, A**3)


def compute(device: str) -> FigureNumbers:
    """Spheres around a cation, and the field by two cells."""
    found = {name: lorentz_cavity(cell_of(x), (0, 0, 0), RADII, cell=A * np.eye(3)) for name, x in ANIONS.items()}
    one = found["cell 1"]
    mean = {name: float(getattr(one, f"{name}_triangle")[:, 0].mean()) for name in ("p_over_V", "E_out")}
    fallacy = "XIII.D calls P/3ε0 a fallacy: of whole cells it is what completes their near field"
    findings = [
        Finding("E_x at A", Measurement(float(one.E_periodic[0]), FIELD), "XIII.D", WHOLE, 1e-8, ""),
        Finding("E_x cut sharply, mean over R", Measurement(float(one.E_sharp[0]), FIELD), "XIII.D", WHOLE, 1e-4, "E"),
        Finding("p_x/V, mean over R", Measurement(mean["p_over_V"], POLARIZATION), "XIII.D", 0.0, 1e-6, "0"),
        Finding("E_x beyond R, mean over R", Measurement(mean["E_out"], FIELD), "XIII.D", 0.0, 1e-4, "0"),
        Finding("q, mean over R", Measurement(float(one.q_triangle.mean()), "e"), "XIII.D", 0.0, 0.05, "0"),
    ]
    for name, x in ANIONS.items():
        cell = found[name]
        findings += [
            Finding(
                f"P_x, {name}", Measurement(float(cell.P_cell[0]), POLARIZATION), "46", -x / A**3, 1e-15, "arbitrary"
            ),
            Finding(
                f"E_x of whole cells, {name}",
                Measurement(float(cell.E_intact[0]), FIELD),
                "XIII.D",
                WHOLE + FOUR_PI_KAPPA * x / A**3 / 3,
                1e-8,
                "",
            ),
            Finding(
                f"E_x of whole cells + P/3ε0, {name}",
                Measurement(float(cell.invariant[0]), FIELD),
                "XIII.D",
                WHOLE,
                1e-8,
                "fallacy",
                fallacy,
            ),
        ]
    curves = {
        "q": curve(RADII, one.q, "e"),
        "q, window": curve(RADII, one.q_tophat, "e"),
        "p/V": curve(RADII, one.p_over_V[:, 0], POLARIZATION),
        "p/V, window": curve(RADII, one.p_over_V_tophat[:, 0], POLARIZATION),
        "p/V, triangle": curve(RADII, one.p_over_V_triangle[:, 0], POLARIZATION),
        "E": curve(RADII, one.E_near[:, 0], FIELD),
        "E, triangle": curve(RADII, (one.E_periodic - one.E_out_triangle)[:, 0], FIELD),
    }
    parameters = {
        "a": A,
        "sd": [STD_PLUS, STD_MINUS],
        "anion": list(ANIONS.values()),
        "width": one.width,
        "E_x of whole cells": [float(cell.E_intact[0]) for cell in found.values()],
        "rms of p/V, each R, window, triangle": one.rms["p_over_V"],
    }
    return FigureNumbers(14, tuple(findings), curves, parameters)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """The cavity among the ions; dipole evacuated; field of what was evacuated."""
    from ..plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, axis_label, leave_room
    from .drawing import panels

    figure, (left, middle, right) = panels(width, (0.85, 1.0, 1.1), 2.5)
    known, curves = numbers.parameters, numbers.curves
    at = A * np.arange(-4, 5)
    x, y = (grid.ravel() for grid in np.meshgrid(at, at))
    for shift, colour, size in (((0.0, 0.0), VERMILION, 14), ((known["anion"][0], 2.0), BLUE, 20)):
        there = np.stack([x + shift[0], y + shift[1]])
        inside = np.hypot(*there) < DRAWN
        left.scatter(*there[:, inside], s=size, color=colour, lw=0)
        left.scatter(*there[:, ~inside], s=size, facecolors="none", edgecolors=colour, lw=0.6)
    turn = np.linspace(0, 2 * np.pi, 181)
    circle = DRAWN * np.cos(turn), DRAWN * np.sin(turn)
    left.fill(*circle, color=SKY, alpha=0.25, lw=0, zorder=0)
    left.plot(*circle, color=BLACK, lw=0.8)
    left.annotate("A", (0, 0), (3, 3), textcoords="offset points", fontsize=7)
    left.set_xlim(-14, 14)
    left.set_ylim(-14, 14)
    left.set_aspect("equal")
    left.set_xlabel("x (Å)")
    left.set_ylabel("y (Å)")
    for panel, name, scale in ((middle, "p/V", 1e3), (right, "E", 1.0)):
        panel.plot(curves[name].x, scale * curves[name].y, color=GREY, lw=0.7, label="each R")
        panel.set_xlim(RADII[0], RADII[-1])
        panel.set_xlabel("radius R (Å)")
    for name, colour, label in (
        ("p/V, window", VERMILION, f"mean over {known['width']:.3g} Å"),
        ("p/V, triangle", BLUE, f"triangle ± {2 * known['width']:.3g} Å"),
    ):
        middle.plot(curves[name].x, 1e3 * curves[name].y, color=colour, lw=1.1, label=label)
    middle.set_ylabel("p$_x$/V (10$^{-3}$ e Å$^{-2}$)")
    right.plot(curves["E, triangle"].x, curves["E, triangle"].y, color=BLUE, lw=1.2, label="triangle")
    for level, colour, label in zip(known["E_x of whole cells"], (GREEN, ORANGE), ("cell 1", "cell 2"), strict=True):
        right.axhline(level, color=colour, lw=1.0, ls=(0, (5, 2)), label=f"whole cells, {label}")
    right.set_ylabel(axis_label("E$_x$ of the sphere", "V/Å"))
    for panel in (middle, right):
        leave_room(panel, 0.35)
        panel.legend(loc="upper left", ncols=2 if panel is right else 1, columnspacing=1.0)
    return figure


FIGURE = PaperFigure(
    14, "Spheres around an ion: what is cut sharply averages out, whole cells leave P/3ε0.", compute, draw
)
