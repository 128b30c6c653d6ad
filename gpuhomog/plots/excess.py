"""Figures of excesses: surface and interface charges, and the charge of every termination.

In   Profile and the result of an operator.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..operators.excess.interface import InterfaceExcess
from ..operators.excess.surface import SurfaceExcess, without_reference
from ..operators.excess.terminations import PlaneExcess, Terminations
from ..operators.profiles.bulk import between_two, find_body
from ..operators.profiles.unrolled import check_sampling
from ..results import Profile
from .along import WIDTH_OF_WORD, charge_axes, closed, draw_cut, ends_of, figure_over_atoms, write_region
from .style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PAPER,
    SKY,
    SMALL,
    VERMILION,
    draw_zero,
    finish_rows,
    leave_room,
    name_axis,
    name_values,
    plane_in_words,
    styled,
    unit_label,
    write_measurements,
)


@styled
def plot_surface(
    profile: Profile,
    result: SurfaceExcess,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Charge density, cumulative charge, bulk window and the surface charges read from them.

    profile  the charge density along the normal that the result was computed from
    result   SurfaceCharge or SurfaceExcess of it
    others   as in plot_profile

    The cumulative charge C runs from vacuum to vacuum; its mean over the bulk is the charge of the lower surface,
    and what is missing from there to the total is that of the upper one. The two estimates stand at their place.
    """
    profile = profile.internal()
    line = find_body(profile, check_sampling(result.sampling), result.x_b).line
    if result.x_surface is not None:
        line = without_reference(line, [(*result.x_surface, result.reference)])
    figure, (upper, lower) = charge_axes(profile, line, origin, width)
    for axes in (upper, lower):
        if result.bulk is not None:
            axes.axvspan(*result.bulk, color=SKY, alpha=0.2, lw=0, zorder=0)
        for face in result.faces:
            axes.axvline(face, color=GREY, lw=0.6, ls=(0, (2, 2)), zorder=1)
    leave_room(upper, 0.0, 0.14)
    draw_cut(upper, result.x_b, "$x_b$")
    lower.axvline(result.x_b, color=BLACK, lw=0.6, zorder=1)
    if result.bulk is not None and result.x_b - result.bulk[0] > WIDTH_OF_WORD * (line.end - line.start):
        write_region(upper, (result.bulk[0] + result.x_b) / 2, "bulk")
    sides = []
    for side, colour in (("low", VERMILION), ("high", GREEN)):
        measured = getattr(result, side)
        if measured is None:
            continue
        start, stop = result.bulk or result.faces
        if measured.defined:
            level = measured.value if side == "low" else float(result.total) - measured.value
            band = measured.uncertainty or 0.0
            dashes = "-" if side == "low" else (0, (3, 2))
            lower.plot([start, stop], [level, level], color=colour, lw=1.2, ls=dashes, zorder=4)
            lower.fill_between([start, stop], level - band, level + band, color=colour, alpha=0.3, lw=0, zorder=3)
        sides.append((f"σ {side}", measured, colour))
    write_measurements(lower, sides)
    return figure


@styled
def plot_interface(
    profile: Profile,
    result: InterfaceExcess,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Charge density, cumulative charge and its two bulk means, whose difference is the interface charge.

    profile  the charge density along the normal that the result was computed from
    result   InterfaceCharge or InterfaceExcess of it
    others   as in plot_profile
    """
    profile = profile.internal()
    line, positions = between_two(profile, result.between, result.sampling)
    if result.x_surface is not None:
        below, above = result.reference
        line = without_reference(line, [(line.start, result.x_surface, below), (result.x_surface, line.end, above)])
    figure, (upper, lower) = charge_axes(profile, line, origin, width)
    leave_room(upper, 0.0, 0.14)
    looks = ("$x_1$", VERMILION), ("$x_2$", GREEN)
    for x, period, (name, colour) in zip(positions, result.periods, looks, strict=True):
        draw_cut(upper, x, name)
        lower.axvline(x, color=BLACK, lw=0.6, zorder=1)
        for axes in (upper, lower):
            if period is not None:
                axes.axvspan(x - period / 2, x + period / 2, color=SKY, alpha=0.2, lw=0, zorder=0)
        if period is not None:
            level = float(line.window_mean(x, period))
            lower.plot([x - period / 2, x + period / 2], [level, level], color=colour, lw=1.4, zorder=4)
    write_measurements(lower, [("σ", result.charge, BLACK)])
    return figure


@styled
def plot_terminations(
    result: Terminations,
    cut: PlaneExcess | None = None,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Charge of a cut crystal against the position of the cut over one spacing: gaps shaded, neutral cuts marked.

    result  Terminations
    cut     one cut to mark among them
    others  as in plot_profile
    """
    profile, curve = result.density, result.charge
    figure, (upper, lower), _ = figure_over_atoms(profile, origin, [0.9, 1.9], width)
    upper.plot(*closed(profile, profile.values), color=BLACK, lw=0.7, zorder=3)
    lower.plot(*closed(curve, curve.values), color=BLUE, lw=1.2, zorder=3)
    start, end = ends_of(profile)
    for axes in (upper, lower):
        draw_zero(axes)
        _shade_gaps(axes, result, (start, end))
    leave_room(lower, 0.34, 0.12)
    _mark_cuts(lower, result, start)
    neutral = np.array(result.neutral)
    lower.plot(neutral, np.zeros(len(neutral)), "D", ms=4, mfc="white", mec=GREEN, mew=1.0, zorder=4, clip_on=False)
    said = {True: "polar", False: "not polar", None: "no gap between planes"}[result.polar]
    text = said if result.quantum is None else f"{said};  quantum {result.quantum:.4g} {unit_label(curve.unit)}"
    lower.text(0.03, 0.96, text, transform=lower.transAxes, va="top", fontsize=SMALL, color=BLACK, zorder=6, bbox=PAPER)
    marks = [("D", GREEN, "neutral cut")] * bool(len(neutral)) + [("o", VERMILION, "in a gap")] * bool(result.cuts)
    if cut is not None:
        place = start + (cut.position - start) % profile.length
        lower.plot([place], [float(cut.charge)], "s", ms=4.5, color=BLACK, zorder=7)
        for axes in (upper, lower):
            axes.axvline(place, color=BLACK, lw=0.6, zorder=1)
        marks.append(("s", BLACK, "this cut"))
    for marker, colour, name in marks:
        lower.plot([], [], marker, ms=4, mfc="white" if marker == "D" else colour, mec=colour, label=name)
    if marks:
        lower.legend(
            loc="upper left", bbox_to_anchor=(0.02, 0.91), ncols=len(marks), handletextpad=0.1, columnspacing=0.8
        )
    name_values(upper, profile)
    name_axis(lower, "σ of the cut", curve.unit)
    finish_rows([upper, lower], f"position of the cut normal to {plane_in_words(profile.planes)} (Å)", (start, end))
    return figure


def _shade_gaps(axes: Any, result: Terminations, ends: tuple[float, float]) -> None:
    """The gaps between planes of matter, as far as they lie within one spacing."""
    for gap in result.cuts:
        for shift in (0.0, -result.density.length):  # a gap may go on past the end of the spacing
            shaded = max(gap.start + shift, ends[0]), min(gap.stop + shift, ends[1])
            if shaded[1] > shaded[0]:
                axes.axvspan(*shaded, color=SKY, alpha=0.2, lw=0, zorder=0)


def _mark_cuts(axes: Any, result: Terminations, start: float) -> None:
    """The charge of a cut in each gap, as a point with its value."""
    for gap in result.cuts:
        value = float(gap.charge)
        axes.plot([gap.position], [value], "o", ms=4, color=VERMILION, zorder=5)
        near_end = gap.position > start + 0.75 * result.density.length
        axes.annotate(
            f"{value:.4g}".replace("-", "−") if abs(value) > 1e-9 else "0",
            (gap.position, value),
            xytext=(-4 if near_end else 4, 4 if value >= 0 else -9),
            textcoords="offset points",
            ha="right" if near_end else "left",
            fontsize=SMALL,
            color=VERMILION,
            zorder=6,
        )
