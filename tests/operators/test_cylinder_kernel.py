"""Coulomb kernel of a cylinder: against SciPy's adaptive quadrature and values computed elsewhere."""

import json
from dataclasses import replace
from math import asinh, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0

from gpuhomog.errors import InputError
from gpuhomog.operators import cylinder_kernel as ck

DATA = Path(__file__).parents[1] / "data" / "checks"
SQUARE = np.eye(2) * 12.0
OBLIQUE = np.array([[7.0, 0.0], [2.5, 6.0]])


@pytest.fixture(scope="module")
def potential_checks():
    return {c["name"]: c for c in json.loads((DATA / "potentials-currents.json").read_text())}


def by_quadrature(g, d, radius):
    """The definition; u = d sinh t takes the peak at u = 0 away."""
    if d == 0:
        return quad(lambda u: j0(g * u) / 2, 0, radius, limit=500, epsabs=1e-13, epsrel=1e-13)[0]
    top = asinh(radius / d)
    return quad(lambda t: j0(g * d * np.sinh(t)) * d * np.sinh(t) / 2, 0, top, limit=500, epsabs=1e-13, epsrel=1e-13)[0]


def test_hankel_values(potential_checks):
    check = potential_checks["kernel_hankel"]
    found = ck.khat([0.3, 1.57, 1.57], [0.0, 0.0, 2.0], 11.3)
    np.testing.assert_allclose(found, check["expected"], rtol=0, atol=check["tolerance"])


@pytest.mark.parametrize("d", [0.0, 0.01, 0.7, 5.0, 300.0])
@pytest.mark.parametrize("g", [0.0, 0.05, 1.3, 9.0])
def test_kernel_against_adaptive_quadrature(g, d):
    radius = 6.5
    expected = by_quadrature(g, d, radius)
    assert ck.khat(g, d, radius) == pytest.approx(expected, abs=1e-13 * radius)
    assert ck.khat_table(np.array([g]), np.array([0.0, d, 2.0]), radius)[0, 1] == pytest.approx(expected, abs=1e-12)


def test_many_wavevectors_are_interpolated_to_rounding():
    g = np.random.default_rng(3).uniform(0, 4.4, 3000)
    distances = np.array([0.0, 1.0, 2.0, 17.0, 400.0])
    for radius in (2.0, 30.0):
        table = ck.khat_table(g, distances, radius)
        np.testing.assert_allclose(table, ck.khat(g[:, None], distances, radius), rtol=0, atol=3e-13 * radius)


def test_without_the_disc_one_exponential():
    assert ck.khat(0.5, 2.0, np.inf) == pytest.approx(np.exp(-1.0), rel=1e-15)
    assert ck.khat(0.5, 2.0, 4000.0) == pytest.approx(np.exp(-1.0), abs=0.018)  # √(1/(2π g³ R))


@pytest.mark.parametrize("radius", [1.0, 30.0, 1e9, 1e12])
def test_weight_of_a_plane_keeps_its_digits(radius):
    for d in (0.0, 0.3, 5.0, 1e6):
        exact = by_long_numbers(radius, d)
        assert ck.disc_weight(radius, d) == pytest.approx(exact[0], rel=1e-15)
        assert ck.disc_weight_beyond_radius(radius, -d) == pytest.approx(exact[1], rel=1e-15, abs=2e-16 * d)


def by_long_numbers(radius, d):
    from decimal import Decimal, localcontext

    with localcontext() as context:
        context.prec = 60
        R, x = Decimal(radius), Decimal(d)
        root = (R * R + x * x).sqrt()
        return float(root - x), float(root - x - R)


def test_gregory_weights():
    np.testing.assert_array_equal(ck.gregory_weights(1), [0.5])
    np.testing.assert_allclose(ck.gregory_weights(3), [3 / 8, 7 / 6, 23 / 24], rtol=1e-15)
    with pytest.raises(InputError, match="order 0"):
        ck.gregory_weights(0)


@pytest.mark.parametrize("order", range(1, 13))
def test_gregory_weights_integrate_polynomials(order):
    n = 3 * order + 5
    weights = np.ones(n)
    ends = ck.gregory_weights(order)
    weights[:order] += ends - 1
    weights[-order:] += (ends - 1)[::-1]
    x = np.linspace(-1, 1, n)
    for power in range(order):
        exact = (1 - (-1) ** (power + 1)) / (power + 1)
        assert weights @ x**power * (x[1] - x[0]) == pytest.approx(exact, abs=1e-13)


def test_uniform_cylinder(potential_checks):
    check = potential_checks["uniform_cylinder_axis"]
    found = quad(lambda x: ck.disc_weight(2.0, x) / 2, 0, 3, epsabs=1e-14)[0]
    assert found == pytest.approx(check["expected"], abs=check["tolerance"])


def test_weight_of_a_singular_grid_point(potential_checks):
    check = potential_checks["singular_weight_2d"]
    h = 1 / 8
    steps = np.eye(2) * h
    assert ck.node_weight(steps) * h == pytest.approx(check["expected"], rel=1e-13)
    offsets, squared = ck.disc_points(steps, 7.0)
    assert len(offsets) == len(squared)
    around = squared > 0
    summed = h**2 * (np.exp(-squared[around]) / np.sqrt(squared[around])).sum()
    needed = (pi**1.5 - summed) / h**2  # what the grid point at 0 has to carry
    assert needed * h == pytest.approx(check["expected"], abs=check["tolerance"])


@pytest.mark.parametrize(
    "steps",
    [
        np.eye(3) * 0.3,
        np.array([[0.25, 0, 0], [0.08, 0.27, 0], [0.05, -0.07, 0.3]]),
        np.array([[0.06, 0.0], [0.025, 0.05]]),
    ],
)
def test_singular_weight_on_any_lattice(steps):
    """∫ e^{-r²}/r in the plane and in space; the error falls as h² of the smooth part."""

    def needed(rows):
        reach = [int(5.5 * s) + 1 for s in np.sqrt(np.diag(np.linalg.inv(rows @ rows.T)))]
        index = np.stack([x.ravel() for x in np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij")], 1)
        r2 = ((index @ rows) ** 2).sum(axis=1)
        r2 = r2[r2 > 0]
        volume = sqrt(np.linalg.det(rows @ rows.T))
        integral = pi**1.5 if len(rows) == 2 else 2 * pi
        return integral / volume - (np.exp(-r2) / np.sqrt(r2)).sum()

    coarse, fine = needed(steps) / ck.node_weight(steps), needed(steps / 2) / ck.node_weight(steps / 2)
    assert abs(fine - 1) < 3e-2
    assert (4 * fine - coarse) / 3 == pytest.approx(1, abs=3e-4)
    if len(steps) == 3 and steps[1, 0] == 0:
        assert ck.node_weight(steps) * steps[0, 0] == pytest.approx(2.8372974795, abs=1e-9)


def test_mean_inverse_distance_of_a_box():
    assert ck.box_mean_of_inverse_distance(1, 1, 1) == pytest.approx(2.380077, abs=5e-7)
    a, b, c = 0.7, 1.1, 0.5
    points, weights = np.polynomial.legendre.leggauss(40)
    t, w = (points + 1) / 2, weights / 2
    # six pyramids from the middle to a face at distance h/2: ∫ 1/r = (h/4) ∫ 1/r over the face
    total = 0.0
    for h, p, q in ((a, b, c), (b, c, a), (c, a, b)):
        y, z = p / 2 * t[:, None], q / 2 * t[None, :]
        total += 2 * (4 * (p / 2) * (q / 2)) * (h / 2) / 2 * (w @ (1 / np.sqrt((h / 2) ** 2 + y**2 + z**2)) @ w)
    assert ck.box_mean_of_inverse_distance(a, b, c) == pytest.approx(total / (a * b * c), rel=1e-10)


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (8, 1), (1, 6)])
@pytest.mark.parametrize("vectors", [SQUARE, OBLIQUE])
def test_wavevectors_of_every_mode(vectors, shape):
    lengths = ck.in_plane_wavevectors(vectors, shape)
    reciprocal = 2 * pi * np.linalg.inv(vectors).T
    for i in range(shape[0]):
        for j in range(shape[1] // 2 + 1):
            readings = set()
            for a in {i, i - shape[0]} if 2 * i == shape[0] else {i if 2 * i < shape[0] else i - shape[0]}:
                for b in {j, j - shape[1]} if 2 * j == shape[1] else {j}:
                    readings.add(round(float(np.linalg.norm(a * reciprocal[0] + b * reciprocal[1])), 10))
            assert lengths[:, i, j] == pytest.approx([min(readings), max(readings)], abs=1e-9)


def response(fit, distances, i, j):
    """What the recursions add for a unit charge d planes away, plane by plane."""
    c = fit.classes[i, j]
    own, states, out = 1.0, np.ones((len(fit.propagators), 2)), []
    for d in range(max(distances) + 1):
        total = fit.own_weight[c] * own + fit.weights[:, c] @ states.ravel()
        out.append(total + (fit.near[d, c] if d < len(fit.near) else 0.0))
        own *= fit.own_factor[c]
        states = np.einsum("sij,sj->si", fit.propagators, states)
    return np.array(out)[distances]


@pytest.mark.parametrize(
    ("sections", "planes", "radius", "within"),
    [
        ((6,), 40, 7.3, 2e-7),
        ((10,), 40, 7.3, 1e-10),
        ((6,), 300, 20.0, 2e-7),
        ((10,), 500, 20.0, 1e-10),
        ((10,), 600, 3.0, 1e-10),
        ((4,), 3, 5.0, 1e-12),
        ((4,), 1, 5.0, 1e-12),
    ],
)
@pytest.mark.parametrize("vectors", [SQUARE, OBLIQUE])
def test_fit_of_the_kernel(vectors, sections, planes, radius, within):
    step, shape = 0.4, (10, 9)
    fit = ck.march_fit(vectors, shape, step, planes, radius * step, sections=sections, order=3, inverse_eps0=2.0)
    lengths = ck.in_plane_wavevectors(vectors, shape)
    distances = [d for d in (0, 1, 2, 3, 4, 5, 9, 30, 217, 299, 599) if d < planes]
    ends = np.append(ck.gregory_weights(3), np.ones(planes + 3))
    largest = 0.0
    for i, j in ((0, 0), (1, 0), (5, 4), (5, 1), (3, 2), (9, 3)):
        each = [ck.khat(g, step * np.array(distances), radius * step) for g in lengths[:, i, j]]
        exact = (each[0] + each[1]) / 2 * ends[distances]
        difference = response(fit, distances, i, j) / (step * 2.0) - exact
        largest = max(largest, np.abs(difference).max() / (radius * step / 2))
    assert largest < 1.5 * fit.error + 1e-13
    assert fit.error < (
        within if vectors is SQUARE else max(within, 1e-7)
    )  # oblique: two readings of one mode, in-plane steps wider
    largest_kernel = step * 2.0 * radius * step / 2
    assert np.abs(fit.weights).max() < (2 if vectors is SQUARE else 10) * largest_kernel  # little cancels


def test_weights_fit_the_exponentials_that_float32_has():
    """Over many planes: rounded afterwards, slow exponentials decay otherwise."""
    planes, radius = 1000, 40.0
    distances = np.array([5, 100, 600, 999])
    exact = ck.khat(0.0, distances, radius)
    errors = {}
    for dtype in (np.float32, np.float64):
        fit = ck.march_fit(SQUARE * 4, (6, 6), 1.0, planes, radius, sections=[10], dtype=dtype)
        rounded = {name: getattr(fit, name).astype(np.float32).astype(float) for name in ("propagators", "own_factor")}
        errors[dtype] = np.abs(response(replace(fit, **rounded), distances, 0, 0) - exact).max()
    assert errors[np.float32] < 2e-9 * radius
    assert errors[np.float64] > 20 * errors[np.float32]


def test_fewest_sections_that_reach_the_tolerance():
    errors = {count: ck.march_fit(SQUARE, (8, 8), 1.0, 100, 12.0, sections=[count]).error for count in ck.SECTIONS}
    for count in ck.SECTIONS:
        fit = ck.march_fit(SQUARE, (8, 8), 1.0, 100, 12.0, tolerance=1.01 * errors[count])
        assert len(fit.propagators) == count
    assert len(ck.march_fit(SQUARE, (8, 8), 1.0, 100, 12.0, tolerance=0.0).propagators) == min(errors, key=errors.get)


def test_fit_of_the_sampled_kernel():
    planes, radius, step = 60, 8.2, 1.0
    vectors, shape = np.eye(2) * 20.0, (20, 20)
    own = ck.box_mean_of_inverse_distance(1, 1, 1)
    table = ck.sampled_table(vectors, shape, step, planes, radius, own)
    fit = ck.sampled_march_fit(vectors, shape, step, planes, radius, own, sections=(10,))
    for i, j in ((0, 0), (1, 0), (10, 10), (10, 3), (7, 2)):
        exact = table.table[:, table.classes[i, j]]
        assert response(fit, np.arange(planes), i, j) == pytest.approx(exact, abs=1e-7 * table.table.max())


@pytest.mark.parametrize(
    ("changed", "message"), [({"radius": 0.0}, "radius 0"), ({"radius": np.inf}, "finite"), ({"step": 0.0}, "step")]
)
def test_what_is_no_cylinder(changed, message):
    given = {"step": 1.0, "radius": 3.0, **changed}
    for make in (ck.march_fit, ck.cylinder_table):
        with pytest.raises(InputError, match=message):
            make(SQUARE, (4, 4), given["step"], 5, given["radius"])
    with pytest.raises(InputError, match="cylinder_table"):
        ck.march_fit(SQUARE, (4, 4), 1.0, 5, 3.0, order=5)
