"""Level sets: the zero-average partition around a position x_b, where the cumulative integral returns to its value.

    C(x) = ∫ Δν,   Q(x) = C(x) - C(x_b);   the edges are zeros of Q, so each interval between two of them is neutral

On cells C is piecewise linear and its crossings are exact. Where Q stays at zero (vacuum, or between point charges) the
edge is the middle of that plateau. From x_b outward the nearest zero at least two cells away is taken.

In   an Unrolled line of cells, a window.
Out  positions on the host; AdvisedError where C stays away for too long, with the nearest level that does not.

>>> pairs = np.array([0, 1, -1, 0, 0, 1, -1, 0], dtype=float)
>>> line = Unrolled(0.0, 1.0, pairs, "cell")
>>> edges_around(line, 4.0, Window(0.0, 8.0, largest=4.0)).tolist()
[0.5, 4.0, 7.5]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import AdvisedError
from ..profiles.unrolled import Unrolled, quiet_runs

Array = NDArray[np.float64]

WHOLE = 1e-3
"""Of a period, by which a partition may differ from whole ones."""

ZERO = 1e-12
"""|Q| below this fraction of the largest |C| is zero: rounding of sums."""
LEAST_CELLS = 2
"""Cells between two edges, at least."""
MOST_TRIED = 400
"""Levels that are tried before a partition is called impossible."""


@dataclass(frozen=True)
class Window:
    """Where edges may lie, and how.

    low, high  positions [Å]
    largest    widest stretch without an edge [Å]
    cell       period of a periodic line [Å]: the window is one on either side of x_b, with the same edges; else None
    period     of the bulk [Å]: the outermost edges are those nearest to whole periods from x_b; None: all edges
    unit       of C, for messages
    """

    low: float
    high: float
    largest: float
    cell: float | None = None
    period: float | None = None
    unit: str | None = None


def zeros_of(line: Unrolled, level: float, low: float, high: float) -> Array:
    """Where C is at a level between two positions, in order; the middle of each stretch where it stays there."""
    edges, running = line.running_at_edges
    inside = slice(max(int(np.searchsorted(edges, low, "right")) - 1, 0), int(np.searchsorted(edges, high)) + 1)
    edges, running = edges[inside], running[inside] - level
    running = np.where(np.abs(running) <= ZERO * line.highest, 0.0, running)
    at = np.flatnonzero(running[:-1] * running[1:] < 0)
    crossed = edges[at] + line.spacing * running[at] / (running[at] - running[at + 1])
    flat = running == 0
    runs = quiet_runs(flat, periodic=False) if flat.any() else []
    middles = [(max(edges[i], low) + min(edges[i + n - 1], high)) / 2 for i, n in runs]
    found = np.sort(np.concatenate([crossed, np.array(middles, dtype=np.float64)]))
    return np.asarray(found[(found >= low) & (found <= high)])


def _outward(zeros: Array, start: float, least: float) -> list[float]:
    """From a position on, each zero at least `least` beyond the one before."""
    chosen = [start]
    for zero in zeros:
        if abs(zero - chosen[-1]) >= least:
            chosen.append(float(zero))
    return chosen[1:]


def _up_to(edges: list[float], zeros: Array, x_b: float, reach: float, window: Window, least: float) -> list[float]:
    """The edges on one side, the last of them the zero nearest to the last whole period within reach."""
    period = window.period
    if period is None or not edges or reach < period:
        return edges
    side = np.sign(edges[0] - x_b)
    wanted = x_b + side * period * np.floor(reach / period * (1 + 1e-9))
    outside = zeros[side * (zeros - x_b) > 0]
    last = float(outside[np.argmin(np.abs(outside - wanted))])
    return [e for e in edges if side * (last - e) >= least] + [last]


def find_edges(line: Unrolled, x_b: float, window: Window) -> tuple[Array, tuple[float, float]]:
    """Edges around x_b, which is one of them, and the widest stretch without an edge in the symmetric window."""
    level, least = float(line.cumulative(x_b)), LEAST_CELLS * line.spacing
    if window.cell is not None:
        end = x_b + window.cell
        zeros = zeros_of(line, level, x_b - window.cell / 2, end + window.cell / 2)
        above = _outward(zeros[(zeros > x_b) & (zeros <= end - least)], x_b, least)
        below = [x_b - window.cell, *(e - window.cell for e in above)]
        edges = np.array([*below, x_b, *above, end])
        widest = int(np.argmax(np.diff(edges)))
        return edges, (float(edges[widest]), float(edges[widest + 1]))
    reach = min(x_b - window.low, window.high - x_b)
    ends = (float(x_b - reach), float(x_b + reach))
    between = line.running_at_edges[1][slice(*np.searchsorted(line.running_at_edges[0], ends))]
    if reach > 0 and np.abs(np.r_[between, line.cumulative(ends)] - level).max() <= ZERO * line.highest:
        return np.array([ends[0], x_b, ends[1]]), ends[:1] * 2  # C stays where it is: any edge is one
    zeros = zeros_of(line, level, *ends)
    above = _outward(zeros[zeros > x_b], x_b, least)
    below = _outward(zeros[zeros < x_b][::-1], x_b, least)
    stretches = np.array([x_b - reach, *below[::-1], x_b, *above, x_b + reach])
    widest = int(np.argmax(np.diff(stretches)))
    above, below = (_up_to(edges, zeros, x_b, reach, window, least) for edges in (above, below))
    return np.array([*below[::-1], x_b, *above]), (float(stretches[widest]), float(stretches[widest + 1]))


def usable(line: Unrolled, x_b: float, window: Window) -> Array | None:
    """The edges around x_b, or None where C stays away from its value for longer than it may."""
    edges, (start, stop) = find_edges(line, x_b, window)
    short = stop - start <= window.largest * (1 + 1e-9)
    return edges if short and edges[0] < x_b < edges[-1] else None


def edges_around(line: Unrolled, x_b: float, window: Window) -> Array:
    """The edges around x_b; AdvisedError, with the nearest usable level, where there is no such partition."""
    edges = usable(line, x_b, window)
    if edges is not None:
        return edges
    _, (start, stop) = find_edges(line, x_b, window)
    level, unit = float(line.cumulative(x_b)), f" {window.unit}" if window.unit else ""
    other = nearest_usable(line, x_b, window)
    advice = "No level of this window has one: allow"
    if other is not None:
        advice = f"Nearest usable level {float(line.cumulative(other)):.6g}{unit}, at x_b = {other:.6g} Å; or allow"
    raise AdvisedError(
        f"The cumulative integral does not return to its value at x_b = {x_b:.6g} Å, {level:.6g}{unit}, within "
        f"{window.largest:.6g} Å: from {start:.6g} to {stop:.6g} Å it stays away, so there is no zero-average "
        "partition",
        f"{advice} a larger `largest`; or take the kernel estimate, which needs no partition: gh.surface_charge.",
    )


def nearest_usable(line: Unrolled, x_b: float, window: Window) -> float | None:
    """The position nearest to x_b whose level has a partition: an edge of a cell, or the middle of a plateau."""
    edges, running = line.running_at_edges
    steps = np.flatnonzero(np.abs(np.diff(running)) > ZERO * line.highest)
    bounds = np.concatenate([[0], steps + 1, [len(edges)]])  # runs of edges at one level
    middles = (np.maximum(edges[bounds[:-1]], window.low) + np.minimum(edges[bounds[1:] - 1], window.high)) / 2
    middles = middles[(middles > window.low) & (middles < window.high)]
    for x in middles[np.argsort(np.abs(middles - x_b), kind="stable")][:MOST_TRIED]:
        if usable(line, float(x), window) is not None:
            return float(x)
    return None


def local_mean_crossing(line: Unrolled, window: Window, middle: float, width: float) -> float:
    """The position nearest to the middle where C crosses its mean over `width` around, and has a partition.

    There M1 vanishes as well. AdvisedError if no such crossing has one.
    """
    least = width / 2
    x = np.linspace(window.low, window.high, 8 * int((window.high - window.low) / line.spacing) + 9)
    x = x[(x - least >= line.start - 1e-9 * width) & (x + least <= line.end + 1e-9 * width)]
    if not len(x):
        x = np.array([middle])
    apart = line.cumulative(x) - line.window_mean(x, width)
    apart = np.where(np.abs(apart) <= ZERO * line.highest, 0.0, apart)
    at = np.flatnonzero(apart[:-1] * apart[1:] < 0)
    crossed = [x[i] + (x[i + 1] - x[i]) * apart[i] / (apart[i] - apart[i + 1]) for i in at]
    flat = apart == 0
    crossed += [(x[i] + x[i + n - 1]) / 2 for i, n in (quiet_runs(flat, periodic=False) if flat.any() else [])]
    found = sorted((float(c) for c in crossed), key=lambda c: abs(c - middle))
    for candidate in found[:MOST_TRIED]:
        if usable(line, candidate, window) is not None:
            return candidate
    edges_around(line, found[0] if found else middle, window)  # says why
    return found[0] if found else middle


def without_ends(edges: Array, x: float, period: float | None = None) -> list[Array]:
    """A partition around x less the outermost interval of either side, and of both: what its ends may do.

    None for one of whole periods, whose ends are alike.
    """
    span = float(edges[-1] - edges[0])
    if period is not None and abs(span - period * round(span / period)) < WHOLE * period:
        return []
    return [some for some in (edges[1:], edges[:-1], edges[1:-1]) if len(some) > 1 and some[0] < x < some[-1]]
