"""Potentials of the charge within a cylinder, from below and from above.

    cylinder_sum       direct sums of charge over distance at chosen points
    cylinder_march     spectra of planes, then recursions from plane to plane
    cylinder_convolve  spectra of planes, then causal sums by zero-padded FFT, modes in chunks

Everything in float64; results in the precision of the values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

SIDES = {"low": (1,), "high": (-1,), "both": (1, -1)}
MODES_AT_ONCE = 4096


class Cylinder:
    """Cylinder potentials; see device.Device for what each method promises."""

    def cylinder_sum(
        self,
        values: NDArray[Any],
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
        """Point by point, the disc of every plane at once."""
        field = np.moveaxis(values, axis, 0)
        planes, n_first, n_second = field.shape
        offsets, squared = disc
        ends = np.asarray(ends, dtype=float)
        weights = np.ones((2, planes)) if source is None else np.asarray(source, dtype=float)
        at = np.asarray(points).reshape(-1, 3)
        sums = np.zeros((len(at), 2))
        for p, point in enumerate(at):
            plane, *centre = plane_first(point, axis)
            a, b = centre[0] + offsets[:, 0], centre[1] + offsets[:, 1]
            inside = np.ones(len(a), dtype=bool)
            if periodic:
                a, b = a % n_first, b % n_second
            else:
                inside = (a >= 0) & (a < n_first) & (b >= 0) & (b < n_second)
            away = np.abs(np.arange(planes) - plane)
            distance = np.sqrt(squared[inside] + (step * away[:, None]) ** 2)
            with np.errstate(divide="ignore"):
                inverse = np.where(distance > 0, 1 / distance, own)
            of_plane = (field[:, a[inside], b[inside]] * inverse).sum(axis=1, dtype=np.float64)
            of_plane *= np.append(ends, 1.0)[np.minimum(away, len(ends))]
            sums[p] = of_plane[: plane + 1] @ weights[0, : plane + 1], of_plane[plane:] @ weights[1, plane:]
        return sums

    def cylinder_march(self, values: NDArray[Any], fit: Any, *, axis: int = 0, side: str = "both") -> NDArray[Any]:
        """All modes of a plane at once, plane after plane."""
        field = np.moveaxis(values, axis, 0)
        planes, n1, n2 = field.shape
        spectrum = np.fft.rfft2(field.astype(np.float64)).reshape(planes, -1)
        classes = fit.classes.ravel()
        own_factor, own_weight, near = fit.own_factor[classes], fit.own_weight[classes], fit.near[:, classes]
        weights = fit.weights[:, classes]
        potential = np.zeros_like(spectrum)
        for direction in SIDES[side]:
            arriving = spectrum[::direction] * fit.source[0 if direction == 1 else 1][::direction, None]
            out = potential[::direction]
            own = np.zeros(len(classes), dtype=complex)
            state = np.zeros((len(fit.propagators), 2, len(classes)), dtype=complex)
            for x in range(planes):
                own = own_factor * own + arriving[x]
                state = fit.propagators @ state + arriving[x]
                out[x] += own_weight * own + np.einsum("sm,sm->m", weights, state.reshape(weights.shape))
                for d in range(min(len(near), x + 1)):
                    out[x] += near[d] * arriving[x - d]
        return _from_planes(potential, (planes, n1, n2), axis, values)

    def cylinder_convolve(self, values: NDArray[Any], table: Any, *, axis: int = 0, side: str = "both") -> NDArray[Any]:
        """Twice the planes, so that nothing wraps around."""
        field = np.moveaxis(values, axis, 0)
        planes, n1, n2 = field.shape
        spectrum = np.fft.rfft2(field.astype(np.float64)).reshape(planes, -1)
        classes = table.classes.ravel()
        n = scipy.fft.next_fast_len(2 * planes - 1)
        potential = np.zeros_like(spectrum)
        for start in range(0, len(classes), MODES_AT_ONCE):
            chunk = slice(start, start + MODES_AT_ONCE)
            response = np.fft.fft(table.table[:planes, classes[chunk]], n, axis=0)
            for direction in SIDES[side]:
                arriving = spectrum[::direction, chunk] * table.source[0 if direction == 1 else 1][::direction, None]
                summed = np.fft.ifft(np.fft.fft(arriving, n, axis=0) * response, axis=0)
                potential[::direction, chunk] += summed[:planes]
        return _from_planes(potential, (planes, n1, n2), axis, values)


def plane_first(point: Any, axis: int) -> list[int]:
    """Plane, then the two in-plane indices in the order of their axes."""
    return [int(point[axis]), *(int(i) for k, i in enumerate(point) if k != axis)]


def _from_planes(spectrum: Any, shape: tuple[int, int, int], axis: int, values: NDArray[Any]) -> NDArray[Any]:
    planes, n1, n2 = shape
    result = np.fft.irfft2(spectrum.reshape(planes, n1, -1), s=(n1, n2))
    return np.moveaxis(result, 0, axis).astype(values.dtype)
