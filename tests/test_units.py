"""Units against SciPy's CODATA table, and the refusals."""

import pytest
import scipy.constants as codata
from hypothesis import given
from hypothesis import strategies as st

from gpuhomog import units
from gpuhomog.errors import UnitsError
from gpuhomog.units import check_quantity, conversion_factor, times_length

pytestmark = pytest.mark.smoke


def test_constants_are_codata_2022():
    table = codata.physical_constants
    assert pytest.approx(table["Bohr radius"][0] * 1e10, rel=1e-12) == units.BOHR
    assert pytest.approx(table["Hartree energy in eV"][0], rel=1e-12) == units.HARTREE
    assert pytest.approx(table["Rydberg constant times hc in eV"][0], rel=1e-12) == units.RYDBERG
    kappa = codata.e / (4 * codata.pi * codata.epsilon_0) * 1e10
    assert pytest.approx(kappa, rel=1e-9) == units.COULOMB_CONSTANT


@pytest.mark.parametrize(
    ("unit", "target", "factor"),
    [
        ("e/bohr^3", "e/Å^3", 1 / 0.529177210544**3),
        ("Ha/e", "V", 27.211386245981),
        ("Ry", "eV", 13.60569312299),
        ("e*V", "eV", 1.0),
        ("C/m^2", "e/Å^2", 1 / 1.602176634e-19 / 1e20),
        ("e/nm^3", "e/Å^3", 1e-3),
        ("V/A", "V/Å", 1.0),
        ("1/Bohr**3", "1/Å³", 1 / 0.529177210544**3),
    ],
)
def test_conversions(unit, target, factor):
    assert conversion_factor(unit, target) == pytest.approx(factor, rel=1e-12)
    assert conversion_factor(target, unit) == pytest.approx(1 / factor, rel=1e-12)


@pytest.mark.parametrize("unit", ["furlong", "e//Å", "", "e^x", "e/Å^", "e Å^3^2"])
def test_units_that_cannot_be_read(unit):
    with pytest.raises(UnitsError):
        conversion_factor(unit, "e")


def test_different_things_and_unknown_quantities():
    with pytest.raises(UnitsError, match="Cannot convert"):
        conversion_factor("e/Å^3", "1/Å^3")
    with pytest.raises(UnitsError, match="charge_density"):
        check_quantity("charge-density")


@given(st.sampled_from(["e/Å^3", "V", "eV", "1/Å^3", "e*Å", "Å", "1"]), st.integers(-4, 4))
def test_times_length_means_what_it_says(unit, power):
    spelled = times_length(unit, power)
    other = f"{unit}*Å^{power}"
    assert conversion_factor(spelled, other) == pytest.approx(1.0)
    assert times_length(times_length(unit, power), -power) == unit
