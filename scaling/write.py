"""Writing speed of every field format, beside ASE's text writers in the same run.

`error` is the largest relative error of what an independent reader (NumPy, h5py) finds in the file.

    python scaling/write.py [--n 192] [--repeat 3] [--keep]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rows import append, fastest, machine, versions

import gpuhomog as gh


def with_ase(values: np.ndarray, atoms: Any, folder: Path) -> dict[str, Callable[[], None]]:
    """ASE's writers of the same files."""
    from ase.calculators.vasp import VaspChargeDensity
    from ase.io.cube import write_cube

    def cube() -> None:
        with open(folder / "ase.cube", "w") as file:
            write_cube(file, atoms, values)

    def chgcar() -> None:
        density = VaspChargeDensity(filename=None)
        density.atoms, density.chg = [atoms], [values]
        density.write(str(folder / "CHGCAR_ase"))

    return {"x.cube": cube, "CHGCAR": chgcar}


def found(path: Path, shape: tuple[int, ...], n_header: int, factor: float) -> np.ndarray:
    """The values of a file, by a reader that is not ours."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            return file["field/values"][...]
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return archive["values"]
    with open(path) as file:
        for _ in range(n_header):
            file.readline()
        values = np.fromfile(file, sep=" ", count=int(np.prod(shape)))
    return (values.reshape(shape) if path.suffix == ".cube" else values.reshape(shape[::-1]).T) / factor


def main() -> None:
    """Write every format; rows to the screen and, with --keep, to results.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=192)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    n = options.n
    rng = np.random.default_rng(0)
    values = 0.1 + rng.random((n, n, n))
    structure = gh.Structure([11, 17] * 4, rng.random((8, 3)) * 20)
    common = {"quantity": "electron_density", "structure": structure}
    fields = {
        "C": gh.Field.from_array(values, 20.0 * np.eye(3), **common),
        "F": gh.Field.from_array(np.asfortranarray(values), 20.0 * np.eye(3), **common),
    }
    bohr = gh.units.BOHR
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peers = with_ase(values, structure.to_ase(fields["C"].grid), folder)
        for file, order, n_header, factor in (
            ("x.h5", "C", 0, 1.0),
            ("x.h5", "F", 0, 1.0),
            ("x.npz", "C", 0, 1.0),
            ("x.npz", "F", 0, 1.0),
            ("x.cube", "C", 6 + 8, bohr**3),
            ("CHGCAR", "F", 8 + 8 + 2, 8000.0),
        ):
            path = folder / file
            ours = fastest(lambda path=path, order=order: gh.write(fields[order], path), options.repeat)
            error = np.abs(found(path, values.shape, n_header, factor) / values - 1).max()
            about = {"script": "write.py", "case": f"{file}, {order} order", "size": f"{n}^3", "dtype": "float64"}
            about |= {"versions": versions("ase", "h5py"), **machine()}
            rows.append({**about, "what": "gpuhomog", "seconds": f"{ours:.4f}", "error": f"{error:.1e}"})
            if file in peers:
                peer = fastest(peers[file], 1)
                rows.append({**about, "what": "ASE", "seconds": f"{peer:.4f}", "ratio_to_peer": f"{peer / ours:.2f}"})
    append(rows, options.keep)


if __name__ == "__main__":
    main()
