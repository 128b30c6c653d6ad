"""Results hold what they promise: finite numbers, frozen arrays."""

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.results import Result


def profile(**others):
    x = np.arange(8) * 0.5
    return gh.Profile(x, np.sin(x), "V", "electrostatic_potential", 4.0, **others)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_measurement_is_finite(number):
    with pytest.raises(InputError, match="not_defined"):
        gh.Measurement(number, "V")
    with pytest.raises(InputError, match="uncertainty"):
        gh.Measurement(1.0, "V", number)


def test_an_uncertainty_is_not_negative():
    with pytest.raises(InputError, match="not negative"):
        gh.Measurement(1.0, "V", -0.1)
    assert str(gh.Measurement(1.0, "V", 0.0)) == "1 V"


def test_a_profile_cannot_be_written_into():
    given = {"uncertainty": np.full(8, 0.1), "normal": np.array([0.0, 0.0, 1.0])}
    one = profile(**given)
    for name in ("position", "values", "uncertainty", "normal"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(one, name)[0] = 3.0
    given["uncertainty"][0] = given["normal"][2] = 5.0  # the caller's own stay writeable, and apart
    assert one.uncertainty[0] == 0.1
    assert one.normal[2] == 1.0


@pytest.mark.parametrize("uncertainty", [3.0, np.full(7, 0.1), np.full(8, -0.1), np.full(8, np.inf)])
def test_one_uncertainty_for_each_value(uncertainty):
    with pytest.raises(InputError, match="one for each value"):
        profile(uncertainty=uncertainty)


@pytest.mark.parametrize("normal", [[0.0, 1.0], [0.0, 0.0, 0.0], [np.nan, 0.0, 1.0]])
def test_a_normal_is_a_vector(normal):
    with pytest.raises(InputError, match="three finite numbers"):
        profile(normal=np.array(normal))


def test_a_result_is_shown_in_a_few_lines():
    shown = repr(gh.Profile(np.arange(352) * 0.5, np.linspace(-1.0, 2.5, 352), "V", "electrostatic_potential", 176.0))
    assert "values=<352 numbers, -1 to 2.5>" in shown
    assert "unit='V'" in shown
    assert len(shown) < 400
    found = gh.point_surface_charge(gh.PointCharges(np.arange(8) * 2.0, (-1.0) ** np.arange(8)))
    assert repr(found) == str(found)
    assert repr(found).startswith("Surface charge of point charges\n  σ low")


def test_every_result_hands_on_where_it_comes_from():
    """What is not shown is not in to_dict either, nor in any file: two results had their provenance left out."""
    found, classes = [], [Result]
    while classes:
        classes += (last := classes.pop()).__subclasses__()
        if is_dataclass(last) and last.__module__.startswith("gpuhomog."):
            found += [(last.__name__, f.repr) for f in fields(last) if f.name == "provenance"]
    assert len(found) > 40 and [name for name, shown in found if not shown] == []
