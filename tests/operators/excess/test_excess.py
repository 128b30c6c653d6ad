"""Surface and interface charges: analytic slabs, a real slab, disorder, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.averaging_kernels import gaussian_tail
from gpuhomog.errors import InputError, KernelError
from gpuhomog.operators.excess import surface as excess
from gpuhomog.operators.excess.bulk_charge import fluctuation_growth
from gpuhomog.operators.profiles.bulk import find_body
from gpuhomog.operators.profiles.unrolled import Unrolled, quiet_runs

DATA = Path(__file__).parents[2] / "data"


def gaussian(x, centre, std, length=None):
    """Normalized packet; with a length, the sum of its nearest periodic images."""
    shifts = (0,) if length is None else (-length, 0, length)
    return sum(np.exp(-(((x - centre - s) / std) ** 2) / 2) for s in shifts) / std / np.sqrt(2 * np.pi)


def polar_slab(n_layers=12, *, length=72.0, n=1152, first=16.0, a=3.0, d=0.6, q=0.1, boundary="periodic"):
    """Planes of +q and -q, d apart, every a: charge q d/a at the lower face, -q d/a at the upper one."""
    x = np.arange(n) * (length / n)
    images = length if boundary == "periodic" else None
    values = sum(
        q * gaussian(x, first + a * i, 0.35, images) - q * gaussian(x, first + a * i + d, 0.35, images)
        for i in range(n_layers)
    )
    return gh.Profile(x, values, "e/Å^3", "charge_density", length, boundary=boundary)


@pytest.fixture(scope="module")
def salt():
    return gh.read(DATA / "NaCl_slab_charge_density.cube.gz", quantity="charge_density")


class TestUnrolled:
    """Running integrals against quadrature of what the samples mean."""

    @pytest.mark.parametrize("n", [31, 32])
    def test_bandlimited_integrals(self, n):
        length = 5.0
        x = (np.arange(n) + 0.5) * length / n + 2.0
        wave = 2 * np.pi / length
        line = Unrolled(2.0, length / n, 0.3 + np.cos(3 * wave * (x - 2.2)) - 2 * np.sin(wave * x))
        at = np.array([2.0, 2.7, 4.45, 6.99, 7.0])
        fine = np.linspace(2.0, 7.0, 400_001)
        exact = 0.3 + np.cos(3 * wave * (fine - 2.2)) - 2 * np.sin(wave * fine)
        step = fine[1] - fine[0]
        for method in (line.cumulative, line.double_cumulative, line.triple_cumulative):
            exact = np.concatenate([[0.0], np.cumsum((exact[1:] + exact[:-1]) * step / 2)])
            assert method(at) == pytest.approx(np.interp(at, fine, exact), abs=1e-9)
        assert line.density(at[1]) == pytest.approx(0.3 + np.cos(3 * wave * 0.5) - 2 * np.sin(wave * 2.7), abs=1e-12)

    def test_cell_integrals(self):
        values = np.array([0.0, 3.0, -1.0, 2.0, 0.5])
        line = Unrolled(-1.0, 0.4, values, "cell")
        fine = np.linspace(-1.0, 1.0, 200_001)
        exact = values[np.minimum((fine + 1.0) / 0.4, 4).astype(int)]
        at = np.array([-1.0, -0.75, 0.1, 0.33, 1.0])
        step = fine[1] - fine[0]
        running = np.concatenate([[0.0], np.cumsum(exact[:-1] * step)])
        assert line.cumulative(at) == pytest.approx(np.interp(at, fine, running), abs=1e-9)
        for method in (line.double_cumulative, line.triple_cumulative):
            running = np.concatenate([[0.0], np.cumsum((running[1:] + running[:-1]) * step / 2)])
            assert method(at) == pytest.approx(np.interp(at, fine, running), abs=2e-9)

    def test_beyond_the_end_the_charge_stays(self):
        line = Unrolled(0.0, 0.5, np.array([0.0, 2.0, 1.0, 0.0]), "cell")
        assert line.cumulative(7.0) == 1.5
        assert line.double_cumulative(4.0) == pytest.approx(float(line.double_cumulative(2.0)) + 2 * 1.5)

    def test_runs_go_round_a_periodic_axis(self):
        quiet = np.array([1, 1, 0, 0, 1, 0, 1], dtype=bool)
        assert sorted(quiet_runs(quiet, periodic=True)) == [(4, 1), (6, 3)]
        assert quiet_runs(quiet, periodic=False) == [(0, 2), (4, 1), (6, 1)]


class TestPolarSlab:
    """A slab whose surface charge is known by hand: q d/a."""

    def test_both_sides(self):
        result = gh.surface_charge(polar_slab())
        assert result.low.value == pytest.approx(0.02, abs=1e-9)
        assert result.high.value == pytest.approx(-0.02, abs=1e-9)
        assert abs(result.low.value - 0.02) < 5 * result.low.uncertainty + 1e-14
        assert result.estimator == "period window"
        assert result.period == pytest.approx(3.0, abs=1e-6)
        assert result.scale_ratio == pytest.approx(result.thickness / 3.0, rel=1e-6)
        assert any("no macroscale in this box" in remark for remark in result.remarks)
        assert result.total.value == pytest.approx(0.0, abs=1e-15)
        assert result.dipole.value == pytest.approx(-12 * 0.1 * 0.6, abs=1e-12)
        assert abs(result.closure) < 1e-13

    @pytest.mark.parametrize("period", [3.0, None])
    def test_closure_tells_of_a_wrong_integral(self, monkeypatch, period):
        """Low is integrated from below and high from above: what either has too much stays in the sum."""
        slab = polar_slab()
        slab = replace(slab, values=slab.values + 0.05 * gaussian(slab.position, 50.5, 0.35))
        whole = gh.surface_charge(slab, period=period, eps=4.0)
        assert abs(whole.closure) < 1e-13
        right = Unrolled.double_cumulative
        monkeypatch.setattr(Unrolled, "double_cumulative", lambda line, x: right(line, x) + 1e-3 * np.asarray(x))
        monkeypatch.setattr(excess, "gaussian_tail", lambda t, eps: 1.001 * gaussian_tail(t, eps))
        assert abs(gh.surface_charge(slab, period=period, eps=4.0).closure) > 1e-5

    def test_kernel_keeps_what_it_predicts(self):
        """The kernel's deviation is the predicted residual where that is large, and never more."""
        profile = polar_slab()
        for eps in (2.5, 3.2, 4.0):
            deviations = []
            for x_b in np.linspace(30.0, 33.0, 13):
                result = gh.surface_charge(profile, x_b=x_b, eps=eps, period=3.0, side="low")
                deviations.append(abs(result.low_kernel.value - 0.02))
            assert max(deviations) < 1.01 * result.residual + 1e-12
            assert max(deviations) > 0.7 * result.residual

    def test_first_moments(self):
        """By hand: whole blocks whose charges sit evenly about their middle are a charge at the first block's edge."""
        edge, top = 16.0 + 0.3 - 1.5, 16.0 + 0.3 - 1.5 + 36.0
        for origin in (edge, 20.0):
            result = gh.surface_charge(polar_slab(), origin=origin, period=3.0)
            assert result.low_dipole.value == pytest.approx(0.02 * (edge - origin), abs=1e-10)
            assert result.high_dipole.value == pytest.approx(-0.02 * (top - origin), abs=1e-10)

    def test_side(self):
        low = gh.surface_charge(polar_slab(), period=3.0, side="low")
        high = gh.surface_charge(polar_slab(), period=3.0, side="high")
        assert low.high is None
        assert low.high_dipole is None
        assert high.low is None
        assert low.low.value == pytest.approx(-high.high.value, abs=1e-12)

    def test_open_axis_is_the_same_slab(self):
        periodic, opened = (
            gh.surface_charge(polar_slab(), period=3.0),
            gh.surface_charge(polar_slab(boundary="open"), period=3.0),
        )
        assert opened.low.value == pytest.approx(periodic.low.value, abs=1e-12)
        assert opened.faces == pytest.approx(periodic.faces)

    def test_across_the_boundary_of_the_cell(self):
        whole, wrapped = (
            gh.surface_charge(polar_slab(), period=3.0),
            gh.surface_charge(polar_slab(first=60.0), period=3.0),
        )
        assert wrapped.low.value == pytest.approx(whole.low.value, abs=1e-12)
        assert wrapped.faces[1] > 72.0
        assert wrapped.x_b - whole.x_b == pytest.approx(44.0, abs=1e-9)
        assert gh.surface_charge(polar_slab(first=60.0), period=3.0, x_b=5.0).x_b == pytest.approx(77.0)

    def test_field_and_profile_agree(self):
        profile = polar_slab(n=288)
        cell = np.array([[3.0, 0, 0], [1.0, 3.0, 0], [5.0, -4.0, 72.0]])  # oblique: height 72 along the normal
        values = np.broadcast_to(profile.values, (3, 2, 288)) + np.array([0.1, 0.0, -0.1])[:, None, None]
        field = gh.Field.from_array(values, cell, quantity="charge_density")
        by_field, by_profile = gh.surface_charge(field, "c", period=3.0), gh.surface_charge(profile, period=3.0)
        assert by_field.low.value == pytest.approx(by_profile.low.value, abs=1e-12)
        assert by_field.area == pytest.approx(9.0)

    def test_smooth_body_without_period(self):
        """Two charged sheets and nothing between: the kernel leads and each sheet has its own charge."""
        x = np.arange(600) * 0.1
        values = 0.05 * gaussian(x, 15.0, 0.5) - 0.03 * gaussian(x, 45.0, 0.5)
        profile = gh.Profile(x, values, "e/Å^3", "charge_density", 60.0, boundary="open")
        result = gh.surface_charge(profile)
        assert result.estimator == "kernel"
        assert [result.low.value, result.high.value] == pytest.approx(
            [0.05, -0.03], abs=5e-7
        )  # the kernel's tail: 3e-7
        assert not result.low_period.defined
        assert 2e-7 < result.low.uncertainty < 1e-5

    def test_printed(self):
        text = str(gh.surface_charge(polar_slab(), period=3.0))
        assert "σ low" in text
        assert " 0.02 " in text
        assert "e/Å^2" in text
        assert "no macroscale" in text

    def test_dict_has_units(self):
        record = gh.surface_charge(polar_slab(), period=3.0).to_dict()
        assert record["low"]["unit"] == "e/Å^2"
        assert record["low_dipole"]["unit"] == "e/Å"
        assert record["provenance"][-1]["step"] == "surface charge"

    def test_written_anywhere(self):
        """JSON and xarray hold the numbers with their unit and uncertainty."""
        result = gh.surface_charge(polar_slab(), period=3.0)
        record = json.loads(result.to_json())
        assert record["high"]["value"] == result.high.value
        assert record["bulk"] == list(result.bulk)
        dataset = result.to_xarray()
        assert float(dataset["low"]) == result.low.value
        assert dataset["low"].attrs["unit"] == "e/Å^2"
        assert float(dataset["low_uncertainty"]) == result.low.uncertainty


class TestSalt:
    """NaCl(001), six layers: both surfaces neutral, no net dipole; the route by hand is plain double summation."""

    def test_surfaces_are_neutral(self, salt):
        result = gh.surface_charge(salt, "c")
        area = result.area
        assert abs(result.total.value * area) < 2e-8
        assert abs(result.dipole.value) < 2e-8
        for side in (result.low, result.high, result.low_kernel, result.high_kernel):
            assert abs(side.value) < 3 * side.uncertainty + 1e-7
        assert result.low.uncertainty < 2e-5  # the largest change over x_b
        assert result.period == pytest.approx(2.82, abs=1e-4)
        assert 6.0 < result.scale_ratio < 6.5

    def test_double_summation_by_hand(self, salt):
        """Cumulative sums on the file's planes; their mean over two whole layers is σ, that of their sum is -S1."""
        h = salt.grid.plane_spacing(2)
        rho = salt.to_host().mean(axis=(0, 1))
        running = np.cumsum(rho) * h - rho * h / 2
        double = np.cumsum(running) * h - running * h / 2
        x = np.arange(len(rho)) * h
        edges = 14.05 + np.array([-2.82, 2.82])
        fine = np.linspace(*edges, 20_001)
        sigma = np.interp(fine, x, running).mean()
        moment = -np.interp(fine, x, double).mean()
        result = gh.surface_charge(salt, "c", x_b=14.05)
        assert result.low.value == pytest.approx(sigma, abs=5e-8)
        assert result.low_dipole.value == pytest.approx(moment, abs=2e-5)

    def test_rolled_through_the_boundary(self, salt):
        rolled = gh.Field.from_array(np.roll(salt.to_host(), 171, axis=2), salt.grid.cell, quantity="charge_density")
        result, whole = gh.surface_charge(rolled, "c"), gh.surface_charge(salt, "c")
        assert result.low_dipole.value == pytest.approx(whole.low_dipole.value, abs=1e-9)
        assert result.thickness == pytest.approx(whole.thickness, abs=1e-9)


class TestInterface:
    """Two crystals joined: Abel sums give the charge, i Σ ρ_n/k_n of each side."""

    LEFT, RIGHT = ((0.7, 2.0, 0.3), (0.4, 1.0, 1.9)), ((0.9, 1.5, -0.8),)  # amplitude, period, phase

    def side(self, waves, x):
        return sum(a * np.sin(2 * np.pi * x / p + phase) * p / (2 * np.pi) for a, p, phase in waves)

    def joined(self, n=6000, half=30.0):
        """Cell averages: LEFT on [0, half), RIGHT on [half, 2 half), periodic."""
        edges = np.linspace(0.0, 2 * half, n + 1)
        low = np.diff(self.side(self.LEFT, np.clip(edges, 0.0, half)))
        high = np.diff(self.side(self.RIGHT, np.clip(edges, half, 2 * half)))
        h = edges[1]
        return gh.Profile((edges[1:] + edges[:-1]) / 2, (low + high) / h, "e/Å^3", "charge_density", 2 * half)

    def expected(self, at, below, above):
        return float(self.side(below, at) - self.side(above, at))

    def test_against_abel_sums(self):
        profile = self.joined()
        result = gh.interface_charge(profile, between=(15.0, 45.0), period=(2.0, 1.5), sampling="cell")
        assert result.charge.value == pytest.approx(self.expected(30.0, self.LEFT, self.RIGHT), abs=1e-9)
        assert result.kernel.value == pytest.approx(result.charge.value, abs=1e-6)
        assert result.estimator == "period window"
        assert result.scale_ratio == pytest.approx(15.0)

    def test_the_other_interface_goes_round(self):
        profile = self.joined()
        result = gh.interface_charge(profile, between=(45.0, 15.0), period=(1.5, 2.0), sampling="cell")
        below = float(self.side(self.RIGHT, 60.0))
        assert result.charge.value == pytest.approx(below - float(self.side(self.LEFT, 0.0)), abs=1e-9)
        assert result.between == pytest.approx((45.0, 75.0))

    def test_periods_are_found(self):
        profile = self.joined(n=3000)
        result = gh.interface_charge(profile, between=(15.0, 45.0), sampling="cell")
        assert result.periods == pytest.approx((2.0, 1.5), rel=1e-10)
        assert result.charge.value == pytest.approx(self.expected(30.0, self.LEFT, self.RIGHT), abs=1e-9)

    def test_of_a_slab_it_is_minus_one_surface(self):
        """From bulk to vacuum: what lies between is the upper surface."""
        profile = polar_slab(boundary="open")
        result = gh.interface_charge(profile, between=(32.0, 66.0), period=(3.0, None), eps=4.0)
        assert result.kernel.value == pytest.approx(-0.02, abs=1e-5)
        assert not result.period_window.defined
        assert result.estimator == "kernel"

    @pytest.mark.parametrize(
        ("between", "message"),
        [
            ((10.0,), "two positions"),
            ((10.0, np.nan), "two positions"),
            ((10.0, 70.0), "coincide"),
            ((10.0, 220.0), "further than a period"),
        ],
    )
    def test_positions_that_cannot_be(self, between, message):
        with pytest.raises(InputError, match=message):
            gh.interface_charge(self.joined(n=600), between=between, period=2.0)

    def test_order_on_an_open_axis(self):
        with pytest.raises(InputError, match="x_1 below x_2"):
            gh.interface_charge(polar_slab(boundary="open"), between=(40.0, 20.0))

    def test_periods_that_cannot_be(self):
        for periods, message in (("guess", "auto"), ((1.0, 2.0, 3.0), "one length"), (-1.0, "positive length")):
            with pytest.raises(InputError, match=message):
                gh.interface_charge(self.joined(n=600), between=(15.0, 45.0), period=periods)

    def test_charged_bulk_has_none(self):
        profile = self.joined(n=600)
        charged = gh.Profile(profile.position, profile.values + 0.2, "e/Å^3", "charge_density", profile.length)
        result = gh.interface_charge(charged, between=(15.0, 45.0), period=(2.0, 1.5), sampling="cell")
        assert not result.charge.defined
        assert "no neutral bulk" in result.charge.reason
        assert "Interface charge" in str(result)


class TestPlanes:
    """The planes of a profile, however they are written."""

    @pytest.mark.parametrize("axis", ["c", "C", "2", 2, (0, 0, 1), "001", "0 0 1", None])
    def test_the_same_axis(self, axis):
        assert gh.surface_charge(polar_slab(), axis, period=3.0).planes == "c"

    @pytest.mark.parametrize("axis", [(1, 1, 0), "110", "(1 1 0)"])
    def test_the_same_family(self, axis):
        assert gh.surface_charge(replace(polar_slab(), planes="(1 1 0)"), axis, period=3.0).planes == "(1 1 0)"

    @pytest.mark.parametrize("planes", ["c", "(1 1 0)"])
    @pytest.mark.parametrize("axis", ["a", 0, (1, 0, 1), -1, "-c"])
    def test_others_are_refused(self, planes, axis):
        with pytest.raises(InputError, match=r"leave axis out|does not exist"):
            gh.surface_charge(replace(polar_slab(), planes=planes), axis, period=3.0)

    def test_against_the_axis(self):
        assert gh.surface_charge(replace(polar_slab(), planes="-c"), (0, 0, -1), period=3.0).planes == "-c"


class TestNotDefined:
    """Every reason why a surface charge does not exist."""

    def test_slab_too_thin_for_a_bulk(self):
        result = gh.surface_charge(polar_slab(n_layers=2), period=3.0)
        assert not result.low.defined
        assert "no bulk between the surfaces" in result.low.reason
        assert result.bulk is None
        assert result.low.unit == result.total.unit == "e/Å^2"
        with pytest.raises(InputError, match="no bulk"):
            float(result.low)

    def test_kernel_too_wide(self):
        result = gh.surface_charge(polar_slab(n_layers=6), period=3.0, eps=6.0)
        assert result.low.defined
        assert not result.low_kernel.defined
        assert "choose eps below" in result.low_kernel.reason

    def test_graphene_is_all_surface(self):
        electrons = gh.read(DATA / "graphene_CHGCAR.gz")
        density = gh.charge_density(electrons, ion_charges={"C": 4})
        result = gh.surface_charge(density, "c")
        assert not result.low.defined
        assert "no neutral bulk" in result.low.reason
        assert abs(result.total.value) < 1e-6

    def test_charged_bulk(self):
        profile = polar_slab(boundary="open")
        inside = 0.002 * (erf((profile.position - 17) / 2) - erf((profile.position - 50) / 2)) / 2
        charged = gh.Profile(
            profile.position, profile.values + inside, "e/Å^3", "charge_density", 72.0, boundary="open"
        )
        result = gh.surface_charge(charged, period=3.0)
        assert "no neutral bulk" in result.low.reason and result.low.reason.endswith("would change with x_b")
        assert any("net charge" in remark for remark in result.remarks)

    @pytest.mark.parametrize("seed", range(4))
    def test_random_charges_fluctuate(self, seed):
        rng = np.random.default_rng(seed)
        x = np.arange(4000) * 0.05
        charges = rng.choice([-1.0, 1.0], 400)
        values = sum(
            q * gaussian(x, c, 0.25) for q, c in zip(charges - charges.mean(), 20 + 160 * rng.random(400), strict=True)
        )
        profile = gh.Profile(x, values, "e/Å^3", "charge_density", 200.0, boundary="open")
        result = gh.surface_charge(profile, period=None)
        assert not result.low.defined
        assert "charge" in result.low.reason

    def test_growth_of_the_variance(self):
        """1 for random charges, 0 for a crystal of dipoles: the theory's exponents."""
        rng = np.random.default_rng(7)
        random = [fluctuation_growth(Unrolled(0.0, 0.1, rng.normal(size=4000)), 20.0, 380.0) for _ in range(12)]
        assert np.mean(random) == pytest.approx(1.0, abs=0.15)
        values = rng.normal(size=4001)
        even = Unrolled(0.0, 0.1, np.diff(values))
        assert abs(fluctuation_growth(even, 20.0, 380.0)) < 0.2


def test_uncertainty_of_disordered_slabs_is_honest():
    """Displaced dipoles with mean charge 0.5: deviations are of the size of the stated uncertainty, never far off."""
    x = np.arange(2000) * 0.1
    scores = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        plus = 20 + 0.4 * np.arange(400)
        values = np.zeros_like(x)
        for p, shift in zip(plus, 0.1 * rng.normal(size=400), strict=True):
            near = abs(x - p) < 4
            values[near] += gaussian(x[near], p + shift, 0.25) - gaussian(x[near], p + 0.2, 0.25)
        profile = gh.Profile(x, values, "e/Å^3", "charge_density", 200.0, boundary="open")
        result = gh.surface_charge(profile, period=None)
        scores.append((result.low.value - 0.5) / result.low.uncertainty)
    assert 0.3 < np.sqrt(np.mean(np.square(scores))) < 2.0
    assert max(map(abs, scores)) < 6.0


def bilayers(count, std=0.3, length=60.0, n=600):
    """Planes of ±0.05 e/Å^2, 2 Å apart, every 4 Å: the cumulative charge is 0.05 for half of each period."""
    x = np.arange(n) * (length / n)
    values = sum(
        0.05 * (gaussian(x, 10 + 4 * i, std) - gaussian(x, 12 + 4 * i, std)) * np.ones(n) for i in range(count)
    )
    return gh.Profile(x, values, "e/Å^3", "charge_density", length)


class TestWithoutAPeriod:
    """The bulk must show itself: layers are counted, and the scatter is that of the whole bulk window."""

    @pytest.mark.parametrize("std", [0.1, 0.3, 0.6])
    @pytest.mark.parametrize("count", [1, 2])
    def test_one_layer_or_two_have_no_bulk(self, count, std):
        for period in ("auto", None):
            result = gh.surface_charge(bilayers(count, std, 24.0, 480), period=period)
            assert not result.low.defined
            assert not result.high_kernel.defined
            assert "no bulk between the surfaces" in result.low.reason

    @pytest.mark.parametrize("count", [4, 5, 10])
    def test_more_have_one(self, count):
        result = gh.surface_charge(bilayers(count), period=None)
        assert abs(result.low.value - 0.025) < 3 * result.low.uncertainty

    def test_jellium_has_no_layers_and_a_bulk(self):
        """Charged sheets on both faces of 30 Å without charge: what is known is found."""
        x = np.arange(800) * 0.075
        values = 0.02 * gaussian(x, 15.0, 0.4) - 0.02 * gaussian(x, 45.0, 0.4)
        result = gh.surface_charge(gh.Profile(x, values, "e/Å^3", "charge_density", 60.0), period=None, x_b=30.0)
        assert result.low.value == pytest.approx(0.02, rel=1e-4)

    @pytest.mark.parametrize("eps", [0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
    @pytest.mark.parametrize("x_b", [None, 28.0, 29.0, 30.0, 31.0])
    def test_a_narrow_kernel_says_how_little_it_knows(self, eps, x_b):
        """The mean of the cumulative charge is 0.025 e/Å^2, whatever a kernel narrower than the period shows."""
        result = gh.surface_charge(bilayers(10), period=None, eps=eps, x_b=x_b)
        assert abs(result.low.value - 0.025) < 2 * result.low.uncertainty
        assert abs(result.high.value + 0.025) < 2 * result.high.uncertainty
        assert abs(result.low.value - 0.025) < 1.1 * result.residual + 1e-6


class TestRefused:
    """One sentence each: what is wrong and what to do."""

    @pytest.mark.parametrize(
        ("quantity", "message"),
        [
            ("electron_density", r"gh\.charge_density\(field, ion_charges="),
            ("electrostatic_potential", r"gh\.charge_density\(potential\)"),
            ("electron_potential_energy", r"gh\.charge_density\(potential\)"),
            ("scalar", 'quantity="charge_density"'),
        ],
    )
    def test_other_quantities(self, quantity, message):
        field = gh.Field.from_array(np.ones((2, 2, 16)), np.eye(3) * 8, quantity=quantity)
        with pytest.raises(InputError, match=message):
            gh.surface_charge(field, "c")
        with pytest.raises(InputError, match=message):
            gh.interface_charge(field, "c", between=(1.0, 4.0))

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"x_b": 16.0}, InputError, "outside the bulk window"),
            ({"x_b": np.inf}, InputError, "finite position"),
            ({"origin": np.nan}, InputError, "finite position"),
            ({"eps": 0.1}, KernelError, "narrower than two samples"),
            ({"eps": -1.0}, KernelError, "positive kernel width"),
            ({"period": "three"}, InputError, '"auto"'),
            ({"period": 0.0}, InputError, "positive length"),
            ({"side": "left"}, InputError, "Unknown side"),
            ({"sampling": "points"}, InputError, "Unknown sampling"),
            ({"bulk": (30.0, 20.0)}, InputError, "the lower first"),
            ({"bulk": (5.0, 30.0)}, InputError, "leaves the slab"),
            ({"axis": "a"}, InputError, "leave axis out"),
        ],
    )
    def test_options(self, options, error, message):
        with pytest.raises(error, match=message):
            gh.surface_charge(polar_slab(), **{"period": 3.0, **options})

    def test_no_axis(self, salt):
        with pytest.raises(InputError, match="axis is missing"):
            gh.surface_charge(salt)

    def test_bulk_has_no_surface(self):
        x = np.arange(64) * 0.25
        profile = gh.Profile(x, np.cos(np.pi * x / 2), "e/Å^3", "charge_density", 16.0)
        with pytest.raises(InputError, match="this is a bulk and has no surface"):
            gh.surface_charge(profile)

    def test_vacuum_like_a_gap(self):
        profile = polar_slab(n_layers=2, a=20.0, length=40.0, n=640, first=5.0)
        with pytest.raises(InputError, match="cannot be told from the gaps"):
            gh.surface_charge(profile, period=None)
        body = find_body(profile, "bandlimited", inside=15.0)
        assert body.low < 5.0
        assert body.high > 25.0

    def test_charge_crosses_an_open_boundary(self):
        profile = polar_slab(first=1.0, boundary="open")
        with pytest.raises(InputError, match="Charge crosses the lower open boundary"):
            gh.surface_charge(profile)

    def test_empty(self):
        profile = gh.Profile(np.arange(16.0), np.zeros(16), "e/Å^3", "charge_density", 16.0)
        with pytest.raises(InputError, match="zero everywhere"):
            gh.surface_charge(profile)

    def test_too_few_samples(self):
        profile = gh.Profile(np.arange(4.0), np.ones(4), "e/Å^3", "charge_density", 4.0)
        with pytest.raises(InputError, match="at least 8"):
            gh.surface_charge(profile)
