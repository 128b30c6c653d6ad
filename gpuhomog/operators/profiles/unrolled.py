"""Unrolled: a profile laid out along one line, with its exact running integrals at any position.

    C(x) = ∫_start^x f,   D(x) = ∫_start^x C,   T(x) = ∫_start^x D      C is the cumulative charge of eq. 48
    mean over a window [u, v]:  of C  (D(v) - D(u))/(v - u),   of D  (T(v) - T(u))/(v - u)

Samples mean what `sampling` says. "bandlimited": f is the trigonometric polynomial through the samples, and its
integrals go mode by mode. "cell": f is constant in each cell around its sample, C is piecewise linear, D piecewise
quadratic, and the charge is conserved exactly. A window is never rounded to whole samples.

White noise of the samples (rounded values, sampling) is charge: a sum Σ h w f of it varies by s² h Σ h w². s is that of
the shortest waves, where these are noise: as strong in both halves of their band, and by single waves as different as
independent Gaussian numbers are. Matter is not: its waves decay, or are those of a period, or have all one strength.

In   Profile, host.
Out  Unrolled, host, equal on every rank.

>>> line = Unrolled(0.0, 0.5, np.array([0.0, 2.0, -2.0, 0.0]), "cell")
>>> line.cumulative(np.array([0.5, 1.0, 1.25])).tolist(), float(line.window_mean(1.0, 1.0))
([0.0, 1.0, 0.5], 0.5)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import check_word
from ...grid import OPEN
from ...results import Profile
from ...units import DOUBLE
from .between_points import harmonics, waves_at

Array = NDArray[np.float64]

BANDLIMITED, CELL = "bandlimited", "cell"
ROUNDINGS = 4.0
"""Roundings of a sample: it is a sum over a plane, in which larger values may cancel."""
SUMS = 4e-16
"""Rounding of a sum of n numbers over √n times that of their magnitudes."""
END_STRETCH = 0.5
"""Stretches at the ends of a line by which it is judged how its tails go on [Å]."""
FINER = 8
"""Cells a sample of a bandlimited line, where it is taken as constant in cells."""
NOISE_BANDS = (2, 4, 8)
"""Parts of all waves, the shortest ones, that are tried as noise: the first that is."""
LEAST_BAND = 16
"""Fewest waves that tell noise: s within 15 %."""
BY_CHANCE = 0.005
"""How often noise may be taken for matter by its halves."""
FLATNESS, FLATNESS_SPREAD = 0.5615, 0.4511
"""Geometric over arithmetic mean of the power of noise, exp(-γ); and what it scatters times √n, exp(-γ)√(π²/6 - 1)."""
SHORTEST_WAVES = 8
"""Part of all waves, the shortest ones, by which those that the grid does not resolve are judged."""


@dataclass(frozen=True, eq=False)
class Unrolled:
    """Equally spaced samples on one line; outside it the field is zero.

    start    left end: half a spacing before the first sample [Å]
    spacing  distance of the samples [Å]
    values   (n,) samples, at start + (i + 1/2) spacing
    sampling "bandlimited" or "cell"
    precision  of the values that the samples were made from, as a fraction
    white    s √h of white noise, where the samples were made from others; None: what they show themselves
    turn     length of the periodic axis that the line was cut from [Å]; None: of an open one
    """

    start: float
    spacing: float
    values: Array
    sampling: str = BANDLIMITED
    precision: float = DOUBLE
    white: float | None = None
    turn: float | None = None

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
        return replace(self, start=-self.end, values=self.values[::-1])

    def in_cells(self) -> Unrolled:
        """The line as exact averages over cells, FINER times as many where it is bandlimited."""
        if self.sampling == CELL:
            return self
        n, h = len(self.values) * FINER, self.spacing / FINER
        wavevectors, coefficients = self._modes
        spectrum = np.zeros(n // 2 + 1, dtype=np.complex128)
        shape = np.exp(0.5j * wavevectors * h) * np.sinc(wavevectors * h / (2 * np.pi))
        spectrum[1 : len(wavevectors) + 1] = coefficients * shape * (n / 2)
        values = self.values.mean() + np.fft.irfft(spectrum, n)
        return replace(self, spacing=h, values=values, sampling=CELL, white=self.noise)

    def place(self, x: float) -> float:
        """The position x, moved by whole turns to where the line lies; unchanged on an open axis."""
        if self.turn is None:
            return x
        return float(x - self.turn * np.floor((x - self.start) / self.turn))

    @property
    def total(self) -> float:
        """∫ f over the line."""
        return float(self.values.sum() * self.spacing)

    @property
    def gross(self) -> float:
        """∫ |f| over the line."""
        return float(np.abs(self.values).sum() * self.spacing)

    @cached_property
    def rounding(self) -> float:
        """Uncertainty of ∫ f: of its sums, and of the values; that of ∫ x f is this times the length."""
        of_values = ROUNDINGS * self.precision * float(np.linalg.norm(self.values)) * self.spacing
        return SUMS * self.gross * float(np.sqrt(len(self.values))) + of_values

    @cached_property
    def noise(self) -> float:
        """s √h of white noise of standard deviation s in the samples; 0 where the shortest waves are not noise."""
        if self.white is not None:
            return self.white
        n = len(self.values)
        power = np.abs(np.fft.rfft(self.values - self.values.mean())[1 : (n + 1) // 2]) ** 2 / n
        for part in NOISE_BANDS:
            band = power[len(power) - len(power) // part :]
            if len(band) < LEAST_BAND:
                break
            if _is_noise(band):
                return float(np.sqrt(band.mean() * self.spacing))
        return 0.0

    def noise_of(self, weights: Array) -> float:
        """Standard deviation of Σ h w f by the white noise of the samples."""
        return self.noise * float(np.linalg.norm(weights)) * float(np.sqrt(self.spacing))

    def weights_of_window(self, low: float, high: float, origin: float) -> tuple[Array, Array]:
        """(n,) weights of the mean of C over a window, and of that of (x_b - origin) C - D, x_b its middle."""
        x, width = self.position, high - low
        of_charge = np.clip((high - x) / width, 0.0, 1.0)
        inside = np.clip(high - x, 0.0, width)
        of_double = inside**2 / (2 * width) + np.maximum(low - x, 0.0)
        return of_charge, ((low + high) / 2 - origin) * of_charge - of_double

    @cached_property
    def beyond_ends(self) -> float:
        """Charge that another cut of the vacuum would put at the other end, or a larger box would hold.

        Tails go on beyond the ends as they fall before them, by as much over each END_STRETCH as over the last two.
        """
        n = min(max(1, round(END_STRETCH / self.spacing)), len(self.values) // 2)
        beyond = []
        for f in (self.values, self.values[::-1]):
            last, before = (abs(float(part.sum())) * self.spacing for part in (f[:n], f[n : 2 * n]))
            beyond.append(last * min(1.0, last / (before - last)) if before > last else last)
        return float(np.hypot(beyond[0], beyond[1]))

    @cached_property
    def ringing(self) -> float:
        """By how much all C is off: waves that the grid does not resolve go on in the vacuum, and C is 0 at the start.

        C less its mean over two samples, in which a wave of N/2 is once up and once down, at the start and a quarter of
        that wave away.
        """
        if self.sampling == CELL:
            return 0.0
        wavevectors, coefficients = self._modes
        waves = coefficients / (1j * wavevectors) * (1 - np.sinc(wavevectors * self.spacing / np.pi))
        here, aside = (waves * np.exp(np.outer([0.0, 0.5j * self.spacing], wavevectors))).sum(axis=1).real
        return float(np.hypot(here, aside))

    def unresolved_at(self, x: float) -> float:
        """By how much C at one position may differ by what the samples do not tell; means of C over a period do not.

        Bandlimited: waves beyond N/2 that are missing, and the ones within that stand for them, √2 times the amplitude
        that the shortest waves have there: as spectra fall, a bound. Cells: t (h - t)/2 times the slope of the density,
        t from the edge of the cell, which is the charge of a straight line less that of a constant.
        """
        if not self.start < x < self.end:
            return 0.0
        if self.sampling == CELL:
            _, (cell,), (t,) = self._within(np.array([x]))
            near = np.abs(np.diff(self.values[max(cell - 1, 0) : cell + 2])).max(initial=0.0) / self.spacing
            return float(near * t * (self.spacing - t) / 2)
        wavevectors, coefficients = self._modes
        shortest = slice(len(wavevectors) - len(wavevectors) // SHORTEST_WAVES, None)
        k, waves = wavevectors[shortest], coefficients[shortest] / (1j * wavevectors[shortest])
        return float(np.sqrt(2.0) * np.abs(waves @ np.exp(1j * k * (x - self.start))))

    @cached_property
    def uncertainty(self) -> float:
        """Of C in the bulk: roundings, what the ends cut off, and what the grid does not resolve."""
        return float(np.linalg.norm([self.rounding, self.beyond_ends, self.ringing]))

    @cached_property
    def highest(self) -> float:
        """Largest |C|, by sums of samples."""
        return float(np.abs(np.cumsum(self.values)).max() * self.spacing)

    @cached_property
    def _modes(self) -> tuple[Array, NDArray[np.complex128]]:
        """Wavevectors and coefficients of f - mean, phases from `start`; the Nyquist mode is left out."""
        wavevectors, coefficients = harmonics(self.values, len(self.values) * self.spacing)
        return wavevectors, np.asarray(coefficients * np.exp(-0.5j * wavevectors * self.spacing))

    def _evaluate(self, coefficients: NDArray[np.complex128], x: Array) -> Array:
        """Real part of Σ coefficients exp(i G (x - start))."""
        return np.asarray(waves_at(self._modes[0], coefficients, x - self.start)[0])

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
        once = self._once
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

    @property
    def running_at_edges(self) -> tuple[Array, Array]:
        """Edges of the cells, and C there."""
        edges, first, _, _ = self._cell_integrals
        return edges, first

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
    def _once(self) -> NDArray[np.complex128]:
        """Coefficients of the integral of f - mean."""
        wavevectors, coefficients = self._modes
        return np.asarray(coefficients / (1j * wavevectors), dtype=np.complex128)

    @property
    def _twice(self) -> NDArray[np.complex128]:
        """Coefficients of the second integral of f - mean."""
        wavevectors, coefficients = self._modes
        return np.asarray(-coefficients / wavevectors**2, dtype=np.complex128)

    def _parabola(self, x: Array) -> Array:
        """What D has besides its modes: the mean of f, and what makes C and D zero at the start."""
        t, slope = x - self.start, float(self._once.sum().real)
        return np.asarray(t * (t * (self.values.mean() / 2) - slope) - float(self._twice.sum().real))

    def triple_cumulative(self, x: ArrayLike) -> Array:
        """∫_start^x D, for positions on the line."""
        within, i, t = self._within(np.asarray(x, dtype=np.float64))
        if self.sampling == CELL:
            _, first, second, third = self._cell_integrals
            return np.asarray(third[i] + t * (second[i] + t * (first[i] / 2 + t * (self.values[i] / 6))))
        once, twice = self._once, self._twice
        thrice = twice / (1j * self._modes[0])
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


def _is_noise(power: Array) -> bool:
    """True if the power of some waves, shorter and shorter, is that of white noise."""
    from scipy.special import fdtri  # slow to import

    n, half = len(power), len(power) // 2
    longer, shorter = float(power[:half].mean()), float(power[-half:].mean())
    if power.min() <= 0:
        return False
    limit = float(fdtri(2 * half, 2 * half, 1 - BY_CHANCE))
    flatness = float(np.exp(np.log(power).mean()) / power.mean())
    return shorter < limit * longer < limit**2 * shorter and abs(flatness - FLATNESS) < 3 * FLATNESS_SPREAD / n**0.5


def check_sampling(sampling: str | None) -> str:
    """The sampling, "bandlimited" if None; InputError for an unknown word."""
    if sampling is None:
        return BANDLIMITED
    check_word("sampling", sampling, (BANDLIMITED, CELL))
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
    turn = None if profile.boundary == OPEN else profile.length
    return Unrolled(start, profile.spacing, np.roll(profile.values, -first), sampling, profile.precision, turn=turn)
