"""Plan: memory, bytes and expected time of a job on N ranks, before it runs; expected, not measured.

    time of a part = bytes / rate, of the busiest rank;   parts one after the other:
    storage        files read and written, by all ranks together
    host link      values to a device, results back
    memory         passes over the values in the memory of the device
    arithmetic     what products and transforms take longer than their passes
    network        bytes that a rank sends to others (parallel/model.py)

Headers are read, values never, and no array is larger than a line of the grid; a file that does not exist yet is
planned from a shape and a cell. The way of an average is the one that a run would choose on as many ranks.

In   Job, of read_job(path, planning=True); values of machines.PLAN_OPTIONS by name.
Out  Outcome: tables for people; for JSON bytes and seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..device import choose_device
from ..device.gpu import GPU
from ..errors import GpuhomogError, InputError, met_in
from ..field import Field
from ..grid import Grid, parse_boundary
from ..operators.costs import Cost, busiest_bytes, held, planar_cost, read_once
from ..parallel import Slab
from ..readers import open_source, settle_quantity
from ..streaming.memory import CHUNKS_HELD, RESULTS_HELD, SLACK, resident_bytes
from ..streaming.unread import NeedsAll
from .commands.currents import is_of_charges
from .job_file import Job
from .machines import COPY_FRACTION, MACHINES, SPREAD, USABLE
from .options import TO_QUANTITY, read_values
from .slurm import BATCH_OPTIONS, ranks_per_node
from .task import Outcome, Rows, Task, import_libraries
from .work import WORK, Shape, Work, check_beside, made_quantity, making_work, values_beside

TEXT_BYTES = 18.2
"""Of a value in text that is written (writers/numerals.py), with its share of the line ends."""
TEXT_NAMES = ("cube", "xsf", "chgcar", "locpot")
FILE_BYTES = 8
"""Of a value in a file that does not exist yet."""
GB = 1e9


@dataclass(frozen=True)
class Layout:
    """What is planned for: ranks, on GPUs or CPUs; another shape and cell than the file's, if not None."""

    ranks: int
    on_gpu: bool
    shape: Shape | None = None
    cell: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Rates:
    """Bytes per second, of one rank and one way; storage: all ranks together. None: not known."""

    memory: float
    host_link: float | None
    network: float | None
    storage: float | None


@dataclass(frozen=True)
class PlannedTask:
    """One task: bytes, of the busiest rank where nothing else is said.

    planes     that are shared out
    field      the whole field
    memory     at most, at once
    by_planes  the same where values are read some planes at a time (--max-memory); None: it needs all at once
    values     all inputs that are in memory
    read       from storage, by all ranks; a file that several tasks need is read by the first
    written    to storage, by all ranks
    link       between host and device
    kept       bytes of results beside its planes, where those are read in turn; None: it needs all at once
    spectra    bytes that spectra on the disk take beside them
    plane      bytes of one of its planes, in double precision
    """

    name: str
    shape: Shape
    dtype: str
    way: str | None
    planes: int
    field: int
    memory: int
    by_planes: int | None
    values: int
    read: int
    written: int
    link: int
    kept: int | None
    spectra: int
    plane: int
    cost: Cost

    def seconds(self, rates: Rates) -> dict[str, float | None]:
        """Expected time of each part; None where its rate is not known."""

        def time(n_bytes: int, rate: float | None) -> float | None:
            return 0.0 if n_bytes == 0 else None if rate is None else n_bytes / rate

        return {
            "storage": time(self.read + self.written, rates.storage),
            "host link": time(self.link, rates.host_link),
            "memory": self.cost.moved / rates.memory,
            "arithmetic": (self.cost.busy - self.cost.moved) / rates.memory,
            "network": time(self.cost.n_sent, rates.network),
        }


def unread(values: Mapping[str, Any], layout: Layout) -> tuple[Field, int, bool]:
    """An input as the busiest rank would hold it, but without values; its bytes in storage; whether they are text."""
    path: Path = values["file"]
    dtype = np.dtype(values.get("dtype") or np.float64)
    grid, axis, is_text = None, 0, False
    quantity = values.get("quantity") or "scalar"
    if path.exists():
        choices = {name: values[name] for name in ("kind", "quantity", "frame") if values.get(name) is not None}
        source = open_source(path, **choices, survey=False)
        grid, axis, is_text = source.grid, source.slowest_axis, source.decode_planes is not None
        block = values.get("block") or source.blocks[0]
        if block in source.blocks and not values.get("header"):  # others are found when all the file is read
            quantity, _ = settle_quantity(source, block, values.get("quantity"), values.get("unit"))
    elif layout.shape is None or layout.cell is None:
        raise InputError(
            f"{path}: no such file. To plan for a file that does not exist yet give --shape and --cell, or shape and "
            "cell in the table [plan]."
        )
    boundary = values.get("boundary") or (grid.boundary if grid is not None else "periodic")
    if grid is None:
        shape, cell, stored = layout.shape, layout.cell, FILE_BYTES * prod(layout.shape or ())
    else:
        shape = layout.shape or grid.shape
        stored = round(stored_bytes(path) * prod(shape) / grid.n_points)
        cell = layout.cell  # if it is not given, the points stay as far apart as they are
        cell = grid.cell * (np.array(shape) / grid.shape)[:, None] if cell is None else cell
    assert shape is not None and cell is not None
    whole = Grid(shape, cell, np.zeros(3), parse_boundary(boundary))
    rank = layout.ranks - 1  # no rank has more planes than the last
    slab = Slab.of(shape[axis], rank, layout.ranks, axis)
    device: Any = GPU if layout.on_gpu else choose_device("cpu")
    comm: Any = SimpleNamespace(rank=rank, size=layout.ranks)
    nothing = np.broadcast_to(dtype.type(0), slab.local_shape(shape))
    return Field(whole, nothing, quantity, None, device, slab, comm), stored, is_text


def stored_bytes(path: Path) -> int:
    """Bytes of a file, or of all in a folder."""
    return sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file())


def written_bytes(path: Path, shape: Shape, itemsize: int) -> int:
    """Bytes of a field in a file of that name; compressed text counts as if it were not."""
    is_text = any(word in path.name.lower() for word in TEXT_NAMES)
    return round(prod(shape) * (TEXT_BYTES if is_text else itemsize))


class PlannedInputs:
    """Fields by file and reading options, as task.Inputs has them, without values.

    resident  bytes of those that are in memory
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.resident = 0
        self._fields: dict[tuple[str, ...], Field] = {}

    def field(self, values: Mapping[str, Any]) -> tuple[Field, int, int]:
        """The field; what is read for it from storage, and sent to the device, 0 if an earlier task has read it."""
        names = ("file", "files", "quantity", "unit", "boundary", "kind", "block", "frame", "dtype")
        key = tuple(str(values.get(name)) for name in names)
        if key in self._fields:
            return self._fields[key], 0, 0
        field, stored, is_text = unread(values, self.layout)
        if values.get("header"):
            return field, 0, 0
        self._fields[key] = field
        n_bytes = busiest_bytes(field)
        if values.get("max_memory") is None:
            self.resident += n_bytes
        return field, stored, -(-stored // self.layout.ranks) if is_text else n_bytes  # text is decoded on the device


def plan_task(task: Task, inputs: PlannedInputs) -> PlannedTask:
    """One task, after those that have filled the inputs; InputError where it needs all values and has only planes."""
    values, layout = task.values, inputs.layout
    field, read, link = inputs.field(values)
    n_files = len(values.get("files", (0,)))
    read, link = n_files * read, n_files * link
    total = read_once(n_files * busiest_bytes(field)) if read else Cost()  # are all values finite?
    others = [(name, values[name]) for name in ("density", "other") if values.get(name) is not None]
    others += [(name, file) for name in ("plus", "less") for file in values.get(name) or ()]
    work = WORK[task.command.name](field, values)
    for name, file in others:
        beside = values_beside(task.command.name, values, name, file)
        second, more, to_device = inputs.field(beside)
        if file.exists():
            check_beside(task.command.name, field, beside if name == "other" else values, name, second)
        read, link = read + more, link + to_device
        total = total.beside(read_once(busiest_bytes(second)))
        if name == "density":
            total = total.beside(planar_cost(second, values["axis"] or "c"))
    makes = TO_QUANTITY in task.command.options  # or ions are only counted, or the work has all of it
    if makes:
        made_quantity(field, values)
    made = making_work(field, values) if makes else Work(Cost())
    total = total.beside(made.cost).beside(work.cost)
    plane = field.grid.n_points // field.slab.n * field.values.dtype.itemsize
    kept = None if made.kept is None else work.kept
    spectra = made.spectra + work.spectra
    by_planes = None if kept is None else kept + spectra + CHUNKS_HELD * plane
    limited = values.get("max_memory") is not None
    if limited and by_planes is None:
        raise NeedsAll.of(f"{task.command.name} with these options", values["file"].name, busiest_bytes(field))
    itemsize = field.values.dtype.itemsize if values.get("variance") is None else 8
    files = [(path, shape) for path, shape in work.fields if path is not None]
    link += sum(held(shape, field.slab.axis, layout.ranks) * itemsize for _, shape in files)
    return PlannedTask(
        name=f"{task.command.name} of {values['file'].name}",
        shape=field.grid.shape,
        dtype=str(field.values.dtype),
        way=work.way,
        planes=field.slab.n,
        field=field.grid.n_points * field.values.dtype.itemsize,
        memory=by_planes if limited and by_planes is not None else inputs.resident + total.peak,
        by_planes=by_planes,
        values=inputs.resident,
        read=read,
        written=sum(written_bytes(path, shape, itemsize) for path, shape in files),
        link=link if layout.on_gpu else 0,
        kept=kept,
        spectra=spectra,
        plane=field.grid.n_points // field.slab.n * 8,
        cost=total,
    )


def is_alone(task: Task) -> bool:
    """True if the first rank does it for all, without a field."""
    return task.command.alone or (task.command.series and is_of_charges(task.values))


def plan_tasks(tasks: Iterable[Task], layout: Layout) -> list[PlannedTask]:
    """All tasks in order but those that one rank does for all; an InputError says which task it is about."""
    inputs, planned = PlannedInputs(layout), []
    for number, task in enumerate(tasks, 1):
        if is_alone(task):
            continue
        with met_in(f"task {number} ({task.command.name}): "):
            planned.append(plan_task(task, inputs))
    return planned


def least_ranks(tasks: Sequence[Task], layout: Layout, memory: float) -> int | None:
    """The fewest ranks with which the job fits into so many bytes each; None where slabs of one plane do not."""

    def fits(ranks: int) -> bool:
        return max(task.memory for task in plan_tasks(tasks, replace(layout, ranks=ranks))) <= memory

    planes = max(task.planes for task in plan_tasks(tasks, layout))
    if not fits(planes):
        return None
    low, high = 0, planes  # low does not fit, high does
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def least_max_memory(
    tasks: Sequence[Task], planned: Sequence[PlannedTask], layout: Layout, own: int | None = None
) -> int | None:
    """Bytes of --max-memory that no rank refuses, the program's own (now, if not given) too; None if all would be.

    As streaming.memory.Limit has it: chunks of one plane, what a spectrum takes, and three times the results of a pass,
    of which each may be a half of what is then left; and the results of tasks that have ended. Libraries of transforms,
    with what they leave behind, are given as much again as all others.
    """
    kept = [task.kept for task in planned if task.kept is not None]
    if len(kept) < len(planned):
        return None
    import_libraries(tasks)
    chunks = CHUNKS_HELD + (GPU.chunks_pinned if layout.on_gpu else 0)
    spectra = max(task.spectra for task in planned)
    spectra += SLACK if spectra else 0
    passing = RESULTS_HELD * sum(kept) + spectra + chunks * max(task.plane for task in planned)
    return (own or resident_bytes()) + SLACK + sum(kept) + max(passing, 2 * RESULTS_HELD * max(kept))


def least_of_run(tasks: Sequence[Task], ranks: int, own: int) -> int:
    """Bytes of --max-memory that are enough for tasks on so many ranks, the program's own given; 0 if not known."""
    try:
        with warnings.catch_warnings(action="ignore"):
            on_gpu = any(isinstance(choose_device(task.values.get("device", "auto")), GPU) for task in tasks)
            layout = Layout(ranks, on_gpu)
            return least_max_memory(tasks, plan_tasks(tasks, layout), layout, own) or 0
    except GpuhomogError:  # of a file or an option: the run itself says so
        return 0


def rates_of(options: Mapping[str, Any]) -> tuple[Rates, float | None, tuple[str, ...]]:
    """Rates, the memory of a device [bytes] if it is known, and what is assumed, one sentence each."""
    name = options["machine"]
    machine = MACHINES.get(name)
    notes = []
    if machine is not None:
        notes.append(
            f"{machine.product}: memory {machine.memory:g} GB, {machine.bandwidth:g} GB/s, of which a copy reaches "
            f"{COPY_FRACTION:.0%} (measured on an H200); host link {machine.host_link:g} GB/s and network "
            f"{machine.network:g} GB/s each way ({machine.source})."
        )
    elif options["bandwidth"] is None:
        raise InputError(
            "--machine cpu has no bandwidth of its own: give --bandwidth, the GB/s that a copy reaches in the memory "
            "of one rank."
        )

    def rate(option: str, default: float | None) -> float | None:
        given = options[option]
        if given is not None:
            notes.append(f"--{option} {given:g}: as given, in GB/s.")
            return float(given) * GB
        return None if default is None else default * GB

    memory_rate = rate("bandwidth", None if machine is None else COPY_FRACTION * machine.bandwidth)
    assert memory_rate is not None
    rates = Rates(
        memory_rate,
        None if machine is None else machine.host_link * GB,
        rate("network", None if machine is None else machine.network),
        rate("storage", None),
    )
    memory = options["memory"] if options["memory"] is not None else None if machine is None else machine.memory
    if rates.storage is None:
        notes.append("Time of the storage is left out: give --storage, the GB/s of all ranks together.")
    if rates.network is None:
        notes.append("Time of the network is left out: give --network, the GB/s of a rank each way.")
    where = "on an H200 at 1024^3" if machine is not None else "on a CPU of two cores at 256^3"
    notes.append(
        "Parts follow each other without overlap, and no message waits; products and transforms take as long beside a "
        f"pass over memory as {where}."
    )
    what = "two cores" if machine is None else "one H200"
    notes.append(
        f"Memory and arithmetic of {what} took {SPREAD[what][0]:g} to {SPREAD[what][1]:g} times as long as this says."
    )
    return rates, None if memory is None else memory * GB, tuple(notes)


def efficiency(tasks: Sequence[Task], layout: Layout, planned: Sequence[PlannedTask], rates: Rates) -> float | None:
    """Time on one rank over ranks times the time on all, storage left out; None where a rate is not known."""
    alone = plan_tasks(tasks, replace(layout, ranks=1))
    times = []
    for some in (alone, planned):
        parts = [t for task in some for part, t in task.seconds(rates).items() if part != "storage"]
        if any(t is None for t in parts):
            return None
        times.append(sum(t for t in parts if t is not None))
    return times[0] / (layout.ranks * times[1]) if times[1] > 0 else None


def submitted_ranks(batch: Mapping[str, Any]) -> int:
    """Ranks that [batch] asks for."""
    values = {**read_values(BATCH_OPTIONS, {}), **batch}
    return int(values["nodes"] * ranks_per_node(values))


def plan(job: Job, options: Mapping[str, Any]) -> Outcome:
    """The plan of a job file.

    Raises InputError where the run would, as far as headers tell; for a missing file without shape and cell; for a
    CPU without a bandwidth.
    """
    options = {name: job.plan.get(name) if value is None else value for name, value in options.items()}
    options = {**options, "machine": options["machine"] or "h100"}
    ranks = options["gpus"] or submitted_ranks(job.batch)
    layout = Layout(ranks, options["machine"] != "cpu", options["shape"], options["cell"])
    rates, memory, notes = rates_of(options)
    if any(task.values.get("reproducible") for task in job.tasks):
        notes += ("Reproducible runs take longer and send more than is planned here: sums keep one order.",)
    alone = sorted({task.command.name for task in job.tasks if is_alone(task)})
    if alone:
        notes += (f"Left out: {', '.join(alone)}, which the first rank does for all, without a field on a grid.",)
    planned = plan_tasks(job.tasks, layout)
    if not planned:
        raise InputError(f"Nothing to plan: {', '.join(alone)} is done by one rank, without a field on a grid.")
    reports = [task_report(task, rates) for task in planned]
    total = total_report(reports)
    fits = None if memory is None else total["memory_bytes"] <= USABLE * memory
    some = [task.by_planes for task in planned]
    report = {
        "job": str(job.path),
        "expected": "not measured",
        "ranks": ranks,
        "machine": options["machine"],
        "memory": memory,
        "tasks": reports,
        "total": total,
        "fits": fits,
        "least_ranks": None if memory is None or fits else least_ranks(job.tasks, layout, USABLE * memory),
        "by_planes_bytes": None if None in some else max(n_bytes for n_bytes in some if n_bytes is not None),
        "least_max_memory": least_max_memory(job.tasks, planned, layout),
        "efficiency": efficiency(job.tasks, layout, planned, rates),
        "assumptions": list(notes),
    }
    tables = [(f"Task {n}, {one['task']}", task_rows(one)) for n, one in enumerate(reports, 1)]
    tables.append(("Total: expected, not measured", total_rows(report, layout.on_gpu)))
    return Outcome(report, tables)


def total_rows(report: Mapping[str, Any], on_gpu: bool) -> Rows:
    """All tasks together for people, what they need and what is assumed."""
    unit, memory, ranks, total = "GPU" if on_gpu else "rank", report["memory"], report["ranks"], report["total"]
    rows: Rows = [("ranks", f"{ranks}, {'one GPU each' if on_gpu else 'on CPUs'}"), *time_rows(total)]
    verdict = memory_verdict(report["fits"], memory, report["least_ranks"], unit)
    rows.append(("memory", f"{size(total['memory_bytes'])} on a {unit} at once{verdict}"))
    by_planes, least_memory = report["by_planes_bytes"], report["least_max_memory"]
    if report["fits"] is False and by_planes is not None and by_planes <= USABLE * memory:
        rows.append(("", f"or read some planes at a time: --max-memory, {size(by_planes)} beside the program's own"))
    if least_memory is not None:
        own = f"{size(resident_bytes())} of it the program's own, as here"
        own += "; with a GPU the driver's comes on top" if on_gpu else ""
        rows.append(("", f"least that runs: --max-memory {-(-least_memory // 10**6)}MB a {unit} ({own})"))
    if ranks > 1:
        share = report["efficiency"]
        known = "not known: give --network" if share is None else f"{share:.0%}, storage left out"
        rows.append(("efficiency", known))
    return [*rows, *(("note", note) for note in report["assumptions"])]


def memory_verdict(fits: bool | None, memory: float | None, least: int | None, unit: str) -> str:
    """Whether it fits, and what to do if not."""
    if fits is None or memory is None:
        return "; whether that fits is not known: give --memory"
    room = f"{size(USABLE * memory)} ({USABLE:.0%} of {size(memory)})"
    if fits:
        return f": fits into {room}"
    if least is None:
        return f": more than {room}, on any number of {unit}s"
    return f": more than {room}; fits on {least} {unit}s"


def task_report(task: PlannedTask, rates: Rates) -> dict[str, Any]:
    """One task for JSON: bytes and seconds."""
    sent = {kind: {"busiest": int(n.max()), "all": int(n.sum())} for kind, n in task.cost.sent.items() if n.any()}
    return {
        "task": task.name,
        "shape": task.shape,
        "dtype": task.dtype,
        "way": task.way,
        "field_bytes": task.field,
        "values_bytes": task.values,
        "memory_bytes": task.memory,
        "moved_bytes": task.cost.moved,
        "sent_bytes": sent,
        "read_bytes": task.read,
        "written_bytes": task.written,
        "link_bytes": task.link,
        **timed(task.seconds(rates)),
    }


def timed(seconds: Mapping[str, float | None]) -> dict[str, Any]:
    """Times of the parts, their sum as far as it is known, and the longest."""
    known = {part: time for part, time in seconds.items() if time}
    return {
        "seconds": dict(seconds),
        "total_seconds": sum(known.values()),
        "limit": max(known, key=lambda part: known[part]) if known else None,
    }


def total_report(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All tasks together."""
    seconds: dict[str, float | None] = {}
    for part in reports[0]["seconds"]:
        times = [one["seconds"][part] for one in reports]
        seconds[part] = None if None in times else sum(times)
    summed = ("moved_bytes", "read_bytes", "written_bytes", "link_bytes")
    total: dict[str, Any] = {name: sum(one[name] for one in reports) for name in summed}
    return {"memory_bytes": max(one["memory_bytes"] for one in reports), **total, **timed(seconds)}


def task_rows(report: Mapping[str, Any]) -> Rows:
    """One task for people."""
    points = " × ".join(map(str, report["shape"]))
    rows: Rows = [("field", f"{points} points, {report['dtype']}, {size(report['field_bytes'])}")]
    if report["way"] is not None:
        rows.append(("way", report["way"]))
    rows.append(("memory", f"{size(report['memory_bytes'])} at once, of which values {size(report['values_bytes'])}"))
    rows.append(("moved", f"{size(report['moved_bytes'])} through the memory of the device"))
    for kind, n in report["sent_bytes"].items():
        rows.append((f"sent, {kind}", f"{size(n['busiest'])} by the busiest rank, {size(n['all'])} in all"))
    rows.append(("storage", f"{size(report['read_bytes'])} read, {size(report['written_bytes'])} written"))
    return [*rows, *time_rows(report)]


def time_rows(report: Mapping[str, Any]) -> Rows:
    """Expected times for people."""
    parts = [
        f"{part} {'?' if seconds is None else duration(seconds)}"
        for part, seconds in report["seconds"].items()
        if seconds is None or seconds > 0
    ]
    known = " as far as is known" if None in report["seconds"].values() else ""
    limit = "" if report["limit"] is None else f"; limited by {report['limit']}{known}"
    told = f" ({', '.join(parts)})" if parts else ""
    return [("expected time", f"{duration(report['total_seconds'])}{told}{limit}")]


def size(n_bytes: float) -> str:
    """Bytes for people.

    >>> size(0), size(275e9), size(35.2e12)
    ('0 B', '275 GB', '35.2 TB')
    """
    for unit, scale in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:.3g} {unit}"
    return f"{n_bytes:.0f} B"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(0.00234), duration(12.0), duration(7200)
    ('2.34 ms', '12 s', '2 h')
    """
    for unit, scale in (("h", 3600.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale and (unit != "h" or seconds >= 2 * scale):
            return f"{seconds / scale:.3g} {unit}"
    return "0 s" if seconds == 0 else f"{seconds / 1e-6:.3g} µs"
