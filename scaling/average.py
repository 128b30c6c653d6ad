"""Mesoscale averages on the CPU against SciPy, in one run: time and error of each.

    python scaling/average.py [--size 256] [--dtype float64] [--keep]

Input: a band-limited random field plus an offset, so that the exact average is known: the analytic sum of the
field's modes at 64 points. Kernels: box of 65 points; Gaussian of standard deviation 16 points; ball.
Peers: scipy.ndimage (integer window; Gaussian cut at 4 std); FFTs with a cached spectrum of the kernel on all threads:
SciPy's, pyFFTW's (planned with MEASURE, which takes seconds and is not counted) and ducc0's, where they are installed.
`ratio_to_peer` is peer's seconds over ours: above 1 we are faster.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
from rows import append, fastest, machine, versions
from scipy.ndimage import gaussian_filter, uniform_filter

import gpuhomog as gh

MODES = 24  # largest mode of the test field along each axis


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


def fft_peers(values: np.ndarray, workers: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Ways to multiply the modes of the values: name → function of the multiplier. Says which are absent."""

    def by_scipy(multiplier: np.ndarray) -> np.ndarray:
        modes = scipy.fft.rfftn(values, workers=workers)
        modes *= multiplier
        return scipy.fft.irfftn(modes, s=values.shape, workers=workers, overwrite_x=True)

    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {"scipy.fft": by_scipy}
    try:
        import pyfftw
    except ImportError as error:
        print(f"no rows of pyFFTW: {error}")
    else:
        wide = np.result_type(values.dtype, np.complex64)
        real = pyfftw.empty_aligned(values.shape, values.dtype)
        spectrum = pyfftw.empty_aligned((*values.shape[:2], values.shape[2] // 2 + 1), wide)
        plan = {"axes": (0, 1, 2), "threads": workers, "flags": ("FFTW_MEASURE", "FFTW_DESTROY_INPUT")}
        forward = pyfftw.FFTW(real, spectrum, **plan)
        backward = pyfftw.FFTW(spectrum, real, direction="FFTW_BACKWARD", **plan)

        def by_fftw(multiplier: np.ndarray) -> np.ndarray:
            real[...] = values
            modes = forward()
            modes *= multiplier
            return backward()

        ways["pyFFTW, MEASURE"] = by_fftw
    try:
        import ducc0
    except ImportError as error:
        print(f"no rows of ducc0: {error}")
    else:

        def by_ducc(multiplier: np.ndarray) -> np.ndarray:
            modes = ducc0.fft.r2c(values, nthreads=workers)
            modes *= multiplier
            return ducc0.fft.c2r(
                modes, lastsize=values.shape[2], forward=False, nthreads=workers, inorm=2, allow_overwriting_input=True
            )

        ways["ducc0"] = by_ducc
    return ways


def _dirichlet(width: int, wave: float) -> float:
    """The mean of an odd number of samples of exp(i wave j) about j = 0."""
    return float(np.sin(width * wave / 2) / (width * np.sin(wave / 2))) if np.sin(wave / 2) else 1.0


def main() -> None:
    """Measure every case and print, or keep, its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="append the rows to results.csv")
    options = parser.parse_args()
    n, d = options.size, options.size // 32
    warnings.simplefilter("ignore")
    values, modes = make_field(n, options.dtype)
    field = gh.Field.from_array(values, np.eye(3) * n)
    points = np.random.default_rng(1).integers(0, n // d, (64, 3)) * d
    box, gaussian, ball = gh.Box(65.0 * n / 256), gh.Gaussian(32.0 * n / 256), gh.Ball(40.0 * n / 256)
    width, std = round(box.full_width), gaussian.eps / 2
    odd = width | 1  # whole samples, so that all peers have the same window
    line = lambda kernel: lambda m: np.prod([kernel.transform(2 * np.pi * q / n) for q in m])  # noqa: E731
    factors = {
        "box": line(box),
        "cell box": lambda m: np.prod([_dirichlet(odd, 2 * np.pi * q / n) for q in m]),
        "gaussian": lambda m: gaussian.transform(2 * np.pi * np.linalg.norm(m) / n),
        "ball": lambda m: ball.transform(2 * np.pi * np.linalg.norm(m) / n),
    }
    wave = 2 * np.pi * np.fft.fftfreq(n)
    k = np.sqrt(wave[:, None, None] ** 2 + wave[:, None] ** 2 + wave[: n // 2 + 1] ** 2)
    spectrum = ball.transform(k).astype(values.dtype)
    line_box = box.transform(wave).astype(values.dtype)
    sampled = np.array([_dirichlet(odd, q) for q in wave]).astype(values.dtype)
    cell_spectrum = sampled[:, None, None] * sampled[:, None] * sampled[: n // 2 + 1]
    box_spectrum = line_box[:, None, None] * line_box[:, None] * line_box[: n // 2 + 1]
    gaussian_spectrum = gaussian.transform(k).astype(values.dtype)
    workers = field.device.threads  # type: ignore[attr-defined]

    ways_by_fft = fft_peers(values, workers)

    coarse = slice(None, None, d)
    sparse = lambda array: array[coarse, coarse, coarse]  # noqa: E731
    by_fft = lambda multiplier, thin=lambda a: a: {  # noqa: E731
        f"{name}, cached spectrum": lambda way=way: thin(way(multiplier)) for name, way in ways_by_fft.items()
    }
    cases: list[tuple[str, str, dict[str, Any]]] = [
        (
            "box, full grid",
            "box",
            {
                "gpuhomog": lambda: gh.average(field, box).values,
                "scipy.ndimage": lambda: uniform_filter(values, width, mode="wrap"),
                **by_fft(box_spectrum),
            },
        ),
        (
            "cell box, full grid",
            "cell box",
            {
                "gpuhomog": lambda: gh.average(field, gh.Box(float(odd)), sampling="cell").values,
                "scipy.ndimage": lambda: uniform_filter(values, odd, mode="wrap"),
                **by_fft(cell_spectrum),
            },
        ),
        (
            f"box, every {d}th point",
            "box",
            {
                "gpuhomog": lambda: gh.average(field, box, spacing=float(d)).values,
                "gpuhomog, running sums": lambda: gh.average(field, box, spacing=float(d), method="sums").values,
                "scipy.ndimage": lambda: sparse(uniform_filter(values, width, mode="wrap")),
                **by_fft(box_spectrum, sparse),
            },
        ),
        (
            "gaussian, full grid",
            "gaussian",
            {
                "gpuhomog": lambda: gh.average(field, gaussian).values,
                "scipy.ndimage": lambda: gaussian_filter(values, std, mode="wrap"),
                **by_fft(gaussian_spectrum),
            },
        ),
        (
            f"gaussian, every {d}th point",
            "gaussian",
            {
                "gpuhomog": lambda: gh.average(field, gaussian, spacing=float(d)).values,
                "scipy.ndimage": lambda: sparse(gaussian_filter(values, std, mode="wrap")),
                **by_fft(gaussian_spectrum, sparse),
            },
        ),
        (
            "ball, full grid",
            "ball",
            {
                "gpuhomog": lambda: gh.average(field, ball).values,
                **by_fft(spectrum),
            },
        ),
    ]
    about = {
        "script": "average.py",
        "size": f"{n}^3",
        "dtype": options.dtype,
        "versions": versions("scipy", "pyfftw", "ducc0"),
        **machine(),
    }
    copy = fastest(lambda: values.copy(), options.repeats)
    rows = [{**about, "case": "floor", "what": "copy of the array", "seconds": f"{copy:.4f}"}]
    for case, kernel, ways in cases:
        expected = exact(modes, n, points, factors[kernel])
        ours = None
        for what, way in ways.items():
            seconds = fastest(way, options.repeats if "ndimage" not in what else 2)
            result = way()
            at = points // d if result.shape[0] < n else points
            found = result[at[:, 0], at[:, 1], at[:, 2]]
            error = float(np.abs(found - expected).max() / 10)
            ours = ours or seconds
            ratio = "" if what == "gpuhomog" else f"{seconds / ours:.2f}"
            rows.append(
                {
                    **about,
                    "case": case,
                    "what": what,
                    "seconds": f"{seconds:.4f}",
                    "ratio_to_peer": ratio,
                    "error": f"{error:.1e}",
                }
            )
    append(rows, options.keep)


if __name__ == "__main__":
    main()
