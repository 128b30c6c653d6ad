"""Places: where the planes of a field lie in its file and as which bytes, so that each rank writes its own.

Every format writes a value in a fixed number of bytes, so the place of a plane follows from its number alone, and the
file has the same bytes however many ranks write it. Compressed text has no such places: one rank writes it in order.

In   blocks of planes (planes.py).
Out  pieces: file in the folder ("" where the output is one file), offset [bytes], bytes. `at_offsets` and `in_order`
     put them into the file. OSError where the system refuses.

>>> import tempfile
>>> path = Path(tempfile.mkdtemp()) / "letters"
>>> path.touch()
>>> with at_offsets(path) as put:
...     put("", 2, b"cd")
...     put("", 0, b"ab")
>>> path.read_bytes()
b'abcd'
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .text import text_stream

Piece = tuple[str, int, Any]
"""(file in the folder, offset, contiguous bytes)"""

Put = Callable[[str, int, Any], None]


@dataclass(frozen=True)
class Places:
    """Where the planes of one field lie.

    pieces   (start, block of planes start:) → its pieces; with them what stands before the first and after the last
    n_bytes  of the whole file, if that is known beforehand and it is one file
    """

    pieces: Callable[[int, NDArray[Any]], Iterator[Piece]]
    n_bytes: int | None = None


@contextmanager
def at_offsets(path: Path) -> Iterator[Put]:
    """A function that puts pieces into the file, or into files of the folder; at the end they are on the disk."""
    descriptors: dict[str, int] = {}
    put_into: set[str] = set()

    def put(name: str, offset: int, content: Any) -> None:
        if name not in descriptors:
            while descriptors:
                os.close(descriptors.popitem()[1])
            where = path / name if name else path
            where.parent.mkdir(parents=True, exist_ok=True)
            descriptors[name] = os.open(where, os.O_WRONLY | os.O_CREAT, 0o666)
            put_into.add(name)
        view = memoryview(content).cast("B")
        while len(view):
            written = os.pwrite(descriptors[name], view, offset)
            view, offset = view[written:], offset + written

    try:
        yield put
    finally:
        while descriptors:
            os.close(descriptors.popitem()[1])
    for name in put_into:
        descriptor = os.open(path / name if name else path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def in_order(path: Path, compression: str) -> Iterator[Put]:
    """A function that writes pieces one after the other into a compressed file; those that come early wait."""
    waiting: dict[int, Any] = {}
    end = 0
    with text_stream(path, compression) as stream:

        def put(name: str, offset: int, content: Any) -> None:
            nonlocal end
            waiting[offset] = content
            while end in waiting:
                piece = waiting.pop(end)
                stream.write(piece)
                end += len(piece)

        yield put
        assert not waiting, "pieces of the file are missing"
