"""Self-consistent eps_x: the distance over which the macroscopic field changes as much as it is uncertain.

    eps_V(eps_x) = |V'| eps_x                                       Physical Assumption 7

eps_V is the width of the interval less the slope: with it eps_V ≥ |V'| eps_x always, and no eps_x is consistent.

In   Profile or Field, any unit; the slope V'.
Out  eps_x [Å]. InputError where there is none, with the reason.
"""

from __future__ import annotations

from math import isfinite, sqrt

import numpy as np

from ...averaging_kernels import Ball
from ...errors import InputError, check_word
from ...field import Field
from ...grid import OPEN
from ...results import Measurement, Profile
from ..profiles.bulk import fitted_line
from .field_intervals import coarse_spacings, field_intervals
from .interval_field import consistent_width, crossing

SOUGHT_PER_EPS = 8
"""Points of the coarse grid for each eps_x while it is sought: a ball holds 260."""
FIELD_ROOT = 2e-2
"""Relative precision of what is found of a field, whose averages lie on grids."""
WINDOWS = ("a", "b", "c", "ball")


def self_consistent_eps(
    profile: Profile | Field,
    slope: float | None = None,
    *,
    window: str = "ball",
    outside: float = 0.0,
    sampling: str | None = None,
) -> float:
    """The eps_x at which eps_V, less the slope, is |V'| eps_x [Å]: Physical Assumption 7.

    profile  Profile, or Field
    slope    V' [unit/Å]; by default that of the line fitted to an open profile
    window   of a Field: "ball", or segments along "a", "b" or "c"
    others   as in interval_field

    eps_V(eps_x) is the median over the profile for simple averages of full width eps_x; of a Field for averages over
    balls of that diameter, as field_intervals has it. Found as a root: the larger eps_x is, the smaller is eps_V and
    the larger |V'| eps_x, once eps_x is not so small that every wave is a straight line over it. Raises InputError
    without a slope, and where eps_x would be below two samples or longer than a quarter of the profile, or of the
    cell's shortest side.
    """
    check_word("window", window, WINDOWS)
    if isinstance(profile, Field):
        if slope is None or not (isfinite(slope) and slope != 0):
            raise InputError("No slope: eps_x undetermined. A field has none of its own, give slope=….")
        found = _consistent_in_field(profile, abs(slope), WINDOWS.index(window), outside, sampling)
    else:
        found = consistent_width(profile, abs(_slope_of(profile, slope)), outside, sampling)
    if found.value is None:
        raise InputError(f"No self-consistent eps_x: {found.reason}.")
    return found.value


def _slope_of(profile: Profile, slope: float | None) -> float:
    """The slope that was given, or that of an open profile's line; InputError where it is none."""
    if slope is None:
        if profile.boundary != OPEN:
            raise InputError("No slope: eps_x undetermined. A periodic profile has none of its own, give slope=….")
        slope = fitted_line(profile.position, profile.values)[0]
    if not isfinite(slope) or abs(slope) * profile.length <= 1e-9 * float(np.abs(profile.values).max()):
        raise InputError(f"No slope: eps_x undetermined (V' = {slope:.3g} per Å).")
    return slope


def _consistent_in_field(field: Field, slope: float, window: int, outside: float, sampling: str | None) -> Measurement:
    """The same for averages over balls, ranges over one kind of window."""

    def excess(width: float) -> float:
        kernel, spacing = Ball(width / sqrt(5)), coarse_spacings(field, width / SOUGHT_PER_EPS)
        found = field_intervals(field, kernel, eps_x=width, spacing=spacing, outside=outside, sampling=sampling)
        return found.detrended[window] - slope * width

    sides = [(float(v), float(v) / n) for v, n in zip(field.grid.lengths, field.grid.shape, strict=True) if n > 1]
    if not sides:
        return Measurement.not_defined("Å", "the field is one point")
    low, high = 2 * max(step for _, step in sides), min(length for length, _ in sides) / 4
    return crossing(excess, low, high, FIELD_ROOT, "the cell's shortest side")
