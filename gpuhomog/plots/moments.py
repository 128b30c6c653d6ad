"""Figures of bulks and stages: moment densities and dipole density of a profile, and a profile homogenized in stages.

In   Profile and the result of an operator.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..operators.excess.moments import MomentDensities
from ..operators.excess.multistage import Homogenized
from ..results import Profile
from .along import closed, draw_cut, draw_windows, figure_over_atoms
from .style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    UPPER_LEFT,
    VERMILION,
    draw_zero,
    finish_rows,
    leave_room,
    name_axis,
    name_values,
    position_label,
    styled,
)

STAGE_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)


@styled
def plot_moments(
    planar: Profile,
    result: MomentDensities,
    dipole: Profile | None = None,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """A profile with the edges of its partition, and below it M1, M2/2 and W as fields of x_b.

    planar  the profile that was partitioned
    result  MomentDensities of it; where x_b has no partition everywhere, the edges alone are drawn
    dipole  dipole density, drawn beside M1, whose unit it has
    others  as in plot_profile
    """
    heights = [1.45]
    first = [part for part in (result.m1_field, dipole) if part is not None]
    heights += [1.45] if first else []
    heights += [1.45] if result.w_field is not None else []
    figure, rows, _ = figure_over_atoms(planar, origin, heights, width)
    rows[0].plot(*closed(planar, planar.values), color=BLACK, lw=0.7, zorder=3)
    periodic = planar.boundary == "periodic"
    for edge in result.edges:
        for shift in (-planar.length, 0.0, planar.length) if periodic else (0.0,):
            if planar.position[0] - 1e-9 <= edge + shift <= planar.position[0] + planar.length:
                rows[0].axvline(edge + shift, color=GREY, lw=0.5, ls=(0, (2, 2)), zorder=1)
    leave_room(rows[0], 0.0, 0.14)
    draw_cut(rows[0], result.x_b, "$x_b$", VERMILION)
    name_values(rows[0], planar)
    row = 1
    if first:
        axes = rows[row]
        if result.m1_field is not None:
            axes.plot(*closed(result.m1_field, result.m1_field.values), color=BLUE, lw=1.0, label="$M_1$", zorder=3)
        if dipole is not None:
            width_of = dipole.provenance[-1]["width"]
            label = f"dipole density, {width_of:.4g} Å"
            axes.plot(*closed(dipole, dipole.values), color=GREEN, lw=1.0, label=label, zorder=4)
        _finish(axes, "first moment", first[0].unit)
        row += 1
    if result.w_field is not None and result.m2_field is not None:
        axes = rows[row]
        half = result.m2_field.values / 2
        axes.plot(*closed(result.m2_field, half), color=ORANGE, lw=1.4, label="$M_2$/2", zorder=2)
        dashed = {"color": BLUE, "lw": 1.4, "ls": (0, (2, 2)), "label": "$W$"}  # on M2/2, which it may be equal to
        axes.plot(*closed(result.w_field, result.w_field.values), **dashed, zorder=3)
        _finish(axes, "second moment", result.w_field.unit)
    start = float(planar.position[0])
    finish_rows(rows, position_label(planar.planes), (start, start + planar.length))
    return figure


def _finish(axes: Any, name: str, unit: str | None) -> None:
    """Zero line, room for the legend above the curves, label."""
    draw_zero(axes)
    leave_room(axes, 0.3)
    axes.legend(**UPPER_LEFT, ncols=2)
    name_axis(axes, name, unit)


@styled
def plot_homogenized(
    planar: Profile,
    result: Homogenized,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """A profile and what each stage leaves of it, one panel a stage: its average, V and the interfaces that stay sharp.

    planar  the profile that was homogenized
    result  Homogenized of it
    others  as in plot_profile

    Each panel has a bar as long as the eps of its stage.
    """
    figure, rows, _ = figure_over_atoms(planar, origin, [1.3, *[1.3] * len(result.stages)], width)
    rows[0].plot(*closed(planar, planar.values), color=BLACK, lw=0.6, zorder=3)
    name_values(rows[0], planar)
    for number, (axes, stage) in enumerate(zip(rows[1:], result.stages, strict=True), 1):
        colour = STAGE_COLOURS[(number - 1) % len(STAGE_COLOURS)]
        beneath = {"color": GREY, "lw": 2.4, "alpha": 0.6, "label": "average"}  # V, which is equal to it between steps
        axes.plot(*closed(stage.average, stage.average.values), **beneath, zorder=2)
        axes.plot(*closed(stage.macroscopic, stage.macroscopic.values), color=colour, lw=1.2, label="$V$", zorder=3)
        for place in stage.interfaces:
            axes.axvline(place, ymax=1 / 1.5, color=BLACK, lw=0.6, ls=(0, (2, 2)), zorder=1)  # below the legend
        leave_room(axes, 0.5)
        axes.legend(**UPPER_LEFT, ncols=2)
        draw_windows(axes, [stage.eps], float(planar.position[0]) + planar.length / 2, "eps")
        name_axis(axes, f"stage {number}", planar.unit)
    start = float(planar.position[0])
    finish_rows(rows, position_label(planar.planes), (start, start + planar.length))
    return figure
