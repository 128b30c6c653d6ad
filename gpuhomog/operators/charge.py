"""Charge density: made from electrons and ions, or from a potential, with its books kept.

    ρ(r) = -n(r) + Σ_i q_i g(r - r_i),   g = Gaussian of standard deviation `width` per Cartesian component
    ρ_k  = -n_k + (1/Ω) Σ_i q_i exp(-i k·r_i - k² width²/2)         the ions, mode by mode
    ρ    = -ε0 ∇²φ,   ρ_k = k² φ_k/(4πκ)                             from the electrostatic potential

The ions' modes are exact up to the grid's highest, and the mode k = 0 alone carries charge, so every ion integrates to
its charge exactly wherever it lies between the grid points, on any cell. Replacing an ion by a Gaussian moves no
charge through any plane on average: surface charges and dipoles stay as they are. What changes is the mean inner
potential, which the width lowers by 2πκ Σ q_i width²/Ω: state the width with such a number.

In   Field of quantity electron_density, electrostatic_potential or electron_potential_energy; ions from its structure.
Out  Field of quantity charge_density; ChargeBalance.

>>> import gpuhomog as gh
>>> atoms = gh.Structure(np.array([3]), np.array([[1.1, 2.0, 2.3]]))
>>> cell = 4.0 * np.eye(3)
>>> electrons = gh.Field.from_array(np.full((16, 16, 16), 1 / 64), cell, quantity="electron_density", structure=atoms)
>>> density = gh.charge_density(electrons, ion_charges={"Li": 1}, width=0.5)
>>> abs(density.integral()) < 1e-12, gh.charge_balance(density).verdict
(True, 'neutral')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest_known
from ..fft import SLOWEST_FIRST, Multiplier, OfWavevector, values_of_modes
from ..field import Field
from ..grid import AXIS_NAMES, OPEN, Grid
from ..memory_order import is_fortran_ordered
from ..parallel import Slab
from ..parallel.exchange import at
from ..reduction import PLANES_AT_ONCE, SUM, Arrays, Reduction
from ..results import Measurement, Result
from ..streaming import Unread
from ..structure import SYMBOLS
from ..units import FOUR_PI_KAPPA, POTENTIALS
from .averages.streamed import digest_of
from .potentials.derivatives import laplacian

WIDEST_STEP = 2.0
"""Automatic width: this many of the largest plane spacings; the ions' modes beyond the grid are then below 3e-9."""
NARROWEST = 1.0
"""Smallest width in plane spacings: below it the grid's highest modes are cut and the ions ring."""
WIDTHS_TO_FACE = 5.0
"""An ion nearer than this many widths to an open face sends charge across it."""
NEUTRALITY = 1e-3
"""Automatic tolerance of the net charge, as a fraction of the electrons (or of the ions)."""

IonCharges = Mapping[str, float] | str


@dataclass(frozen=True, eq=False)
class ChargeBalance(Result):
    """Electrons against ions.

    electrons  number of electrons in the field; not defined for a charge density [1]
    ions       charge of all ions; not defined without their charges [e]
    net        charge of everything [e]
    expected   net charge that there should be [e]; None: any
    tolerance  largest difference accepted [e]
    verdict    "neutral", "charged" (as expected, and not zero), "unbalanced", or "unknown" without the ions
    by_element charge of all ions of each element [e]
    remarks    what a reader should know, one sentence each
    provenance what was read and done, step by step
    """

    electrons: Measurement
    ions: Measurement
    net: Measurement
    expected: float | None
    tolerance: float
    verdict: str
    by_element: Mapping[str, float]
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        by_element = ", ".join(f"{symbol} {charge:+g}" for symbol, charge in self.by_element.items())
        expected = "any, or 0" if self.expected is None else f"{self.expected:g}"
        lines = [
            f"charge balance: {self.verdict}",
            f"  electrons  {self.electrons}",
            f"  ions       {self.ions}{f'   ({by_element})' if by_element else ''}",
            f"  net        {self.net}   (expected {expected} ± {self.tolerance:.2g} e)",
        ]
        return "\n".join([*lines, *(f"  note       {remark}" for remark in self.remarks)])


def charge_density(
    field: Field,
    ion_charges: IonCharges | None = None,
    *,
    width: float | None = None,
    net_charge: float | None = 0.0,
    tolerance: float | None = None,
) -> Field:
    """Charge density from electrons and ions, or from a potential.

    field        electron_density, electrostatic_potential or electron_potential_energy; a charge_density is returned
                 as it is, in e/Å^3
    ion_charges  charge of the ion of each element [e], {"Na": 1, "Cl": 7}: nuclei less the electrons that the file
                 leaves out (VASP: ZVAL of the POTCAR); "file": the charges that the file states. Electrons only
    width        standard deviation of the Gaussian ions per Cartesian component [Å], half the eps of a Gaussian
                 kernel; two of the largest plane spacings by default
    net_charge   charge that the cell should have [e]; None: whatever it has
    tolerance    largest deviation from net_charge [e]; 1e-3 of the electrons by default

    From a potential it is the Laplacian: of the modes along periodic axes, of differences of eighth order along open
    ones. A LOCPOT that holds exchange and correlation too gives their Laplacian with it.

    Raises InputError for a scalar; without ion_charges for electrons; for elements unknown, not in the structure, or
    without a charge (all named); if the net charge is not net_charge; for an ion whose charge would cross an open
    boundary; and for a width below one plane spacing.
    """
    check_makes_charge(field.quantity, ion_charges is not None, _elements(field))
    if field.quantity == "charge_density":
        return field.internal()
    if field.quantity in POTENTIALS:
        return _laplacian(field.internal())
    field = field.internal()
    assert ion_charges is not None
    charges = charges_of_ions(field, ion_charges)
    electrons = field.integral()
    _refuse_net_charge(electrons, float(charges.sum()), net_charge, tolerance)
    std = _check_width(width, field.grid)
    _refuse_crossing(field, std)
    if isinstance(field.values, Unread):
        values: Any = with_ions(field, field.values, charges, std)
    else:
        values = gaussian_ions(field, charges, std) - field.values
    return field.derive(
        values,
        {"step": "charge density", "ions": _per_element(field, charges), "width": std, "electrons": electrons},
        quantity="charge_density",
        unit="e/Å^3",
    )


def check_makes_charge(quantity: str, with_ions: bool, elements: Sequence[str] = ()) -> None:
    """InputError for a quantity of which no charge density is made with ions, or without; elements of the structure."""
    if quantity == "charge_density":
        if with_ions:
            raise InputError(
                "This is a charge_density already, and ions are added to an electron_density: leave ion_charges out."
            )
    elif quantity in POTENTIALS:
        if with_ions:
            raise InputError("A potential holds its ions already: leave ion_charges out.")
    elif quantity != "electron_density":
        raise InputError(
            f"This field is a {quantity}: name what it is when reading it, as quantity="
            '"electron_density" or "electrostatic_potential".'
        )
    elif not with_ions:
        raise InputError(
            "An electron_density has no ions in it: give their charges, as gh.charge_density(field, "
            f"ion_charges={{{', '.join(f'{s!r}: ...' for s in elements) or '...'}}})."
        )


def charge_balance(
    field: Field,
    ion_charges: IonCharges | None = None,
    *,
    net_charge: float | None = 0.0,
    tolerance: float | None = None,
) -> ChargeBalance:
    """Integral of a field against its electrons and ions: does the charge add up?

    field        electron_density (then give ion_charges) or charge_density
    ion_charges  as for charge_density; None: the ions are not counted
    net_charge   charge that there should be [e]; None: whatever there is, so that nothing is unbalanced
    tolerance    largest difference accepted [e]; 1e-3 of the electrons by default, 1e-3 e for a charge density

    Raises InputError for another quantity, and as charge_density does for the charges of the ions.
    """
    if field.quantity not in ("electron_density", "charge_density"):
        raise InputError(f"A charge balance needs an electron_density or a charge_density, not a {field.quantity}.")
    field = field.internal()
    integral = field.integral()
    precision = 1e-7 if field.values.dtype == np.float32 else 1e-15
    if field.quantity == "charge_density":
        if ion_charges is not None:
            raise InputError("A charge_density holds its ions already: leave ion_charges out.")
        limit = _limit(1e-3, net_charge, tolerance)
        apart = "electrons and ions are not apart in a charge density"
        return ChargeBalance(
            electrons=Measurement.not_defined("1", apart),
            ions=Measurement.not_defined("e", apart),
            net=Measurement(integral, "e", precision * _gross_charge(field)),
            expected=net_charge,
            tolerance=limit,
            verdict=_verdict(integral, net_charge, limit),
            by_element={},
            provenance=(*field.provenance, {"step": "charge balance"}),
        )
    electrons = Measurement(integral, "1", precision * abs(integral))
    limit = _limit(NEUTRALITY * abs(integral), net_charge, tolerance)
    if ion_charges is None:
        reason = "give ion_charges"
        ions, net, verdict = Measurement.not_defined("e", reason), Measurement.not_defined("e", reason), "unknown"
        by_element: dict[str, float] = {}
    else:
        charges = charges_of_ions(field, ion_charges)
        total = float(charges.sum())
        ions = Measurement(total, "e")
        gross = abs(integral) + float(np.abs(charges).sum())
        net = Measurement(total - integral, "e", precision * gross)
        verdict = _verdict(total - integral, net_charge, limit)
        by_element = _per_element(field, charges)
    return ChargeBalance(
        electrons,
        ions,
        net,
        net_charge,
        limit,
        verdict,
        by_element,
        provenance=(*field.provenance, {"step": "charge balance"}),
    )


def _gross_charge(field: Field) -> float:
    """∫ |ρ| d³r [e]; each value is rounded by its own part of it."""
    (total,) = field.reduce(absolute_sum())
    return float(total[0]) * field.grid.volume / field.grid.n_points


def absolute_sum() -> Reduction:
    """Σ |values|, a few planes at a time."""

    def local(device: Any, values: Any, slab: Slab) -> Arrays:
        total = 0.0
        for start in range(0, slab.n_local, PLANES_AT_ONCE):
            here = values[at(slab.axis, slice(start, start + PLANES_AT_ONCE))]
            total += float(device.planar_sum(abs(here), slab.axis).sum())
        return (np.array([total]),)

    return Reduction("sum of magnitudes", local, (SUM,))


def _limit(automatic: float, net_charge: float | None, tolerance: float | None) -> float:
    """The tolerance as given, or the automatic one; InputError for numbers that nothing can be held against."""
    if net_charge is not None and not isfinite(net_charge):
        raise InputError(f"net_charge = {net_charge}: give the finite charge of the cell in e, or None for any.")
    if tolerance is not None and not tolerance >= 0:
        raise InputError(f"tolerance = {tolerance}: give the largest difference accepted, in e, not negative.")
    return automatic if tolerance is None else float(tolerance)


def _verdict(net: float, expected: float | None, tolerance: float) -> str:
    if expected is None:
        return "neutral" if abs(net) <= tolerance else "charged"
    if abs(net - expected) > tolerance:
        return "unbalanced"
    return "neutral" if abs(expected) <= tolerance else "charged"


def _elements(field: Field) -> list[str]:
    return sorted(set(field.structure.symbols)) if field.structure is not None else []


def _per_element(field: Field, charges: NDArray[np.float64]) -> dict[str, float]:
    symbols = np.array(field.structure.symbols if field.structure is not None else ())
    return {str(symbol): float(charges[symbols == symbol].sum()) for symbol in _elements(field)}


def charges_of_ions(field: Field, ion_charges: IonCharges) -> NDArray[np.float64]:
    """(n,) charge of each atom of the field's structure [e].

    Raises InputError if the field has no structure, for "file" where the file states no charges, and for elements that
    are unknown, not in the structure, or without a charge.
    """
    structure = field.structure
    if structure is None or len(structure) == 0:
        raise InputError("The field has no atoms, so ions cannot be added: read it from a file that lists them.")
    if isinstance(ion_charges, str):
        if ion_charges != "file":
            raise InputError(f'ion_charges = "{ion_charges}": give {{"Na": 1, ...}}, or "file" for those in the file.')
        if structure.charges is None:
            raise InputError('ion_charges="file", but the file states no charges: give ion_charges={"Na": 1, ...}.')
        return np.array(structure.charges)
    present = _elements(field)
    if not structure.numbers.any():
        raise InputError(
            "The file does not say of which elements its atoms are (a header of VASP 4 does not), so ions cannot be "
            "added: write the symbols into a line of their own above the numbers of atoms."
        )
    for symbol, charge in ion_charges.items():
        if symbol not in SYMBOLS:
            raise InputError(f'ion_charges names "{symbol}", no element: {nearest_known(symbol, present)}')
        if symbol not in present:
            raise InputError(
                f"ion_charges names {symbol}, but the atoms are {structure.formula}: correct the elements."
            )
        if not isfinite(float(charge)):
            raise InputError(f"ion_charges gives {symbol} the charge {charge}: give a finite number of e.")
    missing = [symbol for symbol in present if symbol not in ion_charges]
    if missing:
        counts = ", ".join(f"{symbol} ({structure.symbols.count(symbol)} atoms)" for symbol in missing)
        raise InputError(f"ion_charges has no charge for {counts}: give one for every element of {structure.formula}.")
    return np.array([float(ion_charges[symbol]) for symbol in structure.symbols])


def _refuse_net_charge(electrons: float, ions: float, net_charge: float | None, tolerance: float | None) -> None:
    limit = _limit(NEUTRALITY * abs(electrons), net_charge, tolerance)
    if net_charge is None:
        return
    if abs(ions - electrons - net_charge) > limit:
        raise InputError(
            f"The ions carry {ions:+.6g} e and the electrons {-electrons:+.6g} e: net {ions - electrons:+.6g} e, where "
            f"{net_charge:+g} e was expected. Correct ion_charges, or give net_charge (None: whatever it is)."
        )


def _check_width(width: float | None, grid: Grid) -> float:
    spacings = [grid.plane_spacing(axis) for axis in range(3) if grid.shape[axis] > 1]
    widest = max(spacings, default=grid.plane_spacing(2))
    if width is None:
        return WIDEST_STEP * widest
    std = float(width)
    if not (isfinite(std) and std > 0):
        raise InputError(f"width = {width}: give the standard deviation of the ions, positive, in Å.")
    if std < NARROWEST * widest:
        raise InputError(
            f"width = {std:.4g} Å is narrower than the grid's spacing of {widest:.4g} Å: the grid cannot hold such "
            f"ions. Give at least {NARROWEST * widest:.4g} Å, better {WIDEST_STEP * widest:.4g} Å."
        )
    return std


def _refuse_crossing(field: Field, std: float) -> None:
    """Ions on an open axis must lie inside it, far enough from its faces for all of their charge."""
    structure, grid = field.structure, field.grid
    if structure is None:
        return
    fractional = grid.fractional(structure.positions)
    for axis in range(3):
        if grid.boundary[axis] != OPEN:
            continue
        height, half = grid.height(axis), grid.plane_spacing(axis) / 2
        distance = np.minimum(fractional[:, axis] * height + half, (1 - fractional[:, axis]) * height - half)
        nearest = int(np.argmin(distance))
        if distance[nearest] < WIDTHS_TO_FACE * std:
            raise InputError(
                f"The {structure.symbols[nearest]} ion {nearest} lies {distance[nearest]:.4g} Å from the open face of "
                f"axis {AXIS_NAMES[axis]}, nearer than {WIDTHS_TO_FACE:g} widths of {std:.4g} Å: its charge would "
                "cross the boundary. Read the field as periodic, or give a smaller width."
            )


def gaussian_ions(field: Field, charges: NDArray[np.float64], std: float) -> Any:
    """Values of Σ q_i g(r - r_i) on the field's grid [e/Å^3], in the dtype and memory order of the field.

    One plane of modes at a time: exp(-i k·r) is a product over the axes, so a plane is a matrix product over atoms.
    Raises InputError for a field without atoms.
    """
    structure, grid = field.structure, field.grid
    if structure is None:
        raise InputError("The field has no atoms to put ions at: read it from a file that lists them.")
    fractional = grid.fractional(structure.positions)
    order = SLOWEST_FIRST[field.slab.axis]
    if field.comm.size == 1:
        order = (2, 1, 0) if is_fortran_ordered(field.values) else (0, 1, 2)
    shape = [grid.shape[axis] for axis in order]
    waves = [_waves(fractional[:, axis], grid.shape[axis], axis == order[2]) for axis in order]
    dtype = np.complex64 if field.values.dtype == np.float32 else np.complex128
    across = waves[0] * (charges * grid.n_points / grid.volume)[:, None]

    def modes(start: int, stop: int) -> NDArray[Any]:
        spectrum = np.empty((shape[0], stop - start, shape[2] // 2 + 1), dtype)
        for row in range(start, stop):
            spectrum[:, row - start] = (across * waves[1][:, [row]]).T @ waves[2]
        return spectrum

    return values_of_modes(field.device, _gaussian(grid, std, order), modes, field.comm)


def _gaussian(grid: Grid, std: float, order: tuple[int, int, int]) -> Multiplier:
    """The modes of a Gaussian of unit charge."""
    part = OfWavevector(grid.reciprocal, lambda k: np.exp(-0.5 * (k * std) ** 2))
    return Multiplier(grid.shape, [part], order=order)


def _waves(fractional: NDArray[np.float64], n: int, halved: bool) -> NDArray[np.complex128]:
    """(atoms, modes) exp(-i k·r) along an axis of n points; what is real of N/2, which stands for -N/2, too.

    halved  modes 0 to N/2 only
    """
    numbers = np.arange(n // 2 + 1, dtype=np.float64) if halved else np.fft.fftfreq(n, 1 / n)
    waves = np.asarray(np.exp(-2j * pi * np.outer(fractional, numbers)))
    if n % 2 == 0:
        waves[:, n // 2] = waves[:, n // 2].real
    return waves


def ions_by_planes(field: Field) -> bool:
    """True if wavevectors along the slab's axis are normal to the others: ions are then products, plane by plane."""
    split, *others = SLOWEST_FIRST[field.slab.axis]
    metric = field.grid.reciprocal @ field.grid.reciprocal.T
    skew = max(abs(metric[split, other]) / np.sqrt(metric[split, split] * metric[other, other]) for other in others)
    return bool(skew <= 1e-12)


def with_ions(field: Field, values: Unread, charges: NDArray[np.float64], std: float) -> Unread:
    """The ions less values that are read some planes at a time, as planes that are made when asked for.

    Raises InputError on cells that are not as ions_by_planes has it.
    """
    axis, grid, structure, stream = field.slab.axis, field.grid, field.structure, values.stream
    assert structure is not None  # it has charges
    split, second, third = SLOWEST_FIRST[axis]
    if not ions_by_planes(field):
        values.refuse(f"Adding ions where axis {AXIS_NAMES[axis]} is not normal to the other two")
    fractional, shape = grid.fractional(structure.positions), grid.shape
    waves = {axis: _waves(fractional[:, axis], shape[axis], axis == third) for axis in (split, second, third)}
    along = np.fft.fftfreq(shape[split], 1 / shape[split])
    falls = np.exp(-0.5 * (along * np.linalg.norm(grid.reciprocal[split]) * std) ** 2)
    by_plane = np.fft.ifft(waves[split] * falls, axis=1).real * (charges * grid.n_points / grid.volume)[:, None]
    in_plane = _gaussian(grid, std, SLOWEST_FIRST[axis]).plane(0)

    def read(start: int, stop: int) -> Any:
        ions = np.empty((stop - start, shape[second], shape[third]), values.dtype)
        for plane in range(start, stop):
            spectrum = (by_plane[:, [plane]] * waves[second]).T @ waves[third] * in_plane
            ions[plane - start] = np.fft.irfft2(spectrum, s=(shape[second], shape[third]))
        turned = ions.transpose(np.argsort((split, second, third)))
        return turned - values.applied(stream.read(start, stop))

    return values.remade(f"less ions {digest_of(fractional, charges)} of width {std!r}", read, stream.ahead)


def _laplacian(field: Field) -> Field:
    """-ε0 ∇² of the potential: by its modes, along open axes by differences."""
    sign = 1.0 if field.quantity == "electrostatic_potential" else -1.0
    factor = sign / FOUR_PI_KAPPA
    if OPEN in field.grid.boundary:
        field.check_in_memory("The Laplacian of a potential")
        values = laplacian(field) * field.values.dtype.type(-factor)
        of = "Laplacian, by differences along open axes"
    else:
        multiplier = Multiplier(field.grid.shape, [OfWavevector(field.grid.reciprocal, lambda k: factor * k**2)])
        values = field.filtered([multiplier], [f"Laplacian times {factor!r}"])[0]
        of = "spectral Laplacian"
    done = {"step": "charge density", "of": of}
    return field.derive(values, done, quantity="charge_density", unit="e/Å^3")
