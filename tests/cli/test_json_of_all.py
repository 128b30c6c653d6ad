"""One JSON object from every command, in which one thing has one key: value, unit, uncertainty, reason; provenance."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.jobs import COMMANDS

OWN = ("demo", "paper", "devices", "tune")
"""Commands without an input to find something in; their results have tests of their own."""
SLAB = str(files("gpuhomog") / "examples" / "NaCl_slab_charge_density.h5")
POTENTIAL = str(files("gpuhomog") / "examples" / "NaCl_slab_electron_potential_energy.h5")
RUNS = {
    "info": f"{SLAB}",
    "convert": f"{SLAB} -o copy.npz",
    "average": f"{SLAB} --kernel gaussian --eps 0.9 --spacing 1 -o smooth.npz --variance spread.npz",
    "profile": f"{POTENTIAL}",
    "trajectory": "run.xyz --charges Na=1,Cl=-1 --cell 4,4,12 --spacing 1",
    "macro": f"{POTENTIAL} --width 5.64 --at 14 --up-to 4",
    "scales": f"{SLAB} --axis c",
    "moments": f"{SLAB} --width 2.82",
    "homogenize": f"{POTENTIAL} --eps 4",
    "surface": f"{SLAB}",
    "interface": f"{SLAB} --between 8,20",
    "corners": "wire.npz --box 4,12,4,12",
    "surface-map": f"{SLAB}",
    "charges": "ions.csv --period 2",
    "step": f"{POTENTIAL}",
    "potential": f"{SLAB}",
    "energy": f"{SLAB} --other {SLAB}",
    "budget": f"{SLAB}",
    "decay": f"{SLAB} --x-b 14.05 --radii 20:220:5",
    "inner-potential": f"{POTENTIAL} --density {SLAB}",
    "cavity": "crystal.npz --centre 0,0,0 --radii 9,12",
    "current": "run.xyz --charges Na=1,Cl=-1 --cell 4,4,12 --time-step 1fs",
}
MEASUREMENT = {"value", "unit", "uncertainty", "reason"}


def write_inputs():
    """The files that come with no package."""
    rng = np.random.default_rng(4)
    frames = []
    for _ in range(8):
        z = np.arange(6) + 3 + 0.1 * rng.standard_normal(6)
        frames.append("6\nframe\n" + "".join(f"{'Cl' if i % 2 else 'Na'} 1 1 {x:.4f}\n" for i, x in enumerate(z)))
    Path("run.xyz").write_text("".join(frames))
    Path("ions.csv").write_text("".join(f"{5 + i},{(-1) ** i}\n" for i in range(20)))
    x = np.arange(16)
    crystal = np.cos(2 * np.pi * (x[:, None, None] + x[:, None] + x) / 16)
    gh.write(gh.Field.from_array(crystal, 4 * np.eye(3), quantity="charge_density"), "crystal.npz")
    z = np.linspace(0, 16, 64, endpoint=False)
    inside = 0.5 * (np.tanh((z - 4) / 0.5) - np.tanh((z - 12) / 0.5)) * np.cos(2 * np.pi * z / 2)
    wire = np.repeat((inside[:, None] * inside)[:, :, None], 2, axis=2)
    gh.write(gh.Field.from_array(wire, np.diag([16.0, 16.0, 1.0]), quantity="charge_density"), "wire.npz")


def check(found, where=""):
    """Numbers with a unit have the four keys, a value or the reason why there is none; curves have their own."""
    if isinstance(found, list):
        for part in found:
            check(part, f"{where}[]")
    if not isinstance(found, dict):
        return
    if "value" in found and not isinstance(found["value"], dict):
        assert set(found) == MEASUREMENT, where
        assert (found["value"] is None) == (found["reason"] is not None), where
        assert found["unit"] is None or isinstance(found["unit"], str), where
    elif "uncertainty" in found:
        assert isinstance(found["uncertainty"], list | None), where
    for key, part in found.items():
        assert key == key.strip() and "-" not in key, f"{where}.{key}"
        if key == "provenance":
            assert isinstance(part, list) and all("step" in step for step in part), where
        else:
            check(part, f"{where}.{key}")


def test_all_commands_are_here():
    assert set(RUNS) | set(OWN) == set(COMMANDS)


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.filterwarnings("ignore")
def test_json(run, name):
    write_inputs()
    ran = run(name, *RUNS[name].split(), "--json")
    assert ran.code == 0, ran.err
    report = ran.json
    assert list(report) == ["command", "input", "options", "result", "outputs", "warnings", "version"]
    assert report["command"] == name and report["version"] == gh.__version__
    assert set(report["options"]) <= {option.name for option in COMMANDS[name].options}
    assert report["result"]["provenance"], "where the numbers come from"
    check(report["result"])
    assert all(Path(output).exists() for output in report["outputs"])


@pytest.mark.parametrize("name", ["devices", "tune"])
def test_json_of_installations(run, monkeypatch, tmp_path, name):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_inputs()
    report = run(name, *(["crystal.npz"] if COMMANDS[name].reads else []), "--json").json
    assert report["command"] == name and report["result"] and report["version"] == gh.__version__
