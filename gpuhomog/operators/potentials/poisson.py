"""Electrostatic potential of a charge density: periodic, of a slab, of a wire, or of charge on its own.

    φ_k = 4πκ v(k) ρ_k                     -∇²φ = 4πκ ρ;  v: 1/k², or that of the truncated kernel (truncated.py)
    E_k = -i k φ_k                         the same kernel, so E of an isolated charge is exact too
    E   = -∇φ,   ρ = -ε0 ∇²φ               from a potential (derivatives.py)

Which axes are open says what the charge is: one, a slab between two vacua; two, a wire; three, a cluster or molecule.
Open axes hold no images, whatever the box: the potential of a neutral slab goes to a constant on each side, 0 below it
and 4πκ times its dipole above, less half of that on both; that of a wire or cluster goes to 0 as multipoles do.

φ and E of a density are those of the trigonometric polynomial through its samples, exactly. E of a potential is that of
the potential's polynomial: the same on upright cells and odd grids. On an even axis of an oblique cell the two
wavevectors that share mode N/2 have different lengths, and samples of φ do not tell how much of φ belongs to which; so
from φ these modes differ, by less than the grid leaves out in any case, and from the density they are right.

                 the level                                 net charge
    periodic     mean of the cell is 0                     refused: it has no periodic potential
    slab         -(1/2) ∫|z - z'| ρ: both sides opposite   refused: the vacuum would have no level
    wire         -2κ ∫ ln(|r - r'|/1 Å) ρ                  allowed, with the level of 1 Å
    isolated     0 at infinity                             allowed

In   Field of quantity charge_density [e/Å^3], any precision, device or slab.
Out  Field of quantity electrostatic_potential [V], on the same points, with that boundary; three Fields [V/Å].
     Beside them the half spectrum: 1 field for periodic cells and slabs, 2 for wires, 4 for isolated charge (on one
     rank's CPU 1, and 2 where the second axis is open); in oblique cells more (round_kernels.py: hexagonal ones 3 for
     wires, 10 for isolated charge). A process keeps the kernels of its last grids for the next call, up to 256 MiB.

>>> import gpuhomog as gh
>>> x = (np.arange(48) - 24) * 0.25
>>> r = np.sqrt(sum(c**2 for c in np.meshgrid(x, x, x)))
>>> charge = np.exp(-(r**2) / 2) / (2 * np.pi) ** 1.5
>>> field = gh.Field.from_array(charge, 12.0 * np.eye(3), quantity="charge_density", boundary="open")
>>> potential = gh.electrostatic_potential(field)
>>> print(f"{potential.values[24, 24, 24]:.6f} {gh.units.COULOMB_CONSTANT * (2 / np.pi) ** 0.5:.6f}")
11.489255 11.489255
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...device import Device
from ...errors import InputError
from ...fft import Derivative, Multiplier, Part
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, parse_boundary
from ...parallel import Slab
from ...reduction import JOIN, SUM, Arrays, Reduction
from ...units import FOUR_PI_KAPPA, POTENTIALS
from ..profiles.unrolled import quiet_runs
from .derivatives import gradient
from .truncated import coulomb_kernel, padded_grid

NEUTRAL = 1e-5
"""Largest |∫ρ| / ∫|ρ| of what must be neutral."""
AT_FACES = 1e-3
"""Largest mean |ρ| of a plane in a vacuum, as at the ends of an open axis, over that of the densest plane."""
FEWEST_PLANES = 2
"""Planes of a vacuum in which a cell can be cut."""


def electrostatic_potential(field: Field, boundary: str | Sequence[str] | None = None) -> Field:
    """Electrostatic potential in volts: of a charge density by Poisson's equation, or of an electron's energy.

    field     charge_density; an electron_potential_energy changes its sign; a potential is returned as it is
    boundary  of a charge_density: "periodic", "open", or one per axis, as "p,p,o" for a slab along c; that of the
              field's grid if None. The result has it

    Source: Poisson's equation in V, e, Å; kernels in the module truncated.
    Raises InputError for another quantity; for a boundary where nothing is solved; if charge reaches the ends of an
    open axis ("charge wraps the cell boundary"); for a net charge where an axis pair or all axes are periodic; and
    where the spectrum of a field larger than memory has no room on the disk.

    >>> import gpuhomog as gh
    >>> energy = gh.Field.from_array(np.full((2, 2, 2), -3.0), np.eye(3), quantity="electron_potential_energy")
    >>> gh.electrostatic_potential(energy).mean(), gh.electrostatic_potential(energy).unit
    (3.0, 'V')
    """
    if field.quantity == "charge_density":
        density = _checked(field, boundary)
        values = _solved(density, ["electrostatic potential"], [(False, [])])[0]
        return _derived(density, values, "electrostatic_potential", "V", "electrostatic potential")
    if boundary is not None:
        raise InputError(
            f"boundary = {boundary!r} is for the potential of a charge_density, and this is a {field.quantity}: leave "
            "it out."
        )
    check_makes_potential(field.quantity)
    if field.quantity == "electrostatic_potential":
        return field.internal()
    field = field.internal()
    return field.derive(-field.values, "electrostatic potential", quantity="electrostatic_potential", unit="V")


def check_makes_potential(quantity: str) -> None:
    """InputError for a quantity that has no electrostatic potential."""
    if quantity not in ("charge_density", *POTENTIALS):
        raise InputError(
            f"An electrostatic potential is made from a charge_density or an electron_potential_energy, and this is of "
            f'quantity {quantity}: name it when reading, quantity="charge_density", or add the ions to an '
            "electron_density first, gh.charge_density(field, ion_charges={...})."
        )


def electric_field(field: Field, boundary: str | Sequence[str] | None = None) -> tuple[Field, Field, Field]:
    """Electric field -∇φ [V/Å], its Cartesian components x, y, z, from a charge density or a potential.

    field     charge_density (exact, whatever is open); electrostatic_potential or electron_potential_energy (exact
              along periodic axes, but for modes N/2 of oblique cells; by differences of eighth order along open ones)
    boundary  as for electrostatic_potential, of a charge_density only

    Raises InputError as electrostatic_potential does.
    """
    if field.quantity == "charge_density":
        density = _checked(field, boundary)
        rows = padded_grid(density.grid).reciprocal
        names = [f"component {x} of the electric field" for x in "xyz"]
        results = _solved(density, names, [(True, [Derivative(rows, -np.eye(3)[i])]) for i in range(3)])
        x, y, z = (_derived(density, part, "scalar", "V/Å", "electric field") for part in results)
        return x, y, z
    potential = electrostatic_potential(field, boundary)
    if OPEN in potential.grid.boundary:
        potential.check_in_memory("The electric field of a potential with an open axis", "give the charge density")
    x, y, z = (
        potential.derive(-part, {"step": "electric field"}, quantity="scalar", unit="V/Å")
        for part in gradient(potential)
    )
    return x, y, z


def _derived(density: Field, values: Any, quantity: str, unit: str, step: str) -> Field:
    padded = padded_grid(density.grid)
    done = {"step": step, "boundary": list(density.grid.boundary), "transformed": list(padded.shape)}
    return density.derive(values, done, quantity=quantity, unit=unit)


def _checked(field: Field, boundary: str | Sequence[str] | None) -> Field:
    """The density in e/Å^3 with the boundary that is solved for; InputError if it has no potential there."""
    if not isinstance(field, Field):
        raise InputError(
            f"A potential on a grid is of a Field, and this is a {type(field).__name__}: of a profile "
            "gh.potential_step(profile) has the levels, and gh.cylinder_terms(profile, radius=math.inf, x_b=…) the "
            "values at positions."
        )
    field = field.internal()
    wanted = field.grid.boundary if boundary is None else parse_boundary(boundary)
    grid = replace(field.grid, boundary=wanted)
    axes = [axis for axis in range(3) if wanted[axis] == OPEN]
    check_solvable(field, axes)
    return field.derive(field.values, {"step": "boundary", "boundary": list(wanted)}, grid=grid)


def check_solvable(field: Field, axes: Sequence[int]) -> None:
    """InputError if charge lies at the ends of open axes, or has a net charge with fewer than two axes open.

    field  charge_density [e/Å^3]
    axes   those that are open
    """
    split = field.slab.axis
    kept = sorted({split, *axes})
    sums = field.reduce(_charge_sums(kept, split))
    net, magnitudes = float(sums[0].sum()), dict(zip(kept, sums[1:], strict=True))
    gross = float(magnitudes[split].sum())
    for axis in axes:
        magnitude = magnitudes[axis]
        at_faces = max(magnitude[0], magnitude[-1])
        if at_faces > AT_FACES * magnitude.max():
            name = AXIS_NAMES[axis]
            raise InputError(
                f"The charge wraps the cell boundary along {name}: the planes at its ends hold "
                f"{at_faces / magnitude.max():.2g} of the densest plane's, and an open axis needs vacuum there. "
                f"{where_to_cut(magnitude, name)}."
            )
    if abs(net) <= NEUTRAL * gross or len(axes) > 1:
        return
    charge = net * field.grid.volume / field.grid.n_points
    if axes:
        area = field.grid.area(axes[0])
        raise InputError(
            f"The slab charge is {charge / area:.4g} e/Å^2 != 0 ({abs(net) / gross:.1e} of all its charge): its "
            "potential grows without limit on both sides, so there is no vacuum level. Add the missing ions or "
            "electrons (gh.charge_balance tells)."
        )
    raise InputError(
        f"The cell has a net charge of {charge:.4g} e ({abs(net) / gross:.1e} of all its charge), so it has no "
        "periodic potential: add the missing ions or electrons (gh.charge_balance tells), or open the axes along which "
        "it is finite, boundary=…"
    )


def longest_vacuum(magnitudes: NDArray[np.float64]) -> tuple[int, int]:
    """First plane and number of planes of the longest stretch without charge around a period; none: (0, 0).

    magnitudes  (n,) Σ|ρ| of each plane
    """
    empty = magnitudes <= AT_FACES * magnitudes.max()
    start, length = max(quiet_runs(empty, periodic=True), key=lambda run: run[1], default=(0, 0))
    return (0, 0) if length < FEWEST_PLANES or empty.all() else (start, length)


def where_to_cut(magnitudes: NDArray[np.float64], name: str) -> str:
    """What to do about an axis whose ends hold charge: cut it in its vacuum if there is one."""
    if longest_vacuum(magnitudes)[1]:
        return f"Cut the periodic cell in its vacuum, gh.cut_in_vacuum(field, {name!r}), or take more of it"
    least = float(magnitudes.min() / magnitudes.max())
    return (
        f"There is no vacuum along {name}, its emptiest plane holds {least:.2g} of that: leave {name} periodic, or "
        "take a box with vacuum along it"
    )


def plane_magnitudes(field: Field, axis: int) -> NDArray[np.float64]:
    """(n_axis,) sums of |values| over the planes of an axis, on every rank."""
    split = field.slab.axis
    return np.asarray(field.reduce(_charge_sums([axis], split))[1])


def _charge_sums(axes: Sequence[int], split: int) -> Reduction:
    """Sums over the planes of the split axis, then sums of magnitudes over those of each axis."""

    def local(device: Device, values: Any, slab: Slab) -> Arrays:
        return device.magnitude_sums(values, split, axes)

    rules = (JOIN, *(JOIN if axis == split else SUM for axis in axes))
    return Reduction(f"charge and its magnitude on planes of {list(axes)}", local, rules)


def _solved(density: Field, names: Sequence[str], wanted: Sequence[tuple[bool, list[Part]]]) -> list[Any]:
    """For each (is complex, parts) the values of ρ_k times 4πκ v(k) and those parts."""
    padded, boundary = padded_grid(density.grid), ", ".join(density.grid.boundary)
    kernel = coulomb_kernel(density.grid, FOUR_PI_KAPPA)
    multipliers = [Multiplier(padded.shape, [kernel, *parts], is_complex) for is_complex, parts in wanted]
    return density.filtered(multipliers, [f"{name}, {boundary}," for name in names])
