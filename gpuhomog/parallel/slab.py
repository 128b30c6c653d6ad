"""Slab: the planes of one axis that a rank holds. Integers only; the one partition rule of the package.

    start(r) = r n // size,   stop(r) = (r + 1) n // size

Slabs differ by at most one plane, follow each other without gaps, and are empty where ranks outnumber planes.

>>> [Slab.of(7, rank, 3) for rank in range(3)]
[Slab(axis=0, n=7, start=0, stop=2), Slab(axis=0, n=7, start=2, stop=4), Slab(axis=0, n=7, start=4, stop=7)]
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Slab:
    """Planes start..stop (exclusive) of the n planes of one axis."""

    axis: int
    n: int
    start: int
    stop: int

    def __post_init__(self) -> None:
        if not (0 <= self.axis <= 2 and 0 <= self.start <= self.stop <= self.n):
            raise InputError(f"Slab {self.start}:{self.stop} of {self.n} planes of axis {self.axis} does not exist.")

    @classmethod
    def of(cls, n: int, rank: int = 0, size: int = 1, axis: int = 0) -> Slab:
        """The slab of one rank of `size`; the only place that divides planes among ranks."""
        return cls(axis, n, rank * n // size, (rank + 1) * n // size)

    @property
    def n_local(self) -> int:
        """Planes held here."""
        return self.stop - self.start

    @property
    def is_whole(self) -> bool:
        """True if every plane is here."""
        return self.n_local == self.n

    @property
    def planes(self) -> slice:
        """The slab as a slice of the global planes."""
        return slice(self.start, self.stop)

    def local_shape(self, global_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Shape of the local array of a grid of `global_shape`."""
        n = list(global_shape)
        n[self.axis] = self.n_local
        return n[0], n[1], n[2]
