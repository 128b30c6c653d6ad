"""Filters: the kernels' products against fft.Multiplier.plane, whole filters against sums and analytic waves."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.averaging_kernels import Ball, Disc, Gaussian, PowerLaw
from gpuhomog.device import CPU
from gpuhomog.device.gpu import polynomials
from gpuhomog.device.gpu.polynomials import COEFFICIENTS, tabulated
from gpuhomog.device.gpu.spectral import Rows
from gpuhomog.fft import AlongAxes, Derivative, InverseSquare, Multiplier, OfWavevector, filtered

SHAPES = [(1, 1, 1), (4, 6, 8), (5, 7, 9), (2, 1, 70), (3, 4, 1), (6, 2, 2)]
CELLS = {
    "orthogonal": np.diag([4.0, 5.0, 6.0]),
    "triclinic": np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]]),
}
DIRECTION = np.array([0.3, -0.5, 0.8])


def rows(cell):
    return 2 * np.pi * np.linalg.inv(CELLS[cell]).T


def parts_of(what, cell):
    b = rows(cell)
    return {
        "nothing": [],
        "tables": [AlongAxes([lambda n: np.exp(0.3j * n), None, lambda n: np.sinc(n / 5)])],
        "radial": [OfWavevector(b, Ball(2.0).transform)],
        "derivative": [Derivative(b, DIRECTION)],
        "potential": [InverseSquare(b, 4 * np.pi)],
        "all": [
            AlongAxes([lambda n: np.cos(n), lambda n: np.exp(-0.1j * n), None]),
            OfWavevector(b, Gaussian(0.5).transform),
            InverseSquare(b, 3.0),
            Derivative(b, DIRECTION),
        ],
        "unknown": [lambda a, b, c: 1 / (1 + a * a + abs(b) + 2j * c)],
        "two metrics": [OfWavevector(b, Gaussian(0.5).transform), OfWavevector(np.diag([0.1, 0.2, 0.3]), np.cos)],
    }[what]


def multiplier_of(what, cell, shape, order=(0, 1, 2)):
    complex_parts = ("tables", "derivative", "all", "unknown")
    parts = parts_of(what, cell) or [AlongAxes([None, None, None])]
    return Multiplier(shape, parts, is_complex=what in complex_parts, order=order)


def whole(multiplier):
    """The multiplier on the half spectrum, as the oracle evaluates it."""
    return np.stack([multiplier.plane(i) for i in range(multiplier.stored_shape[0])])


def tolerance(real):
    """A few roundings of the argument |k| and of each factor; transforms reach 1 and fall."""
    return 20 * np.finfo(real).eps


@pytest.mark.parametrize("rung", ["", "ladder/"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("what", ["nothing", "tables", "radial", "derivative", "potential", "all"])
def test_modes_times_the_multiplier(gpu, what, cell, real, order, rung):
    for shape, first, count in [*[(shape, 0, None) for shape in SHAPES], ((4, 6, 8), 2, 3), ((5, 7, 9), 4, 2)]:
        multiplier = multiplier_of(what, cell, shape, order)
        count = count or multiplier.stored_shape[1]
        expected = whole(multiplier)
        random = np.random.default_rng(7)
        modes = random.standard_normal(expected.shape) + 1j * random.standard_normal(expected.shape)
        largest = np.abs(modes * expected).max()
        modes, expected = (array[:, first : first + count] for array in (modes, expected))
        modes = modes.astype(np.result_type(real, np.complex64))
        if rung:
            evaluated = gpu._evaluated(multiplier, real, 1.0)
            found = gpu.asarray(modes.copy())
            sizes = [np.int32(n) for n in (*multiplier.stored_shape, first, count)]
            arguments = (found, np.int64(1), *sizes, *evaluated.arguments)
            name = "float" if real == np.float32 else "double"
            grid = (-(-modes.size // 256),)
            gpu.runtime.launch("ladder/spectral_multiply.cu", f"spectral_multiply<{name}>", grid, (256,), arguments)
        else:
            found = gpu.asarray(modes.copy())
            gpu._multiply(found, multiplier, 1.0, Rows(first, count) if first else None)
        wrong = np.abs(gpu.to_host(found) - modes * expected)
        assert wrong.max() <= tolerance(real) * largest + 1e-300


@pytest.mark.parametrize("what", ["unknown", "two metrics"])
def test_what_only_the_host_can_evaluate_is_uploaded(gpu, what):
    shape = (5, 4, 6)
    multiplier = multiplier_of(what, "triclinic", shape)
    assert gpu._evaluated(multiplier, np.float64, 1.0) is None
    values = np.random.default_rng(1).standard_normal(shape)
    found = gpu.to_host(gpu.filter(gpu.asarray(values), [multiplier])[0])
    np.testing.assert_allclose(found, CPU().filter(values, [multiplier])[0], atol=1e-14)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("shape", [(12, 5, 6), (10, 6, 7), (11, 4, 4), (3, 9, 8), (1, 6, 5), (6, 1, 1), (14, 3, 2)])
def test_a_filter_equals_sums_over_modes(gpu, shape, cell, real, order):
    """Against direct sums in long double: nothing of an FFT is shared."""
    values = np.array(np.random.default_rng(sum(shape)).standard_normal(shape), dtype=real, order=order)
    whats = ["radial", "all", "potential"]
    multipliers = [multiplier_of(what, cell, shape) for what in whats]
    found = filtered(gpu, gpu.asarray(values), *multipliers)
    assert gpu.to_host(found[0]).flags.f_contiguous or order == "C"
    for one, multiplier in zip(found, multipliers, strict=True):
        expected = by_direct_sums(values.astype(np.longdouble), multiplier)
        scale = max(np.abs(expected).max(), 1e-3)
        assert np.abs(gpu.to_host(one) - expected).max() <= 30 * np.finfo(real).eps * scale


def by_direct_sums(values, multiplier):
    """Re Σ_n m(n) e^{i..} Σ v e^{-i..} over all modes, both signs of a Nyquist mode for the mean."""
    spectrum = values.astype(np.clongdouble)
    for axis, n in enumerate(values.shape):
        spectrum = np.moveaxis(np.tensordot(fourier_matrix(n), spectrum, (1, axis)), 0, axis)
    spectrum = spectrum * full_plane(multiplier)
    for axis, n in enumerate(values.shape):
        spectrum = np.moveaxis(np.tensordot(fourier_matrix(n).conj() / n, spectrum, (1, axis)), 0, axis)
    assert np.abs(spectrum.imag).max() <= 1e-13 * max(1, np.abs(spectrum).max())
    return spectrum.real


def fourier_matrix(n):
    turns = np.outer(np.arange(n), np.arange(n)) % n
    angle = turns.astype(np.longdouble) * (8 * np.arctan(np.longdouble(1)) / n)
    return np.cos(angle) - 1j * np.sin(angle)


def full_plane(multiplier):
    """Every mode from the half spectrum: m(-n) is the conjugate of m(n)."""
    n0, n1, n2 = multiplier.shape
    half = whole(multiplier)
    full = np.empty((n0, n1, n2), complex)
    full[:, :, : n2 // 2 + 1] = half
    for k in range(n2 // 2 + 1, n2):
        mirrored = half[:, :, n2 - k]
        full[:, :, k] = mirrored[-np.arange(n0) % n0][:, -np.arange(n1) % n1].conj()
    return full


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_the_potential_of_a_wave(gpu, cell, real):
    """k^2 of one wave, by hand: the mean of the density does not count."""
    shape, mode = (12, 10, 9), np.array([2, -3, 1])
    phase = np.einsum("a,aijk->ijk", mode, np.indices(shape) / np.array(shape)[:, None, None, None])
    k = mode @ rows(cell)
    density = (1.5 + np.cos(2 * np.pi * phase + 0.4)).astype(real)
    multiplier = Multiplier(shape, [InverseSquare(rows(cell), 1 / 0.25)])
    found = gpu.to_host(filtered(gpu, gpu.asarray(density), multiplier)[0])
    expected = np.cos(2 * np.pi * phase + 0.4) / (0.25 * (k @ k))
    assert np.abs(found - expected).max() <= 20 * np.finfo(real).eps * np.abs(expected).max() * 2.5


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("order", "CF")
def test_discs_need_no_transform_across_their_planes(gpu, order, axis, cell, real):
    shape = (12, 10, 9)
    cell_rows = rows(cell)
    normal = cell_rows[axis] / np.linalg.norm(cell_rows[axis])
    in_plane = cell_rows - np.outer(cell_rows @ normal, normal)
    multiplier = Multiplier(shape, [OfWavevector(in_plane, Disc(1.3, axis=axis).transform)])
    assert multiplier.flat_axes == (axis,)
    values = np.array(np.random.default_rng(3).standard_normal(shape), dtype=real, order=order)
    values[(slice(None),) * axis + (4,)] = 0  # a plane of zeros stays one exactly
    found = gpu.to_host(filtered(gpu, gpu.asarray(values), multiplier)[0])
    expected = by_direct_sums(values.astype(np.longdouble), multiplier)
    assert np.abs(found - expected).max() <= 30 * np.finfo(real).eps
    cpu = filtered(CPU(), values, multiplier)[0]
    assert np.abs(cpu - expected).max() <= 30 * np.finfo(real).eps
    assert not np.take(cpu, 4, axis).any()
    if (axis if order == "C" else 2 - axis) < 2:
        assert not np.take(found, 4, axis).any()


@pytest.mark.parametrize("shape", [(7, 11, 6), (4, 12, 6), (9, 1, 7)])
def test_planes_of_any_size_with_tables(gpu, shape):
    """Lengths that fft_lines does not transform: the kernel multiplies a batch of planes."""
    parts = [AlongAxes([None, lambda n: np.exp(0.3j * n), lambda n: 1 / (1 + n * n)])]
    multiplier = Multiplier(shape, parts, is_complex=True)
    values = np.random.default_rng(3).standard_normal(shape)
    found = gpu.to_host(gpu.filter(gpu.asarray(values), [multiplier])[0])
    np.testing.assert_allclose(found, CPU().filter(values, [multiplier])[0], atol=1e-14)


def test_chunks_of_planes_join(gpu, monkeypatch):
    monkeypatch.setattr(gpu.runtime, "cache_bytes", 3000)
    for shape in [(12, 6, 5), (7, 15, 4)]:
        values = np.random.default_rng(3).standard_normal(shape)
        for what in ("all", "disc", "unknown"):
            if what == "disc":
                flat = np.diag([0.0, 1.0, 0.7])
                multiplier = Multiplier(shape, [OfWavevector(flat, Disc(1.3, axis=0).transform)])
            else:
                multiplier = multiplier_of(what, "triclinic", shape)
            found = gpu.to_host(gpu.filter(gpu.asarray(values), [multiplier, multiplier])[0])
            np.testing.assert_allclose(found, CPU().filter(values, [multiplier])[0], atol=1e-13)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0)])
def test_nothing_to_filter(gpu, shape):
    values = np.zeros(shape)
    assert gpu.to_host(gpu.filter(gpu.asarray(values), [multiplier_of("radial", "triclinic", shape)])[0]).shape == shape


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_the_transform_of_the_whole(gpu, real):
    values = np.random.default_rng(3).standard_normal((6, 5, 7)).astype(real)
    spectrum = gpu.rfftn(gpu.asarray(values))
    np.testing.assert_allclose(gpu.to_host(spectrum), np.fft.rfftn(values), atol=300 * np.finfo(real).eps)


@pytest.mark.parametrize("n", COEFFICIENTS.values())
@pytest.mark.parametrize(
    "kernel", [Ball(3.0), Disc(3.0), Gaussian(2.0), PowerLaw(1.0)], ids=lambda kernel: type(kernel).__name__
)
def test_polynomials_are_the_transform(kernel, n):
    reach = 140.0  # a ball of 60 samples on a grid of 512
    coefficients, per_unit = tabulated((kernel.transform,), reach, n)
    k = np.sort(np.random.default_rng(4).uniform(0, reach, 20000))
    at = np.minimum((k * per_unit).astype(int), len(coefficients) - 1)
    found = np.zeros(len(k))
    for column in coefficients.T[::-1]:
        found = found * (k * per_unit - at - 0.5) + column[at]
    # the ball's own closed form has lost two digits at z = 0.3
    assert np.abs(found - kernel.transform(k)).max() < (2e-8 if n == 8 else 2e-14)


def test_polynomials_are_kept_for_equal_kernels(host_gpu, monkeypatch):
    looked = []
    on_intervals = polynomials._on_intervals
    monkeypatch.setattr(polynomials, "_on_intervals", lambda *given: looked.append(given) or on_intervals(*given))
    values = np.random.default_rng(7).normal(size=(12, 10, 8))
    field = gh.Field.from_array(values, np.diag([60.0, 50.0, 40.0]), device=host_gpu)
    for eps, more in ((6.2345, True), (6.2345, False), (6.2346, True)):
        before = len(looked)
        gh.average(field, gh.Ball(eps), method="all modes")
        assert (len(looked) > before) is more


def test_functions_that_are_no_polynomials():
    def step(k):
        return np.where(k < 1.234, 1.0, 0.0)

    assert tabulated((step,), 3.0, 8) is None
    assert tabulated((lambda k: np.exp(1j * k),), 3.0, 8) is None
    assert tabulated((lambda k: np.full(k.shape, np.nan),), 3.0, 8) is None
