"""Fixtures of the kernels' tests."""

import os

import pytest
from harness.build import why_not
from host_runtime import HostRuntime

from gpuhomog.device.gpu import GPU


@pytest.fixture(scope="session")
def sanitizers():
    """Skips where kernels cannot run on the host, unless GPUHOMOG_REQUIRE says that they must."""
    reason = why_not()
    if reason and "sanitizers" in os.environ.get("GPUHOMOG_REQUIRE", "").split(","):
        pytest.fail(f"GPUHOMOG_REQUIRE names sanitizers, but {reason}")
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def host_runtime(sanitizers):
    """The package's kernels on the host; programs start when first used."""
    runtime = HostRuntime()
    yield runtime
    runtime.close()


@pytest.fixture(scope="session")
def host_gpu(host_runtime):
    """The GPU device above it."""
    return GPU(host_runtime)
