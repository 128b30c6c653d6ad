"""The command paper: figures, the numbers behind them, the table against theory and the paper, refusals."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.paper import FIGURES


def test_figure_with_its_numbers(run):
    found = run("paper", "--figure", "12", "-o", "figures", "--figure-width", "column", "--json").json
    names = ["figure_12.pdf", "figure_12.png", "figure_12.h5", "paper.json"]
    assert found["outputs"] == [f"figures/{name}" for name in names]
    assert Path("figures/figure_12.pdf").read_bytes()[:4] == b"%PDF"
    assert Path("figures/figure_12.png").read_bytes()[1:4] == b"PNG"
    findings = {f["name"]: f for f in found["result"]["figures"]["12"]["findings"]}
    plane = findings["σ, Plane 2"]
    assert plane["found"]["value"] == pytest.approx(-1 / 32, abs=1e-7) and plane["found"]["unit"] == "e/Å^2"
    assert plane["equations"] == "51" and plane["expected"] == -1 / 32
    assert "alternate" in findings["σ, CaF2(111) ending on Ca"]["wrong"]
    assert json.loads(Path("figures/paper.json").read_text())["figures"].keys() == {"12"}
    content = gh.read_result("figures/figure_12.h5")
    assert content["kind"] == "FigureNumbers" and content["figure"] == 12
    assert content["provenance"][0]["paper"] == "arXiv:2403.13981" and content["parameters"]["std"] == 0.18
    curve = content["curves"]["rows"]
    assert curve["y_unit"] == "e/Å^2" and np.ptp(curve["y"]) == pytest.approx(1 / 16, abs=1e-6)


def test_table_says_what_the_paper_says(run):
    ran = run("paper", "--figure", "12")
    assert ran.code == 0 and "Figure 12." in ran.out and "Where the paper is wrong" in ran.out
    assert "wrote gpuhomog-paper/figure_12.pdf" in ran.out and "-0.03125" in ran.out


def test_numbers_stand_on_one_line(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rows = [line.split() for line in run("paper", "--figure", "14").out.splitlines() if "E_x beyond R" in line]
    assert float(rows[0][rows[0].index("(V/Å)") + 1]) == pytest.approx(0.0, abs=1e-3)
    assert "e-" in rows[0][rows[0].index("(V/Å)") + 1][:-1]


@pytest.mark.parametrize("given", ["9", "7,13", "seven", ""])
def test_other_figures_are_refused(run, given):
    ran = run("paper", "--figure", given)
    assert ran.code == 2 and all(str(number) in ran.sentence for number in FIGURES)
    assert not Path("gpuhomog-paper").exists()


def test_a_file_is_no_folder(run):
    Path("taken").write_text("")
    ran = run("paper", "--figure", "12", "-o", "taken")
    assert ran.code == 2 and "taken: is a file" in ran.sentence


def test_wrong_numbers_are_reported_and_not_written(run, monkeypatch):
    right = FIGURES[12]

    def compute(device):
        numbers = right.compute(device)
        return replace(numbers, findings=(replace(numbers.findings[1], expected=0.0), *numbers.findings[2:]))

    monkeypatch.setitem(FIGURES, 12, replace(right, compute=compute))
    ran = run("paper", "--figure", "12")
    assert ran.code == 1 and "σ, Plane 2 (Fig. 12)" in ran.sentence
    assert list(Path("gpuhomog-paper").iterdir()) == []


def test_job_files_are_for_inputs(run):
    Path("job.toml").write_text('[[task]]\ncommand = "paper"\nfigure = [12]\n')
    ran = run("run", "job.toml")
    assert ran.code == 2 and 'unknown command "paper"' in ran.sentence
