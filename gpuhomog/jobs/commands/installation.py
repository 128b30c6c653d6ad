"""Commands on the installation: demo, devices, tune.

In   Inputs and checked option values.
Out  Outcome.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...device import choose_device
from ...device.fftw import tune
from .. import options as o
from ..demo import check_folder, run_demo
from ..devices import run_devices
from ..task import Command, Inputs, Outcome, Rows


def run_tune(inputs: Inputs, values: dict[str, Any]) -> Outcome:
    """Plan the transforms of a file's grid."""
    field = inputs.field(values)
    device: Any = choose_device("cpu")
    shape, dtype = field.grid.shape, str(field.values.dtype)
    stored = tune(shape, dtype, device.threads)
    report = {"shape": shape, "dtype": dtype, "threads": device.threads, "wisdom": str(stored)}
    rows: Rows = [("points", " × ".join(map(str, shape))), ("threads", str(device.threads)), ("stored in", str(stored))]
    return Outcome(report, (("Fourier transforms planned", rows),))


DEMO_FOLDER = o.Option(
    "output",
    o.path,
    "FOLDER",
    "Write here; the folder is made if need be. Default: gpuhomog-demo.",
    default=Path("gpuhomog-demo"),
    short="o",
    panel=o.OUTPUT,
    names=o.FOLDER,
)

COMMANDS = (
    Command(
        "demo",
        "Homogenize a real slab that comes with the package, and compare with what is known of it.",
        "Six layers of NaCl(001) from a DFT calculation: profiles, surface charges, potential levels and a mesoscale "
        "average, as numbers and figures in a folder. Needs no input and no network, and takes some seconds.",
        ("gpuhomog demo", "gpuhomog demo -o slab --json"),
        (DEMO_FOLDER, *o.COMMON),
        run_demo,
        check_folder,
        reads=False,
        alone=True,
    ),
    Command(
        "devices",
        "List where this installation can compute.",
        "Threads, GPUs with their memory and versions, or the reason why there is none. The environment variable "
        "GPUHOMOG_DEVICE says what --device auto is; otherwise it is the first GPU (of several ranks on a node each "
        "takes the next), else the CPU. Under mpiexec also what each rank computes on, how arrays get from rank to "
        "rank, and why not faster; GPUHOMOG_TRANSPORT=ipc, nccl, mpi or staged chooses.",
        ("gpuhomog devices",),
        (o.JSON, o.QUIET),
        run_devices,
        reads=False,
    ),
    Command(
        "tune",
        "Plan the fast Fourier transforms of a file's grid, once, so that later runs on grids of that size are faster.",
        "Planning takes some seconds. The plan is stored for this user and used by every later command.",
        ("gpuhomog tune CHGCAR",),
        (*o.READING, *o.COMMON),
        run_tune,
        alone=True,
    ),
)
