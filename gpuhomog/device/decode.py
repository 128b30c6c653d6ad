r"""Fixed-width text to float64, a chunk at a time, bit for bit what `float(text)` gives.

    value = ± m 10^q,   m: the digits as one integer, q: exponent - digits after the point

Eight ASCII digits fit a 64-bit word, and three multiply-shift steps turn the word into their number; one
test tells whether all eight are digits. The product is then rounded once:

    m < 2^53, |q| <= 22     m and 10^|q| are exact doubles, so one multiplication or division rounds correctly
    otherwise               10^q as the sum of two doubles; the product is known to 2^-100 and is accepted if every
                            number so close to it rounds to the same double (Dekker 1971; Clinger 1990)
    anything else           left to the caller: `undecided` lists the fields (stars, NaN, blanks, more digits …)

In   bytes of whole rows, FixedWidth (where the points, digits and line ends lie).
Out  float64, and the indices of the fields left undecided.

>>> layout = FixedWidth(per_row=3, pitch=9, row_bytes=28, run=4, point=2, head=2, fraction=2, marker=69, exponent=2)
>>> rows = b" 1.25E+00-0.50E-01 0.10E+01\n 2.00E+02\n"
>>> values = np.empty(4)
>>> decode_fixed_width(np.frombuffer(rows + b" " * PADDING, np.uint8), layout, 0, values)
array([], dtype=int64)
>>> values
array([ 1.25e+00, -5.00e-02,  1.00e+00,  2.00e+02])
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

PADDING = 16
"""Readable bytes that must follow the last row: words are loaded whole."""

CHUNK = 32768
"""Values decoded together: a word of each fits the second-level cache several times over."""

_SIGN = np.uint64(1 << 63)
_INVALID = np.uint64(1 << 62)
_NO_DIGIT = np.uint64(0xF0F0F0F0F0F0F0F0)
LARGEST_POWER = 250


class Misaligned(ValueError):
    """Line ends are not where the layout says: the text is not of this layout."""


@dataclass(frozen=True)
class FixedWidth:
    """Where the values of a block of text lie.

    per_row    values in a full row
    pitch      bytes from one value to the next in a row
    row_bytes  bytes of a full row, its line end included
    run        values after which a new row begins anyway (cube: points along c; VASP: the whole block)
    point      column of the first value's decimal point
    head       bytes before the point that may hold sign and digits: 1 or 2; what lies before them is blank
    fraction   digits after the point, 1 to 16
    marker     byte of the exponent's letter; 0 if there is no exponent
    exponent   digits of the exponent: 2 or 3
    """

    per_row: int
    pitch: int
    row_bytes: int
    run: int
    point: int
    head: int
    fraction: int
    marker: int = 0
    exponent: int = 2

    @property
    def slack(self) -> int:
        """Bytes of a row that are not pitches: its line end, less what its first value lacks."""
        return self.row_bytes - self.per_row * self.pitch

    @property
    def run_bytes(self) -> int:
        """Bytes of a run."""
        rows, rest = divmod(self.run, self.per_row)
        return rows * self.row_bytes + (rest * self.pitch + self.slack if rest else 0)

    @property
    def gap(self) -> int:
        """Bytes between the end of a value and the head of the next."""
        return self.pitch - self.head - 1 - self.fraction - (2 + self.exponent if self.marker else 0)

    def row_start(self, index: int) -> int:
        """Byte at which the row of a value begins."""
        run, place = divmod(index, self.run)
        return run * self.run_bytes + place // self.per_row * self.row_bytes

    def row_end(self, index: int) -> int:
        """Byte after the row that holds value index - 1 (0 for index 0)."""
        if index == 0:
            return 0
        run, place = divmod(index - 1, self.run)
        row = place // self.per_row
        values = min(self.per_row, self.run - row * self.per_row)
        return run * self.run_bytes + row * self.row_bytes + values * self.pitch + self.slack

    def value_bytes(self, index: int) -> tuple[int, int]:
        """First byte of a value's own columns and the byte after them."""
        column = index % self.run % self.per_row
        end = self.row_start(index) + self.point + column * self.pitch + self.pitch - self.gap - self.head
        return max(self.row_start(index), end - self.pitch), end


def _boxes(layout: FixedWidth, start: int, stop: int) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Cut values start:stop into (first, stride, runs, rows, columns, column): boxes of equal rows.

    The values of run r of a box lie at first + r stride + (0 … rows columns - 1).
    """
    per_row, run = layout.per_row, layout.run
    full, rest = divmod(run, per_row)
    at = start
    while at < stop:
        place = at % run
        if place == 0 and stop - at >= run and run <= CHUNK:
            runs = min((stop - at) // run, max(1, CHUNK // run))
            if full:
                yield at, run, runs, full, per_row, 0
            if rest:
                yield at + full * per_row, run, runs, 1, rest, 0
            at += runs * run
            continue
        here = min(run - place, stop - at)
        column = place % per_row
        if column or here < per_row:
            columns = min(per_row - column, here)
            yield at, columns, 1, 1, columns, column
            at += columns
        else:
            rows = min(here // per_row, max(1, CHUNK // per_row))
            yield at, rows * per_row, 1, rows, per_row, 0
            at += rows * per_row


@lru_cache(maxsize=8)
def _head_table(fraction: int) -> NDArray[np.uint64]:
    """Two bytes before the point, as a little-endian index → their digits × 10^fraction, sign in bit 63.

    Bit 62 marks what cannot stand before a point.
    """
    table = np.full(65536, _INVALID, dtype=np.uint64)
    scale = 10**fraction
    for first in b" +-0123456789":
        for second in b" +-0123456789":
            text = bytes((first, second)).lstrip(b" ")
            digits = text.lstrip(b"+-")
            if len(text) - len(digits) > 1 or not (digits.isdigit() or not digits):
                continue
            if b" " in digits or (text[:1] in (b"+", b"-") and text[1:2] == b" "):
                continue
            value = int(digits or b"0") * scale
            table[first | second << 8] = value | (1 << 63 if text[:1] == b"-" else 0)
    table.flags.writeable = False
    return table


@lru_cache(maxsize=1)
def powers_of_ten() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """10^q as the unevaluated sum of two doubles, q = -LARGEST_POWER … LARGEST_POWER."""
    exact = [Fraction(10) ** q for q in range(-LARGEST_POWER, LARGEST_POWER + 1)]
    high = [float(p) for p in exact]
    low = [float(p - Fraction(h)) for p, h in zip(exact, high, strict=True)]
    return np.array(high), np.array(low)


@lru_cache(maxsize=32)
def _exact_scales(fraction: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multiplier and divisor by exponent code (exponent, or 120 - exponent if negative); 1 where not exact."""
    exponents = np.arange(256)
    exponents = np.where(exponents < 120, exponents, 120 - exponents) - fraction
    multiplier = np.array([10.0**q if 0 < q <= 22 else 1.0 for q in exponents.tolist()])
    divisor = np.array([10.0**-q if -22 <= q < 0 else 1.0 for q in exponents.tolist()])
    return multiplier, divisor


def _split(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Veltkamp: x as the sum of two doubles of 26 bits."""
    c = x * 134217729.0
    high = c - (c - x)
    return high, x - high


def _scale_widely(
    digits: NDArray[np.uint64], power: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """digits × 10^power rounded once, and where the rounding could not be decided."""
    high_powers, low_powers = powers_of_ten()
    inside = np.abs(power) <= LARGEST_POWER
    index = np.where(inside, power, 0) + LARGEST_POWER
    scale, scale_rest = high_powers[index], low_powers[index]
    m = digits.astype(np.float64)
    rest = (digits - m.astype(np.uint64)).view(np.int64).astype(np.float64)
    product = m * scale
    m1, m2 = _split(m)
    s1, s2 = _split(scale)
    error = ((m1 * s1 - product) + m1 * s2 + m2 * s1) + m2 * s2
    error += m * scale_rest + rest * scale
    value = product + error
    error -= value - product
    margin = np.abs(value) * 2.0**-99
    decided = inside & ((value + (error + margin)) == value) & ((value + (error - margin)) == value)
    return value, ~(decided | (digits == 0))


class _Scratch(threading.local):
    """Arrays that one thread uses again and again: fresh memory for every chunk would cost more than decoding."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.uint64]] = {}

    def get(self, slot: str, dtype: str, n: int) -> NDArray[Any]:
        """An array of n, whose content is whatever its slot held."""
        held = self._arrays.get(slot)
        if held is None or held.size < n:
            held = self._arrays[slot] = np.empty(max(n, CHUNK), np.uint64)
        return held.view(dtype)[:n]


_scratch = _Scratch()


class _Box:
    """Loads columns of a box of equal rows as contiguous arrays."""

    def __init__(self, text: NDArray[np.uint8], layout: FixedWidth, base: int, runs: int, rows: int, columns: int):
        self.text, self.base = text, base
        self.shape = (runs, rows, columns)
        self.strides = (layout.run_bytes, layout.row_bytes, layout.pitch)
        self.n = runs * rows * columns

    def load(self, offset: int, dtype: str, slot: str) -> NDArray[Any]:
        """The word that begins `offset` bytes after each value's point column."""
        out = _scratch.get(slot, dtype, self.n)
        view = np.ndarray(self.shape, dtype, self.text, self.base + offset, self.strides)
        np.copyto(out.reshape(self.shape), view)
        return out

    def blank(self, offset: int, first_column: int, last_column: int) -> NDArray[np.bool_]:
        """(runs, rows, columns) where the byte at `offset` is a blank, for some columns only."""
        shape = (*self.shape[:2], last_column - first_column)
        base = self.base + offset + first_column * self.strides[2]
        view: NDArray[np.uint8] = np.ndarray(shape, np.uint8, self.text, base, self.strides)
        return view == 32


def _eight_digits(word: NDArray[np.uint64], count: int, wrong: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The number that the first `count` ASCII digits of each word spell.

    Overwrites `wrong`: bits of _NO_DIGIT are set where a byte is no digit.
    """
    word ^= np.uint64(0x3030303030303030)
    if count < 8:
        word <<= np.uint64(8 * (8 - count))
    np.add(word, np.uint64(0x0606060606060606), out=wrong)
    wrong |= word
    part = _scratch.get("part", "<u8", word.size)
    np.right_shift(word, np.uint64(8), out=part)
    word *= np.uint64(10)
    word += part
    np.right_shift(word, np.uint64(16), out=part)
    part &= np.uint64(0x000000FF000000FF)
    part *= np.uint64(0x0000271000000001)
    word &= np.uint64(0x000000FF000000FF)
    word *= np.uint64(0x000F424000000064)
    word += part
    word >>= np.uint64(32)
    return word


def _four_digits(word: NDArray[np.uint32], count: int, wrong: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The same for up to four digits in 32-bit words; bits are added to `wrong`."""
    part = _scratch.get("part", "<u4", word.size)
    word ^= np.uint32(0x30303030)
    if count < 4:
        word <<= np.uint32(8 * (4 - count))
    np.add(word, np.uint32(0x06060606), out=part)
    part |= word
    part &= np.uint32(0xF0F0F0F0)
    wrong |= part
    np.right_shift(word, np.uint32(8), out=part)
    word *= np.uint32(10)
    word += part
    np.right_shift(word, np.uint32(16), out=part)
    part &= np.uint32(0xFF)
    word &= np.uint32(0xFF)
    word *= np.uint32(100)
    word += part
    return word


def _two_digit_exponent(box: _Box, layout: FixedWidth, wrong: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Exponent codes of "E+00": 0..99, or 120..219 if negative; bits are added to `wrong`."""
    word = box.load(layout.fraction + 1, "<u4", "exponent")
    part = _scratch.get("part", "<u4", box.n)
    word ^= np.uint32(layout.marker | ord("+") << 8 | ord("0") << 16 | ord("0") << 24)
    np.right_shift(word, np.uint32(1), out=part)
    part ^= word
    part &= np.uint32(0x00000200)  # a sign differs from "+" in two bits or none
    wrong |= part
    np.add(word, np.uint32(0x06060000), out=part)
    part &= np.uint32(0xF0F00000)
    wrong |= part
    np.bitwise_and(word, np.uint32(0xF0F0F9FF), out=part)
    wrong |= part
    word *= np.uint32(0x00140A01)
    word >>= np.uint32(24)
    code = _scratch.get("code", "u1", box.n)
    np.copyto(code, word, casting="unsafe")
    return code


def _powers_of(code: NDArray[np.uint8], fraction: int) -> NDArray[np.int64]:
    """The power of ten of the digits as an integer, from exponent codes."""
    exponent = code.astype(np.int64)
    return np.where(exponent < 120, exponent, 120 - exponent) - fraction


def _decode_box(
    layout: FixedWidth, box: _Box, column: int
) -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.bool_] | None]:
    """Sizes of the values of one box in order, their sign bits, and a mask of those undecided (None: none is).

    They lie in memory that the next call of this thread uses again.
    """
    fraction = layout.fraction
    n = box.n
    wrong_digits, wrong = _scratch.get("wrong digits", "<u8", n), _scratch.get("wrong", "<u4", n)
    front = box.load(-layout.head, "<u4", "front")
    if layout.head == 1:
        front <<= np.uint32(8)
        front |= np.uint32(32)
    index = _scratch.get("index", "<i8", n)
    np.bitwise_and(front, np.uint32(0xFFFF), out=wrong)
    np.copyto(index, wrong)
    np.bitwise_and(front, np.uint32(0x00FF0000), out=wrong)
    wrong ^= np.uint32(ord(".") << 16)

    digits = _eight_digits(box.load(1, "<u8", "digits"), min(8, fraction), wrong_digits)
    if fraction > 8:
        rest = fraction - 8
        digits *= np.uint64(10**rest)
        if rest <= 4:
            digits += _four_digits(box.load(9, "<u4", "rest"), rest, wrong)
        else:
            more = _scratch.get("more wrong digits", "<u8", n)
            digits += _eight_digits(box.load(9, "<u8", "rest"), rest, more)
            wrong_digits |= more
    wrong_digits &= _NO_DIGIT
    head = np.take(_head_table(fraction), index, mode="clip", out=_scratch.get("head", "<u8", n))
    digits += np.bitwise_and(head, ~_SIGN, out=_scratch.get("part", "<u8", n))
    wrong_head = bool(digits.max() >= _INVALID)
    if wrong_head:
        wrong_digits |= head & _INVALID
        digits &= ~_INVALID
    head &= _SIGN

    values, wide, power = _scaled(box, layout, digits, wrong)
    undecided = None
    if wrong.any() or wrong_digits.any():
        undecided = (wrong != 0) | (wrong_digits != 0)
        if wide is not None:
            wide &= ~undecided
        if layout.marker and layout.exponent == 2:
            _letterless(box, layout, digits, wrong_digits, values, undecided)
    if wide is not None and power is not None:
        at = np.flatnonzero(wide)
        if at.size:
            values[at], open_ = _scale_widely(digits[at], power[at])
            if open_.any():
                undecided = np.zeros(n, bool) if undecided is None else undecided
                undecided[at[open_]] = True
    unblank = _unblank(box, layout, column)
    if unblank is not None:
        undecided = unblank.reshape(-1) if undecided is None else undecided | unblank.reshape(-1)
    return values, head, undecided


def _unblank(box: _Box, layout: FixedWidth, column: int) -> NDArray[np.bool_] | None:
    """A mask of the values before which something else than blanks stands; None: before none."""
    unblank = None
    columns = box.shape[2]
    for place in range(1, layout.gap + 1):
        blank = (
            box.blank(-layout.head - place, 1, columns) if column == 0 else box.blank(-layout.head - place, 0, columns)
        )
        if not blank.all():
            unblank = np.zeros(box.shape, bool) if unblank is None else unblank
            unblank[:, :, columns - blank.shape[2] :] |= ~blank
    if column == 0:
        for place in range(1, layout.point - layout.head + 1):
            blank = box.blank(-layout.head - place, 0, 1)
            if not blank.all():
                unblank = np.zeros(box.shape, bool) if unblank is None else unblank
                unblank[:, :, :1] |= ~blank
    return unblank


def _scaled(
    box: _Box, layout: FixedWidth, digits: NDArray[np.uint64], wrong: NDArray[np.uint32]
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None, NDArray[np.int64] | None]:
    """Digits times their power of ten; where that is not exactly rounded (None: nowhere), and all powers then.

    Bits are added to `wrong` for what is no exponent.
    """
    fraction, n = layout.fraction, box.n
    wide: NDArray[np.bool_] | None = None
    power: NDArray[np.int64] | None = None
    values = _scratch.get("values", "<f8", n)
    np.copyto(values, digits.view(np.int64))
    if layout.marker and layout.exponent == 2:
        code = _two_digit_exponent(box, layout, wrong)
        multiplier, divisor = _exact_scales(fraction)
        beyond = code > max(120, 142 - fraction)
        beyond |= (code > 22 + fraction) & (code < 120)
        if beyond.any():
            wide = beyond
        index = _scratch.get("index", "<i8", n)
        np.copyto(index, code)
        scale = _scratch.get("part", "<f8", n)
        if ((code > fraction) & (code < 120)).any():
            values *= np.take(multiplier, index, mode="clip", out=scale)
        values /= np.take(divisor, index, mode="clip", out=scale)
    elif layout.marker:
        letter = box.load(fraction + 1, "u1", "exponent")
        letter ^= np.uint8(layout.marker)
        wrong |= letter
        power = _three_digit_exponent(box, fraction + 2, wrong) - fraction
        wide = np.abs(power) > 22
        near = np.where(wide, 0, power)
        scales = 10.0 ** np.arange(23)
        values *= np.take(scales, np.maximum(near, 0))
        values /= np.take(scales, np.maximum(-near, 0))
    else:
        values /= 10.0**fraction
    if fraction > 13:
        large = digits >= np.uint64(1 << 53)
        if large.any():
            wide = large if wide is None else wide | large
    if wide is not None and power is None:
        power = _powers_of(code, fraction) if layout.marker else np.full(n, -fraction)
    return values, wide, power


def _three_digit_exponent(box: _Box, offset: int, wrong: NDArray[np.uint32]) -> NDArray[np.int64]:
    """The number that "+000" spells; bits are added to `wrong`."""
    word = box.load(offset, "<u4", "exponent")
    word ^= np.uint32(ord("+") | 0x30303000)
    test = word + np.uint32(0x06060600)
    test |= word
    test &= np.uint32(0xF0F0F000)
    test |= word & np.uint32(0x000000F9)
    test |= (word ^ (word >> np.uint32(1))) & np.uint32(0x00000002)
    wrong |= test
    size = (word >> np.uint32(8) & np.uint32(15)) * np.uint32(100)
    size += (word >> np.uint32(16) & np.uint32(15)) * np.uint32(10)
    size += word >> np.uint32(24) & np.uint32(15)
    exponent = size.astype(np.int64)
    return np.where(word & np.uint32(6), -exponent, exponent)


def _letterless(
    box: _Box,
    layout: FixedWidth,
    digits: NDArray[np.uint64],
    wrong_digits: NDArray[np.uint64],
    values: NDArray[np.float64],
    undecided: NDArray[np.bool_],
) -> None:
    """Fill in the values of fields that end in "-100": Fortran drops the letter for three digits."""
    wrong = np.zeros(box.n, np.uint32)
    power = _three_digit_exponent(box, layout.fraction + 1, wrong) - layout.fraction
    wrong |= box.load(0, "u1", "rest") ^ np.uint8(ord("."))
    if 8 < layout.fraction <= 12:
        _four_digits(box.load(9, "<u4", "rest"), layout.fraction - 8, wrong)
    at = np.flatnonzero(undecided & (wrong == 0) & (wrong_digits == 0))
    if at.size:
        values[at], undecided[at] = _scale_widely(digits[at], power[at])


def decode_fixed_width(
    text: NDArray[np.uint8], layout: FixedWidth, start: int, out: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Decode values start … start + len(out) into `out` (contiguous); returns the places in `out` left undecided.

    text   bytes from the row that holds value `start`, and PADDING readable bytes after the last row

    Raises Misaligned if a line end is not where the layout puts it.
    """
    origin = layout.row_start(start)
    left: list[NDArray[np.int64]] = []
    for first, stride, runs, rows, columns, column in _boxes(layout, start, start + len(out)):
        row = layout.row_start(first) - origin
        box = _Box(text, layout, row + layout.point + column * layout.pitch, runs, rows, columns)
        in_row = min(layout.per_row, layout.run - first % layout.run // layout.per_row * layout.per_row)
        if column + columns == in_row:
            strides = (layout.run_bytes, layout.row_bytes)
            end = row + in_row * layout.pitch + layout.slack - 1
            if not (np.ndarray((runs, rows), np.uint8, text, end, strides) == 10).all():
                raise Misaligned
        values, sign, undecided = _decode_box(layout, box, column)
        per_run = rows * columns
        target: NDArray[np.uint64] = np.ndarray(  # every run's part of `out`, which boxes of the run share
            (runs, per_run), np.uint64, out, (first - start) * 8, (stride * 8, 8)
        )
        shape = (runs, per_run)
        np.bitwise_or(values.view(np.uint64).reshape(shape), sign.reshape(shape), out=target)
        if undecided is not None:
            at = np.flatnonzero(undecided)
            left.append(at // per_run * stride + at % per_run + (first - start))
    return np.sort(np.concatenate(left)) if left else np.empty(0, np.int64)
