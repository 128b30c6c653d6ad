"""Fourier transforms by cuFFT, whose plans CuPy keeps."""

from __future__ import annotations

from typing import Any

from .memory import Memory


class Spectral(Memory):
    """Transforms and products of spectra; see device.Device for what each method promises."""

    def rfftn(self, values: Any) -> Any:
        """cuFFT."""
        return self.runtime.xp.fft.rfftn(values)

    def irfftn(self, spectrum: Any, shape: tuple[int, int, int]) -> Any:
        """cuFFT, normalized."""
        return self.runtime.xp.fft.irfftn(spectrum, s=shape, axes=(0, 1, 2))

    def multiply_spectrum(self, spectrum: Any, multiplier: Any) -> Any:
        """Plane by plane, each plane of the multiplier evaluated on the host and uploaded."""
        for i in range(len(spectrum)):
            spectrum[i] *= self.runtime.xp.asarray(multiplier.plane(i))
        return spectrum
