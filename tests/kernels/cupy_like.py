"""NumPy behind CuPy's manners: arrays that live elsewhere, and whatever CuPy refuses is refused.

Mixing them with arrays of the host, and every implicit copy to the host, is a TypeError; reductions give arrays
without axes; functions that CuPy lacks are missing. With it below the GPU device, code that only works because
NumPy's arrays are at hand fails where there is no GPU, too.
"""

from __future__ import annotations

import ctypes
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from host_runtime import GarbageNumPy, HostRuntime

try:
    import cupy
except ImportError:
    cupy = None

FROM_HOST = ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray")
METHODS = "reshape transpose astype copy sum min max mean prod ravel view squeeze any all swapaxes conj dot argmax item"


def _plain(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value.values
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("an array of the host among those of the device")
    if isinstance(value, tuple | list):
        return type(value)(_plain(v) for v in value)
    return value


def _wrapped(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, tuple | list):
        return type(value)(_wrapped(v) for v in value)
    return value


class DeviceArray:
    """What cupy.ndarray is to the code above it."""

    __array_priority__ = 100

    def __init__(self, values: Any, dtype: Any = None, memory: int | None = None) -> None:
        """An array; or, as CuPy has it, a shape, a dtype and the address of memory."""
        if memory is not None:
            n_bytes = int(np.prod(values)) * np.dtype(dtype).itemsize
            values = np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(memory), dtype).reshape(values)
        self.values = values

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use .get().")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        options = {name: _plain(value) for name, value in options.items()}
        return _wrapped(getattr(ufunc, method)(*map(_plain, inputs), **options))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return _wrapped(function(*_plain(tuple(arguments)), **{k: _plain(v) for k, v in options.items()}))

    def __getattr__(self, name: str) -> Any:
        if name in METHODS.split():
            return lambda *arguments, **options: _wrapped(
                getattr(self.values, name)(*map(_plain, arguments), **{k: _plain(v) for k, v in options.items()})
            )
        raise AttributeError(name)

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)
    size = property(lambda self: self.values.size)
    ndim = property(lambda self: self.values.ndim)
    nbytes = property(lambda self: self.values.nbytes)
    itemsize = property(lambda self: self.values.itemsize)
    strides = property(lambda self: self.values.strides)
    flags = property(lambda self: SimpleNamespace(**{n: self.values.flags[n.upper()] for n in CONTIGUOUS}))
    T = property(lambda self: type(self)(self.values.T))
    __cuda_array_interface__ = property(lambda self: self.values.__array_interface__)
    real = property(lambda self: DeviceArray(self.values.real))
    imag = property(lambda self: DeviceArray(self.values.imag))

    def get(self) -> np.ndarray:
        """A copy on the host, C-ordered as CuPy's is by default."""
        return np.array(self.values, order="C")

    def set(self, host: np.ndarray) -> None:
        """Copy from the host."""
        if not isinstance(host, np.ndarray) or (host.shape, host.dtype) != (self.shape, self.dtype):
            raise ValueError("set() takes an array of the host of the same shape and dtype")
        self.values[...] = host

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Any:
        return (DeviceArray(v) for v in self.values)

    def __getitem__(self, key: Any) -> DeviceArray:
        found = self.values[_plain(key)]
        return found if isinstance(found, DeviceArray) else type(self)(np.asarray(found))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.values[_plain(key)] = _plain(value)

    def __float__(self) -> float:
        return float(self.values)

    def __int__(self) -> int:
        return int(self.values)

    def __index__(self) -> int:
        return self.values.__index__()

    def __bool__(self) -> bool:
        return bool(self.values)


CUDA = "__cuda_array_interface__"


def _on_device(values: Any) -> DeviceArray:
    """An array as it is; one of another library as an array that shares its memory."""
    if isinstance(values, DeviceArray):
        return values
    return DeviceArray(np.asarray(SimpleNamespace(__array_interface__=getattr(values, CUDA))))


CONTIGUOUS = ("c_contiguous", "f_contiguous")
NOT_IN_CUPY = ("errstate",)  # refused without CuPy at hand, too
BY_ATOMICS = ("bincount", "histogram")  # sums in any order: not the same bits twice


def _operator(name: str) -> Any:
    def apply(self: DeviceArray, *others: Any) -> Any:
        found = getattr(self.values, name)(*map(_plain, others))
        if name.startswith("__i") and name != "__invert__":
            self.values = found
            return self
        return _wrapped(found)

    return apply


for _name in "add sub mul truediv floordiv mod pow and or xor".split():
    for _form in ("__{}__", "__r{}__", "__i{}__"):
        setattr(DeviceArray, _form.format(_name), _operator(_form.format(_name)))
for _name in "eq ne lt le gt ge neg pos abs invert matmul rmatmul".split():
    setattr(DeviceArray, f"__{_name}__", _operator(f"__{_name}__"))
DeviceArray.__hash__ = None  # type: ignore[assignment]


class CuPyLike:
    """What the module cupy is to the code above it."""

    ndarray = DeviceArray

    def __init__(self, module: Any = None, real: Any = cupy) -> None:
        self._module, self._real = module or GarbageNumPy(), real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if name in BY_ATOMICS:
            raise AttributeError(f"{name} of CuPy adds in any order")
        if name in NOT_IN_CUPY or (self._real is not None and not hasattr(self._real, name)):
            raise AttributeError(f"CuPy has no {name}")
        if isinstance(found, ModuleType):
            return CuPyLike(found, getattr(self._real, name, None))
        if isinstance(found, type) or not callable(found) or name in ("dtype", "get_default_memory_pool"):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            if name == "asarray" and len(arguments) == 1 and not options and hasattr(arguments[0], CUDA):
                return _on_device(arguments[0])
            if name in FROM_HOST:
                first = arguments[0].values if isinstance(arguments[0], DeviceArray) else np.array(arguments[0])
                return DeviceArray(getattr(np, name)(first, *arguments[1:], **options))
            return _wrapped(found(*map(_plain, arguments), **{k: _plain(v) for k, v in options.items()}))

        return call


class CuPyLikeRuntime(HostRuntime):
    """Kernels on the host, launched on such arrays."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.name = "gpu:like"
        self.xp = CuPyLike()

    def launch(self, file: str, instance: str, grid: Any, block: Any, arguments: Any, shared: int = 0) -> None:
        """Unpacked; an array of the host is refused."""
        if any(isinstance(a, np.ndarray) for a in arguments):
            raise TypeError(f"kernels/{file} {instance}: an array of the host")
        plain = [a.values if isinstance(a, DeviceArray) else a for a in arguments]
        super().launch(file, instance, grid, block, plain, shared)
