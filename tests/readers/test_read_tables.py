"""Profiles from the text tables of other programs, and damaged tables of our own."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError, UnitsError
from gpuhomog.results import Result

VASPKIT = """#Planar Distance (in Angstrom), Planar Average Potential (in eV)
   0.0000        -3.1250
   0.2500        -3.5000
   0.5000         1.5000
   0.7500         2.5000
"""
MACROAVE = "  0.00000000000  -0.5\n  0.50000000000  0.25\n  1.00000000000  0.75\n"  # bohr, eV


def test_vaspkit_planar_average(tmp_path):
    (tmp_path / "PLANAR_AVERAGE.dat").write_text(VASPKIT)
    profile = gh.read_profile(tmp_path / "PLANAR_AVERAGE.dat", quantity="electron_potential_energy")
    assert np.allclose(profile.position, [0, 0.25, 0.5, 0.75])
    assert np.array_equal(profile.values, [-3.125, -3.5, 1.5, 2.5])
    assert profile.length == pytest.approx(1.0)
    assert profile.unit == "eV"
    assert profile.provenance[0]["path"].endswith("PLANAR_AVERAGE.dat")


def test_macroave_in_bohr_and_rydberg(tmp_path):
    (tmp_path / "Si.PAV").write_text(MACROAVE)
    profile = gh.read_profile(
        tmp_path / "Si.PAV", quantity="electron_potential_energy", unit="Ry", position_unit="bohr", boundary="open"
    )
    assert np.allclose(profile.position, np.array([0, 0.5, 1.0]) * 0.529177210544, rtol=1e-14)
    assert np.allclose(profile.values, np.array([-0.5, 0.25, 0.75]) * 13.605693122990, rtol=1e-14)
    assert profile.boundary == "open"


def test_spreadsheets_with_headings(tmp_path):
    (tmp_path / "t.csv").write_text("z,planar,macroscopic\n1.0,2,9\n1.5,3,9\n2.0,4,9\n")
    profile = gh.read_profile(tmp_path / "t.csv")
    assert np.allclose(profile.position, [1.0, 1.5, 2.0])
    assert np.array_equal(profile.values, [2, 3, 4])
    assert (profile.quantity, profile.unit) == ("scalar", None)


def test_positions_are_those_of_the_table(tmp_path):
    """They began at 0, wherever the table did: a place to cut, given as the table has it, was elsewhere."""
    (tmp_path / "x.dat").write_text("".join(f"{-10 + 0.25 * i:.3f} {np.cos(0.7 * i):.6f}\n" for i in range(80)))
    profile = gh.read_profile(tmp_path / "x.dat")
    assert np.allclose(profile.position, -10 + 0.25 * np.arange(80))
    assert (profile.spacing, profile.length) == pytest.approx((0.25, 20.0))
    (tmp_path / "y.dat").write_text("0.5 1\n1.0 2\n1.5 3\n")
    assert np.allclose(gh.read_profile(tmp_path / "y.dat", position_unit="nm").position, [5, 10, 15])


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff0.0,1.5\n0.5,-0.25\n1.0,3\n",  # a byte order mark hid the first row
        "0,0;1,5\r\n0,5;-0,25\r\n1,0;3\r\n",  # decimal commas made it positions 0, 0, 1 with values 0, 5, 0
        "0,0 1,5\n0,5 -0,25\n1,0 3,0\n",
        "0.0D+00  1.5D+00\n 0.5D0 -2.5D-01\n 1.0D+00  3.0D+00\n",
        "z, rho\n0, 1.5  # the first\n0.5, -0.25\n1, 3\n",
    ],
)
def test_tables_of_many_writers(tmp_path, text):
    (tmp_path / "x.dat").write_text(text, encoding="utf-8")
    profile = gh.read_profile(tmp_path / "x.dat")
    assert np.array_equal(profile.position, [0, 0.5, 1.0])
    assert np.array_equal(profile.values, [1.5, -0.25, 3])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0 1\n1 2\n3 3\n", "not equally spaced"),
        ("0 1\n-1 2\n-2 3\n", "not equally spaced and increasing"),
        ("0 1\n1 nan\n2 3\n", "NaN or infinite"),
        ("0 1\n1 ****\n", "line 2 is not a row of numbers"),
        ("0 ****\n1 2\n2 3\n", "line 1 is not a row of numbers"),  # it was passed over as a heading
        ("0 1\n1\n", "line 2 has one number"),
        ("z v\n", "no table of two columns"),
        ("", "no table of two columns"),
    ],
)
def test_tables_that_are_no_profile_are_refused(tmp_path, text, sentence):
    (tmp_path / "t.dat").write_text(text)
    with pytest.raises(FileFormatError, match=rf"t\.dat: .*{sentence}"):
        gh.read_profile(tmp_path / "t.dat")


def test_unknown_words_and_missing_files_are_refused(tmp_path):
    (tmp_path / "t.dat").write_text(VASPKIT)
    with pytest.raises(UnitsError, match="Unknown quantity"):
        gh.read_profile(tmp_path / "t.dat", quantity="potential")
    with pytest.raises(UnitsError, match='"eV"'):
        gh.read_profile(tmp_path / "t.dat", quantity="charge_density", unit="eV")
    with pytest.raises(InputError, match="no such file"):
        gh.read_profile(tmp_path / "u.dat")


@pytest.fixture
def profile():
    return gh.Profile(np.arange(4.0), [0.1, 0.2, 0.3, 0.4], "V", "electrostatic_potential", 4.0)


def test_another_quantity_than_the_file_states_is_refused(tmp_path, profile):
    gh.write(profile, tmp_path / "p.csv")
    assert gh.read_profile(tmp_path / "p.csv", quantity="electrostatic_potential").unit == "V"
    with pytest.raises(InputError, match=r'is a profile of "electrostatic_potential"'):
        gh.read_profile(tmp_path / "p.csv", quantity="charge_density")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".h5"])
def test_truncated_tables_are_refused(tmp_path, profile, suffix):
    path = tmp_path / f"p{suffix}"
    gh.write(profile, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(FileFormatError, match=rf"p\{suffix}: "):
        gh.read_profile(path)


@pytest.mark.parametrize("end", ["3.0,0.4\n", ".4\n", "\n"])
def test_a_table_cut_at_a_row_or_inside_its_last_number_is_refused(tmp_path, profile, end):
    gh.write(profile, tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text()
    assert text.endswith(end)
    (tmp_path / "p.csv").write_text(text.removesuffix(end))
    with pytest.raises(FileFormatError, match=r"announces 4 rows and has [34]; it is truncated"):
        gh.read_profile(tmp_path / "p.csv")


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_tables_that_are_no_text_are_refused(tmp_path, profile, suffix):
    path = tmp_path / f"p{suffix}"
    gh.write(profile, path)
    path.write_bytes(path.read_bytes().replace(b"uantity", b"u\xffntity", 1))
    with pytest.raises(FileFormatError, match=rf"p{suffix}: is not"):
        gh.read_profile(path)


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_other_versions_are_refused(tmp_path, profile, suffix):
    path = tmp_path / f"p{suffix}"
    gh.write(profile, path)
    path.write_text(path.read_text().replace("version: 1", "version: 2").replace('"version": 1', '"version": 2'))
    with pytest.raises(FileFormatError, match="schema version 2"):
        gh.read_profile(path)


def test_json_of_others_is_refused(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"position": [0, 1]}))
    with pytest.raises(FileFormatError, match="not a file of gpuhomog"):
        gh.read_profile(tmp_path / "x.json")
    with pytest.raises(FileFormatError, match="not a file of gpuhomog"):
        gh.read_result(tmp_path / "x.json")


@dataclass(frozen=True, eq=False)
class Sums(Result):
    """A result that has more than a table holds."""

    sum: float = 1.5
    parts: list = field(default_factory=lambda: [1.0, 2.0])
    provenance: tuple = ()


@pytest.mark.parametrize("read", [gh.read_result, gh.read_profile])
def test_the_table_of_a_result_is_for_people(tmp_path, read):
    for suffix in (".csv", ".json", ".h5"):
        gh.write(Sums(), tmp_path / f"sc{suffix}")
    assert "not in this table" in (tmp_path / "sc.csv").read_text()
    with pytest.raises(FileFormatError, match=r"sc\.csv: .* for reading by people.*Read its \.json or \.h5"):
        read(tmp_path / "sc.csv")
    assert gh.read_result(tmp_path / "sc.json")["parts"] == gh.read_result(tmp_path / "sc.h5")["parts"] == [1.0, 2.0]
