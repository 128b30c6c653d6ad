"""Scale report: against closed forms, against the operators one by one, and against its own promise to read once."""

import warnings

import numpy as np
import pytest
from disordered import disordered
from ranks import on_ranks
from strict_device import StrictDevice

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, InputError, KernelError
from gpuhomog.operators.macroscale import scale_report as scale_report_module

pytestmark = pytest.mark.filterwarnings("ignore::gpuhomog.AccuracyWarning")

OBLIQUE = np.array([[24.0, 1.4, 0.0], [1.0, 20.0, -0.8], [0.6, 0.0, 22.0]])
UPRIGHT = np.diag([24.0, 20.0, 22.0])
KERNELS = (gh.Gaussian(3.0), gh.Gaussian(4.5), gh.PowerLaw(5.0))


def noise(shape, dtype=np.float64, cell=OBLIQUE, boundary="periodic", **options):
    values = np.random.default_rng(shape).standard_normal(shape).astype(dtype) + dtype(3)
    return gh.Field.from_array(values, cell, boundary=boundary, **options)


def waves_on(shape, modes):
    """(cosine of each mode, its phase) on the points of a grid."""
    places = np.stack(np.meshgrid(*(np.arange(n) / n for n in shape), indexing="ij"), -1)
    return [np.cos(2 * np.pi * (places @ np.array(mode))) for mode in modes]


# --- closed forms --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(48, 40, 44), (47, 41, 43)])
def test_a_wave_on_an_oblique_cell(shape):
    """<cos> = mu^(k) cos, <cos²> = (1 + mu^(2k) cos 2)/2, on points of the macroscopic grid, and its moments."""
    mode = np.array([1, -2, 1])
    (wave,) = waves_on(shape, [mode])
    found = gh.scale_report(gh.Field.from_array(5.0 + 2.0 * wave, OBLIQUE, quantity="scalar"), [3.0, 6.0])
    k = np.linalg.norm(mode @ (2 * np.pi * np.linalg.inv(OBLIQUE).T))
    for at, eps in zip(found.at, (3.0, 6.0), strict=True):
        kernel = gh.Gaussian(eps)
        (there,) = waves_on(at.average.grid.shape, [mode])
        (twice,) = waves_on(at.average.grid.shape, [2 * mode])
        damped = 2.0 * kernel.transform(k)
        np.testing.assert_allclose(at.average.values, 5.0 + damped * there, rtol=0, atol=1e-13)
        variance = 2.0 + 2.0 * kernel.transform(2 * k) * twice - (damped * there) ** 2
        np.testing.assert_allclose(at.variance.values, variance, rtol=0, atol=1e-12)
        relation = at.relation
        assert relation.eps_V_average == pytest.approx(2 * damped / np.sqrt(2), rel=1e-12)
        assert relation.eps_V_difference == pytest.approx(2 * (2.0 - damped) / np.sqrt(2), rel=1e-12)
        assert relation.eps_p == pytest.approx(2 * damped * k / np.sqrt(6), rel=1e-12)
        assert at.intervals.eps_x == eps and max(at.intervals.spacings) <= max(eps / 5, 1.05)
    assert (found.mean, found.std) == pytest.approx((5.0, np.sqrt(2)), rel=1e-13)
    assert (found.smallest, found.largest) == pytest.approx((3.0, 7.0), rel=5e-8)
    np.testing.assert_allclose(found.eps_V_average, [at.relation.eps_V_average for at in found.at])


@pytest.mark.parametrize("alpha", [0, 2])
def test_the_relation_of_disorder_in_three_dimensions(alpha):
    """S ~ k^α: a component of the gradient has σ_p² = (α + 3)/(6 σ_x²) σ_V², where one dimension has (α + 1)/2."""
    values = disordered(alpha, (64, 64, 64), 0.5, correlation=0.01, seed=alpha)
    found = gh.scale_report(gh.Field.from_array(values, 32 * np.eye(3)), [2.5, 4.0])
    for eps, at in zip(found.eps, found.at, strict=True):
        expected = 2 * np.sqrt((alpha + 3) / 6)
        assert eps * at.relation.eps_p / at.relation.eps_V_average == pytest.approx(expected, rel=0.08)


# --- the operators one by one --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize(
    "boundary, cell",
    [("periodic", OBLIQUE), ("p,p,o", OBLIQUE), ("periodic", UPRIGHT), ("o,p,o", UPRIGHT)],
    ids=["periodic", "one open", "upright", "upright, open"],
)
def test_averages_variances_and_intervals_are_those_of_each_kernel(boundary, cell, dtype, tolerance):
    field = noise((36, 30, 40), dtype, cell, boundary)
    exact = noise((36, 30, 40), np.float64, cell, boundary)
    exact = exact.derive(field.values.astype(np.float64), "the same")
    found = gh.scale_report(field, KERNELS)
    assert [kernel["kernel"] for kernel in found.kernels] == ["gaussian", "gaussian", "powerlaw"]
    for at, kernel in zip(found.at, KERNELS, strict=True):
        grid = at.average.grid
        spacing = [length / n for length, n in zip(grid.lengths, grid.shape, strict=True)]
        mean, variance = gh.average_and_variance(exact, kernel, spacing=spacing)
        np.testing.assert_allclose(at.average.values, mean.values, rtol=0, atol=tolerance)
        np.testing.assert_allclose(at.variance.values, variance.values, rtol=0, atol=5 * tolerance)
        every = gh.field_intervals(exact, kernel, spacing=[d / 2 for d in spacing])
        for name in ("low", "high", "mean"):
            one, whole = getattr(at.intervals, name).values, getattr(every, name).values
            np.testing.assert_allclose(one, whole[::2, ::2, ::2], rtol=0, atol=tolerance)
        assert at.intervals.largest_eps_V[3] <= every.largest_eps_V[3] + tolerance
        widths = (every.high.values - every.low.values)[::2, ::2, ::2]
        assert at.intervals.eps_V[3] == pytest.approx(np.median(widths), abs=tolerance)
    np.testing.assert_allclose(found.low, [at.intervals.low.values.min() for at in found.at])
    assert (at.relation is None) == (boundary != "periodic")
    assert np.isnan(found.eps_p).all() == (boundary != "periodic")


@pytest.fixture
def few_modes(monkeypatch):
    """Spectra of few waves, so that fields as small as those of tests go through short windows, too."""
    monkeypatch.setattr(scale_report_module, "SPECTRUM_MODES", 4)


WINDOWED = [("periodic", OBLIQUE), ("periodic", UPRIGHT), ("p,o,p", UPRIGHT)]


@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-12), (np.float32, 2e-5)])
@pytest.mark.parametrize("boundary, cell", WINDOWED, ids=["oblique", "upright", "open"])
def test_averages_through_short_windows(few_modes, boundary, cell, dtype, tolerance):
    field, kernels = noise((48, 40, 43), dtype, cell, boundary), (gh.Gaussian(6.0), gh.Gaussian(7.0))
    exact = field.derive(field.values.astype(np.float64), "the same")
    found = gh.scale_report(field, kernels)
    coarse = found.provenance[-1]["coarse"]
    assert coarse[0] <= 24 and coarse[2] < 43  # by every second sample, or less; along 43 samples onto the modes
    for at, kernel in zip(found.at, kernels, strict=True):
        grid = at.average.grid
        spacing = [length / n for length, n in zip(grid.lengths, grid.shape, strict=True)]
        mean, variance = gh.average_and_variance(exact, kernel, spacing=spacing)
        np.testing.assert_allclose(at.average.values, mean.values, rtol=0, atol=tolerance)
        np.testing.assert_allclose(at.variance.values, variance.values, rtol=0, atol=5 * tolerance)
    if boundary == "periodic":
        whole = gh.scales(exact)
        below = found.scales.k[:-1] < 0.9 * found.scales.k[-1]
        places = [int(np.argmin(np.abs(whole.k - k))) for k in found.scales.k[:-1][below]]
        assert len(places) > 10
        np.testing.assert_allclose(found.scales.power[:-1][below], whole.power[places], rtol=20 * tolerance**0.8)
        wave = found.at[0].relation
        assert wave.eps_V_average == pytest.approx(2 * gh.average(exact, kernels[0]).values.std(), rel=10 * tolerance)


@pytest.mark.parametrize("boundary, cell", WINDOWED, ids=["oblique", "upright", "open"])
@pytest.mark.parametrize("axis", range(3))
def test_ranks_and_short_windows(few_modes, axis, boundary, cell):
    field = noise((48, 40, 43), np.float64, cell, boundary)
    alone = gh.scale_report(field, [7.0])
    for part in on_ranks(field, 3, lambda part: gh.scale_report(part, [7.0]), axis):
        same(part, alone, 1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", "CF")
def test_planes_and_extrema_are_those_of_numpy(order, dtype):
    values = np.array(100.3 + np.random.default_rng(5).standard_normal((20, 24, 30)), dtype=dtype, order=order)
    found = gh.scale_report(gh.Field.from_array(values, np.diag([10.0, 12.0, 15.0])), [2.0])
    exact = values.astype(np.float64)
    for axis, profile in enumerate(found.profiles):
        others = tuple(i for i in range(3) if i != axis)
        assert profile.planes == "abc"[axis]
        np.testing.assert_allclose(profile.values, exact.mean(axis=others), rtol=0, atol=5e-8)
        np.testing.assert_allclose(found.in_plane_std[axis], exact.std(axis=others), rtol=1e-6)
    assert (found.smallest, found.largest) == (values.min(), values.max())
    assert (found.mean, found.std) == pytest.approx((exact.mean(), exact.std()), rel=1e-10)


@pytest.mark.parametrize("shape", [(48, 40, 44), (47, 41, 43)])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_the_spectrum_is_that_of_the_whole_transform(shape, dtype, tolerance):
    field = noise(shape, dtype)
    found, whole = gh.scale_report(field, [3.0]).scales, gh.scales(field)
    assert len(found.k) > 50 and found.k[-1] > found.k[-2]
    places = [int(np.argmin(np.abs(whole.k - k))) for k in found.k[:-5]]  # shells below the cut
    np.testing.assert_allclose(found.k[:-5], whole.k[places], rtol=1e-12)
    np.testing.assert_array_equal(found.modes[:-5], whole.modes[places])
    np.testing.assert_allclose(found.power[:-5], whole.power[places], rtol=tolerance)
    assert found.power.sum() == pytest.approx(whole.power.sum(), rel=1e-5)
    assert found.modes.sum() == field.values.size - 1


# --- one read ------------------------------------------------------------------------------------------------------


def same(part, whole, tolerance):
    for name in part.columns:
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name), rtol=tolerance, atol=tolerance)
    assert (part.mean, part.std, part.smallest) == pytest.approx((whole.mean, whole.std, whole.smallest), rel=tolerance)
    np.testing.assert_allclose(part.scales.power, whole.scales.power, rtol=10 * tolerance, atol=tolerance**2)
    for one, other in zip(part.at, whole.at, strict=True):
        np.testing.assert_allclose(one.variance.values, other.variance.values, rtol=0, atol=10 * tolerance)


@pytest.mark.parametrize("boundary", ["periodic", "p,p,o"])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-11), (np.float32, 1e-5)])
@pytest.mark.parametrize("axis", range(3))
def test_ranks_find_the_same(axis, dtype, tolerance, boundary):
    field = noise((24, 20, 22), dtype, OBLIQUE / 2, boundary)
    alone = gh.scale_report(field, [2.0, gh.PowerLaw(3.0)])
    for part in on_ranks(field, 3, lambda part: gh.scale_report(part, [2.0, gh.PowerLaw(3.0)]), axis):
        same(part, alone, tolerance)


def test_more_ranks_than_planes():
    field = noise((3, 24, 24), cell=np.diag([3.0, 12.0, 12.0]))
    alone = gh.scale_report(field, [2.5])
    for part in on_ranks(field, 5, lambda part: gh.scale_report(part, [2.5])):
        same(part, alone, 1e-11)


@pytest.mark.parametrize("boundary", ["periodic", "p,p,o"])
@pytest.mark.parametrize("dtype, tolerance", [(np.float64, 1e-11), (np.float32, 1e-5)])
def test_a_field_that_is_not_in_memory_is_read_once(few_modes, tmp_path, boundary, dtype, tolerance):
    values = noise((40, 20, 22), dtype).values
    path = gh.write(gh.Field.from_array(values, OBLIQUE, boundary=boundary), tmp_path / "field.h5")
    alone = gh.scale_report(gh.read(path), KERNELS)
    field = gh.read(path, max_memory="4GB")
    read, planes = field.values.stream.read, []
    field.values.stream.read = lambda start, stop: planes.append(stop - start) or read(start, stop)
    same(gh.scale_report(field, KERNELS), alone, tolerance)
    beforehand = 4 if boundary == "periodic" else 0  # planes for a number near the mean
    assert sum(planes) == 40 + beforehand


def test_an_array_is_gone_through_once_in_chunks(monkeypatch):
    from gpuhomog.device import CPU

    field = noise((40, 20, 22), device=CPU(1))
    seen = []
    moments, contract = CPU.planar_moments, CPU.contract_taps

    def count(method, name):
        return lambda self, values, *arguments: seen.append((name, len(values))) or method(self, values, *arguments)

    monkeypatch.setattr(CPU, "cache_chunk", 20 * 22 * 8 * 8)
    monkeypatch.setattr(CPU, "planar_moments", count(moments, "moments"))
    monkeypatch.setattr(CPU, "contract_taps", count(contract, "taps"))
    gh.scale_report(field, [3.0, 4.0, 5.0, 6.0])
    assert sum(n for name, n in seen if name == "moments") == 40
    assert sum(n for name, n in seen if name == "taps") == 80  # values and squares
    assert max(n for _, n in seen) == 8


def test_fields_in_memory_wait_for_nobody_who_takes_turns():
    from gpuhomog.streaming import in_turns

    field = noise((24, 20, 22))
    alone = [gh.scale_report(field, eps) for eps in (3.0, 4.0)]
    found = in_turns([lambda eps=eps: gh.scale_report(field, eps) for eps in (3.0, 4.0)], lambda: None)
    for one, other in zip(found, alone, strict=True):
        same(one, other, 1e-12)


def test_reproducible_fields_have_the_same_bits_on_any_number_of_ranks():
    from dataclasses import replace

    field = replace(noise((18, 16, 16), cell=9.0 * np.eye(3)), reproducible=True)
    alone = gh.scale_report(field, [2.5])
    assert np.isfinite(alone.low).all()
    for size in (2, 3):
        for part in on_ranks(field, size, lambda part: gh.scale_report(part, [2.5])):
            np.testing.assert_array_equal(part.at[0].average.values, alone.at[0].average.values)
            np.testing.assert_array_equal(part.profiles[2].values, alone.profiles[2].values)


@pytest.mark.parametrize("boundary", ["periodic", "p,p,o"])
def test_nothing_is_copied_to_the_host_unasked(few_modes, boundary):
    field = noise((24, 20, 22), boundary=boundary)
    strict = noise((24, 20, 22), boundary=boundary, device=StrictDevice())
    same(gh.scale_report(strict, KERNELS), gh.scale_report(field, KERNELS), 1e-12)


# --- what is said --------------------------------------------------------------------------------------------------


def test_tables_columns_and_files(tmp_path):
    found = gh.scale_report(noise((24, 20, 22)), [3.0, 4.5])
    text = str(found)
    assert "eps 4.5 Å" in text and "local std" in text and "recommended eps" in text
    lines = gh.write(found, tmp_path / "widths.csv").read_text().splitlines()
    rows = [line for line in lines if not line.startswith("#")]
    assert rows[0].split(",") == list(found.columns) and len(rows) == 3
    assert float(rows[2].split(",")[0]) == 4.5
    assert found.to_dict()["profiles"][0]["planes"] == "a"
    assert found.at[0].variance.quantity == "scalar"


def test_refusals(tmp_path):
    field = noise((24, 20, 22))
    for kernels, error, words in (
        ([], InputError, "No kernels"),
        ([gh.Box(4.0)], KernelError, "A box keeps something of waves of every length"),
        ([3.0, gh.Ball(4.0)], KernelError, "A ball keeps"),
        ([1.5], KernelError, r"eps = 1.5 Å is below two samples \(1.* Å each\)"),
    ):
        with pytest.raises(error, match=words):
            gh.scale_report(field, kernels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AccuracyWarning, match="exceeds a quarter of the period along a"):
            gh.scale_report(field, 8.0)
    with pytest.warns(AccuracyWarning, match="exceeds a quarter") as told:
        gh.scale_report(field, [9.0, 8.0, 10.0])
    assert [str(one.message)[:9] for one in told if "quarter" in str(one.message)] == ["eps = 8 Å"]  # and no other
    with pytest.raises(InputError, match="Grid of one point"):
        gh.scale_report(gh.Field.from_array(np.ones((1, 1, 1)), np.eye(3)), 1.0)
    with pytest.raises(InputError, match="float32 cannot hold their squares"):  # which would all be 0
        gh.scale_report(gh.Field.from_array(1e-25 * noise((24, 20, 22)).values.astype("f4"), field.grid.cell), 3.0)
    path = gh.write(noise((64, 64, 64), cell=64.0 * np.eye(3)), tmp_path / "field.h5")
    with pytest.raises(InputError, match=r"The scale report needs all values of .* give larger eps"):
        unread = gh.read(path, max_memory="4GB")
        unread.values.stream.run.room = lambda: 10_000
        gh.scale_report(unread, [2.5])
