"""Figure 10: no one value is that about which a microstructure fluctuates; which there are, and whether any serve.

    ⟨ν⟩_η(x) against η, and against x                    simple averages, eq. 20
    A_a(x) = range of ⟨ν⟩_η(x) over 0 < η < a            eq. 24
    B(x) = what A_a(x') of all x' within eps_x/2 of x have in common
    V(x) = range of ⟨ν⟩_eps_x(x') over the same x'       eq. 21;   V(x) inside B(x): Physical Assumption 8

Extrema of ⟨ν⟩_η lie where ν(x + η/2) = ν(x - η/2), which are independent for wide windows: their mean distance is that
of the zeros of ν, π c/√(3/2) for S ~ k² exp(-k² c²) by Rice's formula, for every width.

Whether Assumption 8 holds depends on a and eps_x, and the share given for α = 2 is of a pair that was chosen because it
holds: all of eleven positions for a = 32, eps_x = 128 Å, but two of them for half of both (which `parameters` has).

>>> FIGURE.number
10
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import (
    Box,
    Measurement,
    Profile,
    attainable,
    attainable_throughout,
    average,
    interval_field,
    physical_assumption_8,
)
from ..operators.profiles.between_points import values_at
from .densities import CORRELATION, disorder, line_of_charge
from .numbers import FigureNumbers, Finding, PaperFigure, by_blocks, curve, distance_of_extrema

SPACING = 0.125  # Å
N = 2**13
SEED = 10
X = 512.0  # Å: the black spot
ETA = 6.0  # Å: the green interval
A = 32.0  # Å: widest average of A and B
EPS_X = 128.0  # Å
SHOWN = 12.0  # Å on either side of the spot in the figure
WIDTHS = np.arange(2, 321) * SPACING  # Å
RHO = "e/Å^3"


def share_that_holds(profile: Profile, positions: Sequence[float], a: float = A, eps_x: float = EPS_X) -> Measurement:
    """At how many of these positions Physical Assumption 8 holds, with its binomial error."""
    verdicts = [physical_assumption_8(profile, x, a, Box(eps_x)).verdict for x in positions]
    share = verdicts.count("yes") / len(verdicts)
    return Measurement(share, "1", float(np.sqrt(share * (1 - share) / len(verdicts))))


def compute(device: str) -> FigureNumbers:
    """Averages of one disordered density by width and by position, with A, B and V."""
    profile = disorder(2.0, N, SPACING, seed=SEED)
    i = round(X / SPACING)
    close = np.linspace(-1.2 * ETA, 1.2 * ETA, 600)
    near = np.abs(profile.position - X) <= EPS_X / 2
    by_width = np.array([average(profile, Box(width)).values[i] for width in WIDTHS])
    by_position = average(profile, Box(ETA)).values
    macroscopic = average(profile, Box(EPS_X)).values[near]
    of_a, of_b = attainable(profile, X, A), attainable_throughout(profile, X, A, EPS_X)
    field = interval_field(profile, EPS_X, spacing=EPS_X / 2)
    middle = int(np.argmin(np.abs(field.position - X)))
    assert of_a is not None and of_b is not None and field.position[middle] == X
    inside = np.append(by_width[WIDTHS < A], profile.values[i])
    positions = [X + 80.0 * step for step in range(-5, 6)]
    wave = np.arange(4096) * SPACING
    crystal = line_of_charge(np.sin(2 * np.pi * wave / 2) + 0.5 * np.sin(4 * np.pi * wave / 2), SPACING)
    odd = attainable(crystal, X / 2, A)
    findings = (
        Finding("lowest average, η < a", Measurement(of_a[0], RHO), "24", inside.min(), 0.01, "not unique"),
        Finding("highest average, η < a", Measurement(of_a[1], RHO), "24", inside.max(), 0.01, "not unique"),
        Finding("V(x), low", Measurement(float(field.low[middle]), RHO), "21", macroscopic.min(), 1e-3, "an interval"),
        Finding(
            "V(x), high", Measurement(float(field.high[middle]), RHO), "21", macroscopic.max(), 1e-3, "an interval"
        ),
        Finding(
            "mean distance of extrema",
            by_blocks(by_position, lambda part: distance_of_extrema(part, SPACING), "Å"),
            "20",
            np.pi * CORRELATION / np.sqrt(1.5),
            0.05,
            "microscopic",
        ),
        Finding(
            f"V inside B, α = 2, a = {A:g}, eps_x = {EPS_X:g}",
            share_that_holds(profile, positions),
            "21, 24",
            1.0,
            0.0,
            "assumed",
        ),
        Finding(
            f"V inside B, α = 0, a = {A:g}, eps_x = {EPS_X:g}",
            share_that_holds(disorder(0.0, N, SPACING, seed=SEED), positions),
            "21, 24",
            0.0,
            0.0,
            "assumed",
            "Physical Assumption 8 holds nowhere: the charge of a length fluctuates without bound",
        ),
        Finding(
            "width of A at an odd centre",
            Measurement(0.0 if odd is None else odd[1] - odd[0], RHO),
            "24",
            0.0,
            0.0,
            "assumed",
            "Physical Assumption 8 fails there: all averages are equal, and A, an open set, is empty",
        ),
    )
    curves = {
        "microstructure": curve(close, values_at(profile, X + close), RHO),
        "by width": curve(WIDTHS, by_width, RHO),
        "by position": curve(profile.position[near] - X, by_position[near], RHO),
        "macroscopic": curve(profile.position[near] - X, macroscopic, RHO),
    }
    parameters = {
        "eta": ETA,
        "a": A,
        "eps_x": EPS_X,
        "average": float(by_position[i]),
        "A": of_a,
        "B": of_b,
        "V": (float(field.low[middle]), float(field.high[middle])),
        "correlation": CORRELATION,
        "alpha": 2.0,
        "seed": SEED,
        f"V inside B, α = 2, a = {A / 2:g}, eps_x = {EPS_X / 2:g}": share_that_holds(
            profile, positions, A / 2, EPS_X / 2
        ),
    }
    return FigureNumbers(10, findings, curves, parameters)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """The microstructure about one average; the average by width; the average by position, with V and B."""
    from ..plots.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, axis_label
    from .drawing import panels

    figure, (left, middle, right) = panels(width, (1.2, 1.0, 1.2), 2.3)
    curves, known = numbers.curves, numbers.parameters
    micro, mean, half = curves["microstructure"], known["average"], known["eta"] / 2
    x, y = micro.x, micro.y
    left.axvspan(-half, half, color=GREEN, alpha=0.2, lw=0, zorder=0)
    left.fill_between(x, mean, np.maximum(y, mean), color=VERMILION, alpha=0.6, lw=0)
    left.fill_between(x, mean, np.minimum(y, mean), color=BLUE, alpha=0.6, lw=0)
    left.plot(x, y, color=BLACK, lw=0.6)
    left.plot([-half, half], [mean, mean], color=GREEN, lw=1.4, zorder=3)
    left.plot([0.0], [mean], "o", color=BLACK, ms=3.5, zorder=4)
    left.set_xlabel("distance from the spot (Å)")
    left.set_ylabel(axis_label("charge density", micro.y_unit))
    left.set_xlim(x[0], x[-1])

    widths = curves["by width"]
    middle.fill_between([0.0, known["a"]], *known["A"], color=ORANGE, alpha=0.25, lw=0, zorder=1, label="A(x), η < a")
    middle.axhspan(*known["V"], color=SKY, alpha=0.8, lw=0, zorder=2, label="V(x)")
    middle.plot(widths.x, widths.y, color=BLACK, lw=1.0, zorder=3)
    middle.plot([known["eta"]], [mean], "o", color=GREEN, ms=4, zorder=4)
    middle.set_xlim(0, widths.x[-1])
    middle.set_xlabel("width η of the average (Å)")
    middle.set_ylabel(axis_label("average", micro.y_unit))
    middle.legend(loc="upper right")
    low, high = min(known["A"]), max(known["A"])
    middle.set_ylim(low - 0.1 * (high - low), high + 0.35 * (high - low))

    places, macroscopic = curves["by position"], curves["macroscopic"]
    right.axhspan(*known["B"], color=PURPLE, alpha=0.4, lw=0, zorder=1, label="B(x)")
    right.axhspan(*known["V"], color=SKY, alpha=0.8, lw=0, zorder=2, label="V(x)")
    right.plot(places.x, places.y, color=BLACK, lw=0.8, zorder=3, label=f"η = {known['eta']:g} Å")
    right.plot(macroscopic.x, macroscopic.y, color=BLUE, lw=1.0, zorder=4, label=f"η = {known['eps_x']:g} Å")
    right.plot([0.0], [mean], "o", color=GREEN, ms=4, zorder=5)
    right.set_xlim(-SHOWN, SHOWN)
    top = float(np.abs(places.y[np.abs(places.x) <= SHOWN]).max())
    right.set_ylim(-1.15 * top, 1.9 * top)
    right.set_xlabel("distance from the spot (Å)")
    right.set_ylabel(axis_label("average", micro.y_unit))
    right.legend(loc="upper left", ncols=2, columnspacing=1.0)
    return figure


FIGURE = PaperFigure(
    10,
    "No one value is that about which a microstructure fluctuates; averages by width and by position.",
    compute,
    draw,
)
