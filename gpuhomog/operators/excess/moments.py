"""Zero-average partition of a bulk, and its moment densities M1, M2 and W at x_b and as fields of x_b.

    C(x) = ∫ Δν,   Δν = ν - reference,   Q(x) = C(x) - C(x_b)
    M1 = (1/l) Σ_m ∫_m (x - x_m) Δν,   M2 = (1/l) Σ_m ∫_m (x - x_m)² Δν          eqs. 37, 38, 42, E1
    W  = M2/2 + (X_d - x_b) M1,   X_d M1 = (1/l) Σ_m x_m ∫_m (x - x_m) Δν          eq. E8
    dM1/dx_b = Δν(x_b),   dW/dx_b = -M1                                            eq. E6 and, instead of E13, for W

x_m are the midpoints of the intervals m, l is the length of the window, which holds equally many periods on either side
of x_b. M1 and W are the same for every zero-average partition; M2 is not (E22 fails even in a crystal), and dM2/dx_b =
-2 M1 holds for intervals of one period only. A bandlimited crystal has them from its coefficients, exactly:

    M1(x) = Σ ρ_n e^{inGx}/(inG),   W(x) = Σ ρ_n e^{inGx}/(nG)²,   M2 = 2 W         one period an interval

Everything else is done on cells, a bandlimited line in exact averages over finer ones.

In   Profile, or Field with an axis: any quantity.
Out  Partition, MomentDensities: host, equal on every rank.

>>> import gpuhomog as gh
>>> x = np.arange(32) / 32
>>> crystal = gh.Profile(x, np.cos(2 * np.pi * x), "e/Å^3", "charge_density", 1.0)
>>> found = gh.moment_densities(crystal, x_b=0.125)
>>> print(f"{found.m1.value:.9f} {found.w.value:.9f} {found.w_slope.values[4]:.9f}")       # sin/2π, cos/4π²
0.112539540 0.017911224 -0.112539540
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...device import choose_device
from ...errors import InputError, check_word
from ...field import Field
from ...grid import OPEN
from ...results import Measurement, Profile, Result, Tables, between_positions
from ...units import times_length
from ..profiles.between_points import harmonics, waves_at
from ..profiles.bulk import GivenPeriod, find_body, resolve_period
from ..profiles.planar import Planes
from ..profiles.unrolled import BANDLIMITED, CELL, Unrolled, check_sampling, unroll
from .charge_profile import profile_of
from .level_sets import Window, edges_around, local_mean_crossing, usable, without_ends
from .partition import PartitionMoments, midpoints, partition_moments

Array = NDArray[np.float64]

FIELDS = {"m1_field": 1, "m2_field": 2, "w_field": 2, "m1_slope": 0, "m2_slope": 1, "w_slope": 1}
"""What is found at every x_b, and the power of Å in its unit, ν aside."""
MEANS = ("mean_m1", "mean_m2", "mean_w")
PARTITIONS = ("period", "crossings")
MOST_POSITIONS = 1024
"""Positions x_b at which the moments of crossings are found, by default."""


@dataclass(frozen=True, eq=False)
class Partition(Result):
    """A zero-average partition: every interval between two edges is neutral.

    edges      (n,) positions of the edges, x_b among them [Å]
    x_b        the position it was made from [Å]
    level      the cumulative integral there [ν Å], from the beginning of the profile
    widest     widest interval, alpha_max [Å]
    largest    widest one that was allowed [Å]
    window     where edges could lie [Å]
    reference  what was subtracted from the field [ν]
    planes     what the planes are
    sampling   what the samples were taken for
    provenance what was read and done, step by step
    """

    edges: Array
    x_b: float
    level: Measurement
    widest: float
    largest: float
    window: tuple[float, float]
    reference: float
    planes: str
    sampling: str
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        rows = (
            ("intervals", f"{len(self.edges) - 1}, {between_positions((float(self.edges[0]), float(self.edges[-1])))}"),
            ("x_b", f"{self.x_b:.6f} Å"),
            ("level", str(self.level)),
            ("widest", f"{self.widest:.6g} Å, at most {self.largest:.6g} Å"),
        )
        return (("Zero-average partition", rows),)


@dataclass(frozen=True, eq=False)
class MomentDensities(Result):
    """Moment densities of a partition at x_b, of each of its intervals, and as fields of x_b.

    m1, m2, w     at x_b [ν Å], [ν Å^2], [ν Å^2]
    offset        X_d - x_b [Å]
    x_b           [Å]
    partition     "period": one period an interval; "crossings": every zero of C - C(x_b)
    edges         (n,) of the partition at x_b [Å]
    interval_m0, interval_m1, interval_m2   (n - 1,) moments of each interval over its length, about its midpoint
    m1_field, m2_field, w_field   of x_b, None where x_b has no partition at all positions
    m1_slope, m2_slope, w_slope   their derivatives: Δν, that of the field, that of the field
    mean_m1, mean_m2, mean_w      means of the fields (E23, E27: of W; that of M2 need not vanish)
    invariance    largest |dW/dx_b + M1| over the largest |M1|: zero if W does not depend on the partition
    reference     what was subtracted from the field [ν]
    planes       what the planes are: "a", "b", "c", or "(h k l)"
    sampling     "bandlimited" or "cell": what the samples were taken for
    remarks      what a reader should know, one sentence each
    provenance   what was read and done, step by step
    """

    m1: Measurement
    m2: Measurement
    w: Measurement
    offset: float | None
    x_b: float
    partition: str
    edges: Array
    interval_m0: Array
    interval_m1: Array
    interval_m2: Array
    m1_field: Profile | None
    m2_field: Profile | None
    w_field: Profile | None
    m1_slope: Profile | None
    m2_slope: Profile | None
    w_slope: Profile | None
    mean_m1: float | None
    mean_m2: float | None
    mean_w: float | None
    invariance: float | None
    reference: float
    planes: str
    sampling: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        rows = [
            ("x_b", f"{self.x_b:.6f} Å"),
            ("M1", str(self.m1)),
            ("M2", f"{self.m2}, of this partition"),
            ("W", str(self.w)),
            ("partition", f"{len(self.edges) - 1} intervals, {self.partition}"),
        ]
        if self.invariance is not None:
            rows.append(("|dW/dx_b + M1|", f"{self.invariance:.2g} of the largest |M1|"))
        return (("Moment densities", (*rows, *(("note", remark) for remark in self.remarks))),)


@dataclass(frozen=True, eq=False)
class _Bulk:
    """A line of cells with a window in which partitions are made."""

    profile: Profile
    line: Unrolled
    window: Window
    reference: float
    sampling: str

    @property
    def period(self) -> float:
        """Of a bulk that has one [Å]."""
        length = self.window.cell or self.window.period
        assert length is not None
        return length

    def about(self, edges: Array, x_b: float) -> tuple[PartitionMoments, NDArray[np.float64]]:
        """Means over the partition, and (3, intervals) the moments of each, in Å."""
        line, h = self.line, self.line.spacing
        bounds = (edges - line.start) / h
        device = choose_device("cpu")
        moments = device.interval_moments(line.values[None, None], bounds, midpoints(bounds))[:, 0, 0]
        found = partition_moments(moments, bounds, h, (x_b - line.start) / h)
        return found, np.asarray(moments * h ** np.arange(1, 4)[:, None])


def partition(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    x_b: float | str = "auto",
    largest: float | None = None,
    period: GivenPeriod = None,
    bulk: Sequence[float] | None = None,
    reference: float | None = None,
    sampling: str | None = None,
) -> Partition:
    """Zero-average partition of a bulk: the zeros of C - C(x_b), outward from x_b.

    field      Profile, or Field with an axis; any quantity. A periodic profile is a bulk, an open one holds it between
               its faces
    x_b        position from which the partition is made [Å]; "auto": where C crosses its local mean nearest the middle
               (M1 vanishes there: the dipole-free cut)
    largest    widest interval allowed, alpha [Å]; half the window by default: an edge on either side of x_b
    period     of the bulk [Å]: the outermost edges are then whole periods from x_b
    bulk       window (low, high) of the edges on an open axis [Å]; by default from face to face
    reference  bulk value V that is subtracted; by default the mean of a periodic profile, 0 on an open axis
    sampling   "bandlimited" (default: in exact averages over cells an eighth as long) or "cell"

    Source: section VII.F and App. E of the paper; hyperuniform bulks have one (their cumulative integral is bounded).
    Raises InputError where C does not return to its value within `largest`, naming the nearest usable level; for
    positions outside the window, and for numbers that cannot be.
    """
    matter, position = _bulk(field, axis, x_b, largest, period, bulk, reference, sampling)
    edges = edges_around(matter.line, position, matter.window)
    window = matter.window
    low, high = (position - window.cell, position + window.cell) if window.cell else (window.low, window.high)
    return Partition(
        edges=edges,
        x_b=position,
        level=Measurement(float(matter.line.cumulative(position)) - _start_level(matter), window.unit),
        widest=float(np.diff(edges).max()),
        largest=window.largest,
        window=(low, high),
        reference=matter.reference,
        planes=matter.profile.planes,
        sampling=matter.sampling,
        provenance=(*matter.profile.provenance, {"step": "partition", "x_b": position, "largest": window.largest}),
    )


def moment_densities(
    field: Field | Profile,
    axis: Planes | None = None,
    *,
    x_b: float | str = "auto",
    partition: str = "period",
    period: GivenPeriod = "auto",
    largest: float | None = None,
    bulk: Sequence[float] | None = None,
    reference: float | None = None,
    positions: Sequence[float] | NDArray[np.float64] | None = None,
    sampling: str | None = None,
) -> MomentDensities:
    """Moment densities M1, M2 and W of a bulk, per interval and as fields of x_b, with their derivatives.

    partition  "period": one period an interval; "crossings": the zero-average partition at each x_b
    period     of the bulk on an open axis [Å], or "auto"; a periodic profile is one period
    positions  equally spaced x_b of the fields [Å]; by default the samples of a periodic profile; on an open axis the
               samples with a period to either side ("period"), or of the middle half of the window ("crossings", of
               either axis 1024 positions at most)
    others     as in `partition`

    A bandlimited periodic profile with one period an interval takes the spectral formulas, which are exact. On an open
    axis the window of crossings holds whole periods, and is symmetric, to within an interval: the uncertainties are the
    largest changes if an outermost interval is left out. Source: eqs. 37-42, E1-E23 of the paper; W instead of M2 where
    E13, E22, E27 are stated. Raises InputError as `partition`, and for an open bulk without a period with
    partition="period".
    """
    check_word("partition", partition, PARTITIONS)
    by_period = partition == "period"
    matter, position = _bulk(field, axis, x_b, largest, period, bulk, reference, sampling, by_period)
    profile, places = matter.profile, _positions(matter, positions, by_period)
    if by_period:
        edges = position + matter.period * np.array([-1.0, 0.0, 1.0])
    else:
        edges = edges_around(matter.line, position, matter.window)
    means, moments = matter.about(edges, position)
    remarks: tuple[str, ...] = ()
    fields: list[Array] | None
    if by_period and matter.sampling == BANDLIMITED and matter.window.cell is not None:
        first, second = _spectral(profile, matter.reference, np.array([position]))[:2]
        means = replace(means, m1=float(first[0]), m2=2 * float(second[0]), w=float(second[0]))
        fields = _exactly(profile, matter.reference, places)
    elif by_period:
        fields = _by_period(matter.line, places, matter.period)
    else:
        fields, remarks = _by_crossings(matter, places)
    (m1, m2, w), rounding = _measured(matter, edges, position, means, by_period)
    lengths = np.diff(edges)
    return MomentDensities(
        m1=m1,
        m2=m2,
        w=w,
        offset=(means.w - means.m2 / 2) / means.m1 if abs(means.m1) > rounding else None,
        x_b=position,
        partition=partition,
        edges=edges,
        interval_m0=moments[0] / lengths,
        interval_m1=moments[1] / lengths,
        interval_m2=moments[2] / lengths,
        reference=matter.reference,
        planes=profile.planes,
        sampling=matter.sampling,
        remarks=remarks,
        provenance=(*profile.provenance, {"step": "moment densities", "x_b": position, "partition": partition}),
        **_of_places(profile, places, fields),
    )


def _of_places(profile: Profile, places: Array, fields: list[Array] | None) -> dict[str, Any]:
    """What MomentDensities holds of M1, M2 and W as fields of x_b, and of their slopes."""
    if fields is None:
        return dict.fromkeys((*FIELDS, *MEANS, "invariance"))
    units = [times_length(profile.unit, power) for power in FIELDS.values()]
    made = [_field(profile, places, values, unit) for values, unit in zip(fields, units, strict=True)]
    means = [float(values.mean()) for values in fields[:3]]
    largest = float(np.abs(fields[0]).max())
    apart = float(np.abs(fields[5] + fields[0])[1:-1].max() / largest) if largest > 0 else None
    return {**dict(zip(FIELDS, made, strict=True)), **dict(zip(MEANS, means, strict=True)), "invariance": apart}


def _measured(
    bulk: _Bulk, edges: Array, x_b: float, means: PartitionMoments, by_period: bool
) -> tuple[list[Measurement], float]:
    """M1, M2 and W with what the ends of the window, crossings between samples and rounding may do; rounding of M1."""
    line, reach = bulk.line, float(edges[-1] - edges[0])
    ends = (0.0, 0.0, 0.0) if by_period or bulk.window.cell is not None else _by_shorter_windows(bulk, edges, x_b)
    if not by_period and bulk.sampling == BANDLIMITED:  # C is taken as straight between the edges of cells
        missed = line.spacing / 8 * float(np.abs(np.diff(line.values)).max())
        ends = (ends[0] + missed, ends[1] + missed * reach, ends[2] + missed * reach)
    aside = abs(float(edges[0] + edges[-1]) / 2 - x_b) * abs(means.m1)
    rounding = line.rounding * max(1.0, reach / (line.end - line.start))
    unit, longest = bulk.profile.unit, float(np.diff(edges).max())
    m1 = Measurement(means.m1, times_length(unit, 1), ends[0] + rounding)
    m2 = Measurement(means.m2, times_length(unit, 2), ends[1] + rounding * longest)
    return [m1, m2, Measurement(means.w, times_length(unit, 2), max(ends[2], aside) + rounding * reach)], rounding


def _by_shorter_windows(bulk: _Bulk, edges: Array, x_b: float) -> tuple[float, float, float]:
    """Largest change of M1, M2 and W if the outermost interval of either side, or of both, is left out."""
    whole = bulk.about(edges, x_b)[0]
    changes = [(0.0, 0.0, 0.0)]
    for some in without_ends(edges, x_b):
        part = bulk.about(some, x_b)[0]
        changes.append((abs(part.m1 - whole.m1), abs(part.m2 - whole.m2), abs(part.w - whole.w)))
    first, second, third = (max(column) for column in zip(*changes, strict=True))
    return first, second, third


def _bulk(
    field: Field | Profile,
    axis: Planes | None,
    x_b: float | str,
    largest: float | None,
    period: GivenPeriod,
    given: Sequence[float] | None,
    reference: float | None,
    sampling: str | None,
    needs_period: bool = False,
) -> tuple[_Bulk, float]:
    """The line of cells, its window, and x_b; everything that was given is checked here."""
    sampling = check_sampling(sampling)
    profile = profile_of(field, axis)
    for name, number in (("x_b", x_b), ("reference", reference)):
        if number is not None and not isinstance(number, str) and not isfinite(number):
            raise InputError(f"{name} = {number}: give a finite number.")
    if isinstance(x_b, str) and x_b != "auto":
        raise InputError(f'x_b = "{x_b}": give a position in Å, or "auto".')
    if largest is not None and not (isfinite(largest) and largest > 0):
        raise InputError(f"largest = {largest}: give the widest interval in Å, a positive length.")
    if profile.boundary == OPEN:
        return _bulk_between(profile, x_b, largest, period, given, reference, sampling, needs_period)
    if given is not None:
        raise InputError("bulk belongs to an open axis: a periodic profile is bulk all over. Leave it out.")
    if period is not None and not isinstance(period, str):
        raise InputError("period belongs to an open axis: a periodic profile is one period. Leave it out.")
    return _bulk_of_cell(profile, x_b, largest, reference, sampling)


def _bulk_of_cell(
    profile: Profile, x_b: float | str, largest: float | None, reference: float | None, sampling: str
) -> tuple[_Bulk, float]:
    """Of a periodic profile: three cells in a row, the window being the middle one."""
    cell = profile.length
    value = profile.mean() if reference is None else float(reference)
    if abs(profile.mean() - value) * cell > 1e-9 * float(np.abs(profile.values).max()) * cell:
        raise InputError(
            f"reference = {value:.6g}: the mean of this periodic profile is {profile.mean():.6g}, and only with "
            "its mean subtracted does the cumulative integral return. Leave reference out."
        )
    one = unroll(profile, 0, sampling)
    one = replace(one, values=one.values - profile.mean()).in_cells()
    line = Unrolled(one.start - cell, one.spacing, np.tile(one.values, 3), CELL, one.precision)
    unit = times_length(profile.unit, 1)
    window = Window(one.start, one.start + cell, largest or cell, cell=cell, unit=unit)
    middle = one.start + cell / 2
    place = local_mean_crossing(line, window, middle, cell) if isinstance(x_b, str) else one.place(float(x_b))
    return _Bulk(profile, line, window, value, sampling), place


def _bulk_between(
    profile: Profile,
    x_b: float | str,
    largest: float | None,
    period: GivenPeriod,
    given: Sequence[float] | None,
    reference: float | None,
    sampling: str,
    needs_period: bool,
) -> tuple[_Bulk, float]:
    """Of an open profile: between the faces of its body, or as given."""
    value = 0.0 if reference is None else float(reference)
    line, low, high = _stretch(profile, given, sampling)
    found = resolve_period(period, line, low, high)
    if needs_period and found is None:
        raise InputError('The bulk has no period: give period=…, or take partition="crossings", which needs none.')
    line = replace(line, values=line.values - value).in_cells()
    length = found.length if found else None
    window = Window(low, high, largest or (high - low) / 2, period=length, unit=times_length(profile.unit, 1))
    bulk = _Bulk(profile, line, window, value, sampling)
    if isinstance(x_b, str):
        width = (high - low) / 2
        if length and width > length:
            width = length * np.floor(width / length)
        return bulk, local_mean_crossing(line, window, (low + high) / 2, float(width))
    if not low < x_b < high:
        raise InputError(f"x_b = {x_b:.6g} Å lies outside the window {low:.6g} to {high:.6g} Å: choose it inside.")
    if needs_period and length and not low <= x_b - length < x_b + length <= high:
        raise InputError(
            f"x_b = {x_b:.6g} Å is less than a period of {length:.6g} Å from an end of the window {low:.6g} to "
            f"{high:.6g} Å: choose it inside."
        )
    return bulk, float(x_b)


def _stretch(profile: Profile, given: Sequence[float] | None, sampling: str) -> tuple[Unrolled, float, float]:
    """An open profile, and the ends of its bulk."""
    if given is None:
        body = find_body(profile, sampling)
        return body.line, body.low, body.high
    if len(given) != 2 or not all(isfinite(x) for x in given) or not given[0] < given[1]:
        raise InputError(f"bulk = {tuple(given)}: give two positions in Å, the lower first.")
    line, (low, high) = unroll(profile, 0, sampling), (float(given[0]), float(given[1]))
    if low < line.start or high > line.end:
        raise InputError(
            f"The window {low:.6g} to {high:.6g} Å leaves the profile, which reaches from {line.start:.6g} to "
            f"{line.end:.6g} Å."
        )
    return line, low, high


def _start_level(bulk: _Bulk) -> float:
    """C at the beginning of the profile: a periodic line begins one period before it."""
    start = bulk.line.start if bulk.window.cell is None else bulk.window.low
    return float(bulk.line.cumulative(start))


def _positions(bulk: _Bulk, given: Any, by_period: bool) -> Array:
    """x_b of the fields, equally spaced."""
    if given is not None:
        x = np.atleast_1d(np.asarray(given, dtype=np.float64))
        steps = np.diff(x)
        if (
            x.ndim != 1
            or len(x) < 3
            or not np.isfinite(x).all()
            or not (steps > 0).all()
            or np.ptp(steps) > 1e-6 * (x[-1] - x[0])
        ):
            raise InputError("positions: give at least three equally spaced positions in Å, in order.")
        return x
    profile, window = bulk.profile, bulk.window
    if window.cell is not None:
        if by_period or len(profile.values) <= MOST_POSITIONS:
            return profile.position
        return np.asarray(profile.position[0] + np.arange(MOST_POSITIONS) * (window.cell / MOST_POSITIONS))
    margin = (window.period or 0.0) if by_period else (window.high - window.low) / 4
    inside = profile.position[(profile.position >= window.low + margin) & (profile.position <= window.high - margin)]
    if len(inside) < 3:
        raise InputError(
            f"The window {window.low:.6g} to {window.high:.6g} Å holds no positions with a period on either side: "
            "it is too short for moments of this bulk."
        )
    return np.asarray(inside if by_period else inside[:: -(-len(inside) // MOST_POSITIONS)])


def _spectral(profile: Profile, reference: float, x: Array) -> tuple[Array, Array, Array]:
    """M1, W and Δν at positions x, from the coefficients."""
    wavevectors, coefficients = harmonics(profile.values, profile.length)
    parts = np.stack([coefficients / (1j * wavevectors), coefficients / wavevectors**2, coefficients])
    m1, w, density = waves_at(wavevectors, parts, x - profile.position[0])
    return m1, w, density + (profile.mean() - reference)


def _exactly(profile: Profile, reference: float, x: Array) -> list[Array]:
    """M1, M2, W and their slopes at equally spaced x of a periodic profile, one period an interval."""
    m1, w, density = _spectral(profile, reference, x)
    whole = abs(len(x) * (x[1] - x[0]) - profile.length) < 1e-6 * profile.length
    return [m1, 2 * w, w, density, -2 * m1, _slope(w, x, profile.length) if whole else -m1]


def _by_period(line: Unrolled, x: Array, period: float) -> list[Array]:
    """M1, M2, W and their slopes with one period on either side of each x.

    M2 = (2/l) [∫∫C over both periods - …] comes from the running integrals; W = -(1/2a) ∫ (s - x) C ds.
    """
    low, high = x - period, x + period
    double, triple = line.double_cumulative, line.triple_cumulative
    m1 = line.cumulative(x) - (double(high) - double(low)) / (2 * period)
    w = -((double(high) + double(low)) * period - (triple(high) - triple(low))) / (2 * period)
    m2 = np.zeros_like(x)
    for start, stop in ((low, x), (x, high)):
        m2 -= (double(start) + double(stop)) * period - 2 * (triple(stop) - triple(start))
    m2 /= 2 * period
    return [m1, m2, w, line.density(x), *(_slope(v, x, period) for v in (m2, w))]


def _by_crossings(bulk: _Bulk, x: Array) -> tuple[list[Array] | None, tuple[str, ...]]:
    """M1, M2, W and their slopes of the partition at each x; None, with the reason, where some x has none."""
    line, window = bulk.line, bulk.window
    found = [usable(line, float(place), window) for place in x]
    refused = sum(edges is None for edges in found)
    if refused:
        return None, (f"no fields: at {refused} of {len(x)} positions x_b there is no partition",)
    partitions = [edges for edges in found if edges is not None]
    ends = np.concatenate(partitions)
    running = np.stack([line.double_cumulative(ends), line.triple_cumulative(ends)])
    rows, first = [], 0
    for place, level, edges in zip(x, line.cumulative(x), partitions, strict=True):
        double, triple = running[:, first : first + len(edges)]
        first += len(edges)
        length = edges[-1] - edges[0]
        rise, lever = double[-1] - double[0], edges[[0, -1]] - place
        second = np.diff(edges) / 2 * (double[1:] + double[:-1]) - np.diff(triple)  # ∫ (x - x_m) C of each
        w = lever[1] * double[-1] - lever[0] * double[0] - (triple[-1] - triple[0])
        w -= level * (lever[1] ** 2 - lever[0] ** 2) / 2
        rows.append([level - rise / length, -2 * second.sum() / length, -w / length])
    m1, m2, w = np.array(rows).T
    slopes = [_slope(v, x, window.cell) for v in (m2, w)]
    return [m1, m2, w, line.density(x), *slopes], ()


def _slope(values: Array, x: Array, period: float | None) -> Array:
    """Derivative along x: of one whole period by its coefficients, else by differences."""
    n, step = len(x), float(x[1] - x[0])
    if period is not None and abs(n * step - period) < 1e-6 * step:
        wavevectors = 2j * np.pi / period * np.arange(n // 2 + 1)
        if n % 2 == 0:
            wavevectors[-1] = 0.0
        return np.asarray(np.fft.irfft(np.fft.rfft(values) * wavevectors, n))
    return np.asarray(np.gradient(values, step, edge_order=2))


def _field(profile: Profile, x: Array, values: Array, unit: str | None) -> Profile:
    """Values at the positions x_b as a profile."""
    step = float(x[1] - x[0])
    whole = profile.boundary != OPEN and abs(len(x) * step - profile.length) < 1e-6 * step
    return Profile(
        x, values, unit, "scalar", len(x) * step, boundary=profile.boundary if whole else OPEN, planes=profile.planes,
        normal=profile.normal, area=profile.area, provenance=profile.provenance,
    )  # fmt: skip
