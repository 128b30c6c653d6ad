"""Every example in the help and README.md is typed as the program takes it; those of the pages run (test_pages)."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from gpuhomog.cli import app
from gpuhomog.jobs import COMMANDS, prepare

ROOT = Path(__file__).parents[2]
PROGRAM = get_command(app)


def examples():
    """(where, line) of each."""
    for command in COMMANDS.values():
        for line in command.examples:
            yield command.name, line
    for name in ("run", "submit", "plan"):
        for line in re.findall(r"^\s*(gpuhomog .*)$", PROGRAM.commands[name].epilog, re.MULTILINE):
            yield name, line
    for line in re.findall(r"^    (?:mpiexec -n \d+ )?(gpuhomog .*)$", (ROOT / "README.md").read_text(), re.MULTILINE):
        yield "README", line


EXAMPLES = list(examples())


def test_there_are_examples_of_every_command():
    assert {name for name, _ in EXAMPLES} >= set(COMMANDS) | {"run", "submit", "plan", "README"}
    assert all(line.startswith(f"gpuhomog {name}") for name, line in EXAMPLES if name in COMMANDS)


@pytest.mark.parametrize(("where", "line"), EXAMPLES, ids=[f"{where}: {line}" for where, line in EXAMPLES])
def test_example(where, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, *words = shlex.split(line, comments=True)[1:]
    words = [
        re.sub(r"[*?]+", number, word) for word in words for number in ("00", "01")[: 1 + bool(set(word) & set("*?"))]
    ]
    words = ["cpu" if word == "gpu:0" else word for word in words]
    given = PROGRAM.commands[name].make_context(name, words).params
    if name in COMMANDS:
        task = prepare(COMMANDS[name], given, file=given.pop("file", None), planning=True)
        assert task.command.name == name
