"""The command current: trajectories of charges and series of densities, job files, figures, refusals."""

import re
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh

STEP = 0.02
X = np.arange(256) * 0.25


@pytest.fixture
def xyz(tmp_path):
    """Ions of which one kind moves, across the end of a cell of 10 Å; J = -0.6 cos t/(10 · 16) per area 16."""
    lines = []
    for t in STEP * np.arange(7):
        z = [0.5, (9.9 + 0.6 * np.sin(5 * t)) % 10]
        lines += ["2", "frame", *(f"{name} 1 1 {place:.10f}" for name, place in zip(("Na", "Cl"), z, strict=True))]
    (tmp_path / "run.xyz").write_text("\n".join(lines) + "\n")
    return "run.xyz"


OPTIONS = ("--charges", "Na=1,Cl=-1", "--cell", "4,4,10")
CURRENT = -3.0 * np.cos(5 * STEP * 3) / 160


def packets(places, std):
    return np.exp(-0.5 * ((X[:, None] - places) / std) ** 2).sum(axis=1) / (std * np.sqrt(2 * np.pi))


@pytest.fixture
def densities(tmp_path):
    """Ten layers of ions of 1 e/Å^2, and electrons that slide; nine to eleven in the order of their numbers."""
    ions = 12.0 + 4.0 * np.arange(10)
    for n in range(7, 12):
        line = packets(ions, 0.5) - packets(ions + 0.3 * np.sin(n - 9), 0.8)
        field = gh.Field.from_array(
            np.broadcast_to(line, (2, 2, 256)).copy(), np.diag([2.0, 2.0, 64.0]), quantity="charge_density"
        )
        gh.write(field, tmp_path / f"rho_{n}.h5")
    return [f"rho_{n}.h5" for n in range(7, 12)]


def test_trajectory(run, xyz):
    found = run(
        "current", xyz, *OPTIONS, "--time-step", f"{STEP}ps", "-o", "out.csv", "--plot", "out.png", "--json"
    ).json
    result = found["result"]
    assert found["input"] == ["run.xyz"] and found["outputs"] == ["out.csv", "out.png"]
    assert result["unit"] == "e/Å^2/ps" and result["time_unit"] == "ps"
    assert result["J"][3] == pytest.approx(CURRENT, abs=1e-6)
    assert abs(result["J"][3] - CURRENT) < result["uncertainty"][3]
    assert Path("out.png").read_bytes()[1:4] == b"PNG"
    rows = [line.split(",") for line in Path("out.csv").read_text().splitlines() if not line.startswith("#")]
    assert rows[0][:3] == ["time", "J", "uncertainty"] and float(rows[4][1]) == result["J"][3] and rows[1][1] == "nan"
    told = run("current", xyz, *OPTIONS, "--time-step", "20 fs").out
    assert "Current of packets" in told and "e/Å^2/fs" in told and "±" in told
    along = run("current", xyz, *OPTIONS, "--time-step", "1", "--axis", "a", "--json").json["result"]
    assert along["J"][3] == pytest.approx(0, abs=1e-15)


def test_every_other_frame_has_twice_the_step(run, xyz):
    result = run("current", xyz, *OPTIONS, "--time-step", f"{STEP}ps", "--start", "1", "--every", "2", "--json").json
    assert result["result"]["time"] == pytest.approx([0, 2 * STEP, 4 * STEP])
    assert result["result"]["J"][1] == pytest.approx(CURRENT, rel=0.01)
    result = run("current", xyz, *OPTIONS, "--time-step", f"{STEP}ps", "--stop", "4", "--json").json["result"]
    assert result["time"] == pytest.approx([0, STEP, 2 * STEP, 3 * STEP])


def test_frames_of_ase_with_their_charges(run, tmp_path):
    from ase import Atoms
    from ase.io import write

    frames = []
    for n in range(5):
        atoms = Atoms("NaCl", positions=[[0, 0, 1], [0, 0, (4 + 0.1 * n) % 6]], cell=[2, 2, 6], pbc=True)
        atoms.set_initial_charges([0.9, -0.9])
        frames.append(atoms)
    for name in ("run.traj", "run.extxyz"):
        write(tmp_path / name, frames)
        result = run("current", name, "--time-step", "1fs", "--json").json["result"]
        assert result["J"][2] == pytest.approx(-0.9 * 0.1 / 24, abs=1e-9)


def test_structures_and_tables_one_a_frame(run, tmp_path):
    for n in range(5):
        z = 0.9 + 0.02 * n
        heading = "Na Cl\n1.0\n2 0 0\n0 2 0\n0 0 6\nNa Cl\n1 1\nDirect\n"
        (tmp_path / f"POSCAR_{n}").write_text(f"{heading}0 0 0.1\n0 0 {z % 1.0}\n")
        (tmp_path / f"ions_{n}.csv").write_text(f"x,y,z,charge\n0,0,0.6,1\n0,0,{z % 1.0 * 6},-1\n")
    expected = pytest.approx(-0.12 / 24, abs=1e-9)
    structures = [f"POSCAR_{n}" for n in range(5)]
    found = run("current", *structures, "--charges", "Na=1,Cl=-1", "--time-step", "1", "--json").json["result"]
    assert found["J"][2] == expected
    tables = [f"ions_{n}.csv" for n in range(5)]
    found = run("current", *tables, "--cell", "2,2,6", "--time-step", "1", "--json").json["result"]
    assert found["J"][2] == expected
    ran = run("current", *tables, "--time-step", "1")
    assert ran.code == 2 and "states no cell" in ran.sentence and "--cell" in ran.sentence
    (tmp_path / "line.csv").write_text("0,1\n0.3,-1\n")
    ran = run("current", "line.csv", "line.csv", "line.csv", "--time-step", "1")
    assert ran.code == 2 and "x, y, z, charge" in ran.sentence


def test_body_of_charges(run, tmp_path):
    lines = []
    for n in range(5):
        places = np.concatenate([4 + 4 * np.arange(8), 5.0 + 0.2 * n + 4 * np.arange(8)])
        lines += ["16", "frame", *(f"{'Na' if i < 8 else 'Cl'} 0 0 {z:.8f}" for i, z in enumerate(places))]
    (tmp_path / "run.xyz").write_text("\n".join(lines) + "\n")
    options = ("--charges", "Na=1,Cl=-1", "--cell", "2,2,60", "--time-step", "1", "--period", "4", "--x-b", "14.5")
    result = run("current", "run.xyz", *options, "--json").json["result"]
    assert result["J"][2] == pytest.approx(-0.2 / 16) and result["sigma_L"][0] == pytest.approx(0.25 / 4)


def test_series_of_densities(run, densities):
    written = ("-o", "out.json", "--plot", "out.pdf", "--json")
    found = run("current", *densities, "--time-step", "1fs", "--period", "4", *written)
    result = found.json["result"]
    assert found.json["input"] == densities and found.err == ""
    assert result["J"][2] == pytest.approx(-0.3 / 4, rel=1 / 30)  # the fourth order's error at a step of 1
    assert abs(result["J"][2] + 0.3 / 4) < result["uncertainty"][2]
    assert Path("out.pdf").read_bytes()[:4] == b"%PDF" and Path("out.json").exists()
    told = run("current", *densities, "--time-step", "1fs").out
    assert "Current of a series of densities" in told and "rate of the dipole" in told


def test_a_series_in_a_job_and_with_little_memory(run, densities, tmp_path):
    (tmp_path / "job.toml").write_text(
        '[[task]]\ncommand = "current"\nfile = "rho_*.h5"\ntime-step = "1fs"\nperiod = 4\n'
        '[[task]]\ncommand = "current"\nfile = ["rho_7.h5", "rho_8.h5", "rho_9.h5"]\ntime-step = 1\nperiod = 4\n'
    )
    whole, part = (task["result"] for task in run("run", "job.toml", "--json").json["tasks"])
    direct = run("current", *densities, "--time-step", "1fs", "--period", "4", "--json").json["result"]
    assert whole["J"] == direct["J"] and part["J"][1] == direct["J_second"][1]
    some = run("current", *densities, "--time-step", "1fs", "--period", "4", "--max-memory", "2GB", "--json").json
    assert some["result"]["J"][1:-1] == pytest.approx(direct["J"][1:-1], abs=1e-12)
    planned = run("plan", "job.toml", "--gpus", "1", "--json").json["tasks"]
    assert len(planned) == 2 and planned[0]["read_bytes"] == pytest.approx(5 / 3 * planned[1]["read_bytes"])


def test_electrons_whose_ions_are_added(run, tmp_path):
    """Electron densities as VASP writes them: the ions come from the file's structure."""
    ions = 12.0 + 4.0 * np.arange(10)
    structure = gh.Structure(np.ones(10, dtype=int), np.stack([0 * ions, 0 * ions, ions], axis=1))
    for n in range(3):
        line = packets(ions + 0.1 * n, 0.8) / 4
        values = np.broadcast_to(line, (8, 8, 256)).copy()
        field = gh.Field.from_array(values, np.diag([2.0, 2.0, 64.0]), quantity="electron_density", structure=structure)
        gh.write(field, tmp_path / f"CHGCAR_{n}")
    options = ("--time-step", "1fs", "--period", "4", "--json")
    ran = run("current", "CHGCAR_0", "CHGCAR_1", "CHGCAR_2", *options, "--ion-charges", "H=1", "--ion-width", "0.5")
    assert ran.json["result"]["J"][1] == pytest.approx(-0.1 / 16, abs=1e-9)
    ran = run("current", "CHGCAR_0", "CHGCAR_1", "CHGCAR_2", *options)
    assert ran.code == 2 and "--ion-charges" in ran.err


def test_files_out_of_order_are_told(run, densities):
    ran = run("current", *sorted(densities), "--time-step", "1fs", "--period", "4", "--json")
    assert ran.code == 0 and "not in the order of the numbers" in ran.json["warnings"][0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("run.xyz", "--charges", "Na=1,Cl=-1", "--cell", "4,4,10"), ["--time-step"]),
        (("run.xyz", *OPTIONS, "--time-step", "soon"), ["--time-step", "0.5fs"]),
        (("run.xyz", *OPTIONS, "--time-step", "-1fs"), ["--time-step", "positive"]),
        (("run.xyz", "--cell", "4,4,10", "--time-step", "1"), ["states no charges", "--charges"]),
        (("run.xyz", "--charges", "Na=1", "--cell", "4,4,10", "--time-step", "1"), ["no charge for Cl"]),
        (("run.xyz", "--charges", "Na=1,Cl=-1", "--time-step", "1"), ["states no cell", "--cell"]),
        (("run.xyz", *OPTIONS, "--time-step", "1", "--start", "5"), ["2 frames"]),
        (("run.xyz", *OPTIONS, "--time-step", "1", "--eps", "3"), ["--eps", "series of densities"]),
        (("run.xyz", *OPTIONS, "--time-step", "1", "--axis", "1,1,0"), ["1,1,0", "series of densities", "a, b or c"]),
        (("gone.xyz", *OPTIONS, "--time-step", "1"), ["gone.xyz", "no such file"]),
        (("rho_7.h5", "rho_8.h5", "--time-step", "1", "--period", "4"), ["2 frames"]),
        (("rho_7.h5", "gone.h5", "--time-step", "1"), ["gone.h5", "no such file"]),
        (("rho_7.h5", "rho_8.h5", "--cell", "2,2,64", "--time-step", "1"), ["--cell", "belongs to charges that move"]),
        (("rho_7.h5", "rho_8.h5", "--atom-style", "x", "--time-step", "1"), ["--atom-style", "in one file"]),
        (("rho_7.h5", "--time-step", "1"), ["rho_7.h5 holds one density", "needs three files or more"]),
        (("rho_7.h5", "--quantity", "charge_density", "--time-step", "1"), ["--quantity", "of three files or more"]),
        (("run.xyz", *OPTIONS, "--time-step", "1", "--unit", "e/Å^3"), ["--unit", "of three files or more"]),
        (("run.xyz", *OPTIONS, "--time-step", "1 _"), ["--time-step", "with its unit"]),
        (("run.xyz", "run.xyz", *OPTIONS, "--topology", "rho_7.h5", "--time-step", "1"), ["--topology", "in one file"]),
    ],
)
def test_refusals_are_one_sentence(run, xyz, densities, words, expected):
    ran = run("current", *words)
    assert ran.code == 2 and ran.out == ""
    for word in expected:
        assert word in ran.sentence, ran.sentence


def test_a_current_of_nothing_has_no_sign(run, densities):
    told = run("current", *[densities[2]] * 3, "--time-step", "1fs").out
    assert "-0 e" not in told and " 0 e/Å^2/fs" in told
    still = run("current", *[densities[2]] * 3, "--time-step", "1fs", "--json")
    assert still.json["result"]["J"][1] == still.json["result"]["sigma_L_rate"][1] == 0
    assert not re.search(r"-0\.0\b(?!e)", still.out)


def test_charges_that_rest_have_no_sign_in_json(run, tmp_path):
    frame = "2\nframe\nNa 0 0 1\nCl 0 0 3\n"
    (tmp_path / "rest.xyz").write_text(3 * frame)
    still = run("current", "rest.xyz", "--charges", "Na=1,Cl=-1", "--cell", "2,2,6", "--time-step", "1", "--json")
    assert still.json["result"]["convection"][1] == still.json["result"]["sigma_L_rate"][1] == 0
    assert not re.search(r"-0\.0\b(?!e)", still.out)


DENSITY_COLUMNS = (
    "time,J,uncertainty,J_second,J_fourth,spread,sigma_L_rate,sigma_L,sigma_R,sigma_L_period,sigma_L_kernel,dipole,"
    "J_dipole,transferred"
)
PACKET_COLUMNS = (
    "time,J,uncertainty,spread,J_second,J_fourth,sigma_L_rate,convection,exchange,conduction,transferred,sigma_L"
)


def test_columns_of_tables_keep_their_order(run, xyz, densities):
    for words, columns in (((*densities, "--period", "4"), DENSITY_COLUMNS), ((xyz, *OPTIONS), PACKET_COLUMNS)):
        assert run("current", *words, "--time-step", "1", "-o", "out.csv").code == 0
        rows = [row for row in Path("out.csv").read_text().splitlines() if not row.startswith("#")]
        assert rows[0] == columns and len(rows[1].split(",")) == len(columns.split(","))
        Path("out.csv").unlink()


def test_other_commands_read_one_file(run, densities, tmp_path):
    (tmp_path / "job.toml").write_text('[[task]]\ncommand = "info"\nfile = ["rho_7.h5", "rho_8.h5"]\n')
    ran = run("run", "job.toml")
    assert ran.code == 2 and "2 input files: info reads one" in ran.sentence
