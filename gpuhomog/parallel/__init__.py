"""How values are split: the partition rule, the communicator, and the exchanges between slabs."""

from .agreement import agree_on
from .comm import Comm, Serial
from .exchange import (
    add_halo,
    combine_planes,
    contract_planes,
    fetch_planes,
    sum_over_slabs,
    sum_to_slab,
    transpose,
    with_halo,
    without_halo,
)
from .launch import launched_rank, launched_size, world
from .slab import Slab

__all__ = [
    "Comm",
    "Serial",
    "Slab",
    "add_halo",
    "agree_on",
    "combine_planes",
    "contract_planes",
    "fetch_planes",
    "launched_rank",
    "launched_size",
    "sum_over_slabs",
    "sum_to_slab",
    "transpose",
    "with_halo",
    "without_halo",
    "world",
]
