"""Partitions and moment densities: against sums of fractions, quadrature, spectral formulas; what is refused."""

import json
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.operators.excess.level_sets import Window, edges_around, zeros_of
from gpuhomog.operators.profiles.unrolled import Unrolled

DATA = Path(__file__).parents[2] / "data"


def crystal(coefficients, n=64, length=3.0):
    """Σ (a cos + b sin) of the first harmonics, periodic."""
    x = np.arange(n) * (length / n)
    values = sum(
        a * np.cos(2 * np.pi * k * x / length) + b * np.sin(2 * np.pi * k * x / length)
        for k, (a, b) in enumerate(coefficients, 1)
    )
    return gh.Profile(x, values, "e/Å^3", "charge_density", length)


def cells(values, h=1.0, start=0.0, boundary="open"):
    values = np.array(values, dtype=float)
    return gh.Profile(
        start + h * (np.arange(len(values)) + 0.5),
        values,
        "e/Å^3",
        "charge_density",
        h * len(values),
        boundary=boundary,
    )


waves = st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=4).filter(
    lambda c: max(map(abs, sum(c, ()))) > 0.1
)


def exact_moments(values, edges, x_b):
    """M1, M2, W of cells of width 1 by fractions: Σ over cells of the integrals of (x - x_m)^p."""
    edges = [Fraction(e).limit_denominator(10**9) for e in edges]
    length = edges[-1] - edges[0]
    m1 = m2 = lever = Fraction(0)
    for low, high in pairwise(edges):
        middle = (low + high) / 2
        first = second = Fraction(0)
        for i, value in enumerate(values):
            start, stop = max(Fraction(i), low) - middle, min(Fraction(i + 1), high) - middle
            if stop > start:
                first += Fraction(value) * (stop**2 - start**2) / 2
                second += Fraction(value) * (stop**3 - start**3) / 3
        m1, m2, lever = m1 + first, m2 + second, lever + middle * first
    return float(m1 / length), float(m2 / length), float((m2 / 2 + lever - Fraction(x_b) * m1) / length)


class TestPartition:
    """Edges where C returns to its value at x_b."""

    def test_every_interval_is_neutral(self):
        rng = np.random.default_rng(3)
        profile = cells(np.diff(rng.normal(size=400)))  # hyperuniform
        found = gh.partition(profile, sampling="cell", bulk=(0.0, 399.0))
        line = Unrolled(0.0, 1.0, profile.values, "cell")
        assert np.ptp(line.cumulative(found.edges)) < 1e-12 * line.highest
        assert found.x_b in found.edges
        assert np.diff(found.edges).min() >= 2.0
        assert found.widest == pytest.approx(np.diff(found.edges).max()) and found.widest <= found.largest
        assert found.level.value == pytest.approx(float(line.cumulative(found.x_b)))
        # no zero of Q is left out that is two cells from the edges around it
        zeros = zeros_of(line, float(line.cumulative(found.x_b)), found.edges[0], found.edges[-1])
        apart = np.abs(zeros[:, None] - found.edges[None, :]).min(axis=1)
        assert apart.max() < 2.0

    def test_automatic_cut_is_free_of_dipole(self):
        """x_b where C crosses its mean: M1 = 0, by brute force over a fine grid of the bandlimited crystal."""
        profile = crystal([(0.3, 0.2), (0.0, -0.5)])
        found = gh.partition(profile)
        x = found.x_b + np.linspace(0, 3.0, 20001)[:-1]
        density = 0.3 * np.cos(2 * np.pi * x / 3) + 0.2 * np.sin(2 * np.pi * x / 3) - 0.5 * np.sin(4 * np.pi * x / 3)
        running = np.cumsum(density) * (3 / 20000)
        assert running.mean() == pytest.approx(0.0, abs=1e-4)
        assert gh.moment_densities(profile, x_b=found.x_b).m1.value == pytest.approx(0.0, abs=1e-4)

    def test_plateaus_have_their_middle(self):
        found = gh.partition(
            cells([0, 1, -1, 0, 0, 0, 1, -1, 0, 0, 0, 1, -1, 0]), x_b=4.5, bulk=(0, 9), sampling="cell"
        )
        assert found.edges.tolist() == [0.5, 4.5, 8.5]

    @pytest.mark.parametrize("period", [2.5, None])
    def test_outermost_edges_are_whole_periods(self, period):
        """With a period the window is that of whole periods; without one it ends at any zero."""
        h, n = 0.05, 1000
        x = h * (np.arange(n) + 0.5)
        edges = h * np.arange(n + 1)
        running = np.sin(2 * np.pi * edges / 2.5) + 0.6 * np.sin(4 * np.pi * edges / 2.5 + 1)
        profile = gh.Profile(x, np.diff(running) / h, "e/Å^3", "charge_density", h * n, boundary="open")
        found = gh.partition(profile, x_b=25.3, period=period, bulk=(10.0, 40.0), sampling="cell")
        turns = (found.edges[[0, -1]] - 25.3) / 2.5
        whole = np.abs(turns - np.rint(turns)).max() < 1e-6
        assert whole == (period is not None)

    def test_a_level_that_is_never_reached_again(self):
        profile = cells([0, 1, 1, 1, 1, -1, -1, -1, -1, 0, 1, -1, 0, 1, -1, 0])
        with pytest.raises(gh.InputError) as refused:
            gh.partition(profile, x_b=5.0, largest=3.0, bulk=(0.0, 16.0), sampling="cell")
        message = str(refused.value)
        assert "does not return to its value at x_b = 5 Å, 4 e/Å^2, within 3 Å" in message
        assert "Nearest usable level" in message and "kernel estimate" in message
        advised = float(message.split("at x_b = ")[2].split(" ")[0])
        found = gh.partition(profile, x_b=advised, largest=3.0, bulk=(0.0, 16.0), sampling="cell")
        assert found.widest <= 3.0

    def test_no_level_at_all(self):
        with pytest.raises(gh.InputError, match="No level of this window has one"):
            gh.partition(cells(np.ones(32)), x_b=16.0, bulk=(0.0, 32.0), sampling="cell")

    def test_random_charge_has_none_hyperuniform_has(self):
        """VII.F: C of random charges wanders off; failure rates of alpha = 0 and 2 of the theory."""
        refused = {0: 0, 2: 0}
        for seed in range(20):
            noise = np.random.default_rng(seed).normal(size=1601)
            for alpha, values in ((0, noise[1:]), (2, np.diff(noise))):
                try:
                    gh.partition(cells(values), x_b=800.0, largest=400.0, bulk=(0.0, 1600.0), sampling="cell")
                except gh.InputError:
                    refused[alpha] += 1
        assert refused[0] > 10 and refused[2] < 3

    def test_level_sets_by_hand(self):
        line = Unrolled(0.0, 1.0, np.array([2.0, -2.0, 1.0, 0.0, -1.0]), "cell")
        assert zeros_of(line, 1.0, 0.0, 5.0).tolist() == [0.5, 1.5, 3.5]
        assert zeros_of(line, 5.0, 0.0, 5.0).tolist() == []
        line = Unrolled(0.0, 1.0, np.array([1.0, -1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 1.0, -1.0]), "cell")
        assert edges_around(line, 5.5, Window(0.0, 10.0, 5.0)).tolist() == [1.5, 5.5, 8.5]  # and not 4.5, 0.5: too near

    def test_written(self):
        found = gh.partition(crystal([(0.3, 0.2), (0.0, -0.5)]))
        record = json.loads(found.to_json())
        assert record["edges"] == found.edges.tolist() and record["level"]["unit"] == "e/Å^2"
        assert "Zero-average partition" in str(found)


@pytest.mark.parametrize("n", [1024, 1031, 2062])
def test_positions_of_crossings_go_round_the_cell_whatever_divides_the_samples(n):
    """M1 of cos kx is sin(k x_b)/k with whole waves; both numbers beyond 1024 have no divisor near n/1024."""
    k = 2 * np.pi / 4
    x = np.arange(n) * (20 / n)
    wave = gh.Profile(x, np.cos(k * x), "e/Å^3", "charge_density", 20.0)
    found = gh.moment_densities(wave, partition="crossings")
    places = found.m1_field.position
    assert len(places) == 1024 and found.m1_field.boundary == "periodic"
    assert found.m1_field.values == pytest.approx(np.sin(k * places) / k, abs=3e-6)


def test_exact_averages_over_finer_cells():
    """Of a trigonometric polynomial: differences of its antiderivative over each cell."""
    profile = crystal([(0.3, 0.2), (0.0, -0.5)], n=15)
    line = Unrolled(-0.1, 0.2, profile.values, "bandlimited").in_cells()
    edges = -0.1 + 0.025 * np.arange(121)
    k = 2 * np.pi / 3
    primitive = (0.3 * np.sin(k * edges) - 0.2 * np.cos(k * edges) + 0.25 * np.cos(2 * k * edges)) / k
    assert (line.sampling, line.spacing, len(line.values)) == ("cell", 0.025, 120)
    assert line.values == pytest.approx(np.diff(primitive) / 0.025, abs=1e-13)
    assert line.in_cells() is line


class TestMoments:
    """M1, M2, W at x_b, of each interval, and as fields."""

    def test_against_fractions(self):
        values = [0, 2, -1, -1, 0, 3, -2, -1, 0, 1, 1, -2, 0, 2, -2, 0]
        found = gh.moment_densities(cells(values), x_b=8.5, partition="crossings", bulk=(0.0, 16.0), sampling="cell")
        expected = exact_moments(values, found.edges, 8.5)
        assert len(found.edges) > 3
        assert [found.m1.value, found.m2.value, found.w.value] == pytest.approx(expected, abs=1e-8)
        lengths = np.diff(found.edges)
        assert found.interval_m0 == pytest.approx(0, abs=1e-14)
        assert (found.interval_m1 * lengths).sum() / lengths.sum() == pytest.approx(expected[0], abs=1e-8)
        assert (found.interval_m2 * lengths).sum() / lengths.sum() == pytest.approx(expected[1], abs=1e-8)

    @settings(max_examples=12)
    @given(waves)
    def test_m1_and_w_do_not_depend_on_the_partition(self, coefficients):
        """Spectral formulas, whole periods of cells, crossings of cells: three routes."""
        profile = crystal(coefficients, n=96)
        exact = gh.moment_densities(profile, x_b=0.7)
        crossed = gh.moment_densities(profile, x_b=0.7, partition="crossings")
        size = np.abs(profile.values).max()
        assert crossed.m1.value == pytest.approx(exact.m1.value, abs=1e-4 * size)  # C is straight in each cell: O(h^2)
        assert crossed.w.value == pytest.approx(exact.w.value, abs=1e-4 * size)
        whole = (crossed.w_field.values, exact.w_field.values)
        assert whole[0] == pytest.approx(whole[1], abs=1e-4 * size)
        assert exact.m2.value == pytest.approx(2 * exact.w.value, abs=1e-14)
        assert crossed.mean_w == pytest.approx(0, abs=1e-7 * size) and exact.invariance < 1e-12
        assert crossed.invariance < 5e-3

    def test_spectral_against_quadrature(self):
        profile = crystal([(0.3, 0.2), (0.0, -0.5)])
        found = gh.moment_densities(profile, x_b=0.7)
        u, step = np.linspace(-1.5, 1.5, 300001, retstep=True)
        k = 2 * np.pi / 3
        for x_b, m1, m2 in (
            (0.7, found.m1.value, found.m2.value),
            (profile.position[10], found.m1_field.values[10], found.m2_field.values[10]),
        ):
            x = x_b + 1.5 + u  # the period above x_b, about its middle
            density = 0.3 * np.cos(k * x) + 0.2 * np.sin(k * x) - 0.5 * np.sin(2 * k * x)
            weights = np.full(len(u), step)
            weights[[0, -1]] = step / 2
            assert m1 == pytest.approx((u * density * weights).sum() / 3, abs=1e-9)
            assert m2 == pytest.approx((u**2 * density * weights).sum() / 3, abs=1e-9)

    @pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
    def test_slopes(self, sampling):
        profile = crystal([(0.3, 0.2), (0.0, -0.5)], n=600)
        found = gh.moment_densities(profile, sampling=sampling)
        within = 1e-12 if sampling == "bandlimited" else 1e-2
        assert found.m1_slope.values == pytest.approx(profile.values, abs=within)
        assert found.w_slope.values == pytest.approx(-found.m1_field.values, abs=within)
        assert found.m2_slope.values == pytest.approx(-2 * found.m1_field.values, abs=within)  # one period an interval
        assert (found.m1_field.unit, found.w_field.unit, found.w_slope.unit) == ("e/Å^2", "e/Å", "e/Å^2")

    def test_e13_fails_where_crossings_are_the_partition(self):
        """dM2/dx_b = -2 M1 does not hold; dW/dx_b = -M1 does."""
        profile = crystal([(0.0, 1.0), (0.0, 1.5)], n=240)
        found = gh.moment_densities(profile, partition="crossings")
        assert (
            np.abs(found.m2_slope.values + 2 * found.m1_field.values).max() > 0.5 * np.abs(found.m1_field.values).max()
        )
        assert found.invariance < 1e-3

    def test_open_crystal_is_the_periodic_one(self):
        """A slab's bulk has the moments of its crystal, by period and by crossings."""
        bulk = crystal([(0.3, 0.2), (0.0, -0.5)], n=64)
        slab = gh.Profile(
            0.046875 * np.arange(64 * 14), np.r_[np.zeros(64), np.tile(bulk.values, 12), np.zeros(64)],
            "e/Å^3", "charge_density", 42.0, boundary="open",
        )  # fmt: skip
        exact = gh.moment_densities(bulk, x_b=1.1, sampling="cell")
        for partition in ("period", "crossings"):
            found = gh.moment_densities(slab, x_b=19.1, period=3.0, partition=partition, sampling="cell")
            assert found.m1.value == pytest.approx(exact.m1.value, abs=1e-9)
            assert found.w.value == pytest.approx(exact.w.value, abs=1e-9)
        found = gh.moment_densities(slab, period=3.0, sampling="cell")
        assert found.m1_field.boundary == "open" and len(found.m1_field.values) > 200
        periodic = gh.moment_densities(bulk, sampling="cell").m1_field
        first = np.interp(found.m1_field.position[0] % 3.0, periodic.position, periodic.values)
        assert found.m1_field.values[0] == pytest.approx(first, abs=1e-9)

    @pytest.mark.parametrize("x_b", [13.9, 14.3, 14.8])
    def test_crossings_of_a_real_slab_are_as_sure_as_they_say(self, x_b):
        """Their window holds whole periods only to within an interval; one period an interval is exact."""
        profile = gh.planar_average(gh.read(DATA / "NaCl_slab_charge_density.cube.gz", quantity="charge_density"), "c")
        profile = replace(profile, boundary="open")
        sure, found = (gh.moment_densities(profile, x_b=x_b, partition=way) for way in ("period", "crossings"))
        for name in ("m1", "w"):
            exact, other = getattr(sure, name), getattr(found, name)
            assert exact.uncertainty < 1e-12 and abs(other.value - exact.value) < 2 * other.uncertainty

    def test_fields_are_left_out_where_a_position_has_no_partition(self):
        values = np.r_[0, np.tile([1, -1, 0], 12), 1, 1, 1, 1, -1, -1, -1, -1, np.tile([1, -1, 0], 12)]
        found = gh.moment_densities(
            cells(values),
            x_b=3.2,
            partition="crossings",
            largest=3.1,
            bulk=(0.0, float(len(values))),
            sampling="cell",
        )
        assert found.w_field is None and found.mean_w is None
        assert "there is no partition" in found.remarks[0]
        assert "no partition" in str(found)

    def test_another_quantity_with_its_mean_subtracted(self):
        x = np.arange(64) * 0.05
        profile = gh.Profile(x, 5.0 + np.cos(2 * np.pi * x / 3.2), "V", "electrostatic_potential", 3.2)
        found = gh.moment_densities(profile, x_b=0.8)
        assert found.reference == pytest.approx(5.0)
        assert found.m1.value == pytest.approx(3.2 / (2 * np.pi), abs=1e-12)
        assert found.m1.unit == "V*Å" and found.w.unit == "V*Å^2"

    def test_ranks_find_what_one_process_finds(self):
        rng = np.random.default_rng(1)
        field = gh.Field.from_array(rng.normal(size=(9, 4, 24)), np.diag([2.0, 2.0, 6.0]), quantity="charge_density")
        field = field.derive(field.values - field.mean(), "neutral")
        for axis in "ac":
            whole = gh.moment_densities(field, axis, x_b=1.0)
            for size in (2, 3):
                for found in on_ranks(field, size, lambda part, axis=axis: gh.moment_densities(part, axis, x_b=1.0)):
                    assert found.w.value == pytest.approx(whole.w.value, abs=1e-13)
                    assert found.w_field.values == pytest.approx(whole.w_field.values, abs=1e-13)


@pytest.mark.parametrize("last", [5.7, 0.0, -0.3])
def test_fields_at_positions_on_either_side_of_zero(last):
    """Positions may end at 0 or below it: a crystal has no place where they begin."""
    bulk = crystal([(0.3, 0.2), (0.0, -0.5)])
    x = last + np.linspace(-2.7, 0.0, 10)
    found, turned = (gh.moment_densities(bulk, x_b=1.0, positions=places) for places in (x, x + 2 * bulk.length))
    np.testing.assert_array_equal(found.w_field.position, x)
    np.testing.assert_allclose(found.w_field.values, turned.w_field.values, rtol=0, atol=1e-12)


class TestRefused:
    """One sentence each."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"x_b": "middle"}, 'give a position in Å, or "auto"'),
            ({"x_b": np.nan}, "give a finite number"),
            ({"largest": -1.0}, "positive length"),
            ({"bulk": (0.0, 1.0)}, "bulk belongs to an open axis"),
            ({"reference": 1.0}, "Leave reference out"),
            ({"sampling": "points"}, "Unknown sampling"),
        ],
    )
    def test_of_a_crystal(self, options, message):
        with pytest.raises(gh.InputError, match=message):
            gh.partition(crystal([(0.3, 0.2), (0.0, -0.5)]), **options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"bulk": (5.0, 2.0)}, "the lower first"),
            ({"bulk": (0.0, 99.0)}, "leaves the profile"),
            ({"x_b": 14.5, "bulk": (2.0, 14.0)}, "lies outside the window"),
            ({"x_b": 3.0, "bulk": (2.0, 14.0), "partition": "period", "period": 3.0}, "less than a period"),
            ({"bulk": (2.0, 14.0), "partition": "period", "period": None}, "has no period"),
            ({"partition": "halves"}, "Unknown partition"),
            ({"bulk": (0.0, 16.0), "positions": [1.0, 2.0, 4.0]}, "equally spaced"),
            ({"bulk": (0.0, 16.0), "positions": 4.0}, "at least three equally spaced"),
            ({"bulk": (7.0, 9.0), "x_b": 8.0}, "too short"),
        ],
    )
    def test_of_an_open_bulk(self, options, message):
        values = [0, 2, -1, -1, 0, 3, -2, -1, 0, 1, 1, -2, 0, 2, -2, 0]
        options = {"partition": "crossings", "sampling": "cell", "x_b": 8.5, **options}
        with pytest.raises(gh.InputError, match=message):
            gh.moment_densities(cells(values), **options)


def test_the_uncertainty_covers_crossings_between_samples():
    x = np.arange(256) * 7 / 256
    values = sum(np.cos(2 * np.pi * n * x / 7 + n**2) for n in range(1, 6))
    wave = gh.Profile(x, values, "e/Å^3", "charge_density", 7.0)
    exact = gh.moment_densities(wave, x_b=2.3)
    found = gh.moment_densities(wave, x_b=2.3, partition="crossings")
    for name in ("m1", "w"):
        measured = getattr(found, name)
        assert abs(float(measured) - float(getattr(exact, name))) < measured.uncertainty < 1e-3
