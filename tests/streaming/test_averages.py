"""Averages of fields on disk, against the same averages of arrays, and against what is known of a wave."""

from math import floor

import numpy as np
import pytest
from planes_read import planes_read
from ranks import together

import gpuhomog as gh
from gpuhomog.errors import InputError
from gpuhomog.streaming import Limit, Run, Unread, in_turns, running

pytestmark = pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
SHAPE = (30, 21, 25)
OBLIQUE = np.array([[30.0, 0, 0], [5.0, 21, 0], [1.5, 2.0, 25]])
KERNELS = {"gaussian": gh.Gaussian(7.0), "box": gh.Box((5.3, 7.0, 4.4)), "tophat": gh.TopHat(3.0)}


@pytest.fixture(params=["C", "F"])
def values(request, rng):
    return np.asarray(rng.normal(size=SHAPE) + 3.0, order=request.param)


def close(streamed, array):
    scale = np.abs(array.values).max()
    np.testing.assert_allclose(streamed.values, array.values, rtol=0, atol=2e-14 * scale)
    assert (streamed.grid.cell == array.grid.cell).all() and (streamed.grid.origin == array.grid.origin).all()
    assert streamed.unit == array.unit and streamed.quantity == array.quantity


def passes_of(field):
    """How often the planes of a field are read from now on, all in all."""
    read = planes_read(field)
    return lambda: read() / field.values.stream.slab.n


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("spacing", [None, 4.0, (31.0, 2.5, 7.0)])
@pytest.mark.parametrize("boundary", ["p,p,p", "o,p,o"])
@pytest.mark.parametrize("sampling", ["bandlimited", "cell"])
def test_orthogonal_cells(stored, small_chunks, values, name, spacing, boundary, sampling):
    path, kernel = stored(values), KERNELS[name]
    small_chunks(4 * 21 * 25 * 8)
    how = {"spacing": spacing, "outside": 0.25 if "o" in boundary else 0.0, "sampling": sampling}
    array, field = gh.read(path, boundary=boundary), gh.read(path, boundary=boundary, max_memory="4GB")
    read = passes_of(field)
    close(gh.average(field, kernel, **how), gh.average(array, kernel, **how))
    assert read() == 1


@pytest.mark.parametrize("name", ["gaussian", "box"])
@pytest.mark.parametrize("spacing", [None, 4.0])
def test_oblique_cells(stored, small_chunks, values, name, spacing):
    path = stored(values, OBLIQUE)
    small_chunks(4 * 21 * 25 * 8)
    array, field = gh.read(path), gh.read(path, max_memory="4GB")
    kernel = KERNELS[name]
    close(gh.average(field, kernel, spacing=spacing), gh.average(array, kernel, spacing=spacing))


@pytest.mark.parametrize("cell", [np.diag([30.0, 21, 25]), OBLIQUE], ids=["orthogonal", "oblique"])
@pytest.mark.parametrize("boundary", ["p,p,p", "p,o,p"])
def test_mean_and_variance_under_two_kernels_in_one_pass(stored, small_chunks, values, cell, boundary):
    path = stored(values, cell)
    small_chunks(4 * 21 * 25 * 8)
    array, field = gh.read(path, boundary=boundary), gh.read(path, boundary=boundary, max_memory="4GB")
    kernels = [gh.Gaussian(7.0), gh.Box(6.0)]
    how = {"spacing": 4.0, "outside": 3.0 if "o" in boundary else 0.0}
    read = passes_of(field)
    streamed = gh.averages_and_variances(field, kernels, **how)
    assert read() == pytest.approx(1, abs=0.3)  # and a few planes for the centre
    for pair, other in zip(streamed, gh.averages_and_variances(array, kernels, **how), strict=True):
        close(pair[0], other[0])
        np.testing.assert_allclose(pair[1].values, other[1].values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", [np.diag([30.0, 21, 25]), OBLIQUE], ids=["orthogonal", "oblique"])
def test_gradients(stored, small_chunks, values, cell):
    path = stored(values, cell)
    small_chunks(4 * 21 * 25 * 8)
    array, field = gh.read(path), gh.read(path, max_memory="4GB")
    read = passes_of(field)
    for one, other in zip(
        gh.average_gradient(field, gh.Gaussian(7.0), spacing=4.0),
        gh.average_gradient(array, gh.Gaussian(7.0), spacing=4.0),
        strict=True,
    ):
        close(one, other)
    assert read() == 1


def test_a_wave_is_damped_as_the_theory_says(stored, small_chunks):
    x = np.arange(48) * 0.5
    wave = np.cos(2 * np.pi * 3 * x / 24)[:, None, None] * np.ones((1, 10, 12))
    small_chunks(5 * 10 * 12 * 8)
    field = gh.read(stored(wave, np.diag([24.0, 5.0, 6.0])), max_memory="4GB")
    smooth = gh.average(field, gh.Gaussian(2.0), spacing=2.0)
    k = 2 * np.pi * 3 / 24
    expected = np.exp(-(k**2) * 2.0**2 / 8) * np.cos(k * smooth.grid.plane_positions(0))
    np.testing.assert_allclose(smooth.values, expected[:, None, None] * np.ones(smooth.values.shape), atol=1e-13)


def little_room(monkeypatch):
    """Nothing but the modes fits."""
    monkeypatch.setattr(Run, "room", lambda self: 8 * 20**3)


@pytest.mark.parametrize("cell", [np.diag([30.0, 21, 25]), OBLIQUE], ids=["orthogonal", "oblique"])
def test_results_larger_than_memory_are_made_as_they_are_written(
    stored, small_chunks, values, cell, monkeypatch, tmp_path
):
    path = stored(values, cell)
    small_chunks(4 * 21 * 25 * 8)
    array, field = gh.read(path), gh.read(path, max_memory="4GB")
    little_room(monkeypatch)
    kernel = gh.Gaussian(12.0)
    read = passes_of(field)
    smooth, whole = gh.average(field, kernel), gh.average(array, kernel)
    assert isinstance(smooth.values, Unread) and smooth.values.shape == SHAPE
    assert smooth.extrema() == pytest.approx(whole.extrema(), rel=1e-13)
    suffix = ".npz" if values.flags.f_contiguous else ".h5"
    written = gh.read(gh.write(smooth, tmp_path / f"smooth{suffix}"))
    np.testing.assert_allclose(written.values, whole.values, rtol=0, atol=1e-13)
    assert read() == 1
    with pytest.raises(InputError, match=r"average with a box on 30 x 21 x 25 points needs all values.*larger spacing"):
        gh.average(gh.read(path, boundary="o,p,p", max_memory="4GB"), gh.Box(5.0))


@pytest.mark.parametrize("reproducible", [False, True])
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("cell", [np.diag([30.0, 21, 25]), OBLIQUE], ids=["orthogonal", "oblique"])
def test_ranks_find_what_one_process_finds(stored, small_chunks, values, cell, size, reproducible):
    path = stored(values, cell)
    small_chunks(3 * 21 * 25 * 8)
    array = gh.read(path, reproducible=reproducible)
    kernel = gh.Gaussian(7.0)
    expected = gh.average(array, kernel, spacing=4.0).values
    axis = array.slab.axis

    def streamed(comm):
        field = gh.read(path, max_memory="4GB", comm=comm, reproducible=reproducible)
        part = gh.average(field, kernel, spacing=4.0)
        assert part.values.shape == part.slab.local_shape(part.grid.shape)
        return part.values

    joined = np.concatenate(together(size, streamed), axis=axis)
    np.testing.assert_allclose(joined, expected, rtol=0, atol=2e-14 * np.abs(expected).max())
    if reproducible and cell is not OBLIQUE:  # there transforms of slabs round otherwise than those of the whole
        assert (joined == expected).all()


@pytest.mark.parametrize("planes", [1, 7, 100])
def test_reproducible_averages_have_the_bits_of_the_array_whatever_the_chunks(stored, small_chunks, values, planes):
    path = stored(values)
    small_chunks(planes * 21 * 25 * 8)
    array, field = gh.read(path, reproducible=True), gh.read(path, reproducible=True, max_memory="4GB")
    for kernel in KERNELS.values():
        one, other = gh.average(field, kernel, spacing=4.0), gh.average(array, kernel, spacing=4.0)
        assert (one.values == other.values).all()
    finer = (2.0, 0.7, 0.6)  # more points in a plane than there were
    one, other = (gh.average(some, KERNELS["box"], spacing=finer) for some in (field, array))
    assert (one.values == other.values).all()


def test_a_limit_says_what_may_be_in_memory_whole():
    assert Run(Limit(1)).room() == 0 and Run().room() > 2**58


@pytest.mark.parametrize("sampling", ["cell", "bandlimited"])
@pytest.mark.parametrize("boundary", ["p,p,p", "o,p,p", "p,p,o", "p,o,p"])
@pytest.mark.parametrize("kernel", [gh.Box((7.3, 5.0, 6.5)), gh.Box((11.0, 14.0, 9.9))], ids=["narrow", "wide"])
def test_running_sums_at_every_point_read_each_plane_once_and_a_halo(
    stored, small_chunks, values, sampling, boundary, kernel, monkeypatch, tmp_path
):
    path = stored(values)
    small_chunks(4 * 21 * 25 * 8)
    how = {"sampling": sampling, "method": "sums", "outside": 0.5 if "o" in boundary else 0.0}
    if sampling == "bandlimited" and kernel.along(1).full_width < 6:
        pytest.skip("the end stencils of a window so narrow overlap: there is no running sum")
    array, field = gh.read(path, boundary=boundary), gh.read(path, boundary=boundary, max_memory="4GB")
    monkeypatch.setattr(Run, "room", lambda self: 30 * 25 * 8)  # not the result
    smooth, whole = gh.average(field, kernel, **how), gh.average(array, kernel, **how)
    assert isinstance(smooth.values, Unread)
    read = passes_of(field)
    written = gh.read(gh.write(smooth, tmp_path / "smooth.npz"))
    np.testing.assert_allclose(written.values, whole.values, rtol=0, atol=1e-13 * np.abs(whole.values).max())
    n, width = whole.grid.shape[whole.slab.axis], kernel.along(whole.slab.axis).full_width
    halo = floor(width / 2 + 0.5) - floor(0.5 - width / 2) + (8 if sampling == "bandlimited" else 0)  # end stencils
    assert read() == pytest.approx(1 + halo / n)
    assert smooth.extrema() == pytest.approx(whole.extrema(), rel=1e-13)  # found while writing
    assert read() == pytest.approx(1 + halo / n)
    for start, stop in ((9, 12), (3, 5), (5, 8), (0, 2)):  # in any order, too
        here = tuple(slice(start, stop) if axis == whole.slab.axis else slice(None) for axis in range(3))
        np.testing.assert_allclose(smooth.values[here], whole.values[here], rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_running_sums_on_ranks(stored, small_chunks, values, size, monkeypatch):
    path, kernel = stored(values), gh.Box(5.0)
    small_chunks(2 * 21 * 25 * 8)
    how = {"sampling": "cell", "method": "sums"}
    whole = gh.average(gh.read(path), kernel, **how)
    monkeypatch.setattr(Run, "room", lambda self: 30 * 25 * 8)

    def streamed(comm):
        part = gh.average(gh.read(path, max_memory="4GB", comm=comm), kernel, **how)
        assert isinstance(part.values, Unread)
        return part.values[:, :, :]

    joined = np.concatenate(together(size, streamed), axis=whole.slab.axis)
    np.testing.assert_allclose(joined, whole.values, rtol=0, atol=1e-13)


def test_ranks_whose_slabs_differ_send_each_other_the_same_things(stored, rng):
    """12 and 13 planes onto 4: of the two ways to put chunks together each is the smaller one on one of the ranks."""
    values = rng.normal(size=(25, 16, 16))
    path, kernels, how = stored(values), (gh.Box(6.0), gh.Box(8.0)), {"spacing": (25 / 4, 4.0, 4.0)}

    def streamed(comm):
        run = Run(Limit(4 * 10**9))
        with running(run):
            field = gh.read(path, max_memory="4GB", comm=comm)

        def averaged(kernel):
            part = gh.average(field, kernel, **how)
            return part.values, part.mean()  # ranks talk before the next average goes on

        return in_turns([lambda kernel=kernel: averaged(kernel) for kernel in kernels], run.answer)

    ranks = together(2, streamed)
    for number, kernel in enumerate(kernels):
        expected = gh.average(gh.read(path), kernel, **how)
        joined = np.concatenate([rank[number][0] for rank in ranks])
        np.testing.assert_allclose(joined, expected.values, rtol=0, atol=1e-14)
        assert ranks[0][number][1] == pytest.approx(expected.mean(), abs=1e-14)


@pytest.mark.parametrize(("kernel", "how"), [
    (gh.Gaussian(14.0), {}), (gh.Box(5.0), {"sampling": "cell", "method": "sums"}),
], ids=["low modes", "sums"])  # fmt: skip
@pytest.mark.parametrize("poor", [0, 1])
def test_a_result_is_read_later_on_all_ranks_if_one_has_not_the_memory(stored, values, kernel, how, poor):
    path = stored(values)
    whole = gh.average(gh.read(path), kernel, **how)

    def streamed(comm):
        run = Run(Limit(4 * 10**9))
        run.room = lambda: 60_000 if comm.rank == poor else 10**9  # enough for the modes
        with running(run):
            part = gh.average(gh.read(path, max_memory="4GB", comm=comm), kernel, **how)
        assert isinstance(part.values, Unread)
        return part.values[:, :, :]

    joined = np.concatenate(together(2, streamed), axis=whole.slab.axis)
    np.testing.assert_allclose(joined, whole.values, rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", ["C", "F"])
def test_reproducible_variances_have_the_same_bits_for_any_ranks(stored, rng, order):
    values = np.asarray(rng.normal(size=(13, 11, 14)) * 10.0 ** rng.integers(-3, 3, size=(13, 11, 14)), order=order)
    path, bits = stored(values), set()
    for size in (1, 2, 3, 5):

        def streamed(comm):
            field = gh.read(path, max_memory="4GB", comm=comm, reproducible=True)
            return [part.values for part in gh.average_and_variance(field, gh.Box(5.0), spacing=2.0)]

        ranks = together(size, streamed)
        axis = 0 if order == "C" else 2
        bits.add(tuple(np.concatenate([rank[which] for rank in ranks], axis=axis).tobytes() for which in range(2)))
    assert len(bits) == 1


def test_a_rank_without_memory_for_a_plane_ends_the_writing_of_all(stored, values, tmp_path):
    path = stored(values)

    def written(comm):
        field = gh.read(path, max_memory="4GB", comm=comm)
        if comm.rank == 1:
            field.values.stream.run.limit = Limit(1)
        try:
            gh.write(field, tmp_path / "copy.npz")
        except InputError as error:
            return str(error)
        return None

    told = together(3, written)
    assert len(set(told)) == 1 and told[0].startswith("rank 1 of 3: ") and "not enough" in told[0]
    assert not (tmp_path / "copy.npz").exists()


def test_a_file_is_converted_with_one_read(stored, small_chunks, values, tmp_path):
    path = stored(values, quantity="charge_density", unit="e/bohr^3")
    small_chunks(4 * 21 * 25 * 8)
    field, array = gh.read(path, max_memory="4GB"), gh.read(path)
    read = passes_of(field)
    written = gh.read(gh.write(field, tmp_path / "copy.npz"))
    assert (written.values == array.values).all()
    assert field.extrema() == array.extrema() and field.mean() == pytest.approx(array.mean(), rel=1e-14)
    assert read() == 1
    other = ".h5" if values.flags.f_contiguous else ".xsf"
    with pytest.raises(InputError, match=r"made of planes of [ac], needs all values .* write .npz"):
        gh.write(gh.read(path, max_memory="4GB"), tmp_path / f"copy{other}")
    assert not (tmp_path / f"copy{other}").exists()
