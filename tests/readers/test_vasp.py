"""VASP's grid files: every header dialect, spin blocks, frames; what is wrong is refused in one sentence."""

import bz2
import gzip
import lzma
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from ranks import together

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, FileFormatError, InputError, UnitsError
from gpuhomog.readers import open_source
from gpuhomog.readers.vasp import _largest_core

DATA = Path(__file__).parents[1] / "data"
CELL = np.array([[3.0, 0.1, 0.0], [0.4, 2.5, 0.2], [-0.3, 0.6, 4.0]])


def fortran(value, digits=11):
    """E format of Fortran: the mantissa begins with 0., and its zero is dropped before a minus sign."""
    mantissa, power = f"{abs(value):.{digits - 1}E}".split("E")
    power = int(power) + (value != 0)
    letter = f"E{power:+03d}" if abs(power) < 100 else f"{power:+04d}"
    return f"{'-' if value < 0 else '0'}.{mantissa.replace('.', '')}{letter}"


def rows(words, per_row=5, lead=" "):
    return "".join("".join(lead + w for w in words[i : i + per_row]) + "\n" for i in range(0, len(words), per_row))


def poscar(cell=CELL, scale="1.0", symbols="Na Cl", amounts="1 1", mode="Direct", positions=None, comment="NaCl"):
    positions = positions or ["0.0 0.0 0.0", "0.5 0.5 0.5"]
    vectors = "".join("  {:.16f} {:.16f} {:.16f}\n".format(*v) for v in cell)
    species = f"   {symbols}\n" if symbols else ""
    return f"{comment}\n{scale}\n{vectors}{species}   {amounts}\n{mode}\n" + "".join(f"{p}\n" for p in positions)


def values_of(shape, seed=0, scale=3.0):
    return np.exp(np.random.default_rng(seed).normal(size=shape) * scale)


def block(values, **style):
    counts = "   {}   {}   {}\n".format(*values.shape)
    return counts + rows([fortran(v) for v in values.ravel(order="F")], **style)


def rounded(values):
    """The same values after a trip through the text."""
    return np.array([float(fortran(v)) for v in values.ravel()]).reshape(values.shape)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


AUGMENTATION = "augmentation occupancies   1   7\n" + rows([fortran(0.1 * i, 7) for i in range(7)], lead="  ")
AUGMENTATION += AUGMENTATION.replace("  1   7", "  2   7")


def test_density_is_divided_by_the_volume_and_a_potential_is_not(tmp_path):
    values = values_of((4, 5, 6))
    text = poscar() + "\n" + block(values)
    density = gh.read(write(tmp_path / "CHGCAR", text))
    assert (density.quantity, density.unit) == ("electron_density", "1/Å^3")
    assert np.array_equal(density.values, rounded(values) / density.grid.volume)
    assert density.integral() == pytest.approx(rounded(values).mean(), rel=1e-14)
    assert density.values.flags.f_contiguous
    signed = values - 20
    potential = gh.read(write(tmp_path / "LOCPOT", poscar() + "\n" + block(signed)))
    assert (potential.quantity, potential.unit) == ("electron_potential_energy", "eV")
    assert np.array_equal(potential.values, rounded(signed))
    assert np.allclose(potential.grid.cell, CELL, rtol=1e-15)
    assert potential.structure.symbols == ("Na", "Cl")
    assert np.allclose(potential.structure.positions[1], CELL.sum(axis=0) / 2)


def test_float32_and_provenance(tmp_path):
    values = values_of((4, 5, 6))
    field = gh.read(write(tmp_path / "CHG", poscar() + "\n" + block(values)), dtype=np.float32, boundary="p,p,o")
    assert field.values.dtype == np.float32 and field.grid.boundary == ("periodic", "periodic", "open")
    assert np.allclose(field.values, values / field.grid.volume, rtol=1e-6)
    assert field.provenance[-1]["format"] == "CHG"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scale": "2.0"}, 2 * CELL),
        ({"scale": "-60.0"}, CELL * (60.0 / np.linalg.det(CELL)) ** (1 / 3)),
        ({"scale": "1.0 2.0 0.5"}, CELL * [1.0, 2.0, 0.5]),
        ({"cell": CELL[[1, 0, 2]]}, CELL[[1, 0, 2]]),
        ({"mode": "Selective dynamics\nDirect", "positions": ["0 0 0 T T F", "0.5 0.5 0.5 F F F"]}, CELL),
    ],
)
def test_headers(tmp_path, changes, expected):
    values = values_of((3, 4, 5))
    field = gh.read(write(tmp_path / "CHGCAR", poscar(**changes) + "\n" + block(values)))
    assert np.allclose(field.grid.cell, expected, rtol=1e-14)
    assert field.integral() == pytest.approx(values.mean(), rel=1e-10)
    assert np.allclose(field.structure.positions[1], expected.sum(axis=0) / 2)


def test_cartesian_positions_take_the_scale(tmp_path):
    header = poscar(scale="2.0", mode="Cartesian", positions=["0 0 0", "0.5 0.25 0.125"])
    field = gh.read(write(tmp_path / "CHGCAR", header + "\n" + block(values_of((3, 4, 5)))))
    assert field.structure.positions[1].tolist() == [1.0, 0.5, 0.25]


def test_headers_without_elements(tmp_path):
    text = "\n" + block(values_of((3, 4, 5)))
    path = write(tmp_path / "CHGCAR", poscar(symbols="", comment="something else here") + text)
    assert open_source(path).structure.numbers.tolist() == [0, 0]
    assert any("VASP 4" in r for r in open_source(path).remarks)
    write(path, poscar(symbols="", comment="Mg O") + text)
    assert open_source(path).structure.symbols == ("Mg", "O")
    write(path, poscar(symbols="Na_pv Cl/7a2b") + text)
    assert open_source(path).structure.symbols == ("Na", "Cl")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_spin_blocks_with_augmentation_and_moments(tmp_path, compress):
    total, magnetization = values_of((4, 5, 6)), values_of((4, 5, 6), 1) - 5
    moments = rows([fortran(m) for m in (0.5, -0.5)])
    text = poscar() + "\n" + block(total) + AUGMENTATION + moments + block(magnetization) + AUGMENTATION
    path = write(tmp_path / "spin", compress(text.encode()))
    source = open_source(path)
    assert source.format == "CHGCAR" and source.blocks == ("total", "magnetization")
    assert np.array_equal(gh.read(path).values, rounded(total) / source.grid.volume)
    second = gh.read(path, block="magnetization")
    assert (second.quantity, second.unit) == ("scalar", "1/Å^3")
    assert np.array_equal(second.values, rounded(magnetization) / source.grid.volume)
    with pytest.raises(InputError, match=r'no block "up".*total'):
        gh.read(path, block="up")


def test_noncollinear_blocks(tmp_path):
    text = poscar() + "\n" + "".join(block(values_of((3, 4, 5), i)) + AUGMENTATION for i in range(4))
    source = open_source(write(tmp_path / "CHGCAR", text))
    assert source.blocks == ("total", "magnetization_x", "magnetization_y", "magnetization_z")


def test_counts_of_later_blocks_may_stand_otherwise(tmp_path):
    values = [values_of((3, 4, 5), i) for i in (0, 1)]
    text = poscar() + "\n" + block(values[0]) + block(values[1]).replace("3 ", "\t3   ", 1)
    path = write(tmp_path / "LOCPOT", text)
    assert np.array_equal(gh.read(path, block="down").values, rounded(values[1]))


def test_a_spin_polarized_potential_is_up_and_down(tmp_path):
    up, down = values_of((4, 5, 6)) - 30, values_of((4, 5, 6), 1) - 40
    text = poscar() + "\n" + block(up) + rows([fortran(1.0), fortran(1.0)]) + block(down)
    path = write(tmp_path / "LOCPOT", text)
    assert open_source(path).blocks == ("up", "down")
    assert np.array_equal(gh.read(path).values, rounded(up))
    assert np.array_equal(gh.read(path, block="down").values, rounded(down))
    assert gh.read(path, block="down").unit == "eV"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_cells_that_follow_each_other(tmp_path, compress):
    first, second = values_of((4, 5, 6)), values_of((3, 5, 6), 1)
    text = poscar() + "\n" + block(first, per_row=10) + poscar(cell=1.1 * CELL) + "\n" + block(second, per_row=10)
    path = write(tmp_path / "CHG", compress(text.encode()))
    assert open_source(path).n_frames == 2
    field = gh.read(path, frame=1)
    assert np.allclose(field.grid.cell, 1.1 * CELL)
    assert np.array_equal(field.values, rounded(second) / field.grid.volume)
    with pytest.raises(InputError, match="has no frame 2: it holds frames 0 to 1"):
        gh.read(path, frame=2)


def g_format(value):
    """Fortran's G11.5, with which CHG is written: fixed form for 0.1 to 1e5, four blanks after it."""
    if value == 0 or not 0.1 <= abs(value) < 1e5:
        return fortran(value, 5).rjust(11)
    digits = 5 - len(f"{abs(value):.0f}") if abs(value) >= 1 else 5
    return f"{value:.{digits}f}".rjust(7)[:7] + "    "


@pytest.mark.parametrize("spread", [0.5, 6.0])
def test_low_precision_values_of_any_form(tmp_path, spread):
    values = values_of((7, 11, 13), scale=spread)
    words = [g_format(v) for v in values.ravel(order="F")]
    path = write(tmp_path / "PARCHG", poscar() + "\n  7 11 13\n" + rows(words, per_row=10))
    field = gh.read(path)
    expected = np.array([float(w) for w in words]).reshape(values.shape, order="F") / field.grid.volume
    assert np.array_equal(field.values, expected)
    planes = open_source(path).read_planes(4, 9, "total", np.dtype(float))
    assert np.array_equal(planes, expected[:, :, 4:9])


def dialects(values):
    words = [fortran(v) for v in values]
    yield "D exponents", rows([w.replace("E", "D") for w in words])
    yield "Windows line ends", rows(words).replace("\n", "\r\n")
    yield "one value a row", rows(words, per_row=1)
    yield "uneven rows", rows(words[:7], per_row=3) + rows(words[7:], per_row=8)
    yield "no last line end", rows(words).rstrip("\n")
    yield "trailing blanks", rows(words).replace("\n", "  \n")
    yield "capital or small", rows([w.replace("E", "e") for w in words])
    yield "17 digits", rows([f"{v:.16E}" for v in values], lead="  ")
    yield "three exponent digits", rows([re.sub(r"E(.)(\d\d)$", r"E\g<1>0\2", f"{v:.10E}") for v in values], lead="  ")
    yield "no exponent", rows([f"{v:20.8f}" for v in values])
    yield "integers", rows([f"{int(v)}" for v in values])


@pytest.mark.parametrize("index", range(11))
def test_dialects_of_numbers(tmp_path, index):
    values = values_of(4 * 5 * 6)
    name, text = list(dialects(values))[index]
    path = write(tmp_path / "LOCPOT", (poscar() + "\n  4 5 6\n" + text).encode())
    words = text.replace("D", "E").split()
    expected = np.array([float(w) for w in words]).reshape((4, 5, 6), order="F")
    field = gh.read(path, kind="LOCPOT")
    assert np.array_equal(field.values, expected), name
    planes = open_source(path, kind="LOCPOT").read_planes(2, 5, "potential", np.dtype(float))
    assert np.array_equal(planes, expected[:, :, 2:5]), name


def test_touching_values_and_exponents_without_letter(tmp_path):
    text = "1.0-2.0 0.17557+106\n-0.123-100-7.5 2.25-1.5-3.5E+01\n-1.D0-100.5-200.25 3 4 5\n"
    path = write(tmp_path / "LOCPOT", poscar() + "\n  2 2 3\n" + text.replace(" 5\n", "\n"))
    expected = [1.0, -2.0, 0.17557e106, -0.123e-100, -7.5, 2.25, -1.5, -35.0, -1.0, -100.5, -200.25, 3.0]
    assert gh.read(write(path, path.read_text().replace(" 3 4", " 3"))).values.ravel(order="F").tolist() == expected
    words = ["0.17557890123+106", "0.12345678901E-99", "-.12345678901-100", "0.99999999999E+99"] * 15
    write(path, poscar() + "\n  4 5 3\n" + rows(words))
    expected = [0.17557890123e106, 0.12345678901e-99, -0.12345678901e-100, 0.99999999999e99] * 15
    assert gh.read(path).values.ravel(order="F").tolist() == expected


def test_two_digits_of_exponent_without_letter(tmp_path):
    words = ["1.23-01", "-4.56+02", "0.5-10", "-.25-03", "7.5-12.5", "3.5+00-2.25-01", "1.0-2.0-10-3.5E-01"]
    expected = [0.123, -456.0, 0.5e-10, -0.25e-3, 7.5, -12.5, 3.5, -0.225, 1.0, -2e-10, -0.35, 8.0]
    path = write(tmp_path / "LOCPOT", poscar() + "\n  2 2 3\n" + rows([*words, "8.0"], 3))
    assert gh.read(path).values.ravel(order="F").tolist() == expected
    values = values_of((4, 5, 6)) - 3
    text = poscar() + "\n" + block(values)
    for packed in (bytes, gzip.compress):
        write(path, packed(re.sub(r"E(?=[+-]\d\d\b)", "", text).encode()))
        assert np.array_equal(gh.read(path).values, rounded(values))


def test_planes_of_large_blocks(tmp_path, monkeypatch):
    from gpuhomog.readers import text_values

    values = values_of((17, 13, 29)) - 3
    text = (poscar() + "\n" + block(values)).encode()
    plain, packed = write(tmp_path / "LOCPOT", text), write(tmp_path / "LOCPOT.gz", gzip.compress(text))
    for piece in (50, 1000, 10**6):
        monkeypatch.setattr(text_values, "PIECE", piece)
        for path in (plain, packed):
            for start, stop in ((0, 29), (0, 1), (28, 29), (3, 17), (5, 5)):
                planes = open_source(path).read_planes(start, stop, "potential", np.dtype(float))
                assert np.array_equal(planes, rounded(values)[:, :, start:stop])


def test_ranks_read_their_own_planes(tmp_path):
    values = values_of((4, 5, 7))
    path = write(tmp_path / "CHGCAR", poscar() + "\n" + block(values))
    whole = gh.read(path)
    parts = together(3, lambda comm: gh.read(path, comm=comm))
    assert [p.values.shape[2] for p in parts] == [2, 2, 3]
    assert np.array_equal(np.concatenate([p.values for p in parts], axis=2), whole.values)
    counts = [part.values.shape[2] for part in together(20, lambda comm: gh.read(path, comm=comm))]
    assert counts.count(0) == 13 and sum(counts) == 7


# what a file holds


def test_what_a_file_holds_can_only_be_confirmed(tmp_path):
    path = write(tmp_path / "CHGCAR", poscar() + "\n" + block(values_of((4, 5, 6))))
    with pytest.raises(UnitsError, match=r"number density of electrons.*gh\.charge_density"):
        gh.read(path, quantity="charge_density")
    with pytest.raises(UnitsError, match="leave quantity out"):
        gh.read(path, quantity="scalar")
    with pytest.raises(UnitsError, match="by its format"):
        gh.read(path, unit="e/bohr^3")
    with pytest.raises(UnitsError, match="Unknown quantity"):
        gh.read(path, quantity="density")
    path = write(tmp_path / "LOCPOT", poscar() + "\n" + block(values_of((4, 5, 6)) - 20))
    with pytest.raises(UnitsError, match="minus the electrostatic potential"):
        gh.read(path, quantity="electrostatic_potential")
    assert gh.read(path, quantity="electron_potential_energy").unit == "eV"


def test_name_against_content(tmp_path):
    density, potential = values_of((4, 5, 6)), values_of((4, 5, 6)) - 30
    path = write(tmp_path / "CHGCAR", poscar() + "\n" + block(potential))
    with pytest.raises(FileFormatError, match=r"named like a CHGCAR.*looks like a LOCPOT"):
        gh.read(path)
    assert np.array_equal(gh.read(path, kind="LOCPOT").values, rounded(potential))
    assert gh.read(path, quantity="electron_potential_energy").unit == "eV"
    path = write(tmp_path / "LOCPOT", poscar() + "\n" + block(density))
    with pytest.raises(FileFormatError, match="named like a LOCPOT, but no value is negative"):
        gh.read(path)
    assert gh.read(path, kind="AECCAR2").quantity == "electron_density"
    assert gh.read(path, quantity="electron_density").integral() == pytest.approx(density.mean())
    path = write(tmp_path / "LOCPOT", poscar() + "\n" + block(density) + AUGMENTATION)
    with pytest.raises(FileFormatError, match="augmentation"):
        gh.read(path)
    with pytest.raises(FileFormatError, match="augmentation"):
        gh.read(path, kind="LOCPOT")


def test_a_name_that_says_nothing(tmp_path):
    path = write(tmp_path / "grid.vasp", poscar() + "\n" + block(values_of((4, 5, 6))))
    with pytest.raises(FileFormatError, match=r'neither the name nor the content.*kind="CHGCAR"'):
        gh.read(path)
    assert gh.read(path, kind="chgcar").quantity == "electron_density"
    write(path, poscar() + "\n" + block(values_of((4, 5, 6))) + AUGMENTATION)
    assert open_source(path).format == "CHGCAR"


@pytest.mark.parametrize("name", ["diff.vasp", "MAG.vasp", "c10"])
def test_negative_values_alone_make_no_potential(tmp_path, name):
    """A difference of densities has no name of VASP's, and its values are electrons × volume all the same."""
    values = values_of((4, 5, 6)) - 20
    path = write(tmp_path / name, poscar() + "\n" + block(values))
    with pytest.raises(FileFormatError, match=r'neither the name nor.*kind="CHGCAR".*kind="LOCPOT"'):
        gh.read(path)
    density = gh.read(path, kind="CHGCAR")
    assert np.allclose(density.values, rounded(values) / abs(np.linalg.det(CELL)), rtol=1e-14)
    assert gh.read(path, kind="LOCPOT").unit == gh.read(path, quantity="electron_potential_energy").unit == "eV"
    for like in ("LOCPOT", "LOCPOT.gz", "NaMgF3_LOCPOT.gz", "locpot.vasp"):
        text = path.read_bytes()
        field = gh.read(write(tmp_path / like, gzip.compress(text) if like.endswith("gz") else text))
        assert field.quantity == "electron_potential_energy" and np.array_equal(field.values, rounded(values))


def test_localization_function(tmp_path):
    values = np.random.default_rng(0).random((4, 5, 6))
    field = gh.read(write(tmp_path / "ELFCAR", poscar() + "\n" + block(values)))
    assert (field.quantity, field.unit) == ("scalar", "1") and np.array_equal(field.values, rounded(values))


def test_too_many_electrons_warn_and_change_nothing(tmp_path):
    values = values_of((4, 5, 6)) + 100
    path = write(tmp_path / "CHGCAR", poscar() + "\n" + block(values))
    with pytest.warns(AccuracyWarning, match="has 28 if neutral"):
        field = gh.read(path)
    assert np.array_equal(field.values, rounded(values) / field.grid.volume)


def test_largest_cores():
    expected = {1: 0, 3: 2, 9: 2, 11: 10, 12: 10, 19: 18, 26: 18, 31: 28, 36: 28, 37: 36, 49: 46, 57: 54, 82: 78}
    assert {z: _largest_core(z) for z in expected} == expected


# real files


@pytest.mark.parametrize(("name", "electrons"), [("graphene_CHGCAR.gz", 8), ("Si_CHGCAR.gz", 8)])
def test_real_densities_hold_their_electrons(name, electrons):
    assert gh.read(DATA / name).integral() == pytest.approx(electrons, abs=2e-6)


@pytest.mark.parametrize(
    "name", ["graphene_CHGCAR", "Si_CHGCAR", "graphene_LOCPOT", "NaMgF3_LOCPOT", "NaMgF3_AECCAR0", "NaMgF3_AECCAR2"]
)
def test_real_files_equal_another_parser(name, tmp_path):
    """pymatgen gives the numbers as they stand in the file; so does float() word by word."""
    from pymatgen.io.vasp.outputs import VolumetricData

    text = gzip.decompress((DATA / f"{name}.gz").read_bytes())
    plain = write(tmp_path / name, text)
    header, blocks, _ = VolumetricData.parse_file(plain)
    structure = header.structure
    paths = [plain]
    if name.startswith("graphene"):
        paths.append(write(tmp_path / f"{name}.bz2", bz2.compress(text)))
        paths.append(write(tmp_path / f"{name}.xz", lzma.compress(text, preset=0)))
    for path in [DATA / f"{name}.gz", *paths]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            field = gh.read(path)
        expected = blocks["total"]
        if field.quantity == "electron_density":
            expected = expected / field.grid.volume
        assert np.array_equal(field.values, expected)
        assert np.allclose(field.grid.cell, structure.lattice.matrix, rtol=1e-14)
        assert np.allclose(field.structure.positions, structure.cart_coords, atol=1e-12)
        assert field.structure.symbols == tuple(s.symbol for s in structure.species)
        n = field.grid.shape[2]
        planes = open_source(path).read_planes(n // 3, n // 2, field.provenance[-1]["block"], np.dtype(float))
        assert np.array_equal(planes, np.asarray(expected)[:, :, n // 3 : n // 2])


def test_a_difference_of_vaspkit_has_all_digits(tmp_path):
    text = gzip.decompress((DATA / "Si_CHGCAR.gz").read_bytes())
    told = gh.readers.inspect_file(write(tmp_path / "CHGDIFF.vasp", text))
    assert told["format"] == "CHGCAR" and not any("5 digits" in remark for remark in told["remarks"])


def test_a_core_density_on_a_coarse_grid_warns():
    with pytest.warns(AccuracyWarning, match=r"193\.68.* no more than 104"):
        field = gh.read(DATA / "NaMgF3_AECCAR0.gz")
    assert field.integral() == pytest.approx(193.6814, abs=1e-3)


# bad input

GOOD = poscar() + "\n" + block(values_of((4, 5, 6)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[: len(t) // 2], r"ends after \d+ of 120 values"),
        (lambda t: t[:-19] + "\n", "ends after 119 of 120 values"),
        (lambda t: t[:100], "ends within its header"),
        (lambda t: poscar() + "\n \n", "ends after its atoms, as structures .* do, which hold no field"),
        (lambda t: t[:-19] + " *****************\n", r"value 120 of 120, at grid point \[3, 4, 5\].*stars"),
        (lambda t: t[:-19] + " NaN\n", r"value 120 of 120.*reads \"NaN\"; it is no number"),
        (lambda t: t[:-19] + "               NaN\n", r"value 120 of 120.*NaN"),
        (lambda t: t[:-19] + "          Infinity\n", r"value 120 of 120.*Infinity"),
        (lambda t: t[:-19] + " 0.12345678901E+999\n", r"value 120 of 120"),
        (lambda t: t[:-19] + " 1_000.0\n", r"value 120 of 120.*1_000"),
        (lambda t: t.replace("   4   5   6", "   0   5   6"), "counts are at least 1"),
        (lambda t: t.replace("   4   5   6", "   4   5   7"), "ends after 120 of 140 values"),
        (lambda t: t.replace("   4   5   6", "   4   5   5"), "counts are wrong|after the 4 x 5 x 5"),
        (lambda t: t.replace("   4   5   6", " 4000 5000 60000"), "announces 1200000000000 values.*truncated"),
        (
            lambda t: t.replace("   4   5   6", " 40 50 6"),
            "ends after 120 of 12000 values|announces 12000 values, but no more than",
        ),
        (lambda t: t.replace("   4   5   6", "   4   5"), "no three counts"),
        (lambda t: t.replace("1.0\n", "0.0\n", 1), "scale factor is zero"),
        (lambda t: t.replace("1.0\n", "1.0 2.0 -1.0\n", 1), "three scale factors must all be positive"),
        (lambda t: t.replace("   1 1\n", "   1 1 1\n"), "2 elements but 3 numbers"),
        (lambda t: t.replace("0.5 0.5 0.5", "0.5 half 0.5"), "position of atom 2 of 2"),
        (lambda t: t.replace(" 2.5000000000000000", " x"), "three lattice vectors"),
        (lambda t: poscar(cell=CELL[[0, 0, 2]]) + t[len(poscar()) :], "Singular cell"),
        (lambda t: poscar(cell=CELL[[0, 0, 2]], scale="-5") + t[len(poscar()) :], "singular cell"),
        (lambda t: t + "augmentation occupancies   1   7\n 0.1 0.2\n", "ends in an augmentation block"),
        (lambda t: t + "some text\n", "after the 4 x 5 x 6 values"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_bad_files_are_refused(tmp_path, change, message, compress):
    path = write(tmp_path / "LOCPOT", compress(change(GOOD).encode()))
    with pytest.raises(FileFormatError, match=message) as caught:
        gh.read(path, kind="LOCPOT")
    said = str(caught.value)
    assert said.startswith(str(path)) and "\n" not in said and len(said) < 400


def test_stars_in_the_middle(tmp_path):
    words = [fortran(v) for v in values_of(120)]
    words[57] = "*" * 17
    path = write(tmp_path / "CHGCAR", poscar() + "\n  4 5 6\n" + rows(words))
    with pytest.raises(FileFormatError, match=r"value 58 of 120, at grid point \[1, 4, 2\], reads \"\*+\"; Fortran"):
        gh.read(path)


def test_rows_that_change_their_width_between_blocks(tmp_path, monkeypatch):
    """The first rows show a fixed width that the block does not keep: the second block is found by words."""
    from gpuhomog.readers import text_values

    monkeypatch.setattr(text_values, "_SAMPLE", 4096)
    up, down = values_of(3000) - 30, values_of(3000, 1) - 40
    text = (
        poscar() + "\n  10 15 20\n" + rows([fortran(v) for v in up[:2987]]) + rows([fortran(v) for v in up[2987:]], 4)
    )
    text += rows([fortran(1.0)] * 2) + "  10 15 20\n" + rows([fortran(v) for v in down])
    for name, packed in (("LOCPOT", text.encode()), ("LOCPOT.gz", gzip.compress(text.encode()))):
        path = write(tmp_path / name, packed)
        assert np.array_equal(gh.read(path).values.ravel(order="F"), rounded(up))
        assert np.array_equal(gh.read(path, block="down").values.ravel(order="F"), rounded(down))
        planes = open_source(path).read_planes(18, 20, "up", np.dtype(float))
        assert np.array_equal(planes.ravel(order="F"), rounded(up)[18 * 150 :])


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("style", ["fortran", "indented", "three digits", "no exponent", "low precision", "digits"])
@pytest.mark.parametrize("sample", [1024, 1 << 18])
def test_a_last_number_that_lost_its_end_is_refused(tmp_path, monkeypatch, compress, style, sample):
    """Every cut within the digits or the exponent of the last value, also where what is left is a number."""
    from gpuhomog.readers import text_values

    monkeypatch.setattr(text_values, "_SAMPLE", sample)
    values = values_of((6, 7, 8)) * 1e-3 if style != "digits" else np.clip(values_of((6, 7, 8)), 0.01, 100)
    words = {
        "fortran": lambda v: fortran(v),
        "indented": lambda v: fortran(v),
        "three digits": lambda v: f"{v:.10E}"[:-2] + "0" + f"{v:.10E}"[-2:],
        "no exponent": lambda v: f"{v:12.8f}",
        "low precision": g_format,
        "digits": lambda v: f"{v:#.6g}",
    }[style]
    listed = [words(v) for v in values.ravel(order="F")]
    listed[-1] = words(1.2345678901234e-2) if style != "low precision" else "0.12345E-02"
    text = rows(listed)
    if style == "indented":
        text = text.replace("\n ", "\n     ")
    text = poscar() + "\n  6 7 8\n " + ("    " if style == "indented" else "") + text[1:]
    assert text.count("E") > 100 or style in ("no exponent", "digits")
    path = tmp_path / "LOCPOT"
    whole = gh.read(write(path, compress(text.encode())), kind="LOCPOT").values
    assert np.array_equal(gh.read(write(path, compress(text[:-1].encode())), kind="LOCPOT").values, whole)
    for cut in range(2, len(listed[-1].strip())):
        write(path, compress(text[:-cut].encode()))
        with pytest.raises(FileFormatError, match="It is truncated") as caught:
            gh.read(path, kind="LOCPOT")
        assert str(caught.value).startswith(str(path))
    write(path, compress(text[:-2].encode()))
    with pytest.raises(FileFormatError, match=r"within value 336 of 336: .* It is truncated: write or copy it again"):
        gh.read(path, kind="LOCPOT")


def test_a_complete_file_of_free_numbers_may_lack_its_line_end(tmp_path):
    values = values_of((4, 5, 6))
    words = [*(f"{v:.6g}" for v in values.ravel(order="F")[:-1]), "2.5"]
    field = gh.read(write(tmp_path / "LOCPOT", poscar() + "\n  4 5 6\n" + rows(words).rstrip("\n")), kind="LOCPOT")
    assert field.values[-1, -1, -1] == 2.5
