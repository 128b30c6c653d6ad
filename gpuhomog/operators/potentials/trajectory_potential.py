"""Electrostatic potential along an axis of a trajectory, with standard errors that come from whole potentials.

    φ(x) = -(1/ε0) Σ_{x_i < x} (q_i/A) (x - x_i)               open: 0, and no field, before all charge
    φ(x) = the same + c_1 x + c_0, c_1 = Σ (q_i/A) (L - x_i)/(ε0 L)   periodic: φ(L) = φ(0), mean 0

Each charge is a sheet where it is, so φ is exact at the positions of the profile, whatever their spacing: the sums of q
and q x up to there are all that enters. Errors of a double integral are not those of its bins, as what a charge does to
φ goes on to the end; each frame has its own φ here, and their scatter, in blocks of frames, is the error.

In   frames: positions, charges and cell, one after another.
Out  Profile [V] with uncertainty; the step between two windows with its own: host.

>>> import gpuhomog as gh
>>> pair = gh.Frame(np.array([[0, 0, 4.0], [0, 0, 6.0]]), np.array([1.0, -1.0]), np.diag([10.0, 10.0, 20.0]))
>>> found = trajectory_potential([pair] * 4, spacing=1.0, boundary="open")
>>> print(f"{found.values[0]:.6f} {found.values[-1]:.6f} {-0.01 * 2 * FOUR_PI_KAPPA:.6f}")
0.000000 -3.619026 -3.619026
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, check_word
from ...grid import OPEN, PERIODIC
from ...results import Measurement, Profile, Result, Tables, between_positions
from ...units import FOUR_PI_KAPPA, VOLT
from ..points.trajectory_average import Blocks, Frame, profile_over_frames
from .poisson import AT_FACES, NEUTRAL

Array = NDArray[np.float64]

SIGNIFICANT = 4.0
"""Standard errors above which the halves of a window differ."""
FLAT = 1e-6
"""Difference of them that nobody needs to know [V]."""


def trajectory_potential(
    frames: Iterable[Frame], spacing: float, *, axis: int | str = "c", boundary: str = PERIODIC
) -> Profile:
    """Mean electrostatic potential along an axis over the frames of a trajectory, with the error of each value.

    frames    positions, charges and cell of each; atoms beyond the cell are put back
    spacing   largest distance of the positions of the profile [Å]; the values do not depend on it
    axis      across whose planes: "a", "b" or "c"
    boundary  of that axis: "periodic", with a mean of 0 over the cell in each frame; "open" for a slab between two
              vacua: 0 below it, where there is no field, and the step of its dipole above

    The value at each position is the mean over its plane of the potential of the charges, without any cutoff. Raises
    InputError as trajectory_profile, for a frame with a net charge, and where charge comes to the ends of an open axis.
    """
    along = _Potentials(boundary)
    return along.checked(profile_over_frames(frames, spacing, axis, along, "electrostatic_potential", along.step))


class _Potentials:
    """The potential of one frame after another at the centres of the cells, as profile_over_frames asks for it."""

    def __init__(self, boundary: str) -> None:
        check_word("boundary", boundary, (PERIODIC, OPEN))
        self.boundary = boundary
        self.step = {"step": "trajectory potential", "boundary": boundary}
        self.visited: Array = np.zeros(0)
        self.n_frames = 0

    def __call__(self, fraction: Array, charges: Array, n_cells: int, length: float, area: float) -> Array:
        gross = float(np.abs(charges).sum())
        if abs(charges.sum()) > NEUTRAL * gross:
            raise InputError(
                f"Frame {self.n_frames} has a net charge of {charges.sum():.4g} e ({abs(charges.sum()) / gross:.1e} of "
                "all its charge), so it has no periodic potential, and that of a slab grows without limit: add the "
                "missing ions, or correct the charges."
            )
        self.n_frames += 1
        x, sheets = fraction * length, charges / area
        after = np.floor(fraction * n_cells + 0.5).astype(np.int64)  # the first centre beyond the charge
        below, moment = (
            np.cumsum(np.bincount(after, weights=w, minlength=n_cells + 1)[:n_cells]) for w in (sheets, sheets * x)
        )
        at = (np.arange(n_cells) + 0.5) * (length / n_cells)
        integral = at * below - moment
        if self.boundary == OPEN:
            cells = np.minimum((fraction * n_cells).astype(np.int64), n_cells - 1)
            before = self.visited if self.n_frames > 1 else np.zeros(n_cells)
            self.visited = before + np.bincount(cells, np.abs(sheets), n_cells)
        else:
            slope = float((sheets * (length - x)).sum()) / length
            mean = float((sheets * (length - x) ** 2).sum()) / (2 * length) - slope * length / 2
            integral = integral - slope * at - mean
        return np.asarray(-FOUR_PI_KAPPA * integral, dtype=np.float64)

    def checked(self, found: Profile) -> Profile:
        """The profile as it is; InputError where charge came to the ends of an open axis."""
        visited = self.visited
        if self.boundary == OPEN and max(visited[0], visited[-1]) > AT_FACES * visited.max():
            raise InputError(
                f"Charge comes to the ends of the open axis {found.planes}: the cells there hold "
                f"{max(visited[0], visited[-1]) / visited.max():.2g} of the fullest one's, and a potential that begins "
                "at 0 without a field needs vacuum there. Wrap the run with the slab in the middle of its cell, or "
                "leave the axis periodic."
            )
        return found


@dataclass(frozen=True, eq=False)
class TrajectoryStep(Result):
    """Step of the mean potential of a trajectory between two windows, with the error of the step itself.

    step              high - low [V]; levels that wander together leave no error
    low, high         mean potential in each window [V], as the profile's
    windows           ends of each window [Å]
    n_frames, block   frames, and frames in a block from which the step's error comes
    correlation_time  of the step [frames]
    converged         False if the run is too short for the step's memory: its error is then a lower bound
    profile           the mean potential along the axis, of the same pass
    remarks, provenance  what a reader should know; what was done
    """

    step: Measurement
    low: Measurement
    high: Measurement
    windows: tuple[tuple[float, float], tuple[float, float]]
    n_frames: int
    block: int
    correlation_time: Measurement
    converged: bool
    profile: Profile = field(repr=False)
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """What it says, for people."""
        rows = (
            ("step, high - low", str(self.step)),
            ("low", f"{self.low}, {between_positions(self.windows[0])}"),
            ("high", f"{self.high}, {between_positions(self.windows[1])}"),
            ("correlation time", str(self.correlation_time)),
            *(("note", remark) for remark in self.remarks),
        )
        return (("Step of the mean potential", rows),)


def trajectory_step(
    frames: Iterable[Frame],
    between: Sequence[float],
    spacing: float,
    *,
    width: float | None = None,
    axis: int | str = "c",
    boundary: str = PERIODIC,
) -> TrajectoryStep:
    """Step of the mean potential from around one position up to around another, with the error of the step itself.

    between   x_1, x_2 [Å], each deep in its bulk or vacuum
    width     of the window around each over which potentials are averaged [Å]; one cell of the spacing by default
    spacing   largest distance of the positions at which potentials are known [Å]; a window counts parts of cells
    others    as trajectory_potential

    Each frame has a step of its own, and their scatter, in blocks of frames, is the error: what both levels share, as
    the mean of a periodic cell, is not in it. Positions are those of the first frame's cell. Raises InputError as
    trajectory_potential, for a width that is not positive, positions that are not finite, windows that overlap, and
    windows that reach beyond an open axis.
    """
    potentials = _Potentials(boundary)
    blocks = [Blocks() for _ in range(5)]  # the step; each window; upper less lower half of each
    weights: Array = np.zeros(0)
    windows: list[tuple[float, float]] = []

    def along(fraction: Array, charges: Array, n_cells: int, length: float, area: float) -> Array:
        nonlocal weights
        values = potentials(fraction, charges, n_cells, length, area)
        if not windows:
            windows.extend(_windows(between, width, length, length / n_cells, boundary))
            low, high = (_share(window, n_cells, length) for window in windows)
            halves = [
                _share((sum(w) / 2, w[1]), n_cells, length) - _share((w[0], sum(w) / 2), n_cells, length)
                for w in windows
            ]
            weights = np.array([high - low, low, high, *halves])
        for one, number in zip(blocks, weights @ values, strict=True):
            one.add(np.array([number]))
        return values

    profile = profile_over_frames(frames, spacing, axis, along, "electrostatic_potential", potentials.step)
    potentials.checked(profile)
    averages = [one.average() for one in blocks]
    step, low, high, *halves = (Measurement(float(a.mean[0]), VOLT, float(a.uncertainty[0])) for a in averages)
    remarks = list(averages[0].remarks)
    for window, half in zip(windows, halves, strict=True):
        if width is not None and abs(float(half)) > SIGNIFICANT * (half.uncertainty or 0.0) + FLAT:
            remarks.append(
                f"the potential is not flat, {between_positions(window)}: the upper half lies {half} above the "
                "lower one, so that the level depends on the window"
            )
    done = {"step": "step of a trajectory's potential", "windows": [list(window) for window in windows]}
    return TrajectoryStep(
        step,
        low,
        high,
        (windows[0], windows[1]),
        averages[0].n_frames,
        averages[0].block,
        averages[0].correlation_time,
        averages[0].converged,
        profile,
        tuple(remarks),
        (*profile.provenance, done),
    )


def _windows(
    between: Sequence[float], width: float | None, length: float, cell: float, boundary: str
) -> list[tuple[float, float]]:
    """The ends of both windows; InputError where they cannot be told apart, or leave an open axis."""
    places = [float(x) for x in between]
    if len(places) != 2 or not all(isfinite(x) for x in places):
        raise InputError(f"between = {between}: give two finite positions in Å.")
    if width is not None and not (isfinite(width) and width > 0):
        raise InputError(f"width = {width}: give a positive width in Å.")
    full = cell if width is None else float(width)
    apart = abs(places[1] - places[0])
    if boundary == PERIODIC:
        apart = abs((apart + length / 2) % length - length / 2)
    if apart < full * (1 - 1e-9):
        raise InputError(
            f"The windows around {places[0]:g} and {places[1]:g} Å overlap: they are {full:.4g} Å wide and lie "
            f"{apart:.4g} Å apart. Give positions further apart, or a smaller width."
        )
    windows = [(x - full / 2, x + full / 2) for x in places]
    beyond = [x for x, (low, high) in zip(places, windows, strict=True) if low < -1e-9 or high > length + 1e-9]
    if boundary == OPEN and beyond:
        raise InputError(
            f"The window of {full:.4g} Å around {beyond[0]:g} Å reaches beyond the open axis, which goes from 0 to "
            f"{length:.6g} Å: give a position further inside, or a smaller width."
        )
    return windows


def _share(window: tuple[float, float], n_cells: int, length: float) -> Array:
    """Weights of the cells in a mean over a window, which may lie across the ends of the cell; their sum is 1."""
    low, high = (x / length * n_cells for x in window)
    turns = np.arange(np.floor(low / n_cells), np.floor(high / n_cells) + 1)
    begin = np.arange(n_cells)[:, None] + turns * n_cells
    inside = np.clip(np.minimum(begin + 1, high) - np.maximum(begin, low), 0.0, None).sum(axis=1)
    return np.asarray(inside / inside.sum())
