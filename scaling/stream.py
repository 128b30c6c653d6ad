"""Rate of a streamed job, beside the rate at which the same disk gives the same file in blocks of the same size.

One pass gives planar averages along three axes, extrema, the sum of squares, and three averages on coarse grids
(--max-memory: the file is larger than what the process may take). The floor is one thread that reads the file from its
beginning to its end, through the page cache, into the same memory again and again, and does nothing else. Both start
with the file dropped from the page cache (cold: the disk's rate), then with it there (warm: memory's rate, where the
processor is the limit). Before it is dropped it is read once more: on virtual machines pages that the cache has not had
lately may cost more than the disk, to plain reads above all. Plain reads and jobs take turns; the shortest of each
counts, and `fraction_of_floor` is the plain read's time over the job's. The note has the median of what neighbours in
time give, and the time that processors worked for both: all cores together give no more in a second than there are.

A disk whose rate changes from minute to minute (a virtual one) can be held: --disk-rate lets the kernel give both no
more than that (Linux, as root; the throttle of the cgroup controller blkio).

    python scaling/stream.py [--n 448] [--repeat 3] [--memory 400MB] [--folder DIR] [--disk-rate 1.5GB] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from rows import append, machine, versions

import gpuhomog as gh
from gpuhomog.reduction import SUM, Reduction
from gpuhomog.streaming import Limit, Run, in_turns, memory, parse_bytes, running

BLKIO = Path("/sys/fs/cgroup/blkio")


def write_field(path: Path, n: int) -> None:
    """Planes that all differ, with their cell beside."""
    values = np.lib.format.open_memmap(path, mode="w+", dtype=np.float64, shape=(n, n, n))
    plane = np.random.default_rng(1).normal(size=(n, n))
    for i in range(n):
        values[i] = np.roll(plane, i)
    values.flush()
    path.with_suffix(".json").write_text(json.dumps({"cell": np.diag([n * 0.1] * 3).tolist()}))


def forget(path: Path) -> None:
    """Drop the file from the page cache, and nothing else."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


@contextmanager
def held_disk(folder: str, rate: int) -> Iterator[None]:
    """This process and those it starts read no more than `rate` bytes a second from the disk of the folder."""
    device = os.stat(folder).st_dev
    group, root = BLKIO / "gpuhomog-stream", BLKIO / "cgroup.procs"
    group.mkdir(exist_ok=True)
    try:
        (group / "blkio.throttle.read_bps_device").write_text(f"{os.major(device)}:{os.minor(device)} {rate}")
        (group / "cgroup.procs").write_text(str(os.getpid()))
        yield
    finally:
        root.write_text(str(os.getpid()))
        group.rmdir()


def plain_read(path: Path) -> None:
    """The whole file in blocks of a chunk, into the same memory."""
    block = memoryview(bytearray(memory.CHUNK_BYTES))
    with path.open("rb", buffering=0) as stream:
        while stream.readinto(block):
            pass


def squares() -> Reduction:
    """Σ value²."""
    return Reduction("squares", lambda device, values, slab: (np.array([np.vdot(values, values)]),), (SUM,))


def job(path: Path, limit: str) -> None:
    """Everything in one pass."""
    run = Run(Limit(parse_bytes(limit)))
    with running(run):
        field = gh.read(path, max_memory=limit, device="cpu")
        kernels = (gh.Gaussian(4.0), gh.Gaussian(8.0), gh.Box(5.0))
        works: list[Callable[[], Any]] = [lambda axis=axis: gh.planar_average(field, axis) for axis in "abc"]
        works += [field.extrema, lambda: field.reduce(squares())]
        works += [lambda kernel=kernel: gh.average(field, kernel, spacing=kernel.full_width / 2) for kernel in kernels]
        in_turns(works, run.answer)


def seconds(path: Path, what: str, cold: bool, limit: str) -> tuple[float, float, float]:
    """Time of one go in a process of its own [s], without its start; of its processors [s]; its peak memory [bytes]."""
    plain_read(path)
    if cold:
        forget(path)
    words = [sys.executable, __file__, "--go", what, "--path", str(path), "--memory", limit]
    answer = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return answer["seconds"], answer["worked"], answer["memory"]


def main() -> None:
    """Write the file, measure in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=448, help="points per axis")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory", default="400MB", help="what the process may take")
    parser.add_argument("--folder", help="where the file is written; default: a temporary folder")
    parser.add_argument("--disk-rate", help="hold the disk to this many bytes a second, such as 1.5GB")
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    parser.add_argument("--go", choices=("read", "job"), help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.go:
        job(options.path.with_name("small.npy"), options.memory)  # what is imported and made once
        start, worked = time.perf_counter(), time.process_time()
        plain_read(options.path) if options.go == "read" else job(options.path, options.memory)
        took, worked = time.perf_counter() - start, time.process_time() - worked
        lines = Path("/proc/self/status").read_text().splitlines()
        peak = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        print(json.dumps({"seconds": took, "worked": worked, "memory": peak}))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder, "field.npy")
        write_field(path, options.n)
        write_field(path.with_name("small.npy"), 64)
        n_bytes = path.stat().st_size
        found: dict[tuple[str, bool], list[tuple[float, float, float]]] = {}
        held = held_disk(folder, parse_bytes(options.disk_rate)) if options.disk_rate else nullcontext()
        with held:
            for _ in range(options.repeat):
                for cold in (True, False):
                    for what in ("read", "job"):
                        found.setdefault((what, cold), []).append(seconds(path, what, cold, options.memory))
    disk = f"from a disk held at {options.disk_rate}/s" if options.disk_rate else "from disk"
    for cold in (True, False):
        reads, jobs = found["read", cold], found["job", cold]
        (floor, reading, _), (took, worked, peak) = min(reads), min(jobs)
        median = np.median([read[0] / one[0] for read, one in zip(reads, jobs, strict=True)])
        known = {"script": "stream.py", "case": disk if cold else "from page cache", "size": f"{options.n}^3"}
        known |= {"dtype": "float64", **machine(), "versions": versions("scipy"), "bytes": n_bytes}
        rows.append({**known, "what": f"plain read, {n_bytes / floor / 1e6:.0f} MB/s", "seconds": round(floor, 4)})
        what = f"gpuhomog, 8 results in one pass, {n_bytes / took / 1e6:.0f} MB/s, peak {peak / 1e6:.0f} MB"
        fraction = {"fraction_of_floor": round(floor / took, 3), "ratio_to_peer": round(floor / took, 3)}
        load = f"load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
        note = f"limit {options.memory}; {load}; median fraction {median:.2f}; processors worked {worked:.2f} s, "
        note += f"{reading:.2f} s for the plain read"
        rows.append({**known, "what": what, "seconds": round(took, 4), **fraction, "note": note})
    append(rows, options.keep)


if __name__ == "__main__":
    main()
