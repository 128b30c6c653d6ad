"""Figures of currents show the numbers of the results, at their times."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog import plots
from gpuhomog.plots import style

X = np.arange(256) * 0.25


def densities():
    def packets(places, std):
        return np.exp(-0.5 * ((X[:, None] - places) / std) ** 2).sum(axis=1) / (std * np.sqrt(2 * np.pi))

    ions = 12.0 + 4.0 * np.arange(10)
    lines = [packets(ions, 0.5) - packets(ions + 0.1 * n, 0.8) for n in range(5)]
    profiles = (gh.Profile(X, line, "e/Å^3", "charge_density", 64.0) for line in lines)
    return gh.density_current(profiles, time_step=0.5, period=4.0)


def charges(n):
    x = 0.01 * np.arange(n)[:, None] ** 2 * np.array([0.0, 1.0])
    return gh.packet_current(gh.frames_on_line(x, [1.0, -1.0], 6.0), time_step=2.0, time_unit="ps")


@pytest.mark.parametrize("width", ["column", "page"])
def test_current_of_densities(width):
    found = densities()
    upper, lower = plots.plot_current(found, width=width).axes
    (J,) = [line for line in upper.lines if line.get_color() == style.BLUE]
    np.testing.assert_array_equal(J.get_ydata(), found.J[1:-1])
    np.testing.assert_array_equal(J.get_xdata(), [0.5, 1.0, 1.5])
    (dipole,) = [line for line in upper.lines if line.get_color() == style.VERMILION]
    np.testing.assert_array_equal(dipole.get_ydata(), found.J_dipole[1:-1])
    (passed,) = [line for line in lower.lines if line.get_color() == style.BLUE]
    np.testing.assert_array_equal(passed.get_ydata(), found.transferred)
    assert lower.get_xlabel() == "time (fs)" and upper.get_ylabel() == "J (e Å$^{-2}$ fs$^{-1}$)"


@pytest.mark.parametrize(("n", "marker"), [(3, "o"), (61, "")])
def test_current_of_charges(n, marker):
    found = charges(n) if n == 3 else charges(61)
    upper, _ = plots.plot_current(found).axes
    (J,) = [line for line in upper.lines if line.get_color() == style.BLUE]
    np.testing.assert_array_equal(J.get_ydata(), found.J[1:-1])
    assert (J.get_marker() or "") == marker and len(upper.lines) == 2
    band = upper.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isfinite(band).all()
