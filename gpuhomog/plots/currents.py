"""Figures of currents: the current density in time, and the charge that has passed.

In   results of the operators.
Out  Figure.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..operators.currents.density_series import DensityCurrent
from ..operators.currents.packets import PacketCurrent
from .style import (
    BLUE,
    SKY,
    UPPER_LEFT,
    VERMILION,
    axis_label,
    draw_zero,
    figure_rows,
    finish_rows,
    leave_room,
    name_axis,
    new_figure,
    plane_in_words,
    styled,
)

MOST_POINTS = 60
"""Frames up to which each is marked."""


@styled
def plot_current(result: PacketCurrent | DensityCurrent, *, width: str = "column") -> Figure:
    """Current density with its error in time, above the charge per area that has passed.

    Of densities the rate of the body's dipole stands beside J, and the charge of the lower surface is that which has
    passed, taken off what it was.

    result  of packet_current or density_current
    width   "column" (3.4 inches) or "page" (7 inches)
    """
    figure = new_figure(width, 3.3)
    upper, lower = figure_rows(figure, [1.5, 1.25])
    inside = slice(1, -1)
    time, J = result.time[inside], result.J[inside]
    error = np.nan_to_num(result.uncertainty[inside])
    marker = "o" if len(result.time) <= MOST_POINTS else ""
    look = {"marker": marker, "ms": 2.5, "zorder": 3}
    draw_zero(upper)
    upper.fill_between(time, J - error, J + error, color=SKY, alpha=0.4, lw=0, zorder=2)
    upper.plot(time, J, color=BLUE, lw=1.0, label=f"J normal to {plane_in_words(result.planes)}", **look)
    if isinstance(result, DensityCurrent):
        rate = result.J_dipole[inside]
        upper.plot(time, rate, color=VERMILION, lw=0.8, ls=(0, (2, 2)), label="rate of the dipole", zorder=4)
    leave_room(upper, 0.28, 0.06)
    upper.legend(**UPPER_LEFT, ncols=2, columnspacing=0.6, handlelength=1.0, handletextpad=0.4)
    draw_zero(lower)
    lower.plot(result.time, result.transferred, color=BLUE, lw=1.0, **look)
    name_axis(upper, "J", result.unit)
    name_axis(lower, "∫ J dt", "e/Å^2")
    margin = 0.02 * float(result.time[-1])
    finish_rows([upper, lower], axis_label("time", result.time_unit), (-margin, float(result.time[-1]) + margin))
    return figure
