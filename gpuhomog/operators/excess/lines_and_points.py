"""Lines and points: what the edges and corners of a structure carry beyond its regions, its faces and its edges.

    R     = ν - Σ_r V_ref,r χ_r                                    what the regions do not account for
    x_F   = (∫ w_F R - Σ_G x_G ∫_G w_F)/∫_F w_F                    excess of a feature F; G: larger ones that end in F
    w_F   = A(t) W(d),   W(d) = erfc((d - ρ)/(√2 s))/2,   s = eps/2,   ρ >= 8 s
    Σ V_ref size + Σ x_F size_F = ∫ ν                               closure; what is missing is reported

    x_F  += Σ_G m_G (angle of G at F)/2        of a face G at a point;    m_G, q_G = ∫ t² R, ∫ t⁴ R across G
    x_F  += Σ_G m_G/2ρ + q_G/8ρ³               of a face at a line, of a line at a point

the last two as windows are round: they take less of what lies t beside a larger feature, at points where faces end by
t²/2 whatever their radius. -∫ t⁶ R/16ρ⁵ is left. m_G and q_G are found as x_G is, with the weights w_G d² and w_G d⁴,
less what the regions, and the faces that end in a line, have of it. d is the distance from the feature's point, line
or plane, t the position on it: A = 1 for a point; for a line a box smoothed by a Gaussian of standard deviation s,
at least 8 s from whatever the line ends in; for a face of three dimensions a Gaussian as wide as the face allows, at
least s. In two dimensions lines come first (λ, of codimension 1), then points (q); in three faces, lines, points.
Around a feature every region is a cone, so the integrals of the V_ref and of the larger features are closed forms
(regions.py), and the field is only summed with smooth weights, up to exp(-G² s²/2) of the shortest wavevector G of the
matter. Of cell averages the weights are averaged over the cells too, by two Gauss points along each axis: of a body
that ends at the faces of oblique cells nothing but that comes out right.

Excesses depend on where the dividing lines and points are put, unless V_ref = 0 (and, for points, λ = 0): the positions
are an input that has no default, and each result repeats its own. A structure that is uniform along one axis is looked
at in the plane across it: give corners (x, y) and the axis; the field is averaged along it.

In   Field; Regions: corners in Å and reference values.
Out  LinesAndPoints: values in the field's unit times Å^codimension, host, equal on every rank.

>>> import gpuhomog as gh
>>> signs = (-1.0) ** (np.arange(41)[:, None, None] + np.arange(40)[None, :, None])   # +1 and -1 in turn, 1 Å apart
>>> field = gh.Field.from_array(signs, np.diag([41.0, 40.0, 1.0]), boundary="o,o,p")
>>> found = gh.lines_and_points(field, [gh.Region([[-0.5, -0.5], [40.5, -0.5], [40.5, 39.5], [-0.5, 39.5]])], eps=4.8)
>>> round(found.points[0].value.value, 6)                            # a quarter of +1: half of it along each edge
0.25
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import acos, hypot, isfinite, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, KernelError
from ...field import Field
from ...grid import AXIS_NAMES, PERIODIC, axis_index
from ...results import Measurement, Result, Tables
from ...units import times_length
from ..profiles.unrolled import check_sampling
from .regions import LINEAR, Complex, Feature, Region, complex_of, distance, largest_disc, spot
from .window_sums import REACH, Lattice, SmoothWindow, at_corner, at_end, radial_moment

Array = NDArray[np.float64]

FIT_REACH = 6.0
"""Standard deviations of the window in which V_ref is fitted, between its centre and what is 4 eps from a boundary."""
VARIANTS = ((0.8, 0.8, 4.0), (0.8, 1.0, 1.0), (1.0, 1.2, 6.0))
"""Other choices: factors of s and of ρ, and what a change of the value is multiplied by: an error that falls as 1/ρ
changes by a quarter or a sixth of itself. What the breadth of lines and faces leaves falls as 1/ρ⁵, and is stated eight
times as large as it is: so the scatter of disorder is covered too."""
TOUCHING = 1e-6
"""Distance below which regions meet their periodic images [Å]."""
NAMES = ("point", "line", "face")


@dataclass(frozen=True)
class Excess:
    """Excess of one face, line or point.

    corners  its points [Å], as they were given
    size     area [Å^2], length [Å], or 1
    value    per area, per length, or of the point: the field's unit times Å, Å^2, Å^3 (codimension 1, 2, 3); the
             uncertainty is the largest change with other s and ρ
    """

    corners: tuple[tuple[float, ...], ...]
    size: float
    value: Measurement

    @property
    def place(self) -> str:
        """Where it is, for people: the ends of a line, the middle of a face."""
        if len(self.corners) > 2:
            return f"around {spot(np.mean(self.corners, axis=0))}"
        return " – ".join(map(spot, self.corners))


@dataclass(frozen=True)
class Reference:
    """Macroscopic field in one region, as it was used.

    name      of the region, or its number
    corners   [Å], as they were given
    size      area or volume [Å^2, Å^3]
    value     V_ref at the centroid
    gradient  along the coordinates, per Å; None where V_ref is constant
    fitted    False if it was given
    """

    name: str
    corners: tuple[tuple[float, ...], ...]
    size: float
    value: Measurement
    gradient: tuple[float, ...] | None
    fitted: bool


@dataclass(frozen=True, eq=False)
class LinesAndPoints(Result):
    """Excesses of all faces, lines and points of some regions.

    points      excess of each corner
    lines       excess of each line per length
    faces       three dimensions: excess of each face per area
    regions     reference value of each region
    total       ∫ ν over the cell; in two dimensions per length along the axis
    accounted   Σ V_ref size + Σ excess size: what regions, faces, lines and points hold together
    closure     total - accounted
    eps, window_radius  2 s, and the radius of the windows [Å]
    uniform_axis  two dimensions: "a", "b" or "c", along which the field was averaged
    sampling    "bandlimited" or "cell": what the samples were taken for
    directions  of the coordinates of the corners, rows: Cartesian unit vectors
    remarks     what a reader should know, one sentence each
    provenance  what was read and done, step by step
    """

    points: tuple[Excess, ...]
    lines: tuple[Excess, ...]
    faces: tuple[Excess, ...]
    regions: tuple[Reference, ...]
    total: Measurement
    accounted: Measurement
    closure: Measurement
    eps: float
    window_radius: float
    uniform_axis: str | None
    sampling: str
    directions: tuple[tuple[float, ...], ...]
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: excesses with their positions, then how they were found."""
        tables = []
        for title, excesses in (("Faces", self.faces), ("Lines", self.lines), ("Points", self.points)):
            if excesses:
                tables.append((title, tuple((x.place, str(x.value)) for x in excesses)))
        how = [
            *((f"reference of region {r.name}", f"{r.value}{'' if r.fitted else ', given'}") for r in self.regions),
            ("total", str(self.total)),
            ("accounted for", str(self.accounted)),
            ("closure residual", str(self.closure)),
            ("windows", f"eps {self.eps:.4g} Å, radius {self.window_radius:.4g} Å"),
            *(("note", remark) for remark in self.remarks),
        ]
        return (*tables, ("How it was found", tuple(how)))


def lines_and_points(
    field: Field,
    regions: Sequence[Region],
    *,
    eps: float | None = None,
    window_radius: float | None = None,
    uniform_axis: int | str = "c",
    sampling: str | None = None,
) -> LinesAndPoints:
    """Excess of the lines and points (and faces) in which regions end, with the closure residual.

    field    any quantity; zero outside the regions, apart from what faces, lines and points carry
    regions  corners (x, y): two dimensions, in the plane across `uniform_axis`; (x, y, z): three. Cartesian Å; in the
             plane, x is along the next axis after it (a for c, b for a, c for b), as seen along it, and y across x
    eps      smoothness of the windows [Å], twice its standard deviation s; the largest that fits by default
    window_radius  of the windows [Å], at least 4 eps (the default)
    uniform_axis  of corners (x, y): along which the structure is uniform, and the field is averaged
    sampling  "bandlimited" (default): samples of a smooth field, or charges at the grid points; "cell": averages over
             the cells of the grid, of matter cut sharply

    Source: Fig. 5 and section VI.C of the paper, as its definitions imply. Raises InputError for windows that reach
    half of a line, for points closer than two radii, for regions that overlap, for V_ref to be fitted in a region
    that is not 4 eps deep, for regions that reach their periodic images or leave an open cell, and for regions that
    cannot be; KernelError if eps is below two samples.
    """
    sampling = check_sampling(sampling)
    found = complex_of(regions)
    lattice = Lattice.of(field, None if found.dimension == 3 else axis_index(uniform_axis))
    shape = _Shape(found, lattice, regions)
    size = shape.largest_eps() if eps is None else float(eps)
    if not (isfinite(size) and size > 0):
        raise KernelError(f"eps = {eps}: give a positive width in Å.")
    if size < 2 * lattice.spacing * (1 - 1e-9):
        how = f"The largest that fits the regions, eps = {size:.4g} Å," if eps is None else f"eps = {size:.4g} Å"
        larger = "larger regions" if eps is None else "a larger one"
        raise KernelError(
            f"{how} is narrower than two samples of {lattice.spacing:.4g} Å: give {larger}, or a finer grid."
        )
    radius = REACH * size / 2 if window_radius is None else float(window_radius)
    if not radius >= REACH * size / 2 * (1 - 1e-12):
        raise InputError(
            f"window_radius = {window_radius} Å is below 4 eps = {4 * size:.4g} Å: the windows would not be "
            "smooth; give that or more."
        )
    settings, factors = [(size / 2, radius)], [0.0]
    shape.check(*settings[0])
    for s_factor, rho_factor, factor in VARIANTS:
        other = (size / 2 * s_factor, radius * rho_factor)
        if shape.fits(*other) and other[0] >= lattice.spacing * (1 - 1e-9):
            settings.append(other)
            factors.append(factor)
    windows = [shape.windows(*setting) for setting in settings]
    sums = lattice.sums(field, [window for one in windows for window in one], sampling)
    parts = np.split(sums, np.cumsum([len(one) for one in windows])[:-1])
    runs = [shape.excesses(*setting, one, part) for setting, one, part in zip(settings, windows, parts, strict=True)]
    return _result(field, found, shape, lattice, regions, settings[0], runs, factors, sampling)


def _result(
    field: Field,
    found: Complex,
    shape: _Shape,
    lattice: Lattice,
    regions: Sequence[Region],
    setting: tuple[float, float],
    runs: list[_Run],
    factors: list[float],
    sampling: str,
) -> LinesAndPoints:
    dimension, first = found.dimension, runs[0]

    def measured(values: list[float], power: int) -> Measurement:
        return Measurement(values[0], times_length(field.unit, power), _spread(values, factors))

    own = {feature: _spread([run.excess[feature] for run in runs], factors) for feature in shape.features}
    by_dimension = _excesses(field, found, first, shape.uncertainties(own, setting))
    values = [
        measured([run.values[k] for run in runs], 0) if shape.is_fitted(k) else Measurement(value, field.unit)
        for k, value in enumerate(first.values)
    ]
    total = lattice.integral(field)
    accounted = [run.accounted(found) for run in runs]
    step = {
        "step": "lines and points",
        "eps": 2 * setting[0],
        "window_radius": setting[1],
        "uniform_axis": lattice.axis,
        "sampling": sampling,
        "corners": [np.asarray(region.corners).tolist() for region in regions],
        "references": [region.reference for region in regions],
    }
    return LinesAndPoints(
        points=by_dimension[0],
        lines=by_dimension[1],
        faces=by_dimension[2] if dimension == 3 else (),
        regions=tuple(
            _reference(k, region, found, values[k], first.gradients[k], shape) for k, region in enumerate(regions)
        ),
        total=Measurement(total, times_length(field.unit, dimension)),
        accounted=measured(accounted, dimension),
        closure=measured([total - x for x in accounted], dimension),
        eps=2 * setting[0],
        window_radius=setting[1],
        uniform_axis=lattice.axis,
        sampling=sampling,
        directions=tuple(tuple(float(x) for x in row) for row in lattice.directions),
        remarks=(*_remarks(found, first, by_dimension[1:], setting[0]), *_ends(field, lattice.axis)),
        provenance=(*field.provenance, step),
    )


def _ends(field: Field, axis: str | None) -> tuple[str, ...]:
    """What a reader should know of an axis that is averaged over and on which the structure may end."""
    if axis is None or field.grid.boundary["abc".index(axis)] == PERIODIC or field.grid.shape["abc".index(axis)] == 1:
        return ()
    return (f"{axis} is open: a structure that ends there is not uniform along it, and takes corners (x, y, z)",)


def _spread(values: list[float], factors: list[float]) -> float | None:
    """How far what other settings find lies from the first, each times its factor; None for one setting."""
    changes = np.abs(np.array(values) - values[0]) * factors
    return float(changes.max()) if len(changes) > 1 else None


def _excesses(
    field: Field, found: Complex, run: _Run, uncertainty: dict[Feature, float | None]
) -> list[tuple[Excess, ...]]:
    """What points, lines and faces carry, in this order."""
    return [
        tuple(
            Excess(
                tuple(tuple(float(x) for x in point) for point in found.at(feature)),
                found.size(feature),
                Measurement(
                    run.excess[feature], times_length(field.unit, found.dimension - order), uncertainty[feature]
                ),
            )
            for feature in features
        )
        for order, features in enumerate(found.features)
    ]


def _reference(k: int, region: Region, found: Complex, value: Measurement, gradient: Array, shape: _Shape) -> Reference:
    return Reference(
        region.name or str(k + 1),
        tuple(tuple(float(x) for x in corner) for corner in np.asarray(region.corners)),
        found.bodies[k].size,
        value,
        tuple(float(x) for x in gradient) if gradient.any() else None,
        shape.is_fitted(k),
    )


def _remarks(found: Complex, run: _Run, carried: Sequence[tuple[Excess, ...]], std: float) -> tuple[str, ...]:
    """What the numbers depend on: where lines and points are put, if anything larger is not zero."""
    if any(value != 0 for value in run.values):
        return ("V_ref is not zero everywhere: the excesses change with where lines and points are put",)
    least = 1e-9 * max(abs(run.excess[point]) for point in found.features[0]) / (2 * std)
    values = [excess.value for group in carried for excess in group]
    if any(abs(float(x)) > max(least, 3 * (x.uncertainty or 0.0)) for x in values):
        return ("lines (faces) carry an excess: that of the points changes with where they are put",)
    return ()


@dataclass(frozen=True, eq=False)
class _Run:
    """What one choice of s and ρ gives."""

    excess: dict[Feature, float]
    values: list[float]
    gradients: list[Array]

    def level(self, found: Complex, k: int, place: Array) -> float:
        """V_ref of a region at a place."""
        return self.values[k] + float(self.gradients[k] @ (place - found.bodies[k].centroid))

    def accounted(self, found: Complex) -> float:
        bodies = sum(value * body.size for value, body in zip(self.values, found.bodies, strict=True))
        return bodies + sum(value * found.size(feature) for feature, value in self.excess.items())


class _Shape:
    """Where windows have room, whatever their size."""

    def __init__(self, found: Complex, lattice: Lattice, regions: Sequence[Region]) -> None:
        self.complex, self.regions = found, regions
        self.features = [feature for features in reversed(found.features) for feature in features]
        self._refuse_outside(lattice)
        self.images = min(
            (distance(found.points, found.points + vector) for vector in lattice.vectors()), default=np.inf
        )
        self.apart: dict[Feature, list[tuple[Feature, float]]] = {
            feature: [
                (other, 0.0 if set(other) & set(feature) else distance(found.at(feature), found.at(other)))
                for other in self.features
                if not found.contains(other, feature) and not found.contains(feature, other)
            ]
            for feature in self.features
        }
        self.depths = {k: found.deepest(k) for k, region in enumerate(regions) if isinstance(region.reference, str)}

    def _refuse_outside(self, lattice: Lattice) -> None:
        inverse = np.linalg.inv(lattice.steps)
        where = (self.complex.points - lattice.origin) @ inverse
        for i, periodic in enumerate(lattice.periodic):
            outside = (where[:, i] < -0.5 - 1e-6) | (where[:, i] > lattice.shape[i] - 0.5 + 1e-6)
            if not periodic and outside.any():
                wrong = self.complex.points[int(np.argmax(outside))]
                name = AXIS_NAMES[lattice.axes[i]]
                raise InputError(
                    f"The corner {spot(wrong)} lies outside the cell, whose axis {name} is open: correct it, or read "
                    "the field as periodic."
                )

    def is_fitted(self, k: int) -> bool:
        return isinstance(self.regions[k].reference, str)

    def fits(self, s: float, rho: float) -> bool:
        """True if every window has room."""
        try:
            self.check(s, rho)
        except InputError:
            return False
        return True

    def largest_eps(self) -> float:
        """The largest eps whose windows have room at rho = 4 eps; the refusal of a very small one if none has."""
        size = 2 * min(self.complex.size(line) for line in self.complex.features[1])
        smallest = size / 1000
        while size > smallest:
            if self.fits(size / 2, REACH * size / 2):
                return size
            size *= 0.96
        self.check(smallest / 2, REACH * smallest / 2)
        return smallest

    def check(self, s: float, rho: float) -> None:
        """Raise InputError for the first window without room."""
        eps, reach = 2 * s, rho + REACH * s
        if self.images < TOUCHING:
            raise InputError(
                "A region is as long as the periodic cell, or longer, and meets its own images: give corners inside "
                "the cell, or read the field with open axes."
            )
        if self.images < reach * (1 - 1e-9):
            raise InputError(
                f"The regions are {self.images:.4g} Å from their periodic images, and windows at eps = {eps:.4g} Å "
                f"reach {reach:.4g} Å: give a smaller eps, or a cell with more space between."
            )
        for feature in reversed(self.features):
            for other, apart in sorted(self.apart[feature], key=lambda pair: len(pair[0])):
                if not set(other) & set(feature) and apart < reach * (1 - 1e-9):
                    limit = "two radii" if len(feature) == len(other) == 1 else "the reach of the windows"
                    advice = f"give an eps below {eps * apart / reach:.4g} Å" if apart > 1e-3 * reach else ""
                    raise InputError(
                        f"The {self.named(feature)} and the {self.named(other)} are {apart:.4g} Å apart, closer than "
                        f"{limit}, {reach:.4g} Å: {advice or 'split lines where others meet them'}."
                    )
        for feature in self.complex.features[1]:
            low, high = self.stretch(feature, s, rho)
            if not high > low:
                length = self.complex.size(feature)
                raise InputError(
                    f"The {self.named(feature)} of {length:.4g} Å is too short at this eps: windows must keep "
                    f"{length - high:.4g} and {low:.4g} Å from its ends, and eps = {eps:.4g} Å leaves nothing between."
                )
        for feature in self.complex.features[2] if self.complex.dimension == 3 else ():
            _, room = self.room(feature, s, rho)
            if room < s:
                raise InputError(
                    f"The {self.named(feature)} is too narrow at this eps: a window of {s:.4g} Å leaves 8 of its "
                    f"standard deviations to no side. Give an eps below {eps * max(room, 0.0) / s:.4g} Å."
                    if room > 0
                    else f"The {self.named(feature)} is too narrow at this eps = {eps:.4g} Å: give a smaller one."
                )
        for k, (centre, depth) in self.depths.items():
            if self.fit_width(depth, s) < s * (1 - 1e-9):
                raise InputError(
                    f"V_ref of region {self.regions[k].name or k + 1} cannot be fitted: its deepest point "
                    f"{spot(centre)} is {depth:.4g} Å from the boundary, less than {(REACH + FIT_REACH) * s:.4g} Å, "
                    f"and a fit keeps 4 eps from it. Give the value, or an eps below "
                    f"{2 * depth / (REACH + FIT_REACH):.4g} Å."
                )

    def named(self, feature: Feature) -> str:
        """A feature as messages name it."""
        return f"{NAMES[min(len(feature), 3) - 1]} {' – '.join(spot(x) for x in self.complex.at(feature))}"

    @staticmethod
    def fit_width(depth: float, s: float) -> float:
        """Standard deviation of the window in which V_ref is fitted."""
        return (depth - REACH * s) / FIT_REACH

    def stretch(self, line: Feature, s: float, rho: float) -> tuple[float, float]:
        """Between which distances from its first point the smoothed box of a line may lie."""
        found, length = self.complex, self.complex.size(line)
        kept = []
        for point in line:
            clear = REACH * s
            (along,) = found.rays(line, point)
            for other, _ in self.apart[line]:
                if point in other and len(other) > 1:
                    angle = self.angle_between(along, other, point)
                    if angle < pi / 2:
                        clear = max(clear, (REACH * s + rho * np.cos(angle)) / max(np.sin(angle), 1e-9))
            kept.append(float(clear))
        return kept[0], length - kept[1]

    def angle_between(self, along: Array, other: Feature, point: int) -> float:
        """Smallest angle between a direction and a line or face that ends in a point."""
        rays = self.complex.rays(other, point)
        nearest = min(acos(float(np.clip(along @ ray, -1, 1))) for ray in rays)
        if len(rays) == 2:
            normal = np.cross(rays[0], rays[1])
            normal = normal / np.linalg.norm(normal)
            flat = along - (along @ normal) * normal
            shares = np.linalg.lstsq(np.array(rays).T, flat, rcond=None)[0]
            if (shares > 0).all():
                nearest = min(nearest, acos(float(np.clip(np.linalg.norm(flat), -1, 1))))
        return nearest

    def room(self, face: Feature, s: float, rho: float) -> tuple[Array, float]:
        """Centre and standard deviation of the window of a face."""
        found = self.complex
        ring = found.rings[face]
        corners, reach = found.at(face), rho + REACH * s
        margins, beside = [], []
        for i, j in zip(ring, ring[1:] + ring[:1], strict=True):
            side = tuple(sorted((i, j)))
            inward = _across(found.at(face), found.points[j] - found.points[i], found.points[i])
            margin = 0.0
            for other, _ in self.apart[face]:
                if len(other) > 2 and found.contains(other, side):
                    away = _across(found.at(other), found.points[j] - found.points[i], found.points[i])
                    angle = acos(float(np.clip(inward @ away, -1, 1)))
                    margin = max(margin, reach / np.tan(angle) if 0 < angle < pi / 2 else 0.0)
                    beside.append(other)
            margins.append(margin)
        centre, radius = largest_disc(corners, np.array(margins))
        room = radius / REACH
        for other, apart in self.apart[face]:
            if apart > 0 or any(found.contains(larger, other) for larger in beside):
                continue
            far = distance(centre[None], found.at(other))
            room = min(room, sqrt(max(0.0, far**2 - reach**2)) / REACH)
        return centre, room

    def windows(self, s: float, rho: float) -> list[SmoothWindow]:
        """One for each fit, then one for each feature from the largest dimension down."""
        found, dimension = self.complex, self.complex.dimension
        windows = []
        for centre, depth in self.depths.values():
            windows.append(SmoothWindow(centre, np.zeros((0, dimension)), self.fit_width(depth, s), "fit", s, rho))
        for feature in self.features:
            here = found.at(feature)
            if len(feature) == 1:
                windows.append(SmoothWindow(here[0], np.zeros((0, dimension)), 0.0, "point", s, rho))
            elif len(feature) == 2:
                low, high = self.stretch(feature, s, rho)
                (along,) = found.rays(feature, feature[0])
                centre = found.points[feature[0]] + (low + high) / 2 * along
                windows.append(SmoothWindow(centre, along[None], (high - low) / 2, "line", s, rho))
            else:
                centre, width = self.room(feature, s, rho)
                along = (here[1] - here[0]) / np.linalg.norm(here[1] - here[0])
                basis = np.array([along, _across(here, along, here[0])])
                windows.append(SmoothWindow(centre, basis, width, "face", s, rho))
        return windows

    def excesses(self, s: float, rho: float, windows: list[SmoothWindow], sums: Array) -> _Run:
        """Fit the references, then go from faces to lines to points."""
        run = _Run({}, *self._references(windows, sums))
        n_fits = len(self.depths)
        moments: dict[Feature, list[float]] = {}
        for feature, window, row in zip(self.features, windows[n_fits:], sums[n_fits:], strict=True):
            moments[feature] = [
                float(row[order]) / window.integral
                - self._of_regions(run, feature, window.centre, order, s, rho)
                - self._of_larger(moments, feature, order, s, rho)
                for order in range(3 if len(feature) > 1 else 1)  # ∫ R, ∫ d² R, ∫ d⁴ R
            ]
            run.excess[feature] = moments[feature][0]
        return run

    def _references(self, windows: list[SmoothWindow], sums: Array) -> tuple[list[float], list[Array]]:
        """V_ref of each region at its centroid, and its gradient: as given, or of the window that it is fitted in."""
        fits = dict(zip(self.depths, range(len(self.depths)), strict=True))
        values, gradients = [], []
        for k, region in enumerate(self.regions):
            reference, centre = region.reference, self.complex.bodies[k].centroid
            gradient = np.zeros(self.complex.dimension)
            if isinstance(reference, str):
                window, row = windows[fits[k]], sums[fits[k]] / windows[fits[k]].integral
                value = float(row[0])
                if reference == LINEAR:
                    gradient = row[1 : 1 + len(gradient)] / window.half**2
                    value += float(gradient @ (centre - window.centre))
            elif isinstance(reference, float):
                value = reference
            else:
                numbers = np.asarray(reference, dtype=np.float64)
                gradient = numbers[1:]
                value = float(numbers[0] + gradient @ centre)
            values.append(value)
            gradients.append(gradient)
        return values, gradients

    def _of_regions(self, run: _Run, feature: Feature, place: Array, order: int, s: float, rho: float) -> float:
        """What a feature's window, times d^(2 order), takes of the regions around it, which are cones there."""
        taken, n = 0.0, self.codimension(feature) - 1 + 2 * order
        for k, (value, gradient) in enumerate(zip(run.values, run.gradients, strict=True)):
            if (value or gradient.any()) and self.complex.holds(k, feature):
                angle, moment = self.complex.cone(k, feature)
                taken += run.level(self.complex, k, place) * angle * radial_moment(s, rho, n)
                taken += float(gradient @ moment) * radial_moment(s, rho, n + 1)
        return taken

    def _of_larger(
        self, moments: Mapping[Feature, list[float]], feature: Feature, order: int, s: float, rho: float
    ) -> float:
        """What it takes of the larger features that end in this one; moments: ∫ R, ∫ t² R, ∫ t⁴ R across those."""
        taken, codimension = 0.0, self.codimension(feature)
        for larger, across in moments.items():
            if len(larger) > len(feature) and self.complex.contains(larger, feature):
                if codimension - self.codimension(larger) == 1:
                    taken += at_end(s, rho, order, across)
                else:
                    taken += at_corner(s, rho, self.complex.angle(larger, feature), across)
        return taken

    def codimension(self, feature: Feature) -> int:
        """1 of a face, 2 of a line, 3 of a point; one less of each in two dimensions."""
        return self.complex.dimension + 1 - min(len(feature), 3)

    def uncertainties(
        self, own: Mapping[Feature, float | None], setting: tuple[float, float]
    ) -> dict[Feature, float | None]:
        """Of each excess: its own with what larger features hand down, which come first."""
        found: dict[Feature, float | None] = {}
        for feature, value in own.items():
            found[feature] = None if value is None else hypot(value, *self._handed_down(feature, setting, found))
        return found

    def _handed_down(
        self, feature: Feature, setting: tuple[float, float], uncertainty: Mapping[Feature, float | None]
    ) -> list[float]:
        """What a wrong excess of larger features makes of this one's: all windows may miss it alike."""
        return [
            (size or 0.0)
            * self.complex.angle(larger, feature)
            * radial_moment(*setting, self.codimension(feature) - self.codimension(larger) - 1)
            for larger, size in uncertainty.items()
            if len(larger) > len(feature) and self.complex.contains(larger, feature)
        ]


def _across(corners: Array, along: Array, start: Array) -> Array:
    """Unit vector in the plane of a face, across a direction, towards its inside."""
    along = along / np.linalg.norm(along)
    inside = corners.mean(axis=0) - start
    inside = inside - (inside @ along) * along
    return np.asarray(inside / np.linalg.norm(inside))
