"""A fault of a kernel ends CUDA in its process: whatever is asked of the GPU after that fails, too.

A worker of pytest-xdist in which that happened says which test it was and ends, so that another one takes the tests
that are left.
"""

import os
import sys

import pytest


def is_lost():
    """True if the GPU answers this process no more."""
    cupy = sys.modules.get("cupy")
    if cupy is None:
        return False
    try:
        cupy.cuda.runtime.deviceSynchronize()
    except cupy.cuda.runtime.CUDARuntimeError:
        return True
    return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.failed and item.get_closest_marker("gpu") and hasattr(item.config, "workerinput") and is_lost():
        print(f"\n{item.nodeid}: CUDA has ended\n{report.longreprtext}", file=sys.__stderr__, flush=True)
        os._exit(1)
    return report
