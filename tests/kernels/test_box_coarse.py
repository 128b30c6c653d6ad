"""Coarse box averages: the CPU's against dense weights and exact sums, the kernels' against the CPU's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.device.gpu import windows as launches
from gpuhomog.operators.averages.line_weights import Line, Window, sum_weights, window_of

BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ORDERS = pytest.mark.parametrize("order", "CF")


def noise(shape, dtype, order="C"):
    return np.array(3.0 + np.random.default_rng(shape).standard_normal(shape), dtype=dtype, order=order)


def triple(widths, steps, q, points=(0.0, 0.0, 0.0)):
    """The windows of a box, one an axis."""
    found = tuple(window_of(w, p, d, q) for w, p, d in zip(widths, points, steps, strict=True))
    assert None not in found
    return found


def tolerance(values, n_powers=1):
    """A stretch of up to 16 samples in the precision of the values for each axis; end weights of up to 4 in all."""
    size = np.abs(values.astype(np.float64) - 3.0).max() + (3.0 if n_powers == 1 else 0.0)
    return 32 * np.finfo(values.dtype).eps * size**n_powers


def weights_of(window, n):
    """(n_out, n) dense weights of a window."""
    taps = np.concatenate([window.head, np.ones(window.inside), window.tail]) * window.scale
    dense = np.zeros((n // window.step, n))
    for j, row in enumerate(dense):
        np.add.at(row, (window.start + j * window.step + np.arange(len(taps))) % n, taps)
    return dense


def by_dense_weights(values, windows):
    matrices = [weights_of(window, n) for window, n in zip(windows, values.shape, strict=True)]
    return np.einsum("ai,bj,ck,ijk->abc", *matrices, values.astype(np.float64), optimize=True)


# -- the oracle -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [65, 64.5, 101.37, 8.25, 3.3, 250.0, 400.1])
@pytest.mark.parametrize("q", [0, 4])
@pytest.mark.parametrize("step", [1, 3, 4, 8, 16])
def test_the_cpu_gives_the_weights_of_the_running_sum(width, q, step):
    """Every sample's weight, against the matrix made another way (edges and stencils added for each output)."""
    n = 240
    window = window_of(width, 0.0, step, q)
    if window is None:
        pytest.skip("the end stencils would overlap")
    line = Line(n, 0.7, n, 0, np.arange(0.0, n, step))
    expected = sum_weights(line, gh.Box(width * 0.7).along(0), q)
    found = CPU().window_sum(np.eye(n)[:, :, None], 1, window, n // step)[:, :, 0]
    np.testing.assert_allclose(found.T, expected, atol=1e-14)


@given(
    width=st.floats(1.0, 90.0),
    point=st.floats(-20.0, 20.0),
    step=st.integers(1, 9),
    n_out=st.integers(1, 9),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=60)
def test_cell_averages_are_exact_integrals(width, point, step, n_out, seed):
    """Samples as cells: the integral of a piecewise constant function, from its cumulative sum in long double."""
    n = step * n_out
    values = np.random.default_rng(seed).standard_normal(n)
    window = window_of(width, point, step, 0)
    if window is None:
        return
    laps = int(200 // n) + 2
    edges = np.arange(-laps * n, laps * n + 1) - 0.5
    cumulative = np.concatenate([[0.0], np.cumsum(np.tile(values, 2 * laps), dtype=np.longdouble)])

    def below(x):
        i = np.floor(x - edges[0]).astype(int)
        return cumulative[i] + (x - edges[i]) * (cumulative[i + 1] - cumulative[i])

    centres = point + step * np.arange(n_out)
    expected = (below(centres + width / 2) - below(centres - width / 2)) / width
    found = CPU().window_sum(values[None, :, None], 1, window, n_out)[0, :, 0]
    np.testing.assert_allclose(found, expected.astype(float), atol=1e-13)


@ORDERS
@BOTH
def test_the_cpu_gives_all_windows_and_powers(dtype, order):
    values = noise((8, 12, 10), dtype, order)
    windows = [triple(w, (4, 3, 5), 0) for w in ((5.3, 4.1, 2.9), (9.7, 30.2, 6.0))]
    found = CPU().box_sums(values, windows, 2, 2.5)
    assert found.shape == (2, 2, 2, 4, 2)
    assert found.dtype == dtype
    for w, one in enumerate(windows):
        for p in (1, 2):
            expected = by_dense_weights((values.astype(np.float64) - 2.5) ** p, one)
            np.testing.assert_allclose(found[w, p - 1], expected, atol=tolerance(values, p))


# -- the kernels ------------------------------------------------------------------------------------------------------

CASES = {
    # shape, steps, widths, end stencil
    "8, cells": ((16, 24, 40), (8, 8, 8), (13.4, 17.0, 21.3), 0),
    "8, stencils": ((16, 24, 40), (8, 8, 8), (13.4, 17.0, 21.3), 4),
    "8, narrow": ((24, 16, 24), (8, 8, 8), (1.7, 2.0, 8.25), 0),
    "8, laps": ((16, 24, 16), (8, 8, 8), (65.0, 64.5, 101.37), 4),
    "8, more columns than lanes": ((16, 16, 296), (8, 8, 8), (9.5, 12.1, 271.3), 4),
    "4, cells": ((12, 20, 36), (4, 4, 4), (5.3, 9.9, 17.2), 0),
    "4, stencils": ((12, 20, 36), (4, 4, 4), (11.3, 12.9, 30.2), 4),
    "4, parts of a row": ((4, 8, 772), (4, 4, 4), (5.3, 9.9, 517.2), 0),
    "5, parts that are not equal": ((5, 10, 1000), (5, 5, 5), (5.3, 9.9, 517.2), 0),
    "16, cells": ((32, 16, 48), (16, 16, 16), (33.3, 16.0, 20.4), 0),
    "16, stencils": ((32, 32, 64), (16, 16, 16), (33.3, 18.0, 20.4), 4),
    "odd steps": ((15, 21, 35), (5, 7, 5), (13.4, 9.1, 11.3), 4),
    "odd steps, cells": ((15, 26, 33), (5, 13, 3), (13.4, 9.1, 11.3), 0),
    "one plane": ((7, 8, 8), (7, 4, 4), (3.1, 7.7, 6.6), 0),
    "one output": ((5, 7, 11), (5, 7, 11), (3.1, 7.7, 25.2), 0),
    "small steps": ((6, 5, 9), (2, 1, 3), (9.3, 9.9, 10.2), 4),
    "a short axis": ((16, 8, 24), (8, 8, 8), (13.4, 17.0, 21.3), 4),
}


@ORDERS
@BOTH
@pytest.mark.parametrize("case", CASES)
def test_the_kernel_equals_the_cpu(gpu, case, dtype, order):
    shape, steps, widths, q = CASES[case]
    values = noise(shape, dtype, order)
    windows = [triple(widths, steps, q)]
    found = gpu.to_host(gpu.box_sums(gpu.asarray(values), windows))
    expected = CPU().box_sums(values.astype(np.float64), windows)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=tolerance(values))


@BOTH
@pytest.mark.parametrize("n_powers", [1, 2])
@pytest.mark.parametrize("n_windows", [2, 3, 5])
@pytest.mark.parametrize("case", ["4, cells", "4, stencils", "8, cells", "8, stencils", "16, stencils", "odd steps"])
def test_several_windows_and_squares(gpu, case, n_windows, n_powers, dtype):
    shape, steps, widths, q = CASES[case]
    values = noise(shape, dtype)
    windows = [triple([w * (1 + 0.11 * i) for w in widths], steps, q) for i in range(n_windows)]
    found = gpu.to_host(gpu.box_sums(gpu.asarray(values), windows, n_powers, 2.75))
    for p in range(n_powers):
        expected = CPU().box_sums((values.astype(np.float64) - 2.75) ** (p + 1), windows)[:, 0]
        np.testing.assert_allclose(found[:, p], expected, atol=tolerance(values, p + 1))


@BOTH
@ORDERS
@pytest.mark.parametrize("case", ["4, cells", "8, stencils", "odd steps", "one output", "small steps"])
def test_planes_alone(gpu, case, dtype, order):
    """None along the slowest axis: the planes of a slab, which others may finish."""
    shape, steps, widths, q = CASES[case]
    values = noise(shape, dtype, order)
    slowest = 0 if order == "C" else 2
    windows = [triple([w * (1 + 0.11 * i) for w in widths], steps, q) for i in range(2)]
    windows = [tuple(None if axis == slowest else window for axis, window in enumerate(each)) for each in windows]
    found = gpu.to_host(gpu.box_sums(gpu.asarray(values), windows, 2, 0.5))
    for w, each in enumerate(windows):
        expected = values.astype(np.float64) - 0.5
        for p in range(2):
            sums = expected ** (p + 1)
            for axis, window in enumerate(each):
                if window is not None:
                    sums = CPU().window_sum(sums, axis, window, shape[axis] // steps[axis])
            np.testing.assert_allclose(found[w, p], sums, atol=tolerance(values, p + 1))


def test_every_instance_is_run(host_gpu, monkeypatch):
    """Each by a case of its own, where all sums are multiples of 1/64 that float32 holds exactly."""
    monkeypatch.setattr(launches, "LEAST_TOGETHER", 99)
    for kind, dtype in (("float", np.float32), ("double", np.float64)):
        for instance in launches.plane_instances(kind):
            d = instance.step or 6
            steps = (d, d, d if instance.step else 5)
            n_out = (4, 5, 4)
            shape = [n * step for n, step in zip(n_out, steps, strict=True)]
            values = np.random.default_rng(d).integers(0, 4, shape).astype(dtype)
            windows = [_dyadic(steps, instance.groups, i) for i in range(instance.windows)]
            before = len(host_gpu.runtime.launches)
            found = host_gpu.box_sums(values, windows, instance.powers, 1.0)
            names = [launch.instance for launch in host_gpu.runtime.launches[before:]]
            assert names == [instance.name, f"box_columns<{kind}, {instance.step}, {instance.groups}>"]
            np.testing.assert_array_equal(found, CPU().box_sums(values, windows, instance.powers, 1.0))


def dyadic_windows(kinds, step, n):
    """Windows that reach from less than a stretch to beyond two periods, and share kinds of ends; sums of 1/64."""
    found = []
    for i in range(kinds + 2):
        kind, inside = i % kinds, (0, step * 2, n - 4, 2 * n + 7, 5 * step, n)[i]
        inside += (kind - inside - i // kinds * step) % step  # where the upper end begins depends on the kind
        head, tail = (0.5, 0.25) * (kind + 1), (0.75,) * min(2 * kind + 1, step + 1)
        found.append(Window(3 * kind - 11 - step * i, step, head[: step + 1], inside, tail, 1.0))
    return found


@pytest.mark.parametrize(("step", "n_powers"), [(8, 1), (8, 2), (16, 2)])
@pytest.mark.parametrize("kinds", [1, 2, 3, 4])
@pytest.mark.parametrize("n_out", [(2, 3, 5), (3, 5, 1), (2, 1, 62), (2, 7, 0)])
def test_windows_together(host_gpu, n_out, kinds, step, n_powers):
    """Every instance of box_planes_together: one warp and eight, short and long rings, laps, cells without a lane."""
    instance = launches.together_instances("float", step, n_powers)[kinds]
    shape = [step * n or 1024 for n in n_out]
    values = np.random.default_rng(kinds).integers(0, 4, shape).astype(np.float32)
    lines = [dyadic_windows(kinds, step, n) for n in shape]
    windows = list(zip(*lines, strict=True))
    before = len(host_gpu.runtime.launches)
    found = host_gpu.box_sums(values, windows, n_powers, 1.0)
    ran = host_gpu.runtime.launches[before:]
    assert [launch.instance.partition("<")[0] for launch in ran] == ["box_planes_together", "box_columns"]
    assert ran[0].instance == instance.name
    expected = CPU().box_sums(values.astype(np.float64), windows, n_powers, 1.0)
    np.testing.assert_allclose(found, expected, rtol=5e-7)  # exact but for the rounding of planes and results


def _dyadic(steps, groups, number):
    """Windows with halves at both ends, each end as many stretches long as the instance takes."""
    windows = []
    for step in steps:
        end = (groups - 1) * step + 1 + number % step
        windows.append(Window(-end - number * step, step, (0.5,) * end, number * step, (0.25,) * end, 1.0))
    return tuple(windows)


@BOTH
@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize(("width", "step", "q"), [(5.3, 1, 0), (23.1, 1, 4), (11.7, 2, 4), (2.2, 3, 0), (60.4, 6, 4)])
def test_window_sums_along_any_axis(gpu, axis, width, step, q, dtype):
    shape = [3, 5, 7]
    shape[axis] = 36
    values = noise(shape, dtype, "F" if axis == 1 else "C")
    window = window_of(width, 2.25, step, q)
    found = gpu.to_host(gpu.window_sum(gpu.asarray(values), axis, window, 36 // step))
    expected = CPU().window_sum(values.astype(np.float64), axis, window, 36 // step)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=tolerance(values))


def test_rings_in_global_memory(host_gpu, monkeypatch):
    """Where they do not fit shared memory, each block has its own and goes through several planes."""
    runtime = host_gpu.runtime
    values = noise((16, 40, 24), np.float32)
    windows = [triple((13.4, 33.0, 9.3), (8, 8, 8), 4), triple((9.4, 14.0, 9.3), (8, 8, 8), 4)]
    inside = host_gpu.box_sums(values, windows, 2, 3.0)
    one = next(launch for launch in reversed(runtime.launches) if "planes" in launch.instance)
    assert one.grid[0] == 16
    monkeypatch.setattr(runtime, "shared_bytes", launches.BLOCKS_EACH * one.shared - 1)
    np.testing.assert_array_equal(host_gpu.box_sums(values, windows, 2, 3.0), inside)
    other = next(launch for launch in reversed(runtime.launches) if "planes" in launch.instance)
    assert other.shared < one.shared
    assert other.grid[0] == launches.BLOCKS_EACH * runtime.n_multiprocessors == 4


def test_rings_of_some_windows_in_global_memory(host_gpu, monkeypatch):
    """Those that reach furthest lie there, whichever their place; each block has its own, for several planes."""
    runtime = host_gpu.runtime
    values = noise((16, 80, 24), np.float32)
    windows = [triple((13.4, w, 9.3), (8, 8, 8), 4) for w in (35.0, 60.0, 17.0)]
    together = launches.together_instances("float", 8, 2)[3]

    def launched():
        found = host_gpu.box_sums(values, windows, 2, 3.0)
        return found, next(launch for launch in reversed(runtime.launches) if launch.instance == together.name)

    inside, one = launched()
    assert one.grid[0] == 16
    tables = launches.end_tables(tuple(each[1:] for each in windows), 4, 2, (2, 10, 3))
    assert tables.spans[:, [1, 3]].tolist() == [[4, 4], [8, 12], [2, 0]]
    for rows, free in ((12, 1), (4, 1), (0, launches.BLOCKS_EACH)):
        monkeypatch.setattr(runtime, "shared_bytes", free * together.shared_bytes(3, 32, 3, rows, 4))
        monkeypatch.setattr(launches, "BLOCKS_EACH", free)
        found, other = launched()
        np.testing.assert_array_equal(found, inside)
        assert other.shared == together.shared_bytes(3, 32, 3, rows, 4)
        assert other.grid[0] == free * runtime.n_multiprocessors


def test_which_windows_share_a_read(host_gpu, monkeypatch):
    """As many as have ends of few kinds, short ends and room; the others go on with box_planes."""
    runtime = host_gpu.runtime

    def launched(widths, q=4, shape=(16, 24, 40), n_powers=2):
        values = noise(shape, np.float32)
        windows = [triple([w] * 3, (8, 8, 8), q) for w in widths]
        start = len(runtime.launches)
        found = host_gpu.box_sums(values, windows, n_powers, 3.0)
        expected = [CPU().box_sums((values.astype(np.float64) - 3.0) ** (p + 1), windows) for p in range(n_powers)]
        np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=tolerance(values, n_powers))
        names = [launch.instance.partition("float, ")[2] for launch in runtime.launches[start:]]
        return [
            name for name, launch in zip(names, runtime.launches[start:], strict=True) if "planes" in launch.instance
        ]

    alike = [17.0 + 16 * i for i in range(9)]  # 2 steps more: the same ends
    assert launched(alike) == ["8, 1, 2>", "8, 2, 1, 2>"]
    assert launched([*alike[:2], 18.3, 19.1, 34.3]) == ["8, 3, 2>"]
    assert launched([17.0, 18.3, 19.1, 20.2, 21.7, 22.9]) == ["8, 4, 2>", "8, 2, 2>"]
    assert launched(alike[:1]) == ["8, 2, 1, 2>"]
    assert launched([17.0, 18.3], q=5)[0] not in ("8, 2, 2>", "8, 1, 2>")  # ends of 11 samples
    assert launched([17.0, 18.3], shape=(16, 16, 1032)) == ["8, 2, 1, 2>"] * 2  # longer rows
    less = launches.together_instances("float", 8, 2)[3].shared_bytes(5, 32, 3, 0, 4) - 1
    monkeypatch.setattr(runtime, "shared_bytes", less)
    assert launched([17.0, 18.3, 19.1, 20.2]) == ["8, 2, 2>", "8, 2, 2>"]
    monkeypatch.setattr(launches, "MOST_KINDS", 1)
    assert launched([17.0, 33.0, 20.2]) == ["8, 1, 2>", "8, 2, 1, 2>"]


def test_what_the_fast_kernels_do_not_cover(host_gpu, monkeypatch):
    """Long rows, many stretches, values that do not start at 16 bytes."""
    runtime = host_gpu.runtime
    windows = [triple((5.4, 3.0, 9.3), (4, 4, 4), 0)]
    values = noise((12, 12, 32), np.float32)
    expected = CPU().box_sums(values.astype(np.float64), windows, 2, 3.0)

    def launched():
        start = len(runtime.launches)
        np.testing.assert_allclose(host_gpu.box_sums(values, windows, 2, 3.0), expected, atol=tolerance(values, 2))
        return [launch.instance.partition("<")[0] for launch in runtime.launches[start:]]

    assert launched() == ["box_planes", "box_columns"]
    with monkeypatch.context() as patch:
        patch.setattr(launches, "MOST_THREADS", 0)
        assert launched() == ["window_sum"] * 6
    shifted = np.empty(values.size + 1, np.float32)[1:].reshape(values.shape)
    shifted[...] = values
    values = shifted
    assert launched() == ["box_planes", "box_columns"]
    many = noise((48, 3, 3), np.float32)
    tall = [triple((5.4, 3.0, 9.3), (1, 3, 3), 0)]
    monkeypatch.setattr(runtime, "shared_bytes", 4096)
    start = len(runtime.launches)
    found = host_gpu.box_sums(many, tall)
    np.testing.assert_allclose(found, CPU().box_sums(many.astype(np.float64), tall), atol=tolerance(many))
    names = [launch.instance.partition("<")[0] for launch in runtime.launches[start:]]
    assert names == ["box_planes", "window_sum"]


@pytest.mark.parametrize("shape", [(0, 8, 8), (8, 0, 8)])
def test_empty_slabs(gpu, shape):
    found = gpu.box_sums(gpu.asarray(np.zeros(shape, np.float32)), [triple((5.4, 3.0, 9.3), (4, 4, 4), 0)])
    assert gpu.to_host(found).size == 0


@BOTH
def test_a_large_constant_stays(gpu, dtype):
    """Sums across stretches in float64: a constant of 1e6 comes back to rounding at any width."""
    values = np.full((16, 16, 64), 1e6, dtype)
    windows = [triple((w, w, w), (8, 8, 8), 4) for w in (12.3, 65.7)]
    found = gpu.to_host(gpu.box_sums(gpu.asarray(values), windows))
    np.testing.assert_allclose(found, 1e6, rtol=8 * np.finfo(dtype).eps)


@BOTH
@pytest.mark.parametrize("power", [1, 2])
def test_the_first_rung(gpu, dtype, power):
    values = noise((6, 8, 15), dtype)
    steps, widths = (3, 4, 5), (4.4, 9.9, 31.0)
    windows = triple(widths, steps, 0)
    shape, taps = [], []
    for window, n in zip(windows, values.shape, strict=True):
        taps.append(np.concatenate([window.head, np.ones(window.inside), window.tail]) * window.scale)
        shape += [n, n // window.step, window.step, window.start % n, len(taps[-1])]
    out = gpu.empty([n // step for n, step in zip(values.shape, steps, strict=True)], dtype)
    arguments = (
        *(gpu.asarray(values), out, gpu.asarray(np.concatenate(taps)), gpu.asarray(np.array(shape, np.int32))),
        *(np.float64(2.75), np.int32(power)),
    )
    name = f"box_coarse_v1<{'float' if dtype == np.float32 else 'double'}>"
    gpu.runtime.launch("ladder/box_coarse.cu", name, (-(-out.size // 128),), (128,), arguments)
    expected = CPU().box_sums(values.astype(np.float64), [windows], power, 2.75)[0, power - 1]
    np.testing.assert_allclose(gpu.to_host(out), expected, atol=tolerance(values, power))


# -- the operators ----------------------------------------------------------------------------------------------------


def field_on(device, dtype=np.float64, order="C", shape=(24, 24, 32)):
    cell = np.diag([12.0, 12.0, 16.0])
    return gh.Field.from_array(noise(shape, dtype, order), cell, device=device)


@ORDERS
@BOTH
@pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
def test_averages_on_the_gpu_are_the_cpus(gpu, sampling, dtype, order):
    options = {"spacing": 4.0, "sampling": sampling, "method": "sums"}
    box = gh.Box((5.1, 5.15, 6.3))
    found = gh.average(field_on(gpu, dtype, order), box, **options)
    expected = gh.average(field_on("cpu", np.array(0, dtype).dtype, order), box, **options)
    np.testing.assert_allclose(found.to_host(), expected.to_host(), atol=tolerance(noise((4, 4, 4), dtype)))
    steps = [field.provenance[-1] for field in (found, expected)]
    bounds = [step.pop("rms_error_at_most") for step in steps]
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-12)
    assert steps[0] == steps[1]


def test_exact_sums_are_chosen_where_they_are_cheaper(host_gpu, monkeypatch):
    field, box = field_on(host_gpu), gh.Box((5.1, 5.15, 6.3))
    assert gh.average(field, box, spacing=4.0, sampling="cell").provenance[-1]["way"] == "lines"  # two columns
    monkeypatch.setattr(type(host_gpu), "pass_in_columns", {"float64": 1.0})
    found = gh.average(field, box, spacing=4.0, sampling="cell")
    assert found.provenance[-1]["way"] == "sums"
    assert found.provenance[-1]["rms_error_at_most"] == 0.0
    assert gh.average(field, box, spacing=4.0).provenance[-1]["way"] == "lines"  # it would carry an error
    by_lines = gh.average(field_on("cpu"), box, spacing=4.0, sampling="cell")
    assert by_lines.provenance[-1]["way"] == "lines"
    np.testing.assert_allclose(found.to_host(), by_lines.to_host(), atol=1e-13)
    slopes = gh.average_gradient(field, box, spacing=4.0, sampling="cell")
    for slope, expected in zip(
        slopes, gh.average_gradient(field_on("cpu"), box, spacing=4.0, sampling="cell"), strict=True
    ):
        np.testing.assert_allclose(slope.to_host(), expected.to_host(), atol=1e-12)


@pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
def test_averages_and_variances_in_one_read(gpu, sampling):
    kernels = [gh.Box((5.1, 5.15, 6.3)), gh.Box((5.0, 4.9, 6.9)), gh.Gaussian(2.5)]
    kernels = kernels if sampling == "bandlimited" else kernels[:2]
    field = field_on(gpu)
    options = {"spacing": 4.0, "sampling": sampling}
    boxes = gh.averages_and_variances(field, kernels[:2], method="sums", **options)
    for (mean, variance), kernel in zip(boxes, kernels, strict=False):
        expected = gh.average_and_variance(field_on("cpu"), kernel, method="sums", **options)
        np.testing.assert_allclose(mean.to_host(), expected[0].to_host(), atol=1e-13)
        np.testing.assert_allclose(variance.to_host(), expected[1].to_host(), atol=1e-12)
        assert variance.unit is None
    for (mean, variance), kernel in zip(gh.averages_and_variances(field, kernels, **options), kernels, strict=True):
        expected = gh.average_and_variance(field_on("cpu"), kernel, **options)
        np.testing.assert_allclose(mean.to_host(), expected[0].to_host(), atol=1e-13)
        np.testing.assert_allclose(variance.to_host(), expected[1].to_host(), atol=1e-12)
