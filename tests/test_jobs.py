"""Job files: the same options as the command line, all checked first, every file read once."""

import json
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.cli import app
from gpuhomog.errors import InputError
from gpuhomog.jobs import COMMANDS, Inputs, prepare, read_job
from gpuhomog.jobs import options as o
from gpuhomog.jobs import parsing as p


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a field on 8 x 8 x 32 points, charge_density stored as scalar; the current folder is another."""
    z = np.arange(32)
    values = np.cos(2 * np.pi * z / 4)[None, None] + np.zeros((8, 8, 1))
    work = tmp_path / "work"
    work.mkdir()
    gh.write(gh.Field.from_array(values, np.diag([8.0, 8.0, 16.0])), work / "field.npz")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return work


def job(folder, text):
    path = folder / "job.toml"
    path.write_text(text, encoding="utf-8")
    return path


TWO = """
[input]
file = "field.npz"

[[task]]
command = "profile"
axis = "c"
output = "macro.csv"
planar = "planar.csv"

[[task]]
command = "average"
kernel = "box"
width = [4, 4, 2.0]
spacing = 2
output = "smooth.h5"

[run]
device = "cpu"

[batch]
system = "slurm"
nodes = 2
time = "02:00:00"
"""


def program(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        app([str(a) for a in arguments])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


def test_a_job_runs_its_tasks_in_order(folder, capsys):
    code, out, err = program(capsys, "run", job(folder, TWO), "--json")
    report = json.loads(out)
    assert code == 0 and report["command"] == "run"
    assert [task["command"] for task in report["tasks"]] == ["profile", "average"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "field.npz",
        "job.toml",
        "macro.csv",
        "planar.csv",
        "smooth.h5",
    ]
    assert "[batch]" in err and "AccuracyWarning" not in err
    assert not list(Path().iterdir())


def test_a_task_writes_what_the_command_writes(folder, capsys):
    program(capsys, "run", job(folder, TWO), "-q")
    field = folder / "field.npz"
    given = ("--kernel", "box", "--width", "4,4,2", "--spacing", "2")
    assert program(capsys, "average", field, *given, "-o", "smooth.h5", "-q")[0] == 0
    assert program(capsys, "profile", field, "-o", "macro.csv", "-q")[0] == 0
    by_job, by_command = gh.read(folder / "smooth.h5"), gh.read("smooth.h5")
    np.testing.assert_array_equal(by_job.values, by_command.values)

    def numbers(path):
        return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]

    assert numbers(folder / "macro.csv") == numbers(Path("macro.csv"))


def test_every_file_is_read_once(folder, capsys, monkeypatch):
    read, calls = gh.read, []
    monkeypatch.setattr("gpuhomog.jobs.task.read", lambda *a, **k: calls.append(a) or read(*a, **k))
    tasks = '[[task]]\ncommand = "info"\n' * 3 + '[[task]]\ncommand = "info"\nboundary = "open"\n'
    assert program(capsys, "run", job(folder, f'[input]\nfile = "field.npz"\n{tasks}'), "-q")[0] == 0
    assert len(calls) == 2  # once as it is, once as open


def test_a_task_may_name_its_own_file_and_options_of_the_input_are_defaults(folder):
    gh.write(gh.Field.from_array(np.ones((4, 4, 4)), np.eye(3)), folder / "other.npz")
    text = '[input]\nfile = "field.npz"\nboundary = "open"\n[run]\ndtype = "float32"\n'
    text += '[[task]]\ncommand = "info"\n[[task]]\ncommand = "info"\nfile = "other.npz"\nboundary = "periodic"\n'
    first, second = read_job(job(folder, text)).tasks
    assert first.values["file"].name == "field.npz" and second.values["file"].name == "other.npz"
    assert (first.values["boundary"], second.values["boundary"]) == ("open", "periodic")
    assert first.values["dtype"] == second.values["dtype"] == "float32"
    assert str(Inputs().field(first.values).values.dtype) == "float32"


BAD = {
    "unknown table": ("[inputs]\n", ['unknown table "inputs"', 'did you mean "input"']),
    "unknown key of input": ('[input]\nquantitty = "scalar"\n', ["[input]", "quantitty", "quantity"]),
    "unknown key of run": ('[run]\ndevise = "cpu"\n', ["[run]", "devise", "device"]),
    "unknown key of batch": ("[batch]\nnods = 2\n", ["[batch]", "nods", "nodes"]),
    "unusable batch": ('[batch]\ntime = "soon"\n', ["time", "soon", "02:00:00"]),
    "unusable nodes": ("[batch]\nnodes = 0\n", ["nodes", "whole number"]),
    "unknown batch system": ('[batch]\nsystem = "slrm"\n', ["slrm", "slurm"]),
    "no such GPU": ('[run]\ndevice = "gpu:99"\n', ["gpu:99 requested", "cpu"]),
    "no task": ('[input]\nfile = "field.npz"\n', ["[[task]]"]),
    "one task as a table": ('[task]\ncommand = "info"\n', ["[[task]]"]),
    "task without command": ('[[task]]\naxis = "c"\n', ["task 1", "command"]),
    "unknown command": ('[[task]]\ncommand = "profil"\n', ["task 1", "profil", "profile"]),
    "command that is no task": ('[[task]]\ncommand = "demo"\n', ["demo"]),
    "unknown key": ('[input]\nfile="field.npz"\n[[task]]\ncommand="profile"\naxes="c"\n', ["task 1", "axes", "axis"]),
    "unusable value": ('[input]\nfile="field.npz"\n[[task]]\ncommand="profile"\npasses=9\n', ["passes = 9", "1 to 4"]),
    "option missing": (
        '[input]\nfile="field.npz"\n[[task]]\ncommand="average"\noutput="a.h5"\n',
        ["task 1 (average)", "kernel", "missing"],
    ),
    "json in a task": ('[input]\nfile="field.npz"\n[[task]]\ncommand="info"\njson=true\n', ["--json"]),
    "no input": ('[[task]]\ncommand = "info"\n', ["task 1 (info)", "no input", "[input]"]),
    "input missing": ('[input]\nfile="gone"\n[[task]]\ncommand="info"\n', ["gone", "no such file"]),
    "no TOML": ("[input\n", ["TOML", "Correct that line"]),
    "output twice": (
        '[input]\nfile="field.npz"\n'
        '[[task]]\ncommand="profile"\noutput="a.csv"\n[[task]]\ncommand="profile"\noutput="a.csv"\n',
        ["a.csv", "two outputs"],
    ),
    "input overwritten by another task": (
        '[[task]]\ncommand="info"\nfile="field.npz"\n'
        '[[task]]\ncommand="convert"\nfile="job.toml"\noutput="field.npz"\n',
        ["field.npz", "input"],
    ),
    "density of a step overwritten by another task": (
        '[input]\nfile="job.toml"\n[[task]]\ncommand="step"\ndensity="field.npz"\n'
        '[[task]]\ncommand="convert"\noutput="field.npz"\n',
        ["field.npz", "input of a task"],
    ),
    "component of a gradient twice": (
        '[input]\nfile="field.npz"\n[[task]]\ncommand="average"\nkernel="ball"\neps=3\n'
        'gradient="a.h5"\noutput="a_y.h5"\n',
        ["a_y.h5", "two outputs"],
    ),
    "flag that is a word": (
        '[input]\nfile="field.npz"\n[[task]]\ncommand="profile"\npadded="yes"\n',
        ["padded", "true"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_jobs_are_refused_in_one_sentence(folder, capsys, case):
    text, words = BAD[case]
    path = job(folder, text)
    code, out, err = program(capsys, "run", path)
    assert code == 2 and out == "" and err.count("\n") == 1
    assert "job.toml" in err
    for word in words:
        assert word in err


def test_nothing_is_computed_before_all_is_checked(folder, capsys, monkeypatch):
    monkeypatch.setattr("gpuhomog.readers.read", lambda *a, **k: pytest.fail("read before all tasks were checked"))
    wrong = '[[task]]\ncommand = "average"\nkernel = "box"\neps = 4\noutput = "late.h5"\n'
    code, _, err = program(capsys, "run", job(folder, TWO + wrong))
    assert code == 2 and "task 3 (average)" in err
    assert sorted(path.name for path in folder.iterdir()) == ["field.npz", "job.toml"]


def test_a_missing_job_file(tmp_path, capsys):
    code, _, err = program(capsys, "run", tmp_path / "none.toml")
    assert code == 2 and "none.toml: no such file" in err


@pytest.mark.parametrize(
    "parse, typed, in_toml, value",
    [
        (p.lengths, "4,4,6", [4, 4, 6.0], (4.0, 4.0, 6.0)),
        (p.lengths, "2.5", 2.5, 2.5),
        (p.length, "3", 3, 3.0),
        (p.point, "0,0.5,1", [0, 0.5, 1], (0.0, 0.5, 1.0)),
        (p.interval, "6,18", [6, 18], (6.0, 18.0)),
        (p.periods, "2.8,3.1", [2.8, 3.1], (2.8, 3.1)),
        (p.periods, "auto", "auto", "auto"),
        (p.periods, "none", "none", None),
        (p.one_period, "2.82", 2.82, 2.82),
        (o.TWO_PERIODS.parse, "2.8", 2.8, 2.8),
        (p.outside, "edge", "edge", "edge"),
        (p.outside, "0,1", [0, 1], (0.0, 1.0)),
        (p.net_charge, "any", "any", None),
        (p.ion_charges, "Na=1, Cl=7", {"Na": 1, "Cl": 7}, {"Na": 1.0, "Cl": 7.0}),
        (o.AXIS.parse, "1,1,0", [1, 1, 0], None),
    ],
)
def test_typed_and_written_values_mean_the_same(parse, typed, in_toml, value):
    if parse is o.AXIS.parse:
        assert p.parse_planes(parse(typed)) == p.parse_planes(parse(in_toml)) == (1, 1, 0)
    else:
        assert parse(typed) == parse(in_toml) == value


@pytest.mark.parametrize(
    "parse, raw",
    [
        (p.length, "inf"),
        (p.length, 0),
        (p.length, True),
        (p.number, "nan"),
        (p.lengths, "1,2"),
        (p.lengths, {}),
        (p.interval, "3"),
        (p.point, "1,2"),
        (p.one_period, "1,2"),
        (p.ion_charges, "Na"),
        (p.ion_charges, "Na=1,Na=2"),
        (p.ion_charges, 3),
        (p.count(1, 4), 2.5),
        (p.flag, "true"),
        (p.text, 5),
        (p.unit, "parsec"),
    ],
)
def test_unusable_values(parse, raw):
    with pytest.raises(p.Unusable):
        parse(raw)


def test_options_of_commands_mirror_the_operators():
    import inspect

    pairs = {
        "average": (gh.average, {"method"}),
        "surface": (gh.surface_charge, set()),
        "interface": (gh.interface_charge, set()),
        "step": (gh.potential_step, set()),
        "inner-potential": (gh.inner_potential, set()),
        "cavity": (gh.lorentz_cavity, {"cell"}),
        "potential": (gh.vacuum_levels, set()),
        "corners": (gh.lines_and_points, set()),
        "profile": (gh.macroscopic_average, set()),
        "scales": (gh.scales, set()),
        "macro": (gh.interval_field, set()),
    }
    for name, (function, without) in [*pairs.items(), ("scales", (gh.scale_report, set()))]:
        known = {option.key for option in COMMANDS[name].options}
        keywords = [p.name for p in inspect.signature(function).parameters.values() if p.kind == p.KEYWORD_ONLY]
        assert set(keywords) - without <= known, name


def test_defaults_of_options_are_those_of_the_operators():
    import inspect

    for name, function in (
        ("surface", gh.surface_charge),
        ("interface", gh.interface_charge),
        ("scales", gh.scales),
        ("scales", gh.scale_report),
    ):
        options = {option.key: option for option in COMMANDS[name].options}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind == parameter.KEYWORD_ONLY and parameter.default is not parameter.empty:
                assert options[parameter.name].default == parameter.default, parameter.name


def test_a_command_without_its_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no input"):
        prepare(COMMANDS["info"], {})
    with pytest.raises(InputError, match="no such file"):
        prepare(COMMANDS["info"], {}, file=tmp_path / "none")


def test_an_output_that_is_the_input_is_refused_before_it_is_read(folder):
    file = folder / "field.npz"
    with pytest.raises(InputError, match="is the input"):
        prepare(COMMANDS["convert"], {"output": str(file)}, file=file)
