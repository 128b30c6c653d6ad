"""How values are split: the partition rule, the communicator, and the exchanges between slabs."""

from .agreement import agree_on, agreed, in_step
from .comm import Comm, Serial
from .exchange import (
    contract_planes,
    fetch_planes,
    sum_to_slab,
    transpose,
)
from .launch import launched_rank, world
from .slab import Slab

__all__ = [
    "Comm",
    "Serial",
    "Slab",
    "agree_on",
    "agreed",
    "contract_planes",
    "fetch_planes",
    "in_step",
    "launched_rank",
    "sum_to_slab",
    "transpose",
    "world",
]
