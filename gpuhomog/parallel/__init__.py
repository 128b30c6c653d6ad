"""How values are split: the partition rule, the communicator, and the exchanges between slabs."""

from .comm import Comm, Serial
from .exchange import combine_planes, sum_over_slabs, sum_to_slab
from .slab import Slab

__all__ = ["Comm", "Serial", "Slab", "combine_planes", "sum_over_slabs", "sum_to_slab"]
