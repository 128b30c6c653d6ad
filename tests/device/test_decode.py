"""Fixed-width text decodes to what Python's float() makes of each word, bit for bit."""

import numpy as np
import pytest
from fixed_width import WRONG, block, blocks, python_float, same_bits
from hypothesis import given, settings

from gpuhomog.device import decode as module
from gpuhomog.device.decode import PADDING, FixedWidth, Misaligned, decode_fixed_width


def decode(text, layout, start, stop):
    out = np.full(stop - start, np.nan)
    rows = text[layout.row_start(start) : layout.row_end(stop)]
    left = decode_fixed_width(np.frombuffer(rows + b" " * PADDING, np.uint8), layout, start, out)
    return out, left


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
    WRONG,
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
