"""The scripts of scaling/: every case runs, exact values are exact, rows and tables say what they must. No timings."""

import argparse
import csv
import doctest
import importlib
import multiprocessing
import os
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from ranks import together
from scipy.signal import convolve

from gpuhomog.errors import AccuracyWarning
from gpuhomog.jobs.machines import SPREAD
from gpuhomog.operators.averages.line_weights import spectral_weights

SCALING = Path(__file__).parents[1] / "scaling"
MAY_BE_ABSENT = ("torch",)
"""Peers."""


@pytest.fixture
def script(monkeypatch, tmp_path):
    """A script of scaling/ as a module; FFTW plans quickly, and keeps its wisdom in another place after the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path, str(SCALING)])
    before = set(sys.modules)
    monkeypatch.setattr(importlib.import_module("fft_peers"), "EFFORT", "FFTW_ESTIMATE")
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(SCALING)):
            del sys.modules[name]


@pytest.fixture
def bench(script):
    module = script("bench")
    from gpuhomog.device import CPU

    return module.Bench(12, np.dtype("float64"), CPU(), np, module.WallClock(), module.SMALL, True)


def test_every_case_runs_and_is_exact(script):
    measure = script("gpu").main
    rows = measure(["--emulate", "cpu", "--sizes", "32:float32"])
    rows += measure(["--emulate", "cpu", "--sizes", "48:float64", "--no-peers"])
    failed = [f"{row['case']}, {row['what']}: {row['note']}" for row in rows if "seconds" not in row]
    assert not [line for line in failed if not any(name in line for name in MAY_BE_ABSENT)]
    ours = [row for row in rows if row["what"].startswith("gpuhomog")]
    assert {row["dtype"] for row in ours} == {"float32", "float64"}
    with_error = [row for row in ours if "error" in row]
    assert len(with_error) > len(ours) / 2
    for row in with_error:  # sums of at most 48 weighted samples an axis, a few FFTs: some tens of roundings
        fitted = {"float32": 5e-7, "float64": 1e-11}[row["dtype"]] if "cylinder" in row["case"] else 0.0
        assert float(row["error"]) < 60 * np.finfo(row["dtype"]).eps + fitted, row


@pytest.mark.parametrize("own_memory", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("padded", [(0, 0, 0), (0, 0, 4), (6, 5, 4)])
def test_peers_by_fft_are_sums_term_by_term(script, rng, dtype, tolerance, padded, own_memory):
    """Zeros around, then once around the padded shape; again and again, as what is kept is overwritten."""
    values = rng.standard_normal((6, 5, 4)).astype(dtype)
    shape = tuple(np.add(values.shape, padded).tolist())
    ways = script("fft_peers").fft_peers(values, 1, shape, own_memory=own_memory)
    assert "scipy.fft" in ways
    for _ in range(3):
        kernel = rng.standard_normal(shape)
        terms = convolve(values.astype(float), np.tile(kernel, (2, 2, 2)), method="direct")
        exact = terms[shape[0] :, shape[1] :, shape[2] :][tuple(slice(n) for n in values.shape)]
        spectrum = np.fft.rfftn(kernel).astype(np.result_type(dtype, np.complex64))
        for name, way in ways.items():
            found = way(spectrum)
            assert found.dtype == dtype and found.shape == values.shape, name
            np.testing.assert_allclose(found, exact, atol=tolerance * np.abs(exact).max() * 10, err_msg=name)


def test_the_example_of_the_peers_by_fft(script):
    outcome = doctest.testmod(script("fft_peers"))
    assert outcome.attempted == 3 and not outcome.failed


def row_names(rows):
    return [(row["case"], row["what"]) for row in rows]


def installed_fft(script):
    return list(script("fft_peers").fft_peers(np.zeros((2, 2, 2)), 1))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("float64", 5e-15)])
def test_averages_beside_their_peers(script, dtype, tolerance):
    with warnings.catch_warnings():  # the script turns them off
        rows = script("average").main(["--size", "64", "--dtype", dtype, "--repeats", "1"])
    by_fft = [f"{name}, cached spectrum" for name in installed_fft(script)]
    usual = ["gpuhomog", "scipy.ndimage", *by_fft]
    assert row_names(rows) == [
        ("floor", "copy of the array"),
        *[("box, full grid", what) for what in usual],
        *[("cell box, full grid", what) for what in usual],
        *[("box, every 2th point", what) for what in ("gpuhomog", "gpuhomog, running sums", *usual[1:])],
        *[("gaussian, full grid", what) for what in usual],
        *[("gaussian, every 2th point", what) for what in usual],
        *[("ball, full grid", what) for what in ("gpuhomog", *by_fft)],
    ]
    cut = ("scipy.ndimage", "gpuhomog, running sums")  # whole windows, tails left out, sums between points
    exact = [row for row in rows[1:] if row["what"] not in cut or row["case"].startswith("cell box")]
    assert max(float(row["error"]) for row in exact) < tolerance


def test_potentials_beside_their_peers(script):
    rows = script("poisson").main(["--size", "32", "--repeats", "1"])
    assert row_names(rows) == [
        (f"potential, {cell}, {when}", what)
        for cell in ("periodic", "slab", "isolated")
        for when in ("repeated", "kernel made")
        for what in ("gpuhomog", *installed_fft(script))
    ]
    errors = {cell: [float(row["error"]) for row in rows if cell in row["case"]] for cell in ("slab", "isolated")}
    assert max(errors["slab"]) < 2e-8 and max(errors["isolated"]) < 4e-8  # what such Gaussians leave beyond the grid
    # waves shorter than two spacings are others on this grid, the same for all
    assert len({row["error"] for row in rows if "periodic" in row["case"]}) == 1


@pytest.mark.parametrize("plane", ["open", "periodic"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_cylinders_beside_convolutions(script, dtype, tolerance, plane):
    cylinder = script("cylinder")
    cylinder.REST = 0.0
    given = ["--size", "20", "--radius", "4", "--dtype", dtype, "--plane", plane, "--repeats", "1"]
    rows = cylinder.measure(given)
    errors = [float(row["error"]) for row in rows if row["what"].startswith("gpuhomog")]
    assert len(errors) == 4 and max(errors) < tolerance
    peers = [row for row in rows if not row["what"].startswith("gpuhomog")]
    assert len({row["note"] for row in peers}) == 1  # all have the sampled kernel
    assert max(float(row["error"]) for row in peers) < tolerance


@pytest.mark.filterwarnings("ignore::gpuhomog.AccuracyWarning")
@pytest.mark.parametrize("dtype, tolerance", [("float32", 2e-6), ("float64", 1e-13)])
def test_eight_scales_beside_one_read(script, dtype, tolerance):
    rows = script("scales").main(["--size", "64", "--dtype", dtype, "--repeats", "1"])
    assert len(rows) == 3 and all("reads; processors" in row["note"] for row in rows)
    assert float(rows[0]["fraction_of_floor"]) == 1.0
    (error,) = [float(row["error"]) for row in rows if "error" in row]
    assert error < tolerance


@pytest.mark.filterwarnings("ignore::gpuhomog.AccuracyWarning")
def test_scales_one_by_one_are_a_row_that_compares_with_one_read(script):
    scales = script("scales")
    scales.SCALES = 2
    rows = scales.main(["--size", "64", "--repeats", "1", "--one-by-one"])
    assert [row["what"] for row in rows[2:]] == ["gpuhomog, all of it", "gpuhomog, operators one by one"]
    seconds = [float(row["seconds"]) for row in rows[2:]]
    assert float(rows[3]["ratio_to_peer"]) == pytest.approx(seconds[1] / seconds[0], rel=0.02)


def test_the_time_of_a_call_is_the_median_of_what_the_clock_says(script):
    """Of runs of 10 ms in a patience of 0.1 s: ten, every third of which lasts four times as long."""
    bench = script("bench")
    said = iter([0.01, *[0.01, 0.01, 0.04] * 4])

    class Clock:
        patience = 0.1

        def once(self, call):
            call()
            return next(said)

    calls = []
    timing, result = bench.timed(lambda: calls.append(None) or len(calls), Clock())
    assert (timing.seconds, timing.repeats, result, len(calls)) == (0.01, 10, 1, 12)
    assert timing.spread == pytest.approx(3.0)  # 3 of 10 are slow, so the highest tenth is
    assert bench.timed(lambda: 7, bench.WallClock())[0].repeats == 1
    said = iter([1.0])
    assert bench.timed(lambda: 7, Clock()) == (bench.Timing(1.0, 1), 7)


def test_nothing_begins_after_the_budget(script, capsys):
    rows = script("gpu").main(["--emulate", "cpu", "--budget", "0"])
    assert not rows
    assert "left out" in capsys.readouterr().out


def test_only_and_tune_choose(script, capsys, monkeypatch):
    gpu = script("gpu")
    from gpuhomog.device.gpu import sums

    monkeypatch.setattr(sums, "BLOCKS_EACH", sums.BLOCKS_EACH)
    monkeypatch.setattr(sums, "ROWS", sums.ROWS)
    from gpuhomog.device.gpu import runtime

    monkeypatch.setattr(runtime, "source", runtime.source)
    both = "planar_moments.cu:ROWS+gpuhomog.device.gpu.sums:ROWS=2,8"
    tune = ["--tune", "gpuhomog.device.gpu.sums:BLOCKS_EACH=1,3", "--tune", both]
    rows = gpu.main(["--emulate", "cpu", "--sizes", "8:float32", "--only", "planar averages", *tune])
    assert {row["case"] for row in rows} == {"floor", "planar averages x3, moments to 4, extrema"}
    said = capsys.readouterr().out
    assert said.count("-- BLOCKS_EACH = ") == 5  # the floor once, four combinations
    assert said.count("-- BLOCKS_EACH = 3, ROWS = 8\n") == 1
    assert (sums.BLOCKS_EACH, sums.ROWS) == (3, 8)
    assert "constexpr int ROWS = 8;" in runtime.source("planar_moments.cu")
    for place, why in (("gpuhomog.device.gpu.sums", "has no NONE"), ("taps.cu", "0 constants named NONE")):
        with pytest.raises(SystemExit, match=why):
            gpu.main(["--emulate", "cpu", "--sizes", "8:float32", "--tune", f"{place}:NONE=1"])


def test_a_failing_case_is_marked_and_the_next_one_runs(script, tmp_path):
    gpu, cases = script("gpu"), script("gpu_cases")
    from gpuhomog.device import CPU

    bench_module = script("bench")
    bench = bench_module.Bench(8, np.dtype("float32"), CPU(), np, bench_module.WallClock(), bench_module.SMALL, True)
    measuring = gpu.Measuring({"device": "emulated", "versions": ""}, tmp_path / "rows.csv")

    def refuse():
        raise MemoryError("out of memory allocating 9 bytes")

    case = cases.Case({"gpuhomog": refuse, "gpuhomog, other": lambda: bench.values}, 8.0, {"peer": lambda: refuse})
    measuring.measure(bench, cases.Entry("case", lambda _: case))
    measuring.measure(bench, cases.Entry("missing", lambda of: of.device.no_such_primitive))
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["what"] for row in rows] == ["gpuhomog", "gpuhomog, other", "peer", "gpuhomog"]
    assert [bool(row["seconds"]) for row in rows] == [False, True, False, False]
    assert "MemoryError: out of memory" in rows[0]["note"] and "no_such_primitive" in rows[3]["note"]
    assert len(measuring.failed) == 3


FAULTY = """
import os, time

def measure(options, progress, began, first):
    with open(options.told, "a") as told:
        told.write(f"{first} ")
    for step in range(first, 4):
        progress.begin(step)
        if step == 1:
            os._exit(7)  # as where CUDA has ended
        if step == 2:
            time.sleep(600)
    progress.done.value = options.well
"""


def test_a_case_that_ends_the_process_or_never_ends_costs_no_other(script, tmp_path, monkeypatch, capfd):
    watch = script("watch").watch
    (tmp_path / "faulty.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(tmp_path)
    options = argparse.Namespace(told=tmp_path / "told", patience=1.0, well=True)
    assert not watch(importlib.import_module("faulty").measure, options, 0.0)
    assert options.told.read_text() == "0 2 3 "
    said = capfd.readouterr().out
    assert "ended, status 7" in said and "no row within 1 s" in said
    options.well = False  # whoever begins nothing is not asked again
    options.told.unlink()
    assert not watch(importlib.import_module("faulty").measure, options, 0.0)
    assert options.told.read_text() == "0 2 3 4 "


def test_steps_are_the_same_for_every_process_and_begin_with_a_floor(script, capsys):
    gpu, bench = script("gpu"), script("bench")
    words = ["--emulate", "cpu", "--sizes", "8:float32,8:float64", "--only", "planar averages"]
    tune = ["--tune", "gpuhomog.device.gpu.sums:TILE=16,16"]
    options = argparse.Namespace(sizes="8:float32,8:float64", only="planar averages", leading=False, tune=tune[1:])
    found = gpu.steps(options, bench.SMALL)
    assert [step.number for step in found] == list(range(6))
    assert [step.entry.name for step in found[::3]] == ["floor"] * 2
    options = argparse.Namespace(**vars(options), emulate="cpu", output=None, budget=9.0, no_peers=True)
    progress = script("watch").Progress(multiprocessing)
    rows = gpu.measure_all(options, progress, time.monotonic(), first=2)
    assert [(row["dtype"], row["case"][:6]) for row in rows] == [
        ("float32", "floor"),
        ("float32", "planar"),
        *[("float64", name) for name in ("floor", "planar", "planar")],
    ]
    assert progress.done.value and progress.step.value == 5 and not progress.failed.value
    assert len(gpu.main([*words, *tune])) == 6
    assert gpu.measure_all(options, progress, time.monotonic(), first=6) == []


PRETENDED = """#!/bin/sh
echo "$@" >> {told}
case "$*" in
*pytest\\ -q*) echo "FAILED tests/kernels/test_taps.py::test_one"; exit 1 ;;
*--leading*) exec sleep 600 ;;
esac
"""


def waiting(tmp_path, seconds, *steps):
    """What waiting.sh says, its exit status, and what it called a pretended Python with."""
    python, told = tmp_path / "python", tmp_path / "told"
    python.write_text(PRETENDED.format(told=told))
    python.chmod(0o755)
    command = ["bash", str(SCALING / "waiting.sh"), str(tmp_path / "out"), str(seconds), *steps]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHON": str(python)})
    return done, told.read_text().splitlines()


def test_no_step_of_what_waits_stops_another(tmp_path):
    began = time.monotonic()
    done, told = waiting(tmp_path, 4, "tests", "tune", "leading", "rest")
    assert done.returncode == 1 and time.monotonic() - began < 60
    assert "FAILED tests/kernels/test_taps.py::test_one" in done.stdout
    assert "failed: tests leading tune(no time) rest(no time); " in done.stdout
    assert "pytest -q" in told[1] and "--leading" in told[2] and len(told) == 3
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tests.log", "leading.log"}


def test_a_family_that_is_not_clean_is_named(tmp_path, monkeypatch):
    checker = tmp_path / "bin" / "compute-sanitizer"
    checker.parent.mkdir()
    checker.write_text('#!/bin/sh\ncase "$*" in *racecheck*taps) exit 1 ;; esac\n')
    checker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{checker.parent}{os.pathsep}{os.environ['PATH']}")
    done, _ = waiting(tmp_path, 60, "sanitize")
    assert done.returncode == 1 and "failed: sanitize; " in done.stdout
    assert [line for line in done.stdout.splitlines() if "clean" in line] == ["racecheck of taps: not clean"]


def test_the_checker_is_asked_about_every_family():
    script = (SCALING / "waiting.sh").read_text()
    named = re.search(r"for family in (.*); do", script)[1].split()
    source = (SCALING.parent / "tests" / "kernels" / "sanitize.py").read_text()
    assert named == re.search(r"FAMILIES = \((.*)\)", source)[1].split(", ")


def test_what_is_tuned_is_there(script, tmp_path, monkeypatch):
    gpu, cases, bench = script("gpu"), script("gpu_cases"), script("bench")
    from gpuhomog.device.gpu import runtime

    _, told = waiting(tmp_path, 60, "tune")
    lines = [line.partition("scaling/gpu.py ")[2] for line in told]
    assert len(lines) == 8
    monkeypatch.setattr(runtime, "source", runtime.source)
    known = [entry.name for entry in cases.cases(bench.Parameters())]
    for line in lines:
        only, rest = re.fullmatch(r"--only (.*) --sizes 1024:float32 (--tune .*)", line).groups()
        assert any(only in name for name in known)
        for _, chosen in gpu.settings(rest.split()[1::2]):
            with monkeypatch.context() as restored:
                for place, constant, _ in chosen:
                    if not place.endswith(".cu"):
                        restored.setattr(f"{place}.{constant}", getattr(importlib.import_module(place), constant))
                gpu.apply(None, chosen)


def test_a_field_that_does_not_fit_costs_no_other(script, monkeypatch, capsys):
    gpu, bench = script("gpu"), script("bench")
    random = bench.Bench.random

    def full(self, offset):
        if self.dtype == np.float64:
            raise MemoryError("out of memory allocating 9 bytes")
        return random(self, offset)

    monkeypatch.setattr(bench.Bench, "random", full)
    rows = gpu.main(["--emulate", "cpu", "--sizes", "8:float64,8:float32", "--only", "planar averages", "--no-peers"])
    assert [row["dtype"] for row in rows] == ["float32"] * 2
    assert "8^3 float64: out of memory allocating 9 bytes\n" in capsys.readouterr().out


def test_exact_values_of_averages(bench):
    """Against the same average by direct summation over the whole grid, and seen to fail on a wrong plane."""
    from gpuhomog import Gaussian

    weights = lambda line: spectral_weights(line, Gaussian(3.0).transform)  # noqa: E731
    whole = weights(bench.line(np.arange(12.0)))
    exact = np.einsum("ai,bj,ck,ijk->abc", whole, whole, whole, bench.values)
    error = bench.separable_error(weights)
    assert error(exact) < 1e-14
    wrong = exact.copy()
    wrong[0] += 1e-6
    assert error(wrong) == pytest.approx(1e-6 / 2**0.5, rel=1e-6)
    assert bench.separable_error(weights, 3)(exact[::3, ::3, ::3]) < 1e-14


def test_exact_values_of_filters(bench):
    multiplier = lambda a, b, c: np.exp(-0.1 * (a * a + 2 * b * b + 3 * c * c))  # noqa: E731
    n = np.fft.fftfreq(12, 1 / 12)
    modes = np.fft.fftn(bench.values) * multiplier(*np.meshgrid(n, n, n, indexing="ij"))
    exact = np.fft.ifftn(modes).real
    error = bench.spectral_error(multiplier)
    assert error(exact) < 1e-13
    assert error(np.swapaxes(exact, 0, 2).copy()) > 1e-3
    noise = 1e-6 * np.random.default_rng(2).standard_normal(exact.shape)
    assert error(exact + noise) == pytest.approx(1e-6 / 2**0.5, rel=0.4)  # 47 modes stand for all
    assert error(exact + 1e-6) == pytest.approx(1e-6 / 2**0.5, rel=1e-3)


@pytest.mark.parametrize("causal", [True, False], ids=["cylinders", "zeros around"])
def test_exact_values_of_lines(bench, causal):
    """Against sums over the planes, or those below, for each Fourier mode."""
    n = 12
    k = np.fft.fftfreq(n) * 2 * np.pi
    length = np.hypot(k[:, None], k[None, :])
    response = lambda distance, k: 1 / (1 + distance[:, None] + k)  # noqa: E731
    modes = np.fft.fft2(bench.values)
    modes[0] *= 0.5 if causal else 1.0
    table = response(np.arange(n), length.ravel()).reshape(n, n, n)
    sums = [sum(table[abs(x - y)] * modes[y] for y in range(x + 1 if causal else n)) for x in range(n)]
    exact = np.fft.ifft2(sums).real
    error = bench.line_error(response, causal=causal)
    assert error(exact) < 1e-13
    assert error(exact[::-1]) > 1e-2
    assert error(np.swapaxes(exact, 1, 2)) > (1e-2 if causal else 1e-3)  # all modes together: most of it is the mean
    assert error(1.001 * exact) == pytest.approx(1e-3, rel=1e-6)


def test_rows_without_history_take_the_commit_from_the_environment(script, monkeypatch, tmp_path):
    rows = script("rows")
    monkeypatch.setattr(rows, "HERE", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("GPUHOMOG_COMMIT", "abc1234")
    monkeypatch.setenv("GPUHOMOG_TREE", "clean")
    assert rows.state_of_tree() == {"commit": "abc1234", "tree": "clean"}
    monkeypatch.setenv("PATH", "")  # not even git
    assert rows.state_of_tree() == {"commit": "abc1234", "tree": "clean"}
    monkeypatch.delenv("GPUHOMOG_TREE")
    assert rows.state_of_tree()["tree"] == "unknown"


def row_of(**columns):
    return {
        "script": "gpu.py",
        "size": "1024^3",
        "dtype": "float32",
        "device": "a GPU",
        "commit": "abc",
        "tree": "clean",
        "threads": "",
        **columns,
    }


def test_merge_appends_each_row_once_and_refuses_what_measured_nothing(script, tmp_path):
    rows = script("rows")
    results, new = tmp_path / "results.csv", tmp_path / "new.csv"
    rows.write([row_of(case="floor", seconds="1")], results)
    rows.write([row_of(case="floor", seconds="1"), row_of(case="box", seconds="2")], new)
    assert rows.merge(new, results) == 1
    assert rows.merge(new, results) == 0
    with results.open(newline="") as file:
        assert [row["case"] for row in csv.DictReader(file)] == ["floor", "box"]
    rows.write([row_of(device="emulated on the CPU")], new)
    with pytest.raises(ValueError, match="emulated"):
        rows.merge(new, results)


def test_tables_show_every_peer_strongest_first_and_targets(script, tmp_path):
    rows, render = script("rows"), script("render")
    path = tmp_path / "rows.csv"
    case = "box, full grid, w 65"
    rows.write(
        [
            row_of(case=case, what="gpuhomog", seconds="0.005", fraction_of_floor="0.56", error="1.0e-07"),
            row_of(case=case, what="CuPy uniform_filter, 65 points", seconds="0.4", ratio_to_peer="80"),
            row_of(case=case, what="cuFFT, cached plans and spectrum", seconds="0.02", ratio_to_peer="4"),
            row_of(case=case, what="torch", note="not measured: no torch"),
            row_of(case=case, what="gpuhomog", seconds="9", fraction_of_floor="0.1", tree="dirty"),
        ],
        path,
    )
    text = render.tables(render.read_rows(path), render.read_rows(render.TARGETS))
    assert "| gpuhomog | 0.56 | 4 cuFFT, cached plans and spectrum; 80 CuPy uniform_filter, 65 points | 5 |" in text
    assert "box, full grid, w 65, torch: not measured: no torch" in text
    lines = {tuple(line.split(" | ")[:3]): line for line in text.splitlines() if line.startswith(f"| {case}")}
    of = "1024^3 float32"
    assert ">= 0.50 | 0.52-0.57 | 0.56 | yes" in lines[f"| {case}", of, "fraction of floor"]
    assert ">= 60 | 75 | 80 | yes" in lines[f"| {case}", of, "ratio to CuPy uniform_filter"]
    assert ">= 1.8 | 2 |  |  |" in lines[f"| {case}", of, "ratio to three 1-D running sums"]


def test_targets_name_cases_that_exist(script):
    cases, bench, render = script("gpu_cases"), script("bench"), script("render")
    known = {entry.name for entry in cases.cases(bench.Parameters())}
    targets = render.read_rows(render.TARGETS)
    assert {target["case"] for target in targets} <= known
    for target in targets:
        render.measured_for(target, [])
        if target["target"]:
            render.verdict(1.0, target["target"])


def test_the_script_runs_on_its_own():
    command = [
        sys.executable,
        str(SCALING / "gpu.py"),
        "--emulate",
        "cpu",
        "--sizes",
        "8:float64",
        "--only",
        "planar averages",
    ]
    told = subprocess.run(command, capture_output=True, text=True, env=os.environ, check=True).stdout
    assert "planar averages x3" in told


def test_plans_stand_beside_what_was_measured(script):
    expected, render = script("expected"), script("render")
    rows = render.newest(render.read_rows(render.RESULTS))
    lines = expected.comparison(rows)
    assert {(line[0], line[3]) for line in lines} >= {("poisson", "all modes"), ("gaussian, full grid, std 16", "taps")}
    # 1024³ float32 on an H200: 295 columns of a product, 20 of which last as long as a pass, at 0.9 · 4800 GB/s;
    # 14.75 · 4 · 2^30 bytes / 4.32e12 = 14.66 ms
    poisson = next(line for line in lines if line[:2] == ["poisson", "1024^3 float32"])
    measured = next(row for row in rows if (row["case"], row["size"], row["dtype"]) == ("poisson", *poisson[1].split()))
    assert float(poisson[4]) == pytest.approx(14.66, rel=0.005)
    assert float(poisson[5]) == pytest.approx(1e3 * float(measured["seconds"]), rel=0.005)
    for device, spread in (("NVIDIA H200", SPREAD["one H200"]), ("CPU AMD EPYC", SPREAD["two cores"])):
        ratios = [float(line[6]) for line in lines if line[2] == device]
        assert (min(ratios), max(ratios)) == pytest.approx(spread, rel=0.1)


def test_the_way_that_is_chosen_is_the_fastest_that_was_measured(script):
    expected, render = script("expected"), script("render")
    measured = {}
    for row in render.newest(render.read_rows(render.RESULTS)):
        case = expected.CASES.get((row["case"], row["what"]))
        if row["script"] == "gpu.py" and row["seconds"] and case is not None:
            _, way = case(expected.unread(row), expected.method_of(row))
            times = measured.setdefault((row["case"], row["size"], row["dtype"]), {})
            times[way] = float(row["seconds"])
            times["chosen"] = case(expected.unread(row), "auto")[1]
    several = {of: times for of, times in measured.items() if len(times) > 2}
    assert len(several) >= 6
    for of, times in several.items():
        chosen = times.pop("chosen")
        assert chosen not in times or times[chosen] <= min(times.values()), of


def test_the_method_of_a_row_is_that_of_its_note(script):
    method_of = script("expected").method_of
    assert method_of({"what": "gpuhomog, low modes", "note": "gpuhomog by taps"}) == "low modes"
    assert method_of({"what": "gpuhomog", "note": "spread 9 %; gpuhomog by lines"}) == "lines"
    assert method_of({"what": "gpuhomog, gh.average", "note": ""}) == "auto"


def test_what_ranks_compute_is_exact_and_sends_what_the_model_says(script):
    ranks = script("mpi")

    def work(comm):
        field = ranks.field_of((48, 48, 48), comm)
        found = {}
        for name, case in ranks.cases(field).items():
            before = comm.sent.copy()
            result = case.call()
            error = 0.0 if case.error is None else case.error(result)
            sent = {
                kind: n for kind, n in (comm.sent - before).items() if name != "potential, isolated" or kind != "sum"
            }
            found[name] = (sent, {kind: int(n[comm.rank]) for kind, n in case.cost.sent.items()}, error)
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)  # a small field
        results = together(3, work)
    for found in results:
        assert len(found) == 2 + len(ranks.KERNELS)
        for sent, expected, error in found.values():
            assert sent == expected and sum(sent.values()) > 0
            assert error < 1e-13


def test_rows_of_ranks_have_speed_up_and_efficiency(script):
    ranks, render = script("mpi"), script("render")
    case = lambda seconds, *sent: {"ball, full grid": {"seconds": seconds, "sent": list(sent), "error": 0.0}}  # noqa: E731
    best = {(1, 1): case(4.0, 0), (2, 1): case(2.5, 10, 12), (2, 2): case(5.0, 20, 24)}
    rows = ranks.rows_of(64, best, {3: case(9.0, 7, 8, 9)})
    assert [row.get("ratio_to_peer") for row in rows] == ["1.00", "1.60", "0.80", None]
    assert [row["bytes"] for row in rows] == [0, 12, 24, 9] and "seconds" not in rows[3]
    assert ranks.faster(best[1, 1], case(3.0, 1)) == case(3.0, 1) and ranks.faster(None, best[1, 1]) == best[1, 1]
    shown = render.ranks_table(
        [{"seconds": "", "ratio_to_peer": "", **row, "bytes": str(row["bytes"])} for row in rows]
    )
    assert "| 2 ranks, strong | 2.5000 | 1.60 |" in shown
