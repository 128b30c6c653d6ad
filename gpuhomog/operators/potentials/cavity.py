"""Lorentz's cavity: charge, dipole and field of the spheres around a point A of a crystal, sharp or of whole cells.

    q(R)      = Σ_G ρ_G e^{iG·A} 4πR² j1(GR)/G                        charge evacuated; the cavity's surface has -q
    p(R)/V    = Σ_G ρ_G e^{iG·A} iĜ 3 j2(GR)/G                        dipole evacuated, over the sphere's volume
    E_near(R) = -Σ_G ρ_G e^{iG·A} (iĜ/ε0G) [1 - j0(GR)],   E_out = E_periodic - E_near          G ≠ 0; section XIII.D
    E_sharp   = mean of E_near over radii                            = E_periodic: what is cut sharply averages out
    E_intact  = near field of whole neutral cells                    = E_periodic - P/(3ε0)

For smooth ρ, q grows as R, p/V and E_out fall as 1/R and oscillate about zero: their averages over a window a of
radii, and by a triangle from R - 2a to R + 2a, are smaller still, so no macroscopic field comes from cells that are cut
anywhere. Of whole cells it does: the dipole density P of the cell depends on how the crystal is divided, and E_intact
with it, so that E_intact + P/(3ε0) does not. Lorentz's term is right with the near field that belongs to it, and absent
with the other. All fields are those of tin-foil boundaries: the field of charged surfaces and the applied one come on
top.

Averages over radii are exact: antiderivatives of j0, j2 and R² j1, with the sine integral, at the ends of the windows.
E_intact of Gaussian ions is summed over cells in real space, with a soft sphere wide enough for rounding; that of a
density on a grid follows from P and the identity above.

In   periodic Field of quantity charge_density; or a BuildingBlock of Gaussians, the whole cell, and its lattice.
Out  LorentzCavity: e, e/Å^2, V/Å, host, equal on every rank.

>>> ions = [GaussianCharge(1.0, 0.5), GaussianCharge(-1.0, 0.6, centre=(2.5, 2.0, 2.0))]
>>> found = lorentz_cavity(BuildingBlock.of_parts("pair", ions), (0, 0, 0), [9.7, 30.0], cell=4.0 * np.eye(3))
>>> f"{found.q[0]:.6f} e, {found.E_periodic[0]:.6f} = {found.E_intact[0]:.6f} + {found.P_over_3eps0[0]:.6f} V/Å"
'6.519760 e, -0.428341 = 1.927795 + -2.356136 V/Å'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, pi, sqrt
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, counted
from ...fft import RowsOfModes
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, Grid
from ...results import Result, Tables
from ...streaming import RowsOnDisk, Unread
from ...units import COULOMB_CONSTANT, FOUR_PI_KAPPA, is_rounding
from ..charge import absolute_sum
from ..excess.charge_profile import check_charge
from ..profiles.planar import planar_average
from .bethe import BuildingBlock, GaussianCharge
from .poisson import NEUTRAL

Array = NDArray[np.float64]

CLOSED = 1e-16
"""Modes of Gaussians below this fraction of their charge are left out."""
SHELL_BITS = 2.0**42
"""Wavevectors whose squares agree to this fraction of the largest are one shell."""
SOFT = 5.7
"""Half width of the soft sphere, in units of the length of its error function: erfc is rounding there."""
PER_BIN, PHASE = 20, 4.0
"""Wavevectors that stand for all in a bin, and the largest phase kR over half of it: errors (PHASE/2)^n/n! = 4e-13."""
BINS_FROM = 4
"""Bins begin this many widths above k = 0, near which 1/k is not smooth."""
NUMBERS_A_MODE = 130
"""Of 8 bytes, that a mode of a row takes while it goes to its shell."""
EVALUATED_AT_ONCE = 2_000_000
"""Radii times shells."""
SAME_PLACE = 1e-6
"""A point this near to a charge is inside it [Å]."""


@dataclass(frozen=True, eq=False)
class LorentzCavity(Result):
    """A sphere around A, for each radius.

    centre      (3,) A [Å]
    radii       (n,) R [Å]
    q           (n,) charge within R [e]
    p_over_V    (n, 3) dipole within R about A, over 4πR³/3 [e/Å^2]
    E_near      (n, 3) field at A of the charge within R [V/Å]
    E_out       (n, 3) of all beyond it
    width       a [Å]: of the averages over radii
    q_tophat, p_over_V_tophat, E_out_tophat  means over R - a/2 … R + a/2; NaN (null in files) for R < a/2
    q_triangle, p_over_V_triangle, E_out_triangle  over R - 2a … R + 2a with a triangle's weights; NaN for R < 2a
    rms         root mean square over the radii of q, p/V and E_out: as they are, and averaged in both ways
    E_periodic  (3,) field at A with tin-foil boundaries [V/Å]
    E_sharp     (3,) mean of E_near over the radii, by triangles where they are
    E_sharp_uncertainty  root mean square of what they leave of E_out [V/Å]
    E_intact    (3,) near field of whole neutral cells [V/Å]
    P_cell      (3,) dipole density of the cell [e/Å^2]
    P_over_3eps0  (3,) [V/Å]
    invariant   (3,) E_intact + P/(3ε0) [V/Å]: the same for every cell of one crystal
    intact_by   "whole cells", summed in real space, or "identity", from P and E_periodic
    cell        what was taken as the whole cell
    boundary    what the fields leave out
    """

    centre: Array
    radii: Array
    q: Array
    p_over_V: Array
    E_near: Array
    E_out: Array
    width: float
    q_tophat: Array
    p_over_V_tophat: Array
    E_out_tophat: Array
    q_triangle: Array
    p_over_V_triangle: Array
    E_out_triangle: Array
    rms: Mapping[str, tuple[float, float | None, float | None]]
    E_periodic: Array
    E_sharp: Array
    E_sharp_uncertainty: float
    E_intact: Array
    P_cell: Array
    P_over_3eps0: Array
    invariant: Array
    intact_by: str
    cell: str
    boundary: str = "tin-foil: the fields of charged surfaces and of external sources are not in it"
    provenance: tuple[Mapping[str, Any], ...] = ()

    columns: ClassVar[tuple[str, ...]] = (
        "radii",
        *(f"{name}{how}" for name in ("q", "p_over_V", "E_out") for how in ("", "_tophat", "_triangle")),
        "E_near",
    )

    def tables(self) -> Tables:
        """As the terminal shows it: the fields at A, then what the spheres leave, under titles."""
        fields = [
            ("periodic", _vector(self.E_periodic)),
            ("near, cut sharply", f"{_vector(self.E_sharp)} ± {self.E_sharp_uncertainty:.2g}"),
            ("near, whole cells", f"{_vector(self.E_intact)}, {self._route()}"),
            ("P/3ε0 of that cell", _vector(self.P_over_3eps0)),
            ("whole cells + P/3ε0", _vector(self.invariant)),
            ("boundary", self.boundary),
        ]
        title = (
            f"Around ({', '.join(f'{x:.4f}' for x in self.centre)}) Å, {counted(len(self.radii), 'radius', 'radii')}"
        )
        left = [("P of the cell", f"{_vector(self.P_cell)} e/Å^2, {self.cell}")]
        units = {"q": "e", "p_over_V": "e/Å^2", "E_out": "V/Å"}
        for name, label in (("q", "q"), ("p_over_V", "p/V"), ("E_out", "E beyond R")):
            raw, tophat, triangle = self.rms[name]
            others = ", ".join(
                f"{value:.3g} {how}"
                for value, how in (
                    (tophat, f"over {self.width:.4g} Å"),
                    (triangle, f"by triangles of ± {2 * self.width:.4g} Å"),
                )
                if value is not None
            )
            left.append((f"{label}, rms", f"{raw:.3g} {units[name]}{', ' if others else ''}{others}"))
        return ("Field at A [V/Å]", tuple(fields)), (title, tuple(left))

    def _route(self) -> str:
        return "summed over cells" if self.intact_by == "whole cells" else "by the identity"


def _vector(values: Array) -> str:
    told = [0.0 if is_rounding(float(x), "V/Å") else float(x) for x in values]
    return f"({', '.join(f'{x:.8g}' for x in told)})"


@dataclass(frozen=True, eq=False)
class _Shells:
    """Modes of one |G| together, -G with G: what depends on A and ρ alone.

    k      (n,) |G| [1/Å]
    even   (n,) Σ Re ρ_G e^{iG·A} [e/Å^3]
    odd    (n, 3) Σ Re iĜ ρ_G e^{iG·A}
    """

    k: Array
    even: Array
    odd: Array


def _fewer(shells: _Shells, reach: float) -> _Shells:
    """Shells whose sums of smooth functions of kR, R up to `reach`, are the same; in most cells far fewer.

    In a bin of k such a function is its polynomial through PER_BIN Chebyshev points, so the coefficients of the shells
    in it go to these points, by the Lagrange polynomials.
    """
    width = 2 * PHASE / reach
    which = (shells.k / width).astype(np.intp)
    which, k = which[which >= BINS_FROM], shells.k[which >= BINS_FROM]
    bins, at = np.unique(which, return_inverse=True)
    if len(k) <= 2 * PER_BIN * len(bins):
        return shells
    alone = len(shells.k) - len(k)  # shells are in order
    turn = (np.arange(PER_BIN) + 0.5) * pi / PER_BIN
    nodes, weights = np.cos(turn), np.sin(turn) * (-1.0) ** np.arange(PER_BIN)
    values = np.column_stack([shells.even, shells.odd])[alone:]
    moved = np.zeros((4, PER_BIN * len(bins)))
    for start in range(0, len(k), EVALUATED_AT_ONCE // PER_BIN):
        some = slice(start, start + EVALUATED_AT_ONCE // PER_BIN)
        apart = (2 * (k[some] / width - which[some]) - 1)[:, None] - nodes
        apart[apart == 0] = 1e-300
        shares = weights / apart
        shares /= shares.sum(axis=1, keepdims=True)
        place = (at.ravel()[some, None] * PER_BIN + np.arange(PER_BIN)).ravel()
        for i in range(4):
            moved[i] += np.bincount(place, (shares * values[some, i, None]).ravel(), moved.shape[1])
    points = ((bins[:, None] + (nodes + 1) / 2) * width).ravel()
    return _Shells(
        np.concatenate([shells.k[:alone], points]),
        np.concatenate([shells.even[:alone], moved[0]]),
        np.concatenate([shells.odd[:alone], moved[1:].T]),
    )


def lorentz_cavity(
    charge: Field | BuildingBlock,
    centre: ArrayLike,
    radii: ArrayLike,
    *,
    cell: ArrayLike | None = None,
    width: float | None = None,
) -> LorentzCavity:
    """Lorentz's cavity around a point: what is in spheres, and the field at their centre by every partition.

    charge  charge_density, periodic along all axes; or a block of Gaussians, which is then the whole neutral cell
    centre  (3,) A, Cartesian [Å]
    radii   (n,) positive [Å]
    cell    (3, 3) lattice vectors as rows [Å]; of a block only
    width   a [Å] of averages over radii; by default the shortest lattice vector

    Of a field the whole cell is that of its grid, which begins at its first point. Source: section XIII.D of the paper.
    Raises InputError for another quantity, an open axis, a net cell charge, a centre inside a point charge (its own
    field is undefined), parts that are no Gaussians, and numbers that are not positive.
    """
    place, r = _checked(centre, radii)
    if isinstance(charge, Field):
        if cell is not None:
            raise InputError("A field has its own cell: leave cell out.")
        a = window_of(charge.grid.cell, width)
        crystal = _crystal_of_field(charge, place, float(r.max()) + 2 * a)
    else:
        crystal = _crystal_of_block(charge, cell, place)
        a = window_of(crystal.lattice, width)
    periodic = -FOUR_PI_KAPPA * (crystal.shells.odd / crystal.shells.k[:, None]).sum(axis=0)
    shells = _fewer(crystal.shells, float(r.max()) + 2 * a)
    found = {
        "plain": _in_spheres(shells, r, a, 0),
        "tophat": _in_spheres(shells, r, a, 1),
        "triangle": _in_spheres(shells, r, 2 * a, 2),
    }
    lorentz = FOUR_PI_KAPPA / 3 * crystal.dipole
    if isinstance(charge, Field):
        intact, intact_by = periodic - lorentz, "identity"
    else:
        intact, intact_by = _whole_cells(charge, crystal.lattice, place), "whole cells"
    best = next(found[how].outside for how in ("triangle", "tophat", "plain") if not np.isnan(found[how].outside).all())
    left = best[~np.isnan(best).any(axis=1)]
    return LorentzCavity(
        centre=place,
        radii=r,
        q=found["plain"].q,
        p_over_V=found["plain"].p,
        E_near=periodic - found["plain"].outside,
        E_out=found["plain"].outside,
        width=a,
        q_tophat=found["tophat"].q,
        p_over_V_tophat=found["tophat"].p,
        E_out_tophat=found["tophat"].outside,
        q_triangle=found["triangle"].q,
        p_over_V_triangle=found["triangle"].p,
        E_out_triangle=found["triangle"].outside,
        rms={
            name: tuple(_rms(getattr(found[how], attribute)) for how in ("plain", "tophat", "triangle"))  # type: ignore[misc]
            for name, attribute in (("q", "q"), ("p_over_V", "p"), ("E_out", "outside"))
        },
        E_periodic=periodic,
        E_sharp=periodic - left.mean(axis=0),
        E_sharp_uncertainty=float(np.sqrt((left**2).sum(axis=1).mean())),
        E_intact=intact,
        P_cell=crystal.dipole,
        P_over_3eps0=lorentz,
        invariant=intact + lorentz,
        intact_by=intact_by,
        cell=crystal.name,
        provenance=(
            *crystal.provenance,
            {"step": "Lorentz cavity", "centre": place.tolist(), "radii": len(r), "width": a, "cell": crystal.name},
        ),
    )


def _checked(centre: ArrayLike, radii: ArrayLike) -> tuple[Array, Array]:
    """As arrays; InputError unless they are a place and positive lengths."""
    place = np.array(centre, dtype=np.float64)
    if place.shape != (3,) or not np.isfinite(place).all():
        raise InputError(f"centre = {centre!r}: give three finite numbers in Å.")
    r = np.array(radii, dtype=np.float64).reshape(-1)
    if not r.size or not np.isfinite(r).all() or r.min() <= 0:
        raise InputError("radii: give at least one, each positive and finite, in Å.")
    return place, r


def _rms(values: Array) -> float | None:
    """Over the radii that have a value; of the vectors' lengths."""
    lengths = np.abs(values) if values.ndim == 1 else np.linalg.norm(values, axis=1)
    known = lengths[~np.isnan(lengths)]
    return float(np.sqrt((known**2).mean())) if known.size else None


def window_of(lattice: Array, width: float | None) -> float:
    """The window over which radii are averaged; InputError unless it is positive."""
    a = float(np.linalg.norm(lattice, axis=1).min()) if width is None else float(width)
    if not (isfinite(a) and a > 0):
        raise InputError(f"width = {width}: give a positive length in Å.")
    return a


@dataclass(frozen=True, eq=False)
class _Crystal:
    """What cavities take of a field or a block: the modes around A, and the cell, which `name` names."""

    lattice: Array
    shells: _Shells
    dipole: Array
    name: str
    provenance: tuple[Mapping[str, Any], ...] = ()


def _crystal_of_field(charge: Field, centre: Array, reach: float) -> _Crystal:
    """Its cell is that of the grid; reach [Å] of the spheres."""
    _check_field(charge)
    charge = charge.internal()
    shells = _shells_of_field(charge, centre, reach)
    name = "the cell of the grid, from its first point on"
    return _Crystal(charge.grid.cell, shells, _dipole_of_field(charge), name, charge.provenance)


def _crystal_of_block(block: BuildingBlock, cell: ArrayLike | None, centre: Array) -> _Crystal:
    """Its cell is the block."""
    lattice = _check_block(block, cell, centre)
    dipole = block.dipole / abs(np.linalg.det(lattice))
    return _Crystal(lattice, _shells_of_block(block, lattice, centre), dipole, f"block {block.name}")


def _check_field(density: Field) -> None:
    """InputError unless it is a neutral charge density, periodic along all axes."""
    check_charge(density.quantity, "A Lorentz cavity")
    for axis in range(3):
        if density.grid.boundary[axis] == OPEN:
            raise InputError(
                f"Axis {AXIS_NAMES[axis]} is open: a Lorentz cavity lies in a crystal that goes on. Read the field "
                f"with a periodic {AXIS_NAMES[axis]}."
            )
    (magnitude,) = density.reduce(absolute_sum())
    gross = float(magnitude[0]) * density.grid.volume / density.grid.n_points
    net = density.integral()
    if abs(net) > NEUTRAL * gross:
        raise InputError(
            f"net cell charge q={net:.4g} e: the dipole of the cell depends on its origin, and the field of the "
            "crystal grows with it. Add what is missing (gh.charge_balance tells)."
        )


def _check_block(block: BuildingBlock, cell: ArrayLike | None, centre: Array) -> Array:
    """The lattice; InputError unless the block is neutral, of Gaussians with a width, none of them a point at A."""
    if cell is None:
        raise InputError(f'The lattice of block "{block.name}" is missing: give cell, three vectors as rows in Å.')
    grid = Grid((1, 1, 1), np.asarray(cell, dtype=np.float64))
    if abs(block.charge) > NEUTRAL * block.gross:
        raise InputError(
            f"net cell charge q={block.charge:.4g} e: the dipole of the cell depends on its origin, and the field of "
            "the crystal grows with it. Add what is missing to the block."
        )
    if not block.parts or not all(isinstance(part, GaussianCharge) for part in block.parts):
        raise InputError(f'Block "{block.name}" does not consist of Gaussians: give its ions as GaussianCharge.')
    for part in block.parts:
        assert isinstance(part, GaussianCharge)
        if part.std > 0:
            continue
        away = grid.fractional(centre - np.asarray(part.centre))
        if np.linalg.norm((away - np.rint(away)) @ grid.cell) < SAME_PLACE:
            raise InputError(
                f"A inside a point charge: self-field undefined at ({', '.join(f'{x:.6g}' for x in centre)}) Å. Give "
                "the charge a width, std: a Gaussian has no field at its own centre."
            )
        raise InputError(
            f'Block "{block.name}" holds a point charge, of which the modes do not converge: give it a width, std, '
            "well below the distances of the ions."
        )
    return grid.cell


def _grouped(square: Array, even: Array, odd: Array, largest: float) -> tuple[Array, Array, Array]:
    """Sums over the modes of a shell: their |G|², which agree to rounding, and the two kinds of coefficients."""
    keys, which = np.unique(np.rint(square * (SHELL_BITS / largest)), return_inverse=True)
    n, which = len(keys), which.ravel()
    count = np.bincount(which, minlength=n)
    vectors = np.stack([np.bincount(which, odd[:, i], n) for i in range(3)], axis=1)
    common = np.bincount(which, square, n) / count
    return common, np.asarray(np.bincount(which, even, n), dtype=np.float64), np.asarray(vectors, dtype=np.float64)


def _joined(parts: Sequence[tuple[Array, Array, Array]], largest: float) -> tuple[Array, Array, Array]:
    """The shells of all parts."""
    none: tuple[Array, Array, Array] = (np.zeros(0), np.zeros(0), np.zeros((0, 3)))
    square, even, odd = (np.concatenate(arrays) for arrays in zip(*(parts or [none]), strict=True))
    return _grouped(square, even, odd, largest)


def _shells_of_field(density: Field, centre: Array, reach: float) -> _Shells:
    """From the spectrum of the grid; modes N/2 of even axes, which have no sign, are left out.

    reach  of the spheres [Å]: shells of a spectrum that is larger than memory are joined for it row by row
    """
    grid, values = density.grid, density.values
    spectrum: RowsOfModes | RowsOnDisk
    if isinstance(values, Unread):
        spectrum = RowsOnDisk(values, NUMBERS_A_MODE)
    else:
        spectrum = RowsOfModes(density.device, values, density.slab, density.comm, density.largest_of(values))
    at = grid.fractional(centre)
    order, modes, shape = spectrum.order, spectrum.modes, spectrum.shape
    rows = grid.reciprocal
    largest = float((np.abs(rows).sum(axis=1) * np.array(grid.shape)).sum()) ** 2
    kept = [np.where(2 * np.abs(mode) == n, 0.0, 1.0) for mode, n in zip(modes, shape, strict=True)]
    waves = [np.exp(2j * pi * mode * at[axis]) * keep for mode, axis, keep in zip(modes, order, kept, strict=True)]
    waves[2] = waves[2] * np.where(modes[2] == 0, 1.0, 2.0)  # of G and -G one is in the spectrum
    parts = []
    for i, line in spectrum:
        if kept[1][i]:
            c = line * np.multiply.outer(waves[0], waves[2]) * waves[1][i]
            along = modes[0][:, None, None] * rows[order[0]] + modes[2][None, :, None] * rows[order[2]]
            parts.append(_of_modes((along + modes[1][i] * rows[order[1]]).reshape(-1, 3), c.ravel(), largest))
            if isinstance(values, Unread):
                few = _fewer(_shells_of(_joined(parts, largest)), reach)
                parts = [(few.k**2, few.even, few.odd)]
    mine = _joined(parts, largest)
    if density.comm.size > 1:
        square, even, odd = (density.comm.concatenate(part) for part in mine)
        mine = _grouped(square, even, odd, largest)
    return _shells_of(mine)


def _shells_of(sums: tuple[Array, Array, Array]) -> _Shells:
    """By |G| instead of its square."""
    return _Shells(np.sqrt(sums[0]), sums[1], sums[2])


def _of_modes(g: Array, c: NDArray[np.complex128], largest: float) -> tuple[Array, Array, Array]:
    """The sums of some modes by |G|, G = 0 left out."""
    square = np.einsum("ij,ij->i", g, g)
    some = square > 0
    square, g, c = square[some], g[some], c[some]
    odd = -c.imag[:, None] * g / np.sqrt(square)[:, None]
    return _grouped(square, c.real, odd, largest)


def _shells_of_block(block: BuildingBlock, lattice: Array, centre: Array) -> _Shells:
    """From the transforms of the Gaussians, up to where the narrowest is rounding."""
    ions = [part for part in block.parts if isinstance(part, GaussianCharge)]
    cutoff = sqrt(-2 * np.log(CLOSED)) / min(ion.std for ion in ions)
    reciprocal = 2 * pi * np.linalg.inv(lattice).T
    most = np.ceil(cutoff * np.linalg.norm(lattice, axis=1) / (2 * pi)).astype(int)
    volume = abs(float(np.linalg.det(lattice)))
    second, third = (np.arange(-n, n + 1.0) for n in most[1:])
    parts = []
    for first in range(most[0] + 1):
        n = np.stack(np.meshgrid([float(first)], second, third, indexing="ij"), axis=-1).reshape(-1, 3)
        if first == 0:  # of G and -G one
            n = n[(n[:, 1] > 0) | ((n[:, 1] == 0) & (n[:, 2] > 0))]
        g = n @ reciprocal
        square = np.einsum("ij,ij->i", g, g)
        g, square = g[square <= cutoff**2], square[square <= cutoff**2]
        c = np.zeros(len(g), dtype=np.complex128)
        for ion in ions:
            c += ion.charge * np.exp(1j * (g @ (centre - np.asarray(ion.centre))) - square * ion.std**2 / 2)
        parts.append(_of_modes(g, 2 * c / volume, cutoff**2))
    return _shells_of(_joined(parts, cutoff**2))


def _dipole_of_field(density: Field) -> Array:
    """Dipole per volume of the cell that begins at the first point, (1/Ω) ∫ρ r: Σ_n Im ρ_n/(πn) along each axis."""
    dipole = np.zeros(3)
    for axis in range(3):
        values = planar_average(density, axis).values
        n = np.arange(1, (len(values) - 1) // 2 + 1)
        coefficients = np.fft.rfft(values)[1 : len(n) + 1] / len(values)
        dipole += float((coefficients.imag / (pi * n)).sum()) * density.grid.cell[axis]
    return dipole


@dataclass(frozen=True, eq=False)
class _Spheres:
    """For each radius, or averaged over radii around it: charge, dipole density, field of all beyond."""

    q: Array
    p: Array
    outside: Array


def _in_spheres(shells: _Shells, radii: Array, width: float, passes: int) -> _Spheres:
    """Sums over shells for each radius, averaged over `passes` windows of a width; NaN where they reach below R = 0.

    The mean of f over one window is [F(R + w/2) - F(R - w/2)]/w of its antiderivative F, over two it is
    [F(R + w) - 2F(R) + F(R - w)]/w² of the antiderivative of that.
    """
    ends = {0: ((0.0, 1.0),), 1: ((0.5, 1.0), (-0.5, -1.0)), 2: ((1.0, 1.0), (0.0, -2.0), (-1.0, 1.0))}[passes]
    kinds = _antiderivatives(passes)
    out = _Spheres(np.zeros(len(radii)), np.zeros((len(radii), 3)), np.zeros((len(radii), 3)))
    k = shells.k
    block = max(1, EVALUATED_AT_ONCE // max(1, len(k)))
    for start in range(0, len(radii), block):
        some = slice(start, start + block)
        charge, dipole, field = 0.0, 0.0, 0.0
        for shift, weight in ends:
            x = np.multiply.outer(radii[some] + shift * width, k)
            first, second, third = (kind(x) for kind in kinds)
            scale = weight / (k * width) ** passes
            charge = charge + (first * scale) @ (4 * pi * shells.even / k**3)
            dipole = dipole + (second * scale) @ (3 * shells.odd / k[:, None])
            field = field + (third * scale) @ (-FOUR_PI_KAPPA * shells.odd / k[:, None])
        out.q[some], out.p[some], out.outside[some] = charge, dipole, field
    for values in (out.q, out.p, out.outside):
        values[radii < passes * width / 2 * (1 - 1e-12)] = np.nan
    return out


def _antiderivatives(passes: int) -> Sequence[Any]:
    """x² j1, j2 and j0, or their first or second antiderivatives."""
    from scipy.special import sici, spherical_jn

    def sine_integral(x: Array) -> Array:
        return np.asarray(sici(x)[0])

    if passes == 0:
        return (
            lambda x: x * x * spherical_jn(1, x),
            lambda x: spherical_jn(2, x),
            lambda x: spherical_jn(0, x),
        )
    if passes == 1:
        return (
            lambda x: -x * np.sin(x) - 2 * np.cos(x),
            lambda x: (sine_integral(x) - 3 * spherical_jn(1, x)) / 2,
            sine_integral,
        )
    return (
        lambda x: x * np.cos(x) - 3 * np.sin(x),
        lambda x: (x * sine_integral(x) + np.cos(x) + 3 * spherical_jn(0, x)) / 2,
        lambda x: x * sine_integral(x) + np.cos(x),
    )


def _whole_cells(block: BuildingBlock, lattice: Array, centre: Array) -> Array:
    """Field at A of whole cells in a soft sphere around it [V/Å].

    The weight erfc((|n| - R0)/w)/2 of a cell has a transform ~ exp(-G² w²/4): with w the sphere is as a continuum of
    cells to rounding, and multipoles beyond the dipole have no field in it. R0 keeps the weight 1 where A is.
    """
    from scipy.special import erf, erfc

    reciprocal = 2 * pi * np.linalg.inv(lattice).T
    around = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ reciprocal
    lengths = np.linalg.norm(around, axis=1)
    w = 2 * SOFT / float(lengths[lengths > 0].min())
    reach = max(float(np.linalg.norm(np.asarray(part.centre) - centre)) for part in block.parts)
    middle = SOFT * w + reach
    outer = middle + SOFT * w
    most = np.ceil(outer * np.linalg.norm(reciprocal, axis=1) / (2 * pi)).astype(int)
    second, third = (np.arange(-n, n + 1.0) for n in most[1:])
    total = np.zeros(3)
    for first in range(-most[0], most[0] + 1):
        n = np.stack(np.meshgrid([float(first)], second, third, indexing="ij"), axis=-1).reshape(-1, 3)
        cells = n @ lattice
        away = np.linalg.norm(cells, axis=1)
        cells, away = cells[away < outer], away[away < outer]
        weight = erfc((away - middle) / w) / 2
        for ion in block.parts:
            assert isinstance(ion, GaussianCharge)
            d = centre - np.asarray(ion.centre) - cells
            r = np.linalg.norm(d, axis=1)
            t = r / (sqrt(2) * ion.std)
            near = t < 1e-3
            t, r = np.where(near, 1.0, t), np.where(near, 1.0, r)
            strength = np.where(
                near, sqrt(2 / pi) / (3 * ion.std**3), (erf(t) - 2 / sqrt(pi) * t * np.exp(-t * t)) / r**3
            )
            total += COULOMB_CONSTANT * ion.charge * ((weight * strength) @ d)
    return total
