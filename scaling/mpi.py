"""Ranks: strong and weak scaling over MPI ranks, and bytes that each rank sends against the model.

    python scaling/mpi.py [--size 192] [--rounds 5] [--keep]      on a machine that does nothing else
    python scaling/mpi.py --rounds 0 [--keep]                     bytes only, whatever else runs

    strong  one field on 1 and on 2 ranks       speed-up   t(1) / t(2)        2 is all there can be
    weak    twice the field on twice the ranks  efficiency t(1, n) / t(2, 2n) 1 is all there can be

Each rank is bound to one core and computes on one thread, so two ranks do what two threads would; this says what the
exchanges cost within the memory of one machine, and nothing of a network. More ranks than there are cores are started
for their bytes only. Times are minima over rounds in which all layouts take turns, of the slowest rank. Averages are of
a sum of waves, the potential is of a Gaussian charge: both are known. Kilobytes are not counted: sums over planes, by
which a charge is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rows import append, machine, versions
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.device import choose_device
from gpuhomog.grid import Grid
from gpuhomog.operators.averages.average import plan_average
from gpuhomog.operators.costs import Cost, average_cost, planar_cost, poisson_cost
from gpuhomog.parallel import Slab, world
from gpuhomog.units import COULOMB_CONSTANT

WAVES = ((1, 2, 3), (0, 5, 1), (4, 0, 2))
"""Modes of the field, each of amplitude 1, about 10."""
STEP = 0.25
"""Distance of points [Å]."""
WIDTHS = 18
"""Standard deviations of the charge in the shortest length of the cell."""
KERNELS: dict[str, tuple[Any, float | None]] = {
    "box, every 8th point": (gh.Box(16.25 * 0.25), 8 * STEP),
    "gaussian, full grid": (gh.Gaussian(8.0), None),
    "ball, full grid": (gh.Ball(5.0), None),
}
LAYOUTS = ((1, 1), (2, 1), (2, 2))
"""Ranks, and times the planes, that are timed."""
BYTES_ONLY = (2, 3, 8)
"""Ranks that are started for their bytes alone."""


@dataclass(frozen=True)
class Case:
    """A call, what it should cost, and the error of its result, where it is known."""

    call: Callable[[], Any]
    cost: Cost
    error: Callable[[Any], float] | None = None


def field_of(shape: tuple[int, int, int], comm: Any) -> gh.Field:
    """The waves on this rank's planes."""
    slab = Slab.of(shape[0], comm.rank, comm.size)
    values = np.full(slab.local_shape(shape), 10.0)
    for wave in WAVES:
        turns = [m * np.arange(n) / n for m, n in zip(wave, shape, strict=True)]
        phase = turns[0][slab.planes, None, None] + turns[1][:, None] + turns[2]
        values += np.cos(2 * np.pi * phase)
    grid = Grid(shape, np.diag(np.array(shape) * STEP))
    return gh.Field(grid, values, "scalar", None, choose_device("cpu"), slab, comm)


def error_of(average: gh.Field, kernel: Any) -> float:
    """Largest deviation of this rank's points from the exact average, over 10."""
    out = np.full(average.values.shape, 10.0)
    lengths = average.grid.lengths
    for wave in WAVES:
        turns = [m * np.arange(n) / n for m, n in zip(wave, average.grid.shape, strict=True)]
        phase = turns[0][average.slab.planes, None, None] + turns[1][:, None] + turns[2]
        k = 2 * np.pi * np.array(wave) / lengths
        if isinstance(kernel, gh.Box):
            factor = float(np.prod([kernel.along(axis).transform(k[axis]) for axis in range(3)]))
        else:
            factor = float(kernel.transform(np.linalg.norm(k)))
        out += factor * np.cos(2 * np.pi * phase)
    return float(np.abs(average.values - out).max(initial=0.0) / 10)


def distances(field: gh.Field) -> Any:
    """From the middle of the cell, at this rank's points [Å]."""
    x, y, z = (STEP * (np.arange(n) - n / 2) for n in field.grid.shape)
    return np.sqrt(x[field.slab.planes, None, None] ** 2 + y[:, None] ** 2 + z**2)


def charge_like(field: gh.Field) -> gh.Field:
    """One e in a Gaussian in the middle, on this rank's planes."""
    width = min(field.grid.lengths) / WIDTHS
    density = np.exp(-((distances(field) / width) ** 2) / 2) / (2 * np.pi * width**2) ** 1.5
    return replace(field, values=density, quantity="charge_density", unit="e/Å^3")


def error_of_potential(potential: gh.Field) -> float:
    """Largest deviation of this rank's points from erf(r/(√2 width))/r, over its value in the middle."""
    width = min(potential.grid.lengths) / WIDTHS
    r = np.maximum(distances(potential), 1e-9)
    exact = COULOMB_CONSTANT * erf(r / (np.sqrt(2) * width)) / r
    return float(np.abs(potential.values - exact).max(initial=0.0) / (COULOMB_CONSTANT * np.sqrt(2 / np.pi) / width))


def cases(field: gh.Field) -> dict[str, Case]:
    """What is computed, what it should cost, and how wrong a result is; the cost is of the last rank, always."""
    size = field.comm.size
    comm: Any = SimpleNamespace(rank=size - 1, size=size)
    part = replace(field, slab=Slab.of(field.slab.n, size - 1, size), comm=comm)
    known = {"planar average along the slabs": Case(lambda: gh.planar_average(field, "c"), planar_cost(part, "c"))}
    for name, (kernel, spacing) in KERNELS.items():
        expected = average_cost(*plan_average(part, kernel, spacing, None, "auto", False))
        average = lambda k=kernel, s=spacing: gh.average(field, k, spacing=s)  # noqa: E731
        known[name] = Case(average, expected, lambda result, k=kernel: error_of(result, k))
    charge = charge_like(field)
    opened = replace(part, grid=Grid(part.grid.shape, part.grid.cell, boundary=["open"] * 3))
    potential = Case(lambda: gh.electrostatic_potential(charge, "o,o,o"), poisson_cost(opened), error_of_potential)
    return {**known, "potential, isolated": potential}


def on_this_rank(shape: tuple[int, int, int], repeats: int) -> None:
    """Measure all cases on the ranks that run this; rank 0 prints one JSON object."""
    warnings.simplefilter("ignore")  # averages of small fields hold no macroscale
    comm = world()
    field = field_of(shape, comm)
    found: dict[str, Any] = {}
    for name, case in cases(field).items():
        seconds = float("inf")
        for repeat in range(repeats):
            before = comm.sent.copy()
            comm.gather(None)  # all begin together
            start = time.perf_counter()
            result = case.call()
            taken = max(comm.gather(time.perf_counter() - start))
            sent = comm.gather(sum(n for kind, n in (comm.sent - before).items() if kind in case.cost.sent))
            seconds = min(seconds, taken) if repeat > 0 or repeats == 1 else seconds  # the first one makes tables
        expected = sum(case.cost.sent.values(), start=np.zeros(comm.size, dtype=np.int64)).tolist()
        if sent != expected:
            raise SystemExit(f"{name}: ranks sent {sent} bytes, the model says {expected}.")
        found[name] = {"seconds": seconds, "sent": sent}
        if case.error is not None:
            found[name]["error"] = max(comm.gather(case.error(result)))
    if comm.rank == 0:
        print(json.dumps(found))


def launched(ranks: int, shape: tuple[int, int, int], repeats: int) -> dict[str, Any]:
    """The same in as many processes, each on a core of its own where there are enough."""
    beside = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(beside) if beside.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        sys.exit("no mpiexec: pip install 'gpuhomog[mpi]'")
    bound = ["-bind-to", "core"] if ranks <= len(os.sched_getaffinity(0)) else []
    inner = [sys.executable, __file__, "--inner", ",".join(map(str, shape)), "--repeats", str(repeats)]
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    ran = subprocess.run(
        [mpiexec, "-n", str(ranks), *bound, *inner], env={**os.environ, **one_thread}, stdout=subprocess.PIPE, text=True
    )
    if ran.returncode:
        sys.exit(f"{ranks} ranks ended with exit code {ran.returncode}.")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def faster(a: dict[str, Any] | None, b: dict[str, Any]) -> dict[str, Any]:
    """Case by case the shorter time."""
    if a is None:
        return b
    return {name: min(a[name], b[name], key=lambda case: case["seconds"]) for name in b}


def rows_of(n: int, best: dict[tuple[int, int], dict[str, Any]], bytes_only: dict[int, dict[str, Any]]) -> list[dict]:
    """Rows: strong and weak scaling with times, and further ranks with bytes."""
    about = {"script": "mpi.py", "dtype": "float64", "versions": versions("mpi4py", "mpich"), **machine()}
    out = []
    for name in next(iter(bytes_only.values())):

        def row(what: str, case: dict[str, Any], ratio: float | None, name: str = name) -> dict[str, Any]:
            sent = {"bytes": max(case["sent"]), "note": f"{sum(case['sent'])} bytes in all"}
            timed = {} if ratio is None else {"seconds": f"{case['seconds']:.4f}", "ratio_to_peer": f"{ratio:.2f}"}
            error = {"error": f"{case['error']:.1e}"} if "error" in case else {}
            return {**about, "case": name, "size": f"{n}^3", "what": what, **timed, **error, **sent}

        if best:
            alone, strong, weak = (best[layout][name] for layout in LAYOUTS)
            out.append(row("1 rank", alone, 1.0))
            out.append(row("2 ranks, strong", strong, alone["seconds"] / strong["seconds"]))
            out.append(row("2 ranks, weak: twice the planes", weak, alone["seconds"] / weak["seconds"]))
        out += [row(f"{ranks} ranks, bytes only", case[name], None) for ranks, case in bytes_only.items()]
    return out


def main() -> None:
    """Start the layouts in turn, and print, or keep, the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=4, help="calls in each round; the first is not counted")
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    parser.add_argument("--inner", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inner:
        a, b, c = map(int, options.inner.split(","))
        on_this_rank((a, b, c), options.repeats)
        return
    n = options.size
    best: dict[tuple[int, int], dict[str, Any]] = {}
    for _ in range(options.rounds):
        for layout in LAYOUTS:
            ranks, times = layout
            best[layout] = faster(best.get(layout), launched(ranks, (times * n, n, n), options.repeats))
    few = {ranks: launched(ranks, (n, n, n), 1) for ranks in BYTES_ONLY}
    append(rows_of(n, best, few), options.keep)


if __name__ == "__main__":
    main()
