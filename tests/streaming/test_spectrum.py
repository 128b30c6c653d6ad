"""Potentials and averages of fields whose spectrum is on the disk: the numbers, the memory, what is left there."""

import errno
import gc
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gaussian_charges import density, points
from ranks import together
from scipy.special import erf

import gpuhomog as gh
from gpuhomog.device.cpu.kept import TABLES
from gpuhomog.errors import InputError, Stopped
from gpuhomog.operators.potentials import cavity
from gpuhomog.streaming import Limit, Run, in_turns, running, scratch, spectrum, stops
from gpuhomog.units import COULOMB_CONSTANT

SHAPE = (13, 14, 15)
CELL = np.diag([8.0, 8.4, 9.0])
LEANING = np.array([[8.0, 0.0, 0.0], [1.2, 8.4, 0.0], [-0.5, 0.8, 9.0]])
BLOBS = [(1.0, 0.65, (4.1, 4.0, 4.5)), (-1.0, 0.6, (3.9, 4.4, 4.4))]
BOUNDARIES = ["periodic", "p,p,o", "o,p,p", "p,o,p", "o,o,p", "p,o,o", "open"]


@pytest.fixture
def on_disk(stored, small_chunks, monkeypatch):
    """Charges in memory and, some planes of them at a time, from a file; few rows of the spectrum at once."""
    monkeypatch.setattr(spectrum, "PIECE_BYTES", 2 * 14 * 16 * 8)
    monkeypatch.setattr(spectrum, "LINES_BYTES", 40_000)

    def make(boundary, cell=CELL, order="C", dtype=np.float64, device="cpu", blobs=BLOBS, name="field.npy"):
        whole = density(SHAPE, cell, blobs, boundary, order=order, dtype=dtype)
        small_chunks(3 * 14 * 15 * 8)
        path = stored(whole.values, cell, name, quantity="charge_density", unit="e/Å^3")
        return whole, gh.read(path, boundary=boundary, dtype=dtype, device=device, max_memory="4GB")

    return make


def whole_values(field):
    """Of unread values, chunk by chunk as a writer has them."""
    n, axis = field.grid.shape[field.slab.axis], field.slab.axis
    at = [slice(None)] * 3
    parts = []
    for start in range(0, n, 4):
        at[axis] = slice(start, min(start + 4, n))
        parts.append(np.array(field.device.to_host(field.values[tuple(at)])))
    return np.concatenate(parts, axis=axis)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("boundary", ["periodic", "p,p,o", "p,o,o", "open"])
def test_on_every_device(on_disk, device, boundary, order):
    """Only pieces of chunks and some rows go up."""
    whole, field = on_disk(boundary, LEANING, order, device=device)
    expected = gh.electrostatic_potential(whole).values
    assert np.abs(whole_values(gh.electrostatic_potential(field)) - expected).max() < 1e-13 * np.abs(expected).max()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_potentials_are_those_of_the_field_in_memory(on_disk, boundary, order):
    for cell in (CELL, LEANING):
        whole, field = on_disk(boundary, cell, order)
        expected = gh.electrostatic_potential(whole).values
        found = gh.electrostatic_potential(field)
        assert found.grid == whole.grid and found.unit == "V" and found.values.shape == SHAPE
        assert np.abs(whole_values(found) - expected).max() < 1e-13 * np.abs(expected).max()
        assert found.extrema() == pytest.approx((expected.min(), expected.max()), rel=1e-12)


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_in_single_precision(on_disk, boundary):
    whole, field = on_disk(boundary, dtype=np.float32)
    found, expected = gh.electrostatic_potential(field), gh.electrostatic_potential(whole).values
    assert found.values.dtype == np.float32
    assert np.abs(whole_values(found) - expected).max() < 3e-6 * np.abs(expected).max()


def test_charge_on_its_own_from_a_file_to_a_file(stored, tmp_path, small_chunks):
    """Against erf(r)/r, not against the way in memory."""
    shape, cell = (25, 24, 26), 10.0 * np.eye(3)
    blobs = [(1.0, 0.9, (5.2, 5.0, 4.8)), (-0.6, 0.85, (4.8, 5.1, 5.3))]
    small_chunks(4 * 24 * 26 * 8)
    path = stored(density(shape, cell, blobs, "open").values, cell, quantity="charge_density", unit="e/Å^3")
    field = gh.read(path, boundary="open", max_memory="4GB")
    gh.write(gh.electrostatic_potential(field), tmp_path / "potential.h5")
    expected = 0.0
    for q, width, centre in blobs:
        r = np.maximum(np.linalg.norm(points(shape, cell) - np.array(centre), axis=-1), 1e-9)
        expected = expected + COULOMB_CONSTANT * q * erf(r / (np.sqrt(2) * width)) / r
    found = gh.read(tmp_path / "potential.h5").values
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("boundary", ["periodic", "p,p,o", "open"])
def test_fields_and_back(on_disk, boundary):
    """Three results of one spectrum; of a periodic potential its gradient and its charge, too."""
    whole, field = on_disk(boundary)
    for one, other in zip(gh.electric_field(field), gh.electric_field(whole), strict=True):
        assert np.abs(whole_values(one) - other.values).max() < 1e-13 * np.abs(other.values).max()
    if boundary == "periodic":
        potential = gh.electrostatic_potential(field)
        for one, other in zip(gh.electric_field(potential), gh.electric_field(whole), strict=True):
            assert np.abs(whole_values(one) - other.values).max() < 1e-11 * np.abs(other.values).max()
        back = whole_values(gh.charge_density(potential)) + whole.mean()
        assert np.abs(back - whole.values).max() < 1e-12 * np.abs(whole.values).max()
    else:
        with pytest.raises(InputError, match=r"of a potential with an open axis needs all values.* give the charge"):
            gh.electric_field(gh.electrostatic_potential(field))


@pytest.mark.parametrize("boundary", ["periodic", "open"])
def test_energy_of_two_densities(on_disk, boundary):
    """Charges and potentials, planes of all four at a time."""
    with running(Run(Limit(4 * 10**9))):  # what was found with one is not taken for what another gives
        first = on_disk(boundary)
        for shift in (0.3, 0.5):
            moved = [(q, width, (x + shift, y, z - 0.2)) for q, width, (x, y, z) in BLOBS]
            pairs = first, on_disk(boundary, blobs=moved, name=f"{shift}.npy")
            expected, found = (gh.interaction_energy(*fields) for fields in zip(*pairs, strict=True))
            for name in ("energy", "self_first", "self_second", "overlap"):
                assert getattr(found, name).value == pytest.approx(getattr(expected, name).value, rel=1e-12), name
            assert found.overlap_fraction == pytest.approx(expected.overlap_fraction, rel=1e-12)


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
@pytest.mark.parametrize("kernel", [gh.Ball(2.5), gh.PowerLaw(1.2), gh.Stages(gh.Ball(1.5), gh.Gaussian(2.0))])
def test_averages_at_every_point(on_disk, kernel):
    whole, field = on_disk("periodic", LEANING)
    found = gh.average(field, kernel, method="all modes")
    assert np.abs(whole_values(found) - gh.average(whole, kernel, method="all modes").values).max() < 1e-14


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_a_ball_takes_the_disk_where_nothing_else_does(on_disk):
    """On coarse points, and for gradients and variances, it still needs all values."""
    whole, field = on_disk("periodic")
    found = gh.average(field, gh.Ball(2.5))
    assert np.abs(whole_values(found) - gh.average(whole, gh.Ball(2.5)).values).max() < 1e-14
    for use in (gh.average_gradient, gh.average_and_variance):
        with pytest.raises(InputError, match=r"points? needs all values .* give a larger spacing"):
            use(field, gh.Ball(2.5))
    with pytest.raises(InputError, match=r"average with a ball on 4 x 5 x 5 points needs all values"):
        gh.average(field, gh.Ball(2.5), spacing=2.0)


@pytest.mark.parametrize(("order", "size"), [("C", 2), ("F", 3), ("HDF5", 15)])
def test_ranks_have_their_own_planes(stored, small_chunks, monkeypatch, tmp_path, order, size):
    """More ranks than planes, too; from HDF5, as Python's parser of .npy has no place for so many threads."""
    monkeypatch.setattr(spectrum, "LINES_BYTES", 40_000)
    small_chunks(2 * 14 * 15 * 8)
    for boundary in ("periodic", "p,p,o", "open"):
        whole = density(SHAPE, CELL, BLOBS, boundary, order="F" if order == "F" else "C")
        if order == "HDF5":
            path = gh.write(whole, tmp_path / "field.h5")
        else:
            path = stored(whole.values, CELL, quantity="charge_density", unit="e/Å^3")
        expected = gh.electrostatic_potential(whole)

        def solved(comm, path=path, boundary=boundary):
            field = gh.read(path, boundary=boundary, max_memory="4GB", comm=comm)
            found = gh.electrostatic_potential(field)
            return found.values[:, :, :], found.extrema()

        parts = together(size, solved)
        joined = np.concatenate([part[0] for part in parts], axis=2 if order == "F" else 0)
        assert np.abs(joined - expected.values).max() < 1e-13 * np.abs(expected.values).max()
        assert parts[0][1] == pytest.approx(expected.extrema(), rel=1e-12)


def test_tasks_that_want_the_same_share_the_spectrum(stored, small_chunks, monkeypatch):
    whole = density(SHAPE, CELL, BLOBS, "open")
    path, made = stored(whole.values, CELL, quantity="charge_density", unit="e/Å^3"), []
    monkeypatch.setattr(spectrum, "Scratch", lambda *how: made.append(how) or scratch.Scratch(*how))
    run = Run(Limit(4 * 10**9))
    with running(run):
        field = gh.read(path, boundary="open", max_memory="4GB")
    works = [lambda axis=axis: gh.planar_average(gh.electrostatic_potential(field), axis).values for axis in "abc"]
    found = in_turns(works, run.answer)
    expected = gh.electrostatic_potential(whole)
    for axis, values in zip("abc", found, strict=True):
        np.testing.assert_allclose(values, gh.planar_average(expected, axis).values, rtol=0, atol=1e-13)
    assert len(made) == 1


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("cell", [CELL, LEANING], ids=["upright", "leaning"])
def test_spheres_of_a_crystal(on_disk, stored, monkeypatch, cell, order):
    """Lorentz's cavity, row by row of the spectrum: its shells are moved to a few points as they come."""
    whole, field = on_disk("periodic", cell, order)
    how = {"centre": (4.0, 3.8, 4.6), "radii": [4.4, 6.0, 9.7], "width": 2.0}
    fewer, moved = cavity._fewer, []

    def noting(shells, reach):
        few = fewer(shells, reach)
        moved.append((len(few.k), len(shells.k)))
        return few

    monkeypatch.setattr(cavity, "_fewer", noting)
    found = gh.lorentz_cavity(field, **how)
    assert max(other for _, other in moved) < 700  # of 1365 modes; of an upright cell eight are one shell
    assert any(one < other for one, other in moved) or cell is CELL
    expected = gh.lorentz_cavity(whole, **how)
    for name in ("q", "p_over_V", "E_near", "q_tophat", "E_out_triangle", "E_periodic", "P_cell", "invariant"):
        one, other = getattr(found, name), getattr(expected, name)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * np.abs(other).max(), err_msg=name)
    path = stored(whole.values, cell, quantity="charge_density", unit="e/Å^3")
    for part in together(3, lambda comm: gh.lorentz_cavity(gh.read(path, comm=comm, max_memory="4GB"), **how)):
        np.testing.assert_allclose(part.q, expected.q, rtol=0, atol=1e-11)
        np.testing.assert_allclose(part.E_near, expected.E_near, rtol=0, atol=1e-11)


class TestDisk:
    """What is asked of it, and what of it is left."""

    def test_room_is_asked_for_before(self, on_disk, monkeypatch):
        """The scratch and the result, with their sizes, in one sentence."""
        _, field = on_disk("open")
        monkeypatch.setattr(scratch.shutil, "disk_usage", lambda folder: SimpleNamespace(free=100_000))
        monkeypatch.setattr(scratch, "Scratch", None)
        sentence = (
            r"the electrostatic potential, open, open, open, of field.npy takes 9\.98e-05 GB of scratch and .* GB "
        )
        with pytest.raises(InputError, match=sentence + r"as a result, and 0.0001 GB are free there\. Make room, or"):
            gh.electrostatic_potential(field)

    @pytest.mark.parametrize("size", [1, 3])
    def test_a_disk_that_fills(self, stored, monkeypatch, size):
        """On one rank only: all say so, and none waits for it."""
        path = stored(density(SHAPE, CELL, BLOBS, "periodic").values, CELL, quantity="charge_density", unit="e/Å^3")
        pwrite, written = os.pwrite, []

        def full(descriptor, content, offset):
            written.append(offset)
            if len(written) == 4 * size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return pwrite(descriptor, content, offset)

        monkeypatch.setattr(scratch.os, "pwrite", full)
        monkeypatch.setattr(spectrum, "PIECE_BYTES", 1)
        with pytest.raises(InputError, match=r"scratch file of a spectrum could not be written there \(No space left"):
            together(size, lambda comm: gh.electrostatic_potential(gh.read(path, comm=comm, max_memory="4GB")).mean())

    def test_nothing_is_left(self, on_disk, tmp_path, monkeypatch):
        """The file has no name while it is there, and goes with the last who could read of it."""
        folder = tmp_path / "scratch"
        folder.mkdir()
        monkeypatch.setattr(spectrum, "check_room", lambda where, *how: seen.append(where))
        gc.collect()
        seen, before = [], len(os.listdir("/proc/self/fd"))
        with running(Run(Limit(4 * 10**9), scratch=folder)):
            _, field = on_disk("periodic")
            potential = gh.electrostatic_potential(field)
        assert seen == [folder] and os.listdir(folder) == []
        assert len(os.listdir("/proc/self/fd")) == before + 1
        del potential, field
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before

    def test_a_signal_stops_between_rows(self, on_disk, monkeypatch):
        _, field = on_disk("periodic")
        multiply = spectrum._multiplied

        def asked(*how):
            monkeypatch.setattr(stops, "_asked", ["SIGTERM"])
            multiply(*how)

        monkeypatch.setattr(spectrum, "_multiplied", asked)
        with pytest.raises(Stopped, match="stopped by SIGTERM between rows 0 and"):
            gh.electrostatic_potential(field)


SOLVED = """
import sys
from pathlib import Path
import numpy as np
import gpuhomog as gh
import scipy.fft, scipy.special, threadpoolctl, zipfile
from gpuhomog.errors import InputError
boundary, limit = sys.argv[1], 1
while True:
    try:
        field = gh.read("field.npy", boundary=boundary, max_memory=f"{limit}MB")
        potential = gh.electrostatic_potential(field)
        gh.write(potential, "potential.npz")
        break
    except InputError as error:
        limit = int(str(error).split("at least ")[1].split("MB")[0])
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
print(limit, peak, potential.extrema()[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell the memory of a process")
@pytest.mark.parametrize("boundary", ["o,o,p"])
def test_the_least_memory_that_is_named_is_enough_and_holds(stored, boundary):
    """Field and spectrum alone are more than that."""
    x = (np.arange(168) - 84) * 0.12
    line = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    values = line[:, None, None] * line[:, None] * (x * line)
    path = stored(values, 20.16 * np.eye(3), quantity="charge_density", unit="e/Å^3")
    words = [sys.executable, "-c", SOLVED, boundary]
    ended = subprocess.run(words, cwd=path.parent, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr
    limit, peak, largest = ended.stdout.split()
    assert int(peak) <= int(limit) * 10**6 < 68e6 + 2 * values.nbytes + 24e6
    assert float(largest) > 1.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell the files of a process")
def test_a_killed_run_leaves_no_scratch(tmp_path):
    """Killed while its spectrum is on the disk, where no name of it is."""
    values = np.lib.format.open_memmap(tmp_path / "field.npy", mode="w+", dtype=np.float64, shape=(160, 200, 200))
    del values  # a hole: a charge of zero everywhere
    facts = '{"cell": [[16, 0, 0], [0, 20, 0], [0, 0, 20]], "quantity": "charge_density", "unit": "e/Å^3"}'
    (tmp_path / "field.json").write_text(facts)
    words = "-m gpuhomog potential field.npy --max-memory 300MB --device cpu -o potential.npz -q".split()
    process = subprocess.Popen([sys.executable, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    end, seen = time.monotonic() + 60, ""
    while not seen and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
        for file in Path(f"/proc/{process.pid}/fd").iterdir():
            try:
                target = os.readlink(file)
            except OSError:
                continue
            if target.endswith("(deleted)") and str(tmp_path) in target:
                seen = target
    process.kill()
    process.communicate(timeout=60)
    assert seen, "the run ended before its scratch file was seen"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["field.json", "field.npy", "potential.npz.part"]


def test_a_limit_lets_go_what_was_kept_for_later_calls():
    TABLES.put("table", np.ones(8))
    Limit(10**9)
    assert TABLES.get("table") is None
