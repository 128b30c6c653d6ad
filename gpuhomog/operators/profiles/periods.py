"""Periods: the microscopic period (or the two of an interface) of a profile, found from the profile itself.

    m(x, τ) = Var_{[x, x+τ]}[f(u+τ) - f(u)] / (2 Var_{[x, x+2τ]}[f - line])      local mismatch at lag τ
    f(x) ≈ Σ_j c_j x^j + Σ_{n=1..H} a_n cos(2π n x/p) + b_n sin(2π n x/p)         refinement in the window found

The mismatch is 0 where f repeats after τ on top of any straight line, about 1 where it does not: a period is a lag
with a long run of small mismatch, and the run is the crystalline window. The shortest such lag is the period, unless
a multiple of it repeats far better (layers of alternating kind). Variable projection then fits p in the
core of the window to far less than a grid step; its standard error and the drift between the ends and the middle of
the window are the uncertainty, widened where there are few periods. Ends that drift (relaxed layers) are cut. A
profile that is crystalline all around its periodic length has p = L/m exactly.

In   Profile, periodic or open.
Out  one PeriodEstimate for each period, at least one: without a period its confidence is "none" and it says why.

>>> x = np.linspace(0.0, 20.0, 192, endpoint=False)
>>> found, = find_periods(Profile(x, np.cos(np.pi * x / 2), "V", "scalar", 20.0))
>>> round(found.value, 9), found.confidence
(4.0, 'sure')
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from ...errors import InputError, counted
from ...grid import OPEN
from ...results import Measurement, Profile, Result
from .between_points import resampled

SURE, LIKELY, NONE = "sure", "likely", "none"

FEWEST_SAMPLES = 8  # a shorter profile shows no period
LAG_STEP = 0.012  # ratio of neighbouring lags - 1: shift error below 1 % of a period
MOST_DIVISORS = 80  # of the periodic length, tried exactly; more lie closer than the lags
FINE_SEARCH = 512  # samples of the search, at least
LONGEST_SEARCH = 8192  # samples of the search; the fit uses all
ACCEPTED_MISMATCH = 0.25  # below: repeats after the lag
GOOD_MISMATCH = 0.01
MOST_OF_PROFILE, PART_OF_PROFILE = 0.6, 0.2  # shares of the longest run
WEAKEST_OSCILLATION = 2e-3  # variance of a crystalline window over the largest one
HALF_PERIOD_MISMATCH = 1e-4  # a shortest lag worse than this is tried against its multiples
INTERFACE_MISMATCH = 1e-3  # what a near interface leaves, of one multiple less than of another by chance
SURE_UNCERTAINTY = 0.002  # relative standard uncertainty below which a period is sure
LIKELY_UNCERTAINTY = 0.02
SURE_PERIODS = 3.0
NOISELESS_MISMATCH = 2e-3  # below: what does not repeat is displaced layers, not noise
FINE_STEP = 0.004  # ratio of neighbouring lags - 1 where local periods are compared: a parabola is 1e-5 off
STEADY = 1e-3  # relative range of the local periods below which they tell no more than the drift
DRIFTING = 5e-4  # relative difference of the periods of the ends and the middle of a window, above which it is cut
FALSE_ALARM = 1e-6  # probability that noise alone fits as well, over all windows and lags tried
LIKELY_FALSE_ALARM = 1e-3
MOST_HARMONICS = 10


@dataclass(frozen=True)
class PeriodEstimate(Result):
    """A microscopic period found in a profile, and how sure that is.

    value        the period [Å]; None if there is none
    uncertainty  one standard uncertainty [Å]; 0 where the periodic length fixes it; None without a period
    window       (start, stop) of the stretch that repeats best [Å], away from surfaces; stop runs over the end
                 of a periodic profile where the stretch does
    n_periods    periods in the window
    confidence   "sure": at least three periods (two where the cell fixes them), standard uncertainty below 0.2 %,
                 not explained by noise; "likely": a period, but less than that; "none"
    mismatch     what does not repeat in the window, as a variance ratio (0: repeats exactly)
    explanation  one or two sentences
    """

    value: float | None
    uncertainty: float | None
    window: tuple[float, float] | None
    n_periods: float
    confidence: str
    mismatch: float | None
    explanation: str

    @classmethod
    def none(cls, reason: str) -> PeriodEstimate:
        """No period, and why."""
        return cls(None, None, None, 0.0, NONE, None, reason)


@dataclass(frozen=True, eq=False)
class _Search:
    """The profile, equally sampled, and its local mismatch at every lag."""

    start: float  # position of sample 0
    step: float
    values: NDArray[np.float64]  # mean 0, rms 1
    periodic: bool
    lags: NDArray[np.float64]
    spectrum: NDArray[np.complexfloating]  # of the values, or of the values and their mirror image if open
    mismatch: list[NDArray[np.float64]]  # by lag; index: first sample of the window of two lags; NaN where weak

    @property
    def length(self) -> float:
        return self.step * len(self.values)

    def run_extent(self, run: _Run) -> float:
        """Length of the window that a run of window starts covers."""
        if run.all_around:
            return self.length
        extent = (run.count - 1) * self.step + 2 * run.lag
        return min(extent, self.length) if self.periodic else extent


@dataclass(frozen=True)
class _Run:
    """Neighbouring window starts first..first+count-1 at which the profile repeats after a lag."""

    lag: float
    first: int
    count: int
    all_around: bool
    weight: float  # Å of window starts, each weighted by how well it repeats


def find_periods(profile: Profile, *, most: int = 2) -> tuple[PeriodEstimate, ...]:
    """The microscopic periods of a profile, those of the longest windows first.

    profile  Profile; slopes, vacuum, noise and a boundary that cuts a layer are all right
    most     largest number of different periods looked for: 2 for an interface of two materials

    Returns one PeriodEstimate for each period; a single one of confidence "none", which says why, if there is none.
    Raises InputError for most < 1.
    """
    if most < 1:
        raise InputError(f"most={most}: look for at least one period.")
    if len(profile.values) < FEWEST_SAMPLES:
        planes = counted(len(profile.values), "plane")
        return (PeriodEstimate.none(f"{planes} of the profile: too few to show a period."),)
    spread = float(np.ptp(profile.values))
    if spread <= 1e-12 * float(np.abs(profile.values).max()):
        return (PeriodEstimate.none("The profile is constant: it has no microscopic variation."),)
    search = _search(profile)
    taken = np.zeros(len(search.values), dtype=bool)
    found: list[PeriodEstimate] = []
    for _ in range(2 * most):  # some candidates repeat a period that is known
        run = _best_run(search, taken)
        if run is None or len(found) == most:
            break
        run = _without_second_period(search, run)
        estimate = _refine(profile, search, run)
        first = run.first
        reach = len(taken) if run.all_around else run.count + round(2 * run.lag / search.step)
        taken[np.arange(first, first + reach) % len(taken)] = True
        if estimate.confidence != NONE and not any(_same(estimate, known) for known in found):
            found.append(estimate)
    if found:
        return tuple(found)
    return (_whole_length(profile, search),)


def _same(one: PeriodEstimate, other: PeriodEstimate) -> bool:
    assert one.value and other.value and one.uncertainty is not None and other.uncertainty is not None
    tolerance = max(0.005 * other.value, 3 * np.hypot(one.uncertainty, other.uncertainty))
    return abs(one.value - other.value) < tolerance


# --- search --------------------------------------------------------------------------------------------------------


def _search(profile: Profile) -> _Search:
    """Local mismatch at lags from three samples to half the length."""
    periodic = profile.boundary != OPEN
    n = min(len(profile.values), LONGEST_SEARCH)
    if n < FINE_SEARCH:
        n *= -(-FINE_SEARCH // n)  # finer windows; values between samples are exact for a band-limited profile
    positions, values = resampled(profile, n) if n >= len(profile.values) else _thinned(profile, n)
    step = float(positions[1] - positions[0])
    values = values - values.mean()
    values /= np.sqrt(np.mean(values**2))
    shortest = 3.0 * profile.length / len(profile.values)
    longest = n * step / 2 * (1 + 1e-9)
    count = max(1, int(np.log(longest / shortest) / LAG_STEP) + 1)
    lags = longest * np.exp(-LAG_STEP * np.arange(count))[::-1]
    if periodic:  # the divisors of the length exactly
        divisors = n * step / np.arange(2, min(int(n * step / shortest), MOST_DIVISORS) + 1)
        lags = np.unique(np.concatenate([lags, divisors]))
    # an open profile is continued by its mirror image, only so that it can be shifted by a fraction of a step
    mirrored = values if periodic else np.concatenate([values, values[-2:0:-1]])
    spectrum = np.fft.rfft(mirrored)
    mismatch = [_local_mismatch(values, spectrum, lag / step, periodic) for lag in lags]
    return _Search(float(positions[0]), step, values, periodic, lags, spectrum, mismatch)


def _thinned(profile: Profile, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The profile with its shortest wavelengths dropped, on n points."""
    if profile.boundary == OPEN:
        return resampled(profile, n)
    spectrum = np.fft.rfft(profile.values)[: n // 2 + 1]
    return profile.position[0] + np.arange(n) * (profile.length / n), np.fft.irfft(spectrum, n) * (
        n / len(profile.values)
    )


def _local_mismatch(
    values: NDArray[np.float64],
    spectrum: NDArray[np.complexfloating],
    lag: float,
    periodic: bool,
    width: int | None = None,
) -> NDArray[np.float64]:
    """m(x, lag) at every window start; NaN where the window oscillates too weakly. In samples: lag, half a window.

    The mean of f(u + lag) - f(u) and of f(u) - f(u - lag) over the two halves of the window: between samples they
    differ, and a mirrored profile has them in the other order.
    """
    n = len(values)
    whole = n if periodic else 2 * n - 2
    turns = np.exp(2j * np.pi * lag / whole * np.arange(len(spectrum)))
    width = width or max(2, round(lag))
    ahead = np.fft.irfft(spectrum * turns, whole)[:n] - values
    behind = values - np.fft.irfft(spectrum * turns.conj(), whole)[:n]
    if periodic:
        behind = np.roll(behind, -width)
        ahead, behind = (np.concatenate([part, part[:width]]) for part in (ahead, behind))
        around = np.concatenate([values, values[: 2 * width]]) if 2 * width <= n else np.tile(values, 2)
    else:
        ahead, behind, around = ahead[: max(0, n - width)], behind[width:], values
    v_difference = (_moving_variance(ahead, width) + _moving_variance(behind, width)) / 2
    v_values = _moving_variance(around, 2 * width, detrend=True)
    count = min(len(v_difference), len(v_values), n)
    v_difference, v_values = v_difference[:count], v_values[:count]
    if count == 0:
        return np.empty(0)
    strong = v_values > max(WEAKEST_OSCILLATION * float(v_values.max()), 1e-12)
    return np.where(strong, v_difference / (2 * np.where(strong, v_values, 1.0)), np.nan)


def _moving_variance(values: NDArray[np.float64], width: int, detrend: bool = False) -> NDArray[np.float64]:
    """Variance over every window of `width` samples, about its mean or its least-squares line."""
    if len(values) < width:
        return np.empty(0)

    def moving_sum(terms: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.concatenate([[0.0], np.cumsum(terms)])
        return total[width:] - total[:-width]

    mean = moving_sum(values) / width
    variance = moving_sum(values**2) / width - mean**2
    if detrend:
        index = np.arange(len(values), dtype=np.float64)
        centre = np.arange(len(mean)) + (width - 1) / 2
        covariance = moving_sum(index * values) / width - centre * mean
        variance -= covariance**2 / ((width**2 - 1) / 12)
    return np.maximum(variance, 0.0)


def _best_run(search: _Search, taken: NDArray[np.bool_]) -> _Run | None:
    """The run of the shortest lag that repeats over nearly as much of the profile as any."""
    runs = [_longest_run(search, i, taken) for i in range(len(search.lags))]
    weights = np.array([run.weight if run else 0.0 for run in runs])
    if weights.max() <= 0:
        return None
    chosen: _Run | None = None
    for i in range(len(weights)):
        run, rivals = runs[i], weights[max(0, i - 1) : i + 2]
        if run is None or weights[i] < rivals.max() or weights[i] < PART_OF_PROFILE * weights.max():
            continue
        # a lag that repeats in a part only counts if it repeats well there: 3 p1 = 2 p2 would else hide p1 and p2
        if weights[i] > MOST_OF_PROFILE * weights.max() or _polished(search, run, run.lag)[1] < GOOD_MISMATCH:
            chosen = run
            break
    assert chosen is not None
    base = chosen = replace(chosen, lag=_polished(search, chosen, chosen.lag)[0])
    for multiple in (2, 3, 4):  # layers of alternating kind repeat after 2, 3, 4 lags far better
        index = int(np.argmin(np.abs(search.lags - multiple * base.lag)))
        run = runs[index]
        if run is None or abs(search.lags[index] / (multiple * base.lag) - 1) > 0.03:
            continue
        common = _common(base, run, len(search.values))
        if common is None or search.run_extent(run) < 0.5 * search.run_extent(base):
            continue
        own = _polished(search, common, chosen.lag)[1]  # both at the same window starts
        if own > HALF_PERIOD_MISMATCH:
            longer, mismatch = _polished(search, common, multiple * base.lag)
            if mismatch < (0.3 if own > INTERFACE_MISMATCH else 1e-3) * own:
                chosen = replace(common, lag=longer)
    return chosen


def _common(one: _Run, other: _Run, n: int) -> _Run | None:
    """The second run without the window starts that are not in the first, or None if nothing is left."""
    if one.all_around:
        return other
    inside = (np.arange(other.first, other.first + other.count) - one.first) % n < one.count
    if not inside.any():
        return None
    first = int(np.argmax(inside))
    count = int(np.argmin(np.append(inside[first:], False)))
    return replace(other, first=(other.first + first) % n, count=count, all_around=False)


def _polished(search: _Search, run: _Run, lag: float) -> tuple[float, float]:
    """Lag near the given one at which a run repeats best, and the mismatch there in its better part."""
    starts = np.arange(run.first, run.first + run.count) % len(search.values)

    from scipy.optimize import minimize_scalar  # slow to import

    def typical(lag: float) -> float:
        mismatch = _mismatch_at(search, lag)
        known = starts[starts < len(mismatch)]
        known = known[np.isfinite(mismatch[known])]
        return float(np.quantile(mismatch[known], 0.25)) if len(known) else 1.0

    bounds = (lag * (1 - 2 * LAG_STEP), lag * (1 + 2 * LAG_STEP))
    answer = minimize_scalar(typical, bounds=bounds, method="bounded", options={"xatol": 2e-4 * lag})
    return float(answer.x), float(answer.fun)


def _longest_run(search: _Search, index: int, taken: NDArray[np.bool_]) -> _Run | None:
    """The longest run of window starts of small mismatch at one lag, outside what is taken."""
    mismatch, lag = search.mismatch[index], float(search.lags[index])
    n = len(mismatch)
    if n == 0:
        return None
    good = np.nan_to_num(mismatch, nan=np.inf) < ACCEPTED_MISMATCH
    if taken.any():
        width = round(2 * lag / search.step)
        used = np.concatenate([[0], np.cumsum(np.concatenate([taken, taken]))])
        window = np.arange(n)
        good &= used[window + min(width, len(taken))] - used[window] <= 0.25 * width
    if not good.any():
        return None
    if good.all() and search.periodic:
        weight = search.step * float(np.sum(1 - mismatch / ACCEPTED_MISMATCH))
        return _Run(lag, 0, n, True, weight)
    offset = int(np.argmin(good)) if search.periodic and not good.all() else 0
    rolled = np.roll(good, -offset)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], rolled.astype(np.int8), [0]])))
    starts, stops = edges[::2], edges[1::2]
    merit = np.concatenate([[0.0], np.cumsum(np.where(rolled, 1 - np.roll(mismatch, -offset) / ACCEPTED_MISMATCH, 0))])
    totals = merit[stops] - merit[starts]
    i = int(np.argmax(totals))
    first = int((starts[i] + offset) % n)
    return _Run(lag, first, int(stops[i] - starts[i]), False, search.step * float(totals[i]))


# --- refinement ----------------------------------------------------------------------------------------------------


def _refine(profile: Profile, search: _Search, run: _Run) -> PeriodEstimate:
    """The period of one run, its uncertainty and the verdict."""
    local = _local_periods(search, run)
    lag = float(np.median(local))
    if run.all_around:
        count = round(search.length / lag)
        return _fixed_by_the_cell(profile, search, run, count)
    local = _periods_about(search, run, lag)
    if np.isfinite(local).any():
        lag = float(np.nanmedian(local))
    first, stop, mismatch = _core(search, run, lag)
    start = search.start + first * search.step
    window = (start, start + (stop - first + 2 * max(2, round(lag / search.step)) - 2) * search.step)
    positions, values = _samples(profile, window)
    n_harmonics = _count_harmonics(profile, positions, values, lag)
    fit = _fit_period(positions, values, lag, n_harmonics)
    if fit is None:
        return PeriodEstimate.none(
            f"A stretch repeats after about {lag:.3g} Å, but has too few planes to fit a period."
        )
    value, error = fit
    drift = _drift(positions, values, value, n_harmonics)
    uncertainty = float(np.hypot(error, drift))
    kept = positions
    while drift > DRIFTING * value:  # relaxed layers at the ends: half a period less of each, if that helps
        kept = kept[(kept > kept[0] + value / 2) & (kept < kept[-1] - value / 2)]
        if len(kept) < FEWEST_SAMPLES or kept[-1] - kept[0] < SURE_PERIODS * lag:
            break
        inner = values[(positions >= kept[0]) & (positions <= kept[-1])]
        fit = _fit_period(kept, inner, lag, n_harmonics)
        if fit is None:
            break
        drift = _drift(kept, inner, fit[0], n_harmonics)
        if np.hypot(fit[1], drift) < uncertainty:
            (value, error), uncertainty = fit, float(np.hypot(fit[1], drift))
            window = (float(kept[0]), float(kept[-1]))
    n_core = (window[1] - window[0]) / value
    unsteady = _unsteadiness(local[first - run.first : stop - run.first], lag, mismatch)
    uncertainty = float(np.hypot(uncertainty * over_normal(n_core - 1), unsteady))
    odds = _false_alarm(search, mismatch, n_core * value, n_core)
    relative = uncertainty / value
    start = float(profile.position[0])
    turns = (window[0] - start) // profile.length * profile.length if search.periodic else 0.0
    through = " through the end of the cell" if search.periodic and window[1] - turns - start > profile.length else ""
    facts = (
        f"{n_core:.1f} regular periods of {Measurement(value, 'Å', uncertainty)} between {window[0] - turns:.4g} and "
        f"{window[1] - turns:.4g} Å{through}, in a crystalline stretch of {search.run_extent(run):.4g} Å; "
        f"{mismatch:.1g} of their variance does not repeat."
    )
    doubts = []
    if n_core < SURE_PERIODS - 0.05:
        doubts.append(f"only {n_core:.1f} periods repeat well")
    if relative > SURE_UNCERTAINTY:
        doubts.append(f"the period is known to {100 * relative:.2g} % only")
    if odds > FALSE_ALARM:
        doubts.append("noise alone could look like this")
    if relative > LIKELY_UNCERTAINTY or odds > LIKELY_FALSE_ALARM:
        return PeriodEstimate.none(f"No clear period: {facts} But {' and '.join(doubts)}.")
    confidence = LIKELY if doubts else SURE
    explanation = f"{facts} Not sure: {' and '.join(doubts)}." if doubts else facts
    return PeriodEstimate(value, uncertainty, window, float(n_core), confidence, float(mismatch), explanation)


def _fixed_by_the_cell(profile: Profile, search: _Search, run: _Run, count: int) -> PeriodEstimate:
    """The period of a profile that is crystalline all around: its length over a whole number."""
    value = float(profile.length / count)
    mismatch = float(np.nanmean(_mismatch_at(search, value)))
    odds = _false_alarm(search, mismatch, profile.length, float(count))
    facts = (
        f"{count} periods of {value:.5g} Å fill the periodic length, which fixes them; "
        f"{mismatch:.1g} of the variance does not repeat."
    )
    if mismatch > 2 * ACCEPTED_MISMATCH or odds > LIKELY_FALSE_ALARM:
        return PeriodEstimate.none(f"No clear period: {facts} Noise alone could look like this.")
    sure = odds <= FALSE_ALARM and (count >= SURE_PERIODS or mismatch < 1e-3)
    explanation = facts if sure else f"{facts} Not sure: noise or a pseudo-period could look like this."
    start = float(profile.position[0])
    window = (start, start + float(profile.length))
    return PeriodEstimate(value, 0.0, window, float(count), SURE if sure else LIKELY, mismatch, explanation)


def _mismatch_at(search: _Search, lag: float) -> NDArray[np.float64]:
    """m(x, lag) at one more lag [Å]."""
    return _local_mismatch(search.values, search.spectrum, lag / search.step, search.periodic)


def _local_periods(search: _Search, run: _Run) -> NDArray[np.float64]:
    """Lag of least mismatch at every window start of a run, by a parabola through the three best lags."""
    near = np.flatnonzero(np.abs(search.lags / run.lag - 1) < 0.1)
    starts = np.arange(run.first, run.first + run.count)
    table = np.full((len(near), run.count), np.inf)
    for row, index in enumerate(near):
        mismatch = search.mismatch[index]
        inside = starts % len(search.values)
        known = inside < len(mismatch)
        table[row, known] = np.nan_to_num(mismatch[inside[known]], nan=np.inf)
    best = np.clip(np.argmin(table, axis=0), 1, max(1, len(near) - 2))
    if len(near) < 3:
        return np.full(run.count, run.lag)
    column = np.arange(run.count)
    left, middle, right = (table[best + shift, column] for shift in (-1, 0, 1))
    x_left, x_middle, x_right = (search.lags[near[best + shift]] for shift in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        up, down = (right - middle) / (x_right - x_middle), (middle - left) / (x_middle - x_left)
        vertex = (x_left + x_middle) / 2 - down * (x_right - x_left) / (2 * (up - down))
    valid = np.isfinite(vertex) & (vertex > x_left) & (vertex < x_right)
    return np.where(valid, vertex, x_middle)


def _periods_about(search: _Search, run: _Run, lag: float) -> NDArray[np.float64]:
    """Lag of least mismatch in windows of one width, two lags, at every start of a run; NaN where it is not known.

    Windows of one width are the same ones seen from the other end of the profile, and their mismatch is smooth in the
    lag: that of windows two lags wide has steps where these take in a sample more.
    """
    width = max(2, round(lag / search.step))
    starts = np.arange(run.first, run.first + run.count) % len(search.values)
    shorter, middle, longer = (
        _local_mismatch(search.values, search.spectrum, factor * lag / search.step, search.periodic, width)
        for factor in (1 - FINE_STEP, 1.0, 1 + FINE_STEP)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        vertex = lag * (1 + FINE_STEP * (shorter - longer) / (2 * (shorter - 2 * middle + longer)))
    vertex[~(shorter - 2 * middle + longer > 0)] = np.nan
    return np.where(starts < len(vertex), vertex[np.minimum(starts, len(vertex) - 1)], np.nan)


def _without_second_period(search: _Search, run: _Run) -> _Run:
    """The longer part of a run in which the period jumps: two materials with nearly equal layers."""
    local = _local_periods(search, run)
    n = len(local)
    least = max(4, round(run.lag / search.step))
    if n < 2 * least:
        return run
    stride = max(1, n // 160)
    coarse = local[::stride]
    m, few = len(coarse), max(2, least // stride)
    total, square = (np.concatenate([[0.0], np.cumsum(v)]) for v in (coarse, coarse**2))
    # an inner part i..j against the rest; without a periodic length the inner part starts at the beginning
    low, high = np.meshgrid(np.arange(m if run.all_around else 1), np.arange(1, m + 1), indexing="ij")
    inner = high - low
    possible = (inner >= few) & (inner <= m - few)
    if not possible.any():
        return run
    outer = np.where(possible, m - inner, 1)
    inner = np.where(possible, inner, 1)
    s_in, q_in = total[high] - total[low], square[high] - square[low]
    s_out, q_out = total[m] - s_in, square[m] - q_in
    error = np.where(possible, q_in - s_in**2 / inner + q_out - s_out**2 / outer, np.inf)
    best = int(np.argmin(error))
    i, j = int(low.flat[best]), int(high.flat[best])
    inside = np.zeros(m, dtype=bool)
    inside[i:j] = True
    one, other = np.median(coarse[inside]), np.median(coarse[~inside])
    scatter = 1.4826 * max(
        np.median(np.abs(coarse[inside] - one)), np.median(np.abs(coarse[~inside] - other)), 1e-4 * one
    )
    if abs(one - other) < max(0.008 * one, 4 * scatter):
        return run
    if inside.sum() >= m / 2:
        first, count = i * stride, (j - i) * stride
    else:
        first, count = j * stride, n - (j - i) * stride
    count = min(count, n)
    lag = float(one if inside.sum() >= m / 2 else other)
    return _Run(lag, (run.first + first) % len(search.values), count, False, run.weight)


def _core(search: _Search, run: _Run, lag: float) -> tuple[int, int, float]:
    """Window starts first..stop-1 that repeat best at the lag, at least three periods if there are; their mismatch."""
    mismatch = np.nan_to_num(_mismatch_at(search, lag), nan=np.inf)
    starts = np.arange(run.first, run.first + run.count)
    inside = starts % len(search.values)
    mine = np.where(inside < len(mismatch), mismatch[np.minimum(inside, len(mismatch) - 1)], np.inf)
    level = max(4 * float(np.quantile(mine, 0.2)), 1e-12)
    best = int(np.argmin(mine))
    while True:
        bad = np.flatnonzero(mine > level)
        low = bad[bad < best].max() + 1 if (bad < best).any() else 0
        high = bad[bad > best].min() if (bad > best).any() else len(mine)
        if (high - low - 1) * search.step >= lag or high - low == len(mine) or level > 1:
            break
        level *= 2
    return run.first + int(low), run.first + int(high), float(np.mean(mine[low:high]))


def _samples(profile: Profile, window: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Grid points of the profile inside a window that may run over its end."""
    h, origin, n = profile.spacing, float(profile.position[0]), len(profile.values)
    first = int(np.ceil((window[0] - origin) / h - 1e-9))
    last = int(np.floor((window[1] - origin) / h + 1e-9))
    if profile.boundary == OPEN:
        first, last = max(first, 0), min(last, n - 1)
    index = np.arange(first, last + 1)[:n]
    return np.asarray(origin + index * h, dtype=np.float64), profile.values[index % n]


def _design(positions: NDArray[np.float64], period: float, n_harmonics: int, degree: int) -> NDArray[np.float64]:
    """Columns 1, x, .., x^degree, cos and sin of each harmonic, about the middle of the window."""
    x = positions - positions.mean()
    phase = 2 * np.pi * np.outer(x / period, np.arange(1, n_harmonics + 1))
    scaled = x / max(float(np.abs(x).max()), 1e-300)
    return np.hstack([np.vander(scaled, degree + 1, increasing=True), np.cos(phase), np.sin(phase)])


def _degree(positions: NDArray[np.float64], period: float) -> int:
    """Degree of the background polynomial: a line for few periods, a cubic for many."""
    n_periods = (positions[-1] - positions[0]) / period
    return 1 if n_periods < 4 else 2 if n_periods < 8 else 3


def _residual(
    positions: NDArray[np.float64], values: NDArray[np.float64], period: float, n_harmonics: int, degree: int
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Sum of squares that the model leaves, the residual, and the coefficients."""
    design = _design(positions, period, n_harmonics, degree)
    coefficients = np.asarray(np.linalg.lstsq(design, values, rcond=None)[0], dtype=np.float64)
    residual = np.asarray(values - design @ coefficients, dtype=np.float64)
    return float(residual @ residual), residual, coefficients


def _count_harmonics(
    profile: Profile, positions: NDArray[np.float64], values: NDArray[np.float64], period: float
) -> int:
    """Number of harmonics by the Bayesian information criterion, below the Nyquist index."""
    n, degree = len(positions), _degree(positions, period)
    most = min(MOST_HARMONICS, int(0.95 * period / (2 * profile.spacing)), (n - 6) // 3)
    scores = []
    floor = 1e-26 * float(values @ values) + 1e-300
    for count in range(1, most + 1):
        squares = max(_residual(positions, values, period, count, degree)[0], floor)
        scores.append(n * np.log(squares / n) + (2 * count + 4) * np.log(n))
    return int(np.argmin(scores)) + 1 if scores else 1


def _fit_period(
    positions: NDArray[np.float64], values: NDArray[np.float64], guess: float, n_harmonics: int
) -> tuple[float, float] | None:
    """Period of least squares by variable projection, and its standard error; None if there are too few points."""
    n, degree = len(positions), _degree(positions, guess)
    n_parameters = 2 * n_harmonics + degree + 2
    if n <= n_parameters + 1:
        return None
    from scipy.optimize import minimize_scalar  # slow to import

    reach = min(0.04, 0.3 * guess / (positions[-1] - positions[0]))
    bounds = (guess * (1 - reach), guess * (1 + reach))
    answer = minimize_scalar(
        lambda p: np.log(_residual(positions, values, p, n_harmonics, degree)[0] + 1e-300),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-9 * guess},
    )
    period = float(answer.x)
    x = positions - positions.mean()
    for _ in range(3):  # Gauss-Newton from here: quadratic
        squares, residual, coefficients = _residual(positions, values, period, n_harmonics, degree)
        order = np.arange(1, n_harmonics + 1)
        phase = 2 * np.pi * np.outer(x / period, order)
        cosines, sines = coefficients[degree + 1 :][:n_harmonics], coefficients[degree + 1 + n_harmonics :]
        slope = ((-sines * np.cos(phase) + cosines * np.sin(phase)) * order).sum(axis=1) * (2 * np.pi * x / period**2)
        design = _design(positions, period, n_harmonics, degree)
        slope = slope - design @ np.linalg.lstsq(design, slope, rcond=None)[0]
        weight = float(slope @ slope)
        if weight == 0:
            return None
        shift = float(slope @ residual) / weight
        if not bounds[0] <= period + shift <= bounds[1]:
            break
        period += shift
    scale = float(residual[1:] @ residual[:-1]) / squares if squares > 0 else 0.0
    inflation = np.sqrt((1 + min(max(scale, 0.0), 0.98)) / (1 - min(max(scale, 0.0), 0.98)))  # residuals correlate
    return period, float(np.sqrt(squares / (n - n_parameters) / weight) * inflation)


def _drift(positions: NDArray[np.float64], values: NDArray[np.float64], period: float, n_harmonics: int) -> float:
    """Largest difference of the periods of the two ends and the middle of the window."""
    extent = positions[-1] - positions[0]
    part = max(extent / 3, min(2.0 * period, 0.7 * extent))
    rounding = 1e-6 * period  # of positions: samples at the ends are in each of the parts, wherever x is 0
    fitted = []
    for low in (positions[0], positions[0] + (extent - part) / 2, positions[-1] - part):
        inside = (positions >= low - rounding) & (positions <= low + part + rounding)
        fewer = max(1, min(n_harmonics, (int(inside.sum()) - 6) // 3))
        fit = _fit_period(positions[inside], values[inside], period, fewer)
        if fit is None:
            return 0.01 * period
        fitted.append(fit[0])
    return float(np.ptp(fitted))


def _unsteadiness(local: NDArray[np.float64], lag: float, mismatch: float) -> float:
    """Half the range of the local periods in the core, where it is more than its drift would show.

    A surface that relaxes drags all layers of a thin slab along; how much those in the core still differ tells how
    far they are from the bulk. Where noise makes the mismatch, local periods tell nothing, and this is 0.
    """
    known = local[np.isfinite(local)]
    if mismatch > NOISELESS_MISMATCH or len(known) == 0:
        return 0.0
    return max(0.0, float(np.ptp(known)) - STEADY * lag) / 2


def over_normal(freedom: float) -> float:
    """Student's t over the normal value, both of 95 %, of a scatter of so many degrees of freedom, 1 at least."""
    return float(scipy.special.stdtrit(max(freedom, 1.0), 0.975) / scipy.special.ndtri(0.975))


def _false_alarm(search: _Search, mismatch: float, extent: float, n_periods: float) -> float:
    """Bound on the probability that a random field of the profile's bandwidth repeats so well somewhere.

    The mismatch of independent values is a ratio of two variances: F(ν, ν), ν the independent values compared;
    the bound multiplies by the number of windows and lags tried.
    """
    power = np.abs(np.fft.rfft(search.values)) ** 2
    power[0] = 0.0
    band = int(np.searchsorted(np.cumsum(power), 0.99 * power.sum())) + 1  # modes that hold 99 % of the variance
    per_length = 2 * band / search.length
    compared = max(1.0, per_length * extent * (1 - 1 / max(n_periods, 1.001)))
    trials = per_length * search.length * np.log(max(search.lags[-1] / search.lags[0], 1.1)) / 0.05
    return float(min(1.0, trials * scipy.special.fdtr(compared, compared, mismatch)))


def _whole_length(profile: Profile, search: _Search) -> PeriodEstimate:
    """What to say of a profile in which nothing repeats: one cell of a crystal, a slab, a bump, or noise."""
    values, n = search.values, len(search.values)
    power = np.abs(np.fft.rfft(profile.values - profile.values.mean())) ** 2
    rough = float(power[len(power) // 2 :].sum() / power.sum())
    width = max(2, n // 5)
    around = np.concatenate([values, values[:width]]) if search.periodic else values
    windows = np.lib.stride_tricks.sliding_window_view(around, width)  # a cosine varies by 0.1 of its range there
    flattest = float(np.min(windows.max(axis=1) - windows.min(axis=1)) / np.ptp(values))
    nothing = "No period: no stretch of the profile repeats twice"
    if rough > 0.05:
        return PeriodEstimate.none(
            f"{nothing}, and {100 * rough:.0f} % of its variance is as fine as the grid (noise?)."
        )
    if not search.periodic or flattest < 0.03:
        return PeriodEstimate.none(f"{nothing} (a single layer or bump, or layers that differ).")
    start = float(profile.position[0])
    return PeriodEstimate(
        float(profile.length),
        0.0,
        (start, start + float(profile.length)),
        1.0,
        LIKELY,
        None,
        f"Nothing repeats inside the periodic length of {profile.length:.5g} Å and nothing is vacuum: "
        "if this is one cell of a bulk crystal, its length is the period.",
    )
