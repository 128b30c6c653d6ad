"""Cylinder potential at all points on the CPU against padded convolutions, in one run: time and error of each.

    python scaling/cylinder.py [--size 128] [--dtype float32] [--radius 32] [--plane open] [--keep]

Input: noise of variance 1, open along the normal and open or periodic in the plane, spacing 1 Å; the charge at and
below each point within the radius. Ours: `cylinder_potential_field` as users call it, which gives the parts of the
disc average and of the rest too, the first time, when it makes the kernel, and the next; and its sums alone, the
kernel at hand, with a table, as that call has them, and with recursions.

Peers have the sampled kernel 1/r, which the spectral one is not: SciPy's fftconvolve, which transforms the kernel each
time (and has planes repeated around the field where they are periodic), and FFTs of the padded field with the kernel's
spectrum kept (fft_peers.py), by SciPy, by FFTW with plans (MEASURE) and by ducc0, the latter two with all arrays made
before. All take turns. `error` of ours is against `cylinder_potential`, plane by plane, over the rms; that of peers is
what rounding alone does to them, against fftconvolve in float64. `ratio_to_peer` is the peer's seconds over ours, above
1 we are faster: over the next call for fftconvolve, which is what users call; over the sums with a table for kept
spectra.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from fft_peers import fft_peers
from rows import append, fastest, machine, versions
from scipy.signal import fftconvolve

import gpuhomog as gh
from gpuhomog.device.cpu.kept import TABLES
from gpuhomog.operators.potentials import cylinder_potential
from gpuhomog.operators.potentials.cylinder_fit import march_fit
from gpuhomog.operators.potentials.cylinder_sums import cylinder_sums
from gpuhomog.operators.potentials.cylinder_table import cylinder_table
from gpuhomog.units import FOUR_PI_KAPPA

FIRST, NEXT = "gpuhomog, first call: kernel, parts", "gpuhomog, next call: parts"
TABLE, RECURSIONS = "gpuhomog, sums alone, table", "gpuhomog, sums alone, recursions"
CONVOLVED = "scipy.signal.fftconvolve"
REST = 0.1
"""Between two ways [s]: threads of a matrix product look for more work before they sleep."""
Way = Callable[[], Any]


def sampled_kernel(n: int, radius: int, dtype: Any) -> np.ndarray:
    """κ/r of n planes within the radius, the plane of the point by half; 3.9 for 1/0."""
    in_plane = np.arange(-radius, radius + 1) ** 2
    squared = np.arange(n)[:, None, None] ** 2 + in_plane[:, None] + in_plane
    with np.errstate(divide="ignore"):
        kernel = np.where(squared > 0, 1 / np.sqrt(squared), 3.9002649200)
    kernel[:, in_plane[:, None] + in_plane > radius**2] = 0.0
    kernel[0] *= 0.5
    return (kernel * FOUR_PI_KAPPA / (4 * np.pi)).astype(dtype)


def convolved(values: np.ndarray, kernel: np.ndarray, radius: int, periodic: bool) -> np.ndarray:
    """As users do it."""
    n, skipped = len(values), radius
    if periodic:
        values, skipped = np.pad(values, [(0, 0), (radius, radius), (radius, radius)], mode="wrap"), 2 * radius
    inside = slice(skipped, skipped + n)
    return np.asarray(fftconvolve(values, kernel)[:n, inside, inside])


def with_kept_spectrum(
    values: np.ndarray, kernel: np.ndarray, radius: int, periodic: bool, workers: int
) -> dict[str, Way]:
    """The kernel's spectrum is made once, on the least shape that nothing wraps around on."""
    n = len(values)
    across = n if periodic else scipy.fft.next_fast_len(n + radius, real=True)
    shape = (scipy.fft.next_fast_len(2 * n - 1, real=True), across, across)
    placed = np.zeros(shape, values.dtype)
    placed[: len(kernel), : kernel.shape[1], : kernel.shape[2]] = kernel
    spectrum = scipy.fft.rfftn(np.roll(placed, (-radius, -radius), (1, 2)), workers=workers)
    by_fft = fft_peers(values, workers, shape)
    return {f"{name}, spectrum kept": lambda way=way: way(spectrum) for name, way in by_fft.items()}


def of_ours(field: gh.Field, radius: int, n_padded: int) -> dict[str, Way]:
    """Calls, and sums with kernels made before."""
    dtype, n = field.values.dtype, field.grid.shape[0]
    plane = (np.eye(2) * n_padded, (n_padded, n_padded), 1.0, n, radius)
    tolerance = 5e-7 if dtype == np.float32 else 1e-11
    table = cylinder_table(*plane, inverse_eps0=FOUR_PI_KAPPA)
    fit = march_fit(*plane, tolerance=tolerance, dtype=dtype, inverse_eps0=FOUR_PI_KAPPA)

    def call() -> Any:
        return gh.cylinder_potential_field(field, "a", radius, side="low", end_weights=1).potential.values

    def first() -> Any:
        cylinder_potential._kept.cache_clear()
        TABLES.clear()
        return call()

    return {
        FIRST: first,
        NEXT: call,
        TABLE: lambda: cylinder_sums(field, table, "a", side="low"),
        RECURSIONS: lambda: cylinder_sums(field, fit, "a", side="low"),
    }


def measure(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Rows of every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--radius", type=int, default=32)
    parser.add_argument("--plane", default="open", choices=["open", "periodic"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args(arguments)
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()  # no wisdom of FFTW
    n, radius, periodic = options.size, options.radius, options.plane == "periodic"
    values = np.random.default_rng(3).standard_normal((n, n, n)).astype(options.dtype)
    values[:, [0, -1]] = values[:, :, [0, -1]] = values[[0, -1]] = 0  # nothing is cut off at open faces
    boundary = f"o,{options.plane[0]},{options.plane[0]}"
    field = gh.Field.from_array(values, np.eye(3) * n, quantity="charge_density", boundary=boundary, device="cpu")
    workers = field.device.threads  # type: ignore[attr-defined]
    ours = of_ours(field, radius, n if periodic else scipy.fft.next_fast_len(n + radius, real=True))
    kernel = sampled_kernel(n, radius, values.dtype)
    others = {
        CONVOLVED: lambda: convolved(values, kernel, radius, periodic),
        **with_kept_spectrum(values, kernel, radius, periodic, workers),
    }
    chosen = np.array([n // 3, n - 2])
    exact = gh.cylinder_potential(field, "a", radius, at=chosen.astype(float), side="low", end_weights=1).low
    sampled = convolved(values.astype(np.float64), sampled_kernel(n, radius, np.float64), radius, periodic)[chosen]
    expected = {**dict.fromkeys(ours, exact), **dict.fromkeys(others, sampled)}
    ways = {**ours, **others}
    errors = {what: float(np.abs(way()[chosen] - expected[what]).max()) for what, way in ways.items()}
    rms = {what: float(np.sqrt(np.mean(expected[what] ** 2))) for what in ways}
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(options.repeats):
        for what, way in ways.items():
            time.sleep(REST)
            seconds[what] = min(seconds[what], fastest(way, 1))
    rows = []
    for what in ways:
        beside = seconds[NEXT if what == CONVOLVED else TABLE]
        apart = float(np.abs(expected[what] - exact).max()) / rms[what]
        rows.append(
            {
                "script": "cylinder.py",
                "case": f"cylinder potential, all points, charge below, {options.plane} in the plane",
                "size": f"{n}^3, R {radius}",
                "dtype": options.dtype,
                "what": what,
                "seconds": f"{seconds[what]:.4g}",
                "ratio_to_peer": "" if what in ours else f"{seconds[what] / beside:.2f}",
                "error": f"{errors[what] / rms[what]:.1e}",
                "note": "" if what in ours else f"sampled kernel, {apart:.1e} from the spectral one",
                "versions": versions("scipy", "ducc0", "pyfftw"),
                **machine(),
            }
        )
    append(rows, options.keep)
    return rows


if __name__ == "__main__":
    measure()
