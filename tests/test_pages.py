"""The worked pages are true: every example of Python and every command gives what the page shows."""

import doctest
import re
import shlex
import warnings
from pathlib import Path

import pytest

import gpuhomog
from gpuhomog.cli import app
from gpuhomog.errors import AccuracyWarning

PACKAGE = Path(gpuhomog.__file__).parent
PAGES = sorted((PACKAGE / "pages").glob("[a-z]*.md"))
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def differences(expected, found):
    """What doctest says of two texts, None if they agree."""
    example, checker = doctest.Example("", expected), doctest.OutputChecker()
    return None if checker.check_output(expected, found, FLAGS) else checker.output_difference(example, found, FLAGS)


def python(code, names, page, capsys):
    test = doctest.DocTestParser().get_doctest(code, names, page.name, str(page), 0)
    runner, told = doctest.DocTestRunner(optionflags=FLAGS), []
    runner.run(test, out=told.append, clear_globs=False)
    names.update(test.globs)
    assert runner.failures == 0, "".join(told)
    return len(test.examples)


def console(code, names, page, capsys):
    ran = 0
    for command in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
        typed, _, expected = command.partition("\n")
        program, *arguments = shlex.split(typed)
        assert program == "gpuhomog"
        capsys.readouterr()
        with pytest.raises(SystemExit):
            app(arguments)
        seen = capsys.readouterr()
        assert differences(expected, seen.err + seen.out) is None, differences(expected, seen.err + seen.out)
        ran += 1
    return ran


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page, tmp_path, monkeypatch, capsys):
    (tmp_path / "gpuhomog").mkdir()
    (tmp_path / "gpuhomog" / "examples").symlink_to(PACKAGE / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    names, ran = {}, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        for kind, code in BLOCK.findall(page.read_text(encoding="utf-8")):
            ran += {"python": python, "console": console}[kind](code, names, page, capsys)
    assert ran >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_says_what_it_must(page):
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ") and "How to read it." in text
    assert re.search(r"^When (it is refused|there is none)\.", text, re.MULTILINE)
    assert re.search(r"\b(eqs?\. \d|section [IVX])", text)
    assert text.count("```") == 2 * len(BLOCK.findall(text))  # no block that is not run
    assert len(text.splitlines()) < 120


def test_index_names_every_page():
    index = (PACKAGE / "pages" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", index)) == {page.name for page in PAGES}
    assert "gpuhomog/pages/README.md" in (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_a_wrong_output_is_found(tmp_path, capsys):
    page = tmp_path / "page.md"
    with pytest.raises(AssertionError, match=r"Expected:\s+3"):
        python(">>> 1 + 1\n3\n", {}, page, capsys)
    with pytest.raises(AssertionError, match="nearest"):
        console("$ gpuhomog devices --nearest\nnothing\n", {}, page, capsys)
