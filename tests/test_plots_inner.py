"""Figures of inner potentials and cavities show the numbers of the results, at their places."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog import plots
from gpuhomog.plots import style


@pytest.fixture(scope="module")
def found():
    x = np.arange(240) * 0.2
    places = 14.0 + 4.0 * np.arange(6)
    line = sum(
        q * np.exp(-0.5 * ((x[:, None] - places) / s) ** 2).sum(axis=1) / (16 * s * np.sqrt(2 * np.pi))
        for q, s in ((1.0, 0.4), (-1.0, 0.8))
    )
    atom = gh.BuildingBlock.of_parts("atom", [gh.GaussianCharge(1.0, 0.4), gh.GaussianCharge(-1.0, 0.8)])
    polar = gh.BuildingBlock.of_parts("pair", [gh.GaussianCharge(1.0), gh.GaussianCharge(-1.0, centre=(0, 0, 1))])
    profile = gh.Profile(x, line, "e/Å^3", "charge_density", 48.0, area=16.0)
    return gh.inner_potential(profile, period=4.0, blocks=[atom, polar])


def lines(axes, colour):
    return [line for line in axes.lines if line.get_color() == colour]


@pytest.mark.parametrize("width", ["column", "page"])
def test_levels_of_an_inner_potential(found, width):
    structure = gh.Structure(np.array([1, 1]), np.array([[0.0, 0.0, 14.0], [0.0, 0.0, 18.0]]))
    figure = plots.plot_inner_potential(found, structure, width=width)
    atoms, axes = figure.axes
    assert {tuple(line.get_xdata()) for line in atoms.lines} == {(14.0, 18.0)}
    (mean,) = lines(axes, style.BLUE)
    assert mean.get_ydata()[0] == found.phi_mean_vs_vacuum_L.value
    assert np.ptp(mean.get_xdata()) == pytest.approx(4.0) and np.mean(mean.get_xdata()) == pytest.approx(found.x_b)
    (dipole,) = lines(axes, style.VERMILION)
    assert dipole.get_ydata()[0] == found.D_L_over_eps0.value
    (block,) = lines(axes, style.GREEN)
    assert block.get_ydata()[0] == found.bethe_block_normal["atom"].value
    texts = [text.get_text() for text in axes.texts]
    assert "atom\n0.678" in "".join(texts) or any(text.startswith("atom\n") for text in texts)
    assert not any(text.startswith("pair") for text in texts)  # it has no value
    curve = next(line for line in axes.lines if line.get_color() == style.BLACK)
    np.testing.assert_array_equal(curve.get_ydata(), found.line.values)
    assert axes.get_ylabel() == "potential (V)"


@pytest.mark.parametrize("radii", [np.linspace(10, 20, 40), [5.0, 10.0, 12.0], [6.0]])
def test_spheres_by_their_radius(radii):
    ions = [gh.GaussianCharge(1.0, 0.5), gh.GaussianCharge(-1.0, 0.6, centre=(2.5, 2.0, 2.0))]
    found = gh.lorentz_cavity(gh.BuildingBlock.of_parts("pair", ions), (0, 0, 0), radii, cell=4.0 * np.eye(3))
    figure = plots.plot_cavity(found)
    charge, dipole, field = figure.axes
    np.testing.assert_array_equal(lines(charge, style.GREY)[0].get_ydata(), found.q)
    np.testing.assert_array_equal(lines(charge, style.VERMILION)[0].get_ydata(), found.q_tophat)
    triangles = [curve.get_ydata() for curve in lines(dipole, style.BLUE)]  # from two widths on
    np.testing.assert_array_equal(triangles, [found.p_over_V_triangle[:, 0]] if max(radii) >= 8.0 else [])
    np.testing.assert_array_equal(lines(field, style.GREY)[0].get_ydata(), found.E_near[:, 0])
    assert lines(field, style.BLACK)[0].get_ydata()[0] == found.E_periodic[0]
    assert lines(field, style.GREEN)[0].get_ydata()[0] == found.E_intact[0]
    joined = {line.get_linestyle() for line in lines(charge, style.GREY)}
    assert joined == ({"-"} if len(found.radii) > 12 else {"None"})
    assert any("along x" in text.get_text() for text in dipole.texts)


def test_vectors_along_any_direction():
    ions = [gh.GaussianCharge(1.0, 0.5), gh.GaussianCharge(-1.0, 0.6, centre=(2.5, 2.2, 2.0))]
    found = gh.lorentz_cavity(gh.BuildingBlock.of_parts("pair", ions), (0, 0, 0), [8.0, 9.0], cell=4.0 * np.eye(3))
    _, dipole, field = plots.plot_cavity(found, width="page").axes
    unit = found.E_periodic / np.linalg.norm(found.E_periodic)
    assert lines(field, style.GREY)[0].get_ydata() == pytest.approx(found.E_near @ unit)
    assert any("along (−0." in text.get_text() for text in dipole.texts)


def test_a_cavity_shows_the_averages_that_radii_have_room_for():
    """A curve of nothing has no word in the legend; a few radii are whole dots, and the labels stay inside."""
    ions = [gh.GaussianCharge(1.0, 0.5), gh.GaussianCharge(-1.0, 0.6, centre=(2.5, 2.2, 2.0))]
    block = gh.BuildingBlock.of_parts("pair", ions)
    for radii, words in (([8.0, 9.0], 3), ([5.0, 7.0], 2), ([1.0], 1)):
        figure = plots.plot_cavity(gh.lorentz_cavity(block, (0, 0, 0), radii, cell=4.0 * np.eye(3)))
        figure.canvas.draw()
        charge, *_, field = figure.axes
        assert len(charge.get_legend().get_texts()) == words
        low, high = field.get_xlim()
        assert low < radii[0] and radii[-1] < high
        frame = field.get_window_extent()
        assert all(frame.y0 < text.get_window_extent().y0 for text in field.texts)


def test_labels_of_a_cavity_do_not_cover_one_another():
    """Without a dipole of the cell both fields are one line: one label above it, one below."""
    ions = [gh.GaussianCharge(1.0, 0.5), gh.GaussianCharge(-1.0, 0.8)]
    for shift in (0.0, 0.3, -0.3):
        moved = [ions[0], gh.GaussianCharge(-1.0, 0.8, centre=(shift, 0.0, 0.0))]
        block = gh.BuildingBlock.of_parts("atom", moved)
        found = gh.lorentz_cavity(block, (0.3, 0.0, 0.0), np.arange(8.0, 30.0), cell=4.0 * np.eye(3))
        figure = plots.plot_cavity(found)
        figure.canvas.draw()
        first, second = (text.get_window_extent() for text in figure.axes[-1].texts[:2])
        assert not first.overlaps(second)
