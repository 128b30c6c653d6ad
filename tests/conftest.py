"""Fixtures of all tests."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from strict_device import StrictDevice

from gpuhomog.device import choose_device

# The same examples every time: a failure is one for whoever runs the tests next, too.
settings.register_profile("gpuhomog", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("gpuhomog")

DATA = Path(__file__).parent / "data"


@pytest.fixture(params=["cpu", "strict"])
def device(request):
    """Every device an operator must work on: the CPU, and one whose arrays refuse to become NumPy's silently."""
    return choose_device("cpu") if request.param == "cpu" else StrictDevice()


@pytest.fixture(scope="session")
def checks():
    """Independently computed values by name."""
    return {c["name"]: c for c in json.loads((DATA / "checks" / "homogenization.json").read_text())}


@pytest.fixture
def rng():
    return np.random.default_rng(20240531)


@pytest.fixture(scope="session")
def triclinic():
    return np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]])
