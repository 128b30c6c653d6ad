"""Bad input from the command line: one sentence that says where, what and what to do; exit code 2; nothing written."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh

DATA = Path(__file__).parent.parent / "data"
SILICON = DATA / "Si_CHGCAR.gz"
CUBE = """two
comments
1 0.0 0.0 0.0
2 1.0 0.0 0.0
2 0.0 1.0 0.0
3 0.0 0.0 1.0
3 1.0 0.5 0.5 0.5
{values}
"""
GOOD = "1.0 2.0 3.0\n4.0 5.0 6.0\n7.0 8.0 9.0\n10.0 11.0 12.0"


def cube(name, **changes):
    """A tiny cube file with something replaced."""
    text = CUBE.format(values=changes.pop("values", GOOD))
    for old, new in changes.pop("replaced", {}).items():
        assert old in text
        text = text.replace(old, new)
    Path(name).write_text(text)
    return name


def field_file(name, values, cell, **more):
    gh.write(gh.Field.from_array(values, cell, **more), name)
    return name


def truncated_chgcar():
    text = gzip.decompress(SILICON.read_bytes())
    Path("CHGCAR").write_bytes(text[: len(text) // 2])
    return "CHGCAR"


def impossible_counts():
    text = gzip.decompress(SILICON.read_bytes()).decode()
    assert "56   56   56" in text
    Path("CHGCAR").write_text(text.replace("56   56   56", "56000 56000 56000", 1))
    return "CHGCAR"


def newer_schema():
    import h5py

    field_file("future.h5", np.ones((2, 2, 2)), np.eye(3))
    with h5py.File("future.h5", "a") as file:
        file.attrs["version"] = 99
    return "future.h5"


def charged_slab():
    values = np.zeros((1, 1, 64))
    values[0, 0, 20:40] = 0.01
    return field_file("charged.h5", values, np.diag([3.0, 3.0, 32.0]), quantity="charge_density")


def electrons_of_one_lithium():
    atoms = gh.Structure(np.array([3]), np.array([[2.0, 2.0, 2.0]]))
    values = np.full((16, 16, 16), 1 / 64)
    return field_file("li.h5", values, 4 * np.eye(3), quantity="electron_density", structure=atoms)


def charge_at_the_end():
    values = np.zeros((1, 1, 64))
    values[0, 0, :20], values[0, 0, 20:40] = 1.0, -1.0
    more = {"quantity": "charge_density", "boundary": "p,p,o"}
    return field_file("cut.h5", values, np.diag([3.0, 3.0, 32.0]), **more)


def wave_file():
    return field_file("wave.h5", np.ones((8, 8, 8)), 8 * np.eye(3))


def open_file():
    return field_file("open.h5", np.ones((8, 8, 8)), 8 * np.eye(3), boundary="open")


def random_bytes():
    Path("noise.cube").write_bytes(bytes(range(256)) * 20)
    return "noise.cube"


def chgcar(replaced):
    """A CHGCAR of silicon whose first value is replaced by another text of its width."""
    text = gzip.decompress(SILICON.read_bytes()).decode()
    header, values = text.split("56   56   56\n")
    first = values.split()[0]
    Path("CHGCAR").write_text(f"{header}56   56   56\n{values.replace(first, replaced.rjust(len(first)), 1)}")
    return "CHGCAR"


def archive(name="a.npz", **changes):
    facts = {"values": np.ones((4, 4, 4)), "cell": 4 * np.eye(3), "quantity": "scalar"}
    np.savez(name, **{**facts, **changes})
    return name


def altered(change):
    """A file of this program, changed afterwards."""
    import h5py

    field_file("own.h5", np.ones((2, 2, 2)), np.eye(3))
    with h5py.File("own.h5", "a") as file:
        change(file)
    return "own.h5"


def profile_table():
    gh.write(gh.Profile(np.arange(8.0), np.ones(8), "V", "electrostatic_potential", 8.0), "profile.csv")
    return "profile.csv"


def profile_hdf5():
    gh.write(gh.Profile(np.arange(8.0), np.ones(8), "V", "electrostatic_potential", 8.0), "profile.h5")
    return "profile.h5"


def foreign_hdf5():
    import h5py

    with h5py.File("foreign.h5", "w") as file:
        file["density"] = np.ones((2, 2, 2))
    return "foreign.h5"


def a_component():
    return field_file("slope_x.h5", np.ones((8, 8, 8)), 8 * np.eye(3))


AVERAGE = ("--kernel", "gaussian", "--eps", "4", "-o", "out.h5")
BAD = {
    "file missing": (lambda: "nothing.cube", "info", (), ["nothing.cube", "no such file"]),
    "a folder as input": (lambda: ".", "info", (), ["directory"]),
    "truncated": (truncated_chgcar, "info", (), ["CHGCAR"]),
    "cube truncated": (lambda: cube("a.cube", values="1.0 2.0 3.0"), "info", (), ["a.cube", "12", "truncated"]),
    "NaN": (lambda: cube("a.cube", values=GOOD.replace("5.0", "NaN")), "info", (), ["a.cube", "NaN"]),
    "asterisks": (lambda: cube("a.cube", values=GOOD.replace("5.0", "****")), "info", (), ["a.cube", "*"]),
    "NaN in a CHGCAR": (lambda: chgcar("NaN"), "info", (), ["CHGCAR", "NaN", "value 1 of"]),
    "asterisks in a CHGCAR": (lambda: chgcar("********"), "info", (), ["CHGCAR", "****", "Fortran", "value 1 of"]),
    "NaN in an array": (
        lambda: archive(values=np.full((4, 4, 4), np.nan)),
        "info",
        (),
        ["a.npz", "64", "NaN"],
    ),
    "no points in a CHGCAR": (
        lambda: (
            Path("CHGCAR").write_text(
                gzip.decompress(SILICON.read_bytes()).decode().replace("56   56   56", "56   0   56", 1)
            )
            and "CHGCAR"
        ),
        "info",
        (),
        ["CHGCAR"],
    ),
    "singular cell of an array": (lambda: archive(cell=np.ones((3, 3))), "info", (), ["a.npz", "ingular"]),
    "complex numbers": (lambda: archive(values=np.ones((4, 4, 4), complex)), "info", (), ["a.npz", "complex"]),
    "no cell": (lambda: np.save("a.npy", np.ones((2, 2, 2))) or "a.npy", "info", (), ["a.npy", "cell"]),
    "unknown unit in a file": (lambda: archive(unit="eVV"), "info", (), ["a.npz", "eVV", "eV"]),
    "unknown unit of a file": (wave_file, "info", ("--unit", "parsec"), ["--unit", "parsec"]),
    "unit of another quantity": (
        lambda: cube("a.cube"),
        "info",
        ("--quantity", "charge_density", "--unit", "eV"),
        ["eV", "e/Å^3"],
    ),
    "unknown quantity in a file": (
        lambda: altered(lambda file: file["field/values"].attrs.__setitem__("quantity", "density")),
        "info",
        (),
        ["own.h5", "density"],
    ),
    "values missing in a file": (
        lambda: altered(lambda file: file.__delitem__("field/values")),
        "info",
        (),
        ["own.h5"],
    ),
    "an HDF5 file of another program": (foreign_hdf5, "info", (), ["foreign.h5", "gpuhomog"]),
    "a table as a field": (profile_table, "info", (), ["profile.csv", "a result that gpuhomog wrote"]),
    "a result as a field": (profile_hdf5, "info", (), ["profile.h5", "Profile"]),
    "unknown frame": (wave_file, "info", ("--frame", "3"), ["wave.h5", "frame 3"]),
    "no points": (lambda: cube("a.cube", replaced={"3 0.0 0.0 1.0": "0 0.0 0.0 1.0"}), "info", (), ["a.cube"]),
    "too many values": (lambda: cube("a.cube", values=GOOD + "\n13.0 14.0"), "info", (), ["a.cube"]),
    "more points than the file can hold": (impossible_counts, "info", (), ["CHGCAR", "175616000000000", "counts"]),
    "singular cell": (lambda: cube("a.cube", replaced={"2 0.0 1.0 0.0": "2 1.0 0.0 0.0"}), "info", (), ["ingular"]),
    "another kind": (random_bytes, "info", (), ["noise.cube"]),
    "unknown kind": (wave_file, "info", ("--kind", "cuube"), ["cuube", "cube"]),
    "unknown unit": (wave_file, "convert", ("--to-unit", "eVV", "-o", "out.h5"), ["--to-unit", "eVV", "eV"]),
    "unknown quantity": (wave_file, "info", ("--quantity", "charge_dens"), ["charge_dens", "charge_density"]),
    "unknown boundary": (wave_file, "info", ("--boundary", "p,q,o"), ["p,q,o"]),
    "unknown block": (wave_file, "info", ("--block", "down"), ["down"]),
    "unknown schema": (newer_schema, "info", (), ["future.h5", "version", "99"]),
    "a CHGCAR is no charge density": (
        lambda: SILICON,
        "info",
        ("--quantity", "charge_density"),
        ["Si_CHGCAR.gz", "electrons", "--ion-charges"],
    ),
    "no surface charge of electrons": (lambda: SILICON, "surface", (), ["electron_density", "--ion-charges"]),
    "an element without a charge": (electrons_of_one_lithium, "surface", ("--ion-charges", "Na=1"), ["Li"]),
    "net charge": (electrons_of_one_lithium, "surface", ("--ion-charges", "Li=3"), ["2", "net"]),
    "bulk of a whole field": (wave_file, "scales", ("--bulk", "1,3"), ["--bulk", "--axis"]),
    "averages along an axis": (wave_file, "scales", ("--eps", "2,3", "--axis", "c"), ["--eps", "leave --axis out"]),
    "averages with a tau": (wave_file, "scales", ("--eps", "2,3", "--tau", "0.1"), ["--eps", "leave --tau out"]),
    "a kernel without averages": (wave_file, "scales", ("--kernel", "powerlaw"), ["--kernel", "--eps"]),
    "outside without averages": (wave_file, "scales", ("--outside", "1"), ["--outside", "--eps"]),
    "a gap that is none": (wave_file, "scales", ("--gap", "2,1"), ["--gap", "kL < ka"]),
    "a tau of its own": (wave_file, "scales", ("--tau", "2"), ["tau", "between 0 and 1"]),
    "what is to be decided": (wave_file, "macro", ("--width", "2", "--at", "3"), ["--at", "--up-to"]),
    "an eps_x beyond the cell": (wave_file, "macro", ("--width", "200"), ["200", "longer than the profile"]),
    "step of a charged slab": (charged_slab, "step", (), ["net charge"]),
    "charge across an open boundary": (charge_at_the_end, "surface", (), ["open boundary", "--sampling cell"]),
    "no vacuum": (
        lambda: field_file(
            "bulk.h5",
            np.cos(2 * np.pi * np.arange(32) / 8)[None, None] + np.zeros((2, 2, 1)),
            8 * np.eye(3),
            quantity="charge_density",
        ),
        "surface",
        (),
        ["No vacuum"],
    ),
    "no period": (
        lambda: field_file("flat.h5", np.ones((2, 2, 32)), 8 * np.eye(3)),
        "profile",
        (),
        ["constant", "--period"],
    ),
    "kernel narrower than two samples": (
        wave_file,
        "average",
        ("--kernel", "gaussian", "--eps", "1.5", "--sampling", "cell", "-o", "out.h5"),
        ["eps"],
    ),
    "box narrower than a sample": (
        wave_file,
        "average",
        ("--kernel", "box", "--width", "0.5", "--sampling", "cell", "-o", "out.h5"),
        ["box"],
    ),
    "power law narrower than two samples": (
        wave_file,
        "average",
        ("--kernel", "powerlaw", "--eps", "1", "--sampling", "cell", "-o", "out.h5"),
        ["eps"],
    ),
    "a top-hat on an oblique cell": (
        lambda: field_file("oblique.h5", np.ones((8, 8, 8)), 8 * np.eye(3) + np.eye(3, k=1)),
        "average",
        ("--kernel", "tophat", "--eps", "3", "-o", "out.h5"),
        ["oblique", "Box"],
    ),
    "ball wider than an open axis": (
        open_file,
        "average",
        ("--kernel", "ball", "--eps", "9", "-o", "out.h5"),
        ["open axis", "periodic"],
    ),
    "stages of cell averages": (
        wave_file,
        "average",
        ("--kernel", "ball", "--eps", "3,4", "--sampling", "cell", "-o", "out.h5"),
        ["--sampling bandlimited"],
    ),
    "variance beyond the cell": (
        open_file,
        "average",
        ("--kernel", "ball", "--eps", "3", "--padded", "--variance", "out.h5"),
        ["--variance", "--padded"],
    ),
    "variance of unknown suffix": (
        wave_file,
        "average",
        ("--kernel", "ball", "--eps", "3", "--variance", "out.csv"),
        ["out.csv"],
    ),
    "gradient over the input": (
        a_component,
        "average",
        ("--kernel", "ball", "--eps", "3", "--gradient", "slope.h5"),
        ["slope_x.h5", "input"],
    ),
    "average over a component": (
        wave_file,
        "average",
        ("--kernel", "ball", "--eps", "3", "--gradient", "out.h5", "-o", "out_z.h5"),
        ["out_z.h5", "two outputs"],
    ),
    "output is the density": (
        wave_file,
        "step",
        ("--density", "{density}", "-o", "{density}"),
        ["rho.json", "input"],
    ),
    "density missing": (wave_file, "step", ("--density", "gone"), ["gone", "no such file"]),
    "several sizes, one not positive": (wave_file, "average", ("--kernel", "ball", "--eps", "2,0"), ["--eps", "2,5"]),
    "kernel wider than an open axis": (
        open_file,
        "average",
        ("--kernel", "box", "--width", "9", "-o", "out.h5"),
        ["open"],
    ),
    "x_b outside the bulk": (charged_slab, "surface", ("--x-b", "10.5"), ["x_b"]),
    "unknown kernel": (wave_file, "average", ("--kernel", "gausian", "-o", "out.h5"), ["gausian", "gaussian"]),
    "a box by eps": (wave_file, "average", ("--kernel", "box", "--eps", "4", "-o", "out.h5"), ["--width"]),
    "a Gaussian by width": (wave_file, "average", ("--kernel", "gaussian", "--width", "4", "-o", "o.h5"), ["--eps"]),
    "negative eps": (wave_file, "average", ("--kernel", "ball", "--eps", "-4", "-o", "out.h5"), ["--eps", "positive"]),
    "eps in words": (wave_file, "average", ("--kernel", "ball", "--eps", "four", "-o", "out.h5"), ["--eps", "four"]),
    "two widths": (wave_file, "average", ("--kernel", "box", "--width", "4,4", "-o", "o.h5"), ["--width", "three"]),
    "nothing to write": (wave_file, "average", ("--kernel", "ball", "--eps", "4"), ["-o", "--plot"]),
    "no such GPU": (wave_file, "average", (*AVERAGE, "--device", "gpu:99"), ["gpu:99 requested", "cpu"]),
    "unknown device": (wave_file, "average", (*AVERAGE, "--device", "tpu"), ["tpu"]),
    "output is the input": (wave_file, "convert", ("-o", "wave.h5"), ["wave.h5", "input"]),
    "output is the input by another name": (wave_file, "convert", ("-o", "./../{here}/wave.h5"), ["input"]),
    "output without a suffix": (wave_file, "convert", ("-o", "out"), ["out", "suffix"]),
    "output of unknown suffix": (wave_file, "convert", ("-o", "out.hdf"), [".hdf", ".hdf5"]),
    "a field as table": (wave_file, "convert", ("-o", "out.csv"), [".csv"]),
    "folder missing": (wave_file, "convert", ("-o", "nowhere/out.h5"), ["nowhere", "does not exist"]),
    "folder that is a file": (wave_file, "convert", ("-o", "wave.h5/out.h5"), ["wave.h5"]),
    "folder that cannot be written": (wave_file, "convert", ("-o", "/proc/out.h5"), ["/proc"]),
    "figure of unknown suffix": (wave_file, "average", (*AVERAGE, "--plot", "a.jpg"), ["a.jpg", ".png"]),
    "figure over the input": (wave_file, "average", ("--kernel", "ball", "--eps", "4", "--plot", "wave.h5"), [".h5"]),
    "two outputs of one name": (wave_file, "profile", ("-o", "a.csv", "--planar", "a.csv"), ["a.csv", "two"]),
    "unknown axis": (wave_file, "profile", ("--axis", "d"), ["--axis", "d"]),
    "planes 0 0 0": (wave_file, "profile", ("--axis", "0,0,0"), ["0 0 0"]),
    "five passes": (wave_file, "profile", ("--passes", "5"), ["--passes", "1 to 4"]),
    "three periods": (wave_file, "profile", ("--period", "1,2,3"), ["--period", "one or two"]),
    "ion charges in another form": (wave_file, "surface", ("--ion-charges", "Na:1"), ["--ion-charges", "Na=1"]),
    "ion width alone": (wave_file, "surface", ("--ion-width", "0.5"), ["--ion-charges"]),
    "positions that coincide": (wave_file, "interface", ("--between", "5,5"), ["--between"]),
    "option misspelt": (wave_file, "average", ("--epz", "4"), ["--epz", "--eps"]),
    "option without its value": (wave_file, "average", ("--eps",), ["--eps"]),
    "option of another command": (wave_file, "info", ("--eps", "4"), ["--eps"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(run, tmp_path, case):
    make, command, options, words = BAD[case]
    file = make()
    if "{density}" in options:
        Path("rho.json").write_text("{}")
    options = [o.replace("{here}", tmp_path.name).replace("{density}", "rho.json") for o in options]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    ran = run(command, file, *options)
    assert ran.code == 2, ran.err
    assert ran.out == ""
    for word in words:
        assert word in ran.sentence, ran.sentence
    assert len(ran.sentence) < 500 and ran.sentence[-1] in ".?"
    assert not re.search(r"\b(np|gh)\.|dtype=|array\(|object at|None", ran.sentence)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    as_json = run(command, file, *options, "--json")
    assert as_json.code == 2 and as_json.json == {"error": as_json.sentence, "exit_code": 2}


def test_demo_into_a_file(run):
    Path("taken").write_text("mine")
    ran = run("demo", "-o", "taken")
    assert ran.code == 2 and "taken" in ran.sentence and Path("taken").read_text() == "mine"
    assert run("demo", "-o", "no/where").code == 2


def test_unknown_command_names_the_nearest(run):
    assert "average" in run("averag").sentence
    assert json.loads(run("averag", "--json").out)["exit_code"] == 2
    assert "FILE" in run("info").sentence


def test_a_failed_write_leaves_what_was_there(run, monkeypatch):
    file = wave_file()
    Path("out.h5").write_text("what was there")
    monkeypatch.setattr("gpuhomog.writers.hdf5.hdf5_file", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    ran = run("convert", file, "-o", "out.h5")
    assert ran.code == 2 and "out.h5" in ran.sentence and "disk full" in ran.sentence
    assert Path("out.h5").read_text() == "what was there"
    assert sorted(path.name for path in Path().iterdir()) == ["out.h5", "wave.h5"]
