"""Figure 16: two crystals of one bulk, put together from different neutral blocks, and their potentials in vacuum.

    Crystal 1   whole atoms: a Gaussian nucleus of sd s+ in Gaussian electrons of sd s-
    Crystal 2   the same electrons, the nucleus in sixths on the six neighbouring places, eq. 88
    Φ_1 = Q (s-² - s+²)/(2ε0Ω) in one dimension's sd,   Φ_2 = Φ_1 - Q a²/(6ε0Ω)               eqs. 87, 88

Neither has a surface charge. The potential of each slab is integrated twice from its planar charge density, and is what
Bethe's formula gives for its blocks. The paper concludes that Φ must be the same in both, and 0: that is the part of
eq. 80 that a surface charge has. The rest, D_L/ε0, is a dipole layer of the surface, and different for the two. It does
not shift the vacuum: on a slab with two surfaces both vacua stay at 0.

>>> FIGURE.number
16
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import BuildingBlock, GaussianCharge, Measurement, Profile, bethe_potential, inner_potential
from ..units import FOUR_PI_KAPPA
from .densities import planes_of_gaussians
from .numbers import FigureNumbers, Finding, PaperFigure, curve

A, N, SPACING, VACUUM = 4.0, 12, 0.125, 16.0  # Å, layers, Å, Å
CHARGE, STD_PLUS, STD_MINUS = 1.0, 0.3, 0.8  # e, Å, Å
VOLT, RHO = "V", "e/Å^3"

BETHE = FOUR_PI_KAPPA * CHARGE * (STD_MINUS**2 - STD_PLUS**2) / (2 * A**3)
SHIFT = FOUR_PI_KAPPA * CHARGE * A**2 / (6 * A**3)


def slabs() -> tuple[Profile, Profile]:
    """Planar charge densities of Crystals 1 and 2; of six neighbours four lie in the plane."""
    electrons = (0.0, -CHARGE, STD_MINUS)
    whole = ((0.0, CHARGE, STD_PLUS), electrons)
    shared = ((0.0, 4 * CHARGE / 6, STD_PLUS), *((x, CHARGE / 6, STD_PLUS) for x in (-A, A)), electrons)
    first, second = (planes_of_gaussians(parts, N, A, A * A, SPACING, VACUUM) for parts in (whole, shared))
    return first, second


def blocks() -> tuple[BuildingBlock, BuildingBlock]:
    """The blocks of the two."""
    parts = [GaussianCharge(CHARGE, STD_PLUS), GaussianCharge(-CHARGE, STD_MINUS)]
    atom = BuildingBlock.of_parts("Crystal 1", parts, A**3)
    return atom, BuildingBlock.with_shared_nucleus(atom, A * np.vstack([np.eye(3), -np.eye(3)]), "Crystal 2")


def compute(device: str) -> FigureNumbers:
    """Potentials of both slabs against vacuum, of both blocks, and where the charge densities differ."""
    charges, both = slabs(), blocks()
    found = [inner_potential(charge, period=A, blocks=both) for charge in charges]
    bethe = [bethe_potential(block).spherical for block in both]
    inside = np.abs(charges[0].position - A * (N - 1) / 2) < A * (N - 1) / 2 - 2 * A
    apart = float(np.abs(charges[0].values - charges[1].values)[inside].max())
    steps = [float(one.phi_mean_vs_vacuum_L) - float(one.phi_mean_vs_vacuum_R) for one in found]
    difference = float(found[0].phi_mean_vs_vacuum_L) - float(found[1].phi_mean_vs_vacuum_L)
    not_zero = "XIV concludes that Φ = 0 in both; that is the σ term of eq. 80, and 0 · ∞ was taken for 0 beside it"
    not_moved = "XIV.A moves the vacuum by -Δφ; outside a slab with two surfaces it stays where it is"
    findings = (
        Finding("ρ1 - ρ2 in the bulk", Measurement(apart, RHO), "88", 0.0, 1e-12, "0"),
        *(Finding(f"σ_L, Crystal {i}", one.sigma_L, "39", 0.0, 1e-12, "0") for i, one in enumerate(found, 1)),
        Finding("Bethe, Crystal 1", bethe[0], "82, 87", BETHE, 1e-9, "> 0"),
        Finding("Bethe, Crystal 2", bethe[1], "88", BETHE - SHIFT, 1e-9, "< 0"),
        *(
            Finding(f"mean φ - vacuum, Crystal {i}", one.phi_mean_vs_vacuum_L, "79, 80", expected, 1e-6, "0", not_zero)
            for (i, one), expected in zip(enumerate(found, 1), (BETHE, BETHE - SHIFT), strict=True)
        ),
        *(Finding(f"eq. 80, Crystal {i}", one.phi_paper_eq80, "80", 0.0, 0.0, "0") for i, one in enumerate(found, 1)),
        *(
            Finding(f"D_L/ε0, Crystal {i}", one.D_L_over_eps0, "72, 79", expected, 1e-6, "left out")
            for (i, one), expected in zip(enumerate(found, 1), (BETHE, BETHE - SHIFT), strict=True)
        ),
        Finding("φ_1 - φ_2", Measurement(difference, VOLT), "88", SHIFT, 1e-6, "Q a²/6ε0Ω"),
        *(
            Finding(f"vacua apart, Crystal {i}", Measurement(step, VOLT), "XIV.A", 0.0, 1e-9, "-Δφ", not_moved)
            for i, step in enumerate(steps, 1)
        ),
    )
    curves = {}
    for i, (charge, one) in enumerate(zip(charges, found, strict=True), 1):
        assert one.line is not None
        near = charge.position < 3.2 * A
        curves[f"density {i}"] = curve(charge.position[near], charge.values[near], RHO)
        curves[f"potential {i}"] = curve(one.line.position, one.line.values, VOLT)
    parameters = {
        "a": A,
        "layers": N,
        "sd of the nuclei": STD_PLUS,
        "sd of the electrons": STD_MINUS,
        "mean 1": float(found[0].phi_mean_vs_vacuum_L),
        "mean 2": float(found[1].phi_mean_vs_vacuum_L),
        "faces": found[0].faces,
        "resolvability, l = 4a": [float(one.resolvability) for one in found],
    }
    return FigureNumbers(16, findings, curves, parameters)


def draw(numbers: FigureNumbers, width: str) -> Any:
    """Both surfaces; both potentials with their means and the value of eq. 80."""
    from ..plots.style import BLACK, BLUE, GREY, VERMILION, axis_label, leave_room
    from .drawing import panels

    figure, (left, right) = panels(width, (1.0, 1.3), 2.5)
    known = numbers.parameters
    for i, colour, lw in ((1, BLUE, 1.6), (2, VERMILION, 0.9)):
        density, potential = numbers.curves[f"density {i}"], numbers.curves[f"potential {i}"]
        left.plot(density.x, density.y, color=colour, lw=lw, label=f"Crystal {i}")
        right.plot(potential.x, potential.y, color=colour, lw=0.8)
        mean = known[f"mean {i}"]
        text = f"Crystal {i}: {mean:.4g} V".replace("-", "−")
        right.plot([0, A * (N - 1)], [mean, mean], color=colour, lw=1.6, ls=(0, (5, 2)), label=text)
    left.axhline(0, color=GREY, lw=0.5, zorder=0)
    left.axvspan(1.5 * A, density.x[-1], color=GREY, alpha=0.15, lw=0)
    left.text(2.3 * A, 0.93, "same", transform=left.get_xaxis_transform(), ha="center", fontsize=7, color=GREY)
    left.set_xlim(-1.9 * A, density.x[-1])
    left.set_xlabel("position (Å)")
    left.set_ylabel(axis_label("charge density", density.y_unit))
    leave_room(left, 0.3)
    left.legend(loc="upper left")
    right.plot([0, A * (N - 1)], [0, 0], color=BLACK, lw=1.2, ls=(0, (1, 1.5)), label="both, eq. 80: 0 V")
    right.set_xlim(potential.x[0], potential.x[-1])
    right.set_xlabel("position (Å)")
    right.set_ylabel(axis_label("potential", potential.y_unit))
    leave_room(right, 0.4)
    right.legend(loc="upper left", ncols=2, columnspacing=1.0)
    return figure


FIGURE = PaperFigure(
    16, "Two crystals of one bulk without surface charges: each has the potential of its blocks.", compute, draw
)
