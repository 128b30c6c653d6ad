"""Unrolled: a profile laid out from vacuum to vacuum, with its exact running integrals at any position.

    C(x) = ∫_start^x f,   D(x) = ∫_start^x C,   T(x) = ∫_start^x D      C is the cumulative charge of eq. 43
    mean over a window [u, v]:  of C  (D(v) - D(u))/(v - u),   of D  (T(v) - T(u))/(v - u)

Samples mean what `sampling` says. "bandlimited": f is the trigonometric polynomial through the samples, and its
integrals go mode by mode. "cell": f is constant in each cell around its sample, C is piecewise linear, D piecewise
quadratic, and the charge is conserved exactly. A window is never rounded to whole samples.

A periodic profile is unrolled at the middle of its vacuum, so a body that lies across the boundary of the cell is
whole again. The body reaches from the first to the last place where |f| exceeds 1 % of its maximum.

In   Profile, host.
Out  Unrolled, Body, Period: host arrays and numbers, equal on every rank.

>>> line = Unrolled(0.0, 0.5, np.array([0.0, 2.0, -2.0, 0.0]), "cell")
>>> line.cumulative(np.array([0.5, 1.0, 1.25])).tolist(), float(line.window_mean(1.0, 1.0))
([0.0, 1.0, 0.5], 0.5)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, nearest_known
from ..grid import OPEN
from ..results import Profile
from .periods import find_periods

Array = NDArray[np.float64]

BANDLIMITED, CELL = "bandlimited", "cell"
FACE_LEVEL = 0.01
"""The body ends where |f| falls below this fraction of its maximum."""
LEAST_VACUUM = 0.08
"""A gap shorter than this fraction of the period is no vacuum."""
VACUUM_LEAD = 1.5
"""The vacuum must be this many times longer than any gap inside the body."""
LONGEST_STRETCH = 2048
"""Samples in the middle of a bulk among which its period is looked for."""
EVALUATION_BLOCK = 2_000_000
"""Largest number of positions times modes evaluated at once."""


@dataclass(frozen=True, eq=False)
class Unrolled:
    """Equally spaced samples on one line; outside it the field is zero.

    start    left end: half a spacing before the first sample [Å]
    spacing  distance of the samples [Å]
    values   (n,) samples, at start + (i + 1/2) spacing
    sampling "bandlimited" or "cell"
    """

    start: float
    spacing: float
    values: Array
    sampling: str = BANDLIMITED

    @property
    def end(self) -> float:
        """Right end [Å]."""
        return self.start + self.spacing * len(self.values)

    @cached_property
    def position(self) -> Array:
        """(n,) positions of the samples [Å]."""
        return np.asarray(self.start + self.spacing * (np.arange(len(self.values)) + 0.5), dtype=np.float64)

    def mirrored(self) -> Unrolled:
        """The line seen from the other end: its position x is -x of this one, so it integrates from above."""
        return Unrolled(-self.end, self.spacing, self.values[::-1], self.sampling)

    @property
    def total(self) -> float:
        """∫ f over the line."""
        return float(self.values.sum() * self.spacing)

    @property
    def gross(self) -> float:
        """∫ |f| over the line."""
        return float(np.abs(self.values).sum() * self.spacing)

    @property
    def highest(self) -> float:
        """Largest |C|, by sums of samples."""
        return float(np.abs(np.cumsum(self.values)).max() * self.spacing)

    @cached_property
    def _modes(self) -> tuple[Array, NDArray[np.complex128]]:
        """Wavevectors and coefficients of f - mean, phases from `start`; the Nyquist mode is left out."""
        n = len(self.values)
        count = (n - 1) // 2
        wavevectors = 2 * np.pi * np.arange(1, count + 1) / (n * self.spacing)
        coefficients = 2 * np.fft.rfft(self.values)[1 : count + 1] / n
        phased = np.asarray(coefficients * np.exp(-0.5j * wavevectors * self.spacing), dtype=np.complex128)
        return np.asarray(wavevectors, dtype=np.float64), phased

    def _evaluate(self, coefficients: NDArray[np.complex128], x: Array) -> Array:
        """Real part of Σ coefficients exp(i G (x - start))."""
        wavevectors = self._modes[0]
        out = np.empty(x.shape)
        flat, result = x.ravel(), out.reshape(-1)
        block = max(1, EVALUATION_BLOCK // max(1, len(wavevectors)))
        for i in range(0, len(flat), block):
            phases = np.exp(1j * np.outer(flat[i : i + block] - self.start, wavevectors))
            result[i : i + block] = (phases @ coefficients).real
        return out

    def _evaluate_at_samples(self, coefficients: NDArray[np.complex128]) -> Array:
        """The same at every sample, by one FFT."""
        n, wavevectors = len(self.values), self._modes[0]
        spectrum = np.zeros(n // 2 + 1, dtype=np.complex128)
        spectrum[1 : len(wavevectors) + 1] = coefficients * np.exp(0.5j * wavevectors * self.spacing) * (n / 2)
        return np.asarray(np.fft.irfft(spectrum, n), dtype=np.float64)

    def density(self, x: ArrayLike) -> Array:
        """The field at positions x; zero outside the line."""
        x = np.asarray(x, dtype=np.float64)
        inside = (x >= self.start) & (x <= self.end)
        if self.sampling == CELL:
            cell = np.clip(((x - self.start) / self.spacing).astype(int), 0, len(self.values) - 1)
            return np.asarray(np.where(inside, self.values[cell], 0.0))
        return np.asarray(np.where(inside, self.values.mean() + self._evaluate(self._modes[1], x), 0.0))

    def cumulative(self, x: ArrayLike) -> Array:
        """C(x) = ∫_start^x f; 0 before the line, the total after it."""
        x = np.clip(np.asarray(x, dtype=np.float64), self.start, self.end)
        if self.sampling == CELL:
            edges, at_edges, _, _ = self._cell_integrals
            return np.asarray(np.interp(x, edges, at_edges))
        wavevectors, coefficients = self._modes
        once = coefficients / (1j * wavevectors)
        return self.values.mean() * (x - self.start) + self._evaluate(once, x) - float(once.sum().real)

    @cached_property
    def _cell_integrals(self) -> tuple[Array, Array, Array, Array]:
        """Cell edges, and there the first three running integrals of the field."""
        h, f = self.spacing, self.values
        edges = np.asarray(self.start + h * np.arange(len(f) + 1), dtype=np.float64)
        first, second, third = np.zeros(len(edges)), np.zeros(len(edges)), np.zeros(len(edges))
        first[1:] = np.cumsum(f) * h
        second[1:] = np.cumsum(first[:-1] + f * (h / 2)) * h
        third[1:] = np.cumsum(second[:-1] + first[:-1] * (h / 2) + f * (h**2 / 6)) * h
        return edges, first, second, third

    def _within(self, x: Array) -> tuple[Array, NDArray[np.int64], Array]:
        """Positions clipped to the line, the cell of each, and the distance from the cell's left edge."""
        within = np.clip(x, self.start, self.end)
        cell = np.clip(((within - self.start) / self.spacing).astype(np.int64), 0, len(self.values) - 1)
        return within, cell, within - self._cell_integrals[0][cell]

    def double_cumulative(self, x: ArrayLike) -> Array:
        """D(x) = ∫_start^x C, continued with C = 0 before and C = total after the line."""
        x = np.asarray(x, dtype=np.float64)
        within, i, t = self._within(x)
        if self.sampling == CELL:
            _, first, second, _ = self._cell_integrals
            result = second[i] + t * (first[i] + t * (self.values[i] / 2))
        else:
            result = self._evaluate(self._twice, within) + self._parabola(within)
        return np.asarray(result + self.total * np.maximum(x - self.end, 0.0))

    def double_cumulative_at_samples(self) -> Array:
        """(n,) D at every sample; bandlimited, by one FFT."""
        if self.sampling == CELL:
            return self.double_cumulative(self.position)
        return self._evaluate_at_samples(self._twice) + self._parabola(self.position)

    @property
    def _twice(self) -> NDArray[np.complex128]:
        """Coefficients of the second integral of f - mean."""
        wavevectors, coefficients = self._modes
        return np.asarray(-coefficients / wavevectors**2, dtype=np.complex128)

    def _parabola(self, x: Array) -> Array:
        """What D has besides its modes: the mean of f, and what makes C and D zero at the start."""
        wavevectors, coefficients = self._modes
        t = x - self.start
        slope = float((coefficients / (1j * wavevectors)).sum().real)
        return np.asarray(t * (t * (self.values.mean() / 2) - slope) - float(self._twice.sum().real))

    def triple_cumulative(self, x: ArrayLike) -> Array:
        """∫_start^x D, for positions on the line."""
        within, i, t = self._within(np.asarray(x, dtype=np.float64))
        if self.sampling == CELL:
            _, first, second, third = self._cell_integrals
            return np.asarray(third[i] + t * (second[i] + t * (first[i] / 2 + t * (self.values[i] / 6))))
        wavevectors, coefficients = self._modes
        once, twice = coefficients / (1j * wavevectors), -coefficients / wavevectors**2
        thrice = twice / (1j * wavevectors)
        t = within - self.start
        polynomial = -float(twice.sum().real) + t * (t * (self.values.mean() / 6) - float(once.sum().real) / 2)
        return np.asarray(self._evaluate(thrice, within) - float(thrice.sum().real) + t * polynomial)

    def window_mean(self, centre: ArrayLike, width: float) -> Array:
        """Mean of C over windows of a full width around each centre."""
        centre = np.asarray(centre, dtype=np.float64)
        ends = self.double_cumulative(np.stack([centre - width / 2, centre + width / 2]))
        return np.asarray((ends[1] - ends[0]) / width)

    def window_mean_of_double(self, centre: ArrayLike, width: float) -> Array:
        """Mean of D over windows of a full width around each centre."""
        centre = np.asarray(centre, dtype=np.float64)
        ends = self.triple_cumulative(np.stack([centre - width / 2, centre + width / 2]))
        return np.asarray((ends[1] - ends[0]) / width)


@dataclass(frozen=True, eq=False)
class Body:
    """Matter between two vacua, on its line.

    line  the field from vacuum to vacuum
    low   where matter begins [Å]
    high  where it ends [Å], above `low` (beyond the period if the body crosses the boundary of the cell)
    """

    line: Unrolled
    low: float
    high: float

    @property
    def thickness(self) -> float:
        """High - low [Å]."""
        return self.high - self.low

    def place(self, x: float, period: float | None) -> float:
        """The position x, moved by whole periods to where the line lies; unchanged on an open axis."""
        if period is None:
            return x
        return float(x - period * np.floor((x - self.line.start) / period))


@dataclass(frozen=True)
class Period:
    """Period of a bulk and its standard uncertainty [Å]."""

    length: float
    uncertainty: float = 0.0


def check_sampling(sampling: str | None) -> str:
    """The sampling, "bandlimited" if None; InputError for an unknown word."""
    if sampling is None:
        return BANDLIMITED
    if sampling not in (BANDLIMITED, CELL):
        raise InputError(f'Unknown sampling "{sampling}": {nearest_known(str(sampling), (BANDLIMITED, CELL))}')
    return sampling


def quiet_runs(quiet: NDArray[np.bool_], periodic: bool) -> list[tuple[int, int]]:
    """(first sample, length) of each run of True; on a periodic axis a run may go on past the end."""
    if quiet.all():
        return [(0, len(quiet))]
    shift = int(np.argmin(quiet)) if periodic else 0
    steps = np.diff(np.concatenate([[0], np.roll(quiet, -shift).astype(int), [0]]))
    first, stop = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(int(i + shift) % len(quiet), int(j - i)) for i, j in zip(first, stop, strict=True)]


def unroll(profile: Profile, first: int, sampling: str) -> Unrolled:
    """A profile laid out from its sample `first` on, around the period if that is not 0."""
    start = float(profile.position[0] + (first - 0.5) * profile.spacing)
    return Unrolled(start, profile.spacing, np.roll(profile.values, -first), sampling)


def find_body(profile: Profile, sampling: str, inside: float | None = None) -> Body:
    """Lay a profile out from vacuum to vacuum and find where its matter begins and ends.

    inside  a position known to lie in the matter: the gap that holds it is not the vacuum

    Raises InputError if the profile is zero, if a periodic profile has no vacuum or two gaps that could be it,
    and if a bandlimited profile is not small at the ends of an open axis.
    """
    magnitude = np.abs(profile.values)
    level = FACE_LEVEL * magnitude.max()
    if level == 0:
        raise InputError("The profile is zero everywhere: there is no matter in it, hence no surface.")
    n, h, first = len(magnitude), profile.spacing, 0
    if profile.boundary == OPEN:
        if sampling == BANDLIMITED and max(magnitude[0], magnitude[-1]) > level:
            where = "lower" if magnitude[0] > level else "upper"
            raise InputError(
                f"Charge crosses the {where} open boundary of axis {profile.planes}: |ρ| there is "
                f"{max(magnitude[0], magnitude[-1]) / magnitude.max():.1%} of its maximum. Add vacuum to the box, read "
                'the field as periodic, or say sampling="cell" if it ends sharply on the box.'
            )
    else:
        runs = quiet_runs(magnitude <= level, periodic=True)
        if inside is not None:
            here = int(np.floor((inside - profile.position[0]) / h + 0.5)) % n
            runs = [run for run in runs if (here - run[0]) % n >= run[1]]
        lengths = sorted((run[1] for run in runs), reverse=True)
        if not lengths or lengths[0] < max(5, LEAST_VACUUM * n):
            raise InputError(
                f"No vacuum along {profile.planes}: the charge exceeds 1 % of its maximum all over the period of "
                f"{profile.length:.6g} Å, so this is a bulk and has no surface. Use interface_charge between two "
                "positions, or a cell with vacuum."
            )
        if len(lengths) > 1 and lengths[0] < VACUUM_LEAD * lengths[1]:
            raise InputError(
                f"The vacuum along {profile.planes} cannot be told from the gaps inside the matter: the longest empty "
                f"gaps are {lengths[0] * h:.4g} and {lengths[1] * h:.4g} Å. Enlarge the vacuum, or give x_b, a "
                "position inside the matter."
            )
        longest, length = max(runs, key=lambda run: run[1])
        first = (longest + length // 2) % n
    line = unroll(profile, first, sampling)
    low, high = _faces(line, level)
    if profile.boundary != OPEN:
        turns = np.floor((low - (profile.position[0] - h / 2)) / profile.length)
        shift = float(profile.length * turns)
        line = Unrolled(line.start - shift, h, line.values, sampling)
        low, high = low - shift, high - shift
    return Body(line, low, high)


def _faces(line: Unrolled, level: float) -> tuple[float, float]:
    """Where |f| first and last passes the level: linear between samples, the end of the line if it begins above."""
    magnitude = np.abs(line.values)
    above = np.flatnonzero(magnitude > level)
    ends = []
    for index, outward, limit in ((above[0], -1, line.start), (above[-1], 1, line.end)):
        beyond = index + outward
        if not 0 <= beyond < len(magnitude):
            ends.append(limit)
            continue
        fraction = (magnitude[index] - level) / (magnitude[index] - magnitude[beyond])
        ends.append(float(line.position[index] + outward * fraction * line.spacing))
    return ends[0], ends[1]


def period_between(line: Unrolled, low: float, high: float) -> Period | None:
    """Period of the stretch of a line between two positions, or None if it has none; its middle is looked at."""
    inside = np.flatnonzero((line.position >= low) & (line.position <= high))
    if len(inside) < 16:
        return None
    spare = max(0, len(inside) - LONGEST_STRETCH) // 2
    inside = inside[spare : len(inside) - spare]
    length = float(len(inside) * line.spacing)
    stretch = Profile(line.position[inside], line.values[inside], None, "scalar", length, boundary=OPEN)
    found = find_periods(stretch, most=1)[0]
    if found.value is None:
        return None
    return Period(found.value, found.uncertainty or 0.0)
