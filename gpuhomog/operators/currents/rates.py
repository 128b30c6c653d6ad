"""Rates: time derivatives of a series with a uniform step, by differences of two orders, with the error that they show.

    second   (f[t+1] - f[t-1]) / 2 dt                             error dt² f'''/6
    fourth   (8 (f[t+1] - f[t-1]) - (f[t+2] - f[t-2])) / 12 dt    error dt⁴ f⁽⁵⁾/30
    error    |fourth - second|: of the second order (Richardson), an upper bound of the fourth's

The rate of a frame is the fourth order where two frames lie on either side of it. The second and the last but one have
the second order, whose error is what a fourth order from the frames on their longer side finds:

    (-3 f[t-1] - 10 f[t] + 18 f[t+1] - 6 f[t+2] + f[t+3]) / 12 dt                        error dt⁴ f⁽⁵⁾/20

The first and the last frame have none.

In   (n, …) series, the step.
Out  Rates: host.

>>> t = np.arange(9) * 0.1
>>> found = rates_of(np.sin(t), 0.1)
>>> bool(abs(found.value[4] - np.cos(0.4)) < found.uncertainty[4] < 2e-3)
True
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, counted
from ...results import Measurement, Result
from ...units import CHARGE

Array = NDArray[np.float64]

FEWEST_FRAMES = 3
UNEVEN = 1e-4
"""By how much the steps between times may differ, over the step: files round them."""
TIME_UNIT = "fs"
BESIDE_START = {-1: -3 / 12, 1: 18 / 12, 2: -6 / 12, 3: 1 / 12}
"""Weights of f[t + i] - f[t] in the fourth order of the second frame; of the last but one i and weights change sign."""
MOST_ROWS = 12
"""Of a table of currents for people."""


@dataclass(frozen=True, eq=False)
class CurrentInTime(Result):
    """Base of currents in time: what all of them have; arrays (n,) of the frames are the columns of tables.

    time         from the first frame on [time_unit]
    J            the flow of positive charge [unit]
    uncertainty  of J [unit]
    unit, time_unit  such as e/Å^2/fs, and fs
    """

    time: Array
    J: Array
    uncertainty: Array
    unit: str
    time_unit: str

    def __post_init__(self) -> None:
        """A current of nothing has no sign: -0.0 becomes 0.0."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float | np.ndarray):
                object.__setattr__(self, field.name, value + 0.0)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the arrays, in their order."""
        return tuple(field.name for field in fields(self) if isinstance(getattr(self, field.name), np.ndarray))

    def rows(self, sigma: Array | None = None, transferred: Array | None = None) -> list[tuple[str, str]]:
        """Currents at no more than a dozen times for people; files have all of them.

        sigma, transferred  charge of the lower surface, and that which has passed [e/Å^2]
        """
        inside = np.arange(1, len(self.time) - 1)
        if len(inside) > MOST_ROWS:
            inside = inside[np.unique(np.linspace(0, len(inside) - 1, MOST_ROWS).round().astype(int))]
        found = []
        for i in inside:
            error = None if np.isnan(self.uncertainty[i]) else float(self.uncertainty[i])
            charge = "" if sigma is None or np.isnan(sigma[i]) else f", σ low {sigma[i]:.8g} {CHARGE}"
            current = Measurement(float(self.J[i]), self.unit, error)
            found.append((f"J at {self.time[i]:.6g} {self.time_unit}", f"{current}{charge}"))
        if transferred is not None:
            last = f"{transferred[-1]:.8g} {CHARGE} in {self.time[-1]:.6g} {self.time_unit}"
            mean = transferred[-1] / (self.time[-1] - self.time[0])
            found.append(("charge passed", f"{last}, {mean:.8g} {self.unit} on average"))
        return found


@dataclass(frozen=True, eq=False)
class Rates:
    """Derivatives at each frame, as many as the series; NaN where there is none.

    value        the fourth order, where it does not fit the second
    uncertainty  |fourth - second|, beside the ends with a one-sided fourth order; NaN where frames are too few for one
    second, fourth  each of them
    """

    value: Array
    uncertainty: Array
    second: Array
    fourth: Array


def rates_of(series: ArrayLike, step: float) -> Rates:
    """Derivatives of a series along its first axis; InputError for fewer than three frames."""
    f = np.asarray(series, dtype=np.float64)
    n = len(f)
    if n < FEWEST_FRAMES:
        raise InputError(
            f"{counted(n, 'frame')}: a current is a rate of change, for which at least {FEWEST_FRAMES} are needed."
        )
    second, fourth = np.full(f.shape, np.nan), np.full(f.shape, np.nan)
    near = f[2:] - f[:-2]
    second[1:-1] = near / (2 * step)
    if n > 4:
        fourth[2:-2] = (8 * near[1:-1] - (f[4:] - f[:-4])) / (12 * step)
    uncertainty = np.abs(fourth - second)
    if n > 4:
        for sign, at in ((1, 1), (-1, n - 2)):
            beside = sum(sign * weight * (f[at + sign * i] - f[at]) for i, weight in BESIDE_START.items())
            uncertainty[at] = np.abs(beside / step - second[at])
    return Rates(np.where(np.isnan(fourth), second, fourth), uncertainty, second, fourth)


def check_step(time_step: float | None, time_unit: str) -> None:
    """InputError for a step that is not positive, and a unit of time without a name."""
    if time_step is not None and not (isfinite(time_step) and time_step > 0):
        raise InputError(f"time_step = {time_step}: give the positive time between frames.")
    if not (isinstance(time_unit, str) and any(letter.isalpha() for letter in time_unit)):
        raise InputError(f'time_unit = {time_unit!r}: name the unit of the time step, such as "fs".')


def step_of(times: Sequence[float | None]) -> float:
    """The step of times that frames state; InputError if one of them is missing, or the step changes."""
    known = np.array([np.nan if time is None else time for time in times])
    if np.isnan(known).any():
        raise InputError("The frames state no times: give time_step=, the time between them.")
    steps = np.diff(known)
    if len(steps) and not (steps.min() > 0 and np.ptp(steps) <= UNEVEN * steps.mean()):
        worst = int(np.argmax(np.abs(steps - np.median(steps))))
        raise InputError(
            f"The times of the frames are not uniform: {steps[worst]:.6g} from frame {worst} to {worst + 1}, "
            f"{np.median(steps):.6g} between most: central differences need one step. Leave out frames, or resample."
        )
    return float(steps.mean()) if len(steps) else 1.0


def current_unit(time_unit: str) -> str:
    """Of a current density.

    >>> current_unit("fs")
    'e/Å^2/fs'
    """
    return f"e/Å^2/{time_unit.strip()}"


def elapsed(n_frames: int, time_step: float) -> Array:
    """Times of the frames, from the first on."""
    return np.asarray(time_step * np.arange(n_frames), dtype=np.float64)
