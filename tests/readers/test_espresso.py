"""Plot files of pp.x: values, units and lattices against what their definitions say; damage."""

import gzip

import numpy as np
import pytest
from plot_files import plot_file

import gpuhomog as gh
from gpuhomog.errors import AccuracyWarning, FileFormatError, UnitsError
from gpuhomog.readers.espresso import lattice

BOHR, RYDBERG = 0.529177210544, 13.605693122990
VALUES = np.random.default_rng(11).normal(size=(3, 5, 4))
CUBIC = (10.2, 0, 0, 0, 0, 0)
CELLDM = [7.3, 1.4, 1.9, 0.21, -0.13, 0.32]


def written(tmp_path, *arguments, name="slab.pp", **options):
    path = tmp_path / name
    path.write_text(plot_file(*arguments, **options))
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("memory", [None, (3, 6), (4, 5), (5, 7)])
def test_values_have_their_places_and_units(tmp_path, memory, dtype):
    """Rows and planes may be longer in memory than the grid; a potential is in Ry."""
    field = gh.read(written(tmp_path, VALUES, CUBIC, plot_num=11, memory=memory), dtype=dtype)
    assert (field.quantity, field.unit, field.values.dtype) == ("electron_potential_energy", "eV", np.dtype(dtype))
    assert np.allclose(field.to_host(), VALUES * RYDBERG, rtol=1e-6 if dtype == "float32" else 1e-9, atol=1e-8)
    assert np.allclose(field.grid.cell, 10.2 * BOHR * np.eye(3), rtol=1e-12)


@pytest.mark.parametrize(
    ("plot_num", "quantity", "unit", "factor"),
    [
        (9, "electron_density", "1/Å^3", BOHR**-3),
        (17, "electron_density", "1/Å^3", BOHR**-3),
        (1, "electron_potential_energy", "eV", RYDBERG),
        (2, "electron_potential_energy", "eV", RYDBERG),
        (12, "electron_potential_energy", "eV", RYDBERG),
        (6, "scalar", "1/Å^3", BOHR**-3),
        (8, "scalar", None, 1.0),
    ],
)
def test_plot_num_says_what_the_values_are(tmp_path, plot_num, quantity, unit, factor):
    field = gh.read(written(tmp_path, VALUES, CUBIC, plot_num=plot_num))
    assert (field.quantity, field.unit) == (quantity, unit)
    assert np.allclose(field.to_host(), VALUES * factor, rtol=1e-9, atol=1e-8)


def test_what_plot_num_does_not_say_needs_its_unit(tmp_path):
    path = written(tmp_path, VALUES, CUBIC, plot_num=5)
    with pytest.raises(UnitsError, match="do not declare a unit"):
        gh.read(path, quantity="electron_potential_energy")
    field = gh.read(path, quantity="electron_potential_energy", unit="Ry")
    assert np.allclose(field.to_host(), VALUES * RYDBERG, rtol=1e-9, atol=1e-8)
    with pytest.raises(UnitsError, match="not a charge density"):
        gh.read(written(tmp_path, VALUES, CUBIC, plot_num=0), quantity="charge_density")


def test_atoms_and_their_valence_charges(tmp_path):
    """Positions in units of celldm(1); labels that are elements with something after them."""
    types = (("Fe", 16.0), ("O1", 6.0), ("Xx", 1.5), ("  ", 2.0))
    atoms = ((0.25, 0.5, -0.75, 2), (0, 0, 0, 1), (1, 0, 0, 3), (0.5, 0.5, 0.5, 4))
    field = gh.read(written(tmp_path, VALUES, CUBIC, plot_num=1, types=types, atoms=atoms))
    assert field.structure.numbers.tolist() == [8, 26, 0, 0]
    assert field.structure.charges.tolist() == [6.0, 16.0, 1.5, 2.0]
    assert np.allclose(field.structure.positions, np.array([atom[:3] for atom in atoms]) * 10.2 * BOHR, rtol=1e-9)


def test_electrons_are_compared_with_the_valence_charges(tmp_path):
    volume = 10.2**3
    whole = np.full((3, 5, 4), 9 / volume)
    assert gh.read(written(tmp_path, whole, CUBIC)).integral() == pytest.approx(9, rel=1e-8)
    with pytest.warns(AccuracyWarning, match=r"integrates to 4\.5 electrons, but the pseudopotentials of Na have 9"):
        gh.read(written(tmp_path, whole / 2, CUBIC))


LATTICE_POINTS = {
    1: 1, 2: 4, 3: 2, -3: 2, 4: 1, 6: 1, 7: 2, 8: 1, 9: 2, -9: 2, 91: 2, 10: 4, 11: 2, 12: 1, -12: 1, 13: 2, -13: 2,
    14: 1,
}  # fmt: skip
"""ibrav → lattice points in a conventional cell, as crystallography has it."""


@pytest.mark.parametrize(("ibrav", "points"), LATTICE_POINTS.items())
def test_lattices_hold_the_conventional_cell(ibrav, points):
    """Its vectors, of the lengths and angles that celldm gives, are combinations by integers; det: points in it."""
    a, b, c = 1.0, CELLDM[1], CELLDM[2]
    lengths = {1: (a, a, a), 2: (a, a, a), 3: (a, a, a), 4: (a, a, c), 6: (a, a, c), 7: (a, a, c)}.get(
        abs(ibrav), (a, b, c)
    )
    alpha, beta, gamma = {
        4: (0, 0, -0.5), 12: (0, 0, 0.21), -12: (0, -0.13, 0), 13: (0, 0, 0.21), -13: (0, -0.13, 0),
        14: (0.21, -0.13, 0.32),
    }.get(ibrav, (0, 0, 0))  # fmt: skip
    gram = np.array([[1, gamma, beta], [gamma, 1, alpha], [beta, alpha, 1]]) * np.outer(lengths, lengths) * 7.3**2
    upper = np.linalg.cholesky(gram)  # rows: first along x, second in the plane of x and y
    primitive = lattice(ibrav, CELLDM)
    combinations = upper @ np.linalg.inv(primitive)
    assert np.allclose(combinations, np.rint(combinations), atol=1e-12)
    assert np.linalg.det(combinations) == pytest.approx(points)  # and right-handed


@pytest.mark.parametrize("ibrav", [5, -5])
@pytest.mark.parametrize("cosine", [-0.4, 0.0, 0.21, 0.9])
def test_rhombohedral_vectors(ibrav, cosine):
    """One length, one angle, and their sum along the threefold axis."""
    vectors = lattice(ibrav, [7.3, 0, 0, cosine, 0, 0])
    assert np.allclose(vectors @ vectors.T, 7.3**2 * np.where(np.eye(3), 1, cosine))
    axis = vectors.sum(axis=0) / np.linalg.norm(vectors.sum(axis=0))
    assert np.allclose(axis, [0, 0, 1] if ibrav == 5 else np.full(3, 3**-0.5))
    assert np.linalg.det(vectors) > 0


@pytest.mark.parametrize(
    ("ibrav", "rows"),
    [
        (2, [[-0.5, 0, 0.5], [0, 0.5, 0.5], [-0.5, 0.5, 0]]),
        (3, [[0.5, 0.5, 0.5], [-0.5, 0.5, 0.5], [-0.5, -0.5, 0.5]]),
        (4, [[1, 0, 0], [-0.5, np.sqrt(3) / 2, 0], [0, 0, 1.9]]),
        (7, [[0.5, -0.5, 0.95], [0.5, 0.5, 0.95], [-0.5, -0.5, 0.95]]),
        (9, [[0.5, 0.7, 0], [-0.5, 0.7, 0], [0, 0, 1.9]]),
        (-9, [[0.5, -0.7, 0], [0.5, 0.7, 0], [0, 0, 1.9]]),
        (91, [[1, 0, 0], [0, 0.7, -0.95], [0, 0.7, 0.95]]),
        (10, [[0.5, 0, 0.95], [0.5, 0.7, 0], [0, 0.7, 0.95]]),
    ],
)
def test_vectors_of_the_manual(ibrav, rows):
    """Which of all choices a lattice has is pw.x's own, as the description of its input gives it."""
    assert np.allclose(lattice(ibrav, CELLDM), 7.3 * np.array(rows), rtol=1e-14)


def test_vectors_in_the_file(tmp_path):
    """ibrav 0: in units of celldm(1)."""
    vectors = [[1.0, 0, 0], [0.25, 1.5, 0], [0.125, -0.5, 2]]
    field = gh.read(written(tmp_path, VALUES, CUBIC, ibrav=0, vectors=vectors, plot_num=1))
    assert np.allclose(field.grid.cell, np.array(vectors) * 10.2 * BOHR, rtol=1e-12)


def test_the_monoclinic_lattice_whose_vectors_changed_is_named(tmp_path):
    with pytest.warns(AccuracyWarning, match=r"ibrav is -13"):
        gh.read(written(tmp_path, VALUES, CELLDM, ibrav=-13, plot_num=1))


def test_compressed_and_streamed(tmp_path):
    path = written(tmp_path, VALUES, CUBIC, plot_num=11)
    packed = tmp_path / "slab.pp.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(gh.read(packed).to_host(), gh.read(path).to_host())
    profile = gh.planar_average(gh.read(path, max_memory="8GB"), "c")
    assert np.allclose(profile.values, VALUES.mean(axis=(0, 1)) * RYDBERG, rtol=1e-8)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "       3       5       4       3       5       4",
            "       3       5       4       3       6       4",
            "points",
        ),
        ("     1       10.2", "    15       10.2", "no lattice of ibrav = 15"),
        ("     1       10.2", "     1      -10.2", "no lattice of ibrav = 1"),
        ("     1       10.2", "     0       10.2", "three lattice vectors of ibrav = 0"),
        ("15.0000000000    11", "15.0000000000", "gcutm, dual, ecut and plot_num"),
        ("   1   Na    9.00", "   1   Na    none", "type 1 of 1"),
        ("0.000000000    1\n", "0.000000000    2\n", "one of 1 types"),
    ],
)
def test_headers_that_cannot_be(tmp_path, old, new, sentence):
    path = written(tmp_path, VALUES, CUBIC, plot_num=11)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=sentence):
        gh.read(path, kind="pp.x")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda text: text[:-200], "truncated"),
        (lambda text: text[:-8], "truncated"),
        (lambda text: text[:-18] + "*" * 17 + "\n", "stars"),
        (lambda text: text[: text.index("44.7046")], "gcutm, dual, ecut and plot_num"),
    ],
)
def test_values_that_are_missing(tmp_path, damage, sentence):
    path = written(tmp_path, VALUES, CUBIC, plot_num=11)
    path.write_text(damage(path.read_text()))
    with pytest.raises(FileFormatError, match=sentence):
        gh.read(path, kind="pp.x")


def test_the_macroscopic_average_of_a_slab(tmp_path):
    """Layers of a cosine between vacua: what average.x is used for, with the closed form of the window."""
    n, length, period = 240, 30.0, 3.75
    z = np.arange(n) * length / n
    values = np.broadcast_to(-0.4 + 0.3 * np.cos(2 * np.pi * z / period), (2, 2, n))
    path = written(tmp_path, values, (length / 4, 0, 4, 0, 0, 0), ibrav=6, plot_num=11)
    profile = gh.planar_average(gh.read(path), "c")
    assert np.allclose(profile.values, values[0, 0] * RYDBERG, rtol=1e-8)
    half = 0.5 * np.pi
    expected = -0.4 + 0.3 * np.sin(half) / half * np.cos(2 * np.pi * z / period)
    assert np.allclose(gh.macroscopic_average(profile, period * BOHR / 2).values, expected * RYDBERG, atol=1e-7)
