"""Potential of the charge within a cylinder, from below and from above, at points, on planes and at all points.

    Φ_L(x_b, s; R) = κ ∫_{x_low}^{x_b} dx ∫_{|u| < R} ρ(x, s + u)/√((x - x_b)² + u²) d²u                      eq. 69
                   = (h/ε0) Σ_{x ≤ x_b} w_x FFT2⁻¹[ρ_g(x) Khat(|g|, x_b - x, R)]
    Φ_L^[ρ̄]        = (h/2ε0) Σ_{x ≤ x_b} w_x ρ̄(x, s; R) W(R, x_b - x),   Φ_L^[Δρ] = Φ_L - Φ_L^[ρ̄]
    ρ̄(x, s; R)     = mean of ρ over the disc of radius R about s in the plane x

and Φ_r likewise from x_b to x_high; W(R, d) = √(d² + R²) - |d|. Planes are transformed, so the singularity and the edge
of the disc are exact for a bandlimited field, and images within R count of themselves; on an open axis zeros are added
for R. Along the normal a sum over planes is closed by end weights w: the trapezoid's (1/2; error O(h²)) or Gregory's
(3/8, 7/6, 23/24). Gregory's are taken where the planar average has less than 1.5e-5 of its largest mode beyond half its
highest wavevector, as layers have whose standard deviation is three plane spacings or more; `end_weights` overrides.

At one point of the plane the potential turns about its limit with an amplitude that falls as R^-1/2. The mean over
radii R ± edge (cylinder_kernel.py) takes that away: two periods of the plane are enough.

Planes and points are reductions over the planes of the field, so fields larger than memory have them too. All points
come from a table of the kernel, or from recursions where it would be large; the direct sum over grid points is
method="direct".

In   Field of quantity charge_density; axis of the cylinder; radius in Å; in the plane periodic or open.
Out  CylinderPotential (host, V), or CylinderFields: Fields of quantity electrostatic_potential on the field's slabs.

>>> import gpuhomog as gh
>>> column = gh.Field.from_array(np.ones((1, 1, 121)), np.diag([1.0, 1.0, 121 / 40]), quantity="charge_density")
>>> ends = dict(x_low=0.0, x_high=3.0, end_weights=10)
>>> found = cylinder_potential(column, "c", 2.0, at=3.0, side="low", **ends)
>>> print(f"{found.low[0, 0, 0] / gh.units.FOUR_PI_KAPPA:.12f}")                           # ε0 = 1
1.648926673885
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...device import Device
from ...errors import InputError, check_word
from ...fft import plane_spectra
from ...field import Field
from ...grid import AXIS_NAMES, axis_index
from ...parallel import Slab
from ...parallel.exchange import contract_planes
from ...reduction import PLANES_AT_ONCE, SUM, Arrays, Reduction
from ...results import Result, Tables
from ...units import COULOMB_CONSTANT, FOUR_PI_KAPPA
from ..excess.charge_profile import check_charge
from .cylinder import (
    ON_PLANE,
    Cylinder,
    end_weights,
    phases_at,
    phases_of,
    places_of,
    planes_whole,
    stretch_of,
)
from .cylinder_fit import NEAR, MarchFit, march_fit
from .cylinder_kernel import Array, disc_average_factor, disc_weight
from .cylinder_sums import N_SIDES, cylinder_sums
from .cylinder_table import (
    CylinderTable,
    classes_of,
    cylinder_table,
    disc_points,
    in_plane_wavevectors,
    khat_of_classes,
    node_weight,
)

METHODS = ("spectral", "direct")
WAYS = ("auto", "march", "table")
TABLE_BYTES = 2**29
"""A table of the kernel may have this size; recursions beyond."""
BLOCK_BYTES = 2**26
"""Of the kernel at some distances, for all modes."""
KEPT_BYTES = 2**25
"""A kernel of all points up to this size is kept for the next call with the same grid and cylinder, two at most."""
MARCH_TOLERANCE = {"float32": 5e-7, "float64": 1e-11}
"""Error of the recursions, over the kernel's largest value."""


@dataclass(frozen=True, eq=False)
class CylinderPotential(Result):
    """Potentials of the charge below and above, and their parts, at m points or on m planes.

    low, high                      Φ_L, Φ_r [V]; (m,) at points, (m, n_u, n_v) on planes; None for a side not asked for
    low_average, high_average      of the disc average ρ̄ [V]; None for a direct sum, which is not split
    low_deviation, high_deviation  of Δρ = ρ - ρ̄ [V]
    x_b       (m,) distance of the planes from the first plane, along the normal [Å]
    points    (m, 3) [Å]; None: planes
    radius    R [Å]
    edge      half width of the soft edge [Å]; 0: sharp
    x_low, x_high  where charge is counted from and up to [Å]
    end_weights  their order: 1 the trapezoid, 3 Gregory's
    planes    what the planes are: "a", "b", "c"
    vectors   (2, 3) lattice vectors u, v of the plane [Å]
    method    "spectral" or "direct"
    remarks      what a reader should know, one sentence each
    provenance   what was read and done, step by step
    """

    low: Array | None
    high: Array | None
    low_average: Array | None
    high_average: Array | None
    low_deviation: Array | None
    high_deviation: Array | None
    x_b: Array
    points: Array | None
    radius: float
    edge: float
    x_low: float
    x_high: float
    end_weights: int
    planes: str
    vectors: Array
    method: str
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    @property
    def total(self) -> Array:
        """Φ_L + Φ_r [V], or the one that was asked for."""
        sides = [part for part in (self.low, self.high) if part is not None]
        return sides[0] if len(sides) == 1 else sides[0] + sides[1]

    def tables(self) -> Tables:
        """As the terminal shows it: at points each value, of planes the range."""
        rows: list[tuple[str, str]] = []
        for number, x in enumerate(self.x_b):
            place = f"x_b = {x:.4f} Å"
            if self.points is not None:
                place = "point " + " ".join(f"{c:.4f}" for c in self.points[number])
            rows.append((place, ""))
            for name, attribute in (("Φ_L", "low"), ("Φ_r", "high")):
                for part, suffix in (("", ""), (" of ρ̄", "_average"), (" of Δρ", "_deviation")):
                    values = getattr(self, attribute + suffix)
                    if values is not None:
                        rows.append((f"  {name}{part}", _range(values[number])))
        edge = f", edge ± {self.edge:g} Å" if self.edge else ""
        how = [
            ("cylinder", f"R {self.radius:g} Å{edge}, {self.x_low:.4f} to {self.x_high:.4f} Å along {self.planes}"),
            ("sums", f"{self.method}, end weights of order {self.end_weights}"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Potential of a cylinder", tuple(rows)), ("How it was found", tuple(how))


@dataclass(frozen=True, eq=False)
class CylinderFields:
    """Potential at every grid point: Fields of quantity electrostatic_potential [V], on the slabs of the charge.

    potential      Φ_L, Φ_r or their sum
    of_average     the part of the disc average ρ̄
    of_deviation   the part of Δρ = ρ - ρ̄
    """

    potential: Field
    of_average: Field
    of_deviation: Field


def disc_average(field: Field, axis: int | str, radius: float, *, edge: float = 0.0) -> Field:
    """Mean of a field over the disc of a radius about each point, in the planes of an axis: ρ̄(x, s; R) of eq. 69.

    field   any quantity, periodic or open in the plane (zero outside), any cell
    axis    normal of the planes
    radius  R [Å], as wide as wanted: periodic images count
    edge    half width of a soft edge [Å]

    Raises InputError for R <= 0, for R below two in-plane spacings, and for a field larger than memory.
    """
    normal = axis_index(axis)
    cylinder = Cylinder(field.grid, normal, float(radius), float(edge))
    cylinder.check()
    field.check_in_memory("A disc average at all points")
    values = cylinder.disc_filtered(field)
    return field.derive(values, {"step": "disc average", "axis": AXIS_NAMES[normal], **cylinder.facts()})


def cylinder_potential(
    field: Field,
    axis: int | str,
    radius: float,
    *,
    at: ArrayLike,
    side: str = "both",
    x_low: float | None = None,
    x_high: float | None = None,
    edge: float = 0.0,
    end_weights: int | None = None,
    method: str = "spectral",
) -> CylinderPotential:
    """Φ_L and Φ_r of eq. (69) at points or on planes, each split into the parts of ρ̄ and of Δρ.

    field    charge_density; any device, slabs of any axis, in memory or not (then in planes of the axis)
    axis     of the cylinder, the normal of the planes
    radius   R [Å]
    at       one position x_b or several, planes' distances from the first plane [Å]; or (m, 3) points [Å]. Each lies on
             a grid plane; within it points are anywhere
    side     "low", "high" or "both"
    x_low, x_high  planes where the charge begins and ends [Å]; the first and the last plane of the field by default
    edge     half width of a soft edge [Å]: the mean over radii R ± edge, for which two periods of the plane are enough
    end_weights  their order: 1 trapezoid, 3 Gregory, up to 12; None: by the rule of this module. Where matter begins
             at x_low or ends at x_high, x_b should be so many planes away from there
    method   "spectral", or "direct": the sum over grid points, with the weight of node_weight at the singular one
             (error O(h), edge of the disc in steps, sharp edge only)

    Raises InputError for a field that is no charge density; R <= 0; R below two in-plane spacings; x_b outside [x_low,
    x_high] or off the planes; charge on an open face; matter at the boundary of a periodic normal without x_low and
    x_high; planes that lean on an open axis.
    """
    check_charge(field.quantity, "A cylinder potential")
    field = field.internal()
    normal = axis_index(axis)
    check_word("side", side, N_SIDES, "of a cylinder potential")
    check_word("method", method, METHODS, "of a cylinder potential")
    cylinder = Cylinder(field.grid, normal, float(radius), float(edge))
    cylinder.check()
    first, last, order = stretch_of(field, cylinder, x_low, x_high, end_weights)
    planes, points = places_of(cylinder, at, first, last)
    step = {
        "step": "cylinder potential", "axis": AXIS_NAMES[normal], "side": side, "method": method, "end_weights": order,
        **cylinder.facts(),
    }  # fmt: skip
    sides = ("low", "high") if side == "both" else (side,)
    wanted = _Wanted(planes, points, first, last, order, sides)
    parts = (_direct if method == "direct" else _spectral)(field, cylinder, wanted)
    h = cylinder.step
    return CylinderPotential(
        low=parts.get("low"),
        high=parts.get("high"),
        low_average=parts.get("low_average"),
        high_average=parts.get("high_average"),
        low_deviation=parts.get("low_deviation"),
        high_deviation=parts.get("high_deviation"),
        x_b=h * planes.astype(np.float64),
        points=points,
        radius=cylinder.radius,
        edge=cylinder.edge,
        x_low=h * first,
        x_high=h * last,
        end_weights=order,
        planes=AXIS_NAMES[normal],
        vectors=cylinder.vectors,
        method=method,
        provenance=(*field.provenance, step),
    )


def cylinder_potential_field(
    field: Field,
    axis: int | str,
    radius: float,
    *,
    side: str = "both",
    x_low: float | None = None,
    x_high: float | None = None,
    edge: float = 0.0,
    end_weights: int | None = None,
    way: str = "auto",
) -> CylinderFields:
    """Φ_L, Φ_r or their sum at every grid point, and its parts of ρ̄ and of Δρ.

    side  "low": Φ_L of each point; "high": Φ_r; "both": their sum
    way   "march": recursions from plane to plane, fitted to 5e-7 (float32) or 1e-11 (float64) of the kernel, end
          weights up to order 4; "table": the kernel at every distance, 8 bytes a distance and class of modes; "auto": a
          table where it takes less than 512 MiB or the order needs it, else recursions
    others  as in cylinder_potential, and as there InputError; for planes that lean, and for fields larger than memory
    """
    check_charge(field.quantity, "A cylinder potential")
    field = field.internal()
    normal = axis_index(axis)
    check_word("side", side, N_SIDES, "of a cylinder potential")
    check_word("way", way, WAYS, "of a cylinder potential")
    field.check_in_memory("A cylinder potential at all points", "ask for planes or points")
    cylinder = Cylinder(field.grid, normal, float(radius), float(edge))
    cylinder.check()
    if cylinder.leans:
        raise InputError(
            f"Axis {AXIS_NAMES[normal]} leans on its planes, and potentials at all points need planes right above one "
            "another. Ask for planes or points, or choose an upright cell."
        )
    first, last, order = stretch_of(field, cylinder, x_low, x_high, end_weights)
    kernel, made = _kernel(cylinder, order, first, last, way, str(field.values.dtype))
    whole = cylinder_sums(field, kernel, normal, side=side)
    average = _of_average(field, cylinder, order, first, last, side)
    step = {
        "step": "cylinder potential", "axis": AXIS_NAMES[normal], "side": side, "end_weights": order,
        "x_low": first * cylinder.step, "x_high": last * cylinder.step, **made, **cylinder.facts(),
    }  # fmt: skip
    fields = [
        field.derive(values, {**step, "part": part}, quantity="electrostatic_potential", unit="V")
        for part, values in (("whole", whole), ("of ρ̄", average), ("of Δρ", whole - average))
    ]
    return CylinderFields(*fields)


def _range(values: Any) -> str:
    if np.ndim(values) == 0:
        return f"{float(values):.10g} V"
    return f"{values.min():.8g} to {values.max():.8g} V, mean {values.mean():.10g} V"


def _end(ends: Array, distance: int) -> float:
    return float(ends[distance]) if distance < len(ends) else 1.0


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Planes asked for, points on them or None; first and last plane that count, order of the end weights, sides."""

    planes: NDArray[np.int64]
    points: Array | None
    first: int
    last: int
    order: int
    sides: Sequence[str]


def _spectral(field: Field, cylinder: Cylinder, wanted: _Wanted) -> dict[str, Array]:
    """Whole potentials and their parts, from spectra summed over the planes."""
    here = np.unique(wanted.planes)
    reduction = _plane_spectra(cylinder, here, wanted)
    if field.slab.axis != cylinder.normal:
        along = AXIS_NAMES[cylinder.normal]
        field.check_in_memory(f"A cylinder along {along}, whose planes are not those that are read,")
        values, slab = planes_whole(field, cylinder.normal)
        if field.comm.size == 1:
            slab = Slab.of(cylinder.n, axis=cylinder.normal)
        field = replace(field, values=values, slab=slab)
    (spectra,) = field.reduce(reduction)
    lengths, classes = _classes(cylinder)
    spectra[:, :, 1] *= disc_average_factor(lengths, cylinder.radius, cylinder.edge).mean(axis=0)[classes]
    which = np.searchsorted(here, wanted.planes)
    parts: dict[str, Array] = {}
    for number, side in enumerate(wanted.sides):
        found = [_at_places(cylinder, spectra[:, number, part], which, wanted.points) for part in (0, 1)]
        parts[side], parts[f"{side}_average"] = found
        parts[f"{side}_deviation"] = found[0] - found[1]
    return parts


def _classes(cylinder: Cylinder) -> tuple[Array, NDArray[np.int32]]:
    return classes_of(in_plane_wavevectors(cylinder.padded_vectors, cylinder.padded))


def _plane_spectra(cylinder: Cylinder, here: NDArray[np.int64], wanted: _Wanted) -> Reduction:
    """(x_b, sides, whole or of ρ̄ before its disc, n_1, n_2//2 + 1): sums over planes of spectra times the kernel."""
    first, last, order, sides = wanted.first, wanted.last, wanted.order, wanted.sides
    lengths, classes = _classes(cylinder)
    ends, source = end_weights(order, first, last, cylinder.n)
    h, scale = cylinder.step, cylinder.step * FOUR_PI_KAPPA
    size = max(1, BLOCK_BYTES // (8 * lengths.shape[1]))
    rows = {"low": 0, "high": 1}
    whole_shape = (len(here), len(sides), 2, *classes.shape)

    @lru_cache(maxsize=4)
    def block(number: int) -> Array:
        distance = h * np.arange(number * size, min((number + 1) * size, cylinder.n), dtype=float)
        return np.ascontiguousarray(khat_of_classes(lengths, distance, cylinder.radius, cylinder.edge).T)

    of_class = classes.ravel()

    def add(flat: NDArray[np.complex128], plane: int, spectrum: NDArray[np.complex128]) -> None:
        """What a plane adds to the sums at each x_b, from the side on which it lies."""
        for number, x_b in enumerate(here):
            d = abs(int(x_b) - plane)
            term = spectrum * _phase(cylinder, int(x_b) - plane) if cylinder.leans else spectrum
            for side, name in enumerate(sides):
                if (plane > x_b and name == "low") or (plane < x_b and name == "high"):
                    continue
                weight = scale * source[rows[name], plane] * _end(ends, d)
                flat[number, side, 0] += weight * block(d // size)[d % size][of_class] * term
                flat[number, side, 1] += weight / 2 * float(disc_weight(h * d, cylinder.radius, cylinder.edge)) * term

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        sums = np.zeros(whole_shape, complex)
        flat = sums.reshape(len(here), len(sides), 2, -1)
        arranged = values.transpose(cylinder.order_of_axes)
        for start in range(max(slab.start, first), min(slab.stop, last + 1), PLANES_AT_ONCE):
            stop = min(start + PLANES_AT_ONCE, slab.stop, last + 1)
            chunk = arranged[start - slab.start : stop - slab.start]
            for axis, n in enumerate(cylinder.padded, start=1):
                chunk = device.pad(chunk, axis, 0, n) if n > chunk.shape[axis] else chunk
            spectra = plane_spectra(device, chunk).reshape(stop - start, -1)
            for plane, spectrum in zip(range(start, stop), spectra, strict=True):
                add(flat, plane, spectrum)
        return (sums,)

    name = f"cylinder spectra {cylinder.facts()} {here.tolist()} {first} {last} {order} {list(sides)}"
    return Reduction(name, local, (SUM,), n_bytes=16 * int(np.prod(whole_shape)))


def _phase(cylinder: Cylinder, planes: int) -> NDArray[np.complex128]:
    """Of every mode of a plane, where it is seen from so many planes above."""
    moved = cylinder.lean * planes
    return phases_of(cylinder.padded, float(moved[0]), float(moved[1])).ravel()


def _at_places(
    cylinder: Cylinder, spectra: NDArray[np.complex128], which: NDArray[np.int64], points: Array | None
) -> Array:
    """Real values of plane spectra: on the grid, or at points of the plane."""
    n1, n2 = cylinder.padded
    if points is None:
        values = np.fft.irfft2(spectra, s=(n1, n2))[:, : cylinder.shape[0], : cylinder.shape[1]]
        return np.ascontiguousarray(values[which])
    stretch = np.array(cylinder.shape) / np.array(cylinder.padded)
    fractions = cylinder.grid.fractional(points)[:, cylinder.in_plane] * stretch
    found = np.empty(len(points))
    for number, (u, v) in enumerate(fractions):
        found[number] = (spectra[which[number]] * phases_at((n1, n2), u, v)).sum().real
    return found


def _direct(field: Field, cylinder: Cylinder, wanted: _Wanted) -> dict[str, Array]:
    """Sums over grid points, on the first rank."""
    planes, points = wanted.planes, wanted.points
    if cylinder.edge or cylinder.leans:
        raise InputError(
            'method="direct" sums sharp discs of upright planes: leave edge out, or use method="spectral".'
        )
    field.check_in_memory("A direct sum")
    n1, n2 = cylinder.shape
    indices = np.empty((0, 3), dtype=np.int64)
    if points is None:
        u, v = (i.ravel() for i in np.indices((n1, n2)))
        parts = [np.insert(np.stack([u, v], axis=1), cylinder.normal, plane, axis=1) for plane in planes]
        indices = np.concatenate(parts)
    else:
        places = cylinder.grid.fractional(points) * np.array(cylinder.grid.shape)
        indices = np.rint(places).astype(np.int64)
        if np.abs(places - indices).max() > ON_PLANE:
            raise InputError('method="direct" sums at grid points only: give points of the grid, or method="spectral".')
    indices[:, cylinder.in_plane] %= np.array(cylinder.shape)
    whole = field.on_first_rank()
    found = None
    if whole is not None:
        steps = cylinder.vectors / np.array(cylinder.shape)[:, None]
        values, device = whole.values, whole.device
        for axis, n in zip(cylinder.in_plane, cylinder.padded, strict=True):
            values = device.pad(values, axis, 0, n) if n > values.shape[axis] else values
        ends, source = end_weights(wanted.order, wanted.first, wanted.last, cylinder.n)
        found = device.cylinder_sum(
            values, indices, disc_points(steps, cylinder.radius), cylinder.step, node_weight(steps),
            axis=cylinder.normal, ends=ends, source=source,
        )  # fmt: skip
        found = found * (COULOMB_CONSTANT * cylinder.step * float(np.sqrt(np.linalg.det(steps @ steps.T))))
    sums = np.asarray(field.comm.broadcast(found))
    column = {"low": 0, "high": 1}
    shape = (len(planes), n1, n2) if points is None else (len(planes),)
    return {side: sums[:, column[side]].reshape(shape) for side in wanted.sides}


def _kernel(
    cylinder: Cylinder, order: int, first: int, last: int, way: str, dtype: str
) -> tuple[MarchFit | CylinderTable, dict[str, Any]]:
    """Of all points, by recursions or as a table, and what provenance says of it."""
    lengths, _ = _classes(cylinder)
    n_bytes = 8 * cylinder.n * lengths.shape[1]
    if way == "auto":
        way = "table" if order > NEAR or n_bytes <= TABLE_BYTES else "march"
    vectors = tuple(map(tuple, cylinder.padded_vectors.tolist()))
    plane = (vectors, cylinder.padded, cylinder.step, cylinder.n, cylinder.radius)
    make = _kept if n_bytes <= KEPT_BYTES else _made
    kernel = make(plane, (order, first, last), cylinder.edge, dtype if way == "march" else None)
    return kernel, {"way": way, "error of the kernel": kernel.error} if isinstance(kernel, MarchFit) else {"way": way}


def _made(
    plane: tuple[Any, ...], ends: tuple[int, int, int], edge: float, dtype: str | None
) -> MarchFit | CylinderTable:
    """Recursions in a precision, or a table; plane as their first five arguments."""
    order, first, last = ends
    _, source = end_weights(order, first, last, plane[3])
    options: dict[str, Any] = {"order": order, "inverse_eps0": FOUR_PI_KAPPA, "edge": edge}
    if dtype is None:
        return replace(cylinder_table(*plane, **options), source=source)
    fit = march_fit(*plane, **options, tolerance=MARCH_TOLERANCE[dtype], dtype=np.dtype(dtype))
    return replace(fit, source=source)


_kept = lru_cache(maxsize=2)(_made)


def _of_average(field: Field, cylinder: Cylinder, order: int, first: int, last: int, side: str) -> Any:
    """Φ^[ρ̄]: discs in the planes, then W and the end weights across them, by one matrix product."""
    n, h = cylinder.n, cylinder.step
    ends, source = end_weights(order, first, last, n)
    apart = np.arange(n)[:, None] - np.arange(n)[None, :]
    weight = disc_weight(h * np.arange(n), cylinder.radius, cylinder.edge) * (h * FOUR_PI_KAPPA / 2)
    weight[: len(ends)] *= ends[:n]
    toeplitz = weight[np.abs(apart)]
    matrix = np.zeros((n, n))
    if side in ("low", "both"):
        matrix += np.where(apart >= 0, toeplitz, 0.0) * source[0]
    if side in ("high", "both"):
        matrix += np.where(apart <= 0, toeplitz, 0.0) * source[1]
    averaged = replace(field, values=cylinder.disc_filtered(field))
    if field.comm.size > 1 and field.slab.axis == cylinder.normal:
        return contract_planes(field.comm, field.device, field.slab, averaged.values, matrix)[0]
    return field.device.contract(averaged.values, matrix, cylinder.normal)
