"""Cylinder potentials: the CPU's against sums written out and known values, the kernels' against the CPU's."""

import gc
from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
from cupy_like import CuPyLikeRuntime
from disc_weights import disc_weight
from oracles import box_mean_of_inverse_distance, sampled_march_fit, sampled_table
from ranks import on_ranks
from scipy.signal import fftconvolve
from scipy.special import j1

from gpuhomog.device import CPU
from gpuhomog.device.cpu.kept import TABLES
from gpuhomog.device.gpu import GPU
from gpuhomog.device.gpu.cylinder import SUM_PLANES
from gpuhomog.field import Field
from gpuhomog.operators.potentials import cylinder_fit, cylinder_kernel, cylinder_table
from gpuhomog.operators.potentials.cylinder import Cylinder
from gpuhomog.operators.potentials.cylinder_potential import disc_average
from gpuhomog.operators.potentials.cylinder_sums import cylinder_sums
from gpuhomog.parallel import Slab

OBLIQUE = np.array([[3.0, 0.0], [0.8, 2.6]])
SIDES = ("low", "high", "both")


def field(shape, dtype=np.float64, order="C"):
    values = np.random.default_rng(sum(shape)).standard_normal(shape)
    return np.array(values, dtype=dtype, order=order)


def written_out(values, steps, step, radius, own, periodic, ends=(0.5,), source=None):
    """Every pair of points, one by one: (planes, n1, n2, 2)."""
    planes, n1, n2 = values.shape
    offsets, _ = cylinder_table.disc_points(steps, radius)
    source = np.ones((2, planes)) if source is None else source
    sums = np.zeros((planes, n1, n2, 2))
    for x, a, b in np.ndindex(planes, n1, n2):
        for u in range(planes):
            end = ends[abs(u - x)] if abs(u - x) < len(ends) else 1.0
            for i, j in offsets:
                in_plane = i * steps[0] + j * steps[1]
                r = sqrt(in_plane @ in_plane + (step * (u - x)) ** 2)
                if periodic or (0 <= a + i < n1 and 0 <= b + j < n2):
                    term = end * values[u, (a + i) % n1, (b + j) % n2] * (1 / r if r > 0 else own)
                    if u <= x:
                        sums[x, a, b, 0] += source[0, u] * term
                    if u >= x:
                        sums[x, a, b, 1] += source[1, u] * term
    return sums


def all_points(shape):
    return np.stack([i.ravel() for i in np.indices(shape)], axis=1)


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_direct_sums_written_out(axis, periodic):
    values = field((4, 5, 3))
    steps = OBLIQUE / 4
    ends, source = np.array([0.4, 1.1]), np.random.default_rng(1).uniform(0.5, 1, (2, 4))
    expected = written_out(values, steps, 0.9, 2.1, 3.3, periodic, ends, source)
    given = np.moveaxis(values, 0, axis)
    found = CPU().cylinder_sum(
        given,
        all_points(given.shape),
        cylinder_table.disc_points(steps, 2.1),
        0.9,
        3.3,
        axis=axis,
        periodic=periodic,
        ends=ends,
        source=source,
    )
    found = np.moveaxis(found.reshape(*given.shape, 2), axis, 0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("radius", [1.3, 4.5])  # the second disc is wider than the cell: images count
@pytest.mark.parametrize("vectors", [np.diag([3.0, 2.6]), OBLIQUE])
def test_sampled_kernel_equals_direct_sums(vectors, radius):
    values, step = field((7, 6, 5)), 0.5
    steps = vectors / np.array([[6], [5]])
    own = cylinder_table.node_weight(steps)
    direct = CPU().cylinder_sum(values, all_points(values.shape), cylinder_table.disc_points(steps, radius), step, own)
    direct *= step * sqrt(np.linalg.det(steps @ steps.T)) / (4 * pi)
    table = sampled_table(vectors, (6, 5), step, 7, radius, own)
    for side, expected in (("low", direct[:, 0]), ("high", direct[:, 1]), ("both", direct.sum(axis=1))):
        found = CPU().cylinder_convolve(values, table, side=side).ravel()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max() * 7)


def test_open_in_the_plane_is_a_padded_convolution():
    """scipy.signal.fftconvolve with the sampled kernel of both sides."""
    values, step, radius = field((6, 9, 8)), 0.5, 1.9
    steps = np.eye(2) * 0.5
    own = box_mean_of_inverse_distance(0.5, 0.5, 0.5)
    reach = 3
    x, y, z = np.meshgrid(*(step * np.arange(-r, r + 1) for r in (5, reach, reach)), indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    with np.errstate(divide="ignore"):
        kernel = np.where(r > 0, 1 / r, own) * (y**2 + z**2 <= radius**2)
    expected = fftconvolve(values, kernel)[5:-5, reach:-reach, reach:-reach]
    sums = CPU().cylinder_sum(
        values, all_points(values.shape), cylinder_table.disc_points(steps, radius), step, own, periodic=False
    )
    np.testing.assert_allclose(sums.sum(axis=1), expected.ravel(), rtol=0, atol=1e-12 * np.abs(expected).max())
    padded = np.pad(values, [(0, 0), (0, reach), (0, reach)])
    vectors, shape = np.diag(0.5 * np.array(padded.shape[1:])), padded.shape[1:]
    table = sampled_table(vectors, shape, step, 6, radius, own)
    found = CPU().cylinder_convolve(padded, table)[:, :9, :8] * 4 * pi / step**3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_kernel_of_larger_planes_has_zeros_around_the_values(gpu, axis, order):
    """Against direct sums with nothing outside; planes wider along one axis, and along both."""
    planes, step, radius = field((6, 5, 4)), 0.5, 1.9
    steps = OBLIQUE / np.array([[5], [4]])
    values = np.array(np.moveaxis(planes, 0, axis), order=order)
    for periodic_first in (False, True):
        given = np.concatenate([planes] * 7, axis=1) if periodic_first else planes  # what is periodic is repeated
        sums = CPU().cylinder_sum(
            given, all_points(given.shape), cylinder_table.disc_points(steps, radius), step, 3.0, periodic=False
        )
        expected = (
            sums.sum(axis=1).reshape(given.shape)[:, 15:20] if periodic_first else sums.sum(axis=1).reshape(6, 5, 4)
        )
        shape = (5 if periodic_first else 10, 9)
        table = sampled_table(steps * np.array(shape)[:, None], shape, step, 6, radius, 3.0)
        fit = sampled_march_fit(steps * np.array(shape)[:, None], shape, step, 6, radius, 3.0, sections=[10])
        scale = step * sqrt(np.linalg.det(steps @ steps.T)) / (4 * pi)
        for device in (CPU(), gpu):
            for kernel, work, within in (
                (table, device.cylinder_convolve, 1e-13),
                (fit, device.cylinder_march, 1e-7),
            ):
                found = device.to_host(work(device.asarray(values), kernel, axis=axis))
                assert found.shape == values.shape
                found = np.moveaxis(found, axis, 0)
                np.testing.assert_allclose(found / scale, expected, rtol=0, atol=7 * within * np.abs(expected).max())


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_disc_averages_with_zeros_around(gpu, axis, order):
    """Against planes padded by hand and multiplied by 2 J1(gR)/(gR)."""
    planes, steps, radius = field((3, 6, 5)), np.array([0.5, 0.6]), 1.7
    planes[:, [0, -1]], planes[:, :, [0, -1]] = 0, 0
    lengths = np.insert(steps * planes.shape[1:], axis, 3.0)
    boundary = np.insert(np.array(["open", "open"], dtype="<U8"), axis, "periodic").tolist()
    values = np.array(np.moveaxis(planes, 0, axis), order=order)
    for device in (CPU(), gpu):
        given = Field.from_array(values, np.diag(lengths), boundary=boundary, device=device)
        padded = Cylinder(given.grid, axis, radius, 0.0).padded
        assert padded == (10, 8)
        averaged = np.moveaxis(device.to_host(disc_average(given, axis, radius).values), axis, 0)
        wide = np.zeros((3, *padded))
        wide[:, :6, :5] = planes
        first, second = (2 * pi * np.fft.fftfreq(n, step) for n, step in zip(padded, steps, strict=True))
        z = radius * np.hypot(first[:, None], second)
        factor = np.divide(2 * j1(z), z, out=np.ones(z.shape), where=z > 0)
        expected = np.fft.ifft2(np.fft.fft2(wide) * factor).real[:, :6, :5]
        np.testing.assert_allclose(averaged, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kept", [0, 1 << 20])
def test_blocks_of_columns_on_threads(monkeypatch, kept, side):
    """One column, line or class at a time, the kernel's spectrum kept or found where it is wanted."""
    monkeypatch.setattr("gpuhomog.device.cpu.blocks.BLOCK_BYTES", 1)
    monkeypatch.setattr("gpuhomog.device.cpu.cylinder.KEPT_BYTES", kept)
    values = field((7, 6, 5))
    steps = OBLIQUE / np.array([[6], [5]])
    low, high = (
        CPU()
        .cylinder_sum(values, all_points(values.shape), cylinder_table.disc_points(steps, 1.3), 0.5, 3.0)
        .T.reshape(2, 7, 6, 5)
    )
    expected = {"low": low, "high": high, "both": low + high}[side] * 0.5 * sqrt(np.linalg.det(steps @ steps.T))
    table = sampled_table(OBLIQUE, (6, 5), 0.5, 7, 1.3, 3.0)
    device = CPU(threads=3)
    spectrum = device.convolve_modes(device.rfft_planes(values), table, side)
    for _ in range(2):
        for found in (device.cylinder_convolve(values, table, side=side), device.irfft_planes(spectrum, values.shape)):
            np.testing.assert_allclose(4 * pi * found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
        spectrum = device.convolve_modes(device.rfft_planes(values), table, side)


@pytest.mark.parametrize("side", SIDES)
def test_single_precision_is_that_of_the_transforms(side):
    """Values of float32 against sums in float64: 3e-7 of the largest."""
    values = field((48, 40, 36), np.float32)
    table = cylinder_table.cylinder_table(OBLIQUE, (50, 45), 0.4, 48, 1.9)
    expected = CPU().cylinder_convolve(values.astype(np.float64), table, side=side)
    found = CPU().cylinder_convolve(values, table, side=side)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 3e-7 * np.abs(expected).max()


@pytest.mark.parametrize("side", SIDES)
def test_analytic_kernel_mode_by_mode(side):
    """Plane pairs one by one with Khat itself."""
    values, step, radius, order = field((9, 4, 5)), 0.3, 2.2, 3
    table = cylinder_table.cylinder_table(OBLIQUE, (4, 5), step, 9, radius, order=order, inverse_eps0=1.7)
    lengths = cylinder_table.in_plane_wavevectors(OBLIQUE, (4, 5))
    ends = cylinder_table.gregory_weights(order)
    low, high = np.ones(9), np.ones(9)
    low[:3], high[-3:] = ends, ends[::-1]
    modes = np.fft.rfft2(values)
    total = np.zeros_like(modes)
    for x in range(9):
        for u in range(9):
            d = abs(x - u)
            kernel = sum(cylinder_kernel.khat(g, step * d, radius) for g in lengths) / 2 * step * 1.7
            weight = (low[u] if u <= x and side != "high" else 0) + (high[u] if u >= x and side != "low" else 0)
            total[x] += weight * (ends[d] if d < 3 else 1.0) * kernel * modes[u]
    expected = np.fft.irfft2(total, s=(4, 5))
    found = CPU().cylinder_convolve(values, table, side=side)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("sections", "within"), [(6, 3e-7), (10, 1e-10)])
def test_march_equals_convolution(sections, within, side):
    values = field((80, 6, 7))
    arguments = (np.diag([3.0, 3.5]), (6, 7), 0.5, 80, 4.0)
    fit = cylinder_fit.march_fit(*arguments, sections=[sections], order=3)
    table = cylinder_table.cylinder_table(*arguments, order=3)
    assert fit.error < within
    expected = CPU().cylinder_convolve(values, table, side=side)
    found = CPU().cylinder_march(values, fit, side=side)
    assert np.abs(found - expected).max() < 80 * within * table.table.max()


def gaussian(x, centre, deviation):
    return np.exp(-((x - centre) ** 2) / (2 * deviation**2)) / (sqrt(2 * pi) * deviation)


def periodic_gaussian(x, centre, deviation, period):
    return sum(gaussian(x, centre + m * period, deviation) for m in range(-3, 4))


def of_rhobar(values, vectors, step, radius, plane, point, order):
    """Φ^[ρ̄] from below and above, eq. 70: disc averages by J1, planes by W."""
    z = cylinder_table.in_plane_wavevectors(vectors, values.shape[1:])[0] * radius
    with np.errstate(invalid="ignore"):
        averages = np.fft.irfft2(np.fft.rfft2(values) * np.where(z > 0, 2 * j1(z) / z, 1.0), s=values.shape[1:])
    line = averages[:, point[0], point[1]] * step / 2
    sums = []
    for part in (line[: plane + 1][::-1], line[plane:]):
        weights = disc_weight(radius, step * np.arange(len(part)))
        weights[:order] *= cylinder_table.gregory_weights(order)
        sums.append(part @ weights)
    return sums


def test_polar_slab(potential_checks):
    """Whole and split into ρ̄ and Δρ; 12 end weights close the sums to rounding."""
    check = potential_checks["cylinder_split_a"]
    h, n, order, radius = 1 / 32, 32, 12, 11.3
    x, y = -8 + h * np.arange(32 * 32 + 1), np.arange(n) * 4 / n
    values = np.zeros((len(x), n, n))
    for m in range(5):
        for charge, centre, sd in ((1, (4 * m, 0.0, 0.0), 0.5), (-1, (4 * m + 0.15, 0.4, -0.3), 0.8)):
            in_plane = periodic_gaussian(y, centre[1], sd, 4)[:, None] * periodic_gaussian(y, centre[2], sd, 4)
            values += charge * gaussian(x, centre[0], sd)[:, None, None] * in_plane
    plane, point = round(16 / h), (round(n / 4), round(-n / 8) % n)
    vectors = np.eye(2) * 4
    table = cylinder_table.cylinder_table(vectors, (n, n), h, len(x), radius, order=order)
    whole = [CPU().cylinder_convolve(values, table, side=side)[plane, point[0], point[1]] for side in ("low", "high")]
    smooth = of_rhobar(values, vectors, h, radius, plane, point, order)
    for side, total, average in zip(("L", "r"), whole, smooth, strict=True):
        expected = check["expected"]
        assert total == pytest.approx(expected[f"Phi{side}"], abs=check["tolerance"])
        assert average == pytest.approx(expected[f"Phi{side}_rhobar"], abs=check["tolerance"])
        assert total - average == pytest.approx(expected[f"Phi{side}_Drho"], abs=check["tolerance"])


def test_open_blob(potential_checks):
    """Zero padding by the radius; the value's own quadrature is good to 3e-6."""
    check = potential_checks["cylinder_open_blob"]
    h, radius, order = 0.125, 2.0, 4
    x, y, z = -8 + h * np.arange(65), -3 + 0.25 * np.arange(40), -4 + 0.25 * np.arange(40)
    values = gaussian(x, -2, 0.6)[:, None, None] * gaussian(y, 1.5, 0.6)[:, None] * gaussian(z, 0.5, 0.6)
    values = np.concatenate([values, np.zeros((8, 40, 40))])  # x_b is not the last plane
    vectors = np.eye(2) * 10.0
    table = cylinder_table.cylinder_table(vectors, (40, 40), h, len(values), radius, order=order)
    whole = CPU().cylinder_convolve(values, table, side="low")[64, 12, 16]
    average = of_rhobar(values, vectors, h, radius, 64, (12, 16), order)[0]
    np.testing.assert_allclose([whole, average], check["expected"], rtol=0, atol=check["tolerance"])


def test_uniform_cylinder(potential_checks):
    """Ends of the matter at planes: both end weights are seen."""
    check = potential_checks["uniform_cylinder_axis"]
    values = np.ones((121, 1, 1))
    table = cylinder_table.cylinder_table(np.eye(2), (1, 1), 3 / 120, 121, 2.0, order=10)
    for side, plane in (("low", 120), ("high", 0)):
        found = CPU().cylinder_convolve(values, table, side=side)[plane, 0, 0]
        assert found == pytest.approx(check["expected"], abs=check["tolerance"])


def rounding(values, fit_scale=1.0):
    """A plane adds 13 to 21 exponentials and 4 weights; what was added decays over the kernel's reach."""
    return 64 * np.finfo(values.dtype).eps * fit_scale


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("dtype", "sections"),
    [(np.float32, 4), (np.float32, 6), (np.float64, 6), (np.float64, 8), (np.float64, 10)],
)
def test_march_of_the_kernel_equals_the_cpu(gpu, dtype, sections, side, order):
    values = field((13, 6, 9), dtype, order)
    fit = cylinder_fit.march_fit(OBLIQUE, (6, 9), 0.4, 13, 1.9, sections=[sections], order=3)
    expected = CPU().cylinder_march(values, fit, side=side)
    given = gpu.asarray(values)
    found = gpu.to_host(gpu.cylinder_march(given, fit, side=side))
    assert found.dtype == dtype
    assert found.flags.f_contiguous == (order == "F")
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding(values) * np.abs(expected).max())
    np.testing.assert_array_equal(gpu.to_host(given), values)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(1, 5, 4), (2, 1, 3), (5, 3, 1), (23, 17, 16), (0, 3, 4)])
def test_march_along_every_axis(gpu, shape, axis, order):
    planes_first = field(shape)
    values = np.array(np.moveaxis(planes_first, 0, axis), order=order)
    fit = cylinder_fit.march_fit(np.diag([3.0, 2.0]), shape[1:], 0.4, max(shape[0], 1), 1.9, sections=[6])
    found = gpu.to_host(gpu.cylinder_march(gpu.asarray(values), fit, axis=axis))
    assert found.shape == values.shape
    if values.size:
        expected = np.moveaxis(CPU().cylinder_march(planes_first, fit), 0, axis)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_convolution_on_the_gpu_equals_the_cpu(gpu, monkeypatch, dtype, side):
    monkeypatch.setattr("gpuhomog.device.gpu.cylinder.CONVOLVED_BYTES", 6000)  # modes in several chunks
    monkeypatch.setattr("gpuhomog.device.gpu.spectral.CACHE_SHARE", 1e-9)  # planes one by one
    values = field((11, 6, 5), dtype)
    table = cylinder_table.cylinder_table(OBLIQUE, (6, 5), 0.4, 11, 1.9, order=6)
    expected = CPU().cylinder_convolve(values, table, side=side)
    found = gpu.to_host(gpu.cylinder_convolve(gpu.asarray(values), table, side=side))
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding(values) * np.abs(expected).max())


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_direct_sums_of_the_kernel_equal_the_cpu(gpu, dtype, axis, order, periodic):
    values = np.array(np.moveaxis(field((7, 11, 5), dtype), 0, axis), order=order)
    steps = OBLIQUE / 5
    points = all_points(values.shape)[::37]
    arguments = (points, cylinder_table.disc_points(steps, 2.0), 0.45, 3.3)
    options = {"axis": axis, "periodic": periodic, "ends": (0.4, 1.1), "source": np.linspace(0.5, 1, 14).reshape(2, 7)}
    expected = CPU().cylinder_sum(values, *arguments, **options)
    size = CPU().cylinder_sum(np.abs(values), *arguments, **options)
    found = gpu.cylinder_sum(gpu.asarray(values), *arguments, **options)
    assert found.dtype == np.float64
    # up to SUM_PLANES terms of a disc point in T, each of three roundings
    assert (np.abs(found - expected) <= SUM_PLANES * np.finfo(dtype).eps * size).all()


def test_direct_sums_in_several_slices(gpu, monkeypatch):
    monkeypatch.setattr("gpuhomog.device.gpu.cylinder.SUM_BLOCK", 32)
    values = field((2 * SUM_PLANES + 3, 6, 7))
    points = [(0, 0, 0), (SUM_PLANES, 5, 6), (2 * SUM_PLANES + 2, 3, 2)]
    arguments = (cylinder_table.disc_points(np.eye(2) * 0.5, 3.0), 0.5, 5.0)
    for chosen in (points, points[1]):
        expected = CPU().cylinder_sum(values, chosen, *arguments)
        found = gpu.cylinder_sum(gpu.asarray(values), chosen, *arguments)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert gpu.cylinder_sum(gpu.asarray(values), np.zeros((0, 3), int), *arguments).shape == (0, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_first_rung_of_the_march(gpu, dtype):
    values = field((9, 5, 6), dtype)
    fit = cylinder_fit.march_fit(OBLIQUE, (5, 6), 0.4, 9, 1.9, sections=[6])
    launched = []
    launch = gpu.runtime.launch

    def on_the_ladder(file, instance, grid, block, arguments, shared=0):
        spectrum, out, *rest = arguments
        target = gpu.empty(spectrum.shape, spectrum.dtype) if out is spectrum else out
        launched.append(file)
        launch(f"ladder/{file}", instance, grid, block, (spectrum, target, *rest), shared)
        if target is not out:
            out[...] = target

    gpu.runtime.launch = on_the_ladder
    try:
        found = {side: gpu.to_host(gpu.cylinder_march(gpu.asarray(values), fit, side=side)) for side in SIDES}
    finally:
        del gpu.runtime.launch
    assert launched == ["cylinder_march.cu"] * 4
    for side in SIDES:
        expected = CPU().cylinder_march(values, fit, side=side)
        np.testing.assert_allclose(found[side], expected, rtol=0, atol=rounding(values) * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_first_rung_of_the_direct_sums(gpu, dtype):
    values = field((7, 6, 5), dtype)
    points = all_points(values.shape)[::29]
    offsets, squared = cylinder_table.disc_points(OBLIQUE / 5, 1.4)
    expected = CPU().cylinder_sum(values, points, (offsets, squared), 0.4, 3.0)
    parts = gpu.asarray(np.zeros((len(points), 2)))
    arguments = (
        gpu.asarray(values),
        gpu.asarray(points.astype(np.int64)),
        gpu.asarray(offsets),
        gpu.asarray(squared, dtype),
        gpu.asarray(np.array([0.5], dtype)),
        gpu.asarray(np.ones((2, 7), dtype)),
        parts,
        np.int64(7),
        *(np.int32(n) for n in (6, 5)),
        *(np.int64(n) for n in (30, 5, 1, len(squared))),
        np.int32(1),
        np.int32(1),
        dtype(0.4),
        dtype(3.0),
        np.int64(len(points)),
    )
    name = {np.float32: "float", np.float64: "double"}[dtype]
    gpu.runtime.launch("ladder/cylinder_sum.cu", f"cylinder_sum<{name}>", (1, 1, 1), (32,), arguments)
    size = np.abs(expected).max()
    np.testing.assert_allclose(gpu.to_host(parts), expected, rtol=0, atol=32 * np.finfo(dtype).eps * size)


def marched_in_slabs(device, spectrum, fit, side, size):
    """End states, the scan over ranks and the march, slab by slab, the scan's modes shared by ranks as well."""
    n, _, n_columns = spectrum.shape
    slabs = [Slab.of(n, rank, size).planes for rank in range(size)]
    columns = [Slab.of(n_columns, rank, size).planes for rank in range(size)]
    ends = [
        device.to_host(device.march_end_states(device.asarray(spectrum[here].copy()), fit, side, planes=here))
        for here in slabs
    ]
    n_planes = [here.stop - here.start for here in slabs]
    of_all = np.concatenate(ends)
    met = [
        device.to_host(
            device.march_incoming(device.asarray(of_all[:, :, some].copy()), fit, n_planes, side, columns=some)
        )
        for some in columns
    ]
    by_rank = np.split(np.concatenate(met, axis=2), size)
    parts = [
        device.march_modes(
            device.asarray(spectrum[here].copy()), fit, side, planes=here, incoming=device.asarray(states)
        )
        for here, states in zip(slabs, by_rank, strict=True)
    ]
    return ends, np.concatenate([device.to_host(part) for part in parts])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("dtype", "sections"),
    [(np.float32, 4), (np.float32, 6), (np.float64, 6), (np.float64, 8), (np.float64, 10)],
)
def test_a_march_goes_on_from_slab_to_slab(gpu, dtype, sections, side):
    """Slabs of whole batches and of parts of one, thinner than the near planes, empty."""
    values = field((13, 6, 9), dtype)
    fit = cylinder_fit.march_fit(OBLIQUE, (6, 9), 0.4, 13, 1.9, sections=[sections], order=3, dtype=dtype)
    whole = np.fft.rfft2(CPU().cylinder_march(values.astype(np.float64), fit, side=side))
    spectrum = CPU().rfft_planes(values)
    for size in (1, 2, 3, 5, 8, 15):
        ends, potential = marched_in_slabs(gpu, spectrum, fit, side, size)
        expected, on_cpu = marched_in_slabs(CPU(), spectrum, fit, side, size)
        for found, states in zip(ends, expected, strict=True):
            assert found.dtype == spectrum.dtype
            np.testing.assert_allclose(found, states, rtol=0, atol=rounding(values) * np.abs(spectrum).max())
        for found in (potential, on_cpu):
            assert found.dtype == spectrum.dtype
            np.testing.assert_allclose(found, whole, rtol=0, atol=rounding(values) * np.abs(whole).max())


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("kind", ["march", "convolve"])
def test_columns_of_modes(gpu, kind, side):
    """All planes and a few columns, cut from a larger array; ranks without columns."""
    values = field((9, 4, 7))
    arguments = (OBLIQUE, (4, 7), 0.4, 9, 1.9)
    spectrum = CPU().rfft_planes(values)
    for device in (gpu, CPU()):
        if kind == "march":
            kernel, work = cylinder_fit.march_fit(*arguments, sections=[6]), device.march_modes
            expected = CPU().cylinder_march(values, kernel, side=side)
        else:
            kernel, work = cylinder_table.cylinder_table(*arguments), device.convolve_modes
            expected = CPU().cylinder_convolve(values, kernel, side=side)
        columns = [slice(0, 1), slice(1, 1), slice(1, 4)]
        parts = [work(device.asarray(spectrum)[:, :, some], kernel, side, columns=some) for some in columns]
        found = np.fft.irfft2(np.concatenate([device.to_host(part) for part in parts], axis=2), s=(4, 7))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("size", [1, 2, 8])
@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("split", [0, 2])
@pytest.mark.parametrize("planes", [5, 60])
def test_sums_on_ranks_with_arrays_of_a_gpu(sanitizers, axis, split, size, planes):
    """Few planes are transposed, many marched from states; slabs across the normal or along it."""
    values = np.moveaxis(field((planes, 4, 5)), 0, axis)
    fit = cylinder_fit.march_fit(OBLIQUE, (4, 5), 0.4, planes, 1.9, sections=[6])
    expected = CPU().cylinder_march(values, fit, axis=axis)
    runtime = CuPyLikeRuntime()
    try:
        device = GPU(runtime)
        given = Field.from_array(values, np.eye(3), device=device)
        parts = on_ranks(given, size, lambda part: device.to_host(cylinder_sums(part, fit, axis)), split)
    finally:
        runtime.close()
    found = np.concatenate(parts, axis=split)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("side", SIDES)
def test_first_rung_of_states(gpu, dtype, side):
    values = field((11, 5, 6), dtype)
    fit = cylinder_fit.march_fit(OBLIQUE, (5, 6), 0.4, 11, 1.9, sections=[6], dtype=dtype)
    spectrum = CPU().rfft_planes(values)
    launch, launched = gpu.runtime.launch, []

    def on_the_ladder(file, instance, grid, block, arguments, shared=0):
        first, out, *rest = arguments
        target = gpu.empty(first.shape, first.dtype) if out is first else out
        launched.append(instance.split("<")[0])
        launch(f"ladder/{file}", instance, grid, block, (first, target, *rest), shared)
        if target is not out:
            out[...] = target

    gpu.runtime.launch = on_the_ladder
    try:
        ends, potential = marched_in_slabs(gpu, spectrum, fit, side, 5)
    finally:
        del gpu.runtime.launch
    assert set(launched) == {"cylinder_march", "cylinder_end_states"}
    expected, marched = marched_in_slabs(CPU(), spectrum, fit, side, 5)
    for found, states in zip((*ends, potential), (*expected, marched), strict=True):
        np.testing.assert_allclose(found, states, rtol=0, atol=rounding(values) * np.abs(marched).max())


def test_kept_spectra_are_of_one_precision_kernel_and_number_of_planes():
    """Calls in turn on one kernel, and on the next, each against a device that has kept nothing; none outlives it."""
    TABLES.clear()
    tables = [cylinder_table.cylinder_table(OBLIQUE, (8, 9), 0.4, 7, radius) for radius in (1.2, 1.9)]
    cases = [(t, n, dtype) for t in tables for n in (7, 4) for dtype in (np.float64, np.float32)]
    kernels = {(id(t), n): replace(t, source=t.source[:, :n]) for t, n, _ in cases}

    def found(table, n, dtype):
        return CPU().cylinder_convolve(field((n, 8, 9), dtype), kernels[id(table), n], side="low")

    alone = []
    for case in cases:
        TABLES.clear()
        alone.append(found(*case))
    TABLES.clear()
    for _ in range(2):
        for case, expected in zip(cases, alone, strict=True):
            np.testing.assert_array_equal(found(*case), expected)
    assert len(TABLES) == len(cases)
    kernels.clear()
    gc.collect()
    assert len(TABLES) == 0
