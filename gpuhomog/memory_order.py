"""Memory order: which axis of an array is the fastest, asked wherever arrays are handled, on every device.

In   an array of NumPy or CuPy.   Out  True or False.

>>> import numpy as np
>>> is_fortran_ordered(np.ones((2, 3), order="F")), is_fortran_ordered(np.ones(3))
(True, False)
"""

from __future__ import annotations

from typing import Any


def is_fortran_ordered(values: Any) -> bool:
    """True if the first axis is the fastest in memory; False where either order would do."""
    return bool(values.flags.f_contiguous and not values.flags.c_contiguous)
