"""CPU: every primitive in NumPy, SciPy's FFT, or FFTW where stored wisdom makes it pay. The oracle.

Arrays may be C-ordered or Fortran-ordered (VASP files are): each primitive works along the memory, so that
no copy is made to please it. Sums accumulate in float64, plane by plane.

    planar_sum         1 read
    plane_family_sum   1 read
    contract           1 read, n_out/n_in writes, 2 n_out flops a point, by BLAS
    rfftn, irfftn      by SciPy; by FFTW with stored wisdom (fftw.py)

>>> CPU().planar_sum(np.ones((2, 3, 4), order="F"), axis=1)
array([8., 8., 8.])
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from . import fftw


def usable_cores() -> int:
    """Cores this process may run on, shared among the ranks that a launcher put on this node."""
    ranks = 1
    for variable in ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"):
        value = os.environ.get(variable, "")
        if value.isdigit() and int(value) > 0:
            ranks = int(value)
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // ranks)


def is_fortran_ordered(values: NDArray[Any]) -> bool:
    """True if the first axis is the fastest in memory."""
    return values.flags.f_contiguous and not values.flags.c_contiguous


class CPU:
    """Host memory and NumPy; see device.Device for what each method promises."""

    name = "cpu"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or usable_cores()

    def asarray(self, values: Any, dtype: Any = None) -> NDArray[Any]:
        """NumPy array of the values."""
        return np.asarray(values, dtype=dtype)

    def to_host(self, values: NDArray[Any]) -> NDArray[Any]:
        """The array itself."""
        return values

    def planar_sum(self, values: NDArray[Any], axis: int) -> NDArray[np.float64]:
        """Sum of each plane: along the memory, one plane in cache at a time."""
        if is_fortran_ordered(values):
            return self.planar_sum(values.T, 2 - axis)
        if axis == 0:
            return np.array([plane.sum(dtype=np.float64) for plane in values], dtype=np.float64)
        sums = np.zeros(values.shape[axis])
        for plane in values:
            sums += plane.sum(axis=2 - axis, dtype=np.float64)
        return sums

    def plane_family_sum(self, values: NDArray[Any], strides: tuple[int, int, int], n_bins: int) -> NDArray[np.float64]:
        """Bins of the first plane are counted once; every further plane only rolls them."""
        if is_fortran_ordered(values):
            return self.plane_family_sum(values.T, (strides[2], strides[1], strides[0]), n_bins)
        _, n1, n2 = values.shape
        bins = (strides[1] * np.arange(n1)[:, None] + strides[2] * np.arange(n2)) % n_bins
        sums = np.zeros(n_bins)
        for i, plane in enumerate(values):
            counted = np.bincount(bins.ravel(), weights=plane.ravel(), minlength=n_bins)
            sums += np.roll(counted, strides[0] * i % n_bins)
        return sums

    def extrema(self, values: NDArray[Any]) -> tuple[float, float]:
        """Two reads, NumPy's own, which pass NaN on."""
        return float(np.min(values)), float(np.max(values))

    def contract(self, values: NDArray[Any], matrix: NDArray[np.float64], axis: int) -> NDArray[Any]:
        """One matrix product along the axis; the matrix takes the precision of the values."""
        if is_fortran_ordered(values):
            return self.contract(values.T, matrix, 2 - axis).T
        n_out = matrix.shape[0]
        weights = np.ascontiguousarray(matrix, dtype=values.dtype)
        n0, n1, n2 = values.shape
        values = np.ascontiguousarray(values)
        if axis == 0:
            return (weights @ values.reshape(n0, n1 * n2)).reshape(n_out, n1, n2)
        if axis == 1:
            return np.matmul(weights, values)
        return (values.reshape(n0 * n1, n2) @ weights.T).reshape(n0, n1, n_out)

    def window_sum(self, values: NDArray[Any], axis: int, window: Any, n_out: int) -> NDArray[Any]:
        """Partial sums of each stretch of `step` samples, by weight class, finished on the coarse line.

        Every output covers whole stretches, where all weights are one, and a few stretches with weights of
        their own, the same for all outputs: stretch s then gives K numbers whatever the width of the window.
        """
        if is_fortran_ordered(values):
            return self.window_sum(values.T, 2 - axis, window, n_out).T
        step = window.step
        weights = np.concatenate([window.head, np.ones(window.inside), window.tail])
        lead = window.start % step  # output 0 starts `lead` samples into its first stretch
        stretches = -(-(lead + len(weights)) // step)
        laid = np.zeros(stretches * step)
        laid[lead : lead + len(weights)] = weights
        laid = laid.reshape(stretches, step)
        whole = (laid == 1.0).all(axis=1)
        classes = np.vstack([np.ones(step), laid[~whole]])
        values = np.ascontiguousarray(values)
        outer, inner = int(np.prod(values.shape[:axis])), int(np.prod(values.shape[axis + 1 :]))
        table = classes.astype(values.dtype)
        if inner == 1:
            sums = np.moveaxis((values.reshape(-1, step) @ table.T).reshape(outer, n_out, len(table), 1), 2, 0)
        else:
            sums = np.moveaxis(np.matmul(table, values.reshape(outer, n_out, step, inner)), 2, 0)
        partial = sums.reshape(len(table), *values.shape[:axis], n_out, *values.shape[axis + 1 :])
        first = (window.start - lead) // step
        out = np.zeros(partial.shape[1:], dtype=np.float64)
        runs = np.flatnonzero(whole)
        if runs.size:
            out += _running_sum(partial[0], axis, first + int(runs[0]), runs.size)
        for number, stretch in enumerate(np.flatnonzero(~whole)):
            out += np.roll(partial[1 + number], -(first + int(stretch)), axis=axis)
        return (out * window.scale).astype(values.dtype)

    def pad(self, values: NDArray[Any], axis: int, before: int, n: int) -> NDArray[Any]:
        """Zeros before and after along an axis, in the memory order of the values."""
        shape = list(values.shape)
        shape[axis] = n
        out = np.zeros(shape, dtype=values.dtype, order="F" if is_fortran_ordered(values) else "C")
        place = [slice(None)] * 3
        place[axis] = slice(before, before + values.shape[axis])
        out[tuple(place)] = values
        return out

    def copy(self, values: NDArray[Any]) -> NDArray[Any]:
        """A copy in the same memory order."""
        return values.copy(order="K")

    def compact(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values in memory of their own, without gaps."""
        if values.flags.c_contiguous or values.flags.f_contiguous:
            return values
        return values.copy(order="K")

    def squared_deviation(self, values: NDArray[Any], centre: float) -> NDArray[np.float64]:
        """One new float64 array."""
        deviation = np.subtract(values, centre, dtype=np.float64)
        return np.multiply(deviation, deviation, out=deviation)

    def rfftn(self, values: NDArray[Any]) -> NDArray[Any]:
        """FFTW if it has wisdom for this shape, else SciPy."""
        spectrum = fftw.rfftn(values, self.threads)
        return scipy.fft.rfftn(values, workers=self.threads) if spectrum is None else spectrum

    def irfftn(self, spectrum: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
        """FFTW if it has wisdom for this shape, else SciPy."""
        values = fftw.irfftn(spectrum, shape, self.threads)
        if values is None:
            values = scipy.fft.irfftn(spectrum, s=shape, workers=self.threads, overwrite_x=True)
        return values

    def multiply_spectrum(self, spectrum: NDArray[Any], multiplier: Any) -> NDArray[Any]:
        """Plane by plane, so that the multiplier never exists as a whole array; planes shared among the threads."""
        n = len(spectrum)
        wanted = spectrum.dtype if multiplier.is_complex else spectrum.real.dtype

        def multiply(i: int) -> None:
            plane = multiplier.plane(i).astype(wanted, copy=False)
            spectrum[i] *= plane
            if multiplier.is_even and 0 < i < n - i:
                spectrum[n - i] *= plane

        planes = range(n // 2 + 1) if multiplier.is_even else range(n)
        if spectrum.size < 1 << 16:
            for i in planes:
                multiply(i)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(multiply, planes))
        return spectrum


def _running_sum(values: NDArray[Any], axis: int, first: int, count: int) -> NDArray[np.float64]:
    """Σ of `count` neighbours from j + first on, periodic along an axis, for every j; float64."""
    n = values.shape[axis]
    laps, rest = divmod(count, n)
    total = values.sum(axis=axis, keepdims=True, dtype=np.float64) * laps
    if rest == 0:
        return np.broadcast_to(total, values.shape).copy()
    cumulative = np.cumsum(np.concatenate([values, values], axis=axis), axis=axis, dtype=np.float64)
    upper = np.take(cumulative, range(rest - 1, rest - 1 + n), axis=axis)
    lower = np.insert(np.take(cumulative, range(n - 1), axis=axis), 0, 0.0, axis=axis)
    return np.roll(upper - lower + total, -first, axis=axis)
