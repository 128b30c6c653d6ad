"""Bulk of charge: whether what lies between two surfaces lets them have a charge and a first moment, and why not.

A charge per area needs a bulk that is neutral, calm and long enough; a first moment one whose power at small k falls
faster than k^3 (k^alpha, alpha > LEAST_ALPHA).

In   a line of charge (Unrolled), where its body and its bulk lie [Å], its period if it has one.
Out  a reason as a sentence, or None; exponents.
"""

from __future__ import annotations

import numpy as np

from ...averaging_kernels import gaussian_tail
from ...results import unit_after
from ...units import CHARGE
from ..profiles.bulk import N_SPREAD, Body, Period
from ..profiles.unrolled import Unrolled

SCALES_APART = 30.0
"""A macroscale exists in a box if thickness/period is at least this."""
KERNELS_TO_FACE = 2.0
"""Kernel widths eps between a face and the nearest x_b where the kernel leads; its tail there is 3e-5."""
NEUTRAL_PERIOD, NEUTRAL_WINDOW = 0.01, 0.2
"""Largest |∫ρ| / ∫|ρ| of a neutral bulk: over one period; over the bulk window where there is no period."""
FEWEST_LAYERS = 3
"""Layers of a slab that has a bulk, where no period is known: as with a period, one for each surface, one between."""
LEAST_SWING = 0.1
"""Smallest deviation of the cumulative charge that counts as a layer, over the largest."""
CALM_LENGTH, CALM_LEVEL = 10.0, 0.05
"""A bulk without layers (jellium): its cumulative charge varies by less than this fraction of its largest value over
this length [Å], longer than the spacing of layers in any common crystal."""
GAP_LEVEL = 0.01
"""A gap between layers: within a window |ρ| adds up to no more than this fraction of the largest cumulative charge."""
FLUCTUATION_GROWTH = 0.5
"""Exponent of the variance of the charge of a length, above which a bulk fluctuates: 0 hyperuniform, 1 random."""
CHARGED_GROWTH = 1.6
"""Exponent above which it is not fluctuation but charge of one sign: 2."""
LEAST_ALPHA = 3.0
"""First moments converge if the power of the bulk falls faster than this power of k."""
RIPPLE_ALPHA = 6.0
"""A faster fall between eps/4 and eps is that of a crystal's ripple, whatever it is for narrower kernels."""


def why_no_bulk(
    line: Unrolled,
    x_b: float,
    period: Period | None,
    window: tuple[float, float],
    body: Body | None,
    unit: str | None = CHARGE,
) -> str | None:
    """Reason why the charge of a surface is not defined for this bulk, or None if it is."""
    reach = period.length / 2 if period else (window[1] - window[0]) / 2
    centre = x_b if period else (window[0] + window[1]) / 2
    inside = (line.position >= centre - reach) & (line.position <= centre + reach)
    gross = float(np.abs(line.values[inside]).sum() * line.spacing)
    net = float(line.cumulative(centre + reach) - line.cumulative(centre - reach))
    growth = None
    if period is None and body is not None:
        growth = fluctuation_growth(line, body.low + body.thickness / 10, body.high - body.thickness / 10)
    if growth is not None and CHARGED_GROWTH > growth > FLUCTUATION_GROWTH:
        return (
            f"bulk charge fluctuates: the variance of the charge of a length l grows as l^{growth:.1f}, so the "
            "cumulative charge has no mean"
        )
    if gross > 1e-9 * line.gross and abs(net) > (NEUTRAL_PERIOD if period else NEUTRAL_WINDOW) * gross:
        place = f"one period of {period.length:.4g} Å around x_b" if period else "the bulk window"
        also = "" if unit == CHARGE else ": subtract the value of the bulk as a reference"
        return f"no neutral bulk: {place} carries {net:.3g}{unit_after(unit)}, so the value would change with x_b{also}"
    return None


def is_gap(line: Unrolled, window: tuple[float, float]) -> bool:
    """True if there is next to no charge in a window: layers on either side of it have charges of their own."""
    inside = (line.position >= window[0]) & (line.position <= window[1])
    return bool(np.abs(line.values[inside]).sum() * line.spacing <= GAP_LEVEL * line.highest)


def why_too_few_layers(body: Body, x_b: float) -> str | None:
    """Reason why a slab without a period has no bulk, or None: at least three layers, or a long stretch of no charge.

    A layer takes the cumulative charge across its mean and back. Deviations below LEAST_SWING of the largest do not
    count as crossings.
    """
    line = body.line
    calm = line.cumulative(np.linspace(x_b - CALM_LENGTH / 2, x_b + CALM_LENGTH / 2, N_SPREAD))
    if np.ptp(calm) <= CALM_LEVEL * line.highest:
        return None
    inside = np.linspace(body.low, body.high, 2 * int(body.thickness / line.spacing) + 2)
    running = line.cumulative(inside)
    deviation = running - running[len(inside) // 4 : -(len(inside) // 4)].mean()
    signs = np.sign(deviation[np.abs(deviation) > LEAST_SWING * np.abs(deviation).max()])
    crossings = int(np.count_nonzero(np.diff(signs)))
    if crossings >= 2 * FEWEST_LAYERS:
        return None
    times = "once" if crossings == 1 else f"{crossings} times"
    return (
        f"no bulk between the surfaces: no period is known, and over {body.thickness:.4g} Å the cumulative charge "
        f"crosses its mean {times}, as {crossings / 2:g} layers do; at least {FEWEST_LAYERS} are needed"
    )


def fluctuation_growth(line: Unrolled, low: float, high: float) -> float | None:
    """Exponent g of ⟨[C(x + l) - C(x)]²⟩ ~ l^g between l = T/64 and T/8 of a stretch of length T; None if C is calm.

    g is 0 where charge is arranged so evenly that only the ends of a length matter, 1 where it is random.
    """
    running = np.cumsum(line.values[(line.position >= low) & (line.position <= high)]) * line.spacing
    n = len(running)
    if n < 128:
        return None

    def variance(first: float, last: float) -> float:
        lags = np.unique(np.linspace(n / first, n / last, 8).astype(int))
        return float(np.mean([np.mean((running[lag:] - running[:-lag]) ** 2) for lag in lags if lag > 0]))

    short, long = variance(80, 50), variance(10, 6.25)
    if long <= 1e-6 * line.highest**2:
        return None
    return float(np.log(long / short) / np.log(8.0)) if short > 0 else None


def low_k_exponent(line: Unrolled, low: float, high: float, eps: float) -> float | None:
    """alpha of a bulk whose power goes as k^alpha at small k; None where nothing fluctuates, or it is a ripple.

    The scatter of C under kernels of width eps' over the bulk falls as eps'^(-(alpha - 1)/2), between eps/16 and eps/4
    here; between eps/4 and eps the ripple of a crystal falls faster than any power.
    """
    wide, narrow = eps / 4, max(eps / 16, 2 * line.spacing)
    if wide < 2 * narrow:
        return None
    weights = line.values * line.spacing
    scatter = []
    for width in (narrow, wide, eps):
        margin = KERNELS_TO_FACE * width
        places = np.linspace(low + margin, max(high - margin, low + margin), 2 * N_SPREAD)
        shares = [float((weights * gaussian_tail(line.position - x, width)).sum()) for x in places]
        scatter.append(float(np.std(shares)))
    if scatter[1] <= 1e-9 * line.highest:
        return None
    alpha = 1 + 2 * float(np.log(scatter[0] / scatter[1]) / np.log(wide / narrow))
    fall = 1 + 2 * float(np.log(scatter[1] / max(float(scatter[2]), 1e-300)) / np.log(4.0))
    return alpha if max(alpha, fall) < RIPPLE_ALPHA else None


def not_converged(alpha: float) -> str:
    """Reason why a first moment is not given."""
    return (
        f"not converged: the power of the bulk goes as k^{alpha:.1f} at small k, and a first moment settles only where "
        f"alpha exceeds {LEAST_ALPHA:g}"
    )
