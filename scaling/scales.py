"""Everything that averages at eight scales say, beside one read of the same array in the same run.

    python scaling/scales.py [--size 512] [--dtype float32] [--repeats 3] [--one-by-one] [--keep]

One call, gh.scale_report: spectrum of the longest waves, planar moments along three axes, extrema, and at eight eps
from 3/64 to 1/4 of the box, in equal ratios, the average, the local variance, the interval-valued field along a, b, c
and in the ball, and the uncertainty numbers. Its pass over the field is timed within it, too. `fraction_of_floor` is
the time of a read (a sum, on all threads) over ours, and so is `ratio_to_peer`, but for the operators one by one; the
note says how many reads that is, and the time of the processors, which other work on the machine does not lengthen.
With --one-by-one the operators that find the same, one after another, are timed once as well. The error is that of the
narrowest average against the exact sum of modes.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from average import exact, make_field
from rows import append, machine, versions

import gpuhomog as gh
from gpuhomog.operators.macroscale import scale_report as operator

SCALES = 8


def measured(function: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Shortest time, and the shortest time of the processors [s]."""
    best = float("inf"), float("inf")
    for _ in range(repeats):
        start, worked = time.perf_counter(), time.process_time()
        function()
        best = min(best[0], time.perf_counter() - start), min(best[1], time.process_time() - worked)
    return best


def one_by_one(field: gh.Field, eps: list[float]) -> None:
    """The same from the operators that find one of them each."""
    gh.scales(field)
    field.extrema()
    for axis in "abc":
        gh.planar_average(field, axis)
    for width in eps:
        gh.average_and_variance(field, gh.Gaussian(width), spacing=width / 5)
        gh.field_intervals(field, gh.Gaussian(width))


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure, print the table, return the rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float64"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", gh.AccuracyWarning)
    n = options.size
    values, modes = make_field(n, options.dtype)
    field = gh.Field.from_array(values, np.eye(3) * n, device="cpu")
    eps = [float(e) for e in np.geomspace(3 * n / 64, n / 4, SCALES)]
    threads = field.device.threads  # type: ignore[attr-defined]
    parts = np.array_split(values.ravel(), threads)

    def read() -> float:
        with ThreadPoolExecutor(threads) as pool:
            return sum(pool.map(np.sum, parts))

    passes: list[tuple[float, float]] = []
    in_one_read = operator.in_one_read

    def timed(*works: Any) -> Any:
        start, worked = time.perf_counter(), time.process_time()
        found = in_one_read(*works)
        passes.append((time.perf_counter() - start, time.process_time() - worked))
        return found

    operator.in_one_read = timed
    floor = measured(read, 3 * options.repeats)
    found: list[gh.ScaleReport] = []
    ours = measured(lambda: found.append(gh.scale_report(field, eps)), options.repeats)
    operator.in_one_read = in_one_read
    average = found[-1].at[0].average.values
    places = np.random.default_rng(1).integers(0, len(average), (64, 3))
    k = 2 * np.pi / n
    there = exact(modes, n, places * (n / len(average)), lambda m: gh.Gaussian(eps[0]).transform(k * np.linalg.norm(m)))
    error = float(np.abs(average[tuple(places.T)] - there).max() / np.std(values))
    times = {
        f"one read of the array, {threads} threads": floor,
        "gpuhomog, the pass over the field": (min(t for t, _ in passes), min(w for _, w in passes)),
        "gpuhomog, all of it": ours,
    }
    if options.one_by_one:
        times["gpuhomog, operators one by one"] = measured(lambda: one_by_one(field, eps), 1)
    about = {"script": "scales.py", "case": f"{SCALES} scales, one read", "size": f"{n}^3", "dtype": options.dtype}
    about |= {"versions": versions("scipy"), "bytes": values.nbytes, **machine()}
    rows: list[dict[str, Any]] = []
    for what, (seconds, worked) in times.items():
        row = {**about, "what": what, "seconds": f"{seconds:.4f}", "fraction_of_floor": f"{floor[0] / seconds:.4f}"}
        row["note"] = f"{seconds / floor[0]:.1f} reads; processors {worked:.2f} s, {worked / floor[1]:.1f} reads"
        row |= {"error": f"{error:.1e}"} if what.endswith("all of it") else {}
        by = seconds / ours[0] if what.endswith("one by one") else floor[0] / seconds
        row |= {} if what.startswith("one read") else {"ratio_to_peer": f"{by:.3g}"}
        rows.append(row)
    append(rows, options.keep)
    for row in rows:
        print(f"{row['what']}: {row['note']}")
    return rows


if __name__ == "__main__":
    main()
