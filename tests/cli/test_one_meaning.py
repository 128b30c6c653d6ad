"""One option has one meaning, and one meaning one option, in all commands, job files and batch jobs alike."""

import re
from collections import defaultdict

import pytest

from gpuhomog.jobs import BATCH_OPTIONS, COMMANDS, FAMILIES, PLAN_OPTIONS
from gpuhomog.jobs import parsing as p
from gpuhomog.jobs.commands.cylinder import positions
from gpuhomog.jobs.options import COMMANDS_OF_OTHERS, FORMER, renamed

TABLES = {name: command.options for name, command in COMMANDS.items()} | {"plan": PLAN_OPTIONS, "submit": BATCH_OPTIONS}
FOLDERS = ("demo", "paper")
"""Commands that write several files: their --output is a folder."""
OF_FILES = ("blocks",)
"""Options whose help says what stands in a file, in several units."""
UNIT = re.compile(r"(?<![\w/^])(?:1/Å|e/Å\^3|[GMK]B(?:/s)?|Å|eV|V|e)(?![\w/^])")


def uses():
    """Option name → (command, option) of every table."""
    found = defaultdict(list)
    for command, options in TABLES.items():
        for option in options:
            found[option.name].append((command, option))
    return found


USES = uses()


def test_every_name_stands_once_in_a_command():
    for command, options in TABLES.items():
        names = [option.name for option in options] + [option.short for option in options if option.short]
        assert len(names) == len(set(names)), command


@pytest.mark.parametrize("name", USES)
def test_one_name_has_one_help_text_and_one_unit(name):
    texts = {option.help: command for command, option in USES[name]}
    assert len(texts) == 1, texts
    units = {frozenset(UNIT.findall(option.help)) for _, option in USES[name]}
    assert len(units) == 1 and (len(min(units)) <= 1 or name in OF_FILES), units
    metavars = {re.split(r"[\[,]", o.metavar)[0] for c, o in USES[name] if not (name == "output" and c in FOLDERS)}
    assert len(metavars) == 1, metavars


def test_one_meaning_has_one_name():
    names = defaultdict(set)
    for name, found in USES.items():
        for _, option in found:
            names[option.help].add(name)
    assert [told for told in names.values() if len(told) > 1] == []


def test_lengths_and_positions_state_their_unit():
    in_angstrom = (p.length, p.lengths, p.sizes, p.radii, p.interval, p.box, p.place, positions)
    parsed = [option for found in USES.values() for _, option in found if option.parse in in_angstrom]
    assert {option.parse for option in parsed} == set(in_angstrom)
    assert [option.name for option in parsed if "Å" not in option.help] == []


def test_help_is_sentences():
    for command, options in TABLES.items():
        for option in options:
            for text in filter(None, (option.help, option.here)):
                assert text[0] == text[0].upper() or re.match(r"[a-z_]+(,| \(| is| finds| or| takes|:)", text), text
                assert text.endswith((".", "?", "…")) and "  " not in text, (command, option.name, text)


def test_what_others_call_a_command_is_none_of_ours():
    assert set(COMMANDS_OF_OTHERS.values()) <= set(COMMANDS) and not set(COMMANDS_OF_OTHERS) & set(COMMANDS)


@pytest.mark.parametrize("former", FORMER)
def test_former_names_lead_to_names_that_exist(former):
    homes = [command for command, options in TABLES.items() if renamed(former, [o.name for o in options])]
    assert homes
    for now in FORMER[former]:
        assert now in USES
        assert any(
            now in {o.name for o in options} and former not in {o.name for o in options} for options in TABLES.values()
        )


@pytest.mark.parametrize(
    ("words", "now"),
    [
        ("scales x --window 1,2", "--bulk"),
        ("cavity x --window 2", "--width"),
        ("potential x --cylinder-radius 3", "--radius"),
        ("potential x --to field", "--to-quantity"),
        ("convert x --to eV", "--to-unit"),
        ("profile x --periods 2", "--period"),
        ("decay x --point 0,0", "--in-plane"),
        ("homogenize x --stages 2,8", "--eps"),
        ("corners x --axis c", "--uniform-axis"),
        ("submit x --partition short", "--queue"),
        ("plan x --device h100", "--machine"),
        ("average x --epz 3", "did you mean --eps?"),
        ("average x --radius 3", '"gpuhomog average --help" lists what there is.'),
        ("profile x --window 3", "it is called --period."),
        ("macroscopic x", 'it is called "profile".'),
        ("work_function x", 'it is called "potential".'),
        ("convert x --less y z", "z: not expected here; several values of one option are joined by commas"),
        ("sttep x", 'did you mean "step"?'),
    ],
)
def test_an_old_or_misspelt_option_is_answered_with_the_right_one(run, words, now):
    ran = run(*words.split())
    assert ran.code == 2 and ran.out == "" and now in ran.sentence


def test_so_it_is_in_job_files(run, tmp_path):
    (tmp_path / "job.toml").write_text('[input]\nfile = "x"\n[[task]]\ncommand = "profile"\nperiods = 2.8\n')
    ran = run("run", "job.toml")
    assert ran.code == 2 and 'unknown key "periods": it is called "period".' in ran.sentence


@pytest.mark.parametrize(
    ("typed", "at", "completed"),
    [
        ("gpuhomog surf", 1, "surface\nsurface-map"),
        ("gpuhomog average --ker", 2, "--kernel"),
        ("gpuhomog average x --kernel ga", 4, "gaussian"),
        ("gpuhomog potential x --to-quantity el", 4, "electrostatic_potential\nelectric_field"),
    ],
)
def test_the_shell_completes_commands_options_and_words(run, monkeypatch, typed, at, completed):
    for name, value in (("_GPUHOMOG_COMPLETE", "complete_bash"), ("COMP_WORDS", typed), ("COMP_CWORD", str(at))):
        monkeypatch.setenv(name, value)
    ran = run()
    assert (ran.code, ran.out.strip(), ran.err) == (0, completed, "")


def test_every_command_has_a_family():
    assert [name for names in FAMILIES.values() for name in names] == list(COMMANDS)
