"""Fixed-width text decodes to what Python's float() makes of each word, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuhomog.device import decode as module
from gpuhomog.device.decode import PADDING, FixedWidth, Misaligned, decode_fixed_width


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


def decode(text, layout, start, stop):
    out = np.full(stop - start, np.nan)
    rows = text[layout.row_start(start) : layout.row_end(stop)]
    left = decode_fixed_width(np.frombuffer(rows + b" " * PADDING, np.uint8), layout, start, out)
    return out, left


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


@settings(max_examples=250, deadline=None)
@given(blocks())
def test_any_layout_decodes_like_float(example):
    layout, words, start, stop = example
    values, left = decode(block(words, layout), layout, start, stop)
    expected = np.array([python_float(w) for w in words[start:stop]])
    decided = np.setdiff1d(np.arange(stop - start), left)
    assert same_bits(values[decided], expected[decided])
    powers = [abs(int(np.log10(abs(v)))) if v else 0 for v in expected]
    for place in left:  # only what lies beyond the tables, or too near the middle of two doubles
        assert powers[place] > 200 or layout.fraction >= 14 or not np.isfinite(expected[place])


@pytest.mark.parametrize("style", ["%17.10E", "%12.5E", "%22.15E"])
@pytest.mark.parametrize("spread", [3, 90, 450])
def test_many_random_values(rng, style, spread):
    n = 50_000
    values = rng.choice([-1.0, 1.0], n) * np.exp(rng.normal(size=n) * spread / 3)
    values[np.abs(values) > 1e99] = 0.0
    values[np.abs(values) < 1e-99] = -0.0
    words = [style % v for v in values]
    width = max(map(len, words)) + 1
    digits = len(words[0].strip().lstrip("-").split(".")[1].split("E")[0])
    layout = FixedWidth(5, width, 5 * width + 1, n, width - digits - 5, 2, digits, ord("E"))
    decoded, left = decode(block(words, layout), layout, 0, n)
    assert left.size < 5
    expected = np.array([float(w) for w in words])
    expected[left] = decoded[left]
    assert same_bits(decoded, expected)


def test_halfway_cases_are_left_and_their_neighbours_right():
    """Odd integers above 2^53 lie in the middle of two doubles; a digit beside them they do not."""
    words = [f"0.{m:016d}E+16" for m in (2**53 + 1, 2**53 + 3, 2**53 + 2, 2**53 + 4, 2**53 - 1)]
    words += ["9.0071992547409931E+15", "9.0071992547409929E+15"]
    layout = FixedWidth(1, 23, 24, len(words), 2, 2, 16, ord("E"))
    values, left = decode("".join(w.rjust(23) + "\n" for w in words).encode(), layout, 0, len(words))
    assert left.tolist() == [0, 1]
    assert same_bits(values[2:], [float(w) for w in words[2:]])


@pytest.mark.parametrize(
    "word",
    [
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
    ],
)
def test_what_is_no_number_is_left(word):
    layout = FixedWidth(5, 18, 91, 10, 2, 2, 11, ord("E"))
    words = [" 0.12345678901E+01"] * 10
    words[6] = word.rjust(18)
    text = b"".join("".join(words[i : i + 5]).encode() + b"\n" for i in (0, 5))
    values, left = decode(text, layout, 0, 10)
    assert left.tolist() == [6]
    assert same_bits(np.delete(values, 6), [1.2345678901] * 9)


def test_bytes_between_values_must_be_blank():
    layout = FixedWidth(2, 13, 27, 4, 3, 2, 5, ord("E"))
    text = b"  1.00000E+00  2.00000E+00\n 13.00000E+00 114.0000E+00\n"
    values, left = decode(text, layout, 0, 4)
    assert values[:3].tolist() == [1.0, 2.0, 13.0] and left.tolist() == [3]
    text = b"  1.00000E+00x 2.00000E+00\n1 3.00000E+00  4.00000E+00\n"
    assert decode(text, layout, 0, 4)[1].tolist() == [1, 2]


def test_rows_elsewhere_are_refused():
    layout = FixedWidth(5, 18, 91, 15, 2, 2, 11, ord("E"))
    row = b" 0.12345678901E+01" * 5 + b"\n"
    with pytest.raises(Misaligned):
        decode(row + row[:-2] + b"\n " + row, layout, 0, 15)


def test_chunks_do_not_show(monkeypatch, rng):
    words = [f"{v:13.5E}" for v in rng.normal(size=999)]
    expected = np.array([float(w) for w in words])
    for run in (999, 37, 333, 5):
        layout = FixedWidth(6, 13, 79, run, 3, 2, 5, ord("E"))
        text = block(words, layout)
        for chunk in (1, 7, 40, 100, 5000):
            monkeypatch.setattr(module, "CHUNK", chunk)
            for start, stop in ((0, 999), (1, 2), (5, 998), (36, 38), (330, 700)):
                out = np.empty(stop - start)
                rows = text[layout.row_start(start) : layout.row_end(stop)] + b" " * PADDING
                left = decode_fixed_width(np.frombuffer(rows, np.uint8), layout, start, out)
                assert left.size == 0 and same_bits(out, expected[start:stop])


def test_places_left_in_runs_with_short_rows():
    """Runs of 8 in rows of 3: full rows and short rows are decoded apart, and what is left finds its place again."""
    layout = FixedWidth(3, 13, 40, 8, 3, 2, 5, ord("E"))
    words = [f"{v:13.5E}" for v in np.arange(40.0)]
    for place in (5, 15, 16, 22, 39):
        words[place] = "*" * 12
    values, left = decode(block(words, layout), layout, 0, 40)
    assert left.tolist() == [5, 15, 16, 22, 39]
    assert same_bits(np.delete(values, left), np.delete(np.arange(40.0), left))
