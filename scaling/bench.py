"""Bench: one field on one device, how calls on it are timed, and what a result's exact values are.

    rate of the floor   bytes read + written by a device-to-device copy of the same array in the same run, a second
    fraction of floor   (bytes that must move / that rate) / measured time
    error               max |result - exact| / rms(field), float64, at 64 points or planes or modes

The exact values are sums in float64 over the field with weights of operators/averages/line_weights.py: library matrix
products, none of our kernels. Results through spectra are compared mode by mode: their Fourier coefficients and
the field's, both by such sums, no FFT.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import gpuhomog as gh
from gpuhomog.grid import Grid
from gpuhomog.operators.averages.line_weights import Line
from gpuhomog.parallel import Serial, Slab

Array = NDArray[np.float64]

RMS = 2**0.5
"""Root mean square of the field: noise of variance 1 about 1."""
LEAST_REPEATS, MOST_REPEATS, SLOW = 5, 100, 0.25
"""A call slower than SLOW [s] is timed once after its first run; the others as long as the clock's patience lasts."""


class Clock(Protocol):
    """Seconds of a call; `patience` is how long one call is repeated [s], 0 for once."""

    patience: float

    def once(self, call: Callable[[], Any]) -> float:
        """One run."""
        ...


class WallClock:
    """The host's clock: for trying the scripts without a GPU."""

    patience = 0.0

    def once(self, call: Callable[[], Any]) -> float:
        """One run."""
        start = time.perf_counter()
        call()
        return time.perf_counter() - start


class EventClock:
    """CUDA events on the current stream; the cache is emptied of the inputs before."""

    patience = 0.3

    def __init__(self, cupy: Any, cache_bytes: int) -> None:
        self.cupy = cupy
        self.scratch = cupy.empty(2 * cache_bytes, np.uint8)
        self.start, self.stop = cupy.cuda.Event(), cupy.cuda.Event()

    def once(self, call: Callable[[], Any]) -> float:
        """One run; what the host does in it counts too."""
        self.scratch.fill(1)
        self.start.record()
        call()
        self.stop.record()
        self.stop.synchronize()
        return float(self.cupy.cuda.get_elapsed_time(self.start, self.stop)) / 1e3


@dataclass(frozen=True)
class Timing:
    """Seconds (median), how often the call was timed, and the spread: 80 % of the times, over the median."""

    seconds: float
    repeats: int
    spread: float = 0.0


def timed(call: Callable[[], Any], clock: Clock) -> tuple[Timing, Any]:
    """Median after one run that compiles and allocates; and the result of that run."""
    result = call()
    first = clock.once(call)
    if first > SLOW or not clock.patience:
        return Timing(first, 1), result
    repeats = min(MOST_REPEATS, max(LEAST_REPEATS, int(clock.patience / max(first, 1e-9))))
    low, median, high = np.quantile([clock.once(call) for _ in range(repeats)], [0.1, 0.5, 0.9])
    return Timing(float(median), repeats, float((high - low) / median)), result


@dataclass(frozen=True)
class Parameters:
    """Of the cases, in points; the first of each is the one that targets are set for."""

    widths: tuple[float, ...] = (65, 9, 64.5, 401)
    stds: tuple[float, ...] = (16, 4, 64)
    steps: tuple[int, ...] = (8, 4, 16)
    radius: int = 64
    height: int = 512


SMALL = Parameters(widths=(9, 9.5), stds=(6,), steps=(4,), radius=3, height=8)
"""For trying the scripts at 32^3."""


@dataclass(eq=False)
class Bench:
    """One field of n^3 points, 1 Å apart, periodic.

    rate         bytes a second of a copy; set by measuring it first
    remembered   seconds of peers that several cases share
    emulated     True where nothing is measured
    """

    n: int
    dtype: np.dtype[Any]
    device: Any
    xp: Any
    clock: Clock
    parameters: Parameters
    emulated: bool
    rate: float = 0.0
    remembered: dict[str, Timing] = field(default_factory=dict)
    values: Any = None

    def __post_init__(self) -> None:
        self.values = self.random(1.0)

    def random(self, offset: float) -> Any:
        """Normal noise about an offset, made on the device."""
        shape = (self.n,) * 3
        values = self.xp.empty(shape, self.dtype)
        generator = self.xp.random.default_rng(7)
        planes = max(1, (1 << 28) // self.n**2)
        for i in range(0, self.n, planes):
            part = values[i : i + planes]
            part[...] = generator.standard_normal(part.shape, dtype=self.dtype)
        values += self.dtype.type(offset)
        return values

    @property
    def pass_bytes(self) -> int:
        """Bytes of the array: one read or one write of it."""
        return int(self.values.nbytes)

    @property
    def field(self) -> gh.Field:
        """The values as a Field of the package."""
        grid = Grid((self.n,) * 3, np.eye(3) * self.n, np.zeros(3), ("periodic",) * 3)
        return gh.Field(grid, self.values, "scalar", None, self.device, Slab.of(self.n), Serial())

    def line(self, points: Sequence[float]) -> Line:
        """One axis, with output points."""
        return Line(self.n, 1.0, self.n, 0, np.asarray(points, dtype=np.float64))

    def chosen(self, n_out: int) -> NDArray[np.int64]:
        """Four indices of an axis of n_out points: both ends, and two inside."""
        return np.unique([0, n_out // 3, n_out // 2 + 1, n_out - 1]).clip(0, n_out - 1)

    def host(self, values: Any) -> NDArray[Any]:
        """On the host."""
        return np.asarray(values.get() if hasattr(values, "get") else values)

    def contracted(
        self, values: Any, matrices: Sequence[NDArray[Any]], centre: float = 0.0, power: int = 1
    ) -> NDArray[Any]:
        """Σ_ijk A[a, i] B[b, j] C[c, k] (values[i, j, k] - centre)^power in float64, some planes at a time."""
        xp = self.xp
        kind = np.result_type(*matrices, np.float64)
        first, second, third = (xp.asarray(m.astype(kind)) for m in matrices)
        total = xp.zeros((first.shape[0], second.shape[0], third.shape[0]), kind)
        planes = max(1, (1 << 26) // (values.shape[1] * values.shape[2]))
        for i in range(0, values.shape[0], planes):
            part = xp.ascontiguousarray(values[i : i + planes]).astype(np.float64) - centre
            part = part**power if power > 1 else part
            rows = part.reshape(-1, part.shape[2])
            products = rows @ third.real.T
            if third.dtype.kind == "c":  # real by complex would make a complex copy of the planes
                products = products + 1j * (rows @ third.imag.T)
            along_b = xp.matmul(second, products.reshape(part.shape[0], part.shape[1], -1))
            total += (first[:, i : i + planes] @ along_b.reshape(part.shape[0], -1)).reshape(total.shape)
        return self.host(total)

    def separable_error(
        self, weights: Callable[[Line], Array], step: int = 1, centre: float = 0.0, power: int = 1
    ) -> Callable[[Any], float]:
        """Error of an average of (field - centre)^power, weights(line) along each axis, at 4^3 of its points."""
        at = self.chosen(self.n // step)
        matrix = weights(self.line(at * float(step)))
        exact = self.contracted(self.values, [matrix] * 3, centre, power)

        def error(result: Any) -> float:
            index = self.xp.asarray(at)
            found = self.host(result[index][:, index][:, :, index])
            return float(np.abs(found - exact).max() / RMS)

        return error

    def line_error(self, response: Callable[[Array, Array], Array], causal: bool = False) -> Callable[[Any], float]:
        """Error of out[x] = Σ over x' of response(|x - x'|, |k|) field[x'] for modes k of the planes, at 4 planes.

        causal    only over x' <= x, of which the first plane, where the sum ends, counts half
        response  (n distances, modes) of plane distances and wavevectors, |k| in radians a sample
        The norm of the deviation over the norm of the exact result: of all 4^2 modes, or, if causal, of the mean and of
        the others apart.
        """
        n, at = self.n, self.chosen(self.n)
        numbers = np.array([0, 1, -2, n // 3])
        waves = np.exp(-2j * np.pi * (np.outer(numbers, np.arange(n)) % n) / n) / n
        lengths = 2 * np.pi / n * np.hypot(numbers[:, None], numbers)
        kernel = response(np.arange(n), lengths.ravel()).reshape(n, *lengths.shape)
        source = self.contracted(self.values, [np.eye(n), waves, waves])
        source[0] *= 0.5 if causal else 1.0
        last = [x + 1 if causal else n for x in at]
        expected = np.stack(
            [(kernel[np.abs(x - np.arange(end))] * source[:end]).sum(axis=0) for x, end in zip(at, last, strict=True)]
        )

        def error(result: Any) -> float:
            wrong = np.abs(self.contracted(result, [np.eye(n)[at], waves, waves]) - expected)
            if not causal:
                return float(np.linalg.norm(wrong) / np.linalg.norm(expected))
            mean = np.linalg.norm(wrong[:, 0, 0]) / np.linalg.norm(expected[:, 0, 0])
            wrong[:, 0, 0] = 0.0
            rest = np.where(np.arange(lengths.size).reshape(lengths.shape) > 0, expected, 0.0)
            return float(max(mean, np.linalg.norm(wrong) / np.linalg.norm(rest)))

        return error

    def modes(self, values: Any, waves: Sequence[NDArray[Any]]) -> NDArray[Any]:
        """Coefficients by direct sums; the mean, which is mode [0, 0, 0], is taken off before, to lose no digits."""
        mean = float(self.xp.mean(values, dtype=np.float64))
        found = self.contracted(values, waves, mean)
        found[0, 0, 0] += mean
        return found

    def spectral_error(
        self, multiplier: Callable[[Array, Array, Array], Any], relative: bool = False
    ) -> Callable[[Any], float]:
        """Error of a filter by 3 * 4 * 4 of its modes, scaled to the whole by Parseval's theorem; the mean apart.

        relative: norm of the deviation over the norm of these modes, for filters that lift few modes above all others.
        """
        n = self.n
        numbers = [np.array(m) for m in ((0, 1, n // 3), (0, 2, -1, n // 5), (0, 1, -n // 7, n // 4 + 1))]
        waves = [np.exp(-2j * np.pi * (np.outer(m, np.arange(n)) % n) / n) / n for m in numbers]
        expected = self.modes(self.values, waves) * multiplier(*np.meshgrid(*numbers, indexing="ij"))

        def error(result: Any) -> float:
            wrong = np.abs(self.modes(result, waves) - expected)
            mean = wrong[0, 0, 0]
            wrong[0, 0, 0] = 0.0
            if relative:
                return float((mean + np.linalg.norm(wrong)) / np.linalg.norm(expected))
            return float(max(mean, np.sqrt(np.mean(wrong**2)) * n**1.5) / RMS)

        return error
