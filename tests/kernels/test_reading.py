"""Files read onto a GPU: text is decoded there, and every field has the bits that the CPU gives it."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from plot_files import plot_file

import gpuhomog as gh
from gpuhomog.errors import FileFormatError
from gpuhomog.readers import open_source, text_values

DATA = Path(__file__).parents[1] / "data"
HEADER = "NaCl\n1.0\n 3.0 0.1 0.0\n 0.4 2.5 0.2\n -0.3 0.6 4.0\n Na Cl\n 1 1\nDirect\n 0 0 0\n 0.5 0.5 0.5\n\n"
CUBE = "two\ncomments\n    1 0 0 0\n    {} 0.5 0 0\n    {} 0 0.6 0\n    {} 0 0 0.7\n    3 3.0 0.0 0.1 0.2\n"


@pytest.fixture
def launched(gpu, monkeypatch):
    """Counts what is decoded on the device."""
    seen, decode = [], gpu.decode_text

    def counted(text, layout, start, out, divisor=1.0):
        seen.append((start, len(out)))
        return decode(text, layout, start, out, divisor)

    monkeypatch.setattr(gpu, "decode_text", counted)
    return seen


def vasp(values, words=None, style=" {:.11E}"):
    words = words or [style.format(v) for v in values.ravel(order="F")]
    rows = "\n".join("".join(w.rjust(18) for w in words[i : i + 5]) for i in range(0, len(words), 5))
    return HEADER + " ".join(map(str, values.shape)) + "\n" + rows + "\n"


def cube(values, per_point=1):
    text = CUBE.format(*values.shape[:3])
    if per_point > 1:
        text = text.replace("    1 0 0 0\n", f"    1 0 0 0 {per_point}\n")
    for run in values.reshape(-1, values.shape[2] * per_point):
        words = [f"{v:13.5E}" for v in run]
        text += "".join("".join(words[i : i + 6]) + "\n" for i in range(0, len(words), 6))
    return text


def values_of(shape, seed=0):
    rng = np.random.default_rng(seed)
    return np.exp(3 * rng.normal(size=shape))


def same(gpu, path, **choices):
    """The field as the GPU has it, after comparing it with the CPU's."""
    there, here = gh.read(path, device=gpu, **choices), gh.read(path, device="cpu", **choices)
    assert there.device is gpu and there.values.flags.f_contiguous == here.values.flags.f_contiguous
    found = there.to_host()
    assert found.dtype == here.values.dtype and found.tobytes(order="K") == here.values.tobytes(order="K")
    np.testing.assert_array_equal(found, here.values)
    assert there.provenance[-1]["device"] == gpu.name
    return there


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("piece", [40, 1 << 20])
def test_vasp(gpu, launched, tmp_path, monkeypatch, dtype, piece):
    monkeypatch.setattr(text_values, "DEVICE_PIECE", piece)
    path = tmp_path / "CHGCAR"
    path.write_text(vasp(values_of((7, 5, 6))))
    same(gpu, path, dtype=dtype)
    assert sum(n for _, n in launched) == 210 and len(launched) == (1 if piece > 210 else 6)


@pytest.mark.parametrize("name", ["Si_CHGCAR", "graphene_LOCPOT"])
def test_real_files(gpu, launched, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(gzip.decompress((DATA / f"{name}.gz").read_bytes()))
    same(gpu, path)
    assert launched
    launched.clear()
    same(gpu, DATA / f"{name}.gz")  # decompressed, and decoded, on the host
    assert not launched


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cube(gpu, launched, tmp_path, dtype):
    path = tmp_path / "a.cube"
    path.write_text(cube(values_of((3, 4, 7))))
    same(gpu, path, dtype=dtype)
    same(gpu, path, dtype=dtype, quantity="electron_density")
    assert launched == [(0, 84)] * 2


@pytest.mark.parametrize("plot_num", [6, 11])
@pytest.mark.parametrize("memory", [None, (8, 6)])
def test_plot_files(gpu, launched, tmp_path, memory, plot_num):
    path = tmp_path / "a.pp"
    path.write_text(plot_file(values_of((7, 5, 6)), (9.0, 0, 0, 0, 0, 0), plot_num=11, memory=memory))
    same(gpu, path)
    assert sum(n for _, n in launched) == (210 if memory is None else 288)


def test_one_of_several_values_per_point(gpu, launched, tmp_path, monkeypatch):
    monkeypatch.setattr(text_values, "DEVICE_PIECE", 30)
    path = tmp_path / "a.cube"
    path.write_text(cube(values_of((3, 4, 7, 2)), per_point=2))
    for block in ("value 1", "value 2"):
        same(gpu, path, block=block)
    assert len(launched) > 4


@pytest.mark.parametrize("kind", ["CHGCAR", "a.cube"])
def test_planes_of_a_slab(gpu, tmp_path, kind):
    path = tmp_path / kind
    path.write_text((vasp if kind == "CHGCAR" else cube)(values_of((5, 4, 7))))
    source = open_source(path)
    name, n = source.blocks[0], source.grid.shape[source.slowest_axis]
    for start, stop in ((0, 1), (1, 3), (n - 2, n)):
        there = source.decode_planes(start, stop, name, np.dtype(np.float32), gpu)
        here = source.read_planes(start, stop, name, np.dtype(np.float32))
        np.testing.assert_array_equal(gpu.to_host(there), here)
    assert source.decode_planes(1, 1, name, np.dtype(np.float32), gpu) is None  # a rank without planes


def test_what_the_device_leaves_is_decided_on_the_host(gpu, launched, tmp_path):
    """Halfway between two doubles; powers beyond the tables; a letter that Fortran drops."""
    words = [f"{v:.10E}" for v in values_of(60)]
    words[7], words[31], words[59] = "0.1234567890+100", "1.1234567890-299", "0.12345678E+0012"
    path = tmp_path / "values"
    path.write_text(vasp(np.empty((3, 4, 5)), words))
    same(gpu, path, kind="LOCPOT")
    assert launched


@pytest.mark.parametrize("word", ["*" * 16, "NaN", "0.12x4567890E+00", "Infinity"])
def test_bad_words_are_refused_in_the_same_sentence(gpu, tmp_path, word):
    words = [f"{v:.10E}" for v in values_of(60)]
    words[31] = word
    path = tmp_path / "CHGCAR"
    path.write_text(vasp(np.empty((3, 4, 5)), words))
    sentences = []
    for device in (gpu, "cpu"):
        with pytest.raises(FileFormatError) as refused:
            gh.read(path, device=device)
        sentences.append(str(refused.value))
    assert sentences[0] == sentences[1] and word[:4] in sentences[0]


def test_irregular_rows_are_read_on_the_host(gpu, tmp_path):
    words = [f"{v:.10E}" for v in values_of(60)]
    path = tmp_path / "CHGCAR"
    text = vasp(np.empty((3, 4, 5)), words)
    path.write_text(text[: -8 * 91] + " " + text[-8 * 91 :])
    same(gpu, path)


def test_what_follows_the_values_is_refused(gpu, tmp_path):
    path = tmp_path / "a.cube"
    path.write_text(cube(values_of((3, 4, 7))) + "  1.00000E+00\n")
    for device in (gpu, "cpu"):
        with pytest.raises(FileFormatError, match="after the 84 values"):
            gh.read(path, device=device)


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_a_locpot_named_like_a_density_is_refused(gpu, tmp_path, shift):
    """The review of the values works on sums of the device: their mean, and what share of them is negative."""
    path = tmp_path / "CHGCAR"
    values = np.cos(np.arange(210.0)).reshape(7, 5, 6)
    path.write_text(vasp(shift - values if shift else -abs(values), style="{:.10E}"))
    sentences = []
    for device in (gpu, "cpu"):
        with pytest.raises(FileFormatError, match="looks like a LOCPOT") as refused:
            gh.read(path, device=device)
        sentences.append(str(refused.value))
    assert sentences[0] == sentences[1]
