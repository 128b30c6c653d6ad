"""Potential step: across a slab from vacuum to vacuum, from vacuum to bulk, or across an interface.

    V_vac     line fitted to each vacuum plateau, taken at the face          its slope is the field there
    V_bulk    mean of V over one bulk period around x_b                     uncertain by its scatter about a line
    from ρ:   V(x) = -4πκ ∫_vac^x C,   C(x) = ∫_vac^x ρ                       vacuum below is 0, no field in it
    ΔV = [x V'] - ∫ x Ψ dx,  Ψ = V'' = -4πκ ρ                               eqs. 28-29: 4πκ × dipole per area

A potential file holds the energy of an electron or the potential of a positive charge; the step is in volts, of the
latter, whichever was given. A vacuum is where V is straight: the residual of a line fitted over 1 Å is below 1e-3 of
the range of V. It is never where V is largest. With a density, it must be empty too. Only the half of a vacuum far
from the surface is fitted, so that the density's tail is out of it. A periodic profile is unrolled in its vacuum, at
the jump of a dipole correction if there is one. From a charge density the slab stands alone: the potential that a
dipole-corrected calculation has, whatever was done in the periodic cell; it needs a slab without net charge, since
otherwise ∫ x ρ depends on the origin.

In   Field or Profile of quantity electrostatic_potential, electron_potential_energy or charge_density.
Out  PotentialStep: V and V/Å, host, equal on every rank.

>>> import gpuhomog as gh
>>> x = np.linspace(-20.0, 20.0, 801)
>>> profile = gh.Profile(x, 3.0 * np.tanh(2 * x), "V", "electrostatic_potential", 40.05, boundary="open")
>>> print(f"{gh.potential_step(profile).step.value:.6f}")
6.000000
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, counted
from ...field import Field
from ...grid import OPEN
from ...results import Measurement, Profile, Result, Tables, between_positions, difference
from ...units import FIELD, FOUR_PI_KAPPA, MOMENT, POTENTIALS, VOLT
from ..excess.bulk_charge import NEUTRAL_PERIOD, SCALES_APART
from ..excess.charge_profile import profile_of
from ..excess.line_moments import first_moment, first_moment_error
from ..profiles.between_points import SPLINE_DEGREE, cumulative_at
from ..profiles.bulk import (
    LEAST_VACUUM,
    PERIODS_TO_FACE,
    Period,
    between_two,
    find_body,
    resolve_period,
    resolve_periods,
    scatter_around,
    spread_positions,
    windows_around,
)
from ..profiles.planar import Planes, plane_name
from ..profiles.unrolled import BANDLIMITED, Unrolled, check_sampling, quiet_runs

Array = NDArray[np.float64]

SIDES = ("low", "high")
FLAT_FIELD = 0.1
"""VASP's criterion of a flat vacuum: a field below 0.1 V/Å."""
STRAIGHT_WINDOW = 1.0
"""Length over which a vacuum must be straight [Å]; at least five samples."""
STRAIGHT_LEVEL = 1e-3
"""Largest residual of that line, as a fraction of the range of V."""
EMPTY_LEVEL = 1e-3
"""Largest density in a vacuum, as a fraction of its maximum."""
BETWEEN = "gh.potential_step takes between=(x_1, x_2), a position in each bulk"
LEAST_PLATEAU = 5
"""Fewest samples of a plateau, and of each half of one in which a bend is looked for."""
FACE_UNCERTAINTY = 1.0
"""Uncertainty of where a surface ends [Å]: an atomic radius or half a layer; the ends of the straight vacuum and of
the charge differ by as much. In a vacuum with a field the level at the face is uncertain by the field times this."""
SOLVED = 64.0
"""Roundings of a potential, of its largest value: solving for it in single precision loses more than the last step."""
LEAST_FIELD = 2e-3
"""Field of a vacuum below which no reader needs to know [V/Å]: 0.01 V over a vacuum of 5 Å."""
CHARGED_FIELD = 0.02
"""Difference of the fields of two vacua above which a slab is called charged [V/Å]: 1e-4 e/Å^2. Tails have less."""
MOST_BEND, LEAST_BEND = 0.1, 0.02
"""Difference at the face of lines through the two halves of a plateau [V]: above the first there is no level, above
the second the vacuum is not flat. 0.1 V is VASP's flat field over 1 Å, 0.02 V the accuracy of work functions."""
BEND_GROWTH = 2.0
"""A tail bends more the nearer it is to the face: of a level + c/d the line is off by about twice the bend."""
SIGNIFICANT = 4.0
"""Standard errors above which a bend or a field is not noise."""
JUMP_WIDTH = 4.0
"""A dipole correction's jump is no wider than this many straight windows."""
NEUTRAL_SLAB = 1e-5
"""Largest |∫ρ| / ∫|ρ| of a slab whose step follows from its charge; or what noise makes of it, SIGNIFICANT times."""


@dataclass(frozen=True, eq=False)
class PotentialStep(Result):
    """Potential levels on both sides, and in the bulk between them.

    step            high - low [V]; positive if the potential of a positive charge rises along the axis
    low, high       levels [V]: of the vacuum below and above, at the faces, or of the bulk at x_1 and x_2
    field_low, field_high  dV/dx there [V/Å]; the electric field is minus that
    bulk            mean potential of the bulk at x_b [V]; None across an interface
    bulk_minus_low, bulk_minus_high  bulk against the vacuum on either side [V]; None across an interface
    bulk_field      dV/dx of the mean around x_b [V/Å]; None across an interface
    dipole          dipole per area from the charge [e/Å]; None from a potential. step = 4πκ dipole
    flat            both vacua exist, are straight, and have |dV/dx| < 0.1 V/Å (VASP's criterion); None across an
                    interface
    plateaus        where the lines were fitted, or the windows of the two bulks [Å]
    faces           ends of the vacua [Å], or x_1 and x_2
    x_b, period     where the bulk's level was taken, its period [Å]; None if there is none
    periods         of the two bulks across an interface
    source          quantity it was made from
    planes          what the planes are: "a", "b", "c", or "(h k l)"
    sampling        what the samples of the charge were taken for; None from a potential
    line            the potential laid out from vacuum to vacuum [V]; None across an interface
    remarks         what a reader should know, one sentence each
    provenance      what was read and done, step by step
    """

    step: Measurement
    low: Measurement
    high: Measurement
    field_low: Measurement
    field_high: Measurement
    bulk: Measurement | None
    bulk_minus_low: Measurement | None
    bulk_minus_high: Measurement | None
    bulk_field: Measurement | None
    dipole: Measurement | None
    flat: bool | None
    plateaus: tuple[tuple[float, float] | None, tuple[float, float] | None]
    faces: tuple[float, float]
    x_b: float | None
    period: float | None
    periods: tuple[float | None, float | None] | None
    source: str
    planes: str
    sampling: str | None = None
    line: Unrolled | None = field(default=None, repr=False)
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: the levels, then how they were found; rows of name and text under a title."""
        levels = [
            ("step, high - low", str(self.step)),
            ("low", f"{self.low}, slope {self.field_low}"),
            ("high", f"{self.high}, slope {self.field_high}"),
        ]
        for name in ("bulk", "bulk_minus_low", "bulk_minus_high", "dipole"):
            level = getattr(self, name)
            if level is not None:
                levels.append((name.replace("_minus_", " - "), str(level)))
        how = [
            ("from", f"{self.source.replace('_', ' ')}, planes of {self.planes}"),
            ("across", f"{'a slab' if self.periods is None else 'an interface'}, {between_positions(self.faces)}"),
            *((f"level {side} from", between_positions(p)) for side, p in zip(SIDES, self.plateaus, strict=True)),
        ]
        if self.period is not None and self.x_b is not None:
            how.append(("bulk level", f"over one period of {self.period:.6f} Å around {self.x_b:.4f} Å"))
        how += [("note", remark) for remark in self.remarks]
        return ("Potential of a positive charge", tuple(levels)), ("How it was found", tuple(how))


def potential_step(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    density: Field | Profile | None = None,
    between: Sequence[float] | None = None,
    period: float | Sequence[float] | str | None = "auto",
    x_b: float | None = None,
    sampling: str | None = None,
) -> PotentialStep:
    """Step of the potential across a slab, with the vacuum levels and the bulk's; or across an interface.

    field     electrostatic_potential, electron_potential_energy or charge_density; Field or Profile
    axis      of a Field: "a", "b", "c" or lattice planes
    density   electron or charge density on the same planes: the vacuum of a slab is then where it is empty too
    between   x_1, x_2 [Å]: the step from the bulk around x_1 up to that around x_2, instead of vacuum to vacuum.
              On a periodic axis x_2 may be the smaller number
    period    of the bulk [Å], two for two bulks; "auto" finds it; None: the bulk's level is not defined
    x_b       where the bulk's level is taken [Å]; the middle of the slab by default
    sampling  "bandlimited" (default) or "cell", what samples of a charge density are

    Source: eqs. 28-29 of the paper and section XIII; Poisson's equation in V, e, Å.
    Raises InputError for other quantities; if a periodic potential has no straight stretch, or several; if neither
    vacuum of an open one is straight; for a charge density with a net charge ("origin-dependent"); for positions
    outside an open axis; and for a density that would not be used (of a charge density, or with between). A level
    that does not exist is not defined, with the reason.
    """
    sampling = check_sampling(sampling)
    check_steps(field.quantity)
    if x_b is not None and not isfinite(x_b):
        raise InputError(f"x_b = {x_b}: give a finite position in Å.")
    if density is not None:
        check_asks_for_vacuum(field.quantity, between)
    profile = profile_of(field, axis)
    if profile.quantity == "charge_density":
        return _from_charge(profile, period, x_b, between, sampling)
    if profile.quantity == "electron_potential_energy":
        profile = replace(profile, values=-profile.values, quantity="electrostatic_potential", unit=VOLT)
    source = field.quantity
    if between is not None:
        return _across_interface(profile, between, period, source)
    empty = None
    if density is not None:
        empty = _empty(profile_of(density, axis), profile)
    low_run, high_run, line = _lay_out(profile, empty, x_b)
    return _across_slab(profile, line, low_run, high_run, period, x_b, source)


def check_steps(quantity: str) -> None:
    """InputError for a quantity that has no potential step."""
    if quantity not in ("charge_density", *POTENTIALS):
        raise InputError(
            f"A potential step needs an electrostatic_potential, an electron_potential_energy or a charge_density, and "
            f"this is of quantity {quantity}: name it when reading, or make a charge density with gh.charge_density."
        )


def check_asks_for_vacuum(quantity: str, between: Sequence[float] | None) -> None:
    """InputError where a density beside the field would not be used."""
    if between is not None:
        raise InputError("An interface asks for no vacuum: leave density out.")
    if quantity == "charge_density":
        raise InputError("A charge density shows itself where it is empty: leave density out.")


def check_shows_vacuum(quantity: str) -> None:
    """InputError for the quantity of a density beside a potential that is no density."""
    if quantity not in ("electron_density", "charge_density"):
        raise InputError(f"density is of quantity {quantity}: give an electron_density or a charge_density.")


def _empty(density: Profile, profile: Profile) -> NDArray[np.bool_]:
    """Where a density is nearly zero; InputError if it is on other planes."""
    check_shows_vacuum(density.quantity)
    if len(density.values) != len(profile.values) or abs(density.length / profile.length - 1) > 1e-4:
        raise InputError(
            f"The density has {counted(len(density.values), 'plane')} over {density.length:.6g} Å and the potential "
            f"{len(profile.values)} over {profile.length:.6g} Å: give both on the same planes."
        )
    apart = abs(float(density.position[0] - profile.position[0]))
    if plane_name(density.planes) != plane_name(profile.planes) or apart > 1e-4 * profile.spacing:
        raise InputError(
            f"The density lies on planes of {density.planes} from {density.position[0]:.6g} Å on and the potential on "
            f"planes of {profile.planes} from {profile.position[0]:.6g} Å on: give both on the same planes."
        )
    magnitude = np.abs(density.values)
    return np.asarray(magnitude <= EMPTY_LEVEL * magnitude.max())


def _straight(values: Array, n_window: int, periodic: bool) -> NDArray[np.bool_]:
    """Where a line fitted over n_window samples around the sample leaves next to nothing."""
    n = len(values)
    half = n_window // 2
    padded = np.concatenate([values[-half:], values, values[:half]]) if periodic else values
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    t = np.arange(-half, half + 1.0)
    slopes = windows @ t / (t @ t)
    mean = windows.mean(axis=1)
    residual = np.sqrt(np.maximum(((windows - mean[:, None] - slopes[:, None] * t) ** 2).mean(axis=1), 0.0))
    if not periodic:
        residual = np.concatenate([np.full(half, residual[0]), residual, np.full(half, residual[-1])])[:n]
    return np.asarray(residual <= STRAIGHT_LEVEL * np.ptp(values))


Run = tuple[int, int]
"""First and last sample of a vacuum on the line."""


def _lay_out(
    profile: Profile, empty: NDArray[np.bool_] | None, x_b: float | None
) -> tuple[Run | None, Run | None, Unrolled]:
    """Vacuum below, vacuum above (sample ranges), and the potential laid out from one to the other."""
    values, n = profile.values, len(profile.values)
    if np.ptp(values) == 0:
        raise InputError("The potential is the same everywhere: there is no matter in it, hence no step.")
    periodic = profile.boundary != OPEN
    n_window = max(5, round(STRAIGHT_WINDOW / profile.spacing))
    if n_window > n // 4:
        n_window = max(5, n // 8)
    quiet = _straight(values, n_window, periodic)
    if empty is not None:
        quiet &= empty
    runs = [run for run in quiet_runs(quiet, periodic) if run[1] >= LEAST_PLATEAU]
    return _around_slab(profile, runs, n_window, x_b) if periodic else _at_ends(profile, runs)


def _at_ends(profile: Profile, runs: Sequence[tuple[int, int]]) -> tuple[Run | None, Run | None, Unrolled]:
    """The same of an open axis; runs: (first, length) of the stretches where the potential is straight."""
    h, n = profile.spacing, len(profile.values)
    low = next(((i, i + m - 1) for i, m in runs if i == 0), None)
    high = next(((i, i + m - 1) for i, m in runs if i + m == n), None)
    if low is None and high is None:
        raise InputError(
            f"No vacuum along {profile.planes}: the potential is straight at neither end of the open axis. Take a "
            f"box with vacuum; of an interface {BETWEEN}."
        )
    if low == high:
        raise InputError("The potential is straight all along the axis: there is no matter in it, hence no step.")
    start = float(profile.position[0] - h / 2)
    return low, high, Unrolled(start, h, profile.values, precision=profile.precision)


def _around_slab(
    profile: Profile, runs: Sequence[tuple[int, int]], n_window: int, x_b: float | None
) -> tuple[Run, Run, Unrolled]:
    """The same of a periodic axis: one vacuum, which is cut in its middle, or two with the jump of a correction."""
    h, n = profile.spacing, len(profile.values)
    start = float(profile.position[0] - h / 2)
    widest = max((m for _, m in runs), default=0)
    if x_b is not None:
        here = int(np.floor((x_b - start) / h)) % n
        runs = [run for run in runs if (here - run[0]) % n >= run[1]]
    longest = max((m for _, m in runs), default=0)
    if longest < LEAST_VACUUM * n <= widest:
        raise InputError(
            f"x_b = {x_b:.6g} Å lies in the vacuum along {profile.planes}, where the potential is straight for "
            f"{widest * h:.4g} Å: choose it inside the slab."
        )
    if longest < LEAST_VACUUM * n:
        raise InputError(
            f"No vacuum along {profile.planes}: the potential is nowhere straight for long. Take a cell with more "
            f"vacuum; of a superlattice {BETWEEN}."
        )
    vacua = sorted(run for run in runs if run[1] >= 0.3 * longest)
    if len(vacua) == 1:
        (first, length), jump = vacua[0], 0
        middle = first + length // 2
        below, above = length - length // 2, length // 2
    elif len(vacua) == 2:
        (i, m), (j, k) = vacua
        after_first, after_second = (j - i - m) % n, (i - j - k) % n
        if after_first <= after_second:  # the jump lies after the first vacuum, the slab after the second
            above, below, jump, middle = m, k, after_first, j
        else:
            above, below, jump, middle = k, m, after_second, i
        if jump > JUMP_WIDTH * n_window or jump > 0.5 * max(after_first, after_second):
            raise InputError(
                f"Two vacua along {profile.planes}, of {m * h:.4g} and {k * h:.4g} Å: give x_b, a position in the slab "
                "that is meant, or density, so that the vacuum can be told from a gap."
            )
    else:
        raise InputError(
            f"{len(vacua)} stretches along {profile.planes} could be the vacuum: give density, or x_b in the slab."
        )
    values = np.roll(profile.values, -middle)
    line = Unrolled(start + middle * h, h, values, precision=profile.precision, turn=profile.length)
    turns = float(np.floor((line.start + below * h - start) / profile.length)) * profile.length
    line = replace(line, start=line.start - turns)
    return (0, below - 1), (n - jump - above, n - jump - 1), line


@dataclass(frozen=True)
class _Plateau:
    """One vacuum: level at the face, slope there, where the line was fitted, and whether V bends along it."""

    level: Measurement
    field: Measurement
    window: tuple[float, float] | None = None
    bent: bool = False


def _plateau(line: Unrolled, run: Run | None, at_low: bool) -> _Plateau:
    """The line through the half of a vacuum that is far from the surface; not defined where V bends too much."""
    if run is None:
        side = "lower" if at_low else "upper"
        reason = f"no vacuum at the {side} end: the potential is not straight there"
        return _Plateau(Measurement.not_defined(VOLT, reason), Measurement.not_defined(FIELD, reason))
    first, last = run
    length = last - first + 1
    margin = length // 20
    half = max(LEAST_PLATEAU, length // 2)
    low, high = (first + margin, first + half) if at_low else (last - half + 1, last - margin + 1)
    low, high = max(first, low), min(last + 1, high)
    x, values = line.position[low:high], line.values[low:high]
    face = float(line.position[last] if at_low else line.position[first])
    level, slope, residual, spread = _line(x, values, face)
    floor = SOLVED * line.precision * float(np.abs(line.values).max())
    bend, noise = _bend(x, values, face)
    if bend > max(MOST_BEND, SIGNIFICANT * noise):
        reason = (
            f"the vacuum is not straight: lines through the two halves of {x[0]:.4g} to {x[-1]:.4g} Å differ by "
            f"{bend:.2g} V at the face at {face:.4g} Å. Take more vacuum"
        )
        window = (float(x[0]), float(x[-1]))
        return _Plateau(Measurement.not_defined(VOLT, reason), Measurement.not_defined(FIELD, reason), window, True)
    slope_error = hypot(residual, floor) / spread if spread > 0 else 0.0
    level_error = hypot(
        residual, slope_error * (face - float(x.mean())), slope * FACE_UNCERTAINTY, BEND_GROWTH * bend, floor
    )
    return _Plateau(
        Measurement(level, VOLT, level_error),
        Measurement(slope, FIELD, slope_error),
        (float(x[0]), float(x[-1])),
        bend > max(LEAST_BEND, SIGNIFICANT * noise),
    )


def _line(x: Array, values: Array, at: float) -> tuple[float, float, float, float]:
    """Line of least squares: its value at a position, its slope, the rms that it leaves, and the rms width of x."""
    centre = float(x.mean())
    spread = float(np.sqrt(((x - centre) ** 2).mean()))
    slope = float(((x - centre) * (values - values.mean())).mean() / spread**2) if spread > 0 else 0.0
    residual = float(np.sqrt(((values - values.mean() - slope * (x - centre)) ** 2).mean()))
    return float(values.mean()) + slope * (at - centre), slope, residual, spread


def _bend(x: Array, values: Array, face: float) -> tuple[float, float]:
    """How far lines through the halves of a plateau differ at the face [V], and the standard error of that by noise."""
    if len(x) < 2 * LEAST_PLATEAU:
        return 0.0, 0.0
    half = len(x) // 2
    parts = [(x[:half], values[:half]), (x[-half:], values[-half:])]
    levels = [_line(*part, face)[0] for part in parts]
    # of independent noise e, a second difference e0 - 2 e1 + e2 has variance 6; a smooth curve has next to none
    noise = float(np.sqrt((np.diff(values, 2) ** 2).mean() / 6))
    leverages = [hypot(1.0, (face - float(p.mean())) / float(p.std())) for p, _ in parts]
    return abs(levels[1] - levels[0]), noise * hypot(*leverages) / float(np.sqrt(half))


def is_field(slope: Measurement) -> bool:
    """True if a slope is more than noise, and large enough that readers must know."""
    return slope.value is not None and abs(slope.value) > max(LEAST_FIELD, SIGNIFICANT * (slope.uncertainty or 0.0))


def period_mean(line: Unrolled, centres: Array, period: float, degree: int = SPLINE_DEGREE) -> Array:
    """Means of the potential over one period around each centre, on a spline through the samples near them."""
    reach = period / 2 + 8 * line.spacing
    near = (line.position >= centres.min() - reach) & (line.position <= centres.max() + reach)
    piece = Profile(
        line.position[near], line.values[near], VOLT, "scalar", float(near.sum() * line.spacing), boundary=OPEN
    )
    below, above = cumulative_at(piece, np.stack([centres - period / 2, centres + period / 2]), degree)
    return np.asarray((above - below) / period, dtype=np.float64)


def _level_in_bulk(
    line: Unrolled, x: float, period: Period | None, window: tuple[float, float], why: str | None
) -> tuple[Measurement, Measurement]:
    """Mean potential over one period around x, and its slope; uncertain by the scatter about it, and by the spline."""
    if period is None or why is not None:
        reason = why or "the bulk has no period"
        return Measurement.not_defined(VOLT, reason), Measurement.not_defined(FIELD, reason)
    here = period_mean(line, np.array([x]), period.length)[0]
    (scatter,) = scatter_around(
        lambda at: period_mean(line, at, period.length)[:, None], x, period.length, window, degree=1
    )
    near = spread_positions(x, period.length, window)
    by_spline, by_lower = (period_mean(line, near, period.length, SPLINE_DEGREE - less) for less in (0, 2))
    of_spline = float(np.abs(by_spline - by_lower).max())
    drift = 0.0
    if period.uncertainty > 0:
        drift = float(period_mean(line, np.array([x]), period.length + period.uncertainty)[0] - here)
    floor = SOLVED * line.precision * float(np.abs(line.values).max())
    return (
        Measurement(float(here), VOLT, hypot(scatter.uncertainty, drift, of_spline, floor)),
        Measurement(scatter.slope, FIELD, hypot(scatter.slope_error, floor / period.length)),
    )


def _bulk_of(
    line: Unrolled,
    low: float,
    high: float,
    found: Period | None,
    x_b: float | None,
) -> tuple[Measurement, Measurement, float]:
    """Level and slope of the bulk between two faces, and where it is taken."""
    x = (low + high) / 2 if x_b is None else line.place(x_b)
    margin = PERIODS_TO_FACE * found.length if found else 0.0
    window = (low + margin, high - margin)
    why = None
    if found is not None and window[1] < window[0]:
        why = (
            f"no bulk between the surfaces: the slab of {high - low:.4g} Å is thinner than 3 periods of "
            f"{found.length:.4g} Å"
        )
    elif found is not None and not window[0] - 1e-9 <= x <= window[1] + 1e-9:
        raise InputError(
            f"x_b = {x:.6g} Å lies outside the bulk window {window[0]:.4g} to {window[1]:.4g} Å of the slab: choose it "
            "inside."
        )
    level, slope = _level_in_bulk(line, x, found, window, why)
    return level, slope, x


def _remarks(
    thickness: float, period: Period | None, level: Measurement | None, slope: Measurement | None
) -> list[str]:
    remarks = []
    if period is not None and thickness / period.length < SCALES_APART:
        remarks.append(
            f"no macroscale in this box, L/a = {thickness / period.length:.1f}: the value is that of this box"
        )
    if period is not None and level is not None and slope is not None and level.value is not None:
        change = abs(float(slope)) * period.length
        if change > 5 * (level.uncertainty or 0.0) and change > 1e-6 * abs(level.value):
            remarks.append(f"the bulk has a field, dV/dx = {float(slope):.4g} V/Å: its level is that at x_b")
    return remarks


def _remarks_on_vacua(vacua: tuple[_Plateau, _Plateau], is_open: bool) -> list[str]:
    """What a reader should know of the levels on either side."""
    fields, remarks = [vacuum.field for vacuum in vacua], []
    steepest = max((abs(f.value) for f in fields if f.value is not None), default=0.0)
    significant = [abs(float(f)) for f in fields if is_field(f)]
    bent = [side for side, vacuum in zip(SIDES, vacua, strict=True) if vacuum.bent]
    if steepest >= FLAT_FIELD:
        remarks.append(
            f"the vacuum is not flat, its field is {steepest:.3g} V/Å (VASP's limit: 0.1); levels are at the faces, "
            f"known to {FACE_UNCERTAINTY:g} Å. A dipole correction removes it"
        )
    elif significant and not bent:
        remarks.append(
            f"the vacuum has a field of {max(significant):.3g} V/Å, so levels depend on where the faces are put: they "
            f"are at the faces, known to {FACE_UNCERTAINTY:g} Å. A dipole correction removes it"
        )
    apart = difference(fields[1], fields[0])
    if is_open and is_field(apart) and abs(float(apart)) > CHARGED_FIELD and not bent:
        charge = -float(apart) / FOUR_PI_KAPPA
        remarks.append(
            f"the fields of the two vacua differ: the slab carries {charge:.3g} e/Å^2, so no level is reached on "
            "either side"
        )
    if bent:
        remarks.append(f"the vacuum bends ({' and '.join(bent)} side): its level is not reached. Take more vacuum")
    return remarks


def _across_slab(
    profile: Profile,
    line: Unrolled,
    low_run: Run | None,
    high_run: Run | None,
    period: float | Sequence[float] | str | None,
    x_b: float | None,
    source: str,
) -> PotentialStep:
    vacua = _plateau(line, low_run, True), _plateau(line, high_run, False)
    (low, high), (field_low, field_high) = (v.level for v in vacua), (v.field for v in vacua)
    face_low = line.start if low_run is None else float(line.position[low_run[1]])
    face_high = line.end if high_run is None else float(line.position[high_run[0]])
    found = resolve_period(period, line, face_low, face_high)
    bulk, bulk_field, x = _bulk_of(line, face_low, face_high, found, x_b)
    fields = [abs(f.value) for f in (field_low, field_high) if f.value is not None]
    flat = len(fields) == 2 and max(fields) < FLAT_FIELD and not any(vacuum.bent for vacuum in vacua)
    remarks = _remarks(face_high - face_low, found, bulk, bulk_field)
    remarks += _remarks_on_vacua(vacua, profile.boundary == OPEN)
    step = difference(high, low)
    if step.uncertainty is not None:  # a rule that puts one face too far out does so on both sides: errors add
        together = 2 * abs(float(field_low) * float(field_high)) * FACE_UNCERTAINTY**2
        step = replace(step, uncertainty=hypot(step.uncertainty, together**0.5))
    return PotentialStep(
        step=step,
        low=low,
        high=high,
        field_low=field_low,
        field_high=field_high,
        bulk=bulk,
        bulk_minus_low=difference(bulk, low),
        bulk_minus_high=difference(bulk, high),
        bulk_field=bulk_field,
        dipole=None,
        flat=flat,
        plateaus=(vacua[0].window, vacua[1].window),
        faces=(face_low, face_high),
        x_b=x,
        period=found.length if found else None,
        periods=None,
        source=source,
        planes=profile.planes,
        line=line,
        remarks=tuple(remarks),
        provenance=(*profile.provenance, {"step": "potential step", "x_b": x}),
    )


def _across_interface(
    profile: Profile, between: Sequence[float], period: float | Sequence[float] | str | None, source: str
) -> PotentialStep:
    line, x = between_two(profile, between, "bandlimited")
    windows = windows_around(line, x)
    found = resolve_periods(period, line, x)
    levels, slopes = [], []
    for c, p, w in zip(x, found, windows, strict=True):
        half = p.length / 2 if p else 0.0
        why = None
        if p and (c - half < line.start or c + half > line.end):
            why = f"one period of {p.length:.4g} Å around {c:.4g} Å leaves the box"
        sampled = max(w[0], float(line.position[0])) + half, min(w[1], float(line.position[-1])) - half
        level, slope = _level_in_bulk(line, c, p, sampled, why)
        levels.append(level)
        slopes.append(slope)
    longest = max((p for p in found if p), key=lambda p: p.length, default=None)
    remarks = _remarks(x[1] - x[0], longest, None, None)
    fields = [f.value or 0.0 for f in slopes]
    if levels[0].defined and levels[1].defined and any(is_field(f) for f in slopes):
        middle = float(levels[1]) - float(levels[0]) - (fields[0] + fields[1]) * (x[1] - x[0]) / 2
        remarks.append(
            f"there are fields in the bulks, dV/dx = {fields[0]:.4g} and {fields[1]:.4g} V/Å, as in a capacitor or at "
            f"a charged interface: the step depends on x_1 and x_2; lines carried on to the middle give {middle:.6g} V"
        )
    return PotentialStep(
        step=difference(levels[1], levels[0]),
        low=levels[0],
        high=levels[1],
        field_low=slopes[0],
        field_high=slopes[1],
        bulk=None,
        bulk_minus_low=None,
        bulk_minus_high=None,
        bulk_field=None,
        dipole=None,
        flat=None,
        plateaus=(windows[0], windows[1]),
        faces=x,
        x_b=None,
        period=None,
        periods=(found[0].length if found[0] else None, found[1].length if found[1] else None),
        source=source,
        planes=profile.planes,
        remarks=tuple(remarks),
        provenance=(*profile.provenance, {"step": "potential step", "between": list(x)}),
    )


def potential_of_charge(line: Unrolled, x: ArrayLike | None = None) -> Array:
    """Potential of a line of charge [V] at positions x, or at its samples: -4πκ ∫∫ρ, without field or level below it.

    line  charge density [e/Å^3] from vacuum to vacuum
    x     positions [Å], on the line or above it; None: the samples, which is one FFT

    Source: Poisson's equation, the module's second line.
    """
    double = line.double_cumulative_at_samples() if x is None else line.double_cumulative(x)
    return np.asarray(-FOUR_PI_KAPPA * double, dtype=np.float64)


def _from_charge(
    profile: Profile,
    period: float | Sequence[float] | str | None,
    x_b: float | None,
    between: Sequence[float] | None,
    sampling: str,
) -> PotentialStep:
    """Integrate the charge twice, slab alone, no field below it; the moment of the charge gives the step itself."""
    if between is not None:
        raise InputError(
            "The step across an interface is taken from a potential: give an electrostatic_potential. From charge "
            "alone the slab's own levels can be had, without between."
        )
    body = find_body(profile, sampling, x_b)
    line, poisson = body.line, FOUR_PI_KAPPA
    of_noise = line.noise_of(np.ones(len(line.values)))
    if abs(line.total) > max(NEUTRAL_SLAB * line.gross, SIGNIFICANT * of_noise):
        raise InputError(
            f"The slab carries a net charge of {line.total:.4g} e/Å^2 ({abs(line.total) / line.gross:.1e} of all its "
            "charge): its dipole, so the potential step, is origin-dependent. Add the missing ions or electrons "
            "(gh.charge_balance tells), or homogenize the potential instead."
        )
    middle = (body.low + body.high) / 2
    moment = first_moment(line, middle)
    moment_error = hypot(abs(line.total) * body.thickness / 2, first_moment_error(line, middle))
    potential = replace(line, values=potential_of_charge(line), sampling=BANDLIMITED)
    charge_period = resolve_period(period, line, body.low, body.high)
    bulk, bulk_field, x = _bulk_of(potential, body.low, body.high, charge_period, x_b)
    if charge_period and bulk.defined:
        half = charge_period.length / 2
        of_field, of_level = (poisson * line.noise_of(w) for w in line.weights_of_window(x - half, x + half, x))
        bulk = replace(bulk, uncertainty=hypot(bulk.uncertainty or 0.0, of_level))
        bulk_field = replace(bulk_field, uncertainty=hypot(bulk_field.uncertainty or 0.0, of_field))
    step = Measurement(poisson * moment, VOLT, poisson * moment_error)
    low, high = Measurement(0.0, VOLT, step.uncertainty), Measurement(float(step), VOLT, step.uncertainty)
    none = Measurement(0.0, FIELD, poisson * abs(line.total))
    remarks = _remarks(body.thickness, charge_period, bulk, bulk_field)
    if charge_period and bulk.defined:
        reach = charge_period.length / 2
        net = abs(float(line.cumulative(x + reach) - line.cumulative(x - reach)))
        inside = (line.position >= x - reach) & (line.position <= x + reach)
        if net > NEUTRAL_PERIOD * float(np.abs(line.values[inside]).sum() * line.spacing):
            remarks.append("the bulk is not neutral around x_b: its level depends on where it is taken")
    return PotentialStep(
        step=step,
        low=low,
        high=high,
        field_low=none,
        field_high=none,
        bulk=bulk,
        bulk_minus_low=difference(bulk, low),
        bulk_minus_high=difference(bulk, high),
        bulk_field=bulk_field,
        dipole=Measurement(moment, MOMENT, moment_error),
        flat=True,
        plateaus=((line.start, body.low), (body.high, line.end)),
        faces=(body.low, body.high),
        x_b=x,
        period=charge_period.length if charge_period else None,
        periods=None,
        source="charge_density",
        planes=profile.planes,
        sampling=sampling,
        line=potential,
        remarks=tuple(remarks),
        provenance=(*profile.provenance, {"step": "potential step", "x_b": x, "sampling": sampling}),
    )
