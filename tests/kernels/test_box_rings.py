"""Box filter by rings: each pass reads a value once. Against dense matrices."""

import numpy as np
import pytest
from box_oracle import SHAPES, WIDTHS, assert_is_filtered, field, windows_of

from gpuhomog.device.gpu import running
from gpuhomog.device.gpu.sources import instances
from gpuhomog.errors import DeviceError
from gpuhomog.operators.averages.line_weights import Window

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")


def filtered(gpu, values, windows):
    """By box_rings.cu, whatever the device would choose."""
    values = gpu.contiguous(gpu.asarray(values))
    ends = 1 if all(w is None or max(len(w.head), len(w.tail)) <= 1 for w in windows) else 9
    rings = gpu._rings(values, windows, ends)
    out = gpu.to_host(gpu._box_by_rings(values, rings, windows, ends))
    assert out.dtype == values.dtype and out.shape == values.shape
    return out


def assert_filters(gpu, values, windows):
    assert_is_filtered(filtered(gpu, values, windows), values, windows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [0, 4])
def test_it_equals_dense_matrices(gpu, shape, dtype, q):
    """Windows of any length, longer than the axis, too; odd rows and planes, and axes of one point."""
    values = field(shape, dtype)
    for widths in WIDTHS:
        assert_filters(gpu, values, windows_of(widths, q))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 11, 16), (3, 9, 600), (15, 4, 517), (2, 3, 1030)])
@pytest.mark.parametrize("widths", [(11.0, 10.0, 13.0), (10.3, 12.0, 11.0), (10.0, 10.9, 17.4), (9.0, 12.0, 11.2)])
def test_whole_widths_have_ends_of_one_product(gpu, shape, dtype, widths):
    """Along all axes, and along some, so that both kinds meet; rows of one strip and of several."""
    assert_filters(gpu, field(shape, dtype), windows_of(widths, 4))


@pytest.mark.parametrize("q", [0, 4])
@pytest.mark.parametrize("reach", range(4))
def test_rows_begin_anywhere_in_a_word(host_gpu, q, reach):
    """All places of head and tail in a word, several warps' shares of a row, and ends that wrap."""
    values = field((2, 3, 520), np.float32)
    one = Window(0, 1, (1.0,), 0, (), 1.0)
    for inside in (130, 131, 132, 133):
        ends = tuple(np.linspace(0.1, 0.9, 2 * q + 1))
        tail = ends[::-1] if inside % 2 else tuple(1.0 - e for e in ends)
        assert_filters(host_gpu, values, (one, one, Window(reach - 700, 1, ends, inside, tail, 1 / inside)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wide_windows(host_gpu, dtype):
    """Rows of more pieces than a thread copies as a rule."""
    assert_filters(host_gpu, field((1, 2, 1024), dtype), (None, *windows_of((2.5, 301.2), 0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_axes_without_window(host_gpu, dtype):
    """One pass where the other has nothing to do."""
    values = field((6, 5, 8), dtype)
    (some,) = windows_of((3.5,), 0)
    (other,) = windows_of((11.0,), 4)
    before = len(host_gpu.runtime.launches)
    for one in (some, other):
        for windows in ((one, None, None), (None, one, None), (None, None, one), (one, None, one), (None, None, None)):
            assert_filters(host_gpu, values, windows)
    assert len(host_gpu.runtime.launches) - before == 2 * (1 + 1 + 1 + 2 + 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("width", [5.0, 65.0, 64.5])
def test_nothing_drifts(gpu, dtype, axis, width):
    """4096 samples, offset 1, unit noise; error over rms, of which the output's own rounding and that of the scale are
    0.7 roundings. Where windows are shorter the differences are as large as the sums, and each adds its part."""
    noise = np.random.default_rng(3).standard_normal(4096)
    shape = [1, 1, 1]
    shape[axis] = 4096
    values = (1.0 + noise).astype(dtype).reshape(shape)
    windows = tuple(windows_of((width,), 0)[0] if i == axis else None for i in range(3))
    line, window = values.astype(np.longdouble).ravel(), windows[axis]
    weights = [*window.head, *[1.0] * window.inside, *window.tail]
    exact = sum(w * np.roll(line, -(window.start + i)) for i, w in enumerate(weights)) / np.longdouble(width)
    error = np.abs(filtered(gpu, values, windows).ravel() - exact).max() / np.sqrt(np.mean(line**2))
    roundings = 6.0 if width < 60 else 1.0 if axis < 2 else 1.4  # axis 2: differences of 256 outputs, by a tree
    assert error <= roundings * np.finfo(dtype).eps * (1.2 if dtype == np.float64 else 1.0)


@pytest.mark.parametrize(("shape", "dtype", "width", "chosen"), [
    ((1024, 1024, 1024), np.float32, 65.0, True),
    ((1024, 1024, 1024), np.float64, 64.5, True),
    ((1024, 1024, 1024), np.float32, 401.0, False),  # a ring is larger than the shared memory
    ((256, 256, 256), np.float32, 65.0, False),  # chunks of box_steps stay in the cache
    ((40, 1024, 1024), np.float32, 65.0, False),  # windows longer than the axis are read again and again
])  # fmt: skip
@pytest.mark.parametrize("q", [0, 4])
def test_rings_are_chosen_where_they_are_expected_to_be_faster(host_gpu, monkeypatch, shape, dtype, width, chosen, q):
    monkeypatch.setattr(host_gpu.runtime, "n_multiprocessors", 132)
    values = np.broadcast_to(dtype(0), shape)
    rings = host_gpu._rings(values, windows_of((width,) * 3, q), 2 * q + 1)
    assert chosen == (rings is not None and rings.cost < host_gpu._cost_of_steps(values, 2 * q + 1))
    if chosen:  # blocks fill the last wave
        n_blocks = shape[1] * shape[2] * values.itemsize / (running.COLUMN_BYTES * rings.threads)
        assert 0.98 < n_blocks / 132 / np.ceil(n_blocks / 132) <= 1


def test_without_room_for_the_intermediate_it_is_done_by_steps(host_gpu, monkeypatch):
    monkeypatch.setattr(host_gpu.runtime, "cache_bytes", 0)
    monkeypatch.setattr(running, "STEPS_COST", {1: 1e9})
    values, windows = field((5, 6, 8), np.float32), windows_of((3.0,) * 3, 0)

    def files_of(expected):
        before = len(host_gpu.runtime.launches)
        found = host_gpu.box_filter(values, windows)
        assert_is_filtered(found, values, windows)
        assert {launch.file for launch in host_gpu.runtime.launches[before:]} == {expected}

    files_of("box_rings.cu")
    empty, asked = host_gpu.empty, []

    def full(shape, dtype):
        asked.append(shape)
        if len(asked) == 2:
            raise DeviceError("The device is full.")
        return empty(shape, dtype)

    monkeypatch.setattr(host_gpu, "empty", full)
    files_of("box_steps.cu")


def test_every_instance(host_gpu):
    before = len(host_gpu.runtime.launches)
    for n2 in (28, 27):
        for dtype in (np.float32, np.float64):
            for q, widths in ((0, (3.0, 2.5, 4.0)), (4, (10.3, 9.9, 10.1)), (4, (11.0, 10.0, 9.0))):
                assert_filters(host_gpu, field((9, 5, n2), dtype), windows_of(widths, q))
    names = {launch.instance for launch in host_gpu.runtime.launches[before:]}
    assert names == set(instances("box_rings.cu"))
