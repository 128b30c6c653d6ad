"""The command corners: a box or a file of regions, numbers for people and for programs, a figure, refusals."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh

REGIONS = """
[[region]]
name = "plate"
box = [[-0.5, -0.5], [60.5, 59.5]]
reference = "constant"
"""


@pytest.fixture
def plate(tmp_path):
    """A checkerboard of +1 and -1: a quarter at each corner."""
    index = np.indices((61, 60, 1))
    values = (-1.0) ** index.sum(axis=0)
    field = gh.Field.from_array(values, np.diag([61, 60, 1.0]), boundary="o,o,p", quantity="charge_density")
    gh.write(field, tmp_path / "plate.h5")
    return "plate.h5"


def test_corners_of_a_box(run, plate):
    found = run("corners", plate, "--box", "-0.5,60.5,-0.5,59.5", "--json").json["result"]
    assert [point["value"]["value"] for point in found["points"]] == pytest.approx([0.25, 0.25, -0.25, -0.25])
    assert found["points"][0]["corners"] == [[-0.5, -0.5]] and found["points"][0]["value"]["unit"] == "e/Å"
    ran = run("corners", plate, "--box", "-0.5,60.5,-0.5,59.5")
    assert "(-0.5, -0.5)" in ran.out and "0.25" in ran.out and "e/Å" in ran.out and "closure residual" in ran.out


def test_corners_of_regions_in_a_file(run, plate):
    Path("regions.toml").write_text(REGIONS)
    options = ("--regions", "regions.toml", "--eps", "4.2")
    found = run("corners", plate, *options, "-o", "out.json", "--plot", "out.png", "--json").json
    assert found["outputs"] == ["out.json", "out.png"] and Path("out.png").read_bytes()[1:4] == b"PNG"
    (region,) = gh.read_result("out.json")["regions"]
    assert region["name"] == "plate" and region["fitted"] and region["value"]["value"] == pytest.approx(0, abs=1e-6)
    assert run("corners", plate, *options, "-o", "out.csv", "-q").code == 0
    assert "points.1.value,0.2" in Path("out.csv").read_text()


REFUSED = {
    "no positions": ((), "", ["--box", "--regions"]),
    "both": (("--box", "0,1,0,1", "--regions", "regions.toml"), REGIONS, ["--box", "--regions"]),
    "three numbers": (("--box", "0,1,0"), "", ["--box", "X0,X1,Y0,Y1"]),
    "turned round": (("--box", "1,0,0,1"), "", ["below"]),
    "reference": (("--box", "0,1,0,1", "--reference", "mean"), "", ["--reference", "constant"]),
    "no such file": (("--regions", "gone.toml"), "", ["gone.toml"]),
    "not TOML": (("--regions", "regions.toml"), "region = [", ["regions.toml", "TOML"]),
    "no regions": (("--regions", "regions.toml"), "", ["[[region]]"]),
    "unknown key": (("--regions", "regions.toml"), "[[region]]\ncorner = 1\n", ["region 1", "corner", "corners"]),
    "unknown table": (("--regions", "regions.toml"), "[body]\n", ["body"]),
    "no corners": (("--regions", "regions.toml"), '[[region]]\nname = "x"\n', ["region 1", "corners"]),
    "corners in words": (("--regions", "regions.toml"), '[[region]]\ncorners = "x"\n', ["region 1"]),
    "a line too short": (("--box", "0,60,0,50", "--eps", "9"), "", ["eps"]),
    "outside": (("--box", "0,99,0,50"), "", ["outside the cell"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_one_sentence(run, plate, case):
    options, text, words = REFUSED[case]
    Path("regions.toml").write_text(text)
    ran = run("corners", plate, *options)
    assert ran.code == 2 and ran.out == ""
    for word in words:
        assert word in ran.sentence, ran.sentence
    assert ran.sentence[-1] in ".?" and len(ran.sentence) < 500
