"""FFTW with stored wisdom: used where `tune` has planned a shape before, silent otherwise.

Planning takes seconds and pays only for shapes met often, so a one-shot command never plans: every plan here
is made with FFTW_WISDOM_ONLY, and a shape without wisdom returns None (the caller falls back to SciPy).

The wisdom lies in ${XDG_CACHE_HOME:-~/.cache}/gpuhomog/fftw-wisdom.json, one list of strings a precision.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def wisdom_path() -> Path:
    """Where the wisdom of this user lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuhomog" / "fftw-wisdom.json"


@cache
def _pyfftw() -> Any:
    """pyFFTW with the stored wisdom imported, or None if either is missing."""
    try:
        words = json.loads(wisdom_path().read_text())
        import pyfftw
    except (OSError, ValueError, ImportError):
        return None
    pyfftw.import_wisdom(tuple(word.encode() for word in words))
    return pyfftw


def _execute(source: Any, target_shape: tuple[int, ...], target_dtype: str, inverse: bool, threads: int) -> Any:
    pyfftw = _pyfftw()
    if pyfftw is None or not (source.flags.c_contiguous and pyfftw.is_byte_aligned(source)):
        return None
    target = pyfftw.empty_aligned(target_shape, dtype=target_dtype)
    try:
        plan = pyfftw.FFTW(
            source,
            target,
            axes=(0, 1, 2),
            direction="FFTW_BACKWARD" if inverse else "FFTW_FORWARD",
            flags=("FFTW_WISDOM_ONLY", "FFTW_DESTROY_INPUT") if inverse else ("FFTW_WISDOM_ONLY",),
            threads=threads,
        )
    except RuntimeError:  # no wisdom for this shape, precision and thread count
        return None
    plan.execute()
    return target


def rfftn(values: NDArray[Any], threads: int) -> NDArray[Any] | None:
    """Spectrum of real values, last axis halved, or None without wisdom."""
    shape = (*values.shape[:2], values.shape[2] // 2 + 1)
    return _execute(values, shape, "complex64" if values.dtype == np.float32 else "complex128", False, threads)


def irfftn(spectrum: NDArray[Any], shape: tuple[int, int, int], threads: int) -> NDArray[Any] | None:
    """Inverse of rfftn with 1/N, or None without wisdom; overwrites the spectrum."""
    single = spectrum.dtype == np.complex64
    values = _execute(spectrum, shape, "float32" if single else "float64", True, threads)
    if values is not None:
        values /= values.dtype.type(values.size)
    return values


def tune(shape: tuple[int, int, int], dtype: str, threads: int) -> Path:
    """Plan both transforms of a shape thoroughly, store the wisdom (beside, then renamed), return its path.

    Raises InputError if pyFFTW is not installed.
    """
    try:
        import pyfftw
    except ImportError:
        raise InputError("Tuning plans FFTW, but pyFFTW is not installed: pip install pyfftw.") from None
    _pyfftw()  # keep what is already known
    single = np.dtype(dtype) == np.float32
    values = pyfftw.empty_aligned(shape, dtype="float32" if single else "float64")
    spectrum = pyfftw.empty_aligned((*shape[:2], shape[2] // 2 + 1), dtype="complex64" if single else "complex128")
    for source, target, direction, destroy in (
        (values, spectrum, "FFTW_FORWARD", ()),
        (spectrum, values, "FFTW_BACKWARD", ("FFTW_DESTROY_INPUT",)),
    ):
        pyfftw.FFTW(
            source, target, axes=(0, 1, 2), direction=direction, flags=("FFTW_MEASURE", *destroy), threads=threads
        )
    path = wisdom_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps([word.decode() for word in pyfftw.export_wisdom()]))
    os.replace(beside, path)
    _pyfftw.cache_clear()
    return path
