"""Text decoded by the kernels is what float() makes of each word, bit for bit; the CPU's primitive likewise."""

import numpy as np
import pytest
from fixed_width import WRONG, block, blocks, python_float, same_bits
from hypothesis import given, settings

from gpuhomog.device import CPU
from gpuhomog.device.decode import PADDING, FixedWidth, Misaligned
from gpuhomog.device.gpu import text as module

CHGCAR = FixedWidth(5, 18, 91, 10, 2, 2, 11, ord("E"))
CUBE = FixedWidth(6, 13, 79, 37, 3, 2, 5, ord("E"))


WAYS = ["cpu", "kernel", "first rung"]
WAYS += [pytest.param(f"real {way}", marks=pytest.mark.gpu) for way in WAYS[1:]]


@pytest.fixture(params=WAYS)
def device(request, monkeypatch):
    """Every way to decode: in NumPy, by the kernel, by its first rung."""
    if request.param == "cpu":
        return CPU()
    if "first rung" in request.param:
        monkeypatch.setattr(module, "FILE", "ladder/decode_text.cu")
    return request.getfixturevalue("real_gpu" if request.param.startswith("real") else "host_gpu")


def decode(device, text, layout, start, stop, dtype=np.float64, divisor=1.0):
    rows = text[layout.row_start(start) : layout.row_end(stop)] + b"?" * PADDING
    staged = device.staging(len(rows))
    staged[:] = np.frombuffer(rows, np.uint8)
    out = device.empty(stop - start, dtype)
    left = device.decode_text(staged, layout, start, out, divisor)
    return device.to_host(out), left


def rows_of(words, layout):
    return block([w.rjust(layout.pitch) for w in words], layout)


def test_any_layout_decodes_like_float(device):
    @settings(max_examples=60)
    @given(blocks())
    def check(example):
        layout, words, start, stop = example
        values, left = decode(device, block(words, layout), layout, start, stop)
        expected = np.array([python_float(w) for w in words[start:stop]])
        decided = np.setdiff1d(np.arange(stop - start), left)
        assert same_bits(values[decided], expected[decided])
        assert np.isnan(values[left]).all()
        powers = [abs(int(np.log10(abs(v)))) if v else 0 for v in expected]
        for place in left:  # only what lies beyond the tables, or too near the middle of two doubles
            assert powers[place] > 200 or layout.fraction >= 14 or not np.isfinite(expected[place])

    check()


@pytest.mark.parametrize("style", ["%17.10E", "%12.5E", "%22.15E"])
@pytest.mark.parametrize("spread", [1, 30])
def test_many_random_values(device, rng, style, spread):
    n = 3001
    values = rng.choice([-1.0, 1.0], n) * np.exp(rng.normal(size=n) * spread)
    values[(np.abs(values) > 1e99) | (np.abs(values) < 1e-99)] = -0.0
    words = [style % v for v in values]
    width = max(map(len, words)) + 1
    digits = len(words[0].strip().lstrip("-").split(".")[1].split("E")[0])
    layout = FixedWidth(5, width, 5 * width + 1, n, width - digits - 5, 2, digits, ord("E"))
    decoded, left = decode(device, block(words, layout), layout, 0, n)
    assert left.size == 0
    assert same_bits(decoded, [float(w) for w in words])


def test_divided_and_rounded_once(device, rng):
    """float32 of the quotient of doubles, not the quotient of float32; subnormal floats stay."""
    words = [f"{v:.11E}" for v in 10.0 ** rng.uniform(-2, 2, 100)]
    words += ["0.12345678901E-38", "0.99999999999E-44", "-.10000000000E-44", "0.34028235678E+39", "0.34028234664E+39"]
    layout = FixedWidth(5, 18, 91, len(words), 2, 2, 11, ord("E"))
    exact = np.array([float(w) for w in words])
    for dtype in (np.float32, np.float64):
        for divisor in (1.0, 103.7):
            values, left = decode(device, rows_of(words, layout), layout, 0, len(words), dtype, divisor)
            assert left.size == 0 and values.dtype == dtype
            with np.errstate(over="ignore"):
                expected = (exact / divisor).astype(dtype)
            assert values.tobytes() == expected.tobytes()


def test_halfway_cases_are_left_and_their_neighbours_right(device):
    """Odd integers above 2^53 lie in the middle of two doubles; a digit beside them they do not."""
    words = [f"0.{m:016d}E+16" for m in (2**53 + 1, 2**53 + 3, 2**53 + 2, 2**53 + 4, 2**53 - 1)]
    words += ["9.0071992547409931E+15", "9.0071992547409929E+15"]
    layout = FixedWidth(1, 23, 24, len(words), 2, 2, 16, ord("E"))
    values, left = decode(device, rows_of(words, layout), layout, 0, len(words))
    assert left.tolist() == [0, 1] and left.dtype == np.int64
    assert same_bits(values[2:], [float(w) for w in words[2:]])


@pytest.mark.parametrize("word", WRONG)
def test_what_is_no_number_is_left(device, word):
    words = ["0.12345678901E+01"] * 10
    words[6] = word
    values, left = decode(device, rows_of(words, CHGCAR), CHGCAR, 0, 10)
    assert left.tolist() == [6] and np.isnan(values[6])
    assert same_bits(np.delete(values, 6), [1.2345678901] * 9)


@pytest.mark.parametrize("head", ["--", "-+", "+ ", "- ", "5-", "5 ", " x", "a5", "  ", " +", "-7", "42", " 3", "+5"])
def test_what_may_stand_before_the_point(device, head):
    text = "".join(f" {h}.25000E+00\n" for h in (" 1", head, "-1")).encode()
    values, left = decode(device, text, FixedWidth(1, 13, 14, 3, 3, 2, 5, ord("E")), 0, 3)
    try:
        expected = float(head.lstrip(" ") + ".25")
    except ValueError:
        assert left.tolist() == [1]
    else:
        assert left.size == 0 and values[1] == expected


def test_powers_beyond_the_table_are_left(device):
    words = ["1.00000E+250", "1.00000E+260", "1.00000E-240", "1.00000E-250", "0.00000E+999", "1.00000E+999"]
    layout = FixedWidth(3, 14, 43, 6, 3, 2, 5, ord("E"), 3)
    values, left = decode(device, rows_of(words, layout), layout, 0, 6)
    assert left.tolist() == [1, 3, 5]
    assert same_bits(values[[0, 2, 4]], [1e250, 1e-240, 0.0])


def test_bytes_between_values_must_be_blank(device):
    layout = FixedWidth(2, 13, 27, 4, 3, 2, 5, ord("E"))
    text = b"  1.00000E+00  2.00000E+00\n 13.00000E+00 114.0000E+00\n"
    values, left = decode(device, text, layout, 0, 4)
    assert values[:3].tolist() == [1.0, 2.0, 13.0] and left.tolist() == [3]
    text = b"  1.00000E+00x 2.00000E+00\n1 3.00000E+00  4.00000E+00\n"
    assert decode(device, text, layout, 0, 4)[1].tolist() == [1, 2]


def test_rows_elsewhere_are_refused(device):
    layout = FixedWidth(5, 18, 91, 15, 2, 2, 11, ord("E"))
    row = b" 0.12345678901E+01" * 5 + b"\n"
    with pytest.raises(Misaligned):
        decode(device, row + row[:-2] + b"\n " + row, layout, 0, 15)


@pytest.mark.parametrize("row", [0, 2, 5])
def test_a_row_without_its_end_is_refused(device, row):
    """Runs of 8 in rows of 3: a full row, and the short ones that end a run."""
    layout = FixedWidth(3, 13, 40, 8, 3, 2, 5, ord("E"))
    lines = rows_of([f"{v:.5E}" for v in np.arange(16.0)], layout).split(b"\n")
    broken = b"\n".join(lines[: row + 1]) + b" " + b"\n".join(lines[row + 1 :])
    with pytest.raises(Misaligned):
        decode(device, broken, layout, 0, 16)


def test_letters_that_fortran_drops(device):
    words = ["0.12345678901-100", "0.98765432109+123", "-.10000000000-149", "0.00000000000+100", "0.1234567890a-100"]
    values, left = decode(device, rows_of(words, CHGCAR), CHGCAR, 0, 5)
    assert left.tolist() == [4]
    assert same_bits(values[:4], [0.12345678901e-100, 0.98765432109e123, -1e-150, 0.0])
    with_three = FixedWidth(1, 19, 20, 1, 3, 2, 11, ord("E"), 3)
    assert decode(device, b"  0.12345678901-100\n", with_three, 0, 1)[1].tolist() == [0]


def test_any_part_of_a_block(device, rng):
    words = [f"{v:.5E}" for v in rng.normal(size=999)]
    text = rows_of(words, CUBE)
    for start, stop in ((0, 999), (1, 2), (5, 998), (36, 38), (330, 700), (36, 37), (998, 999), (5, 5)):
        values, left = decode(device, text, CUBE, start, stop)
        assert left.size == 0 and same_bits(values, [float(w) for w in words[start:stop]])


def test_places_left_in_runs_with_short_rows(device):
    layout = FixedWidth(3, 13, 40, 8, 3, 2, 5, ord("E"))
    words = [f"{v:.5E}" for v in np.arange(40.0)]
    for place in (5, 15, 16, 22, 39):
        words[place] = "*" * 12
    values, left = decode(device, rows_of(words, layout), layout, 0, 40)
    assert left.tolist() == [5, 15, 16, 22, 39]
    assert same_bits(np.delete(values, left), np.delete(np.arange(40.0), left))
