"""Bulks: periods as people give them, positions on the line, and the mirrored line."""

import numpy as np
import pytest

from gpuhomog.averaging_kernels import gaussian_tail
from gpuhomog.errors import InputError
from gpuhomog.operators.profiles.bulk import (
    Period,
    kernel_over_window,
    resolve_period,
    resolve_periods,
    windows_around,
)
from gpuhomog.operators.profiles.periods import find_periods
from gpuhomog.operators.profiles.unrolled import Unrolled
from gpuhomog.results import Profile

LINE = Unrolled(0.0, 0.1, np.cos(np.pi * (np.arange(600) + 0.5) * 0.1) * np.linspace(0.9, 1.1, 600))  # period 2 Å


@pytest.mark.parametrize("given", [2.5, 2, [2.5], np.array([2.5]), np.float32(2.5)])
def test_one_period(given):
    found = resolve_period(given, LINE, 10.0, 50.0)
    assert found == Period(float(np.ravel(given)[0]))


def test_a_found_period():
    assert resolve_period("auto", LINE, 10.0, 50.0).length == pytest.approx(2.0, abs=2e-4)
    assert resolve_period(None, LINE, 10.0, 50.0) is None


@pytest.mark.parametrize("given", ["guess", [1.0, 2.0], [], ["wide"], 0.0, -1.0, np.nan, {}])
def test_what_is_no_period(given):
    with pytest.raises(InputError, match="period = "):
        resolve_period(given, LINE, 10.0, 50.0)


def test_two_periods():
    x = (15.0, 45.0)
    assert resolve_periods((2.0, None), LINE, x) == (Period(2.0), None)
    assert resolve_periods(3.0, LINE, x) == (Period(3.0), Period(3.0))
    found = resolve_periods("auto", LINE, x)
    assert [p.length for p in found] == pytest.approx([2.0, 2.0], abs=1e-3)
    mixed = resolve_periods((3.0, "auto"), LINE, x)
    assert mixed[0] == Period(3.0)
    assert mixed[1].length == pytest.approx(2.0, abs=1e-4)
    with pytest.raises(InputError, match="one length"):
        resolve_periods((1.0, 2.0, 3.0), LINE, x)


def test_windows_stay_on_the_line():
    assert windows_around(LINE, (5.0, 45.0)) == ((0.0, 21.0), (29.0, 60.0))


def test_places_on_the_line():
    line = Unrolled(7.0, 0.5, np.zeros(20), turn=10.0)
    assert [line.place(x) for x in (7.0, 6.9, 17.0, -3.0)] == pytest.approx([7.0, 16.9, 7.0, 7.0])
    assert Unrolled(7.0, 0.5, np.zeros(20)).place(-40.0) == -40.0


@pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
def test_the_mirrored_line_integrates_from_above(sampling):
    line = Unrolled(3.0, 0.25, np.random.default_rng(3).random(31) - 0.3, sampling)
    x = np.array([3.0, 4.1, 7.7, 10.75])
    mirrored = line.mirrored()
    assert mirrored.density(-x[1:3]) == pytest.approx(line.density(x[1:3]))
    assert mirrored.cumulative(-x) == pytest.approx(line.total - line.cumulative(x), abs=1e-12)


def crystal(seed):
    """Profile of the matter of a slab of equal cells of Gaussian charges, and their period."""
    rng = np.random.default_rng(seed)
    a, n_cells, std, step = rng.uniform(3, 7), int(rng.integers(7, 20)), rng.uniform(0.3, 0.6), rng.uniform(0.1, 0.24)
    places, charges = a * rng.uniform(0, 1, 3), rng.standard_normal(3)
    charges -= charges.mean()
    x = np.arange(int(n_cells * a / step)) * step
    away = (x[:, None, None] - places - a * np.arange(n_cells)[:, None]) / std
    return Profile(x, np.exp(-(away**2) / 2).sum(axis=1) @ charges, None, "scalar", len(x) * step, boundary="open"), a


def test_a_mirrored_slab_has_the_same_period():
    """And the same uncertainty, which holds and is small, as the layers are all equally far apart."""
    for seed in range(5):
        profile, a = crystal(seed)
        values = profile.values[::-1]
        image = Profile(profile.position, values, None, "scalar", profile.length, boundary="open")
        (here,), (there,) = find_periods(profile, most=1), find_periods(image, most=1)
        assert there.value == pytest.approx(here.value, rel=1e-10)
        assert there.uncertainty == pytest.approx(here.uncertainty, rel=0.01)
        assert abs(here.value - a) < 2 * here.uncertainty < 1e-4 * a


@pytest.mark.parametrize("eps", [1.0, 2.4, 6.0])
def test_what_a_kernel_and_a_window_see_of_layers_that_differ(eps):
    """C is off by another number in each of 3000 layers: how its means scatter, by the sums that give charges."""
    rng, period, per_layer = np.random.default_rng(1), 2.0, 16
    off = np.repeat(rng.standard_normal(3000), per_layer)
    line = Unrolled(0.0, period / per_layer, np.diff(off, prepend=0.0) * per_layer / period, "cell")
    middles = np.arange(50.0, line.end - 50.0, 0.7)
    near = [np.abs(line.position - x) < 6 * eps + 1 for x in middles]
    start = [line.cumulative(line.position[some][0] - line.spacing / 2) for some in near]
    kernel = [
        first + (line.values[some] * gaussian_tail(line.position[some] - x, eps)).sum() * line.spacing
        for first, some, x in zip(start, near, middles, strict=True)
    ]
    found = np.std(kernel) / np.std(line.window_mean(middles, period))
    assert found == pytest.approx(kernel_over_window(eps, period), rel=0.03)
