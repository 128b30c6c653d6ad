"""Loops that NumPy cannot fuse, compiled by Numba where it is installed; the compiled code is kept on disk.

box_planes   window sums along all three axes: planes slide, then the lines within each plane, in cache

Nothing drifts: running sums of float64 values carry their rounding errors with them, or are of what deviates from the
mean of a line; those of float32 values are float64. The interpreter is released, so that threads can share the planes.
In the inner loops no view of an array is made: views are counted, which waits for all that is being stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

TOGETHER = 16
"""Lines of a plane that are taken from each of a window's planes before the next: whole pages of memory."""

Numbers = tuple[bool, int, int, float, Any, Any]


def numbers_of(window: Any) -> Numbers:
    """A window as compiled code takes it: is one, start, inside, scale, scaled weights of head and tail, as many each.

    Samples of weight 1 beside the inside belong to it. What is left of the longer end says how many weights there are:
    samples with weight 0 are put before the head or behind the tail.
    """
    if window is None:
        return False, 0, 0, 1.0, np.zeros(0), np.zeros(0)
    ends = [list(reversed(window.head)), list(window.tail)]  # outwards
    whole = [next((s for s, weight in enumerate(end) if weight != 1.0), len(end)) for end in ends]
    ends = [np.trim_zeros(end[n:], "b") for end, n in zip(ends, whole, strict=True)]
    n = max(len(end) for end in ends)
    head, tail = (window.scale * np.array([*end, *[0.0] * (n - len(end))]) for end in ends)
    start = window.start + len(window.head) - whole[0] - n
    return True, start, window.inside + sum(whole), window.scale, head[::-1].copy(), tail


def compiled(function: Callable[..., Any], *freedoms: str) -> Callable[..., Any]:
    """The function in machine code; `freedoms` are those that its arithmetic may take beside multiply-adds."""
    allowed = {"contract", *freedoms}
    try:
        return njit(nogil=True, cache=True, fastmath=allowed)(function)
    except RuntimeError:  # no folder that the cache could be written to
        return njit(nogil=True, fastmath=allowed)(function)


def in_any_order(lines: Any, r: int, n: int, less: float) -> float:
    """The sum of what the first n samples of a line have beyond a number."""
    total = 0.0
    for j in range(n):  # not over the line itself, which is not vectorized
        total += lines[r, j] - less
    return total


add_up = compiled(in_any_order, "reassoc")


@compiled
def added(high: float, low: float, value: float) -> tuple[float, float]:
    """A value added to high + low without loss (Knuth's sum)."""
    total = high + value
    part = total - high
    return total, low + ((high - (total - part)) + (value - part))


@compiled
def add_plane(values: Any, k: int, times: float, high: Any, low: Any) -> None:
    """Add a plane to high + low, or to high alone."""
    _, n_1, n_2 = values.shape
    for i in range(n_1):
        if low.size:
            for j in range(n_2):
                high[i, j], low[i, j] = added(high[i, j], low[i, j], times * values[k, i, j])
        else:
            for j in range(n_2):
                high[i, j] += times * values[k, i, j]


@compiled
def begin(values: Any, k: int, numbers: Any, high: Any, low: Any) -> None:
    """The window sum at plane k, without its ends, as high + low."""
    _, start, inside, _, head, _ = numbers
    n = len(values)
    first = k + start + len(head)
    high[:] = 0.0
    low[:] = 0.0
    for plane in range(n if inside >= n else 0):
        add_plane(values, plane, inside // n, high, low)
    for plane in range(first, first + inside % n):
        add_plane(values, plane % n, 1.0, high, low)


@compiled
def slide(values: Any, begin: int, end: int, numbers: Any, high: Any, low: Any, out: Any) -> None:
    """Write the window sums at planes begin … end from high + low, which go on; without a window, the planes.

    Float32 values have no low: what float64 sums lose of them is a billionth of their own rounding.
    """
    is_window, start, inside, scale, head, tail = numbers
    n, n_1, n_2 = values.shape
    for k in range(begin, end):
        to, first = k - begin, k + start + len(head)
        after = first + inside
        enters, leaves = after % n, first % n
        for block in range(0, n_1, TOGETHER):
            some = range(block, min(block + TOGETHER, n_1))
            for i in some:
                if not is_window:
                    for j in range(n_2):
                        out[to, i, j] = values[k, i, j]
                elif low.size:
                    for j in range(n_2):
                        total, rest = high[i, j], low[i, j]
                        out[to, i, j] = scale * (total + rest)
                        total, rest = added(total, rest, values[enters, i, j])
                        high[i, j], low[i, j] = added(total, rest, -values[leaves, i, j])
                else:
                    for j in range(n_2):
                        total = high[i, j]
                        out[to, i, j] = scale * total
                        high[i, j] = total + values[enters, i, j] - values[leaves, i, j]
            for s in range(len(head)):
                before, behind = (k + start + s) % n, (after + s) % n
                for i in some:
                    for j in range(n_2):
                        out[to, i, j] += head[s] * values[before, i, j] + tail[s] * values[behind, i, j]


@compiled
def from_place(lines: Any, place: int) -> Any:
    """Four lines seen from a place in the first on; behind the end of one is the beginning of the next."""
    n = lines.shape[1]
    return lines.reshape(lines.size)[place : place + 4 * n].reshape(4, n)


@compiled
def slide_along(enters: Any, leaves: Any, sums: Any, scale: float, means: Any, out: Any) -> None:
    """Write four sums times a scale plus their means, along lines together, so that no sum waits for the one before."""
    a, b, c, d = sums[0], sums[1], sums[2], sums[3]
    a_mean, b_mean, c_mean, d_mean = means[0], means[1], means[2], means[3]
    for j in range(out.shape[1]):
        out[0, j] = scale * a + a_mean
        out[1, j] = scale * b + b_mean
        out[2, j] = scale * c + c_mean
        out[3, j] = scale * d + d_mean
        a += enters[0, j] - leaves[0, j]
        b += enters[1, j] - leaves[1, j]
        c += enters[2, j] - leaves[2, j]
        d += enters[3, j] - leaves[3, j]


@compiled
def add_ends_along(unrolled: Any, numbers: Any, rest: int, out: Any) -> None:
    """Add the samples of both ends, each with its weight, along four lines."""
    _, _, _, _, head, tail = numbers
    for s in range(len(head)):
        before, behind = from_place(unrolled, s), from_place(unrolled, len(head) + rest + s)
        for r in range(4):
            for j in range(out.shape[1]):
                out[r, j] += head[s] * before[r, j] + tail[s] * behind[r, j]


@compiled
def write(lines: Any, out: Any, k: int, i: int, end: int) -> None:
    """Lines as rows i … end of plane k."""
    for r in range(end - i):
        for j in range(out.shape[2]):
            out[k, i + r, j] = lines[r, j]


@compiled
def box_planes(values: Any, out: Any, first_plane: int, last_plane: int, across: Any, down: Any, along: Any) -> None:
    """Planes first … last of the output for (n_0, n_1, n_2) values in C order and `numbers_of` the three windows.

    Lines are unrolled from where the window of their first sample begins. Along float64 ones go sums of what deviates
    from their mean: they are small, and so is what is lost in adding them up.
    """
    _, n_1, n_2 = values.shape
    exact = n_2 if values.itemsize == 8 else 0
    high, low, plane = np.zeros((n_1, n_2)), np.zeros((n_1, exact)), np.empty((1, n_1, n_2), values.dtype)
    lines, line_high, line_low = plane.reshape(n_1, 1, n_2), np.empty((1, n_2)), np.empty((1, exact))
    begins = along[1] % n_2
    inside, n_ends, rest = along[2], len(along[4]), along[2] % n_2
    length = max(2 * n_2 - begins, n_2 + rest + 2 * n_ends)
    unrolled, sums, means, four = np.zeros((6, length)), np.empty(4), np.empty(4), np.empty((4, n_2))
    whole, again = from_place(unrolled, n_2 - begins), from_place(unrolled, n_2)
    quartet = whole.reshape(4, 1, length)
    beyond = from_place(unrolled, 2 * n_2 - begins)
    leaves, enters = from_place(unrolled, n_ends), from_place(unrolled, n_ends + rest)
    if across[0]:
        begin(values, first_plane, across, high, low)
    for k in range(first_plane, last_plane):
        slide(values, k, k + 1, across, high, low, plane)
        if down[0]:
            begin(lines, 0, down, line_high, line_low)
        for i in range(0, n_1, 4):
            end = min(i + 4, n_1)
            slide(lines, i, end, down, line_high, line_low, quartet)
            if not along[0]:
                write(whole, out, k, i, end)
                continue
            for r in range(4):
                for j in range(n_2 - begins):
                    unrolled[r, j] = again[r, j]
                for j in range(begins + rest + 2 * n_ends - n_2):
                    beyond[r, j] = whole[r, j]
                mean = add_up(whole, r, n_2, 0.0) / n_2 if exact or inside >= n_2 else 0.0
                sums[r] = add_up(leaves, r, rest, mean)
                means[r] = along[3] * inside * mean
            if n_ends == 0 and end == i + 4:
                slide_along(enters, leaves, sums, along[3], means, out[k, i:end])
                continue
            slide_along(enters, leaves, sums, along[3], means, four)
            add_ends_along(unrolled, along, rest, four)
            write(four, out, k, i, end)
