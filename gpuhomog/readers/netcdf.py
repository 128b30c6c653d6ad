"""NetCDF's classic formats (CDF-1, -2 and -5): where each variable lies, so that a rank reads its own planes of it.

SciPy reads the first two of them, but whole variables, or through a map of the file that outlives it.

In   path, plain or compressed.
Out  name → Variable, for all but those along the unlimited dimension, whose records lie apart.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError
from .binary import DAMAGED, check_size, open_binary

MAGIC = (b"CDF\x01", b"CDF\x02", b"CDF\x05")
_TYPES = ("i1", "S1", ">i2", ">i4", ">f4", ">f8", "u1", ">u2", ">u4", ">i8", ">u8")
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12


@dataclass(frozen=True)
class Variable:
    """Values in C order from an offset [bytes] on."""

    path: Path
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int

    def read(self) -> NDArray:
        """All of them."""
        with open_binary(self.path) as stream:
            stream.seek(self.offset)
            content = stream.read(prod(self.shape) * self.dtype.itemsize)
        if len(content) < prod(self.shape) * self.dtype.itemsize:
            raise FileFormatError(f"{self.path}: ends within a variable; it is truncated.")
        return np.frombuffer(content, self.dtype).reshape(self.shape)


class _Words:
    """The header, word by word: numbers of 4 bytes, counts of 8 in CDF-5, names and values filled up to 4."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.version = stream.read(4)[3]

    def take(self, n_bytes: int) -> bytes:
        content = self._stream.read(n_bytes) if n_bytes < 1 << 30 else b""
        if len(content) < n_bytes:
            raise EOFError("its header ends early")
        return content

    def number(self, n_bytes: int = 4) -> int:
        return int(struct.unpack(">i" if n_bytes == 4 else ">q", self.take(n_bytes))[0])

    def count(self) -> int:
        found = self.number(8 if self.version == 5 else 4)
        if found < 0:
            raise EOFError(f"a count is {found}")
        return found

    def offset(self) -> int:
        return self.number(4 if self.version == 1 else 8)

    def filled(self, n_bytes: int) -> bytes:
        return self.take(-(-n_bytes // 4) * 4)[:n_bytes]

    def name(self) -> str:
        return self.filled(self.count()).decode("utf-8", "replace")

    def dtype(self) -> np.dtype:
        number = self.number()
        if not 1 <= number <= len(_TYPES):
            raise EOFError(f"there is no type {number}")
        return np.dtype(_TYPES[number - 1])

    def members(self, tag: int) -> range:
        """Of a list that has this tag, or is empty."""
        found, n = self.number(), self.count()
        if found != tag and (found, n) != (0, 0):
            raise EOFError(f"a list begins with {found} instead of {tag}")
        return range(n)

    def pass_attributes(self) -> None:
        for _ in self.members(_ATTRIBUTES):
            self.name()
            dtype = self.dtype()
            self.filled(dtype.itemsize * self.count())


def classic_variables(path: Path) -> dict[str, Variable]:
    """Every variable of fixed size. Raises FileFormatError for a damaged header, and for a file too short for them."""
    found = {}
    try:
        with open_binary(path) as stream:
            words = _Words(stream)
            words.count()  # of records
            sizes = [(words.name(), words.count())[1] for _ in words.members(_DIMENSIONS)]
            words.pass_attributes()
            for _ in words.members(_VARIABLES):
                name = words.name()
                shape = tuple(sizes[words.count()] for _ in range(words.count()))
                words.pass_attributes()
                dtype = words.dtype()
                words.count()  # its size in bytes, which no reader needs
                offset = words.offset()
                if 0 not in shape:
                    found[name] = Variable(path, dtype, shape, offset)
    except (*DAMAGED, IndexError) as error:
        raise FileFormatError(f"{path}: cannot be read as NetCDF ({error}); it is truncated or damaged.") from None
    for variable in found.values():
        check_size(path, variable.offset + prod(variable.shape) * variable.dtype.itemsize)
    return found
