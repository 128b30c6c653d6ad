"""The command trajectory: a mean profile with errors, from text files of a known run."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.units import FOUR_PI_KAPPA

CELL = "10,0,0,0,10,0,0,0,12"
OPTIONS = ("--charges", "Na=1,Cl=-1", "--cell", CELL, "--spacing", "1")
POTENTIAL = (*OPTIONS, "--to-quantity", "electrostatic_potential")
POSITIONS = np.random.default_rng(12).uniform(0, 10, size=(32, 6, 3)).round(3)


@pytest.fixture
def xyz(tmp_path):
    lines = []
    for frame in POSITIONS:
        lines += ["6", "frame"]
        names = ("Na", "Cl") * 3
        lines += [f"{name} {x} {y} {z}" for name, (x, y, z) in zip(names, frame, strict=True)]
    (tmp_path / "run.xyz").write_text("\n".join(lines) + "\n")
    return "run.xyz"


def test_profile_of_a_run(run, xyz):
    options = ("--charges", "Na=1,Cl=-1", "--cell", CELL, "--spacing", "1")
    found = run("trajectory", xyz, *options, "-o", "out.json", "--plot", "out.png", "--json").json
    heights = POSITIONS[:, :, 2].ravel()
    counted, _ = np.histogram(heights, 12, (0, 12), weights=np.tile([1.0, -1.0], 3 * 32))
    assert found["result"]["profile"]["values"] == pytest.approx(list(counted / 32 / 100), abs=1e-9)
    assert Path("out.png").read_bytes()[1:4] == b"PNG"
    profile = gh.read_profile("out.json")
    assert profile.uncertainty is not None and profile.uncertainty[:10].min() > 0
    ran = run("trajectory", xyz, *options)
    assert "32, blocks of" in ran.out and "correlation time" in ran.out and "standard error" in ran.out
    part = run("trajectory", xyz, *options, "--start", "4", "--every", "2", "--json").json["result"]["profile"]
    assert part["provenance"][-1]["frames"] == 14
    part = run("trajectory", xyz, *options, "--start", "4", "--stop", "14", "--json").json["result"]["profile"]
    counted, _ = np.histogram(heights[24:84], 12, (0, 12), weights=np.tile([1.0, -1.0], 3 * 10))
    assert part["provenance"][-1]["frames"] == 10
    assert part["values"] == pytest.approx(list(counted / 10 / 100), abs=1e-9)


def test_potential_of_a_run(run, xyz):
    """Heights are between 0 and 10 of 12 Å, two more here; the dipole is that of the file."""
    charge = np.tile([1.0, -1.0], 3)
    lines = Path(xyz).read_text().splitlines()
    for number, line in enumerate(lines):
        if line[:2] in ("Na", "Cl"):
            name, x, y, z = line.split()
            lines[number] = f"{name} {x} {y} {float(z) + 2}"
    Path("high.xyz").write_text("\n".join(lines) + "\n")
    options = ("--charges", "Na=1,Cl=-1", "--cell", "10,10,14", "--spacing", "1", "--to-quantity")
    quantity = "electrostatic_potential"
    ran = run("trajectory", "high.xyz", *options, quantity, "--boundary", "p,p,o", "--plot", "phi.png", "--json")
    found = ran.json["result"]
    dipole = (POSITIONS[:, :, 2] * charge).sum(axis=1) / 100
    assert found["profile"]["values"][-1] == pytest.approx(FOUR_PI_KAPPA * dipole.mean(), rel=1e-9)
    assert found["step"]["value"] == pytest.approx(found["profile"]["values"][-1]) and found["step"]["unit"] == "V"
    assert found["profile"]["values"][:2] == [0, 0] and found["profile"]["uncertainty"][:2] == [0, 0]
    assert Path("phi.png").read_bytes()[1:4] == b"PNG"
    told = " ".join(run("trajectory", "high.xyz", *options, quantity, "--boundary", "p,p,o").out.split())
    assert "level 0 below the slab" in told and "V above it" in told
    ran = run("trajectory", "high.xyz", *options, quantity, "-o", "phi.csv")
    assert "mean 0 over the periodic cell" in " ".join(ran.out.split())
    assert gh.read_profile("phi.csv").quantity == quantity


def test_a_cell_in_nm_is_noticed(run):
    """Water in a box of 2 nm; ten ions in one of 5 nm, which could be thin matter that wandered."""
    rng = np.random.default_rng(3)
    for name, n, length in (("dense.xyz", 800, 20.0), ("thin.xyz", 10, 50.0)):
        with open(name, "w") as file:
            for frame in range(4):
                lines = [
                    f"{('Na', 'Cl')[i % 2]} {x} {y} {z}" for i, (x, y, z) in enumerate(rng.uniform(0, length, (n, 3)))
                ]
                file.write(f"{n}\nframe {frame}\n" + "\n".join(lines) + "\n")
    options = ("--charges", "Na=1,Cl=-1", "--spacing", "0.1", "--cell")
    for command in ("trajectory", "charges"):
        more = options if command == "trajectory" else (*options[:2], "--bulk", "0.5,1.5", "--cell")
        ran = run(command, "dense.xyz", *more, "2,2,2")
        assert ran.code == 2 and "800 atoms in a cell of 2 × 2 × 2 Å are 100 per Å^3" in ran.sentence
        assert ran.sentence.endswith("1 nm is 10 Å.")
    told = run("trajectory", "thin.xyz", *options, "5,5,5")
    assert told.code == 0 and "cells along a, b and c, and are put back into one. Is the cell in Å?" in told.err
    assert "cells along" not in run("trajectory", "thin.xyz", *options, "50,50,50").err
    assert run("trajectory", "dense.xyz", *options, "20,20,20").code == 0


def test_a_step_between_two_positions_has_its_own_error(run, xyz):
    options = ("trajectory", xyz, *POTENTIAL, "--between", "2,8")
    found = run(*options, "--width", "1.5", "--json").json["result"]
    step, values = found["between"]["step"], found["profile"]["values"]
    assert step["unit"] == "V" and step["uncertainty"] > 0
    assert found["between"]["windows"] == [[1.25, 2.75], [7.25, 8.75]]
    low, high = ((values[x - 1] * 0.75 + values[x] * 0.75) / 1.5 for x in (2, 8))  # cells of 1 Å
    assert step["value"] == pytest.approx(high - low, rel=1e-9)
    told = " ".join(run(*options).out.split())
    assert "Step of the mean potential step, high - low" in told and "1.5000 to 2.5000 Å" in told


def test_a_cell_that_changes_is_told(run, xyz):
    lines = Path(xyz).read_text().splitlines()
    for number, length in enumerate(12 + 0.1 * np.sin(np.arange(len(POSITIONS)))):
        lines[8 * number + 1] = f'Lattice="10 0 0 0 10 0 0 0 {length:.4f}" Properties=species:S:1:pos:R:3'
    Path("npt.xyz").write_text("\n".join(lines) + "\n")
    options = ("--charges", "Na=1,Cl=-1", "--spacing", "1")
    told = " ".join(run("trajectory", "npt.xyz", *options).out.split())
    assert "11.9 to 12.0991 Å long: charges are counted at fractions of it" in told
    assert "Å long" not in run("trajectory", xyz, *options, "--cell", CELL).out


@pytest.mark.parametrize("name", ["run.extxyz", "extended.xyz"])
def test_extended_xyz_has_cells_and_charges_itself(run, xyz, name):
    plain = Path(xyz).read_text().splitlines()
    head = f'Lattice="{CELL.replace(",", " ")}" Properties=species:S:1:pos:R:3:initial_charges:R:1'
    charged = [f"{line} {1.0 if line[:2] == 'Na' else -1.0}" if line[:2] in ("Na", "Cl") else line for line in plain]
    Path(name).write_text("\n".join(head if line == "frame" else line for line in charged) + "\n")
    found = run("trajectory", name, "--spacing", "1", "--json").json["result"]["profile"]
    known = run("trajectory", xyz, "--charges", "Na=1,Cl=-1", "--cell", CELL, "--spacing", "1", "--json").json
    assert found["values"] == pytest.approx(known["result"]["profile"]["values"], abs=1e-9)
    assert found["uncertainty"] == pytest.approx(known["result"]["profile"]["uncertainty"], abs=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--cell", CELL, "--spacing", "1"), ["charges"]),
        (("--charges", "Na=1", "--cell", CELL, "--spacing", "1"), ["run.xyz", "no charge for Cl"]),
        (("--charges", "Na=1,Cl=-1", "--spacing", "1"), ["cell"]),
        (("--charges", "Na=1,Cl=-1", "--cell", "1,2,3,4", "--spacing", "1"), ["--cell", "nine"]),
        (("--charges", "Na:1", "--cell", CELL, "--spacing", "1"), ["--charges", "Na=1"]),
        (("--charges", "Na=1,Cl=-1", "--cell", CELL), ["--spacing"]),
        (("--charges", "Na=1,Cl=-1", "--cell", CELL, "--spacing", "1", "--start", "30"), ["2 frames"]),
        (("--topology", "gone.tpr", "--spacing", "1"), ["gone.tpr"]),
        ((*OPTIONS, "--start", "8", "--stop", "8"), ["stop = 8", "no frame"]),
        ((*OPTIONS, "--boundary", "p,p,o"), ["--boundary is about a potential"]),
        ((*POTENTIAL, "--boundary", "o,p,o"), ["only c may be open"]),
        ((*OPTIONS, "--between", "2,8"), ["--between is about a step of the potential", "--to-quantity"]),
        ((*POTENTIAL, "--width", "2"), ["--width is about a step", "give --between too"]),
        ((*POTENTIAL, "--between", "2,4", "--width", "3"), ["overlap", "3 Å wide"]),
        ((*POTENTIAL, "--boundary", "p,p,o"), ["Charge comes to the ends of the open axis c"]),
        (("--charges", "Na=1,Cl=-2", *POTENTIAL[2:]), ["net charge of -3 e"]),
    ],
)
def test_refusals_are_one_sentence(run, xyz, options, words):
    ran = run("trajectory", xyz, *options)
    assert ran.code == 2 and ran.out == ""
    for word in words:
        assert word in ran.sentence, ran.sentence
