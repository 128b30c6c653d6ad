"""Several stages: a profile homogenized from scale to scale, with the excess of every interface carried forward.

    stage i   <ν_i; μ_i>(x)      average of what stage i - 1 left, Gaussian of eps_i = sqrt(a_i L_i)
    V_i       that average, more than 4 eps_i from the interfaces of the stage; straight on from there to each of them
    σ_i       ∫ (<ν_i; μ_i> - V_i) dx around each interface: its excess
    ν_{i+1}   V_i + Σ σ_i δ(x - x_i)

Each stage conserves ∫ ν = ∫ V_i + Σ σ_i; so where the slope of V jumps by ΔV', σ_i holds ΔV' eps²/8 besides ∫ (ν - V),
which is what the average moves there from the bulk. An interface that the next stage lists keeps its excess, to which
that stage adds; one that it does not list is matter of its microscale: its jump and its excess are averaged there. So
the charge on the interfaces of a superlattice is part of the superlattice's macroscopic density and of its surface
charge, which the average of V alone would miss. Stages multiply transforms, so their eps add in squares.

In   Profile; for each stage eps, or a and L, and the interfaces that it leaves sharp.
Out  Homogenized: per stage the average, V_i and the excesses; host.

>>> import gpuhomog as gh
>>> x = np.arange(4000) * 0.05
>>> waves = np.cos(2 * np.pi * x) + np.cos(2 * np.pi * x / 20)
>>> layers = gh.Profile(x, 2 + waves, "V", "electrostatic_potential", 200.0)
>>> found = gh.homogenize(layers, [gh.Stage((1.0, 20.0)), gh.Stage(60.0)])
>>> [f"{np.ptp(stage.average.values):.4f}" for stage in found.stages], f"{found.eps:.3f}"
(['1.5627', '0.0000'], '60.166')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot, isfinite, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import Gaussian
from ...errors import InputError, KernelError
from ...grid import OPEN
from ...results import Measurement, Profile, Result, Tables, unit_after
from ...units import times_length
from ..macroscale.scales import LEAST_RATIO, scales, widest_gap

Array = NDArray[np.float64]

CLEAR = 4.0
"""Widths eps from an interface within which an average holds matter of its other side: eight standard deviations."""
OTHER_EPS = 0.8
"""The excess is found with this fraction of eps, too: the change is its uncertainty."""


@dataclass(frozen=True)
class Stage:
    """One stage.

    eps         width of the Gaussian [Å], twice its standard deviation; or (a, L): the microscale and the macroscale on
                either side of a spectral gap, of which eps is sqrt(a L)
    interfaces  positions that stay sharp [Å]; of a slab in vacuum its surfaces are two of them
    """

    eps: float | tuple[float, float]
    interfaces: tuple[float, ...] = ()

    @property
    def width(self) -> float:
        """Eps [Å]."""
        return sqrt(self.eps[0] * self.eps[1]) if isinstance(self.eps, tuple) else float(self.eps)


@dataclass(frozen=True, eq=False)
class StageResult(Result):
    """What one stage found.

    eps          of this stage [Å]
    eps_total    of all stages so far: the root of the sum of squares [Å]
    average      <ν_i; μ_i>
    macroscopic  V_i: what goes into the next stage, besides the excesses
    interfaces   that stayed sharp [Å]
    excesses     of each: the field's unit times Å
    closure      ∫ ν - ∫ V_i - Σ σ_i over the profile, ν of the first stage; on an open axis what the averages carry
                 beyond an end that is not among the interfaces
    """

    eps: float
    eps_total: float
    average: Profile
    macroscopic: Profile
    interfaces: tuple[float, ...]
    excesses: tuple[Measurement, ...]
    closure: float


@dataclass(frozen=True, eq=False)
class Homogenized(Result):
    """A profile after several stages.

    stages   one result for each
    eps      of all stages together [Å]
    provenance  what was read and done, step by step
    """

    stages: tuple[StageResult, ...]
    eps: float
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: stage by stage."""
        tables = []
        for number, stage in enumerate(self.stages, 1):
            rows = [
                ("eps", f"{stage.eps:.6g} Å, with those before {stage.eps_total:.6g} Å"),
                *(
                    (f"excess at {x:.6g} Å", str(excess))
                    for x, excess in zip(stage.interfaces, stage.excesses, strict=True)
                ),
                ("closure residual", f"{stage.closure:.2g}{unit_after(times_length(stage.average.unit, 1))}"),
            ]
            tables.append((f"Stage {number}", tuple(rows)))
        return tuple(tables)


def stages_of(profile: Profile, interfaces: Sequence[float] = ()) -> tuple[Stage, ...]:
    """One stage for each gap of the profile's spectrum, eps = sqrt(a L), from the smallest scale up.

    profile     without surfaces, whose power fills the gaps: analyse a bulk
    interfaces  that all stages leave sharp [Å]

    The widest gap is that of `scales`; below and above it further ones are taken where L/a is at least 30 there, too.
    One with no power below is taken if it is the only one: it leaves a constant. Source: section VI.J, eq. 91 of the
    paper. Raises InputError as scales, for a constant profile and where no gap keeps scales apart.
    """
    found = scales(profile)
    if not found.separated:
        raise InputError(
            f"Stages cannot be found in the spectrum ({found.verdict.rstrip('.')}): give eps of each stage, rising, or "
            "the profile of a bulk without surfaces."
        )
    floor = 1e-24 * float(found.power.sum())
    gaps: list[tuple[float, float]] = []

    def look(start: int, stop: int) -> None:
        """Gaps among modes start to stop."""
        k, power = found.k[start:stop], found.power[start:stop]
        if len(k) < 2 or float(power.sum()) <= floor:
            return
        j, i = widest_gap(k, power, floor, found.tau)
        a = 2 * pi / float(k[i])
        if j == 0 and start == 0:
            look(i, stop)
        elif j > 0 and 2 * pi / float(k[j - 1]) >= LEAST_RATIO * a:
            gaps.append((a, 2 * pi / float(k[j - 1])))
            look(start, start + j)
            look(start + i, stop)

    look(0, len(found.k))
    assert found.a is not None and found.L is not None
    gaps = gaps or [(found.a, min(found.L, found.box))]
    return tuple(Stage(gap, tuple(interfaces)) for gap in sorted(gaps))


def homogenize(profile: Profile, stages: Sequence[Stage]) -> Homogenized:
    """Homogenize a profile in stages, feeding both the macroscopic field and all excesses forward.

    profile  any quantity; zero beyond an open axis
    stages   from the smallest scale up

    Source: section VI.J of the paper. Raises InputError for no stages, for interfaces outside the profile, for those of
    one stage that are closer than 8 eps, and for one that no earlier stage kept sharp; KernelError for an eps that is
    not positive, below two samples, or not above the one before.
    """
    _check(profile, stages)
    line = _Line.of(profile)
    total = float(profile.values.sum() * profile.spacing)
    density, carried = profile.values, dict[float, float]()
    results: list[StageResult] = []
    eps_total = 0.0
    for stage in stages:
        width = stage.width
        eps_total = hypot(eps_total, width)
        places = tuple(float(x) for x in stage.interfaces)
        average, macroscopic, excesses = line.stage(density, carried, width, places)
        _, _, others = line.stage(density, carried, OTHER_EPS * width, places)
        unit = times_length(profile.unit, 1)
        measured = tuple(
            Measurement(value, unit, abs(value - other)) for value, other in zip(excesses, others, strict=True)
        )
        step = {"step": "stage", "eps": width, "interfaces": list(places)}
        provenance = (*profile.provenance, *(dict(p) for r in results for p in r.average.provenance[-1:]), step)
        results.append(
            StageResult(
                width,
                eps_total,
                replace(profile, values=average, uncertainty=None, provenance=provenance),
                replace(profile, values=macroscopic, uncertainty=None, provenance=provenance),
                places,
                measured,
                total - float(macroscopic.sum() * profile.spacing) - sum(excesses),
            )
        )
        density, carried = macroscopic, dict(zip(places, excesses, strict=True))
    return Homogenized(tuple(results), eps_total, results[-1].average.provenance)


def _check(profile: Profile, stages: Sequence[Stage]) -> None:
    if not stages:
        raise InputError("No stages: give at least one, as in homogenize(profile, [Stage(4.0), Stage(60.0)]).")
    low, high = profile.position[0] - profile.spacing / 2, profile.position[-1] + profile.spacing / 2
    before, known = 0.0, None
    for number, stage in enumerate(stages, 1):
        width = stage.width
        if not (isfinite(width) and width > 0):
            raise KernelError(f"Stage {number}: eps = {stage.eps}: give a positive width in Å.")
        if width < 2 * profile.spacing / OTHER_EPS:
            raise KernelError(
                f"Stage {number}: eps = {width:.4g} Å is narrower than two samples of {profile.spacing:.4g} Å (at "
                f"{OTHER_EPS:g} eps, for the uncertainty): choose a wider kernel or a finer profile."
            )
        if width <= before:
            raise KernelError(
                f"Stage {number}: eps = {width:.4g} Å is not above that of the stage before, {before:.4g} Å: order the "
                "stages from the smallest scale up."
            )
        places = sorted(float(x) for x in stage.interfaces)
        outside = [x for x in places if not (isfinite(x) and low <= x <= high)]
        if outside:
            raise InputError(
                f"Stage {number}: the interface at {outside[0]:.6g} Å lies outside the profile, {low:.6g} to "
                f"{high:.6g} Å: correct it."
            )
        gaps = [b - a for a, b in pairwise(places)]
        if places and profile.boundary != OPEN:
            gaps.append(places[0] + profile.length - places[-1])
        if gaps and min(gaps) < 2 * CLEAR * width:
            raise InputError(
                f"Stage {number}: two interfaces are {min(gaps):.4g} Å apart, closer than 8 eps = "
                f"{8 * width:.4g} Å, so no bulk is between them at this scale: leave them out of this stage, which "
                "then averages over them, or give a smaller eps."
            )
        if known is not None and any(x not in known for x in places):
            new = next(x for x in places if x not in known)
            raise InputError(
                f"Stage {number}: the interface at {new:.6g} Å was averaged over by the stage before: list it there."
            )
        before, known = width, set(places)


@dataclass(frozen=True, eq=False)
class _Line:
    """Equally spaced cells, periodic or with zero beyond their ends."""

    position: Array
    spacing: float
    open: bool

    @classmethod
    def of(cls, profile: Profile) -> _Line:
        return cls(profile.position, profile.spacing, profile.boundary == OPEN)

    def smoothed(self, values: Array, carried: Mapping[float, float], eps: float) -> tuple[Array, int]:
        """Average of the values and of point excesses; on an open axis with a margin, whose cells are counted."""
        h = self.spacing
        margin = int(np.ceil(2 * CLEAR * eps / h)) if self.open else 0
        padded = np.pad(values, margin)
        n = len(padded)
        wavevectors = 2 * np.pi * np.fft.rfftfreq(n, h)
        spectrum = np.fft.rfft(padded)
        start = self.position[0] - margin * h
        for x, excess in carried.items():
            spectrum = spectrum + excess / h * np.exp(-1j * wavevectors * (x - start))
        found = np.fft.irfft(spectrum * Gaussian(eps).transform(wavevectors), n)
        return np.asarray(found, dtype=np.float64), margin

    def stage(
        self, values: Array, carried: Mapping[float, float], eps: float, places: tuple[float, ...]
    ) -> tuple[Array, Array, list[float]]:
        """The average, the macroscopic field, and the excess of each interface."""
        h = self.spacing
        smooth, margin = self.smoothed(values, carried, eps)
        n = len(smooth)
        position = self.position[0] + h * (np.arange(n) - margin)
        length = n * h
        inside = slice(margin, n - margin) if self.open else slice(None)
        macroscopic = smooth.copy()
        excesses = []
        for x in places:
            away = position - x if self.open else (position - x + length / 2) % length - length / 2
            zone = np.abs(away) < CLEAR * eps + h / 2
            sides = []
            for sign in (-1, 1):
                ends = [self._at(smooth, float(position[0]), x + sign * d) for d in (CLEAR * eps, CLEAR * eps + eps)]
                sides.append((ends[0], (ends[1] - ends[0]) / eps))
            share = np.clip(away / h + 0.5, 0.0, 1.0)  # of a cell that lies above the interface
            below, above = (
                value + slope * (sign * away - CLEAR * eps) for sign, (value, slope) in zip((-1, 1), sides, strict=True)
            )
            straight = (1 - share) * below + share * above
            excesses.append(float((smooth - straight)[zone].sum() * h))
            macroscopic[zone] = straight[zone]
        return smooth[inside], macroscopic[inside], excesses

    def _at(self, smooth: Array, start: float, x: float) -> float:
        """The smooth field at a position, through its four nearest samples."""
        n = len(smooth)
        place = (x - start) / self.spacing
        first = int(np.floor(place)) - 1
        t = place - first
        index = np.arange(first, first + 4)
        index = np.clip(index, 0, n - 1) if self.open else index % n
        weights = [np.prod([(t - j) / (i - j) for j in range(4) if j != i]) for i in range(4)]
        return float(np.dot(weights, smooth[index]))
