"""Moments of a line: first moments and means of its running charge, all by the running integrals of unrolled.py.

    C(x) = ∫_vac^x f,   D(x) = ∫_vac^x C,   ∫ (x - x_0) f = (x_end - x_0) C(x_end) - D(x_end)

Each is exact for what the samples stand for, waves or cells.

In   Unrolled, positions [Å].
Out  means of C in the unit of f Å, first moments in that of f Å^2.
"""

from __future__ import annotations

from math import hypot

import numpy as np
from numpy.typing import NDArray

from ..profiles.unrolled import Unrolled

Array = NDArray[np.float64]


def first_moment(line: Unrolled, origin: float) -> float:
    """∫ (x - origin) f over the line, by the running integrals of which all other moments are made."""
    return float((line.end - origin) * line.total - line.double_cumulative(line.end))


def first_moment_error(line: Unrolled, origin: float | None = None) -> float:
    """Uncertainty of ∫ x f: of the values and their noise, and of what the ends cut off or hold of the wrong side.

    origin  about which it is taken [Å]; the middle of the line by default

    The sum of h x_i f_i differs from the integral by what waves have at the ends, and N/2 of an even line.
    """
    centre = (line.start + line.end) / 2
    by_sum = float((line.values * (line.position - centre)).sum() * line.spacing)
    length = line.end - line.start
    noise = line.noise_of(line.position - (centre if origin is None else origin))
    return hypot(line.uncertainty * length, by_sum - first_moment(line, centre), noise)


def first_moment_by_window(line: Unrolled, x: Array, period: float, origin: float) -> Array:
    """S1 of the low side by one period around each x: (x - origin) σ - mean of D."""
    return np.asarray((x - origin) * line.window_mean(x, period) - line.window_mean_of_double(x, period))


def mean_of_running(line: Unrolled, low: float, high: float) -> float:
    """Mean of C between two positions."""
    ends = line.double_cumulative(np.array([low, high]))
    return float(ends[1] - ends[0]) / (high - low)


def first_moment_by_partition(line: Unrolled, x_b: float, edges: tuple[float, float], origin: float) -> float:
    """S1 of the low side: ∫^x_b (x - origin) f - (x_b - origin) M1 - W, W = -(1/l) ∫ (x - x_b) (C - C(x_b))."""
    low, high = edges
    level = float(line.cumulative(x_b))
    double = line.double_cumulative(np.array([low, high, x_b]))
    triple = line.triple_cumulative(np.array([low, high]))
    lever = (high - x_b) * double[1] - (low - x_b) * double[0] - (triple[1] - triple[0])
    lever -= level * ((high - x_b) ** 2 - (low - x_b) ** 2) / 2
    w = -float(lever) / (high - low)
    return (x_b - origin) * mean_of_running(line, low, high) - float(double[2]) - w
