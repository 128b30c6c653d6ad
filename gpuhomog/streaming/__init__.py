"""Fields larger than memory: read some planes at a time, in one pass for everything that is asked of them."""

from .checkpoint import Checkpoint, identity_of
from .memory import RESULTS_HELD, Limit, parse_bytes
from .passes import Run, Stream, current_run, in_chunks, running, together
from .shares import workers
from .spectrum import RowsOnDisk, filtered_on_disk, least_bytes
from .stops import stopping
from .turns import in_turns
from .unread import Unread

__all__ = [
    "RESULTS_HELD",
    "Checkpoint",
    "Limit",
    "RowsOnDisk",
    "Run",
    "Stream",
    "Unread",
    "current_run",
    "filtered_on_disk",
    "identity_of",
    "in_chunks",
    "in_turns",
    "least_bytes",
    "parse_bytes",
    "running",
    "stopping",
    "together",
    "workers",
]
