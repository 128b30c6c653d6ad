"""Potential budgets: the terms against the exact sum and against closed forms of model slabs."""

from dataclasses import replace
from math import inf, sqrt
from pathlib import Path

import numpy as np
import pytest
from ranks import on_ranks
from scipy.special import ndtr

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.units import FOUR_PI_KAPPA

STEP = 0.004296875
"""D of either surface of slab S1, -Q2/(2a): the Bethe value of its atoms where ε0 = 1."""


def slab(n, ions, period=4.0, h=0.1, pad=12.0):
    """Planes of Gaussian sheets (charge, place, standard deviation), one cell after the other."""
    x = np.arange(-pad, period * (n - 1) + pad, h)
    values = np.zeros_like(x)
    for m in range(n):
        for q, place, sd in ions:
            values += q * np.exp(-((x - place - period * m) ** 2) / (2 * sd * sd)) / (sd * sqrt(2 * np.pi))
    return gh.Profile(x, values, "e/Å^3", "charge_density", len(x) * h, boundary="open")


EXAMPLES = Path(gh.__file__).parent / "examples"
ATOMS = ((1 / 16, 0.0, 0.3), (-1 / 16, 0.0, 0.8))
POLAR = ((1 / 16, 0.0, 0.35), (-1 / 16, 1.5, 0.35))


@pytest.fixture(scope="module")
def atoms():
    return slab(40, ATOMS)


@pytest.fixture(scope="module")
def polar():
    return slab(40, POLAR)


def volts(value):
    return value * FOUR_PI_KAPPA


@pytest.mark.parametrize("x_b", [70.0, 78.75])
@pytest.mark.parametrize("case", ["film", "sample"])
@pytest.mark.parametrize("origin", [None, 33.0])
def test_the_terms_add_up(atoms, polar, x_b, case, origin):
    """At R = ∞ to rounding; with D_L as its own term, wherever moments are taken about."""
    for profile in (atoms, polar):
        if case == "sample" and profile is polar:
            continue  # diverges
        found = gh.potential_budget(profile, x_b=x_b, case=case, period=4.0, origin=origin)
        terms = [found.R_sigma, found.minus_R_M1, found.minus_sigma_depth, found.D_L_over_2eps0, found.M2_over_4eps0]
        total = sum(term.value for term in terms) + found.M2_over_4eps0.value
        if case == "film":
            total += found.D_R_over_2eps0.value
        assert found.sum.value == pytest.approx(total, abs=1e-12)
        assert found.residual.value == pytest.approx(0, abs=1e-9)
        assert found.mean_residual.value == pytest.approx(0, abs=1e-9)
        assert found.exact_direct.value == pytest.approx(found.sum.value + found.residual.value, abs=1e-12)


def test_a_slab_of_neutral_atoms(atoms):
    """σ = 0 and the potential is not: D/ε0 of a film, half of it of one surface, 0 by eq. 80."""
    film = gh.potential_budget(atoms, period=4.0)
    sample = gh.potential_budget(atoms, period=4.0, case="sample")
    assert film.mean_direct.value == pytest.approx(volts(STEP), abs=1e-9)
    assert sample.mean_direct.value == pytest.approx(volts(STEP / 2), abs=1e-9)
    assert film.printed.value == pytest.approx(0, abs=1e-9)
    assert (film.D_L.value, film.D_R.value) == pytest.approx((STEP, STEP), abs=1e-11)
    vacuum = [gh.potential_budget(atoms, x_b=x).exact_direct.value for x in (-9.0, 165.0)]
    assert vacuum == pytest.approx([0, 0], abs=1e-10)


def test_other_surfaces_of_the_same_bulk(atoms):
    """Crystal 2: a third of each nucleus moved to its neighbours. The difference is Q a²/(6 ε0 Ω)."""
    blocks = ((4 / 96, 0.0, 0.3), (1 / 96, 4.0, 0.3), (1 / 96, -4.0, 0.3), (-1 / 16, 0.0, 0.8))
    second = gh.potential_budget(slab(40, blocks), period=4.0, x_b=78.0)
    first = gh.potential_budget(atoms, period=4.0, x_b=78.0)
    assert first.mean.value - second.mean.value == pytest.approx(volts(16 / (6 * 64)), abs=1e-9)
    assert second.sigma_L.value == pytest.approx(0, abs=1e-13)
    assert second.M2.value == pytest.approx(first.M2.value, abs=1e-12)


@pytest.mark.parametrize("case", ["film", "sample"])
def test_finite_radius(atoms, case):
    """The next term in 1/R is in the sum; what is left falls faster."""
    residuals = []
    for radius in (2000.0, 4000.0, 8000.0):
        found = gh.potential_budget(atoms, x_b=78.75, period=4.0, radius=radius, case=case)
        residuals.append(found.residual.value)
        assert found.order_1_over_R.value == pytest.approx(found.exact_direct.value - found.sum.value
                                                           + found.order_1_over_R.value, rel=2e-2)  # fmt: skip
        assert found.regime == "R >> thickness"
    assert np.abs(residuals[2]) < np.abs(residuals[0]) / 30


@pytest.mark.parametrize("case", ["film", "sample"])
def test_order_of_limits(atoms, case):
    """Means by the solid angles of the surfaces follow the exact ones over all regimes of R."""
    found = gh.potential_budget(atoms, x_b=44.0, period=4.0, case=case, radii="auto")
    assert len(found.radii) == len(found.mean_of_radius) == 41
    np.testing.assert_allclose(found.mean_of_radius, found.sheets_of_radius, rtol=0, atol=0.02 * volts(STEP))
    narrow, wide = found.mean_of_radius[0], found.mean_of_radius[-1]
    assert narrow == pytest.approx(0, abs=0.01 * volts(STEP))
    assert wide == pytest.approx(volts(STEP) * (1.0 if case == "film" else 0.5), rel=0.01)
    names = [
        gh.potential_budget(atoms, x_b=12.0, period=4.0, case=case, radius=R, length=4.0).regime
        for R in (2.0, 48.0, 500.0)
    ]
    assert names == ["R << depth", "depth << R << thickness", "R >> thickness"]


def test_charged_surfaces(polar):
    """A film's potential is linear in x_b; a sample's, and that of unequal charges, diverges as R."""
    here, there = (gh.potential_budget(polar, x_b=x, period=4.0) for x in (70.0, 90.0))
    sigma = 1.5 / 64
    assert here.sigma_L.value == pytest.approx(sigma, abs=1e-12) and here.sigma_R.value == pytest.approx(
        -sigma, abs=1e-12
    )
    assert there.mean.value - here.mean.value == pytest.approx(-volts(sigma * 20), abs=1e-9)
    moved = gh.potential_budget(polar, x_b=70.0, period=4.0, origin=5.0 + here.origin)
    assert moved.D_L.value - here.D_L.value == pytest.approx(-5 * sigma, abs=1e-12)
    assert moved.mean.value == pytest.approx(here.mean.value, abs=1e-9)
    assert any("depend on their origin" in remark for remark in moved.remarks)
    sample = gh.potential_budget(polar, x_b=70.0, period=4.0, case="sample")
    for name in ("R_sigma", "sum", "exact_direct", "residual", "mean", "sheets"):
        measured = getattr(sample, name)
        assert not measured.defined and "diverges as R: σ_L = 0.0234375" in measured.reason
    finite = gh.potential_budget(polar, x_b=70.0, period=4.0, case="sample", radius=1e5)
    assert finite.mean.value == pytest.approx(volts(sigma * 1e5 / 2), rel=2e-3)
    assert any("the potential diverges as R" in remark for remark in finite.remarks)


def test_plates():
    """A capacitor: between its plates there is a vacuum, and no bulk is needed."""
    x = np.arange(-30.0, 30.0, 0.1)
    values = sum(q * np.exp(-((x - c) ** 2) / 0.98) / (0.7 * sqrt(2 * np.pi)) for q, c in ((0.02, -10), (-0.02, 10)))
    plates = gh.Profile(x, values, "e/Å^3", "charge_density", 60.0, boundary="open")
    inside, below, above = (gh.potential_budget(plates, x_b=x) for x in (3.0, -25.0, 25.0))
    for name in ("exact_direct", "sum", "sheets", "mean"):
        found = [getattr(inside, name).value, getattr(below, name).value - getattr(above, name).value]
        np.testing.assert_allclose(found, volts(np.array([-0.06, 0.4])), rtol=0, atol=1e-10)
    wide = gh.potential_budget(plates, x_b=3.0, radius=500.0)
    assert wide.exact_direct.value == pytest.approx(volts(-0.058800265030), abs=1e-9)  # computed elsewhere
    assert inside.period is None and inside.M1.value == 0
    assert inside.across.value == pytest.approx(volts(0.4), abs=1e-9)  # eq. 77 with the distance of the centres
    assert inside.across_printed.value == pytest.approx(volts(0.02 * (inside.faces[1] - inside.faces[0])), abs=1e-9)
    with pytest.raises(InputError, match="lies in a vacuum"):
        gh.potential_budget(plates, x_b=3.0, case="sample")


@pytest.mark.parametrize("period", ["auto", 9.0])
def test_gaps_between_layers(period):
    """A layered crystal has no charge where it is cut, and a period all the same."""
    layers = slab(14, ((1 / 16, 0.0, 0.3), (-1 / 16, 0.0, 0.6)), period=9.0)
    found = gh.potential_budget(layers, x_b=49.3, period=period)
    assert found.period == pytest.approx(9.0, abs=1e-4)
    expected = (0.6**2 - 0.3**2) / 16 / 18  # -Q2/(2a)
    assert (found.D_L.value, found.D_R.value) == pytest.approx((expected, expected), rel=1e-5)
    assert found.mean_direct.value == pytest.approx(volts(expected), rel=5e-8)
    outside = gh.potential_budget(layers, x_b=-8.0, period=period)
    assert outside.period is None and outside.exact_direct.value == pytest.approx(0, abs=1e-9)


def test_between_two_slabs():
    """A gap that is none of a crystal's is a vacuum, whatever period the matter beside it has."""
    x = np.arange(-12.0, 65.0, 0.1)
    places = [4.0 * m for m in range(6)] + [31.5 + 4.0 * m for m in range(6)]
    values = sum(
        q * np.exp(-((x - place) ** 2) / (2 * sd * sd)) / (16 * sd * sqrt(2 * np.pi))
        for place in places
        for q, sd in ((1, 0.3), (-1, 0.6))
    )
    pair = gh.Profile(x, values, "e/Å^3", "charge_density", len(x) * 0.1, boundary="open")
    assert gh.potential_budget(pair, x_b=10.0).period == pytest.approx(4.0, abs=5e-5)
    found = gh.potential_budget(pair, x_b=25.5)
    assert found.period is None
    for name in ("exact_direct", "sum", "mean", "mean_direct"):
        assert getattr(found, name).value == pytest.approx(0, abs=1e-9)


def test_unequal_charges():
    x = np.arange(-30.0, 30.0, 0.1)
    values = sum(q * np.exp(-((x - c) ** 2) / 0.98) / (0.7 * sqrt(2 * np.pi)) for q, c in ((0.02, -10), (-0.01, 10)))
    plates = gh.Profile(x, values, "e/Å^3", "charge_density", 60.0, boundary="open")
    found = gh.potential_budget(plates, x_b=0.0)
    assert found.sum.reason == "diverges as R: σ_L + σ_R = 0.01 e/Å^2 is not zero"
    assert "carries 0.01" in found.across.reason
    assert found.minus_sigma_depth.defined and found.D_L_over_2eps0.defined


def test_a_bulk_without_a_period():
    """Jellium: a smooth kernel takes the place of the period."""
    x = np.arange(-20.0, 70.0, 0.1)
    edge = np.tanh(x) - np.tanh(x - 50)
    spill = np.tanh(x / 1.6) - np.tanh((x - 50) / 1.6)
    profile = gh.Profile(
        x, 0.01 * (edge - spill) + 1e-4 * np.sin(x - 25) * edge, "e/Å^3", "charge_density", 90.0, boundary="open"
    )
    found = gh.potential_budget(profile, x_b=25.0, period=None, length=12.0)
    assert found.period is None and found.length == 12.0
    assert found.residual.value == pytest.approx(0, abs=1e-9)
    assert found.mean_residual.value == pytest.approx(0, abs=0.02 * abs(found.mean.value))
    assert any("Gaussian kernel" in remark for remark in found.remarks)


def test_a_single_layer_has_no_bulk_whose_mean_it_is():
    """σ and D of a cut through its middle give another number than the exact mean: the latter alone is told."""
    x = np.arange(-15.0, 15.0, 0.05)
    layer = 0.3 * (np.exp(-0.5 * (x / 0.3) ** 2) / 0.3 - np.exp(-0.5 * (x / 0.8) ** 2) / 0.8) / sqrt(2 * np.pi)
    profile = gh.Profile(x, layer, "e/Å^3", "charge_density", 30.0, boundary="open")
    found = gh.potential_budget(profile)
    for name in ("mean", "mean_residual", "sheets"):
        assert getattr(found, name).reason.startswith("no bulk between the surfaces")
        assert "crosses its mean once, as 0.5 layers do" in getattr(found, name).reason
    assert any("of a cut at x_b" in remark for remark in found.remarks)
    assert found.residual.value == pytest.approx(0, abs=1e-9)
    peak = 0.3 * (0.8 - 0.3) * sqrt(2 / np.pi) * FOUR_PI_KAPPA / 2
    assert found.exact_direct.value == pytest.approx(peak, rel=1e-10) and 0 < found.mean_direct.value < peak


def test_a_real_slab(field_of_nacl):
    """NaCl(001): 5.832 ± 0.002 V from its density, by three ways; σ = 0 on both faces; one line for all terms."""
    found = gh.potential_budget(field_of_nacl, "c")
    assert abs(found.residual.value) <= found.residual.uncertainty < 1e-9
    assert abs(found.across.value) < found.across.uncertainty < 1e-4  # mirror planes
    assert found.mean_direct.value == pytest.approx(5.832, abs=0.002)
    assert abs(found.mean.value - 5.832) < 2 * found.mean.uncertainty < 0.02
    assert found.mean.value == pytest.approx(found.sheets.value, abs=1e-9)
    inner = gh.inner_potential(field_of_nacl, "c")
    assert found.mean_direct.value == pytest.approx(inner.phi_mean_vs_vacuum_L.value, abs=2e-4)
    spread = inner.D_L_over_eps0.uncertainty + 2 * found.D_L_over_2eps0.uncertainty
    assert 2 * found.D_L_over_2eps0.value == pytest.approx(inner.D_L_over_eps0.value, abs=spread)
    energy = gh.read(EXAMPLES / "NaCl_slab_electron_potential_energy.h5")
    by_potential = gh.inner_potential(energy, "c").phi_mean_vs_vacuum_L
    assert found.mean_direct.value == pytest.approx(by_potential.value, abs=by_potential.uncertainty)
    assert abs(found.printed.value) < found.printed.uncertainty
    for part in on_ranks(field_of_nacl, 3, lambda part: gh.potential_budget(part, "c")):
        assert part.mean_direct.value == pytest.approx(found.mean_direct.value, abs=1e-9)


@pytest.fixture(scope="module")
def field_of_nacl():
    return gh.read(EXAMPLES / "NaCl_slab_charge_density.h5")


def test_resolution(atoms):
    """What an average over l = 16 Å resolves if ρ is known to 1e-4: theory's 0.22 against 0.0043."""
    found = gh.potential_budget(atoms, period=4.0, length=16.0, eps_rho=STEP / 0.22 / 100)
    assert found.resolved.value == pytest.approx(0.22 * 100 / 256, rel=2e-10)


def test_the_term_in_one_over_r(atoms):
    """Of neutral, symmetric atoms it is N Q2/(4ε0R); means with it are off by the next order, as they say."""
    for radius in (200.0, 400.0, 1000.0, 10000.0):
        film = gh.potential_budget(atoms, x_b=78.75, period=4.0, radius=radius)
        expected = FOUR_PI_KAPPA / (4 * radius) * 40 / 16 * (0.3**2 - 0.8**2)
        for term in (film.order_1_over_R, film.mean_order_1_over_R):
            assert term.value == pytest.approx(expected, rel=1e-8)
        for case in ("film", "sample"):
            found = gh.potential_budget(atoms, x_b=78.75, period=4.0, radius=radius, case=case)
            assert abs(found.mean_residual.value) < found.mean_residual.uncertainty < 1e6 / radius**3 + 1e-7
            assert abs(found.residual.value) < found.residual.uncertainty
    assert abs(gh.potential_budget(atoms, x_b=78.75, period=4.0).mean_order_1_over_R.value) == 0


def with_tails(pad, width=1.3, h=0.1, moved=0.0):
    """Slab S1 with a dipole of Gaussian planes at its upper face: wide electrons, cut off `pad` beyond. And ∫xρ."""
    sheets = ((0.02, 158.0, 0.4), (-0.02, 159.2, width))
    profile = slab(40, ATOMS, h=h, pad=pad)
    x = profile.position + moved
    extra = sum(q * np.exp(-((x - c) ** 2) / (2 * s * s)) / (s * sqrt(2 * np.pi)) for q, c, s in sheets)
    atoms = np.interp(x, profile.position, profile.values) if moved else profile.values
    return replace(profile, position=x, values=atoms + extra), 0.02 * (158.0 - 159.2)


@pytest.mark.parametrize("pad", [8.0, 8.5, 9.0, 10.0, 11.0])
def test_what_is_cut_off_is_in_the_errors(pad):
    """Tails that the box ends: the truth of the whole slab lies within what is said, which is no hundred times more."""
    profile, moment = with_tails(pad)
    found = gh.potential_budget(profile, x_b=78.0, period=4.0)
    for measured, truth in ((found.across, -moment), (found.D_R, None), (found.mean_direct, STEP - moment / 2)):
        if truth is not None:
            error = abs(measured.value - volts(truth))
            assert error < measured.uncertainty < max(100 * error, 1e-6)
    assert abs(found.residual.value) <= found.residual.uncertainty < 1e-9


def test_noise_in_the_vacuum_is_in_the_errors(atoms, rng):
    """The last figures of a file, and mode N/2: D_L + D_R are of the line of which the exact sum is."""
    n = len(atoms.values) // 2 * 2
    for noise in (1e-8 * rng.standard_normal(n), 1e-8 * (-1.0) ** np.arange(n)):
        profile = replace(atoms, position=atoms.position[:n], values=atoms.values[:n] + noise, length=n * 0.1)
        found = gh.potential_budget(profile, x_b=78.0, period=4.0)
        assert abs(found.residual.value) <= found.residual.uncertainty < 1e-9
        drawn = 3 * volts(1e-8 * n * 0.1 * sqrt(n) * 0.1)  # the moment of such noise, of which no tail tells
        assert abs(found.across.value) < 4 * found.across.uncertainty + drawn


def test_refusals(atoms):
    def refused(message, profile=atoms, **options):
        with pytest.raises(InputError, match=message):
            gh.potential_budget(profile, **options)

    refused("give a positive radius", radius=0.0)
    refused('Unknown case "slab"', case="slab")
    refused("x_b = inf: give a finite number", x_b=inf)
    refused("length = -1", length=-1.0)
    refused("eps_rho = 0", eps_rho=0.0, period=4.0)
    refused("give positive, finite radii", radii=[0.0], period=4.0)
    refused('radii = "all"', radii="all", period=4.0)
    refused("lies outside the profile", x_b=400.0)
    refused(r"x_b = 2 Å within 2a of a surface: bulk periodicity violated by .*%", x_b=2.0, period=4.0)
    refused(r"cell not neutral: integral over \[x_b, x_b \+ a\]", x_b=76.6, period=3.0)
    refused("No bulk above x_b", x_b=78.0, period=4.0, length=80.0, case="sample")
    electrons = replace(atoms, quantity="electron_density", unit="1/Å^3")
    refused("counts electrons only", profile=electrons)


def test_for_people(atoms):
    found = gh.potential_budget(atoms, period=4.0, x_b=78.75)
    text = str(found)
    for part in ("D_L/(2ε0)", "M2/(4ε0), twice", "residual", "eq. 80", "R σ is left out"):
        assert part in text
    assert found.to_dict()["D_L"]["value"] == pytest.approx(STEP, abs=1e-11)
    assert "not in it" in str(gh.potential_budget(atoms, period=4.0, case="sample"))


@pytest.mark.parametrize("x_b", [-2.4, 158.4, -5.0])
def test_just_outside_a_face_no_bulk_is_looked_for(atoms, x_b):
    """In the tail of the outermost atoms, where no kernel around x_b would lie in one material."""
    found = gh.potential_budget(atoms, x_b=x_b)
    assert not found.faces[0] < x_b < found.faces[1] and found.period is None
    assert found.M1.value == found.M2.value == 0.0
    for number in (found.sum, found.mean, found.mean_direct):
        assert number.value == pytest.approx(found.exact_direct.value, abs=1e-9)
        assert number.uncertainty < 1e-8


def test_what_a_coarse_grid_tells_at_one_position():
    """σ_s, S1, M1 and M2 of planes whose charge is as sharp as the samples are apart, x_b anywhere in a period."""
    rng = np.random.default_rng(3)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    away = []
    for _ in range(12):
        period, sd = rng.uniform(3, 5), rng.uniform(0.3, 0.6)
        ions = ((0.2, 0.3, sd), (-0.2, 0.3 + rng.uniform(0.3, 1.5), 1.1 * sd))
        x_b = period * (4 + rng.uniform())
        found = gh.potential_budget(slab(9, ions, period, sd * rng.uniform(0.6, 1.0)), x_b=x_b, period=period, origin=0)

        def below(x, ions=ions, period=period):
            """C and its integral."""
            sums = np.zeros((2, np.size(x)))
            for q, place, width in ions:
                t = (np.reshape(x, -1) - place - period * np.arange(9)[:, None]) / width
                share = ndtr(t)
                sums += q * np.array([share.sum(0), width * (t * share + np.exp(-t * t / 2) / sqrt(2 * np.pi)).sum(0)])
            return sums

        ((charge,), (double,)), around = below(x_b), below(x_b + period * nodes)[0]
        m2 = -(weights @ (period * nodes * (around - charge)))
        truth = {"sigma_s": charge, "S1": x_b * charge - double, "M1": charge - weights @ around / 2, "M2": m2}
        for name, value in truth.items():
            number = getattr(found, name)
            away.append(abs(number.value - value) / number.uncertainty)
    assert np.mean(np.array(away) < 2) >= 0.95 and np.median(away) > 0.01, np.sort(away)
