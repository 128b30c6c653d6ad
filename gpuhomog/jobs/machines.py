"""Machines: what data sheets say of the devices that a plan can be made for, each number with its source; options.

Rates are decimal gigabytes per second, of one device and in one direction; sheets give both directions of a link.

>>> MACHINES["h200"].memory
141.0
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from . import options as o
from . import parsing as p


@dataclass(frozen=True)
class Machine:
    """One kind of device and the links it has in its maker's own server.

    product    as the maker calls it
    bandwidth  of its memory, GB/s
    memory     GB
    host_link  to the memory of the host, GB/s each way
    network    to devices of other nodes, GB/s each way and device
    source     of these numbers
    """

    product: str
    bandwidth: float
    memory: float
    host_link: float
    network: float
    source: str


MACHINES = {
    "a100": Machine(
        "NVIDIA A100 SXM 80GB",
        bandwidth=2039.0,
        memory=80.0,
        host_link=32.0,  # PCIe 4 x16, 64 GB/s both ways
        network=25.0,  # eight 200 Gb/s adapters for eight GPUs
        source="NVIDIA A100 data sheet (June 2021); network: NVIDIA DGX A100 data sheet",
    ),
    "h100": Machine(
        "NVIDIA H100 SXM",
        bandwidth=3350.0,
        memory=80.0,
        host_link=64.0,  # PCIe 5 x16, 128 GB/s both ways
        network=50.0,  # eight 400 Gb/s adapters for eight GPUs
        source="NVIDIA H100 data sheet; network: NVIDIA DGX H100 data sheet",
    ),
    "h200": Machine(
        "NVIDIA H200 SXM",
        bandwidth=4800.0,
        memory=141.0,
        host_link=64.0,  # PCIe 5 x16, 128 GB/s both ways
        network=50.0,  # eight 400 Gb/s adapters for eight GPUs
        source="NVIDIA H200 data sheet; network: NVIDIA DGX H200 data sheet",
    ),
    "b200": Machine(
        "NVIDIA B200 SXM",
        bandwidth=8000.0,
        memory=180.0,
        host_link=64.0,  # PCIe 5 x16, 128 GB/s both ways
        network=50.0,  # eight 400 Gb/s adapters for eight GPUs
        source="NVIDIA DGX B200 data sheet (eight GPUs: 1440 GB, 64 TB/s)",
    ),
}

COPY_FRACTION = 0.90
"""Of the bandwidth in the data sheet that a copy reaches: rows "floor" of scaling/results.csv, 1024^3, one H200."""
SPREAD = {"one H200": (0.84, 2.3), "two cores": (0.63, 1.2)}
"""Least and most of the time measured over the time expected, of the cases in scaling/README.md."""
USABLE = 0.90
"""Of a device's memory that values and workspaces may take: the rest is the driver's, and for what is not counted."""


def grid_shape(raw: Any) -> tuple[int, int, int]:
    """Points along each axis; one number stands for three.

    >>> grid_shape("4096"), grid_shape("96x96x144")
    ((4096, 4096, 4096), (96, 96, 144))
    """
    parts = p.split(raw.replace("x", " ").replace("×", " ") if isinstance(raw, str) else raw)
    try:
        counts = tuple(p.count(1, 1_000_000)(part) for part in parts)
    except p.Unusable:
        counts = ()
    if len(counts) == 1:
        counts *= 3
    if len(counts) != 3:
        raise p.Unusable("give the points along each axis, such as 96x96x144, each from 1 to 1000000")
    return counts[0], counts[1], counts[2]


rate = partial(p.positive, such=" of GB, 10^9 bytes")
PLAN_OPTIONS = (
    o.Option("gpus", p.count(1, 1_000_000), "N", "GPUs, one rank each; CPUs' ranks with --machine cpu. Default: 1."),
    o.Option("machine", p.word(*MACHINES, "cpu"), "NAME", f"Devices: {', '.join(MACHINES)} or cpu. Default: h100."),
    o.Option("bandwidth", rate, "GB/S", "What a copy reaches in the memory of one device. Default: the device's."),
    o.Option("memory", rate, "GB", "Memory of one device, or of one rank of CPUs. Default: the device's."),
    o.Option("network", rate, "GB/S", "What one rank sends. Default: the device's, in its maker's server."),
    o.Option("storage", rate, "GB/S", "What all ranks together read or write. Default: the time is left out."),
    o.Option("shape", grid_shape, "NxNxN", "Plan for this grid; its points are as far apart as the file's."),
    replace(o.CELL, panel="Options"),
)
"""Options of `gpuhomog plan`, and keys of the table [plan] of a job file."""
