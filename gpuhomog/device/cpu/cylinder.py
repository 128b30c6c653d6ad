"""Potentials of the charge within a cylinder, from below and from above.

    cylinder_sum       direct sums of charge over distance at chosen points
    cylinder_convolve  1 read, 4 passes of a spectrum padded along one axis only, 1 write: lines within the planes,
                       then some columns of modes at a time, both transforms and the product in the cache, then lines
    cylinder_march     the same, with the kernel that the recursions have
    march_…            the recursions themselves, over a part of the planes or of the modes

Direct sums and recursions in float64, transforms in the precision of the values, of a kernel found in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import finalize

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

from .blocks import planes_at_once, transform_back, transformed
from .kept import KEPT_BYTES, TABLES
from .team import share
from .transforms import Block

SIDES = {"low": (1,), "high": (-1,), "both": (1, -1)}


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
            planes, target = planes.swapaxes(1, 2), target.swapaxes(1, 2)
        else:  # real lines are those of axis 1
            table = table.exchanged
        n_real = table.shape[1]
        modes = transformed(planes, n_real, self.threads)
        self._sum_planes(modes, table, np.ascontiguousarray(table.classes.T), side, within=True)
        transform_back(modes, target, n_real, self.threads)
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
        self, spectrum: NDArray[Any], fit: Any, side: str = "both", *, planes: slice = slice(None)
    ) -> NDArray[Any]:
        """The last of the recursions' states, and the last planes."""
        flat = _by_mode(spectrum)
        classes = fit.classes.ravel()
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
        out = spectrum.copy()
        if out.size:
            self._sum_planes(out, table, table.classes[:, columns], side, within=False)
        return out

    def _sum_planes(
        self, modes: NDArray[Any], kernel: Any, classes: NDArray[np.int32], side: str, *, within: bool
    ) -> None:
        """Causal sums of (planes, rows, modes or lines) in place, by twice the planes; classes (rows, modes).

        within: the last axis is to be transformed, there and back, with zeros behind it.
        """
        (n, n_rows), n_modes = modes.shape[:2], classes.shape[1]
        size = scipy.fft.next_fast_len(2 * n - 1)
        half = size // 2 + 1
        scale = 1 / (size * n_modes) if within else 1 / size
        kept = self._kept_spectrum(kernel, n, size, scale, modes.dtype)
        sides = [(direction == 1, 0 if direction == 1 else 1) for direction in SIDES[side]]
        weights = [kernel.source[number, :n, None, None].astype(modes.real.dtype) for _, number in sides]
        weighted = [np.flatnonzero(weight != 1) for weight in weights]  # a few next to an end
        at_once = planes_at_once(n_rows, size * n_modes * modes.itemsize, self.threads)

        def sum_rows(memory: tuple[list[Block], NDArray[Any], NDArray[Any]], first: int) -> None:
            blocks, factor, opposite = memory
            some = slice(first, min(first + at_once, n_rows))
            here = [block.modes[:, : some.stop - first] for block in blocks]
            blocks[0].take(modes[:, some], transformed=within)
            for planes in here[1:]:
                planes[...] = here[0]
            for planes, weight, some_planes in zip(here, weights, weighted, strict=True):
                planes[some_planes] *= weight[some_planes]
            for block in blocks:
                block.transform(0)
            for row, of_row in enumerate(classes[some]):
                if kept is not None:  # lines of memory are read as a whole, not a number of each
                    factor[...] = np.take(kept, of_row, axis=0).T
                else:
                    known, places = np.unique(of_row, return_inverse=True)
                    factor[...] = _spectrum(kernel, n, size, known, scale, modes.dtype)[:, places]
                np.conjugate(factor, out=opposite)
                for (forward, _), planes in zip(sides, here, strict=True):
                    planes[:half, row] *= factor if forward else opposite
                    planes[half:, row] *= (opposite if forward else factor)[size - half : 0 : -1]
            if len(here) > 1:
                here[0] += here[1]
            blocks[0].transform(0, inverse=True)
            blocks[0].give(modes[:, some], transformed=within)

        def memory() -> tuple[list[Block], NDArray[Any], NDArray[Any]]:
            blocks = [Block((size, at_once, n_modes), n, modes.dtype) for _ in sides]
            return blocks, np.empty((half, n_modes), modes.dtype), np.empty((half, n_modes), modes.dtype)

        share(sum_rows, range(0, n_rows, at_once), memory, self.threads)

    def _kept_spectrum(self, kernel: Any, n: int, size: int, scale: float, dtype: Any) -> NDArray[Any] | None:
        """(classes, size//2 + 1), kept as long as the kernel lives; None where it would be large."""
        n_classes = int(kernel.classes.max()) + 1
        if (size // 2 + 1) * n_classes * dtype.itemsize > KEPT_BYTES:
            return None
        key = (id(kernel), n, scale, dtype)
        kept = TABLES.get(key)
        if kept is None:
            at_once = planes_at_once(n_classes, 16 * size, self.threads)
            found = np.empty((n_classes, size // 2 + 1), dtype)

            def some_classes(_: None, first: int) -> None:
                some = np.arange(first, min(first + at_once, n_classes))
                found[some] = _spectrum(kernel, n, size, some, scale, dtype).T

            share(some_classes, range(0, n_classes, at_once), lambda: None, self.threads)
            kept = found
            TABLES.put(key, found)
            finalize(kernel, TABLES.drop, key).atexit = False
        return np.asarray(kept)


def _spectrum(kernel: Any, n: int, size: int, classes: NDArray[Any], scale: float, dtype: Any) -> NDArray[Any]:
    """(size//2 + 1, classes) spectra of the kernel behind n planes, the rest zeros, times a number."""
    return np.asarray((scipy.fft.rfft(kernel.by_distance(n, classes), size, axis=0) * scale).astype(dtype, copy=False))


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
