"""Fixtures of the batch jobs' tests."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.cli import app

TASKS = """
[input]
file = "field.h5"

[[task]]
command = "average"
kernel = "gaussian"
eps = 1
spacing = 1
output = "smooth.h5"

[[task]]
command = "profile"
periods = "none"
output = "profile.csv"
"""


def write_field(folder):
    """A field on 6 x 5 x 40 points, with no symmetry."""
    values = np.random.default_rng(7).normal(size=(6, 5, 40))
    gh.write(gh.Field.from_array(values, np.diag([6.0, 5.0, 20.0])), folder / "field.h5")


@pytest.fixture
def job(tmp_path, monkeypatch):
    """job(more) writes a job file, with more tables at its end, and gives its path; the current folder is another."""
    folder, elsewhere = tmp_path / "work", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    write_field(folder)
    monkeypatch.chdir(elsewhere)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)

    def write(more="", tasks=TASKS):
        path = folder / "job.toml"
        path.write_text(tasks + more, encoding="utf-8")
        return path

    return write


@pytest.fixture
def program(capsys):
    """program("submit", file, …) → exit code, standard output, standard error."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call
