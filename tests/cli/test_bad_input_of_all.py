"""What can be wrong with any command's input is refused by each in one sentence, and nothing is left behind."""

import os
import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.jobs import COMMANDS
from gpuhomog.jobs.options import FIELD_FILE, INPUT_FILE, RESULT_FILE

READING = [name for name, command in COMMANDS.items() if command.reads]
WITHOUT_GRID = ("charges", "trajectory", "current")
"""Commands that read ions or frames, if not several files."""
GRIDS = [name for name in READING if name not in WITHOUT_GRID]


def good():
    """A field that every command can read."""
    values = np.cos(2 * np.pi * np.arange(16) / 16) * np.ones((4, 4, 1))
    return gh.Field.from_array(values, np.diag([4.0, 4.0, 16.0]), quantity="charge_density")


def truncated():
    gh.write(good(), "whole.h5")
    Path("bad.h5").write_bytes(Path("whole.h5").read_bytes()[:9000])


def not_a_number():
    values = good().to_host().copy()
    values[1, 2, 3] = np.nan
    np.savez("bad.npz", values=values, cell=np.diag([4.0, 4.0, 16.0]), quantity="charge_density")


def another_kind():
    Path("bad.h5").write_bytes(bytes(range(256)) * 20)


FILES = {  # name, what makes it, words of the sentence
    "missing": ("bad.h5", lambda: None, "no such file"),
    "a folder": ("bad.h5", lambda: Path("bad.h5").mkdir(), "is a directory"),
    "empty": ("bad.h5", lambda: Path("bad.h5").touch(), "empty|Empty|cannot read"),
    "truncated": ("bad.h5", truncated, "truncated|cannot read"),
    "another kind": ("bad.h5", another_kind, "HDF5|no known kind|cannot read|not the start"),
    "not a number": ("bad.npz", not_a_number, "NaN|cannot read|holds one density"),
}
OPTIONS = {  # what is typed in addition, words of the sentence
    "an unknown axis": (("--axis", "q"), "--axis"),
    "a negative eps": (("--eps", "-3"), "--eps"),
    "a negative width": (("--width", "-3"), "--width"),
    "a period of zero": (("--period", "0"), "--period"),
    "a radius in words": (("--radius", "wide"), "--radius"),
    "a position that is none": (("--x-b", "nan"), "--x-b"),
    "an unknown unit": (("--unit", "parsec"), "--unit"),
    "an unknown quantity": (("--quantity", "charge_dens"), 'did you mean "charge_density"'),
    "another quantity than the file's": (("--quantity", "electrostatic_potential"), "good.h5"),
    "a boundary of two": (("--boundary", "p,p"), "--boundary"),
    "an unknown device": (("--device", "tpu"), "--device"),
    "a frame that is not there": (("--frame", "7"), "frame 7"),
    "a block that is not there": (("--block", "down"), "down"),
    "an unknown sampling": (("--sampling", "cells"), 'did you mean "cell"'),
    "no memory": (("--max-memory", "1MB"), "--max-memory"),
    "a figure of another kind": (("--plot", "figure.jpg"), "figure.jpg"),
    "a figure in a folder that is not there": (("--plot", "nowhere/figure.png"), "nowhere"),
}


def example(name, file):
    """The first example of a command's help as typed, with another input; the other files it reads are written."""
    command = COMMANDS[name]
    words = [file if word == shlex.split(command.examples[0])[2] else word for word in shlex.split(command.examples[0])]
    reads = {f"--{option.name}" for option in command.options if option.names == INPUT_FILE}
    for option, value in pairwise(words):
        if option in reads:
            gh.write(good(), value if value.endswith(".h5") else "other.h5")
            words[words.index(value)] = value if value.endswith(".h5") else "other.h5"
    if "--ion-charges" in words:
        at = words.index("--ion-charges")
        del words[at : at + 2]
    return words[1:]


def with_option(words, option, value):
    """What is typed with an option and its value in place of those that stand there."""
    names = {"-o": ("-o", "--output")}.get(option, (option,))
    at = next((i for i, word in enumerate(words) if word in names), len(words))
    return [*words[:at], *words[at + 2 :], option, value]


def refused(run, words, expected):
    """One sentence on standard error and in JSON, exit code 2, nothing new."""
    before = sorted(Path().rglob("*"))
    ran = run(*words, *([] if "--json" in words else ["--json"]))
    assert ran.code == 2, (words, ran.err, ran.out)
    sentence = ran.json["error"]
    assert ran.json == {"error": sentence, "exit_code": 2} and ran.err.count("\n") == 1, ran.err
    assert re.search(expected, sentence), sentence
    assert len(sentence) < 450 and sentence[-1] in ".?" and sentence.count(". ") <= 1, sentence
    assert not re.search(r"\b(np|gh)\.|Traceback|object at|None|Unknown \w+ .*Unknown", sentence), sentence
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("name", READING)
@pytest.mark.parametrize("case", FILES)
def test_a_bad_file(run, name, case):
    file, make, expected = FILES[case]
    make()
    words = example(name, file)
    refused(run, words, f"{re.escape(file)}.*(?:{expected})")


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("case", OPTIONS)
def test_a_bad_option(run, name, case):
    more, expected = OPTIONS[case]
    if more[0][2:] not in {option.name for option in COMMANDS[name].options}:
        return  # an option that it has not is tested elsewhere
    gh.write(good(), "good.h5")
    refused(run, with_option(example(name, "good.h5"), *more), expected)


@pytest.mark.parametrize("name", READING)
def test_bad_outputs(run, name):
    option = next((o for o in COMMANDS[name].options if o.names in (FIELD_FILE, RESULT_FILE) and o.short == "o"), None)
    if option is None:
        return  # it writes nothing
    suffix = ".h5"
    gh.write(good(), "good.h5")
    for target, expected in (
        ("good.h5", "good.h5: is the input"),
        (f"nowhere/out{suffix}", "nowhere.*does not exist"),
        (f"good.h5/out{suffix}", "good.h5"),
        ("out", "out.*suffix"),
        ("out.hdf", r"\.hdf5"),
    ):
        refused(run, with_option(example(name, "good.h5"), "-o", target), expected)


def test_a_folder_that_cannot_be_written(run, monkeypatch):
    gh.write(good(), "good.h5")
    writing = [name for name in GRIDS if any(option.short == "o" for option in COMMANDS[name].options)]
    typed = [with_option(example(name, "good.h5"), "-o", "out.h5") for name in writing]
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK | os.X_OK and may(path, mode))
    for words in typed:
        refused(run, words, "cannot be written")
