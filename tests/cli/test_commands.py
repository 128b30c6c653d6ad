"""Every command does what it says, for people and with --json."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr
from typer.testing import CliRunner

import gpuhomog as gh
from gpuhomog import cli, plots
from gpuhomog.cli import Bars, app, as_typed
from gpuhomog.jobs import COMMANDS, devices

DATA = Path(__file__).parent.parent / "data"
SILICON = DATA / "Si_CHGCAR.gz"
POTENTIAL = DATA / "NaCl_slab_electron_potential_energy.cube.gz"


def skipped(path):
    """Lines of comments at the beginning of a table."""
    return sum(line.startswith("#") for line in path.read_text(encoding="utf-8").splitlines())


def test_info_counts_the_electrons(run):
    report = run("info", SILICON, "--json").json
    assert report["command"] == "info" and report["version"] == gh.__version__
    assert report["result"]["integral"] == pytest.approx(8.0, abs=1e-4)
    assert report["result"]["shape"] == [56, 56, 56] and report["result"]["structure"]["formula"] == "Si2"
    assert report["result"]["quantity"] == "electron_density" and report["warnings"] == []


def test_info_for_people(run):
    ran = run("info", SILICON, "--ion-charges", "Si=4")
    assert (ran.code, ran.err) == (0, "")
    assert all(word in ran.out for word in ("56 × 56 × 56", "2 (Si2)", "electron density", "Charge balance", "neutral"))


def test_info_of_the_header_reads_no_values(run, monkeypatch):
    monkeypatch.setattr("gpuhomog.readers.read", lambda *a, **k: pytest.fail("values were read"))
    report = run("info", SILICON, "--header", "--json").json["result"]
    assert report["shape"] == [56, 56, 56] and report["formula"] == "Si2" and "integral" not in report
    assert "56 × 56 × 56" in run("info", SILICON, "--header").out


def test_the_job_of_the_help_is_a_job(run, tmp_path):
    gh.write(gh.Field.from_array(np.ones((4, 4, 8)), 24 * np.eye(3)), tmp_path / "LOCPOT.h5")
    Path("job.toml").write_text(cli.JOB_EXAMPLE.replace('"LOCPOT"', '"LOCPOT.h5"'))
    assert [task.command.name for task in cli.read_job(Path("job.toml")).tasks] == ["profile", "average"]
    text = " ".join(run("run", "--help").out.split())
    assert "[[task]] command = " in text and 'kernel = "gaussian"' in text


def test_convert_keeps_every_value(run, wave, tmp_path):
    ran = run("convert", wave, "-o", "wave.h5", "--json")
    assert ran.json["outputs"] == ["wave.h5"] and ran.err == ""
    np.testing.assert_array_equal(gh.read(tmp_path / "wave.h5").values, gh.read(wave).values)


def test_convert_adds_ions_and_changes_units(run, tmp_path):
    report = run("convert", SILICON, "--ion-charges", "Si=4", "-o", "rho.h5", "--json").json
    assert report["result"]["quantity"] == "charge_density"
    assert abs(report["result"]["integral"]) < 1e-4
    converted = run("convert", "rho.h5", "--to-unit", "e/bohr^3", "-o", "atomic.h5", "--json").json["result"]
    assert converted["integral_unit"] == "e" and converted["integral"] == pytest.approx(report["result"]["integral"])
    ratio = gh.read(tmp_path / "atomic.h5").values / gh.read(tmp_path / "rho.h5").values
    assert np.ptp(ratio) < 1e-12 * ratio.max()
    bohr = 0.529177210544
    report = run("info", "atomic.h5", "--json").json["result"]
    assert report["unit"] == "e/Å^3" or ratio.mean() == pytest.approx(bohr**3)


def test_average_of_a_wave_has_the_known_amplitude(run, wave, tmp_path):
    ran = run("average", wave, "--kernel", "gaussian", "--eps", "4", "-o", "smooth.npz", "--json")
    amplitude = np.exp(-((2 * np.pi / 16) ** 2) * 4.0**2 / 8)
    values = gh.read(tmp_path / "smooth.npz").values
    np.testing.assert_allclose(values[:, 3, 4], 2 + amplitude * np.cos(2 * np.pi * np.arange(16) / 16), atol=1e-12)
    assert ran.json["result"]["maximum"] == pytest.approx(2 + amplitude, abs=1e-12)
    assert ran.json["result"]["kernel"]["eps"] == 4.0


def test_average_on_a_coarse_grid_by_box_widths(run, wave, tmp_path):
    run("average", wave, "--kernel", "box", "--width", "8,6,5", "--spacing", "4", "-o", "coarse.npz")
    values = gh.read(tmp_path / "coarse.npz").values
    assert values.shape == (4, 2, 2)
    expected = 2 + (2 / np.pi) * np.cos(2 * np.pi * np.arange(4) / 4)  # sinc(pi/2)
    np.testing.assert_allclose(values[:, 1, 0], expected, atol=1e-12)


def test_several_sizes_are_the_average_of_the_average(run, wave, tmp_path):
    ran = run("average", wave, "--kernel", "gaussian", "--eps", "2,4", "-o", "twice.npz", "--json").json
    amplitude = np.exp(-((2 * np.pi / 16) ** 2) * (2.0**2 + 4.0**2) / 8)  # variances add
    values = gh.read(tmp_path / "twice.npz").values
    np.testing.assert_allclose(values[:, 0, 0], 2 + amplitude * np.cos(2 * np.pi * np.arange(16) / 16), atol=1e-12)
    assert ran["options"]["eps"] == [2.0, 4.0]
    assert [stage["eps"] for stage in ran["result"]["kernel"]["stages"]] == [2.0, 4.0]
    assert "eps 2, then 4 Å" in run("average", wave, "--kernel", "ball", "--eps", "2,4", "-o", "twice.npz").out


def test_variance_beside_the_average(run, wave, tmp_path):
    given = ("--kernel", "gaussian", "--eps", "3", "--variance", "spread.npz", "-o", "smooth.npz")
    ran = run("average", wave, *given, "--json").json
    angle, eps = 2 * np.pi * np.arange(16) / 16, 3.0
    once, twice = (np.exp(-((n * 2 * np.pi / 16) ** 2) * eps**2 / 8) for n in (1, 2))  # of cos x and of cos 2x
    expected = 0.5 + 0.5 * twice * np.cos(2 * angle) - (once * np.cos(angle)) ** 2
    np.testing.assert_allclose(gh.read(tmp_path / "spread.npz").values[:, 2, 3], expected, atol=1e-12)
    np.testing.assert_allclose(gh.read(tmp_path / "smooth.npz").values[:, 2, 3], 2 + once * np.cos(angle), atol=1e-12)
    assert ran["outputs"] == ["smooth.npz", "spread.npz"]
    assert ran["result"]["variance"]["maximum"] == pytest.approx(expected.max(), abs=1e-12)
    assert "Local variance" in run("average", wave, *given[:-2]).out


@pytest.mark.parametrize("name", ["slope.h5", "slope.cube.gz"])
def test_gradient_of_the_average(run, wave, tmp_path, name):
    ran = run("average", wave, "--kernel", "gaussian", "--eps", "3", "--gradient", name, "--json").json
    names = [name.replace("slope", f"slope_{x}") for x in "xyz"]
    assert ran["outputs"] == names and sorted(path.name for path in tmp_path.glob("slope*")) == names
    k = 2 * np.pi / 16
    expected = -k * np.exp(-(k**2) * 3.0**2 / 8) * np.sin(k * np.arange(16))
    tolerance = 1e-12 if name.endswith("h5") else 1e-10
    np.testing.assert_allclose(gh.read(tmp_path / names[0]).values[:, 1, 1], expected, atol=tolerance)
    assert np.abs(gh.read(tmp_path / names[2]).values).max() < 1e-12
    assert ran["result"]["gradient"]["x"]["maximum"] == pytest.approx(expected.max(), abs=1e-12)


def test_warnings_are_lines_on_stderr_and_in_the_json(run, wave):
    ran = run("average", wave, "--kernel", "gaussian", "--eps", "5", "-o", "smooth.h5", "--json")
    lines = ran.err.splitlines()
    assert lines and all(line.startswith("gpuhomog: warning: ") for line in lines)
    assert ran.json["warnings"] == [line.removeprefix("gpuhomog: warning: ") for line in lines]


def test_profile_is_the_mean_over_planes(run, slab, slab_profile, tmp_path):
    ran = run("profile", slab, "--axis", "c", "-o", "macro.csv", "--planar", "planar.csv", "--json")
    result = ran.json["result"]
    np.testing.assert_allclose(result["planar"]["values"], slab_profile, atol=1e-14)
    np.testing.assert_allclose(result["planar"]["position"], np.arange(256) * 0.125, atol=1e-12)
    assert result["macroscopic"]["periods"] == [pytest.approx(1.0, rel=5e-3)]
    assert ran.json["outputs"] == ["macro.csv", "planar.csv"]
    rows = [
        row
        for row in csv.reader(Path("planar.csv").read_text(encoding="utf-8").splitlines())
        if not row[0].startswith("#")
    ]
    assert rows[0][:2] == ["position", "values"] and len(rows) == 257


def test_the_table_of_a_profile_has_both_averages(run, slab, slab_profile, tmp_path):
    run("profile", slab, "--period", "1.0", "-o", "both.csv", "-q")
    table = np.genfromtxt(tmp_path / "both.csv", delimiter=",", names=True, skip_header=skipped(tmp_path / "both.csv"))
    assert table.dtype.names == ("position", "planar", "macroscopic", "uncertainty")
    np.testing.assert_allclose(table["planar"], slab_profile, atol=1e-14)
    back = gh.read_profile(tmp_path / "both.csv")
    np.testing.assert_array_equal(back.values, table["macroscopic"])
    assert back.periods == (1.0,) and back.ripple is not None
    ends = np.arange(256)[:, None] * 0.125 + np.array([-0.5, 0.5])  # of the window of one layer; charge below each:
    below = sum(ndtr((ends - 6 - n) / 0.25) - ndtr((ends - 6.3 - n) / 0.25) for n in range(20))
    np.testing.assert_allclose(back.values, below[:, 1] - below[:, 0], atol=1e-8)


@pytest.mark.parametrize("suffix", ["json", "h5", "csv"])
def test_a_padded_profile_has_no_planar_average_beyond_the_cell(run, tmp_path, suffix):
    values = np.zeros((2, 2, 32)) + np.arange(1.0, 33.0)
    gh.write(gh.Field.from_array(values, np.diag([2.0, 2.0, 16.0]), boundary="p,p,o"), "ramp.h5")
    run("profile", "ramp.h5", "--period", "2", "--padded", "-o", f"both.{suffix}", "-q")
    content = gh.read_result(f"both.{suffix}")
    planar = np.array(content["planar"], dtype=float)
    inside = (np.array(content["position"]) > -0.1) & (np.array(content["position"]) < 15.6)
    assert len(planar) > 32
    np.testing.assert_array_equal(planar[inside], np.arange(1.0, 33.0))
    assert np.isnan(planar[~inside]).all()
    assert len(gh.read_profile(f"both.{suffix}").values) == len(planar)


def test_profile_options_reach_the_operator(run, slab):
    given = ("--period", "1.0,2.5", "--passes", "2")
    found = run("profile", slab, *given, "--json").json["result"]["macroscopic"]
    expected = gh.macroscopic_average(gh.planar_average(gh.read(slab), "c"), (1.0, 2.5), passes=2)
    np.testing.assert_array_equal(found["values"], expected.values)
    assert run("profile", slab, "--period", "none", "--json").json["result"]["macroscopic"] is None
    across = run("profile", SILICON, "--axis", "1,-1,0", "--period", "none", "--json").json["result"]["planar"]
    assert across["planes"] == "(1 -1 0)"


def test_surface_charge_of_known_pairs(run, slab):
    result = run("surface", slab, "--json").json["result"]
    assert result["low"]["value"] == pytest.approx(0.3, abs=1e-4)
    assert result["high"]["value"] == pytest.approx(-0.3, abs=1e-4)
    one_side = run("surface", slab, "--side", "low", "--period", "1", "--x-b", "15.2", "--eps", "3", "--json").json
    assert one_side["result"]["high"] is None and one_side["result"]["x_b"] == 15.2
    assert one_side["result"]["eps"] == 3.0 and one_side["result"]["period"] == 1.0


def test_surface_for_people_shows_uncertainty_and_unit(run, slab):
    ran = run("surface", slab)
    assert ran.code == 0 and "± " in ran.out and "e/Å^2" in ran.out and "period window" in ran.out


def test_what_is_not_defined_says_why(run, tmp_path):
    rng = np.random.default_rng(1)
    values = np.zeros(512)
    values[64:448] = rng.standard_normal(384)
    values[64:448] -= values[64:448].mean()
    field = gh.Field.from_array(values[None, None, :], np.diag([1.0, 1.0, 128.0]), quantity="charge_density")
    gh.write(field, "noise.h5")
    ran = run("surface", "noise.h5", "--sampling", "cell")
    assert ran.code == 0 and "not defined (" in ran.out
    low = run("surface", "noise.h5", "--sampling", "cell", "--json").json["result"]["low"]
    assert low["value"] is None and low["reason"]


def test_interface_charge(run, slab):
    result = run("interface", slab, "--between", "10,20", "--json").json["result"]
    assert result["charge"]["value"] == pytest.approx(0.0, abs=1e-4)
    assert result["between"] == [10.0, 20.0]
    assert run("interface", slab).code == 2


def test_step_is_the_inner_potential(run):
    given = ("--quantity", "electron_potential_energy", "--json")
    result = run("step", POTENTIAL, *given).json["result"]
    assert result["bulk_minus_low"]["value"] == pytest.approx(5.832, abs=0.002)
    assert result["step"]["value"] == pytest.approx(0.0, abs=1e-3)


def test_a_step_takes_the_period_of_its_slab(run):
    """One length had been made two, which a slab refuses."""
    given = (POTENTIAL, "--quantity", "electron_potential_energy", "--json", "--period")
    assert run("step", *given, "2.82").json["result"]["period"] == 2.82
    assert "give one length" in run("step", *given, "2.82,3").sentence


def test_step_looks_for_the_vacuum_in_the_density_too(run, tmp_path):
    chgcar, locpot = DATA / "graphene_CHGCAR.gz", DATA / "graphene_LOCPOT.gz"
    found = run("step", locpot, "--density", chgcar, "--period", "none", "--json").json["result"]
    expected = gh.potential_step(gh.read(locpot), "c", density=gh.read(chgcar), period=None)
    assert found["low"]["value"] == expected.low.value and found["plateaus"][0] == list(expected.plateaus[0])
    assert "gone" in run("step", locpot, "--density", "gone").sentence


def test_potentials_change_sign_only_when_told(run):
    given = (POTENTIAL, "--quantity", "electron_potential_energy", "--period", "none", "--json")
    energy = run("profile", *given).json["result"]["planar"]
    potential = run("profile", *given, "--to-quantity", "electrostatic_potential").json["result"]["planar"]
    np.testing.assert_allclose(potential["values"], -np.array(energy["values"]), atol=0)
    assert (energy["unit"], potential["unit"]) == ("eV", "V")


def test_devices(run):
    report = run("devices", "--json").json["result"]
    assert report["auto"] == "cpu" and report["devices"][0]["threads"] >= 1
    assert report["transport"] is None and [rank["device"] for rank in report["ranks"]] == ["cpu"]
    assert (report["why_no_gpu"] is None) == (len(report["devices"]) > 1)
    assert "chosen by --device auto" in run("devices").out


def test_devices_with_a_gpu_and_without(run, monkeypatch):
    first = {"name": "gpu:0", "product": "NVIDIA H100", "memory_bytes": 80 << 30, "free_bytes": 60 << 30}
    first |= {"compute_capability": "9.0", "driver": None, "driver_cuda": "13.0", "runtime_cuda": "13.2", "cupy": "14"}
    monkeypatch.setattr(devices, "why_no_gpu", lambda: None)
    monkeypatch.setattr(devices, "describe_gpus", lambda: [first])
    out = run("devices").out
    assert "NVIDIA H100, 60.0 of 80.0 GiB free" in out and "CUDA 13.0" in out and "compiled when first used" in out
    report = run("devices", "--json").json["result"]
    assert report["devices"][1] == first and report["compiled_kernels"]["files"] >= 0
    monkeypatch.setattr(devices, "why_no_gpu", lambda: "of one reason")
    assert "none: of one reason" in run("devices").out
    assert run("devices", "--json").json["result"]["why_no_gpu"] == "of one reason"


def test_tune_stores_wisdom(run, tmp_path, monkeypatch):
    gh.write(gh.Field.from_array(np.ones((4, 4, 2)), np.eye(3)), tmp_path / "small.npz")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    report = run("tune", "small.npz", "--json").json["result"]
    assert Path(report["wisdom"]).is_relative_to(tmp_path / "cache") and Path(report["wisdom"]).stat().st_size > 0


def test_demo_finds_what_is_known(run, tmp_path):
    report = run("demo", "--json").json
    found = report["result"]["found"]
    assert report["result"]["agrees"] is True
    assert found["bulk - vacuum (potential)"]["value"] == pytest.approx(5.832, abs=0.002)
    assert found["bulk - vacuum (charge)"]["value"] == pytest.approx(5.832, abs=0.002)
    assert found["layer spacing"]["value"] == pytest.approx(2.82, abs=1e-3)
    assert all(abs(found[name]["value"]) < 2e-5 for name in ("net charge", "dipole per area", "σ low", "σ high"))
    assert {path.suffix for path in Path("gpuhomog-demo").iterdir()} == {".csv", ".json", ".png", ".h5"}
    assert all(Path(path).stat().st_size > 0 for path in report["outputs"])
    written = json.loads(Path("gpuhomog-demo/demo.json").read_text(encoding="utf-8"))
    assert written["found"] == found


def test_demo_fails_where_a_number_is_not_the_known_one(run, monkeypatch):
    from gpuhomog.jobs import demo

    wrong = demo.Known(5.9, 0.002, "V", "a planted fault")
    monkeypatch.setitem(demo.KNOWN, "bulk - vacuum (charge)", wrong)
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: path)
    ran = run("demo", "-o", "elsewhere")
    assert ran.code == 1 and "bulk - vacuum (charge)" in ran.sentence


@pytest.mark.parametrize(
    "command, more, suffix, magic",
    [
        ("profile", (), ".pdf", b"%PDF"),
        ("surface", (), ".svg", b"<?xml"),
        ("interface", ("--between", "10,20"), ".png", b"\x89PNG"),
        ("step", (), ".png", b"\x89PNG"),
        ("scales", (), ".png", b"\x89PNG"),
        ("macro", ("--width", "2"), ".png", b"\x89PNG"),
        ("scales", ("--eps", "2,3"), ".png", b"\x89PNG"),
        ("scales", ("--axis", "c", "--bulk", "10,16"), ".pdf", b"%PDF"),
    ],
)
def test_figures_of_every_kind(run, slab, command, more, suffix, magic):
    target = Path(f"figure{suffix}")
    assert run(command, slab, *more, "--plot", target, "-q").code == 0
    assert target.read_bytes().startswith(magic)


@pytest.mark.filterwarnings("ignore::gpuhomog.AccuracyWarning")
def test_averages_at_several_scales(run, slab):
    ran = run("scales", slab, "--eps", "2,3.5", "-o", "widths.csv", "--json")
    found, expected = ran.json["result"], gh.scale_report(gh.read(slab), [2.0, 3.5])
    for name in ("eps", "eps_V", "local_std", "low"):
        assert found[name] == pytest.approx(getattr(expected, name).tolist(), rel=1e-9)
    assert found["kernels"][0]["kernel"] == "gaussian" and found["scales"]["planes"] == "|k|"
    assert "eps,low,high" in Path("widths.csv").read_text()
    power = run("scales", slab, "--eps", "3", "--kernel", "powerlaw", "--max-memory", "4GB", "--json").json["result"]
    assert power["kernels"][0]["kernel"] == "powerlaw"
    streamed = gh.scale_report(gh.read(slab), gh.PowerLaw(3.0))
    assert power["local_std"] == pytest.approx(streamed.local_std.tolist(), rel=1e-9)


def test_the_interval_field_of_a_slab(run, slab):
    found = run("macro", slab, "--width", "2", "--at", "16", "--up-to", "3", "-o", "interval.csv", "--json").json[
        "result"
    ]
    expected = gh.interval_field(gh.planar_average(gh.read(slab), "c"), 2.0)
    assert found["eps_V"] == pytest.approx(expected.eps_V.tolist()) and found["eps_x"] == 2.0
    assert found["assumption_8"]["verdict"] in ("yes", "no", "undecided")
    assert found["uncertainty_relation"]["label"] == "order of magnitude"
    assert Path("interval.csv").read_text().count("\n") > len(expected.position)
    ball = run("macro", slab, "--kernel", "gaussian", "--eps", "2", "--ball", "--json").json["result"]
    assert len(ball["eps_V"]) == 4 and ball["eps_V"][0] == pytest.approx(0, abs=1e-12)


def test_figure_of_an_average(run, wave):
    ran = run("average", wave, "--kernel", "ball", "--eps", "3", "--plot", "a.png", "--slices-through", "0.25,0,0.5")
    assert ran.code == 0 and Path("a.png").stat().st_size > 10_000 and "wrote a.png" in ran.out


def test_quiet_says_nothing(run, wave):
    ran = run("convert", wave, "-o", "wave.h5", "-q")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_results_go_to_csv_json_and_hdf5(run, slab):
    for suffix in (".csv", ".json", ".h5"):
        assert run("surface", slab, "-o", f"sigma{suffix}", "-q").code == 0
        assert Path(f"sigma{suffix}").stat().st_size > 0
    assert json.loads(Path("sigma.json").read_text(encoding="utf-8"))["low"]["value"] == pytest.approx(0.3, abs=1e-4)


def test_version(run):
    assert run("--version").out == f"gpuhomog {gh.__version__}\n"


@pytest.mark.parametrize("name", [*COMMANDS, "run", "submit"])
def test_help_of_every_command(run, name):
    ran = run(name, "--help")
    assert ran.code == 0 and "Examples" in ran.out and f"gpuhomog {name}" in ran.out
    for option in COMMANDS[name].options if name in COMMANDS else ():
        assert f"--{option.name}" in ran.out
    for jargon in ("None", "dict", "tuple", "ndarray", "<bool>", "kwargs"):
        assert jargon not in ran.out


@pytest.mark.parametrize(("name", "table"), [("inner-potential", "[[block]]"), ("corners", "[[region]]")])
def test_help_keeps_brackets(run, name, table):
    assert table in run(name, "--help").out


def test_help_lists_every_command(run):
    ran = run("--help")
    assert run().out == ran.out and (ran.code, ran.err) == (0, "")
    assert all(f" {name} " in ran.out for name in ("info", "convert", "average", "profile", "surface", "interface"))
    assert all(f" {name} " in ran.out for name in ("step", "scales", "macro", "demo", "run", "tune", "devices"))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name):
    command = COMMANDS[name]
    known = {f"--{o.name}" for o in command.options} | {f"-{o.short}" for o in command.options if o.short}
    assert command.examples
    for example in command.examples:
        words = example.split()
        assert words[:2] == ["gpuhomog", name]
        assert {w for w in words if w.startswith("-") and not w[1:2].isdigit()} <= known


def test_typers_own_runner_sees_the_same(tmp_path):
    result = CliRunner().invoke(app, ["info", str(tmp_path / "nothing")])
    assert result.exit_code == 2
    assert CliRunner().invoke(app, ["--version"]).output == f"gpuhomog {gh.__version__}\n"


# In a real process


def program(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "gpuhomog", *map(str, arguments)], capture_output=True, text=True, timeout=60, **options
    )


def test_exit_codes_of_the_program(tmp_path):
    good = program("devices", "--json", cwd=tmp_path)
    assert (good.returncode, good.stderr) == (0, "") and json.loads(good.stdout)["command"] == "devices"
    bad = program("info", "nothing.cube", "--json", cwd=tmp_path)
    assert bad.returncode == 2 and "nothing.cube: no such file" in bad.stderr
    assert json.loads(bad.stdout) == {"error": bad.stderr.removeprefix("gpuhomog: ").strip(), "exit_code": 2}
    assert program("avarage", cwd=tmp_path).returncode == 2


def python(code, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_ctrl_c_is_one_line_and_130():
    process = python(
        "import time, gpuhomog.cli as c\n"
        "def forever(*_):\n    print('ready', flush=True); time.sleep(60)\n"
        "c.run_tasks = forever\n"
        "c.app(['devices'])"
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "gpuhomog: interrupted; no half-written file is left.\n"


def test_ctrl_c_while_it_still_imports_ends_it_without_a_word(tmp_path):
    (tmp_path / "typer.py").write_text("import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    paths = os.pathsep.join([str(tmp_path), str(Path(cli.__file__).parents[1])])
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuhomog", "devices"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == -signal.SIGINT


def test_the_package_leaves_ctrl_c_of_other_programs_alone():
    process = python(
        "import gpuhomog.cli, signal; print(signal.getsignal(signal.SIGINT) == signal.default_int_handler)"
    )
    assert process.communicate(timeout=30)[0] == "True\n"


def test_a_fault_of_the_program_is_one_sentence_too(monkeypatch):
    code = (
        "import gpuhomog.cli as c\ndef broken(*_):\n    raise ZeroDivisionError('planted')\n"
        "c.run_tasks = broken\nc.app(['devices', '--json'])"
    )
    process = python(code)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1 and err.count("\n") == 1 and "internal error, ZeroDivisionError: planted" in err
    assert json.loads(out)["exit_code"] == 1
    _, err = python(code, env={**os.environ, "GPUHOMOG_DEBUG": "1"}).communicate(timeout=30)
    assert "Traceback" in err


def test_a_closed_pipe_is_not_an_error():
    command = f"{sys.executable} -m gpuhomog info {SILICON} --json | true"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in ran.stderr and "Exception" not in ran.stderr


class OutOfMemoryError(MemoryError):
    """CuPy's, by its name."""


@pytest.mark.parametrize(("error", "words", "others"), [
    (MemoryError(), "not enough memory for this grid: read it with --dtype float32, or use a larger", "GPU"),
    (MemoryError("Unable to allocate 8 GiB"), "for this grid (Unable to allocate 8 GiB): read", "GPU"),
    (OutOfMemoryError("Out of memory allocating 512 bytes."), "not enough memory on the GPU for this grid (Out of "
     "memory allocating 512 bytes): read it with --dtype float32, or use --device cpu", "machine"),
])  # fmt: skip
def test_memory_that_is_not_there_is_one_sentence(run, wave, monkeypatch, error, words, others):
    def starve(*_):
        raise error

    monkeypatch.setattr(cli, "run_tasks", starve)
    ran = run("info", wave)
    assert ran.code == 1 and words in ran.sentence and others not in ran.sentence


# Progress


class Screen:
    """What a terminal would be shown."""

    def __init__(self):
        self.shown = []

    def add_task(self, label, total):
        self.shown.append(("add", label, total))
        return 7

    def update(self, bar, completed):
        self.shown.append(("update", bar, completed))

    def remove_task(self, bar):
        self.shown.append(("remove", bar))

    def stop(self):
        self.shown.append(("stop",))


def test_bars_appear_after_a_second_and_go(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(cli, "monotonic", lambda: now[0])
    bars, screen = Bars("average"), Screen()
    bars._progress = screen
    bars("planes", 0, 10)
    now[0] = 0.5
    bars("planes", 4, 10)
    assert screen.shown == []
    now[0] = 1.5
    bars("planes", 7, 10)
    bars("planes", 10, 10)
    assert screen.shown == [("add", "planes", 10), ("update", 7, 7), ("remove", 7)]


def test_a_long_command_shows_that_it_works(monkeypatch):
    monkeypatch.setattr(cli, "SLOW", 0.01)
    bars, screen = Bars("average"), Screen()
    bars._progress = screen
    with bars:
        bars._timer.join(10)
    assert screen.shown == [("add", "average", None), ("stop",)]


def test_a_short_command_shows_nothing():
    with Bars("average") as bars:
        pass
    assert bars._progress is None


def test_no_bars_without_a_terminal(run, wave, monkeypatch):
    def refuse(*_):
        raise AssertionError("a bar without a terminal")

    monkeypatch.setattr(Bars, "__call__", refuse)
    assert run("average", wave, "--kernel", "gaussian", "--eps", "3", "-o", "a.h5", "-q").code == 0


@pytest.mark.parametrize(
    "written, typed",
    [
        ('use quantity="charge_density" or boundary="p,p,o".', "use --quantity charge_density or --boundary p,p,o."),
        ("read with dtype=np.float32 or on more ranks.", "read with --dtype float32 or on more ranks."),
        ("or give bulk=(low, high).", "or give --bulk low,high."),
        ("x_b = 3 Å lies outside the bulk window", "x_b = 3 Å lies outside the bulk window"),
        ("Give the window yourself: periods=… in Å.", "Give the window yourself: --period … in Å."),
        ("then use gh.charge_density(field, ion_charges={…}, width=…).", "then use --ion-charges Na=1,Cl=7."),
        ('as gh.charge_density(field, ion_charges={"Li": ...}).', "as --ion-charges Na=1,Cl=7."),
        ("make it one with gh.charge_density.", "make it one with --ion-charges."),
        ("gh.charge_density(potential) is its Laplacian", "--to-quantity charge_density is its Laplacian"),
        ("(gh.charge_balance tells)", '("gpuhomog info" tells)'),
        ("Use interface_charge between two", 'Use "gpuhomog interface" between two'),
        (
            "Correct ion_charges, or give net_charge (None: any).",
            "Correct --ion-charges, or give --net-charge (any: any).",
        ),
        ('ion_charges = "file", but the file', '--ion-charges = "file", but the file'),
    ],
)
def test_messages_speak_of_what_is_typed(written, typed):
    assert as_typed(written) == typed


@pytest.fixture
def rocksalt(tmp_path):
    """Packets of +1 and -1 e in the primitive cell of rock salt, 5.6 Å, as a charge density."""
    cell = 5.6 * np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    atoms = gh.Structure([11, 17], np.array([[0, 0, 0], [0.5, 0.5, 0.5]]) @ cell)
    nothing = gh.Field.from_array(np.zeros((40, 40, 40)), cell, quantity="electron_density", structure=atoms)
    path = tmp_path / "rocksalt.h5"
    gh.write(gh.charge_density(nothing, {"Na": 1, "Cl": -1}, width=0.15, net_charge=None), path)
    return path


def test_terminations_of_a_crystal(run, rocksalt):
    """Planes of +1 and -1 e by half a spacing: ±1/2 a charge per cell in both gaps, polar."""
    given = ("--hkl", "1,1,1", "--scan", "-o", "all.json", "--plot", "all.pdf", "--json")
    result = run("surface", rocksalt, *given).json["result"]
    assert [cut["charge"]["value"] * result["area"] for cut in result["cuts"]] == pytest.approx([-0.5, 0.5], abs=1e-4)
    assert result["polar"] is True and result["quantum"] == pytest.approx(1 / result["area"])
    assert result["neutral"] == pytest.approx([0.0, result["spacing"] / 2], abs=1e-6)
    assert gh.read_result("all.json")["cuts"][0]["neutral"] is False
    assert Path("all.pdf").read_bytes().startswith(b"%PDF")
    assert run("surface", rocksalt, "--hkl", "1,1,1", "--json").json["result"] == result  # everywhere is the default
    paired = run("surface", rocksalt, "--hkl", "111", "--scan", "--paired", "--json").json["result"]
    assert paired["quantum"] == pytest.approx(2 * result["quantum"])
    shown = run("surface", rocksalt, "--hkl", "1,1,1").out
    assert "yes: no gap between planes is neutral" in shown and "quantum" in shown


def test_the_scan_as_a_table_is_the_curve(run, rocksalt):
    assert run("surface", rocksalt, "--axis", "a", "--scan", "-o", "scan.csv", "-q").code == 0
    curve = gh.read_profile("scan.csv")
    expected = gh.terminations(gh.read(rocksalt), "a").charge
    np.testing.assert_array_equal(curve.values, expected.values)
    assert curve.unit == "e/Å^2"


def test_one_cut_of_a_crystal(run, rocksalt):
    result = run("surface", rocksalt, "--hkl", "1,1,1", "--cut", "0.8", "--plot", "cut.png", "--json").json["result"]
    expected = gh.plane_excess(gh.read(rocksalt), (1, 1, 1), 0.8)
    assert result["charge"]["value"] == expected.charge.value and result["position"] == 0.8
    assert Path("cut.png").stat().st_size > 10_000
    assert "matter above" in run("surface", rocksalt, "--hkl", "1,1,1", "--cut", "0.8").out


def test_surface_over_a_bulk_value(run, slab, slab_profile):
    values = np.broadcast_to(slab_profile + 0.2 * (np.abs(np.arange(256) - 128) < 60), (2, 3, 256)).copy()
    gh.write(gh.Field.from_array(values, np.diag([2.0, 3.0, 32.0]), quantity="charge_density"), "charged.h5")
    dividing = ("--reference", "0.2", "--x-surface", "8.5625,23.4375", "--period", "1", "--plot", "over.pdf", "--json")
    result = run("surface", "charged.h5", *dividing).json["result"]
    assert result["low"]["value"] == pytest.approx(0.3, abs=1e-3) and result["reference"] == 0.2
    ran = run("surface", "charged.h5", "--reference", "bulk", "--period", "1")
    assert ran.code == 2 and "--x-surface" in ran.sentence


@pytest.mark.parametrize(
    "options, words",
    [
        (("--hkl", "1,1,0", "--side", "low"), ["--side", "--hkl"]),
        (("--scan", "--period", "2"), ["--period", "--scan"]),
        (("--scan", "--cut", "1"), ["--cut", "--scan"]),
        (("--paired",), ["--paired", "--scan"]),
        (("--x-surface", "1,2"), ["--x-surface", "--reference"]),
        (("--hkl", "0,0,0"), ["0 0 0"]),
        (("--hkl", "9,8,7"), ["too coarse"]),
        (("--hkl", "up"), ["--hkl"]),
        (("--reference", "mean"), ["--reference", "bulk"]),
    ],
)
def test_cuts_that_cannot_be(run, rocksalt, options, words):
    ran = run("surface", rocksalt, *options)
    assert ran.code == 2 and all(word in ran.sentence for word in words)
