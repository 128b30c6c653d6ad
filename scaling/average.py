"""Mesoscale averages on the CPU against SciPy, in one run: time and error of each.

    python scaling/average.py [--size 256] [--dtype float64] [--keep]

Input: a band-limited random field plus an offset, so that the exact average is known: the analytic sum of the
field's modes at 64 points. Kernels: box of 65 points; Gaussian of standard deviation 16 points; ball.
Peers: scipy.ndimage (integer window; Gaussian cut at 4 std); FFTs with a cached spectrum of the kernel on all threads
(fft_peers.py): SciPy's, pyFFTW's (planned with MEASURE, which takes seconds and is not counted) and ducc0's, where they
are installed.
`ratio_to_peer` is peer's seconds over ours: above 1 we are faster.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from fft_peers import fft_peers
from rows import append, fastest, machine, versions
from scipy.ndimage import gaussian_filter, uniform_filter

import gpuhomog as gh

MODES = 24  # largest mode of the test field along each axis
OURS, NDIMAGE = "gpuhomog", "scipy.ndimage"
Way = Callable[[], Any]


def make_field(n: int, dtype: str) -> tuple[np.ndarray, list[tuple[np.ndarray, complex]]]:
    """Field of 200 random modes plus noise-free offset, and its modes: exact everywhere."""
    rng = np.random.default_rng(7)
    modes = [(rng.integers(-MODES, MODES + 1, 3), complex(*rng.standard_normal(2))) for _ in range(200)]
    waves = [np.exp(2j * np.pi * np.outer(np.arange(-MODES, MODES + 1), np.arange(n)) / n)] * 3
    coefficients = np.zeros((2 * MODES + 1,) * 3, dtype=complex)
    for m, c in modes:
        coefficients[tuple(m + MODES)] += c
    values = np.einsum("abc,ai,bj,ck->ijk", coefficients, *waves, optimize=True).real
    return np.ascontiguousarray(values + 10.0, dtype=dtype), modes


def exact(modes: list[tuple[np.ndarray, complex]], n: int, points: np.ndarray, factor: Any) -> np.ndarray:
    """Σ c mu^(k) e^{ikx} + offset at integer points, mode by mode, in extended precision."""
    out = np.full(len(points), 10.0, dtype=np.longdouble)
    for m, c in modes:
        phase = 2 * np.longdouble(np.pi) * ((points @ m) % n) / n
        out += np.longdouble(factor(m)) * (c.real * np.cos(phase) - c.imag * np.sin(phase))
    return out


def _dirichlet(width: int, wave: float) -> float:
    """The mean of an odd number of samples of exp(i wave j) about j = 0."""
    return float(np.sin(width * wave / 2) / (width * np.sin(wave / 2))) if np.sin(wave / 2) else 1.0


@dataclass(frozen=True)
class Window:
    """What an average multiplies modes by: factor of a mode's three numbers, exactly; half spectrum on the grid."""

    factor: Callable[[np.ndarray], Any]
    spectrum: np.ndarray


def along_axes(transform: Callable[[Any], Any], n: int, dtype: Any) -> Window:
    """Product of the same function of the wave along each axis."""
    line = np.array([transform(wave) for wave in 2 * np.pi * np.fft.fftfreq(n)]).astype(dtype)
    spectrum = line[:, None, None] * line[:, None] * line[: n // 2 + 1]
    return Window(lambda m: np.prod([transform(2 * np.pi * q / n) for q in m]), spectrum)


def of_length(transform: Callable[[Any], Any], n: int, dtype: Any) -> Window:
    """Function of the wave's length alone."""
    wave = 2 * np.pi * np.fft.fftfreq(n)
    k = np.sqrt(wave[:, None, None] ** 2 + wave[:, None] ** 2 + wave[: n // 2 + 1] ** 2)
    return Window(lambda m: transform(2 * np.pi * np.linalg.norm(m) / n), transform(k).astype(dtype))


def cases(field: gh.Field) -> list[tuple[str, Window, dict[str, Way]]]:
    """Name, window, and ways to the average, ours first; grids of every dth point have 32 an axis."""
    values, n = field.values, field.grid.shape[0]
    d = n // 32
    box, gaussian, ball = gh.Box(65.0 * n / 256), gh.Gaussian(32.0 * n / 256), gh.Ball(40.0 * n / 256)
    width, std = round(box.full_width), gaussian.eps / 2
    odd = width | 1  # whole samples, so that all peers have the same window
    boxes = along_axes(box.transform, n, values.dtype)
    cells = along_axes(lambda wave: _dirichlet(odd, wave), n, values.dtype)
    gaussians, balls = (of_length(kernel.transform, n, values.dtype) for kernel in (gaussian, ball))
    by_fft = fft_peers(values, field.device.threads, own_memory=False)  # type: ignore[attr-defined]

    def ours(kernel: Any, **options: Any) -> Way:
        return lambda: gh.average(field, kernel, **options).values

    def peers(window: Window, ndimage: Way | None = None, step: int = 1) -> dict[str, Way]:
        ways: dict[str, Way] = {NDIMAGE: ndimage} if ndimage else {}
        ways |= {f"{name}, cached spectrum": lambda way=way: way(window.spectrum) for name, way in by_fft.items()}
        return {name: lambda way=way: way()[::step, ::step, ::step] for name, way in ways.items()}

    uniform = lambda: uniform_filter(values, width, mode="wrap")  # noqa: E731
    uniform_odd = lambda: uniform_filter(values, odd, mode="wrap")  # noqa: E731
    smooth = lambda: gaussian_filter(values, std, mode="wrap")  # noqa: E731
    coarse = {"spacing": float(d)}
    of_cells = ours(gh.Box(float(odd)), sampling="cell")
    by_sums = {f"{OURS}, running sums": ours(box, **coarse, method="sums")}
    return [
        ("box, full grid", boxes, {OURS: ours(box), **peers(boxes, uniform)}),
        ("cell box, full grid", cells, {OURS: of_cells, **peers(cells, uniform_odd)}),
        (f"box, every {d}th point", boxes, {OURS: ours(box, **coarse), **by_sums, **peers(boxes, uniform, d)}),
        ("gaussian, full grid", gaussians, {OURS: ours(gaussian), **peers(gaussians, smooth)}),
        (f"gaussian, every {d}th point", gaussians, {OURS: ours(gaussian, **coarse), **peers(gaussians, smooth, d)}),
        ("ball, full grid", balls, {OURS: ours(ball), **peers(balls)}),
    ]


def measured(ways: dict[str, Way], points: np.ndarray, expected: np.ndarray, n: int, repeats: int) -> list[dict]:
    """Seconds, ratio and error of every way; points are counted on the full grid."""
    rows: list[dict[str, str]] = []
    ours = 0.0
    for what, way in ways.items():
        seconds = fastest(way, repeats if NDIMAGE not in what else 2)
        result = way()
        found = result[tuple((points // (n // 32 if len(result) < n else 1)).T)]
        ours = ours or seconds
        rows.append(
            {
                "what": what,
                "seconds": f"{seconds:.4f}",
                "ratio_to_peer": "" if what == OURS else f"{seconds / ours:.2f}",
                "error": f"{float(np.abs(found - expected).max() / 10):.1e}",
            }
        )
    return rows


def main(arguments: list[str] | None = None) -> list[dict[str, Any]]:
    """Measure every case and print, or keep, its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args(arguments)
    n, d = options.size, options.size // 32
    warnings.simplefilter("ignore")
    values, modes = make_field(n, options.dtype)
    points = np.random.default_rng(1).integers(0, n // d, (64, 3)) * d
    about = {
        "script": "average.py",
        "size": f"{n}^3",
        "dtype": options.dtype,
        "versions": versions("scipy", "pyfftw", "ducc0"),
        **machine(),
    }
    copy = fastest(lambda: values.copy(), options.repeats)
    rows: list[dict[str, Any]] = [{**about, "case": "floor", "what": "copy of the array", "seconds": f"{copy:.4f}"}]
    for case, window, ways in cases(gh.Field.from_array(values, np.eye(3) * n)):
        expected = exact(modes, n, points, window.factor)
        rows += [{**about, "case": case, **row} for row in measured(ways, points, expected, n, options.repeats)]
    append(rows, options.keep)
    return rows


if __name__ == "__main__":
    main()
