"""Sums over shells of wavevectors: the CPU's against modes one by one, the kernels' against the CPU's."""

import numpy as np
import pytest

from gpuhomog.device import CPU
from gpuhomog.device.gpu import spectral as launches

SHAPES = [(5, 7, 4), (8, 6, 5), (1, 3, 40), (3, 1, 1), (4, 9, 33)]
METRIC = np.array([[1.0, 0.2, -0.1], [0.2, 0.7, 0.3], [-0.1, 0.3, 1.3]])


def a_spectrum(shape, dtype):
    rng = np.random.default_rng(shape)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)


def axes_of(shape, metric=METRIC):
    """Modes, signed modes with the middle one set to 0, weights, metric, width, number of shells."""
    modes = [np.fft.fftfreq(shape[0], 1 / shape[0]), np.fft.fftfreq(shape[1], 1 / shape[1]), np.arange(shape[2] * 1.0)]
    signed = [np.where(np.arange(n) == n // 2, 0.0, mode) for n, mode in zip(shape, modes, strict=True)]
    weights = np.where(np.arange(shape[2]) == 0, 1.0, 2.0)
    largest = np.sqrt(3 * sum(metric[i, i] * np.abs(mode).max() ** 2 for i, mode in enumerate(modes)))
    width = 0.37
    return modes, signed, weights, metric, width, int(largest / width) + 3


def one_by_one(spectrum, modes, signed, weights, metric, width, n_shells):
    sums = np.zeros((3, n_shells))
    for index in np.ndindex(*spectrum.shape):
        m, t = ([axis[i] for axis, i in zip(axes, index, strict=True)] for axes in (modes, signed))
        square = sum(metric[i, i] * m[i] ** 2 for i in range(3))
        square += 2 * (metric[0, 1] * t[0] * t[1] + metric[0, 2] * t[0] * t[2] + metric[1, 2] * t[1] * t[2])
        k, w = np.sqrt(max(square, 0.0)), weights[index[2]]
        sums[:, round(k / width)] += w, w * k, w * abs(complex(spectrum[index])) ** 2
    return sums


@pytest.fixture(params=["cpu", "host", pytest.param("real", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cpu":
        return CPU()
    return request.getfixturevalue("host_gpu" if request.param == "host" else "real_gpu")


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("oblique", [False, True])
def test_sums_are_those_of_the_modes(device, shape, dtype, oblique):
    spectrum = a_spectrum(shape, dtype)
    axes = axes_of(shape, METRIC if oblique else np.diag(np.diag(METRIC)))
    expected = one_by_one(spectrum, *axes)
    found = device.shell_sums(device.asarray(spectrum), *axes)
    assert isinstance(found, np.ndarray) and found.shape == expected.shape
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("axis", range(3))
def test_rows_turned_in_memory(device, axis):
    spectrum = np.moveaxis(a_spectrum((4, 6, 5), np.complex128), axis, 0)
    axes = axes_of(spectrum.shape)
    np.testing.assert_allclose(
        device.shell_sums(device.asarray(spectrum), *axes), one_by_one(spectrum, *axes), rtol=1e-13
    )


def test_nothing_in_nothing_out(device):
    modes, signed, *rest = axes_of((3, 2, 4))
    empty = device.asarray(np.zeros((3, 0, 4), np.complex64))
    assert not device.shell_sums(
        empty, [modes[0], modes[1][:0], modes[2]], [signed[0], signed[1][:0], signed[2]], *rest
    ).any()


@pytest.mark.parametrize("most, blocks", [(1, 1), (5, 2), (64, 16)])
def test_shells_in_several_launches_and_any_number_of_blocks(gpu, monkeypatch, most, blocks):
    monkeypatch.setattr(launches, "MOST_SHELLS", most)
    monkeypatch.setattr(launches, "SHELL_BLOCKS", blocks)
    spectrum, axes = a_spectrum((4, 9, 33), np.complex64), axes_of((4, 9, 33))
    found = gpu.shell_sums(gpu.asarray(spectrum), *axes)
    np.testing.assert_allclose(found, one_by_one(spectrum, *axes), rtol=1e-13)
    np.testing.assert_array_equal(found, gpu.shell_sums(gpu.asarray(spectrum), *axes))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_the_first_rung(gpu, dtype):
    spectrum, axes = a_spectrum((4, 3, 5), dtype), axes_of((4, 3, 5), np.diag(np.diag(METRIC)))
    modes, _, _, metric, width, n_shells = axes
    squares = [metric[i, i] * mode**2 for i, mode in enumerate(modes)]
    k = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
    out = gpu.empty((n_shells,), np.float64)
    numbers = (np.int64(k.size), np.int32(5), np.int32(n_shells), np.float64(width))
    real = "float" if dtype == np.complex64 else "double"
    arguments = (gpu.asarray(spectrum), out, gpu.asarray(k), *numbers)
    gpu.runtime.launch("ladder/shell_sums.cu", f"shell_sums_v1<{real}>", (-(-n_shells // 32),), (32,), arguments)
    np.testing.assert_allclose(gpu.to_host(out), one_by_one(spectrum, *axes)[2], rtol=1e-13)
