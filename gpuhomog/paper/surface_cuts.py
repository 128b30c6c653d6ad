"""Figure 11: the charge below a cut depends on the cut; with the dipole of the cell below it, it does not (Finnis).

    σ = σ_s(x_b) - P(x_b + a/2; a),   σ_s = ∫_vac^x_b ρ,   P = (1/a) ∫_{-a/2}^{a/2} u ρ(x + u) du        eqs. 46, 51

A line of +1 and -1, b apart, one pair each period a, has σ = b/a: as points, and as Gaussian packets of charge. The
third panel is a slab of rock salt from a DFT calculation, whose (001) surfaces are neutral.

The caption of Fig. 11 has σ_s + d/a; only the minus of eq. 51 gives one value for both cells.

>>> FIGURE.number
11
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import numpy as np

from .. import Measurement, dipole_density, planar_average, point_surface_charge, read, surface_charge
from ..operators.profiles.between_points import cumulative_at, values_at
from .densities import packets, pairs
from .numbers import FigureNumbers, Finding, PaperFigure, curve

PERIOD, B = 1.0, 0.3  # Å
X_SURFACE = 5.0  # Å
N_PAIRS = 40
N_CUTS = 17
STD, SPACING = 0.06, 1 / 64  # Å
SIGMA = "e/Å^2"
SLAB = "NaCl_slab_charge_density.h5"


def compute(device: str) -> FigureNumbers:
    """Two cuts of a line of charges, every cut of packets, every cut of a real slab."""
    points = pairs(N_PAIRS, PERIOD, B, X_SURFACE)
    deep = X_SURFACE + N_PAIRS // 2 * PERIOD
    x_1, x_2 = deep - 0.3 * (PERIOD - B), deep + 0.5 * B  # before a positive charge, and after it
    below = points.cumulative([x_1, x_2])
    dipoles = points.dipole_density([x_1 + PERIOD / 2, x_2 + PERIOD / 2], PERIOD)
    finnis = below - dipoles
    printed = below + dipoles
    exact = point_surface_charge(points, period=PERIOD)

    profile = packets(points, STD, round((N_PAIRS * PERIOD + 2 * X_SURFACE) / SPACING), SPACING)
    found = surface_charge(profile, period=PERIOD)
    assert found.low is not None and found.low_kernel is not None and found.low_partition is not None
    cuts = np.linspace(deep - PERIOD, deep + PERIOD, 161)
    of_cells = dipole_density(profile, width=PERIOD)
    surface = cumulative_at(profile, cuts)
    bulk = -values_at(of_cells, cuts + PERIOD / 2)

    with as_file(files("gpuhomog") / "examples" / SLAB) as path:
        real = planar_average(read(path, device=device), "c")
    slab = surface_charge(real)
    assert slab.low is not None and slab.bulk is not None and slab.period is not None
    places = np.linspace(*slab.bulk, N_CUTS)
    each = [surface_charge(real, x_b=x, period=slab.period, side="low").low for x in places]
    swing = cumulative_at(real, np.linspace(slab.x_b - slab.period, slab.x_b, 200))
    near = (profile.position > X_SURFACE - 1) & (profile.position < X_SURFACE + 5.5)

    right, left_out = (
        Measurement(float(finnis[0]), SIGMA),
        "printed in the caption; eq. 51 has -d/a, and only so do both cells give one value",
    )
    findings = (
        Finding("σ_s(x1)", Measurement(float(below[0]), SIGMA), "48", 0.0, 0.0, "0"),
        Finding("σ_s(x2)", Measurement(float(below[1]), SIGMA), "48", 1.0, 0.0, "1"),
        Finding("σ_s(x1) - d1/a", right, "51", B / PERIOD, 1e-12, "b/a"),
        Finding("σ_s(x2) - d2/a", Measurement(float(finnis[1]), SIGMA), "51", B / PERIOD, 1e-12, "b/a"),
        Finding("σ_s(x1) + d1/a", Measurement(float(printed[0]), SIGMA), "Fig. 11", -B / PERIOD, 1e-12, "σ", left_out),
        Finding(
            "σ_s(x2) + d2/a", Measurement(float(printed[1]), SIGMA), "Fig. 11", 2 - B / PERIOD, 1e-12, "σ", left_out
        ),
        Finding("σ of the points", exact.low, "39, 57", B / PERIOD, 1e-12, "b/a"),
        Finding("σ of packets, period window", found.low, "39, 51", B / PERIOD, 1e-9, "b/a"),
        Finding("σ of packets, kernel", found.low_kernel, "36", B / PERIOD, 1e-6, "b/a"),
        Finding("σ of packets, partition", found.low_partition, "39, 50", B / PERIOD, 1e-6, "b/a"),
        Finding("σ of NaCl(001), DFT", slab.low, "51", 0.0, 2e-5, "non-polar"),
        Finding(
            f"NaCl(001), range over {N_CUTS} cuts",
            Measurement(float(np.ptp([float(value) for value in each if value is not None])), SIGMA),
            "51",
            0.0,
            1e-4,
            "0",
        ),
    )
    curves = {
        "density": curve(profile.position[near] - X_SURFACE, profile.values[near], "e/Å^3"),
        "surface part": curve(cuts - deep, surface, SIGMA),
        "bulk part": curve(cuts - deep, bulk, SIGMA),
        "sum": curve(cuts - deep, surface + bulk, SIGMA),
        "charge below, NaCl": curve(real.position, cumulative_at(real, real.position), SIGMA),
        "sigma, NaCl": curve(places, [float(value) for value in each if value is not None], SIGMA),
        "uncertainty, NaCl": curve(places, [value.uncertainty or 0.0 for value in each if value is not None], SIGMA),
    }
    parameters = {
        "a": PERIOD,
        "b": B,
        "std": STD,
        "x1": x_1 - deep,
        "x2": x_2 - deep,
        "swing of the charge below, NaCl": float(np.ptp(swing)),
        "slab": SLAB,
    }
    return FigureNumbers(11, findings, curves, parameters)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """The line of charges with two cells; what two parts add up to at every cut; the same of a real slab."""
    from ..plots.style import (
        BLACK,
        BLUE,
        GREEN,
        GREY,
        ORANGE,
        SKY,
        VERMILION,
        axis_label,
        leave_room,
        print_measurement,
    )
    from .drawing import panels

    figure, (left, middle, right) = panels(width, (1.15, 1.0, 1.15), 2.4)
    curves, known = numbers.curves, numbers.parameters
    a, x_1, x_2 = (known[name] for name in ("a", "x1", "x2"))
    line = curves["density"]
    left.fill_between(line.x, 0, np.maximum(line.y, 0), color=VERMILION, alpha=0.7, lw=0)
    left.fill_between(line.x, 0, np.minimum(line.y, 0), color=BLUE, alpha=0.7, lw=0)
    left.plot(line.x, line.y, color=BLACK, lw=0.6)
    top = float(line.y.max())
    for start, height, colour, name in ((3 * a + x_1, 1.65, SKY, "1"), (3 * a + x_2, 1.25, ORANGE, "2")):
        cell = [start, start + a], [-height * top, -height * top]
        left.plot([start, start], [-height * top, height * top], color=BLACK, lw=0.7, ls="--")
        left.plot(*cell, "-", color=colour, lw=5, solid_capstyle="butt")
        left.text(start + a / 2, -height * top, f"cell {name}", ha="center", va="center", fontsize=7)
        left.text(start, height * top, f"x$_{name}$", ha="center", va="bottom", fontsize=7)
    left.axhline(0, color=GREY, lw=0.5, zorder=0)
    left.set_xlim(line.x[0], line.x[-1])
    left.set_ylim(-1.9 * top, 2.1 * top)
    left.set_xlabel("depth (Å)")
    left.set_ylabel(axis_label("charge density", line.y_unit))
    for name, colour, label in (
        ("surface part", VERMILION, "σ$_s$(x$_b$)"),
        ("bulk part", BLUE, "−P(x$_b$ + a/2)"),
        ("sum", GREEN, "σ"),
    ):
        drawn = curves[name]
        middle.plot(drawn.x, drawn.y, color=colour, lw=1.2, label=label)
    for x in (x_1, x_2):
        middle.plot([x, x], [-0.85, 1.2], color=BLACK, lw=0.6, ls="--", zorder=0)
    middle.axhline(0, color=GREY, lw=0.5, zorder=0)
    middle.set_xlim(drawn.x[0], drawn.x[-1])
    middle.set_ylim(-0.85, 1.75)
    middle.set_xlabel("cut x$_b$ (Å)")
    middle.set_ylabel(axis_label("charge per area", drawn.y_unit))
    middle.legend(loc="upper left", ncols=2, columnspacing=1.0)
    below, sigma = curves["charge below, NaCl"], curves["sigma, NaCl"]
    spread = curves["uncertainty, NaCl"].y
    right.plot(below.x, below.y, color=VERMILION, lw=1.0, label="σ$_s$(x$_b$), NaCl(001)")
    right.fill_between(sigma.x, sigma.y - spread, sigma.y + spread, color=GREEN, alpha=0.4, lw=0)
    found = next(f.found for f in numbers.findings if f.name == "σ of NaCl(001), DFT")
    right.plot(sigma.x, sigma.y, color=GREEN, lw=1.6, label=f"σ = {print_measurement(found)}")
    right.axhline(0, color=GREY, lw=0.5, zorder=0)
    leave_room(right, 0.35)
    right.set_xlim(below.x[0], below.x[-1])
    right.set_xlabel("cut x$_b$ (Å)")
    right.set_ylabel(axis_label("charge per area", below.y_unit))
    right.legend(loc="upper left")
    return figure


FIGURE = PaperFigure(
    11, "The charge below a cut depends on the cut, the surface charge does not (Finnis).", compute, draw
)
