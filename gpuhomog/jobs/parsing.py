"""Parsing: what was typed for an option, or stands in a job file, to the value that it means.

Text and TOML values are understood alike, and what is not usable is refused with the same words.

In   raw values: text, numbers, lists, tables.
Out  numbers [Å where they are lengths], tuples, paths, words. Unusable says what is wanted instead.

>>> sizes("2,5"), count(1, 4)("3")
((2.0, 5.0), 3)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest_known
from ..grid import Grid
from ..operators.profiles.planar import parse_planes
from ..structure import IONS, SYMBOLS
from ..units import conversion_factor

MOST_RADII = 100_000
"""More are a mistyped step."""


class Unusable(Exception):
    """A raw value that its option cannot use; the message says what it wants."""


def text(raw: Any) -> str:
    """One word or name."""
    if not isinstance(raw, str) or not raw.strip():
        raise Unusable("give a name")
    return raw.strip()


def flag(raw: Any) -> bool:
    """True or false."""
    if not isinstance(raw, bool):
        raise Unusable("give true or false")
    return raw


def path(raw: Any) -> Path:
    """Name of a file or folder; ~ is the home folder."""
    return Path(text(raw)).expanduser()


def paths(raw: Any) -> tuple[Path, ...]:
    """Names of one file or several."""
    names = raw if isinstance(raw, list | tuple) else [raw]
    if not names:
        raise Unusable("give a name")
    return tuple(path(name) for name in names)


def listed_paths(raw: Any) -> tuple[Path, ...]:
    """The same of names with commas between them.

    >>> [name.as_posix() for name in listed_paths("slab/CHGCAR, molecule/CHGCAR")]
    ['slab/CHGCAR', 'molecule/CHGCAR']
    """
    return paths(raw.split(",") if isinstance(raw, str) else raw)


def number(raw: Any) -> float:
    """One finite number."""
    try:
        if isinstance(raw, bool):
            raise ValueError
        value = float(raw)
    except (TypeError, ValueError):
        raise Unusable("give a number") from None
    if not isfinite(value):
        raise Unusable("give a finite number")
    return value


def positive(raw: Any, such: str = "") -> float:
    """One positive number; `such` says what of."""
    try:
        value = number(raw)
    except Unusable:
        value = 0.0
    if value <= 0:
        raise Unusable(f"give a positive number{such}")
    return value


def length(raw: Any) -> float:
    """One positive number in Å."""
    return positive(raw, " in Å, such as 4.0")


def time_step(raw: Any) -> tuple[float, str]:
    """A time and its unit, fs if none is given.

    >>> time_step("0.5"), time_step("2 ps")
    ((0.5, 'fs'), (2.0, 'ps'))
    """
    found = re.fullmatch(r"\s*([-+.\deE]*\d\.?)\s*([A-Za-zµ]*)\s*", str(raw))
    try:
        if found is None or isinstance(raw, bool):
            raise Unusable
        return positive(found[1]), found[2] or "fs"
    except Unusable:
        raise Unusable("give the positive time between frames with its unit, such as 0.5fs or 2ps") from None


def split(raw: Any) -> list[Any]:
    """The parts of "1,2,3", of a list, or of one value."""
    if isinstance(raw, str):
        return [part for part in raw.replace(",", " ").split() if part]
    return list(raw) if isinstance(raw, list | tuple) else [raw]


def several(raw: Any, each: Callable[[Any], float] = number) -> tuple[float, ...]:
    """The numbers that are separated by commas; none if one of them is not usable."""
    try:
        return tuple(each(part) for part in split(raw))
    except Unusable:
        return ()


def numbers(
    wants: str,
    *n: int,
    each: Callable[[Any], float] = number,
    fit: Callable[[tuple[float, ...]], bool] = lambda values: True,
    bare: bool = False,
) -> Callable[[Any], Any]:
    """A parser of as many numbers as one of n says, or of any, that fit; a single one, if bare, without its tuple.

    >>> numbers("give two", 2)("1, 2"), numbers("give some", bare=True)("1")
    ((1.0, 2.0), 1.0)
    """

    def parse(raw: Any) -> Any:
        values = several(raw, each)
        if not values or (n and len(values) not in n) or not fit(values):
            raise Unusable(wants)
        return values[0] if bare and len(values) == 1 else values

    return parse


def word_or(parse: Callable[[Any], Any], wants: str, **words: str | None) -> Callable[[Any], Any]:
    """A parser of some words, each with what it stands for, and of whatever another one takes.

    >>> word_or(number, 'give a number, or "any"', any=None)("2.5")
    2.5
    """

    def parsed(raw: Any) -> Any:
        if isinstance(raw, str) and raw in words:
            return words[raw]
        try:
            return parse(raw)
        except Unusable:
            raise Unusable(wants) from None

    return parsed


lengths = numbers("give one positive width in Å, or three as 4,4,6", 1, 3, each=length, bare=True)
sizes = numbers("give a positive number in Å, such as 4.0, or several as 2,5", each=length, bare=True)
point = numbers("give three fractional coordinates, such as 0.5,0.5,0.5", 3)
place = numbers("give three coordinates in Å, such as 0,0,1.5", 3)
band_edges = numbers("give two energies in eV, of the two bulks, or four with the conduction bands, as 5.1,6.3", 2, 4)
interval = numbers("give two different positions in Å, such as 5,15", 2, fit=lambda x: x[0] != x[1])
two_wavevectors = numbers("give two wavevectors 0 < kL < ka in 1/Å, such as 0.05,2", 2, fit=lambda k: 0 < k[0] < k[1])
box = numbers(
    "give X0,X1,Y0,Y1 or X0,X1,Y0,Y1,Z0,Z1 in Å, each first number below the second",
    *(4, 6),
    fit=lambda x: all(low < high for low, high in zip(x[::2], x[1::2], strict=True)),
)
bulk_value = word_or(number, 'give a number in the unit of the field, or "bulk"', bulk="bulk")
reference = word_or(
    number, 'give a number in the unit of the field, "constant" or "linear"', constant="constant", linear="linear"
)
net_charge = word_or(number, 'give the net charge of the cell in e, or "any"', any=None)
one_period = word_or(
    numbers("", 1, each=length, bare=True),
    'give "auto", "none", or a length in Å, such as 2.82',
    auto="auto",
    none=None,
)
periods = word_or(
    numbers("", 1, 2, each=length, bare=True),
    'give "auto", "none", or one or two lengths in Å, such as 2.82 or 2.82,3.10',
    auto="auto",
    none=None,
)
outside = word_or(numbers("", 1, 2, bare=True), 'give one value, two values (low, high), or "edge"', edge="edge")


def points(raw: Any) -> str | tuple[tuple[float, ...], ...]:
    """Places, three coordinates each, or the atoms that are there: of an element, or all ions.

    >>> points("0,0,0,1.5,0,2"), points([[0, 0, 1]]), points("Mg")
    (((0.0, 0.0, 0.0), (1.5, 0.0, 2.0)), ((0.0, 0.0, 1.0),), 'Mg')
    """
    if isinstance(raw, str) and raw in (IONS, *SYMBOLS[1:]):
        return raw
    if isinstance(raw, list) and all(isinstance(one, list) and len(one) == 3 for one in raw):
        raw = [x for one in raw for x in one]
    values = several(raw)
    if not values or len(values) % 3:
        raise Unusable(f"give three coordinates in Å for each point, such as 0,0,1.5, an element, or {IONS}")
    return tuple(values[start : start + 3] for start in range(0, len(values), 3))


def radii(raw: Any) -> tuple[float, ...]:
    """Positive lengths, one by one or FROM:TO:STEP.

    >>> radii("2:3:0.25"), radii("5,7.5")
    ((2.0, 2.25, 2.5, 2.75, 3.0), (5.0, 7.5))
    """
    try:
        if isinstance(raw, str) and ":" in raw:
            first, last, step = (length(part) for part in raw.split(":"))
            steps = int((last - first) / step + 1e-9)
            if last < first or steps >= MOST_RADII:
                raise Unusable
            return tuple(first + i * step for i in range(steps + 1))
        values = tuple(length(part) for part in split(raw))
    except (Unusable, ValueError):
        values = ()
    if not values:
        raise Unusable(
            f"give positive radii in Å, such as 5,10,20, or FROM:TO:STEP, TO above FROM, such as 30:60:0.5, at most "
            f"{MOST_RADII}"
        )
    return values


def count(low: int, high: int) -> Callable[[Any], int]:
    """A whole number between two bounds."""

    def parse(raw: Any) -> int:
        try:
            if isinstance(raw, bool) or float(raw) != int(raw):
                raise ValueError
            value = int(raw)
        except (TypeError, ValueError):
            value = low - 1
        if not low <= value <= high:
            raise Unusable(f"give a whole number from {low} to {high}")
        return value

    return parse


def fitting(pattern: str, wants: str) -> Callable[[Any], str]:
    """Text that a regular expression fits."""

    def parse(raw: Any) -> str:
        if not isinstance(raw, str) or not re.fullmatch(pattern, raw):
            raise Unusable(wants)
        return raw

    return parse


def word(*known: str) -> Callable[[Any], str]:
    """One of the known words."""

    def parse(raw: Any) -> str:
        if raw not in known:
            raise Unusable(nearest_known(str(raw), known).rstrip("."))
        return str(raw)

    parse.known = known  # type: ignore[attr-defined]
    return parse


def planes(raw: Any) -> Any:
    """An axis, or lattice planes."""
    if raw not in (0, 1, 2, "a", "b", "c") and len(re.findall(r"-?\d", str(raw))) < 3:
        raise Unusable("give a, b or c, or lattice planes h,k,l such as 1,1,0")
    return checked(parse_planes)(raw)


def without_name(error: InputError) -> str:
    """What a refusal says, without the word that it found: the option's value stands before it."""
    return re.sub(r'^Unknown \w+ "[^"]*"( in "[^"]*")?: |^\w+ .* (?:is|are) not understood: ', "", str(error)).rstrip(
        "."
    )


def checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Text that another part of the package understands or refuses in its own words."""

    def parse(raw: Any) -> Any:
        if isinstance(raw, str | list | tuple | int) and not isinstance(raw, bool):
            try:
                check(raw)
            except InputError as error:
                raise Unusable(without_name(error)) from None
            return tuple(raw) if isinstance(raw, list) else raw
        raise Unusable("give a word")

    return parse


def unit(raw: Any) -> str:
    """A unit string that the package knows."""
    try:
        name = text(raw)
        conversion_factor(name, name)
    except InputError as error:
        raise Unusable(without_name(error)) from None
    return name


def ion_charges(raw: Any) -> dict[str, float] | str:
    """Charge of each element's ion, "Na=1,Cl=7" or a table; "file": as the file states them.

    >>> ion_charges("Na=1, Cl=7")
    {'Na': 1.0, 'Cl': 7.0}
    """
    if raw == "file":
        return "file"
    problem = Unusable("give the charge of each element's ion in e, such as Na=1,Cl=7")
    if isinstance(raw, Mapping):
        pairs = [(str(symbol), value) for symbol, value in raw.items()]
    elif isinstance(raw, str):
        pairs = [(symbol.strip(), value) for symbol, _, value in (part.partition("=") for part in raw.split(","))]
    else:
        raise problem
    try:
        charges = {symbol: number(value.strip() if isinstance(value, str) else value) for symbol, value in pairs}
    except Unusable:
        raise problem from None
    if not charges or len(charges) != len(pairs) or not all(charges):
        raise problem
    return charges


def named_charges(raw: Any) -> dict[str, float]:
    """Charge of each name, "Na=1,Cl=-1" or a table."""
    try:
        found = ion_charges(raw)
    except Unusable:
        found = "file"
    if isinstance(found, str):
        raise Unusable("give the charge of each name, element or type in e, such as Na=1,Cl=-1")
    return found


def cell(raw: Any) -> NDArray[np.float64]:
    """Rows are the lattice vectors: from three lengths of an orthogonal cell, or nine numbers.

    >>> cell("4,5,6").diagonal()
    array([4., 5., 6.])
    """
    try:
        numbers = [number(part) for row in split(raw) for part in split(row)]
        vectors = np.diag(numbers) if len(numbers) == 3 else np.array(numbers).reshape(3, 3)
        Grid((1, 1, 1), vectors)
    except (Unusable, ValueError, InputError):
        raise Unusable("give three lengths in Å, such as 16,16,40, or three vectors as nine numbers") from None
    return vectors
