"""What `gpuhomog plan` expects of cases that were measured: the model beside the clock.

    expected = bytes moved, or the arithmetic in their place where that takes longer, over the rate of a copy

For one device, values in its memory. What the host does within a call is no part of the model. On a GPU a copy takes
what the data sheet and COPY_FRACTION say, on a CPU what the same run measured.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

import gpuhomog as gh
from gpuhomog.averaging_kernels import AveragingKernel
from gpuhomog.device import CPU
from gpuhomog.device.gpu import GPU
from gpuhomog.grid import Grid
from gpuhomog.jobs.machines import COPY_FRACTION, MACHINES
from gpuhomog.operators.averages.average import plan_average
from gpuhomog.operators.costs import Cost, average_cost, filter_cost, planar_cost
from gpuhomog.parallel import Slab

Row = dict[str, str]
Expected = tuple[Cost, str]
"""Cost, and the way."""
DEVICES = {"NVIDIA H200": "h200"}


def unread(row: Row) -> gh.Field:
    """A field of the size of a row, on its kind of device, without values, points 1 Å apart."""
    n = int(row["size"].split("^")[0])
    values = np.broadcast_to(np.dtype(row["dtype"]).type(0), (n, n, n))
    device = CPU(int(row["threads"])) if row["script"] == "average.py" else GPU
    comm = SimpleNamespace(rank=0, size=1)
    return gh.Field(Grid((n, n, n), np.eye(3) * n), values, "scalar", None, device, Slab.of(n), comm)


def averaged(kernel: AveragingKernel, spacing: float | None = None, sampling: str = "bandlimited") -> Callable:
    """Expectation of an average by the method that was measured."""

    def expected(field: gh.Field, method: str) -> Expected:
        plan, way = plan_average(field, kernel, spacing, sampling, method, False)
        return average_cost(plan, way), way.name

    return expected


CASES: dict[tuple[str, str], Callable[[gh.Field, str], Expected]] = {
    ("planar average, one axis", "gpuhomog"): lambda field, _: (planar_cost(field, 0), ""),
    ("coarse box, w 65, step 8, cells", "gpuhomog, gh.average"): averaged(gh.Box(65.0), 8.0, "cell"),
    ("box, full grid, w 65, cells", "gpuhomog, gh.average"): averaged(gh.Box(65.0), sampling="cell"),
    ("gaussian, full grid, std 4", "gpuhomog"): averaged(gh.Gaussian(8.0)),
    ("gaussian, full grid, std 16", "gpuhomog"): averaged(gh.Gaussian(32.0)),
    ("gaussian, full grid, std 64", "gpuhomog"): averaged(gh.Gaussian(128.0)),
    ("gaussian, std 16, step 8", "gpuhomog"): averaged(gh.Gaussian(32.0), 8.0),
    ("gaussian, full grid, std 16", "gpuhomog, low modes"): averaged(gh.Gaussian(32.0)),
    ("gaussian, full grid, std 64", "gpuhomog, low modes"): averaged(gh.Gaussian(128.0)),
    ("gaussian, std 16, step 8", "gpuhomog, low modes"): averaged(gh.Gaussian(32.0), 8.0),
    ("ball, full grid, radius 64", "gpuhomog"): averaged(gh.Ball(2 * 64 / 5**0.5)),
    ("poisson", "gpuhomog"): lambda field, _: (filter_cost(field, field.grid.shape), "all modes"),
    ("cell box, full grid", "gpuhomog"): averaged(gh.Box(65.0), sampling="cell"),
    ("box, full grid", "gpuhomog"): averaged(gh.Box(65.0)),  # from here on on the CPU, at 256^3
    ("box, every 8th point", "gpuhomog"): averaged(gh.Box(65.0), 8.0),
    ("gaussian, full grid", "gpuhomog"): averaged(gh.Gaussian(32.0)),
    ("gaussian, every 8th point", "gpuhomog"): averaged(gh.Gaussian(32.0), 8.0),
    ("ball, full grid", "gpuhomog"): averaged(gh.Ball(40.0)),
}
"""Case and what → its expectation, for the scripts gpu.py and average.py."""


def method_of(row: Row) -> str:
    """The method of a row's average: in its name, or in its note."""
    named = row["what"].removeprefix("gpuhomog").lstrip(", ")
    if named and not named.startswith("gh."):
        return named
    by = [part for part in row["note"].split("; ") if part.startswith("gpuhomog by ")]
    return by[0].removeprefix("gpuhomog by ") if by else "auto"


def rate_of(row: Row, rows: list[Row]) -> float | None:
    """Bytes that a copy reads and writes in a second."""
    if row["device"] in DEVICES:
        return COPY_FRACTION * MACHINES[DEVICES[row["device"]]].bandwidth * 1e9
    same = ("script", "size", "dtype", "device", "threads", "commit")
    floor = next((r for r in rows if r["case"] == "floor" and all(r[c] == row[c] for c in same)), None)
    return None if floor is None else 2 * unread(row).values.nbytes / float(floor["seconds"])


def expected_of(row: Row, rows: list[Row]) -> tuple[float, str] | None:
    """Expected seconds and the way of a row; None where there is no model of it."""
    case = CASES.get((row["case"], row["what"]))
    rate = rate_of(row, rows) if row["script"] in ("gpu.py", "average.py") else None
    if case is None or rate is None or not row["seconds"]:
        return None
    cost, way = case(unread(row), method_of(row))
    return cost.busy / rate, way


def comparison(rows: list[Row]) -> list[list[str]]:
    """Case, of, device, way, expected ms, measured ms, measured over expected."""
    lines = []
    for row in rows:
        found = expected_of(row, rows)
        if found is not None:
            seconds, measured = found[0], float(row["seconds"])
            of = f"{row['size']} {row['dtype']}"
            times = [f"{1e3 * t:.3g}" for t in (seconds, measured)]
            lines.append([row["case"], of, row["device"], found[1], *times, f"{measured / seconds:.2g}"])
    return lines
