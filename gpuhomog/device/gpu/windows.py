"""Weighted sums along an axis: matrix products by cuBLAS, and sums over windows by box_coarse.cu and box_together.cu.

contract     1 read, n_out/n_in writes, 2 n_out flops a point
window_sum   1 read and more, 1/step writes: any window, any step
box_sums     1 read for up to eight windows whose ends are of up to four kinds: float32, every 8th point, or 16th with
             squares, rows of up to 1024 points. Else for up to four windows, or two with squares, or one. Of the field
             1/(step_b step_c) is written and read again for each, as workspace. Falls back to window_sum along each
             axis for steps below four with wide end stencils, very long rows and very short axes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...memory_order import is_fortran_ordered
from ..cpu.windows import contracted_in_order
from .memory import Memory, c_name
from .sources import instances

FILE = "box_coarse.cu"
TOGETHER_FILE = "box_together.cu"
MOST_THREADS = 512
"""Of a block of box_planes or box_columns."""
OUTPUTS_EACH = 16
"""Neighbouring outputs of a thread of window_sum."""
STRETCHES_EACH = 16
"""Stretches of a thread of box_columns."""
BLOCKS_EACH = 2
"""Blocks on a multiprocessor: what shared memory is divided among, and blocks whose rings lie in global memory."""
TOGETHER_THREADS = 256
"""Of a block of box_planes_together, at most."""
LEAST_TOGETHER, MOST_TOGETHER = 2, 8
"""Windows that a launch of box_planes_together sums; fewer are left to box_planes."""
MOST_KINDS = 4
"""Kinds of ends that these windows may have, none without an instance."""


@dataclass(frozen=True)
class Instance:
    """An instance of box_planes: kernel name and template parameters."""

    name: str
    step: int
    groups: int
    windows: int
    powers: int

    def columns(self, vector: int) -> int:
        """Columns of a thread, where 16 bytes hold `vector`: fewer where it has much else to keep."""
        return vector // 2 if self.windows * self.powers >= 4 else vector

    def shared_bytes(self, n_out: Sequence[int], steps: Sequence[int], ring_rows: int, itemsize: int) -> int:
        """Dynamic shared memory, as PlaneMemory of box_coarse.cu lays it out."""
        (_, _, n_x), (_, step_b, step_c), vector = n_out, steps, 16 // itemsize
        cells = 1 if self.step == 0 else vector if self.step * self.powers <= 8 else vector // 2
        chunks = -(-n_x // cells)  # of the cells of a lane
        edges = chunks * (cells + 1) if cells > 1 else n_x
        numbers = self.windows * self.powers
        doubles = 6 * numbers * edges + 3 * numbers + (numbers + ring_rows) * n_x
        columns = chunks * (cells * step_c + vector) if self.step else -(-n_x * step_c // vector) * vector
        along_b = step_b * -(-2 * self.groups * self.windows // vector) * vector
        along_c = 2 * self.windows * self.groups * step_c
        others = self.powers * (1 + 2 * self.windows) * columns + along_b + along_c
        return (doubles + 1) // 2 * 16 + others * itemsize


@dataclass(frozen=True)
class Together:
    """An instance of box_planes_together: kernel name and template parameters."""

    name: str
    step: int
    kinds: int
    powers: int

    def shared_bytes(self, n_x: int, threads: int, n_windows: int, ring_rows: int, itemsize: int) -> int:
        """Dynamic shared memory, as BlockMemory of box_together.cu lays it out."""
        vector, ends = 16 // itemsize, 2 * self.kinds
        cells, rows = 8 * vector // self.step, self.powers * (1 + ends)
        columns = (-(-n_x // cells) + 1) * (rows * cells * self.step + vector)
        along_b = (self.step + 1) * (-(-ends // vector) + 1) * vector
        along_c = ends * ((self.step + 1 + vector) // vector * vector)
        others = self.powers * 3 * ends * 32 * cells + columns + self.step * threads * vector + along_b + along_c
        doubles = rows * (32 * cells + 2) + (n_windows * self.powers + ring_rows) * n_x
        return doubles * 8 + others * itemsize + (4 * rows + 9 * MOST_TOGETHER) * 4


@dataclass(frozen=True, eq=False)
class Stretches:
    """A window cut into stretches of `step` samples, the same for all outputs.

    first   stretch in which output 0 begins
    before  (stretches, step) weights at the lower end
    inside  stretches of weight one
    after   (stretches, step) weights at the upper end
    """

    first: int
    before: NDArray[np.float64]
    inside: int
    after: NDArray[np.float64]

    @property
    def groups(self) -> int:
        """Stretches that an end takes."""
        return max(1, len(self.before), len(self.after))

    def span(self, groups: int, n_out: int) -> tuple[int, int, int]:
        """(shift, r, laps) of box_coarse.cu."""
        laps, reach = divmod(groups + self.inside, n_out)
        return (self.first - (groups - len(self.before)) + groups - 1) % n_out, reach, laps

    def weights(self, groups: int) -> NDArray[np.float64]:
        """(step, 2, groups): heads, and one minus tails, padded with stretches that a window does not touch."""
        step = self.before.shape[1]
        head, tail = np.zeros((groups, step)), np.zeros((groups, step))
        head[groups - len(self.before) :] = self.before
        tail[: len(self.after)] = self.after
        return np.moveaxis(np.stack([head, 1.0 - tail]), 2, 0)


@lru_cache(maxsize=256)
def stretches(window: Any) -> Stretches | None:
    """The stretches of a window; None where other weights than one stand between whole stretches."""
    step = window.step
    weights = np.concatenate([window.head, np.ones(window.inside), window.tail])
    lead = window.start % step
    laid = np.zeros(-(-(lead + len(weights)) // step) * step)
    laid[lead : lead + len(weights)] = weights
    laid = laid.reshape(-1, step)
    whole = np.flatnonzero((laid == 1.0).all(axis=1))
    if not whole.size:
        begin = end = -(-len(laid) // 2)
    else:
        begin, end = int(whole[0]), int(whole[-1]) + 1
        if end - begin != whole.size:
            return None
    return Stretches((window.start - lead) // step, laid[:begin], end - begin, laid[end:])


@cache
def plane_instances(c_type: str) -> tuple[Instance, ...]:
    """What box_coarse.cu declares for a type."""
    found = []
    for name in instances(FILE):
        match = re.fullmatch(rf"box_planes<{c_type}, (\d+), (\d+), (\d+), (\d+)>", name)
        if match:
            found.append(Instance(name, *map(int, match.groups())))
    return tuple(found)


def plane_instance(c_type: str, step: int, groups: int, n_windows: int, n_powers: int) -> Instance | None:
    """The instance for a step, ends of that many stretches and, if it can be, all windows at once."""
    fitting = [
        i for i in plane_instances(c_type) if i.step in (step, 0) and i.groups >= groups and i.powers == n_powers
    ]

    def cost(i: Instance) -> tuple[bool, int, bool, int]:
        return i.step == 0, i.groups, i.windows < n_windows, abs(i.windows - n_windows)

    return min(fitting, key=cost, default=None)


@cache
def together_instances(c_type: str, step: int, n_powers: int) -> dict[int, Together]:
    """What box_together.cu declares for a type, step and powers, by kinds of ends."""
    pattern = rf"box_planes_together<{c_type}, {step}, (\d+), {n_powers}>"
    found = (re.fullmatch(pattern, name) for name in instances(TOGETHER_FILE))
    return {int(match[1]): Together(match[0], step, int(match[1]), n_powers) for match in found if match}


@lru_cache(maxsize=512)
def short_end(start: int, weights: tuple[float, ...], step: int) -> tuple[int, int, NDArray[np.float64]] | None:
    """(i, first, weights) of box_planes_together: an end that begins at sample `start`, with what counts below it.

    The weights are (step + 1,): of rows `first` of stretch i - 1 to `first` of i. None for ends that take more samples.
    """
    if len(weights) > step + 1:
        return None
    before, first = divmod(start, step)
    below = np.zeros(step + 1)
    below[: len(weights)] = weights
    below[: step - first] -= 1.0  # of stretch i - 1, which C(i - 1) holds
    return before + 1, first, below


@dataclass(frozen=True, eq=False)
class EndTables:
    """What box_planes_together has of some windows, whose ends are of `kinds` different kinds.

    along_b, along_c, firsts, spans   as the kernel has them
    ring_ends                         where each window's rows of the rings end; the least reach comes first
    """

    kinds: int
    along_b: NDArray[np.float64]
    along_c: NDArray[np.float64]
    firsts: NDArray[np.int32]
    spans: NDArray[np.int32]
    ring_ends: tuple[int, ...]


@lru_cache(maxsize=64)
def end_tables(
    pairs: tuple[tuple[Any, Any], ...], most_kinds: int, n_powers: int, n_out: tuple[int, ...]
) -> EndTables | None:
    """Of the first windows along b and c: as many as have short ends of so many kinds. None where none has."""
    step = pairs[0][0].step
    known: dict[Any, int] = {}
    rows, taps = np.zeros((step + 1, 2 * most_kinds)), np.zeros((2 * most_kinds, step + 1))
    firsts, spans = np.zeros((2, 2 * most_kinds), np.int32), []
    for pair in pairs:
        ends = []
        for window in pair:
            ends.append(short_end(window.start, tuple(1.0 - weight for weight in window.head), step))
            ends.append(short_end(window.start + len(window.head) + window.inside, window.tail, step))
        if None in ends:
            break
        found = [end for end in ends if end is not None]
        key = tuple((first, *weights.round(12)) for _, first, weights in found)  # widths of as many samples round alike
        if key not in known and len(known) == most_kinds:
            break
        kind = known.setdefault(key, len(known))
        for number, (_, first, weights) in enumerate(found):
            end = 2 * kind + number % 2
            firsts[number // 2, end] = first
            if number >= 2:
                taps[end] = weights
            else:  # row `first` ends one and begins the next
                rows[(first + np.arange(1, step + 1)) % step, end] = weights[1:]
                rows[step, end] = weights[0]
        (low_b, high_b, low_c, high_c), (_, n_y, n_x) = (i for i, _, _ in found), n_out
        reach_b, reach_c = divmod(high_b - low_b, n_y), divmod(high_c - low_c, n_x)
        spans.append((high_b % n_y, *reach_b[::-1], 0, low_c % n_x, *reach_c[::-1], kind))
    if not spans:
        return None
    table, ends_used = np.array(spans, np.int32), 2 * len(known)
    order = np.argsort(table[:, 1], kind="stable")
    ring_ends = np.cumsum(table[order, 1] * n_powers)
    table[order, 3] = ring_ends - table[order, 1] * n_powers
    shown = rows[:, :ends_used], taps[:ends_used], firsts[:, :ends_used]
    return EndTables(len(known), *shown, table, tuple(map(int, ring_ends)))


@lru_cache(maxsize=64)
def plane_tables(
    pairs: tuple[tuple[Stretches, ...], ...], groups: int, n_powers: int, n_out: tuple[int, ...], width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int32], int]:
    """Weights along b (rows padded to a multiple of `width`) and c, spans, rows of the ring; as box_planes has them."""
    along_b = np.stack([b.weights(groups) for b, _ in pairs], axis=1)
    rows = along_b.reshape(len(along_b), -1)
    padded = np.zeros((len(rows), -(-rows.shape[1] // width) * width))
    padded[:, : rows.shape[1]] = rows
    along_c = np.stack([np.moveaxis(c.weights(groups), 2, 0).reshape(-1, 2) for _, c in pairs])
    spans, ring_rows = [], 0
    for b, c in pairs:
        shift, reach, laps = b.span(groups, n_out[1])
        spans.append([(shift + reach) % n_out[1], reach, laps, ring_rows, *c.span(groups, n_out[2])])
        ring_rows += reach * n_powers
    return padded, along_c, np.array(spans, np.int32), ring_rows


class Windows(Memory):
    """Linear maps along one axis; see device.Device for what each method promises."""

    sums_in_passes: ClassVar[float] = 1.1
    """At 1024^3 in float32 on an H200, at every 8th point."""

    def contract(self, values: Any, matrix: NDArray[np.float64], axis: int) -> Any:
        """One matrix product along the axis; the matrix takes the precision of the values."""
        if is_fortran_ordered(values):
            return self.contract(values.T, matrix, 2 - axis).T
        xp = self.runtime.xp
        n_out = matrix.shape[0]
        weights = self.table(matrix, values.dtype)
        values = self.contiguous(values)
        n0, n1, n2 = values.shape
        if values.size == 0:
            shape = [n0, n1, n2]
            shape[axis] = n_out
            return xp.zeros(shape, values.dtype)
        if axis == 0:
            return (weights @ values.reshape(n0, n1 * n2)).reshape(n_out, n1, n2)
        if axis == 1:
            return xp.matmul(weights, values)
        return (values.reshape(n0 * n1, n2) @ weights.T).reshape(n0, n1, n_out)

    def contract_in_order(self, values: Any, matrix: NDArray[np.float64], axis: int) -> Any:
        """Sample by sample, an elementwise kernel each: slow, and the same bits whatever the shape."""
        return contracted_in_order(self.runtime.xp, values, matrix, axis)

    def window_sum(self, values: Any, axis: int, window: Any, n_out: int) -> Any:
        """A thread moves the sum along a few neighbouring outputs; everything in float64."""
        if is_fortran_ordered(values):
            return self.window_sum(values.T, 2 - axis, window, n_out).T
        values = self.contiguous(values)
        shape = list(values.shape)
        shape[axis] = n_out
        out = self.empty(shape, values.dtype)
        outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
        self._window_sum(values, out, (outer, values.shape[axis], inner, n_out), window)
        return out

    def _window_sum(self, values: Any, out: Any, sizes: tuple[int, int, int, int], window: Any) -> None:
        """window_sum of (outer, n, inner) to (outer, n_out, inner)."""
        outer, _, inner, n_out = sizes
        ends = self.table([*window.head, *window.tail, 0.0], np.float64)
        arguments = (
            *(values, out, ends, *(np.int64(n) for n in sizes), np.int64(window.step), np.int64(window.start)),
            *(np.int32(len(window.head)), np.int64(window.inside), np.int32(len(window.tail))),
            np.float64(window.scale),
        )
        n_threads = outer * -(-n_out // OUTPUTS_EACH) * inner
        self.runtime.launch(FILE, f"window_sum<{c_name(values.dtype)}>", (-(-n_threads // 128),), (128,), arguments)

    def box_sums(self, values: Any, windows: Sequence[Sequence[Any]], n_powers: int = 1, centre: float = 0.0) -> Any:
        """As many windows in one read as an instance takes; then the slowest axis, on 1/(step_b step_c) of it."""
        planes_alone = None in windows[0]
        if windows[0][2] is None if planes_alone else is_fortran_ordered(values):
            turned = self.box_sums(self.contiguous(values.T), [triple[::-1] for triple in windows], n_powers, centre)
            return turned.transpose(0, 1, 4, 3, 2)
        values = self.contiguous(values)
        steps = [1 if window is None else window.step for window in windows[0]]
        n_out = tuple(n // step for n, step in zip(values.shape, steps, strict=True))
        out = self.empty((len(windows), n_powers, *n_out), values.dtype)
        if values.size == 0:
            return out
        done = 0
        while done < len(windows):
            rest = (values, windows[done:], n_powers, centre, n_out, out[done:])
            done += self._box_sums_together(*rest) or self._some_box_sums(*rest)
        return out

    def _some_box_sums(
        self, values: Any, windows: Sequence[Sequence[Any]], n_powers: int, centre: float, n_out: Any, out: Any
    ) -> int:
        """Write the first windows' sums; how many."""
        dtype, (n_planes, _, n_c) = values.dtype, values.shape
        vector = 16 // dtype.itemsize
        summed = [window for window in windows[0] if window is not None]  # of planes alone, two
        cut = [tuple(stretches(window) for window in triple if window is not None) for triple in windows]
        known = [triple for triple in cut if None not in triple]
        groups = max((s.groups for triple in known for s in triple if s is not None), default=1)
        step_a, step_b, step_c = (1, *(window.step for window in summed))[-3:]
        step = step_b if step_b == step_c else 0
        for n_windows in (len(windows), 1):  # a thread has more columns where it has one window
            instance = plane_instance(c_name(dtype), step, groups, n_windows, n_powers)
            threads = 0 if instance is None else -(-n_c // (32 * instance.columns(vector))) * 32
            if threads <= MOST_THREADS:
                break
        shortest = min(n_out[-len(summed) :])
        if instance is None or len(known) < len(cut) or threads > MOST_THREADS or shortest < instance.groups:
            return self._box_sums_by_axis(values, windows[0], n_powers, centre, n_out, out)

        n_windows = min(instance.windows, len(windows))
        chosen = tuple(cut[min(w, n_windows - 1)] for w in range(instance.windows))
        in_planes = tuple(triple[-2:] for triple in chosen)
        along_b, along_c, spans, ring_rows = plane_tables(in_planes, instance.groups, n_powers, n_out, vector)
        numbers = instance.windows * n_powers

        def shared_bytes(ring: int) -> int:
            return instance.shared_bytes(n_out, (step_a, step_b, step_c), ring, dtype.itemsize)

        ring_is_shared = shared_bytes(ring_rows) <= self.runtime.shared_bytes // BLOCKS_EACH
        if not ring_is_shared and shared_bytes(0) > self.runtime.shared_bytes:
            return self._box_sums_by_axis(values, windows[0], n_powers, centre, n_out, out)
        blocks = n_planes if ring_is_shared else min(n_planes, BLOCKS_EACH * self.runtime.n_multiprocessors)
        rings = self.empty((1 if ring_is_shared else blocks * ring_rows, n_out[2]), np.float64)
        planes = self.empty((numbers, n_planes, *n_out[1:]), dtype)
        arguments = (
            *(values, planes, rings, self.table(along_b, dtype), self.table(along_c, dtype)),
            *(self.table(spans, np.int32), np.int32(n_planes), np.int32(n_out[1]), np.int32(n_out[2])),
            *(np.int32(step_b), np.int32(step_c), dtype.type(centre), np.int32(ring_rows), np.int32(ring_is_shared)),
        )
        shared = shared_bytes(ring_rows if ring_is_shared else 0)
        self.runtime.launch(FILE, instance.name, (blocks,), (threads,), arguments, shared)
        along = [triple[0] for triple in chosen] if len(summed) == 3 else None
        return self._finished(planes, windows[:n_windows], along, instance.groups, n_powers, out)

    def _box_sums_together(
        self, values: Any, windows: Sequence[Sequence[Any]], n_powers: int, centre: float, n_out: Any, out: Any
    ) -> int:
        """Write the sums of the first windows from one read; how many, none where box_planes is to do it."""
        dtype, (n_planes, _, n_c) = values.dtype, values.shape
        threads = -(-n_c * dtype.itemsize // (32 * 16)) * 32
        slowest = [stretches(window) for window, _, _ in windows[:MOST_TOGETHER] if window is not None]
        along = [each for each in slowest if each is not None]
        groups = max((s.groups for s in along), default=1)
        most_groups = min(2, n_out[0])  # that box_columns has instances for, and the axis stretches
        _, step, other = (1 if window is None else window.step for window in windows[0])
        if step != other or threads > TOGETHER_THREADS or len(along) < len(slowest) or groups > most_groups:
            return 0
        declared = together_instances(c_name(dtype), step, n_powers)
        for most_kinds in range(MOST_KINDS if declared else 0, 0, -1):
            pairs = tuple((along_b, along_c) for _, along_b, along_c in windows[:MOST_TOGETHER])
            tables = end_tables(pairs, most_kinds, n_powers, n_out)
            if tables is None or len(tables.spans) < LEAST_TOGETHER:
                return 0
            n_windows, instance = len(tables.spans), declared[tables.kinds]
            ring_rows, fit = tables.ring_ends[-1], self.runtime.shared_bytes
            shared = {
                rows: instance.shared_bytes(n_out[2], threads, n_windows, rows, dtype.itemsize)
                for rows in (0, *tables.ring_ends)
            }
            if shared[0] > fit:
                continue
            fit = fit // BLOCKS_EACH if shared[0] <= fit // BLOCKS_EACH else fit
            shared_rows = max(rows for rows in shared if shared[rows] <= fit)
            outside = ring_rows - shared_rows
            blocks = min(n_planes, BLOCKS_EACH * self.runtime.n_multiprocessors) if outside else n_planes
            rings = self.empty((max(1, blocks * outside), n_out[2]), np.float64)
            planes = self.empty((n_windows * n_powers, n_planes, *n_out[1:]), dtype)
            arguments = (
                *(values, planes, rings, self.table(tables.along_b, dtype), self.table(tables.along_c, dtype)),
                *(self.table(tables.firsts, np.int32), self.table(tables.spans, np.int32), np.int32(n_windows)),
                *(np.int32(n_planes), np.int32(n_out[1]), np.int32(n_out[2]), dtype.type(centre)),
                *(np.int32(ring_rows), np.int32(shared_rows)),
            )
            self.runtime.launch(TOGETHER_FILE, instance.name, (blocks,), (threads,), arguments, shared[shared_rows])
            return self._finished(planes, windows[:n_windows], along[:n_windows] or None, groups, n_powers, out)
        return 0

    def _finished(
        self, planes: Any, windows: Sequence[Sequence[Any]], along: Any, groups: int, n_powers: int, out: Any
    ) -> int:
        """How many windows were asked for, once their planes are finished: the slowest axis, or the scale alone."""
        if along is not None:
            self._box_columns(planes, windows, along, groups, n_powers, out)
            return len(windows)
        for w, (_, along_b, along_c) in enumerate(windows):
            scale = planes.dtype.type(along_b.scale * along_c.scale)
            self.runtime.xp.multiply(planes[w * n_powers : (w + 1) * n_powers], scale, out=out[w])
        return len(windows)

    def _box_columns(
        self, planes: Any, windows: Sequence[Sequence[Any]], along: Sequence[Any], groups: int, n_powers: int, out: Any
    ) -> None:
        """Finish the slowest axis of (windows * powers, n_planes, ..) planes."""
        dtype, n_planes = planes.dtype, planes.shape[1]
        n_z, n_columns = out.shape[2], int(np.prod(planes.shape[2:]))
        scales = [triple[0].scale * triple[1].scale * triple[2].scale for triple in windows]
        step = windows[0][0].step
        for lanes in (32, 16, 8):
            segments = min(MOST_THREADS // lanes, -(-n_z // STRETCHES_EACH))
            shared = (2 * n_z + segments) * lanes * 8 + 2 * groups * step * dtype.itemsize
            if shared <= self.runtime.shared_bytes // BLOCKS_EACH:
                break
        if shared > self.runtime.shared_bytes:
            for w, (window, _, _) in enumerate(windows):
                scaled = type(window)(**{**vars(window), "scale": scales[w]})
                for p in range(n_powers):
                    self._window_sum(planes[w * n_powers + p], out[w, p], (1, n_planes, n_columns, n_z), scaled)
            return
        weights = np.stack([s.weights(groups) for s in along])
        spans = [s.span(groups, n_z) for s in along]
        arguments = (
            *(planes, out, self.table(weights, dtype), self.table(spans, np.int32), self.table(scales, np.float64)),
            *(np.int32(n_z), np.int32(step), np.int64(n_columns), np.int32(n_powers)),
        )
        name = f"box_columns<{c_name(dtype)}, {step}, {groups}>"
        if name not in instances(FILE):
            name = f"box_columns<{c_name(dtype)}, 0, {groups}>"
        grid = (-(-n_columns // lanes), len(windows) * n_powers)
        self.runtime.launch(FILE, name, grid, (lanes, segments), arguments, shared)

    def _box_sums_by_axis(
        self, values: Any, triple: Sequence[Any], n_powers: int, centre: float, n_out: Any, out: Any
    ) -> int:
        """One window, one axis after another."""
        deviation = values - values.dtype.type(centre)
        power = deviation
        for p in range(n_powers):
            sums = power
            summed = [axis for axis in range(3) if triple[axis] is not None]
            for axis in sorted(summed, key=lambda axis: -triple[axis].step):
                sums = self.window_sum(sums, axis, triple[axis], n_out[axis])
            out[0, p] = sums
            power = power * deviation
        return 1
