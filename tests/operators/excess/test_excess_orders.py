"""Excess of order 0 and 1 by three estimators, over bulk values that are not zero: by hand, by Abel sums, disorder."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks import on_ranks
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.operators.excess.bulk_charge import low_k_exponent
from gpuhomog.operators.profiles.unrolled import Unrolled

WAVES = ((0.7, 1, 0.3), (-1.1, 2, 1.9), (0.45, 3, -0.8))


def primitive(x, order=1):
    """Antiderivative of the trigonometric crystal, and its own."""
    turn = {1: np.sin, 2: lambda t: -np.cos(t)}[order]
    return sum(a * turn(2 * np.pi * n * x + phase) / (2 * np.pi * n) ** order for a, n, phase in WAVES)


def cleaved(start, stop, n, pad, value=0.0, quantity="charge_density", unit="e/Å^3"):
    """Value + trigonometric crystal from start to stop, exact cell averages."""
    h = (stop - start) / n
    edges = start + h * np.arange(-pad, n + pad + 1)
    inside = np.clip(edges, start, stop)
    values = (np.diff(primitive(inside)) + value * np.diff(inside)) / h
    return gh.Profile((edges[1:] + edges[:-1]) / 2, values, unit, quantity, h * len(values), boundary="open")


def abel(at):
    """σ and S1 about `at` of the crystal that begins there: Σ a ∫_0^∞ x^r cos(2πn(x + at) + φ)."""
    return -primitive(at), sum(-a * np.cos(2 * np.pi * n * at + p) / (2 * np.pi * n) ** 2 for a, n, p in WAVES)


def disordered(alpha, seed, n=4096, h=0.1, length=0.5, vacuum=200):
    """A slab cut out of a field whose power goes as k^alpha at small k."""
    rng = np.random.default_rng(seed)
    k = 2 * np.pi * np.fft.rfftfreq(4 * n, h)
    amplitude = np.where(k > 0, (k * length) ** alpha, 0.0) ** 0.5 * np.exp(-((k * length) ** 2) / 2)
    field = np.fft.irfft(amplitude * (rng.normal(size=len(k)) + 1j * rng.normal(size=len(k))), 4 * n)
    values = np.r_[np.zeros(vacuum), field[:n] / field.std(), np.zeros(vacuum)]
    return gh.Profile(np.arange(len(values)) * h, values, "e/Å^3", "charge_density", len(values) * h, boundary="open")


class TestThreeEstimators:
    """Period window, kernel, partition: the same numbers by different routes."""

    @pytest.mark.parametrize("x_b", [None, 20.1, 20.37, 20.5])
    def test_both_orders_against_abel_sums(self, x_b):
        profile = cleaved(0.0, 40.0, 8000, 200)
        found = gh.surface_charge(profile, x_b=x_b, period=1.0, eps=3.0, origin=0.0, sampling="cell")
        sigma, moment = abel(0.0)
        for name in ("period", "kernel", "partition"):
            assert getattr(found, f"low_{name}").value == pytest.approx(sigma, abs=1e-6), name
            assert getattr(found, f"low_dipole_{name}").value == pytest.approx(moment, abs=2e-5), name
        assert found.low_dipole is found.low_dipole_period
        assert found.widest <= 1.0

    @pytest.mark.parametrize("period", [1.0, None])
    def test_sum_rules(self, period):
        """Low and high add up to the total, and their moments about one origin to the dipole."""
        profile = cleaved(0.0, 30.37, 6074, 200)
        found = gh.surface_charge(profile, period=period, eps=3.0, sampling="cell")
        assert abs(found.closure) < 1e-13
        assert abs(found.dipole_closure) < 1e-12
        apart = found.origin_high - found.origin_low
        for name in ("kernel", "partition"):
            charge = [getattr(found, f"{side}_{name}").value for side in ("low", "high")]
            moment = [getattr(found, f"{side}_dipole_{name}").value for side in ("low", "high")]
            assert sum(charge) == pytest.approx(found.total.value, abs=1e-12)
            assert sum(moment) + apart * charge[1] == pytest.approx(found.dipole.value, abs=1e-9)

    def test_partition_of_a_smooth_crystal(self):
        """Bandlimited samples of sheets: q d/a, and its moment, at cuts in and between the sheets."""
        x = np.arange(960) * 0.075
        values = np.zeros(960)
        for i in range(14):
            for q, place in ((0.1, 12 + 3 * i), (-0.1, 12.6 + 3 * i)):
                values += q * np.exp(-(((x - place) / 0.35) ** 2) / 2) / (0.35 * np.sqrt(2 * np.pi))
        profile = gh.Profile(x, values, "e/Å^3", "charge_density", 72.0)
        for x_b in (32.0, 33.1, 34.5):
            found = gh.surface_charge(profile, period=3.0, x_b=x_b, eps=4.0, origin=10.8)
            assert found.low_partition.value == pytest.approx(0.02, abs=1e-9)
            assert found.high_partition.value == pytest.approx(-0.02, abs=1e-9)
            assert found.low_dipole_partition.value == pytest.approx(0.0, abs=1e-9)  # whole blocks begin at 10.8
            assert abs(found.low_partition.value - 0.02) < 5 * found.low_partition.uncertainty + 1e-9

    def test_no_partition_says_why(self):
        """A bulk that is charged has none, nor has one too thin."""
        found = gh.surface_charge(cleaved(0.0, 2.0, 400, 200), period=1.0, sampling="cell")
        assert not found.low_partition.defined and "no bulk" in found.low_partition.reason
        x = np.arange(600) * 0.1
        sheets = [np.exp(-(((x - p) / 0.5) ** 2) / 2) for p in (15.0, 45.0)]
        profile = gh.Profile(x, 0.05 * sheets[0] - 0.02 * sheets[1], "e/Å^3", "charge_density", 60.0, boundary="open")
        found = gh.surface_charge(profile)  # nothing between two sheets: C is level there
        assert found.low_partition.value == pytest.approx(found.low_kernel.value, abs=1e-5)

    def test_ranks_find_what_one_process_finds(self):
        values = np.broadcast_to(cleaved(0.0, 24.0, 240, 40).values, (3, 2, 320)).copy()
        field = gh.Field.from_array(values, np.diag([2.0, 2.0, 32.0]), quantity="charge_density", boundary="p,p,o")
        whole = gh.surface_charge(field, "c", period=1.0, sampling="cell")
        for axis in (0, 2):
            for found in on_ranks(
                field, 3, lambda part: gh.surface_charge(part, "c", period=1.0, sampling="cell"), axis=axis
            ):
                for name in ("low_partition", "high_dipole_partition", "low_dipole_kernel"):
                    assert getattr(found, name).value == pytest.approx(getattr(whole, name).value, abs=1e-12)


class TestDisorder:
    """σ needs alpha > 1, S1 alpha > 3: seeded fields of known exponent."""

    @pytest.mark.parametrize(("alpha", "within"), [(1, 0.7), (2, 0.5), (4, 0.9)])
    def test_the_exponent_is_found(self, alpha, within):
        found = [gh.surface_charge(disordered(alpha, s), period=None, sampling="cell").alpha for s in range(8)]
        known = [a for a in found if a is not None]
        assert len(known) >= 5
        assert np.mean(known) == pytest.approx(alpha, abs=within)

    @pytest.mark.parametrize(("alpha", "settled"), [(2, False), (5, True)])
    def test_first_moments_that_do_not_converge(self, alpha, settled):
        for seed in range(4):
            found = gh.surface_charge(disordered(alpha, seed), period=None, sampling="cell")
            assert found.low.defined and found.low_partition.defined
            for name in ("low_dipole", "high_dipole_kernel", "low_dipole_partition"):
                assert getattr(found, name).defined == settled
            if not settled:
                assert found.low_dipole.reason.startswith("not converged: the power of the bulk goes as k^")

    def test_kernel_and_partition_agree_within_their_uncertainty(self):
        scores = []
        for alpha in (2, 4):
            for seed in range(10):
                found = gh.surface_charge(disordered(alpha, seed), period=None, sampling="cell")
                known = np.hypot(found.low.uncertainty, found.low_partition.uncertainty)
                scores.append((found.low.value - found.low_partition.value) / known)
        assert 0.2 < np.sqrt(np.mean(np.square(scores))) < 2.0 and np.abs(scores).max() < 5

    def test_a_ripple_is_no_disorder(self):
        h = 0.05
        edges = h * np.arange(1201)
        line = Unrolled(0.0, h, np.diff(np.sin(2 * np.pi * edges / 2.0)) / h, "cell")
        assert low_k_exponent(line, 0.0, 60.0, 12.0) is None
        assert low_k_exponent(line, 0.0, 60.0, 4.0) is None
        assert low_k_exponent(line, 0.0, 60.0, 0.3) is None  # too narrow to see anything


class TestReference:
    """A bulk value V that is subtracted up to a stated dividing surface."""

    @pytest.mark.parametrize("value", [0.4, -1.3, 25.0])
    def test_the_crystal_is_what_remains(self, value):
        """V + crystal between sharp faces, less V between them: the crystal's own excess, of order 0 and 1."""
        profile = cleaved(0.0, 40.0, 8000, 200, value)
        found = gh.surface_excess(
            profile, reference=value, x_surface=(0.0, 40.0), period=1.0, eps=3.0, origin=0.0, sampling="cell"
        )
        sigma, moment = abel(0.0)
        for name in ("period", "kernel", "partition"):
            assert getattr(found, f"low_{name}").value == pytest.approx(sigma, abs=1e-6), name
            assert getattr(found, f"low_dipole_{name}").value == pytest.approx(moment, abs=2e-5), name
        assert found.reference == value and found.x_surface == (0.0, 40.0)
        assert "reference" in str(found) and str(found).startswith("Surface excess")

    @settings(max_examples=12)
    @given(st.floats(-2, 2).filter(lambda v: abs(v) > 0.05), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
    def test_gibbs(self, value, low, high):
        """S0 changes by V for each Å of the dividing surface; L + R = ∫ν - V (x_R - x_L)."""
        profile = cleaved(0.0, 30.0, 1500, 150, value)
        here, there = (
            gh.surface_excess(profile, reference=value, x_surface=(a, 30.0 + b), period=1.0, eps=3.0, sampling="cell")
            for a, b in ((0.0, 0.0), (low, high))
        )
        assert there.low.value - here.low.value == pytest.approx(value * low, abs=1e-10)
        assert there.high.value - here.high.value == pytest.approx(-value * high, abs=1e-10)
        integral = float(profile.values.sum() * profile.spacing)
        expected = integral - value * (30.0 + high - low)
        assert there.total.value == pytest.approx(expected, abs=1e-10)
        assert abs(there.closure) < 1e-11 and abs(there.dipole_closure) < 1e-9
        moved = there.low_dipole.value - here.low_dipole.value  # -V ∫_0^low (x - origin)
        assert moved == pytest.approx(value * low * (low / 2 - here.origin_low), abs=2e-4)  # a cut cell: O(h^2)

    def test_electrons_of_a_smooth_slab(self):
        """1/Å^3; V from the bulk itself; the error-function edge has its dividing surface where the excess is zero."""
        x = np.arange(1200) * 0.05
        profile = gh.Profile(
            x, 0.2 * (erf((x - 15) / 1.5) - erf((x - 45) / 1.5)) / 2 * (1 + 0.3 * np.cos(2 * np.pi * (x - 30) / 2.0)),
            "1/Å^3", "electron_density", 60.0,
        )  # fmt: skip
        found = gh.surface_excess(profile, reference="bulk", x_surface=(15.0, 45.0), period=2.0)
        assert found.reference == pytest.approx(0.2, abs=1e-9)
        assert found.low.value == pytest.approx(0.0, abs=1e-9)
        assert (found.low.unit, found.low_dipole.unit) == ("1/Å^2", "1/Å")
        assert found.low.value == pytest.approx(found.high.value, abs=1e-9)
        moved = gh.surface_excess(profile, reference="bulk", x_surface=(14.0, 45.0), period=2.0)
        assert moved.low.value - found.low.value == pytest.approx(-0.2, abs=1e-9)

    def test_through_the_boundary_of_the_cell(self):
        profile = cleaved(0.0, 30.0, 1500, 150, 0.4)
        periodic = gh.Profile(np.arange(1800) * 0.02, np.roll(profile.values, 1200), "e/Å^3", "charge_density", 36.0)
        start = 0.02 * (1200 + 150) - 0.01
        found = gh.surface_excess(
            periodic, reference=0.4, x_surface=(start, start + 30.0), period=1.0, eps=3.0, sampling="cell",
            x_b=start + 15.0 - 36.0,
        )  # fmt: skip
        assert found.low.value == pytest.approx(abel(0.0)[0], abs=1e-9)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"reference": 0.4}, r"State where it lies: x_surface=\(low, high\)"),
            ({"reference": 0.4, "x_surface": (30.0, 0.0)}, "the lower first"),
            ({"reference": 0.4, "x_surface": (-20.0, 30.0)}, "leaves the profile"),
            ({"reference": "mean", "x_surface": (0.0, 30.0)}, 'or "bulk"'),
            ({"reference": np.nan, "x_surface": (0.0, 30.0)}, "finite bulk value"),
        ],
    )
    def test_refusals(self, options, message):
        with pytest.raises(gh.InputError, match=message):
            gh.surface_excess(cleaved(0.0, 30.0, 1500, 150, 0.4), period=1.0, sampling="cell", **options)

    def test_a_wrong_reference_leaves_a_bulk_that_is_not_neutral(self):
        profile = cleaved(0.0, 30.0, 1500, 150, 0.4)
        options = {"reference": 0.3, "x_surface": (0.0, 30.0), "period": 1.0, "sampling": "cell"}
        assert "no neutral bulk" in gh.surface_excess(profile, **options).low.reason
        scalar = gh.Profile(profile.position, profile.values, None, "scalar", profile.length, boundary=profile.boundary)
        reason = gh.surface_excess(scalar, **options).low.reason
        assert "carries 0.1, so" in reason and reason.endswith("subtract the value of the bulk as a reference")


class TestInterface:
    """Two crystals, with bulk values, joined at a sharp plane: Abel sums of each side."""

    @staticmethod
    def joined(below=0.0, above=0.0, n=6000, half=30.0):
        """Crystal of period 1 below, of period 1.5 above."""
        edges = np.linspace(0.0, 2 * half, n + 1)
        left, right = np.clip(edges, 0.0, half), np.clip(edges, half, 2 * half)
        h = edges[1]
        values = np.diff(primitive(left)) + below * np.diff(left)
        values += 0.9 * np.diff(np.sin(2 * np.pi * right / 1.5 - 0.8)) * 1.5 / (2 * np.pi) + above * np.diff(right)
        return gh.Profile((edges[1:] + edges[:-1]) / 2, values / h, "e/Å^3", "charge_density", 2 * half)

    SIGMA = float(primitive(30.0)) - 0.9 * np.sin(2 * np.pi * 20 - 0.8) * 1.5 / (2 * np.pi)
    MOMENT = float(-primitive(30.0, 2)) - 0.9 * np.cos(2 * np.pi * 20 - 0.8) * (1.5 / (2 * np.pi)) ** 2

    @pytest.mark.parametrize(("below", "above"), [(0.0, 0.0), (0.3, -0.5)])
    def test_both_orders_by_three_estimators(self, below, above):
        """About the interface: S0 = Σ of both Abel sums; S1 of a side that ends at 0 is +Σ a cos φ/k²."""
        profile = self.joined(below, above)
        given_values = {} if below == above == 0 else {"reference": (below, above), "x_surface": 30.0}
        found = gh.interface_excess(
            profile, between=(15.0, 45.0), period=(1.0, 1.5), origin=30.0, sampling="cell", **given_values
        )
        for name in ("period_window", "kernel", "partition"):
            assert getattr(found, name).value == pytest.approx(self.SIGMA, abs=2e-6), name
        for name in ("dipole_period", "dipole_kernel", "dipole_partition"):
            assert getattr(found, name).value == pytest.approx(self.MOMENT, abs=5e-5), name
        assert found.dipole is found.dipole_period and found.origin == 30.0
        assert "Interface excess" in str(found)

    def test_no_partition_says_why_without_advice_for_another_call(self):
        x = np.arange(0.05, 40, 0.1)
        profile = gh.Profile(x, np.sin(2 * np.pi * x / 4), "e/Å^3", "charge_density", 40.0, boundary="open")
        found = gh.interface_charge(profile, between=(17.5, 22.5), period=4.0, sampling="cell")
        assert found.charge.defined and not found.partition.defined
        assert found.partition.reason.endswith("it stays away, so there is no zero-average partition")

    def test_the_dividing_surface(self):
        profile = self.joined(0.3, -0.5)
        options = {"between": (15.0, 45.0), "period": (1.0, 1.5), "reference": (0.3, -0.5), "sampling": "cell"}
        here, there = (gh.interface_excess(profile, x_surface=x, **options) for x in (30.0, 31.2))
        assert there.charge.value - here.charge.value == pytest.approx(1.2 * (-0.5 - 0.3), abs=1e-9)
        for x_surface, message in (
            (None, "State the dividing surface"),
            (50.0, "must lie between"),
            (np.nan, "between"),
        ):
            with pytest.raises(gh.InputError, match=message):
                gh.interface_excess(profile, x_surface=x_surface, **options)
        with pytest.raises(gh.InputError, match="two bulk values"):
            gh.interface_excess(profile, **{**options, "reference": (0.3,)}, x_surface=30.0)
        with pytest.raises(gh.InputError, match="finite position"):
            gh.interface_charge(self.joined(), between=(15.0, 45.0), period=(1.0, 1.5), origin=np.inf)

    def test_disorder_on_both_sides(self):
        profile = disordered(2, 3)
        middle = float(profile.position.mean())
        found = gh.interface_charge(profile, between=(middle - 100, middle + 100), period=None, sampling="cell")
        assert found.alpha is not None and found.alpha < 3
        assert not found.dipole.defined and found.dipole.reason.startswith("not converged")
        assert found.charge.defined
