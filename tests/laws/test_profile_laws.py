"""Laws of planar and macroscopic averages: translation, linearity, axis permutation, choice of cell."""

import gzip
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh

pytestmark = pytest.mark.smoke

DATA = Path(__file__).parents[1] / "data"
CELL = np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]])


def silicon():
    """Si_CHGCAR read by hand: cell rows [Å], and values (a, b, c); the density times the volume."""
    with gzip.open(DATA / "Si_CHGCAR.gz", "rt") as file:
        lines = file.read().split("\n")
    cell = float(lines[1]) * np.array([line.split() for line in lines[2:5]], dtype=float)
    blank = next(i for i, line in enumerate(lines) if i > 6 and not line.strip())
    shape = tuple(int(n) for n in lines[blank + 1].split())
    words = " ".join(lines[blank + 2 :]).split()[: int(np.prod(shape))]
    return cell, np.array(words, dtype=float).reshape(shape, order="F")


def plane_waves(shape, cell, seed, shift=(0.0, 0.0, 0.0)):
    """Random plane waves, sampled; every point moved by a Cartesian shift of any size."""
    rng = np.random.default_rng(seed)
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
    fractions = fractions + np.asarray(shift) @ np.linalg.inv(cell)
    values = np.full(shape, 0.7)
    for _ in range(30):
        index = rng.integers(-2, 3, size=3)
        values = values + rng.normal() * np.cos(2 * np.pi * fractions @ index + rng.uniform(0, 7))
    for index in ((1, 1, 0), (2, 2, 0), (1, -1, 2), (0, 0, 1), (0, 0, 2)):
        values = values + np.cos(2 * np.pi * fractions @ np.array(index) + rng.uniform(0, 7))
    return gh.Field.from_array(values, cell)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.tuples(*[st.floats(-3, 3)] * 3), st.sampled_from(["c", "110", "1,-1,2"]))
def test_sub_voxel_translation_moves_the_profile(seed, shift, planes):
    """f(r + t) has the profile p(x + n·t): independent sampling of the moved field, not a shifted spectrum."""
    from gpuhomog.operators.profiles.between_points import values_at

    here = gh.planar_average(plane_waves((13, 14, 16), CELL, seed), planes)
    moved = gh.planar_average(plane_waves((13, 14, 16), CELL, seed, shift), planes)
    expected = values_at(here, here.position + here.normal @ np.array(shift))
    np.testing.assert_allclose(moved.values, expected, rtol=0, atol=3e-12)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.3, 5.0), st.floats(-3, 3), st.integers(1, 2))
def test_average_of_a_translated_profile_is_the_translated_average(seed, window, shift, passes):
    from gpuhomog.operators.profiles.between_points import values_at

    here = gh.planar_average(plane_waves((8, 8, 24), CELL, seed), "c")
    moved = gh.planar_average(plane_waves((8, 8, 24), CELL, seed, shift * here.normal), "c")
    window = min(window, here.length)
    average = gh.macroscopic_average(here, window, passes=passes)
    other = gh.macroscopic_average(moved, window, passes=passes)
    np.testing.assert_allclose(other.values, values_at(average, average.position + shift), rtol=0, atol=3e-12)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.floats(-5, 5), st.sampled_from([0, 1, 2, "110", "1,-1,2"]))
def test_linearity_and_constants(seed, factor, planes):
    one, other = plane_waves((13, 14, 16), CELL, seed), plane_waves((13, 14, 16), CELL, seed + 1)
    both = gh.Field.from_array(one.values + factor * other.values + 2.5, CELL)
    whole = gh.planar_average(both, planes)
    parts = [gh.planar_average(f, planes).values for f in (one, other)]
    np.testing.assert_allclose(whole.values, parts[0] + factor * parts[1] + 2.5, rtol=0, atol=1e-12)
    window = 0.4 * whole.length
    smooth = gh.macroscopic_average(whole, window)
    np.testing.assert_allclose(smooth.mean(), np.mean(both.values), rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("indices", [(1, 1, 0), (1, -1, 2), (0, 0, 1)])
def test_axis_permutation(order, indices):
    """Renaming the axes renames the planes and changes no number (a left-handed cell included)."""
    field = plane_waves((13, 14, 16), CELL, 4)
    renamed = gh.Field.from_array(np.transpose(field.values, order), CELL[list(order)])
    before = gh.planar_average(field, indices)
    after = gh.planar_average(renamed, tuple(indices[i] for i in order))
    np.testing.assert_allclose(after.values, before.values, rtol=0, atol=1e-12)
    np.testing.assert_allclose(after.normal, before.normal, atol=1e-14)


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 1), (1, 3, 2)])
@pytest.mark.parametrize("indices", [(1, 1, 0), (1, 1, 1), (0, 1, -1), (1, -1, 2)])
@pytest.mark.parametrize("skew", [((1, 0, 0), (1, 1, 0), (0, 0, 1)), ((1, 1, 0), (0, 1, 1), (1, 1, 1))])
def test_two_cells_of_silicon_give_the_same_profile(repeats, indices, skew):
    """Another cell of the crystal, repeats * skew * primitive rows, its values taken by mapping indices only.

    The planes (h k l) have the indices M (h k l) there. The grid points are the same, so every harmonic is
    the same number; the harmonics of a supercell's family that the crystal lacks are zero.
    """
    cell, values = silicon()
    n = values.shape[0]
    skew = np.array(skew)
    assert round(np.linalg.det(skew)) == 1
    rows = np.diag(repeats) @ skew @ cell
    index = np.stack(np.meshgrid(*(np.arange(n * m) for m in repeats), indexing="ij"), -1) @ skew % n
    other_values = values[index[..., 0], index[..., 1], index[..., 2]]
    raw = np.diag(repeats) @ skew @ np.array(indices)
    common = int(np.gcd.reduce(raw))  # the supercell's planes lie `common` times farther apart
    one = gh.planar_average(gh.Field.from_array(values, cell), indices)
    other = gh.planar_average(gh.Field.from_array(other_values, rows), tuple(int(i) for i in raw // common))
    np.testing.assert_allclose(other.length, common * one.length, rtol=1e-12)
    np.testing.assert_allclose(other.normal, one.normal, atol=1e-12)
    shared = min(len(one.values), len(other.values) // common)
    shared = max(1, shared // 2)
    of_one = np.fft.rfft(one.values)[:shared] / len(one.values)
    of_other = np.fft.rfft(other.values)[: (shared - 1) * common + 1] / len(other.values)
    assert len(of_one) >= 4
    tolerance = 1e-9 * np.abs(values).max()
    np.testing.assert_allclose(of_other[::common], of_one, rtol=0, atol=tolerance)
    between = np.delete(of_other, np.arange(0, len(of_other), common))
    np.testing.assert_allclose(between, 0, atol=tolerance)


@pytest.mark.parametrize("planes", [(1, 1, 1), (1, 1, 0), (1, -1, 2)])
def test_silicon_planes_against_direct_fourier_sums(planes):
    """Independent route: Σ f exp(-i n G·r) over every grid point, point by point, without bins or FFT."""
    cell, values = silicon()
    profile = gh.planar_average(gh.Field.from_array(values, cell), planes)
    fractions = np.stack(np.meshgrid(*(np.arange(n) / n for n in values.shape), indexing="ij"), -1).reshape(-1, 3)
    wavevector = np.array(planes) @ (2 * np.pi * np.linalg.inv(cell).T)
    phase = (fractions @ cell) @ wavevector
    direct = np.full(profile.values.shape, values.mean())
    for n in range(1, len(profile.values) // 2 + 1):
        coefficient = np.mean(values.ravel() * np.exp(-1j * n * phase))
        direct += 2 * (coefficient * np.exp(2j * np.pi * n * profile.position / profile.length)).real
    np.testing.assert_allclose(profile.values, direct, rtol=0, atol=1e-9 * np.abs(values).max())


def test_a_supercell_keeps_profile_and_average():
    field = plane_waves((8, 8, 24), CELL, 9)
    double = gh.Field.from_array(np.tile(field.values, (1, 1, 2)), CELL * np.array([[1], [1], [2]]))
    one, two = gh.planar_average(field, "c"), gh.planar_average(double, "c")
    np.testing.assert_allclose(two.values, np.tile(one.values, 2), atol=1e-13)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        averages = [gh.macroscopic_average(p, 1.7).values for p in (one, two)]
    np.testing.assert_allclose(averages[1], np.tile(averages[0], 2), atol=1e-13)
