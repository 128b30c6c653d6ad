"""Rows of measurements: what every script of this folder shares, so that their numbers can be compared.

A row says what ran (case, size, dtype), how long it took (CPU: minimum over repeats; GPU: median), how far from an
exact reference it is, how it compares with each peer of the same run, and on which machine, commit and clean or
dirty tree. Rows of the GPU also hold the bytes that the case cannot avoid moving, and the fraction of the time that a
copy in the same run needs for as many. Scripts append rows to results.csv; render.py makes the tables.

    python scaling/rows.py merge FILE    append the rows of a run elsewhere to results.csv
"""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
COLUMNS = (
    "script case size dtype what seconds ratio_to_peer error threads device commit tree versions "
    "bytes fraction_of_floor note"
).split()
EMULATED = "emulated"
"""Mark of rows that tried the script and measured nothing; such rows are never kept."""


def fastest(function: Callable[[], Any], repeats: int = 5) -> float:
    """Shortest of several runs [s]; the shortest is the least disturbed."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def state_of_tree() -> dict[str, str]:
    """Commit, and whether the tree was clean: from GPUHOMOG_COMMIT and GPUHOMOG_TREE if they are set, else from git.

    The variables serve a checkout that was copied without its history, or with another one.
    """
    if os.environ.get("GPUHOMOG_COMMIT"):
        return {"commit": os.environ["GPUHOMOG_COMMIT"], "tree": os.environ.get("GPUHOMOG_TREE") or "unknown"}
    git = lambda *a: subprocess.run(["git", *a], cwd=HERE, capture_output=True, text=True).stdout.strip()  # noqa: E731
    try:
        commit = git("rev-parse", "--short", "HEAD")
    except OSError:
        commit = ""
    if not commit:
        return {"commit": "unknown", "tree": "unknown"}
    changed = [line for line in git("status", "--porcelain").splitlines() if "results.csv" not in line]
    return {"commit": commit, "tree": "dirty" if changed else "clean"}


def machine() -> dict[str, str]:
    """Processor, threads, commit, and whether the tree was clean."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return {"device": f"CPU {model}", "threads": str(len(os.sched_getaffinity(0))), **state_of_tree()}


def versions(*modules: str) -> str:
    """Versions of the peers that a row was compared with, but for those that are absent."""
    from importlib.metadata import PackageNotFoundError, version

    known = []
    for module in ("numpy", *modules):
        try:
            known.append(f"{module}-{version(module)}")
        except PackageNotFoundError:
            continue
    return " ".join(known)


def append(rows: list[dict[str, Any]], keep: bool) -> None:
    """Print the rows as a table; with `keep`, append them to results.csv as well."""
    shown = ("case", "size", "dtype", "what", "seconds", "ratio_to_peer", "error")
    table = [[str(row.get(c, "")) for c in shown] for row in rows]
    widths = [max(len(line[i]) for line in [list(shown), *table]) for i in range(len(shown))]
    for line in [list(shown), *table]:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    if keep:
        write(rows, RESULTS)
        print(f"{len(rows)} rows appended to {RESULTS}")


def write(rows: list[dict[str, Any]], path: Path) -> None:
    """Append rows to a file, with the header if it is new."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def merge(path: Path, results: Path = RESULTS) -> int:
    """Append the rows of a file to results.csv, but for those that it holds already. How many were new.

    Raises ValueError for rows that measured nothing.
    """
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if any(EMULATED in row["device"] for row in rows):
        raise ValueError(f"{path} holds rows of an emulated device: they measured nothing.")
    with results.open(newline="") as file:
        known = [tuple(row[c] for c in COLUMNS) for row in csv.DictReader(file)]
    new = [row for row in rows if tuple(row.get(c, "") for c in COLUMNS) not in known]
    write(new, results)
    return len(new)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "merge":
        sys.exit("usage: python scaling/rows.py merge FILE")
    print(f"{merge(Path(sys.argv[2]))} rows appended to {RESULTS}")
