"""FFTW, for what it knows how to transform: blocks that were planned before, and lines that take it one step.

Planning takes a tenth of a second for each shape and pays only for those met often, so a one-shot command never
plans: plans here are made with FFTW_WISDOM_ONLY, and what has no wisdom returns None (the caller transforms by other
means). Within `planning` what has none is planned with FFTW_MEASURE, and stored. Lengths of ONE_STEP need no planning:
FFTW has compiled code for each, twice as fast as what others put together from steps.

The wisdom lies in ${XDG_CACHE_HOME:-~/.cache}/gpuhomog/fftw-wisdom.json, one list of strings a precision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import InputError

ONE_STEP = (32, 64, 128)
"""Lengths of lines whose plan FFTW_ESTIMATE finds in no time, and FFTW_MEASURE finds nothing better."""

_planning = False


def wisdom_path() -> Path:
    """Where the wisdom of this user lies."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpuhomog" / "fftw-wisdom.json"


@cache
def _pyfftw() -> Any:
    """pyFFTW with the stored wisdom imported, or None if it is not installed."""
    try:
        import pyfftw
    except ImportError:
        return None
    with suppress(OSError, ValueError):
        pyfftw.import_wisdom(tuple(word.encode() for word in json.loads(wisdom_path().read_text())))
    return pyfftw


def planned(lines: NDArray[Any], axis: int, inverse: bool) -> Callable[[], None] | None:
    """What transforms complex lines along one axis in place, unnormalized; None without wisdom."""
    pyfftw = _pyfftw()
    if pyfftw is None:
        return None
    unplanned = "FFTW_ESTIMATE" if lines.shape[axis] in ONE_STEP else "FFTW_WISDOM_ONLY"
    try:
        plan = pyfftw.FFTW(
            lines,
            lines,
            axes=(axis,),
            direction="FFTW_BACKWARD" if inverse else "FFTW_FORWARD",
            flags=("FFTW_MEASURE" if _planning else unplanned,),
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
    pyfftw = _pyfftw()  # with what is already known
    if pyfftw is None:
        raise InputError("Tuning plans FFTW, but pyFFTW is not installed: pip install pyfftw.")
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
