"""Rates in one, two and three dimensions: how averages, charges per area and moments of seeded disorder fall.

S(k) = (k lc)^α exp(-(k lc)²) for each sample of spacing h. What is expected are integrals of it over all wavevectors,

    Var <ν>   = h^d Ω_d/(2π)^d ∫ k^(d-1) S |mu^|² dk         the average,               eps^-(α + d)/2
    Var σ     = (h/2πm) 2 ∫ S |mu^|²/k² dk                   of m lines, M1 by planes,  eps^-(α - 1)/2 w^-(d - 1)/2
    Var S1    = (h/2πm) 2 ∫ S |mu^|²/k⁴ dk                   W likewise,                eps^-(α - 3)/2 w^-(d - 1)/2
    Var q     = ℓ h^d Ω_(d-1)/(2π)^(d-1) ∫ k^(d-2) S |mu^|² dk   a column's charge,     eps^-(α + d - 1)/2 √ℓ

in closed form for a Gaussian, without a grid or a transform. A periodic sample lacks the mode 0, which matters where
α = 0 only; the longest waves are few, hence the tolerances. What is measured goes through the public operators.
"""

from math import gamma, pi

import numpy as np
import pytest
from disordered import disordered

import gpuhomog as gh

pytestmark = pytest.mark.filterwarnings("ignore::gpuhomog.AccuracyWarning")

H = LC = 0.25
SOLID_ANGLE = {1: 2.0, 2: 2 * pi, 3: 4 * pi}
SHAPES = {1: (1, 1, 16384), 2: (1, 384, 384), 3: (72, 72, 72)}
WIDTHS = {1: (2.0, 4.0, 8.0), 2: (1.5, 3.0, 6.0), 3: (1.0, 1.6, 2.5)}
ALPHAS = (0, 1, 2, 4)


def expected(eps, alpha, d, lost=0):
    """Standard deviation of what has |mu^|²/k^lost of the power, in d dimensions."""
    power = (alpha + d - lost) / 2
    radial = LC**alpha * gamma(power) / 2 * (LC**2 + eps**2 / 4) ** -power
    return np.sqrt(H**d * SOLID_ANGLE[d] / (2 * pi) ** d * radial)


def field_of(alpha, shape, seed):
    values = disordered(alpha, tuple(n for n in shape if n > 1), H, LC, seed=seed).reshape(shape)
    return gh.Field.from_array(values, np.diag([n * H for n in shape]), quantity="charge_density")


def root_mean_square(rows):
    return np.sqrt(np.mean(np.square(rows), axis=0))


def exponent(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_averages(d, alpha):
    """Gaussian: the integral, and its exponent; box: as fast, but no faster than its faces let it, eps^-(d + 1)/2."""
    eps = np.array(WIDTHS[d])
    smooth, sharp = [], []
    for seed in range(2):
        field = field_of(alpha, SHAPES[d], seed)
        smooth.append([gh.average(field, gh.Gaussian(e)).values.std() for e in eps])
        sharp.append([gh.average(field, gh.Box(np.sqrt(3) * e), spacing=2 * H).values.std() for e in eps])
    lacking = (alpha == 0) / np.prod(SHAPES[d])  # variance of the mean, which is 0 here
    found = np.sqrt(root_mean_square(smooth) ** 2 + lacking)
    np.testing.assert_allclose(found, expected(eps, alpha, d), rtol=0.1)
    assert exponent(np.hypot(LC, eps / 2), found) == pytest.approx(-(alpha + d) / 2, abs=0.1)
    limit, found = -min(alpha + d, d + 1) / 2, np.sqrt(root_mean_square(sharp) ** 2 + lacking)
    assert exponent(eps, found) == pytest.approx(limit, abs={0: 0.25, 1: 0.4}.get(alpha, 0.16))  # 1: with ln eps


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d, sizes", [(1, (1,)), (2, (4, 16)), (3, (4, 8))])
def test_charges_per_area_and_first_moments(d, sizes, alpha):
    """M1 and W of planar averages, over their mesoscale: with eps where α > 1, 3; with the lateral size always."""
    eps = np.array([2.0, 4.0, 8.0])
    by_size = {"m1_field": [], "w_field": []}
    for size in sizes:
        rows = {name: [] for name in by_size}
        for seed in range(3):
            shape = {1: (1, 1, 2048), 2: (1, size, 2048), 3: (size, size, 2048)}[d]
            found = gh.moment_densities(field_of(alpha, shape, seed), "c")
            for name, row in rows.items():
                moment = getattr(found, name)
                row.append([gh.average(moment, gh.Gaussian(e)).values.std() for e in eps])
        for name, row in rows.items():
            by_size[name].append(root_mean_square(row))
    for order, found in enumerate(by_size.values(), 1):
        for size, spread in zip(sizes, found, strict=True):
            if alpha > 2 * order - 1:
                known = expected(eps, alpha, 1, 2 * order) / np.sqrt(size ** (d - 1))
                np.testing.assert_allclose(spread, known, rtol=0.2)
                assert exponent(eps, spread) == pytest.approx(-(alpha - 2 * order + 1) / 2, abs=0.12)
            else:  # the longest waves of the box alone: no eps helps
                assert exponent(eps, spread) > (-0.25 if alpha == 2 * order - 1 else -0.06)
        if d > 1 and alpha > 2 * order - 1:
            fallen = np.log(found[1] / found[0]) / np.log(sizes[1] / sizes[0])
            np.testing.assert_allclose(fallen, -(d - 1) / 2, atol=0.2)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("d, shape, eps", [(2, (192, 1, 1024), (1.5, 3.0)), (3, (40, 40, 384), (1.0, 1.6))])
def test_columns(d, shape, eps, alpha):
    """The charge per area of a column, averaged in the plane over eps, grows as √ℓ at any α: S(k) is not 0 across."""
    widths, lengths = np.array(eps), np.array([0.0625, 0.25]) * shape[2] * H
    rows = []
    for seed in range(2):
        field = field_of(alpha, shape, seed)
        stages = [[(gh.Gaussian(e), gh.Box([1e-3, 1e-3, length])) for e in widths] for length in lengths]
        rows.append([[gh.average(field, both, spacing=[H, H, 2.0]).values.std() for both in row] for row in stages])
    found = root_mean_square(rows) * lengths[:, None]
    known = np.sqrt(lengths[:, None] * H) * expected(widths, alpha, d - 1)
    np.testing.assert_allclose(found, known, rtol=0.15)
    assert np.log(found[1] / found[0]) / np.log(4) == pytest.approx(0.5, abs=0.08)
