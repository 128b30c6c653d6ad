"""gpuhomog plan: bytes and times worked out by hand, from headers alone; what does not fit; bad input."""

import csv
import importlib
import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.jobs import COMMANDS
from gpuhomog.jobs.job_file import IN_JOBS
from gpuhomog.jobs.machines import COPY_FRACTION, MACHINES
from gpuhomog.readers import open_source

PROFILE = '[[task]]\ncommand = "profile"\naxis = "c"\n'
AVERAGE = '[[task]]\ncommand = "average"\nkernel = "gaussian"\neps = 6\noutput = "smooth.h5"\n'


@pytest.fixture
def module():
    """The module jobs/plan.py, whose name the function has, too."""
    return importlib.import_module("gpuhomog.jobs.plan")


def job(tasks, tables="", file="CHGCAR"):
    """A job file in the current folder."""
    path = Path("job.toml")
    path.write_text(f'[input]\nfile = "{file}"\n{tasks}{tables}')
    return path


def test_a_profile_by_hand(run):
    # 1024³ float64, 8 · 2^30 = 8589934592 bytes, on 4 H200, from storage at 10 GB/s. Each rank holds a quarter.
    #   moved     values read once to see that all are finite, once for the sums: 2 · 2147483648
    #   sent      planes of c are cut by the slabs of a: each rank hands over 1024 sums of 8 bytes
    #   storage   8589934592 / 10e9             host link  2147483648 / 64e9
    #   memory    4294967296 / (0.9 · 4800e9)   network    8192 / 50e9
    file = job(PROFILE, '[plan]\nshape = [1024, 1024, 1024]\ncell = [100, 100, 100]\nmachine = "h200"\ngpus = 4\n')
    report = run("plan", file, "--storage", "10", "--json").json
    (task,) = report["tasks"]
    assert (report["ranks"], report["machine"], task["dtype"], task["way"]) == (4, "h200", "float64", None)
    assert task["field_bytes"] == 8589934592
    assert task["values_bytes"] == task["memory_bytes"] == task["link_bytes"] == 2147483648
    assert task["moved_bytes"] == 4294967296
    assert task["sent_bytes"] == {"sum": {"busiest": 8192, "all": 32768}}
    assert (task["read_bytes"], task["written_bytes"]) == (8589934592, 0)
    expected = {"storage": 0.8589934592, "host link": 0.033554432, "memory": 9.94205e-4, "network": 1.6384e-7}
    assert task["seconds"] == pytest.approx({**expected, "arithmetic": 0.0}, rel=1e-5)
    assert task["total_seconds"] == pytest.approx(0.8935423, rel=1e-6) and task["limit"] == "storage"
    # alone: 0.134217728 s of host link and 0.00397682 s of memory, over 4 times 0.03454880 s
    assert report["efficiency"] == pytest.approx(0.138194548 / (4 * 0.0345488008), rel=1e-5)
    assert report["fits"] is True and report["least_ranks"] is None
    assert report["expected"] == "not measured"
    assert any("4800 GB/s" in note and "data sheet" in note for note in report["assumptions"])


def test_what_does_not_fit_says_how_many_do(run):
    # A plane of 1024² float64 is 8388608 bytes; 0.9 GB hold 107 of them, which 10 ranks have at most (103), 9 do not.
    file = job(PROFILE, '[plan]\nshape = "1024"\ncell = [100, 100, 100]\nmemory = 1\n')
    report = run("plan", file, "--json").json
    assert (report["ranks"], report["fits"], report["least_ranks"]) == (1, False, 10)
    for gpus, fits in ((9, False), (10, True)):
        assert run("plan", file, "--gpus", gpus, "--json").json["fits"] is fits
    shown = run("plan", file)
    assert shown.code == 0 and "fits on 10 GPUs" in " ".join(shown.out.split())
    assert "expected, not measured" in shown.out
    # no number of ranks holds less than a plane
    report = run("plan", file, "--memory", "0.009", "--json").json
    assert (report["fits"], report["least_ranks"]) == (False, None)
    assert "on any number of GPUs" in " ".join(run("plan", file, "--memory", "0.009").out.split())


def test_reading_some_planes_at_a_time_is_offered_where_that_helps(run):
    # 1024³ float64: six planes of 1024² values are in memory, 50331648 bytes, and of an average on 16³ points, on one
    # rank, 1024 planes of 16² sums (less than 8 MiB) and the result, (1024 + 16) · 256 · 8 = 2129920
    table = '[plan]\nshape = "1024"\ncell = [1024, 1024, 1024]\nmemory = 1\n'
    coarse = AVERAGE.replace('"gaussian"', '"box"').replace("eps = 6", "width = 70\nspacing = 64")
    file = job(PROFILE + coarse, table)
    report = run("plan", file, "--json").json
    assert report["by_planes_bytes"] == 6 * 1024**2 * 8 + 2129920 and report["fits"] is False
    shown = " ".join(run("plan", file).out.split())
    assert "or read some planes at a time: --max-memory, 52.5 MB beside the program's own" in shown
    # asked for, it is planned so
    limited = run("plan", job(PROFILE + coarse, '[run]\nmax_memory = "900MB"\n' + table), "--json").json
    assert limited["fits"] is True and limited["total"]["memory_bytes"] == report["by_planes_bytes"]
    assert [task["values_bytes"] for task in limited["tasks"]] == [0, 0]
    # a ball needs all values at once
    ball = coarse.replace('"box"', '"ball"').replace("width = 70", "eps = 70")
    report = run("plan", job(PROFILE + ball, table), "--json").json
    assert report["by_planes_bytes"] is None and report["least_ranks"] > 1 and report["least_max_memory"] is None
    assert "--max-memory" not in run("plan", "job.toml").out
    limited = run("plan", job(ball, '[run]\nmax_memory = "900MB"\n' + table))
    assert limited.code == 2 and "needs all values of CHGCAR at once (8.59 GB" in limited.sentence


def program(*words):
    """A process of its own: what counts is its memory."""
    return subprocess.run([sys.executable, "-m", "gpuhomog", *words], capture_output=True, text=True, timeout=60)


def test_the_least_memory_named_runs_and_little_less_does_not(run):
    """Planes of 1.6e6 bytes in double precision, six of them: 10 of the last MB that are named."""
    values = np.random.default_rng(5).standard_normal((24, 448, 448))
    gh.write(gh.Field.from_array(values, np.diag([24.0, 448.0, 448.0]), device="cpu"), "large.npz")
    coarse = AVERAGE.replace("eps = 6", "eps = 60\nspacing = 30")
    tasks, said = PROFILE + 'period = "none"\n' + coarse, '[run]\ndtype = "float32"\n'
    job(tasks, said, file="large.npz")
    plan = ("plan", "job.toml", "--machine", "cpu", "--bandwidth", "10")
    amount = -(-json.loads(program(*plan, "--json").stdout)["least_max_memory"] // 10**6)
    assert "least that runs: --max-memory" in " ".join(run(*plan).out.split())
    job(tasks, f'{said}max_memory = "{amount + 1}MB"\n', file="large.npz")
    ran = program("run", "job.toml", "-q")
    assert ran.returncode == 0, ran.stderr
    job(tasks, f'{said}max_memory = "{amount - 12}MB"\n', file="large.npz")
    ran = program("run", "job.toml", "-q")
    assert ran.returncode == 2 and "MB of memory are not enough" in ran.stderr


def test_the_largest_jobs_are_planned_without_memory(run):
    file = job(PROFILE + AVERAGE, '[plan]\nshape = "16384x16384x16384"\ncell = [1638.4, 1638.4, 1638.4]\n')
    run("plan", file, "--json")  # imports
    tracemalloc.start()
    ran = run("plan", file, "--gpus", "4096", "--json")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    report = ran.json
    assert report["tasks"][0]["values_bytes"] == 8 * 4 * 16384**2 and report["ranks"] == 4096
    assert peak < 50e6  # a plane alone has 2.1e9 bytes


@pytest.fixture
def field_file(tmp_path):
    """A field on 48 x 40 x 32 points of steps 0.5, 0.25 and 0.2 Å."""
    values = np.random.default_rng(3).standard_normal((48, 40, 32))
    gh.write(gh.Field.from_array(values, np.diag([24.0, 10.0, 6.4]), device="cpu"), tmp_path / "field.h5")
    return "field.h5"


def test_headers_alone_are_read(run, field_file, monkeypatch, module):
    def fails(*_):
        raise AssertionError("values were read")

    opened = []

    def header(path, **choices):
        opened.append(choices.pop("survey"))
        return replace(open_source(path, **choices, survey=False), read_planes=fails)

    monkeypatch.setattr(module, "open_source", header)
    report = run("plan", job(PROFILE + AVERAGE, file=field_file), "--json").json
    assert opened and not any(opened)
    first, second = report["tasks"]
    assert first["shape"] == [48, 40, 32]
    assert first["read_bytes"] == Path(field_file).stat().st_size and second["read_bytes"] == 0  # read once
    assert second["written_bytes"] == 48 * 40 * 32 * 8


@pytest.mark.parametrize("more", ["", "spacing = 2\n", "spacing = [2, 1, 1]\n"])
@pytest.mark.parametrize("kernel", ["gaussian", "ball", "tophat"])
def test_the_way_is_the_one_that_a_run_takes(run, field_file, kernel, more):
    task = f'[[task]]\ncommand = "average"\nkernel = "{kernel}"\neps = 1.5\noutput = "smooth.h5"\n{more}'
    file = job(task, '[run]\ndevice = "cpu"\n', field_file)
    planned = run("plan", file, "--machine", "cpu", "--bandwidth", "10", "--json").json
    assert run("run", file, "--json").code == 0
    smooth = gh.read("smooth.h5", device="cpu")
    assert planned["tasks"][0]["way"] == smooth.provenance[-2]["way"]
    assert planned["tasks"][0]["written_bytes"] == smooth.values.nbytes


@pytest.mark.parametrize("more", ["", "spacing = 8\n"])
@pytest.mark.parametrize(
    "average",
    [
        'kernel = "gaussian"\neps = 4',
        'kernel = "ball"\neps = 4',
        'kernel = "tophat"\neps = 4',
        'kernel = "tophat"\neps = 4\nsampling = "cell"',
        'kernel = "powerlaw"\neps = 4',
        'kernel = "box"\nwidth = 9',
        'kernel = "box"\nwidth = 9\nsampling = "cell"',
    ],
)
def test_every_average_is_planned_for_gpus_that_are_not_here(run, average, more):
    task = f'[[task]]\ncommand = "average"\n{average}\n{more}output = "smooth.h5"\n'
    planned = run("plan", job(task, "[plan]\nshape = [512, 512, 512]\ncell = [512, 512, 512]\n"), "--json")
    assert planned.code == 0, planned.err
    if "cell" in average:
        assert planned.json["tasks"][0]["way"] == "sums"


def test_another_shape_keeps_the_points_as_far_apart(field_file, tmp_path, module):
    layout = module.Layout(3, False, (96, 40, 320))
    larger = module.unread({"file": tmp_path / field_file}, layout)[0]
    assert larger.grid.cell.tolist() == [[48.0, 0, 0], [0, 10.0, 0], [0, 0, 64.0]]
    other = module.unread({"file": tmp_path / field_file}, replace(layout, cell=np.eye(3)))[0]
    assert other.grid.cell.tolist() == np.eye(3).tolist()


def test_a_cpu_has_no_host_link_and_unknown_rates_are_left_out(run):
    table = '[plan]\nshape = "64"\ncell = [10, 10, 10]\nmachine = "cpu"\nbandwidth = 10\ngpus = 2\n'
    report = run("plan", job(AVERAGE, table), "--json").json
    seconds = report["tasks"][0]["seconds"]
    assert seconds["host link"] == 0.0 and seconds["storage"] is None and seconds["network"] is None
    assert report["fits"] is None and report["efficiency"] is None
    assert sum("left out" in note for note in report["assumptions"]) == 2
    assert "give --memory" in " ".join(run("plan", "job.toml").out.split())


def test_ranks_are_those_of_the_batch(run):
    tables = '[batch]\nnodes = 2\ngpus-per-node = 4\n[plan]\nshape = "64"\ncell = [10, 10, 10]\n'
    assert run("plan", job(PROFILE, tables), "--json").json["ranks"] == 8
    assert run("plan", "job.toml", "--gpus", "3", "--json").json["ranks"] == 3


def test_every_command_of_a_job_can_be_planned(module):
    assert set(module.WORK) == {name for name in IN_JOBS if not COMMANDS[name].alone}


def test_everything_that_an_average_can_write_is_counted(run):
    more = 'variance = "spread.h5"\ngradient = "slope.cube"\n'
    table = '[plan]\nshape = "64"\ncell = [64, 64, 64]\n'
    report = run("plan", job(AVERAGE + more, table), "--json").json
    # averages and variances in HDF5, 8 bytes a value; three gradients of 18 characters a value, and line ends
    assert report["tasks"][0]["written_bytes"] == pytest.approx(64**3 * (2 * 8 + 3 * 18), rel=0.02)


SHAPE = '[plan]\nshape = "64"\ncell = [10, 10, 10]\n'
BAD = {
    "no file and no shape": (PROFILE, "", (), ["CHGCAR", "--shape", "--cell"]),
    "no file and no cell": (PROFILE, '[plan]\nshape = "64"\n', (), ["--cell"]),
    "cpu without bandwidth": (PROFILE, SHAPE, ("--machine", "cpu"), ["--bandwidth"]),
    "unknown device": (PROFILE, SHAPE, ("--machine", "h10"), ["h100"]),
    "no ranks": (PROFILE, SHAPE, ("--gpus", "0"), ["--gpus", "1 to"]),
    "shape of two": (PROFILE, SHAPE, ("--shape", "64x64"), ["--shape", "96x96x144"]),
    "shape of nothing": (PROFILE, SHAPE, ("--shape", "0"), ["--shape"]),
    "flat cell": (PROFILE, SHAPE, ("--cell", "1,1,0"), ["--cell", "16,16,40"]),
    "negative rate": (PROFILE, SHAPE, ("--storage", "-3"), ["--storage", "positive"]),
    "unknown key": (PROFILE, SHAPE + "gpu = 4\n", (), ["[plan]", '"gpu"', "gpus"]),
    "kernel wider than an open axis": (
        AVERAGE.replace("eps = 6", 'eps = 60\nboundary = "open"'),
        SHAPE,
        (),
        ["wide", "task 1 (average)"],
    ),
    "no such job": (None, "", (), ["job.toml", "no such file"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(run, case):
    tasks, tables, options, words = BAD[case]
    file = "job.toml" if tasks is None else job(tasks, tables)
    ran = run("plan", file, *options)
    assert ran.code == 2 and ran.out == ""
    for word in words:
        assert word in ran.sentence, ran.sentence
    assert run("plan", file, *options, "--json").json["exit_code"] == 2


def test_copies_reach_what_was_measured():
    rows = Path(__file__).parents[2] / "scaling" / "results.csv"
    with rows.open(newline="") as file:
        found = [
            2 * 1024**3 * {"float32": 4, "float64": 8}[row["dtype"]] / float(row["seconds"])
            for row in csv.DictReader(file)
            if (row["case"], row["size"], row["device"]) == ("floor", "1024^3", "NVIDIA H200")
        ]
    assert found
    for rate in found:
        assert rate == pytest.approx(COPY_FRACTION * MACHINES["h200"].bandwidth * 1e9, rel=0.01)


def test_an_input_is_read_once_and_a_density_beside_it(run, tmp_path):
    field_file, values, cell = "phi.h5", np.ones((48, 40, 32)), np.diag([24.0, 10.0, 6.4])
    for name, quantity in ((field_file, "electrostatic_potential"), ("rho.npz", "electron_density")):
        gh.write(gh.Field.from_array(values, cell, quantity=quantity, device="cpu"), tmp_path / name)
    step = '[[task]]\ncommand = "step"\naxis = "c"\ndensity = "rho.npz"\n'
    header = '[[task]]\ncommand = "info"\nheader = true\n'
    report = run("plan", job(header + step + PROFILE, file=field_file), "--json").json
    told, both, again = report["tasks"]
    sizes = [Path(name).stat().st_size for name in (field_file, "rho.npz")]
    assert (told["read_bytes"], both["read_bytes"], again["read_bytes"]) == (0, sum(sizes), 0)
    one = 48 * 40 * 32 * 8
    assert (told["values_bytes"], both["values_bytes"], again["values_bytes"]) == (0, 2 * one, 2 * one)
    assert (told["moved_bytes"], both["moved_bytes"], again["moved_bytes"]) == (0, 4 * one, one)
    assert "()" not in run("plan", "job.toml").out


@pytest.mark.parametrize(
    ("task", "kept"),
    [
        (f"{PROFILE}ion_charges = {{Na = 1}}\n", 0),
        (f'{PROFILE}to_quantity = "charge_density"\nboundary = "p,p,o"\n', None),
        ('[[task]]\ncommand = "decay"\naxis = "a"\nx_b = 3\n', 8 * 64 * 64 * 33),  # planes, modes
        ('[[task]]\ncommand = "decay"\naxis = "c"\nx_b = 3\n', None),
        # two places, two sides, all of the charge and its average over discs, complex modes
        ('[[task]]\ncommand = "potential"\nradius = 4\nat = [3, 5]\naxis = "a"\n', 2 * 2 * 2 * 16 * 64 * 33),
        ('[[task]]\ncommand = "potential"\nradius = 4\naxis = "a"\n', None),
        ('[[task]]\ncommand = "current"\nfile = ["1.cube", "2.cube", "3.cube"]\ntime_step = 1\n', 0),
    ],
)
def test_what_is_kept_beside_six_planes_by_hand(run, task, kept):
    report = run("plan", job(task, '[plan]\nshape = "64"\ncell = [64, 64, 64]\n'), "--json").json
    assert report["by_planes_bytes"] == (None if kept is None else 6 * 64**2 * 8 + kept)


DECAY = '[[task]]\ncommand = "decay"\naxis = "a"\nx_b = 3\n'


@pytest.mark.parametrize(
    ("tasks", "beside"),
    [
        # 1081344 bytes a result; 6 planes of 32768 are read in turn. Of the results three copies, or of the largest six
        (DECAY, 1081344 + 6 * 1081344),
        (DECAY + DECAY, 2 * 1081344 + 3 * 2 * 1081344 + 6 * 32768),
        (PROFILE, 6 * 32768),
    ],
)
def test_the_least_memory_by_hand(run, module, monkeypatch, tasks, beside):
    monkeypatch.setattr(module, "resident_bytes", lambda: 10**8)
    file = job(tasks, '[plan]\nshape = "64"\ncell = [64, 64, 64]\nmachine = "cpu"\nbandwidth = 10\n')
    assert run("plan", file, "--json").json["least_max_memory"] == 10**8 + 24 * 2**20 + beside
