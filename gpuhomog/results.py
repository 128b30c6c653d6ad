"""Results: frozen, on the host, each number with its unit, uncertainty and provenance.

    Measurement   one number: value ± uncertainty unit, or "not defined" with the reason
    Profile       a function of position along a plane normal
    Result        base of what operators return: to_dict(), to_json(), to_xarray()

>>> print(Measurement(0.0670367, "e/Å^2", 2e-6))
0.0670367 ± 2.0e-06 e/Å^2
>>> print(Measurement(5.0, "V", 0.00045))
5.00000 ± 0.00045 V
>>> print(Measurement.not_defined("e/Å^2", "bulk charge fluctuates"))
not defined (bulk charge fluctuates)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from math import floor, hypot, isfinite, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InputError, import_optional
from .structure import Structure
from .units import DOUBLE, conversion_factor, internal_unit, is_rounding

UNEVEN = 1e-3
"""By how much steps between positions may differ, over their mean: tables are rounded."""

FEW = 6
"""So many numbers are printed one by one."""

Tables = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
"""A result for people: titles, and under each its rows of name and text."""


def text_of(tables: Tables) -> str:
    """Tables as plain text, the texts in one column.

    >>> print(text_of((("Surface charge", (("σ low", "0.02 e/Å^2"), ("  by kernel", "0.021 e/Å^2"))),)))
    Surface charge
      σ low        0.02 e/Å^2
        by kernel  0.021 e/Å^2
    """
    column = max(len(name) for _, rows in tables for name, _ in rows)
    lines = []
    for title, rows in tables:
        lines += [title, *(f"  {name:{column}}  {text}" for name, text in rows)]
    return "\n".join(lines)


def unit_after(unit: str | None) -> str:
    """A unit as it stands after a number; nothing where there is none.

    >>> unit_after("V"), unit_after("1")
    (' V', '')
    """
    return f" {unit}" if unit and unit != "1" else ""


def between_positions(ends: tuple[float, float] | None) -> str:
    """Two positions in words.

    >>> between_positions((1.0, 2.5)), between_positions(None)
    ('1.0000 to 2.5000 Å', 'none')
    """
    return "none" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f} Å"


def plain(value: Any) -> Any:
    """JSON-ready form of a result: dataclasses to dicts, arrays to lists, NumPy numbers to Python's."""
    if isinstance(value, Result):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


def in_short(value: Any) -> str:
    """A value in a few words: of an array how many numbers it has, and between which they lie.

    >>> in_short(np.linspace(0.0, 2.5, 352)), in_short(np.zeros(2)), in_short((1, 2.5))
    ('<352 numbers, 0 to 2.5>', '[0. 0.]', '(1, 2.5)')
    """
    if isinstance(value, Result):
        return f"{type(value).__name__}(…)"
    if isinstance(value, np.ndarray):
        if value.size <= FEW:
            return np.array2string(value, threshold=FEW).replace("\n", "")
        ends = f", {value.min():.6g} to {value.max():.6g}" if value.dtype.kind in "fiu" else ""
        return f"<{' × '.join(str(n) for n in value.shape)} numbers{ends}>"
    if isinstance(value, list | tuple):
        shown = ", ".join(in_short(one) for one in value[:FEW])
        return f"({shown}{f', … {len(value)} in all' if len(value) > FEW else ''})"
    return repr(value)


class Result:
    """Base of every result: a frozen dataclass that can be written anywhere; one with tables() is printed as these.

    One without them is printed with its arrays in short; its provenance is left out.
    """

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "__repr__" not in cls.__dict__:
            setattr(cls, "__repr__", Result.__repr__)  # or a dataclass makes one of whole arrays  # noqa: B010

    def __repr__(self) -> str:
        tables = getattr(self, "tables", None)
        if tables is not None:
            return text_of(tables())
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.repr and f.name != "provenance"}  # type: ignore[arg-type]
        shown = ", ".join(f"{name}={in_short(value)}" for name, value in known.items() if value is not None)
        return f"{type(self).__name__}({shown})"

    def to_dict(self) -> dict[str, Any]:
        """Nested dict of plain Python values (arrays as lists), ready for JSON."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.repr}  # type: ignore[arg-type]

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_xarray(self) -> Any:
        """xarray.Dataset: one variable a number or array, units in attrs. Needs the extra `labels`."""
        xarray = import_optional("xarray", "labels", "Arrays with labels")
        variables: dict[str, Any] = {}
        attributes: dict[str, Any] = {}
        for f in fields(self):  # type: ignore[arg-type]
            if not f.repr:
                continue
            value = getattr(self, f.name)
            if isinstance(value, Measurement):
                known = {"unit": value.unit or "", "reason": value.reason or ""}
                number = np.nan if value.value is None else value.value
                spread = np.nan if value.uncertainty is None else value.uncertainty
                variables[f.name] = xarray.Variable((), number, known)
                variables[f"{f.name}_uncertainty"] = xarray.Variable((), spread, {"unit": value.unit or ""})
            elif isinstance(value, int | float | np.number):
                variables[f.name] = xarray.Variable((), value)
            elif isinstance(value, Profile):
                for name, variable in value.to_xarray().variables.items():
                    renamed = f"{f.name}_{name}"
                    variables[renamed] = xarray.Variable((f"{f.name}_position",), variable.values, variable.attrs)
            elif value is not None:
                attributes[f.name] = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
        return xarray.Dataset(variables, attrs=attributes)


@dataclass(frozen=True)
class Measurement:
    """One number with its unit and uncertainty, or the reason why there is none.

    value        the number, or None if it is not defined
    unit         unit string
    uncertainty  one standard uncertainty in the same unit, or None if it could not be estimated
    reason       why it is not defined

    Raises InputError for a value or uncertainty that is NaN or infinite: such a number is not defined.
    """

    value: float | None
    unit: str | None
    uncertainty: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not isfinite(self.value):
            raise InputError(
                f"Measurement of {self.value}: give a finite value, or Measurement.not_defined(unit, why)."
            )
        if self.uncertainty is not None and not (isfinite(self.uncertainty) and self.uncertainty >= 0):
            raise InputError(
                f"Measurement with an uncertainty of {self.uncertainty}: give a finite one, not negative, or None if "
                "it is not known."
            )

    @classmethod
    def not_defined(cls, unit: str | None, reason: str) -> Measurement:
        """A number that does not exist, and why."""
        return cls(None, unit, None, reason)

    @property
    def defined(self) -> bool:
        """True if there is a value."""
        return self.value is not None

    def __float__(self) -> float:
        if self.value is None:
            raise InputError(f"Not defined: {self.reason}")
        return float(self.value)

    def __str__(self) -> str:
        if self.value is None:
            return f"not defined ({self.reason})"
        unit = unit_after(self.unit)
        if not self.uncertainty:
            return f"{0.0 if is_rounding(self.value, self.unit) else self.value:.8g}{unit}"
        spread = float(f"{self.uncertainty:.1e}")  # two digits, and the value as far as they go
        place = 1 - floor(log10(spread))
        number = round(float(self.value), place)
        size = floor(log10(abs(number))) if number else 0
        if number and not -5 < size < 10:  # nobody counts zeros
            text = f"{number:.{min(max(0, place + size), 12)}e}"
        elif number and place > 12:  # of rounding alone
            text = f"{number:.8g}"
        else:
            text = f"{number:.{max(0, place)}f}" if number else "0"
        error = f"{spread:.1e}" if place > 5 or place < -4 else f"{spread:.{max(0, place)}f}"
        return f"{text} ± {error}{unit}"


def weighted_sum(
    unit: str | None, *terms: tuple[float, Measurement], shift: float = 0.0, error: float = 0.0
) -> Measurement:
    """Sum of exact factors times numbers, plus a shift, in a unit; or why the first that is not defined is not.

    error  one more uncertainty; all are independent, and one that is not known is left out

    >>> print(weighted_sum("V", (1.0, Measurement(2.0, "V", 0.3)), (-1.0, Measurement(0.5, "V", 0.4))))
    1.50 ± 0.50 V
    """
    for _, term in terms:
        if not term.defined:
            return Measurement.not_defined(unit, term.reason or "")
    errors = [factor * term.uncertainty for factor, term in terms if term.uncertainty is not None]
    value = sum(factor * float(term) for factor, term in terms) + shift
    return Measurement(value, unit, hypot(*errors, error) if errors or error else None)


def difference(upper: Measurement, lower: Measurement) -> Measurement:
    """Upper - lower, of one unit."""
    return weighted_sum(upper.unit, (1.0, upper), (-1.0, lower))


@dataclass(frozen=True, eq=False)
class Profile(Result):
    """A field averaged over planes, as a function of the distance along their normal.

    position    (n,) of each plane along the normal, from the first plane of a field or as a table has it, equally
                spaced [Å]; arrays are copied
    values      (n,) float64
    unit        unit of the values; None if not known
    quantity    one of units.QUANTITIES
    length      extent along the normal: the period if periodic, n spacings if open [Å]
    boundary    "periodic" or "open"
    planes      what the planes are: "a", "b", "c", or "(h k l)"
    normal      (3,) unit vector along which position grows
    area        area of the cell's face in the plane [Å^2]; None if unknown
    ripple      residual microscopic ripple of a macroscopic average, in the unit; None for a planar average
    uncertainty (n,) standard uncertainty of each value, or None
    periods     windows of a macroscopic average [Å], () for a planar average
    precision   of the values that it was made from: how far rounding moves them, as a fraction
    structure   atoms of the field that it was made from
    provenance  what was read and done, step by step
    """

    position: NDArray[np.float64]
    values: NDArray[np.float64]
    unit: str | None
    quantity: str
    length: float
    boundary: str = "periodic"
    planes: str = "c"
    normal: NDArray[np.float64] = field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    area: float | None = None
    ripple: float | None = None
    uncertainty: NDArray[np.float64] | None = None
    periods: tuple[float, ...] = ()
    precision: float = DOUBLE
    structure: Structure | None = field(default=None, repr=False)
    provenance: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        position = np.array(self.position, dtype=np.float64)
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 1 or position.shape != values.shape:
            raise InputError(
                f"Profile of {values.shape} values at {position.shape} positions: give two arrays of equal length."
            )
        if not (np.isfinite(values).all() and np.isfinite(position).all()):
            raise InputError("Profile holds NaN or infinite values: repair the data.")
        steps = np.diff(position)
        if len(steps) and not (steps.min() > 0 and np.ptp(steps) <= UNEVEN * steps.mean()):
            raise InputError(
                f"Profile at positions {steps.min():.6g} to {steps.max():.6g} Å apart: give them rising and equally "
                "spaced, by interpolation if need be."
            )
        if not self.length > 0:
            raise InputError(f"Profile of length {self.length}: give a positive length in Å.")
        normal = np.array(self.normal, dtype=np.float64)
        if normal.shape != (3,) or not np.isfinite(normal).all() or not normal.any():
            raise InputError(
                f"Profile along the normal {self.normal}: give a vector of three finite numbers, not zero."
            )
        if self.uncertainty is not None:
            uncertainty = np.array(self.uncertainty, dtype=np.float64)
            if uncertainty.shape != values.shape or not (uncertainty >= 0).all() or np.isinf(uncertainty).any():
                raise InputError(
                    f"Profile of {len(values)} values with uncertainties of shape {uncertainty.shape}: give one for "
                    "each value, finite and not negative."
                )
            uncertainty.flags.writeable = False
            object.__setattr__(self, "uncertainty", uncertainty)
        position.flags.writeable = values.flags.writeable = normal.flags.writeable = False
        object.__setattr__(self, "position", position)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "normal", normal)

    @property
    def spacing(self) -> float:
        """Distance between neighbouring planes [Å]."""
        return self.length / len(self.values)

    def internal(self) -> Profile:
        """The same profile in the package's own unit of its quantity; a scalar as it is.

        Raises InputError if the unit is not known; UnitsError if it does not fit the quantity.
        """
        unit = internal_unit(self.quantity, self.unit)
        if unit == self.unit:
            return self
        factor = conversion_factor(str(self.unit), str(unit))
        return replace(
            self,
            values=self.values * factor,
            unit=unit,
            ripple=None if self.ripple is None else self.ripple * factor,
            uncertainty=None if self.uncertainty is None else self.uncertainty * factor,
            provenance=(*self.provenance, {"step": "unit", "from": self.unit, "to": unit}),
        )

    def mean(self) -> float:
        """Mean value."""
        return float(self.values.mean())

    def to_xarray(self) -> Any:
        """xarray.Dataset with the values (and their uncertainty) along `position`."""
        xarray = import_optional("xarray", "labels", "Arrays with labels")
        unit = {"unit": self.unit or ""}
        data = {self.quantity: ("position", self.values, unit)}
        if self.uncertainty is not None:
            data["uncertainty"] = ("position", self.uncertainty, unit)
        known = {f.name: getattr(self, f.name) for f in fields(self) if f.repr}
        attributes = {
            name: value if isinstance(value, str | float | int) else json.dumps(plain(value), ensure_ascii=False)
            for name, value in known.items()
            if name not in ("position", "values", "uncertainty") and value is not None
        }
        return xarray.Dataset(data, coords={"position": ("position", self.position, {"unit": "Å"})}, attrs=attributes)
