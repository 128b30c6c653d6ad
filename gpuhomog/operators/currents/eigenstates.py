"""Current of a finite body from its occupied eigenstates, by their centres and by their Fourier transforms.

    J_x = -(e f/S_B) Σ_i d<x>_i/dt                                                              eq. 9
    J_x = (e f/π) ζ̇ Σ_i Im ∫ ∂_ζφ~* ∂_gφ~ dg,    φ~ = (1/√S_B) ∫ φ e^{-igx} dx                    eq. 10, normalized
    printed: φ~ = (1/S_B) ∫ φ e^{-igx} dx, which makes (10) too small by a factor 1/S_B exactly

The sum of the centres of eigenstates is a trace: any orthonormal mixture of them has the same. That holds in a body
which ends within its box. On a torus, of states that reach around it, <x> misses the charge that crosses the ends of
the box (a crystal that slides by a period has every density back in its place, and a charge has passed): such states
are refused, and berry_phase is for them. Phases of the states may be chosen anew in every frame.

In   φ of each state in each frame on a grid of the box, normalized: ∫ |φ|² dx = 1.
Out  EigenstateCurrent: e per unit of time; host.

>>> x, t = np.arange(200) * 0.1 - 10, 0.01 * np.arange(-2, 3)
>>> moving = np.exp(-0.25 * ((x - 3.0 * t[:, None]) / 0.6) ** 2)[:, None] / (2 * np.pi * 0.36) ** 0.25
>>> found = eigenstate_current(moving, 20.0, time_step=0.01)
>>> print(f"{found.J[2]:.6f} {found.J_fourier[2]:.6f} {found.J_printed[2] / found.J[2]:.6f}")
-0.150000 -0.150000 0.050000
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, pi
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError
from ...results import Tables
from .berry_phase import check_occupation
from .rates import TIME_UNIT, CurrentInTime, check_step, elapsed, rates_of

Array = NDArray[np.float64]

ENDS = 1e-6
"""Largest |φ|² at the ends of the box, over its largest, of a state that is within it."""
NORMALIZED = 1e-6


@dataclass(frozen=True, eq=False)
class EigenstateCurrent(CurrentInTime):
    """Current of a finite body in time; all arrays (n,) of the frames, NaN at the first and the last.

    time         from the first frame on [time_unit]
    J            by the centres (9) [e/time_unit]: a current in one dimension
    uncertainty  |fourth order - second order| of its differences
    J_fourier    by eq. 10 with φ~ normalized
    J_printed    by eq. 10 as printed: J/S_B
    centre       Σ <x> of all states [Å]
    length       S_B, of the box [Å]
    unit, time_unit, occupation, provenance
    """

    J_fourier: Array
    J_printed: Array
    centre: Array
    length: float
    occupation: float
    provenance: tuple[Mapping[str, Any], ...] = ()

    def tables(self) -> Tables:
        """Titles, and rows of name and text under each, as the terminal shows them."""
        return (("Current of eigenstates", tuple(self.rows())),)


def eigenstate_current(
    states: ArrayLike,
    length: float,
    *,
    time_step: float,
    time_unit: str = TIME_UNIT,
    occupation: float = 1.0,
) -> EigenstateCurrent:
    """Current from the occupied eigenstates of a finite body, per length of its box.

    states      (n_frames, n_states, n_x) complex, at x = (i - n_x/2) length/n_x [Å^-1/2]
    length      of the box, S_B [Å]
    time_step   between frames, in time_unit
    time_unit   "fs" or another unit of time
    occupation  electrons in each state

    Source: eqs. 9 and 10 of the paper. Raises InputError for states that are not normalized, that reach the ends of the
    box, or that are not followed from one frame to the next, and for fewer than three frames.
    """
    check_step(time_step, time_unit)
    check_occupation(occupation)
    phi = np.array(states, dtype=np.complex128)
    if phi.ndim != 3 or not (isfinite(length) and length > 0):
        raise InputError(
            f"States of shape {phi.shape} in a box of {length} Å: give (frames, states, points) and a positive length."
        )
    n_frames, n_states, n = phi.shape
    h = length / n
    x = (np.arange(n) - n / 2) * h
    density = np.abs(phi) ** 2
    _check_finite_body(density, h)
    _follow(phi, h)
    centres = (density * x).sum(axis=(1, 2)) * h
    by_centres = rates_of(centres, time_step)
    # φ~ (1/S_B) ∫, and its derivative by g: the transform of -ixφ
    transform = np.fft.fft(phi, axis=2) * (h / length)
    slope = np.fft.fft(-1j * x * phi, axis=2) * (h / length)
    changes = rates_of(transform.real, time_step).value + 1j * rates_of(transform.imag, time_step).value
    integral = (changes.conj() * slope).imag.sum(axis=(1, 2)) * (2 * pi / length)
    printed = occupation * integral / pi
    return EigenstateCurrent(
        time=elapsed(n_frames, time_step),
        J=-occupation * by_centres.value / length,
        uncertainty=occupation * by_centres.uncertainty / length,
        J_fourier=printed * length,
        J_printed=printed,
        centre=centres,
        length=length,
        unit=f"e/{time_unit.strip()}",
        time_unit=time_unit,
        occupation=occupation,
        provenance=({"step": "current of eigenstates", "states": n_states, "time_step": time_step},),
    )


def _check_finite_body(density: Array, h: float) -> None:
    """InputError unless all states are normalized, on points h apart, and vanish at the ends of the box."""
    norms = density.sum(axis=2) * h
    off = float(np.abs(norms - 1).max())
    if not off <= NORMALIZED:
        raise InputError(
            f"A state has ∫|φ|² dx = {norms.flat[int(np.argmax(np.abs(norms - 1)))]:.6g}: (10) needs 1 over the whole "
            "box. Normalize the states."
        )
    reach = float((density[:, :, [0, -1]].max(axis=2) / density.max(axis=2)).max())
    if reach > ENDS:
        raise InputError(
            f"A state reaches the ends of the box, with {reach:.2g} of its largest density: on a torus <x> misses the "
            "charge that crosses them, and its rate is no current. Use berry_phase, or a box with vacuum around it."
        )


def _follow(phi: NDArray[np.complex128], h: float) -> None:
    """Turn the phase of each state to that of the frame before, in place; InputError where it is another state."""
    for frame in range(1, len(phi)):
        overlap = (phi[frame - 1].conj() * phi[frame]).sum(axis=1) * h
        if np.abs(overlap).min() < 0.5:
            raise InputError(
                f"A state of frame {frame} is not the one before: |<φ|φ'>| = {np.abs(overlap).min():.3g}. Keep the "
                "states in one order, and frames close in time."
            )
        phi[frame] *= (overlap.conj() / np.abs(overlap))[:, None]
