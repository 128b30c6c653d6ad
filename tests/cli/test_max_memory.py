"""--max-memory from the command line and in job files: what it accepts, refuses and reports."""

import json
from types import SimpleNamespace

import numpy as np
import pytest


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
    whole, streamed = (run(*words, *more, "--json") for more in ((), ("--max-memory", "1GB")))
    assert whole.code == streamed.code == 0, streamed.err
    one, other = whole.json, streamed.json
    assert other["options"].pop("max-memory") == "1GB" and one["options"] == other["options"]
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
    ran = run("average", "field.npy", "--kernel", "ball", "--eps", "4", "--max-memory", "1GB", "-o", "ball.h5")
    assert ran.code == 2
    assert "The average with a ball on 30 x 12 x 14 points needs all values of field.npy at once" in ran.sentence
    assert "take a Gaussian or a box, or give more memory (--max-memory), or leave that out where" in ran.sentence
    ran = run("average", "field.npy", "--kernel", "ball", "--eps", "4", "-o", "ball.h5")
    assert ran.code == 0, "it was said to work without"
    (field.path.parent / "ball.h5").unlink()
    assert sorted(p.name for p in field.path.parent.iterdir()) == ["field.json", "field.npy"]


JOB = """
[input]
file = "field.npy"
[run]
max_memory = "1GB"
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
    (field.path.parent / "job.toml").write_text(job.replace('max_memory = "1GB"', ""))
    assert streamed.code == 2 and streamed.sentence == run("run", "job.toml").sentence
