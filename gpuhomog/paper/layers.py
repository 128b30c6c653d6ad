"""Figure 17: the potential below a surface of atoms, and what becomes of it if layers are replaced by their charge.

    B | P P | B      blue and pink layers of an atom: the electrons' excess outside, the nuclei's inside
    Φ = Bethe's value                                                 from ρ, however it is divided
    a layer kept as its charge at its centre                          Φ depends on the division, even its slope
    layers with charge, dipole and second moment, eq. 42 corrected    Φ does not

The paper takes the second line for a proof that planar averages mean nothing: combine the layers to atoms (BPPB), and
the green curve is flat; begin with one B and go on with PPBB, and it is a slope. What was dropped is what the layers
carry beside their charge. A partition that keeps it, as the zero-average partition of the surface charge does, finds
the same D_L wherever it is begun.

>>> FIGURE.number
17
"""

from __future__ import annotations

from math import erf, exp, pi, sqrt
from typing import Any

import numpy as np

from .. import Measurement, inner_potential, surface_charge
from ..operators.excess.line_moments import first_moment
from ..operators.profiles.unrolled import Unrolled
from ..units import FIELD, FOUR_PI_KAPPA, VOLT
from .densities import planes_of_gaussians
from .numbers import Array, FigureNumbers, Finding, PaperFigure, curve
from .two_crystals import BETHE, CHARGE, SPACING, STD_MINUS, STD_PLUS, VACUUM, A, N

ATOM = ((0.0, CHARGE, STD_PLUS), (0.0, -CHARGE, STD_MINUS))  # that of Crystal 1: offset [Å], charge [e], sd [Å]
SIGN_CHANGE = STD_PLUS * STD_MINUS * np.sqrt(2 * np.log(STD_MINUS / STD_PLUS) / (STD_MINUS**2 - STD_PLUS**2))
"""Where the density of an atom's plane changes sign, from its centre [Å]."""
NEUTRAL = 1e-4  # of the largest cumulative charge: tails of neighbours


def sheets(line: Unrolled, edges: Array) -> tuple[Array, Array]:
    """Place [Å] and charge [e/Å^2] of the layers between edges: its centre of charge, or its middle if it has none."""
    below, moment = line.cumulative(edges), edges * line.cumulative(edges) - line.double_cumulative(edges)
    charges, moments = np.diff(below), np.diff(moment)
    some = np.abs(charges) > NEUTRAL * line.highest
    places = np.where(some, moments / np.where(some, charges, 1.0), (edges[1:] + edges[:-1]) / 2)
    return places, np.where(some, charges, 0.0)


def layer(low: float, high: float, atoms: tuple[float, ...]) -> tuple[float, float]:
    """Charge [e/Å^2] and first moment [e/Å] between low and high of the planes of atoms at these places, exactly."""
    charge = moment = 0.0
    for at in atoms:
        for _, c, std in ATOM:
            for end, sign in ((low, -1), (high, 1)):
                u = (end - at) / std
                below = (1 + erf(u / sqrt(2))) / 2
                charge += sign * c * below / A**2
                moment += sign * c * (at * below - std * exp(-0.5 * u * u) / sqrt(2 * pi)) / A**2
    return charge, moment


def potential_of_sheets(x: Array, places: Array, charges: Array) -> Array:
    """-(1/ε0) Σ σ_i (x - x_i) over the sheets below x."""
    return np.asarray(-FOUR_PI_KAPPA * (np.maximum(x[:, None] - places, 0.0) * charges).sum(axis=1))


def mean_and_slope(x: Array, potential: Array) -> tuple[float, float]:
    """Over whole periods in the middle, four of them."""
    middle = A * (N - 1) / 2
    inside = (x >= middle - 2 * A) & (x < middle + 2 * A)
    half = (x >= middle - 2 * A) & (x < middle)
    low = float(potential[half].mean())
    return float(potential[inside].mean()), 2 * (float(potential[inside].mean()) - low) / (2 * A)


def compute(device: str) -> FigureNumbers:
    """φ of whole atoms; of the same layers as sheets, three ways; D_L by partitions begun in three places."""
    charge = planes_of_gaussians(ATOM, N, A, A * A, SPACING, VACUUM)
    found = inner_potential(charge, period=A)
    assert found.line is not None
    x = np.arange(-VACUUM, A * (N - 1) + VACUUM, SPACING / 4)
    line = Unrolled(float(charge.position[0]) - SPACING / 2, SPACING, charge.values)
    atoms, ends = A * np.arange(N), (line.start + 1.0, line.end - 1.0)
    between, changes = atoms[1:] - A / 2, np.stack([atoms - SIGN_CHANGE, atoms + SIGN_CHANGE])
    divided = {
        "B, PP, B": np.concatenate([ends, between, changes.ravel()]),
        "BPPB": np.concatenate([ends, between]),
        "B, then PPBB": np.concatenate([ends, changes[0]]),
    }
    curves, numbers = {}, {}
    for name, edges in divided.items():
        potential = potential_of_sheets(x, *sheets(line, np.sort(edges)))
        numbers[name] = mean_and_slope(x, potential)
        curves[name] = curve(x, potential, VOLT)
    outer, _ = layer(-VACUUM, -SIGN_CHANGE, (0.0, A))
    inner, moment = layer(SIGN_CHANGE, A / 2, (-A, 0.0, A))
    _, tails = layer(-VACUUM, A / 2, (0.0, A))  # the first atoms' tails lie outside, their neighbours' in their cell
    by_partition = [
        surface_charge(charge, period=A, x_b=A * (N // 2) + shift, origin=0.0).low_dipole_partition
        for shift in (-A / 2, -SIGN_CHANGE, SIGN_CHANGE)
    ]
    dropped = "a layer was replaced by its charge alone, and what it carries beside that left out"
    findings = [
        Finding("mean φ - vacuum", found.phi_mean_vs_vacuum_L, "79, 82", BETHE, 1e-6, "> 0"),
        Finding("total dipole", Measurement(first_moment(line, 0.0), "e/Å"), "72", 0.0, 1e-12, "0"),
        Finding(
            "sheets B, PP, B: mean",
            Measurement(numbers["B, PP, B"][0], VOLT),
            "Fig. 17",
            FOUR_PI_KAPPA * (tails - moment**2 / inner / A),
            3e-4,
            "> 0",
        ),
        Finding("sheets BPPB: mean", Measurement(numbers["BPPB"][0], VOLT), "XIV.B.3", 0.0, 1e-9, "0"),
        Finding(
            "sheets B, then PPBB: slope",
            Measurement(numbers["B, then PPBB"][1], FIELD),
            "XIV.B.3",
            -FOUR_PI_KAPPA * outer,
            1e-4,
            "< 0",
            "a negative sheet outside makes φ rise inwards; and " + dropped,
        ),
    ]
    for name, value in zip(("BPPB", "PPBB", "BBPP"), by_partition, strict=True):
        assert value is not None and value.value is not None
        kept = Measurement(FOUR_PI_KAPPA * value.value, VOLT, FOUR_PI_KAPPA * (value.uncertainty or 0.0))
        wrong = "the same for every division that keeps the layers' moments"
        findings.append(Finding(f"D_L/ε0, divided as {name}", kept, "42", BETHE, 2e-3, "depends", wrong))
    near = charge.position < 3.2 * A
    curves["density"] = curve(charge.position[near], charge.values[near], "e/Å^3")
    curves["potential"] = curve(found.line.position, found.line.values, VOLT)
    parameters = {"a": A, "layers": N, "sign change": SIGN_CHANGE, "mean": float(found.phi_mean_vs_vacuum_L)}
    return FigureNumbers(17, tuple(findings), curves, parameters)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """The layers, pink and blue; φ, green; φ of sheets in their place."""
    from ..plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, axis_label
    from .drawing import panels

    figure, (left, middle, right) = panels(width, (1.0, 1.0, 1.1), 2.4)
    known, curves = numbers.parameters, numbers.curves
    density, potential = curves["density"], curves["potential"]
    at = known["sign change"]
    for panel in (left, middle):
        for number in range(4):
            panel.axvspan(A * number - A / 2, A * number - at, color=BLUE, alpha=0.18, lw=0)
            panel.axvspan(A * number - at, A * number + at, color=PURPLE, alpha=0.25, lw=0)
            panel.axvspan(A * number + at, A * number + A / 2, color=BLUE, alpha=0.18, lw=0)
        panel.set_xlim(-1.9 * A, density.x[-1])
        panel.set_xlabel("position (Å)")
    left.plot(density.x, density.y, color=BLACK, lw=0.8)
    left.axhline(0, color=GREY, lw=0.5, zorder=1)
    left.set_ylabel(axis_label("charge density", density.y_unit))
    middle.plot(potential.x, potential.y, color=GREEN, lw=1.2)
    middle.axhline(known["mean"], color=GREEN, lw=0.9, ls=(0, (5, 2)))
    text = f"{known['mean']:.3g} V"
    middle.text(-1.85 * A, known["mean"] + 0.03, text, ha="left", va="bottom", fontsize=7, color=GREEN)
    middle.set_ylabel(axis_label("potential", potential.y_unit))
    right.plot(potential.x, potential.y, color=GREY, lw=0.7, label="φ of ρ")
    for name, colour in (("B, PP, B", VERMILION), ("BPPB", BLUE), ("B, then PPBB", ORANGE)):
        right.plot(curves[name].x, curves[name].y, color=colour, lw=1.0, label=f"sheets {name}")
    right.axhline(known["mean"], color=GREEN, lw=0.9, ls=(0, (5, 2)), label="mean of φ")
    right.set_xlim(-1.5 * A, 6.2 * A)
    right.set_ylim(-0.8, 9.0)
    right.set_xlabel("position (Å)")
    right.set_ylabel(axis_label("potential", potential.y_unit))
    right.legend(loc="upper right")
    return figure


FIGURE = PaperFigure(
    17, "The potential below a surface, and of its layers as sheets: divisions differ by what they drop.", compute, draw
)
