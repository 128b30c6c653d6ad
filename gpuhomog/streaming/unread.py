"""Unread: values that are read, or made, some planes at a time; what stands in a Field for an array too large.

It has the shape, precision and order of the array it stands for. Arithmetic with a number is done to the planes as they
come; a Reduction of it is one pass over them; some planes of the slab's axis are an array. Whatever else is asked of
it needs all values at once, and is refused.

In   a Stream (passes.py), and steps that its planes go through.
Out  planes on the device; reductions. InputError for everything that takes the whole array.

>>> from .passes import a_stream_of
>>> values = Unread(a_stream_of(np.arange(24.0).reshape(4, 3, 2))) * 2.0
>>> values[1:2].ravel()
array([12., 14., 16., 18., 20., 22.])
>>> values.shape, values.dtype
((4, 3, 2), dtype('float64'))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import InputError
from ..reduction import Arrays, Reduction, extrema, plane_sums
from .stops import check_stop

if TYPE_CHECKING:
    from .passes import Stream, Watched


class NeedsAll(InputError, AttributeError):
    """Refusal of what needs all values; of an attribute, so that hasattr is False and getattr gives its default."""

    @classmethod
    def of(cls, what: str, title: str, n_bytes: int, instead: str = "") -> NeedsAll:
        """`what` needs all values of the file of that title, so many bytes on this rank; `instead` would work."""
        return cls(
            f"{what} needs all values of {title} at once ({n_bytes / 1e9:.3g} GB on this rank), and with max_memory "
            f"only some planes are in memory: {instead + ', or ' if instead else ''}leave that out where all values "
            "fit, on several ranks perhaps."
        )


Step = tuple[str, Callable[[Any], Any], np.dtype[Any]]
"""(name, values of some planes → new values of those planes, their precision)"""


class Unread:
    """Values on a slab that are nowhere yet; see the module."""

    __array_ufunc__ = None  # NumPy's numbers leave arithmetic to this class

    def __init__(self, stream: Stream, steps: tuple[Step, ...] = ()) -> None:
        self.stream, self.steps = stream, steps
        self.shape: tuple[int, int, int] = stream.shape
        self.dtype: np.dtype[Any] = steps[-1][2] if steps else stream.dtype
        self.ndim = 3
        self.size = int(np.prod(stream.shape, dtype=object))
        self.nbytes = self.size * self.dtype.itemsize

    @property
    def name(self) -> str:
        """What these values are: what was found of them before is recognised by it."""
        return ", ".join([self.stream.name, *(step[0] for step in self.steps)])

    @property
    def strides(self) -> tuple[int, int, int]:
        """As if the planes that come one after the other lay so in memory, too."""
        a, b, c = self.shape
        size = self.dtype.itemsize
        return (size, a * size, a * b * size) if self.stream.slab.axis == 2 else (b * c * size, c * size, size)

    def planes(self, start: int, stop: int) -> Any:
        """The planes start:stop of the slab's axis, as numbered in the whole field, on the device."""
        return self.applied(self.stream.planes(start, stop))

    def applied(self, values: Any) -> Any:
        """Values of some planes after all steps."""
        for _, step, _ in self.steps:
            values = step(values)
        return values

    def mapped(self, name: str, function: Callable[[Any], Any], dtype: Any = None) -> Unread:
        """The values after one more step, which may depend on each value alone."""
        step: Step = (name, function, np.dtype(self.dtype if dtype is None else dtype))
        return Unread(self.stream, (*self.steps, step))

    def remade(self, name: str, read: Callable[[int, int], Any], ahead: bool = False) -> Unread:
        """As many values made of these: read(start, stop) gives planes of them; tasks that make the same share them."""
        split = self.stream.slab.axis
        first = (extrema(), plane_sums(split, split))
        name = f"{self.name}, {name}"
        made = replace(self.stream, name=name, read=read, dtype=self.dtype, first=first, review=None, ahead=ahead)
        return Unread(self.stream.run.shared(made))

    def reduce(self, reduction: Reduction, reproducible: bool = False) -> Arrays:
        """A reduction of the whole field; all that is asked for before planes are read is found in one pass."""
        return self.stream.run.reduce(self, reduction, reproducible)

    def watched(self, reproducible: bool) -> Watched:
        """Somebody goes through all planes anyway: what he sees need not be read again for the first reductions."""
        return self.stream.run.watch(self, reproducible)

    def planes_at_once(self) -> int:
        """Planes that may be in memory as one array."""
        return self.stream.planes_at_once(0)

    def refuse(self, what: str, instead: str = "") -> NoReturn:
        """Raise InputError: `what` needs all values; `instead` names what would work."""
        raise NeedsAll.of(what, self.stream.title, self.nbytes, instead)

    def __getitem__(self, index: Any) -> Any:
        slab = self.stream.slab
        places = list(index) if isinstance(index, tuple) else [index]
        places += [slice(None)] * (3 - len(places))
        for axis, (place, n) in enumerate(zip(places, self.shape, strict=False)):
            if len(places) != 3 or not isinstance(place, slice) or place.step not in (None, 1):
                self.refuse("What was asked")
            if axis != slab.axis and place.indices(n) != (0, n, 1):
                self.refuse("What was asked")
        first, last, _ = places[slab.axis].indices(self.shape[slab.axis])
        check_stop(f"between planes {slab.start + first} and {slab.start + last} of {slab.n}")
        return self.planes(slab.start + first, slab.start + max(first, last))

    def _with(self, other: Any, sign: str, function: Callable[[Any, Any], Any]) -> Unread:
        if np.ndim(other) != 0:
            self.refuse("Arithmetic with another array")
        number = np.dtype(self.dtype).type(other)
        return self.mapped(f"{sign} {float(number)!r}", lambda values: function(values, number))

    def __mul__(self, other: Any) -> Unread:
        return self._with(other, "times", lambda values, number: values * number)

    def __add__(self, other: Any) -> Unread:
        return self._with(other, "plus", lambda values, number: values + number)

    def __sub__(self, other: Any) -> Unread:
        return self._with(other, "less", lambda values, number: values - number)

    def __neg__(self) -> Unread:
        return self.mapped("negative", lambda values: -values)

    __rmul__, __radd__ = __mul__, __add__

    def __rsub__(self, other: Any) -> Unread:
        return -self + other

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.refuse("What was asked")

    def __iter__(self) -> NoReturn:
        self.refuse("What was asked")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.refuse(f"What was asked ({name})")
