"""Field: one microscopic or macroscopic scalar on a grid, with its unit, its device and its slab. Frozen.

Vectors and tensors are several Fields. Values are indexed (a, b, c) whatever their memory order.

>>> field = Field.from_array(np.ones((2, 2, 4)), np.eye(3), quantity="charge_density")
>>> field.unit, field.integral()
('e/Å^3', 1.0)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .device import Device, choose_device
from .errors import InputError, import_optional
from .fft import Multiplier, convolved, filtered, magnitude
from .grid import AXIS_NAMES, Grid, axis_index, parse_boundary
from .parallel import Comm, Serial, Slab, agreed, fetch_planes
from .reduction import Arrays, Reduction, extrema, plane_sums, reduced
from .streaming import Unread, filtered_on_disk
from .structure import Structure
from .units import DOUBLE, QUANTITIES, SINGLE, check_quantity, conversion_factor, internal_unit


@dataclass(frozen=True, eq=False)
class Field:
    """Values on a grid.

    grid        the whole Grid, on every rank
    values      (n_a, n_b, n_c) local part, float32 or float64, on `device`; read-only, not copied; or Unread values,
                which are read or made some planes at a time
    quantity    one of units.QUANTITIES
    unit        unit string; None if the file does not say (quantity "scalar" only)
    device      where the values live
    slab, comm  which planes are here, and who holds the others
    structure   atoms, if known
    provenance  tuple of {"step": …, …}: where the values come from, what was done to them
    reproducible  sums add planes in one fixed tree: the same bits for any number of ranks, at some cost
    """

    grid: Grid
    values: Any
    quantity: str
    unit: str | None
    device: Device
    slab: Slab
    comm: Comm
    structure: Structure | None = None
    provenance: tuple[Mapping[str, Any], ...] = ()
    reproducible: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.values, np.ndarray):  # a view of it: the caller's own array stays as writeable as it was
            values = self.values.view()
            values.flags.writeable = False
            object.__setattr__(self, "values", values)

    def __repr__(self) -> str:
        shape, lengths = (
            " × ".join(str(n) for n in self.grid.shape),
            " × ".join(f"{x:.5g}" for x in self.grid.lengths),
        )
        here = f", planes {self.slab.start} to {self.slab.stop} here" if self.comm.size > 1 else ""
        atoms = "" if self.structure is None else f", {self.structure.formula}"
        return (
            f"Field({self.quantity}{f' in {self.unit}' if self.unit else ''}, {shape} points, {self.values.dtype} on "
            f"{self.device.name}{here}, cell {lengths} Å, {', '.join(self.grid.boundary)}{atoms})"
        )

    def __array__(self, *_: Any, **given: Any) -> NDArray[Any]:
        raise TypeError("A Field is more than an array: take field.to_host() for NumPy, or field.values on its device.")

    @classmethod
    def from_array(
        cls,
        values: ArrayLike,
        cell: ArrayLike,
        *,
        quantity: str = "scalar",
        unit: str | None = None,
        boundary: str | Sequence[str] = "periodic",
        device: str | Device = "auto",
        origin: ArrayLike | None = None,
        structure: Structure | None = None,
    ) -> Field:
        """Field from an array you already have.

        values    (n_a, n_b, n_c) real, finite, none masked; integers and other floats become float64, float32 stays;
                  what is on the device's GPU (arrays of CuPy, tensors of PyTorch) is taken as it is
        cell      (3, 3) lattice vectors as rows [Å]
        quantity  what it is; a quantity other than "scalar" fixes the unit it is kept in
        unit      unit of the values; None means the package's own unit of the quantity (e/Å^3, 1/Å^3, V, eV)
        boundary  "periodic", "open", or one per axis
        device    "auto", "cpu", "gpu:0" …, or a Device
        origin    (3,) position of the first grid point [Å]; 0 by default
        structure atoms in the cell

        Raises InputError for complex, masked or non-finite values, a wrong shape, a singular cell; UnitsError for an
        unknown unit or quantity, or a unit that does not fit the quantity.
        """
        where = choose_device(device)
        array = _real_array(values, where)
        start = np.zeros(3) if origin is None else np.asarray(origin, dtype=np.float64)
        shape = (array.shape[0], array.shape[1], array.shape[2])
        grid = Grid(shape, np.asarray(cell, dtype=np.float64), start, parse_boundary(boundary))
        check_quantity(quantity)
        internal = QUANTITIES[quantity]
        if unit is not None:
            factor = conversion_factor(unit, internal or unit)
            if factor != 1.0:
                array = array * array.dtype.type(factor)
        field = cls(
            grid,
            where.asarray(array),
            quantity,
            internal or unit,
            where,
            Slab.of(array.shape[0]),
            Serial(),
            structure,
            ({"step": "array", "shape": list(grid.shape), "device": where.name},),
        )
        field.check_finite("array")
        return field

    def check_finite(self, name: str) -> None:
        """Raise InputError naming how many values are not finite and where the first is."""
        with agreed(self.comm):
            if np.isfinite(self.largest):
                return
            bad = ~np.isfinite(self.device.to_host(self.values))
            first = np.argwhere(bad)[0]
            first[self.slab.axis] += self.slab.start
            raise InputError(
                f"{name}: {int(bad.sum())} of {self.values.size} values are NaN or infinite (first at "
                f"{[int(i) for i in first]}); they would spread to whole planes. Repair the data or leave it out."
            )

    @cached_property
    def largest(self) -> float:
        """Largest |value| of those here; NaN if there is one."""
        return magnitude(self.device, self.values)

    def largest_of(self, values: Any) -> Callable[[], float]:
        """What tells the largest |value| of an array: of the field's own without another look at them."""
        return lambda: self.largest if values is self.values else magnitude(self.device, values)

    def derive(self, values: Any, step: str | Mapping[str, Any], **attributes: Any) -> Field:
        """A Field of new values made from this one, with one more provenance step.

        step        its name, or a mapping {"step": name, …} that describes it
        attributes  of the new field that differ: grid, unit, quantity, slab, …
        """
        done = {"step": step} if isinstance(step, str) else dict(step)
        derived = replace(self, values=values, provenance=(*self.provenance, done), **attributes)
        if values is self.values and "largest" in vars(self):
            vars(derived)["largest"] = self.largest
        return derived

    def __add__(self, other: Field) -> Field:
        """The sum of two fields of one quantity on one grid, in the unit of the first; atoms are those of the first."""
        if not isinstance(other, Field):
            return NotImplemented
        return self.derive(self.values + self._beside(other), {"step": "sum", "with": list(other.provenance)})

    def __sub__(self, other: Field) -> Field:
        """The difference, such as a density less those of its parts; as the sum."""
        if not isinstance(other, Field):
            return NotImplemented
        return self.derive(self.values - self._beside(other), {"step": "difference", "less": list(other.provenance)})

    def _beside(self, other: Field) -> Any:
        """Values of another field, in this one's unit; InputError where the two are not of one kind and place."""
        if self.quantity != other.quantity or (self.unit is None) != (other.unit is None):
            raise InputError(
                f"Cannot add or subtract {self.quantity} and {other.quantity}, in {self.unit} and {other.unit}: name "
                "one quantity when reading both."
            )
        self.check_points_of(other)
        for field in (self, other):
            field.check_in_memory("A sum or difference of fields", "read both without max_memory")
        return (other if other.unit in (None, self.unit) else other.to(str(self.unit))).values

    def check_in_memory(self, what: str, instead: str = "") -> None:
        """InputError where values are read some planes at a time: `what` needs all of them, `instead` would work."""
        if isinstance(self.values, Unread):
            self.values.refuse(what, instead)

    def check_points_of(self, other: Field) -> None:
        """InputError unless another field has its values at the same points, on the same device and ranks."""
        if not self.grid.has_points_of(other.grid):
            told = [
                f"{' × '.join(map(str, grid.shape))} points in {grid.volume:.6g} Å^3 "
                f"from ({', '.join(f'{x:.6g}' for x in grid.origin)}) Å on"
                for grid in (self.grid, other.grid)
            ]
            raise InputError(f"The fields are on different grids, {told[0]} and {told[1]}: give both on one grid.")
        if (self.slab, self.device.name) != (other.slab, other.device.name):
            raise InputError("The fields are on different devices or in different slabs: read both alike.")

    def on_first_rank(self) -> Field | None:
        """The whole field on rank 0, as a field of one process; None on the other ranks. Collective."""
        whole = self._gathered(range(1))
        return None if self.comm.rank > 0 else whole

    def on_every_rank(self) -> Field:
        """The whole field on each rank, as a field of one process. Collective."""
        return self._gathered(range(self.comm.size))

    def _gathered(self, ranks: range) -> Field:
        """All planes on some ranks, none on the others."""
        if self.comm.size == 1:
            return self
        wanted = [np.arange(self.slab.n if rank in ranks else 0) for rank in range(self.comm.size)]
        values = fetch_planes(self.comm, self.device, self.slab, self.values, wanted)
        return replace(self, values=values, slab=Slab.of(self.slab.n, axis=self.slab.axis), comm=Serial())

    def to_host(self) -> NDArray[Any]:
        """The local values as a NumPy array."""
        return self.device.to_host(self.values)

    def to(self, unit: str) -> Field:
        """The same field in another unit of the same dimension.

        Raises UnitsError for a unit of another one, InputError for a field whose unit is not known.
        """
        if self.unit is None:
            raise InputError(
                f'This field has no known unit: name its quantity when reading it, then use .to("{unit}").'
            )
        factor = conversion_factor(self.unit, unit)
        step = {"step": "unit", "from": self.unit, "to": unit}
        return self.derive(self.values * self.values.dtype.type(factor), step, unit=unit)

    def internal(self) -> Field:
        """The same field in the package's own unit of its quantity; a scalar as it is.

        Raises InputError if the unit is not known; UnitsError if it does not fit the quantity.
        """
        unit = internal_unit(self.quantity, self.unit)
        return self if unit == self.unit else self.to(str(unit))

    def to_xarray(self) -> Any:
        """xarray.DataArray of the local values, with distances along the lattice vectors [Å]. Needs the extra `labels`.

        Cell, unit and provenance stand in its attributes; a point of an oblique cell is at Σ distance · vector/length.
        """
        xarray = import_optional("xarray", "labels", "Arrays with labels")
        start, distances = [0, 0, 0], self.grid.lengths / self.grid.shape
        start[self.slab.axis] = self.slab.start
        values = self.to_host()
        coordinates = {
            name: (name, (start[axis] + np.arange(values.shape[axis])) * distances[axis], {"unit": "Å"})
            for axis, name in enumerate(AXIS_NAMES)
        }
        known = {
            "unit": self.unit or "",
            "cell": self.grid.cell.tolist(),
            "origin": self.grid.origin.tolist(),
            "boundary": list(self.grid.boundary),
            "provenance": json.dumps(self.provenance, ensure_ascii=False, default=str),
        }
        return xarray.DataArray(values, coordinates, tuple(AXIS_NAMES), self.quantity, known)

    @property
    def precision(self) -> float:
        """How far rounding of the values moves them, as a fraction."""
        return SINGLE if self.values.dtype == np.float32 else DOUBLE

    def reduce(self, reduction: Reduction) -> Arrays:
        """A reduction of the whole field: its arrays, the same on every rank."""
        if isinstance(self.values, Unread):
            return self.values.reduce(reduction, self.reproducible)
        return reduced(reduction, self.comm, self.device, self.values, self.slab, self.reproducible)

    def filtered(self, multipliers: Sequence[Multiplier], names: Sequence[str]) -> list[Any]:
        """Values with every mode multiplied, for each multiplier: arrays, or Unread where these are; collective.

        multipliers  of one shape: the grid's, or larger ones for values with zeros behind them (fft.convolved)
        names        what is done, with every parameter: what is larger than memory is found once in a run
        """
        if isinstance(self.values, Unread):
            return list(filtered_on_disk(self.values, multipliers, names))
        solve = filtered if multipliers[0].shape == self.grid.shape else convolved
        largest = self.largest_of(self.values)
        return solve(self.device, self.values, *multipliers, slab=self.slab, comm=self.comm, largest=largest)

    def plane_sums(self, axis: int | str) -> NDArray[np.float64]:
        """(n_axis,) sum of the values over every plane of an axis, on every rank."""
        index = axis_index(axis)
        (sums,) = self.reduce(plane_sums(index, self.slab.axis))
        return np.asarray(sums)

    def extrema(self) -> tuple[float, float]:
        """Smallest and largest value of the whole field, on every rank; NaN if there is one."""
        low, high = self.reduce(extrema())
        return float(low[0]), float(high[0])

    def mean(self) -> float:
        """Mean over the grid, in the field's unit."""
        return float(self.plane_sums(self.slab.axis).sum() / self.grid.n_points)

    def integral(self) -> float:
        """∫ f d³r over the cell: mean times volume, in the field's unit times Å^3."""
        return self.mean() * self.grid.volume


def _real_array(values: ArrayLike, where: Device) -> Any:
    """Three axes of real numbers, none masked, float32 or float64; InputError for others."""
    array: Any
    if hasattr(values, "__cuda_array_interface__"):
        try:
            array = where.asarray(values)
        except TypeError:
            raise InputError(
                f'The values are on a GPU, the device is {where.name}: say device="gpu:0", or give values.get().'
            ) from None
    else:
        if np.ma.is_masked(values):
            raise InputError(
                f"{np.ma.count_masked(values)} of {np.size(values)} values are masked, and a field has a value "
                "everywhere: fill them, or leave those planes out."
            )
        try:
            array = np.asarray(values)
        except ValueError:
            raise InputError("The values are lists of different lengths: a field needs three axes (a, b, c).") from None
    if np.iscomplexobj(array):
        raise InputError("Complex values: a Field is real. Give the real and imaginary parts as two Fields.")
    if array.dtype.kind not in "fiub":
        raise InputError(f"Values of type {array.dtype}: give real numbers.")
    if array.ndim != 3:
        raise InputError(f"Values of shape {array.shape}: a field needs three axes (a, b, c).")
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float32 if array.dtype == ">f4" else np.float64)
