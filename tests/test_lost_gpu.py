"""A test that ends CUDA costs no other its result."""

import subprocess
import sys
from pathlib import Path

CONFTEST = """
import sys, types
from lost_gpu import pytest_runtest_makereport

lost = []

class CUDARuntimeError(RuntimeError):
    pass

def synchronize():
    if lost:
        raise CUDARuntimeError("cudaErrorIllegalAddress")

runtime = types.SimpleNamespace(deviceSynchronize=synchronize, CUDARuntimeError=CUDARuntimeError)
sys.modules["cupy"] = types.SimpleNamespace(cuda=types.SimpleNamespace(runtime=runtime), lost=lost)
"""
TESTS = """
import sys

import pytest

@pytest.mark.gpu
@pytest.mark.parametrize("number", range(6))
def test_of_many(number):
    cupy = sys.modules["cupy"]
    if number == 2:
        cupy.lost.append(number)
    cupy.cuda.runtime.deviceSynchronize()
    assert number != 4
"""


def test_the_tests_that_are_left_are_run_by_another_worker(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_faults.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs one\n")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {"PYTHONPATH": str(Path(__file__).parent), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "2 failed, 4 passed" in done.stdout, done.stdout
    assert "test_of_many[2]: CUDA has ended" in done.stderr and "cudaErrorIllegalAddress" in done.stderr
