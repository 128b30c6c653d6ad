"""cuFFT's plans: what they are asked for, carried out on the host by the words of cuFFT's documentation.

element (b, x, y, z) lies at b dist + ((x embed[1] + y) embed[2] + z) stride
"""

from types import SimpleNamespace

import numpy as np
import pytest

from gpuhomog.device.gpu import transforms as module
from gpuhomog.device.gpu.transforms import CuFFT, PlainFFT

KINDS = {"R2C": "fF", "D2Z": "dD", "C2R": "Ff", "Z2D": "Dd", "C2C": "FF", "Z2Z": "DD"}


class Plan:
    """A plan of cufftPlanMany on NumPy's memory."""

    made = 0

    def __init__(
        self, shape, inembed, istride, idist, onembed, ostride, odist, kind, batch, order, last_axis, last_size
    ):
        Plan.made += 1
        self.shape, self.kind, self.batch = shape, kind, batch
        self.layouts = (inembed, istride, idist), (onembed, ostride, odist)

        assert max(*shape, *inembed, istride, idist, *onembed, ostride, odist, batch) <= 2**31 - 1

    def fft(self, source, target, direction):
        half = (*self.shape[:-1], self.shape[-1] // 2 + 1)
        shapes = {"R2C": (self.shape, half), "C2R": (half, self.shape), "C2C": (self.shape, self.shape)}
        kind = {"D2Z": "R2C", "Z2D": "C2R", "Z2Z": "C2C"}.get(self.kind, self.kind)
        assert (source.dtype.char, target.dtype.char) == tuple(KINDS[self.kind])
        places = [
            self.places(shape, layout, array)
            for shape, layout, array in zip(shapes[kind], self.layouts, (source, target), strict=True)
        ]
        given = source.reshape(-1)[places[0]]
        axes = range(1, given.ndim)
        if kind == "R2C":
            result = np.fft.rfftn(given, axes=axes)
        elif kind == "C2R":
            result = np.fft.irfftn(given, s=self.shape, axes=axes, norm="forward")
            source[...] = np.nan  # cuFFT may overwrite it
        elif direction == -1:
            result = np.fft.fftn(given, axes=axes)
        else:
            result = np.fft.ifftn(given, axes=axes, norm="forward")
        assert target.flags.c_contiguous
        target.reshape(-1)[places[1]] = result

    def places(self, shape, layout, array):
        embed, stride, dist = layout
        place = np.zeros((), int)
        for axis, n in enumerate(shape):
            assert n <= embed[axis]
            place = place[..., None] * (embed[axis] if axis else 1) + np.arange(n)
        return np.arange(self.batch).reshape(-1, *[1] * len(shape)) * dist + place * stride


class LargePlan(Plan):
    """A plan of cufftXtMakePlanMany."""

    made = 0

    def __init__(self, shape, *form, order, last_axis, last_size):
        LargePlan.made += 1
        *source, source_type, onembed, ostride, odist, target_type, batch, inside = form
        kind = next(kind for kind, types in KINDS.items() if types == source_type + target_type)
        assert order == "C" and inside == source_type.upper()
        self.shape, self.kind, self.batch = shape, kind, batch
        self.layouts = tuple(source), (onembed, ostride, odist)


@pytest.fixture
def transforms():
    names = {f"CUFFT_{kind}": kind for kind in KINDS}
    cufft = SimpleNamespace(PlanNd=Plan, XtPlanNd=LargePlan, CUFFT_FORWARD=-1, CUFFT_INVERSE=1, **names)
    config = SimpleNamespace(get_plan_cache=lambda: SimpleNamespace(clear=lambda: None))
    return CuFFT(SimpleNamespace(cuda=SimpleNamespace(cufft=cufft), fft=SimpleNamespace(config=config)))


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Plans by either interface; whether what was asked for was."""
    monkeypatch.setattr(module, "MOST_SMALL", {"small": 2**31 - 1, "large": 0}[request.param])
    before = Plan.made, LargePlan.made
    yield
    assert (Plan.made > before[0], LargePlan.made > before[1]) == (request.param == "small", request.param == "large")


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("planes", [None, 1, 2, 70])
@pytest.mark.parametrize("n_axes", [1, 2, 3])
@pytest.mark.parametrize("shape", [(2, 3, 4), (4, 1, 5), (1, 6, 1), (3, 2, 2)])
def test_real_axes(transforms, size, shape, n_axes, planes, real):
    values = np.random.default_rng(5).standard_normal(shape).astype(real)
    half = (*shape[:2], shape[2] // 2 + 1)
    plain = PlainFFT(np)
    found, expected = (np.zeros(half, np.result_type(real, np.complex64)) for _ in range(2))
    transforms.real_axes(values, found, n_axes, planes)
    plain.real_axes(values, expected, n_axes)
    np.testing.assert_array_equal(found, expected)
    back = np.zeros(shape, real)
    transforms.real_axes(found, back, n_axes, planes)
    np.testing.assert_allclose(back, values * np.prod(shape[3 - n_axes :]), rtol=0, atol=100 * np.finfo(real).eps)


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_lines(transforms, size, kind):
    random = np.random.default_rng(5)
    modes = (random.standard_normal((5, 2, 3)) + 1j * random.standard_normal((5, 2, 3))).astype(kind)
    found = modes.copy()
    transforms.lines(found, inverse=False)
    np.testing.assert_allclose(found, np.fft.fft(modes, axis=0), atol=1e-6)
    transforms.lines(found, inverse=True)
    np.testing.assert_allclose(found, 5 * modes, atol=1e-5)


def test_plans_are_kept(transforms):
    values, spectrum = np.zeros((4, 6, 8)), np.zeros((4, 6, 5), complex)
    before = Plan.made
    for _ in range(3):
        transforms.real_axes(values, spectrum, 2, 3)
    assert Plan.made == before + 2


def test_large_transforms_are_asked_for_by_numbers_of_64_bits(transforms):
    """Nothing is allocated or transformed: 2^33 values in memory of one."""
    one = np.lib.stride_tricks.as_strided
    values = one(np.zeros(1, np.float32), (2048, 2048, 2048), (0, 0, 0))
    modes = one(np.zeros(1, np.complex64), (2048, 2048, 1025), (0, 0, 0))
    before = LargePlan.made
    for n_axes in (2, 3):
        transforms._real_plan(values, modes, n_axes)
        transforms._real_plan(modes, values, n_axes)
    assert LargePlan.made == before + 4
    transforms._real_plan(values[:16], modes[:16], 2)
    assert LargePlan.made == before + 4


def test_plans_give_way_to_one_that_does_not_fit(transforms, monkeypatch):
    """Their work areas are as large as what they transform."""
    held = transforms._plans
    real = Plan.__init__

    def made(self, *how):
        if held:
            raise MemoryError
        real(self, *how)

    monkeypatch.setattr(Plan, "__init__", made)
    for n in (3, 4, 5):
        transforms.lines(np.zeros((n, 2, 2), complex), inverse=False)
        assert len(held) == 1
    transforms.forget()
    assert not held
