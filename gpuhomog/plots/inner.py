"""Figures of the inside of a material: its mean potential against vacuum, and spheres around a point.

In   results of the operators.
Out  Figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..operators.potentials.cavity import LorentzCavity
from ..operators.potentials.inner_potential import InnerPotential
from ..structure import Structure
from ..units import ROUNDING
from .along import figure_over_atoms
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
    VERMILION,
    axis_label,
    figure_rows,
    finish_rows,
    leave_room,
    name_axis,
    new_figure,
    position_label,
    styled,
    write_measurements,
)

BLOCK_COLOURS = (GREEN, PURPLE, ORANGE)
ROOM_ON_THE_RIGHT = 0.16
"""Part of the slab's line kept free beyond it for the levels of blocks."""


@styled
def plot_inner_potential(
    result: InnerPotential,
    structure: Structure | None = None,
    *,
    origin: Sequence[float] | NDArray[np.float64] = (0.0, 0.0, 0.0),
    width: str = "column",
) -> Figure:
    """Potential along the normal, zero in the vacuum below, its mean in the bulk, and the levels it is compared with.

    structure  atoms above the curve
    origin     position of the first grid point [Å]

    The bar is as long as what was averaged over. Dashes: D_L/ε0, the surface's dipole; dots: eq. 80, the surface's
    charge alone; marks at the right: Bethe's potential of each block on this facet.
    """
    assert result.line is not None
    line = replace(result.line, structure=structure)
    start, end = float(line.position[0]), float(line.position[-1])
    figure, (axes,), _ = figure_over_atoms(line, origin, [2.1], width, start=start, ends=False)
    axes.plot(line.position, line.values, color=BLACK, lw=0.7, zorder=3)
    mean = result.phi_mean_vs_vacuum_L
    reach = (result.period or 2 * (result.eps or 0.0)) / 2
    low, high = result.x_b - reach, result.x_b + reach
    axes.axvspan(low, high, color=SKY, alpha=0.25, lw=0, zorder=0)
    for face in result.faces:
        axes.axvline(face, color=GREY, lw=0.6, ls=(0, (2, 2)), zorder=1)
    if mean.defined:
        axes.plot([low, high], [float(mean)] * 2, color=BLUE, lw=2.2, solid_capstyle="butt", zorder=5)
    inside = [max(result.faces[0], start), min(result.faces[1], end)]
    for level, colour, dashes in (
        (result.D_L_over_eps0, VERMILION, (0, (5, 2))),
        (result.phi_paper_eq80, GREY, (0, (1, 1.5))),
    ):
        if level.defined:
            axes.plot(inside, [float(level)] * 2, color=colour, lw=1.0, ls=dashes, zorder=4)
    blocks = [(name, value) for name, value in result.bethe_block_normal.items() if value.defined]
    room = ROOM_ON_THE_RIGHT * (end - start) if blocks else 0.0
    for number, (name, value) in enumerate(blocks):
        colour = BLOCK_COLOURS[number % len(BLOCK_COLOURS)]
        axes.plot([end, end + room], [float(value)] * 2, color=colour, lw=2.2, solid_capstyle="butt", zorder=5)
        text = f"{name}\n{float(value):.4g} V".replace("-", "−")
        style = {"ha": "right", "va": "bottom", "fontsize": SMALL, "color": colour, "bbox": PAPER, "zorder": 6}
        axes.annotate(text, (end + room, float(value)), (-3, 3), textcoords="offset points", **style)
    name_axis(axes, "potential", "V")
    finish_rows([axes], position_label(result.planes), (start, end + room))
    measured = [
        ("mean − vacuum", mean, BLUE),
        ("D$_L$/ε$_0$", result.D_L_over_eps0, VERMILION),
        ("eq. 80", result.phi_paper_eq80, GREY),
    ]
    write_measurements(axes, measured)
    return figure


@styled
def plot_cavity(result: LorentzCavity, *, width: str = "column") -> Figure:
    """Charge in spheres, their dipole density and the field at their centre, by radius, single and averaged.

    Vectors are shown along the field at the centre, or along the cell's dipole where there is none. Lines across: the
    field of the whole crystal, which what is cut sharply averages to, and that of whole cells, which differs from it by
    P/(3ε0).
    """
    direction, name = _direction(result)
    rows = [
        ("q", "e", result.q, result.q_tophat, result.q_triangle),
        (
            "p/V",
            "e/Å^2",
            result.p_over_V @ direction,
            result.p_over_V_tophat @ direction,
            result.p_over_V_triangle @ direction,
        ),
        (
            "E of the sphere",
            "V/Å",
            result.E_near @ direction,
            (result.E_periodic - result.E_out_tophat) @ direction,
            (result.E_periodic - result.E_out_triangle) @ direction,
        ),
    ]
    figure = new_figure(width, 4.7)
    order = np.argsort(result.radii)
    radii = result.radii[order]
    marker = "o" if len(radii) < 12 else ""
    joined = "none" if marker else "-"
    words = ("each R", f"over {result.width:.3g} Å", f"triangle ± {2 * result.width:.3g} Å")
    all_axes = figure_rows(figure, [1.25, 1.25, 1.45], gap=0.08)
    last = all_axes[-1]
    for axes, (label, unit, *curves) in zip(all_axes, rows, strict=True):
        for values, colour, lw, word in zip(curves, (GREY, VERMILION, BLUE), (0.7, 1.0, 1.4), words, strict=True):
            if np.isnan(values).all():  # no radius has room for that average
                continue
            axes.plot(radii, values[order], ls=joined, marker=marker, ms=3, color=colour, lw=lw, label=word, zorder=3)
        if axes is last:
            crystal, cells = result.E_periodic @ direction, result.E_intact @ direction
            for level, colour, word, above in (
                (crystal, BLACK, "whole crystal", crystal >= cells),
                (cells, GREEN, "sphere of whole cells", cells > crystal),
            ):
                axes.axhline(level, color=colour, lw=0.8, ls=(0, (4, 2)), zorder=4)
                look = {"ha": "right", "va": "bottom" if above else "top", "fontsize": SMALL, "color": colour}
                at = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
                axes.annotate(word, (1.0, level), (-4, 3 if above else -3), bbox=PAPER, zorder=6, **at, **look)
        leave_room(axes, *((0.08, 0.08) if axes is last else (0.25,)))
        name_axis(axes, label, unit)
    all_axes[0].legend(loc="upper center", ncols=3, borderaxespad=0.1, columnspacing=0.8, handlelength=1.0)
    look = {"ha": "center", "va": "top", "fontsize": SMALL, "color": GREY, "transform": all_axes[1].transAxes}
    all_axes[1].text(0.5, 0.97, f"vectors along {name}", **look)
    finish_rows(all_axes, axis_label("radius R", "Å"), last.get_xlim() if marker else (radii[0], radii[-1]))
    return figure


def _direction(result: LorentzCavity) -> tuple[NDArray[np.float64], str]:
    """Unit vector along which vectors are drawn, and its name."""
    scale = max(float(np.abs(result.E_near).max()), ROUNDING / 1e-9)
    for vector in (result.E_periodic, result.P_over_3eps0):
        size = float(np.linalg.norm(vector))
        if size > 1e-9 * scale:
            unit = vector / size
            close = np.flatnonzero(np.abs(unit) > 1 - 1e-9)
            if close.size:
                axis = np.zeros(3)
                axis[close[0]] = 1.0
                return axis, "xyz"[close[0]]
            return unit, f"({', '.join(f'{round(x, 2) + 0.0:.2f}' for x in unit)})".replace("-", "−")
    return np.array([1.0, 0.0, 0.0]), "x"
