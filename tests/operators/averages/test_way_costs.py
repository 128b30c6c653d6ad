"""What ways say that they cost is what they do: multiply-adds as a device counts them, and by hand."""

from dataclasses import replace

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.device.cpu import CPU
from gpuhomog.operators.averages.average import plan_average
from gpuhomog.operators.averages.ways import WAYS


class Counting(CPU):
    """A CPU that counts the multiply-adds of its matrix products; what else takes time is in round numbers."""

    def __init__(self):
        super().__init__()
        self.odd_product, self.sums_in_passes = (3.0, 5.0), 17.0
        self.pass_in_columns, self.filter_in_columns, self.tap_in_columns = ({"float64": n} for n in (7.0, 11.0, 13.0))
        self.counted = 0

    def contract(self, values, matrix, axis):
        self.counted += values.size * len(matrix)
        return super().contract(values, matrix, axis)


def planned(shape, kernel, spacing, sampling="bandlimited"):
    """On points 1 Å apart."""
    field = gh.Field.from_array(np.random.default_rng(2).normal(size=shape), np.diag(shape), device="cpu")
    return plan_average(replace(field, device=Counting()), kernel, spacing, sampling, "auto", False)[0]


def counted(way, plan):
    WAYS[way].run(plan, plan.field.values, (None,))
    return plan.field.device.counted


@pytest.mark.parametrize("spacing", [None, (8.0, 2.0, 4.0)])
def test_products_are_counted(spacing):
    plan = planned((48, 60, 80), gh.Gaussian(12.0), spacing)
    assert WAYS["lines"].cost(plan) == counted("lines", plan)


@pytest.mark.parametrize("spacing", [None, (8.0, 2.0, 4.0)])
def test_low_modes_are_products_there_and_back(spacing):
    """Columns of odd sizes take 3, each of both ends is passed over 5 times, a pass takes 7 columns."""
    plan = planned((48, 60, 80), gh.Gaussian(12.0), spacing)
    n_out = {None: 48 * 60 * 80, (8.0, 2.0, 4.0): 6 * 30 * 20}[spacing]
    assert WAYS["low modes"].cost(plan) == 3 * counted("low modes", plan) + 5 * 7 * (48 * 60 * 80 + n_out)


def test_sums_and_all_modes_are_columns_of_every_point():
    plan = planned((48, 64, 80), gh.Box(9.0), 8.0, "cell")
    assert WAYS["sums"].cost(plan) == 17 * 7 * 48 * 64 * 80
    assert WAYS["all modes"].cost(planned((48, 64, 80), gh.Ball(9.0), None)) == 11 * 48 * 64 * 80


@pytest.mark.parametrize("spacing", [None, 16.0])
def test_taps_are_windows_along_two_axes_and_passes_over_what_is_between(spacing):
    plan = planned((96, 96, 96), gh.Gaussian(24.0), spacing)
    (d, *others), taps = (along.decimation for along in plan.taps), plan.taps[0]
    assert others == [d, d] and d > 1
    fine, planes, coarse = 96**3, 96 * (96 // d) ** 2, (96 // d) ** 3
    along_lines = 96**2 * (96 // d) * len(taps.weights)  # of each coarse point of a line, its window; then of columns
    along_columns = 96 * (96 // d) ** 2 * len(taps.weights)
    there = 13 * (along_lines + along_columns) + 7 * (fine + 2 * planes + coarse)
    if spacing is None:
        expected = 2 * there + 11 * coarse
    else:  # six points along each axis, from the coarse ones
        n = 96 // d
        expected = there + 11 * coarse + 6 * n**3 + 6**2 * n**2 + 6**3 * n
    assert WAYS["taps"].cost(plan) == pytest.approx(expected, rel=1e-12)
