"""Facts beside an array: what the writers say is what the readers understand, for every kind of field."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.readers.described import FACTS, describe
from gpuhomog.writers.described import STRUCTURE, UNITS, facts_of

CELL = np.array([[3.0, 0.1, 0.0], [0.5, 4.0, 0.0], [0.0, 0.2, 5.0]])
BARE = {"quantity": "scalar"}
FULL = {
    "quantity": "charge_density",
    "boundary": "p,o,p",
    "origin": (0.1, -0.2, 1 / 3),
    "structure": gh.Structure([11, 17], [[0.0, 0.1, 0.2], [1.0, 1.0, 1 / 3]], [1.0, 7.0]),
}
UNCHARGED = {"quantity": "scalar", "unit": "meV", "structure": gh.Structure([3], [[1.0, 2.0, 3.0]])}


@pytest.mark.parametrize("options", [BARE, FULL, UNCHARGED], ids=["bare", "full", "no charges"])
def test_what_is_written_is_understood(options):
    field = gh.Field.from_array(np.ones((2, 3, 4)), CELL, **options)
    field = field.derive(field.values, {"step": "made", "eps": 0.1})
    facts = facts_of(field)
    assert set(facts) <= set(FACTS) and not any(fact is None for fact in facts.values())
    understood = describe(Path("x"), field.grid.shape, facts)
    np.testing.assert_array_equal(understood.grid.cell, field.grid.cell)
    np.testing.assert_array_equal(understood.grid.origin, field.grid.origin)
    assert understood.grid.boundary == field.grid.boundary
    assert (understood.quantity or "scalar", understood.unit) == (field.quantity, field.unit)
    assert understood.provenance == field.provenance
    for name in STRUCTURE:
        was, found = (getattr(atoms, name, None) for atoms in (field.structure, understood.structure))
        assert (was is None and found is None) or np.array_equal(was, found), name


def test_every_fact_that_the_readers_know_is_written():
    assert set(facts_of(gh.Field.from_array(np.ones((2, 3, 4)), CELL, **FULL))) == set(FACTS)
    assert set(UNITS) < set(FACTS) and set(STRUCTURE) < set(FACTS)
