"""A cylinder on a grid: planes along its axis, padded where they are open, and the disc that it cuts out of each.

    ρ̄(x, s; R) = mean of ρ over |u| < R about s in the plane x,   mode g times 2 J1(gR)/(gR)                eq. 69

In   Grid, axis, radius, half width of a soft edge [Å].
Out  Cylinder: its geometry, and values averaged over discs on the slabs of their field.

>>> cylinder = Cylinder(Grid((4, 4, 8), np.diag([4.0, 4.0, 4.0]), boundary=("open", "open", "open")), 2, 3.0, 0.0)
>>> cylinder.step, cylinder.padded, cylinder.leans
(0.5, (8, 8), False)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, isfinite
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used

from ...errors import InputError
from ...fft import Multiplier, OfWavevector, filtered
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, Grid
from ...parallel import Slab, transpose
from ...parallel.exchange import at as at_planes
from .cylinder_kernel import Array, disc_average_factor

ON_PLANE = 1e-6
"""How far from a plane a position may be, in plane spacings."""


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
        for axis, n in zip(self.in_plane, self.padded, strict=True):
            if n > whole.shape[axis]:
                whole = field.device.pad(whole, axis, 0, n)
        reciprocal = self.grid.reciprocal.copy()
        shape = list(self.grid.shape)
        for axis, n in zip(self.in_plane, self.padded, strict=True):
            reciprocal[axis] *= self.grid.shape[axis] / n
            shape[axis] = n
        unit = self.grid.normal(self.normal)
        rows = reciprocal - np.outer(reciprocal @ unit, unit)
        disc = OfWavevector(rows, lambda k: disc_average_factor(k, self.radius, self.edge))
        multiplier = Multiplier((shape[0], shape[1], shape[2]), [disc])
        (averaged,) = filtered(field.device, whole, multiplier, slab=slab, comm=field.comm)
        for axis, n in zip(self.in_plane, self.shape, strict=True):
            averaged = averaged[at_planes(axis, slice(0, n))]
        return as_split(field, slab, field.device.compact(averaged))


def planes_whole(field: Field, normal: int) -> tuple[Any, Slab]:
    """Values in slabs of the normal, so that each rank has whole planes."""
    n = field.grid.shape[normal]
    return transpose(field.comm, field.device, field.slab, field.values, normal, n)


def as_split(field: Field, slab: Slab, values: Any) -> Any:
    """The way back, to the slabs of the field."""
    if field.comm.size == 1:
        return values
    return transpose(field.comm, field.device, slab, values, field.slab.axis, field.slab.n)[0]
