"""Macroscopic average of a profile: the running mean over one or two microscopic periods.

    <f>_w(x) = (1/w) ∫_{-w/2}^{w/2} f(x+u) du                            eq. 20: simple spatial average, full width w
    <f; μ>(x) = ∫ f(x+u) μ(u) du,   μ = T_{w1} * T_{w2} * …              eqs. 18, 19: one top-hat for each window, pass
    f̃(k) → f̃(k) Π_i sinc(k w_i/2)^passes,   sinc z = sin z/z

A window of exactly one period removes that period and all its harmonics, whatever their amplitude; so no width
is ever rounded to a whole number of points. On a periodic profile the multipliers are exact for band-limited
samples. An open profile is continued by a stated outside value: the jumps at its ends are averaged in closed form
(truncated powers), the rest, which vanishes at both ends, on a padded axis; nothing is renormalized by position.

In   Profile, periodic or open; windows in Å, or "auto" (periods.find_periods).
Out  Profile of the same positions, with .periods, .ripple and .uncertainty.

>>> x = np.linspace(0.0, 20.0, 180, endpoint=False)
>>> wave = Profile(x, 10 * np.cos(2 * np.pi * 7 * x / 20) - 8, "eV", "electron_potential_energy", 20.0)
>>> smooth = macroscopic_average(wave)
>>> print(smooth.periods[0] * 7, np.round(smooth.values[:3], 12), smooth.ripple < 1e-12)
20.0 [-8. -8. -8.] True
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import factorial, prod

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from ...errors import InputError, counted, warn
from ...grid import OPEN
from ...results import Profile
from .between_points import resampled
from .periods import LIKELY, NONE, PeriodEstimate, find_periods

MOST_PASSES = 4
FEWEST_PLANES = 4  # fewer show neither an average nor its ripple
WORTH_TELLING = 0.05  # of the layers' ripple that a window leaves
POINTS_PER_PERIOD = 48  # at least so many when the ripple is measured

Periods = str | float | PeriodEstimate | Sequence[float | PeriodEstimate]


def macroscopic_average(
    profile: Profile,
    periods: Periods = "auto",
    *,
    passes: int = 1,
    outside: float | tuple[float, float] | str = 0.0,
    padded: bool = False,
) -> Profile:
    """Running mean of a profile over one or two windows, with its residual ripple and uncertainty.

    profile  Profile (a planar average)
    periods  "auto": the period, or the two periods of an interface, found in the profile; or one or two windows
             [Å], numbers or PeriodEstimates; an interface of two materials takes one period of each
    passes   how often each window is applied: a second pass squares what a slightly wrong window leaves
    outside  open profiles only: value beyond their ends, one, or two (low, high) [unit], or "edge" to
             continue with the value at each end
    padded   open profiles only: extend the result by half the support of the average at both ends, so that it
             holds the whole integral

    The result's
    .ripple       largest peak-to-peak variation within any one period, after removing the trend between its two
                  ends, in the crystalline windows away from their ends (where none is known: in the whole profile,
                  so that macroscopic variation counts too)
    .uncertainty  (n,) standard uncertainty: half the change of the average between windows p - δp and p + δp for
                  each period of known uncertainty δp, and the rms ripple (ripple/2√2), in quadrature
    .periods      the windows used; the last step of .provenance explains them

    Raises InputError for a window that is not positive or not finite, wider than the profile, more than two
    windows, passes outside 1..4, a profile too short, or "auto" where no period is found, with the reason.
    Warns (AccuracyWarning) if "auto" is not sure of the period.
    """
    if not isinstance(profile, Profile):
        raise InputError(
            f"A macroscopic average is of a Profile, and this is a {type(profile).__name__}: give "
            "gh.planar_average(field, axis)."
        )
    if isinstance(passes, bool) or not isinstance(passes, int | np.integer) or not 1 <= passes <= MOST_PASSES:
        raise InputError(f"passes={passes!r}: apply the windows 1 to {MOST_PASSES} times.")
    if len(profile.values) < FEWEST_PLANES:
        raise InputError(
            f"Profile of {counted(len(profile.values), 'plane')} is too short for a macroscopic average: at least "
            f"{FEWEST_PLANES} are needed, some in each period. Take a finer grid, or another axis."
        )
    diagnosis = [e for e in find_periods(profile) if e.confidence != NONE or _is_auto(periods)]
    windows, errors = _windows(profile, periods, diagnosis)
    ends = _outside_values(profile, outside)
    values, position = _averaged(profile, windows * int(passes), ends, padded)
    length = profile.length + (len(values) - len(profile.values)) * profile.spacing
    result = replace(profile, position=position, values=values, length=length, periods=windows)
    stretches = [(e.window, e.value) for e in diagnosis if e.window is not None and e.value is not None]
    ripple = _ripple(result, stretches, windows, int(passes))
    variance = np.full(len(values), ripple**2 / 8)
    for i, error in enumerate(errors):
        if error > 0:
            narrow, wide = (tuple(w + sign * error if j == i else w for j, w in enumerate(windows)) for sign in (-1, 1))
            low, high = (_averaged(profile, w * int(passes), ends, padded)[0] for w in (narrow, wide))
            variance += ((high - low) / 2) ** 2
    step = {
        "step": "macroscopic average",
        "windows": list(windows),
        "window_uncertainties": list(errors),
        "passes": int(passes),
        "chosen": "from the profile" if _is_auto(periods) else "by the user",
        "diagnosis": [*(e.explanation for e in diagnosis), *_left_by(profile, periods, ripple, stretches)],
        "ripple_measured": "in the crystalline windows" if stretches else "in the whole profile",
        **({"outside": list(ends)} if profile.boundary == OPEN else {}),
    }
    return replace(result, ripple=ripple, uncertainty=np.sqrt(variance), provenance=(*profile.provenance, step))


def _left_by(
    profile: Profile, periods: Periods, ripple: float, stretches: Sequence[tuple[tuple[float, float], float]]
) -> list[str]:
    """What there is to tell of windows that were given and leave much of the layers' ripple."""
    if not stretches or _is_auto(periods):
        return []
    of_layers = _ripple(profile, stretches, (), 0)
    if of_layers == 0 or ripple <= WORTH_TELLING * of_layers:
        return []
    return [
        f"The window given leaves {100 * ripple / of_layers:.0f} % of the layers' ripple; whole periods leave none."
    ]


def _is_auto(periods: Periods) -> bool:
    return isinstance(periods, str) and periods.strip().lower() == "auto"


def _windows(
    profile: Profile, periods: Periods, diagnosis: Sequence[PeriodEstimate]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The windows [Å] and their standard uncertainties (0: as given)."""
    if isinstance(periods, str) and _is_auto(periods):
        if any(e.confidence == NONE for e in diagnosis):
            raise InputError(f"{diagnosis[0].explanation} Give the window yourself: periods=… in Å.")
        for estimate in diagnosis:
            if estimate.confidence == LIKELY:
                warn(f"Period not sure. {estimate.explanation}")
        chosen: list[float | PeriodEstimate] = list(diagnosis)
    elif isinstance(periods, str):
        words = periods.replace(",", " ").split()
        try:
            chosen = [float(w) for w in words]
        except ValueError:
            raise InputError(f'periods="{periods}": give "auto", or one or two windows in Å.') from None
    elif isinstance(periods, PeriodEstimate):
        chosen = [periods]
    elif isinstance(periods, Sequence | np.ndarray):
        chosen = list(periods)  # type: ignore[arg-type]
    else:
        chosen = [periods]
    if not 1 <= len(chosen) <= 2:
        raise InputError(f"{len(chosen)} windows: give one, or two for an interface of two materials.")
    widths, errors = [], []
    for window in chosen:
        if isinstance(window, str):
            raise InputError(f'Window "{window}" among several: give numbers of Å, or periods="auto" alone.')
        known = isinstance(window, PeriodEstimate)
        value = window.value if isinstance(window, PeriodEstimate) else window
        try:
            width = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise InputError(f"Window {value!r} is not a width: give a positive number of Å.") from None
        if not np.isfinite(width) or width <= 0:
            raise InputError(f"Window of {width:g} Å: give a positive, finite width.")
        if width > profile.length * (1 + 1e-9):
            raise InputError(
                f"Window of {width:g} Å is wider than the profile, {profile.length:g} Å: an average over more than "
                "there is says nothing. Give a narrower window (the microscopic period)."
            )
        widths.append(width)
        errors.append(float(window.uncertainty or 0.0) if known else 0.0)  # type: ignore[union-attr]
    return tuple(widths), tuple(errors)


def _outside_values(profile: Profile, outside: float | tuple[float, float] | str) -> tuple[float, float]:
    """Values beyond the low and the high end."""
    if isinstance(outside, str):
        if outside != "edge":
            raise InputError(f'outside="{outside}": give a value, two values (low, high), or "edge".')
        return float(profile.values[0]), float(profile.values[-1])
    values = np.ravel(np.asarray(outside, dtype=np.float64))
    if len(values) not in (1, 2) or not np.isfinite(values).all():
        raise InputError(f'outside={outside!r}: give a finite value, two values (low, high), or "edge".')
    return float(values[0]), float(values[-1])


def _averaged(
    profile: Profile, windows: tuple[float, ...], outside: tuple[float, float], padded: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and positions of the average over all windows, one after the other."""
    values, n = profile.values, len(profile.values)
    if profile.boundary != OPEN:
        k = 2 * np.pi * np.fft.rfftfreq(n, profile.spacing)
        return np.fft.irfft(np.fft.rfft(values) * _multiplier(k, windows), n), profile.position
    h, start = profile.spacing, float(profile.position[0])
    # a straight line through the two end samples, from edge to edge, carries the jumps; what is left vanishes there
    slope = float(values[-1] - values[0]) / ((n - 1) * h) if n > 1 else 0.0
    low_jump = float(values[0]) - slope * h / 2 - outside[0]
    high_jump = float(values[-1]) + slope * h / 2 - outside[1]
    rest = values - (values[0] + slope * (profile.position - start))
    margin = int(np.ceil(sum(windows) / 2 / h)) + 1
    size = scipy.fft.next_fast_len(n + 2 * margin, real=True)
    line = np.zeros(size)
    line[margin : margin + n] = rest
    k = 2 * np.pi * np.fft.rfftfreq(size, h)
    smooth = np.fft.irfft(np.fft.rfft(line) * _multiplier(k, windows), size)
    extra = margin if padded else 0
    position: NDArray[np.float64] = np.asarray(start + np.arange(-extra, n + extra) * h, dtype=np.float64)
    below, above = position - (start - h / 2), position - (start + (n - 0.5) * h)
    baseline = (
        outside[0]
        + low_jump * _averaged_power(below, 0, windows)
        + slope * _averaged_power(below, 1, windows)
        - high_jump * _averaged_power(above, 0, windows)
        - slope * _averaged_power(above, 1, windows)
    )
    return smooth[margin - extra : margin + n + extra] + baseline, position


def _multiplier(k: NDArray[np.floating], windows: tuple[float, ...]) -> NDArray[np.float64]:
    """Π sinc(k w/2)."""
    return np.asarray(np.prod([np.sinc(k * w / (2 * np.pi)) for w in windows], axis=0), dtype=np.float64)


def _averaged_power(x: NDArray[np.float64], power: int, windows: tuple[float, ...]) -> NDArray[np.float64]:
    """Average over all windows of x^power for x > 0, 0 below: power 0 is a step, power 1 a ramp.

    Each box turns a truncated power into the difference of the next one at its two edges.
    """
    half, n = sum(windows) / 2, len(windows)
    out = np.where(x >= half, x**power, 0.0)
    near = np.abs(x) < half
    terms = np.zeros(int(near.sum()))
    for signs in product((-1, 1), repeat=n):
        edge = x[near] + sum(s * w / 2 for s, w in zip(signs, windows, strict=True))
        terms += prod(signs) * np.maximum(edge, 0.0) ** (power + n)
    out[near] = terms * factorial(power) / (factorial(power + n) * prod(windows))
    return np.asarray(out, dtype=np.float64)


def _ripple(
    average: Profile,
    stretches: Sequence[tuple[tuple[float, float], float]],
    windows: tuple[float, ...],
    passes: int,
) -> float:
    """Largest peak-to-peak variation within one period about the line through its ends; see macroscopic_average."""
    start, length = float(average.position[0]), average.length
    if not stretches:
        stretches = [((start, start + length), max(windows))]
    fine = len(average.values) * max(
        1, int(np.ceil(POINTS_PER_PERIOD * average.spacing / min(p for _, p in stretches)))
    )
    position, values = resampled(average, fine) if fine > len(average.values) else (average.position, average.values)
    step = float(position[1] - position[0]) if len(position) > 1 else length
    periodic = average.boundary != OPEN
    half_support = passes * sum(windows) / 2
    largest = 0.0
    for (low, high), period in stretches:
        width = min(max(2, round(period / step)), len(values) - 2)
        if width < 2:
            continue
        if periodic and high - low >= length * (1 - 1e-9):
            inside = np.concatenate([values, values[: width + 1]])
        else:
            room = min(half_support, max(0.0, (high - low - 1.1 * period) / 2))  # keep at least one period
            first = int(np.ceil((low + room - start) / step))
            last = int(np.floor((high - room - start) / step))
            index = np.arange(first, max(last, first + width + 1) + 1)
            inside = values[index % len(values)] if periodic else values[np.clip(index, 0, len(values) - 1)]
        stride = max(1, (len(inside) - width) // 512)
        pieces = np.lib.stride_tricks.sliding_window_view(inside, width + 2)[::stride]
        # the value one period on, by the parabola through the three samples about it: a period need not fit the samples
        t = period / step - width
        before, at, after = pieces[:, -3:-2], pieces[:, -2:-1], pieces[:, -1:]
        end = at + t * (after - before) / 2 + t**2 * (after - 2 * at + before) / 2
        residual = pieces[:, :-1] - (end - pieces[:, :1]) * (np.arange(width + 1) * (step / period))
        largest = max(largest, float(np.max(residual.max(axis=1) - residual.min(axis=1))))
    return largest
