"""Errors of means over correlated frames, against what is known of autoregressive series; profiles of known charges."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.operators.points.trajectory_average import Blocks


def autoregressive(n, memory, components, seed=5):
    """f_t = φ f_{t-1} + noise of variance 1 - φ²: variance 1, τ_int = (1 + φ)/(2 (1 - φ))."""
    rng = np.random.default_rng(seed)
    series = np.empty((n, components))
    series[0] = rng.normal(size=components)
    for t in range(1, n):
        series[t] = memory * series[t - 1] + np.sqrt(1 - memory**2) * rng.normal(size=components)
    return series


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_errors_know_how_long_frames_remember(memory):
    series = autoregressive(8192, memory, 200)
    found = gh.average_over_frames(series)
    inefficiency = (1 + memory) / (1 - memory)
    expected = np.sqrt(inefficiency / 8192)
    assert np.sqrt(np.mean(found.uncertainty**2)) == pytest.approx(expected, rel=0.15)
    assert np.sqrt(np.mean(found.mean**2)) == pytest.approx(expected, rel=0.2)  # the true mean is zero
    assert found.converged and found.n_frames == 8192
    time = found.correlation_time
    assert abs(time.value - inefficiency / 2) < 2 * time.uncertainty + 0.1 * inefficiency / 2
    np.testing.assert_allclose(found.mean, series.mean(axis=0), atol=1e-12)


def test_independent_frames_have_the_ordinary_error():
    series = np.random.default_rng(2).normal(size=(1001, 30))
    found = gh.average_over_frames(iter(series))
    assert found.block <= 16
    assert np.sqrt(np.mean(found.uncertainty**2)) == pytest.approx(1 / np.sqrt(1001), rel=0.15)


def test_blocks_are_means_of_neighbours():
    series = np.random.default_rng(4).normal(size=(48, 3))
    blocks = Blocks()
    for values in series:
        blocks.add(values)
    for level in (0, 1, 2, 3):
        means = series[: 48 // 2**level * 2**level].reshape(-1, 2**level, 3).mean(axis=1)
        np.testing.assert_allclose(blocks.error(level), means.var(axis=0, ddof=1) / len(means), rtol=1e-12)
    assert len(blocks.counts) == 6  # log2 of the frames, not the frames


def test_a_run_shorter_than_its_memory_says_so():
    found = gh.average_over_frames(autoregressive(64, 0.995, 5))
    assert not found.converged and "lower bounds" in found.remarks[0]
    still = gh.average_over_frames([1.0] * 20)
    assert still.converged and float(still.uncertainty) == 0


def frames(n, rng, cell=None):
    cell = np.array([[8.0, 0, 0], [1.0, 7.0, 0], [0.5, 0.3, 24.0]]) if cell is None else cell
    charges = np.array([1.0, -1.0] * 20)
    for _ in range(n):
        fraction = rng.uniform(-0.4, 1.4, size=(40, 3))
        yield gh.Frame(fraction @ cell, charges, cell)


def test_profile_of_a_trajectory_is_the_mean_histogram():
    found = gh.trajectory_profile(frames(32, np.random.default_rng(1)), 1.0)
    cell = np.array([[8.0, 0, 0], [1.0, 7.0, 0], [0.5, 0.3, 24.0]])
    heights = []
    for frame in frames(32, np.random.default_rng(1)):
        heights.append(frame.positions[:, 2] % 24.0)
    counted, edges = np.histogram(np.concatenate(heights), 24, (0, 24), weights=np.tile([1.0, -1.0], 20 * 32))
    assert abs(np.linalg.det(cell)) == pytest.approx(24.0 * 56.0)
    assert (found.length, found.area) == pytest.approx((24.0, 56.0))
    np.testing.assert_allclose(found.values, counted / 32 / 56.0, atol=1e-12)
    np.testing.assert_allclose(found.position, (edges[1:] + edges[:-1]) / 2)
    assert (found.unit, found.quantity, found.boundary) == ("e/Å^3", "charge_density", "periodic")
    assert found.uncertainty.shape == (24,) and (found.uncertainty > 0).any()
    assert found.provenance[-1]["frames"] == 32


def test_charge_is_kept_where_the_cell_breathes():
    """Each frame's charge per area, whatever its length."""
    rng = np.random.default_rng(3)

    def breathing():
        for t in range(16):
            cell = np.diag([5.0, 5.0, 20.0 + 0.5 * np.sin(t)])
            yield gh.Frame(rng.uniform(0, 1, (10, 3)) @ cell, np.ones(10), cell)

    found = gh.trajectory_profile(breathing(), 0.5)
    lengths = 20.0 + 0.5 * np.sin(np.arange(16))
    assert found.length == pytest.approx(lengths.mean())
    assert found.values.mean() == pytest.approx(np.mean(10 / 25 / lengths))


def test_surface_charge_over_frames():
    """+1 at each Å and -1 .3 above, all trembling together: σ = .3 in every frame, hence without error."""
    rng = np.random.default_rng(9)
    heights = np.array([j + dx for j in range(40) for dx in (0.0, 0.3)])
    series = [heights + rng.normal(scale=0.1) for _ in range(16)]

    def sigma(x):
        return float(gh.point_surface_charge(gh.PointCharges(x, [1.0, -1.0] * 40), x_b=19.6, eps=5.0).low)

    found = gh.average_over_frames(series, sigma)
    assert float(found.mean) == pytest.approx(0.3, abs=1e-10) and float(found.uncertainty) < 1e-10


REFUSED = {
    "three frames": (lambda: gh.average_over_frames([1.0, 2.0, 3.0]), "3 frames"),
    "none": (lambda: gh.average_over_frames([]), "0 frames"),
    "shapes": (lambda: gh.average_over_frames([[1.0], [1.0, 2.0]]), "Frame 1.*shape"),
    "not finite": (lambda: gh.average_over_frames([1.0, np.nan]), "Frame 1.*not finite"),
    "spacing": (lambda: gh.trajectory_profile([], 0.0), "positive width"),
    "cells without end": (
        lambda: gh.trajectory_profile([gh.Frame(np.zeros((1, 3)), np.ones(1), 9 * np.eye(3))], 1e-9),
        "makes more than 16777216 cells",
    ),
    "no frames": (lambda: gh.trajectory_profile([], 1.0), "0 frames"),
    "no volume": (
        lambda: gh.trajectory_profile([gh.Frame(np.zeros((1, 3)), np.ones(1), np.zeros((3, 3)))], 1.0),
        "Singular cell",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, words = REFUSED[case]
    with pytest.raises(InputError, match=words) as refused:
        make()
    assert str(refused.value).endswith(".")
