"""Windows of taps: the CPU's against explicit loops, the kernels' against the CPU's."""

from types import SimpleNamespace

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.device.gpu import taps as launches
from gpuhomog.errors import GpuhomogError
from gpuhomog.operators.averages import line_taps

SINGLE = launches.SINGLE


@pytest.fixture(params=["cpu", "host", pytest.param("real", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cpu":
        return CPU()
    return request.getfixturevalue("host_gpu" if request.param == "host" else "real_gpu")


def window(d, n_taps, first, seed=0):
    """Positive weights of sum one, unlike each other, in an order that no symmetry hides."""
    weights = np.random.default_rng((d, n_taps, seed)).uniform(0.5, 1.5, n_taps)
    return SimpleNamespace(weights=weights / weights.sum(), first=first, decimation=d)


def noise(shape, dtype, order="C"):
    return np.array(1.0 + np.random.default_rng(shape).standard_normal(shape), dtype=dtype, order=order)


def contracted_by_loops(values, taps):
    """One output, one sample of its window after another."""
    shape = [n // along.decimation for n, along in zip(values.shape, taps, strict=True)]
    out = np.zeros(shape)
    for j in np.ndindex(*shape):
        for t in np.ndindex(*[len(along.weights) for along in taps]):
            at = [(k * a.decimation + a.first + s) % n for k, a, s, n in zip(j, taps, t, values.shape, strict=True)]
            out[j] += np.prod([a.weights[s] for a, s in zip(taps, t, strict=True)]) * values[tuple(at)]
    return out


CASES = {
    # shape, taps along each axis: d, number of taps, first
    "three axes": ((6, 4, 9), (window(2, 4, -1), window(2, 3, -2), window(3, 7, -3))),
    "window longer than the axis": ((4, 2, 3), (window(2, 9, -5), window(2, 5, -1), window(3, 7, -4))),
    "one point is left": ((5, 1, 3), (window(5, 6, 2), SINGLE, window(3, 3, 0))),
    "one axis": ((3, 5, 4), (SINGLE, SINGLE, window(2, 4, -1))),
}


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_the_cpu_adds_what_loops_add(case, dtype, order):
    shape, taps = CASES[case]
    values = noise(shape, dtype, order)
    expected = contracted_by_loops(values.astype(np.float64), taps)
    found = CPU().contract_taps(values, taps)
    assert found.dtype == dtype
    assert np.abs(found - expected).max() < 4 * np.finfo(dtype).eps  # sums in float64 of values of order one
    assert found.flags.f_contiguous if order == "F" else found.flags.c_contiguous


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape, taps", [*CASES.values(), ((3, 4, 5), (SINGLE, SINGLE, SINGLE))])
def test_powers_about_a_centre(shape, taps, dtype, order, device):
    values = noise(shape, dtype, order)
    for power, centre in ((1, 0.75), (2, 0.0), (2, 1.25)):
        expected = contracted_by_loops((values.astype(np.float64) - centre) ** power, taps)
        found = device.to_host(device.contract_taps(device.asarray(values), taps, power, centre))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=2 * tolerance(dtype, taps))


@pytest.mark.parametrize("n, d, n_taps, first", [(96, 2, 16, -8), (96, 4, 37, 91), (120, 3, 24, -300), (40, 40, 7, 38)])
@pytest.mark.parametrize("axis", range(3))
def test_bands_of_the_cpu_add_what_a_matrix_adds(axis, n, d, n_taps, first):
    """Longer axes, several products each, windows that reach over the end, beside axes that stay."""
    along = window(d, n_taps, first)
    matrix = np.zeros((n // d, n))
    for j in range(n // d):
        for t, weight in enumerate(along.weights):
            matrix[j, (j * d + first + t) % n] += weight
    values = noise(np.roll((n, 3, 5), axis), np.float64)
    taps = np.roll([along, SINGLE, SINGLE], axis)
    expected = np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
    np.testing.assert_allclose(CPU().contract_taps(values, taps), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES)
def test_expansion_is_the_transpose(case, dtype):
    shape, taps = CASES[case]
    coarse_shape = tuple(n // along.decimation for n, along in zip(shape, taps, strict=True))
    coarse = noise(coarse_shape, dtype)
    found = CPU().expand_taps(coarse, taps)
    assert found.shape == shape
    for at in np.ndindex(*shape):  # column `at` of the contraction, by loops
        unit = np.zeros(shape)
        unit[at] = 1.0
        expected = (contracted_by_loops(unit, taps) * coarse).sum()
        assert found[at] == pytest.approx(expected, abs=8 * float(np.finfo(dtype).eps))


def tolerance(dtype, taps):
    """Every axis adds its taps, whose weights sum to one, one after another in the precision of the values."""
    return 4 * sum(len(along.weights) for along in taps) * np.finfo(dtype).eps


KERNEL_CASES = {
    # every number of cells there is an instance for, rows with and without vectors, odd and prime sizes
    "8 cells, d divides by the batch": ((3, 32, 48), (window(3, 20, -8), window(8, 63, -31), window(4, 31, -15))),
    "10 cells": ((4, 30, 20), (window(2, 19, -9), window(3, 29, -14), window(5, 49, -24))),
    "12 cells, d = 2": ((2, 26, 28), (SINGLE, window(2, 23, -11), window(7, 83, -41))),
    "14 cells, d = 5": ((1, 15, 36), (SINGLE, window(5, 69, -34), window(6, 70, -33))),
    "16 cells, d = 9": ((2, 18, 12), (window(2, 31, -15), window(9, 143, -71), window(2, 31, -15))),
    "rows of odd length": ((5, 21, 33), (window(5, 9, 4), window(3, 47, -23), window(11, 100, -50))),
    "rows left as they are": ((4, 35, 13), (window(2, 15, -7), window(7, 55, -27), SINGLE)),
    "columns left as they are": ((3, 11, 24), (SINGLE, SINGLE, window(4, 31, -15))),
    "slow axis only": ((28, 5, 7), (window(4, 31, -15), SINGLE, SINGLE)),
    "one row, one column": ((1, 1, 6), (SINGLE, SINGLE, window(3, 5, -2))),
    "one point is left": ((4, 7, 5), (window(4, 31, -15), window(7, 55, -27), window(5, 39, -19))),
    "columns of a thread in one cell": ((2, 16, 32), (SINGLE, window(2, 20, -10), window(8, 80, -40))),
    "columns of a thread in two cells": ((2, 16, 40), (SINGLE, window(2, 20, -10), window(2, 20, -10))),
    # steps that rows end with, which have instances of their own: of two, four, six and eight rows
    "steps of two rows": ((3, 14, 24), (SINGLE, window(2, 19, -10), window(4, 37, -20))),
    "steps of four rows": ((2, 20, 40), (SINGLE, window(4, 55, -28), window(4, 56, -28))),
    "steps of six rows": ((2, 18, 16), (window(2, 16, -8), window(6, 60, -30), window(2, 19, -10))),
    "steps of eight rows": ((2, 40, 28), (SINGLE, window(8, 79, 800), window(7, 70, -35))),
    "first tap far away": ((2, 12, 16), (SINGLE, window(3, 20, 1000), window(4, 20, -1001))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", KERNEL_CASES)
def test_the_kernels_equal_the_cpu(gpu, case, dtype):
    shape, taps = KERNEL_CASES[case]
    values = noise(shape, dtype)
    coarse = CPU().contract_taps(values, taps)
    found = gpu.to_host(gpu.contract_taps(gpu.asarray(values), taps))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, coarse, rtol=0, atol=3 * tolerance(dtype, taps))
    expanded = gpu.to_host(gpu.expand_taps(gpu.asarray(coarse), taps))
    np.testing.assert_allclose(expanded, CPU().expand_taps(coarse, taps), rtol=0, atol=3 * tolerance(dtype, taps))


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_rows_are_cut_into_parts(gpu, dtype, order):
    """Rows beyond what one block owns, of vectors and of single columns; the window reaches over both ends."""
    for n2, d in ((4116, 6), (2079, 7)):
        taps = (SINGLE, window(2, 5, -2), window(d, 8 * d, -4 * d + 1))
        shape, turned = (1, 4, n2), taps
        if order == "F":
            shape, turned = shape[::-1], taps[::-1]
        values = noise(shape, dtype, order)
        coarse = CPU().contract_taps(values, turned)
        found = gpu.contract_taps(gpu.asarray(values), turned)
        np.testing.assert_allclose(gpu.to_host(found), coarse, rtol=0, atol=tolerance(dtype, taps))
        expanded = gpu.to_host(gpu.expand_taps(gpu.asarray(coarse), turned))
        np.testing.assert_allclose(expanded, CPU().expand_taps(coarse, turned), rtol=0, atol=tolerance(dtype, taps))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [(27, 35), (103, 20), (523, 2)])
def test_the_last_part_of_rows_that_stay_is_shorter(gpu, dtype, rows):
    """Planes along the slow axis are rows of so many samples, of which the parts of a block are not a divisor."""
    values, taps = noise((6, *rows), dtype), (window(3, 7, -2), SINGLE, SINGLE)
    coarse = CPU().contract_taps(values, taps)
    found = gpu.to_host(gpu.contract_taps(gpu.asarray(values), taps))
    np.testing.assert_allclose(found, coarse, rtol=0, atol=tolerance(dtype, taps))
    expanded = gpu.to_host(gpu.expand_taps(gpu.asarray(coarse), taps))
    np.testing.assert_allclose(expanded, CPU().expand_taps(coarse, taps), rtol=0, atol=tolerance(dtype, taps))


def test_rows_whose_lines_do_not_fit_are_cut_into_parts(host_gpu, monkeypatch):
    taps = (SINGLE, window(2, 20, -10), window(4, 55, -28))
    values = noise((1, 8, 512), np.float64)
    whole = host_gpu.to_host(host_gpu.contract_taps(host_gpu.asarray(values), taps))
    used = host_gpu.runtime.launches[-1].shared
    monkeypatch.setattr(host_gpu.runtime, "shared_bytes", used - 1)
    parts = host_gpu.to_host(host_gpu.contract_taps(host_gpu.asarray(values), taps))
    assert host_gpu.runtime.launches[-1].shared < used
    np.testing.assert_array_equal(parts, whole)  # a row adds in the same order


@pytest.mark.parametrize("d", [1, 32])
def test_windows_as_long_as_a_block(gpu, d):
    taps = (SINGLE, SINGLE, window(d, 16 * d - 1, 3))
    values = noise((1, 2, 33 * 32 if d > 1 else 1031), np.float32)
    found = gpu.to_host(gpu.contract_taps(gpu.asarray(values), taps))
    np.testing.assert_allclose(found, CPU().contract_taps(values, taps), rtol=0, atol=tolerance(np.float32, taps))


@pytest.mark.parametrize("rows", [2, 3, 100])
@pytest.mark.parametrize(
    "case", ["10 cells", "rows of odd length", "slow axis only", "first tap far away", "steps of two rows"]
)
def test_columns_in_segments_give_the_same(gpu, monkeypatch, case, rows):
    """Blocks of a few coarse rows, the last one shorter, or of whole columns."""
    monkeypatch.setattr(launches.Taps, "_segments", lambda self, threads, m1, cells: (rows, -(-m1 // rows)))
    shape, taps = KERNEL_CASES[case]
    values = noise(shape, np.float64)
    coarse = CPU().contract_taps(values, taps)
    found = gpu.to_host(gpu.contract_taps(gpu.asarray(values), taps))
    np.testing.assert_allclose(found, coarse, rtol=0, atol=tolerance(np.float64, taps))
    expanded = gpu.to_host(gpu.expand_taps(gpu.asarray(coarse), taps))
    np.testing.assert_allclose(expanded, CPU().expand_taps(coarse, taps), rtol=0, atol=tolerance(np.float64, taps))


@pytest.mark.parametrize("vector", [2, 4])
@pytest.mark.parametrize("phases", [1, 2, 3, 4, 6, 8, 11, 16, 32])
def test_lines_have_room_and_few_bank_conflicts(phases, vector):
    """What threads read, as slide of taps.cu does: within their phase, and where phases are 2^k at different banks."""
    for tiles in (1, 2, 5, 16, 64):
        for cells in (8, 10, 12, 14, 16):
            pitch = launches._pitch(tiles, cells, phases, vector)
            apart = (launches.TILE // vector | 1) * vector  # from tile to tile: an odd number of 16 bytes
            last = tiles * launches.TILE + cells - 2
            last += -(last + 1) % vector  # whole loads
            assert pitch % vector == 0
            assert pitch > last // launches.TILE * apart + last % launches.TILE
            if phases & (phases - 1) == 0:
                items = [(i // phases, i % phases) for i in range(8)]
                banks = {(tile * apart + phase * pitch) // vector % 8 for tile, phase in items}
                assert len(banks) == 8


@pytest.mark.parametrize("columns, row", [((33, 40), (2, 4)), ((2, 40), (2, 4)), ((2, 4), (2, 40))])
def test_windows_there_is_no_kernel_for_are_refused(host_gpu, columns, row):
    taps = (SINGLE, window(*columns, 0), window(*row, 0))
    shape = (2, 4 * columns[0], 4 * row[0])
    for call, size in ((host_gpu.contract_taps, shape), (host_gpu.expand_taps, (2, 4, 4))):
        with pytest.raises(GpuhomogError, match=r"kernels take 16 cells of 32 samples at most"):
            call(host_gpu.asarray(np.zeros(size, np.float32)), taps)


def test_windows_that_operators_choose_have_kernels():
    assert max(line_taps.CELLS) <= min(max(cells) for cells in launches.WINDOWS.values())
    assert line_taps.LARGEST_DECIMATION <= launches.MOST_PHASES


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 0, 4), (4, 4, 0)])
def test_nothing_in_nothing_out(gpu, shape):
    taps = (window(2, 4, -1),) * 3
    coarse = tuple(n // 2 for n in shape)
    assert gpu.contract_taps(gpu.asarray(np.zeros(shape)), taps).shape == coarse
    assert gpu.expand_taps(gpu.asarray(np.zeros(coarse)), taps).shape == shape


def test_the_field_is_read_once_and_written_once(host_gpu):
    """Two launches each way, and workspace only for the planes in between."""
    shape, taps = KERNEL_CASES["8 cells, d divides by the batch"]
    host_gpu.runtime.launches.clear()
    coarse = host_gpu.contract_taps(host_gpu.asarray(noise(shape, np.float32)), taps)
    host_gpu.expand_taps(coarse, taps)
    assert [launch.instance.split("<")[0] for launch in host_gpu.runtime.launches] == [
        *["contract_taps"] * 2,
        *["expand_taps"] * 2,
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", ["10 cells", "one point is left", "first tap far away"])
def test_the_first_rung_equals_the_cpu(gpu, case, dtype):
    shape, taps = KERNEL_CASES[case]
    c_name = {np.float32: "float", np.float64: "double"}[dtype]
    values = noise(shape, dtype)

    def along(values, axis, kernel, n_result):
        a = taps[axis]
        d, cells = a.decimation, -(-len(a.weights) // a.decimation)
        weights = gpu.asarray(np.concatenate([a.weights, np.zeros(cells * d - len(a.weights))]).astype(dtype))
        new = list(values.shape)
        new[axis] = n_result
        outer, inner = int(np.prod(new[:axis])), int(np.prod(new[axis + 1 :]))
        out = gpu.empty(new, dtype)
        numbers = (
            np.int64(shape[axis]),
            np.int64(inner),
            np.int64(a.first % shape[axis]),
            np.int32(d),
            np.int32(cells),
        )
        grid = (-(-inner // 128), n_result, outer)
        gpu.runtime.launch(
            "ladder/taps.cu", f"{kernel}<{c_name}>", grid, (128,), (gpu.contiguous(values), out, weights, *numbers)
        )
        return out

    found = gpu.asarray(values)
    for axis in range(3):
        found = along(found, axis, "contract_taps", shape[axis] // taps[axis].decimation)
    coarse = CPU().contract_taps(values, taps)
    np.testing.assert_allclose(gpu.to_host(found), coarse, rtol=0, atol=tolerance(dtype, taps))
    found = gpu.asarray(coarse)
    for axis in range(3):
        found = along(found, axis, "expand_taps", shape[axis])
    np.testing.assert_allclose(gpu.to_host(found), CPU().expand_taps(coarse, taps), rtol=0, atol=tolerance(dtype, taps))


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("oblique", [False, True])
def test_averages_equal_those_of_the_cpu(gpu, oblique, dtype, order):
    """Through the operator, onto the grid and onto fewer points; the CPU goes another way."""
    cell = np.array([[8.0, 0.0, 0.0], [-4.0, 6.9, 0.0], [0.5, 0.7, 9.0]]) if oblique else np.diag([8.0, 7.0, 9.0])
    values = noise((36, 40, 27), dtype, order)
    there = gh.Field.from_array(values, cell, device=gpu)
    here = gh.Field.from_array(values.astype(np.float64), cell)
    for spacing in (None, 1.5):
        found = gh.average(there, gh.Gaussian(4.0), method="taps", spacing=spacing)
        expected = gh.average(here, gh.Gaussian(4.0), method="low modes", spacing=spacing)
        assert found.values.dtype == dtype
        assert np.abs(found.to_host() - expected.values).max() < 60 * np.finfo(dtype).eps
