"""Short windows along all three axes: taps.cu takes the two fast axes in one launch, the slow one in another.

    contract_taps    1 read of the field; 1/(d_b d_c) written and read, 1/(d_a d_b d_c) written
    expand_taps      the same the other way: 1 write of the field

The slow axis is contracted last and expanded first, when the field is d_b d_c times smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import GpuhomogError
from ...memory_order import is_fortran_ordered
from .memory import Memory, c_bool, c_name

FILE = "taps.cu"
VECTORS = {"float32": 4, "float64": 2}
"""Neighbours of a row that a thread owns where rows are whole multiples of so many."""
WINDOWS = {1: (16,), 2: (8, 10, 12, 14, 16), 4: (8, 10, 12, 16)}
"""Cells of a window there are instances for, by the columns a thread owns."""
THREADS = 512
"""Most threads of a block that contracts."""
SINGLE_THREADS = 640
"""Where each owns one column."""
PART_THREADS = 256
"""Threads of a block that has a part of a row, where that is enough."""
EXPAND_THREADS = 256
"""Most threads of a block that expands."""
THREADS_EACH = 512
"""Threads of each multiprocessor, as many as it holds; with fewer, columns are cut into segments."""
TILE = 4
"""Neighbours along a row that a thread computes together."""
MOST_PHASES = 32
"""Largest decimation of columns."""

SINGLE = SimpleNamespace(weights=np.ones(1), first=0, decimation=1)
"""An axis left as it is."""


class Taps(Memory):
    """Windows of few samples; see device.Device for what each method promises."""

    # In units of one column of a product onto fewer points, 0.049 ms at 1024^3 in float32 and 0.046 ms in float64 on an
    # H200 (scaling/README.md, "gaussian, std 16, step 8"), where a pass takes 1.0 and 2.0 ms, a filter 14.5 and 32.
    pass_in_columns: ClassVar[dict[str, float]] = {"float32": 20.0, "float64": 43.0}
    """Columns of a matrix product that take as long as one read or write of the field."""
    tap_in_columns: ClassVar[dict[str, float]] = {"float32": 0.9, "float64": 4.7}
    """Columns of a matrix product that take as long as one tap of every point."""
    filter_in_columns: ClassVar[dict[str, float]] = {"float32": 295.0, "float64": 690.0}
    """Columns of a matrix product that take as long as a filter in Fourier space."""
    odd_product: ClassVar[tuple[float, float]] = (1.6, 2.0)
    """Columns and passes of a product onto an odd number of points, which the library's tiles do not fit."""

    def contract_taps(self, values: Any, taps: Sequence[Any], power: int = 1, centre: float = 0.0) -> Any:
        """Planes first: one read of the field."""
        if is_fortran_ordered(values):
            return self.contract_taps(values.T, taps[::-1], power, centre).T
        slow, middle, fast = taps
        if not (_is_single(middle) and _is_single(fast)):
            values = self._contract(self.contiguous(values), middle, fast, power, centre)
            power, centre = 1, 0.0
        if not _is_single(slow) or (power, centre) != (1, 0.0):
            n0, n1, n2 = values.shape
            rows = self.contiguous(values).reshape(1, n0, n1 * n2)
            values = self._contract(rows, slow, SINGLE, power, centre).reshape(n0 // slow.decimation, n1, n2)
        return values

    def expand_taps(self, values: Any, taps: Sequence[Any]) -> Any:
        """Planes last: one write of the field."""
        if is_fortran_ordered(values):
            return self.expand_taps(values.T, taps[::-1]).T
        slow, middle, fast = taps
        if not _is_single(slow):
            m0, n1, n2 = values.shape
            rows = self.contiguous(values).reshape(1, m0, n1 * n2)
            values = self._expand(rows, slow, SINGLE).reshape(m0 * slow.decimation, n1, n2)
        if not (_is_single(middle) and _is_single(fast)):
            values = self._expand(self.contiguous(values), middle, fast)
        return values

    def _contract(self, values: Any, columns: Any, row: Any, power: int, centre: float) -> Any:
        """Along the two fast axes of C-ordered values, of their powers."""
        planes, n1, n2 = values.shape
        m1, m2 = n1 // columns.decimation, n2 // row.decimation
        out = self.empty((planes, m1, m2), values.dtype)
        if out.size == 0:
            return out
        laid = _laid(columns, row, n2, values.dtype)
        d1, d2, width, reach = columns.decimation, row.decimation, laid.width, laid.row_cells - 1
        threads, outputs, most_threads = -(-n2 // width), m2, SINGLE_THREADS if width == 1 else THREADS
        if threads > most_threads or laid.bytes_of_lines(outputs) > self.runtime.shared_bytes:
            threads = PART_THREADS if PART_THREADS * width >= 4 * (reach + 1) * d2 else most_threads
            unaligned = 0 if row.first % width == 0 else width - 1
            most = (threads * width - unaligned) // d2 - reach
            outputs = -(-m2 // -(-m2 // most))  # parts of a row alike
            outputs = min(-(-outputs // width) * width, most)  # that begin as the row does, if they can
            threads = -(-((outputs + reach) * d2 + unaligned) // width)
        threads = -(-threads // 32) * 32
        parts, tiles = -(-m2 // outputs), -(-outputs // TILE)
        rows, segments = self._segments(planes * parts * threads, m1, laid.cells)
        steps = (m1 if segments == 1 else rows) + laid.cells - 1
        plain = width > 1 and (power, centre) == (1, 0.0) and d1 % 2 == 0 and columns.first % d1 == 0
        shape = {
            **{"d1": d1, "d2": d2, "first1": columns.first % n1, "parts": parts, "outputs": outputs, "rows": rows},
            "cells": m2 if parts == 1 else outputs + reach,
            "again": tiles * TILE + laid.cells - 1 - m2 if parts == 1 else 0,
            **{"tiles": tiles, "pitch": laid.pitch(tiles), "steps": steps, "reads": m1 if segments == 1 else steps},
            **{"begun": 0 if segments == 1 else laid.cells - 1, "stays": _is_single(row), "power": power},
        }
        sizes = (np.int32(n1), np.int32(m1), np.int64(n2), np.int64(m2), np.int64(row.first % n2))
        weights = (laid.columns, self.table(laid.row, values.dtype))
        arguments = (values, out, *weights, *sizes, _constants(shape), values.dtype.type(centre))
        grid, instance = (planes * parts, segments), f"contract_taps<{laid.instance}, {c_bool(plain)}>"
        self.runtime.launch(FILE, instance, grid, (threads,), arguments, laid.bytes_of_lines(outputs))
        return out

    def _expand(self, values: Any, columns: Any, row: Any) -> Any:
        """Along the two fast axes of C-ordered values."""
        planes, m1, m2 = values.shape
        n1, n2 = m1 * columns.decimation, m2 * row.decimation
        out = self.empty((planes, n1, n2), values.dtype)
        if out.size == 0:
            return out
        laid = _laid(columns, row, n2, values.dtype)
        d2, width, vector = row.decimation, laid.width, VECTORS[values.dtype.name]
        parts = -(-n2 // (EXPAND_THREADS * width))
        threads = -(-n2 // (parts * width * 32)) * 32
        parts = -(-n2 // (threads * width))
        tiles = -(-((threads * width + d2 - 2) // d2 + 1) // TILE)
        pitch, room = laid.pitch(tiles), -(-tiles * TILE * d2 // vector) * vector + vector
        shared = (laid.row_size + 2 * (pitch + room)) * values.dtype.itemsize
        rows, segments = self._segments(planes * parts * threads, m1, laid.cells)
        sizes = (np.int32(n1), np.int32(m1), np.int64(n2), np.int64(m2))
        firsts = (np.int32(columns.first % n1), np.int64(row.first % n2))
        shape = map(np.int32, (columns.decimation, d2, laid.row_cells, rows, pitch, room))
        weights = (laid.columns, self.table(laid.row[:, ::-1], values.dtype))
        grid, instance = (planes * parts, segments), f"expand_taps<{laid.instance}>"
        arguments = (values, out, *weights, *sizes, *firsts, *shape)
        self.runtime.launch(FILE, instance, grid, (threads,), arguments, shared)
        return out

    def _segments(self, threads: int, m1: int, cells: int) -> tuple[int, int]:
        """Coarse rows of a block, and blocks that share a column: few enough that windows overlap little."""
        wanted = round(THREADS_EACH * self.runtime.n_multiprocessors / threads)
        rows = -(-m1 // max(1, min(wanted, m1 // cells)))
        return rows, -(-m1 // rows)


def _is_single(taps: Any) -> bool:
    """True if an axis stays as it is."""
    return bool(taps.decimation == 1 and taps.first == 0 and len(taps.weights) == 1 and taps.weights[0] == 1.0)


@dataclass(frozen=True, eq=False)
class _Laid:
    """Windows along both axes as the kernels take them.

    width      columns a thread owns
    cells      of the windows of the instance
    columns    weights of columns, by phase, as constants of the launch
    row        (d, cells) weights of the row, by phase
    row_cells  of its window
    """

    width: int
    cells: int
    columns: Any
    row: NDArray[np.float64]
    row_cells: int
    dtype: np.dtype[Any]

    @property
    def instance(self) -> str:
        """Of the kernels, its first arguments."""
        return f"{c_name(self.dtype)}, {self.cells}, {self.width}"

    @property
    def row_size(self) -> int:
        """Values that the weights of the row take of shared memory: PITCH of taps.cu for each phase."""
        vector = VECTORS[self.dtype.name]
        return len(self.row) * (-(-self.cells // vector) | 1) * vector

    def pitch(self, tiles: int) -> int:
        """Values from one phase of a line to the next."""
        return _pitch(tiles, self.cells, len(self.row), VECTORS[self.dtype.name])

    def bytes_of_lines(self, outputs: int) -> int:
        """Dynamic shared memory of contract_taps."""
        lines = 4 * len(self.row) * self.pitch(-(-outputs // TILE))
        return (self.row_size + lines) * self.dtype.itemsize


def _laid(columns: Any, row: Any, n2: int, dtype: np.dtype[Any]) -> _Laid:
    """Windows of columns and of a row of n2 samples; raises GpuhomogError where there is no instance for them."""
    width = VECTORS[dtype.name] if n2 % VECTORS[dtype.name] == 0 else 1
    needed = [-(-len(along.weights) // along.decimation) for along in (columns, row)]
    cells = next((w for w in WINDOWS[width] if w >= max(needed)), 0)
    if not cells or columns.decimation > MOST_PHASES:
        raise GpuhomogError(
            f"contract_taps, expand_taps: kernels take {WINDOWS[width][-1]} cells of {MOST_PHASES} samples at most, "
            f'not {max(needed)} of {columns.decimation}; shorten the window, or choose device="cpu".'
        )
    by_phase = np.zeros((MOST_PHASES, cells))
    by_phase[: columns.decimation] = _by_phase(columns, cells)
    constants = np.zeros((), [("at", dtype, by_phase.size)])
    constants["at"] = by_phase.reshape(-1)
    return _Laid(width, cells, constants[()], _by_phase(row, cells), needed[1], dtype)


def _constants(numbers: dict[str, Any]) -> Any:
    """Whole numbers as a struct of int."""
    return np.array([tuple(numbers.values())], [(name, np.int32) for name in numbers])[0]


def _by_phase(along: Any, cells: int) -> NDArray[np.float64]:
    """(d, cells) tap a d + p at [p, a], zeros after the weights."""
    laid = np.zeros(cells * along.decimation)
    laid[: len(along.weights)] = along.weights
    return laid.reshape(cells, -1).T


def _pitch(tiles: int, cells: int, phases: int, vector: int) -> int:
    """Values from one phase of a line to the next: tiles, and what the last one reaches over, as taps.cu places them.

    Eight threads that load 16 bytes each, neighbours in phase and then in tile, meet eight different banks.
    """
    last = (tiles - 1) * TILE + -(-(TILE + cells - 1) // vector) * vector - 1
    units = (last // TILE * (TILE // vector | 1) * vector + last % TILE) // vector + 1
    apart, every = {1: (0, 1), 2: (4, 8), 4: (2, 4)}.get(phases, (1, 2))
    return (units + (apart - units) % every) * vector
