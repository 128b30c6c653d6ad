"""The commands inner-potential and cavity: the numbers of the operators under the names of the theory, and refusals."""

from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.jobs.parsing import Unusable, place, positive, radii

BLOCKS = """
[[block]]
name = "atom"
charge = [{ e = 1.0, gaussian = 0.4 }, { e = -1.0, gaussian = 0.8 }]
"""
NAMES = [
    "phi_mean_vs_vacuum_L",
    "phi_mean_vs_vacuum_R",
    "phi_paper_eq80",
    "D_L_over_eps0",
    "D_R_over_eps0",
    "bethe_spherical",
    "bethe_block_normal",
    "resolvability",
]


def gaussians(x, places, std):
    return np.exp(-0.5 * ((x[:, None] - places) / std) ** 2).sum(axis=1) / (std * np.sqrt(2 * np.pi))


@pytest.fixture
def atoms(tmp_path):
    """Six layers of whole atoms in a cell of 4 × 4 Å^2: charge, and the potential that it has."""
    x = np.arange(240) * 0.2
    places = 14.0 + 4.0 * np.arange(6)
    line = (gaussians(x, places, 0.4) - gaussians(x, places, 0.8)) / 16
    cell = np.diag([4.0, 4.0, 48.0])
    values = np.broadcast_to(line, (2, 2, 240)).copy()
    structure = gh.Structure(np.ones(6, dtype=int), np.stack([np.zeros(6), np.zeros(6), places], axis=1))
    charge = gh.Field.from_array(values, cell, quantity="charge_density", boundary="p,p,o", structure=structure)
    gh.write(charge, tmp_path / "charge.h5")
    step = gh.potential_step(charge, "c")
    energy = np.broadcast_to(-step.line.values, (2, 2, 240)).copy()
    potential = gh.Field.from_array(energy, cell, quantity="electron_potential_energy", boundary="p,p,o")
    gh.write(potential, tmp_path / "energy.h5")
    (tmp_path / "blocks.toml").write_text(BLOCKS, encoding="utf-8")
    return "charge.h5"


@pytest.fixture
def crystal(tmp_path):
    """Ions of +1 and -1 in a cube of 4 Å, the anion off its site along a."""
    x = np.arange(24) / 24 * 4.0
    images = 4.0 * np.arange(-3, 4)

    def ion(place, std):
        lines = [gaussians(x, c + images, std) for c in place]
        return np.einsum("i,j,k", *lines)

    values = ion((0.0, 0.0, 0.0), 0.5) - ion((2.5, 2.0, 2.0), 0.6)
    gh.write(gh.Field.from_array(values, 4.0 * np.eye(3), quantity="charge_density"), tmp_path / "crystal.h5")
    return "crystal.h5"


def test_inner_potential_under_the_names_of_the_theory(run, atoms):
    found = run("inner-potential", atoms, "--axis", "c", "--period", "4", "--blocks", "blocks.toml", "--json").json
    result = found["result"]
    assert found["command"] == "inner-potential" and list(result)[: len(NAMES)] == NAMES
    expected = gh.bethe_potential(gh.read_blocks("blocks.toml")[0], 64.0).spherical.value
    for name in (*NAMES[:2], "D_L_over_eps0", "D_R_over_eps0"):
        assert result[name]["value"] == pytest.approx(expected, abs=1e-4) and result[name]["unit"] == "V"
    assert result["phi_paper_eq80"]["value"] == 0.0
    assert result["bethe_spherical"]["atom"]["value"] == pytest.approx(expected)
    assert result["bethe_block_normal"]["atom"]["value"] == pytest.approx(expected)


def test_inner_potential_of_a_potential_with_its_density(run, atoms):
    alone = run("inner-potential", "energy.h5", "--period", "4", "--json").json["result"]
    both = run("inner-potential", "energy.h5", "--period", "4", "--density", atoms, "--length", "16", "--json").json[
        "result"
    ]
    assert alone["resolvability"]["value"] is None and "ε_ρ" in alone["resolvability"]["reason"]
    assert both["resolvability"]["value"] == pytest.approx(0.0235, abs=0.001) and both["length"] == 16.0
    assert both["phi_mean_vs_vacuum_L"] == alone["phi_mean_vs_vacuum_L"]
    assert abs(both["residual_L"]["value"]) < 1e-4
    fixed = run("inner-potential", atoms, "--period", "4", "--eps-rho", "1e-5", "--json").json["result"]
    assert fixed["eps_rho"] == 1e-5


def test_inner_potential_for_people_with_files_and_a_figure(run, atoms):
    ran = run("inner-potential", atoms, "--blocks", "blocks.toml", "-o", "mip.json", "--plot", "mip.png")
    assert ran.code == 0 and Path("mip.png").read_bytes()[1:4] == b"PNG"
    for words in ("mean - vacuum below", "eq. 80", "D_L/ε0", "Bethe, atom", "grid error", "wrote mip.json"):
        assert words in ran.out
    again = gh.read_result("mip.json")
    assert again["bethe_spherical"]["atom"]["unit"] == "V"
    for suffix in (".csv", ".h5"):
        assert run("inner-potential", atoms, "-o", f"mip{suffix}", "-q").code == 0
    assert "\nphi_mean_vs_vacuum_L,0." in Path("mip.csv").read_text(encoding="utf-8")


def test_inner_potential_streamed_and_in_a_job(run, atoms):
    whole = run("inner-potential", atoms, "--period", "4", "--json").json["result"]
    streamed = run("inner-potential", atoms, "--period", "4", "--max-memory", "2GB", "--json").json["result"]
    assert streamed["D_L_over_eps0"]["value"] == pytest.approx(whole["D_L_over_eps0"]["value"], abs=1e-12)
    Path("job.toml").write_text(
        f'[input]\nfile = "{atoms}"\n[[task]]\ncommand = "inner-potential"\nperiod = 4\nblocks = "blocks.toml"\n'
        'output = "mip.json"\n',
        encoding="utf-8",
    )
    assert run("run", "job.toml", "-q").code == 0
    assert gh.read_result("mip.json")["phi_mean_vs_vacuum_L"]["value"] == whole["phi_mean_vs_vacuum_L"]["value"]


def test_cavity(run, crystal):
    found = run("cavity", crystal, "--centre", "0,0,0", "--radii", "9.7", "--json").json["result"]
    assert found["q"][0] == pytest.approx(6.519760435887, abs=1e-8)
    assert found["invariant"] == pytest.approx(found["E_periodic"], abs=1e-12)
    assert "tin-foil" in found["boundary"]
    ran = run("cavity", crystal, "--centre", "0,0,0", "--radii", "20:30:0.5", "--plot", "c.pdf", "-o", "c.h5")
    assert ran.code == 0 and Path("c.pdf").read_bytes().startswith(b"%PDF")
    assert "Å, 1 radius\n" in run("cavity", "crystal.h5", "--centre", "0,0,0", "--radii", "5").out
    for words in ("cut sharply", "whole cells", "P/3ε0", "21 radii", "wrote c.h5"):
        assert words in ran.out
    assert len(gh.read_result("c.h5")["radii"]) == 21
    assert run("cavity", crystal, "--centre", "0,0,0", "--radii", "1,20", "-o", "c.csv", "-q").code == 0
    names, *rows = [line.split(",") for line in Path("c.csv").read_text().splitlines() if not line.startswith("#")]
    table = dict(zip(names, np.array(rows, dtype=float).T, strict=True))
    assert table["radii"].tolist() == [1.0, 20.0] and np.isnan(table["q_tophat"]).tolist() == [True, False]
    again = run("cavity", crystal, "--centre", "0,0,0", "--radii", "1,20", "--json").json["result"]
    assert table["E_near_x"].tolist() == [field[0] for field in again["E_near"]]
    words = ("cavity", crystal, "--centre", "0,0,0", "--radii", "1,20", "--max-memory", "2GB")
    streamed = run(*words, "--json").json["result"]
    assert streamed["q"] == pytest.approx(again["q"], abs=1e-10)
    narrow = run("cavity", crystal, "--centre", "0,0,0", "--radii", "20", "--width", "2", "--json").json["result"]
    assert narrow["width"] == 2.0


REFUSED = {
    "no centre": (("cavity", "crystal.h5", "--radii", "5"), ["--centre"]),
    "two numbers": (("cavity", "crystal.h5", "--centre", "1,2", "--radii", "5"), ["--centre", "three coordinates"]),
    "no radii": (("cavity", "crystal.h5", "--centre", "0,0,0"), ["--radii"]),
    "a radius of 0": (("cavity", "crystal.h5", "--centre", "0,0,0", "--radii", "0"), ["--radii", "30:60:0.5"]),
    "a range without step": (("cavity", "crystal.h5", "--centre", "0,0,0", "--radii", "3:4"), ["FROM:TO:STEP"]),
    "no blocks": (("inner-potential", "charge.h5", "--blocks", "gone.toml"), ["gone.toml"]),
    "eps-rho": (("inner-potential", "charge.h5", "--eps-rho", "-1"), ["--eps-rho", "positive"]),
    "a charge beside a charge": (("inner-potential", "charge.h5", "--density", "charge.h5"), ["density"]),
    "an energy as the charge": (("inner-potential", "energy.h5", "--density", "energy.h5"), ["energy.h5"]),
    "a crystal": (("inner-potential", "crystal.h5"), ["No vacuum"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(run, atoms, crystal, name):
    arguments, words = REFUSED[name]
    ran = run(*arguments)
    assert ran.code == 2
    for word in words:
        assert word in ran.sentence


def test_values_that_options_take():
    assert radii("30:31:0.5") == (30.0, 30.5, 31.0) and radii([5, 2.5]) == (5.0, 2.5) and radii(3) == (3.0,)
    assert place("0,-1.5,2") == (0.0, -1.5, 2.0) and positive("1e-5") == 1e-5
    for parse, raw in ((radii, "5:4:1"), (radii, "1:1e9:1e-3"), (radii, "a"), (place, "x"), (positive, 0)):
        with pytest.raises(Unusable):
            parse(raw)
