"""Potentials of the charge within a cylinder, from below and from above.

    cylinder_sum       direct sums of charge over distance at chosen points
    cylinder_convolve  1 read, 4 passes of a spectrum padded along one axis only, 1 write: lines within the planes,
                       then some columns of modes at a time, both transforms and the product in the cache, then lines
    cylinder_march     the same, with the kernel that the recursions have
    march_…            the recursions themselves, over a part of the planes or of the modes

Direct sums and recursions in float64, transforms in the precision of the values, of a kernel found in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

SIDES = {"low": (1,), "high": (-1,), "both": (1, -1)}
BLOCK_BYTES = 1 << 20
"""Of padded lines or columns of modes that a thread works on: a second-level cache."""
KEPT_BYTES = 1 << 28
"""A kernel's spectrum up to this size is kept as long as the kernel lives; larger ones are found block by block."""


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
        """As cylinder_convolve: here recursions are slower."""
        return self.cylinder_convolve(values, fit, axis=axis, side=side)

    def cylinder_convolve(self, values: NDArray[Any], table: Any, *, axis: int = 0, side: str = "both") -> NDArray[Any]:
        """Lines of zeros are not transformed: those around the values not at all, those behind the planes once."""
        out = np.empty_like(values)
        if not values.size:
            return out
        planes, target = np.moveaxis(values, axis, 0), np.moveaxis(out, axis, 0)
        if planes.strides[1] < planes.strides[2]:
            table, planes, target = table.exchanged, planes.swapaxes(1, 2), target.swapaxes(1, 2)
        (n, n1, n2), (m1, m2) = planes.shape, table.shape
        modes = np.empty((m2 // 2 + 1, n, n1), np.result_type(values.dtype, np.complex64))
        summed = self._sums_along_planes(table, n, modes.dtype, side)
        which = np.ascontiguousarray(table.classes.T)

        def lines(some: slice) -> None:
            modes[:, some] = scipy.fft.rfft(planes[some], m2, axis=2).transpose(2, 0, 1)

        def columns(some: slice) -> None:
            sums = summed(scipy.fft.fft(modes[some], m1, axis=2), which[some])
            modes[some] = scipy.fft.ifft(sums, axis=2, overwrite_x=True)[:, :, :n1]

        def lines_back(some: slice) -> None:
            target[some] = scipy.fft.irfft(modes[:, some].transpose(1, 2, 0), m2, axis=2)[:, :, :n2]

        self._by_blocks(lines, n, n1 * m2 * values.itemsize)
        self._by_blocks(columns, len(modes), 2 * n * m1 * modes.itemsize)
        self._by_blocks(lines_back, n, n1 * m2 * values.itemsize)
        return out

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
        """Some rows of modes at a time."""
        out = np.empty_like(spectrum)
        if not spectrum.size:
            return out
        n, n1, n2 = spectrum.shape
        summed = self._sums_along_planes(table, n, spectrum.dtype, side)
        which = table.classes[:, columns]

        def rows(some: slice) -> None:
            arriving = spectrum[:, some].reshape(1, n, -1)
            out[:, some] = summed(arriving, which[some].reshape(1, -1)).reshape(n, -1, n2)

        self._by_blocks(rows, n1, 2 * n * n2 * spectrum.itemsize)
        return out

    def _sums_along_planes(
        self, kernel: Any, n: int, dtype: Any, side: str
    ) -> Callable[[NDArray[Any], NDArray[np.int32]], NDArray[Any]]:
        """What makes causal sums of (columns, n planes, modes) of classes (columns, modes), by twice the planes."""
        size = scipy.fft.next_fast_len(2 * n - 1)
        half = size // 2 + 1
        whole = self._spectrum_of_kernel(kernel, n, size, dtype)
        sides = [(direction == 1, kernel.source[int(direction == -1), :n, None]) for direction in SIDES[side]]
        weights = [(forward, weight.astype(np.empty(0, dtype).real.dtype)) for forward, weight in sides]

        def summed(arriving: NDArray[Any], which: NDArray[np.int32]) -> NDArray[Any]:
            response = whole
            if response is None:
                some, which = _renumbered(which)
                response = _responses(kernel, n, size, some, dtype)
            total: NDArray[Any] | None = None
            for forward, weight in weights:
                padded = np.empty((len(arriving), size, arriving.shape[2]), dtype)
                np.multiply(arriving, weight, out=padded[:, :n])
                padded[:, n:] = 0
                padded = scipy.fft.fft(padded, axis=1, overwrite_x=True)
                for modes, classes in zip(padded, which, strict=True):
                    factor = np.take(response, classes, axis=1)
                    opposite = factor.conj()
                    modes[:half] *= factor if forward else opposite
                    modes[half:] *= (opposite if forward else factor)[size - half : 0 : -1]
                total = padded if total is None else np.add(total, padded, out=total)
            assert total is not None
            return np.asarray(scipy.fft.ifft(total, axis=1, overwrite_x=True)[:, :n])

        return summed

    def _spectrum_of_kernel(self, kernel: Any, n: int, size: int, dtype: Any) -> NDArray[Any] | None:
        """(size//2 + 1, classes), kept as long as the kernel lives; None where it would be large."""
        n_classes = int(kernel.classes.max()) + 1
        if (size // 2 + 1) * n_classes * np.dtype(dtype).itemsize > KEPT_BYTES:
            return None
        kept = _spectra.setdefault(kernel, {})
        if (n, dtype) not in kept:
            found = np.empty((size // 2 + 1, n_classes), dtype)

            def some_classes(some: slice) -> None:
                found[:, some] = _responses(kernel, n, size, np.arange(some.start, some.stop), dtype)

            self._by_blocks(some_classes, n_classes, 16 * size)
            kept[n, dtype] = found
        return np.asarray(kept[n, dtype])

    def _by_blocks(self, work: Callable[[slice], None], n: int, n_bytes: int) -> None:
        """A call for every block of n items of so many bytes, shared among the threads."""
        count = max(1, BLOCK_BYTES // n_bytes)
        blocks = [slice(start, min(start + count, n)) for start in range(0, n, count)]
        if len(blocks) == 1:
            work(blocks[0])
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                list(pool.map(work, blocks))


_spectra: WeakKeyDictionary[Any, dict[Any, NDArray[Any]]] = WeakKeyDictionary()


def _responses(kernel: Any, n: int, size: int, classes: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """(size//2 + 1, classes) spectra of the kernel behind n planes, the rest zeros."""
    return np.asarray(scipy.fft.rfft(kernel.by_distance(n, classes), size, axis=0).astype(dtype, copy=False))


def _renumbered(which: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """The classes that occur, and for each mode its place among them."""
    some, places = np.unique(which, return_inverse=True)
    return some, places.reshape(which.shape)


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
