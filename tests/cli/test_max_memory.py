"""--max-memory from the command line and in job files: what it accepts, refuses and reports."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gaussian_charges import density


@pytest.fixture
def field(tmp_path, rng):
    values = rng.normal(size=(30, 12, 14))
    np.save(tmp_path / "field.npy", values)
    facts = {"cell": np.diag([30.0, 12.0, 14.0]).tolist(), "quantity": "charge_density", "unit": "e/Å^3"}
    (tmp_path / "field.json").write_text(json.dumps(facts))
    return SimpleNamespace(values=values, path=tmp_path / "field.npy")


@pytest.mark.parametrize(
    "words",
    [
        ("info", "field.npy"),
        ("profile", "field.npy", "--axis", "b", "--period", "none"),
        ("average", "field.npy", "--kernel", "gaussian", "--eps", "4", "--spacing", "2", "-o", "smooth.h5"),
        ("average", "field.npy", "--kernel", "box", "--width", "3", "--gradient", "slope.npz", "--spacing", "2"),
        ("convert", "field.npy", "--to-unit", "e/bohr^3", "-o", "copy.npz"),
    ],
)
def test_reports_are_those_of_the_field_in_memory(run, field, words):
    whole, streamed = (run(*words, *more, "--json") for more in ((), ("--max-memory", "4GB")))
    assert whole.code == streamed.code == 0, streamed.err
    one, other = whole.json, streamed.json
    assert other["options"].pop("max-memory") == "4GB" and one["options"] == other["options"]
    assert one["outputs"] == other["outputs"] and one["warnings"] == other["warnings"]
    for key, value in one["result"].items():
        if isinstance(value, float):
            assert other["result"][key] == pytest.approx(value, rel=1e-12, abs=1e-12), key
    assert one["result"].keys() == other["result"].keys()
    assert not [p.name for p in field.path.parent.iterdir() if p.name.endswith(".part")]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("much", '--max-memory "much": "much" is no amount of memory: give bytes, or a text such as "8GB"'),
        ("-8GB", '--max-memory "-8GB": "-8GB" is no amount of memory'),
        ("1MB", "1 MB of memory are not enough"),
    ],
)
def test_amounts_that_cannot_be_held_are_refused(run, field, given, sentence):
    ran = run("profile", "field.npy", f"--max-memory={given}", "-o", "p.csv")
    assert ran.code == 2 and sentence in ran.sentence
    assert sorted(p.name for p in field.path.parent.iterdir()) == ["field.json", "field.npy"]


def test_what_needs_all_values_is_refused_with_what_works(run, field):
    words = ("average", "field.npy", "--kernel", "ball", "--eps", "4", "--boundary", "o,p,p", "-o", "ball.h5")
    ran = run(*words, "--max-memory", "4GB")
    assert ran.code == 2
    assert "The average with a ball on 30 x 12 x 14 points needs all values of field.npy at once" in ran.sentence
    assert "take a Gaussian or a box, or leave that out where" in ran.sentence
    ran = run(*words)
    assert ran.code == 0, "it was said to work without"
    (field.path.parent / "ball.h5").unlink()
    assert sorted(p.name for p in field.path.parent.iterdir()) == ["field.json", "field.npy"]


JOB = """
[input]
file = "field.npy"
[run]
max_memory = "4GB"
[[task]]
command = "profile"
axis = "a"
period = "none"
output = "a.csv"
{more}
[[task]]
{last}
"""
AVERAGE = 'command = "average"\nkernel = "box"\nwidth = 3\nspacing = 2\noutput = "box.h5"'
SURFACE = 'command = "surface"\naxis = "a"\noutput = "surface.json"'  # of noise, which has none


def test_a_job_reads_its_file_once_and_reports_every_task(run, field):
    (field.path.parent / "job.toml").write_text(JOB.format(more="", last=AVERAGE))
    ran = run("run", "job.toml", "--json")
    assert ran.code == 0, ran.err
    assert [task["command"] for task in ran.json["tasks"]] == ["profile", "average"]
    planar = np.genfromtxt(field.path.parent / "a.csv", delimiter=",", comments="#", skip_header=1, usecols=1)
    np.testing.assert_allclose(planar[~np.isnan(planar)], field.values.mean(axis=(1, 2)), atol=1e-12)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ('max-memory = "2GB"', '"max-memory" is the limit of the whole run: write it under [run].'),
        ("fresh = true", '"fresh" is not a key of tasks: give --fresh to gpuhomog run.'),
    ],
)
def test_limits_are_those_of_the_run(run, field, more, sentence):
    (field.path.parent / "job.toml").write_text(JOB.format(more=more, last=AVERAGE))
    ran = run("run", "job.toml")
    assert ran.code == 2 and ran.sentence == f"job.toml, task 1 (profile): {sentence}"


def test_an_error_of_one_task_ends_the_run_with_one_sentence(run, field):
    job = JOB.format(more="", last=SURFACE)
    (field.path.parent / "job.toml").write_text(job)
    streamed = run("run", "job.toml")
    (field.path.parent / "job.toml").write_text(job.replace('max_memory = "4GB"', ""))
    assert streamed.code == 2 and streamed.sentence == run("run", "job.toml").sentence


@pytest.fixture
def charges(tmp_path):
    """Two Gaussian charges, 30 x 14 x 16 points."""
    cell = np.diag([12.0, 6.0, 6.4])
    blobs = [(1.0, 0.8, (5.5, 3.0, 3.2)), (-1.0, 0.8, (6.5, 3.0, 3.2))]
    np.save(tmp_path / "charge.npy", density((30, 14, 16), cell, blobs, "periodic", (1, 2, 2)).values)
    facts = {"cell": cell.tolist(), "quantity": "charge_density", "unit": "e/Å^3"}
    (tmp_path / "charge.json").write_text(json.dumps(facts))


@pytest.mark.parametrize(
    "words",
    [
        ("--boundary", "o,p,p", "-o", "potential.npz"),
        ("--boundary", "o,p,p", "-o", "potential.npz", "--plot", "levels.png"),
        ("--boundary", "o,p,p"),
        ("--to-quantity", "electric_field", "-o", "field.npz"),
        ("--to-quantity", "electric_field"),
    ],
)
def test_potentials_of_charges(run, charges, tmp_path, words):
    """Reports and files are those of the charge in memory, and nothing else is left."""
    whole = run("potential", "charge.npy", *words, "--json")
    kept = {path.name: np.load(path)["values"] for path in tmp_path.glob("*.npz")}
    for path in tmp_path.glob("*.npz"):
        path.unlink()
    streamed = run("potential", "charge.npy", *words, "--json", "--max-memory", "4GB")
    assert whole.code == streamed.code == 0, streamed.err
    assert whole.json["outputs"] == streamed.json["outputs"]
    for name, values in kept.items():
        np.testing.assert_allclose(np.load(tmp_path / name)["values"], values, rtol=0, atol=1e-12)
    one, other = whole.json["result"], streamed.json["result"]
    assert one.keys() == other.keys()
    for key in ("maximum", "minimum"):
        if key in one:
            assert other[key] == pytest.approx(one[key], rel=1e-12)
    if "vacuum_levels" in one:
        assert other["vacuum_levels"]["step"]["value"] == pytest.approx(one["vacuum_levels"]["step"]["value"], rel=1e-9)
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_figures_of_slices_need_all_values(run, charges):
    ran = run("potential", "charge.npy", "--to-quantity", "electric_field", "--plot", "e.png", "--max-memory", "4GB")
    assert ran.code == 2 and "A figure of slices needs all values" in ran.sentence


def test_a_potential_is_planned_with_the_memory_of_its_spectrum(run, charges):
    """By far more than planes of the charge are, and named."""
    job = '[input]\nfile = "charge.npy"\nboundary = "open"\n[[task]]\ncommand = "TASK"\naxis = "a"\noutput = "o.npz"\n'
    least = {}
    for task in ("potential", "profile"):
        with open("job.toml", "w") as file:
            file.write(job.replace("TASK", task).replace("o.npz", "o.csv" if task == "profile" else "o.npz"))
        least[task] = run("plan", "job.toml", "--json").json["least_max_memory"]
    assert least["potential"] > least["profile"] + 15e6


SLAB = Path(__file__).parents[1] / "data" / "NaCl_slab_charge_density.cube.gz"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not tell the memory of a process")
@pytest.mark.parametrize(
    "words",
    [
        "potential SLAB -o v.npz",
        "potential SLAB --to-quantity electric_field -o e.h5",
        "average SLAB --kernel ball --eps 1 --boundary p -o a.npz",
        "profile SLAB -o p.csv",
        "surface SLAB -o s.json",
        "energy SLAB --other SLAB",
    ],
)
def test_the_first_refusal_names_what_the_whole_command_needs(tmp_path, words):
    """Processes of their own: what counts is their memory."""
    typed = words.replace("SLAB", str(SLAB)).split()
    typed += ["--quantity", "charge_density", "-q"] + ["--boundary", "p,p,o"] * ("--boundary" not in typed)

    def ended(limit):
        command = [sys.executable, "-m", "gpuhomog", *typed, "--max-memory", limit]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)

    refused = ended("40MB")
    assert refused.returncode == 2 and not list(tmp_path.iterdir()), refused.stderr
    again = ended(re.search(r"give --max-memory of at least ([0-9]+MB)", refused.stderr)[1])
    assert again.returncode == 0, again.stderr
