"""Filters of slabs: planes, rows of lines, planes; against NumPy's transforms of the whole grid in long double.

What goes from slab to slab is cut from whole arrays here: the exchange has tests of its own.
"""

import numpy as np
import pytest
from cupy_like import CuPyLikeRuntime
from ranks import on_ranks
from test_spectral import multiplier_of, whole

import gpuhomog as gh
from gpuhomog.device import CPU, padded
from gpuhomog.device.gpu import GPU
from gpuhomog.fft import Multiplier, OfWavevector, convolved, filtered, slab_order
from gpuhomog.parallel import Slab, model
from gpuhomog.streaming import memory

REAL = [np.float32, np.float64]
SHAPES = [(12, 5, 6), (11, 8, 7), (1, 6, 4), (4, 1, 9), (6, 10, 1)]


def long_planes(values):
    """Spectrum of each plane of the first axis, in long double where NumPy has it."""
    return np.fft.rfftn(values.astype(np.longdouble), axes=(1, 2))


def long_filter(values, multiplier):
    """The whole filter, by transforms of the whole grid."""
    spectrum = np.fft.fft(long_planes(values), axis=0) * whole(multiplier)
    return np.fft.irfftn(np.fft.ifft(spectrum, axis=0), s=values.shape[1:], axes=(1, 2))


def distance(found, expected):
    """Relative to the largest."""
    return np.abs(found - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-300)


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("shape", SHAPES)
def test_planes(gpu, shape, real, monkeypatch):
    monkeypatch.setattr(gpu.runtime, "cache_bytes", 1000)  # a few planes in a call
    values = np.random.default_rng(1).standard_normal(shape).astype(real)
    spectrum = gpu.rfft_planes(gpu.asarray(values))
    expected = long_planes(values)
    assert spectrum.shape == expected.shape and spectrum.dtype == np.result_type(real, np.complex64)
    assert distance(gpu.to_host(spectrum), expected) < 5 * np.finfo(real).eps
    back = gpu.irfft_planes(gpu.asarray(expected.astype(spectrum.dtype)), shape)
    assert back.shape == shape and back.dtype == real
    assert distance(gpu.to_host(back), values) < 5 * np.finfo(real).eps


@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("what", ["tables", "radial", "potential", "all", "unknown", "two metrics"])
@pytest.mark.parametrize("shape", SHAPES)
def test_slabs_of_a_filter(gpu, shape, what, real, monkeypatch):
    """On 1 to 9 ranks: uneven slabs, ranks without planes or rows, lines that only cuFFT transforms."""
    monkeypatch.setattr("gpuhomog.device.gpu.spectral.UPLOADED_BYTES", 300)
    values = np.random.default_rng(2).standard_normal(shape).astype(real)
    multiplier = multiplier_of(what, "triclinic", shape)
    expected = long_filter(values, multiplier)
    for size in (1, 2, 9):
        slabs = [[Slab.of(shape[axis], rank, size, axis).planes for rank in range(size)] for axis in (0, 1)]
        planes = [gpu.to_host(gpu.rfft_planes(gpu.asarray(values[here]))) for here in slabs[0]]
        spectrum = np.concatenate(planes)
        lines = [
            gpu.to_host(gpu.filter_lines(gpu.asarray(spectrum[:, here].copy()), multiplier, here.start))
            for here in slabs[1]
        ]
        modes = np.concatenate(lines, axis=1)
        filtered = [gpu.irfft_planes(gpu.asarray(modes[here].copy()), (here.stop - here.start, *shape[1:]))
                    for here in slabs[0]]  # fmt: skip
        found = np.concatenate([gpu.to_host(part) for part in filtered])
        assert found.dtype == real
        assert distance(found, expected) < 20 * np.finfo(real).eps


@pytest.mark.parametrize("what", ["all", "unknown"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_rows_of_fields_in_other_orders(gpu, order, what):
    """Slabs of another axis, or Fortran-ordered values: the stored first axis is b or c."""
    multiplier = multiplier_of(what, "triclinic", (9, 7, 12), order)
    stored = multiplier.stored_shape
    random = np.random.default_rng(3)
    modes = random.standard_normal((stored[0], 4, stored[2] // 2 + 1)) + 0.5j
    expected = np.fft.ifft(np.fft.fft(modes, axis=0) * whole(multiplier)[:, 2:6], axis=0)
    found = gpu.filter_lines(gpu.asarray(modes.copy()), multiplier, 2)
    assert distance(gpu.to_host(found), expected) < 5e-15


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(12, 3, 4), (11, 1, 2), (6, 0, 3)])
def test_lines_back(gpu, shape, kind):
    random = np.random.default_rng(3)
    modes = random.standard_normal(shape) + 1j * random.standard_normal(shape)
    found = gpu.to_host(gpu.ifft_lines(gpu.asarray(modes.astype(kind))))
    assert found.dtype == kind and found.shape == shape
    if found.size:
        turns = np.outer(np.arange(len(modes)), np.arange(len(modes))) % len(modes) / len(modes)
        expected = np.tensordot(np.exp(2j * np.pi * turns), modes, 1) / len(modes)
        assert distance(found, expected) < 10 * np.finfo(kind).eps


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
@pytest.mark.parametrize("shape", [(3, 12, 4), (1, 11, 2), (3, 6, 0), (0, 4, 3)])
def test_rows(gpu, shape, kind):
    """Against the sums that define them, on the GPU and on the CPU; the inverse is normalized."""
    random = np.random.default_rng(3)
    modes = (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(kind)
    turns = np.outer(np.arange(shape[1]), np.arange(shape[1])) % shape[1] / shape[1]
    for device in (gpu, CPU()):
        for inverse, sign, scale in ((False, -1, 1.0), (True, 1, 1 / shape[1])):
            found = device.to_host(device.fft_rows(device.asarray(modes.copy()), inverse))
            expected = np.einsum("uv,xvk->xuk", np.exp(sign * 2j * np.pi * turns), modes) * scale
            assert found.dtype == kind and found.shape == shape
            assert distance(found, expected) < 10 * np.finfo(kind).eps


@pytest.mark.parametrize("shape", [(0, 4, 5), (6, 0, 5)])
def test_slabs_without_planes_or_rows(gpu, shape):
    spectrum = gpu.rfft_planes(gpu.asarray(np.zeros(shape, np.float32))) if shape[1] else gpu.empty((6, 0, 3), "F")
    assert spectrum.shape == (*shape[:2], 3) and spectrum.dtype == np.complex64
    if shape[1]:
        assert gpu.irfft_planes(spectrum, shape).shape == shape
    else:
        assert gpu.filter_lines(spectrum, multiplier_of("radial", "triclinic", (6, 4, 5)), 4).shape == (6, 0, 3)


@pytest.mark.parametrize("what", ["all", "two metrics"])
def test_parts_of_other_memory(gpu, what):
    """A slab cut from a larger array has gaps, which kernels do not take."""
    shape = (12, 6, 7)
    values = np.random.default_rng(4).standard_normal((12, 9, 7))
    multiplier = multiplier_of(what, "triclinic", shape)
    spectrum = gpu.rfft_planes(gpu.asarray(values)[:, 2:8])
    assert distance(gpu.to_host(spectrum), long_planes(values[:, 2:8])) < 1e-15
    modes = np.fft.fft(long_planes(values[:, 2:8]), axis=0) * whole(multiplier)
    found = gpu.filter_lines(gpu.asarray(gpu.to_host(spectrum))[:, 1:5], multiplier, 1)
    assert distance(gpu.to_host(found), np.fft.ifft(modes, axis=0)[:, 1:5]) < 5e-15


@pytest.fixture(scope="module")
def like(sanitizers):
    """A GPU whose arrays refuse to become NumPy's."""
    runtime = CuPyLikeRuntime()
    yield GPU(runtime)
    runtime.close()


@pytest.mark.parametrize("what", ["all", "unknown"])
def test_values_of_a_device_stay_there(like, what):
    cpu, shape = CPU(), (12, 5, 6)
    values = np.random.default_rng(5).standard_normal(shape)
    multiplier = multiplier_of(what, "triclinic", shape)
    spectrum = like.rfft_planes(like.asarray(values))
    lines = like.filter_lines(like.asarray(like.to_host(spectrum)[:, 1:4].copy()), multiplier, 1)
    expected = cpu.filter_lines(cpu.rfft_planes(values)[:, 1:4].copy(), multiplier, 1)
    assert distance(like.to_host(lines), expected) < 5e-15
    np.testing.assert_allclose(like.to_host(like.ifft_lines(lines)), cpu.ifft_lines(expected), atol=1e-13)
    assert distance(like.to_host(like.irfft_planes(spectrum, shape)), values) < 1e-15


@pytest.mark.parametrize("kind", ["lines", "disc"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("size", [2, 13])
def test_ranks_share_a_filter(like, axis, size, kind):
    """With the exchanges between, on arrays of the device; a disc across whose planes nothing is sent."""
    shape = (12, 5, 6)
    values = np.random.default_rng(6).standard_normal(shape)
    field = gh.Field.from_array(values, np.eye(3), device=like)
    if kind == "disc":
        flat = np.diag([1.0 * (i != axis) for i in range(3)])
        multipliers = [Multiplier(shape, [OfWavevector(flat, np.cos)])]
    else:
        multipliers = [multiplier_of("all", "triclinic", shape), multiplier_of("unknown", "triclinic", shape)]
    found = on_ranks(
        field, size, lambda part: filtered(like, part.values, *multipliers, slab=part.slab, comm=part.comm), axis
    )
    for number, multiplier in enumerate(multipliers):
        joined = np.concatenate([like.to_host(results[number]) for results in found], axis=axis)
        assert distance(joined, long_filter(values, multiplier)) < 1e-14


@pytest.mark.parametrize("more", [(2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 2, 2), (2, 2, 2)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ranks_share_a_filter_with_zeros_behind(like, axis, more, monkeypatch):
    """Modes of one axis change hands where zeros follow within the planes."""
    monkeypatch.setattr(padded, "CONVOLVED_BYTES", 3000)  # some rows at a time
    shape = (12, 5, 6)
    grid = tuple(n * k for n, k in zip(shape, more, strict=True))
    values = np.zeros(grid)
    values[:12, :5, :6] = np.random.default_rng(6).standard_normal(shape)
    multipliers = [multiplier_of("all", "triclinic", grid), multiplier_of("unknown", "triclinic", grid)]
    field = gh.Field.from_array(values[:12, :5, :6], np.eye(3), device=like)

    def work(part):
        return convolved(like, part.values, *multipliers, slab=part.slab, comm=part.comm), part.comm.sent["transpose"]

    found = on_ranks(field, 2, work, axis)
    for number, multiplier in enumerate(multipliers):
        joined = np.concatenate([like.to_host(results[number]) for results, _ in found], axis=axis)
        assert distance(joined, long_filter(values, multiplier)[:12, :5, :6]) < 1e-14
    if any(k == 2 for i, k in enumerate(more) if i != axis):
        order = slab_order(like, shape, grid, axis, 2)
        sizes = [grid[i] if i == order[1] else shape[i] for i in order]
        assert [sent for _, sent in found] == model.filter_bytes(sizes, 8, 2, 2, halved=1).tolist()


@pytest.mark.parametrize(
    "kernel", [gh.Ball(2.0), gh.Gaussian(2.0), gh.TopHat(2.0)], ids=lambda kernel: type(kernel).__name__
)
def test_ranks_share_an_average(like, kernel):
    """The operator on slabs of a device: by modes, by few modes, by windows."""
    values = np.random.default_rng(1).standard_normal((17, 24, 30))
    cell = np.diag([10.0, 14.0, 18.0])
    expected = gh.average(gh.Field.from_array(values, cell, device="cpu"), kernel).values
    found = on_ranks(gh.Field.from_array(values, cell, device=like), 3, lambda part: gh.average(part, kernel))
    assert distance(np.concatenate([like.to_host(part.values) for part in found]), expected) < 1e-14


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("boundary", ["periodic", "o,p,p", "open"])
def test_a_spectrum_on_the_disk(like, tmp_path, monkeypatch, rng, order, boundary):
    """Planes go up, their transforms down, rows up and down; the potential is that in the host's memory."""
    monkeypatch.setattr(memory, "CHUNK_BYTES", 3 * 6 * 10 * 8)
    values = np.zeros((21, 6, 10))
    values[5:16, 2:4, 3:7] = rng.normal(size=(11, 2, 4))
    values[5:16, 2:4, 3:7] -= values[5:16, 2:4, 3:7].mean()
    np.savez(tmp_path / "field.npz", values=np.asarray(values, order=order), cell=np.diag([21.0, 6.0, 10.0]))
    how = {"quantity": "charge_density", "boundary": boundary}
    wanted = gh.electrostatic_potential(gh.read(tmp_path / "field.npz", device="cpu", **how)).values
    field = gh.read(tmp_path / "field.npz", device=like, max_memory="4GB", **how)
    found = like.to_host(gh.electrostatic_potential(field).values[:, :, :])
    np.testing.assert_allclose(found, wanted, atol=1e-12 * np.abs(wanted).max())
