"""Panels of the paper's figures: beside one another on a page, one below the other in a column, lettered.

In   printed width, relative widths of the panels, their height in inches.
Out  figure and axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..plots.style import new_figure


def panels(width: str, shares: Sequence[float], height: float) -> tuple[Any, Sequence[Any]]:
    """A figure of panels (a), (b), … of one height [inches], and their axes.

    width   "page": beside one another; "column": one below the other
    shares  relative widths on a page
    """
    count = len(shares)
    figure = new_figure(width, height if width == "page" else count * height)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.05)
    axes = figure.subplots(1, count, width_ratios=shares) if width == "page" else figure.subplots(count, 1)
    for letter, panel in zip("abcdef", axes, strict=False):
        panel.set_title(f"({letter})", loc="left", fontsize=8, pad=3)
    return figure, axes
