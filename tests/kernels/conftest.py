"""Fixtures of the kernels' tests."""

import pytest
from harness.build import why_not
from host_runtime import HostRuntime
from requirements import needed

from gpuhomog.device import choose_device, why_no_gpu
from gpuhomog.device.gpu import GPU

ALL = "all_architectures"


def pytest_collection_modifyitems(config, items):
    if ALL in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker(ALL)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker(ALL)]


@pytest.fixture(scope="session")
def sanitizers():
    """Kernels can run on the host."""
    needed("sanitizers", why_not())


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


@pytest.fixture(scope="session")
def real_gpu():
    """The first real GPU; skips with the reason where there is none."""
    if reason := why_no_gpu():
        pytest.skip(reason)
    return choose_device("gpu:0")


@pytest.fixture(params=["host", pytest.param("real", marks=pytest.mark.gpu)])
def gpu(request):
    """The GPU device: its kernels on the host, and on a real GPU where there is one."""
    return request.getfixturevalue("host_gpu" if request.param == "host" else "real_gpu")
