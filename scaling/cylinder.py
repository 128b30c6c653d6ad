"""Cylinder potential at all points on the CPU against padded convolutions, in one run: time and error of each.

    python scaling/cylinder.py [--size 128] [--dtype float32] [--radius 16] [--keep]

Input: noise of variance 1, open along all axes, spacing 1 Å; the charge at and below each point within the radius.
Ours: `cylinder_potential_field` as users call it, which makes the kernel first and gives the parts of the disc average
and of the rest too; and its sums alone, the kernel made before, by recursions and with a table. Peers have the sampled
kernel 1/r, which the spectral one is not: SciPy's fftconvolve, which transforms the kernel each time, and FFTs of the
padded field with the kernel's spectrum kept. `error` of ours is against `cylinder_potential`, plane by plane, over the
rms. `ratio_to_peer` is the peer's seconds over those of the sums by recursions: above 1 we are faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from rows import append, fastest, machine, versions
from scipy.signal import fftconvolve

import gpuhomog as gh
from gpuhomog.operators.potentials.cylinder_fit import march_fit
from gpuhomog.operators.potentials.cylinder_sums import cylinder_sums
from gpuhomog.operators.potentials.cylinder_table import cylinder_table
from gpuhomog.units import FOUR_PI_KAPPA

CASE = "cylinder potential, all points, charge below"


def sampled_kernel(n: int, radius: int, dtype: Any) -> np.ndarray:
    """κ/r of n planes within the radius, the plane of the point by half; 3.9 for 1/0."""
    in_plane = np.arange(-radius, radius + 1) ** 2
    squared = np.arange(n)[:, None, None] ** 2 + in_plane[:, None] + in_plane
    with np.errstate(divide="ignore"):
        kernel = np.where(squared > 0, 1 / np.sqrt(squared), 3.9002649200)
    kernel[:, in_plane[:, None] + in_plane > radius**2] = 0.0
    kernel[0] *= 0.5
    return (kernel * FOUR_PI_KAPPA / (4 * np.pi)).astype(dtype)


def with_cached_spectrum(values: np.ndarray, kernel: np.ndarray, radius: int, workers: int) -> Callable[[], Any]:
    """The kernel's spectrum is made once, on the least shape that nothing wraps around on."""
    n = len(values)
    shape = [scipy.fft.next_fast_len(s, real=True) for s in (2 * n - 1, n + radius, n + radius)]
    placed = np.zeros(shape, values.dtype)
    placed[: len(kernel), : kernel.shape[1], : kernel.shape[2]] = kernel
    spectrum = scipy.fft.rfftn(np.roll(placed, (-radius, -radius), (1, 2)), workers=workers)

    def run() -> Any:
        modes = scipy.fft.rfftn(values, s=shape, workers=workers)
        modes *= spectrum
        return scipy.fft.irfftn(modes, s=shape, workers=workers, overwrite_x=True)[:n, :n, :n]

    return run


def measure(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Rows of every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--radius", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args(arguments)
    n, radius = options.size, options.radius
    values = np.random.default_rng(3).standard_normal((n, n, n)).astype(options.dtype)
    values[:, [0, -1]] = values[:, :, [0, -1]] = values[[0, -1]] = 0  # nothing is cut off at open faces
    field = gh.Field.from_array(values, np.eye(3) * n, quantity="charge_density", boundary="open", device="cpu")
    padded = scipy.fft.next_fast_len(n + radius, real=True)
    plane, how = ((np.eye(2) * padded, (padded, padded)), {"inverse_eps0": FOUR_PI_KAPPA})
    tolerance = 5e-7 if options.dtype == "float32" else 1e-11
    fit = march_fit(*plane, 1.0, n, radius, tolerance=tolerance, dtype=values.dtype, **how)
    kernels = {"recursions": fit, "table": cylinder_table(*plane, 1.0, n, radius, **how)}
    kernel, workers = sampled_kernel(n, radius, values.dtype), field.device.threads  # type: ignore[attr-defined]
    ours, sums = "gpuhomog, kernel made, split in two", "gpuhomog, sums alone, recursions"
    ways: dict[str, Callable[[], Any]] = {
        ours: lambda: gh.cylinder_potential_field(field, "a", radius, side="low", end_weights=1).potential.values,
        **{
            f"{sums.replace('recursions', name)}": lambda made=made: cylinder_sums(field, made, "a", side="low")
            for name, made in kernels.items()
        },
        "scipy.signal.fftconvolve": lambda: fftconvolve(values, kernel)[:n, radius : radius + n, radius : radius + n],
        "scipy.fft, cached spectrum": with_cached_spectrum(values, kernel, radius, workers),
    }
    chosen = np.array([n // 3, n - 2])
    exact = gh.cylinder_potential(field, "a", radius, at=chosen.astype(float), side="low", end_weights=1).low
    scale = float(np.sqrt(np.mean(exact**2)))
    rows, seconds = [], {}
    for what, way in ways.items():
        error = float(np.abs(way()[chosen] - exact).max() / scale)
        seconds[what] = fastest(way, options.repeats)
        rows.append(
            {
                "script": "cylinder.py",
                "case": CASE,
                "size": f"{n}^3, R {radius}",
                "dtype": options.dtype,
                "what": what,
                "seconds": f"{seconds[what]:.4g}",
                "ratio_to_peer": "" if what.startswith("gpuhomog") else f"{seconds[what] / seconds[sums]:.2f}",
                "error": f"{error:.1e}" if what.startswith("gpuhomog") else "",
                "note": "" if what.startswith("gpuhomog") else f"sampled kernel, {error:.1e} from the spectral one",
                "versions": versions("scipy"),
                **machine(),
            }
        )
    append(rows, options.keep)
    return rows


if __name__ == "__main__":
    measure()
