"""Filters in Fourier space: planes by cuFFT, the slowest axis by fft_lines.cu, which transforms, multiplies and
transforms back in one read and one write.

    filter             10 passes over the values (one pass: one read or one write); 6 of a disc, along two axes
    filter_lines       2, of all points along the first axis and some rows of the second, as slabs of it have them

The forward transform goes into a spectrum of its own, the inverse into the result: a filter needs room for three
fields, and each further multiplier for two more. Multipliers of parts that only the host can evaluate are uploaded
in chunks of planes; line lengths with prime factors beyond 7 are transformed by cuFFT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from itertools import product
from math import prod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cpu.blocks import transformed_axes
from ..cpu.spectral import both_signs, sampled_lines
from ..cpu.team import share
from ..node import usable_cores
from ..padded import convolved_planes, slabs_by_planes
from .memory import Memory, c_name
from .polynomials import COEFFICIENTS, tabulated
from .runtime import MOST_DECLARED
from .sources import instances
from .transforms import transforms_of

MULTIPLY, LINES = "spectral_multiply.cu", "fft_lines.cu"
ROW_BYTES = 64
"""Of each line that a block of fft_lines holds."""
MULTIPLY_THREADS = 256
"""Threads of a block of spectral_multiply."""
ANY_THREADS = 256
"""Threads of a block that transforms lines of any length."""
CACHE_SHARE = 12.0
"""Planes transformed at once, values and spectrum together, in second-level caches.

Planes that stay in the cache (0.7) save bytes and cost launches: at 1024^3 in float32 on an H200 a filter took 19.2 ms
with 0.7, 17.2 with 1.4, 15.3 with 4 and 14.3 with 12.
"""
MOST_BATCH = 65535
"""Blocks of a grid along y."""
UPLOADED_BYTES = 64 << 20
"""Of a multiplier evaluated on the host, at a time."""
WIDE_RADIX = 32
"""First radix from which on a line's roots are read in the order in which they are needed."""
TABLES, GRADIENT, POLYNOMIAL, INVERSE_SQUARE = 1, 2, 4, 8
"""Parts of a multiplier, as multiplier.cuh has them."""


SHELLS_FILE = "shell_sums.cu"
SHELL_BLOCKS = 16
"""Blocks of shell_sums for each multiprocessor; their shared memory lets fewer run where there are many shells."""
MOST_SHELLS = 2048
"""Of one launch: more would leave a multiprocessor few blocks."""


class Evaluated(NamedTuple):
    """A multiplier as a kernel takes it: sizes along the line, the second and the halved axis, and the rest."""

    sizes: tuple[int, int, int]
    arguments: tuple[Any, ...]


class Rows(NamedTuple):
    """Rows of the second axis that are here."""

    first: int
    n: int

    @property
    def arguments(self) -> tuple[np.int32, np.int32]:
        """As kernels take them."""
        return np.int32(self.first), np.int32(self.n)


class Spectral(Memory):
    """Transforms and products of spectra; see device.Device for what each method promises."""

    scratch_bytes = 0
    pads_one_axis: ClassVar[bool] = False

    @cached_property
    def _transforms(self) -> Any:
        return transforms_of(self.runtime.xp)

    def line_power(self, values: Any, axis: int, n_lines: int) -> NDArray[np.float64]:
        """The CPU's, on the device; only the spectrum comes to the host."""
        xp = self.runtime.xp
        lines = xp.moveaxis(values[sampled_lines(values.shape, axis, n_lines)], axis, -1)
        lines = lines.reshape(-1, values.shape[axis]).astype(np.float64)
        power = xp.mean(xp.abs(xp.fft.rfft(lines, axis=1)) ** 2, axis=0)
        return both_signs(self.to_host(power), values.shape[axis])

    def shell_sums(
        self,
        spectrum: Any,
        modes: Sequence[NDArray[np.float64]],
        signed: Sequence[NDArray[np.float64]],
        weights: NDArray[np.float64],
        metric: NDArray[np.float64],
        width: float,
        n_shells: int,
    ) -> NDArray[np.float64]:
        """As many shells in a launch as shared memory holds; the blocks' sums added by CuPy."""
        shape = spectrum.shape
        if spectrum.size == 0:
            return np.zeros((3, n_shells))
        spectrum = self.contiguous(spectrum)
        tables = self.table(np.concatenate([*modes, *signed, weights]), np.float64)
        form = [metric[i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))]
        blocks = max(1, min(shape[0] * shape[1], SHELL_BLOCKS * self.runtime.n_multiprocessors))
        partial = self.empty((3, blocks, n_shells), np.float64)
        real = "float" if spectrum.dtype == np.complex64 else "double"
        at_once = min(n_shells, (self.runtime.shared_bytes - MOST_DECLARED) // 8, MOST_SHELLS)
        for what in range(3):
            for first in range(0, n_shells, at_once):
                count = min(at_once, n_shells - first)
                numbers = [np.int32(n) for n in (*shape, what, first, count, n_shells)]
                arguments = (spectrum, partial[what], tables, self.table(form, np.float64), *numbers)
                arguments += (np.float64(1 / width),)
                self.runtime.launch(SHELLS_FILE, f"shell_sums<{real}>", (blocks,), (32,), arguments, 8 * count)
        return self.to_host(partial.sum(axis=1))

    def rfftn(self, values: Any) -> Any:
        """cuFFT, three axes in one plan."""
        values = self.contiguous(values)
        spectrum = self._spectrum(values.shape, values.dtype)
        self._transforms.real_axes(values, spectrum, 3)
        return spectrum

    def rfft_planes(self, values: Any) -> Any:
        """cuFFT, some planes in a call."""
        values = self.contiguous(values)
        spectrum = self._spectrum(values.shape, values.dtype)
        if values.size:
            self._transforms.real_axes(values, spectrum, 2, self._planes_at_once(values))
        return spectrum

    def irfft_planes(self, spectrum: Any, shape: tuple[int, int, int]) -> Any:
        """cuFFT, some planes in a call, then 1/(n1 n2) in a pass of its own."""
        values = self.empty(shape, np.float32 if spectrum.dtype == np.complex64 else np.float64)
        if values.size:
            self._transforms.real_axes(self.contiguous(spectrum), values, 2, self._planes_at_once(values))
            values *= values.dtype.type(1.0 / (shape[1] * shape[2]))
        return values

    def filter_lines(self, spectrum: Any, multiplier: Any, first: int) -> Any:
        """One kernel, in place; by cuFFT and a product where that does not know the length or the multiplier."""
        spectrum = self.contiguous(spectrum)
        if not spectrum.size:
            return spectrum
        n0, scale, rows = len(spectrum), 1.0 / len(spectrum), Rows(first, spectrum.shape[1])
        plan = self._evaluated(multiplier, spectrum.real.dtype, scale) if self._has_lines(n0) else None
        if plan is not None:
            self._filter_lines(plan, spectrum.dtype, rows)(spectrum, spectrum, 1)
        else:
            self._transforms.lines(spectrum, inverse=False)
            self._multiply(spectrum, multiplier, scale, rows)
            self._transforms.lines(spectrum, inverse=True)
        return spectrum

    def ifft_lines(self, spectrum: Any) -> Any:
        """cuFFT in place, then 1/n0 in a pass of its own."""
        spectrum = self.contiguous(spectrum)
        if spectrum.size:
            self._transforms.lines(spectrum, inverse=True)
            spectrum *= spectrum.real.dtype.type(1.0 / len(spectrum))
        return spectrum

    def fft_rows(self, spectrum: Any, inverse: bool = False) -> Any:
        """CuPy's way to cuFFT, which copies: slabs that cut planes are rare."""
        transform = self.runtime.xp.fft.ifft if inverse else self.runtime.xp.fft.fft
        return transform(spectrum, axis=1).astype(spectrum.dtype, copy=False) if spectrum.size else spectrum

    def filter(self, values: Any, multipliers: Sequence[Any]) -> list[Any]:
        """Planes, lines and product, planes; only planes across which nothing depends on the first axis."""
        values = self.contiguous(values)
        if values.size == 0:
            return [self.copy(values) for _ in multipliers]
        axes = transformed_axes(multipliers)
        if 0 not in axes:
            return [self._in_planes(values, multiplier, 1 in axes) for multiplier in multipliers]
        n_axes = 2 if 1 in axes else 1
        scale = 1.0 / (values.size if n_axes == 2 else values.shape[0] * values.shape[2])
        spectrum = self._spectrum(values.shape, values.dtype)
        planes = self._planes_at_once(values)
        self._transforms.real_axes(values, spectrum, n_axes, planes)
        results: list[tuple[int, Any]] = []
        whole = False  # all axes of the spectrum are transformed
        plans = [self._line_plan(values, multiplier, scale) for multiplier in multipliers]
        for number in sorted(range(len(plans)), key=lambda i: plans[i] is None):
            plan, last = plans[number], len(results) == len(plans) - 1
            if plan is not None:
                modes = spectrum if last else self.empty(spectrum.shape, spectrum.dtype)
                self._filter_lines(plan, spectrum.dtype)(spectrum, modes, 1)
            else:
                if not whole:
                    self._transforms.lines(spectrum, inverse=False)
                    whole = True
                modes = spectrum if last else self.copy(spectrum)
                self._multiply(modes, multipliers[number], scale)
                self._transforms.lines(modes, inverse=True)
            result = self.empty(values.shape, values.dtype)
            self._transforms.real_axes(modes, result, n_axes, planes)
            results.append((number, result))
        return [result for _, result in sorted(results, key=lambda pair: pair[0])]

    def convolve(self, values: Any, multipliers: Sequence[Any]) -> list[Any]:
        """Planes, lines, planes, a padded axis across the planes: it costs no memory there.

        Where there is an axis on which nothing depends, its planes are padded and filtered.
        """
        sizes = multipliers[0].stored_shape
        if len(transformed_axes(multipliers)) < 3 and values.size:
            wide = values
            for axis in transformed_axes(multipliers):
                wide = self.pad(wide, axis, 0, sizes[axis]) if sizes[axis] > wide.shape[axis] else wide
            n_0, n_1, n_2 = values.shape
            return [self.compact(result[:n_0, :n_1, :n_2]) for result in self.filter(wide, multipliers)]
        padded = [axis for axis in range(3) if sizes[axis] > values.shape[axis]]
        order = [0, 1, 2]
        if padded:
            order.insert(0, order.pop(padded[0]))
        stored = [replace(m, order=tuple(m.order[axis] for axis in order)) for m in multipliers]
        results = convolved_planes(
            self,
            values.transpose(order),
            stored,
            empty=lambda: self.empty(values.shape, values.dtype).transpose(order),
        )
        return [result.transpose(tuple(np.argsort(order).tolist())) for result in results]

    def filter_slabs(self, planes: Any, multipliers: Sequence[Any], lines: Any, empty: Callable[[], Any]) -> list[Any]:
        """Planes, lines, planes; padded some at a time."""
        return slabs_by_planes(self, planes, multipliers, lines, empty)

    def _in_planes(self, values: Any, multiplier: Any, both: bool) -> Any:
        """A filter that acts within planes of the first axis, or (both False) along the last axis alone."""
        n0, n1, n2 = values.shape
        flat = (0,) if both else (0, 1)
        across = multiplier.across(flat)
        scale = 1.0 / (n1 * n2 if both else n2)
        result = self.empty(values.shape, values.dtype)
        count = min(self._planes_at_once(values), n0)
        chunk = self._spectrum((count, n1, n2), values.dtype)
        plan = None
        if both and self._has_lines(n1):
            plan = self._evaluated(across, values.dtype, scale, (1, 0, 2))
        filter_lines = None if plan is None else self._filter_lines(plan, chunk.dtype)
        n_axes = 2 if both and plan is None else 1
        for start in range(0, n0, count):
            spectrum = chunk[: n0 - start]
            planes = slice(start, start + count)
            self._transforms.real_axes(values[planes], spectrum, n_axes)
            if filter_lines is not None:
                filter_lines(spectrum, spectrum, len(spectrum))
            else:
                self._multiply(spectrum, across, scale)
            self._transforms.real_axes(spectrum, result[planes], n_axes)
        return result

    def _spectrum(self, shape: Any, dtype: Any) -> Any:
        """Memory of a half spectrum."""
        half = (*shape[:2], shape[2] // 2 + 1)
        return self.empty(half, np.complex64 if dtype == np.float32 else np.complex128)

    def _planes_at_once(self, values: Any) -> int:
        """Planes transformed together: an even number, so that each chunk begins where cuFFT wants a complex value."""
        _, n1, n2 = values.shape
        fit = int(self.runtime.cache_bytes * CACHE_SHARE / (2 * n1 * (n2 + 2) * values.dtype.itemsize))
        return max(2, fit // 2 * 2)

    def _multiply(self, spectrum: Any, multiplier: Any, scale: float, rows: Rows | None = None) -> None:
        """Times the multiplier and a number, in place; where it has one point along an axis, alike along it.

        By a kernel; plane by plane from the host where only that can evaluate the multiplier.

        rows: those of the second axis that the spectrum holds; all of them if None.
        """
        dtype = spectrum.real.dtype
        sizes = multiplier.stored_shape
        held = rows or Rows(0, sizes[1])
        evaluated = self._evaluated(multiplier, dtype, scale)
        if evaluated is not None:
            n0, _, n2 = evaluated.sizes
            batch = spectrum.size // (n0 * held.n * (n2 // 2 + 1))
            blocks = min(-(-batch * n0 * held.n // 8), 32 * self.runtime.n_multiprocessors)
            grid = (*(np.int32(n) for n in sizes), *held.arguments)
            arguments = (spectrum, np.int64(batch), *grid, *evaluated.arguments)
            self.runtime.launch(
                MULTIPLY, f"spectral_multiply<{c_name(dtype)}>", (blocks,), (MULTIPLY_THREADS,), arguments
            )
            return
        kind = spectrum.dtype if multiplier.is_complex else dtype
        if sizes[0] == 1 and rows is None:
            spectrum *= self.runtime.xp.asarray((multiplier.plane(0) * scale).astype(kind))
            return
        axis, first = (0, 0) if rows is None else (1, rows.first)
        known = multiplier if rows is None else multiplier.turned()  # whose planes are such rows
        total, width = spectrum.shape[axis], spectrum.shape[1 - axis] * spectrum.shape[2]
        count = max(1, UPLOADED_BYTES // (np.dtype(kind).itemsize * width))
        for start in range(0, total, count):
            factors: list[Any] = [None] * min(count, total - start)

            def make(_: None, i: int, factors: list[Any] = factors, start: int = start) -> None:
                factors[i] = (known.plane(first + start + i) * scale).astype(kind)

            share(make, range(len(factors)), lambda: None, usable_cores(), known.by_products)
            part = spectrum[(slice(None),) * axis + (slice(start, start + count),)]
            part *= self.runtime.xp.asarray(np.stack(factors, axis=axis))

    def _line_plan(self, values: Any, multiplier: Any, scale: float) -> Evaluated | None:
        """The multiplier where fft_lines can have it."""
        return self._evaluated(multiplier, values.dtype, scale) if self._has_lines(len(values)) else None

    def _has_lines(self, n: int) -> bool:
        """True if fft_lines transforms lines of this length."""
        return ROW_BYTES * n <= self.runtime.shared_bytes and radices(n) is not None

    def _filter_lines(
        self, evaluated: Evaluated, dtype: Any, rows: Rows | None = None
    ) -> Callable[[Any, Any, int], None]:
        """A launch (source, target, batch): the lines of each of the batch filtered; may be the same memory.

        rows: those of the second axis that source and target hold; all of them if None.
        """
        real = "float" if dtype == np.complex64 else "double"
        n, n1, n2 = evaluated.sizes
        rows = rows or Rows(0, n1)
        columns, width = rows.n * (n2 // 2 + 1), ROW_BYTES // np.dtype(dtype).itemsize
        sizes = (np.int32(n1), np.int32(n2), *rows.arguments)
        plan: tuple[Any, ...]
        known = fixed_lengths(real).get(n)
        if known is not None:
            instance, first = known
            turns = roots_of_unity(n) if first < WIDE_RADIX else ordered_roots(n, first)
            block, plan = (width, n // first), (*sizes, self.table(turns, dtype))
        else:
            steps = radices(n)
            assert steps is not None
            instance = f"fft_lines_any<{real}>"
            block = (width, min(ANY_THREADS // width, n // steps[0]))
            packed = np.uint64(sum(radix % 16 << 4 * step for step, radix in enumerate(steps)))
            order, turns = self.table(first_modes(steps), np.int32), self.table(roots_of_unity(n), dtype)
            plan = (np.int32(n), *sizes, packed, order, turns)

        def launch(source: Any, target: Any, batch: int) -> None:
            for start in range(0, batch, MOST_BATCH):
                some = slice(start, start + MOST_BATCH) if batch > 1 else slice(None)
                arguments = (source[some], target[some], *plan, *evaluated.arguments)
                grid = (-(-columns // width), min(batch - start, MOST_BATCH))
                self.runtime.launch(LINES, instance, grid, block, arguments, ROW_BYTES * n)

        return launch

    def _evaluated(
        self, multiplier: Any, dtype: Any, scale: float, axes: tuple[int, int, int] = (0, 1, 2)
    ) -> Evaluated | None:
        """The multiplier as arguments of kernels, its stored axes in this order; None if only the host knows it."""
        factors = multiplier.factors
        if factors is None:
            return None
        dtype = np.dtype(dtype)
        sizes = tuple(multiplier.stored_shape[axis] for axis in axes)
        metric = factors.metric[np.ix_(axes, axes)]
        parts, numbers, tables = 0, np.zeros(12), [np.zeros(1)]
        radial = np.zeros((1, COEFFICIENTS[dtype.name]))
        if factors.gradient is not None:
            parts |= GRADIENT
            numbers[:3] = factors.gradient[list(axes)]
        numbers[3:6] = np.diag(metric)
        numbers[6:9] = 2 * metric[0, 1], 2 * metric[0, 2], 2 * metric[1, 2]
        if factors.transforms:
            parts |= POLYNOMIAL
            reach, n_coefficients = farthest(metric, sizes), COEFFICIENTS[dtype.name]
            found = tabulated(factors.transforms, reach, n_coefficients, factors.known_as)
            if found is None:
                return None
            radial, numbers[9] = found
            numbers[10] = len(radial) - 1
        if factors.inverse_square is not None:
            parts |= INVERSE_SQUARE
            numbers[11] = factors.inverse_square
        if factors.tables is not None or not parts:
            parts |= TABLES
            ones = [np.ones(n + 2) for n in sizes]
            tables = [(factors.tables or ones)[axis] for axis in axes]
        if parts & TABLES:  # the scale goes where it costs least
            tables[0] = tables[0] * scale
        elif parts & INVERSE_SQUARE:
            numbers[11] *= scale
        elif parts & POLYNOMIAL:
            radial = radial * scale
        else:
            numbers[:3] *= scale
        packed = self.table(np.concatenate(tables), np.result_type(dtype, np.complex64))
        arguments = (np.int32(parts), self.table(numbers, dtype), packed, self.table(radial, dtype))
        return Evaluated((sizes[0], sizes[1], sizes[2]), arguments)


def farthest(metric: NDArray[np.float64], sizes: Sequence[int]) -> float:
    """Largest |k| of the modes -N/2 .. N/2; 1 where all are 0."""
    corners = np.array(list(product((-1, 1), repeat=3))) * [n // 2 for n in sizes]
    return float(np.sqrt(np.einsum("ci,ij,cj->c", corners, metric, corners).max())) or 1.0


@cache
def fixed_lengths(real: str) -> dict[int, tuple[str, int]]:
    """Lengths for which an instance is compiled, with it and its first radix."""
    found: dict[int, tuple[str, int]] = {}
    for instance in instances(LINES):
        match = re.fullmatch(rf"fft_lines<{real}, (\d+), (\d+), (\d+)>", instance)
        if match:
            steps = [int(radix) for radix in match.groups()]
            found.setdefault(prod(steps), (instance, steps[0]))
    return found


@cache
def radices(n: int) -> tuple[int, ...] | None:
    """The radices of fft_lines_any, largest first; None for lengths with other prime factors or of one step.

    >>> radices(1000), radices(96), radices(11)
    ((8, 5, 5, 5), (8, 4, 3), None)
    """
    steps, rest = [], n
    for prime in (7, 5, 3):
        while rest % prime == 0:
            steps.append(prime)
            rest //= prime
    bits = rest.bit_length() - 1
    if n < 4 or rest != 1 << bits:
        return None
    while bits > 0:
        step = 4 if bits in (4, 7, 8) or bits > 9 else min(bits, 3)
        if not steps and bits in (4, 8):  # the last radix is below 16
            step = bits // 2 - 1 if bits == 8 else 2
        steps.append(1 << step)
        bits -= step
    if len(steps) == 1 and n in (4, 8):
        steps = [n // 2, 2]
    return tuple(sorted(steps, reverse=True)) if len(steps) > 1 else None


@cache
def first_modes(steps: tuple[int, ...]) -> NDArray[np.int32]:
    """The mode of value 0 of each last butterfly: the digits of its number, reversed."""
    modes = np.zeros(1, dtype=np.int32)
    weight = 1
    for radix in steps[:-1]:
        modes = (modes[:, None] + weight * np.arange(radix, dtype=np.int32)).ravel()
        weight *= radix
    return modes.astype(np.int32)


@cache
def roots_of_unity(n: int) -> NDArray[np.complex128]:
    """exp(-2πi j/n), rounded once where the host has longer numbers."""
    angle = np.arange(n, dtype=np.longdouble) * (8 * np.arctan(np.longdouble(1)) / n)
    return (np.cos(angle) - 1j * np.sin(angle)).astype(np.complex128)


@cache
def ordered_roots(n: int, radix: int) -> NDArray[np.complex128]:
    """exp(-2πi j/n), then exp(-2πi j p/n) of j < radix, one p after another."""
    turns = np.outer(np.arange(n // radix), np.arange(radix)) % n
    return np.concatenate([roots_of_unity(n), roots_of_unity(n)[turns.ravel()]])
