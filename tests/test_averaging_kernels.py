"""Averaging kernels against quadrature of their density, and the refusals."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

import gpuhomog as gh
from gpuhomog.averaging_kernels import gaussian_tail
from gpuhomog.errors import AccuracyWarning, KernelError

KERNELS = [gh.Gaussian(1.3), gh.TopHat(1.3), gh.Box(2.0), gh.Ball(1.3), gh.Disc(1.3), gh.PowerLaw(1.3)]


def integral(function, low, high):
    middle = sorted({low, -1.0, 0.0, 1.0, high} & {x for x in (low, -1.0, 0.0, 1.0, high) if low <= x <= high})
    parts = [quad(function, a, b, limit=400, epsabs=1e-13)[0] for a, b in pairwise(middle)]
    return sum(parts)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_moments_cumulative_and_transform_are_integrals_of_the_density(kernel):
    end = min(kernel.reach(1e-15), 300.0)
    density = lambda u: float(kernel.density(u))  # noqa: E731
    assert integral(density, -end, end) == pytest.approx(1.0, abs=2e-12)
    assert integral(lambda u: u * u * density(u), -end, end) == pytest.approx(kernel.moment(2), rel=1e-6)
    assert kernel.moment(2) == pytest.approx(kernel.eps**2 / 4, rel=1e-13)  # eps is twice the standard deviation
    assert kernel.moment(0) == pytest.approx(1.0) and kernel.moment(3) == 0.0
    for u in (-0.7, 0.0, 0.4):
        assert float(kernel.cumulative(u)) == pytest.approx(integral(density, -end, u), abs=1e-11)
    for k in (0.0, 0.3, 1.7, 4.0):
        wave = integral(lambda u, k=k: np.cos(k * u) * density(u), -min(end, 60.0), min(end, 60.0))
        assert float(kernel.transform(k)) == pytest.approx(wave, abs=1e-8)


@pytest.mark.parametrize("kernel", [gh.Gaussian(1.3), gh.Ball(1.3), gh.PowerLaw(1.3)], ids=lambda k: k.name)
def test_fourth_moment_and_curvature(kernel):
    end = np.inf if kernel.name == "powerlaw" else kernel.reach(1e-15)
    fourth = quad(lambda u: 2 * u**4 * float(kernel.density(u)), 0, end, limit=900)[0]
    assert fourth == pytest.approx(kernel.moment(4), rel=1e-7)
    h = 1e-3
    second = (kernel.density(h) - 2 * kernel.density(0.0) + kernel.density(-h)) / h**2
    assert kernel.curvature == pytest.approx(float(second), rel=1e-5)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_tails(kernel):
    for reach in (0.5, 1.0, 1.4):
        assert kernel.truncated_mass(reach) == pytest.approx(
            1 - integral(lambda u: float(kernel.density(u)), -reach, reach),
            abs=1e-8,  # quadrature across the top-hat's edge
        )
    assert kernel.truncated_mass(kernel.reach(1e-9)) <= 1e-9
    cutoff = kernel.cutoff(1e-9)
    if np.isfinite(cutoff):
        assert abs(kernel.transform(cutoff * 1.0001)) <= 1e-9 < abs(kernel.transform(cutoff * 0.999))


def test_power_law_tail_is_continuous_where_its_form_changes():
    kernel = gh.PowerLaw(1.0)
    below, above = kernel.truncated_mass(29.99 * kernel.b), kernel.truncated_mass(30.01 * kernel.b)
    assert above / below == pytest.approx((29.99 / 30.01) ** 5, rel=1e-4)
    exact = 2 * quad(lambda u: float(kernel.density(u)), 30.01 * kernel.b, np.inf)[0]
    assert above == pytest.approx(exact, rel=1e-4)


def test_ball_series_meets_closed_form():
    ball = gh.Ball(2 / 5**0.5)  # radius 1
    z = np.array([0.2999, 0.3001])
    closed = 3 * (np.sin(z) - z * np.cos(z)) / z**3
    assert ball.transform(z) == pytest.approx(closed, abs=1e-12)


def test_box_and_tophat_are_not_confused():
    assert gh.TopHat(1.0).full_width == pytest.approx(3**0.5)
    assert gh.Box(1.0).full_width == 1.0
    assert gh.Box((1.0, 2.0, 3.0)).along(1).full_width == pytest.approx(2.0)
    with pytest.raises(KernelError, match="along"):
        gh.Box((1.0, 2.0, 3.0)).density(0.0)


@pytest.mark.parametrize("make", [gh.Gaussian, gh.TopHat, gh.Ball, gh.PowerLaw, gh.Box, gh.Disc])
@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf"), "wide", None])
def test_a_kernel_needs_a_positive_width(make, bad):
    with pytest.raises(KernelError):
        make(bad)


def test_power_law_has_no_sixth_moment():
    with pytest.raises(KernelError, match="diverges"):
        gh.PowerLaw(1.0).moment(6)


def samples(function, end, n=2001):
    u = np.linspace(-end, end, n)
    return u, function(u)


def test_sampled_kernel_becomes_the_kernel_it_samples():
    u, w = samples(lambda u: np.exp(-(u**2) / 2), 7.0)
    sampled, gaussian = gh.Sampled(u + 3.0, 5 * w, eps=1.3), gh.Gaussian(1.3)  # shifted and scaled: no matter
    k = np.linspace(0, 6, 20)
    assert sampled.moment(0) == pytest.approx(1, abs=1e-12)
    assert sampled.moment(1) == pytest.approx(0, abs=1e-12)
    assert sampled.moment(2) == pytest.approx(1.3**2 / 4, rel=1e-12)
    assert np.abs(sampled.transform(k) - gaussian.transform(k)).max() < 1e-6
    assert np.abs(sampled.cumulative(k - 3) - gaussian.cumulative(k - 3)).max() < 1e-5
    assert sampled.r_mu == pytest.approx(gaussian.r_mu, rel=1e-4)


def test_sampled_kernel_of_three_equal_weights_is_a_tophat():
    padded = [0, 0, 1, 1, 1, 0, 0]
    sampled = gh.Sampled(np.arange(7), padded, eps=2.0)
    assert sampled.transform(np.array([0.4, 1.1])) == pytest.approx(gh.TopHat(2.0).transform([0.4, 1.1]), abs=1e-14)


@pytest.mark.parametrize(
    ("function", "end", "sentence"),
    [
        (lambda u: 1 / (1 + u**2), 100.0, "no finite second moment"),
        (lambda u: 1 / (1 + u**2), 4000.0, "no finite second moment"),
        (lambda u: np.exp(-(u**2) / 2), 3.0, "tail truncated"),
        (lambda u: u * np.exp(-(u**2)), 7.0, "sum to zero"),
        (lambda u: 0 * u, 7.0, "sum to zero"),
        (lambda u: (1 - u**2) * np.exp(-(u**2)), 8.0, "variance"),
        (lambda u: u + np.nan, 7.0, "NaN"),
    ],
)
def test_sampled_kernels_refused(function, end, sentence):
    with pytest.raises(KernelError, match=sentence):
        gh.Sampled(*samples(function, end), eps=1.0)


def test_sampled_kernels_warned_about():
    with pytest.warns(AccuracyWarning, match="negative"):
        gh.Sampled(*samples(lambda u: (1.2 - 0.2 * u**2) * np.exp(-(u**2)), 8.0), eps=1.0)
    with pytest.warns(AccuracyWarning, match="skewed"):
        gh.Sampled(*samples(lambda u: np.exp(-(u**2)) * (1 + np.tanh(u)), 8.0), eps=1.0)
    with pytest.raises(KernelError, match="equally spaced"):
        gh.Sampled([0, 1, 3, 4], [1, 2, 2, 1], eps=1.0)


def test_stages_multiply_and_variances_add():
    stages = gh.Stages(gh.Gaussian(3.0), gh.Stages(gh.Gaussian(4.0)))
    assert stages.eps == pytest.approx(5.0)
    k = np.array([0.0, 0.5, 1.0])
    assert stages.transform(k) == pytest.approx(gh.Gaussian(5.0).transform(k), abs=1e-15)
    mixed = gh.Stages(gh.Box(2.0), gh.Gaussian(1.0))
    grid = np.linspace(-6, 6, 24001)
    density = np.convolve(gh.Box(2.0).density(grid), gh.Gaussian(1.0).density(grid), mode="same") * (grid[1] - grid[0])
    for reach in (1.5, 2.0, 2.5):
        exact = density[np.abs(grid) > reach].sum() * (grid[1] - grid[0])
        assert exact <= mixed.truncated_mass(reach) < 60 * exact
    assert mixed.truncated_mass(mixed.reach(1e-12)) <= 1e-12
    with pytest.raises(KernelError):
        gh.Stages()


def test_gaussian_tail_is_the_mass_beyond():
    t = np.array([-1.0, 0.0, 0.3, 2.0])
    assert gaussian_tail(t, 1.3) == pytest.approx(1 - gh.Gaussian(1.3).cumulative(t), abs=1e-15)


def test_kernels_of_the_same_numbers_are_equal():
    again = [gh.Gaussian(1.3), gh.TopHat(1.3), gh.Box(2.0), gh.Ball(1.3), gh.Disc(1.3), gh.PowerLaw(1.3)]
    assert again == KERNELS and len({*again, *KERNELS}) == len(KERNELS)
    assert gh.Ball(1.3) != gh.Ball(1.4) and gh.Disc(1.3) != gh.Disc(1.3, axis=0) and gh.Ball(1.3) != "ball"
    triangle = gh.Sampled(np.arange(5), [0, 1, 2, 1, 0], 1.0)
    assert triangle == gh.Sampled(np.arange(5), [0, 2, 4, 2, 0], 1.0)
    assert triangle != gh.Sampled(np.arange(5), [0, 1, 3, 1, 0], 1.0)
    assert gh.Stages(triangle, gh.Ball(1.0)) == gh.Stages(triangle, gh.Ball(1.0)) != gh.Stages(gh.Ball(1.0), triangle)
