"""Overlaps of occupied Bloch states from one k to the next: all that phases, centres and widths are made of.

    M_mn(k, k + b) = <u_m(k)|u_n(k + b)>,    u(k + G) = e^{-iGr} u(k)        at the end of a closed string of k
    k_j = k_0 + j b,  b = 2π/(N a)

u is the cell-periodic part, normalized on one primitive cell, as (14) needs: ∫_cell |u|² = 1 (appendix C of the paper
normalizes on the whole torus). Phases, and unitary mixtures of the occupied bands, may be chosen anew at every k. The
smallest singular value of M says how much of the occupied space the step to the next k keeps: far below 1, the bands
are not isolated or the mesh is coarse, and the phase is not to be trusted.

Products of states on grids are sums over points, made on a device, over ranks if each holds some planes; three or four
k are in memory at a time. Models are small matrices: NumPy.

In   u[j] (bands, points along each axis) for each k in order, or H(k) in eV with the sites of its orbitals.
Out  BlochString: host.

>>> ssh = lambda k: np.array([[0, 1 + 0.5 * np.exp(-1j * k)], [1 + 0.5 * np.exp(1j * k), 0]])
>>> string = model_string(ssh, 1, n_k=8, period=1.0, sites=[0.0, 0.0])
>>> string.links.shape, bool(string.smallest > 0.9)
((8, 1, 1), True)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, pi
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...device import Device, choose_device
from ...errors import InputError
from ...grid import Grid, axis_index
from ...parallel import Comm, Serial, Slab, agree_on, agreed

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

LEAST_SINGULAR = 0.3
"""Smallest singular value of an overlap matrix that is accepted."""
ORTHONORMAL = {"complex128": 1e-6, "complex64": 1e-3}
"""Largest deviation of <u_m|u_n> from 0 and 1, by precision."""
LEAST_GAP = 1e-6
"""Smallest gap above the occupied bands, over the width of the spectrum."""
SAME = 1e-8
"""Relative difference of two Hamiltonians that are one."""


@dataclass(frozen=True, eq=False)
class BlochString:
    """Overlaps along a closed, ordered, uniform string of k.

    links           (n_k, bands, bands) <u(k_j)|u(k_{j+1})>, the last one with e^{-iGr} u(k_0)
    links_two       (n_k/2, bands, bands) from every second k to the next but one; None if n_k is odd or 2, or they are
                    not well conditioned
    period          a, the length of the cell along the string [Å]
    density_centre  centre of the density of the occupied states within the cell [Å], for those who would follow it: it
                    misses the charge that crosses the ends of the cell
    provenance      what was done
    """

    links: Complex
    links_two: Complex | None
    period: float
    density_centre: float
    provenance: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check_links(self.links, "between neighbouring k")

    @property
    def n_k(self) -> int:
        """Number of k."""
        return len(self.links)

    @property
    def n_bands(self) -> int:
        """Number of occupied bands."""
        return int(self.links.shape[-1])

    @property
    def step(self) -> float:
        """b, the distance of neighbouring k [1/Å]."""
        return 2 * pi / (self.n_k * self.period)

    @property
    def smallest(self) -> float:
        """Smallest singular value of all links."""
        return smallest_singular(self.links)

    def rotated(self, gauge: Complex) -> BlochString:
        """The same string in the states u'_n(k_j) = Σ_m u_m(k_j) gauge[j, m, n].

        gauge  (n_k + 1, bands, bands) unitary; the last for the image of k_0, equal to the first in a periodic gauge
        """
        links = np.conj(np.swapaxes(gauge[:-1], 1, 2)) @ self.links @ gauge[1:]
        two = None
        if self.links_two is not None:
            two = np.conj(np.swapaxes(gauge[:-2:2], 1, 2)) @ self.links_two @ gauge[2::2]
        return replace(self, links=links, links_two=two, provenance=(*self.provenance, {"step": "gauge"}))


def smallest_singular(links: Complex) -> float:
    """Smallest singular value of a set of overlap matrices."""
    return float(np.linalg.svd(links, compute_uv=False).min())


def check_links(links: Complex, where: str) -> None:
    """InputError where an overlap matrix is badly conditioned."""
    smallest = smallest_singular(links)
    if not smallest >= LEAST_SINGULAR:
        raise InputError(
            f"smallest singular value of M = {smallest:.3g} < {LEAST_SINGULAR} {where}: bands not isolated or mesh too "
            "coarse. Take more points, or a set of bands with a gap above and below."
        )


@dataclass(frozen=True, eq=False)
class States:
    """Occupied states of each k as rows of numbers, and their products.

    count     number of k
    vectors   of k number j: (bands, n) complex
    closing   (n,) e^{-iGr} of the numbers
    position  (n,) fraction of the cell along the string
    weight    of one number in a product: Ω/points, or 1
    period    length of the cell along the string [Å]
    step      what made them, for the provenance
    device, comm  where products are made, and of which ranks they are sums
    """

    count: int
    vectors: Callable[[int], Any]
    closing: Complex
    position: Array
    weight: float
    period: float
    step: Mapping[str, Any]
    device: Device = field(default_factory=lambda: choose_device("cpu"))
    comm: Comm = field(default_factory=Serial)

    def checked(self, u: Any, j: int) -> Rows:
        """The states of k number j on the device; InputError unless they are orthonormal on one cell."""
        rows = Rows(self, u)
        norm = rows.overlaps(rows)
        off = float(np.abs(norm - np.eye(len(norm))).max())
        with agreed(self.comm):
            if not off <= ORTHONORMAL[str(u.dtype)]:
                lengths = np.sort(np.real(np.diag(norm)))
                raise InputError(
                    f"The states of k number {j} are not orthonormal on one cell: <u|u> from {lengths[0]:.6g} to "
                    f"{lengths[-1]:.6g}, off by {off:.2g}. Normalize ∫_cell |u|² to 1, with the bands orthogonal to "
                    "each other."
                )
        return rows

    def closed(self, u: Any) -> Rows:
        """The states of k_0, given, at k_0 + G."""
        return Rows(self, u * self.closing.astype(u.dtype))


class Rows:
    """States of one k on the device: real parts above imaginary parts."""

    def __init__(self, states: States, u: Any) -> None:
        self.states, self.n = states, len(u)
        self.values = states.device.asarray(np.concatenate([u.real, u.imag]))

    def overlaps(self, other: Rows) -> Complex:
        """<u_m|v_n> of all bands."""
        both = self.states.comm.sum(self.states.device.inner_products(self.values, other.values))
        n = self.n
        parts = (both[:n, : other.n] + both[n:, other.n :]) + 1j * (both[:n, other.n :] - both[n:, : other.n])
        return np.asarray(parts * self.states.weight, dtype=np.complex128)

    def density_centre(self) -> float:
        """Σ of bands of ∫ x |u|² over the cell, as a fraction of the cell."""
        device = self.states.device
        position = device.asarray(self.states.position[None, :].astype(self.values.dtype))
        weighted = device.inner_products(self.values * self.values, position)
        return float(self.states.comm.sum(weighted).sum() * self.states.weight)


def string_of(states: States, kept: list[Rows] | None = None) -> BlochString:
    """Walk along the string with the states of no more than four k in memory; all of them where a list keeps them."""
    n = states.count
    if n < 2:
        raise InputError(f"{n} k along the string: give at least 2, better 8 and an even number.")
    links, two, centre = [], [], 0.0
    first = states.vectors(0)
    before = current = states.checked(first, 0)
    for j in range(1, n + 1):
        following = states.checked(states.vectors(j), j) if j < n else states.closed(first)
        links.append(current.overlaps(following))
        if n > 2 and n % 2 == 0 and j % 2 == 0:
            two.append(before.overlaps(following))
            before = following
        centre += current.density_centre() / n
        if kept is not None:
            kept.append(current)
        current = following
    links_two = np.array(two) if two and smallest_singular(np.array(two)) >= LEAST_SINGULAR else None
    step = {**states.step, "n_k": n}
    return BlochString(np.array(links), links_two, states.period, centre * states.period / links[0].shape[0], (step,))


def bloch_string(
    u: Sequence[Any] | NDArray[Any],
    cell: float | ArrayLike,
    axis: int | str = 0,
    *,
    device: str | Device = "auto",
    slab: Slab | None = None,
    comm: Comm | None = None,
) -> BlochString:
    """Overlaps of the cell-periodic parts of occupied states along a string of k across the zone.

    u       of each k in order: (bands, n_x) or (bands, n_a, n_b, n_c) complex, at the grid points, in Å^-1/2 or
            Å^-3/2; any sequence that gives them one by one. k_j = k_0 + j b, with b the axis's reciprocal vector / n_k
    cell    period [Å] of a grid of one axis, or three rows [Å]
    axis    along whose reciprocal vector the string runs
    device  where the products are made
    slab, comm  of several ranks: which planes of an axis of the grid u has here

    Source: eq. 14 and appendix C of the paper. Raises InputError for states that are not orthonormal on one cell and
    for overlaps whose smallest singular value is below 0.3.
    """
    return string_of(grid_states(u, cell, axis, device, slab, comm))


def grid_states(
    u: Any,
    cell: float | ArrayLike,
    axis: int | str,
    device: str | Device,
    slab: Slab | None,
    comm: Comm | None,
) -> States:
    """States on a grid along one string; collective."""
    ranks = comm or Serial()
    with agreed(ranks):
        if len(u) == 0:
            raise InputError("No k: give the states of each k of the string.")
        first = np.shape(u[0])
        index = axis_index(axis)
        rows = np.asarray(cell, dtype=np.float64)
        period, volume = _period_and_volume(first[1:], rows, index)
        shape = (*first[1:], 1, 1)[:3]
        whole = list(shape)
        start = 0
        if slab is not None:
            whole[slab.axis], start = slab.n, slab.start if slab.axis == index else 0
        chosen = choose_device(device)
    facts = {"number of k": len(u), "number of bands": first[0], "grid": whole, "axis": index, "cell": rows.tolist()}
    agree_on(ranks, facts, "read states")
    fraction = (start + np.arange(shape[index])) / whole[index]
    position = np.broadcast_to(np.expand_dims(fraction, [i for i in range(3) if i != index]), shape).ravel()

    def vectors(j: int) -> Any:
        with agreed(ranks):  # a rank may fail to read its part
            values = np.asarray(u[j])
            if values.shape != first:
                raise InputError(
                    f"The states of k number {j} have the shape {values.shape}, those of the first {first}: a string "
                    "has one number of bands and one grid."
                )
        if values.dtype not in (np.complex64, np.complex128):
            values = values.astype(np.complex128)
        return values.reshape(len(values), -1)

    return States(
        count=len(u),
        vectors=vectors,
        closing=np.exp(-2j * pi * position),
        position=position,
        weight=volume / float(np.prod(whole)),
        period=period,
        step={"step": "overlaps of states on a grid", "grid": whole[: len(first) - 1], "axis": index},
        device=chosen,
        comm=ranks,
    )


def _period_and_volume(shape: tuple[int, ...], cell: Array, index: int) -> tuple[float, float]:
    """Length along an axis and volume of the cell of a grid; InputError where they do not fit together."""
    if cell.ndim == 0:
        if len(shape) != 1 or index != 0 or not (isfinite(float(cell)) and float(cell) > 0):
            raise InputError(
                f"States on a grid of shape {shape} with one period of {float(cell):g} Å: give (bands, n_x) for each "
                "k, a positive period, and axis 0; or the cell as three rows."
            )
        return float(cell), float(cell)
    if len(shape) != 3 or cell.shape != (3, 3):
        raise InputError(
            f"States on a grid of shape {shape} in a cell of shape {cell.shape}: give (bands, n_a, n_b, n_c) for "
            "each k and three rows in Å."
        )
    grid = Grid((1, 1, 1), cell)
    return float(np.linalg.norm(grid.cell[index])), grid.volume


Hamiltonian = Callable[[float], ArrayLike]


def model_string(
    hamiltonian: Hamiltonian,
    n_occupied: int,
    *,
    n_k: int,
    period: float,
    sites: ArrayLike,
) -> BlochString:
    """Overlaps of the lowest bands of a model along its zone.

    hamiltonian  k [1/Å] → (n, n) Hermitian matrix [eV]; periodic in k, hopping to the cell at R with e^{ikR}, or with
                 the sites in the phases, H(k + G) = e^{-iGτ} H(k) e^{iGτ}: which of the two is found
    n_occupied   bands
    n_k          points of the string; even for an error
    period       a [Å]
    sites        (n,) positions τ of the orbitals [Å]

    Raises InputError for a matrix that is not Hermitian or neither of the two, for sites that hop to each other and are
    whole periods apart (either could be meant), and for a gap that closes.
    """
    return string_of(model_states(hamiltonian, n_occupied, n_k, period, sites))


def model_states(hamiltonian: Hamiltonian, n_occupied: int, n_k: int, period: float, sites: ArrayLike) -> States:
    """States of a model along its zone."""
    tau = np.asarray(sites, dtype=np.float64).reshape(-1)
    if not (isfinite(period) and period > 0 and np.isfinite(tau).all()):
        raise InputError(f"period = {period}, sites = {tau.tolist()}: give a positive length and positions in Å.")
    n = len(tau)
    if not 0 < n_occupied <= n:
        raise InputError(f"n_occupied = {n_occupied}: give 1 to {n}, the number of orbitals.")
    reciprocal = 2 * pi / period
    turn = np.exp(-1j * reciprocal * tau)
    in_phases = _sites_are_in_phases(hamiltonian, period, tau)

    def vectors(j: int) -> Any:
        k = j * reciprocal / n_k
        energies, states = np.linalg.eigh(_matrix(hamiltonian, k, n))
        _check_gap(energies, n_occupied, k)
        u = states[:, :n_occupied].T
        return u if in_phases else u * np.exp(-1j * k * tau)

    return States(
        count=n_k,
        vectors=vectors,
        closing=turn,
        position=(tau / period) % 1.0,
        weight=1.0,
        period=period,
        step={"step": "overlaps of a model", "orbitals": n},
    )


def _matrix(hamiltonian: Hamiltonian, k: float, n: int) -> Complex:
    """H(k); InputError unless it is Hermitian, with a row for each of n sites."""
    found = np.asarray(hamiltonian(k), dtype=np.complex128)
    if found.shape != (n, n) or not np.allclose(found, found.conj().T, rtol=0, atol=SAME * np.abs(found).max()):
        raise InputError(
            f"H at k = {k:.6g} 1/Å of shape {found.shape} for {n} sites is not a Hermitian matrix with a row for "
            "each site: correct H, or the sites."
        )
    return found


def _sites_are_in_phases(hamiltonian: Hamiltonian, period: float, tau: Array) -> bool:
    """True if H(k + G) = e^{-iGτ} H(k) e^{iGτ}, False if it is H(k); InputError for neither, and where both would do.

    Both are right where coupled sites τ are whole periods apart, and mean different places.
    """
    reciprocal = 2 * pi / period
    turn = np.exp(-1j * reciprocal * tau)
    some = 0.2371 * reciprocal
    here, there = (_matrix(hamiltonian, k, len(tau)) for k in (some, some + reciprocal))
    scale = SAME * max(float(np.abs(here).max()), 1e-300) * 1e2
    in_phases = bool(np.abs(there - turn[:, None] * here * turn.conj()).max() <= scale)
    periodic = bool(np.abs(there - here).max() <= scale)
    if not (in_phases or periodic):
        raise InputError(
            f"H(k + G) is neither H(k) nor e^(-iGτ) H(k) e^(iGτ) for G = 2π/{period:g} Å: correct the period, or the "
            "sites."
        )
    apart = np.abs(tau[:, None] - tau) > SAME * period
    if in_phases and periodic and (np.abs(here)[apart] > scale).any():
        raise InputError(
            f"Sites that hop to each other are whole periods of {period:g} Å apart, and H(k) does not tell if they are "
            "in its phases: put them into one cell, with their hops to the cells where they then are."
        )
    return in_phases


def _check_gap(energies: Array, n_occupied: int, k: float) -> None:
    """InputError where the occupied bands touch those above."""
    if n_occupied == len(energies):
        return
    gap, width = energies[n_occupied] - energies[n_occupied - 1], energies[-1] - energies[0]
    if not gap > LEAST_GAP * width:
        raise InputError(
            f"gap = {gap:.3g} at k = {k:.6g} 1/Å, above {n_occupied} bands: the occupied states are not "
            "isolated there, and have no phase. Occupy other bands, or move the parameter away."
        )
