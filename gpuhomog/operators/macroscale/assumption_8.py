"""Physical Assumption 8: whether every value of the macroscopic field at x is an average that coincident places have.

    A_a(x) = inf, sup of (1/η) ∫_{-η/2}^{η/2} ν(x + u) du over 0 < η < a           eq. 24; η → 0 gives ν(x)
    B(x) = (max of inf A_a, min of sup A_a) over the coincidence set: what every x' of it can have as an average
    V(x) inside B(x)                                                yes, no, or undecided; V as in interval_field.py

Decided on nodes h apart, with bounds for what lies between them, m = max|ν|, s = max|ν'|:
    yes   max_x' min_η (v + t) < lo - dV,  mirrored for hi,      t = min(s h/2, m h/η),  dV = m h/eps_x
    no    max_x' min_η (v - t) > lo,  or mirrored,               t = min(s h, 2 m h/η), with ν(x') - s h for η < 2h
h is halved until it is decided, at most four times. A perfect crystal with an odd centre fails there, for all averages
about it are equal: an interval counts as empty unless it is wider than rounding.

In   Profile, any unit; position, widths [Å].
Out  Assumption8; intervals as (low, high), None where empty.

>>> import gpuhomog as gh
>>> x = np.arange(1600) * 0.0625
>>> wave = gh.Profile(x, np.sin(2 * np.pi * x / 100) + np.cos(2 * np.pi * x), "V", "electrostatic_potential", 100.0)
>>> tuple(round(v, 6) for v in attainable(wave, 0.0, 2.0))
(-0.217234, 1.0)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import AveragingKernel
from ...errors import InputError
from ...results import Profile, Result, Tables, unit_after
from ..averages.average import average
from .interval_field import CHUNK, FEWEST_POINTS, Line, check_long, kernel_and_width, range_of

Array = NDArray[np.float64]

WIDTHS_PER_WAVE = 128
"""Widths η of averages for the shortest wavelength."""
EMPTY = 1e-9
"""Width over max|ν| up to which an interval is a point."""
HALVINGS = 4
ZOOMS = 5
"""Each to an eighth of the step."""
YES, NO, UNDECIDED = "yes", "no", "undecided"


def attainable(profile: Profile, x: float, a: float) -> tuple[float, float] | None:
    """A_a(x): infimum and supremum of the simple averages about x of widths up to a, eq. 24; None if it is empty.

    profile  Profile; an open one must reach a/2 beyond x on both sides
    x, a     position and largest width [Å]

    Empty is what is no wider than rounding, as at an odd centre. Raises InputError for an a that is not positive or
    longer than the profile, or reaches beyond an open one.
    """
    line = _line(profile, x, 0.0, a)
    low, high = _averages(line, np.array([float(x)]), a)
    return _open_interval(line, float(low[0]), float(high[0]))


def attainable_throughout(profile: Profile, x: float, a: float, eps_x: float) -> tuple[float, float] | None:
    """B(x): the averages of widths up to a that every position of the coincidence set of x has; None if it is empty.

    eps_x  distance below which positions coincide [Å]; others and errors as in `attainable`
    """
    check_long(profile, eps_x)
    line = _line(profile, x, eps_x, a)
    n = max(16, ceil(8 * eps_x / line.shortest))
    step = eps_x / 2 / n
    node, cumulative, most = _nodes(line, float(x), step, n, a)
    low = high = line.values(node)
    for j in range(1, most + 1):
        mean = _centred(cumulative, most, j, len(node)) / (2 * j * step)
        low, high = np.minimum(low, mean), np.maximum(high, mean)
    ends = [float(low.max()), float(high.min())]
    for which, at in enumerate((node[low.argmax()], node[high.argmin()])):  # these may be kinks: closer and closer
        closer = step
        for _ in range(ZOOMS):
            nearby = np.clip(at + closer * np.linspace(-1, 1, 17), node[0], node[-1])
            low, high = _averages(line, nearby, a)
            best = low.argmax() if which == 0 else high.argmin()
            ends[which] = float(low[best] if which == 0 else high[best])
            at, closer = nearby[best], closer / 8
    return _open_interval(line, *ends)


def _nodes(line: Line, x: float, h: float, n: int, a: float) -> tuple[Array, Array, int]:
    """Nodes x + i h, |i| ≤ n; the integral up to them and to those beyond that widths 2 j h < a need; the largest j."""
    most = max(1, ceil(a / (2 * h) * (1 - 1e-12)) - 1)
    places = np.asarray(x + h * np.arange(-n - most, n + most + 1), dtype=np.float64)
    return places[most : most + 2 * n + 1], line.integral(places), most


def _centred(cumulative: Array, most: int, j: int, size: int) -> Array:
    """Integral over the width 2 j h about each node."""
    return cumulative[most + j : most + j + size] - cumulative[most - j : most - j + size]


def _line(profile: Profile, x: float, eps_x: float, a: float) -> Line:
    if not isfinite(x):
        raise InputError(f"x = {x}: give a position in Å.")
    check_long(profile, a, "a")
    line = Line(profile)
    reach = (eps_x + a) / 2
    if not line.periodic and not line.start - 1e-9 <= x - reach <= x + reach <= line.end + 1e-9:
        raise InputError(
            f"Averages of widths up to {a:g} Å about {x:g} Å reach beyond the open profile, {line.start:g} to "
            f"{line.end:g} Å: choose x further inside, or a smaller a."
        )
    return line


def _averages(line: Line, x: Array, a: float) -> tuple[Array, Array]:
    """Infimum and supremum over 0 < η < a at each x."""
    m = max(FEWEST_POINTS, ceil(WIDTHS_PER_WAVE * a / line.shortest))
    eta = a * np.arange(1, m + 1) / m
    low, high = np.empty(len(x)), np.empty(len(x))
    for start in range(0, len(x), max(1, CHUNK // m)):
        part = slice(start, start + max(1, CHUNK // m))
        at = x[part, None]
        mean = (line.integral(at + eta / 2) - line.integral(at - eta / 2)) / eta
        low[part], high[part] = range_of(np.concatenate([line.values(at), mean], axis=1))
    return low, high


def _open_interval(line: Line, low: float, high: float) -> tuple[float, float] | None:
    return (low, high) if high - low > EMPTY * line.largest else None


@dataclass(frozen=True)
class Assumption8(Result):
    """Physical Assumption 8 at one position: is every value of V(x) an average that all coincident positions have?

    verdict     "yes", "no" or "undecided", for widths below a
    margin      by how much the certificate holds, or fails to [unit]; positive for "yes" and "no"
    smallest_a  smallest width that passes, to a node [Å]; None if none up to a does
    interval    V(x)
    throughout  B(x) of the widths and positions looked at; None if it is empty
    x, a, eps_x as given [Å]
    h           distance of the nodes that decided [Å]
    unit        of the field
    provenance  what was read and done, step by step
    """

    verdict: str
    margin: float
    smallest_a: float | None
    interval: tuple[float, float]
    throughout: tuple[float, float] | None
    x: float
    a: float
    eps_x: float
    h: float
    unit: str | None
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        unit = unit_after(self.unit)

        def ends(pair: tuple[float, float] | None) -> str:
            return "empty" if pair is None else f"{pair[0]:.6g} to {pair[1]:.6g}{unit}"

        smallest = "" if self.smallest_a is None else f", from a = {self.smallest_a:.4g} Å on"
        rows = (
            ("verdict", f"{self.verdict}{smallest}"),
            ("margin", f"{self.margin:.3g}{unit}, nodes {self.h:.3g} Å apart"),
            ("V at x", ends(self.interval)),
            ("B, averages up to a", ends(self.throughout)),
            ("x, a, eps_x", f"{self.x:.6g} Å, {self.a:.6g} Å, {self.eps_x:.6g} Å"),
        )
        return (("Physical Assumption 8", rows),)


def physical_assumption_8(
    profile: Profile,
    x: float,
    a: float,
    kernel: AveragingKernel | float,
    *,
    eps_x: float | None = None,
    outside: float = 0.0,
    sampling: str | None = None,
) -> Assumption8:
    """Whether V(x) lies inside B(x), certified between the samples too.

    x, a     position and largest width of the averages in A and B [Å]
    kernel   of V, as in interval_field, which see for the other options

    The profile counts as the band-limited function through its samples. Raises InputError as interval_field and
    attainable.
    """
    averaging, width = kernel_and_width(kernel, eps_x)
    check_long(profile, width)
    line = _line(profile, x, width, a)
    smooth = Line(average(profile, averaging, outside=outside, sampling=sampling))
    (low,), (high,) = range_of(smooth.values(smooth.window(np.array([float(x)]), width, 257)))
    bounds = (1.02 * line.largest, 1.02 * line.steepest)  # of the function, from 16 points for its shortest wave
    h = min(line.shortest / 8, a / 16, width / 16)
    for _ in range(HALVINGS + 1):
        n = max(8, ceil(width / 2 / h))
        node = width / 2 / n
        verdict, margin, smallest, throughout = _decide(
            line, float(x), node, n, a, width, (float(low), float(high)), bounds
        )
        if verdict != UNDECIDED:
            break
        h /= 2
    inside = _open_interval(line, *throughout)
    if verdict == UNDECIDED and inside is None:
        verdict, margin = NO, 0.0
    return Assumption8(
        verdict,
        margin,
        smallest,
        (float(low), float(high)),
        inside,
        float(x),
        float(a),
        width,
        node,
        profile.unit,
        (*profile.provenance, {"step": "Physical Assumption 8", "kernel": averaging.describe()}),
    )


def _decide(
    line: Line,
    x: float,
    h: float,
    n: int,
    a: float,
    eps_x: float,
    interval: tuple[float, float],
    bounds: tuple[float, float],
) -> tuple[str, float, float | None, tuple[float, float]]:
    """Verdict, margin, smallest passing width and B at nodes x + i h, |i| ≤ n, for widths 2 j h < a."""
    largest, steepest = bounds
    node, cumulative, most = _nodes(
        line, x, h, n, a + 2 * h
    )  # the last width is not below a, and bounds those that are
    value = line.values(node)
    low, high = interval
    shift = largest * h / eps_x
    inf, sup = value, value
    near, far = steepest * h / 2, steepest * h
    upper_of_inf, lower_of_sup = value + near, value - near  # certainly attained, up to these bounds
    lower_of_inf, upper_of_sup = value - far, value + far  # certainly not passed
    smallest = None

    def holds() -> float:
        return min(low - shift - float(upper_of_inf.max()), float(lower_of_sup.min()) - high - shift)

    for j in range(1, most + 1):
        eta = 2 * j * h
        mean = _centred(cumulative, most, j, len(node)) / eta
        attained, bound = min(near, largest * h / eta), min(far, 2 * largest * h / eta)
        lower_of_inf = np.minimum(lower_of_inf, mean - bound)
        upper_of_sup = np.maximum(upper_of_sup, mean + bound)
        if eta >= a * (1 - 1e-12):
            continue
        inf, sup = np.minimum(inf, mean), np.maximum(sup, mean)
        upper_of_inf = np.minimum(upper_of_inf, mean + attained)
        lower_of_sup = np.maximum(lower_of_sup, mean - attained)
        if smallest is None and holds() > 0:
            smallest = eta
    throughout = float(inf.max()), float(sup.min())
    if holds() > 0:
        return YES, holds(), smallest, throughout
    fails = max(float(lower_of_inf.max()) - low, high - float(upper_of_sup.min()))
    return (NO if fails > 0 else UNDECIDED), (fails if fails > 0 else max(holds(), fails)), None, throughout
