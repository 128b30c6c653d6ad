"""Memory of the GPU: what is there, what goes there, and whether it fits.

Allocations come from CuPy's memory pool, so that repeated calls allocate nothing; small tables (weights,
matrices) are uploaded once and kept by their content.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from ...memory_order import is_fortran_ordered
from .runtime import Runtime
from .uploads import Uploads

KEPT_TABLES = 64
MOST_PINNED = 64 << 20
"""Bytes from which on CuPy is not asked to upload an array: it pins as much memory of the host, and keeps that."""
RESERVED_BYTES = 1024
"""Of a multiprocessor's shared memory, for each block, beside what the block uses."""
ALIGNMENT = 16
C_NAMES = {"float32": "float", "float64": "double"}


def c_name(dtype: Any) -> str:
    """The C name of float32 or float64."""
    return C_NAMES[np.dtype(dtype).name]


def c_bool(holds: bool) -> str:
    """A truth value as C writes it."""
    return "true" if holds else "false"


class Memory:
    """Device memory; see device.Device for what each method promises."""

    chunks_pinned: ClassVar[int] = 4  # two, of which some versions of CuPy round each up to a power of two
    cache_chunk: ClassVar[int] = 1 << 62
    runtime: Runtime
    _transforms: Any
    _tables: OrderedDict[tuple[Any, ...], Any]

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """Uploaded if they are on the host; DeviceError with the bytes needed and free if they do not fit.

        Of other libraries, too, on this GPU: the memory is shared.
        """
        xp = self.runtime.xp
        if hasattr(values, "__cuda_array_interface__"):  # CuPy's are taken as they are, those of another GPU copied
            there = xp.asarray(values)
            return there if dtype is None or there.dtype == dtype else there.astype(dtype)
        values = np.asarray(values, dtype=dtype)
        self.check_fits(values.nbytes, f"A field of {list(values.shape)} {values.dtype} values")
        if not (values.flags.c_contiguous or values.flags.f_contiguous):
            values = np.ascontiguousarray(values)
        is_fortran = is_fortran_ordered(values)
        if values.nbytes < MOST_PINNED:
            return xp.asarray(values, order="F" if is_fortran else "C")
        along_memory = values.T if is_fortran else values
        there = self.empty(along_memory.shape, values.dtype)
        self.upload(along_memory, there)
        self.runtime.synchronize()  # where CUDA reads the host's own pages, they must stay until then
        return there.T if is_fortran else there

    def upload(self, host: NDArray[Any], there: Any) -> None:
        """Values of the host, which must stay until the stream comes to its end, into an array here; both C-ordered."""
        if isinstance(there, np.ndarray):
            there[...] = host
        else:
            there.set(host)

    def to_host(self, values: Any) -> NDArray[Any]:
        """Copied to the host, in the same memory order."""
        if isinstance(values, np.ndarray):
            return values
        fortran = is_fortran_ordered(values)
        return np.asarray(values.T.get()).T if fortran else np.asarray(values.get())

    def check_fits(self, n_bytes: int, what: str) -> None:
        """DeviceError naming the bytes needed and the bytes free where they do not fit."""
        free, total = self.runtime.free_bytes()
        if n_bytes > free:
            self.give_back()
            free, total = self.runtime.free_bytes()
        if n_bytes > free:
            raise DeviceError(
                f"{what} needs {n_bytes} bytes ({n_bytes / 2**30:.2f} GiB), but {self.runtime.name} has {free} bytes "
                f'({free / 2**30:.2f} of {total / 2**30:.2f} GiB) free. Use dtype="float32" if it is not, ask for '
                'fewer points of an average (spacing=…), or use device="cpu".'
            )

    def empty(self, shape: Any, dtype: Any) -> Any:
        """Memory of the pool, contents undefined; DeviceError if the device is full."""
        n_bytes = int(np.prod([int(n) for n in np.atleast_1d(shape)], dtype=object)) * np.dtype(dtype).itemsize
        try:
            return self.runtime.xp.empty(shape, dtype)
        except MemoryError:  # CuPy's OutOfMemoryError is one
            self.give_back()
            self.check_fits(n_bytes, f"An array of {list(np.atleast_1d(shape))} {np.dtype(dtype)} values")
            return self.runtime.xp.empty(shape, dtype)

    def _made(self, make: Callable[[], Any]) -> Any:
        """A new array; where there is no room for it, once more without what is kept for later calls."""
        try:
            return make()
        except MemoryError:
            self.give_back()
            return make()

    def give_back(self) -> None:
        """Give up what is kept for later calls and may be as large as a field: plans of transforms, the pool's rest."""
        if "_transforms" in vars(self):  # else cuFFT would be loaded for it
            self._transforms.forget()
        self.runtime.xp.get_default_memory_pool().free_all_blocks()

    def staging(self, n_bytes: int) -> NDArray[np.uint8]:
        """Pinned memory where CuPy gives it: uploads from it run at the speed of the bus."""
        cuda = getattr(self.runtime.xp, "cuda", None)
        if cuda is None:
            return np.empty(n_bytes, np.uint8)
        return np.frombuffer(cuda.alloc_pinned_memory(n_bytes), np.uint8, n_bytes)

    @contextmanager
    def uploads(self) -> Iterator[Callable[[Any], AbstractContextManager[Any]]]:
        """Two chunks in pinned memory, two on the device (uploads.py), where there are streams."""
        xp = self.runtime.xp
        if getattr(xp, "cuda", None) is None:
            yield lambda values: nullcontext(self.asarray(values))
            return
        places = Uploads(self)

        def begin(values: Any) -> AbstractContextManager[Any]:
            if isinstance(values, xp.ndarray) or values.size == 0:
                return nullcontext(self.asarray(values))
            return places.begin(np.asarray(values))

        try:
            yield begin
        finally:
            places.close()

    def table(self, values: Any, dtype: Any) -> Any:
        """A small array of the host on the device; the same content is uploaded once."""
        host = np.ascontiguousarray(values, dtype=dtype)
        key = (host.dtype.str, host.shape, hash(host.tobytes()), host.nbytes)
        kept = self._tables.get(key)
        if kept is None:
            kept = self._tables[key] = self.runtime.xp.asarray(host)
            if len(self._tables) > KEPT_TABLES:
                self._tables.popitem(last=False)
        else:
            self._tables.move_to_end(key)
        return kept

    def contiguous(self, values: Any) -> Any:
        """C-ordered values from a 16-byte address on, as vector loads and cuFFT want; copied where they are not."""
        xp = self.runtime.xp
        values = self._made(lambda: xp.ascontiguousarray(values))
        facts = values.__array_interface__ if isinstance(values, np.ndarray) else values.__cuda_array_interface__
        if facts["data"][0] % ALIGNMENT == 0:
            return values
        return self._made(lambda: xp.array(values, copy=True, order="C"))

    def pad(self, values: Any, axis: int, before: int, n: int) -> Any:
        """Zeros before and after along an axis, in the memory order of the values."""
        shape = list(values.shape)
        shape[axis] = n
        order = "F" if is_fortran_ordered(values) else "C"
        out = self._made(lambda: self.runtime.xp.zeros(shape, dtype=values.dtype, order=order))
        place = [slice(None)] * 3
        place[axis] = slice(before, before + values.shape[axis])
        out[tuple(place)] = values
        return out

    def copy(self, values: Any) -> Any:
        """A copy in the same memory order."""
        return self._made(lambda: values.copy(order="K"))

    def compact(self, values: Any) -> Any:
        """The values in memory of their own, without gaps."""
        if values.flags.c_contiguous or values.flags.f_contiguous:
            return values
        return self._made(lambda: values.copy(order="C"))

    def squared_deviation(self, values: Any, centre: float) -> Any:
        """One new float64 array."""
        deviation = self.runtime.xp.subtract(values, centre, dtype=np.float64)
        return self.runtime.xp.multiply(deviation, deviation, out=deviation)
