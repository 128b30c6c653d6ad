"""Figures show what was computed, where it is: positions, levels, units; never pixels."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from disordered import disordered
from matplotlib.collections import QuadMesh

import gpuhomog as gh
from gpuhomog import plots
from gpuhomog.errors import InputError
from gpuhomog.plots import along, slices, style
from gpuhomog.results import Measurement

ATOMS = gh.Structure(np.array([11, 17]), np.array([[0.0, 0.0, 8.0], [2.0, 1.5, 10.0]]))


def profile_of(values, length, **more):
    n = len(values)
    position = np.arange(n) * (length / n)
    return gh.Profile(position, values, "e/Å^3", "charge_density", length, **more)


@pytest.fixture
def slab():
    """Ten pairs of +1 and -1 e/Å^2, 0.3 Å apart, from 8 to 17.3 Å of 32 Å: sigma = +0.3 and -0.3."""
    z = np.arange(512) * 0.0625
    packets = sum(
        np.exp(-0.5 * ((z - 8 - n) / 0.25) ** 2) - np.exp(-0.5 * ((z - 8.3 - n) / 0.25) ** 2) for n in range(10)
    )
    return profile_of(packets / (0.25 * np.sqrt(2 * np.pi)), 32.0, structure=ATOMS)


def line_of(axes, label=None, colour=None):
    found = [
        line
        for line in axes.lines
        if (label is None or line.get_label() == label) and (colour is None or line.get_color() == colour)
    ]
    assert found
    return found[0]


def panels(figure):
    """The axes of the three planes; the colour bar has no title."""
    found = [axes for axes in figure.axes if axes.get_title()]
    assert all(isinstance(axes.collections[0], QuadMesh) for axes in found)
    return found


def test_profiles_stand_at_their_positions(slab):
    x = slab.position
    slab = profile_of(np.cos(2 * np.pi * x) + 0.05 * np.cos(2 * np.pi * x / 32), 32.0, structure=ATOMS)
    macroscopic = gh.macroscopic_average(slab, 1.0)
    figure = plots.plot_profile(slab, macroscopic)
    atoms, main, magnified = figure.axes
    drawn = line_of(main, "planar average")
    np.testing.assert_array_equal(drawn.get_xdata()[:-1], slab.position)
    np.testing.assert_array_equal(drawn.get_ydata()[:-1], slab.values)
    assert (drawn.get_xdata()[-1], drawn.get_ydata()[-1]) == (32.0, slab.values[0])  # closed after one period
    for axes, curve in ((main, line_of(main, "macroscopic average")), (magnified, magnified.lines[-1])):
        np.testing.assert_array_equal(curve.get_xdata()[:-1], macroscopic.position)
        np.testing.assert_array_equal(curve.get_ydata()[:-1], macroscopic.values)
        assert axes.get_xlim() == (0.0, 32.0)
    assert main.get_ylabel() == "charge density (e Å$^{-3}$)"
    assert magnified.get_ylabel() == "macroscopic (e Å$^{-3}$)"
    assert magnified.get_xlabel() == "position normal to the a, b plane (Å)"
    marks = {tuple(line.get_xdata()) for line in atoms.lines}
    assert marks == {(8.0,), (10.0,)}
    assert [label.get_text() for label in atoms.get_yticklabels()] == ["Cl", "Na"]
    legend = main.get_legend() or figure.legends[0]
    assert {text.get_fontsize() for text in legend.get_texts()} == {style.STYLE["legend.fontsize"]}


def test_the_window_is_drawn_to_scale(slab):
    figure = plots.plot_profile(slab, gh.macroscopic_average(slab, (1.0, 2.5)))
    main = figure.axes[1]
    bars = [line for line in main.lines if line.get_color() == style.VERMILION]
    assert sorted(np.ptp(bar.get_xdata()) for bar in bars) == pytest.approx([1.0, 2.5])
    assert {text.get_text().strip() for text in main.texts} >= {"window 1 Å", "window 2.5 Å"}


def test_planes_in_the_middle_of_cells_reach_both_ends_of_the_period():
    half = gh.Profile(np.arange(16) + 0.5, np.arange(16.0), "e/Å^3", "charge_density", 16.0)
    drawn = line_of(plots.plot_profile(half).axes[0], "planar average")
    np.testing.assert_array_equal(drawn.get_xdata(), np.arange(18) - 0.5)
    np.testing.assert_array_equal(drawn.get_ydata(), [15.0, *range(16), 0.0])


def test_profiles_that_begin_elsewhere_are_drawn_whole():
    """Axes went from 0 to the length: of a table from -12 Å on a third was not seen."""
    x = -12 + 0.0625 * np.arange(512)
    wave = gh.Profile(x, np.cos(2 * np.pi * x) * (np.abs(x) < 8), "V", "electrostatic_potential", 32.0)
    *_, main = plots.plot_profile(wave, gh.macroscopic_average(wave, 1.0)).axes
    step = gh.potential_step(wave, period=1.0)
    levels = plots.plot_step(wave, step).axes[-1]
    vacua = plots.plot_vacuum_levels(wave, gh.vacuum_levels(wave)).axes[-1]
    crystal = gh.Profile(x[:64], np.cos(np.pi * x[:64] / 2), "e/Å^3", "charge_density", 4.0)
    cuts = plots.plot_terminations(gh.terminations(crystal)).axes[-1]
    assert [axes.get_xlim() for axes in (main, levels, vacua, cuts)] == [(-12, 20), (-12, 20), (-12, 20), (-12, -8)]
    (period,) = gh.find_periods(gh.Profile(x, wave.values, "V", "electrostatic_potential", 32.0), most=1)
    assert "through the end" not in period.explanation and f"between {period.window[0]:.4g}" in period.explanation


def test_what_is_magnified_is_what_varies():
    x = np.arange(256) * 0.125
    wave = profile_of(4 * np.cos(2 * np.pi * x) - 1 + 0.1 * np.cos(2 * np.pi * x / 32), 32.0)
    low, high = plots.plot_profile(wave, gh.macroscopic_average(wave, 1.0)).axes[1].get_ylim()
    assert high - low < 0.3  # and not down from 0


def test_small_numbers_have_their_power_in_the_label():
    figure = plots.plot_profile(profile_of(3e-6 * np.cos(2 * np.pi * np.arange(64) / 64), 16.0))
    axes = figure.axes[0]
    figure.draw_without_rendering()
    assert axes.get_ylabel() == "charge density (10$^{-6}$ e Å$^{-3}$)"
    shown = {label.get_text() for label in axes.get_yticklabels()}
    assert {"−2", "0", "2"} <= shown and axes.yaxis.get_offset_text().get_text() == ""


def test_rounding_is_not_magnified():
    wave = profile_of(np.cos(2 * np.pi * np.arange(64) / 16), 16.0)
    assert len(plots.plot_profile(wave, gh.macroscopic_average(wave, 4.0)).axes) == 1


def test_the_band_is_the_uncertainty():
    values = np.cos(2 * np.pi * np.arange(64) / 64)
    planar = profile_of(values, 16.0)
    given = np.linspace(0.01, 0.2, 64)
    macroscopic = profile_of(values, 16.0, uncertainty=given, periods=(2.0,))
    axes = plots.plot_profile(planar, macroscopic).axes[0]
    (band,) = axes.collections
    corners = band.get_paths()[0].vertices
    at = np.abs(corners[:, 0] - planar.position[40]) < 1e-9
    assert np.ptp(corners[at, 1]) == pytest.approx(2 * given[40])


@pytest.mark.parametrize(("level", "y"), [(0.1, 0.55), (0.6, 0.3), (0.5, 0.55), (0.3, 0.55)])
def test_the_vacuum_is_named_beside_the_curve_and_where_the_word_fits(level, y):
    planar = profile_of(np.full(64, level), 16.0)
    axes = style.new_figure("column", 2.0).add_subplot(xlim=(0, 16), ylim=(0, 1))
    along.name_vacuum(axes, [(0.0, 2.0), (4.0, 10.0)], planar)
    (text,) = axes.texts
    assert text.get_position() == (7.0, y)


def test_an_open_profile_is_not_closed():
    planar = profile_of(np.linspace(0, 1, 16), 8.0, boundary="open")
    figure = plots.plot_profile(planar)
    assert len(line_of(figure.axes[0], "planar average").get_xdata()) == 16


def test_atoms_are_seen_from_the_origin_of_the_grid(slab):
    figure = plots.plot_profile(slab, origin=(5.0, 5.0, 3.0))
    assert {tuple(line.get_xdata()) for line in figure.axes[0].lines} == {(5.0,), (7.0,)}


def test_vacuum_is_shaded_where_no_atom_is(slab):
    figure = plots.plot_profile(slab)
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in figure.axes[1].patches)
    np.testing.assert_allclose(spans, [(0.0, 5.5), (12.5, 32.0)])
    assert along.vacuum_of(np.array([1.0, 3.0, 5.0]), 6.0, True) == []
    assert along.vacuum_of(np.array([2.0, 12.0]), 14.0, True) == [(4.5, 9.5)]


@pytest.mark.parametrize("shape", [(16, 12, 20), (12, 20, 16), (20, 16, 12)])
@pytest.mark.parametrize("skewed", [False, True])
def test_slices_put_the_field_where_the_atoms_are(triclinic, shape, skewed):
    """A field that peaks on one atom: in each panel the brightest vertex is under the mark of the atom."""
    cell = 3 * triclinic if skewed else np.diag([12.0, 9.0, 15.0])
    index = (3, 5, 7)
    fraction = np.array(index) / shape
    position = fraction @ cell + [0.5, -0.25, 1.0]
    distance = [
        np.minimum((np.arange(n) - i) % n, (i - np.arange(n)) % n) / n for i, n in zip(index, shape, strict=True)
    ]
    values = np.exp(-60 * (distance[0][:, None, None] ** 2 + distance[1][:, None] ** 2 + distance[2] ** 2))
    atom = gh.Structure(np.array([17]), position[None])
    field = gh.Field.from_array(values, cell, structure=atom, origin=[0.5, -0.25, 1.0])
    figure = plots.plot_slices(field, through=fraction)
    assert len(panels(figure)) == 3
    for axes in panels(figure):
        mesh = axes.collections[0]
        corners = mesh.get_coordinates()
        bright = np.unravel_index(np.argmax(mesh.get_array()), corners.shape[:2])
        mark = next(line for line in axes.lines if line.get_marker() == "o")
        np.testing.assert_allclose(corners[bright], np.ravel([mark.get_xdata(), mark.get_ydata()]), atol=1e-9)
        zero, one_x, one_y = axes.transData.transform([(0, 0), (1, 0), (0, 1)])
        assert one_x[0] - zero[0] == pytest.approx(one_y[1] - zero[1], rel=1e-6)  # an Å is as long both ways


def test_atoms_near_a_plane_stand_at_the_foot_of_their_perpendicular(triclinic):
    atom = np.array([3.0, 2.0, 2.5])
    field = gh.Field.from_array(np.zeros((8, 8, 8)), triclinic, structure=gh.Structure(np.array([6]), atom[None]))
    at = np.round(atom @ np.linalg.inv(triclinic) * 8) / 8  # the planes of the grid next to the atom
    off = 0
    for normal, axes in enumerate(panels(plots.plot_slices(field, through=at))):
        mark = next(line for line in axes.lines if line.get_marker() == "o")
        u, v = sorted((triclinic[axis] for axis in range(3) if axis != normal), key=np.linalg.norm, reverse=True)
        e1 = u / np.linalg.norm(u)
        e2 = (v - (v @ e1) * e1) / np.linalg.norm(v - (v @ e1) * e1)
        foot = at[normal] * triclinic[normal] + mark.get_xdata()[0] * e1 + mark.get_ydata()[0] * e2
        apart = (atom - foot) @ np.linalg.inv(triclinic)
        apart[[axis for axis in range(3) if axis != normal]] %= 1.0  # up to lattice vectors of the plane
        along = np.cross(u, v)
        candidates = [(apart - shift) @ triclinic for shift in np.ndindex(2, 2, 2)]
        assert min(np.linalg.norm(np.cross(c, along)) for c in candidates) < 1e-9 * np.linalg.norm(along)
        off += abs(apart[normal]) > 1e-3
    assert off == 3


def test_slices_go_through_what_stands_out():
    values = np.zeros((6, 8, 10))
    values[1, 2, 3] = -5.0
    titles = [axes.get_title() for axes in panels(plots.plot_slices(gh.Field.from_array(values, np.diag([6, 8, 10]))))]
    assert titles == ["b, c plane at 1.00 Å", "a, c plane at 2.00 Å", "a, b plane at 3.00 Å"]


def test_slices_are_in_true_geometry(triclinic):
    """Distances between the corners of each panel are the lengths of the lattice vectors and their sums."""
    field = gh.Field.from_array(np.random.default_rng(0).random((6, 7, 8)), triclinic)
    for normal, axes in enumerate(panels(plots.plot_slices(field))):
        corners = axes.collections[0].get_coordinates()
        u, v = corners[-1, 0] - corners[0, 0], corners[0, -1] - corners[0, 0]
        one, other = (triclinic[axis] for axis in range(3) if axis != normal)
        if np.linalg.norm(other) > np.linalg.norm(one):
            one, other = other, one
        assert np.linalg.norm(u) == pytest.approx(np.linalg.norm(one))
        assert np.linalg.norm(v) == pytest.approx(np.linalg.norm(other))
        assert np.linalg.norm(u + v) == pytest.approx(np.linalg.norm(one + other))


def test_slices_share_one_scale_and_say_its_unit():
    z = np.cos(2 * np.pi * np.arange(16) / 16) + np.zeros((8, 8, 1))
    field = gh.Field.from_array(z, 8 * np.eye(3), quantity="electrostatic_potential")
    figure = plots.plot_slices(field, through=(0.5, 0.5, 0.5))
    limits = {axes.collections[0].get_clim() for axes in panels(figure)}
    assert limits == {(-1.0, 1.0)}
    assert any(axes.get_ylabel() == "potential (V)" or axes.get_xlabel() == "potential (V)" for axes in figure.axes)
    assert [axes.get_title() for axes in panels(figure)] == [
        "b, c plane at 4.00 Å",
        "a, c plane at 4.00 Å",
        "a, b plane at 4.00 Å",
    ]


@pytest.mark.parametrize(
    "values, expected",
    [
        ([-1.0, 0.5], ("RdBu_r", -1.0, 1.0, "neither")),
        ([0.0, 3.0], ("cividis", 0.0, 3.0, "neither")),
        ([-3.0, -1.0], ("cividis", -3.0, -1.0, "neither")),
        ([-0.001, 3.0], ("cividis", -0.001, 3.0, "neither")),
        ([2.0, 2.0], ("cividis", 1.0, 3.0, "neither")),
    ],
)
def test_colour_scales_go_by_sign(values, expected):
    assert slices.colour_scale(np.array(values)) == expected


def test_bare_nuclei_do_not_swallow_the_colours():
    values = np.concatenate([np.linspace(-1, 1, 9999), [500.0]])
    name, low, high, extend = slices.colour_scale(values)
    assert name == "RdBu_r" and high < 1.1 and low == -high and extend == "max"


def test_surface_figure_shows_the_cumulative_charge_and_its_mean(slab):
    result = gh.surface_charge(slab)
    figure = plots.plot_surface(slab, result)
    _, upper, lower = figure.axes
    curve = line_of(lower, colour=style.BLUE)
    x, c = curve.get_xdata(), curve.get_ydata()
    running = np.concatenate([[0.0], np.cumsum(slab.values) * 0.0625])  # by hand, at the edges of the planes
    at = np.arange(513) * 0.0625 - 0.03125
    order = np.interp(x % 32.0, at, running)
    np.testing.assert_allclose(c, order, atol=0.02 * np.ptp(running))
    low = line_of(lower, colour=style.VERMILION)
    np.testing.assert_allclose(low.get_ydata(), 0.3, atol=1e-3)
    assert tuple(low.get_xdata()) == pytest.approx(result.bulk)
    np.testing.assert_allclose(line_of(lower, colour=style.GREEN).get_ydata(), 0.3, atol=1e-3)  # up to the total
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("charge density (e Å$^{-3}$)", "charge below (e Å$^{-2}$)")
    texts = [text.get_text() for text in lower.texts]
    assert texts[0] == "σ low = 0.300000 e Å$^{-2}$" and texts[1] == "σ high = −0.300000 e Å$^{-2}$"


def test_surface_figure_shows_the_uncertainty_that_layers_leave(slab):
    uneven = profile_of(slab.values * (1 + 0.02 * np.sin(np.arange(512))), 32.0)
    lower = plots.plot_surface(uneven, gh.surface_charge(uneven)).axes[-1]
    value, spread = lower.texts[0].get_text().removeprefix("σ low = ").removesuffix(" e Å$^{-2}$").split(" ± ")
    assert abs(float(value) - 0.3) < 3 * float(spread) < 0.03


def test_a_slab_across_the_edge_of_the_cell_is_drawn_whole(slab):
    turned = profile_of(np.roll(slab.values, 256), 32.0)
    lower = plots.plot_surface(turned, gh.surface_charge(turned)).axes[-1]
    curve = line_of(lower, colour=style.BLUE).get_ydata()
    assert abs(curve[0]) < 1e-6 and abs(curve[-1]) < 1e-6 and curve.max() > 0.4


def test_one_side_only_draws_one_side(slab):
    lower = plots.plot_surface(slab, gh.surface_charge(slab, side="high")).axes[-1]
    assert not [line for line in lower.lines if line.get_color() == style.VERMILION]
    assert [text.get_text().startswith("σ high") for text in lower.texts] == [True]


def test_what_is_not_defined_is_said_so(slab):
    rng = np.random.default_rng(3)
    values = np.zeros(512)
    values[64:448] = rng.standard_normal(384)
    values[64:448] -= values[64:448].mean()
    noise = profile_of(values, 128.0)
    lower = plots.plot_surface(noise, gh.surface_charge(noise, sampling="cell")).axes[-1]
    assert {text.get_text() for text in lower.texts} == {"σ low not defined", "σ high not defined"}


def test_interface_figure_marks_both_bulks(slab):
    result = gh.interface_charge(slab, between=(10.0, 15.0))
    lower = plots.plot_interface(slab, result).axes[-1]
    for colour, x in ((style.VERMILION, 10.0), (style.GREEN, 15.0)):
        level = line_of(lower, colour=colour)
        assert np.mean(level.get_xdata()) == pytest.approx(x)
        np.testing.assert_allclose(level.get_ydata(), 0.3, atol=1e-3)


def test_scales_figure_marks_the_gap_and_the_power_law():
    x = np.arange(8192) * 0.125
    values = disordered(2, (8192,), 0.125, seed=3) + 0.2 * np.sin(2 * np.pi * 8 * x / 1024)
    result = gh.scales(gh.Profile(x, values, "V", "electrostatic_potential", 1024.0))
    (axes,) = plots.plot_scales(result).axes
    assert axes.get_ylabel() == "power per mode (V$^{2}$)" and axes.get_xscale() == axes.get_yscale() == "log"
    for colour, length in ((style.VERMILION, result.L), (style.GREEN, result.a)):
        assert line_of(axes, colour=colour).get_xdata()[0] == pytest.approx(2 * np.pi / length)
    law = line_of(axes, colour=style.BLUE)
    k, power = law.get_xdata(), law.get_ydata()
    assert (k[0], k[-1]) == pytest.approx(result.fitted)
    slope = np.log(power[1] / power[0]) / np.log(k[1] / k[0])
    assert slope == pytest.approx(result.alpha.value, abs=0.05)
    inside = (result.k >= k[0]) & (result.k <= k[-1])  # the curve runs through the modes
    ratio = (result.power / result.modes)[inside] / np.interp(result.k[inside], k, power)
    assert ratio.mean() == pytest.approx(1, abs=0.1)
    assert [text.get_text()[:3] for text in axes.texts] == ["$L$", "$a$", "eps", "α ="]
    with pytest.raises(InputError, match="No spectrum to draw: The field is constant"):
        plots.plot_scales(gh.scales(gh.Profile(x, np.ones(8192), "V", "electrostatic_potential", 1024.0)))


@pytest.mark.filterwarnings("ignore::gpuhomog.AccuracyWarning")
def test_scale_report_figure_has_the_widths_below_the_spectrum():
    values = disordered(2, (32, 32, 32), 0.5, seed=1)
    field = gh.Field.from_array(values, 16 * np.eye(3), quantity="electrostatic_potential")
    result = gh.scale_report(field, [3.0, 2.0, 4.0])
    upper, lower = plots.plot_scale_report(result).axes
    assert upper.get_ylabel() == "power per mode (V$^{2}$)" and lower.get_xlabel() == "eps (Å)"
    for colour, values in ((style.BLUE, result.eps_V), (style.GREEN, result.local_std)):
        curve = line_of(lower, colour=colour)
        np.testing.assert_array_equal(curve.get_xdata(), [2.0, 3.0, 4.0])
        np.testing.assert_array_equal(curve.get_ydata(), values[[1, 0, 2]])
    assert [text.get_text() for text in lower.get_xticklabels()] == ["2", "3", "4"]


def test_interval_figure_is_a_band_about_the_midpoint(slab):
    result = gh.interval_field(slab, 2.0)
    _, upper, lower = plots.plot_interval_field(slab, result).axes
    (band,) = upper.collections
    corners = band.get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == pytest.approx((result.low.min(), result.high.max()))
    np.testing.assert_array_equal(line_of(upper, "midpoint").get_ydata()[:-1], result.midpoint)
    np.testing.assert_array_equal(line_of(lower, colour=style.BLACK).get_ydata()[:-1], result.eps_V)
    np.testing.assert_array_equal(line_of(lower, colour=style.VERMILION).get_ydata()[:-1], result.detrended)
    bar = line_of(upper, colour=style.VERMILION).get_xdata()
    assert bar[1] - bar[0] == pytest.approx(2.0)


@pytest.mark.parametrize("from_charge", [False, True])
def test_step_figure_draws_each_level_where_it_was_taken(slab, from_charge):
    if from_charge:
        profile = slab
    else:
        x = np.arange(512) * 0.0625
        potential = 3 * np.tanh(2 * (x - 8)) - 3 * np.tanh(2 * (x - 24)) + np.cos(2 * np.pi * x) * (abs(x - 16) < 7)
        profile = gh.Profile(x, -potential, "eV", "electron_potential_energy", 32.0)
    result = gh.potential_step(profile, period=1.0)
    axes = plots.plot_step(profile, result).axes[-1]
    assert axes.get_ylabel() == "potential (V)"
    for colour, level in ((style.VERMILION, result.low), (style.GREEN, result.high), (style.BLUE, result.bulk)):
        drawn = line_of(axes, colour=colour)
        np.testing.assert_allclose(drawn.get_ydata(), float(level))
        curve = line_of(axes, colour=style.BLACK)
        if colour == style.BLUE:  # the curve's mean over the period
            inside = np.linspace(*drawn.get_xdata(), 400)
            mean = np.interp(inside, curve.get_xdata(), curve.get_ydata()).mean()
            assert mean == pytest.approx(float(level), abs=0.05) and abs(mean) > 0.5
        else:  # the curve runs through the level of each vacuum
            middle = np.mean(drawn.get_xdata())
            assert np.interp(middle, curve.get_xdata(), curve.get_ydata()) == pytest.approx(float(level), abs=0.05)
    assert any("bulk − low" in text.get_text() for text in axes.texts)
    named = {text.get_text(): text.get_color() for text in axes.texts if hasattr(text, "xy")}
    assert named == {"low": style.VERMILION, "high": style.GREEN, "bulk": style.BLUE}


def test_levels_of_an_interface_have_the_bands_told_and_those_of_a_slab_the_work_functions():
    x = np.arange(320) * 0.1
    steps = np.where(abs(x - 16) < 6, np.cos(2 * np.pi * x) + 3.0, 0.0)
    interface = gh.Profile(x, np.where(x < 16, 1.0, 3.0) + np.cos(2 * np.pi * x), "V", "electrostatic_potential", 32.0)
    step = gh.potential_step(interface, between=(8.0, 24.0), period=1.0)
    bands = gh.band_alignment(step, valence=(5.0, 7.1), conduction=(6.4, 9.0))
    texts = [text.get_text() for text in plots.plot_step(interface, step, alignment=bands).axes[-1].texts]
    assert any(text.startswith("valence, high − low = 0.1") and text.endswith(" eV") for text in texts)
    assert any(text.startswith("conduction, high − low = 0.6") for text in texts)
    slab = gh.Profile(x, -steps, "eV", "electron_potential_energy", 32.0)
    levels = gh.vacuum_levels(slab, fermi_energy=-4.5)
    texts = [text.get_text() for text in plots.plot_vacuum_levels(slab, levels).axes[-1].texts]
    assert [text for text in texts if text.startswith("work function, low = 4.5")]
    assert [text for text in texts if text.startswith("work function, high = 4.5")]


def test_names_of_levels_keep_out_of_what_is_told_at_the_top():
    x = np.arange(480) * 0.1
    falling = np.clip((24 - x) * 4.5, -36.0, 36.0)
    polar = gh.Profile(x, falling, "V", "electrostatic_potential", 48.0, boundary="open")
    figure = plots.plot_vacuum_levels(polar, gh.vacuum_levels(polar, fermi_energy=-3.0))
    figure.draw_without_rendering()
    texts = figure.axes[-1].texts
    names = {text.get_text(): text.get_window_extent() for text in texts if hasattr(text, "xy")}
    told = [text.get_window_extent() for text in texts if not hasattr(text, "xy")]
    assert set(names) == {"low", "high"} and len(told) == 3
    assert not any(name.overlaps(box) for name in names.values() for box in told)


def test_step_figure_of_cell_averages():
    """Charge that reaches the ends of an open box is legal for cell averages alone, in the step and in its figure."""
    values = np.zeros(40)
    values[:2], values[-2:] = -1.0, 1.0
    profile = gh.Profile(np.arange(40) * 0.5, values, "e/Å^3", "charge_density", 20.0, boundary="open")
    result = gh.potential_step(profile, period=None, sampling="cell")
    curve = line_of(plots.plot_step(profile, result).axes[-1], colour=style.BLACK)
    assert curve.get_ydata()[-1] == pytest.approx(float(result.step), rel=1e-9)
    assert float(result.dipole) == pytest.approx(19.0)  # 1 e/Å^2 at either end, 19 Å apart


@pytest.mark.parametrize(
    "unit, printed",
    [("e/Å^3", "e Å$^{-3}$"), ("1/Å^3", "Å$^{-3}$"), ("V*Å", "V Å"), ("V/Å", "V Å$^{-1}$"), (None, ""), ("1", "")],
)
def test_units_as_print_has_them(unit, printed):
    assert style.unit_label(unit) == printed


@pytest.mark.parametrize(
    "value, uncertainty, printed",
    [
        (0.067036, 2e-6, "0.067036 ± 0.000002 e Å$^{-2}$"),
        (-0.3, 0.00123, "−0.3000 ± 0.0012 e Å$^{-2}$"),
        (5.0e-9, 3.2e-6, "(0 ± 3) × 10$^{-6}$ e Å$^{-2}$"),
        (0.0, 0.0, "0 e Å$^{-2}$"),
        (123456.0, 7000.0, "(1.23 ± 0.07) × 10$^{5}$ e Å$^{-2}$"),
    ],
)
def test_measurements_as_print_has_them(value, uncertainty, printed):
    assert style.print_measurement(Measurement(value, "e/Å^2", uncertainty)) == printed


@pytest.mark.parametrize("width, inches", [("column", 3.4), ("page", 7.0)])
def test_figures_have_the_width_of_print(slab, width, inches):
    field = gh.Field.from_array(np.random.default_rng(0).random((6, 7, 8)), np.diag([4.0, 5.0, 30.0]))
    for figure in (plots.plot_profile(slab, width=width), plots.plot_slices(field, width=width)):
        assert figure.get_size_inches()[0] == pytest.approx(inches)
        assert figure.get_size_inches()[1] < 9
        figure.draw_without_rendering()
        box = figure.get_tightbbox()  # nothing sticks out of the paper
        assert box.x0 > -0.03 and box.y0 > -0.03
        assert box.x1 < inches + 0.03 and box.y1 < figure.get_size_inches()[1] + 0.03


@pytest.mark.parametrize("suffix, magic", [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_files_are_whole_and_repeatable(slab, tmp_path, suffix, magic):
    paths = [plots.save_figure(plots.plot_profile(slab), tmp_path / f"{name}{suffix}") for name in "ab"]
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(magic) and first == second
    assert len(list(tmp_path.iterdir())) == 2


def test_text_stays_text_in_vector_files(slab, tmp_path):
    plots.save_figure(plots.plot_profile(slab), tmp_path / "a.svg")
    assert "position normal to" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_failed_figure_leaves_the_old_one(slab, tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(b"old")
    figure = plots.plot_profile(slab)

    def half(path, **_):
        path.write_bytes(b"half")
        raise OSError(28, "disk full")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(InputError, match="disk full"):
        plots.save_figure(figure, target)
    assert target.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_drawn_is_refused(slab, tmp_path):
    with pytest.raises(InputError, match=r"\.png, \.pdf or \.svg"):
        plots.save_figure(plots.plot_profile(slab), tmp_path / "a.jpg")
    with pytest.raises(InputError, match="column"):
        plots.plot_profile(slab, width="colum")
    with pytest.raises(InputError, match="three fractional"):
        plots.plot_slices(gh.Field.from_array(np.ones((2, 2, 2)), np.eye(3)), through=(0.5, 0.5))


def test_the_users_matplotlib_is_left_alone(slab):
    with matplotlib.rc_context({"font.size": 31, "axes.facecolor": "red"}):
        before = dict(matplotlib.rcParams)
        figure = plots.plot_profile(slab)
        assert dict(matplotlib.rcParams) == before
    assert figure.axes[1].xaxis.label.get_fontsize() == 8
    assert figure.axes[1].get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def test_matplotlib_comes_with_the_first_figure_and_pyplot_never():
    code = (
        "import sys, numpy as np, gpuhomog as gh; print('matplotlib' in sys.modules);"
        "gh.plots.plot_slices(gh.Field.from_array(np.ones((2, 2, 2)), np.eye(3)));"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "False"]


def checkerboard(shape):
    index = np.indices(shape)
    return gh.Field.from_array((-1.0) ** index.sum(axis=0), np.diag([*map(float, shape)]), boundary="open")


def test_corners_of_a_plate_are_drawn_where_they_are():
    from gpuhomog.operators.excess.window_sums import plane_across

    field = checkerboard((41, 40, 1))
    result = gh.lines_and_points(field, [gh.box_region((-0.5, -0.5), (40.5, 39.5))])
    figure = plots.plot_corners(result, plane_across(field, "c"))
    axes = figure.axes[0]
    texts = {text.get_text(): text.xy for text in axes.texts}
    assert [label for label in texts if label.startswith("λ")] == ["λ = 0"]
    places = [tuple(map(float, text.xy)) for text in axes.texts if text.get_text() == "q = 0.25"]
    assert sorted(places) == [(-0.5, -0.5), (40.5, -0.5)]
    lines = {tuple(map(tuple, line.get_xydata())) for line in axes.lines if len(line.get_xdata()) == 2}
    assert ((-0.5, -0.5), (40.5, -0.5)) in lines and len(lines) == 4
    (mesh,) = axes.collections
    np.testing.assert_array_equal(mesh.get_array().reshape(41, 40), field.values[:, :, 0])


def test_corners_of_a_body_have_their_colours():
    result = gh.lines_and_points(checkerboard((36, 36, 36)), [gh.box_region((-0.5,) * 3, (35.5,) * 3)])
    figure = plots.plot_corners(result)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["faces", "lines", "points"]
    points = figure.axes[4]
    np.testing.assert_allclose(points.collections[0].get_array(), [float(p.value) for p in result.points])


def terminations_of_sheets():
    """Sheets of +0.1 and -0.1 e/Å^2, 0.6 Å apart every 3 Å, with their atoms."""
    x = np.arange(300) * 0.01
    values = sum(
        q * np.exp(-(((x - p - shift) / 0.05) ** 2) / 2) / (0.05 * np.sqrt(2 * np.pi))
        for q, p in ((0.1, 1.0), (-0.1, 1.6))
        for shift in (-3.0, 0.0, 3.0)
    )
    atoms = gh.Structure([11, 17], [[0, 0, 1.0], [0, 0, 1.6]])
    bulk = gh.Profile(x, values, "e/Å^3", "charge_density", 3.0, area=9.0, structure=atoms)
    return bulk, gh.terminations(bulk)


def test_terminations_figure_shows_the_curve_its_gaps_and_its_zeros():
    _, result = terminations_of_sheets()
    figure = plots.plot_terminations(result)
    atoms, upper, lower = figure.axes
    x, y = line_of(lower, colour=style.BLUE).get_data()
    by_hand = np.where((x > 1.2) & (x < 1.4), -0.08, 0.02)  # cut between the sheets, or outside them
    away = (np.abs(x - 1.0) > 0.25) & (np.abs(x - 1.6) > 0.25)
    np.testing.assert_allclose(y[away], by_hand[away], atol=1e-6)
    assert (x[0], x[-1], lower.get_xlim()) == (0.0, 3.0, (0.0, 3.0))
    marks = [line for line in lower.lines if line.get_marker() == "D" and len(line.get_xdata())]
    np.testing.assert_allclose(marks[0].get_xdata(), result.neutral)
    assert not np.any(marks[0].get_ydata()) and len(result.neutral) == 2
    labels = [text.get_text() for text in lower.texts]
    assert "−0.08" in labels and "0.02" in labels
    assert any(label.startswith("polar;  quantum 0.1111 e Å") for label in labels)
    assert upper.get_ylabel().startswith(("charge density", "ρ")) and lower.get_ylabel() == "σ of the cut (e Å$^{-2}$)"
    assert [text.get_text() for text in atoms.get_yticklabels()] == ["Cl", "Na"]


def test_one_cut_is_marked_among_the_others():
    bulk, result = terminations_of_sheets()
    cut = gh.plane_excess(bulk, position=4.3)
    lower = plots.plot_terminations(result, cut).axes[-1]
    (mark,) = [line for line in lower.lines if line.get_marker() == "s" and len(line.get_xdata())]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((1.3, -0.08), abs=1e-6)


def test_an_excess_is_drawn_over_its_bulk_value(slab):
    raised = profile_of(slab.values + 0.2 * (np.abs(np.arange(512) - 256) < 120), 32.0)
    result = gh.surface_excess(raised, reference=0.2, x_surface=(8.53125, 23.46875), period=1.0)
    lower = plots.plot_surface(raised, result).axes[-1]
    curve = line_of(lower, colour=style.BLUE).get_ydata()
    assert abs(curve[-1]) < 1e-2 and np.abs(curve).max() < 1.2


def test_rounding_is_drawn_as_zero_and_labels_fit_their_axes():
    from gpuhomog.plots.style import figure_rows, finish_rows, name_axis, new_figure

    figure = new_figure("column", 2.2)
    upper, lower = figure_rows(figure, [0.8, 0.9])
    upper.plot([0, 1, 2], [1e-17, -3e-17, 2e-17])
    lower.plot([0, 1, 2], [1e-17, -3e-17, 2e-17])
    name_axis(upper, "charge density", "e/Å^3")
    name_axis(lower, "value", None)
    finish_rows([upper, lower], "position (Å)", (0, 2))
    assert upper.get_ylim() == pytest.approx((-1.2e-12, 1.2e-12))
    assert max(lower.get_ylim()) < 1e-16  # what has no unit is not known to be rounding
    assert upper.get_ylabel().startswith("ρ (10$^{-12}$")
    for axes in (upper, lower):
        label = axes.yaxis.label.get_window_extent(figure.canvas.get_renderer())
        assert label.height <= axes.get_window_extent().height * 1.02
