"""What every rank of test_costs_over_mpi.py does: memory that averages take and bytes they send, against the plan.

mpiexec -n N python program_costs.py    prints one line from each rank that found everything right
"""

import tracemalloc
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

import gpuhomog as gh
from gpuhomog.device import choose_device
from gpuhomog.grid import Grid
from gpuhomog.operators.averages.average import plan_average
from gpuhomog.operators.costs import average_cost
from gpuhomog.parallel import Slab, world

warnings.simplefilter("ignore", gh.errors.AccuracyWarning)
N = 80
AVERAGES = (
    (gh.Gaussian(4.0), 1.0, "lines"),
    (gh.Box(4.0), None, "lines"),
    (gh.Gaussian(4.0), None, "low modes"),
    (gh.Ball(3.0), None, "all modes"),
    (gh.Ball(3.0), 0.4, "all modes"),
)

comm = world()
slab = Slab.of(N, comm.rank, comm.size)
values = np.random.default_rng(comm.rank).standard_normal(slab.local_shape((N, N, N)))
field = gh.Field(Grid((N, N, N), np.eye(3) * N * 0.2), values, "scalar", None, choose_device("cpu"), slab, comm)
last = replace(
    field,
    slab=Slab.of(N, comm.size - 1, comm.size),
    comm=SimpleNamespace(rank=comm.size - 1, size=comm.size),
)
for kernel, spacing, method in AVERAGES:
    cost = average_cost(*plan_average(last, kernel, spacing, None, method, False))
    gh.average(field, kernel, spacing=spacing, method=method)  # fills caches of tables
    before = comm.sent.copy()
    tracemalloc.start()
    gh.average(field, kernel, spacing=spacing, method=method)
    taken = max(comm.gather(tracemalloc.get_traced_memory()[1]))
    tracemalloc.stop()
    assert abs(taken / cost.peak - 1) < 0.2, f"{kernel.name} by {method}: {taken} bytes at once, planned {cost.peak}"
    for kind, n_bytes in (comm.sent - before).items():
        assert n_bytes == cost.sent[kind][comm.rank], f"{kernel.name} by {method}: {n_bytes} bytes sent as {kind}"
    assert {kind for kind, n in cost.sent.items() if n[comm.rank]} == set(comm.sent - before)
print(f"rank {comm.rank} of {comm.size}: all right", flush=True)
