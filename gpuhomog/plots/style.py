"""How all figures look: sizes, palette, names of axes, numbers as print has them; files written whole.

Figures are matplotlib Figures of their own, never pyplot's: nothing global is touched, no window is opened.

In   units, quantities, measurements, figures.
Out  labels, texts, empty figures; .png, .pdf or .svg.
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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..errors import InputError, nearest_known
from ..results import Measurement, Profile
from ..units import ROUNDING, is_rounding
from ..writers.atomic import replacing

WIDTHS = {"column": 3.4, "page": 7.0}  # inches: one and two columns of a journal

FORMATS = ("png", "pdf", "svg")

SMALL = 7  # points: no letter is smaller in print, but for indices

# Okabe and Ito's palette, told apart with any colour vision
BLACK, ORANGE, SKY, GREEN, YELLOW = "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442"

BLUE, VERMILION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"

GREY, VACUUM = "#707070", "#EFEFEF"  # letters in this grey are read on this paper

UPPER_LEFT: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0.02, 1.0), "borderaxespad": 0.2}
"""Where a legend stands clear of the ticks."""

PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0}

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
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

SYMBOLS = {"charge density": "ρ", "electron density": "n", "electron potential energy": "energy"}
"""What stands for a name where a panel is too low for it."""

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
    """Label of the y axis; large and small numbers get a power of ten beside the unit. Limits must be final.

    What is rounding alone, in e and V, is drawn as the straight line that it is.
    """
    if is_rounding(max(abs(limit) for limit in axes.get_ylim()), unit):
        axes.set_ylim(-1.2 * ROUNDING, 1.2 * ROUNDING)  # no tick at the ends, where panels meet
    size = max(abs(limit) for limit in axes.get_ylim())
    power = floor(log10(size)) if size > 0 else 0
    if -3 < power < 5:
        axes.set_ylabel(axis_label(name, unit))
        return
    axes.yaxis.set_major_formatter(lambda value, _: f"{value / 10.0**power:.4g}".replace("-", "−"))
    axes.set_ylabel(f"{name} ({f'10$^{{{power}}}$ {unit_label(unit)}'.strip()})")


def name_values(axes: Any, profile: Profile) -> None:
    """Label of the y axis of a profile's values."""
    name_axis(axes, NAMES.get(profile.quantity, profile.quantity), profile.unit)


def draw_zero(axes: Any) -> None:
    """A thin line across at zero."""
    axes.axhline(0.0, color=GREY, lw=0.5, zorder=1)


def new_figure(width: str, height: float) -> Figure:
    """An empty figure of a printed width ("column" or "page", else InputError) and a height in inches."""
    if width not in WIDTHS:
        raise InputError(f'Figure width "{width}": {nearest_known(width, WIDTHS)}')
    figure = Figure(figsize=(WIDTHS[width], height))
    FigureCanvasAgg(figure)
    return figure


def figure_rows(figure: Figure, heights: Sequence[float], gap: float = 0.06, shared: bool = True) -> list[Any]:
    """Axes one below the other, of given heights in inches, over the figure's height; sharing x unless told not to."""
    width, height = figure.get_size_inches()
    left, right, top = 0.68, 0.12, 0.1
    axes: list[Any] = []
    y = height - top
    for h in heights:
        y -= h
        share = axes[0] if axes and shared else None
        frame = (left / width, y / height, (width - left - right) / width, h / height)
        axes.append(figure.add_axes(frame, sharex=share))
        y -= gap
    return axes


def finish_rows(rows: Sequence[Any], label: str, ends: tuple[float, float]) -> None:
    """Axes of figure_rows that share x: label and limits at the lowest, names of the y axes in one column.

    Of two numbers that would touch where rows meet, the lower one is left out.
    """
    for axes in rows[:-1]:
        axes.tick_params(axis="x", which="both", labelbottom=False)
    rows[-1].set_xlabel(label)
    rows[-1].set_xlim(*ends)
    for axes in rows:
        axes.yaxis.set_label_coords(-0.5 / (axes.figure.get_figwidth() - 0.8), 0.5)
        fit_label(axes)
    for upper, lower in pairwise(rows):
        ticks = lower.get_yticks()
        shown = ticks[(ticks >= min(lower.get_ylim())) & (ticks <= max(lower.get_ylim()))]
        above = [y for y in upper.get_yticks() if y >= min(upper.get_ylim())]
        if len(shown) > 2 and above:
            gap = upper.transData.transform((0, above[0]))[1] - lower.transData.transform((0, shown[-1]))[1]
            if gap < 1.2 * SMALL * lower.figure.dpi / 72:
                lower.set_yticks(shown[:-1])


def fit_label(axes: Any) -> None:
    """A label of the y axis that is longer than the axis gets the symbol of its quantity, then smaller letters."""
    label, figure = axes.yaxis.label, axes.figure
    room = axes.get_position().height * figure.get_figheight() * figure.dpi

    def length() -> float:
        return float(label.get_window_extent(figure.canvas.get_renderer()).height)

    for name, symbol in SYMBOLS.items():
        if length() > room:
            label.set_text(re.sub(f"^{name}", symbol, label.get_text()))
    if length() > room:
        label.set_fontsize(max(SMALL, label.get_fontsize() * room / length()))


def leave_room(axes: Any, above: float, below: float = 0.0) -> None:
    """Widen the y limits by parts of their height."""
    low, high = axes.get_ylim()
    axes.set_ylim(low - below * (high - low), high + above * (high - low))


def squared(unit: str) -> str:
    """The square of a unit.

    >>> squared("e/Å^3"), squared("V")
    ('e^2/Å^6', 'V^2')
    """
    words = re.findall(r"([*/]?)([^*/^]+)(?:\^(-?\d+))?", unit)
    return "".join(f"{sign}{name}" + ("" if name == "1" else f"^{2 * int(power or 1)}") for sign, name, power in words)


def write_measurements(axes: Any, measured: Sequence[tuple[str, Measurement, str]]) -> None:
    """Name, value and uncertainty of each, above the curve, in the colour in which they are drawn."""
    leave_room(axes, 0.14 * len(measured))
    for row, (name, value, colour) in enumerate(measured):
        text = f"{name} = {print_measurement(value)}" if value.defined else f"{name} not defined"
        y = 0.96 - 0.11 * row
        axes.text(0.03, y, text, transform=axes.transAxes, va="top", fontsize=SMALL, color=colour, zorder=6, bbox=PAPER)


def print_measurement(measured: Measurement) -> str:
    """Value ± uncertainty and unit as print has them, small numbers as powers of ten.

    >>> print_measurement(Measurement(-3.21e-7, "e/Å^2", 1.2e-7)), print_measurement(Measurement(5.8321, "V", 0.002))
    ('(−3.2 ± 1.2) × 10$^{-7}$ e Å$^{-2}$', '5.832 ± 0.002 V')
    >>> print_measurement(Measurement(4.34283076, "V", 1e-12)), print_measurement(Measurement(2e-16, "V", 3e-16))
    ('4.342831 V', '0 V')
    """
    value, unit = float(measured), unit_label(measured.unit)
    spread = measured.uncertainty or 0.0
    if is_rounding(max(abs(value), spread), measured.unit):
        value = spread = 0.0
    size = max(abs(value), spread)
    power = floor(log10(size)) if size > 0 else 0
    power = power if power < -2 or power > 4 else 0
    value, spread = value / 10.0**power, spread / 10.0**power
    digits = 4 if size > 0 else 0
    if spread > 0:
        digits = max(0, (1 if spread / 10 ** floor(log10(spread)) < 2.95 else 0) - floor(log10(spread)))
        if spread / 10 ** floor(log10(spread)) > 1.95 and digits > 1:
            digits -= 1 if abs(spread - round(spread, digits - 1)) < 0.05 * spread else 0
        digits = min(digits, 8)
        if round(spread, digits) == 0:  # of rounding alone: nothing that print needs to know
            spread, digits = 0.0, 6
    text = f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
    if spread > 0:
        text += f" ± {spread:.{digits}f}"
    if power:
        text = (f"({text})" if spread > 0 else text) + f" × 10$^{{{power}}}$"
    return f"{text} {unit}".strip()


def plane_in_words(planes: str) -> str:
    """The plane family in words: "c" is spanned by a and b."""
    return {"a": "the b, c plane", "b": "the a, c plane", "c": "the a, b plane"}.get(planes.lstrip("-"), planes)


def position_label(planes: str) -> str:
    """Label of the x axis of what lies along the normal of a plane family."""
    return f"position normal to {plane_in_words(planes)} (Å)"


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
