"""Macroscopic averages and the periods they use, against analytic values, quadrature and the atoms of real slabs."""

import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError
from gpuhomog.operators.profiles.between_points import cumulative_at, integral, values_at, window_mean
from gpuhomog.operators.profiles.periods import over_normal

DATA = Path(__file__).parents[2] / "data"


def profile_of(values, length, boundary="periodic"):
    n = len(values)
    return gh.Profile(np.arange(n) * (length / n), values, "eV", "electron_potential_energy", length, boundary)


@cache
def nacl(name):
    """Planar average along c of a cube file, read without the package: bohr, header of 2 + 4 + 12 lines."""
    with gzip.open(DATA / f"NaCl_slab_{name}.cube.gz", "rt") as file:
        lines = file.read().split("\n")
    n_atoms = int(lines[2].split()[0])
    shape = [int(lines[3 + i].split()[0]) for i in range(3)]
    length = float(lines[5].split()[3]) * shape[2] * 0.529177210544
    heights = sorted({round(float(line.split()[4]), 5) for line in lines[6 : 6 + n_atoms]})
    values = np.array(" ".join(lines[6 + n_atoms :]).split(), dtype=float).reshape(shape)
    return profile_of(values.mean(axis=(0, 1)), length), np.mean(np.diff(heights)) * 0.529177210544


# --- the average ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "count"), [(200, 5), (192, 5), (180, 7), (96, 5), (60, 7), (43, 5)])
@pytest.mark.parametrize("periods", ["auto", "exact"])
def test_ten_volt_wave_is_flat_whatever_the_points_per_period(n, count, periods):
    """Points per period 40, 38.4, 25.7, 19.2, 8.6: exact answer -8 eV everywhere, ripple 0."""
    x = np.arange(n) * (20.0 / n)
    wave = profile_of(-8 + 10 * np.cos(2 * np.pi * count * x / 20.0), 20.0)
    smooth = gh.macroscopic_average(wave, 20.0 / count if periods == "exact" else "auto")
    np.testing.assert_allclose(smooth.values, -8, rtol=0, atol=2e-13)
    assert smooth.ripple < 1e-12
    assert abs(smooth.periods[0] - 20.0 / count) < 1e-12


@pytest.mark.parametrize(
    ("window", "share"), [(4.0, None), (0.4, 98), (2.0, 64), (3.0, 30), (8.0, None), ("auto", None)]
)
def test_what_a_wrong_window_leaves_is_told(window, share):
    """Of a sine |sinc(w/p)| is left: a window in nm keeps nearly all of it."""
    x = np.arange(192) * (20.0 / 192)
    smooth = gh.macroscopic_average(profile_of(-8 + 10 * np.cos(2 * np.pi * 5 * x / 20.0), 20.0), window)
    told = [text for text in smooth.provenance[-1]["diagnosis"] if "The window given leaves" in text]
    assert (share is None) == (told == []) and all(f"leaves {share} % of the layers" in text for text in told)
    assert share is None or share == round(100 * abs(np.sinc(window / 4.0)))


@pytest.mark.parametrize(("error", "passes"), [(0.01, 1), (0.05, 1), (0.01, 2), (0.05, 2)])
def test_ripple_of_a_wrong_window_is_the_analytic_one(error, passes):
    x = np.arange(192) * (20.0 / 192)
    wave = profile_of(-8 + 10 * np.cos(2 * np.pi * 5 * x / 20.0), 20.0)
    smooth = gh.macroscopic_average(wave, 4.0 * (1 + error), passes=passes)
    z = np.pi * (1 + error)
    np.testing.assert_allclose(smooth.ripple, 20 * abs(np.sin(z) / z) ** passes, rtol=3e-3)


def test_periodic_average_against_quadrature():
    def f(x):
        return np.exp(1.3 * np.sin(2 * np.pi * x) + 0.4 * np.cos(6 * np.pi * x))

    x = np.arange(64) / 64
    smooth = gh.macroscopic_average(profile_of(f(x), 1.0), 0.77)
    for i in (0, 17, 40):
        exact = quad(f, x[i] - 0.385, x[i] + 0.385, epsabs=1e-13)[0] / 0.77
        assert abs(smooth.values[i] - exact) < 2e-12


def test_two_windows_and_two_passes_are_nested_quadratures():
    def f(x):
        return np.exp(np.sin(2 * np.pi * x / 3.0))

    def nested(t, inner, outer):
        def once(u):
            return quad(f, u - inner / 2, u + inner / 2, epsabs=1e-12)[0] / inner

        return quad(once, t - outer / 2, t + outer / 2, epsabs=1e-12)[0] / outer

    x = np.arange(48) * (3.0 / 48)
    two = gh.macroscopic_average(profile_of(f(x), 3.0), (0.7, 1.1))
    twice = gh.macroscopic_average(profile_of(f(x), 3.0), 0.7, passes=2)
    for i in (0, 11, 30):
        assert abs(two.values[i] - nested(x[i], 0.7, 1.1)) < 1e-11
        assert abs(twice.values[i] - nested(x[i], 0.7, 0.7)) < 1e-11


@pytest.mark.parametrize("windows", [(1.3,), (1.3, 0.8), (2.0, 2.0)])
def test_open_profile_with_jumps_against_quadrature(windows):
    """Outside it is (2, -1); inside a smooth curve that jumps to these at both ends, half a spacing out."""
    n, h = 120, 0.1
    x = np.arange(n) * h

    def f(t):
        inside = 1 + 0.3 * t + np.exp(-((t - 6) ** 2) / 2)
        return np.where(t < -h / 2, 2.0, np.where(t > (n - 0.5) * h, -1.0, inside))

    profile = profile_of(f(x), n * h, "open")
    smooth = gh.macroscopic_average(profile, windows, outside=(2.0, -1.0))
    fine = np.arange(-6, 18, 1e-3)

    def box(values, width):
        total = np.concatenate([[0], np.cumsum((values[1:] + values[:-1]) / 2) * 1e-3])
        at = np.interp(fine + width / 2, fine, total) - np.interp(fine - width / 2, fine, total)
        return at / width

    exact = f(fine)
    for width in windows:
        exact = box(exact, width)
    np.testing.assert_allclose(smooth.values, np.interp(x, fine, exact), atol=3e-3)
    assert smooth.boundary == "open"


def test_open_constant_against_the_trapezoid_by_hand():
    smooth = gh.macroscopic_average(profile_of(np.ones(40), 4.0, "open"), 1.0)
    x = np.arange(40) * 0.1
    by_hand = np.clip(np.minimum(x + 0.05, 3.95 - x) + 0.5, 0, 1)
    np.testing.assert_allclose(smooth.values, by_hand, atol=1e-12)
    edge = gh.macroscopic_average(profile_of(np.ones(40), 4.0, "open"), 1.0, outside="edge")
    np.testing.assert_allclose(edge.values, 1, atol=1e-12)


def test_padded_open_average_keeps_the_integral():
    x = np.arange(160) * 0.1
    profile = profile_of(np.exp(-((x - 8) ** 2)) * np.cos(5 * x), 16.0, "open")
    whole = gh.macroscopic_average(profile, (2.3, 1.7), passes=2, padded=True)
    assert len(whole.values) > 160 + 80
    np.testing.assert_allclose(whole.values.sum() * whole.spacing, profile.values.sum() * 0.1, rtol=1e-12)
    np.testing.assert_allclose(whole.spacing, 0.1, rtol=1e-12)


def test_open_and_periodic_agree_where_the_outside_is_far():
    x = np.arange(300) * 0.1
    values = np.exp(-((x - 15) ** 2) / 4) * np.cos(4 * x)
    there = gh.macroscopic_average(profile_of(values, 30.0, "open"), 1.7)
    around = gh.macroscopic_average(profile_of(values, 30.0), 1.7)
    np.testing.assert_allclose(there.values, around.values, atol=1e-13)


def test_uncertainty_covers_what_a_wrong_period_does():
    """A period known to 1 %: the band is at least half of what that error changes, here by hand."""
    x = np.arange(192) * (20.0 / 192)
    wave = profile_of(10 * np.cos(2 * np.pi * 5 * x / 20.0), 20.0)
    estimate = gh.PeriodEstimate(4.0, 0.04, (0.0, 20.0), 5.0, "sure", 0.0, "")
    smooth = gh.macroscopic_average(wave, estimate)
    z = np.pi * np.array([0.99, 1.01])
    by_hand = 10 * np.abs(np.cos(2 * np.pi * 5 * x / 20.0)) * np.ptp(np.sin(z) / z) / 2
    np.testing.assert_allclose(smooth.uncertainty, by_hand, atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"periods": 0.0}, "positive, finite"),
        ({"periods": -1.0}, "positive, finite"),
        ({"periods": np.nan}, "positive, finite"),
        ({"periods": np.inf}, "positive, finite"),
        ({"periods": 25.0}, "wider than the profile"),
        ({"periods": (1.0, 2.0, 3.0)}, "3 windows"),
        ({"periods": ()}, "0 windows"),
        ({"periods": "wide"}, 'give "auto"'),
        ({"periods": None}, "not a width"),
        ({"periods": [2.8, "auto"]}, 'Window "auto" among several'),
        ({"periods": ["2.8"]}, "numbers of Å"),
        ({"periods": 1.0, "passes": 0}, "passes=0"),
        ({"periods": 1.0, "passes": 2.5}, "passes=2.5"),
        ({"periods": 1.0, "passes": True}, "passes=True"),
        ({"periods": 1.0, "outside": np.nan}, "finite value"),
        ({"periods": 1.0, "outside": "vacuum"}, '"edge"'),
    ],
)
def test_bad_windows_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        gh.macroscopic_average(profile_of(np.cos(np.arange(40)), 20.0), **arguments)


def test_nan_is_refused_before_it_spreads():
    with pytest.raises(InputError, match="NaN"):
        profile_of(np.array([1.0, np.nan, 2.0]), 3.0)


def test_auto_without_a_period_is_refused_with_the_reason():
    x = np.arange(200) * 0.1
    with pytest.raises(InputError, match=r"No period.*periods="):
        gh.macroscopic_average(profile_of(np.exp(-((x - 10) ** 2)), 20.0))


def test_auto_warns_where_it_is_not_sure():
    x = np.arange(40) * 0.1
    bulk_cell = profile_of(np.cos(2 * np.pi * x / 4.0) + 0.5 * np.sin(4 * np.pi * x / 4.0), 4.0)
    with pytest.warns(AccuracyWarning, match="if this is one cell of a bulk crystal"):
        smooth = gh.macroscopic_average(bulk_cell)
    np.testing.assert_allclose(smooth.values, 0, atol=1e-14)


# --- the periods ---------------------------------------------------------------------------------------------------


def crystal(x, period, seed, n_harmonics):
    """A periodic function of rms 1: a fundamental, and harmonics of up to the same amplitude."""
    rng = np.random.default_rng(seed)
    values = np.cos(2 * np.pi * x / period + rng.uniform(0, 7))
    for n in range(2, n_harmonics + 1):
        values = values + rng.uniform(-1, 1) * np.cos(2 * np.pi * n * x / period + rng.uniform(0, 7))
    return values / values.std()


def slab(period, layers, vacuum, points_per_period, seed, noise=0.0, step=0.0, slope=0.0):
    thickness = layers * period
    length = thickness / (1 - vacuum)
    n = int(length / period * points_per_period)
    x = np.arange(n) * (length / n)
    centre = np.random.default_rng(seed).uniform(0, length)
    u = (x - centre + length / 2) % length - length / 2
    inside = (erf((u + thickness / 2) / (0.15 * period)) - erf((u - thickness / 2) / (0.15 * period))) / 2
    n_harmonics = max(1, min(5, int(points_per_period / 2.5)))
    values = (crystal(u, period, seed, n_harmonics) + step + slope * u / period) * inside
    return profile_of(values + noise * np.random.default_rng(seed + 1).normal(size=n), length)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    period=st.floats(1.5, 8.0),
    layers=st.integers(4, 15),
    vacuum=st.floats(0.15, 0.6),
    points=st.floats(8.0, 40.0),
    step=st.floats(-4, 4),
    slope=st.floats(-0.3, 0.3),
    noise=st.sampled_from([0.0, 0.0, 0.02, 0.05]),
    seed=st.integers(0, 10**6),
)
def test_a_sure_period_of_a_slab_is_right(period, layers, vacuum, points, step, slope, noise, seed):
    estimates = gh.find_periods(slab(period, layers, vacuum, points, seed, noise, step, slope))
    for estimate in estimates:
        if estimate.confidence == "sure":
            assert abs(estimate.value / period - 1) < 0.005
    if noise == 0 and layers >= 6:
        assert estimates[0].confidence == "sure"


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    count=st.integers(3, 30),
    period=st.floats(1.5, 8.0),
    points=st.floats(6.0, 40.0),
    noise=st.sampled_from([0.0, 0.02, 0.1]),
    seed=st.integers(0, 10**6),
)
def test_the_period_of_a_bulk_cell_is_its_fraction(count, period, points, noise, seed):
    n = int(count * points)
    x = np.arange(n) * (count * period / n)
    values = crystal(x, period, seed, max(1, min(5, int(points / 2.5))))
    values = values + noise * np.random.default_rng(seed).normal(size=n)
    estimates = gh.find_periods(profile_of(values, count * period))
    for estimate in estimates:
        if estimate.confidence == "sure":
            assert abs(estimate.value / period - 1) < 0.005
    if noise == 0:
        assert estimates[0].confidence == "sure"
        assert abs(estimates[0].value / period - 1) < 1e-12


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    period=st.floats(2.0, 5.0),
    ratio=st.floats(1.05, 1.9),
    layers=st.tuples(st.integers(6, 13), st.integers(6, 13)),
    points=st.floats(10.0, 30.0),
    seed=st.integers(0, 10**6),
)
@example(period=2.0, ratio=1.25, layers=(7, 7), points=11.0, seed=3)  # 4 and 5 repeat too, by chance a little better
@example(period=2.0, ratio=1.25, layers=(9, 8), points=11.0, seed=3)
@example(period=2.321, ratio=1.25, layers=(7, 11), points=22.7, seed=933501)
def test_both_periods_of_an_interface_are_found(period, ratio, layers, points, seed):
    other = period * ratio
    middle, length = layers[0] * period, layers[0] * period + layers[1] * other
    n = int(length / period * points)
    x = np.arange(n) * (length / n)
    width = 0.1 * period
    second = (erf((x - middle) / width) - erf((x - length) / width) - erf(x / width) + 1) / 2
    values = crystal(x, period, seed, 3) * (1 - second) + (1.5 * crystal(x - middle, other, seed + 1, 3) + 2) * second
    estimates = gh.find_periods(profile_of(values, length))
    found = sorted(e.value for e in estimates if e.confidence == "sure")
    for value in found:
        assert min(abs(value / period - 1), abs(value / other - 1)) < 0.005
    assert len(found) == 2


@pytest.mark.parametrize(("layers", "ratio"), [((6, 6), 1.05), ((6, 6), 1.1), ((7, 12), 1.15), ((13, 6), 1.2)])
def test_both_periods_are_found_where_a_lag_between_them_repeats_everywhere(layers, ratio):
    period, other = 2.82, 2.82 * ratio
    middle, length = layers[0] * period, layers[0] * period + layers[1] * other
    x = np.arange(360) * (length / 360)
    second = (erf((x - middle) / 0.3) - erf((x - length) / 0.3) - erf(x / 0.3) + 1) / 2
    first_values, second_values = 8 * np.cos(2 * np.pi * x / period), 1.4 + 7 * np.cos(2 * np.pi * (x - middle) / other)
    estimates = gh.find_periods(profile_of(first_values * (1 - second) + second_values * second, length))
    assert [e.confidence for e in estimates] == ["sure", "sure"]
    assert sorted(e.value for e in estimates) == pytest.approx([period, other], rel=2e-3)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("seed", range(6))
def test_noise_has_no_period(seed, boundary):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 600))
    (estimate,) = gh.find_periods(profile_of(rng.normal(size=n), 0.1 * n, boundary))
    assert estimate.confidence == "none"
    assert "noise" in estimate.explanation


@pytest.mark.parametrize("seed", range(6))
def test_smooth_noise_and_bumps_are_never_sure(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 500))
    spectrum = np.fft.rfft(rng.normal(size=n)) * np.exp(-((np.fft.rfftfreq(n) * rng.uniform(3, 20)) ** 2))
    bump = np.exp(-(((np.arange(n) / n - 0.5) / rng.uniform(0.02, 0.3)) ** 2))
    for values in (np.fft.irfft(spectrum, n), bump):
        for boundary in ("periodic", "open"):
            for estimate in gh.find_periods(profile_of(values, 0.1 * n, boundary)):
                assert estimate.confidence != "sure"


@pytest.mark.parametrize("amplitude", [0.12, 0.3, 0.8])
def test_alternating_layers_count_double(amplitude):
    x = np.arange(480) * 0.1
    inside = (erf((x - 6) / 0.5) - erf((x - 42) / 0.5)) / 2
    values = np.cos(np.pi * x / 1.5) + 0.3 * np.cos(2 * np.pi * x / 1.5) + amplitude * np.cos(np.pi * x / 3 + 1)
    (estimate,) = gh.find_periods(profile_of(values * inside, 48.0), most=1)
    assert estimate.confidence == "sure"
    assert abs(estimate.value / 6.0 - 1) < 1e-3


@pytest.mark.parametrize("samples", [250, 270, 310])
def test_periods_do_not_depend_on_where_positions_are_counted_from(samples):
    """Nor does their uncertainty: a third of a window may end at a sample, to rounding."""
    x = np.arange(samples) * (36.5 / samples)
    layers = 8.0 + 2.154 * np.arange(9)[:, None]
    waves = np.exp(-(((x - layers) / 0.5) ** 2) / 2) - 0.8 * np.exp(-(((x - layers - 0.9) / 0.4) ** 2) / 2)
    found = [
        gh.find_periods(gh.Profile(x + start, waves.sum(axis=0), "V", "scalar", 36.5))[0]
        for start in (0.0, -31.0, -7.3, 5.0, 100.3, -512.0)
    ]
    assert [one.value for one in found] == pytest.approx([found[0].value] * 6, abs=1e-9)
    assert [one.uncertainty for one in found] == pytest.approx([found[0].uncertainty] * 6, rel=1e-3)


@pytest.mark.parametrize("scale", [2.0**-20, 1.0, 2.0**20])
def test_periods_do_not_depend_on_the_unit_of_the_field(scale):
    """Of one cell of a crystal its length is told, of one layer beside vacuum nothing, of a slab its layers."""
    x = np.arange(60) * 0.1
    one_cell = np.cos(2 * np.pi * x / 6 + 0.4) + 0.3 * np.cos(4 * np.pi * x / 6)
    (cell,) = gh.find_periods(profile_of(scale * one_cell, 6.0))
    assert (cell.value, cell.confidence) == (6.0, "likely") and "one cell of a bulk crystal" in cell.explanation
    for slight in (0.0, 0.1):  # a wave that varies by 2 % of the range over a fifth of the cell is vacuum still
        layer = np.exp(-((x - 3) ** 2) / 0.3) + slight * np.cos(2 * np.pi * x / 6)
        (found,) = gh.find_periods(profile_of(scale * layer, 6.0))
        assert found.confidence == "none" and "single layer" in found.explanation
    eight = slab(3.0, 8, 0.3, 20.0, seed=4, noise=0.02)
    (found,) = gh.find_periods(profile_of(scale * eight.values, eight.length), most=1)
    (expected,) = gh.find_periods(eight, most=1)
    assert found == expected and found.confidence == "sure"


def test_constant_and_short_profiles_say_why():
    assert "constant" in gh.find_periods(profile_of(np.full(50, 3.0), 10.0))[0].explanation
    assert "too few" in gh.find_periods(profile_of(np.arange(5.0), 10.0))[0].explanation
    with pytest.raises(InputError, match="at least one"):
        gh.find_periods(profile_of(np.arange(50.0), 10.0), most=0)


@pytest.mark.parametrize("name", ["charge_density", "electron_potential_energy"])
@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_six_layers_of_salt(name, boundary):
    """Independent route: the interlayer spacing of the atoms in the file, 5.329027 bohr."""
    profile, spacing = nacl(name)
    profile = profile_of(profile.values, profile.length, boundary)
    (estimate,) = gh.find_periods(profile)
    assert abs(spacing - 5.329027 * 0.529177210544) < 1e-5
    assert estimate.confidence == "sure"
    assert abs(estimate.value / spacing - 1) < 1e-4
    smooth = gh.macroscopic_average(profile)
    assert smooth.ripple < 5e-3 * np.ptp(profile.values)
    assert smooth.uncertainty.shape == smooth.values.shape


def test_a_salt_slab_cut_by_the_cell_boundary_gives_the_same():
    profile, spacing = nacl("charge_density")
    shifted = profile_of(np.roll(profile.values, 170), profile.length)
    (estimate,) = gh.find_periods(shifted)
    assert estimate.confidence == "sure"
    assert abs(estimate.value / spacing - 1) < 1e-4


# --- profiles between their points ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [24, 25])
def test_values_and_integrals_of_a_periodic_profile(n):
    x = np.arange(n) * (3.0 / n)

    def f(t):
        return 0.4 + np.cos(2 * np.pi * t / 3 + 1) - 0.5 * np.sin(8 * np.pi * t / 3)

    profile = profile_of(f(x), 3.0)
    t = np.array([-1.234, 0.0, 0.777, 5.1])
    np.testing.assert_allclose(values_at(profile, t), f(t), atol=1e-13)
    np.testing.assert_allclose(integral(profile, -1.0, 2.5), quad(f, -1.0, 2.5)[0], atol=1e-12)
    np.testing.assert_allclose(window_mean(profile, 0.3, 0.9), quad(f, 0.3, 0.9)[0] / 0.6, atol=1e-12)
    assert cumulative_at(profile, 0.0) == pytest.approx(0.0, abs=1e-15)


def test_values_and_integrals_of_an_open_profile():
    x = np.arange(60) * 0.1
    profile = profile_of(np.exp(-((x - 3) ** 2)), 6.0, "open")
    assert values_at(profile, 2.345) == pytest.approx(np.exp(-(0.655**2)), abs=1e-8)
    assert integral(profile, 1.0, 5.0) == pytest.approx(np.sqrt(np.pi) * erf(2.0), abs=1e-8)
    with pytest.raises(InputError, match="outside the open profile"):
        values_at(profile, 5.95)
    with pytest.raises(InputError, match="must lie beyond"):
        window_mean(profile, 2.0, 1.0)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
@pytest.mark.parametrize("planes", [1, 2, 3])
def test_profile_of_a_few_planes_is_refused(planes, boundary):
    """No ripple can be told from so few: one sentence, not a division by zero."""
    field = gh.Field.from_array(np.ones((1, 1, planes)), np.diag([3.0, 3.0, 8.0]), boundary=boundary)
    with pytest.raises(InputError, match="too short"):
        gh.macroscopic_average(gh.planar_average(field, "c"), 2.0)


def slab_of_layers(centres, weights, a):
    """Gaussian layers of width a/5 and 6 Å of vacuum on either side, every 0.08 Å or a little less."""
    length = centres[-1] - centres[0] + a + 12
    x = np.arange(int(length / 0.08)) * (length / int(length / 0.08))
    values = sum(
        w * np.exp(-(((x - 6 - a / 2 - c) / (0.2 * a)) ** 2) / 2) for c, w in zip(centres, weights, strict=True)
    )
    return profile_of(values, length)


def relaxed(a, count, amplitude):
    """Layer i at i a, moved outwards by amplitude a exp(-depth)."""
    index = np.arange(count)
    depth = np.minimum(index, count - 1 - index)
    return index * a + amplitude * a * np.exp(-depth) * np.where(index < count / 2, -1, 1)


class TestPeriodsOfSlabs:
    """The period of the bulk is that of the layers put there, and what is called sure is right."""

    @pytest.mark.parametrize("count", range(7, 13))
    @pytest.mark.parametrize("a", [2.2, 3.3, 4.6])
    def test_relaxed_surfaces(self, count, a):
        for amplitude in (0.02, 0.05, 0.1):
            found = gh.find_periods(slab_of_layers(relaxed(a, count, amplitude), np.ones(count), a))[0]
            if found.confidence == "none":
                continue
            assert found.value == pytest.approx(a, rel=0.03)
            assert found.confidence != "sure" or found.value == pytest.approx(a, rel=0.005)
            assert abs(found.value - a) < 4 * found.uncertainty

    @pytest.mark.parametrize("a", [2.2, 3.3, 4.6])
    def test_relaxed_ends_of_a_thick_slab_are_left_out(self, a):
        """The period of all twelve layers would be off by 0.4 %."""
        found = gh.find_periods(slab_of_layers(relaxed(a, 12, 0.1), np.ones(12), a))[0]
        assert found.value == pytest.approx(a, rel=2e-3)

    @pytest.mark.parametrize("count", [5, 7, 12])
    def test_ideal_surfaces(self, count):
        for a in (2.2, 3.3, 4.6):
            found = gh.find_periods(slab_of_layers(np.arange(count) * a, np.ones(count), a))[0]
            assert found.confidence == "sure"
            assert found.value == pytest.approx(a, rel=1e-4)
            assert abs(found.value - a) < 3 * found.uncertainty + 1e-9

    @pytest.mark.parametrize("a", [2.5, 3.16745, 4.1])
    def test_alternating_layers(self, a):
        """Six layers of two kinds are three periods: their uncertainty is that of three."""
        found = gh.find_periods(slab_of_layers(np.arange(6) * a, 1 + 0.3 * (-1.0) ** np.arange(6), a))[0]
        assert found.value == pytest.approx(2 * a, rel=0.02)
        assert abs(found.value - 2 * a) < 2.5 * found.uncertainty

    def test_few_periods_widen_the_uncertainty(self):
        """Two-sided 95 % of Student's t with n - 1 degrees of freedom, from a printed table, over the normal 1.960."""
        for periods, table in ((3.0, 4.303), (4.0, 3.182), (6.0, 2.571), (31.0, 2.042)):
            assert over_normal(periods - 1) == pytest.approx(table / 1.960, rel=1e-3)


def test_layers_that_alternate_a_little_are_not_taken_for_equal_ones():
    x = np.arange(600) * 0.1
    layers = np.where(abs(x - 30) < 24, crystal(x, 2.5, 4, 3) + 0.02 * np.cos(2 * np.pi * x / 5.0), 0.0)
    (estimate,) = gh.find_periods(profile_of(layers, 60.0))
    assert estimate.value == pytest.approx(5.0, rel=1e-10)
