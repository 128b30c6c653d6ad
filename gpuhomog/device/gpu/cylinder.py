"""Potentials of the charge within a cylinder: direct sums, recursions from plane to plane, sums by FFT.

cylinder_sum       each point reads its cylinder
cylinder_march     10 passes for one side, 13 for both: planes to modes 4, march 2 or 5, modes to planes 4; an axis that
is not the slowest in memory costs 4 more
cylinder_convolve  at any accuracy, for reference: 2 n planes of complex values a chunk of modes
march_end_states   1 pass a side; the states themselves are 12 to 24 planes of the spectrum
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...memory_order import is_fortran_ordered
from ..cpu.cylinder import SIDES, hand_on, plane_first, propagator_powers
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
        if not values.size:
            return self.copy(values)
        padded = self._with_zeros(values, fit, axis)
        planes = self._planes_first(padded, axis)
        fit = fit.exchanged if is_fortran_ordered(values) else fit
        out = self._march(self._to_modes(planes), fit, side, scale=1 / (planes.shape[1] * planes.shape[2]))
        return self._without_zeros(self._from_modes(out, planes.shape, axis, padded), values)

    def march_modes(
        self,
        spectrum: Any,
        fit: Any,
        side: str = "both",
        *,
        planes: slice = slice(None),
        columns: slice = slice(None),
        incoming: Any = None,
    ) -> Any:
        """In place where one side is wanted."""
        incoming = None if incoming is None else self.contiguous(incoming)
        return self._march(self.contiguous(spectrum), fit, side, planes, columns, incoming)

    def _march(
        self,
        spectrum: Any,
        fit: Any,
        side: str,
        planes: slice = slice(None),
        columns: slice = slice(None),
        incoming: Any = None,
        scale: float = 1.0,
    ) -> Any:
        """Times a number, which costs nothing here."""
        if not spectrum.size:
            return spectrum
        dtype = spectrum.real.dtype
        propagators, mode_table, classes = self._uploaded(fit, dtype, columns)
        instance = f"cylinder_march<{c_name(dtype)}, {len(fit.propagators)}>"
        n, modes = len(spectrum), spectrum.size // len(spectrum)
        out = spectrum if side != "both" else self.empty(spectrum.shape, spectrum.dtype)
        for number, direction in enumerate(SIDES[side]):
            states = slice(number * fit.n_states, (number + 1) * fit.n_states)
            arguments = (
                spectrum,
                out,
                propagators,
                mode_table,
                classes,
                self._plane_weights(fit, direction, dtype, planes, scale),
                np.uintp(0) if incoming is None else incoming[states],
                *(np.int64(size) for size in (n, modes, mode_table.shape[1])),
                np.int32(direction),
                np.int32(number),
            )
            grid = (-(-modes // MARCH_BLOCK),)
            self.runtime.launch("cylinder_march.cu", instance, grid, (MARCH_BLOCK,), arguments)
        return out

    def march_end_states(self, spectrum: Any, fit: Any, side: str = "both", *, planes: slice = slice(None)) -> Any:
        """One read of the spectrum a side."""
        spectrum = self.contiguous(spectrum)
        dtype = spectrum.real.dtype
        shape = (len(SIDES[side]) * fit.n_states, *spectrum.shape[1:])
        if not spectrum.size:
            return self.runtime.xp.zeros(shape, spectrum.dtype)
        ends = self.empty(shape, spectrum.dtype)
        propagators, mode_table, classes = self._uploaded(fit, dtype)
        instance = f"cylinder_end_states<{c_name(dtype)}, {len(fit.propagators)}>"
        modes = spectrum.size // len(spectrum)
        for number, direction in enumerate(SIDES[side]):
            arguments = (
                spectrum,
                ends[number * fit.n_states : (number + 1) * fit.n_states],
                propagators,
                mode_table,
                classes,
                self._plane_weights(fit, direction, dtype, planes),
                np.int64(len(spectrum)),
                np.int64(modes),
                np.int32(direction),
            )
            grid = (-(-modes // MARCH_BLOCK),)
            self.runtime.launch("cylinder_march.cu", instance, grid, (MARCH_BLOCK,), arguments)
        return ends

    def march_incoming(
        self,
        ends: Any,
        fit: Any,
        n_planes: Sequence[int],
        side: str = "both",
        *,
        columns: slice = slice(None),
    ) -> Any:
        """Rank after rank, in place; of the size of few planes, so that array operations do."""
        dtype = ends.real.dtype
        _, mode_table, classes = self._uploaded(fit, dtype, columns)
        own_factor = mode_table[0][classes.ravel()]
        powers = {n: self.asarray(propagator_powers(fit, n).astype(dtype)) for n in set(n_planes)}
        by_rank = ends.reshape(len(n_planes), len(SIDES[side]), fit.n_states, own_factor.size)
        for number, direction in enumerate(SIDES[side]):
            hand_on(by_rank[:, number], own_factor, powers, n_planes, direction)
        return by_rank.reshape(ends.shape)

    def cylinder_convolve(self, values: Any, table: Any, *, axis: int = 0, side: str = "both") -> Any:
        """Spectra of chunks of planes into one array."""
        if not values.size:
            return self.copy(values)
        padded = self._with_zeros(values, table, axis)
        planes = self._planes_first(padded, axis)
        table = table.exchanged if is_fortran_ordered(values) else table
        out = self._convolve(self._to_modes(planes), table, side, scale=1 / (planes.shape[1] * planes.shape[2]))
        return self._without_zeros(self._from_modes(out, planes.shape, axis, padded), values)

    def convolve_modes(self, spectrum: Any, table: Any, side: str = "both", *, columns: slice = slice(None)) -> Any:
        """In place."""
        return self._convolve(self.contiguous(spectrum), table, side, columns)

    def _convolve(self, spectrum: Any, table: Any, side: str, columns: slice = slice(None), scale: float = 1.0) -> Any:
        """CuFFT along the normal, modes in chunks."""
        if not spectrum.size:
            return spectrum
        xp = self.runtime.xp
        n, dtype = len(spectrum), spectrum.real.dtype
        flat = spectrum.reshape(n, -1)
        classes = table.classes[:, columns].ravel()
        padded = 2 * n
        at_once = max(1, CONVOLVED_BYTES // (4 * padded * spectrum.dtype.itemsize))
        for start in range(0, len(classes), at_once):
            chunk = slice(start, start + at_once)
            kernel = xp.asarray(np.ascontiguousarray(table.table[:n, classes[chunk]], dtype=dtype))
            response = xp.fft.fft(kernel, padded, axis=0)
            total = xp.zeros(kernel.shape, spectrum.dtype)
            for direction in SIDES[side]:
                weights = self._plane_weights(table, direction, dtype, slice(None), scale)
                arriving = (flat[:, chunk] * weights[:, None])[::direction]
                total[::direction] += xp.fft.ifft(xp.fft.fft(arriving, padded, axis=0) * response, axis=0)[:n]
            flat[:, chunk] = total
        return spectrum

    def _uploaded(self, fit: Any, dtype: Any, columns: slice = slice(None)) -> tuple[Any, Any, Any]:
        """Propagators, table of the modes and classes of some columns on the device, kept as long as the fit lives."""
        kept = self._fits.setdefault(fit, {})
        if dtype.name not in kept:
            of_modes = np.concatenate([fit.own_factor[None], fit.own_weight[None], fit.weights, fit.near])
            kept[dtype.name] = tuple(self.asarray(table.astype(dtype)) for table in (fit.propagators, of_modes))
        ends = columns.indices(fit.classes.shape[1])
        if ends not in kept:
            kept[ends] = self.asarray(np.ascontiguousarray(fit.classes[:, columns]))
        return *kept[dtype.name], kept[ends]

    def _with_zeros(self, values: Any, kernel: Any, axis: int) -> Any:
        """Around the planes, up to the points that the kernel was made for."""
        in_plane = [i for i in range(3) if i != axis]
        for i, n in zip(in_plane, kernel.shape, strict=True):
            values = self.pad(values, i, 0, n) if n > values.shape[i] else values
        return values

    def _without_zeros(self, padded: Any, values: Any) -> Any:
        """As many points as the values have."""
        n_a, n_b, n_c = values.shape
        return self.compact(padded[:n_a, :n_b, :n_c])

    def _planes_first(self, values: Any, axis: int) -> Any:
        """(planes, ...) C-ordered; a copy where the planes' axis is not the slowest in memory.

        Of Fortran-ordered values the in-plane axes come exchanged.
        """
        xp = self.runtime.xp
        if is_fortran_ordered(values):
            return self.contiguous(xp.moveaxis(values.T, 2 - axis, 0))
        return self.contiguous(xp.moveaxis(values, axis, 0))

    def _to_modes(self, planes: Any) -> Any:
        """Not normalized."""
        spectrum = self._spectrum(planes.shape, planes.dtype)
        self._transforms.real_axes(planes, spectrum, 2, self._planes_at_once(planes))
        return spectrum

    def _plane_weights(self, kernel: Any, direction: int, dtype: Any, planes: slice, scale: float = 1.0) -> Any:
        """Weights of some planes on one side, times a number."""
        return self.table(kernel.source[0 if direction == 1 else 1][planes] * scale, dtype)

    def _from_modes(self, spectrum: Any, shape: tuple[int, int, int], axis: int, values: Any) -> Any:
        """Potentials in the shape, the precision and the memory order of the values."""
        xp = self.runtime.xp
        out = self.empty(shape, values.dtype)
        self._transforms.real_axes(spectrum, out, 2, self._planes_at_once(out))
        if is_fortran_ordered(values):
            return self.contiguous(xp.moveaxis(out, 0, 2 - axis)).T
        return self.contiguous(xp.moveaxis(out, 0, axis))
