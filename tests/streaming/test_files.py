"""Every kind of file, read some planes at a time, against the same file read whole."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh

DATA = Path(__file__).parents[1] / "data"
FILES = {
    "NaCl_slab_charge_density.cube.gz": {"quantity": "charge_density"},
    "NaMgF3_AECCAR0.gz": {},
    "NaMgF3_LOCPOT.gz": {},
    "Si_CHGCAR.gz": {},
    "graphene_CHGCAR.gz": {},
    "SrTiO3.RHO": {},
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")
def test_files_of_other_programs(name, small_chunks):
    array = gh.read(DATA / name, **FILES[name])
    small_chunks(array.values.nbytes // array.grid.shape[array.slab.axis] * 5)
    field = gh.read(DATA / name, **FILES[name], max_memory="4GB")
    assert field.values.stream.planes_at_once(0) == 5 or name.endswith(".gz")
    assert field.extrema() == array.extrema() and field.unit == array.unit
    for axis in "abc":
        one, other = gh.planar_average(field, axis), gh.planar_average(array, axis)
        np.testing.assert_allclose(one.values, other.values, rtol=1e-12, atol=1e-13 * np.abs(other.values).max())


@pytest.mark.filterwarnings("ignore:.*Nothing is renormalized")
@pytest.mark.parametrize("suffix", [".h5", ".npz", ".zarr", ".cube", ".xsf", ".CHGCAR"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_our_own_files_and_theirs(suffix, dtype, tmp_path, rng, small_chunks):
    values = rng.uniform(size=(11, 8, 9)).astype(dtype)
    quantity = "electron_density" if suffix == ".CHGCAR" else "scalar"
    atoms = gh.Structure(np.array([3]), np.array([[1.0, 2.0, 3.0]]))
    field = gh.Field.from_array(values, np.diag([4.0, 5.0, 6.0]), quantity=quantity, structure=atoms)
    path = gh.write(field, tmp_path / f"field{suffix}")
    small_chunks(3 * 8 * 9 * 8)
    for kept in (np.float32, np.float64):
        array, streamed = gh.read(path, dtype=kept), gh.read(path, dtype=kept, max_memory="4GB")
        assert streamed.values.dtype == kept and streamed.slab == array.slab
        assert (streamed.values[:, :, :] == array.values).all() and streamed.extrema() == array.extrema()
