"""Occupied states on a mesh of k in three dimensions: polarization by strings, and the fixed part of their width.

    k = k_0 + Σ_i (n_i/N_i) B_i
    φ_i = mean over k ⊥ of -Im ln Π det M along string i                                            eq. 14
    P   = -(e f/Ω) Σ_i (φ_i/2π) a_i     mod e f a_i/Ω                                               eq. 56
    Ω_I = (1/N) Σ_k Σ_b w_b (bands - Σ_mn |M_mn(k, k + b)|²),    Σ_b w_b b b^T = 1

Strings of one direction are put on one branch, that of their mean direction on the circle, before they are averaged;
where neighbouring strings differ by more than π/2 the mesh is too coarse to tell. The six b of Ω_I are those of the
three axes and of pairs of them, the shorter of sum and difference; pairs have no weight where B_i are orthogonal.

In   u[i, j, l] (bands, n_a, n_b, n_c) of each k of the mesh.
Out  BlochMesh; BerryPolarization: e/Å^2; InvariantSpread: Å^2; host.

>>> x = np.arange(8) / 8                                                                   # of a cell of 1 Å
>>> well = np.exp(-0.5 * ((x - 0.5) / 0.1) ** 2)[:, None, None] * np.ones((8, 2, 2))
>>> k = np.arange(4)[:, None, None, None, None, None, None] / 4
>>> u = well / np.sqrt((well**2).mean()) * np.exp(-2j * np.pi * k * x[:, None, None])      # alone in its cell
>>> found = berry_polarization(bloch_mesh(u, np.eye(3)), near=(-0.5, 0, 0))
>>> print(f"{found.P[0]:.6f} {found.quanta[0, 0]:.1f}")
-0.500000 1.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import pi
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...device import Device
from ...errors import InputError
from ...grid import AXIS_NAMES, Grid
from ...parallel import Comm, Serial, Slab, agree_on, agreed
from ...results import Measurement, Result, Tables
from .berry_phase import MOST_STEP, PHASE_ROUNDING, check_occupation, nearest_branch, wrapped
from .bloch import LEAST_SINGULAR, Complex, Rows, States, check_links, grid_states, smallest_singular

Array = NDArray[np.float64]
Offset = tuple[int, int, int]

AXES: tuple[Offset, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
PAIRS = ((0, 1), (1, 2), (0, 2))
LEAST_WEIGHT = 1e-9
"""Smallest weight of a neighbour that is used, over the largest."""


@dataclass(frozen=True, eq=False)
class BlochMesh:
    """Overlaps on a mesh of k.

    links     for each offset in steps of the mesh: (N_a, N_b, N_c, bands, bands) <u(k)|u(k + offset)>
    links_two along each axis with an even number of k, from every second k along it to the next but one
    weights   of each offset and its opposite in Ω_I, w_b [Å^2]
    cell      (3, 3) rows [Å]
    provenance  what was done
    """

    links: Mapping[Offset, Complex]
    links_two: Mapping[int, Complex]
    weights: Mapping[Offset, float]
    cell: Array
    provenance: tuple[Mapping[str, Any], ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of k along each axis."""
        a, b, c = next(iter(self.links.values())).shape[:3]
        return a, b, c

    @property
    def smallest(self) -> float:
        """Smallest singular value of all links."""
        return min(smallest_singular(links) for links in self.links.values())


class _InOrder:
    """The states of a mesh as those of a string, one k after another."""

    def __init__(self, u: Any) -> None:
        self.u, self.mesh = u, tuple(int(n) for n in u.shape[:3])

    def __len__(self) -> int:
        return int(np.prod(self.mesh))

    def __getitem__(self, j: int) -> Any:
        return self.u[tuple(int(i) for i in np.unravel_index(j, self.mesh))]


def bloch_mesh(
    u: Any,
    cell: ArrayLike,
    *,
    device: str | Device = "auto",
    slab: Slab | None = None,
    comm: Comm | None = None,
) -> BlochMesh:
    """Overlaps of the cell-periodic parts of occupied states between neighbours of a mesh of k.

    u       (N_a, N_b, N_c, bands, n_a, n_b, n_c) complex [Å^-3/2], an array or what is indexed like one (h5py); an axis
            with one k is left out
    cell    (3, 3) rows [Å]
    others  as in bloch_string

    Raises InputError for states that are not orthonormal on one cell, a mesh of one k, and overlaps whose smallest
    singular value is below 0.3.
    """
    with agreed(comm or Serial()):
        if len(u.shape) != 7 or int(np.prod(u.shape[:3])) < 2:
            raise InputError(
                f"States of shape {tuple(u.shape)}: give (N_a, N_b, N_c, bands, n_a, n_b, n_c), with two k or more."
            )
    agree_on(comm or Serial(), {"mesh of k": [int(n) for n in u.shape[:3]]}, "read states")
    in_order = _InOrder(u)
    along = [grid_states(in_order, cell, axis, device, slab, comm) for axis in range(3)]
    states, mesh = along[0], in_order.mesh
    weights = neighbour_weights(np.asarray(cell, dtype=np.float64), mesh)
    n_bands = u.shape[3]
    links = {offset: np.empty((*mesh, n_bands, n_bands), dtype=np.complex128) for offset in weights}
    halved = [axis for axis in range(3) if mesh[axis] > 2 and mesh[axis] % 2 == 0]
    two = {axis: np.empty_like(links[AXES[axis]]) for axis in halved}
    for place in product(*(range(n) for n in mesh)):
        number = _number(place, mesh)
        here = states.checked(states.vectors(number), number)
        for offset in links:
            links[offset][place] = here.overlaps(_at(in_order, along, place, offset, mesh))
        for axis in two:
            if place[axis] % 2 == 0:
                beyond = tuple(2 * i for i in AXES[axis])
                two[axis][place] = here.overlaps(_at(in_order, along, place, beyond, mesh))
    for offset in links:
        check_links(links[offset], f"between k that are {offset} apart")
    kept = {}
    for axis, overlaps in two.items():
        even = overlaps[tuple(slice(None, None, 2) if i == axis else slice(None) for i in range(3))]
        if smallest_singular(even) >= LEAST_SINGULAR:
            kept[axis] = even
    step = {"step": "overlaps on a mesh", "mesh": list(mesh), "bands": n_bands}
    return BlochMesh(links, kept, weights, np.asarray(cell, dtype=np.float64), (step,))


def _number(place: Sequence[int] | NDArray[np.int64], mesh: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(tuple(place), mesh))


def _at(u: _InOrder, along: list[States], place: Sequence[int], offset: Sequence[int], mesh: tuple[int, ...]) -> Rows:
    """The states at a neighbour, e^{-iG_i r} taken once for each end of the zone that lies between."""
    turns, folded = np.divmod(np.add(place, offset), mesh)
    states = along[0]
    values = states.vectors(_number(folded, mesh))
    for axis, count in enumerate(turns):
        if count:
            values = values * (along[axis].closing ** int(count)).astype(values.dtype)
    return Rows(states, values)


def neighbour_weights(cell: Array, mesh: Sequence[int]) -> dict[Offset, float]:
    """w_b of neighbours b, each standing for b and -b: Σ 2 w_b b b^T = 1 over the axes with more than one k.

    >>> found = neighbour_weights(np.diag([2.0, 2.0, 4.0]), (4, 4, 1))
    >>> {offset: round(w * np.pi**2, 12) for offset, w in found.items()}
    {(1, 0, 0): 8.0, (0, 1, 0): 8.0}
    """
    axes = [axis for axis in range(3) if mesh[axis] > 1]
    steps = 2 * pi * np.linalg.inv(Grid((1, 1, 1), cell).cell).T / np.array(mesh)[:, None]
    offsets = [AXES[axis] for axis in axes]
    for i, j in PAIRS:
        if i in axes and j in axes:
            sign = -1 if steps[i] @ steps[j] > 0 else 1
            pair = [0, 0, 0]
            pair[i], pair[j] = 1, sign
            offsets.append((pair[0], pair[1], pair[2]))
    # in the basis of the steps themselves: Σ 2 w n n^T = inverse of the metric of the axes
    inverse = np.linalg.inv(steps[axes] @ steps[axes].T)
    upper = np.triu_indices(len(axes))
    rows = [np.outer(np.array(o)[axes], np.array(o)[axes])[upper] for o in offsets]
    weights = np.linalg.solve(2.0 * np.array(rows).T, inverse[upper])
    largest = float(np.abs(weights).max())
    return {
        offset: float(w)
        for offset, w in zip(offsets, weights, strict=True)
        if offset in AXES or abs(w) > LEAST_WEIGHT * largest
    }


@dataclass(frozen=True, eq=False)
class BerryPolarization(Result):
    """Polarization of the electrons of a crystal, from strings of k along each axis.

    P            (3,) Cartesian, of the electrons alone: add Σ q r/Ω of the nuclei [e/Å^2]
    uncertainty  (3,) [e/Å^2]; None without an even number of k along each axis
    phases       (3,) mean φ_i along each axis [rad]; NaN where the mesh has one k, and P nothing along that axis
    quanta       (3, 3) rows e f a_i/Ω: P is known up to whole multiples of them [e/Å^2]
    scatter      (3,) standard deviation of φ_i over the strings [rad]
    smallest     singular value of all overlaps
    shape        k along each axis
    occupation   electrons in each band
    provenance   what was done
    """

    P: Array
    uncertainty: Array | None
    phases: Array
    quanta: Array
    scatter: Array
    smallest: float
    shape: tuple[int, int, int]
    occupation: float
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        found = [("P", _vector(self.P)), *((f"quantum {'abc'[axis]}", _vector(self.quanta[axis])) for axis in range(3))]
        how = (("mesh", " × ".join(map(str, self.shape))), ("smallest singular value", f"{self.smallest:.4f}"))
        return ("Polarization of the electrons", tuple(found)), ("How it was found", how)


def _vector(components: Array) -> str:
    return f"({', '.join(f'{component:.8g}' for component in components)}) e/Å^2"


def berry_polarization(mesh: BlochMesh, *, occupation: float = 1.0, near: ArrayLike = (0, 0, 0)) -> BerryPolarization:
    """Polarization of the occupied bands on a mesh of k, on the branch nearest to a reference.

    occupation  electrons in each band
    near        (3,) polarization [e/Å^2] whose branch is wanted

    Source: eqs. 14 and 56 of the paper. Raises InputError where the phases of neighbouring strings differ by more than
    π/2.
    """
    check_occupation(occupation)
    reference = np.asarray(near, dtype=np.float64)
    if reference.shape != (3,) or not np.isfinite(reference).all():
        raise InputError(f"near of shape {reference.shape}: give a vector of three finite numbers in e/Å^2.")
    volume = Grid((1, 1, 1), mesh.cell).volume
    wanted = reference @ np.linalg.inv(mesh.cell) * volume
    phases, errors, scatter = np.full(3, np.nan), np.full(3, np.nan), np.full(3, np.nan)
    share = np.zeros(3)
    for axis in range(3):
        if mesh.shape[axis] < 2:
            continue
        strings = string_phases(mesh.links[AXES[axis]], axis)
        _check_neighbours(strings, AXIS_NAMES[axis])
        phases[axis], scatter[axis] = float(strings.mean()), float(strings.std())
        if axis in mesh.links_two:
            coarse = string_phases(mesh.links_two[axis], axis)
            change = float(wrapped(strings - coarse).mean()) / 3
            phases[axis] += change
            errors[axis] = max(abs(change), PHASE_ROUNDING)
        share[axis] = nearest_branch(-occupation * phases[axis] / (2 * pi), occupation, float(wanted[axis]))
    known = [axis for axis in range(3) if mesh.shape[axis] > 1]
    uncertainty = None
    if all(axis in mesh.links_two for axis in known):
        parts = np.nan_to_num(errors)[:, None] * occupation / (2 * pi) * mesh.cell / volume
        uncertainty = np.sqrt((parts**2).sum(axis=0))
    return BerryPolarization(
        P=share @ mesh.cell / volume,
        uncertainty=uncertainty,
        phases=phases,
        quanta=occupation * mesh.cell / volume,
        scatter=scatter,
        smallest=mesh.smallest,
        shape=mesh.shape,
        occupation=occupation,
        provenance=(*mesh.provenance, {"step": "polarization by strings", "occupation": occupation}),
    )


def string_phases(links: Complex, axis: int) -> Array:
    """φ of each string along an axis, all within π of their mean direction on the circle."""
    each = wrapped(-np.angle(np.linalg.det(links)).sum(axis=axis))
    middle = float(np.angle(np.exp(1j * each).mean()))
    return np.asarray(middle + wrapped(each - middle))


def _check_neighbours(strings: Array, name: str) -> None:
    for axis in range(strings.ndim):
        step = float(np.abs(strings - np.roll(strings, -1, axis=axis)).max())
        if step > MOST_STEP:
            raise InputError(
                f"phase step {step:.3g} > pi/2 between neighbouring strings along {name}: their branches cannot be "
                "told apart. Refine the mesh across the strings."
            )


@dataclass(frozen=True, eq=False)
class InvariantSpread(Result):
    """Ω_I of the occupied bands: a lower bound of the widths of their Wannier functions, summed over bands.

    omega_i     along all axes that have more than one k [Å^2]
    bound       True: it is a bound, not the width of any function
    neighbours  offsets in steps of the mesh, and w_b of each, which stands for b and -b [Å^2]
    provenance  what was done
    """

    omega_i: Measurement
    bound: bool
    neighbours: tuple[tuple[Offset, float], ...]
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        return (("Invariant spread", (("Ω_I, a lower bound", str(self.omega_i)),)),)


def invariant_spread(mesh: BlochMesh) -> InvariantSpread:
    """Ω_I of a mesh. It converges as the square of the steps of the mesh, from which it comes without an error."""
    total = 0.0
    for offset, weight in mesh.weights.items():
        links = mesh.links[offset]
        lost = links.shape[-1] - (np.abs(links) ** 2).sum(axis=(-1, -2))
        total += 2 * weight * float(lost.mean())
    return InvariantSpread(
        Measurement(total, "Å^2"), True, tuple(mesh.weights.items()), (*mesh.provenance, {"step": "invariant spread"})
    )
