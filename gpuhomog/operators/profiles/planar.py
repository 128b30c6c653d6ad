"""Planar average: the mean of a field over each plane of one family, as a function of distance along their normal.

    p[k] = (1/N) Σ f over the N points of plane k            planes of an axis; the planar average of eq. 48
    p(x) = Σ_n f̃[n h, n k, n l] e^{i n G x}                  planes (h k l);  G = |h b1 + k b2 + l b3|,  d = 2π/G

The axis form is exact for triclinic cells too: grid points carry equal area, so no metric enters; positions
are distances along the normal, x_k = k V/(A N), not k |c|/N. The plane waves of a periodic field that are
constant in the planes (h k l) are those of wavevector n G, so their coefficients are the whole profile: nothing is
interpolated. G·r is an integer multiple of 2π/L at every grid point, L = lcm(N1, N2, N3); points of equal phase are
summed first, which is one read of the field, and L sums give all harmonics below the Nyquist index.

In   Field (n_a, n_b, n_c), any unit, any device, whole or slab.
Out  Profile, same unit, float64 on the host, equal on every rank. Position 0 is the plane through point [0, 0, 0].

>>> import gpuhomog as gh
>>> field = gh.Field.from_array(np.indices((2, 2, 4))[2], np.diag([1.0, 1.0, 8.0]))
>>> gh.planar_average(field, "c").values
array([0., 1., 2., 3.])
>>> x, y, _ = np.indices((8, 8, 1)) * (2 * np.pi / 8)
>>> field = gh.Field.from_array(np.cos(x + y), np.diag([3.0, 4.0, 5.0]))
>>> profile = gh.planar_average(field, (1, 1, 0))
>>> print(f"{profile.length:.6f} {profile.values[0]:.6f}")
2.400000 1.000000
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import gcd, lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, warn
from ...field import Field
from ...grid import AXIS_NAMES, OPEN, Grid, axis_index
from ...parallel import Slab
from ...reduction import SUM, Arrays, Reduction
from ...results import Profile

FEWEST_HARMONICS = 3
"""Below this many harmonics of the plane spacing a profile says nothing about the planes."""

Planes = int | str | Sequence[int]


def parse_planes(planes: Planes) -> int | tuple[int, int, int]:
    """An axis index, or the integers (h, k, l) of a lattice plane family as the user wrote them.

    Raises InputError for anything that is neither.

    >>> parse_planes("c"), parse_planes("110"), parse_planes("1,-1,2"), parse_planes("(1 -1 0)"), parse_planes("-c")
    (2, (1, 1, 0), (1, -1, 2), (1, -1, 0), (0, 0, -1))
    """
    if isinstance(planes, str) and planes.strip().lower() in ("-a", "-b", "-c"):
        reverse = [0, 0, 0]
        reverse[axis_index(planes.strip().lower()[1])] = -1
        return reverse[0], reverse[1], reverse[2]
    if isinstance(planes, str) and planes.strip().lower() in ("a", "b", "c", "0", "1", "2"):
        return axis_index(planes.strip().lower())
    if isinstance(planes, int | np.integer) and not isinstance(planes, bool):
        return axis_index(int(planes))
    if isinstance(planes, str):
        text = planes.strip().strip("()").strip()
        spaced = re.split(r"[\s,]+", text)
        words = spaced if len(spaced) > 1 else re.findall(r"[+-]?\d|.", text)
    else:
        words = list(planes) if isinstance(planes, Sequence | np.ndarray) else [planes]
    try:
        indices = tuple(int(w) for w in words)
        if len(indices) != 3 or any(isinstance(w, float) and w != int(w) for w in words):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f'Planes {planes!r} are not understood: give an axis (0, 1, 2, "a", "b", "c") or three integers '
            'h, k, l of a lattice plane family, as (1, 1, 0), "110" or "1,-1,2".'
        ) from None
    return indices[0], indices[1], indices[2]


def _family_name(indices: Sequence[int]) -> str:
    return f"({' '.join(map(str, indices))})"


def plane_name(planes: Planes) -> str:
    """The one name of a plane family, as Profile.planes has it; InputError as parse_planes.

    >>> plane_name(2), plane_name("C"), plane_name((0, 0, 1)), plane_name("0 -1 0"), plane_name("110")
    ('c', 'c', 'c', '-b', '(1 1 0)')
    """
    known = parse_planes(planes)
    if isinstance(known, int):
        return AXIS_NAMES[known]
    indices = reduced_indices(known)
    cut = [i for i in range(3) if indices[i]]
    if len(cut) == 1:
        return f"{'-' if indices[cut[0]] < 0 else ''}{AXIS_NAMES[cut[0]]}"
    return _family_name(indices)


def planar_average(field: Field, axis: Planes) -> Profile:
    """Mean of a field over the planes of an axis, or of a lattice plane family (h k l).

    field  Field, any unit
    axis   0, 1, 2 or "a", "b", "c": the grid planes normal to that reciprocal axis, one value a plane;
           (h, k, l), "h k l", "hkl" or "h,k,l": the lattice planes normal to h b1 + k b2 + l b3, over one
           spacing d, at 2 H + 1 equally spaced positions, H the number of harmonics below the Nyquist index

    A family with one index only, (0 0 1), is that axis. Source: theory of excess fields on planes of any
    orientation, eqs. 48 and 51 of the paper in three dimensions.

    Raises InputError for an unknown axis; for h = k = l = 0; for planes that cut an axis with an open boundary;
    and if fewer than three harmonics of the spacing fit on the grid. Indices with a common divisor are divided
    by it, with an AccuracyWarning.
    """
    if not isinstance(field, Field):
        raise InputError(
            f"A planar average is of a Field, and this is a {type(field).__name__}: gh.Field.from_array(values, cell, "
            "quantity=…) makes one of an array."
        )
    planes = parse_planes(axis)
    if isinstance(planes, int):
        return _axis_average(field, planes)
    indices = reduced_indices(planes)
    cut = [i for i in range(3) if indices[i]]
    if len(cut) == 1:
        return _axis_average(field, cut[0], reverse=indices[cut[0]] < 0)
    name = plane_name(indices)
    for i in cut:
        if field.grid.boundary[i] == OPEN:
            raise InputError(
                f"Planes {name} cut axis {AXIS_NAMES[i]}, whose boundary is open: they form no periodic family there. "
                f"Average over the planes of an axis instead, or read the field with a periodic {AXIS_NAMES[i]}."
            )
    n_harmonics = min((field.grid.shape[i] - 1) // (2 * abs(indices[i])) for i in cut)
    if n_harmonics < FEWEST_HARMONICS:
        raise InputError(
            f"The grid of {' x '.join(map(str, field.grid.shape))} points is too coarse for the planes {name}: "
            f"it resolves {n_harmonics} harmonics of their spacing, {FEWEST_HARMONICS} are needed. Use a finer grid "
            "or planes of smaller indices."
        )
    strides, n_bins = family_bins(field.grid, indices)
    (sums,) = field.reduce(family_sums(strides, n_bins))  # local, combine
    coefficients = np.fft.rfft(sums)[: n_harmonics + 1] / field.grid.n_points  # finish
    n = 2 * n_harmonics + 1
    wavevector = np.array(indices) @ field.grid.reciprocal
    length = float(2 * np.pi / np.linalg.norm(wavevector))
    return Profile(
        position=np.linspace(0.0, length, n, endpoint=False),
        values=np.fft.irfft(coefficients * n, n),
        unit=field.unit,
        quantity=field.quantity,
        length=length,
        planes=name,
        normal=wavevector / np.linalg.norm(wavevector),
        area=field.grid.volume / length,
        precision=field.precision,
        structure=field.structure,
        provenance=(*field.provenance, {"step": "planar average", "planes": name, "harmonics": n_harmonics}),
    )


def family_sums(strides: tuple[int, int, int], n_bins: int) -> Reduction:
    """(n_bins,) sums over the points of equal phase."""

    def local(device: Any, values: Any, slab: Slab) -> Arrays:
        sums = device.plane_family_sum(values, strides, n_bins)
        return (np.roll(sums, strides[slab.axis] * slab.start % n_bins),)

    return Reduction(f"sums of {n_bins} phases, strides {strides}", local, (SUM,))


def family_bins(grid: Grid, indices: tuple[int, int, int]) -> tuple[tuple[int, int, int], int]:
    """Strides s and number of bins L with G·r = 2π (s · (i, j, k))/L at every grid point; L as small as can be."""
    n_bins = lcm(*(n for n, index in zip(grid.shape, indices, strict=True) if index))
    strides = [index * (n_bins // n) if index else 0 for n, index in zip(grid.shape, indices, strict=True)]
    common = gcd(n_bins, *strides)
    s_a, s_b, s_c = (s // common % (n_bins // common) for s in strides)
    return (s_a, s_b, s_c), n_bins // common


def _axis_average(field: Field, axis: int, reverse: bool = False) -> Profile:
    """Planar average over the grid planes of an axis; reversed, along the opposite normal from the same plane."""
    if reverse and field.grid.boundary[axis] == OPEN:
        raise InputError(
            f"Axis {AXIS_NAMES[axis]} has an open boundary: its profile runs along +{AXIS_NAMES[axis]} only. "
            f'Give axis="{AXIS_NAMES[axis]}" and reverse the profile.'
        )
    return profile_of_planes(field, axis, field.plane_sums(axis) / field.grid.points_per_plane(axis), reverse)


def profile_of_planes(field: Field, axis: int, mean: NDArray[np.float64], reverse: bool = False) -> Profile:
    """The profile of an axis from the mean of each of its planes."""
    name = AXIS_NAMES[axis]
    return Profile(
        position=field.grid.plane_positions(axis),
        values=np.roll(mean[::-1], 1) if reverse else mean,
        unit=field.unit,
        quantity=field.quantity,
        length=field.grid.height(axis),
        boundary=field.grid.boundary[axis],
        planes=f"-{name}" if reverse else name,
        normal=-field.grid.normal(axis) if reverse else field.grid.normal(axis),
        area=field.grid.area(axis),
        precision=field.precision,
        structure=field.structure,
        provenance=(*field.provenance, {"step": "planar average", "planes": f"-{name}" if reverse else name}),
    )


def reduced_indices(indices: tuple[int, int, int]) -> tuple[int, int, int]:
    """Indices without a common divisor; InputError if all are zero, AccuracyWarning if they were divided."""
    common = gcd(*indices)
    if common == 0:
        raise InputError("Planes (0 0 0) have no normal: give at least one index that is not zero.")
    coprime = (indices[0] // common, indices[1] // common, indices[2] // common)
    if common > 1:
        warn(
            f"Planes {_family_name(indices)} are taken as {_family_name(coprime)}: the indices of lattice planes have "
            "no common divisor, and the profile covers the spacing of those planes."
        )
    return coprime
