"""Building blocks from files: every way to give one, each against the same block made in Python; refusals."""

import numpy as np
import pytest

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError

ATOM = """
[[block]]
name = "atom"
volume = 64.0
charge = [{ e = 1.0, gaussian = 0.3 }, { e = -1.0, gaussian = 0.8 }]
"""


def written(folder, text):
    path = folder / "blocks.toml"
    path.write_text(text, encoding="utf-8")
    return path


def value(block, volume=64.0):
    return gh.bethe_potential(block, volume).spherical.value


def test_every_kind(tmp_path):
    r = np.linspace(0.0, 7.0, 301)
    cloud = -np.exp(-0.5 * (r / 0.8) ** 2) / (2 * np.pi * 0.64) ** 1.5
    np.savetxt(tmp_path / "cloud.csv", np.column_stack([r, cloud]), delimiter=",")
    np.savetxt(tmp_path / "cloud.dat", np.column_stack([r, cloud]))
    text = (
        ATOM
        + """
[[block]]
name = "shared"
of = "atom"
neighbours = [[4, 0, 0], [-4, 0, 0], [0, 4, 0], [0, -4, 0], [0, 0, 4], [0, 0, -4]]

[[block]]
name = "table"
charge = [{ e = 1.0, gaussian = 0.3 }, { radial = "cloud.csv" }]

[[block]]
name = "another table"
charge = [{ e = 1.0, gaussian = 0.3 }, { radial = "cloud.dat" }]

[[block]]
name = "balls"
charge = [{ e = 3.0 }, { e = -1.5, ball = 1.1, centre = [0, 0, 1] }, { e = -1.5, ball = 1.1, centre = [0, 0, -1] }]
"""
    )
    atom, shared, table, another, balls = gh.read_blocks(written(tmp_path, text))
    assert (atom.volume, shared.volume, table.volume) == (64.0, 64.0, None)
    same = gh.BuildingBlock.of_parts("atom", [gh.GaussianCharge(1.0, 0.3), gh.GaussianCharge(-1.0, 0.8)])
    places = 4.0 * np.vstack([np.eye(3), -np.eye(3)])
    assert value(atom) == value(same)
    assert value(shared) == pytest.approx(value(gh.BuildingBlock.with_shared_nucleus(same, places)), rel=1e-14)
    assert value(table) == pytest.approx(value(same), abs=1e-8) and value(another) == value(table)
    assert balls.second[2, 2] == pytest.approx(-3.0 - 3.0 * 1.21 / 5)


def test_a_field_that_holds_one_block(tmp_path):
    x = (np.arange(48) - 24) * 0.3
    parts = [np.exp(-0.5 * (x / s) ** 2) / (np.sqrt(2 * np.pi) * s) for s in (0.5, 0.9)]
    values = sum(q * np.einsum("i,j,k", p, p, p) for q, p in zip((1.0, -1.0), parts, strict=True))
    gh.write(gh.Field.from_array(values, 14.4 * np.eye(3), quantity="charge_density"), tmp_path / "block.h5")
    path = written(tmp_path, '[[block]]\nname = "grid"\nfield = "block.h5"\ncentre = [7.2, 7.2, 7.2]\nvolume = 30\n')
    (found,) = gh.read_blocks(path)
    same = gh.BuildingBlock.of_parts("atom", [gh.GaussianCharge(1.0, 0.5), gh.GaussianCharge(-1.0, 0.9)])
    assert found.volume == 30.0 and value(found) == pytest.approx(value(same), abs=1e-8)


REFUSED = {
    "unknown table": ("[body]\n", 'unknown key "body"'),
    "none": ("", "holds no building blocks"),
    "two ways": (ATOM + 'of = "atom"\n', "block 1: give it by one of"),
    "no way": ('[[block]]\nname = "x"\n', "block 1: give it by one of"),
    "unknown key": ('[[block]]\nname = "x"\nvolum = 1\ncharge = []\n', 'unknown key "volum"'),
    "no name": ("[[block]]\ncharge = [{ e = 1 }]\n", "a name of its own"),
    "the same name": (ATOM + ATOM, "block 2: give each block a name of its own"),
    "no parts": ('[[block]]\nname = "x"\ncharge = []\n', "has no parts"),
    "key of a charge": ('[[block]]\nname = "x"\ncharge = [{ q = 1 }]\n', 'unknown key "q" of a charge'),
    "two shapes": ('[[block]]\nname = "x"\ncharge = [{ e = 1, ball = 1, gaussian = 1 }]\n', "ball or neither"),
    "a table and a charge": ('[[block]]\nname = "x"\ncharge = [{ e = 1, radial = "t" }]\n', "a table alone"),
    "no table": ('[[block]]\nname = "x"\ncharge = [{ radial = "gone.csv" }]\n', "gone.csv: cannot be read"),
    "words": ('[[block]]\nname = "x"\ncharge = [{ e = "one" }]\n', "are numbers in e and Å"),
    "of nothing": ('[[block]]\nname = "x"\nof = "atom"\n', "no block of that name"),
    "no neighbours": (ATOM + '[[block]]\nname = "x"\nof = "atom"\n', "block 2: "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(tmp_path, name):
    text, sentence = REFUSED[name]
    with pytest.raises(InputError, match=sentence) as raised:
        gh.read_blocks(written(tmp_path, text))
    assert "blocks.toml" in str(raised.value)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileFormatError, match="is not TOML"):
        gh.read_blocks(written(tmp_path, "[[block"))
    with pytest.raises(InputError, match="cannot be read"):
        gh.read_blocks(tmp_path / "gone.toml")
    (tmp_path / "words.csv").write_text("r,rho\n")
    with pytest.raises(InputError, match="no table of two columns"):
        gh.read_blocks(written(tmp_path, '[[block]]\nname = "x"\ncharge = [{ radial = "words.csv" }]\n'))
