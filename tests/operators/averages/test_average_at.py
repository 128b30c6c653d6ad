"""Means and spreads about points against direct Fourier sums, and against the average on the whole grid."""

import numpy as np
import pytest
from planes_read import planes_read
from ranks import on_ranks, together

import gpuhomog as gh
from gpuhomog.errors import InputError, KernelError
from gpuhomog.operators.averages import at_points
from gpuhomog.streaming import memory

ORTHOGONAL = np.diag([4.0, 5.0, 6.0])
ORIGIN = np.array([0.3, -0.2, 1.0])
pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")

KERNELS = {
    "gaussian": gh.Gaussian(1.7),
    "ball": gh.Ball(1.5),
    "wide ball": gh.Ball(3.0),
    "power law": gh.PowerLaw(1.1),
    "box": gh.Box((1.37, 2.2, 0.9)),
    "ball, then gaussian": [gh.Ball(1.0), gh.Gaussian(0.7)],
}


def transform_of(kernel, k, modes, lengths):
    if isinstance(kernel, list):
        return transform_of(kernel[0], k, modes, lengths) * transform_of(kernel[1], k, modes, lengths)
    if isinstance(kernel, gh.Box):
        along = [kernel.along(axis).transform(2 * np.pi * modes[:, axis] / lengths[axis]) for axis in range(3)]
        return np.prod(along, axis=0)
    return kernel.transform(np.linalg.norm(k, axis=1))


def by_modes(values, cell, kernel, places):
    """Σ_k f~(k) mu^(k) e^{ik (r - origin)} and the spread from that of the squares; odd counts only."""
    modes = np.stack(np.meshgrid(*[np.fft.fftfreq(n, 1 / n) for n in values.shape], indexing="ij"), -1).reshape(-1, 3)
    k = modes @ (2 * np.pi * np.linalg.inv(cell).T)
    weights = transform_of(kernel, k, modes, np.linalg.norm(cell, axis=1))
    waves = np.exp(1j * (places - ORIGIN) @ k.T)
    mean, square = (
        (waves @ (weights * np.fft.fftn(v).ravel() / v.size)).real for v in (values, (values - values.mean()) ** 2)
    )
    return mean, np.sqrt(np.maximum(square - (mean - values.mean()) ** 2, 0))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", ["orthogonal", "triclinic"])
@pytest.mark.parametrize("order", "CF")
def test_is_the_sum_of_modes_between_grid_points_too(device, triclinic, rng, name, shape, order):
    cell, kernel = ORTHOGONAL if shape == "orthogonal" else triclinic, KERNELS[name]
    values = np.array(rng.standard_normal((15, 11, 13)) + 2, order=order)
    field = gh.Field.from_array(values, cell, device=device, origin=ORIGIN)
    places = np.array([[0.3, -0.2, 1.0], [1.234, 2.1, 0.77], [-3.0, 40.0, 5.5]])  # the last one in another cell
    for some in (places[1], places):
        found = gh.average_at(field, kernel, some)
        mean, spread = by_modes(values, cell, kernel, np.atleast_2d(some))
        np.testing.assert_allclose(found.values, mean, rtol=0, atol=3e-14)
        np.testing.assert_allclose(found.spread, spread, rtol=0, atol=1e-13)


def test_a_ball_is_as_exact_by_chords_as_by_all_modes(device, triclinic, rng):
    values = rng.standard_normal((15, 11, 13))
    field = gh.Field.from_array(values, triclinic, device=device)
    ways = {}
    for n in (1, 12):
        found = gh.average_at(field, gh.Ball(0.8), rng.uniform(-5, 5, (n, 3)))
        mean, _ = by_modes(values, triclinic, gh.Ball(0.8), found.points + ORIGIN)
        np.testing.assert_allclose(found.values, mean, rtol=0, atol=1e-14)
        ways[n] = found.provenance[-1]["way"]
    assert ways == {1: "chords", 12: "all modes"}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("boundary", ["p,p,p", "p,p,o", "o,o,o"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_grid_points_it_is_the_average_there(device, rng, name, boundary, dtype):
    """Even counts, whose shortest waves have no sign; values beyond open ends; either precision."""
    cell = np.array([[8.0, 0, 0], [-4.0, 7, 0], [0.0, 0, 9.0]])
    values = rng.standard_normal((12, 10, 14)).astype(dtype) + dtype(3)
    field = gh.Field.from_array(values, cell, device=device, boundary=boundary)
    outside = 0.0 if boundary == "p,p,p" else 2.5
    mean, variance = gh.average_and_variance(field, KERNELS[name], outside=outside)
    index = np.array([[0, 0, 0], [11, 4, 13], [5, 9, 6]])
    found = gh.average_at(field, KERNELS[name], index / values.shape @ cell, outside=outside)
    at = tuple(index.T)
    np.testing.assert_allclose(found.values, mean.to_host()[at], rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.spread**2, variance.to_host()[at], rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["gaussian", "box"])
def test_between_points_of_even_grids_and_of_cells_it_is_the_coarse_average(rng, name):
    values = rng.standard_normal((12, 10, 14))
    field = gh.Field.from_array(values, np.diag([8.0, 7, 9]))
    for sampling in ("bandlimited", "cell"):
        coarse = gh.average(field, KERNELS[name], spacing=(1.7, 1.0, 1.9), sampling=sampling)
        index = np.array([[1, 2, 3], [4, 5, 1]])
        places = index / coarse.grid.shape @ coarse.grid.cell
        found = gh.average_at(field, KERNELS[name], places, sampling=sampling)
        np.testing.assert_allclose(found.values, coarse.values[tuple(index.T)], rtol=0, atol=1e-14)


def test_a_step_has_the_spread_of_two_values():
    """Half of the window at +1, half at -1, and a constant field, which has none."""
    values = np.broadcast_to(np.where(np.arange(64) < 32, 1.0, -1.0), (4, 4, 64))
    field = gh.Field.from_array(values, np.diag([4.0, 4, 64]), unit="V", quantity="electrostatic_potential")
    found = gh.average_at(field, gh.Box(8.0), [[0, 0, 31.5], [0, 0, 16.0]], sampling="cell")
    np.testing.assert_allclose(found.values, [0, 1], atol=1e-14)
    np.testing.assert_allclose(found.spread, [1, 0], atol=1e-7)
    assert "spread 1 V" in str(found) and found.unit == "V"


@pytest.mark.parametrize("name", ["gaussian", "ball", "wide ball", "power law", "box"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_on_ranks(triclinic, rng, name, axis):
    field = gh.Field.from_array(rng.standard_normal((5, 7, 3)), triclinic)
    places = [[0.1, 0.2, 0.3], [1.0, 2.0, 1.5]]
    alone = gh.average_at(field, KERNELS[name], places)
    for found in on_ranks(field, 6, lambda part: gh.average_at(part, KERNELS[name], places), axis):
        np.testing.assert_allclose(found.values, alone.values, rtol=0, atol=1e-14)
        np.testing.assert_allclose(found.spread, alone.spread, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", ["orthogonal", "triclinic"])
def test_of_a_file_read_by_planes(tmp_path, triclinic, rng, monkeypatch, name, shape):
    cell, counts = (ORTHOGONAL, (12, 9, 10)) if shape == "orthogonal" else (triclinic, (13, 9, 11))
    gh.write(gh.Field.from_array(rng.standard_normal(counts) + 5, cell), tmp_path / "field.h5")
    monkeypatch.setattr(memory, "CHUNK_BYTES", 5 * 90 * 8)
    array, field = gh.read(tmp_path / "field.h5"), gh.read(tmp_path / "field.h5", max_memory="4GB")
    read = planes_read(field)
    places = [[0.1, 0.2, 0.3], [1.0, 2.0, 1.5]]
    found, known = (gh.average_at(one, KERNELS[name], places) for one in (field, array))
    np.testing.assert_allclose(found.values, known.values, rtol=0, atol=2e-14)
    np.testing.assert_allclose(found.spread, known.spread, rtol=0, atol=1e-13)
    assert found.provenance[-1]["way"] == "all modes" or read() - counts[0] in (4, 5)  # for a number near the mean


@pytest.mark.parametrize("name", ["ball", "power law"])
def test_of_a_file_that_ranks_read_by_planes(tmp_path, triclinic, rng, name):
    gh.write(gh.Field.from_array(rng.standard_normal((7, 9, 11)) + 5, triclinic), tmp_path / "field.h5")
    places = [[0.1, 0.2, 0.3], [1.0, 2.0, 1.5]]
    known = gh.average_at(gh.read(tmp_path / "field.h5"), KERNELS[name], places)

    def work(comm):
        return gh.average_at(gh.read(tmp_path / "field.h5", comm=comm, max_memory="4GB"), KERNELS[name], places)

    for found in together(3, work):
        np.testing.assert_allclose(found.values, known.values, rtol=0, atol=2e-14)
        np.testing.assert_allclose(found.spread, known.spread, rtol=0, atol=1e-13)


def test_the_same_bits_on_any_number_of_ranks(tmp_path, triclinic, rng):
    gh.write(gh.Field.from_array(rng.standard_normal((9, 7, 5)), triclinic), tmp_path / "field.h5")
    field = gh.read(tmp_path / "field.h5", reproducible=True)
    alone = gh.average_at(field, gh.Ball(0.8), [0.1, 0.2, 0.3])
    assert alone.provenance[-1]["way"] == "chords"
    for found in on_ranks(field, 4, lambda part: gh.average_at(part, gh.Ball(0.8), [0.1, 0.2, 0.3])):
        assert found.values[0] == alone.values[0] and found.spread[0] == alone.spread[0]


def test_atoms_are_points(rng):
    atoms = gh.Structure([12, 8, 12], [[0.0, 0, 0], [1, 2, 3], [2, 2, 0.5]])
    field = gh.Field.from_array(rng.standard_normal((6, 5, 7)), ORTHOGONAL, structure=atoms)
    found = gh.average_at(field, gh.Gaussian(1.0), "Mg")
    known = gh.average_at(field, gh.Gaussian(1.0), [[0.0, 0, 0], [2, 2, 0.5]])
    assert found.atoms == ("Mg 1", "Mg 3") and known.atoms == ()
    np.testing.assert_array_equal(found.values, known.values)
    assert gh.average_at(field, gh.Gaussian(1.0), "ions").atoms == ("Mg 1", "O 2", "Mg 3")
    many = gh.average_at(field, gh.Gaussian(1.0), rng.uniform(0, 4, (100, 3)))
    assert "mean of all" in str(many) and f"{many.values.max():.8g}, spread" in str(many)


def test_gauss_points_are_enough_with_half_of_those_beyond_the_phase(rng, triclinic, monkeypatch):
    """The margin: halved, the error is small still; without it it is seen."""
    field = gh.Field.from_array(rng.standard_normal((31, 27, 35)), triclinic)
    full = gh.average_at(field, gh.Ball(1.2), np.zeros((9, 3))).values[0]
    errors = []
    for extra, by_root in ((8, 4), (4, 2), (0, 0)):
        monkeypatch.setattr(at_points, "EXTRA_NODES", extra)
        monkeypatch.setattr(at_points, "EXTRA_BY_ROOT", by_root)
        found = gh.average_at(field, gh.Ball(1.2), np.zeros(3))
        assert found.provenance[-1]["way"] == "chords"
        errors.append(abs(found.values[0] - full))
    assert errors[0] < 1e-15 and errors[1] < 1e-11 and errors[2] > 1e-9


@pytest.mark.parametrize("boundary", ["p,p,p", "p,p,o"])
def test_modes_of_two_signs_are_those_of_the_average_however_few_points(triclinic, rng, boundary):
    """On an even oblique grid mode N/2 has two wavevectors: all ways give what the coarse average gives."""
    values = rng.standard_normal((12, 10, 14))
    field = gh.Field.from_array(values, triclinic, boundary=boundary)
    coarse = gh.average(field, gh.Ball(0.8), spacing=field.grid.lengths / [5, 7, 9])
    index = np.array([[1, 2, 3], [4, 5, 1]])
    places = index / [5, 7, 9] @ triclinic
    for some in (slice(1, 2), slice(0, 2)):
        found = gh.average_at(field, gh.Ball(0.8), places[some])
        np.testing.assert_allclose(found.values, coarse.values[tuple(index[some].T)], rtol=0, atol=1e-14)


def of(**given):
    return gh.Field.from_array(np.ones((6, 5, 7)), ORTHOGONAL, **given)


REFUSED = {
    "not three": (lambda: gh.average_at(of(), gh.Gaussian(1), [1.0, 2.0]), InputError, "three finite numbers"),
    "not finite": (lambda: gh.average_at(of(), gh.Gaussian(1), [1.0, 2.0, np.inf]), InputError, "three finite"),
    "no atoms": (lambda: gh.average_at(of(), gh.Gaussian(1), "Mg"), InputError, "came without atoms"),
    "no such atom": (
        lambda: gh.average_at(of(structure=gh.Structure([8], [[0.0, 0, 0]])), gh.Gaussian(1), "Mg"),
        InputError,
        "the atoms are O; name one",
    ),
    "outside": (
        lambda: gh.average_at(of(boundary="p,p,o"), gh.Gaussian(1), [0, 0, -3.0]),
        InputError,
        "outside the cell along the open axis c",
    ),
    "cells": (lambda: gh.average_at(of(), gh.Ball(2.0), [0, 0, 0], sampling="cell"), KernelError, "no exact form"),
    "no kernel": (lambda: gh.average_at(of(), "ball", [0, 0, 0]), KernelError, "give an averaging kernel"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    make, kind, words = REFUSED[case]
    with pytest.raises(kind, match=words) as refused:
        make()
    assert str(refused.value).endswith(".")
