"""Averaging kernels: the weight mu(u; eps) of a mesoscale average, its transform, moments and tails.

    <nu; mu>(x) = ∫ nu(x + u) mu(u; eps) du,   ∫ mu du = 1,   eps = 2 std        paper eqs. 16-20
    mu(u; eps)  = mu(u/eps; 1)/eps                                                eq. 16
    mu^(k)      = ∫ mu(u) e^{-iku} du;  the average multiplies the mode k by mu^(-k)

eps is twice the standard deviation of the kernel per Cartesian component, in Å. Three geometries:

    isotropic   Gaussian, Ball, PowerLaw: live in Cartesian space, mu^ is a function of |k|, right on any cell;
                in one dimension they act through their projection on a line. Disc: the same in a plane.
    cell axes   Box, given by its full widths along the cell's axes: a parallelepiped on a non-orthogonal cell.
    orthogonal  TopHat, Sampled: one-dimensional kernels given by eps, along each axis of an orthogonal cell.

Box and TopHat can never be confused: Box(w) has full width w, TopHat(eps) full width sqrt(3) eps.

In   eps or width in Å; wavevectors in 1/Å.
Out  frozen kernels. Errors: KernelError for parameters with which no kernel exists.

>>> gaussian = Gaussian(2.0)
>>> round(float(gaussian.transform(1.0)), 6), round(gaussian.r_mu, 9)
(0.606531, 1.128379167)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from math import erfc as erfc_of_one
from math import factorial, log, pi, sqrt
from typing import Any, ClassVar

import numpy as np
import scipy  # its parts are imported when first used
from numpy.typing import ArrayLike, NDArray

from .errors import KernelError, warn
from .grid import axis_index

Array = NDArray[np.float64]

ISOTROPIC, PLANE, CELL_AXES, ORTHOGONAL_AXES = "isotropic", "plane", "cell axes", "orthogonal axes"


def _positive(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise KernelError(f"{name} = {value!r}: give one positive number in Å.") from None
    if not (np.isfinite(number) and number > 0):
        raise KernelError(f"{name} = {value}: a kernel needs a positive, finite {name} in Å.")
    return number


def _sinc(z: Any) -> Any:
    """Sine of z over z."""
    return np.sinc(np.asarray(z) / pi)


@dataclass(frozen=True, eq=False)
class AveragingKernel:
    """What every kernel has. Lengths in Å, wavevectors in 1/Å."""

    eps: float

    name: ClassVar[str] = ""
    geometry: ClassVar[str] = ISOTROPIC
    is_complex: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "eps", _positive(self.eps, "eps"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AveragingKernel) and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash(self._numbers)

    @property
    def _numbers(self) -> tuple[Any, ...]:
        """What kernels that do the same have in common."""
        values = (getattr(self, one.name) for one in fields(self))
        return type(self), *(value.tobytes() if isinstance(value, np.ndarray) else value for value in values)

    def density(self, u: ArrayLike) -> Array:
        """Value of the kernel mu(u) on a line [1/Å] (of its projection, for a kernel in more dimensions)."""
        raise KernelError(f"{self.name} has no density on a line.")

    def cumulative(self, u: ArrayLike) -> Array:
        """Mass of the line kernel below u, from 0 to 1."""
        raise KernelError(f"{self.name} has no cumulative mass on a line.")

    def transform(self, k: ArrayLike) -> NDArray[Any]:
        """Fourier transform mu^(k) at wavevectors of any shape; 1 at k = 0."""
        raise KernelError(f"{self.name} has no transform.")

    def moment(self, order: int) -> float:
        """∫ u^order mu(u) du [Å^order] of the line kernel; KernelError where the integral diverges."""
        raise KernelError(f"{self.name} has no moments.")

    def cutoff(self, tolerance: float) -> float:
        """Wavevector beyond which |mu^| stays below the tolerance [1/Å]; inf if that is nowhere useful."""
        return float("inf")

    def truncated_mass(self, reach: float) -> float:
        """Mass of the line kernel at abs(u) > reach."""
        return float(1.0 - self.cumulative(reach) + self.cumulative(-reach))

    def reach(self, tolerance: float) -> float:
        """Smallest distance beyond which the truncated mass is at most the tolerance [Å]."""
        raise KernelError(f"{self.name} has no reach.")

    @property
    def curvature(self) -> float:
        """Second derivative of the line kernel at its centre, mu''(0; eps) [1/Å^3], eq. 17: it scales as eps^-3."""
        raise KernelError(f"{self.name} has no second derivative at its centre.")

    @property
    def full_width(self) -> float:
        """Width the kernel needs on an axis [Å]: its support, or 2 eps where the support is infinite."""
        return 2 * self.eps

    @property
    def r_mu(self) -> float:
        """sqrt(2) mu(0) eps of the uncertainty relation, eq. 26."""
        return float(sqrt(2) * self.density(0.0) * self.eps)

    def describe(self) -> dict[str, Any]:
        """Plain description for provenance."""
        return {"kernel": self.name, "eps": self.eps}


class Gaussian(AveragingKernel):
    """Gaussian of standard deviation eps/2, isotropic: mu^(k) = exp(-k² eps²/8).

    eps  2 std [Å]
    """

    name = "gaussian"

    def density(self, u: ArrayLike) -> Array:
        """Line density sqrt(2/π)/eps exp(-2 u²/eps²) [1/Å]."""
        z = np.asarray(u, dtype=np.float64) / self.eps
        return np.asarray(sqrt(2 / pi) / self.eps * np.exp(-2 * z * z))

    def cumulative(self, u: ArrayLike) -> Array:
        """Normal distribution."""
        return np.asarray(0.5 * (1 + scipy.special.erf(sqrt(2) * np.asarray(u, dtype=np.float64) / self.eps)))

    def transform(self, k: ArrayLike) -> Array:
        """Gaussian of k."""
        z = np.asarray(k, dtype=np.float64) * self.eps
        return np.asarray(np.exp(z * z / -8))

    def moment(self, order: int) -> float:
        """(order - 1)!! std^order, zero for odd orders."""
        if order % 2:
            return 0.0
        return factorial(order) / (2 ** (order // 2) * factorial(order // 2)) * (self.eps / 2) ** order

    def cutoff(self, tolerance: float) -> float:
        """Where the Gaussian falls to the tolerance."""
        return sqrt(-8 * log(tolerance)) / self.eps

    def truncated_mass(self, reach: float) -> float:
        """Two tails of the normal distribution, without cancellation."""
        return erfc_of_one(sqrt(2) * reach / self.eps)

    def reach(self, tolerance: float) -> float:
        """From erfc(z) < exp(-z²)."""
        return sqrt(-log(tolerance) / 2) * self.eps

    @property
    def curvature(self) -> float:
        """-4 mu(0)/eps²."""
        return float(-4 * self.density(0.0) / self.eps**2)


class TopHat(AveragingKernel):
    """The paper's one-dimensional top-hat, full width sqrt(3) eps, eq. 19; on a grid along each orthogonal axis.

    eps  2 std = width/sqrt(3) [Å]
    """

    name = "tophat"
    geometry = ORTHOGONAL_AXES

    @property
    def full_width(self) -> float:
        """Support sqrt(3) eps [Å]."""
        return sqrt(3) * self.eps

    def density(self, u: ArrayLike) -> Array:
        """One over the width inside, half of it at the edges."""
        half = self.full_width / 2
        z = np.abs(np.asarray(u, dtype=np.float64))
        return np.asarray(np.where(z < half, 1.0, np.where(z == half, 0.5, 0.0)) / (2 * half))

    def cumulative(self, u: ArrayLike) -> Array:
        """Straight line from 0 to 1 across the width."""
        return np.asarray(np.clip(np.asarray(u, dtype=np.float64) / self.full_width + 0.5, 0.0, 1.0))

    def transform(self, k: ArrayLike) -> Array:
        """Sine of z over z, z = k width/2."""
        return np.asarray(_sinc(np.asarray(k, dtype=np.float64) * self.full_width / 2))

    def moment(self, order: int) -> float:
        """(width/2)^order / (order + 1), zero for odd orders."""
        return 0.0 if order % 2 else (self.full_width / 2) ** order / (order + 1)

    def truncated_mass(self, reach: float) -> float:
        """What of the width lies outside."""
        return max(0.0, 1 - 2 * reach / self.full_width)

    def reach(self, tolerance: float) -> float:
        """Half the width, exactly."""
        return self.full_width / 2

    @property
    def curvature(self) -> float:
        """Zero."""
        return 0.0


@dataclass(frozen=True, eq=False)
class Box(AveragingKernel):
    """Box given by its full width along the cell's axes: a parallelepiped where the cell is not orthogonal.

    width  one number, or one for each axis a, b, c, along the axis [Å]; eps = width/sqrt(3) of the first axis
    """

    width: float | tuple[float, float, float] = field(default=0.0)
    name: ClassVar[str] = "box"
    geometry: ClassVar[str] = CELL_AXES

    def __init__(self, width: float | Iterable[float]) -> None:
        try:
            widths = [float(w) for w in np.atleast_1d(np.asarray(width, dtype=np.float64))]
        except (TypeError, ValueError):
            raise KernelError(f"Box width {width!r}: give one width in Å, or three.") from None
        if len(widths) not in (1, 3):
            raise KernelError(f"Box of {len(widths)} widths: give one width in Å, or three (along a, b, c).")
        for w in widths:
            _positive(w, "width")
        object.__setattr__(self, "width", widths[0] if len(widths) == 1 else tuple(widths))
        object.__setattr__(self, "eps", widths[0] / sqrt(3))

    def along(self, axis: int) -> TopHat:
        """The one-dimensional top-hat that the box is along an axis."""
        width = self.width[axis] if isinstance(self.width, tuple) else self.width
        return TopHat(width / sqrt(3))

    def _line(self) -> TopHat:
        if isinstance(self.width, tuple) and len(set(self.width)) > 1:
            raise KernelError("A box of three widths is not one kernel on a line: use .along(axis).")
        return self.along(0)

    @property
    def full_width(self) -> float:
        """Largest width [Å]."""
        return max(self.width) if isinstance(self.width, tuple) else self.width

    def density(self, u: ArrayLike) -> Array:
        """Of the top-hat of that width."""
        return self._line().density(u)

    def cumulative(self, u: ArrayLike) -> Array:
        """Of the top-hat of that width."""
        return self._line().cumulative(u)

    def transform(self, k: ArrayLike) -> Array:
        """Of the top-hat of that width, along an axis."""
        return self._line().transform(k)

    def moment(self, order: int) -> float:
        """Of the top-hat of that width."""
        return self._line().moment(order)

    def reach(self, tolerance: float) -> float:
        """Half the largest width."""
        return self.full_width / 2

    @property
    def curvature(self) -> float:
        """Zero."""
        return 0.0

    def describe(self) -> dict[str, Any]:
        """Name and widths."""
        return {"kernel": self.name, "width": self.width}


class Ball(AveragingKernel):
    """Uniform ball of radius sqrt(5) eps/2: mu^(k) = 3 (sin z - z cos z)/z³, z = |k| R.

    eps  2 std per Cartesian component [Å]
    """

    name = "ball"

    @property
    def radius(self) -> float:
        """Radius sqrt(5) eps/2 [Å]."""
        return sqrt(5) * self.eps / 2

    @property
    def full_width(self) -> float:
        """Diameter [Å]."""
        return 2 * self.radius

    def density(self, u: ArrayLike) -> Array:
        """Projected on a line: 3/(4R) (1 - u²/R²)."""
        z = np.asarray(u, dtype=np.float64) / self.radius
        return np.asarray(0.75 / self.radius * np.clip(1 - z * z, 0.0, None))

    def cumulative(self, u: ArrayLike) -> Array:
        """Cubic across the diameter."""
        z = np.clip(np.asarray(u, dtype=np.float64) / self.radius, -1.0, 1.0)
        return np.asarray(0.5 + 0.75 * (z - z**3 / 3))

    def transform(self, k: ArrayLike) -> Array:
        """By the series below z = 1, where the closed form loses digits."""
        z2 = (np.asarray(k, dtype=np.float64) * self.radius) ** 2
        small = z2 < 1.0
        series = np.ones(np.shape(z2))
        for n in range(9, 0, -1):
            series = 1 - np.where(small, z2, 0.0) / (2 * n * (2 * n + 3)) * series
        z = np.sqrt(np.where(small, 1.0, z2))
        return np.asarray(np.where(small, series, 3 * (np.sin(z) - z * np.cos(z)) / z**3))

    def moment(self, order: int) -> float:
        """3 R^order / ((order + 1)(order + 3)), zero for odd orders."""
        return 0.0 if order % 2 else 3 * self.radius**order / ((order + 1) * (order + 3))

    def reach(self, tolerance: float) -> float:
        """The radius."""
        return self.radius

    @property
    def curvature(self) -> float:
        """Of the projection: -3/(2R³)."""
        return -1.5 / self.radius**3


@dataclass(frozen=True, eq=False)
class Disc(AveragingKernel):
    """Uniform disc of radius eps in the planes normal to an axis; nothing is averaged across them.

    mu^(k) = 2 J1(z)/z, z = |k in the plane| R.

    eps   2 std per component in the plane = the radius [Å]
    axis  0, 1, 2 or "a", "b", "c": the axis whose grid planes hold the disc
    """

    axis: int = 2
    name: ClassVar[str] = "disc"
    geometry: ClassVar[str] = PLANE

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "axis", axis_index(self.axis))

    @property
    def full_width(self) -> float:
        """Diameter [Å]."""
        return 2 * self.eps

    def density(self, u: ArrayLike) -> Array:
        """Projected on a line in the plane: 2/(πR) sqrt(1 - u²/R²)."""
        z = np.asarray(u, dtype=np.float64) / self.eps
        return np.asarray(2 / (pi * self.eps) * np.sqrt(np.clip(1 - z * z, 0.0, None)))

    def cumulative(self, u: ArrayLike) -> Array:
        """Of the projection."""
        z = np.clip(np.asarray(u, dtype=np.float64) / self.eps, -1.0, 1.0)
        return np.asarray(0.5 + (z * np.sqrt(1 - z * z) + np.arcsin(z)) / pi)

    def transform(self, k: ArrayLike) -> Array:
        """Airy pattern of the disc."""
        z = np.asarray(k, dtype=np.float64) * self.eps
        safe = np.where(z == 0, 1.0, z)
        return np.asarray(np.where(z == 0, 1.0, 2 * scipy.special.j1(safe) / safe))

    def moment(self, order: int) -> float:
        """R^order times the Catalan number over 4^(order/2), zero for odd orders."""
        half = order // 2
        return (
            0.0 if order % 2 else (self.eps / 2) ** order * factorial(order) / (factorial(half) * factorial(half + 1))
        )

    def reach(self, tolerance: float) -> float:
        """The radius."""
        return self.eps

    def describe(self) -> dict[str, Any]:
        """Name, radius and axis."""
        return {"kernel": self.name, "eps": self.eps, "axis": self.axis}


class PowerLaw(AveragingKernel):
    """A kernel that is not Schwartz: mu(u) = 8/(3πb) (1 + (u/b)²)^-3 on a line, b = sqrt(3) eps/2.

    mu^(k) = (3 + 3q + q²) e^{-q}/3, q = b |k|; in space the isotropic kernel is proportional to (1 + (r/b)²)^-4.

    eps  2 std per Cartesian component [Å]
    """

    name = "powerlaw"

    @property
    def b(self) -> float:
        """Length sqrt(3) eps/2 [Å]."""
        return sqrt(3) * self.eps / 2

    def density(self, u: ArrayLike) -> Array:
        """On a line."""
        z = np.asarray(u, dtype=np.float64) / self.b
        return np.asarray(8 / (3 * pi * self.b) * (1 + z * z) ** -3)

    def cumulative(self, u: ArrayLike) -> Array:
        """Closed form of the integral."""
        z = np.asarray(u, dtype=np.float64) / self.b
        w = 1 + z * z
        return np.asarray(0.5 + (8 / (3 * pi)) * (z / (4 * w * w) + 3 * z / (8 * w) + 0.375 * np.arctan(z)))

    def transform(self, k: ArrayLike) -> Array:
        """A polynomial times an exponential."""
        q = self.b * np.abs(np.asarray(k, dtype=np.float64))
        return np.asarray((3 + q * (3 + q)) * np.exp(-q) / 3)

    def moment(self, order: int) -> float:
        """Finite up to order 4: 1, b²/3, b⁴; KernelError above."""
        if order % 2:
            return 0.0
        if order > 4:
            raise KernelError(
                f"powerlaw: the moment of order {order} diverges (mu falls as u^-6): use an order below 5."
            )
        return {0: 1.0, 2: self.b**2 / 3, 4: self.b**4}[order]

    def cutoff(self, tolerance: float) -> float:
        """By iteration of q = log((3 + 3q + q²)/(3 tolerance))."""
        q = 1.0
        for _ in range(60):
            q = log((3 + q * (3 + q)) / (3 * tolerance))
        return q / self.b

    def truncated_mass(self, reach: float) -> float:
        """Both tails; the leading term of the asymptotic series where the closed form cancels."""
        z = reach / self.b
        if z > 30:
            return 16 / (15 * pi) * z**-5 * (1 - 15 / (7 * z * z))
        return float(2 * self.cumulative(-reach))

    def reach(self, tolerance: float) -> float:
        """From the leading term of the tail, an upper bound."""
        return float(self.b * (16 / (15 * pi * tolerance)) ** 0.2)

    @property
    def curvature(self) -> float:
        """-6 mu(0)/b²."""
        return float(-6 * self.density(0.0) / self.b**2)


@dataclass(frozen=True, eq=False)
class Sampled(AveragingKernel):
    """A kernel that you sampled: weights w at equally spaced u, piecewise constant, rescaled to eps.

        s0 = Σ w h,  ubar = Σ u w h/s0,  var = Σ (u - ubar)² w h/s0 + h²/12,  eps_raw = 2 sqrt(var)
        mu(u; eps) = (eps_raw/eps) w(ubar + u eps_raw/eps)/s0                               eq. 16

    Kernels that are not symmetric are used as eq. 18 says: <nu>(x) = ∫ nu(x + u) mu(u) du.

    u    (n,) equally spaced, any unit of length (only the shape matters)
    w    (n,) weights; the last ones must be below 1e-6 of the largest
    eps  2 std of the kernel to use [Å]

    Raises KernelError for no mass, no variance, tails cut off, no finite second moment (a Lorentzian).
    Warns (AccuracyWarning) where weights are negative or the kernel is skewed.
    """

    u: Array = field(default_factory=lambda: np.zeros(0))
    w: Array = field(default_factory=lambda: np.zeros(0))
    name: ClassVar[str] = "sampled"
    geometry: ClassVar[str] = ORTHOGONAL_AXES
    is_complex: ClassVar[bool] = True

    def __init__(self, u: ArrayLike, w: ArrayLike, eps: float) -> None:
        eps = _positive(eps, "eps")
        points = np.array(u, dtype=np.float64).reshape(-1)
        weights = np.array(w, dtype=np.float64).reshape(-1)
        if len(points) != len(weights) or len(points) < 3:
            raise KernelError(
                f"sampled: {len(points)} points and {len(weights)} weights: give two equal lists, 3 or more."
            )
        if not (np.isfinite(points).all() and np.isfinite(weights).all()):
            raise KernelError("sampled: NaN or infinity among the points or weights: repair them.")
        h = (points[-1] - points[0]) / (len(points) - 1)
        if not h > 0 or np.abs(np.diff(points) - h).max() > 1e-6 * h:
            raise KernelError("sampled: the points must be equally spaced and increasing: resample the kernel.")
        mass = weights.sum() * h
        if abs(mass) < 1e-12 * np.abs(weights).sum() * h or not np.abs(weights).any():
            raise KernelError(
                "sampled: the weights sum to zero, so they cannot be normalized: no average has this kernel."
            )
        weights = weights / mass
        centre = (points * weights).sum() * h
        _refuse_heavy_tails(points - centre, weights)
        variance = ((points - centre) ** 2 * weights).sum() * h + h * h / 12
        if not variance > 0:
            raise KernelError(
                f"sampled: its variance {variance:.3g} is not positive: eps has no meaning for this kernel."
            )
        scale = eps / (2 * sqrt(variance))
        third = ((points - centre) ** 3 * weights).sum() * h
        if weights.min() < -1e-12 * weights.max():
            warn("sampled kernel: some weights are negative; averages may exceed the field's range.")
        if abs(third) > 1e-6 * variance**1.5:
            warn("sampled kernel: it is skewed; <nu>(x) = ∫ nu(x+u) mu(u) du is not symmetric.")
        object.__setattr__(self, "eps", eps)
        object.__setattr__(self, "u", (points - centre) * scale)
        object.__setattr__(self, "w", weights / scale)

    @property
    def step(self) -> float:
        """Distance between samples after rescaling [Å]."""
        return float((self.u[-1] - self.u[0]) / (len(self.u) - 1))

    @property
    def full_width(self) -> float:
        """Support, all samples [Å]."""
        return float(self.u[-1] - self.u[0] + self.step)

    def density(self, u: ArrayLike) -> Array:
        """Weight of the sample interval that holds u."""
        at = np.floor((np.asarray(u, dtype=np.float64) - self.u[0]) / self.step + 0.5).astype(np.int64)
        inside = (at >= 0) & (at < len(self.w))
        return np.asarray(np.where(inside, self.w[np.clip(at, 0, len(self.w) - 1)], 0.0))

    def cumulative(self, u: ArrayLike) -> Array:
        """Piecewise linear, exact."""
        edges = self.u[0] + self.step * (np.arange(len(self.u) + 1) - 0.5)
        mass = np.concatenate([[0.0], np.cumsum(self.w) * self.step])
        return np.asarray(np.interp(np.asarray(u, dtype=np.float64), edges, mass / mass[-1]))

    def transform(self, k: ArrayLike) -> NDArray[np.complex128]:
        """Sum over the samples, complex for a skewed kernel."""
        wavevector = np.asarray(k, dtype=np.float64)
        phases = np.exp(-1j * wavevector.reshape(-1, 1) * self.u)
        return np.asarray((phases @ self.w).reshape(wavevector.shape) * self.step * _sinc(wavevector * self.step / 2))

    def moment(self, order: int) -> float:
        """Exact for the piecewise constant kernel."""
        upper, lower = self.u + self.step / 2, self.u - self.step / 2
        return float((self.w * (upper ** (order + 1) - lower ** (order + 1))).sum() / (order + 1))

    def reach(self, tolerance: float) -> float:
        """The farther end."""
        return float(max(-self.u[0], self.u[-1]) + self.step / 2)

    def describe(self) -> dict[str, Any]:
        """Name, eps and the number of samples."""
        return {"kernel": self.name, "eps": self.eps, "samples": len(self.u)}


def _refuse_heavy_tails(u: Array, w: Array) -> None:
    """KernelError if w ends above 1e-6 of its maximum, or falls no faster than |u|^-3 on either side."""
    largest = np.abs(w).max()
    for side in (-1, 1):
        distance, weight = side * u, np.abs(w)
        end = distance.max()
        outer = weight[distance > 0.9 * end]
        inner = weight[(distance > 0.45 * end) & (distance <= 0.55 * end)]
        if not outer.size or not inner.size or outer.mean() < 1e-13 * largest:
            continue
        falls_as = log(max(inner.mean(), 1e-300) / outer.mean()) / log(0.95 / 0.5)
        if falls_as < 3.05:
            raise KernelError(
                f"sampled: kernel has no finite second moment (u² w(u) does not fall toward the ends: "
                f"w ~ u^-{falls_as:.1f}), so eps has no meaning. If it really ends there, add samples that are zero."
            )
        last = weight[np.argmax(distance)]
        if last > 1e-6 * largest:
            raise KernelError(
                f"sampled: tail truncated, the last weight is {last / largest:.1e} of the largest (mass of about "
                f"{last * end / 5:.1e} is missing). Sample farther out, to below 1e-6."
            )


@dataclass(frozen=True, eq=False)
class Stages(AveragingKernel):
    """Several kernels one after another, the average of the average: transforms multiply, variances add.

    kernels  the stages, in any order; eps = sqrt(Σ eps_i²)                                 theory: IV, VI.J
    """

    kernels: tuple[AveragingKernel, ...] = ()
    name: ClassVar[str] = "stages"

    def __init__(self, *kernels: AveragingKernel) -> None:
        if not kernels or not all(isinstance(k, AveragingKernel) for k in kernels):
            raise KernelError("Stages: give one averaging kernel or more, as in Stages(Gaussian(2), Gaussian(5)).")
        flat = [s for k in kernels for s in (k.kernels if isinstance(k, Stages) else (k,))]
        object.__setattr__(self, "kernels", tuple(flat))
        object.__setattr__(self, "eps", sqrt(sum(k.eps**2 for k in flat)))

    def transform(self, k: ArrayLike) -> NDArray[Any]:
        """Product of the transforms (on a line)."""
        product: NDArray[Any] = np.asarray(self.kernels[0].transform(k))
        for kernel in self.kernels[1:]:
            product = product * kernel.transform(k)
        return product

    def cutoff(self, tolerance: float) -> float:
        """The smallest of the stages'."""
        return min(k.cutoff(tolerance) for k in self.kernels)

    def truncated_mass(self, reach: float) -> float:
        """An upper bound: compact stages take their reach, the others share what is left of it."""
        tailed = [k for k in self.kernels if k.truncated_mass(k.reach(1e-16)) > 0]
        left = reach - sum(k.reach(1e-16) for k in self.kernels if k not in tailed)
        if left <= 0:
            return 1.0
        widths = sum(k.eps for k in tailed)
        return min(1.0, sum(k.truncated_mass(left * k.eps / widths) for k in tailed))

    def reach(self, tolerance: float) -> float:
        """Sum of the stages'."""
        return sum(k.reach(tolerance / len(self.kernels)) for k in self.kernels)

    @property
    def full_width(self) -> float:
        """Sum of the stages' [Å]."""
        return sum(k.full_width for k in self.kernels)

    def describe(self) -> dict[str, Any]:
        """The stages' descriptions."""
        return {"kernel": self.name, "eps": self.eps, "stages": [k.describe() for k in self.kernels]}


def gaussian_tail(distance: ArrayLike, eps: float) -> Array:
    """Mass of Gaussian(eps) beyond a signed distance, F_mu = erfc(sqrt(2) t/eps)/2: smooth from 1 to 0, eq. 36."""
    from scipy.special import erfc

    return np.asarray(0.5 * erfc(sqrt(2) * np.asarray(distance, dtype=np.float64) / eps))


__all__ = [
    "AveragingKernel",
    "Ball",
    "Box",
    "Disc",
    "Gaussian",
    "PowerLaw",
    "Sampled",
    "Stages",
    "TopHat",
    "gaussian_tail",
]
