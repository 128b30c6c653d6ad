"""Peers of the GPU measurements: what else computes the same on a GPU, each as strong as it can be called.

    cuFFT, cached plans and spectrum   plans made once, 1/N in the multiplier, product in place: the strongest FFT way
    CuPy rfftn, irfftn                 as a user writes it; plans from CuPy's cache
    CuPy fftconvolve, ndimage          as they come; ndimage counts every tap: weak for wide windows

Where there is no GPU (emulation), SciPy's functions of the same names stand in, so that every path runs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
from bench import Bench
from numpy.typing import NDArray

Call = Callable[[], Any]
CACHED, PLAIN = "cuFFT, cached plans and spectrum", "CuPy rfftn, product, irfftn"
CACHED_DOUBLED = "cuFFT, planes doubled, cached plans and spectrum"
ZEROS = "zeros around"
TIME_ONLY = (ZEROS, CACHED_DOUBLED)
"""Peers that know no periodic field, or whose spectrum is left at one: not their values are compared."""
SHARED = ("CuPy uniform_filter", "CuPy gaussian_filter", "CuPy fftconvolve")
"""Slow peers, whose names hold what they depend on: timed once for all cases that share them."""


def is_hopeless(bench: Bench, taps: float) -> bool:
    """True where counting every tap takes seconds: such peers are measured at 512^3 and below only."""
    return taps > 150 and bench.n > 512


def ndimage(bench: Bench) -> Any:
    """scipy.ndimage or CuPy's."""
    if bench.emulated:
        return scipy.ndimage
    import cupyx.scipy.ndimage

    return cupyx.scipy.ndimage


def fftconvolve(bench: Bench) -> Any:
    """scipy.signal.fftconvolve or CuPy's."""
    if bench.emulated:
        return scipy.signal.fftconvolve
    import cupyx.scipy.signal

    return cupyx.scipy.signal.fftconvolve


def separable_multiplier(bench: Bench, weights: NDArray[np.float64]) -> Any:
    """(n, n, n//2 + 1) from one row of symmetric weights about sample 0, the same along each axis."""
    line = bench.xp.asarray(np.fft.fft(weights).real.astype(bench.dtype))
    return line[:, None, None] * line[:, None] * line[: bench.n // 2 + 1]


def isotropic_multiplier(bench: Bench, transform: Callable[[Any], Any]) -> Any:
    """transform(|k|) on (n, n, n//2 + 1), plane by plane in float64; k in radians a sample."""
    xp, n = bench.xp, bench.n
    wave = 2 * np.pi * xp.asarray(np.fft.fftfreq(n))
    half = 2 * np.pi * xp.asarray(np.arange(n // 2 + 1) / n)
    out = xp.empty((n, n, n // 2 + 1), bench.dtype)
    for i in range(n):
        out[i] = transform(xp.sqrt(wave[i] ** 2 + wave[:, None] ** 2 + half**2))
    return out


def cached_fft(bench: Bench, multiplier: Any, axes: tuple[int, ...] = (0, 1, 2)) -> Call:
    """Filter by cuFFT over all axes, or over the last two of every plane; plans, spectrum and output kept."""
    values, shape = bench.values, bench.values.shape
    n_modes = reduce(int.__mul__, (shape[axis] for axis in axes))
    if bench.emulated:

        def with_scipy() -> Any:
            modes = scipy.fft.rfftn(values, axes=axes)
            modes *= multiplier
            return scipy.fft.irfftn(modes, s=[shape[axis] for axis in axes], axes=axes)

        return with_scipy
    import cupy
    from cupyx.scipy.fft import get_fft_plan

    multiplier = multiplier * bench.dtype.type(1 / n_modes)
    forward = get_fft_plan(values, axes=axes, value_type="R2C")
    spectrum = cupy.empty((*shape[:2], shape[2] // 2 + 1), np.result_type(bench.dtype, np.complex64))
    inverse = get_fft_plan(spectrum, shape=tuple(shape[axis] for axis in axes), axes=axes, value_type="C2R")
    out = cupy.empty_like(values)

    def run() -> Any:
        forward.fft(values, spectrum, cupy.cuda.cufft.CUFFT_FORWARD)
        cupy.multiply(spectrum, multiplier, out=spectrum)
        inverse.fft(spectrum, out, cupy.cuda.cufft.CUFFT_INVERSE)
        return out

    return run


def plain_fft(bench: Bench, multiplier: Any, axes: tuple[int, ...] = (0, 1, 2)) -> Call:
    """Filter as a user of CuPy writes it, the multiplier at hand."""
    xp, values = bench.xp, bench.values

    def run() -> Any:
        modes = xp.fft.rfftn(values, axes=axes)
        modes *= multiplier
        return xp.fft.irfftn(modes, s=[values.shape[axis] for axis in axes], axes=axes)

    return run


def box_by_fftconvolve(bench: Bench, width: int) -> Call:
    """Zeros around the field instead of its periodic images: compare the time, not the edges."""
    convolve = fftconvolve(bench)
    kernel = bench.xp.full((width,) * 3, width**-3.0, bench.dtype)
    return lambda: convolve(bench.values, kernel, mode="same")


def gaussian_by_fftconvolve(bench: Bench, std: float) -> Call:
    """Gaussian cut at 4 std, zeros around the field."""
    convolve = fftconvolve(bench)
    x = np.arange(-int(4 * std), int(4 * std) + 1)
    line = np.exp(-0.5 * (x / std) ** 2)
    line = bench.xp.asarray((line / line.sum()).astype(bench.dtype))
    kernel = line[:, None, None] * line[:, None] * line
    return lambda: convolve(bench.values, kernel, mode="same")


def cached_causal_fft(bench: Bench) -> Call:
    """Sum over the planes below by cuFFT: zeros double the first axis. Its spectrum is one: for the time only."""
    values, n, xp = bench.values, bench.n, bench.xp
    shape, half = (2 * n, n, n), (2 * n, n, n // 2 + 1)
    spectrum = xp.ones(half, np.result_type(bench.dtype, np.complex64))
    if bench.emulated:

        def with_scipy() -> Any:
            return scipy.fft.irfftn(scipy.fft.rfftn(values, s=shape) * spectrum, s=shape)[:n]

        return with_scipy
    import cupy
    from cupyx.scipy.fft import get_fft_plan

    padded, modes = cupy.zeros(shape, bench.dtype), cupy.empty(half, spectrum.dtype)
    forward = get_fft_plan(padded, value_type="R2C")
    inverse = get_fft_plan(modes, shape=shape, value_type="C2R")

    def run() -> Any:
        padded[:n] = values
        padded[n:] = 0
        forward.fft(padded, modes, cupy.cuda.cufft.CUFFT_FORWARD)
        cupy.multiply(modes, spectrum, out=modes)
        inverse.fft(modes, padded, cupy.cuda.cufft.CUFFT_INVERSE)
        return padded[:n]

    return run


def binned_power(bench: Bench) -> Call:
    """|rfftn|² by shells of |k|, whose numbers are at hand; in the place that shell_powers gives it."""
    xp, n, values = bench.xp, bench.n, bench.values
    shell = isotropic_multiplier(bench, lambda k: xp.rint(k * n / (2 * np.pi))).astype(np.int32).ravel()

    def run() -> Any:
        power = xp.abs(xp.fft.rfftn(values)) ** 2
        power[:, :, 1 : (n + 1) // 2] *= 2
        sums = xp.bincount(shell, weights=power.ravel()) / float(n) ** 6
        return None, None, sums[1:]

    return run


def filtered_extrema(bench: Bench, rows: NDArray[np.int64], every: int) -> Call:
    """Smallest and largest of the points of a ball, at every point, of which some are taken."""
    reach = int(np.abs(rows[:, :3]).max())
    footprint = np.zeros((2 * reach + 1,) * 3, dtype=bool)
    for a, b, c, count in rows.tolist():
        footprint[reach + a, reach + b, reach + c : reach + c + count] = True
    there = bench.xp.asarray(footprint)
    filters = ndimage(bench).minimum_filter, ndimage(bench).maximum_filter
    chosen = (slice(None, None, every),) * 3
    return lambda: [one(bench.values, footprint=there, mode="wrap")[chosen] for one in filters]


def cylinder_by_fftconvolve(bench: Bench) -> Call:
    """The charge below over its distance, within radius and height, zeros around the field; for the time only."""
    convolve, radius, height = fftconvolve(bench), bench.parameters.radius, bench.parameters.height
    in_plane = np.arange(-radius, radius + 1) ** 2
    squared = np.arange(height)[:, None, None] ** 2 + in_plane[:, None] + in_plane
    kernel = np.where(in_plane[:, None] + in_plane <= radius**2, 1 / np.sqrt(np.maximum(squared, 0.25)), 0.0)
    kernel = bench.xp.asarray(kernel.astype(bench.dtype))
    return lambda: convolve(bench.values, kernel, mode="full")


def pooled_by_torch(bench: Bench, width: int, step: int) -> Call:
    """torch.nn.functional.avg_pool3d at the coarse points; zeros around the field."""
    import torch

    values = torch.from_dlpack(bench.values)[None, None]
    return lambda: torch.nn.functional.avg_pool3d(values, width, stride=step, padding=width // 2)
