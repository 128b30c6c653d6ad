"""Memory of the GPU: fields that do not fit are refused, and what repeats allocates nothing."""

import numpy as np
import pytest
from cupy_like import CuPyLikeRuntime

import gpuhomog as gh
from gpuhomog.device.gpu import GPU
from gpuhomog.errors import DeviceError
from gpuhomog.readers import text_values

CUBE = "two\ncomments\n    1 0 0 0\n   {} 0.5 0 0\n   {} 0 0.6 0\n   {} 0 0 0.7\n    3 3.0 0.0 0.1 0.2\n"


class SmallRuntime(CuPyLikeRuntime):
    """A GPU with little memory: its arrays fail as CuPy's do."""

    def __init__(self, free):
        super().__init__()
        self.memory = (free, 1 << 20)
        real, xp = self.xp.empty, self.xp

        def empty(shape, dtype=float, order="C"):
            if np.prod(shape) * np.dtype(dtype).itemsize > free:
                raise MemoryError
            return real(shape, dtype, order)

        xp.empty = empty


@pytest.fixture
def small(sanitizers):
    runtime = SmallRuntime(5000)
    yield GPU(runtime)
    runtime.close()


def test_a_field_that_does_not_fit(small):
    values = np.ones((10, 10, 10))
    with pytest.raises(DeviceError) as refused:
        gh.Field.from_array(values, np.eye(3), device=small)
    said = str(refused.value)
    assert "[10, 10, 10] float64 values needs 8000 bytes" in said and "has 5000 bytes" in said
    assert 'device="cpu"' in said and 'dtype="float32"' in said
    assert gh.Field.from_array(values.astype(np.float32), np.eye(3), device=small).mean() == 1.0


def test_a_file_that_does_not_fit(small, tmp_path):
    path = tmp_path / "a.cube"
    rows = (" 1.00000E+00" * 6 + "\n" + " 1.00000E+00" * 4 + "\n") * 100
    path.write_text(CUBE.format(10, 10, 10) + rows)
    with pytest.raises(DeviceError, match="needs 8000 bytes"):
        gh.read(path, device=small)
    assert gh.read(path, device="cpu").mean() == 1.0


@pytest.mark.parametrize("layout", ["C", "F", "gaps"])
def test_a_large_field_pins_no_memory_of_the_host(small, monkeypatch, rng, layout):
    monkeypatch.setattr("gpuhomog.device.gpu.memory.MOST_PINNED", 1000)
    values = rng.normal(size=(5, 6, 8))
    given = np.repeat(values, 2, axis=2)[:, :, ::2] if layout == "gaps" else np.asarray(values, order=layout)
    monkeypatch.setattr(small.runtime.xp, "asarray", None, raising=False)
    there = small.asarray(given)
    assert there.flags.f_contiguous == (layout == "F") and there.flags.c_contiguous == (layout != "F")
    np.testing.assert_array_equal(small.to_host(there), values)
    with pytest.raises(TypeError):
        small.asarray(values[:2, :2, :2])  # CuPy's way is faster for little


def test_what_is_kept_for_later_calls_gives_way(small, monkeypatch):
    """Plans of transforms hold work areas as large as a field."""
    forgotten = []

    def forget():
        forgotten.append(True)
        small.runtime.memory = (9000, 1 << 20)

    monkeypatch.setattr(small._transforms, "forget", forget)
    assert small.asarray(np.ones(500)).shape == (500,) and not forgotten
    assert small.asarray(np.ones(1000)).shape == (1000,) and len(forgotten) == 1
    with pytest.raises(DeviceError, match="needs 16000 bytes"):
        small.asarray(np.ones(2000))


@pytest.mark.parametrize("name", ["zeros", "ascontiguousarray", "array"])
def test_what_primitives_allocate_is_given_back_for_too(small, monkeypatch, rng, name):
    values = rng.normal(size=(3, 4, 5)).astype(np.float32)
    there, real, room = small.asarray(values), getattr(small.runtime.xp, name), []
    wide = small.asarray(np.concatenate([np.zeros(1, np.float32), values.ravel()]))

    def full(*given, **options):
        if not room:
            raise MemoryError
        return real(*given, **options)

    monkeypatch.setattr(small._transforms, "forget", lambda: room.append(True))
    monkeypatch.setattr(small.runtime.xp, name, full, raising=False)
    if name == "zeros":
        found = small.pad(there, 0, 1, 5)[1:4]
    else:
        found = small.contiguous(there if name == "ascontiguousarray" else wide[1:].reshape(3, 4, 5))
    np.testing.assert_array_equal(small.to_host(found), values)
    assert len(room) == 1


OPERATIONS = {
    "planar average": lambda f: gh.planar_average(f, 2),
    "Gaussian": lambda f: gh.average(f, gh.Gaussian(3.0)),
    "Gaussian, coarse": lambda f: gh.average(f, gh.Gaussian(6.0), spacing=3.0),
    "box by sums": lambda f: gh.average(f, gh.Box(9.3), method="sums"),
    "box by sums, coarse": lambda f: gh.average(f, gh.Box(9.3), method="sums", spacing=4.0),
    "ball": lambda f: gh.average(f, gh.Ball(4.0)),
    "variance": lambda f: gh.average_and_variance(f, gh.Gaussian(3.0), spacing=3.0),
    "gradient": lambda f: gh.average_gradient(f, gh.Gaussian(3.0)),
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_repeats_allocates_nothing(real_gpu, name):
    """From the second call on the pool has all it needs, and what it lent is returned."""
    pool = real_gpu.runtime.xp.get_default_memory_pool()
    values = np.random.default_rng(1).standard_normal((96, 80, 64), dtype=np.float32)
    field = gh.Field.from_array(values, np.diag([48.0, 40.0, 32.0]), device=real_gpu)
    held = []
    for _ in range(5):
        result = OPERATIONS[name](field)
        del result
        real_gpu.runtime.synchronize()
        held.append((pool.total_bytes(), pool.used_bytes()))
    assert len(set(held[1:])) == 1


@pytest.mark.gpu
def test_reading_twice_allocates_nothing(real_gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(text_values, "DEVICE_PIECE", 1000)
    path = tmp_path / "a.cube"
    rows = (" 1.00000E+00" * 6 + "\n" + " 1.00000E+00" * 4 + "\n") * 1200
    path.write_text(CUBE.format(30, 40, 10) + rows)
    pool = real_gpu.runtime.xp.get_default_memory_pool()
    held = []
    for _ in range(4):
        field = gh.read(path, device=real_gpu)
        assert field.mean() == 1.0
        del field
        held.append((pool.total_bytes(), pool.used_bytes()))
    assert len(set(held[1:])) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_begin_where_vectors_may(gpu, rng, dtype):
    """A part of other memory is copied only where it begins between two addresses of 16 bytes."""
    whole = gpu.asarray(rng.normal(size=(1, 1, 65)).astype(dtype)).ravel()
    start, step = (1, 16 // whole.dtype.itemsize)
    shifted = whole[start : start + 60].reshape(3, 4, 5)
    moved = gpu.contiguous(shifted)
    facts = moved.__array_interface__ if isinstance(moved, np.ndarray) else moved.__cuda_array_interface__
    assert facts["data"][0] % 16 == 0
    np.testing.assert_array_equal(gpu.to_host(moved), gpu.to_host(shifted))
    np.testing.assert_allclose(gpu.planar_sum(shifted, 0), gpu.to_host(shifted).sum((1, 2)), rtol=1e-5)
    kept = whole[step : step + 60].reshape(3, 4, 5)
    assert gpu.contiguous(kept) is kept or gpu.runtime.xp.shares_memory(gpu.contiguous(kept), kept)


@pytest.mark.parametrize("share", [0.0, 0.5, 3.0, 5.5])
def test_chunks_of_planes_begin_at_complex_values(host_gpu, monkeypatch, share):
    values = np.zeros((9, 3, 5), np.float32)
    monkeypatch.setattr(
        "gpuhomog.device.gpu.spectral.CACHE_SHARE", share * 2 * 3 * 7 * 4 / host_gpu.runtime.cache_bytes
    )
    assert host_gpu._planes_at_once(values) in (2, 4) and host_gpu._planes_at_once(values) % 2 == 0
