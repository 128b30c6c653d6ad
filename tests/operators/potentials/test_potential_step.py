"""Potential steps: analytic slabs, a real slab by two routes, interfaces, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.operators.potentials.potential_step import potential_of_charge
from gpuhomog.operators.profiles.bulk import find_body
from gpuhomog.units import COULOMB_CONSTANT

DATA = Path(__file__).parents[2] / "data"
POISSON = 4 * np.pi * COULOMB_CONSTANT


def gaussian(x, centre, std):
    return np.exp(-(((x - centre) / std) ** 2) / 2) / std / np.sqrt(2 * np.pi)


def polar_charge(n_layers=9, *, length=60.0, n=960, a=3.0, d=0.6, q=0.001, first=15.0, upper=None):
    """Planes of +q, -q, d apart; `upper` replaces the charge of the last pair."""
    x = np.arange(n) * (length / n)
    charges = [q] * (n_layers - 1) + [q if upper is None else upper]
    values = sum(
        c * (gaussian(x, first + a * i, 0.35) - gaussian(x, first + a * i + d, 0.35)) for i, c in enumerate(charges)
    )
    return gh.Profile(x, values, "e/Å^3", "charge_density", length)


def potential_of(charge):
    """Poisson by a spline through the charge, integrated twice; zero below the slab."""
    return -POISSON * CubicSpline(charge.position, charge.values).antiderivative(2)(charge.position)


def as_potential(charge, values, shift=0, quantity="electrostatic_potential", boundary="periodic"):
    unit = "V" if quantity == "electrostatic_potential" else "eV"
    return gh.Profile(charge.position, np.roll(values, shift), unit, quantity, charge.length, boundary=boundary)


@pytest.fixture(scope="module")
def salt():
    folder = DATA
    charge = gh.read(folder / "NaCl_slab_charge_density.cube.gz", quantity="charge_density")
    energy = gh.read(folder / "NaCl_slab_electron_potential_energy.cube.gz", quantity="electron_potential_energy")
    return charge, energy


class TestSalt:
    """NaCl(001): 5.832 ± 0.002 V above vacuum on both sides, by the potential file and by the charge."""

    def test_from_the_potential(self, salt):
        result = gh.potential_step(salt[1], "c")
        for difference in (result.bulk_minus_low, result.bulk_minus_high):
            assert difference.value == pytest.approx(5.832, abs=0.002)
            assert difference.uncertainty < 0.002
        assert result.step.value == pytest.approx(0.0, abs=1e-9)
        assert result.flat
        assert result.source == "electron_potential_energy"

    def test_from_the_charge(self, salt):
        result = gh.potential_step(salt[0], "c")
        assert result.bulk_minus_low.value == pytest.approx(5.832, abs=0.002)
        assert result.bulk_minus_high.value == pytest.approx(5.832, abs=0.002)
        assert abs(result.dipole.value) < 2e-8
        assert abs(result.step.value) < 2e-8 * POISSON

    def test_by_double_integration_in_one_dimension(self, salt):
        """Independent of both: cumulative sums of the planar average, and whole layers by interpolation."""
        h = salt[0].grid.plane_spacing(2)
        rho = salt[0].to_host().mean(axis=(0, 1))
        field = np.cumsum(rho) * h - rho * h / 2
        volts = -POISSON * (np.cumsum(field) * h - field * h / 2)
        inside = np.interp(np.linspace(14.05 - 2.82, 14.05 + 2.82, 20_001), np.arange(len(rho)) * h, volts).mean()
        assert gh.potential_step(salt[0], "c").bulk.value == pytest.approx(inside, abs=1e-3)
        assert inside == pytest.approx(5.832, abs=0.002)

    def test_the_moment_of_the_surface_is_the_step(self, salt):
        """D_L/eps0, the term that is there although no surface is charged."""
        moment = gh.surface_charge(salt[0], "c").low_dipole.value
        assert moment * POISSON == pytest.approx(gh.potential_step(salt[1], "c").bulk_minus_low.value, abs=2e-3)

    def test_across_the_boundary_of_the_cell(self, salt):
        energy = salt[1]
        rolled = gh.Field.from_array(
            np.roll(energy.to_host(), 170, axis=2), energy.grid.cell, quantity="electron_potential_energy"
        )
        whole, wrapped = gh.potential_step(energy, "c"), gh.potential_step(rolled, "c")
        assert wrapped.bulk_minus_low.value == pytest.approx(whole.bulk_minus_low.value, abs=1e-9)
        assert wrapped.faces[1] > 28.1

    def test_with_the_density_too(self, salt):
        result = gh.potential_step(salt[1], "c", density=salt[0])
        assert result.bulk_minus_low.value == pytest.approx(5.832, abs=0.002)


class TestVacuum:
    """Plateaus of an analytic polar slab, as calculations of different kinds leave them."""

    EXPECTED = -POISSON * 0.001 * 0.6 * 9

    @pytest.mark.parametrize("shift", [0, 250, 600])
    def test_dipole_corrected(self, shift):
        """The potential jumps in the vacuum, wherever that lies in the cell."""
        charge = polar_charge()
        result = gh.potential_step(as_potential(charge, potential_of(charge), shift), period=3.0)
        assert result.step.value == pytest.approx(self.EXPECTED, abs=1e-9)
        assert result.flat
        assert result.field_low.value == pytest.approx(0.0, abs=1e-9)
        assert np.array(result.faces) - shift / 16 == pytest.approx([14.1, 40.5], abs=1.5)  # where its charge ends

    def test_uncorrected(self):
        """The field of the periodic images fills the vacuum: reported, and the levels are those at the faces."""
        charge = polar_charge(q=0.1)
        alone = potential_of(charge)
        field = -alone[-1] / charge.length
        result = gh.potential_step(as_potential(charge, alone + field * charge.position), period=3.0)
        assert not result.flat
        assert any("VASP's limit" in remark for remark in result.remarks)
        assert result.field_low.value == pytest.approx(field, abs=1e-9)
        assert result.field_high.value == pytest.approx(field, abs=1e-9)
        thickness = result.faces[1] - result.faces[0]
        assert result.step.value - field * thickness == pytest.approx(100 * self.EXPECTED, rel=1e-10)
        assert any("bulk has a field" in remark for remark in result.remarks)

    def test_sign_of_an_energy(self):
        charge = polar_charge()
        volts = potential_of(charge)
        up = gh.potential_step(as_potential(charge, volts, boundary="open"), period=3.0)
        down = gh.potential_step(
            as_potential(charge, -volts, quantity="electron_potential_energy", boundary="open"), period=3.0
        )
        assert up.step.value == pytest.approx(self.EXPECTED, abs=1e-9)
        assert down.step.value == up.step.value
        assert down.step.unit == "V"

    def test_from_charge_and_from_potential_agree(self):
        charge = polar_charge()
        by_charge = gh.potential_step(charge, period=3.0, x_b=27.3)
        by_potential = gh.potential_step(as_potential(charge, potential_of(charge)), period=3.0, x_b=27.3)
        assert by_charge.step.value == pytest.approx(self.EXPECTED, abs=1e-10)
        assert by_charge.bulk.value == pytest.approx(by_potential.bulk.value, abs=1e-9)
        assert by_charge.dipole.value == pytest.approx(-0.001 * 0.6 * 9, abs=1e-14)

    def test_graphene(self):
        """One layer has vacua and no bulk; its sides agree within their uncertainty, with the density or without.

        Its vacuum slopes by 3.5 mV/Å, so the levels are no better than that.
        """
        energy, density = gh.read(DATA / "graphene_LOCPOT.gz"), gh.read(DATA / "graphene_CHGCAR.gz")
        for given in (None, density):
            result = gh.potential_step(energy, "c", density=given)
            assert abs(result.step.value) < 2 * result.step.uncertainty
            assert result.step.uncertainty < 0.02
            assert not result.bulk.defined

    def test_only_one_vacuum(self):
        charge = polar_charge()
        values = potential_of(charge)
        cut = slice(0, 500)
        profile = gh.Profile(
            charge.position[cut], values[cut], "V", "electrostatic_potential", 500 / 16, boundary="open"
        )
        result = gh.potential_step(profile, period=3.0)
        assert result.low.value == pytest.approx(0.0, abs=1e-9)
        assert not result.high.defined
        assert "no vacuum at the upper end" in result.step.reason
        assert result.bulk_minus_low.defined

    def test_printed(self):
        text = str(gh.potential_step(polar_charge(), period=3.0))
        assert "across            a slab" in text
        assert " V" in text
        assert "dipole" in text
        record = gh.potential_step(polar_charge(), period=3.0).to_dict()
        assert record["step"]["unit"] == "V"
        assert record["periods"] is None


def slab_in(vacuum, x, edges=(14.0, 46.0)):
    inside = (x > edges[0]) & (x < edges[1])
    return np.where(inside, -3 + 3 * np.cos(2 * np.pi * (x - edges[0]) / 4), vacuum)


class TestVacuumThatIsNoPlateau:
    """Levels of potentials known in closed form, where the vacuum bends or slopes."""

    x = np.arange(600) * 0.1

    def step_of(self, values):
        return gh.potential_step(gh.Profile(self.x, values, "V", "electrostatic_potential", 60.0))

    def test_a_tail_that_never_ends(self):
        """V tends to 5 V as 1/d, or as 1/d²: no line has a level, and the number is not given."""
        d = np.minimum(abs(self.x - 14), np.minimum(abs(self.x - 46), abs(self.x + 14)))
        for values in (slab_in(5 - 7.2 / (2 + d), self.x), 5 - 3 / (1 + ((self.x - 30) / 6) ** 2)):
            result = self.step_of(values)
            for level in (result.low, result.high, result.step, result.field_low):
                assert not level.defined
                assert "not straight" in level.reason
            assert result.flat is False
            assert any("the vacuum bends" in remark for remark in result.remarks)

    @pytest.mark.parametrize("strength", [0.05, 0.15, 0.3, 0.6])
    def test_a_slight_bend_is_in_the_uncertainty(self, strength):
        """Of 5 - strength/(2 + d): V at 2 Å off the matter and V at infinity are within 3 u of the level."""
        d = np.minimum(abs(self.x - 14), np.minimum(abs(self.x - 46), abs(self.x + 14)))
        result = self.step_of(slab_in(5 - strength / (2 + d), self.x))
        for level in (result.low, result.high):
            assert abs(level.value - 5.0) < 3 * level.uncertainty
            assert abs(level.value - (5 - strength / 4)) < 3 * level.uncertainty
        assert result.low.uncertainty < 0.2 * strength

    def test_noise_is_no_bend(self):
        """A straight vacuum with noise of 5 mV has a level, whatever the noise."""
        random = np.random.default_rng(3)
        for _ in range(20):
            result = self.step_of(slab_in(5.0, self.x) + random.normal(scale=0.005, size=600))
            assert result.flat
            assert abs(result.low.value - 5) < 4 * result.low.uncertainty
            assert not any("field of" in remark for remark in result.remarks)

    @pytest.mark.parametrize("field", [0.02, 0.05, 0.09])
    def test_the_face_is_uncertain_where_there_is_a_field(self, field):
        """One slab, edges sharp or smooth: its steps differ by field times length, no more than is stated."""
        along = (self.x - 14) % 60
        ramp = np.where(along < 32, field * 28 / 32 * along, field * (60 - along))
        results = []
        for width in (0.3, 1.0):
            inside = (1 + erf((self.x - 14) / width)) * (1 + erf((46 - self.x) / width)) / 4
            values = 5 + ramp + inside * (3 * np.cos(2 * np.pi * (self.x - 14) / 4) - 8)
            results.append(self.step_of(values))
        sharp, smooth = (result.step for result in results)
        assert abs(sharp.value - smooth.value) < 2 * smooth.uncertainty
        assert abs(smooth.value - 28 * field) < 2.5 * smooth.uncertainty
        assert smooth.uncertainty < 3 * field
        for result in results:
            assert any(f"has a field of {field:.3g}" in remark for remark in result.remarks)


class TestWhatIsTold:
    """Uncertainty, flatness and sampling of a step."""

    def test_the_periods_uncertainty_reaches_the_bulk_level(self):
        """A found period is a little uncertain, a given one is exact: only the first can move the level."""
        charge = polar_charge(q=0.1, upper=0.12)
        found = gh.potential_step(charge)
        given = gh.potential_step(charge, period=found.period)
        assert found.bulk.value == pytest.approx(given.bulk.value, abs=1e-12)
        assert found.bulk.uncertainty > given.bulk.uncertainty

    def test_what_rounding_moves_is_a_part_of_the_potential(self):
        """Four times a potential of single precision: four times all levels, slopes and uncertainties."""
        charge = polar_charge()
        potential = replace(as_potential(charge, potential_of(charge)), precision=2.0**-24)
        one = gh.potential_step(potential, period=3.0)
        four = gh.potential_step(replace(potential, values=4 * potential.values), period=3.0)
        for name in ("bulk", "bulk_field", "low", "high", "field_low", "field_high", "step", "bulk_minus_low"):
            small, large = getattr(one, name), getattr(four, name)
            assert large.value == pytest.approx(4 * small.value, rel=1e-12, abs=1e-15), name
            assert large.uncertainty == pytest.approx(4 * small.uncertainty, rel=1e-12), name

    def test_a_charge_that_counts_as_none_is_uncertain_by_half_the_thickness(self):
        """Wherever it lies in the slab it moves the dipole about the middle by no more than that."""
        neutral, q = polar_charge(), 1e-8
        charge = replace(neutral, values=neutral.values + q * gaussian(neutral.position, 27.3, 0.5))
        found = gh.potential_step(charge, period=3.0)
        thickness = found.faces[1] - found.faces[0]
        assert found.step.uncertainty == pytest.approx(POISSON * q * thickness / 2, rel=1e-6)
        assert abs(found.step.value - gh.potential_step(neutral, period=3.0).step.value) < found.step.uncertainty

    def test_a_vacuum_that_is_not_there_is_not_flat(self):
        x = np.arange(600) * 0.1
        inside = np.where(x > 20, 5 * np.sin(x - 20), 0.0)
        one_sided = gh.Profile(x, inside, "V", "electrostatic_potential", 60.0, boundary="open")
        result = gh.potential_step(one_sided, period=None)
        assert not result.high.defined
        assert result.flat is False
        assert not any("not flat" in remark for remark in result.remarks)

    def test_sampling_is_kept(self):
        charge = polar_charge()
        for sampling in ("bandlimited", "cell"):
            assert gh.potential_step(charge, sampling=sampling).sampling == sampling
        assert gh.potential_step(as_potential(charge, potential_of(charge))).sampling is None

    @pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
    def test_potential_of_a_line_of_charge(self, sampling):
        """At the samples and between them, against the sum over sheets: each sheet's potential is -2πκ q |x - x_i|."""
        charge = polar_charge()
        line = find_body(charge, sampling).line
        x = np.array([10.0, 17.3, 30.02, 50.0])
        fine = np.linspace(0.0, 60.0, 240_001)[:-1]
        rho = CubicSpline(charge.position, charge.values)(np.minimum(fine, charge.position[-1])) * (fine[1] - fine[0])
        by_sheets = [-POISSON * float((rho * np.maximum(at - fine, 0.0)).sum()) for at in x]
        assert potential_of_charge(line, x) == pytest.approx(by_sheets, abs=5e-5 if sampling == "cell" else 2e-6)
        assert potential_of_charge(line) == pytest.approx(potential_of_charge(line, line.position), abs=1e-12)


class TestInterface:
    """Two bulks with their own levels and periods."""

    def superlattice(self, n=1200):
        x = np.arange(n) * (48.0 / n)
        smooth = (np.tanh((x - 24) / 0.8) - np.tanh((x - 48) / 0.8) - np.tanh(x / 0.8)) / 2 + 0.5
        waves = np.where(x < 24, 2 * np.cos(2 * np.pi * x / 2.4), np.sin(2 * np.pi * (x - 24) / 3.0))
        return gh.Profile(x, -3.0 + 4.5 * smooth + waves, "V", "electrostatic_potential", 48.0)

    @pytest.mark.parametrize("period", ["auto", (2.4, 3.0)])
    def test_both_interfaces(self, period):
        up = gh.potential_step(self.superlattice(), between=(12.0, 36.0), period=period)
        assert up.step.value == pytest.approx(4.5, abs=1e-5)
        assert up.periods == pytest.approx((2.4, 3.0), rel=1e-4)
        reverse = period if isinstance(period, str) else period[::-1]
        down = gh.potential_step(self.superlattice(), between=(36.0, 12.0), period=reverse)
        assert down.step.value == pytest.approx(-4.5, abs=1e-5)
        assert up.bulk is None
        assert "an interface, " in str(up)

    def test_a_field_in_a_bulk_is_reported(self):
        x = np.arange(600) * 0.1
        values = np.where(x < 30, 0.02 * (x - 15) + np.cos(2 * np.pi * x / 2.5), 5 + np.cos(2 * np.pi * x / 3))
        profile = gh.Profile(x, values, "V", "electrostatic_potential", 60.0, boundary="open")
        result = gh.potential_step(profile, between=(15.0, 45.0), period=(2.5, 3.0))
        assert result.field_low.value == pytest.approx(0.02, abs=1e-9)
        assert result.field_high.value == pytest.approx(0.0, abs=1e-9)
        assert result.step.value == pytest.approx(5.0, abs=1e-9)

    @pytest.mark.parametrize("disorder", ["displaced", "noise", "strength"])
    def test_the_uncertainty_is_one_where_periods_differ(self, disorder):
        """Layers displaced or of unequal strength, or noise at each point: of seeded steps 95 % lie within 2 u."""
        x, away = np.arange(800) * 0.12, []
        for seed in range(80):
            rng = np.random.default_rng(seed)
            levels, periods, values = rng.normal(size=2) * 2, rng.uniform(2.6, 3.4, 2), np.zeros(800)
            for i, (level, a) in enumerate(zip(levels, periods, strict=True)):
                for place in 48 + (np.arange(12) + 0.5) * a * (1, -1)[1 - i]:
                    moved = 0.03 * a * rng.normal() if disorder == "displaced" else 0.0
                    strength = 1 + 0.03 * rng.normal() if disorder == "strength" else 1.0
                    values += strength * level * a * gaussian(x, place + moved, 0.2 * a)
            values += 0.05 * rng.normal(size=800) if disorder == "noise" else 0.0
            profile = gh.Profile(x, values, "V", "electrostatic_potential", 96.0, boundary="open")
            places = 48 + rng.uniform(5.5, 6.5, 2) * periods * (-1, 1)
            step = gh.potential_step(profile, between=places, period=periods).step
            away.append(abs(step.value - levels[1] + levels[0]) / step.uncertainty)
        shares = [np.mean(np.array(away) < times) for times in (1, 2)]
        assert 0.6 < shares[0] < 0.95 and shares[1] >= 0.95

    def test_period_that_leaves_the_box(self):
        profile = gh.Profile(
            np.arange(600) * 0.1, np.cos(np.arange(600) * 0.3), "V", "electrostatic_potential", 60.0, boundary="open"
        )
        result = gh.potential_step(profile, between=(0.5, 45.0), period=2.0)
        assert "leaves the box" in result.step.reason


class TestRefused:
    """One sentence each."""

    def test_net_charge(self):
        charge = polar_charge()
        charged = gh.Profile(
            charge.position,
            charge.values + 1e-5 * gaussian(charge.position, 30.0, 1.0),
            "e/Å^3",
            "charge_density",
            60.0,
        )
        with pytest.raises(InputError, match="origin-dependent"):
            gh.potential_step(charged, period=3.0)

    @pytest.mark.parametrize("quantity", ["scalar", "electron_density"])
    def test_other_quantities(self, quantity):
        field = gh.Field.from_array(np.ones((2, 2, 16)), np.eye(3) * 8, quantity=quantity)
        with pytest.raises(InputError, match="A potential step needs"):
            gh.potential_step(field, "c")

    def test_no_vacuum(self):
        x = np.arange(128) * 0.125
        bulk = gh.Profile(x, np.cos(np.pi * x), "V", "electrostatic_potential", 16.0)
        with pytest.raises(InputError, match="nowhere straight for long"):
            gh.potential_step(bulk)
        opened = gh.Profile(x, np.cos(np.pi * x), "V", "electrostatic_potential", 16.0, boundary="open")
        with pytest.raises(InputError, match="straight at neither end"):
            gh.potential_step(opened)

    def test_no_matter(self):
        x = np.arange(64) * 0.25
        flat = gh.Profile(x, np.full(64, 2.0), "V", "electrostatic_potential", 16.0)
        with pytest.raises(InputError, match="the same everywhere"):
            gh.potential_step(flat)
        line = gh.Profile(x, 0.1 * x, "V", "electrostatic_potential", 16.0, boundary="open")
        with pytest.raises(InputError, match="straight all along"):
            gh.potential_step(line)

    def test_two_slabs(self):
        x = np.arange(800) * 0.1
        values = sum(np.cos(3 * x) * np.exp(-(((x - c) / 4) ** 8)) for c in (20.0, 60.0))
        two = gh.Profile(x, values, "V", "electrostatic_potential", 80.0)
        with pytest.raises(InputError, match="Two vacua"):
            gh.potential_step(two)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"x_b": 16.0}, "outside the bulk window"),
            ({"x_b": np.nan}, "finite position"),
            ({"period": "three"}, '"auto"'),
            ({"period": (3.0, 3.0)}, "a slab has one bulk"),
            ({"between": (10.0, 20.0)}, "taken from a potential"),
            ({"sampling": "points"}, "Unknown sampling"),
        ],
    )
    def test_options(self, options, message):
        with pytest.raises(InputError, match=message):
            gh.potential_step(polar_charge(), **{"period": 3.0, **options})

    def test_density_on_other_planes(self):
        charge = polar_charge()
        potential = as_potential(charge, potential_of(charge))
        with pytest.raises(InputError, match="on the same planes"):
            gh.potential_step(potential, density=polar_charge(n=480))
        with pytest.raises(InputError, match="give an electron_density"):
            gh.potential_step(potential, density=potential)

    def test_density_elsewhere(self):
        charge = polar_charge()
        potential = as_potential(charge, potential_of(charge))
        for density in (replace(charge, planes="(1 1 0)"), replace(charge, position=charge.position + 0.3)):
            with pytest.raises(InputError, match="give both on the same planes"):
                gh.potential_step(potential, density=density)

    def test_density_without_use(self):
        charge = polar_charge()
        with pytest.raises(InputError, match="A charge density shows itself where it is empty: leave density out"):
            gh.potential_step(charge, density=charge)
        potential = as_potential(charge, potential_of(charge))
        with pytest.raises(InputError, match="An interface asks for no vacuum: leave density out"):
            gh.potential_step(potential, density=charge, between=(10.0, 30.0))

    def test_thin_slab_has_no_bulk(self):
        result = gh.potential_step(polar_charge(n_layers=2), period=3.0)
        assert "no bulk between the surfaces" in result.bulk.reason
        assert result.step.defined
