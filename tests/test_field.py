"""A Field: frozen with its values, and with a record of what was done to them."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import DeviceError, InputError, UnitsError


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


def test_what_lies_below_a_mask_is_no_value():
    values = np.ma.masked_greater(np.arange(24.0).reshape(2, 3, 4), 20)
    with pytest.raises(InputError, match="3 of 24 values are masked"):
        gh.Field.from_array(values, np.eye(3))
    assert gh.Field.from_array(values[:1], np.eye(3)).mean() == 5.5  # nothing of it is masked


@pytest.mark.parametrize("kept", [">f4", "<f4", ">f8", ">i2"])
def test_either_order_of_bytes(kept):
    field = gh.Field.from_array(np.arange(24).reshape(2, 3, 4).astype(kept), np.eye(3))
    assert field.values.dtype == (np.float32 if kept.endswith("f4") else np.float64) and field.mean() == 11.5


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ({"values": [[[1.0, 2.0], [3.0]]]}, InputError, "lists of different lengths"),
        ({"boundary": None}, InputError, "Boundary None is not understood"),
        ({"device": 0}, DeviceError, "Unknown device 0"),
    ],
)
def test_arguments_of_another_kind(given, error, sentence):
    with pytest.raises(error, match=sentence):
        gh.Field.from_array(**{"values": np.ones((2, 2, 2)), "cell": np.eye(3)} | given)


def test_the_largest_doubles_are_finite():
    assert gh.Field.from_array(np.full((1, 1, 2), 1.7e308), np.eye(3)).extrema() == (1.7e308, 1.7e308)


def test_densities_are_added_and_subtracted(field):
    rng = np.random.default_rng(4)
    whole, part = (
        gh.Field.from_array(rng.normal(size=(3, 4, 5)), np.eye(3) * 4, quantity="electron_density") for _ in "12"
    )
    less = whole - part
    np.testing.assert_array_equal(less.to_host(), whole.to_host() - part.to_host())
    assert (less.quantity, less.unit) == ("electron_density", "1/Å^3")
    assert less.provenance[-1] == {"step": "difference", "less": list(part.provenance)}
    again = less + part.to("1/bohr^3")
    np.testing.assert_allclose(again.to_host(), whole.to_host(), rtol=1e-12, atol=1e-14)
    with pytest.raises(InputError, match="charge_density and electron_density"):
        field - part
    finer = gh.Field.from_array(np.ones((3, 4, 6)), np.eye(3) * 4, quantity="electron_density")
    with pytest.raises(InputError, match=r"different grids, 3 × 4 × 5 points in 64 Å\^3 .* and 3 × 4 × 6"):
        whole + finer
    moved = gh.Field.from_array(np.ones((3, 4, 5)), np.eye(3) * 4, quantity="electron_density", origin=(0, 0, 1))
    with pytest.raises(InputError, match=r"from \(0, 0, 0\) Å on and .* from \(0, 0, 1\) Å on"):
        whole - moved
    with pytest.raises(TypeError, match="unsupported operand"):
        whole + 1.0


def test_densities_larger_than_memory_are_not_added(tmp_path):
    density = gh.Field.from_array(np.ones((3, 4, 5)), np.eye(3) * 4, quantity="electron_density")
    gh.write(density, tmp_path / "density.npz")
    unread = gh.read(tmp_path / "density.npz", device="cpu", max_memory="4GB")
    for one, other in ((unread, density), (density, unread), (unread, unread)):
        with pytest.raises(InputError, match="sum or difference of fields needs all values"):
            one - other


def test_a_field_is_an_array_with_labels(field):
    pytest.importorskip("xarray", reason="the extra labels is not installed")
    cell = np.array([[4.0, 0.0, 0.0], [3.0, 4.0, 0.0], [0.0, 0.0, 6.0]])
    values = np.arange(60.0).reshape(3, 4, 5)
    labelled = gh.Field.from_array(values, cell, quantity="electron_density").to_xarray()
    assert labelled.dims == ("a", "b", "c") and labelled.name == "electron_density"
    assert float(labelled.sel(a=4 / 3, b=2.5, c=4.8, method="nearest")) == values[1, 2, 4]
    np.testing.assert_allclose(labelled["b"], np.arange(4) * 5.0 / 4)
    assert labelled.attrs["unit"] == "1/Å^3" and labelled.attrs["cell"] == cell.tolist()


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
