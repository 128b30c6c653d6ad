"""Windows that slide along axes, an output at every point: sums, smallest and largest values.

box_filter        2 reads, 1 write where the intermediate stays in cache, 3 reads, 2 writes where not (long ends,
                  large planes), 4 reads, 3 writes where rows or columns are too long for shared memory
running_extrema   1 read, 2 writes; a second read across rows where windows do not stay in cache
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cpu.memory import is_fortran_ordered
from .memory import Memory, c_name

BOX_FILE = "box_full.cu"
PASSES_FILE = "ladder/box_full.cu"
EXTREMA_FILE = "running_extrema.cu"
UNIT = 11
"""line_sums.cuh: outputs that share one prefix sum."""
STRIP_BYTES = 32
"""box_full.cu: bytes of a row that one block sums along axis 1."""
CACHE_SHARE = 0.85
"""Of the second-level cache, what the two chunks in it and the running sums may fill."""
LONG_CHUNK = 64
"""Planes of a chunk that does not stay in cache, or that begins with planes read again for long ends."""
PASS_STRIP_BYTES = 64
"""ladder/box_full.cu: bytes of a row that one block sums along axis 1."""
PASS_LANES = 2 * 132 * 1024
"""Columns below which a walk along an axis is cut into stretches."""
ROW_UNITS = (9, 3, 1)
LINE_UNITS = {"float": (16, 4, 1), "double": (8, 4, 1)}
"""running_extrema.cu: outputs at once, at most as many as the window has values."""
MARCHING_LANES = 512
"""running_extrema.cu: threads a multiprocessor below which lines are cut into stretches."""


@dataclass(frozen=True)
class _Box:
    """An instance of box_full.cu: values of a load, threads at most, rows at once, blocks that registers hold."""

    ends: int
    threads: int
    batch: int
    resident: int


_INSTANCES = {
    "float": (_Box(1, 256, 2, 3), _Box(1, 512, 2, 1), _Box(9, 256, 1, 2), _Box(9, 512, 1, 1)),
    "double": (_Box(1, 256, 2, 2), _Box(1, 512, 2, 1), _Box(9, 256, 1, 1)),
}


class Running(Memory):
    """Sliding windows; see device.Device for what each method promises."""

    def box_filter(self, values: Any, windows: Sequence[Any]) -> Any:
        """One launch; three where an axis is too long."""
        if is_fortran_ordered(values):
            return self.box_filter(values.T, windows[::-1]).T
        if values.size == 0:
            return self.empty(values.shape, values.dtype)
        values = self.contiguous(values)
        ends = 1 if all(w is None or max(len(w.head), len(w.tail)) <= 1 for w in windows) else 9
        tables = self._tables_of(values, windows, ends)
        for box in _INSTANCES[c_name(values.dtype)]:
            out = self._box_at_once(values, box, tables) if box.ends == ends else None
            if out is not None:
                return out
        return self._box_in_passes(values, windows, ends, tables)

    def _tables_of(self, values: Any, windows: Sequence[Any], ends: int) -> tuple[Any, Any, Any]:
        """What the kernels want of the windows (line_sums.cuh): places, weights, the scale of all."""
        places, weights, scale = [], np.zeros((3, 2, ends)), 1.0
        for axis, window in enumerate(windows):
            n = values.shape[axis]
            head, tail, start, inside = (1.0,), (0.0,), 0, 0
            if window is not None:
                head, tail, start, inside = window.head, window.tail, window.start, window.inside
                scale *= window.scale
            start -= ends - len(head)
            ones = inside + ends
            places.append([start % n, (start + ones) % n, (start + ends) % n, ones % n, ones // n])
            weights[axis, 0, ends - len(head) :] = head
            weights[axis, 1, : len(tail)] = tail
            weights[axis, 1] -= 1.0
        return self.table(places, np.int32), self.table(weights, values.dtype), values.dtype.type(scale)

    def _box_at_once(self, values: Any, box: _Box, tables: tuple[Any, Any, Any]) -> Any:
        """The launch of box_full.cu; None where rows or columns are too long for it."""
        n0, n1, n2 = values.shape
        size = values.dtype.itemsize
        word, strip, total = 16 // size, STRIP_BYTES // size, 2 * 8 if size == 8 else 8
        threads = 32 * -(-n2 // (32 * word))
        halo = UNIT + box.ends - 2
        line, pitch = -(-(n2 + halo) // word) * word, -(-n2 // 32) * 32
        row_bytes = box.batch * ((line + pitch) * size + (-(-n2 // UNIT) + 1) * total)
        strip_bytes = strip * ((n1 + halo) * size + (-(-n1 // UNIT) + 1) * total)
        shared = max(row_bytes, strip_bytes)
        reserved = 2048  # static shared memory, and what the system keeps of each block's
        if threads > box.threads or shared + reserved > self.runtime.shared_bytes:
            return None
        chunk = self._planes_of_a_chunk(values, box, n1 * pitch * size)
        chunks = -(-n0 // chunk)
        out = self.empty(values.shape, values.dtype)
        middle = self.empty((min(chunks, 2) * chunk, n1, pitch), values.dtype)
        state = self.empty((n1, threads * word, total // size), values.dtype)
        queue = self.runtime.xp.zeros(1 + n1 + 2 * chunks, np.int32)
        resident = max(1, min(box.resident, self.runtime.shared_bytes // (shared + reserved)))
        items = n1 * chunks + -(-n2 // strip) * n0
        blocks = min(items, resident * self.runtime.n_multiprocessors)
        aligned = str(n2 % word == 0).lower()
        instance = f"box_full<{c_name(values.dtype)}, {box.ends}, {box.threads}, {box.batch}, {aligned}>"
        sizes = (np.int32(n) for n in (n0, n1, n2, pitch, chunk))
        arguments = (values, out, middle, state, queue, *tables, *sizes)
        self.runtime.launch(BOX_FILE, instance, (blocks,), (threads,), arguments, shared)
        return out

    def _planes_of_a_chunk(self, values: Any, box: _Box, plane_bytes: int) -> int:
        """As many as stay in cache: twice these, and twice a plane of running sums; else many, through memory."""
        fits = int(CACHE_SHARE * self.runtime.cache_bytes / plane_bytes - 2) // 2
        chunk = LONG_CHUNK if box.ends > 1 or fits < box.batch else min(fits, LONG_CHUNK)
        return -(-min(chunk // box.batch * box.batch, len(values)) // box.batch) * box.batch

    def _box_in_passes(self, values: Any, windows: Sequence[Any], ends: int, tables: tuple[Any, Any, Any]) -> Any:
        """Axis by axis; the scale of all with the last."""
        places, weights, scale = tables
        axes = [axis for axis in range(3) if windows[axis] is not None]
        if not axes:
            return values.copy()
        one = values.dtype.type(1.0)
        for axis in axes:
            values = self._box_pass(values, axis, ends, places, weights, scale if axis == axes[-1] else one)
        return values

    def _box_pass(self, values: Any, axis: int, ends: int, places: Any, weights: Any, scale: Any) -> Any:
        """One axis: lines in shared memory, or threads that walk along it where they do not fit."""
        out = self.empty(values.shape, values.dtype)
        n, name = values.shape[axis], c_name(values.dtype)
        size = values.dtype.itemsize
        outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
        lines = 4 if inner == 1 else PASS_STRIP_BYTES // size
        line = -(-(n + UNIT + ends - 2) // 4) * 4
        shared = lines * (line * size * (2 if inner == 1 else 1) + (-(-n // UNIT) + 1) * (16 if size == 8 else 8))
        sizes = tuple(np.int64(i) for i in (outer, n, inner))
        arguments = (values, out, places, weights, np.int32(axis), scale, *sizes)
        if axis == 0 or shared + 2048 > self.runtime.shared_bytes:
            stretches = max(1, min(-(-n // 64), PASS_LANES // (outer * inner)))
            grid: tuple[int, ...] = (-(-outer * inner // 256), stretches)
            self.runtime.launch(PASSES_FILE, f"box_walk<{name}, {ends}>", grid, (256,), arguments)
        elif inner == 1:
            grid = (-(-outer // lines),)
            self.runtime.launch(PASSES_FILE, f"box_rows<{name}, {ends}>", grid, (256,), arguments, shared)
        else:
            grid = (-(-inner // lines), outer)
            self.runtime.launch(PASSES_FILE, f"box_strips<{name}, {ends}>", grid, (256,), arguments, shared)
        return out

    def running_extrema(self, values: Any, axis: int, start: int, width: int) -> tuple[Any, Any]:
        """Rows in shared memory; threads that march along lines of other axes, and along rows that are too long."""
        if is_fortran_ordered(values):
            low, high = self.running_extrema(values.T, 2 - axis, start, width)
            return low.T, high.T
        values = self.contiguous(values)
        low, high = self.empty(values.shape, values.dtype), self.empty(values.shape, values.dtype)
        if values.size == 0:
            return low, high
        n, name, size = values.shape[axis], c_name(values.dtype), values.dtype.itemsize
        width, start, room = min(width, n), start % n, self.runtime.shared_bytes - 2048
        outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
        unit = next(u for u in ROW_UNITS if u <= width)
        shared = (3 * n + width + unit - 1 + 4 * ((n + width - 1) // unit)) * size
        if inner == 1 and shared <= room:
            arguments = (values, low, high, np.int32(n), np.int32(start), np.int32(width))
            threads = min(512, 32 * -(-n // (32 * unit)))
            instance = f"running_extrema_rows<{name}, {unit}>"
            self.runtime.launch(EXTREMA_FILE, instance, (outer,), (threads,), arguments, shared)
            return low, high
        unit = next(u for u in LINE_UNITS[name] if u <= width)
        shared_each = 2 * (max(0, width - 1 - unit) // unit) * size
        threads = next((t for t in (128, 64, 32) if t * shared_each <= room), 0)
        if not threads:  # two windows that overlap
            half = -(-width // 2)
            low, high = self.running_extrema(values, axis, start, half)
            later_low, later_high = (self.runtime.xp.roll(one, half - width, axis) for one in (low, high))
            return self.runtime.xp.minimum(low, later_low), self.runtime.xp.maximum(high, later_high)
        lanes = MARCHING_LANES * self.runtime.n_multiprocessors
        stretches = max(1, min(n // (2 * width), lanes // (outer * inner), 65535))
        stretch = unit * -(-n // (unit * stretches))
        sizes = (np.int64(i) for i in (outer, n, inner, start, width, stretch))
        grid = (-(-outer * inner // threads), -(-n // stretch))
        arguments = (values, low, high, *sizes)
        instance = f"running_extrema<{name}, {unit}>"
        self.runtime.launch(EXTREMA_FILE, instance, grid, (threads,), arguments, threads * shared_each)
        return low, high
