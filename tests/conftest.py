"""Fixtures of all tests."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from lost_gpu import pytest_runtest_makereport  # noqa: F401 (a hook)
from strict_device import StrictDevice

from gpuhomog.device import choose_device, why_no_gpu

# Programs that were installed beside this Python, as mpiexec was, are found without its environment being active.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["GPUHOMOG_DEVICE"] = "cpu"  # what "auto" is in all tests, so that they are the same on machines with a GPU

# The same examples every time: a failure is one for whoever runs the tests next, too.
settings.register_profile("gpuhomog", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("gpuhomog")

DATA = Path(__file__).parent / "data"


@pytest.fixture(params=["cpu", "strict", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request):
    """Every device an operator must work on: the CPU, one whose arrays refuse to become NumPy's silently, a GPU."""
    if request.param == "strict":
        return StrictDevice()
    if request.param == "gpu" and (reason := why_no_gpu()):
        pytest.skip(reason)
    return choose_device(request.param)


@pytest.fixture(scope="session")
def checks():
    """Independently computed values by name."""
    return {c["name"]: c for c in json.loads((DATA / "checks" / "homogenization.json").read_text())}


@pytest.fixture(scope="session")
def potential_checks():
    """Independently computed potentials, currents and one-particle quantities, by name."""
    return {c["name"]: c for c in json.loads((DATA / "checks" / "potentials-currents.json").read_text())}


@pytest.fixture
def rng():
    return np.random.default_rng(20240531)


@pytest.fixture(scope="session")
def triclinic():
    return np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]])
