"""A Field: frozen with its values, and with a record of what was done to them."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError, UnitsError


@pytest.fixture
def field():
    return gh.Field.from_array(np.ones((2, 3, 4)), np.eye(3), quantity="charge_density")


def test_it_is_shown_in_one_line_and_is_no_array(field):
    shown = repr(field)
    assert shown.startswith("Field(charge_density in e/Å^3, 2 × 3 × 4 points, float64 on cpu, cell 1 × 1 × 1 Å, peri")
    assert "array" not in shown
    with pytest.raises(TypeError, match="to_host"):
        np.asarray(field)


def test_what_is_no_field_or_profile_is_refused(field):
    with pytest.raises(InputError, match="of a Field, and this is a ndarray"):
        gh.planar_average(field.values, "c")
    with pytest.raises(InputError, match=r"this is a Field: give gh\.planar_average"):
        gh.macroscopic_average(field)


def test_values_are_read_only_and_the_given_array_is_not():
    given = np.ones((2, 3, 4))
    field = gh.Field.from_array(given, np.eye(3))
    with pytest.raises(ValueError, match="read-only"):
        field.values[0, 0, 0] = 2.0
    assert given.flags.writeable
    assert np.shares_memory(field.values, given)


def test_a_unit_is_in_the_provenance(field):
    other = field.to("e/bohr^3")
    assert other.provenance[-1] == {"step": "unit", "from": "e/Å^3", "to": "e/bohr^3"}
    assert other.unit == "e/bohr^3"
    back = other.internal()
    assert back.unit == "e/Å^3"
    assert back.to_host() == pytest.approx(1.0)
    assert field.internal() is field


def test_derived_fields_keep_description_and_attributes_apart(field):
    step = {"step": "shift", "unit": "of the shift", "by": 1.0}
    other = field.derive(field.values + 1.0, step, quantity="scalar", unit="K")
    assert other.provenance == (*field.provenance, step)
    assert (other.quantity, other.unit) == ("scalar", "K")
    assert field.derive(field.values, "same").provenance[-1] == {"step": "same"}
    with pytest.raises(TypeError):
        field.derive(field.values, "same", colour="red")


def test_no_unit_to_convert_from(field):
    unknown = field.derive(field.values, "lost", unit=None)
    with pytest.raises(InputError, match="no known unit"):
        unknown.to("e/Å^3")
    with pytest.raises(InputError, match="is not known"):
        unknown.internal()
    with pytest.raises(UnitsError, match="a unit of something else"):
        field.to("V")


def test_structures_name_the_atom_that_is_wrong():
    with pytest.raises(InputError, match="Atom 1 of 2 has the atomic number 300"):
        gh.Structure([3, 300], np.zeros((2, 3)))
    with pytest.raises(InputError, match="position of atom 2 of 3"):
        gh.Structure([3, 3, 3], [[0, 0, 0], [1, 1, 1], [0, np.nan, 0]])
