"""Many numbers written as text: found, checked for size, and read from any value to any other.

Where the first rows show a fixed width, bytes are decoded on the host by `decode_fixed_width`, several pieces at once,
or on a device that does it faster, where the values then stay; a plain file is entered at the byte of the first value
asked for. Each piece is verified; what turns out to be irregular is read again word by word, as Fortran's
list-directed input would: rows of any length, 'D' exponents, exponents without a letter ("0.17557+106", "1.23-01"),
values that touch ("1.0-2.0").

In   ByteFile, offset of the first value, how many there are.
Out  float64 chunks with the index of their first value, handed to the caller's `consume`; never a whole copy. On a
     device: one line of values.
"""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..device import Device
from ..device.cpu import usable_cores
from ..device.decode import CHUNK, PADDING, FixedWidth, Misaligned, decode_fixed_width
from ..errors import FileFormatError
from ..progress import task
from .compressed import ByteFile, Cursor

T = TypeVar("T")

Consume = Callable[[int, NDArray[np.float64]], None]
"""(index of the first value, values): may change the values but not keep them; is called from several threads."""

PIECE = 2 * CHUNK
DEVICE_PIECE = 1 << 20
"""Values sent to a device together: 12 to 18 MB, enough for the bus to run at its speed."""
MOST_LOADERS = 8
"""Threads that load pieces for a device: more do not make memory faster."""
_WORDS = 1 << 20  # bytes read at a time when going word by word
_SAMPLE = 1 << 18
_NEIGHBOURS = 1 << 16  # bytes before the last value that show how values are written
_NUMBER = re.compile(
    rb"[+-]?(?:\d*\.\d+[+-]\d\d(?![\d.EeDd])|(?:\d+\.?\d*|\.\d+)(?:[EeDd][+-]?\d+|[+-]\d{3}(?![\d.]))?)"
)
_BETWEEN = re.compile(r"\s*;\s*|\s+,\s*|\s*,\s+|\s+")
_BEGUN = re.compile(r"[+-]?\d*\.?\d*(?:[EeDd][+-]?)?")  # what may be left of a number
_FORM = re.compile(rb"[+-]?(\d*)(?:\.(\d*))?(.*)")
_FIELD = re.compile(rb"[ \t]*([+-]?\d*)\.(\d+)(?:([EeDd])[+-](\d+)|[+-]\d{3}(?![\d.]))?")


@contextmanager
def _in_threads(threads: int, most: int, advance: Callable[[int], None]) -> Iterator[Callable[..., None]]:
    """A function that begins another function in a thread while at most so many wait; all have ended after the block.

    advance is told what each returned. After an error those that have not begun never do.
    """
    waiting: deque[Future[int]] = deque()
    with ThreadPoolExecutor(threads) as pool:

        def begin(function: Callable[..., int], *arguments: Any) -> None:
            waiting.append(pool.submit(function, *arguments))
            if len(waiting) > most:
                advance(waiting.popleft().result())

        try:
            yield begin
            while waiting:
                advance(waiting.popleft().result())
        except BaseException:
            for future in waiting:
                future.cancel()
            raise


class NotANumber(ValueError):
    """A word that is no finite number: (how many good values came before it, the word)."""

    def __init__(self, place: int, word: bytes) -> None:
        super().__init__(place, word)
        self.place, self.word = place, word.decode("ascii", "replace")[:24]


def number(word: bytes) -> float:
    """The number a word spells in any dialect; ValueError if it spells none or one that is not finite.

    >>> number(b"0.17557+106"), number(b"1.23-01"), number(b"-1.5D-3")
    (1.7557e+105, 0.123, -0.0015)
    """
    if not _NUMBER.fullmatch(word):
        raise ValueError
    text = word.upper().replace(b"D", b"E")
    if b"E" not in text:
        text = text[:1] + re.sub(rb"([+-])", rb"E\1", text[1:])
    value = float(text)
    if not np.isfinite(value):
        raise ValueError
    return value


def cells_of(line: str) -> list[str]:
    """The words of a row of a table, apart by blanks, semicolons or commas; commas in words apart already are decimal.

    >>> cells_of("0.5, 1"), cells_of("0.5,1"), cells_of("0,5; 1,25"), cells_of("0,5 1,25")
    (['0.5', '1'], ['0.5', '1'], ['0.5', '1.25'], ['0.5', '1.25'])
    """
    words = _BETWEEN.split(line.strip().rstrip(";,"))
    return words[0].split(",") if len(words) == 1 else [word.replace(",", ".") for word in words]


def cell_number(word: str) -> float:
    """The number in a cell of a table, NaN and infinity too; ValueError if it holds none.

    >>> cell_number("1.5D-03"), cell_number("nan")
    (0.0015, nan)
    """
    try:
        return float(word)
    except ValueError:
        return number(word.encode())


def is_cell_number(word: str) -> bool:
    """True if cell_number takes it."""
    try:
        cell_number(word)
    except ValueError:
        return False
    return True


def first_numbers(line: bytes, n: int | None = None) -> list[float] | None:
    """The numbers of a line, or its first n words; None if one is no number, or there are fewer.

    >>> first_numbers(b"1 2.5 Na", 2), first_numbers(b"1 2.5 Na"), first_numbers(b"1", 2)
    ([1.0, 2.5], None, None)
    """
    words = line.split()[:n]
    try:
        found = [number(word) for word in words]
    except ValueError:
        return None
    return found if n is None or len(found) == n else None


def numbers(words: list[bytes], most: int) -> list[float]:
    """Numbers of the words, words that touch taken apart, `most` at the utmost; NotANumber for any other."""
    values: list[float] = []
    for word in words:
        if len(values) >= most:
            break
        at, before = 0, len(values)
        for match in _NUMBER.finditer(word):
            if match.start() != at or (at and match[0][:1] not in b"+-"):
                break
            try:
                values.append(number(match[0]))
            except ValueError:
                break
            at = match.end()
        if at != len(word):
            raise NotANumber(before, word)
    return values[:most]


def _many_numbers(words: list[bytes], text: bytes, most: int) -> NDArray[np.float64]:
    """The same, fast for the usual words."""
    words = words[:most]
    if b"_" not in text:
        try:
            values = np.array(list(map(float, words)), dtype=np.float64)
        except ValueError:
            pass
        else:
            if np.isfinite(values).all():
                return values
    return np.array(numbers(words, most), dtype=np.float64)


def find_layout(sample: bytes, n: int, runs: tuple[int, ...]) -> FixedWidth | None:
    """The fixed-width layout that the complete rows of a sample show, or None.

    runs   candidates for how many values lie between forced line ends; the first that fits is taken
    """
    rows = sample.split(b"\n")[:-1]
    if not rows:
        return None
    first = rows[0]
    fields: list[re.Match[bytes]] = []
    at = 0
    while match := _FIELD.match(first, at):
        fields.append(match)
        at = match.end()
    if not fields or first[at:].strip():
        return None
    points = [match.end(1) for match in fields]
    lengths = {len(match[2]) for match in fields}
    letters = {(match[3], len(match[4])) for match in fields if match[3]}
    per_row = len(fields)
    row_bytes = len(first) + 1
    pitch = points[1] - points[0] if per_row > 1 else row_bytes
    if len(lengths) > 1 or len(letters) > 1 or any(p != points[0] + i * pitch for i, p in enumerate(points)):
        return None
    if not letters and any(match.end() != match.end(2) for match in fields):
        return None
    fraction = lengths.pop()
    letter, exponent = letters.pop() if letters else (b"\0", 2)
    if not (1 <= fraction <= 16 and exponent in (2, 3) and points[0] >= 1):
        return None
    for head in (2, 1):
        for run in runs:
            layout = FixedWidth(per_row, pitch, row_bytes, run, points[0], head, fraction, letter[0], exponent)
            if points[0] >= head and layout.gap >= 0 and _fits(layout, rows, n):
                return layout
    return None


def _fits(layout: FixedWidth, rows: list[bytes], n: int) -> bool:
    index = 0
    for row in rows:
        if index >= n:
            return True
        values = min(layout.per_row, layout.run - index % layout.run, n - index)
        if len(row) + 1 != values * layout.pitch + layout.slack:
            return False
        index += values
    return True


@dataclass(frozen=True)
class TextValues:
    """A block of n numbers in a file.

    file     the bytes
    offset   byte of the first row
    n        how many numbers
    layout   fixed width, or None if they have to be read word by word
    where    index of a value → what to call it in messages ("grid point [1, 2, 3]")
    last     True if nothing but blanks may follow the block, which is checked when its last value is read
    """

    file: ByteFile
    offset: int
    n: int
    layout: FixedWidth | None
    where: Callable[[int], str]
    last: bool = False

    @classmethod
    def find(
        cls,
        file: ByteFile,
        cursor: Cursor,
        n: int,
        where: Callable[[int], str],
        runs: tuple[int, ...] = (),
        last: bool = False,
        regular: bool = True,
    ) -> TextValues:
        """The block that begins where the cursor is (which stays there).

        last     nothing but blanks may follow it
        regular  False: do not look for a fixed width (the first rows had one, but the block turned out not to)

        Raises FileFormatError if the file cannot hold n values, before anything is allocated for them.
        """
        offset = cursor.at
        room = (file.most_bytes - offset + 1) // 2
        if n > room:
            raise FileFormatError(
                f"{file.path}: its header announces {n} values, but no more than {max(room, 0)} can be in a file of "
                f"{file.stored} bytes. The file is truncated, or its counts are wrong."
            )
        longest = max((r for r in runs if r < n), default=0)
        wanted = max(_SAMPLE, 64 * longest + 4096) if longest < _SAMPLE else _SAMPLE
        sample = cursor.look(wanted + 1)
        ended, sample = len(sample) <= wanted, sample[:wanted]
        layout = find_layout(sample + b"\n" if ended else sample, n, (*runs, n)) if regular else None
        block = cls(file, offset, n, layout, where, last)
        if ended and (block.layout is None or block.layout.value_bytes(n - 1)[1] > len(sample)):
            block._refuse_fewer(sample)
        elif (
            not file.compression
            and block.layout is not None
            and offset + block.layout.value_bytes(n - 1)[1] > file.stored
        ):
            block._read_words(0, n, lambda *_: None, lambda _: None)  # says how many there are, if fewer than n
            return cls(file, offset, n, None, where, last)
        return block

    def _refuse_fewer(self, text: bytes) -> None:
        """Raise if the text, which reaches to the end of the file, begins with fewer than n values."""
        found, touching = 0, 0
        for word in text.split():
            if word[:1].isalpha() and word.lower() not in (b"nan", b"inf", b"infinity"):
                break
            found += 1
            touching += max(0, word.count(b".") - 1)
        if found + touching < self.n:
            raise self._truncated(found + touching)

    def _truncated(self, found: int) -> FileFormatError:
        return FileFormatError(
            f"{self.file.path}: the file ends after {found} of {self.n} values. It is truncated, or its counts are "
            "wrong: write or copy it again."
        )

    def _refuse_cut(self, text: bytes) -> None:
        """Raise if the last value, with which the text and the file end, is shorter than those before it are written.

        A file without its last line end is complete if that value has as many digits, and as long an exponent.
        """
        *others, last = list(_NUMBER.finditer(text))[1 if len(text) == _NEIGHBOURS else 0 :]
        forms = np.array([_form(match[0]) for match in others], dtype=np.int64).reshape(-1, 3)
        form = np.array(_form(last[0]))
        if len(forms) < 3:
            return
        least, most = forms.min(axis=0), forms.max(axis=0)
        fraction, digits, exponent = (form < least) & (least == most)
        with_exponent = forms[:, 2] > 0
        if with_exponent.any() and not with_exponent.all():
            powers = forms[with_exponent, 2]
            blanks = [
                following.start() - match.end()
                for match, following, power in zip(others, [*others[1:], last], with_exponent, strict=True)
                if not power
            ]
            exponent = 0 < form[2] < powers.min() == powers.max() or (form[2] == 0 and min(blanks) > 3)
        if fraction or exponent or (digits and len(forms) >= 100):
            cut, full = (match[0].decode()[:24] for match in (last, others[-1]))
            raise FileFormatError(
                f'{self.file.path}: the file ends within value {self.n} of {self.n}: "{cut}" is shorter than "{full}" '
                "before it, and has no line end. It is truncated: write or copy it again. If it is complete, end its "
                "last line."
            )

    def _refuse_more(self, following: bytes) -> None:
        words = following.split()
        if self.last and words:
            raise FileFormatError(
                f"{self.file.path}: after the {self.n} values that its counts announce stands "
                f'"{words[0][:40].decode("ascii", "replace")}". The counts are wrong, or the file is damaged.'
            )

    def _bad(self, index: int, word: str) -> FileFormatError:
        stars = "Fortran writes stars where a number does not fit its format" if "*" in word else "it is no number"
        return FileFormatError(
            f'{self.file.path}: value {index + 1} of {self.n}, {self.where(index)}, reads "{word}"; {stars}. '
            "Repair the file or write it again."
        )

    def end(self) -> int:
        """Byte after the block: after its last row if regular, after its last word otherwise."""
        if self.layout is not None:
            return self.offset + self.layout.row_end(self.n)
        return self._read_words(0, self.n, lambda *_: None, lambda _: None)

    def read(self, start: int, stop: int, consume: Consume, label: str = "reading") -> None:
        """Hand values start:stop to `consume`, in chunks of any order.

        Raises FileFormatError for a truncated block and for anything that is not a finite number.
        """
        if stop <= start:
            return
        with task(f"{label} {self.file.path.name}", stop - start) as advance:
            if self.layout is not None:
                try:
                    self._read_regular(start, stop, consume, advance)
                    return
                except Misaligned:
                    pass
        with task(f"{label} {self.file.path.name} word by word", stop) as advance:
            self._read_words(start, stop, consume, advance)

    # regular

    def _pieces(self, layout: FixedWidth, start: int, stop: int, piece: int | None = None) -> Iterator[tuple[int, int]]:
        """start:stop cut where rows begin."""
        at, piece = start, piece or PIECE
        while at < stop:
            run, place = divmod(at, layout.run)
            if layout.run <= piece:
                following = (run + piece // layout.run) * layout.run
            else:
                rows = place // layout.per_row + max(1, piece // layout.per_row)
                following = run * layout.run + min(rows * layout.per_row, layout.run)
            yield at, min(following, stop)
            at = following

    def _read_regular(self, start: int, stop: int, consume: Consume, advance: Callable[[int], None]) -> None:
        layout = self.layout
        assert layout is not None
        own = threading.local()  # memory of each thread, used again: fresh pages cost as much as decoding

        def memory(slot: str, n: int, dtype: Any) -> NDArray[Any]:
            held = getattr(own, slot, None)
            if held is None or held.size < n:
                held = np.empty(n + n // 8, dtype)
                setattr(own, slot, held)
            return held[:n]

        def decode(text: NDArray[np.uint8], first: int, last: int) -> int:
            values = memory("values", last - first, np.float64)
            undecided = decode_fixed_width(text, layout, first, values)
            if undecided.size:
                self._decide(text, layout, first, values, undecided)
            with np.errstate(over="ignore"):  # in a thread, which does not know of it: see readers.read
                consume(first, values)
            return last - first

        def load(descriptor: int, first: int, last: int) -> int:
            text = memory("text", layout.row_end(last) - layout.row_start(first) + PADDING, np.uint8)
            return decode(self._load(descriptor, layout, first, last, text), first, last)

        pieces, threads = self._pieces(layout, start, stop), usable_cores()
        if not self.file.compression:
            with self.file.path.open("rb", buffering=0) as raw:
                with _in_threads(threads, 2 * threads, advance) as begin:
                    for first, last in pieces:
                        begin(load, raw.fileno(), first, last)
                if stop == self.n:
                    self._refuse_more(os.pread(raw.fileno(), 4096, self.offset + layout.row_end(stop)))
            return
        with self.file.cursor() as cursor:
            with _in_threads(threads, threads, advance) as begin:
                for text, first, last in self._unpacked(cursor, layout, pieces):
                    begin(decode, text, first, last)
            if stop == self.n:
                self._refuse_more(cursor.read(4096))

    def _unpacked(
        self, cursor: Cursor, layout: FixedWidth, pieces: Iterator[tuple[int, int]]
    ) -> Iterator[tuple[NDArray[np.uint8], int, int]]:
        """The text of each piece, as `_load` has it, and its first and last value; Misaligned if it is too short."""
        held, held_from = b"", -1
        for first, last in pieces:
            begin, end = self.offset + layout.row_start(first), self.offset + layout.row_end(last)
            kept = b""
            if begin < cursor.at and held_from <= begin:  # a row belongs to two pieces
                kept = held[begin - held_from :]
            else:
                cursor.move_to(begin)
            held, held_from = kept + cursor.read(end - begin - len(kept)), begin
            text = np.empty(end - begin + PADDING, np.uint8)
            text[: len(held)] = np.frombuffer(held, np.uint8)
            text[len(held) :] = 10
            if len(held) < layout.value_bytes(last - 1)[1] - layout.row_start(first):
                raise Misaligned
            yield text, first, last

    def _load(
        self, descriptor: int, layout: FixedWidth, first: int, last: int, text: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """The rows of values first:last and PADDING bytes, at the beginning of `text`; Misaligned if too few."""
        begin, n = self.offset + layout.row_start(first), layout.row_end(last) - layout.row_start(first)
        text = text[: n + PADDING]
        text[n:] = 32
        got = 0
        while got < n:
            more = os.preadv(descriptor, [text[got:n].data], begin + got)
            if more == 0:
                break
            got += more
        text[got:n] = 10
        if got < layout.value_bytes(last - 1)[1] - layout.row_start(first):
            raise Misaligned
        return text

    def read_line(self, start: int, stop: int, dtype: Any, divisor: float = 1.0) -> NDArray[np.floating]:
        """Values start:stop, divided in float64 and rounded once to dtype, as a line on the host."""
        out = np.empty(stop - start, dtype=dtype)

        def consume(first: int, values: NDArray[np.float64]) -> None:
            target = out[first - start : first - start + values.size]
            if divisor == 1.0:
                target[...] = values
                return
            try:
                with np.errstate(over="raise"):
                    quotients = np.divide(values, divisor, out=target if target.dtype == values.dtype else values)
            except FloatingPointError:
                at = first + int(np.abs(values).argmax())
                raise FileFormatError(
                    f"{self.file.path}: value {at + 1} of {self.n}, {self.where(at)}, is too large: no number when "
                    f"divided by {divisor:.6g}. Repair the file or write it again."
                ) from None
            if quotients is not target:
                target[...] = quotients

        self.read(start, stop, consume)
        return out

    def read_on(self, device: Device, start: int, stop: int, dtype: Any, divisor: float = 1.0) -> Any | None:
        """Values start:stop, divided in float64 and rounded once to dtype, as a line decoded on the device.

        The host only loads bytes, several pieces at once, while the device decodes those before. None where that is
        not possible: compressed, no fixed width or not throughout, or hardly a field that the device decides.

        Raises DeviceError if the values do not fit on the device.
        """
        layout = self.layout
        if layout is None or self.file.compression or stop <= start:
            return None
        out = device.empty(stop - start, dtype)
        pieces = list(self._pieces(layout, start, stop, DEVICE_PIECE))
        most = max(layout.row_end(last) - layout.row_start(first) for first, last in pieces) + PADDING
        threads = min(usable_cores(), MOST_LOADERS, len(pieces))
        idle = [device.staging(most) for _ in range(min(threads + 1, len(pieces)))]
        loading: deque[tuple[Future[NDArray[np.uint8]], NDArray[np.uint8]]] = deque()
        with (
            self.file.path.open("rb", buffering=0) as raw,
            task(f"reading {self.file.path.name}", stop - start) as advance,
            ThreadPoolExecutor(threads) as pool,
        ):
            try:
                for number, (first, last) in enumerate(pieces):
                    while idle and number + len(loading) < len(pieces):
                        ahead, memory = pieces[number + len(loading)], idle.pop()
                        loading.append((pool.submit(self._load, raw.fileno(), layout, *ahead, memory), memory))
                    loaded, memory = loading.popleft()
                    text, target = loaded.result(), out[first - start : last - start]
                    undecided = device.decode_text(text, layout, first, target, divisor)
                    if undecided.size:
                        target[...] = device.asarray(self._on_host(text, layout, first, undecided, target, divisor))
                    idle.append(memory)
                    advance(last - first)
                if stop == self.n:
                    self._refuse_more(os.pread(raw.fileno(), 4096, self.offset + layout.row_end(stop)))
            except Misaligned:
                return None
            finally:
                for loaded, _ in loading:
                    loaded.cancel()
        return out

    def _on_host(
        self,
        text: NDArray[np.uint8],
        layout: FixedWidth,
        first: int,
        undecided: NDArray[np.int64],
        target: Any,
        divisor: float,
    ) -> NDArray[Any]:
        """All values of a piece of which a device left some undecided; Misaligned if it left most."""
        values = np.empty(len(target))
        if undecided.size * 8 > values.size:
            raise Misaligned
        self._decide(text, layout, first, values, decode_fixed_width(text, layout, first, values))
        with np.errstate(over="ignore"):
            return (values / divisor).astype(target.dtype)

    def _decide(
        self,
        text: NDArray[np.uint8],
        layout: FixedWidth,
        first: int,
        values: NDArray[np.float64],
        undecided: NDArray[np.int64],
    ) -> None:
        """Fill in what the fixed-width decoder left: each field by itself, or all words if they are many."""
        origin = layout.row_start(first)
        if undecided.size * 8 > values.size:
            rows_from = layout.row_end(first) if layout.row_start(first) != layout.row_end(first) else origin
            begin = 0 if rows_from == origin or first == 0 else rows_from - origin
            end = layout.row_end(first + values.size) - origin
            words = text[begin:end].tobytes()
            try:
                found = _many_numbers(words.split(), words, 2 * values.size + layout.per_row)
            except NotANumber:
                found = np.empty(0)
            if found.size == values.size:
                values[...] = found
                return
        for place in undecided.tolist():
            begin, end = (b - origin for b in layout.value_bytes(first + place))
            try:
                values[place] = number(text[begin:end].tobytes().strip())
            except ValueError:
                raise Misaligned from None

    # word by word

    def _read_words(self, start: int, stop: int, consume: Consume, advance: Callable[[int], None]) -> int:
        """Values start:stop by words from the beginning of the block; returns the byte after value stop - 1."""
        index = 0
        with self.file.cursor() as cursor:
            cursor.move_to(self.offset)
            rest, before = b"", b""
            while index < stop:
                text = cursor.read(_WORDS)
                ended = not text
                text = rest + text
                cut = len(text) if ended else max(text.rfind(b" "), text.rfind(b"\n"), text.rfind(b"\t")) + 1
                rest, text = text[cut:], text[:cut]
                words = text.split()
                try:
                    values = _many_numbers(words, text, stop - index)
                except NotANumber as error:
                    if error.word[:1].isalpha() and error.word.lower() not in ("nan", "inf", "infinity"):
                        raise self._truncated(index + error.place) from None
                    if ended and _BEGUN.fullmatch(error.word) and text.endswith(error.word.encode()):
                        raise self._truncated(index + error.place) from None
                    raise self._bad(index + error.place, error.word) from None
                first = max(start - index, 0)
                if first < values.size:
                    consume(index + first, values[first:])
                index += values.size
                advance(values.size)
                if index >= stop:
                    used = _after_words(text, len(values))
                    if stop == self.n:
                        if ended and used == len(text):
                            self._refuse_cut((before + text)[-_NEIGHBOURS:])
                        self._refuse_more(text[used:] + rest + (b"" if ended else cursor.look(4096)))
                    return cursor.at - len(rest) - len(text) + used
                if ended:
                    raise self._truncated(index)
                before = (before + text)[-_NEIGHBOURS:]
        return self.offset


def regular_or_not(parse: Callable[[bool], T]) -> T:
    """What `parse` makes of a file whose blocks keep the width of their first rows, or else of one where they do not.

    parse  True: they do → what is in the file. If it raises FileFormatError both times, the first counts.
    """
    try:
        return parse(True)
    except FileFormatError as error:
        try:
            return parse(False)
        except FileFormatError:
            raise error from None


def _form(word: bytes) -> tuple[int, int, int]:
    """How a number is written: digits after the point, digits without leading zeros, characters of the exponent."""
    match = _FORM.match(word)
    assert match is not None
    whole, fraction, exponent = match[1], match[2] or b"", match[3]
    return len(fraction), len((whole + fraction).lstrip(b"0")), len(exponent)


def _after_words(text: bytes, n: int) -> int:
    """Byte after the n-th value of a text (values that touch count each)."""
    found = 0
    for match in re.finditer(rb"\S+", text):
        found += len(numbers([match[0]], n))
        if found >= n:
            return match.end()
    return len(text)
