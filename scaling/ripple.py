"""Ripple of macroscopic averages: ours and integer-window peers on one table, made in one run.

The test wave is V = -8 + 10 cos(2π m z/L) eV, L = 20 Å: averaged over its period it is -8 eV, ripple 0. Peers:

    scipy uniform   scipy.ndimage.uniform_filter1d, wrap: window rounded to the nearest number of points
    even window     running mean over an even number of points (rounded down to even, at least 2), as tools that
                    build the window from two halves do; off centre by half a point
    fractional      scipy.ndimage.correlate1d with end weights: no rounding, second order in the spacing

Then the cost of a wrong window, one pass and two, and the time of each way; the time of the period search apart.

    python scaling/ripple.py
"""

from __future__ import annotations

import time

import numpy as np
from scipy.ndimage import correlate1d, uniform_filter1d

import gpuhomog as gh

LENGTH = 20.0
CASES = ((200, 5), (192, 5), (180, 7), (96, 5), (60, 7))  # points, periods: 40, 38.4, 25.7, 19.2, 8.6 a period


def wave(n: int, count: int) -> gh.Profile:
    x = np.arange(n) * (LENGTH / n)
    values = -8 + 10 * np.cos(2 * np.pi * count * x / LENGTH)
    return gh.Profile(x, values, "eV", "electron_potential_energy", LENGTH)


def nearest(values: np.ndarray, points: float) -> np.ndarray:
    return uniform_filter1d(values, max(1, round(points)), mode="wrap")


def even(values: np.ndarray, points: float) -> np.ndarray:
    return uniform_filter1d(values, max(2, 2 * int(points / 2)), mode="wrap")


def fractional(values: np.ndarray, points: float) -> np.ndarray:
    half = int(np.floor((points - 1) / 2))
    weights = np.full(2 * half + 3, 1.0)
    weights[[0, -1]] = (points - 1) / 2 - half
    return correlate1d(values, weights / points, mode="wrap")


def best_time(call) -> float:
    """Shortest of 20 runs [ms]."""
    times = []
    for _ in range(20):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    print("ripple, peak to peak [meV]; exact: 0")
    print(f"{'points/period':>14} {'gpuhomog auto':>14} {'scipy uniform':>14} {'even window':>12} {'fractional':>11}")
    for n, count in CASES:
        profile, points = wave(n, count), n / count
        ours = gh.macroscopic_average(profile).ripple
        peers = [1e3 * np.ptp(peer(profile.values, points)) for peer in (nearest, even, fractional)]
        print(f"{points:14.1f} {1e3 * ours:14.1e} {peers[0]:14.1f} {peers[1]:12.1f} {peers[2]:11.1f}")

    print("\nwindow wrong by      one pass   two passes   [meV]")
    for error in (0.001, 0.005, 0.01, 0.05):
        profile = wave(192, 5)
        once, twice = (1e3 * gh.macroscopic_average(profile, 4.0 * (1 + error), passes=p).ripple for p in (1, 2))
        print(f"{100 * error:12.1f} % {once:13.2f} {twice:12.3f}")

    print("\ntime [ms], shortest of 20")
    for n, count in ((192, 5), (1024, 25), (4096, 100)):
        profile = wave(n, count)
        search = best_time(lambda p=profile: gh.find_periods(p))
        whole = best_time(lambda p=profile, w=LENGTH / count: gh.macroscopic_average(p, w))
        scipy_ms = best_time(lambda p=profile, w=n / count: nearest(p.values, w))
        print(f"{n:6d} points: period search {search:8.2f}, average with diagnosis {whole:8.2f}, scipy {scipy_ms:8.4f}")


if __name__ == "__main__":
    main()
