"""Tables: what comes back is what was written, bit for bit; other programs can read the columns."""

import csv
import json
from dataclasses import dataclass

import h5py
import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.results import Measurement, Profile, Result

SUFFIXES = [".csv", ".json", ".h5"]
AWKWARD = np.array([0.1, 1 / 3, -2.5e-17, 1e300, 5e-324, np.nextafter(1, 2), 0.0])


def profile_of(**options):
    atoms = gh.Structure([11, 17], [[0, 0, 0], [1, 1 / 3, 2]], [1, 7])
    values = {
        "length": 7 / 3,
        "boundary": "open",
        "planes": "(1 1 0)",
        "normal": np.array([0.6, 0.8, 0.0]),
        "area": 10 / 3,
        "ripple": 1e-7,
        "uncertainty": np.abs(AWKWARD[::-1]) * 0.1,
        "periods": (2.5, 1 / 7),
        "structure": atoms,
        "provenance": ({"step": "read", "path": "elsewhere/CHGCAR", "eps": 0.1},),
    }
    return Profile(np.arange(7) / 3, AWKWARD, "e/Å^3", "charge_density", **{**values, **options})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_profiles_come_back_bit_for_bit(tmp_path, suffix):
    profile = profile_of()
    gh.write(profile, tmp_path / f"p{suffix}")
    back = gh.read_profile(tmp_path / f"p{suffix}")
    for name in ("position", "values", "normal", "uncertainty"):
        assert np.array_equal(getattr(back, name), getattr(profile, name)), name
    for name in ("unit", "quantity", "length", "boundary", "planes", "area", "ripple", "periods"):
        assert getattr(back, name) == getattr(profile, name), name
    assert np.array_equal(back.structure.positions, profile.structure.positions)
    assert np.array_equal(back.structure.charges, profile.structure.charges)
    assert back.provenance[:-1] == profile.provenance
    assert back.provenance[-1]["path"] == str(tmp_path / f"p{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_not_known_stays_unknown(tmp_path, suffix):
    profile = Profile([0.0, 1.0], [1.0, 2.0], None, "scalar", 2.0)
    gh.write(profile, tmp_path / f"p{suffix}")
    back = gh.read_profile(tmp_path / f"p{suffix}")
    assert (back.unit, back.area, back.ripple, back.uncertainty, back.structure) == (None,) * 5
    assert back.periods == ()


def test_csv_columns_load_with_numpy_and_the_header_is_json(tmp_path):
    gh.write(profile_of(), tmp_path / "p.csv")
    text = (tmp_path / "p.csv").read_text(encoding="utf-8").splitlines()
    header = dict(line[2:].split(": ", 1) for line in text if line.startswith("# "))
    assert json.loads(header["unit"]) == "e/Å^3"
    assert json.loads(header["provenance"])[0]["path"] == "elsewhere/CHGCAR"
    table = np.loadtxt(tmp_path / "p.csv", delimiter=",", skiprows=len(header) + 1)
    assert np.array_equal(table[:, 1], AWKWARD)
    assert text[len(header)] == "position,values,uncertainty"


def test_hdf5_profiles_as_h5py_sees_them(tmp_path):
    gh.write(profile_of(), tmp_path / "p.h5")
    with h5py.File(tmp_path / "p.h5") as file:
        assert file["result"].attrs["kind"] == "Profile"
        assert np.array_equal(file["result/values"][...], AWKWARD)
        assert file["result/values"].attrs["unit"] == "e/Å^3"
        assert file["result/position"].attrs["unit"] == "Å"


@dataclass(frozen=True, eq=False)
class Made(Result):
    """A result with everything that results have."""

    charge: Measurement
    step: Measurement
    profile: Profile
    windows: tuple[float, ...]
    counts: tuple[int, ...]
    side: str
    sides: dict
    n_electrons: float
    n_atoms: int
    converged: bool
    nothing: None
    provenance: tuple = ()


@pytest.fixture
def made():
    return Made(
        Measurement(1 / 3, "e/Å^2", 1e-7),
        Measurement.not_defined("V", 'the vacuum is tilted, "badly"'),
        profile_of(),
        (1.5, 1 / 7),
        (1, 2),
        "high",
        {"low": Measurement(-0.25, "e/Å^2"), "note": "a, b"},
        8.0,
        2,
        True,
        None,
        ({"step": "read"},),
    )


@pytest.mark.parametrize("suffix", [".json", ".h5"])
def test_other_results_come_back_as_their_dict(tmp_path, suffix, made):
    gh.write(made, tmp_path / f"r{suffix}")
    content = gh.read_result(tmp_path / f"r{suffix}")
    expected = made.to_dict()
    assert content.pop("kind") == "Made"
    assert content == expected
    assert [type(content[k]) for k in ("n_electrons", "n_atoms", "converged")] == [float, int, bool]


def test_other_results_as_rows(tmp_path, made):
    gh.write(made, tmp_path / "r.csv")
    lines = (tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()
    assert "# not in this table, but in .json and .h5: profile, windows, counts" in lines
    rows = {row["name"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}
    assert float(rows["charge"]["value"]) == 1 / 3
    assert (float(rows["charge"]["uncertainty"]), rows["charge"]["unit"]) == (1e-7, "e/Å^2")
    assert (rows["step"]["value"], rows["step"]["reason"]) == ("", 'the vacuum is tilted, "badly"')
    assert rows["sides.low"]["value"] == "-0.25"
    assert rows["sides.note"]["value"] == "a, b"
    assert rows["side"]["value"] == "high"
    assert (rows["n_electrons"]["value"], rows["n_atoms"]["value"]) == ("8.0", "2")
    assert "nothing" not in rows


def test_results_of_real_operators_are_written(tmp_path):
    z = np.arange(64) / 64
    field = gh.Field.from_array(
        np.broadcast_to(np.sin(2 * np.pi * z), (2, 2, 64)), np.diag([2.0, 2.0, 16.0]), quantity="charge_density"
    )
    profile = gh.planar_average(field, "c")
    for suffix in SUFFIXES:
        gh.write(profile, tmp_path / f"p{suffix}")
        assert np.array_equal(gh.read_profile(tmp_path / f"p{suffix}").values, profile.values)
