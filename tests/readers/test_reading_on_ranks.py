"""Fields read by several ranks: each reads its own planes and no others, and all the same file."""

import gzip
import struct
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from plot_files import plot_file
from ranks import together
from requirements import needed

import gpuhomog as gh
from gpuhomog.device import CPU
from gpuhomog.errors import DeviceError, FileFormatError, InputError

N = 96
CELL = 20.0 * np.eye(3)
BOHR = 0.529177210544
COUNTERS = Path("/proc/self/io")
OPTIONS = {"quantity": "electron_density"}
UNITLESS = {"x.xsf": {"unit": "1/Å^3"}}
NAMES = ["x.h5", "x.npz", "x.npy", "x.zarr", "x.cube", "x.xsf", "CHGCAR", "x.RHO", "x.pp", "contiguous.h5"]


def write_siesta(path, values):
    """A SIESTA grid of one spin, written here."""
    n_a, n_b, n_c = values.shape
    rows = np.zeros((n_c, n_b), dtype=[("before", "<i4"), ("row", "<f4", n_a), ("after", "<i4")])
    rows["before"] = rows["after"] = 4 * n_a
    rows["row"] = values.T * BOHR**3
    cell, counts = (CELL / BOHR).astype("<f8").tobytes(), struct.pack("<4i", n_a, n_b, n_c, 1)
    mark = [struct.pack("<i", n) for n in (72, 16)]
    path.write_bytes(mark[0] + cell + mark[0] + mark[1] + counts + mark[1] + rows.tobytes())


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(5).random((N, N, N)) * 0.01


@pytest.fixture(scope="module")
def folder(tmp_path_factory, values):
    """The same field in every format."""
    where = tmp_path_factory.mktemp("formats")
    atoms = gh.Structure([92], [[0.0, 0.0, 0.0]])
    field = gh.Field.from_array(values, CELL, quantity="electron_density", structure=atoms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpuhomog.writers.zarr_store.CHUNK_BYTES", 2**18)  # 3 planes: slabs end where chunks do
        for name in ("x.h5", "x.npz", "x.zarr", "x.cube", "x.xsf", "CHGCAR"):
            gh.write(field, where / name)
    np.save(where / "x.npy", values)
    (where / "x.json").write_text(f'{{"cell": {CELL.tolist()}, "unit": "1/Å^3", "quantity": "electron_density"}}')
    write_siesta(where / "x.RHO", values)
    (where / "x.pp").write_text(plot_file(values * BOHR**3, (20.0 / BOHR, 0, 0, 0, 0, 0), atoms=()))
    with h5py.File(where / "x.h5") as source, h5py.File(where / "contiguous.h5", "w") as target:
        target.attrs.update(source.attrs)
        for name in ("field/cell", "field/origin", "provenance"):
            target[name] = source[name][()]
        target["field/values"] = values
        target["field/values"].attrs.update(source["field/values"].attrs)
    return where


class Apart:
    """One of several ranks by itself: what the others bring is what it brings."""

    def __init__(self, rank, size):
        self.rank, self.size, self.sent = rank, size, Counter()

    def agree(self, error):
        if error is not None:
            raise error

    def gather(self, value):
        return [value] * self.size

    def broadcast(self, value):
        return value

    def sum(self, values):
        return values * self.size


def read_bytes():
    """Bytes that this process has asked the system to read so far."""
    return int(dict(line.split(": ") for line in COUNTERS.read_text().splitlines())["rchar"])


@pytest.mark.parametrize("name", NAMES)
def test_a_rank_reads_its_own_bytes(folder, values, name):
    """Counted by the system. Beside its planes a rank reads headers, samples and the ends of the file: below 2 MB."""
    needed("io-counts", None if COUNTERS.exists() else f"there is no {COUNTERS}: the system counts no bytes")
    path, options = folder / name, OPTIONS | UNITLESS.get(name, {})
    size = path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*"))
    gh.read(path, **options)  # what is imported only now is not counted
    before = read_bytes()
    gh.read(path, comm=Apart(7, 10**6), **options)  # an empty slab: what everyone reads
    common = read_bytes() - before
    assert common < 2e6
    for n_ranks in (2, 4):
        total = 0
        for rank in range(n_ranks):
            before = read_bytes()
            field = gh.read(path, comm=Apart(rank, n_ranks), **options)
            count = read_bytes() - before - common
            assert count < 1.1 * size / n_ranks
            total += count
            assert field.slab.n_local == N // n_ranks
        assert 0.95 * size < total < 1.1 * size


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_slabs_of_ranks_make_the_field(folder, values, name, size):
    parts = together(size, lambda comm: gh.read(folder / name, comm=comm, **OPTIONS, **UNITLESS.get(name, {})))
    axis = parts[0].slab.axis
    found = np.concatenate([part.to_host() for part in parts], axis=axis)
    assert np.allclose(found, values, rtol={"x.RHO": 1e-6, "x.pp": 1e-9}.get(name, 1e-10))
    assert [part.slab.start for part in parts[1:]] == [part.slab.stop for part in parts[:-1]]
    assert (parts[0].slab.start, parts[-1].slab.stop) == (0, N)


def test_compressed_text_on_ranks(tmp_path, folder, values):
    path = tmp_path / "CHGCAR.gz"
    path.write_bytes(gzip.compress((folder / "CHGCAR").read_bytes(), 1))
    parts = together(3, lambda comm: gh.read(path, comm=comm))
    assert np.allclose(np.concatenate([part.values for part in parts], axis=2), values, rtol=1e-10)


@pytest.mark.parametrize(
    "layout",
    [
        {"compression": "gzip"},
        {"compression": "gzip", "chunks": (5, 96, 96)},
        {"chunks": (5, 16, 96)},
        {"dtype": ">f4"},
        {"dtype": "i2"},
    ],
)
def test_hdf5_of_any_layout_on_ranks(tmp_path, folder, values, layout):
    """Compressed, in chunks of parts of planes, of other numbers: by h5py or past it."""
    path = tmp_path / "x.h5"
    stored = (values * 1e5).astype(layout.pop("dtype", "f8"))
    with h5py.File(folder / "contiguous.h5") as source, h5py.File(path, "w") as target:
        target.attrs.update(source.attrs)
        for name in ("field/cell", "field/origin"):
            target[name] = source[name][()]
        target.create_dataset("field/values", data=stored, **layout)
        target["field/values"].attrs.update(source["field/values"].attrs)
    for dtype in (np.float32, np.float64):
        parts = together(3, lambda comm, dtype=dtype: gh.read(path, comm=comm, dtype=dtype))
        assert np.array_equal(np.concatenate([part.values for part in parts]), stored.astype(dtype))


def test_an_hdf5_file_cut_short_is_refused(tmp_path, folder):
    path = tmp_path / "x.h5"
    content = (folder / "x.h5").read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[-10000:])
    with pytest.raises(FileFormatError, match=r"x\.h5"):
        gh.read(path)


# ranks that see different things


def told(size, read):
    """What each rank is told: a sentence, or None."""

    def attempt(comm):
        try:
            read(comm)
        except InputError as error:
            return str(error)
        return None

    return together(size, attempt)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"dtype": np.float32}, "dtype is float64 on rank 0 and float32 on rank 2"),
        ({"unit": "1/bohr^3"}, "unit is 1/Å^3 on rank 0 and 1/bohr^3 on rank 2"),
        (
            {"boundary": "open"},
            "boundary is ('periodic', 'periodic', 'periodic') on rank 0 and ('open', 'open', 'open')",
        ),
        ({"reproducible": True}, "reproducible is False on rank 0 and True on rank 2"),
        ({"quantity": "scalar"}, "quantity is electron_density on rank 0 and scalar on rank 2"),
    ],
)
def test_ranks_with_other_options_are_refused(folder, options, sentence):
    same = {"quantity": "electron_density", "unit": "1/Å^3"}
    sentences = told(4, lambda comm: gh.read(folder / "x.xsf", comm=comm, **same | (options if comm.rank == 2 else {})))
    assert len(set(sentences)) == 1
    assert sentence in sentences[0]
    assert sentences[0].startswith("The ranks do not read x.xsf the same: ")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace("20.000", "21.000", 1), "cell is [[20.0, 0.0, 0.0]"),
        (lambda text: text.replace("electron_density", "electron density", 1), "digest of its first 64 KiB is"),
        (lambda text: text + "\n", "size of the file in bytes is"),
        (lambda text: text[:-6] + ("1" if text[-6] != "1" else "2") + text[-5:], "digest of its last 64 KiB is"),
    ],
)
def test_ranks_that_see_other_files_are_refused(tmp_path, folder, change, sentence):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    text = (folder / "CHGCAR").read_text()
    (tmp_path / "here" / "CHGCAR").write_text(text)
    (tmp_path / "there" / "CHGCAR").write_text(change(text))
    where = ("here", "there", "there")
    sentences = told(3, lambda comm: gh.read(tmp_path / where[comm.rank] / "CHGCAR", comm=comm))
    assert len(set(sentences)) == 1
    assert f"The ranks do not read CHGCAR the same: {sentence}" in sentences[0]
    assert "(2 of 3 differ from rank 0)" in sentences[0]


def test_the_same_file_under_several_names_is_read(tmp_path, folder):
    """Nodes may mount a folder in different places."""
    (tmp_path / "mounted").symlink_to(folder)
    (tmp_path / "CHGCAR_copy").write_bytes((folder / "CHGCAR").read_bytes())
    paths = (folder / "CHGCAR", tmp_path / "mounted" / "CHGCAR", tmp_path / "CHGCAR_copy")
    assert told(3, lambda comm: gh.read(paths[comm.rank], comm=comm)) == [None] * 3


def test_zarr_stores_that_differ_are_refused(tmp_path, folder, values):
    field = gh.read(folder / "x.zarr")
    gh.write(field, tmp_path / "x.zarr")  # one more step in its provenance
    paths = (folder / "x.zarr", tmp_path / "x.zarr")
    sentences = told(2, lambda comm: gh.read(paths[comm.rank], comm=comm))
    assert len(set(sentences)) == 1
    assert "digest of its metadata is" in sentences[0]


@pytest.mark.parametrize("missing", [0, 1])
def test_a_file_that_one_rank_does_not_see(tmp_path, folder, missing):
    paths = [folder / "CHGCAR"] * 3
    paths[missing] = tmp_path / "CHGCAR"
    sentences = told(3, lambda comm: gh.read(paths[comm.rank], comm=comm))
    assert len(set(sentences)) == 1
    assert f"rank {missing} of 3: {tmp_path}/CHGCAR: no such file." in sentences[0]


class Full(CPU):
    """A device with no room for values."""

    def asarray(self, values, dtype=None):
        raise DeviceError("the GPU is full.")


def test_a_rank_whose_device_is_full_or_which_has_none_ends_all(folder):
    def told(name, device):
        def attempt(comm):
            try:
                gh.read(folder / name, device=device if comm.rank == 1 else CPU(), comm=comm)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
            return None

        return together(3, attempt)

    assert told("x.npy", Full()) == ["DeviceError: rank 1 of 3: the GPU is full."] * 3
    unknown = 'DeviceError: rank 1 of 3: Unknown device 17: choose "auto", "cpu" or "gpu:N".'
    assert told("x.npy", 17) == [unknown] * 3


def test_a_device_or_type_that_one_rank_refuses(folder):
    for options in ({"device": "gpu:99"}, {"dtype": "int32"}):
        sentences = told(3, lambda comm, o=options: gh.read(folder / "x.h5", comm=comm, **o if comm.rank == 1 else {}))
        assert len(set(sentences)) == 1 and sentences[0].startswith("rank 1 of 3: ")
