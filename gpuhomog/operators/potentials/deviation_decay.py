"""How what a cylinder sees beyond its disc average dies away as it widens: Φ^[Δρ] against R, and its exponent.

    Φ^[Δρ](x_b, s; R) = Σ_{g ≠ 0} e^{ig·s} Σ_x (h w_x/ε0) ρ_g(x) [Khat(g, d, R) - W(R, d) J1(gR)/(gR)]           eq. 69
    point   at s, less its limit Σ e^{ig·s} ρ_g e^{-gd}/(2gε0)                              envelope R^-1/2 in a crystal
    disc    mean over the disc of radius R about s, each point the centre of its own disc: times 2 J1(gR)/(gR)  R^-3/2
    fixed-disc  mean over points within R1 = fraction R of s, all of which see the one disc about s, eq. F1     R^-1/2

Over whole cells of the plane it vanishes at every R. Section XIII.A means discs that move with the point; App. F proves
its limit for one that stays (fixed_disc.py), whose edge no average smooths. Layers without a period in the plane fall
more slowly: of locally neutral units as 1/R, of uncorrelated charges not at all.

The exponent is a straight line through log RMS of bins of R: within one the phases gR of the edge turn many times.

In   Field of quantity charge_density, periodic in the plane.
Out  DeviationDecay: host, V, equal on every rank.

>>> import gpuhomog as gh
>>> sheet = np.zeros((1, 8, 3))
>>> sheet[0, :, 0] = np.cos(2 * np.pi * np.arange(8) / 8)                                    # g = 2π/4
>>> field = gh.Field.from_array(sheet, np.diag([4.0, 4.0, 3.0]), quantity="charge_density")
>>> found = deviation_decay(field, "c", x_b=1.0, x_low=0.0, x_high=2.0, average="disc")
>>> print(f"{found.exponent.value:.1f}")
-1.5
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import hypot, log10
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ...device import Device
from ...errors import InputError, check_word
from ...fft import plane_spectra
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, axis_index
from ...parallel import Slab
from ...reduction import JOIN, PLANES_AT_ONCE, Arrays, Reduction
from ...results import Measurement, Result, Tables
from ...units import FOUR_PI_KAPPA
from ..excess.charge_profile import check_charge
from .cylinder import GREGORY, Cylinder, end_weights, phases_at, places_of, planes_whole, stretch_of
from .cylinder_kernel import Array, disc_average_factor, disc_weight
from .cylinder_sums import N_SIDES
from .cylinder_table import classes_of, in_plane_wavevectors, khat_of_classes
from .fixed_disc import MOST_OF_DISC, fixed_disc_table

POINT, DISC, FIXED_DISC = "point", "disc", "fixed-disc"
AVERAGES = {POINT: -0.5, DISC: -1.5, FIXED_DISC: -0.5}
"""Exponent of each in a crystal."""
FEWEST_RADII, LEAST_DECADES, GOOD_DECADES = 8, 1.0, 1.5
"""Radii and decades below which no exponent is fitted, and decades that a good one takes."""
ASTRAY = 3.0
"""Standard errors of a fitted exponent from the asymptotic one, beyond which it is said to be another."""
N_RADII, NARROWEST, WIDEST = 400, 5.0, 250.0
"""Radii by default, and their range in the longest period of the plane."""
RADII_A_BIN, MOST_BINS, FEWEST_BINS = 8, 40, 4
NEGLIGIBLE = 1e-11
"""Modes below this fraction of the largest are left out, and values below it are rounding."""


@dataclass(frozen=True, eq=False)
class DeviationDecay(Result):
    """Φ^[Δρ] against R, and the exponent of its fall.

    radii     (n,) R [Å]
    values    (n,) at each R [V]; of a point less the limit
    binned_radii, rms  (bins,) geometric mean of R and root mean square of the values in each bin [Å], [V]
    exponent  of R, with the standard error of the fit; not defined where the values are rounding
    expected  that of a crystal: -1/2 at a point, -3/2 of the mean over moving discs, -1/2 of F1's fixed one
    decades   of R that the fit covers
    limit     of Φ^[Δρ] at the point for R = ∞ [V]; the mean over a disc has the limit 0. Uncertain by what end weights
              of one order more and one less change; of order 1 by what those of a smooth field do, or, where it was
              asked for and planes are sheets, by rounding
    average   "point", "disc" or "fixed-disc"
    fraction  R1/R of a fixed disc; None for the others
    x_b       [Å]
    in_plane  (2,) the point, as fractions of its vectors
    side      "low", "high" or "both"
    planes       what the planes are: "a", "b", "c", or "(h k l)"
    remarks      what a reader should know, one sentence each
    provenance   what was read and done, step by step
    """

    radii: Array
    values: Array
    binned_radii: Array
    rms: Array
    exponent: Measurement
    expected: float
    decades: float
    limit: Measurement
    average: str
    x_b: float
    in_plane: Array
    side: str
    planes: str
    fraction: float | None = None
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    columns: ClassVar[tuple[str, ...]] = ("radii", "values")

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        of_radius = "" if self.fraction is None else f", R1 = {self.fraction:.4g} R"
        rows = (
            ("exponent of R", f"{self.exponent}, of a crystal {self.expected:g}"),
            ("R", f"{self.radii[0]:.4g} to {self.radii[-1]:.4g} Å, {self.decades:.2f} decades in {len(self.rms)} bins"),
            ("RMS", f"{self.rms[0]:.4g} V to {self.rms[-1]:.4g} V"),
            ("limit at the point", str(self.limit)),
            ("where", f"x_b = {self.x_b:.4f} Å, {self.average}{of_radius}, side {self.side}"),
            *(("note", remark) for remark in self.remarks),
        )
        return (("Decay of Φ of Δρ", rows),)


def deviation_decay(
    field: Field,
    axis: int | str,
    *,
    x_b: float,
    radii: Sequence[float] | Array | None = None,
    average: str = DISC,
    fraction: float = 0.125,
    in_plane: Sequence[float] = (0.0, 0.0),
    side: str = "both",
    x_low: float | None = None,
    x_high: float | None = None,
    end_weights: int | None = None,
) -> DeviationDecay:
    """Φ^[Δρ] of eq. (69) against the radius of the cylinder, with a fitted exponent.

    field    charge_density, periodic in the plane
    axis     of the cylinder
    x_b      [Å], on a plane
    radii    R [Å], increasing; 400 from 5 to 250 of the plane's longest period by default
    average  "point": at one point of the plane, less its limit; "disc": the mean over the disc of the same R about it,
             whose points have each their own disc; "fixed-disc": the mean over the points within R1 of it, which all
             see the disc about it, as eq. F1 has it
    fraction  R1/R of a fixed disc, at most 1/2; F1 has R1 much smaller than R
    in_plane  the point, as fractions of the vectors of the plane
    others   as in cylinder_potential

    Source: App. F of the paper. Raises InputError for fewer than eight radii or less than a decade of them, for planes
    without structure, for open planes, and as cylinder_potential.
    """
    check_charge(field.quantity, "The decay of a potential")
    check_word("average", average, AVERAGES, "of a decay")
    check_word("side", side, N_SIDES, "of a decay")
    if not 0 < fraction <= MOST_OF_DISC:
        raise InputError(f"fraction = {fraction}: give R1/R of a fixed disc, above 0 and at most {MOST_OF_DISC}.")
    field, normal = field.internal(), axis_index(axis)
    wanted = _radii(field, normal, radii)
    cylinder = _upright_cylinder(field, normal, float(wanted[0]))
    first, last, order = stretch_of(field, cylinder, x_low, x_high, end_weights)
    (plane,), _ = places_of(cylinder, x_b, first, last)
    lengths, waves = _waves(field, cylinder, np.asarray(in_plane, dtype=np.float64))
    weights = _plane_weights(cylinder, int(plane), order, first, last, side)
    distance = cylinder.step * np.abs(np.arange(cylinder.n) - int(plane)).astype(float)
    others = [order - 1, order + 1] if order > 1 else [GREGORY] if end_weights is None else []
    changes = [_plane_weights(cylinder, int(plane), one, first, last, side) - weights for one in others]
    of_order = [float(_limit(lengths, waves * change[:, None], distance).sum()) for change in changes]
    n_waves = lengths.shape[1]
    lengths, waves = _structure(lengths, waves * weights[:, None])
    terms = _limit(lengths, waves, distance)
    limit = float(terms.sum())
    left_out = NEGLIGIBLE * (n_waves - len(lengths[0])) * float(np.abs(terms).max())
    limit_error = hypot(*of_order, field.precision * float(np.abs(terms).sum()), left_out)
    at_each = _of_fixed_disc(lengths, distance, fraction) if average == FIXED_DISC else _of(average, lengths, distance)
    values = np.array([float((waves * at_each(float(R))).sum()) for R in wanted]) - (limit if average == POINT else 0.0)
    binned, rms = _binned(wanted, values)
    decades = log10(binned[-1] / binned[0])
    if rms.min() <= NEGLIGIBLE * float(np.abs(waves).sum()) * 1e-2:
        exponent = Measurement.not_defined("1", "the values are rounding")
    else:
        exponent = _slope(np.log(binned), np.log(rms))
    step = {
        "step": "decay of Φ of Δρ", "axis": AXIS_NAMES[normal], "average": average, "side": side, "end_weights": order,
        "x_b": cylinder.step * int(plane), "modes": waves.shape[1],
    }  # fmt: skip
    stated = fraction if average == FIXED_DISC else None
    return DeviationDecay(
        radii=wanted,
        values=values,
        binned_radii=binned,
        rms=rms,
        exponent=exponent,
        expected=AVERAGES[average],
        decades=decades,
        limit=Measurement(limit, "V", limit_error),
        average=average,
        x_b=cylinder.step * int(plane),
        in_plane=np.asarray(in_plane, dtype=np.float64),
        side=side,
        planes=AXIS_NAMES[normal],
        fraction=stated,
        remarks=_remarks(exponent, AVERAGES[average], decades),
        provenance=(*field.provenance, step if stated is None else {**step, "fraction": stated}),
    )


def _upright_cylinder(field: Field, normal: int, radius: float) -> Cylinder:
    """The cylinder along an axis that is upright on periodic planes; InputError for any other."""
    if field.slab.axis != normal:
        field.check_in_memory(f"The decay along {AXIS_NAMES[normal]}, whose planes are not those that are read,")
    cylinder = Cylinder(field.grid, normal, radius, 0.0)
    cylinder.check()
    if OPEN in [field.grid.boundary[i] for i in cylinder.in_plane]:
        raise InputError("The planes are open: what falls with R are the modes of planes that go on, periodic ones.")
    if cylinder.leans:
        raise InputError(f"Axis {AXIS_NAMES[normal]} leans on its planes: use an upright cell.")
    return cylinder


def _remarks(exponent: Measurement, expected: float, decades: float) -> tuple[str, ...]:
    remarks = []
    if decades < GOOD_DECADES:
        remarks.append(
            f"the fit covers {decades:.2f} decades of R: {GOOD_DECADES} or more tell an exponent from another"
        )
    if exponent.value is not None and abs(exponent.value - expected) > ASTRAY * (exponent.uncertainty or 0.0):
        remarks.append(
            f"the exponent is not yet {expected:g}, that of a crystal at large R: what falls faster is not small here, "
            "and the error is that of the straight line alone"
        )
    return tuple(remarks)


def _radii(field: Field, normal: int, radii: ArrayLike | None) -> Array:
    """Increasing radii; InputError for too few, or too near one another."""
    if radii is None:
        period = float(max(field.grid.lengths[i] for i in range(3) if i != normal))
        return np.geomspace(NARROWEST * period, WIDEST * period, N_RADII)
    given = np.asarray(radii, dtype=np.float64)
    if given.ndim != 1 or len(given) < FEWEST_RADII:
        raise InputError(f"Of {given.size} radii no exponent can be told: give {FEWEST_RADII} or more, over a decade.")
    if not (np.isfinite(given).all() and (given > 0).all() and (np.diff(given) > 0).all()):
        raise InputError("radii: give positive, finite radii in Å, increasing.")
    decades = log10(given[-1] / given[0])
    if decades < LEAST_DECADES - 1e-9:
        raise InputError(
            f"Radii from {given[0]:.4g} to {given[-1]:.4g} Å are {decades:.2f} decades: an exponent takes one or more."
        )
    return given


def _waves(field: Field, cylinder: Cylinder, point: Array) -> tuple[Array, Array]:
    """Wavevectors of the classes, and (n, classes) what the modes of each add to every plane at the point."""
    if point.shape != (2,) or not np.isfinite(point).all():
        raise InputError("in_plane: give two fractions of the vectors of the plane.")
    lengths, classes = classes_of(in_plane_wavevectors(cylinder.vectors, cylinder.shape))
    phases = phases_at(cylinder.shape, float(point[0]), float(point[1])).ravel()
    of_class = classes.ravel()

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        arranged = values.transpose(cylinder.order_of_axes)
        sums = np.zeros((slab.n_local, lengths.shape[1]))
        for start in range(0, slab.n_local, PLANES_AT_ONCE):
            spectra = plane_spectra(device, arranged[start : start + PLANES_AT_ONCE])
            for plane, spectrum in enumerate(spectra.reshape(len(spectra), -1), start=start):
                sums[plane] = np.bincount(of_class, (spectrum * phases).real, lengths.shape[1])
        return (sums,)

    values, slab = planes_whole(field, cylinder.normal)
    whole = replace(field, values=values, slab=slab)
    name, n_bytes = f"waves of planes at {point.tolist()}", 8 * cylinder.n * lengths.shape[1]
    (waves,) = whole.reduce(Reduction(name, local, (JOIN,), n_bytes=n_bytes))
    return lengths, np.asarray(waves)


def _structure(lengths: Array, waves: Array) -> tuple[Array, Array]:
    """Without the mean of the planes and waves that are rounding; InputError if none is left."""
    kept = (lengths[0] > 0) & (np.abs(waves).max(axis=0) > NEGLIGIBLE * np.abs(waves).max())
    if not kept.any():
        raise InputError("The planes have no structure: Φ of Δρ is zero at every R.")
    return lengths[:, kept], waves[:, kept]


def _limit(lengths: Array, waves: Array, distance: Array) -> Array:
    """(n, classes) what each wave adds to Φ^[Δρ] at the point for R = ∞: ρ_g e^{-gd}/2g, times what planes weigh."""
    g = np.where(lengths[0] > 0, lengths[0], 1.0)
    terms = waves * np.exp(-np.outer(distance, g)) / (2 * g)
    return np.asarray(np.where(lengths[0] > 0, terms, 0.0))  # the mean of the planes is no part of it


def _plane_weights(cylinder: Cylinder, x_b: int, order: int, first: int, last: int, side: str) -> Array:
    """h w_x/ε0 of each plane."""
    ends, source = end_weights(order, first, last, cylinder.n)
    apart = np.arange(cylinder.n) - x_b
    near = np.append(ends, 1.0)[np.minimum(np.abs(apart), len(ends))]
    weights = np.zeros(cylinder.n)
    if side in ("low", "both"):
        weights += np.where(apart <= 0, near, 0.0) * source[0]
    if side in ("high", "both"):
        weights += np.where(apart >= 0, near, 0.0) * source[1]
    return weights * (cylinder.step * FOUR_PI_KAPPA)


def _of(average: str, lengths: Array, distance: Array) -> Callable[[float], Array]:
    """R → (n, classes) what a wave of each class adds to Φ^[Δρ] at a point, or averaged over moving discs."""

    def at_radius(radius: float) -> Array:
        factor = disc_average_factor(lengths, radius).mean(axis=0)
        kernel = khat_of_classes(lengths, distance, radius).T - np.outer(disc_weight(distance, radius), factor) / 2
        return np.asarray(kernel if average == POINT else kernel * factor)

    return at_radius


def _of_fixed_disc(lengths: Array, distance: Array, fraction: float) -> Callable[[float], Array]:
    """The same averaged over the points near the middle of one disc."""

    def at_radius(radius: float) -> Array:
        tables = [fixed_disc_table(one, distance, radius, fraction * radius) for one in lengths]
        return np.asarray((tables[0] + tables[1]).T / 2)

    return at_radius


def _binned(radii: Array, values: Array) -> tuple[Array, Array]:
    """Geometric mean of R and RMS of the values, in bins of equally many neighbours."""
    n_bins = int(np.clip(len(radii) // RADII_A_BIN, FEWEST_BINS, MOST_BINS))
    parts = np.array_split(np.arange(len(radii)), n_bins)
    centres = np.array([np.exp(np.log(radii[part]).mean()) for part in parts])
    return centres, np.array([np.sqrt((values[part] ** 2).mean()) for part in parts])


def _slope(x: Array, y: Array) -> Measurement:
    """Slope of a straight line, with its standard error."""
    dx = x - x.mean()
    slope = float(dx @ y / (dx @ dx))
    left = y - y.mean() - slope * dx
    return Measurement(slope, "1", float(np.sqrt(left @ left / (len(x) - 2) / (dx @ dx))))
