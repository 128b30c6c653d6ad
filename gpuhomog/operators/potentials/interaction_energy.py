"""Electrostatic energy between two charge densities, and within each.

    E_12 = ∫ ρ_1 φ_2 d³r,   E_ii = (1/2) ∫ ρ_i φ_i d³r,   E = E_11 + E_12 + E_22           mean-field part of eq. D15

φ is the potential of module poisson, so open axes hold no images, and any pair of charges counts at any distance; along
periodic axes each charge meets all images of the other, and the energies are those of a cell. Between bodies that share
no electrons E_12 is all of the energy but correlation; where charges overlap it is not, so the overlap stands beside
it. Self-energies are those of the given densities, smeared ions with their smearing: of a Gaussian
of standard deviation s it is κ q²/(2√π s), which a nucleus does not have.

In   two Fields of quantity charge_density on one grid.
Out  InteractionEnergy: eV, e²/Å^3; host, equal on every rank.

>>> from math import erf
>>> import gpuhomog as gh
>>> x = np.arange(40) * 0.5
>>> r2 = lambda z: ((x - 10) ** 2)[:, None, None] + ((x - 10) ** 2)[:, None] + (x - z) ** 2
>>> at = lambda z: gh.Field.from_array(
...     np.exp(-r2(z) / 2) / (2 * np.pi) ** 1.5, 20.0 * np.eye(3), quantity="charge_density", boundary="open")
>>> found = gh.interaction_energy(at(7.0), at(13.0))
>>> print(f"{found.energy.value:.6f} {gh.units.COULOMB_CONSTANT * erf(3.0) / 6:.6f}")
2.399888 2.399888
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from ...device import Device
from ...errors import InputError
from ...field import Field
from ...grid import AXIS_NAMES, OPEN
from ...parallel import Slab
from ...parallel.exchange import at
from ...reduction import PLANES_AT_ONCE, SUM, Arrays, Reduction
from ...results import Measurement, Result, Tables
from ...streaming import Unread
from ...units import ENERGY
from .poisson import NEUTRAL, electrostatic_potential

OVERLAP = "e^2/Å^3"
TOUCHING = 1e-6
"""Overlap, as a fraction, above which two bodies share charge."""


@dataclass(frozen=True, eq=False)
class InteractionEnergy(Result):
    """Electrostatic energies of two charge densities.

    energy           between the two, E_12 [eV], of a cell where axes are periodic
    self_first, self_second  of each on its own, E_11 and E_22 [eV]
    total            E_11 + E_12 + E_22 [eV]
    overlap          ∫ |ρ_1 ρ_2| d³r [e²/Å^3]
    overlap_fraction that over √(∫ρ_1² ∫ρ_2²): 0 of bodies apart, 1 of equal ones
    charges          of the two [e]
    boundary         of the potentials, per axis
    remarks          what a reader should know, one sentence each
    provenance       what was read and done, step by step
    """

    energy: Measurement
    self_first: Measurement
    self_second: Measurement
    total: Measurement
    overlap: Measurement
    overlap_fraction: float
    charges: tuple[float, float]
    boundary: tuple[str, str, str]
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: the energies, then what they are of; rows of name and text under a title."""
        energies = (
            ("between the two", str(self.energy)),
            ("self-energy of the first", str(self.self_first)),
            ("self-energy of the second", str(self.self_second)),
            ("total", str(self.total)),
        )
        how = (
            ("charges", ", ".join(f"{charge:.6g} e" for charge in self.charges)),
            ("overlap", f"{self.overlap}, {self.overlap_fraction:.2g} of what equal densities have"),
            ("boundary", ", ".join(self.boundary)),
            *(("note", remark) for remark in self.remarks),
        )
        return ("Electrostatic energy", energies), ("Of what", how)


def check_interacts(quantity: str) -> None:
    """InputError for every quantity but a charge density."""
    if quantity != "charge_density":
        raise InputError(
            f"An interaction energy is that of two charge densities, and one field is of quantity {quantity}: make a "
            "charge density of it, gh.charge_density."
        )


def interaction_energy(first: Field, second: Field, boundary: str | Sequence[str] | None = None) -> InteractionEnergy:
    """Electrostatic energy between two charge densities on one grid, with their overlap and self-energies.

    first, second  charge_density, of the same grid, device and slabs
    boundary       "periodic", "open", or one per axis; that of the first field if None

    Source: eq. D15 of the paper, its term of mean fields; the exact Coulomb kernel of the boundary.
    Raises InputError for fields of another quantity or grid, and as electrostatic_potential does: each density must be
    neutral on its own where two or three axes are periodic.
    """
    for field in (first, second):
        check_interacts(field.quantity)
    first.check_points_of(second)
    grid = first.grid
    wanted = grid.boundary if boundary is None else boundary
    densities = first.internal(), second.internal()
    potentials = [electrostatic_potential(density, wanted) for density in densities]
    cell = grid.volume / grid.n_points
    sums = [_products(density, *potentials) * cell for density in densities]
    square_first, shared = _products(densities[0], *densities, magnitude=True) * cell
    _, square_second = _products(densities[1], *densities, magnitude=True) * cell
    energies = np.array([sums[0][1], sums[0][0] / 2, sums[1][1] / 2])
    precision = 1e-6 if first.values.dtype == np.float32 else 1e-14
    mutual = abs(sums[0][1] - sums[1][0]) + precision * (abs(energies[1]) + abs(energies[2]))
    errors = [mutual, *(precision * abs(energy) for energy in energies[1:])]
    mutual_energy, of_first, of_second = (
        Measurement(float(energy), ENERGY, float(error)) for energy, error in zip(energies, errors, strict=True)
    )
    charges = densities[0].integral(), densities[1].integral()
    fraction = float(shared / sqrt(square_first * square_second)) if square_first * square_second > 0 else 0.0
    solved = potentials[0].grid.boundary
    return InteractionEnergy(
        energy=mutual_energy,
        self_first=of_first,
        self_second=of_second,
        total=Measurement(float(energies.sum()), ENERGY, float(sum(errors))),
        overlap=Measurement(float(shared), OVERLAP, precision * float(sqrt(square_first * square_second))),
        overlap_fraction=fraction,
        charges=charges,
        boundary=solved,
        remarks=tuple(_remarks(solved, charges, fraction)),
        provenance=(*potentials[0].provenance[:-1], {"step": "interaction energy", "boundary": list(solved)}),
    )


def _remarks(boundary: tuple[str, str, str], charges: tuple[float, float], overlap: float) -> list[str]:
    remarks = []
    periodic = [AXIS_NAMES[axis] for axis in range(3) if boundary[axis] != OPEN]
    if overlap > TOUCHING:
        remarks.append(
            f"the densities overlap ({overlap:.1e}): the energy is that of these charges, not the whole one between "
            "two separate bodies (D15)"
        )
    if len(periodic) == 1 and all(abs(charge) > NEUTRAL for charge in charges):
        remarks.append("both wires are charged: the energy counts from wires 1 Å apart")
    if periodic:
        remarks.append(f"energies are those of one cell; each density meets all images along {', '.join(periodic)}")
    return remarks


def _products(field: Field, *others: Field, magnitude: bool = False) -> Any:
    """For each of the others the sum over the grid of its values times the field's, or of |field × other|."""

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        totals = np.zeros(len(others))
        for start in range(0, slab.n_local, PLANES_AT_ONCE):
            stop = min(start + PLANES_AT_ONCE, slab.n_local)
            here = values[at(slab.axis, slice(start, stop))]
            first = slab.start - field.slab.start
            for i, other in enumerate(others):
                product = here * other.values[at(slab.axis, slice(first + start, first + stop))]
                totals[i] += float(device.planar_sum(abs(product) if magnitude else product, slab.axis).sum())
        return (totals,)

    plane = field.grid.points_per_plane(field.slab.axis) * field.values.dtype.itemsize
    unread = [other for other in others if isinstance(other.values, Unread)]
    names = ", ".join(str(getattr(other.values, "name", id(other.values))) for other in others)
    reduction = Reduction(f"sums of products{' of magnitudes' * magnitude} with {names}", local, (SUM,))
    (sums,) = field.reduce(replace(reduction, n_bytes=len(unread) * min(PLANES_AT_ONCE, field.slab.n) * plane))
    return sums
