"""The paper's figures: every key number by another route, every drawing with its axes named."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import erfc
from strict_device import StrictDevice

from gpuhomog.paper import FIGURES
from gpuhomog.paper.densities import disorder, pairs
from gpuhomog.plots.style import styled
from gpuhomog.results import Measurement

C = 0.25  # Å, correlation of the disordered densities
K = np.linspace(0, 40, 400_001)[1:]


@pytest.fixture(scope="module")
def figures():
    """All figures, computed once."""
    return {number: entry.compute("cpu") for number, entry in FIGURES.items()}


def spectrum(alpha):
    """S(k) of variance 1."""
    density = (K * C) ** alpha * np.exp(-((K * C) ** 2))
    return density / np.trapezoid(density, K)


def box(width):
    return np.sinc(K * width / 2 / np.pi)


def finding(figure, name):
    (found,) = [f for f in figure.findings if f.name == name]
    return found


@pytest.mark.parametrize("number", FIGURES)
def test_every_number_is_the_one_expected(figures, number):
    for found in figures[number].findings:
        assert found.agrees, f"{found.name}: {found.found}, expected {found.expected}"


def test_where_the_paper_is_wrong(figures):
    wrong = {(number, f.name) for number, figure in figures.items() for f in figure.findings if f.wrong}
    assert {(7, "exponent, Gaussian, α = 2"), (10, "V inside B, α = 0, a = 32, eps_x = 128")} <= wrong
    assert {(11, "σ_s(x1) + d1/a"), (12, "|a1| A/Ω of the primitive cell")} <= wrong
    assert (7, "exponent, simple average, α = 2") not in wrong


@pytest.mark.parametrize("alpha", [0, 2, 4])
@pytest.mark.parametrize(
    "name, transform",
    [("simple average", box), ("Gaussian", lambda eps: np.exp(-((K * eps) ** 2) / 8))],
    ids=["box", "gaussian"],
)
def test_scatter_of_averages_is_that_of_the_spectrum(figures, name, transform, alpha):
    drawn = figures[7].curves[f"{name}, alpha {alpha}"]
    error = figures[7].curves[f"{name}, alpha {alpha}, error"].y
    theory = [2 * np.sqrt(np.trapezoid(spectrum(alpha) * transform(width) ** 2, K)) for width in drawn.x]
    assert np.all(np.abs(drawn.y - theory) < 4 * error)


def test_green_band_holds_the_average(figures):
    drawn, known = figures[7].curves["average"], figures[7].parameters
    assert known["lowest average"] == pytest.approx(drawn.y.min(), abs=5e-3)
    assert known["highest average"] == pytest.approx(drawn.y.max(), abs=5e-3)


def test_slopes_between_two_points_scatter_as_the_spectrum_says(figures):
    low, high = (figures[8].curves[name] for name in ("2.5 % of slopes", "97.5 % of slopes"))
    eps, slope = figures[8].parameters["eps"], figures[8].parameters["slope"]
    for i in range(0, len(low.x) - 12, 6):
        h = low.x[i]
        variance = np.trapezoid(spectrum(2) * box(eps) ** 2 * 4 * np.sin(K * h / 2) ** 2, K) / h**2
        assert (high.y[i] - low.y[i]) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.12)
        assert (high.y[i] + low.y[i]) / 2 == pytest.approx(slope, abs=0.2 * np.sqrt(variance))


def test_chords_lie_on_the_average(figures):
    drawn = figures[8].curves["average"]
    slopes = []
    for name in ("flattest", "steepest"):
        chord = figures[8].curves[name]
        np.testing.assert_allclose(np.interp(chord.x, drawn.x, drawn.y), chord.y, atol=1e-12)
        slopes.append(np.diff(chord.y)[0] / np.diff(chord.x)[0])
    assert slopes[0] < figures[8].parameters["slope"] < slopes[1]


def test_values_about_which_it_fluctuates_by_brute_force(figures):
    """A, B and V by cumulative sums of a profile that is resampled by its Fourier coefficients."""
    known = figures[10].parameters
    profile = disorder(2.0, 2**13, 0.125, seed=10)
    fine = np.fft.irfft(np.fft.rfft(profile.values), 16 * 2**13) * 16
    h = 0.125 / 16
    total = np.concatenate([[0.0], np.cumsum(np.tile(fine, 2))]) * h

    def ranges(i):
        half = np.arange(1, round(known["a"] / 2 / h))
        means = (total[i + half] - total[i - half]) / (2 * half * h)
        return means.min(), means.max()

    middle = round(512.0 / h)
    np.testing.assert_allclose(ranges(middle), known["A"], atol=0.01)
    near = range(middle - round(64 / h), middle + round(64 / h) + 1, 8)
    lows, highs = zip(*(ranges(i) for i in near), strict=True)
    np.testing.assert_allclose((max(lows), min(highs)), known["B"], atol=0.005)
    half = round(known["eps_x"] / 2 / h)
    averages = [(total[i + half] - total[i - half]) / (2 * half * h) for i in near]
    np.testing.assert_allclose((min(averages), max(averages)), known["V"], atol=5e-4)


def test_assumption_8_is_said_to_depend_on_its_lengths(figures):
    """Of half the lengths it fails at most positions: a share of 1 alone would mislead."""
    half = figures[10].parameters["V inside B, α = 2, a = 16, eps_x = 64"]
    assert half.value == pytest.approx(2 / 11)
    assert finding(figures[10], "V inside B, α = 2, a = 32, eps_x = 128").found.value == 1


def test_finnis_for_every_cut_of_points():
    """Σ over the charges above a cut, less the dipole of the cell below it: one value, whatever the cut and b."""
    for b in (0.1, 0.3, 0.85):
        points = pairs(30, 1.0, b, 2.0)
        x, q = np.array(points.positions), np.array(points.charges)
        for cut in 12.0 + np.array([0.05, 0.2, 0.4, 0.7, 0.95]):
            cell = (x > cut) & (x < cut + 1)
            sigma = q[x < cut].sum() - np.sum(q[cell] * (x[cell] - cut - 0.5))
            assert sigma == pytest.approx(b, abs=1e-12)


def test_the_sum_of_surface_and_bulk_part_is_one_value(figures):
    known, curves = figures[11].parameters, figures[11].curves
    np.testing.assert_allclose(curves["sum"].y, known["b"] / known["a"], atol=1e-6)
    assert np.ptp(curves["surface part"].y) > 0.9
    assert known["swing of the charge below, NaCl"] > 0.25
    assert np.abs(curves["sigma, NaCl"].y).max() < 1e-4
    assert np.all(np.abs(curves["sigma, NaCl"].y) < 4 * curves["uncertainty, NaCl"].y)


def test_sigma_of_every_cut_by_half_a_crystal(figures):
    """Planes of ions above the cut, as error functions, less the mean dipole of a cell: no Fourier series."""
    known, drawn = figures[12].parameters, figures[12].curves["rows"]
    a, std = known["a"], known["std"]
    planes = np.arange(-4, 5) * a / 2
    signs = np.where(np.arange(-4, 5) % 2 == 0, 1.0, -1.0) / a**2

    def charge_between(low, high):
        return (
            np.sum(signs * (erfc((low - planes) / (np.sqrt(2) * std)) - erfc((high - planes) / (np.sqrt(2) * std)))) / 2
        )

    depths = np.linspace(0, a, 2001)
    for place, sigma in list(zip(drawn.x, drawn.y, strict=True))[::7]:
        below = [charge_between(place * a - a, place * a - a + depth) for depth in depths]
        assert sigma == pytest.approx(np.trapezoid(below, depths) / a, abs=1e-6)


def test_fluorite_has_cuts_of_both_kinds(figures):
    sigma = figures[12].curves["CaF2(111)"]
    assert np.interp([0.5, 0.875, 0.125], sigma.x, sigma.y) == pytest.approx([0, 1, -1], abs=5e-6)
    salt = figures[12].curves["NaCl(111)"]
    assert np.interp([0.25, 0.75], salt.x, salt.y) == pytest.approx([-0.5, 0.5], abs=1e-6)


@pytest.mark.parametrize("number", [11, 12])
def test_fields_stay_on_their_device(figures, number):
    again = FIGURES[number].compute(StrictDevice())
    for mine, other in zip(again.findings, figures[number].findings, strict=True):
        assert mine.agrees and float(mine.found) == pytest.approx(float(other.found), abs=1e-12)


@pytest.mark.parametrize("width, inches", [("page", 7.0), ("column", 3.4)])
@pytest.mark.parametrize("number", FIGURES)
def test_every_panel_has_its_axes_named(figures, number, width, inches):
    figure = styled(FIGURES[number].draw)(figures[number], width)
    assert figure.get_size_inches()[0] == inches and len(figure.axes) >= 2
    for axes in figure.axes:
        assert axes.get_xlabel() and axes.get_ylabel()
        assert "(" in axes.get_xlabel() and "(" in axes.get_ylabel()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["(a)", "(b)", "(c)"][: len(figure.axes)]


def test_a_number_that_is_off_does_not_agree(figures):
    found = finding(figures[11], "σ of packets, period window")
    assert found.agrees and not replace(found, found=Measurement(0.31, "e/Å^2")).agrees
    assert not replace(found, found=Measurement.not_defined("e/Å^2", "no bulk")).agrees
