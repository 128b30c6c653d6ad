"""Gaussian cubes: dialects of counts, rows and numbers; orbitals; what is wrong is refused in one sentence."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, FileFormatError, InputError, UnitsError
from gpuhomog.readers import open_source
from gpuhomog.units import BOHR, HARTREE

DATA = Path(__file__).parents[1] / "data"
STEPS = np.array([[0.5, 0.0, 0.0], [0.1, 0.6, 0.0], [0.0, -0.2, 0.7]])
ATOMS = ((11, 10.5, 0.0, 0.1, 0.2), (17, 17.0, 3.0, 3.0, 3.5))


def header(shape, origin=(0.0, 0.0, 0.0), atoms=ATOMS, steps=STEPS, n_atoms=None, extra=""):
    text = "title\nsecond comment\n"
    text += f"{len(atoms) if n_atoms is None else n_atoms:5d}" + "".join(f"{x:12.6f}" for x in origin) + extra + "\n"
    for n, step in zip(shape, steps, strict=True):
        text += f"{n:5d}" + "".join(f"{x:12.6f}" for x in step) + "\n"
    return text + "".join(f"{z:5d}" + "".join(f"{x:12.6f}" for x in rest) + "\n" for z, *rest in atoms)


def body(values, per_row=6, style="%13.5E", per_point=1, runs=True):
    flat = values.reshape(-1, values.shape[2] * per_point) if runs else values.reshape(1, -1)
    lines = []
    for run in flat:
        words = [style % v for v in run]
        lines += ["".join(words[i : i + per_row]) for i in range(0, len(words), per_row)]
    return "\n".join(lines) + "\n"


def numbers(text):
    return np.array([float(w) for w in text.split()])


def values_of(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * np.exp(2 * rng.normal(size=shape))


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"per_row": 5},
        {"per_row": 1},
        {"per_row": 100},
        {"runs": False},
        {"style": "%14.6e"},
        {"style": " %.10E"},
        {"style": "%20.12f"},
        {"style": " %.17E"},
        {"style": " %.6g"},
    ],
)
@pytest.mark.parametrize("shape", [(3, 4, 7), (2, 5, 12), (1, 1, 1)])
def test_rows_of_any_kind(tmp_path, style, shape):
    text = body(values_of(shape), **style)
    path = write(tmp_path / "x.cub", header(shape) + text)
    expected = numbers(text).reshape(shape)
    field = gh.read(path)
    assert np.array_equal(field.values, expected)
    assert (field.quantity, field.unit) == ("scalar", None)
    assert field.values.flags.c_contiguous
    planes = open_source(path).read_planes(shape[0] - 1, shape[0], "values", np.dtype(float))
    assert np.array_equal(planes, expected[-1:])
    packed = write(tmp_path / "x.cube.gz", gzip.compress(path.read_bytes()))
    assert np.array_equal(gh.read(packed, dtype=np.float32).values, expected.astype(np.float32))


def test_geometry_is_in_bohr(tmp_path):
    path = write(tmp_path / "x.cube", header((3, 4, 5), origin=(1.0, -2.0, 0.5)) + body(values_of((3, 4, 5))))
    field = gh.read(path)
    assert np.allclose(field.grid.cell, STEPS * np.array([[3], [4], [5]]) * BOHR, rtol=1e-15)
    assert np.allclose(field.grid.origin, np.array([1.0, -2.0, 0.5]) * BOHR, rtol=1e-15)
    assert np.allclose(field.structure.positions[1], np.array([3.0, 3.0, 3.5]) * BOHR, rtol=1e-15)
    assert field.structure.charges.tolist() == [10.5, 17.0]


@pytest.mark.parametrize(
    ("quantity", "unit", "factor"),
    [
        ("charge_density", "e/Å^3", BOHR**-3),
        ("electron_density", "1/Å^3", BOHR**-3),
        ("electrostatic_potential", "V", HARTREE),
        ("electron_potential_energy", "eV", HARTREE),
    ],
)
def test_a_quantity_means_atomic_units(tmp_path, quantity, unit, factor):
    text = body(values_of((3, 4, 5)))
    path = write(tmp_path / "x.cube", header((3, 4, 5)) + text)
    field = gh.read(path, quantity=quantity)
    assert field.unit == unit
    assert np.allclose(field.values.ravel(), numbers(text) * factor, rtol=1e-14)


def test_a_unit_can_be_given(tmp_path):
    text = body(values_of((3, 4, 5)))
    path = write(tmp_path / "x.cube", header((3, 4, 5)) + text)
    assert np.allclose(gh.read(path, quantity="electrostatic_potential", unit="mV").values.ravel(), numbers(text) / 1e3)
    assert gh.read(path, unit="e/nm").unit == "e/nm"
    with pytest.raises(UnitsError, match="Cannot convert"):
        gh.read(path, quantity="electrostatic_potential", unit="e")


@pytest.mark.parametrize(
    ("comments", "unit"),
    [
        (" Cubfile created from PWScf calculation\n Contains the selected quantity on a FFT grid\n", "Ry"),
        ("STEP: 0  Cubefile created from ABACUS. Inner loop is z, followed by y and x\n1 (nspin)\n", "Ry"),
        ("Cube file from ASE, written on Fri Nov 27 12:00:00 2026\nOUTER LOOP: X, MIDDLE LOOP: Y\n", "eV"),
    ],
)
def test_potentials_of_writers_that_do_not_use_hartree_need_their_unit(tmp_path, comments, unit):
    """Read as Ha, those of pp.x and ABACUS were twice as large, those of ASE 27 times."""
    text = body(values_of((3, 4, 5)))
    path = write(tmp_path / "x.cube", comments + header((3, 4, 5)).split("\n", 2)[2] + text)
    for quantity in ("electron_potential_energy", "electrostatic_potential"):
        with pytest.raises(UnitsError, match=f'in {unit}, not in Ha. Say quantity="electron_p.*unit="{unit}"'):
            gh.read(path, quantity=quantity)
    factor = {"Ry": HARTREE / 2, "eV": 1.0}[unit]
    found = gh.read(path, quantity="electron_potential_energy", unit=unit)
    assert np.allclose(found.values.ravel(), numbers(text) * factor, rtol=1e-9)
    assert np.allclose(gh.read(path, quantity="electron_density").values.ravel(), numbers(text) / BOHR**3, rtol=1e-14)
    assert gh.read(path).unit is None
    writer = f"which writes the potential energy of an electron in {unit}, not in Ha."
    assert gh.readers.inspect_file(path)["remarks"][-1].endswith(writer)


def test_the_hartree_potential_of_cp2k_is_an_energy(tmp_path):
    """Negative at the nuclei, in Ha: as a potential it would have the wrong sign."""
    text = body(values_of((3, 4, 5)))
    path = write(tmp_path / "x.cube", " -Quickstep-\n HARTREE POTENTIAL\n" + header((3, 4, 5)).split("\n", 2)[2] + text)
    with pytest.raises(UnitsError, match=r'of the opposite sign\. Say quantity="electron_potential_energy"'):
        gh.read(path, quantity="electrostatic_potential")
    found = gh.read(path, quantity="electron_potential_energy")
    assert np.allclose(found.values.ravel(), numbers(text) * HARTREE, rtol=1e-9)
    turned = gh.read(path, quantity="electrostatic_potential", unit="V")
    assert np.allclose(turned.values.ravel(), numbers(text), rtol=1e-9)
    density = write(tmp_path / "y.cube", path.read_text().replace("HARTREE POTENTIAL", "ELECTRON DENSITY"))
    assert gh.read(density, quantity="electrostatic_potential").unit == "V"
    assert gh.readers.inspect_file(path)["remarks"][-1].endswith("of an electron in Ha, of the opposite sign.")
    assert gh.readers.inspect_file(density)["remarks"][-1].endswith("name the quantity to have them converted.")


def test_dialects_of_numbers(tmp_path):
    words = "1.0-2.0 0.17557+106 -0.123-100 1.5D-03-7.25d+01 3.0E+00 -.5E+1 +4."
    path = write(tmp_path / "x.cube", header((1, 3, 3)) + words + "\n")
    expected = [1.0, -2.0, 0.17557e106, -0.123e-100, 1.5e-3, -72.5, 3.0, -5.0, 4.0]
    assert gh.read(path).values.ravel().tolist() == expected
    touching = "".join(f"{v:12.5E}" for v in -np.arange(1.0, 7.0)) + "\n"
    write(path, header((1, 2, 6)) + touching * 2)
    assert gh.read(path).values.ravel().tolist() == (-np.arange(1.0, 7.0)).tolist() * 2


def test_no_atoms(tmp_path):
    path = write(tmp_path / "x.cube", header((2, 2, 2), atoms=()) + body(values_of((2, 2, 2))))
    assert gh.read(path).structure is None


@pytest.mark.parametrize("per_row", [6, 4])
@pytest.mark.parametrize("piece", [1, 31, 10**6])
def test_orbitals(tmp_path, monkeypatch, per_row, piece):
    from gpuhomog.readers import text_values

    monkeypatch.setattr(text_values, "PIECE", piece)
    values = values_of((3, 4, 5 * 3))
    text = body(values_of((3, 4, 5 * 3)), per_row)
    ids = "    3    7    8\n   12\n"
    path = write(tmp_path / "x.cube", header((3, 4, 5), n_atoms=-2) + ids + text)
    source = open_source(path)
    assert source.blocks == ("orbital 7", "orbital 8", "orbital 12") and len(source.structure) == 2
    expected = numbers(text).reshape(3, 4, 5, 3)
    assert values.size == expected.size
    for i, name in enumerate(source.blocks):
        assert np.array_equal(gh.read(path, block=name).values, expected[..., i])
        assert np.array_equal(source.read_planes(1, 3, name, np.dtype(float)), expected[1:3, ..., i])
    packed = write(tmp_path / "x.gz", gzip.compress(path.read_bytes()))
    assert np.array_equal(gh.read(packed, block="orbital 12").values, expected[..., 2])


def test_orbitals_are_no_densities_without_a_unit(tmp_path):
    path = write(tmp_path / "x.cube", header((2, 2, 2), n_atoms=-2) + "    1    7\n" + body(values_of((2, 2, 2))))
    assert gh.read(path).quantity == "scalar"
    with pytest.raises(UnitsError, match="announces orbitals, whose values are amplitudes; a density is their square"):
        gh.read(path, quantity="electron_density")
    assert gh.read(path, quantity="electron_density", unit="1/Å^3").unit == "1/Å^3"


def test_several_values_per_point(tmp_path):
    text = body(values_of((3, 4, 5 * 2)), per_point=1)
    path = write(tmp_path / "x.cube", header((3, 4, 5), extra="    2") + text)
    assert open_source(path).blocks == ("value 1", "value 2")
    assert np.array_equal(gh.read(path, block="value 2").values, numbers(text).reshape(3, 4, 5, 2)[..., 1])


def test_negative_counts(tmp_path):
    """A bond of 2.8 Å fits NaCl, one of 2.8 bohr does not; and the other way about."""
    values = body(values_of((3, 4, 5)))
    steps = np.diag([4.0, 4.0, 4.0])
    for length, factor in ((2.8, 1.0), (2.8 / BOHR, BOHR)):
        atoms = ((11, 0, 0.0, 0.0, 0.0), (17, 0, length, 0.0, 0.0))
        path = write(tmp_path / "x.cube", header((-3, -4, -5), atoms=atoms, steps=steps) + values)
        field = gh.read(path)
        assert field.grid.shape == (3, 4, 5)
        assert np.allclose(field.grid.cell, np.diag([12.0, 16.0, 20.0]) * factor)
        assert field.structure.positions[1, 0] == pytest.approx(2.8)
        assert gh.read(path, kind="cube-angstrom").grid.cell[0, 0] == 12.0
        assert gh.read(path, kind="cube-bohr").grid.cell[0, 0] == pytest.approx(12.0 * BOHR)
    for atoms in ((), ((11, 0, 0.0, 0.0, 0.0), (17, 0, 20.0, 0.0, 0.0)), ((2, 0, 0, 0, 0), (2, 0, 2.9, 0, 0))):
        write(path, header((-3, -4, -5), atoms=atoms, steps=5 * steps) + values)
        with pytest.raises(FileFormatError, match=r"counts are negative.*cube-bohr"):
            gh.read(path)
        assert gh.read(path, kind="cube-bohr").grid.cell[0, 0] == pytest.approx(60.0 * BOHR)
    write(path, header((-3, 4, -5)) + values)
    with pytest.raises(FileFormatError, match="some counts are negative and some positive"):
        gh.read(path)


@pytest.mark.parametrize("said", ["All units in Angstrom", "cell: ångström", "lengths (Å)", "ANGSTROMS"])
def test_a_title_that_says_angstrom(tmp_path, said):
    """The bond of 2.8 decides; without atoms the format's bohr holds, with a warning."""
    steps = np.diag([4.0, 4.0, 4.0])

    def cube(*atoms, title=said):
        text = header((3, 4, 5), atoms=atoms, steps=steps) + body(values_of((3, 4, 5)))
        return write(tmp_path / "x.cube", text.replace("second comment", title))

    path = cube((11, 0, 0.0, 0.0, 0.0), (17, 0, 2.8, 0.0, 0.0))
    with pytest.raises(FileFormatError, match=r'x\.cube: .*comments say.*so do the distances.*kind="cube-angstrom"'):
        gh.read(path)
    assert gh.read(path, kind="cube-angstrom").grid.cell[0, 0] == 12.0
    assert gh.read(path, kind="cube-bohr").grid.cell[0, 0] == pytest.approx(12 * BOHR)
    path = cube((11, 0, 0.0, 0.0, 0.0), (17, 0, 2.8 / BOHR, 0.0, 0.0))
    assert gh.read(path).grid.cell[0, 0] == pytest.approx(12 * BOHR)
    path = cube()
    with pytest.warns(AccuracyWarning, match=r'comments say.*atoms do not tell.*kind="cube-angstrom"'):
        assert gh.read(path).grid.cell[0, 0] == pytest.approx(12 * BOHR)
    assert gh.read(path, kind="cube-bohr").grid.cell[0, 0] == pytest.approx(12 * BOHR)
    for title in (
        "density in e/Angstrom^3",
        "1/Å^3",
        "V/Angstrom",
        "electrons per cubic angstrom",
        "e Angstrom^-3",
        "Angstromeda",
    ):
        assert gh.read(cube(title=title)).grid.cell[0, 0] == pytest.approx(12 * BOHR)


@pytest.mark.parametrize("name", ["NaCl_slab_charge_density.cube.gz", "NaCl_slab_electron_potential_energy.cube.gz"])
def test_real_cubes_equal_word_by_word(name):
    text = gzip.decompress((DATA / name).read_bytes())
    expected = numbers(text.split(b"\n", 18)[18]).reshape(48, 48, 352)
    assert np.array_equal(gh.read(DATA / name).values, expected)
    assert np.array_equal(open_source(DATA / name).read_planes(20, 29, "values", np.dtype(float)), expected[20:29])


def test_the_slab_is_neutral_and_its_cell_that_of_another_reader():
    from ase.io.cube import read_cube

    name = DATA / "NaCl_slab_charge_density.cube.gz"
    field = gh.read(name, quantity="charge_density", boundary="p,p,o")
    assert abs(field.integral()) < 2e-8
    with gzip.open(name, "rt") as file:
        other = read_cube(file)
    assert np.allclose(field.grid.cell, other["atoms"].cell, rtol=1e-7)
    assert np.allclose(field.structure.positions, other["atoms"].positions, atol=1e-6)
    assert np.allclose(field.values * BOHR**3, other["data"], rtol=1e-13)


GOOD = header((3, 4, 5)) + body(values_of((3, 4, 5)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[: len(t) // 2], r"ends after \d+ of 60 values"),
        (lambda t: t[:-14] + "\n", "ends after 59 of 60 values"),
        (lambda t: t[:-14] + " ************\n", r"value 60 of 60, at grid point \[2, 3, 4\].*stars"),
        (lambda t: t[:-14] + "          NaN\n", r"value 60 of 60.*NaN"),
        (lambda t: t.replace("    5    0.0", "    6    0.0"), "ends after 60 of 72 values"),
        (lambda t: t.replace("    5    0.0", "    4    0.0"), "after the 48 values that its counts announce"),
        (lambda t: t.replace("    5    0.0", "    0    0.0"), "counts are at least 1"),
        (lambda t: t.replace("    5    0.0", " 5000000000    0.0"), "announces 60000000000 values"),
        (lambda t: t.replace("    2 ", "    3 ", 1), "atom 3 of 3"),
        (lambda t: t.replace("    2 ", "   -2 ", 1), "no list of orbitals"),
        (lambda t: t.replace("    0.600000", "    0.000000").replace("   -0.200000", "    0.000000"), "Singular cell"),
        (lambda t: t.replace("   11 ", "  911 "), "atomic number is impossible"),
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_bad_files_are_refused(tmp_path, change, message, compress):
    changed = change(GOOD)
    assert changed != GOOD
    path = write(tmp_path / "x.cube", compress(changed.encode()))
    with pytest.raises(FileFormatError, match=message) as caught:
        gh.read(path, kind="cube")
    said = str(caught.value)
    assert said.startswith(str(path)) and "\n" not in said and len(said) < 400


def test_blocks_and_frames_that_do_not_exist(tmp_path):
    path = write(tmp_path / "x.cube", GOOD)
    with pytest.raises(InputError, match='no block "orbital"'):
        gh.read(path, block="orbital")
    with pytest.raises(InputError, match="holds one cell"):
        gh.read(path, frame=1)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("shape", [(3, 4, 7), (40, 50, 60)])
def test_a_last_number_that_lost_its_end_is_refused(tmp_path, compress, shape):
    text = header(shape) + body(np.full(shape, 1.23e-2))
    path = write(tmp_path / "x.cube", compress(text[:-1].encode()))
    assert (gh.read(path).values == 1.23e-2).all()
    for cut in range(2, 12):
        write(path, compress(text[:-cut].encode()))
        with pytest.raises(FileFormatError, match="It is truncated"):
            gh.read(path)
