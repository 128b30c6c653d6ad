"""Box filter at full resolution: the CPU's against dense matrices, SciPy and plane waves; the kernels' against both."""

import numpy as np
import pytest
import scipy.ndimage
from box_oracle import SHAPES, WIDTHS, assert_is_filtered, dense, field, matrix, windows_of
from hypothesis import given
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.device.gpu import running
from gpuhomog.device.gpu.sources import instances
from gpuhomog.operators.averages.line_weights import Line, Window, sum_weights, window_of

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")


@pytest.fixture
def compiled_cpu(monkeypatch):
    """The CPU by compiled sums, however small the field, on two threads."""
    pytest.importorskip("numba", reason="the compiled loops need Numba")
    monkeypatch.setattr("gpuhomog.device.cpu.running.COMPILED_FROM", 0)
    monkeypatch.setattr("gpuhomog.device.cpu.running.SMALL", 0)
    return CPU(threads=2)


@pytest.fixture(params=["cpu", "cpu sums", "cpu compiled", "kernel"])
def device(request, monkeypatch):
    """The CPU by matrices, as it is for short axes; by running sums; by compiled ones; the kernel."""
    if request.param == "kernel":
        return request.getfixturevalue("host_gpu")
    if request.param == "cpu sums":
        monkeypatch.setattr("gpuhomog.device.cpu.running.SAMPLES_A_PASS", 0)
        monkeypatch.setattr("gpuhomog.device.cpu.running.SMALL", 0)
    if request.param == "cpu compiled":
        return request.getfixturevalue("compiled_cpu")
    return CPU(threads=2)


def filtered(device, values, windows):
    out = device.to_host(device.box_filter(device.asarray(values), windows))
    assert out.dtype == values.dtype and out.shape == values.shape
    return out


@pytest.mark.parametrize("q", [0, 4])
@pytest.mark.parametrize("width", [1.0, 2.5, 9.37, 33.0, 64.5])
def test_windows_are_the_rows_of_sum_weights(width, q):
    for n in (1, 7, 40):
        window = window_of(width, 0.0, 1, q)
        if window is not None:
            line = Line(n, 0.5, n, 0, np.arange(float(n)))
            expected = sum_weights(line, gh.Box(width * 0.5).along(0), q)
            np.testing.assert_allclose(matrix(window, n), expected, atol=1e-14)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [0, 4])
def test_the_cpu_equals_dense_matrices(monkeypatch, shape, dtype, order, q):
    monkeypatch.setattr("gpuhomog.device.cpu.running.SAMPLES_A_PASS", 0)
    values = field(shape, dtype, order)
    for widths in WIDTHS:
        windows = windows_of(widths, q)
        found = filtered(CPU(), values, windows)
        assert_is_filtered(found, values, windows)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [0, 4])
def test_the_kernel_equals_dense_matrices(gpu, shape, dtype, order, q):
    values = field(shape, dtype, order)
    for widths in WIDTHS:
        windows = windows_of(widths, q)
        found = filtered(gpu, values, windows)
        assert_is_filtered(found, values, windows)


@pytest.mark.parametrize("size", [3, 5, 9])
def test_odd_widths_against_scipy(device, size):
    values = field((12, 10, 9), np.float64)
    found = filtered(device, values, windows_of((size,) * 3, 0))
    expected = scipy.ndimage.uniform_filter(values, size, mode="wrap")
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_a_plane_wave_is_damped_as_the_kernel_says(device):
    """Long waves: the end stencils' error is below rounding, and the damping is that of the continuous box."""
    n, width = 32, 9.37
    phase = 2 * np.pi * np.arange(n) / n
    values = np.cos(phase[:, None, None] + phase[None, :, None] - phase[None, None, :] + 0.3)
    found = filtered(device, values, windows_of((width,) * 3, 4))
    np.testing.assert_allclose(found, values * np.sinc(width / n) ** 3, atol=2e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_axes_without_window(device, dtype):
    values = field((6, 5, 7), dtype)
    some = window_of(3.5, 0.0, 1, 0)
    for windows in ((some, None, None), (None, some, None), (None, None, some), (None, None, None)):
        found = filtered(device, values, windows)
        assert_is_filtered(found, values, windows)


def test_windows_with_other_ends_and_far_from_their_point(device):
    values = field((9, 8, 10), np.float64)
    windows = (
        Window(-37, 1, (0.25, 0.5), 3, (), 2.0),
        Window(5, 1, (), 40, (0.5, 0.25, -0.125), 0.25),
        Window(1, 1, (), 0, (1.0,), 1.0),
    )
    np.testing.assert_allclose(filtered(device, values, windows), dense(values, windows), atol=1e-11)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_empty_slabs(device, shape):
    assert filtered(device, np.zeros(shape, np.float32), windows_of((3.0,) * 3, 0)).shape == shape


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("chunk", [2, 4, 6])
@pytest.mark.parametrize("q", [0, 4])
def test_sums_go_on_from_chunk_to_chunk(host_gpu, monkeypatch, chunk, q, overlap):
    """More chunks than places in the middle, the last one partial."""
    monkeypatch.setattr(running, "OVERLAP", overlap)
    monkeypatch.setattr(type(host_gpu), "_planes_of_a_chunk", lambda *_: chunk)
    values = field((31, 5, 36), np.float32)
    windows = windows_of((11.3, 10.0, 12.9), q)
    before = len(host_gpu.runtime.launches)
    found = filtered(host_gpu, values, windows)
    chunks = -(-31 // chunk)
    assert len(host_gpu.runtime.launches) - before == (chunks + 1 if overlap else 2 * chunks)
    assert_is_filtered(found, values, windows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q, widths", [(0, (3.0, 5.0, 7.0)), (0, (2.5, 61.3, 4.0)), (4, (11.0, 14.2, 10.0))])
def test_columns_are_cut_into_segments(host_gpu, monkeypatch, q, widths, dtype):
    """Eight rows each and a rest; windows longer than the axis, and more blocks of columns than of rows, too."""
    monkeypatch.setattr(running, "WALKERS", 1 << 20)
    values = field((7, 29, 24), dtype)
    windows = windows_of(widths, q)
    found = filtered(host_gpu, values, windows)
    assert_is_filtered(found, values, windows)


@pytest.mark.parametrize("q, chunk", [(0, 16), (0, 128), (4, 16), (4, 128)])
def test_chunks_stay_in_cache_where_that_is_worth_it(host_gpu, monkeypatch, q, chunk):
    """Two chunks of at least 16 planes and two of sums; where fewer fit, a chunk is as long as may be."""
    steps, values = (
        next(s for s in running._INSTANCES["float"] if s.ends == 2 * q + 1),
        np.empty((199, 8, 8), np.float32),
    )
    planes = 34 if chunk == 16 else 33
    monkeypatch.setattr(host_gpu.runtime, "cache_bytes", int(planes * 256 / running.CACHE_SHARE) + 1)
    assert host_gpu._planes_of_a_chunk(values, steps, 256) == chunk


@pytest.mark.parametrize("q", [0, 4])
@pytest.mark.parametrize("reach", range(4))
def test_rows_begin_anywhere_in_a_load(host_gpu, q, reach):
    """All places of head and tail in a load, several warps' shares of a row, and ends that wrap."""
    values = field((2, 3, 520), np.float32)
    one = window_of(1.0, 0.0, 1, 0)
    for inside in (130, 131, 132, 133):
        ends = tuple(np.linspace(0.1, 0.9, 2 * q + 1))
        windows = (one, one, Window(reach - 700, 1, ends, inside, ends[::-1], 1 / inside))
        found = filtered(host_gpu, values, windows)
        assert_is_filtered(found, values, windows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 5, 1100), (2, 3, 2100)])
def test_long_rows(host_gpu, shape, dtype):
    """More threads to a block; beyond what a block may have, three passes."""
    values = field(shape, dtype)
    windows = windows_of((2.5, 3.0, 401.3), 0)
    found = filtered(host_gpu, values, windows)
    assert_is_filtered(found, values, windows)


def test_every_instance(host_gpu):
    """Also the ones that only large fields get."""
    names = set()
    for n2 in (28, 27):
        for name, dtype in (("float", np.float32), ("double", np.float64)):
            values = field((9, 5, n2), dtype)
            for steps in running._INSTANCES[name]:
                windows = windows_of((11.0, 9.9, 10.1), 0 if steps.ends == 1 else 4)
                before = len(host_gpu.runtime.launches)
                found = host_gpu._box_by_steps(values, steps, windows)
                names |= {launch.instance for launch in host_gpu.runtime.launches[before:]}
                assert_is_filtered(found, values, windows)
    assert names == set(instances("box_steps.cu"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [0, 4])
def test_three_passes(gpu, shape, dtype, q):
    values = field(shape, dtype)
    for widths in WIDTHS:
        windows = windows_of(widths, q)
        ends = 2 * q + 1
        tables = gpu._tables_of(values, windows, ends)
        found = gpu.to_host(gpu._box_in_passes(gpu.asarray(values), windows, ends, tables))
        assert_is_filtered(found, values, windows)


def test_passes_of_axes_that_fit_no_shared_memory(host_gpu, monkeypatch):
    monkeypatch.setattr(host_gpu.runtime, "shared_bytes", 4096)
    values = field((3, 90, 150), np.float32)
    windows = windows_of((3.0, 5.5, 40.25), 0)
    found = filtered(host_gpu, values, windows)
    assert {launch.instance for launch in host_gpu.runtime.launches[-3:]} == {"box_walk<float, 1>"}
    assert_is_filtered(found, values, windows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("width", [5.0, 65.0, 64.5, 401.0])
def test_nothing_drifts(device, dtype, axis, width):
    """4096 samples, offset 1, unit noise; error over rms. A global cumulative sum in float32 is wrong by 2e-5, a plain
    running sum by 1e-6; the output's own rounding is 4e-8, and two more (of the sum, of the scale) make 1.1e-7."""
    noise = np.random.default_rng(3).standard_normal(4096)
    shape = [1, 1, 1]
    shape[axis] = 4096
    values = (1.0 + noise).astype(dtype).reshape(shape)
    windows = tuple(window_of(width, 0.0, 1, 0) if i == axis else None for i in range(3))
    line = values.astype(np.longdouble).ravel()
    window = windows[axis]
    weights = [*window.head, *[1.0] * window.inside, *window.tail]
    exact = sum(w * np.roll(line, -(window.start + i)) for i, w in enumerate(weights)) / np.longdouble(width)
    error = np.abs(filtered(device, values, windows).ravel() - exact).max() / np.sqrt(np.mean(line**2))
    # where sums are small, those of the ends count, too, and along axis 0 those of 4096 differences
    roundings = 1.0 if width > 60 else 6.0 if axis == 0 else 4.0
    if device.name == "cpu" and dtype == np.float64:  # by sums, whatever the fixture: the axis is long
        roundings *= 3  # cumulative sums of 4096 deviations from the mean
    assert error <= roundings * np.finfo(dtype).eps * (1.2 if dtype == np.float64 else 1.0)


@pytest.mark.parametrize("axis", range(3))
def test_what_has_left_a_float32_window_leaves_no_trace(compiled_cpu, axis):
    """A sample 10^6 times the others, and further away than a window: float32 differences would leave 0.03 behind."""
    values = np.moveaxis(field((40, 5, 6), np.float32), 0, axis).copy()
    np.moveaxis(values, axis, 0)[20] += 1e6
    windows = tuple(window_of(5.0, 0.0, 1, 0) if i == axis else None for i in range(3))
    found, expected = filtered(compiled_cpu, values, windows), dense(values, windows)
    far = [*range(17), *range(23, 40)]
    np.testing.assert_allclose(found.take(far, axis), expected.take(far, axis), rtol=0, atol=4e-7)


@given(
    head=st.lists(st.sampled_from([0.0, 0.25, 1.0, -0.5]), max_size=4),
    tail=st.lists(st.sampled_from([0.0, 0.75, 1.0]), max_size=4),
    inside=st.integers(0, 9),
    start=st.integers(-9, 9),
)
def test_numbers_of_compiled_windows_are_the_same_weights(head, tail, inside, start):
    compiled = pytest.importorskip("gpuhomog.device.cpu.compiled", reason="the compiled loops need Numba")
    window = Window(start, 1, tuple(head), inside, tuple(tail), 0.5)
    is_window, first, within, scale, before, behind = compiled.numbers_of(window)
    assert is_window and len(before) == len(behind) <= max(len(head), len(tail))
    same = Window(first, 1, tuple(before / scale), within, tuple(behind / scale), scale)
    np.testing.assert_array_equal(matrix(same, 7), matrix(window, 7))


def test_ends_of_whole_samples_cost_nothing():
    compiled = pytest.importorskip("gpuhomog.device.cpu.compiled", reason="the compiled loops need Numba")
    _, start, inside, _, head, tail = compiled.numbers_of(window_of(65.0, 0.0, 1, 0))
    assert (start, inside, len(head), len(tail)) == (-32, 65, 0, 0)


# -- through the operator ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", ["cell", "bandlimited"])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_average_by_sums_equals_its_matrices(device, sampling, order, dtype):
    values = field((14, 15, 16), dtype, order)
    grid = gh.Field.from_array(values, np.diag([7.0, 7.5, 8.0]), device=device)
    widths = (5.1, 6.3, 4.9) if sampling == "bandlimited" else (2.3, 0.7, 3.1)
    found = gh.average(grid, gh.Box(widths), sampling=sampling, method="sums")
    windows = windows_of([w / 0.5 for w in widths], 4 if sampling == "bandlimited" else 0)
    assert found.values.dtype == dtype
    assert_is_filtered(found.to_host(), values, windows)


def test_open_axes_and_coarse_ones_are_left_to_matrices(device):
    values, cell = field((14, 12, 16), np.float64), np.diag([7.0, 6.0, 8.0])
    how = {"sampling": "cell", "spacing": [0.5, 0.5, 1.0]}
    grid = gh.Field.from_array(values, cell, boundary="p,o,p", device=device)
    exact = gh.Field.from_array(values, cell, boundary="p,o,p", device="cpu")
    found = gh.average(grid, gh.Box(2.3), method="sums", **how)
    np.testing.assert_allclose(found.to_host(), gh.average(exact, gh.Box(2.3), **how).to_host(), atol=1e-13)
