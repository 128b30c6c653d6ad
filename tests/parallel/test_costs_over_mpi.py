"""Costs against MPI processes: the memory that averages really take on each rank, and the bytes that it sends."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from requirements import needed

MPIEXEC = shutil.which("mpiexec")


@pytest.mark.parametrize("size", [2, 3])
def test_processes_take_and_send_what_is_planned(size):
    missing = [name for name, there in (("mpi4py", find_spec("mpi4py")), ("mpiexec", MPIEXEC)) if not there]
    needed("mpi", f"{' and '.join(missing)} missing: pip install 'gpuhomog[mpi]'" if missing else None)
    program = Path(__file__).with_name("program_costs.py")
    done = subprocess.run(
        [MPIEXEC, "-n", str(size), sys.executable, program], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"rank {rank} of {size}: all right" in done.stdout for rank in range(size))
