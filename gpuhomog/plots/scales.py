"""Figures of scales: power by wavevector, widths of averages by their eps, and the interval-valued average.

In   Profile and the result of an operator.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray

from ..errors import InputError
from ..operators.macroscale.field_assumption_8 import FieldAssumption8
from ..operators.macroscale.field_intervals import FieldIntervals
from ..operators.macroscale.interval_field import IntervalField
from ..operators.macroscale.scale_report import ScaleReport
from ..operators.macroscale.scales import Scales
from ..results import Profile
from .along import draw_windows, figure_over_atoms
from .slices import plot_slices
from .style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PAPER,
    SKY,
    UPPER_LEFT,
    VERMILION,
    axis_label,
    draw_zero,
    figure_rows,
    finish_rows,
    leave_room,
    name_axis,
    name_values,
    new_figure,
    position_label,
    print_measurement,
    squared,
    styled,
)


@styled
def plot_interval_field(
    planar: Profile,
    result: IntervalField,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """The interval-valued average along the normal: a band from low to high, its midpoint, and the width eps_V.

    planar  the profile that was averaged
    result  IntervalField of it
    others  as in plot_profile

    Below, the width raw and less the slope, and a bar as long as eps_x.
    """
    figure, (upper, lower), _ = figure_over_atoms(planar, origin, [1.6, 1.1], width)
    x = result.position
    rows = [result.low, result.high, result.midpoint, result.eps_V, result.detrended]
    if planar.boundary == "periodic":
        x, rows = np.append(x, x[0] + planar.length), [np.append(row, row[0]) for row in rows]
    low, high, middle, raw, detrended = rows
    upper.fill_between(x, low, high, color=BLUE, alpha=0.3, lw=0, label="interval", zorder=2)
    upper.plot(x, middle, color=BLUE, lw=1.2, zorder=3, label="midpoint")
    name_values(upper, planar)
    lower.plot(x, raw, color=BLACK, lw=0.9, zorder=3, label="eps$_V$")
    lower.plot(x, detrended, color=VERMILION, lw=0.9, zorder=3, label="less the slope")
    lower.set_ylim(0, 1.5 * max(float(raw.max()), 1e-300))
    lower.legend(**UPPER_LEFT, ncols=2)
    name_axis(lower, "width", planar.unit)
    if low.min() <= 0 <= high.max():
        draw_zero(upper)
    leave_room(upper, 0.32)
    upper.legend(**UPPER_LEFT, ncols=2)
    draw_windows(upper, [result.eps_x], float(x[0] + x[-1]) / 2, "eps$_x$")
    finish_rows([upper, lower], position_label(planar.planes), (float(x[0]), float(x[-1])))
    return figure


@styled
def plot_field_intervals(
    result: FieldIntervals, *, through: Sequence[float] | None = None, width: str = "page"
) -> Figure:
    """The width eps_V of a field's intervals in the ball, as slices in true geometry.

    result  FieldIntervals
    through  fractional position through which the slices go; by default where the width differs most from its mean
    width   "page" (7 inches) or "column" (3.4 inches)
    """
    spread = result.high.derive(result.high.values - result.low.values, "eps_V in the ball")
    return plot_slices(spread, through=through, width=width, name="eps$_V$")


@styled
def plot_assumption_8(result: FieldAssumption8, *, width: str = "column") -> Figure:
    """Share of the positions at which Physical Assumption 8 is certain to hold, by the width a of the averages.

    result  FieldAssumption8
    width   "column" (3.4 inches) or "page" (7 inches)
    """
    figure = new_figure(width, 2.4)
    (axes,) = figure_rows(figure, [1.88])
    for window, share, colour in zip(result.windows, result.share, (BLUE, VERMILION, GREEN, BLACK), strict=False):
        axes.plot(result.widths, share, "o-", ms=2.2, lw=0.9, color=colour, label=window)
    axes.set_xlim(0.0, result.a)
    axes.set_ylim(-0.04, 1.35)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.legend(**UPPER_LEFT, ncols=2)
    axes.set_xlabel(axis_label("widths of averages up to $a$", "Å"))
    axes.set_ylabel("share of positions")
    return figure


BINS_PER_DECADE = 12
MOST_MARKS = 6
"""Of eps below a figure."""


@styled
def plot_scales(result: Scales, *, width: str = "column") -> Figure:
    """Power per mode against the wavevector, with the gap between the scales and the power law fitted in it.

    result  Scales
    width   "column" (3.4 inches) or "page" (7 inches)

    Thin: each mode or shell of modes; points: their means over bins of equal ratio.
    """
    figure = new_figure(width, 2.55)
    (axes,) = figure_rows(figure, [2.03])
    _draw_spectrum(axes, result)
    return figure


@styled
def plot_scale_report(result: ScaleReport, *, width: str = "column") -> Figure:
    """The spectrum as plot_scales draws it, and below it, against eps, the widths that averages have.

    result  ScaleReport
    width   "column" (3.4 inches) or "page" (7 inches)
    """
    figure = new_figure(width, 4.6)
    upper, lower = figure_rows(figure, [2.03, 1.5], gap=0.5, shared=False)
    _draw_spectrum(upper, result.scales)
    curves = [  # each with a mark of its own: print in grey has one colour
        (result.eps_V, BLUE, "o", "eps$_V$ in the ball"),
        (result.detrended, VERMILION, "s", "less the slope"),
        (result.eps_V_average, BLACK, "^", "2 std of the average"),
        (result.local_std, GREEN, "D", "local std"),
    ]
    order = np.argsort(result.eps)
    for values, colour, mark, label in curves:
        if np.isfinite(values).all() and (values > 0).all():
            look = {"marker": mark, "ms": 3, "mfc": "white", "mew": 0.8, "lw": 0.9, "color": colour}
            lower.loglog(result.eps[order], values[order], label=label, **look)
    low, high = lower.get_ylim()
    lower.set_ylim(low, high * (high / low) ** 0.45)
    lower.legend(**UPPER_LEFT, ncols=2)
    marked = result.eps[order][:: ceil(len(order) / MOST_MARKS)]
    lower.set_xticks(marked, [f"{eps:.3g}" for eps in marked])
    lower.tick_params(axis="x", which="minor", bottom=False, top=False, labelbottom=False)
    lower.set_xlabel(axis_label("eps", "Å"))
    lower.set_ylabel(axis_label("width", result.unit))
    return figure


def _draw_spectrum(axes: Axes, result: Scales) -> None:
    """Power per mode, gap and power law."""
    k, density = result.k, result.power / result.modes
    if result.gap is None or result.a is None or result.L is None:
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
    if k[-1] < 30 * k[0]:  # powers of ten alone would be one or none
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(bottom, 10 ** (np.log10(top) + 0.28 * np.log10(top / bottom)))
    axes.axvspan(max(result.gap[0], k[0] / 1.3), result.gap[1], color=SKY, alpha=0.3, lw=0, zorder=0)
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
