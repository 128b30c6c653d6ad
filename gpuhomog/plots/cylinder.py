"""Figures of what cylinders of charge do: maps of a plane, the budget of the potential, the decay with the radius.

In   results of the operators.
Out  Figure.
"""

from __future__ import annotations

from math import floor, isclose, log10
from typing import Any

import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure

from ..errors import InputError
from ..grid import AXIS_NAMES
from ..operators.potentials.budget import PotentialBudget
from ..operators.potentials.cylinder_potential import CylinderPotential
from ..operators.potentials.deviation_decay import DeviationDecay
from ..results import Measurement
from .slices import colour_scale, in_plane
from .style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PAPER,
    SKY,
    SMALL,
    UPPER_LEFT,
    VERMILION,
    WIDTHS,
    leave_room,
    new_figure,
    print_measurement,
    styled,
)

PARTS = (("Φ", ""), (r"Φ of $\bar{\rho}$", "_average"), ("Φ of Δρ", "_deviation"))


@styled
def plot_cylinder(result: CylinderPotential, *, number: int = 0, width: str = "page") -> Figure:
    """Maps of one plane: the potential, the part of the disc average, the part of the rest; each its own colours.

    number  which of the planes

    Raises InputError for a result at points.
    """
    if result.points is not None:
        raise InputError("Points have no map: ask for planes x_b.")
    maps = []
    for name, suffix in PARTS:
        parts = [getattr(result, side + suffix) for side in ("low", "high")]
        values = [part[number] for part in parts if part is not None]
        if values:
            maps.append((name, sum(values)))
    vectors = in_plane(np.vstack([result.vectors, np.zeros(3)]), 0, 1)
    first, second = (name for name in AXIS_NAMES if name != result.planes)
    shape = maps[0][1].shape
    u, v = ((np.arange(n + 1) - 0.5) / n for n in shape)  # cells centred on their points
    corners = u[:, None, None] * vectors[0] + v[None, :, None] * vectors[1]
    span = np.ptp(corners.reshape(-1, 2), axis=0)
    page, left, gap, below, above = WIDTHS[width], 0.5, 0.18, 0.42, 0.5
    each = (page - left - 0.1 - gap * (len(maps) - 1)) / len(maps)
    tall = min(each * span[1] / span[0], 3.0)
    wide = tall * span[0] / span[1]
    height = below + tall + above
    figure = new_figure(width, height)
    for column, (name, values) in enumerate(maps):
        x = left + column * (each + gap)
        axes = figure.add_axes((x / page, below / height, wide / page, tall / height))
        colours, low, high, extend = colour_scale(values)
        mesh = axes.pcolormesh(corners[..., 0], corners[..., 1], values, cmap=colours, vmin=low, vmax=high)
        mesh.set_rasterized(True)
        axes.set_aspect("equal")
        axes.set_xlabel(f"{first} (Å)")
        axes.tick_params(axis="y", labelleft=column == 0)
        bar = figure.add_axes((x / page, (below + tall + 0.08) / height, wide / page, 0.07 / height))
        shown = figure.colorbar(mesh, cax=bar, orientation="horizontal", extend=extend)
        shown.ax.xaxis.set_ticks_position("top")
        shown.ax.xaxis.set_label_position("top")
        shown.ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(3))
        shown.set_label(f"{name} (V)")
        shown.outline.set_linewidth(0.5)
        shown.ax.minorticks_off()
        if column == 0:
            axes.set_ylabel(f"⊥ {first} (Å)" if abs(vectors[1, 0]) > 1e-6 * span[0] else f"{second} (Å)")
    return figure


@styled
def plot_budget(result: PotentialBudget, *, width: str = "column") -> Figure:
    """The terms one after the other up to their sum, and the exact sum; below, the mean against R if it was asked for.

    The upper figure counts from zero: each bar begins where the one before ends, and has its error. In the lower one
    points are exact, the line is what the solid angles of both surfaces give; depth of x_b and thickness are marked.
    """
    page, limits = WIDTHS[width], result.radii is not None
    bars = _bars(result)
    left, right, top, bottom, row = 0.95, 0.55, 0.1, 0.42, 0.17
    upper, lower = row * (len(bars) + 0.6), 1.7 if limits else 0.0
    height = top + upper + bottom + (lower + bottom if limits else 0.0)
    figure = new_figure(width, height)

    def frame(below: float, tall: float) -> tuple[float, float, float, float]:
        return left / page, below / height, (page - left - right) / page, tall / height

    axes = figure.add_axes(frame(height - top - upper, upper))
    _draw_bars(axes, bars, result)
    if limits:
        _draw_limits(figure.add_axes(frame(bottom, lower)), result)
    return figure


def _bars(result: PotentialBudget) -> list[tuple[str, Measurement, bool]]:
    """Name, value, and whether it begins at zero."""
    film = result.case == "film"
    terms = [
        ("R(σ$_L$ + σ$_R$)" if film else "Rσ$_L$", _together(result.R_sigma, result.minus_R_M1)),
        ("−σ depth", result.minus_sigma_depth),
        ("D$_L$", result.D_L_over_2eps0),
        *([("D$_R$", result.D_R_over_2eps0)] if film else []),
        ("M$_2$/2, of Φ$_L$", result.M2_over_4eps0),
        ("M$_2$/2, of Φ$_r$", result.M2_over_4eps0),
        ("order 1/R", result.order_1_over_R),
    ]
    if result.radius is None:
        terms = [term for term in terms[:-1] if not (term[0].startswith("R") and term[1].defined)]
    rows = [(name, value, False) for name, value in terms]
    return [
        *rows,
        ("exact", result.exact_direct, True),
        ("mean", result.mean_direct, True),
        ("eq. 80", result.printed, True),
    ]


def _together(one: Measurement, other: Measurement) -> Measurement:
    """Sum of two terms that are large and nearly opposite."""
    return Measurement(float(one) + float(other), "V") if one.defined else one


def _printed(value: float, largest: float) -> str:
    """Four digits of the largest one."""
    digits = max(0, 3 - floor(log10(largest))) if largest > 0 else 0
    text = f"{value:.{digits}f}".replace("-", "−")
    return text.lstrip("−") if float(f"{value:.{digits}f}") == 0 else text


def _draw_bars(axes: Any, bars: list[tuple[str, Measurement, bool]], result: PotentialBudget) -> None:
    at = 0.0
    largest = max([abs(float(value)) for _, value, _ in bars if value.defined], default=1.0)
    beside = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "va": "center", "fontsize": SMALL}
    for number, (name, value, from_zero) in enumerate(bars):
        start = 0.0 if from_zero else at
        if not value.defined:
            axes.annotate("diverges", (1.0, -number), (3, 0), **beside, color=VERMILION)
            continue
        axes.annotate(_printed(float(value), largest), (1.0, -number), (3, 0), **beside)
        colour = {"exact": BLACK, "mean": BLUE, "eq. 80": GREY}.get(name, GREEN if float(value) >= 0 else VERMILION)
        error = {"xerr": value.uncertainty, "error_kw": {"elinewidth": 0.7, "capsize": 1.5, "capthick": 0.7}}
        axes.barh(-number, float(value), left=start, height=0.62, color=colour, lw=0, **error)
        if not from_zero:
            at = start + float(value)
            axes.plot([at, at], [-number, -number - 1], color=GREY, lw=0.5, zorder=0)
    axes.axvline(0.0, color=BLACK, lw=0.6, zorder=1)
    axes.set_yticks(-np.arange(len(bars)), [name for name, _, _ in bars])
    axes.tick_params(axis="y", which="both", length=0)
    axes.minorticks_off()
    axes.use_sticky_edges = False
    axes.margins(x=0.05)
    axes.set_ylim(-len(bars) + 0.4, 0.6)
    axes.set_xlabel(f"potential at x$_b$ = {result.x_b:.2f} Å (V)")


def _draw_limits(axes: Any, result: PotentialBudget) -> None:
    assert result.radii is not None and result.mean_of_radius is not None and result.sheets_of_radius is not None
    axes.semilogx(result.radii, result.sheets_of_radius, color=BLUE, lw=1.0, zorder=3, label="solid angles")
    axes.plot(result.radii, result.mean_of_radius, "o", ms=2.5, color=BLACK, zorder=4, label="exact")
    depth = abs(result.x_b - result.faces[0])
    leave_room(axes, 0.18)
    for name, x, y, side in (
        ("depth", depth, 0.5, "right"),
        ("thickness", result.faces[1] - result.faces[0], 0.05, "left"),
    ):
        axes.axvline(x, ymax=1 / 1.18, color=GREY, lw=0.6, ls=(0, (2, 2)), zorder=1)  # below the legend
        kind = {"ha": side, "va": "center" if y == 0.5 else "bottom", "rotation": 90, "fontsize": SMALL, "color": GREY}
        at = {"textcoords": "offset points", "xycoords": axes.get_xaxis_transform()}
        axes.annotate(name, (x, y), (-1 if side == "right" else 1, 0), **at, **kind)
    axes.axhline(0.0, color=BLACK, lw=0.4, zorder=1)
    axes.set_xlim(result.radii[0], result.radii[-1])
    axes.set_xlabel("radius of the cylinder (Å)")
    axes.set_ylabel("mean potential (V)")
    axes.legend(**UPPER_LEFT, ncols=2)


@styled
def plot_decay(result: DeviationDecay, *, width: str = "column") -> Figure:
    """Magnitudes of Φ^[Δρ] by radius, their RMS in bins and the fitted power of R, both axes logarithmic."""
    page, height, left = WIDTHS[width], 2.3, 0.72
    figure = new_figure(width, height)
    axes = figure.add_axes((left / page, 0.42 / height, (page - left - 0.12) / page, (height - 0.52) / height))
    size = np.abs(result.values)
    seen = size > 1e-3 * result.rms.min()
    axes.loglog(result.radii[seen], size[seen], ".", ms=2, color=SKY, zorder=2, label="each R")
    axes.plot(result.binned_radii, result.rms, "o", ms=3, color=BLACK, zorder=4, label="RMS")
    measured = result.exponent
    if measured.defined:
        x, y = np.log(result.binned_radii), np.log(result.rms)
        fitted = np.exp(y.mean() + float(measured) * (x - x.mean()))
        axes.plot(result.binned_radii, fitted, color=VERMILION, lw=1.0, zorder=3, label="fit")
        text = f"exponent {print_measurement(measured)}"
    else:
        text = f"exponent not defined: {measured.reason}"
    axes.text(0.97, 0.95, text, transform=axes.transAxes, ha="right", va="top", fontsize=7, bbox=PAPER)
    low, high = axes.get_ylim()
    if isclose(low, high):
        high = low * 10
    axes.set_ylim(low, high * 2)
    axes.set_xlabel("radius of the cylinder (Å)")
    axes.set_ylabel("|Φ of Δρ| (V)")
    axes.legend(loc="lower left", borderaxespad=0.3)
    return figure
