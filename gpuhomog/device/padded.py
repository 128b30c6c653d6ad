"""Planes filtered through spectra of whole planes, and lines across them: those of ranks, and planes followed by zeros.

    convolved_planes   zeros behind: the spectrum is padded within planes, lines across as they come, some at a time
    slabs_by_planes    planes that ranks share, with zeros behind or without

In   planes (n_0, n_1, n_2) of a device; multipliers (fft.Multiplier) of a larger grid with the same steps.
Out  for each multiplier the filtered planes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

CONVOLVED_BYTES = 16 << 20
"""Planes or rows that are padded and transformed at once: memory that the allocator of a CPU gives again."""


def convolved_planes(
    device: Any,
    planes: Any,
    multipliers: Sequence[Any],
    empty: Callable[[], Any],
    lines: Any = None,
) -> list[Any]:
    """For each multiplier the planes with their modes multiplied, zeros behind them.

    multipliers  stored as the planes are
    empty        () → memory for a result, in any order of memory
    lines        of planes that ranks share: turns them into whole lines across them, and back (parallel.exchange.Lines)
    """
    n_0, n_1, n_2 = planes.shape
    m_0, m_1, m_2 = multipliers[0].stored_shape
    itemsize = planes.dtype.itemsize
    spectrum = device.empty((n_0, m_1, m_2 // 2 + 1), np.complex64 if planes.dtype == np.float32 else np.complex128)
    for some in _chunks(n_0, m_1 * m_2 * itemsize):
        spectrum[some] = device.rfft_planes(device.pad(device.pad(planes[some], 1, 0, m_1), 2, 0, m_2))
    spectrum, first_row = (spectrum, 0) if lines is None else lines.there(spectrum)
    n_whole, n_rows = spectrum.shape[:2]
    results = []
    for number, multiplier in enumerate(multipliers, start=1):
        modes = spectrum if number == len(multipliers) else device.copy(spectrum)
        for first, last, chosen in multiplier.stretches(first_row, first_row + n_rows):
            for part in _chunks(last - first, m_0 * (m_2 + 2) * itemsize):
                some = slice(first + part.start, first + part.stop)
                across = device.pad(modes[:, some], 0, 0, m_0)
                modes[:, some] = device.filter_lines(across, chosen, first_row + some.start)[:n_whole]
        modes = modes if lines is None else lines.back(modes)
        result = empty()
        for some in _chunks(n_0, m_1 * m_2 * itemsize):
            part = device.irfft_planes(modes[some], (some.stop - some.start, m_1, m_2))
            result[some] = part[:, :n_1, :n_2]
        results.append(result)
    return results


def slabs_by_planes(
    device: Any, planes: Any, multipliers: Sequence[Any], lines: Any, empty: Callable[[], Any]
) -> list[Any]:
    """What Device.filter_slabs promises, by the device's transforms of planes and of lines."""
    if multipliers[0].stored_shape != (lines.n, *planes.shape[1:]):
        return convolved_planes(device, planes, multipliers, empty, lines)
    spectrum, first_row = lines.there(device.rfft_planes(planes))
    results = []
    for number, multiplier in enumerate(multipliers, start=1):
        modes = spectrum if number == len(multipliers) else device.copy(spectrum)
        modes = lines.back(device.filter_lines(modes, multiplier, first_row))
        results.append(device.irfft_planes(modes, planes.shape))
    return results


def _chunks(n: int, n_bytes: int) -> list[slice]:
    """Slices of n items of so many bytes."""
    count = max(1, CONVOLVED_BYTES // n_bytes)
    return [slice(start, min(start + count, n)) for start in range(0, n, count)]
