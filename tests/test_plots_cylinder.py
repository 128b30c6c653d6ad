"""Figures of cylinders of charge show the numbers of the results, at their places."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog import plots
from gpuhomog.errors import InputError
from gpuhomog.plots import style


@pytest.fixture(scope="module")
def profile():
    x = np.arange(280) * 0.2
    places = 10.0 + 4.0 * np.arange(10)
    line = sum(
        q * np.exp(-0.5 * ((x[:, None] - places) / s) ** 2).sum(axis=1) / (16 * s * np.sqrt(2 * np.pi))
        for q, s in ((1.0, 0.4), (-1.0, 0.8))
    )
    return gh.Profile(x, line, "e/Å^3", "charge_density", 56.0, boundary="open")


@pytest.fixture(scope="module")
def field(profile):
    values = (1 + 0.5 * np.cos(2 * np.pi * np.arange(6) / 6))[:, None, None] * np.ones((1, 5, 1)) * profile.values
    cell = np.array([[4.0, 0, 0], [1.0, 3.0, 0], [0, 0, 56.0]])
    return gh.Field.from_array(values, cell, quantity="charge_density")


@pytest.mark.parametrize(("case", "radius"), [("film", np.inf), ("sample", 300.0)])
def test_bars_lead_to_the_exact_sum(profile, case, radius):
    found = gh.potential_budget(
        profile, period=4.0, x_b=27.1, case=case, radius=radius, length=4.0, radii=[5.0, 50.0, 500.0]
    )
    bars, limits = plots.plot_budget(found).axes
    widths = [patch.get_width() for patch in bars.patches]
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert len(widths) == len(names) and names[-3:] == ["exact", "mean", "eq. 80"]
    assert sum(widths[:-3]) == pytest.approx(found.sum.value, abs=1e-12)
    ends = [patch.get_x() + patch.get_width() for patch in bars.patches]
    for number in range(1, len(widths) - 3):
        assert bars.patches[number].get_x() == pytest.approx(ends[number - 1], abs=1e-12)
    assert widths[-3:] == pytest.approx([found.exact_direct.value, found.mean_direct.value, found.printed.value])
    sheets, exact = limits.lines[:2]
    np.testing.assert_array_equal(sheets.get_ydata(), found.sheets_of_radius)
    np.testing.assert_array_equal(exact.get_ydata(), found.mean_of_radius)
    (alone,) = plots.plot_budget(gh.potential_budget(profile, period=4.0, x_b=27.1)).axes
    assert alone.get_xlabel() == "potential at x$_b$ = 27.10 Å (V)"


def test_what_diverges_is_said(profile):
    charged = gh.Profile(profile.position, profile.values + np.exp(-((profile.position - 8) ** 2)) / 100, "e/Å^3",
                         "charge_density", 56.0, boundary="open")  # fmt: skip
    bars, *_ = plots.plot_budget(gh.potential_budget(charged, period=4.0, x_b=30.0)).axes
    assert [text.get_text() for text in bars.texts].count("diverges") == 4


@pytest.mark.parametrize("width", ["column", "page"])
def test_maps_of_a_plane(field, width):
    found = gh.cylinder_potential(field, "c", 9.0, at=[26.0, 28.0])
    figure = plots.plot_cylinder(found, number=1, width=width)
    maps, bars = figure.axes[::2], figure.axes[1::2]
    for axes, part in zip(maps, ("", "_average", "_deviation"), strict=True):
        expected = (getattr(found, "low" + part) + getattr(found, "high" + part))[1]
        np.testing.assert_array_equal(axes.collections[0].get_array(), expected)
    assert maps[0].get_xlabel() == "a (Å)" and maps[0].get_ylabel() == "⊥ a (Å)"
    assert [bar.get_xlabel() for bar in bars] == ["Φ (V)", r"Φ of $\bar{\rho}$ (V)", "Φ of Δρ (V)"]
    corner = maps[0].collections[0].get_coordinates()[0, 0]
    np.testing.assert_allclose(corner, -0.5 * np.array([4 / 6 + 1 / 5, 3 / 5]))
    with pytest.raises(InputError, match="no map"):
        plots.plot_cylinder(gh.cylinder_potential(field, "c", 9.0, at=[[0.0, 0.0, 28.0]]))


def test_a_straight_line_of_powers(field):
    found = gh.deviation_decay(field, "c", x_b=28.0, side="both", radii=np.geomspace(20, 900, 120))
    (axes,) = plots.plot_decay(found).axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["RMS"].get_ydata(), found.rms)
    fit = lines["fit"]
    slope = np.polyfit(np.log(fit.get_xdata()), np.log(fit.get_ydata()), 1)[0]
    assert slope == pytest.approx(found.exponent.value)
    assert lines["RMS"].get_color() == style.BLACK and axes.get_yscale() == "log"
