"""Regions: the macroscopic bodies of a structure, with the faces, lines and points in which they end.

    2D   a region is a simple polygon; it ends in lines and points
    3D   a region is a convex polyhedron, the hull of its corners; it ends in faces, lines and points

Corners that two regions share are one point, and so with lines and faces. Around a feature F of codimension c a region
fills a cone: what an integral over it needs is the cone's angle (1, plane angle, solid angle) and its first moment,
∫ n dΩ over the directions n in it; both are in closed form.

In   Regions: corners in Å, reference value.
Out  Complex: host arrays.

>>> square = Region([[0, 0], [2, 0], [2, 2], [0, 2]])
>>> complex_of([square]).cone(0, (0,))                   # the region at its first corner: angle, moment
(1.5707963267948966, array([1., 1.]))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import acos, atan2, pi, sin
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError

Array = NDArray[np.float64]
Feature = tuple[int, ...]
"""A point (1 index), a line (2, ascending) or a face (3 or more, ascending) by the points in which it ends."""

SAME_POINT = 1e-6
"""Corners nearer than this are one point [Å]."""
CONSTANT, LINEAR = "constant", "linear"


@dataclass(frozen=True, eq=False)
class Region:
    """One body.

    corners    (n, 2) in order around a polygon, or (n, 3) of a convex polyhedron in any order [Å]
    reference  V_ref, the macroscopic field in it, in the field's unit: a number; D + 1 numbers, V at the origin of
               coordinates and its gradient per Å; or "constant", "linear": fitted deep inside
    name       for people

    Raises InputError for corners that are too few, repeated, not finite, or do not span an area or a volume.
    """

    corners: ArrayLike
    reference: float | str | Sequence[float] = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        corners = np.array(self.corners, dtype=np.float64)
        if corners.ndim != 2 or corners.shape[1] not in (2, 3) or len(corners) <= corners.shape[-1]:
            raise InputError(
                f"Region{self._named} with corners of shape {corners.shape}: give at least three corners (x, y) in "
                "order around it, or at least four (x, y, z), in Å."
            )
        if not np.isfinite(corners).all():
            raise InputError(f"Region{self._named} has a corner that is not finite: give positions in Å.")
        apart = np.linalg.norm(corners[:, None] - corners[None], axis=2) + np.eye(len(corners))
        if apart.min() < SAME_POINT:
            i, _ = np.unravel_index(int(np.argmin(apart)), apart.shape)
            raise InputError(f"Region{self._named} has the corner {spot(corners[i])} twice: give it once.")
        reference: Any = self.reference
        if isinstance(reference, str):
            if reference not in (CONSTANT, LINEAR):
                raise InputError(
                    f'Region{self._named} with reference "{reference}": give a number, D + 1 numbers, "constant" or '
                    '"linear".'
                )
        else:
            numbers = np.atleast_1d(np.asarray(reference, dtype=np.float64))
            if numbers.shape not in ((1,), (corners.shape[1] + 1,)) or not np.isfinite(numbers).all():
                raise InputError(
                    f"Region{self._named} with reference {reference}: give one number, or {corners.shape[1] + 1}: the "
                    "value at the origin and its gradient."
                )
            reference = float(numbers[0]) if len(numbers) == 1 else tuple(float(x) for x in numbers)
        corners.flags.writeable = False
        object.__setattr__(self, "corners", corners)
        object.__setattr__(self, "reference", reference)

    @property
    def _named(self) -> str:
        return f' "{self.name}"' if self.name else ""


def box_region(low: Sequence[float], high: Sequence[float], reference: float | str = 0.0, name: str = "") -> Region:
    """A rectangle or a cuboid along the coordinates, from two opposite corners [Å]; reference and name as in Region.

    >>> box_region((0, 0), (3, 2)).corners.tolist()
    [[0.0, 0.0], [3.0, 0.0], [3.0, 2.0], [0.0, 2.0]]
    """
    (x0, y0), (x1, y1) = low[:2], high[:2]
    around = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    if len(low) == 3:
        around = [[*corner, z] for z in (low[2], high[2]) for corner in around]
    return Region(around, reference, name)


def spot(point: ArrayLike) -> str:
    """A position as messages name it.

    >>> spot([1.0, 2.5])
    '(1, 2.5)'
    """
    return f"({', '.join(f'{x:.5g}' for x in np.asarray(point, dtype=np.float64))})"


@dataclass(frozen=True, eq=False)
class Body:
    """A region in a Complex.

    around   2D: its points, counterclockwise
    faces    3D: the points of each face, counterclockwise from outside, and its inward normal
    size     area or volume
    centroid (D,)
    """

    around: tuple[int, ...]
    faces: tuple[tuple[tuple[int, ...], Array], ...]
    size: float
    centroid: Array

    @property
    def points(self) -> set[int]:
        """All its points."""
        return set(self.around) | {i for face, _ in self.faces for i in face}


@dataclass(frozen=True, eq=False)
class Complex:
    """Points, and what ends in them.

    points    (n, D) [Å]
    features  by dimension: points, lines, and in 3D faces
    bodies    one for each region
    rings     the points of each face in order around it
    """

    points: Array
    features: tuple[tuple[Feature, ...], ...]
    bodies: tuple[Body, ...]
    rings: dict[Feature, tuple[int, ...]]

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return self.points.shape[1]

    def at(self, feature: Feature) -> Array:
        """(n, D) its points, in order around it."""
        return self.points[list(self.rings.get(feature, feature))]

    def size(self, feature: Feature) -> float:
        """1, length or area [Å, Å^2]."""
        here = self.at(feature)
        if len(here) == 1:
            return 1.0
        if len(here) == 2:
            return float(np.linalg.norm(here[1] - here[0]))
        return float(np.linalg.norm(np.cross(here[1:-1] - here[0], here[2:] - here[0]).sum(axis=0)) / 2)

    def holds(self, body: int, feature: Feature) -> bool:
        """True if the feature is one of those in which the region ends."""
        ring = self.bodies[body].around
        if self.dimension == 2:
            return self._in_ring(ring, feature)
        return any(self._in_ring(face, feature) for face, _ in self.bodies[body].faces)

    @staticmethod
    def _in_ring(ring: tuple[int, ...], feature: Feature) -> bool:
        if len(feature) == 2:
            return feature in {_sorted(pair) for pair in zip(ring, ring[1:] + ring[:1], strict=True)}
        return feature[0] in ring if len(feature) == 1 else feature == _sorted(ring)

    def contains(self, larger: Feature, feature: Feature) -> bool:
        """True if the feature is the larger one, or one of those in which that ends."""
        if larger == feature:
            return True
        if len(larger) <= 2:
            return len(feature) == 1 and feature[0] in larger
        return self._in_ring(self.rings[larger], feature)

    def angle(self, larger: Feature, feature: Feature) -> float:
        """Angle that a line or face fills around a feature in which it ends: 1 where that is one dimension less."""
        if len(larger) == 2 or len(feature) == 2:
            return 1.0
        first, second = self.rays(larger, feature[0])
        return acos(float(np.clip(first @ second, -1, 1)))

    def rays(self, larger: Feature, point: int) -> tuple[Array, ...]:
        """Unit vectors from a point along the sides of a face, or along a line."""
        if len(larger) == 2:
            (other,) = (i for i in larger if i != point)
            return (_unit(self.points[other] - self.points[point]),)
        ring = self.rings[larger]
        k = ring.index(point)
        around = (ring[(k + 1) % len(ring)], ring[k - 1])
        return tuple(_unit(self.points[i] - self.points[point]) for i in around)

    def cone(self, body: int, feature: Feature) -> tuple[float, Array]:
        """Angle and first moment of the cone that a region fills around a feature in which it ends."""
        points, here = self.points, self.bodies[body]
        if self.dimension == 2:
            ring = here.around
            if len(feature) == 2:
                i, j = next(p for p in zip(ring, ring[1:] + ring[:1], strict=True) if _sorted(p) == feature)
                along = _unit(points[j] - points[i])
                return 1.0, np.array([-along[1], along[0]])
            k = ring.index(feature[0])
            ahead, behind = (points[ring[(k + step) % len(ring)]] - points[ring[k]] for step in (1, -1))
            low = atan2(ahead[1], ahead[0])
            high = low + (atan2(behind[1], behind[0]) - low) % (2 * pi)
            moment = np.array([np.sin(high) - np.sin(low), np.cos(low) - np.cos(high)])
            return high - low, np.where(abs(moment) < 1e-15, 0.0, moment)
        own = [(face, normal) for face, normal in here.faces if self._in_ring(face, feature)]
        if len(feature) > 2:
            return 1.0, own[0][1]
        if len(feature) == 2:
            along = _unit(points[feature[1]] - points[feature[0]])
            inward = []
            for face, _ in own:
                inside = points[list(face)].mean(axis=0) - points[feature[0]]
                inward.append(_unit(inside - (inside @ along) * along))
            between = acos(float(np.clip(inward[0] @ inward[1], -1, 1)))
            return between, 2 * sin(between / 2) * _unit(inward[0] + inward[1])
        moment, total = np.zeros(3), 0.0
        inside = _unit(here.centroid - points[feature[0]])
        for face, normal in own:
            first, second = self.rays(_sorted(face), feature[0])
            moment += 0.5 * acos(float(np.clip(first @ second, -1, 1))) * normal
            # solid angle of the triangle of the two sides and a direction inside (Van Oosterom and Strackee)
            triple = abs(float(inside @ np.cross(first, second)))
            total += 2 * atan2(triple, 1 + float(inside @ first + inside @ second + first @ second))
        return total, moment

    def deepest(self, body: int) -> tuple[Array, float]:
        """The point of a region that is farthest from its faces (lines), and how far."""
        here = self.bodies[body]
        if self.dimension == 3:
            normals = np.array([normal for _, normal in here.faces])
            starts = self.points[[face[0] for face, _ in here.faces]]
            return _largest_ball(normals, np.einsum("ij,ij->i", normals, starts), np.zeros(len(normals)))
        corners = self.points[list(here.around)]
        low, high = corners.min(axis=0), corners.max(axis=0)
        best, depth = corners.mean(axis=0), 0.0
        for _ in range(4):  # a grid over the polygon, then finer ones around the best point
            axes = [np.linspace(a, b, 61) for a, b in zip(low, high, strict=True)]
            tried = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
            found = np.where(inside_polygon(tried, corners), to_polygon(tried, corners), 0.0)
            if found.max() > depth:
                best, depth = tried[int(np.argmax(found))], float(found.max())
            step = np.array([axis[1] - axis[0] for axis in axes])
            low, high = best - 1.5 * step, best + 1.5 * step
        return best, depth


def _sorted(indices: Sequence[int]) -> Feature:
    return tuple(sorted(indices))


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)


def _largest_ball(normals: Array, levels: Array, margins: Array) -> tuple[Array, float]:
    """Centre and radius of the largest ball with normals · x - levels >= radius + margins."""
    from scipy.optimize import linprog

    n = normals.shape[1]
    found = linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=np.hstack([-normals, np.ones((len(normals), 1))]),
        b_ub=-(levels + margins),
        bounds=[(None, None)] * (n + 1),
    )
    return np.asarray(found.x[:n]), float(found.x[n])


def largest_disc(corners: Array, margins: Array) -> tuple[Array, float]:
    """Centre and radius of the largest disc in a convex face of 3D that keeps an extra margin from each of its sides.

    corners  (n, 3) in order around the face
    margins  (n,) of the sides from corner i to i + 1
    """
    along = _unit(corners[1] - corners[0])
    normal = _unit(np.cross(corners[1] - corners[0], corners[2] - corners[0]))
    basis = np.array([along, np.cross(normal, along)])
    flat = (corners - corners[0]) @ basis.T
    sides = np.roll(flat, -1, axis=0) - flat
    normals = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1)[:, None]
    centre, radius = _largest_ball(normals, np.einsum("ij,ij->i", normals, flat), margins)
    return corners[0] + centre @ basis, radius


def inside_polygon(points: Array, corners: Array) -> NDArray[np.bool_]:
    """Which of the points (n, 2) lie in a polygon: an odd number of its sides above each."""
    inside = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if x0 == x1:
            continue
        between = (x0 <= points[:, 0]) != (x1 <= points[:, 0])
        inside ^= between & (points[:, 1] < y0 + (points[:, 0] - x0) * (y1 - y0) / (x1 - x0))
    return inside


def to_polygon(points: Array, corners: Array) -> Array:
    """(n,) distance of points (n, 2) from the nearest side of a polygon."""
    nearest = np.full(len(points), np.inf)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = end - start
        t = np.clip((points - start) @ along / (along @ along), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - start - t[:, None] * along, axis=1))
    return nearest


def distance(first: Array, second: Array) -> float:
    """Distance between the convex hulls of two sets of points.

    >>> round(distance(np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.5, 2.0]])), 6)
    2.0
    """
    from scipy.optimize import nnls

    centre = first[0]
    scale = max(float(np.abs(first - centre).max()), float(np.abs(second - centre).max()), 1e-9)
    weight = 1e4
    columns = np.hstack([(first - centre).T, -(second - centre).T]) / scale
    ones = np.zeros((2, len(first) + len(second)))
    ones[0, : len(first)] = ones[1, len(first) :] = weight
    shares, _ = nnls(np.vstack([columns, ones]), np.append(np.zeros(len(columns)), [weight, weight]))
    return float(np.linalg.norm(columns @ shares) * scale)


def complex_of(regions: Sequence[Region]) -> Complex:
    """The complex of regions, whose shared corners, lines and faces become one.

    Raises InputError for no region, for regions of 2D among those of 3D, for polygons without area or that cross
    themselves, for corners of a polyhedron that are not corners of its hull, and for regions that overlap.
    """
    if not regions:
        raise InputError("No regions: give at least one, whose edges and corners are looked at.")
    dimensions = {np.shape(region.corners)[1] for region in regions}
    if len(dimensions) > 1:
        raise InputError("Regions of two and of three dimensions: give all corners as (x, y) or all as (x, y, z).")
    points: list[Array] = []

    def index(corner: Array) -> int:
        for i, known in enumerate(points):
            if np.linalg.norm(known - corner) < SAME_POINT:
                return i
        points.append(corner)
        return len(points) - 1

    make = _polygon if dimensions == {2} else _polyhedron
    bodies = []
    for number, region in enumerate(regions, 1):
        name = region.name or str(number)
        corners = np.asarray(region.corners, dtype=np.float64)
        bodies.append(make(corners, [index(corner) for corner in corners], name))
    rings = {_sorted(face): face for body in bodies for face, _ in body.faces}
    around = [body.around for body in bodies] if dimensions == {2} else list(rings.values())
    lines = sorted({_sorted(pair) for ring in around for pair in zip(ring, ring[1:] + ring[:1], strict=True)})
    features: tuple[tuple[Feature, ...], ...] = (tuple((i,) for i in range(len(points))), tuple(lines))
    if dimensions == {3}:
        features = (*features, tuple(sorted(rings)))
    found = Complex(np.array(points), features, tuple(bodies), rings)
    _refuse_overlap(found, regions)
    return found


def _polygon(corners: Array, indices: list[int], name: str) -> Body:
    after = np.roll(corners, -1, axis=0)
    crosses = corners[:, 0] * after[:, 1] - corners[:, 1] * after[:, 0]
    area = float(crosses.sum()) / 2
    for i in range(len(corners)):
        for j in range(i + 2, len(corners) - (i == 0)):
            if distance(corners[[i, i + 1]], corners[[j, (j + 1) % len(corners)]]) < SAME_POINT:
                raise InputError(
                    f"Region {name} crosses or touches itself at the sides from {spot(corners[i])} and "
                    f"{spot(corners[j])}: give its corners in order around it."
                )
    if abs(area) < SAME_POINT * float(np.ptp(corners, axis=0).max()):
        raise InputError(f"Region {name} has no area: give corners that are not on one line.")
    centroid = ((corners + after) * crosses[:, None]).sum(axis=0) / (6 * area)
    return Body(tuple(indices if area > 0 else indices[::-1]), (), abs(area), centroid)


def _polyhedron(corners: Array, indices: list[int], name: str) -> Body:
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(corners)
    except QhullError:
        raise InputError(f"Region {name} has no volume: give corners that are not in one plane.") from None
    size = float(np.abs(corners).max())
    planes: list[Array] = []
    for plane in hull.equations:
        if not any(np.allclose(plane, known, atol=1e-7 * (1 + size)) for known in planes):
            planes.append(plane)
    faces = []
    for *normal, level in planes:
        out = np.array(normal)
        (members,) = np.nonzero(np.abs(corners @ out + level) < SAME_POINT * (1 + size))
        middle = corners[members].mean(axis=0)
        first = _unit(corners[members[0]] - middle)
        second = np.cross(out, first)
        turned = np.arctan2((corners[members] - middle) @ second, (corners[members] - middle) @ first)
        ring = tuple(indices[i] for i in members[np.argsort(turned)])
        faces.append((ring, -out))
    straight = [k for k, i in enumerate(indices) if sum(i in ring for ring, _ in faces) < 3]
    if straight:
        raise InputError(
            f"Region {name}: {spot(corners[straight[0]])} is no corner of the hull of its corners. Give convex "
            "regions by their corners alone, and others as several convex ones."
        )
    inner = corners.mean(axis=0)
    volume, centroid = 0.0, np.zeros(3)
    for simplex in hull.simplices:
        a, b, c = corners[simplex] - inner
        part = abs(float(a @ np.cross(b, c))) / 6
        volume += part
        centroid += part * (a + b + c) / 4
    return Body((), tuple(faces), volume, inner + centroid / volume)


def _refuse_overlap(found: Complex, regions: Sequence[Region]) -> None:
    for i, first in enumerate(found.bodies):
        for j in range(i):
            if _overlap(found, first, found.bodies[j]):
                one, other = (regions[k].name or str(k + 1) for k in (j, i))
                raise InputError(
                    f"Regions {one} and {other} overlap: what lies in both would count twice. Give regions that meet "
                    "in whole lines or points at most."
                )


def _overlap(found: Complex, first: Body, second: Body) -> bool:
    if found.dimension == 3:
        faces = [*first.faces, *second.faces]
        normals = np.array([normal for _, normal in faces])
        starts = found.points[[face[0] for face, _ in faces]]
        return _largest_ball(normals, np.einsum("ij,ij->i", normals, starts), np.zeros(len(faces)))[1] > SAME_POINT
    one, two = (found.points[list(body.around)] for body in (first, second))
    for these, corners in ((one, two), (two, one)):
        tried = np.concatenate([these, (these + np.roll(these, -1, axis=0)) / 2])
        if (inside_polygon(tried, corners) & (to_polygon(tried, corners) > SAME_POINT)).any():
            return True
    if first.points == second.points:
        return True
    for a, b in zip(one, np.roll(one, -1, axis=0), strict=True):
        for c, d in zip(two, np.roll(two, -1, axis=0), strict=True):
            sides = [_turn(a, b, c) * _turn(a, b, d), _turn(c, d, a) * _turn(c, d, b)]
            if max(sides) < -SAME_POINT:
                return True
    return False


def _turn(a: Array, b: Array, c: Array) -> float:
    """Distance of c to the left of the line from a to b."""
    along = b - a
    return float(along[0] * (c - a)[1] - along[1] * (c - a)[0]) / float(np.linalg.norm(along))
