"""Fourier transforms on the host: by FFTW where it has wisdom, else by ducc0 where it is installed, else by SciPy.

    rfftn, irfftn, fft     whole arrays, over any axes, on several threads
    Block                  memory of a part that fits a cache, and its transforms, on the thread that asks

All three give the same numbers to rounding. FFTW is asked for complex lines of blocks alone: planned for memory that
stays in a cache it is the fastest of the three, planned for whole arrays it is not. SciPy is always there.

In   arrays of NumPy, float32 or float64 and their complex kin.
Out  the same precision.

>>> rfftn(np.ones((2, 4)), (1,), 1).real
array([[4., 0., 0.],
       [4., 0., 0.]])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from .. import fftw

LINE_BYTES = 64
"""Of a cache: blocks begin with a line, and one more follows each of their rows, so that lines along the first axis
are not a power of two apart."""


@cache
def ducc0() -> Any:
    """Its transforms, or None where it is not installed."""
    try:
        import ducc0
    except ImportError:
        return None
    return ducc0.fft


def rfftn(values: NDArray[Any], axes: Sequence[int], threads: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Spectrum of real values over some axes, unnormalized, the last of them halved; into out, if there is one."""
    library = ducc0()
    if library is not None:
        return np.asarray(library.r2c(values, axes=axes, nthreads=threads, out=out))
    spectrum = scipy.fft.rfftn(values, axes=axes, workers=threads)
    return spectrum if out is None else _into(out, spectrum)


def irfftn(
    spectrum: NDArray[Any], axes: Sequence[int], n: int, threads: int, out: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Inverse of rfftn, normalized, with n values along the last of the axes; the spectrum may be overwritten."""
    library = ducc0()
    if library is not None:
        options = {"forward": False, "inorm": 2, "allow_overwriting_input": True}
        return np.asarray(library.c2r(spectrum, axes=axes, lastsize=n, nthreads=threads, out=out, **options))
    sizes = [*(spectrum.shape[axis] for axis in axes[:-1]), n]
    values = scipy.fft.irfftn(spectrum, s=sizes, axes=axes, workers=threads, overwrite_x=True)
    return values if out is None else _into(out, values)


def fft(
    spectrum: NDArray[Any], axis: int, threads: int, inverse: bool = False, normalized: bool = True
) -> NDArray[Any]:
    """Complex transform along one axis in place, the inverse normalized or not: the array itself."""
    scaled = inverse and normalized
    library = ducc0()
    if library is not None:
        options = {"forward": not inverse, "inorm": 2 if scaled else 0, "nthreads": threads}
        return np.asarray(library.c2c(spectrum, axes=(axis,), out=spectrum, **options))
    transform = scipy.fft.ifft if inverse else scipy.fft.fft
    norm = "backward" if scaled or not inverse else "forward"
    return _into(spectrum, transform(spectrum, axis=axis, norm=norm, workers=threads, overwrite_x=True))


def _into(out: NDArray[Any], array: NDArray[Any]) -> NDArray[Any]:
    """The array in the memory of out, where SciPy has not put it there itself."""
    if not np.may_share_memory(out, array):
        out[...] = array
    return out


class Block:
    """Complex memory for one thread, and transforms of it in place along the first and the last axis, unnormalized.

    modes  (m_0, n_1, m_2), zeros at first
    n_0    rows of the first axis beyond which there are zeros, or nothing of interest: not transformed along the last
    """

    def __init__(self, shape: tuple[int, int, int], n_0: int, dtype: Any) -> None:
        m_0, n_1, m_2 = shape
        dtype = np.dtype(dtype)
        pitch = m_2 + LINE_BYTES // dtype.itemsize
        memory = np.zeros(m_0 * n_1 * pitch * dtype.itemsize + LINE_BYTES, np.uint8)
        begin = -memory.ctypes.data % LINE_BYTES
        rows = memory[begin : begin + m_0 * n_1 * pitch * dtype.itemsize].view(dtype).reshape(m_0, n_1, pitch)
        self.modes = rows[:, :, :m_2]
        self._lines = {0: self.modes, 2: self.modes[:n_0]}
        self._planned: dict[tuple[int, bool], Callable[[], None] | None] = {}

    def take(self, rows: NDArray[Any], transformed: bool) -> None:
        """Rows (n_0, n, n_2) into the first planes, zeros behind; transformed along the last axis, if asked for."""
        n_0, n, n_2 = rows.shape
        lines = self.modes[:n_0, :n]
        self.modes[n_0:] = 0
        if transformed and self._passes(n_2, False):
            ducc0().c2c(rows, axes=(2,), out=lines)
            return
        lines[:, :, :n_2] = rows
        self.modes[:n_0, :, n_2:] = 0
        if transformed:
            self.transform(2)

    def give(self, rows: NDArray[Any], transformed: bool) -> None:
        """What take took, after the inverse transform along the last axis, if asked for: unnormalized."""
        n_0, n, n_2 = rows.shape
        if transformed and self._passes(n_2, True):
            ducc0().c2c(self.modes[:n_0, :n], axes=(2,), out=rows, forward=False)
            return
        if transformed:
            self.transform(2, inverse=True)
        rows[...] = self.modes[:n_0, :n, :n_2]

    def _passes(self, n_2: int, inverse: bool) -> bool:
        """True if rows are transformed on their way: there are no zeros behind them, and FFTW does not know them."""
        return n_2 == self.modes.shape[2] and ducc0() is not None and self._plan(2, inverse) is None

    def transform(self, axis: int, inverse: bool = False) -> None:
        """Lines along axis 0 or 2."""
        execute = self._plan(axis, inverse)
        if execute is None:
            fft(self._lines[axis], axis, 1, inverse, normalized=False)
        else:
            execute()

    def _plan(self, axis: int, inverse: bool) -> Callable[[], None] | None:
        """FFTW's for these lines, if it has one."""
        if (axis, inverse) not in self._planned:
            self._planned[axis, inverse] = fftw.planned(self._lines[axis], axis, inverse)
        return self._planned[axis, inverse]
