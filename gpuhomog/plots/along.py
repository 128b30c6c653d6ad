"""What figures along a line share: atoms and vacuum above it, windows, the macroscopic average, charge and its sum.

In   Profile, structure, axes.
Out  what is drawn into the axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from ..operators.profiles.unrolled import Unrolled
from ..results import Profile
from ..structure import SYMBOLS, Structure
from ..units import times_length
from .style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    SMALL,
    VACUUM,
    VERMILION,
    YELLOW,
    draw_zero,
    figure_rows,
    finish_rows,
    name_axis,
    name_values,
    new_figure,
    position_label,
)

ELEMENT_COLOURS = (ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)

VACUUM_GAP = 6.0  # Å without atoms that count as vacuum rather than as a wide layer spacing

WIDTH_OF_WORD = 0.15  # of "vacuum", on axes as wide as a column

SEEN = 0.005  # of the axis: a band not wider is not seen beside its line

VACUUM_SKIN = 2.5  # Å between the outermost nuclei and the shaded vacuum


def atoms_along(structure: Structure, origin: NDArray[np.float64], profile: Profile) -> NDArray[np.float64]:
    """(n,) positions of the atoms on the profile's axis [Å], folded into the period if there is one."""
    position = (structure.positions - origin) @ profile.normal
    if profile.boundary == "periodic":
        position = position % profile.length
        position[profile.length - position < 1e-6] = 0.0
    return np.asarray(position)


def vacuum_of(atoms: NDArray[np.float64], length: float, periodic: bool) -> list[tuple[float, float]]:
    """Stretches of the axis far from every atom: gaps of more than VACUUM_GAP, less a skin at each surface.

    >>> vacuum_of(np.array([10.0, 12.0]), 30.0, True), vacuum_of(np.array([0.0]), 10.0, True)
    ([(0.0, 7.5), (14.5, 30.0)], [(2.5, 7.5)])
    """
    if not len(atoms):
        return []
    atoms = np.sort(atoms)
    found = []
    for low, high in pairwise(atoms):
        if high - low > VACUUM_GAP:
            found.append((float(low + VACUUM_SKIN), float(high - VACUUM_SKIN)))
    below, above = float(atoms[0] - VACUUM_SKIN), float(atoms[-1] + VACUUM_SKIN)
    if periodic and atoms[0] + length - atoms[-1] > VACUUM_GAP:  # through the end of the period
        found = [(max(0.0, above - length), below), *found, (above, min(length, below + length))]
    elif not periodic and max(atoms[0], length - atoms[-1]) > VACUUM_GAP:
        found = [(0.0, below), *found, (above, length)]
    return [(low, high) for low, high in found if high > low]


def draw_atoms(axes: Any, structure: Structure, atoms: NDArray[np.float64], length: float, ends: bool) -> None:
    """One row of marks an element, named at its left end; with `ends`, an atom at 0 shows at the period too."""
    numbers = sorted(set(structure.numbers.tolist()), reverse=True)
    for row, number in enumerate(numbers):
        colour = ELEMENT_COLOURS[row % len(ELEMENT_COLOURS)]
        at = atoms[structure.numbers == number]
        if ends:
            at = np.concatenate([at, at[at < 1e-6] + length])
        axes.plot(at, np.full(len(at), -row), "o", ms=3.6, mfc=colour, mec=BLACK, mew=0.4, clip_on=False, zorder=3)
    axes.set_ylim(-len(numbers) + 0.4, 0.6)
    axes.set_yticks([-row for row in range(len(numbers))], [SYMBOLS[number] for number in numbers])
    axes.tick_params(axis="y", length=0, pad=6)
    axes.tick_params(axis="x", which="both", length=0, labelbottom=False)
    for side in ("top", "left", "right", "bottom"):
        axes.spines[side].set_visible(False)


def draw_vacuum(axes: Any, stretches: Sequence[tuple[float, float]]) -> None:
    """Shade stretches without atoms."""
    for low, high in stretches:
        axes.axvspan(low, high, color=VACUUM, lw=0, zorder=0)


def name_vacuum(axes: Any, stretches: Sequence[tuple[float, float]], curve: Profile | Unrolled) -> None:
    """Name stretches with room for the word, where the curve is not."""
    bottom, top = axes.get_ylim()
    share = (curve.values - bottom) / (top - bottom)
    for low, high in stretches:
        if high - low > WIDTH_OF_WORD * (curve.position[-1] - curve.position[0]):
            here = share[(curve.position >= low) & (curve.position <= high)]
            free = [y for y in (0.55, 0.3, 0.05) if not np.any((here > y - 0.03) & (here < y + 0.1))]
            write_region(axes, (low + high) / 2, "vacuum", free[0] if free else 0.55)


def write_region(axes: Any, x: float, name: str, y: float = 0.03) -> None:
    """Name of a region, small, at a fraction of the axes' height."""
    transform = axes.get_xaxis_transform()
    axes.text(x, y, name, transform=transform, ha="center", va="bottom", fontsize=SMALL, color=GREY, zorder=1)


def draw_cut(axes: Any, x: float, name: str, colour: str = BLACK) -> None:
    """A line across at a position, with its name at the foot of it: leave room below for that."""
    axes.axvline(x, color=colour, lw=0.6, zorder=1)
    look = {"fontsize": SMALL, "color": colour, "va": "bottom", "zorder": 5}
    axes.annotate(name, (x, 0.03), (2, 0), axes.get_xaxis_transform(), textcoords="offset points", **look)


def ends_of(profile: Profile) -> tuple[float, float]:
    """Where the axis of a profile begins and ends: from 0 on where its first plane lies within a spacing above it."""
    first = float(profile.position[0])
    start = 0.0 if 0.0 <= first < profile.spacing else first
    return start, start + profile.length


def closed(profile: Profile, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curve of a profile; a periodic one is closed by its first point, one period on, and from 0 on by its last."""
    if profile.boundary != "periodic":
        return profile.position, values
    position, values = np.append(profile.position, profile.position[0] + profile.length), np.append(values, values[0])
    if profile.position[0] > 0:
        position, values = np.append(position[-2] - profile.length, position), np.append(values[-2], values)
    return position, values


def draw_macroscopic(axes: Any, profile: Profile, label: str | None) -> None:
    """Macroscopic average with its uncertainty: the band of each value, or the residual ripple, named if it is seen."""
    x, y = closed(profile, profile.values)
    spread, name = profile.uncertainty, "uncertainty"
    if spread is None and profile.ripple:
        spread, name = np.full(len(profile.values), profile.ripple), "residual ripple"
    if spread is not None and np.any(spread > 0):
        _, band = closed(profile, np.asarray(spread, dtype=np.float64))
        is_seen = label is not None and band.max() > SEEN * np.ptp(axes.get_ylim())
        named = name if is_seen else None
        axes.fill_between(x, y - band, y + band, color=BLUE, alpha=0.25, lw=0, label=named, zorder=2)
    axes.plot(x, y, color=BLUE, lw=1.4, label=label, zorder=4)


def draw_windows(axes: Any, windows: Sequence[float], centre: float, name: str = "window", top: float = 0.84) -> None:
    """Bars as long as the averaging windows, one below the other under the legend, in the units of the x axis."""
    transform = axes.get_xaxis_transform()
    for row, window in enumerate(windows):
        y = top - 0.08 * row
        ends = [centre - window / 2, centre + window / 2]
        axes.plot(ends, [y, y], "|-", color=VERMILION, lw=1, ms=4, transform=transform, zorder=5)
        beside = window < 0.9 * centre  # room to the right of the bar
        x, align = (ends[1], "left") if beside else (centre, "center")
        text = f"{' ' if beside else ''}{name} {window:.4g} Å"
        paper = None if beside else {**PAPER, "alpha": 1.0}  # the name stands on the bar
        style: dict[str, Any] = {"fontsize": SMALL, "color": VERMILION, "zorder": 5, "bbox": paper}
        axes.text(x, y, text, transform=transform, ha=align, va="center", **style)


def figure_over_atoms(
    profile: Profile,
    origin: ArrayLike,
    heights: Sequence[float],
    width: str,
    *,
    start: float | None = None,
    ends: bool = True,
) -> tuple[Figure, list[Any], NDArray[np.float64] | None]:
    """A figure of rows of these heights [inches], under a row of the profile's atoms if it has any.

    start  where a periodic profile is drawn from [Å]; None leaves the atoms where they are
    ends   atoms at the end of the cell are drawn at both ends

    Returns the figure, its rows without that of the atoms, and the atoms' positions along the profile (None without).
    """
    structure = profile.structure
    if structure is None or not len(structure):
        figure = new_figure(width, sum(heights) + 0.06 * len(heights) + 0.52)
        return figure, figure_rows(figure, list(heights)), None
    heights = [0.13 * len(set(structure.numbers.tolist())) + 0.06, *heights]
    figure = new_figure(width, sum(heights) + 0.06 * len(heights) + 0.52)
    rows = figure_rows(figure, heights)
    atoms = atoms_along(structure, np.asarray(origin, dtype=np.float64), profile)
    if start is not None and profile.boundary == "periodic":
        atoms = start + (atoms - start) % profile.length
    draw_atoms(rows[0], structure, atoms, profile.length, ends)
    return figure, rows[1:], atoms


def charge_axes(
    profile: Profile,
    line: Unrolled,
    origin: Sequence[float] | NDArray[np.float64],
    width: str,
) -> tuple[Figure, list[Any]]:
    """Atoms, charge density and cumulative charge over one line; the figure and the two lower axes."""
    figure, (upper, lower), atoms = figure_over_atoms(profile, origin, [1.3, 1.6], width, start=line.start, ends=False)
    empty: list[tuple[float, float]] = []
    if atoms is not None:
        empty = vacuum_of(atoms - line.start, profile.length, profile.boundary == "periodic")
        empty = [(low + line.start, high + line.start) for low, high in empty]
        for axes in (upper, lower):
            draw_vacuum(axes, empty)
    fine = np.linspace(line.start, line.end, max(800, 2 * len(line.values)))
    upper.plot(line.position, line.values, color=BLACK, lw=0.7, zorder=3)
    draw_zero(upper)
    lower.plot(fine, line.cumulative(fine), color=BLUE, lw=1.0, zorder=3)
    draw_zero(lower)
    name_values(upper, profile)
    name_vacuum(upper, empty, line)
    below = "charge below" if profile.quantity == "charge_density" else "integral below"
    name_axis(lower, below, times_length(profile.unit, 1))
    finish_rows([upper, lower], position_label(profile.planes), (line.start, line.end))
    return figure, [upper, lower]
