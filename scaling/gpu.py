"""Measurements on one GPU: every case against the copy of the same array and against its peers, in one run.

    python scaling/gpu.py --output FILE [--budget SECONDS] [--only WORDS] [--sizes 1024:float32,…]
    python scaling/gpu.py --only "coarse box, w 65, step 8" --tune gpuhomog.device.gpu.sums:BLOCKS_EACH=1,2,3
    python scaling/gpu.py --emulate cpu          tries every path without a GPU; nothing is measured, nothing kept

Groups (size, precision) run in the order of --sizes, in each the cases with targets first; no case begins after the
budget. Rows go to FILE as soon as they are known; `python scaling/rows.py merge FILE` puts them into results.csv.
A kernel's fault ends CUDA in its process, and some faults never end: the measurements have a process of their own,
and where it ends, or no row comes for --patience seconds, another one goes on with the next case.
Times are medians of CUDA events after a first run that compiles and allocates, about 0.3 s and at least 5 runs each;
calls slower than a quarter of a second are timed once (the row says so). See bench.py for floor and error.

--tune MODULE:NAME=VALUES sets a constant of a Python module, --tune FILE.cu:NAME=VALUES a constexpr of a kernel, with
a + between places one that several share (planar_moments.cu:ROWS+gpuhomog.device.gpu.sums:ROWS=2,4,8); several --tune
combine. Only our own calls are timed then, and nothing is written.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import multiprocessing
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench import SMALL, Bench, EventClock, Parameters, Timing, WallClock, timed
from gpu_cases import FLOOR, THREE_PASSES_FILE, Case, Entry, cases
from gpu_peers import SHARED, TIME_ONLY
from rows import EMULATED, state_of_tree, versions, write
from watch import Progress, watch

SIZES = "1024:float32,1024:float64,512:float32,256:float32,1536:float32,512:float64,256:float64"
SMALL_SIZES = "32:float32,48:float64"
LARGE_SPREAD = 0.05
"""From here on a row tells how much its times differed."""
PATIENCE = 90.0
"""Seconds without a row after which a case is given up."""
FAILED = 1
"""Exit status where something could not be measured."""
Row = dict[str, Any]


def choose(emulate: str | None) -> tuple[Any, Any, dict[str, str]]:
    """Device, clock, and what rows say of the machine."""
    if emulate == "cpu":
        from gpuhomog.device import CPU

        return CPU(), WallClock(), {"device": f"{EMULATED} on the CPU", "versions": versions()}
    if emulate == "host":
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "kernels"))
        from host_runtime import HostRuntime

        from gpuhomog.device.gpu import GPU

        runtime = HostRuntime(check_order=False)
        return GPU(runtime), WallClock(), {"device": f"{EMULATED} on the host", "versions": versions()}
    from gpuhomog.device import choose_device

    device: Any = choose_device("gpu:0")
    told = device.runtime.describe()
    made_by = f"cupy-{told['cupy']} cuda-{told['runtime_cuda']} driver-{told['driver']}"
    clock = EventClock(device.runtime.xp, device.runtime.cache_bytes)
    return device, clock, {"device": told["product"], "versions": f"{versions()} {made_by}"}


class Measuring:
    """The rows of one run, written as they come.

    failed  (where, reason) of everything that could not be measured
    came    called with each row
    """

    def __init__(self, about: dict[str, str], output: Path | None, came: Callable[[], object] = lambda: None) -> None:
        self.about = {"script": "gpu.py", "threads": "", **about, **state_of_tree()}
        self.output, self.came = output, came
        self.rows: list[Row] = []
        self.failed: list[tuple[str, str]] = []

    def add(self, bench: Bench, case: str, what: str, timing: Timing | None, **columns: Any) -> None:
        """One row: printed, and written to the output."""
        row: Row = {**self.about, "case": case, "what": what, "size": f"{bench.n}^3", "dtype": bench.dtype.name}
        if timing is not None:
            row["seconds"] = f"{timing.seconds:.4g}"
        row.update({key: value for key, value in columns.items() if value not in ("", None)})
        self.rows.append(row)
        shown = f"{1e3 * timing.seconds:10.3f} ms" if timing else " " * 13
        rest = "  ".join(
            f"{key} {row[key]}" for key in ("fraction_of_floor", "ratio_to_peer", "error", "note") if key in row
        )
        print(f"{row['size']:>7} {row['dtype']} {case:45} {what:40} {shown}  {rest}", flush=True)
        if self.output is not None:
            write([row], self.output)
        self.came()

    def fail(self, bench: Bench, case: str, what: str, error: BaseException) -> None:
        """A row without seconds that says why."""
        reason = f"not measured: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        self.failed.append((f"{bench.n}^3 {bench.dtype.name}, {case}, {what}", reason))
        frames = traceback.extract_tb(error.__traceback__)
        print(f"    at {frames[-1].filename}:{frames[-1].lineno}" if frames else "", flush=True)
        self.add(bench, case, what, None, note=reason)

    def measure(self, bench: Bench, entry: Entry, with_peers: bool = True) -> None:
        """All rows of one case."""
        try:
            case = entry.build(bench)
        except Exception as error:
            self.fail(bench, entry.name, "gpuhomog", error)
            return
        leading: float | None = None
        for what, call in case.ours.items():
            seconds = self._ours(bench, entry.name, case, what, call)
            leading = seconds if leading is None else leading
            release(bench)
        if with_peers:
            for what, build in case.peers.items():
                self._peer(bench, entry.name, case, what, build, leading)
                release(bench)

    def _ours(self, bench: Bench, name: str, case: Case, what: str, call: Callable[[], Any]) -> float | None:
        try:
            timing, result = timed(call, bench.clock)
            if name == FLOOR:
                bench.rate = case.moved / timing.seconds
            error = f"{case.error(result):.1e}" if case.error else ""
        except Exception as error_:
            self.fail(bench, name, what, error_)
            return None
        fraction = f"{case.moved / bench.rate / timing.seconds:.3f}" if bench.rate else ""
        columns = {"bytes": f"{case.moved:.0f}", "fraction_of_floor": fraction, "error": error}
        self.add(bench, name, what, timing, **columns, note=note(case.note, timing))
        return timing.seconds

    def _peer(
        self, bench: Bench, name: str, case: Case, what: str, build: Callable[[], Any], leading: float | None
    ) -> None:
        known = bench.remembered.get(what) if what.startswith(SHARED) else None
        error = ""
        try:
            if known is not None:
                timing = known
            else:
                timing, result = timed(build(), bench.clock)
                bench.remembered[what] = timing
                error = error_of_peer(case, what, result)
        except Exception as error_:
            self.fail(bench, name, what, error_)
            return
        ratio = f"{timing.seconds / leading:.3g}" if leading else ""
        remark = note("time of an earlier case" if known else "", timing)
        self.add(bench, name, what, timing, ratio_to_peer=ratio, error=error, note=remark)


def note(text: str, timing: Timing) -> str:
    """With what the timing has to say."""
    once = "timed once" if timing.repeats == 1 else ""
    spread = f"spread {100 * timing.spread:.0f} %" if timing.spread > LARGE_SPREAD else ""
    return "; ".join(part for part in (text, once, spread) if part)


def error_of_peer(case: Case, what: str, result: Any) -> str:
    """Of a result with the shape of ours; empty where the peer computes something else."""
    if case.error is None or any(name in what for name in TIME_ONLY):
        return ""
    try:
        return f"{case.error(result):.1e}"
    except (IndexError, TypeError, AttributeError):  # a peer that computes less
        return ""


def release(bench: Bench) -> None:
    """Give the memory of the last call and its plans back to the device."""
    if not bench.emulated:
        bench.xp.fft.config.get_plan_cache().clear()
        bench.device.give_back()


def ordered(entries: list[Entry], only: str) -> list[Entry]:
    """Those whose names hold the words, targets first; the floor always."""
    chosen = [entry for entry in entries if entry.name == FLOOR or only in entry.name]
    return sorted(chosen, key=lambda entry: not entry.leads)


def settings(tunings: list[str]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Every combination of the values of --tune: its name, and (place, constant, value) of each."""
    choices = []
    for tuning in tunings:
        found = re.fullmatch(r"([\w./]+:\w+(?:\+[\w./]+:\w+)*)=(.+)", tuning)
        if found is None:
            sys.exit(f"--tune {tuning}: write MODULE:NAME=VALUES or FILE.cu:NAME=VALUES, values with commas between.")
        places = [place.split(":") for place in found[1].split("+")]
        choices.append([[(place, constant, value) for place, constant in places] for value in found[2].split(",")])
    for combined in itertools.product(*choices):
        chosen = list(itertools.chain.from_iterable(combined))
        yield ", ".join(dict.fromkeys(f"{constant} = {value}" for _, constant, value in chosen)), chosen


def apply(device: Any, chosen: list[tuple[str, str, str]]) -> None:
    """Set the constants: attributes of modules, and constexpr of kernels' sources."""
    from gpuhomog.device.gpu import runtime, sources

    replaced = {(place, constant): value for place, constant, value in chosen if place.endswith(".cu")}

    def source(name: str) -> str:
        text = sources.source(name)
        for (place, constant), value in replaced.items():
            if place == name:
                text, count = re.subn(rf"(constexpr \w+ {constant} = )[^;]+;", rf"\g<1>{value};", text)
                if count != 1:
                    sys.exit(f"kernels/{name}: {count} constants named {constant}.")
        return text

    runtime.source = source
    for place, _ in replaced:
        source(place)
    below = getattr(device, "runtime", None)
    getattr(below, "_kernels", {}).clear()
    getattr(below, "close", lambda: None)()  # the programs of the tests' runtime
    for place, constant, value in chosen:
        if not place.endswith(".cu"):
            module = importlib.import_module(place)
            if not hasattr(module, constant):
                sys.exit(f"{place} has no {constant}.")
            setattr(module, constant, type(getattr(module, constant))(value))


def compile_all(word: str) -> None:
    """Every declared instance that names the word, a process for each core, into CuPy's cache on disk."""
    from gpuhomog.device.gpu.sources import instances, kernel_files

    began = time.monotonic()
    files = [file for file in kernel_files() if not file.startswith("ladder/") or file == THREE_PASSES_FILE]
    declared = [(file, instance) for file in files for instance in instances(file) if word in instance]
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn")) as pool:
        try:
            for reason in filter(None, pool.map(compile_one, *zip(*declared, strict=True))):
                print(reason)
        except BrokenProcessPool as error:  # what is not compiled now is when it is first used
            print(f"compiling ended: {error}")
    print(f"{len(declared)} instances compiled on {cores} cores in {time.monotonic() - began:.0f} s", flush=True)


def compile_one(file: str, instance: str) -> str:
    """Compile one instance; what went wrong, or nothing."""
    try:
        choose(None)[0].runtime._kernel(file, instance)
    except Exception as error:
        return f"kernels/{file} {instance}: {str(error)[:500]}"
    return ""


def groups(sizes: str) -> Iterator[tuple[int, np.dtype[Any]]]:
    """(points an axis, precision) of each group."""
    for group in sizes.split(","):
        n, _, dtype = group.partition(":")
        yield int(n), np.dtype(dtype or "float32")


@dataclass(frozen=True)
class Step:
    """One case of a group, with one of the settings of --tune."""

    number: int
    n: int
    dtype: np.dtype[Any]
    entry: Entry
    setting: str
    chosen: list[tuple[str, str, str]]


def steps(options: argparse.Namespace, parameters: Parameters) -> list[Step]:
    """All of a run in their order; the floor, first in each group, with one setting."""
    found: list[Step] = []
    done: set[str] = set()
    for n, dtype in groups(options.sizes or (SMALL_SIZES if options.emulate else SIZES)):
        for entry in ordered(cases(parameters), options.only):
            if (options.leading and not entry.leads) or entry.name in done:
                continue
            if entry.once:
                done.add(entry.name)
            for name, chosen in list(settings(options.tune))[: 1 if entry.name == FLOOR else None]:
                found.append(Step(len(found), n, dtype, entry, name, chosen))
    return found


def measure_all(options: argparse.Namespace, progress: Progress, began: float, first: int = 0) -> list[Row]:
    """Everything from step `first` on; the floor of a group is always measured before its cases."""
    warnings.simplefilter("ignore")
    device, clock, about = choose(options.emulate)
    parameters = SMALL if options.emulate else Parameters()
    measuring = Measuring(about, None if options.tune else options.output, progress.row)
    print("  ".join(measuring.about.values()), flush=True)
    left_out = 0
    for (n, dtype), group in itertools.groupby(steps(options, parameters), lambda step: (step.n, step.dtype)):
        floor, *others = group
        chosen = [step for step in (floor, *others) if step.number >= first]
        bench: Bench | None = None
        for step in chosen if floor in chosen or not chosen else [floor, *chosen]:
            if time.monotonic() - began > options.budget:
                left_out += 1
                continue
            progress.begin(max(step.number, first - 1))
            if bench is None:
                xp = np if options.emulate else device.runtime.xp
                try:
                    bench = Bench(n, dtype, device, xp, clock, parameters, bool(options.emulate))
                except MemoryError as error:  # none of its cases fits, either
                    measuring.failed.append((f"{n}^3 {dtype.name}", str(error)))
                    progress.failed.value = True
                    break
            if options.tune:
                print(f"-- {step.setting}", flush=True)
                apply(device, step.chosen)
            measuring.measure(bench, step.entry, not (options.no_peers or options.tune))
            if measuring.failed:
                progress.failed.value = True
                if not options.emulate:
                    device.runtime.synchronize()  # raises where CUDA has ended
    for where, reason in measuring.failed:
        print(f"{where}: {reason}")
    if left_out:
        print(f"{left_out} cases were left out: the budget of {options.budget:g} s was used up.")
    print(f"{len(measuring.rows)} rows in {time.monotonic() - began:.0f} s", flush=True)
    progress.done.value = True
    return measuring.rows


def main(arguments: list[str] | None = None) -> list[Row]:
    """Measure; rows to the screen and to --output. Exit status 1 where something could not be measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="CSV to append the rows to")
    parser.add_argument("--budget", type=float, default=float("inf"), help="no case begins after so many seconds")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, help=f"seconds without a row (default {PATIENCE:g})"
    )
    parser.add_argument("--sizes", help=f"groups in order (default {SIZES})")
    parser.add_argument("--only", default="", help="cases whose names hold these words")
    parser.add_argument("--leading", action="store_true", help="only cases with targets")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument(
        "--compile", nargs="?", const="", metavar="WORD", help="first compile all kernels (that name WORD) on all cores"
    )
    parser.add_argument("--tune", action="append", default=[], metavar="PLACE:NAME=VALUES")
    parser.add_argument("--emulate", choices=["cpu", "host"], help="try every path without a GPU")
    options = parser.parse_args(arguments)
    if options.emulate and options.output:
        parser.error("--emulate measures nothing: no --output")
    list(settings(options.tune))  # refused before anything is measured
    began = time.monotonic()
    if options.compile is not None:
        compile_all(options.compile)
    if options.emulate:
        return measure_all(options, Progress(multiprocessing), began)
    if not watch(measure_all, options, began):
        sys.exit(FAILED)
    return []


if __name__ == "__main__":
    main()
