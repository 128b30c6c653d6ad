"""A plugin of pytest: the tests that ask for a GPU, on one that is pretended: kernels on the host, arrays like CuPy's.

    PYTHONPATH=tests/kernels python -m pytest -p pretended -m gpu tests

A rehearsal before there is a GPU, of half an hour. Tests that ask CuPy itself (its memory pool, its streams, processes
that share a GPU) fail here, each with its reason.
"""

import gpuhomog.device.gpu as gpu
from gpuhomog.device.gpu import runtime


def pytest_configure(config):
    from cupy_like import CuPyLikeRuntime

    pretended = CuPyLikeRuntime(check_order=False)
    pretended.name = "gpu:0"
    for module in (gpu, runtime):
        module.cupy_runtime = lambda number: pretended
        module.n_gpus = lambda: 1
    runtime.why_no_gpu = lambda: None
    config.add_cleanup(pretended.close)
