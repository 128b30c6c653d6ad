"""Every example in a docstring runs as written."""

import doctest
import importlib
import pkgutil
from importlib.util import find_spec

import pytest

import gpuhomog

pytestmark = pytest.mark.smoke

OF_NUMBA = "gpuhomog.device.cpu.compiled"
"""The one module that is only imported where its library is."""
MODULES = [
    m.name
    for m in pkgutil.walk_packages(gpuhomog.__path__, "gpuhomog.")
    if "__main__" not in m.name and (m.name != OF_NUMBA or find_spec("numba"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    module = importlib.import_module(name)
    outcome = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert outcome.failed == 0


def test_there_are_examples():
    counted = sum(doctest.testmod(importlib.import_module(n), optionflags=doctest.ELLIPSIS).attempted for n in MODULES)
    assert counted >= 20
