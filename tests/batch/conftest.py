"""Fixtures of the batch jobs' tests."""

import pytest
from job_to_submit import TASKS, write_field

from gpuhomog.cli import app


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
