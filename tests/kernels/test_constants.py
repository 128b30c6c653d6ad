"""Numbers that a kernel and the code that launches it must agree on, where each has its own."""

import re

import pytest

from gpuhomog.device.gpu import (
    cylinder,
    features,
    intervals,
    polynomials,
    ranges,
    running,
    spectral,
    sums,
    taps,
    text,
    windows,
)
from gpuhomog.device.gpu.sources import kernel_folder

SAME = [
    ("box_coarse.cu", "MOST_THREADS", windows.MOST_THREADS),
    ("box_coarse.cu", "CHUNK", windows.OUTPUTS_EACH),
    ("box_together.cu", "MOST_THREADS", windows.TOGETHER_THREADS),
    ("box_together.cu", "MOST_WINDOWS", windows.MOST_TOGETHER),
    ("box_rings.cu", "THREADS", running.PLANES_THREADS),
    ("box_rings.cu", "BATCH", running.BATCH),
    ("box_rings.cu", "STAGES", running.STAGES),
    ("box_rings.cu", "LINES", running.LINES),
    ("box_rings.cu", "STEPS", running.STEPS),
    ("box_rings.cu", "GROUPS", running.GROUPS),
    ("box_rings.cu", "COLUMN_BYTES", running.COLUMN_BYTES),
    ("box_steps.cu", "GROUP", running.GROUP),
    ("line_sums.cuh", "UNIT", running.UNIT),
    ("cylinder_sum.cu", "LARGEST_BLOCK", cylinder.SUM_BLOCK),
    ("cylinder_sum.cu", "PLANES", cylinder.SUM_PLANES),
    ("decode_text.cu", "BLOCK", text.BLOCK),
    ("fft_lines.cu", "ROW_BYTES", spectral.ROW_BYTES),
    ("fft_lines.cu", "ANY_THREADS", spectral.ANY_THREADS),
    ("spectral_multiply.cu", "BLOCK", spectral.MULTIPLY_THREADS),
    ("multiplier.cuh", "TABLES", spectral.TABLES),
    ("multiplier.cuh", "GRADIENT", spectral.GRADIENT),
    ("multiplier.cuh", "POLYNOMIAL", spectral.POLYNOMIAL),
    ("multiplier.cuh", "INVERSE_SQUARE", spectral.INVERSE_SQUARE),
    ("interval_moments.cu", "LARGEST_BLOCK", intervals.BLOCK),
    ("interval_moments.cu", "LANES", intervals.ROW_LANES),
    ("planar_moments.cu", "BLOCK", sums.BLOCK),
    ("planar_moments.cu", "BLOCKS_EACH", sums.BLOCKS_EACH),
    ("planar_moments.cu", "COLUMNS", sums.COLUMNS),
    ("planar_moments.cu", "ROWS", sums.ROWS),
    ("planar_moments.cu", "TILE", sums.TILE),
    ("smooth_sums.cu", "BLOCK", features.BLOCK),
    ("window_ranges.cu", "TILE", ranges.TILE),
    ("window_ranges.cu", "THREADS", ranges.BLOCK),
    ("taps.cu", "SINGLE_THREADS", taps.SINGLE_THREADS),
    ("taps.cu", "THREADS", taps.THREADS),
    ("taps.cu", "EXPAND_THREADS", taps.EXPAND_THREADS),
    ("taps.cu", "TILE", taps.TILE),
    ("taps.cu", "MOST_PHASES", taps.MOST_PHASES),
]


def constant(file, name):
    """The value of a constexpr int of a source."""
    text = (kernel_folder() / file).read_text()
    found = re.findall(rf"^constexpr int (?:\w+ = \d+, )*{name} = (\d+)[;,]", text, re.MULTILINE)
    assert len(found) == 1, f"{file} has {len(found)} constants {name}"
    return int(found[0])


@pytest.mark.parametrize(("file", "name", "expected"), SAME)
def test_a_number_of_two_places(file, name, expected):
    assert constant(file, name) == expected


def test_blocks_that_a_kernel_allows():
    assert constant("cylinder_march.cu", "LARGEST_BLOCK") >= cylinder.MARCH_BLOCK


def test_coefficients_of_polynomials():
    text = (kernel_folder() / "multiplier.cuh").read_text()
    single, double = map(int, re.search(r"count = sizeof\(T\) == 4 \? (\d+) : (\d+);", text).groups())
    assert {"float32": single, "float64": double} == polynomials.COEFFICIENTS
