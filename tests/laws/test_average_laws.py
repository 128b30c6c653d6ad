"""Laws of averages, for random fields, cells and kernels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuhomog as gh

pytestmark = [pytest.mark.smoke, pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")]

CELLS = [
    np.diag([3.0, 4.0, 5.0]),
    np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]]),
    np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]]),
    np.array([[3.0, 0.0, 0.0], [-1.5, 2.598, 0.0], [0.0, 0.0, -6.0]]),  # left-handed
]


def sampled():
    return gh.Sampled(np.arange(9), [0, 0, 1, 3, 4, 3, 1, 0, 0], 1.2)


KERNELS = st.one_of(
    st.floats(0.3, 3.0).map(gh.Gaussian),
    st.floats(0.3, 3.0).map(gh.Ball),
    st.floats(0.3, 3.0).map(gh.PowerLaw),
    st.floats(0.3, 3.0).map(gh.Box),
    st.tuples(*[st.floats(0.3, 3.0)] * 3).map(gh.Box),
    st.floats(0.3, 3.0).map(lambda e: gh.Disc(e, axis=1)),
)
SHAPES = st.tuples(*[st.integers(3, 9)] * 3)
SEEDS = st.integers(0, 2**32 - 1)


def noise(shape, seed):
    return np.random.default_rng(seed).standard_normal(shape)


@given(KERNELS, SHAPES, st.sampled_from(CELLS), st.floats(-1e6, 1e6), st.booleans())
def test_a_constant_is_unchanged(kernel, shape, cell, value, coarse):
    field = gh.Field.from_array(np.full(shape, value), cell)
    averaged = gh.average(field, kernel, spacing=2.0 if coarse else None)
    assert np.abs(averaged.values - value).max() <= 1e-14 * abs(value) * 30


@given(KERNELS, SHAPES, st.sampled_from(CELLS), SEEDS)
def test_the_integral_is_conserved(kernel, shape, cell, seed):
    field = gh.Field.from_array(noise(shape, seed), cell)
    assert gh.average(field, kernel).integral() == pytest.approx(field.integral(), abs=1e-12)


@given(KERNELS, SHAPES, st.sampled_from(CELLS), SEEDS, st.floats(-3, 3), st.floats(-3, 3), st.booleans())
def test_linearity(kernel, shape, cell, seed, p, q, coarse):
    a, b = noise(shape, seed), noise(shape, seed + 1)
    spacing = 1.5 if coarse else None
    one, two, both = (gh.average(gh.Field.from_array(v, cell), kernel, spacing=spacing) for v in (a, b, p * a + q * b))
    assert np.abs(both.values - (p * one.values + q * two.values)).max() < 1e-13


@given(KERNELS, SHAPES, st.sampled_from(CELLS), SEEDS, st.tuples(*[st.floats(-2, 2)] * 3))
def test_translation_by_any_sub_voxel_amount(kernel, shape, cell, seed, shift):
    """Moving the field and averaging is averaging and moving; both moves by phases of the modes."""
    shape = tuple(n | 1 for n in shape)  # odd: every mode has one sign

    def moved(values):
        modes = np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in values.shape], indexing="ij")
        phase = np.exp(-2j * np.pi * sum(m * s / n for m, s, n in zip(modes, shift, shape, strict=True)))
        return np.fft.ifftn(np.fft.fftn(values) * phase).real

    values = noise(shape, seed)
    then = moved(gh.average(gh.Field.from_array(values, cell), kernel).values)
    first = gh.average(gh.Field.from_array(moved(values), cell), kernel)
    assert np.abs(first.values - then).max() < 1e-13


@given(KERNELS, SHAPES, st.sampled_from(CELLS), SEEDS, st.permutations([0, 1, 2]), st.booleans())
def test_axis_permutation(kernel, shape, cell, seed, order, coarse):
    values = noise(shape, seed)
    spacing = [1.1, 1.6, 2.1] if coarse else None
    plain = gh.average(gh.Field.from_array(values, cell), kernel, spacing=spacing)
    if kernel.name == "box" and isinstance(kernel.width, tuple):
        kernel = gh.Box([kernel.width[i] for i in order])
    if kernel.name == "disc":
        kernel = gh.Disc(kernel.eps, axis=order.index(kernel.axis))
    turned = gh.average(
        gh.Field.from_array(values.transpose(order), cell[list(order)]),
        kernel,
        spacing=[spacing[i] for i in order] if coarse else None,
    )
    assert np.abs(turned.values - plain.values.transpose(order)).max() < 2e-14


@given(KERNELS, st.sampled_from(CELLS), SEEDS)
def test_commutes_with_derivatives(kernel, cell, seed):
    """Gradient of the average = average of the gradient; the latter's gradient by another route, FFT by hand."""
    shape = (5, 7, 9)
    values = noise(shape, seed)
    modes = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in shape], indexing="ij"), -1)
    k = modes @ (2 * np.pi * np.linalg.inv(cell).T)
    field = gh.Field.from_array(values, cell)
    for x, component in enumerate(gh.average_gradient(field, kernel)):
        slope = np.fft.ifftn(1j * k[..., x] * np.fft.fftn(values)).real
        expected = gh.average(gh.Field.from_array(slope, cell), kernel)
        assert np.abs(component.values - expected.values).max() < 1e-12


@given(KERNELS, st.sampled_from(CELLS), SEEDS, st.sampled_from(["bandlimited", "cell"]))
def test_coarse_is_the_full_result_sampled(kernel, cell, seed, sampling):
    shape, m = (8, 12, 9), (4, 3, 3)
    field = gh.Field.from_array(noise(shape, seed), cell)
    if sampling == "cell":  # at least one sample wide
        kernel = gh.Box(max(1.0, kernel.full_width))
    full = gh.average(field, kernel, sampling=sampling)
    coarse = gh.average(field, kernel, spacing=np.linalg.norm(cell, axis=1) / m, sampling=sampling)
    assert coarse.grid.shape == m
    assert np.abs(coarse.values - full.values[::2, ::4, ::3]).max() < 1e-13


@given(st.floats(0.4, 3.0), SEEDS, st.sampled_from(["gaussian", "ball", "powerlaw"]), st.sampled_from(["C", "F"]))
def test_two_cells_of_the_same_crystal_give_the_same_field(eps, seed, name, order):
    """A primitive oblique cell, the sheared cell (a, b + a, c) and a 2 x 1 x 2 supercell."""
    kernel = {"gaussian": gh.Gaussian, "ball": gh.Ball, "powerlaw": gh.PowerLaw}[name](eps)
    cell = np.array([[3.0, 0.0, 0.0], [1.5, 2.6, 0.0], [0.2, 0.3, 3.1]])
    n = 7
    # modes |n| <= 1 lie in the band of both cells: what is band-limited in one is so in the other
    low = np.abs(np.fft.fftfreq(n, 1 / n)) <= 1
    spectrum = np.fft.fftn(noise((n, n, 5), seed)) * (low[:, None, None] & low[:, None])
    values = np.array(np.fft.ifftn(spectrum).real, order=order)
    plain = gh.average(gh.Field.from_array(values, cell), kernel).values
    sheared_cell = np.array([cell[0], cell[1] + cell[0], cell[2]])
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    index = (i + j) % n  # point i a/n + j (a + b)/n is (i + j) a/n + j b/n
    sheared = gh.average(gh.Field.from_array(values[index, j], sheared_cell), kernel).values
    assert np.abs(sheared - plain[index, j]).max() < 1e-13
    large = gh.average(gh.Field.from_array(np.tile(values, (2, 1, 2)), cell * [[2], [1], [2]]), kernel).values
    assert np.abs(large - np.tile(plain, (2, 1, 2))).max() < 1e-13
