"""Commands moments, homogenize, surface-map, charges, and macro in space: numbers by hand, files, figures, refusals."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh


def columns_of(path):
    lines = [line for line in Path(path).read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.fixture
def crystal(tmp_path):
    """cos(2 pi z/5) along c of 5 Å: M1 = sin/k, W = cos/k²."""
    values = np.cos(2 * np.pi * np.arange(40) / 40) + np.zeros((2, 3, 40))
    gh.write(gh.Field.from_array(values, np.diag([2.0, 3.0, 5.0]), quantity="charge_density"), tmp_path / "crystal.h5")
    return "crystal.h5"


@pytest.fixture
def layers(tmp_path):
    """Waves of 1 and 40 Å in 1600 Å, in V."""
    z = np.arange(6400) * 0.25
    values = np.cos(2 * np.pi * z) + np.cos(2 * np.pi * z / 40) + np.zeros((1, 1, 6400))
    field = gh.Field.from_array(values, np.diag([2.0, 2.0, 1600.0]), quantity="electrostatic_potential")
    gh.write(field, tmp_path / "layers.h5")
    return "layers.h5"


# --- moments -------------------------------------------------------------------------------------------------------


def test_moments_of_one_wave(run, crystal):
    k = 2 * np.pi / 5
    ran = run("moments", crystal, "--x-b", "1", "--width", "2", "-o", "m.csv", "--dipole", "d.csv", "--json")
    found = ran.json["result"]
    assert found["m1"]["value"] == pytest.approx(np.sin(k) / k, abs=1e-12)
    assert found["w"]["value"] == pytest.approx(np.cos(k) / k**2, abs=1e-12)
    assert found["m1"]["unit"] == "e/Å^2" and ran.json["outputs"] == ["m.csv", "d.csv"]
    edges = found["zero_average_partition"]["edges"]
    assert [x % 5 for x in edges[:2]] == pytest.approx([1.0, 1.5], abs=0.02)  # where the sine is as at 1 Å
    table = columns_of("m.csv")
    np.testing.assert_allclose(table["m1"], np.sin(k * table["position"]) / k, atol=1e-12)
    np.testing.assert_allclose(table["w"], table["m2"] / 2, atol=1e-12)
    dipole = columns_of("d.csv")
    t = k * 2 / 2
    expected = (np.cos(t) - np.sin(t) / t) / k * np.sin(k * dipole["position"])
    np.testing.assert_allclose(dipole["values"], expected, atol=1e-12)


def test_moments_for_people_and_as_a_figure(run, crystal):
    ran = run("moments", crystal, "--plot", "m.png", "--width", "2")
    assert ran.code == 0 and Path("m.png").read_bytes()[1:4] == b"PNG"
    assert all(word in ran.out for word in ("M1", "zero-average".capitalize(), "Dipole density", "wrote m.png"))


def test_a_bulk_without_returns_says_so(run, tmp_path):
    values = np.cos(2 * np.pi * np.arange(64) / 16) + np.zeros((2, 2, 64))
    gh.write(gh.Field.from_array(values, np.diag([2.0, 2.0, 64.0]), quantity="charge_density"), tmp_path / "bulk.h5")
    given = ("moments", "bulk.h5", "--x-b", "4", "--largest", "3")
    found = run(*given, "--json").json["result"]
    assert found["zero_average_partition"] is None and found["m1"]["value"] == pytest.approx(16 / 2 / np.pi, rel=1e-9)
    assert "does not return to its value" in " ".join(run(*given).out.split())
    ran = run(*given, "--partition", "crossings")
    assert ran.code == 2 and "does not return to its value at x_b" in ran.sentence


# --- homogenize ----------------------------------------------------------------------------------------------------


def test_stages_of_the_spectrum(run, layers):
    found = run("homogenize", layers, "-o", "stages.csv", "--plot", "stages.png", "--json").json
    (stage,) = found["result"]["stages"]
    assert stage["eps"] == pytest.approx(np.sqrt(40), rel=1e-6)
    table = columns_of("stages.csv")
    amplitude = np.exp(-((2 * np.pi / 40) ** 2) * 40 / 8)
    np.testing.assert_allclose(table["average_1"], amplitude * np.cos(2 * np.pi * table["position"] / 40), atol=1e-9)
    assert list(table) == ["position", "profile", "average_1", "macroscopic_1"]
    assert Path("stages.png").exists()


def test_stages_and_interfaces_by_hand(run, layers):
    given = ("homogenize", layers, "--eps", "2,8", "--interfaces", "100,900,1300;100,900")
    found = run(*given, "--json").json["result"]
    assert [stage["eps"] for stage in found["stages"]] == [2.0, 8.0] and found["eps"] == pytest.approx(np.sqrt(68))
    assert [stage["interfaces"] for stage in found["stages"]] == [[100, 900, 1300], [100, 900]]
    assert all(abs(stage["closure"]) < 1e-9 for stage in found["stages"])
    assert "excess at 900 Å" in run(*given).out


@pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")  # four macroscopic modes
def test_a_gap_on_either_side_of_the_widest():
    x = np.arange(2**17) * 0.25
    waves = (1.0, 50.0, 2.0**15 * 0.25)
    values = sum(np.cos(2 * np.pi * x / (2**15 / round(2**15 / wave))) for wave in waves)
    found = gh.stages_of(gh.Profile(x, values, "V", "electrostatic_potential", 2.0**15), (5.0,))
    assert [stage.width for stage in found] == pytest.approx([np.sqrt(50), np.sqrt(50 * 2**13)], rel=2e-3)
    assert found[0].interfaces == (5.0,)
    (alone,) = gh.stages_of(gh.Profile(x, np.cos(2 * np.pi * x), "V", "electrostatic_potential", 2.0**15))
    assert alone.width == pytest.approx(2.0**7.5)  # nothing below: up to the box


# --- surface-map ---------------------------------------------------------------------------------------------------


@pytest.fixture
def map_slab(tmp_path, slab_profile):
    """The slab of pairs, 1 + 0.2 cos(2 pi x/a) as strong at x along a."""
    strength = 1 + 0.2 * np.cos(2 * np.pi * np.arange(8) / 8)[:, None, None]
    field = gh.Field.from_array(
        strength * slab_profile + np.zeros((8, 4, 1)), np.diag([8.0, 4.0, 32.0]), quantity="charge_density"
    )
    gh.write(field, tmp_path / "map.h5")
    return "map.h5"


def test_a_map_has_the_strength_of_its_lines(run, map_slab):
    found = run("surface-map", map_slab, "-o", "map.json", "--plot", "map.png", "--json").json["result"]
    strength = 1 + 0.2 * np.cos(2 * np.pi * np.arange(8) / 8)
    np.testing.assert_allclose(np.array(found["low"]), 0.3 * strength[:, None] + np.zeros((8, 4)), atol=1e-5)
    np.testing.assert_allclose(np.array(found["high"]), -0.3 * strength[:, None] + np.zeros((8, 4)), atol=1e-5)
    assert json.loads(Path("map.json").read_text())["kind"] == "SurfaceMap" and Path("map.png").exists()
    smooth = run("surface-map", map_slab, "--eps", "1", "--period", "1", "--json").json["result"]
    damped = 0.3 * 0.2 * np.exp(-((2 * np.pi / 8) ** 2) / 8)
    assert np.ptp(smooth["low"]) / 2 == pytest.approx(damped, abs=1e-5)
    assert "Gaussian, eps 1 Å" in run("surface-map", map_slab, "--eps", "1").out


# --- charges -------------------------------------------------------------------------------------------------------

CELL = ("--cell", "3,0,0,0,3,0,0,0,30")


@pytest.fixture
def pairs(tmp_path):
    """+1 at 5, 6, … 24 Å and -1 at 0.3 Å above each, in a cell of 9 Å^2: sigma = 0.3/9."""
    lines = [f"{symbol} 0 0 {5 + n + away}" for n in range(20) for symbol, away in (("Na", 0.0), ("Cl", 0.3))]
    (tmp_path / "pairs.xyz").write_text("40\n\n" + "\n".join(lines) + "\n")
    return "pairs.xyz"


def test_surfaces_of_ions(run, pairs):
    given = ("charges", pairs, "--charges", "Na=1,Cl=-1", "--period", "1")
    found = run(*given, *CELL, "-o", "c.json", "--plot", "c.png", "--json").json
    assert found["result"]["low"]["value"] == pytest.approx(0.3 / 9, abs=1e-12)
    assert found["result"]["quantum"] == pytest.approx(1 / 9) and found["outputs"] == ["c.json", "c.png"]
    assert run(*given, "--json").json["result"]["low"]["value"] == pytest.approx(0.3)  # without a cell: in e
    assert "σ high" in run(*given, *CELL).out


def test_terminations_of_ions(run, tmp_path):
    (tmp_path / "cell.xyz").write_text("2\n\nNa 0 0 0 1\nCl 0 0 1 -1\n")
    cell = ("--cell", "2,0,0,0,2,0,0,0,4")
    found = run("charges", "cell.xyz", *cell, "--hkl", "0,0,1", "--plot", "t.png", "--json").json["result"]
    assert [cut["charge"]["value"] for cut in found["cuts"]] == pytest.approx([-0.75 / 4, 0.25 / 4])
    assert found["polar"] is True and Path("t.png").exists()


def test_charges_of_molecules(run, tmp_path):
    """Neutral dumbbells along c, one across the end of the cell: bound charge -dP/dx of Gaussians, summed by hand."""
    heights, apart, eps = (2.0, 9.9), 0.5, 2.0
    lines = [f"{s} 1 1 {(z + d) % 10}" for z in heights for s, d in (("Na", 0.0), ("Cl", apart))]
    (tmp_path / "m.xyz").write_text("4\n\n" + "\n".join(lines) + "\n")
    cell = ("--cell", "2,0,0,0,2,0,0,0,10")
    given = ("charges", "m.xyz", "--charges", "Na=1,Cl=-1", *cell, "--molecules", "2")
    assert run(*given, "--eps", "2", "-o", "m.csv", "--plot", "m.png").code == 0
    table = columns_of("m.csv")
    x, std = table["position"], eps / 2

    def gauss(at):
        shifts = np.arange(-4, 5)[:, None] * 10
        return (np.exp(-0.5 * ((x - at + shifts) / std) ** 2) / np.sqrt(2 * np.pi) / std).sum(axis=0)

    exact = sum(gauss(z) - gauss(z + apart) for z in heights) / 4
    np.testing.assert_allclose(table["exact"], exact, atol=1e-12)
    np.testing.assert_allclose(table["free"], 0.0, atol=1e-12)
    np.testing.assert_allclose(table["bound"] + table["residual"], exact, atol=1e-12)
    assert np.abs(table["residual"]).max() < 0.4 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("moments", "crystal.h5", "--dipole", "d.csv"), "--dipole writes the dipole density: give --width"),
        (("moments", "crystal.h5", "--x-b", "middle"), 'give a position in Å, or "auto"'),
        (("moments", "crystal.h5", "--bulk", "1,3"), "belongs to an open axis"),
        (("homogenize", "crystal.h5"), "Stages cannot be found in the spectrum"),
        (("homogenize", "crystal.h5", "--eps", "3,2"), "--eps goes from the smallest scale up"),
        (("homogenize", "crystal.h5", "--eps", "one"), "several as 2,5"),
        (("homogenize", "crystal.h5", "--eps", "1,2", "--interfaces", "1;2;3"), "has 3 stages and --eps 2"),
        (("surface-map", "crystal.h5", "--axis", "1,1,0"), '--axis "1,1,0"'),
        (("charges", "gone.csv"), "no such file"),
        (("charges", "ions.csv", "--period", "1", "--hkl", "0,0,1"), "--period belongs to the surfaces of a slab"),
        (("charges", "ions.csv", "--hkl", "0,0,1"), "--hkl needs the cell of the ions"),
        (("charges", "ions.csv", "--molecules", "2"), "--molecules needs --eps"),
        (("charges", "ions.csv", "--molecules", "2", "--hkl", "0,0,1", "--eps", "1"), "leave one of them out"),
        (("charges", "ions.csv", "--paired"), "--paired belongs to --hkl"),
        (("macro", "crystal.h5", "--width", "1", "--ball", "--at", "1", "--up-to", "1"), "--at is a position"),
        (("macro", "crystal.h5", "--width", "1", "--fields", "V.h5"), "--fields are those of --ball"),
    ],
)
def test_refusals_are_one_sentence_and_nothing_is_written(run, crystal, words, sentence):
    Path("ions.csv").write_text("0,1\n1,-1\n")
    before = sorted(Path().iterdir())
    ran = run(*words)
    assert ran.code == 2 and ran.out == "" and sentence in ran.sentence, ran.sentence
    assert sorted(Path().iterdir()) == before


# --- macro in space ------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")
def test_intervals_of_a_field_as_fields_and_figures(run, tmp_path):
    """cos(2 pi z/8): balls at its zeros are as wide as the wave is steep."""
    values = np.cos(2 * np.pi * np.arange(32) / 32) + np.zeros((12, 12, 32))
    field = gh.Field.from_array(values, np.diag([4.0, 4.0, 8.0]), quantity="electrostatic_potential")
    gh.write(field, tmp_path / "v.h5")
    given = ("macro", "v.h5", "--kernel", "gaussian", "--eps", "1", "--ball")
    ran = run(*given, "--spacing", "0.25", "--fields", "V.h5", "--plot", "w.png", "--json").json
    assert ran["outputs"] == ["V_low.h5", "V_high.h5", "w.png"]
    low, high = (gh.read(name).values for name in ("V_low.h5", "V_high.h5"))
    amplitude = np.exp(-((2 * np.pi / 8) ** 2) / 8)
    assert (high - low)[0, 0, 8] == pytest.approx(2 * amplitude * np.sin(2 * np.pi / 8 * 0.5), rel=1e-6)
    found = run(*given, "--up-to", "3", "--plot", "a.png", "--json").json["result"]["assumption_8"]
    assert found["windows"] == ["along a", "along b", "along c", "in the ball"]
    assert found["verdict"] == ["no"] * 4 and Path("a.png").exists()
    assert "holds at 0 of" in run(*given, "--up-to", "3").out


@pytest.mark.parametrize(
    "words",
    [
        ("moments", "crystal.h5", "--x-b", "1", "--width", "2"),
        ("homogenize", "layers.h5", "--eps", "2,8", "--interfaces", "100,900"),
        ("surface-map", "map.h5", "--eps", "1", "--period", "1"),
    ],
)
@pytest.mark.filterwarnings("ignore::gpuhomog.errors.AccuracyWarning")
def test_fields_that_are_read_by_planes(run, crystal, layers, map_slab, words):
    whole, streamed = (run(*words, *more, "--json").json["result"] for more in ((), ("--max-memory", "4GB")))

    def numbers(value):
        if isinstance(value, dict):
            return {name: numbers(part) for name, part in value.items() if name not in ("provenance", "rounding")}
        return value

    def same(one, other):
        if isinstance(other, dict):
            assert one.keys() == other.keys()
            return all(same(one[name], other[name]) for name in other)
        if isinstance(other, list):
            return len(one) == len(other) and all(map(same, one, other))
        return one == pytest.approx(other, abs=1e-10) if isinstance(other, float) else one == other

    assert same(numbers(streamed), numbers(whole))


def test_what_space_needs_all_values_for(run, crystal):
    given = ("macro", "crystal.h5", "--kernel", "gaussian", "--eps", "0.5", "--eps-x", "1", "--ball", "--up-to", "1.5")
    ran = run(*given, "--max-memory", "4GB")
    assert ran.code == 2 and "needs all values of crystal.h5 at once" in ran.sentence
    assert "its planar average" in ran.sentence


# --- job files -----------------------------------------------------------------------------------------------------


def test_what_needs_no_grid_is_a_task_like_others(run, pairs, crystal):
    frames = "".join(f"2\n\nNa 1 1 {1 + n % 3}\nCl 1 1 {5 + n % 2}\n" for n in range(40))
    Path("run.xyz").write_text(frames)
    Path("job.toml").write_text(
        '[input]\nfile = "crystal.h5"\n'
        '[[task]]\ncommand = "moments"\noutput = "m.json"\n'
        '[[task]]\ncommand = "trajectory"\nfile = "run.xyz"\ncharges = {Na = 1, Cl = -1}\n'
        'cell = [2, 0, 0, 0, 2, 0, 0, 0, 8]\nspacing = 1\noutput = "t.csv"\n'
        '[[task]]\ncommand = "charges"\nfile = "pairs.xyz"\ncharges = {Na = 1, Cl = -1}\n'
        'period = 1\noutput = "c.json"\n'
        '[[task]]\ncommand = "homogenize"\neps = [1, 3]\ninterfaces = [[], []]\n'
    )
    ran = run("run", "job.toml", "--json")
    assert ran.code == 0, ran.err
    tasks = ran.json["tasks"]
    assert [task["command"] for task in tasks] == ["moments", "trajectory", "charges", "homogenize"]
    assert tasks[2]["result"]["low"]["value"] == pytest.approx(0.3)
    assert sum(tasks[1]["result"]["profile"]["values"]) == pytest.approx(0.0, abs=1e-12)
    assert all(Path(name).exists() for name in ("m.json", "t.csv", "c.json"))
    ran = run("plan", "job.toml", "--gpus", "2", "--json")
    assert ran.code == 0, ran.err
    assert len(ran.json["tasks"]) == 2 and any("charges, trajectory" in note for note in ran.json["assumptions"])


def test_tasks_of_one_rank_beside_streamed_ones(run, pairs, crystal):
    Path("job.toml").write_text(
        '[input]\nfile = "crystal.h5"\n[run]\nmax_memory = "4GB"\n'
        '[[task]]\ncommand = "moments"\noutput = "m.json"\n'
        '[[task]]\ncommand = "charges"\nfile = "pairs.xyz"\ncharges = {Na = 1, Cl = -1}\nperiod = 1\n'
    )
    ran = run("run", "job.toml", "--json")
    assert ran.code == 0, ran.err
    assert [task["command"] for task in ran.json["tasks"]] == ["moments", "charges"]
