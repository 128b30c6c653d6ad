"""A cylinder on a grid: planes along its axis, padded where they are open, and the disc that it cuts out of each.

    ρ̄(x, s; R) = mean of ρ over |u| < R about s in the plane x,   mode g times 2 J1(gR)/(gR)                eq. 69

In   Grid, axis, radius, half width of a soft edge [Å].
Out  Cylinder: its geometry, and values averaged over discs on the slabs of their field.

>>> cylinder = Cylinder(Grid((4, 4, 8), np.diag([4.0, 4.0, 4.0]), boundary=("open", "open", "open")), 2, 3.0, 0.0)
>>> cylinder.step, cylinder.padded, cylinder.leans
(0.5, (8, 8), False)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, isfinite, pi
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...fft import Multiplier, OfWavevector, convolved
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, Grid
from ...parallel import Slab, transpose
from ...parallel.exchange import at as at_planes
from ...streaming import Unread, together
from ..averages.ways import line_power
from ..profiles.bulk import FACE_LEVEL
from .cylinder_kernel import Array, disc_average_factor
from .cylinder_table import gregory_weights, source_weights
from .poisson import longest_vacuum, plane_magnitudes

ON_PLANE = 1e-3
"""How far from a plane a position may be, in plane spacings."""


GREGORY = 3
"""Order of Gregory's end weights (3/8, 7/6, 23/24)."""
SMOOTH = 1.5e-5
"""Largest mode beyond half the highest wavevector, over the largest of all, of layers as wide as three spacings."""


@dataclass(frozen=True, eq=False)
class Cylinder:
    """A cylinder on a grid: its planes, padded on open axes, and its disc."""

    grid: Grid
    normal: int
    radius: float
    edge: float

    def check(self) -> None:
        """InputError for a disc that is none or that the grid does not resolve."""
        R = self.radius
        if not (isfinite(R) and R > 0):
            raise InputError(f"Cylinder of radius {R:g} Å: give a positive, finite radius.")
        if not 0 <= self.edge < R:
            raise InputError(f"Edge of ± {self.edge:g} Å of a disc of radius {R:g} Å: give 0 or a length below it.")
        h = float(max(self.row_steps))
        if self.radius < 2 * h * (1 - 1e-12) and max(self.shape) > 1:
            raise InputError(
                f"R = {R:g} Å < 2 h, h = {h:.4g} Å in the planes of {AXIS_NAMES[self.normal]}: disc not resolved. "
                "Take a wider cylinder or a finer grid."
            )
        if self.leans and OPEN in [self.grid.boundary[i] for i in self.in_plane]:
            raise InputError(
                f"Axis {AXIS_NAMES[self.normal]} leans on its planes, which are open: use an upright cell, or planes "
                "that are periodic."
            )

    def facts(self) -> dict[str, Any]:
        """For provenance."""
        return {"radius": self.radius, "edge": self.edge}

    @cached_property
    def in_plane(self) -> list[int]:
        """The other two axes."""
        return [i for i in range(3) if i != self.normal]

    @property
    def order_of_axes(self) -> tuple[int, int, int]:
        """Planes first."""
        return self.normal, self.in_plane[0], self.in_plane[1]

    @cached_property
    def step(self) -> float:
        """Distance of the planes [Å]."""
        return self.grid.plane_spacing(self.normal)

    @property
    def n(self) -> int:
        """Planes."""
        return self.grid.shape[self.normal]

    @property
    def shape(self) -> tuple[int, int]:
        """Points of a plane."""
        return self.grid.shape[self.in_plane[0]], self.grid.shape[self.in_plane[1]]

    @property
    def vectors(self) -> Array:
        """(2, 3) lattice vectors of the plane [Å]."""
        return np.asarray(self.grid.cell[self.in_plane])

    @property
    def row_steps(self) -> list[float]:
        """Distances of neighbouring rows of points in the plane, along either axis [Å]; 0 for a single row."""
        area = self.grid.area(self.normal)
        one, two = np.linalg.norm(self.vectors, axis=1)
        heights = (area / two, area / one)
        return [float(height / n) if n > 1 else 0.0 for height, n in zip(heights, self.shape, strict=True)]

    @cached_property
    def padded(self) -> tuple[int, int]:
        """Points of a plane with zeros for the reach of the disc on open axes."""
        area, (one, two) = self.grid.area(self.normal), np.linalg.norm(self.vectors, axis=1)
        out = []
        for axis, n, height in zip(self.in_plane, self.shape, (area / two, area / one), strict=True):
            reach = ceil((self.radius + self.edge) / (height / n))
            out.append(scipy.fft.next_fast_len(n + reach, real=True) if self.grid.boundary[axis] == OPEN else n)
        return out[0], out[1]

    @property
    def padded_vectors(self) -> Array:
        """(2, 3) vectors of the padded plane [Å]."""
        stretch = np.array(self.padded) / np.array(self.shape)
        return np.asarray(self.vectors * stretch[:, None])

    @cached_property
    def lean(self) -> Array:
        """(2,) by which fraction of the plane's vectors each plane is moved against the one before."""
        along = self.grid.cell[self.normal] / self.n
        unit = self.grid.normal(self.normal)
        aside = along - (along @ unit) * unit
        return np.asarray(np.linalg.lstsq(self.vectors.T, aside, rcond=None)[0])

    @property
    def leans(self) -> bool:
        """True if planes are not right above one another."""
        return bool(np.abs(self.lean * self.n).max() > 1e-9)

    def plane_at(self, x: float) -> int | None:
        """The plane at a distance from the first one, None if there is none."""
        place = x / self.step
        plane = round(place)
        return plane if abs(place - plane) < ON_PLANE and 0 <= plane < self.n else None

    def disc_filtered(self, field: Field) -> Any:
        """Values averaged over discs, on the field's slabs."""
        whole, slab = planes_whole(field, self.normal)
        reciprocal = self.grid.reciprocal.copy()
        shape = list(whole.shape)
        for axis, n in zip(self.in_plane, self.padded, strict=True):
            reciprocal[axis] *= self.grid.shape[axis] / n
            shape[axis] = n
        unit = self.grid.normal(self.normal)
        rows = reciprocal - np.outer(reciprocal @ unit, unit)
        disc = OfWavevector(rows, Disc(self.radius, self.edge).factor)
        multiplier = Multiplier((shape[0], shape[1], shape[2]), [disc])
        (averaged,) = convolved(field.device, whole, multiplier, largest=field.largest_of(whole))
        return as_split(field, slab, averaged)


@dataclass(frozen=True)
class Disc:
    """A disc of a radius, with a soft edge of a half width."""

    radius: float
    edge: float

    def factor(self, k: Array) -> Array:
        """What the average over it multiplies modes by."""
        return disc_average_factor(k, self.radius, self.edge)


def planes_whole(field: Field, normal: int) -> tuple[Any, Slab]:
    """Values in slabs of the normal, so that each rank has whole planes."""
    n = field.grid.shape[normal]
    return transpose(field.comm, field.device, field.slab, field.values, normal, n)


def as_split(field: Field, slab: Slab, values: Any) -> Any:
    """The way back, to the slabs of the field."""
    if field.comm.size == 1:
        return values
    return transpose(field.comm, field.device, slab, values, field.slab.axis, field.slab.n)[0]


def stretch_of(
    field: Field, cylinder: Cylinder, x_low: float | None, x_high: float | None, order: int | None
) -> tuple[int, int, int]:
    """First and last plane that counts, and the order of the end weights; InputError where an end cuts matter."""
    normal, grid = cylinder.normal, field.grid
    cut = grid.boundary[normal] != OPEN and (x_low is None or x_high is None)
    power, magnitudes = _power_and_magnitudes(field, normal, order is None, cut)
    ends = [0, cylinder.n - 1]
    for number, (name, x) in enumerate((("x_low", x_low), ("x_high", x_high))):
        if x is not None:
            ends[number] = _on_plane(cylinder, float(x), name)
        elif cut and magnitudes[ends[number]] > FACE_LEVEL * magnitudes.max():
            raise InputError(
                f"The boundary of the cell cuts matter along {AXIS_NAMES[normal]}: the mean |ρ| there is "
                f"{magnitudes[ends[number]] / magnitudes.max():.1%} of the densest plane's. Give x_low=… and x_high=…"
                f"{_or_cut(magnitudes, AXIS_NAMES[normal])}."
            )
    if ends[0] >= ends[1] and cylinder.n > 1:
        raise InputError(f"x_low = {x_low} Å is not below x_high = {x_high} Å: give two planes in order.")
    _refuse_open_faces(field, cylinder)
    if order is None:
        smooth = len(power) > 4 and power[len(power) // 2 :].max() < SMOOTH**2 * power.max()
        order = GREGORY if smooth else 1
    elif not 1 <= order <= 12:
        raise InputError(f"end_weights = {order}: they have an order from 1 (trapezoid) to 12.")
    return ends[0], ends[1], order


def _or_cut(magnitudes: Array, name: str) -> str:
    """What else may be done about matter at the boundary, where there is a vacuum."""
    if longest_vacuum(magnitudes)[1]:
        return f", or cut the cell in its vacuum, gh.cut_in_vacuum(field, {name!r})"
    return f": there is no vacuum along {name} in which the cell could be cut"


def _power_and_magnitudes(field: Field, normal: int, with_power: bool, with_magnitudes: bool) -> tuple[Array, Array]:
    """Power along the normal of lines, and Σ|ρ| of planes: both show what sums over planes may hide; or nothing."""
    works: list[Callable[[], Array]] = []
    if with_power:
        works += [lambda: field.plane_sums(normal), lambda: line_power(field, normal)]
    if with_magnitudes:
        works.append(lambda: plane_magnitudes(field, normal))
    found = together(field.values, *works) if works else []
    if with_power:
        found[1][0] = (found[0].sum() / field.grid.points_per_plane(normal)) ** 2
    return found[1] if with_power else np.zeros(0), found[-1] if with_magnitudes else np.zeros(0)


def _on_plane(cylinder: Cylinder, x: float, name: str) -> int:
    plane = cylinder.plane_at(x) if isfinite(x) else None
    if plane is None:
        h, n = cylinder.step, cylinder.n
        near = int(np.clip(np.floor(x / h), 0, n - 1)) if isfinite(x) else 0
        nearest = " and ".join(f"{plane * h:.6f}" for plane in sorted({near, min(near + 1, n - 1)}))
        raise InputError(
            f"{name} = {x:.6g} Å is not on a plane of {AXIS_NAMES[cylinder.normal]}, where sums over planes end: "
            f"nearest, {nearest} Å."
        )
    return plane


def _refuse_open_faces(field: Field, cylinder: Cylinder) -> None:
    """InputError where charge reaches an open face of the planes: what it would go on to is missing."""
    if isinstance(field.values, Unread):
        return
    low, high = field.extrema()
    largest = max(abs(low), abs(high))
    for axis in cylinder.in_plane:
        if field.grid.boundary[axis] != OPEN:
            continue
        found = 0.0
        for plane in (0, field.grid.shape[axis] - 1):
            here = plane
            if field.slab.axis == axis:
                here = plane - field.slab.start if field.slab.start <= plane < field.slab.stop else -1
            if here >= 0 and field.values.size:
                ends = field.device.extrema(field.device.compact(field.values[at_planes(axis, slice(here, here + 1))]))
                found = max(found, abs(ends[0]), abs(ends[1]))
        found = max(field.comm.gather(found))
        if found > FACE_LEVEL * largest:
            raise InputError(
                f"Open box too small: L = {field.grid.lengths[axis]:.4g} Å along {AXIS_NAMES[axis]}, need room for "
                f"all charge, but on a face of it |ρ| is {found / largest:.1%} of its maximum."
            )


def places_of(cylinder: Cylinder, at: ArrayLike, first: int, last: int) -> tuple[NDArray[np.int64], Array | None]:
    """The planes of what was asked for, one each, and the points or None; InputError for places off the planes."""
    places = np.asarray(at, dtype=np.float64)
    if not np.isfinite(places).all() or places.size == 0:
        raise InputError("at: give positions x_b in Å, or (m, 3) points in Å, all finite.")
    points = None
    if places.ndim <= 1:
        x = np.atleast_1d(places)
    elif places.ndim == 2 and places.shape[1] == 3:
        points = places
        fractions = cylinder.grid.fractional(points)
        x = fractions[:, cylinder.normal] * cylinder.grid.height(cylinder.normal)
        for axis, n in zip(cylinder.in_plane, cylinder.shape, strict=True):
            if cylinder.grid.boundary[axis] == OPEN:
                outside = (fractions[:, axis] < -1e-9) | (fractions[:, axis] > (n - 1) / n + 1e-9)
                if outside.any():
                    raise InputError(
                        f"Point {points[outside][0].tolist()} Å lies outside the open box along {AXIS_NAMES[axis]}."
                    )
    else:
        raise InputError(f"at of shape {places.shape}: give positions x_b in Å, or (m, 3) points in Å.")
    planes = np.array([_on_plane(cylinder, float(one), "x_b") for one in x], dtype=np.int64)
    for plane in planes:
        if not first <= plane <= last:
            h = cylinder.step
            raise InputError(
                f"x_b = {h * plane:.6g} Å lies outside [{h * first:.6g}, {h * last:.6g}] Å: choose it inside."
            )
    return planes, points


def end_weights(order: int, first: int, last: int, n: int) -> tuple[Array, Array]:
    """End weights next to x_b, and (2, n) weights of the planes: zero beyond first and last."""
    ends = gregory_weights(order)
    source = np.zeros((2, n))
    source[:, first : last + 1] = source_weights(ends, last - first + 1)
    return ends, source


def phases_of(shape: tuple[int, int], u: float, v: float) -> NDArray[np.complex128]:
    """(n_1, n_2//2 + 1) e^{ig·s} at fractions of the plane's vectors; the mean over both signs of a mode N/2."""
    n1, n2 = shape
    first = np.exp(2j * pi * u * np.fft.fftfreq(n1, 1 / n1))
    second = np.exp(2j * pi * v * np.fft.rfftfreq(n2, 1 / n2))
    if n1 % 2 == 0:
        first[n1 // 2] = first[n1 // 2].real
    if n2 % 2 == 0:
        second[-1] = second[-1].real
    return np.asarray(np.multiply.outer(first, second))


def phases_at(shape: tuple[int, int], u: float, v: float) -> NDArray[np.complex128]:
    """What the half spectrum of a plane is summed with for its value at a point."""
    phases = phases_of(shape, u, v) / (shape[0] * shape[1])
    phases[:, 1 : (shape[1] + 1) // 2] *= 2  # opposite modes are not stored
    return phases
