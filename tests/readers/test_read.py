"""Reading as a whole: which file is what, compression, progress, and files that cannot be read at all."""

import bz2
import gzip
import inspect
import lzma
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from plot_files import plot_file

import gpuhomog as gh
import gpuhomog.readers
from gpuhomog.errors import FileFormatError, InputError
from gpuhomog.progress import listen
from gpuhomog.readers import inspect_file, kinds, open_source
from gpuhomog.readers.compressed import open_bytes

CUBE = "two\ncomments\n1 0 0 0\n1 2 0 0\n1 0 2 0\n2 0 0 1\n1 1.0 0 0 0\n 0.5 0.25\n"
XSF = """BEGIN_BLOCK_DATAGRID_3D
grid
BEGIN_DATAGRID_3D_one
1 1 2
0 0 0
1 0 0
0 1 0
0 0 1
0.5 0.25
END_DATAGRID_3D
END_BLOCK_DATAGRID_3D
"""
DATA = Path(__file__).parents[1] / "data"


def test_content_tells_the_kind_whatever_the_name(tmp_path):
    for name, kind in (("graphene_CHGCAR.gz", "CHGCAR"), ("NaCl_slab_charge_density.cube.gz", "cube")):
        path = tmp_path / "anything.dat"
        path.write_bytes((DATA / name).read_bytes())
        assert open_source(path).format == kind
        path.write_bytes(gzip.decompress((DATA / name).read_bytes()))
        assert open_source(path).format == kind
    assert {"CHGCAR", "LOCPOT", "cube", "xsf"} <= set(kinds())


def test_every_reader_keeps_the_contract():
    for module in gpuhomog.readers.MODULES:
        assert module.KINDS and all(isinstance(kind, str) for kind in module.KINDS)
        assert list(inspect.signature(module.open_source).parameters) == ["path", "choices"], module.__name__
        assert module.recognises(b"nothing that is known", Path("nothing")) is False, module.__name__
    assert len(set(kinds())) == len(kinds())


def test_what_has_been_said_is_not_asked_for(tmp_path):
    for name, text in (("a.cube", CUBE), ("a.xsf", XSF)):
        path = tmp_path / name
        path.write_text(text)
        for quantity, asked in ((None, True), ("electron_density", False)):
            remarks = inspect_file(path, quantity=quantity)["remarks"]
            assert any("does not say what its values are" in remark for remark in remarks) == asked


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, partial(lzma.compress, preset=0)])
def test_compression_shows_in_the_first_bytes(tmp_path, compress):
    text = gzip.decompress((DATA / "graphene_CHGCAR.gz").read_bytes())
    path = tmp_path / "CHGCAR"
    path.write_bytes(compress(text))
    expected = gh.read(DATA / "graphene_CHGCAR.gz").values
    assert np.array_equal(gh.read(path).values, expected)
    half = len(text) // 2
    path.write_bytes(compress(text[:half]) + compress(text[half:]))  # members that follow each other
    assert np.array_equal(gh.read(path).values, expected)
    packed = compress(text)
    path.write_bytes(packed[: len(packed) * 2 // 3])
    with pytest.raises(FileFormatError, match="data are truncated or damaged"):
        gh.read(path)
    path.write_bytes(packed[:3000] + bytes(200) + packed[3200:])
    with pytest.raises(FileFormatError, match=r"damaged|is no number|wrong|not three|ends after"):
        gh.read(path)


def test_the_cursor_reads_lines_and_bytes_and_looks_ahead(tmp_path):
    text = b"".join(b"line %d of some\n" % i for i in range(2000))
    for name, packed in (("plain", text), ("gz", gzip.compress(text)), ("xz", lzma.compress(text))):
        path = tmp_path / name
        path.write_bytes(packed)
        with open_bytes(path).cursor() as cursor:
            assert cursor.look(30) == text[:30] and cursor.at == 0
            first = cursor.line()
            assert first == b"line 0 of some\n" and cursor.at == len(first)
            assert cursor.look(10000) == text[len(first) : len(first) + 10000]
            assert cursor.read(7) == text[len(first) : len(first) + 7]
            cursor.move_to(12345)
            assert cursor.read(20000) == text[12345:32345][:20000]
        assert open_bytes(path).head(100) == text[:100]


def test_a_trajectory_is_no_field(tmp_path):
    (tmp_path / "run.lammpstrj").write_text("ITEM: TIMESTEP\n0\n")
    with pytest.raises(InputError, match='"gpuhomog trajectory" makes its charge profile'):
        gh.read(tmp_path / "run.lammpstrj")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"(\xb5/\xfd" + bytes(50), "compressed with zstd"),
        (b"hello\nworld\n", "of no known kind"),
        (b'# format: "gpuhomog"\n# version: 1\n', "a result that gpuhomog wrote, no field on a grid"),
        (np.random.default_rng(5).bytes(5000), "of no known kind|damaged"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, content, message):
    path = tmp_path / "CHGCAR"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        gh.read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    with pytest.raises(InputError):
        gh.read(path, kind="CHGCAR")
    with pytest.raises(InputError):
        gh.read(path, kind="cube")


def test_directories_and_unknown_words(tmp_path):
    with pytest.raises(InputError, match="is a directory"):
        gh.read(tmp_path)
    path = DATA / "graphene_CHGCAR.gz"
    with pytest.raises(InputError, match=r'Unknown kind "CHCAR".*CHGCAR'):
        gh.read(path, kind="CHCAR")
    with pytest.raises(FileFormatError, match="no cube file"):
        gh.read(path, kind="cube")
    with pytest.raises(InputError, match="float64 or float32"):
        gh.read(path, dtype=np.int32)
    with pytest.raises(InputError, match="Boundary"):
        gh.read(path, boundary="closed")


def test_what_is_inside_without_the_values():
    known = inspect_file(DATA / "graphene_CHGCAR.gz")
    assert known["format"] == "CHGCAR" and known["shape"] == [24, 24, 100] and known["formula"] == "C2"
    assert known["quantity"] == "electron_density" and known["blocks"] == ["total"]
    assert known["plane_spacings"][2] == pytest.approx(0.1)


def test_progress_is_told(tmp_path):
    told = []
    with listen(lambda *report: told.append(report)):
        gh.read(DATA / "NaCl_slab_charge_density.cube.gz")
    label, done, total = told[-1]
    assert "NaCl_slab" in label and done == total == 48 * 48 * 352


@pytest.mark.parametrize("dtype", [None, np.float32])
@pytest.mark.parametrize("name", ["x.cube", "x.cube.gz", "CHGCAR", "x.npz", "x.pp"])
def test_values_that_a_conversion_makes_infinite_are_refused(tmp_path, name, dtype):
    """Each is a number in the file, and none in the unit of the field."""
    path, huge = tmp_path / name, "1.5e308"
    if name == "x.npz":
        np.savez(path, values=np.full((1, 1, 2), 1.5e308), cell=np.eye(3), quantity="electron_density", unit="1/bohr^3")
    elif name == "x.pp":
        text = plot_file(np.full((1, 1, 2), 0.25), (10.2, 0, 0, 0, 0, 0), plot_num=9)
        path.write_text(text.rstrip().rsplit(None, 1)[0] + f" {huge}\n")
    elif name == "CHGCAR":
        path.write_text(f"c\n1.0\n0.5 0 0\n0 1 0\n0 0 1\nH\n1\nDirect\n0 0 0\n\n1 1 2\n 0.5 {huge}\n")
    else:
        text = CUBE.replace("0.25", huge).encode()
        path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    quantity = "electron_density" if name.startswith("x.cube") else None
    with pytest.raises(InputError, match=r"too large|values are NaN or infinite|\d.e\+308"):
        gh.read(path, quantity=quantity, dtype=dtype)
    with pytest.raises(InputError, match=r"too large|values are NaN or infinite"):
        gh.read(path, quantity=quantity, dtype=dtype, max_memory="4GB").mean()
