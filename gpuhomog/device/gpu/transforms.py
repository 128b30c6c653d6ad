"""Plain Fourier transforms into memory that the caller has: cuFFT's, by plans of its own; NumPy's below the tests.

Nothing is normalized, nothing copied: CuPy's own functions scale in a pass of their own, copy what they invert, and
cannot write into given memory.

    real_axes(source, target, n, planes)  the last n axes, real to half spectrum or back; the other axes are a batch, of
                                          which so many entries of the first axis are transformed at a time
    lines(spectrum, inverse)              the first axis of complex values, in place
"""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import Any

import numpy as np

KEPT_PLANS = 16


class CuFFT:
    """Plans kept by shape; their work areas come from CuPy's pool."""

    def __init__(self, xp: Any) -> None:
        self._cufft = xp.cuda.cufft
        self._plans: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def _kept(self, key: tuple[Any, ...], plan: Any) -> Any:
        self._plans[key] = plan
        if len(self._plans) > KEPT_PLANS:
            self._plans.popitem(last=False)
        return plan

    def real_axes(self, source: Any, target: Any, n_axes: int, planes: int | None = None) -> None:
        """Out of place; going back, the source's memory may be overwritten.

        A few planes at a time are hundreds of calls: what each asks of the host must be little.
        """
        n = len(source)
        if planes is None or planes >= n or n_axes == source.ndim:
            self._real_plan(source, target, n_axes).fft(source, target, 0)  # real transforms know their direction
            return
        several = self._real_plan(source[:planes], target[:planes], n_axes)
        for start in range(0, n - planes + 1, planes):
            several.fft(source[start : start + planes], target[start : start + planes], 0)
        if n % planes:
            rest = slice(n - n % planes, n)
            self._real_plan(source[rest], target[rest], n_axes).fft(source[rest], target[rest], 0)

    def _real_plan(self, source: Any, target: Any, n_axes: int) -> Any:
        key = (source.shape, target.shape, source.dtype.char, n_axes)
        kept = self._plans.get(key)
        if kept is not None:
            return kept
        cufft, forward = self._cufft, source.dtype.kind == "f"
        real = source if forward else target
        shape, batch = real.shape[-n_axes:], prod(real.shape[:-n_axes])
        embeds = [tuple(array.shape[-n_axes:]) for array in (source, target)]
        single = real.dtype == np.float32
        kind = ("R2C" if single else "D2Z") if forward else ("C2R" if single else "Z2D")
        plan = cufft.PlanNd(
            *(tuple(shape), embeds[0], 1, prod(embeds[0]), embeds[1], 1, prod(embeds[1])),
            *(getattr(cufft, f"CUFFT_{kind}"), batch, "C", real.ndim - 1, target.shape[-1]),
        )
        return self._kept(key, plan)

    def lines(self, spectrum: Any, inverse: bool) -> None:
        """In place."""
        cufft, n = self._cufft, len(spectrum)
        columns = spectrum.size // n
        kind = cufft.CUFFT_C2C if spectrum.dtype == np.complex64 else cufft.CUFFT_Z2Z
        key = (n, columns, kind)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._kept(key, cufft.PlanNd((n,), (n,), columns, 1, (n,), columns, 1, kind, columns, "C", 0, None))
        plan.fft(spectrum, spectrum, cufft.CUFFT_INVERSE if inverse else cufft.CUFFT_FORWARD)


class PlainFFT:
    """The same through NumPy's interface, where there is no cuFFT."""

    def __init__(self, xp: Any) -> None:
        self._fft = xp.fft

    def real_axes(self, source: Any, target: Any, n_axes: int, planes: int | None = None) -> None:
        """Out of place, all planes at a time."""
        axes = range(source.ndim - n_axes, source.ndim)
        if source.dtype.kind == "f":
            target[...] = self._fft.rfftn(source, axes=axes)
        else:
            target[...] = self._fft.irfftn(source, s=target.shape[-n_axes:], axes=axes, norm="forward")

    def lines(self, spectrum: Any, inverse: bool) -> None:
        """In place."""
        if inverse:
            spectrum[...] = self._fft.ifft(spectrum, axis=0, norm="forward")
        else:
            spectrum[...] = self._fft.fft(spectrum, axis=0)


def transforms_of(xp: Any) -> CuFFT | PlainFFT:
    """cuFFT where the arrays are CuPy's."""
    return CuFFT(xp) if hasattr(xp, "cuda") else PlainFFT(xp)
