r"""Reading: a file of any known kind becomes a Field, each rank holding its own planes.

    open_source(path)   the header only: what is in the file (Source)
    read(path)          the Field: quantity settled, unit converted, values checked

What a file is shows in its content: each module is asked in turn whether it recognises the beginning. `kind`
overrides. No quantity is ever guessed from a name alone, and none is turned into another: that is a step of its own.

>>> import tempfile
>>> path = Path(tempfile.mkdtemp()) / "tiny.cube"
>>> _ = path.write_text("two\ncomments\n1 0 0 0\n1 2 0 0\n1 0 2 0\n2 0 0 1\n1 1.0 0 0 0\n 0.5 0.25\n")
>>> read(path, quantity="electron_density").integral()
3.0
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from ..device import Device, choose_device
from ..errors import FileFormatError, InputError, UnitsError, nearest_known
from ..field import Field
from ..grid import Grid, parse_boundary
from ..parallel import Comm, Serial, Slab, agree_on, agreed
from ..streaming import Limit, Run, Unread, current_run, parse_bytes
from ..units import ATOMIC_UNITS, QUANTITIES, check_quantity, conversion_factor
from . import ase_files, cube, espresso, etsf, hdf5, numpy_files, siesta, vasp, xsf, zarr_store
from .compressed import open_bytes
from .review import review, sums_of
from .source import Choices, Source
from .streamed import unread

MODULES: tuple[Any, ...] = (numpy_files, etsf, hdf5, zarr_store, siesta, xsf, vasp, espresso, cube, ase_files)
"""Reader modules in the order in which they are asked; the most certain first, the most general last."""

_HEAD = 1 << 16
TRAJECTORIES = (".dcd", ".gro", ".lammpstrj", ".pdb", ".trr", ".xtc", ".xyz")


def kinds() -> tuple[str, ...]:
    """Every word that `kind` accepts."""
    return tuple(kind for module in MODULES for kind in module.KINDS)


def open_source(
    path: str | PathLike[str],
    *,
    kind: str | None = None,
    quantity: str | None = None,
    frame: int = 0,
    survey: bool = True,
) -> Source:
    """Open a file and read its header.

    kind      one of kinds(); None: from the content
    quantity  helps where a file's content and name leave open what it holds (VASP)
    frame     which of several cells in the file, the first is 0
    survey    False: do not look for all blocks where that means reading the whole file

    Raises InputError (missing file, directory, unknown kind), FileFormatError (damaged, of no known kind).
    """
    where = Path(fspath(path)).expanduser()
    if kind is not None:
        word = next((known for known in kinds() if known.lower() == str(kind).lower()), None)
        if word is None:
            raise InputError(f'Unknown kind "{kind}": {nearest_known(str(kind), kinds())}')
        module = next(module for module in MODULES if word in module.KINDS)
        if not where.is_dir():
            open_bytes(where)
        return _open(module, where, Choices(word, quantity, frame, survey))
    head = b"" if where.is_dir() else open_bytes(where).head(_HEAD)
    for module in MODULES:
        if module.recognises(head, where):
            return _open(module, where, Choices(None, quantity, frame, survey))
    if where.is_dir():
        raise InputError(f"{where} is a directory: give the file in it.")
    if head.startswith((b'# format: "gpuhomog"', b'{"format": "gpuhomog"')):
        raise FileFormatError(
            f"{where}: a result that gpuhomog wrote, no field on a grid. In Python gpuhomog.read_profile reads a "
            "profile, from which functions of profiles go on, and gpuhomog.read_result any other."
        )
    if where.suffix.lower() in TRAJECTORIES:
        raise FileFormatError(
            f'{where}: named like a trajectory, which holds atoms, no field on a grid: "gpuhomog trajectory" makes its '
            'charge profile, and "gpuhomog charges" takes the ions of one structure.'
        )
    raise FileFormatError(
        f"{where}: of no known kind; its beginning fits none of {', '.join(sorted(set(kinds())))}. If you know better, "
        "say kind=…."
    )


def _open(module: Any, path: Path, choices: Choices) -> Source:
    try:
        source: Source = module.open_source(path, choices)
    except InputError as error:
        if isinstance(error, FileFormatError | UnitsError) or str(path) in str(error):
            raise
        raise FileFormatError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not 0 <= choices.frame < source.n_frames:
        raise InputError(f"{path} holds one cell: frame {choices.frame} does not exist (the first is 0).")
    return source


def inspect_file(path: str | PathLike[str], **choices: Any) -> dict[str, Any]:
    """What a file holds, from its header, as plain values: path, format, quantity, unit, shape, cell, blocks, atoms …

    Takes the choices of open_source and raises what it raises.
    """
    source = open_source(path, **choices)
    grid = source.grid
    return {
        "path": str(source.path),
        "format": source.format,
        "quantity": source.quantity,
        "unit": source.unit,
        "shape": list(grid.shape),
        "cell": grid.cell.tolist(),
        "origin": grid.origin.tolist(),
        "boundary": list(grid.boundary),
        "lengths": grid.lengths.tolist(),
        "plane_spacings": [grid.plane_spacing(axis) for axis in range(3)],
        "volume": grid.volume,
        "blocks": list(source.blocks),
        "frames": source.n_frames,
        "formula": source.structure.formula if source.structure else None,
        "n_atoms": len(source.structure) if source.structure else 0,
        "remarks": list(source.remarks),
    }


def settle_quantity(source: Source, block: str, quantity: str | None, unit: str | None) -> tuple[str, str | None]:
    """Quantity of the Field that a block gives, and the unit its values have as read; None if nobody knows.

    quantity, unit  what the user says; None if nothing

    Raises UnitsError where the file says something else, or where the unit would be a guess.
    """
    declared, declared_unit = source.of_block.get(block, (source.quantity, source.unit))
    if quantity is not None:
        check_quantity(quantity)
    if declared is not None and declared != "scalar" and quantity not in (None, declared):
        raise UnitsError(_wrong_quantity(source, declared, str(quantity)))
    if declared_unit is not None and unit is not None and unit != declared_unit:
        raise UnitsError(
            f'{source.path}: its values are in {declared_unit} by its format, not in "{unit}": leave unit out, and '
            "convert afterwards with .to(…)."
        )
    settled = quantity or declared or "scalar"
    known = unit or declared_unit
    if known is None and settled != "scalar":
        if settled in source.doubts:
            raise UnitsError(f"{source.path}: {source.doubts[settled]}")
        if not source.atomic_units:
            raise UnitsError(
                f'{source.path}: {source.format} files do not declare a unit, and their writers differ. Say unit="…", '
                f'for instance unit="{ATOMIC_UNITS[settled]}".'
            )
        known = ATOMIC_UNITS[settled]
    if known is not None:
        conversion_factor(known, QUANTITIES[settled] or known)
    return settled, known


def _wrong_quantity(source: Source, declared: str, quantity: str) -> str:
    said = declared.replace("_", " ")
    if (declared, quantity) == ("electron_density", "charge_density"):
        return (
            f"{source.path}: {source.format} files hold the number density of electrons (positive, without the ions), "
            "not a charge density. Read it as it is, then use gh.charge_density(field, ion_charges={…}, width=…)."
        )
    if (declared, quantity) == ("electron_potential_energy", "electrostatic_potential"):
        return (
            f"{source.path}: {source.format} files hold the potential energy of an electron, which in eV is minus the "
            "electrostatic potential in V. Read it as it is: gh.electrostatic_potential(field) changes the sign."
        )
    return f'{source.path}: what it holds is declared, {said}, and not "{quantity}": leave quantity out.'


def read(
    path: str | PathLike[str],
    *,
    quantity: str | None = None,
    boundary: str | Sequence[str] | None = None,
    dtype: Any = None,
    device: str | Device = "auto",
    comm: Comm | None = None,
    kind: str | None = None,
    block: str | None = None,
    frame: int = 0,
    unit: str | None = None,
    reproducible: bool = False,
    max_memory: int | str | None = None,
) -> Field:
    """Read a file into a Field.

    path      CHGCAR, CHG, AECCAR0/1/2, PARCHG, LOCPOT, cube, XSF, npy/npz, HDF5, Zarr, SIESTA, pp.x of Quantum
              ESPRESSO, ABINIT's NetCDF, what ASE reads; text files may be compressed with gzip, bzip2 or xz
    quantity  what the values are, for files that do not say; a declared quantity can only be confirmed
    boundary  "periodic", "open" or one per axis; None: what the file states, periodic if it does not
    dtype     float64 (default) or float32
    device    "auto", "cpu" or "gpu:N"
    comm      ranks that share the field: each reads its own planes of the file's slowest axis (of a compressed file it
              decompresses what comes before them too, as any other would have to); None: this process
    kind      the file's kind, where its content is not to decide
    block     which field of a file with several: "magnetization", "down", "orbital 5"; the first if None
    frame     which of several cells in the file
    unit      unit of the values, for files that do not say; with a quantity, atomic units by default for cube and
              arrays
    reproducible  sums of this field and what is made from it have the same bits for any number of ranks: slower
    max_memory  bytes, or a text such as "8GB", that this process may take: no values are read now, but some planes at
              a time when results are asked for, each time in one pass. What needs all values at once is then refused

    Raises InputError, FileFormatError, UnitsError, DeviceError: one sentence each. Warns AccuracyWarning where the
    integral is not what the atoms allow; nothing is ever renormalized.
    """
    ranks = comm or Serial()
    with agreed(ranks):
        where = choose_device(device)
        chosen = _choose(path, kind, block, frame, quantity, unit, boundary, dtype, where, ranks, reproducible)
        facts = chosen.facts | {"max_memory": max_memory} | (_identity(chosen) if ranks.size > 1 else {})
    agree_on(ranks, facts, f"read {Path(path).name}")
    if max_memory is not None:
        with agreed(ranks):
            left = chosen.unread(max_memory)
            left.planes_at_once()  # or there is not even memory for one
        return chosen.field(left)
    with agreed(ranks):
        local = chosen.planes()
        sums = sums_of(where, local) if chosen.is_reviewed else np.zeros(2)
    if chosen.is_reviewed:
        sums = ranks.sum(sums)
        with agreed(ranks):
            review(chosen.source, sums)
    with agreed(ranks):  # a GPU may be full, for one
        if chosen.factor != 1.0:
            _convert(local, chosen)
        values = where.asarray(local)
    field = chosen.field(values)
    decoded = chosen.device.decodes_text and chosen.source.decode_planes is not None
    if not chosen.source.finite or chosen.dtype != np.float64 or decoded:  # what was divided may overflow, and float32
        field.check_finite(str(chosen.source.path))
    return field


@dataclass(frozen=True)
class _Chosen:
    """What is read of a file, as what, and where to.

    grid      with the boundary that was asked for
    unit      of the values as read; None if nobody knows
    """

    source: Source
    grid: Grid
    block: str
    frame: int
    quantity: str
    unit: str | None
    dtype: np.dtype[Any]
    device: Device
    comm: Comm
    reproducible: bool

    @property
    def kept_in(self) -> str | None:
        """The unit of the field."""
        return QUANTITIES[self.quantity] or self.unit

    @property
    def factor(self) -> float:
        """From the unit as read to that of the field."""
        return 1.0 if self.unit is None or self.kept_in is None else conversion_factor(self.unit, self.kept_in)

    @property
    def is_reviewed(self) -> bool:
        """True for the first block of a file that knows what its values can be."""
        return self.source.review is not None and self.block == self.source.blocks[0]

    @property
    def slab(self) -> Slab:
        """The planes of this rank, of the axis that is slowest in the file."""
        axis = self.source.slowest_axis
        return Slab.of(self.grid.shape[axis], self.comm.rank, self.comm.size, axis)

    @property
    def facts(self) -> dict[str, Any]:
        """What has to be the same on all ranks; those send each other arrays of one kind of device."""
        options = {"quantity": self.quantity, "unit": self.unit, "block": self.block, "frame": self.frame}
        kind_of_device = self.device.name.partition(":")[0]
        return options | {"dtype": str(self.dtype), "reproducible": self.reproducible, "device": kind_of_device}

    @np.errstate(over="ignore")  # infinite where it does not fit float32, and refused then
    def planes(self) -> Any:
        """The values of this rank: on the device where that decodes the file's text, else on the host."""
        source, slab = self.source, self.slab
        try:
            if self.device.decodes_text and source.decode_planes is not None:
                values = source.decode_planes(slab.start, slab.stop, self.block, self.dtype, self.device)
                if values is not None:
                    return values
            return source.read_planes(slab.start, slab.stop, self.block, self.dtype)
        except MemoryError:
            raise InputError(
                f"{source.path}: {slab.n_local} planes of {self.grid.shape} points do not fit in memory; read with "
                "dtype=np.float32 or on more ranks."
            ) from None

    def unread(self, max_memory: int | str) -> Unread:
        """Values that are read some planes at a time."""
        if (reason := self.comm.why_no_turns()) is not None:
            raise InputError(
                f"max_memory={max_memory} on {self.comm.size} ranks has threads call MPI, one at a time, but {reason}: "
                "read without max_memory, on one rank, or with an MPI built for threads (MPI_THREAD_SERIALIZED)."
            )
        run = current_run() or Run(Limit(parse_bytes(max_memory)))
        what = (self.source, self.block, self.dtype, self.factor, self.frame)
        return unread(*what, self.device, self.slab, self.comm, run, self.is_reviewed)

    def field(self, values: Any) -> Field:
        """The Field of values that were read, or will be."""
        step = {
            "step": "read",
            "path": str(self.source.path),
            "format": self.source.format,
            "block": self.block,
            "frame": self.frame,
            "unit": self.unit,
            "shape": list(self.grid.shape),
            "device": self.device.name,
        }
        steps = (*self.source.provenance, step)
        about = (self.quantity, self.kept_in, self.device, self.slab, self.comm, self.source.structure, steps)
        return Field(self.grid, values, *about, self.reproducible)


def _choose(
    path: str | PathLike[str],
    kind: str | None,
    block: str | None,
    frame: int,
    quantity: str | None,
    unit: str | None,
    boundary: str | Sequence[str] | None,
    dtype: Any,
    device: Device,
    comm: Comm,
    reproducible: bool,
) -> _Chosen:
    """What a user asked for, held against the file's header."""
    kept = np.dtype(np.float64 if dtype is None else dtype)
    if kept not in (np.dtype(np.float64), np.dtype(np.float32)):
        raise InputError(f"dtype {kept}: fields are float64 or float32.")
    source = open_source(path, kind=kind, quantity=quantity, frame=frame, survey=block is not None or frame != 0)
    if block is not None and block not in source.blocks:
        raise InputError(f'{source.path} has no block "{block}": {nearest_known(block, source.blocks)}')
    name, grid = block or source.blocks[0], source.grid
    settled, known = settle_quantity(source, name, quantity, unit)
    if boundary is not None:
        grid = Grid(grid.shape, grid.cell, grid.origin, parse_boundary(boundary))
    return _Chosen(source, grid, name, frame, settled, known, kept, device, comm, reproducible)


def _convert(local: Any, chosen: _Chosen) -> None:
    """Values as read into the unit of the field; InputError if one of them is too large for that."""
    try:
        with np.errstate(over="raise"):
            local *= local.dtype.type(chosen.factor)
    except FloatingPointError:
        raise InputError(
            f"{chosen.source.path}: a value is too large to be converted from {chosen.unit} to {chosen.kept_in}. The "
            "file is damaged, or its unit is another."
        ) from None


def _identity(chosen: _Chosen) -> dict[str, Any]:
    """What is the same for every rank that sees the same file, wherever it is mounted."""
    path, grid = chosen.source.path, chosen.grid
    seen: dict[str, Any] = {"format": chosen.source.format, "shape": grid.shape, "boundary": grid.boundary}
    seen |= {"cell": grid.cell.tolist(), "origin": grid.origin.tolist()}
    if path.is_dir():
        texts = [path / name for name in ("zarr.json", ".zattrs", "field/values/zarr.json", "field/values/.zarray")]
        content = b"".join(text.read_bytes() for text in texts if text.is_file())
        return seen | {"digest of its metadata": sha256(content).hexdigest()[:16]}
    with path.open("rb") as file:
        begin, size = file.read(_HEAD), file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _HEAD))
        end = file.read(_HEAD)
    seen |= {"size of the file in bytes": size, "digest of its first 64 KiB": sha256(begin).hexdigest()[:16]}
    return seen | {"digest of its last 64 KiB": sha256(end).hexdigest()[:16]}


__all__ = ["inspect_file", "kinds", "open_source", "read", "settle_quantity"]
