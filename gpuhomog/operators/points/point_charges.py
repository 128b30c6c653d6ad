"""Point charges: one-dimensional results of ions and molecules without any grid, each charge where it is.

    C(x)  = Σ_{x_i < x} q_i,  a charge at x itself counts half
    σ     = Σ q_i w(x_i),  S1 = (x_b - x_0) σ - mean of ∫ C,  w = clip((x_b + l/2 - x_i)/l, 0, 1)    window, eqs. 39, 58
    σ     = Σ q_i F(x_i - x_b),  S1 = Σ q_i (x_i - x_0) F(x_i - x_b)                           kernel, eq. 36
    σ     = -(1/a) Σ_cell q_i (x_i - x_L)                           crystal of neutral cells from x_L on, eq. 58
    ρ*(x) = Σ q_i max(0, 1 - |x_i - x|/a)/a                         mean charge of the cells around x
    ρ_free = Σ q_m μ(x - x_m),  P = Σ d_m μ(x - x_m),  ρ_bound = -dP/dx                          molecules

F(t) = erfc(√2 t/eps)/2. A packet of charge may be replaced by a point at its centre of charge: σ is unchanged, exactly
(eq. 57), but its S1 is not (packets keep their second moment); a packet without charge has no centre. Neighbouring
neutral cells of dipoles d_k carry ρ* = (d_k - d_{k+1})/a² between them, which is -dP/dx: the printed sign of XIII.E is
the other.

In   positions along the normal and charges; or a Structure, its cell and the charges of its ions.
Out  PointSurfaceCharge, MolecularCharge, arrays: host.

>>> positions = [j + dx for j in range(100) for dx in (0.0, 0.3)]
>>> points = PointCharges(positions, [1.0, -1.0] * 100)                           # +1 at each Å, -1 at 0.3 Å above it
>>> found = point_surface_charge(points, period=1.0)
>>> round(found.low.value, 9), round(found.high.value, 9)
(0.3, -0.3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, isfinite, pi, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...averaging_kernels import gaussian_tail
from ...errors import InputError, KernelError, counted
from ...grid import AXIS_NAMES, Grid, axis_index
from ...results import Measurement, Result, Tables
from ...structure import Structure
from ...units import times_length
from ..profiles.bulk import N_SPREAD

Array = NDArray[np.float64]

NO_WINDOW = "give the period of the bulk, or between which positions it lies"

NEUTRAL = 1e-9
"""Largest |Σ q|/Σ|q| of what counts as neutral."""
COINCIDENT = 1e-9
"""A charge nearer than this to x_b, or to the edge of a window, is at it, and counts half [Å]."""
KERNELS_TO_FACE, KERNELS_ADVISED = 2.5, 3.5
"""Kernel widths eps between x_b and the nearest surface: least (five standard deviations), and without a remark."""
LEAST_THICKNESS = 4.0
"""Two layers of atoms [Å]: what is thinner has surfaces, and nothing between them."""


@dataclass(frozen=True, eq=False)
class PointCharges:
    """Charges on a line.

    positions  (n,) along the normal [Å], any order
    charges    (n,) [e], or per area of the planes [e/Å^2] if `area` is given
    area       of the cell's face [Å^2], by which the charges were divided; None: they are charges
    provenance where they come from

    Raises InputError for different numbers of positions and charges, for none, and for numbers that are not finite.
    """

    positions: ArrayLike
    charges: ArrayLike
    area: float | None = None
    provenance: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        x = np.array(self.positions, dtype=np.float64).reshape(-1)
        q = np.array(self.charges, dtype=np.float64).reshape(-1)
        if len(x) != len(q) or len(x) == 0:
            raise InputError(
                f"{counted(len(q), 'charge')} at {counted(len(x), 'position')}: give one charge for each position."
            )
        if not (np.isfinite(x).all() and np.isfinite(q).all()):
            raise InputError("A position or charge is not finite: give positions in Å and charges in e.")
        if self.area is not None and not (isfinite(self.area) and self.area > 0):
            raise InputError(f"area = {self.area}: give that of the face of the cell, positive, in Å^2.")
        order = np.argsort(x, kind="stable")
        x, q = x[order], q[order]
        x.flags.writeable = q.flags.writeable = False
        object.__setattr__(self, "positions", x)
        object.__setattr__(self, "charges", q)

    @classmethod
    def of_structure(
        cls,
        structure: Structure,
        grid: Grid,
        axis: int | str = "c",
        charges: Mapping[str, float] | None = None,
        *,
        fold: bool = False,
    ) -> PointCharges:
        """Ions of a structure along the normal of an axis, their charges per area of the cell's face.

        charges  of the ion of each element [e]; None: those that the structure states
        fold     True: a slab that goes on past the end of a periodic cell is put together; it begins at its widest gap

        Raises InputError for an element without a charge, or a structure that states none.
        """
        index = axis_index(axis)
        if charges is not None:
            missing = sorted(set(structure.symbols) - charges.keys())
            if missing:
                raise InputError(f"No charge for {', '.join(missing)}: give one for every element, in e.")
            q = np.array([float(charges[symbol]) for symbol in structure.symbols])
        elif structure.charges is not None:
            q = np.asarray(structure.charges)
        else:
            raise InputError('The structure states no charges: give charges={"Na": 1, ...} in e.')
        area = grid.area(index)
        x = (structure.positions - grid.origin) @ grid.normal(index)
        if fold:
            height = grid.height(index)
            x = x % height
            ordered = np.sort(x)
            gaps = np.diff(ordered, append=ordered[0] + height)
            first = ordered[(int(np.argmax(gaps)) + 1) % len(ordered)]
            x = np.where(x < first - COINCIDENT, x + height, x)
        step = {"step": "point charges", "axis": AXIS_NAMES[index], "ions": len(structure)}
        return cls(x, q / area, area, (step,))

    @classmethod
    def of_packets(cls, packets: Sequence[Sequence[Sequence[float]]]) -> PointCharges:
        """Packets of charge, each ((position [Å], charge [e]), …), as points at their centres of charge (eq. 57).

        Raises InputError for a packet without net charge: it has no centre.
        """
        x, q = [], []
        for number, packet in enumerate(packets, 1):
            parts = np.array(packet, dtype=np.float64).reshape(-1, 2)
            total = float(parts[:, 1].sum())
            if abs(total) <= NEUTRAL * float(np.abs(parts[:, 1]).sum()):
                raise InputError(
                    f"Packet {number} of {len(packets)} carries no net charge, so it has no centre of charge: give its "
                    "charges one by one, or join it to a neighbour that is charged."
                )
            x.append(float((parts[:, 0] * parts[:, 1]).sum()) / total)
            q.append(total)
        return cls(x, q, provenance=({"step": "packets", "packets": len(packets)},))

    @property
    def unit(self) -> str:
        """Of the charges."""
        return "e" if self.area is None else "e/Å^2"

    @property
    def _x(self) -> Array:
        return np.asarray(self.positions)

    @property
    def _q(self) -> Array:
        return np.asarray(self.charges)

    @property
    def total(self) -> float:
        """Σ q."""
        return float(self._q.sum())

    @property
    def gross(self) -> float:
        """Σ |q|."""
        return float(np.abs(self._q).sum())

    def cumulative(self, x: ArrayLike) -> Array:
        """C(x): the charge below each x; a charge at x itself counts half."""
        at = np.asarray(x, dtype=np.float64)[..., None]
        return np.asarray((self._q * passed(at - self._x)).sum(axis=-1))

    def window_mean(self, low: float, high: float) -> float:
        """Mean of C between two positions; C itself where they coincide."""
        if high == low:
            return float(self.cumulative(low))
        return float((self._q * np.clip((high - self._x) / (high - low), 0, 1)).sum())

    def window_mean_of_double(self, low: float, high: float) -> float:
        """Mean of ∫ C between two positions."""
        above = [np.maximum(edge - self._x, 0.0) ** 2 for edge in (low, high)]
        return float((self._q * (above[1] - above[0])).sum()) / (2 * (high - low))

    def kernel_sums(self, x_b: float, eps: float, origin: float = 0.0) -> tuple[float, float]:
        """Σ q F(x - x_b) and Σ q (x - origin) F(x - x_b): charge and moment of the lower surface."""
        part = self._q * gaussian_tail(self._x - x_b, eps)
        return float(part.sum()), float((part * (self._x - origin)).sum())

    def first_moment_of_window(self, x_b: float, width: float) -> float:
        """M1 = (1/l) Σ q (x - x_b) over the window of full width l around x_b; charges on its edges count half."""
        inside = _inside(self._x - x_b, width)
        return float((self._q * inside * (self._x - x_b)).sum()) / width

    def dipole_density(self, x: ArrayLike, width: float) -> Array:
        """P(x) = M1 of the window of full width `width` [Å], positive or InputError, around each x (eq. 46)."""
        if not width > 0:
            raise InputError(f"width = {width}: give the positive full width of the window in Å.")
        away = self._x - np.asarray(x, dtype=np.float64)[..., None]
        return np.asarray((self._q * _inside(away, width) * away).sum(axis=-1) / width)

    def cell_charge(self, x: ArrayLike, width: float) -> Array:
        """Mean over |u| < a/2 of the charge in the interval of width a around x + u: Σ q max(0, 1 - |x_i - x|/a).

        Between two neutral cells of dipoles d_L and d_R it is (d_L - d_R)/a = -Δd/a (XIII.E.1; the printed sign is the
        other). Divided by a it is ρ*, which is -dP/dx for P = d/a.
        """
        if not width > 0:
            raise InputError(f"width = {width}: give the positive width of a cell in Å.")
        away = np.abs(self._x - np.asarray(x, dtype=np.float64)[..., None])
        return np.asarray((self._q * np.maximum(0.0, 1 - away / width)).sum(axis=-1))


def passed(ahead: Array) -> Array:
    """1 where a distance is positive, 1/2 where it is zero, 0 where it is negative."""
    return np.asarray(np.where(np.abs(ahead) < COINCIDENT, 0.5, ahead > 0))


def _inside(away: Array, width: float) -> Array:
    return passed(width / 2 - np.abs(away))


@dataclass(frozen=True, eq=False)
class PointSurfaceCharge(Result):
    """Charge of the surfaces of a slab of point charges.

    low, high                the estimate that leads: window if there is a period or a window, else kernel
    low_window, high_window  window estimate
    low_kernel, high_kernel  kernel estimate
    low_dipole, high_dipole  first moment S1 of the leading estimate, about `origin` (or each side's outermost charge)
    m1                       first moment per length of the window around x_b, about x_b
    total, dipole            of all charges; the dipole about origin_low
    closure                  low + high - total
    quantum                  e/area: sigma of a cut at other places differs by whole numbers of it; None without an area
    estimator                "window" or "kernel"
    x_b, window              where the bulk is cut, and the window of the mean [Å]
    eps                      kernel width [Å]
    origin_low, origin_high  of the moments [Å]
    remarks, provenance      what a reader should know; what was done
    """

    low: Measurement
    high: Measurement
    low_window: Measurement
    high_window: Measurement
    low_kernel: Measurement
    high_kernel: Measurement
    low_dipole: Measurement
    high_dipole: Measurement
    m1: Measurement
    total: Measurement
    dipole: Measurement
    closure: float
    quantum: float | None
    estimator: str
    x_b: float
    window: tuple[float, float] | None
    eps: float
    origin_low: float
    origin_high: float
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        found = []
        for side in ("low", "high"):
            found += [
                (f"σ {side}", str(getattr(self, side))),
                ("  by window", str(getattr(self, f"{side}_window"))),
                ("  by kernel", str(getattr(self, f"{side}_kernel"))),
                ("  dipole", f"{getattr(self, f'{side}_dipole')}, about {getattr(self, f'origin_{side}'):.4f} Å"),
            ]
        found += [("total", str(self.total)), ("dipole", str(self.dipole))]
        how = [
            ("cut at", f"{self.x_b:.4f} Å"),
            ("leading estimate", self.estimator),
            ("kernel", f"eps {self.eps:.4f} Å"),
            *(("note", remark) for remark in self.remarks),
        ]
        return ("Surface charge of point charges", tuple(found)), ("How it was found", tuple(how))


def point_surface_charge(
    points: PointCharges,
    *,
    x_b: float | None = None,
    period: float | None = None,
    bulk: Sequence[float] | None = None,
    eps: float | None = None,
    origin: float | None = None,
) -> PointSurfaceCharge:
    """Charge of both surfaces of a slab of point charges, exactly, with the spread over where the bulk is cut.

    points  the charges of the whole slab
    x_b     where the bulk is cut [Å]; the middle by default
    period  of the bulk [Å]: the window is one period around x_b
    bulk    instead, any two positions between which C is averaged [Å], for a bulk without a period
    eps     width of the kernel [Å], twice its standard deviation; an eighth of the thickness by default, which
            leaves the middle eight standard deviations from each surface
    origin  of the first moments [Å]; by default the outermost charge of each surface

    Source: eqs. 36, 39, 57, 58 of the paper. Raises InputError for period and bulk together, for a period whose cell
    around x_b is not neutral (with its net charge: then eq. 58 depends on x_b), and for x_b or a bulk outside the
    slab; KernelError for a kernel that reaches a surface (x_b within 2.5 eps of it).
    """
    x, q = np.asarray(points.positions), np.asarray(points.charges)
    low, high = float(x[0]), float(x[-1])
    for name, number in (("x_b", x_b), ("origin", origin)):
        if number is not None and not isfinite(number):
            raise InputError(f"{name} = {number}: give a finite position in Å.")
    if period is not None and bulk is not None:
        raise InputError("period and bulk: give one of them, bulk where it has no period.")
    if not high > low:
        raise InputError(
            f"All charges lie in the plane at {low:.6g} Å: a surface is that of two planes or more. Choose another "
            "axis."
        )
    ends = _window(points, x_b, period, bulk)
    centre = x_b if x_b is not None else sum(ends) / 2 if ends else (low + high) / 2
    if not low <= centre <= high:
        raise InputError(f"x_b = {centre:.6g} Å lies outside the charges, {low:.6g} to {high:.6g} Å.")
    width = (high - low) / 8 if eps is None else float(eps)
    if not (isfinite(width) and width > 0):
        raise KernelError(f"eps = {eps}: give a positive kernel width in Å.")
    reason, of_kernel = _kernel_fits(min(centre - low, high - centre), width, eps is not None or ends is None)
    origins = (low, high) if origin is None else (origin, origin)
    reach = (period or width) / 2 if bulk is None else (ends[1] - ends[0]) / 4 if ends else width / 2
    sides = _Sides(points, centre, ends, width, origins, (max(low, centre - reach), min(high, centre + reach)))
    windows, kernels = sides.by_window(), sides.by_kernel(reason)
    leading = windows if ends is not None else kernels
    total, rounding, moment_unit = points.total, sides.rounding, sides.units[2]
    dipole = float((q * (x - origins[0])).sum())
    return PointSurfaceCharge(
        low=leading[0],
        high=leading[1],
        low_window=windows[0],
        high_window=windows[1],
        low_kernel=kernels[0],
        high_kernel=kernels[1],
        low_dipole=leading[2],
        high_dipole=leading[3],
        m1=sides.first_moment(),
        total=Measurement(total, points.unit, rounding),
        dipole=Measurement(dipole, moment_unit, rounding * (high - low)),
        closure=float(leading[0]) + float(leading[1]) - total,
        quantum=None if points.area is None else 1 / points.area,
        estimator="kernel" if ends is None else "window",
        x_b=centre,
        window=ends,
        eps=width,
        origin_low=origins[0],
        origin_high=origins[1],
        remarks=(*_on_thickness(high - low), *of_kernel, *_on_charge(points, ends)),
        provenance=(*points.provenance, {"step": "surface charge of points", "x_b": centre, "eps": width}),
    )


def _on_thickness(thickness: float) -> tuple[str, ...]:
    """A remark where there are no two layers."""
    if thickness >= LEAST_THICKNESS:
        return ()
    return (
        f"the charges span {thickness:.4g} Å, less than two layers of atoms: there is no bulk to cut, and the value is "
        "that of the place of the cut",
    )


def _on_charge(points: PointCharges, ends: tuple[float, float] | None) -> tuple[str, ...]:
    """A remark where no window has shown that the bulk is neutral, and the charges do not add up to 0."""
    if ends is not None or abs(points.total) <= NEUTRAL * points.gross:
        return ()
    return (
        f"all charges add up to {points.total:.4g} {points.unit}: if that is not of the surfaces alone, σ changes with "
        "x_b; give the period of the bulk, which is then looked at",
    )


def _kernel_fits(distance: float, eps: float, needed: bool) -> tuple[str | None, tuple[str, ...]]:
    """Why a kernel so far from the surfaces is too wide, and a remark if it nearly is; KernelError if needed."""
    if distance < KERNELS_TO_FACE * eps * (1 - 1e-9):
        sentence = (
            f"x_b is {distance:.4g} Å from a surface, less than 2.5 eps = {2.5 * eps:.4g} Å: no bulk between the "
            "surfaces for this kernel"
        )
        if needed:
            raise KernelError(f"{sentence}. Give eps below {distance / KERNELS_TO_FACE:.4g} Å.")
        return sentence, ()
    if distance < KERNELS_ADVISED * eps:
        return None, (f"x_b is {distance / eps:.1f} eps from a surface, less than {KERNELS_ADVISED:g}",)
    return None, ()


@dataclass(frozen=True, eq=False)
class _Sides:
    """Both surfaces of a slab of points: σ_low, σ_high and their first moments, by either estimate."""

    points: PointCharges
    centre: float
    ends: tuple[float, float] | None
    eps: float
    origins: tuple[float, float]
    inner: tuple[float, float]  # where x_b could be

    @property
    def units(self) -> tuple[str, ...]:
        """Of the four."""
        moment = times_length(self.points.unit, 1) or ""
        return self.points.unit, self.points.unit, moment, moment

    @property
    def rounding(self) -> float:
        """Of sums of all charges."""
        return 4e-16 * self.points.gross

    def window_sums(self, low: float, high: float) -> Array:
        """(4,) means of C between two positions, and of its double."""
        points, total = self.points, self.points.total
        charge = points.window_mean(low, high)
        about_zero = (low + high) / 2 * charge - points.window_mean_of_double(low, high)
        moment_of_all = float((np.asarray(points.charges) * np.asarray(points.positions)).sum())
        below = about_zero - self.origins[0] * charge
        above = moment_of_all - about_zero - self.origins[1] * (total - charge)
        return np.array([charge, total - charge, below, above])

    def kernel_sums(self, at: float) -> Array:
        """(4,) Σ q F and Σ (x - origin) q F on either side."""
        x, q = np.asarray(self.points.positions), np.asarray(self.points.charges)
        charge, moment = self.points.kernel_sums(at, self.eps, self.origins[0])
        above = q * gaussian_tail(at - x, self.eps)
        return np.array([charge, above.sum(), moment, (above * (x - self.origins[1])).sum()])

    def measured(self, values: Array, spread: Array) -> list[Measurement]:
        """With the spread over x_b and rounding."""
        return [
            Measurement(float(value), unit, hypot(float(s), self.rounding))
            for value, s, unit in zip(values, spread, self.units, strict=True)
        ]

    def not_defined(self, reason: str) -> list[Measurement]:
        """All four."""
        return [Measurement.not_defined(unit, reason) for unit in self.units]

    def by_kernel(self, reason: str | None) -> list[Measurement]:
        """Unless there is a reason against it."""
        if reason is not None:
            return self.not_defined(reason)
        spread = np.std([self.kernel_sums(at) for at in np.linspace(*self.inner, N_SPREAD)], axis=0)
        return self.measured(self.kernel_sums(self.centre), spread)

    def by_window(self) -> list[Measurement]:
        """If there is one."""
        if self.ends is None:
            return self.not_defined(NO_WINDOW)
        half = (self.ends[1] - self.ends[0]) / 2
        x = np.asarray(self.points.positions)
        places = [at for at in np.linspace(*self.inner, N_SPREAD) if at - half >= x[0] and at + half <= x[-1]]
        tried = [self.window_sums(at - half, at + half) for at in places]
        return self.measured(self.window_sums(*self.ends), np.std(tried, axis=0) if len(tried) > 1 else np.zeros(4))

    def first_moment(self) -> Measurement:
        """M1 of the window."""
        if self.ends is None:
            return Measurement.not_defined(self.points.unit, NO_WINDOW)
        low, high = self.ends
        return Measurement(self.points.first_moment_of_window((low + high) / 2, high - low), self.points.unit)


def _window(
    points: PointCharges, x_b: float | None, period: float | None, bulk: Sequence[float] | None
) -> tuple[float, float] | None:
    """The window of the mean, checked."""
    x, q = np.asarray(points.positions), np.asarray(points.charges)
    low, high = float(x[0]), float(x[-1])
    if bulk is not None:
        if len(bulk) != 2 or not all(isfinite(w) for w in bulk) or not bulk[1] > bulk[0]:
            raise InputError(f"bulk = {tuple(bulk)}: give two positions in Å, the lower first.")
        if bulk[0] < low or bulk[1] > high:
            raise InputError(
                f"The bulk {bulk[0]:.6g} to {bulk[1]:.6g} Å leaves the charges, {low:.6g} to {high:.6g} Å."
            )
        return float(bulk[0]), float(bulk[1])
    if period is None:
        return None
    if not (isfinite(period) and period > 0):
        raise InputError(f"period = {period}: give a positive length in Å.")
    centre = (low + high) / 2 if x_b is None else x_b
    ends = (centre - period / 2, centre + period / 2)
    if ends[0] < low or ends[1] > high:
        raise InputError(
            f"One period around x_b, {ends[0]:.6g} to {ends[1]:.6g} Å, leaves the charges, {low:.6g} to {high:.6g} Å."
        )
    below = points.cumulative(np.array(ends))
    net = float(below[1] - below[0])
    inside = float((np.abs(q) * _inside(x - centre, period)).sum())
    if abs(net) > NEUTRAL * max(inside, 1e-300):
        raise InputError(
            f"One period of {period:.6g} Å around x_b carries {net:.6g} {points.unit}: the bulk is not neutral, so its "
            "surface charge would change with x_b. Correct the period or the charges, or give bulk."
        )
    return ends


def crystal_surface_charge(points: PointCharges, period: float, x_low: float) -> Measurement:
    """σ = -(1/a) Σ q_i (x_i - x_L) of a crystal of neutral cells that begins at x_L (eq. 58).

    points  the charges of one cell, between x_L and x_L + a
    period  a [Å]
    x_low   x_L [Å]

    Raises InputError for a cell with net charge, and for charges outside the cell.
    """
    x, q = np.asarray(points.positions), np.asarray(points.charges)
    if not (isfinite(period) and period > 0 and isfinite(x_low)):
        raise InputError(f"period = {period}, x_low = {x_low}: give a positive length and a position in Å.")
    if abs(points.total) > NEUTRAL * points.gross:
        raise InputError(
            f"The cell carries {points.total:.6g} {points.unit}: eq. 58 holds for neutral cells alone. Correct the "
            "charges."
        )
    if x[0] < x_low or x[-1] > x_low + period:
        raise InputError(
            f"Charges from {x[0]:.6g} to {x[-1]:.6g} Å leave the cell, {x_low:.6g} to {x_low + period:.6g} Å: give "
            "those of one cell, where it begins."
        )
    return Measurement(-float((q * (x - x_low)).sum()) / period, points.unit, 4e-16 * points.gross)


@dataclass(frozen=True, eq=False)
class MolecularCharge(Result):
    """Macroscopic charge of molecules, exactly and to the order of their dipoles.

    position    (n,) [Å]
    exact       Σ q μ(x - x_i) over all charges [unit of the charges per Å]
    free        Σ over molecules of their net charge
    bound       -dP/dx
    dipoles     (n,) P: Σ of their dipoles about their origins [unit of the charges]
    residual    exact - free - bound: second moments of the molecules and higher
    unit        of exact, free, bound and residual
    """

    position: Array
    exact: Array
    free: Array
    bound: Array
    dipoles: Array
    residual: Array
    eps: float
    unit: str = "e/Å"
    provenance: tuple[Mapping[str, Any], ...] = ()
    columns: ClassVar[tuple[str, ...]] = ("position", "exact", "free", "bound", "dipoles", "residual")

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        parts = (("charge", self.exact), ("  free", self.free), ("  bound", self.bound), ("left out", self.residual))
        rows = [(name, f"{part.min():.6g} to {part.max():.6g} {self.unit}") for name, part in parts]
        return (("Macroscopic charge of molecules", (("kernel", f"Gaussian, eps {self.eps:g} Å"), *rows)),)


def molecular_charge(
    molecules: Sequence[tuple[float | None, Sequence[Sequence[float]]]],
    x: ArrayLike,
    eps: float,
    *,
    unit: str = "e/Å",
) -> MolecularCharge:
    """Free and bound charge of molecules under a Gaussian kernel, and what they leave out (III.4).

    molecules  (origin, ((offset, charge), …)) each: positions are origin + offset [Å]; origin None for a molecule
               without net charge, whose offsets are positions and whose dipole does not depend on an origin
    x          where [Å]
    eps        width of the kernel [Å], twice its standard deviation
    unit       of the result: "e/Å^3" for charges per area

    Raises InputError for a charged molecule without an origin; KernelError unless eps is positive.
    """
    if not (isfinite(eps) and eps > 0):
        raise KernelError(f"eps = {eps}: give a positive kernel width in Å.")
    at = np.atleast_1d(np.asarray(x, dtype=np.float64))
    if not np.isfinite(at).all():
        raise InputError("A position x is not finite: give positions in Å.")
    std = eps / 2

    def gauss(away: Array) -> Array:
        return np.asarray(np.exp(-0.5 * (away / std) ** 2) / (sqrt(2 * pi) * std))

    exact, free, bound, dipoles = (np.zeros(len(at)) for _ in range(4))
    for number, (origin, parts) in enumerate(molecules, 1):
        offset, charge = np.array(parts, dtype=np.float64).reshape(-1, 2).T
        net = float(charge.sum())
        if origin is None:
            if abs(net) > NEUTRAL * float(np.abs(charge).sum()):
                raise InputError(
                    f"Molecule {number} carries {net:.6g} e and has no origin, on which its dipole depends: give one."
                )
            centre = float(offset.mean())
            offset = offset - centre
        else:
            centre = float(origin)
        dipole = float((charge * offset).sum())
        away = at - centre
        exact += (charge * gauss(away[:, None] - offset)).sum(axis=1)
        free += net * gauss(away)
        dipoles += dipole * gauss(away)
        bound += dipole * away / std**2 * gauss(away)
    step = {"step": "molecular charge", "molecules": len(molecules), "eps": eps}
    return MolecularCharge(at, exact, free, bound, dipoles, exact - free - bound, eps, unit, (step,))
