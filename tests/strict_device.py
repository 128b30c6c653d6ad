"""A stand-in for a GPU: the CPU's primitives behind arrays that refuse every implicit copy to the host.

An operator that passes on this device hands arrays to device primitives and to nothing else, so that a device
with memory of its own slots in without touching it.
"""

from __future__ import annotations

from contextlib import nullcontext
from inspect import signature
from types import FunctionType

import numpy as np

from gpuhomog.device import CPU, Device
from gpuhomog.parallel.exchange import Lines


class StrictArray:
    """Memory that only a StrictDevice may look into."""

    __array_priority__ = 1000

    def __init__(self, values):
        self._values = values

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit copy from the device to the host")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        raise TypeError(f"NumPy's {ufunc.__name__} on an array of the device")

    def __iter__(self):
        raise TypeError("loop over an array of the device")

    def __float__(self):
        raise TypeError("implicit copy from the device to the host")

    def __bool__(self):
        raise TypeError("implicit copy from the device to the host")

    shape = property(lambda self: self._values.shape)
    dtype = property(lambda self: self._values.dtype)
    size = property(lambda self: self._values.size)
    ndim = property(lambda self: self._values.ndim)
    flags = property(lambda self: self._values.flags)
    T = property(lambda self: StrictArray(self._values.T))

    nbytes = property(lambda self: self._values.nbytes)

    def reshape(self, *shape):
        return StrictArray(self._values.reshape(*shape))

    def transpose(self, order):
        return StrictArray(self._values.transpose(order))

    def __getitem__(self, key):
        return StrictArray(self._values[key])

    def __setitem__(self, key, values):
        self._values[key] = values._values if isinstance(values, StrictArray) else float(values)

    def _both(self, other, operation):
        if isinstance(other, np.ndarray) and other.ndim:
            raise TypeError("mixing arrays of the host and the device")
        return StrictArray(operation(self._values, other._values if isinstance(other, StrictArray) else other))

    def __add__(self, other):
        return self._both(other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other):
        return self._both(other, lambda a, b: a - b)

    def __mul__(self, other):
        return self._both(other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __neg__(self):
        return StrictArray(-self._values)

    def __abs__(self):
        return StrictArray(abs(self._values))

    def __gt__(self, other):
        return self._both(other, lambda a, b: a > b)

    def __truediv__(self, other):
        return self._both(other, lambda a, b: a / b)


class StrictDevice:
    """Every primitive of the CPU on StrictArrays; results meant for the host come back as NumPy."""

    name = "strict"

    def __init__(self):
        self._cpu = CPU(threads=1)

    def asarray(self, values, dtype=None):
        values = values._values if isinstance(values, StrictArray) else values
        return StrictArray(self._cpu.asarray(values, dtype))

    def uploads(self):
        return nullcontext(lambda values: nullcontext(self.asarray(values)))

    def to_host(self, values):
        if not isinstance(values, StrictArray):
            raise TypeError("an array of the host where one of the device belongs")
        return values._values

    def __getattr__(self, name):
        primitive = getattr(self._cpu, name)
        if not callable(primitive):
            return primitive
        promise = getattr(Device, name)
        on_host = promise.__annotations__["return"].startswith(HOST_RESULTS)
        first_name = list(signature(promise).parameters)[1]

        def on_device(*arguments, **options):
            if first_name in ("values", "spectrum") and not isinstance(arguments[0], StrictArray):
                raise TypeError(f"{name}: an array of the host where one of the device belongs")
            result = primitive(*unwrapped(arguments), **unwrapped(options))
            return result if on_host else wrapped(result)

        return on_device


HOST_RESULTS = ("NDArray", "tuple[NDArray", "tuple[float", "float")
"""How the annotations of results begin that the protocol puts on the host."""


def unwrapped(value):
    """Arguments of the CPU's primitive."""
    if isinstance(value, StrictArray):
        return value._values
    if isinstance(value, Lines):  # of arrays of the CPU's
        return Lines(value._comm, CPU(threads=1), value._slab)
    if isinstance(value, FunctionType):
        return lambda *arguments: unwrapped(value(*arguments))
    if type(value) in (tuple, list):
        return type(value)(unwrapped(v) for v in value)
    return {k: unwrapped(v) for k, v in value.items()} if isinstance(value, dict) else value


def wrapped(value):
    """Its results, as arrays of the device."""
    if isinstance(value, np.ndarray):
        return StrictArray(value)
    if type(value) in (tuple, list):
        return type(value)(wrapped(v) for v in value)
    return {k: wrapped(v) for k, v in value.items()} if isinstance(value, dict) else value
