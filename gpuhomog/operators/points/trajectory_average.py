"""Averages over the frames of a trajectory, with standard errors that know how long frames remember each other.

    mean      m = (1/n) Σ_t f_t
    error     blocks of B = 1, 2, 4, … frames:  s_B² = (variance of block means)/(n/B - 1)  (Flyvbjerg and Petersen)
    choice    the smallest B with B³ > 2 n (s_B/s_1)⁴                               (Wolff; Lee et al.)
    memory    g = (s_B/s_1)² frames count as one;  τ_int = g/2 frames;  its error: g sqrt(2/(n/B - 1))/2

B is chosen for all components together, from the sums of their s_B². Blocks are joined while frames come in: what is
kept is two sums and one waiting block for each of log2(n) levels, whatever the number of frames.

In   frames: positions, charges and cell, one after another; or any sequence of arrays.
Out  TrajectoryAverage; a Profile with uncertainty: host.

>>> rng = np.random.default_rng(1)
>>> found = average_over_frames(rng.normal(size=(4096, 1)))
>>> round(float(found.uncertainty[0]) * 64, 1), found.correlation_time.value < 0.7
(1.0, True)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, counted
from ...grid import AXIS_NAMES, PERIODIC, Grid, axis_index
from ...results import Measurement, Profile, Result
from ...units import QUANTITIES

Array = NDArray[np.float64]

FEWEST_FRAMES = 4
MOST_CELLS = 1 << 24
"""Of a profile."""
FEWEST_BLOCKS = 8
"""Blocks from which a variance is still taken."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Atoms at one time.

    positions  (n, 3) Cartesian [Å]
    charges    (n,) [e]
    cell       (3, 3) rows [Å]
    time       [ps], None if it is not known
    """

    positions: Array
    charges: Array
    cell: Array
    time: float | None = None


@dataclass(frozen=True, eq=False)
class TrajectoryAverage(Result):
    """Mean of a series of arrays.

    mean              as the arrays
    uncertainty       standard error of each component
    n_frames          how many
    block             frames in a block from which the errors come
    correlation_time  τ_int in frames, with its error; 1/2 where frames are independent
    converged         False if the series is too short for its memory: errors are then lower bounds
    remarks, provenance  what a reader should know; what was done
    """

    mean: Array
    uncertainty: Array
    n_frames: int
    block: int
    correlation_time: Measurement
    converged: bool
    remarks: tuple[str, ...] = ()
    provenance: tuple[Mapping[str, Any], ...] = ()


class Blocks:
    """Sums over blocks of 1, 2, 4, … arrays that are added one after another."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.means: list[Array] = []
        self.squares: list[Array] = []
        self.waiting: list[Array | None] = []

    def add(self, values: Array) -> None:
        """One more array; Welford's running mean and sum of squares at each level."""
        level = 0
        while True:
            if level == len(self.counts):
                self.counts.append(0)
                self.means.append(np.zeros_like(values))
                self.squares.append(np.zeros_like(values))
                self.waiting.append(None)
            self.counts[level] += 1
            change = values - self.means[level]
            self.means[level] = self.means[level] + change / self.counts[level]
            self.squares[level] = self.squares[level] + change * (values - self.means[level])
            before = self.waiting[level]
            if before is None:
                self.waiting[level] = values
                return
            self.waiting[level] = None
            values = (before + values) / 2
            level += 1

    def error(self, level: int) -> Array:
        """(s_B)² of each component."""
        n = self.counts[level]
        return np.asarray(self.squares[level] / (n * (n - 1)))

    def average(self) -> TrajectoryAverage:
        """Mean and errors of all that was added; InputError if that is too few frames."""
        n = self.counts[0] if self.counts else 0
        if n < FEWEST_FRAMES:
            raise InputError(
                f"{counted(n, 'frame')}: at least {FEWEST_FRAMES} are needed for a mean with its error. Take a longer "
                "run, or begin earlier in it."
            )
        levels = [k for k, count in enumerate(self.counts) if count >= FEWEST_BLOCKS] or [0]
        total = [float(self.error(k).sum()) for k in levels]
        chosen, converged = levels[-1], False
        if total[0] == 0:
            chosen, converged = 0, True
        else:
            for k in levels:
                if 8.0**k > 2 * n * (total[k] / total[0]) ** 2:
                    chosen, converged = k, True
                    break
        inefficiency = max(total[chosen] / total[0], 1e-12) if total[0] > 0 else 1.0
        spread = inefficiency * sqrt(2 / (self.counts[chosen] - 1)) / 2
        remarks: tuple[str, ...] = ()
        if not converged:
            remarks = (
                f"{n} frames are too few for their memory: blocks of {2**chosen} frames are still correlated, so the "
                "errors are lower bounds",
            )
        return TrajectoryAverage(
            mean=self.means[0],
            uncertainty=np.sqrt(self.error(chosen)),
            n_frames=n,
            block=2**chosen,
            correlation_time=Measurement(inefficiency / 2, "frames", spread),
            converged=converged,
            remarks=remarks,
            provenance=({"step": "average over frames", "frames": n, "block": 2**chosen},),
        )


def average_over_frames(
    frames: Iterable[Any], measure: Callable[[Any], Any] = lambda frame: frame
) -> TrajectoryAverage:
    """Mean over frames of what is measured in each, with its standard error.

    frames   any sequence, one at a time: Frames of a trajectory, or arrays
    measure  of a frame: a number or an array, of one shape for all

    Raises InputError for fewer than four frames, shapes that change, and values that are not finite.
    """
    blocks = Blocks()
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        values = np.asarray(measure(frame), dtype=np.float64)
        if shape is not None and values.shape != shape:
            raise InputError(f"Frame {number} gives values of shape {values.shape}, those before {shape}: give one.")
        if not np.isfinite(values).all():
            raise InputError(f"Frame {number} gives a value that is not finite: a mean would not be, either.")
        shape = values.shape
        blocks.add(values)
    return blocks.average()


Along = Callable[[Array, Array, int, float, float], Array]
"""(fractions of the axis from 0 to 1, charges [e], cells, length [Å], area [Å^2]) → (cells,) what is averaged."""


def trajectory_profile(frames: Iterable[Frame], spacing: float, *, axis: int | str = "c") -> Profile:
    """Mean charge density along an axis over the frames of a trajectory, with its standard error in each cell.

    frames   positions, charges and cell of each; atoms beyond the cell are put back
    spacing  largest width of the cells of the profile [Å]; their number is that of the first frame
    axis     across whose planes: "a", "b" or "c"

    Charges are counted in cells of a fraction of the axis, divided by the cells' volume in that frame; positions are
    those of the mean length, and the provenance has the shortest and the longest. The samples are averages over cells:
    say sampling="cell" to what uses them. Its area is the mean of the frames'. Raises InputError for a spacing that is
    not positive, fewer than four frames, cells that span no volume, and values that are not finite.
    """

    def density(fraction: Array, charges: Array, n_cells: int, length: float, area: float) -> Array:
        cells = np.minimum((fraction * n_cells).astype(np.int64), n_cells - 1)
        counts = np.bincount(cells, weights=charges, minlength=n_cells)
        return np.asarray(counts * (n_cells / (length * area)), dtype=np.float64)

    return profile_over_frames(frames, spacing, axis, density, "charge_density", {"step": "trajectory profile"})


def profile_over_frames(
    frames: Iterable[Frame], spacing: float, axis: int | str, along: Along, quantity: str, step: Mapping[str, Any]
) -> Profile:
    """Mean over frames of what `along` finds in each, at the centres of cells of a fraction of the axis.

    step  what is done, for the provenance; the other parameters and errors as trajectory_profile
    """
    if not (isfinite(spacing) and spacing > 0):
        raise InputError(f"spacing = {spacing}: give a positive width in Å.")
    index = axis_index(axis)
    n_cells = 0
    geometry = np.zeros(2)
    lengths: list[float] = []
    normal = np.eye(3)[index]

    def measure(frame: Frame) -> Array:
        nonlocal n_cells, normal
        grid = Grid((1, 1, 1), frame.cell)
        height, area = grid.height(index), grid.area(index)
        if n_cells == 0:
            if height / spacing > MOST_CELLS:
                raise InputError(
                    f"spacing = {spacing:g} Å makes more than {MOST_CELLS} cells of {height:.4g} Å, most of which no "
                    "charge ever visits: give a larger one."
                )
            n_cells = max(8, int(np.ceil(height / spacing - 1e-9)))
            normal = grid.normal(index)
        geometry[:] += height, area
        lengths[:] = min([height, *lengths]), max([height, *lengths])
        return along(grid.fractional(frame.positions)[:, index] % 1.0, frame.charges, n_cells, height, area)

    found = average_over_frames(frames, measure)
    length, area = geometry / found.n_frames
    done = {
        **step,
        "frames": found.n_frames,
        "block": found.block,
        "correlation_time": [found.correlation_time.value, found.correlation_time.uncertainty],
        "converged": found.converged,
        "lengths": list(lengths),
    }
    return Profile(
        (np.arange(n_cells) + 0.5) * length / n_cells,
        found.mean,
        QUANTITIES[quantity],
        quantity,
        float(length),
        boundary=step.get("boundary", PERIODIC),
        planes=AXIS_NAMES[index],
        normal=normal,
        area=float(area),
        uncertainty=found.uncertainty,
        provenance=(done,),
    )
