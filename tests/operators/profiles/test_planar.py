"""Planar averages against analytic fields, direct Fourier sums and NumPy means."""

import numpy as np
import pytest
from ranks import on_ranks

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError
from gpuhomog.operators.profiles.planar import family_bins, parse_planes

TRICLINIC = np.array([[4.1, 0.3, -0.2], [1.1, 3.7, 0.5], [-0.6, 0.9, 5.2]])


def smooth_field(shape, cell, seed=1, order="C", dtype=np.float64, modes=2):
    """A band-limited random field: its Fourier coefficients, and its samples."""
    rng = np.random.default_rng(seed)
    fractions = np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij")
    values = np.full(shape, 0.3)
    coefficients = {(0, 0, 0): 0.3 + 0j}
    for h in range(-modes, modes + 1):
        for k in range(-modes, modes + 1):
            for m in range(-modes, modes + 1):
                if (h, k, m) <= (0, 0, 0):
                    continue
                c = complex(*rng.normal(size=2))
                coefficients[h, k, m], coefficients[-h, -k, -m] = c, c.conjugate()
                phase = 2 * np.pi * (h * fractions[0] + k * fractions[1] + m * fractions[2])
                values += 2 * (c.real * np.cos(phase) - c.imag * np.sin(phase))
    return coefficients, gh.Field.from_array(np.asarray(values, order=order, dtype=dtype), cell)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axis_planes_are_numpy_means(axis, order):
    rng = np.random.default_rng(3)
    values = np.asarray(rng.normal(size=(5, 6, 7)), order=order)
    profile = gh.planar_average(gh.Field.from_array(values, TRICLINIC), axis)
    others = tuple(i for i in range(3) if i != axis)
    np.testing.assert_allclose(profile.values, values.mean(axis=others), rtol=0, atol=1e-15)
    assert profile.planes == "abc"[axis]


@pytest.mark.parametrize("axis", ["a", "b", "c"])
def test_axis_positions_are_distances_along_the_normal(axis):
    """Independent route: project every grid point on the normal; a plane's points share one distance."""
    field = gh.Field.from_array(np.ones((4, 5, 6)), TRICLINIC)
    profile = gh.planar_average(field, axis)
    i = "abc".index(axis)
    points = np.stack(np.meshgrid(*(np.arange(n) / n for n in (4, 5, 6)), indexing="ij"), -1) @ TRICLINIC
    distance = np.moveaxis(points @ profile.normal, i, 0).reshape(field.grid.shape[i], -1)
    np.testing.assert_allclose(distance, np.broadcast_to(profile.position[:, None], distance.shape), atol=1e-13)
    np.testing.assert_allclose(profile.length * profile.area, abs(np.linalg.det(TRICLINIC)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("planes", [(1, 1, 0), (1, -1, 2), (0, 1, 1), (2, 1, -1), (1, 1, 1), (-3, 0, 1)])
def test_family_against_the_analytic_fourier_series(planes, order):
    coefficients, field = smooth_field((22, 23, 24), TRICLINIC, order=order)
    profile = gh.planar_average(field, planes)
    wavevector = np.array(planes) @ (2 * np.pi * np.linalg.inv(TRICLINIC).T)
    exact = sum(
        (c * np.exp(1j * n * np.linalg.norm(wavevector) * profile.position)).real
        for n in range(-2, 3)
        if (c := coefficients.get(tuple(n * i for i in planes))) is not None
    )
    np.testing.assert_allclose(profile.values, exact, rtol=0, atol=3e-13)
    np.testing.assert_allclose(profile.length, 2 * np.pi / np.linalg.norm(wavevector), rtol=1e-14)
    np.testing.assert_allclose(profile.normal, wavevector / np.linalg.norm(wavevector), atol=1e-14)


def test_family_against_quadrature_in_the_plane():
    """Mean over points scattered evenly in the plane n·r = x of a field known everywhere, in real space."""
    fractions = np.meshgrid(*(np.arange(n) / n for n in (30, 32, 36)), indexing="ij")

    def density(s):
        return np.exp(
            np.cos(2 * np.pi * s[0]) + 0.5 * np.sin(2 * np.pi * (s[1] + s[2])) - 0.4 * np.cos(2 * np.pi * s[2])
        )

    profile = gh.planar_average(gh.Field.from_array(density(fractions), TRICLINIC), "1,-1,2")
    # vectors of the plane lattice h s1 + k s2 + l s3 = 0: (1,1,0), (0,2,1); one vector across: (1,0,0)
    u, v = np.meshgrid(np.arange(64) / 64, np.arange(64) / 64, indexing="ij")
    for x, value in zip(profile.position[::3], profile.values[::3], strict=True):
        t = x / profile.length
        exact = density((t + u, u + 2 * v, v)).mean()
        assert abs(value - exact) < 1e-8


@pytest.mark.parametrize(("planes", "axis"), [((1, 0, 0), 0), ("0 1 0", 1), ("001", 2)])
def test_a_family_of_one_index_is_its_axis(planes, axis):
    rng = np.random.default_rng(5)
    field = gh.Field.from_array(rng.normal(size=(6, 7, 8)), TRICLINIC)
    family, plain = gh.planar_average(field, planes), gh.planar_average(field, axis)
    np.testing.assert_array_equal(family.values, plain.values)
    np.testing.assert_array_equal(family.normal, plain.normal)
    assert family.length == plain.length


@pytest.mark.parametrize("planes", [(0, 0, 1), (1, 1, 0), (1, -1, 2)])
def test_opposite_normal_reverses_the_profile(planes):
    _, field = smooth_field((16, 18, 20), TRICLINIC)
    there = gh.planar_average(field, planes)
    back = gh.planar_average(field, tuple(-i for i in planes))
    np.testing.assert_allclose(
        back.values, there.values[(-np.arange(len(there.values))) % len(there.values)], atol=1e-12
    )
    np.testing.assert_allclose(back.normal, -there.normal, atol=1e-15)


@pytest.mark.parametrize("planes", [(1, 1, 0), (1, -1, 2), 0, 1, 2])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", [2, 3, 5, 20])
def test_slabs_give_what_the_whole_gives(planes, axis, size):
    rng = np.random.default_rng(7)
    field = gh.Field.from_array(rng.normal(size=(14, 15, 16)), TRICLINIC)
    whole = gh.planar_average(field, planes)
    for found in on_ranks(field, size, lambda part: gh.planar_average(part, planes), axis):
        np.testing.assert_allclose(found.values, whole.values, rtol=0, atol=1e-14)


def test_float32_values_are_summed_in_double():
    values = np.full((64, 64, 64), 0.1, dtype=np.float32) + np.float32(1000)
    profile = gh.planar_average(gh.Field.from_array(values, np.eye(3)), 0)
    assert abs(profile.values[0] - float(values[0, 0, 0])) < 1e-10
    family = gh.planar_average(gh.Field.from_array(values, np.eye(3)), "110")
    assert abs(family.values[3] - float(values[0, 0, 0])) < 1e-9


@pytest.mark.parametrize("planes", [(1, 1, 0), (1, -1, 2), (2, 1, 1), (0, 3, 1)])
def test_bins_hold_the_phase_of_every_point(planes):
    grid = gh.Grid((6, 8, 10), TRICLINIC)
    strides, n_bins = family_bins(grid, planes)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    points = (index / np.array(grid.shape)) @ TRICLINIC
    phase = points @ (np.array(planes) @ grid.reciprocal)
    binned = (index @ np.array(strides)) % n_bins * (2 * np.pi / n_bins)
    np.testing.assert_allclose(np.exp(1j * phase), np.exp(1j * binned), atol=1e-12)


def test_common_divisor_is_divided_out_with_a_warning():
    _, field = smooth_field((16, 18, 20), TRICLINIC)
    with pytest.warns(AccuracyWarning, match=r"\(2 2 0\) are taken as \(1 1 0\)"):
        divided = gh.planar_average(field, (2, 2, 0))
    np.testing.assert_array_equal(divided.values, gh.planar_average(field, (1, 1, 0)).values)


def test_families_along_an_open_axis_are_legal_and_across_it_refused():
    field = gh.Field.from_array(np.random.default_rng(1).normal(size=(12, 12, 12)), TRICLINIC, boundary="p,p,o")
    periodic = gh.Field.from_array(field.values, TRICLINIC)
    np.testing.assert_array_equal(gh.planar_average(field, "110").values, gh.planar_average(periodic, "110").values)
    assert gh.planar_average(field, "001").boundary == "open"
    with pytest.raises(InputError, match=r"Planes \(1 1 1\) cut axis c, whose boundary is open"):
        gh.planar_average(field, "111")
    with pytest.raises(InputError, match="open boundary: its profile runs along"):
        gh.planar_average(field, (0, 0, -1))


@pytest.mark.parametrize(
    ("planes", "message"),
    [
        ((0, 0, 0), "have no normal"),
        (3, "does not exist"),
        (True, "not understood"),
        ("d", "not understood"),
        ("11", "not understood"),
        ((1, 1), "not understood"),
        ((1, 1, 0.5), "not understood"),
        (None, "not understood"),
        ((5, 1, 0), "too coarse for the planes"),
    ],
)
def test_bad_planes_are_refused(planes, message):
    field = gh.Field.from_array(np.ones((12, 12, 12)), np.eye(3))
    with pytest.raises(InputError, match=message):
        gh.planar_average(field, planes)


def test_planes_are_read_from_words():
    assert parse_planes("1-12") == (1, -1, 2)
    assert parse_planes(" C ") == 2
    assert parse_planes(np.int64(1)) == 1
    assert parse_planes(np.array([1, 0, 1])) == (1, 0, 1)


def test_profile_carries_unit_quantity_and_history():
    field = gh.Field.from_array(np.ones((8, 8, 8)), 4 * np.eye(3), quantity="electrostatic_potential")
    profile = gh.planar_average(field, "110")
    assert (profile.unit, profile.quantity, profile.planes) == ("V", "electrostatic_potential", "(1 1 0)")
    assert profile.provenance[-1] == {"step": "planar average", "planes": "(1 1 0)", "harmonics": 3}
