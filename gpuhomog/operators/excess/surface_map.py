"""Surface map: the charge per area of a slab's two faces, line by line, as a function of the place in the plane.

    σ(y, z) = mean of C(x; y, z) over one bulk period around x_b,   C = ∫_vac^x ρ(x', y, z) dx'        eqs. 39, 51
    σ_mu(y, z) = Σ mu(y' - y, z' - z; eps) σ(y', z')                               eq. 18 in the plane

and the first moments S1(y, z) likewise. All of them are sums of the moments of three intervals (below the period, the
period, above it) of each line along the axis, which are read once. The mean over the plane is what surface_charge finds
for samples that are cell averages.

In   Field of quantity charge_density, periodic or open, any device, whole or slab; an axis.
Out  SurfaceMap: host, equal on every rank.

>>> import gpuhomog as gh
>>> slab = np.zeros((2, 1, 40))
>>> slab[0, 0, 6:34:4], slab[0, 0, 8:34:4] = 1.0, -1.0               # +1 and -1 two cells above it, one line of two
>>> field = gh.Field.from_array(slab, np.diag([2.0, 2.0, 40.0]), quantity="charge_density")
>>> surface_map(field, "c", period=4.0).low.round(12).tolist()
[[0.5], [0.0]]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...averaging_kernels import Gaussian
from ...device import Device
from ...device.cpu.intervals import cells_of_interval
from ...errors import InputError
from ...field import Field
from ...grid import AXIS_NAMES
from ...parallel import Slab
from ...reduction import JOIN, SUM, Arrays, Reduction
from ...results import Result, Tables
from ..averages.average import average
from ..profiles.bulk import find_body
from ..profiles.planar import Planes, parse_planes, planar_average
from ..profiles.unrolled import CELL
from .charge_profile import charge_profile
from .surface import SurfaceCharge, surface_charge

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SurfaceMap(Result):
    """Surface charge as a function of the place in the plane.

    low, high                (n_u, n_v) σ of the lower and the upper face [e/Å^2], at the grid points of the plane
    low_dipole, high_dipole  (n_u, n_v) S1 about the surface's origin_low, origin_high [e/Å]
    eps                      width of the Gaussian in the plane [Å]; None: line by line
    vectors                  (2, 3) lattice vectors u, v of the plane [Å]
    axes                     their names
    surface                  the planar result: x_b, period, faces, mean values and their uncertainty
    closure                  largest difference between a map's mean and the planar value [e/Å^2]
    remarks, provenance      what a reader should know, one sentence each; what was read and done, step by step
    """

    low: Array
    high: Array
    low_dipole: Array
    high_dipole: Array
    eps: float | None
    vectors: Array
    axes: tuple[str, str]
    surface: SurfaceCharge
    closure: float
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        rows = [
            (f"σ {side}", f"{values.min():.6g} to {values.max():.6g}, mean {mean}")
            for side, values, mean in (("low", self.low, self.surface.low), ("high", self.high, self.surface.high))
        ]
        width = "line by line" if self.eps is None else f"Gaussian, eps {self.eps:g} Å"
        rows.append(("in the plane", width))
        return (("Surface map", (*rows, *(("note", remark) for remark in self.remarks))),)


def surface_map(
    field: Field,
    axis: Planes = "c",
    *,
    eps: float | None = None,
    x_b: float | None = None,
    period: float | str = "auto",
    bulk: Sequence[float] | None = None,
    origin: float | None = None,
) -> SurfaceMap:
    """Charge per area of both faces of a slab, point by point of the plane.

    field   charge density of a slab; samples are taken for averages over their cells
    axis    "a", "b" or "c", along which the lines run: upright on the other two, or the map leans
    eps     width of a Gaussian in the plane [Å], twice its standard deviation; None: each line by itself
    others  as in surface_charge

    Source: eqs. 39, 51 of the paper, with its average (18) in the plane. Raises InputError as surface_charge, for
    planes that are not of an axis, for a bulk without a period, and with the reason where there is no surface charge.
    """
    parsed = parse_planes(axis)
    if not isinstance(parsed, int):
        raise InputError(f"A map runs along an axis of the grid, not across the planes {axis}: give a, b or c.")
    profile = charge_profile(planar_average(field, parsed), None, "A surface map")
    surface = surface_charge(profile, x_b=x_b, period=period, bulk=bulk, origin=origin, sampling=CELL)
    if not surface.low.defined:  # type: ignore[union-attr]
        raise InputError(f"No surface map: {surface.low.reason}.")  # type: ignore[union-attr]
    if surface.period is None:
        raise InputError("No surface map: the bulk has no period. Give period=…, its length along the axis in Å.")
    field = field.internal()
    h, a, place = profile.spacing, surface.period, surface.x_b
    line = find_body(profile, CELL, x_b if x_b is not None else sum(bulk) / 2 if bulk else None).line
    first = float(profile.position[0]) - h / 2
    edges = (np.array([line.start, place - a / 2, place + a / 2, line.end]) - first) / h
    references = (np.array([place, place + a / 2, place]) - first) / h
    (moments,) = field.reduce(_three_intervals(parsed, field.slab.axis, edges, references, field.grid.shape[parsed]))
    others = [i for i in range(3) if i != parsed]
    shape = tuple(field.grid.shape[i] for i in others)
    m = _in_order(np.asarray(moments), parsed, field.slab.axis, shape) * h ** np.arange(1, 4)[:, None, None, None]
    low = m[0, 0] - m[1, 1] / a
    high = m[0, 2] + m[0, 1] + m[1, 1] / a
    below = -m[1, 0] + m[2, 1] / (2 * a)
    above = m[1, 2] + (m[2, 1] + 2 * a * m[1, 1] + a**2 * m[0, 1]) / (2 * a)
    maps = [low, high, (place - surface.origin_low) * low - below, (place - surface.origin_high) * high + above]
    closure = max(
        abs(float(mean.mean()) - float(planar))  # type: ignore[arg-type]
        for mean, planar in zip(maps[:2], (surface.low, surface.high), strict=True)
    )
    if eps is not None:
        maps = [_averaged(field, values, parsed, others, eps) for values in maps]
    cell, normal = field.grid.cell, field.grid.normal(parsed)
    lean = cell[parsed] - (cell[parsed] @ normal) * normal
    aside = float(np.linalg.norm(lean)) / field.grid.height(parsed) * surface.thickness
    remarks = list(surface.remarks)
    if aside > 1e-6 * surface.thickness:
        remarks.append(
            f"the lines lean: along {AXIS_NAMES[parsed]} they move by {aside:.4g} Å in the plane over the slab"
        )
    return SurfaceMap(
        low=maps[0],
        high=maps[1],
        low_dipole=maps[2],
        high_dipole=maps[3],
        eps=eps,
        vectors=np.asarray(cell[others]),
        axes=(AXIS_NAMES[others[0]], AXIS_NAMES[others[1]]),
        surface=surface,
        closure=closure,
        remarks=tuple(remarks),
        provenance=(*field.provenance, {"step": "surface map", "axis": AXIS_NAMES[parsed], "x_b": place, "eps": eps}),
    )


def _three_intervals(axis: int, split: int, edges: Array, references: Array, n: int) -> Reduction:
    """(·, 9, ·) or (planes, …) moments of every line along an axis of a field that is split along `split`."""
    weights = _weights_of_intervals(edges, references, n) if split == axis else None

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        if weights is None or slab.is_whole:
            found = device.to_host(device.interval_moments(values, edges, references, axis=axis))
            if weights is None:  # (3, a, b, c) → the planes of the slab first
                return (np.moveaxis(found, split + 1, 0),)
            return (np.moveaxis(found, axis + 1, 1).reshape(9, *np.delete(found.shape[1:], axis)),)
        if values.size == 0:
            return (np.zeros((9, *np.delete(values.shape, axis))),)
        partial = device.to_host(device.contract(values, np.ascontiguousarray(weights[:, slab.planes]), axis))
        return (np.moveaxis(partial, axis, 0).astype(np.float64),)

    name = f"moments of {len(references)} intervals of axis {axis}, edges {edges.tolist()} about {references.tolist()}"
    return Reduction(name, local, (SUM if split == axis else JOIN,))


def _in_order(found: Array, axis: int, split: int, shape: tuple[int, ...]) -> Array:
    """(power, interval, n_u, n_v)."""
    if split == axis:
        return np.asarray(found.reshape(3, 3, *shape))
    return np.asarray(np.moveaxis(np.moveaxis(found, 0, split + 1), axis + 1, 1))


def _weights_of_intervals(edges: Array, references: Array, n: int) -> Array:
    """(3 intervals, n) weights of the n samples of a periodic axis in the moments 0, 1, 2 of each interval."""
    weights = np.zeros((3, len(references), n))
    for i, (low, high, reference) in enumerate(zip(edges[:-1], edges[1:], references, strict=True)):
        cells, moments = cells_of_interval(float(low), float(high), float(reference))
        for p, moment in enumerate(moments):
            np.add.at(weights[p, i], cells % n, moment)
    return weights.reshape(3 * len(references), n)


def _averaged(field: Field, values: Array, axis: int, others: Sequence[int], eps: float) -> Array:
    """A map under a Gaussian in its plane."""
    kernel, cell = Gaussian(eps), np.array(field.grid.cell)
    cell[axis] = field.grid.normal(axis) * 100 * eps  # one point, constant along it
    boundary = list(field.grid.boundary)
    boundary[axis] = "periodic"
    plane = Field.from_array(np.expand_dims(values, axis), cell, boundary=boundary, device="cpu")
    return np.asarray(np.squeeze(average(plane, kernel).to_host(), axis), dtype=np.float64)
