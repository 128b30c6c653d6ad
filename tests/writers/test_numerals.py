"""Numerals against Python's own formatting, digit by digit."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpuhomog.errors import InputError
from gpuhomog.writers.numerals import lines, numerals

FINITE = st.floats(min_value=-9.9e98, max_value=9.9e98, allow_subnormal=False).map(
    lambda x: x if abs(x) > 1e-98 else 0.0
)


def text_of(values, **style):
    return [row.tobytes().decode() for row in numerals(np.asarray(values, dtype=np.float64), **style)]


@given(st.lists(FINITE, min_size=1, max_size=50))
@example([0.0, -0.0, 1.0, 10.0, 0.1, 1e-5, 9.99999999994, 9.99999999995, 9.99999999996, 99999999999.7, 1e98, -1e-98])
@example([float(f"1e{n}") for n in range(-98, 99)])
@example([np.nextafter(float(f"1e{n}"), 0) for n in range(-97, 99)])
def test_every_numeral_is_the_nearest_or_its_equal(values):
    """Half a unit of the 11th digit; where Python, which is exact, says otherwise, the value was a tie."""
    for value, text in zip(values, text_of(values), strict=True):
        assert len(text) == 18
        if text != f"{value:18.10E}".replace("-0.0000000000E", " 0.0000000000E"):
            unit = 10.0 ** (int(text[-3:]) - 10)
            assert abs(float(text) - value) <= 0.50001 * unit


def test_ordinary_values_agree_with_python_in_every_digit():
    rng = np.random.default_rng(8)
    values = rng.normal(size=40000) * 10.0 ** rng.integers(-15, 15, 40000)
    assert text_of(values) == [f"{v:18.10E}" for v in values]


def test_the_vasp_style_is_fortran_e17_11():
    rng = np.random.default_rng(9)
    values = rng.normal(size=2000) * 10.0 ** rng.integers(-8, 8, 2000)
    for value, text in zip(values, text_of(values, style="vasp"), strict=True):
        digits, exponent = f"{abs(value):.10E}".split("E")
        lead = " -." if value < 0 else " 0."
        assert text == f"{lead}{digits.replace('.', '')}E{int(exponent) + 1:+03d}"
    assert text_of([0.0, -0.0], style="vasp") == [" 0.00000000000E+00"] * 2


def test_single_precision_survives():
    values = np.random.default_rng(10).normal(size=5000).astype(np.float32)
    read = np.array([float(t) for t in text_of(values)], dtype=np.float32)
    assert np.array_equal(read, values)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e99])
def test_what_has_no_numeral_is_refused(value):
    with pytest.raises(InputError, match="cannot hold"):
        numerals(np.array([1.0, value]))


@pytest.mark.parametrize(("n", "per_line"), [(7, 3), (6, 3), (2, 3), (1, 1)])
def test_lines_hold_the_numerals_in_order(n, per_line):
    values = np.arange(2.0 * n).reshape(2, n)
    text = lines(numerals(values).reshape(2, n, 18), per_line).decode()
    expected = ["".join(f"{v:18.10E}" for v in row[i : i + per_line]) for row in values for i in range(0, n, per_line)]
    assert text.splitlines() == expected
    assert text.endswith("\n")
