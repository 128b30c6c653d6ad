"""What a figure of the paper is made of: curves, key numbers, and what the paper says of them.

    Finding        one key number: found, known by an independent route, what the paper says, and whether that is so
    FigureNumbers  all of one figure, for files
    PaperFigure    one entry of the table: number, sentence, how it is computed, how it is drawn

In   results of the operators.
Out  frozen values; FigureNumbers is a Result, so every writer of results takes it.

>>> finding = Finding("σ", Measurement(0.3, "e/Å^2"), "51", 0.3, 1e-9, "b/a")
>>> finding.agrees, finding.row()
(True, ('σ (e/Å^2)', '0.3', '0.3', '51', 'b/a'))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..results import Measurement, Result

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """y against x, with their units."""

    x: Array
    y: Array
    x_unit: str
    y_unit: str


def curve(x: ArrayLike, y: ArrayLike, y_unit: str, x_unit: str = "Å") -> Curve:
    """A curve of any numbers."""
    return Curve(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), x_unit, y_unit)


N_BLOCKS = 16
NOISE = 1e-9  # in whatever unit: these numbers are of order one


def by_blocks(values: Array, measure: Callable[[Array], float], unit: str) -> Measurement:
    """What is measured of values in a row, its standard error from N_BLOCKS parts of them.

    >>> found = by_blocks(np.random.default_rng(0).standard_normal(16_000), lambda part: float(part.std()), "V")
    >>> abs(found.value - 1) < 3 * found.uncertainty < 0.03
    True
    """
    parts = [measure(part) for part in np.array_split(values, N_BLOCKS)]
    return Measurement(measure(values), unit, float(np.std(parts, ddof=1) / np.sqrt(N_BLOCKS)))


def two_std(values: Array) -> float:
    """Twice the standard deviation."""
    return 2 * float(values.std())


def distance_of_extrema(values: Array, spacing: float) -> float:
    """Mean distance of neighbouring extrema of equally spaced values [Å].

    >>> round(distance_of_extrema(np.cos(np.arange(1000) * np.pi / 10), 0.5), 12)
    5.0
    """
    at = np.flatnonzero(np.diff(np.sign(np.diff(values))))
    return float(at[-1] - at[0]) / (len(at) - 1) * spacing


@dataclass(frozen=True)
class Finding:
    """One key number.

    name       what it is
    found      by the operators, from the density
    equations  numbers of the paper's equations that it is of
    expected   the same by an independent route (closed form, definition), in the unit of `found`
    tolerance  by how much the two may differ
    paper      what the paper says of it, in a word or two
    wrong      what it says in full, and why it is not so; empty where it is so
    """

    name: str
    found: Measurement
    equations: str
    expected: float
    tolerance: float
    paper: str
    wrong: str = ""

    @property
    def agrees(self) -> bool:
        """True if the number found is the one expected."""
        return self.found.value is not None and abs(self.found.value - self.expected) <= self.tolerance

    def row(self) -> tuple[str, str, str, str, str]:
        """Name with unit, found, expected, equations, what the paper says; a few digits."""
        found, unit = self.found, "" if self.found.unit in (None, "1") else f" ({self.found.unit})"
        text = str(found) if found.value is None else f"{found.value:.{4 if abs(found.value) > NOISE else 1}g}"
        if found.value is not None and (found.uncertainty or 0.0) > max(1e-5 * abs(found.value), NOISE):
            text = str(replace(found, unit=None))
        return f"{self.name}{unit}", text, f"{self.expected:.4g}", self.equations, self.says

    @property
    def says(self) -> str:
        """What the paper says, in a word, and whether it is not so."""
        return f"{self.paper} - no" if self.wrong else self.paper


@dataclass(frozen=True, eq=False)
class FigureNumbers(Result):
    """The numbers behind a figure.

    figure      its number in the paper
    findings    its key numbers
    curves      what is drawn, by name
    parameters  what the density was made of, and what else is drawn, in Å and e
    provenance  which figure, of which paper
    """

    figure: int
    findings: tuple[Finding, ...]
    curves: Mapping[str, Curve]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    provenance: tuple[Mapping[str, Any], ...] = field(init=False)

    def __post_init__(self) -> None:
        step = {"step": "figure of the paper", "figure": self.figure, "paper": "arXiv:2403.13981"}
        object.__setattr__(self, "provenance", (step,))


@dataclass(frozen=True)
class PaperFigure:
    """An entry of the table of figures.

    number    in the paper
    sentence  what it shows
    compute   device → FigureNumbers: from a density that is generated or comes with the package
    draw      (FigureNumbers, width) → matplotlib Figure; plots are imported inside, under their style
    """

    number: int
    sentence: str
    compute: Callable[[str], FigureNumbers]
    draw: Callable[[FigureNumbers, str], Any]
