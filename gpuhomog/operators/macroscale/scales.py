"""Scales of a field: how far its microscopic structure and its macroscopic variation lie apart, and what that permits.

    P_j = |ν~_j|²/N²                                 power of mode j, k and -k together, the mean left out
    P_low: 0 < k ≤ kL,  P_mid: kL < k < ka,  P_high: k ≥ ka
    apart where P_mid ≤ τ P_high and (P_low is none, or P_mid ≤ τ P_low),  τ = 0.01      eq. 91, Physical Assumption 2
    a = 2π/ka,  L = 2π/kL (infinite where nothing lies below),  eps = √(a min(L, box))    recommended averaging width
    S(k) ~ k^α for kL < k < ka                       growth of the power per mode in the gap

Of all (kL, ka) that keep the modes apart the widest gap is taken, by cumulative sums: kL is then the last mode below
the gap and ka the first above it, L the shortest macroscopic wavelength. α decides what a mesoscale average can give:
below α = 1 the charge of a length fluctuates without bound as the length grows, so that surface charges need α > 1;
the same of their cumulative charge, so that first moments and potential steps need α > 3.
It is the maximum-likelihood exponent of modes of exponentially distributed power (of the shells' sums of them), with a
term in k² where the spectrum bends; its standard error is theirs, times the scatter that is beyond that distribution.

A periodic field is taken as it is. Along open axes, and in a bulk window, the straight trend is removed and Hann's
window applied; surfaces inside would add power ~ k^-2. Fields in three dimensions are analysed by shells of |k|, in any
cell, or along one direction by their planar average.

In   Field, whole or slab, or Profile; any unit.
Out  Scales, on the host, equal on every rank.

>>> import gpuhomog as gh
>>> x = np.arange(4000) * 0.25
>>> wave = np.sin(2 * np.pi * x / 500) + np.cos(2 * np.pi * x)
>>> import warnings; warnings.simplefilter("ignore")
>>> found = scales(gh.Profile(x, wave, "V", "electrostatic_potential", 1000.0))
>>> print(f"{found.a:.6f} {found.L:.3f} {found.ratio:.1f} {found.eps:.4f}")
1.000000 500.000 500.0 22.3607
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite, isinf, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...device import Device
from ...errors import InputError, counted, warn
from ...fft import shell_powers
from ...field import Field
from ...grid import OPEN, Grid
from ...parallel import Slab
from ...reduction import SUM, Arrays, Reduction
from ...results import Measurement, Profile, Result, Tables
from ...streaming import Unread
from ..profiles.planar import Planes, planar_average

Array = NDArray[np.float64]

TAU = 0.01
"""Largest power in the gap, over that on either side."""
LEAST_RATIO = 30.0
"""L/a of a macroscale."""
FEWEST_BELOW = 8
"""Modes below the gap that show a macroscale reliably."""
FEWEST_IN_GAP = 8
"""Modes (independent complex ones) from which an exponent is found."""
FEWEST_SHELLS = 4
"""Different wavevectors among them."""
ENOUGH_TO_BEND = 32
"""Independent modes from which the term in k² is fitted too; chosen before the fit, for a choice by fits is biased."""
ROUNDING = {8: 1e-12, 4: 1e-5}
"""By bytes a value: amplitude, over the root mean square of the field, below which all power is taken for rounding."""
FEWEST_SAMPLES = 16
"""Of a profile, or along the longest axis of a grid."""
SHELLS = 8
"""Shells of |k| for each shortest wavevector of a cell."""
MOST_LOW_MODES = 64
"""Modes along the longest axis, on either side of 0, that are kept of a field read some planes at a time."""
HANN_SPREAD = sqrt(35 / 18)
"""Neighbouring modes under Hann's window are not independent: standard errors grow by this."""
CHOSEN_GAP = 1.15
"""The gap is sought in the spectrum that is fitted: of 570 seeded samples, 95 % of alpha lay within 2.3 errors."""
HANN_LOBE = 2
"""Modes next to 0 into which what is left of a trend spreads under Hann's window."""


@dataclass(frozen=True, eq=False)
class Scales(Result):
    """Microscale, macroscale, and what lies between.

    a           2π/ka: wavelength at which the microscopic power begins [Å], of a field in three dimensions to a shell,
                an eighth of the box's wavevector; None for a constant field
    L           2π/kL: shortest macroscopic wavelength [Å]; infinite (null in files) where no power lies below the gap
    box         longest wavelength of the field [Å]
    ratio       min(L, box)/a
    separated   True if the powers are apart and the ratio is at least 30
    verdict     one sentence that says so
    eps         recommended width √(a min(L, box)) of an averaging kernel, twice its standard deviation [Å]
    low, mid, high  power below, in and above the gap, in the square of the unit; they add up to the variance
    gap         (kL, ka) [1/Å]; None for a constant field
    alpha       growth exponent of the power per mode in the gap, with its standard error; or why there is none
    fitted      wavevectors between which alpha was fitted [1/Å]; None if it was not
    permits     what of the theory holds for such an exponent, one sentence
    longest_interval  widest interval of the partition at the mean level of the cumulative integral, α_max [Å]; profiles
    extremum_gap  widest distance of neighbouring extrema, a_ext [Å]; profiles only. Small even where nothing is apart
    tau         largest P_mid/P_high and P_mid/P_low
    planes      what a profile ran across; "|k|" for shells of a field in three dimensions
    windowed    True if a trend was removed and Hann's window applied
    unit        of the field
    k, power    (n,) wavevectors [1/Å] and the power there, mean left out
    modes       (n,) modes that share that power, k and -k both counted
    fit         (3,) ln S = c + α ln k + b k² of the power per mode; None if there was none
    """

    a: float | None
    L: float | None
    box: float
    ratio: float | None
    separated: bool
    verdict: str
    eps: float | None
    low: float
    mid: float
    high: float
    gap: tuple[float, float] | None
    alpha: Measurement
    fitted: tuple[float, float] | None
    permits: str
    longest_interval: float | None
    extremum_gap: float | None
    tau: float
    planes: str
    windowed: bool
    unit: str | None
    k: Array = field(repr=False)
    power: Array = field(repr=False)
    modes: Array = field(repr=False)
    fit: tuple[float, float, float] | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """With the spectrum as lists."""
        spectrum = {name: getattr(self, name).tolist() for name in ("k", "power", "modes")}
        return {**super().to_dict(), **spectrum}

    def tables(self) -> Tables:
        """As the terminal shows it: what was found, then how; rows of name and text under a title."""
        square = None if self.unit is None else f"({self.unit})^2"
        found: list[tuple[str, str]] = [("verdict", self.verdict)]
        if self.a is not None and self.L is not None:
            found += [
                ("microscale a", f"{self.a:.6g} Å"),
                ("macroscale L", "infinite: no power below the gap" if isinf(self.L) else f"{self.L:.6g} Å"),
                ("L/a in this box", f"{self.ratio:.4g}"),
                ("recommended eps", f"{self.eps:.4g} Å, twice the standard deviation of the kernel"),
            ]
        found += [("exponent alpha", str(self.alpha)), ("permits", self.permits)]
        numbers = ", ".join(f"{power:.6g}" for power in (self.low, self.mid, self.high))
        how = [("power below, in, above the gap", f"{numbers}{'' if square is None else ' ' + square}")]
        if self.gap is not None:
            how.append(("gap kL, ka", f"{self.gap[0]:.6g}, {self.gap[1]:.6g} 1/Å"))
        if self.fitted is not None:
            how.append(("alpha fitted over", f"{self.fitted[0]:.6g} to {self.fitted[1]:.6g} 1/Å"))
        if self.longest_interval is not None:
            how.append(("widest zero-average interval", f"{self.longest_interval:.6g} Å"))
        if self.extremum_gap is not None:
            how.append(("widest gap of extrema", f"{self.extremum_gap:.6g} Å"))
        how.append(("spectrum", "shells of |k|" if self.planes == "|k|" else f"normal to planes {self.planes}"))
        how += [("note", remark) for remark in self.remarks]
        return ("Scales", tuple(found)), ("How they were found", tuple(how))


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Power by wavevector.

    k, power, modes  (n,) as in Scales
    floor     power that is rounding
    box       longest wavelength [Å]
    windowed  under Hann's window
    cut       wavevector from which on all power is the last entry [1/Å]; None: all are resolved
    """

    k: Array
    power: Array
    modes: Array
    floor: float
    box: float
    windowed: bool
    cut: float | None = None


def scales(
    values: Field | Profile,
    axis: Planes | None = None,
    *,
    gap: Sequence[float] | None = None,
    bulk: Sequence[float] | None = None,
    tau: float = TAU,
) -> Scales:
    """Microscale a, macroscale L, recommended eps and the exponent alpha of a field.

    values   Field or Profile
    axis     of a Field: the planes whose average is analysed, as in planar_average; None: shells of |k|
    gap      (kL, ka) [1/Å] of the gap; by default the widest that the verdict allows
    bulk     (low, high) inside a profile [Å], analysed as an open one
    tau      largest power in the gap over that on either side

    A constant field has a = L = eps = None and the reason in `verdict`. Source: eq. 91 and Physical Assumption 2, with
    P_low = 0 allowed. Where no macroscale is found that is the verdict, not an error.

    Raises InputError for fewer than 16 samples, a gap or bulk that is not one, tau outside 0..1.
    Warns (AccuracyWarning) if fewer than 8 modes lie below a finite kL.
    """
    if not (isfinite(tau) and 0 < tau < 1):
        raise InputError(f"tau = {tau}: give the largest power in the gap over that beside it, between 0 and 1.")
    given = None if gap is None else _check_gap(gap)
    profile: Profile | None = None
    if isinstance(values, Field) and axis is None:
        if bulk is not None:
            raise InputError('bulk belongs to a profile: give axis="a", "b" or "c" with it.')
        name, spectrum = "|k|", _shells(values)
    else:
        if isinstance(values, Field):
            assert axis is not None
            values = planar_average(values, axis)
        elif axis is not None:
            raise InputError(f"This is a profile already, across the planes of {values.planes}: leave axis out.")
        profile = values if bulk is None else _windowed(values, bulk)
        name, spectrum = profile.planes, profile_spectrum(profile)
    of_profile: dict[str, Any] = {}
    if profile is not None and spectrum.power.sum() > spectrum.floor:
        of_profile = {"longest_interval": longest_interval(profile), "extremum_gap": extremum_gap(profile)}
    return scales_of(spectrum, values, name, given, tau, bulk, **of_profile)


def scales_of(
    spectrum: Spectrum,
    values: Field | Profile,
    planes: str = "|k|",
    gap: tuple[float, float] | None = None,
    tau: float = TAU,
    bulk: Sequence[float] | None = None,
    **more: Any,
) -> Scales:
    """The scales that a spectrum of some values shows."""
    result = _judged(spectrum, gap, tau) | more
    step = {
        "step": "scales",
        "planes": planes,
        "tau": tau,
        "gap": "the widest" if gap is None else "given",
        "bulk": None if bulk is None else [float(x) for x in bulk],
    }
    return Scales(
        **result,
        tau=tau,
        planes=planes,
        windowed=spectrum.windowed,
        unit=values.unit,
        k=spectrum.k,
        power=spectrum.power,
        modes=spectrum.modes,
        box=spectrum.box,
        provenance=(*values.provenance, step),
    )


def _check_gap(gap: Sequence[float]) -> tuple[float, float]:
    try:
        low, high = (float(k) for k in gap)
    except (TypeError, ValueError):
        low = high = 0.0
    if not 0 < low < high < inf:
        raise InputError(f"gap = {gap}: give two wavevectors 0 < kL < ka in 1/Å.")
    return low, high


def _windowed(profile: Profile, window: Sequence[float]) -> Profile:
    """The samples of a profile within a window, as an open profile."""
    try:
        low, high = (float(x) for x in window)
    except (TypeError, ValueError):
        low = high = 0.0
    position, h = profile.position, profile.spacing
    first = float(position[0]) - h / 2
    if not (first - 1e-9 <= low < high <= first + profile.length + 1e-9 + h / 2):
        raise InputError(
            f"window = {window}: give two positions low < high inside the profile, {first + h / 2:.6g} to "
            f"{first + profile.length + h / 2:.6g} Å."
        )
    inside = (position >= low) & (position <= high)
    n = int(inside.sum())
    step = {"step": "window", "low": low, "high": high}
    return replace(
        profile,
        position=position[inside],
        values=profile.values[inside],
        uncertainty=None,
        length=max(n, 1) * h,
        boundary=OPEN,
        provenance=(*profile.provenance, step),
    )


def profile_spectrum(profile: Profile) -> Spectrum:
    """Power of the modes of a profile, the mean left out; Hann's window where it is open. InputError if it is short."""
    values, n = profile.values, len(profile.values)
    if n < FEWEST_SAMPLES:
        raise InputError(
            f"Profile of {counted(n, 'plane')}: at least {FEWEST_SAMPLES} are needed to tell scales apart."
        )
    square = float(np.mean(values**2))
    windowed = profile.boundary == OPEN
    norm = 1.0
    if windowed:
        values = values - np.polynomial.Polynomial.fit(profile.position, values, 1)(profile.position)
        weight = _hann(n)
        values, norm = values * weight, float(np.mean(weight**2))
    power = np.abs(np.fft.rfft(values - values.mean())) ** 2 / (n**2 * norm)
    modes = np.full(len(power), 2.0)
    if n % 2 == 0:
        modes[-1] = 1.0
    power *= modes
    k = np.asarray(2 * np.pi * np.arange(len(power)) / profile.length, dtype=np.float64)
    floor = ROUNDING[8] ** 2 * square
    return Spectrum(k[1:], power[1:], modes[1:], floor, profile.length, windowed)


def _hann(n: int) -> Array:
    return np.asarray(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2, dtype=np.float64)


def _shells(whole: Field) -> Spectrum:
    """Power by shells of |k|, so thin that the lowest modes, from which alpha is found, are hardly mixed."""
    grid, values, norm = whole.grid, whole.values, 1.0
    if max(grid.shape) < FEWEST_SAMPLES:
        raise InputError(
            f"Grid of {' x '.join(map(str, grid.shape))} points: at least {FEWEST_SAMPLES} along one axis are needed "
            "to tell scales apart."
        )
    if isinstance(values, Unread):
        return low_modes_spectrum(whole)
    sums = {axis: whole.plane_sums(axis) for axis in (*_open_axes(grid), whole.slab.axis)}
    mean = float(sums[whole.slab.axis].sum()) / grid.n_points
    axes = _open_axes(grid)
    if axes:
        values = values - values.dtype.type(mean)
        for axis in axes:
            values = values - _along(whole, axis, _trend(sums[axis] / grid.points_per_plane(axis) - mean))
        for axis in axes:
            weight = _hann(grid.shape[axis])
            values = values * _along(whole, axis, weight)
            norm *= float(np.mean(weight**2))
    shortest = shortest_wavevector(grid)
    modes, k_sum, power = shell_powers(
        whole.device,
        values,
        grid.reciprocal,
        shortest / SHELLS,
        slab=whole.slab,
        comm=whole.comm,
        largest=whole.largest_of(values),
    )
    filled = modes > 0
    square = float(power.sum()) / norm + mean**2
    k = np.asarray(k_sum[filled] / modes[filled], dtype=np.float64)
    floor = ROUNDING[values.dtype.itemsize] ** 2 * square
    return Spectrum(k, power[filled] / norm, modes[filled], floor, 2 * pi / shortest, bool(axes))


def _open_axes(grid: Grid) -> list[int]:
    return [axis for axis in range(3) if grid.boundary[axis] == OPEN and grid.shape[axis] > 2]


def _trend(line: Array) -> Array:
    """The straight line through some values, about their mean."""
    place = np.arange(len(line), dtype=np.float64)
    return np.asarray(np.polynomial.Polynomial.fit(place, line, 1)(place) - line.mean(), dtype=np.float64)


def low_modes_spectrum(whole: Field, most: int = MOST_LOW_MODES) -> Spectrum:
    """The same from one pass over the planes: the lowest modes one by one, all others as one power, by Parseval.

    most  modes along the longest axis, on either side of 0; the last entry is what lies beyond them
    """
    grid = whole.grid
    counts, cut = low_mode_counts(grid, most)
    axes = _open_axes(grid)
    weights = [_hann(n) if axis in axes else np.ones(n) for axis, n in enumerate(grid.shape)]
    norm = float(np.prod([np.mean(weight**2) for weight in weights]))
    waves = [_waves(m, weight) for m, weight in zip(counts, weights, strict=True)]
    split = whole.slab.axis
    others = [axis for axis in range(3) if axis != split]

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        shape = tuple(len(matrix) for matrix in waves)
        if not values.size:
            return np.zeros(shape), *(np.zeros(grid.shape[axis]) for axis in range(3)), np.zeros(1)
        moments = device.planar_moments(values, 2, 0.0)[:3]
        sums = [np.zeros(n) for n in grid.shape]
        for axis in others:
            sums[axis] = moments[axis][0]
        sums[split][slab.planes] = moments[split][0]
        part = values
        for axis in others:
            part = device.contract(part, waves[axis], axis)
        part = device.contract(part, np.ascontiguousarray(waves[split][:, slab.planes]), split)
        return device.to_host(part).astype(np.float64), *sums, np.array([moments[split][1].sum()])

    name = f"low modes {counts} of windows along {axes}"
    n_bytes = 8 * int(np.prod([len(matrix) for matrix in waves]))
    found = whole.reduce(Reduction(name, local, (SUM,) * 5, n_bytes=n_bytes))
    tensor, sums, square = found[0], found[1:4], float(found[4][0]) / grid.n_points
    mean = float(sums[split].sum()) / grid.n_points
    lines = {axis: _trend(sums[axis] / grid.points_per_plane(axis)) for axis in axes}
    ones = [matrix.sum(axis=1) for matrix in waves]
    pieces = [(mean, ones)] if axes else []
    pieces += [(1.0, [waves[axis] @ lines[axis] if b == axis else ones[b] for b in range(3)]) for axis in axes]
    for factor, (first, second, third) in pieces:
        tensor = tensor - factor * np.einsum("a,b,c->abc", first, second, third)
    variance = (
        square
        - mean**2
        - sum(
            float(np.mean(line * (2 * sums[axis] / grid.points_per_plane(axis) - line))) for axis, line in lines.items()
        )
    )
    modes = np.einsum("xa,yb,zc,abc->xyz", *(_complex_modes(m) for m in counts), tensor, optimize=True)
    numbers = np.meshgrid(*(np.arange(-m, m + 1.0) for m in counts), indexing="ij")
    k = np.linalg.norm(np.stack(numbers, axis=-1) @ grid.reciprocal, axis=-1)
    power = np.abs(modes) ** 2 / (float(grid.n_points) ** 2 * norm)
    return spectrum_below(whole, cut, k, power, np.ones(k.shape), variance, square, bool(axes))


def low_mode_counts(grid: Grid, most: int) -> tuple[list[int], float]:
    """The lowest modes along each axis, of waves as long as `most` of the longest axis, and where all of them end."""
    cut = 2 * np.pi * most / float(max(grid.lengths[axis] for axis in range(3) if grid.shape[axis] > 1))
    counts = [
        min(int(cut * grid.lengths[axis] / (2 * np.pi) * (1 + 1e-9)), (grid.shape[axis] - 1) // 2) for axis in range(3)
    ]
    ends = (2 * np.pi * (counts[axis] + 1) / grid.lengths[axis] for axis in range(3) if grid.shape[axis] > 1)
    return counts, float(min([cut, *ends]))


def spectrum_below(
    whole: Field, cut: float, k: Array, power: Array, weight: Array, variance: float, square: float, windowed: bool
) -> Spectrum:
    """Shells of the modes below `cut`, each counted `weight` times; what they lack of the variance lies beyond.

    variance, square  of the values, the mean left out and not; a difference that is only their rounding is none
    """
    grid, rounding = whole.grid, ROUNDING[whole.values.dtype.itemsize]
    inside = (k > 0) & (k < cut * (1 - 1e-9))
    k, power, weight = k[inside], power[inside], weight[inside]
    shortest = shortest_wavevector(grid)
    shell = np.rint(k / (shortest / SHELLS)).astype(np.intp)
    n_modes, k_sum, by_shell = (np.bincount(shell, part) for part in (weight, weight * k, weight * power))
    filled = n_modes > 0
    beyond = variance - float(by_shell.sum())
    if beyond < rounding * variance + ROUNDING[8] * square:
        beyond = 0.0
    return Spectrum(
        np.append(k_sum[filled] / n_modes[filled], cut),
        np.append(by_shell[filled], beyond),
        np.append(n_modes[filled], max(grid.n_points - 1 - n_modes.sum(), 1)),
        rounding**2 * square,
        2 * pi / shortest,
        windowed,
        cut,
    )


def _waves(m: int, weight: Array) -> Array:
    """(2m + 1, n) cosines 0 … m, then sines 1 … m, times a window."""
    phase = 2 * np.pi * np.outer(np.arange(m + 1), np.arange(len(weight))) / len(weight)
    return np.asarray(np.concatenate([np.cos(phase), np.sin(phase[1:])]) * weight, dtype=np.float64)


def _complex_modes(m: int) -> NDArray[np.complex128]:
    """(2m + 1, 2m + 1) modes -m … m of sums with cosines and sines."""
    out = np.zeros((2 * m + 1, 2 * m + 1), dtype=np.complex128)
    for n in range(-m, m + 1):
        out[m + n, abs(n)] = 1.0
        if n:
            out[m + n, m + abs(n)] = -1j * np.sign(n)
    return out


def _along(whole: Field, axis: int, line: Array) -> Any:
    """Numbers along an axis, of this rank's planes, on the device, to be broadcast over the others."""
    shape = [1, 1, 1]
    own = line[whole.slab.planes] if axis == whole.slab.axis else line
    shape[axis] = len(own)
    return whole.device.asarray(np.ascontiguousarray(own.reshape(shape), dtype=whole.values.dtype))


def shortest_wavevector(grid: Grid) -> float:
    """|k| of the longest plane wave that fits the cell, along axes of more than one point [1/Å].

    >>> round(shortest_wavevector(Grid((4, 4, 8), np.diag([1.0, 1.0, 4.0]))) / (2 * np.pi), 12)
    0.25
    """
    several = np.array(grid.shape) > 1
    # n_i = k·a_i/2π, so none beyond |b| |a_i|/2π makes a vector shorter than |b|, the shortest of the three
    least = np.linalg.norm(grid.reciprocal, axis=1)[several].min()
    most = np.where(several, np.floor(least * grid.lengths / (2 * np.pi) + 1e-9), 0).astype(int)
    n = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), axis=-1).reshape(-1, 3)
    return float(np.linalg.norm(n[n.any(axis=1)] @ grid.reciprocal, axis=1).min())


def _judged(spectrum: Spectrum, gap: tuple[float, float] | None, tau: float) -> dict[str, Any]:
    """Everything in a result that follows from the spectrum."""
    k, power, floor, box = spectrum.k, spectrum.power, spectrum.floor, spectrum.box
    nothing: dict[str, Any] = {"longest_interval": None, "extremum_gap": None, "remarks": (), "fit": None}
    if float(power.sum()) <= floor:
        return {
            **nothing,
            **dict.fromkeys(("a", "L", "ratio", "eps", "gap", "fitted")),
            **dict.fromkeys(("low", "mid", "high"), 0.0),
            "separated": False,
            "verdict": "The field is constant: it has no scales.",
            "alpha": Measurement.not_defined("1", "the field is constant"),
            "permits": "Every result of the theory holds: there is nothing to average.",
        }
    if gap is None:
        j, i = widest_gap(k, power, floor, tau)
        start, stop = (float(k[j - 1]) if j else 0.0), float(k[i])
    else:
        start, stop = gap
        j, i = int(np.searchsorted(k, start * (1 + 1e-12), side="right")), int(np.searchsorted(k, stop * (1 - 1e-12)))
    low, mid, high = (float(part.sum()) for part in (power[:j], power[j:i], power[i:]))
    length = inf if low <= floor else 2 * pi / start
    a = 2 * pi / stop
    ratio = min(length, box) / a
    apart = mid <= tau * high and high > floor and (low <= floor or mid <= tau * low)
    if not apart:
        verdict = (
            f"Not apart: the power in the gap, {mid:.3g}, is more than {tau:g} of that above it, {high:.3g}"
            f"{'' if low <= floor else f', or of that below it, {low:.3g}'}."
        )
    elif ratio < LEAST_RATIO:
        verdict = f"No macroscale in this box, L/a = {ratio:.3g}: at least {LEAST_RATIO:g} are needed."
    elif isinf(length):
        verdict = f"Scales are apart: a = {a:.4g} Å, no macroscopic wavelength below the gap, box/a = {ratio:.4g}."
    else:
        verdict = (
            f"Scales are apart: a = {a:.4g} Å, shortest macroscopic wavelength L = {length:.4g} Å, L/a = {ratio:.4g}."
        )
    remarks = []
    if isfinite(length) and j < FEWEST_BELOW:
        text = f"Modes below the gap: {j} of at least {FEWEST_BELOW}; L is uncertain, take a larger sample."
        warn(text)
        remarks.append(text)
    if spectrum.windowed:
        remarks.append("A straight trend was removed and Hann's window applied.")
    if spectrum.cut is not None:
        remarks.append(f"Wavevectors from {spectrum.cut:.4g} 1/Å on were counted as one: a is known up to there.")
    alpha, fitted, fit = _exponent(spectrum, j, i)
    return nothing | {
        "a": a,
        "L": length,
        "ratio": ratio,
        "separated": bool(apart and ratio >= LEAST_RATIO),
        "verdict": verdict,
        "eps": sqrt(a * min(length, box)),
        "low": low,
        "mid": mid,
        "high": high,
        "gap": (start, stop),
        "alpha": alpha,
        "fitted": fitted,
        "fit": fit,
        "permits": permitted(alpha, mid <= floor and i - j >= FEWEST_IN_GAP),
        "remarks": tuple(remarks),
    }


def widest_gap(k: Array, power: Array, floor: float, tau: float) -> tuple[int, int]:
    """Modes [0, j) below, [j, i) in and [i, …) above the widest gap that the verdict allows; eq. 91.

    Where none does, every mode lies above: (0, 0). The width is the ratio of k[i] to the last mode below the gap, or to
    the first mode of all where none lies below.

    >>> k = np.arange(1.0, 101.0)
    >>> widest_gap(k, np.where(k == 2, 1.0, 0.0) + (k == 80), 1e-30, 0.01)
    (2, 79)
    """
    below = np.concatenate([[0.0], np.cumsum(power)])  # below[j]: power of the first j modes
    total = below[-1]
    n = len(k)
    j = np.arange(n)
    low = below[:n]
    allowed = (tau * total + low) / (1 + tau)  # below[i] at most: P_mid <= tau P_high
    allowed = np.where(low <= floor, allowed, np.minimum(allowed, (1 + tau) * low))
    i = np.searchsorted(below, allowed, side="right") - 1
    last = int(np.searchsorted(below, total - floor, side="left")) - 1  # the last mode with power from it on
    i = np.minimum(np.maximum(i, j), max(last, 0))
    start = k[np.maximum(j - 1, 0)]
    width = np.where(i >= j, np.log(k[i] / start), -1.0)
    best = int(np.flatnonzero(width >= width.max() * (1 - 1e-12))[-1])
    if best == 1 and low[1] <= floor:  # as wide with nothing below
        best = 0
    return best, int(i[best])


def _exponent(
    spectrum: Spectrum, j: int, i: int
) -> tuple[Measurement, tuple[float, float] | None, tuple[float, float, float] | None]:
    """alpha of the modes in the gap, the wavevectors fitted, and the fit."""
    first = max(j, HANN_LOBE if spectrum.windowed else 0)
    k, modes = spectrum.k[first:i], spectrum.modes[first:i]
    independent = modes / 2
    if float(spectrum.power[first:i].sum()) <= spectrum.floor and i - first >= FEWEST_IN_GAP:
        return Measurement.not_defined("1", "no power lies in the gap, as in a crystal"), None, None
    if independent.sum() < FEWEST_IN_GAP or len(k) < FEWEST_SHELLS:
        return (
            Measurement.not_defined("1", f"too few wavevectors in the gap to fit, {len(k)}: take a larger sample"),
            None,
            None,
        )
    values, errors = power_law(k, spectrum.power[first:i] / modes, independent)
    error = errors * CHOSEN_GAP * (HANN_SPREAD if spectrum.windowed else 1.0)
    return Measurement(values[1], "1", error), (float(k[0]), float(k[-1])), values


def power_law(k: Array, density: Array, independent: Array) -> tuple[tuple[float, float, float], float]:
    """Maximum likelihood of ln S = c + α ln k + b k² for powers of exponential distribution, and α's standard error.

    density      (n,) mean power of the modes of each shell
    independent  (n,) modes in it: their mean is gamma distributed with that shape

    b is 0 for fewer than 32 independent modes. The error grows with a scatter beyond the distribution's.

    >>> k = np.arange(1.0, 200.0)
    >>> (c, alpha, b), error = power_law(k, 3 * k**2, np.full(199, 50.0))
    >>> round(alpha, 9), abs(b) < 1e-12, error < 0.05
    (2.0, True, True)
    """
    scale = float(density.max())
    y, x = density / scale, np.log(k / k[-1])
    columns = np.stack([np.ones_like(x), x, (k / k[-1]) ** 2], axis=1)
    bends = independent.sum() >= ENOUGH_TO_BEND and len(k) > 5
    values, error, dispersion = _gamma_fit(columns if bends else columns[:, :2], y, independent)
    b = float(values[2]) / float(k[-1]) ** 2 if bends else 0.0
    alpha = float(values[1])
    c = float(values[0]) + float(np.log(scale)) - alpha * float(np.log(k[-1]))
    return (c, alpha, b), float(error) * sqrt(max(1.0, dispersion))


def _gamma_fit(columns: Array, y: Array, shape: Array) -> tuple[Array, float, float]:
    """Coefficients of ln μ, standard error of the second, dispersion; by Fisher's scoring."""
    normal = columns.T @ (shape[:, None] * columns)
    start = np.log(np.maximum(y, 1e-3 * y[y > 0].min()))
    values = np.linalg.solve(normal, columns.T @ (shape * start))
    for _ in range(100):
        residual = np.minimum(y * np.exp(-columns @ values), 1e3) - 1
        step = np.linalg.solve(normal, columns.T @ (shape * residual))
        values = values + step * min(1.0, 2 / max(float(np.abs(columns @ step).max()), 1e-300))
        if np.abs(step).max() < 1e-10:
            break
    fitted = y * np.exp(-columns @ values)
    free = max(1, len(y) - columns.shape[1])
    dispersion = float(np.sum(shape * (fitted - 1) ** 2) / free)
    return values, float(np.sqrt(np.linalg.inv(normal)[1, 1])), dispersion


def permitted(alpha: Measurement, crystal: bool = False) -> str:
    """Which results of the theory an exponent permits, at two standard errors (measured in one dimension).

    >>> print(permitted(Measurement(3.5, "1", 0.1)))
    alpha > 3: surface charges, first moments, potential steps and Physical Assumption 8 all hold.
    """
    if crystal:
        return (
            "No power in the gap, as in a crystal: surface charges, first moments and potential steps are all defined."
        )
    if alpha.value is None:
        return "Not decided, as alpha is not known: surface charges need alpha > 1, first moments and steps alpha > 3."
    low, high = (alpha.value + sign * 2 * (alpha.uncertainty or 0.0) for sign in (-1, 1))
    if low > 3:
        return "alpha > 3: surface charges, first moments, potential steps and Physical Assumption 8 all hold."
    if high <= 1:
        return (
            "alpha <= 1: the charge of the bulk fluctuates; surface charges, first moments, potential steps and "
            "zero-average partitions are not defined."
        )
    if low > 1 and high <= 3:
        return (
            "alpha > 1: surface charges and Physical Assumption 8 hold; first moments and potential steps, which need "
            "alpha > 3, do not converge."
        )
    if low > 1:
        return (
            "alpha > 1: surface charges and Physical Assumption 8 hold; first moments and potential steps need "
            "alpha > 3, which this sample does not decide."
        )
    return "Surface charges need alpha > 1, which this sample does not decide; first moments and steps need alpha > 3."


def longest_interval(profile: Profile) -> float:
    """Widest interval of the zero-average partition at the mean level of C = ∫(ν - mean), α_max of section 7 [Å].

    The intervals of a partition end where C returns to its level; two ends are at least two samples apart.
    """
    h = profile.spacing
    periodic = profile.boundary != OPEN
    cumulative = np.concatenate([[0.0], np.cumsum(profile.values - profile.values.mean()) * h])
    level = float(np.mean((cumulative[1:] + cumulative[:-1]) / 2))
    deviation = cumulative - level
    deviation[np.abs(deviation) < 1e-12 * np.abs(cumulative).max()] = 0.0
    at = np.flatnonzero((deviation[:-1] <= 0) != (deviation[1:] <= 0))
    ends = (at + deviation[at] / (deviation[at] - deviation[at + 1])) * h
    kept = [float(ends[0])] if len(ends) else []
    for end in ends[1:]:
        if end - kept[-1] >= 2 * h:
            kept.append(float(end))
    if not kept:
        return float(profile.length)
    if periodic:
        kept.append(kept[0] + profile.length)
    else:
        kept = [0.0, *kept, profile.length]
    return float(np.diff(kept).max())


def extremum_gap(profile: Profile) -> float:
    """Widest distance of neighbouring local extrema, placed by the parabola through three samples, a_ext [Å]."""
    values, n = profile.values, len(profile.values)
    if profile.boundary != OPEN:
        values = np.concatenate([values[-1:], values, values[:2]])
    rise = np.diff(values)
    turning = np.flatnonzero(rise[:-1] * rise[1:] < 0) + 1
    if not len(turning):
        return float(profile.length)
    before, after = rise[turning - 1], rise[turning]
    place = (turning + 0.5 * (before + after) / (before - after)) * profile.spacing
    if profile.boundary != OPEN:
        place = np.sort(np.unique(np.round(place, 12)))
        place = place[place < place[0] + n * profile.spacing - 1e-9]
        place = np.append(place, place[0] + n * profile.spacing)
    return float(np.diff(place).max()) if len(place) > 1 else float(profile.length)
