"""Excess of faces, lines and points: bodies whose excess is geometry, on oblique grids too, and what is refused.

The oracle of most tests is a body of constant (or linear) value that fills whole cells of an oblique grid. Where the
dividing surfaces lie on the faces of the cells nothing is left over; where they lie t further out, the excess of a face
is minus the layer between, that of a line what two layers share, that of a point minus what three share.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ranks import on_ranks
from scipy.special import erf
from strict_device import StrictDevice

import gpuhomog as gh
from gpuhomog.errors import InputError, KernelError
from gpuhomog.operators.excess.regions import complex_of

SQUARE = [[0.0, 0.0], [20.0, 0.0], [20.0, 20.0], [0.0, 20.0]]


def body(steps, shape, low, high, value, gradient=(0, 0, 0)):
    """Value + gradient · r in the cells low … high - 1 of a grid with these step vectors, zero elsewhere."""
    steps = np.asarray(steps, dtype=float)
    index = np.indices(shape)
    r = np.einsum("iabc,ij->jabc", index, steps)
    inside = np.ones(shape, dtype=bool)
    for i in range(3):
        inside &= (index[i] >= low[i]) & (index[i] < high[i])
    values = np.where(inside, value + np.einsum("jabc,j->abc", r, np.asarray(gradient, dtype=float)), 0.0)
    return gh.Field.from_array(values, steps * np.array(shape)[:, None], boundary="open")


def parallelepiped(steps, low, high, n=3):
    """Region of the cells low … high - 1, moved out by fractions of a cell."""
    steps = np.asarray(steps, dtype=float)[:n, :n]
    ends = [(a - 0.5, b - 0.5) for a, b in zip(low, high, strict=True)][:n]
    around = [(ends[0][i], ends[1][j]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    if n == 3:
        around = [(*corner, z) for z in ends[2] for corner in around]
    return np.array(around) @ steps


TILTED = np.array([[1.0, 0.0, 0.0], [0.35, 0.95, 0.0], [-0.2, 0.3, 0.9]])
FLAT = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("gradient", [(0, 0, 0), (0.03, -0.02, 0)])
def test_nothing_is_left_over_of_an_oblique_plate(gradient):
    field = body(FLAT, (60, 70, 1), (5, 6, 0), (55, 64, 1), 1.7, gradient)
    region = gh.Region(parallelepiped(FLAT, (5, 6), (55, 64), 2), (1.7, *gradient[:2]))
    found = gh.lines_and_points(field, [region], sampling="cell")
    least = 0.2 * max(map(abs, gradient)) + 1e-9  # constant in each cell: a slope g is g h²/12 off
    for excess in (*found.lines, *found.points):
        assert float(excess.value) == pytest.approx(0, abs=least)


@pytest.mark.parametrize("gradient", [(0, 0, 0), (0.03, -0.02, 0.05)])
def test_nothing_is_left_over_of_an_oblique_body(gradient):
    field = body(TILTED, (54, 54, 56), (4, 5, 4), (51, 52, 53), 0.8, gradient)
    region = gh.Region(parallelepiped(TILTED, (4, 5, 4), (51, 52, 53)), (0.8, *gradient))
    found = gh.lines_and_points(field, [region], sampling="cell")
    assert found.eps > 2.5
    for excess in (*found.faces, *found.lines, *found.points):
        assert float(excess.value) == pytest.approx(0, abs=0.2 * max(map(abs, gradient)) + 1e-4)


@pytest.mark.parametrize("out", [0.8, -0.3])
def test_dividing_lines_that_are_moved(out):
    """Gibbs: [λ, q] = [-V t, V t²] for lines t further out; the theory's [.8, .64] has them .8 further in."""
    field = body(np.eye(3), (60, 60, 1), (8, 8, 0), (52, 52, 1), 1.0)
    found = gh.lines_and_points(field, [gh.box_region((7.5 - out,) * 2, (51.5 + out,) * 2, 1.0)], eps=3)
    assert [float(x.value) for x in found.lines] == pytest.approx([-out] * 4, abs=1e-12)
    for point in found.points:  # what is t away from its line is t⁷/ρ⁵ off
        assert float(point.value) == pytest.approx(out**2, abs=1e-6)
        assert abs(float(point.value) - out**2) < point.value.uncertainty < 1e-4
    assert any("change with where" in remark for remark in found.remarks)


@settings(max_examples=10, deadline=None, phases=[Phase.generate])
@given(tilt=st.floats(-0.7, 0.7), stretch=st.floats(0.7, 1.2), out=st.tuples(*[st.floats(-0.5, 0.5)] * 2))
def test_excess_of_moved_lines_of_an_oblique_plate(tilt, stretch, out):
    """λ = -V t sin θ; q from what two layers share and from their slanted ends; t⁷/ρ⁵ off, as they are t off the lines.

    q = V [t_1 t_2 sin θ + (t_1² + t_2²) sin θ cos θ/2] at a corner of angle θ.
    """
    steps = np.array([[1.0, 0.0, 0.0], [tilt, stretch, 0.0], [0.0, 0.0, 1.0]])
    low, high = np.array([6, 6]), np.array([86, 90])
    field = body(steps, (92, 96, 1), (*low, 0), (*high, 1), 1.5)
    region = gh.Region(parallelepiped(steps, low - out, high + out, 2), 1.5)
    found = gh.lines_and_points(field, [region], sampling="cell", eps=2.6)
    length = np.hypot(tilt, stretch)
    sine, moved = stretch / length, (out[0], out[1] * length)
    allowed = max(map(abs, moved)) ** 7 / found.window_radius**5 + 2e-6
    for line in found.lines:
        along_first = abs(line.corners[0][1] - line.corners[1][1]) < 1e-9
        assert float(line.value) == pytest.approx(-1.5 * moved[1 if along_first else 0] * sine, abs=1e-7)
    middle = np.mean([point.corners[0] for point in found.points], axis=0)
    for point in found.points:
        away = (point.corners[0] - middle) @ np.linalg.inv(steps[:2, :2])
        cosine = np.sign(away.prod()) * tilt / length
        shared = moved[0] * moved[1] + (moved[0] ** 2 + moved[1] ** 2) * cosine / 2
        assert float(point.value) == pytest.approx(1.5 * shared * sine, abs=allowed)


def test_faces_that_are_moved():
    """Two faces .3 further out: -V t each, and nothing is left for lines and points."""
    steps = np.array([[1.0, 0.0, 0.0], [0.2, 1.0, 0.0], [-0.1, 0.15, 1.0]])
    low, high, out = np.array([4, 4, 4]), np.array([44, 46, 45]), np.array([0, 0, 0.3])
    field = body(steps, (48, 50, 49), low, high, 1.5)
    region = gh.Region(parallelepiped(steps, low - out, high + out), 1.5)
    found = gh.lines_and_points(field, [region], sampling="cell")
    for face in found.faces:
        is_moved = np.ptp(face.corners, axis=0)[2] < 1e-9
        assert float(face.value) == pytest.approx(-1.5 * 0.3 if is_moved else 0.0, abs=1e-7)
    assert [float(line.value) for line in found.lines] == pytest.approx([0.0] * 12, abs=0.02)
    assert [float(point.value) for point in found.points] == pytest.approx([0.0] * 8, abs=0.05)
    assert float(found.closure) == pytest.approx(0, abs=1e-2 * float(found.total))


def wave_plate(gradient=(0, 0)):
    """A plate of 0.5 + gradient · r with a wave of period 2 Å on it, on a grid of 0.5 Å."""
    n = 120
    x, y = np.meshgrid(0.5 * np.arange(n), 0.5 * np.arange(n), indexing="ij")
    inside = (x >= 5) & (x < 55) & (y >= 5) & (y < 55)
    values = inside * (0.5 + gradient[0] * x + gradient[1] * y + 0.3 * np.sin(np.pi * x) * np.cos(np.pi * y))
    return gh.Field.from_array(values[:, :, None], np.diag([60, 60, 2.0]), boundary="o,o,p")


@pytest.mark.parametrize("gradient", [(0, 0), (0.01, -0.02)])
def test_references_are_fitted_deep_inside(gradient):
    kind = "linear" if any(gradient) else "constant"
    found = gh.lines_and_points(wave_plate(gradient), [gh.box_region((4.75,) * 2, (54.75,) * 2, kind)], eps=3)
    (reference,) = found.regions
    assert reference.fitted
    assert float(reference.value) == pytest.approx(0.5 + np.dot(gradient, (29.75, 29.75)), abs=1e-6)
    assert reference.gradient is None if kind == "constant" else reference.gradient == pytest.approx(gradient, abs=1e-7)
    assert float(found.closure) == pytest.approx(0, abs=1e-2)  # V_ref within 1e-6 on 2500 Å^2
    again = gh.lines_and_points(wave_plate(gradient), [gh.box_region((4.75,) * 2, (54.75,) * 2, kind)], eps=3)
    assert again.to_json() == found.to_json()


def test_a_fitted_slope_is_carried_to_the_centroid():
    """A linear field everywhere; the region's deepest point, where it is fitted, is not its centroid."""
    field = body(np.eye(3), (70, 60, 1), (0, 0, 0), (70, 60, 1), 0.5, (0.03, -0.02, 0))
    corners = np.array([[3.0, 4.0], [66.0, 6.0], [40.0, 56.0], [8.0, 50.0]])
    found = gh.lines_and_points(field, [gh.Region(corners, "linear")], eps=2.1)
    x, y = complex_of([gh.Region(corners)]).bodies[0].centroid
    deepest, _ = complex_of([gh.Region(corners)]).deepest(0)
    assert np.hypot(*(deepest - (x, y))) > 1
    assert float(found.regions[0].value) == pytest.approx(0.5 + 0.03 * x - 0.02 * y, abs=1e-6)
    assert found.regions[0].gradient == pytest.approx((0.03, -0.02), abs=1e-7)


def test_two_regions_share_a_line():
    """Two plates side by side: the line between carries what is moved from one to the other, and no more."""
    values = np.zeros((70, 60, 1))
    values[5:35, 5:55] = 1.0
    values[35:65, 5:55] = 3.0
    field = gh.Field.from_array(values, np.diag([70, 60, 1.0]), boundary="o,o,p")
    regions = [
        gh.box_region((4.5, 4.5), (34.0, 54.5), 1.0, "left"),
        gh.box_region((34.0, 4.5), (64.5, 54.5), 3.0, "right"),
    ]
    found = gh.lines_and_points(field, regions)
    between = [float(x.value) for x in found.lines if {c[0] for c in x.corners} == {34.0}]
    others = [float(x.value) for x in found.lines if {c[0] for c in x.corners} != {34.0}]
    assert between == pytest.approx([-1.0], abs=1e-10)  # half an Å counted as 3 that is 1
    assert len(others) == 6 and others == pytest.approx([0.0] * 6, abs=1e-10)
    assert [r.name for r in found.regions] == ["left", "right"]
    assert float(found.closure) == pytest.approx(0, abs=1e-7)  # Gaussians s apart are 2e-7 s² off t²


def test_values_have_the_unit_of_their_codimension():
    n = 40
    values = np.zeros((n, n, n))
    values[4:36, 4:36, 4:36] = 1.0
    field = gh.Field.from_array(values, n * np.eye(3), boundary="open", quantity="electrostatic_potential")
    found = gh.lines_and_points(field, [gh.box_region((3.5,) * 3, (35.5,) * 3, 1.0)])
    units = [group[0].value.unit for group in (found.faces, found.lines, found.points)]
    assert units == ["V*Å", "V*Å^2", "V*Å^3"] and found.total.unit == "V*Å^3"
    assert [x.size for x in found.faces] == pytest.approx([1024.0] * 6)
    assert found.points[0].corners == ((3.5, 3.5, 3.5),)
    flat = gh.lines_and_points(field, [gh.box_region((3.5,) * 2, (35.5,) * 2)], uniform_axis="a")
    assert [flat.lines[0].value.unit, flat.points[0].value.unit] == ["V*Å", "V*Å^2"] and flat.uniform_axis == "a"
    assert "a is open" in flat.remarks[-1] and "corners (x, y, z)" in flat.remarks[-1]
    wire = gh.Field.from_array(values[20:21], np.diag([1.0, n, n]), boundary="p,o,o")
    wire = gh.lines_and_points(wire, [gh.box_region((3.5,) * 2, (35.5,) * 2)], uniform_axis="a")
    assert not any("is open" in remark for remark in (*found.remarks, *wire.remarks))
    assert {"step": "lines and points"}.items() <= dict(found.provenance[-1]).items()


@pytest.mark.parametrize("axis", ["a", "b", "c"])
def test_coordinates_of_the_plane_across_each_axis(axis):
    """x is along the next axis. A plate that is longer along a than b than c is found where it is."""
    low, high, shape = (5, 6, 7), (47, 49, 51), (52, 56, 60)
    k = "abc".index(axis)
    first, second = (k + 1) % 3, (k + 2) % 3
    full_low, full_high = list(low), list(high)
    full_low[k], full_high[k] = 0, shape[k]
    field = body(np.eye(3), shape, full_low, full_high, 2.0)
    corner, opposite = ([x[first] - 0.5, x[second] - 0.5] for x in (low, high))
    found = gh.lines_and_points(field, [gh.box_region(corner, opposite, 2.0)], uniform_axis=axis, eps=3)
    assert [float(x.value) for x in (*found.lines, *found.points)] == pytest.approx([0.0] * 8, abs=1e-10)
    assert found.directions == (tuple(np.eye(3)[first]), tuple(np.eye(3)[second]))


def numbers(result):
    return np.array([float(x.value) for x in (*result.faces, *result.lines, *result.points)] + [float(result.closure)])


def noise(shape):
    rng = np.random.default_rng(11)
    return gh.Field.from_array(rng.normal(size=shape), np.diag([*map(float, shape)]), boundary="periodic")


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", [2, 5])
def test_ranks_find_what_one_finds(axis, size):
    solid = noise((36, 34, 35))
    region = [gh.box_region((2.0, 1.0, 30.0), (20.0, 18.0, 48.0), 0.1)]  # across the boundary along c
    alone = gh.lines_and_points(solid, region, eps=2.01)
    for found in on_ranks(solid, size, lambda part: gh.lines_and_points(part, region, eps=2.01), axis):
        np.testing.assert_allclose(numbers(found), numbers(alone), rtol=1e-12, atol=1e-10)
    flat = [gh.box_region((2.0, 1.0), (19.0, 18.0))]
    for across in "abc":
        alone = gh.lines_and_points(solid, flat, eps=2, uniform_axis=across)
        run = on_ranks(
            solid, size, lambda part, across=across: gh.lines_and_points(part, flat, eps=2, uniform_axis=across), axis
        )
        for found in run:
            np.testing.assert_allclose(numbers(found), numbers(alone), rtol=1e-12, atol=1e-10)


def test_on_a_device_with_memory_of_its_own():
    field = noise((36, 34, 35))
    device = StrictDevice()
    there = replace(field, values=device.asarray(np.array(field.values)), device=device)
    solid, flat = [gh.box_region((2.0, 1.0, 3.0), (20.0, 18.0, 20.0))], [gh.box_region((2.0, 1.0), (19.0, 18.0))]
    for region in (solid, flat):
        alone = numbers(gh.lines_and_points(field, region, eps=2))
        np.testing.assert_allclose(numbers(gh.lines_and_points(there, region, eps=2)), alone, atol=1e-10)


def test_a_body_across_the_boundary_of_the_cell_is_whole():
    field = noise((36, 34, 35))
    moved = replace(field, values=np.roll(field.values, (-9, -5, -3), (0, 1, 2)))
    one = gh.lines_and_points(field, [gh.box_region((9.0, 8.0, 9.5), (26.0, 25.0, 26.5))], eps=2)
    other = gh.lines_and_points(moved, [gh.box_region((0.0, 3.0, 6.5), (17.0, 20.0, 23.5))], eps=2)
    np.testing.assert_allclose(numbers(other), numbers(one), rtol=1e-9, atol=1e-10)


def test_a_field_larger_than_memory_gives_the_same(tmp_path):
    field = noise((36, 34, 35))
    gh.write(field, tmp_path / "noise.h5")
    region = [gh.box_region((2.0, 1.0, 3.0), (20.0, 18.0, 20.0))]
    alone = gh.lines_and_points(field, region, eps=2)
    streamed = gh.read(tmp_path / "noise.h5", max_memory="2 GB")
    np.testing.assert_allclose(numbers(gh.lines_and_points(streamed, region, eps=2)), numbers(alone), atol=1e-10)


@settings(max_examples=5, deadline=None)
@given(a=st.floats(-3, 3), b=st.floats(-3, 3))
def test_excesses_are_linear_in_the_field(a, b):
    one = noise((40, 40, 1))
    other = replace(one, values=np.cos(np.arange(1600.0) ** 1.3).reshape(40, 40, 1))
    both = replace(one, values=a * one.values + b * other.values)
    region = [gh.Region([[3, 4], [23, 2], [26, 24], [5, 26]])]
    found = [numbers(gh.lines_and_points(field, region, eps=2)) for field in (one, other, both)]
    np.testing.assert_allclose(found[2], a * found[0] + b * found[1], atol=1e-9)


def test_cones_of_a_tetrahedron_against_a_sphere_of_directions():
    """Angles and first moments, against counting directions evenly spread over the sphere."""
    corners = np.array([[0.0, 0, 0], [3, 0.2, 0.1], [0.4, 2.5, -0.3], [0.9, 0.8, 2.2]])
    found = complex_of([gh.Region(corners)])
    n = 400_000
    z = 1 - (2 * np.arange(n) + 1) / n
    turned = np.arange(n) * np.pi * (3 - np.sqrt(5))
    directions = np.stack([np.sqrt(1 - z**2) * np.cos(turned), np.sqrt(1 - z**2) * np.sin(turned), z], axis=1)
    for point in range(4):
        edges = np.delete(found.points, point, 0) - found.points[point]
        inside = (directions @ np.linalg.inv(edges) > 0).all(axis=1)
        angle, moment = found.cone(0, (point,))
        assert angle == pytest.approx(inside.mean() * 4 * np.pi, abs=2e-3)
        assert moment == pytest.approx(directions[inside].sum(axis=0) * 4 * np.pi / n, abs=2e-3)
    assert found.bodies[0].size == pytest.approx(abs(np.linalg.det(corners[1:] - corners[0])) / 6)
    np.testing.assert_allclose(found.bodies[0].centroid, corners.mean(axis=0))


def test_a_reflex_corner_is_looked_at_from_inside():
    """An L: five corners convex, one of 270°, filled with 1 up to its lines: nothing left over."""
    values = np.zeros((90, 90, 1))
    values[4:85, 4:44] = 1.0
    values[4:44, 4:85] = 1.0
    field = gh.Field.from_array(values, np.diag([90, 90, 1.0]), boundary="o,o,p")
    shape = [[3.5, 3.5], [84.5, 3.5], [84.5, 43.5], [43.5, 43.5], [43.5, 84.5], [3.5, 84.5]]
    for around in (shape, shape[::-1]):
        found = gh.lines_and_points(field, [gh.Region(around, 1.0)], eps=4)
        assert [float(x.value) for x in (*found.lines, *found.points)] == pytest.approx([0.0] * 12, abs=1e-9)


# What is refused

PLATE = gh.Field.from_array(np.zeros((48, 48, 1)), np.diag([48, 48, 1.0]), boundary="o,o,p")
REFUSED = {
    "windows of half a line": (lambda: ([gh.Region([[1, 1], [45, 1], [1, 45]])], {"eps": 3.4}), "too short"),
    "points closer than two radii": (lambda: ([gh.box_region((4, 4), (24, 24))], {"eps": 4}), "two radii"),
    "an overlap": (lambda: ([gh.Region(SQUARE), gh.box_region((10, 10), (30, 30))], {"eps": 2}), "1 and 2 overlap"),
    "a cross": (lambda: ([gh.box_region((2, 6), (44, 10)), gh.box_region((4, 2), (8, 40))], {"eps": 2}), "overlap"),
    "one in the other": (lambda: ([gh.Region(SQUARE), gh.box_region((5, 5), (9, 9))], {"eps": 2}), "overlap"),
    "the same twice": (lambda: ([gh.Region(SQUARE), gh.Region(SQUARE[::-1])], {"eps": 2}), "overlap"),
    "nothing deep enough to fit": (lambda: ([gh.Region(SQUARE, "linear")], {"eps": 2}), "cannot be fitted"),
    "rho too small": (lambda: ([gh.Region(SQUARE)], {"eps": 2, "window_radius": 7}), "below 4 eps"),
    "outside an open cell": (lambda: ([gh.box_region((4, 4), (24, 60))], {"eps": 2}), "outside the cell"),
    "no region": (lambda: ([], {}), "No regions"),
    "crossed": (lambda: ([gh.Region([[0, 0], [20, 20], [20, 0], [0, 20]])], {}), "touches itself"),
    "flat": (lambda: ([gh.Region([[0, 0], [10, 0], [20, 0]])], {}), "itself|no area"),
    "twice": (lambda: ([gh.Region([[0, 0], [10, 0], [10, 10], [0, 0]])], {}), "twice"),
    "two corners": (lambda: ([gh.Region([[0, 0], [10, 0]])], {}), "three corners"),
    "not finite": (lambda: ([gh.Region([[0, 0], [10, 0], [10, np.nan]])], {}), "finite"),
    "reference in words": (lambda: ([gh.Region(SQUARE, "cubic")], {}), "cubic"),
    "two numbers": (lambda: ([gh.Region(SQUARE, (1.0, 2.0))], {}), "gradient"),
    "two and three": (lambda: ([gh.Region(SQUARE), gh.box_region((0,) * 3, (9,) * 3)], {}), "dimensions"),
    "no volume": (lambda: ([gh.Region([[0, 0, 0], [9, 0, 0], [9, 9, 0], [0, 9, 0]])], {}), "no volume"),
    "inside the hull": (
        lambda: ([gh.Region([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9], [1, 1, 1]])], {}),
        "no corner of the hull",
    ),
    "negative eps": (lambda: ([gh.Region(SQUARE)], {"eps": -1}), "positive"),
    "a point within a line": (
        lambda: ([gh.Region(SQUARE), gh.Region([[20, 10], [40, 4], [40, 30]])], {"eps": 2}),
        "split lines|eps below",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, words = REFUSED[case]
    with pytest.raises((InputError, KernelError), match=words) as refused:
        regions, options = make()
        gh.lines_and_points(PLATE, regions, **options)
    assert len(str(refused.value)) < 500 and str(refused.value).endswith(".")


def test_more_refusals():
    with pytest.raises(KernelError, match="two samples"):
        gh.lines_and_points(PLATE, [gh.box_region((1, 1), (46, 46))], eps=1.5)
    with pytest.raises(KernelError, match="largest that fits"):
        gh.lines_and_points(PLATE, [gh.box_region((1, 1), (9, 9))])
    periodic = gh.Field.from_array(np.zeros((48, 48, 1)), np.diag([48, 48, 1.0]))
    with pytest.raises(InputError, match="periodic images"):
        gh.lines_and_points(periodic, [gh.box_region((1, 1), (46, 46))], eps=2)
    boxes = [gh.box_region((0,) * 3, (9,) * 3), gh.box_region((5,) * 3, (19,) * 3)]
    with pytest.raises(InputError, match="overlap"):
        complex_of(boxes)
    assert len(complex_of([boxes[0], gh.box_region((9, 0, 0), (15, 9, 9))]).features[0]) == 12


def test_the_uncertainty_covers_what_a_narrow_window_leaves():
    index = np.indices((61, 60, 1))
    field = gh.Field.from_array((-1.0) ** index.sum(axis=0), np.diag([61, 60, 1.0]), boundary="o,o,p")
    for eps in (2.5, 3.0, 4.0):
        found = gh.lines_and_points(field, [gh.box_region((-0.5, -0.5), (60.5, 59.5))], eps=eps)
        for point, expected in zip(found.points, (0.25, 0.25, -0.25, -0.25), strict=True):
            error = abs(float(point.value) - expected)
            assert error < point.value.uncertainty < 1e4 * max(error, 1e-9)


def test_the_uncertainty_of_points_holds_what_their_lines_miss():
    """Edges and corners of f(x) f(y) f(z) are products of the ends of f, whose width all windows miss."""
    h, n, std = 0.5, 80, 0.6
    x = (np.arange(n) - n / 2 + 0.5) * h
    ends, carried = (-14.0, 13.0), (0.4, -0.25)
    inside = np.subtract(*(erf((x - end) / (std * 2**0.5)) / 2 for end in ends))
    packets = (np.exp(-(((x - end) / std) ** 2) / 2) / (std * (2 * np.pi) ** 0.5) for end in ends)
    f = inside + sum(q * packet for q, packet in zip(carried, packets, strict=True))
    values = f[:, None, None] * f[None, :, None] * f[None, None, :]
    field = gh.Field.from_array(values, n * h * np.eye(3), boundary="open", origin=(x[0],) * 3)
    found = gh.lines_and_points(field, [gh.box_region((ends[0],) * 3, (ends[1],) * 3, reference=1.0)])
    for feature in (*found.lines, *found.points):
        corners = np.array(feature.corners)
        same = np.ptp(corners, axis=0) == 0
        expected = np.prod([carried[ends.index(end)] for end in corners[0][same]])
        assert abs(float(feature.value) - expected) < 1.1 * feature.value.uncertainty < 10


@pytest.mark.parametrize(("width", "beyond", "fitted"), [(1.0, 0.5, False), (1.0, -0.7, True), (2.0, 0.3, False)])
def test_corners_of_a_box_with_broad_faces(width, beyond, fitted):
    """A product of blurred boxes that end `beyond` their faces: δ, δ² and δ³ on faces, edges and corners, in V_ref.

    Spheres miss (3 π/4) ∫ t² R of the faces at each corner, cylinders ∫ t² R/ρ at each edge: added back, and so is
    what the breadth of the edges, f(x) f(y), leaves at the corners.
    """
    shape, low, size = np.array([72, 76, 80]), np.array([18.0, 19.0, 20.0]), np.array([36.0, 38.0, 40.0])

    def blurred(axis):
        x = np.arange(shape[axis])
        rise = 1 + erf((x - low[axis] + beyond) / (np.sqrt(2) * width))
        return rise * (1 + erf((low[axis] + size[axis] + beyond - x) / (np.sqrt(2) * width))) / 4

    values = np.einsum("i,j,k->ijk", *(blurred(axis) for axis in range(3)))
    corners = [low + size * np.array(ends) for ends in np.ndindex(2, 2, 2)]
    region = gh.Region(corners, reference="constant" if fitted else 1.0)
    found = gh.lines_and_points(
        gh.Field.from_array(values, np.diag(shape * 1.0), boundary="open"), [region], eps=2.4 if fitted else 4.0
    )
    second = width**2 * beyond + beyond**3 / 3  # ∫ t² R across a face
    for order, excesses in enumerate((found.points, found.lines, found.faces)):
        for excess in excesses:
            value, uncertainty = excess.value.value, excess.value.uncertainty
            assert value == pytest.approx(beyond ** (3 - order), abs=2 * uncertainty + 1e-6)
            assert abs(value - beyond ** (3 - order)) < (1e-3, 1e-4, 1e-6)[order] * abs(second)
            assert uncertainty < (0.02, 1e-3, 1e-5)[order] * abs(second)
    assert abs(found.closure.value) < 0.05


@pytest.mark.parametrize(("eps", "radius"), [(2.4, None), (2.2, 12.0)])
@pytest.mark.parametrize(("angle", "seed"), [(90, 0), (70, 1), (116, 2)])
def test_corners_of_a_plate_with_broad_lines(eps, radius, angle, seed):
    """Two packets beside each line, one near each corner: ∫ t² R/2ρ + ∫ t⁴ R/8ρ³ is added back, -∫ t⁶ R/16ρ⁵ left.

    The lines end softly, as much beyond their points as before them.
    """
    rng, n, h = np.random.default_rng(seed), (120, 124), 0.5
    a, b = np.array([1.0, 0.0]), np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
    index = np.indices(n)
    r = h * (index[0][..., None] * a + index[1][..., None] * b)
    corners = np.array([x * a + y * b for x, y in ((10.2, 9.7), (49.6, 9.7), (49.6, 51.8), (10.2, 51.8))])
    values, carried = np.zeros(n), rng.normal(size=4)
    sixth, excess = np.zeros(4), np.zeros(4)
    for k, (start, end) in enumerate(zip(corners, np.roll(corners, -1, axis=0), strict=True)):
        length = np.linalg.norm(end - start)
        along = (end - start) / length
        u, t = (r - start) @ along, (r - start) @ (-along[1], along[0])
        for charge, off, std in zip(
            rng.normal(size=2), rng.uniform(-1.2, 1.2, 2), rng.uniform(0.9, 1.3, 2), strict=True
        ):
            packet = charge * np.exp(-(((t - off) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
            values += packet * (erf(u / 0.9) - erf((u - length) / 0.9)) / 2
            excess[k] += charge
            sixth[k] += charge * (off**6 + 15 * off**4 * std**2 + 45 * off**2 * std**4 + 15 * std**6)
        away = r - start - rng.uniform(-1, 1, 2)
        values += carried[k] * np.exp(-(away**2).sum(axis=-1) / 2) / (2 * np.pi)
    cell = np.zeros((3, 3))
    cell[0, :2], cell[1, :2], cell[2, 2] = h * n[0] * a, h * n[1] * b, 1.0
    field = gh.Field.from_array(values[:, :, None], cell, boundary="o,o,p")
    found = gh.lines_and_points(field, [gh.Region(corners)], eps=eps, window_radius=radius)
    rho, ratio = found.window_radius, eps / 2 / found.window_radius
    for line in found.lines:
        middles = (corners + np.roll(corners, -1, axis=0)) / 2
        k = int(np.argmin(np.linalg.norm(middles - np.mean(line.corners, axis=0), axis=1)))
        assert float(line.value) == pytest.approx(excess[k], abs=1e-4)
    for point in found.points:
        k = int(np.argmin(np.linalg.norm(corners - point.corners[0], axis=1)))
        left = -(sixth[k] + sixth[k - 1]) * (1 + 15 * ratio**2) / (16 * rho**5)
        error = float(point.value) - carried[k]
        assert error == pytest.approx(left, rel=0.3, abs=5e-6)
        assert abs(error) < point.value.uncertainty < 15 * abs(error) + 5e-4


def packets_on_lines(corners, seed):
    """A field of two packets beside each line and one near each point, with the region and what lines and points carry.

    Lines end softly, as much beyond their points as before them. Sixth moments about the lines are of Laguerre's
    polynomial: off⁶ + 18 off⁴ std² + 72 off² std⁴ + 48 std⁶.
    """
    rng, h = np.random.default_rng(seed), 0.65
    shape = np.ceil((corners.max(axis=0) + 6) / h).astype(int)
    r = h * np.moveaxis(np.indices(shape), 0, -1)
    region, values = gh.Region(corners), np.zeros(shape)
    found = complex_of([region])
    carried, sixth = {}, dict.fromkeys(found.features[0], 0.0)
    for line in found.features[1]:
        start, end = found.at(line)
        length, carried[line] = np.linalg.norm(end - start), 0.0
        along = (end - start) / length
        u = (r - start) @ along
        inside = (erf(u / 0.9) - erf((u - length) / 0.9)) / 2
        for charge, std in zip(rng.normal(size=2), rng.uniform(0.9, 1.2, 2), strict=True):
            off = np.cross(along, rng.uniform(-1, 1, 3))
            square = ((r - start - off) ** 2).sum(axis=-1) - u**2
            values += charge * inside * np.exp(-square / (2 * std**2)) / (2 * np.pi * std**2)
            carried[line] += charge
            far = off @ off
            for point in line:
                sixth[point,] += charge * (far**3 + 18 * far**2 * std**2 + 72 * far * std**4 + 48 * std**6)
    for point in found.features[0]:
        carried[point] = rng.normal()
        away = ((r - found.at(point)[0] - rng.uniform(-1, 1, 3)) ** 2).sum(axis=-1)
        values += carried[point] * np.exp(-away / 2) / (2 * np.pi) ** 1.5
    return gh.Field.from_array(values, np.diag(shape * h), boundary="open"), region, carried, sixth


BODIES = {
    "box": np.array(list(np.ndindex(2, 2, 2))) * [25.0, 26.0, 24.0] + 6,
    "wedge": np.array([[*p, z] for p in ((6.0, 6.0), (42.0, 6.0), (24.0, 37.0)) for z in (6.0, 33.0)]),
    "oblique": np.array(list(np.ndindex(2, 2, 2))) @ [[26.0, 0, 0], [8, 25, 0], [-4, 5, 25]] + [10.0, 6, 6],
}


@pytest.mark.parametrize("body", BODIES)
def test_corners_of_bodies_with_broad_lines(body):
    """∫∫ r² R/2ρ + ∫∫ r⁴ R/8ρ³ of each line is added back at its points, -∫∫ r⁶ R/16ρ⁵ is left."""
    corners = BODIES[body]
    field, region, carried, sixth = packets_on_lines(corners, 3)
    found = gh.lines_and_points(field, [region])
    rho, ratio = found.window_radius, found.eps / 2 / found.window_radius
    keys = {tuple(corner): k for k, corner in enumerate(complex_of([region]).points.tolist())}
    for line in found.lines:
        expected = carried[tuple(sorted(keys[corner] for corner in line.corners))]
        assert float(line.value) == pytest.approx(expected, abs=5e-5)
    for point in found.points:
        key = (keys[point.corners[0]],)
        error, left = float(point.value) - carried[key], -sixth[key] * (1 + 15 * ratio**2) / (16 * rho**5)
        assert error == pytest.approx(left, rel=0.4, abs=5e-5)
        assert abs(error) < point.value.uncertainty < 15 * abs(error) + 2e-3  # where 0.3 or more is added back
