r"""XYZ files, plain or extended: where their frames are, held against the numbers of atoms that they announce.

    number of atoms;  comment;  a line for each atom;  up to three lines VEC1, VEC2, VEC3;  the next frame

Libraries believe the numbers: a large one is counted down line by line beyond the end of the file, and what stands
after a blank line or a number that is too small is left out without a word. So files are looked at before.

In   path.
Out  nothing; FileFormatError for a file whose frames are not whole.

>>> import tempfile
>>> with tempfile.NamedTemporaryFile("w", suffix=".xyz") as file:
...     _ = file.write("2\n\nNa 0 0 0\nCl 1 1 1\n")
...     file.flush()
...     check_frames(Path(file.name))
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import IO

from ..errors import FileFormatError, InputError, counted

SUFFIXES = (".xyz", ".extxyz")
_LINE = 1 << 20  # bytes; a longer one is no text


def check_frames(path: Path, most: int | None = None) -> None:
    """FileFormatError unless each frame has the atoms that it announces, and nothing else stands between frames.

    most  so many frames are looked at; None: all
    """
    for _ in islice(_places(path), most):
        pass


def frame_lines(path: Path, frame: int) -> list[str]:
    """Comment and atoms of one frame, from 0 on; InputError if there are not so many, else as check_frames."""
    found = -1
    for found, (begin, end) in enumerate(_places(path)):
        if found == frame:
            with path.open("rb") as file:
                file.seek(begin)
                return file.read(end - begin).decode("utf-8", "replace").splitlines()
    raise InputError(f"{path} holds {counted(found + 1, 'frame')}: frame {frame} does not exist (the first is 0).")


def _places(path: Path) -> Iterator[tuple[int, int]]:
    """Where the comment of each frame begins, and where its atoms end [bytes]."""
    with path.open("rb") as file:
        for number in count():
            line = file.readline(_LINE)
            words = line.removeprefix(b"\xef\xbb\xbf").split() if number == 0 else line.split()
            if not words:
                if (line + file.read()).strip():
                    raise FileFormatError(
                        f"{path}: a blank line stands where frame {number} should begin, and what follows would be "
                        "left out: take that line out."
                    )
                return
            if len(words) > 1 or not words[0].isdigit():
                what = line[:40].decode("utf-8", "replace").strip()
                raise FileFormatError(
                    f'{path}: frame {number} begins with "{what}" instead of a number of atoms. The number before is '
                    "wrong, or the file is damaged."
                )
            begin, n_atoms = file.tell(), int(words[0][:20])
            if not file.readline(_LINE) or not _passed(file, n_atoms):
                raise FileFormatError(
                    f"{path}: frame {number} announces {n_atoms} atoms, and fewer lines follow. The last frame of a "
                    "run that was ended while it wrote is cut short: take it off the file."
                )
            end = here = file.tell()
            while file.readline(_LINE).lstrip().startswith(b"VEC"):
                here = file.tell()
            file.seek(here)
            yield begin, end


def _passed(file: IO[bytes], n_lines: int) -> bool:
    """Go on by so many lines that are not blank; False if the file ends, or a blank one stands, before."""
    return all(file.readline(_LINE).strip() for _ in range(n_lines))
