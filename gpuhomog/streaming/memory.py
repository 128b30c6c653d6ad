"""Memory: how much of it a run may take, and how many planes are then read at once.

What counts is the resident memory of this process, the interpreter and its libraries included, as the system tells it
(ru_maxrss, VmHWM). Pages of files that the system keeps for everybody (page cache) do not count; several ranks count
each for itself.

In   a number of bytes, or a text such as "8GB" (10^9) or "8GiB" (2^30).
Out  planes a chunk. InputError where the least that is needed is more, with that number.

>>> parse_bytes("8GB"), parse_bytes("512MiB"), parse_bytes(4096)
(8000000000, 536870912, 4096)
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..device.cpu.kept import TABLES
from ..errors import InputError

CHUNK_BYTES = 8 * 2**20
"""A chunk that is read in one stretch, and that the caches of processors hold (fastest of 1 to 32 MiB, measured)."""
CHUNKS_HELD = 6
"""Chunks that may be in memory at once: one is read, two are looked at, the others are between results."""
RESULTS_HELD = 3
"""Copies of a result in memory at once: what was found so far, what a chunk adds, and their sum."""
SLACK, LEAST_SLACK = 24 * 2**20, 6 * 2**20
"""For what the system's allocator and libraries take beside; what was taken since the start is not counted again."""
VARIES = 4 * 2**20
"""More than the memory of the same program differs from run to run (2.5 MB in eight of a profile)."""
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_bytes(given: int | float | str) -> int:
    """Bytes of a number or of a text with a unit; InputError for anything else."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(given))
    if isinstance(given, bool) or found is None or found[2].upper() not in UNITS or float(found[1]) <= 0:
        raise InputError(f'"{given}" is no amount of memory: give bytes, or a text such as "8GB" or "512MiB".')
    return int(float(found[1]) * UNITS[found[2].upper()])


def resident_bytes() -> int:
    """Resident memory of this process now; 0 where the system does not tell."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def give_back() -> None:
    """Memory that was freed, back to the system, where its library keeps it for later."""
    with suppress(OSError, AttributeError):  # of glibc
        ctypes.CDLL(None).malloc_trim(0)


@dataclass(frozen=True)
class Limit:
    """The memory that a run may take [bytes].

    at_start  what it took already when that was said
    whole     at_start → bytes that all it will do needs, asked for where they are not enough; None where nobody knows
    """

    n_bytes: int
    at_start: int = field(default_factory=resident_bytes)
    whole: Callable[[int], int] | None = None

    def __post_init__(self) -> None:
        """What the CPU keeps for calls that may come is let go."""
        TABLES.clear()

    def free(self) -> int:
        """Bytes that may still be taken."""
        give_back()
        resident = resident_bytes()
        return self.n_bytes - resident - max(LEAST_SLACK, SLACK - max(0, resident - self.at_start))

    def refusal(self, found: str, least: int) -> InputError:
        """What was found, and the memory that is enough for it and for all that the run will do."""
        whole = 0 if self.whole is None else self.whole(self.at_start)
        rest = ", for all that follows" if whole > least else ""
        enough = -(-(max(least, whole) + VARIES) // 10**6)
        return InputError(f"{found}: give max_memory of at least {enough}MB{rest}.")

    def planes_at_once(
        self,
        plane_bytes: int,
        n_planes: int,
        result_bytes: int,
        what: str,
        chunk_bytes: int | None = None,
        chunks_held: int = CHUNKS_HELD,
    ) -> int:
        """Planes a chunk, beside results of so many bytes. InputError, with `what` before, if not even one fits."""
        room = self.free() - RESULTS_HELD * result_bytes
        planes = min((chunk_bytes or CHUNK_BYTES) // plane_bytes, room // (chunks_held * plane_bytes), n_planes)
        if planes < 1 and room < chunks_held * plane_bytes:
            least = self.n_bytes - room + chunks_held * plane_bytes
            raise self.refusal(
                f"{what}: {self.n_bytes / 1e6:.0f} MB of memory are not enough for the program "
                f"({resident_bytes() / 1e6:.0f} MB), {chunks_held} planes {chunks_held * plane_bytes / 1e6:.0f} MB and "
                f"results {RESULTS_HELD * result_bytes / 1e6:.0f} MB",
                least,
            )
        return max(1, planes)
