"""A Runtime below the GPU device that runs the kernels' own sources on the host, under sanitizers.

Arrays are NumPy's. A launch hands a kernel memory of exactly each array's size, checks the arguments against the
kernel's parameters, and runs threads and blocks in two orders, which must give the same bits.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from harness.build import program
from harness.server import Buffer, KernelError, Parameter, Server

from gpuhomog.device.gpu import runtime

ALIGNMENT = 256  # of what cudaMalloc returns
MOST_THREADS = 1024
MOST_BLOCKS = (2**31 - 1, 65535, 65535)
GARBAGE = 0xFF  # bytes of a NaN


class LaunchError(KernelError):
    """A launch that CUDA would refuse, or would run on wrong arguments."""


class Launch(NamedTuple):
    """What was launched."""

    file: str
    instance: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int


class GarbageNumPy:
    """NumPy whose new memory holds NaNs, so that values a kernel forgot to write show."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def empty(shape: Any, dtype: Any = float, order: Any = "C") -> np.ndarray:
        return _garbage(np.empty(shape, dtype, order))

    @staticmethod
    def empty_like(prototype: Any, *arguments: Any, **options: Any) -> np.ndarray:
        return _garbage(np.empty_like(prototype, *arguments, **options))

    @staticmethod
    def get_default_memory_pool() -> Any:
        """CuPy's word; nothing is pooled here."""
        return SimpleNamespace(free_all_blocks=lambda: None, free_bytes=lambda: 0, used_bytes=lambda: 0)


def _garbage(values: np.ndarray) -> np.ndarray:
    _bytes_at(_address(values), values.nbytes)[...] = GARBAGE
    return values


class HostRuntime:
    """Runtime on the host; see gpuhomog.device.gpu.runtime.Runtime for what each method promises.

    programs are sources of a test's own: file name to (text, instances); others are the package's. Where
    `check_order` is set, every launch runs twice, the second time with threads and blocks in the opposite order.
    """

    def __init__(
        self,
        programs: Mapping[str, tuple[str, Sequence[str]]] | None = None,
        *,
        check_order: bool = True,
        timeout: float = 120.0,
        flags: Sequence[str] = (),
    ) -> None:
        self.name = "gpu:host"
        self.xp: Any = GarbageNumPy()
        self.n_multiprocessors = 2
        self.shared_bytes = 232448
        self.cache_bytes = 50 << 20
        self.memory = (64 << 30, 80 << 30)
        self.check_order = check_order
        self.launches: list[Launch] = []
        self._programs = dict(programs or {})
        self._timeout = timeout
        self._flags = tuple(flags)
        self._servers: dict[str, Server] = {}
        self._one_at_a_time = threading.Lock()  # the ranks of some tests are threads

    def free_bytes(self) -> tuple[int, int]:
        """`memory`, which a test may set."""
        return self.memory

    def synchronize(self) -> None:
        """Every launch has been waited for."""

    def use(self) -> None:
        """It is the only one."""

    def close(self) -> None:
        """End all programs."""
        while self._servers:
            self._servers.popitem()[1].close()

    def launch(
        self,
        file: str,
        instance: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[Any],
        shared: int = 0,
    ) -> None:
        """Run one kernel; KernelError where it breaks a rule, LaunchError where the launch does."""
        with self._one_at_a_time:
            self._launch(file, instance, grid, block, arguments, shared)

    def _launch(
        self,
        file: str,
        instance: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[Any],
        shared: int,
    ) -> None:
        whole_grid, whole_block = _three(grid), _three(block)
        where = f"kernels/{file} {instance} <<<{whole_grid}, {whole_block}, {shared}>>>"
        server = self._server(file)
        if instance not in server.instances:
            raise LaunchError(f"{where}: no such instance is declared.")
        parameters = server.instances[instance][1]
        self._check_shape(where, whole_grid, whole_block, shared)
        if len(arguments) != len(parameters):
            raise LaunchError(f"{where}: {len(arguments)} arguments for {len(parameters)} parameters.")
        for number, (argument, parameter) in enumerate(zip(arguments, parameters, strict=True)):
            fault = _fault(argument, parameter)
            if fault:
                raise LaunchError(f"{where}: argument {number} is {fault}; the parameter is {parameter}.")
        if 0 in whole_grid:
            return
        self.launches.append(Launch(file, instance, whole_grid, whole_block, shared))

        buffers, targets, passed = _device_memory(arguments, parameters)
        results: list[bytes] | None = None
        for backward in (False, True) if self.check_order else (False,):
            try:
                answers = server.run(
                    instance, whole_grid, whole_block, (shared, self.shared_bytes), buffers, passed, backward
                )
            except BaseException as error:
                self._servers.pop(file).close()
                if isinstance(error, KernelError):
                    raise KernelError(f"{where}\n{error}") from None
                raise
            if results is not None and results != answers:
                raise KernelError(
                    f"{where}: the results depend on the order in which threads or blocks run. Is a barrier missing, "
                    "or do two of them write to the same place?"
                )
            results = answers
        for target, content in zip(targets, results or [], strict=True):
            target[...] = np.frombuffer(content, np.uint8)

    def _server(self, file: str) -> Server:
        if file not in self._servers:
            text, instances = self._programs.get(file) or (runtime.source(file), runtime.instances(file))
            self._servers[file] = Server(program(file, text, instances, self._flags), self._timeout)
        return self._servers[file]

    def _check_shape(self, where: str, grid: tuple[int, ...], block: tuple[int, ...], shared: int) -> None:
        if min(block) < 1 or int(np.prod(block)) > MOST_THREADS or block[2] > 64:
            raise LaunchError(f"{where}: a block has 1 to {MOST_THREADS} threads, at most 64 along z.")
        if min(grid) < 0 or any(n > most for n, most in zip(grid, MOST_BLOCKS, strict=True)):
            raise LaunchError(f"{where}: a grid has at most {MOST_BLOCKS} blocks.")
        if not 0 <= shared <= self.shared_bytes:
            raise LaunchError(f"{where}: {shared} bytes of shared memory, {self.shared_bytes} at most.")


def _three(extents: Sequence[int]) -> tuple[int, int, int]:
    numbers = [int(n) for n in extents]
    if any(n != m for n, m in zip(numbers, extents, strict=True)) or not 1 <= len(numbers) <= 3:
        raise LaunchError(f"{tuple(extents)}: grids and blocks are one to three whole numbers.")
    return tuple(numbers + [1] * (3 - len(numbers)))  # type: ignore[return-value]


def _fault(argument: Any, parameter: Parameter) -> str | None:
    """What is wrong with an argument; None where nothing is."""
    if isinstance(argument, np.ndarray) and argument.ndim + argument.size > 0:
        if not parameter.pointer:
            return f"an array of {argument.dtype}"
        if not (argument.flags.c_contiguous or argument.flags.f_contiguous):
            return f"an array with strides {argument.strides} and shape {argument.shape}, not contiguous"
        if not argument.flags.writeable and not parameter.constant:
            return "a read-only array"
        plain = np.dtype(f"f{argument.dtype.itemsize // 2}") if argument.dtype.kind == "c" else argument.dtype
        kind = "u" if plain.kind == "b" and parameter.kind == "u" else plain.kind  # flags are written as bytes
        raw = parameter.kind == "V" or argument.dtype == np.uint8  # bytes may be anything
        if not raw and (kind, plain.itemsize) != (parameter.kind, parameter.item):
            return f"an array of {argument.dtype}"
        return None
    if not isinstance(argument, np.generic):
        return f"{type(argument).__name__}, neither an array nor a NumPy scalar"
    if parameter.pointer:
        return None if isinstance(argument, np.uintp) and argument == 0 else f"a scalar {argument.dtype}"
    plain = np.dtype(f"f{argument.dtype.itemsize // 2}") if argument.dtype.kind == "c" else argument.dtype
    if parameter.kind != "V" and (plain.kind, plain.itemsize) != (parameter.kind, parameter.item):
        return f"a scalar {argument.dtype}"
    return None if argument.nbytes == parameter.size else f"a scalar of {argument.nbytes} bytes"


def _device_memory(
    arguments: Sequence[Any], parameters: Sequence[Parameter]
) -> tuple[list[Buffer], list[np.ndarray], list[bytes | tuple[int, int] | None]]:
    """Buffers on the device, the host's bytes behind those that come back, and the arguments that point into them.

    Arrays that share bytes share a buffer. A buffer lies at the same place modulo 256 as its array in the
    allocation that owns it, as if that had come from cudaMalloc.
    """
    arrays = sorted((_address(a), a.nbytes, number) for number, a in enumerate(arguments) if isinstance(a, np.ndarray))
    groups: list[list[int]] = []  # start, end, argument numbers
    for start, size, number in arrays:
        if groups and (start < groups[-1][1] or start == groups[-1][0]):
            groups[-1][1] = max(groups[-1][1], start + size)
            groups[-1].append(number)
        else:
            groups.append([start, start + size, number])
    buffers, targets = [], []
    passed: list[bytes | tuple[int, int] | None] = [
        a.tobytes() if isinstance(a, np.generic) and not p.pointer else None
        for a, p in zip(arguments, parameters, strict=True)
    ]
    for start, end, *numbers in groups:
        owner = arguments[numbers[0]]
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        place = (start - _address(owner)) % ALIGNMENT
        content = _bytes_at(start, end - start)
        returned = any(not parameters[n].constant for n in numbers)
        for number in numbers:
            passed[number] = (len(buffers), _address(arguments[number]) - start)
        buffers.append(Buffer(memoryview(content), place, returned))
        if returned:
            targets.append(content)
    return buffers, targets, passed


def _bytes_at(address: int, n_bytes: int) -> np.ndarray:
    """The host's own bytes, not a copy."""
    return np.frombuffer((ctypes.c_uint8 * n_bytes).from_address(address), np.uint8)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]
