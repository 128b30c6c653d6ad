"""Intervals of averages against closed forms and brute force; Assumption 8 against intervals found without bounds."""

import csv
import warnings
from dataclasses import replace

import numpy as np
import pytest
from disordered import disordered
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError
from gpuhomog.operators.macroscale.assumption_8 import _decide
from gpuhomog.operators.macroscale.interval_field import Line, range_of

WAVES = (
    (0.2, 1 / 200, -np.pi / 2),
    (1.0, 1.0, 0.0),
    (0.5, 1.618, 0.7),
)  # of the theory: amplitude, 1/wavelength, phase


def profile_of(values, length, boundary="periodic"):
    n = len(values)
    return gh.Profile(np.arange(n) * (length / n), values, "V", "electrostatic_potential", length, boundary)


def averaged(x, width):
    """The simple average of the theory's waves, in closed form, and its derivative."""
    parts = [
        (a * np.sinc(width / wave), 2 * np.pi / wave, phase) for a, wave, phase in ((a, 1 / f, p) for a, f, p in WAVES)
    ]
    value = sum(a * np.cos(k * x + phase) for a, k, phase in parts)
    return value, sum(-a * k * np.sin(k * x + phase) for a, k, phase in parts)


@pytest.fixture(scope="module")
def theory():
    x = np.arange(8000) * 0.125
    return profile_of(averaged(x, 0.0)[0], 1000.0)


# --- profiles ------------------------------------------------------------------------------------------------------


def test_the_interval_that_the_theory_quotes(theory):
    found = gh.interval_field(theory, 10.0, spacing=0.1)
    at = int(np.argmin(np.abs(found.position - 37.3)))
    assert found.position[at] == pytest.approx(37.3)
    assert (found.low[at], found.high[at]) == pytest.approx((0.164148902, 0.198128907), abs=2e-6)
    assert found.eps_V[at] == pytest.approx(0.033980005, abs=2e-6)
    assert found.eps_p[at] == pytest.approx(0.108894633, abs=2e-5)


@pytest.mark.parametrize("width", [3.0, 7.3])
def test_intervals_against_closed_forms(theory, width):
    found = gh.interval_field(theory, width, spacing=5.0)
    for i in range(0, len(found.position), 20):
        x = found.position[i] + np.linspace(-width / 2, width / 2, 20_001)
        value, slope = averaged(x, width)
        assert (found.low[i], found.high[i]) == pytest.approx((value.min(), value.max()), abs=3e-6)
        assert found.midpoint[i] == pytest.approx((value.min() + value.max()) / 2, abs=3e-6)
        assert found.mean[i] == pytest.approx(value.mean(), abs=1e-5)
        assert found.eps_p[i] == pytest.approx(np.ptp(slope), abs=3e-5)
        line = np.polynomial.Polynomial.fit(x, value, 1)
        assert found.slope[i] == pytest.approx(line.convert().coef[1], abs=1e-5)
        assert found.detrended[i] == pytest.approx(np.ptp(value - line(x)), abs=2e-5)


def test_a_slope_is_an_interval_until_it_is_removed():
    x = np.arange(400) * 0.25
    found = gh.interval_field(profile_of(0.3 * x, 100.0, "open"), gh.Gaussian(4.0), outside=0.0)
    inside = (found.position > 15) & (found.position < 80)
    np.testing.assert_allclose(found.eps_V[inside], 0.3 * 4.0, rtol=1e-4)
    np.testing.assert_allclose(found.slope[inside], 0.3, rtol=1e-4)
    assert found.detrended[inside].max() < 1e-4
    assert found.eps_x == 4.0


def test_windows_end_with_an_open_profile():
    x = np.arange(256) * 0.25
    values = np.exp(-(((x - 32) / 8) ** 2))
    found = gh.interval_field(profile_of(values, 64.0, "open"), gh.Gaussian(3.0))
    assert (found.position[0], found.position[-1]) == (0.0, 63.75)
    assert (found.low >= -1e-9).all() and (found.high <= 1).all()


def test_coincident_positions_are_no_classes():
    x = np.arange(64) * 0.5
    found = gh.interval_field(profile_of(np.cos(2 * np.pi * x / 16), 32.0), 4.0, spacing=1.0)
    assert found.coincident(10.0).tolist() == [9, 10, 11]
    assert found.coincident(0.5).tolist() == [0, 1, 2, 31]
    assert set(found.coincident(10.0)) & set(found.coincident(12.0))  # 11 is one of both
    assert 12 not in found.coincident(10.0)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_intervals_do_not_depend_on_where_positions_are_counted_from(boundary):
    x = np.arange(128) * 0.25
    here = profile_of(np.cos(2 * np.pi * x / 16) + 0.2 * np.cos(2 * np.pi * x / 4), 32.0, boundary)
    there = replace(here, position=here.position + 40.0)
    one, other = (gh.interval_field(profile, 3.0) for profile in (here, there))
    np.testing.assert_allclose(other.position, one.position + 40.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(other.low, one.low, rtol=0, atol=1e-9)
    np.testing.assert_allclose(other.high, one.high, rtol=0, atol=1e-9)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_eps_x_consistent_with_a_slope(boundary):
    """At the root the interval, found by another call, is as wide as the slope makes it."""
    values = disordered(2, (2048,), 0.125, seed=3)
    values /= values.std()
    x = np.arange(2048) * 0.125
    profile = profile_of(values + (0.02 * x if boundary == "open" else 0.0), 256.0, boundary)
    width = gh.self_consistent_eps(profile, 0.02)
    again = gh.interval_field(profile, width)
    inside = (
        slice(None) if boundary == "periodic" else (again.position > 2 * width) & (again.position < 256 - 2 * width)
    )
    assert np.median(again.detrended[inside]) == pytest.approx(0.02 * width, rel=0.1)
    assert 2 < width < 30
    if boundary == "open":
        assert gh.self_consistent_eps(profile) == pytest.approx(width, rel=0.1)


def test_the_consistent_eps_x_of_the_theory():
    """Slope 1e-3 in a field of unit variance with alpha = 2: about 52."""
    values = disordered(2, (8192,), 0.125, seed=1)
    assert gh.self_consistent_eps(profile_of(values / values.std(), 1024.0), 1e-3) == pytest.approx(52, rel=0.15)


def test_the_consistent_eps_x_does_not_depend_on_how_finely_waves_are_sampled():
    """Over two fine samples a wave is straight, and the slope exceeds what is left of it."""
    found = []
    for n in (240, 6000):
        x = np.arange(n) * (60.0 / n)
        waves = 0.2 * np.cos(2 * np.pi * x) + 0.1 * np.cos(2 * np.pi * x / 1.5)
        found.append(gh.self_consistent_eps(profile_of(waves, 60.0), 0.05))
    assert found[0] == pytest.approx(found[1], rel=2e-3)


def test_ranges_refined_by_parabolas(rng):
    phase = rng.uniform(0, 7, 200)[:, None]
    t = np.linspace(0, 7, 141)
    low, high = range_of(np.cos(t + phase))
    fine = np.cos(np.linspace(0, 7, 70_001) + phase)
    np.testing.assert_allclose(low, fine.min(axis=1), atol=2e-6)
    np.testing.assert_allclose(high, fine.max(axis=1), atol=2e-6)


def test_columns_of_a_table(tmp_path, theory):
    found = gh.interval_field(theory, 10.0, spacing=10.0)
    path = gh.write(found, tmp_path / "interval.csv")
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert len(rows) == 100 and list(rows[0])[:5] == ["position", "low", "high", "midpoint", "mean"]
    np.testing.assert_array_equal([float(row["high"]) for row in rows], found.high)
    assert gh.read_result(gh.write(found, tmp_path / "interval.json"))["eps_x"] == 10.0


# --- attainable averages and Assumption 8 --------------------------------------------------------------------------


@pytest.mark.parametrize("x", [37.3, 112.1, -3.0])
def test_attainable_averages_by_brute_force(theory, x):
    widths = np.linspace(0, 4.0, 8_001)
    expected = np.array([averaged(np.array(x), width)[0] for width in widths])
    found = gh.attainable(theory, x, 4.0)
    assert found == pytest.approx((expected.min(), expected.max()), abs=2e-6)


def test_attainable_throughout_is_inside_each(theory):
    low, high = gh.attainable_throughout(theory, 37.3, 3.0, 0.3)
    for x in np.linspace(37.15, 37.45, 11):
        each = gh.attainable(theory, x, 3.0)
        assert each[0] <= low + 1e-9 and high <= each[1] + 1e-9


@pytest.mark.parametrize(
    ("alpha", "seed", "verdict"), [(0, 0, "no"), (0, 1, "no"), (2, 0, "yes"), (2, 1, "yes"), (4, 0, "yes")]
)
def test_assumption_8_of_seeded_disorder(alpha, seed, verdict):
    """Never for alpha = 0, at eps_x = 64 for alpha = 2 and 4: and the intervals found without bounds agree."""
    values = disordered(alpha, (4096,), 0.125, seed=seed)
    profile = profile_of(values / values.std(), 512.0)
    found = gh.physical_assumption_8(profile, 256.0, 40.0, 64.0)
    assert found.verdict == verdict and found.margin > 0
    low, high = found.interval
    if verdict == "no":
        assert found.smallest_a is None
        return
    assert found.throughout[0] < low <= high < found.throughout[1]
    within = gh.attainable_throughout(profile, 256.0, found.smallest_a * 1.01, 64.0)
    assert within[0] < low and high < within[1]


def test_what_the_bounds_cannot_decide():
    """A crystal between its odd centres: V is a point, the averages about the nearest centre nearly one, too."""
    x = np.arange(640) / 64
    profile = profile_of(np.cos(2 * np.pi * x), 10.0)
    found = gh.physical_assumption_8(profile, 0.1, 2.0, 1.0, eps_x=0.1)
    assert found.verdict == "yes"  # no odd centre within eps_x/2
    assert gh.physical_assumption_8(profile, 0.237, 2.0, 1.0, eps_x=0.1).verdict == "undecided"


def test_what_lies_between_the_nodes_is_not_taken_for_granted():
    """A wave that is at its minimum at every node and at its maximum between them: -1 < -0.5 there proves nothing."""
    x = np.arange(512) / 32
    line = Line(profile_of(np.cos(2 * np.pi * x), 16.0))
    verdict, *_ = _decide(line, 8.5, 1.0, 4, 0.5, 8.0, (-0.5, -3.0), (1.0, 2 * np.pi))
    assert verdict == "undecided"


# --- three dimensions ----------------------------------------------------------------------------------------------

OBLIQUE = np.array([[12.0, 0.4, 0.0], [1.0, 14.0, -0.8], [0.6, 0.0, 16.0]])


def quietly(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        return gh.field_intervals(*arguments, **options)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_balls_and_segments_by_brute_force(rng, boundary):
    values = rng.standard_normal((12, 14, 16))
    field = gh.Field.from_array(values, OBLIQUE, boundary=boundary)
    found = quietly(field, gh.Gaussian(4.0), spacing=1.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        smooth = gh.average(field, gh.Gaussian(4.0), spacing=1.1)
    steps, shape = smooth.grid.steps, smooth.grid.shape
    for point in ((0, 0, 0), (5, 6, 7), (10, 2, 13)):
        inside = []
        for offset in np.ndindex(9, 9, 9):
            d = np.array(offset) - 4
            place = np.array(point) + d
            if np.linalg.norm(d @ steps) > 2.0 or (boundary == "open" and ((place < 0) | (place >= shape)).any()):
                continue
            inside.append(smooth.values[tuple(place % shape)])
        assert found.low.values[point] == pytest.approx(min(inside), abs=1e-12)
        assert found.high.values[point] == pytest.approx(max(inside), abs=1e-12)
        if boundary == "periodic":
            assert found.mean.values[point] == pytest.approx(np.mean(inside), abs=1e-12)
    np.testing.assert_allclose(found.midpoint.values, (found.low.values + found.high.values) / 2)


def test_segments_along_a_wave_are_those_of_its_profile():
    z = np.arange(128) * 0.5
    field = gh.Field.from_array(np.cos(2 * np.pi * z / 32) + np.zeros((24, 24, 1)), np.diag([12.0, 12.0, 64.0]))
    found = quietly(field, gh.Gaussian(4.0), spacing=0.4)
    line = gh.interval_field(gh.planar_average(field, "c"), gh.Gaussian(4.0), spacing=0.4)
    assert found.eps_V[:2] == pytest.approx((0.0, 0.0), abs=1e-12)
    assert found.eps_V[2] == pytest.approx(np.median(line.eps_V), rel=0.01)
    assert found.largest_eps_V[2] == pytest.approx(line.eps_V.max(), rel=0.01)
    assert found.detrended[2] == pytest.approx(np.median(line.detrended), rel=0.05)
    assert found.eps_V[3] == pytest.approx(found.eps_V[2], rel=0.12)  # the ball misses part of a step
    assert "in the ball" in str(found) and found.low.grid.shape == found.shape


@pytest.mark.parametrize("axis", [0, 2])
def test_ranks_find_the_same_intervals(rng, axis):
    field = gh.Field.from_array(rng.standard_normal((12, 14, 16)), OBLIQUE)
    alone = quietly(field, gh.Gaussian(4.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        parts = on_ranks(field, 3, lambda part: gh.field_intervals(part, gh.Gaussian(4.0)), axis)
    for part in parts:
        assert part.eps_V == pytest.approx(alone.eps_V, rel=1e-10)
        np.testing.assert_allclose(part.high.values, alone.high.values, rtol=0, atol=1e-12)


def test_the_consistent_eps_x_of_a_field():
    """One wave: averages over balls and the ranges of segments along it in closed form; none across."""
    z = np.arange(48) * 0.5
    k = 2 * np.pi / 3
    field = gh.Field.from_array(np.cos(k * z) + np.zeros((16, 16, 1)), np.diag([24.0, 24.0, 24.0]))

    def width_of(eps):
        t, u = k * eps / 2, np.linspace(-eps / 2, eps / 2, 201)
        values = 3 * (np.sin(t) - t * np.cos(t)) / t**3 * np.cos(k * (np.linspace(0, 3, 241)[:, None] + u))
        slope = values @ u / (u @ u)
        return np.median(np.ptp(values - slope[:, None] * u, axis=1))

    found = gh.self_consistent_eps(field, 0.05, window="c")
    assert 3.5 < found < 4.5 and width_of(found) == pytest.approx(0.05 * found, rel=0.08)
    with pytest.raises(InputError, match="the slope exceeds all fluctuation, up to a quarter of the cell's"):
        gh.self_consistent_eps(field, 0.05, window="a")
    for call, words in (
        (lambda: gh.self_consistent_eps(field), "A field has none of its own"),
        (lambda: gh.self_consistent_eps(field, 0.1, window="sphere"), 'Unknown window "sphere"'),
    ):
        with pytest.raises(InputError, match=words):
            call()


# --- refusals ------------------------------------------------------------------------------------------------------


def test_refusals(theory):
    wave = profile_of(np.cos(np.arange(64.0)), 16.0)
    for call, words in (
        (lambda: gh.interval_field(wave, 20.0), "not longer than the profile"),
        (lambda: gh.interval_field(wave, 4.0, spacing=-1.0), "spacing = -1"),
        (lambda: gh.interval_field(wave, 4.0, eps_x=np.nan), "eps_x = nan"),
        (lambda: gh.interval_field(wave, 4.0, eps_x=0.02), "eps_x = 0.02 Å is below a tenth"),
        (lambda: gh.interval_field(wave, 4.0, spacing=0.02), "spacing = 0.02 Å is below a tenth"),
        (lambda: gh.physical_assumption_8(wave, 3.0, 0.02, 4.0), "a = 0.02 Å is below a tenth"),
        (lambda: gh.self_consistent_eps(wave), "No slope: eps_x undetermined"),
        (lambda: gh.self_consistent_eps(wave, 0.0), "No slope: eps_x undetermined"),
        (lambda: gh.self_consistent_eps(profile_of(np.ones(64), 16.0, "open")), "No slope: eps_x undetermined"),
        (lambda: gh.self_consistent_eps(profile_of(np.zeros(64), 16.0, "open")), "No slope: eps_x undetermined"),
        (lambda: gh.self_consistent_eps(profile_of(np.ones(1), 16.0, "open")), "No slope: eps_x undetermined"),
        (lambda: gh.interval_field(profile_of(np.ones(1), 16.0, "open"), 2.0), "Profile of 1 plane between open ends"),
        (lambda: gh.self_consistent_eps(wave, 1e3), "No self-consistent eps_x"),
        (lambda: gh.attainable(wave, np.inf, 1.0), "x = inf"),
        (lambda: gh.attainable(wave, 1.0, 0.0), "a = 0"),
        (lambda: gh.attainable(profile_of(np.ones(64), 16.0, "open"), 1.0, 4.0), "beyond the open profile"),
        (lambda: gh.field_intervals(gh.Field.from_array(np.ones((8, 8, 8)), np.eye(3)), 2.0), "longer than the cell"),
        (
            lambda: gh.field_intervals(gh.Field.from_array(np.ones((8, 8, 8)), 8 * np.eye(3)), 2.0, eps_x=0.4),
            "a ball holds no second point along an axis",
        ),
    ):
        with pytest.raises(InputError, match=words):
            call()
    assert not gh.interval_field(profile_of(np.ones(64), 16.0), 2.0).consistent.defined


@pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")  # few waves in a cell
@pytest.mark.parametrize("cell", [np.diag([12.0, 13.0, 14.0]), np.array([[12, 0.8, 0], [2, 13, -1.6], [1.2, 0, 14.0]])])
@pytest.mark.parametrize("points_per_eps", [2.2, 3.0, 5.0, 10.0])
def test_what_a_ball_misses_between_points_is_stated(cell, points_per_eps):
    """Waves in closed form, their extrema over many places of the ball: 95 % lie within what is stated."""
    rng, eps, shape = np.random.default_rng(0), 4.0, (24, 26, 28)
    modes, phase, amplitude = rng.integers(-4, 5, (20, 3)), rng.uniform(0, 6, 20), rng.uniform(0.3, 1, 20)
    k = 2 * np.pi * modes @ np.linalg.inv(cell).T

    def wave(places, factor=1.0):
        return np.cos(places @ k.T + phase) @ (amplitude * factor)

    grid = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1) @ cell
    found = gh.field_intervals(gh.Field.from_array(wave(grid), cell), gh.Gaussian(eps), spacing=eps / points_per_eps)
    width = found.high.values - found.low.values
    away = rng.standard_normal((1200, 3))
    away *= eps / 2 * np.repeat([1.0, 0.7], 600)[:, None] / np.linalg.norm(away, axis=1)[:, None]
    at = rng.integers(0, width.shape, (150, 3))
    smooth = np.exp(-(np.linalg.norm(k, axis=1) ** 2) * eps**2 / 8)
    truth = np.array([np.ptp(wave(i / np.array(width.shape) @ cell + away, smooth)) for i in at])
    missed = truth - width[tuple(at.T)]
    assert np.mean(missed <= found.missed) >= 0.95
    assert found.missed < 3 * np.quantile(missed, 0.95) + 0.1 * found.eps_V[3]
    assert np.median(missed) > 0.02 * found.eps_V[3]  # which is what has to be covered
