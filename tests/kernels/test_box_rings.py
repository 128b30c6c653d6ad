"""Box filter by rings: each pass reads a value once. Against dense matrices."""

import numpy as np
import pytest
from box_oracle import SHAPES, WIDTHS, dense, field, tolerance, windows_of

from gpuhomog.device.gpu import running
from gpuhomog.device.gpu.sources import instances
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
    found = filtered(gpu, values, windows)
    assert np.abs(found - dense(values, windows)).max() <= tolerance(values, windows)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", [0, 4])
def test_it_equals_dense_matrices(gpu, shape, dtype, q):
    """Windows of any length, longer than the axis, too; odd rows and planes, and axes of one point."""
    values = field(shape, dtype)
    for widths in WIDTHS:
        assert_filters(gpu, values, windows_of(widths, q))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 11, 16), (8, 13, 600), (21, 6, 517), (70, 3, 1030)])
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
    """As box_steps: 4096 samples, offset 1, unit noise; error over rms."""
    noise = np.random.default_rng(3).standard_normal(4096)
    shape = [1, 1, 1]
    shape[axis] = 4096
    values = (1.0 + noise).astype(dtype).reshape(shape)
    windows = tuple(windows_of((width,), 0)[0] if i == axis else None for i in range(3))
    line, window = values.astype(np.longdouble).ravel(), windows[axis]
    weights = [*window.head, *[1.0] * window.inside, *window.tail]
    exact = sum(w * np.roll(line, -(window.start + i)) for i, w in enumerate(weights)) / np.longdouble(width)
    error = np.abs(filtered(gpu, values, windows).ravel() - exact).max() / np.sqrt(np.mean(line**2))
    roundings = 1.0 if width > 60 else 6.0 if axis < 2 else 4.0  # two walks along 4096 differences
    assert error <= roundings * np.finfo(dtype).eps * (1.2 if dtype == np.float64 else 1.0)


def test_every_instance(host_gpu):
    before = len(host_gpu.runtime.launches)
    for n2 in (28, 27):
        for dtype in (np.float32, np.float64):
            for q, widths in ((0, (3.0, 2.5, 4.0)), (4, (10.3, 9.9, 10.1)), (4, (11.0, 10.0, 9.0))):
                assert_filters(host_gpu, field((9, 5, n2), dtype), windows_of(widths, q))
    names = {launch.instance for launch in host_gpu.runtime.launches[before:]}
    assert names == set(instances("box_rings.cu"))
