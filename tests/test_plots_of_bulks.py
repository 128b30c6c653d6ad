"""Figures of moments, stages, maps, point charges and intervals in space: what was computed, where it is."""

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import StepPatch

import gpuhomog as gh
from gpuhomog import plots

pytestmark = pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")  # small cells


def curve(axes, label):
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return np.array(found.get_xdata()), np.array(found.get_ydata())


@pytest.fixture
def crystal():
    x = np.arange(40) / 8
    return gh.Profile(x, np.cos(2 * np.pi * x / 5), "e/Å^3", "charge_density", 5.0)


def test_moments_stand_below_the_profile_with_its_edges(crystal):
    result = gh.moment_densities(crystal, x_b=1.0)
    dipole = gh.dipole_density(crystal, width=2.0)
    upper, first, second = plots.plot_moments(crystal, result, dipole).axes
    x, m1 = curve(first, "$M_1$")
    np.testing.assert_allclose(m1[:-1], result.m1_field.values)
    assert (x[-1], m1[-1]) == (5.0, m1[0])
    np.testing.assert_allclose(curve(first, "dipole density, 2 Å")[1][:-1], dipole.values)
    np.testing.assert_allclose(curve(second, "$W$")[1], curve(second, "$M_2$/2")[1], atol=1e-12)
    marked = {round(float(np.ravel(line.get_xdata())[0]), 6) for line in upper.lines if len(line.get_xdata()) == 2}
    assert 1.0 in marked
    assert first.get_ylabel() == "first moment (e Å$^{-2}$)" and second.get_ylabel() == "second moment (e Å$^{-1}$)"


def test_each_stage_has_its_panel_and_a_bar_of_its_eps():
    x = np.arange(800) * 0.25
    waves = np.cos(2 * np.pi * x) + np.cos(2 * np.pi * x / 20)
    profile = gh.Profile(x, waves, "V", "electrostatic_potential", 200.0)
    result = gh.homogenize(profile, [gh.Stage(3.0, (50.0,)), gh.Stage(10.0)])
    _, one, two = plots.plot_homogenized(profile, result).axes
    for axes, stage in ((one, result.stages[0]), (two, result.stages[1])):
        np.testing.assert_allclose(curve(axes, "$V$")[1][:-1], stage.macroscopic.values)
        np.testing.assert_allclose(curve(axes, "average")[1][:-1], stage.average.values)
        spans = [np.ptp(line.get_xdata()) for line in axes.lines]
        assert any(span == pytest.approx(stage.eps) for span in spans)
    assert any(np.all(np.array(line.get_xdata()) == 50.0) for line in one.lines)
    (sharp,) = [line for line in one.lines if np.all(np.array(line.get_xdata()) == 50.0)]
    one.figure.draw_without_rendering()
    assert sharp.get_window_extent().y1 < one.get_legend().get_window_extent().y0
    assert not any(np.all(np.array(line.get_xdata()) == 50.0) for line in two.lines)


@pytest.mark.parametrize("width", ["page", "column"])
def test_maps_have_the_values_and_the_geometry(width):
    z = np.arange(160) * 0.2
    places = 6 + np.arange(18)
    line = sum(np.exp(-0.5 * ((z - p) / 0.2) ** 2) - np.exp(-0.5 * ((z - p - 0.3) / 0.2) ** 2) for p in places)
    strength = 1 + 0.2 * np.cos(2 * np.pi * np.arange(8) / 8)[:, None] + np.zeros((8, 5))
    cell = np.array([[6.0, 0, 0], [1.5, 5.0, 0], [0, 0, 32.0]])
    field = gh.Field.from_array(strength[:, :, None] * line, cell, quantity="charge_density")
    result = gh.surface_map(field, "c", period=1.0)
    figure = plots.plot_surface_map(result, width=width)
    panels = [axes for axes in figure.axes if axes.get_title()]
    for axes, values in zip(panels, (result.low, result.high), strict=True):
        (mesh,) = [part for part in axes.collections if isinstance(part, QuadMesh)]
        drawn = np.asarray(mesh.get_array()).reshape(9, 6)
        np.testing.assert_allclose(drawn[:-1, :-1], values)
        np.testing.assert_allclose(drawn[-1, :-1], values[0])
        corners = mesh.get_coordinates()
        assert corners[-1, 0].tolist() == pytest.approx([6.0, 0.0]) and corners[0, -1].tolist() == pytest.approx(
            [1.5, 5.0]
        )
    assert "mean" in panels[0].get_title() and len(figure.axes) == 4


def test_point_charges_add_up_below_one_another():
    points = gh.PointCharges([j + d for j in range(20) for d in (0.0, 0.3, 0.3)], [1.0, -0.5, -0.5] * 20)
    result = gh.point_surface_charge(points, period=1.0)
    _, lower = plots.plot_point_charges(points, result).axes
    (steps,) = [patch for patch in lower.patches if isinstance(patch, StepPatch)]
    values, edges, _ = steps.get_data()
    assert values.tolist() == pytest.approx([0.0] + [1.0, 0.0] * 20) and len(edges) == 42  # of one plane at 0.3 Å
    levels = sorted(float(line.get_ydata()[0]) for line in lower.lines if len(set(line.get_ydata())) == 1)
    assert levels[-2:] == pytest.approx([0.3, 0.3])


def test_terminations_of_ions_stand_in_their_gaps():
    ions = gh.Structure([11, 17], [[0, 0, 0.5], [0, 0, 1.5]], charges=[1.0, -1.0])
    result = gh.point_terminations(ions, np.diag([2.0, 2.0, 4.0]), "c")
    _, lower = plots.plot_point_terminations(result).axes
    drawn = {
        (round(float(x[0]), 6), round(float(x[1]), 6)): float(y[0]) for x, y in (p.get_data() for p in lower.lines)
    }
    low, high = (float(cut.charge) for cut in result.cuts)
    assert drawn[(0.5, 1.5)] == low and drawn[(1.5, 4.0)] == high and drawn[(0.0, 0.5)] == high


def test_charge_of_molecules():
    result = gh.molecular_charge([(None, [(1.0, 1.0), (1.4, -1.0)])], np.linspace(-3, 6, 50), 2.0)
    upper, lower = plots.plot_molecules(result).axes
    np.testing.assert_array_equal(curve(upper, "exact")[1], result.exact)
    np.testing.assert_array_equal(curve(upper, "bound")[1], result.bound)
    np.testing.assert_array_equal(lower.lines[0].get_ydata(), result.residual)


def test_intervals_in_space():
    values = np.cos(2 * np.pi * np.arange(32) / 32) + np.zeros((8, 8, 32))
    field = gh.Field.from_array(values, np.diag([4.0, 4.0, 8.0]), quantity="electrostatic_potential")
    result = gh.field_intervals(field, gh.Gaussian(1.0), spacing=0.5)
    figure = plots.plot_field_intervals(result, through=(0, 0, 0.25))
    meshes = [part for axes in figure.axes for part in axes.collections if isinstance(part, QuadMesh)]
    assert any(axes.get_xlabel() == "eps$_V$ (V)" or axes.get_ylabel() == "eps$_V$ (V)" for axes in figure.axes)
    widths = result.high.values - result.low.values
    assert max(np.asarray(mesh.get_array()).max() for mesh in meshes) == pytest.approx(widths.max())
    decided = gh.field_assumption_8(field, 3.0, gh.Gaussian(1.0))
    (axes,) = plots.plot_assumption_8(decided).axes
    for window, share in zip(decided.windows, decided.share, strict=True):
        np.testing.assert_array_equal(curve(axes, window)[1], share)
        np.testing.assert_array_equal(curve(axes, window)[0], decided.widths)
