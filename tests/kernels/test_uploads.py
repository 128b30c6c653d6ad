"""Chunks on their way to a GPU: streams here are stand-ins that are as early and as late as their events allow."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_like import CURRENT, CUDAError, CudaLikeRuntime, Machine

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.device.gpu import GPU, runtime
from gpuhomog.errors import DeviceError, InputError
from gpuhomog.reduction import SUM, Reduction
from gpuhomog.streaming import Limit, Run, in_turns, memory, running

SHAPE = (41, 6, 10)
PLANES = 3


@pytest.fixture
def gpu_like(sanitizers):
    runtime = CudaLikeRuntime(Machine(), 0)
    yield GPU(runtime)
    runtime.close()


@pytest.fixture
def second_gpu(sanitizers):
    """What the second rank of a node has; threads begin with the first one."""
    there = CudaLikeRuntime(Machine(), 1)
    there.use()
    yield GPU(there)
    CURRENT.number, runtime._thread.runtime = 0, None
    there.close()


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A file of values, of which a chunk has few planes."""

    def write(values):
        n_planes = SHAPE[0] if values.flags.c_contiguous else SHAPE[2]
        monkeypatch.setattr(memory, "CHUNK_BYTES", PLANES * values.size // n_planes * 8)
        np.savez(tmp_path / "field.npz", values=values, cell=np.diag(np.array(SHAPE, float)))
        return tmp_path / "field.npz"

    return write


@pytest.fixture
def allocated(gpu_like, monkeypatch):
    """Allocations of pinned memory and of memory of the device, as they come."""
    seen = []
    for name in ("staging", "empty"):
        real = getattr(gpu_like, name)
        monkeypatch.setattr(
            gpu_like, name, lambda *given, name=name, real=real: seen.append((name, given[0])) or real(*given)
        )
    return seen


def laid(values, layout):
    if layout == "gaps":
        wide = np.full([n + 2 for n in values.shape], np.nan, values.dtype)
        wide[1:-1, 1:-1, 1:-1] = values
        return wide[1:-1, 1:-1, 1:-1]
    return np.asarray(values, order=layout)


@pytest.mark.parametrize("layout", ["C", "F", "gaps"])
@pytest.mark.parametrize("seed", range(12))
def test_what_comes_is_what_was_sent_however_late_streams_are(gpu_like, allocated, rng, layout, seed):
    """Two chunks are held at a time, and what is computed with them is done late; sizes and precisions change."""
    xp, results = gpu_like.runtime.xp, []
    sent = [rng.normal(size=(7 - n % 5, 3, 4)).astype((np.float64, np.float32)[n % 2]) for n in range(30)]
    with gpu_like.uploads() as begin:
        xp.stream.is_late = True
        xp.stream.turns, xp.others[0].turns = np.random.default_rng(seed), np.random.default_rng(seed + 100)
        coming = begin(laid(sent[0], layout))
        for number in range(len(sent)):
            arriving, coming = coming, None
            if number + 1 < len(sent):
                coming = begin(laid(sent[number + 1], layout))
            with arriving as values:
                assert isinstance(values, xp.ndarray) and values.dtype == sent[number].dtype
                assert values.flags.f_contiguous == (layout == "F")
                xp.stream.add(lambda values=values: results.append(values.get()))
    assert all((one == other).all() for one, other in zip(results, sent, strict=True))
    assert not xp.stream.pending and not xp.others[0].pending
    assert [name for name, _ in allocated] == ["staging", "empty"] * 3  # two places, of which one grows


@pytest.mark.parametrize("seed", range(8))
def test_memory_of_the_pool_is_filled_after_what_was_started_before(gpu_like, monkeypatch, rng, seed):
    """CuPy's pool gives memory that kernels of the current stream may still be writing to."""
    xp, real, results = gpu_like.runtime.xp, gpu_like.empty, []

    def empty(shape, dtype):
        memory = real(shape, dtype)
        xp.stream.add(lambda: memory.values.fill(0))
        return memory

    monkeypatch.setattr(gpu_like, "empty", empty)
    sent = [rng.normal(size=(n, 3, 4)) for n in range(1, 20)]
    with gpu_like.uploads() as begin:
        xp.stream.is_late = True
        xp.stream.turns, xp.others[0].turns = np.random.default_rng(seed), np.random.default_rng(seed + 100)
        for some in sent:
            with begin(some) as values:
                xp.stream.add(lambda values=values: results.append(values.get()))
    assert all((one == other).all() for one, other in zip(results, sent, strict=True))


def test_values_of_the_host_may_be_overwritten_at_once(gpu_like, rng):
    values = rng.normal(size=(4, 3, 2))
    with gpu_like.uploads() as begin:
        arriving = begin(values)
        before = values.copy()
        values[...] = 0.0
        with arriving as arrived:
            assert (arrived.get() == before).all()


def test_equal_chunks_allocate_twice(gpu_like, allocated, rng):
    with gpu_like.uploads() as begin:
        coming = begin(rng.normal(size=(4, 3, 2)))
        for _ in range(9):
            arriving, coming = coming, begin(rng.normal(size=(4, 3, 2)))
            with arriving:
                pass
    assert allocated == [("staging", 192), ("empty", 192)] * 2


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pass_finds_what_numpy_does(gpu_like, stored, allocated, rng, order, dtype):
    values = np.asarray(rng.normal(size=SHAPE) + 1.0, dtype, order=order)
    field = gh.read(stored(values), device=gpu_like, max_memory="4GB", dtype=dtype)
    exact = values.astype(np.float64)
    for axis in range(3):
        np.testing.assert_allclose(
            field.plane_sums(axis), exact.sum(axis=tuple(i for i in range(3) if i != axis)), rtol=1e-6
        )
    assert field.extrema() == (values.min(), values.max())
    n_passes = 3 if order == "C" else 2  # sums of the slab's axis come with any other
    chunk = PLANES * values.nbytes // (41 if order == "C" else 10)
    assert [n_bytes for name, n_bytes in allocated if name == "staging"] == [chunk] * 2 * n_passes
    assert len(gpu_like.runtime.xp.others) == n_passes


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_chunk_stays_until_everybody_is_done_with_it(gpu_like, stored, rng, order):
    """A slow reduction: it looks at its chunk again when the next one has come."""
    values = np.asarray(rng.normal(size=SHAPE), order=order)
    field = gh.read(stored(values), device=gpu_like, max_memory="4GB")
    stream, xp = field.values.stream, gpu_like.runtime.xp
    n_chunks, begun = -(-stream.slab.n // PLANES), threading.Semaphore(0)
    real, chunks = gpu_like.uploads, []

    def uploads():
        context = real()

        class Noting:
            def __enter__(self):
                begin = context.__enter__()

                def noting(some):
                    arriving = begin(some)
                    begun.release()
                    return arriving

                return noting

            def __exit__(self, *error):
                return context.__exit__(*error)

        return Noting()

    def local(device, some, slab):
        if not chunks:
            begun.acquire(timeout=20)
        if len(chunks) + 1 < n_chunks:
            assert begun.acquire(timeout=20)
        for other in xp.others:
            other.synchronize()
        chunks.append(some.get())
        expected = values[slab.planes] if order == "C" else values[:, :, slab.planes]
        assert (chunks[-1] == expected).all()
        return (np.array([float(some.sum())]),)

    gpu_like.uploads = uploads
    (total,) = field.reduce(Reduction("slow", local, (SUM,)))
    assert len(chunks) == n_chunks and total[0] == pytest.approx(values.sum())


def test_after_an_error_nothing_is_on_its_way(gpu_like, stored, rng):
    field = gh.read(stored(rng.normal(size=SHAPE)), device=gpu_like, max_memory="4GB")

    def local(device, values, slab):
        raise InputError("what was asked is impossible.")

    with pytest.raises(InputError, match="impossible"):
        field.reduce(Reduction("impossible", local, (SUM,)))
    assert not any(stream.pending for stream in gpu_like.runtime.xp.others)


def test_a_chunk_that_does_not_fit_is_refused(gpu_like, stored, rng, monkeypatch):
    path = stored(rng.normal(size=SHAPE))
    gpu_like.runtime.memory = (1000, 80 << 30)

    def full(shape, dtype=float):
        raise MemoryError

    monkeypatch.setattr(gpu_like.runtime.xp, "empty", full, raising=False)
    with pytest.raises(DeviceError, match=r"needs 1440 bytes .* has 1000 bytes"):
        gh.read(path, device=gpu_like, max_memory="4GB").mean()


def test_pinned_memory_counts_as_the_hosts(gpu_like, stored, rng, monkeypatch):
    """Under the same limit a GPU gets smaller chunks, or is refused with a larger least."""
    path = stored(rng.normal(size=SHAPE))
    monkeypatch.setattr(memory, "resident_bytes", lambda: 0)
    plane = 6 * 10 * 8
    planes, least = {}, {}
    for device in (CPU(threads=1), gpu_like):
        field = gh.read(path, device=device, max_memory="4GB")
        monkeypatch.setattr(memory, "CHUNK_BYTES", 2**20)
        field.values.stream.run.limit = Limit(memory.SLACK + 120 * plane)
        planes[device.name] = field.values.planes_at_once()
        field.values.stream.run.limit = Limit(memory.SLACK)
        with pytest.raises(InputError) as refused:
            field.values.planes_at_once()
        least[device.name] = str(refused.value)
    assert planes == {"cpu": 20, "gpu:0": 12}
    assert "6 planes" in least["cpu"] and "10 planes" in least["gpu:0"]


def test_threads_compute_where_their_values_are(second_gpu, rng):
    values, found = rng.normal(size=(8, 9, 10)), []
    field = gh.Field.from_array(values, np.eye(3) * 40.0, device=second_gpu)

    def compute(start=lambda: None):
        start()
        found.append(second_gpu.to_host(gh.average(field, gh.Gaussian(4.0)).values))
        found.append(second_gpu.to_host(field.values * 2.0))

    def fails():
        with pytest.raises(CUDAError, match="of GPU 1, while GPU 0"):
            field.values * 2.0
        found.append(True)

    for work in (compute, fails, lambda: compute(second_gpu.runtime.use)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(found) == 5 and (found[0] == found[3]).all() and (found[1] == 2.0 * values).all()


def test_an_array_of_another_gpu_is_brought_here(second_gpu, rng):
    """And one of this GPU is taken as it is, of other libraries without a copy."""
    first = GPU(CudaLikeRuntime(Machine(), 0))
    values = rng.normal(size=(3, 4, 5))
    elsewhere = first.asarray(values)
    field = gh.Field.from_array(elsewhere, np.eye(3), device=second_gpu)
    assert field.values.number == 1 and field.mean() == pytest.approx(values.mean(), rel=1e-13)
    assert second_gpu.asarray(field.values) is field.values
    tensor = SimpleNamespace(__cuda_array_interface__=values.__array_interface__, owner=values)
    shared = gh.Field.from_array(tensor, np.eye(3), device=second_gpu)
    values[0, 0, 0] = 7.0
    assert float(shared.values[0, 0, 0]) == 7.0 and second_gpu.asarray(tensor, np.float32).dtype == np.float32


def test_work_that_takes_turns_stays_on_its_gpu(second_gpu, stored, rng):
    values = rng.normal(size=SHAPE)
    there = second_gpu.asarray(values)
    run = Run(Limit(4 * 10**9))
    with running(run):
        field = gh.read(stored(values), device=second_gpu, max_memory="4GB")
    box = gh.Box(2.5)
    works = [lambda: there * 2.0, lambda: gh.average(field, box, spacing=2.0).values * 2.0]
    works += [lambda: gh.planar_average(field, 1).values]
    works += [lambda: CURRENT.stream]
    doubled, average, profile, stream = in_turns(works, run.answer)
    assert stream is second_gpu.runtime.xp.cuda.get_current_stream()
    expected = gh.average(gh.Field.from_array(values, np.diag(np.array(SHAPE, float)), device="cpu"), box, spacing=2.0)
    np.testing.assert_array_equal(second_gpu.to_host(doubled), 2.0 * values)
    np.testing.assert_allclose(second_gpu.to_host(average), 2.0 * expected.values, atol=1e-13)
    np.testing.assert_allclose(profile, values.mean(axis=(0, 2)), rtol=1e-12)


def test_who_answers_for_others_computes_on_their_gpu(second_gpu, stored, rng):
    """A job chooses its device in the threads that take turns; the pass that they wait for is in none of them."""
    CURRENT.number, runtime._thread.runtime = 0, None
    values = rng.normal(size=SHAPE)
    path, run = stored(values), Run(Limit(4 * 10**9))

    def work():
        second_gpu.runtime.use()
        return gh.planar_average(gh.read(path, device=second_gpu, max_memory="4GB"), 1).values

    with running(run):
        (profile,) = in_turns([work], run.answer)
    np.testing.assert_allclose(profile, values.mean(axis=(0, 2)), rtol=1e-12)


def test_values_on_the_device_and_chunks_of_nothing_stay_as_they_are(gpu_like, allocated):
    there = gpu_like.asarray(np.ones((2, 3, 4)))
    with gpu_like.uploads() as begin:
        with begin(there) as values:
            assert values is there
        with begin(np.ones((0, 3, 4), np.float32)) as values:
            assert values.shape == (0, 3, 4) and values.dtype == np.float32
    assert not allocated


def test_on_the_host_the_array_itself_is_given(rng):
    values = rng.normal(size=(4, 3, 2))
    with CPU(threads=1).uploads() as begin, begin(values) as same:
        assert same is values


@pytest.mark.gpu
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_real_gpu_gets_every_chunk_and_allocates_nothing_more(real_gpu, stored, rng, order):
    values = np.asarray(rng.normal(size=SHAPE), order=order)
    path, pool, held = stored(values), real_gpu.runtime.xp.get_default_memory_pool(), []
    for _ in range(4):
        field = gh.read(path, device=real_gpu, max_memory="100GB")
        np.testing.assert_allclose(field.plane_sums("b"), values.sum(axis=(0, 2)), rtol=1e-12)
        held.append((pool.total_bytes(), pool.used_bytes()))
    assert len(set(held[1:])) == 1


@pytest.mark.gpu
def test_on_a_real_gpu_long_work_and_many_chunks_do_not_mix(real_gpu, rng):
    """What is computed with a chunk is still at work when the next but one is begun."""
    xp = real_gpu.runtime.xp
    sent = [rng.normal(size=(64, 256, 256)) for _ in range(3)]
    found = []
    with real_gpu.uploads() as begin:
        coming = begin(sent[0])
        for number in range(24):
            arriving, coming = coming, begin(sent[(number + 1) % 3])
            with arriving as values:
                total = xp.zeros((), np.float64)
                for _ in range(20):
                    total = total + values.sum()
                found.append(total)
    expected = [20 * sent[number % 3].sum() for number in range(24)]
    np.testing.assert_allclose([float(total.get()) for total in found], expected, rtol=1e-9, atol=1e-6)


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("spacing", [1.0, 5.0])
def test_averages_keep_nothing_of_a_chunk(gpu_like, stored, rng, order, spacing):
    """Parts of chunks that are joined, and parts that are added: those of the field in the host's memory."""
    values = np.asarray(rng.normal(size=SHAPE) + 1.0, order=order)
    path = stored(values)
    wanted = gh.average(gh.read(path, device="cpu"), gh.Gaussian(5.0), spacing=spacing)
    found = gh.average(gh.read(path, device=gpu_like, max_memory="4GB"), gh.Gaussian(5.0), spacing=spacing)
    np.testing.assert_allclose(gpu_like.to_host(found.values), wanted.values, atol=1e-12)


@pytest.mark.parametrize("order", "CF")
def test_one_look_at_a_chunk_gives_all_sums_and_one_product_all_averages(gpu_like, stored, rng, order):
    values = np.asarray(rng.normal(size=SHAPE) + 2.0, order=order)
    looks, products = [], []
    planar, contract = gpu_like._planar, gpu_like.contract

    def noting_sums(some, *how):
        looks.append(some.shape)
        return planar(some, *how)

    def noting_products(some, matrix, axis):
        products.append((some.shape, axis))
        return contract(some, matrix, axis)

    path = stored(values)
    gpu_like._planar, gpu_like.contract = noting_sums, noting_products
    run = Run(Limit(4 * 10**9))
    with running(run):
        field = gh.read(path, device=gpu_like, max_memory="4GB")
    works = [lambda axis=axis: gh.planar_average(field, axis).values for axis in range(3)]
    kernels = [gh.Box(width) for width in (3.0, 4.0, 5.0)]
    works += [lambda one=one: gpu_like.to_host(gh.average(field, one, spacing=[2, 2, 2]).values) for one in kernels]
    with pytest.warns(gh.errors.AccuracyWarning, match="a quarter"):
        found = in_turns([*works, field.extrema], run.answer)
        expected = [gh.average(gh.read(path, device="cpu"), one, spacing=[2, 2, 2]).values for one in kernels]
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        np.testing.assert_allclose(found[axis], values.mean(axis=others), rtol=1e-13)
    for one, other in zip(found[3:6], expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13)
    assert found[6] == (values.min(), values.max())
    split = 0 if order == "C" else 2
    whole = [(shape, axis) for shape, axis in products if all(shape[i] == SHAPE[i] for i in range(3) if i != split)]
    n_chunks = -(-SHAPE[split] // PLANES)
    assert len({axis for _, axis in whole}) == 1 and sum(shape[split] <= PLANES for shape, _ in whole) == n_chunks
    assert sum(shape[split] <= PLANES for shape in looks) == n_chunks
