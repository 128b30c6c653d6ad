"""Bethe's potential: what a crystal's mean potential against vacuum is if it consists of whole building blocks.

    Φ     = -(1/6ε0Ω) ∫ρ r² d³r  = (Q+/6ε0Ω)(s-² - s+²)          mean over the directions of a facet     eqs. 82, 87
    Φ_n   = -(1/2ε0Ω) ∫ρ (n·r)² d³r                              a facet of normal n
    Φ̄(R)  = -(2π/3ε0Ω) ∫_0^R ρ r⁴ dr + (4πR³/3Ω) [(3/2) κQ(R)/R + (1/ε0) ∫_R^∞ ρ r dr]                      eq. 86
    Φ_2   = Φ_1 - Q A²/(6ε0Ω)          nuclei shared among neighbours at the distance A                      eq. 88

Φ̄(R) is ∫φ d³u/Ω over the sphere |u| < R, in either order of integration: (83) and (90) are the same potential, and
∫_{|u|<R} d³u/|u - r| = 2πR² - (2π/3) r², of which the first term sums to zero for a neutral block and the second is Φ.
Parts need not be concentric: what the sphere sees of each is closed (sphere_terms.py), and of a grid a sum over points.
A block must be neutral and without dipole, otherwise its Φ depends on the origin. Blocks of one crystal that have
different Φ end in different surfaces: the difference is that of their dipole layers, so no value of the bulk alone
exists. A point nucleus is one of width 0; on a grid it must be a Gaussian, whose s+² is what its width takes away.

In   parts of spherical symmetry, or a Field that holds one whole block; Ω in Å^3.
Out  BethePotential: V, host, equal on every rank.

>>> atom = BuildingBlock.of_parts("atom", [GaussianCharge(1.0, 0.3), GaussianCharge(-1.0, 0.8)])
>>> print(f"{bethe_potential(atom, 64.0).spherical.value:.6f} V")
0.777525 V
>>> shared = BuildingBlock.with_shared_nucleus(atom, 4.0 * np.vstack([np.eye(3), -np.eye(3)]))
>>> print(f"{bethe_potential(shared, 64.0).spherical.value:.6f} V")
-6.762112 V
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import dist, gamma, inf, isfinite, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...field import Field
from ...grid import OPEN
from ...parallel import Slab
from ...parallel.exchange import at
from ...reduction import GREATEST, SUM, Arrays, Reduction
from ...results import Measurement, Result, Tables
from ...units import COULOMB_CONSTANT, FOUR_PI_KAPPA, VOLT
from ..averages.streamed import digest_of
from ..charge import absolute_sum
from ..excess.charge_profile import check_charge
from .sphere_terms import sphere_terms, sphere_terms_of_field

Array = NDArray[np.float64]

TOLERANCE = 1e-6
"""Largest |∫ρ| / ∫|ρ| of a neutral block; the dipole may be as much of ∫|ρ| times the block's radius."""
BLOCK_FACE_LEVEL = 1e-4
"""Largest |ρ| on the faces of a block's box, as a fraction of its maximum."""


@dataclass(frozen=True)
class SphericalCharge(ABC):
    """Charge of spherical symmetry around a centre; one of the kinds below.

    charge  ∫ρ [e]
    centre  (3,) [Å]
    """

    charge: float
    centre: tuple[float, float, float] = field(default=(0.0, 0.0, 0.0), kw_only=True)

    def __post_init__(self) -> None:
        place = tuple(float(x) for x in self.centre)
        if len(place) != 3 or not all(isfinite(x) for x in (*place, self.charge)):
            raise InputError(f"A charge of {self.charge} e at {self.centre}: give a finite charge and three finite Å.")
        object.__setattr__(self, "centre", place)

    @property
    def second(self) -> float:
        """∫ρ r² about its own centre [e Å^2]."""
        return self.within(inf)[1]

    @abstractmethod
    def moment(self, low: float, high: float, power: int) -> float:
        """4π ∫ρ r^n dr between two distances from its centre [e Å^(n-2)], n from 1 to 5."""

    def within(self, radius: float) -> tuple[float, float, float]:
        """Q(R) = 4π ∫_0^R ρ r² [e], 4π ∫_0^R ρ r⁴ [e Å^2] and 4π ∫_R^∞ ρ r [e/Å]."""
        return self.moment(0.0, radius, 2), self.moment(0.0, radius, 4), self.moment(radius, inf, 1)

    @property
    def gross(self) -> float:
        """∫|ρ| [e]."""
        return abs(self.charge)

    @property
    def error(self) -> float:
        """Uncertainty of `second` [e Å^2]."""
        return 4e-16 * abs(self.second)

    @property
    def size(self) -> float:
        """Root mean square distance of its charge from its centre [Å]."""
        return sqrt(abs(self.second) / self.gross) if self.gross else 0.0


@dataclass(frozen=True)
class GaussianCharge(SphericalCharge):
    """A Gaussian; std is its standard deviation per Cartesian component [Å], 0 for a point."""

    std: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isfinite(self.std) and self.std >= 0):
            raise InputError(f"std = {self.std}: give the standard deviation in Å, 0 for a point.")

    def moment(self, low: float, high: float, power: int) -> float:
        """By the incomplete Gamma function; a point has its charge at 0."""
        if self.std == 0:
            return self.charge if power == 2 and low <= 0 < high else 0.0
        from scipy.special import gammainc, gammaincc

        half, (first, last) = (power + 1) / 2, (r * r / (2 * self.std**2) for r in (low, high))
        between = gammainc(half, last) - gammainc(half, first)
        if first > half:  # of a tail, without cancellation
            between = gammaincc(half, first) - gammaincc(half, last)
        return float(self.charge * 2 / sqrt(pi) * (sqrt(2) * self.std) ** (power - 2) * gamma(half) * between)


@dataclass(frozen=True)
class BallCharge(SphericalCharge):
    """Of uniform density within a radius [Å]."""

    radius: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isfinite(self.radius) and self.radius > 0):
            raise InputError(f"radius = {self.radius}: give the radius of a ball in Å; a point is a GaussianCharge.")

    def moment(self, low: float, high: float, power: int) -> float:
        """Powers of the radii."""
        low, high = min(low, self.radius), min(high, self.radius)
        return 3 * self.charge / self.radius**3 * (high ** (power + 1) - low ** (power + 1)) / (power + 1)


@dataclass(frozen=True)
class RadialCharge(SphericalCharge):
    """Of any density ρ(r), made by `of_samples` or `of_function`; electrons are negative.

    between    (low, high, n) → 4π ∫ρ r^n between two radii, and its error
    magnitude  ∫|ρ| [e]
    """

    between: Callable[[float, float, int], tuple[float, float]] = field(kw_only=True, repr=False)
    magnitude: float = field(kw_only=True, repr=False)

    @classmethod
    def of_samples(
        cls, radii: ArrayLike, density: ArrayLike, centre: Sequence[float] = (0.0, 0.0, 0.0)
    ) -> RadialCharge:
        """Samples ρ [e/Å^3] at radii from the centre that ascend [Å]: splines of degree 5 through ρ r^n, then zero.

        Below the first radius ρ is constant. Raises InputError for fewer than 8 samples, for radii that do not ascend,
        and for numbers that are not finite.
        """
        r, values = np.array(radii, dtype=np.float64), np.array(density, dtype=np.float64)
        between = _splines(r, values)
        shells = np.abs(values) * r * r
        magnitude = 4 * pi * float((np.diff(r) * (shells[1:] + shells[:-1])).sum()) / 2
        place = (centre[0], centre[1], centre[2])
        return cls(between(0.0, inf, 2)[0], centre=place, between=between, magnitude=magnitude)

    @classmethod
    def of_function(
        cls, density: Callable[[float], float], extent: float = inf, centre: Sequence[float] = (0.0, 0.0, 0.0)
    ) -> RadialCharge:
        """A density ρ(r) [e/Å^3], r from the centre, up to an extent [Å], integrated adaptively.

        Raises InputError for an extent that is not positive.
        """
        if not extent > 0:
            raise InputError(f"extent = {extent}: give the radius where the density ends in Å.")
        between = _quadrature(density, float(extent))
        magnitude = _quadrature(lambda r: abs(density(r)), float(extent))(0.0, inf, 2)[0]
        place = (centre[0], centre[1], centre[2])
        return cls(between(0.0, inf, 2)[0], centre=place, between=between, magnitude=magnitude)

    def moment(self, low: float, high: float, power: int) -> float:
        """By quadrature of the function, or the antiderivatives of the splines."""
        return self.between(low, high, power)[0]

    @property
    def gross(self) -> float:
        """∫|ρ| [e]."""
        return self.magnitude

    @property
    def error(self) -> float:
        """That of the quadrature, or what leaving out every second sample changes."""
        return max(4e-16 * abs(self.second), self.between(0.0, inf, 4)[1])


def _quadrature(density: Callable[[float], float], extent: float) -> Callable[[float, float, int], tuple[float, float]]:
    """(low, high, n) → 4π ∫ρ r^n and its error, adaptively."""
    from scipy.integrate import quad

    def between(low: float, high: float, power: int) -> tuple[float, float]:
        low, high = min(low, extent), min(high, extent)
        if low == high:
            return 0.0, 0.0
        value, error = quad(lambda r: density(r) * r**power, low, high, epsabs=1e-13, epsrel=1e-13, limit=400)
        return 4 * pi * value, 4 * pi * error

    return between


def _splines(radii: Array, density: Array) -> Callable[[float, float, int], tuple[float, float]]:
    """The same through samples; the error is that of half of them."""
    from scipy.interpolate import make_interp_spline

    if radii.ndim != 1 or radii.shape != density.shape or len(radii) < 8:
        raise InputError(
            f"A radial density of {density.shape} values at {radii.shape} radii: give at least 8 of each, as many."
        )
    if not (np.isfinite(radii).all() and np.isfinite(density).all()):
        raise InputError("A radius or density is not finite: repair the table.")
    if radii[0] < 0 or not (np.diff(radii) > 0).all():
        raise InputError("The radii of a density must ascend from 0 or above: sort the table.")

    ends = np.unique([*range(0, len(radii), 2), len(radii) - 1])
    every = np.arange(len(radii))

    @cache
    def antiderivatives(power: int) -> tuple[Any, Any]:
        some = (every, ends if len(ends) >= 6 else every)
        whole, half = (make_interp_spline(radii[i], (density * radii**power)[i], k=5).antiderivative() for i in some)
        return whole, half

    def between(low: float, high: float, power: int) -> tuple[float, float]:
        first, last = radii[0], radii[-1]
        core = density[0] * (min(high, first) ** (power + 1) - min(low, first) ** (power + 1)) / (power + 1)
        limits = [min(max(x, first), last) for x in (low, high)]
        found, coarse = (float(f(limits[1]) - f(limits[0])) for f in antiderivatives(power))
        return 4 * pi * (core + found), 4 * pi * abs(found - coarse)

    return between


@dataclass(frozen=True, eq=False)
class BuildingBlock(Result):
    """What a crystal is put together from: the charge of one cell, kept whole. Made by one of the classmethods.

    name      as results call it
    charge    ∫ρ [e]
    gross     ∫|ρ| [e], of parts one by one
    dipole    (3,) ∫ρ r [e Å]
    second    (3, 3) ∫ρ r r^T [e Å^2]
    error     uncertainty of each of its elements [e Å^2]
    size      distance to which its charge reaches, roughly [Å]
    volume    Ω that it fills [Å^3]; None: stated where it is used
    parts     of spherical symmetry each; () for a block on a grid
    density   of a block on a grid, and
    middle    (3,) its centre, as fractions of the lattice vectors; None for parts
    """

    name: str
    charge: float
    gross: float
    dipole: Array
    second: Array
    error: float
    size: float
    volume: float | None = None
    parts: tuple[SphericalCharge, ...] = field(default=(), repr=False)
    density: Field | None = field(default=None, repr=False)
    middle: Array | None = field(default=None, repr=False)

    @classmethod
    def of_parts(cls, name: str, parts: Sequence[SphericalCharge], volume: float | None = None) -> BuildingBlock:
        """A block of charges of spherical symmetry: nuclei, ions, electron clouds. InputError for none."""
        if not parts:
            raise InputError(f'Building block "{name}" has no parts: give its nuclei and its electrons.')
        q = np.array([part.charge for part in parts])
        c = np.array([part.centre for part in parts])
        own = sum(part.second for part in parts)
        return cls(
            name=name,
            charge=float(q.sum()),
            gross=sum(part.gross for part in parts),
            dipole=np.asarray(q @ c),
            second=np.einsum("i,ij,ik->jk", q, c, c) + own / 3 * np.eye(3),
            error=sum(part.error for part in parts) / 3,
            size=max(float(np.linalg.norm(part.centre)) + part.size for part in parts),
            volume=None if volume is None else check_volume(volume),
            parts=tuple(parts),
        )

    @classmethod
    def with_shared_nucleus(
        cls, atom: BuildingBlock, neighbours: ArrayLike, name: str | None = None, *, nucleus: int = 0
    ) -> BuildingBlock:
        """The block of eq. 88: an atom whose nucleus lies in equal shares on its neighbours' places.

        atom        whole, of concentric parts
        neighbours  (n, 3) places [Å], seen from the atom
        nucleus     which of its parts is shared

        Raises InputError for a block without that part, or without neighbours.
        """
        places = np.atleast_2d(np.asarray(neighbours, dtype=np.float64))
        if places.shape[1:] != (3,) or not 0 <= nucleus < len(atom.parts):
            raise InputError(
                f'Part {nucleus} of the {len(atom.parts)} of "{atom.name}" among neighbours of shape {places.shape}: '
                "give one of its parts, and places (n, 3) in Å."
            )
        core = atom.parts[nucleus]
        if not isinstance(core, GaussianCharge):
            raise InputError("A nucleus that is shared is a point or a Gaussian: give it as a GaussianCharge.")
        share = replace(core, charge=core.charge / len(places))
        shares = [replace(share, centre=tuple(np.asarray(core.centre) + place)) for place in places]
        others = [part for number, part in enumerate(atom.parts) if number != nucleus]
        return cls.of_parts(name or f"{atom.name}, nucleus shared", [*others, *shares], atom.volume)

    @classmethod
    def of_field(
        cls, density: Field, centre: ArrayLike | None = None, *, name: str = "block", volume: float | None = None
    ) -> BuildingBlock:
        """A block given by its charge density on a grid, in a box that holds all of it.

        density  charge_density; a periodic box is cut opposite the centre
        centre   (3,) of the block [Å]; the middle of the box by default
        name, volume  as in BuildingBlock

        Its moments are sums over the grid, exact for a bandlimited density; the error is what leaving out every
        second point along each axis changes. Raises InputError for another quantity, and where charge reaches a face
        of the box.
        """
        check_charge(density.quantity, "A building block")
        density = density.internal()
        grid = density.grid
        middle = np.full(3, 0.5) if centre is None else grid.fractional(np.asarray(centre, dtype=np.float64))
        weights = [_weights(grid.shape[i], float(middle[i]), grid.boundary[i] == OPEN) for i in range(3)]
        faces = [_faces(grid.shape[i], float(middle[i]), grid.boundary[i] == OPEN) for i in range(3)]
        largest = density.reduce(_largest(faces))[0]
        if largest[0] > BLOCK_FACE_LEVEL * largest[1]:
            raise InputError(
                f'Building block "{name}": charge reaches the faces of its box, |ρ| there is '
                f"{largest[0] / largest[1]:.1e} of its maximum, so the block is not whole. Enlarge the box, or give "
                "the centre of the block."
            )
        (sums,) = density.reduce(_moments(weights))
        sums = sums * (grid.volume / grid.n_points)
        whole, half = (_cartesian(part, grid.cell) for part in (sums[:3, :3, :3], sums[3:, 3:, 3:]))
        (magnitude,) = density.reduce(absolute_sum())
        gross = float(magnitude[0]) * grid.volume / grid.n_points
        return cls(
            name=name,
            charge=whole[0],
            gross=gross,
            dipole=whole[1],
            second=whole[2],
            error=float(np.abs(whole[2] - half[2]).max()),
            size=sqrt(abs(float(np.trace(whole[2]))) / gross) if gross else 0.0,
            volume=None if volume is None else check_volume(volume),
            density=density,
            middle=middle,
        )


def _weights(n: int, centre: float, is_open: bool) -> Array:
    """(6, n): powers 0, 1, 2 of the distance from the centre in lattice vectors, then those of every second point."""
    u = np.arange(n) / n - centre
    if not is_open:
        u = (u + 0.5) % 1.0 - 0.5
    powers = np.stack([np.ones(n), u, u * u])
    sparse = np.where(np.arange(n) % 2 == 0, 2.0, 0.0) if n > 1 else np.ones(1)
    return np.concatenate([powers, powers * sparse])


def _faces(n: int, centre: float, is_open: bool) -> tuple[int, ...]:
    """Planes nearest to the faces of the box; none along an axis of one plane."""
    if n == 1:
        return ()
    if is_open:
        return 0, n - 1
    cut = int(np.floor((centre + 0.5) * n))
    return cut % n, (cut + 1) % n


def _moments(weights: Sequence[Array]) -> Reduction:
    """(6, 6, 6) sums of ρ times the weights of the three axes."""

    def local(device: Any, values: Any, slab: Slab) -> Arrays:
        axes = sorted(range(3), key=lambda axis: axis == slab.axis)
        for axis in axes:
            own = weights[axis][:, slab.start : slab.stop] if axis == slab.axis else weights[axis]
            values = device.contract_in_order(values, own, axis)
        return (device.to_host(values).astype(np.float64),)

    return Reduction(f"moments of a block {digest_of(*weights)}", local, (SUM,))


def _largest(faces: Sequence[tuple[int, ...]]) -> Reduction:
    """Largest |value| on the planes, and of all."""

    def local(device: Any, values: Any, slab: Slab) -> Arrays:
        def largest(part: Any) -> float:
            return max(abs(x) for x in device.extrema(part)) if part.size else 0.0

        on_faces = 0.0
        for axis, planes in enumerate(faces):
            for plane in planes:
                start = plane - slab.start if axis == slab.axis else plane
                if axis != slab.axis or slab.start <= plane < slab.stop:
                    on_faces = max(on_faces, largest(values[at(axis, slice(start, start + 1))]))
        return (np.array([on_faces, largest(values)]),)

    return Reduction(f"largest magnitude on planes {tuple(faces)}", local, (GREATEST,))


def _cartesian(sums: Array, cell: Array) -> tuple[float, Array, Array]:
    """Charge, dipole and second moment from the sums over powers of lattice coordinates."""
    first = np.array([sums[1, 0, 0], sums[0, 1, 0], sums[0, 0, 1]])
    second = np.array(
        [
            [sums[2, 0, 0], sums[1, 1, 0], sums[1, 0, 1]],
            [sums[1, 1, 0], sums[0, 2, 0], sums[0, 1, 1]],
            [sums[1, 0, 1], sums[0, 1, 1], sums[0, 0, 2]],
        ]
    )
    return float(sums[0, 0, 0]), np.asarray(first @ cell), np.asarray(cell.T @ second @ cell)


@dataclass(frozen=True, eq=False)
class BethePotential(Result):
    """Mean potential of a crystal of whole blocks against vacuum, by the second moment of a block.

    block       its name
    volume      Ω [Å^3]
    spherical   -(1/6ε0Ω) ∫ρ r² [V], eq. 82: what any facet has if the block's second moment is isotropic
    normal      (3,) unit vector of the facet, None if none was asked for
    block_normal  -Q_nn/(2ε0Ω) [V] of that facet; not defined without a normal
    tensor      (3, 3) -Q_ij/(2ε0Ω) [V]: every facet's value is n·tensor·n
    radius      R of eq. 86 [Å]; None if none was asked for
    within      Φ̄(R) of eq. 86 [V]: (1/Ω) ∫φ d³u over the sphere, for parts anywhere; not defined without a radius
    within_terms  its three terms: second moment, charge within R, charge beyond R [V]
    nuclear_width  what the widths of the positive parts make of `spherical` [V], -Q s+²/(6ε0Ω): take it off for points
    charge      of the positive parts, Q+ of eq. 87 [e]; not defined for a block on a grid
    s_plus, s_minus  root mean square distances of positive and negative parts from the origin [Å], eq. 87
    dipole      (3,) of the block [e Å]
    """

    block: str
    volume: float
    spherical: Measurement
    normal: Array | None
    block_normal: Measurement
    tensor: Array
    radius: float | None
    within: Measurement
    within_terms: tuple[float, float, float] | None
    nuclear_width: Measurement
    charge: Measurement
    s_plus: Measurement
    s_minus: Measurement
    dipole: Array
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """As the terminal shows it: the potential, then what it is made of; rows of name and text under a title."""
        found = [("spherical mean", str(self.spherical))]
        if self.normal is not None:
            found.append((f"facet ({', '.join(f'{x:.4g}' for x in self.normal)})", str(self.block_normal)))
        if self.radius is not None:
            found.append((f"within {self.radius:.4g} Å", str(self.within)))
        how = [
            ("volume", f"{self.volume:.6g} Å^3"),
            ("positive charge", str(self.charge)),
            ("rms distance", f"{self.s_plus} positive, {self.s_minus} negative"),
            ("widths of the positive parts", str(self.nuclear_width)),
        ]
        how += [("note", remark) for remark in self.remarks]
        return (f"Bethe's potential, block {self.block}", tuple(found)), ("How it was found", tuple(how))


def check_volume(volume: float) -> float:
    """The volume; InputError unless it is positive."""
    if not (isfinite(volume) and volume > 0):
        raise InputError(f"volume = {volume}: give the volume that a block fills in Å^3.")
    return float(volume)


def unit_vector(normal: ArrayLike) -> Array:
    """The vector over its length; InputError unless it is three finite numbers, not all zero."""
    n = np.array(normal, dtype=np.float64)
    if n.shape != (3,) or not np.isfinite(n).all() or not n.any():
        raise InputError(f"normal = {normal!r}: give three finite numbers, not all zero.")
    return np.asarray(n / np.linalg.norm(n))


def bethe_potential(
    block: BuildingBlock,
    volume: float | None = None,
    *,
    normal: ArrayLike | None = None,
    radius: float | None = None,
    tolerance: float = TOLERANCE,
) -> BethePotential:
    """Bethe's potential of a declared building block, eqs. 82, 86, 87 and 88.

    block      parts of spherical symmetry, or a grid (BuildingBlock.of_field)
    volume     Ω that a block fills [Å^3]; that of the block by default
    normal     of a facet, Cartesian: its value differs from the spherical mean where the second moment is anisotropic
    radius     R of eq. 86 [Å]: of the sphere about the common centre of all parts, or about the origin where they have
               none; about its own centre for a block on a grid, on every rank of it
    tolerance  largest net charge over ∫|ρ|, and dipole over that times the block's size, that counts as none

    The charge or dipole that is tolerated is in the uncertainty. Raises InputError for a block that is charged or has a
    dipole ("origin dependent"), and for no volume.
    """
    omega = volume if volume is not None else block.volume
    if omega is None:
        raise InputError(f'The volume of building block "{block.name}" is missing: give what it fills, in Å^3.')
    omega = check_volume(omega)
    size = max(block.size, 1e-3)
    _check_moments(block, size, tolerance)
    factor = -FOUR_PI_KAPPA / 2 / omega  # -1/(2ε0Ω)
    moved = abs(block.charge) * size**2 + 2 * float(np.linalg.norm(block.dipole)) * size
    error = abs(factor) * (block.error + moved + 4e-16 * block.gross * size**2)
    tensor = factor * block.second
    spherical = Measurement(float(np.trace(tensor)) / 3, VOLT, error)
    n = None if normal is None else unit_vector(normal)
    facet = Measurement.not_defined(VOLT, "no facet was named: give its normal")
    remarks = []
    if n is not None:
        facet = Measurement(float(n @ tensor @ n), VOLT, error)
        if abs(float(facet) - float(spherical)) > 5 * error + 1e-9 * abs(float(spherical)):
            remarks.append("the second moment is anisotropic: crystals of whole blocks, too, differ between facets")
    on_grid = Measurement.not_defined("e", "the block is given on a grid, nuclei and electrons together")
    charge, s_plus, s_minus = on_grid, replace(on_grid, unit="Å"), replace(on_grid, unit="Å")
    widths = replace(on_grid, unit=VOLT)
    if block.parts:
        charge, s_plus, s_minus = _by_sign(block.parts)
        positive = sum(part.second for part in block.parts if part.charge > 0)
        widths = Measurement(factor / 3 * positive, VOLT)
    within = Measurement.not_defined(VOLT, "no radius was given")
    terms = None
    if radius is not None:
        terms, off = _within(block, omega, radius)
        within = Measurement(sum(terms), VOLT, error + off)
    about = {"block": block.name, "volume": omega, "normal": None if n is None else n.tolist(), "radius": radius}
    return BethePotential(
        block=block.name,
        volume=omega,
        spherical=spherical,
        normal=n,
        block_normal=facet,
        tensor=tensor,
        radius=radius,
        within=within,
        within_terms=terms,
        nuclear_width=widths,
        charge=charge,
        s_plus=s_plus,
        s_minus=s_minus,
        dipole=block.dipole,
        remarks=tuple(remarks),
        provenance=({"step": "Bethe potential", **about},),
    )


def _check_moments(block: BuildingBlock, size: float, tolerance: float) -> None:
    """InputError if it has a charge, or a dipole."""
    if abs(block.charge) > tolerance * block.gross:
        raise InputError(
            f'Building block "{block.name}": charge q={block.charge:.4g} e: Bethe value undefined (it grows with the '
            "crystal). Add what is missing to the block, or raise the tolerance."
        )
    if np.abs(block.dipole).max() > tolerance * block.gross * size:
        p = ", ".join(f"{x:.4g}" for x in block.dipole)
        raise InputError(
            f'Building block "{block.name}": block dipole p=({p}) e Å: Bethe value undefined (origin dependent). '
            "Choose a block without a dipole, or use the slab's own surfaces: gh.inner_potential."
        )


def _by_sign(parts: Sequence[SphericalCharge]) -> tuple[Measurement, Measurement, Measurement]:
    """Q+ and the root mean square distances of the positive and of the negative charge."""
    found = []
    for sign in (1, -1):
        ours = [part for part in parts if part.charge * sign > 0]
        total = sum(part.charge for part in ours)
        square = sum(part.second + part.charge * sum(x * x for x in part.centre) for part in ours)
        if not ours or square * total < 0:
            found.append((total, Measurement.not_defined("Å", "no charge of that sign, or a part of both signs")))
        else:
            found.append((total, Measurement(sqrt(square / total), "Å")))
    return Measurement(found[0][0], "e"), found[0][1], found[1][1]


def _within(block: BuildingBlock, volume: float, radius: float) -> tuple[tuple[float, float, float], float]:
    """The three terms of eq. 86, and the error that a grid adds [V]."""
    if not (isfinite(radius) and radius > 0):
        raise InputError(f"radius = {radius}: give a positive radius in Å.")
    off = 0.0
    if block.density is not None and block.middle is not None:
        sums, off = sphere_terms_of_field(block.density, block.middle, radius)
        inside, square, outside = sums.tolist()
    else:
        about = block.parts[0].centre if len({part.centre for part in block.parts}) == 1 else (0.0, 0.0, 0.0)
        seen = [sphere_terms(part.moment, dist(part.centre, about), radius) for part in block.parts]
        inside, square, outside = (sum(terms) for terms in zip(*seen, strict=True))
    ball = 4 * pi * radius**3 / (3 * volume)
    k = COULOMB_CONSTANT
    terms = -2 * pi * k / (3 * volume) * square, ball * 1.5 * k * inside / radius, ball * k * outside
    return terms, k / volume * off
