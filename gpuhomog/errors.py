"""Exception types: every message says where, what was found, why it matters and what to do.

In   nothing.
Out  types. `InputError` is the one users meet: the command line turns it into one line and exit code 2.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

PACKAGE = f"{Path(__file__).parent}{os.sep}"


class GpuhomogError(Exception):
    """Base of everything this package raises on purpose."""


class InputError(GpuhomogError, ValueError):
    """What the user gave cannot be right, or cannot be used as asked; nothing was written."""


class AdvisedError(InputError):
    """What cannot be is one sentence, what to do about it the next: a caller may give other advice of its own.

    Both may be one text, as where an error was met is put before it.

    >>> with met_in("task 1: "):
    ...     raise AdvisedError("The bulk has no period", "Give one.")
    Traceback (most recent call last):
    gpuhomog.errors.AdvisedError: task 1: The bulk has no period. Give one.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason, advice)
        self.reason, self.advice = reason, advice

    def __str__(self) -> str:
        return f"{self.reason}. {self.advice}" if self.advice else self.reason


class FileFormatError(InputError):
    """A file is truncated, damaged, of another kind, or says something impossible."""


class UnitsError(InputError):
    """A unit or quantity is unknown, or two do not fit together."""


class KernelError(InputError):
    """An averaging kernel does not exist with these parameters, or does not fit the grid."""


class DeviceError(InputError):
    """The device asked for is not there, or the field does not fit on it."""


class Stopped(GpuhomogError):
    """A signal asked to stop; what was found is kept, and the same call goes on from there."""


class AccuracyWarning(UserWarning):
    """The result is what was asked for, but a stated condition of its accuracy is not met."""


def warn(sentence: str) -> None:
    """An AccuracyWarning, shown at the line that called this package, however deep in it the cause was found."""
    depth, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(sentence, AccuracyWarning, stacklevel=depth)


@contextmanager
def met_in(where: str, kind: type[InputError] | None = None) -> Iterator[None]:
    """Has an InputError of the block begin with where it was met, and be of another kind.

    >>> with met_in("x.cube: ", FileFormatError):
    ...     raise InputError("the cell has no volume.")
    Traceback (most recent call last):
    gpuhomog.errors.FileFormatError: x.cube: the cell has no volume.
    """
    try:
        yield
    except InputError as error:
        raise (kind or type(error))(f"{where}{error}") from None


def import_optional(module: str, extra: str, what: str) -> Any:
    """A module that only some uses need; if it is missing, one sentence that says how to get it.

    >>> import_optional("nothing_of_this_name", "formats", "Such files")
    Traceback (most recent call last):
    gpuhomog.errors.GpuhomogError: Such files need nothing_of_this_name: pip install 'gpuhomog[formats]'.
    """
    try:
        return import_module(module)
    except ImportError:
        raise GpuhomogError(f"{what} need {module}: pip install 'gpuhomog[{extra}]'.") from None


def nearest_known(word: str, known: Iterable[str]) -> str:
    """A clause for error messages: the nearest known word if one is close, else the list of all.

    >>> nearest_known("gausian", ["gaussian", "ball"])
    'did you mean "gaussian"?'
    >>> nearest_known("zzz", ["gaussian", "ball"])
    'known: ball, gaussian'
    """
    known = sorted(known)
    close = get_close_matches(word, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known: {', '.join(known)}"


def check_word(name: str, word: str, known: Iterable[str], of: str = "") -> None:
    """InputError unless a word is one of those that an argument takes; `of` says of what, where that is to be told.

    >>> check_word("side", "hihg", ["low", "high"], "of a slab")
    Traceback (most recent call last):
    gpuhomog.errors.InputError: Unknown side "hihg" of a slab: did you mean "high"?
    """
    known = tuple(known)
    if word not in known:
        raise InputError(f'Unknown {name} "{word}"{of and f" {of}"}: {nearest_known(str(word), known)}')


def counted(n: int, thing: str, things: str | None = None) -> str:
    """A number of things.

    >>> counted(2, "plane"), counted(1, "radius", "radii")
    ('2 planes', '1 radius')
    """
    return f"{n} {thing if n == 1 else things or thing + 's'}"
