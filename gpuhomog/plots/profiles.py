"""Figures of profiles: planar and macroscopic average over the atoms.

In   Profile.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..results import Profile
from .along import (
    closed,
    draw_macroscopic,
    draw_vacuum,
    draw_windows,
    ends_of,
    figure_over_atoms,
    name_vacuum,
    vacuum_of,
)
from .style import BLACK, SKY, draw_zero, finish_rows, leave_room, name_axis, name_values, position_label, styled


@styled
def plot_profile(
    planar: Profile,
    macroscopic: Profile | None = None,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Planar average, macroscopic average and its uncertainty along the normal, with the profile's atoms above.

    Wide gaps between the atoms are shaded, as vacuum.

    planar       the microscopic profile, drawn with a band of its uncertainty if that is known
    macroscopic  its macroscopic average: drawn with a band of its uncertainty (or its residual ripple) and bars
                 as long as its windows; once more by itself, magnified, where it varies far less than the planar
    origin       (3,) Cartesian position of the first plane's corner [Å] (Grid.origin)
    width        "column" (3.4 inches) or "page" (7 inches)
    """
    ratio = (
        np.ptp(macroscopic.values) / np.ptp(planar.values) if macroscopic is not None and np.ptp(planar.values) else 1
    )
    magnified = 1e-9 < ratio < 0.2  # below, only rounding would be seen
    heights = [1.75]
    if magnified:
        heights.append(1.25)
    figure, curves, atoms = figure_over_atoms(planar, origin, heights, width)
    vacuum = [] if atoms is None else vacuum_of(atoms, planar.length, planar.boundary == "periodic")
    for axes in curves:
        draw_vacuum(axes, vacuum)
        shown = planar.values if axes is curves[0] or macroscopic is None else macroscopic.values
        if shown.min() < 0.1 * np.ptp(shown) and shown.max() > -0.1 * np.ptp(shown):
            draw_zero(axes)

    main = curves[0]
    main.plot(*closed(planar, planar.values), color=BLACK, lw=0.7, label="planar average", zorder=3)
    if planar.uncertainty is not None:
        x, low = closed(planar, planar.values - planar.uncertainty)
        _, high = closed(planar, planar.values + planar.uncertainty)
        main.fill_between(x, low, high, color=SKY, lw=0, alpha=0.6, label="standard error", zorder=2)
    if macroscopic is not None:
        draw_macroscopic(main, macroscopic, "macroscopic average")
        if magnified:
            draw_macroscopic(curves[1], macroscopic, None)
            curves[1].margins(y=0.12)
            name_axis(curves[1], "macroscopic", planar.unit)
    windows = macroscopic.periods if macroscopic is not None else ()
    second = 0.1 if len(main.get_legend_handles_labels()[0]) > 2 else 0.0  # row of the legend
    room = 0.16 + second + 0.1 * len(windows)  # for the legend and the windows, above the curves
    leave_room(main, room / (1 - room))
    name_values(main, planar)
    name_vacuum(main, vacuum, planar)
    ends = ends_of(planar)
    draw_windows(main, windows, sum(ends) / 2, top=0.84 - second)
    main.legend(loc="upper center", ncols=2, columnspacing=1.2, borderaxespad=0.2)
    finish_rows(curves, position_label(planar.planes), ends)
    return figure
