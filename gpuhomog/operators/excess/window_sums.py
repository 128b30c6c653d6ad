"""Window sums: smooth weights about points, lines and faces, summed over the grid in the coordinates of corners.

    w = A(t) W(d),   W(d) = erfc((d - ρ)/(√2 s))/2       d from the feature, t along it; A as lines_and_points.py has it

What a window takes of a larger feature is a closed form: radial_moment, at_end, at_corner.

In   Field; windows.
Out  ∫ w ν, ∫ w ν d² and ∫ w ν d⁴, or first moments, in the field's unit times Å^D, host, equal on every rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import product
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...device import Device, choose_device
from ...field import Field
from ...grid import AXIS_NAMES, PERIODIC, axis_index
from ...parallel import Slab
from ...parallel.exchange import at
from ...reduction import JOIN, PLANES_AT_ONCE, SUM, Arrays, Reduction
from ..profiles.unrolled import BANDLIMITED, CELL

Array = NDArray[np.float64]

REACH = 8.0
"""A smoothed edge of a window is over after this many s: erfc there is below rounding."""


@dataclass(frozen=True, eq=False)
class SmoothWindow:
    """Weight of one feature.

    centre  (D,)
    basis   (m, D) orthonormal, along the feature; of a fit none
    half    half of the smoothed box along a line; standard deviation along a face, or of a fit in all directions
    kind    "point", "line", "face" or "fit"
    """

    centre: Array
    basis: Array
    half: float
    kind: str
    s: float
    rho: float

    @property
    def integral(self) -> float:
        """∫_F w."""
        if self.kind == "line":
            return 2 * self.half
        if self.kind == "face":
            return 2 * pi * self.half**2
        return (sqrt(2 * pi) * self.half) ** len(self.centre) if self.kind == "fit" else 1.0

    def half_extent(self, direction: Array) -> float:
        """How far it reaches along a vector, times that vector's length."""
        if self.kind == "fit":
            return float(np.linalg.norm(direction)) * REACH * self.half
        along = self.basis @ direction
        across = sqrt(max(0.0, float(direction @ direction - along @ along)))
        reach = self.half + REACH * self.s if self.kind == "line" else (REACH + 1) * self.half
        return float(np.linalg.norm(along)) * reach + across * (self.rho + REACH * self.s)

    def numbers(self) -> list[float]:
        """As device.smooth_sums takes it."""
        centre, basis = np.zeros(3), np.zeros((2, 3))
        centre[: len(self.centre)] = self.centre
        basis[: len(self.basis), : len(self.centre)] = self.basis
        kind = ("point", "line", "face", "fit").index(self.kind)
        return [float(kind), self.half, self.s, self.rho, *centre.tolist(), *basis.ravel().tolist()]


def radial_moment(s: float, rho: float, n: int) -> float:
    """∫ W r^n dr, of negative n but -1 its part from the edge: ρ^(n + 1)/(n + 1), averaged over where the edge lies."""
    power, total, term = n + 1, 0.0, 1.0
    for j in range(4):  # all of a polynomial up to n = 6; of s/ρ <= 1/8 enough for any other
        total += term
        term *= (power - 2 * j) * (power - 2 * j - 1) / (2 * (j + 1)) * (s / rho) ** 2
    return total * rho**power / power


def at_end(s: float, rho: float, order: int, moments: Sequence[float]) -> float:
    """What a window, times d^(2 order), takes of a larger feature that ends in its own: face at line, line at point.

    moments  ∫ R, ∫ t² R and ∫ t⁴ R across the larger feature, t from it

    The powers of t up to the fourth of ∫ W(√(t² + v²)) (t² + v²)^order dv, v > 0.
    """
    zeroth, second, fourth = moments
    n = 2 * order
    return (
        zeroth * radial_moment(s, rho, n)
        + second * radial_moment(s, rho, n - 2) / 2
        + 3 * fourth * radial_moment(s, rho, n - 4) / 8
    )


def at_corner(s: float, rho: float, angle: float, moments: Sequence[float]) -> float:
    """What the window of a point takes of a face with this angle there: ∫ W(√(t² + v²)) v dv falls by t²/2, no more."""
    return angle * (moments[0] * radial_moment(s, rho, 1) - moments[1] / 2)


@dataclass(frozen=True, eq=False)
class Lattice:
    """The grid in the coordinates of the corners.

    origin      (D,) of the first point
    steps       (D, D) rows
    shape       (D,) counts
    periodic    per axis
    axes        of the field, of which the lattice is made
    directions  (D, 3) unit vectors
    axis        name of the axis that is averaged over; None in three dimensions
    """

    origin: Array
    steps: Array
    shape: tuple[int, ...]
    periodic: tuple[bool, ...]
    axes: tuple[int, ...]
    directions: Array
    axis: str | None
    spacing: float

    @classmethod
    def of(cls, field: Field, across: int | None) -> Lattice:
        grid = field.grid
        if across is None:
            axes: tuple[int, ...] = (0, 1, 2)
            directions = np.eye(3)
        else:
            axes = ((across + 1) % 3, (across + 2) % 3)
            along = grid.cell[across] / np.linalg.norm(grid.cell[across])
            first = grid.cell[axes[0]] - (grid.cell[axes[0]] @ along) * along
            first = first / np.linalg.norm(first)
            second = grid.cell[axes[1]] - (grid.cell[axes[1]] @ along) * along
            second = second - (second @ first) * first
            directions = np.array([first, second / np.linalg.norm(second)])
        steps = grid.steps[list(axes)] @ directions.T
        widest = 1 / np.linalg.norm(np.linalg.inv(steps), axis=0).min()
        return cls(
            directions @ grid.origin,
            np.asarray(steps),
            tuple(grid.shape[i] for i in axes),
            tuple(grid.boundary[i] == PERIODIC for i in axes),
            axes,
            directions,
            None if across is None else AXIS_NAMES[across],
            float(widest),
        )

    @property
    def element(self) -> float:
        """Area or volume of one sample."""
        return abs(float(np.linalg.det(self.steps)))

    def vectors(self) -> list[Array]:
        """Translations of the periodic axes to the neighbouring cells, one of each pair."""
        counts = [(-1, 0, 1) if periodic else (0,) for periodic in self.periodic]
        cell = self.steps * np.array(self.shape)[:, None]
        return [np.array(n) @ cell for n in product(*counts) if n > (0,) * len(n)]

    def integral(self, field: Field) -> float:
        """∫ ν over the cell, per length along the axis in two dimensions."""
        return field.mean() * self.element * float(np.prod(self.shape))

    def ranges(self, window: SmoothWindow) -> list[NDArray[np.int64]]:
        """Along each axis, the samples that a window reaches, counted from the origin without going around."""
        inverse = np.linalg.inv(self.steps)
        centre = (window.centre - self.origin) @ inverse
        ranges = []
        for i, n in enumerate(self.shape):
            half = window.half_extent(np.asarray(inverse[:, i]))
            low, high = int(np.ceil(centre[i] - half)), int(np.floor(centre[i] + half))
            if not self.periodic[i]:
                low, high = max(low, 0), min(high, n - 1)
            elif high - low >= n:  # what is farther than half a cell is nearer from the other side, and negligible
                low = int(np.ceil(centre[i] - n / 2))
                high = low + n - 1
            ranges.append(np.arange(low, high + 1))
        return ranges

    def in_space(self) -> tuple[Array, Array]:
        """Origin and steps of three coordinates, for sums in two dimensions too."""
        origin, steps = np.zeros(3), np.eye(3)
        dimension = len(self.shape)
        origin[:dimension], steps[:dimension, :dimension] = self.origin, self.steps
        return origin, steps

    def sums(self, field: Field, windows: list[SmoothWindow], sampling: str) -> Array:
        """(windows, 1 + D) ∫ w ν, ∫ w ν d², ∫ w ν d⁴; for fits ∫ w ν, ∫ w ν (r - centre)."""
        if sampling == CELL:
            ends = (-0.5 / sqrt(3), 0.5 / sqrt(3))
            shifts = [np.array(shares) @ self.steps for shares in product(*[ends] * len(self.shape))]
            shifted = [replace(window, centre=window.centre - shift) for shift in shifts for window in windows]
            return np.asarray(
                self.sums(field, shifted, BANDLIMITED).reshape(len(shifts), len(windows), -1).mean(axis=0)
            )
        dimension = len(self.shape)
        reached = np.zeros((len(windows), 3, 2), dtype=np.int64)
        for limits, window in zip(reached, windows, strict=True):
            limits[:dimension] = [(along[0], along[-1]) if len(along) else (0, -1) for along in self.ranges(window)]
        table = np.array([window.numbers() for window in windows])
        origin, steps = self.in_space()
        if self.axis is not None:
            plane = self.plane(field)[:, :, None]
            sums = choose_device("cpu").smooth_sums(plane, table, reached, origin, steps, plane.shape)
            return sums[:, : 1 + dimension] * self.element
        split, shape = field.slab.axis, (self.shape[0], self.shape[1], self.shape[2])

        def local(device: Device, values: Any, slab: Slab) -> Arrays:
            first = tuple(slab.start if axis == split else 0 for axis in range(3))
            return (device.smooth_sums(values, table, reached, origin, steps, shape, first),)

        name = sha256(table.tobytes() + reached.tobytes()).hexdigest()
        (sums,) = field.reduce(Reduction(f"window sums {name}", local, (SUM,)))
        return np.asarray(sums) * self.element

    def plane(self, field: Field) -> Array:
        """Mean along the axis that is averaged over, at the points across it."""
        (across,) = {0, 1, 2} - set(self.axes)
        split = field.slab.axis

        def local(device: Device, values: Any, slab: Slab) -> Arrays:
            total = None
            parts = []
            for start in range(0, slab.n_local, PLANES_AT_ONCE):
                block = device.asarray(values[at(split, slice(start, start + PLANES_AT_ONCE))], np.float64)
                flat = device.to_host(device.contract(block, np.ones((1, block.shape[across])), across))
                if across == split:
                    added = flat.squeeze(across)
                    total = added if total is None else total + added
                    continue
                kept = [i for i in range(3) if i != across]
                parts.append(np.moveaxis(flat.squeeze(across), kept.index(split), 0))
            other = [field.grid.shape[i] for i in range(3) if i != split]
            if across == split:
                return (np.zeros(other) if total is None else total,)
            (width,) = (field.grid.shape[i] for i in range(3) if i not in (split, across))
            return (np.concatenate(parts) if parts else np.zeros((0, width)),)

        name = f"mean along axis {across}"
        (found,) = field.reduce(Reduction(name, local, (SUM if across == split else JOIN,)))
        kept = [i for i in range(3) if i != across]
        if across != split and kept.index(split) == 1:
            found = found.T
        if kept != list(self.axes):
            found = found.T
        return np.asarray(found) / field.grid.shape[across]


@dataclass(frozen=True, eq=False)
class Plane:
    """A field's mean along one axis, at the points across it.

    x, y    (n, m) coordinates of the points [Å], as corners of regions are given
    values  (n, m)
    unit, quantity  of the field
    """

    x: Array
    y: Array
    values: Array
    unit: str | None
    quantity: str


def plane_across(field: Field, axis: int | str) -> Plane:
    """A field's mean along an axis, in the coordinates of regions of two dimensions; whole on every rank."""
    lattice = Lattice.of(field, axis_index(axis))
    n, m = np.indices(lattice.shape)
    x, y = (lattice.origin[j] + n * lattice.steps[0, j] + m * lattice.steps[1, j] for j in (0, 1))
    return Plane(x, y, lattice.plane(field), field.unit, field.quantity)
