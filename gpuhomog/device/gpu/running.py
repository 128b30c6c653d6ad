"""Windows that slide along axes, an output at every point: sums, smallest and largest values.

box_filter        2 reads, 2 writes where lines as long as the windows fit in shared memory; else 2 reads, 1 write where
                  the intermediate stays in cache, 3 or 4 reads, 2 writes where not (large planes), 4 reads, 3 writes
                  where rows are too long for a block
running_extrema   1 read, 2 writes; a second read across rows where windows do not stay in cache
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import DeviceError
from ...memory_order import is_fortran_ordered
from .memory import RESERVED_BYTES, Memory, c_bool, c_name
from .runtime import MOST_DECLARED

RINGS_FILE = "box_rings.cu"
STEPS_FILE = "box_steps.cu"
PASSES_FILE = "ladder/box_steps.cu"
EXTREMA_FILE = "running_extrema.cu"
UNIT = 11
"""line_sums.cuh: outputs that share one prefix sum."""
CACHE_SHARE = 0.85
"""Of the second-level cache, what the two chunks in it and the running sums may fill."""
LONG_CHUNK = 128
"""Planes of a chunk that passes through memory."""
SHORT_CHUNK = 16
"""Planes from which on a chunk in cache is worth its launches and, for long ends, the planes that it reads again.

At 1024^3 in float32 on an H200 five planes in cache took 9.5 ms; long ends 15.0 ms with 5, 7.7 with 64, 7.3 with 256.
"""
OVERLAP = True
"""Rows of a chunk and columns of the one before in one launch; two launches and one chunk in cache if not."""
WALKERS = 128
"""Threads of a multiprocessor that take columns: where there are fewer columns, they are cut into segments."""
GROUP = 8
"""box_steps.cu: rows of a segment that are loaded at once."""
RINGS = 1
"""1: box_rings.cu where it is expected to be faster than box_steps.cu; 0: never. It has not run on a GPU yet."""
PLANES_SPEED = {1: 0.85, 9: 0.70}
"""Of a copy's rate, what box_planes is expected to reach, by the weights of an end [P]: unmeasured."""
LINES_SPEED = 0.88
"""The same of box_lines [P]."""
STEPS_COST = {1: 6.5, 9: 7.4}
"""Reads of the field that box_steps.cu takes as long as, by chunks through memory, on an H200."""
PLANES_THREADS, BATCH, STAGES = 256, 4, 4
"""box_rings.cu: threads of a block of box_planes, rows between its barriers, batches of rows in its stage."""
LINES, STEPS, GROUPS = 384, 4, 3
"""box_rings.cu: threads of a block of box_lines, steps between its waits, groups of so many lines on their way."""
COLUMN_BYTES = 8
"""box_rings.cu: of a line, what a thread walks along."""
FEWEST_LINES = 192
"""Threads of box_lines, below which too few bytes are on their way."""
PASS_STRIP_BYTES = 64
"""ladder/box_steps.cu: bytes of a row that one block sums along axis 1."""
PASS_LANES = 2048
"""Columns of a multiprocessor below which a walk along an axis is cut into stretches."""
ROW_UNITS = {"float": (17, 5, 1), "double": (9, 3, 1)}
LINE_UNITS = {"float": (16, 4, 1), "double": (8, 4, 1)}
"""running_extrema.cu: outputs at once, at most as many as the window has values."""
MARCHING_LANES = 512
"""running_extrema.cu: threads a multiprocessor below which lines are cut into stretches."""


@dataclass(frozen=True)
class _Steps:
    """An instance of box_steps.cu: weights of an end, threads at most, planes at once, columns of a thread."""

    ends: int
    threads: int
    batch: int
    columns: int


@dataclass(frozen=True)
class _Rings:
    """Launches of box_rings.cu.

    strips, width, slots, stage_half, planes_shared    of box_planes, as there
    threads, line_slots, lines_shared                  of box_lines, as there
    cost                                               reads of the field that they are expected to take as long as
    """

    strips: int
    width: int
    slots: int
    stage_half: int
    planes_shared: int
    threads: int
    line_slots: int
    lines_shared: int
    cost: float


_INSTANCES = {
    "float": (_Steps(1, 256, 2, 2), _Steps(1, 512, 2, 2), _Steps(9, 256, 2, 2), _Steps(9, 512, 1, 2)),
    "double": (_Steps(1, 256, 2, 1), _Steps(1, 512, 2, 1), _Steps(9, 256, 1, 1), _Steps(9, 512, 1, 1)),
}


class Running(Memory):
    """Sliding windows; see device.Device for what each method promises."""

    @staticmethod
    def box_filter_in_passes(n_values: int, dtype: str) -> float:
        """Measured at 1024^3, by box_steps.cu: 3.7 times a copy in either precision. Rings: 4.5 to 5.9 [P]."""
        return 7.4

    def box_filter(self, values: Any, windows: Sequence[Any]) -> Any:
        """Two passes with rings; or two chunks of planes a launch; or one axis a launch where rows are too long."""
        if is_fortran_ordered(values):
            return self.box_filter(values.T, windows[::-1]).T
        if values.size == 0:
            return self.empty(values.shape, values.dtype)
        values = self.contiguous(values)
        ends = 1 if all(w is None or max(len(w.head), len(w.tail)) <= 1 for w in windows) else 9
        rings = self._rings(values, windows, ends) if RINGS else None
        if rings is not None and rings.cost < self._cost_of_steps(values, ends):
            out = self._box_by_rings(values, rings, windows, ends)
            if out is not None:
                return out
        for steps in _INSTANCES[c_name(values.dtype)]:
            out = self._box_by_steps(values, steps, windows) if steps.ends == ends else None
            if out is not None:
                return out
        return self._box_in_passes(values, windows, ends, self._tables_of(values, windows, ends))

    def _rings(self, values: Any, windows: Sequence[Any], ends: int) -> _Rings | None:
        """Shapes for box_rings.cu; None where its rings do not fit."""
        n0, n1, n2 = values.shape
        size, most, processors = values.dtype.itemsize, self.runtime.shared_bytes, self.runtime.n_multiprocessors
        inside = [ends + (0 if window is None else window.inside) for window in windows]  # the ones of walk.cuh
        warm = [(window + ends - 1) / n for window, n in zip(inside, values.shape, strict=True)]

        width = _up(-(-n2 // -(-n2 * size // (PLANES_THREADS * COLUMN_BYTES))), 32 // size)
        strips = -(-n2 // width)
        slots = _up(inside[1] + 2 * BATCH, BATCH)
        stage_half = _half(width * size + (inside[2] + ends + 2) * size)
        planes_shared = 32 * (slots * _half(PLANES_THREADS * COLUMN_BYTES) + STAGES * BATCH * stage_half)

        line_slots = _up(inside[0] + (GROUPS + 1) * STEPS, STEPS)
        threads = min(LINES, most // (line_slots * COLUMN_BYTES)) // 4 * 4
        if planes_shared > most or threads < FEWEST_LINES:
            return None
        items = -(-n1 * n2 * size // COLUMN_BYTES)
        each = max(1, (most + RESERVED_BYTES) // (line_slots * COLUMN_BYTES * threads + RESERVED_BYTES))
        waves = -(-items // (threads * each * processors))
        threads = min(threads, _up(-(-items // (waves * each * processors)), 4))
        blocks = n0 * strips
        at_once = processors * max(1, (most + RESERVED_BYTES) // (planes_shared + RESERVED_BYTES))
        idle = -(-blocks // at_once) * at_once / blocks * strips * PLANES_THREADS * COLUMN_BYTES / (n2 * size)
        cost = 0.0
        if windows[1] is not None or windows[2] is not None:
            cost += (2 + warm[1]) * idle / PLANES_SPEED[ends]
        if windows[0] is not None:
            cost += (2 + warm[0]) * waves * threads * each * processors / items / LINES_SPEED
        lines_shared = line_slots * COLUMN_BYTES * threads
        return _Rings(strips, width, slots, stage_half, planes_shared, threads, line_slots, lines_shared, cost)

    def _cost_of_steps(self, values: Any, ends: int) -> float:
        """Reads of the field that box_steps.cu is expected to take as long as; fewer by chunks that stay in cache."""
        plane_bytes = values[0].nbytes
        in_cache = CACHE_SHARE * self.runtime.cache_bytes / plane_bytes >= 2 * SHORT_CHUNK + 2
        return 0.0 if in_cache or len(values) * plane_bytes < self.runtime.cache_bytes else STEPS_COST[ends]

    def _box_by_rings(self, values: Any, rings: _Rings, windows: Sequence[Any], ends: int) -> Any:
        """The launches of box_rings.cu, one for planes and one for lines; None where the device has no room for it."""
        n0, n1, n2 = values.shape
        size, one = values.dtype.itemsize, values.dtype.type
        in_planes, along_lines = windows[1] is not None or windows[2] is not None, windows[0] is not None
        if not in_planes and not along_lines:
            return values.copy()
        out = self.empty(values.shape, values.dtype)
        try:
            middle = self.empty(values.shape, values.dtype) if in_planes and along_lines else out
        except DeviceError:
            return None
        lines, _ = _lines(values, windows, ends)
        scales = [1.0 if window is None else window.scale for window in windows]
        opposite = [ends > 1 and _is_opposite(line) for line in lines]
        for line, scale in zip(lines[:2], (scales[0], scales[1] * scales[2]), strict=True):
            line["head"] *= one(scale)
            line["tail"] *= one(scale)
        kind = f"{c_name(values.dtype)}, {ends}"
        if in_planes:
            instance = f"box_planes<{kind}, {c_bool(opposite[1] and opposite[2])}, {c_bool(n2 * size % 16 == 0)}>"
            numbers = (np.int32(n) for n in (n1, n2, rings.width, rings.slots, rings.stage_half))
            arguments = (values, middle, lines[1], lines[2], one(scales[1] * scales[2]), *numbers)
            grid = (n0 * rings.strips,)
            self.runtime.launch(RINGS_FILE, instance, grid, (PLANES_THREADS,), arguments, rings.planes_shared)
        if along_lines:
            items = -(-n1 * n2 * size // COLUMN_BYTES)
            instance = f"box_lines<{kind}, {c_bool(opposite[0])}, {c_bool(n1 * n2 * size % COLUMN_BYTES == 0)}>"
            sizes = (np.int32(n0), np.int64(n1 * n2), np.int32(rings.line_slots))
            arguments = (middle if in_planes else values, out, lines[0], one(scales[0]), *sizes)
            grid = (-(-items // rings.threads),)
            self.runtime.launch(RINGS_FILE, instance, grid, (rings.threads,), arguments, rings.lines_shared)
        return out

    def _tables_of(self, values: Any, windows: Sequence[Any], ends: int) -> tuple[Any, Any, Any]:
        """What ladder/box_steps.cu wants of the windows: places, weights, the scale of all."""
        lines, scale = _lines(values, windows, ends)
        places = [[line[name] for name in _PLACES] for line in lines]
        weights = [[line["head"], line["tail"]] for line in lines]
        return self.table(places, np.int32), self.table(weights, values.dtype), scale

    def _box_by_steps(self, values: Any, steps: _Steps, windows: Sequence[Any]) -> Any:
        """The launches of box_steps.cu, one for each chunk and one more; None where rows are too long for it."""
        n0, n1, n2 = values.shape
        size = values.dtype.itemsize
        word = 16 // size
        threads = 32 * steps.batch * -(-n2 // (32 * steps.batch * word))
        room = -(-(2 * word + steps.ends - 2) // word) * word
        shared = 2 * steps.batch * -(-(n2 + room) // word) * 16
        if threads > steps.threads or shared + MOST_DECLARED > self.runtime.shared_bytes:
            return None
        pitch = -(-n2 // word) * word
        chunk = self._planes_of_a_chunk(values, steps, n1 * pitch * size)
        chunks = -(-n0 // chunk)
        aligned = n2 % word == 0
        columns = steps.columns if aligned else 1
        instance = f"box_steps<{c_name(values.dtype)}, {steps.ends}, {steps.threads}, {steps.batch}, {columns}, "
        instance += f"{c_bool(aligned)}>"
        walkers = chunk * -(-n2 // columns)
        segments = max(1, min(n1 // GROUP, self.runtime.n_multiprocessors * WALKERS // walkers))
        segment = -(-n1 // (segments * GROUP)) * GROUP
        segments = -(-n1 // segment)

        out = self.empty(values.shape, values.dtype)
        middle = [self.empty((chunk, n1, pitch), values.dtype) for _ in range(2 if OVERLAP and chunks > 1 else 1)]
        state = self.empty((n1, 2, threads * word), values.dtype)
        lines, scale = _lines(values, windows, steps.ends)
        sizes = tuple(np.int32(n) for n in (n0, n1, n2, pitch))
        pairs = [(c, c - 1) for c in range(chunks + 1)]  # whose rows and whose columns a launch takes
        if not OVERLAP:
            pairs = [pair for c in range(chunks) for pair in ((c, -1), (chunks, c))]
        for rows_of, columns_of in pairs:
            begin, done = rows_of * chunk, max(columns_of, 0) * chunk
            planes = min(chunk, max(n0 - begin, 0))
            ready = min(chunk, n0 - done) if columns_of >= 0 else 0
            rows, column_blocks = n1 if planes else 0, -(-ready * segments * -(-n2 // columns) // threads)
            head, tail = (int(begin + lines[0][name]) % n0 for name in ("at_head", "at_tail"))
            numbers = (begin, planes, head, tail, done, ready, segment, rows, column_blocks)
            arguments = (values, out, middle[rows_of % len(middle)], middle[columns_of % len(middle)], state, *lines)
            arguments += (scale, *sizes, *(np.int32(n) for n in numbers))
            self.runtime.launch(STEPS_FILE, instance, (rows + column_blocks,), (threads,), arguments, shared)
        return out

    def _planes_of_a_chunk(self, values: Any, steps: _Steps, plane_bytes: int) -> int:
        """As many as stay in cache beside two planes of running sums; else many, through memory."""
        fits = int(CACHE_SHARE * self.runtime.cache_bytes / plane_bytes - 2) // (2 if OVERLAP else 1)
        chunk = LONG_CHUNK if fits < SHORT_CHUNK else min(fits, LONG_CHUNK)
        return -(-min(chunk // steps.batch * steps.batch, len(values)) // steps.batch) * steps.batch

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
        if axis == 0 or shared + MOST_DECLARED > self.runtime.shared_bytes:
            stretches = max(1, min(-(-n // 64), PASS_LANES * self.runtime.n_multiprocessors // (outer * inner)))
            grid: tuple[int, ...] = (-(-outer * inner // 256), stretches)
            self.runtime.launch(PASSES_FILE, f"box_walk<{name}, {ends}>", grid, (256,), arguments)
        elif inner == 1:
            grid = (-(-outer // lines),)
            self.runtime.launch(PASSES_FILE, f"box_rows<{name}, {ends}>", grid, (256,), arguments, shared)
        else:
            grid = (outer * -(-inner // lines),)
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
        width, start, room = min(width, n), start % n, self.runtime.shared_bytes - MOST_DECLARED
        outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
        unit = next(u for u in ROW_UNITS[name] if u <= width)
        shared = (2 * (-(-n // 4) * 4) + n + width + unit - 1 + 4 * ((n + width - 1) // unit)) * size
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


def _up(n: int, step: int) -> int:
    """The next multiple of step."""
    return -(-n // step) * step


def _half(row_bytes: int) -> int:
    """Words of half a row of box_rings.cu: 4 modulo 8."""
    return _up(-(-row_bytes // 32) - 4, 8) + 4


def _is_opposite(line: Any) -> bool:
    """True if the weights of a line's tail, less one, are those of its head, negated: windows of whole widths."""
    return bool(np.abs(line["tail"] + line["head"]).max() <= 2 * np.finfo(line["head"].dtype).eps)


_PLACES = ("at_head", "at_tail", "at_ones", "rest", "laps")


def _lines(values: Any, windows: Sequence[Any], ends: int) -> tuple[list[Any], Any]:
    """What a kernel wants of the windows, an axis each (Line of walk.cuh), and the scale of all."""
    weights = [(name, values.dtype, (ends,)) for name in ("head", "tail")]
    layout = np.dtype([*weights, *((name, np.int32) for name in _PLACES)], align=True)
    lines, scale = np.zeros(3, layout), 1.0
    for line, n, window in zip(lines, values.shape, windows, strict=True):
        head, tail, start, inside = (1.0,), (0.0,), 0, 0
        if window is not None:
            head, tail, start, inside = window.head, window.tail, window.start, window.inside
            scale *= window.scale
        start -= ends - len(head)
        ones = inside + ends
        for name, place in zip(_PLACES, (start, start + ones, start + ends, ones, 0), strict=True):
            line[name] = place % n
        line["laps"] = ones // n
        line["head"][ends - len(head) :] = head
        line["tail"][: len(tail)] = tail
        line["tail"] -= 1.0
    return list(lines), values.dtype.type(scale)
