"""Independently computed values of kernels and averages, each through the public operator."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import KernelError

N = 96  # the test field's spectrum reaches rounding at about mode 40


def wave(x):
    return np.exp(1.3 * np.sin(2 * np.pi * x) + 0.4 * np.cos(6 * np.pi * x))


def line_through(x, function=wave):
    """A grid whose first point is x, so that the value at x is on the grid."""
    values = function(x + np.arange(N) / N)
    return gh.Field.from_array(values[None, None, :], np.eye(3))


def profile_through(x):
    return gh.Profile(np.arange(N) / N, wave(x + np.arange(N) / N), None, "scalar", length=1.0)


def test_tophat(checks):
    c = checks["kernel_tophat_width"]
    k = gh.TopHat(c["inputs"]["eps"])
    assert [k.full_width, float(k.density(0)), k.moment(2)] == pytest.approx(c["expected"], abs=c["tolerance"])


def test_gaussian(checks):
    c = checks["kernel_gaussian"]
    k = gh.Gaussian(c["inputs"]["eps"])
    found = [float(k.density(0)), k.moment(0), k.moment(2), gh.Gaussian(1).curvature, gh.Gaussian(2).curvature]
    assert found == pytest.approx(c["expected"], abs=c["tolerance"])


def test_powerlaw(checks):
    c = checks["kernel_powerlaw_p3"]
    k = gh.PowerLaw(c["inputs"]["eps"])
    found = [float(k.density(0)), k.moment(0), k.moment(2), *(float(k.transform(q)) for q in (2 * np.pi, 1.0))]
    assert found == pytest.approx(c["expected"], abs=c["tolerance"])


def test_r_mu(checks):
    c = checks["r_mu"]
    found = [k.r_mu for k in (gh.Gaussian(2.7), gh.TopHat(0.3), gh.PowerLaw(5.0))]
    assert found == pytest.approx(c["expected"], abs=c["tolerance"])


def test_lorentzian(checks):
    u = np.linspace(-60, 60, 1201)
    sentence = checks["kernel_lorentzian_rejected"]["expected"].removeprefix("error: ")
    with pytest.raises(KernelError, match=sentence):
        gh.Sampled(u, 1 / (np.pi * (1 + u * u)), eps=1.0)


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
@pytest.mark.parametrize(("name", "kernel"), [("avg1d_tophat", None), ("avg1d_gaussian", gh.Gaussian)])
def test_averages_on_a_line(checks, name, kernel):
    c = checks[name]
    k = gh.TopHat(c["inputs"]["full_width"] / 3**0.5) if kernel is None else kernel(c["inputs"]["eps"])
    same = k if kernel else gh.Box(c["inputs"]["full_width"])
    for x, expected in zip(c["inputs"]["x"], c["expected"], strict=True):
        for method in ("lines", "all modes"):
            assert gh.average(line_through(x), k, method=method).values[0, 0, 0] == pytest.approx(
                expected, abs=c["tolerance"]
            )
        assert gh.average(profile_through(x), same).values[0] == pytest.approx(expected, abs=c["tolerance"])


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_derivative_commutes(checks):
    c = checks["commutation_derivative"]
    kernel = gh.Box(c["inputs"]["full_width"])
    for x, expected in zip(c["inputs"]["x"], c["expected"], strict=True):
        *_, slope = gh.average_gradient(line_through(x), kernel)
        assert slope.values[0, 0, 0] == pytest.approx(expected, abs=c["tolerance"])


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_average_of_the_average(checks):
    c = checks["idempotency_defect"]
    field = line_through(0.0, lambda x: np.cos(2 * np.pi * x))
    kernel = gh.Gaussian(c["inputs"]["eps"])
    once = gh.average(field, kernel)
    twice, at_once = gh.average(once, kernel), gh.average(field, [kernel, kernel])
    for two in (twice, at_once):
        assert [once.values[0, 0, 0], two.values[0, 0, 0]] == pytest.approx(c["expected"], abs=c["tolerance"])


def test_transforms_in_two_and_three_dimensions(checks):
    c = checks["kernel_disc_ball_transform"]
    eps, k = c["inputs"]["eps"], c["inputs"]["k"]
    found = [float(kernel(eps).transform(k)) for kernel in (gh.Disc, gh.Ball, gh.Gaussian)]
    assert found == pytest.approx(c["expected"], abs=c["tolerance"])


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_ball_in_a_triclinic_cell(checks):
    c = checks["avg3d_ball_triclinic"]
    cell = np.array(c["inputs"]["lattice_rows"])
    s = np.array(c["inputs"]["r"]) @ np.linalg.inv(cell)  # the first grid point is r
    s1, s2, s3 = np.meshgrid(*[s[i] + np.arange(n) / n for i, n in enumerate((36, 8, 8))], indexing="ij")
    values = np.exp(np.cos(2 * np.pi * s1)) * np.cos(2 * np.pi * (s2 - s3))
    field = gh.Field.from_array(values, cell)
    found = gh.average(field, gh.Ball(c["inputs"]["eps"])).values[0, 0, 0]
    assert found == pytest.approx(c["expected"], abs=c["tolerance"])
