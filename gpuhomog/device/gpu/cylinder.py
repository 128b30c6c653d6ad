"""Potentials of the charge within a cylinder: direct sums, recursions from plane to plane, sums by FFT.

cylinder_sum       each point reads its cylinder
cylinder_march     10 passes for one side, 13 for both: planes to modes 4, march 2 or 5, modes to planes 4; an axis that
is not the slowest in memory costs 4 more
cylinder_convolve  at any accuracy, for reference: 2 n planes of complex values a chunk of modes
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..cpu.cylinder import SIDES, plane_first
from ..cpu.memory import is_fortran_ordered
from .memory import c_name
from .spectral import Spectral

MARCH_BLOCK = 128
CONVOLVED_BYTES = 512 << 20
"""Workspace of cylinder_convolve, about."""
SUM_BLOCK = 256
SUM_PLANES = 64
"""Planes of a slice of cylinder_sum, as in the kernel."""


class Cylinder(Spectral):
    """Cylinder potentials; see device.Device for what each method promises."""

    _fits: WeakKeyDictionary[Any, dict[Any, Any]]

    def cylinder_sum(
        self,
        values: Any,
        points: ArrayLike,
        disc: tuple[NDArray[np.int32], NDArray[np.float64]],
        step: float,
        own: float,
        *,
        axis: int = 0,
        periodic: bool = True,
        ends: ArrayLike = (0.5,),
        source: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """A block a point and slice; fast where the second in-plane axis is the fastest in memory."""
        offsets, squared = disc
        at = np.asarray(points).reshape(-1, 3)
        values = values if values.flags.c_contiguous or values.flags.f_contiguous else self.contiguous(values)
        shape = plane_first(values.shape, axis)
        if not len(at) or not len(squared) or not values.size:
            return np.zeros((len(at), 2))
        dtype = values.dtype
        strides = plane_first([s // dtype.itemsize for s in values.strides], axis)
        weights = np.ones((2, shape[0])) if source is None else np.asarray(source)
        plane_slices = -(-shape[0] // SUM_PLANES)
        wanted = 4 * self.runtime.n_multiprocessors // (len(at) * plane_slices)
        disc_slices = max(1, min(wanted, len(squared) // SUM_BLOCK))
        parts = self.empty((plane_slices * disc_slices, len(at), 2), np.float64)
        arguments = (
            values,
            self.runtime.xp.asarray(np.array([plane_first(point, axis) for point in at], dtype=np.int64)),
            self.table(offsets, np.int32),
            self.table(squared, dtype),
            self.table(ends, dtype),
            self.table(weights, dtype),
            parts,
            np.int64(shape[0]),
            *(np.int32(n) for n in shape[1:]),
            *(np.int64(n) for n in (*strides, len(squared))),
            np.int32(np.size(ends)),
            np.int32(periodic),
            dtype.type(step),
            dtype.type(own),
        )
        grid = (len(at), plane_slices, disc_slices)
        self.runtime.launch("cylinder_sum.cu", f"cylinder_sum<{c_name(dtype)}>", grid, (SUM_BLOCK,), arguments)
        return np.asarray(self.to_host(parts)).sum(axis=0)

    def cylinder_march(self, values: Any, fit: Any, *, axis: int = 0, side: str = "both") -> Any:
        """Spectra of chunks of planes into one array; the march works in place where one side is wanted."""
        planes = self._planes_first(values, axis)
        if not values.size:
            return self.copy(values)
        n, n1, n2 = planes.shape
        dtype = values.dtype
        spectrum = self._to_modes(planes)
        modes = n1 * (n2 // 2 + 1)
        propagators, mode_table, classes = self._uploaded(fit, dtype, is_fortran_ordered(values))
        sections = len(fit.propagators)
        instance = f"cylinder_march<{c_name(dtype)}, {sections}>"
        out = spectrum if side != "both" else self.empty(spectrum.shape, spectrum.dtype)
        for added, direction in enumerate(SIDES[side]):
            arguments = (
                spectrum,
                out,
                propagators,
                mode_table,
                classes,
                self._plane_weights(fit, direction, dtype),
                *(np.int64(size) for size in (n, modes, mode_table.shape[1])),
                np.int32(direction),
                np.int32(added),
            )
            grid = (-(-modes // MARCH_BLOCK),)
            self.runtime.launch("cylinder_march.cu", instance, grid, (MARCH_BLOCK,), arguments)
        return self._from_modes(out, planes.shape, axis, values)

    def cylinder_convolve(self, values: Any, table: Any, *, axis: int = 0, side: str = "both") -> Any:
        """CuFFT along the normal, modes in chunks."""
        planes = self._planes_first(values, axis)
        if not values.size:
            return self.copy(values)
        xp = self.runtime.xp
        n = len(planes)
        spectrum = self._to_modes(planes)
        flat = spectrum.reshape(n, -1)
        exchanged = is_fortran_ordered(values)
        classes = (exchanged_classes(table.classes, table.shape) if exchanged else table.classes).ravel()
        padded = 2 * n
        at_once = max(1, CONVOLVED_BYTES // (4 * padded * spectrum.dtype.itemsize))
        for start in range(0, len(classes), at_once):
            chunk = slice(start, start + at_once)
            kernel = xp.asarray(np.ascontiguousarray(table.table[:n, classes[chunk]], dtype=values.dtype))
            response = xp.fft.fft(kernel, padded, axis=0)
            total = xp.zeros(kernel.shape, spectrum.dtype)
            for direction in SIDES[side]:
                weights = self._plane_weights(table, direction, values.dtype)
                arriving = (flat[:, chunk] * weights[:, None])[::direction]
                total[::direction] += xp.fft.ifft(xp.fft.fft(arriving, padded, axis=0) * response, axis=0)[:n]
            flat[:, chunk] = total
        return self._from_modes(spectrum, planes.shape, axis, values)

    def _uploaded(self, fit: Any, dtype: Any, exchanged: bool) -> tuple[Any, Any, Any]:
        """Propagators, table of the modes and classes on the device, kept as long as the fit lives."""
        kept = self._fits.setdefault(fit, {})
        if dtype.name not in kept:
            of_modes = np.concatenate([fit.own_factor[None], fit.own_weight[None], fit.weights, fit.near])
            kept[dtype.name] = tuple(self.asarray(table.astype(dtype)) for table in (fit.propagators, of_modes))
        if exchanged not in kept:
            kept[exchanged] = self.asarray(exchanged_classes(fit.classes, fit.shape) if exchanged else fit.classes)
        return *kept[dtype.name], kept[exchanged]

    def _planes_first(self, values: Any, axis: int) -> Any:
        """(planes, ...) C-ordered; a copy where the planes' axis is not the slowest in memory.

        Of Fortran-ordered values the in-plane axes come exchanged.
        """
        xp = self.runtime.xp
        if is_fortran_ordered(values):
            return self.contiguous(xp.moveaxis(values.T, 2 - axis, 0))
        return self.contiguous(xp.moveaxis(values, axis, 0))

    def _to_modes(self, planes: Any) -> Any:
        """Not normalized: the weights of the planes are."""
        spectrum = self._spectrum(planes.shape, planes.dtype)
        self._transforms.real_axes(planes, spectrum, 2, self._planes_at_once(planes))
        return spectrum

    def _plane_weights(self, table: Any, direction: int, dtype: Any) -> Any:
        """Weights of the planes on one side, by the number of points of a plane."""
        source = table.source[0 if direction == 1 else 1]
        return self.table(source / (table.shape[0] * table.shape[1]), dtype)

    def _from_modes(self, spectrum: Any, shape: tuple[int, int, int], axis: int, values: Any) -> Any:
        """Potentials in the shape, the precision and the memory order of the values."""
        xp = self.runtime.xp
        out = self.empty(shape, values.dtype)
        self._transforms.real_axes(spectrum, out, 2, self._planes_at_once(out))
        if is_fortran_ordered(values):
            return self.contiguous(xp.moveaxis(out, 0, 2 - axis)).T
        return self.contiguous(xp.moveaxis(out, 0, axis))


def exchanged_classes(classes: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """(n2, n1//2 + 1) of (n1, n2//2 + 1): classes where the in-plane axes are exchanged; opposite modes are alike."""
    n1, n2 = shape
    i, j = np.arange(n1 // 2 + 1)[None, :], np.arange(n2)[:, None]
    stored = j <= n2 // 2
    return np.ascontiguousarray(classes[np.where(stored, i, -i % n1), np.where(stored, j, n2 - j)])
