"""Loops that NumPy cannot fuse, compiled by Numba where it is installed; the compiled code is kept on disk.

box_planes   window sums along all three axes: planes slide in float64, then the lines within each plane, in cache

Nothing drifts: running sums carry their rounding errors with them, or are of deviations from the mean of a line. The
interpreter is released, so that threads can share the planes.
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

    The longer end says how many; samples with weight 0 are put before the head or behind the tail.
    """
    if window is None:
        return False, 0, 0, 1.0, np.zeros(0), np.zeros(0)
    n = max(len(window.head), len(window.tail))
    head, tail = np.zeros(n), np.zeros(n)
    head[n - len(window.head) :] = window.head
    tail[: len(window.tail)] = window.tail
    start = window.start - (n - len(window.head))
    return True, start, window.inside, window.scale, window.scale * head, window.scale * tail


def compiled(function: Callable[..., Any], *freedoms: str) -> Callable[..., Any]:
    """The function in machine code; `freedoms` are those that its arithmetic may take beside multiply-adds."""
    allowed = {"contract", *freedoms}
    try:
        return njit(nogil=True, cache=True, fastmath=allowed)(function)
    except RuntimeError:  # no folder that the cache could be written to
        return njit(nogil=True, fastmath=allowed)(function)


def in_any_order(line: Any) -> float:
    """The sum of a line."""
    total = 0.0
    for value in line:
        total += value
    return total


add_up = compiled(in_any_order, "reassoc")


@compiled
def exchange(high: Any, low: Any, enters: Any, leaves: Any, scale: float, out: Any) -> None:
    """Write scale times high + low, then add one line and take away another without loss (Knuth's sums)."""
    for j in range(len(high)):
        total, rest, value = high[j], low[j], float(enters[j])
        out[j] = scale * (total + rest)
        more = total + value
        part = more - total
        rest += (total - (more - part)) + (value - part)
        value = -float(leaves[j])
        total = more + value
        part = total - more
        low[j] = rest + (more - (total - part)) + (value - part)
        high[j] = total


@compiled
def add(high: Any, low: Any, line: Any, times: float) -> None:
    """Add a line to high + low without loss (Knuth's sum)."""
    for j in range(len(high)):
        value = times * line[j]
        total = high[j] + value
        part = total - high[j]
        low[j] += (high[j] - (total - part)) + (value - part)
        high[j] = total


@compiled
def add_ends(out: Any, before: Any, after: Any, head: float, tail: float) -> None:
    """Add a sample of either end, each with its weight."""
    for j in range(len(out)):
        out[j] += head * before[j] + tail * after[j]


@compiled
def slide_planes(values: Any, k: int, numbers: Any, high: Any, low: Any, out: Any) -> None:
    """The window sum at plane k from high + low, which go on to the next plane."""
    _, start, inside, scale, head, tail = numbers
    n = len(values)
    first = k + start + len(head)
    after = first + inside
    entering, leaving = values[after % n], values[first % n]
    for begin in range(0, len(out), TOGETHER):
        some = range(begin, min(begin + TOGETHER, len(out)))
        for i in some:
            exchange(high[i], low[i], entering[i], leaving[i], scale, out[i])
        for s in range(len(head)):
            before, behind = values[(k + start + s) % n], values[(after + s) % n]
            for i in some:
                add_ends(out[i], before[i], behind[i], head[s], tail[s])


@compiled
def slide_lines(plane: Any, numbers: Any, high: Any, low: Any, out: Any) -> None:
    """The window sum along the first axis of a plane."""
    _, start, inside, scale, head, tail = numbers
    n = len(plane)
    first = start + len(head)
    high[:] = 0.0
    low[:] = 0.0
    for i in range(n if inside >= n else 0):
        add(high, low, plane[i], inside // n)
    for i in range(first, first + inside % n):
        add(high, low, plane[i % n], 1.0)
    for i in range(n):
        exchange(high, low, plane[(i + first + inside) % n], plane[(i + first) % n], scale, out[i])
        for s in range(len(head)):
            before, behind = plane[(i + start + s) % n], plane[(i + first + inside + s) % n]
            add_ends(out[i], before, behind, head[s], tail[s])


@compiled
def slide_along(lines: Any, numbers: Any, unrolled: Any, means: Any, out: Any) -> None:
    """The window sum along the last axis of four lines, so that no sum waits for the one before it.

    Of what deviates from each line's mean: sums are small then, and so is what is lost in adding them up.
    """
    _, start, inside, scale, head, tail = numbers
    n = lines.shape[1]
    n_head, rest, laps, begin = len(head), inside % n, inside // n, start % n
    whole = scale * inside + head.sum() + tail.sum()
    for r in range(4):
        line, source = unrolled[r], lines[r]
        mean = add_up(source) / n
        means[r] = whole * mean
        for j in range(n - begin):
            line[j] = source[begin + j] - mean
        for j in range(begin):
            line[n - begin + j] = source[j] - mean
        for j in range(n, len(line)):
            line[j] = line[j - n]
    a = b = c = d = 0.0
    for j in range(n if laps else 0):
        a += unrolled[0, j]
        b += unrolled[1, j]
        c += unrolled[2, j]
        d += unrolled[3, j]
    a, b, c, d = a * laps, b * laps, c * laps, d * laps
    for j in range(n_head, n_head + rest):
        a += unrolled[0, j]
        b += unrolled[1, j]
        c += unrolled[2, j]
        d += unrolled[3, j]
    enters, leaves = unrolled[:, n_head + rest :], unrolled[:, n_head:]
    a_in, b_in, c_in, d_in = enters[0], enters[1], enters[2], enters[3]
    a_out, b_out, c_out, d_out = leaves[0], leaves[1], leaves[2], leaves[3]
    a_mean, b_mean, c_mean, d_mean = means[0], means[1], means[2], means[3]
    a_sum, b_sum, c_sum, d_sum = out[0], out[1], out[2], out[3]
    for j in range(n):
        a_sum[j] = scale * a + a_mean
        b_sum[j] = scale * b + b_mean
        c_sum[j] = scale * c + c_mean
        d_sum[j] = scale * d + d_mean
        a += a_in[j] - a_out[j]
        b += b_in[j] - b_out[j]
        c += c_in[j] - c_out[j]
        d += d_in[j] - d_out[j]
    for s in range(n_head):
        for r in range(4):
            add_ends(out[r], unrolled[r, s:], unrolled[r, n_head + rest + s :], head[s], tail[s])


@compiled
def box_planes(values: Any, out: Any, first_plane: int, last_plane: int, across: Any, down: Any, along: Any) -> None:
    """Planes first … last of the output for (n_0, n_1, n_2) values in C order and `numbers_of` the three windows."""
    n, n_1, n_2 = values.shape
    high, low = np.zeros((n_1, n_2)), np.zeros((n_1, n_2))
    plane, other = np.zeros((n_1 + 3, n_2)), np.zeros((n_1 + 3, n_2))
    sums, lost, means = np.empty(n_2), np.empty(n_2), np.empty(4)
    unrolled, four = np.empty((4, n_2 + along[2] % n_2 + 2 * len(along[4]) + 1)), np.empty((4, n_2))
    if across[0]:
        first = first_plane + across[1] + len(across[4])
        for k in range(n if across[2] >= n else 0):
            for i in range(n_1):
                add(high[i], low[i], values[k, i], across[2] // n)
        for k in range(first, first + across[2] % n):
            for i in range(n_1):
                add(high[i], low[i], values[k % n, i], 1.0)
    for k in range(first_plane, last_plane):
        if across[0]:
            slide_planes(values, k, across, high, low, plane[:n_1])
        else:
            plane[:n_1] = values[k]
        if down[0]:
            slide_lines(plane[:n_1], down, sums, lost, other[:n_1])
            plane, other = other, plane
        if not along[0]:
            out[k] = plane[:n_1]
            continue
        for i in range(0, n_1, 4):
            slide_along(plane[i : i + 4], along, unrolled, means, four)
            out[k, i : i + 4] = four[: min(4, n_1 - i)]
