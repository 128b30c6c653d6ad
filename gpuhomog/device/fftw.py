"""FFTW with stored wisdom: used for blocks that were planned before, silent otherwise.

Planning takes a tenth of a second for each shape and pays only for those met often, so a one-shot command never
plans: every plan here is made with FFTW_WISDOM_ONLY, and what has no wisdom returns None (the caller transforms by
other means). Within `planning` what has none is planned with FFTW_MEASURE, and stored.

The wisdom lies in ${XDG_CACHE_HOME:-~/.cache}/gpuhomog/fftw-wisdom.json, one list of strings a precision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import InputError

_planning = False


def wisdom_path() -> Path:
    """Where the wisdom of this user lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuhomog" / "fftw-wisdom.json"


@cache
def _pyfftw() -> Any:
    """pyFFTW with the stored wisdom imported, or None if either is missing."""
    try:
        words = json.loads(wisdom_path().read_text())
        import pyfftw
    except (OSError, ValueError, ImportError):
        return None
    pyfftw.import_wisdom(tuple(word.encode() for word in words))
    return pyfftw


def planned(lines: NDArray[Any], axis: int, inverse: bool) -> Callable[[], None] | None:
    """What transforms complex lines along one axis in place, unnormalized; None without wisdom."""
    if _planning:
        import pyfftw
    else:
        pyfftw = _pyfftw()
    if pyfftw is None:
        return None
    try:
        plan = pyfftw.FFTW(
            lines,
            lines,
            axes=(axis,),
            direction="FFTW_BACKWARD" if inverse else "FFTW_FORWARD",
            flags=("FFTW_MEASURE" if _planning else "FFTW_WISDOM_ONLY",),
        )
    except RuntimeError:  # no wisdom for this shape and precision
        return None
    return plan.execute


@contextmanager
def planning() -> Iterator[Path]:
    """What is transformed within is planned thoroughly, its values lost; the wisdom is stored, and this is its path.

    Raises InputError if pyFFTW is not installed.
    """
    global _planning
    try:
        import pyfftw
    except ImportError:
        raise InputError("Tuning plans FFTW, but pyFFTW is not installed: pip install pyfftw.") from None
    _pyfftw()  # keep what is already known
    _planning = True
    try:
        yield wisdom_path()
    finally:
        _planning = False
    path = wisdom_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps([word.decode() for word in pyfftw.export_wisdom()]))
    os.replace(beside, path)  # whole or not at all
    _pyfftw.cache_clear()
