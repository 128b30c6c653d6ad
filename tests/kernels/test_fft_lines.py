"""Lines transformed, multiplied and transformed back, against FFTs in float64 and direct sums."""

import numpy as np
import pytest

from gpuhomog.device.gpu.spectral import Rows, first_modes, fixed_lengths, radices
from gpuhomog.fft import AlongAxes, Multiplier

FIXED = sorted(fixed_lengths("float"))
ANY = [4, 6, 8, 9, 12, 14, 16, 18, 25, 27, 28, 32, 45, 49, 50, 60, 64, 96, 105, 112, 125, 126, 128, 192, 210]
LONG = [320, 343, 500, 729, 960, 1000, 1029, 2025]


def filtered_lines(gpu, modes, n1, n2, multiplier):
    """The kernel's own result on (batch, n, n1, n2/2 + 1) modes."""
    real = modes.real.dtype
    evaluated = gpu._evaluated(multiplier, real, 1.0)
    source = gpu.asarray(modes.copy())
    target = gpu.empty(modes.shape, modes.dtype)
    gpu._filter_lines(evaluated, modes.dtype)(source, target, len(modes))
    apart = gpu.to_host(target)
    gpu._filter_lines(evaluated, modes.dtype)(source, source, len(modes))
    np.testing.assert_array_equal(gpu.to_host(source), apart)  # in place: the same
    return apart


def case(n, n1, n2, real, batch=1):
    random = np.random.default_rng(n)
    shape = (batch, n, n1, n2 // 2 + 1)
    modes = random.standard_normal(shape) + 1j * random.standard_normal(shape)
    factors = random.standard_normal(n + 1) + 1j * random.standard_normal(n + 1)

    def along(k):  # another value at N/2 than at -N/2, whose mean is taken
        return factors[np.where(k >= 0, k, n + k).astype(int) + (2 * k == -n) * (n - n // 2)]

    multiplier = Multiplier((n, n1, n2), [AlongAxes([along, None, lambda k: 1 / (1 + k * k)])], is_complex=True)
    return modes.astype(np.result_type(real, np.complex64)), multiplier


def expected_lines(modes, multiplier):
    """NumPy's FFT of the values in long double where it has one, else in float64."""
    m = np.stack([multiplier.plane(i) for i in range(multiplier.shape[0])])
    wide = modes.astype(np.clongdouble)
    return len(m) * np.fft.ifft(np.fft.fft(wide, axis=1) * m, axis=1)


def check(gpu, n, n1, n2, real, batch=1):
    modes, multiplier = case(n, n1, n2, real, batch)
    found = filtered_lines(gpu, modes, n1, n2, multiplier)
    expected = expected_lines(modes, multiplier)
    wrong = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert wrong < (3e-7 if real == np.float32 else 6e-16)  # rms error of an FFT: eps sqrt(log n) / 2


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("n", FIXED)
def test_lengths_compiled_for(gpu, n, real):
    check(gpu, n, 3 if n < 800 else 1, 7 if n < 1600 else 3, real)


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("n", ANY)
def test_any_length(gpu, n, real):
    check(gpu, n, 3, 6, real, batch=2)


@pytest.mark.parametrize("n", LONG)
def test_long_lines(gpu, n):
    check(gpu, n, 1, 2, np.float32 if n % 2 else np.float64)


def test_columns_that_fill_no_block(gpu):
    """More blocks than one, the last of one column, batches, even second and halved axes."""
    check(gpu, 12, 4, 8, np.float64)
    check(gpu, 12, 3, 20, np.float32, batch=3)


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("n", [5, 8, 12])
def test_the_first_rung(gpu, n, real):
    modes, multiplier = case(n, 2, 6, real, batch=2)
    evaluated = gpu._evaluated(multiplier, real, 1.0)
    source, target = gpu.asarray(modes), gpu.empty(modes.shape, modes.dtype)
    sizes = (np.int32(size) for size in (n, 2, 6, 0, 2))
    arguments = (source, target, *sizes, *evaluated.arguments)
    name = "float" if real == np.float32 else "double"
    launch = (f"fft_lines<{name}>", (8, 2), (64,), arguments, 2 * n * modes.itemsize)
    gpu.runtime.launch("ladder/fft_lines.cu", *launch)
    expected = expected_lines(modes, multiplier)
    wrong = np.linalg.norm(gpu.to_host(target) - expected) / np.linalg.norm(expected)
    assert wrong < (1e-6 if real == np.float32 else 2e-15)


def rows_of(n, n1, n2, real, first, count):
    """Modes of some rows of the second axis, and what is expected there: n1/2 and -n1/2 differ, and so do all rows."""
    random = np.random.default_rng(n + first)
    half = n2 // 2 + 1
    modes = random.standard_normal((n, count, half)) + 1j * random.standard_normal((n, count, half))
    parts = [AlongAxes([lambda k: np.cos(k), lambda k: 1 / (2 + np.sin(k)) + 0.1j * k, lambda k: 1 / (1 + k * k)])]
    multiplier = Multiplier((n, n1, n2), parts, is_complex=True)
    m = np.stack([multiplier.plane(i) for i in range(n)])[:, first : first + count]
    expected = n * np.fft.ifft(np.fft.fft(modes.astype(np.clongdouble), axis=0) * m, axis=0)
    return modes.astype(np.result_type(real, np.complex64)), multiplier, expected


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "n1", "n2"), [(12, 8, 6), (12, 7, 5), (256, 4, 2), (49, 6, 9)])
def test_rows_of_a_slab(gpu, n, n1, n2, real):
    """A slab holds some rows of the second axis: their wavevectors are those of the whole grid."""
    for first, count in [(0, n1), (0, 2), (n1 // 2, 1), (n1 // 2 - 1, 3), (n1 - 1, 1), (2, n1 - 2)]:
        modes, multiplier, expected = rows_of(n, n1, n2, real, first, count)
        evaluated = gpu._evaluated(multiplier, real, 1.0)
        found = gpu.asarray(modes.copy())
        gpu._filter_lines(evaluated, modes.dtype, Rows(first, count))(found, found, 1)
        wrong = np.linalg.norm(gpu.to_host(found) - expected) / np.linalg.norm(expected)
        assert wrong < (5e-7 if real == np.float32 else 1e-15)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_rows_of_a_slab_by_the_first_rung(gpu, real):
    modes, multiplier, expected = rows_of(6, 8, 4, real, 3, 4)
    evaluated = gpu._evaluated(multiplier, real, 1.0)
    source, target = gpu.asarray(modes), gpu.empty(modes.shape, modes.dtype)
    sizes = (np.int32(size) for size in (6, 8, 4, 3, 4))
    name = "float" if real == np.float32 else "double"
    launch = (f"fft_lines<{name}>", (12, 1), (64,), (source, target, *sizes, *evaluated.arguments))
    gpu.runtime.launch("ladder/fft_lines.cu", *launch, 2 * 6 * modes.itemsize)
    wrong = np.linalg.norm(gpu.to_host(target) - expected) / np.linalg.norm(expected)
    assert wrong < (1e-6 if real == np.float32 else 2e-15)


def test_radices():
    for n in range(4, 3000):
        steps = radices(n)
        rest = n
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest > 1 or n in (5, 7):
            assert steps is None
        else:
            assert np.prod(steps) == n and len(steps) > 1 and set(steps) <= {2, 3, 4, 5, 7, 8, 16}
            assert sorted(r * (n // steps[-1]) + k for k in first_modes(steps) for r in range(steps[-1])) == list(
                range(n)
            )


def test_lengths_that_were_promised():
    wanted = {2**k for k in range(4, 12)} | {3 * 2**k for k in range(3, 10)} | {5 * 2**k for k in range(2, 9)} | {960}
    assert all(radices(n) for n in wanted)
    assert {256, 384, 512, 640, 768, 1024, 1280, 1536, 2048} <= set(FIXED)
