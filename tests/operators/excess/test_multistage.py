"""Several stages: transforms multiply, nothing is lost, and what interfaces carry reaches the largest scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuhomog as gh
from gpuhomog.errors import InputError, KernelError


def periodic(values, length):
    n = len(values)
    return gh.Profile(np.arange(n) * length / n, values, "V", "electrostatic_potential", length)


def open_cells(values, start, h):
    x = start + h * (np.arange(len(values)) + 0.5)
    return gh.Profile(x, values, "e/Å^3", "charge_density", h * len(values), boundary="open")


def test_transforms_multiply():
    """Three waves, each under the Gaussians of both stages: exp(-k² (eps1² + eps2²)/8)."""
    x = np.arange(2000) * 0.1
    waves = ((1.0, 3), (0.5, 17), (2.0, 90))
    values = 0.7 + sum(a * np.cos(2 * np.pi * n * x / 200 + n) for a, n in waves)
    found = gh.homogenize(periodic(values, 200.0), [gh.Stage(1.5), gh.Stage((2.0, 32.0))])
    assert [stage.eps for stage in found.stages] == pytest.approx([1.5, 8.0])
    assert found.eps == pytest.approx(np.hypot(1.5, 8.0))
    for stage, square in zip(found.stages, (1.5**2, 1.5**2 + 64), strict=True):
        left = [(a * np.exp(-((2 * np.pi * n / 200) ** 2) * square / 8), n) for a, n in waves]
        expected = 0.7 + sum(a * np.cos(2 * np.pi * n * x / 200 + n) for a, n in left)
        np.testing.assert_allclose(stage.average.values, expected, atol=1e-12)
        np.testing.assert_array_equal(stage.macroscopic.values, stage.average.values)
        assert stage.interfaces == () and abs(stage.closure) < 1e-10


def crystal_slab(cells=80, h=1 / 200):
    """The trigonometric crystal of the theory between 0 and `cells`, as exact cell averages in vacuum."""

    def primitive(x):
        terms = ((0.7, 1, 0.3), (-1.1, 2, 1.9), (0.45, 3, -0.8))
        return sum(a * np.sin(2 * np.pi * n * x + phase) / (2 * np.pi * n) for a, n, phase in terms)

    edges = np.arange(-10.0, cells + 10 + h / 2, h)
    return open_cells(np.diff(primitive(np.clip(edges, 0.0, cells))) / h, -10.0, h)


def test_surfaces_of_a_crystal_keep_their_charge_from_stage_to_stage():
    """Abel's sum: σ of the lower surface is .067036749; of the upper its negative, after whole cells."""
    surfaces = (0.0, 80.0)
    found = gh.homogenize(crystal_slab(), [gh.Stage(2.6, surfaces), gh.Stage(5.0, surfaces), gh.Stage(8.0, surfaces)])
    for stage in found.stages:
        low, high = (float(excess) for excess in stage.excesses)
        assert low == pytest.approx(0.06703674913403757, abs=1e-9)
        assert high == pytest.approx(-0.06703674913403757, abs=1e-9)
        assert stage.excesses[0].unit == "e/Å^2" and abs(stage.closure) < 1e-9
        assert np.abs(stage.macroscopic.values).max() < 1e-6
    assert "excess at 80 Å" in str(found)


def superlattice(periods=26, h=0.1):
    """Layers of 30 Å with 0.3 and -0.2 and a microscopic wave, +0.5 and -0.1 on every other interface."""
    n = round(60 * periods / h)
    x = h * (np.arange(n) + 0.5)
    values = np.where(x % 60 < 30, 0.3, -0.2) + 0.4 * np.cos(2 * np.pi * x)
    per_layer = round(30 / h)
    for k in range(2 * periods + 1):  # a charge sits in the two cells beside its interface
        charge = (0.5, -0.1)[k % 2]
        for cell in (k * per_layer - 1, k * per_layer):
            if 0 <= cell < n:
                values[cell] += charge / 2 / h
    margin = round(60 / h)
    return open_cells(np.pad(values, margin), -60.0, h), [30.0 * k for k in range(2 * periods + 1)]


def test_what_interfaces_carry_is_part_of_the_density_and_surface_charge_of_a_superlattice():
    profile, layers = superlattice()
    surfaces = (layers[0], layers[-1])
    found = gh.homogenize(profile, [gh.Stage(2.6, tuple(layers)), gh.Stage(160.0, surfaces)])
    first, second = found.stages
    # the first stage finds each interface's charge; at the ends half of it lies inside
    expected = [0.25, *[(0.5, -0.1)[k % 2] for k in range(1, len(layers) - 1)], 0.25]
    assert [float(excess) for excess in first.excesses] == pytest.approx(expected, abs=1e-9)
    # the second: 60 Å hold 30 (.3 - .2) + .5 - .1
    mean = (30 * 0.1 + 0.4) / 60
    middle = np.abs(second.macroscopic.position - sum(surfaces) / 2) < 50
    assert second.macroscopic.values[middle] == pytest.approx(mean, abs=1e-9)
    # mean of C - mean x over one period deep inside, from the raw samples (eq. 39 with V_ref = mean)
    edges = profile.position + profile.spacing / 2
    rest = np.cumsum(profile.values) * profile.spacing - mean * edges
    window = (edges > 60 * 10 - 1e-6) & (edges < 60 * 11 - 1e-6)
    assert float(second.excesses[0]) == pytest.approx(rest[window].mean(), abs=1e-9)
    assert abs(second.closure) < 1e-6 and abs(first.closure) < 1e-8


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), x=st.floats(60.0, 90.0), eps=st.floats(2.0, 3.0))
def test_nothing_is_lost(seed, x, eps):
    """∫ν = ∫V_i + Σσ_i at every stage, periodic, for any field and any interfaces, on samples or between them."""
    values = np.random.default_rng(seed).normal(size=400)
    profile = periodic(values, 160.0)
    places = (20.0, x)
    found = gh.homogenize(profile, [gh.Stage(eps, places), gh.Stage(1.5 * eps, places), gh.Stage(9.0, (x,))])
    for stage in found.stages:
        total = stage.macroscopic.values.sum() * 0.4 + sum(float(excess) for excess in stage.excesses)
        assert total == pytest.approx(values.sum() * 0.4, abs=1e-9)


@pytest.mark.parametrize("place", [40.0, 40.03, 40.05])
def test_a_step_at_its_interface_leaves_no_excess_and_elsewhere_what_is_moved(place):
    """Two straight lines that meet at 40 with a jump of 1: dividing them at x moves x - 40, slopes ΔV' eps²/8."""
    h = 0.1
    edges = h * np.arange(1001)
    lower = np.clip(edges, 0, 40)
    upper = np.clip(edges, 40, 100)
    antiderivative = 0.5 * 0.01 * lower**2 + (upper - 40) * 1.4 + 0.5 * 0.02 * (upper - 40) ** 2
    profile = open_cells(np.diff(antiderivative) / h, 0.0, h)
    found = gh.homogenize(profile, [gh.Stage(2.0, (place,))])
    (excess,) = found.stages[0].excesses
    assert float(excess) == pytest.approx(1.0 * (place - 40) + 0.01 * 2.0**2 / 8, abs=1e-4)
    inside = (profile.position > 20) & (profile.position < 80)
    straight = np.where(profile.position < place, 0.01 * profile.position, 1.4 + 0.02 * (profile.position - 40))
    away = np.abs(profile.position - place) > h
    np.testing.assert_allclose(found.stages[0].macroscopic.values[inside & away], straight[inside & away], atol=1e-6)


WAVE = periodic(np.cos(2 * np.pi * np.arange(1000) / 20), 100.0)
REFUSED = {
    "none": ([], "No stages"),
    "negative": ([gh.Stage(-1.0)], "positive"),
    "narrow": ([gh.Stage(0.2)], "two samples"),
    "downwards": ([gh.Stage(4.0), gh.Stage(2.0)], "Stage 2.*not above"),
    "outside": ([gh.Stage(2.0, (120.0,))], "outside the profile"),
    "too close": ([gh.Stage(2.0, (20.0, 30.0))], "closer than 8 eps"),
    "too close around the period": ([gh.Stage(2.0, (2.0, 95.0))], "closer than 8 eps"),
    "new": ([gh.Stage(2.0, (20.0,)), gh.Stage(4.0, (60.0,))], "averaged over"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    stages, words = REFUSED[case]
    with pytest.raises((InputError, KernelError), match=words) as refused:
        gh.homogenize(WAVE, stages)
    assert str(refused.value).endswith(".")
