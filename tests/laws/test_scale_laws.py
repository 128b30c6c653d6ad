"""Laws of scales: what moving, turning, stretching and adding a constant does to them, and what it does not."""

import warnings

import numpy as np
import pytest
from disordered import disordered
from hypothesis import given
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning
from gpuhomog.operators.macroscale.assumption_8 import _decide
from gpuhomog.operators.macroscale.interval_field import Line

pytestmark = [pytest.mark.smoke, pytest.mark.filterwarnings("ignore::gpuhomog.AccuracyWarning")]

SEEDS = st.integers(0, 10**6)


def field_of(values, cell):
    return gh.Field.from_array(values, cell)


def scales(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        return gh.scales(*arguments, **options)


@given(SEEDS, st.floats(0.1, 30.0), st.floats(0.01, 100.0), st.floats(-5, 5))
def test_a_stretched_cell_stretches_the_scales(seed, stretch, factor, constant):
    values = disordered(2, (256,), 0.25, seed=seed) + np.sin(2 * np.pi * np.arange(256) / 256)
    one = scales(gh.Profile(np.arange(256) * 0.25, values, None, "scalar", 64.0))
    position = np.arange(256) * (0.25 * stretch)
    two = scales(gh.Profile(position, factor * values + constant, None, "scalar", 64.0 * stretch))
    assert (two.a, two.L, two.eps) == pytest.approx((one.a * stretch, one.L * stretch, one.eps * stretch))
    powers = [p * factor**2 for p in (one.low, one.mid, one.high)]
    assert (two.low, two.mid, two.high) == pytest.approx(powers, abs=1e-12 * (factor + abs(constant)) ** 2)


@given(SEEDS, st.permutations([0, 1, 2]), st.tuples(*[st.integers(0, 20)] * 3))
def test_shifts_and_exchanged_axes_change_nothing(seed, order, shift):
    values = disordered(1, (16, 9, 10), 0.5, seed=seed)
    cell = np.array([[8.0, 0.5, 0.0], [-0.7, 4.5, 0.3], [0.2, 0.4, 5.0]])
    one = scales(field_of(values, cell))
    moved = np.roll(values, shift, axis=(0, 1, 2)).transpose(order)
    two = scales(field_of(moved, cell[list(order)]))
    np.testing.assert_allclose(two.k, one.k, rtol=1e-9)
    np.testing.assert_allclose(two.power, one.power, rtol=1e-7, atol=1e-14)
    assert two.verdict == one.verdict


@given(SEEDS, st.integers(1, 3))
def test_another_choice_of_the_cell_has_the_same_waves(seed, turns):
    """a → a + m b on the same points of space: shells of |k| stay, up to the aliases at the edge of the grid."""
    n, rng = 16, np.random.default_rng(seed)
    cell = np.array([[8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 3.0]])
    fractions = np.stack(np.meshgrid(np.arange(n) / n, np.arange(n) / n, [0.0], indexing="ij"), -1)
    other = cell.copy()
    other[0] = cell[0] + turns * cell[1]
    waves = [(rng.normal(), rng.integers(-1, 2, size=2), rng.uniform(0, 7)) for _ in range(6)]

    def sampled(rows):
        places = fractions @ rows
        return sum(q * np.cos(2 * np.pi * (places[..., :2] @ m) / 8 + phase) for q, m, phase in waves)

    one, two = scales(field_of(sampled(cell), cell)), scales(field_of(sampled(other), other))
    low = {round(k, 9): p for k, p in zip(one.k, one.power, strict=True) if p > 1e-20}
    for k, power in zip(two.k, two.power, strict=True):
        if power > 1e-20:
            assert power == pytest.approx(low[round(k, 9)], rel=1e-10)


@given(SEEDS, st.sampled_from(["periodic", "open"]), st.integers(17, 200))
def test_the_powers_add_up(seed, boundary, n):
    values = np.random.default_rng(seed).standard_normal(n)
    found = scales(gh.Profile(np.arange(n) * 1.0, values, None, "scalar", float(n), boundary))
    assert found.low + found.mid + found.high == pytest.approx(found.power.sum(), rel=1e-12)
    if boundary == "periodic":
        assert found.power.sum() == pytest.approx(values.var(), rel=1e-12)
        assert found.modes.sum() == n - 1


@given(SEEDS, st.sampled_from([2, 4]), st.sampled_from([2, 4, 8, 16]))
def test_coarse_nodes_never_contradict_fine_ones(seed, alpha, coarse):
    """Certificates of Assumption 8: what wide nodes decide, with their bounds, fine ones find without bounds."""
    values = disordered(alpha, (1024,), 0.125, seed=seed)
    line = Line(gh.Profile(np.arange(1024) * 0.125, values / values.std(), None, "scalar", 128.0))
    x, a, eps_x, interval = 64.0, 12.0, 16.0, (-0.03, 0.05)
    bounds = (1.02 * line.largest, 1.02 * line.steepest)
    h = coarse * line.shortest / 16
    n = max(1, int(np.ceil(eps_x / 2 / h)))
    verdict = _decide(line, x, eps_x / 2 / n, n, a, eps_x, interval, bounds)[0]
    inf, sup = _decide(line, x, eps_x / 2 / 512, 512, a, eps_x, interval, bounds)[3]
    if verdict != "undecided":
        assert (verdict == "yes") == (inf < interval[0] and sup > interval[1])
