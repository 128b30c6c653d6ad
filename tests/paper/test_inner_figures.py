"""Figures 14, 16 and 17: potentials by double sums, spheres by counting, sheets by hand."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import erf

from gpuhomog.paper import FIGURES, layers, spheres, two_crystals
from gpuhomog.paper.densities import planes_of_gaussians
from gpuhomog.units import COULOMB_CONSTANT

POISSON = 4 * np.pi * COULOMB_CONSTANT


def finding(figure, name):
    (found,) = [f for f in figure.findings if f.name == name]
    return found


def potential_of_plane(x, std):
    """-|x|/2ε0 of a sheet of 1 e/Å^2, smoothed by a Gaussian."""
    t = x / std / np.sqrt(2)
    return -POISSON / 2 * (x * erf(t) + std * np.sqrt(2 / np.pi) * np.exp(-t * t))


@pytest.fixture(scope="module", params=[14, 16, 17])
def figure(request):
    return FIGURES[request.param].compute("cpu")


def test_numbers_agree_and_say_where_the_paper_is_wrong(figure):
    assert all(found.agrees for found in figure.findings)
    assert any(found.wrong for found in figure.findings)
    assert all(np.isfinite(curve.y).all() or "window" in name for name, curve in figure.curves.items())


def test_potentials_of_two_crystals_plane_by_plane():
    figure = FIGURES[16].compute("cpu")
    places = 4.0 * np.arange(two_crystals.N)
    for i, parts in (
        (1, ((0.0, 1.0, 0.3), (0.0, -1.0, 0.8))),
        (2, ((0.0, 4 / 6, 0.3), (4.0, 1 / 6, 0.3), (-4.0, 1 / 6, 0.3), (0.0, -1.0, 0.8))),
    ):
        drawn = figure.curves[f"potential {i}"]
        exact = sum(q / 16 * potential_of_plane(drawn.x[:, None] - places - x, s).sum(axis=1) for x, q, s in parts)
        np.testing.assert_allclose(drawn.y, exact, atol=1e-6)
        inside = (drawn.x >= 20.0) & (drawn.x < 24.0)
        assert figure.parameters[f"mean {i}"] == pytest.approx(exact[inside].mean(), abs=1e-4)
    assert max(np.abs(figure.parameters["resolvability, l = 4a"])) < 0.2


def test_sheets_are_their_layers_charge_where_it_is():
    figure = FIGURES[17].compute("cpu")
    z = np.linspace(layers.SIGN_CHANGE, 12.0, 200_001)
    rho = sum(q / 16 * np.exp(-0.5 * (z / s) ** 2) / s / np.sqrt(2 * np.pi) for _, q, s in layers.ATOM)
    assert rho[0] == pytest.approx(0.0, abs=1e-12)
    charge = -np.trapezoid(rho, z)
    drawn = figure.curves["B, then PPBB"]
    beyond = (drawn.x > 1.0) & (drawn.x < 40.0)
    assert np.diff(drawn.y)[beyond[1:]] / np.diff(drawn.x)[beyond[1:]] == pytest.approx(POISSON * charge, rel=1e-3)
    assert figure.curves["BPPB"].y == pytest.approx(0.0, abs=1e-9)
    atoms = figure.curves["B, PP, B"]
    assert atoms.y.max() == pytest.approx(POISSON * -np.trapezoid(rho * z, z), rel=0.05)  # q z up to the nuclei's sheet
    assert finding(figure, "mean φ - vacuum").found.value == pytest.approx(layers.BETHE, abs=1e-6)


def test_mean_over_sheets_knows_that_the_clouds_of_neighbours_overlap():
    """Layers cut from the density of six atoms, by trapezoids; the mean over the cell of the third."""

    def layer(low, high):
        z = np.linspace(low, high, 20_001)
        u = z[:, None] - layers.A * np.arange(6)
        rho = sum(q / 16 * np.exp(-0.5 * (u / s) ** 2) / s / np.sqrt(2 * np.pi) for _, q, s in layers.ATOM).sum(axis=1)
        charge = np.trapezoid(rho, z)
        return charge, np.trapezoid(rho * z, z) / charge

    edges = [-9.0, *(4.0 * k + d for k in range(3) for d in (-layers.SIGN_CHANGE, layers.SIGN_CHANGE, 2.0))]
    found = [layer(*pair) for pair in pairwise(edges)]
    mean = -POISSON * sum(q * ((10.0 - at) ** 2 - max(6.0 - at, 0.0) ** 2) / 2 / 4.0 for q, at in found)
    told = finding(FIGURES[17].compute("cpu"), "sheets B, PP, B: mean")
    assert told.expected == pytest.approx(mean, abs=1e-5)
    assert told.found.value == pytest.approx(mean, abs=3e-4)


def test_spheres_count_what_is_in_them():
    """Well inside a shell the Gaussians are whole: q is a number of ions."""
    figure = FIGURES[14].compute("cpu")
    at = np.arange(-12, 13) * spheres.A
    lattice = np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1).reshape(-1, 3)
    radius = 12.0 + 0.05 * 40
    drawn = figure.curves["q"]
    i = int(np.argmin(np.abs(drawn.x - radius)))

    def inside(places, std):
        """Of each Gaussian at a distance d, the part within R."""
        d, r = np.linalg.norm(places, axis=1), drawn.x[i]
        d = np.maximum(d, 1e-9)
        below, above = (r - d) / std / np.sqrt(2), (r + d) / std / np.sqrt(2)
        edge = std / d / np.sqrt(2 * np.pi) * (np.exp(-(above**2)) - np.exp(-(below**2)))
        return ((erf(below) + erf(above)) / 2 + edge).sum()

    count = inside(lattice, spheres.STD_PLUS) - inside(lattice + np.array([2.5, 2.0, 2.0]), spheres.STD_MINUS)
    assert drawn.y[i] == pytest.approx(count, abs=1e-6)


def test_a_slab_of_planes_is_neutral_and_where_it_is_said():
    profile = planes_of_gaussians(((0.5, 2.0, 0.4), (0.0, -2.0, 0.4)), 3, 5.0, 10.0, 0.1, 8.0)
    assert profile.position[0] == -8.0 and profile.area == 10.0
    assert profile.values.sum() * 0.1 == pytest.approx(0.0, abs=1e-12)
    assert (profile.values * profile.position).sum() * 0.1 == pytest.approx(3 * 2.0 * 0.5 / 10.0)
