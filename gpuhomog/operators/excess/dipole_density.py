"""Dipole density: the dipole per volume of a window around each position, about the window's middle.

    P(x) = (1/w) ∫_{-w/2}^{w/2} u ρ(x + u) du                        eq. 46
    mode k is multiplied by -i d/dk [sin(kw/2)/(kw/2)]

P = (w²/12) dρ̄/dx + O(w⁴) where ρ̄ varies slowly (47): it depends on the window, and -dP/dx is not the charge density;
that is [ρ(x + w/2) + ρ(x - w/2)]/2 - dP/dx, the mean of ρ over the window.

In   Profile, or Field with an axis: any quantity, a charge density to give a polarization.
Out  Profile in the unit of ρ times Å: at the samples of a periodic profile, in the middle of an open one. Host.

>>> import gpuhomog as gh
>>> x = np.arange(101) * 0.1
>>> ramp = gh.Profile(x, 0.3 + 0.05 * x, "e/Å^3", "charge_density", 10.1, boundary="open")
>>> print(f"{dipole_density(ramp, width=0.8).values[40]:.12f}")         # 0.05 w²/12
0.002666666667
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np

from ...errors import InputError
from ...field import Field
from ...grid import OPEN
from ...results import Profile
from ...units import times_length
from ..profiles.between_points import SPLINE_DEGREE
from ..profiles.planar import Planes
from .charge_profile import profile_of


def dipole_density(field: Field | Profile, axis: Planes | None = None, *, width: float) -> Profile:
    """Dipole per volume of a window of a full width around each position, about the window's middle [ν Å].

    field  Profile, or Field with an axis
    width  full width of the window [Å]

    A periodic profile is taken for bandlimited, an open one for a spline of degree 7; its result holds the positions
    whose window lies inside. Source: eq. 46 of the paper. Raises InputError for a width that is not positive, and for
    one that leaves fewer than two positions of an open profile.
    """
    profile = profile_of(field, axis)
    if not (isfinite(width) and width > 0):
        raise InputError(f"width = {width}: give the full width of the window in Å, a positive length.")
    done = {"step": "dipole density", "width": float(width)}
    unit = times_length(profile.unit, 1)
    x = profile.position
    if profile.boundary != OPEN:
        n = len(x)
        k = 2 * np.pi / profile.length * np.arange(1, n // 2 + 1)
        s = k * width / 2
        spectrum = np.fft.rfft(profile.values)
        spectrum[1:] *= -0.5j * width * (np.cos(s) - np.sin(s) / s) / s
        spectrum[0] = 0.0
        if n % 2 == 0:
            spectrum[-1] = 0.0
        values = np.fft.irfft(spectrum, n)
    else:
        from scipy.interpolate import make_interp_spline

        inside = (x >= x[0] + width / 2 - 1e-9 * width) & (x <= x[-1] - width / 2 + 1e-9 * width)
        if inside.sum() < 2:
            raise InputError(
                f"width = {width:.6g} Å: the open profile of {float(x[-1] - x[0]):.6g} Å holds no window of it. Give a "
                "smaller width."
            )
        spline = make_interp_spline(x - x[0], profile.values, k=min(SPLINE_DEGREE, len(x) - 1 - len(x) % 2))
        once, twice = spline.antiderivative(1), spline.antiderivative(2)
        x = x[inside]
        low, high = x - profile.position[0] - width / 2, x - profile.position[0] + width / 2
        values = (once(high) + once(low)) / 2 - (twice(high) - twice(low)) / width
    return replace(
        profile,
        position=x,
        values=values,
        unit=unit,
        quantity="scalar",
        length=profile.length if profile.boundary != OPEN else len(x) * profile.spacing,
        uncertainty=None,
        provenance=(*profile.provenance, done),
    )
