"""Figures: profiles, slices and surface charges, drawn at the size in which they are printed.

    plot_profile   planar average, macroscopic average, uncertainty band, atoms, vacuum, windows
    plot_surface   cumulative charge, bulk window, surface charges; plot_interface: of an interface
    plot_interval_field  the interval-valued average, a band about its midpoint
    plot_scales    power by wavevector, with the gap between the scales
    plot_step      potential with the levels of vacuum and bulk
    plot_terminations   charge of a crystal's cut at every position
    plot_corners   excesses of edges and corners where they are
    plot_slices    three planes of a 3D field in true geometry, one colour scale
    save_figure    .png, .pdf or .svg, written beside and then renamed

Every point is drawn at the position it has: voxels are centred on their grid points, profiles on their planes,
and a periodic curve is closed at the end of its period. Figures are matplotlib Figures of their own, never
pyplot's: nothing global is touched, no window is opened.

In   Profile, Field and results of the operators.
Out  matplotlib.figure.Figure, 3.4 inches (a column) or 7 inches (a page) wide.

>>> import gpuhomog as gh
>>> z = np.arange(32) * 0.25
>>> figure = plot_profile(gh.Profile(z, np.cos(np.pi * z), "V", "electrostatic_potential", 8.0))
>>> [axes.get_ylabel() for axes in figure.axes]
['potential (V)']
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import pairwise
from math import floor, log10
from pathlib import Path
from typing import Any, TypeVar

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, nearest_known
from .field import Field
from .operators.bulk import between_two, find_body
from .operators.excess import SurfaceExcess, without_reference
from .operators.interface import InterfaceExcess
from .operators.interval_field import IntervalField
from .operators.lines_and_points import Excess, LinesAndPoints, Plane
from .operators.potential_step import PotentialStep, potential_of_charge
from .operators.scales import Scales
from .operators.terminations import PlaneExcess, Terminations
from .operators.unrolled import Unrolled, check_sampling
from .results import Measurement, Profile
from .structure import SYMBOLS, Structure
from .units import times_length
from .writers.atomic import replacing

WIDTHS = {"column": 3.4, "page": 7.0}  # inches: one and two columns of a journal
FORMATS = ("png", "pdf", "svg")

# Okabe and Ito's palette, told apart with any colour vision
BLACK, ORANGE, SKY, GREEN, YELLOW = "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GREY, VACUUM = "#8C8C8C", "#EFEFEF"
PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}
ELEMENT_COLOURS = (ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW)

VACUUM_GAP = 6.0  # Å without atoms that count as vacuum rather than as a wide layer spacing
VACUUM_SKIN = 2.5  # Å between the outermost nuclei and the shaded vacuum

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-12, 12),  # powers of ten stand in the label: name_axis
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "mathtext.fontset": "dejavusans",
    "savefig.dpi": 300,
    "figure.dpi": 100,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "gpuhomog",  # same input, same file
}

NAMES = {
    "charge_density": "charge density",
    "electron_density": "electron density",
    "electrostatic_potential": "potential",
    "electron_potential_energy": "electron potential energy",
    "scalar": "value",
}

F = TypeVar("F", bound=Callable[..., Any])


def styled(draw: F) -> F:
    """Run a function under the package's own style, whatever the user's matplotlibrc says."""

    @wraps(draw)
    def inside(*arguments: Any, **options: Any) -> Any:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return draw(*arguments, **options)

    return inside  # type: ignore[return-value]


def unit_label(unit: str | None) -> str:
    """A unit as print has it: powers raised, no slash.

    >>> unit_label("e/Å^3"), unit_label("V"), unit_label("V*Å")
    ('e Å$^{-3}$', 'V', 'V Å')
    """
    if not unit or unit == "1":
        return ""
    words = []
    for operator, symbol, power in re.findall(r"([*/]?)([^*/^]+)(?:\^(-?\d+))?", unit):
        exponent = int(power or 1) * (-1 if operator == "/" else 1)
        if symbol != "1":
            words.append(symbol if exponent == 1 else f"{symbol}$^{{{exponent}}}$")
    return " ".join(words)


def axis_label(name: str, unit: str | None) -> str:
    """Name (unit), or the name alone."""
    unit = unit_label(unit)
    return f"{name} ({unit})" if unit else name


def name_axis(axes: Any, name: str, unit: str | None) -> None:
    """Label of the y axis; large and small numbers get a power of ten beside the unit. Limits must be final."""
    size = max(abs(limit) for limit in axes.get_ylim())
    power = floor(log10(size)) if size > 0 else 0
    if -3 < power < 5:
        axes.set_ylabel(axis_label(name, unit))
        return
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 10.0**power:.4g}".replace("-", "−"))
    axes.set_ylabel(f"{name} ({f'10$^{{{power}}}$ {unit_label(unit)}'.strip()})")


def new_figure(width: str, height: float) -> Figure:
    """An empty figure of a printed width ("column" or "page") and a height in inches."""
    if width not in WIDTHS:
        raise InputError(f'Figure width "{width}": {nearest_known(width, WIDTHS)}')
    figure = Figure(figsize=(WIDTHS[width], height))
    FigureCanvasAgg(figure)
    return figure


def atoms_along(structure: Structure, origin: NDArray[np.float64], profile: Profile) -> NDArray[np.float64]:
    """(n,) positions of the atoms on the profile's axis [Å], folded into the period if there is one."""
    position = (structure.positions - origin) @ profile.normal
    if profile.boundary == "periodic":
        position = position % profile.length
        position[profile.length - position < 1e-6] = 0.0
    return np.asarray(position)


def vacuum_of(atoms: NDArray[np.float64], length: float, periodic: bool) -> list[tuple[float, float]]:
    """Stretches of the axis far from every atom: gaps of more than VACUUM_GAP, less a skin at each surface.

    >>> vacuum_of(np.array([10.0, 12.0]), 30.0, True)
    [(0.0, 7.5), (14.5, 30.0)]
    """
    if not len(atoms):
        return []
    atoms = np.sort(atoms)
    found = []
    for low, high in pairwise(atoms):
        if high - low > VACUUM_GAP:
            found.append((float(low + VACUUM_SKIN), float(high - VACUUM_SKIN)))
    outside = atoms[0] + length - atoms[-1]
    if (outside if periodic else max(atoms[0], length - atoms[-1])) > VACUUM_GAP:
        found.insert(0, (0.0, float(atoms[0] - VACUUM_SKIN)))
        found.append((float(atoms[-1] + VACUUM_SKIN), length))
    return [(low, high) for low, high in found if high > low]


def draw_atoms(axes: Any, structure: Structure, atoms: NDArray[np.float64], length: float, ends: bool = True) -> None:
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


def draw_vacuum(axes: Any, stretches: Sequence[tuple[float, float]], named: bool) -> None:
    """Shade stretches without atoms; name those with room for the word."""
    for low, high in stretches:
        axes.axvspan(low, high, color=VACUUM, lw=0, zorder=0)
        if named and high - low > 3.5:
            write_region(axes, (low + high) / 2, "vacuum", 0.55)


def write_region(axes: Any, x: float, name: str, y: float = 0.03) -> None:
    """Name of a region, small, at a fraction of the axes' height."""
    transform = axes.get_xaxis_transform()
    axes.text(x, y, name, transform=transform, ha="center", va="bottom", fontsize=6.5, color=GREY, zorder=1)


def closed(profile: Profile, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curve of a profile; a periodic one is closed by its first point, one period on."""
    if profile.boundary != "periodic":
        return profile.position, values
    return np.append(profile.position, profile.position[0] + profile.length), np.append(values, values[0])


def draw_macroscopic(axes: Any, profile: Profile, label: str | None) -> None:
    """Macroscopic average with its uncertainty: the band of each value, or the residual ripple."""
    x, y = closed(profile, profile.values)
    spread = profile.uncertainty
    if spread is None and profile.ripple:
        spread = np.full(len(profile.values), profile.ripple)
    if spread is not None and np.any(spread > 0):
        _, band = closed(profile, np.asarray(spread, dtype=np.float64))
        axes.fill_between(x, y - band, y + band, color=BLUE, alpha=0.25, lw=0, zorder=2)
    axes.plot(x, y, color=BLUE, lw=1.4, label=label, zorder=4)


def draw_windows(axes: Any, windows: Sequence[float], centre: float, name: str = "window") -> None:
    """Bars as long as the averaging windows, one below the other under the legend, in the units of the x axis."""
    transform = axes.get_xaxis_transform()
    for row, window in enumerate(windows):
        y = 0.84 - 0.08 * row
        ends = [centre - window / 2, centre + window / 2]
        axes.plot(ends, [y, y], "|-", color=VERMILION, lw=1, ms=4, transform=transform, zorder=5)
        beside = window < 0.9 * centre  # room to the right of the bar
        x, align = (ends[1], "left") if beside else (centre, "center")
        text = f"{' ' if beside else ''}{name} {window:.4g} Å"
        style: dict[str, Any] = {"fontsize": 6.5, "color": VERMILION, "zorder": 5, "bbox": None if beside else PAPER}
        axes.text(x, y, text, transform=transform, ha=align, va="center", **style)


def figure_rows(figure: Figure, heights: Sequence[float], gap: float = 0.06) -> list[Any]:
    """Axes one below the other, of given heights in inches, over the figure's height; sharing x."""
    width, height = figure.get_size_inches()
    left, right, top = 0.68, 0.12, 0.1
    axes: list[Any] = []
    y = height - top
    for h in heights:
        y -= h
        share = axes[0] if axes else None
        frame = (left / width, y / height, (width - left - right) / width, h / height)
        axes.append(figure.add_axes(frame, sharex=share))
        y -= gap
    return axes


def figure_over_atoms(
    structure: Structure | None,
    profile: Profile,
    origin: ArrayLike,
    heights: Sequence[float],
    width: str,
    *,
    start: float | None = None,
    ends: bool = True,
) -> tuple[Figure, list[Any], NDArray[np.float64] | None]:
    """A figure of rows of these heights [inches], under a row of the atoms if there are any.

    start  where a periodic profile is drawn from [Å]; None leaves the atoms where they are
    ends   atoms at the end of the cell are drawn at both ends

    Returns the figure, its rows without that of the atoms, and the atoms' positions along the profile (None without).
    """
    if structure is None or not len(structure):
        figure = new_figure(width, sum(heights) + 0.06 * len(heights) + 0.52)
        return figure, figure_rows(figure, list(heights)), None
    heights = [0.13 * len(set(structure.numbers.tolist())) + 0.06, *heights]
    figure = new_figure(width, sum(heights) + 0.06 * len(heights) + 0.52)
    rows = figure_rows(figure, heights)
    atoms = atoms_along(structure, np.asarray(origin, dtype=np.float64), profile)
    if start is not None and profile.boundary == "periodic":
        atoms = start + (atoms - start) % profile.length
    draw_atoms(rows[0], structure, atoms, profile.length, ends=ends)
    return figure, rows[1:], atoms


@styled
def plot_profile(
    planar: Profile,
    macroscopic: Profile | None = None,
    *,
    structure: Structure | None = None,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    vacuum: Sequence[tuple[float, float]] | None = None,
    width: str = "column",
) -> Figure:
    """Planar average, macroscopic average and its uncertainty along the normal, with the atoms above.

    planar       the microscopic profile, drawn with a band of its uncertainty if that is known
    macroscopic  its macroscopic average: drawn with a band of its uncertainty (or its residual ripple) and bars
                 as long as its windows; once more by itself, magnified, where it varies far less than the planar
    structure    atoms, drawn as marks above the curves; default: the planar profile's own
    origin       (3,) Cartesian position of the first plane's corner [Å] (Grid.origin)
    vacuum       stretches to shade [Å]; default: wide gaps between the atoms
    width        "column" (3.4 inches) or "page" (7 inches)
    """
    structure = structure or planar.structure
    ratio = (
        np.ptp(macroscopic.values) / np.ptp(planar.values) if macroscopic is not None and np.ptp(planar.values) else 1
    )
    magnified = 1e-9 < ratio < 0.2  # below, only rounding would be seen
    heights = [1.75]
    if magnified:
        heights.append(1.25)
    figure, curves, atoms = figure_over_atoms(structure, planar, origin, heights, width)
    if atoms is not None and vacuum is None:
        vacuum = vacuum_of(atoms, planar.length, planar.boundary == "periodic")
    for axes in curves:
        draw_vacuum(axes, vacuum or (), axes is curves[0])
        if planar.values.min() < 0.1 * np.ptp(planar.values) and planar.values.max() > -0.1 * np.ptp(planar.values):
            axes.axhline(0.0, color=GREY, lw=0.5, zorder=1)

    name = NAMES.get(planar.quantity, planar.quantity)
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
            name_axis(curves[1], "magnified", planar.unit)
    windows = macroscopic.periods if macroscopic is not None else ()
    low, high = main.get_ylim()
    room = 0.16 + 0.1 * len(windows)  # for the legend and the windows, above the curves
    main.set_ylim(low, high + room / (1 - room) * (high - low))
    name_axis(main, name, planar.unit)
    draw_windows(main, windows, planar.length / 2)
    main.legend(loc="upper center", ncols=2, columnspacing=1.2, borderaxespad=0.2)
    for axes in curves[:-1]:
        axes.tick_params(axis="x", which="both", labelbottom=False)
    curves[-1].set_xlabel(f"position normal to {plane_name(planar.planes)} (Å)")
    curves[-1].set_xlim(0.0, planar.length)
    for axes in curves:
        axes.yaxis.set_label_coords(-0.5 / (WIDTHS[width] - 0.8), 0.5)
    return figure


@styled
def plot_surface(
    profile: Profile,
    result: SurfaceExcess,
    *,
    structure: Structure | None = None,
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
    figure, (upper, lower) = charge_axes(profile, line, structure, origin, width)
    for axes in (upper, lower):
        if result.bulk is not None:
            axes.axvspan(*result.bulk, color=SKY, alpha=0.2, lw=0, zorder=0)
            if axes is upper:
                low, high = axes.get_ylim()
                axes.set_ylim(low - 0.12 * (high - low), high)
                write_region(axes, (result.bulk[0] + result.bulk[1]) / 2, "bulk")
        for face in result.faces:
            axes.axvline(face, color=GREY, lw=0.6, ls=(0, (2, 2)), zorder=1)
        axes.axvline(result.x_b, color=BLACK, lw=0.6, zorder=1)
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
    structure: Structure | None = None,
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
    figure, (upper, lower) = charge_axes(profile, line, structure, origin, width)
    for x, period, colour in zip(positions, result.periods, (VERMILION, GREEN), strict=True):
        for axes in (upper, lower):
            axes.axvline(x, color=BLACK, lw=0.6, zorder=1)
            if period is not None:
                axes.axvspan(x - period / 2, x + period / 2, color=SKY, alpha=0.2, lw=0, zorder=0)
        if period is not None:
            level = float(line.window_mean(x, period))
            lower.plot([x - period / 2, x + period / 2], [level, level], color=colour, lw=1.4, zorder=4)
    write_measurements(lower, [("σ", result.charge, BLACK)])
    return figure


@styled
def plot_step(
    profile: Profile,
    result: PotentialStep,
    *,
    structure: Structure | None = None,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Potential along the normal, with the levels of vacuum and bulk at the place where each was taken.

    profile  the potential or charge density that the result was computed from
    result   PotentialStep of it
    others   as in plot_profile
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
        start, end = 0.0, profile.length
    structure = structure or profile.structure
    figure, (axes,), _ = figure_over_atoms(structure, profile, origin, [2.1], width, start=start, ends=start == 0.0)
    axes.plot(x, potential, color=BLACK, lw=0.7, zorder=3)
    shift = profile.length if profile.boundary == "periodic" else 0.0
    drawn = [
        ("low", result.low, result.plateaus[0], VERMILION),
        ("high", result.high, result.plateaus[1], GREEN),
    ]
    if result.bulk is not None and result.x_b is not None and result.period is not None:
        half = result.period / 2
        drawn.append(("bulk", result.bulk, (result.x_b - half, result.x_b + half), BLUE))
    for _, level, window, colour in drawn:
        if window is None or not level.defined:
            continue
        for turn in (-shift, 0.0, shift) if shift else (0.0,):  # a plateau may be given one period on
            low, high = max(window[0] + turn, start), min(window[1] + turn, end)
            if high > low:
                axes.plot([low, high], [float(level)] * 2, color=colour, lw=2, solid_capstyle="butt", zorder=4)
                axes.axvspan(low, high, color=SKY if colour == BLUE else VACUUM, alpha=0.5, lw=0, zorder=0)
    name_axis(axes, "potential", "V")
    axes.set_xlabel(f"position normal to {plane_name(profile.planes)} (Å)")
    axes.set_xlim(start, end)
    axes.yaxis.set_label_coords(-0.5 / (WIDTHS[width] - 0.8), 0.5)
    measured = [("high − low", result.step, BLACK)]
    if result.bulk_minus_low is not None:
        measured.append(("bulk − low", result.bulk_minus_low, BLUE))
    write_measurements(axes, measured)
    return figure


@styled
def plot_terminations(
    result: Terminations,
    cut: PlaneExcess | None = None,
    *,
    structure: Structure | None = None,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Charge of a cut crystal against the position of the cut over one spacing: gaps shaded, neutral cuts marked.

    result  Terminations
    cut     one cut to mark among them
    others  as in plot_profile
    """
    profile, curve = result.density, result.charge
    structure = structure or curve.structure
    figure, (upper, lower), _ = figure_over_atoms(structure, profile, origin, [0.9, 1.9], width)
    upper.plot(*closed(profile, profile.values), color=BLACK, lw=0.7, zorder=3)
    lower.plot(*closed(curve, curve.values), color=BLUE, lw=1.2, zorder=3)
    for axes in (upper, lower):
        axes.axhline(0.0, color=GREY, lw=0.5, zorder=1)
        for gap in result.cuts:
            for shift in (0.0, -profile.length):  # a gap may go on past the end of the spacing
                ends = max(gap.start + shift, 0.0), min(gap.stop + shift, profile.length)
                if ends[1] > ends[0]:
                    axes.axvspan(*ends, color=SKY, alpha=0.2, lw=0, zorder=0)
    low, high = lower.get_ylim()
    lower.set_ylim(low - 0.12 * (high - low), high + 0.34 * (high - low))
    for gap in result.cuts:
        value = float(gap.charge)
        lower.plot([gap.position], [value], "o", ms=4, color=VERMILION, zorder=5)
        near_end = gap.position > 0.75 * profile.length
        lower.annotate(
            f"{value:.4g}".replace("-", "−") if abs(value) > 1e-9 else "0",
            (gap.position, value),
            xytext=(-4 if near_end else 4, 4 if value >= 0 else -9),
            textcoords="offset points",
            ha="right" if near_end else "left",
            fontsize=6.5,
            color=VERMILION,
            zorder=6,
        )
    neutral = np.array(result.neutral)
    lower.plot(neutral, np.zeros(len(neutral)), "D", ms=4, mfc="white", mec=GREEN, mew=1.0, zorder=4, clip_on=False)
    said = {True: "polar", False: "not polar", None: "no gap between planes"}[result.polar]
    text = said if result.quantum is None else f"{said};  quantum {result.quantum:.4g} {unit_label(curve.unit)}"
    lower.text(0.02, 0.96, text, transform=lower.transAxes, va="top", fontsize=7, color=BLACK, zorder=6, bbox=PAPER)
    marks = [("D", GREEN, "neutral cut")] * bool(len(neutral)) + [("o", VERMILION, "in a gap")] * bool(result.cuts)
    if cut is not None:
        place = cut.position % profile.length
        lower.plot([place], [float(cut.charge)], "s", ms=4.5, color=BLACK, zorder=7)
        for axes in (upper, lower):
            axes.axvline(place, color=BLACK, lw=0.6, zorder=1)
        marks.append(("s", BLACK, "this cut"))
    for marker, colour, name in marks:
        lower.plot([], [], marker, ms=4, mfc="white" if marker == "D" else colour, mec=colour, label=name)
    if marks:
        lower.legend(
            loc="upper left", bbox_to_anchor=(0.0, 0.91), ncols=len(marks), handletextpad=0.1, columnspacing=0.8
        )
    name_axis(upper, NAMES.get(profile.quantity, profile.quantity), profile.unit)
    name_axis(lower, "σ of the cut", curve.unit)
    upper.tick_params(axis="x", which="both", labelbottom=False)
    lower.set_xlabel(f"position of the cut normal to {plane_name(profile.planes)} (Å)")
    lower.set_xlim(0.0, profile.length)
    for axes in (upper, lower):
        axes.yaxis.set_label_coords(-0.5 / (WIDTHS[width] - 0.8), 0.5)
    return figure


@styled
def plot_interval_field(
    planar: Profile,
    result: IntervalField,
    *,
    structure: Structure | None = None,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """The interval-valued average along the normal: a band from low to high, its midpoint, and the width eps_V.

    planar  the profile that was averaged
    result  IntervalField of it
    others  as in plot_profile

    Below, the width raw and less the slope, and a bar as long as eps_x.
    """
    structure = structure or planar.structure
    figure, (upper, lower), _ = figure_over_atoms(structure, planar, origin, [1.6, 1.1], width)
    x = result.position
    rows = [result.low, result.high, result.midpoint, result.eps_V, result.detrended]
    if planar.boundary == "periodic":
        x, rows = np.append(x, x[0] + planar.length), [np.append(row, row[0]) for row in rows]
    low, high, middle, raw, detrended = rows
    upper.fill_between(x, low, high, color=BLUE, alpha=0.3, lw=0, zorder=2)
    upper.plot(x, middle, color=BLUE, lw=1.2, zorder=3, label="midpoint")
    name_axis(upper, NAMES.get(planar.quantity, planar.quantity), planar.unit)
    upper.tick_params(axis="x", which="both", labelbottom=False)
    lower.plot(x, raw, color=BLACK, lw=0.9, zorder=3, label="eps$_V$")
    lower.plot(x, detrended, color=VERMILION, lw=0.9, zorder=3, label="less the slope")
    lower.set_ylim(0, 1.5 * max(float(raw.max()), 1e-300))
    lower.legend(loc="upper left", ncols=2, borderaxespad=0.2)
    name_axis(lower, "width", planar.unit)
    bottom, top = upper.get_ylim()
    upper.set_ylim(bottom, top + 0.25 * (top - bottom))
    draw_windows(upper, [result.eps_x], float(x[0] + x[-1]) / 2, "eps$_x$")
    lower.set_xlabel(f"position normal to {plane_name(planar.planes)} (Å)")
    lower.set_xlim(float(x[0]), float(x[-1]))
    for axes in (upper, lower):
        axes.yaxis.set_label_coords(-0.5 / (WIDTHS[width] - 0.8), 0.5)
    return figure


BINS_PER_DECADE = 12


@styled
def plot_scales(result: Scales, *, width: str = "column") -> Figure:
    """Power per mode against the wavevector, with the gap between the scales and the power law fitted in it.

    result  Scales
    width   "column" (3.4 inches) or "page" (7 inches)

    Thin: each mode or shell of modes; points: their means over bins of equal ratio.
    """
    figure = new_figure(width, 2.55)
    (axes,) = figure_rows(figure, [2.03])
    k, density = result.k, result.power / result.modes
    if result.between is None or result.a is None or result.L is None:
        raise InputError(f"No spectrum to draw: {result.verdict}")
    bins = np.floor(np.log10(k / k[0]) * BINS_PER_DECADE).astype(int)
    total, modes, middle = (np.bincount(bins, part) for part in (result.power, result.modes, np.log(k)))
    filled = modes > 0
    means = total[filled] / modes[filled]
    places = np.exp(middle[filled] / np.bincount(bins)[filled])
    top = float(density.max())
    bottom = max(float(means[means > 0].min()), 1e-14 * top) / 3
    axes.loglog(k, np.maximum(density, bottom / 10), color=GREY, lw=0.4, alpha=0.6, zorder=2)
    axes.loglog(places, np.maximum(means, bottom / 10), "o", ms=2.4, color=BLACK, zorder=3)
    axes.set_xlim(k[0] / 1.3, k[-1] * 1.3)
    axes.set_ylim(bottom, 10 ** (np.log10(top) + 0.28 * np.log10(top / bottom)))
    axes.axvspan(max(result.between[0], k[0] / 1.3), result.between[1], color=SKY, alpha=0.3, lw=0, zorder=0)
    for length, colour in ((result.L, VERMILION), (result.a, GREEN)):
        if np.isfinite(length):
            axes.axvline(2 * np.pi / length, color=colour, lw=0.9, zorder=1)
    if result.fit is not None and result.fitted is not None:
        c, alpha, b = result.fit
        fitted = np.geomspace(*result.fitted, 200)
        axes.loglog(fitted, np.exp(c + alpha * np.log(fitted) + b * fitted**2), color=BLUE, lw=1.4, zorder=4)
    texts = [
        (f"$L$ = {'∞' if np.isinf(result.L) else f'{result.L:.4g} Å'}", VERMILION),
        (f"$a$ = {result.a:.4g} Å", GREEN),
        (f"eps = {result.eps:.3g} Å", BLACK),
        (f"α = {print_measurement(result.alpha)}" if result.alpha.defined else "α not defined", BLUE),
    ]
    for number, (text, colour) in enumerate(texts):
        x, y = 0.03 + 0.5 * (number % 2), 0.97 - 0.1 * (number // 2)
        axes.text(x, y, text, transform=axes.transAxes, va="top", fontsize=7, color=colour, zorder=6, bbox=PAPER)
    axes.set_xlabel(axis_label("wavevector", "1/Å"))
    axes.set_ylabel(axis_label("power per mode", None if result.unit is None else squared(result.unit)))
    return figure


def squared(unit: str) -> str:
    """The square of a unit.

    >>> squared("e/Å^3"), squared("V")
    ('e^2/Å^6', 'V^2')
    """
    words = re.findall(r"([*/]?)([^*/^]+)(?:\^(-?\d+))?", unit)
    return "".join(f"{sign}{name}" + ("" if name == "1" else f"^{2 * int(power or 1)}") for sign, name, power in words)


def charge_axes(
    profile: Profile,
    line: Unrolled,
    structure: Structure | None,
    origin: Sequence[float] | NDArray[np.float64],
    width: str,
) -> tuple[Figure, list[Any]]:
    """Atoms, charge density and cumulative charge over one line; the figure and the two lower axes."""
    structure = structure or profile.structure
    figure, (upper, lower), atoms = figure_over_atoms(
        structure, profile, origin, [1.3, 1.6], width, start=line.start, ends=False
    )
    if atoms is not None:
        empty = vacuum_of(atoms - line.start, profile.length, profile.boundary == "periodic")
        for axes in (upper, lower):
            draw_vacuum(axes, [(low + line.start, high + line.start) for low, high in empty], axes is upper)
    fine = np.linspace(line.start, line.end, max(800, 2 * len(line.values)))
    upper.plot(line.position, line.values, color=BLACK, lw=0.7, zorder=3)
    upper.axhline(0.0, color=GREY, lw=0.5, zorder=1)
    upper.tick_params(axis="x", which="both", labelbottom=False)
    lower.plot(fine, line.cumulative(fine), color=BLUE, lw=1.0, zorder=3)
    lower.axhline(0.0, color=GREY, lw=0.5, zorder=1)
    lower.set_xlabel(f"position normal to {plane_name(profile.planes)} (Å)")
    lower.set_xlim(line.start, line.end)
    name_axis(upper, NAMES.get(profile.quantity, profile.quantity), profile.unit)
    below = "charge below" if profile.quantity == "charge_density" else "integral below"
    name_axis(lower, below, times_length(profile.unit, 1))
    for axes in (upper, lower):
        axes.yaxis.set_label_coords(-0.5 / (WIDTHS[width] - 0.8), 0.5)
    return figure, [upper, lower]


def write_measurements(axes: Any, measured: Sequence[tuple[str, Measurement, str]]) -> None:
    """Name, value and uncertainty of each, above the curve, in the colour in which they are drawn."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.14 * len(measured) * (high - low))
    for row, (name, value, colour) in enumerate(measured):
        text = f"{name} = {print_measurement(value)}" if value.defined else f"{name} not defined"
        y = 0.96 - 0.11 * row
        axes.text(0.02, y, text, transform=axes.transAxes, va="top", fontsize=7, color=colour, zorder=6, bbox=PAPER)


def print_measurement(measured: Measurement) -> str:
    """Value ± uncertainty and unit as print has them, small numbers as powers of ten.

    >>> print_measurement(Measurement(-3.21e-7, "e/Å^2", 1.2e-7)), print_measurement(Measurement(5.8321, "V", 0.002))
    ('(−3.2 ± 1.2) × 10$^{-7}$ e Å$^{-2}$', '5.832 ± 0.002 V')
    """
    value, unit = float(measured), unit_label(measured.unit)
    spread = measured.uncertainty or 0.0
    size = max(abs(value), spread)
    power = floor(log10(size)) if size > 0 else 0
    power = power if power < -2 or power > 4 else 0
    value, spread = value / 10.0**power, spread / 10.0**power
    digits = 4
    if spread > 0:
        digits = max(0, (1 if spread / 10 ** floor(log10(spread)) < 2.95 else 0) - floor(log10(spread)))
        if spread / 10 ** floor(log10(spread)) > 1.95 and digits > 1:
            digits -= 1 if abs(spread - round(spread, digits - 1)) < 0.05 * spread else 0
        digits = min(digits, 8)
    text = f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
    if spread > 0:
        text += f" ± {spread:.{digits}f}"
    if power:
        text = (f"({text})" if spread > 0 else text) + f" × 10$^{{{power}}}$"
    return f"{text} {unit}".strip()


def noise_of(result: LinesAndPoints, group: Sequence[Excess]) -> float:
    """What counts as zero among some excesses: twice their uncertainty, or rounding beside the points' values."""
    larger = min(len(group[0].corners), 3) - 1  # dimension of the features
    largest = max(abs(float(point.value)) for point in result.points)
    rounding = 1e-9 * largest / result.eps**larger
    return max(rounding, 2 * max(one.value.uncertainty or 0.0 for one in group))


def short(measured: Measurement, least: float) -> str:
    """A value to three digits, "0" where it is not above `least`."""
    value = float(measured)
    return "0" if abs(value) <= least else f"{value:.3g}".replace("-", "−")


@styled
def plot_corners(result: LinesAndPoints, plane: Plane | None = None, *, width: str | None = None) -> Figure:
    """Excesses where they are: two dimensions over the field, three as faces, lines and points side by side.

    result  of lines_and_points
    plane   two dimensions: plane_across(field, axis), the field's mean along the axis; None: outlines alone
    width   "column" (3.4 inches; the default of two dimensions) or "page" (7 inches; of three)
    """
    if result.axis is None:
        return _corners_in_space(result, width or "page")
    width = width or "column"
    corners = np.array([point.corners[0] for point in result.points])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if plane is not None:
        low = np.minimum(low, [plane.x.min(), plane.y.min()])
        high = np.maximum(high, [plane.x.max(), plane.y.max()])
    page = WIDTHS[width]
    wide = page - 1.3
    height = wide * float((high - low)[1] / (high - low)[0])
    figure = new_figure(width, height + 0.65)
    total = height + 0.65
    axes = figure.add_axes((0.5 / page, 0.42 / total, wide / page, height / total))
    if plane is not None:
        colours, least, most, extend = colour_scale(plane.values)
        mesh = axes.pcolormesh(
            plane.x,
            plane.y,
            plane.values,
            cmap=colours,
            vmin=least,
            vmax=most,
            shading="nearest",
            rasterized=True,
            alpha=0.45,
        )
        bar = figure.add_axes(((0.6 + wide) / page, 0.42 / total, 0.09 / page, height / total))
        figure.colorbar(mesh, cax=bar, extend=extend)
        name_axis(bar, plane.quantity.replace("_", " "), plane.unit)
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    scales = [noise_of(result, group) for group in (result.lines, result.points)]
    for line in result.lines:
        ends = np.array(line.corners)
        axes.plot(ends[:, 0], ends[:, 1], color=BLACK, lw=1.0)
        along = ends[1] - ends[0]
        turned = np.degrees(np.arctan2(along[1], along[0]))
        turned = (turned + 90) % 180 - 90
        axes.annotate(
            f"λ = {short(line.value, scales[0])}",
            ends.mean(axis=0),
            xytext=_inwards(ends.mean(axis=0), middle, 8.0),
            textcoords="offset points",
            rotation=turned,
            rotation_mode="anchor",
            ha="center",
            va="center",
            color=BLUE,
            bbox=PAPER,
            fontsize=7,
        )
    for point in result.points:
        (place,) = np.array(point.corners)
        axes.plot(*place, "o", ms=4, color=VERMILION, clip_on=False, zorder=5)
        axes.annotate(
            f"q = {short(point.value, scales[1])}",
            place,
            xytext=(-4 * np.sign(middle[0] - place[0]), -10 * np.sign(middle[1] - place[1])),
            textcoords="offset points",
            ha="left" if place[0] < middle[0] else "right",
            va="center",
            color=VERMILION,
            bbox=PAPER,
            fontsize=7,
        )
    axes.set_aspect("equal")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_xlabel("x (Å)")
    axes.set_ylabel("y (Å)")
    units = [f"λ in {unit_label(result.lines[0].value.unit)}" if result.lines[0].value.unit else ""]
    units += [f"q in {unit_label(result.points[0].value.unit)}" if result.points[0].value.unit else ""]
    axes.set_title(", ".join(filter(None, units)), fontsize=7.5, pad=4)
    return figure


def _inwards(place: NDArray[np.float64], middle: NDArray[np.float64], by: float) -> tuple[float, float]:
    """Offset of a text towards the middle, in points."""
    away = middle - place
    step = by * away / (np.linalg.norm(away) or 1.0)
    return float(step[0] * 1.3), float(step[1])


def _corners_in_space(result: LinesAndPoints, width: str) -> Figure:
    """Faces, lines and points of three dimensions, each in its colours, seen along (-1, -1.4, -0.9)."""
    view = np.array([1.0, 1.4, 0.9]) / np.linalg.norm([1.0, 1.4, 0.9])
    across = np.cross([0, 0, 1], view)
    across /= np.linalg.norm(across)
    seen = np.array([across, np.cross(view, across)])
    places = np.array([point.corners[0] for point in result.points]) @ seen.T
    low, high = places.min(axis=0), places.max(axis=0)
    pad = 0.06 * float((high - low).max())
    page = WIDTHS[width]
    wide = page / 3 - 0.62
    tall = wide * float((high - low)[1] + 2 * pad) / float((high - low)[0] + 2 * pad)
    figure = new_figure(width, tall + 0.35)
    groups: tuple[tuple[str, tuple[Excess, ...]], ...] = (
        ("faces", result.faces),
        ("lines", result.lines),
        ("points", result.points),
    )
    for number, (name, group) in enumerate(groups):
        left = number * page / 3 + 0.05
        axes = figure.add_axes((left / page, 0.08 / (tall + 0.35), wide / page, tall / (tall + 0.35)))
        values = np.array([float(one.value) for one in group])
        most = max(float(np.abs(values).max()), noise_of(result, group)) or 1.0
        scale = matplotlib.colors.Normalize(-most, most)
        colours = matplotlib.colormaps["RdBu_r"]
        order = np.argsort([np.mean(np.array(one.corners) @ view) for one in group])
        for k in order if name == "faces" else ():
            flat = np.array(group[k].corners) @ seen.T
            axes.fill(flat[:, 0], flat[:, 1], facecolor=colours(scale(values[k])), alpha=0.75, ec="none")
        for k, line in enumerate(result.lines):
            flat = np.array(line.corners) @ seen.T
            own = {"color": colours(scale(values[k])), "lw": 3.0} if name == "lines" else {"color": GREY, "lw": 0.7}
            axes.plot(flat[:, 0], flat[:, 1], solid_capstyle="round", **own)
            if name == "lines":
                axes.plot(flat[:, 0], flat[:, 1], color=BLACK, lw=0.3)
        if name == "points":
            axes.scatter(
                places[:, 0], places[:, 1], c=values, cmap=colours, norm=scale, s=42, ec=BLACK, lw=0.5, zorder=5
            )
        axes.set_aspect("equal")
        axes.set_xlim(low[0] - pad, high[0] + pad)
        axes.set_ylim(low[1] - pad, high[1] + pad)
        axes.axis("off")
        axes.set_title(name, fontsize=8, pad=2)
        bar = figure.add_axes(
            ((left + wide + 0.02) / page, 0.2 * tall / (tall + 0.35), 0.07 / page, 0.65 * tall / (tall + 0.35))
        )
        figure.colorbar(matplotlib.cm.ScalarMappable(scale, colours), cax=bar)
        unit = group[0].value.unit
        bar.set_title(unit_label(unit) if unit else "", fontsize=6.5, pad=4)
        bar.tick_params(labelsize=6)
        bar.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        bar.yaxis.get_offset_text().set_fontsize(6)
    return figure


def plane_name(planes: str) -> str:
    """The plane family in words: "c" is spanned by a and b."""
    return {"a": "the b, c plane", "b": "the a, c plane", "c": "the a, b plane"}.get(planes.lstrip("-"), planes)


def colour_scale(values: NDArray[Any]) -> tuple[str, float, float, str]:
    """Colour map, limits and which ends are cut: diverging about zero where both signs matter, else sequential.

    Limits are the extremes, unless these stand 5 times beyond 99.5 % of the values (bare nuclei): then the ends
    are cut there, and the colour bar shows it by an arrow.

    >>> colour_scale(np.array([-1.0, 2.0]))
    ('RdBu_r', -2.0, 2.0, 'neither')
    """
    lowest, highest = float(values.min()), float(values.max())
    inner_low, inner_high = (float(q) for q in np.quantile(values, (0.005, 0.995)))
    middle = float(np.median(values))
    low = inner_low if middle - lowest > 5 * (middle - inner_low) > 0 else lowest
    high = inner_high if highest - middle > 5 * (inner_high - middle) > 0 else highest
    name = "cividis"
    if low < 0 < high and min(-low, high) > 0.02 * max(-low, high):
        name, high = "RdBu_r", max(-low, high)
        low = -high
    elif low == high:
        pad = 0.5 * (abs(low) or 1.0)
        low, high = low - pad, high + pad
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    return name, low, high, extend[lowest < low, highest > high]


def in_plane(cell: NDArray[np.float64], across: int, along: int) -> NDArray[np.float64]:
    """(2, 2) in-plane coordinates of the two lattice vectors (across, along), rows; the first lies along x."""
    u, v = cell[across], cell[along]
    e1 = u / np.linalg.norm(u)
    rest = v - (v @ e1) * e1
    return np.array([[np.linalg.norm(u), 0.0], [v @ e1, np.linalg.norm(rest)]])


@styled
def plot_slices(
    field: Field,
    *,
    at: Sequence[float] | None = None,
    width: str = "page",
) -> Figure:
    """Three lattice planes of a 3D field in true geometry, in one colour scale.

    field  a whole Field on any device; its atoms within 0.6 Å of a plane are drawn as circles
    at     fractional position of the point through which the planes go, the nearest grid point is taken; by default
           the point where the field differs most from its mean
    width  "page" (7 inches) or "column" (3.4 inches)

    Raises InputError for a field of which only a slab is here.
    """
    if not field.slab.is_whole:
        raise InputError("Slices need the whole field in one place: draw what field.on_first_rank() gives there.")
    if at is not None and (len(at) != 3 or not np.isfinite(np.asarray(at, dtype=np.float64)).all()):
        raise InputError("Slices go through one point: give three fractional coordinates, such as 0.5,0.5,0.5.")
    values = field.to_host()
    grid = field.grid
    if at is None:
        most = np.argmax(np.abs(values - values.mean(dtype=np.float64)))
        index = [int(i) for i in np.unravel_index(most, values.shape)]
    else:
        index = [round(float(x) * n) % n for x, n in zip(at, grid.shape, strict=True)]
    colours, low, high, extend = colour_scale(values)

    panels = []
    for normal in range(3):
        first, second = [axis for axis in range(3) if axis != normal]
        if grid.lengths[second] > grid.lengths[first]:  # the longer side lies along x
            first, second = second, first
        vectors = in_plane(grid.cell, first, second)
        panels.append((normal, first, second, vectors))
    # a periodic axis is drawn over its period, an open one up to its last point
    ends = [1.0 if b == "periodic" else (n - 1) / n for b, n in zip(grid.boundary, grid.shape, strict=True)]
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    outlines = [corners * [ends[first], ends[second]] @ vectors for _, first, second, vectors in panels]

    page = WIDTHS[width]
    frames, bar, height = arrange([np.ptp(outline, axis=0) for outline in outlines], page)
    figure = new_figure(width, height)

    def add_axes(frame: Sequence[float]) -> Any:
        x, y, w, h = frame
        return figure.add_axes((x / page, y / height, w / page, h / height))

    mesh = None
    marks: dict[str, Any] = {}
    for (normal, first, second, vectors), outline, frame in zip(panels, outlines, frames, strict=True):
        axes = add_axes(frame)
        plane = np.take(values, index[normal], axis=normal)
        if first > second:
            plane = plane.T  # rows along `first`
        for row, axis in enumerate((first, second)):  # a periodic axis is closed by its first points
            if grid.boundary[axis] == "periodic":
                plane = np.concatenate([plane, np.take(plane, [0], axis=row)], axis=row)
        u = np.arange(plane.shape[0])[:, None] / grid.shape[first]
        v = np.arange(plane.shape[1])[None, :] / grid.shape[second]
        mesh = axes.pcolormesh(
            u * vectors[0, 0] + v * vectors[1, 0],
            u * vectors[0, 1] + v * vectors[1, 1],
            plane,
            cmap=colours,
            vmin=low,
            vmax=high,
            shading="gouraud",
            rasterized=True,
        )
        axes.plot(outline[:, 0], outline[:, 1], color=BLACK, lw=0.6, clip_on=False)
        marks |= draw_atoms_near(axes, field, normal, index[normal], first, second, vectors)
        low_corner, high_corner = outline.min(axis=0), outline.max(axis=0)
        axes.set_xlim(low_corner[0], high_corner[0])
        axes.set_ylim(low_corner[1], high_corner[1])
        names = "abc"
        skewed = abs(vectors[1, 0]) > 1e-6 * vectors[1, 1]
        axes.set_xlabel(f"{names[first]} (Å)", labelpad=2)
        axes.set_ylabel(f"⊥ {names[first]} (Å)" if skewed else f"{names[second]} (Å)", labelpad=2)
        distance = index[normal] * grid.plane_spacing(normal)
        spanned = ", ".join(name for axis, name in enumerate(names) if axis != normal)
        axes.set_title(f"{spanned} plane at {distance:.2f} Å", pad=3, fontsize=7.5)
        axes.minorticks_off()
        axes.tick_params(direction="out", top=False, right=False)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(
                matplotlib.ticker.MaxNLocator(
                    nbins=max(2, int(3 * frame[2 if axis is axes.xaxis else 3])), steps=[1, 2, 5, 10]
                )
            )
        if skewed:
            for side in ("top", "right", "left", "bottom"):
                axes.spines[side].set_visible(False)
    assert mesh is not None
    flat = bar[2] > bar[3]
    bar_axes = add_axes(bar)
    figure.colorbar(mesh, cax=bar_axes, extend=extend, orientation="horizontal" if flat else "vertical")
    bar_axes.minorticks_off()
    label = axis_label(NAMES.get(field.quantity, field.quantity), field.unit)
    if flat:
        bar_axes.set_xlabel(label, labelpad=2)
    else:
        bar_axes.set_ylabel(label, labelpad=3)
    if marks:
        x = (bar[0] + bar[2] / 2) / page
        y = (bar[1] + bar[3] + 0.08) / height
        figure.legend(
            marks.values(),
            marks.keys(),
            loc="lower center",
            bbox_to_anchor=(x, y),
            ncols=len(marks),
            handletextpad=0.1,
            columnspacing=0.7,
            borderpad=0,
            borderaxespad=0,
        )
    return figure


Frame = tuple[float, float, float, float]


def arrange(extents: Sequence[NDArray[np.float64]], page: float) -> tuple[list[Frame], Frame, float]:
    """Frames (x, y, width, height) in inches of panels and colour bar, and the height of the figure.

    The panels share one scale: the largest that keeps the figure below 4.6 inches. They stand in one, two or
    three rows; the colour bar lies in the last row where room is left there, else it stands on the right.
    """
    left, right, bottom, top, bar_width, flat_bar, tallest = 0.5, 0.14, 0.4, 0.24, 0.75, 1.9, 4.6
    best: tuple[float, list[list[int]], bool] | None = None
    chosen = 0.0
    for rows in ([[0], [1], [2]], [[0, 1], [2]], [[0], [1, 2]], [[0, 1, 2]]):
        for lying in (True, False):
            scale = (tallest - len(rows) * (bottom + top)) / sum(max(extents[i][1] for i in row) for row in rows)
            for row in rows:
                room = page - len(row) * (left + right) - (0 if lying else bar_width)
                if lying and row is rows[-1]:
                    room -= flat_bar
                scale = min(scale, room / sum(extents[i][0] for i in row))
            merit = float(scale) / len(rows) ** 0.3  # fewer rows leave less of the page white
            if best is None or merit > best[0]:
                best, chosen = (merit, rows, lying), float(scale)
    assert best is not None
    scale, (_, rows, lying) = chosen, best
    heights = [bottom + top + float(max(extents[i][1] for i in row)) * scale for row in rows]
    total = sum(heights)
    frames: list[Frame] = [(0.0, 0.0, 0.0, 0.0)] * len(extents)
    y, x = total, left
    for row, height in zip(rows, heights, strict=True):
        y -= height
        x = left
        for i in row:
            w, h = float(extents[i][0]) * scale, float(extents[i][1]) * scale
            frames[i] = (x, y + bottom, w, h)
            x += w + right + left
    if lying:
        bar = (x - 0.1, y + bottom + 0.05, min(page - x - 0.1, 3.0), 0.1)
    else:
        tall = min(2.2, total - 0.9)
        bar = (page - bar_width + 0.02, (total - tall) / 2, 0.1, tall)
    return frames, bar, total


def draw_atoms_near(
    axes: Any, field: Field, normal: int, plane: int, first: int, second: int, vectors: NDArray[np.float64]
) -> dict[str, Any]:
    """Atoms within 0.6 Å of a lattice plane as circles at the foot of their perpendicular; by symbol."""
    structure, grid = field.structure, field.grid
    marks: dict[str, Any] = {}
    if structure is None:
        return marks
    inverse = np.linalg.inv(grid.cell)
    fractional = (structure.positions - grid.origin) @ inverse
    offset = fractional[:, normal] - plane / grid.shape[normal]
    if grid.boundary[normal] == "periodic":
        offset -= np.round(offset)
    distance = offset * grid.height(normal)
    near = np.abs(distance) < 0.6
    foot = (structure.positions - np.outer(distance, grid.normal(normal)) - grid.origin) @ inverse
    for axis in (first, second):
        if grid.boundary[axis] == "periodic":
            foot[:, axis] -= np.floor(foot[:, axis] + 1e-6)
    numbers = sorted(set(structure.numbers.tolist()), reverse=True)
    for row, number in enumerate(numbers):
        chosen = foot[near & (structure.numbers == number)][:, [first, second]]
        images = [chosen]
        for column in (0, 1):  # an atom on an edge of the cell shows on the opposite edge too
            joined = np.concatenate(images)
            shifted = joined[joined[:, column] < 1e-3].copy()
            shifted[:, column] += 1.0
            images.append(shifted)
        at = np.concatenate(images) @ vectors
        if len(at):
            colour = ELEMENT_COLOURS[row % len(ELEMENT_COLOURS)]
            style: dict[str, Any] = {"ms": 3.2, "mfc": colour, "mec": BLACK, "mew": 0.4, "clip_on": False, "zorder": 4}
            (marks[SYMBOLS[number]],) = axes.plot(at[:, 0], at[:, 1], "o", **style)
    return marks


@styled
def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as its suffix says, beside and then renamed; the path.

    Raises InputError for a suffix other than .png, .pdf, .svg, or a folder that cannot be written.
    """
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise InputError(f'{target}: figures are written as .png, .pdf or .svg, not "{target.suffix}".')
    metadata: Any = {
        "png": {"Software": "gpuhomog"},
        "pdf": {"Creator": "gpuhomog", "CreationDate": None},
    }.get(kind, {"Creator": "gpuhomog", "Date": None})
    with replacing(target) as temporary:
        figure.savefig(temporary, format=kind, metadata=metadata)
    return target


__all__ = [
    "FORMATS",
    "WIDTHS",
    "plot_interface",
    "plot_interval_field",
    "plot_profile",
    "plot_scales",
    "plot_slices",
    "plot_step",
    "plot_surface",
    "plot_terminations",
    "save_figure",
    "unit_label",
]
