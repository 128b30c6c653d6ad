"""Filtering: multiply the modes of a field by a function of the wavevector, exactly.

    f~[n] → f~[n] m(n),   k = n_a B_a + n_b B_b + n_c B_c,   n in -N/2 … N/2

A multiplier is a product of parts, each a function of the integer modes (n_a, n_b, n_c). It is evaluated one plane of
modes at a time (a CPU keeps tables of them for the next call, device/cpu/kept.py), or by the device itself where every
part is one of the four below (`Multiplier.factors`). Along an axis on which no part depends (across the planes of a
disc) nothing is transformed. On an even axis the mode N/2 stands for +N/2 and -N/2 alike: the multiplier there is the
mean over both signs, so that real fields stay real, odd derivatives lose their Nyquist mode, and exchanging axes of an
oblique cell changes nothing.

In   values (a, b, c) on a device, in either memory order.
Out  filtered values on the same device, in the same memory order.

>>> from .device import choose_device
>>> wave = np.cos(2 * np.pi * np.arange(8) / 8) * np.ones((2, 3, 1))
>>> halved = Multiplier((2, 3, 8), [AlongAxes([None, None, lambda n: np.where(abs(n) == 1, 0.5, 1.0)])])
>>> bool(np.allclose(filtered(choose_device("cpu"), wave, halved)[0], 0.5 * wave))
True
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise, product
from math import prod
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .device import Device
from .errors import InputError
from .memory_order import is_fortran_ordered
from .parallel import Comm, Slab, transpose
from .parallel.exchange import Lines, empty_like

Modes = NDArray[Any]
Part = Callable[[Modes, Modes, Modes], NDArray[Any]]
"""(n_a, n_b, n_c), broadcastable arrays of modes → factor."""


@dataclass(frozen=True)
class Multiplier:
    """Product of parts on the half spectrum of real values.

    shape       (n_a, n_b, n_c) of the values
    parts       factors, functions of the modes along a, b, c
    is_complex  True if any part is complex
    order       the axes from the slowest in memory to the fastest, which is halved; (2, 1, 0) is Fortran order
    """

    shape: tuple[int, int, int]
    parts: Sequence[Part]
    is_complex: bool = False
    order: tuple[int, int, int] = (0, 1, 2)

    def _evaluate(self, modes: Sequence[Modes], symmetric: Sequence[int]) -> NDArray[Any]:
        """Product of the parts, averaged over both signs of the modes along the symmetric (stored) axes."""
        total: Any = None
        choices = list(product(*[(1, -1) if axis in symmetric else (1,) for axis in range(3)]))
        for signs in choices:
            stored = [mode if sign == 1 else -mode for sign, mode in zip(signs, modes, strict=True)]
            a, b, c = (stored[self.order.index(axis)] for axis in range(3))
            factor = self.parts[0](a, b, c)
            for part in self.parts[1:]:
                factor = factor * part(a, b, c)
            total = factor if total is None else total + factor
        return total if len(choices) == 1 else total / len(choices)

    @cached_property
    def _tables(self) -> tuple[NDArray[Any], ...] | None:
        """One factor per stored axis if every part is a product over axes, else None."""
        separable = [part for part in self.parts if isinstance(part, AlongAxes)]
        if len(separable) < len(self.parts):
            return None
        tables = []
        for axis in self.order:
            n = self.shape[axis]
            modes = np.fft.fftfreq(n, 1 / n)
            table = reduce(np.multiply, [part.factor(axis, modes) for part in separable])
            if n % 2 == 0:
                nyquist = np.array([n / 2, -n / 2])
                table[n // 2] = reduce(np.multiply, [part.factor(axis, nyquist) for part in separable]).mean()
            tables.append(table)
        return tuple(tables)

    def plane(self, i: int, whole: bool = False) -> NDArray[Any]:
        """Values for plane i of the first stored axis, (n_1, n_2//2 + 1), or (n_1, n_2) of all modes if whole."""
        if self._tables is not None:
            first, second, third = self._tables
            return np.multiply.outer(first[i] * second, third if whole else third[: len(third) // 2 + 1])
        return self._plane_of_parts(i, whole)

    def quarter(self, i: int) -> NDArray[Any]:
        """Of an even multiplier plane i of the first stored axis, (n_1//2 + 1, n_2//2 + 1): modes 0 and above."""
        n0, n1, n2 = self.stored_shape
        modes = (
            np.full((1, 1), float(min(i, n0 - i))),
            np.arange(n1 // 2 + 1.0)[:, None],
            np.arange(n2 // 2 + 1.0)[None, :],
        )
        return np.broadcast_to(self._evaluate(modes, ()), (n1 // 2 + 1, n2 // 2 + 1))

    def split(self) -> tuple[Multiplier | None, Multiplier | None, Multiplier | None]:
        """Its even parts, others that are worth a table, and those that are found as fast; None for what there is not.

        Their product is the multiplier, as even parts are alike for both signs of Nyquist modes.
        """
        even = [part for part in self.parts if getattr(part, "is_even", False)]
        fast = [part for part in self.parts if isinstance(part, AlongAxes | Derivative)]
        others = [part for part in self.parts if not any(part is one for one in (*even, *fast))]
        if fast and others:  # the mean over both signs is of their product
            others, fast = [part for part in self.parts if not any(part is one for one in even)], []
        first, second, third = (replace(self, parts=parts) if parts else None for parts in (even, others, fast))
        return first, second, third

    @cached_property
    def identity(self) -> Hashable | None:
        """Equal for multipliers that are made of the same numbers; None where nobody can tell."""
        return known_by(self)

    def turned(self) -> Multiplier:
        """The same with the two slower axes exchanged: its planes are rows of the former ones."""
        first, second, third = self.order
        return replace(self, order=(second, first, third))

    @property
    def stored_shape(self) -> tuple[int, int, int]:
        """Sizes in the order of memory."""
        first, second, third = self.order
        return self.shape[first], self.shape[second], self.shape[third]

    @cached_property
    def factors(self) -> Factors | None:
        """What a device needs to evaluate the multiplier itself; None if a part is any other function of the modes."""
        stored = list(self.order)
        separable = [part for part in self.parts if isinstance(part, AlongAxes)]
        radial = [part for part in self.parts if isinstance(part, OfWavevector | InverseSquare)]
        gradients = [part for part in self.parts if isinstance(part, Derivative)]
        if len(separable) + len(radial) + len(gradients) < len(self.parts) or len(gradients) > 1:
            return None
        metric = radial[0].metric if radial else np.zeros((3, 3))
        inverse = [part.factor for part in radial if isinstance(part, InverseSquare)]
        if any((part.metric != metric).any() for part in radial) or len(inverse) > 1:
            return None
        tables = []
        for axis in stored if separable else ():
            n = self.shape[axis]
            modes = np.append(np.fft.fftfreq(n, 1 / n), -(n // 2))
            if n % 2 == 0:
                modes[n // 2] = n // 2
            if axis == stored[2]:
                modes = np.append(modes[: n // 2 + 1], -(n // 2))
            tables.append(reduce(np.multiply, [part.factor(axis, modes) for part in separable]))
        return Factors(
            tables=tuple(tables) if separable else None,
            metric=metric[np.ix_(stored, stored)],
            transforms=tuple(part.transform for part in radial if isinstance(part, OfWavevector)),
            inverse_square=inverse[0] if inverse else None,
            gradient=gradients[0].component[stored] if gradients else None,
        )

    @cached_property
    def flat_axes(self) -> tuple[int, ...]:
        """Stored axes on whose modes nothing depends: they need no transform."""
        return tuple(
            i for i, axis in enumerate(self.order) if all(_is_flat(part, axis, self.shape) for part in self.parts)
        )

    def across(self, flat_axes: Sequence[int]) -> Multiplier:
        """The same multiplier on a grid of one point along stored axes that are flat."""
        shape = list(self.shape)
        for i in flat_axes:
            shape[self.order[i]] = 1
        return replace(self, shape=(shape[0], shape[1], shape[2]))

    @cached_property
    def is_even(self) -> bool:
        """True if planes i and n - i are equal, and rows within a plane likewise: a quarter is evaluated."""
        return self._tables is None and all(getattr(part, "is_even", False) for part in self.parts)

    @cached_property
    def _simplified(self) -> tuple[NDArray[np.bool_], Multiplier]:
        """The rows of the second stored axis on which a part is a simpler one, and the multiplier with that one.

        A part says so by is_far(axis, modes), for modes along an axis whatever those along the others, and `far`.
        """
        axis = self.order[1]
        modes = np.fft.fftfreq(self.shape[axis], 1 / self.shape[axis])
        known: list[Any] = [part for part in self.parts if hasattr(part, "is_far")]
        if len(known) != 1:
            return np.zeros(len(modes), dtype=bool), self
        parts: list[Part] = [known[0].far, *(part for part in self.parts if part is not known[0])]
        return known[0].is_far(axis, modes), replace(self, parts=parts)

    def stretches(self, first: int, last: int) -> Iterator[tuple[int, int, Multiplier]]:
        """Rows first … last of the second stored axis in stretches of one multiplier, this one or the simpler one.

        Gives (start, stop, multiplier), start and stop counted from first.
        """
        far, simpler = self._simplified
        edges = np.flatnonzero(np.diff(far[first:last], prepend=-1, append=-1))
        for start, stop in pairwise(edges.tolist()):
            yield start, stop, simpler if far[first + start] else self

    @property
    def by_products(self) -> bool:
        """True if a part is found by matrix products, which have threads of their own."""
        return any(getattr(part, "by_products", False) for part in self.parts)

    def _plane_of_parts(self, i: int, whole: bool) -> NDArray[Any]:
        n0, n1, n2 = self.stored_shape
        if self.is_even:
            quarter = self.quarter(i)
            if whole:
                quarter = np.concatenate([quarter, quarter[:, 1 : (n2 + 1) // 2][:, ::-1]], axis=1)
            return np.concatenate([quarter, quarter[1 : (n1 + 1) // 2][::-1]])
        first = np.full((1, 1), float(i if i <= n0 // 2 else i - n0))
        second = np.fft.fftfreq(n1, 1 / n1)[:, None]
        third = (np.fft.fftfreq(n2, 1 / n2) if whole else np.arange(n2 // 2 + 1, dtype=np.float64))[None, :]
        nyquist = (0,) if 2 * i == n0 else ()
        out = self._evaluate((first, second, third), nyquist)
        if out.shape != (n1, third.size) or not out.flags.writeable:
            out = np.broadcast_to(out, (n1, third.size)).copy()
        row, column = np.full((1, 1), n1 / 2), np.full((1, 1), n2 / 2)
        if n1 % 2 == 0:
            middle = self._evaluate((first, row, third), (*nyquist, 1))
            out[n1 // 2, :] = np.broadcast_to(middle, (1, third.size))[0]
        if n2 % 2 == 0:
            out[:, n2 // 2] = np.broadcast_to(self._evaluate((first, second, column), (*nyquist, 2)), (n1, 1))[:, 0]
        if n1 % 2 == 0 and n2 % 2 == 0:
            out[n1 // 2, n2 // 2] = self._evaluate((first, row, column), (*nyquist, 1, 2)).item()
        return out


def known_by(what: Any) -> Hashable | None:
    """identity, or None where nobody can tell."""
    try:
        return identity(what)
    except LookupError:
        return None


def identity(what: Any) -> Hashable:
    """Equal for things made of the same numbers: arrays, records, methods of records; LookupError for any other.

    >>> identity(InverseSquare(np.eye(3))) == identity(InverseSquare(np.eye(3), 1.0))
    True
    """
    if what is None or isinstance(what, str | int | float | np.generic):
        return what
    if isinstance(what, np.ndarray):
        return what.shape, what.dtype.str, what.tobytes()
    if isinstance(what, tuple | list):
        return tuple(identity(one) for one in what)
    if isinstance(what, MethodType):
        return what.__func__, identity(what.__self__)
    if is_dataclass(what) and not isinstance(what, type):
        return type(what), *(identity(getattr(what, one.name)) for one in fields(what))
    raise LookupError(f"{type(what).__name__} is not known by its numbers")


@dataclass(frozen=True)
class Isotropic:
    """A part that is a function of |n · rows| alone."""

    rows: NDArray[np.float64]

    @cached_property
    def metric(self) -> NDArray[np.float64]:
        """The form whose value at (n_a, n_b, n_c) is |k|^2."""
        return _metric(self.rows)

    @property
    def is_even(self) -> bool:
        """True if only the magnitudes of the modes matter: the rows are orthogonal."""
        return bool((self.metric == np.diag(np.diag(self.metric))).all())


@dataclass(frozen=True)
class OfWavevector(Isotropic):
    """The part transform(|n · rows|): an isotropic kernel, with rows the reciprocal vectors."""

    transform: Callable[[NDArray[np.float64]], NDArray[Any]]

    def __call__(self, a: Modes, b: Modes, c: Modes) -> NDArray[Any]:
        """Transform of the length of the wavevector."""
        return self.transform(np.sqrt(_square(self.metric, a, b, c)))


@dataclass(frozen=True)
class InverseSquare(Isotropic):
    """The part factor/|n · rows|², 0 at k = 0: the potential of a density whose mean does not count."""

    factor: float = 1.0

    def __call__(self, a: Modes, b: Modes, c: Modes) -> NDArray[Any]:
        """Factor over the square of the wavevector."""
        square = _square(self.metric, a, b, c)
        return np.divide(self.factor, square, out=np.zeros(square.shape), where=square > 0)


def _metric(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Products of the rows; what is only rounding is 0."""
    metric = rows @ rows.T
    metric[np.abs(metric) < 1e-14 * np.abs(metric).max()] = 0.0
    return metric


def _square(metric: NDArray[np.float64], a: Modes, b: Modes, c: Modes) -> NDArray[np.float64]:
    """|k|^2 of modes."""
    square = metric[0, 0] * a * a + metric[1, 1] * b * b + metric[2, 2] * c * c
    if (metric != np.diag(np.diag(metric))).any():
        square = square + 2 * (metric[0, 1] * a * b + metric[0, 2] * a * c + metric[1, 2] * b * c)
    return np.asarray(np.maximum(square, 0.0))


@dataclass(frozen=True)
class AlongAxes:
    """The part f_a(n_a) f_b(n_b) f_c(n_c), None standing for 1: a separable kernel."""

    functions: Sequence[Callable[[Modes], NDArray[Any]] | None]

    def factor(self, axis: int, modes: Modes) -> NDArray[Any]:
        """The function of one axis."""
        function = self.functions[axis]
        return np.ones(modes.shape) if function is None else np.asarray(function(modes))

    def __call__(self, a: Modes, b: Modes, c: Modes) -> NDArray[Any]:
        """Product over the axes."""
        return self.factor(0, a) * self.factor(1, b) * self.factor(2, c)


@dataclass(frozen=True)
class Derivative:
    """The part i k · direction: the derivative along a Cartesian direction."""

    rows: NDArray[np.float64]
    direction: NDArray[np.float64]

    @cached_property
    def component(self) -> NDArray[np.float64]:
        """Of the wavevector along the direction, for one mode along each axis."""
        return self.rows @ self.direction

    def __call__(self, a: Modes, b: Modes, c: Modes) -> NDArray[Any]:
        """Imaginary and odd."""
        return 1j * (self.component[0] * a + self.component[1] * b + self.component[2] * c)


@dataclass(frozen=True)
class Factors:
    """A multiplier as numbers, axes in stored order: t_0[n_0] t_1[n_1] t_2[n_2] Π transform(|k|) factor/|k|² i g · n.

    tables          for each axis the factors of the modes 0 .. in the order of the spectrum, N/2 positive, and last
                    that of -N/2; None if all are 1
    metric          |k|² as a form in the modes, for the transforms and the inverse square
    transforms      functions of |k|
    inverse_square  factor of 1/|k|², 0 at k = 0; None if there is none
    gradient        g of the derivative; None if there is none

    At Nyquist modes of even axes the multiplier is the mean over both signs.
    """

    tables: tuple[NDArray[Any], ...] | None
    metric: NDArray[np.float64]
    transforms: tuple[Callable[[NDArray[np.float64]], NDArray[Any]], ...]
    inverse_square: float | None
    gradient: NDArray[np.float64] | None

    @property
    def known_as(self) -> Hashable | None:
        """Equal for the same functions of |k|; None where nobody can tell."""
        return known_by(self.transforms)


def _is_flat(part: Part, axis: int, shape: Sequence[int]) -> bool:
    """True if a part does not depend on the modes along an axis of the values."""
    if shape[axis] == 1:
        return True
    if isinstance(part, OfWavevector | InverseSquare):
        return not part.metric[axis].any()
    if isinstance(part, AlongAxes):
        return part.functions[axis] is None
    return isinstance(part, Derivative) and part.component[axis] == 0.0


def filtered(
    device: Device,
    values: Any,
    *multipliers: Multiplier,
    slab: Slab | None = None,
    comm: Comm | None = None,
    largest: Callable[[], float] | None = None,
) -> list[Any]:
    """For each multiplier the values with every mode multiplied; new arrays in the memory order of the old one.

    slab, comm  where ranks share the values: the planes here, and who has the others; each gets its planes
    largest     tells the largest magnitude of the values here, where it is known (Field.largest_of)

    Transforms are shared. Slabs are transformed within their planes, transposed, multiplied with whole lines across
    them, and go the same way back; where nothing depends on the modes across, nothing is sent. Raises InputError for
    values that are not the multipliers' whole grid where it is not said who has the rest.
    """
    shared = slab is not None and comm is not None and comm.size > 1
    if not shared and values.shape != multipliers[0].shape:
        raise InputError(
            f"Fourier modes of a {list(multipliers[0].shape)} grid need all its planes, but {list(values.shape)} "
            "points are here: say which slab they are, and who has the others."
        )
    return _filtered(device, device.filter, values, multipliers, slab, comm, largest)


LARGEST_SUM = 2.0**96
"""N |v| up to which values in single precision are transformed as they are: 2^-32 of what it holds, as multipliers may
be larger than 1."""
SCALED = 20
"""Values beyond are divided by a power of two, so that the largest lies below 2^20."""


def in_range(
    device: Device, values: Any, n: int, comm: Comm | None = None, largest: Callable[[], float] | None = None
) -> tuple[Any, float]:
    """Values of which n can be added up in their precision, and the power of two that they have been divided by; 1 as a
    rule. With ranks the same power on all of them; collective. Values of float32 are read once, unless it is known how
    large they are.

    >>> from .device import choose_device
    >>> found, power = in_range(choose_device("cpu"), np.full((2, 2, 2), 3e38, np.float32), 8)
    >>> found.max() == np.float32(3e38) / power
    np.True_
    """
    if values.dtype != np.float32:
        return values, 1.0
    here = magnitude(device, values) if largest is None else largest()
    power = scale_of(max(comm.gather(here)) if comm is not None else here, n)
    return (values, 1.0) if power == 1.0 else (values * values.dtype.type(1 / power), power)


def magnitude(device: Device, values: Any) -> float:
    """Largest |value| of those here, from one read; NaN if there is one."""
    return float(np.abs(device.extrema(values)).max()) if values.size else 0.0


def scale_of(largest: float, n: int) -> float:
    """The power of two that in_range divides by; 1 for values that are not finite, which remain so."""
    return 2.0 ** (int(np.frexp(largest)[1]) - SCALED) if LARGEST_SUM < largest * n < np.inf else 1.0


def rescaled(
    device: Device,
    values: Any,
    n: int,
    work: Callable[[Any], Sequence[Any]],
    comm: Comm | None = None,
    largest: Callable[[], float] | None = None,
) -> list[Any]:
    """What linear work makes of values, of which it adds up n, where they may be too large for that; collective.

    Raises InputError where what it makes is more than single precision holds.
    """
    values, power = in_range(device, values, n, comm, largest)
    results = list(work(values))
    if power == 1.0:
        return results
    found = max(magnitude(device, result) for result in results)
    check_range(max(comm.gather(found)) if comm is not None else found, power)
    return [result * result.dtype.type(power) for result in results]


def check_range(largest: float, power: float) -> None:
    """Raise InputError where results of scaled values, times the power, are more than single precision holds."""
    if largest * power > float(np.finfo(np.float32).max):
        raise InputError(
            f"The result reaches {largest * power:.2g}, more than float32 holds (3.4e38): take the field as float64, "
            "or in another unit."
        )


def _filtered(
    device: Device,
    filter_whole: Callable[[Any, Sequence[Multiplier]], Sequence[Any]],
    values: Any,
    multipliers: Sequence[Multiplier],
    slab: Slab | None,
    comm: Comm | None,
    largest: Callable[[], float] | None,
) -> list[Any]:
    """For each multiplier the filtered values: by the device, which takes those of slabs, or whole ones in C order."""

    def work(values: Any) -> list[Any]:
        if slab is not None and comm is not None and comm.size > 1:
            return _on_slabs(device, values, multipliers, slab, comm)
        if is_fortran_ordered(values):
            turned = [replace(m, order=(m.order[2], m.order[1], m.order[0])) for m in multipliers]
            return [result.T for result in filter_whole(values.T, turned)]
        return list(filter_whole(values, multipliers))

    return rescaled(device, values, prod(multipliers[0].shape), work, comm, largest)


SLOWEST_FIRST = ((0, 1, 2), (1, 0, 2), (2, 1, 0))
"""For each axis of slabs the axes from the slowest in memory to the fastest, as transforms of slabs take them.

Each of these orders is its own inverse.
"""


def slab_order(
    device: Device, shape: Sequence[int], padded: Sequence[int], axis: int, size: int
) -> tuple[int, int, int]:
    """The axes as filters of slabs of one of them store them: it, the one whose modes ranks share, the last.

    shape, padded  sizes (a, b, c) of the values, and of the grid of the multipliers

    A device that pads one axis, or that has zeros within planes, shares halved modes of the second. The third takes its
    place where the busiest rank would hold less than three quarters of what it holds now: of an open and a periodic
    axis the periodic one, and the longer one where there are too few modes for all ranks.
    """
    order = SLOWEST_FIRST[axis]
    first, second, third = order
    if not device.pads_one_axis and all(shape[i] == padded[i] for i in (second, third)):
        return order

    def held(shared: int, other: int) -> int:
        return -(-(padded[shared] // 2 + 1) // size) * shape[other]

    return (first, third, second) if 4 * held(third, second) < 3 * held(second, third) else order


def _on_slabs(device: Device, values: Any, multipliers: Sequence[Multiplier], slab: Slab, comm: Comm) -> list[Any]:
    """Filtered planes of all ranks, with zeros behind them where the multipliers are for a larger grid."""
    order = slab_order(device, values.shape, multipliers[0].shape, slab.axis, comm.size)
    stored = [replace(m, order=order) for m in multipliers]
    planes = values.transpose(order)
    back = tuple(int(axis) for axis in np.argsort(order))
    if all(0 in m.flat_axes for m in stored) and multipliers[0].shape[slab.axis] == slab.n:
        across = [m.across([0]) for m in stored]
        results = device.convolve(planes, across) if planes.size else [planes] * len(stored)
    else:
        lines = Lines(comm, device, Slab(0, slab.n, slab.start, slab.stop))
        empty = lambda: empty_like(device, values, slab.axis, slab.n_local).transpose(order)  # noqa: E731
        results = device.filter_slabs(planes, stored, lines, empty)
    return [result.transpose(back) for result in results]


def convolved(
    device: Device,
    values: Any,
    *multipliers: Multiplier,
    slab: Slab | None = None,
    comm: Comm | None = None,
    largest: Callable[[], float] | None = None,
) -> list[Any]:
    """As `filtered`, with zeros behind the values: the multipliers are for a larger grid with the same steps.

    multipliers  on (m_a, m_b, m_c) points, of which the values are the first n_a, n_b, n_c of each axis; all of one
                 shape

    Only spectra of the padded planes are held, one for each multiplier but the last and one more: another axis is
    padded a few rows at a time, so an axis of zeros costs no memory there.
    """
    return _filtered(device, device.convolve, values, multipliers, slab, comm, largest)


def plane_spectra(device: Device, planes: Any) -> Any:
    """(n_0, n_1, n_2//2 + 1) half spectra of planes over the last two axes, unnormalized, on the host.

    Of float32 in single precision, and in double where their sums are more than that holds.
    """
    planes, power = in_range(device, planes, planes[0].size)
    spectra = device.to_host(device.rfft_planes(planes))
    return spectra if power == 1.0 else spectra.astype(np.complex128) * power


def modes_of_rows(shape: tuple[int, int, int]) -> tuple[Modes, Modes, Modes]:
    """Integer modes along the stored axes, in the order in which rows of a spectrum have them."""
    n_0, n_1, n_2 = shape
    return -np.fft.fftfreq(n_0, 1 / n_0), np.fft.fftfreq(n_1, 1 / n_1), np.arange(n_2 // 2 + 1.0)


class RowsOfModes:
    """The spectrum of values on a grid, row by row of the second stored axis, on the host; ranks have their own rows.

    order  the axes of the values in which they are stored
    shape  their sizes in that order
    modes  integer modes along them, in the order in which the rows have them; the last axis has 0 … N/2

    Iterating gives (i, f~): the number of a row, and its (n_0, n_2//2 + 1) coefficients, f = Σ f~ exp(i k·r) from the
    first point of the grid. Slabs are transposed once.
    """

    def __init__(
        self,
        device: Device,
        values: Any,
        slab: Slab | None = None,
        comm: Comm | None = None,
        largest: Callable[[], float] | None = None,
    ) -> None:
        own = Slab.of(values.shape[0]) if slab is None or comm is None or comm.size == 1 else slab
        self.order = SLOWEST_FIRST[own.axis]
        planes = values.transpose(self.order)
        n_1 = planes.shape[1]
        self.shape = own.n, n_1, planes.shape[2]
        planes, self._power = in_range(device, planes, prod(self.shape), comm, largest)
        spectrum = device.rfft_planes(planes)
        self._rows = Slab.of(n_1, axis=1)
        if comm is not None and comm.size > 1:
            spectrum, self._rows = transpose(comm, device, Slab(0, own.n, own.start, own.stop), spectrum, 1, n_1)
        self._spectrum = device.ifft_lines(spectrum)  # the forward transform over n_0, its modes 0, -1, -2, …
        self._device = device
        self.modes = modes_of_rows(self.shape)

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.complex128]]]:
        norm = float(self.shape[1] * self.shape[2]) / self._power
        for i in range(self._rows.n_local):
            row = self._device.to_host(self._device.compact(self._spectrum[:, i : i + 1, :]))
            yield self._rows.start + i, row[:, 0].astype(np.complex128) / norm

    def shell_sums(
        self,
        metric: NDArray[np.float64],
        signed: Sequence[NDArray[np.float64]],
        weights: NDArray[np.float64],
        width: float,
        n_shells: int,
    ) -> NDArray[np.float64]:
        """device.shell_sums of this rank's rows, unnormalized along the second and third stored axes."""
        own = self._rows.planes
        modes = [np.asarray(mode, dtype=np.float64) for mode in (self.modes[0], self.modes[1][own], self.modes[2])]
        across = [signed[0], signed[1][own], signed[2]]
        sums = self._device.shell_sums(self._spectrum, modes, across, weights, metric, width, n_shells)
        sums[2] *= self._power**2
        return sums


def shell_powers(
    device: Device,
    values: Any,
    rows: NDArray[np.float64],
    width: float,
    *,
    slab: Slab | None = None,
    comm: Comm | None = None,
    largest: Callable[[], float] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums over shells of wavevectors, on every rank: (n_shells,) modes, their |k|, their |f~|²/N².

    values  (n_a, n_b, n_c); a rank's planes where ranks share them
    rows    (3, 3) reciprocal vectors [1/Å]
    width   of a shell [1/Å]: shell s holds the modes with |k| nearest to s times it; shell 0 is empty of k = 0
    slab, comm, largest  as in `filtered`

    Both of k and -k count, so that by Parseval's theorem all powers add up to the variance. A mode N/2 of an even axis
    stands for both signs: its |k|² is the mean of the two. Slabs are transposed once.
    """
    spectrum = RowsOfModes(device, values, slab, comm, largest)
    shape, n_2 = spectrum.shape, spectrum.shape[2]
    metric = _metric(rows)[np.ix_(spectrum.order, spectrum.order)]
    modes = spectrum.modes
    signed = [np.where(2 * np.abs(mode) == n, 0.0, mode) for mode, n in zip(modes, shape, strict=True)]
    twice = np.full(n_2 // 2 + 1, 2.0)
    twice[0] = 1.0
    if n_2 % 2 == 0:
        twice[-1] = 1.0
    k_largest = np.sqrt(sum(metric[i, i] * (n / 2) ** 2 for i, n in enumerate(shape)) * 3)
    n_shells = int(np.rint(k_largest / width)) + 2
    sums = spectrum.shell_sums(metric, signed, twice, width, n_shells)
    sums[2] /= float(shape[1] * shape[2]) ** 2
    if comm is not None and comm.size > 1:
        sums = comm.sum(sums)
    sums[:, 0] = 0.0
    filled = int(np.flatnonzero(sums[0])[-1]) + 1 if sums[0].any() else 1
    return sums[0, :filled], sums[1, :filled], sums[2, :filled]


def values_of_modes(
    device: Device, multiplier: Multiplier, modes: Callable[[int, int], NDArray[Any]], comm: Comm
) -> Any:
    """Real values whose modes are those of a function times a multiplier, in the memory order of the multiplier.

    Each rank makes its own modes and gets its planes of the slowest axis.

    modes  (start, stop) → (n_0, stop - start, n_2//2 + 1) complex modes of rows start … stop of the second stored axis,
           on the host, unnormalized as rfftn gives them
    """
    n_0, n_1, n_2 = multiplier.stored_shape
    rows = Slab.of(n_1, comm.rank, comm.size, 1)
    spectrum = modes(rows.start, rows.stop)
    across = multiplier.turned()
    for row in range(rows.n_local):
        spectrum[:, row] *= across.plane(rows.start + row)
    lines = device.ifft_lines(device.asarray(spectrum))
    back, planes = transpose(comm, device, rows, lines, 0, n_0)
    return device.irfft_planes(back, (planes.n_local, n_1, n_2)).transpose(multiplier.order)
