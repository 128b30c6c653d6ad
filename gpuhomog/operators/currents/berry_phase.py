"""Berry phase of occupied states: their Wannier centres, polarization, and the charge that a change of them pumps.

    φ = -Im ln Π_j det M(k_j, k_{j+1}),   x̄ = a φ/2π of all bands,   P = -e f x̄/a mod e f              eq. 14
    centres of the bands: phases of the eigenvalues of Π_j M, each M made unitary
    ∫ J dt = -e f Δφ/2π;  of a closed cycle -e f C,  C = (1/2π) Σ over plaquettes arg(U1 U2 U3 U4), k link first

Equation 10 has another normalization (module eigenstates). A phase is defined up to 2π, so P up to a quantum, e f in
one dimension (56): given is the branch nearest to a reference, and the quantum. Errors fall as 1/n_k²: centres and
phases are those of n_k and n_k/2 points extrapolated (Richardson), their uncertainty the difference to n_k points: on
a fine mesh a bound (of seeded models with n_k = 32 the error is 0.03 of it in the median), on a coarse one no estimate
of what both miss (n_k = 8: one error in nine is larger than twice it). C is a whole number at any mesh that is fine
enough to tell. Where φ changes by more than π/2 from one parameter to the next,
it is not known how it got there, and it is refused.

The electron centre moves by +a where -e flows along +x: ∫ J dt = -e f.

In   BlochString; u or H(k, ζ) for each parameter ζ.
Out  BerryPhase, PumpedCharge: host.

>>> def rice_mele(k, t):
...     hop = 1 + 0.5 * np.cos(t) + (1 - 0.5 * np.cos(t)) * np.exp(-1j * k)
...     return np.array([[0.8 * np.sin(t), hop], [np.conj(hop), -0.8 * np.sin(t)]])
>>> found = pumped_charge_of_model(
...     rice_mele, np.linspace(0, 2 * np.pi, 25), 1, n_k=16, period=1.0, sites=[0.0, 0.5])
>>> print(f"{found.charge.value:.6f} {found.centre[-1] - found.centre[0]:.6f} {found.chern:.6f}")
-1.000000 1.000000 1.000000
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, pi
from typing import Any

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

from ...device import Device
from ...errors import InputError, counted
from ...parallel import Comm, Serial, Slab, in_step
from ...results import Measurement, Result, Tables
from .bloch import (
    BlochString,
    Complex,
    Rows,
    States,
    check_links,
    grid_states,
    model_states,
    smallest_singular,
    string_of,
)
from .rates import TIME_UNIT, check_step, rates_of

Array = NDArray[np.float64]

MOST_STEP = pi / 2
"""Largest change of the phase from one parameter to the next."""
PHASE_ROUNDING = 1e-13
"""Of the phase of a product of a few hundred overlaps."""


def wrapped(phase: ArrayLike) -> Array:
    """Phases between -π and π."""
    return np.asarray((np.asarray(phase) + pi) % (2 * pi) - pi)


def total_phase(links: Complex) -> float:
    """-Im ln Π det M, between -π and π."""
    return float(wrapped(-np.angle(np.linalg.det(links)).sum()))


def unitary_parts(links: Complex) -> Complex:
    """The unitary matrix nearest to each overlap matrix."""
    left, _, right = np.linalg.svd(links)
    return np.asarray(left @ right)


def loop_phases(links: Complex) -> Array:
    """Phases of the eigenvalues of the Wilson loop, rising from -π to π."""
    loop = np.eye(links.shape[-1], dtype=np.complex128)
    for part in unitary_parts(links):
        loop = loop @ part
    return np.sort(-np.angle(np.linalg.eigvals(loop)))


@dataclass(frozen=True, eq=False)
class BerryPhase(Result):
    """Berry phase of the occupied bands along one string.

    phase        φ of all bands, extrapolated [rad]
    phase_links  φ of the links themselves, at n_k points [rad]
    centre       a φ/2π: the sum of the centres of all bands, mod a [Å]
    centres      (bands,) of single Wannier functions, mod a, rising, extrapolated [Å]
    centres_uncertainty  (bands,) [Å]
    polarization -e f φ/2π, of the electrons alone, on the branch nearest to the reference [e]: in one dimension; a
                 crystal with one such string in an area A of its planes has that over A
    quantum      e f: P is known up to whole multiples of it [e]
    smallest     singular value of the overlaps
    n_k, period, occupation  of the string; a [Å]; electrons in each band
    provenance   what was done
    """

    phase: Measurement
    phase_links: float
    centre: Measurement
    centres: Array
    centres_uncertainty: Array | None
    polarization: Measurement
    quantum: float
    smallest: float
    n_k: int
    period: float
    occupation: float
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        centres = ", ".join(f"{x:.8g}" for x in self.centres)
        found = (
            ("phase", str(self.phase)),
            ("centre of all bands", f"{self.centre}, mod {self.period:g} Å"),
            ("centres", f"{centres} Å"),
            ("polarization", f"{self.polarization}, mod {self.quantum:g} e"),
        )
        how = (
            ("string", f"{self.n_k} k, period {self.period:g} Å"),
            ("smallest singular value", f"{self.smallest:.4f}"),
        )
        return ("Berry phase", found), ("How it was found", how)


def check_occupation(occupation: float) -> None:
    """InputError unless it is positive."""
    if not (isfinite(occupation) and occupation > 0):
        raise InputError(f"occupation = {occupation}: give the electrons in each band, 1, or 2 without spin.")


def nearest_branch(value: float, quantum: float, reference: float) -> float:
    """The value plus whole quanta, nearest to the reference.

    >>> nearest_branch(0.4, 1.0, -2.7)
    -2.6
    """
    return float(value + quantum * np.round((reference - value) / quantum))


def berry_phase(string: BlochString, *, occupation: float = 1.0, near: float = 0.0) -> BerryPhase:
    """Berry phase, Wannier centres and polarization of the bands of a string.

    occupation  f, electrons in each band: 2 where spin is not counted
    near        polarization [e] whose branch is wanted

    Source: eqs. 14 and 56 of the paper. Raises InputError for an occupation that is not positive.
    """
    check_occupation(occupation)
    raw = total_phase(string.links)
    each = loop_phases(string.links)
    if string.links_two is None:
        phase, spread = raw, None
        bands, band_errors = each, None
    else:
        change = float(wrapped(raw - total_phase(string.links_two))) / 3
        phase, spread = raw + change, max(abs(change), PHASE_ROUNDING)
        coarse = loop_phases(string.links_two)
        apart = wrapped(each[:, None] - coarse)
        rows, columns = scipy.optimize.linear_sum_assignment(np.abs(apart))
        changes = apart[rows, columns] / 3
        bands, band_errors = each + changes, np.maximum(np.abs(changes), PHASE_ROUNDING)
    length = string.period / (2 * pi)
    polarization = nearest_branch(-occupation * phase / (2 * pi), occupation, near)
    error = None if spread is None else spread * occupation / (2 * pi)
    order = np.argsort(bands)
    return BerryPhase(
        phase=Measurement(phase, "rad", spread),
        phase_links=raw,
        centre=Measurement(phase * length, "Å", None if spread is None else spread * length),
        centres=bands[order] * length,
        centres_uncertainty=None if band_errors is None else band_errors[order] * length,
        polarization=Measurement(polarization, "e", error),
        quantum=occupation,
        smallest=string.smallest,
        n_k=string.n_k,
        period=string.period,
        occupation=occupation,
        provenance=(*string.provenance, {"step": "Berry phase", "occupation": occupation, "near": near}),
    )


@dataclass(frozen=True, eq=False)
class PumpedCharge(Result):
    """What flows along a string while a parameter ζ changes; arrays (n,) of the parameters.

    zeta          as given
    phase         φ, unwrapped from the first on [rad]
    centre        sum of the Wannier centres of all bands, unwrapped [Å]
    polarization  -e f φ/2π, unwrapped [e]
    charge        ∫ J dt = P(last) - P(first) [e]: positive where positive charge goes along +x
    chern         (1/2π) Σ over plaquettes, k links first: -charge/(e f), exactly, of a cycle that closes
    flux          (n - 1,) (1/2π) of each row of plaquettes: -e f flux is the charge that flows between two parameters
    J             rate of P [e/time_unit], NaN at both ends; None without a time step
    density_centre  centre of the density within the cell, of each ζ [Å]: back where it was after every cycle, so that
                  it does not tell the current (V.A, XII.A of the paper hold for finite bodies alone)
    quantum       e f [e]
    smallest      singular value of all overlaps
    n_k, period, occupation, time_unit  as in BerryPhase
    provenance    what was done
    """

    zeta: Array
    phase: Array
    centre: Array
    polarization: Array
    charge: Measurement
    chern: float
    flux: Array
    J: Array | None
    density_centre: Array
    quantum: float
    smallest: float
    n_k: int
    period: float
    occupation: float
    time_unit: str
    provenance: tuple[Mapping[str, Any], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the arrays of the parameters, in their order."""
        return ("zeta", "phase", "centre", "polarization", *(("J",) if self.J is not None else ()), "density_centre")

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        found = (
            ("charge pumped", str(self.charge)),
            ("centre", f"{self.centre[0]:.8g} to {self.centre[-1]:.8g} Å"),
            ("sum over plaquettes", f"{self.chern:.8g}"),
        )
        how = (
            ("string", f"{self.n_k} k at each of {len(self.zeta)} parameters, period {self.period:g} Å"),
            ("smallest singular value", f"{self.smallest:.4f}"),
        )
        return ("Pumped charge", found), ("How it was found", how)


def pumped_charge(
    u: Iterable[Any],
    cell: float | ArrayLike,
    axis: int | str = 0,
    *,
    zeta: Sequence[float] | None = None,
    occupation: float = 1.0,
    time_step: float | None = None,
    time_unit: str = TIME_UNIT,
    device: str | Device = "auto",
    slab: Slab | None = None,
    comm: Comm | None = None,
) -> PumpedCharge:
    """Charge that flows along a string while occupied states change.

    u          for each ζ in order the states of a string, as in bloch_string; a generator keeps two in memory. Of a
               cycle the last is the first again
    zeta       the parameters, for the record; 0, 1, 2 … by default
    time_step  between parameters, for J
    others     as in bloch_string and berry_phase

    Source: eq. 14 of the paper. Raises InputError as these do, for phases that change by more than π/2 between two
    parameters, and for states of two parameters that do not overlap.
    """
    parameters = in_step(comm or Serial(), u, "parameters")
    strings = (grid_states(states, cell, axis, device, slab, comm) for states in parameters)
    return _pumped(strings, zeta, occupation, time_step, time_unit)


def pumped_charge_of_model(
    hamiltonian: Callable[[float, float], ArrayLike],
    zeta: Sequence[float] | Array,
    n_occupied: int,
    *,
    n_k: int,
    period: float,
    sites: ArrayLike,
    occupation: float = 1.0,
    time_step: float | None = None,
    time_unit: str = TIME_UNIT,
) -> PumpedCharge:
    """The same of a model: (k [1/Å], ζ) → H, at each ζ; of a cycle the last is the first again. See model_string."""

    def at(value: float) -> States:
        return model_states(lambda k: hamiltonian(k, value), n_occupied, n_k, period, sites)

    return _pumped((at(float(value)) for value in zeta), zeta, occupation, time_step, time_unit)


def _pumped(
    strings: Iterator[States],
    zeta: Sequence[float] | Array | None,
    occupation: float,
    time_step: float | None,
    time_unit: str,
) -> PumpedCharge:
    """What both functions return."""
    check_occupation(occupation)
    check_step(time_step, time_unit)
    walk = _Walk()
    for states in strings:
        walk.add(states)
    return walk.result(zeta, occupation, time_step, time_unit)


class _Walk:
    """Phases of one parameter after another, and plaquettes between neighbours.

    phases  unwrapped
    raw     the same of the links themselves, without the correction by every second k
    """

    def __init__(self) -> None:
        self.before: tuple[BlochString, list[Rows]] | None = None
        self.phases: list[float] = []
        self.raw: list[float] = []
        self.flux: list[float] = []
        self.centres: list[float] = []
        self.smallest = 1.0

    def add(self, states: States) -> None:
        """One more parameter."""
        rows: list[Rows] = []
        string = string_of(states, rows)
        links = total_phase(string.links)
        phase = links
        if string.links_two is not None:
            phase += float(wrapped(links - total_phase(string.links_two))) / 3
        if self.before is not None:
            across = self._across(string, rows)
            self.smallest = min(self.smallest, smallest_singular(across))
            self.flux.append(_row_flux(self.before[0].links, across, string.links))
            phase = self.phases[-1] + self._change(phase)
            links = self.raw[-1] + float(wrapped(links - self.raw[-1]))
        self.phases.append(phase)
        self.raw.append(links)
        self.centres.append(string.density_centre)
        self.smallest = min(self.smallest, string.smallest)
        self.before = string, rows

    def _across(self, string: BlochString, rows: list[Rows]) -> Complex:
        """Overlaps with the states of the parameter before; InputError unless they are the same bands at the same k."""
        assert self.before is not None
        number, (last, rows_before) = len(self.phases), self.before
        if (string.n_k, string.n_bands) != (last.n_k, last.n_bands):
            raise InputError(
                f"Parameter number {number} has {string.n_bands} bands at {string.n_k} k, the one before "
                f"{last.n_bands} at {last.n_k}: give one number of each."
            )
        across = np.array([a.overlaps(b) for a, b in zip(rows_before, rows, strict=True)])
        check_links(across, f"between zeta points {number - 1} and {number}")
        return across

    def _change(self, phase: float) -> float:
        """The step of the phase from the parameter before; InputError where it is not known which way round it went."""
        number = len(self.phases)
        change = float(wrapped(phase - self.phases[-1]))
        if abs(change) > MOST_STEP:
            raise InputError(
                f"phase step {abs(change):.3g} > pi/2 between zeta points {number - 1} and {number}: refine. Which "
                "way round the phase went is not known."
            )
        return change

    def result(
        self, zeta: Sequence[float] | Array | None, occupation: float, time_step: float | None, time_unit: str
    ) -> PumpedCharge:
        """What pumped_charge returns."""
        n = len(self.phases)
        if self.before is None or n < 2:
            raise InputError(f"{counted(n, 'parameter')}: give at least two, between which charge may flow.")
        string, _ = self.before
        given = np.arange(n, dtype=np.float64) if zeta is None else np.asarray(zeta, dtype=np.float64)
        if given.shape != (n,):
            raise InputError(f"zeta of shape {given.shape} for {counted(n, 'parameter')}: give one number for each.")
        turns = np.array(self.phases) / (2 * pi)
        moved = float(turns[-1] - turns[0])
        error = abs(moved - (self.raw[-1] - self.raw[0]) / (2 * pi)) + PHASE_ROUNDING
        step = {"step": "pumped charge", "parameters": n, "occupation": occupation}
        return PumpedCharge(
            zeta=given,
            phase=np.array(self.phases),
            centre=turns * string.period,
            polarization=-occupation * turns,
            charge=Measurement(-occupation * moved, "e", occupation * error),
            chern=float(np.sum(self.flux)),
            flux=np.array(self.flux),
            J=None if time_step is None else rates_of(-occupation * turns, time_step).value,
            density_centre=np.array(self.centres),
            quantum=occupation,
            smallest=self.smallest,
            n_k=string.n_k,
            period=string.period,
            occupation=occupation,
            time_unit=time_unit,
            provenance=(*string.provenance, step),
        )


def _row_flux(low: Complex, across: Complex, high: Complex) -> float:
    """(1/2π) Σ over k of arg(U1 U2 U3 U4): along k at the first parameter, to the second, back along k, back."""
    first, second = np.linalg.det(low), np.linalg.det(high)
    to_next = np.linalg.det(across)
    around = first * np.roll(to_next, -1) * np.conj(second) * np.conj(to_next)
    return float(np.angle(around).sum() / (2 * pi))
