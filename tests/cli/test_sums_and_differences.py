"""convert --plus and --less: sums and differences of fields, from the command line and job files; what does not fit."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh


@pytest.fixture(autouse=True)
def densities(run):
    """The density of a whole, and of its parts in a folder of their own; one on another grid."""
    rng = np.random.default_rng(9)
    values = {name: rng.random((6, 5, 4)) for name in ("whole", "slab", "molecule")}
    Path("parts").mkdir()
    for name, array in values.items():
        field = gh.Field.from_array(array, np.diag([6.0, 5.0, 4.0]), quantity="electron_density")
        gh.write(field, "whole.h5" if name == "whole" else f"parts/{name}.h5")
    finer = gh.Field.from_array(np.ones((6, 5, 8)), np.diag([6.0, 5.0, 4.0]), quantity="electron_density")
    gh.write(finer, "finer.h5")
    return values


LESS = "parts/slab.h5,parts/molecule.h5"


@pytest.mark.parametrize("unit", [None, "1/bohr^3"])
def test_a_density_less_its_parts(run, densities, unit):
    words = () if unit is None else ("--to-unit", unit)
    ran = run("convert", "whole.h5", "--less", LESS, *words, "-o", "difference.npz", "--json")
    assert ran.code == 0, ran.err
    found = gh.read("difference.npz")
    expected = densities["whole"] - densities["slab"] - densities["molecule"]
    np.testing.assert_allclose(found.internal().to_host(), expected, rtol=1e-13, atol=1e-15)
    assert found.quantity == "electron_density" and ran.json["result"]["unit"] == (unit or "1/Å^3")
    assert ran.json["options"]["less"] == LESS.split(",")
    less = [step["less"][-1]["path"] for step in found.provenance if step["step"] == "difference"]
    assert less == LESS.split(",")


def test_a_sum_has_ions(run, densities):
    """Two electrons of the core, three of the valence, and a nucleus of five: neutral."""
    atoms = gh.Structure((1,), np.zeros((1, 3)))
    for name, n_electrons in (("core", 2.0), ("valence", 3.0)):
        values = np.full((6, 5, 4), n_electrons / 120.0)
        cell = np.diag([6.0, 5.0, 4.0])
        gh.write(gh.Field.from_array(values, cell, quantity="electron_density", structure=atoms), f"{name}.h5")
    words = ("convert", "core.h5", "--plus", "valence.h5", "--ion-charges", "H=5", "--ion-width", "1.2")
    ran = run(*words, "-o", "charge.npz", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["result"]["quantity"] == "charge_density" and abs(ran.json["result"]["integral"]) < 1e-12
    assert run("convert", "whole.h5", "--plus", LESS, "--less", LESS, "-o", "same.npz").code == 0
    np.testing.assert_allclose(gh.read("same.npz").to_host(), densities["whole"], atol=1e-15)


@pytest.mark.parametrize(("option", "sign"), [("plus", 1), ("less", -1)])
def test_names_of_a_job_start_in_its_folder(run, densities, option, sign):
    Path("jobs").mkdir()
    parts = '["../parts/slab.h5", "../parts/molecule.h5"]'
    Path("jobs/job.toml").write_text(
        f'[input]\nfile = "../whole.h5"\n[[task]]\ncommand = "convert"\n{option} = {parts}\noutput = "difference.npz"\n'
    )
    planned = run("plan", "jobs/job.toml", "--json").json["tasks"][0]
    assert planned["read_bytes"] == sum(file.stat().st_size for file in (Path("whole.h5"), *Path("parts").iterdir()))
    assert run("run", "jobs/job.toml").code == 0
    expected = densities["whole"] + sign * (densities["slab"] + densities["molecule"])
    np.testing.assert_allclose(gh.read("jobs/difference.npz").to_host(), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ("--less", "finer.h5"),
            ["finer.h5: The fields are on different grids", "from (0, 0, 0) Å on", "6 × 5 × 4 points", "6 × 5 × 8"],
        ),
        (("--less", "gone.h5"), ["gone.h5", "no such file"]),
        (("--less", ","), ["--less", "give a name"]),
        (("--less", LESS, "--ion-charges", "Na=1"), ["--less leaves a difference", "--ion-charges"]),
        (("--less", LESS, "--max-memory", "4GB"), ["sum or difference of fields needs all values"]),
    ],
)
def test_refusals_are_one_sentence(run, words, expected):
    refused = run("convert", "whole.h5", *words, "-o", "difference.h5")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert all(word in refused.err for word in expected), refused.err
    assert not Path("difference.h5").exists()


def test_no_part_is_written_over(run):
    before = Path("parts/molecule.h5").read_bytes()
    refused = run("convert", "whole.h5", "--less", LESS, "-o", "parts/molecule.h5")
    assert refused.code == 2 and "is the input" in refused.err
    assert Path("parts/molecule.h5").read_bytes() == before
