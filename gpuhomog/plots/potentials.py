"""Figures of potentials: the levels on both sides of a slab or an interface, with or without the bulk's.

In   Profile and the result of an operator.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..operators.potentials.band_alignment import BandAlignment
from ..operators.potentials.potential_step import PotentialStep, potential_of_charge
from ..operators.potentials.vacuum import VacuumLevels
from ..operators.profiles.bulk import find_body
from ..operators.profiles.unrolled import check_sampling
from ..results import Measurement, Profile
from .along import closed, ends_of, figure_over_atoms
from .style import (
    BLACK,
    BLUE,
    GREEN,
    PAPER,
    SKY,
    SMALL,
    VACUUM,
    VERMILION,
    finish_rows,
    name_axis,
    position_label,
    styled,
    write_measurements,
)


@styled
def plot_step(
    profile: Profile,
    result: PotentialStep,
    *,
    alignment: BandAlignment | None = None,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Potential along the normal, with the levels of vacuum and bulk at the place where each was taken.

    profile    the potential or charge density that the result was computed from
    result     PotentialStep of it
    alignment  band offsets found with it, which are told as well
    others     as in plot_profile
    """
    if profile.quantity == "charge_density":
        profile = profile.internal()
        line = find_body(profile, check_sampling(result.sampling), result.x_b).line
        x = np.linspace(line.start, line.end, max(800, 2 * len(line.values)))
        potential = potential_of_charge(line, x)
        start, end = line.start, line.end
    else:
        profile = profile.internal()
        sign = -1.0 if profile.quantity == "electron_potential_energy" else 1.0
        x, potential = closed(profile, sign * profile.values)
        start, end = ends_of(profile)
    drawn = [*_vacua(result)]
    if result.bulk is not None and result.x_b is not None and result.period is not None:
        half = result.period / 2
        drawn.append(("bulk", result.bulk, (result.x_b - half, result.x_b + half), BLUE))
    figure, axes = _levels_along(profile, x, potential, (start, end), drawn, origin, width)
    measured = [("high − low", result.step, BLACK)]
    if result.bulk_minus_low is not None:
        measured.append(("bulk − low", result.bulk_minus_low, BLUE))
    if alignment is not None:
        measured.append(("valence, high − low", alignment.valence, BLACK))
        if alignment.conduction is not None:
            measured.append(("conduction, high − low", alignment.conduction, BLACK))
    write_measurements(axes, measured)
    return figure


@styled
def plot_vacuum_levels(
    profile: Profile,
    result: VacuumLevels,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Planar average of a potential with the plateaus of the vacua on both sides of the slab.

    profile  the potential that the levels were found in
    result   VacuumLevels of it
    others   as in plot_profile
    """
    profile = profile.internal()
    sign = -1.0 if profile.quantity == "electron_potential_energy" else 1.0
    x, potential = closed(profile, sign * profile.values)
    figure, axes = _levels_along(profile, x, potential, ends_of(profile), _vacua(result), origin, width)
    work = [("low", result.work_function_low, VERMILION), ("high", result.work_function_high, GREEN)]
    measured = [(f"work function, {side}", found, colour) for side, found, colour in work if found is not None]
    write_measurements(axes, [("high − low", result.step, BLACK), *measured])
    return figure


Level = tuple[str, Measurement, tuple[float, float] | None, str]


def _vacua(result: PotentialStep | VacuumLevels) -> list[Level]:
    """Name, level, where it was taken, and colour of both sides."""
    return [("low", result.low, result.plateaus[0], VERMILION), ("high", result.high, result.plateaus[1], GREEN)]


def _levels_along(
    profile: Profile,
    x: NDArray[np.float64],
    potential: NDArray[np.float64],
    ends: tuple[float, float],
    drawn: Sequence[Level],
    origin: Sequence[float] | NDArray[np.float64],
    width: str,
) -> tuple[Figure, Any]:
    """The potential, under the atoms, with each level over the stretch where it was taken."""
    start, end = ends
    figure, (axes,), _ = figure_over_atoms(profile, origin, [2.1], width, start=start, ends=start == 0.0)
    axes.plot(x, potential, color=BLACK, lw=0.7, zorder=3)
    shift = profile.length if profile.boundary == "periodic" else 0.0
    for name, level, window, colour in drawn:
        if window is None or not level.defined:
            continue
        for turn in (-shift, 0.0, shift) if shift else (0.0,):  # a plateau may be given one period on
            low, high = max(window[0] + turn, start), min(window[1] + turn, end)
            if high > low:
                axes.plot([low, high], [float(level)] * 2, color=colour, lw=2, solid_capstyle="butt", zorder=4)
                up = float(level) < (potential.min() + potential.max()) / 2  # what is measured is told at the top
                place = {"textcoords": "offset points", "ha": "center", "va": "bottom" if up else "top", "zorder": 5}
                at, apart = ((low + high) / 2, float(level)), (0, 3 if up else -3)
                if (shift and low <= start) or high >= end:  # cut by the end of the cell: the name stays inside
                    place["ha"] = "left" if low <= start else "right"
                    at, apart = (low if low <= start else high, float(level)), (2 if low <= start else -2, apart[1])
                axes.annotate(name, at, apart, fontsize=SMALL, color=colour, bbox=PAPER, **place)
                axes.axvspan(low, high, color=SKY if colour == BLUE else VACUUM, alpha=0.5, lw=0, zorder=0)
    name_axis(axes, "potential", "V")
    finish_rows([axes], position_label(profile.planes), ends)
    return figure, axes
