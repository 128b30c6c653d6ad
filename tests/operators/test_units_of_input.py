"""Operators that give e, Å and V take a field or profile in any unit of its quantity, and only with a unit."""

from dataclasses import replace

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError, UnitsError

BOHR, HARTREE = 0.529177210544, 27.211386245981  # Å, eV
X = np.arange(600) * 0.1


def gaussian(centre, std=0.6):
    return np.exp(-(((X - centre) / std) ** 2) / 2) / std / np.sqrt(2 * np.pi)


def charges():
    """Two sheets of ±0.05 e/Å^2, 30 Å apart, in e/bohr^3: moment 1.5 e/Å about anywhere."""
    values = -0.05 * gaussian(15.0) + 0.05 * gaussian(45.0)
    return gh.Profile(X, values * BOHR**3, "e/bohr^3", "charge_density", 60.0, boundary="open")


def as_field(profile, **others):
    """The same as a field of 2 x 3 columns."""
    values = np.broadcast_to(profile.values, (2, 3, len(profile.values)))
    field = gh.Field.from_array(
        values, np.diag([2.0, 3.0, 60.0]), quantity=profile.quantity, unit=profile.unit, boundary="p,p,o", **others
    )
    return field.to(profile.unit)


@pytest.mark.parametrize("make", [lambda p: (p, None), lambda p: (as_field(p), "c")], ids=["profile", "field"])
def test_charges_in_atomic_units(make):
    field, axis = make(charges())
    assert field.unit == "e/bohr^3"
    result = gh.surface_charge(field, axis, period=None)
    assert [result.low.value, result.high.value] == pytest.approx([-0.05, 0.05], abs=1e-6)
    assert result.dipole.value == pytest.approx(1.5, abs=1e-9)
    between = gh.interface_charge(field, axis, between=(25.0, 55.0), period=None, eps=2.0)
    assert between.charge.value == pytest.approx(0.05, abs=1e-6)
    step = gh.potential_step(field, axis, period=None)
    assert step.dipole.value == pytest.approx(1.5, abs=1e-9)
    assert step.step.value == pytest.approx(4 * np.pi * 14.399645478 * 1.5, rel=1e-8)


def test_potential_in_hartrees():
    energy = -0.2 * np.tanh(X - 30.0)
    profile = gh.Profile(X, energy, "Ha", "electron_potential_energy", 60.0, boundary="open")
    for field, axis in ((profile, None), (as_field(profile), "c")):
        assert field.unit == "Ha"
        result = gh.potential_step(field, axis, period=None)
        assert result.step.value == pytest.approx(0.4 * HARTREE, abs=1e-8)
        assert result.step.unit == "V"
    volts = gh.electrostatic_potential(as_field(profile))
    assert volts.unit == "V"
    assert volts.to_host().max() == pytest.approx(0.2 * HARTREE, abs=1e-8)
    assert gh.electrostatic_potential(volts.to("mV")).to_host().max() == pytest.approx(0.2 * HARTREE, abs=1e-8)


def test_books_in_atomic_units():
    atoms = gh.Structure(np.array([3]), np.array([[1.1, 2.0, 2.3]]))
    electrons = gh.Field.from_array(
        np.full((16, 16, 16), 1 / 64), 4.0 * np.eye(3), quantity="electron_density", structure=atoms
    ).to("1/bohr^3")
    balance = gh.charge_balance(electrons, {"Li": 1})
    assert balance.electrons.value == pytest.approx(1.0)
    assert balance.verdict == "neutral"
    density = gh.charge_density(electrons, {"Li": 1}, width=0.5)
    assert density.unit == "e/Å^3"
    assert density.integral() == pytest.approx(0.0, abs=1e-12)
    again = gh.charge_density(density.to("e/bohr^3"))
    assert again.unit == "e/Å^3"
    assert again.to_host() == pytest.approx(density.to_host(), abs=1e-14)
    assert gh.charge_balance(density.to("e/bohr^3")).net.value == pytest.approx(0, abs=1e-12)


def test_laplacian_of_a_potential_in_hartrees():
    """-V''/(4πκ) of a wave, by hand."""
    x = np.arange(32) / 32 * 4.0
    wave = 0.3 * np.cos(np.pi * x / 2)
    field = gh.Field.from_array(
        np.broadcast_to(wave, (4, 4, 32)), 4.0 * np.eye(3), quantity="electron_potential_energy", unit="eV"
    ).to("Ha")
    expected = -wave * (np.pi / 2) ** 2 / (4 * np.pi * 14.399645478)
    assert gh.charge_density(field).to_host()[1, 2] == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_a_charge_without_unit_is_refused():
    with pytest.raises(InputError, match="unit of this charge_density is not known"):
        gh.surface_charge(replace(charges(), unit=None))
    with pytest.raises(UnitsError, match="a unit of something else"):
        gh.surface_charge(replace(charges(), unit="V"))


def test_everything_in_a_profile_is_converted():
    profile = replace(charges(), uncertainty=np.full(600, 1e-3), ripple=2e-3)
    other = profile.internal()
    assert other.unit == "e/Å^3"
    assert other.values == pytest.approx(profile.values / BOHR**3)
    assert other.uncertainty == pytest.approx(1e-3 / BOHR**3)
    assert other.ripple == pytest.approx(2e-3 / BOHR**3)
    assert other.provenance[-1] == {"step": "unit", "from": "e/bohr^3", "to": "e/Å^3"}
    assert other.internal() is other
    scalar = gh.Profile(X, X, "K", "scalar", 60.0)
    assert scalar.internal() is scalar
