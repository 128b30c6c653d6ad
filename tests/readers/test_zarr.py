"""Zarr schema version 1: stores made by zarr alone, in format 2 and 3; missing and damaged chunks are noticed."""

import json

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, UnitsError
from gpuhomog.readers import zarr_store

zarr = pytest.importorskip("zarr", reason="zarr is not installed")

VALUES = np.random.default_rng(1).normal(size=(5, 4, 6))


@pytest.fixture(params=[2, 3])
def store(tmp_path, request):
    path = tmp_path / "field.zarr"
    root = zarr.open_group(str(path), mode="w", zarr_format=request.param)
    root.attrs.update({"format": "gpuhomog", "version": 1, "provenance": json.dumps([{"step": "made by hand"}])})
    group = root.create_group("field")
    group.attrs["boundary"] = ["periodic", "periodic", "open"]
    data = group.create_array("values", shape=VALUES.shape, dtype="f8", chunks=(2, 4, 6), fill_value=0.0)
    data[...] = VALUES
    data.attrs.update({"unit": "e/bohr^3", "quantity": "charge_density"})
    for name, content in {"cell": np.diag([3.0, 4.0, 5.0]), "origin": np.array([0.0, 0.0, 1.0])}.items():
        group.create_array(name, shape=content.shape, dtype="f8")[...] = content
    return path


def test_a_store_made_by_zarr_is_read(store):
    field = gh.read(store)
    assert np.allclose(field.to_host(), VALUES / 0.529177210544**3, rtol=1e-14)
    assert (field.quantity, field.unit) == ("charge_density", "e/Å^3")
    assert field.grid.boundary == ("periodic", "periodic", "open")
    assert np.array_equal(field.grid.origin, [0, 0, 1])
    assert [step["step"] for step in field.provenance] == ["made by hand", "read"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_planes_are_read_alone(store, dtype):
    planes = zarr_store.open_source(store).read_planes(1, 4, "values", np.dtype(dtype))
    assert np.array_equal(planes, VALUES[1:4].astype(dtype))


def chunk_files(store):
    """Chunks of field/values in the order of their planes."""
    found = [p for p in (store / "field" / "values").rglob("*") if p.is_file() and p.name[0] not in ".z"]
    return sorted(found, key=str)


def test_missing_chunks_are_noticed(store):
    chunks = chunk_files(store)
    assert len(chunks) == 3
    chunks[1].unlink()
    with pytest.raises(FileFormatError, match="1 of 3 chunks are missing"):
        gh.read(store)


def test_damaged_chunks_are_noticed_in_their_planes_alone(store):
    chunk_files(store)[1].write_bytes(b"damaged")
    source = zarr_store.open_source(store)
    assert np.array_equal(source.read_planes(0, 2, "values", np.dtype("f8")), VALUES[:2])
    with pytest.raises(FileFormatError, match="planes 2:4 cannot be read"):
        source.read_planes(0, 5, "values", np.dtype("f8"))


def test_versions_quantities_and_foreign_stores_are_refused(store, tmp_path):
    root = zarr.open_group(str(store), mode="r+")
    root["field/values"].attrs["quantity"] = "charge"
    with pytest.raises(UnitsError, match=r'field\.zarr: Unknown quantity "charge"'):
        gh.read(store)
    root.attrs["version"] = 7
    with pytest.raises(FileFormatError, match="schema version 7"):
        gh.read(store)
    foreign = zarr.open_group(str(tmp_path / "foreign.zarr"), mode="w")
    foreign.create_array("temperature", shape=(2,), dtype="f8")
    with pytest.raises(FileFormatError, match="found temperature"):
        gh.read(tmp_path / "foreign.zarr")


def test_unreadable_metadata_is_one_sentence(store):
    for name in ("zarr.json", ".zgroup"):
        if (store / name).exists():
            (store / name).write_text("{")
    with pytest.raises(FileFormatError, match="cannot be opened as a Zarr group"):
        gh.read(store)
