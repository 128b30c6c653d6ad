"""Figures of charges: maps of a slab's two faces, and point charges with their cumulative charge.

In   the result of an operator.
Out  Figure.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..operators.excess.surface_map import SurfaceMap
from ..operators.points.point_charges import MolecularCharge, PointCharges, PointSurfaceCharge
from ..operators.points.point_terminations import PointTerminations
from .slices import colour_scale, draw_plane, in_plane
from .style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    SKY,
    UPPER_LEFT,
    VERMILION,
    WIDTHS,
    draw_zero,
    figure_rows,
    finish_rows,
    leave_room,
    name_axis,
    new_figure,
    print_measurement,
    styled,
    write_measurements,
)


@styled
def plot_surface_map(result: SurfaceMap, *, width: str = "page") -> Figure:
    """The charge of both faces as maps in true geometry, each with its colour scale.

    result  SurfaceMap
    width   "page" (7 inches) or "column" (3.4 inches)

    Side by side on a page, below one another in a column; the map closes on itself at the ends of the cell.
    """
    vectors = in_plane(np.asarray(result.vectors), 0, 1)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) @ vectors
    extent = np.ptp(corners, axis=0)
    page, left, right, bottom, top = WIDTHS[width], 0.5, 0.85, 0.42, 0.25
    columns = 2 if width == "page" else 1
    scale = min((page / columns - left - right) / extent[0], 4 / extent[1])
    wide, tall = float(extent[0]) * scale, float(extent[1]) * scale
    total = (tall + bottom + top) * (2 // columns)
    figure = new_figure(width, total)
    faces = ("lower face", result.low, result.surface.low), ("upper face", result.high, result.surface.high)
    for number, (name, values, mean) in enumerate(faces):
        assert mean is not None  # of both sides
        x = left + number % columns * page / 2
        y = bottom + (1 - number) * (2 - columns) * (tall + bottom + top)
        axes = figure.add_axes((x / page, y / total, wide / page, tall / total))
        plane = np.pad(values, ((0, 1), (0, 1)), mode="wrap")
        colours = colour_scale(values)
        mesh = draw_plane(axes, plane, values.shape, vectors, corners, colours, result.axes)
        axes.set_title(f"{name}, mean {print_measurement(mean)}", pad=3, fontsize=7.5)
        bar = figure.add_axes(((x + wide + 0.1) / page, y / total, 0.09 / page, tall / total))
        figure.colorbar(mesh, cax=bar, extend=colours[3])
        bar.minorticks_off()
        name_axis(bar, "σ", "e/Å^2")
    return figure


@styled
def plot_point_charges(points: PointCharges, result: PointSurfaceCharge, *, width: str = "column") -> Figure:
    """Charges along the normal, their cumulative charge, and the surface charges read from it.

    points  the charges
    result  PointSurfaceCharge of them
    width   "column" (3.4 inches) or "page" (7 inches)
    """
    x, q = np.asarray(points.positions), np.asarray(points.charges)
    figure = new_figure(width, 3.5)
    upper, lower = figure_rows(figure, [1.2, 1.75])
    upper.vlines(x, 0, q, color=np.where(q > 0, VERMILION, BLUE), lw=0.8, zorder=3)
    draw_zero(upper)
    margin = 0.05 * max(float(np.ptp(x)), 1e-9)
    places, which = np.unique(np.round(x, 6), return_inverse=True)  # charges of one plane add up
    edges = np.concatenate([[x[0] - margin], places, [x[-1] + margin]])
    levels = np.concatenate([[0.0], np.cumsum(np.bincount(which, q))])
    lower.stairs(levels, edges, baseline=None, color=BLUE, lw=0.9, zorder=3)
    draw_zero(lower)
    for axes in (upper, lower):
        axes.axvline(result.x_b, color=BLACK, lw=0.6, zorder=2)
        if result.window is not None:
            axes.axvspan(*result.window, color=SKY, alpha=0.25, lw=0, zorder=0)
    named = []
    for side, colour in (("low", VERMILION), ("high", GREEN)):
        measured = getattr(result, side)
        if measured.defined:
            level = float(measured) if side == "low" else float(result.total) - float(measured)
            lower.axhline(level, color=colour, lw=1.0, ls="-" if side == "low" else (0, (3, 2)), zorder=4)
        named.append((f"σ {side}", measured, colour))
    write_measurements(lower, named)
    name_axis(upper, "charge", points.unit)
    name_axis(lower, "charge below", points.unit)
    finish_rows([upper, lower], "position along the normal (Å)", (edges[0], edges[-1]))
    return figure


@styled
def plot_point_terminations(result: PointTerminations, *, width: str = "column") -> Figure:
    """Planes of ions over one spacing, and the charge of a cut in each gap between them, matter above it.

    result  PointTerminations
    width   "column" (3.4 inches) or "page" (7 inches)
    """
    figure = new_figure(width, 3.0)
    upper, lower = figure_rows(figure, [0.9, 1.55])
    charged = result.plane_charges
    upper.vlines(result.levels, 0, charged, color=np.where(charged > 0, VERMILION, BLUE), lw=1.6, zorder=3)
    for cut in result.cuts:
        for shift in (0.0, -result.spacing):
            ends = max(cut.start + shift, 0.0), min(cut.stop + shift, result.spacing)
            if ends[1] > ends[0]:
                lower.plot(ends, [float(cut.charge)] * 2, color=GREEN if cut.neutral else BLUE, lw=1.6, zorder=3)
    for axes in (upper, lower):
        draw_zero(axes)
        axes.margins(y=0.15)
    name_axis(upper, "planes", "e/Å^2")
    name_axis(lower, "σ of the cut", "e/Å^2")
    finish_rows([upper, lower], f"position of the cut normal to {result.planes} (Å)", (0.0, result.spacing))
    return figure


@styled
def plot_molecules(result: MolecularCharge, *, width: str = "column") -> Figure:
    """Macroscopic charge of molecules, its free and bound parts, and what these leave out.

    result  MolecularCharge
    width   "column" (3.4 inches) or "page" (7 inches)
    """
    figure = new_figure(width, 3.6)
    upper, lower = figure_rows(figure, [1.6, 1.4])
    curves = (("exact", result.exact, BLACK), ("free", result.free, VERMILION), ("bound", result.bound, BLUE))
    for name, values, colour in curves:
        upper.plot(result.position, values, color=colour, lw=1.2 if name == "exact" else 0.9, label=name)
    lower.plot(result.position, result.residual, color=ORANGE, lw=0.9)
    for axes in (upper, lower):
        draw_zero(axes)
    leave_room(upper, 0.25)
    upper.legend(**UPPER_LEFT, ncols=3)
    name_axis(upper, "charge density", result.unit)
    name_axis(lower, "left out", result.unit)
    finish_rows(
        [upper, lower], "position along the normal (Å)", (float(result.position[0]), float(result.position[-1]))
    )
    return figure
