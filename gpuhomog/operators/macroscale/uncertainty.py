"""Uncertainty relation: what a field's own fluctuation makes of eps_x eps_p ≥ r_mu eps_V, eq. 26.

    σ_V² = ∫ S |μ^|² dk,   σ_p² = ∫ k² S |μ^|² dk            exact, S the spectral density of ν; eps = 2σ
    ratio = eps_x eps_p/(r_mu eps_V),   r_mu = √2 μ(0) eps    measured over printed; eps_x is the kernel's eps

The printed relation is not universal, so nothing is asserted: it holds to the order of magnitude. The ratio is given
for eps_V in three senses, and for the raw field:
    average      2 std <ν>: √((α + 1)/2) 2/r_mu for a Gaussian and S ~ k^α
    difference   2 std (ν - <ν>), the derivation's; tends to the raw one where the average is small
    interval     median widths of the intervals of V and V' (eqs. 21 and 25)
    raw          2 std ν: exactly 1 for a top-hat and a field without correlation over its width, since the derivative
                 of such an average is a difference of two values

In   Profile, or a spectral density; kernel.
Out  Uncertainty.

>>> from ...averaging_kernels import TopHat
>>> k = np.linspace(0.0, 40.0, 40_001)
>>> found = spectral_uncertainty(k, np.exp(-((0.25 * k) ** 2)), TopHat(4.0))
>>> print(f"{found.ratio_raw:.9f} {found.ratio_average:.4f}")
1.000000000 2.8547
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike

from ...averaging_kernels import AveragingKernel
from ...errors import InputError
from ...grid import OPEN
from ...results import Measurement, Profile, Result, Tables, unit_after
from ..averages.average import average
from .interval_field import Line, median_widths
from .scales import scales

LABEL = "order of magnitude"
FEWEST = 16
"""Samples of an open profile that its averages must leave between their ends."""


@dataclass(frozen=True, eq=False)
class Uncertainty(Result):
    """The two sides of eq. 26, in every sense of eps_V.

    eps_x           of the kernel, twice its standard deviation [Å]
    eps_p           2 std of the derivative of the average [unit/Å]
    eps_V_average   2 std of the average [unit]
    eps_V_difference  2 std of what averaging takes away [unit]
    eps_V_raw       2 std of the field itself [unit]
    eps_V_interval, eps_p_interval  median widths of the intervals of V and V'; None for a spectrum
    ratio_average, ratio_difference, ratio_raw, ratio_interval  eps_x eps_p/(r_mu eps_V); None where eps_V is zero
    r_mu            of the kernel
    alpha           exponent of the field's spectrum; None for a spectrum that was given
    label           "order of magnitude": no ratio is a law
    kernel, unit    of the averages, and of the field
    provenance      what was read and done, step by step
    """

    eps_x: float
    eps_p: float
    eps_V_average: float
    eps_V_difference: float
    eps_V_raw: float
    eps_V_interval: float | None
    eps_p_interval: float | None
    ratio_average: float | None
    ratio_difference: float | None
    ratio_raw: float | None
    ratio_interval: float | None
    r_mu: float
    alpha: Measurement | None
    label: str
    kernel: Mapping[str, Any]
    unit: str | None
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        unit = unit_after(self.unit)

        def row(name: str, eps_v: float | None, eps_p: float | None, ratio: float | None) -> tuple[str, str]:
            if eps_v is None or eps_p is None:
                return name, "not known"
            times = "not defined" if ratio is None else f"{ratio:.4g}"
            return name, f"eps_V {eps_v:.4g}{unit}, eps_p {eps_p:.4g}{unit}/Å, ratio {times}"

        rows = [
            row("by the average", self.eps_V_average, self.eps_p, self.ratio_average),
            row("by the difference", self.eps_V_difference, self.eps_p, self.ratio_difference),
            row("by intervals", self.eps_V_interval, self.eps_p_interval, self.ratio_interval),
            row("by the raw field", self.eps_V_raw, self.eps_p, self.ratio_raw),
            ("eps_x, r_mu", f"{self.eps_x:.6g} Å, {self.r_mu:.6g}"),
        ]
        if self.alpha is not None:
            rows.append(("exponent alpha", str(self.alpha)))
        return ((f"Uncertainty relation, eps_x eps_p/(r_mu eps_V), {self.label}", tuple(rows)),)


def uncertainty(
    profile: Profile, kernel: AveragingKernel, *, outside: float = 0.0, sampling: str | None = None
) -> Uncertainty:
    """Both sides of eq. 26 as a profile has them.

    profile  Profile; of an open one the straight trend is left out, and the ends as far as the kernel is wide
    kernel   averaging kernel
    others   as in average

    Raises InputError where nothing of an open profile is left between the ends, and what average and scales raise.
    """
    smooth = average(profile, kernel, outside=outside, sampling=sampling)
    line = Line(smooth)
    position, raw, averaged = profile.position, profile.values, smooth.values
    slopes, slope = line.slopes(position), 0.0
    if profile.boundary == OPEN:
        margin = kernel.full_width
        inside = (position >= position[0] + margin) & (position <= position[-1] - margin)
        if inside.sum() < FEWEST:
            raise InputError(
                f"The averages of the open profile reach its ends: a kernel {margin:g} Å wide leaves "
                f"{int(inside.sum())} of {len(raw)} samples. Take a smaller eps."
            )
        position, raw, averaged, slopes = position[inside], raw[inside], averaged[inside], slopes[inside]
        trend = np.polynomial.Polynomial.fit(position, raw, 1)
        raw, averaged = raw - trend(position), averaged - trend(position)
        slope = float(trend.convert().coef[1])
    deviations = [float(np.std(part)) for part in (raw, averaged, raw - averaged, slopes)]
    eps_v, eps_p = median_widths(line, position, kernel.eps, slope)
    step = {"step": "uncertainty relation", "kernel": kernel.describe()}
    return relation_of(
        kernel, deviations, (eps_v, eps_p), scales_alpha(profile), profile.unit, (*profile.provenance, step)
    )


def scales_alpha(profile: Profile) -> Measurement:
    """The exponent of a profile's spectrum, without the warnings that concern its scales."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scales(profile).alpha


def spectral_uncertainty(k: ArrayLike, density: ArrayLike, kernel: AveragingKernel) -> Uncertainty:
    """Both sides of eq. 26 for a spectral density S(k), by the trapezoidal rule.

    k        (n,) equally spaced wavevectors from 0 on, until S is nothing [1/Å]
    density  (n,) S(k), not negative, in any unit

    Raises InputError for other arrays.
    """
    wave, power = np.asarray(k, dtype=np.float64), np.asarray(density, dtype=np.float64)
    if wave.ndim != 1 or wave.shape != power.shape or len(wave) < 3:
        raise InputError(f"S(k) of shape {power.shape} at k of shape {wave.shape}: give two arrays of equal length.")
    steps = np.diff(wave)
    if wave[0] != 0 or not np.allclose(steps, steps[0], rtol=1e-6) or steps[0] <= 0:
        raise InputError("k must rise from 0 on in equal steps, in 1/Å.")
    if not (np.isfinite(power).all() and (power >= 0).all() and power.any()):
        raise InputError("S(k) must be finite, not negative, and not zero everywhere.")
    transform = kernel.transform(wave)
    shares = [np.ones_like(wave), np.abs(transform) ** 2, np.abs(1 - transform) ** 2, wave**2 * np.abs(transform) ** 2]
    deviations = [float(np.sqrt(2 * scipy.integrate.trapezoid(power * share, wave))) for share in shares]
    return relation_of(kernel, deviations, None, None, None, ({"step": "uncertainty of a spectrum"},))


def relation_of(
    kernel: AveragingKernel,
    deviations: list[float],
    intervals: tuple[float, float] | None,
    alpha: Measurement | None,
    unit: str | None,
    provenance: tuple[Mapping[str, Any], ...],
) -> Uncertainty:
    """deviations of ν, <ν>, ν - <ν> and <ν>'."""
    raw, averaged, difference, slope = deviations

    def ratio(eps_v: float, eps_p: float) -> float | None:
        return kernel.eps * eps_p / (kernel.r_mu * eps_v) if eps_v > 1e-12 * max(2 * raw, 1e-300) else None

    eps_v, eps_p = intervals or (None, None)
    return Uncertainty(
        eps_x=kernel.eps,
        eps_p=2 * slope,
        eps_V_average=2 * averaged,
        eps_V_difference=2 * difference,
        eps_V_raw=2 * raw,
        eps_V_interval=eps_v,
        eps_p_interval=eps_p,
        ratio_average=ratio(2 * averaged, 2 * slope),
        ratio_difference=ratio(2 * difference, 2 * slope),
        ratio_raw=ratio(2 * raw, 2 * slope),
        ratio_interval=None if eps_v is None or eps_p is None else ratio(eps_v, eps_p),
        r_mu=kernel.r_mu,
        alpha=alpha,
        label=LABEL,
        kernel=kernel.describe(),
        unit=unit,
        provenance=provenance,
    )
