"""Fourier transforms: SciPy's FFT, or FFTW where stored wisdom makes it pay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import scipy  # its parts are imported when first used
from numpy.typing import NDArray

from .. import fftw


class Spectral:
    """Transforms and products of spectra; see device.Device for what each method promises."""

    threads: int

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
