"""Potentials, fields, vacuum levels, band offsets and energies from the command line and from job files."""

from pathlib import Path

import numpy as np
import pytest
from gaussian_charges import density

import gpuhomog as gh
from gpuhomog import plots
from gpuhomog.units import COULOMB_CONSTANT

POISSON = 4 * np.pi * COULOMB_CONSTANT
CELL = np.diag([4.0, 4.0, 20.0])


@pytest.fixture
def charge(tmp_path):
    """A polar slab: +0.2 e in each 4 x 4 Å^2, 1.5 Å above -0.2 e."""
    blobs = [(0.2, 0.6, (2.0, 2.0, 10.5)), (-0.2, 0.6, (2.0, 2.0, 9.0))]
    field = density((12, 12, 60), CELL, blobs, "periodic", (2, 2, 0))
    gh.write(field, tmp_path / "charge.h5")
    return tmp_path / "charge.h5"


STEP = POISSON * 0.2 * 1.5 / 16


def test_a_slab_with_an_open_axis(run, charge, tmp_path):
    ran = run("potential", charge, "--boundary", "p,p,o", "-o", "phi.h5", "--plot", "levels.png", "--json")
    report = ran.json
    assert ran.code == 0
    assert report["outputs"] == ["phi.h5", "levels.png"]
    levels = report["result"]["vacuum_levels"]
    assert levels["step"]["value"] == pytest.approx(STEP, rel=1e-5)
    assert levels["low"]["value"] == pytest.approx(-STEP / 2, rel=1e-5)
    assert report["result"]["quantity"] == "electrostatic_potential"
    assert report["result"]["boundary"] == ["periodic", "periodic", "open"]
    written = gh.read(tmp_path / "phi.h5")
    expected = gh.electrostatic_potential(gh.read(charge), "p,p,o")
    assert written.values == pytest.approx(expected.values, abs=1e-12)
    assert written.grid.boundary == ("periodic", "periodic", "open")
    shown = run("potential", "phi.h5").out
    assert "Vacuum levels, potential of a positive charge" in shown
    assert "step, high - low" in shown


def test_field_and_density(run, charge, tmp_path):
    report = run(
        "potential", charge, "--boundary", "p,p,o", "--to-quantity", "electric_field", "-o", "e.npz", "--json"
    ).json
    assert report["outputs"] == ["e_x.npz", "e_y.npz", "e_z.npz"]
    expected = gh.electric_field(gh.read(charge), "p,p,o")
    for name, component in zip("xyz", expected, strict=True):
        assert gh.read(tmp_path / f"e_{name}.npz").values == pytest.approx(component.values, abs=1e-12)
        assert report["result"]["electric_field"][name]["unit"] == "V/Å"
    run("potential", charge, "-o", "phi.h5")
    report = run("potential", "phi.h5", "--to-quantity", "charge_density", "-o", "rho.h5", "--json").json
    assert report["result"]["quantity"] == "charge_density"
    assert gh.read(tmp_path / "rho.h5").values == pytest.approx(gh.read(charge).values, abs=1e-9)


def test_dipole_correction_and_work_functions(run, charge):
    run("potential", charge, "-o", "phi.h5")
    options = ("--axis", "c", "--dipole-correction", "--fermi-energy", "-3")
    for more in ((), ("--density", charge)):
        result = run("potential", "phi.h5", *options, *more, "--json").json["result"]
        assert result["vacuum_levels"]["step"]["value"] == pytest.approx(STEP, rel=1e-3)
        assert result["dipole_correction"]["from_charge"] is bool(more)
        works = [result["vacuum_levels"][f"work_function_{side}"]["value"] for side in ("low", "high")]
        assert works[0] - works[1] == pytest.approx(STEP, rel=1e-3)
    refused = run("potential", "phi.h5", "--axis", "c")
    assert refused.code == 2
    assert "No vacuum plateau" in refused.sentence
    assert "removed by --dipole-correction" in refused.sentence


def test_a_slab_across_the_boundary(run, charge, tmp_path):
    field = gh.read(charge)
    gh.write(field.derive(np.roll(field.values, 30, 2), "rolled"), tmp_path / "rolled.h5")
    refused = run("potential", "rolled.h5", "--boundary", "p,p,o")
    assert refused.code == 2
    assert "Cut the periodic cell in its vacuum, --recut, or take more of it" in refused.sentence
    result = run("potential", "rolled.h5", "--boundary", "p,p,o", "--recut", "--json").json["result"]
    assert result["vacuum_levels"]["step"]["value"] == pytest.approx(STEP, rel=1e-5)
    assert "--recut needs one open axis" in run("potential", "rolled.h5", "--recut").sentence


def test_no_vacuum_is_a_note_where_none_was_asked_for(run, tmp_path):
    """A slab that fills its open box: the potential is written all the same."""
    z = np.arange(40) * 0.25
    wave = gh.Field.from_array(
        np.cos(2 * np.pi * z)[None, None], np.diag([3.0, 3.0, 10.0]), quantity="electrostatic_potential"
    )
    gh.write(wave, tmp_path / "wave.h5")
    ran = run("potential", "wave.h5", "--boundary", "p,p,o", "-o", "again.h5")
    assert ran.code == 0
    assert "none along c: No vacuum along c" in " ".join(ran.out.split())
    assert run("potential", "wave.h5", "--boundary", "p,p,o", "--axis", "c").code == 2


def test_a_potential_larger_than_memory(run, charge, tmp_path):
    run("potential", charge, "--boundary", "p,p,o", "-o", "phi.h5")
    given = ("--max-memory", "2GB", "--fresh", "-o", "again.h5", "--json")
    report = run("potential", "phi.h5", *given).json
    assert report["result"]["vacuum_levels"]["step"]["value"] == pytest.approx(STEP, rel=1e-5)
    assert gh.read(tmp_path / "again.h5").values == pytest.approx(gh.read(tmp_path / "phi.h5").values)
    solved = run("potential", charge, "--boundary", "p,p,o", "--max-memory", "2GB", "--fresh", "--json").json
    assert solved["result"]["vacuum_levels"]["step"]["value"] == pytest.approx(STEP, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--boundary", "o,p,p"), ("charge wraps the cell boundary along a",)),
        (("--to-quantity", "electric_field", "--axis", "c"), ("--axis is about the vacuum levels",)),
        (
            ("--to-quantity", "charge_density", "--dipole-correction"),
            ("--dipole-correction is about", "leave --to-quantity charge_density"),
        ),
        (("--dipole-correction",), ("needs --axis",)),
        (("--to-quantity", "energy"), ("--to-quantity",)),
        (("--ion-width", "1"), ("--ion-width belongs to --ion-charges",)),
    ],
)
def test_what_is_refused(run, charge, options, words):
    ran = run("potential", charge, *options, "-o", "out.h5")
    assert ran.code == 2
    assert all(word in ran.sentence for word in words)
    assert not Path("out.h5").exists()


class TestEnergy:
    """gpuhomog energy A --other B."""

    @pytest.fixture
    def two(self, tmp_path):
        for name, z in (("left", 5.0), ("right", 11.0)):
            field = density((24, 24, 40), np.diag([9.6, 9.6, 16.0]), [(1.0, 0.6, (4.8, 4.8, z))], "open")
            gh.write(field, tmp_path / f"{name}.h5")
        return "left.h5", "right.h5"

    def test_two_charges(self, run, two):
        report = run("energy", two[0], "--other", two[1], "-o", "energy.json", "--json").json
        result = report["result"]
        assert result["energy"]["value"] == pytest.approx(COULOMB_CONSTANT / 6, rel=1e-5)
        assert result["self_first"]["value"] == pytest.approx(COULOMB_CONSTANT / (2 * np.pi**0.5 * 0.6), rel=1e-5)
        assert Path("energy.json").exists()
        assert "between the two" in run("energy", two[0], "--other", two[1]).out

    def test_in_a_job(self, run, two):
        Path("job.toml").write_text(
            f'[input]\nfile = "{two[0]}"\n[[task]]\ncommand = "energy"\nother = "{two[1]}"\noutput = "e.json"\n'
            '[[task]]\ncommand = "potential"\noutput = "phi.h5"\n'
        )
        report = run("run", "job.toml", "--json").json
        found = report["tasks"][0]["result"]["energy"]["value"]
        assert found == pytest.approx(COULOMB_CONSTANT / 6, rel=1e-5)
        assert Path("phi.h5").exists()
        plan = run("plan", "job.toml", "--json").json
        assert [task["task"] for task in plan["tasks"]] == ["energy of left.h5", "potential of left.h5"]
        n_bytes = 24 * 24 * 40 * 8  # values; a spectrum four times as large, and its potential beside it
        assert plan["tasks"][1]["memory_bytes"] >= 6 * n_bytes

    def test_refusals(self, run, two):
        assert "--other is missing" in run("energy", two[0]).sentence or "--other" in run("energy", two[0]).err
        ran = run("energy", two[0], "--other", two[1], "--boundary", "periodic")
        assert ran.code == 2
        assert "net charge of 1 e" in ran.sentence


class TestBandEdges:
    """gpuhomog step --between … --band-edge …"""

    @pytest.fixture
    def interface(self, tmp_path):
        x = np.arange(600) * 0.1
        values = np.where(x < 30, np.cos(2 * np.pi * x / 2.4), 1.2 + np.sin(2 * np.pi * x / 3.0))
        field = gh.Field.from_array(
            values[None, None], np.diag([3.0, 3.0, 60.0]), quantity="electrostatic_potential", boundary="p,p,o"
        )
        gh.write(field, tmp_path / "interface.h5")
        return "interface.h5"

    def test_offsets(self, run, interface):
        given = ("--between", "15,45", "--period", "2.4,3", "--band-edge", "5,7,6.5,9.5")
        result = run("step", interface, *given, "--json").json["result"]
        assert result["step"]["value"] == pytest.approx(1.2, abs=1e-6)
        aligned = result["band_alignment"]
        assert aligned["valence"]["value"] == pytest.approx(0.8, abs=1e-6)
        assert aligned["conduction"]["value"] == pytest.approx(1.8, abs=1e-6)
        assert aligned["alignment"] == "staggered"
        assert "Band alignment, high against low" in run("step", interface, *given).out
        assert run("step", interface, *given, "-o", "offsets.json", "--plot", "offsets.svg").code == 0
        assert gh.read_result("offsets.json")["valence"] == aligned["valence"]

    def test_refusals(self, run, interface):
        assert "give --between too" in run("step", interface, "--band-edge", "5,7").sentence
        assert "two energies in eV" in run("step", interface, "--between", "15,45", "--band-edge", "5").sentence


def test_figure_of_vacuum_levels(charge):
    field = gh.electrostatic_potential(gh.read(charge), "p,p,o")
    levels, profile = gh.vacuum_levels(field, "c"), gh.planar_average(field, "c")
    (axes,) = plots.plot_vacuum_levels(profile, levels).axes
    ends = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 2]
    assert sorted(float(y[0]) for y in ends) == pytest.approx([-STEP / 2, STEP / 2], rel=1e-5)
    assert any("high − low" in text.get_text() for text in axes.texts)


def test_a_cylinder_in_a_slab_across_the_end_of_its_cell(run, charge, tmp_path):
    """Cut in its vacuum, the slab has the potential that it has in the middle of its cell."""
    field = gh.read(charge)
    gh.write(field.derive(np.roll(field.values, -30, axis=2), "rolled"), tmp_path / "across.h5")
    cylinder = ("--axis", "c", "--radius", "3", "--json")
    assert "--recut" in run("potential", "across.h5", *cylinder).sentence
    cut = run("potential", "across.h5", "--recut", *cylinder).json["result"]["cylinder"]
    whole = run("potential", charge, *cylinder).json["result"]["cylinder"]
    for part in cut:
        assert cut[part]["maximum"] == pytest.approx(whole[part]["maximum"], rel=1e-6)


def test_options_that_would_not_be_used_are_refused(run, charge):
    """0 counts as given."""
    run("potential", charge, "-o", "phi.h5")
    for name in ("--fermi-energy", "--x-b"):
        assert f"{name} needs --axis" in run("potential", "phi.h5", name, "0").sentence
        refused = run("potential", "phi.h5", "--to-quantity", "charge_density", name, "0")
        assert refused.code == 2 and f"{name} is about the vacuum levels" in refused.sentence
        refused = run("potential", charge, "--radius", "3", name, "0")
        assert f"{name} does not go with --radius" in refused.sentence
    assert (
        "is about a potential" in run("potential", charge, "--radius", "3", "--to-quantity", "electric_field").sentence
    )
    refused = run("potential", "phi.h5", "--axis", "c", "--radius", "3")
    assert refused.code == 2 and "gpuhomog potential FILE --to-quantity charge_density" in refused.sentence


def test_advice_names_the_command_that_has_the_option(run, charge):
    run("potential", charge, "-o", "phi.h5")
    refused = run("inner-potential", "phi.h5", "--axis", "a")
    assert refused.code == 2 and '"gpuhomog step" --between' in refused.sentence
