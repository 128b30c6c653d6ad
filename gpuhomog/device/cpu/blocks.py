"""Filters in blocks that stay in a cache: real lines of axis 1, then complex planes across it, one mode at a time.

    values (n_0, n_1, n_2) ──r2c of axis 1──▶ (n_0, m_1/2 + 1, n_2) ──▶ values
                                                    │  ▲
                              a few modes of axis 1 ▼  │ the first n_0, n_2
          zeros to (m_0, ., m_2), transform axes 2 and 0, multiply, transform back

The spectrum is in memory transformed along one axis only: it is written, read and written, and read, whatever is open.
That is what ranks send each other, too: from planes of axis 0 to modes of axis 1, and back. Zeros behind the values are
made in the block, lines of zeros are not transformed, nor are those back that nobody asks for. Where nothing depends on
axis 1, it changes places with another. Even multipliers are tabulated for the modes 0 and above, and the tables kept
for the next call (kept.py): an eighth of what the padded grid has.

In   values in C order; multipliers (fft.Multiplier) of that grid, or of a larger one with the same steps.
Out  for each multiplier new values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kept import KEPT_BYTES, TABLES
from .team import SMALL, share
from .transforms import Block, irfftn, rfftn

BLOCK_BYTES = 1 << 20
"""Of planes that are transformed at once on a thread: about a cache. On two threads, 128^3 to 256^3, lines take 3 to
20 % longer by half of it, as threads ask for the interpreter's lock more often; filters up to 13 % by twice of it."""


def planes_at_once(n: int, plane_bytes: int, threads: int) -> int:
    """Of n planes: those that fit a block, but so few that each thread gets some twice.

    >>> planes_at_once(65, 1 << 18, 2), planes_at_once(65, 1 << 18, 32), planes_at_once(65, 1 << 24, 2)
    (4, 1, 1)
    """
    return max(1, min(BLOCK_BYTES // plane_bytes, n // (2 * threads)))


def transformed_axes(multipliers: Sequence[Any]) -> tuple[int, ...]:
    """The stored axes on whose modes a multiplier depends; the last, where there is none."""
    flat = set.intersection(*[set(multiplier.flat_axes) for multiplier in multipliers])
    return tuple(axis for axis in range(3) if axis not in flat) or (2,)


class Table:
    """Planes of a multiplier times a scale: from a table of the calls before, or made and kept for those that come.

    modes    of axis 1 that are here
    quarter  True for an even multiplier, of whose planes the modes 0 and above are known
    """

    def __init__(self, multiplier: Any, modes: range, quarter: bool, dtype: Any, scale: float) -> None:
        self._multiplier, self._modes, self._scale = multiplier, modes, scale
        self._plane = multiplier.quarter if quarter else lambda j: multiplier.plane(j, whole=True)
        known = None if multiplier.identity is None else (multiplier.identity, modes, np.dtype(dtype).str, scale)
        self._key = known
        self._known = TABLES.get(known) if known else None
        self._made: NDArray[Any] | None = None
        is_complex = self._known is None and multiplier.is_complex and np.iscomplexobj(self._plane(0))
        self._dtype = np.dtype(dtype) if is_complex else np.zeros(0, dtype).real.dtype
        n_0, n_2 = multiplier.stored_shape[1:]
        shape = (len(modes), n_0 // 2 + 1, n_2 // 2 + 1) if quarter else (len(modes), n_0, n_2)
        if known and self._known is None and prod(shape) * self._dtype.itemsize <= KEPT_BYTES:
            self._made = np.empty(shape, self._dtype)

    @property
    def by_products(self) -> bool:
        """True if planes are still to be made, by matrix products."""
        return self._known is None and self._multiplier.by_products

    def planes(self, first: int, n: int) -> NDArray[Any]:
        """(., n, .) of the modes here from number first on; another thread asks for others."""
        some = slice(first, first + n)
        if self._known is not None:
            return np.asarray(self._known[some].swapaxes(0, 1))
        planes = np.stack([np.multiply(self._plane(j), self._scale) for j in self._modes[some]])
        planes = planes.astype(self._dtype, copy=False)
        if self._made is not None:
            self._made[some] = planes
        return np.asarray(planes.swapaxes(0, 1))

    def keep(self) -> None:
        """After all planes were asked for."""
        if self._made is not None:
            TABLES.put(self._key, self._made)


class Factor:
    """A multiplier times a scale on planes (m_0, ., m_2) of some modes of axis 1; it is stored with that axis first."""

    def __init__(self, multiplier: Any, modes: range, dtype: Any, scale: float) -> None:
        even, others, fast = multiplier.split()
        self._even = None if even is None else Table(even, modes, True, dtype, scale)
        self._others = None if others is None else Table(others, modes, False, dtype, 1.0 if even else scale)
        self._fast, self._modes, self._scale = fast, modes, 1.0 if even or others else scale
        self._dtype = np.dtype(dtype) if multiplier.is_complex else np.zeros(0, dtype).real.dtype
        self._tables = [table for table in (self._even, self._others) if table is not None]

    @property
    def by_products(self) -> bool:
        """True if planes are still to be made by matrix products."""
        return any(table.by_products for table in self._tables)

    def multiply(self, modes: NDArray[Any], first: int) -> None:
        """What is at the modes here from number first on, in place."""
        n = modes.shape[1]
        if self._even is not None:
            _multiply_even(modes, self._even.planes(first, n))
        if self._others is not None:
            modes *= self._others.planes(first, n)
        if self._fast is not None:
            for i in range(n):
                plane = np.multiply(self._fast.plane(self._modes[first + i], whole=True), self._scale)
                modes[:, i] *= plane.astype(self._dtype, copy=False)
        elif not self._tables:
            modes *= modes.real.dtype.type(self._scale)

    def keep(self) -> None:
        """Its tables for the next call, after all planes were multiplied."""
        for table in self._tables:
            table.keep()


def _multiply_even(modes: NDArray[Any], quarter: NDArray[Any]) -> None:
    """Modes times what is known of those 0 and above, and is alike for those below."""
    rows, columns = (_sides(modes.shape[axis], quarter.shape[axis]) for axis in (0, 2))
    for row, known_row in rows:
        for column, known_column in columns:
            modes[row, :, column] *= quarter[known_row, :, known_column]


def _sides(n: int, half: int) -> list[tuple[slice, slice]]:
    """For modes 0 and above, and for those below: where they are of n, and where of half of them."""
    if half == 1:
        return [(slice(None), slice(None))]
    return [(slice(half), slice(half)), (slice(half, n), slice(n - half, 0, -1))]


def filtered_blocks(values: NDArray[Any], multipliers: Sequence[Any], threads: int) -> list[NDArray[Any]]:
    """For each multiplier the values, in C order, with their modes multiplied, zeros behind them."""
    if values.size == 0:
        return [values.copy() for _ in multipliers]
    axes = transformed_axes(multipliers)
    order = (0, 1, 2) if 1 in axes else (1, 0, 2) if 0 in axes else (0, 2, 1)
    flat = [i for i, axis in enumerate(order) if axis not in axes]
    stored = [replace(m, order=tuple(m.order[axis] for axis in order)) for m in multipliers]

    def empty() -> NDArray[Any]:
        return np.empty(values.shape, values.dtype).transpose(order)

    results = _filter(values.transpose(order), stored, flat, empty, threads if values.size > SMALL else 1)
    return [result.transpose(order) for result in results]


def filtered_slabs(
    planes: NDArray[Any], multipliers: Sequence[Any], lines: Any, empty: Callable[[], NDArray[Any]], threads: int
) -> list[NDArray[Any]]:
    """The same of planes that ranks share; lines turns those of axis 0 into modes of axis 1, and back."""
    flat = [2] if 2 not in transformed_axes(multipliers) else []
    return _filter(planes, multipliers, flat, empty, threads if planes.size > SMALL else 1, lines)


def _filter(
    values: NDArray[Any],
    multipliers: Sequence[Any],
    flat: Sequence[int],
    empty: Callable[[], NDArray[Any]],
    threads: int,
    lines: Any = None,
) -> list[NDArray[Any]]:
    """For each multiplier the filtered values in an empty result; along axis 1 all are transformed."""
    m_1 = multipliers[0].stored_shape[1]
    spectra = _filtered_modes(*_modes(values, m_1, threads, lines), multipliers, flat, threads)
    results = []
    while spectra:
        modes = spectra.pop(0)
        results.append(empty())
        transform_back(modes if lines is None else lines.back(modes), results[-1], m_1, threads)
    return results


def _modes(values: NDArray[Any], m_1: int, threads: int, lines: Any) -> tuple[NDArray[Any], int]:
    """Spectrum along axis 1, and the first of its modes that are here: all of them, or with all planes of the ranks."""
    if lines is None:
        return transformed(values, m_1, threads), 0
    modes, first = lines.there(transformed(values, m_1, threads, modes_first=True).swapaxes(0, 1), axis=0)
    return modes.swapaxes(0, 1), first


def _filtered_modes(
    spectrum: NDArray[Any], first_mode: int, multipliers: Sequence[Any], flat: Sequence[int], threads: int
) -> list[NDArray[Any]]:
    """For each multiplier the modes of axis 1, planes first in memory: the last in place where they lie so."""
    n_0, n_modes, n_2 = spectrum.shape
    m_0, _, m_2 = multipliers[0].stored_shape
    m_0, m_2 = n_0 if 0 in flat else m_0, n_2 if 2 in flat else m_2
    across = [axis for axis in (2, 0) if axis not in flat]
    scale = 1 / prod((m_0, 0, m_2)[axis] for axis in across)
    here = range(first_mode, first_mode + n_modes)
    factors = [Factor(multiplier.across(flat).turned(), here, spectrum.dtype, scale) for multiplier in multipliers]
    n_new = len(factors) - spectrum.flags.c_contiguous
    spectra = [np.empty(spectrum.shape, spectrum.dtype) for _ in range(n_new)] + [spectrum] * (len(factors) - n_new)
    at_once = planes_at_once(n_modes, m_0 * m_2 * spectrum.itemsize, threads)

    def filter_modes(blocks: list[Block], first: int) -> None:
        some = slice(first, min(first + at_once, n_modes))
        whole, n = blocks[0].modes, some.stop - some.start
        blocks[0].take(spectrum[:, some], transformed=2 in across)
        if 0 in across:
            blocks[0].transform(0)
        for number, (factor, result) in enumerate(zip(factors, spectra, strict=True), start=1):
            block = blocks[0] if number == len(factors) else blocks[1]
            if block is not blocks[0]:
                block.modes[...] = whole
            factor.multiply(block.modes[:, :n], first)
            if 0 in across:
                block.transform(0, inverse=True)
            block.give(result[:, some], transformed=2 in across)

    def blocks() -> list[Block]:
        return [Block((m_0, at_once, m_2), n_0, spectrum.dtype) for _ in range(min(len(factors), 2))]

    by_products = any(factor.by_products for factor in factors)
    share(filter_modes, range(0, n_modes, at_once), blocks, threads, by_products)
    for factor in factors:
        factor.keep()
    return spectra


def transformed(values: NDArray[Any], m_1: int, threads: int, modes_first: bool = False) -> NDArray[Any]:
    """(n_0, m_1//2 + 1, n_2) real lines of axis 1 transformed, zeros behind them; in memory axis 0 or 1 first."""
    n_0, n_1, n_2 = values.shape
    at_once = planes_at_once(n_0, 2 * m_1 * n_2 * values.itemsize, threads)
    real, modes = (at_once, m_1, n_2), (at_once, m_1 // 2 + 1, n_2)
    dtype = np.complex64 if values.dtype == np.float32 else np.complex128
    spectrum = (
        np.empty((modes[1], n_0, n_2), dtype).swapaxes(0, 1) if modes_first else np.empty((n_0, *modes[1:]), dtype)
    )

    def transform(memory: tuple[NDArray[Any], NDArray[Any]], first: int) -> None:
        planes = values[first : first + at_once]
        lines, out = (part[: len(planes)] for part in memory)
        lines[:, :n_1] = planes  # transforms look for lines all over the plane, copies read ahead
        rfftn(lines, (1,), 1, out=out)
        spectrum[first : first + at_once] = out

    def memory() -> tuple[NDArray[Any], NDArray[Any]]:
        return np.zeros(real, values.dtype), np.empty(modes, dtype)

    share(transform, range(0, n_0, at_once), memory, threads)
    return spectrum


def transform_back(spectrum: NDArray[Any], values: NDArray[Any], m_1: int, threads: int) -> None:
    """Lines of m_1, of which the first n_1 are the values."""
    n_0, n_1, n_2 = values.shape
    at_once = planes_at_once(n_0, 2 * m_1 * n_2 * values.itemsize, threads)
    real, modes = (at_once, m_1, n_2), (at_once, m_1 // 2 + 1, n_2)

    def transform(memory: tuple[NDArray[Any], NDArray[Any]], first: int) -> None:
        planes = spectrum[first : first + at_once]
        out, lines = (part[: len(planes)] for part in memory)
        lines[...] = planes
        irfftn(lines, (1,), m_1, 1, out=out)
        values[first : first + at_once] = out[:, :n_1]

    def memory() -> tuple[NDArray[Any], NDArray[Any]]:
        return np.empty(real, values.dtype), np.empty(modes, spectrum.dtype)

    share(transform, range(0, n_0, at_once), memory, threads)
