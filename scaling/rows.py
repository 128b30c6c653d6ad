"""Rows of measurements: what every script of this folder shares, so that their numbers can be compared.

A row says what ran (case, size, dtype), how long it took (minimum over repeats), how far from an exact
reference it is, how it compares with each peer of the same run, and on which machine, commit and clean or
dirty tree. Scripts append rows to results.csv; render.py makes the tables.
"""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
COLUMNS = "script case size dtype what seconds ratio_to_peer error threads device commit tree versions".split()


def fastest(function: Callable[[], Any], repeats: int = 5) -> float:
    """Shortest of several runs [s]; the shortest is the least disturbed."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def machine() -> dict[str, str]:
    """Processor, threads, commit, and whether the tree was clean."""
    git = lambda *a: subprocess.run(["git", *a], cwd=HERE, capture_output=True, text=True).stdout.strip()  # noqa: E731
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    changed = [line for line in git("status", "--porcelain").splitlines() if "results.csv" not in line]
    return {
        "device": f"CPU {model}",
        "threads": str(len(os.sched_getaffinity(0))),
        "commit": git("rev-parse", "--short", "HEAD"),
        "tree": "dirty" if changed else "clean",
    }


def versions(*modules: str) -> str:
    """Versions of the peers that a row was compared with."""
    from importlib.metadata import version

    return " ".join(f"{m}-{version(m)}" for m in ("numpy", *modules))


def append(rows: list[dict[str, Any]], keep: bool) -> None:
    """Print the rows as a table; with `keep`, append them to results.csv as well."""
    shown = ("case", "size", "dtype", "what", "seconds", "ratio_to_peer", "error")
    table = [[str(row.get(c, "")) for c in shown] for row in rows]
    widths = [max(len(line[i]) for line in [list(shown), *table]) for i in range(len(shown))]
    for line in [list(shown), *table]:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    if keep:
        new = not RESULTS.exists()
        with RESULTS.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerows(rows)
        print(f"{len(rows)} rows appended to {RESULTS}")
