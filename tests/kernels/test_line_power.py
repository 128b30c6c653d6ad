"""Power spectra of lines: Parseval's theorem, and the GPU's against the CPU's."""

import numpy as np
import pytest

from gpuhomog.device import CPU


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("shape", [(6, 7, 8), (1, 5, 9), (12, 1, 3)])
def test_the_power_of_all_lines_is_their_variance(rng, shape, axis):
    values = rng.normal(size=shape) + 7.0
    power = CPU().line_power(values, axis, 10**6)
    assert power.shape == (shape[axis] // 2 + 1,)
    assert power.sum() / shape[axis] ** 2 == pytest.approx(values.var(axis=axis).mean(), rel=1e-12, abs=1e-14)


def test_a_wave_has_one_mode():
    wave = np.cos(2 * np.pi * 3 * np.arange(16) / 16)[:, None, None] * np.ones((16, 4, 5))
    np.testing.assert_allclose(CPU().line_power(wave, 0, 20), np.where(np.arange(9) == 3, 128.0, 0.0), atol=1e-12)


@pytest.mark.parametrize("n_lines", [3, 10**6])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", range(3))
def test_the_gpu_equals_the_cpu(gpu, rng, axis, dtype, order, n_lines):
    values = np.array(rng.normal(size=(9, 10, 11)), dtype=dtype, order=order)
    expected = CPU().line_power(values, axis, n_lines)
    np.testing.assert_allclose(gpu.line_power(gpu.asarray(values), axis, n_lines), expected, rtol=1e-12, atol=1e-12)
