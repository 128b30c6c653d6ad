"""Mean inner potential of a slab: its true mean against each vacuum, beside every number that goes by that name.

    phi_mean_vs_vacuum_L   mean of φ over one period around x_b, less the vacuum below; _R: less the vacuum above
                         = (1/ε0) [D_L - σ_L (x_b - x_L)]            D_L: mean of ∫ (x - x_L) ρ, eq. 79 corrected
    phi_paper_eq80         σ_L (R - |x_b - x_L|)/(2ε0)               what (80) keeps of it: 0 where σ_L = 0
    D_L_over_eps0, D_R_over_eps0                                     what (80) drops; with σ = 0 they are the potential
    bethe_spherical        -(1/6ε0Ω) ∫ρ r²                           of each declared building block, eqs. 82, 87, 88
    bethe_block_normal     -(1/2ε0Ω) ∫ρ (n·r)²                       of the same on this facet
    resolvability          D_L/(ε_ρ l²)                              |potential| over what ρ̄ below ε_ρ can make up

The mean does not vanish for a neutral slab without surface charge: σ_L = 0 leaves D_L, the dipole layer of the surface,
which (72) writes as X_σ σ_L, that is 0 · ∞. D_L belongs to the bulk and its termination together: crystals of the same
bulk that are put together from other blocks have other D_L, so that no value of the bulk alone exists, and the value of
whole blocks is bethe_block_normal. What the paper can say for Φ = 0: if a density ρ̄ averaged over l and smaller than
ε_ρ counts as zero, potentials below ε_ρ l²/ε0 are not resolved. By default ε_ρ is the largest |ρ̄| of the slab itself, l
four periods: a potential with a resolvability below 1 is then lost by whoever rounds this ρ̄ to zero before solving
Poisson's equation.

From a charge density the slab stands alone, without a field in the vacuum. The mean goes by two routes, φ integrated
twice and averaged, and D_L from first moments; from a potential by one, and a density beside it adds the other. Where
the bulk has no period a Gaussian kernel takes its place. The uncertainty is that of a step's bulk (by a kernel, twice
the scatter over x_b), and the grid error: what leaving out every second plane changes, less as much as a second halving
shows the numbers to converge.

In   Field or Profile of quantity charge_density, electrostatic_potential or electron_potential_energy.
Out  InnerPotential: V, host, equal on every rank.

>>> import gpuhomog as gh
>>> x = np.arange(480) * 0.1
>>> planes = 4.0 * np.arange(6) + 14.0
>>> gauss = lambda s: np.exp(-0.5 * ((x[:, None] - planes) / s) ** 2).sum(axis=1) / (s * np.sqrt(2 * np.pi) * 16)
>>> slab = gh.Profile(x, gauss(0.3) - gauss(0.8), "e/Å^3", "charge_density", 48.0)
>>> found = inner_potential(slab, period=4.0)
>>> f"{found.phi_mean_vs_vacuum_L.value:.5f} {found.D_L_over_eps0.value:.5f} {found.phi_paper_eq80.value:.5f}"
'0.77753 0.77753 0.00000'
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import Gaussian
from ...errors import InputError
from ...field import Field
from ...grid import OPEN
from ...results import Measurement, Profile, Result, Tables, between_positions, difference, weighted_sum
from ...units import CHARGE, FOUR_PI_KAPPA, VOLT
from ..excess.bulk_charge import KERNELS_TO_FACE, why_too_few_layers
from ..excess.charge_profile import profile_of
from ..excess.line_moments import first_moment, first_moment_by_window
from ..excess.surface import SurfaceCharge, surface_charge
from ..profiles.bulk import Body, find_body, fitted_line, spread_positions
from ..profiles.planar import Planes, plane_name
from ..profiles.unrolled import CELL, Unrolled, check_sampling
from .bethe import BethePotential, BuildingBlock, bethe_potential
from .potential_step import PotentialStep, is_field, period_mean, potential_of_charge, potential_step

Array = NDArray[np.float64]

PERIODS_OF_L = 4.0
"""Periods in the mesoscopic width l."""
CHARGED_FROM = 3.0
"""Standard uncertainties above which a surface is charged."""
LEAST_CHARGE = 1e-9
"""Surface charge that is rounding, over the largest cumulative charge of the slab."""
LEAST_FIELD = 1e-6
"""Field of a bulk that is rounding, of potentials in float32 as well, over the slab's largest."""
AT_THE_EDGE = 1e-6
"""An ion nearer than this to the end of a period is at it, and half in it [Å]."""
N_SPREADS = 2.0
"""Standard deviations over x_b that are the uncertainty of the level by a kernel."""
LEAST_GAIN = 1e-2
"""A quarter of the planes may be far too few: the last halving of a grid is not believed to gain more than this."""
GAIN_OF_SPLINES = 1 / 16
"""The same where the mean is that of a cubic spline, of fourth order."""
SAME_CELL = 1e-4
"""Largest difference between the cells of a potential and of its charge, as a fraction."""
NONE_DECLARED = "none declared"


@dataclass(frozen=True, eq=False)
class InnerPotential(Result):
    """What is called the mean inner potential of a slab, every number with its uncertainty or why there is none.

    phi_mean_vs_vacuum_L, phi_mean_vs_vacuum_R  mean of φ in the bulk less the vacuum below, above [V]
    phi_paper_eq80    eq. 80 [V]: the surface charge's part alone, at x_b and within `radius`; not defined for a charged
                      surface without a radius, as it grows with R
    D_L_over_eps0, D_R_over_eps0  dipole terms of the lower and upper surface, about the faces [V]
    bethe_spherical   by name of a declared block: Bethe's potential [V]
    bethe_block_normal  the same for planes of this orientation [V]
    resolvability     D_L/(ε_ρ l²) [1]
    unresolved_below  ε_ρ l²/ε0 [V]
    sigma_L, sigma_R  surface charges [e/Å^2]
    budget_L, budget_R  [D - σ (x_b - x_L)]/ε0, the mean potential by the surface's moments [V]; from a potential alone
                      it is the potential itself, and not defined
    residual_L, residual_R  phi_mean less the budget, and less the vacuum's own field [V]
    files_apart       beside a density: phi_mean_vs_vacuum_L less that of the density's own potential, found by the same
                      steps [V]: what is of the file, its solver and its figures
    of_levels         the latter less the density's own mean, without steps [V]: what is of where the vacuum's level is
                      read and of the period that is found; part of no file
    grid_error        of phi_mean [V], from grids of half and a quarter of the planes; part of its uncertainty
    ion_width_correction  what point ions would have more of, if the ions of this density are Gaussians [V]
    eps_rho, length   precision of ρ̄ [e/Å^3] and width l [Å] of the resolvability; None if not known
    radius            R of eq. 80 [Å]
    x_b               where the bulk is [Å]
    faces             x_L and x_R [Å]
    period            of the bulk [Å]; None: averaged by a Gaussian kernel
    eps               width of that kernel [Å]; None with a period
    source            quantity the potential was made from
    planes            what the planes are: "a", "b", "c", or "(h k l)"
    blocks            Bethe's potential of each declared block, in full
    line              φ along the normal, zero in the vacuum below [V]
    """

    phi_mean_vs_vacuum_L: Measurement
    phi_mean_vs_vacuum_R: Measurement
    phi_paper_eq80: Measurement
    D_L_over_eps0: Measurement
    D_R_over_eps0: Measurement
    bethe_spherical: Mapping[str, Measurement]
    bethe_block_normal: Mapping[str, Measurement]
    resolvability: Measurement
    unresolved_below: Measurement
    sigma_L: Measurement
    sigma_R: Measurement
    budget_L: Measurement
    budget_R: Measurement
    residual_L: Measurement
    residual_R: Measurement
    files_apart: Measurement
    of_levels: Measurement
    grid_error: Measurement
    ion_width_correction: Measurement
    eps_rho: float | None
    length: float | None
    radius: float | None
    x_b: float
    faces: tuple[float, float]
    period: float | None
    eps: float | None
    source: str
    planes: str
    blocks: tuple[BethePotential, ...] = field(default=(), repr=False)
    line: Profile | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: the numbers in their order, then how they were found, under titles."""
        found = [
            ("mean - vacuum below", str(self.phi_mean_vs_vacuum_L)),
            ("mean - vacuum above", str(self.phi_mean_vs_vacuum_R)),
            ("eq. 80, σ term alone", str(self.phi_paper_eq80)),
            ("D_L/ε0", str(self.D_L_over_eps0)),
            ("D_R/ε0", str(self.D_R_over_eps0)),
        ]
        for name, value in self.bethe_spherical.items():
            found.append((f"Bethe, {name}", str(value)))
            if name != NONE_DECLARED:
                found.append((f"  on facet {self.planes}", str(self.bethe_block_normal[name])))
        found.append(("D_L/(ε_ρ l²)", str(self.resolvability)))
        how = [
            ("from", f"{self.source.replace('_', ' ')}, planes of {self.planes}"),
            ("slab", between_positions(self.faces)),
            ("averaged over", self._window()),
            ("σ_L", str(self.sigma_L)),
            ("σ_R", str(self.sigma_R)),
            ("grid error", f"{self.grid_error.value:.2g} V" if self.grid_error.defined else str(self.grid_error)),
        ]
        if self.eps_rho is not None and self.length is not None:
            how.append(("ε_ρ, l", f"{self.eps_rho:.4g} e/Å^3, {self.length:.4g} Å"))
        more = (
            ("mean less [D_L - σ_L depth]/ε0", self.residual_L),
            ("mean less [D_R - σ_R depth]/ε0", self.residual_R),
            ("file less its density's, same steps", self.files_apart),
            ("  these steps less the density itself", self.of_levels),
            ("ε_ρ l²/ε0, not resolved", self.unresolved_below),
            ("for point ions add", self.ion_width_correction),
        )
        how += [(name, str(value)) for name, value in more if value.defined]
        how += [("note", remark) for remark in self.remarks]
        return ("Mean inner potential", tuple(found)), ("How it was found", tuple(how))

    def _window(self) -> str:
        if self.period is not None:
            return f"one period of {self.period:.6f} Å around {self.x_b:.4f} Å"
        return "" if self.eps is None else f"a Gaussian of eps {self.eps:.4f} Å around {self.x_b:.4f} Å"


def inner_potential(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    density: Field | Profile | None = None,
    blocks: Sequence[BuildingBlock] = (),
    period: float | str | None = "auto",
    x_b: float | None = None,
    radius: float | None = None,
    length: float | None = None,
    eps_rho: float | None = None,
    sampling: str | None = None,
) -> InnerPotential:
    """Mean inner potential of a slab against both vacua, with what the paper, Bethe and its surfaces say of it.

    field     charge_density, electrostatic_potential or electron_potential_energy; Field or Profile
    axis      of a Field: "a", "b", "c" or lattice planes
    density   beside a potential: the charge density of the same slab, for its surface terms
    blocks    building blocks of which the crystal may be thought to consist; a block without a volume fills the area
              of the cell's face times the period
    period    of the bulk [Å]; "auto" finds it; None: there is none, and a Gaussian kernel averages
    x_b       where the bulk is [Å]; the middle of the slab by default
    radius    R of eq. 80 [Å]; needed for charged surfaces alone
    length    l, the mesoscopic width of the resolvability [Å]; four periods, or twice the kernel's eps, by default
    eps_rho   precision of the averaged charge density [e/Å^3]; by default its largest magnitude in this slab
    sampling  "bandlimited" (default) or "cell", what samples of a charge density are

    Source: eqs. 72-80 corrected, 82-88 of the paper. Raises InputError as potential_step and surface_charge do: for
    other quantities, a charged slab, no vacuum, x_b outside the bulk; for a density of another cell; and for numbers
    that are not positive.
    """
    for name, number in (("radius", radius), ("length", length), ("eps_rho", eps_rho)):
        if number is not None and not (isfinite(number) and number > 0):
            raise InputError(f"{name} = {number}: give a positive number.")
    sampling = check_sampling(sampling)
    profile = profile_of(field, axis)
    is_charge = profile.quantity == "charge_density"
    if density is not None:
        check_needs_density(profile.quantity)
    step = potential_step(profile, period=period, x_b=x_b, sampling=sampling)
    assert step.x_b is not None and step.line is not None  # a slab, not an interface
    charge = profile if is_charge else None if density is None else _beside(density, axis, profile)
    surface, charge_line = None, None
    if charge is not None:
        surface = surface_charge(charge, period=step.period, x_b=step.x_b, sampling=sampling)
        charge_line = find_body(charge, sampling, step.x_b).line
    apart = _against_density(step, charge, charge_line, period, sampling)
    return _gathered(profile, step, surface, charge_line, apart, blocks, radius, length, eps_rho)


def _against_density(
    step: PotentialStep,
    charge: Profile | None,
    charge_line: Unrolled | None,
    period: float | str | None,
    sampling: str,
) -> tuple[Measurement, Measurement]:
    """The mean of a potential less that of its density's own, by the same steps; and that less the density's mean."""
    why = None
    if step.source == "charge_density" or charge is None or charge_line is None:
        why = "there is one file: give a potential and its density"
    elif step.period is None:
        why = "the bulk has no period"
    elif is_field(step.field_low) or is_field(step.field_high):
        why = "the potential has a field in the vacuum, which its density alone has not"
    if why is not None:
        return Measurement.not_defined(VOLT, why), Measurement.not_defined(VOLT, why)
    assert charge is not None and charge_line is not None and step.line is not None
    line = step.line
    turns = 0.0 if charge.boundary == OPEN else charge.length * round((line.start - charge_line.start) / charge.length)
    own = Profile(
        line.position,
        potential_of_charge(charge_line, line.position - turns),
        VOLT,
        "electrostatic_potential",
        line.spacing * len(line.values),
        boundary=OPEN,
        planes=step.planes,
    )
    by_steps = potential_step(own, period=step.period, x_b=step.x_b).bulk_minus_low
    exact = potential_step(charge, period=period, x_b=step.x_b, sampling=sampling).bulk_minus_low
    assert step.bulk_minus_low is not None and by_steps is not None and exact is not None
    pair = (difference(step.bulk_minus_low, by_steps), difference(by_steps, exact))
    file, levels = (replace(one, uncertainty=None) if one.defined else one for one in pair)  # of one density: no errors
    return file, levels


def check_needs_density(quantity: str) -> None:
    """InputError for a charge density, which needs no other beside it."""
    if quantity == "charge_density":
        raise InputError("A charge density needs no other beside it: leave density out.")


def check_is_charge(quantity: str) -> None:
    """InputError for the quantity of a density beside a potential that is no charge density."""
    if quantity != "charge_density":
        raise InputError(
            f"density is of quantity {quantity}: give the charge_density of the same slab, ions and electrons."
        )


def _beside(density: Field | Profile, axis: Planes | None, potential: Profile) -> Profile:
    """The charge density that belongs to a potential; InputError if it is that of another cell."""
    check_is_charge(density.quantity)
    profile = profile_of(density, axis)
    here, there = (
        np.array([one.length, one.length + one.position[0], one.area or 0.0]) for one in (profile, potential)
    )
    known = 3 if profile.area and potential.area else 2
    same = np.allclose(here[:known], there[:known], rtol=SAME_CELL, atol=0)
    if not same or plane_name(profile.planes) != plane_name(potential.planes):
        found = (
            f"{one.length:.6g} Å along {one.planes} from {one.position[0]:.6g} Å on" for one in (profile, potential)
        )
        raise InputError(f"The density covers {' and the potential '.join(found)}: give both of one slab in one cell.")
    return profile


@dataclass(frozen=True, eq=False)
class _Level:
    """Mean of φ around x_b, its slope there, and what leaving out every second plane changes."""

    mean: Measurement
    slope: Measurement
    grid_error: float


OUTWARD = (1.0, -1.0)
"""Along the axis, from the lower and from the upper face into the slab."""


@dataclass(frozen=True)
class _Routes:
    """Of the lower and the upper side: σ, D/ε0, what they make the mean, and what the mean is beside that."""

    sigma: list[Measurement]
    moments: list[Measurement]
    budget: list[Measurement]
    residual: list[Measurement]


def _by_charges(
    step: PotentialStep,
    surface: SurfaceCharge,
    charge_line: Unrolled | None,
    mean: Sequence[Measurement],
    depth: Sequence[float],
) -> _Routes:
    """σ and D of both surfaces, from the density."""
    assert step.x_b is not None and surface.low is not None and surface.high is not None
    assert surface.low_dipole is not None and surface.high_dipole is not None
    sigma, dipoles = [surface.low, surface.high], [surface.low_dipole, surface.high_dipole]
    error = _grid_error_of_moment(charge_line, step.x_b, step.period, surface.faces)
    fields = (step.field_low, step.field_high)
    moments, budget, residual = [], [], []
    for i, side in enumerate(OUTWARD):
        moments.append(weighted_sum(VOLT, (side * FOUR_PI_KAPPA, dipoles[i]), error=error))
        budget.append(weighted_sum(VOLT, (1.0, moments[i]), (-FOUR_PI_KAPPA * depth[i], sigma[i])))
        external = side * float(fields[i]) * abs(step.x_b - step.faces[i]) if fields[i].defined else 0.0
        residual.append(weighted_sum(VOLT, (1.0, mean[i]), (-1.0, budget[i]), shift=-external))
    return _Routes(sigma, moments, budget, residual)


def _by_slopes(step: PotentialStep, level: _Level, mean: Sequence[Measurement], depth: Sequence[float]) -> _Routes:
    """σ from the slopes of the potential alone, D from its mean."""
    fields = (step.field_low, step.field_high)
    sigma = [_charge_by_slopes(level.slope, fields[i], side) for i, side in enumerate(OUTWARD)]
    moments = [weighted_sum(VOLT, (1.0, mean[i]), (-side * depth[i], level.slope)) for i, side in enumerate(OUTWARD)]
    alone = [Measurement.not_defined(VOLT, "a potential alone has no second route: give density")] * 2
    return _Routes(sigma, moments, alone, alone)


def _length_of(length: float | None, period: float | None, eps: float | None) -> float | None:
    """l of the resolvability: as given, some periods, or the kernel's reach; None where neither is known."""
    if length is not None:
        return length
    if period:
        return PERIODS_OF_L * period
    return None if eps is None else 2 * eps


def _gathered(
    profile: Profile,
    step: PotentialStep,
    surface: SurfaceCharge | None,
    charge_line: Unrolled | None,
    apart: tuple[Measurement, Measurement],
    blocks: Sequence[BuildingBlock],
    radius: float | None,
    length: float | None,
    eps_rho: float | None,
) -> InnerPotential:
    assert step.x_b is not None and step.line is not None
    x_b, faces = step.x_b, step.faces if surface is None else surface.faces
    eps = None if step.period is not None else (faces[1] - faces[0]) / 5 if surface is None else surface.eps
    level = _level(step, eps, charge_line if step.source == "charge_density" else None, surface)
    mean = [
        weighted_sum(VOLT, (1.0, level.mean), (-1.0, vacuum), error=level.grid_error)
        for vacuum in (step.low, step.high)
    ]
    depth = (x_b - faces[0], faces[1] - x_b)
    if surface is None:
        routes = _by_slopes(step, level, mean, depth)
    else:
        routes = _by_charges(step, surface, charge_line, mean, depth)
    remarks = list(step.remarks)
    if surface is not None:
        remarks += [remark for remark in surface.remarks if "no macroscale" not in remark]
    least = LEAST_FIELD * _largest_field(step.line) / FOUR_PI_KAPPA
    if charge_line is not None:
        least = LEAST_CHARGE * charge_line.highest
    width = _length_of(length, step.period, eps)
    precision, resolvability, unresolved = _resolved(charge_line, routes.moments[0], width, eps_rho)
    spherical, facet, found = _blocks(blocks, profile, step.period)
    remarks += [
        f"the lower surface ends in whole blocks {name}: D_L/ε0 is their value on this facet"
        for name, value in facet.items()
        if _same(value, routes.moments[0])
    ]
    return InnerPotential(
        phi_mean_vs_vacuum_L=mean[0],
        phi_mean_vs_vacuum_R=mean[1],
        phi_paper_eq80=_eq80(routes.sigma[0], depth[0], radius, least),
        D_L_over_eps0=routes.moments[0],
        D_R_over_eps0=routes.moments[1],
        bethe_spherical=spherical,
        bethe_block_normal=facet,
        resolvability=resolvability,
        unresolved_below=unresolved,
        sigma_L=routes.sigma[0],
        sigma_R=routes.sigma[1],
        budget_L=routes.budget[0],
        budget_R=routes.budget[1],
        residual_L=routes.residual[0],
        residual_R=routes.residual[1],
        files_apart=apart[0],
        of_levels=apart[1],
        grid_error=Measurement(level.grid_error, VOLT) if level.mean.defined else level.mean,
        ion_width_correction=_for_point_ions(profile, x_b, step.period, eps) if level.mean.defined else level.mean,
        eps_rho=precision,
        length=width,
        radius=radius,
        x_b=x_b,
        faces=faces,
        period=step.period,
        eps=eps,
        source=step.source,
        planes=step.planes,
        blocks=found,
        line=_as_profile(step),
        remarks=tuple(dict.fromkeys(remarks)),
        provenance=(*profile.provenance, {"step": "inner potential", "x_b": x_b, "blocks": [b.name for b in blocks]}),
    )


def _level(step: PotentialStep, eps: float | None, charge: Unrolled | None, surface: SurfaceCharge | None) -> _Level:
    """The bulk's level: of the step, or by a Gaussian kernel where the bulk has no period."""
    x_b, period = step.x_b, step.period
    assert x_b is not None and step.line is not None
    if period is not None:
        assert step.bulk is not None and step.bulk_field is not None
        if surface is not None and surface.low is not None and surface.low.reason is not None:
            return _no_level(surface.low.reason)

        def mean(line: Unrolled) -> float:
            if charge is not None:
                return float(-FOUR_PI_KAPPA * line.window_mean_of_double(x_b, period))
            return float(period_mean(line, np.array([x_b]), period)[0])

        line, least = (step.line, GAIN_OF_SPLINES) if charge is None else (charge, LEAST_GAIN)
        return _Level(step.bulk, step.bulk_field, _grid_error(line, mean, least) if step.bulk.defined else 0.0)
    assert eps is not None
    low, high = step.faces
    window = (low + KERNELS_TO_FACE * eps, high - KERNELS_TO_FACE * eps)
    reason: str | None
    if not window[0] - 1e-9 <= x_b <= window[1] + 1e-9:
        reason = f"no bulk: x_b = {x_b:.4g} Å lies less than two kernel widths of {eps:.4g} Å from a face"
    elif surface is not None and surface.low is not None:
        reason = surface.low.reason
    else:
        reason = why_too_few_layers(Body(_charge_of(step.line), low, high), x_b)
    if reason is not None:
        return _no_level(reason)
    kernel = Gaussian(eps)

    def averaged(line: Unrolled, x: float) -> float:
        weights = kernel.density(line.position - x)
        return float((weights * line.values).sum() / weights.sum())

    around = spread_positions(x_b, eps, window)
    means = np.array([averaged(step.line, float(x)) for x in around])
    slope, slope_error, spread = fitted_line(around, means)
    if charge is None:
        error = _grid_error(step.line, lambda line: averaged(line, x_b))
    else:
        error = _grid_error(charge, lambda line: averaged(replace(line, values=potential_of_charge(line)), x_b))
    mean_here = averaged(step.line, x_b)
    return _Level(Measurement(mean_here, VOLT, N_SPREADS * spread), Measurement(slope, "V/Å", slope_error), error)


def _charge_of(potential: Unrolled) -> Unrolled:
    """-ε0 φ'' of samples, by second differences; 0 at the ends, which lie in vacuum."""
    bends = np.diff(potential.values, 2) / potential.spacing**2
    return replace(potential, values=np.pad(bends, 1) / -FOUR_PI_KAPPA, sampling=CELL)


def _no_level(reason: str) -> _Level:
    return _Level(Measurement.not_defined(VOLT, reason), Measurement.not_defined("V/Å", reason), 0.0)


def _grid_error(line: Unrolled, number: Callable[[Unrolled], float], least: float = LEAST_GAIN) -> float:
    """What leaving out every second plane changes, times how much less that is than leaving out three of four.

    least  by how much the last halving of the step is believed to gain at best

    The line ends in vacuum, so its last planes may go too.
    """
    changes = []
    for stride in (2, 4):
        n, h = len(line.values) // stride * stride, line.spacing
        start = line.start - (stride - 1) * h / 2
        parts = [
            replace(line, start=start + i * h, spacing=stride * h, values=line.values[i:n:stride])
            for i in range(stride)
        ]
        changes.append(float(np.ptp([number(part) for part in parts])) / 2)
    return changes[0] * min(1.0, max(least, changes[0] / changes[1])) if changes[1] > 0 else 0.0


def _grid_error_of_moment(line: Unrolled | None, x_b: float, period: float | None, faces: tuple[float, float]) -> float:
    """The same of D_L/ε0 [V], by the period's window; of the whole dipole without one."""
    if line is None:
        return 0.0
    at = np.array([x_b])

    def moment(part: Unrolled) -> float:
        if period is None:
            return FOUR_PI_KAPPA * first_moment(part, x_b)
        return FOUR_PI_KAPPA * float(first_moment_by_window(part, at, period, faces[0])[0])

    return _grid_error(line, moment)


def _charge_by_slopes(bulk: Measurement, vacuum: Measurement, outward: float) -> Measurement:
    """Surface charge from the field on both sides, Gauss's law [e/Å^2]."""
    return weighted_sum(CHARGE, (-outward / FOUR_PI_KAPPA, bulk), (outward / FOUR_PI_KAPPA, vacuum))


def _largest_field(line: Unrolled) -> float:
    """Between two planes [V/Å]."""
    return float(np.abs(np.diff(line.values)).max()) / line.spacing


def _eq80(sigma: Measurement, depth: float, radius: float | None, least: float) -> Measurement:
    """The σ term of eq. 80; for an uncharged surface it is 0 at every R."""
    if not sigma.defined:
        return Measurement.not_defined(VOLT, sigma.reason or "")
    error = sigma.uncertainty or 0.0
    if radius is not None:
        factor = FOUR_PI_KAPPA * (radius - depth) / 2
        return Measurement(factor * float(sigma), VOLT, abs(factor) * error)
    if abs(float(sigma)) > max(CHARGED_FROM * error, least):
        return Measurement.not_defined(
            VOLT, f"the surface is charged, {float(sigma):.4g} e/Å^2, so that eq. 80 grows with R: give radius"
        )
    return Measurement(0.0, VOLT, FOUR_PI_KAPPA * depth * error / 2)


def _resolved(
    line: Unrolled | None, moment: Measurement, width: float | None, eps_rho: float | None
) -> tuple[float | None, Measurement, Measurement]:
    """ε_ρ, D_L/(ε_ρ l²) and ε_ρ l²/ε0."""
    precision = eps_rho
    if precision is None and line is not None and width is not None:
        precision = _largest_average(line, width)
    if precision is None or width is None:
        why = "ε_ρ is not known from a potential: give the density too, or ε_ρ itself"
        return None, Measurement.not_defined("1", why), Measurement.not_defined(VOLT, why)
    volts = FOUR_PI_KAPPA * precision * width**2
    unresolved = Measurement(volts, VOLT)
    if not moment.defined:
        return precision, Measurement.not_defined("1", moment.reason or ""), unresolved
    if volts == 0:
        return precision, Measurement.not_defined("1", "the averaged density is zero everywhere"), unresolved
    return precision, Measurement(float(moment) / volts, "1", (moment.uncertainty or 0.0) / volts), unresolved


def _largest_average(line: Unrolled, width: float) -> float:
    """Largest |ρ̄| of windows of that width around the samples, the line continued by zeros."""
    n = len(line.values) + int(np.ceil(width / line.spacing)) + 1
    k = 2 * np.pi * np.fft.rfftfreq(n, line.spacing)
    averaged = np.fft.irfft(np.fft.rfft(line.values, n) * np.sinc(k * width / (2 * np.pi)), n)
    return float(np.abs(averaged).max())


def _blocks(
    blocks: Sequence[BuildingBlock], profile: Profile, period: float | None
) -> tuple[dict[str, Measurement], dict[str, Measurement], tuple[BethePotential, ...]]:
    """Bethe's potential of each block, spherical mean and of this facet."""
    if not blocks:
        why = Measurement.not_defined(VOLT, "no building block was declared: it depends on how the crystal is divided")
        return {NONE_DECLARED: why}, {NONE_DECLARED: why}, ()
    names = [block.name for block in blocks]
    if len(set(names)) < len(names):
        raise InputError(f"Building blocks {', '.join(names)}: give each another name.")
    filled = None if period is None or profile.area is None else profile.area * period
    spherical, facet, found = {}, {}, []
    for block in blocks:
        try:
            one = bethe_potential(block, block.volume or filled, normal=profile.normal)
        except InputError as error:
            spherical[block.name] = facet[block.name] = Measurement.not_defined(VOLT, str(error))
            continue
        spherical[block.name], facet[block.name] = one.spherical, one.block_normal
        found.append(one)
    return spherical, facet, tuple(found)


def _same(block: Measurement, moment: Measurement) -> bool:
    if not (block.defined and moment.defined):
        return False
    error = hypot(block.uncertainty or 0.0, moment.uncertainty or 0.0)
    return abs(float(block) - float(moment)) <= CHARGED_FROM * error + 1e-9 * abs(float(moment))


def _for_point_ions(profile: Profile, x_b: float, period: float | None, eps: float | None) -> Measurement:
    """2πκ w² times the ions' charge per volume of the bulk: what Gaussians of width w take from the mean potential."""
    added = [step for step in profile.provenance if step.get("step") == "charge density" and "width" in step]
    structure = profile.structure
    if not added or structure is None or profile.area is None:
        return Measurement.not_defined(VOLT, "the ions of this field are not known to be Gaussians of one width")
    width = float(added[-1]["width"])
    totals = {symbol: float(charge) for symbol, charge in added[-1]["ions"].items()}
    charges = np.array([totals[s] / structure.symbols.count(s) for s in structure.symbols])
    away = structure.positions @ profile.normal - x_b
    if profile.boundary == "periodic":
        away = (away + profile.length / 2) % profile.length - profile.length / 2
    if period is not None:
        inside = np.clip((period / 2 - np.abs(away)) / AT_THE_EDGE, -1.0, 1.0) / 2 + 0.5
        per_volume = float((charges * inside).sum()) / (profile.area * period)
    else:
        per_volume = float((charges * Gaussian(eps or 1.0).density(away)).sum()) / profile.area
    return Measurement(FOUR_PI_KAPPA / 2 * per_volume * width**2, VOLT)


def _as_profile(step: PotentialStep) -> Profile:
    """The potential on its line, from vacuum to vacuum, less the level below."""
    assert step.line is not None
    level = float(step.low) if step.low.defined else 0.0
    line = step.line
    length = line.spacing * len(line.values)
    return Profile(
        line.position, line.values - level, VOLT, "electrostatic_potential", length, boundary="open", planes=step.planes
    )
