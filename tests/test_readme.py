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


def test_every_command_stands_under_its_family():
    from gpuhomog.jobs import COMMANDS, FAMILIES

    shown = re.findall(r"^    (?:# (.+)|gpuhomog ([\w-]+))", README, re.MULTILINE)
    under, title = {}, ""
    for heading, command in shown:
        title = heading or title
        under.setdefault(command, title)
    for family, names in FAMILIES.items():
        for name in names:
            assert under.get(name) == family, name
    assert {under[name] for name in ("run", "submit", "plan")} == {"Jobs"} and set(COMMANDS) < set(under)


@pytest.mark.filterwarnings("ignore:eps = .* exceeds a quarter")
def test_what_python_prints_is_what_stands_beside_it(capsys, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(block, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert len([line for line in block.splitlines() if "=" in line or "print" in line]) <= 6


def test_what_the_demo_finds(capsys, monkeypatch, tmp_path):
    from gpuhomog.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(SystemExit) as end:
        app(["demo"])
    found = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    (block,) = [text for text in re.findall(r"```text\n(.*?)```", README, re.DOTALL) if "known" in text]
    assert end.value.code == 0 and {" ".join(line.split()) for line in block.splitlines()} <= found


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert "://" in link or (ROOT / link).exists(), link
    for name in re.findall(r"(?<![\w/.-])((?:gpuhomog|kernels|tests|scaling|docker)/[\w/.-]+\.(?:md|py|h5))\b", README):
        assert (ROOT / name).exists(), name
