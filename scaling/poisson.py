"""Potentials of charge densities on the CPU against SciPy's FFT and FFTW with cached kernels, in one run.

    python scaling/poisson.py [--size 128] [--dtype float64] [--repeats 5] [--keep]

Cases: a periodic cell, a slab with one open axis, a cluster with three. Peers have the kernel's spectrum cached and
their plans made (pyFFTW: MEASURE, which is not counted), pad with zeros to twice the points of each open axis,
transform, multiply, transform back, and cut: what anyone writes who knows the truncated kernels. Ours makes the kernel
anew in each call and checks the charge (neutral, none at open ends), as users call it. The error is the largest
deviation at 64 points from closed forms (waves; waves in the plane times Gaussians across it; Gaussian charges), over
the largest value there. `ratio_to_peer` is peer's seconds over ours: above 1 we are faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from average import exact, make_field
from rows import append, fastest, machine, versions
from scipy.special import erf, erfcx

import gpuhomog as gh
from gpuhomog.operators.potentials.truncated import coulomb_kernel, padded_grid
from gpuhomog.units import COULOMB_CONSTANT

POISSON = 4 * np.pi * COULOMB_CONSTANT
LENGTH = 20.0  # of the cell [Å]


def waves(n: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Random waves, and their potential at points."""
    values, modes = make_field(n, "float64")
    modes = [(m, c) for m, c in modes if m.any()]
    values = values - values.mean()
    factor = lambda m: POISSON / ((2 * np.pi / LENGTH) ** 2 * float(m @ m))  # noqa: E731
    return values, np.asarray(exact(modes, n, points, factor) - 10.0, dtype=np.float64)


def sheets(n: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Waves in the plane times Gaussians across it, and their potential: erfc on either side."""
    rng = np.random.default_rng(3)
    x = np.arange(n) * (LENGTH / n)
    values, potential = np.zeros((n, n, n)), np.zeros(len(points))
    for _ in range(12):
        m = rng.integers(1, 5, 2)
        z, width = rng.uniform(8, 12), rng.uniform(0.9, 1.2)
        phase = 2 * np.pi * (m[0] * np.arange(n)[:, None] + m[1] * np.arange(n)[None, :]) / n
        values += np.cos(phase)[:, :, None] * np.exp(-(((x - z) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi))
        g, root = 2 * np.pi / LENGTH * np.hypot(*m), np.sqrt(2) * width
        away = x[points[:, 2]] - z
        near = np.exp(-((away / root) ** 2)) * sum(erfcx(g * root / 2 + s * away / root) for s in (1, -1))
        potential += POISSON / (4 * g) * np.cos(2 * np.pi * (points[:, :2] @ m) / n) * near
    return values, potential


def blobs(n: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian charges, and their potential: erf(r)/r."""
    rng = np.random.default_rng(5)
    x = np.arange(n) * (LENGTH / n)
    values, potential = np.zeros((n, n, n)), np.zeros(len(points))
    for _ in range(12):
        centre, width, charge = rng.uniform(8, 12, 3), rng.uniform(0.9, 1.2), rng.uniform(-1, 1)
        line = [np.exp(-(((x - c) / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi)) for c in centre]
        values += charge * line[0][:, None, None] * line[1][:, None] * line[2]
        distance = np.linalg.norm(points * (LENGTH / n) - centre, axis=1)
        potential += COULOMB_CONSTANT * charge * erf(distance / (np.sqrt(2) * width)) / distance
    return values, potential


def cached_kernel(field: gh.Field, boundary: str) -> np.ndarray:
    """The kernel's half spectrum on the padded grid."""
    grid = gh.Grid(field.grid.shape, field.grid.cell, boundary=boundary.split(","))
    kernel = coulomb_kernel(grid, POISSON)
    n_0, n_1, n_2 = padded_grid(grid).shape
    second, third = np.fft.fftfreq(n_1, 1 / n_1)[:, None], np.arange(n_2 // 2 + 1.0)[None, :]
    planes = [kernel(np.full((1, 1), first), second, third) for first in np.fft.fftfreq(n_0, 1 / n_0)]
    return np.stack(planes).astype(field.values.dtype)


def peers(values: np.ndarray, kernel: np.ndarray, workers: int) -> dict[str, Callable[[], np.ndarray]]:
    """Ways to convolve with a cached kernel: name → call."""
    n_0, n_1, n_2 = values.shape
    shape = (kernel.shape[0], kernel.shape[1], 2 * (kernel.shape[2] - 1))
    inside = (slice(n_0), slice(n_1), slice(n_2))

    def by_scipy() -> np.ndarray:
        modes = scipy.fft.rfftn(values, s=shape, axes=(0, 1, 2), workers=workers)
        modes *= kernel
        return scipy.fft.irfftn(modes, s=shape, axes=(0, 1, 2), workers=workers, overwrite_x=True)[inside]

    ways: dict[str, Callable[[], np.ndarray]] = {"scipy.fft, cached kernel": by_scipy}
    try:
        import pyfftw
    except ImportError as error:
        print(f"no rows of pyFFTW: {error}")
        return ways
    real = pyfftw.empty_aligned(shape, values.dtype)
    spectrum = pyfftw.empty_aligned(kernel.shape, np.result_type(values.dtype, np.complex64))
    plan: dict[str, Any] = {"axes": (0, 1, 2), "threads": workers, "flags": ("FFTW_MEASURE", "FFTW_DESTROY_INPUT")}
    forward = pyfftw.FFTW(real, spectrum, **plan)
    backward = pyfftw.FFTW(spectrum, real, direction="FFTW_BACKWARD", **plan)

    def by_fftw() -> np.ndarray:
        if shape != values.shape:
            real[...] = 0
        real[inside] = values
        modes = forward()
        modes *= kernel
        return backward()[inside]

    ways["pyFFTW, MEASURE, cached kernel"] = by_fftw
    return ways


def main() -> None:
    """Measure every case and print, or keep, its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args()
    n = options.size
    points = np.random.default_rng(1).integers(0, n, (64, 3))
    about = {
        "script": "poisson.py",
        "size": f"{n}^3",
        "dtype": options.dtype,
        "versions": versions("scipy", "pyfftw"),
        **machine(),
    }
    rows = []
    for case, boundary, make in (
        ("potential, periodic", "p,p,p", waves),
        ("potential, slab", "p,p,o", sheets),
        ("potential, isolated", "o,o,o", blobs),
    ):
        exact_values, expected = make(n, points)
        values = np.ascontiguousarray(exact_values, dtype=options.dtype)
        field = gh.Field.from_array(values, LENGTH * np.eye(3), quantity="charge_density", device="cpu")
        ours = lambda field=field, boundary=boundary: gh.electrostatic_potential(field, boundary).values  # noqa: E731
        workers = field.device.threads  # type: ignore[attr-defined]
        ways = {"gpuhomog": ours, **peers(values, cached_kernel(field, boundary), workers)}
        first = 0.0
        for what, way in ways.items():
            found = way()[points[:, 0], points[:, 1], points[:, 2]]
            seconds = fastest(way, options.repeats)
            first = first or seconds
            rows.append(
                {
                    **about,
                    "case": case,
                    "what": what,
                    "seconds": f"{seconds:.4f}",
                    "ratio_to_peer": "" if what == "gpuhomog" else f"{seconds / first:.2f}",
                    "error": f"{float(np.abs(found - expected).max() / np.abs(expected).max()):.1e}",
                }
            )
    append(rows, options.keep)


if __name__ == "__main__":
    main()
