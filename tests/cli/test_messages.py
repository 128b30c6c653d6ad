"""What commands say of input that is odd but not wrong, and that nothing given is silently left aside."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog import cli
from gpuhomog.jobs import COMMANDS, Outcome


def wire(n=32):
    x = np.arange(n) * 0.5
    values = np.repeat((np.cos(x)[:, None] * np.cos(x))[:, :, None], 2, axis=2)
    gh.write(gh.Field.from_array(values, np.diag([16.0, 16.0, 1.0]), quantity="charge_density"), "wire.npz")
    return "wire.npz"


def test_a_box_beyond_the_cell(run):
    ran = run("corners", wire(), "--box", "1,30,1,30")
    assert ran.code == 2 and "as long as the periodic cell, or longer" in ran.sentence


@pytest.mark.parametrize("command", [("surface", "wire.npz"), ("charges", "ions.xyz", "--charges", "Na=1,Cl=-1")])
def test_two_names_of_planes(run, command):
    wire()
    Path("ions.xyz").write_text('2\nLattice="4 0 0 0 4 0 0 0 20"\nNa 0 0 5\nCl 2 2 5.78\n')
    ran = run(*command, "--hkl", "1,1,0", "--axis", "c")
    assert ran.code == 2 and "--hkl names the planes of the cut, and --axis others" in ran.sentence


def test_a_slab_thinner_than_two_layers_is_noted(run):
    for thickness, is_noted in ((0.78, True), (8.0, False)):
        Path("ions.xyz").write_text(f'2\nLattice="4 0 0 0 4 0 0 0 20"\nNa 0 0 5\nCl 2 2 {5 + thickness}\n')
        remarks = run("charges", "ions.xyz", "--charges", "Na=1,Cl=-1", "--json").json["result"]["remarks"]
        assert any("less than two layers of atoms" in remark for remark in remarks) == is_noted


def test_an_interface_gives_its_reason_once(run):
    z = np.arange(64) * 0.5
    values = np.where((z > 8) & (z < 24), 1.0, -1.0) * np.ones((2, 2, 1))
    gh.write(gh.Field.from_array(values, np.diag([2.0, 2.0, 32.0]), quantity="charge_density"), "charged.npz")
    ran = run("interface", "charged.npz", "--between", "4,16")
    assert ran.code == 0 and " ".join(ran.out.split()).count("not defined (") == 1
    found = run("interface", "charged.npz", "--between", "4,16", "--json").json["result"]
    assert all(found[name]["reason"] == found["charge"]["reason"] for name in ("kernel", "partition", "period_window"))


def test_tables_give_a_reason_once(run, slab):
    ran = run("step", slab, "--period", "none")
    assert "bulk - low        not defined (as above)" in ran.out and ran.out.count("not defined (the bulk") == 1


def test_an_option_that_is_missing_says_what_it_is(run):
    ran = run("average", wire(), "--eps", "3", "-o", "out.h5")
    assert ran.sentence == "--kernel is missing: write --kernel K, shape of the averaging kernel."
    Path("job.toml").write_text('[input]\nfile = "wire.npz"\n[[task]]\ncommand = "interface"\n')
    assert (
        "task 1 (interface): between is missing: write between = X1,X2, positions in Å"
        in run("run", "job.toml").sentence
    )


def test_titles_of_maps_have_uncertainties(slab):
    from gpuhomog.plots import plot_surface_map

    read = gh.read(slab)
    unequal = 1 + 1e-3 * np.sin(np.arange(256))  # layers: a perfect bulk leaves no uncertainty that print shows
    result = gh.surface_map(replace(read, values=read.values * unequal), "c", x_b=16.0)
    titles = [axes.get_title() for axes in plot_surface_map(result).axes if axes.get_title()]
    assert len(titles) == 2 and all(" ± " in title and "Å$^{-2}$" in title for title in titles)
    assert float(titles[0].split("mean ")[1].split(" ±")[0]) == pytest.approx(0.3, abs=0.01)


def test_what_is_rounding_is_not_printed_as_a_value():
    assert str(gh.Measurement(3.2e-16, "e/Å^2")) == "0 e/Å^2" and str(gh.Measurement(3.2e-16, "1")) == "3.2e-16"
    assert str(gh.Measurement(-2.4414e-16, "e/Å^2", 1.1e-15)) == "-2e-16 ± 1.1e-15 e/Å^2"
    assert str(gh.Measurement(0.25, "e/Å", 7.6e-14)) == "0.25 ± 7.6e-14 e/Å"
    assert str(gh.Measurement(1.1e-8, "e/Å", 6.8e-8)) == "1.1e-08 ± 6.8e-08 e/Å"
    assert str(gh.Measurement(-1.23456789e-5, "V", 1.1e-11)) == "-1.2345679e-05 ± 1.1e-11 V"
    assert str(gh.Measurement(0.00012, "V", 3e-5)) == "0.000120 ± 3.0e-05 V"


def test_the_mean_of_what_has_none_is_zero(run):
    z = np.cos(2 * np.pi * np.arange(16) / 16) * np.ones((4, 4, 1))
    gh.write(gh.Field.from_array(z, 4 * np.eye(3), quantity="charge_density"), "wave.h5")
    printed = run("potential", "wave.h5").out
    assert "mean                    0 V" in printed and "integral over the cell  0 V*Å^3" in printed


def test_a_number_is_printed_as_far_as_its_uncertainty():
    for value, spread, text in (
        (5.0, 0.00045, "5.00000 ± 0.00045 V"),
        (2.5, 0.0996, "2.50 ± 0.10 V"),
        (441.0, 234.0, "440 ± 230 V"),
        (0.3, 2.0, "0.3 ± 2.0 V"),
        (1e-5, 0.3, "0 ± 0.30 V"),
        (3e-8, 1.2e-9, "3.00e-08 ± 1.2e-09 V"),
        (7e300, 1e299, "7.00e+300 ± 1.0e+299 V"),
    ):
        assert str(gh.Measurement(value, "V", spread)) == text and str(gh.Measurement(value, "V")) == f"{value:.8g} V"


@pytest.mark.parametrize("columns", ["4", "12", "29"])
def test_numbers_are_whole_on_any_terminal(run, slab, monkeypatch, columns):
    wide = run("surface", slab).out.split()
    monkeypatch.setenv("COLUMNS", columns)
    narrow = run("surface", slab).out.split()
    assert [word for word in narrow if re.search(r"\d", word)] == [word for word in wide if re.search(r"\d", word)]


def test_a_word_is_broken_only_where_nothing_else_gives_way(monkeypatch, capsys):
    rows = [
        ("", "found", "theory", "eq.", "the paper"),
        ("E_x of whole cells + P/3ε0, cell 1 (V/Å)", "0.4283 ± 0.0080", "-0.4283", "XIII.D", "an arbitrary number"),
    ]
    whole = [*" ".join(row for line in rows for row in line).replace(" ± ", "±").split()]
    for columns in ("200", "90", "80", "60"):
        monkeypatch.setenv("COLUMNS", columns)
        cli.show(Outcome({}, [("", rows)]), {"outputs": ()})
        told = capsys.readouterr().out
        assert max(map(len, told.splitlines())) <= int(columns)
        assert sorted(told.replace(" ± ", "±").split()) == sorted(whole)


def test_frames_and_radii_that_cannot_be_say_what_can(run):
    wire()
    ran = run("cavity", "wire.npz", "--quantity", "charge_density", "--centre", "0,0,0", "--radii", "60:30:1")
    assert ran.code == 2 and "positive radii" in ran.sentence and "TO above FROM" in ran.sentence
    ran = run("decay", "wire.npz", "--x-b", "0", "--fraction", "0.2")
    assert ran.sentence == "--fraction is R1/R of a fixed disc: leave it out, or give --average fixed-disc."


def test_an_option_is_given_once(run):
    ran = run("profile", wire(), "--period", "none", "--axis", "b", "--axis", "a", "-o", "out.csv")
    assert ran.code == 2 and ran.sentence.startswith("--axis is given twice: give it once") and not ran.out
    assert not Path("out.csv").exists()
    ran = run("profile", "wire.npz", "--period", "none", "-o", "a.csv", "--output", "b.csv")
    assert ran.code == 2 and ran.sentence.startswith("--output is given twice")
    assert run("profile", "wire.npz", "--period", "none", "-q", "-q").code == 0  # a flag said twice says the same


def test_ions_in_one_plane_are_no_slab(run):
    Path("layer.xyz").write_text('2\nLattice="4 0 0 0 4 0 0 0 20"\nNa 0 0 5\nCl 2 2 5\n')
    ran = run("charges", "layer.xyz", "--charges", "Na=1,Cl=-1")
    assert ran.code == 2 and ran.sentence.startswith("All charges lie in the plane at 5 Å")


def test_a_period_of_what_is_one_period(run):
    assert "period belongs to an open axis" in run("moments", wire(), "--axis", "a", "--period", "3").sentence


def program(*arguments, **settings):
    """The program in a process of its own."""
    environment = {**os.environ, **settings.pop("environment", {})}
    return subprocess.run([sys.executable, "-m", "gpuhomog", *arguments], env=environment, timeout=60, **settings)


def test_a_terminal_without_greek_letters_is_told_their_names(slab):
    ascii_only = {"PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    ran = program("surface", str(slab), environment=ascii_only, capture_output=True)
    assert ran.returncode == 0 and b"sigma low   " in ran.stdout and b" +- " in ran.stdout and b" e/A^2" in ran.stdout
    ran = program("surface", str(slab), "--json", environment=ascii_only, capture_output=True)
    assert ran.returncode == 0 and json.loads(ran.stdout)["result"]["low"]["unit"] == "e/Å^2"
    ran = program("info", "Å", environment=ascii_only, capture_output=True)
    assert ran.returncode == 2 and ran.stderr == b"gpuhomog: A: no such file. Check the name and the folder.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_output_that_cannot_be_written_is_one_sentence(more):
    with open("/dev/full", "w") as full:
        ran = program("devices", *more, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ran.returncode == 2 and ran.stderr.startswith("gpuhomog: No space left on device"), ran.stderr
    assert ran.stderr.count("\n") == 1


def test_closed_standard_error_is_nothing_to_stop_for(slab):
    closed = f"exec 2>&-; {sys.executable} -m gpuhomog info {slab} && {sys.executable} -m gpuhomog info nothing.h5"
    ran = subprocess.run(["sh", "-c", closed], stdout=subprocess.PIPE, text=True, timeout=60)
    assert ran.returncode == 2 and "charge density" in ran.stdout and "nothing" not in ran.stdout


def test_a_pipe_is_refused_as_such(run):
    os.mkfifo("LOCPOT")
    assert run("info", "LOCPOT").sentence == (
        "LOCPOT is a pipe or device, and files are read in parts: write it to a file first."
    )


def test_units_stand_where_there_are_any(run):
    x = np.arange(160) * 0.125
    values = np.where(abs(x - 10) < 6, np.cos(2 * np.pi * x / 2.5) + 2, 0.0) * np.ones((2, 2, 1))
    for quantity, counted in (("electron_density", "electrons"), ("scalar", "")):
        gh.write(gh.Field.from_array(values, np.diag([2.0, 2.0, 20.0]), quantity=quantity), "layers.npz")
        (integral,) = (line for line in run("info", "layers.npz").out.splitlines() if "integral" in line)
        number, *unit = integral.removeprefix("  integral over the cell").split()
        assert float(number) == pytest.approx(values.mean() * 80, rel=1e-6) and " ".join(unit) == counted
        (ripple,) = (line for line in run("profile", "layers.npz").out.splitlines() if "ripple" in line)
        assert ("1/Å^3 in" in ripple) == bool(counted) and "  in" not in ripple


def test_regular_periods_lie_in_the_cell(run):
    x = np.arange(160) * 0.125
    for centre, through in ((10.0, ""), (0.0, " through the end of the cell"), (3.0, " through the end of the cell")):
        values = np.where(abs((x - centre + 10) % 20 - 10) < 6.1, np.cos(2 * np.pi * x / 2.5) + 2, 0.0) * np.ones(
            (2, 2, 1)
        )
        gh.write(gh.Field.from_array(values, np.diag([2.0, 2.0, 20.0])), "layers.npz")
        told = " ".join(run("profile", "layers.npz").out.split())
        low, high = re.search(r"between (\S+) and (\S+) Å", told).groups()
        assert 0 <= float(low) < 20
        assert through in told
        assert (float(high) > 20) == bool(through)


def test_a_name_without_a_known_suffix_is_told_those_there_are(run):
    wire()
    assert run("profile", "wire.npz", "--plot", "x").sentence == "x: the name has no suffix; known: .pdf, .png, .svg."
    told = run("convert", "wire.npz", "-o", "x.vasp").sentence
    assert told.count(".h5") == 1 and told.endswith("or a name that begins with CHGCAR or LOCPOT.")
    assert 'did you mean ".hdf5"? Known are .h5,' in run("convert", "wire.npz", "-o", "x.hdf").sentence


def test_the_help_says_where_the_worked_pages_are(run):
    told = "".join(run("--help").out.split())
    assert str(Path(gh.__file__).parent / "pages") in told
    assert (Path(gh.__file__).parent / "pages" / "README.md").is_file()
    told = "".join(run("interface", "--help").out.split())
    assert "Howtoreadwhatcomesout" in told and told.index("interfaces.md") < told.index("coming-from-other-tools.md")
    assert "Howtoread" not in run("devices", "--help").out.replace(" ", "")
    drawn = [name for name, command in COMMANDS.items() if any(option.name == "plot" for option in command.options)]
    assert len(drawn) > 15 and all(cli.pages_of(name) for name in drawn)
