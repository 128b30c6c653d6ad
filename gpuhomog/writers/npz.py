"""NumPy archive output: a Field as .npz, in the memory order of the field (readers/numpy_files.py has the names).

The archive is not compressed, so that planes can be read from the middle of it.

In   temporary path, Field, its blocks of planes of the slowest axis in memory.
Out  nothing but the file.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..field import Field
from .described import facts_of


def slowest_axis(field: Field) -> int:
    """0 for C order, 2 for Fortran order."""
    flags = getattr(field.values, "flags", None)
    return 2 if flags is not None and flags.f_contiguous and not flags.c_contiguous else 0


def write_field(path: Path, field: Field, blocks: Iterable[tuple[int, NDArray[Any]]]) -> None:
    """Write the field; raises OSError if the system refuses."""
    fortran = slowest_axis(field) == 2
    dtype = np.dtype(field.values.dtype).newbyteorder("<")
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": fortran, "shape": field.grid.shape}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("values.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_2_0(member, header)
            for _, block in blocks:
                ordered = np.ascontiguousarray(block.T if fortran else block, dtype=dtype)
                member.write(ordered.reshape(-1).view(np.uint8).data)
        for name, value in facts_of(field).items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.asarray(value), allow_pickle=False)
