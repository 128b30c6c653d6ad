"""Potentials of charge densities on the CPU against SciPy's FFT, FFTW and ducc0, in one run.

    python scaling/poisson.py [--size 128] [--dtype float64] [--repeats 5] [--tune] [--keep]

Cases: a periodic cell, a slab with one open axis, a cluster with three. Peers pad with zeros to twice the points of
each open axis, transform, multiply, transform back, and cut (fft_peers.py): what anyone writes who knows the truncated
kernels. Plans are made before (pyFFTW: MEASURE, seconds that are not counted); what FFTW and ducc0 return is their own
memory.

    repeated       peers have the kernel's spectrum cached; ours keeps what it needs of it from the call before
    kernel made    all make the kernel, as the first call on a grid does

Ours checks the charge in each call, too (neutral, none at open ends), as users call it; it finds no wisdom of FFTW, or,
with --tune, what `gpuhomog tune` plans before. All ways take turns, so that a busy machine is busy for all. The error
is the largest deviation at 64 points from closed forms (waves; waves in the plane times Gaussians across it; Gaussian
charges), over the largest value there. `ratio_to_peer` is peer's seconds over ours: above 1 we are faster.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from average import exact, make_field
from fft_peers import fft_peers
from rows import append, fastest, machine, versions
from scipy.special import erf, erfcx

import gpuhomog as gh
from gpuhomog.device.cpu.kept import TABLES
from gpuhomog.device.fftw import planning
from gpuhomog.grid import OPEN, PERIODIC
from gpuhomog.operators.potentials.truncated import coulomb_kernel, padded_grid
from gpuhomog.units import COULOMB_CONSTANT

POISSON = 4 * np.pi * COULOMB_CONSTANT
LENGTH = 20.0  # of the cell [Å]
Way = Callable[[], Any]


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


CASES = (
    ("potential, periodic", "p,p,p", waves),
    ("potential, slab", "p,p,o", sheets),
    ("potential, isolated", "o,o,o", blobs),
)
"""Name, boundary, and charges whose potential is known."""


def cached_kernel(field: gh.Field, boundary: str) -> np.ndarray:
    """The kernel's half spectrum on the padded grid."""
    grid = gh.Grid(field.grid.shape, field.grid.cell, boundary=boundary.split(","))
    kernel = coulomb_kernel(grid, POISSON)
    n_0, n_1, n_2 = padded_grid(grid).shape
    second, third = np.fft.fftfreq(n_1, 1 / n_1)[:, None], np.arange(n_2 // 2 + 1.0)[None, :]
    planes = [kernel(np.full((1, 1), first), second, third) for first in np.fft.fftfreq(n_0, 1 / n_0)]
    return np.stack(planes).astype(field.values.dtype)


def tuned(values: np.ndarray) -> None:
    """What `gpuhomog tune` does."""
    empty = gh.Field.from_array(np.zeros_like(values), np.eye(3), quantity="charge_density", device="cpu")
    with planning():
        for boundary in product((PERIODIC, OPEN), repeat=3):
            gh.electrostatic_potential(empty, boundary)


def ways_of(field: gh.Field, boundary: str, ours: str) -> dict[str, dict[str, Way]]:
    """Of each case, "repeated" and "kernel made": ways to the potential, ours first."""
    padded = padded_grid(gh.Grid(field.grid.shape, field.grid.cell, boundary=boundary.split(",")))
    by_fft = fft_peers(field.values, field.device.threads, padded.shape)  # type: ignore[attr-defined]
    known = cached_kernel(field, boundary)

    def again() -> Any:
        return gh.electrostatic_potential(field, boundary).values

    def anew() -> Any:
        TABLES.clear()
        return again()

    with_known = {name: lambda way=way: way(known) for name, way in by_fft.items()}
    with_new = {name: lambda way=way: way(cached_kernel(field, boundary)) for name, way in by_fft.items()}
    return {"repeated": {ours: again, **with_known}, "kernel made": {ours: anew, **with_new}}


def measured(ways: dict[str, Way], points: np.ndarray, expected: np.ndarray, repeats: int) -> list[dict[str, str]]:
    """Seconds, ratio and error of every way, taking turns; the first is ours."""
    errors = {}
    for what, way in ways.items():
        found = way()[tuple(points.T)]
        errors[what] = float(np.abs(found - expected).max() / np.abs(expected).max())
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for what, way in ways.items():
            seconds[what] = min(seconds[what], fastest(way, 1))
    ours = next(iter(ways))
    return [
        {
            "what": what,
            "seconds": f"{seconds[what]:.4f}",
            "ratio_to_peer": "" if what == ours else f"{seconds[what] / seconds[ours]:.2f}",
            "error": f"{error:.1e}",
        }
        for what, error in errors.items()
    ]


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure every case and print, or keep, its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tune", action="store_true", help="ours with what FFTW planned for the grid")
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args(arguments)
    n = options.size
    points = np.random.default_rng(1).integers(0, n, (64, 3))
    about = {
        "script": "poisson.py",
        "size": f"{n}^3",
        "dtype": options.dtype,
        "versions": versions("scipy", "pyfftw", "ducc0"),
        **machine(),
    }
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()  # no wisdom but that of this run
    if options.tune:
        tuned(np.zeros((n, n, n), options.dtype))
    ours = "gpuhomog, tuned" if options.tune else "gpuhomog"
    rows: list[dict[str, Any]] = []
    for case, boundary, make in CASES:
        exact_values, expected = make(n, points)
        values = np.ascontiguousarray(exact_values, dtype=options.dtype)
        field = gh.Field.from_array(values, LENGTH * np.eye(3), quantity="charge_density", device="cpu")
        for when, ways in ways_of(field, boundary, ours).items():
            found = measured(ways, points, expected, options.repeats)
            rows += [{**about, "case": f"{case}, {when}", **row} for row in found]
    append(rows, options.keep)
    return rows


if __name__ == "__main__":
    main()
