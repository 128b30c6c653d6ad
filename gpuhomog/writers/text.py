"""Text streams: a text file of a field, plain or compressed as the suffix says (.gz, .bz2, .xz).

In   temporary path and the suffix.
Out  a binary stream to write into.

>>> strip_compression("rho.cube.gz")
('rho.cube', '.gz')
"""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

COMPRESSIONS = (".gz", ".bz2", ".xz")


def strip_compression(name: str) -> tuple[str, str]:
    """The name without its compression suffix, and that suffix ("" if none)."""
    for suffix in COMPRESSIONS:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


@contextmanager
def text_stream(path: Path, compression: str) -> Iterator[IO[bytes]]:
    """A stream whose bytes arrive compressed in the file; the same field gives the same bytes."""
    with open(path, "wb") as file:
        if compression == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=4, fileobj=file, mtime=0) as stream:
                yield stream  # type: ignore[misc]
        elif compression == ".bz2":
            with bz2.BZ2File(file, "wb") as stream:
                yield stream
        elif compression == ".xz":
            with lzma.LZMAFile(file, "wb", preset=2) as stream:
                yield stream
        else:
            yield file
