"""Fourier transforms and products of spectra, by whichever library is here (transforms.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from . import transforms
from .blocks import BLOCK_BYTES, filtered_blocks, filtered_slabs
from .team import share


def sampled_lines(shape: Sequence[int], axis: int, n_lines: int) -> tuple[slice, ...]:
    """About n_lines lines along an axis, evenly spread over the other two."""
    others = [n for i, n in enumerate(shape) if i != axis]
    skip = max(1, int(np.sqrt(others[0] * others[1] / n_lines)))
    return tuple(slice(None) if i == axis else slice(None, None, skip) for i in range(3))


def both_signs(power: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Power of modes 0 … n//2 of n real values, each with that of its opposite; the mean's set to 0."""
    power[1 : (n + 1) // 2] *= 2
    power[0] = 0.0
    return power


class Spectral:
    """Transforms and products of spectra; see device.Device for what each method promises."""

    threads: int
    pads_one_axis: ClassVar[bool] = True

    @property
    def scratch_bytes(self) -> int:
        """A block for each thread."""
        return BLOCK_BYTES * self.threads

    def line_power(self, values: NDArray[Any], axis: int, n_lines: int) -> NDArray[np.float64]:
        """Real transforms of every so many-th line, in float64."""
        lines = np.moveaxis(values[sampled_lines(values.shape, axis, n_lines)], axis, -1)
        lines = lines.reshape(-1, values.shape[axis]).astype(np.float64)
        return both_signs(
            np.mean(np.abs(scipy.fft.rfft(lines, axis=1, workers=self.threads)) ** 2, axis=0), values.shape[axis]
        )

    def shell_sums(
        self,
        spectrum: NDArray[Any],
        modes: Sequence[NDArray[np.float64]],
        signed: Sequence[NDArray[np.float64]],
        weights: NDArray[np.float64],
        metric: NDArray[np.float64],
        width: float,
        n_shells: int,
    ) -> NDArray[np.float64]:
        """Row by row of the second axis."""
        outer = metric[0, 0] * modes[0][:, None] ** 2 + metric[2, 2] * modes[2][None, :] ** 2
        outer = outer + 2 * metric[0, 2] * np.multiply.outer(signed[0], signed[2])
        weight = np.broadcast_to(weights, outer.shape).ravel()
        sums = np.zeros((3, n_shells))
        for i, (row, sign) in enumerate(zip(modes[1], signed[1], strict=True)):
            square = outer + metric[1, 1] * row**2
            square = square + 2 * sign * (metric[0, 1] * signed[0][:, None] + metric[1, 2] * signed[2][None, :])
            k = np.sqrt(np.maximum(square, 0.0)).ravel()
            line = spectrum[:, i].astype(np.complex128).ravel()
            shell = np.rint(k / width).astype(np.intp)
            power = weight * (line.real**2 + line.imag**2)
            for which, part in enumerate((weight, weight * k, power)):
                sums[which] += np.bincount(shell, part, n_shells)
        return sums

    def rfftn(self, values: NDArray[Any]) -> NDArray[Any]:
        """On all threads."""
        return transforms.rfftn(values, (0, 1, 2), self.threads)

    def filter(self, values: NDArray[Any], multipliers: Sequence[Any]) -> list[NDArray[Any]]:
        """Axis 1, then planes across it; see filtered_blocks."""
        return filtered_blocks(values, multipliers, self.threads)

    def convolve(self, values: NDArray[Any], multipliers: Sequence[Any]) -> list[NDArray[Any]]:
        """As filter: lines of zeros are not transformed, nor those back that nobody asks for."""
        return filtered_blocks(values, multipliers, self.threads)

    def filter_slabs(
        self, planes: NDArray[Any], multipliers: Sequence[Any], lines: Any, empty: Callable[[], NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """As filter, lines turned between the real transforms and the planes across them."""
        return filtered_slabs(planes, multipliers, lines, empty, self.threads)

    def rfft_planes(self, values: NDArray[Any]) -> NDArray[Any]:
        """Over the last two axes."""
        if values.size == 0:
            complex_dtype = np.result_type(values.dtype, np.complex64)
            return np.empty((*values.shape[:2], values.shape[2] // 2 + 1), complex_dtype)
        return transforms.rfftn(values, (1, 2), self.threads)

    def irfft_planes(self, spectrum: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
        """Over the last two axes."""
        if spectrum.size == 0:
            return np.empty(shape, spectrum.real.dtype)
        return transforms.irfftn(spectrum, (1, 2), shape[2], self.threads)

    def ifft_lines(self, spectrum: NDArray[Any]) -> NDArray[Any]:
        """Over the first axis."""
        return transforms.fft(spectrum, 0, self.threads, inverse=True) if spectrum.size else spectrum

    def fft_rows(self, spectrum: NDArray[Any], inverse: bool = False) -> NDArray[Any]:
        """Over the second axis."""
        return transforms.fft(spectrum, 1, self.threads, inverse) if spectrum.size else spectrum

    def filter_lines(self, spectrum: NDArray[Any], multiplier: Any, first: int) -> NDArray[Any]:
        """There and back, multiplied row by row, rows shared among the threads."""
        if spectrum.size == 0:
            return spectrum
        modes = transforms.fft(spectrum, 0, self.threads)
        across = multiplier.turned()
        wanted = modes.dtype if multiplier.is_complex else modes.real.dtype

        def multiply(_: None, row: int) -> None:
            modes[:, row] *= across.plane(first + row).astype(wanted, copy=False)

        share(multiply, range(modes.shape[1]), lambda: None, self.threads, multiplier.by_products)
        return self.ifft_lines(modes)
