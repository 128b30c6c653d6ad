"""Devices: where this installation computes, and how what it computes gets from rank to rank.

In   the machine, the environment, the ranks of this launch.
Out  an Outcome; the same on all ranks.
"""

from __future__ import annotations

import socket
from typing import Any

from ..device import choose_device, compiled_kernels, describe_gpus, why_no_gpu
from ..device.fftw import wisdom_path
from ..errors import DeviceError, counted
from ..parallel import Comm, agreed
from .task import Inputs, Outcome, Rows


def run_devices(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Where this installation can compute; under a launcher also what each rank does."""
    device: Any = choose_device("cpu")
    reason = why_no_gpu()
    with agreed(inputs.comm):
        gpus = [] if reason else describe_gpus()
        chosen = choose_device("auto")
    auto = chosen.name
    folder, compiled = compiled_kernels()
    wisdom = wisdom_path()
    has_wisdom = wisdom.exists()
    report: dict[str, Any] = {
        "devices": [{"name": device.name, "threads": device.threads}, *gpus],
        "auto": auto,
        "why_no_gpu": reason,
        "compiled_kernels": {"folder": str(folder), "files": compiled} if gpus else None,
        "fftw_wisdom": str(wisdom) if has_wisdom else None,
        "ranks": inputs.comm.gather(rank_report(device, chosen)),
        "transport": transport_report(inputs.comm, chosen),
    }
    found = [("cpu", counted(device.threads, "thread"))]
    for gpu in gpus:
        free, total = (gpu[name] / 2**30 for name in ("free_bytes", "memory_bytes"))
        found.append((gpu["name"], f"{gpu['product']}, {free:.1f} of {total:.1f} GiB free"))
    rows: Rows = [(name, f"{what}; chosen by --device auto" if name == auto else what) for name, what in found]
    if gpus:
        first = gpus[0]
        driver = f"driver {first['driver'] or '?'} (CUDA {first['driver_cuda']})"
        rows += [
            ("compute capability", ", ".join(gpu["compute_capability"] for gpu in gpus)),
            ("versions", f"{driver}, CUDA runtime {first['runtime_cuda']}, CuPy {first['cupy']}"),
            ("CUDA kernels", f"compiled when first used; {compiled} files so far in {folder}"),
        ]
    else:
        rows += [("gpu", f"none: {reason}")]
    rows += [("FFTW wisdom", str(wisdom) if has_wisdom else 'none yet (made by "gpuhomog tune")')]
    tables: list[tuple[str, Rows]] = [("Devices", rows)]
    if inputs.comm.size > 1:
        tables.append(("Ranks", rank_rows(report["ranks"], report["transport"])))
    return Outcome(report, tuple(tables))


def rank_report(cpu: Any, chosen: Any) -> dict[str, Any]:
    """What this rank computes on."""
    product = getattr(getattr(chosen, "runtime", None), "product_name", None)
    return {"node": socket.gethostname(), "device": chosen.name, "product": product, "threads": cpu.threads}


def transport_report(comm: Comm, chosen: Any) -> dict[str, Any] | None:
    """How arrays get from rank to rank, and why not by faster ways; None for one process."""
    if comm.size == 1:
        return None
    kinds = [name.partition(":")[0] for name in comm.gather(chosen.name)]
    other = next((rank for rank, kind in enumerate(kinds) if kind != kinds[0]), None)
    if other is not None:
        why = (
            f"--device auto is {kinds[0]} on rank 0 and {kinds[other]} on rank {other}: give all ranks a GPU, or choose"
        )
        return {"name": None, "words": f"none, {why} --device cpu", "why_not": {}}
    try:
        transport = chosen.transport(comm)
    except DeviceError as refused:
        return {"name": None, "words": f"none: {refused}", "why_not": {}}
    if transport is None:
        return {"name": "mpi", "words": f"MPI ({getattr(comm, 'library', 'of the tests')})", "why_not": {}}
    return {"name": transport.name, "words": transport.words, "why_not": transport.why_not}


def rank_rows(ranks: list[dict[str, Any]], transport: dict[str, Any] | None) -> Rows:
    """The same for people."""
    rows: Rows = []
    for number, rank in enumerate(ranks):
        what = f"{rank['device']} ({rank['product']})" if rank["product"] else rank["device"]
        rows.append((f"rank {number}", f"{what}, {counted(rank['threads'], 'thread')}, on {rank['node']}"))
    if transport is not None:
        rows.append(("arrays go by", transport["words"]))
        rows += [(f"not {name}", reason) for name, reason in transport["why_not"].items()]
    return rows
