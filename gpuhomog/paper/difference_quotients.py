"""Figure 8: the slope of an average between two of its points is not the slope of the macroscopic field.

    D_h(x) = [⟨ν⟩_eps(x + h) - ⟨ν⟩_eps(x)]/h,   ν = V' x + dC/dx,   ⟨ν⟩ = V' x + [C(x + eps/2) - C(x - eps/2)]/eps
    2 std D_h = 2 √8 c/(eps h)         h neither short nor eps: four values of C, each of variance 2c²
    2 std D_eps = 2 √12 c/eps²         two of the four coincide
    2 std D_0 = 2 √2 std ν/eps         the derivative is a difference of two values of ν

dC/dx is disorder of α = 2 with variance 1. eps is the self-consistent eps_x of Physical Assumption 7, at which eps_V =
|V'| eps_x: closer points cannot be told apart by V.

>>> FIGURE.number
8
"""

from __future__ import annotations

from math import erfc
from typing import Any

import numpy as np

from .. import Box, Measurement, average, interval_field, self_consistent_eps
from .densities import CORRELATION, disorder, line_of_charge
from .numbers import Array, FigureNumbers, Finding, PaperFigure, by_blocks, curve, distance_of_extrema, two_std

SLOPE = 0.004  # e/Å^4
SPACING = 0.125  # Å
N = 2**14
SEED = 8
SEGMENT = 60.0  # Å that are drawn
CLOSE = 0.1  # of the slope: quotients that differ by less are called right
RHO, RHO_SLOPE = "e/Å^3", "e/Å^4"


def quotients(values: Array, steps: int) -> Array:
    """Slopes between points so many samples apart."""
    return (values[steps:] - values[:-steps]) / (steps * SPACING)


def share_off(slopes: Array) -> float:
    """Share of slopes that differ from V' by more than CLOSE of it; V' itself is left out of them."""
    return float(np.mean(np.abs(slopes) > CLOSE * SLOPE))


def compute(device: str) -> FigureNumbers:
    """A density with a slope, its average, and the slopes between two points of that."""
    noise = disorder(2.0, N, SPACING, seed=SEED)
    sloping = line_of_charge(noise.values + SLOPE * noise.position, SPACING, boundary="open")
    eps = float(self_consistent_eps(sloping, SLOPE))
    smooth = average(noise, Box(eps))  # periodic: no ends
    values = smooth.values
    steps = np.unique(np.geomspace(1, 16 * eps / SPACING, 60).astype(int))
    spread = np.array([np.quantile(quotients(values, n), (0.025, 0.975)) for n in steps])

    short = line_of_charge(sloping.values[: N // 8], SPACING, boundary="open")
    field = interval_field(short, eps, spacing=0.25)
    middle = short.length / 2
    drawn = np.abs(smooth.position - middle) <= SEGMENT / 2
    x, y = smooth.position[drawn], values[drawn] + SLOPE * smooth.position[drawn]
    apart = round(SEGMENT / 6 / SPACING)
    slopes = quotients(y, apart)
    steepest, flattest = int(np.argmax(slopes)), int(np.argmin(slopes))
    band = np.abs(field.position - middle) <= SEGMENT / 2 + 0.5

    equal, three, half = (round(factor * eps / SPACING) for factor in (1, 3, 0.5))
    findings = (
        Finding(
            "eps_V/eps_x",
            Measurement(float(np.median(field.detrended)) / eps, RHO_SLOPE),
            "21",
            SLOPE,
            0.2 * SLOPE,
            "|V'|",
        ),
        Finding(
            "2 std of slopes, h → 0",
            by_blocks(quotients(values, 1), two_std, RHO_SLOPE),
            "20, 25",
            2 * np.sqrt(2) / eps,
            0.02,
            "microscopic",
        ),
        Finding(
            "2 std of slopes, h = eps",
            by_blocks(quotients(values, equal), two_std, RHO_SLOPE),
            "20",
            2 * np.sqrt(12) * CORRELATION / (equal * SPACING) ** 2,
            2e-4,
            "not that of V",
        ),
        Finding(
            "2 std of slopes, h = 3 eps",
            by_blocks(quotients(values, three), two_std, RHO_SLOPE),
            "20",
            2 * np.sqrt(8) * CORRELATION / eps / (three * SPACING),
            1e-4,
            "not that of V",
        ),
        Finding(
            "off by 10 %, h = eps/2",
            by_blocks(quotients(values, half), share_off, "1"),
            "20",
            erfc(CLOSE * SLOPE / (np.sqrt(8) * CORRELATION / eps / (half * SPACING)) / np.sqrt(2)),
            0.05,
            "most",
        ),
        Finding(
            "mean distance of extrema",
            by_blocks(values, lambda part: distance_of_extrema(part, SPACING), "Å"),
            "20",
            np.pi * CORRELATION / np.sqrt(1.5),  # Rice's formula
            0.05,
            "microscopic",
        ),
    )
    curves = {
        "average": curve(x - middle, y - SLOPE * middle, RHO),
        "low": curve(field.position[band] - middle, field.low[band] - SLOPE * middle, RHO),
        "high": curve(field.position[band] - middle, field.high[band] - SLOPE * middle, RHO),
        "2.5 % of slopes": curve(steps * SPACING, SLOPE + spread[:, 0], RHO_SLOPE),
        "97.5 % of slopes": curve(steps * SPACING, SLOPE + spread[:, 1], RHO_SLOPE),
    }
    for name, start in (("steepest", steepest), ("flattest", flattest)):
        ends = [start, start + apart]
        curves[name] = curve(x[ends] - middle, y[ends] - SLOPE * middle, RHO)
    parameters = {
        "slope": SLOPE,
        "eps": eps,
        "h": apart * SPACING,
        "correlation": CORRELATION,
        "alpha": 2.0,
        "seed": SEED,
    }
    return FigureNumbers(8, findings, curves, parameters)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """The average with its band and two chords; the range of slopes against the distance of the two points."""
    from ..plots.style import BLACK, BLUE, GREEN, GREY, VERMILION, axis_label
    from .drawing import panels

    figure, (left, right) = panels(width, (1.3, 1.0), 2.4)
    curves, known = numbers.curves, numbers.parameters
    left.fill_between(curves["low"].x, curves["low"].y, curves["high"].y, color=GREEN, alpha=0.35, lw=0, label="V(x)")
    left.plot(curves["average"].x, curves["average"].y, color=BLUE, lw=1.0, label=f"average over {known['eps']:.3g} Å")
    for name in ("steepest", "flattest"):
        chord = curves[name]
        left.plot(chord.x, chord.y, "-o", color=VERMILION, lw=1.0, ms=3.5, zorder=4)
    left.set_xlabel("position (Å)")
    left.set_ylabel(axis_label("charge density", curves["low"].y_unit))
    left.set_xlim(curves["average"].x[0], curves["average"].x[-1])
    left.legend(loc="upper left")
    low, high = curves["2.5 % of slopes"], curves["97.5 % of slopes"]
    right.fill_between(low.x, low.y, high.y, color=BLUE, alpha=0.3, lw=0, label="95 % of pairs")
    right.axhline(known["slope"], color=GREEN, lw=1.2, label="slope of V")
    right.axvline(known["eps"], color=GREY, lw=0.8, ls="--")
    right.annotate(" eps", (known["eps"], 0.97), xycoords=("data", "axes fraction"), va="top", fontsize=7, color=GREY)
    right.axhline(0.0, color=BLACK, lw=0.4)
    right.set_xscale("log")
    right.set_yscale("symlog", linthresh=0.01)
    right.set_xlim(low.x[0], low.x[-1])
    right.set_xlabel("distance h of the two points (Å)")
    right.set_ylabel(axis_label("slope between them", low.y_unit))
    right.legend(loc="lower right")
    return figure


FIGURE = PaperFigure(
    8, "Slopes between two points of an average are not the slope of the macroscopic field.", compute, draw
)
