"""Planes filtered through spectra of whole planes, and lines across them: those of ranks, and planes followed by zeros.

    convolved_planes   zeros behind: the spectrum is padded within planes, lines across as they come, some at a time
    slabs_by_planes    planes that ranks share, zeros behind lines across them or not
    slabs_by_modes     the same with zeros within planes: half of the bytes change hands

Planes with zeros behind axis 1 or 2 have twice the modes that the values have numbers. So ranks transform axis 1 alone
and share its modes, which are halved; the other axis is padded where all planes are. What is there of a mode of axis 1
is complex, and its modes along axis 2 have both signs, while filter_lines takes half spectra. So its real and its
imaginary part are transformed, to A and B: A + iB is the row of that mode in the half spectrum of whole planes, and
A - iB that of its opposite.

In   planes (n_0, n_1, n_2) of a device; multipliers (fft.Multiplier) of a larger grid with the same steps.
Out  for each multiplier the filtered planes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

CONVOLVED_BYTES = 16 << 20
"""Planes or rows that are padded and transformed at once: memory that the allocator of a CPU gives again."""


def convolved_planes(device: Any, planes: Any, multipliers: Sequence[Any], empty: Callable[[], Any]) -> list[Any]:
    """For each multiplier the planes with their modes multiplied, zeros behind them.

    multipliers  stored as the planes are
    empty        () → memory for a result, in any order of memory
    """
    n_0, n_1, n_2 = planes.shape
    _, m_1, m_2 = multipliers[0].stored_shape
    itemsize = planes.dtype.itemsize
    spectrum = device.empty((n_0, m_1, m_2 // 2 + 1), np.result_type(planes.dtype, np.complex64))
    for some in _chunks(n_0, m_1 * m_2 * itemsize):
        spectrum[some] = device.rfft_planes(device.pad(device.pad(planes[some], 1, 0, m_1), 2, 0, m_2))
    results = []
    for multiplier, modes in _for_each(device, spectrum, multipliers):
        modes = _filtered_rows(device, modes, multiplier, 0)
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
    if multipliers[0].stored_shape[1:] != planes.shape[1:]:
        return slabs_by_modes(device, planes, multipliers, lines, empty)
    spectrum, first_row = lines.there(device.rfft_planes(planes))
    results = []
    for multiplier, modes in _for_each(device, spectrum, multipliers):
        modes = lines.back(_filtered_rows(device, modes, multiplier, first_row))
        results.append(device.irfft_planes(modes, planes.shape))
    return results


def slabs_by_modes(
    device: Any, planes: Any, multipliers: Sequence[Any], lines: Any, empty: Callable[[], Any]
) -> list[Any]:
    """The same where zeros follow within the planes."""
    n_0, n_1, n_2 = planes.shape
    _, m_1, _ = multipliers[0].stored_shape
    n_modes, n_bytes = m_1 // 2 + 1, (m_1 + 2) * n_2 * planes.dtype.itemsize
    spectrum = device.empty((n_0, n_modes, n_2), np.result_type(planes.dtype, np.complex64))
    for some in _chunks(n_0, n_bytes):
        spectrum[some] = _line_spectra(device, planes[some].transpose(0, 2, 1), m_1).transpose(0, 2, 1)
    spectrum, first = lines.there(spectrum)
    results = []
    for multiplier, modes in _for_each(device, spectrum, multipliers):
        _filter_modes(device, modes, multiplier, first)
        back, result = lines.back(modes), empty()
        for some in _chunks(n_0, n_bytes):
            real = _lines_of_spectra(device, back[some].transpose(0, 2, 1), m_1, n_1)
            result[some] = real.transpose(0, 2, 1)
        results.append(result)
    return results


def _for_each(device: Any, spectrum: Any, multipliers: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Each multiplier with a spectrum that may be changed: copies, for the last one the spectrum itself."""
    for number, multiplier in enumerate(multipliers, start=1):
        yield multiplier, spectrum if number == len(multipliers) else device.copy(spectrum)


def _filtered_rows(device: Any, modes: Any, multiplier: Any, first_row: int) -> Any:
    """Rows of half spectra of planes, lines across them filtered with zeros behind; the memory may be reused."""
    n_whole, n_rows, n_columns = modes.shape
    m_0 = multiplier.stored_shape[0]
    if m_0 == n_whole:
        return device.filter_lines(modes, multiplier, first_row)
    for first, last, chosen in multiplier.stretches(first_row, first_row + n_rows):
        for part in _chunks(last - first, m_0 * n_columns * modes.dtype.itemsize):
            some = slice(first + part.start, first + part.stop)
            modes[:, some] = _filtered_lines(device, modes[:, some], chosen, first_row + some.start)
    return modes


def _filtered_lines(device: Any, modes: Any, multiplier: Any, first_row: int) -> Any:
    """Lines along axis 0 with zeros behind them, filtered and cut; the memory of the modes may be reused."""
    n_whole, m_0 = len(modes), multiplier.stored_shape[0]
    whole = modes if m_0 == n_whole else device.pad(modes, 0, 0, m_0)
    return device.filter_lines(whole, multiplier, first_row)[:n_whole]


def _filter_modes(device: Any, modes: Any, multiplier: Any, first: int) -> None:
    """Modes first, first + 1, … of axis 1, (n_0, own modes, n_2), in place: zeros behind axes 0 and 2."""
    m_0, _, m_2 = multiplier.stored_shape
    for start, stop, chosen in multiplier.stretches(first, first + modes.shape[1]):
        for low, high in pairwise(sorted({start, min(max(start, 1 - first), stop), stop})):
            filter_some = _filter_pairs if first + low else _filter_mean
            for part in _chunks(high - low, 2 * m_0 * (m_2 + 2) * modes.real.dtype.itemsize):
                some = modes[:, low + part.start : low + part.stop]
                filter_some(device, some, chosen, first + low + part.start)


def _filter_mean(device: Any, modes: Any, multiplier: Any, row: int) -> None:
    """Mode 0 of axis 1, which is real and has no opposite."""
    n_2, m_2 = modes.shape[2], multiplier.stored_shape[2]
    filtered = _filtered_lines(device, _line_spectra(device, modes.real, m_2), multiplier, row)
    modes[...] = _lines_of_spectra(device, filtered, m_2, n_2)


def _filter_pairs(device: Any, modes: Any, multiplier: Any, row: int) -> None:
    """Modes of axis 1 and their opposites, whose rows go down where theirs go up."""
    n_rows, n_2 = modes.shape[1:]
    _, m_1, m_2 = multiplier.stored_shape
    above, imaginary = (_line_spectra(device, part, m_2) for part in (modes.real, modes.imag))
    imaginary *= 1j
    below = above - imaginary
    above += imaginary
    del imaginary
    above = _filtered_lines(device, above, multiplier, row)
    below = _filtered_lines(device, below[:, ::-1], multiplier, m_1 - row - n_rows + 1)[:, ::-1]
    imaginary = above - below
    imaginary *= -0.5j
    modes[...] = _lines_of_spectra(device, imaginary, m_2, n_2) * 1j
    del imaginary
    above += below
    modes += _lines_of_spectra(device, above, m_2, n_2) * 0.5


def _line_spectra(device: Any, values: Any, m: int) -> Any:
    """(., ., m//2 + 1) spectra of real lines along the last axis, zeros behind them."""
    n_0, n_1, _ = values.shape
    return device.rfft_planes(device.pad(values, 2, 0, m).reshape(n_0 * n_1, 1, m)).reshape(n_0, n_1, m // 2 + 1)


def _lines_of_spectra(device: Any, spectra: Any, m: int, n: int) -> Any:
    """The first n of m values of lines along the last axis."""
    n_0, n_1, n_modes = spectra.shape
    lines = device.irfft_planes(spectra.reshape(n_0 * n_1, 1, n_modes), (n_0 * n_1, 1, m))
    return lines.reshape(n_0, n_1, m)[:, :, :n]


def _chunks(n: int, n_bytes: int) -> list[slice]:
    """Slices of n items of so many bytes."""
    count = max(1, CONVOLVED_BYTES // n_bytes)
    return [slice(start, min(start + count, n)) for start in range(0, n, count)]
