"""Figure 7: an average over a window is no macroscopic field, for it still fluctuates; how fast that falls with eps.

    ⟨ν⟩_eps(x) = (1/eps) ∫_{-eps/2}^{eps/2} ν(x + u) du                 simple average, eq. 20
    std ⟨ν⟩_eps ~ eps^-(α+1)/2,  a simple average no faster than 1/eps          for S(k) ~ k^α

The paper says 1/eps for all. α = 2 with top-hats is that case: ν = dC/dx with a stationary C, so ⟨ν⟩ is the difference
of two values of C over eps, and its standard deviation 2 c/eps for S ~ k² exp(-k² c²) of variance 1.

>>> FIGURE.number
7
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import Box, Gaussian, Measurement, Profile, average, interval_field
from ..averaging_kernels import AveragingKernel
from .densities import CORRELATION, SEED, disorder, line_of_charge
from .numbers import Curve, FigureNumbers, Finding, PaperFigure, by_blocks, curve, two_std

EPS = 4.0  # Å
WIDTHS = tuple(2.0**power for power in range(2, 8))  # Å
CENTRE, SEGMENT = 256.0, 40.0  # Å: what is drawn
ALPHAS = (0, 2, 4)
N = 2**17  # samples from which the scatter is taken
RHO = "e/Å^3"


def scatter(profile: Profile, kernels: Sequence[AveragingKernel]) -> list[Measurement]:
    """Twice the standard deviation of the average, for each kernel [e/Å^3]."""
    return [by_blocks(average(profile, kernel).values, two_std, RHO) for kernel in kernels]


def exponent(widths: Sequence[float], found: Sequence[Measurement]) -> Measurement:
    """Slope of ln value against ln width, with its standard error."""
    values = np.array([float(value) for value in found])
    weights = values / np.array([value.uncertainty for value in found], dtype=np.float64)
    (slope, _), covariance = np.polyfit(np.log(widths), np.log(values), 1, w=weights, cov="unscaled")
    return Measurement(float(slope), "1", float(np.sqrt(covariance[0, 0])))


def compute(device: str) -> FigureNumbers:
    """The averages of disordered densities, and how their scatter falls."""
    shown = disorder(2.0, n=2**12)
    smooth = average(shown, Box(EPS))
    inside = np.abs(shown.position - CENTRE) <= SEGMENT / 2
    field = interval_field(shown, EPS, eps_x=SEGMENT, spacing=CENTRE / 64)
    middle = int(np.argmin(np.abs(field.position - CENTRE)))
    at = int(np.argmin(np.abs(shown.position - CENTRE)))
    curves: dict[str, Curve] = {
        "microstructure": curve(shown.position[inside] - CENTRE, shown.values[inside], RHO),
        "average": curve(smooth.position[inside] - CENTRE, smooth.values[inside], RHO),
    }
    findings = []
    narrowest: dict[tuple[str, int], Measurement] = {}
    for alpha in ALPHAS:
        for name, kernel, fastest in (("simple average", Box, 1.0), ("Gaussian", Gaussian, np.inf)):
            found = scatter(disorder(float(alpha), N), [kernel(width) for width in WIDTHS])
            values = np.array([float(value) for value in found])
            curves[f"{name}, alpha {alpha}"] = curve(WIDTHS, values, RHO)
            curves[f"{name}, alpha {alpha}, error"] = curve(WIDTHS, [value.uncertainty or 0.0 for value in found], RHO)
            narrowest[name, alpha] = found[0]
            falls = min((alpha + 1) / 2, fastest)
            findings.append(
                Finding(
                    f"exponent, {name}, α = {alpha}",
                    exponent(WIDTHS, found),
                    "16, 20",
                    -falls,
                    0.05,
                    "1/eps",
                    "" if falls == 1 else f"VI.F has it for all; eps^-{falls:g} where S(k) ~ k^{alpha}",
                )
            )
    x = np.arange(4096) * 0.125
    wave = line_of_charge(np.sin(2 * np.pi * x / 4) + 0.5 * np.sin(4 * np.pi * x / 4 + 1), 0.125)
    whole = average(wave, Box(8.0))
    findings = [
        Finding(
            f"2 std of the average, eps = {EPS:g} Å",
            narrowest["simple average", 2],
            "20",
            4 * CORRELATION / EPS,
            0.01,
            "finite",
        ),
        *findings,
        Finding(
            "range in a crystal, eps = 2a",
            Measurement(float(np.ptp(whole.values)), RHO),
            "20",
            0.0,
            1e-12,
            "finite",
            "said to vanish for eps → ∞ only; in a crystal it does at whole periods",
        ),
    ]
    parameters = {
        "eps": EPS,
        "average at the centre": float(smooth.values[at]),
        "lowest average": float(field.low[middle]),
        "highest average": float(field.high[middle]),
        "correlation": CORRELATION,
        "alpha": 2.0,
        "seed": SEED,
    }
    return FigureNumbers(7, tuple(findings), curves, parameters)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """The microstructure at half its size with its average and band; the scatter of the average against eps."""
    from ..plots.style import BLACK, BLUE, GREEN, GREY, SKY, VERMILION, axis_label
    from .drawing import panels

    figure, (left, right) = panels(width, (1.45, 1.0), 2.3)
    known, micro = numbers.parameters, numbers.curves["microstructure"]
    eps = known["eps"]
    left.axvspan(-eps / 2, eps / 2, color=SKY, alpha=0.35, lw=0, zorder=0)
    left.plot(micro.x, micro.y / 2, color=BLACK, lw=0.5, zorder=2, label="ρ/2")
    smooth = numbers.curves["average"]
    left.plot(smooth.x, smooth.y, color=BLUE, lw=1.3, zorder=3, label=f"average over {eps:g} Å")
    left.plot([0.0], [known["average at the centre"]], "o", ms=4, color=VERMILION, zorder=4)
    left.axhspan(
        known["lowest average"], known["highest average"], color=GREEN, alpha=0.35, lw=0, zorder=1, label="its range"
    )
    left.set_xlim(micro.x[0], micro.x[-1])
    left.set_ylim(-1.6, 2.0)
    left.set_xlabel("distance from the middle of the window (Å)")
    left.set_ylabel(axis_label("charge density", micro.y_unit))
    left.legend(loc="upper left", ncols=3, borderaxespad=0.3)
    for alpha, colour in zip(ALPHAS, (VERMILION, BLUE, GREEN), strict=True):
        for name, marker, style in (("simple average", "o", "-"), ("Gaussian", "^", "--")):
            points = numbers.curves[f"{name}, alpha {alpha}"]
            finding = next(f for f in numbers.findings if f.name == f"exponent, {name}, α = {alpha}")
            fitted = np.exp(
                np.mean(np.log(points.y)) + finding.expected * (np.log(points.x) - np.mean(np.log(points.x)))
            )
            right.loglog(points.x, fitted, style, color=colour, lw=0.8, zorder=2)
            face = colour if marker == "o" else "white"
            error = numbers.curves[f"{name}, alpha {alpha}, error"].y
            right.errorbar(
                points.x, points.y, error, fmt=marker, ms=3.5, color=colour, mfc=face, mew=0.8, lw=0.8, zorder=3
            )
    for marker, style, name in (("o", "-", "simple average"), ("^", "--", "Gaussian")):
        right.plot([], [], marker + style, ms=3.5, color=GREY, mfc=GREY if marker == "o" else "white", label=name)
    for alpha, colour in zip(ALPHAS, (VERMILION, BLUE, GREEN), strict=True):
        right.plot([], [], color=colour, label=f"α = {alpha}")
    printed = numbers.curves["simple average, alpha 2"]
    right.loglog(printed.x, 25 * printed.y[0] * printed.x[0] / printed.x, ":", color=BLACK, lw=1.0, label="1/eps")
    right.legend(loc="lower left", borderaxespad=0.3, labelspacing=0.25)
    right.set_ylim(3e-8, 20)
    right.set_xticks(WIDTHS, [f"{eps:g}" for eps in WIDTHS])
    right.set_xticks([], minor=True)
    right.set_xlabel("eps (Å)")
    right.set_ylabel(axis_label("2 std of the average", micro.y_unit))
    return figure


FIGURE = PaperFigure(7, "The average over a window fluctuates; how fast that falls with its width.", compute, draw)
