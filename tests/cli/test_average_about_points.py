"""gpuhomog average --point: means and spreads about points and ions, as the command says and writes them."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh

KERNEL = ("--kernel", "ball", "--eps", "1")


@pytest.fixture
def wave(tmp_path):
    """cos along c of period 6 Å about -5 eV, with three atoms."""
    values = -5 + np.cos(2 * np.pi * np.arange(24) / 24) * np.ones((6, 5, 1))
    atoms = gh.Structure([12, 8, 12], [[0.0, 0, 0], [1, 2, 3], [2, 2, 1.0]])
    cell = np.diag([3.0, 4.0, 6.0])
    field = gh.Field.from_array(values, cell, quantity="electron_potential_energy", structure=atoms)
    gh.write(field, tmp_path / "wave.h5")
    return "wave.h5"


def known(z):
    """Mean and spread in the ball: that of the wave, and of its square, which has half the period."""
    damped, twice = (float(gh.Ball(1.0).transform(2 * np.pi * n / 6)) for n in (1, 2))
    mean = damped * np.cos(2 * np.pi * z / 6)
    return mean - 5, np.sqrt((1 + twice * np.cos(4 * np.pi * z / 6)) / 2 - mean**2)


@pytest.mark.parametrize("memory", [(), ("--max-memory", "1GB")])
def test_numbers_of_points_and_of_ions(run, wave, memory):
    found = run("average", wave, *KERNEL, "--point", "0,0,0.7,1,1,3", *memory, "--json").json["result"]
    expected = [known(0.7), known(3.0)]
    assert found["values"] == pytest.approx([mean for mean, _ in expected], abs=1e-12)
    assert found["spread"] == pytest.approx([spread for _, spread in expected], abs=1e-9)
    assert found["unit"] == "eV" and found["points"] == [[0, 0, 0.7], [1, 1, 3]]
    ran = run("average", wave, *KERNEL, "--point", "Mg", "--table", "sites.csv", *memory)
    assert "Mg 1 (0.0000, 0.0000, 0.0000) Å" in ran.out and f"{known(1.0)[0]:.8g} eV, spread" in ran.out
    lines = [line for line in Path("sites.csv").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "points_x,points_y,points_z,values,spread" and len(lines) == 3
    assert float(lines[2].split(",")[3]) == pytest.approx(known(1.0)[0], abs=1e-12)
    assert len(run("average", wave, *KERNEL, "--point", "ions", *memory, "--json").json["result"]["atoms"]) == 3


def test_in_a_job_file(run, wave):
    lines = ["[input]", 'file = "wave.h5"', "[[task]]", 'command = "average"', 'kernel = "ball"', "eps = 1.0"]
    Path("job.toml").write_text("\n".join([*lines, "point = [[0, 0, 0.7], [0, 0, 3]]", 'table = "point.json"']) + "\n")
    assert run("run", "job.toml").code == 0
    assert gh.read_result("point.json")["values"] == pytest.approx([known(0.7)[0], known(3)[0]], abs=1e-12)
    assert run("plan", "job.toml").code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--point", "0,0"), "three coordinates in Å for each point"),
        (("--point", "0,0,0,1"), "three coordinates in Å for each point"),
        (("--point", "O2"), "an element, or ions"),
        (("--point", "Na"), "the atoms are Mg2O; name one of their elements"),
        (("--point", "0,0,0", "-o", "out.h5"), "--output is about the whole field"),
        (("--point", "0,0,0", "--spacing", "1"), "--spacing is about the whole field"),
        (("--point", "0,0,0", "--plot", "out.png"), "--plot is about the whole field"),
        (("--point", "0,0,0", "--table", "out.txt"), "out.txt"),
        (("--table", "out.csv"), "give --point"),
        (("--at", "0,0,0"), "it is called --point"),
    ],
)
def test_refusals_are_one_sentence(run, wave, options, words):
    ran = run("average", wave, *KERNEL, *options)
    assert ran.code == 2 and ran.out == "" and words in ran.sentence
    assert not Path("out.h5").exists() and not Path("out.csv").exists()
