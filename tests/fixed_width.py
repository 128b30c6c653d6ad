"""Text of fixed width, in every layout, and what Python makes of its words."""

import numpy as np
from hypothesis import strategies as st

from gpuhomog.device.decode import FixedWidth


def block(words, layout):
    """Words laid out in rows, runs and pitches as the layout says."""
    text, row = [], []
    for i, word in enumerate(words):
        place = i % layout.run
        column = place % layout.per_row
        after = layout.fraction + 1 + (2 + layout.exponent if layout.marker else 0)
        lead = layout.point + after if column == 0 else layout.pitch
        row.append(word.rjust(lead))
        assert len(row[-1]) == lead
        if column == layout.per_row - 1 or place == layout.run - 1 or i == len(words) - 1:
            line = "".join(row)
            count = len(row)
            text.append(line.ljust(count * layout.pitch + layout.slack - 1) + "\n")
            row = []
    return "".join(text).encode()


def same_bits(a, b):
    return np.array_equal(np.asarray(a, float).view(np.int64), np.asarray(b, float).view(np.int64))


@st.composite
def blocks(draw):
    fraction = draw(st.integers(1, 16))
    head = draw(st.integers(1, 2))
    marker = draw(st.sampled_from([0, *b"EeDd"]))
    exponent = draw(st.sampled_from([2, 3]))
    gap = draw(st.integers(0, 3))
    per_row = draw(st.integers(1, 7))
    n = draw(st.integers(1, 60))
    run = draw(st.sampled_from([n, max(1, n // 3), per_row, 1]))
    pitch = head + 1 + fraction + (2 + exponent if marker else 0) + gap
    point = head + draw(st.integers(0, gap + 2))
    tail = draw(st.integers(0, 2))
    after = pitch - gap - head
    row_bytes = point + (per_row - 1) * pitch + after + tail + 1
    layout = FixedWidth(per_row, pitch, row_bytes, run, point, head, fraction, marker, exponent)
    digit = st.integers(0, 9)
    words = []
    limit = draw(st.sampled_from([5, 30, 99, 300])) if exponent == 3 else draw(st.sampled_from([5, 30, 99]))
    for _ in range(n):
        front = draw(st.sampled_from(["", "-", "+"] if head == 1 else ["", "-", "+", "-0", "0", "12", "-7", "+3"]))
        if head == 1 and draw(st.booleans()):
            front = str(draw(digit))
        digits = draw(st.one_of(st.just("0" * fraction), st.text("0123456789", min_size=fraction, max_size=fraction)))
        word = f"{front}.{digits}"
        if marker:
            power = draw(st.integers(-limit, limit))
            if exponent == 2 and abs(power) == limit == 99 and draw(st.booleans()):
                word += f"{'-' if power < 0 else '+'}{draw(st.integers(100, 140))}"  # Fortran drops the letter
            else:
                word += f"{chr(marker)}{'-' if power < 0 else '+'}{abs(power):0{exponent}d}"
        words.append(word)
    start = draw(st.integers(0, n - 1))
    return layout, words, start, draw(st.integers(start + 1, n))


def python_float(word):
    word = word.upper().replace("D", "E")
    if "E" not in word and (("+" in word[1:]) or ("-" in word[1:])):
        at = max(word.rfind("+"), word.rfind("-"))
        word = word[:at] + "E" + word[at:]
    return float(word)


# Words as wide as a number that are none.
WRONG = [
    "*****************",
    "NaN",
    "",
    "0.1234567890aE+01",
    "0.12345 78901E+01",
    "0.12345678901E 01",
    "0.12345678901F+01",
    "0.12345678901E)05",
    "0.12345678901E/05",
    "0,12345678901E+01",
    "x.12345678901E+01",
    "--.2345678901E+011",
    "0.12345678901E+0 ",
    "0.12345678901E+:0",
    "0./2345678901E+00",
    "0.12345678:01E+00",
    "0.123456789012E+1",
]
