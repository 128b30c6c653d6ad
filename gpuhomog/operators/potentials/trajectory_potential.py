"""Electrostatic potential along an axis of a trajectory, with standard errors that come from whole potentials.

    φ(x) = -(1/ε0) Σ_{x_i < x} (q_i/A) (x - x_i)               open: 0, and no field, before all charge
    φ(x) = the same + c_1 x + c_0, c_1 = Σ (q_i/A) (L - x_i)/(ε0 L)   periodic: φ(L) = φ(0), mean 0

Each charge is a sheet where it is, so φ is exact at the positions of the profile, whatever their spacing: the sums of q
and q x up to there are all that enters. Errors of a double integral are not those of its bins, as what a charge does to
φ goes on to the end; each frame has its own φ here, and their scatter, in blocks of frames, is the error.

In   frames: positions, charges and cell, one after another.
Out  Profile [V] with uncertainty: host.

>>> import gpuhomog as gh
>>> pair = gh.Frame(np.array([[0, 0, 4.0], [0, 0, 6.0]]), np.array([1.0, -1.0]), np.diag([10.0, 10.0, 20.0]))
>>> found = trajectory_potential([pair] * 4, spacing=1.0, boundary="open")
>>> print(f"{found.values[0]:.6f} {found.values[-1]:.6f} {-0.01 * 2 * FOUR_PI_KAPPA:.6f}")
0.000000 -3.619026 -3.619026
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, check_word
from ...grid import OPEN, PERIODIC
from ...results import Profile
from ...units import FOUR_PI_KAPPA
from ..points.trajectory_average import Frame, profile_over_frames
from .poisson import AT_FACES, NEUTRAL

Array = NDArray[np.float64]


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
    check_word("boundary", boundary, (PERIODIC, OPEN))
    visited: Array = np.zeros(0)
    number = 0

    def potential(fraction: Array, charges: Array, n_cells: int, length: float, area: float) -> Array:
        nonlocal visited, number
        gross = float(np.abs(charges).sum())
        if abs(charges.sum()) > NEUTRAL * gross:
            raise InputError(
                f"Frame {number} has a net charge of {charges.sum():.4g} e ({abs(charges.sum()) / gross:.1e} of all "
                "its charge), so it has no periodic potential, and that of a slab grows without limit: add the missing "
                "ions, or correct the charges."
            )
        number += 1
        x, sheets = fraction * length, charges / area
        after = np.floor(fraction * n_cells + 0.5).astype(np.int64)  # the first centre beyond the charge
        below, moment = (
            np.cumsum(np.bincount(after, weights=w, minlength=n_cells + 1)[:n_cells]) for w in (sheets, sheets * x)
        )
        at = (np.arange(n_cells) + 0.5) * (length / n_cells)
        integral = at * below - moment
        if boundary == OPEN:
            cells = np.minimum((fraction * n_cells).astype(np.int64), n_cells - 1)
            visited = (visited if number > 1 else np.zeros(n_cells)) + np.bincount(cells, np.abs(sheets), n_cells)
        else:
            slope = float((sheets * (length - x)).sum()) / length
            mean = float((sheets * (length - x) ** 2).sum()) / (2 * length) - slope * length / 2
            integral = integral - slope * at - mean
        return np.asarray(-FOUR_PI_KAPPA * integral, dtype=np.float64)

    step = {"step": "trajectory potential", "boundary": boundary}
    found = profile_over_frames(frames, spacing, axis, potential, "electrostatic_potential", step)
    if boundary == OPEN and max(visited[0], visited[-1]) > AT_FACES * visited.max():
        raise InputError(
            f"Charge comes to the ends of the open axis {found.planes}: the cells there hold "
            f"{max(visited[0], visited[-1]) / visited.max():.2g} of the fullest one's, and a potential that begins at "
            "0 without a field needs vacuum there. Wrap the run with the slab in the middle of its cell, or leave the "
            "axis periodic."
        )
    return found
