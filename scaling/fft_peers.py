"""Convolutions by FFT on the CPU that ours stand beside, each as strong as it can be called: SciPy's, FFTW's, ducc0's.

Values, zeros around them up to a shape, FFT, the modes times the kernel's half spectrum, FFT back, the part of the
values: what anyone writes who has the spectrum. FFTW plans both ways once (MEASURE, real, seconds that no row counts)
and keeps its arrays; ducc0's are made before, too, where they are asked for. What comes back may be that memory: it
holds until the next call.

In   values (n_0, n_1, n_2), float32 or float64; a shape not below theirs, theirs where nothing is padded.
Out  name → function of a half spectrum (shape[0], shape[1], shape[2]//2 + 1), real or complex, in the same precision.

>>> import numpy as np
>>> ways = fft_peers(np.arange(8.0).reshape(2, 2, 2), workers=1)
>>> ways["scipy.fft"](np.array([[[1, 0], [0, 0]], [[0, 0], [0, 0]]]))[0, 0]  # the mean alone
array([3.5, 3.5])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft

Filter = Callable[[np.ndarray], np.ndarray]

EFFORT = "FFTW_MEASURE"
"""Of FFTW's planning."""


def fft_peers(
    values: np.ndarray, workers: int, shape: tuple[int, ...] | None = None, *, own_memory: bool = True
) -> dict[str, Filter]:
    """Every way that is installed, and a line about those that are not.

    own_memory   ducc0's arrays are made once; otherwise it makes its results each time, as SciPy does
    """
    shape = shape or values.shape
    inside = tuple(slice(n) for n in values.shape)

    def by_scipy(spectrum: np.ndarray) -> np.ndarray:
        modes = scipy.fft.rfftn(values, s=shape, workers=workers)
        modes *= spectrum
        return np.asarray(scipy.fft.irfftn(modes, s=shape, workers=workers, overwrite_x=True)[inside])

    ways: dict[str, Filter] = {"scipy.fft": by_scipy}
    try:
        ways["pyFFTW, MEASURE"] = _by_fftw(values, workers, shape)
    except ImportError as error:
        print(f"no rows of pyFFTW: {error}")
    try:
        ways["ducc0"] = _by_ducc(values, workers, shape, own_memory)
    except ImportError as error:
        print(f"no rows of ducc0: {error}")
    return ways


def _half(values: np.ndarray, shape: tuple[int, ...]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype of the modes."""
    return (*shape[:2], shape[2] // 2 + 1), np.result_type(values.dtype, np.complex64)


def _by_fftw(values: np.ndarray, workers: int, shape: tuple[int, ...]) -> Filter:
    import pyfftw

    inside = tuple(slice(n) for n in values.shape)
    real, half = pyfftw.empty_aligned(shape, values.dtype), pyfftw.empty_aligned(*_half(values, shape))
    plan: dict[str, Any] = {"axes": (0, 1, 2), "threads": workers, "flags": (EFFORT, "FFTW_DESTROY_INPUT")}
    forward = pyfftw.FFTW(real, half, **plan)
    backward = pyfftw.FFTW(half, real, direction="FFTW_BACKWARD", **plan)

    def by_fftw(spectrum: np.ndarray) -> np.ndarray:
        if shape != values.shape:
            real[...] = 0  # the result of the call before, and what the plan destroyed
        real[inside] = values
        modes = forward()
        modes *= spectrum
        return np.asarray(backward()[inside])

    return by_fftw


def _by_ducc(values: np.ndarray, workers: int, shape: tuple[int, ...], own_memory: bool) -> Filter:
    import ducc0

    inside = tuple(slice(n) for n in values.shape)
    padded = values if shape == values.shape else np.zeros(shape, values.dtype)
    half, result = (np.zeros(*_half(values, shape)), np.zeros(shape, values.dtype)) if own_memory else (None, None)
    back = {"lastsize": shape[2], "forward": False, "inorm": 2, "allow_overwriting_input": True}

    def by_ducc(spectrum: np.ndarray) -> np.ndarray:
        if padded is not values:
            padded[inside] = values
        modes = ducc0.fft.r2c(padded, nthreads=workers, out=half)
        modes *= spectrum
        return np.asarray(ducc0.fft.c2r(modes, nthreads=workers, out=result, **back)[inside])

    return by_ducc
