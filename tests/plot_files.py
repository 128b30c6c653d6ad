"""Plot files as pp.x writes them: the formats of its Fortran, one by one."""

import numpy as np


def plot_file(
    values, celldm, *, ibrav=1, plot_num=0, vectors=None, memory=None, types=(("Na", 9.0),), atoms=((0, 0, 0, 1),)
):
    """Its text, of values (a, b, c) in the file's own unit; memory: points along a, and b, as they were stored."""
    n_a, n_b, n_c = values.shape
    row, rows = memory or (n_a, n_b)
    lines = [" " * 75]
    lines.append("".join(f"{n:8d}" for n in (row, rows, n_c, n_a, n_b, n_c, len(atoms), len(types))))
    lines.append(f"{ibrav:6d}  " + "".join(f"{number:16.8f}" for number in celldm))
    if ibrav == 0:
        lines += ["".join(f"{number:25.16f}" for number in vector) for vector in vectors]
    lines.append(f"{44.7046033528:20.10f}{4.0:20.10f}{15.0:20.10f}{plot_num:6d}")
    lines += [f"{i:4d}   {label:<2s}   {valence:5.2f}" for i, (label, valence) in enumerate(types, 1)]
    lines += [f"{i:4d}   {x:15.9f}{y:15.9f}{z:15.9f}   {kind:2d}" for i, (x, y, z, kind) in enumerate(atoms, 1)]
    stored = np.full((n_c, rows, row), 77.7)
    stored[:, :n_b, :n_a] = values.T
    words = [f"{value:17.9E}" for value in stored.ravel()]
    lines += ["".join(words[i : i + 5]) for i in range(0, len(words), 5)]
    return "\n".join(lines) + "\n"
