"""The uncertainty relation: exact spectral integrals, and the ratios that seeded fields were measured to have."""

import numpy as np
import pytest
from disordered import disordered

import gpuhomog as gh
from gpuhomog.errors import InputError


def profile_of(alpha, n=16384, boundary="periodic", seed=5, trend=0.0):
    position = np.arange(n) * 0.125
    values = disordered(alpha, (n,), 0.125, seed=seed)
    values = values / values.std() + trend * position
    return gh.Profile(position, values, "V", "electrostatic_potential", n * 0.125, boundary)


def exact(alpha, kernel, n=16384):
    """The relation's four standard deviations from the modes of the field, one by one, in closed form."""
    k = 2 * np.pi * np.arange(1, 12 * n // 32) / (n * 0.125)
    power = (k * 0.25) ** alpha * np.exp(-((k * 0.25) ** 2))
    mu = kernel.transform(k)
    return [np.sqrt(np.sum(power * share)) for share in (1, mu**2, (1 - mu) ** 2, (k * mu) ** 2)]


@pytest.mark.parametrize("alpha", [0, 2, 4])
@pytest.mark.parametrize("kernel", [gh.Gaussian(8.0), gh.TopHat(8.0)], ids=["gaussian", "tophat"])
def test_ratios_of_seeded_fields(alpha, kernel):
    raw, averaged, difference, slope = exact(alpha, kernel)
    found = gh.uncertainty(profile_of(alpha), kernel)
    assert found.ratio_average == pytest.approx(8 * slope / (kernel.r_mu * averaged), rel=0.2)
    assert found.ratio_difference == pytest.approx(8 * slope / (kernel.r_mu * difference), rel=0.2)
    assert found.ratio_raw == pytest.approx(8 * slope / (kernel.r_mu * raw), rel=0.2)
    assert found.eps_V_raw == pytest.approx(2.0, rel=1e-9)
    if alpha:
        assert abs(found.alpha.value - alpha) < 4 * found.alpha.uncertainty


@pytest.mark.parametrize(
    ("alpha", "kernel", "eps", "average", "interval"),
    [(0, gh.Gaussian, 8.0, 1.3, 2.0), (2, gh.Gaussian, 8.0, 2.2, 2.6), (4, gh.Gaussian, 8.0, 2.8, 3.1)],
)
def test_the_table_of_the_theory(alpha, kernel, eps, average, interval):
    found = gh.uncertainty(profile_of(alpha, n=65536), kernel(eps))
    assert found.ratio_average == pytest.approx(average, rel=0.1)
    assert found.ratio_interval == pytest.approx(interval, rel=0.3)


def test_a_top_hat_is_exact_for_what_it_takes_away():
    for alpha in (0, 2):
        assert gh.uncertainty(profile_of(alpha, n=65536), gh.TopHat(16.0)).ratio_difference == pytest.approx(
            1, abs=0.03
        )


def test_a_gaussian_keeps_the_root_of_alpha():
    k = np.linspace(0, 40, 400_001)
    for alpha in (0.0, 1.0, 2.0):
        found = gh.spectral_uncertainty(k, (k * 0.25) ** alpha * np.exp(-((k * 0.25) ** 2)), gh.Gaussian(400.0))
        assert found.ratio_average * found.r_mu / 2 == pytest.approx(np.sqrt((alpha + 1) / 2), rel=1e-3)
        assert found.alpha is None and found.ratio_interval is None
        assert found.eps_V_difference == pytest.approx(found.eps_V_raw, rel=0.01)
        assert found.eps_V_difference > 5 * found.eps_V_average


def test_open_profiles_leave_out_trend_and_ends():
    around = gh.uncertainty(profile_of(2), gh.Gaussian(8.0))
    ended = gh.uncertainty(profile_of(2, boundary="open", trend=0.02), gh.Gaussian(8.0))
    assert ended.ratio_average == pytest.approx(around.ratio_average, rel=0.05)
    assert ended.eps_V_raw == pytest.approx(around.eps_V_raw, rel=0.02)
    assert "order of magnitude" in str(ended) and "by intervals" in str(ended)


def test_refusals():
    with pytest.raises(InputError, match="reach its ends"):
        gh.uncertainty(profile_of(2, n=256, boundary="open"), gh.Gaussian(15.0))
    k = np.linspace(0, 1, 5)
    for bad_k, density, words in (
        (k, np.ones(4), "equal length"),
        (k + 1, np.ones(5), "rise from 0"),
        (k**2, np.ones(5), "equal steps"),
        (k, np.zeros(5), "not zero"),
        (k, -np.ones(5), "not negative"),
    ):
        with pytest.raises(InputError, match=words):
            gh.spectral_uncertainty(bad_k, density, gh.Gaussian(1.0))
