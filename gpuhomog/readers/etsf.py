"""ETSF files, which ABINIT writes as NetCDF: densities (_DEN.nc) and potentials (_POT.nc, _VHA.nc, _VCLMB.nc, …).

    primitive_vectors        (3, 3) rows are the lattice vectors                                  bohr
    reduced_atom_positions   (n, 3), atom_species (n,), atomic_numbers and valence_charges of the species
    density, vtrial, …       (components, n_c, n_b, n_a, 1) on the grid                            atomic units

The name of the variable says what the values are: numbers of electrons per bohr^3, or the energy of an electron in Ha.
Of two components a density has the total and spin up, a potential spin up and down; of four a density has the total
and the magnetization. Valence charges are kept as Structure.charges.

In   path; in NetCDF's classic formats plain or compressed, in that of HDF5 plain.
Out  Source; values (a, b, c) in Fortran order, cut along c.
"""

from __future__ import annotations

import re
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, InputError
from ..grid import Grid
from ..structure import Structure
from ..units import BOHR
from .binary import Layout, open_binary, read_layout
from .compressed import open_bytes
from .espresso import review_valence_electrons
from .hdf5 import SIGNATURE, check_room, opened
from .netcdf import MAGIC, classic_variables
from .source import NOTHING_CHOSEN, Choices, Source

KINDS = ("etsf",)

_ELECTRONS = ("electron_density", "1/bohr^3")
_ENERGY = ("electron_potential_energy", "Ha")
CONTENT: dict[str, tuple[tuple[str, str], str]] = {
    "density": (_ELECTRONS, "density of the valence electrons"),
    "pawrhor": (_ELECTRONS, "density of the valence electrons, with what PAW adds to it in the spheres"),
    "vtrial": (_ENERGY, "total potential: local ionic, Hartree and exchange-correlation"),
    "vhartree": (_ENERGY, "Hartree potential, without the ions"),
    "vhartree_vloc": (_ENERGY, "electrostatic potential: local ionic and Hartree"),
    "vpsp": (_ENERGY, "local ionic potential"),
    "vhxc": (_ENERGY, "Hartree and exchange-correlation potential, without the ions"),
    "exchange_correlation_potential": (_ENERGY, "exchange-correlation potential"),
}
"""Variable → quantity and unit, and what it is; all others are scalars of no known unit."""

_FORTRAN = re.compile(rb"(?:\x0e\0\0\0\d[\d.]{2}.{3}|\x10\0\0\0\d[\d.]{2}.{5}).{8}[\x0e\x10]\0\0\0", re.DOTALL)
"""First record of ABINIT's own binary files: its version, and two integers."""


def recognises(head: bytes, path: Path) -> bool:
    """True for NetCDF's classic formats, an HDF5 file that says it is one of ETSF's, and ABINIT's binary files."""
    if not head.startswith(SIGNATURE):
        return head[:4] in MAGIC or _FORTRAN.match(head) is not None
    import h5py

    try:
        with h5py.File(path, "r") as file:
            said = file.attrs.get("file_format", b"")
    except Exception:  # h5py raises many types for damaged metadata
        return False
    return (said if isinstance(said, bytes) else str(said).encode()).startswith(b"ETSF")


class _Classic:
    """The variables of a file in a classic format."""

    def __init__(self, path: Path) -> None:
        self._path, self._found = path, classic_variables(path)
        self.shapes = {name: variable.shape for name, variable in self._found.items()}

    def whole(self, name: str) -> NDArray[Any]:
        return self._found[name].read()

    def planes(self, name: str, component: int, start: int, stop: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """(n_a, n_b, .) of planes start:stop."""
        variable = self._found[name]
        shape = (variable.shape[3], variable.shape[2], variable.shape[1])
        size = prod(shape) * variable.dtype.itemsize
        layout = Layout(variable.dtype, shape, True, variable.offset + component * size)
        with open_binary(self._path) as stream:
            return read_layout(self._path, stream, layout, start, stop, dtype)


class _InHDF5:
    """The same of a file in NetCDF's format on HDF5."""

    def __init__(self, path: Path) -> None:
        import h5py

        self._path = path
        with opened(path) as file:
            self.shapes = {
                name: stored.shape
                for name, stored in file.items()
                if isinstance(stored, h5py.Dataset) and stored.shape is not None
            }

    def _read(self, name: str, where: Any) -> NDArray[Any]:
        with opened(self._path) as file:
            check_room(self._path, file[name])
            return np.asarray(file[name][where])

    def whole(self, name: str) -> NDArray[Any]:
        return self._read(name, ())

    def planes(self, name: str, component: int, start: int, stop: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """(n_a, n_b, .) of planes start:stop."""
        return self._read(name, np.s_[component, start:stop, :, :, 0]).astype(dtype, copy=False).transpose(2, 1, 0)


def open_source(path: Path, choices: Choices = NOTHING_CHOSEN) -> Source:
    """Open an ETSF file and read all but the values on the grid."""
    head = open_bytes(path).head(32)
    if _FORTRAN.match(head):
        raise FileFormatError(
            f"{path}: a binary file of ABINIT, whose header differs from version to version: have it written as NetCDF "
            "(iomode 3), or convert it to a cube or XSF with cut3d."
        )
    try:
        file = _InHDF5(path) if head.startswith(SIGNATURE) else _Classic(path)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read as NetCDF ({error}); it is truncated or damaged.") from None
    on_grid = [name for name, shape in file.shapes.items() if len(shape) == 5]
    name = next((known for known in (*CONTENT, *on_grid) if known in on_grid), None)
    if name is None or file.shapes.get("primitive_vectors") != (3, 3):
        raise FileFormatError(
            f"{path}: NetCDF, but without a field on a grid and its cell: of ABINIT's files, those such as _DEN.nc and "
            "_POT.nc have them."
        )
    components, n_c, n_b, n_a, parts = file.shapes[name]
    if parts != 1:
        raise FileFormatError(f"{path}: {name} is complex, as responses are; fields of the ground state are read.")
    cell = file.whole("primitive_vectors").astype(np.float64) * BOHR
    try:
        structure = _atoms(file, cell)
        grid = Grid((n_a, n_b, n_c), cell)
    except InputError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except (IndexError, ValueError) as error:
        raise FileFormatError(f"{path}: its atoms contradict each other ({error}); it is damaged.") from None
    (quantity, unit), what = CONTENT.get(name, (("scalar", None), "of no quantity and unit known here"))
    sums = _blocks(components, quantity == "electron_density")

    def read_planes(start: int, stop: int, block: str, dtype: np.dtype[Any]) -> NDArray[np.floating]:
        (first, factor), *others = sums[block].items()
        local = file.planes(name, first, start, stop, dtype)
        if factor != 1.0:
            local = local * dtype.type(factor)
        for component, factor in others:
            local = local + dtype.type(factor) * file.planes(name, component, start, stop, dtype)
        return local

    return Source(
        path,
        "etsf",
        grid,
        quantity,
        unit,
        tuple(sums),
        2,
        read_planes,
        structure,
        remarks=(f"The variable is {name}: {what}.",),
        of_block={block: ("scalar", "1/Å^3") for block in sums if block.startswith("magnetization")}
        | {block: ("scalar", unit) for block in sums if block.startswith("component")},
        review=partial(review_valence_electrons, path, structure, grid.volume) if name == "density" else None,
    )


def _blocks(components: int, density: bool) -> dict[str, dict[int, float]]:
    """Block → how much of which component it is, the default first; magnetizations are converted to 1/Å^3."""
    own = BOHR**-3
    if components == 1:
        return {"total" if density else "values": {0: 1.0}}
    if components == 2 and density:
        return {"total": {0: 1.0}, "magnetization": {1: 2 * own, 0: -own}, "up": {1: 1.0}, "down": {0: 1.0, 1: -1.0}}
    if components == 2:
        return {"up": {0: 1.0}, "down": {1: 1.0}}
    if components == 4 and density:
        return {"total": {0: 1.0}} | {f"magnetization_{axis}": {i: own} for i, axis in enumerate("xyz", 1)}
    return {"up": {0: 1.0}, "down": {1: 1.0}} | {f"component {i + 1}": {i: 1.0} for i in range(2, components)}


def _atoms(file: _Classic | _InHDF5, cell: NDArray[np.float64]) -> Structure | None:
    """The atoms with their valence charges; None if the file has none, or not all that says what they are."""
    if not {"atom_species", "atomic_numbers", "reduced_atom_positions"} <= file.shapes.keys():
        return None
    kinds = file.whole("atom_species").astype(np.int64) - 1
    numbers = np.rint(file.whole("atomic_numbers")).astype(np.int64)
    charges = file.whole("valence_charges")[kinds] if "valence_charges" in file.shapes else None
    return Structure(numbers[kinds], file.whole("reduced_atom_positions") @ cell, charges)
