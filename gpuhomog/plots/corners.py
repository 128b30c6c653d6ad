"""Figures of edges and corners: excesses where they are.

In   LinesAndPoints.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..operators.excess.lines_and_points import Excess, LinesAndPoints
from ..operators.excess.window_sums import Plane
from ..results import Measurement
from .slices import colour_scale
from .style import BLACK, BLUE, GREY, PAPER, SMALL, VERMILION, WIDTHS, name_axis, new_figure, styled, unit_label

ROOM_AROUND = 0.14
"""Part of a body's breadth around it, where the values of its corners stand."""


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
    if result.uniform_axis is None:
        return _corners_in_space(result, width or "page")
    width = width or "column"
    corners = np.array([point.corners[0] for point in result.points])
    low, high = corners.min(axis=0), corners.max(axis=0)
    if plane is not None:
        low = np.minimum(low, [plane.x.min(), plane.y.min()])
        high = np.maximum(high, [plane.x.max(), plane.y.max()])
    room = ROOM_AROUND * float((corners.max(axis=0) - corners.min(axis=0)).max())
    low, high = np.minimum(low, corners.min(axis=0) - room), np.maximum(high, corners.max(axis=0) + room)
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
    _label(axes, result, (corners.min(axis=0) + corners.max(axis=0)) / 2)
    axes.set_aspect("equal")
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_xlabel("x (Å)")
    axes.set_ylabel("y (Å)")
    units = [f"λ in {unit_label(result.lines[0].value.unit)}" if result.lines[0].value.unit else ""]
    units += [f"q in {unit_label(result.points[0].value.unit)}" if result.points[0].value.unit else ""]
    axes.set_title(", ".join(filter(None, units)), fontsize=7.5, pad=4)
    return figure


def _label(axes: Any, result: LinesAndPoints, middle: NDArray[np.float64]) -> None:
    """Lines and points with their values beside them, towards the middle."""
    scales = [noise_of(result, group) for group in (result.lines, result.points)]
    for line in result.lines:
        ends = np.array(line.corners)
        axes.plot(ends[:, 0], ends[:, 1], color=BLACK, lw=1.0)
        along = ends[1] - ends[0]
        turned = np.degrees(np.arctan2(along[1], along[0]))
        turned = 90 - (90 - turned) % 180  # vertical ones are read from below
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
        bar.set_title(unit_label(unit) if unit else "", fontsize=SMALL, pad=4)
        bar.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        bar.yaxis.get_offset_text().set_fontsize(SMALL)
    return figure
