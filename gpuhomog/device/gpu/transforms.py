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

KEPT_PLANS = 16
MOST_SMALL = 2**31 - 1
"""Values of a plan whose numbers are of 32 bits; larger ones are asked for by cuFFT's interface of 64."""
KINDS = {"fF": "R2C", "Ff": "C2R", "FF": "C2C", "dD": "D2Z", "Dd": "Z2D", "DD": "Z2Z"}
"""Words of cuFFT, by the types of what is transformed and of the result."""


class CuFFT:
    """Plans kept by shape; their work areas, which may be as large as what they transform, come from CuPy's pool."""

    def __init__(self, xp: Any) -> None:
        self._xp, self._cufft = xp, xp.cuda.cufft
        self._plans: OrderedDict[tuple[Any, ...], Any] = OrderedDict()

    def forget(self) -> None:
        """Give all plans up, and CuPy's own."""
        self._plans.clear()
        self._xp.fft.config.get_plan_cache().clear()

    def _kept(self, key: tuple[Any, ...], *how: Any) -> Any:
        try:
            plan = self._made(*how)
        except MemoryError:  # other plans may hold what it needs
            self.forget()
            plan = self._made(*how)
        self._plans[key] = plan
        if len(self._plans) > KEPT_PLANS:
            self._plans.popitem(last=False)
        return plan

    def _made(self, shape: Any, source: Any, target: Any, layouts: Any, batch: int) -> Any:
        """A plan; layouts: of source and target the sizes, how far apart neighbours are, and transforms."""
        types, last = (source.dtype.char, target.dtype.char), (target.ndim - 1, target.shape[-1])
        if max(source.size, target.size) > MOST_SMALL:
            form = [number for layout, kind in zip(layouts, types, strict=True) for number in (*layout, kind)]
            order = {"order": "C", "last_axis": last[0], "last_size": last[1]}
            return self._cufft.XtPlanNd(shape, *form, batch, types[0].upper(), **order)
        kind = getattr(self._cufft, f"CUFFT_{KINDS[''.join(types)]}")
        return self._cufft.PlanNd(shape, *layouts[0], *layouts[1], kind, batch, "C", *last)

    def real_axes(self, source: Any, target: Any, n_axes: int, planes: int | None = None) -> None:
        """Out of place; going back, the source's memory may be overwritten.

        A few planes at a time are hundreds of calls: what each asks of the host must be little.
        """
        n = len(source)
        direction = self._cufft.CUFFT_FORWARD if source.dtype.kind == "f" else self._cufft.CUFFT_INVERSE
        if planes is None or planes >= n or n_axes == source.ndim:
            self._real_plan(source, target, n_axes).fft(source, target, direction)
            return
        several = self._real_plan(source[:planes], target[:planes], n_axes)
        for start in range(0, n - planes + 1, planes):
            several.fft(source[start : start + planes], target[start : start + planes], direction)
        if n % planes:
            rest = slice(n - n % planes, n)
            self._real_plan(source[rest], target[rest], n_axes).fft(source[rest], target[rest], direction)

    def _real_plan(self, source: Any, target: Any, n_axes: int) -> Any:
        key = (source.shape, target.shape, source.dtype.char, n_axes)
        kept = self._plans.get(key)
        if kept is not None:
            return kept
        real = source if source.dtype.kind == "f" else target
        shape, batch = tuple(real.shape[-n_axes:]), prod(real.shape[:-n_axes])
        embeds = [tuple(array.shape[-n_axes:]) for array in (source, target)]
        layouts = [(embed, 1, prod(embed)) for embed in embeds]
        return self._kept(key, shape, source, target, layouts, batch)

    def lines(self, spectrum: Any, inverse: bool) -> None:
        """In place."""
        cufft, n = self._cufft, len(spectrum)
        columns = spectrum.size // n
        key = (n, columns, spectrum.dtype.char)
        plan = self._plans.get(key)
        if plan is None:
            layout = ((n,), columns, 1)
            plan = self._kept(key, (n,), spectrum, spectrum, (layout, layout), columns)
        plan.fft(spectrum, spectrum, cufft.CUFFT_INVERSE if inverse else cufft.CUFFT_FORWARD)


class PlainFFT:
    """The same through NumPy's interface, where there is no cuFFT."""

    def __init__(self, xp: Any) -> None:
        self._fft = xp.fft

    def forget(self) -> None:
        """It keeps nothing."""

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
