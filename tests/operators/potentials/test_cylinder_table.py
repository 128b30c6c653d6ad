"""Tables of the cylinder's kernel: end weights, wavevectors and singular points, against their definitions."""

from math import pi, sqrt

import numpy as np
import pytest
from oracles import box_mean_of_inverse_distance

from gpuhomog.errors import InputError
from gpuhomog.operators.potentials.cylinder_table import (
    disc_points,
    gregory_weights,
    in_plane_wavevectors,
    node_weight,
)

SQUARE = np.eye(2) * 12.0
OBLIQUE = np.array([[7.0, 0.0], [2.5, 6.0]])


def test_gregory_weights():
    np.testing.assert_array_equal(gregory_weights(1), [0.5])
    np.testing.assert_allclose(gregory_weights(3), [3 / 8, 7 / 6, 23 / 24], rtol=1e-15)
    with pytest.raises(InputError, match="order 0"):
        gregory_weights(0)


@pytest.mark.parametrize("order", range(1, 13))
def test_gregory_weights_integrate_polynomials(order):
    n = 3 * order + 5
    weights = np.ones(n)
    ends = gregory_weights(order)
    weights[:order] += ends - 1
    weights[-order:] += (ends - 1)[::-1]
    x = np.linspace(-1, 1, n)
    for power in range(order):
        exact = (1 - (-1) ** (power + 1)) / (power + 1)
        assert weights @ x**power * (x[1] - x[0]) == pytest.approx(exact, abs=1e-13)


def test_weight_of_a_singular_grid_point(potential_checks):
    check = potential_checks["singular_weight_2d"]
    h = 1 / 8
    steps = np.eye(2) * h
    assert node_weight(steps) * h == pytest.approx(check["expected"], rel=1e-13)
    offsets, squared = disc_points(steps, 7.0)
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

    coarse, fine = (
        needed(steps) / node_weight(steps),
        needed(steps / 2) / node_weight(steps / 2),
    )
    assert abs(fine - 1) < 3e-2
    assert (4 * fine - coarse) / 3 == pytest.approx(1, abs=3e-4)
    if len(steps) == 3 and steps[1, 0] == 0:
        assert node_weight(steps) * steps[0, 0] == pytest.approx(2.8372974795, abs=1e-9)


def test_mean_inverse_distance_of_a_box():
    assert box_mean_of_inverse_distance(1, 1, 1) == pytest.approx(2.380077, abs=5e-7)
    a, b, c = 0.7, 1.1, 0.5
    points, weights = np.polynomial.legendre.leggauss(40)
    t, w = (points + 1) / 2, weights / 2
    # six pyramids from the middle to a face at distance h/2: ∫ 1/r = (h/4) ∫ 1/r over the face
    total = 0.0
    for h, p, q in ((a, b, c), (b, c, a), (c, a, b)):
        y, z = p / 2 * t[:, None], q / 2 * t[None, :]
        total += 2 * (4 * (p / 2) * (q / 2)) * (h / 2) / 2 * (w @ (1 / np.sqrt((h / 2) ** 2 + y**2 + z**2)) @ w)
    assert box_mean_of_inverse_distance(a, b, c) == pytest.approx(total / (a * b * c), rel=1e-10)


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (8, 1), (1, 6)])
@pytest.mark.parametrize("vectors", [SQUARE, OBLIQUE])
def test_wavevectors_of_every_mode(vectors, shape):
    lengths = in_plane_wavevectors(vectors, shape)
    reciprocal = 2 * pi * np.linalg.inv(vectors).T
    for i in range(shape[0]):
        for j in range(shape[1] // 2 + 1):
            readings = set()
            for a in {i, i - shape[0]} if 2 * i == shape[0] else {i if 2 * i < shape[0] else i - shape[0]}:
                for b in {j, j - shape[1]} if 2 * j == shape[1] else {j}:
                    readings.add(round(float(np.linalg.norm(a * reciprocal[0] + b * reciprocal[1])), 10))
            assert lengths[:, i, j] == pytest.approx([min(readings), max(readings)], abs=1e-9)
