"""Fields on disk and chunks so small that a pass has many of them."""

import json

import numpy as np
import pytest

from gpuhomog.operators.averages import streamed
from gpuhomog.streaming import memory


@pytest.fixture
def small_chunks(monkeypatch):
    """Few planes a chunk: 7 of the fields here; sums that are smaller than planes are added, as in large fields."""

    def planes(n_bytes):
        monkeypatch.setattr(memory, "CHUNK_BYTES", n_bytes)
        monkeypatch.setattr(streamed, "ALWAYS_JOINED", 0)

    return planes


@pytest.fixture
def stored(tmp_path):
    """Write values as .npy with their cell beside; returns the path."""

    def write(values, cell=None, name="field.npy", **facts):
        path = tmp_path / name
        np.save(path, values)
        cell = np.diag(np.array(values.shape, dtype=float)) if cell is None else np.asarray(cell)
        path.with_suffix(".json").write_text(json.dumps({"cell": cell.tolist(), **facts}))
        return path

    return write
