"""XYZ files: frames are held against the numbers of atoms that they announce, before ASE goes by those."""

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

import gpuhomog as gh
from gpuhomog.errors import FileFormatError, InputError
from gpuhomog.readers.xyz import check_frames

CELL = np.diag([4.0, 5.0, 6.0])
CHARGES = {"Na": 1, "Cl": -1}
FRAME = "2\nframe\nNa 0 0 0\nCl 0 0 {z}\n"


def both(path, **more):
    """What the two readers of such files say of it."""
    said = []
    for read in (
        lambda: list(gh.read_frames(path, charges=CHARGES, cell=CELL)),
        lambda: gh.read_point_charges(path, charges=CHARGES, **more),
    ):
        with pytest.raises(FileFormatError) as caught:
            read()
        said.append(str(caught.value))
        assert said[-1].startswith(str(path)) and "\n" not in said[-1]
    assert said[0] == said[1]
    return said[0]


@pytest.mark.parametrize("announced", ["3", "2147483647", "9223372036854775808", "9" * 60])
@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz"])
def test_more_atoms_than_lines(tmp_path, name, announced):
    """ASE counts down whatever number stands there."""
    path = tmp_path / name
    path.write_text(FRAME.format(z=1).replace("2", announced, 1))
    assert "frame 0 announces" in both(path) and "take it off the file" in both(path)


@pytest.mark.parametrize(
    ("between", "message"),
    [
        ("\n", "a blank line stands where frame 1 should begin"),
        ("Cl 0 0 2\n", 'frame 1 begins with "Cl 0 0 2" instead of a number of atoms'),
        ("-2\n", 'frame 1 begins with "-2" instead of a number'),
    ],
)
def test_what_stands_between_frames_is_not_passed_over(tmp_path, between, message):
    """ASE ends at a blank line, so that the frames after it would be missing from the mean."""
    path = tmp_path / "a.xyz"
    path.write_text(FRAME.format(z=1) + between + FRAME.format(z=2))
    assert message in both(path, frame=1)
    path.write_text(FRAME.format(z=1) + FRAME.format(z=2) + "\n \n")
    frames = list(gh.read_frames(path, charges=CHARGES, cell=CELL))
    assert [frame.positions[1, 2] for frame in frames] == [1.0, 2.0]


def test_frames_with_vectors_and_byte_order_marks_are_whole(tmp_path):
    path = tmp_path / "a.xyz"
    vectors = "VEC1 4 0 0\nVEC2 0 5 0\nVEC3 0 0 6\n"
    path.write_bytes(b"\xef\xbb\xbf" + ((FRAME.format(z=1) + vectors) * 2).encode())
    check_frames(path)
    path.write_text((FRAME.format(z=1) + vectors + "VEC\n") * 2)
    check_frames(path)
    write(path, [Atoms("NaCl", np.zeros((2, 3)), cell=CELL, pbc=True)] * 3, format="extxyz")
    check_frames(path)


def test_the_frame_that_is_asked_for_is_taken(tmp_path):
    """With charges in a fifth column too, which ASE would leave out."""
    path = tmp_path / "a.xyz"
    path.write_text("".join(f"2\nframe\nNa 0 0 0 1\nCl 0 0 {z} -1\n" for z in (1, 2, 3)))
    assert [gh.read_point_charges(path, frame=n).structure.positions[1, 2] for n in range(3)] == [1.0, 2.0, 3.0]
    with pytest.raises(InputError, match=r"a\.xyz holds 3 frames: frame 3 does not exist"):
        gh.read_point_charges(path, frame=3)
    for wrong in (-1, 0.5, None):
        with pytest.raises(InputError, match=r"a\.xyz: frame .*: give the number of a structure in it"):
            gh.read_point_charges(path, frame=wrong)
    table = tmp_path / "a.txt"
    table.write_text("0 0 0 1\n1 1 1 -1\n")
    with pytest.raises(InputError, match=r"a\.txt: a table holds one structure: frame 1"):
        gh.read_point_charges(table, frame=1)


@pytest.mark.parametrize("name", ["a.xyz", "a.traj"])
def test_what_is_not_finite_is_refused_in_its_frame(tmp_path, name):
    path = tmp_path / name
    frames = [Atoms("NaCl", [[0, 0, 0], [0, 0, z]], cell=CELL, pbc=True) for z in (1.0, 2.0, np.nan)]
    write(path, frames, **({"format": "extxyz"} if name == "a.xyz" else {}))
    with pytest.raises(FileFormatError, match=r"frame 2: The position of atom 1 of 2 holds NaN"):
        list(gh.read_frames(path, charges=CHARGES, cell=CELL))
    with pytest.raises(FileFormatError, match=r"a\.\w+: The position of atom 1 of 2 holds NaN"):
        gh.read_point_charges(path, charges=CHARGES, frame=2)


@pytest.mark.parametrize("number", [-1, 119])
def test_atomic_numbers_that_no_element_has(tmp_path, number):
    atoms = Atoms("NaCl", np.zeros((2, 3)), cell=CELL, pbc=True)
    atoms.arrays["numbers"][1] = number
    atoms.set_initial_charges([1, -1])
    write(tmp_path / "a.traj", atoms)
    for read in (lambda path: list(gh.read_frames(path)), gh.read_point_charges):
        with pytest.raises(FileFormatError, match=rf"a\.traj.*: Atom 1 of 2 has the atomic number {number}"):
            read(tmp_path / "a.traj")
