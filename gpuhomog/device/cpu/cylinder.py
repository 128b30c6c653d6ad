"""Potentials of the charge within a cylinder, from below and from above.

    cylinder_sum       direct sums of charge over distance at chosen points
    cylinder_march     spectra of planes, then recursions from plane to plane
    cylinder_convolve  spectra of planes, then causal sums by zero-padded FFT, modes in chunks
    march_…            the recursions alone, over a part of the planes or of the modes

Everything in float64; results in the precision of the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

SIDES = {"low": (1,), "high": (-1,), "both": (1, -1)}
MODES_AT_ONCE = 4096


class Cylinder:
    """Cylinder potentials; see device.Device for what each method promises."""

    threads: int = 1

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
        """Spectra of all planes, marched, and back."""
        field = np.moveaxis(values, axis, 0).astype(np.float64)
        potential = self.march_modes(scipy.fft.rfft2(field, workers=self.threads), fit, side)
        return _from_planes(potential, field.shape, axis, values, self.threads)

    def cylinder_convolve(self, values: NDArray[Any], table: Any, *, axis: int = 0, side: str = "both") -> NDArray[Any]:
        """Spectra of all planes, convolved, and back."""
        field = np.moveaxis(values, axis, 0).astype(np.float64)
        potential = self.convolve_modes(scipy.fft.rfft2(field, workers=self.threads), table, side)
        return _from_planes(potential, field.shape, axis, values, self.threads)

    def march_modes(
        self,
        spectrum: NDArray[Any],
        fit: Any,
        side: str = "both",
        *,
        planes: slice = slice(None),
        columns: slice = slice(None),
        incoming: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """All modes of a plane at once, plane after plane."""
        flat = _by_mode(spectrum)
        classes = fit.classes[:, columns].ravel()
        weights = np.concatenate([fit.own_weight[None], fit.weights])[:, classes]
        near = fit.near[:, classes]
        behind = np.zeros((len(SIDES[side]), fit.n_states, len(classes)))
        if incoming is not None:
            behind = incoming.reshape(behind.shape)
        potential = np.zeros(flat.shape, complex)
        for direction, state in zip(SIDES[side], behind, strict=True):
            arriving = _arriving(flat, fit, direction, planes)
            out = potential[::direction]
            for x, states in enumerate(_recursions(arriving, fit, classes, state)):
                out[x] += np.einsum("sm,sm->m", weights, states)
                for d in range(len(near)):
                    out[x] += near[d] * (arriving[x - d] if d <= x else state[len(weights) + d - x - 1])
        return potential.reshape(spectrum.shape).astype(spectrum.dtype, copy=False)

    def march_end_states(
        self,
        spectrum: NDArray[Any],
        fit: Any,
        side: str = "both",
        *,
        planes: slice = slice(None),
        columns: slice = slice(None),
    ) -> NDArray[Any]:
        """The last of the recursions' states, and the last planes."""
        flat = _by_mode(spectrum)
        classes = fit.classes[:, columns].ravel()
        ends = np.zeros((len(SIDES[side]), fit.n_states, len(classes)), spectrum.dtype)
        for direction, end in zip(SIDES[side], ends, strict=True):
            arriving = _arriving(flat, fit, direction, planes)
            past = end[fit.n_states - len(fit.near) + 1 :]
            past[: len(arriving)] = arriving[::-1][: len(past)]
            for states in _recursions(arriving, fit, classes, np.zeros(end.shape)):
                end[: len(states)] = states
        return ends.reshape(-1, *spectrum.shape[1:])

    def march_incoming(
        self,
        ends: NDArray[Any],
        fit: Any,
        n_planes: Sequence[int],
        side: str = "both",
        *,
        columns: slice = slice(None),
    ) -> NDArray[Any]:
        """Rank after rank, in place."""
        own_factor = fit.own_factor[fit.classes[:, columns].ravel()]
        powers = {n: propagator_powers(fit, n) for n in set(n_planes)}
        by_rank = ends.reshape(len(n_planes), len(SIDES[side]), fit.n_states, len(own_factor))
        for number, direction in enumerate(SIDES[side]):
            hand_on(by_rank[:, number], own_factor, powers, n_planes, direction)
        return by_rank.reshape(ends.shape)

    def convolve_modes(
        self, spectrum: NDArray[Any], table: Any, side: str = "both", *, columns: slice = slice(None)
    ) -> NDArray[Any]:
        """Twice the planes, so that nothing wraps around."""
        planes = len(spectrum)
        flat = _by_mode(spectrum)
        classes = table.classes[:, columns].ravel()
        n = scipy.fft.next_fast_len(2 * planes - 1)
        potential = np.zeros(flat.shape, complex)
        for start in range(0, len(classes), MODES_AT_ONCE):
            chunk = slice(start, start + MODES_AT_ONCE)
            response = scipy.fft.fft(table.table[:planes, classes[chunk]], n, axis=0, workers=self.threads)
            for direction in SIDES[side]:
                arriving = _arriving(flat[:, chunk], table, direction, slice(None))
                modes = scipy.fft.fft(arriving, n, axis=0, workers=self.threads)
                modes *= response
                summed = scipy.fft.ifft(modes, axis=0, workers=self.threads, overwrite_x=True)
                potential[::direction, chunk] += summed[:planes]
        return potential.reshape(spectrum.shape).astype(spectrum.dtype, copy=False)


def _by_mode(spectrum: NDArray[Any]) -> NDArray[Any]:
    """(planes, modes)."""
    return spectrum.reshape(len(spectrum), spectrum.shape[1] * spectrum.shape[2])


def _arriving(flat: NDArray[Any], kernel: Any, direction: int, planes: slice) -> NDArray[Any]:
    """Weighted planes in the order in which a march along the direction meets them."""
    weights = kernel.source[0 if direction == 1 else 1][planes]
    return np.asarray(flat[::direction] * weights[::direction, None])


def _recursions(
    arriving: NDArray[Any], fit: Any, classes: NDArray[np.int32], behind: NDArray[Any]
) -> Iterator[NDArray[Any]]:
    """(1 + 2 sections, modes) states at each plane in turn, from those behind the plane before the first."""
    own_factor = fit.own_factor[classes]
    state = behind[: 1 + 2 * len(fit.propagators)].astype(complex)
    for plane in arriving:
        state[0] = own_factor * state[0] + plane
        pairs = state[1:].reshape(len(fit.propagators), 2, -1)
        pairs[:] = fit.propagators @ pairs + plane
        yield state


def propagator_powers(fit: Any, n: int) -> NDArray[np.float64]:
    """(sections, 2, 2, 1) propagators over n planes."""
    return np.linalg.matrix_power(fit.propagators, n)[..., None]


def hand_on(ends: Any, own_factor: Any, powers: Mapping[int, Any], n_planes: Sequence[int], direction: int) -> None:
    """The end states (ranks, states, modes) of all ranks become what each of them meets: an affine exclusive scan.

    state behind a rank = what it met, decayed over its planes, + its own end state; zero before the first. The planes
    at the end of a state move back by as many places.
    """
    ranks = range(len(n_planes))[::direction]
    met = ends[ranks[0]].copy()
    met[...] = 0
    for rank in ranks:
        behind, n, m = ends[rank].copy(), n_planes[rank], powers[n_planes[rank]]
        ends[rank] = met
        behind[0] += own_factor**n * met[0]
        last = 1 + 2 * len(m)
        one, two = met[1:last:2], met[2:last:2]
        behind[1:last:2] += m[:, 0, 0] * one + m[:, 0, 1] * two
        behind[2:last:2] += m[:, 1, 0] * one + m[:, 1, 1] * two
        past = met[last:]
        if n < len(past):
            behind[last + n :] += past[: len(past) - n]
        met = behind


def plane_first(point: Any, axis: int) -> list[int]:
    """Plane, then the two in-plane indices in the order of their axes."""
    return [int(point[axis]), *(int(i) for k, i in enumerate(point) if k != axis)]


def _from_planes(
    spectrum: Any, shape: tuple[int, int, int], axis: int, values: NDArray[Any], threads: int
) -> NDArray[Any]:
    planes, n1, n2 = shape
    result = scipy.fft.irfft2(spectrum.reshape(planes, n1, -1), s=(n1, n2), workers=threads)
    return np.moveaxis(result, 0, axis).astype(values.dtype)
