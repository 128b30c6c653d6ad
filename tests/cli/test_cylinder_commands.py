"""Commands on cylinders of charge: the numbers of the operators, their files and figures, refusals."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.jobs.commands.cylinder import positions, two_fractions
from gpuhomog.jobs.parsing import Unusable


@pytest.fixture
def atoms(tmp_path):
    """Ten layers of neutral atoms, 4 Å apart in a cell of 4 x 4 Å^2, waves in their planes."""
    z = np.arange(280) * 0.2
    line = np.zeros(280)
    for m in range(10):
        for q, sd in ((1.0, 0.4), (-1.0, 0.8)):
            line += q * np.exp(-((z - 10 - 4 * m) ** 2) / (2 * sd * sd)) / (16 * sd * np.sqrt(2 * np.pi))
    wave = 1 + 0.5 * np.cos(2 * np.pi * np.arange(6) / 6)
    values = wave[:, None, None] * np.ones((1, 6, 1)) * line
    path = tmp_path / "atoms.h5"
    gh.write(gh.Field.from_array(values, np.diag([4.0, 4.0, 56.0]), quantity="charge_density"), path)
    return path


def test_planes_and_a_point(run, atoms, tmp_path):
    field = gh.read(atoms)
    found = run("potential", atoms, "--axis", "c", "--radius", 9, "--at", "28.0,30.0", "--json").json["result"]
    expected = gh.cylinder_potential(field, "c", 9.0, at=[28.0, 30.0])
    np.testing.assert_allclose(found["low"], expected.low, rtol=1e-12, atol=1e-12)
    ran = run(
        "potential", atoms, "--radius", 9, "--point", "1.0,0.5,28.0", "--side", "high", "--edge", 2,
        "--x-low", 0, "--x-high", 55.8, "--end-weights", 6, "--json",
    )  # fmt: skip
    expected = gh.cylinder_potential(
        field, "c", 9.0, at=[[1.0, 0.5, 28.0]], side="high", edge=2.0, end_weights=6, x_low=0.0, x_high=55.8
    )
    assert ran.json["result"]["high"][0] == pytest.approx(expected.high[0], rel=1e-12)
    assert ran.json["result"]["low"] is None
    shown = run("potential", atoms, "--radius", 9, "--at", 28.0, "--plot", "planes.png")
    assert "Φ_L of Δρ" in shown.out and (tmp_path / "planes.png").stat().st_size > 1000


def test_all_points(run, atoms, tmp_path):
    report = run("potential", atoms, "--radius", 9, "-o", "phi.h5", "--plot", "phi.png", "--json").json
    assert report["outputs"] == ["phi.h5", "phi.png"]
    expected = gh.cylinder_potential_field(gh.read(atoms), "c", 9.0).potential
    written = gh.read(tmp_path / "phi.h5")
    assert written.quantity == "electrostatic_potential"
    np.testing.assert_allclose(written.values, expected.values, rtol=0, atol=1e-12)
    assert report["result"]["cylinder"]["potential"]["mean"] == pytest.approx(expected.mean())
    assert "Part of the disc average" in run("potential", atoms, "--radius", 9).out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "28"], "--at is about a cylinder of charge"),
        (["--edge", "1"], "--edge is about a cylinder"),
        (["--radius", "9", "--dipole-correction"], "does not go with --radius"),
        (["--radius", "9", "--at", "28", "--point", "0,0,28"], "positions of planes, or one point"),
        (["--radius", "9", "--at", "28", "-o", "phi.h5"], "potential at all points"),
        (["--radius", "9", "--point", "0,0,28", "--plot", "p.png"], "One point has no figure"),
        (["--radius", "9", "--to-quantity", "electric_field"], "leave --to-quantity electric_field"),
        (["--radius", "9", "--at", "28.07"], "is not on a plane"),
        (["--radius", "0"], "positive number in Å"),
    ],
)
def test_what_does_not_go_together(run, atoms, tmp_path, options, message):
    ran = run("potential", atoms, *options)
    assert ran.code == 2 and message in ran.sentence
    assert not list(tmp_path.glob("p*.*"))


def test_budget(run, atoms, tmp_path):
    options = ["--period", "4", "--x-b", "28.4", "--eps-rho", "1e-4"]
    ran = run("budget", atoms, *options, "-o", "budget.json", "--plot", "budget.png", "--json")
    found = ran.json["result"]
    expected = gh.potential_budget(gh.read(atoms), "c", period=4.0, x_b=28.4, eps_rho=1e-4)
    for name in ("D_L_over_2eps0", "M2_over_4eps0", "sum", "exact_direct", "mean", "printed", "resolved"):
        assert found[name]["value"] == pytest.approx(getattr(expected, name).value, abs=1e-9)
    assert len(found["radii"]) == 41 and (tmp_path / "budget.png").stat().st_size > 1000
    assert gh.read_result(tmp_path / "budget.json")["D_R"]["value"] == pytest.approx(expected.D_R.value, abs=1e-9)
    sample = run("budget", atoms, *options, "--case", "sample", "--radius", 400, "--length", 4, "--origin", 0, "--json")
    assert sample.json["result"]["case"] == "sample" and sample.json["result"]["origin"] == 0.0
    assert run("budget", atoms, "--period", 4, "--radii", "5,50,500", "--json").json["result"]["radii"] == [5, 50, 500]
    text = run("budget", atoms, "--period", 4).out
    assert "Mesoscale mean" in text and "eq. 80" in text


def test_decay(run, atoms, tmp_path):
    ran = run("decay", atoms, "--x-b", 28, "--side", "both", "--plot", "decay.png", "--json")
    expected = gh.deviation_decay(gh.read(atoms), "c", x_b=28.0, side="both")
    assert ran.json["result"]["exponent"]["value"] == pytest.approx(expected.exponent.value, abs=1e-6)
    assert (tmp_path / "decay.png").stat().st_size > 1000
    point = run(
        "decay", atoms, "--x-b", 28, "--average", "point", "--in-plane", "0.1,0.5", "--radii", "20:220:2", "--json"
    )
    assert point.json["result"]["in_plane"] == [0.1, 0.5] and point.json["result"]["expected"] == -0.5
    run("decay", atoms, "--x-b", 28, "--side", "both", "-o", "decay.csv")
    rows = [line for line in (tmp_path / "decay.csv").read_text().splitlines() if not line.startswith("#")]
    written = np.genfromtxt(rows, delimiter=",", names=True)
    assert written["radii"] == pytest.approx(expected.radii)
    assert written["values"] == pytest.approx(expected.values, abs=1e-12)
    fixed = run(
        "decay", atoms, "--x-b", 28, "--average", "fixed-disc", "--fraction", 0.25, "--radii", "40:400:40", "--json"
    )
    assert fixed.json["result"]["fraction"] == 0.25 and fixed.json["result"]["expected"] == -0.5
    assert "or give --average fixed-disc" in run("decay", atoms, "--x-b", 28, "--fraction", 0.25).sentence
    assert "Of 2 radii no exponent can be told" in run("decay", atoms, "--x-b", 28, "--radii", "20,200").sentence


def test_places():
    assert positions([3, "4"]) == (3.0, 4.0) and two_fractions("0,0.5") == (0.0, 0.5)
    for parse, raw in ((positions, "x"), (positions, ""), (two_fractions, "1"), (two_fractions, "a,b")):
        with pytest.raises(Unusable):
            parse(raw)


def test_plans(run, atoms, tmp_path):
    """All points take transforms and hold what they give; planes and budgets are one read."""
    (tmp_path / "job.toml").write_text(
        f'[input]\nfile = "{atoms}"\n[[task]]\ncommand = "potential"\nradius = 9\noutput = "phi.h5"\n'
        '[[task]]\ncommand = "potential"\nradius = 9\nat = [28.0]\n[[task]]\ncommand = "budget"\nperiod = 4\n'
        '[[task]]\ncommand = "decay"\nx-b = 28\n[plan]\nshape = "128"\ncell = [40, 40, 80]\n'
    )
    everywhere, planes, budget, decay = run("plan", "job.toml", "--json").json["tasks"]
    n_bytes = 128**3 * 8
    assert everywhere["written_bytes"] == pytest.approx(n_bytes, rel=0.02)
    assert everywhere["moved_bytes"] > 3 * planes["moved_bytes"] >= 3 * n_bytes
    assert budget["moved_bytes"] >= n_bytes and decay["moved_bytes"] == planes["moved_bytes"]
    ran = run("run", "job.toml", "--json").json
    assert [task["command"] for task in ran["tasks"]] == ["potential", "potential", "budget", "decay"]
