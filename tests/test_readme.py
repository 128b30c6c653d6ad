"""What README.md shows a newcomer works as written."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_python_examples_run(monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    monkeypatch.chdir(ROOT)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_exactly_two_setup_commands():
    lines = re.findall(r"^    (python3 -m venv .*)$", README, re.MULTILINE)
    assert len(lines) == 2
    assert lines[0].endswith("gpuhomog demo") and lines[1].endswith("pytest")


def test_every_command_shown_exists():
    from gpuhomog.jobs import BATCH_OPTIONS, COMMANDS, PLAN_OPTIONS

    options = {name: {option.name for option in command.options} for name, command in COMMANDS.items()}
    options |= {"run": set(), "submit": {option.name for option in BATCH_OPTIONS} | {"dry-run"}}
    options |= {"plan": {option.name for option in PLAN_OPTIONS}}
    shown = re.findall(r"^    gpuhomog ([\w-]+)(.*)$", README, re.MULTILINE)
    assert len(shown) >= 8
    for command, rest in shown:
        assert command in options, command
        for option in re.findall(r"--([a-z-]+)", rest):
            assert option in options[command], f"{command} --{option}"
