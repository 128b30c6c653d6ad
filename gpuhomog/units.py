"""Units: every physical constant with its source, and the conversion of unit strings.

Inside the package lengths are Å, charges e, potentials V; energies eV = e V follow. Files and users may
speak other units: they are converted at the edges, by `conversion_factor`, and nowhere else.

A unit string is a product of powers, "e/Å^3", "V*Å", "1/bohr^3"; "1" is dimensionless; None is "not known".

>>> conversion_factor("1/bohr^3", "1/Å^3")
6.748334508...
>>> conversion_factor("Ha", "eV")
27.211386245981
"""

from __future__ import annotations

import re
from math import pi

from .errors import InputError, UnitsError, nearest_known

# CODATA 2022, https://physics.nist.gov/cuu/Constants
ELEMENTARY_CHARGE = 1.602176634e-19  # C, exact
VACUUM_PERMITTIVITY = 8.8541878188e-12  # F/m
BOHR = 0.529177210544  # Å
HARTREE = 27.211386245981  # eV
RYDBERG = 13.605693122990  # eV

COULOMB_CONSTANT = ELEMENTARY_CHARGE / (4 * pi * VACUUM_PERMITTIVITY) * 1e10
"""κ = 1/(4πε0) = 14.3996… V Å/e."""
FOUR_PI_KAPPA = 4 * pi * COULOMB_CONSTANT
"""1/ε0 = 180.951… V Å/e."""

SINGLE, DOUBLE = 2.0**-24, 2.0**-53
"""How far rounding to float32 and float64 moves a number, as a fraction (IEEE 754)."""

VOLT, FIELD, CHARGE, MOMENT, ENERGY = "V", "V/Å", "e/Å^2", "e/Å", "eV"
"""Units of results: potential, electric field, charge and dipole per area, energy."""

# symbol: (value in internal units, powers of (e, Å, V))
_SYMBOLS: dict[str, tuple[float, tuple[int, int, int]]] = {
    "1": (1.0, (0, 0, 0)),
    "e": (1.0, (1, 0, 0)),
    "C": (1.0 / ELEMENTARY_CHARGE, (1, 0, 0)),
    "Å": (1.0, (0, 1, 0)),
    "bohr": (BOHR, (0, 1, 0)),
    "nm": (10.0, (0, 1, 0)),
    "m": (1e10, (0, 1, 0)),
    "cm": (1e8, (0, 1, 0)),
    "V": (1.0, (0, 0, 1)),
    "mV": (1e-3, (0, 0, 1)),
    "eV": (1.0, (1, 0, 1)),
    "meV": (1e-3, (1, 0, 1)),
    "Ha": (HARTREE, (1, 0, 1)),
    "Ry": (RYDBERG, (1, 0, 1)),
}
_ALIASES = {"A": "Å", "Ang": "Å", "Angstrom": "Å", "angstrom": "Å", "Bohr": "bohr", "a0": "bohr", "hartree": "Ha"}

QUANTITIES: dict[str, str | None] = {
    "charge_density": "e/Å^3",
    "electron_density": "1/Å^3",
    "electrostatic_potential": "V",
    "electron_potential_energy": "eV",
    "scalar": None,
}
"""Quantity of a field → its internal unit (None: any)."""

POTENTIALS = ("electrostatic_potential", "electron_potential_energy")
"""Quantities that are a potential, but for their sign."""

ATOMIC_UNITS: dict[str, str] = {
    "charge_density": "e/bohr^3",
    "electron_density": "1/bohr^3",
    "electrostatic_potential": "Ha/e",
    "electron_potential_energy": "Ha",
}
"""Quantity of a field → its unit in files written in Hartree atomic units (Gaussian cube, by custom)."""


def _parse(unit: str) -> tuple[float, tuple[int, int, int]]:
    text = unit.replace(" ", "").replace("·", "*").replace("**", "^").replace("³", "^3").replace("²", "^2")
    factor, powers = 1.0, [0, 0, 0]
    tokens = re.findall(r"([*/]?)([^*/^]+)(?:\^(-?\d+))?", text)
    if not tokens or "".join(f"{o}{s}{'^' + p if p else ''}" for o, s, p in tokens) != text:
        raise UnitsError(f'Unit "{unit}" cannot be read: write a product of powers such as "e/Å^3".')
    for operator, symbol, power in tokens:
        symbol = _ALIASES.get(symbol, symbol)
        if symbol not in _SYMBOLS:
            raise UnitsError(f'Unknown unit "{symbol}" in "{unit}": {nearest_known(symbol, [*_SYMBOLS, *_ALIASES])}')
        exponent = int(power or 1) * (-1 if operator == "/" else 1)
        value, dimension = _SYMBOLS[symbol]
        factor *= value**exponent
        powers = [p + exponent * d for p, d in zip(powers, dimension, strict=True)]
    return factor, (powers[0], powers[1], powers[2])


def conversion_factor(unit: str, target: str) -> float:
    """Number that turns a value in `unit` into a value in `target`.

    Raises UnitsError for an unknown unit, or two of different dimension.

    >>> conversion_factor("V", "eV")
    Traceback (most recent call last):
    gpuhomog.errors.UnitsError: Cannot convert "V" to "eV", a unit of something else: give another unit, or quantity.
    """
    factor, dimension = _parse(unit)
    target_factor, target_dimension = _parse(target)
    if dimension != target_dimension:
        raise UnitsError(
            f'Cannot convert "{unit}" to "{target}", a unit of something else: give another unit, or quantity.'
        )
    return factor / target_factor


def internal_unit(quantity: str, unit: str | None) -> str | None:
    """The package's own unit of a quantity; for a scalar, the unit it has.

    Raises InputError if a quantity that has a unit comes without one.

    >>> internal_unit("electron_potential_energy", "Ha"), internal_unit("scalar", "K")
    ('eV', 'K')
    """
    own = QUANTITIES[check_quantity(quantity)]
    if own is None:
        return unit
    if unit is None:
        raise InputError(f'The unit of this {quantity} is not known: state it where it is made, as unit="{own}".')
    return own


def times_length(unit: str | None, power: int) -> str | None:
    """The internal unit times Å^power, in its usual spelling; an unknown unit stays unknown.

    >>> times_length("e/Å^3", 1), times_length("V", -1), times_length("eV", 1)
    ('e/Å^2', 'V/Å', 'eV*Å')
    """
    if unit is None or power == 0:
        return unit
    match = re.fullmatch(r"(.+?)([*/])Å(?:\^(\d+))?", unit)
    base, exponent = (unit, 0)
    if match:
        base, exponent = match[1], int(match[3] or 1) * (1 if match[2] == "*" else -1)
    elif pure := re.fullmatch(r"Å(?:\^(\d+))?", unit):
        base, exponent = "1", int(pure[1] or 1)
    exponent += power
    if exponent == 0:
        return base
    length = "Å" if abs(exponent) == 1 else f"Å^{abs(exponent)}"
    if base == "1" and exponent > 0:
        return length
    return f"{base}{'*' if exponent > 0 else '/'}{length}"


ROUNDING = 1e-12
"""What is smaller, in e, V and Å, is the rounding of a zero."""


def is_rounding(value: float, unit: str | None) -> bool:
    """True for a number of e or V, by any power of Å, that is so small that it is the rounding of a zero.

    >>> is_rounding(3e-16, "e/Å^2"), is_rounding(3e-16, "1")
    (True, False)
    """
    return abs(value) < ROUNDING and re.match(r"(?:e|V|eV)(?:$|[*/])", unit or "") is not None


def check_quantity(quantity: str) -> str:
    """Return the quantity if it is one of QUANTITIES, else raise UnitsError with the nearest."""
    if quantity not in QUANTITIES:
        raise UnitsError(f'Unknown quantity "{quantity}": {nearest_known(str(quantity), QUANTITIES)}')
    return quantity
