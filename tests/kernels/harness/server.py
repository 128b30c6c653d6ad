"""One program that runs kernels on the host, asked through pipes."""

from __future__ import annotations

import os
import re
import select
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

MAGIC = 0x6B61434B
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=0:exitcode=99:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}

_MAP_OF_BYTES = re.compile(r"^Shadow bytes around.*?(?=^kernel error|\Z)", re.MULTILINE | re.DOTALL)


class KernelError(AssertionError):
    """What the sanitizers, or the rules of the harness, say about a launch."""


@dataclass(frozen=True)
class Parameter:
    """A kernel's parameter: a value of `size` bytes, or a pointer to such values."""

    pointer: bool
    constant: bool
    kind: str
    item: int
    size: int

    @classmethod
    def parse(cls, text: str) -> Parameter:
        pointer, constant, kind, item, size = text.split()
        return cls(pointer == "pointer", constant == "const", kind, int(item), int(size))

    def __str__(self) -> str:
        name = f"{self.kind}{self.item}" if self.kind != "V" else f"{self.size} bytes"
        return f"{'const ' if self.constant else ''}{name}{'*' if self.pointer else ''}"


@dataclass
class Buffer:
    """Memory of the device: its bytes before the launch, its address modulo 256, whether it may be written."""

    content: memoryview
    place: int
    returned: bool


@cache
def _fixed_addresses() -> tuple[str, ...]:
    """The words that start a program without random addresses, with which the sanitizers' own map can collide.

    None where containers forbid that.
    """
    words = "setarch", "-R"
    try:
        return words if subprocess.run([*words, "true"], capture_output=True).returncode == 0 else ()
    except FileNotFoundError:
        return ()


class Server:
    """A running program; ends with close() or with the first error."""

    def __init__(self, program: Path, timeout: float) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._timeout = timeout
        self._process = subprocess.Popen(
            [*_fixed_addresses(), str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, **SANITIZERS},
            bufsize=0,
        )
        try:
            text = self._read(*struct.unpack("=Q", self._read(8))).decode()
        except BaseException:
            self.close()
            raise
        self.instances: dict[str, tuple[int, list[Parameter]]] = {}
        for number, line in enumerate(text.splitlines()):
            name, *parameters = line.split("\t")
            self.instances[name] = number, [Parameter.parse(one) for one in parameters]

    def run(
        self,
        instance: str,
        grid: Sequence[int],
        block: Sequence[int],
        shared: tuple[int, int],
        buffers: Sequence[Buffer],
        arguments: Sequence[bytes | tuple[int, int] | None],
        backward: bool,
    ) -> list[bytes]:
        """Bytes of the returned buffers after one launch.

        shared are bytes of dynamic shared memory, and the most a block may use; arguments are bytes of a value,
        (buffer, offset) or None for a null pointer.
        """
        number = self.instances[instance][0]
        head = struct.pack(
            "=12I2Q", MAGIC, number, *grid, *block, int(backward), len(buffers), len(arguments), 0, *shared
        )
        places = b"".join(struct.pack("=3Q", b.content.nbytes, b.place, int(b.returned)) for b in buffers)
        tail = b"".join(
            struct.pack("=2Q", 2, 0)
            if argument is None
            else struct.pack("=2Q", 0, len(argument)) + argument
            if isinstance(argument, bytes)
            else struct.pack("=3Q", 1, *argument)
            for argument in arguments
        )
        for part in (head + places, *(b.content for b in buffers), tail):
            self._write(part)
        if struct.unpack("=I", self._read(4)) != (MAGIC,):
            raise self._error("The program lost the thread of its answers.")
        return [self._read(b.content.nbytes) for b in buffers if b.returned]

    def close(self) -> None:
        """End the program."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                pipe.close()

    def _write(self, content: bytes | memoryview) -> None:
        assert self._process.stdin is not None
        left = memoryview(content).cast("B")
        try:
            while left:
                left = left[self._process.stdin.write(left) :]
        except BrokenPipeError:
            raise self._error("") from None

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        content = bytearray(size)
        left, deadline = memoryview(content), time.monotonic() + self._timeout
        while left:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self._process.kill()
                raise self._error(f"No answer within {self._timeout:g} seconds: a loop without end?")
            n = self._process.stdout.readinto(left)  # type: ignore[attr-defined]
            if not n:
                raise self._error("")
            left = left[n:]
        return bytes(content)

    def _error(self, first: str) -> KernelError:
        code = self._process.wait()
        self._said.seek(0)
        said = _MAP_OF_BYTES.sub("", self._said.read().decode(errors="replace")).strip()
        return KernelError("\n".join(part for part in (first, said or f"The program ended with code {code}.") if part))
