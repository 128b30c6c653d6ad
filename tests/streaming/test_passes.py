"""Passes over fields on disk: the numbers of the arrays themselves, each file read once, refusals."""

import subprocess
import sys

import numpy as np
import pytest
from ranks import together

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError
from gpuhomog.field import Field
from gpuhomog.reduction import LEAST, OWN, SUM, Reduction
from gpuhomog.streaming import Limit, Run, in_turns, memory, passes, running

SHAPE = (23, 11, 9)
PLANE = 11 * 9 * 8


def reads_of(field):
    """Plane ranges that are read from now on."""
    stream, seen = field.values.stream, []
    read = stream.read

    def noting(start, stop):
        seen.append((start, stop))
        return read(start, stop)

    stream.read = noting
    return seen


@pytest.fixture(params=["C", "F"])
def values(request, rng):
    return np.asarray(rng.normal(size=SHAPE) + 3.0, order=request.param)


@pytest.mark.parametrize("planes", [1, 4, 7, 100])
def test_sums_and_extrema_of_a_file_are_those_of_the_array(stored, small_chunks, values, planes):
    small_chunks(planes * (PLANE if values.flags.c_contiguous else 23 * 11 * 8))
    field = gh.read(stored(values), max_memory="4GB")
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        np.testing.assert_allclose(field.plane_sums(axis), values.sum(axis=others), rtol=1e-13)
    assert field.extrema() == (values.min(), values.max())
    assert field.mean() == pytest.approx(values.mean(), rel=1e-14)
    assert field.values.shape == SHAPE and field.values.strides == values.strides


def test_a_first_reduction_brings_extrema_and_mean_with_it_and_each_plane_is_read_once(stored, small_chunks, values):
    small_chunks(5 * PLANE)
    field = gh.read(stored(values), max_memory="4GB")
    seen = reads_of(field)
    field.plane_sums("b")
    n = SHAPE[0] if values.flags.c_contiguous else SHAPE[2]
    assert [plane for start, stop in seen for plane in range(start, stop)] == list(range(n))
    assert len(seen) > 1
    field.extrema(), field.mean(), field.integral(), field.plane_sums("b")
    assert len([plane for start, stop in seen for plane in range(start, stop)]) == n


def test_tasks_that_take_turns_share_one_pass(stored, small_chunks, values):
    small_chunks(5 * PLANE)
    run = Run(Limit(4 * 10**9))
    with running(run):
        field = gh.read(stored(values), max_memory="4GB")
    seen = reads_of(field)
    found = in_turns([lambda axis=axis: field.plane_sums(axis) for axis in range(3)], run.answer)
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        np.testing.assert_allclose(found[axis], values.sum(axis=others), rtol=1e-13)
    n = SHAPE[0] if values.flags.c_contiguous else SHAPE[2]
    assert sum(stop - start for start, stop in seen) == n


def test_arithmetic_with_numbers_is_done_to_the_planes_as_they_come(stored, small_chunks, values):
    small_chunks(5 * PLANE)
    path = stored(values, quantity="charge_density", unit="e/bohr^3")
    field, whole = gh.read(path, max_memory="4GB"), gh.read(path)
    assert field.unit == whole.unit == "e/Å^3"
    for one, other in ((field, whole), (field.to("e/bohr^3"), whole.to("e/bohr^3"))):
        assert one.extrema() == other.extrema()
        np.testing.assert_allclose(one.plane_sums("c"), other.plane_sums("c"), rtol=1e-13)
    energy = stored(values, quantity="electron_potential_energy", unit="eV", name="energy.npy")
    potential = gh.electrostatic_potential(gh.read(energy, max_memory="4GB"))
    assert potential.extrema() == (-values.max(), -values.min())


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("planes", [1, 3, 100])
def test_reproducible_sums_have_the_same_bits_for_any_chunks_and_ranks(stored, small_chunks, rng, size, planes):
    values = rng.normal(size=(13, 6, 5)) * 10.0 ** rng.integers(-8, 8, size=(13, 1, 1))
    path = stored(values)
    in_memory = gh.read(path, reproducible=True)
    small_chunks(planes * 6 * 5 * 8)

    def streamed(comm):
        field = gh.read(path, max_memory="4GB", reproducible=True, comm=comm)
        return [field.plane_sums(axis) for axis in range(3)]

    for rank in together(size, streamed):
        for axis in range(3):
            assert (rank[axis] == in_memory.plane_sums(axis)).all()


def test_ranks_read_their_own_planes_and_more_ranks_than_planes_are_fine(stored, small_chunks, rng):
    values = rng.normal(size=(3, 6, 5))
    path = stored(values)
    small_chunks(6 * 5 * 8)

    def streamed(comm):
        field = gh.read(path, max_memory="4GB", comm=comm)
        seen = reads_of(field)
        return field.plane_sums("a"), field.plane_sums("c"), field.extrema(), seen

    ranks = together(5, streamed)
    read = sorted(plane for *_, seen in ranks for start, stop in seen for plane in range(start, stop))
    assert read == [0, 0, 1, 1, 2, 2]  # two passes: nothing is asked together here
    for along_a, along_c, extrema, _ in ranks:
        np.testing.assert_allclose(along_a, values.sum(axis=(1, 2)), rtol=1e-13)
        np.testing.assert_allclose(along_c, values.sum(axis=(0, 1)), rtol=1e-13)
        assert extrema == (values.min(), values.max())


def test_what_is_not_finite_is_refused_with_its_place_before_anything_is_given(stored, small_chunks, values):
    values[17, 3, 8] = np.nan
    small_chunks(2 * PLANE)
    field = gh.read(stored(values), max_memory="4GB")
    with pytest.raises(InputError, match=r"first at \[17, 3, 8\].*Repair"):
        field.plane_sums("c")


def test_a_review_hears_of_the_first_pass(small_chunks, tmp_path):
    """A charge density under the name of a CHGCAR, half of it negative, is what its reader warns of."""
    cell = "5.0 0 0\n0 5.0 0\n0 0 5.0\n"
    numbers = np.where(np.arange(4 * 4 * 6) % 2, -1.0, 1.0) * 125 + 0.5
    rows = "\n".join(" ".join(f"{v:17.11E}" for v in row) for row in numbers.reshape(-1, 4))
    path = tmp_path / "CHGCAR"
    path.write_text(f"x\n1.0\n{cell}H\n1\nDirect\n0 0 0\n\n4 4 6\n{rows}\n")
    small_chunks(4 * 4 * 8)
    told = []
    for options in ({}, {"max_memory": "4GB"}):
        try:
            gh.read(path, **options).mean()
        except (FileFormatError, InputError) as error:
            told.append(str(error))
    assert len(told) == 2 and told[0] == told[1]


def test_other_uses_are_refused_in_one_sentence(stored, values):
    field = gh.read(stored(values), max_memory="4GB")
    for use in (
        lambda: np.asarray(field.values),
        lambda: field.values.ravel(),
        lambda: field.values[3],
        lambda: field.values[:, 1:3],
        lambda: field.values + values,
        lambda: list(field.values),
        lambda: field.device.planar_sum(field.values, 0),
    ):
        with pytest.raises(InputError, match=r"needs all values of field.npy at once .* on several ranks perhaps\."):
            use()
    with pytest.raises(InputError, match=r"average with a ball .* take a Gaussian or a box, or leave that out"):
        gh.average(gh.read(stored(values), boundary="open", max_memory="4GB"), gh.Ball(2.0))


def test_what_unread_values_lack_is_lacking_to_python_too(stored, values):
    unread = gh.read(stored(values), max_memory="4GB").values
    assert not hasattr(unread, "ravel") and getattr(unread, "__cuda_array_interface__", None) is None
    assert getattr(unread, "flags", "nothing") == "nothing" and hasattr(unread, "shape")


def test_ranks_whose_mpi_knows_no_threads_are_refused_where_threads_would_call_it(stored, values):
    path = stored(values)

    def read(comm, **how):
        comm.why_no_turns = lambda: "MPI 0.1 serves no other thread than the first"
        return gh.read(path, comm=comm, **how).mean()

    assert together(2, read) == pytest.approx([values.mean()] * 2)
    with pytest.raises(InputError, match=r"on 2 ranks .* but MPI 0\.1 serves no other thread .*: read without max_"):
        together(2, lambda comm: read(comm, max_memory="4GB"))


def test_what_was_taken_since_the_start_counts_once(monkeypatch):
    limit, mega = Limit(200 * 2**20, at_start=100 * 2**20), 2**20
    for resident, free in ((100, 76), (110, 76), (118, 76), (150, 44), (90, 86)):
        monkeypatch.setattr(memory, "resident_bytes", lambda resident=resident: resident * mega)
        assert limit.free() == free * mega


def test_planes_a_chunk_by_hand(monkeypatch):
    """76 MiB are free; results of 4 MiB leave 64 for six chunks, of 25 MiB one, where a plane takes six."""
    mega = 2**20
    monkeypatch.setattr(memory, "resident_bytes", lambda: 100 * mega)
    limit = Limit(200 * mega, at_start=100 * mega)
    for chunk, n_planes, planes in ((None, 90, 8), (100 * mega, 90, 10), (100 * mega, 7, 7), (mega // 2, 90, 1)):
        assert limit.planes_at_once(mega, n_planes, 4 * mega, "x", chunk) == planes
    assert limit.planes_at_once(mega, 90, 4 * mega, "x", 100 * mega, 16) == 4
    for known, least, rest in ((None, 200 + 6 - 1, ""), (3, 300, ", for all that follows"), (2, 205, "")):
        limit = Limit(200 * mega, 100 * mega, known and (lambda own, known=known: known * own))
        enough = -(-(least + 4) * mega // 10**6)  # 4 MiB more than a program differs from itself
        with pytest.raises(InputError, match=rf"^x: 210 MB of .*: give max_memory of at least {enough}MB{rest}\.$"):
            limit.planes_at_once(mega, 90, 25 * mega, "x")


SEVERAL_PASSES = """
import sys, warnings
from pathlib import Path
import gpuhomog as gh
import scipy.fft
warnings.simplefilter("ignore")
try:
    gh.read("field.npy", max_memory="1MB")
except gh.errors.InputError as error:
    least = int(str(error).split("at least ")[1].split("MB")[0]) + int(sys.argv[1])
field = gh.read("field.npy", max_memory=f"{least}MB")
for count in range(1, 4):
    gh.planar_average(field, (count, 1, 1))
    gh.average_and_variance(field, gh.Gaussian(20.0 * count), spacing=16.0)
lines = Path("/proc/self/status").read_text().splitlines()
print(least, next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell the memory of a process")
@pytest.mark.parametrize("more", [1, 12])
def test_later_passes_fit_where_the_first_did_and_hold_the_limit(stored, rng, more):
    """What the first pass left behind is not charged for twice."""
    path = stored(rng.normal(size=(160, 160, 160)))
    words = [sys.executable, "-c", SEVERAL_PASSES, str(more)]
    ended = subprocess.run(words, cwd=path.parent, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr
    least, peak = map(int, ended.stdout.split())
    assert peak <= least * 10**6


def test_some_planes_of_the_slab_are_an_array(stored, values):
    field = gh.read(stored(values), max_memory="4GB")
    if values.flags.c_contiguous:
        assert (field.values[4:6] == values[4:6]).all() and (field.values[:, :, :][2] == values[2]).all()
    else:
        assert (field.values[:, :, 4:6] == values[:, :, 4:6]).all()


def test_too_little_memory_is_refused_with_the_least_that_is_enough(stored, values):
    path = stored(values)
    with pytest.raises(InputError, match=r"1 MB of memory are not enough.*at least ([0-9]+)MB") as refusal:
        gh.read(path, max_memory="1MB")
    least = int(str(refusal.value).split("at least ")[1].split("MB")[0])
    assert memory.resident_bytes() < least * 10**6 < memory.resident_bytes() + 10**8
    assert gh.read(path, max_memory=f"{least + 20}MB").mean() == pytest.approx(values.mean())


@pytest.mark.parametrize("given", ["much", "-3GB", "0", "8XB", True, ""])
def test_amounts_of_memory_that_are_none_are_refused(given):
    with pytest.raises(InputError, match="no amount of memory"):
        memory.parse_bytes(given)


def test_rules_of_reductions_over_chunks(stored, small_chunks, values):
    """A reduction of its own kind: Σ value² and the least of each row of the last axis."""
    small_chunks(3 * PLANE)
    field = gh.read(stored(values), max_memory="4GB")
    reduction = Reduction(
        "squares and least",
        lambda device, some, slab: (np.array([(some**2).sum()]), some.min(axis=(0, 1))),
        (SUM, LEAST),
    )
    if values.flags.c_contiguous:  # else the last axis is the one that is split
        squares, least = field.reduce(reduction)
        assert squares[0] == pytest.approx((values**2).sum(), rel=1e-13)
        assert (least == values.min(axis=(0, 1))).all()


def test_an_unread_field_is_one(stored, values):
    field = gh.read(stored(values), max_memory="4GB", dtype=np.float32)
    assert isinstance(field, Field) and field.values.dtype == np.float32 and field.values.nbytes == 4 * values.size


def test_ranks_remember_alike_what_is_small_on_some_of_them(stored, values, monkeypatch):
    """11 and 12 planes: a copy of the field is remembered on both ranks or on none, or only one would read again."""
    path = stored(values)
    axis = 0 if values.flags.c_contiguous else 2
    n, plane = values.shape[axis], values[:1].nbytes if axis == 0 else values[:, :, :1].nbytes
    monkeypatch.setattr(passes, "SMALL", n // 2 * plane)
    copy = Reduction("copy", lambda device, some, slab: (device.copy(some),), (OWN,))

    def streamed(comm):
        field = gh.read(path, max_memory="4GB", comm=comm)
        first, again = field.reduce(copy)[0], field.reduce(copy)[0]
        assert (first == again).all() and comm.gather("asked twice") == ["asked twice"] * 2
        return again

    assert (np.concatenate(together(2, streamed), axis=axis) == values).all()
