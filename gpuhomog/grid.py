"""Grid: points, lattice vectors and boundaries; every length, area, plane position and wavevector.

    r[i, j, k] = origin + (i/n_a) a + (j/n_b) b + (k/n_c) c            a, b, c: rows of `cell`, Å
    plane spacing along axis n:  V / (|a_m × a_l| N_n)                 not |a_n| / N_n
    reciprocal rows  B = 2π A^{-T},  k = n·B

In   shape, cell (3, 3) in Å, origin in Å, boundary per axis.
Out  Grid, frozen; arrays it hands out are fresh, or cannot be written to.

>>> grid = Grid((4, 5, 6), np.diag([2.0, 2.5, 3.0]))
>>> grid.volume, grid.plane_spacing(2)
(15.0, 0.5)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

PERIODIC, OPEN = "periodic", "open"
AXIS_NAMES = "abc"


def axis_index(axis: int | str) -> int:
    """0, 1, 2 from 0, 1, 2 or "a", "b", "c" (and "0", "1", "2"); InputError otherwise."""
    names: dict[int | str, int] = {0: 0, 1: 1, 2: 2, "a": 0, "b": 1, "c": 2, "0": 0, "1": 1, "2": 2}
    if isinstance(axis, bool) or not isinstance(axis, int | str | np.integer) or axis not in names:
        raise InputError(f'Axis {axis!r} does not exist: choose 0, 1, 2 or "a", "b", "c" (lattice vectors).')
    return names[axis]


def parse_boundary(boundary: str | Sequence[str]) -> tuple[str, str, str]:
    """Boundary per axis from one word, three words or "p,p,o"; InputError for anything else.

    >>> parse_boundary("p,p,o")
    ('periodic', 'periodic', 'open')
    """
    words = boundary.split(",") if isinstance(boundary, str) else np.ravel(boundary).tolist()
    if len(words) == 1:
        words = words * 3
    short = {"p": PERIODIC, "o": OPEN, PERIODIC: PERIODIC, OPEN: OPEN}
    clean = [str(w).strip().lower() for w in words]
    if len(clean) != 3 or any(w not in short for w in clean):
        raise InputError(f'Boundary {boundary!r} is not understood: give "periodic", "open", or three as "p,p,o".')
    return short[clean[0]], short[clean[1]], short[clean[2]]


STATED_TO = 1e-5
"""Of a lattice vector: a cube file states steps, of 0.05 Å or more, to half of 1e-6 bohr."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Points of a parallelepiped cell.

    shape     (n_a, n_b, n_c), at least 1 each
    cell      (3, 3), rows are the lattice vectors [Å]; left-handed cells are legal
    origin    (3,), position of point [0, 0, 0] [Å]
    boundary  "periodic" or "open" per axis

    Raises InputError for counts below 1, a singular cell, or numbers that are not finite.
    """

    shape: tuple[int, int, int]
    cell: NDArray[np.float64]
    origin: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    boundary: tuple[str, str, str] = (PERIODIC, PERIODIC, PERIODIC)

    def __post_init__(self) -> None:
        counts = tuple(int(n) for n in self.shape)
        if len(counts) != 3 or min(counts) < 1 or counts != tuple(self.shape):
            raise InputError(f"Grid of {tuple(self.shape)} points: a grid needs three counts of at least 1.")
        cell = np.array(self.cell, dtype=np.float64)
        origin = np.array(self.origin, dtype=np.float64)
        if cell.shape != (3, 3):
            raise InputError(f"Cell of shape {cell.shape}: give 3 x 3, rows are the lattice vectors in Å.")
        if origin.shape != (3,):
            raise InputError(f"Origin of shape {origin.shape}: give three coordinates in Å.")
        if not (np.isfinite(cell).all() and np.isfinite(origin).all()):
            raise InputError("Cell or origin holds NaN or infinity: give finite lattice vectors in Å.")
        lengths = np.linalg.norm(cell, axis=1)
        if lengths.min() == 0 or abs(np.linalg.det(cell)) < 1e-9 * lengths.prod():
            raise InputError("Singular cell: its lattice vectors span no volume. Check the three rows.")
        cell.flags.writeable = origin.flags.writeable = False
        object.__setattr__(self, "shape", counts)
        object.__setattr__(self, "cell", cell)
        object.__setattr__(self, "origin", origin)
        object.__setattr__(self, "boundary", parse_boundary(self.boundary))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return (
            self.shape == other.shape
            and self.boundary == other.boundary
            and np.array_equal(self.cell, other.cell)
            and np.array_equal(self.origin, other.origin)
        )

    __hash__ = None  # type: ignore[assignment]

    def has_points_of(self, other: Grid) -> bool:
        """True if the points of both are the same, to what files of text state of them."""
        near = STATED_TO * self.lengths.max()
        apart = [np.abs(here - there).max() for here, there in ((self.cell, other.cell), (self.origin, other.origin))]
        return self.shape == other.shape and bool(max(apart) <= near)

    @property
    def n_points(self) -> int:
        """Number of grid points (a Python int: no 32-bit overflow)."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def volume(self) -> float:
        """Cell volume [Å^3], positive for left-handed cells too."""
        a, b, c = self.cell
        return float(abs(a @ np.cross(b, c)))

    @cached_property
    def lengths(self) -> NDArray[np.float64]:
        """|a|, |b|, |c| [Å]."""
        lengths = np.linalg.norm(self.cell, axis=1)
        lengths.flags.writeable = False
        return lengths

    @property
    def steps(self) -> NDArray[np.float64]:
        """(3, 3) step vectors a/n_a, b/n_b, c/n_c as rows [Å]."""
        return np.asarray(self.cell / np.array(self.shape)[:, None], dtype=np.float64)

    @property
    def reciprocal(self) -> NDArray[np.float64]:
        """(3, 3) reciprocal vectors as rows, B = 2π A^{-T} [1/Å]."""
        return np.asarray(2 * np.pi * np.linalg.inv(self.cell).T, dtype=np.float64)

    @cached_property
    def is_orthogonal(self) -> bool:
        """True if the lattice vectors are perpendicular to 1e-10 of their lengths."""
        gram = self.cell @ self.cell.T / np.outer(self.lengths, self.lengths)
        return bool(np.abs(gram - np.eye(3)).max() < 1e-10)

    def area(self, axis: int) -> float:
        """Area of one cell face normal to the axis, |a_m × a_l| [Å^2]."""
        return float(np.linalg.norm(np.cross(self.cell[(axis + 1) % 3], self.cell[(axis + 2) % 3])))

    def normal(self, axis: int) -> NDArray[np.float64]:
        """Unit vector across the planes of an axis, on the side its lattice vector points to."""
        direction = self.reciprocal[axis]
        return np.asarray(direction / np.linalg.norm(direction), dtype=np.float64)

    def height(self, axis: int) -> float:
        """Distance between opposite faces, V / area [Å]: the period of planar averages."""
        return self.volume / self.area(axis)

    def plane_spacing(self, axis: int) -> float:
        """Distance between neighbouring grid planes [Å]."""
        return self.height(axis) / self.shape[axis]

    def plane_positions(self, axis: int) -> NDArray[np.float64]:
        """(n,) distances of the grid planes from the plane through point [0, 0, 0], along the normal [Å]."""
        return np.asarray(np.arange(self.shape[axis]) * self.plane_spacing(axis), dtype=np.float64)

    def points_per_plane(self, axis: int) -> int:
        """Number of grid points in one plane of the axis."""
        return self.n_points // self.shape[axis]

    def fractional(self, positions: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) Cartesian positions [Å] as fractions of the lattice vectors from the origin.

        >>> Grid((2, 2, 2), 4 * np.eye(3), np.ones(3)).fractional([2.0, 1.0, -1.0]).tolist()
        [0.25, 0.0, -0.5]
        """
        return np.asarray((np.asarray(positions) - self.origin) @ np.linalg.inv(self.cell), dtype=np.float64)
