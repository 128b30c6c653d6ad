"""Bytes of a file, plain or compressed with gzip, bzip2 or xz; which one it is, the first bytes tell.

A plain file can be read anywhere at once by several threads; a compressed one is a stream that is read forward. Each
rank therefore decompresses all that comes before its planes: one that did it for all would take as long, while the
others waited. Decompress a large file once, or convert it, before many ranks read it.

In   path.
Out  ByteFile: head(), read_at() for plain files, cursor() for both.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import FileFormatError, InputError

SUFFIXES = (".gz", ".bz2", ".xz")
_MAGIC: dict[bytes, str] = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_OPENERS: dict[str, Callable[[], Any]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
}
_LARGEST_RATIO = {"": 1, "gzip": 1032, "bzip2": 50_000, "xz": 10_000}
_FOREIGN: dict[bytes, str] = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x9d": "compress (.Z)", b"7z\xbc\xaf": "7-Zip"}
_INPUT = 1 << 18
_BUFFER = 1 << 20


def without_compression(path: Path) -> Path:
    """The path without a suffix that says how it is compressed."""
    return path.with_suffix("") if path.suffix.lower() in SUFFIXES else path


class _Decompressor(io.RawIOBase):
    """Stream of decompressed bytes; members that follow each other are joined, padding after them is ignored."""

    def __init__(self, path: Path, kind: str) -> None:
        self._path, self._kind = path, kind
        self._file = path.open("rb", buffering=0)
        self._engine = _OPENERS[kind]()
        self._waiting = b""
        self._fresh = True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def readinto(self, target: Any) -> int:
        wanted = len(target)
        while True:
            try:
                if self._engine.eof:
                    rest = (self._engine.unused_data or self._file.read(_INPUT)).lstrip(b"\x00")
                    if not rest or not rest.startswith(tuple(_MAGIC)):
                        return 0
                    self._engine, self._waiting = _OPENERS[self._kind](), rest
                    self._fresh = True
                hungry = not self._waiting and getattr(self._engine, "needs_input", True)
                piece = self._file.read(_INPUT) if hungry else self._waiting
                if hungry and not piece and not self._engine.eof:
                    raise EOFError
                found = self._engine.decompress(piece, wanted)
                self._waiting = getattr(self._engine, "unconsumed_tail", b"")
            except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
                raise FileFormatError(
                    f"{self._path}: its {self._kind} data are truncated or damaged; copy or compress the file again."
                ) from error
            if found:
                target[: len(found)] = found
                return len(found)


class Cursor:
    """Forward reading of lines and bytes that knows where it is, and can look ahead."""

    def __init__(self, stream: Any, seekable: bool) -> None:
        self._stream, self._seekable = stream, seekable
        self._ahead = b""
        self.at = 0

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def line(self) -> bytes:
        """The next line with its end; b"" at the end of the file. A line is at most a megabyte long."""
        stop = self._ahead.find(b"\n") + 1
        if stop:
            text, self._ahead = self._ahead[:stop], self._ahead[stop:]
        else:
            text = self._ahead + self._stream.readline(_BUFFER)
            self._ahead = b""
        self.at += len(text)
        return text

    def look(self, n: int) -> bytes:
        """Up to n bytes that come next, without going there."""
        if len(self._ahead) < n:
            self._ahead += self._stream.read(n - len(self._ahead))
        return self._ahead[:n]

    def read(self, n: int) -> bytes:
        """Up to n bytes, fewer at the end only."""
        text, self._ahead = self._ahead[:n], self._ahead[n:]
        if len(text) < n:
            text += self._stream.read(n - len(text))
        self.at += len(text)
        return text

    def move_to(self, offset: int) -> None:
        """Go forward to a byte offset, or to the end if that lies before it."""
        if self._seekable:
            self._stream.seek(offset)
            self._ahead, self.at = b"", offset
            return
        while self.at < offset:
            if not self.read(min(_BUFFER, offset - self.at)):
                return


@dataclass(frozen=True)
class ByteFile:
    """A file as bytes.

    path         the file
    compression  "", "gzip", "bzip2" or "xz"
    stored       bytes on disk
    """

    path: Path
    compression: str
    stored: int

    @property
    def most_bytes(self) -> int:
        """Upper bound of the decompressed size; the size itself if plain."""
        return self.stored * _LARGEST_RATIO[self.compression]

    def cursor(self) -> Cursor:
        """A new cursor at the beginning."""
        if self.compression:
            return Cursor(io.BufferedReader(_Decompressor(self.path, self.compression), _BUFFER), False)
        return Cursor(self.path.open("rb", buffering=_INPUT), True)

    def head(self, n: int = 1 << 16) -> bytes:
        """The first n decompressed bytes."""
        with self.cursor() as cursor:
            return cursor.read(n)


def check_is_file(path: Path) -> None:
    """InputError for a folder, for a pipe or device, and for a path where nothing is or that may not be looked at."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: no such file. Check the name and the folder.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a directory: give the file in it.")
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is a pipe or device, and files are read in parts: write it to a file first.")


def open_bytes(path: Path) -> ByteFile:
    """Find out how a file is compressed.

    Raises InputError for a missing file, a directory, or one that may not be read; FileFormatError for an empty
    file or a compression that is not read here.
    """
    check_is_file(path)
    try:
        with path.open("rb") as file:
            magic = file.read(8)
            stored = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not magic:
        raise FileFormatError(f"{path} is empty: the calculation or copy that should have written it did not finish.")
    for start, name in _FOREIGN.items():
        if magic.startswith(start):
            raise FileFormatError(f"{path} is compressed with {name}: decompress it, or use gzip, bzip2 or xz.")
    kind = next((name for start, name in _MAGIC.items() if magic.startswith(start)), "")
    return ByteFile(path, kind, stored)
