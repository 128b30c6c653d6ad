"""The bundled slab is what its README says: the original, limited to few plane waves along a and b."""

import json
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pytest

import gpuhomog as gh

DATA = Path(__file__).parent / "data"
EXAMPLES = files("gpuhomog") / "examples"
QUANTITIES = ("charge_density", "electron_potential_energy")


@pytest.fixture(scope="module", params=QUANTITIES)
def pair(request):
    """(bundled, original) fields of one quantity."""
    name = f"NaCl_slab_{request.param}"
    original = gh.read(DATA / f"{name}.cube.gz", quantity=request.param, boundary="p,p,o")
    return gh.read(str(EXAMPLES / f"{name}.h5")), original


def limited(values, n):
    """The lowest plane waves along a and b, by a plain Fourier sum, at n x n points of each plane."""
    keep = np.arange(-((n - 1) // 2), (n - 1) // 2 + 1)
    for axis in (0, 1):
        points = values.shape[axis]
        away = np.exp(-2j * np.pi * np.outer(keep, np.arange(points)) / points) / points
        back = np.exp(2j * np.pi * np.outer(np.arange(n), keep) / n)
        values = np.moveaxis(np.tensordot(back @ away, values, axes=(1, axis)), 0, axis)
    return values.real


def test_bundle_is_the_original_with_fewer_plane_waves(pair):
    bundled, original = pair
    again = limited(original.values, 12)
    assert bundled.grid.shape == (12, 12, 352)
    np.testing.assert_allclose(bundled.values, again, rtol=0, atol=1e-12 * np.abs(again).max())
    np.testing.assert_array_equal(bundled.grid.cell, original.grid.cell)
    assert bundled.grid.boundary == original.grid.boundary == ("periodic", "periodic", "open")
    assert bundled.structure.formula == original.structure.formula == "Cl6Na6"
    np.testing.assert_allclose(bundled.structure.positions, original.structure.positions, atol=1e-12)
    assert (bundled.quantity, bundled.unit) == (original.quantity, original.unit)


def test_planar_averages_are_the_originals(pair):
    bundled, original = pair
    plain = original.values.mean(axis=(0, 1))
    np.testing.assert_allclose(gh.planar_average(bundled, "c").values, plain, rtol=0, atol=1e-13 * np.ptp(plain))


def test_bundle_is_small_and_says_where_it_comes_from():
    assert sum((EXAMPLES / f"NaCl_slab_{q}.h5").stat().st_size for q in QUANTITIES) < 1_000_000
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(word in text for word in ("GPAW", "BSD-3-Clause", "5.832", *QUANTITIES))


def test_bundle_names_no_folder_of_its_maker():
    for quantity in QUANTITIES:
        with h5py.File(str(EXAMPLES / f"NaCl_slab_{quantity}.h5")) as file:
            steps = json.loads(file["provenance"].asstr()[()])
        assert steps
        for step in steps:
            texts = [text for text in step.values() if isinstance(text, str)]
            assert not any("/" in text or "\\" in text for text in texts), texts
