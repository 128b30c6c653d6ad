"""Numerals: many floats as fixed-width text at once, 11 significant digits, 18 bytes each.

    cube style   "  1.2345678901E+02"      d.dddddddddd
    VASP style   " 0.12345678901E+03"      Fortran's E17.11, as VASP writes it ("-.123…" when negative)

The mantissa is rounded to an 11-digit integer m = round(|x| 10^(10-e)) whose digits come from a table, four at
a time; the error is at most 0.50001 units of the last digit. |x| < 1e-99 is written as zero.

In   values, any shape, finite, |x| < 1e99.
Out  (n, 18) bytes.

>>> numerals(np.array([123.45678901, -1.0, 0.0])).tobytes().decode()
'  1.2345678901E+02 -1.0000000000E+00  0.0000000000E+00'
>>> numerals(np.array([123.45678901, -1.0]), style="vasp").tobytes().decode()
' 0.12345678901E+03 -.10000000000E+01'
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

WIDTH = 18
DIGITS = 11
_CHUNK = 32768  # values whose temporaries stay in cache

_TENS = 10.0 ** np.arange(-110, 111)
_TWO, _FOUR = (
    (np.arange(10**n)[:, None] // 10 ** np.arange(n)[::-1] % 10 + ord("0")).astype("u1").view(f"<u{n}")[:, 0]
    for n in (2, 4)
)
"""All numbers of two digits, and of four, as characters."""

_TAIL = [("two", "<u2"), ("mid", "<u4"), ("low", "<u4"), ("E", "u1"), ("exponent_sign", "u1"), ("exponent", "<u2")]
_LAYOUT: dict[str, np.dtype[Any]] = {
    "cube": np.dtype([("blank", "u1"), ("sign", "u1"), ("first", "u1"), ("point", "u1"), *_TAIL]),
    "vasp": np.dtype([("blank", "u1"), ("sign", "u1"), ("point", "u1"), ("first", "u1"), *_TAIL]),
}


def numerals(values: NDArray[Any], *, style: Literal["cube", "vasp"] = "cube") -> NDArray[np.uint8]:
    """(n, 18) characters of the values in C order; InputError for NaN, infinity or |x| >= 1e99."""
    flat = values.reshape(-1)
    text = np.empty((flat.size, WIDTH), dtype=np.uint8)
    records = text.reshape(-1).view(_LAYOUT[style])
    for start in range(0, flat.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        _fill(records[part], flat[part].astype(np.float64, copy=False), style)
    return text


def _fill(records: NDArray[Any], values: NDArray[np.float64], style: str) -> None:
    size = np.abs(values)
    if not size.max() < 1e99:
        raise InputError("A value is NaN, infinite or above 1e99, which the text format cannot hold. Write HDF5.")
    size[size < 1e-99] = 0.0
    positive = size > 0
    exponent = np.zeros(len(values), dtype=np.int64)
    np.floor(np.log10(size, where=positive, out=np.zeros_like(size)), out=exponent, casting="unsafe")
    mantissa = np.rint(size * _TENS[120 - exponent]).astype(np.int64)
    wrong = (mantissa >= 10**DIGITS) | (positive & (mantissa < 10 ** (DIGITS - 1)))
    if wrong.any():  # log10 was one off next to a power of ten, or rounding carried into a new digit
        exponent[wrong] += np.where(mantissa[wrong] >= 10**DIGITS, 1, -1)
        mantissa[wrong] = np.rint(size[wrong] * _TENS[120 - exponent[wrong]]).astype(np.int64)
    shown = exponent + (positive if style == "vasp" else 0)
    high = mantissa // 10**8
    rest = mantissa - high * 10**8
    middle = rest // 10**4
    records["blank"] = ord(" ")
    negative = values < 0
    if style == "vasp":
        records["sign"] = np.where(negative, ord("-"), ord("0"))
    else:
        records["sign"] = np.where(negative, ord("-"), ord(" "))
    records["point"] = ord(".")
    first = high // 100
    records["first"] = first + ord("0")
    records["two"] = _TWO[high - first * 100]
    records["mid"] = _FOUR[middle]
    records["low"] = _FOUR[rest - middle * 10**4]
    records["E"] = ord("E")
    records["exponent_sign"] = np.where(shown < 0, ord("-"), ord("+"))
    records["exponent"] = _TWO[np.abs(shown)]


def lines(text: NDArray[np.uint8], per_line: int) -> bytes:
    r"""Numerals joined to lines; text is (rows, n, 18) and every row begins a new line.

    >>> lines(numerals(np.arange(3.0)).reshape(1, 3, 18), 2)
    b'  0.0000000000E+00  1.0000000000E+00\n  2.0000000000E+00\n'
    """
    rows, n, width = text.shape
    full, rest = divmod(n, per_line)
    n_lines = full + (rest > 0)
    page = np.empty((rows, n * width + n_lines), dtype=np.uint8)
    if full:
        body = page[:, : full * (per_line * width + 1)].reshape(rows, full, per_line * width + 1)
        body[:, :, :-1] = text[:, : full * per_line].reshape(rows, full, per_line * width)
        body[:, :, -1] = ord("\n")
    if rest:
        tail = page[:, full * (per_line * width + 1) :]
        tail[:, :-1] = text[:, full * per_line :].reshape(rows, rest * width)
        tail[:, -1] = ord("\n")
    return page.tobytes()
