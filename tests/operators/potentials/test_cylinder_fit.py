"""Fits of the cylinder's kernel: what the recursions add, plane by plane, against the kernel."""

from dataclasses import replace

import numpy as np
import pytest
from oracles import box_mean_of_inverse_distance, sampled_march_fit, sampled_table

from gpuhomog.errors import InputError
from gpuhomog.operators.potentials.cylinder_fit import SECTIONS, march_fit
from gpuhomog.operators.potentials.cylinder_kernel import khat
from gpuhomog.operators.potentials.cylinder_table import (
    cylinder_table,
    gregory_weights,
    in_plane_wavevectors,
)

SQUARE = np.eye(2) * 12.0
OBLIQUE = np.array([[7.0, 0.0], [2.5, 6.0]])


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
    fit = march_fit(vectors, shape, step, planes, radius * step, sections=sections, order=3, inverse_eps0=2.0)
    lengths = in_plane_wavevectors(vectors, shape)
    distances = [d for d in (0, 1, 2, 3, 4, 5, 9, 30, 217, 299, 599) if d < planes]
    ends = np.append(gregory_weights(3), np.ones(planes + 3))
    largest = 0.0
    for i, j in ((0, 0), (1, 0), (5, 4), (5, 1), (3, 2), (9, 3)):
        each = [khat(g, step * np.array(distances), radius * step) for g in lengths[:, i, j]]
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
    exact = khat(0.0, distances, radius)
    errors = {}
    for dtype in (np.float32, np.float64):
        fit = march_fit(SQUARE * 4, (6, 6), 1.0, planes, radius, sections=[10], dtype=dtype)
        rounded = {name: getattr(fit, name).astype(np.float32).astype(float) for name in ("propagators", "own_factor")}
        errors[dtype] = np.abs(response(replace(fit, **rounded), distances, 0, 0) - exact).max()
    assert errors[np.float32] < 2e-9 * radius
    assert errors[np.float64] > 20 * errors[np.float32]


def test_fewest_sections_that_reach_the_tolerance():
    errors = {count: march_fit(SQUARE, (8, 8), 1.0, 100, 12.0, sections=[count]).error for count in SECTIONS}
    for count in SECTIONS:
        fit = march_fit(SQUARE, (8, 8), 1.0, 100, 12.0, tolerance=1.01 * errors[count])
        assert len(fit.propagators) == count
    assert len(march_fit(SQUARE, (8, 8), 1.0, 100, 12.0, tolerance=0.0).propagators) == min(errors, key=errors.get)


def test_fit_of_the_sampled_kernel():
    planes, radius, step = 60, 8.2, 1.0
    vectors, shape = np.eye(2) * 20.0, (20, 20)
    own = box_mean_of_inverse_distance(1, 1, 1)
    table = sampled_table(vectors, shape, step, planes, radius, own)
    fit = sampled_march_fit(vectors, shape, step, planes, radius, own, sections=(10,))
    for i, j in ((0, 0), (1, 0), (10, 10), (10, 3), (7, 2)):
        exact = table.table[:, table.classes[i, j]]
        assert response(fit, np.arange(planes), i, j) == pytest.approx(exact, abs=1e-7 * table.table.max())


@pytest.mark.parametrize(
    ("changed", "message"), [({"radius": 0.0}, "radius 0"), ({"radius": np.inf}, "finite"), ({"step": 0.0}, "step")]
)
def test_what_is_no_cylinder(changed, message):
    given = {"step": 1.0, "radius": 3.0, **changed}
    for make in (march_fit, cylinder_table):
        with pytest.raises(InputError, match=message):
            make(SQUARE, (4, 4), given["step"], 5, given["radius"])
    with pytest.raises(InputError, match="cylinder_table"):
        march_fit(SQUARE, (4, 4), 1.0, 5, 3.0, order=5)
